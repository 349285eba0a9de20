//! The outbox: events told once, lanes claimed one at a time, results of the latest attempt only.

use std::time::Duration;

use super::Fixture;
use super::notice::fact;
use super::samples::{at, audited, event};
use crate::base::clock::Timestamp;
use crate::base::ids::{EventId, OutboxId};
use crate::domain::notice::{Budget, KEPT, Weight};
use crate::store::{ClaimLanes, Hearing, OutboxRow, OutboxState, SendResult, Store, StoreError, Telling};

const BUDGET: Budget = Budget { per_hour: 10, at_once: 3 };

fn hearing(n: u128, destination: &str, from: Timestamp) -> Hearing {
    let (destination, event) = (destination.to_owned(), EventId::from_u128(n));
    Hearing { destination, event, from, in_quiet: false, weight: Weight::Single, budget: BUDGET }
}

/// Writes the events that hearings are of, and tells them at a second.
async fn tell(store: &dyn Store, now: i64, hearings: Vec<Hearing>) {
    let mut events: Vec<EventId> = hearings.iter().map(|hearing| hearing.event).collect();
    events.sort_unstable();
    events.dedup();
    let facts = events.iter().map(|id| fact(id.as_u128(), &id.to_string())).collect();
    store.append_events(facts).await.unwrap();
    store.tell(Telling { now: at(now), events, hearings }).await.unwrap();
}

async fn claim(store: &dyn Store, now: i64, failing: bool) -> Vec<OutboxRow> {
    let claim = ClaimLanes { now: at(now), until: at(now + 30), failing, limit: 10 };
    let mut claimed = store.claim_lanes(claim).await.unwrap();
    claimed.sort_by(|one, other| one.destination.cmp(&other.destination));
    claimed
}

fn told(claimed: &[OutboxRow]) -> Vec<(&str, Vec<u128>)> {
    let ids = |message: &OutboxRow| message.events.iter().map(|id| id.as_u128()).collect();
    claimed.iter().map(|message| (message.destination.as_str(), ids(message))).collect()
}

/// Tells an event to `ops`, and claims the message.
pub(crate) async fn tell_and_claim(store: &dyn Store, n: u128) -> OutboxRow {
    tell(store, 0, vec![hearing(n, "ops", at(0))]).await;
    claim(store, 0, false).await.remove(0)
}

pub(crate) async fn telling_is_all_or_nothing(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    tell(&*store, 0, vec![hearing(1, "ops", at(0)), hearing(1, "ada", at(0))]).await;
    assert_eq!(store.untold_events(None, 10).await.unwrap(), []);
    store.append_events(vec![fact(2, "second")]).await.unwrap();
    let events = vec![EventId::from_u128(1), EventId::from_u128(2)];
    let twice = store.tell(Telling { now: at(1), events, hearings: vec![hearing(2, "ops", at(1))] }).await;
    assert!(matches!(twice, Err(StoreError::Conflict { .. })), "{twice:?}");
    assert_eq!(store.untold_events(None, 10).await.unwrap().len(), 1);
    assert_eq!(store.list_outbox(OutboxState::Pending, None, 10).await.unwrap().len(), 2);
    let found =
        store.find_events(&[EventId::from_u128(2), EventId::from_u128(1), EventId::from_u128(9)]).await.unwrap();
    assert_eq!(found.iter().map(|event| event.id.as_u128()).collect::<Vec<_>>(), [1, 2]);
    let facts = store.outbox_facts().await.unwrap();
    assert_eq!((facts.pending, facts.oldest_due_at, facts.oldest_untold_at), (2, Some(at(0)), Some(at(2))));
    store.close().await;
}

pub(crate) async fn it_is_known_who_was_told(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    tell(&*store, 0, vec![hearing(1, "ops", at(0)), hearing(2, "ada", at(0))]).await;
    let was_told = async |destination: &str, n, before| {
        store.was_told(destination, &fact(n, &n.to_string()), at(before)).await.unwrap()
    };
    assert_eq!(was_told("ops", 1, 90).await, Some(false), "it waits");
    for message in claim(&*store, 0, false).await {
        let result = match message.destination.as_str() {
            "ops" => SendResult::Sent,
            _ => SendResult::Dropped { why: "it is over".to_owned() },
        };
        assert!(store.mark(message.id, message.attempts, result, at(20)).await.unwrap());
    }
    assert_eq!((was_told("ops", 1, 21).await, was_told("ops", 1, 20).await), (Some(true), Some(false)));
    assert_eq!(was_told("ada", 2, 90).await, Some(false), "it was dropped");
    assert_eq!((was_told("ops", 2, 90).await, was_told("ada", 1, 90).await), (None, None), "they do not hear of it");
    store.close().await;
}

