//! Destinations of teams, with their targets and secrets, sealed.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{DestinationId, TeamId};
use crate::domain::notice::{Destination, DestinationKind, Kind};
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::sql::{Row, first, json, values};
use crate::store::{StoreError, Trail};

/// A destination with what is sealed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDestination {
    /// The destination.
    pub destination: Destination,
    /// Its target, sealed: the mail address or the URL.
    pub sealed_target: Vec<u8>,
    /// Its signing secrets, sealed: one in a line. `None`: it has none.
    pub sealed_secrets: Option<Vec<u8>>,
}

/// What is kept of destinations.
#[async_trait]
pub trait DestinationStore: Send + Sync {
    /// Adds a destination. [`StoreError::Conflict`]: the team has `most` of them.
    async fn insert_destination(&self, stored: StoredDestination, most: usize, trail: Trail) -> Result<(), StoreError>;
    /// Changes a destination, if its version is one below; [`StoreError::Conflict`]: it is not.
    async fn change_destination(&self, stored: StoredDestination, trail: Trail) -> Result<(), StoreError>;
    /// Deletes a destination of a team.
    async fn delete_destination(&self, team: &TeamId, id: DestinationId, trail: Trail) -> Result<(), StoreError>;
    /// Notes since when the receiver of a destination of that version is gone, or that it is there. Returns whether that was news.
    async fn note_gone(
        &self,
        id: DestinationId,
        version: u32,
        since: Option<Timestamp>,
        trail: Trail,
    ) -> Result<bool, StoreError>;
    /// The destination of that id.
    async fn find_destination(&self, id: DestinationId) -> Result<Option<StoredDestination>, StoreError>;
    /// All destinations of a team, in the order in which they were added. They are few.
    async fn list_destinations(&self, team: &TeamId) -> Result<Vec<StoredDestination>, StoreError>;
    /// At most `limit` destinations of all teams after `after`, by id.
    async fn all_destinations(
        &self,
        after: Option<DestinationId>,
        limit: u32,
    ) -> Result<Vec<StoredDestination>, StoreError>;
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, team, display_name, kind, shown, events, created_at_us, gone_since_us, version, sealed_target,
                sealed_secrets FROM destination ",
            $rest
        )
    };
}

const COUNT: &str = "SELECT COUNT(*) FROM destination WHERE team = $1";
const INSERT: &str = "INSERT INTO destination (id, team, display_name, kind, shown, events, created_at_us, version,
        sealed_target, sealed_secrets, gone_since_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const UPDATE: &str =
    "UPDATE destination SET display_name = $3, kind = $4, shown = $5, events = $6, created_at_us = $7, version = $8,
        sealed_target = $9, sealed_secrets = $10, gone_since_us = $11 WHERE id = $1 AND team = $2 AND version = $8 - 1";
const NOTE_GONE: &str = "UPDATE destination SET gone_since_us = $3
    WHERE id = $1 AND version = $2 AND (gone_since_us IS NULL) <> ($3 IS NULL)";
const DELETE: &str = "DELETE FROM destination WHERE id = $1 AND team = $2";
const FIND: &str = select!("WHERE id = $1");
const OF_TEAM: &str = select!("WHERE team = $1 ORDER BY id");
const ALL: &str = select!("WHERE id > $1 ORDER BY id LIMIT $2");

#[async_trait]
impl<D: Database> DestinationStore for D {
    async fn insert_destination(&self, stored: StoredDestination, most: usize, trail: Trail) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let counted = first(tx, COUNT, values![&stored.destination.team]).await?;
                let count: u64 = counted.map_or(Ok(0), |mut row| row.count())?;
                if count >= most as u64 {
                    return Err(StoreError::Conflict { what: "as many destinations as there can be".to_owned() });
                }
                tx.execute(INSERT, parameters(&stored)).await?;
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn change_destination(&self, stored: StoredDestination, trail: Trail) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(UPDATE, parameters(&stored)).await? == 0 {
                    return Err(StoreError::Conflict { what: "a destination that was changed meanwhile".to_owned() });
                }
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn delete_destination(&self, team: &TeamId, id: DestinationId, trail: Trail) -> Result<(), StoreError> {
        let values = values![id, team];
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(DELETE, values).await? == 0 {
                    return Err(StoreError::not_found(id));
                }
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn note_gone(
        &self,
        id: DestinationId,
        version: u32,
        since: Option<Timestamp>,
        trail: Trail,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let is_news = tx.execute(NOTE_GONE, values![id, version, since]).await? > 0;
                if is_news {
                    insert_trail(tx, &trail).await?;
                }
                Ok(is_news)
            })
        })
        .await
    }

    async fn find_destination(&self, id: DestinationId) -> Result<Option<StoredDestination>, StoreError> {
        self.read(move |tx| Box::pin(async move { first(tx, FIND, values![id]).await?.map(stored).transpose() })).await
    }

    async fn list_destinations(&self, team: &TeamId) -> Result<Vec<StoredDestination>, StoreError> {
        let values = values![team];
        self.read(move |tx| Box::pin(async move { tx.rows(OF_TEAM, values).await?.into_iter().map(stored).collect() }))
            .await
    }

    async fn all_destinations(
        &self,
        after: Option<DestinationId>,
        limit: u32,
    ) -> Result<Vec<StoredDestination>, StoreError> {
        let values = values![after.unwrap_or(DestinationId::from_u128(0)), limit];
        self.read(move |tx| Box::pin(async move { tx.rows(ALL, values).await?.into_iter().map(stored).collect() }))
            .await
    }
}

fn parameters(stored: &StoredDestination) -> Vec<crate::store::sql::Value> {
    let Destination { id, team, display_name, kind, shown, events, created_at, gone_since, version } =
        &stored.destination;
    let names: Vec<&str> = events.iter().map(|kind| kind.as_str()).collect();
    values![
        *id,
        team,
        &**display_name,
        kind.as_str(),
        &**shown,
        json(&names),
        *created_at,
        *version,
        &stored.sealed_target[..],
        stored.sealed_secrets.clone(),
        *gone_since,
    ]
}

fn stored(mut row: Row) -> Result<StoredDestination, StoreError> {
    let unknown = || StoreError::corrupt("an unknown kind of a destination");
    let destination = Destination {
        id: row.id(DestinationId::from_slice)?,
        team: row.slug()?,
        display_name: row.text()?,
        kind: DestinationKind::from_name(&row.text()?).ok_or_else(unknown)?,
        shown: row.text()?,
        // A kind of a later version is passed over.
        events: row.json::<Vec<String>>()?.iter().filter_map(|name| Kind::from_name(name)).collect(),
        created_at: row.time()?,
        gone_since: row.maybe_time()?,
        version: row.count()?,
    };
    Ok(StoredDestination { destination, sealed_target: row.blob()?, sealed_secrets: row.maybe_blob()? })
}
