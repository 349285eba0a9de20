//! Token replies that are not as they should be, through a network that answers as it is told.

mod bound;

use std::sync::Arc;

use zeroize::Zeroizing;

use super::*;
use crate::base::clock::{Clock, ManualClock, Timestamp};
use crate::config::Config;
use crate::domain::connection::{ProblemKind, Stage};
use crate::domain::consent;
use crate::domain::networks::{Catalogue, Purpose};
use crate::domain::token::{Reason, Token, TokenState};
use crate::outbound::http::NetworkAnswer;
use crate::service::apps::{UpdateApp, default_app};
use crate::service::callbacks::{Asked, signed_request};
use crate::service::testing::{START, TestBroker};
use crate::store::{CallbackRow, StoredToken};
use crate::text::Text;
use crate::vault::Place;

const SCOPES: &str = "offline.access tweet.read users.read";

async fn scene() -> (TestBroker, TeamId) {
    scene_among(Catalogue::embedded()).await
}

async fn scene_among(catalogue: Catalogue) -> (TestBroker, TeamId) {
    let text = "[http]\npublic_url = \"https://broker.example\"";
    let config = Config::read("test.toml", text, [], &[], |_| Vec::new()).unwrap();
    let test = TestBroker::start_among(catalogue, config, Arc::new(ManualClock::at(START))).await;
    let team = test.team("acme").await;
    let said = UpdateApp { client_id: Some("app".to_owned()), ..UpdateApp::default() };
    test.broker.update_app(&test.admin, &"x".parse().unwrap(), &default_app(), said).await.unwrap();
    (test, team)
}

fn answer(test: &TestBroker, status: u16, body: &str) {
    let body = Zeroizing::new(body.as_bytes().to_vec());
    test.endpoint.answer_next(Ok(NetworkAnswer { status, headers: Vec::new(), body }));
}

fn of_x() -> StartConnection {
    StartConnection {
        network: "x".to_owned(),
        kind: "user".to_owned(),
        purposes: [Purpose::CollectContent].into_iter().collect(),
        ..StartConnection::default()
    }
}

/// Goes through the network with a token reply; the connection after it.
async fn connected_by(test: &TestBroker, team: &TeamId, status: u16, reply: &str) -> Connection {
    connected_as(test, team, of_x(), status, reply).await.0
}

