//! The leases that hold one token: seldom more than one, so the first one needs no memory of its own.

use crate::base::ids::LeaseId;

/// A few leases, in no order.
#[derive(Debug, Default)]
pub struct Holders {
    one: Option<LeaseId>,
    more: Vec<LeaseId>,
}

impl Holders {
    /// How many.
    pub fn len(&self) -> usize {
        usize::from(self.one.is_some()) + self.more.len()
    }

    /// Adds one.
    pub fn push(&mut self, lease: LeaseId) {
        match self.one {
            None => self.one = Some(lease),
            Some(_) => self.more.push(lease),
        }
    }

    /// Takes one out, if it is there.
    pub fn remove(&mut self, lease: LeaseId) {
        if self.one == Some(lease) {
            self.one = self.more.pop();
        } else if let Some(at) = self.more.iter().position(|other| *other == lease) {
            self.more.swap_remove(at);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = LeaseId> {
        self.one.into_iter().chain(self.more.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_and_not_removed_is_there() {
        let lease = LeaseId::from_u128;
        let mut holders = Holders::default();
        for number in [1, 2, 3, 4] {
            holders.push(lease(number));
        }
        for number in [3, 1, 9] {
            holders.remove(lease(number));
        }
        let mut left: Vec<LeaseId> = holders.iter().collect();
        left.sort_unstable();
        assert_eq!((left, holders.len()), (vec![lease(2), lease(4)], 2));
    }
}
