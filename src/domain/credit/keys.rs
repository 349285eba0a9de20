//! Different keys: limits on how many distinct ones (hashtags) may be asked for in a span.
//!
//! A key that is open costs nothing, as long as its use ends within the span in which it was opened.

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
    /// The network counts the key for the span after this moment at the least.
    since: Timestamp,
    charged_until: Timestamp,
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
        let open = |key: &String| self.open.as_ref().is_some_and(|open| open.contains_key(key));
        let mut missing: Vec<_> = keys.iter().filter(|key| !open(key)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing.len() as u64
    }

    /// Opens `keys` for use until `use_by`. Returns those whose charge changed, with its end.
    pub fn open(
        &mut self,
        keys: &[String],
        now: Timestamp,
        use_by: Timestamp,
        span: Duration,
    ) -> Vec<(String, Timestamp)> {
        let open = self.open.get_or_insert_default();
        let mut changed = Vec::new();
        for key in keys {
            let entry = open.get(key).copied();
            if entry.is_some_and(|entry| use_by <= entry.since + span) {
                continue;
            }
            let charged_until = use_by + span;
            open.insert(key.clone(), Opened { since: now, charged_until });
            changed.push((key.clone(), charged_until));
        }
        changed
    }

    /// Takes up a key that an earlier run opened.
    pub fn restore(&mut self, key: String, charged_until: Timestamp, span: Duration) {
        let since = charged_until - span.saturating_mul(2);
        self.open.get_or_insert_default().insert(key, Opened { since, charged_until });
    }

    /// Drops the keys whose time is over.
    pub fn advance(&mut self, now: Timestamp) {
        if let Some(open) = &mut self.open {
            open.retain(|_, entry| entry.charged_until > now);
        }
    }

    /// When the next key's time is over.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.open.as_ref()?.values().map(|entry| entry.charged_until).min()
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

    #[test]
    fn an_open_key_costs_nothing() {
        let mut open = OpenKeys::default();
        assert_eq!(open.missing(&keys(&["a", "a", "b"])), 2);
        assert_eq!(open.open(&keys(&["a", "b"]), at(0), at(10), SPAN).len(), 2);
        assert_eq!(open.missing(&keys(&["a"])), 0);
        assert!(open.open(&keys(&["a"]), at(50), at(60), SPAN).is_empty());
    }

    #[test]
    fn use_beyond_the_span_charges_anew() {
        let mut open = OpenKeys::default();
        open.open(&keys(&["a"]), at(0), at(10), SPAN);
        let changed = open.open(&keys(&["a"]), at(95), at(105), SPAN);
        assert_eq!(changed, vec![("a".to_owned(), at(205))]);
        open.advance(at(110));
        assert_eq!(open.len(), 1, "the second use still counts");
    }
}
