//! The headers of each dialect, as the networks document them.

use std::sync::Arc;

use super::*;
use crate::base::ids::KindId;
use crate::domain::networks::{Phase, Unit};
use crate::sim::book::Books;
use crate::sim::samples::{class, fixed, header, limit, network, rolling};
use crate::sim::verdict::{Caller, Verdict};

const START: Timestamp = Timestamp::from_secs(1_705_420_000);

/// The headers after `calls` calls with one token of page 112130216863063, 100 seconds after the first.
fn after(network: Network, calls: u64) -> Vec<(String, String)> {
    let network = Arc::new(network);
    let mut books = Books::new(network.clone(), 1).unwrap();
    let kind: KindId = "user".parse().unwrap();
    let caller = Caller {
        token: "t",
        app: "app",
        person: "p",
        profile: Some("112130216863063"),
        address: "a",
        kind: &kind,
        key: "",
    };
    books.call(START, &caller, &network.operations[0]);
    let now = START + Duration::from_secs(100);
    let mut refused = None;
    let mut usage = Vec::new();
    for _ in 1..calls {
        let outcome = books.call(now, &caller, &network.operations[0]);
        usage = outcome.usage;
        if let Verdict::Refused { resets_at, .. } = outcome.verdict {
            refused = Some(resets_at);
        }
    }
    usage_headers(&network, &usage, now, refused)
}

fn one(id: &str, window: Window, amount: u64, owner: Owner, headers: Vec<HeaderRule>) -> Network {
    network(id, vec![class("org_analytics", Unit::Calls, vec![limit(owner, window, amount)])], headers)
}

fn lines(headers: &[(String, String)]) -> Vec<String> {
    headers.iter().map(|(name, value)| format!("{name}: {value}")).collect()
}

#[test]
fn each_dialect_is_written_as_documented() {
    let clock = |seconds| Window::Fixed { length: Duration::from_secs(seconds), phase: Phase::Clock };
    let cases = [
        (
            "x",
            fixed(900),
            900,
            Dialect::TripleEpoch,
            "x-rate-limit-",
            vec!["x-rate-limit-limit: 900", "x-rate-limit-remaining: 847", "x-rate-limit-reset: 1705420800"],
        ),
        (
            "github",
            fixed(3600),
            5000,
            Dialect::TripleEpoch,
            "x-ratelimit-",
            vec![
                "x-ratelimit-limit: 5000",
                "x-ratelimit-remaining: 4947",
                "x-ratelimit-reset: 1705420800",
                "x-ratelimit-used: 53",
                "x-ratelimit-resource: core",
            ],
        ),
        (
            "reddit",
            fixed(600),
            1000,
            Dialect::TripleSeconds,
            "x-ratelimit-",
            vec!["x-ratelimit-used: 53", "x-ratelimit-remaining: 947.0", "x-ratelimit-reset: 100"],
        ),
        (
            "tumblr",
            fixed(3600),
            1000,
            Dialect::TripleSeconds,
            "x-ratelimit-perhour-",
            vec![
                "x-ratelimit-perhour-limit: 1000",
                "x-ratelimit-perhour-remaining: 947",
                "x-ratelimit-perhour-reset: 700",
            ],
        ),
        (
            "mastodon",
            clock(300),
            300,
            Dialect::TripleIso,
            "x-ratelimit-",
            vec![
                "x-ratelimit-limit: 300",
                "x-ratelimit-remaining: 247",
                "x-ratelimit-reset: 2024-01-16T15:50:00.000000Z",
            ],
        ),
        (
            "pinterest",
            fixed(160),
            60,
            Dialect::PolicyList,
            "x-ratelimit-",
            vec![
                "x-ratelimit-limit: 60, 60;w=160;name=\"org_analytics_app_id_user_id\"",
                "x-ratelimit-remaining: 7",
                "x-ratelimit-reset: 60",
            ],
        ),
        (
            "bluesky",
            fixed(300),
            3000,
            Dialect::IetfDraftOld,
            "ratelimit-",
            vec![
                "ratelimit-limit: 3000",
                "ratelimit-remaining: 2947",
                "ratelimit-reset: 1705420200",
                "ratelimit-policy: 3000;w=300",
            ],
        ),
        (
            "another",
            fixed(300),
            100,
            Dialect::IetfDraft,
            "ratelimit",
            vec!["ratelimit-policy: \"org_analytics-0\";q=100;w=300", "ratelimit: \"org_analytics-0\";r=47;t=100"],
        ),
    ];
    for (id, window, amount, dialect, name, expected) in cases {
        let sample = one(id, window, amount, Owner::AppPerson, vec![header(dialect, name, Owner::AppPerson)]);
        assert_eq!(lines(&after(sample, 53)), expected, "{id}");
    }
}

