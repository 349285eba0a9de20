//! What a network's headers say of the credit that is left.
//!
//! Headers are foreign text: a value that is malformed, too long, contradictory or absurd gives no reading and is counted
//! as ignored; nothing here panics, and numbers saturate. What a reading is worth is decided by the credit books.

use std::time::Duration;

use serde_json::{Map, Value};

use super::model::{Dialect, HeaderRule, Network, Owner};
use crate::base::clock::Timestamp;
use crate::base::ids::ClassId;

/// No reset, wait or window is believed to be longer than this.
pub(super) const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// A header's value is read up to this many bytes; a longer one is ignored.
const VALUE_LIMIT: usize = 16 * 1024;
/// At most this many objects of one percent map, and policies of one list, are read.
const LIST_LIMIT: usize = 64;
/// A reset that is larger than this is a time since the epoch, a smaller one is a span.
const EPOCH_FROM: u64 = 1_000_000_000;

/// What one header says of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Whose account it is.
    pub owner: Owner,
    /// The length of the window it speaks of, where that is known.
    pub window: Option<Duration>,
    /// The class; `None`: the classes that the call drew from.
    pub class: Option<ClassId>,
    /// The object (a page's id) that the header names.
    pub object: Option<String>,
    /// What is used or left.
    pub usage: Usage,
    /// When the window ends or the block is lifted, where the header says so.
    pub resets_at: Option<Timestamp>,
}

/// What is used or left of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Units. At least one of `remaining` and `used` is known, or the limit is.
    Count {
        /// The limit of the window.
        limit: Option<u64>,
        /// What is left, a fraction rounded down.
        remaining: Option<u64>,
        /// What was used.
        used: Option<u64>,
    },
    /// Percent of the allowance that is used, rounded up; may exceed 100.
    Percent(u8),
    /// Nothing may be called until the reset.
    Blocked,
}

/// Why a header gave no reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ignored {
    /// Longer than is read.
    TooLong,
    /// Not in the form of its dialect.
    Malformed,
    /// Its parts contradict each other (more left than the limit).
    Contradictory,
}

impl Ignored {
    /// The name used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Ignored::TooLong => "too_long",
            Ignored::Malformed => "malformed",
            Ignored::Contradictory => "contradictory",
        }
    }
}

/// All readings of an answer, and why other headers of the network gave none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readings {
    /// The readings, in the order of the network's rules.
    pub readings: Vec<Reading>,
    /// One reason per header that was there and gave nothing.
    pub ignored: Vec<Ignored>,
}

/// What the headers of an answer (names in lower case) say at `now`.
pub fn read_usage(network: &Network, headers: &[(String, String)], now: Timestamp) -> Vec<Reading> {
    read_usage_with_reasons(network, headers, now).readings
}

/// The same, with the reasons why headers were ignored.
pub fn read_usage_with_reasons(network: &Network, headers: &[(String, String)], now: Timestamp) -> Readings {
    let mut out = Readings::default();
    for rule in &network.headers {
        let look = Look { rule, headers, now };
        match look.read() {
            Ok(readings) => out.readings.extend(readings),
            Err(ignored) => out.ignored.push(ignored),
        }
    }
    out
}

type Found = Result<Vec<Reading>, Ignored>;

/// One rule, looked up in the headers of one answer.
struct Look<'a> {
    rule: &'a HeaderRule,
    headers: &'a [(String, String)],
    now: Timestamp,
}

