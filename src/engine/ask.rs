//! What is asked of the engine, and what it answers.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{ClassId, CollectorId, KindId, LeaseId, NetworkId, TeamId, TokenId};
use crate::domain::audit::AuditEvent;
use crate::domain::lease::Priority;
use crate::domain::networks::{Owner, Purposes};
use crate::domain::pool::{AcquireRequest, CallReport, Effect, NoToken, ReportError, Rest, Verdict};
use crate::store::{IdempotencyRecord, StoreError};

/// What is asked of the engine.
#[derive(Debug, Clone)]
pub struct Acquire {
    /// What is asked of the pool.
    pub request: AcquireRequest,
    /// The network.
    pub network: NetworkId,
    /// How urgent it is.
    pub priority: Priority,
    /// How long it may wait.
    pub wait: Duration,
    /// The team's share among waiting teams.
    pub team_weight: u32,
    /// The collector's share among those of its collection.
    pub collector_weight: u32,
    /// How many leases the collector may hold; `None`: any number.
    pub max_leases: Option<u32>,
    /// The audit event to write with the lease; its subject is filled in by the engine.
    pub audit: AuditEvent,
    /// What makes a retry of the request safe; its response is filled in by the engine: the lease's 16 bytes.
    pub idempotency: Option<IdempotencyRecord>,
}

/// A request that waits, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingView {
    /// The team.
    pub team: TeamId,
    /// Who asks; `None`: an operator by hand.
    pub collector: Option<CollectorId>,
    /// The operation, by its place in the catalogue.
    pub operation: usize,
    /// Calls wanted.
    pub calls: u64,
    /// How urgent it is.
    pub priority: Priority,
    /// The collection.
    pub collection: Arc<str>,
    /// Since when it waits.
    pub asked_at: Timestamp,
    /// Until when it may wait.
    pub until: Timestamp,
}

impl Acquire {
    /// The same request for another lease.
    pub(super) fn renew(&mut self) {
        self.request.lease = LeaseId::generate();
        if let Some(record) = &mut self.idempotency {
            record.response = self.request.lease.as_bytes().to_vec();
        }
    }
}

/// A lease that the store has.
#[derive(Debug)]
pub struct Leased {
    /// The lease.
    pub lease: LeaseId,
    /// The token.
    pub token: TokenId,
    /// The token's kind.
    pub kind: KindId,
    /// The token's app.
    pub app: Arc<str>,
    /// The profile that the token speaks for.
    pub profile: Option<Arc<str>>,
    /// Calls granted.
    pub calls: u64,
    /// Until when they may be made.
    pub use_by: Timestamp,
    /// When the lease ends.
    pub expires_at: Timestamp,
    /// The access token, sealed, with the version that its sealing is bound to.
    pub sealed: (Vec<u8>, u32),
}

/// The limit that stood in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The credit class.
    pub class: ClassId,
    /// Whose limit it is.
    pub owner: Owner,
}

/// Why no lease was given.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AcquireError {
    /// Credit comes back, or may, at this time.
    #[error("the credit is used up until {until}; try again then")]
    LimitedUntil {
        /// When to try again.
        until: Timestamp,
        /// The limit.
        limit: Limit,
    },
    /// What may serve rests.
    #[error(
        "{why}: what may serve rests until {until} or longer, but for single calls that show whether it works again; try again then"
    )]
    Resting {
        /// When to try again.
        until: Timestamp,
        /// Why.
        why: Rest,
    },
    /// Others are first.
    #[error("all tokens that may serve are in use; try again shortly")]
    Busy {
        /// When to try again.
        until: Timestamp,
    },
    /// As many requests wait as may.
    #[error("too many requests wait for this network already; try again shortly")]
    QueueFull,
    /// The collector holds as many leases as it may.
    #[error("the collector holds {0} leases, as many as it may; release some")]
    TooManyLeases(u32),
    /// No bucket ever holds as much.
    #[error("no token of this network ever has credit for more than {most} calls at once; ask for at most that many")]
    TooManyCalls {
        /// The most that can be granted at once.
        most: u64,
    },
    /// No token may serve.
    #[error("no token may serve this request")]
    NoToken(NoToken),
    /// The network is not in the catalogue.
    #[error("the catalogue has no such network")]
    UnknownNetwork,
    /// The request was answered before.
    #[error("the request was answered before")]
    Repeated {
        /// The answer.
        response: Vec<u8>,
    },
    /// The request id was used for something else.
    #[error("the request id was used with other content; choose a new one")]
    OtherContent,
    /// Another process was faster, or the token died meanwhile: the request is decided anew, so callers never see this.
    #[error("the request has to be decided anew")]
    Raced,
    /// More leases wait for the store than may.
    #[error("the broker has more to write than it can take; try again shortly")]
    Overloaded,
    /// The store did not take it.
    #[error(transparent)]
    Store(StoreError),
}

/// What a holder reports, and what it wants.
#[derive(Debug, Clone)]
pub struct UsageReport {
    /// The report itself.
    pub report: CallReport,
    /// The purposes for which the holder may have more calls.
    pub may_want: Purposes,
    /// Calls more that are wanted, all or none; 0: none.
    pub want_calls: u64,
    /// Further different keys that the wanted calls will ask for.
    pub want_keys: Vec<String>,
}

/// Where the lease stands after a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportOutcome {
    /// Its token.
    pub token: TokenId,
    /// The highest report number settled.
    pub sequence: u64,
    /// How to go on.
    pub verdict: Verdict,
    /// Calls granted by this report.
    pub calls_granted: u64,
    /// Calls granted and not reported.
    pub calls_left: u64,
    /// Until when they may be made.
    pub use_by: Timestamp,
    /// When to ask again, where wanted calls were not granted.
    pub retry_at: Option<Timestamp>,
    /// What follows outside the books.
    pub effects: Vec<Effect>,
    /// The report was settled before; nothing was changed.
    pub repeated: bool,
}

/// Why a report was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReportFailure {
    /// It does not fit the lease.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The store did not take the change.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
