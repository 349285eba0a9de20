//! What differs from network to network.

use std::collections::BTreeMap;

use super::credit::{Choice, MOST_RESERVE};
use super::reader::{Reader, Section, default_of};
use super::units::Share;
use crate::base::ids::ClassId;

/// What is set for one network. Whether the network and its classes exist is checked against the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Which token is taken; `None`: as `credit.choice`.
    pub choice: Option<Choice>,
    /// The owner's reserve; `None`: as `credit.owner_reserve`. 0 % to 90 %.
    pub owner_reserve: Option<Share>,
    /// Leases that may share one token; `None`: as `credit.token_concurrency`. 1 to 10,000.
    pub token_concurrency: Option<usize>,
    /// What is assumed of a limit that is not known yet, in units of the class.
    pub safe_start: BTreeMap<ClassId, u64>,
}

impl Section for NetworkSettings {
    fn read(from: &mut Reader<'_>) -> Self {
        let words = Choice::WORDS.map(|(name, choice)| (name, Some(choice)));
        Self {
            choice: from.word("choice", None, &words),
            owner_reserve: from.optional_share("owner_reserve", Share::NONE..=MOST_RESERVE),
            token_concurrency: from.optional_count("token_concurrency", 1..=10_000),
            safe_start: from.amounts_by_id("safe_start"),
        }
    }
}

impl Default for NetworkSettings {
    fn default() -> Self {
        default_of()
    }
}
