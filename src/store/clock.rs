//! What a machine whose clock was set means for the books: times that were written by the old clock, moved in one transaction.

use std::time::Duration;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::meta::{MetaName, put_meta};
use crate::store::sql::values;

/// The clock was set since the times in the store were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockStep {
    /// How far ahead of the old clock the new one is; zero if it is behind it.
    pub ahead: Duration,
    /// The present by the old clock: what had ended by then stays as it is.
    pub old_now: Timestamp,
    /// What to remember of the new clock, in the same transaction, so that no step is followed twice.
    pub anchor: Vec<u8>,
}

/// The part of the books that depends on the clock.
#[async_trait]
pub trait ClockStore: Send + Sync {
    /// Follows a step of the clock. Charges of credit, open keys, coolings and held leases end later by as much as the clock went
    /// ahead, and never earlier. Where windows end is forgotten: it was told by the old clock.
    async fn follow_clock(&self, step: ClockStep) -> Result<(), StoreError>;
}

/// Times that a step ahead moves: those after the old present ($2) that can be moved without leaving the range ($3).
const MOVE: [&str; 4] = [
    "UPDATE block SET charged_until_us = charged_until_us + $1 WHERE charged_until_us > $2 AND charged_until_us <= $3",
    "UPDATE opened_key SET charged_until_us = charged_until_us + $1
     WHERE charged_until_us > $2 AND charged_until_us <= $3",
    "UPDATE bucket SET cooling_until_us = cooling_until_us + $1 WHERE cooling_until_us > $2 AND cooling_until_us <= $3",
    "UPDATE lease SET use_by_us = use_by_us + $1, expires_at_us = expires_at_us + $1
     WHERE state = 'open' AND expires_at_us > $2 AND expires_at_us <= $3",
];
const FORGET_WINDOWS: &str = "UPDATE bucket SET window_ends_at_us = NULL WHERE window_ends_at_us IS NOT NULL";

#[async_trait]
impl<D: Database> ClockStore for D {
    async fn follow_clock(&self, step: ClockStep) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let by = i64::try_from(step.ahead.as_micros()).unwrap_or(i64::MAX);
                if by > 0 {
                    for sql in MOVE {
                        tx.execute(sql, values![by, step.old_now, i64::MAX - by]).await?;
                    }
                }
                tx.execute(FORGET_WINDOWS, values![]).await?;
                put_meta(tx, MetaName::ClockAnchor, step.anchor).await
            })
        })
        .await
    }
}
