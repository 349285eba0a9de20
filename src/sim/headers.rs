//! Usage headers: each network's own way to tell what is left.

use std::time::Duration;

use serde_json::json;

use super::refusal::Family;
use super::verdict::Usage;
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

/// A date of HTTP (RFC 9110, section 5.6.7).
pub(super) fn http_date(at: Timestamp) -> String {
    let date = jiff::Timestamp::from_microsecond(at.micros());
    date.map_or_else(|_| String::new(), |date| date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// As Mastodon writes it: with microseconds, in UTC.
fn iso(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.micros()).map_or_else(|_| String::new(), |stamp| format!("{stamp:.6}"))
}

#[cfg(test)]
mod tests;
