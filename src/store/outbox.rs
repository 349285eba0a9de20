//! Messages to the outside: which events are told to whom, sent later, at least once.
//!
//! Events are told in one transaction: they are marked, and each destination gets its messages by the rules of
//! [`crate::domain::notice::gather`]. Each destination has a lane. A claim keeps a lane for one sender until its end and counts the
//! attempt of its oldest due message, so a sender that dies gives both back by doing nothing. What a sender says of a message counts only while the
//! attempt is its own. A message that is to be tried again holds up its lane, and no other.

use std::time::Duration;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{EventId, OutboxId};
use crate::domain::notice::{Budget, Event, Weight};
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::sql::{Row, Value, first, values};
use crate::store::{StoreError, Trail};

mod tell;

/// Events come into messages that were made at most so long before them: a message waits for a quiet night, or for a receiver that fails.
const GATHERED_WITHIN: Duration = Duration::from_secs(4 * 24 * 3600);

/// A message to the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its id, by which a receiver knows a repetition.
    pub id: OutboxId,
    /// Where to.
    pub destination: String,
    /// The events that it tells of, the oldest first.
    pub events: Vec<EventId>,
    /// How many more there are that it does not name.
    pub more: u32,
    /// When it was made.
    pub made_at: Timestamp,
    /// Not before this time.
    pub due_at: Timestamp,
    /// When it was tried first.
    pub first_tried_at: Option<Timestamp>,
    /// How often sending was tried.
    pub attempts: u32,
    /// Why the last attempt failed, or why it was dropped.
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
    /// Not sent, since nothing of it held any more.
    Dropped,
    /// Given up; a person may replay it.
    Dead,
}

impl OutboxState {
    /// All states.
    pub const ALL: [OutboxState; 4] =
        [OutboxState::Pending, OutboxState::Sent, OutboxState::Dropped, OutboxState::Dead];

    /// The name used in SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            OutboxState::Pending => "pending",
            OutboxState::Sent => "sent",
            OutboxState::Dropped => "dropped",
            OutboxState::Dead => "dead",
        }
    }

    fn from_name(name: &str) -> Option<OutboxState> {
        OutboxState::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// Events that are told now.
#[derive(Debug, Clone)]
pub struct Telling {
    /// Now.
    pub now: Timestamp,
    /// The events, also those that nobody hears of.
    pub events: Vec<EventId>,
    /// Who hears of them.
    pub hearings: Vec<Hearing>,
}

/// One destination hears of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hearing {
    /// The destination.
    pub destination: String,
    /// The event.
    pub event: EventId,
    /// Not before this time.
    pub from: Timestamp,
    /// Whether it is told then since the destination wants quiet until then.
    pub in_quiet: bool,
    /// How it is told beside others.
    pub weight: Weight,
    /// How many messages the destination may get.
    pub budget: Budget,
}

/// What a sender says of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendResult {
    /// It arrived.
    Sent,
    /// It was not sent, since nothing of it holds any more.
    Dropped {
        /// Why, for people.
        why: String,
    },
    /// It did not arrive; try again at `due_at`.
    Retry {
        /// When.
        due_at: Timestamp,
        /// Why, for people; never a secret.
        error: String,
    },
    /// It was not tried, since the receiver wants quiet until `due_at`. No attempt counts, and more may be told in it.
    Later {
        /// When.
        due_at: Timestamp,
    },
    /// It never will.
    Dead {
        /// Why, for people; never a secret.
        error: String,
    },
}

/// Lanes to claim.
#[derive(Debug, Clone, Copy)]
pub struct ClaimLanes {
    /// Now.
    pub now: Timestamp,
    /// Until when they are the caller's.
    pub until: Timestamp,
    /// Those whose last attempt failed, or those whose did not.
    pub failing: bool,
    /// How many.
    pub limit: u32,
}

/// What waits, and what was given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxFacts {
    /// Messages that wait.
    pub pending: u64,
    /// When the oldest of them was due.
    pub oldest_due_at: Option<Timestamp>,
    /// Messages that were given up.
    pub dead: u64,
    /// When the oldest event happened of which nobody was told yet.
    pub oldest_untold_at: Option<Timestamp>,
}

