//! Usage headers: each network's own way to tell what is left.

use std::time::Duration;

use serde_json::json;

use super::book::Usage;
use super::refusal::Family;
use crate::base::clock::Timestamp;
use crate::domain::networks::{Dialect, HeaderRule, Network, Owner, Verified, Window};

/// The usage headers of an answer at `now`: names in lower case, in the order of the catalogue. `refused_until`: when a refused call
/// may be repeated. Headers that no source confirms are not sent: a client must live without them.
pub(super) fn usage_headers(
    network: &Network,
    usage: &[Usage],
    now: Timestamp,
    refused_until: Option<Timestamp>,
) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for rule in network.headers.iter().filter(|rule| rule.verified != Verified::Unverified) {
        if rule.dialect == Dialect::RetryAfter {
            let sent = refused_until.filter(|until| *until < Timestamp::NEVER && !is_secondary_only(network));
            if let Some(until) = sent {
                headers.push((rule.name.clone(), seconds_until(now, until).to_string()));
            }
            continue;
        }
        let spoken_of: Vec<&Usage> = usage.iter().filter(|usage| speaks_of(network, rule, usage)).collect();
        if let Some(tightest) = spoken_of.iter().copied().max_by_key(|usage| tightness(usage)) {
            write(network, rule, tightest, &spoken_of, now, &mut headers);
        }
    }
    headers
}

/// GitHub sends `Retry-After` for its secondary limits only, which are not simulated.
fn is_secondary_only(network: &Network) -> bool {
    Family::of(network) == Family::GitHub
}

fn speaks_of(network: &Network, rule: &HeaderRule, usage: &Usage) -> bool {
    let is_owner = usage.owner == rule.owner || (usage.owner == Owner::App && tells_apps_too(network));
    is_owner
        && rule.class.as_ref().is_none_or(|class| *class == usage.limit.class)
        && rule.window.is_none_or(|length| length_of(&usage.window) == Some(length))
}

/// X and GitHub send the same headers for an app's own token, about the app's limit.
fn tells_apps_too(network: &Network) -> bool {
    matches!(Family::of(network), Family::X | Family::GitHub)
}

/// The part used, in millionths; of two accounts that are used alike, the smaller one is tighter.
fn tightness(usage: &Usage) -> (u128, std::cmp::Reverse<u64>) {
    let part = u128::from(usage.used) * 1_000_000 / u128::from(usage.allowed.max(1));
    (part, std::cmp::Reverse(usage.allowed))
}

fn length_of(window: &Window) -> Option<Duration> {
    match window {
        Window::Fixed { length, .. } | Window::Rolling { length } | Window::Distinct { length } => Some(*length),
        Window::Daily { .. } => Some(Duration::from_secs(24 * 3600)),
        Window::Paced { per } => Some(*per),
        Window::Budget => None,
    }
}

fn write(
    network: &Network,
    rule: &HeaderRule,
    usage: &Usage,
    all: &[&Usage],
    now: Timestamp,
    headers: &mut Vec<(String, String)>,
) {
    let mut put = |part: &str, value: String| headers.push((named(&rule.name, part), value));
    let limit = usage.allowed.to_string();
    let remaining = usage.remaining().to_string();
    let seconds = seconds_until(now, usage.resets_at).to_string();
    match rule.dialect {
        Dialect::PercentObject => put("", percent_object(usage)),
        Dialect::PercentMap => put("", percent_map(network, usage, now)),
        Dialect::TripleEpoch => {
            put("limit", limit);
            put("remaining", remaining);
            put("reset", epoch(usage.resets_at).to_string());
            if Family::of(network) == Family::GitHub {
                put("used", usage.used.to_string());
                put("resource", "core".to_owned());
            }
        }
        Dialect::TripleSeconds if Family::of(network) == Family::Reddit => {
            put("used", usage.used.to_string());
            put("remaining", format!("{remaining}.0"));
            put("reset", seconds);
        }
        Dialect::TripleSeconds => {
            put("limit", limit);
            put("remaining", remaining);
            put("reset", seconds);
        }
        Dialect::TripleIso => {
            put("limit", limit);
            put("remaining", remaining);
            put("reset", iso(usage.resets_at));
        }
        Dialect::PolicyList => {
            put("limit", policy_list(usage, all));
            put("remaining", remaining);
            put("reset", seconds);
        }
        Dialect::IetfDraft => {
            headers.push(("ratelimit-policy".to_owned(), each(all, ietf_policy)));
            headers.push(("ratelimit".to_owned(), each(all, |usage| ietf_state(usage, now))));
        }
        Dialect::IetfDraftOld => {
            put("limit", limit.clone());
            put("remaining", remaining);
            put("reset", epoch(usage.resets_at).to_string());
            put("policy", format!("{limit};w={}", window_seconds(usage)));
        }
        Dialect::RetryAfter => {}
    }
}

