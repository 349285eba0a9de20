//! The audit: one row for each release of a secret and each change, in the transaction of the change.
//!
//! Rows are numbered without gaps and chained by keyed hashes (`chain`), so that a change of them is found out (`verify`). Nothing
//! here changes a row; the oldest are forgotten when their time is over.

use std::time::Duration;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{AuditId, CollectorId, KeyId, MemberId, TeamId};
use crate::domain::audit::{Actor, AuditEvent};
use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::sql::{ManyRows, Row, Statement, Tx, Value, values};

mod chain;
mod verify;

use chain::Chain;
pub use chain::{AuditAnchor, AuditKey, ParseAnchorError};
use verify::Link;
pub use verify::{AuditFault, AuditProof};

/// An audit event as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place in the order of commits; rises by one.
    pub seq: i64,
    /// The keyed hash that chains it to the one before; `None`: it is from before the chain.
    pub mac: Option<[u8; 32]>,
    /// Its id.
    pub id: AuditId,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What was done (`lease.open`).
    pub action: String,
    /// The team it belongs to; `None`: the whole broker.
    pub team: Option<TeamId>,
    /// The resource it was done to.
    pub subject: String,
    /// More, as `key=value` pairs.
    pub detail: String,
}

/// Which audit rows are wanted. The default wants all.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of this team.
    pub team: Option<TeamId>,
    /// Whose subject begins so.
    pub subject_prefix: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// After this sequence number: the last one of the page before.
    pub after: Option<i64>,
    /// No leases, which are most of it; of one team only.
    pub without_leases: bool,
}

/// The audit, for reading and for events that belong to no other change.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Takes the audit up with the key that chains it. Must come before the first change, and after the store was laid out
    /// ([`SealingStore::found`](crate::store::SealingStore::found)): a chain that is missing is a broken one.
    async fn start_audit(&self, key: AuditKey) -> Result<(), StoreError>;
    /// Whether the audit is whole as of now, and whether it still holds the event of `anchor`. Reads all of it, a part at a time; a
    /// broker may go on writing meanwhile. `pause`: how long others are let in after each part; zero: it is read as fast as may be.
    async fn verify_audit(
        &self,
        key: &AuditKey,
        anchor: Option<AuditAnchor>,
        pause: Duration,
    ) -> Result<AuditProof, StoreError>;
    /// Writes events that come with no other change.
    async fn append_audit(&self, events: Vec<AuditEvent>) -> Result<(), StoreError>;
    /// At most `limit` rows, the oldest first.
    async fn list_audit(&self, filter: AuditFilter, limit: u32) -> Result<Vec<AuditRow>, StoreError>;
    /// At most `limit` rows with a sequence number below `before` (`None`: the newest), the newest first. `filter.after` is the
    /// lower end, if given.
    async fn list_audit_backwards(
        &self,
        filter: AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError>;
    /// Looks at the oldest `limit` rows and deletes those from before `before`, up to the first that is not; how many. Where they do
    /// not hold together, that stays noted for good.
    async fn prune_audit(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

static INSERT_AUDIT: ManyRows =
    ManyRows::insert("audit (seq, mac, id, at_us, actor, role, action, team, subject, detail)", 10, "");

/// Of one team (`$3`) it reads along the index of that team, else along the whole.
macro_rules! list_audit {
    ($of_team:literal, $order:literal) => {
        concat!(
            "SELECT seq, mac, id, at_us, actor, role, action, team, subject, detail FROM audit
             WHERE seq > $1 AND seq < $2 AND ",
            $of_team,
            " AND ($4 IS NULL OR substr(subject, 1, length($4)) = $4)
               AND ($5 IS NULL OR action = $5)
               AND at_us >= $6 AND at_us < $7
             ORDER BY seq ",
            $order,
            " LIMIT $8"
        )
    };
}

const LIST_ALL: [&str; 2] = [list_audit!("$3 IS NULL", "ASC"), list_audit!("$3 IS NULL", "DESC")];
const LIST_OF_TEAM: [&str; 2] = [list_audit!("team = $3", "ASC"), list_audit!("team = $3", "DESC")];
/// Along an index in which leases are not.
const LIST_CHANGES_OF_TEAM: [&str; 2] = [
    list_audit!("team = $3 AND action <> 'lease.open'", "ASC"),
    list_audit!("team = $3 AND action <> 'lease.open'", "DESC"),
];

const OLDEST: &str = "SELECT at_us, seq, mac, id, at_us, actor, role, action, team, subject, detail FROM audit
    WHERE seq > $1 ORDER BY seq LIMIT $2";
const PRUNE_AUDIT: &str = "DELETE FROM audit WHERE seq <= $1";

#[async_trait]
impl<D: Database> AuditStore for D {
    async fn start_audit(&self, key: AuditKey) -> Result<(), StoreError> {
        self.set_audit_key(key.clone());
        self.write(move |tx| {
            Box::pin(async move {
                let (sql, values) = Chain::take_up(tx).await?.statement(&key);
                tx.execute(sql, values).await.map(drop)
            })
        })
        .await
    }

    async fn verify_audit(
        &self,
        key: &AuditKey,
        anchor: Option<AuditAnchor>,
        pause: Duration,
    ) -> Result<AuditProof, StoreError> {
        verify::verify(self, key, anchor, pause).await
    }

    async fn append_audit(&self, events: Vec<AuditEvent>) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        self.write(move |tx| Box::pin(async move { insert_audit(tx, &events).await })).await
    }

    async fn list_audit(&self, filter: AuditFilter, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        list(self, filter, None, false, limit).await
    }

    async fn list_audit_backwards(
        &self,
        filter: AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        list(self, filter, before, true, limit).await
    }

    async fn prune_audit(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(prune(tx, before, limit))).await
    }
}

