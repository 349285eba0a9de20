//! When tokens are renewed, and what follows from an answer or from none.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::base::ids::TokenId;
use crate::base::secret::Secret;
use crate::domain::networks::{Catalogue, Purposes};
use crate::domain::token::Clocks;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn kind(network: &str, kind: &str) -> TokenKind {
    Catalogue::embedded().network(network).unwrap().kind(kind).unwrap().clone()
}

fn token(access: Option<Duration>, refresh: Option<Duration>) -> Token {
    Token {
        id: TokenId::from_u128(1),
        team: "acme".parse().unwrap(),
        network: "x".parse().unwrap(),
        app: "default".parse().unwrap(),
        kind: "user".parse().unwrap(),
        person: "p".to_owned(),
        profiles: Vec::new(),
        label: String::new(),
        granted_by: String::new(),
        scopes: vec!["tweet.read".to_owned()],
        purposes: Purposes::default(),
        facts: BTreeMap::new(),
        reserve_percent: None,
        max_leases: None,
        state: TokenState::Live,
        clocks: Clocks {
            access_expires_at: access.map(|life| NOW + life),
            refresh_expires_at: refresh.map(|life| NOW + life),
            ..Clocks::default()
        },
        cooling_until: None,
        refreshed: false,
        closed: BTreeMap::new(),
        blocked_since: None,
        created_at: NOW,
        version: 7,
    }
}

fn reply(refresh: Option<&str>, access_life: Option<Duration>, refresh_life: Option<Duration>) -> TokenReply {
    let refresh = refresh.map(|text| Secret::new(text.to_owned()));
    TokenReply {
        access: Secret::new("new".to_owned()),
        refresh,
        access_life,
        refresh_life,
        scopes: None,
        subject: None,
        bound: false,
    }
}

fn invalid(reason: Reason) -> TokenState {
    TokenState::Invalid { reason, since: NOW }
}

#[test]
fn each_family_has_its_time() {
    let cases = [
        // A third of the life is left.
        ("x", "user", Some(2 * HOUR), None, Some(80 * MINUTE)),
        ("youtube", "user", Some(HOUR), None, Some(40 * MINUTE)),
        ("tiktok", "user", Some(24 * HOUR), Some(365 * DAY), Some(16 * HOUR)),
        ("linkedin", "user", Some(60 * DAY), Some(365 * DAY), Some(40 * DAY)),
        ("pinterest", "user", Some(30 * DAY), Some(60 * DAY), Some(20 * DAY)),
        // Not more than two thirds before the end, and not at once again.
        ("tumblr", "user", Some(12 * MINUTE), None, Some(5 * MINUTE)),
        ("reddit", "user", Some(6 * MINUTE), None, Some(4 * MINUTE)),
        // What ends in a moment is not asked for again and again.
        ("reddit", "user", Some(MINUTE), None, Some(MINUTE)),
        // What is over already is asked for at once, by a refresh token.
        ("reddit", "user", Some(Duration::ZERO), None, Some(Duration::ZERO)),
        // A life that is not known is taken as the one that is documented, just begun.
        ("x", "user", None, None, Some(80 * MINUTE)),
        ("instagram", "instagram_login", Some(60 * DAY), None, Some(40 * DAY)),
        ("facebook", "user", Some(60 * DAY), None, Some(40 * DAY)),
        // One that was issued long ago may be renewed as soon as it is here.
        ("threads", "user", Some(2 * HOUR), None, Some(80 * MINUTE)),
        ("facebook", "page", None, None, None),
        ("mastodon", "user", None, None, None),
        ("github", "oauth_app", Some(HOUR), None, None),
        ("x", "oauth1", None, None, None),
        ("xing", "partner", None, None, None),
        ("bluesky", "user", Some(15 * MINUTE), Some(90 * DAY), Some(5 * MINUTE)),
    ];
    for (network, of, access, refresh, expected) in cases {
        let due = due_at(&kind(network, of), &token(access, refresh), true, NOW, 0);
        assert_eq!(due, expected.map(|after| NOW + after), "{network} {of}");
    }
}

#[test]
fn the_end_that_comes_first_counts() {
    let due = |network, access, refresh| {
        due_at(&kind(network, "user"), &token(Some(access), Some(refresh)), true, NOW, 0).map(|due| due.since(NOW))
    };
    assert_eq!(due("tiktok", 10 * 365 * DAY, 90 * DAY), Some(70 * DAY), "the refresh token ends first");
    assert_eq!(due("tiktok", 24 * HOUR, 90 * DAY), Some(16 * HOUR));
    assert_eq!(due("tiktok", 24 * HOUR, Duration::ZERO), Some(16 * HOUR), "one that is over hastens nothing");
}

