//! Callbacks on a whole broker.

use super::signed_request::signed;
use super::*;
use crate::base::ids::{TeamId, TokenId};
use crate::base::secret::Secret;
use crate::domain::networks::Purpose;
use crate::domain::pool::Verdict;
use crate::domain::token::TokenState;
use crate::service::apps::{CreateApp, UpdateApp, default_app};
use crate::service::testing::{TestBroker, x_token};
use crate::service::tokens::AddToken;

const SECRET: &str = "app-secret";

/// A broker that knows the secret of the app at Threads.
async fn scene() -> TestBroker {
    let test = TestBroker::start().await;
    let said = || UpdateApp {
        client_id: Some("id".to_owned()),
        client_secret: Some(Some(Secret::new(SECRET.to_owned()))),
        ..UpdateApp::default()
    };
    for network in ["threads", "x"] {
        let network = network.parse().unwrap();
        test.broker.update_app(&test.admin, &network, &default_app(), said()).await.unwrap();
    }
    test
}

async fn token(test: &TestBroker, team: &TeamId, person: &str) -> TokenId {
    let scopes = ["threads_basic", "threads_manage_insights"].map(str::to_owned).to_vec();
    let given = AddToken { network: "threads".to_owned(), refresh: None, scopes, ..x_token(person) };
    test.broker.add_token(&test.admin, team, given).await.unwrap().token.id
}

async fn state(test: &TestBroker, token: TokenId) -> TokenState {
    test.broker.store.find_token(token).await.unwrap().unwrap().token.state
}

