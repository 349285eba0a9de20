//! Audit events: who did what to which thing. Written in the transaction of the change.

use crate::base::clock::Timestamp;
use crate::base::ids::{AuditId, CollectorId, KeyId, MemberId, TeamId};

/// What is written where the broker finds out a token's state by using it. What a person, an operator, a network's callback or the vault
/// decides has an action of its own.
pub const STATE_FOUND: &str = "token.state";

/// One row of the audit. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its id.
    pub id: AuditId,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What was done: a verb and a noun (`lease.open`, `token.revoke`).
    pub action: &'static str,
    /// The team it belongs to; `None`: the whole broker.
    pub team: Option<TeamId>,
    /// The resource it was done to, by its name (`teams/acme/tokens/tok_…`).
    pub subject: String,
    /// More, as `key=value` pairs for people; never a secret.
    pub detail: String,
}

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A collector.
    Collector(CollectorId),
    /// An operator, by key.
    Operator(KeyId),
    /// A member of a team.
    Member(MemberId),
    /// The broker itself.
    Broker,
}
