//! Numbers and times as headers write them.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::TimeZone;

use crate::base::clock::Timestamp;

/// No window of a network, and no wait that it asks for, is longer than a month and some days.
pub const FARTHEST: Duration = Duration::from_secs(40 * 24 * 3600);
/// A reset that is longer ago is left over from something else.
const STALEST: Duration = Duration::from_secs(3600);
/// A larger number is a time in seconds since the epoch, a smaller one a span.
const EPOCH_FROM: u64 = 1_000_000_000;
/// No number and no time is written with more bytes.
const LONGEST_TEXT: usize = 64;

/// A number that is not negative: its whole part, which saturates, and whether there is a fraction.
pub fn number(text: &str) -> Option<(u64, bool)> {
    if text.len() > LONGEST_TEXT {
        return None;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    Some((whole.parse().unwrap_or(u64::MAX), fraction.bytes().any(|digit| digit != b'0')))
}

/// Seconds since the epoch, or seconds that are left, which are told apart by their size; fractions are rounded up.
pub fn epoch_or_left(text: &str, now: Timestamp) -> Option<Timestamp> {
    let (whole, has_fraction) = number(text)?;
    let seconds = whole.saturating_add(u64::from(has_fraction));
    if seconds > EPOCH_FROM {
        return Some(Timestamp::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)));
    }
    Some(now + Duration::from_secs(seconds))
}

/// A time of ISO 8601, with its offset.
pub fn iso(text: &str) -> Option<Timestamp> {
    let short = Some(text).filter(|text| text.len() <= LONGEST_TEXT)?;
    let time: jiff::Timestamp = short.parse().ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

/// Whether a window may end at `at`: neither long ago nor beyond what any network counts over.
pub fn is_believable(at: Timestamp, now: Timestamp) -> bool {
    now.since(at) <= STALEST && at.since(now) <= FARTHEST
}

/// `Retry-After`: seconds, or an HTTP date, which needs a `now`. Zero for a date that is past; `None` if it is
/// malformed or absurdly long.
pub fn retry_after(text: &str, now: Option<Timestamp>) -> Option<Duration> {
    let wait = match number(text) {
        Some((whole, has_fraction)) => Duration::from_secs(whole.saturating_add(u64::from(has_fraction))),
        None => http_date(text)?.since(now?),
    };
    (wait <= FARTHEST).then_some(wait)
}

/// An HTTP date in any of its three forms (RFC 9110, section 5.6.7).
pub fn http_date(text: &str) -> Option<Timestamp> {
    if text.len() > LONGEST_TEXT {
        return None;
    }
    let preferred = rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    let of_form = |form: &str| -> Option<jiff::Timestamp> {
        let date: DateTime = strtime::parse(form, text).ok()?.to_datetime().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let time =
        preferred.or_else(|| of_form("%A, %d-%b-%y %H:%M:%S GMT")).or_else(|| of_form("%a %b %e %H:%M:%S %Y"))?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_or_refused() {
        let cases = [
            ("0", Some((0, false))),
            ("60", Some((60, false))),
            ("99.0", Some((99, false))),
            ("99.25", Some((99, true))),
            ("99999999999999999999999", Some((u64::MAX, false))),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("1.", None),
            (".5", None),
            ("1.2.3", None),
            ("", None),
            ("١", None),
            ("NaN", None),
        ];
        for (text, expected) in cases {
            assert_eq!(number(text), expected, "{text}");
        }
        assert_eq!(number(&"9".repeat(1 << 20)), None);
    }

    #[test]
    fn an_http_date_has_three_forms() {
        let expected = Some(Timestamp::from_secs(784_111_777));
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(http_date(text), expected, "{text}");
        }
        for text in ["", "soon", "Sun, 99 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn a_reset_is_an_epoch_or_a_span_by_its_size() {
        let now = Timestamp::from_secs(1_705_420_000);
        assert_eq!(epoch_or_left("1705420800", now), Some(Timestamp::from_secs(1_705_420_800)));
        assert_eq!(epoch_or_left("1000000000", now), Some(now + Duration::from_secs(1_000_000_000)));
        assert_eq!(epoch_or_left("1000000001", now), Some(Timestamp::from_secs(1_000_000_001)));
        assert_eq!(epoch_or_left("59.1", now), Some(now + Duration::from_secs(60)));
    }

    #[test]
    fn only_resets_near_now_are_believed() {
        let now = Timestamp::from_secs(1_705_420_000);
        let second = Duration::from_secs(1);
        assert!(is_believable(now - STALEST, now) && !is_believable(now - STALEST - second, now));
        assert!(is_believable(now + FARTHEST, now) && !is_believable(now + FARTHEST + second, now));
    }

    #[test]
    fn a_wait_is_seconds_or_until_a_date() {
        let now = Timestamp::from_secs(784_111_717);
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry_after("120", None), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(date, Some(now)), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(date, Some(now + Duration::from_secs(90))), Some(Duration::ZERO));
        assert_eq!(retry_after(date, None), None);
        assert_eq!(retry_after("3456001", None), None);
        assert_eq!(retry_after("18446744073709551615.5", None), None);
    }
}