impl Look<'_> {
    fn read(&self) -> Found {
        match self.rule.dialect {
            Dialect::PercentObject => self.percent_object(),
            Dialect::PercentMap => self.percent_map(),
            Dialect::TripleEpoch => self.triple(|look, text| look.epoch(text)),
            Dialect::TripleSeconds => self.triple(|look, text| look.seconds_left(text)),
            Dialect::TripleIso => self.triple(|look, text| look.iso(text)),
            Dialect::PolicyList => self.policy_list(),
            Dialect::IetfDraft => self.ietf_draft(),
            Dialect::IetfDraftOld => self.ietf_draft_old(),
            Dialect::RetryAfter => self.retry_after(),
        }
    }

    /// The value of a header; an error if it is there but too long.
    fn value(&self, suffix: &str) -> Result<Option<&str>, Ignored> {
        let is_named = |name: &str| name.strip_prefix(self.rule.name.as_str()) == Some(suffix);
        match self.headers.iter().find(|(name, _)| is_named(name)) {
            Some((_, value)) if value.len() > VALUE_LIMIT => Err(Ignored::TooLong),
            found => Ok(found.map(|(_, value)| value.trim())),
        }
    }

    fn reading(&self, usage: Usage, resets_at: Option<Timestamp>) -> Reading {
        let HeaderRule { owner, window, class, .. } = self.rule;
        Reading { owner: *owner, window: *window, class: class.clone(), object: None, usage, resets_at }
    }

    // The Graph API's percentages.

    fn percent_object(&self) -> Found {
        let Some(text) = self.value("")? else { return Ok(Vec::new()) };
        let object: Map<String, Value> = serde_json::from_str(text).map_err(|_| Ignored::Malformed)?;
        Ok(vec![self.percent(&object).ok_or(Ignored::Malformed)?])
    }

    fn percent_map(&self) -> Found {
        let Some(text) = self.value("")? else { return Ok(Vec::new()) };
        let map: Map<String, Value> = serde_json::from_str(text).map_err(|_| Ignored::Malformed)?;
        let mut readings = Vec::new();
        for (object, uses) in map.iter().take(LIST_LIMIT) {
            for usage in uses.as_array().ok_or(Ignored::Malformed)?.iter().take(LIST_LIMIT) {
                let usage = usage.as_object().ok_or(Ignored::Malformed)?;
                let reading = self.percent(usage).ok_or(Ignored::Malformed)?;
                readings.push(Reading { object: Some(object.clone()), ..reading });
            }
        }
        Ok(readings)
    }

    /// The highest of the percentages, or a block. The minutes to wait are never taken for a percentage.
    fn percent(&self, object: &Map<String, Value>) -> Option<Reading> {
        let wait = object.get("estimated_time_to_regain_access").and_then(Value::as_u64).unwrap_or(0);
        if wait > 0 {
            let until = self.now + Duration::from_secs(wait.saturating_mul(60)).min(LONGEST);
            return Some(self.reading(Usage::Blocked, Some(until)));
        }
        let fields = ["call_count", "total_time", "total_cputime", "acc_id_util_pct"];
        let percents: Option<Vec<f64>> =
            fields.iter().filter_map(|field| object.get(*field)).map(Value::as_f64).collect();
        let percents = percents?;
        let sound = !percents.is_empty() && percents.iter().all(|percent| percent.is_finite() && *percent >= 0.0);
        // A cast of a float saturates, so 300 percent and more are 255.
        let most = percents.into_iter().fold(0.0, f64::max).ceil() as u8;
        let reset = object.get("reset_time_duration").and_then(Value::as_u64).filter(|seconds| *seconds > 0);
        let resets_at = reset.map(|seconds| self.now + Duration::from_secs(seconds).min(LONGEST));
        sound.then(|| self.reading(Usage::Percent(most), resets_at))
    }

    // Families of `limit`, `remaining`, `used` and `reset`.

    fn triple(&self, read_reset: fn(&Self, &str) -> Option<Timestamp>) -> Found {
        let count = |suffix| self.value(suffix)?.map(|text| whole(text).ok_or(Ignored::Malformed)).transpose();
        let (limit, remaining, used) = (count("limit")?, count("remaining")?, count("used")?);
        let reset = self.value("reset")?;
        let resets_at = reset.map(|text| read_reset(self, text).ok_or(Ignored::Malformed)).transpose()?;
        self.counted(limit, remaining, used, resets_at)
    }

    fn counted(
        &self,
        limit: Option<u64>,
        remaining: Option<u64>,
        used: Option<u64>,
        resets_at: Option<Timestamp>,
    ) -> Found {
        if limit.is_none() && remaining.is_none() && used.is_none() {
            return Ok(Vec::new());
        }
        if matches!((limit, remaining), (Some(limit), Some(remaining)) if remaining > limit) {
            return Err(Ignored::Contradictory);
        }
        Ok(vec![self.reading(Usage::Count { limit, remaining, used }, resets_at)])
    }

    fn epoch(&self, text: &str) -> Option<Timestamp> {
        let seconds = whole(text)?;
        if seconds > EPOCH_FROM { self.plausible(Timestamp::from_secs(i64::try_from(seconds).ok()?)) } else { None }
    }

    fn seconds_left(&self, text: &str) -> Option<Timestamp> {
        let seconds = whole(text)?;
        if seconds > EPOCH_FROM {
            return self.epoch(text);
        }
        self.plausible(self.now + Duration::from_secs(seconds))
    }

    fn iso(&self, text: &str) -> Option<Timestamp> {
        let time: jiff::Timestamp = text.parse().ok()?;
        self.plausible(Timestamp::from_micros(time.as_microsecond()))
    }

    /// A time within a year of now, on either side: a reset that has passed says that the window is over.
    fn plausible(&self, time: Timestamp) -> Option<Timestamp> {
        (time.since(self.now) <= LONGEST && self.now.since(time) <= LONGEST).then_some(time)
    }

    // Lists of policies.

    /// Pinterest: an integer, or the limit in force and then policies with a window and a name.
    fn policy_list(&self) -> Found {
        let Some(text) = self.value("limit")? else { return self.triple(|look, text| look.seconds_left(text)) };
        let items = items(text).ok_or(Ignored::Malformed)?;
        let (first, policies) = items.split_first().ok_or(Ignored::Malformed)?;
        let limit = whole(first.value).ok_or(Ignored::Malformed)?;
        let remaining = self.value("remaining")?.map(|text| whole(text).ok_or(Ignored::Malformed)).transpose()?;
        let reset = self.value("reset")?;
        let resets_at = reset.map(|text| self.seconds_left(text).ok_or(Ignored::Malformed)).transpose()?;
        // The policy in force is the one with the same limit; its window may not be that of the rule.
        let window =
            policies.iter().filter(|policy| whole(policy.value) == Some(limit)).find_map(|policy| policy.window());
        let readings = self.counted(limit.into(), remaining, None, resets_at)?;
        Ok(readings.into_iter().map(|reading| Reading { window: window.or(reading.window), ..reading }).collect())
    }

    /// `RateLimit-Policy: "burst";q=100;w=60` and `RateLimit: "burst";r=50;t=30`.
    fn ietf_draft(&self) -> Found {
        let Some(text) = self.value("")? else { return Ok(Vec::new()) };
        let policies = self.value("-policy")?.map(|text| items(text).ok_or(Ignored::Malformed)).transpose()?;
        let policies = policies.unwrap_or_default();
        let mut readings = Vec::new();
        for item in items(text).ok_or(Ignored::Malformed)? {
            let policy = policies.iter().find(|policy| policy.value == item.value);
            if policy.and_then(|policy| policy.parameter("qu")).is_some_and(|unit| unit != "requests") {
                continue;
            }
            let remaining = item.parameter("r").and_then(whole).ok_or(Ignored::Malformed)?;
            let limit = policy.and_then(|policy| policy.parameter("q")).and_then(whole);
            let reset =
                item.parameter("t").map(|text| self.seconds_left(text).ok_or(Ignored::Malformed)).transpose()?;
            let window = policy.and_then(Item::window);
            let found = self.counted(limit, Some(remaining), None, reset)?;
            readings.extend(found.into_iter().map(|found| Reading { window: window.or(found.window), ..found }));
        }
        Ok(readings)
    }

    /// `RateLimit-Limit`, `-Remaining`, `-Reset` and `-Policy: 3000;w=300`.
    fn ietf_draft_old(&self) -> Found {
        let first = |text| Some(whole(items(text)?.first()?.value));
        let limit = self.value("-limit")?.map(|text| first(text).flatten().ok_or(Ignored::Malformed)).transpose()?;
        let remaining = self.value("-remaining")?.map(|text| whole(text).ok_or(Ignored::Malformed)).transpose()?;
        let reset = self.value("-reset")?.map(|text| self.seconds_left(text).ok_or(Ignored::Malformed)).transpose()?;
        let policies = self.value("-policy")?.and_then(items).unwrap_or_default();
        let policy = policies.iter().find(|policy| limit.is_some() && whole(policy.value) == limit);
        let window = policy.and_then(Item::window);
        let readings = self.counted(limit, remaining, None, reset)?;
        Ok(readings.into_iter().map(|reading| Reading { window: window.or(reading.window), ..reading }).collect())
    }

    fn retry_after(&self) -> Found {
        let Some(text) = self.value("")? else { return Ok(Vec::new()) };
        let until = match seconds(text) {
            Some(wait) => self.now + wait.min(LONGEST),
            None => http_date(text).and_then(|date| self.plausible(date)).ok_or(Ignored::Malformed)?,
        };
        let blocks = until > self.now;
        Ok(if blocks { vec![self.reading(Usage::Blocked, Some(until))] } else { Vec::new() })
    }
}

