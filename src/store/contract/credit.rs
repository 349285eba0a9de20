//! Credit: never above the cap, all or nothing, never raised.

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::Fixture;
use super::samples::{at, charged, take, takes};
use crate::base::ids::BlockId;
use crate::domain::credit::{BlockUpdate, BucketNote, OpenedKey};
use crate::store::{TakeBlocks, TakeBlocksError};

pub(crate) async fn a_block_is_taken_up_to_the_cap(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    store.take_blocks(takes(vec![take("b", 60, 100)])).await.unwrap();
    let refused = store.take_blocks(takes(vec![take("b", 41, 100)])).await;
    assert!(matches!(refused, Err(TakeBlocksError::BucketFull { bucket, charged: 60 }) if &*bucket == "b"));
    store.take_blocks(takes(vec![take("b", 40, 100)])).await.unwrap();
    store.take_blocks(takes(vec![take("other", 100, 100)])).await.unwrap();
    assert_eq!(charged(&*store, "b", at(0)).await, 100);
    let refused = store.take_blocks(takes(vec![take("b", u64::MAX, u64::MAX)])).await;
    assert!(matches!(refused, Err(TakeBlocksError::BucketFull { .. })));
    store.close().await;
}

pub(crate) async fn a_take_is_all_or_nothing(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let refused = store.take_blocks(takes(vec![take("a", 10, 10), take("b", 10, 10), take("c", 11, 10)])).await;
    assert!(matches!(refused, Err(TakeBlocksError::BucketFull { bucket, charged: 0 }) if &*bucket == "c"));
    assert_eq!(store.live_blocks(at(0)).await.unwrap(), []);
    let twice = store.take_blocks(takes(vec![take("a", 6, 10), take("a", 6, 10)])).await;
    assert!(matches!(twice, Err(TakeBlocksError::BucketFull { charged: 6, .. })));
    let block = take("a", 1, 10);
    store.take_blocks(takes(vec![block.clone()])).await.unwrap();
    let same_id = store.take_blocks(takes(vec![take("b", 1, 10), block])).await;
    assert!(matches!(same_id, Err(TakeBlocksError::Store(_))));
    assert_eq!(charged(&*store, "b", at(0)).await, 0);
    store.close().await;
}

pub(crate) async fn concurrent_takes_never_exceed_the_cap(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    // Each of 400 callers takes 3 from the shared bucket, and 1 from one of 40 others that hold 5.
    let callers = (0..400).map(|n| {
        let store = &store;
        async move {
            let small = format!("small {}", n % 40);
            store.take_blocks(takes(vec![take("shared", 3, 500), take(&small, 1, 5)])).await.is_ok()
        }
    });
    let taken = join_all(callers).await.into_iter().filter(|taken| *taken).count() as u64;
    assert_eq!(taken, 166);
    assert_eq!(charged(&*store, "shared", at(0)).await, 3 * taken);
    let blocks = store.live_blocks(at(0)).await.unwrap();
    assert_eq!(blocks.len() as u64, 2 * taken);
    for n in 0..40 {
        assert!(charged(&*store, &format!("small {n}"), at(0)).await <= 5);
    }
    store.close().await;
}

pub(crate) async fn updates_only_lower(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let block = take("b", 10, 10);
    let id = block.block;
    store.take_blocks(takes(vec![block])).await.unwrap();
    let update = |amount, until| BlockUpdate { block: id, amount, charged_until: at(until) };
    store.update_blocks(vec![update(4, 2000)]).await.unwrap();
    let blocks = store.live_blocks(at(0)).await.unwrap();
    assert_eq!((blocks[0].amount, blocks[0].charged_until), (4, at(900)));
    store.update_blocks(vec![update(8, 300), update(9, 500)]).await.unwrap();
    let blocks = store.live_blocks(at(0)).await.unwrap();
    assert_eq!((blocks[0].amount, blocks[0].charged_until), (4, at(300)));
    let unknown = BlockUpdate { block: BlockId::from_u128(1), amount: 1, charged_until: at(1) };
    store.update_blocks(vec![unknown, update(0, 300)]).await.unwrap();
    assert_eq!(store.live_blocks(at(0)).await.unwrap(), []);
    store.update_blocks(vec![]).await.unwrap();
    store.close().await;
}

pub(crate) async fn updates_make_room_for_takes(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let block = take("b", 10, 10);
    let lower = BlockUpdate { block: block.block, amount: 2, charged_until: at(900) };
    store.take_blocks(takes(vec![block])).await.unwrap();
    let change = TakeBlocks { updates: vec![lower], ..takes(vec![take("b", 8, 10)]) };
    store.take_blocks(change).await.unwrap();
    assert_eq!(charged(&*store, "b", at(0)).await, 10);
    store.close().await;
}

pub(crate) async fn a_failed_take_undoes_its_updates(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let block = take("b", 10, 10);
    let lower = BlockUpdate { block: block.block, amount: 2, charged_until: at(900) };
    store.take_blocks(takes(vec![block])).await.unwrap();
    let keys = vec![OpenedKey { bucket: "b".into(), key: "tag".to_owned(), charged_until: at(900) }];
    let change = TakeBlocks { updates: vec![lower], keys, ..takes(vec![take("b", 9, 10)]) };
    assert!(matches!(store.take_blocks(change).await, Err(TakeBlocksError::BucketFull { charged: 2, .. })));
    assert_eq!(charged(&*store, "b", at(0)).await, 10);
    assert_eq!(store.live_keys(at(0)).await.unwrap(), []);
    store.close().await;
}

