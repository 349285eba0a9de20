//! Incidents: one open for an app, and its tokens worked off in parts.

use super::Fixture;
use super::samples::{at, event, seed};
use crate::base::ids::{IncidentId, TeamId, TokenId};
use crate::domain::alert::Acknowledgement;
use crate::domain::audit::STATE_FOUND;
use crate::domain::incident::{Closed, Detected, Incident, IncidentKind, Outcome, Progress, SeenIn};
use crate::domain::token::{Reason, TokenState};
use crate::store::{AuditFilter, IncidentFilter, SealedSecrets, Store, TokenChange};

fn incident(n: u128, kind: IncidentKind) -> Incident {
    let detected = Detected { kind, started_at: at(10), persons: 5 };
    Incident {
        id: IncidentId::from_u128(n),
        network: "x".parse().unwrap(),
        app: "default".parse().unwrap(),
        progress: Progress::begin(detected, SeenIn::Calls, at(20)),
        closed: None,
        acknowledged: None,
    }
}

/// Finds out the state of a token.
async fn put(store: &dyn Store, n: u128, state: TokenState) {
    put_by(store, STATE_FOUND, n, state).await;
}

/// Changes the state of a token by this action.
async fn put_by(store: &dyn Store, action: &'static str, n: u128, state: TokenState) {
    let before = store.find_token(TokenId::from_u128(n)).await.unwrap().unwrap().token;
    let change = TokenChange {
        expected_version: before.version,
        expected_state: before.state,
        token: crate::domain::token::Token { state, ..before },
        secrets: None,
        trail: event(action, "t").into(),
        revocation: None,
        alerts: Vec::new(),
    };
    store.change_token(change).await.unwrap();
}

async fn state(store: &dyn Store, n: u128) -> TokenState {
    store.find_token(TokenId::from_u128(n)).await.unwrap().unwrap().token.state
}

fn dead(reason: Reason, since: i64) -> TokenState {
    TokenState::Invalid { reason, since: at(since) }
}

pub(crate) async fn a_team_takes_notice_once(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let (id, team) = (IncidentId::from_u128(1), "acme".parse::<TeamId>().unwrap());
    let noted = |by: &str| Acknowledgement { at: at(30), by: by.to_owned(), comment: "we wait".to_owned() };
    let trail = || event("incident.acknowledge", "i").into();
    assert!(
        !store.acknowledge_for_team(id, &team, noted("Ada"), trail()).await.unwrap(),
        "it does not concern the team"
    );
    store.concern_teams(id, vec![(team.clone(), 3)], Vec::new()).await.unwrap();
    assert_eq!(store.team_acknowledgement(id, &team).await.unwrap(), None);
    assert!(store.acknowledge_for_team(id, &team, noted("Ada"), trail()).await.unwrap());
    assert!(!store.acknowledge_for_team(id, &team, noted("Bob"), trail()).await.unwrap());
    assert_eq!(store.team_acknowledgement(id, &team).await.unwrap(), Some(noted("Ada")));
    let audited = AuditFilter { action: Some("incident.acknowledge".to_owned()), ..AuditFilter::default() };
    assert_eq!(store.list_audit(audited, 10).await.unwrap().len(), 1);
    store.close().await;
}

