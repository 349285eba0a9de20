//! Which token is taken, how much of it, and by how many at once.

use super::*;

fn chosen_by(choice: Choice, persons: usize, limits: Vec<LimitRule>) -> Pool {
    let mut pool = Pool::new(network(limits, 1), PoolSettings { choice, ..PoolSettings::default() });
    for number in 0..persons as u128 {
        pool.put_token(&token(number, &format!("person {number}")), None, Vec::new(), START).unwrap();
    }
    pool
}

fn hourly() -> Vec<LimitRule> {
    vec![rule(Owner::Person, Window::Fixed { length: 60 * MINUTE, phase: Phase::Network }, 100)]
}

/// Takes a lease of `calls` and gives it back used up. Returns its token.
fn use_once(pool: &mut Pool, lease: u128, calls: u64) -> u128 {
    let held = pool.acquire(START, &request(lease, calls)).unwrap();
    pool.report(START, held.lease, &quiet(1, calls, 0)).unwrap();
    pool.release(START, held.lease, true).unwrap();
    held.token.as_u128()
}

#[test]
fn round_robin_takes_every_token_in_turn() {
    for persons in [3, 40, 100] {
        let mut pool = chosen_by(Choice::RoundRobin, persons, hourly());
        let mut turns = vec![0; persons];
        for lease in 0..2 * persons as u128 {
            turns[usize::try_from(use_once(&mut pool, lease, 1)).unwrap()] += 1;
        }
        assert!(turns.iter().all(|turns| *turns == 2), "{persons} tokens: {turns:?}");
    }
}

#[test]
fn round_robin_takes_turns_over_the_tokens_of_several_apps() {
    let mut pool = chosen_by(Choice::RoundRobin, 0, hourly());
    for number in 0..4_u128 {
        let app = if number == 0 { "first" } else { "second" };
        let token = Token { app: app.parse().unwrap(), ..token(number, &format!("person {number}")) };
        pool.put_token(&token, None, Vec::new(), START).unwrap();
    }
    let mut turns = [0; 4];
    for lease in 0..40 {
        turns[usize::try_from(use_once(&mut pool, lease, 1)).unwrap()] += 1;
    }
    assert_eq!(turns, [10; 4]);
}

#[test]
fn most_credit_takes_the_one_with_the_most_left() {
    let mut pool = chosen_by(Choice::MostCredit, 3, hourly());
    let (first, second) = (use_once(&mut pool, 1, 60), use_once(&mut pool, 2, 30));
    let third = use_once(&mut pool, 3, 1);
    assert!(first != second && second != third && first != third);
    assert_eq!(use_once(&mut pool, 4, 1), third);
}

#[test]
fn soonest_reset_takes_the_one_whose_window_ends_first() {
    let mut pool = chosen_by(Choice::SoonestReset, 0, hourly());
    for number in 0..3_u128 {
        let named = Token { profiles: vec![format!("p{number}")], ..token(number, &format!("person {number}")) };
        pool.put_token(&named, None, Vec::new(), START).unwrap();
        let wanted = AcquireRequest { profile: Some(format!("p{number}")), ..request(number, 1) };
        let held = pool.acquire(START, &wanted).unwrap();
        let usage = Usage::Count { limit: Some(100), remaining: Some(99), used: None };
        let resets_at = Some(START + MINUTE * [30, 10, 50][usize::try_from(number).unwrap()]);
        let reading = Reading { owner: Owner::Person, window: None, class: None, object: None, usage, resets_at };
        pool.report(START, held.lease, &CallReport { readings: vec![reading], ..quiet(1, 1, 0) }).unwrap();
        pool.release(START, held.lease, true).unwrap();
    }
    let order: Vec<u128> =
        (10..13).map(|lease| pool.acquire(START, &request(lease, 89)).unwrap().token.as_u128()).collect();
    assert_eq!(order, [1, 0, 2]);
}

#[test]
fn a_token_is_held_by_no_more_leases_than_it_may_be() {
    let mut pool = chosen_by(Choice::MostCredit, 1, hourly());
    pool.put_token(&Token { max_leases: Some(2), ..token(0, "person 0") }, None, Vec::new(), START).unwrap();
    let first = pool.acquire(START, &request(1, 1)).unwrap();
    pool.acquire(START, &request(2, 1)).unwrap();
    assert_eq!(pool.acquire(START, &request(3, 1)).unwrap_err(), Refusal::Busy);
    pool.release(START, first.lease, true).unwrap();
    assert!(pool.acquire(START, &request(4, 1)).is_ok());
}

#[test]
fn the_owners_reserve_is_the_tokens_else_the_teams_else_the_networks() {
    for (own, team, may_be_spent) in
        [(None, None, 90), (None, Some(25), 75), (Some(50), Some(25), 50), (Some(0), None, 100)]
    {
        let mut pool = chosen_by(Choice::MostCredit, 0, hourly());
        let token = Token { reserve_percent: own, ..token(0, "ann") };
        pool.put_token(&token, team, Vec::new(), START).unwrap();
        let refused = pool.acquire(START, &request(1, 101)).unwrap_err();
        assert_eq!(refused, Refusal::TooMany { most: may_be_spent }, "{own:?} {team:?}");
        assert_eq!(pool.acquire(START, &request(2, may_be_spent)).unwrap().calls, may_be_spent);
    }
}

#[test]
fn of_an_account_with_several_tokens_the_highest_reserve_is_kept() {
    for order in [[10, 50], [50, 10]] {
        let mut pool = chosen_by(Choice::MostCredit, 0, hourly());
        for (number, reserve) in (0..).zip(order) {
            let token = Token { reserve_percent: Some(reserve), ..token(number, "ann") };
            pool.put_token(&token, None, Vec::new(), START).unwrap();
            let _ = pool.acquire(START, &request(number, 1));
        }
        assert!(pool.all_buckets().iter().all(|bucket| bucket.cap == 50), "{order:?}");
    }
}
