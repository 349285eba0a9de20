//! What happened to the simulated networks: for people who watch, and for tests and benches that judge the broker.

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::base::ids::{ClassId, NetworkId};
use crate::domain::networks::Owner;

/// Everything since the start.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// When it was made, in the simulation's time (microseconds since the epoch).
    pub at: Timestamp,
    /// One entry per network.
    pub networks: Vec<NetworkReport>,
}

/// One network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NetworkReport {
    /// The network.
    pub network: NetworkId,
    /// Calls that were let through.
    pub admitted: u64,
    /// Calls refused over a limit. A client that keeps exact books has none.
    pub throttled: u64,
    /// Calls refused for their token: unknown, dead, or without the scope or kind.
    pub token_refused: u64,
    /// Calls to paths that the catalogue does not know.
    pub unknown_operations: u64,
    /// Answers that a fault spoilt (dropped, 5xx, HTML), whether or not the call was counted.
    pub spoilt: u64,
    /// One entry per limit of the catalogue.
    pub limits: Vec<LimitReport>,
}

/// One limit of one network, over all its accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitReport {
    /// The class.
    pub class: ClassId,
    /// The place of the limit in its class.
    pub place: usize,
    /// Whose limit it is.
    pub owner: Owner,
    /// How many accounts were seen.
    pub accounts: u64,
    /// Calls let through that drew from this limit.
    pub admitted: u64,
    /// Calls that this limit refused.
    pub throttled: u64,
    /// Units that calls spent.
    pub used: u64,
    /// Units that somebody else spent.
    pub used_elsewhere: u64,
    /// The most that the accounts seen could have spent; windows that are not over count in full.
    pub capacity: u64,
}

/// One window of one account: over, or the present one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowReport {
    /// The class.
    pub class: ClassId,
    /// The place of the limit in its class.
    pub place: usize,
    /// Whose account it is.
    pub owner: Owner,
    /// The account, as [`Usage::account`](super::Usage::account) names it.
    pub account: String,
    /// When it began; where the rule has no windows one after another, since when the account is known.
    pub begins: Timestamp,
    /// When it ends; `None` where the rule has no windows one after another.
    pub ends: Option<Timestamp>,
    /// What the limit allows.
    pub allowed: u64,
    /// What was charged in it; where the rule has no windows one after another, what counts now.
    pub used: u64,
}

impl LimitReport {
    /// The part of the capacity that calls used, from 0 to 1; 0 where there was no capacity.
    pub fn utilisation(&self) -> f64 {
        let open = self.capacity.saturating_sub(self.used_elsewhere);
        if open == 0 { 0.0 } else { self.used as f64 / open as f64 }
    }
}

impl Report {
    /// Calls refused over a limit, over all networks.
    pub fn throttled(&self) -> u64 {
        self.networks.iter().map(|network| network.throttled).sum()
    }
}
