//! The contract on SQLite, and what is particular to it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::future::join_all;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;

use super::{CommitStats, SqliteOptions, SqliteStore};
use crate::base::clock::ManualClock;
use crate::domain::connection::{Connection, Found, Obstacle, Problem, ProblemKind, Profile, Stage};
use crate::store::contract::connection::connection;
use crate::store::contract::samples::{acme, at, audit_key, audited, event, open, seed, start, take, team};
use crate::store::contract::{Fixture, suite};
use crate::store::database::Database;
use crate::store::sql::values;
use crate::store::{
    AuditStore, ConnectionStore, CreditStore, DoctorStore, LeaseStore, MetaStore, OpenLease, Severity, Store,
    StoreError, TeamStore, TokenFilter, TokenStore,
};

struct SqliteFixture(TempDir);

#[async_trait]
impl Fixture for SqliteFixture {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(open_in(self.0.path()).await.unwrap())
    }
}

fn fixture() -> SqliteFixture {
    SqliteFixture(tempfile::tempdir().unwrap())
}

suite!(super::fixture);

pub(super) async fn open_in(dir: &Path) -> Result<SqliteStore, StoreError> {
    open_with(SqliteOptions::new(dir)).await
}

async fn open_with(options: SqliteOptions) -> Result<SqliteStore, StoreError> {
    let store = SqliteStore::open(options, Arc::new(ManualClock::at(at(0)))).await?;
    start(&store).await?;
    Ok(store)
}

pub(super) async fn raw(dir: &Path, sql: &'static str) {
    let url = format!("sqlite://{}", dir.join("broker.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_second_broker_is_refused_until_the_first_has_closed() {
    let dir = tempfile::tempdir().unwrap();
    let first = open_in(dir.path()).await.unwrap();
    assert!(matches!(open_in(dir.path()).await, Err(StoreError::Locked { path }) if path.ends_with("broker.lock")));
    first.close().await;
    open_in(dir.path()).await.unwrap().close().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open_in(dir.path()).await.unwrap().close().await;
    raw(dir.path(), "UPDATE meta SET value = x'3939' WHERE name = 'schema_version'").await;
    let refused = open_in(dir.path()).await;
    assert!(matches!(refused, Err(StoreError::NewerSchema { found: 99, known: super::migrate::KNOWN })));
}

/// Problems and obstacles were texts before they were kept by name.
#[tokio::test]
async fn what_hindered_a_connection_is_told_as_the_version_before_told_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_in(dir.path()).await.unwrap();
    seed(&store, 1).await;
    let stored = connection(1);
    store.insert_connection(stored.clone(), event("connection.start", "c").into()).await.unwrap();
    store.close().await;
    raw(
        dir.path(),
        r#"UPDATE connection SET stage = 'choosing', problem = '{"kind":"denied","message":"You said no."}',
            found = '{"person":"p","name":"","scopes":["s"],"profiles":[
                {"id":"7","name":"Page","obstacle":"Ask."},{"id":"8","name":"\u0041","obstacle":null}]}'"#,
    )
    .await;
    raw(dir.path(), include_str!("../migrations/sqlite/0048_problems_by_name.sql")).await;
    let store = open_in(dir.path()).await.unwrap();
    let Connection { problem, stage, .. } =
        store.find_connection(stored.connection.id).await.unwrap().unwrap().connection;
    assert_eq!(problem, Some(Problem::Earlier { kind: ProblemKind::Denied, message: "You said no.".to_owned() }));
    let profile = |id: &str, name: &str, obstacle| Profile { id: id.to_owned(), name: name.to_owned(), obstacle };
    let profiles = vec![profile("7", "Page", Some(Obstacle::Earlier("Ask.".to_owned()))), profile("8", "A", None)];
    let found = Found { person: "p".to_owned(), scopes: vec!["s".to_owned()], profiles, ..Found::default() };
    assert_eq!(stage, Stage::Choosing(found));
    store.close().await;
}

#[tokio::test]
async fn what_is_not_a_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("broker.db"), "this is no database, but it is long enough to be one".repeat(100))
        .unwrap();
    assert!(matches!(open_in(dir.path()).await, Err(StoreError::Corrupt { .. })));
    assert!(matches!(open_in(&dir.path().join("missing")).await, Err(StoreError::Open { .. })));
}

