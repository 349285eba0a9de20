//! Leases: the right of one collector to use one token, with granted credit, until a time.

use crate::base::clock::Timestamp;
use crate::base::ids::{CollectorId, LeaseId, NetworkId, OperationId, TeamId, TokenId};
use crate::domain::networks::Purpose;

/// What the store keeps of a lease from the moment before it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// The team that owns the token.
    pub team: TeamId,
    /// Who holds it; `None`: an operator by hand.
    pub collector: Option<CollectorId>,
    /// The network.
    pub network: NetworkId,
    /// The token.
    pub token: TokenId,
    /// What may be called.
    pub operation: OperationId,
    /// For what purpose.
    pub purpose: Purpose,
    /// The collection that the demand is charged to; may be empty.
    pub collection: String,
    /// The profile that was asked for; may be empty.
    pub profile: String,
    /// The calls that were granted at its opening. Later top-ups are not kept.
    pub calls: u64,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Until when its first credit may be used.
    pub use_by: Timestamp,
    /// When it ends unless extended.
    pub expires_at: Timestamp,
    /// Whether it is still held.
    pub state: LeaseState,
}

/// Whether a lease is still held, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseState {
    /// Held.
    Open,
    /// Given back by its holder.
    Released,
    /// Not given back in time; what it did not report counts as spent.
    Expired,
    /// Taken back by the broker.
    Recalled,
}

impl LeaseState {
    /// The name used in SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            LeaseState::Open => "open",
            LeaseState::Released => "released",
            LeaseState::Expired => "expired",
            LeaseState::Recalled => "recalled",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<LeaseState> {
        [LeaseState::Open, LeaseState::Released, LeaseState::Expired, LeaseState::Recalled]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// How urgent a request is. A higher priority gets a greater share while requests wait; none starves another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A quarter of the share of a normal request.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Four times the share of a normal request.
    High,
}

impl Priority {
    /// Its weight among waiting requests of one team.
    pub const fn weight(self) -> u32 {
        match self {
            Priority::Low => 1,
            Priority::Normal => 4,
            Priority::High => 16,
        }
    }
}
