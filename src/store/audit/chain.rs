//! The chain that holds the audit together: each event's keyed hash covers the event, its number and the hash before it.
//!
//! Events are numbered without gaps. One row (`audit_chain`) says where the chain begins and ends, under a keyed hash of its own, and
//! is made in the transaction that makes the broker's first key, and read and written in that of each change. So a deleted, edited, swapped or inserted event no longer fits its
//! neighbours, and one that is cut off the end is missed by that row. Whoever holds the store but not the key can forge neither. What
//! no store can show by itself is that all of it was set back to an earlier state: that takes an [`AuditAnchor`], kept apart.
//!
//! The oldest events go when their time is over. What goes is checked first; the row then says with which event and hash the rest
//! begins, and keeps what was found broken for good.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::base::hex::{hex_array, push_hex};
use crate::store::StoreError;
use crate::store::audit::verify::{AuditFault, Link, Walk};
use crate::store::sql::{Row, Statement, Tx, Value, first, values};

/// Makes a keyed hash of parts, each of which counts with its bounds.
pub type AuditKey = Arc<dyn Fn(&[&[u8]]) -> [u8; 32] + Send + Sync>;

/// An event's number and hash: whoever keeps it apart can prove later that nothing up to there was taken away. Written `123:9f86…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditAnchor {
    /// The event's number.
    pub seq: i64,
    /// Its hash.
    pub mac: [u8; 32],
}

impl fmt::Display for AuditAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = String::with_capacity(64);
        push_hex(&mut digits, &self.mac);
        write!(f, "{}:{digits}", self.seq)
    }
}

/// The text is no anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an anchor is an event's number, a colon and 64 hex digits, as `audit verify` shows it")]
pub struct ParseAnchorError;

impl FromStr for AuditAnchor {
    type Err = ParseAnchorError;
    fn from_str(text: &str) -> Result<Self, ParseAnchorError> {
        let (seq, digits) = text.split_once(':').ok_or(ParseAnchorError)?;
        let seq = seq.parse().map_err(|_| ParseAnchorError)?;
        Ok(Self { seq, mac: hex_array(digits).ok_or(ParseAnchorError)? })
    }
}

/// The row that says where the chain begins and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// The last event that was there when a chain that was tampered with went on behind it; 0: it never was.
    pub(super) started_after: i64,
    /// The last event that was pruned, or `started_after`.
    pub(super) pruned: AuditAnchor,
    /// The last event.
    pub(super) head: AuditAnchor,
    /// What was found broken, in words; empty: nothing.
    pub(super) broken: String,
}

const READ_CHAIN: &str =
    "SELECT started_after, pruned_seq, pruned_mac, head_seq, head_mac, broken, seal FROM audit_chain
    WHERE id = 1";
