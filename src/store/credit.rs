//! Blocks, buckets, opened keys: the durable side of credit, and the one statement that decides.
//!
//! **No over-grant.** A block is inserted by a statement that adds up the charged blocks of its bucket and inserts nothing
//! if the cap would be exceeded. On SQLite one writer runs one statement after another, so the sum can't be stale. On
//! PostgreSQL two transactions could read the same sum, so [`LOCK_BUCKETS`] comes first: it writes the bucket's row, which
//! makes the second transaction wait for the first; at READ COMMITTED the following statement then sees the block of the
//! first. Rows are locked in the order of their keys, so no two transactions wait for each other.
//!
//! **All or nothing.** A group is first tried as a whole: [`TAKE_TOGETHER`] inserts the blocks of all its changes, or none if one
//! bucket would be exceeded. Then each change is tried by itself, in a savepoint where it has more than one conditional step.
//! Rows that can't be refused (leases, audit, opened keys) are gathered and written for the whole group in few statements; if
//! one of them does not fit after all, the group is undone and each change is tried alone.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{BlockId, TokenId};
use crate::domain::audit::AuditEvent;
use crate::domain::credit::{BlockTake, BlockUpdate, BucketKey, BucketNote, OpenedKey};
use crate::domain::lease::Lease;
use crate::store::StoreError;
use crate::store::audit::insert_audit;
use crate::store::database::Database;
use crate::store::idempotency::{DuplicateRequest, IdempotencyRecord, RequestError, insert_request, insert_requests};
use crate::store::lease::{insert_leases, leasable};
use crate::store::sql::{ManyRows, Row, Tx, first, values};

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
    /// Deletes at most `limit` blocks and `limit` keys that are no longer charged; how many.
    async fn prune_credit(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// One change of credit: an opened lease, or a top-up.
#[derive(Debug, Clone)]
pub(crate) struct CreditChange {
    pub(crate) lease: Option<(Lease, AuditEvent)>,
    pub(crate) credit: TakeBlocks,
    pub(crate) request: Option<IdempotencyRecord>,
}

/// Why a change of credit was refused.
#[derive(Debug, Clone)]
pub(crate) enum CreditError {
    BucketFull { bucket: BucketKey, charged: u64 },
    Duplicate(DuplicateRequest),
    TokenEnded(TokenId),
    Store(StoreError),
}

impl From<StoreError> for CreditError {
    fn from(error: StoreError) -> Self {
        CreditError::Store(error)
    }
}

/// Makes sure that the buckets exist, and locks their rows on PostgreSQL until the transaction ends.
static LOCK_BUCKETS: ManyRows =
    ManyRows::new("INSERT INTO bucket (key) VALUES", 1, "ON CONFLICT (key) DO UPDATE SET cap = bucket.cap");

/// Takes a block if it fits: block, bucket, amount, cap, now, charged until.
const TAKE_BLOCK: &str = "INSERT INTO block (id, bucket, amount, taken_at_us, charged_until_us)
    SELECT $1, $2, $3, $5, $6 WHERE $3 <= $4 - (
        SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM block WHERE bucket = $2 AND charged_until_us > $5)";

/// Takes all blocks if all fit, else none: block, bucket, amount, cap, now, charged until. Where the changes disagree on a cap,
/// the lowest counts, and of their times the earliest: what fits then fits each of them.
static TAKE_TOGETHER: ManyRows = ManyRows::new(
    "WITH v (id, bucket, amount, cap, now_us, until_us) AS (VALUES",
    6,
    ") INSERT INTO block (id, bucket, amount, taken_at_us, charged_until_us)
     SELECT id, bucket, amount, now_us, until_us FROM v WHERE NOT EXISTS (
        SELECT 1 FROM (SELECT bucket, SUM(amount) AS wanted, MIN(cap) AS cap, MIN(now_us) AS now_us
                       FROM v GROUP BY bucket) AS w
        WHERE w.wanted > w.cap - (SELECT CAST(COALESCE(SUM(block.amount), 0) AS BIGINT) FROM block
                                  WHERE block.bucket = w.bucket AND block.charged_until_us > w.now_us))",
);

const CHARGED: &str =
    "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM block WHERE bucket = $1 AND charged_until_us > $2";

/// The cap of the last block that was taken: what is charged later never exceeds it, which the doctor checks.
static PUT_CAPS: ManyRows =
    ManyRows::new("INSERT INTO bucket (key, cap) VALUES", 2, "ON CONFLICT (key) DO UPDATE SET cap = excluded.cap");

static LOWER_BLOCKS: ManyRows = ManyRows::new(
    "UPDATE block SET
        amount = CASE WHEN v.column2 < amount THEN v.column2 ELSE amount END,
        charged_until_us = CASE WHEN v.column3 < charged_until_us THEN v.column3 ELSE charged_until_us END
     FROM (VALUES",
    3,
    ") AS v WHERE block.id = v.column1",
);

static PUT_KEYS: ManyRows = ManyRows::new(
    "INSERT INTO opened_key (bucket, key, charged_until_us) VALUES",
    3,
    "ON CONFLICT (bucket, key) DO UPDATE SET charged_until_us = excluded.charged_until_us
     WHERE excluded.charged_until_us > opened_key.charged_until_us",
);

static PUT_NOTES: ManyRows = ManyRows::new(
    "INSERT INTO bucket (key, cooling_until_us, learned_limit, window_ends_at_us) VALUES",
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
    SELECT id FROM block WHERE charged_until_us <= $1 OR amount = 0 LIMIT $2)";
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
                let blocks = tx.execute(PRUNE_BLOCKS, values![now, limit]).await?;
                Ok(blocks + tx.execute(PRUNE_KEYS, values![now, limit]).await?)
            })
        })
        .await
    }
}

