//! Dialects with lists of policies: each is a limit over a window of its own, and one of them is in force.

use std::time::Duration;

use super::structured::{Bare, Item, list as items};
use super::{Look, Reading, Usage, counted, time};
use crate::base::clock::Timestamp;
use crate::base::ids::ClassId;

/// A limit over a window.
struct Policy {
    limit: u64,
    window: Duration,
    class: Option<ClassId>,
}

/// `limit: 60, 100;w=1;name="…", 60;w=60;name="…"` with `remaining` and `reset` beside it, or the policies in a header
/// of their own. What is left belongs to the policy whose limit is the one in force; of the others only the limit is
/// known.
pub fn list(look: &Look<'_>) -> Option<Vec<Reading>> {
    let limits = match look.part("limit").ok()? {
        Some(text) => items(text)?,
        None => Vec::new(),
    };
    let in_force = match limits.first().map(|item| item.value) {
        Some(Bare::Integer(limit)) => Some(limit),
        Some(Bare::Text(_) | Bare::Other) => return None,
        None => None,
    };
    let remaining = look.count("remaining").ok()?;
    let resets_at = look.reset().ok()?;
    let usage = counted(in_force, remaining, None)?;
    let mut policies: Vec<Policy> = limits.iter().filter_map(|item| policy(look, item)).collect();
    if let Some(text) = look.part("policy").ok()? {
        policies.extend(items(text)?.iter().filter_map(|item| policy(look, item)));
    }
    let (mut readings, others) = split(look, policies, in_force, usage, resets_at);
    if readings.is_empty() {
        readings.push(look.reading(usage, resets_at));
    }
    for other in others {
        add(&mut readings, other);
    }
    Some(readings)
}

/// The readings of the policies in force, and those of the others.
fn split(
    look: &Look<'_>,
    policies: Vec<Policy>,
    in_force: Option<u64>,
    usage: Usage,
    resets_at: Option<Timestamp>,
) -> (Vec<Reading>, Vec<Reading>) {
    // A second's grace: networks round the time that is left.
    let may_end = |window: Duration, at: Timestamp| at <= look.now + window + Duration::from_secs(1);
    let windows: Vec<Duration> = policies.iter().map(|policy| policy.window).collect();
    let (mut now_in_force, mut others) = (Vec::new(), Vec::new());
    for policy in policies {
        let is_in_force = Some(policy.limit) == in_force && resets_at.is_none_or(|at| may_end(policy.window, at));
        let limit_only = Usage::Count { limit: Some(policy.limit), remaining: None, used: None };
        // A reset that may be the end of a shorter window proves nothing of a longer one.
        let is_of_shorter = |at| windows.iter().any(|window| *window < policy.window && may_end(*window, at));
        let resets_at = resets_at.filter(|at| is_in_force && !is_of_shorter(*at));
        let usage = if is_in_force { usage } else { limit_only };
        let reading = look.reading(usage, resets_at);
        let class = policy.class.or(reading.class.clone());
        let reading = Reading { window: Some(policy.window), class, ..reading };
        if is_in_force { add(&mut now_in_force, reading) } else { others.push(reading) }
    }
    (now_in_force, others)
}

/// Adds a reading, unless there is one of the same window and class.
fn add(readings: &mut Vec<Reading>, reading: Reading) {
    if !readings.iter().any(|other| other.window == reading.window && other.class == reading.class) {
        readings.push(reading);
    }
}

fn policy(look: &Look<'_>, item: &Item<'_>) -> Option<Policy> {
    let Bare::Integer(limit) = item.value else { return None };
    Some(Policy { limit, window: window(item)?, class: class_named(look, item.text("name").unwrap_or_default()) })
}

/// The window of a policy; none where it is missing, zero, or longer than any network counts over.
fn window(item: &Item<'_>) -> Option<Duration> {
    let window = Duration::from_secs(item.integer("w")?);
    let believable = !window.is_zero() && window <= time::FARTHEST;
    believable.then_some(window)
}

/// The class of which a policy's name speaks: `org_read_app_id_user_id` speaks of `org_read`.
fn class_named(look: &Look<'_>, name: &str) -> Option<ClassId> {
    let speaks_of = |class: &str| name.strip_prefix(class).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    let classes = look.network.classes.iter().map(|class| &class.id).filter(|class| speaks_of(class.as_str()));
    classes.max_by_key(|class| class.as_str().len()).cloned()
}

/// `RateLimit-Policy: "burst";q=100;w=60, "daily";q=1000;w=86400` and `RateLimit: "burst";r=50;t=30`
/// (draft-ietf-httpapi-ratelimit-headers, of 2025-09).
pub fn ietf(look: &Look<'_>) -> Option<Vec<Reading>> {
    // A malformed field is to be ignored; the other one still says something.
    let left = look.whole().ok()?.and_then(items).unwrap_or_default();
    let policies = look.part("policy").ok()?.and_then(items).unwrap_or_default();
    let mut readings = Vec::new();
    for item in &left {
        let policy = match policies.as_slice() {
            [only] if left.len() == 1 => Some(only),
            several => several.iter().find(|policy| policy.value == item.value),
        };
        if let Some(reading) = left_of(look, item, policy) {
            add(&mut readings, reading);
        }
    }
    for policy in policies.iter().filter(|policy| counts_requests(policy)) {
        let Some(limit) = policy.integer("q") else { continue };
        let reading = look.reading(Usage::Count { limit: Some(limit), remaining: None, used: None }, None);
        add(&mut readings, Reading { window: window(policy).or(reading.window), ..reading });
    }
    Some(readings)
}

fn left_of(look: &Look<'_>, item: &Item<'_>, policy: Option<&Item<'_>>) -> Option<Reading> {
    if !matches!(item.value, Bare::Text(_)) || policy.is_some_and(|policy| !counts_requests(policy)) {
        return None;
    }
    let limit = policy.and_then(|policy| policy.integer("q"));
    let usage = counted(limit, Some(item.integer("r")?), None)?;
    let resets_at = item.integer("t").map(|seconds| look.now + Duration::from_secs(seconds));
    let reading = look.reading(usage, resets_at.filter(|at| time::is_believable(*at, look.now)));
    Some(Reading { window: policy.and_then(window).or(reading.window), ..reading })
}

/// Whether a policy counts requests, and not bytes or open connections.
fn counts_requests(policy: &Item<'_>) -> bool {
    let other_unit = policy.has("qu") && policy.text("qu") != Some("requests");
    matches!(policy.value, Bare::Text(_)) && !other_unit
}
