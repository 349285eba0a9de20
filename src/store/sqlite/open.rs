//! Opening: lock the data directory, check the library, set the pragmas, migrate, start writer and readers.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqliteConnection, SqlitePool};

use super::connection::translate;
use super::writer::Writer;
use super::{OnCommit, SqliteStore, migrate};
use crate::base::clock::Clock;
use crate::store::StoreError;
use crate::store::database::EngineFact;

/// SQLite before this may damage a database when two connections write and checkpoint (<https://sqlite.org/wal.html#walresetbug>).
const OLDEST: (&str, [u32; 3]) = ("3.51.3", [3, 51, 3]);

/// The name of the database in the data directory.
const DATABASE: &str = "broker.db";

/// The name of the file that a running broker keeps locked.
const LOCK: &str = "broker.lock";

/// How a store in SQLite is opened.
#[derive(Clone)]
pub struct SqliteOptions {
    /// The data directory. It must exist, on a local disk.
    pub data_dir: PathBuf,
    /// Connections that read.
    pub readers: u32,
    /// Changes that may wait for the writer; more callers wait for a place.
    pub queue: usize,
    /// Databases up to this size in bytes are checked for damage at the start.
    pub check_up_to: u64,
    /// Is told of every group commit.
    pub on_commit: Option<OnCommit>,
}

impl SqliteOptions {
    /// The usual: 4 readers, 4096 waiting changes, a check up to 256 MiB.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), readers: 4, queue: 4096, check_up_to: 256 << 20, on_commit: None }
    }
}

impl SqliteStore {
    /// Opens the store, and makes it if the directory is empty.
    ///
    /// Fails with [`StoreError::Locked`] while another process has it, with [`StoreError::NewerSchema`] if a newer broker used
    /// it, with [`StoreError::Corrupt`] if the check finds damage.
    pub async fn open(options: SqliteOptions, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let lock = lock(&options.data_dir)?;
        let path = options.data_dir.join(DATABASE);
        let connect = connect_options(&path);
        let mut connection = connect.connect().await.map_err(translate)?;
        check_library(&mut connection).await?;
        check_writable(&path)?;
        check_content(&mut connection, &path, options.check_up_to).await?;
        migrate::migrate(&mut connection).await?;
        let readers = read_from(connect.read_only(true).create_if_missing(false), options.readers).await?;
        let audit_key = Arc::default();
        let writer = Writer::start(connection, lock, options, clock, Arc::clone(&audit_key))?;
        Ok(Self { writer, readers, audit_key })
    }

    /// Opens a store to read it, also while a broker runs on it. Changes fail with [`StoreError::Closed`].
    ///
    /// Fails with [`StoreError::Open`] if there is none, and where another version of the broker has used it.
    pub async fn open_to_read(data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join(DATABASE);
        File::open(&path).map_err(|cause| StoreError::Open { path: path.clone(), cause: Arc::new(cause) })?;
        let readers = read_from(connect_options(&path).create_if_missing(false), 1).await?;
        let mut connection = readers.acquire().await.map_err(translate)?;
        check_library(&mut connection).await?;
        migrate::must_be_known(&mut connection).await?;
        drop(connection);
        Ok(Self { writer: Writer::ended(), readers, audit_key: Arc::default() })
    }
}

async fn read_from(connect: SqliteConnectOptions, connections: u32) -> Result<SqlitePool, StoreError> {
    SqlitePoolOptions::new()
        .max_connections(connections.max(1))
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(connect.pragma("query_only", "ON"))
        .await
        .map_err(translate)
}

/// The lock goes when the file is closed, at the latest with the process.
fn lock(data_dir: &Path) -> Result<File, StoreError> {
    let path = data_dir.join(LOCK);
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|cause| match cause.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly,
        std::io::ErrorKind::StorageFull => StoreError::Full,
        _ => StoreError::Open { path: path.clone(), cause: Arc::new(cause) },
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path }),
        Err(TryLockError::Error(cause)) => Err(StoreError::Open { path, cause: Arc::new(cause) }),
    }
}

fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("secure_delete", "ON")
        .pragma("mmap_size", "0")
        .pragma("temp_store", "MEMORY")
        .pragma("fullfsync", "ON")
        .pragma("checkpoint_fullfsync", "ON")
        .pragma("cache_size", "-16384")
        .pragma("journal_size_limit", "67108864")
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

async fn check_library(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let found: String = pragma(connection, "SELECT sqlite_version()").await?;
    let mut parts = found.split('.').map_while(|part| part.parse::<u32>().ok());
    let version = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
    if version < OLDEST.1 {
        return Err(StoreError::OldLibrary { found, needed: OLDEST.0 });
    }
    Ok(())
}

/// SQLite opens a file that it may not write, and fails only later.
fn check_writable(path: &Path) -> Result<(), StoreError> {
    match std::fs::metadata(path) {
        Ok(file) if file.permissions().readonly() => Err(StoreError::ReadOnly),
        _ => Ok(()),
    }
}

async fn check_content(connection: &mut SqliteConnection, path: &Path, up_to: u64) -> Result<(), StoreError> {
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    if size > up_to {
        tracing::info!(bytes = size, "the database is large; its check at the start is left out");
        return Ok(());
    }
    let found: String = pragma(connection, "PRAGMA quick_check(1)").await?;
    if found == "ok" { Ok(()) } else { Err(StoreError::corrupt(found)) }
}

async fn pragma(connection: &mut SqliteConnection, sql: &'static str) -> Result<String, StoreError> {
    let row = sqlx::query(sql).fetch_one(connection).await.map_err(translate)?;
    row.try_get_unchecked::<String, _>(0).map_err(translate)
}

/// The settings that durability rests on, as a connection has them.
pub(super) async fn facts(readers: &SqlitePool) -> Result<Vec<EngineFact>, StoreError> {
    const WANTED: [(&str, &str, &str); 6] = [
        ("journal_mode", "SELECT journal_mode FROM pragma_journal_mode", "wal"),
        ("synchronous", "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2"),
        ("foreign_keys", "SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys", "1"),
        ("secure_delete", "SELECT CAST(secure_delete AS TEXT) FROM pragma_secure_delete", "1"),
        ("foreign_key_check", "SELECT CAST(COUNT(*) AS TEXT) FROM pragma_foreign_key_check", "0"),
        ("quick_check", "SELECT quick_check FROM pragma_quick_check LIMIT 1", "ok"),
    ];
    let mut reader = readers.acquire().await.map_err(translate)?;
    let mut facts = Vec::with_capacity(WANTED.len() + 1);
    for (name, sql, wanted) in WANTED {
        let value = pragma(&mut reader, sql).await?;
        facts.push(EngineFact { name, right: value == wanted, value });
    }
    let version = pragma(&mut reader, "SELECT sqlite_version()").await?;
    facts.push(EngineFact { name: "sqlite_version", value: version, right: true });
    Ok(facts)
}
