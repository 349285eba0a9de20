//! Facts about the installation itself.

use async_trait::async_trait;

use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::sql::{Tx, first, values};

/// A fact about the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetaName {
    /// Tells installations apart.
    InstallId,
    /// The fingerprint of the key-encryption key, so that a wrong key is found out at the start.
    KekFingerprint,
    /// What ties the broker's clock to the machine's uptime, so that a clock that was set is found out at the start.
    ClockAnchor,
    /// The key by which push services know the broker, sealed.
    PushKey,
}

impl MetaName {
    const fn as_str(self) -> &'static str {
        match self {
            MetaName::InstallId => "install_id",
            MetaName::KekFingerprint => "kek_fingerprint",
            MetaName::ClockAnchor => "clock_anchor",
            MetaName::PushKey => "push_key",
        }
    }
}

/// Facts about the installation, and the store's own life.
#[async_trait]
pub trait MetaStore: Send + Sync {
    /// The version of the schema.
    async fn schema_version(&self) -> Result<i64, StoreError>;
    /// The fact of that name.
    async fn find_meta(&self, name: MetaName) -> Result<Option<Vec<u8>>, StoreError>;
    /// Writes a fact, unless there is one: then that one is returned and stays.
    async fn init_meta(&self, name: MetaName, value: Vec<u8>) -> Result<Vec<u8>, StoreError>;
    /// Writes a fact in the place of the present one.
    async fn put_meta(&self, name: MetaName, value: Vec<u8>) -> Result<(), StoreError>;
    /// Shows that the store can make a change durable now; the way of every other change.
    async fn check_write(&self) -> Result<(), StoreError>;
    /// Whether changes are accepted, as far as is known without trying.
    fn accepts_writes(&self) -> bool;
    /// Finishes what was handed over and lets the database go. Further calls fail.
    async fn close(&self);
}

const FIND_META: &str = "SELECT value FROM meta WHERE name = $1";
const INIT_META: &str = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
const PUT_META: &str =
    "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";

#[async_trait]
impl<D: Database> MetaStore for D {
    async fn schema_version(&self) -> Result<i64, StoreError> {
        let value = find(self, "schema_version").await?.unwrap_or_default();
        let text = String::from_utf8(value).unwrap_or_default();
        text.parse().map_err(|_| StoreError::corrupt("a schema version that is not a number"))
    }

    async fn find_meta(&self, name: MetaName) -> Result<Option<Vec<u8>>, StoreError> {
        find(self, name.as_str()).await
    }

    async fn init_meta(&self, name: MetaName, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.execute(INIT_META, values![name.as_str(), value]).await?;
                let row = first(tx, FIND_META, values![name.as_str()]).await?;
                row.ok_or_else(|| StoreError::not_found(name.as_str()))?.blob()
            })
        })
        .await
    }

    async fn put_meta(&self, name: MetaName, value: Vec<u8>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(put_meta(tx, name, value))).await
    }

    async fn check_write(&self) -> Result<(), StoreError> {
        let values = values!["write_check", Vec::new()];
        self.write(move |tx| Box::pin(async move { tx.execute(PUT_META, values).await.map(drop) })).await
    }

    fn accepts_writes(&self) -> bool {
        self.is_writable()
    }

    async fn close(&self) {
        self.shut().await;
    }
}

/// Writes a fact in the place of the present one.
pub(crate) async fn put_meta(tx: &mut dyn Tx, name: MetaName, value: Vec<u8>) -> Result<(), StoreError> {
    tx.execute(PUT_META, values![name.as_str(), value]).await.map(drop)
}

async fn find(database: &impl Database, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
    database
        .read(move |tx| {
            Box::pin(async move { first(tx, FIND_META, values![name]).await?.map(|mut row| row.blob()).transpose() })
        })
        .await
}