/// What is kept of messages to the outside.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Marks events as told and writes the messages that tell of them. [`StoreError::Conflict`]: one was told before; nothing was written.
    async fn tell(&self, telling: Telling) -> Result<(), StoreError>;
    /// Claims lanes that are due, the longest due first; the oldest due message of each, its attempt counted.
    async fn claim_lanes(&self, claim: ClaimLanes) -> Result<Vec<OutboxRow>, StoreError>;
    /// Writes the result of the attempt with that number, and gives the lane free. Returns whether the attempt was still the latest.
    async fn mark(
        &self,
        message: OutboxId,
        attempt: u32,
        result: SendResult,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Gathers what waits for a destination behind a message that fails: all messages that are due and were never tried become one, the
    /// oldest events first.
    async fn gather_waiting(&self, destination: &str, now: Timestamp) -> Result<(), StoreError>;
    /// At most `limit` messages in that state after `after`, by id.
    async fn list_outbox(
        &self,
        state: OutboxState,
        after: Option<OutboxId>,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError>;
    /// Makes a dead message due at `due_at`, with its attempts counted anew.
    async fn replay(&self, message: OutboxId, due_at: Timestamp, trail: Trail) -> Result<(), StoreError>;
    /// The first message to each of these destinations that tells of an event, by name. Those that name so many others that it is only
    /// counted are not among them.
    async fn messages_about(&self, event: &Event, destinations: Vec<String>) -> Result<Vec<OutboxRow>, StoreError>;
    /// Whether a message about an event was sent to a destination before `before`; `None`: there is none, so it does not hear of such events.
    async fn was_told(&self, destination: &str, event: &Event, before: Timestamp) -> Result<Option<bool>, StoreError>;
    /// Deletes a dead message.
    async fn purge(&self, message: OutboxId, trail: Trail) -> Result<(), StoreError>;
    /// Deletes at most `limit` messages that were sent or dropped before `before`; how many.
    async fn prune_outbox(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
    /// What waits, and what was given up.
    async fn outbox_facts(&self) -> Result<OutboxFacts, StoreError>;
    /// The events of these ids, the oldest first.
    async fn find_events(&self, ids: &[EventId]) -> Result<Vec<Event>, StoreError>;
}

/// The columns of a message, as [`message`] reads them.
macro_rules! columns {
    () => {
        "id, destination, events, more, made_at_us, due_at_us, first_tried_at_us, attempts, last_error, state"
    };
}

/// The outer condition is checked again after waiting for another claim, so PostgreSQL claims no lane twice.
const CLAIM_SOUND: &str = "UPDATE lane SET claimed_until_us = $2 WHERE claimed_until_us <= $1 AND destination IN (
    SELECT destination FROM lane WHERE failures = 0 AND due_at_us <= $1 AND claimed_until_us <= $1
    ORDER BY due_at_us LIMIT $3) RETURNING destination";
const CLAIM_FAILING: &str = "UPDATE lane SET claimed_until_us = $2 WHERE claimed_until_us <= $1 AND destination IN (
    SELECT destination FROM lane WHERE failures > 0 AND due_at_us <= $1 AND claimed_until_us <= $1
    ORDER BY due_at_us LIMIT $3) RETURNING destination";
const CLAIM_MESSAGE: &str = concat!(
    "UPDATE outbox SET attempts = attempts + 1, first_tried_at_us = COALESCE(first_tried_at_us, $2)
    WHERE id = (SELECT id FROM outbox WHERE state = 'pending' AND destination = $1 AND due_at_us <= $2 ORDER BY id LIMIT 1)
    RETURNING ",
    columns!()
);
const MARK: &str =
    "UPDATE outbox SET state = $3, due_at_us = COALESCE($4, due_at_us), last_error = $5, ended_at_us = $6
    WHERE id = $1 AND attempts = $2 AND state = 'pending' RETURNING destination";
const PUT_OFF: &str = "UPDATE outbox SET due_at_us = $3, attempts = attempts - 1, gathers = 1,
        first_tried_at_us = CASE WHEN attempts > 1 THEN first_tried_at_us END
    WHERE id = $1 AND attempts = $2 AND state = 'pending' RETURNING destination";
const DELAY_LANE: &str = "UPDATE lane SET due_at_us = $2, failures = failures + 1, claimed_until_us = 0
    WHERE destination = $1";
