//! Blanket failures: found, rested for, looked into by canaries, and let go in stages.

use super::*;
use crate::base::ids::{AppId, CollectorId};
use crate::domain::evidence::{Blame, Evidence};
use crate::domain::incident::{IncidentKind, Outcome, Progress, Stage};

const SECOND: Duration = Duration::from_secs(1);

/// A pool of so many persons with one token each, at a network of two operations.
fn many(persons: u32) -> Pool {
    let mut network = network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 1000)], 1);
    let entry = Arc::get_mut(&mut network).unwrap();
    entry.operations.push(Operation { id: "other".parse().unwrap(), ..entry.operations[0].clone() });
    let mut pool = pool(network, &[]);
    for number in 0..persons {
        pool.put_token(&token(u128::from(number), &format!("person-{number}")), None, Vec::new(), START).unwrap();
    }
    pool
}

/// As [`many`], of tokens that end at that time.
fn ending_at(persons: u32, end: Timestamp) -> Pool {
    let mut pool = many(persons);
    let clocks = Clocks { access_expires_at: Some(end), ..Clocks::default() };
    for number in 0..persons {
        let ending = Token { clocks, ..token(u128::from(number), &format!("person-{number}")) };
        pool.put_token(&ending, None, Vec::new(), START).unwrap();
    }
    pool
}

fn ask_to_renew(pool: &mut Pool, number: u128, now: Timestamp) -> RenewalsOf {
    pool.ask_to_renew(TokenId::from_u128(number), now)
}

fn app() -> AppId {
    "default".parse().unwrap()
}

fn progress(pool: &Pool) -> Option<Progress> {
    pool.incidents().into_iter().find(|(of, _)| *of == app()).map(|(_, progress)| progress)
}

/// One call by a collector, of one operation and the other in turn, that is answered like this. Returns what came of it; `None`: no lease was granted.
fn call(
    pool: &mut Pool,
    lease: u128,
    by: u128,
    class: ErrorClass,
    at: Timestamp,
) -> Option<(TokenId, Verdict, Vec<Effect>)> {
    let operation = usize::from(lease % 2 == 1);
    let request = AcquireRequest { operation, collector: Some(CollectorId::from_u128(by)), ..request(lease, 1) };
    let held = pool.acquire(at, &request).ok()?;
    let told = pool.report(at, held.lease, &CallReport { class, ..quiet(1, 1, 0) }).unwrap();
    let _ = pool.release(at, held.lease, true);
    Some((held.token, told.verdict, told.effects))
}

/// Calls once a second until an incident is found. Returns when that was.
fn until_found(pool: &mut Pool, class: ErrorClass) -> Timestamp {
    for second in 0..60 {
        let at = START + SECOND * second;
        call(pool, u128::from(second) + 1, u128::from(second) % 5, class, at);
        if progress(pool).is_some() {
            return at;
        }
    }
    panic!("no incident within a minute");
}

fn states(pool: &Pool) -> (usize, usize) {
    let count = |wanted: fn(TokenState) -> bool| pool.slots.iter().filter(|slot| wanted(slot.state)).count();
    (
        count(|state| matches!(state, TokenState::Invalid { .. })),
        count(|state| matches!(state, TokenState::Suspect { .. })),
    )
}

#[test]
fn a_reset_ends_one_token_at_most_before_it_is_found_and_none_after() {
    for class in [ErrorClass::TokenInvalid, ErrorClass::PasswordChanged, ErrorClass::TokenExpired] {
        let mut pool = many(100);
        until_found(&mut pool, class);
        assert_eq!(progress(&pool).unwrap().kind, IncidentKind::NetworkReset);
        let (dead, suspect) = states(&pool);
        assert!(dead <= 1 && dead + suspect == 5, "{class:?}: {dead} dead, {suspect} in doubt");
    }
}