#[tokio::test]
async fn a_read_only_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open_in(dir.path()).await.unwrap().close().await;
    let path = dir.path().join("broker.db");
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    assert!(matches!(open_in(dir.path()).await, Err(StoreError::ReadOnly)));
}

/// The files of a running store, as they would be after `kill -9`.
#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_in(dir.path()).await.unwrap();
    seed(&store, 1).await;
    join_all((1..=100).map(|n| store.open_lease(OpenLease { takes: vec![take("b", 1, 1000)], ..open(n, 1) }))).await;
    let copy = tempfile::tempdir().unwrap();
    for file in ["broker.db", "broker.db-wal"] {
        std::fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    }
    let again = open_in(copy.path()).await.unwrap();
    assert_eq!(again.open_leases(at(0)).await.unwrap().len(), 100);
    assert_eq!(again.live_blocks(at(0)).await.unwrap().len(), 100);
    assert_eq!(audited(&again, "lease.open").await, 100);
    again.close().await;
    store.close().await;
}

#[tokio::test]
async fn callers_share_commits() {
    let dir = tempfile::tempdir().unwrap();
    let stats: Arc<Mutex<Vec<CommitStats>>> = Arc::default();
    let seen = Arc::clone(&stats);
    let on_commit = Arc::new(move |stats| seen.lock().unwrap().push(stats));
    let options = SqliteOptions { on_commit: Some(on_commit), ..SqliteOptions::new(dir.path()) };
    let store = open_with(options).await.unwrap();
    seed(&store, 1).await;
    stats.lock().unwrap().clear();
    // 64 callers, each with 10 leases one after another.
    let callers = (0..64).map(|caller| {
        let store = &store;
        async move {
            for n in 0..10 {
                store.open_lease(open(1 + caller * 10 + n, 1)).await.unwrap();
            }
        }
    });
    join_all(callers).await;
    let commits = stats.lock().unwrap().clone();
    assert_eq!(commits.iter().map(|commit| commit.changes).sum::<usize>(), 640);
    assert!(commits.iter().all(|commit| commit.durable));
    assert!(commits.len() <= 160, "{} commits for 640 leases", commits.len());
    store.close().await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_in(dir.path()).await.unwrap();
    seed(&store, 1).await;
    let limit_pages = |sql: &'static str| {
        let store = &store;
        async move { store.write(move |tx| Box::pin(async move { tx.rows(sql, vec![]).await.map(drop) })).await }
    };
    let result: Result<(), StoreError> = limit_pages("PRAGMA max_page_count = 1").await;
    result.unwrap();
    let mut big = event("big", "subject");
    big.detail = "x".repeat(200_000);
    let answers = tokio::join!(store.append_audit(vec![big.clone()]), store.open_lease(open(1, 1)));
    assert!(matches!(answers.0, Err(StoreError::Full)), "{answers:?}");
    assert!(store.is_writable());
    let result: Result<(), StoreError> = limit_pages("PRAGMA max_page_count = 1000000").await;
    result.unwrap();
    store.append_audit(vec![big]).await.unwrap();
    assert_eq!(audited(&store, "big").await, 1);
    store.close().await;
}

#[tokio::test]
async fn a_failed_job_undoes_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_in(dir.path()).await.unwrap();
    let failing = store.write(|tx| {
        Box::pin(async move {
            let sql = "INSERT INTO meta (name, value) VALUES ($1, $2)";
            tx.execute(sql, values!["half", vec![1u8]]).await?;
            tx.execute(sql, values!["half", vec![2u8]]).await
        })
    });
    let wrong = store.write(|tx| Box::pin(async move { tx.execute("UPDATE nothing SET x = 1", vec![]).await }));
    let (failed, wrong, kept): (Result<u64, StoreError>, Result<u64, StoreError>, _) =
        tokio::join!(failing, wrong, store.insert_team(team("acme"), event("team.add", "team").into()));
    assert!(matches!(failed, Err(StoreError::Conflict { .. })));
    assert!(matches!(wrong, Err(StoreError::Statement(_))));
    kept.unwrap();
    let half = store
        .read(|tx| Box::pin(async move { tx.rows("SELECT 1 FROM meta WHERE name = 'half'", vec![]).await }))
        .await
        .unwrap();
    assert!(half.is_empty());
    assert_eq!(store.list_teams().await.unwrap().len(), 1);
    store.close().await;
}