#[test]
fn no_life_is_believed_that_is_longer_than_documented() {
    let x = kind("x", "user");
    let lives = |told| access_life(&x, &reply(None, told, None));
    assert_eq!(lives(None), Some(2 * HOUR));
    assert_eq!(lives(Some(HOUR)), Some(HOUR));
    assert_eq!(lives(Some(3650 * DAY)), Some(2 * HOUR));
    assert_eq!(access_life(&kind("mastodon", "user"), &reply(None, Some(9 * DAY), None)), Some(9 * DAY));
    let renewed = renewed(&x, &token(None, None), &reply(None, Some(3650 * DAY), None), NOW);
    assert_eq!(renewed.clocks.access_expires_at, Some(NOW + 2 * HOUR));
}

#[test]
fn a_refresh_token_stays_with_the_grant_that_it_is_of() {
    let (x, youtube, bluesky) = (kind("x", "user"), kind("youtube", "user"), kind("bluesky", "user"));
    let held = token(Some(HOUR), Some(DAY));
    let other = Token { person: "q".to_owned(), ..held.clone() };
    let dead = |reason| Token { state: invalid(reason), ..held.clone() };
    let over = token(Some(HOUR), Some(Duration::ZERO));
    let cases = [
        (&x, &held, false, &held, true),
        (&x, &dead(Reason::Expired), false, &held, true),
        (&x, &dead(Reason::RefreshRejected), false, &held, false),
        (&x, &dead(Reason::PasswordChanged), false, &held, false),
        (&x, &over, false, &held, false),
        (&x, &held, false, &other, false),
        (&x, &held, true, &held, false),
        (&youtube, &held, true, &held, true),
        (&bluesky, &held, false, &held, false),
    ];
    for (at, (kind, held, may_be_used, new, expected)) in cases.into_iter().enumerate() {
        assert_eq!(stays_refreshable(kind, held, may_be_used, new, NOW), expected, "{at}");
    }
}

#[test]
fn nothing_is_renewed_that_can_not_be() {
    let (x, threads) = (kind("x", "user"), kind("threads", "user"));
    assert!(!is_renewable(&x, TokenState::Live, false), "without its refresh token");
    assert!(is_renewable(&threads, TokenState::Live, false));
    for state in [TokenState::Live.pause(NOW).unwrap(), TokenState::Live.doubt(NOW)] {
        assert!(is_renewable(&x, state, true) && is_renewable(&threads, state, false), "{state:?}");
    }
    for reason in Reason::ALL {
        let again = matches!(reason, Reason::Expired | Reason::NotAccepted);
        assert_eq!(is_renewable(&x, invalid(reason), true), again, "{reason:?}");
        assert!(!is_renewable(&threads, invalid(reason), false), "{reason:?}");
    }
    assert!(!is_renewable(&x, TokenState::Live.revoke(NOW), true));
}

#[test]
fn a_reply_never_replaces_something_by_nothing() {
    let pinterest = kind("pinterest", "user");
    let before = token(Some(DAY), Some(60 * DAY));
    let bare = renewed(&pinterest, &before, &reply(None, None, None), NOW + HOUR);
    assert_eq!(bare.version, 8);
    assert_eq!(bare.clocks.access_expires_at, Some(NOW + HOUR + 30 * DAY), "as documented");
    assert_eq!(bare.clocks.refresh_expires_at, Some(NOW + HOUR + 60 * DAY), "its life began anew");
    assert_eq!((bare.scopes, bare.clocks.data_access_expires_at), (before.scopes, None));
    let told = renewed(&pinterest, &token(None, None), &reply(Some("r"), Some(HOUR), Some(DAY)), NOW);
    assert_eq!((told.clocks.access_expires_at, told.clocks.refresh_expires_at), (Some(NOW + HOUR), Some(NOW + DAY)));
    let absolute = renewed(&kind("linkedin", "user"), &token(Some(DAY), Some(9 * DAY)), &reply(None, None, None), NOW);
    assert_eq!(absolute.clocks.refresh_expires_at, Some(NOW + 9 * DAY), "using it does not prolong it");
}