/// The same, of a connection that is asked for so; also the scopes that the person was asked for.
async fn connected_as(
    test: &TestBroker,
    team: &TeamId,
    ask: StartConnection,
    status: u16,
    reply: &str,
) -> (Connection, String) {
    let started = test.broker.start_connection(&test.admin, team, ask).await.unwrap();
    let link = started.link.expose().rsplit('/').next().unwrap().to_owned();
    let sent = test.broker.begin_connection(Offer::Link(&link), &Visitor::default(), consent::NEWEST).await.unwrap();
    let asked = |wanted: &str| sent.url.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned();
    let (state, scopes) = (asked("state"), asked("scope"));
    answer(test, status, reply);
    answer(test, 200, r#"{"data":{"id":"7","username":"ann"}}"#);
    let code = Some(Secret::new("code".to_owned()));
    let query = CallbackQuery { code, state, ..CallbackQuery::default() };
    test.broker
        .finish_consent("x".parse().unwrap(), query, &Visitor { browser: Some(sent.browser), stay: None })
        .await
        .unwrap();
    (test.broker.show_connection(team, started.connection.id).await.unwrap(), scopes)
}

#[tokio::test]
async fn a_life_that_makes_no_sense_is_as_good_as_none() {
    let (test, team) = scene().await;
    let documented = START + std::time::Duration::from_secs(2 * 3600);
    let cases = [
        ("", documented),
        (r#","expires_in":"3600""#, START + std::time::Duration::from_secs(3600)),
        (r#","expires_in":-1"#, documented),
        (r#","expires_in":"soon""#, documented),
        (r#","expires_in":99999999999999999999"#, documented),
    ];
    for (life, expected) in cases {
        let reply = format!(r#"{{"access_token":"a","refresh_token":"r","scope":"{SCOPES}"{life}}}"#);
        let connection = connected_by(&test, &team, 200, &reply).await;
        let done =
            test.broker.complete_connection(&test.admin, &team, connection.id, &[], consent::NEWEST).await.unwrap();
        let Stage::Connected { tokens, .. } = done.stage else { panic!("{life}: {done:?}") };
        let token = test.broker.store.find_token(tokens[0]).await.unwrap().unwrap().token;
        assert_eq!(token.clocks.access_expires_at, Some::<Timestamp>(expected), "{life}");
        assert!(test.clock.now() == START);
    }
    test.stop().await;
}

#[tokio::test]
async fn a_consent_that_brings_no_refresh_token_leaves_the_one_that_is_held() {
    let (test, team) = scene().await;
    let connect = async |rest: &str| {
        let reply = format!(r#"{{"access_token":"a","scope":"{SCOPES}","expires_in":7200{rest}}}"#);
        let connection = connected_by(&test, &team, 200, &reply).await;
        let done = test.broker.complete_connection(&test.admin, &team, connection.id, &[], consent::NEWEST);
        let Stage::Connected { tokens, .. } = done.await.unwrap().stage else { panic!("{rest}") };
        test.broker.store.find_token(tokens[0]).await.unwrap().unwrap()
    };
    let refresh_of = |stored: &StoredToken| {
        let Token { id, team, version, .. } = &stored.token;
        let opened =
            |sealed: &Vec<u8>| test.broker.vault.open_sealed(&Place::of_token(id, team, *version, "refresh"), sealed);
        stored.sealed_refresh.as_ref().map(|sealed| opened(sealed).ok().unwrap().expose().to_owned())
    };
    let first = connect(r#","refresh_token":"r","refresh_token_expires_in":864000"#).await;
    let end = first.token.clocks.refresh_expires_at;
    assert!(end.is_some());
    for none in ["", r#","refresh_token":"""#] {
        let healed = connect(none).await;
        assert_eq!((healed.token.id, refresh_of(&healed).as_deref()), (first.token.id, Some("r")), "{none}");
        assert_eq!((healed.token.clocks.refresh_expires_at, healed.renewal.due_at.is_some()), (end, true), "{none}");
    }
    // Of a grant that is known to be over nothing is worth keeping.
    let reason = Reason::RevokedByPerson;
    test.broker.invalidate_token(&test.admin, &team, first.token.id, reason, "").await.unwrap();
    let healed = connect("").await;
    assert_eq!(
        (healed.token.state, refresh_of(&healed), healed.token.clocks.refresh_expires_at),
        (TokenState::Live, None, None)
    );
    test.stop().await;
}

#[tokio::test]
async fn an_answer_without_a_token_connects_nothing_and_says_so() {
    let (test, team) = scene().await;
    let cases = [
        (200, "<html>canary</html>"),
        (200, r#"{"access_token":""}"#),
        (200, r#"{"token_type":"bearer"}"#),
        (400, r#"{"error":"invalid_grant","error_description":"canary"}"#),
        (401, r#"{"error":"invalid_client"}"#),
        (503, "canary"),
    ];
    for (status, reply) in cases {
        let connection = connected_by(&test, &team, status, reply).await;
        let problem = connection.problem.clone().unwrap_or_else(|| panic!("{reply}: {connection:?}"));
        assert_eq!(connection.stage, Stage::Offered, "{reply}");
        assert!(
            problem.to_string().contains("did not give the tokens") && !problem.to_string().contains("canary"),
            "{problem:?}"
        );
        // The look-up was not made: its answer is still there.
        assert!(test.endpoint.take_next());
    }
    test.stop().await;
}

/// Consent at a network that gives these answers after the code came back; the connection after it.
async fn answered(test: &TestBroker, team: &TeamId, network: &str, answers: &[(u16, &str)]) -> Connection {
    let id: NetworkId = network.parse().unwrap();
    let secret = Some(Some(Secret::new("secret".to_owned())));
    let said = UpdateApp { client_id: Some("app".to_owned()), client_secret: secret, ..UpdateApp::default() };
    test.broker.update_app(&test.admin, &id, &default_app(), said).await.unwrap();
    let ask = StartConnection { network: network.to_owned(), ..of_x() };
    let started = test.broker.start_connection(&test.admin, team, ask).await.unwrap();
    let link = started.link.expose().rsplit('/').next().unwrap().to_owned();
    let sent = test.broker.begin_connection(Offer::Link(&link), &Visitor::default(), consent::NEWEST).await.unwrap();
    let state = sent.url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    for (status, body) in answers {
        answer(test, *status, body);
    }
    let query = CallbackQuery { code: Some(Secret::new("code".to_owned())), state, ..CallbackQuery::default() };
    let visitor = Visitor { browser: Some(sent.browser), stay: None };
    test.broker.finish_consent(id, query, &visitor).await.unwrap();
    while test.endpoint.take_next() {}
    test.broker.show_connection(team, started.connection.id).await.unwrap()
}

const ISSUED: &str = r#"{"access_token":"a","refresh_token":"r","expires_in":3600}"#;
const TOO_YOUNG: &str = r#"{"status":401,"serviceErrorCode":65601,"code":"REVOKED_ACCESS_TOKEN","message":"revoked"}"#;

#[tokio::test]
async fn an_account_is_blamed_only_for_what_the_network_says_of_it() {
    use ProblemKind::{AccountUnusable, NetworkRefused, PermissionMissing};
    let (test, team) = scene().await;
    let cases = [
        (
            "tiktok",
            429,
            r#"{"error":{"code":"rate_limit_exceeded"}}"#,
            NetworkRefused,
            "limit that TikTok sets the app",
        ),
        ("tiktok", 401, r#"{"error":{"code":"access_token_invalid"}}"#, NetworkRefused, "has just given"),
        ("tiktok", 401, r#"{"error":{"code":"scope_not_authorized"}}"#, PermissionMissing, "switched on"),
        ("tiktok", 404, "<html>", NetworkRefused, "in some minutes"),
        ("tiktok", 200, r#"{"data":{},"error":{"code":"ok"}}"#, AccountUnusable, "ads manager"),
        (
            "youtube",
            401,
            r#"{"error":{"errors":[{"reason":"youtubeSignupRequired"}]}}"#,
            AccountUnusable,
            "another account",
        ),
        ("youtube", 403, r#"{"error":{"errors":[{"reason":"accessNotConfigured"}]}}"#, NetworkRefused, "An operator"),
        ("youtube", 503, "{}", NetworkRefused, "in some minutes"),
    ];
    for (network, status, body, kind, text) in cases {
        let problem = answered(&test, &team, network, &[(200, ISSUED), (status, body)]).await.problem;
        let problem = problem.unwrap_or_else(|| panic!("{network} {status} {body}"));
        assert!(problem.kind() == kind && problem.to_string().contains(text), "{network} {body}: {problem:?}");
    }
    test.stop().await;
}

#[tokio::test]
async fn a_token_that_is_too_young_for_its_network_is_shown_once_more() {
    let file = |name: &str| Catalogue::built_in(name).unwrap().to_owned();
    let linkedin = file("linkedin.toml").replace("fresh_token_settles = \"5s\"", "fresh_token_settles = \"1ms\"");
    let files = [("x.toml".to_owned(), file("x.toml")), ("linkedin.toml".to_owned(), linkedin)];
    let (test, team) = scene_among(Catalogue::load(&files).unwrap()).await;
    let pages = r#"{"elements":[{"organization":"urn:7","roleAssignee":"urn:ann","role":"ADMINISTRATOR"}]}"#;
    let settled = answered(&test, &team, "linkedin", &[(200, ISSUED), (401, TOO_YOUNG), (200, pages)]).await;
    assert!(matches!(settled.stage, Stage::Choosing(_)), "{settled:?}");
    let twice = [(200, ISSUED), (401, TOO_YOUNG), (401, TOO_YOUNG), (200, pages)];
    let problem = answered(&test, &team, "linkedin", &twice).await.problem.expect("twice is too often");
    assert!(problem.to_string().contains("has just given"), "{problem:?}");
    test.stop().await;
}

/// Threads tells that a person wants the data deleted.
async fn delete_data_of(test: &TestBroker, person: &str) {
    let issued_at = test.clock.now().secs();
    let payload = format!(r#"{{"algorithm":"HMAC-SHA256","issued_at":{issued_at},"user_id":"{person}"}}"#);
    let request = signed_request::signed(&payload, "secret");
    test.broker.take_callback("threads", "default", Asked::DeleteData, &request).await.unwrap();
}

#[tokio::test]
async fn a_consent_that_waits_for_its_choice_is_destroyed_when_the_person_takes_it_back() {
    let (test, team) = scene().await;
    let consent_of = async |person: &str| {
        let account = format!(r#"{{"id":"{person}","username":"{person}"}}"#);
        answered(&test, &team, "threads", &[(200, ISSUED), (200, ISSUED), (200, &account)]).await
    };
    let (taken_back, other) = (consent_of("ann").await, consent_of("bob").await);
    assert!(matches!(taken_back.stage, Stage::Choosing(_)), "{taken_back:?}");
    delete_data_of(&test, "ann").await;
    let stored = test.broker.store.find_connection(taken_back.id).await.unwrap().unwrap();
    assert!(matches!(stored.connection.stage, Stage::Cancelled { .. }) && stored.sealed.is_none(), "{stored:?}");
    let other = test.broker.show_connection(&team, other.id).await.unwrap();
    assert!(matches!(other.stage, Stage::Choosing(_)), "another person's waits on");
    // Redeemed at that very moment, and settled after it.
    let late = consent_of("ann").await;
    assert!(matches!(late.stage, Stage::Cancelled { .. }), "{late:?}");
    test.clock.advance(std::time::Duration::from_secs(1));
    let anew = consent_of("ann").await;
    assert!(matches!(anew.stage, Stage::Choosing(_)), "what is granted later is another consent: {anew:?}");
    test.stop().await;
}

#[tokio::test]
async fn nothing_is_kept_of_a_consent_that_was_taken_back_since() {
    let (test, team) = scene().await;
    let account = r#"{"id":"ann","username":"ann"}"#;
    let waiting = answered(&test, &team, "threads", &[(200, ISSUED), (200, ISSUED), (200, account)]).await;
    let network: NetworkId = "threads".parse().unwrap();
    // Told, and not yet carried out.
    let told = CallbackRow {
        hash: [1; 32],
        code_hash: [2; 32],
        person_hash: Some(test.broker.called_back_hash(&network, &default_app(), "ann")),
        network,
        app: default_app(),
        person: "ann".to_owned(),
        deletes: true,
        received_at: test.clock.now(),
        done_at: None,
    };
    assert!(test.broker.store.insert_callback(told).await.unwrap());
    let refused =
        test.broker.complete_connection(&test.admin, &team, waiting.id, &[], consent::NEWEST).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Stage(StageError::Ended(_))), "{refused:?}");
    assert_eq!(test.broker.list_tokens(&Default::default(), None, 10).await.unwrap().0.len(), 0);
    test.stop().await;
}

#[tokio::test]
async fn an_end_of_the_grant_that_is_told_with_it_is_remembered_as_such() {
    let (test, team) = scene().await;
    let day = std::time::Duration::from_secs(24 * 3600);
    for (told, lasts, is_fixed) in [(r#","refresh_token_expires_in":604800"#, day * 7, true), ("", day * 180, false)] {
        let issued =
            format!(r#"{{"access_token":"a{is_fixed}","refresh_token":"r{is_fixed}","expires_in":3600{told}}}"#);
        let channel = format!(r#"{{"items":[{{"id":"UC-{is_fixed}","snippet":{{"title":"A"}}}}]}}"#);
        let connection = answered(&test, &team, "youtube", &[(200, &issued), (200, &channel)]).await;
        let chosen = [format!("UC-{is_fixed}")];
        let done = test.broker.complete_connection(&test.admin, &team, connection.id, &chosen, consent::NEWEST).await;
        let Stage::Connected { tokens, .. } = done.unwrap().stage else { panic!("{connection:?}") };
        let clocks = test.broker.store.find_token(tokens[0]).await.unwrap().unwrap().token.clocks;
        assert_eq!((clocks.refresh_expires_at, clocks.refresh_end_fixed), (Some(START + lasts), is_fixed));
    }
    test.stop().await;
}

/// X, as it would be if it newly required a scope.
fn stricter_x() -> Catalogue {
    let announced = "\n[[requirements]]\nkinds = [\"user\"]\nscopes = [\"space.read\"]\nabout = \"Spaces are read with a scope of their own.\"\n\
                     from = \"2027-12-01\"\nverified = \"documented\"\n";
    let text = format!("{}{announced}", Catalogue::built_in("x.toml").unwrap());
    Catalogue::load(&[("x.toml".to_owned(), text)]).unwrap()
}

#[tokio::test]
async fn reconnecting_asks_for_what_the_network_newly_requires_and_the_mark_is_gone() {
    let (test, team) = scene_among(stricter_x()).await;
    let token = test.token(&team, "7").await;
    let marked = async || test.broker.show_token(&team, token).await.unwrap().0.needs_reconnecting;
    assert!(
        marked().await.is_some_and(|needs| Text::english().tell_of(&needs).contains("space.read")),
        "the grant lacks it"
    );
    let heal = StartConnection { token: Some(token), ..of_x() };
    let reply = format!(r#"{{"access_token":"a","refresh_token":"r","scope":"{SCOPES} space.read"}}"#);
    let (connection, asked) = connected_as(&test, &team, heal, 200, &reply).await;
    assert!(asked.contains("space.read"), "{asked}");
    test.broker.complete_connection(&test.admin, &team, connection.id, &[], consent::NEWEST).await.unwrap();
    assert_eq!(marked().await, None);
    test.stop().await;
}
