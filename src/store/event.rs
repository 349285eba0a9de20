//! Events: facts that people may want to hear, written with the change that made them true, and told later.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{EventId, NetworkId, TeamId, TokenId};
use crate::domain::notice::Event;
use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::sql::{ManyRows, Row, Tx, Value, first, json, values};

/// What is kept of events.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Writes events that come with no other change. Those whose key was written before are dropped. Returns how many are new.
    async fn append_events(&self, events: Vec<Event>) -> Result<u64, StoreError>;
    /// At most `limit` events after `after` of which nobody was told yet, the oldest first.
    async fn untold_events(&self, after: Option<EventId>, limit: u32) -> Result<Vec<Event>, StoreError>;
    /// At most `limit` events of a team from before `before` (`None`: the newest), the newest first.
    async fn list_events(&self, team: &TeamId, before: Option<EventId>, limit: u32) -> Result<Vec<Event>, StoreError>;
    /// The events that told of trouble of a token's present secrets (that they end, ended, do not work or are blocked), the oldest first.
    async fn troubles_told(&self, token: TokenId) -> Result<Vec<Event>, StoreError>;
    /// The event of that key.
    async fn find_event(&self, dedup_key: &str) -> Result<Option<Event>, StoreError>;
    /// Deletes at most `limit` events that happened before `before` and were told, with what was noted of who read them; how many. Those that may
    /// last longer stay.
    async fn prune_events(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
    /// Looks at `limit` events after `after` (`None`: the oldest) that happened before `before` and may last longer, and deletes those that do not:
    /// how many, and the last one looked at, if there was one. What is worked out anew at each look is kept as long as it may be found once
    /// more, so that it is told once: of a token until it is revoked or connected anew, of damaged secrets for ever.
    async fn prune_lasting_events(
        &self,
        after: Option<Looked>,
        before: Timestamp,
        limit: u32,
    ) -> Result<(u64, Option<Looked>), StoreError>;
}

/// An event that was looked at: when it happened, and its id.
pub type Looked = (Timestamp, EventId);

static INSERT_EVENTS: ManyRows = ManyRows::insert(
    "event (id, at_us, team, kind, network, token, fact, dedup_key)",
    8,
    "ON CONFLICT (dedup_key) DO NOTHING",
);

const UNTOLD: &str = "SELECT id, at_us, team, fact, dedup_key FROM event WHERE told_at_us IS NULL AND id > $1
    ORDER BY id LIMIT $2";
const OF_TEAM: &str = "SELECT id, at_us, team, fact, dedup_key FROM event WHERE team = $1 AND id < $2
    ORDER BY id DESC LIMIT $3";
const TROUBLES: &str =
    "SELECT event.id, at_us, event.team, fact, dedup_key FROM event JOIN token ON token.id = event.token
    WHERE event.token = $1 AND at_us > secrets_since_us
        AND event.kind IN ('token_expiring', 'token_expired', 'token_invalid', 'token_blocked') ORDER BY at_us";
const BY_KEY: &str = "SELECT id, at_us, team, fact, dedup_key FROM event WHERE dedup_key = $1";
/// The first `$2` events before `$1`, of those that may go by their time alone.
macro_rules! passing {
    () => {
        "(SELECT id FROM event
            WHERE kind NOT IN ('retention_clock', 'needs_reconnecting', 'out_of_order') AND at_us < $1 AND told_at_us IS NOT NULL
            ORDER BY at_us LIMIT $2)"
    };
}
const PRUNE_PASSING_MARKS: &str = concat!("DELETE FROM notice_mark WHERE event IN ", passing!());
const PRUNE_PASSING: &str = concat!("DELETE FROM event WHERE id IN ", passing!());

/// The next `$4` events after the one of `$1` with the id `$2` that may last longer, of those before `$3`.
macro_rules! lasting {
    () => {
        "(SELECT id, at_us, team, kind, token, told_at_us FROM event
            WHERE kind IN ('retention_clock', 'needs_reconnecting', 'out_of_order') AND (at_us, id) > ($1, $2) AND at_us < $3
            ORDER BY at_us, id LIMIT $4)"
    };
}
/// Those of them that are over. What is out of order and of no team is a damaged secret: at most one each time that one was set.
macro_rules! over {
    () => {
        concat!(
            "(SELECT id FROM ",
            lasting!(),
            " AS lasting WHERE told_at_us IS NOT NULL
                AND NOT (kind = 'out_of_order' AND team IS NULL)
                AND NOT (kind IN ('retention_clock', 'needs_reconnecting') AND EXISTS (
                    SELECT 1 FROM token WHERE token.id = lasting.token AND token.state <> 'revoked'
                        AND lasting.at_us >= COALESCE(token.consented_at_us, token.created_at_us))))"
        )
    };
}
const LAST_LASTING: &str = concat!("SELECT at_us, id FROM ", lasting!(), " ORDER BY at_us DESC, id DESC LIMIT 1");
const PRUNE_OVER_MARKS: &str = concat!("DELETE FROM notice_mark WHERE event IN ", over!());
const PRUNE_OVER: &str = concat!("DELETE FROM event WHERE id IN ", over!());

