//! A clock that was set: nothing ends earlier for it.

use std::time::Duration;

use super::Fixture;
use super::samples::{at, charged, open, seed, take, takes};
use crate::base::clock::Timestamp;
use crate::domain::credit::{BlockTake, BucketNote, OpenedKey};
use crate::store::clock::ClockStep;
use crate::store::{MetaName, Store, TakeBlocks};

fn note(cooling: i64) -> BucketNote {
    BucketNote {
        bucket: "b".into(),
        cooling_until: Some(at(cooling)),
        learned_limit: Some(7),
        window_ends_at: Some(at(900)),
    }
}

/// A block that ended at 50, one that ends at 900 and one that never does; a key, a note and a lease.
async fn written(store: &dyn Store) {
    seed(store, 1).await;
    let until = |take: BlockTake, charged_until| BlockTake { charged_until, ..take };
    let blocks = vec![
        until(take("b", 1, 100), at(50)),
        until(take("b", 2, 100), at(900)),
        until(take("budget", 4, 100), Timestamp::NEVER),
    ];
    let keys = vec![OpenedKey { bucket: "b".into(), key: "cats".to_owned(), charged_until: at(900) }];
    store.take_blocks(TakeBlocks { keys, ..takes(blocks) }).await.unwrap();
    store.put_notes(vec![note(900)]).await.unwrap();
    store.open_lease(open(1, 1)).await.unwrap();
}

pub(crate) async fn a_step_ahead_moves_what_has_not_ended(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    written(&*store).await;
    let lease = store.open_leases(at(0)).await.unwrap().remove(0);
    let hour = Duration::from_secs(3600);
    store.follow_clock(ClockStep { ahead: hour, old_now: at(50), anchor: vec![1] }).await.unwrap();
    assert_eq!(charged(&*store, "b", at(50)).await, 2, "what had ended stays ended");
    assert_eq!(charged(&*store, "b", at(900 + 3599)).await, 2);
    assert_eq!(charged(&*store, "b", at(900 + 3600)).await, 0);
    assert_eq!(charged(&*store, "budget", at(1 << 30)).await, 4);
    assert_eq!(store.live_keys(at(0)).await.unwrap()[0].charged_until, at(900 + 3600));
    assert_eq!(store.notes().await.unwrap(), [BucketNote { window_ends_at: None, ..note(900 + 3600) }]);
    let moved = store.open_leases(at(0)).await.unwrap().remove(0);
    assert_eq!((moved.use_by, moved.expires_at), (lease.use_by + hour, lease.expires_at + hour));
    assert_eq!(store.find_meta(MetaName::ClockAnchor).await.unwrap(), Some(vec![1]));
    store.close().await;
}

pub(crate) async fn a_step_back_forgets_windows_only(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    written(&*store).await;
    let (blocks, leases) = (store.live_blocks(at(0)).await.unwrap(), store.open_leases(at(0)).await.unwrap());
    store.follow_clock(ClockStep { ahead: Duration::ZERO, old_now: at(50), anchor: vec![1] }).await.unwrap();
    assert_eq!(store.live_blocks(at(0)).await.unwrap(), blocks);
    assert_eq!(store.open_leases(at(0)).await.unwrap(), leases);
    assert_eq!(store.notes().await.unwrap(), [BucketNote { window_ends_at: None, ..note(900) }]);
    store.close().await;
}
