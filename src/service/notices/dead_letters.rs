//! Messages that were given up: listed, sent again, deleted.

use crate::base::ids::OutboxId;
use crate::service::Broker;
use crate::service::requests::Attempt;
use crate::store::{OutboxRow, OutboxState, StoreError};

/// A message that an operator replayed or purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetter(pub OutboxId);

/// Why nothing was done about a message.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeadLetterError {
    /// There is no such message that was given up.
    #[error("there is no message '{0}' that was given up; see their list")]
    NotFound(OutboxId),
    /// The store did not do it.
    #[error(transparent)]
    Store(StoreError),
}

impl DeadLetterError {
    fn of(id: OutboxId, error: StoreError) -> Self {
        if matches!(error, StoreError::NotFound { .. }) { Self::NotFound(id) } else { Self::Store(error) }
    }
}

impl Broker {
    /// How many messages wait to be sent, and how many were given up.
    pub async fn count_messages(&self) -> Result<(u64, u64), StoreError> {
        let facts = self.store.outbox_facts().await?;
        Ok((facts.pending, facts.dead))
    }

    /// At most `limit` messages that were given up after `after`, the oldest first.
    pub async fn list_dead_letters(&self, after: Option<OutboxId>, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        self.store.list_outbox(OutboxState::Dead, after, limit).await
    }

    /// Makes a message due again that was given up.
    pub async fn replay_dead_letter(
        &self,
        attempt: impl Into<Attempt<DeadLetter>>,
        id: OutboxId,
    ) -> Result<DeadLetter, DeadLetterError> {
        let attempt = attempt.into();
        let audit = self.audit(&attempt.caller, "outbox.replay", format!("deadLetters/{id}"), String::new());
        let trail = attempt.trail(audit, &DeadLetter(id));
        self.store.replay(id, self.now(), trail).await.map_err(|error| DeadLetterError::of(id, error))?;
        self.notices.wake();
        Ok(DeadLetter(id))
    }

    /// Deletes a message that was given up.
    pub async fn purge_dead_letter(
        &self,
        attempt: impl Into<Attempt<DeadLetter>>,
        id: OutboxId,
    ) -> Result<DeadLetter, DeadLetterError> {
        let attempt = attempt.into();
        let audit = self.audit(&attempt.caller, "outbox.purge", format!("deadLetters/{id}"), String::new());
        let trail = attempt.trail(audit, &DeadLetter(id));
        self.store.purge(id, trail).await.map_err(|error| DeadLetterError::of(id, error))?;
        Ok(DeadLetter(id))
    }
}
