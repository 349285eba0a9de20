//! The audit: everything comes back, in order, by filter and page.

use super::Fixture;
use super::samples::{at, event};
use crate::base::ids::{CollectorId, KeyId};
use crate::domain::audit::{Actor, AuditEvent};
use crate::store::{AuditFilter, AuditRow};

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
        assert_eq!((row.actor, &*row.action, &row.team), (event.actor, event.action, &event.team));
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
