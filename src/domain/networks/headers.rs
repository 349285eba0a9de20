//! Usage headers: what a network says of its limits beside an answer.

use crate::base::clock::Timestamp;
use crate::base::ids::ClassId;
use crate::domain::networks::Owner;

/// One statement of a network about one of its accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Whose account it speaks of.
    pub owner: Owner,
    /// Which window it speaks of; `None`: whichever there is.
    pub window: Option<std::time::Duration>,
    /// The class it speaks of; `None`: the classes that the call drew from.
    pub class: Option<ClassId>,
    /// The id of the profile it speaks of, where the header names one.
    pub object: Option<String>,
    /// What it says.
    pub usage: Usage,
    /// When the account comes back.
    pub resets_at: Option<Timestamp>,
}

/// What a usage header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Counts; each may be absent.
    Count {
        /// The limit.
        limit: Option<u64>,
        /// What is left of it.
        remaining: Option<u64>,
        /// What is used of it.
        used: Option<u64>,
    },
    /// Percent used, as sent; may exceed 100.
    Percent(u8),
    /// Nothing is left until `resets_at`.
    Blocked,
}
