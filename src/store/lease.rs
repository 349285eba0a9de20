//! Leases: opened in groups, closed once, kept until they are pruned.
//!
//! A lease is durable before it is acknowledged, and its audit row with it. A token that was revoked or is invalid is refused
//! here as well, in the transaction that opens the lease: no order of events can lease it after its end was acknowledged.

use std::collections::HashSet;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{CollectorId, LeaseId, NetworkId, TeamId, TokenId};
use crate::domain::audit::AuditEvent;
use crate::domain::credit::{BlockTake, BlockUpdate, BucketKey, OpenedKey};
use crate::domain::lease::{Lease, LeaseState};
use crate::domain::networks::Purpose;
use crate::store::StoreError;
use crate::store::audit::insert_audit;
use crate::store::credit::{CreditChange, CreditError, TakeBlocks};
use crate::store::database::Database;
use crate::store::idempotency::{DuplicateRequest, IdempotencyRecord};
use crate::store::sql::{ManyRows, Row, Statement, Tx, Value, first, values};

/// A lease to open, with everything that must become durable with it.
#[derive(Debug, Clone)]
pub struct OpenLease {
    /// The lease. Its `opened_at` is the present: blocks charged until then or earlier no longer count.
    pub lease: Lease,
    /// Its audit event.
    pub audit: AuditEvent,
    /// The blocks to take, all or none.
    pub takes: Vec<BlockTake>,
    /// Blocks that are charged less; applied before the blocks are taken.
    pub updates: Vec<BlockUpdate>,
    /// Keys that were opened.
    pub keys: Vec<OpenedKey>,
    /// The request, if its caller may repeat it.
    pub request: Option<IdempotencyRecord>,
}

/// Why a lease was not opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenLeaseError {
    /// A bucket does not have that much left.
    #[error("bucket '{bucket}' has {charged} units charged; wait until some are free again")]
    BucketFull {
        /// The bucket.
        bucket: BucketKey,
        /// The sum of its charged blocks.
        charged: u64,
    },
    /// The request was made before.
    #[error(transparent)]
    DuplicateRequest(DuplicateRequest),
    /// The token was revoked, is invalid, or is not stored.
    #[error("{token} was revoked, is invalid or does not exist; choose another token")]
    TokenEnded {
        /// The token.
        token: TokenId,
    },
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseLease {
    /// The lease.
    pub lease: LeaseId,
    /// How it ended; never open.
    pub state: LeaseState,
    /// The calls that count as made.
    pub used: u64,
    /// When.
    pub at: Timestamp,
}

/// Which leases to list. All that are set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaseFilter {
    /// Only this team's.
    pub team: Option<TeamId>,
    /// Only this network's.
    pub network: Option<NetworkId>,
    /// Only leases on this token.
    pub token: Option<TokenId>,
    /// Only this collector's.
    pub collector: Option<CollectorId>,
    /// Only those in this state.
    pub state: Option<LeaseState>,
    /// Only those older than this one.
    pub before: Option<LeaseId>,
}

/// A lease with how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// The lease.
    pub lease: Lease,
    /// The calls that count as made; 0 while it is held.
    pub used: u64,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// What is kept of leases.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Opens a lease; all or nothing. Many callers share one commit.
    async fn open_lease(&self, open: OpenLease) -> Result<(), OpenLeaseError>;
    /// Closes leases, with their audit events. One that is closed already stays as it is. Returns how many were open.
    async fn close_leases(&self, leases: Vec<CloseLease>, audit: Vec<AuditEvent>) -> Result<u64, StoreError>;
    /// Moves the end of an open lease.
    async fn extend_lease(&self, lease: LeaseId, use_by: Timestamp, expires_at: Timestamp) -> Result<(), StoreError>;
    /// The lease of that id.
    async fn find_lease(&self, lease: LeaseId) -> Result<Option<Lease>, StoreError>;
    /// The lease of that id, with how it ended.
    async fn find_lease_row(&self, lease: LeaseId) -> Result<Option<LeaseRow>, StoreError>;
    /// At most `limit` leases, the newest first.
    async fn list_leases(&self, filter: LeaseFilter, limit: u32) -> Result<Vec<LeaseRow>, StoreError>;
    /// Every lease that is held and has not reached its end.
    async fn open_leases(&self, now: Timestamp) -> Result<Vec<Lease>, StoreError>;
    /// At most `limit` leases that are held although their end is reached, the oldest first.
    async fn lapsed_leases(&self, now: Timestamp, limit: u32) -> Result<Vec<Lease>, StoreError>;
    /// Deletes at most `limit` leases that were closed before `before`; how many.
    async fn prune_leases(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

static INSERT_LEASES: ManyRows = ManyRows::insert(
    "lease (id, team, collector, network, token, operation, purpose, collection, profile, calls,
        opened_at_us, use_by_us, expires_at_us, state)",
    14,
    "",
);

