//! What is refused to one token, or to everybody who asks: a permission, by a block, or to the app itself.

use super::*;
use crate::domain::incident::IncidentKind;

const SECOND: Duration = Duration::from_secs(1);

/// A pool of so many persons with one token each, at a network of two operations.
fn many(persons: u32) -> Pool {
    let mut network = network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 1000)], 1);
    let entry = Arc::get_mut(&mut network).unwrap();
    entry.operations.push(Operation { id: "other".parse().unwrap(), ..entry.operations[0].clone() });
    let mut pool = pool(network, &[]);
    for number in 0..persons {
        let profiles = vec![format!("page-{number}")];
        let token = Token { profiles, ..token(u128::from(number), &format!("person-{number}")) };
        pool.put_token(&token, None, Vec::new(), START).unwrap();
    }
    pool
}

fn of(operation: usize, lease: u128) -> AcquireRequest {
    AcquireRequest { operation, ..request(lease, 1) }
}

/// One call that is answered like this; `None`: no lease was granted.
fn call(
    pool: &mut Pool,
    operation: usize,
    lease: u128,
    class: ErrorClass,
    at: Timestamp,
) -> Option<(Verdict, Vec<Effect>)> {
    let held = pool.acquire(at, &of(operation, lease)).ok()?;
    let told = pool.report(at, held.lease, &CallReport { class, ..quiet(1, 1, 0) }).unwrap();
    let _ = pool.release(at, held.lease, true);
    Some((told.verdict, told.effects))
}

fn findings(effects: &[Effect]) -> Vec<Finding> {
    let found = effects.iter().filter_map(|effect| match effect {
        Effect::Found { finding, .. } => Some(*finding),
        _ => None,
    });
    found.collect()
}

fn is_told(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::OperationRefused { operation: 0, .. }))
}

