//! What a database must do so that the nouns can be kept in it: run work in a transaction, read, and commit many openings
//! of leases at once.
//!
//! Every noun's trait is implemented once, over this. SQLite and PostgreSQL differ only in their implementation of it.

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::store::StoreError;
use crate::store::audit::AuditKey;
use crate::store::credit::{CreditChange, CreditError};
use crate::store::sql::Tx;

/// A database that holds the broker's state.
#[async_trait]
pub(crate) trait Database: Send + Sync + 'static {
    /// Runs `work` in a transaction. If it fails, nothing of it stays. Once it was handed over it is finished, even if the
    /// caller goes away; its answer comes after the commit.
    async fn write<T, E, W>(&self, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        W: for<'t> FnOnce(&'t mut dyn Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static;

    /// Runs `work` on a consistent connection that can't write.
    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut dyn Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static;

    /// Applies a change of credit, together with those of other callers in one commit. All or nothing.
    async fn change_credit(&self, change: CreditChange) -> Result<(), CreditError>;

    /// Gives the key that chains the audit to all transactions from now on. The first one stays.
    fn set_audit_key(&self, key: AuditKey);

    /// Facts about the engine itself: `(name, value, as it should be)`.
    async fn engine_facts(&self) -> Result<Vec<EngineFact>, StoreError>;

    /// Empties what the engine keeps beside the database of earlier changes, so that overwritten content is nowhere in its files.
    /// [`StoreError::Unavailable`] while somebody reads an older state.
    async fn empty_log(&self) -> Result<(), StoreError>;

    /// Whether writes are accepted.
    fn is_writable(&self) -> bool;

    /// Finishes what was handed over, then ends the writer and lets the files go.
    async fn shut(&self);
}

/// One setting of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineFact {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) value: String,
    /// Whether it is as the broker needs it.
    pub(crate) right: bool,
}
