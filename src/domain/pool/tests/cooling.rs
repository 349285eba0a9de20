//! What the network refused: closed, probed by one call, opened by proof. The same for a token, a bucket and an app.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn own() -> Vec<LimitRule> {
    vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)]
}

fn of_the_app() -> Vec<LimitRule> {
    vec![rule(Owner::App, Window::Rolling { length: MINUTE }, 1000)]
}

fn refused(class: ErrorClass, sequence: u64) -> CallReport {
    CallReport { class, ..quiet(sequence, 1, 0) }
}

/// A network whose limits are these, the tokens of its pool, and what its refusal closes.
fn cases() -> Vec<(Vec<LimitRule>, Vec<&'static str>, ErrorClass)> {
    vec![
        // The person's bucket.
        (own(), vec!["ann"], ErrorClass::RateLimitedToken),
        // The app's bucket.
        (of_the_app(), vec!["ann", "ben", "cid"], ErrorClass::RateLimitedApp),
        // Also where the network speaks of the token, and it has no limit of its own.
        (of_the_app(), vec!["ann", "ben", "cid"], ErrorClass::RateLimitedToken),
        // The app itself, for want of a bucket.
        (own(), vec!["ann", "ben", "cid"], ErrorClass::RateLimitedApp),
        // The token itself, for want of a bucket.
        (own(), vec!["ann"], ErrorClass::RateLimitedResource),
        // A token in doubt, with and without buckets of its own.
        (own(), vec!["ann"], ErrorClass::TokenInvalid),
        (of_the_app(), vec!["ann"], ErrorClass::TokenInvalid),
        (own(), vec!["ann"], ErrorClass::BlockedPolicy),
    ]
}

/// Closes what a refusal closes, with another lease under way. Returns until when, and that lease.
fn close(pool: &mut Pool, class: ErrorClass) -> (Timestamp, LeaseId) {
    let under_way = pool.acquire(START, &request(1, 10)).unwrap();
    let held = pool.acquire(START, &request(2, 10)).unwrap();
    pool.report(START, held.lease, &refused(class, 1)).unwrap();
    pool.release(START, held.lease, true).unwrap();
    let Err(Refusal::Limited { until, .. }) = pool.acquire(START + SECOND, &request(3, 1)) else {
        panic!("{class:?} closes nothing")
    };
    (until, under_way.lease)
}

#[test]
fn exactly_one_probe_passes_when_the_time_is_over() {
    for (limits, persons, class) in cases() {
        let place = format!("{class:?} {:?}", limits[0].owner);
        let mut pool = pool(network(limits, 1), &persons);
        let (until, under_way) = close(&mut pool, class);
        assert!(pool.acquire(until - SECOND, &request(4, 1)).is_err(), "{place}: before its time");
        let probe = pool.acquire(until, &request(5, 10)).unwrap_or_else(|refusal| panic!("{place}: {refusal:?}"));
        assert_eq!(probe.calls, 1, "{place}");
        for lease in 6..10 {
            let other = pool.acquire(until + SECOND, &request(lease, 1));
            assert!(matches!(other, Err(Refusal::Limited { .. })), "{place}: a second probe: {other:?}");
        }
        assert!(pool.top_up(until + SECOND, probe.lease, 1, &[]).is_err(), "{place}: nor for the first one's lease");
        if pool.lease(under_way).is_some() {
            assert_ne!(pool.standing(under_way, until), Some(Verdict::Keep), "{place}: older calls are not made");
        }
        pool.report(until + SECOND, probe.lease, &quiet(1, 1, 0)).unwrap();
        assert_eq!(pool.acquire(until + SECOND, &request(10, 50)).unwrap().calls, 50, "{place}");
    }
}

#[test]
fn a_probe_that_tells_nothing_makes_way_for_another() {
    for (limits, persons, class) in cases() {
        let place = format!("{class:?} {:?}", limits[0].owner);
        let mut pool = pool(network(limits, 1), &persons);
        let (until, _) = close(&mut pool, class);
        let given_back = pool.acquire(until, &request(4, 1)).unwrap();
        pool.release(until, given_back.lease, true).unwrap();
        let failed = pool.acquire(until, &request(5, 1)).unwrap();
        pool.report(until, failed.lease, &refused(ErrorClass::Transient, 1)).unwrap();
        pool.release(until, failed.lease, true).unwrap();
        pool.acquire(until, &request(6, 1)).unwrap();
        // Its holder is lost.
        let later = until + 3 * MINUTE;
        pool.advance(later);
        pool.expire(later);
        assert_eq!(pool.acquire(later, &request(7, 5)).map(|probe| probe.calls), Ok(1), "{place}");
    }
}