#[test]
fn an_end_that_the_network_told_is_not_moved_by_a_guess() {
    let youtube = kind("youtube", "user");
    let life = |told| refresh_life(&youtube, &reply(Some("r"), None, told)).unwrap();
    assert_eq!(life(Some(7 * DAY)), RefreshLife { lasts: 7 * DAY, is_fixed: true }, "its app is not published");
    assert_eq!(life(None), RefreshLife { lasts: 180 * DAY, is_fixed: false });
    let before = |is_fixed| {
        let mut token = token(Some(HOUR), Some(7 * DAY));
        token.clocks.refresh_end_fixed = is_fixed;
        token
    };
    let silent = reply(None, Some(HOUR), None);
    let after = renewed(&youtube, &before(true), &silent, NOW + DAY);
    assert_eq!((after.clocks.refresh_expires_at, after.clocks.refresh_end_fixed), (Some(NOW + 7 * DAY), true));
    assert!(!is_mended_by_renewal(&youtube, &after, NOW + DAY), "only the person can");
    let slid = renewed(&youtube, &before(false), &silent, NOW + DAY);
    assert_eq!((slid.clocks.refresh_expires_at, slid.clocks.refresh_end_fixed), (Some(NOW + 181 * DAY), false));
    assert!(is_mended_by_renewal(&youtube, &before(false), NOW + DAY));
    let told = renewed(&youtube, &before(false), &reply(None, None, Some(3 * DAY)), NOW);
    assert_eq!((told.clocks.refresh_expires_at, told.clocks.refresh_end_fixed), (Some(NOW + 3 * DAY), true));
    // One that is replaced by being used has a life of its own each time.
    let pinterest = kind("pinterest", "user");
    let first = renewed(&pinterest, &before(false), &reply(Some("r"), None, Some(9 * DAY)), NOW);
    let next = renewed(&pinterest, &first, &reply(Some("s"), None, None), NOW + DAY);
    assert_eq!(next.clocks.refresh_expires_at, Some(NOW + 61 * DAY));
}

#[test]
fn no_life_of_a_refresh_token_is_believed_that_is_longer_than_documented() {
    let tiktok = kind("tiktok", "user");
    let huge = reply(Some("r"), None, Some(3650 * DAY));
    assert_eq!(refresh_life(&tiktok, &huge).unwrap().lasts, 365 * DAY);
    let renewed = renewed(&tiktok, &token(Some(DAY), Some(9 * DAY)), &huge, NOW);
    assert_eq!(renewed.clocks.refresh_expires_at, Some(NOW + 365 * DAY));
    let reddit = refresh_life(&kind("reddit", "user"), &huge).unwrap();
    assert_eq!(reddit.lasts, 3650 * DAY, "nothing is documented");
}

#[test]
fn an_end_that_is_told_again_stays_as_it_was() {
    let linkedin = kind("linkedin", "user");
    let before = token(Some(9 * DAY), Some(9 * DAY));
    let asked_at = NOW + 40 * MINUTE + Duration::from_micros(654_321);
    let left = Duration::from_secs(before.clocks.refresh_expires_at.unwrap().since(asked_at).as_secs());
    let after = renewed(&linkedin, &before, &reply(None, Some(left), Some(left)), asked_at);
    assert_eq!(after.clocks, before.clocks);
    let earlier = renewed(&linkedin, &before, &reply(None, Some(left), Some(left - 3 * MINUTE)), asked_at);
    assert_eq!(earlier.clocks.refresh_expires_at, Some(asked_at + left - 3 * MINUTE), "it is another one");
}

#[test]
fn people_hear_of_failing_renewals_when_half_of_the_time_for_them_is_gone() {
    let cases = [("x", 20 * MINUTE), ("youtube", 10 * MINUTE), ("bluesky", 5 * MINUTE), ("tiktok", 4 * HOUR)];
    for (network, before) in cases {
        assert_eq!(told_before_end(&kind(network, "user")), before, "{network}");
    }
}

#[test]
fn a_reply_brings_back_to_life_but_undoes_no_decision() {
    let x = kind("x", "user");
    let after = |state| renewed(&x, &Token { state, ..token(None, None) }, &reply(None, None, None), NOW).state;
    for state in [TokenState::Live.doubt(NOW), invalid(Reason::Expired), invalid(Reason::NotAccepted)] {
        assert_eq!(after(state), TokenState::Live);
    }
    let decided = [TokenState::Live.pause(NOW).unwrap(), TokenState::Live.revoke(NOW), invalid(Reason::PersonBlocked)];
    for state in decided {
        assert_eq!(after(state), state);
    }
}

