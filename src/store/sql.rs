//! The little that statements need beside their text: values to bind, rows to read, and inserts of many rows.
//!
//! Statements are written once for SQLite and PostgreSQL: `$1` parameters and only what both understand. A parameter keeps
//! its type when it is NULL, since PostgreSQL wants to know it.

use std::sync::OnceLock;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{
    AlertId, AppId, AuditId, BlockId, ClassId, CollectorId, KeyId, KindId, LeaseId, NetworkId, OperationId, OutboxId,
    TeamId, TokenId,
};
use crate::store::StoreError;

/// A value that is bound to a parameter or read from a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A 64-bit number: counts, times, booleans.
    Int(Option<i64>),
    /// A text.
    Text(Option<String>),
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
    Text: String = |text| text, &str = str::to_owned,
        &TeamId = slug, &NetworkId = slug, &AppId = slug, &KindId = slug, &ClassId = slug, &OperationId = slug;
    Blob: Vec<u8> = |bytes| bytes, &[u8] = <[u8]>::to_vec,
        AlertId = |id: AlertId| id.as_bytes().to_vec(), AuditId = |id: AuditId| id.as_bytes().to_vec(),
        BlockId = |id: BlockId| id.as_bytes().to_vec(), CollectorId = |id: CollectorId| id.as_bytes().to_vec(),
        KeyId = |id: KeyId| id.as_bytes().to_vec(), LeaseId = |id: LeaseId| id.as_bytes().to_vec(),
        OutboxId = |id: OutboxId| id.as_bytes().to_vec(), TokenId = |id: TokenId| id.as_bytes().to_vec();
}

fn slug(id: impl ToString) -> String {
    id.to_string()
}

/// Credits are far below 2^63; a greater number is as good as the greatest.
pub(crate) fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// One transaction, or one reader.
#[async_trait]
pub(crate) trait Tx: Send {
    /// Runs a statement; the number of rows that it changed.
    async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, StoreError>;
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
        self.text()?.parse().map_err(|_| StoreError::corrupt("a name that is not one"))
    }

    /// A slug that may be missing.
    pub(crate) fn maybe_slug<T: std::str::FromStr>(&mut self) -> Result<Option<T>, StoreError> {
        let parse = |text: String| text.parse().map_err(|_| StoreError::corrupt("a name that is not one"));
        self.maybe_text()?.map(parse).transpose()
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

/// How many rows one text writes. Few sizes, so that their prepared statements stay cached.
const ROWS: [usize; 4] = [64, 16, 4, 1];

/// A statement over a list of rows: `head (…), (…) tail`.
pub(crate) struct ManyRows {
    head: &'static str,
    columns: usize,
    tail: &'static str,
    texts: [OnceLock<String>; ROWS.len()],
}

impl ManyRows {
    pub(crate) const fn new(head: &'static str, columns: usize, tail: &'static str) -> Self {
        Self { head, columns, tail, texts: [const { OnceLock::new() }; ROWS.len()] }
    }

    /// Runs it for all `rows` in as few statements as there can be; the number of rows changed.
    pub(crate) async fn execute(&'static self, tx: &mut dyn Tx, rows: Vec<Vec<Value>>) -> Result<u64, StoreError> {
        let mut changed = 0;
        for (sql, values) in self.split(rows) {
            changed += tx.execute(sql, values).await?;
        }
        Ok(changed)
    }

    /// As [`ManyRows::execute`], for a statement with RETURNING.
    pub(crate) async fn rows(&'static self, tx: &mut dyn Tx, rows: Vec<Vec<Value>>) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        for (sql, values) in self.split(rows) {
            found.extend(tx.rows(sql, values).await?);
        }
        Ok(found)
    }

    fn split(&'static self, rows: Vec<Vec<Value>>) -> Vec<(&'static str, Vec<Value>)> {
        let mut left = rows.len();
        let mut rows = rows.into_iter();
        let mut statements = Vec::new();
        while left > 0 {
            let size = (0..ROWS.len()).find(|&size| ROWS[size] <= left).expect("the least size is one row");
            let mut values = Vec::with_capacity(ROWS[size] * self.columns);
            for row in rows.by_ref().take(ROWS[size]) {
                debug_assert_eq!(row.len(), self.columns, "{}", self.head);
                values.extend(row);
            }
            statements.push((self.text(size), values));
            left -= ROWS[size];
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
            format!("{} {} {}", self.head, rows.join(", "), self.tail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAIRS: ManyRows = ManyRows::new("INSERT INTO pair (a, b) VALUES", 2, "ON CONFLICT DO NOTHING");

    #[test]
    fn many_rows_are_split_into_few_sizes() {
        let rows = |count: i64| (0..count).map(|n| values![n, "x"]).collect::<Vec<_>>();
        let sizes = |count| PAIRS.split(rows(count)).iter().map(|(_, values)| values.len() / 2).collect::<Vec<_>>();
        assert_eq!(sizes(0), Vec::<usize>::new());
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(70), [64, 4, 1, 1]);
        assert_eq!(PAIRS.split(rows(1))[0].0, "INSERT INTO pair (a, b) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        let order: Vec<Value> = PAIRS.split(rows(70)).into_iter().flat_map(|(_, values)| values).step_by(2).collect();
        assert_eq!(order, (0..70i64).map(Value::from).collect::<Vec<_>>());
    }

    #[test]
    fn a_column_of_another_type_is_damage() {
        assert!(matches!(Row::new(values!["x"]).int(), Err(StoreError::Corrupt { .. })));
        assert!(matches!(Row::new(values![7i64]).id(TokenId::from_slice), Err(StoreError::Corrupt { .. })));
        assert_eq!(Row::new(vec![Value::Blob(None)]).maybe_int().unwrap(), None);
        assert!(Row::new(vec![]).int().is_err());
    }
}
