//! Changes of credit, applied in groups: all of a change or nothing of it.
//!
//! A group is first tried as a whole: [`TAKE_TOGETHER`] inserts the blocks of all its changes, or none if one bucket would be
//! exceeded. If not all fit, the transaction begins anew and each change is tried after the others, in a savepoint where it has
//! more than one conditional step. Rows that can't be refused (leases, audit, opened keys) are gathered and written for the whole
//! group in few statements; if one of them does not fit after all, each change is applied alone.
//!
//! On PostgreSQL two transactions could add up the same blocks. So the rows of all buckets are written first, in the order of their
//! keys ([`PUT_CAPS`], [`LOCK_BUCKETS`]), which makes the second transaction wait for the first; at READ COMMITTED the statement
//! that follows then sees the blocks of the first.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::base::clock::Timestamp;
use crate::base::ids::{BlockId, TokenId};
use crate::domain::audit::AuditEvent;
use crate::domain::credit::{BlockTake, BlockUpdate, BucketKey};
use crate::domain::lease::Lease;
use crate::store::StoreError;
use crate::store::audit::audit_statements;
use crate::store::credit::TakeBlocks;
use crate::store::idempotency::{DuplicateRequest, IdempotencyRecord, RequestError, insert_request, insert_requests};
use crate::store::lease::{leasable, lease_statements};
use crate::store::sql::{ManyRows, Statement, Tx, Value, first, values};

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

/// What became of each change of a group, in its order. The outer error is one of the database.
pub(crate) type Applied = Result<Vec<Result<(), CreditError>>, StoreError>;

/// Makes sure that the buckets exist, and locks their rows on PostgreSQL until the transaction ends.
static LOCK_BUCKETS: ManyRows = ManyRows::insert("bucket (key)", 1, "ON CONFLICT (key) DO UPDATE SET cap = bucket.cap");

/// The cap of the last block that was taken: what is charged later never exceeds it, which the doctor checks.
static PUT_CAPS: ManyRows =
    ManyRows::insert("bucket (key, cap)", 2, "ON CONFLICT (key) DO UPDATE SET cap = excluded.cap");

/// Takes a block if it fits: block, bucket, amount, cap, now, charged until.
const TAKE_BLOCK: &str = "INSERT INTO block (id, bucket, amount, taken_at_us, charged_until_us)
    SELECT $1, $2, $3, $5, $6 WHERE $3 <= $4 - (
        SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM block WHERE bucket = $2 AND charged_until_us > $5)";

/// Takes all blocks if all fit, else none: block, bucket, amount, cap, now, charged until. Where the changes disagree on a cap,
/// the lowest counts, and of their times the earliest: what fits then fits each of them.
static TAKE_TOGETHER: ManyRows = ManyRows::new(
    "WITH wish (id, bucket, amount, cap, now_us, until_us) AS (SELECT * FROM",
    6,
    "WHERE v.column1 IS NOT NULL) INSERT INTO block (id, bucket, amount, taken_at_us, charged_until_us)
     SELECT id, bucket, amount, now_us, until_us FROM wish WHERE NOT EXISTS (
        SELECT 1 FROM (SELECT bucket, SUM(amount) AS wanted, MIN(cap) AS cap, MIN(now_us) AS now_us
                       FROM wish GROUP BY bucket) AS w
        WHERE w.wanted > w.cap - (SELECT CAST(COALESCE(SUM(block.amount), 0) AS BIGINT) FROM block
                                  WHERE block.bucket = w.bucket AND block.charged_until_us > w.now_us))",
);

const CHARGED: &str =
    "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM block WHERE bucket = $1 AND charged_until_us > $2";

static LOWER_BLOCKS: ManyRows = ManyRows::new(
    "UPDATE block SET
        amount = CASE WHEN v.column2 < amount THEN v.column2 ELSE amount END,
        charged_until_us = CASE WHEN v.column3 < charged_until_us THEN v.column3 ELSE charged_until_us END
     FROM",
    3,
    "WHERE block.id = v.column1",
);

