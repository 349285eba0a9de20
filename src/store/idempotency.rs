//! Requests that may be repeated: the first one is noted in the transaction of its change, a repetition finds the note.

use std::collections::HashSet;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::domain::audit::AuditEvent;
use crate::domain::notice::Event;
use crate::store::StoreError;
use crate::store::audit::insert_audit;
use crate::store::database::Database;
use crate::store::event::insert_events;
use crate::store::sql::{ManyRows, Row, Tx, first, values};

/// A request that was made, and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Who asked and for what: ids are unique within it (`key_…/TeamService/CreateTeam`).
    pub scope: String,
    /// The id that the caller chose.
    pub request_id: String,
    /// A hash of what was asked, to tell a repetition from another request with the same id.
    pub content_hash: [u8; 32],
    /// What to answer to a repetition. Never a secret.
    pub response: Vec<u8>,
    /// Until when a repetition is recognised.
    pub expires_at: Timestamp,
}

/// What a change leaves beside itself, in its own transaction.
#[derive(Debug, Clone)]
pub struct Trail {
    /// Its audit event.
    pub audit: AuditEvent,
    /// The note of its request. Where one of the same id is there already, the change is a repetition: all of it is undone, with
    /// [`StoreError::Conflict`].
    pub request: Option<IdempotencyRecord>,
    /// What people may want to hear of it.
    pub events: Vec<Event>,
}

impl From<AuditEvent> for Trail {
    fn from(audit: AuditEvent) -> Self {
        Self { audit, request: None, events: Vec::new() }
    }
}

impl Trail {
    /// With something that people may want to hear.
    pub fn telling(mut self, events: impl IntoIterator<Item = Event>) -> Self {
        self.events.extend(events);
        self
    }
}

/// The request's id was used before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DuplicateRequest {
    /// The same request: its first answer holds.
    #[error("this request was made before; its first answer holds")]
    Repeated {
        /// The first answer.
        response: Vec<u8>,
    },
    /// Another request used the id.
    #[error("another request was made with this id; choose a new id for each request")]
    OtherContent,
}

/// Notes of requests.
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// The note of a request that is still recognised at `now`.
    async fn find_request(
        &self,
        scope: &str,
        request_id: &str,
        now: Timestamp,
    ) -> Result<Option<IdempotencyRecord>, StoreError>;
    /// Notes a request that changed nothing; [`StoreError::Conflict`] if it is noted already.
    async fn note_request(&self, request: IdempotencyRecord, now: Timestamp) -> Result<(), StoreError>;
    /// Writes what an act outside of the store leaves here.
    async fn leave_trail(&self, trail: Trail) -> Result<(), StoreError>;
    /// Deletes at most `limit` notes that are no longer recognised; how many.
    async fn prune_requests(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// A note whose time is over makes room.
static INSERT_REQUESTS: ManyRows = ManyRows::insert(
    "request (scope, request_id, content_hash, response, expires_at_us, made_at_us)",
    6,
    "ON CONFLICT (scope, request_id) DO UPDATE SET content_hash = excluded.content_hash, response = excluded.response,
        expires_at_us = excluded.expires_at_us, made_at_us = excluded.made_at_us
     WHERE request.expires_at_us <= excluded.made_at_us",
);
const FIND_REQUEST: &str = "SELECT scope, request_id, content_hash, response, expires_at_us FROM request
    WHERE scope = $1 AND request_id = $2 AND expires_at_us > $3";
const PRUNE_REQUESTS: &str = "DELETE FROM request WHERE (scope, request_id) IN (
    SELECT scope, request_id FROM request WHERE expires_at_us <= $1 LIMIT $2)";

#[async_trait]
impl<D: Database> IdempotencyStore for D {
    async fn find_request(
        &self,
        scope: &str,
        request_id: &str,
        now: Timestamp,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let values = values![scope, request_id, now];
        self.read(move |tx| Box::pin(async move { first(tx, FIND_REQUEST, values).await?.map(record).transpose() }))
            .await
    }

    async fn note_request(&self, request: IdempotencyRecord, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { note_requests(tx, [&request], now).await })).await
    }

    async fn leave_trail(&self, trail: Trail) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { insert_trail(tx, &trail).await })).await
    }

    async fn prune_requests(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE_REQUESTS, values![now, limit]).await })).await
    }
}

/// Why a request was not noted.
pub(crate) enum RequestError {
    Duplicate(DuplicateRequest),
    Store(StoreError),
}

impl From<StoreError> for RequestError {
    fn from(error: StoreError) -> Self {
        RequestError::Store(error)
    }
}

/// Notes a request in the caller's transaction. A note that is no longer recognised at `now` is replaced.
pub(crate) async fn insert_request(
    tx: &mut dyn Tx,
    request: &IdempotencyRecord,
    now: Timestamp,
) -> Result<(), RequestError> {
    if insert_requests(tx, &[(request, now)]).await? {
        return Ok(());
    }
    let IdempotencyRecord { scope, request_id, content_hash, .. } = request;
    let noted = first(tx, FIND_REQUEST, values![&**scope, &**request_id, now]).await?.map(record).transpose()?;
    Err(RequestError::Duplicate(match noted {
        Some(noted) if noted.content_hash == *content_hash => DuplicateRequest::Repeated { response: noted.response },
        _ => DuplicateRequest::OtherContent,
    }))
}

/// Writes what a change leaves beside itself, in the caller's transaction.
pub(crate) async fn insert_trail(tx: &mut dyn Tx, trail: &Trail) -> Result<(), StoreError> {
    note_requests(tx, &trail.request, trail.audit.at).await?;
    insert_events(tx, &trail.events).await?;
    insert_audit(tx, [&trail.audit]).await
}

/// Notes requests in the caller's transaction, or refuses with [`StoreError::Conflict`] if one is noted already.
pub(crate) async fn note_requests(
    tx: &mut dyn Tx,
    requests: impl IntoIterator<Item = &IdempotencyRecord> + Send,
    now: Timestamp,
) -> Result<(), StoreError> {
    let requests: Vec<_> = requests.into_iter().map(|request| (request, now)).collect();
    match requests.is_empty() || insert_requests(tx, &requests).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict { what: "a request of this id".to_owned() }),
    }
}

/// Notes requests, each with its present. Returns whether all are new; if not, the caller must undo those that are.
pub(crate) async fn insert_requests(
    tx: &mut dyn Tx,
    requests: &[(&IdempotencyRecord, Timestamp)],
) -> Result<bool, StoreError> {
    let mut seen = HashSet::new();
    // PostgreSQL refuses a statement that writes one row twice.
    if !requests.iter().all(|(request, _)| seen.insert((&request.scope, &request.request_id))) {
        return Ok(false);
    }
    let row = |(request, now): &(&IdempotencyRecord, Timestamp)| {
        let IdempotencyRecord { scope, request_id, content_hash, response, expires_at } = request;
        values![&**scope, &**request_id, &content_hash[..], &response[..], *expires_at, *now]
    };
    let inserted = INSERT_REQUESTS.execute(tx, requests.iter().map(row).collect()).await?;
    Ok(inserted == requests.len() as u64)
}

fn record(mut row: Row) -> Result<IdempotencyRecord, StoreError> {
    Ok(IdempotencyRecord {
        scope: row.text()?,
        request_id: row.text()?,
        content_hash: row.blob()?.try_into().map_err(|_| StoreError::corrupt("a hash that is not 32 bytes"))?,
        response: row.blob()?,
        expires_at: row.time()?,
    })
}
