//! Alerts and the outbox: one open alert for a matter, each message written with what it tells of.

use super::Fixture;
use super::samples::{acme, alert, at, audited, event, message};
use crate::base::ids::{AlertId, OutboxId};
use crate::store::{AlertFilter, AlertRow, OutboxRow, OutboxState, SendResult, Store, StoreError};

pub(crate) async fn one_alert_is_open_for_a_matter(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let opened = |n, key: &'static str| {
        store.open_alert(alert(n, key), vec![message(n, at(0))], Some(event("alert.open", "alert").into()))
    };
    assert!(opened(1, "load").await.unwrap());
    assert!(!opened(2, "load").await.unwrap());
    assert!(opened(3, "expiry").await.unwrap());
    let over = AlertRow { cleared_at: Some(at(60)), ..alert(1, "load") };
    store.update_alert(over, vec![], None).await.unwrap();
    assert!(opened(4, "load").await.unwrap());
    let messages = store.list_outbox(OutboxState::Pending, None, 10).await.unwrap();
    assert_eq!(messages.iter().map(|message| message.id.as_u128()).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(audited(&*store, "alert.open").await, 3);
    store.close().await;
}

pub(crate) async fn an_alert_is_changed_and_found(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    for n in 1..=3 {
        let row = AlertRow { network: None, kind: format!("kind {n}"), ..alert(n, &format!("matter {n}")) };
        store.open_alert(row, vec![], None).await.unwrap();
    }
    let changed = AlertRow {
        network: None,
        kind: "kind 2".to_owned(),
        level: "critical".to_owned(),
        message: "worse".to_owned(),
        cleared_at: Some(at(9)),
        acknowledged_at: Some(at(5)),
        acknowledged_by: Some("Ada".to_owned()),
        detail_json: "{}".to_owned(),
        ..alert(2, "matter 2")
    };
    store.update_alert(changed.clone(), vec![message(1, at(0))], None).await.unwrap();
    assert_eq!(store.find_alert(changed.id).await.unwrap(), Some(changed));
    let unknown = store.update_alert(alert(9, "x"), vec![message(2, at(0))], None).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
    assert_eq!(store.list_outbox(OutboxState::Pending, None, 10).await.unwrap().len(), 1);
    let all = AlertFilter::default;
    let cases = [
        (all(), vec![3, 2, 1]),
        (AlertFilter { team: Some(acme()), before: Some(AlertId::from_u128(3)), ..all() }, vec![2, 1]),
        (AlertFilter { team: Some("beta".parse().unwrap()), ..all() }, vec![]),
        (AlertFilter { network: Some("x".parse().unwrap()), ..all() }, vec![]),
        (AlertFilter { kind: Some("kind 1".to_owned()), ..all() }, vec![1]),
        (AlertFilter { open: Some(true), ..all() }, vec![3, 1]),
        (AlertFilter { open: Some(false), ..all() }, vec![2]),
    ];
    for (filter, expected) in cases {
        let found = store.list_alerts(filter.clone(), 10).await.unwrap();
        assert_eq!(found.iter().map(|alert| alert.id.as_u128()).collect::<Vec<_>>(), expected, "{filter:?}");
    }
    assert_eq!(store.prune_alerts(at(9), 10).await.unwrap(), 0);
    assert_eq!(store.prune_alerts(at(10), 10).await.unwrap(), 1);
    store.close().await;
}

async fn claim(store: &dyn Store, now: i64, limit: u32) -> Vec<u128> {
    let claimed = store.claim_due("ops", at(now), at(now + 30), limit).await.unwrap();
    claimed.iter().map(|message| message.id.as_u128()).collect()
}

pub(crate) async fn a_message_is_claimed_once_at_a_time(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let messages = vec![message(1, at(5)), message(2, at(0)), message(3, at(60))];
    assert_eq!(store.enqueue(messages.clone()).await.unwrap(), 3);
    let same_key = OutboxRow { id: OutboxId::from_u128(8), ..message(1, at(0)) };
    assert_eq!(store.enqueue(vec![same_key]).await.unwrap(), 0);
    assert_eq!(claim(&*store, 5, 1).await, [2]);
    assert_eq!(claim(&*store, 5, 10).await, [1]);
    assert_eq!(claim(&*store, 34, 10).await, Vec::<u128>::new());
    // The sender said nothing: its claim ends, and the messages are due again.
    assert_eq!(claim(&*store, 35, 10).await, [1, 2]);
    assert!(store.mark(OutboxId::from_u128(1), 2, SendResult::Sent).await.unwrap());
    assert_eq!(claim(&*store, 70, 10).await, [2, 3]);
    assert_eq!(store.prune_outbox(at(1000), 10).await.unwrap(), 1);
    store.close().await;
}

pub(crate) async fn a_late_result_does_not_count(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    store.enqueue(vec![message(1, at(0))]).await.unwrap();
    let id = OutboxId::from_u128(1);
    claim(&*store, 0, 1).await;
    claim(&*store, 30, 1).await;
    assert!(!store.mark(id, 1, SendResult::Dead { error: "late".to_owned() }).await.unwrap());
    let retry = SendResult::Retry { due_at: at(99), error: "503".to_owned() };
    assert!(store.mark(id, 2, retry).await.unwrap());
    let waiting = store.list_outbox(OutboxState::Pending, None, 10).await.unwrap();
    assert_eq!((waiting[0].due_at, waiting[0].last_error.as_deref(), waiting[0].attempts), (at(99), Some("503"), 2));
    store.close().await;
}

pub(crate) async fn a_dead_message_is_replayed(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    store.enqueue(vec![message(1, at(0))]).await.unwrap();
    let id = OutboxId::from_u128(1);
    claim(&*store, 0, 1).await;
    let early = store.replay(id, at(5), event("outbox.replay", "1")).await;
    assert!(matches!(early, Err(StoreError::NotFound { .. })));
    assert!(store.mark(id, 1, SendResult::Dead { error: "404".to_owned() }).await.unwrap());
    assert!(!store.mark(id, 1, SendResult::Sent).await.unwrap());
    let dead = store.list_outbox(OutboxState::Dead, None, 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].last_error.as_deref()), (1, Some("404")));
    assert_eq!(store.list_outbox(OutboxState::Dead, Some(id), 10).await.unwrap(), []);
    store.replay(id, at(5), event("outbox.replay", "1")).await.unwrap();
    assert_eq!(claim(&*store, 4, 1).await, Vec::<u128>::new());
    assert_eq!(claim(&*store, 5, 1).await, [1]);
    assert_eq!(audited(&*store, "outbox.replay").await, 1);
    store.close().await;
}
