//! Different keys: limits on how many distinct ones (hashtags) may be asked for in a span.
//!
//! The network counts a key for the span after its first use. A key is charged until the latest use that was granted could be
//! counted no more: the first may not have been made. Once a use was seen, the key costs nothing for the rest of its span.
//!
//! A key is charged from the moment of the decision, but nothing that relies on it is acknowledged before the store has it.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::clock::Timestamp;

/// The keys that one bucket holds open.
#[derive(Debug, Default)]
pub struct OpenKeys {
    #[expect(clippy::box_collection, reason = "most buckets count no keys, and there may be many buckets")]
    open: Option<Box<HashMap<String, Opened>>>,
}

#[derive(Debug, Clone, Copy)]
struct Opened {
    /// The network counts the key for the span after this moment at the least, once it was used.
    since: Timestamp,
    charged_until: Timestamp,
    /// Until when the store knows it as charged.
    stored_until: Timestamp,
    /// A use since then was seen.
    used: bool,
}

/// A key that was opened, or is relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCharge {
    /// The key.
    pub key: String,
    /// Until when it is charged.
    pub until: Timestamp,
    /// The store has to be told.
    pub is_new: bool,
}

impl OpenKeys {
    /// How many are open.
    pub fn len(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.len() as u64)
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of `keys` would have to be opened. Counts a key that occurs twice once.
    pub fn missing(&self, keys: &[String]) -> u64 {
        let mut missing: Vec<_> = keys.iter().filter(|key| self.find(key).is_none()).collect();
        missing.sort_unstable();
        missing.dedup();
        missing.len() as u64
    }

    /// Opens `keys` for use until `use_by`. Returns what each is charged for.
    pub fn open(&mut self, keys: &[String], now: Timestamp, use_by: Timestamp, span: Duration) -> Vec<KeyCharge> {
        keys.iter().map(|key| self.open_one(key, now, use_by, span)).collect()
    }

    fn open_one(&mut self, key: &str, now: Timestamp, use_by: Timestamp, span: Duration) -> KeyCharge {
        let fresh = Opened { since: now, charged_until: now, stored_until: Timestamp::EPOCH, used: false };
        let opened = self.open.get_or_insert_default().entry(key.to_owned()).or_insert(fresh);
        let before = opened.charged_until;
        if opened.used && use_by > opened.since + span {
            *opened = Opened { since: now, used: false, ..*opened };
        }
        if !opened.used {
            opened.charged_until = before.max(use_by + span);
        }
        KeyCharge { key: key.to_owned(), until: opened.charged_until, is_new: opened.charged_until > before }
    }

    /// The store has a key as charged until `until`.
    pub fn confirm(&mut self, key: &str, until: Timestamp) {
        let fresh = Opened { since: Timestamp::EPOCH, charged_until: until, stored_until: until, used: false };
        let opened = self.open.get_or_insert_default().entry(key.to_owned()).or_insert(fresh);
        opened.charged_until = opened.charged_until.max(until);
        opened.stored_until = opened.stored_until.max(until);
    }

    /// Whether the store has a key as charged until `until`.
    pub fn is_stored(&self, key: &str, until: Timestamp) -> bool {
        self.find(key).is_some_and(|opened| opened.stored_until >= until)
    }

    /// The store did not take what was asked last for a key: it is charged as the store has it.
    pub fn revert(&mut self, key: &str) {
        let Some(open) = &mut self.open else { return };
        if let Some(opened) = open.get_mut(key) {
            opened.charged_until = opened.stored_until;
        }
        open.retain(|_, opened| opened.charged_until > Timestamp::EPOCH);
    }

    /// A use of a key was seen that was made after `after`: it needs no further charge until its span is over.
    pub fn note_use(&mut self, key: &str, after: Timestamp) {
        if let Some(opened) = self.open.as_mut().and_then(|open| open.get_mut(key)) {
            opened.used |= after >= opened.since;
        }
    }

    /// Takes up a key that an earlier run opened.
    pub fn restore(&mut self, key: String, charged_until: Timestamp, span: Duration) {
        let since = charged_until - span.saturating_mul(2);
        let opened = Opened { since, charged_until, stored_until: charged_until, used: false };
        self.open.get_or_insert_default().insert(key, opened);
    }

    /// Drops the keys whose time is over.
    pub fn advance(&mut self, now: Timestamp) {
        if let Some(open) = &mut self.open {
            open.retain(|_, opened| opened.charged_until > now);
        }
    }

    /// When the next key's time is over.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.open.as_ref()?.values().map(|opened| opened.charged_until).min()
    }

    fn find(&self, key: &str) -> Option<&Opened> {
        self.open.as_ref()?.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(100);

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn charge(until: i64, is_new: bool) -> Vec<KeyCharge> {
        vec![KeyCharge { key: "a".to_owned(), until: at(until), is_new }]
    }

    #[test]
    fn a_key_that_was_used_costs_nothing_for_its_span() {
        let mut open = OpenKeys::default();
        assert_eq!(open.missing(&keys(&["a", "a", "b"])), 2);
        assert_eq!(open.open(&keys(&["a"]), at(0), at(10), SPAN), charge(110, true));
        assert_eq!(open.missing(&keys(&["a"])), 0);
        open.note_use("a", at(0));
        assert_eq!(open.open(&keys(&["a"]), at(50), at(60), SPAN), charge(110, false));
        assert_eq!(open.open(&keys(&["a"]), at(95), at(105), SPAN), charge(205, true), "use beyond the span");
        open.advance(at(110));
        assert_eq!(open.len(), 1, "the second use still counts");
    }

    #[test]
    fn a_key_that_was_perhaps_not_used_is_charged_for_the_next_use() {
        let mut open = OpenKeys::default();
        open.open(&keys(&["a"]), at(0), at(10), SPAN);
        open.note_use("a", at(-5));
        assert_eq!(open.open(&keys(&["a"]), at(90), at(95), SPAN), charge(195, true), "this may be its first");
    }

    #[test]
    fn what_the_store_did_not_take_is_undone() {
        let mut open = OpenKeys::default();
        open.open(&keys(&["a"]), at(0), at(10), SPAN);
        assert!(!open.is_stored("a", at(110)));
        open.revert("a");
        assert!(open.is_empty());
        open.open(&keys(&["a"]), at(0), at(10), SPAN);
        open.confirm("a", at(110));
        open.open(&keys(&["a"]), at(20), at(30), SPAN);
        assert!(open.is_stored("a", at(110)) && !open.is_stored("a", at(130)));
        open.revert("a");
        assert_eq!(open.next_end(), Some(at(110)));
    }
}