#[test]
fn a_refused_probe_closes_it_for_longer() {
    // A token in doubt is dead then.
    for (limits, persons, class) in cases().into_iter().filter(|case| case.2 != ErrorClass::TokenInvalid) {
        let place = format!("{class:?} {:?}", limits[0].owner);
        let mut pool = pool(network(limits, 1), &persons);
        let (until, _) = close(&mut pool, class);
        let probe = pool.acquire(until, &request(4, 1)).unwrap();
        pool.report(until, probe.lease, &refused(class, 1)).unwrap();
        pool.release(until, probe.lease, true).unwrap();
        let Err(Refusal::Limited { until: next, .. }) = pool.acquire(until, &request(5, 1)) else {
            panic!("{place}: open again")
        };
        assert!(next.since(until) >= until.since(START), "{place}: {next} {until}");
    }
}

#[test]
fn a_call_that_was_made_before_the_refusal_proves_nothing() {
    let mut pool = pool(network(own(), 1), &["ann"]);
    let older = pool.acquire(START, &request(1, 10)).unwrap().lease;
    let held = pool.acquire(START, &request(2, 10)).unwrap().lease;
    let at = START + 10 * SECOND;
    pool.report(at, held, &refused(ErrorClass::RateLimitedToken, 1)).unwrap();
    let told = pool.report(at + SECOND, older, &quiet(1, 2, 0)).unwrap();
    assert!(matches!(told.verdict, Verdict::StopUntil(_)), "{told:?}");
    assert!(pool.acquire(at + SECOND, &request(3, 1)).is_err());
    let newer = CallReport { answered_at: Some(at + SECOND), ..quiet(2, 1, 0) };
    assert_eq!(pool.report(at + 2 * SECOND, older, &newer).unwrap().verdict, Verdict::Keep);
    assert!(pool.acquire(at + 2 * SECOND, &request(4, 10)).is_ok(), "proof ends it early");
}

#[test]
fn more_credit_may_be_the_probe() {
    let mut pool = pool(network(own(), 1), &["ann"]);
    let held = pool.acquire(START, &request(1, 1)).unwrap().lease;
    pool.extend(START, held, 60 * MINUTE).unwrap();
    let answer = pool.report(START, held, &refused(ErrorClass::RateLimitedToken, 1)).unwrap();
    let Verdict::StopUntil(until) = answer.verdict else { panic!("{answer:?}") };
    assert!(pool.top_up(START + SECOND, held, 5, &[]).is_err());
    assert_eq!(pool.top_up(until, held, 5, &[]).unwrap().calls, 1);
    assert!(pool.top_up(until, held, 5, &[]).is_err());
    pool.report(until + SECOND, held, &quiet(2, 1, 0)).unwrap();
    assert_eq!(pool.top_up(until + SECOND, held, 5, &[]).unwrap().calls, 5);
}

#[test]
fn a_token_in_doubt_is_probed_after_a_restart_too() {
    let mut pool = pool(network(own(), 1), &[]);
    let state = TokenState::Suspect { since: START };
    pool.put_token(&Token { state, ..token(0, "ann") }, None, Vec::new(), START).unwrap();
    assert_eq!(pool.acquire(START, &request(1, 10)).unwrap().calls, 1);
    assert!(pool.acquire(START, &request(2, 1)).is_err());
}

#[test]
fn a_finding_never_undoes_what_a_person_decided() {
    let mut pool = pool(network(own(), 1), &["ann"]);
    let held = pool.acquire(START, &request(1, 10)).unwrap();
    pool.change_state(held.token, |state| state.pause(START).unwrap(), START);
    for (sequence, class) in [(1, ErrorClass::TokenInvalid), (2, ErrorClass::Ok)] {
        let answer = pool.report(START, held.lease, &CallReport { class, ..quiet(sequence, 1, 0) }).unwrap();
        assert!(!answer.effects.iter().any(|effect| matches!(effect, Effect::Found { .. })), "{class:?}: {answer:?}");
    }
    assert_eq!(pool.acquire(START, &request(2, 1)).unwrap_err(), Refusal::NoToken(NoToken::Paused));
}