/// Applies a group of changes in the order of arrival. An error of the whole is an error of the database; whatever concerns
/// one change only is in its own result.
pub(crate) async fn apply(
    tx: &mut dyn Tx,
    changes: &[CreditChange],
) -> Result<Vec<Result<(), CreditError>>, StoreError> {
    tx.execute("SAVEPOINT credit", vec![]).await?;
    let mut applied = apply_together(tx, changes).await;
    if applied.is_err() {
        tx.execute("ROLLBACK TO SAVEPOINT credit", vec![]).await?;
    }
    if let Err(StoreError::Conflict { .. } | StoreError::Statement(_)) = &applied {
        applied = apply_alone(tx, changes).await;
    }
    tx.execute("RELEASE SAVEPOINT credit", vec![]).await?;
    applied
}

async fn apply_alone(tx: &mut dyn Tx, changes: &[CreditChange]) -> Result<Vec<Result<(), CreditError>>, StoreError> {
    let mut results = Vec::with_capacity(changes.len());
    for change in changes {
        tx.execute("SAVEPOINT alone", vec![]).await?;
        let result = match apply_together(tx, std::slice::from_ref(change)).await {
            Ok(mut one) => one.pop().expect("one change has one result"),
            Err(error @ (StoreError::Conflict { .. } | StoreError::Statement(_))) => {
                tx.execute("ROLLBACK TO SAVEPOINT alone", vec![]).await?;
                Err(error.into())
            }
            Err(error) => return Err(error),
        };
        tx.execute("RELEASE SAVEPOINT alone", vec![]).await?;
        results.push(result);
    }
    Ok(results)
}

async fn apply_together(tx: &mut dyn Tx, changes: &[CreditChange]) -> Result<Vec<Result<(), CreditError>>, StoreError> {
    lock_buckets(tx, changes).await?;
    let wanted: Vec<TokenId> =
        changes.iter().filter_map(|change| change.lease.as_ref()).map(|(lease, _)| lease.token).collect();
    let leasable = leasable(tx, wanted).await?;
    let ended = |change: &CreditChange| {
        change.lease.as_ref().map(|(lease, _)| lease.token).filter(|token| !leasable.contains(token))
    };
    let candidates: Vec<&CreditChange> = changes.iter().filter(|change| ended(change).is_none()).collect();
    let all_fit = candidates.len() > 1 && settle_together(tx, &candidates).await?;
    let mut results = Vec::with_capacity(changes.len());
    for change in changes {
        results.push(match ended(change) {
            Some(token) => Err(CreditError::TokenEnded(token)),
            None if all_fit => Ok(()),
            None => settle_conditions(tx, change).await?,
        });
    }
    let accepted = || changes.iter().zip(&results).filter(|(_, result)| result.is_ok()).map(|(change, _)| change);
    put_caps(tx, accepted()).await?;
    put_keys(tx, accepted()).await?;
    let (leases, events): (Vec<&Lease>, Vec<&AuditEvent>) =
        accepted().filter_map(|change| change.lease.as_ref()).map(|(lease, event)| (lease, event)).unzip();
    insert_leases(tx, leases).await?;
    insert_audit(tx, events).await?;
    Ok(results)
}

async fn lock_buckets(tx: &mut dyn Tx, changes: &[CreditChange]) -> Result<(), StoreError> {
    let mut buckets: Vec<&str> =
        changes.iter().flat_map(|change| &change.credit.takes).map(|take| &*take.bucket).collect();
    buckets.sort_unstable();
    buckets.dedup();
    LOCK_BUCKETS.execute(tx, buckets.into_iter().map(|bucket| values![bucket]).collect()).await?;
    Ok(())
}

/// Tries the conditional steps of all changes at once. Returns whether they succeeded; if not, none of them stays.
async fn settle_together(tx: &mut dyn Tx, changes: &[&CreditChange]) -> Result<bool, StoreError> {
    tx.execute("SAVEPOINT together", vec![]).await?;
    let all_fit = conditions_together(tx, changes).await?;
    if !all_fit {
        tx.execute("ROLLBACK TO SAVEPOINT together", vec![]).await?;
    }
    tx.execute("RELEASE SAVEPOINT together", vec![]).await?;
    Ok(all_fit)
}