#[test]
fn percent_objects_hold_whole_numbers() {
    let rule = header(Dialect::PercentObject, "x-app-usage", Owner::App);
    let headers = after(one("facebook", rolling(3600), 200, Owner::App, vec![rule]), 57);
    assert_eq!(headers[0].0, "x-app-usage");
    let value: serde_json::Value = serde_json::from_str(&headers[0].1).unwrap();
    assert_eq!(value, json!({ "call_count": 28, "total_time": 25, "total_cputime": 22 }));
}

#[test]
fn percent_maps_are_keyed_by_profile_and_tell_the_block_in_minutes() {
    let map = |limit, calls| {
        let rule = header(Dialect::PercentMap, "x-business-use-case-usage", Owner::Profile);
        let headers = after(one("facebook", rolling(86_400), limit, Owner::Profile, vec![rule]), calls);
        let value: serde_json::Value = serde_json::from_str(&headers[0].1).unwrap();
        value["112130216863063"][0].clone()
    };
    let free = map(100, 97);
    assert_eq!((&free["type"], &free["call_count"]), (&json!("pages"), &json!(97)));
    assert_eq!(free["estimated_time_to_regain_access"], json!(0));
    let full = map(100, 100);
    assert_eq!(full["call_count"], json!(100));
    assert_eq!(full["estimated_time_to_regain_access"], json!((86_400u64 - 100).div_ceil(60)));
}

#[test]
fn retry_after_is_sent_with_refusals_only() {
    let sample = |calls| {
        let rule = header(Dialect::RetryAfter, "retry-after", Owner::App);
        lines(&after(one("x", fixed(900), 10, Owner::App, vec![rule]), calls))
    };
    assert_eq!(sample(10), Vec::<String>::new());
    assert_eq!(sample(11), ["retry-after: 700"]);
}

#[test]
fn a_date_is_written_as_http_has_it() {
    assert_eq!(http_date(Timestamp::from_secs(784_111_777)), "Sun, 06 Nov 1994 08:49:37 GMT");
}

#[test]
fn reset_times_are_rounded_up() {
    let half = Timestamp::from_micros(10_500_000);
    assert_eq!(epoch(half), 11);
    assert_eq!(epoch(Timestamp::from_secs(10)), 10);
    assert_eq!(seconds_until(Timestamp::from_secs(10), half), 1);
    assert_eq!(seconds_until(half, Timestamp::from_secs(10)), 0);
}

#[test]
fn what_no_source_confirms_is_not_sent() {
    let mut rule = header(Dialect::TripleEpoch, "x-rate-limit-", Owner::App);
    rule.verified = Verified::Unverified;
    assert!(after(one("x", fixed(900), 10, Owner::App, vec![rule]), 3).is_empty());
    let retry = header(Dialect::RetryAfter, "retry-after", Owner::App);
    assert!(after(one("github", fixed(900), 1, Owner::App, vec![retry]), 3).is_empty());
}

#[test]
fn of_several_limits_the_tightest_is_told() {
    let limits = vec![limit(Owner::App, fixed(60), 10_000), limit(Owner::App, fixed(3600), 100)];
    let headers = vec![header(Dialect::TripleEpoch, "x-", Owner::App)];
    let sample = network("x", vec![class("calls", Unit::Calls, limits)], headers);
    assert_eq!(lines(&after(sample, 11))[1], "x-remaining: 89");
}
