//! The usage ledger: what was called with each token, by day, for statements to the token's owner.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::base::ids::{ClassId, CollectorId, NetworkId, TokenId};
use crate::domain::networks::Purpose;
use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::sql::{ManyRows, Row, first, values};

/// The calls of one day with one token for one collection, by one collector in one credit class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// What is counted.
    pub key: UsageKey,
    /// Calls made.
    pub calls: u64,
    /// Credit that they cost, in units of the class; 0 where it is not counted by class.
    pub credits: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Calls that the network refused for its limits.
    pub throttled: u64,
}

/// What usage is counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageKey {
    /// The token.
    pub token: TokenId,
    /// The day: days since 1970-01-01, in UTC.
    pub day: i32,
    /// The collection; may be empty.
    pub collection: String,
    /// The collector; `None`: an operator by hand.
    pub collector: Option<CollectorId>,
    /// The credit class, if it is counted by class.
    pub class: Option<ClassId>,
    /// The network.
    pub network: NetworkId,
    /// What for.
    pub purpose: Purpose,
}

/// What a collector did on one day at one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorDay {
    /// The day: days since 1970-01-01, in UTC.
    pub day: i32,
    /// The network.
    pub network: NetworkId,
    /// How many calls were made.
    pub calls: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Calls that the network refused for its limits.
    pub throttled: u64,
}

/// The usage ledger.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// Adds to what is counted already.
    async fn add_usage(&self, rows: Vec<UsageRow>) -> Result<(), StoreError>;
    /// The usage of a token from day `from` to day `to`, both included.
    async fn list_usage(&self, token: TokenId, from: i32, to: i32) -> Result<Vec<UsageRow>, StoreError>;
    /// The last day on which each of these tokens was used, of those that were.
    async fn last_uses(&self, tokens: &[TokenId]) -> Result<BTreeMap<TokenId, i32>, StoreError>;
    /// The last day on which each of these collectors made a call, of those that did.
    async fn last_uses_by(&self, collectors: &[CollectorId]) -> Result<BTreeMap<CollectorId, i32>, StoreError>;
    /// What a collector did from `day` on, the newest day first; of at most `most` rows, the newest ones.
    async fn uses_by(&self, collector: CollectorId, day: i32, most: u32) -> Result<Vec<CollectorDay>, StoreError>;
    /// Deletes at most `limit` rows of days before `day`; how many.
    async fn prune_usage(&self, day: i32, limit: u32) -> Result<u64, StoreError>;
}

static ADD_USAGE: ManyRows = ManyRows::insert(
    "usage (token, day, collection, collector, class, network, purpose, calls, credits, errors, throttled)",
    11,
    "ON CONFLICT (token, day, collection, collector, class, network, purpose) DO UPDATE SET
     calls = usage.calls + excluded.calls, credits = usage.credits + excluded.credits, errors = usage.errors + excluded.errors,
     throttled = usage.throttled + excluded.throttled",
);

const LIST_USAGE: &str =
    "SELECT token, day, collection, collector, class, network, purpose, calls, credits, errors, throttled
    FROM usage WHERE token = $1 AND day >= $2 AND day <= $3
    ORDER BY token, day, collection, collector, class, network, purpose";
const LAST_USE: &str = "SELECT MAX(day) FROM usage WHERE token = $1";
const LAST_USE_BY: &str = "SELECT MAX(day) FROM usage WHERE collector = $1";
/// Each call is counted once in the rows without a class.
const USES_BY: &str = "SELECT day, network, SUM(calls), SUM(errors), SUM(throttled) FROM (
        SELECT day, network, calls, errors, throttled FROM usage
        WHERE collector = $1 AND day >= $2 AND class = '' ORDER BY day DESC LIMIT $3) AS lately
    GROUP BY day, network ORDER BY day DESC, network";
const PRUNE_USAGE: &str = "DELETE FROM usage WHERE (token, day, collection, collector, class, network, purpose) IN (
    SELECT token, day, collection, collector, class, network, purpose FROM usage WHERE day < $1 LIMIT $2)";

