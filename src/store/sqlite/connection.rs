//! One SQLite connection seen as a transaction: binds values, reads rows, names what went wrong.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Decode, Row as _, Sqlite, SqliteConnection, TypeInfo, ValueRef};

use super::text::{script_of, text_of};
use crate::store::StoreError;
use crate::store::audit::AuditKey;
use crate::store::sql::{Row, Statement, Tx, Value};

/// A connection with the statements of one transaction running on it.
pub(super) struct SqliteTx<'c> {
    connection: &'c mut SqliteConnection,
    audit_key: &'c OnceLock<AuditKey>,
    /// Set once an error may have ended the transaction: nothing of it can be trusted any more.
    broken: Option<StoreError>,
}

impl<'c> SqliteTx<'c> {
    pub(super) fn new(connection: &'c mut SqliteConnection, audit_key: &'c OnceLock<AuditKey>) -> Self {
        Self { connection, audit_key, broken: None }
    }

    /// The error that broke the transaction, if one did.
    pub(super) fn broken(&self) -> Option<StoreError> {
        self.broken.clone()
    }

    fn note(&mut self, error: sqlx::Error) -> StoreError {
        let error = translate(error);
        if !matches!(error, StoreError::Conflict { .. } | StoreError::Statement(_)) {
            self.broken.get_or_insert_with(|| error.clone());
        }
        error
    }
}

#[async_trait]
impl Tx for SqliteTx<'_> {
    fn audit_key(&self) -> Result<AuditKey, StoreError> {
        self.audit_key.get().cloned().ok_or(StoreError::NoAuditKey)
    }

    async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, StoreError> {
        // After some errors SQLite has rolled back by itself; a further statement would run and commit alone.
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        #[cfg(test)]
        super::plan::must_be_bounded(sql, self.connection).await;
        match sqlx::query_with(text_of(sql), arguments(values)).execute(&mut *self.connection).await {
            Ok(done) => Ok(done.rows_affected()),
            Err(error) => Err(self.note(error)),
        }
    }

    /// The connection's thread gets them in one message where it can, since a message costs more than a statement.
    async fn execute_all(&mut self, statements: Vec<Statement>) -> Result<u64, StoreError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        #[cfg(test)]
        for (sql, _) in &statements {
            super::plan::must_be_bounded(sql, self.connection).await;
        }
        let Some(text) = script_of(statements.iter().map(|(sql, _)| *sql)) else {
            let mut changed = 0;
            for (sql, values) in statements {
                changed += self.execute(sql, values).await?;
            }
            return Ok(changed);
        };
        let values = statements.into_iter().flat_map(|(_, values)| values).collect();
        match sqlx::query_with(text, arguments(values)).execute(&mut *self.connection).await {
            Ok(done) => Ok(done.rows_affected()),
            Err(error) => Err(self.note(error)),
        }
    }

    async fn rows(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        #[cfg(test)]
        super::plan::must_be_bounded(sql, self.connection).await;
        let query = sqlx::query_with(text_of(sql), arguments(values));
        let rows = query.fetch(&mut *self.connection).map_ok(|row| read(&row)).try_collect::<Vec<_>>().await;
        match rows {
            Ok(rows) => rows.into_iter().collect(),
            Err(error) => Err(self.note(error)),
        }
    }
}

fn arguments(values: Vec<Value>) -> SqliteArguments {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        let added = match value {
            Value::Int(number) => arguments.add(number),
            Value::Text(text) => arguments.add(text),
            Value::Blob(bytes) => arguments.add(bytes),
        };
        added.expect("numbers, texts and bytes always encode");
    }
    arguments
}

fn read(row: &SqliteRow) -> Result<Row, StoreError> {
    (0..row.len()).map(|column| read_value(row, column)).collect::<Result<_, _>>().map(Row::new)
}

fn read_value(row: &SqliteRow, column: usize) -> Result<Value, StoreError> {
    let value = row.try_get_raw(column).map_err(translate)?;
    if value.is_null() {
        return Ok(Value::Int(None));
    }
    let damaged = |_| StoreError::corrupt("a column that can't be read");
    let kind = value.type_info().into_owned();
    match kind.name() {
        "INTEGER" => <i64 as Decode<Sqlite>>::decode(value).map(|n| Value::Int(Some(n))).map_err(damaged),
        // Bytes that are no text are handed on as they are: who wants a text says so, of this row alone.
        "TEXT" => <&[u8] as Decode<Sqlite>>::decode(value).map_err(damaged).map(|bytes| match str::from_utf8(bytes) {
            Ok(text) => Value::Text(Some(text.into())),
            Err(_) => Value::Blob(Some(bytes.to_vec())),
        }),
        "BLOB" => <Vec<u8> as Decode<Sqlite>>::decode(value).map(|bytes| Value::Blob(Some(bytes))).map_err(damaged),
        other => Err(StoreError::corrupt(format!("a column of type {other}"))),
    }
}

/// Names an error of SQLite by its primary result code (<https://sqlite.org/rescode.html>).
pub(super) fn translate(error: sqlx::Error) -> StoreError {
    let code = match &error {
        sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff),
        sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => Some(FULL),
        sqlx::Error::WorkerCrashed => return StoreError::Closed,
        _ => None,
    };
    match code {
        Some(CONSTRAINT) => StoreError::Conflict { what: error.to_string() },
        Some(ERROR | MISMATCH | RANGE | TOO_BIG) => StoreError::Statement(Arc::new(error)),
        Some(READ_ONLY) => StoreError::ReadOnly,
        Some(FULL) => StoreError::Full,
        Some(IO_ERROR) => StoreError::NotDurable(Arc::new(error)),
        Some(CORRUPT | NOT_A_DATABASE) => StoreError::corrupt(error.to_string()),
        _ => StoreError::Unavailable(Arc::new(error)),
    }
}

const ERROR: u32 = 1;
const READ_ONLY: u32 = 8;
const IO_ERROR: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const TOO_BIG: u32 = 18;
const CONSTRAINT: u32 = 19;
const MISMATCH: u32 = 20;
const RANGE: u32 = 25;
const NOT_A_DATABASE: u32 = 26;
