//! What is asked of the pool, and the lease that it decides on.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{CollectorId, KindId, LeaseId, TeamId, TokenId};
use crate::domain::credit::{BlockTake, OpenedKey};
use crate::domain::networks::Purpose;

/// What a collector asks for.
#[derive(Debug, Clone)]
pub struct AcquireRequest {
    /// The id that the lease will have.
    pub lease: LeaseId,
    /// The team.
    pub team: TeamId,
    /// Who asks; `None`: an operator by hand.
    pub collector: Option<CollectorId>,
    /// The operation, by its place in the catalogue.
    pub operation: usize,
    /// Calls wanted; at least 1.
    pub calls: u64,
    /// Fewer calls are welcome down to this many; at least 1, at most `calls`.
    pub min_calls: u64,
    /// What for.
    pub purpose: Purpose,
    /// This token and no other, for the broker's own check of it; also one that is paused.
    pub token: Option<TokenId>,
    /// Only tokens that speak for this profile.
    pub profile: Option<String>,
    /// Only tokens of this kind.
    pub kind: Option<KindId>,
    /// The different keys that will be asked for (hashtags), where the operation counts them.
    pub keys: Vec<String>,
    /// The collection that the demand is charged to.
    pub collection: Arc<str>,
    /// How long the lease lasts.
    pub ttl: Duration,
}

/// A lease that was decided; it may be acknowledged once the store has it.
#[derive(Debug)]
pub struct Acquired {
    /// The lease.
    pub lease: LeaseId,
    /// The token.
    pub token: TokenId,
    /// The token's kind, by its place in the catalogue.
    pub kind: usize,
    /// The profile that the token speaks for, where it speaks for one.
    pub profile: Option<Arc<str>>,
    /// The token's app.
    pub app: Arc<str>,
    /// Calls granted.
    pub calls: u64,
    /// Until when they may be made.
    pub use_by: Timestamp,
    /// When the lease ends.
    pub expires_at: Timestamp,
    /// Blocks that the store must take first.
    pub takes: Vec<BlockTake>,
    /// Keys that were opened.
    pub keys: Vec<OpenedKey>,
}
