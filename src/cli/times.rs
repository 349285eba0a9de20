//! Times and spans, as people type and read them.

use std::time::Duration;

use prost_types::Timestamp as WireTime;

use crate::base::clock::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A time on the command line: a date, a point in time, or a span from now. Whether the span lies before or after now is
/// up to the option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At this time.
    At(Timestamp),
    /// This far from now.
    FromNow(Duration),
}

impl When {
    /// The point in time, where a span means the past.
    pub fn before(self, now: Timestamp) -> WireTime {
        to_wire(match self {
            Self::At(at) => at,
            Self::FromNow(span) => now - span,
        })
    }

    /// The point in time, where a span means the future.
    pub fn after(self, now: Timestamp) -> WireTime {
        to_wire(match self {
            Self::At(at) => at,
            Self::FromNow(span) => now + span,
        })
    }
}

/// Reads `2026-01-31`, `2026-01-31T10:00:00Z` or a span such as `36h` or `60d`.
pub fn parse_when(text: &str) -> Result<When, String> {
    if let Ok(span) = humantime::parse_duration(text) {
        return Ok(When::FromNow(span));
    }
    parse_time(text).map(When::At)
}

/// Reads `2026-01-31` (midnight UTC) or `2026-01-31T10:00:00Z`.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    let stamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let is_day = text.len() == "2026-01-31".len();
        let day = is_day.then(|| text.parse::<jiff::civil::Date>().ok())??;
        Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    });
    stamp.map(|stamp| Timestamp::from_micros(stamp.as_microsecond())).ok_or_else(|| {
        "expected a time such as 2026-01-31T10:00:00Z, a day such as 2026-01-31, or a span such as 60d".to_owned()
    })
}

/// Reads a span such as `30s`, `5min` or `1h`.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "expected a span such as 30s, 5min or 1h".to_owned())
}

/// As the API carries it.
pub fn to_wire(at: Timestamp) -> WireTime {
    let nanos = i32::try_from(at.micros().rem_euclid(1_000_000) * 1000).expect("below a second");
    WireTime { seconds: at.secs(), nanos }
}

/// From the API; whole microseconds.
pub fn from_wire(at: &WireTime) -> Timestamp {
    Timestamp::from_micros(at.seconds.saturating_mul(1_000_000).saturating_add(i64::from(at.nanos) / 1000))
}

/// A span as the API carries it. Spans beyond what it can carry are cut.
pub fn span_to_wire(span: Duration) -> prost_types::Duration {
    span.try_into().unwrap_or(prost_types::Duration { seconds: i64::MAX, nanos: 0 })
}

/// `in 3 d`, `5 min ago`, `now`; empty for an unset time.
pub fn relative(at: Option<&WireTime>, now: Timestamp) -> String {
    let Some(at) = at.map(from_wire) else { return String::new() };
    // The machines' clocks differ a little, and so does `now` from the time of the answer.
    match (at > now, at.since(now).max(now.since(at))) {
        (_, span) if span < Duration::from_secs(1) => "now".to_owned(),
        (true, span) => format!("in {}", rough(span)),
        (false, span) => format!("{} ago", rough(span)),
    }
}

/// The time itself and how far away it is; empty for an unset time.
pub fn absolute(at: Option<&WireTime>, now: Timestamp) -> String {
    at.map(|wire| format!("{} ({})", from_wire(wire), relative(at, now))).unwrap_or_default()
}

/// A span in its largest unit, such as `3 d`, rounded down but never to nothing.
pub fn rough(span: Duration) -> String {
    match span.as_secs() {
        0 => "1 s".to_owned(),
        secs if secs < 2 * MINUTE => format!("{secs} s"),
        secs if secs < 2 * HOUR => format!("{} min", secs / MINUTE),
        secs if secs < 2 * DAY => format!("{} h", secs / HOUR),
        secs => format!("{} d", secs / DAY),
    }
}

/// A span of the API in its largest unit, rounded down; empty if unset.
pub fn about(span: Option<&prost_types::Duration>) -> String {
    span.and_then(|span| Duration::try_from(*span).ok()).map(rough).unwrap_or_default()
}

/// A span of the API in its largest unit that fits exactly, such as `15 min`; empty if unset.
pub fn exact(span: Option<&prost_types::Duration>) -> String {
    let Some(span) = span.and_then(|span| Duration::try_from(*span).ok()) else { return String::new() };
    if span.subsec_nanos() != 0 {
        return format!("{} ms", span.as_millis());
    }
    let secs = span.as_secs();
    let fits = |unit: u64| secs >= unit && secs.is_multiple_of(unit);
    match secs {
        _ if fits(DAY) => format!("{} d", secs / DAY),
        _ if fits(HOUR) => format!("{} h", secs / HOUR),
        _ if fits(MINUTE) => format!("{} min", secs / MINUTE),
        _ => format!("{secs} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    #[test]
    fn relative_times_read_like_speech() {
        let cases = [
            (0, "now"),
            (1, "in 1 s"),
            (119, "in 119 s"),
            (120, "in 2 min"),
            (3 * 86_400 + 5, "in 3 d"),
            (47 * 3600, "in 47 h"),
            (-300, "5 min ago"),
            (-86_400 * 30, "30 d ago"),
        ];
        for (offset, expected) in cases {
            let at = WireTime { seconds: NOW.secs() + offset, nanos: 0 };
            assert_eq!(relative(Some(&at), NOW), expected);
        }
        let soon = WireTime { seconds: NOW.secs(), nanos: 30_000_000 };
        assert_eq!(relative(Some(&soon), NOW), "now");
        assert_eq!(relative(None, NOW), "");
    }

    #[test]
    fn absolute_times_tell_both() {
        let at = WireTime { seconds: NOW.secs() + 7200, nanos: 5_000 };
        assert_eq!(absolute(Some(&at), NOW), "2023-11-15T00:13:20Z (in 2 h)");
    }

    #[test]
    fn times_are_read_in_three_ways() {
        assert_eq!(parse_when("36h"), Ok(When::FromNow(Duration::from_secs(36 * HOUR))));
        assert_eq!(parse_when("2024-01-16T16:00:00Z"), Ok(When::At(Timestamp::from_secs(1_705_420_800))));
        assert_eq!(parse_when("2024-01-16"), Ok(When::At(Timestamp::from_secs(1_705_363_200))));
        for bad in ["", "tomorrow", "2024-13-01", "2024-01-16T16:00:00"] {
            assert!(parse_when(bad).expect_err(bad).contains("such as"), "{bad}");
        }
    }

    #[test]
    fn spans_lie_before_or_after_now() {
        let hour = When::FromNow(Duration::from_secs(HOUR));
        assert_eq!(from_wire(&hour.before(NOW)), NOW - Duration::from_secs(HOUR));
        assert_eq!(from_wire(&hour.after(NOW)), NOW + Duration::from_secs(HOUR));
    }

    #[test]
    fn exact_spans_lose_nothing() {
        let cases = [(90_000, "25 h"), (900, "15 min"), (86_400, "1 d"), (61, "61 s"), (0, "0 s")];
        for (seconds, expected) in cases {
            assert_eq!(exact(Some(&prost_types::Duration { seconds, nanos: 0 })), expected);
        }
        assert_eq!(exact(Some(&prost_types::Duration { seconds: 1, nanos: 500_000_000 })), "1500 ms");
        assert_eq!(exact(None), "");
    }
}