static PUT_KEYS: ManyRows = ManyRows::insert(
    "opened_key (bucket, key, charged_until_us)",
    3,
    "ON CONFLICT (bucket, key) DO UPDATE SET charged_until_us = excluded.charged_until_us
     WHERE excluded.charged_until_us > opened_key.charged_until_us",
);

/// Applies a group of changes, in the order of arrival, in as few steps as there can be. `None`: not all of them fit, and the caller
/// must begin the transaction anew for [`apply_one_by_one`]. After an error it must do so for [`apply_alone`], if the error
/// [`is_of_one_change`].
pub(crate) async fn apply_together(
    tx: &mut dyn Tx,
    changes: &[CreditChange],
) -> Result<Option<Vec<Result<(), CreditError>>>, StoreError> {
    let leasable = leasable_of(tx, changes).await?;
    let results: Vec<_> = changes.iter().map(|change| must_be_leasable(change, &leasable)).collect();
    if !conditions_together(tx, accepted(changes, &results)).await? {
        return Ok(None);
    }
    write_accepted(tx, accepted(changes, &results)).await?;
    Ok(Some(results))
}

/// Applies a group of changes, in the order of arrival, each if it fits after those before it. After an error the caller must
/// begin the transaction anew.
pub(crate) async fn apply_one_by_one(tx: &mut dyn Tx, changes: &[CreditChange]) -> Applied {
    let leasable = leasable_of(tx, changes).await?;
    lock_buckets(tx, changes).await?;
    let mut results = Vec::with_capacity(changes.len());
    for change in changes {
        results.push(match must_be_leasable(change, &leasable) {
            Ok(()) => settle_alone(tx, change).await?,
            refused => refused,
        });
    }
    put_caps(tx, accepted(changes, &results)).await?;
    write_accepted(tx, accepted(changes, &results)).await?;
    Ok(results)
}

/// Applies each change of a group in a savepoint of its own, so that an error of one is no other's.
pub(crate) async fn apply_alone(tx: &mut dyn Tx, changes: &[CreditChange]) -> Applied {
    let mut results = Vec::with_capacity(changes.len());
    for change in changes {
        tx.execute("SAVEPOINT alone", vec![]).await?;
        let result = match apply_one_by_one(tx, std::slice::from_ref(change)).await {
            Ok(mut one) => one.pop().expect("one change has one result"),
            Err(error) if is_of_one_change(&error) => {
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

/// Whether an error of a group may be the fault of one of its changes.
pub(crate) fn is_of_one_change(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict { .. } | StoreError::Statement(_))
}

/// The changes that were not refused.
fn accepted<'c>(
    changes: &'c [CreditChange],
    results: &'c [Result<(), CreditError>],
) -> impl Iterator<Item = &'c CreditChange> + Clone {
    changes.iter().zip(results).filter(|(_, result)| result.is_ok()).map(|(change, _)| change)
}

async fn leasable_of(tx: &mut dyn Tx, changes: &[CreditChange]) -> Result<HashSet<TokenId>, StoreError> {
    let leases = changes.iter().filter_map(|change| change.lease.as_ref());
    leasable(tx, leases.map(|(lease, _)| lease.token).collect()).await
}

fn must_be_leasable(change: &CreditChange, leasable: &HashSet<TokenId>) -> Result<(), CreditError> {
    match &change.lease {
        Some((lease, _)) if !leasable.contains(&lease.token) => Err(CreditError::TokenEnded(lease.token)),
        _ => Ok(()),
    }
}

/// Writes what can't be refused.
async fn write_accepted<'c>(
    tx: &mut dyn Tx,
    changes: impl Iterator<Item = &'c CreditChange> + Clone + Send,
) -> Result<(), StoreError> {
    let leases = || changes.clone().filter_map(|change| change.lease.as_ref());
    let mut statements = key_statements(changes.clone());
    statements.extend(lease_statements(leases().map(|(lease, _)| lease)));
    statements.extend(audit_statements(tx, leases().map(|(_, event)| event)).await?);
    if !statements.is_empty() {
        tx.execute_all(statements).await?;
    }
    Ok(())
}