pub(crate) async fn a_lane_is_claimed_once_at_a_time(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    tell(&*store, 0, vec![hearing(1, "ops", at(5)), hearing(2, "ada", at(0))]).await;
    tell(&*store, 0, vec![hearing(3, "ops", at(0)), hearing(4, "ops", at(60))]).await;
    assert_eq!(told(&claim(&*store, 0, false).await), [("ada", vec![2]), ("ops", vec![3])]);
    assert_eq!(claim(&*store, 28, false).await, [], "one at a time, though another is due");
    tell(&*store, 29, vec![hearing(9, "ada", at(29))]).await;
    assert_eq!(claim(&*store, 29, false).await, [], "nor does what is new begin another");
    // The senders said nothing: the claims end, and the messages are due again. The oldest goes first.
    let again = claim(&*store, 30, false).await;
    assert_eq!(told(&again), [("ada", vec![2]), ("ops", vec![1])]);
    assert_eq!((again[0].attempts, again[0].first_tried_at), (2, Some(at(0))));
    for message in &again {
        assert!(store.mark(message.id, message.attempts, SendResult::Sent, at(31)).await.unwrap());
    }
    let mut next = claim(&*store, 31, false).await;
    assert_eq!(told(&next), [("ada", vec![9]), ("ops", vec![3])]);
    let ada = next.remove(0);
    assert!(store.mark(ada.id, ada.attempts, SendResult::Sent, at(31)).await.unwrap());
    let why = "it is over".to_owned();
    assert!(store.mark(next[0].id, next[0].attempts, SendResult::Dropped { why }, at(31)).await.unwrap());
    assert_eq!(claim(&*store, 59, false).await, []);
    assert_eq!(told(&claim(&*store, 60, false).await), [("ops", vec![4])]);
    assert_eq!(store.list_outbox(OutboxState::Dropped, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.prune_outbox(at(31), 10).await.unwrap(), 0);
    assert_eq!(store.prune_outbox(at(32), 10).await.unwrap(), 4);
    store.close().await;
}

pub(crate) async fn a_failing_lane_holds_up_no_other(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let first = tell_and_claim(&*store, 1).await;
    let retry = SendResult::Retry { due_at: at(100), error: "503".to_owned() };
    assert!(store.mark(first.id, 1, retry, at(1)).await.unwrap());
    tell(&*store, 2, vec![hearing(2, "ops", at(2)), hearing(3, "ada", at(2))]).await;
    let ada = claim(&*store, 2, false).await;
    assert_eq!(told(&ada), [("ada", vec![3])]);
    assert!(store.mark(ada[0].id, 1, SendResult::Sent, at(2)).await.unwrap());
    assert_eq!(claim(&*store, 99, true).await, [], "what is new does not hurry a lane that fails");
    assert_eq!(claim(&*store, 100, false).await, [], "its places are those of the failing");
    let again = claim(&*store, 100, true).await;
    assert_eq!(told(&again), [("ops", vec![1])], "the oldest first");
    assert!(store.mark(first.id, 2, SendResult::Sent, at(101)).await.unwrap());
    assert_eq!(told(&claim(&*store, 101, false).await), [("ops", vec![2])], "it works again");
    store.close().await;
}

pub(crate) async fn a_late_result_does_not_count(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let message = tell_and_claim(&*store, 1).await;
    assert_eq!(claim(&*store, 30, false).await[0].attempts, 2);
    let late = SendResult::Dead { error: "late".to_owned() };
    assert!(!store.mark(message.id, 1, late, at(31)).await.unwrap());
    let retry = SendResult::Retry { due_at: at(99), error: "503".to_owned() };
    assert!(store.mark(message.id, 2, retry, at(31)).await.unwrap());
    let waiting = store.list_outbox(OutboxState::Pending, None, 10).await.unwrap();
    assert_eq!((waiting[0].due_at, waiting[0].last_error.as_deref(), waiting[0].attempts), (at(99), Some("503"), 2));
    store.close().await;
}

pub(crate) async fn a_dead_message_is_replayed_or_purged(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let message = tell_and_claim(&*store, 1).await;
    let trail = |action| event(action, "1").into();
    let early = store.replay(message.id, at(5), trail("outbox.replay")).await;
    assert!(matches!(early, Err(StoreError::NotFound { .. })));
    let dead = || SendResult::Dead { error: "404".to_owned() };
    assert!(store.mark(message.id, 1, dead(), at(1)).await.unwrap());
    assert!(!store.mark(message.id, 1, SendResult::Sent, at(1)).await.unwrap());
    assert_eq!(claim(&*store, 1000, false).await, []);
    assert_eq!(store.outbox_facts().await.unwrap().dead, 1);
    let listed = store.list_outbox(OutboxState::Dead, None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].last_error.as_deref()), (1, Some("404")));
    assert_eq!(store.list_outbox(OutboxState::Dead, Some(message.id), 10).await.unwrap(), []);
    store.replay(message.id, at(5), trail("outbox.replay")).await.unwrap();
    assert_eq!(claim(&*store, 4, false).await, []);
    let again = claim(&*store, 5, false).await;
    assert_eq!((again[0].attempts, again[0].first_tried_at), (1, Some(at(5))), "counted anew");
    assert!(store.mark(message.id, 1, dead(), at(6)).await.unwrap());
    store.purge(message.id, trail("outbox.purge")).await.unwrap();
    let unknown = store.purge(OutboxId::from_u128(404), trail("outbox.purge")).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
    assert_eq!(store.outbox_facts().await.unwrap().dead, 0);
    assert_eq!((audited(&*store, "outbox.replay").await, audited(&*store, "outbox.purge").await), (1, 1));
    store.close().await;
}

