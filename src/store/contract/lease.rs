//! Leases: all or nothing, never on an ended token, once per request.

use futures_util::future::join_all;

use super::Fixture;
use super::samples::{at, audited, charged, event, lease, open, request, seed, take, token};
use crate::base::ids::{CollectorId, LeaseId, TokenId};
use crate::domain::credit::OpenedKey;
use crate::domain::lease::{Lease, LeaseState};
use crate::domain::token::TokenState;
use crate::store::{
    CloseLease, DuplicateRequest, IdempotencyRecord, LeaseFilter, OpenLease, OpenLeaseError, StoreError, TokenChange,
};

pub(crate) async fn a_lease_comes_back_as_it_was(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    store.open_lease(OpenLease { takes: vec![take("b", 50, 100)], ..open(1, 1) }).await.unwrap();
    let by_hand = Lease { collector: None, profile: "p1".to_owned(), expires_at: at(50), ..lease(2, 1) };
    store.open_lease(OpenLease { lease: by_hand.clone(), ..open(2, 1) }).await.unwrap();
    assert_eq!(store.open_leases(at(0)).await.unwrap(), [by_hand, lease(1, 1)]);
    assert_eq!(store.find_lease(LeaseId::from_u128(1)).await.unwrap(), Some(lease(1, 1)));
    assert_eq!(store.find_lease(LeaseId::from_u128(9)).await.unwrap(), None);
    assert_eq!(charged(&*store, "b", at(0)).await, 50);
    assert_eq!(audited(&*store, "lease.open").await, 2);
    store.close().await;
}

pub(crate) async fn an_opening_is_all_or_nothing(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let key = OpenedKey { bucket: "keys".into(), key: "cats".to_owned(), charged_until: at(900) };
    let refused = OpenLease {
        takes: vec![take("a", 5, 10), take("b", 11, 10)],
        keys: vec![key],
        request: Some(request(1)),
        ..open(1, 1)
    };
    let answer = store.open_lease(refused).await;
    assert!(matches!(answer, Err(OpenLeaseError::BucketFull { bucket, charged: 0 }) if &*bucket == "b"));
    assert_eq!(store.find_lease(LeaseId::from_u128(1)).await.unwrap(), None);
    assert_eq!(store.live_blocks(at(0)).await.unwrap(), []);
    assert_eq!(store.live_keys(at(0)).await.unwrap(), []);
    assert_eq!(store.find_request("acme", "r1", at(0)).await.unwrap(), None);
    assert_eq!(audited(&*store, "lease.open").await, 0);
    store.close().await;
}

pub(crate) async fn an_ended_token_is_not_leased(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let mut revoked = token(1);
    revoked.state = TokenState::Live.revoke(at(3));
    let change = TokenChange {
        token: revoked,
        secrets: None,
        expected_version: 1,
        expected_state: TokenState::Live,
        trail: event("token.change", "token").into(),
        revocation: None,
        alerts: vec![],
    };
    store.change_token(change).await.unwrap();
    for n in [1, 77] {
        let refused = store.open_lease(OpenLease { takes: vec![take("b", 1, 9)], ..open(n, n) }).await;
        assert!(matches!(refused, Err(OpenLeaseError::TokenEnded { token }) if token == TokenId::from_u128(n)));
    }
    assert_eq!(charged(&*store, "b", at(0)).await, 0);
    store.close().await;
}

pub(crate) async fn a_bad_lease_hinders_no_other(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    store.open_lease(open(1, 1)).await.unwrap();
    // All of these share few commits; the one with the id of another lease is refused alone.
    let callers = (1..=60).map(|n| store.open_lease(OpenLease { takes: vec![take("b", 1, 100)], ..open(n, 1) }));
    let answers = join_all(callers).await;
    assert!(matches!(answers[0], Err(OpenLeaseError::Store(StoreError::Conflict { .. }))));
    assert!(answers[1..].iter().all(Result::is_ok));
    assert_eq!(charged(&*store, "b", at(0)).await, 59);
    assert_eq!(store.open_leases(at(0)).await.unwrap().len(), 60);
    assert_eq!(audited(&*store, "lease.open").await, 60);
    store.close().await;
}

fn close(n: u128, used: u64) -> CloseLease {
    CloseLease { lease: LeaseId::from_u128(n), state: LeaseState::Released, used, at: at(10) }
}

pub(crate) async fn a_lease_is_closed_once(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    for n in 1..=3 {
        store.open_lease(open(n, 1)).await.unwrap();
    }
    let events = vec![event("lease.close", "1"), event("lease.close", "2")];
    let closed = store.close_leases(vec![close(1, 5), close(2, 6), close(2, 7), close(99, 1)], events).await;
    assert_eq!(closed.unwrap(), 2);
    let late = CloseLease { state: LeaseState::Expired, ..close(1, 0) };
    assert_eq!(store.close_leases(vec![late], vec![]).await.unwrap(), 0);
    let still_open = CloseLease { state: LeaseState::Open, ..close(3, 0) };
    assert_eq!(store.close_leases(vec![still_open], vec![]).await.unwrap(), 0);
    let found = store.find_lease(LeaseId::from_u128(1)).await.unwrap().unwrap();
    assert_eq!(found.state, LeaseState::Released);
    assert_eq!(store.open_leases(at(0)).await.unwrap(), [lease(3, 1)]);
    assert_eq!(audited(&*store, "lease.close").await, 2);
    store.close().await;
}

