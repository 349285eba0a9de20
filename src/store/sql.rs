//! The little that statements need beside their text: values to bind, rows to read, and inserts of many rows.
//!
//! Statements are written once for SQLite and PostgreSQL: `$1` parameters and only what both understand. A parameter keeps
//! its type when it is NULL, since PostgreSQL wants to know it.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{
    AlertId, AppId, AuditId, BlockId, ClassId, CollectorId, ConnectionId, DestinationId, EventId, IncidentId, JobId,
    KeyId, KindId, LeaseId, MemberId, NetworkId, OperationId, OutboxId, PushSubscriptionId, SessionId, TeamId, TokenId,
};
use crate::store::StoreError;
use crate::store::audit::AuditKey;

/// A value that is bound to a parameter or read from a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A 64-bit number: counts, times, booleans.
    Int(Option<i64>),
    /// A text. Shared, since the names of teams, networks and operations are bound again and again.
    Text(Option<Arc<str>>),
    /// Bytes: ids, sealed secrets, hashes.
    Blob(Option<Vec<u8>>),
}

/// Makes the list of values for one statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::sql::Value::from($value)),*] };
}
pub(crate) use values;

macro_rules! from {
    ($($variant:ident: $($from:ty = $with:expr),*;)*) => {$($(
        impl From<$from> for Value {
            fn from(value: $from) -> Value {
                Value::$variant(Some($with(value)))
            }
        }
        impl From<Option<$from>> for Value {
            fn from(value: Option<$from>) -> Value {
                Value::$variant(value.map($with))
            }
        }
    )*)*};
}

from! {
    Int: i64 = |n| n, u64 = saturated, u32 = i64::from, u8 = i64::from, bool = i64::from, Timestamp = Timestamp::micros;
    Text: String = Arc::from, &str = Arc::from,
        &TeamId = TeamId::shared, &NetworkId = NetworkId::shared, &AppId = AppId::shared, &KindId = KindId::shared,
        &ClassId = ClassId::shared, &OperationId = OperationId::shared;
    Blob: Vec<u8> = |bytes| bytes, &[u8] = <[u8]>::to_vec,
        AlertId = |id: AlertId| id.as_bytes().to_vec(), AuditId = |id: AuditId| id.as_bytes().to_vec(),
        BlockId = |id: BlockId| id.as_bytes().to_vec(), CollectorId = |id: CollectorId| id.as_bytes().to_vec(),
        ConnectionId = |id: ConnectionId| id.as_bytes().to_vec(),
        KeyId = |id: KeyId| id.as_bytes().to_vec(), LeaseId = |id: LeaseId| id.as_bytes().to_vec(),
        DestinationId = |id: DestinationId| id.as_bytes().to_vec(), PushSubscriptionId = |id: PushSubscriptionId| id.as_bytes().to_vec(), EventId = |id: EventId| id.as_bytes().to_vec(), MemberId = |id: MemberId| id.as_bytes().to_vec(),
        JobId = |id: JobId| id.as_bytes().to_vec(), IncidentId = |id: IncidentId| id.as_bytes().to_vec(),
        OutboxId = |id: OutboxId| id.as_bytes().to_vec(), SessionId = |id: SessionId| id.as_bytes().to_vec(), TokenId = |id: TokenId| id.as_bytes().to_vec();
}

/// Credits are far below 2^63; a greater number is as good as the greatest.
pub(crate) fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Value {
    /// Nothing, of the same type.
    fn none(&self) -> Value {
        match self {
            Value::Int(_) => Value::Int(None),
            Value::Text(_) => Value::Text(None),
            Value::Blob(_) => Value::Blob(None),
        }
    }
}