#[tokio::test]
async fn readers_can_not_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_in(dir.path()).await.unwrap();
    let refused = store.read(|tx| Box::pin(async move { tx.execute("DELETE FROM meta", vec![]).await })).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly)), "{refused:?}");
    store.close().await;
}

#[tokio::test]
async fn a_damaged_token_does_not_hinder_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_in(dir.path()).await.unwrap();
    seed(&store, 3).await;
    store.close().await;
    raw(dir.path(), "UPDATE token SET facts = 'no map' WHERE person = 'person 2'").await;
    let store = open_in(dir.path()).await.unwrap();
    let chunk = crate::store::TokenStore::all_tokens(&store, None, 10).await.unwrap();
    assert_eq!(chunk.tokens.len(), 2);
    assert_eq!(chunk.damaged, [crate::base::ids::TokenId::from_u128(2)]);
    store.close().await;
}

#[tokio::test]
async fn what_an_earlier_broker_wrote_of_refreshed_tokens_ends_by_no_access_token() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_in(dir.path()).await.unwrap();
    seed(&store, 3).await;
    store.close().await;
    let earlier = "ALTER TABLE token DROP COLUMN refreshed;
        UPDATE token SET sealed_refresh = NULL WHERE person = 'person 2';";
    raw(dir.path(), earlier).await;
    raw(dir.path(), include_str!("../migrations/sqlite/0029_refreshed.sql")).await;
    let store = open_in(dir.path()).await.unwrap();
    let endless = TokenFilter { endless: Some(true), ..TokenFilter::default() };
    let endless = TokenStore::list_tokens(&store, &acme(), endless, 10).await.unwrap();
    let persons: Vec<&str> = endless.iter().map(|token| token.person.as_str()).collect();
    assert_eq!(persons, ["person 1", "person 3"]);
    assert!(endless.iter().all(|token| token.refreshed && token.ends_at().is_none()));
    store.close().await;
}

/// After an error that another try could hide, nothing more is accepted.
#[tokio::test]
async fn damage_stops_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_in(dir.path()).await.unwrap();
    let root = "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = 'audit'";
    let mut rows = store.read(move |tx| Box::pin(async move { tx.rows(root, vec![]).await })).await.unwrap();
    let (page, size) = (rows[0].int().unwrap(), rows[0].int().unwrap());
    store.close().await;
    let path = dir.path().join("broker.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let start = usize::try_from((page - 1) * size).unwrap();
    bytes[start..start + 100].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(open_in(dir.path()).await, Err(StoreError::Corrupt { .. })));
    let unchecked = SqliteOptions { check_up_to: 0, ..SqliteOptions::new(dir.path()) };
    let store = SqliteStore::open(unchecked, Arc::new(ManualClock::at(at(0)))).await.unwrap();
    store.set_audit_key(audit_key("test"));
    store.check_write().await.unwrap();
    let damaged = store.append_audit(vec![event("a", "b")]).await;
    assert!(matches!(damaged, Err(StoreError::Corrupt { .. })), "{damaged:?}");
    assert!(!store.accepts_writes());
    assert!(matches!(store.check_write().await, Err(StoreError::Corrupt { .. })));
    assert_eq!(store.list_teams().await.unwrap(), []);
    store.close().await;
}

#[tokio::test]
async fn the_doctor_finds_broken_books() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_in(dir.path()).await.unwrap();
    seed(&store, 2).await;
    store.open_lease(OpenLease { takes: vec![take("b", 5, 10), take("c", 5, 10)], ..open(1, 1) }).await.unwrap();
    store.open_lease(open(2, 2)).await.unwrap();
    store.close().await;
    let harm = "UPDATE bucket SET cap = 4 WHERE key = 'b'; DELETE FROM bucket WHERE key = 'c';
        DELETE FROM token WHERE person = 'person 1';
        UPDATE token SET state = 'revoked', state_since_us = 1 WHERE person = 'person 2'";
    raw(dir.path(), harm).await;
    let store = open_in(dir.path()).await.unwrap();
    let findings = store.examine(at(0)).await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    let checks: Vec<_> = wrong.iter().map(|finding| finding.check).collect();
    assert_eq!(checks, ["bucket.over_grant", "block.bucket", "lease.token", "lease.ended_token"], "{wrong:?}");
    store.close().await;
}
