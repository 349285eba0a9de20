//! The rules of the pool, one by one; `model` plays all of them at random against the simplest exact code.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::ids::KindId;
use crate::domain::networks::*;
use crate::domain::token::{Clocks, Finding, Reason, Token, TokenState};

mod choice;
mod cooling;
mod incident;
mod model;
mod refusals;
mod resets;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

fn network(limits: Vec<LimitRule>, cost: u64) -> Arc<Network> {
    let kind = |id: &str| TokenKind {
        id: id.parse().unwrap(),
        name: String::new(),
        summary: String::new(),
        about: String::new(),
        api_base: None,
        oauth: None,
        scopes: vec![PurposeScopes { purpose: Purpose::CollectContent, scopes: vec!["read".to_owned()] }],
        access_validity: None,
        refresh_validity: None,
        refresh_slides: false,
        data_access_validity: None,
        renewal: Renewal::Nothing,
        bindings: Vec::new(),
        native_permission: None,
        probe: None,
        account: None,
        profiles: None,
        granted: None,
        verified: Verified::Documented,
        unverified: Vec::new(),
    };
    Arc::new(Network {
        id: "net".parse().unwrap(),
        display_name: "Net".to_owned(),
        api_base: "http://localhost".to_owned(),
        kinds: vec![kind("user")],
        classes: vec![CreditClass { id: "calls".parse().unwrap(), unit: Unit::Calls, about: String::new(), limits }],
        operations: vec![Operation {
            id: "read".parse().unwrap(),
            about: String::new(),
            method: "GET".to_owned(),
            path: "/read".to_owned(),
            purposes: vec![Purpose::CollectContent],
            scopes: Vec::new(),
            kinds: Vec::new(),
            costs: vec![Cost { class: "calls".parse().unwrap(), units: cost }],
            verified: Verified::Documented,
        }],
        headers: Vec::new(),
        errors: Vec::new(),
        request_headers: BTreeMap::new(),
        error_body: ErrorBody::default(),
        retention: Vec::new(),
        requirements: Vec::new(),
        history: Vec::new(),
    })
}

fn rule(owner: Owner, window: Window, number: u64) -> LimitRule {
    LimitRule { owner, kinds: Vec::new(), window, amount: Amount::Number(number), verified: Verified::Documented }
}

fn token(number: u128, person: &str) -> Token {
    Token {
        id: TokenId::from_u128(number),
        team: "acme".parse().unwrap(),
        network: "net".parse().unwrap(),
        app: "default".parse().unwrap(),
        kind: "user".parse::<KindId>().unwrap(),
        person: person.to_owned(),
        profiles: Vec::new(),
        label: String::new(),
        granted_by: String::new(),
        scopes: vec!["read".to_owned()],
        purposes: [Purpose::CollectContent].into_iter().collect(),
        facts: BTreeMap::new(),
        reserve_percent: None,
        max_leases: None,
        state: TokenState::Live,
        clocks: Clocks::default(),
        cooling_until: None,
        refreshed: false,
        closed: BTreeMap::new(),
        blocked_since: None,
        created_at: START,
        version: 1,
    }
}

fn request(lease: u128, calls: u64) -> AcquireRequest {
    AcquireRequest {
        lease: LeaseId::from_u128(lease),
        team: "acme".parse().unwrap(),
        collector: None,
        operation: 0,
        calls,
        min_calls: calls,
        purpose: Purpose::CollectContent,
        token: None,
        profile: None,
        kind: None,
        keys: Vec::new(),
        collection: "".into(),
        ttl: Duration::from_secs(60),
    }
}

fn pool(network: Arc<Network>, persons: &[&str]) -> Pool {
    let mut pool = Pool::new(network, PoolSettings { max_leases_per_token: 1000, ..PoolSettings::default() });
    for (number, person) in persons.iter().enumerate() {
        pool.put_token(&token(number as u128, person), None, Vec::new(), START).unwrap();
    }
    pool
}