/// A statement and its values.
pub(crate) type Statement = (&'static str, Vec<Value>);

/// One transaction, or one reader.
#[async_trait]
pub(crate) trait Tx: Send {
    /// The key that chains the audit.
    fn audit_key(&self) -> Result<AuditKey, StoreError>;
    /// Runs a statement; the number of rows that it changed.
    async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, StoreError>;
    /// Runs statements one after another, up to the first that fails; the number of rows that they changed.
    async fn execute_all(&mut self, statements: Vec<Statement>) -> Result<u64, StoreError>;
    /// Runs a query or a statement with RETURNING.
    async fn rows(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError>;
}

/// The first row of a query, if there is one.
pub(crate) async fn first(tx: &mut dyn Tx, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
    Ok(tx.rows(sql, values).await?.into_iter().next())
}

/// One row, read column by column in the order of the query.
pub(crate) struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// The next column, whatever it holds.
    pub(crate) fn value(&mut self) -> Option<Value> {
        self.0.next()
    }

    /// A number that may be missing.
    pub(crate) fn maybe_int(&mut self) -> Result<Option<i64>, StoreError> {
        match self.0.next() {
            Some(Value::Int(value)) => Ok(value),
            Some(Value::Text(None) | Value::Blob(None)) => Ok(None),
            _ => Err(StoreError::corrupt("a column that should hold a number")),
        }
    }

    /// A text that may be missing.
    pub(crate) fn maybe_text(&mut self) -> Result<Option<String>, StoreError> {
        Ok(self.maybe_shared()?.map(|text| text.to_string()))
    }

    fn maybe_shared(&mut self) -> Result<Option<Arc<str>>, StoreError> {
        match self.0.next() {
            Some(Value::Text(value)) => Ok(value),
            Some(Value::Int(None) | Value::Blob(None)) => Ok(None),
            _ => Err(StoreError::corrupt("a column that should hold a text")),
        }
    }

    /// Bytes that may be missing.
    pub(crate) fn maybe_blob(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.0.next() {
            Some(Value::Blob(value)) => Ok(value),
            Some(Value::Int(None) | Value::Text(None)) => Ok(None),
            _ => Err(StoreError::corrupt("a column that should hold bytes")),
        }
    }

    /// A number.
    pub(crate) fn int(&mut self) -> Result<i64, StoreError> {
        self.maybe_int()?.ok_or_else(missing)
    }

    /// A number that is not negative and fits.
    pub(crate) fn count<T: TryFrom<i64>>(&mut self) -> Result<T, StoreError> {
        T::try_from(self.int()?).map_err(|_| StoreError::corrupt("a number out of range"))
    }

    /// A number that is not negative and fits, or is missing.
    pub(crate) fn maybe_count<T: TryFrom<i64>>(&mut self) -> Result<Option<T>, StoreError> {
        let fits = |number| T::try_from(number).map_err(|_| StoreError::corrupt("a number out of range"));
        self.maybe_int()?.map(fits).transpose()
    }

    /// A text.
    pub(crate) fn text(&mut self) -> Result<String, StoreError> {
        self.maybe_text()?.ok_or_else(missing)
    }

    /// Bytes.
    pub(crate) fn blob(&mut self) -> Result<Vec<u8>, StoreError> {
        self.maybe_blob()?.ok_or_else(missing)
    }

    /// A time.
    pub(crate) fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.int().map(Timestamp::from_micros)
    }

    /// A time that may be missing.
    pub(crate) fn maybe_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.maybe_int()?.map(Timestamp::from_micros))
    }

    /// A slug (`TeamId`).
    pub(crate) fn slug<T: std::str::FromStr>(&mut self) -> Result<T, StoreError> {
        self.maybe_slug()?.ok_or_else(missing)
    }

    /// A slug that may be missing.
    pub(crate) fn maybe_slug<T: std::str::FromStr>(&mut self) -> Result<Option<T>, StoreError> {
        let parse = |text: Arc<str>| text.parse().map_err(|_| StoreError::corrupt("a name that is not one"));
        self.maybe_shared()?.map(parse).transpose()
    }

    /// An id, by its constructor (`TokenId::from_slice`).
    pub(crate) fn id<T, E>(&mut self, from: fn(&[u8]) -> Result<T, E>) -> Result<T, StoreError> {
        from(&self.blob()?).map_err(|_| StoreError::corrupt("an id that is not 16 bytes"))
    }

    /// An id that may be missing.
    pub(crate) fn maybe_id<T, E>(&mut self, from: fn(&[u8]) -> Result<T, E>) -> Result<Option<T>, StoreError> {
        let read = |bytes: Vec<u8>| from(&bytes).map_err(|_| StoreError::corrupt("an id that is not 16 bytes"));
        self.maybe_blob()?.map(read).transpose()
    }

    /// A list or map, kept as JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, StoreError> {
        serde_json::from_str(&self.text()?).map_err(|_| StoreError::corrupt("a list or map that can't be read"))
    }
}

fn missing() -> StoreError {
    StoreError::corrupt("a value that is missing")
}

/// A list or map as JSON.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("lists and maps of texts and numbers always serialize")
}

/// How many rows one text takes. Few sizes, so that their prepared statements stay cached.
const ROWS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
const MOST_ROWS: usize = ROWS[ROWS.len() - 1];