fn parameters(filter: AuditFilter, before: Option<i64>, limit: u32) -> Vec<Value> {
    values![
        filter.after.unwrap_or(0),
        before.unwrap_or(i64::MAX),
        filter.team.as_ref(),
        filter.subject_prefix,
        filter.action,
        filter.from.unwrap_or(Timestamp::from_micros(i64::MIN)),
        filter.until.unwrap_or(Timestamp::NEVER),
        limit,
    ]
}

async fn list(
    database: &impl Database,
    filter: AuditFilter,
    before: Option<i64>,
    backwards: bool,
    limit: u32,
) -> Result<Vec<AuditRow>, StoreError> {
    let statements = match (filter.team.is_some(), filter.without_leases) {
        (true, true) => LIST_CHANGES_OF_TEAM,
        (true, false) => LIST_OF_TEAM,
        (false, _) => LIST_ALL,
    };
    let sql = statements[usize::from(backwards)];
    let values = parameters(filter, before, limit);
    database
        .read(move |tx| Box::pin(async move { tx.rows(sql, values).await?.into_iter().map(audit_row).collect() }))
        .await
}

/// Begins the chain, in the transaction that lays the store out.
pub(crate) async fn begin_chain(tx: &mut dyn Tx, key: &AuditKey) -> Result<(), StoreError> {
    let (sql, values) = Chain::begin(tx).await?.statement(key);
    tx.execute(sql, values).await.map(drop)
}

/// Writes events in the caller's transaction.
pub(crate) async fn insert_audit(
    tx: &mut dyn Tx,
    events: impl IntoIterator<Item = &AuditEvent> + Send,
) -> Result<(), StoreError> {
    let statements = audit_statements(tx, events).await?;
    if !statements.is_empty() {
        tx.execute_all(statements).await?;
    }
    Ok(())
}

/// What writes events as the next ones of the chain, to be run together with their change.
pub(crate) async fn audit_statements(
    tx: &mut dyn Tx,
    events: impl IntoIterator<Item = &AuditEvent> + Send,
) -> Result<Vec<Statement>, StoreError> {
    let events: Vec<_> = events.into_iter().map(parameters_of).collect();
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let (key, mut chain) = (tx.audit_key()?, Chain::read(tx).await?);
    let mut statements = INSERT_AUDIT.statements(chain.extend(&key, events));
    statements.push(chain.statement(&key));
    Ok(statements)
}

/// Deletes the oldest events that are from before `before`, after a look at whether they hold together.
async fn prune(tx: &mut dyn Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let key = tx.audit_key()?;
    let mut oldest = Vec::new();
    for mut row in tx.rows(OLDEST, values![i64::MIN, limit]).await? {
        if row.time()? >= before {
            break;
        }
        oldest.extend(Link::of_row(&mut row)?);
    }
    let Some(last) = oldest.last() else { return Ok(0) };
    let gone = tx.execute(PRUNE_AUDIT, values![last.seq]).await?;
    let (sql, values) = Chain::read(tx).await?.prune(&key, &oldest).statement(&key);
    tx.execute(sql, values).await?;
    Ok(gone)
}

fn parameters_of(event: &AuditEvent) -> Vec<Value> {
    let (actor, role) = match event.actor {
        Actor::Collector(id) => (Some(id.as_bytes().to_vec()), "collector"),
        Actor::Operator(id) => (Some(id.as_bytes().to_vec()), "operator"),
        Actor::Member(id) => (Some(id.as_bytes().to_vec()), "member"),
        Actor::Broker => (None, "broker"),
    };
    values![event.id, event.at, actor, role, event.action, event.team.as_ref(), &*event.subject, &*event.detail]
}

fn audit_row(mut row: Row) -> Result<AuditRow, StoreError> {
    let (seq, mac) = (row.int()?, row.maybe_blob()?.and_then(|mac| mac.try_into().ok()));
    let (id, at) = (row.id(AuditId::from_slice)?, row.time()?);
    let actor = actor(row.maybe_blob()?, &row.text()?)?;
    Ok(AuditRow {
        seq,
        mac,
        id,
        at,
        actor,
        action: row.text()?,
        team: row.maybe_slug()?,
        subject: row.text()?,
        detail: row.text()?,
    })
}

fn actor(id: Option<Vec<u8>>, role: &str) -> Result<Actor, StoreError> {
    let damaged = || StoreError::corrupt("an audit row without a proper actor");
    let id = id.unwrap_or_default();
    match role {
        "collector" => CollectorId::from_slice(&id).map(Actor::Collector).map_err(|_| damaged()),
        "operator" => KeyId::from_slice(&id).map(Actor::Operator).map_err(|_| damaged()),
        "member" => MemberId::from_slice(&id).map(Actor::Member).map_err(|_| damaged()),
        "broker" => Ok(Actor::Broker),
        _ => Err(damaged()),
    }
}
