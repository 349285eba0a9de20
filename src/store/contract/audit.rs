//! The audit: everything comes back, in order, by filter and page, and holds together.

use std::time::Duration;

use super::Fixture;
use super::samples::{at, audit_key, event, open, seed};
use crate::base::ids::{CollectorId, KeyId};
use crate::domain::audit::{Actor, AuditEvent};
use crate::store::{AuditAnchor, AuditFault, AuditFilter, AuditProof, AuditRow, Store};

fn events() -> Vec<AuditEvent> {
    let collector = Actor::Collector(CollectorId::from_u128(1));
    let operator = Actor::Operator(KeyId::from_u128(2));
    vec![
        AuditEvent { actor: collector, ..event("lease.open", "teams/acme/leases/1") },
        AuditEvent { actor: operator, at: at(1), ..event("token.pause", "teams/acme/tokens/1") },
        AuditEvent { team: None, at: at(2), ..event("key.add", "keys/1") },
        AuditEvent { at: at(3), ..event("token.revoke", "teams/acme/tokens/2") },
    ]
}

fn ids(rows: &[AuditRow], events: &[AuditEvent]) -> Vec<usize> {
    rows.iter().map(|row| events.iter().position(|event| event.id == row.id).unwrap()).collect()
}

pub(crate) async fn filters_and_pages(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let events = events();
    store.append_audit(events.clone()).await.unwrap();
    store.append_audit(vec![]).await.unwrap();
    let all = AuditFilter::default;
    let rows = store.list_audit(all(), 100).await.unwrap();
    let cases = [
        (all(), vec![0, 1, 2, 3]),
        (AuditFilter { team: Some("acme".parse().unwrap()), ..all() }, vec![0, 1, 3]),
        (AuditFilter { team: Some("acme".parse().unwrap()), without_leases: true, ..all() }, vec![1, 3]),
        (AuditFilter { subject_prefix: Some("teams/acme/tokens/".to_owned()), ..all() }, vec![1, 3]),
        (AuditFilter { subject_prefix: Some("teams/%".to_owned()), ..all() }, vec![]),
        (AuditFilter { action: Some("key.add".to_owned()), ..all() }, vec![2]),
        (AuditFilter { from: Some(at(1)), until: Some(at(3)), ..all() }, vec![1, 2]),
        (AuditFilter { after: Some(rows[1].seq), ..all() }, vec![2, 3]),
    ];
    for (filter, expected) in cases {
        let what = format!("{filter:?}");
        assert_eq!(ids(&store.list_audit(filter.clone(), 100).await.unwrap(), &events), expected, "{what}");
        let mut backwards = ids(&store.list_audit_backwards(filter, None, 100).await.unwrap(), &events);
        backwards.reverse();
        assert_eq!(backwards, expected, "{what}");
    }
    let page = store.list_audit_backwards(all(), Some(rows[3].seq), 2).await.unwrap();
    assert_eq!(ids(&page, &events), [2, 1]);
    store.close().await;
}

pub(crate) async fn rows_rise_in_order(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let events = events();
    for event in &events {
        store.append_audit(vec![event.clone()]).await.unwrap();
    }
    let rows = store.list_audit(AuditFilter::default(), 100).await.unwrap();
    assert!(rows.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    for (row, event) in rows.iter().zip(&events) {
        assert_eq!((row.actor, &*row.action, &row.team), (Some(event.actor), event.action, &event.team));
        assert_eq!((row.at, &row.subject, &row.detail), (event.at, &event.subject, &event.detail));
    }
    store.close().await;
}

pub(crate) async fn the_oldest_are_forgotten(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let events = events();
    store.append_audit(events.clone()).await.unwrap();
    assert_eq!(store.prune_audit(at(0), 10).await.unwrap(), 0);
    assert_eq!(store.prune_audit(at(3), 2).await.unwrap(), 2);
    assert_eq!(ids(&store.list_audit(AuditFilter::default(), 100).await.unwrap(), &events), [2, 3]);
    assert_eq!(store.prune_audit(at(3), 10).await.unwrap(), 1);
    assert_eq!(ids(&store.list_audit(AuditFilter::default(), 100).await.unwrap(), &events), [3]);
    store.close().await;
}

async fn proof(store: &dyn Store, anchor: Option<AuditAnchor>) -> AuditProof {
    store.verify_audit(&audit_key("test"), anchor, Duration::ZERO).await.unwrap()
}

pub(crate) async fn what_was_written_holds_together(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let nothing = AuditProof { events: 0, pruned: 0, head: None, fault: None };
    assert_eq!(proof(&*store, None).await, nothing);
    seed(&*store, 3).await;
    futures_util::future::join_all((1..=70).map(|n| store.open_lease(open(n, 1)))).await;
    store.append_audit(events()).await.unwrap();
    let first = proof(&*store, None).await;
    let anchor = first.head.unwrap();
    assert_eq!(first, AuditProof { events: 78, head: Some(anchor), ..nothing.clone() });
    assert_eq!(anchor.seq, 78);
    store.close().await;
    let store = fixture.open().await;
    assert_eq!(proof(&*store, Some(anchor)).await, first);
    store.append_audit(events()).await.unwrap();
    let later = proof(&*store, Some(anchor)).await;
    assert_eq!((later.events, later.fault), (82, None));
    let rows = store.list_audit(AuditFilter::default(), 100).await.unwrap();
    assert_eq!(rows[77].mac, Some(anchor.mac));
    let foreign = store.verify_audit(&audit_key("another"), None, Duration::ZERO).await.unwrap();
    assert!(matches!(foreign.fault, Some(AuditFault::Earlier(_))), "{foreign:?}");
    let wrong = [
        (AuditAnchor { mac: [7; 32], ..anchor }, AuditFault::AnotherAnchor(78)),
        (AuditAnchor { seq: 83, ..anchor }, AuditFault::BehindAnchor { head: 82, anchor: 83 }),
    ];
    for (anchor, fault) in wrong {
        assert_eq!(proof(&*store, Some(anchor)).await.fault, Some(fault));
    }
    store.close().await;
}

/// More events than are read at once, pruned in parts while others come.
pub(crate) async fn pruning_keeps_the_rest_together(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let of_second = |second| AuditEvent { at: at(second), ..event("key.add", "keys/1") };
    store.append_audit((0..2500).map(of_second).collect()).await.unwrap();
    let rows = store.list_audit(AuditFilter::default(), 2500).await.unwrap();
    let anchor = |n: usize| AuditAnchor { seq: rows[n].seq, mac: rows[n].mac.unwrap() };
    assert_eq!(store.prune_audit(at(700), 500).await.unwrap(), 500);
    assert_eq!(store.prune_audit(at(700), 500).await.unwrap(), 200);
    let pruned = proof(&*store, Some(anchor(699))).await;
    assert_eq!((pruned.events, pruned.pruned, pruned.head, pruned.fault), (1800, 700, Some(anchor(2499)), None));
    assert_eq!(proof(&*store, Some(anchor(698))).await.fault, Some(AuditFault::PrunedAnchor(699)));
    assert_eq!(store.prune_audit(at(9999), 5000).await.unwrap(), 1800);
    let emptied = proof(&*store, Some(anchor(2499))).await;
    assert_eq!((emptied.events, emptied.pruned, emptied.head, emptied.fault), (0, 2500, Some(anchor(2499)), None));
    store.append_audit(vec![of_second(10_000)]).await.unwrap();
    let more = proof(&*store, None).await;
    assert_eq!((more.events, more.pruned, more.head.map(|head| head.seq), more.fault), (1, 2500, Some(2501), None));
    store.close().await;
}
