//! What a loss means for people and for what was collected.

use super::*;
use crate::domain::networks::{Catalogue, History, Requirement};
use crate::domain::token::Clocks;
use crate::text::Text;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn network(id: &str) -> Network {
    Network::clone(Catalogue::embedded().network(id).unwrap())
}

fn token(network: &Network, kind: &str, state: TokenState) -> Token {
    Token {
        id: crate::base::ids::TokenId::from_u128(1),
        team: "acme".parse().unwrap(),
        network: network.id.clone(),
        app: "default".parse().unwrap(),
        kind: kind.parse().unwrap(),
        person: "ann".to_owned(),
        profiles: Vec::new(),
        label: String::new(),
        granted_by: String::new(),
        scopes: vec!["read".to_owned()],
        purposes: crate::domain::networks::Purposes::default(),
        facts: std::collections::BTreeMap::new(),
        reserve_percent: None,
        max_leases: None,
        state,
        clocks: Clocks::default(),
        cooling_until: None,
        refreshed: false,
        closed: std::collections::BTreeMap::new(),
        blocked_since: None,
        created_at: NOW,
        version: 1,
    }
}

fn said(needs: &NeedsReconnecting) -> String {
    Text::english().tell_of(needs)
}

fn dead(since: Timestamp) -> TokenState {
    TokenState::Invalid { reason: Reason::PasswordChanged, since }
}

#[test]
fn what_a_network_newly_requires_asks_for_the_person_until_it_is_granted() {
    let mut x = network("x");
    let from = NOW + 20 * DAY;
    x.requirements.push(Requirement {
        kinds: Vec::new(),
        scopes: vec!["read".to_owned(), "new.read".to_owned()],
        about: "posts are read with it".to_owned(),
        from: Some(from),
        verified: Verified::Documented,
    });
    let mut held = token(&x, "user", TokenState::Live);
    let needs = needs_reconnecting(&x, &held, NOW).remove(0);
    assert_eq!((said(&needs).as_str(), needs.by), ("X requires new.read: posts are read with it", Some(from)));
    held.scopes.push("new.read".to_owned());
    assert_eq!(needs_reconnecting(&x, &held, NOW), []);
    assert_eq!(needs_reconnecting(&x, &token(&x, "user", dead(NOW)), NOW), [], "it is dead, which says more");
    x.requirements[0].kinds.push("app".parse().unwrap());
    assert_eq!(needs_reconnecting(&x, &token(&x, "user", TokenState::Live), NOW), [], "another kind");
}

#[test]
fn a_grant_that_no_renewal_prolongs_asks_for_the_person_a_month_before() {
    let linkedin = network("linkedin");
    let with = |days: u32| {
        let mut held = token(&linkedin, "user", TokenState::Live);
        held.kind = linkedin.kinds.iter().find(|kind| kind.refresh_validity.is_some()).unwrap().id.clone();
        held.clocks.refresh_expires_at = Some(NOW + DAY * days);
        needs_reconnecting(&linkedin, &held, NOW).pop()
    };
    assert_eq!(with(31), None);
    let needs = with(30).unwrap();
    assert_eq!(needs.by, Some(NOW + 30 * DAY));
    assert_eq!(
        said(&needs),
        "LinkedIn ends the grant, and no renewal prolongs it",
        "when is told in the reader's time zone"
    );
    // One that slides by itself is fixed where its network told the end.
    let youtube = network("youtube");
    let mut told = token(&youtube, "user", TokenState::Live);
    told.clocks.refresh_expires_at = Some(NOW + 7 * DAY);
    told.clocks.refresh_end_fixed = true;
    assert_eq!(needs_reconnecting(&youtube, &told, NOW).pop().unwrap().by, Some(NOW + 7 * DAY));
    let sliding = Catalogue::embedded();
    for network in sliding.iter() {
        for kind in network.kinds.iter().filter(|kind| kind.refresh_slides) {
            let mut held = token(network, kind.id.as_str(), TokenState::Live);
            held.clocks.refresh_expires_at = Some(NOW + DAY);
            assert_eq!(needs_reconnecting(network, &held, NOW), [], "{} {}", network.id, kind.id);
        }
    }
}

#[test]
fn permissions_that_are_lost_within_a_day_are_one_reason_to_come() {
    let x = network("x");
    let lost = |since: &[(&str, u32)]| {
        let closed = since.iter().map(|(operation, hours)| (operation.parse().unwrap(), NOW + DAY / 24 * *hours));
        let held = Token { closed: closed.collect(), ..token(&x, "user", TokenState::Live) };
        let needs = needs_reconnecting(&x, &held, NOW).remove(0);
        (needs.key(&held), needs)
    };
    let (first, needs) = lost(&[("search", 1)]);
    assert_eq!((said(&needs).as_str(), needs.by), ("X refuses search for want of a permission or a role", None));
    assert_eq!(lost(&[("search", 1), ("timeline", 24)]).0, first);
    let (later, needs) = lost(&[("search", 1), ("timeline", 26)]);
    assert_ne!(later, first, "of what is lost on another day people hear, too");
    let Need::Permission { operations } = needs.need else { panic!("{needs:?}") };
    assert_eq!(operations.len(), 2, "all that is missing is named");
    assert_ne!(lost(&[("search", 2)]).0, first, "it was there again in between");
}

