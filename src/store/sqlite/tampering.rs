//! What somebody does to the audit who can write to the file but has not the key: it is found, and stays found.

use std::time::Duration;

use std::path::Path;

use tempfile::TempDir;

use super::SqliteStore;
use super::tests::{open_in, raw};
use crate::store::contract::samples::{at, audit_key, event};
use crate::store::{AuditAnchor, AuditFault, AuditFilter, AuditProof, AuditStore, MetaStore};

/// A stopped broker's store with ten events.
async fn ten_events() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), 10).await;
    dir
}

async fn append(dir: &Path, events: usize) {
    let store = open_in(dir).await.unwrap();
    store.append_audit((0..events).map(|_| event("token.pause", "teams/acme/tokens/1")).collect()).await.unwrap();
    store.close().await;
}

async fn proof(dir: &Path, anchor: Option<AuditAnchor>) -> AuditProof {
    let store = SqliteStore::open_to_read(dir).await.unwrap();
    let proof = store.verify_audit(&audit_key("test"), anchor, Duration::ZERO).await.unwrap();
    store.close().await;
    proof
}

async fn fault_after(harm: &'static str) -> (TempDir, Option<AuditFault>) {
    let dir = ten_events().await;
    raw(dir.path(), harm).await;
    let fault = proof(dir.path(), None).await.fault;
    (dir, fault)
}

const SET_BACK: &str = "DELETE FROM audit WHERE seq > 7;
    UPDATE audit_chain SET head_seq = 7, head_mac = (SELECT mac FROM audit WHERE seq = 7)";
const ADDED: &str = "INSERT INTO audit (id, at_us, role, action, subject, detail, mac)
    SELECT id, at_us, role, action, subject, detail, mac FROM audit WHERE seq = 3";

#[tokio::test]
async fn every_tampering_is_found_where_it_is() {
    let cases = [
        ("UPDATE audit SET detail = '' WHERE seq = 99", None),
        ("DELETE FROM audit WHERE seq = 1", Some(AuditFault::Deleted(1, 1))),
        ("DELETE FROM audit WHERE seq BETWEEN 4 AND 6", Some(AuditFault::Deleted(4, 6))),
        ("DELETE FROM audit WHERE seq > 7", Some(AuditFault::Truncated(8, 10))),
        ("DELETE FROM audit", Some(AuditFault::Truncated(1, 10))),
        ("UPDATE audit SET id = x'00' WHERE seq = 4", Some(AuditFault::Changed(4))),
        ("UPDATE audit SET at_us = at_us + 1 WHERE seq = 4", Some(AuditFault::Changed(4))),
        ("UPDATE audit SET actor = x'' WHERE seq = 4", Some(AuditFault::Changed(4))),
        ("UPDATE audit SET role = 'operator' WHERE seq = 4", Some(AuditFault::Changed(4))),
        ("UPDATE audit SET action = 'token.resume' WHERE seq = 4", Some(AuditFault::Changed(4))),
        ("UPDATE audit SET team = NULL WHERE seq = 4", Some(AuditFault::Changed(4))),
        ("UPDATE audit SET subject = subject || detail, detail = '' WHERE seq = 4", Some(AuditFault::Changed(4))),
        ("UPDATE audit SET detail = 'n=2' WHERE seq = 10", Some(AuditFault::Changed(10))),
        ("UPDATE audit SET mac = NULL WHERE seq = 4", Some(AuditFault::Changed(4))),
        (
            "UPDATE audit SET seq = 0 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 6;
             UPDATE audit SET seq = 6 WHERE seq = 0",
            Some(AuditFault::Changed(4)),
        ),
        (
            "UPDATE audit SET id = (SELECT id FROM audit WHERE seq = 6), mac = (SELECT mac FROM audit WHERE seq = 6)
             WHERE seq = 4",
            Some(AuditFault::Changed(4)),
        ),
        (ADDED, Some(AuditFault::Inserted(11))),
        (
            "UPDATE audit SET seq = seq + 100 WHERE seq > 4; UPDATE audit SET seq = seq - 99 WHERE seq > 100;
             INSERT INTO audit SELECT 5, id, at_us, actor, role, action, team, subject, detail, mac FROM audit WHERE seq = 4",
            Some(AuditFault::Changed(5)),
        ),
        (
            "INSERT INTO audit SELECT -5, id, at_us, actor, role, action, team, subject, detail, NULL FROM audit
             WHERE seq = 4",
            Some(AuditFault::Inserted(-5)),
        ),
    ];
    for (harm, expected) in cases {
        assert_eq!(fault_after(harm).await.1, expected, "{harm}");
    }
}

#[tokio::test]
async fn the_row_of_the_chain_can_not_be_forged() {
    let harms = [
        SET_BACK,
        "UPDATE audit_chain SET broken = 'nothing'",
        "UPDATE audit_chain SET started_after = 5, pruned_seq = 5",
        "UPDATE audit_chain SET pruned_seq = 3, pruned_mac = (SELECT mac FROM audit WHERE seq = 3)",
        "UPDATE audit_chain SET seal = x''",
        "DELETE FROM audit_chain",
        "DELETE FROM audit; DELETE FROM audit_chain",
        "DELETE FROM audit WHERE seq = 4; UPDATE audit SET mac = NULL; DELETE FROM audit_chain",
        "UPDATE audit SET mac = NULL; DELETE FROM audit_chain; DELETE FROM own_key; DELETE FROM meta WHERE name = 'kek_fingerprint'",
        "INSERT INTO team (id, display_name, weight, created_at_us) VALUES ('acme', '', 100, 0);
         DELETE FROM audit; DELETE FROM audit_chain; DELETE FROM own_key; DELETE FROM meta WHERE name = 'kek_fingerprint'",
    ];
    for harm in harms {
        let (dir, fault) = fault_after(harm).await;
        assert!(matches!(fault, Some(AuditFault::Earlier(_))), "{harm}: {fault:?}");
        append(dir.path(), 3).await;
        let later = proof(dir.path(), None).await.fault;
        assert!(
            matches!(later, Some(AuditFault::Earlier(_))),
            "a broker that goes on hides nothing; {harm}: {later:?}"
        );
    }
}