fn quiet(sequence: u64, used: u64, unused: u64) -> CallReport {
    CallReport {
        sequence,
        used,
        unused,
        throttled: 0,
        errors: 0,
        answered: true,
        answered_at: None,
        class: ErrorClass::Ok,
        retry_after: None,
        readings: Vec::new(),
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_whole_lease_life() {
    let mut pool = pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)], 1), &["ann"]);
    let acquired = pool.acquire(START, &request(1, 90)).unwrap();
    assert_eq!(acquired.calls, 90);
    assert!(pool.confirm(acquired.lease, &acquired.takes));
    let refused = pool.acquire(START, &request(2, 1)).unwrap_err();
    assert!(matches!(refused, Refusal::Limited { .. }), "{refused:?}");
    let reported = pool.report(START, acquired.lease, &quiet(1, 30, 0)).unwrap();
    assert_eq!((reported.verdict, reported.calls_left), (Verdict::Keep, 60));
    pool.release(START, acquired.lease, true).unwrap();
    assert_eq!(pool.acquire(START, &request(3, 60)).unwrap().calls, 60);
}

#[test]
fn an_impossible_request_is_told_so() {
    let mut pool = pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)], 2), &["ann"]);
    assert_eq!(pool.acquire(START, &request(1, 46)).unwrap_err(), Refusal::TooMany { most: 45 });
    let nobody = AcquireRequest { team: "other".parse().unwrap(), ..request(2, 1) };
    assert_eq!(pool.acquire(START, &nobody).unwrap_err(), Refusal::NoToken(NoToken::None));
}

#[test]
fn tokens_of_one_person_share_the_persons_limit() {
    let mut pool =
        pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)], 1), &["ann", "ann"]);
    pool.acquire(START, &request(1, 90)).unwrap();
    assert!(matches!(pool.acquire(START, &request(2, 1)), Err(Refusal::Limited { .. })));
}

#[test]
fn a_draw_that_fails_in_one_bucket_takes_nothing_from_another() {
    let limits = vec![
        rule(Owner::Person, Window::Rolling { length: MINUTE }, 1000),
        rule(Owner::App, Window::Rolling { length: MINUTE }, 100),
    ];
    let mut pool = pool(network(limits, 1), &["ann", "ben"]);
    pool.acquire(START, &request(1, 80)).unwrap();
    assert!(pool.acquire(START, &request(2, 20)).is_err());
    let granted: u64 = pool.all_buckets().iter().map(|bucket| bucket.outstanding).sum();
    assert_eq!(granted, 160, "80 from the person's bucket and 80 from the app's");
}

#[test]
fn most_credit_spreads_over_the_tokens() {
    let mut pool =
        pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)], 1), &["a", "b", "c"]);
    let mut tokens: Vec<_> = (0..9).map(|n| pool.acquire(START, &request(n, 20)).unwrap().token).collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 3);
}

#[test]
fn a_dead_token_is_never_leased_again_and_its_holders_are_recalled() {
    let mut pool = pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)], 1), &["ann"]);
    let held = pool.acquire(START, &request(1, 10)).unwrap();
    let recalled = pool.change_state(held.token, |state| state.revoke(START), START);
    assert_eq!(recalled, [held.lease]);
    assert!(!pool.confirm(held.lease, &held.takes), "a lease that waits for the store is not acknowledged any more");
    assert!(matches!(pool.acquire(START, &request(2, 1)), Err(Refusal::NoToken(NoToken::Dead(_)))));
    let last = pool.report(START, held.lease, &quiet(1, 3, 0)).unwrap();
    assert_eq!(last.verdict, Verdict::Recalled);
}

#[test]
fn tokens_whose_windows_are_about_to_end_hide_no_other_token() {
    let limits = vec![rule(Owner::Person, Window::Fixed { length: MINUTE, phase: Phase::Network }, 100)];
    let mut pool = pool(network(limits, 1), &[]);
    let ending = 30;
    for number in 0..40_u128 {
        let named = Token { profiles: vec![format!("p{number}")], ..token(number, &format!("person {number}")) };
        pool.put_token(&named, None, Vec::new(), START).unwrap();
        // Those whose windows end have more credit left than the others.
        let calls = if number < ending { 1 } else { 60 };
        let wanted = AcquireRequest { profile: Some(format!("p{number}")), ..request(number, calls) };
        let held = pool.acquire(START, &wanted).unwrap();
        let usage = Usage::Count { limit: Some(100), remaining: Some(100 - calls), used: None };
        let resets_at = Some(START + MINUTE);
        let reading = Reading { owner: Owner::Person, window: None, class: None, object: None, usage, resets_at };
        let readings = if number < ending { vec![reading] } else { Vec::new() };
        pool.report(START, held.lease, &CallReport { readings, ..quiet(1, calls, 0) }).unwrap();
        pool.release(START, held.lease, true).unwrap();
    }
    let shortly_before = START + MINUTE - Duration::from_secs(1);
    let held = pool.acquire(shortly_before, &request(100, 10)).unwrap();
    assert!(held.token.as_u128() >= ending, "{}", held.token);
}

