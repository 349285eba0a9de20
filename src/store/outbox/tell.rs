//! Telling: events are marked, and become messages of their destinations.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Hearing, Telling};
use crate::base::clock::Timestamp;
use crate::base::ids::{EventId, OutboxId};
use crate::domain::notice::{Coming, Gathered, KEPT, OpenMessage, Weight, gather};
use crate::store::StoreError;
use crate::store::sql::{ManyRows, Tx, first, json, values};

const HOUR: Duration = Duration::from_secs(3600);

const MARK_TOLD: &str = "UPDATE event SET told_at_us = $2 WHERE id = $1 AND told_at_us IS NULL";
static INSERT_MESSAGES: ManyRows =
    ManyRows::insert("outbox (id, destination, events, more, gathers, made_at_us, due_at_us, attempts, state)", 9, "");
const MADE: &str = "SELECT COUNT(*) FROM outbox WHERE destination = $1 AND made_at_us > $2";
const OPEN: &str = "SELECT id, events, more, due_at_us FROM outbox
    WHERE state = 'pending' AND destination = $1 AND gathers = 1 AND attempts = 0 ORDER BY id DESC LIMIT 1";
const PUT_EVENTS: &str = "UPDATE outbox SET events = $2, more = $3 WHERE id = $1";
const WAITING: &str = "SELECT id, events, more FROM outbox
    WHERE state = 'pending' AND destination = $1 AND attempts = 0 AND due_at_us <= $2 ORDER BY id LIMIT $3";
const PUT_GATHERED: &str = "UPDATE outbox SET events = $2, more = $3, gathers = 1 WHERE id = $1";
const DELETE: &str = "DELETE FROM outbox WHERE id = $1";
/// Messages that are gathered into one at a time.
const MOST_GATHERED: u32 = 1_000;
const OPEN_LANE: &str = "INSERT INTO lane (destination, due_at_us, failures) VALUES ($1, $2, 0)
    ON CONFLICT (destination) DO UPDATE SET due_at_us = CASE WHEN lane.failures = 0 AND excluded.due_at_us < lane.due_at_us
        THEN excluded.due_at_us ELSE lane.due_at_us END";

/// A message that is being put together.
struct Draft {
    id: OutboxId,
    events: Vec<EventId>,
    more: u32,
    gathers: bool,
    due_at: Timestamp,
    /// Whether it is in the store already.
    stored: bool,
}

impl Draft {
    fn new(event: EventId, due_at: Timestamp, gathers: bool) -> Self {
        Self { id: OutboxId::generate(), events: vec![event], more: 0, gathers, due_at, stored: false }
    }

    fn add(&mut self, event: EventId) {
        match self.events.len() < KEPT {
            true => self.events.push(event),
            false => self.more += 1,
        }
    }
}

pub(super) async fn tell(tx: &mut dyn Tx, telling: Telling) -> Result<(), StoreError> {
    let Telling { now, events, hearings } = telling;
    let count = events.len() as u64;
    let marks = events.into_iter().map(|event| (MARK_TOLD, values![event, now])).collect();
    if tx.execute_all(marks).await? != count {
        return Err(StoreError::Conflict { what: "an event that was told".to_owned() });
    }
    let mut by_destination: BTreeMap<String, Vec<Hearing>> = BTreeMap::new();
    for hearing in hearings {
        by_destination.entry(hearing.destination.clone()).or_default().push(hearing);
    }
    for (destination, hearings) in by_destination {
        let drafts = drafts(tx, &destination, &hearings, now).await?;
        let due_at = drafts.iter().map(|draft| draft.due_at).min();
        put_drafts(tx, &destination, drafts, now).await?;
        if let Some(due_at) = due_at {
            open_lane(tx, &destination, due_at).await?;
        }
    }
    Ok(())
}