/// An empty lane gets no due time, and goes.
const FREE_LANE: &str =
    "UPDATE lane SET claimed_until_us = 0, failures = CASE WHEN $2 = 1 THEN 0 ELSE failures END, due_at_us = COALESCE(
    (SELECT MIN(due_at_us) FROM outbox WHERE state = 'pending' AND destination = $1), $3) WHERE destination = $1";
const END_LANE: &str = "DELETE FROM lane WHERE destination = $1
    AND NOT EXISTS (SELECT 1 FROM outbox WHERE state = 'pending' AND destination = $1)";
const LIST_OUTBOX: &str =
    concat!("SELECT ", columns!(), " FROM outbox WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3");
const ABOUT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM outbox WHERE destination = $1 AND made_at_us >= $2 AND events LIKE $3 ORDER BY made_at_us LIMIT 1"
);
const WAS_TOLD: &str = "SELECT MAX(CASE WHEN state = 'sent' AND ended_at_us < $4 THEN 1 ELSE 0 END) FROM outbox
    WHERE destination = $1 AND made_at_us >= $2 AND events LIKE $3";
const REPLAY: &str = "UPDATE outbox SET state = 'pending', due_at_us = $2, attempts = 0, first_tried_at_us = NULL,
    ended_at_us = NULL WHERE id = $1 AND state = 'dead' RETURNING destination";
const PURGE: &str = "DELETE FROM outbox WHERE id = $1 AND state = 'dead'";
const PRUNE_OUTBOX: &str = "DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE ended_at_us < $1 AND ended_at_us IS NOT NULL LIMIT $2)";
const COUNT_PENDING: &str = "SELECT COUNT(*), MIN(due_at_us) FROM outbox WHERE state = 'pending'";
const COUNT_DEAD: &str = "SELECT COUNT(*) FROM outbox WHERE state = 'dead'";
const OLDEST_UNTOLD: &str = "SELECT at_us FROM event WHERE told_at_us IS NULL AND id > $1 ORDER BY id LIMIT 1";