#[test]
fn leases_stop_in_the_instant_in_which_it_is_found() {
    let mut pool = many(100);
    let held: Vec<_> = (1000..1050).map(|lease| pool.acquire(START, &request(lease, 2)).unwrap().lease).collect();
    let mut began = None;
    for (nth, lease) in held.iter().enumerate() {
        let told =
            pool.report(START, *lease, &CallReport { class: ErrorClass::TokenRevoked, ..quiet(1, 1, 0) }).unwrap();
        if let Some(Effect::IncidentBegan(recalled)) =
            told.effects.iter().find(|effect| matches!(effect, Effect::IncidentBegan(_)))
        {
            began = Some((nth, recalled.len()));
            break;
        }
    }
    // What was in use on the five tokens was recalled with them, or is recalled now.
    let (nth, recalled) = began.unwrap();
    assert!(recalled + nth + 1 >= held.len(), "{nth} {recalled}");
    assert!(held.iter().all(|lease| pool.standing(*lease, START) != Some(Verdict::Keep)));
    assert!(matches!(pool.acquire(START, &request(1, 1)), Err(Refusal::Limited { .. })), "not yet, and not never");
}

#[test]
fn a_reset_that_canaries_confirm_ends_what_is_refused_and_lets_new_secrets_work() {
    let mut pool = many(100);
    let found = until_found(&mut pool, ErrorClass::PasswordChanged);
    let mut canaries = 0;
    for second in 1..600 {
        let at = found + SECOND * second;
        pool.advance(at);
        if let Some((_, verdict, _)) = call(&mut pool, u128::from(second) + 100, 1, ErrorClass::PasswordChanged, at) {
            canaries += 1;
            let dead = Verdict::TokenDead(Reason::PlatformReset);
            assert_eq!(verdict, if canaries < 3 { Verdict::Suspect } else { dead }, "{canaries}");
        }
    }
    assert!((3..8).contains(&canaries), "{canaries} canaries in ten minutes");
    assert_eq!(progress(&pool).unwrap().outcome(), Outcome::Lost);
    let anew = Token { version: 2, ..token(50, "person-50") };
    let at = found + 601 * SECOND;
    pool.put_token(&anew, None, Vec::new(), at).unwrap();
    for lease in 2000..2010 {
        assert_eq!(call(&mut pool, lease, 1, ErrorClass::Ok, at).unwrap().0, anew.id);
    }
    assert_eq!(progress(&pool).unwrap().recovery.stage, Stage::Canaries, "that shows nothing of the old ones");
}

#[test]
fn tokens_come_back_as_canaries_then_a_share_then_all() {
    let mut pool = many(200);
    let found = until_found(&mut pool, ErrorClass::TokenInvalid);
    let mut used = std::collections::BTreeMap::<&str, std::collections::BTreeSet<TokenId>>::new();
    for second in 1..400 {
        let at = found + SECOND * second;
        pool.advance(at);
        let stage = progress(&pool).unwrap().recovery.stage;
        for nth in 0..5 {
            let lease = u128::from(second) * 10 + nth + 10_000;
            if let Some((token, verdict, _)) = call(&mut pool, lease, 1, ErrorClass::Ok, at) {
                assert_eq!(verdict, Verdict::Keep);
                used.entry(stage.as_str()).or_default().insert(token);
            }
        }
    }
    let used: Vec<usize> = ["canaries", "share", "all"].iter().map(|stage| used[stage].len()).collect();
    assert_eq!(used[0], 3, "{used:?}");
    assert!((1..=20).contains(&used[1]) && used[2] > 20, "{used:?}");
    let progress = progress(&pool).unwrap();
    assert_eq!((progress.is_open(), progress.outcome()), (false, Outcome::Recovered));
    pool.end_incident(&app(), found + 400 * SECOND);
    assert_eq!(pool.incidents(), []);
}

