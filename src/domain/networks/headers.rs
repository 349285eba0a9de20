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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::networks::{Catalogue, Verified};

    const NOW: Timestamp = Timestamp::from_secs(1_705_420_000);

    fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn read(network: &str, headers: &[(&str, &str)]) -> Readings {
        let catalogue = Catalogue::embedded();
        read_usage_with_reasons(catalogue.network(network).unwrap(), &owned(headers), NOW)
    }

    /// A network whose only header rule has this dialect.
    fn generic(dialect: Dialect, name: &str) -> Network {
        let mut network = Network::clone(Catalogue::embedded().network("bluesky").unwrap());
        let rule = HeaderRule {
            dialect,
            name: name.to_owned(),
            owner: Owner::App,
            window: None,
            class: None,
            verified: Verified::Documented,
        };
        network.headers = vec![rule];
        network
    }

    fn count(limit: u64, remaining: u64) -> Usage {
        Usage::Count { limit: Some(limit), remaining: Some(remaining), used: None }
    }

    fn after(seconds: u64) -> Option<Timestamp> {
        Some(NOW + Duration::from_secs(seconds))
    }

    fn minutes(minutes: u64) -> Option<Duration> {
        Some(Duration::from_secs(60 * minutes))
    }

    type Headers<'a> = &'a [(&'a str, &'a str)];
    type Case = (&'static str, Headers<'static>, Owner, Option<Duration>, Usage, Option<Timestamp>);

    #[test]
    fn every_dialect_of_the_networks_is_read() {
        let cases: [Case; 13] = [
            (
                "facebook",
                &[("x-app-usage", r#"{"call_count":28,"total_time":25,"total_cputime":25}"#)],
                Owner::App,
                minutes(60),
                Usage::Percent(28),
                None,
            ),
            (
                "facebook",
                &[("x-app-usage", r#"{"call_count":1,"total_time":150.2,"total_cputime":2}"#)],
                Owner::App,
                minutes(60),
                Usage::Percent(151),
                None,
            ),
            (
                "facebook",
                &[(
                    "x-app-usage",
                    r#"{"acc_id_util_pct":9.67,"reset_time_duration":100,"ads_api_access_tier":"standard_access"}"#,
                )],
                Owner::App,
                minutes(60),
                Usage::Percent(10),
                after(100),
            ),
            (
                "x",
                &[
                    ("x-rate-limit-limit", "900"),
                    ("x-rate-limit-remaining", "847"),
                    ("x-rate-limit-reset", "1705420800"),
                ],
                Owner::AppPerson,
                minutes(15),
                count(900, 847),
                after(800),
            ),
            (
                "github",
                &[
                    ("x-ratelimit-limit", "5000"),
                    ("x-ratelimit-remaining", "4987"),
                    ("x-ratelimit-used", "13"),
                    ("x-ratelimit-reset", "1705421000"),
                    ("x-ratelimit-resource", "core"),
                ],
                Owner::Person,
                minutes(60),
                Usage::Count { limit: Some(5000), remaining: Some(4987), used: Some(13) },
                after(1000),
            ),
            (
                "reddit",
                &[("x-ratelimit-used", "12"), ("x-ratelimit-remaining", "588.9"), ("x-ratelimit-reset", "417")],
                Owner::App,
                minutes(10),
                Usage::Count { limit: None, remaining: Some(588), used: Some(12) },
                after(417),
            ),
            (
                "mastodon",
                &[
                    ("x-ratelimit-limit", "300"),
                    ("x-ratelimit-remaining", "299"),
                    ("x-ratelimit-reset", "2024-01-16T15:50:00.000000Z"),
                ],
                Owner::Person,
                None,
                count(300, 299),
                after(200),
            ),
            (
                "tumblr",
                &[
                    ("x-ratelimit-perday-limit", "5000"),
                    ("x-ratelimit-perday-remaining", "4001"),
                    ("x-ratelimit-perday-reset", "3600"),
                ],
                Owner::App,
                minutes(24 * 60),
                count(5000, 4001),
                after(3600),
            ),
            (
                "pinterest",
                &[
                    (
                        "x-ratelimit-limit",
                        r#"60, 100;w=1;name="safety_net_app_id_user_id", 60;w=60;name="org_analytics_app_id_user_id""#,
                    ),
                    ("x-ratelimit-remaining", "59"),
                    ("x-ratelimit-reset", "1"),
                ],
                Owner::AppPerson,
                minutes(1),
                count(60, 59),
                after(1),
            ),
            (
                "pinterest",
                &[("x-ratelimit-limit", "1000"), ("x-ratelimit-remaining", "999"), ("x-ratelimit-reset", "33")],
                Owner::AppPerson,
                minutes(1),
                count(1000, 999),
                after(33),
            ),
            (
                "bluesky",
                &[
                    ("ratelimit-limit", "3000"),
                    ("ratelimit-remaining", "2999"),
                    ("ratelimit-reset", "1705420300"),
                    ("ratelimit-policy", "3000;w=300"),
                ],
                Owner::Address,
                minutes(5),
                count(3000, 2999),
                after(300),
            ),
            ("github", &[("retry-after", "60")], Owner::Person, None, Usage::Blocked, after(60)),
            (
                "github",
                &[("retry-after", "Tue, 16 Jan 2024 15:48:40 GMT")],
                Owner::Person,
                None,
                Usage::Blocked,
                after(120),
            ),
        ];
        for (network, headers, owner, window, usage, resets_at) in cases {
            let found = read(network, headers);
            let [reading] = found.readings.as_slice() else { panic!("{network} {headers:?}: {found:?}") };
            assert_eq!((reading.owner, reading.window, reading.usage), (owner, window, usage), "{headers:?}");
            assert_eq!(reading.resets_at, resets_at, "{headers:?}");
            assert!(found.ignored.is_empty() && reading.object.is_none(), "{headers:?}");
        }
    }

    #[test]
    fn a_map_of_percentages_names_its_objects() {
        let value = r#"{"112130216863063":[{"type":"pages","call_count":97,"total_cputime":23,"total_time":23,
            "estimated_time_to_regain_access":0}],
            "7":[{"type":"pages","call_count":100,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":19}]}"#;
        let found = read("facebook", &[("x-business-use-case-usage", value)]).readings;
        let [page, blocked] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((page.object.as_deref(), page.usage), (Some("112130216863063"), Usage::Percent(97)));
        assert_eq!((page.owner, page.window, page.resets_at), (Owner::Profile, minutes(24 * 60), None));
        assert_eq!((blocked.object.as_deref(), blocked.usage), (Some("7"), Usage::Blocked));
        assert_eq!(blocked.resets_at, after(19 * 60));
    }

    #[test]
    fn two_windows_give_two_readings() {
        let headers = [("x-ratelimit-perhour-remaining", "5"), ("x-ratelimit-perday-remaining", "7")];
        let found = read("tumblr", &headers).readings;
        assert_eq!(found.iter().map(|reading| reading.window).collect::<Vec<_>>(), [minutes(60), minutes(24 * 60)]);
    }

    #[test]
    fn the_current_draft_is_read() {
        let network = generic(Dialect::IetfDraft, "ratelimit");
        let headers = owned(&[
            ("ratelimit-policy", r#""burst";q=100;w=60,"daily";q=1000;w=86400,"bytes";q=9;qu="content-bytes""#),
            ("ratelimit", r#""burst";r=50;t=30, "daily";r=900, "other;,\"name";r=3"#),
        ]);
        assert!(read_usage(&network, &headers, NOW).is_empty(), "an escaped quote is not understood");
        let headers = owned(&[
            ("ratelimit-policy", r#""burst";q=100;w=60,"daily";q=1000;w=86400,"bytes";q=9;qu="content-bytes""#),
            ("ratelimit", r#""burst";r=50;t=30, "daily";r=900, "o;,";r=3, "bytes";r=1"#),
        ]);
        let found = read_usage(&network, &headers, NOW);
        let found: Vec<_> = found.iter().map(|reading| (reading.window, reading.usage, reading.resets_at)).collect();
        let unknown = Usage::Count { limit: None, remaining: Some(3), used: None };
        assert_eq!(
            found,
            [(minutes(1), count(100, 50), after(30)), (minutes(1440), count(1000, 900), None), (None, unknown, None)]
        );
    }

    #[test]
    fn what_is_odd_gives_no_reading_and_a_reason() {
        let long = format!("{{\"call_count\":1,\"x\":\"{}\"}}", "a".repeat(1 << 20));
        let cases: [(&str, Headers<'_>, Ignored); 15] = [
            ("facebook", &[("x-app-usage", &long)], Ignored::TooLong),
            ("facebook", &[("x-app-usage", "{")], Ignored::Malformed),
            ("facebook", &[("x-app-usage", "{}")], Ignored::Malformed),
            ("facebook", &[("x-app-usage", r#"{"call_count":-1}"#)], Ignored::Malformed),
            ("facebook", &[("x-app-usage", r#"{"call_count":"12"}"#)], Ignored::Malformed),
            ("facebook", &[("x-app-usage", r#"{"call_count":50,"total_time":null}"#)], Ignored::Malformed),
            ("facebook", &[("x-business-use-case-usage", r#"{"1":{}}"#)], Ignored::Malformed),
            ("x", &[("x-rate-limit-limit", "900"), ("x-rate-limit-remaining", "901")], Ignored::Contradictory),
            ("x", &[("x-rate-limit-remaining", "-1")], Ignored::Malformed),
            (
                "x",
                &[("x-rate-limit-remaining", "1"), ("x-rate-limit-reset", "99999999999999999999")],
                Ignored::Malformed,
            ),
            ("x", &[("x-rate-limit-remaining", "1"), ("x-rate-limit-reset", "12")], Ignored::Malformed),
            (
                "mastodon",
                &[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "9999-01-01T00:00:00Z")],
                Ignored::Malformed,
            ),
            ("pinterest", &[("x-ratelimit-limit", "60, \"open")], Ignored::Malformed),
            ("pinterest", &[("x-ratelimit-limit", ",,,")], Ignored::Malformed),
            ("github", &[("retry-after", "soon")], Ignored::Malformed),
        ];
        for (network, headers, reason) in cases {
            let shown: Vec<_> = headers.iter().map(|(name, value)| (*name, &value[..value.len().min(40)])).collect();
            let found = read(network, headers);
            assert_eq!((found.readings.len(), found.ignored), (0, vec![reason]), "{network} {shown:?}");
        }
    }

    #[test]
    fn nothing_there_says_nothing() {
        for network in Catalogue::embedded().iter() {
            let headers = owned(&[("content-type", "text/html"), ("x-rate", "1"), ("x-ratelimit", "5")]);
            assert_eq!(read_usage_with_reasons(network, &headers, NOW), Readings::default(), "{}", network.id);
        }
    }

    #[test]
    fn numbers_and_spans_saturate() {
        assert_eq!(whole("99999999999999999999999"), Some(u64::MAX));
        assert_eq!((whole("1."), whole(".5"), whole("+1"), whole("1e3"), whole("")), (None, None, None, None, None));
        let value = r#"{"1":[{"call_count":5000,"estimated_time_to_regain_access":18446744073709551615}]}"#;
        let found = read("facebook", &[("x-business-use-case-usage", value)]).readings;
        assert_eq!((found[0].usage, found[0].resets_at), (Usage::Blocked, Some(NOW + LONGEST)));
        let found = read("facebook", &[("x-app-usage", r#"{"call_count":5000}"#)]).readings;
        assert_eq!(found[0].usage, Usage::Percent(255));
    }

    const DIALECTS: [Dialect; 9] = [
        Dialect::PercentObject,
        Dialect::PercentMap,
        Dialect::TripleEpoch,
        Dialect::TripleSeconds,
        Dialect::TripleIso,
        Dialect::PolicyList,
        Dialect::IetfDraft,
        Dialect::IetfDraftOld,
        Dialect::RetryAfter,
    ];

    proptest! {
        /// No text makes a reader panic, promise more than a limit, or believe a time that is over a year away.
        #[test]
        fn any_text_is_survived(
            dialect in proptest::sample::select(DIALECTS.to_vec()),
            values in proptest::collection::vec(
                prop_oneof![any::<Vec<u8>>().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()), "[0-9]{1,25}", "[0-9\",;=.wqrt ]{0,60}"],
                6,
            ),
            now in any::<i64>(),
        ) {
            static BLUESKY: std::sync::LazyLock<Network> = std::sync::LazyLock::new(|| generic(Dialect::RetryAfter, "h"));
            let mut network = BLUESKY.clone();
            network.headers[0].dialect = dialect;
            let names = ["h", "hlimit", "hremaining", "hreset", "hused", "h-limit"];
            let headers: Vec<_> = names.iter().map(|name| (*name).to_owned()).zip(values).collect();
            let now = Timestamp::from_micros(now);
            for reading in read_usage(&network, &headers, now) {
                if let Usage::Count { limit: Some(limit), remaining: Some(remaining), .. } = reading.usage {
                    prop_assert!(remaining <= limit);
                }
                if let Some(resets_at) = reading.resets_at {
                    prop_assert!(resets_at.since(now) <= LONGEST);
                }
                prop_assert!(reading.window.is_none_or(|window| window <= LONGEST && !window.is_zero()));
            }
        }
    }
}
