//! When tokens are checked, and what came of the last check.
//!
//! A check is taken by moving its due time from the one that was read: of two processes one gets it, and one that dies gives the token back
//! by doing nothing.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{NetworkId, TokenId};
use crate::domain::probe::{CheckOutcome, LastCheck};
use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::sql::{Row, first, values};

/// What is kept of checks.
#[async_trait]
pub trait ProbeStore: Send + Sync {
    /// At most `limit` tokens of a network that were not revoked, with the times of their checks, earliest first.
    async fn next_probes(&self, network: &NetworkId, limit: u32) -> Result<Vec<(TokenId, Timestamp)>, StoreError>;
    /// At most `limit` tokens of a network whose first check has no time yet.
    async fn unscheduled_probes(&self, network: &NetworkId, limit: u32) -> Result<Vec<TokenId>, StoreError>;
    /// Gives each token without a time its first.
    async fn schedule_probes(&self, first: Vec<(TokenId, Timestamp)>) -> Result<(), StoreError>;
    /// Moves the time of a check from `seen` to `to`. Returns whether it was still `seen`.
    async fn move_probe(&self, token: TokenId, seen: Timestamp, to: Timestamp) -> Result<bool, StoreError>;
    /// Brings a check forward to `at`, if it is later.
    async fn hasten_probe(&self, token: TokenId, at: Timestamp) -> Result<(), StoreError>;
    /// Notes what came of a check, and when the next one is.
    async fn put_check(&self, token: TokenId, check: LastCheck, next: Timestamp) -> Result<(), StoreError>;
    /// The last check of a token.
    async fn find_check(&self, token: TokenId) -> Result<Option<LastCheck>, StoreError>;
}

const NEXT_PROBES: &str = "SELECT id, probe_at_us FROM token
    WHERE network = $1 AND state <> 'revoked' AND probe_at_us IS NOT NULL ORDER BY probe_at_us LIMIT $2";
const UNSCHEDULED_PROBES: &str =
    "SELECT id FROM token WHERE network = $1 AND state <> 'revoked' AND probe_at_us IS NULL LIMIT $2";
const SCHEDULE_PROBE: &str = "UPDATE token SET probe_at_us = $2 WHERE id = $1 AND probe_at_us IS NULL";
const MOVE_PROBE: &str = "UPDATE token SET probe_at_us = $3 WHERE id = $1 AND probe_at_us = $2";
const HASTEN_PROBE: &str = "UPDATE token SET probe_at_us = $2 WHERE id = $1 AND COALESCE(probe_at_us, $2 + 1) > $2";
const PUT_CHECK: &str = "UPDATE token SET checked_at_us = $2, check_outcome = $3, probe_at_us = $4 WHERE id = $1";
const FIND_CHECK: &str = "SELECT checked_at_us, check_outcome FROM token WHERE id = $1 AND checked_at_us IS NOT NULL";

#[async_trait]
impl<D: Database> ProbeStore for D {
    async fn next_probes(&self, network: &NetworkId, limit: u32) -> Result<Vec<(TokenId, Timestamp)>, StoreError> {
        let values = values![network, limit];
        self.read(move |tx| {
            Box::pin(async move {
                let rows = tx.rows(NEXT_PROBES, values).await?;
                rows.into_iter().map(|mut row| Ok((row.id(TokenId::from_slice)?, row.time()?))).collect()
            })
        })
        .await
    }

    async fn unscheduled_probes(&self, network: &NetworkId, limit: u32) -> Result<Vec<TokenId>, StoreError> {
        let values = values![network, limit];
        self.read(move |tx| {
            Box::pin(async move {
                let rows = tx.rows(UNSCHEDULED_PROBES, values).await?;
                rows.into_iter().map(|mut row| row.id(TokenId::from_slice)).collect()
            })
        })
        .await
    }

    async fn schedule_probes(&self, first: Vec<(TokenId, Timestamp)>) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                for (token, at) in &first {
                    tx.execute(SCHEDULE_PROBE, values![*token, *at]).await?;
                }
                Ok(())
            })
        })
        .await
    }

    async fn move_probe(&self, token: TokenId, seen: Timestamp, to: Timestamp) -> Result<bool, StoreError> {
        let values = values![token, seen, to];
        self.write(move |tx| Box::pin(async move { Ok(tx.execute(MOVE_PROBE, values).await? > 0) })).await
    }

    async fn hasten_probe(&self, token: TokenId, at: Timestamp) -> Result<(), StoreError> {
        let values = values![token, at];
        self.write(move |tx| Box::pin(async move { tx.execute(HASTEN_PROBE, values).await.map(drop) })).await
    }

    async fn put_check(&self, token: TokenId, check: LastCheck, next: Timestamp) -> Result<(), StoreError> {
        let values = values![token, check.at, check.outcome.as_str(), next];
        self.write(move |tx| Box::pin(async move { tx.execute(PUT_CHECK, values).await.map(drop) })).await
    }

    async fn find_check(&self, token: TokenId) -> Result<Option<LastCheck>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move { first(tx, FIND_CHECK, values![token]).await?.map(last_check).transpose() })
        })
        .await
    }
}

fn last_check(mut row: Row) -> Result<LastCheck, StoreError> {
    let (at, outcome) = (row.time()?, row.text()?);
    let unknown = || StoreError::corrupt("an unknown outcome of a check");
    Ok(LastCheck { at, outcome: CheckOutcome::from_name(&outcome).ok_or_else(unknown)? })
}
