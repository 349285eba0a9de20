//! A network whose tokens are bound to a key: from the app's key to the proofs of a collector's calls, over real sockets, with the simulated network
//! as the judge of every key, nonce and proof.

use std::time::Duration;

use super::{Browser, Stage, ask};
use crate::base::ids::{LeaseId, TokenId};
use crate::base::secret::Secret;
use crate::domain::connection::{ProblemKind, Stage as Progress};
use crate::domain::networks::Purpose;
use crate::domain::token::TokenState;
use crate::service::apps::{AppError, UpdateApp};
use crate::service::connect::StartConnection;
use crate::service::tokens::{AddToken, Rejected, TokenError};
use crate::service::{AcquireLease, AcquireLeaseError, Caller, LeaseCallError, LeasedToken, ProofError, SignProof};
use crate::store::{StoredToken, TokenChange};
use crate::vault::Place;

fn wanted() -> StartConnection {
    ask("bluesky", "user", Purpose::CollectStatistics)
}

fn feed(stage: &Stage) -> AcquireLease {
    AcquireLease {
        network: "bluesky".to_owned(),
        operation: "actor.get_profile".to_owned(),
        purpose: Purpose::CollectStatistics,
        ..crate::service::testing::ask(&stage.team, 3)
    }
}

/// A collector with its calls.
struct Worker<'s> {
    stage: &'s Stage,
    caller: Caller,
    client: reqwest::Client,
}

impl<'s> Worker<'s> {
    async fn of(stage: &'s Stage, name: &str) -> Self {
        let collector = stage.test.collector(&stage.team, name).await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { stage, caller: stage.test.caller(collector.id), client }
    }

    async fn lease(&self) -> Result<LeasedToken, AcquireLeaseError> {
        self.stage.test.broker.acquire_lease(&self.caller, feed(self.stage)).await
    }

    async fn proof(&self, lease: LeaseId, url: &str, nonce: &str) -> Result<String, ProofError> {
        let ask = SignProof { method: "GET".to_owned(), url: url.to_owned(), nonce: nonce.to_owned() };
        self.stage.test.broker.sign_proof(&self.caller, lease, ask).await
    }

    /// One call as the documentation of SignProof says: again with the nonce, once. The statuses.
    async fn call(&self, leased: &LeasedToken) -> Vec<u16> {
        let url = format!("{}/xrpc/app.bsky.actor.getProfile?actor=bsky.app", leased.api_base);
        let (mut nonce, mut statuses) = (String::new(), Vec::new());
        for _ in 0..2 {
            let proof = self.proof(leased.lease, &url, &nonce).await.unwrap();
            let request = self.client.get(&url).header("dpop", proof);
            let token = format!("DPoP {}", leased.access_token.expose());
            let answer = request.header("authorization", token).send().await.unwrap();
            statuses.push(answer.status().as_u16());
            if answer.status() == 200 {
                break;
            }
            answer.headers()["dpop-nonce"].to_str().unwrap().clone_into(&mut nonce);
        }
        statuses
    }
}

/// The key that a stored token is bound to, opened.
fn key_of(stage: &Stage, stored: &StoredToken) -> String {
    let place = Place::of_token(&stored.token.id, &stored.token.team, stored.token.version, "key");
    let opened = stage.test.broker.vault.open_sealed(&place, stored.sealed_key.as_ref().unwrap());
    opened.unwrap().expose().to_owned()
}

async fn connected(stage: &Stage, person: &str) -> TokenId {
    stage.connect(&stage.team, wanted(), person).await[0]
}

