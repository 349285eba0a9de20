//! Destinations: few of each team, changed only from what was read.

use super::Fixture;
use super::samples::{acme, at, audited, event, seed};
use crate::base::ids::DestinationId;
use crate::domain::notice::{Destination, DestinationKind, Kind};
use crate::store::{StoreError, StoredDestination};

fn destination(n: u128, version: u32) -> StoredDestination {
    StoredDestination {
        destination: Destination {
            id: DestinationId::from_u128(n),
            team: acme(),
            display_name: format!("destination {n}"),
            kind: DestinationKind::Webhook,
            shown: "hooks.example".to_owned(),
            events: [Kind::TokenExpired, Kind::IncidentOpened].into(),
            created_at: at(n as i64),
            gone_since: None,
            version,
        },
        sealed_target: vec![1, version as u8],
        sealed_secrets: Some(vec![2, version as u8]),
    }
}

pub(crate) async fn destinations_are_kept(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 0).await;
    let trail = |action| event(action, "destination").into();
    for n in 1..=2 {
        store.insert_destination(destination(n, 1), 2, trail("destination.create")).await.unwrap();
    }
    let third = store.insert_destination(destination(3, 1), 2, trail("destination.create")).await;
    assert!(matches!(third, Err(StoreError::Conflict { .. })), "{third:?}");
    store.change_destination(destination(1, 2), trail("destination.update")).await.unwrap();
    let late = store.change_destination(destination(1, 2), trail("destination.update")).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    assert_eq!(store.list_destinations(&acme()).await.unwrap(), [destination(1, 2), destination(2, 1)]);
    assert_eq!(store.find_destination(DestinationId::from_u128(2)).await.unwrap(), Some(destination(2, 1)));
    let after = Some(DestinationId::from_u128(1));
    assert_eq!(store.all_destinations(after, 10).await.unwrap(), [destination(2, 1)]);
    let elsewhere = store.delete_destination(&"beta".parse().unwrap(), DestinationId::from_u128(2), trail("x")).await;
    assert!(matches!(elsewhere, Err(StoreError::NotFound { .. })));
    store.delete_destination(&acme(), DestinationId::from_u128(2), trail("destination.delete")).await.unwrap();
    assert_eq!(store.list_destinations(&acme()).await.unwrap(), [destination(1, 2)]);
    let actions = ["destination.create", "destination.update", "destination.delete"];
    for (action, count) in actions.into_iter().zip([2, 1, 1]) {
        assert_eq!(audited(&*store, action).await, count, "{action}");
    }
    store.close().await;
}