#[tokio::test]
async fn a_broker_goes_on_behind_what_was_added() {
    let dir = ten_events().await;
    raw(dir.path(), ADDED).await;
    append(dir.path(), 3).await;
    let fault = proof(dir.path(), None).await.fault;
    assert_eq!(fault, Some(AuditFault::Earlier("event 11 was inserted: the broker never wrote it there".to_owned())));
}

#[tokio::test]
async fn pruning_hides_nothing() {
    let dir = ten_events().await;
    raw(dir.path(), "DELETE FROM audit WHERE seq = 2").await;
    let store = open_in(dir.path()).await.unwrap();
    assert_eq!(store.prune_audit(at(1), 5).await.unwrap(), 5);
    store.close().await;
    assert_eq!(proof(dir.path(), None).await.fault, Some(AuditFault::Earlier("event 2 was deleted".to_owned())));
}

#[tokio::test]
async fn a_store_that_was_set_back_is_found_by_an_anchor_only() {
    let dir = ten_events().await;
    let before = std::fs::read(dir.path().join("broker.db")).unwrap();
    append(dir.path(), 2).await;
    let anchor = proof(dir.path(), None).await.head;
    std::fs::write(dir.path().join("broker.db"), before).unwrap();
    assert_eq!(proof(dir.path(), None).await.fault, None);
    assert_eq!(proof(dir.path(), anchor).await.fault, Some(AuditFault::BehindAnchor { head: 10, anchor: 12 }));
    append(dir.path(), 2).await;
    assert_eq!(proof(dir.path(), anchor).await.fault, Some(AuditFault::AnotherAnchor(12)));
}

/// What somebody writes into one event hinders nobody from reading the others, nor what is left of it.
#[tokio::test]
async fn an_event_that_can_not_be_read_is_shown_with_a_mark() {
    let cases = [
        ("UPDATE audit SET role = 'x y' WHERE seq = 4", "unreadable=actor:,role:x\\x20y n=1"),
        ("UPDATE audit SET role = 'member', actor = x'0102' WHERE seq = 4", "unreadable=actor:0102,role:member n=1"),
        ("UPDATE audit SET id = x'00' WHERE seq = 4", "unreadable=id:00 n=1"),
        ("UPDATE audit SET team = '' WHERE seq = 4", "unreadable=team: n=1"),
        ("UPDATE audit SET action = CAST(x'ff' AS TEXT) WHERE seq = 4", "unreadable=action:ff n=1"),
        ("UPDATE audit SET detail = CAST(x'ff' AS TEXT) WHERE seq = 4", "unreadable=detail:ff "),
        ("UPDATE audit SET mac = x'' WHERE seq = 4", "n=1"),
    ];
    for (harm, detail) in cases {
        let (dir, fault) = fault_after(harm).await;
        assert_eq!(fault, Some(AuditFault::Changed(4)), "{harm}");
        let store = SqliteStore::open_to_read(dir.path()).await.unwrap();
        let rows = store.list_audit(AuditFilter::default(), 100).await.unwrap();
        assert_eq!((rows.len(), rows[3].seq, &*rows[3].detail), (10, 4, detail), "{harm}");
        assert_eq!(rows[3].actor.is_none(), harm.contains("role"), "{harm}");
        store.close().await;
    }
}

/// What is pruned behind a chain that went on takes no mark away.
#[tokio::test]
async fn a_chain_that_was_taken_away_stays_marked_when_its_events_are_pruned() {
    let dir = ten_events().await;
    raw(dir.path(), "UPDATE audit SET mac = NULL; DELETE FROM audit_chain").await;
    append(dir.path(), 3).await;
    let store = open_in(dir.path()).await.unwrap();
    assert_eq!(store.prune_audit(at(1), 11).await.unwrap(), 11);
    store.close().await;
    let fault = proof(dir.path(), None).await.fault;
    assert!(matches!(fault, Some(AuditFault::Earlier(_))), "{fault:?}");
}

#[tokio::test]
async fn a_store_is_read_while_a_broker_runs_on_it() {
    let dir = ten_events().await;
    let store = open_in(dir.path()).await.unwrap();
    store.append_audit(vec![event("token.pause", "teams/acme/tokens/1")]).await.unwrap();
    assert_eq!(proof(dir.path(), None).await.events, 11);
    let reader = SqliteStore::open_to_read(dir.path()).await.unwrap();
    assert!(!reader.accepts_writes() && reader.check_write().await.is_err());
    reader.close().await;
    store.append_audit(vec![event("token.pause", "teams/acme/tokens/1")]).await.unwrap();
    assert_eq!(proof(dir.path(), None).await.events, 12);
    store.close().await;
}