static FIND: ManyRows =
    ManyRows::new("SELECT id, at_us, team, fact, dedup_key FROM event WHERE id IN (SELECT column1 FROM", 1, ")");

#[async_trait]
impl<D: Database> EventStore for D {
    async fn append_events(&self, events: Vec<Event>) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { insert_events(tx, &events).await })).await
    }

    async fn untold_events(&self, after: Option<EventId>, limit: u32) -> Result<Vec<Event>, StoreError> {
        let values = values![after.unwrap_or(EventId::from_u128(0)), limit];
        self.read(move |tx| Box::pin(async move { tx.rows(UNTOLD, values).await?.into_iter().map(event).collect() }))
            .await
    }

    async fn list_events(&self, team: &TeamId, before: Option<EventId>, limit: u32) -> Result<Vec<Event>, StoreError> {
        let values = values![team, before.unwrap_or(EventId::from_u128(u128::MAX)), limit];
        self.read(move |tx| Box::pin(async move { tx.rows(OF_TEAM, values).await?.into_iter().map(event).collect() }))
            .await
    }

    async fn troubles_told(&self, token: TokenId) -> Result<Vec<Event>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move { tx.rows(TROUBLES, values![token]).await?.into_iter().map(event).collect() })
        })
        .await
    }

    async fn find_event(&self, dedup_key: &str) -> Result<Option<Event>, StoreError> {
        let values = values![dedup_key];
        self.read(move |tx| Box::pin(async move { first(tx, BY_KEY, values).await?.map(event).transpose() })).await
    }

    async fn prune_events(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.execute(PRUNE_PASSING_MARKS, values![before, limit]).await?;
                tx.execute(PRUNE_PASSING, values![before, limit]).await
            })
        })
        .await
    }

    async fn prune_lasting_events(
        &self,
        after: Option<Looked>,
        before: Timestamp,
        limit: u32,
    ) -> Result<(u64, Option<Looked>), StoreError> {
        let (at, id) = after.unwrap_or((Timestamp::EPOCH, EventId::from_u128(0)));
        self.write(move |tx| {
            Box::pin(async move {
                let last = first(tx, LAST_LASTING, values![at, id, before, limit]).await?;
                let looked = |mut row: Row| Ok((row.time()?, row.id(EventId::from_slice)?));
                let last = last.map(looked).transpose()?;
                tx.execute(PRUNE_OVER_MARKS, values![at, id, before, limit]).await?;
                Ok((tx.execute(PRUNE_OVER, values![at, id, before, limit]).await?, last))
            })
        })
        .await
    }
}

/// Writes events in the caller's transaction; how many are new.
pub(crate) async fn insert_events(tx: &mut dyn Tx, events: &[Event]) -> Result<u64, StoreError> {
    INSERT_EVENTS.execute(tx, events.iter().map(parameters).collect()).await
}

/// The events of these ids, the oldest first.
pub(crate) async fn find_events(tx: &mut dyn Tx, ids: Vec<Vec<Value>>) -> Result<Vec<Event>, StoreError> {
    let mut events: Vec<Event> = FIND.rows(tx, ids).await?.into_iter().map(event).collect::<Result<_, _>>()?;
    events.sort_by_key(|event| event.id);
    Ok(events)
}

fn parameters(event: &Event) -> Vec<Value> {
    values![
        event.id,
        event.at,
        event.team.as_ref(),
        event.fact.kind().as_str(),
        event.fact.network().map_or("", NetworkId::as_str),
        event.fact.token(),
        json(&event.fact),
        &*event.dedup_key,
    ]
}

fn event(mut row: Row) -> Result<Event, StoreError> {
    Ok(Event {
        id: row.id(EventId::from_slice)?,
        at: row.time()?,
        team: row.maybe_slug()?,
        fact: row.json()?,
        dedup_key: row.text()?,
    })
}