pub(crate) async fn charges_end_with_time(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    store.take_blocks(takes(vec![take("b", 10, 10)])).await.unwrap();
    let later = |seconds| TakeBlocks { now: at(seconds), ..takes(vec![take("b", 10, 10)]) };
    assert!(store.take_blocks(later(899)).await.is_err());
    let mut fresh = later(900);
    fresh.takes[0].charged_until = at(1800);
    store.take_blocks(fresh).await.unwrap();
    assert_eq!(charged(&*store, "b", at(900)).await, 10);
    assert_eq!(store.prune_credit(at(900), 100).await.unwrap(), 1);
    assert_eq!(store.prune_credit(at(900), 100).await.unwrap(), 0);
    assert_eq!(charged(&*store, "b", at(0)).await, 10);
    store.close().await;
}

pub(crate) async fn keys_stay_open(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let key = |key: &str, until| OpenedKey { bucket: "b".into(), key: key.to_owned(), charged_until: at(until) };
    let open = |keys| TakeBlocks { keys, ..takes(vec![]) };
    store.take_blocks(open(vec![key("cats", 100), key("dogs", 50), key("cats", 80)])).await.unwrap();
    store.take_blocks(open(vec![key("cats", 90)])).await.unwrap();
    assert_eq!(store.live_keys(at(0)).await.unwrap(), [key("cats", 100), key("dogs", 50)]);
    assert_eq!(store.live_keys(at(50)).await.unwrap(), [key("cats", 100)]);
    assert_eq!(store.prune_credit(at(50), 10).await.unwrap(), 1);
    store.close().await;
}

pub(crate) async fn notes_are_replaced(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let note = |bucket: &str, limit| BucketNote {
        bucket: bucket.into(),
        cooling_until: Some(at(5)),
        learned_limit: limit,
        window_ends_at: Some(at(900)),
    };
    // A bucket that exists already keeps its cap beside the note.
    store.take_blocks(takes(vec![take("b", 5, 5)])).await.unwrap();
    assert_eq!(store.notes().await.unwrap(), []);
    store.put_notes(vec![note("b", Some(7)), note("a", None), note("b", Some(9))]).await.unwrap();
    assert_eq!(store.notes().await.unwrap(), [note("a", None), note("b", Some(9))]);
    store.put_notes(vec![]).await.unwrap();
    let empty = BucketNote { bucket: "a".into(), cooling_until: None, learned_limit: None, window_ends_at: None };
    store.put_notes(vec![empty]).await.unwrap();
    assert_eq!(store.notes().await.unwrap(), [note("b", Some(9))]);
    store.close().await;
}

#[derive(Debug, Clone)]
enum Step {
    Take { bucket: usize, amount: u64, cap: u64 },
    Lower { nth: usize, amount: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let take = (0..3usize, 0..30u64, 0..60u64).prop_map(|(bucket, amount, cap)| Step::Take { bucket, amount, cap });
    let lower = (0..40usize, 0..30u64).prop_map(|(nth, amount)| Step::Lower { nth, amount });
    prop::collection::vec(prop::collection::vec(prop_oneof![3 => take, 1 => lower], 1..4), 1..30)
}

/// A second, simple book-keeping that must agree with the store after every change.
pub(crate) async fn random_takes_keep_the_books(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let mut runner = TestRunner::deterministic();
    for case in 0..20 {
        let changes = steps().new_tree(&mut runner).unwrap().current();
        let mut book: Vec<(BlockId, usize, u64)> = Vec::new();
        for change in changes {
            let mut after = book.clone();
            let mut wanted = takes(vec![]);
            for step in &change {
                if let Step::Lower { nth, amount } = step
                    && let Some((block, _, charged)) = after.get_mut(nth % book.len().max(1))
                {
                    wanted.updates.push(BlockUpdate { block: *block, amount: *amount, charged_until: at(900) });
                    *charged = (*charged).min(*amount);
                }
            }
            let mut fits = true;
            for step in &change {
                if let Step::Take { bucket, amount, cap } = step {
                    let block = take(&format!("{case}/{bucket}"), *amount, *cap);
                    let sum: u64 = after.iter().filter(|(_, of, _)| of == bucket).map(|(.., charged)| charged).sum();
                    fits &= sum + amount <= *cap;
                    after.push((block.block, *bucket, *amount));
                    wanted.takes.push(block);
                }
            }
            assert_eq!(store.take_blocks(wanted).await.is_ok(), fits, "case {case}: {change:?} on {book:?}");
            if fits {
                book = after;
            }
            for bucket in 0..3 {
                let sum: u64 = book.iter().filter(|(_, of, _)| *of == bucket).map(|(.., charged)| charged).sum();
                assert_eq!(charged(&*store, &format!("{case}/{bucket}"), at(0)).await, sum, "case {case}");
            }
        }
    }
    store.close().await;
}
