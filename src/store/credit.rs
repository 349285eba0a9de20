//! Blocks, buckets, opened keys: the durable side of credit, and the one statement that decides.
//!
//! **No over-grant.** A block is inserted by a statement that adds up the charged blocks of its bucket and inserts nothing
//! if the cap would be exceeded. On SQLite one writer runs one statement after another, so the sum can't be stale; how the same
//! holds on PostgreSQL, `change` tells, where credit is taken.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::BlockId;
use crate::domain::credit::{BlockTake, BlockUpdate, BucketKey, BucketNote, OpenedKey};
use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::sql::{ManyRows, Row, values};

mod change;

use change::lower_blocks;
pub(crate) use change::{
    Applied, CreditChange, CreditError, apply_alone, apply_one_by_one, apply_together, is_of_one_change,
};

/// A block as it is charged now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// Its id.
    pub id: BlockId,
    /// Its bucket.
    pub bucket: BucketKey,
    /// What is charged, in units of the bucket.
    pub amount: u64,
    /// Until when.
    pub charged_until: Timestamp,
}

/// A change of credit without a lease: a top-up.
#[derive(Debug, Clone, Default)]
pub struct TakeBlocks {
    /// The blocks to take, all or none.
    pub takes: Vec<BlockTake>,
    /// Blocks that are charged less; applied before the blocks are taken.
    pub updates: Vec<BlockUpdate>,
    /// Keys that were opened.
    pub keys: Vec<OpenedKey>,
    /// The present: blocks charged until then or earlier no longer count.
    pub now: Timestamp,
}

/// Why blocks were not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TakeBlocksError {
    /// A bucket does not have that much left.
    #[error("bucket '{bucket}' has {charged} units charged; wait until some are free again")]
    BucketFull {
        /// The bucket.
        bucket: BucketKey,
        /// The sum of its charged blocks.
        charged: u64,
    },
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The durable side of credit.
#[async_trait]
pub trait CreditStore: Send + Sync {
    /// Takes blocks, lowers others and notes keys; all or nothing.
    async fn take_blocks(&self, take: TakeBlocks) -> Result<(), TakeBlocksError>;
    /// Lowers blocks. Neither an amount nor a time is ever raised; a block that is gone is passed over.
    async fn update_blocks(&self, updates: Vec<BlockUpdate>) -> Result<(), StoreError>;
    /// The blocks that are charged after `now`, by bucket.
    async fn live_blocks(&self, now: Timestamp) -> Result<Vec<StoredBlock>, StoreError>;
    /// The keys that are open after `now`, by bucket.
    async fn live_keys(&self, now: Timestamp) -> Result<Vec<OpenedKey>, StoreError>;
    /// The notes of all buckets that have one.
    async fn notes(&self) -> Result<Vec<BucketNote>, StoreError>;
    /// Writes notes; the last one of a bucket stays.
    async fn put_notes(&self, notes: Vec<BucketNote>) -> Result<(), StoreError>;
    /// Deletes at most `limit` blocks and `limit` keys that are no longer charged, and as many blocks that hold nothing; how many.
    async fn prune_credit(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

static PUT_NOTES: ManyRows = ManyRows::insert(
    "bucket (key, cooling_until_us, learned_limit, window_ends_at_us)",
    4,
    "ON CONFLICT (key) DO UPDATE SET cooling_until_us = excluded.cooling_until_us,
     learned_limit = excluded.learned_limit, window_ends_at_us = excluded.window_ends_at_us",
);

const LIVE_BLOCKS: &str = "SELECT id, bucket, amount, charged_until_us FROM block
    WHERE charged_until_us > $1 AND amount > 0 ORDER BY bucket, charged_until_us";
const LIVE_KEYS: &str =
    "SELECT bucket, key, charged_until_us FROM opened_key WHERE charged_until_us > $1 ORDER BY bucket, key";
const NOTES: &str = "SELECT key, cooling_until_us, learned_limit, window_ends_at_us FROM bucket
    WHERE cooling_until_us IS NOT NULL OR learned_limit IS NOT NULL OR window_ends_at_us IS NOT NULL ORDER BY key";
const PRUNE_BLOCKS: &str = "DELETE FROM block WHERE id IN (
    SELECT id FROM block WHERE charged_until_us <= $1 LIMIT $2)";
const PRUNE_EMPTY: &str = "DELETE FROM block WHERE id IN (SELECT id FROM block WHERE amount = 0 LIMIT $1)";
const PRUNE_KEYS: &str = "DELETE FROM opened_key WHERE charged_until_us <= $1 AND (bucket, key) IN (
    SELECT bucket, key FROM opened_key WHERE charged_until_us <= $1 LIMIT $2)";