#[test]
fn only_a_refusal_ends_a_token() {
    use ErrorClass as Class;
    let (x, threads) = (kind("x", "user"), kind("threads", "user"));
    let live = token(Some(HOUR), None);
    let over = token(Some(Duration::ZERO), None);
    let dead = |kind: &TokenKind, token: &Token, class| match after_failure(
        kind,
        token,
        Failure::NotDone(class, None),
        3,
        NOW,
        0,
    ) {
        Verdict::Dead(reason) => Some(reason),
        Verdict::Again(_) => None,
    };
    let cases = [
        (&x, &live, Class::RefreshRejected, Some(Reason::RefreshRejected)),
        (&x, &live, Class::TokenRevoked, Some(Reason::RevokedByPerson)),
        (&x, &live, Class::PasswordChanged, Some(Reason::PasswordChanged)),
        (&x, &live, Class::UserCheckpoint, Some(Reason::PersonBlocked)),
        (&threads, &live, Class::TokenExpired, Some(Reason::Expired)),
        (&x, &live, Class::TokenExpired, None),
        // What may mean a dead grant does so where the access token does not work either.
        (&x, &live, Class::TokenInvalid, None),
        (&x, &over, Class::TokenInvalid, Some(Reason::RefreshRejected)),
        (&x, &over, Class::Transient, None),
        (&x, &over, Class::RateLimitedApp, None),
        (&x, &over, Class::RateLimitedToken, None),
        (&x, &over, Class::AppLevel, None),
        (&x, &over, Class::QuotaExhaustedApp, None),
        (&x, &over, Class::BlockedPolicy, None),
        (&x, &over, Class::PermissionLost, None),
        (&x, &over, Class::BadRequest, None),
        (&x, &over, Class::RetryWithNonce, None),
    ];
    for (kind, token, class, expected) in cases {
        assert_eq!(dead(kind, token, class), expected, "{class:?}");
    }
    let not_accepted = Token { state: invalid(Reason::NotAccepted), ..live };
    assert_eq!(dead(&x, &not_accepted, Class::TokenInvalid), Some(Reason::RefreshRejected));
    assert!(matches!(after_failure(&x, &over, Failure::Unknown, 99, NOW, 0), Verdict::Again(_)));
}

#[test]
fn what_may_have_been_used_is_taken_up_as_the_network_allows() {
    let live = token(Some(2 * HOUR), None);
    let first = |network| match after_failure(&kind(network, "user"), &live, Failure::Unknown, 1, NOW, u64::MAX) {
        Verdict::Again(at) => at.since(NOW),
        Verdict::Dead(reason) => panic!("{reason:?}"),
    };
    // A refresh token that stays, or that rotates with a grace, is shown again at once; the single-use ones as late as can be.
    for (network, expected) in [("youtube", 1), ("tiktok", 1), ("facebook", 1), ("x", 6600), ("github", 6600)] {
        assert_eq!(first(network).as_secs_f64().round() as u64, expected, "{network}");
    }
    let x = kind("x", "user");
    assert_eq!(deferred_to(&x, &Token { state: invalid(Reason::Expired), ..live }), None, "nothing serves meanwhile");
    assert_eq!(deferred_to(&x, &token(None, None)), None);
}

#[test]
fn a_person_waits_for_what_may_have_been_used_as_the_schedule_does() {
    let live = token(Some(2 * HOUR), None);
    let over = Token { state: invalid(Reason::Expired), ..live.clone() };
    let last_call = NOW + 110 * MINUTE;
    let cases = [
        ("x", &live, None, Some(last_call)),
        ("x", &live, Some(NOW + MINUTE), Some(last_call)),
        ("x", &live, Some(NOW + 115 * MINUTE), Some(NOW + 115 * MINUTE)),
        ("x", &over, Some(NOW + MINUTE), Some(NOW + MINUTE)),
        ("x", &over, None, None),
        ("youtube", &live, Some(NOW + MINUTE), None),
        ("tiktok", &live, Some(NOW + MINUTE), None),
    ];
    for (network, token, due_at, expected) in cases {
        assert_eq!(unanswered_until(&kind(network, "user"), token, due_at), expected, "{network} {due_at:?}");
    }
}