fn request(test: &TestBroker, person: &str) -> String {
    let issued_at = test.clock.now().secs();
    let payload = format!(r#"{{"algorithm":"HMAC-SHA256","issued_at":{issued_at},"user_id":"{person}"}}"#);
    signed(&payload, SECRET)
}

async fn take(test: &TestBroker, asked: Asked, request: &str) -> Result<String, CallbackRefused> {
    test.broker.take_callback("threads", "default", asked, request).await
}

#[tokio::test]
async fn a_person_who_takes_the_consent_back_ends_all_tokens_of_the_app_in_all_teams() {
    let test = scene().await;
    let (one, two) = (test.team("one").await, test.team("two").await);
    let (first, second) = (token(&test, &one, "ann").await, token(&test, &two, "ann").await);
    let (other, elsewhere) = (token(&test, &one, "bob").await, test.token(&one, "ann").await);
    take(&test, Asked::Deauthorize, &request(&test, "ann")).await.unwrap();
    for dead in [first, second] {
        let state = state(&test, dead).await;
        assert!(matches!(state, TokenState::Invalid { reason: Reason::RevokedByPerson, .. }), "{state:?}");
    }
    assert_eq!((state(&test, other).await, state(&test, elsewhere).await), (TokenState::Live, TokenState::Live));
    assert!(!test.broker.store.find_token(first).await.unwrap().unwrap().sealed_access.is_empty());
    test.stop().await;
}

#[tokio::test]
async fn a_person_whose_data_is_deleted_has_no_token_left_at_a_network_that_shares_the_grant() {
    let test = TestBroker::start().await;
    let team = test.team("one").await;
    let said = |id: &str| UpdateApp {
        client_id: Some(id.to_owned()),
        client_secret: Some(Some(Secret::new(SECRET.to_owned()))),
        ..UpdateApp::default()
    };
    for network in ["facebook", "instagram"] {
        test.broker.update_app(&test.admin, &network.parse().unwrap(), &default_app(), said("id")).await.unwrap();
    }
    let other = CreateApp {
        network: "instagram".parse().unwrap(),
        id: "other".parse().unwrap(),
        team: None,
        said: said("id2"),
    };
    test.broker.create_app(&test.admin, other).await.unwrap();
    let given = async |network: &str, kind: &str, app: Option<&str>| {
        let found = test.broker.catalogue.network(network).unwrap().kind(kind).unwrap();
        let given = AddToken {
            network: network.to_owned(),
            kind: kind.to_owned(),
            app: app.map(str::to_owned),
            scopes: found.scopes_for(Purpose::Validate).unwrap().to_vec(),
            access: Secret::new(format!("access {network} {kind} {app:?}")),
            refresh: None,
            ..x_token("ann")
        };
        test.broker.add_token(&test.admin, &team, given).await.unwrap().token.id
    };
    let facebook = given("facebook", "user", None).await;
    let shares = given("instagram", "facebook_login", None).await;
    let own_login = given("instagram", "instagram_login", None).await;
    let other_app = given("instagram", "facebook_login", Some("other")).await;
    let request = request(&test, "ann");
    test.broker.take_callback("facebook", "default", Asked::DeleteData, &request).await.unwrap();
    for (token, is_revoked) in [(facebook, true), (shares, true), (own_login, false), (other_app, false)] {
        let state = state(&test, token).await;
        assert_eq!(matches!(state, TokenState::Revoked { .. }), is_revoked, "{state:?}");
    }
    test.stop().await;
}

#[tokio::test]
async fn holders_are_recalled() {
    let test = scene().await;
    let team = test.team("one").await;
    let held = token(&test, &team, "ann").await;
    let collector = test.collector(&team, "one").await;
    let ask = crate::service::AcquireLease {
        network: "threads".to_owned(),
        operation: "profile.get".to_owned(),
        ..crate::service::testing::ask(&team, 1)
    };
    let network = test.broker.catalogue.network("threads").unwrap();
    let purpose = crate::domain::networks::Purpose::CollectStatistics;
    let serves = |one: &&crate::domain::networks::Operation| one.purposes.contains(&purpose) && one.scopes.is_empty();
    let operation = network.operations.iter().find(serves).unwrap().id.to_string();
    let ask = crate::service::AcquireLease { operation, purpose, ..ask };
    let lease = test.broker.acquire_lease(&test.caller(collector.id), ask).await.unwrap().lease;
    take(&test, Asked::Deauthorize, &request(&test, "ann")).await.unwrap();
    let (_, verdict) = test.broker.engine.standing(lease).unwrap();
    assert_eq!(verdict, Verdict::TokenDead(Reason::RevokedByPerson));
    assert_ne!(state(&test, held).await, TokenState::Live);
    test.stop().await;
}

#[tokio::test]
async fn data_that_must_be_deleted_is_and_the_person_can_see_it() {
    let test = scene().await;
    let team = test.team("one").await;
    let held = token(&test, &team, "ann").await;
    take(&test, Asked::Deauthorize, &request(&test, "ann")).await.unwrap();
    let code = take(&test, Asked::DeleteData, &request(&test, "ann")).await.unwrap();
    assert_eq!(code.len(), 2 * CODE_BYTES);
    let stored = test.broker.store.find_token(held).await.unwrap().unwrap();
    assert!(matches!(stored.token.state, TokenState::Revoked { .. }));
    assert!(stored.sealed_access.is_empty() && stored.sealed_refresh.is_none());
    let status = test.broker.deletion_status(&code).await.unwrap().unwrap();
    assert_eq!(status.done_at, Some(test.clock.now()));
    assert_eq!(test.broker.deletion_status("0123").await.unwrap(), None);
    test.stop().await;
}

#[tokio::test]
async fn what_a_crash_interrupted_is_finished() {
    let test = scene().await;
    let team = test.team("one").await;
    let held = token(&test, &team, "ann").await;
    let row = CallbackRow {
        hash: [1; 32],
        code_hash: test.broker.code_hash("code"),
        network: "threads".parse().unwrap(),
        app: default_app(),
        person: "ann".to_owned(),
        person_hash: None,
        deletes: true,
        received_at: test.clock.now(),
        done_at: None,
    };
    assert!(test.broker.store.insert_callback(row).await.unwrap());
    assert_eq!(test.broker.deletion_status("code").await.unwrap().unwrap().done_at, None);
    let test = test.restart().await;
    test.broker.finish_callbacks().await.unwrap();
    assert!(matches!(state(&test, held).await, TokenState::Revoked { .. }));
    assert!(test.broker.deletion_status("code").await.unwrap().unwrap().done_at.is_some());
    assert_eq!(test.broker.store.unfinished_callbacks(10).await.unwrap(), []);
    test.stop().await;
}

#[tokio::test]
async fn nothing_changes_for_a_request_that_is_not_believed_or_comes_again() {
    let test = scene().await;
    let team = test.team("one").await;
    let held = token(&test, &team, "ann").await;
    let good = request(&test, "ann");
    let forged = signed(r#"{"algorithm":"HMAC-SHA256","issued_at":1800000000,"user_id":"ann"}"#, "another secret");
    for (network, app, request) in [
        ("threads", "default", forged.as_str()),
        ("threads", "default", ""),
        ("threads", "nobody", good.as_str()),
        ("nowhere", "default", good.as_str()),
        ("x", "default", good.as_str()),
        ("../threads", "default", good.as_str()),
    ] {
        let refused = test.broker.take_callback(network, app, Asked::DeleteData, request).await.unwrap_err();
        assert!(matches!(refused, CallbackRefused::NotAccepted), "{network} {app}");
    }
    assert_eq!(state(&test, held).await, TokenState::Live);
    let code = take(&test, Asked::Deauthorize, &good).await.unwrap();
    let since = token(&test, &test.team("two").await, "ann").await;
    for again in [good.clone(), format!("{}={}", good.split_once('.').unwrap().0, &good[good.find('.').unwrap()..])] {
        assert_eq!(take(&test, Asked::Deauthorize, &again).await.unwrap(), code, "the same answer: {again}");
        assert_eq!(state(&test, since).await, TokenState::Live, "what was granted since stays");
    }
    test.clock.advance(std::time::Duration::from_secs(3_601));
    assert!(matches!(take(&test, Asked::DeleteData, &good).await, Err(CallbackRefused::NotAccepted)), "it is old");
    test.stop().await;
}

#[tokio::test]
async fn they_come_no_faster_than_they_may() {
    let test = scene().await;
    let mut refused = 0;
    for _ in 0..100 {
        refused += u32::from(matches!(take(&test, Asked::Deauthorize, "x.y").await, Err(CallbackRefused::TooMany)));
    }
    assert_eq!(refused, 100 - PER_SECOND.0);
    test.stop().await;
}
