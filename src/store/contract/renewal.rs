//! Renewals: due earliest first, claimed by one, and wiped out by new secrets.

use super::Fixture;
use super::samples::{at, event, seed, token};
use crate::base::ids::TokenId;
use crate::domain::token::{Token, TokenState};
use crate::store::{BeginRenewal, PutRenewal, SealedSecrets, Store, StoredRenewal, TokenChange};

/// The next tokens of an app: their numbers and when they are due, in seconds.
async fn next(store: &dyn Store, network: &str, app: &str, limit: u32) -> Vec<(u128, i64)> {
    let found = store.next_renewals(&network.parse().unwrap(), &app.parse().unwrap(), limit).await.unwrap();
    found.into_iter().map(|(token, due)| (token.as_u128(), due.secs() - at(0).secs())).collect()
}

async fn renewal(store: &dyn Store, n: u128) -> StoredRenewal {
    store.find_token(TokenId::from_u128(n)).await.unwrap().unwrap().renewal
}

fn claim(n: u128, version: u32, seen: i64) -> BeginRenewal {
    let (token, now) = (TokenId::from_u128(n), at(600));
    BeginRenewal { token, version, seen_due_at: Some(at(seen)), now, claimed_until: at(660) }
}

fn put(n: u128, version: u32, renewal: StoredRenewal) -> PutRenewal {
    PutRenewal { token: TokenId::from_u128(n), version, renewal, look_at: None }
}

pub(crate) async fn due_renewals_come_earliest_first(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 5).await;
    let early = StoredRenewal { due_at: Some(at(1)), ..StoredRenewal::default() };
    assert!(store.put_renewal(put(4, 1, early)).await.unwrap());
    assert!(store.put_renewal(put(3, 1, StoredRenewal::default())).await.unwrap());
    assert_eq!(next(&*store, "x", "default", 10).await, [(4, 1), (1, 501), (2, 502), (5, 505)]);
    assert_eq!(next(&*store, "x", "default", 2).await, [(4, 1), (1, 501)]);
    for (network, app) in [("youtube", "default"), ("x", "other")] {
        assert_eq!(next(&*store, network, app, 10).await, []);
    }
    store.close().await;
}

pub(crate) async fn a_renewal_is_hastened_unless_it_is_claimed(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 2).await;
    let hasten = async |version, at_, unless| {
        store.hasten_renewal(TokenId::from_u128(1), version, at(at_), at(unless)).await.unwrap()
    };
    assert!(!hasten(2, 100, 160).await, "other secrets");
    assert!(!hasten(1, 450, 510).await, "it may be claimed");
    assert!(hasten(1, 100, 160).await);
    assert_eq!(next(&*store, "x", "default", 10).await, [(1, 100), (2, 502)]);
    store.close().await;
}

pub(crate) async fn a_renewal_is_claimed_once(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    assert!(!store.begin_renewal(claim(1, 2, 501)).await.unwrap(), "other secrets");
    assert!(!store.begin_renewal(claim(1, 1, 400)).await.unwrap(), "another time");
    let claims = futures_util::future::join_all((0..8).map(|_| store.begin_renewal(claim(1, 1, 501)))).await;
    assert_eq!(claims.into_iter().filter(|claimed| *claimed.as_ref().unwrap()).count(), 1);
    let expected = StoredRenewal { due_at: Some(at(660)), begun_at: Some(at(600)), failures: 0 };
    assert_eq!(renewal(&*store, 1).await, expected);
    let never = StoredRenewal::default();
    assert!(store.put_renewal(put(1, 1, never)).await.unwrap());
    let by_hand = BeginRenewal { seen_due_at: None, ..claim(1, 1, 0) };
    assert!(store.begin_renewal(by_hand).await.unwrap(), "one that is never due is renewed by hand");
    store.close().await;
}

pub(crate) async fn a_claim_ends_with_its_time(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    assert!(store.begin_renewal(claim(1, 1, 501)).await.unwrap());
    assert_eq!(next(&*store, "x", "default", 10).await, [(1, 660)]);
    let later = BeginRenewal { now: at(670), claimed_until: at(730), ..claim(1, 1, 660) };
    assert!(store.begin_renewal(later).await.unwrap());
    assert_eq!(renewal(&*store, 1).await.begun_at, Some(at(600)), "the first use counts");
    store.close().await;
}

pub(crate) async fn new_secrets_end_a_renewal(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    assert!(store.begin_renewal(claim(1, 1, 501)).await.unwrap());
    let change = |token: Token, secrets| TokenChange {
        token,
        secrets,
        expected_version: 1,
        expected_state: TokenState::Live,
        trail: event("token.renew", "token").into(),
        revocation: None,
        alerts: vec![],
    };
    let renamed = Token { label: "new".to_owned(), ..token(1) };
    store.change_token(change(renamed, None)).await.unwrap();
    assert_eq!(renewal(&*store, 1).await.begun_at, Some(at(600)), "another change leaves it alone");
    let secrets =
        SealedSecrets { access: vec![7], refresh: Some(vec![8]), renew_at: Some(at(900)), ..SealedSecrets::default() };
    store.change_token(change(Token { version: 2, ..token(1) }, Some(secrets))).await.unwrap();
    let expected = StoredRenewal { due_at: Some(at(900)), begun_at: None, failures: 0 };
    assert_eq!(renewal(&*store, 1).await, expected);
    store.close().await;
}

pub(crate) async fn a_failure_concerns_the_secrets_that_were_shown(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let failed = StoredRenewal { due_at: Some(at(700)), begun_at: Some(at(600)), failures: 3 };
    assert!(!store.put_renewal(put(1, 2, failed)).await.unwrap());
    assert_eq!(renewal(&*store, 1).await.failures, 0);
    assert!(store.put_renewal(put(1, 1, failed)).await.unwrap());
    assert_eq!(renewal(&*store, 1).await, failed);
    store.close().await;
}
