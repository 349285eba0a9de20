//! A network that binds its tokens to keys, and answers as it is told: what is not as it should be is not kept, and a nonce costs nothing.

use crate::domain::token::TokenState;
use crate::outbound::http::NoAnswer;
use crate::service::connect::tests::*;
use crate::service::renew::RenewError;
use crate::store::StoredToken;

const TOKEN: &str = r#"{"access_token":"a","token_type":"DPoP","refresh_token":"r","scope":"atproto transition:generic","expires_in":900,"sub":"did:plc:ann"}"#;
const DOCUMENT: &str = r##"{"id":"did:plc:ann","service":[{"id":"#atproto_pds","type":"AtprotoPersonalDataServer","serviceEndpoint":"https://pds.example"}]}"##;
const RESOURCE: &str = r#"{"authorization_servers":["https://bsky.social"]}"#;
const SESSION: &str = r#"{"did":"did:plc:ann","handle":"ann.example"}"#;

/// Statuses and bodies, in the order in which the network gives them.
type Answers<'a> = &'a [(u16, &'a str)];

async fn bluesky() -> (TestBroker, TeamId) {
    let (test, team) = scene().await;
    let said = UpdateApp { generate_key: true, ..UpdateApp::default() };
    test.broker.update_app(&test.admin, &"bluesky".parse().unwrap(), &default_app(), said).await.unwrap();
    (test, team)
}

/// A connection whose link was opened, while the network answers what is pushed so.
async fn begun(test: &TestBroker, team: &TeamId, pushed: (u16, &str)) -> (Connection, Result<SentAway, ConnectError>) {
    let ask = StartConnection {
        network: "bluesky".to_owned(),
        kind: "user".to_owned(),
        purposes: [Purpose::CollectContent].into_iter().collect(),
        ..StartConnection::default()
    };
    let started = test.broker.start_connection(&test.admin, team, ask).await.unwrap();
    let link = started.link.expose().rsplit('/').next().unwrap().to_owned();
    answer(test, pushed.0, pushed.1);
    let sent = test.broker.begin_connection(Offer::Link(&link), &Visitor::default(), consent::NEWEST).await;
    (started.connection, sent)
}

/// Goes through a network that gives these answers after the code came back; the connection after it.
async fn arrived(test: &TestBroker, team: &TeamId, answers: Answers<'_>) -> Connection {
    let (connection, sent) = begun(test, team, (201, r#"{"request_uri":"urn:pushed","expires_in":60}"#)).await;
    let sent = sent.unwrap();
    assert_eq!(
        sent.url.as_str(),
        "https://bsky.social/oauth/authorize?client_id=https%3A%2F%2Fbroker.example%2Foauth%2Fclients%2Fbluesky%2Fdefault&request_uri=urn%3Apushed"
    );
    for (status, body) in answers {
        answer(test, *status, body);
    }
    // Nobody but the network and the broker knows the state.
    let stored = test.broker.store.find_connection(connection.id).await.unwrap().unwrap();
    let query = CallbackQuery {
        code: Some(Secret::new("code".to_owned())),
        issuer: Some("https://bsky.social".to_owned()),
        ..CallbackQuery::default()
    };
    test.broker.take_answer(&Caller::Broker, stored, query).await.unwrap();
    while test.endpoint.take_next() {}
    test.broker.show_connection(team, connection.id).await.unwrap()
}

async fn connected(test: &TestBroker, team: &TeamId) -> StoredToken {
    let found = arrived(test, team, &[(200, TOKEN), (200, DOCUMENT), (200, RESOURCE), (200, SESSION)]).await;
    let done = test.broker.complete_connection(&test.admin, team, found.id, &[], consent::NEWEST).await.unwrap();
    let Stage::Connected { tokens, .. } = done.stage else { panic!("{done:?}") };
    test.broker.store.find_token(tokens[0]).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_account_is_found_by_its_identity_and_its_server_is_told_to_who_leases() {
    let (test, team) = bluesky().await;
    let stored = connected(&test, &team).await;
    assert_eq!((stored.token.person.as_str(), stored.token.label.as_str()), ("did:plc:ann", "ann.example"));
    assert_eq!(test.broker.bond_of(&stored).unwrap().unwrap().server(), Some("https://pds.example"));
    let worker = test.caller(test.collector(&team, "one").await.id);
    let ask = crate::service::AcquireLease {
        network: "bluesky".to_owned(),
        operation: "feed.get_author_feed".to_owned(),
        ..crate::service::testing::ask(&team, 1)
    };
    let leased = test.broker.acquire_lease(&worker, ask).await.unwrap();
    assert_eq!((leased.api_base.as_str(), leased.is_bound), ("https://pds.example", true));
    test.stop().await;
}

#[tokio::test]
async fn what_is_not_as_it_should_be_is_not_kept() {
    use ProblemKind::{AccountUnusable, NetworkRefused, NetworkSilent, ScopesDeclined};
    let (test, team) = bluesky().await;
    let unbound = TOKEN.replace("DPoP", "Bearer");
    let nameless = TOKEN.replace(r#","sub":"did:plc:ann""#, "");
    let nobody = TOKEN.replace("did:plc:ann", "ann.example");
    let less = TOKEN.replace(" transition:generic", "");
    let others = DOCUMENT.replace("did:plc:ann", "did:plc:bob");
    let plain = DOCUMENT.replace("https://pds", "http://pds");
    let inside = DOCUMENT.replace("https://pds.example", "https://169.254.169.254/latest");
    let elsewhere = RESOURCE.replace("bsky.social", "others.example");
    let foreign = SESSION.replace("did:plc:ann", "did:plc:bob");
    let cases: [(Answers<'_>, ProblemKind, &str); 12] = [
        (&[(200, &unbound)], NetworkRefused, "bound to no key"),
        (&[(200, &nameless)], NetworkRefused, "did not say whose account"),
        (&[(200, &nobody)], AccountUnusable, "no identifier"),
        (&[(200, TOKEN), (404, "{}")], NetworkSilent, "404"),
        (&[(200, TOKEN), (200, &others)], AccountUnusable, "names no server"),
        (&[(200, TOKEN), (200, &plain)], AccountUnusable, "names no server"),
        (&[(200, TOKEN), (200, &inside)], AccountUnusable, "names no server"),
        (&[(200, TOKEN), (200, DOCUMENT), (200, "<html>")], AccountUnusable, "who grants its tokens"),
        (&[(200, TOKEN), (200, DOCUMENT), (500, "{}")], NetworkSilent, "500"),
        (&[(200, TOKEN), (200, DOCUMENT), (200, &elsewhere)], AccountUnusable, "catalogue file of its own"),
        (&[(200, &less), (200, DOCUMENT), (200, RESOURCE)], ScopesDeclined, "transition:generic"),
        (&[(200, TOKEN), (200, DOCUMENT), (200, RESOURCE), (200, &foreign)], NetworkRefused, "different things"),
    ];
    for (answers, kind, text) in cases {
        let problem = arrived(&test, &team, answers).await.problem.unwrap_or_else(|| panic!("{text}: it was taken"));
        assert_eq!(problem.kind(), kind, "{text}: {}", problem);
        assert!(problem.to_string().contains(text), "{text}: {}", problem);
    }
    let revocations = test.broker.store.claim_revocations(test.clock.now(), test.clock.now(), 100).await.unwrap();
    assert_eq!(revocations.len(), 12, "all of it is given back");
    assert!(revocations.iter().all(|queued| queued.sealed_key.is_some()), "with its key");
    test.stop().await;
}

#[tokio::test]
async fn nobody_is_sent_away_before_the_network_took_what_is_asked() {
    let (test, team) = bluesky().await;
    let cases = [
        ((500, "<html>"), "in some minutes"),
        ((429, "{}"), "in some minutes"),
        ((201, "{}"), "can't be read"),
        ((401, r#"{"error":"invalid_client"}"#), "An operator must look at the app"),
        ((400, r#"{"error":"use_dpop_nonce"}"#), "in some minutes"),
    ];
    for (pushed, text) in cases {
        let (connection, refused) = begun(&test, &team, pushed).await;
        let refused = refused.err().unwrap().to_string();
        assert!(refused.contains(text), "{text}: {refused}");
        let after = test.broker.show_connection(&team, connection.id).await.unwrap();
        assert_eq!(after.stage, Stage::Offered, "{text}");
    }
    test.stop().await;
}

/// An answer that wants another nonce.
fn wants_nonce(test: &TestBroker) {
    let headers = vec![("dpop-nonce".to_owned(), "n".to_owned())];
    let body = Zeroizing::new(br#"{"error":"use_dpop_nonce"}"#.to_vec());
    test.endpoint.answer_next(Ok(NetworkAnswer { status: 400, headers, body }));
}

#[tokio::test]
async fn a_renewal_outlives_a_nonce_and_only_its_second_answer_counts() {
    let (test, team) = bluesky().await;
    let stored = connected(&test, &team).await;
    let id = stored.token.id;
    let look = async || test.broker.store.find_token(id).await.unwrap().unwrap();
    let renew = async || test.broker.renew_token(&test.admin, &team, id).await;
    let asked = test.endpoint.asked();
    wants_nonce(&test);
    test.endpoint.answer_next(Err(NoAnswer::NotSent));
    assert!(matches!(renew().await, Err(RenewError::Failed { .. })));
    assert_eq!(test.endpoint.asked(), asked + 2, "once more, and no more");
    assert_eq!(look().await.renewal.begun_at, None, "neither was looked at: the refresh token is unused");
    wants_nonce(&test);
    wants_nonce(&test);
    assert!(matches!(renew().await, Err(RenewError::Failed { .. })));
    let after = look().await;
    assert_eq!((after.token.state, after.renewal.begun_at), (TokenState::Live, None), "a nonce is no evidence");
    wants_nonce(&test);
    answer(&test, 200, &TOKEN.replace("\"a\"", "\"a2\"").replace("\"r\"", "\"r2\""));
    renew().await.unwrap();
    let renewed = look().await;
    assert_eq!(renewed.token.version, stored.token.version + 1);
    let key = |stored: &StoredToken| test.broker.bond_of(stored).unwrap().unwrap().text().expose().to_owned();
    assert_eq!(key(&renewed), key(&stored), "the key stays, and so does the server");
    wants_nonce(&test);
    test.endpoint.answer_next(Err(NoAnswer::Lost));
    assert!(matches!(renew().await, Err(RenewError::Failed { .. })));
    assert!(look().await.renewal.begun_at.is_some(), "of the second nobody knows");
    test.stop().await;
}

#[tokio::test]
async fn a_renewal_that_gives_another_accounts_token_is_not_kept() {
    for strange in [TOKEN.replace("did:plc:ann", "did:plc:bob"), TOKEN.replace("DPoP", "Bearer")] {
        let (test, team) = bluesky().await;
        let stored = connected(&test, &team).await;
        answer(&test, 200, &strange);
        let refused = test.broker.renew_token(&test.admin, &team, stored.token.id).await;
        assert!(matches!(refused, Err(RenewError::Failed { .. })), "{:?}", refused.err());
        let after = test.broker.store.find_token(stored.token.id).await.unwrap().unwrap();
        assert_eq!((after.token.version, after.token.state), (stored.token.version, TokenState::Live));
        assert!(after.renewal.begun_at.is_some(), "its refresh token may be used up");
        test.stop().await;
    }
}