/// The tokens among those given that may be leased. PostgreSQL adds FOR SHARE, so that a revocation waits.
static LEASABLE: ManyRows = ManyRows::new(
    "SELECT id FROM token WHERE state NOT IN ('revoked', 'invalid') AND id IN (SELECT v.column1 FROM",
    1,
    ")",
);

/// The state is compared in a way that keeps SQLite from looking at all open leases by their index instead of at these by their ids.
static CLOSE_LEASES: ManyRows = ManyRows::new(
    "UPDATE lease SET state = v.column2, used = v.column3, closed_at_us = v.column4 FROM",
    4,
    "WHERE lease.id = v.column1 AND COALESCE(lease.state, '') = 'open'",
);

const EXTEND_LEASE: &str = "UPDATE lease SET use_by_us = $2, expires_at_us = $3 WHERE id = $1 AND state = 'open'";
const PRUNE_LEASES: &str = "DELETE FROM lease WHERE id IN (
    SELECT id FROM lease WHERE state <> 'open' AND closed_at_us < $1 LIMIT $2)";

macro_rules! select_lease {
    ($rest:literal) => {
        concat!(
            "SELECT id, team, collector, network, token, operation, purpose, collection, profile, calls,
             opened_at_us, use_by_us, expires_at_us, state, used, closed_at_us FROM lease ",
            $rest
        )
    };
}

const FIND_LEASE: &str = select_lease!("WHERE id = $1");
const LIST_LEASES: &str = select_lease!(
    "WHERE id < $1 AND ($2 IS NULL OR team = $2) AND ($3 IS NULL OR network = $3) AND ($4 IS NULL OR token = $4)
       AND ($5 IS NULL OR collector = $5) AND ($6 IS NULL OR state = $6)
     ORDER BY id DESC LIMIT $7"
);
const OPEN_LEASES: &str = select_lease!("WHERE state = 'open' AND expires_at_us > $1 ORDER BY expires_at_us");
const LAPSED_LEASES: &str =
    select_lease!("WHERE state = 'open' AND expires_at_us <= $1 ORDER BY expires_at_us LIMIT $2");

#[async_trait]
impl<D: Database> LeaseStore for D {
    async fn open_lease(&self, open: OpenLease) -> Result<(), OpenLeaseError> {
        let OpenLease { lease, audit, takes, updates, keys, request } = open;
        let credit = TakeBlocks { takes, updates, keys, now: lease.opened_at };
        let change = CreditChange { lease: Some((lease, audit)), credit, request };
        self.change_credit(change).await.map_err(|error| match error {
            CreditError::BucketFull { bucket, charged } => OpenLeaseError::BucketFull { bucket, charged },
            CreditError::Duplicate(duplicate) => OpenLeaseError::DuplicateRequest(duplicate),
            CreditError::TokenEnded(token) => OpenLeaseError::TokenEnded { token },
            CreditError::Store(error) => error.into(),
        })
    }

    async fn close_leases(&self, leases: Vec<CloseLease>, audit: Vec<AuditEvent>) -> Result<u64, StoreError> {
        if leases.is_empty() && audit.is_empty() {
            return Ok(0);
        }
        let mut seen = HashSet::new();
        let rows = leases
            .into_iter()
            .filter(|close| close.state != LeaseState::Open && seen.insert(close.lease))
            .map(|close| values![close.lease, close.state.as_str(), close.used, close.at])
            .collect();
        self.write(move |tx| {
            Box::pin(async move {
                let closed = CLOSE_LEASES.execute(tx, rows).await?;
                insert_audit(tx, &audit).await?;
                Ok(closed)
            })
        })
        .await
    }