#[tokio::test]
async fn its_token_is_connected_leased_proved_renewed_checked_and_given_back() {
    let stage = Stage::set().await;
    let broker = &stage.test.broker;
    let id = connected(&stage, "person-9").await;
    let stored = stage.token(id).await;
    assert_eq!(stored.token.person, "did:plc:person9", "an account is its identifier");
    assert_eq!(stored.token.label, "person-9.example");
    let worker = Worker::of(&stage, "worker").await;
    let leased = worker.lease().await.unwrap();
    assert!(leased.is_bound && leased.api_base.ends_with("/bluesky"), "{}", leased.api_base);
    let url = format!("{}/xrpc/app.bsky.actor.getProfile?actor=a", leased.api_base);
    let bare = worker.client.get(&url).bearer_auth(leased.access_token.expose()).send().await.unwrap();
    assert_eq!(bare.status(), 401, "the token alone is worth nothing");
    assert_eq!(worker.call(&leased).await, [401, 200], "the first nonce must be asked for");
    // Renewals outlive stale nonces, with one refresh token after the other.
    for _ in 0..3 {
        stage.test.clock.advance(Duration::from_secs(600));
        broker.renew_token(&stage.test.admin, &stage.team, id).await.unwrap();
    }
    let renewed = worker.lease().await.unwrap();
    assert_ne!(renewed.access_token.expose(), leased.access_token.expose());
    assert_eq!(worker.call(&renewed).await, [401, 200], "by the same key");
    let checked = broker.probe_token(&stage.test.admin, &stage.team, id).await.unwrap();
    assert_eq!(checked.token.state, TokenState::Live);
    let secret = renewed.access_token.expose();
    let network = stored.token.network;
    assert!(stage.simulation.is_alive(&network, secret));
    broker.revoke_token(&stage.test.admin, &stage.team, id, "").await.unwrap();
    broker.revoke_due().await.unwrap();
    assert!(!stage.simulation.is_alive(&network, secret), "the network took it back");
    let gone = stage.token(id).await;
    assert!(gone.sealed_access.is_empty() && gone.sealed_key.is_none(), "the key is destroyed with its token");
    let queued = broker.store.find_revocation(id).await.unwrap().unwrap();
    assert!(queued.sealed_key.is_none());
    stage.stop().await;
}

#[tokio::test]
async fn proofs_are_for_the_holder_of_a_live_lease_and_for_its_server() {
    let stage = Stage::set().await;
    let broker = &stage.test.broker;
    connected(&stage, "person-9").await;
    let (worker, other) = (Worker::of(&stage, "worker").await, Worker::of(&stage, "other").await);
    let leased = worker.lease().await.unwrap();
    let url = format!("{}/xrpc/a", leased.api_base);
    let foreign = other.proof(leased.lease, &url, "").await;
    assert!(matches!(foreign, Err(ProofError::Lease(LeaseCallError::NotFound(_)))), "{foreign:?}");
    let with_user = url.replace("http://", "http://user@");
    for bad in ["https://evil.example/xrpc/a", "/xrpc/a", "", "http://127.0.0.1:1/xrpc/a", with_user.as_str()] {
        let refused = worker.proof(leased.lease, bad, "").await;
        assert!(matches!(refused, Err(ProofError::OtherServer { .. })), "{bad} {refused:?}");
    }
    let (one, two) = (worker.proof(leased.lease, &url, "").await, worker.proof(leased.lease, &url, "").await);
    assert_ne!(one.unwrap(), two.unwrap(), "each is new");
    assert_eq!(broker.proofs.held(), 1);
    broker.release_lease(&worker.caller, leased.lease, None).await.unwrap();
    assert_eq!(broker.proofs.held(), 0, "the key is forgotten with the lease");
    let ended = worker.proof(leased.lease, &url, "").await;
    assert!(matches!(ended, Err(ProofError::Lease(LeaseCallError::Ended { .. }))), "{ended:?}");
    let late = worker.lease().await.unwrap();
    stage.test.clock.set(late.use_by);
    let over = worker.proof(late.lease, &url, "").await;
    assert!(matches!(over, Err(ProofError::TooLate(_) | ProofError::Lease(_))), "{over:?}");
    stage.test.clock.advance(Duration::from_secs(3600));
    broker.engine.tick();
    broker.prune().await.unwrap();
    assert_eq!(broker.proofs.held(), 0, "and with its time");
    stage.stop().await;
}

#[tokio::test]
async fn an_account_is_reconnected_by_a_new_key_and_another_one_is_refused() {
    let stage = Stage::set().await;
    let id = connected(&stage, "person-9").await;
    let bond = |stored| key_of(&stage, &stored);
    let before = bond(stage.token(id).await);
    let again = || StartConnection { token: Some(id), ..wanted() };
    let (other, link) = stage.start(again()).await;
    let page = Browser::at(&stage).consent(&link, "person-8", &[]).await;
    let problem = stage.look(&other).await.problem.unwrap();
    assert_eq!(problem.kind(), ProblemKind::OtherAccount, "{}", page.text);
    assert_eq!(stage.connect(&stage.team, again(), "person-9").await, [id], "the same record");
    let after = bond(stage.token(id).await);
    assert_ne!(before, after, "each session has a key of its own");
    assert_ne!(bond(stage.token(connected(&stage, "person-7").await).await), after);
    let worker = Worker::of(&stage, "worker").await;
    assert_eq!(worker.call(&worker.lease().await.unwrap()).await, [401, 200]);
    stage.stop().await;
}

