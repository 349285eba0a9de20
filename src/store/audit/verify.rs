//! Whether the audit is whole: walks the chain from its beginning to its end and names the first place that does not fit.

use std::time::Duration;

use crate::store::StoreError;
use crate::store::audit::chain::{AuditAnchor, AuditKey, Chain, FOREIGN_HEAD, link};
use crate::store::database::Database;
use crate::store::sql::{Row, Value, values};

/// What was found. The events before a fault are in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditProof {
    /// Events that hold together.
    pub events: u64,
    /// The last event that was pruned in order; 0: none.
    pub pruned: i64,
    /// The last event: worth keeping apart. `None`: there is none, or a fault.
    pub head: Option<AuditAnchor>,
    /// The first place that does not fit.
    pub fault: Option<AuditFault>,
}

/// What does not fit, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// An event is not the one that was written.
    #[error("event {0} was changed, or another one was put in its place")]
    Changed(i64),
    /// Events are gone.
    #[error("{} deleted", events(*.0, *.1))]
    Deleted(i64, i64),
    /// Events at the end are gone.
    #[error("{} cut off at the end", events(*.0, *.1))]
    Truncated(i64, i64),
    /// An event was written by somebody else.
    #[error("event {0} was inserted: the broker never wrote it there")]
    Inserted(i64),
    /// An earlier look has found a break, which stays noted.
    #[error("{0}")]
    Earlier(String),
    /// The event of the anchor is another one.
    #[error("event {0} is not the one of the anchor: the audit was rewritten since, or the anchor is of another store")]
    AnotherAnchor(i64),
    /// The audit ends before the anchor.
    #[error(
        "the audit ends with event {head}, but the anchor is of event {anchor}: the store was set back to an earlier state"
    )]
    BehindAnchor {
        /// The last event.
        head: i64,
        /// The anchor's event.
        anchor: i64,
    },
    /// The anchor's event was pruned, so that nothing can be said.
    #[error("the anchor's event {0} was pruned since, so it proves nothing any more; keep a later one")]
    PrunedAnchor(i64),
}

fn events(first: i64, last: i64) -> String {
    if first == last { format!("event {first} was") } else { format!("events {first} to {last} were") }
}

/// An event as a link of the chain: its columns as they are stored, whatever they hold.
pub(super) struct Link {
    pub(super) seq: i64,
    pub(super) mac: Option<[u8; 32]>,
    columns: Vec<Value>,
}

/// The columns that an event's hash covers.
const COLUMNS: usize = 8;

impl Link {
    /// Number, hash, and the columns of an event.
    pub(super) fn of_row(row: &mut Row) -> Result<Option<Self>, StoreError> {
        let Some(seq) = row.maybe_int()? else { return Ok(None) };
        let mac = match row.value() {
            Some(Value::Blob(Some(mac))) => mac.try_into().ok(),
            _ => None,
        };
        Ok(Some(Self { seq, mac, columns: std::iter::from_fn(|| row.value()).take(COLUMNS).collect() }))
    }
}

/// A walk along the chain.
pub(super) struct Walk {
    started_after: i64,
    last: AuditAnchor,
}

impl Walk {
    /// Begins with the first event that is not pruned.
    pub(super) fn begin(chain: &Chain) -> Self {
        Self { started_after: chain.started_after, last: chain.pruned }
    }

    /// Goes on to the next event that there is.
    pub(super) fn step(&mut self, key: &AuditKey, event: &Link) -> Result<(), AuditFault> {
        let &Link { seq, mac, .. } = event;
        if (1..=self.started_after).contains(&seq) {
            return Ok(());
        }
        let expected = self.last.seq.saturating_add(1);
        if seq < expected {
            return Err(AuditFault::Inserted(seq));
        }
        if seq > expected {
            return Err(AuditFault::Deleted(expected, seq - 1));
        }
        let right = link(key, &self.last.mac, seq, &event.columns);
        if mac != Some(right) {
            return Err(AuditFault::Changed(seq));
        }
        self.last = AuditAnchor { seq, mac: right };
        Ok(())
    }

    /// Goes on behind what was pruned meanwhile.
    fn catch_up(&mut self, chain: &Chain) {
        if chain.pruned.seq > self.last.seq {
            self.last = chain.pruned;
        }
    }

    /// Whether the walk has come to the end of the chain.
    fn must_be_at(&self, head: AuditAnchor) -> Result<(), AuditFault> {
        if self.last.seq < head.seq {
            return Err(AuditFault::Truncated(self.last.seq + 1, head.seq));
        }
        if self.last == head { Ok(()) } else { Err(AuditFault::Changed(head.seq)) }
    }
}