    async fn extend_lease(&self, lease: LeaseId, use_by: Timestamp, expires_at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                match tx.execute(EXTEND_LEASE, values![lease, use_by, expires_at]).await? {
                    0 => Err(StoreError::not_found(format!("open lease {lease}"))),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    async fn find_lease(&self, id: LeaseId) -> Result<Option<Lease>, StoreError> {
        self.read(move |tx| Box::pin(async move { first(tx, FIND_LEASE, values![id]).await?.map(lease).transpose() }))
            .await
    }

    async fn find_lease_row(&self, id: LeaseId) -> Result<Option<LeaseRow>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move { first(tx, FIND_LEASE, values![id]).await?.map(lease_row).transpose() })
        })
        .await
    }

    async fn list_leases(&self, filter: LeaseFilter, limit: u32) -> Result<Vec<LeaseRow>, StoreError> {
        let values = values![
            filter.before.unwrap_or(LeaseId::from_u128(u128::MAX)),
            filter.team.as_ref(),
            filter.network.as_ref(),
            filter.token,
            filter.collector,
            filter.state.map(|state| state.as_str()),
            limit,
        ];
        self.read(move |tx| {
            Box::pin(async move { tx.rows(LIST_LEASES, values).await?.into_iter().map(lease_row).collect() })
        })
        .await
    }

    async fn open_leases(&self, now: Timestamp) -> Result<Vec<Lease>, StoreError> {
        every_lease(self, OPEN_LEASES, values![now]).await
    }

    async fn lapsed_leases(&self, now: Timestamp, limit: u32) -> Result<Vec<Lease>, StoreError> {
        every_lease(self, LAPSED_LEASES, values![now, limit]).await
    }

    async fn prune_leases(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE_LEASES, values![before, limit]).await })).await
    }
}

async fn every_lease(
    database: &impl Database,
    sql: &'static str,
    values: Vec<Value>,
) -> Result<Vec<Lease>, StoreError> {
    database.read(move |tx| Box::pin(async move { tx.rows(sql, values).await?.into_iter().map(lease).collect() })).await
}

/// What writes leases that were accepted.
pub(crate) fn lease_statements<'l>(leases: impl Iterator<Item = &'l Lease>) -> Vec<Statement> {
    let row = |lease: &Lease| {
        values![
            lease.id,
            &lease.team,
            lease.collector,
            &lease.network,
            lease.token,
            &lease.operation,
            lease.purpose.as_str(),
            &*lease.collection,
            &*lease.profile,
            lease.calls,
            lease.opened_at,
            lease.use_by,
            lease.expires_at,
            lease.state.as_str(),
        ]
    };
    INSERT_LEASES.statements(leases.map(row).collect())
}

/// Those of `tokens` that may still be leased.
pub(crate) async fn leasable(tx: &mut dyn Tx, mut tokens: Vec<TokenId>) -> Result<HashSet<TokenId>, StoreError> {
    tokens.sort_unstable();
    tokens.dedup();
    let rows = LEASABLE.rows(tx, tokens.into_iter().map(|token| values![token]).collect()).await?;
    rows.into_iter().map(|mut row| row.id(TokenId::from_slice)).collect()
}

fn lease(mut row: Row) -> Result<Lease, StoreError> {
    read_lease(&mut row)
}

fn lease_row(mut row: Row) -> Result<LeaseRow, StoreError> {
    Ok(LeaseRow { lease: read_lease(&mut row)?, used: row.count()?, closed_at: row.maybe_time()? })
}

fn read_lease(row: &mut Row) -> Result<Lease, StoreError> {
    Ok(Lease {
        id: row.id(LeaseId::from_slice)?,
        team: row.slug()?,
        collector: row.maybe_id(CollectorId::from_slice)?,
        network: row.slug()?,
        token: row.id(TokenId::from_slice)?,
        operation: row.slug()?,
        purpose: Purpose::from_name(&row.text()?)
            .ok_or_else(|| StoreError::corrupt("an unknown purpose of a lease"))?,
        collection: row.text()?,
        profile: row.text()?,
        calls: row.count()?,
        opened_at: row.time()?,
        use_by: row.time()?,
        expires_at: row.time()?,
        state: LeaseState::from_name(&row.text()?).ok_or_else(|| StoreError::corrupt("an unknown state of a lease"))?,
    })
}