pub(crate) async fn what_is_put_off_was_not_tried_and_more_is_told_in_it(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let message = tell_and_claim(&*store, 1).await;
    assert!(store.mark(message.id, 1, SendResult::Later { due_at: at(1_000) }, at(1)).await.unwrap());
    assert!(!store.mark(message.id, 1, SendResult::Sent, at(1)).await.unwrap());
    assert_eq!(claim(&*store, 999, false).await, []);
    tell(&*store, 900, vec![Hearing { in_quiet: true, ..hearing(2, "ops", at(1_000)) }]).await;
    let sent = claim(&*store, 1_000, false).await;
    assert_eq!(told(&sent), [("ops", vec![1, 2])], "the lane does not fail");
    assert_eq!((sent[0].attempts, sent[0].first_tried_at), (1, Some(at(1_000))));
    let retry = SendResult::Retry { due_at: at(1_100), error: "503".to_owned() };
    assert!(store.mark(message.id, 1, retry, at(1_000)).await.unwrap());
    assert_eq!(claim(&*store, 1_100, true).await[0].attempts, 2);
    assert!(store.mark(message.id, 2, SendResult::Later { due_at: at(2_000) }, at(1_100)).await.unwrap());
    let again = claim(&*store, 2_000, true).await;
    assert_eq!((again[0].attempts, again[0].first_tried_at), (2, Some(at(1_000))), "that it failed is known");
    store.close().await;
}

pub(crate) async fn many_events_make_few_messages(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    // 2,000 events over an hour, for two destinations.
    for part in 0..20_u128 {
        let now = part as i64 * 180;
        let events = part * 100 + 1..=part * 100 + 100;
        let both = |n| ["ada", "ops"].map(|to| hearing(n, to, at(now)));
        tell(&*store, now, events.flat_map(both).collect()).await;
        let claimed = claim(&*store, now, false).await;
        for message in claimed {
            store.mark(message.id, message.attempts, SendResult::Sent, at(now)).await.unwrap();
        }
    }
    let all = [OutboxState::Sent, OutboxState::Pending];
    let mut messages = Vec::new();
    for state in all {
        messages.extend(store.list_outbox(state, None, 1000).await.unwrap());
    }
    messages.retain(|message| message.destination == "ada");
    assert!((2..=11).contains(&messages.len()), "{}", messages.len());
    let told: usize = messages.iter().map(|message| message.events.len() + message.more as usize).sum();
    assert_eq!(told, 2000, "each is in one of them");
    assert!(messages.iter().all(|message| message.events.len() <= KEPT));
    tell(&*store, 3600, vec![Hearing { weight: Weight::Urgent, ..hearing(5000, "ada", at(3600)) }]).await;
    let urgent = claim(&*store, 3600, false).await;
    assert!(told_alone(&urgent, 5000), "{urgent:?}");
    assert!(store.prune_events(at(10_000) + Duration::from_secs(1), 5000).await.unwrap() > 2000);
    store.close().await;
}

pub(crate) async fn what_waits_behind_a_failure_becomes_one_message(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let first = tell_and_claim(&*store, 1).await;
    let retry = SendResult::Retry { due_at: at(100), error: "503".to_owned() };
    assert!(store.mark(first.id, 1, retry, at(1)).await.unwrap());
    for n in 2..=6 {
        tell(&*store, n, vec![hearing(n as u128, "ops", at(n)), hearing(n as u128 + 10, "ada", at(n))]).await;
    }
    tell(&*store, 7, vec![hearing(7, "ops", at(9_000))]).await;
    store.gather_waiting("ops", at(100)).await.unwrap();
    store.gather_waiting("ops", at(100)).await.unwrap();
    assert_eq!(told(&claim(&*store, 100, true).await), [("ops", vec![1])], "what was tried stays as it is");
    assert!(store.mark(first.id, 2, SendResult::Sent, at(101)).await.unwrap());
    let next = claim(&*store, 101, false).await;
    assert_eq!(
        told(&next),
        [("ada", vec![12]), ("ops", vec![2, 3, 4, 5, 6])],
        "oldest first, and no other destination's"
    );
    assert!(store.mark(next[1].id, 1, SendResult::Sent, at(102)).await.unwrap());
    let waiting = store.list_outbox(OutboxState::Pending, None, 100).await.unwrap();
    let ops: Vec<_> = waiting.iter().filter(|message| message.destination == "ops").collect();
    assert_eq!((ops.len(), ops[0].due_at), (1, at(9_000)), "what is not due yet waits for its time");
    store.close().await;
}

fn told_alone(claimed: &[OutboxRow], event: u128) -> bool {
    claimed.iter().any(|message| message.events == [EventId::from_u128(event)])
}