#[test]
fn a_broken_header_closes_nothing_for_ever() {
    let mut pool = pool(network(own(), 1), &["ann"]);
    let held = pool.acquire(START, &request(1, 1)).unwrap().lease;
    let asked = Some(Duration::from_secs(u64::from(u32::MAX)));
    let report = CallReport { retry_after: asked, ..refused(ErrorClass::RateLimitedToken, 1) };
    pool.report(START, held, &report).unwrap();
    pool.release(START, held, true).unwrap();
    assert!(pool.acquire(START + 25 * 60 * MINUTE, &request(2, 1)).is_ok());
}

/// Refuses a token once, and the probe that follows. Returns what the probe's holder is told.
fn refused_twice(pool: &mut Pool, lease: u128, at: Timestamp) -> (Verdict, Vec<Effect>) {
    let held = pool.acquire(at, &request(lease, 1)).unwrap().lease;
    pool.report(at, held, &refused(ErrorClass::TokenInvalid, 1)).unwrap();
    pool.release(at, held, true).unwrap();
    refused_probe(pool, lease + 1, at + MINUTE)
}

fn refused_probe(pool: &mut Pool, lease: u128, at: Timestamp) -> (Verdict, Vec<Effect>) {
    let probe = pool.acquire(at, &request(lease, 1)).unwrap().lease;
    let told = pool.report(at, probe, &refused(ErrorClass::TokenInvalid, 1)).unwrap();
    pool.release(at, probe, true).unwrap();
    (told.verdict, told.effects)
}

#[test]
fn one_probe_settles_a_doubt() {
    let mut pool = pool(network(own(), 1), &["ann"]);
    let (verdict, effects) = refused_twice(&mut pool, 1, START);
    assert_eq!(verdict, Verdict::TokenDead(Reason::NotAccepted));
    let dead = Finding::Dead(Reason::NotAccepted);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Found { finding, .. } if *finding == dead)));
    let refusal = pool.acquire(START + 5 * MINUTE, &request(9, 1)).unwrap_err();
    assert_eq!(refusal, Refusal::NoToken(NoToken::Dead(Reason::NotAccepted)));
}

#[test]
fn calls_that_were_under_way_at_the_refusal_settle_nothing() {
    let mut pool = pool(network(own(), 1), &["ann"]);
    let leases: Vec<_> = (1..4).map(|lease| pool.acquire(START, &request(lease, 1)).unwrap().lease).collect();
    for lease in leases {
        let told = pool.report(START, lease, &refused(ErrorClass::TokenInvalid, 1)).unwrap();
        assert_eq!(told.verdict, Verdict::Suspect, "{lease}");
    }
}

#[test]
fn what_befalls_all_tokens_of_an_app_is_no_tokens_end_until_one_works() {
    let mut pool = pool(network(own(), 1), &["ann", "ben"]);
    let both = [1, 2].map(|lease| pool.acquire(START, &request(lease, 1)).unwrap().lease);
    for lease in both {
        pool.report(START, lease, &refused(ErrorClass::TokenInvalid, 1)).unwrap();
        pool.release(START, lease, true).unwrap();
    }
    let (verdict, effects) = refused_probe(&mut pool, 3, START + MINUTE);
    assert_eq!((verdict, effects.contains(&Effect::ManyRefused)), (Verdict::Suspect, true));
    let works = pool.acquire(START + MINUTE, &request(4, 1)).unwrap();
    pool.report(START + MINUTE, works.lease, &quiet(1, 1, 0)).unwrap();
    // The one that works is put aside, so that the other is probed again.
    pool.change_state(works.token, |state| state.pause(START).unwrap(), START + MINUTE);
    let (verdict, _) = refused_probe(&mut pool, 6, START + 10 * MINUTE);
    assert_eq!(verdict, Verdict::TokenDead(Reason::NotAccepted));
}