#[test]
fn a_token_that_was_first_asked_for_as_its_window_ended_serves_in_the_next() {
    let limits = vec![rule(Owner::Person, Window::Fixed { length: MINUTE, phase: Phase::Clock }, 100)];
    let mut pool = pool(network(limits, 1), &["ann"]);
    let last_second = START + MINUTE - Duration::from_secs(1);
    let Err(Refusal::Limited { until, .. }) = pool.acquire(last_second, &request(1, 10)) else { panic!("limited") };
    assert_eq!(until, START + MINUTE + Duration::from_secs(2));
    for (number, later) in [(2, until), (3, until + MINUTE * 5)] {
        assert_eq!(pool.acquire(later, &request(number, 10)).unwrap().calls, 10, "{later}");
    }
}

#[test]
fn a_refusal_closes_the_bucket_and_one_probe_opens_it() {
    let mut pool = pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)], 1), &["ann"]);
    let held = pool.acquire(START, &request(1, 10)).unwrap();
    let refused = CallReport { class: ErrorClass::RateLimitedToken, retry_after: Some(MINUTE), ..quiet(1, 1, 0) };
    let answer = pool.report(START, held.lease, &refused).unwrap();
    assert_eq!(answer.verdict, Verdict::StopUntil(START + MINUTE));
    pool.release(START, held.lease, true).unwrap();
    assert!(matches!(pool.acquire(START + Duration::from_secs(30), &request(2, 1)), Err(Refusal::Limited { .. })));
    let later = START + MINUTE * 2;
    let probe = pool.acquire(later, &request(3, 10)).unwrap();
    assert_eq!(probe.calls, 1, "one probe");
    assert!(pool.acquire(later, &request(4, 1)).is_err(), "and no second one beside it");
    pool.report(later, probe.lease, &quiet(1, 1, 0)).unwrap();
    assert_eq!(pool.acquire(later, &request(5, 50)).unwrap().calls, 50);
}

#[test]
fn nothing_is_acknowledged_before_the_block_it_draws_from() {
    let mut pool = pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 3200)], 1), &["ann"]);
    let first = pool.acquire(START, &request(1, 10)).unwrap();
    assert_eq!(first.takes.len(), 1);
    let second = pool.acquire(START, &request(2, 10)).unwrap();
    assert!(second.takes.is_empty(), "it draws from the block of the first");
    let more = pool.top_up(START, first.lease, 10, &[]).unwrap();
    assert!(!pool.is_top_up_durable(&more), "the block is still on its way");
    pool.cancel(first.lease, &first.takes, false, START);
    assert!(!pool.confirm(second.lease, &second.takes), "the store never took the block");
    pool.release(START, second.lease, true).unwrap();
    let third = pool.acquire(START, &request(3, 10)).unwrap();
    assert!(pool.confirm(third.lease, &third.takes));
    let more = pool.top_up(START, third.lease, 10, &[]).unwrap();
    assert!(pool.is_top_up_durable(&more));
}

#[test]
fn a_refusal_says_why_and_when() {
    let limits = vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)];
    let mut pool = pool(network(limits, 1), &["ann", "ben"]);
    let wrong_purpose = AcquireRequest { purpose: Purpose::Publish, ..request(1, 1) };
    assert_eq!(pool.acquire(START, &wrong_purpose).unwrap_err(), Refusal::NoToken(NoToken::Purpose));
    pool.acquire(START, &request(2, 90)).unwrap();
    pool.acquire(START, &request(3, 90)).unwrap();
    let Err(Refusal::Limited { until, .. }) = pool.acquire(START, &request(4, 1)) else { panic!("limited") };
    assert!(until > START && until <= START + MINUTE * 4, "{until}");
    pool.change_state(TokenId::from_u128(0), |state| state.pause(START).unwrap(), START);
    assert!(matches!(pool.acquire(START, &request(5, 1)), Err(Refusal::Limited { .. })), "the other comes back");
    pool.change_state(TokenId::from_u128(1), |state| state.pause(START).unwrap(), START);
    assert_eq!(pool.acquire(START, &request(6, 1)).unwrap_err(), Refusal::NoToken(NoToken::Paused));
}