#[test]
fn an_app_that_is_refused_rests_and_costs_no_token() {
    let mut pool = many(100);
    let found = until_found(&mut pool, ErrorClass::AppLevel);
    assert_eq!(progress(&pool).unwrap().kind, IncidentKind::AppDisabled);
    assert!(found.since(START) <= MINUTE);
    assert_eq!(states(&pool), (0, 0));
    assert!(matches!(pool.acquire(found, &request(900, 1)), Err(Refusal::Limited { rest: Some(Rest::Incident), .. })));
    let canaries = (1..60).filter(|second| {
        let at = found + SECOND * *second;
        call(&mut pool, 1_000 + u128::from(*second), 1, ErrorClass::AppLevel, at).is_some()
    });
    assert_eq!(canaries.count(), 2, "the operation does not rest besides");
}

#[test]
fn an_outage_stops_no_lease_and_is_over_with_the_first_answers() {
    let mut pool = many(100);
    let found = until_found(&mut pool, ErrorClass::Transient);
    assert_eq!(progress(&pool).unwrap().kind, IncidentKind::ProviderOutage);
    assert_eq!(pool.incident_since(&app()), Some(START));
    for second in 1..120 {
        call(&mut pool, u128::from(second) + 100, 1, ErrorClass::Ok, found + SECOND * second).unwrap();
    }
    assert!(!progress(&pool).unwrap().is_open());
}

#[test]
fn renewals_wait_until_calls_have_shown_the_way_back() {
    let mut pool = many(100);
    let found = until_found(&mut pool, ErrorClass::TokenInvalid);
    for second in 1..120 {
        assert_eq!(ask_to_renew(&mut pool, 7, found + SECOND * second), RenewalsOf::Stopped);
    }
    let mut at = found;
    for lease in 1000..1003 {
        at = at + 16 * SECOND;
        call(&mut pool, lease, 1, ErrorClass::Ok, at).unwrap();
    }
    assert_eq!(progress(&pool).unwrap().recovery.stage, Stage::Share);
    assert_eq!(ask_to_renew(&mut pool, 8, at + 20 * SECOND), RenewalsOf::Canary);
    assert_eq!(ask_to_renew(&mut pool, 9, at + 21 * SECOND), RenewalsOf::Stopped);
    pool.put_token(&Token { version: 2, ..token(9, "person-9") }, None, Vec::new(), at).unwrap();
    assert_eq!(ask_to_renew(&mut pool, 9, at + 21 * SECOND), RenewalsOf::Free, "its secrets are new");
    let other = Token { app: "other".parse().unwrap(), ..token(200, "person-200") };
    pool.put_token(&other, None, Vec::new(), at).unwrap();
    assert_eq!(ask_to_renew(&mut pool, 200, at), RenewalsOf::Free);
}

#[test]
fn where_no_token_can_be_called_any_more_single_renewals_show_the_way_back() {
    for class in [ErrorClass::Transient, ErrorClass::AppLevel, ErrorClass::TokenInvalid] {
        let mut pool = ending_at(10, START + MINUTE * 5);
        let found = until_found(&mut pool, class);
        let ended = START + MINUTE * 6;
        assert_eq!(ask_to_renew(&mut pool, 0, found + MINUTE), RenewalsOf::Stopped, "calls can look");
        assert!(!pool.is_out_of_calls(&app(), found + MINUTE) && pool.is_out_of_calls(&app(), ended));
        let mut at = ended;
        for number in 0..3 {
            assert_eq!(ask_to_renew(&mut pool, number, at), RenewalsOf::Canary, "{class:?}");
            assert_eq!(ask_to_renew(&mut pool, number + 1, at + SECOND), RenewalsOf::Stopped);
            pool.note_renewal(TokenId::from_u128(number), Evidence::Works, at + SECOND);
            let renewed = Token { version: 2, ..token(number, &format!("person-{number}")) };
            pool.put_token(&renewed, None, Vec::new(), at + SECOND).unwrap();
            assert_eq!(ask_to_renew(&mut pool, number, at + SECOND), RenewalsOf::Free);
            at = at + 16 * SECOND;
        }
        assert_eq!(progress(&pool).unwrap().recovery.stage, Stage::Share, "{class:?}");
    }
}

