//! The audit: one row for each release of a secret and each change, in the transaction of the change.
//!
//! Rows are numbered without gaps and chained by keyed hashes (`chain`), so that a change of them is found out (`verify`). Nothing
//! here changes a row; the oldest are forgotten when their time is over.

use std::fmt;
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
    /// The keyed hash that chains it to the one before; `None`: it can't be read.
    pub mac: Option<[u8; 32]>,
    /// Its id.
    pub id: AuditId,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it; `None`: that can't be read.
    pub actor: Option<Actor>,
    /// What was done (`lease.open`).
    pub action: String,
    /// The team it belongs to; `None`: the whole broker.
    pub team: Option<TeamId>,
    /// The resource it was done to.
    pub subject: String,
    /// More, as `key=value` pairs. Of an event that somebody changed so that it can't be read, `unreadable` is the first and names what is stored,
    /// column by column; what can't be read is empty, or zero, elsewhere.
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

/// An event as it is stored. Who changes a row must hinder nobody from reading the others, nor what is left of it.
fn audit_row(mut row: Row) -> Result<AuditRow, StoreError> {
    let seq = row.int()?;
    let mut unread = Vec::new();
    let mut next = |name| Column { name, value: row.value() };
    let mac = next("mac").bytes().and_then(|mac| mac.try_into().ok());
    let id = next("id").read(&mut unread, |column| AuditId::from_slice(&column.bytes()?).ok());
    let at = next("at_us").read(&mut unread, Column::number);
    let (of_actor, role) = (next("actor"), next("role"));
    let actor = role.text().and_then(|role| actor(of_actor.bytes(), &role));
    if actor.is_none() {
        unread.extend([of_actor.to_string(), role.to_string()]);
    }
    let action = next("action").read(&mut unread, Column::text);
    let team = next("team").read(&mut unread, |column| match &column.value {
        Some(Value::Int(None)) => Some(None),
        _ => column.text()?.parse().ok().map(Some),
    });
    let subject = next("subject").read(&mut unread, Column::text);
    let detail = next("detail").read(&mut unread, Column::text).unwrap_or_default();
    Ok(AuditRow {
        seq,
        mac,
        id: id.unwrap_or(AuditId::from_u128(0)),
        at: at.map_or(Timestamp::EPOCH, Timestamp::from_micros),
        actor,
        action: action.unwrap_or_default(),
        team: team.flatten(),
        subject: subject.unwrap_or_default(),
        detail: if unread.is_empty() { detail } else { format!("unreadable={} {detail}", unread.join(",")) },
    })
}

/// A column of an event, whatever it holds.
struct Column {
    name: &'static str,
    value: Option<Value>,
}

impl Column {
    /// What `read` makes of it; what it can't read is noted.
    fn read<T>(self, unread: &mut Vec<String>, read: impl FnOnce(&Self) -> Option<T>) -> Option<T> {
        let found = read(&self);
        if found.is_none() {
            unread.push(self.to_string());
        }
        found
    }

    fn number(&self) -> Option<i64> {
        if let Some(Value::Int(number)) = self.value { number } else { None }
    }

    fn text(&self) -> Option<String> {
        if let Some(Value::Text(Some(text))) = &self.value { Some(text.to_string()) } else { None }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        if let Some(Value::Blob(Some(bytes))) = &self.value { Some(bytes.clone()) } else { None }
    }
}

/// Its name and what it holds, without a space: a text escaped, bytes as hex digits, nothing for what is missing.
impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.name)?;
        match &self.value {
            Some(Value::Int(Some(number))) => write!(f, "{number}"),
            Some(Value::Text(Some(text))) => f.write_str(&text.escape_default().to_string().replace(' ', "\\x20")),
            Some(Value::Blob(Some(bytes))) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            _ => Ok(()),
        }
    }
}

fn actor(id: Option<Vec<u8>>, role: &str) -> Option<Actor> {
    let id = id.unwrap_or_default();
    match role {
        "collector" => CollectorId::from_slice(&id).map(Actor::Collector).ok(),
        "operator" => KeyId::from_slice(&id).map(Actor::Operator).ok(),
        "member" => MemberId::from_slice(&id).map(Actor::Member).ok(),
        "broker" => Some(Actor::Broker),
        _ => None,
    }
}