/// A statement over a list of rows. The list is filled up with rows of NULL to the next size that there is a text for: whatever
/// the statement does with a row, it does nothing with one whose first value is NULL.
pub(crate) struct ManyRows {
    before: [&'static str; 3],
    columns: usize,
    after: [&'static str; 2],
    texts: [OnceLock<String>; ROWS.len()],
}

impl ManyRows {
    /// `head (VALUES (…), (…)) AS v tail`. It must do nothing with a row whose first column is NULL, as a comparison of it does.
    pub(crate) const fn new(head: &'static str, columns: usize, tail: &'static str) -> Self {
        Self::of(["", head, "(VALUES"], columns, [") AS v", tail])
    }

    /// `INSERT INTO into` the rows, then `tail`. The first column is never NULL.
    pub(crate) const fn insert(into: &'static str, columns: usize, tail: &'static str) -> Self {
        Self::of(["INSERT INTO", into, "SELECT * FROM (VALUES"], columns, [") AS v WHERE v.column1 IS NOT NULL", tail])
    }

    const fn of(before: [&'static str; 3], columns: usize, after: [&'static str; 2]) -> Self {
        Self { before, columns, after, texts: [const { OnceLock::new() }; ROWS.len()] }
    }

    /// Runs it for all `rows` in as few statements as there can be; the number of rows changed.
    pub(crate) async fn execute(&'static self, tx: &mut dyn Tx, rows: Vec<Vec<Value>>) -> Result<u64, StoreError> {
        match rows.is_empty() {
            true => Ok(0),
            false => tx.execute_all(self.statements(rows)).await,
        }
    }

    /// As [`ManyRows::execute`], for a statement with RETURNING.
    pub(crate) async fn rows(&'static self, tx: &mut dyn Tx, rows: Vec<Vec<Value>>) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        for (sql, values) in self.statements(rows) {
            found.extend(tx.rows(sql, values).await?);
        }
        Ok(found)
    }

    /// The statements that do it for all `rows`, to be run together with others.
    pub(crate) fn statements(&'static self, rows: Vec<Vec<Value>>) -> Vec<Statement> {
        let mut left = rows.len();
        let mut rows = rows.into_iter();
        let mut statements = Vec::with_capacity(left.div_ceil(MOST_ROWS));
        while left > 0 {
            let taken = left.min(MOST_ROWS);
            let size = ROWS.iter().position(|rows| *rows >= taken).expect("the greatest size is enough");
            let mut values = Vec::with_capacity(ROWS[size] * self.columns);
            for row in rows.by_ref().take(taken) {
                debug_assert_eq!(row.len(), self.columns, "{}", self.before[1]);
                values.extend(row);
            }
            for at in 0..(ROWS[size] - taken) * self.columns {
                values.push(values[at].none());
            }
            statements.push((self.text(size), values));
            left -= taken;
        }
        statements
    }

    fn text(&'static self, size: usize) -> &'static str {
        self.texts[size].get_or_init(|| {
            let row = |at: usize| {
                let parameters: Vec<String> =
                    (1..=self.columns).map(|column| format!("${}", at * self.columns + column)).collect();
                format!("({})", parameters.join(", "))
            };
            let rows: Vec<String> = (0..ROWS[size]).map(row).collect();
            let text = format!("{} {} {}", self.before.join(" "), rows.join(", "), self.after.join(" "));
            text.trim().to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAIRS: ManyRows = ManyRows::insert("pair (a, b)", 2, "ON CONFLICT DO NOTHING");
    static GONE: ManyRows = ManyRows::new("DELETE FROM pair WHERE a IN (SELECT column1 FROM", 1, ")");

    #[test]
    fn many_rows_take_few_statements_of_few_sizes() {
        let rows = |count: i64| (0..count).map(|n| values![n, "x"]).collect::<Vec<_>>();
        let sizes =
            |count| PAIRS.statements(rows(count)).iter().map(|(_, values)| values.len() / 2).collect::<Vec<_>>();
        assert_eq!(sizes(0), Vec::<usize>::new());
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(3), [4]);
        assert_eq!(sizes(64), [64]);
        assert_eq!(sizes(70), [64, 8]);
    }

    #[test]
    fn a_list_of_rows_is_filled_up_with_nothing_of_the_same_types() {
        let rows: Vec<_> = (0..3i64).map(|n| values![n, "x"]).collect();
        let (text, values) = PAIRS.statements(rows).remove(0);
        assert_eq!(
            text,
            "INSERT INTO pair (a, b) SELECT * FROM (VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) \
             ) AS v WHERE v.column1 IS NOT NULL ON CONFLICT DO NOTHING"
        );
        assert_eq!(values[4..], [Value::from(2i64), Value::from("x"), Value::Int(None), Value::Text(None)]);
        let (text, _) = GONE.statements(vec![values![7i64]]).remove(0);
        assert_eq!(text, "DELETE FROM pair WHERE a IN (SELECT column1 FROM (VALUES ($1) ) AS v )");
    }

    #[test]
    fn a_column_of_another_type_is_damage() {
        assert!(matches!(Row::new(values!["x"]).int(), Err(StoreError::Corrupt { .. })));
        assert!(matches!(Row::new(values![7i64]).id(TokenId::from_slice), Err(StoreError::Corrupt { .. })));
        assert_eq!(Row::new(vec![Value::Blob(None)]).maybe_int().unwrap(), None);
        assert!(Row::new(vec![]).int().is_err());
    }
}