#[test]
fn a_wait_that_was_asked_for_is_kept() {
    let ask = |wait| {
        let failure = Failure::NotDone(ErrorClass::RateLimitedApp, Some(wait));
        after_failure(&kind("x", "user"), &token(None, None), failure, 1, NOW, 0)
    };
    assert_eq!(ask(HOUR), Verdict::Again(NOW + HOUR));
    assert_eq!(ask(400 * DAY), Verdict::Again(NOW + LONGEST_WAIT));
}

proptest! {
    #[test]
    fn a_renewal_comes_in_time_and_not_at_once(
        minutes in 1_u32..200_000,
        luck in any::<u64>(),
        network in prop::sample::select(vec!["x", "youtube", "tiktok", "linkedin", "pinterest", "reddit", "tumblr", "github"]),
    ) {
        let life = MINUTE * minutes;
        let due = due_at(&kind(network, "user"), &token(Some(life), None), true, NOW, luck).unwrap();
        let before_end = (NOW + life).since(due);
        prop_assert!(due >= NOW + SHORTEST_AGE.min(life * 2 / 3).max(MINUTE));
        prop_assert!(due < NOW + life || minutes == 1, "it is dead for no longer than it must");
        prop_assert!(life < 15 * MINUTE || before_end >= SHORTEST_LEAD.min(life / 3));
        prop_assert!(before_end <= LONGEST_LEAD + LONGEST_LEAD / SPREAD);
    }

    #[test]
    fn a_self_renewing_token_is_old_enough_and_not_over(hours in 3_u32..1440, luck in any::<u64>()) {
        let kind = kind("threads", "user");
        let end = NOW + HOUR * hours;
        let issued = end - 60 * DAY;
        let due = due_at(&kind, &token(Some(HOUR * hours), None), false, NOW, luck).unwrap();
        prop_assert!(due < end && due >= issued + DAY);
    }

    #[test]
    fn a_grant_that_gets_shorter_lives_is_not_asked_without_end(luck in any::<u64>()) {
        // Near the end of a grant of a year the network gives only what is left.
        let (linkedin, end) = (kind("linkedin", "user"), NOW + 60 * DAY);
        let (mut now, mut renewals) = (NOW, 0);
        while now < end {
            let mut token = token(None, None);
            token.clocks.access_expires_at = Some(end);
            now = due_at(&linkedin, &token, true, now, luck).unwrap();
            renewals += 1;
            prop_assert!(renewals < 100);
        }
    }

    #[test]
    fn waits_are_bounded(failures in 1_u32..200, luck in any::<u64>()) {
        let failure = Failure::NotDone(ErrorClass::Transient, None);
        let Verdict::Again(at) = after_failure(&kind("youtube", "user"), &token(None, None), failure, failures, NOW, luck)
            else { return Err(TestCaseError::fail("dead")) };
        prop_assert!(at.since(NOW) <= MOST_BACKOFF);
    }
}

#[test]
fn a_renewal_is_of_use_where_it_moves_the_end() {
    let days = |days: u32| Some(DAY * days);
    let with = |access, refresh, data: Option<Duration>| {
        let mut token = token(access, refresh);
        token.clocks.data_access_expires_at = data.map(|life| NOW + life);
        token
    };
    let cases = [
        ("linkedin", "user", with(days(60), days(300), None), true),
        ("linkedin", "user", with(days(4), days(300), None), true),
        ("linkedin", "user", with(days(4), days(4), None), false),
        ("tiktok", "user", with(days(1), days(7), None), false),
        ("pinterest", "user", with(days(4), days(4), None), true),
        ("pinterest", "user", with(days(0), days(0), None), false),
        ("x", "user", with(days(0), None, None), true),
        ("instagram", "instagram_login", with(days(4), None, None), true),
        ("instagram", "instagram_login", with(days(0), None, None), false),
        ("instagram", "instagram_login", with(days(40), None, days(6)), false),
        ("xing", "user", with(None, None, None), false),
    ];
    for (network, name, token, expected) in cases {
        assert_eq!(is_mended_by_renewal(&kind(network, name), &token, NOW), expected, "{network} {:?}", token.clocks);
    }
    for (state, expected) in [
        (TokenState::Paused { since: NOW }, true),
        (invalid(Reason::Expired), true),
        (invalid(Reason::PasswordChanged), false),
        (TokenState::Revoked { since: NOW }, false),
    ] {
        let token = Token { state, ..token(days(1), None) };
        assert_eq!(is_mended_by_renewal(&kind("x", "user"), &token, NOW), expected, "{state:?}");
    }
}
