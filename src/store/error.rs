//! What can go wrong with the store, in words that say what to do.

use std::path::PathBuf;
use std::sync::Arc;

/// Why the store did not do what it was asked. Nothing was changed, except where a variant says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It can't answer at the moment.
    #[error("the store is not available; try again shortly")]
    Unavailable(#[source] Cause),
    /// The writer has ended: the store was closed, or its thread died. Whether the change was made is unknown.
    #[error("the store's writer has ended; restart the broker")]
    Closed,
    /// The file or its directory can't be written.
    #[error("the database is read-only; make its directory writable for the broker")]
    ReadOnly,
    /// The disk is full. Writes work again once there is space.
    #[error("the disk of the database is full; free some space, the broker goes on by itself")]
    Full,
    /// A newer broker has used the database.
    #[error(
        "the database has schema version {found}, this broker knows up to {known}; start a newer broker or restore a backup"
    )]
    NewerSchema {
        /// The version of the database.
        found: i64,
        /// The newest version that this broker knows.
        known: i64,
    },
    /// An older broker has used the database last.
    #[error("the database has schema version {found}, this broker works with {known}; start the broker on it once")]
    OlderSchema {
        /// The version of the database.
        found: i64,
        /// The version that this broker works with.
        known: i64,
    },
    /// The database library has a known fault.
    #[error("SQLite {found} may damage data; build the broker with SQLite {needed} or newer")]
    OldLibrary {
        /// The version found.
        found: String,
        /// The lowest version that is accepted.
        needed: &'static str,
    },
    /// Another process holds the data directory.
    #[error("another broker process holds {}; stop it first, or use another data directory", .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The data directory or a file in it can't be opened.
    #[error("{} can't be opened; check that it exists and belongs to the broker", .path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: Arc<std::io::Error>,
    },
    /// The disk refused to make a change durable. The writer accepts nothing more. Whether the change was made is unknown
    /// until the database was opened anew.
    #[error("the disk refused to make a change durable; check the disk, then restart the broker")]
    NotDurable(#[source] Cause),
    /// A change came before the audit was taken up: a fault of the broker.
    #[error("the audit was not taken up before the first change; please report this")]
    NoAuditKey,
    /// What was read can't be true.
    #[error("the database is damaged ({what}); run the doctor command and restore a backup if needed")]
    Corrupt {
        /// What was found.
        what: String,
    },
    /// A row like it exists already, or a row that it names does not.
    #[error("the change does not fit what is stored ({what}); read again, then decide")]
    Conflict {
        /// The constraint, without values.
        what: String,
    },
    /// The row does not exist.
    #[error("{what} does not exist")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// A statement was refused: a fault of the broker.
    #[error("the database refused a statement; please report this")]
    Statement(#[source] Cause),
}

impl StoreError {
    /// Whether the same request may succeed later without anybody's doing.
    pub const fn is_transient(&self) -> bool {
        matches!(self, StoreError::Unavailable(_) | StoreError::Full)
    }

    /// Whether the writer accepts nothing more after this.
    pub const fn is_final(&self) -> bool {
        matches!(self, StoreError::NotDurable(_) | StoreError::Corrupt { .. } | StoreError::Closed)
    }

    pub(crate) fn not_found(what: impl ToString) -> Self {
        StoreError::NotFound { what: what.to_string() }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        StoreError::Corrupt { what: what.into() }
    }
}

/// The database's own error; it names tables and constraints, never values.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;
