//! Checks on a whole broker: with an endpoint that answers as it is told, and against the simulated networks, over HTTP.

use std::sync::Arc;

use tokio::net::TcpListener;
use zeroize::Zeroizing;

use super::*;
use crate::base::clock::{Clock, ManualClock};
use crate::base::ids::KindId;
use crate::base::secret::Secret;
use crate::base::tasks::Tasks;
use crate::config::Config;
use crate::domain::networks::{Catalogue, PROBE_OPERATION, Probe, Purpose, PurposeScopes, Renewal};
use crate::domain::token::{Clocks, Token};
use crate::outbound::authorities::Authorities;
use crate::outbound::http::{HttpClient, NetworkAnswer, NoAnswer};
use crate::service::apps::{UpdateApp, default_app};
use crate::service::testing::{START, TestBroker, World, ask, catalogue_of, x_token};
use crate::service::tokens::AddToken;
use crate::service::{AcquireLease, Answered, ReportUsage};
use crate::sim::{Fault, NetworkFault, Simulation, TokenSpec, serve_on};
use crate::store::IncidentFilter;

const DAY: Duration = Duration::from_secs(24 * 3600);
const MINUTE: Duration = Duration::from_secs(60);
const SECRET: &str = "client-secret";

fn answer(status: u16, body: &str) -> Result<NetworkAnswer, NoAnswer> {
    Ok(NetworkAnswer { status, headers: Vec::new(), body: Zeroizing::new(body.as_bytes().to_vec()) })
}

/// Checks what is due of all networks.
async fn check_due(test: &TestBroker) {
    for network in test.broker.catalogue.iter() {
        test.broker.schedule_probes(network).await.unwrap();
        test.broker.probe_network(network).await.unwrap();
    }
}

async fn stored(test: &TestBroker, token: TokenId) -> Token {
    test.broker.store.find_token(token).await.unwrap().unwrap().token
}

async fn due(test: &TestBroker, network: &str, token: TokenId) -> Timestamp {
    let all = test.broker.store.next_probes(&network.parse().unwrap(), 1000).await.unwrap();
    all.into_iter().find(|(id, _)| *id == token).unwrap().1
}

async fn outcome(test: &TestBroker, token: TokenId) -> Option<CheckOutcome> {
    test.broker.store.find_check(token).await.unwrap().map(|check| check.outcome)
}

/// A broker with a token at X.
async fn scene() -> (TestBroker, TeamId, TokenId) {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let token = test.token(&team, "ann").await;
    check_due(&test).await;
    (test, team, token)
}

