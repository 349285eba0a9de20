//! Leavings of members, while they go on and as they ended.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::MemberId;
use crate::domain::member::Departure;
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::sql::{Row, Tx, json, values};
use crate::store::{StoreError, Trail};

/// What is kept of leavings. One begins with the change that takes the member out.
#[async_trait]
pub trait DepartureStore: Send + Sync {
    /// Keeps how far a leaving is; `trail`: what its end leaves beside itself.
    async fn put_departure(&self, departure: Departure, trail: Option<Trail>) -> Result<(), StoreError>;
    /// The leaving of a member.
    async fn find_departure(&self, member: MemberId) -> Result<Option<Departure>, StoreError>;
    /// At most `limit` leavings that go on, the oldest first.
    async fn open_departures(&self, limit: u32) -> Result<Vec<Departure>, StoreError>;
}

const PUT: &str = "INSERT INTO departure (member, begun_at_us, finished_at_us, report) VALUES ($1, $2, $3, $4)
    ON CONFLICT (member) DO UPDATE SET finished_at_us = excluded.finished_at_us, report = excluded.report";
const FIND: &str = "SELECT report FROM departure WHERE member = $1";
const OPEN: &str = "SELECT report FROM departure WHERE finished_at_us IS NULL AND begun_at_us > $1
    ORDER BY begun_at_us LIMIT $2";

#[async_trait]
impl<D: Database> DepartureStore for D {
    async fn put_departure(&self, departure: Departure, trail: Option<Trail>) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                put_departure(tx, &departure).await?;
                match &trail {
                    Some(trail) => insert_trail(tx, trail).await,
                    None => Ok(()),
                }
            })
        })
        .await
    }

    async fn find_departure(&self, member: MemberId) -> Result<Option<Departure>, StoreError> {
        let values = values![member];
        let mut found: Vec<Departure> = self
            .read(move |tx| Box::pin(async move { tx.rows(FIND, values).await?.into_iter().map(departure).collect() }))
            .await?;
        Ok(found.pop())
    }

    async fn open_departures(&self, limit: u32) -> Result<Vec<Departure>, StoreError> {
        let values = values![Timestamp::from_micros(i64::MIN), limit];
        self.read(move |tx| Box::pin(async move { tx.rows(OPEN, values).await?.into_iter().map(departure).collect() }))
            .await
    }
}

/// Keeps how far a leaving is, in the caller's transaction.
pub(super) async fn put_departure(tx: &mut dyn Tx, departure: &Departure) -> Result<(), StoreError> {
    let values = values![departure.member, departure.begun_at, departure.finished_at, json(departure)];
    tx.execute(PUT, values).await.map(drop)
}

fn departure(mut row: Row) -> Result<Departure, StoreError> {
    row.json()
}