#[async_trait]
impl<D: Database> CreditStore for D {
    async fn take_blocks(&self, take: TakeBlocks) -> Result<(), TakeBlocksError> {
        let change = CreditChange { lease: None, credit: take, request: None };
        self.change_credit(change).await.map_err(|error| match error {
            CreditError::BucketFull { bucket, charged } => TakeBlocksError::BucketFull { bucket, charged },
            CreditError::Store(error) => error.into(),
            CreditError::Duplicate(_) | CreditError::TokenEnded(_) => {
                unreachable!("a top-up has neither a request nor a lease")
            }
        })
    }

    async fn update_blocks(&self, updates: Vec<BlockUpdate>) -> Result<(), StoreError> {
        if updates.is_empty() {
            return Ok(());
        }
        self.write(move |tx| Box::pin(async move { lower_blocks(tx, &updates).await })).await
    }

    async fn live_blocks(&self, now: Timestamp) -> Result<Vec<StoredBlock>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move { tx.rows(LIVE_BLOCKS, values![now]).await?.into_iter().map(block).collect() })
        })
        .await
    }

    async fn live_keys(&self, now: Timestamp) -> Result<Vec<OpenedKey>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move { tx.rows(LIVE_KEYS, values![now]).await?.into_iter().map(opened_key).collect() })
        })
        .await
    }

    async fn notes(&self) -> Result<Vec<BucketNote>, StoreError> {
        self.read(|tx| Box::pin(async move { tx.rows(NOTES, vec![]).await?.into_iter().map(note).collect() })).await
    }

    async fn put_notes(&self, notes: Vec<BucketNote>) -> Result<(), StoreError> {
        let last: BTreeMap<BucketKey, BucketNote> =
            notes.into_iter().map(|note| (BucketKey::clone(&note.bucket), note)).collect();
        let row =
            |note: BucketNote| values![&*note.bucket, note.cooling_until, note.learned_limit, note.window_ends_at];
        let rows: Vec<_> = last.into_values().map(row).collect();
        if rows.is_empty() {
            return Ok(());
        }
        self.write(move |tx| Box::pin(async move { PUT_NOTES.execute(tx, rows).await.map(drop) })).await
    }

    async fn prune_credit(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let spent = tx.execute(PRUNE_BLOCKS, values![now, limit]).await?;
                let empty = tx.execute(PRUNE_EMPTY, values![limit]).await?;
                Ok(spent + empty + tx.execute(PRUNE_KEYS, values![now, limit]).await?)
            })
        })
        .await
    }
}

fn block(mut row: Row) -> Result<StoredBlock, StoreError> {
    Ok(StoredBlock {
        id: row.id(BlockId::from_slice)?,
        bucket: row.text()?.into(),
        amount: row.count()?,
        charged_until: row.time()?,
    })
}

fn opened_key(mut row: Row) -> Result<OpenedKey, StoreError> {
    Ok(OpenedKey { bucket: row.text()?.into(), key: row.text()?, charged_until: row.time()? })
}

fn note(mut row: Row) -> Result<BucketNote, StoreError> {
    Ok(BucketNote {
        bucket: row.text()?.into(),
        cooling_until: row.maybe_time()?,
        learned_limit: row.maybe_count()?,
        window_ends_at: row.maybe_time()?,
    })
}