#[test]
fn a_token_whose_scopes_do_not_suffice_is_leased_neither_for_its_profile_nor_to_look() {
    let mut network = network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)], 1);
    let entry = Arc::get_mut(&mut network).unwrap();
    let scopes = vec!["write".to_owned()];
    entry.operations.push(Operation { id: "other".parse().unwrap(), scopes, ..entry.operations[0].clone() });
    let mut pool = pool(network, &[]);
    for number in 0..3 {
        let token = Token { profiles: vec!["page".to_owned()], ..token(number, &format!("person-{number}")) };
        pool.put_token(&token, None, Vec::new(), START).unwrap();
    }
    let other = |lease, profile: Option<&str>| AcquireRequest {
        operation: 1,
        profile: profile.map(str::to_owned),
        ..request(lease, 1)
    };
    let refusal = Refusal::NoToken(NoToken::Purpose);
    assert_eq!(pool.acquire(START, &other(1, Some("page"))).unwrap_err(), refusal);
    for number in 0..3 {
        let only = AcquireRequest { token: Some(TokenId::from_u128(number)), ..request(number + 10, 1) };
        let held = pool.acquire(START, &only).unwrap().lease;
        let report = CallReport { class: ErrorClass::TokenRevoked, ..quiet(1, 1, 0) };
        pool.report(START, held, &report).unwrap();
    }
    assert_eq!(pool.incidents().len(), 1);
    assert!(pool.acquire(START + MINUTE, &other(20, None)).is_err());
    assert!(pool.acquire(START + MINUTE, &request(21, 1)).is_ok(), "it is time to look");
}

#[test]
fn a_report_is_counted_once_and_never_beyond_the_grant() {
    let mut pool = pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)], 1), &["ann"]);
    let held = pool.acquire(START, &request(1, 10)).unwrap();
    pool.report(START, held.lease, &quiet(1, 4, 0)).unwrap();
    assert_eq!(pool.report(START, held.lease, &quiet(1, 4, 0)).unwrap().calls_left, 6);
    let beyond = pool.report(START, held.lease, &quiet(2, 7, 0)).unwrap_err();
    assert_eq!(beyond, ReportError::MoreThanGranted { reported: 7, left: 6 });
}

#[test]
fn more_calls_are_granted_all_or_none_and_older_ones_keep_their_end() {
    let mut pool = pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)], 1), &["ann"]);
    let lease = pool.acquire(START, &request(1, 10)).unwrap().lease;
    pool.extend(START, lease, 10 * MINUTE).unwrap();
    let later = START + Duration::from_secs(20);
    assert!(pool.top_up(later, lease, 81, &[]).is_err(), "90 may be held, and 10 are");
    assert_eq!(pool.lease(lease).unwrap().calls_left, 10);
    let more = pool.top_up(later, lease, 5, &[]).unwrap();
    assert_eq!((more.calls, more.use_by), (5, START + MINUTE), "the ten came from an older block");
    let answer = pool.report(later, lease, &quiet(1, 10, 0)).unwrap();
    assert_eq!((answer.calls_left, answer.use_by), (5, later + MINUTE), "the older calls are used first");
    let over = later + MINUTE;
    assert!(pool.top_up(over, lease, 1, &[]).is_err(), "calls that are out of date must be given back first");
    pool.report(over, lease, &quiet(2, 0, 5)).unwrap();
    assert_eq!(pool.top_up(over, lease, 1, &[]).unwrap().use_by, over + MINUTE);
}