/// One item of a list of structured fields (RFC 9651), as far as limits need them.
struct Item<'t> {
    value: &'t str,
    parameters: Vec<(&'t str, &'t str)>,
}

impl Item<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn window(&self) -> Option<Duration> {
        let seconds = whole(self.parameter("w")?)?;
        (seconds > 0).then(|| Duration::from_secs(seconds).min(LONGEST))
    }
}

/// The items of a list; `None` if a quote stays open, the list is too long or an item is empty.
fn items(text: &str) -> Option<Vec<Item<'_>>> {
    let parts = split_outside_quotes(text, ',')?;
    if parts.len() > LIST_LIMIT {
        return None;
    }
    parts.into_iter().map(item).collect()
}

fn item(text: &str) -> Option<Item<'_>> {
    let parts = split_outside_quotes(text, ';')?;
    let (value, parameters) = parts.split_first()?;
    let value = unquoted(value.trim());
    let parameters = parameters.iter().filter_map(|part| part.split_once('='));
    let parameters = parameters.map(|(key, value)| (key.trim(), unquoted(value.trim()))).collect();
    (!value.is_empty()).then_some(Item { value, parameters })
}

fn split_outside_quotes(text: &str, separator: char) -> Option<Vec<&str>> {
    let mut quoted = false;
    let parts = text.split(|c| {
        quoted ^= c == '"';
        c == separator && !quoted
    });
    let parts: Vec<&str> = parts.collect();
    (!quoted).then_some(parts)
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// A number that is not negative, a fraction cut off; saturates.
fn whole(text: &str) -> Option<u64> {
    let (digits, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (all_digits(digits) && all_digits(fraction)).then(|| digits.parse().unwrap_or(u64::MAX))
}

/// A span in whole seconds.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    whole(text).map(Duration::from_secs)
}

/// An HTTP date (RFC 9110, section 5.6.7), in its preferred form.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    if text.len() > 64 {
        return None;
    }
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}
