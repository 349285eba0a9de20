//! Requests that may be repeated: a change notes its request and its answer in its own transaction, and for [`KEPT`] a repetition gets
//! that answer and changes nothing, whatever was restarted in between.
//!
//! A request that was refused is not noted: the next try may succeed. One that found nothing to do is noted alone. Of two tries at the
//! same time the store undoes the later one, whose caller then gets the answer of the first. Leases note their requests themselves.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::domain::audit::AuditEvent;
use crate::service::{Broker, Caller, request_hash};
use crate::store::{IdempotencyRecord, StoreError, Trail};

/// How long a repetition is recognised.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);

/// A request that its caller can repeat.
#[derive(Debug, Clone)]
pub struct RepeatableRequest {
    /// Who asks and for what: ids are unique within it.
    scope: String,
    /// The id that the caller chose.
    id: String,
    /// A keyed hash of what is asked.
    content: [u8; 32],
}

/// Encodes what a change made, as it is answered to a repetition.
type Encode<V> = Arc<dyn Fn(&V) -> Vec<u8> + Send + Sync>;

/// One try at a change: who makes it, and, if it can be repeated, the request and how its answer is noted. `V` is what the change makes.
pub struct Attempt<V> {
    /// Who makes it.
    pub caller: Caller,
    noted: Option<(RepeatableRequest, Encode<V>)>,
}

impl<V> From<&Caller> for Attempt<V> {
    fn from(caller: &Caller) -> Self {
        Self { caller: caller.clone(), noted: None }
    }
}

/// Why a request is not done, and not answered with the first answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RepeatError {
    /// Its id was used for something else.
    #[error("this request id was used with other content in the last 24 hours; choose a new id for each request")]
    OtherContent,
    /// The store can't tell.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<V> Attempt<V> {
    /// A try at `request`; `encode` says what is answered to a repetition, never a secret.
    pub fn of(
        caller: Caller,
        request: RepeatableRequest,
        encode: impl Fn(&V) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self { caller, noted: Some((request, Arc::new(encode))) }
    }

    /// What the change leaves beside itself, once it has made `made`.
    pub(super) fn trail(&self, audit: AuditEvent, made: &V) -> Trail {
        Trail { request: self.note(made, audit.at), ..audit.into() }
    }

    fn note(&self, made: &V, now: Timestamp) -> Option<IdempotencyRecord> {
        self.noted.as_ref().map(|(request, encode)| IdempotencyRecord {
            scope: request.scope.clone(),
            request_id: request.id.clone(),
            content_hash: request.content,
            response: encode(made),
            expires_at: now + KEPT,
        })
    }
}

impl Broker {
    /// The request with `id` that `caller` makes of `call`, with all of its content.
    pub fn repeatable(&self, caller: &Caller, call: &str, id: &str, content: &[u8]) -> RepeatableRequest {
        RepeatableRequest {
            scope: format!("{}/{call}", caller.name()),
            id: id.to_owned(),
            content: request_hash(&self.vault, &[content]),
        }
    }

    /// What was answered to the request before; `None`: it is new, or was refused.
    pub async fn first_answer(&self, request: &RepeatableRequest) -> Result<Option<Vec<u8>>, RepeatError> {
        match self.noted(request).await? {
            None => Ok(None),
            Some(noted) if noted.content_hash == request.content => Ok(Some(noted.response)),
            Some(_) => Err(RepeatError::OtherContent),
        }
    }

    /// What was answered to the first request of this id, whatever it asked for; `None`: there was none, or it was refused.
    pub async fn answer_to_id(&self, request: &RepeatableRequest) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.noted(request).await?.map(|noted| noted.response))
    }

    async fn noted(&self, request: &RepeatableRequest) -> Result<Option<IdempotencyRecord>, StoreError> {
        self.store.find_request(&request.scope, &request.id, self.now()).await
    }

    /// Notes a request that found nothing to do, so that a repetition does nothing either.
    pub(super) async fn note_unchanged<V>(&self, attempt: &Attempt<V>, found: &V) -> Result<(), StoreError> {
        let now = self.now();
        match attempt.note(found, now) {
            Some(request) => self.store.note_request(request, now).await,
            None => Ok(()),
        }
    }
}