#[test]
fn the_holder_is_told_where_a_lease_stands() {
    let since = START;
    let dead = TokenState::Invalid { reason: crate::domain::token::Reason::Expired, since };
    let cases = [
        (TokenState::Live, Verdict::Keep),
        (TokenState::Suspect { since }, Verdict::Suspect),
        (TokenState::Paused { since }, Verdict::Recalled),
        (TokenState::Revoked { since }, Verdict::Recalled),
        (dead, Verdict::TokenDead(crate::domain::token::Reason::Expired)),
    ];
    for (state, verdict) in cases {
        let mut pool = pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)], 1), &["ann"]);
        let lease = pool.acquire(START, &request(1, 10)).unwrap().lease;
        pool.report(START, lease, &quiet(1, 1, 0)).unwrap();
        pool.change_state(TokenId::from_u128(0), |_| state, START);
        assert_eq!(pool.standing(lease, START), Some(verdict), "{state:?}");
        let again = pool.report(START, lease, &quiet(1, 1, 0)).unwrap();
        assert_eq!((again.verdict, again.calls_left, again.repeated), (verdict, 9, true), "{state:?}");
    }
}

#[test]
fn a_top_up_that_the_store_did_not_take_gives_its_own_credit_back() {
    let mut pool = pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 3200)], 1), &["ann"]);
    let lease = pool.acquire(START, &request(1, 100)).unwrap();
    assert!(pool.confirm(lease.lease, &lease.takes));
    let more = pool.top_up(START, lease.lease, 50, &[]).unwrap();
    assert_eq!(more.takes.len(), 1, "the first block is used up");
    pool.cancel_top_up(lease.lease, &more, TopUpFate::Refused, START);
    assert_eq!(pool.lease(lease.lease).unwrap().calls_left, 100);
    assert_eq!(pool.all_buckets()[0].outstanding, 100, "the lease may still make its first calls");
}

#[test]
fn an_answer_of_the_window_before_opens_no_window_twice() {
    let limits = vec![rule(Owner::Person, Window::Fixed { length: MINUTE, phase: Phase::Network }, 100)];
    let mut pool = pool(network(limits, 1), &["ann"]);
    let held = pool.acquire(START, &request(1, 30)).unwrap().lease;
    let told = |sequence, used, counted, resets_at| {
        let usage = Usage::Count { limit: Some(100), remaining: None, used: Some(counted) };
        let resets_at = Some(START + Duration::from_secs(resets_at));
        let reading = Reading { owner: Owner::Person, window: None, class: None, object: None, usage, resets_at };
        CallReport { readings: vec![reading], ..quiet(sequence, used, 0) }
    };
    pool.report(START, held, &told(1, 10, 10, 50)).unwrap();
    let later = START + Duration::from_secs(20);
    // The network reset its count early, and counts ten calls since.
    pool.report(later, held, &told(2, 10, 10, 75)).unwrap();
    assert_eq!(pool.all_buckets()[0].resets_at, Some(START + Duration::from_secs(75)));
    // An answer that was given before, and is reported only now.
    pool.report(later, held, &told(3, 10, 20, 50)).unwrap();
    assert_eq!(pool.all_buckets()[0].resets_at, Some(START + Duration::from_secs(75)));
}

#[test]
fn a_lower_count_does_not_replace_one_that_may_be_newer() {
    let mut pool = pool(network(vec![rule(Owner::Person, Window::Rolling { length: 10 * MINUTE }, 100)], 1), &["ann"]);
    let held = pool.acquire(START, &request(1, 10)).unwrap().lease;
    let told = |sequence, counted| {
        let usage = Usage::Count { limit: Some(100), remaining: None, used: Some(counted) };
        let reading = Reading { owner: Owner::Person, window: None, class: None, object: None, usage, resets_at: None };
        CallReport { readings: vec![reading], ..quiet(sequence, 1, 0) }
    };
    pool.report(START, held, &told(1, 80)).unwrap();
    pool.report(START + Duration::from_secs(1), held, &told(2, 5)).unwrap();
    assert!(pool.all_buckets()[0].left <= 10, "somebody else has spent 79");
    pool.extend(START, held, 5 * MINUTE).unwrap();
    pool.report(START + 2 * MINUTE, held, &told(3, 5)).unwrap();
    assert!(pool.all_buckets()[0].left > 70, "by now a lower count is the later one");
}

