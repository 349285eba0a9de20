//! What survives callers that go away, and the end of the process.

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::Fixture;
use super::samples::{at, audited, charged, event, open, seed, take, team};
use crate::store::OpenLease;

/// A caller that goes away at once has its change made whole, or not at all.
pub(crate) async fn dropped_callers_change_nothing_or_all(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    for n in 1..=100 {
        let opening = store.open_lease(OpenLease { takes: vec![take("b", 1, 1000)], ..open(n, 1) });
        assert!(opening.now_or_never().is_none(), "an opening takes an fsync");
    }
    assert!(store.insert_team(team("beta"), event("team.add", "beta").into()).now_or_never().is_none());
    // What was handed over before this is finished before this.
    store.check_write().await.unwrap();
    let leases = store.open_leases(at(0)).await.unwrap().len();
    assert_eq!(leases, 100);
    assert_eq!(charged(&*store, "b", at(0)).await, 100);
    assert_eq!(audited(&*store, "lease.open").await, 100);
    assert_eq!(store.list_teams().await.unwrap().len(), 2);
    store.close().await;
}

pub(crate) async fn what_was_acknowledged_is_there_again(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let openings = (1..=200).map(|n| store.open_lease(OpenLease { takes: vec![take("b", 1, 150)], ..open(n, 1) }));
    let acknowledged = join_all(openings).await.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(acknowledged, 150);
    let blocks = store.live_blocks(at(0)).await.unwrap();
    store.close().await;
    drop(store);
    let store = fixture.open().await;
    assert_eq!(store.open_leases(at(0)).await.unwrap().len(), acknowledged);
    assert_eq!(store.live_blocks(at(0)).await.unwrap(), blocks);
    assert_eq!(audited(&*store, "lease.open").await, acknowledged);
    assert!(store.open_lease(OpenLease { takes: vec![take("b", 1, 150)], ..open(999, 1) }).await.is_err());
    store.close().await;
}
