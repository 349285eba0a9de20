//! Windows: when a limit's span ends, and how much a limit allows.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::base::clock::Timestamp;
use crate::domain::networks::{Amount, Phase, Window};

/// The spans by which the rules keep away from the edges of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Credit ends this long before its window does, and the next window's begins this long after, since no two clocks agree.
    pub guard: Duration,
    /// The longest time between granting credit and the end of its use.
    pub longest_use: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { guard: Duration::from_secs(2), longest_use: Duration::from_secs(60) }
    }
}

/// The end of the window that holds `now`, where the window rule alone tells it.
///
/// A daily window whose zone is unknown has no end; the catalogue's check refuses such a zone.
pub fn window_end(window: &Window, now: Timestamp) -> Option<Timestamp> {
    match window {
        Window::Fixed { length, phase: Phase::Clock } => {
            let length = i64::try_from(length.as_micros()).ok().filter(|micros| *micros > 0)?;
            let ended = now.micros().div_euclid(length);
            Some(Timestamp::from_micros((ended + 1).saturating_mul(length)))
        }
        Window::Daily { zone } => next_midnight(zone, now),
        Window::Budget => Some(Timestamp::NEVER),
        Window::Fixed { phase: Phase::Network, .. }
        | Window::Rolling { .. }
        | Window::Paced { .. }
        | Window::Distinct { .. } => None,
    }
}

/// How long a call counts, where the window has a length: for windows whose end is not known each call is charged this long.
///
/// A paced limit of `limit` units counts as a rolling one in which that many come back: a grant may be used at any moment until
/// it ends, so pacing the grants would not pace the calls.
pub fn span(window: &Window, limit: u64) -> Duration {
    match window {
        Window::Fixed { length, .. } | Window::Rolling { length } | Window::Distinct { length } => *length,
        Window::Daily { .. } => Duration::from_secs(25 * 3600),
        Window::Paced { per } => per.saturating_mul(u32::try_from(limit).unwrap_or(u32::MAX)),
        Window::Budget => Duration::MAX,
    }
}

fn next_midnight(zone: &str, now: Timestamp) -> Option<Timestamp> {
    let zone = TimeZone::get(zone).ok()?;
    let here = jiff::Timestamp::from_microsecond(now.micros()).ok()?.to_zoned(zone);
    let midnight = here.tomorrow().ok()?.start_of_day().ok()?;
    Some(Timestamp::from_micros(midnight.timestamp().as_microsecond()))
}

/// What a limit allows in one window, given the known facts of its owner.
pub fn limit(amount: &Amount, known: impl Fn(&str) -> Option<u64>) -> u64 {
    match amount {
        Amount::Number(number) => *number,
        Amount::Formula { factor, fact, at_least, start } => match known(fact) {
            Some(value) => factor.saturating_mul(value.max(*at_least)),
            None => *start,
        },
        Amount::Unknown { start } => *start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn a_day_ends_at_the_networks_midnight_also_when_the_clocks_change() {
        let window = Window::Daily { zone: "America/Los_Angeles".to_owned() };
        let cases = [
            ("2026-07-01T12:00:00Z", "2026-07-02T07:00:00Z"),
            ("2026-12-01T07:59:59Z", "2026-12-01T08:00:00Z"),
            // The clocks go forward on 8 March 2026: this day has 23 hours.
            ("2026-03-08T08:00:00Z", "2026-03-09T07:00:00Z"),
            // They go back on 1 November 2026: this day has 25 hours.
            ("2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"),
        ];
        for (now, end) in cases {
            assert_eq!(window_end(&window, at(now)), Some(at(end)), "{now}");
        }
    }

    #[test]
    fn clock_aligned_windows_end_at_multiples_of_their_length() {
        let window = Window::Fixed { length: Duration::from_secs(300), phase: Phase::Clock };
        assert_eq!(window_end(&window, Timestamp::from_secs(299)), Some(Timestamp::from_secs(300)));
        assert_eq!(window_end(&window, Timestamp::from_secs(300)), Some(Timestamp::from_secs(600)));
    }

    #[test]
    fn a_formula_uses_the_fact_or_the_safe_start() {
        let amount = Amount::Formula { factor: 4800, fact: "engaged_users".to_owned(), at_least: 10, start: 100 };
        let known = |value| limit(&amount, |fact| (fact == "engaged_users").then_some(value));
        assert_eq!((known(20), known(1), limit(&amount, |_| None)), (96_000, 48_000, 100));
    }
}