#[tokio::test]
async fn an_account_whose_tokens_others_grant_is_refused_with_what_to_do() {
    let stage = Stage::set().await;
    let (connection, link) = stage.start(wanted()).await;
    let page = Browser::at(&stage).consent(&link, "elsewhere-1", &[]).await;
    let problem = stage.look(&connection).await.problem.unwrap();
    assert_eq!(problem.kind(), ProblemKind::AccountUnusable);
    for text in ["did:plc:elsewhere1", "/bluesky/elsewhere", "https://others.example", "catalogue file of its own"] {
        assert!(problem.to_string().contains(text), "{text}: {}", problem);
    }
    assert!(page.text.contains("catalogue file of its own"), "{}", page.text);
    // What was issued is given back, proved by its key.
    let alive = |stage: &Stage| {
        stage
            .simulation
            .tokens(&connection.network)
            .iter()
            .any(|token| stage.simulation.is_alive(&connection.network, &token.secret))
    };
    assert!(alive(&stage));
    stage.test.broker.revoke_due().await.unwrap();
    assert!(!alive(&stage));
    stage.stop().await;
}

#[tokio::test]
async fn who_answers_must_say_so() {
    let stage = Stage::set().await;
    let cases =
        [("", "does not say that it comes from"), ("&iss=https%3A%2F%2Fevil.example", "from somebody else than")];
    for (strange, said) in cases {
        let (connection, link) = stage.start(wanted()).await;
        let browser = Browser::at(&stage);
        let network = browser.go_on(&link).await;
        assert!(network.contains("request_uri=") && !network.contains("code_challenge"), "{network}");
        let back = browser.agree(&network, "person-9", &[]).await;
        let mut url = url::Url::parse(&back).unwrap();
        let kept: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| name != "iss").collect();
        url.query_pairs_mut().clear().extend_pairs(kept);
        browser.arrive(&format!("{url}{strange}")).await;
        let problem = stage.look(&connection).await.problem.unwrap();
        assert_eq!(problem.kind(), ProblemKind::NetworkRefused);
        assert!(problem.to_string().contains(&format!("{said} Bluesky")), "{}", problem);
        let again = browser.post(&network, &[("person", "person-9"), ("decision", "allow")]).await;
        assert_eq!(again.status, 400, "what was pushed is taken once: {}", again.text);
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_network_that_does_not_take_what_is_pushed_is_told_of() {
    let stage = Stage::set().await;
    // The network knows another key than the one that the app has now.
    let said = UpdateApp { generate_key: true, ..UpdateApp::default() };
    let (bluesky, app) = ("bluesky".parse().unwrap(), "default".parse().unwrap());
    stage.test.broker.update_app(&stage.test.admin, &bluesky, &app, said).await.unwrap();
    let (connection, link) = stage.start(wanted()).await;
    let browser = Browser::at(&stage);
    let offer = browser.get(&link).await;
    let refused = browser.post(&link, &[("text_version", &offer.hidden("text_version"))]).await;
    assert_eq!(refused.status, 502);
    assert!(refused.text.contains("An operator must look at the app"), "{}", refused.text);
    assert_eq!(stage.look(&connection).await.stage, Progress::Offered, "the link works on");
    let document = stage.test.broker.client_metadata("bluesky", "default").unwrap().unwrap();
    stage.simulation.know_client(&bluesky, &document).unwrap();
    let page = browser.consent(&link, "person-9", &[]).await;
    assert!(page.text.contains("person-9.example"), "{}", page.text);
    stage.stop().await;
}

#[tokio::test]
async fn such_tokens_are_not_added_and_keys_are_checked() {
    let stage = Stage::set().await;
    let broker = &stage.test.broker;
    let admin = &stage.test.admin;
    let given = AddToken {
        network: "bluesky".to_owned(),
        scopes: vec!["atproto".to_owned(), "transition:generic".to_owned()],
        ..crate::service::testing::x_token("did:plc:a")
    };
    let refused = broker.add_token(admin, &stage.team, given).await.err().unwrap();
    assert!(matches!(refused, TokenError::Rejected(Rejected::BoundToAKey(_))), "{refused}");
    let update = async |network: &str, said: UpdateApp| {
        broker.update_app(admin, &network.parse().unwrap(), &"default".parse().unwrap(), said).await
    };
    let secret =
        |text: &str| UpdateApp { client_secret: Some(Some(Secret::new(text.to_owned()))), ..UpdateApp::default() };
    let refused = update("bluesky", secret("a-client-secret")).await.unwrap_err();
    assert!(matches!(refused, AppError::ClientKey(_)) && refused.to_string().contains("openssl pkcs8"), "{refused}");
    let own = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    assert!(update("bluesky", secret(&own.serialize_pem())).await.is_ok(), "a key of one's own");
    let generate = || UpdateApp { generate_key: true, ..UpdateApp::default() };
    assert!(matches!(update("x", generate()).await.unwrap_err(), AppError::NoClientKeys(_)));
    let view = update("bluesky", generate()).await.unwrap();
    assert_eq!(view.app.client_id, "http://localhost:7072/oauth/clients/bluesky/default");
    let served = crate::web::clients::routes(broker.clone());
    let ask = |path: &str| axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
    use tower::ServiceExt;
    let answer = served.clone().oneshot(ask("/oauth/clients/bluesky/default")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
    let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(document["client_id"], view.app.client_id);
    assert_eq!(document["redirect_uris"][0], "http://localhost:7072/connect/callback/bluesky");
    for nobody in ["/oauth/clients/x/default", "/oauth/clients/bluesky/other", "/oauth/clients/nowhere/default"] {
        assert_eq!(served.clone().oneshot(ask(nobody)).await.unwrap().status(), 404, "{nobody}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn its_key_is_sealed_anew_with_it_and_a_damaged_one_takes_it_out_of_use() {
    let stage = Stage::set().await;
    let broker = &stage.test.broker;
    let id = connected(&stage, "person-9").await;
    let before = stage.token(id).await;
    broker.rotate_sealing_key(&stage.test.admin).await.unwrap();
    broker.reseal().await.unwrap();
    let after = stage.token(id).await;
    assert_ne!(before.sealed_key, after.sealed_key);
    assert_eq!(key_of(&stage, &before), key_of(&stage, &after), "the same key, sealed anew");
    let counted = broker.store.count_sealed().await.unwrap();
    assert_eq!(counted.iter().map(|count| count.secrets).collect::<Vec<_>>(), [3], "all with the new data key");
    let worker = Worker::of(&stage, "worker").await;
    let leased = worker.lease().await.unwrap();
    assert_eq!(worker.call(&leased).await, [401, 200]);
    broker.release_lease(&worker.caller, leased.lease, None).await.unwrap();
    for damage in [Some(vec![9; 60]), None] {
        let stored = stage.token(id).await;
        let secrets = crate::store::SealedSecrets {
            access: stored.sealed_access,
            refresh: stored.sealed_refresh,
            key: damage,
            ..Default::default()
        };
        let token = crate::domain::token::Token { state: TokenState::Live, ..stored.token.clone() };
        let change = TokenChange {
            expected_version: stored.token.version,
            expected_state: stored.token.state,
            token: token.clone(),
            secrets: Some(secrets.clone()),
            trail: broker.audit(&stage.test.admin, "token.test", String::new(), String::new()).into(),
            revocation: None,
            alerts: Vec::new(),
        };
        broker.store.change_token(change).await.unwrap();
        assert!(matches!(worker.lease().await, Err(AcquireLeaseError::Sealed)));
        let quarantined = async {
            while stage.token(id).await.token.state.as_str() != "invalid" {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), quarantined).await.expect("it is taken out of use");
        assert_eq!(broker.proofs.held(), 0);
        assert_eq!(stage.connect(&stage.team, wanted(), "person-9").await, [id], "connecting anew heals it");
        let leased = worker.lease().await.unwrap();
        broker.release_lease(&worker.caller, leased.lease, None).await.unwrap();
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_restart_forgets_the_keys_of_leases_and_no_others() {
    let stage = Stage::set().await;
    let id = connected(&stage, "person-9").await;
    let worker = Worker::of(&stage, "worker").await;
    let (caller, leased) = (worker.caller.clone(), worker.lease().await.unwrap());
    stage.serving.stop();
    let test = stage.test.restart().await;
    let ask = |url: &str| SignProof { method: "GET".to_owned(), url: url.to_owned(), nonce: String::new() };
    let url = format!("{}/xrpc/a", leased.api_base);
    let forgotten = test.broker.sign_proof(&caller, leased.lease, ask(&url)).await;
    assert!(matches!(forgotten, Err(ProofError::Forgotten(_))), "{forgotten:?}");
    test.broker.release_lease(&caller, leased.lease, None).await.unwrap();
    let again = test.broker.acquire_lease(
        &caller,
        AcquireLease {
            network: "bluesky".to_owned(),
            operation: "actor.get_profile".to_owned(),
            purpose: Purpose::CollectStatistics,
            ..crate::service::testing::ask(&stage.team, 3)
        },
    );
    let again = again.await.unwrap();
    assert_eq!(again.token, id);
    assert!(test.broker.sign_proof(&caller, again.lease, ask(&url)).await.is_ok());
    test.stop().await;
}
