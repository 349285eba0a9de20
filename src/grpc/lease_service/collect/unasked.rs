//! What the broker says unasked: at most one message per lease, pool or healed token, the latest, and never more than a few hundred.

use std::collections::{HashMap, VecDeque};

use crate::base::ids::{LeaseId, TokenId};
use crate::grpc::pb::collect_response::Event;

/// Messages that may wait to be read.
const MOST: usize = 256;

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum About {
    /// A lease.
    Lease(LeaseId),
    /// A pool, by team, network and operation.
    Pool(String, String, String),
    /// A token that was healed.
    Healed(TokenId),
}

/// Messages that wait to be read, the oldest first.
#[derive(Default)]
pub struct Unasked {
    order: VecDeque<About>,
    latest: HashMap<About, Event>,
}

/// Too many messages waited; all of them were dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct Dropped;

impl Unasked {
    /// Adds a message; it takes the place of an earlier one about the same.
    pub fn put(&mut self, about: About, event: Event) -> Result<(), Dropped> {
        if self.latest.insert(about.clone(), event).is_none() {
            self.order.push_back(about);
        }
        if self.latest.len() <= MOST {
            return Ok(());
        }
        self.clear();
        Err(Dropped)
    }

    /// Takes back what waits about a lease.
    pub fn forget(&mut self, lease: LeaseId) {
        let about = About::Lease(lease);
        if self.latest.remove(&about).is_some() {
            self.order.retain(|other| *other != about);
        }
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.order.clear();
        self.latest.clear();
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.latest.is_empty()
    }

    /// The oldest message.
    pub fn pop(&mut self) -> Option<Event> {
        self.latest.remove(&self.order.pop_front()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::pb;

    fn recall(lease: u128, verdict: pb::Verdict) -> (About, Event) {
        let event = pb::CollectRecall { verdict: verdict.into(), ..pb::CollectRecall::default() };
        (About::Lease(LeaseId::from_u128(lease)), Event::Recall(event))
    }

    #[test]
    fn the_latest_message_about_a_lease_stands_in_the_place_of_the_first() {
        let mut unasked = Unasked::default();
        for (lease, verdict) in [(1, pb::Verdict::StopUntil), (2, pb::Verdict::Recalled), (1, pb::Verdict::TokenDead)] {
            let (about, event) = recall(lease, verdict);
            unasked.put(about, event).unwrap();
        }
        assert_eq!(unasked.pop(), Some(recall(1, pb::Verdict::TokenDead).1));
        assert_eq!(unasked.pop(), Some(recall(2, pb::Verdict::Recalled).1));
        assert_eq!(unasked.pop(), None);
    }

    #[test]
    fn one_too_many_drops_them_all() {
        let mut unasked = Unasked::default();
        for lease in 0..MOST as u128 {
            let (about, event) = recall(lease, pb::Verdict::Recalled);
            assert_eq!(unasked.put(about, event), Ok(()));
        }
        let (about, event) = recall(7, pb::Verdict::TokenDead);
        assert_eq!(unasked.put(about, event), Ok(()), "a lease that waits already takes no more room");
        let (about, event) = recall(MOST as u128, pb::Verdict::Recalled);
        assert_eq!(unasked.put(about, event), Err(Dropped));
        assert!(unasked.is_empty());
        assert_eq!(unasked.pop(), None);
    }

    #[test]
    fn nothing_is_said_of_a_lease_that_was_released() {
        let mut unasked = Unasked::default();
        let (about, event) = recall(1, pb::Verdict::Recalled);
        unasked.put(about, event).unwrap();
        unasked.forget(LeaseId::from_u128(1));
        assert_eq!(unasked.pop(), None);
    }
}