pub(crate) async fn a_lease_is_extended_while_open(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    store.open_lease(open(1, 1)).await.unwrap();
    let id = LeaseId::from_u128(1);
    store.extend_lease(id, at(160), at(190)).await.unwrap();
    let found = store.find_lease(id).await.unwrap().unwrap();
    assert_eq!((found.use_by, found.expires_at), (at(160), at(190)));
    store.close_leases(vec![close(1, 0)], vec![]).await.unwrap();
    let refused = store.extend_lease(id, at(260), at(290)).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })));
    store.close().await;
}

pub(crate) async fn leases_lapse(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    for n in 1..=3 {
        let expires_at = at(90 - n as i64);
        store.open_lease(OpenLease { lease: Lease { expires_at, ..lease(n, 1) }, ..open(n, 1) }).await.unwrap();
    }
    let ids = |leases: Vec<Lease>| leases.iter().map(|lease| lease.id.as_u128()).collect::<Vec<_>>();
    assert_eq!(ids(store.lapsed_leases(at(86), 10).await.unwrap()), Vec::<u128>::new());
    assert_eq!(ids(store.lapsed_leases(at(88), 10).await.unwrap()), [3, 2]);
    assert_eq!(ids(store.lapsed_leases(at(88), 1).await.unwrap()), [3]);
    assert_eq!(ids(store.open_leases(at(88)).await.unwrap()), [1]);
    store.close().await;
}

pub(crate) async fn closed_leases_are_pruned(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    for n in 1..=3 {
        store.open_lease(open(n, 1)).await.unwrap();
    }
    store.close_leases(vec![close(1, 0), close(2, 0)], vec![]).await.unwrap();
    assert_eq!(store.prune_leases(at(10), 10).await.unwrap(), 0);
    assert_eq!(store.prune_leases(at(11), 1).await.unwrap(), 1);
    assert_eq!(store.prune_leases(at(11), 10).await.unwrap(), 1);
    assert_eq!(store.open_leases(at(0)).await.unwrap(), [lease(3, 1)]);
    store.close().await;
}

pub(crate) async fn a_repeated_request_gets_the_first_answer(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let asking = |n, request| OpenLease { request: Some(request), takes: vec![take("b", 1, 9)], ..open(n, 1) };
    store.open_lease(asking(1, request(1))).await.unwrap();
    assert_eq!(store.find_request("acme", "r1", at(0)).await.unwrap(), Some(request(1)));
    let again = store.open_lease(asking(2, IdempotencyRecord { response: vec![8], ..request(1) })).await;
    let first = DuplicateRequest::Repeated { response: vec![1] };
    assert!(matches!(again, Err(OpenLeaseError::DuplicateRequest(duplicate)) if duplicate == first));
    let other = store.open_lease(asking(3, IdempotencyRecord { content_hash: [9; 32], ..request(1) })).await;
    assert!(matches!(other, Err(OpenLeaseError::DuplicateRequest(DuplicateRequest::OtherContent))));
    let other_scope = IdempotencyRecord { scope: "elsewhere".to_owned(), ..request(1) };
    store.open_lease(asking(4, other_scope)).await.unwrap();
    assert_eq!(charged(&*store, "b", at(0)).await, 2);
    // Sent twice at once, it is done once.
    let answers = join_all((10..30).map(|n| store.open_lease(asking(n, request(2))))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(charged(&*store, "b", at(0)).await, 3);
    store.close().await;
}

pub(crate) async fn a_request_id_is_free_again_after_its_time(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let asking = |n, opened_at| OpenLease {
        lease: Lease { opened_at, ..lease(n, 1) },
        request: Some(IdempotencyRecord { content_hash: [n as u8; 32], ..request(1) }),
        ..open(n, 1)
    };
    store.open_lease(asking(1, at(0))).await.unwrap();
    assert!(store.open_lease(asking(2, at(599))).await.is_err());
    store.open_lease(asking(3, at(600))).await.unwrap();
    assert_eq!(store.prune_requests(at(599), 10).await.unwrap(), 0);
    assert_eq!(store.prune_requests(at(600), 10).await.unwrap(), 1);
    store.close().await;
}

pub(crate) async fn leases_are_listed_newest_first(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 2).await;
    for n in 1..=4 {
        store.open_lease(open(n, 1 + n % 2)).await.unwrap();
    }
    let close = CloseLease { lease: LeaseId::from_u128(2), state: LeaseState::Released, used: 7, at: at(5) };
    store.close_leases(vec![close], vec![]).await.unwrap();
    let filter = LeaseFilter::default();
    let cases = [
        (filter.clone(), vec![4, 3, 2]),
        (LeaseFilter { before: Some(LeaseId::from_u128(3)), ..filter.clone() }, vec![2, 1]),
        (LeaseFilter { token: Some(TokenId::from_u128(2)), ..filter.clone() }, vec![3, 1]),
        (LeaseFilter { state: Some(LeaseState::Released), ..filter.clone() }, vec![2]),
        (LeaseFilter { team: Some("other".parse().unwrap()), ..filter.clone() }, vec![]),
        (LeaseFilter { network: Some("youtube".parse().unwrap()), ..filter.clone() }, vec![]),
        (LeaseFilter { collector: Some(CollectorId::from_u128(9)), ..filter }, vec![]),
    ];
    for (filter, expected) in cases {
        let rows = store.list_leases(filter.clone(), 3).await.unwrap();
        let found: Vec<_> = rows.iter().map(|row| row.lease.id.as_u128()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    let row = store.find_lease_row(LeaseId::from_u128(2)).await.unwrap().unwrap();
    assert_eq!((row.lease.state, row.used, row.closed_at), (LeaseState::Released, 7, Some(at(5))));
    assert_eq!(store.find_lease_row(LeaseId::from_u128(9)).await.unwrap(), None);
    store.close().await;
}