#[test]
fn why_a_person_must_come_is_known_again_whatever_is_renewed() {
    let requirement = |scope: &str, from| Requirement {
        kinds: Vec::new(),
        scopes: vec![scope.to_owned()],
        about: "posts are read with it".to_owned(),
        from,
        verified: Verified::Documented,
    };
    let mut x = network("x");
    let key = |network: &Network, token: &Token| needs_reconnecting(network, token, NOW)[0].key(token);
    x.requirements = vec![requirement("new.read", None)];
    let held = token(&x, "user", TokenState::Live);
    let known = key(&x, &held);
    let clocks = Clocks { access_expires_at: Some(NOW + DAY), ..Clocks::default() };
    assert_eq!(key(&x, &Token { version: 22, clocks, ..held.clone() }), known);
    let anew = Clocks { consented_at: Some(NOW + DAY), ..clocks };
    assert_ne!(key(&x, &Token { clocks: anew, ..held.clone() }), known, "it was granted anew, and lacks it still");
    for other in [requirement("new.read", Some(NOW + 20 * DAY)), requirement("more.read", None)] {
        x.requirements = vec![other];
        assert_ne!(key(&x, &held), known, "there is more to say");
    }
    let linkedin = network("linkedin");
    let of_grant = |end| {
        let clocks = Clocks { refresh_expires_at: Some(end), consented_at: Some(NOW), ..Clocks::default() };
        key(&linkedin, &Token { clocks, ..token(&linkedin, "user", TokenState::Live) })
    };
    assert_eq!(of_grant(NOW + 9 * DAY), of_grant(NOW + 9 * DAY + Duration::from_micros(999_999)));
}

#[test]
fn a_dead_span_begins_with_the_death_and_ends_with_new_secrets() {
    let (hour, at) = (Duration::from_secs(3600), NOW);
    let span = |from, reason| Some(DeadSpan { from, until: at, reason });
    let cases = [
        (dead(NOW - hour), None, TokenState::Live, span(NOW - hour, Reason::PasswordChanged)),
        (dead(NOW - hour), Some(NOW - 2 * hour), TokenState::Live, span(NOW - 2 * hour, Reason::PasswordChanged)),
        (TokenState::Live, Some(NOW - hour), TokenState::Live, span(NOW - hour, Reason::Expired)),
        (TokenState::Live, Some(NOW + hour), TokenState::Live, None),
        (TokenState::Live, None, TokenState::Live, None),
        (dead(NOW - hour), None, dead(NOW - hour), None),
        (TokenState::Revoked { since: NOW }, None, TokenState::Live, None),
    ];
    for (before, ends_at, after, expected) in cases {
        assert_eq!(DeadSpan::ended(before, ends_at, after, at), expected, "{before:?} {ends_at:?}");
    }
}

#[test]
fn a_span_longer_than_a_network_reaches_back_is_told() {
    let mut x = network("x");
    let span = |days| DeadSpan { from: NOW - DAY * days, until: NOW, reason: Reason::Expired };
    x.history =
        vec![History { operation: x.operations[0].id.clone(), reaches: 7 * DAY, verified: Verified::Documented }];
    assert_eq!(reach(&x, &span(7), NOW), Reach::Whole);
    assert!(matches!(reach(&x, &span(8), NOW), Reach::Short { reaches, .. } if reaches == 7 * DAY));
    x.history.clear();
    assert_eq!(reach(&x, &span(8), NOW), Reach::Unknown);
}

#[test]
fn youtubes_clocks_run_from_the_loss_and_pass_their_stages() {
    let youtube = network("youtube");
    let kind = youtube.kinds[0].id.to_string();
    let held = token(&youtube, &kind, dead(NOW));
    let clocks = retention_clocks(&youtube, &held, NOW);
    let deadlines: Vec<_> = clocks.iter().map(|clock| clock.deadline.since(NOW) / 24 / 3600).collect();
    assert_eq!(deadlines, [Duration::from_secs(7), Duration::from_secs(30)]);
    let stages: Vec<_> = [0, 4, 6, 7].map(|days| clocks[0].stage(NOW + DAY * days)).to_vec();
    use RetentionStage::{OneDay, Over, Started, ThreeDays};
    assert_eq!(stages, [Started, ThreeDays, OneDay, Over]);
    assert_eq!(retention_clocks(&youtube, &token(&youtube, &kind, TokenState::Live), NOW), []);
    let other = network("mastodon");
    assert_eq!(retention_clocks(&other, &token(&other, "user", dead(NOW)), NOW), []);
}
