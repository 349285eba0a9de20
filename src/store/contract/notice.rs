//! Events: written with the change that they tell of, once for each key.

use super::Fixture;
use super::samples::{acme, at, event, team};
use crate::base::ids::{EventId, TokenId};
use crate::domain::notice::{Event, Fact};
use crate::store::Trail;

/// The `n`th fact of a team, under a key.
fn fact(n: u128, key: &str) -> Event {
    Event {
        id: EventId::from_u128(n),
        at: at(n as i64),
        team: Some(acme()),
        fact: Fact::TokenExpired { network: "x".parse().unwrap(), token: TokenId::from_u128(n) },
        dedup_key: key.to_owned(),
    }
}

pub(crate) async fn events_come_with_their_change(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let trail = || Trail::from(event("team.create", "team")).telling([fact(1, "first"), fact(2, "second")]);
    store.insert_team(team("acme"), trail()).await.unwrap();
    let told = [fact(1, "first"), fact(2, "second")];
    assert_eq!(store.untold_events(None, 10).await.unwrap(), told);
    let undone = Trail { events: vec![fact(3, "third")], ..trail() };
    store.insert_team(team("acme"), undone).await.unwrap_err();
    assert_eq!(store.untold_events(None, 10).await.unwrap(), told);
    store.close().await;
}

pub(crate) async fn a_fact_is_written_once(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let of_all = Event { team: None, ..fact(4, "of all") };
    let events = vec![fact(1, "same"), fact(2, "same"), fact(3, "other"), of_all];
    assert_eq!(store.append_events(events).await.unwrap(), 3);
    assert_eq!(store.append_events(vec![fact(5, "same")]).await.unwrap(), 0);
    let listed = async |before| {
        let events = store.list_events(&acme(), before, 10).await.unwrap();
        events.iter().map(|event| event.id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await, [3, 1]);
    assert_eq!(listed(Some(EventId::from_u128(3))).await, [1]);
    assert_eq!(store.untold_events(Some(EventId::from_u128(1)), 10).await.unwrap().len(), 2);
    assert_eq!(store.prune_events(at(9), 10).await.unwrap(), 0, "nobody was told yet");
    store.close().await;
}