fn named(name: &str, part: &str) -> String {
    match part {
        "" => name.to_owned(),
        _ if name.ends_with('-') => format!("{name}{part}"),
        _ => format!("{name}-{part}"),
    }
}

fn percent_object(usage: &Usage) -> String {
    let percent = usage.percent();
    json!({ "call_count": percent, "total_time": percent * 9 / 10, "total_cputime": percent * 8 / 10 }).to_string()
}

fn percent_map(network: &Network, usage: &Usage, now: Timestamp) -> String {
    let percent = usage.percent();
    let kind = match network.id.as_str() {
        id if id.starts_with("instagram") => "instagram",
        id if id.starts_with("threads") => "threads",
        _ => "pages",
    };
    let blocked = if percent >= 100 { seconds_until(now, usage.opens_at).div_ceil(60) } else { 0 };
    let object = json!({
        "type": kind,
        "call_count": percent,
        "total_cputime": percent * 8 / 10,
        "total_time": percent * 9 / 10,
        "estimated_time_to_regain_access": blocked,
    });
    let profile = usage.account.split_once('/').map_or(usage.account.as_str(), |(_, profile)| profile);
    json!({ profile: [object] }).to_string()
}

/// The leading effective limit, then one policy per limit, named after its class and the partition it is kept in.
fn policy_list(tightest: &Usage, all: &[&Usage]) -> String {
    let policy = |usage: &Usage| {
        let partition = if usage.owner == Owner::App { "app_id" } else { "app_id_user_id" };
        let name = format!("{}_{partition}", usage.limit.class);
        format!("{};w={};name=\"{name}\"", usage.allowed, window_seconds(usage))
    };
    format!("{}, {}", tightest.allowed, each(all, policy))
}

fn ietf_policy(usage: &Usage) -> String {
    format!("\"{}\";q={};w={}", policy_name(usage), usage.allowed, window_seconds(usage))
}

fn ietf_state(usage: &Usage, now: Timestamp) -> String {
    format!("\"{}\";r={};t={}", policy_name(usage), usage.remaining(), seconds_until(now, usage.resets_at))
}

fn policy_name(usage: &Usage) -> String {
    format!("{}-{}", usage.limit.class, usage.limit.place)
}

fn each(all: &[&Usage], write: impl Fn(&Usage) -> String) -> String {
    all.iter().map(|usage| write(usage)).collect::<Vec<_>>().join(", ")
}

fn window_seconds(usage: &Usage) -> u64 {
    length_of(&usage.window).map_or(0, |length| length.as_secs().max(1))
}

/// Whole seconds until then, rounded up.
pub(super) fn seconds_until(now: Timestamp, then: Timestamp) -> u64 {
    then.since(now).as_micros().div_ceil(1_000_000).try_into().unwrap_or(u64::MAX)
}

/// Whole seconds since the epoch, rounded up: a window is over when its reset time has come.
fn epoch(at: Timestamp) -> i64 {
    at.secs() + i64::from(at.micros().rem_euclid(1_000_000) > 0)
}

/// As Mastodon writes it: with microseconds, in UTC.
fn iso(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.micros()).map_or_else(|_| String::new(), |stamp| format!("{stamp:.6}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::ids::KindId;
    use crate::domain::networks::{Phase, Unit};
    use crate::sim::book::{Books, Caller};
    use crate::sim::samples::{class, fixed, header, limit, network, rolling};

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
            if let crate::sim::book::Verdict::Refused { resets_at, .. } = outcome.verdict {
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
}
