//! A list that is seldom longer than `N`: so many stand in it directly, and need neither memory of their own nor a second look.

/// A few small things, in no order.
#[derive(Debug, Clone)]
pub struct Few<T, const N: usize> {
    first: [Option<T>; N],
    more: Vec<T>,
}

impl<T: Copy, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self { first: [None; N], more: Vec::new() }
    }
}

impl<T: Copy + PartialEq, const N: usize> Few<T, N> {
    /// How many.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Adds one.
    pub fn push(&mut self, new: T) {
        match self.first.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(new),
            None => self.more.push(new),
        }
    }

    /// Takes one out, if it is there.
    pub fn remove(&mut self, old: T) {
        if let Some(place) = self.first.iter_mut().find(|place| **place == Some(old)) {
            *place = self.more.pop();
        } else if let Some(at) = self.more.iter().position(|other| *other == old) {
            self.more.swap_remove(at);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.first.iter().flatten().chain(&self.more).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_and_not_removed_is_there() {
        let mut few = Few::<u32, 2>::default();
        for number in [1, 2, 3, 4, 5] {
            few.push(number);
        }
        for number in [3, 1, 9] {
            few.remove(number);
        }
        few.push(7);
        let mut left: Vec<u32> = few.iter().collect();
        left.sort_unstable();
        assert_eq!((left, few.len()), (vec![2, 4, 5, 7], 4));
    }
}