#[async_trait]
impl<D: Database> UsageStore for D {
    async fn add_usage(&self, rows: Vec<UsageRow>) -> Result<(), StoreError> {
        let mut sums: BTreeMap<UsageKey, [u64; 4]> = BTreeMap::new();
        for UsageRow { key, calls, credits, errors, throttled } in rows {
            let sums = sums.entry(key).or_default();
            for (sum, more) in sums.iter_mut().zip([calls, credits, errors, throttled]) {
                *sum = sum.saturating_add(more);
            }
        }
        let row = |(key, [calls, credits, errors, throttled]): (UsageKey, [u64; 4])| {
            let UsageKey { token, day, collection, collector, class, network, purpose } = key;
            let collector = collector.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
            let class = class.map(|class| class.to_string()).unwrap_or_default();
            let purpose = purpose.as_str();
            let mut row = values![token, i64::from(day), collection, collector, class, &network, purpose];
            row.extend(values![calls, credits, errors, throttled]);
            row
        };
        let rows: Vec<_> = sums.into_iter().map(row).collect();
        if rows.is_empty() {
            return Ok(());
        }
        self.write(move |tx| Box::pin(async move { ADD_USAGE.execute(tx, rows).await.map(drop) })).await
    }

    async fn list_usage(&self, token: TokenId, from: i32, to: i32) -> Result<Vec<UsageRow>, StoreError> {
        let values = values![token, i64::from(from), i64::from(to)];
        self.read(move |tx| {
            Box::pin(async move { tx.rows(LIST_USAGE, values).await?.into_iter().map(usage).collect() })
        })
        .await
    }

    async fn last_uses(&self, tokens: &[TokenId]) -> Result<BTreeMap<TokenId, i32>, StoreError> {
        let tokens = tokens.to_vec();
        self.read(move |tx| {
            Box::pin(async move {
                let mut days = BTreeMap::new();
                for token in tokens {
                    let found = first(tx, LAST_USE, values![token]).await?;
                    let day = found.map(|mut row| row.maybe_count()).transpose()?.flatten();
                    days.extend(day.map(|day| (token, day)));
                }
                Ok(days)
            })
        })
        .await
    }

    async fn last_uses_by(&self, collectors: &[CollectorId]) -> Result<BTreeMap<CollectorId, i32>, StoreError> {
        let collectors = collectors.to_vec();
        self.read(move |tx| {
            Box::pin(async move {
                let mut days = BTreeMap::new();
                for collector in collectors {
                    let found = first(tx, LAST_USE_BY, values![collector]).await?;
                    let day = found.map(|mut row| row.maybe_count()).transpose()?.flatten();
                    days.extend(day.map(|day| (collector, day)));
                }
                Ok(days)
            })
        })
        .await
    }

    async fn uses_by(&self, collector: CollectorId, day: i32, most: u32) -> Result<Vec<CollectorDay>, StoreError> {
        let values = values![collector, i64::from(day), most];
        self.read(move |tx| {
            Box::pin(async move {
                let day = |mut row: Row| {
                    let (day, network) = (row.count()?, row.slug()?);
                    Ok(CollectorDay {
                        day,
                        network,
                        calls: row.count()?,
                        errors: row.count()?,
                        throttled: row.count()?,
                    })
                };
                tx.rows(USES_BY, values).await?.into_iter().map(day).collect()
            })
        })
        .await
    }

    async fn prune_usage(&self, day: i32, limit: u32) -> Result<u64, StoreError> {
        let values = values![i64::from(day), limit];
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE_USAGE, values).await })).await
    }
}

fn usage(mut row: Row) -> Result<UsageRow, StoreError> {
    let (token, day, collection) = (row.id(TokenId::from_slice)?, row.count()?, row.text()?);
    let collector = Some(row.blob()?).filter(|bytes| !bytes.is_empty());
    let damaged = || StoreError::corrupt("a usage row without a proper key");
    let collector = collector.map(|id| CollectorId::from_slice(&id)).transpose().map_err(|_| damaged())?;
    let class = Some(row.text()?).filter(|class| !class.is_empty());
    let class = class.map(|class| class.parse()).transpose().map_err(|_| damaged())?;
    let network = row.slug()?;
    let purpose = Purpose::from_name(&row.text()?).ok_or_else(damaged)?;
    let key = UsageKey { token, day, collection, collector, class, network, purpose };
    Ok(UsageRow { key, calls: row.count()?, credits: row.count()?, errors: row.count()?, throttled: row.count()? })
}