/// The messages of one destination, by the rules for how many there may be.
async fn drafts(
    tx: &mut dyn Tx,
    destination: &str,
    hearings: &[Hearing],
    now: Timestamp,
) -> Result<Vec<Draft>, StoreError> {
    let mut made: u32 =
        first(tx, MADE, values![destination, now - HOUR]).await?.map_or(Ok(0), |mut row| row.count())?;
    let mut drafts: Vec<Draft> = open_message(tx, destination).await?.into_iter().collect();
    let at_once = |of: Weight| {
        let with = hearings.iter().filter(|with| of != Weight::Urgent || with.weight == Weight::Urgent);
        u32::try_from(with.count()).unwrap_or(u32::MAX)
    };
    let (all, urgent) = (at_once(Weight::Single), at_once(Weight::Urgent));
    for Hearing { event, from, in_quiet, weight, budget, .. } in hearings {
        let open = drafts.iter_mut().rfind(|draft| draft.gathers);
        let state = open.as_ref().map(|open| OpenMessage { due_at: open.due_at });
        let at_once = if *weight == Weight::Urgent { urgent } else { all };
        let gathered =
            gather(*budget, Coming { from: *from, in_quiet: *in_quiet, weight: *weight, at_once }, made, state, now);
        match (gathered, open) {
            (Gathered::Open, Some(open)) => open.add(*event),
            (Gathered::Together(due_at), _) => drafts.push(Draft::new(*event, due_at, true)),
            (Gathered::Alone(due_at), _) => drafts.push(Draft::new(*event, due_at, false)),
            (Gathered::Open, None) => drafts.push(Draft::new(*event, now, true)),
        }
        made += u32::from(gathered != Gathered::Open);
    }
    Ok(drafts)
}

async fn open_message(tx: &mut dyn Tx, destination: &str) -> Result<Option<Draft>, StoreError> {
    let Some(mut row) = first(tx, OPEN, values![destination]).await? else { return Ok(None) };
    Ok(Some(Draft {
        id: row.id(OutboxId::from_slice)?,
        events: row.json()?,
        more: row.count()?,
        due_at: row.time()?,
        gathers: true,
        stored: true,
    }))
}

async fn put_drafts(tx: &mut dyn Tx, destination: &str, drafts: Vec<Draft>, now: Timestamp) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for Draft { id, events, more, gathers, due_at, stored } in drafts {
        match stored {
            true => tx.execute(PUT_EVENTS, values![id, json(&events), more]).await.map(|_| ())?,
            false => {
                rows.push(values![id, destination, json(&events), more, gathers, now, due_at, 0_u32, "pending"]);
            }
        }
    }
    INSERT_MESSAGES.execute(tx, rows).await?;
    Ok(())
}

/// Makes one message of those of a destination that are due and were never tried.
pub(super) async fn gather_waiting(tx: &mut dyn Tx, destination: &str, now: Timestamp) -> Result<(), StoreError> {
    let rows = tx.rows(WAITING, values![destination, now, MOST_GATHERED]).await?;
    if rows.len() < 2 {
        return Ok(());
    }
    let (mut into, mut gone) = (None::<Draft>, Vec::new());
    for mut row in rows {
        let (id, events, more): (_, Vec<EventId>, u32) = (row.id(OutboxId::from_slice)?, row.json()?, row.count()?);
        match &mut into {
            None => into = Some(Draft { id, events, more, gathers: true, due_at: now, stored: true }),
            Some(into) => {
                events.into_iter().for_each(|event| into.add(event));
                into.more += more;
                gone.push((DELETE, values![id]));
            }
        }
    }
    if let Some(Draft { id, events, more, .. }) = into {
        tx.execute(PUT_GATHERED, values![id, json(&events), more]).await?;
        tx.execute_all(gone).await?;
    }
    Ok(())
}

/// Makes a lane due at that time, unless it is earlier or its last attempt failed: then it waits for the next one.
pub(super) async fn open_lane(tx: &mut dyn Tx, destination: &str, due_at: Timestamp) -> Result<(), StoreError> {
    tx.execute(OPEN_LANE, values![destination, due_at]).await.map(|_| ())
}