/// Events read at once. Chain and events are of one statement, hence of one moment, also while a broker writes.
const PART: u32 = 1000;
const READ_PART: &str =
    "SELECT c.started_after, c.pruned_seq, c.pruned_mac, c.head_seq, c.head_mac, c.broken, c.seal,
        a.seq, a.mac, a.id, a.at_us, a.actor, a.role, a.action, a.team, a.subject, a.detail
     FROM audit_chain AS c LEFT JOIN (
        SELECT seq, mac, id, at_us, actor, role, action, team, subject, detail FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2
     ) AS a ON TRUE WHERE c.id = 1 ORDER BY a.seq";
/// The columns of the chain in [`READ_PART`].
const CHAIN_COLUMNS: usize = 7;

/// Reads the whole audit, a part at a time, with a pause after each.
pub(super) async fn verify(
    database: &impl Database,
    key: &AuditKey,
    anchor: Option<AuditAnchor>,
    pause: Duration,
) -> Result<AuditProof, StoreError> {
    let mut proof = AuditProof { events: 0, pruned: 0, head: None, fault: None };
    let mut walk: Option<Walk> = None;
    let mut after = i64::MIN;
    loop {
        let (chain, links) = match read_part(database, key, after).await? {
            Ok(part) => part,
            Err(fault) => return Ok(AuditProof { fault: Some(fault), ..proof }),
        };
        let walk = walk.get_or_insert_with(|| Walk::begin(&chain));
        walk.catch_up(&chain);
        if chain.pruned.seq > chain.started_after {
            proof.pruned = chain.pruned.seq;
        }
        let at_end = links.len() < PART as usize;
        after = links.last().map_or(after, |link| link.seq);
        let walked = walk_part(walk, key, &chain, &links, anchor, &mut proof);
        if let Err(fault) = walked.and_then(|()| if at_end { walk.must_be_at(chain.head) } else { Ok(()) }) {
            return Ok(AuditProof { fault: Some(fault), ..proof });
        }
        if at_end {
            let fault = anchor.and_then(|anchor| holds(&chain, anchor).err());
            return Ok(AuditProof { head: Some(chain.head).filter(|head| head.seq > 0), fault, ..proof });
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

const NEVER_BEGUN: &str =
    "the row that says where the audit ends is missing: it was deleted, or no broker was started here yet";

async fn read_part(
    database: &impl Database,
    key: &AuditKey,
    after: i64,
) -> Result<Result<(Chain, Vec<Link>), AuditFault>, StoreError> {
    let rows = database.read(move |tx| Box::pin(async move { tx.rows(READ_PART, values![after, PART]).await })).await?;
    let mut chain = Err(AuditFault::Earlier(NEVER_BEGUN.to_owned()));
    let mut links = Vec::with_capacity(rows.len());
    for (at, mut row) in rows.into_iter().enumerate() {
        let of_chain = std::iter::from_fn(|| row.value()).take(CHAIN_COLUMNS).collect();
        if at == 0 {
            let foreign = AuditFault::Earlier(FOREIGN_HEAD.to_owned());
            chain = Chain::of_row(key, Row::new(of_chain)).ok_or(foreign);
        }
        links.extend(Link::of_row(&mut row)?);
    }
    Ok(chain.map(|chain| (chain, links)))
}

fn walk_part(
    walk: &mut Walk,
    key: &AuditKey,
    chain: &Chain,
    links: &[Link],
    anchor: Option<AuditAnchor>,
    proof: &mut AuditProof,
) -> Result<(), AuditFault> {
    if !chain.broken.is_empty() {
        return Err(AuditFault::Earlier(chain.broken.clone()));
    }
    for link in links {
        if link.seq > chain.head.seq {
            walk.must_be_at(chain.head)?;
            return Err(AuditFault::Inserted(link.seq));
        }
        walk.step(key, link)?;
        proof.events += 1;
        if anchor.is_some_and(|anchor| anchor.seq == link.seq && anchor != walk.last) {
            return Err(AuditFault::AnotherAnchor(link.seq));
        }
    }
    Ok(())
}

/// Whether a whole chain still holds the event of an anchor. Those in it were compared on the way.
fn holds(chain: &Chain, anchor: AuditAnchor) -> Result<(), AuditFault> {
    if anchor.seq > chain.head.seq {
        return Err(AuditFault::BehindAnchor { head: chain.head.seq, anchor: anchor.seq });
    }
    match anchor.seq.cmp(&chain.pruned.seq) {
        std::cmp::Ordering::Less => Err(AuditFault::PrunedAnchor(anchor.seq)),
        std::cmp::Ordering::Equal if anchor != chain.pruned => Err(AuditFault::AnotherAnchor(anchor.seq)),
        _ => Ok(()),
    }
}
