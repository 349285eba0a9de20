//! SQLite: one file in one data directory, one process, one writer.
//!
//! The writer has its own thread and commits many callers' changes with one fsync (`writer`). Readers have connections of
//! their own, which can't write. WAL with `synchronous=FULL`: what was acknowledged survives power loss.

mod connection;
mod migrate;
mod open;
#[cfg(test)]
mod plan;
mod text;
mod writer;

#[cfg(test)]
mod tampering;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::SqlitePool;

use crate::store::StoreError;
use crate::store::audit::AuditKey;
use crate::store::credit::{CreditChange, CreditError};
use crate::store::database::{Database, EngineFact};
use crate::store::sql::Tx;
use connection::SqliteTx;
pub use open::SqliteOptions;
use writer::Writer;

/// How often the log is tried to be emptied while somebody reads an older state, and how long others are let in between.
const EMPTYING_TRIES: u32 = 10;
const EMPTYING_PAUSE: Duration = Duration::from_millis(100);

/// The store in SQLite.
pub struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
    audit_key: Arc<OnceLock<AuditKey>>,
}

/// What one group commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitStats {
    /// The changes in it.
    pub changes: usize,
    /// From the first statement to the end of the fsync.
    pub took: Duration,
    /// The changes that were still waiting when it was done.
    pub waiting: usize,
    /// Whether it became durable.
    pub durable: bool,
}

/// Is told of every group commit. It runs on the writer's thread and must return at once.
pub type OnCommit = Arc<dyn Fn(CommitStats) + Send + Sync>;

#[async_trait]
impl Database for SqliteStore {
    async fn write<T, E, W>(&self, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        W: for<'t> FnOnce(&'t mut dyn Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        self.writer.write(work).await
    }

    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut dyn Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        let mut reader = self.readers.acquire().await.map_err(connection::translate)?;
        let mut tx = SqliteTx::new(&mut reader, &self.audit_key);
        work(&mut tx).await
    }

    async fn change_credit(&self, change: CreditChange) -> Result<(), CreditError> {
        self.writer.change_credit(change).await
    }

    fn set_audit_key(&self, key: AuditKey) {
        self.audit_key.get_or_init(|| key);
    }

    async fn engine_facts(&self) -> Result<Vec<EngineFact>, StoreError> {
        open::facts(&self.readers).await
    }

    async fn empty_log(&self) -> Result<(), StoreError> {
        let mut emptied = self.writer.empty_log().await;
        for _ in 1..EMPTYING_TRIES {
            if !matches!(emptied, Err(StoreError::Unavailable(_))) {
                break;
            }
            tokio::time::sleep(EMPTYING_PAUSE).await;
            emptied = self.writer.empty_log().await;
        }
        emptied
    }

    fn is_writable(&self) -> bool {
        self.writer.accepts()
    }

    async fn shut(&self) {
        self.readers.close().await;
        self.writer.shut().await;
    }
}