const PUT_CHAIN: &str =
    "INSERT INTO audit_chain (id, started_after, pruned_seq, pruned_mac, head_seq, head_mac, broken, seal)
    VALUES (1, $1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (id) DO UPDATE SET started_after = excluded.started_after, pruned_seq = excluded.pruned_seq,
        pruned_mac = excluded.pruned_mac, head_seq = excluded.head_seq, head_mac = excluded.head_mac,
        broken = excluded.broken, seal = excluded.seal";
const LAST_EVENT: &str = "SELECT seq, mac FROM audit WHERE seq = (SELECT MAX(seq) FROM audit)";
/// What every store has that was used; tokens are of teams.
const ANYTHING: &str = "SELECT 1 FROM key UNION ALL SELECT 1 FROM team UNION ALL SELECT 1 FROM data_key LIMIT 1";

/// In the place of a hash where there is none: before the first event, and behind one whose hash was taken away.
const UNCHAINED: [u8; 32] = [0; 32];

pub(super) const FOREIGN_HEAD: &str = "the row that says where the audit ends was changed outside the broker";
const NO_HEAD: &str = "the row that says where the audit ends was deleted outside the broker";

impl Chain {
    /// The chain of a store that is laid out just now. Events that are there already were the ones of a chain, and so were those of anything
    /// else that is there: nothing is made without one.
    pub(super) async fn begin(tx: &mut dyn Tx) -> Result<Self, StoreError> {
        let last = last_event(tx).await?;
        let is_new = last.seq == 0 && first(tx, ANYTHING, vec![]).await?.is_none();
        Ok(Self::behind(last, if is_new { "" } else { NO_HEAD }))
    }

    /// The chain as of now. One that was tampered with goes on behind the last event, so that leases don't stop, and stays marked.
    /// PostgreSQL adds FOR UPDATE, so that two transactions don't continue it from one place.
    pub(super) async fn read(tx: &mut dyn Tx) -> Result<Self, StoreError> {
        let key = tx.audit_key()?;
        match first(tx, READ_CHAIN, vec![]).await? {
            Some(row) => match Self::of_row(&key, row) {
                Some(chain) => Ok(chain),
                None => Ok(Self::behind(last_event(tx).await?, FOREIGN_HEAD)),
            },
            None => Ok(Self::behind(last_event(tx).await?, NO_HEAD)),
        }
    }

    /// As [`Chain::read`], where a broker takes the audit up: also behind events that somebody else has added to the end.
    pub(super) async fn take_up(tx: &mut dyn Tx) -> Result<Self, StoreError> {
        let (chain, last) = (Self::read(tx).await?, last_event(tx).await?);
        if last.seq <= chain.head.seq {
            return Ok(chain);
        }
        Ok(Self { head: last, ..chain }.broken_by(&AuditFault::Inserted(last.seq).to_string()))
    }

    fn behind(last: AuditAnchor, broken: &str) -> Self {
        Self { started_after: last.seq, pruned: last, head: last, broken: String::new() }.broken_by(broken)
    }

    /// The chain of its row; `None`: it was changed outside the broker.
    pub(super) fn of_row(key: &AuditKey, mut row: Row) -> Option<Self> {
        let (started_after, pruned, head) = (row.int().ok()?, anchor(&mut row)?, anchor(&mut row)?);
        let chain = Self { started_after, pruned, head, broken: row.text().ok()? };
        (row.blob().ok()? == chain.seal(key)).then_some(chain)
    }

    /// Notes a break, unless an earlier one is noted.
    fn broken_by(mut self, what: &str) -> Self {
        if self.broken.is_empty() && !what.is_empty() {
            tracing::error!(what, "the audit was tampered with; keep a copy of the store as it is and look into it");
            what.clone_into(&mut self.broken);
        }
        self
    }

    /// What continues the chain with events (their columns in the order of the table), to be run together with their change.
    pub(super) fn extend(&mut self, key: &AuditKey, events: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
        let add = |columns: Vec<Value>| {
            let seq = self.head.seq + 1;
            let mac = link(key, &self.head.mac, seq, &columns);
            self.head = AuditAnchor { seq, mac };
            let mut row = values![seq, &mac[..]];
            row.extend(columns);
            row
        };
        events.into_iter().map(add).collect()
    }

    /// Forgets the oldest events, which were checked as far as they are still chained.
    pub(super) fn prune(self, key: &AuditKey, oldest: &[Link]) -> Self {
        let mut walk = Walk::begin(&self);
        let found = oldest.iter().find_map(|link| walk.step(key, link).err());
        let mut pruned = match found {
            Some(fault) => self.broken_by(&fault.to_string()),
            None => self,
        };
        if let Some(last) = oldest.last().filter(|last| last.seq > pruned.pruned.seq) {
            pruned.pruned = AuditAnchor { seq: last.seq, mac: last.mac.unwrap_or(UNCHAINED) };
        }
        pruned
    }

    /// What writes the row.
    pub(super) fn statement(&self, key: &AuditKey) -> Statement {
        let Self { started_after, pruned, head, broken } = self;
        let seal = self.seal(key);
        let values =
            values![*started_after, pruned.seq, &pruned.mac[..], head.seq, &head.mac[..], broken.as_str(), &seal[..]];
        (PUT_CHAIN, values)
    }

    fn seal(&self, key: &AuditKey) -> [u8; 32] {
        let Self { started_after, pruned, head, broken } = self;
        let numbers = [*started_after, pruned.seq, head.seq].map(i64::to_be_bytes);
        key(&[b"audit chain", numbers.as_flattened(), &pruned.mac, &head.mac, broken.as_bytes()])
    }
}

/// The last event that is there, whoever wrote it.
async fn last_event(tx: &mut dyn Tx) -> Result<AuditAnchor, StoreError> {
    let Some(mut row) = first(tx, LAST_EVENT, vec![]).await? else { return Ok(AuditAnchor { seq: 0, mac: UNCHAINED }) };
    let (seq, mac) = (row.int()?, row.maybe_blob()?);
    Ok(AuditAnchor { seq, mac: mac.and_then(|mac| mac.try_into().ok()).unwrap_or(UNCHAINED) })
}

fn anchor(row: &mut Row) -> Option<AuditAnchor> {
    Some(AuditAnchor { seq: row.int().ok()?, mac: row.blob().ok()?.try_into().ok()? })
}

/// The keyed hash of an event in its place.
pub(super) fn link(key: &AuditKey, before: &[u8; 32], seq: i64, columns: &[Value]) -> [u8; 32] {
    key(&[b"audit event", before, &seq.to_be_bytes(), &encoded(columns)])
}

/// The columns one after another, each with its kind and its length, so that no two rows share an encoding.
fn encoded(columns: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let mut put = |kind: u8, content: &[u8]| {
        bytes.push(kind);
        bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
        bytes.extend_from_slice(content);
    };
    for column in columns {
        match column {
            Value::Int(Some(number)) => put(1, &number.to_be_bytes()),
            Value::Text(Some(text)) => put(2, text.as_bytes()),
            Value::Blob(Some(blob)) => put(3, blob),
            Value::Int(None) | Value::Text(None) | Value::Blob(None) => put(0, &[]),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_share_an_encoding() {
        let rows = [
            values!["a", "bc"],
            values!["ab", "c"],
            values!["abc"],
            values!["abc", ""],
            values!["abc", Option::<i64>::None],
            values![b"abc".to_vec()],
            values![0i64],
            values![Option::<i64>::None],
            values![],
        ];
        for (at, one) in rows.iter().enumerate() {
            for other in &rows[at + 1..] {
                assert_ne!(encoded(one), encoded(other), "{one:?} {other:?}");
            }
        }
        assert_eq!(
            encoded(&[Value::Text(None)]),
            encoded(&[Value::Blob(None)]),
            "a missing value is read without its type"
        );
    }

    #[test]
    fn an_anchor_is_read_as_it_is_shown() {
        let anchor = AuditAnchor { seq: 42, mac: [0xab; 32] };
        assert_eq!(anchor.to_string().parse(), Ok(anchor));
        for wrong in ["", "42", "42:", "x:00", &anchor.to_string()[..20]] {
            assert_eq!(wrong.parse::<AuditAnchor>(), Err(ParseAnchorError), "{wrong}");
        }
    }
}