async fn conditions_together(tx: &mut dyn Tx, changes: &[&CreditChange]) -> Result<bool, StoreError> {
    let requests: Vec<_> = changes
        .iter()
        .filter_map(|change| change.request.as_ref().map(|request| (request, change.credit.now)))
        .collect();
    if !insert_requests(tx, &requests).await? {
        return Ok(false);
    }
    lower_blocks(tx, changes.iter().flat_map(|change| &change.credit.updates)).await?;
    let row =
        |take: &BlockTake, now| values![take.block, &*take.bucket, take.amount, take.cap, now, take.charged_until];
    let rows: Vec<_> = changes
        .iter()
        .flat_map(|change| change.credit.takes.iter().map(move |take| row(take, change.credit.now)))
        .collect();
    let wanted = rows.len() as u64;
    Ok(TAKE_TOGETHER.execute(tx, rows).await? == wanted)
}

/// The steps of one change that may refuse it. The outer error ends the whole group.
async fn settle_conditions(tx: &mut dyn Tx, change: &CreditChange) -> Result<Result<(), CreditError>, StoreError> {
    let TakeBlocks { takes, updates, .. } = &change.credit;
    let steps = takes.len() + usize::from(!updates.is_empty()) + usize::from(change.request.is_some());
    if steps <= 1 {
        return conditions(tx, change).await;
    }
    tx.execute("SAVEPOINT change", vec![]).await?;
    let result = conditions(tx, change).await?;
    if result.is_err() {
        tx.execute("ROLLBACK TO SAVEPOINT change", vec![]).await?;
    }
    tx.execute("RELEASE SAVEPOINT change", vec![]).await?;
    Ok(result)
}

async fn conditions(tx: &mut dyn Tx, change: &CreditChange) -> Result<Result<(), CreditError>, StoreError> {
    let now = change.credit.now;
    if let Some(request) = &change.request {
        match insert_request(tx, request, now).await {
            Ok(()) => {}
            Err(RequestError::Duplicate(duplicate)) => return Ok(Err(CreditError::Duplicate(duplicate))),
            Err(RequestError::Store(error)) => return Err(error),
        }
    }
    lower_blocks(tx, &change.credit.updates).await?;
    for take in &change.credit.takes {
        let values = values![take.block, &*take.bucket, take.amount, take.cap, now, take.charged_until];
        if tx.execute(TAKE_BLOCK, values).await? == 0 {
            let charged = charged(tx, &take.bucket, now).await?;
            return Ok(Err(CreditError::BucketFull { bucket: BucketKey::clone(&take.bucket), charged }));
        }
    }
    Ok(Ok(()))
}

async fn charged(tx: &mut dyn Tx, bucket: &str, now: Timestamp) -> Result<u64, StoreError> {
    let row = first(tx, CHARGED, values![bucket, now]).await?;
    row.map_or(Ok(0), |mut row| row.count())
}

/// Writes the lower amounts. Of several updates of one block the lowest holds.
async fn lower_blocks(tx: &mut dyn Tx, updates: impl IntoIterator<Item = &BlockUpdate>) -> Result<(), StoreError> {
    let mut lowest: BTreeMap<BlockId, (u64, Timestamp)> = BTreeMap::new();
    for update in updates {
        let (amount, until) = lowest.entry(update.block).or_insert((update.amount, update.charged_until));
        (*amount, *until) = ((*amount).min(update.amount), (*until).min(update.charged_until));
    }
    let row = |(block, (amount, until)): (BlockId, (u64, Timestamp))| values![block, amount, until];
    LOWER_BLOCKS.execute(tx, lowest.into_iter().map(row).collect()).await?;
    Ok(())
}

async fn put_caps<'c>(tx: &mut dyn Tx, changes: impl Iterator<Item = &'c CreditChange>) -> Result<(), StoreError> {
    let last: BTreeMap<&str, u64> =
        changes.flat_map(|change| &change.credit.takes).map(|take| (&*take.bucket, take.cap)).collect();
    PUT_CAPS.execute(tx, last.into_iter().map(|(bucket, cap)| values![bucket, cap]).collect()).await?;
    Ok(())
}

async fn put_keys<'c>(tx: &mut dyn Tx, changes: impl Iterator<Item = &'c CreditChange>) -> Result<(), StoreError> {
    let mut longest: HashMap<(&str, &str), Timestamp> = HashMap::new();
    for key in changes.flat_map(|change| &change.credit.keys) {
        let until = longest.entry((&*key.bucket, &key.key)).or_insert(key.charged_until);
        *until = (*until).max(key.charged_until);
    }
    let row = |((bucket, key), until): ((&str, &str), Timestamp)| values![bucket, key, until];
    PUT_KEYS.execute(tx, longest.into_iter().map(row).collect()).await?;
    Ok(())
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