/// Runs the conditional steps of all changes at once. Returns whether they succeeded; if not, the caller must undo them.
async fn conditions_together<'c>(
    tx: &mut dyn Tx,
    changes: impl Iterator<Item = &'c CreditChange> + Clone,
) -> Result<bool, StoreError> {
    let request = |change: &'c CreditChange| change.request.as_ref().map(|request| (request, change.credit.now));
    if !insert_requests(tx, &changes.clone().filter_map(request).collect::<Vec<_>>()).await? {
        return Ok(false);
    }
    put_caps(tx, changes.clone()).await?;
    lower_blocks(tx, changes.clone().flat_map(|change| &change.credit.updates)).await?;
    let rows: Vec<_> =
        changes.flat_map(|change| change.credit.takes.iter().map(|take| row_of(take, change.credit.now))).collect();
    let wanted = rows.len() as u64;
    Ok(TAKE_TOGETHER.execute(tx, rows).await? == wanted)
}

fn row_of(take: &BlockTake, now: Timestamp) -> Vec<Value> {
    values![take.block, &*take.bucket, take.amount, take.cap, now, take.charged_until]
}

/// Tries the conditional steps of one change. The outer error ends the whole group.
async fn settle_alone(tx: &mut dyn Tx, change: &CreditChange) -> Result<Result<(), CreditError>, StoreError> {
    let TakeBlocks { takes, updates, .. } = &change.credit;
    let steps = takes.len() + usize::from(!updates.is_empty()) + usize::from(change.request.is_some());
    if steps <= 1 {
        return conditions_alone(tx, change).await;
    }
    tx.execute("SAVEPOINT change", vec![]).await?;
    let result = conditions_alone(tx, change).await?;
    if result.is_err() {
        tx.execute("ROLLBACK TO SAVEPOINT change", vec![]).await?;
    }
    tx.execute("RELEASE SAVEPOINT change", vec![]).await?;
    Ok(result)
}

async fn conditions_alone(tx: &mut dyn Tx, change: &CreditChange) -> Result<Result<(), CreditError>, StoreError> {
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
        if tx.execute(TAKE_BLOCK, row_of(take, now)).await? == 0 {
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
pub(super) async fn lower_blocks(
    tx: &mut dyn Tx,
    updates: impl IntoIterator<Item = &BlockUpdate>,
) -> Result<(), StoreError> {
    let mut lowest: BTreeMap<BlockId, (u64, Timestamp)> = BTreeMap::new();
    for update in updates {
        let (amount, until) = lowest.entry(update.block).or_insert((update.amount, update.charged_until));
        (*amount, *until) = ((*amount).min(update.amount), (*until).min(update.charged_until));
    }
    let row = |(block, (amount, until)): (BlockId, (u64, Timestamp))| values![block, amount, until];
    LOWER_BLOCKS.execute(tx, lowest.into_iter().map(row).collect()).await?;
    Ok(())
}

async fn lock_buckets(tx: &mut dyn Tx, changes: &[CreditChange]) -> Result<(), StoreError> {
    let buckets: BTreeSet<&str> =
        changes.iter().flat_map(|change| &change.credit.takes).map(|take| &*take.bucket).collect();
    LOCK_BUCKETS.execute(tx, buckets.into_iter().map(|bucket| values![bucket]).collect()).await?;
    Ok(())
}

async fn put_caps<'c>(tx: &mut dyn Tx, changes: impl Iterator<Item = &'c CreditChange>) -> Result<(), StoreError> {
    let last: BTreeMap<&str, u64> =
        changes.flat_map(|change| &change.credit.takes).map(|take| (&*take.bucket, take.cap)).collect();
    PUT_CAPS.execute(tx, last.into_iter().map(|(bucket, cap)| values![bucket, cap]).collect()).await?;
    Ok(())
}

fn key_statements<'c>(changes: impl Iterator<Item = &'c CreditChange>) -> Vec<Statement> {
    let mut longest: HashMap<(&str, &str), Timestamp> = HashMap::new();
    for key in changes.flat_map(|change| &change.credit.keys) {
        let until = longest.entry((&*key.bucket, &key.key)).or_insert(key.charged_until);
        *until = (*until).max(key.charged_until);
    }
    let row = |((bucket, key), until): ((&str, &str), Timestamp)| values![bucket, key, until];
    PUT_KEYS.statements(longest.into_iter().map(row).collect())
}
