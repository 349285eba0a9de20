//! The steps of a connection, what is asked, and what may be chosen.

use std::time::Duration;

use super::*;
use crate::domain::networks::{Catalogue, Purpose};

const TEXT: &str = "2026-11";
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn connection() -> Connection {
    Connection {
        id: ConnectionId::from_u128(1),
        team: "acme".parse().unwrap(),
        network: "x".parse().unwrap(),
        app: "default".parse().unwrap(),
        kind: "user".parse().unwrap(),
        purposes: [Purpose::CollectContent].into_iter().collect(),
        scopes: Vec::new(),
        started_by: None,
        granter: Granter::default(),
        text_version: String::new(),
        token: None,
        other_account: false,
        return_url: None,
        stage: Stage::Offered,
        problem: None,
        created_at: NOW,
        ends_at: NOW + Duration::from_secs(3600),
        version: 1,
    }
}

fn minutes(minutes: u64) -> Timestamp {
    NOW + Duration::from_secs(60 * minutes)
}

fn problem() -> Problem {
    Problem::NoCode { network: "X".to_owned() }
}

#[test]
fn a_code_is_redeemed_once_and_in_time() {
    let asked = connection().ask(NOW, minutes(10), TEXT, None).unwrap();
    assert_eq!(connection().redeem(NOW), Err(StageError::Used), "nobody was asked");
    assert_eq!(asked.clone().redeem(minutes(10)), Err(StageError::TooLate));
    let redeeming = asked.redeem(minutes(9)).unwrap();
    assert_eq!(redeeming.clone().redeem(minutes(9)), Err(StageError::Used));
    assert_eq!(redeeming.version, 3);
}

#[test]
fn a_failed_try_is_repeated_and_its_problem_forgotten() {
    let failed = connection().ask(NOW, minutes(10), TEXT, None).unwrap().fail(problem());
    assert_eq!((failed.stage.clone(), failed.problem.is_some()), (Stage::Offered, true));
    assert_eq!(failed.ask(minutes(1), minutes(11), TEXT, None).unwrap().problem, None);
}

#[test]
fn what_has_ended_goes_no_further() {
    let choosing = connection().choose(Found::default());
    let connected = choosing.clone().connect(Vec::new(), NOW);
    assert_eq!(connected.clone().cancel(NOW), Err(StageError::Ended("connected")));
    assert_eq!(connected.ask(NOW, NOW, TEXT, None), Err(StageError::Ended("connected")));
    let cancelled = choosing.clone().cancel(NOW).unwrap();
    assert_eq!(cancelled.clone().cancel(minutes(1)), Ok(cancelled.clone()));
    assert_eq!(cancelled.found(NOW), Err(StageError::Ended("cancelled")));
    assert_eq!(choosing.found(minutes(60)), Err(StageError::Ended("lapsed")));
    assert_eq!(choosing.clone().lapse(minutes(59)), None);
    assert_eq!(choosing.lapse(minutes(60)).unwrap().stage.as_str(), "lapsed");
    assert_eq!(cancelled.lapse(minutes(60)), None);
    assert_eq!(connection().found(NOW), Err(StageError::NotReady));
}

#[test]
fn what_can_not_be_connected_in_a_browser_says_why() {
    let catalogue = Catalogue::embedded();
    let cases = [
        ("x", "user", None),
        ("facebook", "page", None),
        ("tiktok", "user", None),
        ("x", "oauth1", Some(NotConnectable::OAuth1)),
        ("x", "app", Some(NotConnectable::NotGranted)),
        ("xing", "partner", Some(NotConnectable::NoEndpoint)),
        ("bluesky", "user", None),
        ("mastodon", "user", Some(NotConnectable::Instances)),
    ];
    for (network, kind, expected) in cases {
        let network = catalogue.network(network).unwrap();
        assert_eq!(consent_of(network, network.kind(kind).unwrap()).err(), expected, "{} {kind}", network.id);
    }
}

#[test]
fn only_the_scopes_that_are_needed_are_asked_for() {
    let catalogue = Catalogue::embedded();
    let asked = |network: &str, kind: &str, purpose, more: &[&str]| {
        let network = catalogue.network(network).unwrap();
        let kind = network.kind(kind).unwrap();
        let (granted, _) = consent_of(network, kind).unwrap();
        let more: Vec<_> = more.iter().map(|scope| (*scope).to_owned()).collect();
        scopes_to_ask(network, granted, kind, [purpose].into_iter().collect(), &more)
    };
    assert_eq!(
        asked("x", "user", Purpose::CollectContent, &["like.read"]),
        ["like.read", "offline.access", "tweet.read", "users.read"]
    );
    let of_pages = asked("facebook", "page", Purpose::CollectStatistics, &[]);
    assert_eq!(of_pages, ["pages_read_engagement", "pages_show_list", "read_insights"]);
    assert_eq!(missing_scopes(&of_pages, &["read_insights".to_owned()]), ["pages_read_engagement", "pages_show_list"]);
}

#[test]
fn a_choice_is_of_what_can_be_connected() {
    let profile = |id: &str, obstacle| Profile { id: id.to_owned(), name: String::new(), obstacle };
    let found = Found {
        profiles: vec![profile("1", None), profile("2", Some(Obstacle::NoToken)), profile("3", None)],
        ..Found::default()
    };
    let chosen = |ids: &[&str]| {
        let ids: Vec<_> = ids.iter().map(|id| (*id).to_owned()).collect();
        found.chosen(&ids).map(|chosen| chosen.into_iter().map(|one| one.id.clone()).collect::<Vec<_>>())
    };
    assert_eq!(chosen(&["3", "1", "3"]).unwrap(), ["3", "1"]);
    assert_eq!(chosen(&[]), Err(ChoiceError::Nothing));
    assert_eq!(chosen(&["9"]), Err(ChoiceError::Unknown("9".to_owned())));
    assert!(matches!(chosen(&["2"]), Err(ChoiceError::Obstacle { .. })));
    assert_eq!(Found::default().chosen(&[]), Ok(Vec::new()), "the account itself");
}

#[test]
fn who_is_signed_in_is_bound_and_nobody_else_goes_on() {
    let (ada, bob) = (MemberId::from_u128(1), MemberId::from_u128(2));
    let asked = connection().ask(NOW, minutes(10), TEXT, None).unwrap();
    assert_eq!((asked.granter.clone(), &*asked.text_version), (Granter::default(), TEXT));
    assert!(asked.granter.lets_on(None) && asked.granter.lets_on(Some(ada)), "whoever has the browser");
    let bound = asked.fail(problem()).ask(NOW, minutes(10), "2027-01", Some(ada)).unwrap();
    assert_eq!((bound.granter.clone(), &*bound.text_version), (Granter::Member(ada), "2027-01"));
    assert!(bound.granter.lets_on(Some(ada)) && !bound.granter.lets_on(Some(bob)) && !bound.granter.lets_on(None));
    assert_eq!(bound.granter.granted_by(), ada.to_string());
}
