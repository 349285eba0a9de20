//! What is due when. Most things are arranged in the order in which they come due: those stand in a line, the others in a heap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::base::clock::Timestamp;

/// Things with the time at which they are due.
#[derive(Debug)]
pub struct Timers<T> {
    in_order: VecDeque<(Timestamp, T)>,
    others: BinaryHeap<Reverse<(Timestamp, T)>>,
}

impl<T: Ord + Copy> Default for Timers<T> {
    fn default() -> Self {
        Self { in_order: VecDeque::new(), others: BinaryHeap::new() }
    }
}

impl<T: Ord + Copy> Timers<T> {
    /// Arranges for `what` to be due at `at`.
    pub fn push(&mut self, at: Timestamp, what: T) {
        if self.in_order.back().is_none_or(|(last, _)| *last <= at) {
            self.in_order.push_back((at, what));
        } else {
            self.others.push(Reverse((at, what)));
        }
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Timestamp> {
        let line = self.in_order.front().map(|(at, _)| *at);
        let heap = self.others.peek().map(|Reverse((at, _))| *at);
        line.into_iter().chain(heap).min()
    }

    /// Takes out one that is due at `now`, the soonest first.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<T> {
        let next = self.next().filter(|at| *at <= now)?;
        if let Some((_, what)) = self.in_order.pop_front_if(|(at, _)| *at == next) {
            return Some(what);
        }
        self.others.pop().map(|Reverse((_, what))| what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_soonest_first() {
        let mut timers = Timers::default();
        for (nth, secs) in [5, 7, 6, 1, 7, 9].into_iter().enumerate() {
            timers.push(Timestamp::from_secs(secs), nth);
        }
        assert_eq!(timers.next(), Some(Timestamp::from_secs(1)));
        let due: Vec<usize> = std::iter::from_fn(|| timers.pop_due(Timestamp::from_secs(7))).collect();
        assert_eq!(due, [3, 0, 2, 1, 4]);
        assert_eq!(timers.next(), Some(Timestamp::from_secs(9)));
    }
}