#[test]
fn a_missing_permission_closes_one_operation_and_no_token() {
    let mut network = network(own(), 1);
    let entry = Arc::get_mut(&mut network).unwrap();
    entry.operations.push(Operation { id: "other".parse().unwrap(), ..entry.operations[0].clone() });
    let mut pool = pool(network.clone(), &["ann"]);
    let held = [1, 2].map(|lease| pool.acquire(START, &request(lease, 2)).unwrap().lease);
    let elsewhere = pool.acquire(START, &AcquireRequest { operation: 1, ..request(3, 1) }).unwrap().lease;
    let first = pool.report(START, held[0], &refused(ErrorClass::PermissionLost, 1)).unwrap();
    assert_eq!((first.verdict, first.effects), (Verdict::Keep, vec![]), "it may be the object that is refused");
    let now = START + MINUTE;
    for lease in held.iter().chain([&elsewhere]) {
        pool.extend(START, *lease, 2 * MINUTE).unwrap();
    }
    let told = pool.report(now, held[0], &refused(ErrorClass::PermissionLost, 2)).unwrap();
    assert_eq!(told.verdict, Verdict::Recalled);
    assert!(told.effects.iter().any(|effect| matches!(effect, Effect::Found { finding: Finding::Closed(0), .. })));
    assert_eq!(pool.standing(held[1], now), Some(Verdict::Recalled), "it is for the same operation");
    assert_eq!(pool.standing(elsewhere, now), Some(Verdict::Keep));
    let refusal = pool.acquire(now, &request(4, 1)).unwrap_err();
    assert_eq!(refusal, Refusal::NoToken(NoToken::PermissionLost));
    let again = pool.report(now, held[1], &refused(ErrorClass::PermissionLost, 1)).unwrap();
    assert_eq!((again.verdict, again.effects.len()), (Verdict::Recalled, 0), "it is known");
    assert!(pool.acquire(START + MINUTE, &AcquireRequest { operation: 1, ..request(5, 1) }).is_ok());
    // Kept, and taken up again; stated anew, it is open.
    let kept = |closed| Token { closed, ..token(0, "ann") };
    for (closed, is_closed) in [([(network.operations[0].id.clone(), START)].into(), true), ([].into(), false)] {
        pool.put_token(&kept(closed), None, vec![1], START + MINUTE).unwrap();
        assert_eq!(pool.acquire(START + 2 * MINUTE, &request(6, 1)).is_err(), is_closed);
    }
}

#[test]
fn a_block_is_found_once_until_a_call_is_served() {
    let mut pool = pool(network(own(), 1), &["ann"]);
    let found = |effects: &[Effect]| {
        let findings = effects.iter().filter_map(|effect| match effect {
            Effect::Found { finding, .. } => Some(*finding),
            _ => None,
        });
        findings.collect::<Vec<_>>()
    };
    let (mut now, mut all) = (START, Vec::new());
    for lease in 1..4 {
        let blocked = pool.acquire(now, &request(lease, 1)).unwrap().lease;
        let told = pool.report(now, blocked, &refused(ErrorClass::BlockedPolicy, 1)).unwrap();
        let Verdict::StopUntil(until) = told.verdict else { panic!("{:?}", told.verdict) };
        all.extend(found(&told.effects));
        pool.release(now, blocked, true).unwrap();
        now = until;
    }
    assert_eq!(all, [Finding::Blocked]);
    let served = pool.acquire(now, &request(4, 1)).unwrap().lease;
    let told = pool.report(now, served, &quiet(1, 1, 0)).unwrap();
    assert_eq!(found(&told.effects), [Finding::Unblocked]);
    // Taken up again from what is kept, the block is known.
    let kept = Token { blocked_since: Some(START), version: 2, ..token(0, "ann") };
    pool.put_token(&kept, None, vec![1], now).unwrap();
    let served = pool.acquire(now, &request(5, 1)).unwrap().lease;
    assert_eq!(found(&pool.report(now, served, &quiet(1, 1, 0)).unwrap().effects), [Finding::Unblocked]);
}

#[test]
fn new_secrets_lift_a_doubt_but_no_block() {
    for (class, lifted) in [(ErrorClass::TokenInvalid, true), (ErrorClass::BlockedPolicy, false)] {
        let mut pool = pool(network(own(), 1), &["ann"]);
        let (until, _) = close(&mut pool, class);
        let renewed = Token { version: 2, ..token(0, "ann") };
        pool.put_token(&renewed, None, Vec::new(), START + SECOND).unwrap();
        assert_eq!(pool.acquire(START + SECOND, &request(4, 1)).is_ok(), lifted, "{class:?}");
        assert!(pool.acquire(until, &request(5, 1)).is_ok(), "{class:?}");
    }
}