#[test]
fn a_key_costs_nothing_twice_and_is_forgotten_if_the_store_did_not_take_it() {
    let limits = vec![rule(Owner::Person, Window::Distinct { length: 10 * MINUTE }, 2)];
    let mut pool = pool(network(limits, 1), &["ann"]);
    let keyed = |lease, key: &str| AcquireRequest { keys: vec![key.to_owned()], ..request(lease, 1) };
    let lost = pool.acquire(START, &keyed(1, "a")).unwrap();
    assert_eq!(lost.keys.len(), 1);
    let relying = pool.acquire(START, &keyed(2, "a")).unwrap();
    assert!(relying.keys.is_empty());
    pool.cancel(lost.lease, &lost.takes, false, START);
    assert!(!pool.confirm(relying.lease, &relying.takes), "the store does not know its key");
    pool.release(START, relying.lease, true).unwrap();
    for (lease, key) in [(3, "b"), (4, "c"), (5, "b")] {
        let held = pool.acquire(START, &keyed(lease, key)).unwrap();
        assert!(pool.confirm(held.lease, &held.takes), "{key}");
    }
    assert!(matches!(pool.acquire(START, &keyed(6, "a")), Err(Refusal::Limited { .. })));
}

#[test]
fn what_was_found_with_old_secrets_says_nothing_of_the_new_ones() {
    let mut pool = pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)], 1), &["ann"]);
    let old = pool.acquire(START, &request(1, 10)).unwrap().lease;
    let anew = Token { version: 2, ..token(0, "ann") };
    pool.put_token(&anew, None, Vec::new(), START).unwrap();
    for (sequence, class) in [(1, ErrorClass::PasswordChanged), (2, ErrorClass::TokenInvalid)] {
        let dead = CallReport { class, ..quiet(sequence, 1, 0) };
        assert_eq!(pool.report(START, old, &dead).unwrap().verdict, Verdict::Recalled, "{class:?}");
    }
    assert!(pool.acquire(START, &request(2, 10)).is_ok());
}

#[test]
fn a_change_of_a_tokens_other_fields_undoes_nothing_that_was_found_out() {
    let mut pool = pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)], 1), &["ann"]);
    let held = pool.acquire(START, &request(1, 10)).unwrap().lease;
    pool.report(START, held, &CallReport { class: ErrorClass::PasswordChanged, ..quiet(1, 1, 0) }).unwrap();
    pool.put_token(&Token { label: "renamed".to_owned(), ..token(0, "ann") }, None, Vec::new(), START).unwrap();
    assert!(matches!(pool.acquire(START, &request(2, 1)), Err(Refusal::NoToken(NoToken::Dead(_)))));
}

#[test]
fn a_restored_lease_can_report_any_number() {
    let mut pool = pool(network(vec![rule(Owner::Person, Window::Rolling { length: MINUTE }, 100)], 3), &["ann"]);
    let lease = crate::domain::lease::Lease {
        id: LeaseId::from_u128(7),
        team: "acme".parse().unwrap(),
        collector: None,
        network: "net".parse().unwrap(),
        token: TokenId::from_u128(0),
        operation: "read".parse().unwrap(),
        purpose: Purpose::CollectContent,
        collection: String::new(),
        profile: String::new(),
        calls: 5,
        opened_at: START,
        use_by: START + MINUTE,
        expires_at: START + MINUTE,
        state: crate::domain::lease::LeaseState::Open,
    };
    assert!(pool.restore_lease(&lease));
    pool.top_up(START, lease.id, 2, &[]).unwrap();
    for sequence in 1..3 {
        assert_eq!(pool.report(START, lease.id, &quiet(sequence, u64::MAX, u64::MAX)).unwrap().calls_left, 0);
    }
}

#[test]
fn credit_that_a_window_took_with_it_is_counted_as_wasted() {
    let daily = Window::Daily { zone: "UTC".to_owned() };
    let network = network(vec![rule(Owner::Token, daily, 3200)], 1);
    let mut pool = pool(network, &["ann"]);
    assert_eq!(pool.survey_buckets(0..10).wasted, BTreeMap::new());
    pool.acquire(START, &request(1, 10)).unwrap();
    // A block holds a 32nd of the limit: what is left of it ends with the day.
    let tomorrow = START + Duration::from_secs(2 * 86_400);
    pool.acquire(tomorrow, &request(2, 10)).unwrap();
    assert_eq!(pool.survey_buckets(0..10).wasted, BTreeMap::from([(0, 90)]));
}