#[test]
fn a_refused_renewal_that_was_made_to_look_ends_a_token_only_of_a_loss_that_is_proven() {
    let mut pool = ending_at(10, START + MINUTE * 5);
    until_found(&mut pool, ErrorClass::TokenInvalid);
    let (mut at, mut blames) = (START + MINUTE * 6, Vec::new());
    for number in 0..5 {
        assert_eq!(ask_to_renew(&mut pool, number, at), RenewalsOf::Canary);
        let refused = Evidence::Ended(Reason::RefreshRejected);
        blames.push(pool.note_renewal(TokenId::from_u128(number), refused, at).blame.unwrap());
        at = at + MINUTE * 6;
    }
    assert_eq!(blames, [Blame::Shared, Blame::Shared, Blame::Shared, Blame::Token, Blame::Token]);
    assert_eq!(progress(&pool).unwrap().outcome(), Outcome::Lost);
}

#[test]
fn renewals_that_are_refused_alike_stop_renewals_and_no_lease() {
    let mut pool = many(100);
    let refused = Evidence::Ended(Reason::RefreshRejected);
    let blames: Vec<_> =
        (0..5).map(|token| pool.note_renewal(TokenId::from_u128(token), refused, START).blame.unwrap()).collect();
    assert_eq!(blames, [Blame::Token, Blame::Shared, Blame::Shared, Blame::Shared, Blame::Shared]);
    assert_eq!(progress(&pool).unwrap().kind, IncidentKind::NetworkReset);
    assert_eq!(ask_to_renew(&mut pool, 50, START), RenewalsOf::Stopped);
    assert!(call(&mut pool, 1, 1, ErrorClass::Ok, START).is_some());
    let canaries =
        (1..3600).filter(|second| ask_to_renew(&mut pool, 50, START + SECOND * *second) == RenewalsOf::Canary);
    assert_eq!(canaries.count(), 239, "none is refused, so they stay a quarter of a minute apart");
}

#[test]
fn a_broken_collector_ends_one_token_at_most_while_others_are_served() {
    let mut pool = many(50);
    for second in 0..600_u32 {
        let at = START + SECOND * second;
        call(&mut pool, u128::from(second) * 2 + 1, 1, ErrorClass::Ok, at);
        call(&mut pool, u128::from(second) * 2 + 2, 2, ErrorClass::TokenRevoked, at);
        if progress(&pool).is_some() {
            break;
        }
    }
    let (dead, _) = states(&pool);
    assert_eq!(dead, 1);
}

#[test]
fn an_apps_persons_are_counted_without_those_of_other_apps() {
    let mut pool = many(12);
    let small: AppId = "small".parse().unwrap();
    for number in 100..104 {
        let token = Token { app: small.clone(), ..token(number, &format!("person-{number}")) };
        pool.put_token(&token, None, Vec::new(), START).unwrap();
        // Put anew, it is still one person's.
        pool.put_token(&Token { version: 2, ..token }, None, Vec::new(), START).unwrap();
    }
    let found = |pool: &Pool| pool.incidents().iter().any(|(app, _)| *app == small);
    for (nth, number) in (100..103).enumerate() {
        assert!(!found(&pool), "after {nth} persons");
        let only = AcquireRequest { token: Some(TokenId::from_u128(number)), ..request(number, 1) };
        let held = pool.acquire(START, &only).unwrap();
        let report = CallReport { class: ErrorClass::TokenInvalid, ..quiet(1, 1, 0) };
        pool.report(START, held.lease, &report).unwrap();
    }
    assert!(found(&pool), "three of four persons are no chance");
}

#[test]
fn an_incident_is_of_fixed_size() {
    let mut pool = many(2000);
    let leases: Vec<_> = (0..2000).map(|lease| pool.acquire(START, &request(lease + 1, 1)).unwrap().lease).collect();
    for lease in leases {
        pool.report(START, lease, &CallReport { class: ErrorClass::TokenInvalid, ..quiet(1, 1, 0) }).unwrap();
    }
    let size = format!("{:?}{:?}", pool.troubles, pool.incidents).len();
    assert!(size < 100_000, "{size}");
}
