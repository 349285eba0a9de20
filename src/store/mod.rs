//! What the broker must not forget: traits per noun, the SQL of each noun, and the databases that run it.
//!
//! * A change is acknowledged only when it is durable; an answer that can't be made durable is an error.
//! * A change, its audit events, the note of its request, the events that people hear of and its messages are one transaction: all of it or nothing.
//! * A write that was handed over is finished, even if its caller goes away.
//! * Each statement has one text for SQLite and PostgreSQL. The nouns' files hold trait, SQL and rows; `sqlite` holds only what
//!   is particular to SQLite. `contract` is the test suite that every database must pass.
//!
//! Secrets come here sealed and leave sealed. Which change is right is decided above; here it is only refused where two
//! processes could decide differently: credit above a cap, a lease of a token that has ended, a second answer to one request.

pub mod alert;
pub mod app;
pub mod at_risk;
pub mod audit;
pub mod callback;
pub mod clock;
pub mod connection;
pub mod consent;
pub mod credit;
mod database;
pub mod dead_span;
pub mod departure;
pub mod destination;
pub mod doctor;
mod error;
pub mod event;
pub mod idempotency;
pub mod incident;
pub mod job;
pub mod lease;
pub mod load_sample;
pub mod look;
pub mod member;
pub mod meta;
pub mod notice;
pub mod outbox;
pub mod probe;
pub mod profile;
pub mod push;
pub mod renewal;
pub mod revocation;
pub mod sealing;
pub mod session;
pub mod spool;
mod sql;
pub mod sqlite;
pub mod team;
pub mod token;
pub mod usage;

#[cfg(test)]
mod contract;

pub use alert::{AlertFilter, AlertRow, AlertStore};
pub use app::{AppStore, DeleteAppError, StoredApp, TopUpBudget};
pub use at_risk::{AtRisk, AtRiskStore, RiskPlace, Whose};
pub use audit::{AuditAnchor, AuditFault, AuditFilter, AuditKey, AuditProof, AuditRow, AuditStore, ParseAnchorError};
pub use callback::{CallbackRow, CallbackStore};
pub use clock::{ClockStep, ClockStore};
pub use connection::{ConnectedToken, ConnectionFilter, ConnectionStep, ConnectionStore, KeepError, StoredConnection};
pub use consent::ConsentStore;
pub use credit::{CreditStore, StoredBlock, TakeBlocks, TakeBlocksError};
pub use dead_span::{DeadSpanFilter, DeadSpanStore, StoredDeadSpan};
pub use departure::DepartureStore;
pub use destination::{DestinationStore, StoredDestination};
pub use doctor::{DoctorStore, Finding, Severity};
pub use error::{Cause, StoreError};
pub use event::{EventStore, Looked};
pub use idempotency::{DuplicateRequest, IdempotencyRecord, IdempotencyStore, Trail};
pub use incident::{IncidentFilter, IncidentStore, SettledToken};
pub use job::{JobChangeError, JobStore, TokenResult};
pub use lease::{CloseLease, LeaseFilter, LeaseRow, LeaseStore, OpenLease, OpenLeaseError};
pub use load_sample::{LoadSample, LoadSampleStore};
pub use look::{Look, LookStore, PutLook};
pub use member::{Invitation, InvitationChange, MemberChange, MemberChangeError, MemberFilter, MemberStore};
pub use meta::{MetaName, MetaStore};
pub use notice::{NoticeStore, ReadMarks};
pub use outbox::{ClaimLanes, Hearing, OutboxFacts, OutboxRow, OutboxState, OutboxStore, SendResult, Telling};
pub use probe::ProbeStore;
pub use profile::{HeldProfile, ProfileStore};
pub use push::{PushStore, StoredPush};
pub use renewal::{BeginRenewal, PutRenewal, RenewalStore, StoredRenewal};
pub use revocation::{GrantPart, Postponed, RevocationStore, StoredRevocation};
pub use sealing::{Foundation, OwnKeyRow, Resealed, RotateKeys, SealedCount, SealedToken, SealingStore};
pub use session::SessionStore;
pub use spool::{Spool, SpooledReply};
pub use sqlite::{CommitStats, SqliteOptions, SqliteStore};
pub use team::{TeamStore, WrappedKey};
pub use token::{
    DuplicateToken, EndsWhen, ImportCounts, ImportProgress, InsertedTokens, NewToken, SealedSecrets, StoredToken,
    TokenChange, TokenChangeError, TokenChunk, TokenFilter, TokenStore,
};
pub use usage::{CollectorDay, UsageKey, UsageRow, UsageStore};

/// Everything that is kept, of every noun. `Arc<dyn Store>` is what the layers above hold.
pub trait Store:
    TeamStore
    + MemberStore
    + SessionStore
    + DepartureStore
    + ProfileStore
    + ConsentStore
    + AppStore
    + TokenStore
    + AtRiskStore
    + RenewalStore
    + RevocationStore
    + ProbeStore
    + CallbackStore
    + LeaseStore
    + CreditStore
    + ClockStore
    + ConnectionStore
    + AuditStore
    + AlertStore
    + EventStore
    + JobStore
    + LoadSampleStore
    + LookStore
    + NoticeStore
    + DestinationStore
    + PushStore
    + OutboxStore
    + IdempotencyStore
    + IncidentStore
    + UsageStore
    + MetaStore
    + SealingStore
    + DoctorStore
    + DeadSpanStore
    + 'static
{
}

impl<D: database::Database> Store for D {}