#[tokio::test]
async fn a_token_that_nobody_uses_is_checked_within_a_day() {
    let (test, team, token) = scene().await;
    assert_eq!(test.endpoint.asked(), 0, "not all at once when they come");
    let first = due(&test, "x", token).await;
    assert!(first <= START + DAY);
    test.clock.set(first);
    test.endpoint.answer_next(answer(200, r#"{"data":{"id":"1"}}"#));
    test.broker.probe_due().await.unwrap();
    test.broker.probes.idle().await;
    assert_eq!(test.endpoint.asked(), 1);
    let (shown, _) = test.broker.show_token(&team, token).await.unwrap();
    assert_eq!(shown.check, Some(LastCheck { at: first, outcome: CheckOutcome::Works }));
    assert!((first + DAY * 3 / 4..=first + DAY).contains(&due(&test, "x", token).await));
    let today = i32::try_from(first.secs() / 86_400).unwrap();
    let statement = test.broker.state_usage(&team, token, today, today).await.unwrap();
    let rows: Vec<_> = statement.rows.iter().map(|row| (&*row.key.collection, row.key.collector, row.calls)).collect();
    assert_eq!((statement.total_calls, rows), (1, vec![(PROBE_OPERATION, None, 1)]));
    test.stop().await;
}

#[tokio::test]
async fn a_call_that_worked_stands_for_a_check() {
    let (test, team, token) = scene().await;
    let collector = test.collector(&team, "one").await;
    let caller = test.caller(collector.id);
    let first = due(&test, "x", token).await;
    test.clock.set(first);
    let lease = test.broker.acquire_lease(&caller, ask(&team, 1)).await.unwrap().lease;
    let served = ReportUsage { sequence: 1, used: 1, served: 1, ..ReportUsage::default() };
    test.broker.report_usage(&caller, lease, served).await.unwrap();
    check_due(&test).await;
    assert_eq!((test.endpoint.asked(), outcome(&test, token).await), (0, Some(CheckOutcome::Works)));
    assert!(due(&test, "x", token).await >= first + DAY * 3 / 4);
    test.stop().await;
}

#[tokio::test]
async fn a_check_says_whether_the_app_is_refused_or_one_operation() {
    const REFUSED: &str = r#"{"errors":[{"code":99,"message":"Unable to verify your credentials"}]}"#;
    for (status, body, incidents) in [(200, r#"{"data":{"id":"1"}}"#, 0), (403, REFUSED, 1)] {
        let (test, team, _) = scene().await;
        for person in ["ben", "cid"] {
            test.token(&team, person).await;
        }
        let caller = test.caller(test.collector(&team, "one").await.id);
        check_due(&test).await;
        for (status, body) in [(200, ""), (200, ""), (200, ""), (403, REFUSED), (403, REFUSED), (403, REFUSED)] {
            let lease = test.broker.acquire_lease(&caller, ask(&team, 1)).await.unwrap().lease;
            let answer = Some(Answered { status, body: body.as_bytes().to_vec(), ..Answered::default() });
            let report = ReportUsage { sequence: 1, used: 1, answer, ..ReportUsage::default() };
            test.broker.report_usage(&caller, lease, report).await.unwrap();
            test.broker.release_lease(&caller, lease, None).await.unwrap();
        }
        let refused = test.broker.acquire_lease(&caller, ask(&team, 1)).await.err().unwrap();
        assert!(refused.to_string().starts_with("the network refuses this operation"), "{refused}");
        test.endpoint.answer_next(answer(status, body));
        check_due(&test).await;
        assert_eq!(test.endpoint.asked(), 1, "though each was served a moment ago");
        test.broker.watch_incidents().await.unwrap();
        let found = test.broker.list_incidents(&test.admin, IncidentFilter::default(), 10).await.unwrap();
        assert_eq!(found.len(), incidents);
        let other = AcquireLease { operation: "users.by_username".to_owned(), ..ask(&team, 1) };
        assert_eq!(test.broker.acquire_lease(&caller, other).await.is_ok(), incidents == 0);
        test.stop().await;
    }
}

#[tokio::test]
async fn a_suspect_is_settled_by_a_check_of_our_own() {
    for (body, status, state) in [(r#"{"data":{}}"#, 200, "live"), ("{}", 401, "invalid")] {
        let (test, team, token) = scene().await;
        let collector = test.collector(&team, "one").await;
        let caller = test.caller(collector.id);
        let lease = test.broker.acquire_lease(&caller, ask(&team, 1)).await.unwrap().lease;
        let refused = Answered { status: 401, headers: Vec::new(), body: b"{}".to_vec(), received_at: None };
        let report = ReportUsage { sequence: 1, used: 1, answer: Some(refused), ..ReportUsage::default() };
        test.broker.report_usage(&caller, lease, report).await.unwrap();
        assert_eq!(stored(&test, token).await.state.as_str(), "suspect");
        let end = test.clock.now() + Duration::from_secs(20 * 60);
        while stored(&test, token).await.state.as_str() == "suspect" {
            let next = due(&test, "x", token).await;
            assert!(next <= end, "soon");
            test.clock.set(next.max(test.clock.now() + Duration::from_secs(1)));
            test.endpoint.answer_next(answer(status, body));
            check_due(&test).await;
        }
        assert_eq!((stored(&test, token).await.state.as_str(), test.endpoint.asked()), (state, 1));
        test.stop().await;
    }
}

#[tokio::test]
async fn a_paused_token_is_checked_and_a_revoked_one_is_not() {
    let (test, team, token) = scene().await;
    let other = test.token(&team, "bob").await;
    check_due(&test).await;
    test.broker.pause_token(&test.admin, &team, token, "").await.unwrap();
    test.broker.revoke_token(&test.admin, &team, other, "").await.unwrap();
    test.clock.advance(DAY);
    test.endpoint.answer_next(answer(200, "{}"));
    check_due(&test).await;
    assert_eq!((test.endpoint.asked(), outcome(&test, token).await), (1, Some(CheckOutcome::Works)));
    assert_eq!(stored(&test, token).await.state.as_str(), "paused");
    let refused = test.broker.probe_token(&test.admin, &team, other).await.unwrap_err();
    assert!(refused.to_string().contains("revoked"), "{refused}");
    test.stop().await;
}

#[tokio::test]
async fn a_check_waits_for_credit_and_leaves_the_reserve() {
    let (test, team, token) = scene().await;
    let collector = test.collector(&team, "one").await;
    let caller = test.caller(collector.id);
    // All of 75 but the owner's tenth.
    let all = AcquireLease { operation: "users.me".to_owned(), purpose: Purpose::CollectStatistics, ..ask(&team, 67) };
    test.broker.acquire_lease(&caller, all).await.unwrap();
    let one =
        || AcquireLease { operation: "users.me".to_owned(), purpose: Purpose::CollectStatistics, ..ask(&team, 1) };
    while test.broker.acquire_lease(&caller, one()).await.is_ok() {}
    let error = test.broker.probe_token(&test.admin, &team, token).await.unwrap_err();
    let ProbeError::NotYet { until, .. } = error else { panic!("{error}") };
    assert!(until > test.clock.now());
    assert_eq!(test.endpoint.asked(), 0);
    test.stop().await;
}

#[tokio::test]
async fn no_answer_ends_no_token_and_is_asked_again() {
    let (test, team, token) = scene().await;
    for (said, expected) in [
        (Err(NoAnswer::Lost), CheckOutcome::NoAnswer),
        (Err(NoAnswer::NotSent), CheckOutcome::NoAnswer),
        (answer(503, "<html>"), CheckOutcome::NoAnswer),
        (answer(200, "{}"), CheckOutcome::Works),
    ] {
        test.endpoint.answer_next(said);
        let view = test.broker.probe_token(&test.admin, &team, token).await.unwrap();
        assert_eq!((view.check.unwrap().outcome, view.token.state), (expected, TokenState::Live));
        if expected == CheckOutcome::NoAnswer {
            assert!(due(&test, "x", token).await <= test.clock.now() + 10 * MINUTE);
        }
        test.clock.advance(MINUTE);
    }
    test.stop().await;
}

/// A broker among simulated networks.
struct Stage {
    test: TestBroker,
    team: TeamId,
    simulation: Arc<Simulation>,
    serving: Tasks,
}

impl Stage {
    async fn set() -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let simulation = Arc::new(Simulation::new(Catalogue::embedded().iter().cloned(), clock.clone(), 5).unwrap());
        let serving = Tasks::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = serve_on(listener, simulation.clone(), &serving).unwrap();
        let world = World {
            catalogue: catalogue_of(&simulation, address),
            endpoint: Arc::new(HttpClient::new(&Authorities::default()).unwrap()),
        };
        let test = TestBroker::start_in(world, Config::default(), clock).await;
        let team = test.team("acme").await;
        for network in simulation.networks().filter(|network| !network.takes_client_keys()) {
            let said = UpdateApp {
                client_id: Some("app".to_owned()),
                client_secret: Some(Some(Secret::new(SECRET.to_owned()))),
                ..UpdateApp::default()
            };
            test.broker.update_app(&test.admin, &network.id, &default_app(), said).await.unwrap();
            // The app's own token, where others are asked about with it.
            if network.kind("app").is_some() {
                let kind: KindId = "app".parse().unwrap();
                let spec = TokenSpec::of_kind(network, &kind, &format!("app|{SECRET}"), "app");
                simulation.add_token(&network.id, spec).unwrap();
            }
        }
        Self { test, team, simulation, serving }
    }

    /// Every kind that can be checked, and lives for a day by itself: those that are bound to a key are judged over a year of their lives.
    fn kinds(&self) -> Vec<(Arc<Network>, KindId)> {
        let of = |network: &Arc<Network>| {
            let network = network.clone();
            let kinds: Vec<_> = network
                .kinds
                .iter()
                .filter(|kind| kind.is_probed() && !kind.is_bound())
                .map(|kind| kind.id.clone())
                .collect();
            kinds.into_iter().map(move |kind| (network.clone(), kind)).collect::<Vec<_>>()
        };
        self.test.broker.catalogue.iter().flat_map(of).collect()
    }

    /// A person's token at the network and here, where neither an end of it nor a refresh token is known.
    async fn token(&self, network: &Network, kind: &KindId, person: &str, ends: Option<Timestamp>) -> TokenId {
        self.token_with(network, kind, (person, ends), None, Clocks::default()).await
    }

    /// A person's token at the network, and what is known of it here.
    async fn token_with(
        &self,
        network: &Network,
        kind: &KindId,
        (person, ends): (&str, Option<Timestamp>),
        refresh: Option<Secret>,
        clocks: Clocks,
    ) -> TokenId {
        let mut spec = TokenSpec::of_kind(network, kind, &format!("access-{person}"), person);
        (spec.expires_at, spec.profiles) = (ends, vec![format!("profile-{person}")]);
        let given = AddToken {
            network: network.id.to_string(),
            kind: kind.to_string(),
            profile: format!("profile-{person}"),
            scopes: spec.scopes.clone(),
            access: Secret::new(spec.secret.clone()),
            refresh,
            clocks,
            ..x_token(person)
        };
        self.simulation.add_token(&network.id, spec).unwrap();
        self.test.broker.add_token(&self.test.admin, &self.team, given).await.unwrap().token.id
    }

    fn fault(&self, network: &Network, fault: Fault) {
        self.simulation.inject(&NetworkFault { network: network.id.clone(), fault }).unwrap();
    }

    /// Lets time pass, and makes each check when it is due: checks that are hours apart must not look like a loss of all at once, which is
    /// an incident.
    async fn live_for(&self, span: Duration) {
        let end = self.test.clock.now() + span;
        while self.test.clock.now() < end {
            check_due(&self.test).await;
            let mut next = end;
            for network in self.test.broker.catalogue.iter() {
                let first = self.test.broker.store.next_probes(&network.id, 1).await.unwrap();
                next = first.first().map_or(next, |(_, due)| next.min(*due));
            }
            self.test.clock.set(next.max(self.test.clock.now() + Duration::from_secs(1)));
        }
        assert!(
            self.test.broker.list_incidents(&self.test.admin, IncidentFilter::default(), 10).await.unwrap().is_empty()
        );
    }

    async fn stop(self) {
        let report = self.simulation.report();
        let over: Vec<_> = report.networks.iter().filter(|one| one.throttled > 0).map(|one| &one.network).collect();
        assert!(over.is_empty(), "over the limit at {over:?}");
        self.test.stop().await;
        self.serving.stop();
        assert!(self.serving.join(Duration::from_secs(10)).await);
    }
}

#[tokio::test]
async fn every_kind_of_the_catalogue_is_found_to_work_or_dead_within_a_day_without_a_collector() {
    let stage = Stage::set().await;
    let kinds = stage.kinds();
    assert!(kinds.len() >= 15, "{}", kinds.len());
    let mut held = Vec::new();
    for (network, kind) in &kinds {
        let person = |which: &str| format!("{which}-{}-{kind}", network.id);
        let good = stage.token(network, kind, &person("good"), None).await;
        let dead = stage.token(network, kind, &person("dead"), None).await;
        stage.fault(network, Fault::RevokeToken { secret: format!("access-{}", person("dead")) });
        held.push((network, kind, good, dead));
    }
    // The day, and as long as it takes to settle a doubt.
    stage.live_for(DAY + Duration::from_secs(2 * 3600)).await;
    let mut wrong = Vec::new();
    for (network, kind, good, dead) in held {
        let found = outcome(&stage.test, good).await;
        let states = (stored(&stage.test, good).await.state.as_str(), stored(&stage.test, dead).await.state.as_str());
        if (found, states) != (Some(CheckOutcome::Works), ("live", "invalid")) {
            wrong.push(format!("{} {kind}: {found:?} {states:?} {:?}", network.id, outcome(&stage.test, dead).await));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    stage.stop().await;
}

#[tokio::test]
async fn two_of_one_app_that_end_together_are_both_found_dead() {
    let stage = Stage::set().await;
    let (network, kind) = stage.kinds().into_iter().find(|(_, kind)| kind.as_str() == "instagram_login").unwrap();
    stage.token(&network, &kind, "good", None).await;
    let mut dead = Vec::new();
    for person in ["one", "two"] {
        dead.push(stage.token(&network, &kind, person, None).await);
        stage.fault(&network, Fault::RevokeToken { secret: format!("access-{person}") });
    }
    stage.live_for(Duration::from_secs(1)).await;
    let mut found = Vec::new();
    for token in &dead {
        let checked = stage.test.broker.probe_token(&stage.test.admin, &stage.team, *token).await.unwrap();
        found.push((checked.check.unwrap().outcome, checked.token.state.as_str()));
    }
    assert_eq!(found, [(CheckOutcome::Ended, "invalid"), (CheckOutcome::InDoubt, "suspect")], "two may be the app's");
    stage.live_for(Duration::from_secs(2 * 3600)).await;
    assert_eq!(stored(&stage.test, dead[1]).await.state.as_str(), "invalid");
    assert_eq!(outcome(&stage.test, dead[1]).await, Some(CheckOutcome::Ended));
    stage.stop().await;
}

#[tokio::test]
async fn an_end_that_comes_earlier_than_was_known_brings_the_renewal_forward() {
    let stage = Stage::set().await;
    let (test, mut looked_at) = (&stage.test, 0);
    for (network, kind) in stage.kinds() {
        let entry = network.kind(kind.as_str()).unwrap();
        let tells_ends = |probe: &Probe| probe.introspection.as_ref().is_some_and(|asked| asked.expires_at.is_some());
        let renews = matches!(entry.renewal, Renewal::RefreshToken { .. });
        if !(renews && entry.probe.as_ref().is_some_and(tells_ends)) {
            continue;
        }
        let person = format!("person-{}-{kind}", network.id);
        let (end, known) = (START + 5 * DAY, START + 60 * DAY);
        let refresh = Some(Secret::new(format!("refresh-{person}")));
        let clocks = Clocks { access_expires_at: Some(known), ..Clocks::default() };
        let token = stage.token_with(&network, &kind, (&person, Some(end)), refresh, clocks).await;
        assert!(stored(test, token).await.clocks.access_expires_at == Some(known));
        let due = async || test.broker.store.find_token(token).await.unwrap().unwrap().renewal.due_at.unwrap();
        assert!(due().await > end, "{}", network.id);
        test.broker.probe_token(&test.admin, &stage.team, token).await.unwrap();
        assert!(due().await < end, "{}: {}", network.id, due().await);
        looked_at += 1;
    }
    assert!(looked_at > 0);
    stage.stop().await;
}

#[tokio::test]
async fn an_introspection_brings_ends_forward_and_takes_lost_scopes_away() {
    let stage = Stage::set().await;
    let mut held = Vec::new();
    for (network, kind) in stage.kinds() {
        let entry = network.kind(kind.as_str()).unwrap();
        if entry.probe.as_ref().unwrap().introspection.is_none() {
            continue;
        }
        let Some(scope) = entry.scopes.iter().flat_map(|one: &PurposeScopes| &one.scopes).next().cloned() else {
            continue;
        };
        let person = format!("person-{}-{kind}", network.id);
        let end = START + 30 * DAY;
        let token = stage.token(&network, &kind, &person, Some(end)).await;
        if stored(&stage.test, token).await.scopes.len() < 2 {
            continue;
        }
        stage.fault(&network, Fault::LoseScope { person: person.clone(), scope: scope.clone() });
        assert!(stored(&stage.test, token).await.scopes.contains(&scope));
        held.push((network, token, scope, end));
    }
    assert!(held.len() >= 4, "{}", held.len());
    for (network, token, scope, end) in held {
        stage.test.broker.probe_token(&stage.test.admin, &stage.team, token).await.unwrap();
        let after = stored(&stage.test, token).await;
        assert!(!after.scopes.contains(&scope), "{}", network.id);
        assert_eq!(after.clocks, Clocks { access_expires_at: Some(end), ..after.clocks }, "{}", network.id);
        let again = stage.test.broker.probe_token(&stage.test.admin, &stage.team, token).await.unwrap();
        assert_eq!(again.token.version, after.version);
    }
    stage.stop().await;
}
