//! Checks of tokens: scheduled once, due earliest first, taken by one.

use super::Fixture;
use super::samples::{at, seed};
use crate::base::clock::Timestamp;
use crate::base::ids::TokenId;
use crate::domain::probe::{CheckOutcome, LastCheck};
use crate::store::Store;

fn id(n: u128) -> TokenId {
    TokenId::from_u128(n)
}

async fn next(store: &dyn Store, limit: u32) -> Vec<(u128, Timestamp)> {
    let found = store.next_probes(&"x".parse().unwrap(), limit).await.unwrap();
    found.into_iter().map(|(token, due)| (token.as_u128(), due)).collect()
}

pub(crate) async fn checks_are_scheduled_once_and_come_earliest_first(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 3).await;
    assert_eq!(next(&*store, 10).await, []);
    let network = "x".parse().unwrap();
    assert_eq!(store.unscheduled_probes(&network, 2).await.unwrap().len(), 2);
    assert_eq!(store.unscheduled_probes(&network, 10).await.unwrap().len(), 3);
    let first = vec![(id(1), at(30)), (id(2), at(10)), (id(3), Timestamp::NEVER)];
    store.schedule_probes(first).await.unwrap();
    store.schedule_probes(vec![(id(1), at(1))]).await.unwrap();
    assert_eq!(store.unscheduled_probes(&network, 10).await.unwrap(), []);
    assert_eq!(next(&*store, 10).await, [(2, at(10)), (1, at(30)), (3, Timestamp::NEVER)]);
    assert_eq!(next(&*store, 1).await, [(2, at(10))]);
    assert_eq!(store.next_probes(&"youtube".parse().unwrap(), 10).await.unwrap(), []);
    store.close().await;
}

pub(crate) async fn a_check_is_taken_once_and_noted(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    store.schedule_probes(vec![(id(1), at(30))]).await.unwrap();
    let takes = futures_util::future::join_all((0..8).map(|_| store.move_probe(id(1), at(30), at(90)))).await;
    assert_eq!(takes.into_iter().filter(|taken| *taken.as_ref().unwrap()).count(), 1);
    assert_eq!(next(&*store, 1).await, [(1, at(90))], "whoever dies gives it back");
    assert_eq!(store.find_check(id(1)).await.unwrap(), None);
    let check = LastCheck { at: at(31), outcome: CheckOutcome::Works };
    store.put_check(id(1), check, at(500)).await.unwrap();
    assert_eq!(store.find_check(id(1)).await.unwrap(), Some(check));
    store.hasten_probe(id(1), at(600)).await.unwrap();
    assert_eq!(next(&*store, 1).await, [(1, at(500))], "it is sooner already");
    store.hasten_probe(id(1), at(40)).await.unwrap();
    assert_eq!(next(&*store, 1).await, [(1, at(40))]);
    store.close().await;
}
