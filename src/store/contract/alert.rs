//! Alerts: one is open for a matter, and what tells of it is written with it.

use super::Fixture;
use super::notice::fact;
use super::samples::{acme, alert, at, audited, event};
use crate::base::ids::AlertId;
use crate::store::{AlertFilter, AlertRow, StoreError, Trail};

pub(crate) async fn one_alert_is_open_for_a_matter(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let opened = |n, key: &'static str| {
        let trail = Trail::from(event("alert.open", "alert")).telling([fact(n, &format!("alert {n}"))]);
        store.open_alert(alert(n, key), Some(trail))
    };
    assert!(opened(1, "load").await.unwrap());
    assert!(!opened(2, "load").await.unwrap());
    assert!(opened(3, "expiry").await.unwrap());
    let over = AlertRow { cleared_at: Some(at(60)), ..alert(1, "load") };
    store.update_alert(over, None).await.unwrap();
    assert!(opened(4, "load").await.unwrap());
    let events = store.untold_events(None, 10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.id.as_u128()).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(audited(&*store, "alert.open").await, 3);
    store.close().await;
}

pub(crate) async fn an_alert_is_changed_and_found(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    for n in 1..=3 {
        let row = AlertRow { network: None, kind: format!("kind {n}"), ..alert(n, &format!("matter {n}")) };
        store.open_alert(row, None).await.unwrap();
    }
    let changed = AlertRow {
        network: None,
        kind: "kind 2".to_owned(),
        level: "critical".to_owned(),
        message: "worse".to_owned(),
        cleared_at: Some(at(9)),
        acknowledged_at: Some(at(5)),
        acknowledged_by: Some("Ada".to_owned()),
        acknowledge_comment: Some("we connect more".to_owned()),
        detail_json: "{}".to_owned(),
        ..alert(2, "matter 2")
    };
    let trail = |n| Some(Trail::from(event("alert.raise", "alert")).telling([fact(n, &format!("raised {n}"))]));
    store.update_alert(changed.clone(), trail(1)).await.unwrap();
    assert_eq!(store.find_alert(changed.id).await.unwrap(), Some(changed));
    let unknown = store.update_alert(alert(9, "x"), trail(2)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
    assert_eq!(store.untold_events(None, 10).await.unwrap().len(), 1);
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
