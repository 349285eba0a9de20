//! A whole broker in a network's bad hours: one record, few events, no refresh token shown, and a way back.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::base::clock::{Clock, Timestamp};
use crate::domain::incident::{IncidentKind, Stage};
use crate::domain::notice::Fact;
use crate::domain::token::{Clocks, Reason, TokenState};
use crate::outbound::http::NetworkAnswer;
use crate::service::renew::RenewError;
use crate::service::testing::{TestBroker, ask, x_token};
use crate::service::tokens::AddToken;
use crate::service::{AcquireLease, Answered, ReportUsage};

mod reset;

const SECOND: Duration = Duration::from_secs(1);

/// How the network answers.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Good,
    /// The token is not accepted.
    Refuses,
    /// The network fails.
    Down,
    /// The app is refused.
    Disabled,
}

/// A broker with so many persons' tokens at X, of two teams.
struct Scene {
    test: TestBroker,
    teams: Vec<TeamId>,
    collectors: Vec<Caller>,
    tokens: Vec<(TeamId, TokenId)>,
}

impl Scene {
    async fn of(persons: usize) -> Self {
        let test = TestBroker::start().await;
        let (mut teams, mut collectors, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        for name in ["acme", "globex"] {
            let team = test.team(name).await;
            for nth in 0..3 {
                let collector = test.collector(&team, &format!("{name}-{nth}")).await;
                collectors.push(test.caller(collector.id));
            }
            teams.push(team);
        }
        for nth in 0..persons {
            let team = teams[nth % 2].clone();
            tokens.push((team.clone(), test.token(&team, &format!("person-{nth}")).await));
        }
        Self { test, teams, collectors, tokens }
    }

    /// One call of each collector. Returns how many leases were granted.
    async fn work(&self, mood: Mood) -> usize {
        let mut granted = 0;
        for (nth, caller) in self.collectors.iter().enumerate() {
            let broker = &self.test.broker;
            // What one operation alone is refused with says nothing of the app.
            let operation = if nth % 2 == 0 { "tweets.search_recent" } else { "users.by_username" };
            let wanted = AcquireLease { operation: operation.to_owned(), ..ask(&self.teams[nth / 3], 1) };
            let Ok(leased) = broker.acquire_lease(caller, wanted).await else { continue };
            granted += 1;
            let (status, body) = match mood {
                Mood::Good => (200, "{}"),
                Mood::Refuses => (401, r#"{"title":"Unauthorized","status":401}"#),
                Mood::Down => (503, "<html>down</html>"),
                Mood::Disabled => (403, r#"{"errors":[{"code":99,"message":"Unable to verify your credentials"}]}"#),
            };
            let answer = Some(Answered { status, body: body.as_bytes().to_vec(), ..Answered::default() });
            let served = u64::from(status == 200);
            let report = ReportUsage { sequence: 1, used: 1, served, answer, ..ReportUsage::default() };
            broker.report_usage(caller, leased.lease, report).await.unwrap();
            let _ = broker.release_lease(caller, leased.lease, None).await;
        }
        granted
    }

    /// Works each second for a while.
    async fn live(&self, mood: Mood, seconds: u32) -> usize {
        let mut granted = 0;
        for _ in 0..seconds {
            self.test.clock.advance(SECOND);
            granted += self.work(mood).await;
            self.test.broker.watch_incidents().await.unwrap();
        }
        granted
    }

    async fn incidents(&self) -> Vec<IncidentView> {
        self.test.broker.list_incidents(&self.test.admin, IncidentFilter::default(), 10).await.unwrap()
    }

    async fn states(&self) -> Vec<TokenState> {
        let mut states = Vec::new();
        for (_, token) in &self.tokens {
            states.push(self.test.broker.store.find_token(*token).await.unwrap().unwrap().token.state);
        }
        states
    }

    /// What was told of incidents' beginnings: of which kind, and what they were taken for; how many of each.
    async fn openings(&self) -> Vec<(IncidentKind, Option<IncidentKind>, usize)> {
        let mut openings = Vec::<(IncidentKind, Option<IncidentKind>, usize)>::new();
        for fact in self.facts().await {
            let Fact::IncidentOpened { kind, was, .. } = fact else { continue };
            match openings.iter_mut().find(|(of, before, _)| (*of, *before) == (kind, was)) {
                Some((.., count)) => *count += 1,
                None => openings.push((kind, was, 1)),
            }
        }
        openings
    }

    /// The facts that were told so far.
    async fn facts(&self) -> Vec<Fact> {
        let events = self.test.broker.store.untold_events(None, 1000).await.unwrap();
        events.into_iter().map(|event| event.fact).collect()
    }
}

#[tokio::test]
async fn a_reset_is_one_incident_with_few_events() {
    let scene = Scene::of(40).await;
    assert_eq!(scene.live(Mood::Good, 5).await, 30);
    let granted = scene.live(Mood::Refuses, 120).await;
    let found = scene.incidents().await;
    let [view] = &found[..] else { panic!("{found:?}") };
    let progress = view.incident.progress;
    assert_eq!((progress.kind, progress.recovery.stage), (IncidentKind::NetworkReset, Stage::Canaries));
    assert!(progress.opened_at.since(progress.started_at) <= 60 * SECOND);
    assert!(granted < 20, "{granted} calls after it began");
    let hit: u64 = view.teams.iter().map(|(_, tokens)| tokens).sum();
    assert!(hit >= 5 && view.teams.len() == 2, "{view:?}");
    let facts = scene.facts().await;
    assert!(facts.iter().all(|fact| matches!(fact, Fact::IncidentOpened { .. })), "{facts:?}");
    assert_eq!(facts.len(), 3, "the operators, and two teams");
    scene.test.stop().await;
}

#[tokio::test]
async fn what_was_only_in_doubt_heals_when_the_network_is_back() {
    let scene = Scene::of(40).await;
    scene.live(Mood::Refuses, 30).await;
    assert!(scene.states().await.iter().any(|state| matches!(state, TokenState::Suspect { .. })));
    // One time in seventy the share of these tokens is empty, and ten quiet minutes stand for its calls.
    scene.live(Mood::Good, 800).await;
    let [view] = &scene.incidents().await[..] else { panic!("one incident") };
    let closed = view.incident.closed.clone().unwrap();
    assert_eq!((closed.outcome, closed.by.as_str()), (Outcome::Recovered, "broker"));
    assert!(scene.states().await.iter().all(|state| *state == TokenState::Live), "{:?}", scene.states().await);
    let closings = scene.facts().await.iter().filter(|fact| matches!(fact, Fact::IncidentClosed { .. })).count();
    assert_eq!(closings, 3);
    assert_eq!(scene.live(Mood::Good, 5).await, 30);
    scene.test.stop().await;
}

#[tokio::test]
async fn an_operator_who_knows_better_closes_it() {
    for outcome in Outcome::ALL {
        let scene = Scene::of(40).await;
        scene.live(Mood::Refuses, 30).await;
        let id = scene.incidents().await[0].incident.id;
        let broker = &scene.test.broker;
        let noted = broker.acknowledge_incident(&scene.test.admin, id, "seen").await.unwrap();
        assert!(noted.incident.acknowledged.is_some());
        broker.close_incident(&scene.test.admin, id, outcome, "the network says so").await.unwrap();
        let again = broker.close_incident(&scene.test.admin, id, outcome, "").await.unwrap_err();
        assert!(matches!(again, IncidentError::Closed(_)), "{again}");
        broker.watch_incidents().await.unwrap();
        let lost = |state: &TokenState| matches!(state, TokenState::Invalid { reason: Reason::PlatformReset, .. });
        let states = scene.states().await;
        let (lost, live) = (states.iter().filter(|state| lost(state)).count(), states.len());
        let facts = scene.facts().await;
        let told = facts.iter().filter(|fact| fact.lost_with_many() == Some(Reason::PlatformReset)).count();
        let closings = facts.iter().filter_map(|fact| match fact {
            Fact::IncidentClosed { lost, .. } => Some(*lost),
            _ => None,
        });
        match outcome {
            Outcome::Recovered => {
                assert_eq!((lost, told), (0, 0));
                assert!(closings.eq([None; 3]));
            }
            Outcome::Lost => {
                assert!(lost >= 5 && lost < live, "{states:?}");
                assert_eq!(told, lost, "each token that it ended is an event");
                assert!(closings.eq([Some(Reason::PlatformReset); 3]));
            }
        }
        scene.test.stop().await;
    }
}

#[tokio::test]
async fn no_refresh_token_is_shown_while_an_incident_is_open() {
    let scene = Scene::of(0).await;
    let clocks = Clocks { access_expires_at: Some(scene.test.clock.now() + 3600 * SECOND), ..Clocks::default() };
    set_client(&scene.test).await;
    let (admin, broker) = (&scene.test.admin, &scene.test.broker);
    let mut tokens = Vec::new();
    for nth in 0..40 {
        let team = &scene.teams[nth % 2];
        let given = AddToken { clocks, ..x_token(&format!("person-{nth}")) };
        tokens.push((team.clone(), broker.add_token(admin, team, given).await.unwrap().token.id));
    }
    scene.live(Mood::Refuses, 30).await;
    for _ in 0..90 {
        scene.test.clock.advance(30 * SECOND);
        scene.work(Mood::Refuses).await;
        broker.renew_due().await.unwrap();
        broker.renewals.idle().await;
        broker.watch_incidents().await.unwrap();
    }
    assert_eq!(scene.test.endpoint.asked(), 0);
    let (team, token) = &tokens[0];
    let by_hand = broker.renew_token(admin, team, *token).await.unwrap_err();
    assert!(matches!(by_hand, RenewError::Incident { .. }), "{by_hand}");
    scene.test.stop().await;
}

/// Tells the broker of our client at X, so that tokens can be renewed.
async fn set_client(test: &TestBroker) {
    let client = crate::service::apps::UpdateApp {
        client_id: Some("ours".to_owned()),
        ..crate::service::apps::UpdateApp::default()
    };
    let app = crate::service::apps::default_app();
    test.broker.update_app(&test.admin, &"x".parse().unwrap(), &app, client).await.unwrap();
}

/// What the network answers to the next renewal.
fn renew_next(test: &TestBroker, nth: usize) {
    let body = format!(
        r#"{{"access_token":"access-{nth}","refresh_token":"refresh-{nth}","expires_in":7200,"token_type":"bearer"}}"#
    );
    let body = zeroize::Zeroizing::new(body.into_bytes());
    test.endpoint.answer_next(Ok(NetworkAnswer { status: 200, headers: Vec::new(), body }));
}

#[tokio::test]
async fn an_incident_whose_tokens_ended_meanwhile_is_over_by_single_renewals() {
    let mut scene = Scene::of(0).await;
    set_client(&scene.test).await;
    let clocks = Clocks { access_expires_at: Some(scene.test.clock.now() + 120 * SECOND), ..Clocks::default() };
    for nth in 0..6 {
        let team = scene.teams[nth % 2].clone();
        let given = AddToken { clocks, ..x_token(&format!("person-{nth}")) };
        let added = scene.test.broker.add_token(&scene.test.admin, &team, given).await.unwrap();
        scene.tokens.push((team, added.token.id));
        renew_next(&scene.test, nth);
    }
    scene.live(Mood::Down, 60).await;
    assert_eq!(scene.incidents().await[0].incident.progress.kind, IncidentKind::ProviderOutage);
    let broker = &scene.test.broker;
    for _ in 0..60 {
        scene.test.clock.advance(5 * SECOND);
        broker.renew_due().await.unwrap();
        broker.renewals.idle().await;
        broker.watch_incidents().await.unwrap();
    }
    let incident = scene.incidents().await[0].incident.clone();
    let outcome = incident.closed.as_ref().map(|closed| closed.outcome);
    assert_eq!(outcome, Some(Outcome::Recovered), "{} asked: {incident:?}", scene.test.endpoint.asked());
    assert_eq!(scene.test.endpoint.asked(), 6, "each once");
    assert!(scene.live(Mood::Good, 1).await > 0);
    scene.test.stop().await;
}

/// The app has no client: with a refresh token or without one, nothing can be renewed.
#[tokio::test]
async fn an_incident_of_which_no_token_is_left_is_over() {
    for can_refresh in [false, true] {
        let scene = Scene::of(0).await;
        let clocks = Clocks { access_expires_at: Some(scene.test.clock.now() + 120 * SECOND), ..Clocks::default() };
        for nth in 0..6 {
            let mut given = AddToken { clocks, ..x_token(&format!("person-{nth}")) };
            if !can_refresh {
                given.refresh = None;
            }
            scene.test.broker.add_token(&scene.test.admin, &scene.teams[nth % 2], given).await.unwrap();
        }
        scene.live(Mood::Refuses, 30).await;
        let broker = &scene.test.broker;
        broker.renew_due().await.unwrap();
        broker.renewals.idle().await;
        assert_eq!(scene.incidents().await[0].incident.closed, None);
        scene.test.clock.advance(120 * SECOND);
        broker.renew_due().await.unwrap();
        broker.renewals.idle().await;
        broker.watch_incidents().await.unwrap();
        assert!(scene.incidents().await[0].incident.closed.is_some(), "with refresh tokens: {can_refresh}");
        scene.test.stop().await;
    }
}

#[tokio::test]
async fn a_token_that_was_connected_while_an_incident_is_open_is_renewed() {
    let scene = Scene::of(40).await;
    set_client(&scene.test).await;
    scene.live(Mood::Refuses, 30).await;
    let broker = &scene.test.broker;
    scene.test.clock.advance(SECOND);
    let clocks = Clocks { access_expires_at: Some(scene.test.clock.now() + 7200 * SECOND), ..Clocks::default() };
    let given = AddToken { clocks, ..x_token("late") };
    let token = broker.add_token(&scene.test.admin, &scene.teams[0], given).await.unwrap().token.id;
    // All are due by then, those that rest first.
    scene.test.clock.advance(7000 * SECOND);
    renew_next(&scene.test, 0);
    broker.renew_due().await.unwrap();
    broker.renewals.idle().await;
    let renewed = broker.store.find_token(token).await.unwrap().unwrap().token;
    assert_eq!((scene.test.endpoint.asked(), renewed.version), (1, 2));
    renew_next(&scene.test, 1);
    let by_hand = broker.renew_token(&scene.test.admin, &scene.teams[0], token).await.unwrap();
    assert_eq!(by_hand.token.version, 3);
    scene.test.stop().await;
}

#[tokio::test]
async fn an_outage_is_told_from_a_reset_and_ends_no_token() {
    let scene = Scene::of(40).await;
    scene.live(Mood::Good, 3).await;
    scene.live(Mood::Down, 60).await;
    let [view] = &scene.incidents().await[..] else { panic!("one incident") };
    assert_eq!(view.incident.progress.kind, IncidentKind::ProviderOutage);
    assert_eq!(scene.openings().await, [(IncidentKind::ProviderOutage, None, 3)], "the operators, and two teams");
    assert_eq!(view.teams.iter().map(|(_, tokens)| *tokens).collect::<Vec<_>>(), [20, 20]);
    let of_team = scene.test.broker.get_team_incident(&scene.test.admin, &scene.teams[0], view.incident.id).await;
    assert_eq!(of_team.unwrap().teams, [(scene.teams[0].clone(), 20)]);
    let lost = scene.test.broker.close_incident(&scene.test.admin, view.incident.id, Outcome::Lost, "").await;
    assert!(matches!(lost, Err(IncidentError::EndsNoToken(_))), "{lost:?}");
    assert!(scene.incidents().await[0].incident.closed.is_none());
    scene.live(Mood::Good, 120).await;
    assert!(scene.incidents().await[0].incident.closed.is_some());
    assert!(scene.states().await.iter().all(|state| *state == TokenState::Live));
    scene.test.stop().await;
}

#[tokio::test]
async fn what_an_incident_turns_into_is_told_as_its_beginning_was() {
    let mut scene = Scene::of(40).await;
    scene.live(Mood::Down, 60).await;
    scene.test = scene.test.restart().await;
    scene.live(Mood::Refuses, 60).await;
    let (outage, reset) = (IncidentKind::ProviderOutage, IncidentKind::NetworkReset);
    assert_eq!(scene.openings().await, [(outage, None, 3), (reset, Some(outage), 3)]);
    scene.test.stop().await;
}

#[tokio::test]
async fn an_app_that_is_given_up_ends_all_its_tokens_and_none_ends_before() {
    let scene = Scene::of(40).await;
    let broker = &scene.test.broker;
    let (team, paused) = scene.tokens[39].clone();
    broker.pause_token(&scene.test.admin, &team, paused, "").await.unwrap();
    scene.live(Mood::Disabled, 900).await;
    let [view] = &scene.incidents().await[..] else { panic!("one incident") };
    let Incident { id, progress, .. } = view.incident.clone();
    assert_eq!((progress.kind, progress.recovery.stage), (IncidentKind::AppDisabled, Stage::Canaries));
    assert!(progress.recovery.final_refusals >= 3 && progress.outcome() == Outcome::Recovered, "{progress:?}");
    assert_eq!(scene.openings().await, [(IncidentKind::AppDisabled, None, 3)]);
    let refused = broker.acquire_lease(&scene.collectors[0], ask(&scene.teams[0], 1)).await.err().unwrap();
    assert!(refused.to_string().contains("an incident is open"), "{refused}");
    broker.close_incident(&scene.test.admin, id, Outcome::Lost, "we leave").await.unwrap();
    broker.watch_incidents().await.unwrap();
    let states = scene.states().await;
    let lost = |state: &TokenState| matches!(state, TokenState::Invalid { reason: Reason::AppDisabled, .. });
    assert_eq!(states.iter().filter(|state| lost(state)).count(), 39, "{states:?}");
    assert!(matches!(states[39], TokenState::Paused { .. }), "what a person decided stays");
    assert_eq!(scene.live(Mood::Good, 5).await, 0, "none is leased again");
    scene.test.stop().await;
}

#[tokio::test]
async fn what_somebody_decided_of_a_token_outlives_the_incident_and_is_told() {
    let scene = Scene::of(40).await;
    let broker = &scene.test.broker;
    scene.live(Mood::Refuses, 30).await;
    let doubtful = scene.states().await.iter().position(|state| matches!(state, TokenState::Suspect { .. })).unwrap();
    let untouched = scene.states().await.iter().position(|state| *state == TokenState::Live).unwrap();
    let decided = [(doubtful, Reason::RevokedByPerson), (untouched, Reason::PasswordChanged)];
    for (nth, reason) in decided {
        let (team, token) = &scene.tokens[nth];
        broker.invalidate_token(&scene.test.admin, team, *token, reason, "").await.unwrap();
    }
    broker.watch_incidents().await.unwrap();
    for (nth, reason) in decided {
        assert!(!broker.is_covered(scene.tokens[nth].1).await.unwrap(), "{reason:?}: it is told as ever");
    }
    let id = scene.incidents().await[0].incident.id;
    broker.close_incident(&scene.test.admin, id, Outcome::Recovered, "").await.unwrap();
    broker.watch_incidents().await.unwrap();
    scene.live(Mood::Good, 60).await;
    for (nth, reason) in decided {
        let state = scene.states().await[nth];
        assert!(matches!(state, TokenState::Invalid { reason: found, .. } if found == reason), "{state:?}");
    }
    scene.test.stop().await;
}

#[tokio::test]
async fn an_open_incident_survives_a_restart() {
    let mut scene = Scene::of(40).await;
    scene.live(Mood::Refuses, 30).await;
    let before = scene.incidents().await;
    scene.test = scene.test.restart().await;
    assert_eq!(scene.incidents().await, before);
    assert!(scene.work(Mood::Good).await <= 1, "a canary at most");
    scene.live(Mood::Good, 800).await;
    assert!(scene.incidents().await[0].incident.closed.is_some());
    let facts = scene.facts().await;
    let of = |is: fn(&Fact) -> bool| facts.iter().filter(|fact| is(fact)).count();
    let counts = (
        of(|fact| matches!(fact, Fact::IncidentOpened { .. })),
        of(|fact| matches!(fact, Fact::IncidentClosed { .. })),
    );
    assert_eq!(counts, (3, 3), "who was told before the restart that it began hears that it is over: {facts:?}");
    scene.test.stop().await;
}

#[tokio::test]
async fn holders_are_recalled_in_the_breath_in_which_it_is_found() {
    let scene = Scene::of(40).await;
    let broker = &scene.test.broker;
    let mut held = Vec::new();
    for _ in 0..8 {
        for (nth, caller) in scene.collectors.iter().enumerate() {
            held.push((caller, broker.acquire_lease(caller, ask(&scene.teams[nth / 3], 2)).await.unwrap().lease));
        }
    }
    let mut recalls = broker.engine.recalls();
    let mut recalled = BTreeSet::<crate::base::ids::LeaseId>::new();
    for (caller, lease) in &held {
        let body = br#"{"title":"Unauthorized","status":401}"#.to_vec();
        let answer = Some(Answered { status: 401, body, ..Answered::default() });
        let report = ReportUsage { sequence: 1, used: 1, answer, ..ReportUsage::default() };
        broker.report_usage(caller, *lease, report).await.unwrap();
        while let Ok(recall) = recalls.try_recv() {
            recalled.extend(recall.leases());
        }
        if !broker.engine.incidents().is_empty() {
            break;
        }
    }
    let told: Vec<Timestamp> = broker.engine.incidents().iter().map(|(_, _, progress)| progress.opened_at).collect();
    assert_eq!(told, [scene.test.clock.now()]);
    assert!(recalled.len() + 6 >= held.len(), "{} of {}", recalled.len(), held.len());
    scene.test.stop().await;
}
