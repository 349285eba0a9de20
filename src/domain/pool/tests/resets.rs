//! Windows that the network resets before the time it told: what may count in the new one stays charged.

use super::*;

/// A pool whose window of a minute was told to end 50 seconds after the start, with 90 of 100 to spend and ten of them spent.
fn in_a_known_window() -> Pool {
    let limits = vec![rule(Owner::Person, Window::Fixed { length: MINUTE, phase: Phase::Network }, 100)];
    let mut pool = pool(network(limits, 1), &["ann"]);
    let first = pool.acquire(START, &request(1, 10)).unwrap().lease;
    pool.report(START, first, &told(1, 10, 10, 50)).unwrap();
    pool.release(START, first, true).unwrap();
    pool
}

fn told(sequence: u64, used: u64, counted: u64, resets_after: u64) -> CallReport {
    let usage = Usage::Count { limit: Some(100), remaining: None, used: Some(counted) };
    let reading = Reading {
        owner: Owner::Person,
        window: None,
        class: None,
        object: None,
        usage,
        resets_at: Some(after(resets_after)),
    };
    CallReport { readings: vec![reading], ..quiet(sequence, used, 0) }
}

/// A holder that vanishes: what it did with its lease is not known.
fn lose(pool: &mut Pool, calls: u64) {
    let lease = pool.acquire(after(20), &request(2, calls)).unwrap().lease;
    pool.release(after(49), lease, false).unwrap();
}

fn after(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

fn left_at(pool: &mut Pool, now: Timestamp) -> u64 {
    pool.advance(now);
    pool.expire(now);
    pool.all_buckets()[0].left
}

#[test]
fn what_was_reported_with_its_window_is_over_with_it() {
    let mut pool = in_a_known_window();
    let held = pool.acquire(after(20), &request(2, 60)).unwrap().lease;
    pool.report(after(21), held, &told(1, 60, 70, 50)).unwrap();
    assert_eq!(left_at(&mut pool, after(52)), 90);
}

#[test]
fn what_was_not_reported_is_charged_until_a_later_window_is_proven() {
    let mut pool = in_a_known_window();
    lose(&mut pool, 60);
    assert_eq!(left_at(&mut pool, after(52)), 30, "60 calls may count in a window of which nobody has heard");
    let probe = pool.acquire(after(53), &request(3, 1)).unwrap().lease;
    pool.report(after(53), probe, &told(1, 1, 1, 110)).unwrap();
    assert_eq!(left_at(&mut pool, after(53)), 89, "the window that began at 50 counts none of them");
}

#[test]
fn what_was_not_reported_counts_in_a_window_that_began_before() {
    let mut pool = in_a_known_window();
    lose(&mut pool, 60);
    left_at(&mut pool, after(52));
    let probe = pool.acquire(after(53), &request(3, 1)).unwrap().lease;
    pool.report(after(53), probe, &told(1, 1, 61, 90)).unwrap();
    assert_eq!(left_at(&mut pool, after(53)), 29, "the network reset its count at 30");
}

#[test]
fn what_was_not_reported_comes_back_a_window_after_its_last_use() {
    let mut pool = in_a_known_window();
    let whole = pool.acquire(after(20), &request(2, 80)).unwrap();
    assert_eq!(whole.use_by, after(48));
    assert!(matches!(pool.acquire(after(52), &request(3, 11)), Err(Refusal::Limited { .. })));
    assert_eq!(left_at(&mut pool, after(48 + 60)), 90);
}

#[test]
fn a_report_that_names_no_window_proves_nothing() {
    let mut pool = in_a_known_window();
    let held = pool.acquire(after(20), &request(2, 60)).unwrap().lease;
    pool.report(after(40), held, &quiet(1, 60, 0)).unwrap();
    assert_eq!(left_at(&mut pool, after(52)), 30);
}

#[test]
fn a_failure_among_several_calls_proves_nothing() {
    for (class, used, left) in
        [(ErrorClass::Transient, 60, 30), (ErrorClass::Transient, 1, 90), (ErrorClass::Ok, 60, 90)]
    {
        let mut pool = in_a_known_window();
        let held = pool.acquire(after(20), &request(2, used)).unwrap().lease;
        pool.report(after(21), held, &CallReport { class, ..told(1, used, 70, 50) }).unwrap();
        assert_eq!(left_at(&mut pool, after(52)), left, "{class:?} of {used} calls");
    }
}