pub(crate) async fn those_of_a_team_are_listed_in_pages(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let (acme, other) = ("acme".parse::<TeamId>().unwrap(), "other".parse::<TeamId>().unwrap());
    let closed = || Some(Closed { at: at(40), by: "broker".to_owned(), outcome: Outcome::Recovered });
    for (n, is_open) in [(1, true), (2, false), (3, false), (4, false), (5, true)] {
        let app = format!("app{n}").parse().unwrap();
        let opened = Incident { app, ..incident(n, IncidentKind::NetworkReset) };
        assert!(store.open_incident(opened.clone(), event("incident.open", "i").into()).await.unwrap());
        if !is_open {
            store.update_incident(Incident { closed: closed(), ..opened }, None).await.unwrap();
        }
    }
    let concern = async |n, team: &TeamId| {
        store.concern_teams(IncidentId::from_u128(n), vec![(team.clone(), 1)], Vec::new()).await.unwrap();
    };
    for n in 1..=3 {
        concern(n, &acme).await;
    }
    for n in 3..=5 {
        concern(n, &other).await;
    }
    let list = async |team: &TeamId, open, before: Option<u128>, limit| {
        let filter = IncidentFilter { open, before: before.map(IncidentId::from_u128), ..IncidentFilter::default() };
        let found = store.list_incidents_of_team(team, filter, limit).await.unwrap();
        found.into_iter().map(|incident| incident.id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(list(&acme, None, None, 10).await, [3, 2, 1]);
    assert_eq!(list(&acme, None, None, 2).await, [3, 2]);
    assert_eq!(list(&acme, Some(true), None, 10).await, [1]);
    assert_eq!(list(&acme, Some(false), None, 10).await, [3, 2]);
    assert_eq!(list(&acme, Some(false), Some(3), 10).await, [2]);
    assert_eq!(list(&other, None, Some(5), 10).await, [4, 3]);
    let elsewhere = IncidentFilter { network: Some("y".parse().unwrap()), ..IncidentFilter::default() };
    assert!(store.list_incidents_of_team(&acme, elsewhere, 10).await.unwrap().is_empty());
    store.close().await;
}

pub(crate) async fn one_incident_is_open_for_an_app(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let first = incident(1, IncidentKind::NetworkReset);
    assert!(store.open_incident(first.clone(), event("incident.open", "i").into()).await.unwrap());
    assert!(!store.open_incident(incident(2, IncidentKind::AppDisabled), event("x", "i").into()).await.unwrap());
    let acknowledged = Some((at(30), "keys/key_1".to_owned()));
    let closed = Some(Closed { at: at(40), by: "broker".to_owned(), outcome: Outcome::Lost });
    let over = Incident { acknowledged, closed, ..first.clone() };
    store.update_incident(over.clone(), None).await.unwrap();
    assert!(store.open_incident(incident(2, IncidentKind::AppDisabled), event("x", "i").into()).await.unwrap());
    store.close().await;
    let store = fixture.open().await;
    assert_eq!(store.find_incident(first.id).await.unwrap(), Some(over.clone()));
    let list = async |open| {
        let filter = IncidentFilter { open, ..IncidentFilter::default() };
        let found = store.list_incidents(filter, 10).await.unwrap();
        found.into_iter().map(|incident| incident.id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!((list(None).await, list(Some(true)).await, list(Some(false)).await), (vec![2, 1], vec![2], vec![1]));
    assert_eq!(store.unsettled_incidents().await.unwrap(), [over]);
    store.close().await;
}

/// An incident that two of seven tokens came into and stayed in, and that ended like this, worked off token by token. Returns how many were
/// settled.
async fn settled(store: &dyn Store, outcome: Outcome) -> (Incident, usize) {
    seed(store, 7).await;
    put(store, 1, TokenState::Suspect { since: at(11) }).await;
    put(store, 2, dead(Reason::PasswordChanged, 10)).await;
    put(store, 3, dead(Reason::RevokedByPerson, 9)).await;
    put(store, 4, TokenState::Paused { since: at(12) }).await;
    put_by(store, "token.invalidate", 5, dead(Reason::PasswordChanged, 12)).await;
    put(store, 6, dead(Reason::PermissionLost, 12)).await;
    put(store, 7, TokenState::Suspect { since: at(12) }).await;
    let open = incident(7, IncidentKind::NetworkReset);
    assert!(store.open_incident(open.clone(), event("incident.open", "i").into()).await.unwrap());
    let covered = async |n| store.find_covering(TokenId::from_u128(n)).await.unwrap().is_some();
    assert!(!covered(5).await && !covered(6).await && covered(7).await, "what it does not explain is told as ever");
    assert_eq!(store.take_into_incident(&open, 2).await.unwrap(), 2);
    assert_eq!(store.take_into_incident(&open, 10).await.unwrap(), 1);
    assert!(covered(2).await);
    put_by(store, "token.invalidate", 7, dead(Reason::RevokedByPerson, 13)).await;
    assert!(!covered(7).await);
    assert_eq!(store.take_into_incident(&open, 1).await.unwrap(), 0);
    assert_eq!(store.count_incident_tokens(open.id).await.unwrap(), [("acme".parse().unwrap(), 2)]);
    assert_eq!(store.sample_incident_tokens(open.id, 1).await.unwrap().len(), 1);
    let closed = Some(Closed { at: at(40), by: "broker".to_owned(), outcome });
    store.update_incident(Incident { closed, ..open.clone() }, None).await.unwrap();
    let mut settled = 0;
    loop {
        match store.settle_incident_tokens(&open, outcome, at(50), 1).await.unwrap().len() {
            0 => break,
            some => settled += some,
        }
    }
    assert_eq!(store.unsettled_incidents().await.unwrap(), []);
    assert_eq!(state(store, 3).await, dead(Reason::RevokedByPerson, 9), "before it began");
    assert_eq!(state(store, 4).await, TokenState::Paused { since: at(12) });
    let decided = [state(store, 5).await, state(store, 7).await];
    assert_eq!(
        decided,
        [dead(Reason::PasswordChanged, 12), dead(Reason::RevokedByPerson, 13)],
        "what was decided stays"
    );
    assert_eq!(state(store, 6).await, dead(Reason::PermissionLost, 12), "it has a cause of its own");
    let filter = AuditFilter { subject_prefix: Some("teams/acme/tokens/".to_owned()), ..AuditFilter::default() };
    let written: Vec<_> = store.list_audit(filter, 10).await.unwrap().into_iter().map(|row| row.detail).collect();
    let of_incident = written.iter().filter(|detail| detail.ends_with(&format!("incident={}", open.id)));
    assert_eq!(of_incident.count(), settled, "{written:?}");
    (open, settled)
}

pub(crate) async fn tokens_leave_an_incident_healed(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let (open, settled) = settled(&*store, Outcome::Recovered).await;
    let found = [state(&*store, 1).await, state(&*store, 2).await];
    assert_eq!((settled, found), (2, [TokenState::Live, TokenState::Suspect { since: at(50) }]));
    assert_eq!(store.count_incident_tokens(open.id).await.unwrap(), []);
    let pruned = async |before| store.prune_incidents(at(before), 10).await.unwrap();
    assert_eq!((pruned(40).await, pruned(41).await), (0, 1));
    store.close().await;
}

pub(crate) async fn tokens_stay_in_an_incident_that_they_are_lost_by(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let (open, settled) = settled(&*store, Outcome::Lost).await;
    let found = [state(&*store, 1).await, state(&*store, 2).await];
    assert_eq!((settled, found), (2, [dead(Reason::PlatformReset, 11), dead(Reason::PlatformReset, 10)]));
    assert_eq!(store.count_incident_tokens(open.id).await.unwrap().len(), 1);
    let told = store.untold_events(None, 10).await.unwrap();
    let mut dead: Vec<_> =
        told.iter().map(|event| (event.fact.token().unwrap().as_u128(), event.fact.lost_with_many())).collect();
    dead.sort_unstable_by_key(|(token, _)| *token);
    assert_eq!(dead, [(1, Some(Reason::PlatformReset)), (2, Some(Reason::PlatformReset))], "each is an event");
    assert!(told.iter().all(|event| event.team.as_ref().is_some_and(|team| team.as_str() == "acme")), "{told:?}");
    store.close().await;
}

pub(crate) async fn an_app_that_is_given_up_takes_all_that_it_covers(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 4).await;
    put(&*store, 1, TokenState::Suspect { since: at(11) }).await;
    put(&*store, 2, dead(Reason::PasswordChanged, 12)).await;
    put_by(&*store, "token.pause", 4, TokenState::Paused { since: at(12) }).await;
    let open = incident(7, IncidentKind::AppDisabled);
    assert!(store.open_incident(open.clone(), event("incident.open", "i").into()).await.unwrap());
    let acme: TeamId = "acme".parse().unwrap();
    assert_eq!(store.count_covered_tokens(&open).await.unwrap(), [(acme.clone(), 2)]);
    for tokens in [2, 9] {
        store.concern_teams(open.id, vec![(acme.clone(), tokens)], Vec::new()).await.unwrap();
    }
    assert_eq!(store.concerned_teams(open.id).await.unwrap(), [(acme.clone(), 2)], "as it was when it was told");
    assert_eq!(store.take_into_incident(&open, 10).await.unwrap(), 1);
    let closed = Some(Closed { at: at(40), by: "broker".to_owned(), outcome: Outcome::Lost });
    let over = Incident { closed, ..open.clone() };
    store.update_incident(over.clone(), None).await.unwrap();
    assert_eq!(store.take_into_incident(&over, 10).await.unwrap(), 1);
    let settle = async || store.settle_incident_tokens(&over, Outcome::Lost, at(50), 10).await.unwrap().len();
    assert_eq!((settle().await, settle().await), (2, 0));
    let states = [state(&*store, 1).await, state(&*store, 2).await, state(&*store, 3).await, state(&*store, 4).await];
    let (given_up, own) = (Reason::AppDisabled, dead(Reason::PasswordChanged, 12));
    assert_eq!(states, [dead(given_up, 11), own, dead(given_up, 50), TokenState::Paused { since: at(12) }]);
    assert_eq!(store.prune_incidents(at(41), 10).await.unwrap(), 1);
    assert_eq!(store.concerned_teams(open.id).await.unwrap(), []);
    store.close().await;
}

pub(crate) async fn new_secrets_are_outside_an_incident(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 2).await;
    let open = incident(7, IncidentKind::NetworkReset);
    assert_eq!(store.tokens_outside_incident(&open).await.unwrap(), []);
    let before = store.find_token(TokenId::from_u128(1)).await.unwrap().unwrap().token;
    let mut audit = event("token.update", "t");
    audit.at = at(11);
    let change = TokenChange {
        expected_version: 1,
        expected_state: before.state,
        token: crate::domain::token::Token { version: 2, ..before },
        secrets: Some(SealedSecrets { access: vec![1], renew_at: Some(at(700)), ..SealedSecrets::default() }),
        trail: audit.into(),
        revocation: None,
        alerts: Vec::new(),
    };
    store.change_token(change).await.unwrap();
    assert_eq!(store.tokens_outside_incident(&open).await.unwrap(), [TokenId::from_u128(1)]);
    put(&*store, 1, TokenState::Suspect { since: at(12) }).await;
    assert_eq!(store.take_into_incident(&open, 10).await.unwrap(), 0);
    let (network, app) = (&open.network, &open.app);
    let due = store.next_renewals_since(network, app, at(10), 10).await.unwrap();
    assert_eq!(due, [(TokenId::from_u128(1), at(700))]);
    let before = async |before| store.has_renewal_before(network, app, at(before)).await.unwrap();
    assert!(before(10).await, "the other one may be renewed");
    let covered = async || {
        let [one, two] = [1, 2].map(TokenId::from_u128);
        (store.find_covering(one).await.unwrap().is_some(), store.find_covering(two).await.unwrap().is_some())
    };
    assert_eq!(covered().await, (false, false), "nothing is open");
    assert!(store.open_incident(open.clone(), event("incident.open", "i").into()).await.unwrap());
    assert_eq!(covered().await, (false, true));
    let closed = Some(Closed { at: at(40), by: "broker".to_owned(), outcome: Outcome::Recovered });
    store.update_incident(Incident { closed, ..open.clone() }, None).await.unwrap();
    assert_eq!(covered().await, (false, false));
    put(&*store, 2, dead(Reason::PasswordChanged, 13)).await;
    assert!(!before(10).await && before(12).await, "it is past renewal");
    store.close().await;
}
