//! Renewals on a whole broker: with an endpoint that answers as it is told, what is told of them (`told`), and (`world`) against the
//! simulated networks.

mod told;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::*;
use crate::base::clock::{Clock, ManualClock};
use crate::base::secret::Secret;
use crate::config::Config;
use crate::domain::networks::Catalogue;
use crate::domain::token::Clocks;
use crate::outbound::http::{NetworkAnswer, NetworkRequest, NoAnswer};
use crate::service::apps::UpdateApp;
use crate::service::import_tokens::{BeginImport, ImportRow, Outcome, RowRejected};
use crate::service::testing::{START, TestBroker, World, ask, x_token};
use crate::service::tokens::{AddToken, ShownState};
use crate::service::{Answered, ReportUsage};
use crate::store::StoredToken;
use crate::vault::Place;

const HOUR: Duration = Duration::from_secs(3600);
const GOOD: &str = r#"{"access_token":"access-2","refresh_token":"refresh-2","expires_in":7200}"#;

fn answer(status: u16, body: &str) -> Result<NetworkAnswer, NoAnswer> {
    Ok(NetworkAnswer { status, headers: Vec::new(), body: Zeroizing::new(body.as_bytes().to_vec()) })
}

fn refused() -> Result<NetworkAnswer, NoAnswer> {
    answer(400, r#"{"error":"invalid_grant","error_description":"canary"}"#)
}

/// A token of a person at X that ends in two hours.
fn ending(person: &str) -> AddToken {
    let clocks = Clocks { access_expires_at: Some(START + 2 * HOUR), ..Clocks::default() };
    AddToken { clocks, ..x_token(person) }
}

/// Tells the broker the client of a network's app.
async fn set_client(test: &TestBroker, network: &str) {
    let said = UpdateApp {
        client_id: Some("app".to_owned()),
        client_secret: Some(Some(Secret::new("client-secret".to_owned()))),
        ..UpdateApp::default()
    };
    test.broker.update_app(&test.admin, &network.parse().unwrap(), &default_app(), said).await.unwrap();
}

/// A broker with a team, a client at X and a token there that ends in two hours.
async fn scene() -> (TestBroker, TeamId, TokenId) {
    let test = TestBroker::start().await;
    with_token(test).await
}

async fn with_token(test: TestBroker) -> (TestBroker, TeamId, TokenId) {
    let team = test.team("acme").await;
    set_client(&test, "x").await;
    let token = test.broker.add_token(&test.admin, &team, ending("ann")).await.unwrap().token.id;
    (test, team, token)
}

async fn stored(test: &TestBroker, token: TokenId) -> StoredToken {
    test.broker.store.find_token(token).await.unwrap().unwrap()
}

/// The secrets as the vault opens them.
fn opened(test: &TestBroker, stored: &StoredToken) -> (String, Option<String>) {
    let token = &stored.token;
    let open = |column, sealed: &[u8]| {
        let place = Place::of_token(&token.id, &token.team, token.version, column);
        test.broker.vault.open_sealed(&place, sealed).ok().unwrap().expose().to_owned()
    };
    let refresh = stored.sealed_refresh.as_deref().map(|sealed| open("refresh", sealed));
    (open("access", &stored.sealed_access), refresh)
}

/// Renews what is due, and waits for its end.
async fn renew_due(test: &TestBroker) {
    test.broker.renew_due().await.unwrap();
    test.broker.renewals.idle().await;
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_not_earlier() {
    let (test, team, token) = scene().await;
    test.endpoint.answer_next(answer(200, GOOD));
    test.clock.advance(HOUR);
    renew_due(&test).await;
    assert_eq!(test.endpoint.asked(), 0);
    test.clock.advance(HOUR / 2);
    renew_due(&test).await;
    assert_eq!(test.endpoint.asked(), 1);
    let renewed = stored(&test, token).await;
    assert_eq!(opened(&test, &renewed), ("access-2".to_owned(), Some("refresh-2".to_owned())));
    assert_eq!(renewed.token.clocks.access_expires_at, Some(test.clock.now() + 2 * HOUR));
    assert_eq!((renewed.renewal.begun_at, renewed.renewal.failures), (None, 0));
    assert!(renewed.renewal.due_at.unwrap() > test.clock.now() + HOUR);
    test.clock.advance(HOUR);
    let collector = test.collector(&team, "one").await;
    let leased = test.broker.acquire_lease(&test.caller(collector.id), ask(&team, 1)).await.unwrap();
    assert_eq!(leased.access_token.expose(), "access-2", "after the end of the first one");
    test.stop().await;
}

#[tokio::test]
async fn a_lease_keeps_the_secret_that_it_was_given() {
    let (test, team, token) = scene().await;
    let collector = test.collector(&team, "one").await;
    let caller = test.caller(collector.id);
    let leased = test.broker.acquire_lease(&caller, ask(&team, 2)).await.unwrap();
    test.endpoint.answer_next(answer(200, GOOD));
    test.broker.renew_token(&test.admin, &team, token).await.unwrap();
    let report = ReportUsage { sequence: 1, used: 1, served: 1, ..ReportUsage::default() };
    let standing = test.broker.report_usage(&caller, leased.lease, report).await.unwrap();
    assert_eq!((standing.verdict, standing.calls_left), (crate::domain::pool::Verdict::Keep, 1));
    test.stop().await;
}

#[tokio::test]
async fn paused_tokens_are_renewed_and_stay_paused() {
    let (test, team, token) = scene().await;
    test.broker.pause_token(&test.admin, &team, token, "").await.unwrap();
    test.endpoint.answer_next(answer(200, GOOD));
    test.clock.advance(3 * HOUR / 2);
    renew_due(&test).await;
    let renewed = stored(&test, token).await;
    assert_eq!((renewed.token.version, renewed.token.state.as_str()), (2, "paused"));
    test.stop().await;
}

#[tokio::test]
async fn cooling_tokens_are_renewed_and_go_on_cooling() {
    let (test, team, token) = scene().await;
    // Three hours longer than the access token lives.
    test.sql("UPDATE token SET cooling_until_us = access_expires_at_us + 10800000000").await;
    let test = test.restart().await;
    let collector = test.collector(&team, "one").await;
    test.endpoint.answer_next(answer(200, GOOD));
    test.clock.advance(3 * HOUR / 2);
    renew_due(&test).await;
    let (view, _) = test.broker.show_token(&team, token).await.unwrap();
    let until = Some(START + 5 * HOUR);
    assert_eq!((view.token.version, view.state, view.cooling_until), (2, ShownState::Cooling, until));
    assert!(test.broker.acquire_lease(&test.caller(collector.id), ask(&team, 1)).await.is_err());
    test.stop().await;
}

#[tokio::test]
async fn a_token_that_is_not_accepted_any_more_is_renewed_at_once_and_lives_again() {
    let (test, team, token) = scene().await;
    let collector = test.collector(&team, "one").await;
    let caller = test.caller(collector.id);
    for state in ["suspect", "invalid"] {
        let leased = test.broker.acquire_lease(&caller, ask(&team, 1)).await.unwrap();
        let unauthorized = br#"{"title":"Unauthorized","status":401}"#.to_vec();
        let answer = Some(Answered { status: 401, body: unauthorized, ..Answered::default() });
        let report = ReportUsage { sequence: 1, used: 1, answer, ..ReportUsage::default() };
        test.broker.report_usage(&caller, leased.lease, report).await.unwrap();
        assert_eq!(stored(&test, token).await.token.state.as_str(), state);
        test.clock.advance(Duration::from_secs(61));
    }
    assert!(test.broker.acquire_lease(&caller, ask(&team, 1)).await.is_err());
    test.endpoint.answer_next(answer(200, GOOD));
    renew_due(&test).await;
    assert_eq!(stored(&test, token).await.token.state, TokenState::Live);
    let leased = test.broker.acquire_lease(&caller, ask(&team, 1)).await.unwrap();
    assert_eq!(leased.access_token.expose(), "access-2");
    test.stop().await;
}

#[tokio::test]
async fn only_a_refusal_in_json_ends_a_token() {
    let (test, team, _) = scene().await;
    let token = test.broker.add_token(&test.admin, &team, x_token("bea")).await.unwrap().token.id;
    let unclear = [
        Err(NoAnswer::NotSent),
        Err(NoAnswer::Lost),
        Err(NoAnswer::TooLong),
        answer(503, "<html>canary</html>"),
        answer(502, r#"{"error":"invalid_grant"}"#),
        answer(429, "<html>invalid_grant</html>"),
        answer(400, "invalid_grant"),
        answer(200, "<html>canary</html>"),
        answer(200, "{}"),
        answer(200, r#"{"access_token":"","refresh_token":"refresh-2"}"#),
        answer(401, r#"{"error":"invalid_client"}"#),
    ];
    for unclear in unclear {
        test.endpoint.answer_next(unclear);
        let error = test.broker.renew_token(&test.admin, &team, token).await.unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
        let kept = stored(&test, token).await;
        assert_eq!(kept.token.state, TokenState::Live, "{error}");
        assert_eq!(opened(&test, &kept), ("access-of-bea".to_owned(), Some("refresh-of-bea".to_owned())));
        let RenewError::Failed { retry_at, .. } = error else { panic!("{error}") };
        test.clock.set(retry_at);
    }
    test.endpoint.answer_next(refused());
    let error = test.broker.renew_token(&test.admin, &team, token).await.unwrap_err();
    assert!(matches!(error, RenewError::Refused(Reason::RefreshRejected)), "{error}");
    let dead = stored(&test, token).await;
    assert!(matches!(dead.token.state, TokenState::Invalid { reason: Reason::RefreshRejected, .. }));
    assert_eq!(dead.renewal.due_at, None);
    let again = test.broker.renew_token(&test.admin, &team, token).await.unwrap_err();
    assert!(matches!(again, RenewError::NotRenewable(_)), "{again}");
    test.stop().await;
}

#[tokio::test]
async fn a_lost_answer_is_waited_for_by_people_and_jobs_too() {
    let (test, team, token) = scene().await;
    test.endpoint.answer_next(Err(NoAnswer::Lost));
    let error = test.broker.renew_token(&test.admin, &team, token).await.unwrap_err();
    let RenewError::Failed { retry_at, .. } = error else { panic!("{error}") };
    // X lets a refresh token be used once: nobody shows it again while the access token serves.
    let by_hand = test.broker.renew_token(&test.admin, &team, token).await.unwrap_err();
    assert!(matches!(by_hand, RenewError::NotYet { until, .. } if until == retry_at), "{by_hand}");
    let held = stored(&test, token).await.token;
    let by_job = test.broker.renew_for_job(JobId::generate(), &held).await.unwrap_err();
    assert!(matches!(by_job, RenewError::NotYet { until, .. } if until == retry_at), "{by_job}");
    assert_eq!((test.endpoint.asked(), stored(&test, token).await.renewal.due_at), (1, Some(retry_at)));
    test.clock.set(retry_at);
    test.endpoint.answer_next(answer(200, GOOD));
    test.broker.renew_token(&test.admin, &team, token).await.unwrap();
    assert_eq!(test.endpoint.asked(), 2);
    test.stop().await;
}

#[tokio::test]
async fn a_refresh_token_stays_where_none_came() {
    let (test, team, token) = scene().await;
    test.endpoint.answer_next(answer(200, r#"{"access_token":"access-2","expires_in":"60"}"#));
    test.broker.renew_token(&test.admin, &team, token).await.unwrap();
    let renewed = stored(&test, token).await;
    assert_eq!(opened(&test, &renewed), ("access-2".to_owned(), Some("refresh-of-ann".to_owned())));
    let test = test.restart().await;
    assert_eq!(opened(&test, &stored(&test, token).await).1.as_deref(), Some("refresh-of-ann"));
    test.stop().await;
}

#[tokio::test]
async fn what_can_not_be_renewed_is_told() {
    let (test, team, _) = scene().await;
    let bare = AddToken { refresh: None, ..ending("bea") };
    let bare = test.broker.add_token(&test.admin, &team, bare).await.unwrap().token.id;
    let error = test.broker.renew_token(&test.admin, &team, bare).await.unwrap_err();
    assert!(matches!(error, RenewError::NotRenewable(_)), "{error}");
    let other = test.team("other").await;
    let error = test.broker.renew_token(&test.admin, &other, bare).await.unwrap_err();
    assert!(matches!(error, RenewError::Token(TokenError::NotFound { .. })), "{error}");
    let none = UpdateApp { client_id: Some(String::new()), ..UpdateApp::default() };
    test.broker.update_app(&test.admin, &"x".parse().unwrap(), &default_app(), none).await.unwrap();
    let token = test.broker.add_token(&test.admin, &team, ending("cid")).await.unwrap().token.id;
    let error = test.broker.renew_token(&test.admin, &team, token).await.unwrap_err();
    assert!(matches!(error, RenewError::NoClient { .. }), "{error}");
    test.clock.advance(3 * HOUR / 2);
    renew_due(&test).await;
    assert_eq!(test.endpoint.asked(), 0, "an app without a client is left alone");
    test.stop().await;
}

#[tokio::test]
async fn an_app_is_asked_as_fast_as_it_may() {
    let mut config = Config::default();
    (config.renewals.per_second, config.renewals.in_flight) = (2, 3);
    let (test, team, _) = with_token(TestBroker::start_with(config).await).await;
    for person in ["bea", "cid", "dan", "eve"] {
        test.broker.add_token(&test.admin, &team, ending(person)).await.unwrap();
    }
    test.clock.advance(3 * HOUR / 2);
    for expected in [2, 4, 6] {
        renew_due(&test).await;
        assert_eq!(test.endpoint.asked(), expected);
        // The failures before this are due again, after the others.
        test.clock.advance(Duration::from_secs(1));
    }
    test.stop().await;
}

#[tokio::test]
async fn tokens_of_an_earlier_version_are_given_their_time() {
    let (test, _, token) = scene().await;
    let put = crate::store::PutRenewal {
        token,
        version: 1,
        renewal: crate::store::StoredRenewal { due_at: Some(Timestamp::EPOCH), ..Default::default() },
        look_at: None,
    };
    test.broker.store.put_renewal(put).await.unwrap();
    renew_due(&test).await;
    assert_eq!(test.endpoint.asked(), 0);
    assert!(stored(&test, token).await.renewal.due_at.unwrap() > START + HOUR);
    test.stop().await;
}

/// An endpoint whose answers wait until they are let out.
struct Gate {
    asked: AtomicUsize,
    open: Semaphore,
    body: (u16, &'static str),
}

#[async_trait::async_trait]
impl NetworkClient for Gate {
    async fn ask(&self, _request: &NetworkRequest) -> Result<NetworkAnswer, NoAnswer> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.open.acquire().await.unwrap().forget();
        answer(self.body.0, self.body.1)
    }
}

/// A broker whose endpoint is a gate, with a token that is due.
async fn gated(status: u16, body: &'static str) -> (TestBroker, TeamId, TokenId, Arc<Gate>) {
    let gate = Arc::new(Gate { asked: AtomicUsize::new(0), open: Semaphore::new(0), body: (status, body) });
    let world = World { catalogue: Catalogue::embedded(), endpoint: gate.clone() };
    let clock = Arc::new(ManualClock::at(START));
    let (test, team, token) = with_token(TestBroker::start_in(world, Config::default(), clock).await).await;
    test.clock.advance(3 * HOUR / 2);
    test.broker.renew_due().await.unwrap();
    while gate.asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    (test, team, token, gate)
}

#[tokio::test]
async fn a_refresh_token_is_used_by_one_at_a_time() {
    let (test, team, token, gate) = gated(200, GOOD).await;
    let by_hand = futures_util::future::join_all((0..5).map(|_| test.broker.renew_token(&test.admin, &team, token)));
    let let_out = async {
        for _ in 0..20 {
            test.broker.renew_due().await.unwrap();
        }
        assert_eq!(gate.asked.load(Ordering::SeqCst), 1);
        gate.open.add_permits(100);
    };
    let (views, ()) = tokio::join!(by_hand, let_out);
    for view in views {
        assert_eq!(view.unwrap().token.version, 2);
    }
    test.broker.renewals.idle().await;
    assert_eq!(gate.asked.load(Ordering::SeqCst), 1);
    test.stop().await;
}

#[tokio::test]
async fn a_renewal_is_finished_though_its_caller_goes_away() {
    let gate = Arc::new(Gate { asked: AtomicUsize::new(0), open: Semaphore::new(0), body: (200, GOOD) });
    let world = World { catalogue: Catalogue::embedded(), endpoint: gate.clone() };
    let test = TestBroker::start_in(world, Config::default(), Arc::new(ManualClock::at(START))).await;
    let (test, team, token) = with_token(test).await;
    let asked = async {
        while gate.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = test.broker.renew_token(&test.admin, &team, token) => panic!("the gate is closed"),
        () = asked => {}
    }
    gate.open.add_permits(1);
    test.broker.renewals.idle().await;
    assert_eq!(opened(&test, &stored(&test, token).await), ("access-2".to_owned(), Some("refresh-2".to_owned())));
    test.stop().await;
}

/// Gives the token other secrets, as an operator does who connected the account anew.
async fn bring_up_to_date(test: &TestBroker, team: &TeamId, person: &str) {
    let begin =
        BeginImport { team: team.clone(), import_id: "i".to_owned(), validate_only: false, allow_existing: true };
    let mut import = test.broker.begin_import(&test.admin, begin).await.unwrap();
    let clocks = Clocks { access_expires_at: Some(test.clock.now() + 2 * HOUR), ..Clocks::default() };
    let given = AddToken { clocks, access: Secret::new("later".to_owned()), ..x_token(person) };
    let outcome = import.take(vec![ImportRow { row: 1, token: Ok(given) }]).await.unwrap();
    assert!(matches!(outcome[0].1, Outcome::Updated(_)));
}

#[tokio::test]
async fn an_answer_about_earlier_secrets_changes_nothing() {
    for (status, body) in [(400, r#"{"error":"invalid_grant"}"#), (200, GOOD)] {
        let (test, team, token, gate) = gated(status, body).await;
        bring_up_to_date(&test, &team, "ann").await;
        gate.open.add_permits(1);
        test.broker.renewals.idle().await;
        let kept = stored(&test, token).await;
        assert_eq!((kept.token.version, kept.token.state), (2, TokenState::Live));
        assert_eq!(opened(&test, &kept).0, "later");
        test.stop().await;
    }
}

#[tokio::test]
async fn an_old_file_does_not_bring_a_spent_refresh_token_back() {
    let (test, team, token) = scene().await;
    test.endpoint.answer_next(answer(200, GOOD));
    test.broker.renew_token(&test.admin, &team, token).await.unwrap();
    for validate_only in [true, false] {
        let import_id = format!("again {validate_only}");
        let begin = BeginImport { team: team.clone(), import_id, validate_only, allow_existing: true };
        let mut import = test.broker.begin_import(&test.admin, begin).await.unwrap();
        let outcome = import.take(vec![ImportRow { row: 1, token: Ok(ending("ann")) }]).await.unwrap();
        let Outcome::Rejected(RowRejected::Spent(held)) = outcome[0].1 else { panic!("{outcome:?}") };
        assert_eq!(held, token);
    }
    let kept = stored(&test, token).await;
    assert_eq!(opened(&test, &kept), ("access-2".to_owned(), Some("refresh-2".to_owned())));
    let later = AddToken { refresh: Some(Secret::new("refresh-3".to_owned())), ..ending("ann") };
    let begin =
        BeginImport { team: team.clone(), import_id: "later".to_owned(), validate_only: false, allow_existing: true };
    let mut import = test.broker.begin_import(&test.admin, begin).await.unwrap();
    let outcome = import.take(vec![ImportRow { row: 1, token: Ok(later) }]).await.unwrap();
    assert!(matches!(outcome[0].1, Outcome::Updated(_)), "one that was never given is taken");
    test.stop().await;
}

#[tokio::test]
async fn a_token_that_is_paused_meanwhile_is_renewed_and_stays_paused() {
    let (test, team, token, gate) = gated(200, GOOD).await;
    test.broker.pause_token(&test.admin, &team, token, "").await.unwrap();
    gate.open.add_permits(1);
    test.broker.renewals.idle().await;
    let kept = stored(&test, token).await;
    assert_eq!((kept.token.version, kept.token.state.as_str()), (2, "paused"));
    test.stop().await;
}

const BREAK: &str = "CREATE TRIGGER broken BEFORE UPDATE OF sealed_access ON token
    BEGIN SELECT RAISE(ABORT, 'broken'); END";

#[tokio::test]
async fn secrets_that_the_store_does_not_take_are_kept_until_it_does() {
    let (test, _, token, gate) = gated(200, GOOD).await;
    test.sql(BREAK).await;
    gate.open.add_permits(1);
    while !test.broker.metrics.render().contains("token_broker_unstored_renewals_total 1") {
        tokio::task::yield_now().await;
    }
    assert_eq!(opened(&test, &stored(&test, token).await).0, "access-of-ann", "the store did not take them");
    test.sql("DROP TRIGGER broken").await;
    test.broker.renewals.idle().await;
    assert_eq!(opened(&test, &stored(&test, token).await).0, "access-2");
    assert_eq!(gate.asked.load(Ordering::SeqCst), 1);
    test.stop().await;
}

/// The process has ended when the network had answered and the store took nothing. It would take something now.
async fn ended_before_the_commit() -> (TestBroker, TeamId, TokenId, Arc<Gate>) {
    let (test, team, token, gate) = gated(200, GOOD).await;
    test.sql(BREAK).await;
    gate.open.add_permits(1);
    while !test.broker.metrics.render().contains("token_broker_unstored_renewals_total 1") {
        tokio::task::yield_now().await;
    }
    test.tasks.stop();
    assert!(test.tasks.join(Duration::from_secs(10)).await);
    test.sql("DROP TRIGGER broken").await;
    (test, team, token, gate)
}

fn spooled(test: &TestBroker) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(test.folder().join("spool")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn secrets_that_the_store_did_not_take_outlive_the_process() {
    let (test, _, token, gate) = ended_before_the_commit().await;
    let [reply] = &spooled(&test)[..] else { panic!("{:?}", spooled(&test)) };
    let kept = String::from_utf8_lossy(&std::fs::read(reply).unwrap()).into_owned();
    assert!(!kept.contains("access-2") && !kept.contains("refresh-2"), "it is sealed");
    let test = test.restart().await;
    let now = stored(&test, token).await;
    assert_eq!((opened(&test, &now), now.token.version), (("access-2".to_owned(), Some("refresh-2".to_owned())), 2));
    assert_eq!(now.token.clocks.access_expires_at, Some(START + 3 * HOUR / 2 + 2 * HOUR), "from when it was asked");
    assert_eq!((now.renewal.begun_at, spooled(&test).len()), (None, 0));
    renew_due(&test).await;
    assert_eq!(gate.asked.load(Ordering::SeqCst), 1);
    test.stop().await;
}

#[tokio::test]
async fn what_the_spool_holds_of_another_token_or_an_earlier_version_changes_nothing() {
    let (test, _, token, _) = ended_before_the_commit().await;
    let [reply] = &spooled(&test)[..] else { panic!("{:?}", spooled(&test)) };
    let sealed = std::fs::read(reply).unwrap();
    let other = TokenId::generate();
    std::fs::write(reply.with_file_name(format!("{other}.1")), &sealed).unwrap();
    std::fs::write(reply.with_file_name(format!("{token}.7")), &sealed).unwrap();
    std::fs::remove_file(reply).unwrap();
    let test = test.restart().await;
    assert_eq!(opened(&test, &stored(&test, token).await).0, "access-of-ann");
    assert_eq!(spooled(&test).len(), 1, "what does not open is left for a person to see");
    test.stop().await;
}

#[tokio::test]
async fn after_a_crash_before_the_commit_it_is_known_that_the_secrets_may_have_been_used() {
    let (test, team, token, gate) = ended_before_the_commit().await;
    std::fs::remove_dir_all(test.folder().join("spool")).unwrap();
    let test = test.restart().await;
    let begun = stored(&test, token).await;
    assert_eq!((begun.renewal.begun_at, begun.token.version), (Some(START + 3 * HOUR / 2), 1));
    // X lets a refresh token be used once: the access token serves on, and the refresh token is shown again shortly before its end.
    test.clock.advance(Duration::from_secs(61));
    renew_due(&test).await;
    assert_eq!(gate.asked.load(Ordering::SeqCst), 1);
    let collector = test.collector(&team, "one").await;
    test.broker.acquire_lease(&test.caller(collector.id), ask(&team, 1)).await.unwrap();
    test.clock.set(START + 2 * HOUR - Duration::from_secs(600));
    gate.open.add_permits(1);
    renew_due(&test).await;
    assert_eq!(gate.asked.load(Ordering::SeqCst), 2);
    assert_eq!(opened(&test, &stored(&test, token).await).0, "access-2");
    test.stop().await;
}

#[tokio::test]
async fn an_app_is_left_alone_until_something_is_due_or_changes() {
    let (test, team, _) = scene().await;
    let of = ("x".parse::<NetworkId>().unwrap(), default_app());
    let rests = || test.broker.renewals.rests(&of, test.clock.now());
    test.broker.renew_due().await.unwrap();
    assert!(rests());
    // A token that comes now is looked at without waiting.
    let soon = Clocks { access_expires_at: Some(START + Duration::from_secs(1)), ..Clocks::default() };
    let given = AddToken { clocks: soon, ..x_token("bea") };
    test.broker.add_token(&test.admin, &team, given).await.unwrap();
    assert!(!rests());
    test.broker.renew_due().await.unwrap();
    test.broker.renewals.idle().await;
    let until = test.clock.now() + LOOK_ANYWAY;
    test.broker.renew_due().await.unwrap();
    assert!(rests());
    test.clock.set(until);
    assert!(!rests(), "another process may have changed something");
    test.stop().await;
}

#[tokio::test]
async fn a_renewal_by_hand_waits_for_its_place_a_while() {
    let mut config = Config::default();
    config.renewals.per_second = 1;
    let test = TestBroker::start_with(config).await;
    let team = test.team("acme").await;
    set_client(&test, "x").await;
    let mut tokens = Vec::new();
    for person in ["ann", "bob", "eve"] {
        tokens.push(test.broker.add_token(&test.admin, &team, ending(person)).await.unwrap().token.id);
        let body = format!(r#"{{"access_token":"new-{person}","refresh_token":"next-{person}","expires_in":7200}}"#);
        test.endpoint.answer_next(answer(200, &body));
    }
    let renew = async |n: usize| test.broker.renew_token(&test.admin, &team, tokens[n]).await;
    // The clock of the machine runs while a renewal waits, and that of the broker where `comes` says so.
    let while_it_waits = async |comes: bool| {
        let waits = |busy: &Busy| busy.waiting == 1;
        test.broker.renewals.busy.subscribe().wait_for(waits).await.unwrap();
        tokio::time::pause();
        let asked = test.endpoint.asked();
        if comes {
            test.clock.advance(Duration::from_secs(1));
        }
        while test.broker.renewals.busy.borrow().waiting > 0 {
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        tokio::time::resume();
        asked
    };
    renew(0).await.unwrap();
    let (renewed, asked) = tokio::join!(renew(1), while_it_waits(true));
    assert!(renewed.is_ok() && asked == 1, "it was asked when there was a place: {renewed:?}");
    let (late, _) = tokio::join!(renew(2), while_it_waits(false));
    let Err(RenewError::NotYet { wait, why: NotYet::Pace, .. }) = late else { panic!("{late:?}") };
    assert_eq!((wait, test.endpoint.asked()), (Duration::from_secs(1), 2));
    test.clock.advance(wait);
    renew(2).await.unwrap();
    test.stop().await;
}