fn rest_of(pool: &mut Pool, operation: usize, at: Timestamp) -> Option<Rest> {
    match pool.acquire(at, &of(operation, 99_999)) {
        Err(Refusal::Limited { rest, .. }) => rest,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_permission_that_everybody_is_refused_closes_nothing_and_is_told() {
    let mut pool = many(8);
    let mut told = 0;
    for second in 0..7_200 {
        let at = START + SECOND * second;
        let (verdict, effects) = call(&mut pool, 0, u128::from(second) + 1, ErrorClass::PermissionLost, at).unwrap();
        assert_eq!((verdict, findings(&effects)), (Verdict::Keep, vec![]), "{second}");
        told += u32::from(is_told(&effects));
        assert!(!is_told(&effects) || second >= 3, "so few may be chance: {second}");
    }
    assert!(told > 7_000, "{told}");
    assert!(pool.incidents().is_empty());
}

#[test]
fn an_object_that_nobody_may_see_closes_nothing_while_others_are_served() {
    let mut pool = many(5);
    for nth in 0..3_000_u32 {
        let class = if nth % 3 == 0 { ErrorClass::PermissionLost } else { ErrorClass::Ok };
        let (verdict, effects) = call(&mut pool, 0, u128::from(nth) + 1, class, START + SECOND * nth).unwrap();
        assert_eq!((verdict, effects), (Verdict::Keep, vec![]), "{nth}");
    }
}

#[test]
fn a_permission_that_one_token_lost_is_closed_a_minute_later() {
    let mut pool = many(8);
    let mut closed = None;
    for nth in 0..200_u32 {
        let at = START + SECOND * nth;
        let Ok(held) = pool.acquire(at, &of(0, u128::from(nth) + 1)) else { panic!("others serve") };
        let class = if held.token == TokenId::from_u128(3) { ErrorClass::PermissionLost } else { ErrorClass::Ok };
        let told = pool.report(at, held.lease, &CallReport { class, ..quiet(1, 1, 0) }).unwrap();
        let _ = pool.release(at, held.lease, true);
        if findings(&told.effects) == [Finding::Closed(0)] {
            assert_eq!((closed.replace(nth), told.verdict), (None, Verdict::Recalled));
        }
    }
    assert!(closed.is_some_and(|second| (60..90).contains(&second)), "{closed:?}");
}

#[test]
fn what_a_token_lost_is_not_leased_for_its_profile_either_and_the_refusal_says_so() {
    let mut pool = many(1);
    call(&mut pool, 0, 1, ErrorClass::PermissionLost, START).unwrap();
    let (_, effects) = call(&mut pool, 0, 2, ErrorClass::PermissionLost, START + MINUTE).unwrap();
    assert_eq!(findings(&effects), [Finding::Closed(0)]);
    let lost = Refusal::NoToken(NoToken::PermissionLost);
    assert_eq!(pool.acquire(START + MINUTE, &of(0, 3)).unwrap_err(), lost);
    let of_page = AcquireRequest { profile: Some("page-0".to_owned()), ..of(0, 4) };
    assert_eq!(pool.acquire(START + MINUTE, &of_page).unwrap_err(), lost);
    assert!(pool.acquire(START + MINUTE, &of(1, 5)).is_ok());
}

#[test]
fn a_block_of_several_persons_is_found_of_one_and_the_operation_rests() {
    let mut pool = many(6);
    let mut found = Vec::new();
    for nth in 0..3 {
        let (verdict, effects) = call(&mut pool, 0, nth + 1, ErrorClass::BlockedPolicy, START).unwrap();
        found.extend(findings(&effects));
        assert_eq!((verdict == Verdict::Keep, is_told(&effects)), (nth == 1, nth == 2), "{nth}: {verdict:?}");
    }
    assert_eq!(found, [Finding::Blocked]);
    assert_eq!(rest_of(&mut pool, 0, START), Some(Rest::Operation));
    assert!(pool.acquire(START, &of(1, 10)).is_ok(), "other operations go on");
}

#[test]
fn a_token_that_is_blocked_rests_again_whoever_else_is() {
    let mut pool = many(6);
    let first = pool.acquire(START, &of(0, 1)).unwrap();
    let blocked = CallReport { class: ErrorClass::BlockedPolicy, ..quiet(1, 1, 0) };
    pool.report(START, first.lease, &blocked).unwrap();
    pool.release(START, first.lease, true).unwrap();
    let (verdict, _) = call(&mut pool, 0, 2, ErrorClass::BlockedPolicy, START + 50 * MINUTE).unwrap();
    assert_eq!(verdict, Verdict::Keep);
    let at = START + 60 * MINUTE;
    let again = pool.acquire(at, &AcquireRequest { token: Some(first.token), ..of(0, 3) }).unwrap().lease;
    let told = pool.report(at, again, &blocked).unwrap();
    assert_eq!((told.verdict, findings(&told.effects)), (Verdict::StopUntil(at + 60 * MINUTE), vec![]));
}

#[test]
fn the_only_token_that_is_blocked_or_in_doubt_rests_for_that() {
    for (class, rest) in [(ErrorClass::BlockedPolicy, Rest::Blocked), (ErrorClass::TokenInvalid, Rest::Doubt)] {
        let mut pool = many(1);
        call(&mut pool, 0, 1, class, START).unwrap();
        assert_eq!(rest_of(&mut pool, 0, START), Some(rest));
    }
    let mut pool = many(1);
    let held = pool.acquire(START, &of(0, 1)).unwrap().lease;
    pool.report(START, held, &CallReport { class: ErrorClass::RateLimitedToken, ..quiet(1, 1, 0) }).unwrap();
    assert_eq!(rest_of(&mut pool, 0, START), None, "it is for want of credit");
}

#[test]
fn an_operation_that_the_app_lacks_rests_and_stops_no_other() {
    for served in [false, true] {
        let mut pool = many(6);
        let mut refused = 0;
        for second in 0..6 * 3_600_u32 {
            let (at, lease) = (START + SECOND * second, u128::from(second) * 2 + 1);
            refused += u32::from(call(&mut pool, 0, lease, ErrorClass::AppLevel, at).is_some());
            if served {
                assert!(call(&mut pool, 1, lease + 1, ErrorClass::Ok, at).is_some(), "{second}");
            }
        }
        assert!((3..35).contains(&refused), "{refused} calls in six hours");
        assert!(pool.incidents().is_empty());
        assert_eq!(rest_of(&mut pool, 0, START + SECOND * 6 * 3_600 - SECOND), Some(Rest::Operation));
        assert!(call(&mut pool, 1, 99_998, ErrorClass::Ok, START + SECOND * 6 * 3_600).is_some());
    }
}

#[test]
fn an_operation_that_is_served_again_is_open() {
    let mut pool = many(6);
    for lease in 1..4 {
        call(&mut pool, 0, lease, ErrorClass::AppLevel, START).unwrap();
    }
    let at = START + MINUTE;
    let probe = pool.acquire(at, &of(0, 10)).unwrap().lease;
    assert_eq!(rest_of(&mut pool, 0, at), Some(Rest::Operation), "one call is let through");
    pool.report(at + SECOND, probe, &quiet(1, 1, 0)).unwrap();
    for lease in 11..14 {
        assert!(call(&mut pool, 0, lease, ErrorClass::Ok, at + SECOND).is_some());
    }
}

#[test]
fn an_app_that_is_refused_in_two_operations_is_an_incident_however_few_its_persons() {
    for persons in [1, 2, 3, 6, 100] {
        let mut pool = many(persons);
        let mut calls = 0;
        for second in 0..120_u32 {
            for operation in 0..2_u8 {
                let (at, lease) = (START + SECOND * second, u128::from(second * 2 + u32::from(operation)) + 1);
                calls += u32::from(call(&mut pool, usize::from(operation), lease, ErrorClass::AppLevel, at).is_some());
            }
        }
        let found: Vec<_> = pool.incidents().into_iter().map(|(_, progress)| progress.kind).collect();
        assert_eq!(found, [IncidentKind::AppDisabled], "{persons}");
        assert!(calls < 20, "{persons}: {calls}");
    }
}
