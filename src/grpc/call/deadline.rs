//! How long a call may take: what the client asks for, and never more than the server allows.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use super::CallKind;

const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("grpc-timeout");

/// The longest that calls may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// A unary call; also what one without a deadline gets.
    pub unary: Duration,
    /// What an acquire may wait for credit, on top of [`Deadlines::unary`].
    pub wait: Duration,
    /// Whether a unary call must come with a deadline of its own.
    pub required: bool,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { unary: Duration::from_secs(10), wait: Duration::from_secs(300), required: false }
    }
}

impl Deadlines {
    /// Whether a call that asked for `asked` is let in.
    pub fn admit(&self, kind: CallKind, asked: Option<Duration>) -> bool {
        !self.required || asked.is_some() || kind == CallKind::Stream
    }

    /// What a call gets that asked for `asked`; `None`: streams, which end otherwise.
    pub fn allow(&self, kind: CallKind, asked: Option<Duration>) -> Option<Duration> {
        let most = match kind {
            CallKind::Unary => self.unary,
            CallKind::Waiting => self.unary.saturating_add(self.wait),
            CallKind::Stream => return None,
        };
        Some(asked.map_or(most, |asked| asked.min(most)))
    }
}

/// The client's `grpc-timeout`; `None` without one, or if it is malformed: the server's own limit holds then.
pub fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT_HEADER)?.to_str().ok()?;
    let unit_at = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at))?;
    let (digits, unit) = text.split_at(unit_at);
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_protocol_allows() {
        let cases = [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("5m", Some(Duration::from_millis(5))),
            ("7u", Some(Duration::from_micros(7))),
            ("9n", Some(Duration::from_nanos(9))),
            ("100000000S", None),
            ("S", None),
            ("", None),
            ("5", None),
            ("-5S", None),
            ("+5S", None),
            ("5 S", None),
            ("5d", None),
        ];
        for (text, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            assert_eq!(asked_for(&headers), expected, "{text:?}");
        }
        assert_eq!(asked_for(&HeaderMap::new()), None);
    }

    #[test]
    fn the_server_has_the_last_word() {
        let deadlines = Deadlines::default();
        let seconds = |count| Some(Duration::from_secs(count));
        let cases = [
            (CallKind::Unary, None, seconds(10)),
            (CallKind::Unary, seconds(3), seconds(3)),
            (CallKind::Unary, seconds(60), seconds(10)),
            (CallKind::Waiting, None, seconds(310)),
            (CallKind::Waiting, seconds(60), seconds(60)),
            (CallKind::Waiting, seconds(3600), seconds(310)),
            (CallKind::Stream, None, None),
            (CallKind::Stream, seconds(3), None),
        ];
        for (kind, asked, expected) in cases {
            assert_eq!(deadlines.allow(kind, asked), expected, "{kind:?} {asked:?}");
        }
    }
}
