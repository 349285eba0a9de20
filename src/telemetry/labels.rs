//! A registry that bounds how many values a label may have.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use metrics::SharedString;

/// The label of everything beyond the cap. No id begins with `_`, so that it is never a team's own.
pub const OVERFLOW: &str = "_other";

/// The values of one label: the first `cap` that come get in, for the life of the process.
pub(super) struct Bounded {
    cap: usize,
    admitted: RwLock<HashMap<Arc<str>, SharedString>>,
}

impl Bounded {
    pub(super) fn with_cap(cap: usize) -> Self {
        Self { cap, admitted: RwLock::default() }
    }

    /// The label for `value`: itself, or [`OVERFLOW`].
    pub(super) fn admit(&self, value: &str) -> SharedString {
        if let Some(label) = self.admitted.read().unwrap_or_else(PoisonError::into_inner).get(value) {
            return label.clone();
        }
        let mut admitted = self.admitted.write().unwrap_or_else(PoisonError::into_inner);
        if admitted.len() >= self.cap && !admitted.contains_key(value) {
            return SharedString::const_str(OVERFLOW);
        }
        let text: Arc<str> = value.into();
        admitted.entry(text.clone()).or_insert_with(|| SharedString::from_shared(text)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_come_keep_their_labels() {
        let teams = Bounded::with_cap(2);
        let labels: Vec<SharedString> = ["a", "b", "c", "a", "d"].map(|team| teams.admit(team)).to_vec();
        let labels: Vec<&str> = labels.iter().map(AsRef::as_ref).collect();
        assert_eq!(labels, ["a", "b", OVERFLOW, "a", OVERFLOW]);
    }
}
