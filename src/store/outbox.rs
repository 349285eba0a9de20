//! Messages to the outside: written with what they tell of, sent later, at least once.
//!
//! A claim moves a message's due time to the end of the claim and counts the attempt. A sender that dies gives its messages back
//! by doing nothing. What a sender says of a message counts only while the attempt is its own.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::OutboxId;
use crate::domain::audit::AuditEvent;
use crate::store::StoreError;
use crate::store::audit::insert_audit;
use crate::store::database::Database;
use crate::store::sql::{ManyRows, Row, Tx, Value, values};

/// A message to the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its id.
    pub id: OutboxId,
    /// Where to, by the name of a configured destination.
    pub destination: String,
    /// Its kind (`alert.opened`).
    pub kind: String,
    /// What is sent.
    pub payload: Vec<u8>,
    /// Names the message; a second one with this key is not written.
    pub dedup_key: String,
    /// Not before this time.
    pub due_at: Timestamp,
    /// How often sending was tried.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// What became of it.
    pub state: OutboxState,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutboxState {
    /// To be sent.
    Pending,
    /// Sent.
    Sent,
    /// Given up; a person may replay it.
    Dead,
}

impl OutboxState {
    /// The name used in SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            OutboxState::Pending => "pending",
            OutboxState::Sent => "sent",
            OutboxState::Dead => "dead",
        }
    }

    fn from_name(name: &str) -> Option<OutboxState> {
        [OutboxState::Pending, OutboxState::Sent, OutboxState::Dead].into_iter().find(|state| state.as_str() == name)
    }
}

/// What a sender says of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendResult {
    /// It arrived.
    Sent,
    /// It did not; try again at `due_at`.
    Retry {
        /// When.
        due_at: Timestamp,
        /// Why, for people; never a secret.
        error: String,
    },
    /// It never will.
    Dead {
        /// Why, for people; never a secret.
        error: String,
    },
}

/// What is kept of messages to the outside.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Writes messages that belong to no other change. Returns how many are new.
    async fn enqueue(&self, messages: Vec<OutboxRow>) -> Result<u64, StoreError>;
    /// Claims at most `limit` messages to `destination` that are due at `now`, until `claimed_until`, the longest due first.
    async fn claim_due(
        &self,
        destination: &str,
        now: Timestamp,
        claimed_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError>;
    /// Writes the result of the attempt with that number. Returns whether the attempt was still the latest.
    async fn mark(&self, message: OutboxId, attempt: u32, result: SendResult) -> Result<bool, StoreError>;
    /// At most `limit` messages in that state after `after`, by id.
    async fn list_outbox(
        &self,
        state: OutboxState,
        after: Option<OutboxId>,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError>;
    /// Makes a dead message due at `due_at`, with its attempts counted anew.
    async fn replay(&self, message: OutboxId, due_at: Timestamp, audit: AuditEvent) -> Result<(), StoreError>;
    /// Deletes at most `limit` sent messages that were due before `before`; how many.
    async fn prune_outbox(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

static INSERT_MESSAGES: ManyRows = ManyRows::insert(
    "outbox (id, destination, kind, payload, dedup_key, due_at_us, attempts, last_error, state)",
    9,
    "ON CONFLICT (dedup_key) DO NOTHING",
);

/// The outer condition is checked again after waiting for another claim, so PostgreSQL claims no message twice.
const CLAIM_DUE: &str = "UPDATE outbox SET due_at_us = $2, attempts = attempts + 1
    WHERE state = 'pending' AND due_at_us <= $1 AND id IN (
        SELECT id FROM outbox WHERE state = 'pending' AND due_at_us <= $1 AND destination = $4 ORDER BY due_at_us, id LIMIT $3)
    RETURNING id, destination, kind, payload, dedup_key, due_at_us, attempts, last_error, state";
const MARK: &str = "UPDATE outbox SET state = $3, due_at_us = COALESCE($4, due_at_us), last_error = $5
    WHERE id = $1 AND attempts = $2 AND state = 'pending'";
const LIST_OUTBOX: &str = "SELECT id, destination, kind, payload, dedup_key, due_at_us, attempts, last_error, state
    FROM outbox WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3";
const REPLAY: &str =
    "UPDATE outbox SET state = 'pending', due_at_us = $2, attempts = 0 WHERE id = $1 AND state = 'dead'";
const PRUNE_OUTBOX: &str = "DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE state = 'sent' AND due_at_us < $1 LIMIT $2)";

#[async_trait]
impl<D: Database> OutboxStore for D {
    async fn enqueue(&self, messages: Vec<OutboxRow>) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { insert_messages(tx, &messages).await })).await
    }

    async fn claim_due(
        &self,
        destination: &str,
        now: Timestamp,
        claimed_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let destination = destination.to_owned();
        self.write(move |tx| {
            Box::pin(async move {
                let rows = tx.rows(CLAIM_DUE, values![now, claimed_until, limit, destination]).await?;
                let mut messages: Vec<OutboxRow> = rows.into_iter().map(message).collect::<Result<_, _>>()?;
                messages.sort_by_key(|message| message.id);
                Ok(messages)
            })
        })
        .await
    }

    async fn mark(&self, message: OutboxId, attempt: u32, result: SendResult) -> Result<bool, StoreError> {
        let (state, due_at, error) = match result {
            SendResult::Sent => (OutboxState::Sent, None, None),
            SendResult::Retry { due_at, error } => (OutboxState::Pending, Some(due_at), Some(error)),
            SendResult::Dead { error } => (OutboxState::Dead, None, Some(error)),
        };
        let values = values![message, attempt, state.as_str(), due_at, error];
        self.write(move |tx| Box::pin(async move { Ok(tx.execute(MARK, values).await? > 0) })).await
    }

    async fn list_outbox(
        &self,
        state: OutboxState,
        after: Option<OutboxId>,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let after = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        let values = values![state.as_str(), after, limit];
        self.read(move |tx| {
            Box::pin(async move { tx.rows(LIST_OUTBOX, values).await?.into_iter().map(message).collect() })
        })
        .await
    }

    async fn replay(&self, message: OutboxId, due_at: Timestamp, audit: AuditEvent) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(REPLAY, values![message, due_at]).await? == 0 {
                    return Err(StoreError::not_found(format!("dead message {message}")));
                }
                insert_audit(tx, [&audit]).await
            })
        })
        .await
    }

    async fn prune_outbox(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE_OUTBOX, values![before, limit]).await })).await
    }
}

/// Writes messages in the caller's transaction; how many are new.
pub(crate) async fn insert_messages(tx: &mut dyn Tx, messages: &[OutboxRow]) -> Result<u64, StoreError> {
    INSERT_MESSAGES.execute(tx, messages.iter().map(parameters).collect()).await
}

fn parameters(message: &OutboxRow) -> Vec<Value> {
    values![
        message.id,
        &*message.destination,
        &*message.kind,
        &message.payload[..],
        &*message.dedup_key,
        message.due_at,
        message.attempts,
        message.last_error.clone(),
        message.state.as_str(),
    ]
}

fn message(mut row: Row) -> Result<OutboxRow, StoreError> {
    Ok(OutboxRow {
        id: row.id(OutboxId::from_slice)?,
        destination: row.text()?,
        kind: row.text()?,
        payload: row.blob()?,
        dedup_key: row.text()?,
        due_at: row.time()?,
        attempts: row.count()?,
        last_error: row.maybe_text()?,
        state: OutboxState::from_name(&row.text()?)
            .ok_or_else(|| StoreError::corrupt("an unknown state of a message"))?,
    })
}
