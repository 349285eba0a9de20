//! What loads were: samples of them, for charts.

use std::time::Duration;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::domain::load::LoadKey;
use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::sql::{ManyRows, Row, values};

/// What a load was at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadSample {
    /// Whose, and of which credit.
    pub key: LoadKey,
    /// When.
    pub at: Timestamp,
    /// The span that demand and supply are of.
    pub span: Duration,
    /// Credit asked for over the span.
    pub demand: u64,
    /// Credit that the tokens could give over the span.
    pub supply: u64,
    /// The live tokens.
    pub tokens: u32,
}

/// What is kept of loads.
#[async_trait]
pub trait LoadSampleStore: Send + Sync {
    /// Keeps samples; those of the same load and time that are there stay.
    async fn add_load_samples(&self, samples: Vec<LoadSample>) -> Result<(), StoreError>;
    /// The samples of a load from `from` on, the oldest first.
    async fn list_load_samples(&self, key: &LoadKey, from: Timestamp) -> Result<Vec<LoadSample>, StoreError>;
    /// Deletes at most `limit` samples from before `before`; how many.
    async fn prune_load_samples(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

static ADD: ManyRows = ManyRows::insert(
    "load_sample (team, network, class, at_us, span_us, demand, supply, tokens)",
    8,
    "ON CONFLICT (team, network, class, at_us) DO NOTHING",
);
const LIST: &str = "SELECT at_us, span_us, demand, supply, tokens FROM load_sample
    WHERE team = $1 AND network = $2 AND class = $3 AND at_us >= $4 ORDER BY at_us";
const PRUNE: &str = "DELETE FROM load_sample WHERE (team, network, class, at_us) IN (
    SELECT team, network, class, at_us FROM load_sample WHERE at_us < $1 LIMIT $2)";

#[async_trait]
impl<D: Database> LoadSampleStore for D {
    async fn add_load_samples(&self, samples: Vec<LoadSample>) -> Result<(), StoreError> {
        if samples.is_empty() {
            return Ok(());
        }
        let row = |sample: LoadSample| {
            let LoadSample { key, at, span, demand, supply, tokens } = sample;
            let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
            values![&key.team, &key.network, &key.class, at, span, demand, supply, tokens]
        };
        let rows: Vec<_> = samples.into_iter().map(row).collect();
        self.write(move |tx| Box::pin(async move { ADD.execute(tx, rows).await.map(drop) })).await
    }

    async fn list_load_samples(&self, key: &LoadKey, from: Timestamp) -> Result<Vec<LoadSample>, StoreError> {
        let (values, key) = (values![&key.team, &key.network, &key.class, from], key.clone());
        self.read(move |tx| {
            Box::pin(async move { tx.rows(LIST, values).await?.into_iter().map(|row| sample(&key, row)).collect() })
        })
        .await
    }

    async fn prune_load_samples(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE, values![before, limit]).await })).await
    }
}

fn sample(key: &LoadKey, mut row: Row) -> Result<LoadSample, StoreError> {
    Ok(LoadSample {
        key: key.clone(),
        at: row.time()?,
        span: Duration::from_micros(row.count()?),
        demand: row.count()?,
        supply: row.count()?,
        tokens: row.count()?,
    })
}
