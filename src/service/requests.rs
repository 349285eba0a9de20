//! Requests that may be repeated: what was answered to the first one, for 24 hours.
//!
//! The answers are kept in memory, at most [`MAX_NOTED`] of them; when there are more, the oldest is forgotten. A restart forgets
//! all of them: a retry that crosses one acts again, and then fails on what the first one made (a team that exists, a token that
//! is held already) or finds the change made. Leases and budgets, where acting twice would cost credit or
//! money, are noted in the store instead.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::base::clock::Timestamp;

/// Answers kept at once.
const MAX_NOTED: usize = 10_000;
/// How long a repetition is recognised.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Who asked for what, and the id that they chose.
type RequestKey = (String, String);

/// What was asked and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// A keyed hash of what was asked.
    pub content: [u8; 32],
    /// The answer, encoded by whoever noted it. Never a secret.
    pub response: Vec<u8>,
}

/// The place of one request. Whoever holds its lock works on the request; a repetition waits for the answer.
pub type RequestSlot = Arc<tokio::sync::Mutex<Option<Noted>>>;

/// The requests that were answered lately.
#[derive(Default)]
pub struct Requests {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    slots: HashMap<RequestKey, RequestSlot>,
    /// In the order of their beginning.
    order: VecDeque<(Timestamp, RequestKey)>,
}

impl Requests {
    /// The place of a request: the one of its first asking, or a new one.
    pub fn slot(&self, scope: &str, request_id: &str, now: Timestamp) -> RequestSlot {
        let mut kept = self.kept.lock().expect("no code panics while it holds the requests");
        kept.forget(|since, _| since + KEPT <= now);
        let key = (scope.to_owned(), request_id.to_owned());
        if let Some(slot) = kept.slots.get(&key) {
            return slot.clone();
        }
        kept.forget(|_, noted| noted >= MAX_NOTED);
        let slot = RequestSlot::default();
        kept.slots.insert(key.clone(), slot.clone());
        kept.order.push_back((now, key));
        slot
    }
}

impl Kept {
    /// Forgets the oldest, as long as `is_over` says so of its beginning and of how many there are.
    fn forget(&mut self, is_over: impl Fn(Timestamp, usize) -> bool) {
        while let Some((since, key)) = self.order.front() {
            if !is_over(*since, self.order.len()) {
                return;
            }
            self.slots.remove(key);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn note(requests: &Requests, id: &str, now: Timestamp) {
        let slot = requests.slot("a", id, now);
        *slot.try_lock().unwrap() = Some(Noted { content: [1; 32], response: vec![7] });
    }

    fn is_noted(requests: &Requests, scope: &str, id: &str, now: Timestamp) -> bool {
        requests.slot(scope, id, now).try_lock().unwrap().is_some()
    }

    #[test]
    fn a_request_is_recognised_for_a_day_and_by_its_caller_only() {
        let requests = Requests::default();
        note(&requests, "one", NOW);
        assert!(is_noted(&requests, "a", "one", NOW + KEPT - Duration::from_secs(1)));
        assert!(!is_noted(&requests, "b", "one", NOW));
        assert!(!is_noted(&requests, "a", "one", NOW + KEPT));
    }

    #[test]
    fn the_oldest_makes_room() {
        let requests = Requests::default();
        for number in 0..MAX_NOTED {
            note(&requests, &number.to_string(), NOW);
        }
        note(&requests, "one more", NOW);
        assert_eq!(requests.kept.lock().unwrap().slots.len(), MAX_NOTED);
        assert!(is_noted(&requests, "a", "1", NOW) && is_noted(&requests, "a", "one more", NOW));
    }
}
