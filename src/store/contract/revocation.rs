//! Revocations: queued with the change that revokes, claimed by one, and wiped of their secrets when they are over.

use super::Fixture;
use super::samples::{self, acme, at, audited, event, new_token, seed};
use crate::base::ids::TokenId;
use crate::domain::revocation::Standing;
use crate::domain::token::{Token, TokenState};
use crate::store::{GrantPart, Postponed, Store, StoredRevocation, TokenChange};

fn revocation(n: u128) -> StoredRevocation {
    StoredRevocation {
        token: TokenId::from_u128(n),
        team: acme(),
        network: "x".parse().unwrap(),
        app: "default".parse().unwrap(),
        kind: "user".parse().unwrap(),
        person: format!("person {n}"),
        sealed_access: Some(vec![1]),
        sealed_refresh: Some(vec![2]),
        sealed_key: Some(vec![3]),
        asked_at: at(10),
        attempts: 0,
        failures: 0,
        failing_since: None,
        standing: Standing::Pending,
        message: String::new(),
        ended_at: None,
    }
}

async fn revoke(store: &dyn Store, n: u128) {
    let before = store.find_token(TokenId::from_u128(n)).await.unwrap().unwrap().token;
    let change = TokenChange {
        token: Token { state: before.state.revoke(at(10)), ..before.clone() },
        secrets: None,
        expected_version: before.version,
        expected_state: before.state,
        trail: event("token.revoke", "token").into(),
        revocation: Some(revocation(n)),
        alerts: vec![],
    };
    store.change_token(change).await.unwrap();
}

async fn claim(store: &dyn Store, now: i64) -> Vec<(u128, u32)> {
    let claimed = store.claim_revocations(at(now), at(now + 300), 10).await.unwrap();
    claimed.into_iter().map(|one| (one.token.as_u128(), one.attempts)).collect()
}

pub(crate) async fn a_revocation_is_claimed_once_at_a_time(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 2).await;
    revoke(&*store, 1).await;
    assert_eq!(store.find_revocation(TokenId::from_u128(1)).await.unwrap(), Some(revocation(1)));
    assert_eq!(store.find_revocation(TokenId::from_u128(2)).await.unwrap(), None);
    assert!(matches!(
        store.find_token(TokenId::from_u128(1)).await.unwrap().unwrap().token.state,
        TokenState::Revoked { .. }
    ));
    assert_eq!(claim(&*store, 9).await, []);
    assert_eq!(claim(&*store, 10).await, [(1, 1)]);
    assert_eq!(claim(&*store, 309).await, [], "it is claimed");
    assert_eq!(claim(&*store, 310).await, [(1, 2)], "nobody answered for it");
    let id = TokenId::from_u128(1);
    let postpone = async |attempt, due, failed: Option<i64>| {
        let postponed = Postponed { due_at: at(due), failed_at: failed.map(at), message: "down".to_owned() };
        store.postpone_revocation(id, attempt, postponed).await.unwrap()
    };
    assert!(!postpone(1, 400, Some(311)).await, "it was late");
    assert!(postpone(2, 400, Some(311)).await);
    assert_eq!(claim(&*store, 399).await, []);
    assert_eq!(claim(&*store, 400).await, [(1, 3)]);
    assert!(postpone(3, 500, None).await && claim(&*store, 500).await == [(1, 4)] && postpone(4, 600, Some(501)).await);
    let failed = store.find_revocation(id).await.unwrap().unwrap();
    assert_eq!((failed.failures, failed.failing_since), (2, Some(at(311))), "it waited in between");
    store.close().await;
}

pub(crate) async fn a_revocation_that_is_over_has_no_secrets(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    revoke(&*store, 1).await;
    claim(&*store, 10).await;
    let id = TokenId::from_u128(1);
    let end = async |attempt| {
        let audit = event("token.give_back", "token");
        store.end_revocation(id, attempt, Standing::Done, "told".to_owned(), audit).await.unwrap()
    };
    assert!(!end(2).await);
    assert!(end(1).await);
    assert!(!end(1).await, "it is over");
    assert_eq!(audited(&*store, "token.give_back").await, 1);
    let over = StoredRevocation {
        sealed_access: None,
        sealed_refresh: None,
        sealed_key: None,
        attempts: 1,
        standing: Standing::Done,
        message: "told".to_owned(),
        ended_at: Some(at(0)),
        ..revocation(1)
    };
    assert_eq!(store.find_revocation(id).await.unwrap(), Some(over));
    assert_eq!(claim(&*store, 10_000).await, []);
    assert_eq!(store.prune_revocations(at(0), 10).await.unwrap(), 0);
    assert_eq!(store.prune_revocations(at(1), 10).await.unwrap(), 1);
    store.close().await;
}

pub(crate) async fn the_tokens_of_a_person_are_counted(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 3).await;
    let token = store.find_token(TokenId::from_u128(1)).await.unwrap().unwrap().token;
    let part = |network: &str, kind: Option<&str>| GrantPart {
        network: network.parse().unwrap(),
        app: token.app.clone(),
        kind: kind.map(|kind| kind.parse().unwrap()),
    };
    let parts = [part("youtube", None), part(token.network.as_str(), None)];
    let count = async |person: &str| store.count_of_person(&parts, person).await.unwrap();
    assert_eq!((count(&token.person).await, count("nobody").await, count("").await), (1, 0, 1));
    for n in [7, 8] {
        let unknown = Token { person: format!("~{n}"), ..samples::token(n) };
        store.insert_tokens(vec![new_token(unknown)], None).await.unwrap();
    }
    assert_eq!((count(&token.person).await, count("nobody").await), (2, 1), "each may be that person's");
    for n in [7, 8] {
        revoke(&*store, n).await;
    }
    revoke(&*store, 1).await;
    assert_eq!(count(&token.person).await, 0);
    let other_kind = [part(token.network.as_str(), Some("app"))];
    assert_eq!(store.count_of_person(&other_kind, "").await.unwrap(), 0);
    let elsewhere = store.count_of_person(&parts[..1], "").await.unwrap();
    assert_eq!(elsewhere, 0, "of a person who is not known, only whether the app has any");
    store.close().await;
}