#[async_trait]
impl<D: Database> OutboxStore for D {
    async fn tell(&self, telling: Telling) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tell::tell(tx, telling).await })).await
    }

    async fn claim_lanes(&self, claim: ClaimLanes) -> Result<Vec<OutboxRow>, StoreError> {
        let ClaimLanes { now, until, failing, limit } = claim;
        self.write(move |tx| {
            Box::pin(async move {
                let claim = if failing { CLAIM_FAILING } else { CLAIM_SOUND };
                let mut claimed = Vec::new();
                for mut row in tx.rows(claim, values![now, until, limit]).await? {
                    let destination = row.text()?;
                    match first(tx, CLAIM_MESSAGE, values![&*destination, now]).await? {
                        Some(row) => claimed.push(message(row)?),
                        None => free_lane(tx, &destination, false, now).await?,
                    }
                }
                Ok(claimed)
            })
        })
        .await
    }

    async fn mark(
        &self,
        message: OutboxId,
        attempt: u32,
        result: SendResult,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (state, due_at, error) = match &result {
            SendResult::Later { due_at } => return put_off(self, message, attempt, *due_at, now).await,
            SendResult::Sent => (OutboxState::Sent, None, None),
            SendResult::Dropped { why } => (OutboxState::Dropped, None, Some(why.clone())),
            SendResult::Retry { due_at, error } => (OutboxState::Pending, Some(*due_at), Some(error.clone())),
            SendResult::Dead { error } => (OutboxState::Dead, None, Some(error.clone())),
        };
        let ended_at = matches!(state, OutboxState::Sent | OutboxState::Dropped).then_some(now);
        let values = values![message, attempt, state.as_str(), due_at, error, ended_at];
        self.write(move |tx| {
            Box::pin(async move {
                let Some(mut row) = first(tx, MARK, values).await? else { return Ok(false) };
                let destination = row.text()?;
                match due_at {
                    Some(due_at) => tx.execute(DELAY_LANE, values![&*destination, due_at]).await.map(|_| ())?,
                    None => free_lane(tx, &destination, result == SendResult::Sent, now).await?,
                }
                Ok(true)
            })
        })
        .await
    }

    async fn gather_waiting(&self, destination: &str, now: Timestamp) -> Result<(), StoreError> {
        let destination = destination.to_owned();
        self.write(move |tx| Box::pin(async move { tell::gather_waiting(tx, &destination, now).await })).await
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

    async fn messages_about(&self, event: &Event, destinations: Vec<String>) -> Result<Vec<OutboxRow>, StoreError> {
        let (from, about) = (event.at - GATHERED_WITHIN, format!("%{}%", event.id));
        self.read(move |tx| {
            Box::pin(async move {
                let mut found = Vec::new();
                for destination in &destinations {
                    let row = first(tx, ABOUT, values![&**destination, from, &*about]).await?;
                    found.extend(row.map(message).transpose()?);
                }
                Ok(found)
            })
        })
        .await
    }

    async fn was_told(&self, destination: &str, event: &Event, before: Timestamp) -> Result<Option<bool>, StoreError> {
        let values = values![destination, event.at - GATHERED_WITHIN, format!("%{}%", event.id), before];
        self.read(move |tx| {
            Box::pin(async move {
                let told = first(tx, WAS_TOLD, values).await?.map(|mut row| row.maybe_int()).transpose()?;
                Ok(told.flatten().map(|told| told == 1))
            })
        })
        .await
    }

    async fn replay(&self, message: OutboxId, due_at: Timestamp, trail: Trail) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let Some(mut row) = first(tx, REPLAY, values![message, due_at]).await? else {
                    return Err(StoreError::not_found(format!("dead message {message}")));
                };
                tell::open_lane(tx, &row.text()?, due_at).await?;
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn purge(&self, message: OutboxId, trail: Trail) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(PURGE, values![message]).await? == 0 {
                    return Err(StoreError::not_found(format!("dead message {message}")));
                }
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn prune_outbox(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE_OUTBOX, values![before, limit]).await })).await
    }

    async fn outbox_facts(&self) -> Result<OutboxFacts, StoreError> {
        self.read(move |tx| {
            Box::pin(async move {
                let mut facts = OutboxFacts::default();
                if let Some(mut row) = first(tx, COUNT_PENDING, vec![]).await? {
                    (facts.pending, facts.oldest_due_at) = (row.count()?, row.maybe_time()?);
                }
                if let Some(mut row) = first(tx, COUNT_DEAD, vec![]).await? {
                    facts.dead = row.count()?;
                }
                if let Some(mut row) = first(tx, OLDEST_UNTOLD, values![EventId::from_u128(0)]).await? {
                    facts.oldest_untold_at = row.maybe_time()?;
                }
                Ok(facts)
            })
        })
        .await
    }

    async fn find_events(&self, ids: &[EventId]) -> Result<Vec<Event>, StoreError> {
        let ids: Vec<Vec<Value>> = ids.iter().map(|id| values![*id]).collect();
        self.read(move |tx| Box::pin(async move { super::event::find_events(tx, ids).await })).await
    }
}

async fn put_off(
    database: &impl Database,
    message: OutboxId,
    attempt: u32,
    due_at: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let values = values![message, attempt, due_at];
    database
        .write(move |tx| {
            Box::pin(async move {
                let Some(mut row) = first(tx, PUT_OFF, values).await? else { return Ok(false) };
                free_lane(tx, &row.text()?, false, now).await?;
                Ok(true)
            })
        })
        .await
}

/// Gives a lane free for its next message; one without any goes.
async fn free_lane(
    tx: &mut dyn super::sql::Tx,
    destination: &str,
    sound: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(FREE_LANE, values![destination, sound, now]).await?;
    tx.execute(END_LANE, values![destination]).await?;
    Ok(())
}

fn message(mut row: Row) -> Result<OutboxRow, StoreError> {
    Ok(OutboxRow {
        id: row.id(OutboxId::from_slice)?,
        destination: row.text()?,
        events: row.json()?,
        more: row.count()?,
        made_at: row.time()?,
        due_at: row.time()?,
        first_tried_at: row.maybe_time()?,
        attempts: row.count()?,
        last_error: row.maybe_text()?,
        state: OutboxState::from_name(&row.text()?)
            .ok_or_else(|| StoreError::corrupt("an unknown state of a message"))?,
    })
}
