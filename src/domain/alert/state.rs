//! When an alert opens, worsens and clears: `(state, observation, now, rule) → (state, change)`.
//!
//! It opens once its condition has held for a time, clears once a lower condition has held for a time, and can open again. Between
//! the two thresholds nothing changes, so a noisy ratio does not make it flap.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::domain::alert::{AlertKind, Level};
use crate::domain::load::Ratio;

/// When an alert opens, worsens and clears.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlertRule {
    /// It opens at this ratio or above …
    pub threshold: f64,
    /// … held for this long.
    pub hold: Duration,
    /// It clears below this ratio, which is at most `threshold` …
    pub clear_threshold: f64,
    /// … held for this long.
    pub clear_hold: Duration,
    /// It is critical at this ratio or above, held as above.
    pub critical: f64,
    /// Once cleared it may open again after this time at the earliest.
    pub rearm: Duration,
}

impl AlertRule {
    /// The usual rule for a kind.
    pub const fn usual(kind: AlertKind) -> AlertRule {
        const MINUTE: u64 = 60;
        match kind {
            AlertKind::TokenLoadTooHigh => AlertRule {
                threshold: 0.9,
                hold: Duration::from_secs(5 * MINUTE),
                clear_threshold: 0.8,
                clear_hold: Duration::from_secs(10 * MINUTE),
                critical: 1.0,
                rearm: Duration::from_secs(10 * MINUTE),
            },
            AlertKind::NoAccessTokens => AlertRule {
                threshold: 1.0,
                hold: Duration::from_secs(MINUTE),
                clear_threshold: 1.0,
                clear_hold: Duration::from_secs(5 * MINUTE),
                critical: 1.0,
                rearm: Duration::ZERO,
            },
        }
    }
}

/// A condition that must hold for a time before it counts, and be gone for a time before it counts as gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Latch {
    on: bool,
    /// Since when the opposite of `on` has held without a break.
    turning_since: Option<Timestamp>,
}

impl Latch {
    /// `turns` is whether the opposite of the present position holds. Returns the next position.
    fn step(self, turns: bool, hold: Duration, now: Timestamp) -> Latch {
        if !turns {
            return Latch { turning_since: None, ..self };
        }
        let since = self.turning_since.unwrap_or(now);
        if now.since(since) >= hold {
            return Latch { on: !self.on, turning_since: None };
        }
        Latch { turning_since: Some(since), ..self }
    }
}

/// What is remembered between two observations of one [`super::AlertKey`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AlertState {
    open: Latch,
    critical: Latch,
    /// When it last cleared.
    cleared_at: Option<Timestamp>,
}

impl AlertState {
    /// The state after a restart, when the store holds an open alert of this level.
    pub const fn opened(level: Level) -> AlertState {
        AlertState {
            open: Latch { on: true, turning_since: None },
            critical: match level {
                Level::Critical => Latch { on: true, turning_since: None },
                Level::Warning => Latch { on: false, turning_since: None },
            },
            cleared_at: None,
        }
    }

    /// The level, if the alert is open.
    pub const fn level(&self) -> Option<Level> {
        match (self.open.on, self.critical.on) {
            (false, _) => None,
            (true, false) => Some(Level::Warning),
            (true, true) => Some(Level::Critical),
        }
    }

    /// Takes an observation in. The observations of a key come in the order of their times, at a pace well below the rule's times.
    pub fn observe(self, seen: Ratio, now: Timestamp, rule: &AlertRule) -> (AlertState, Option<Change>) {
        let before = self.level();
        let resting = self.cleared_at.is_some_and(|cleared| now.since(cleared) < rule.rearm);
        let open = match self.open.on {
            false => self.open.step(seen.reaches(rule.threshold) && !resting, rule.hold, now),
            true => self.open.step(!seen.reaches(rule.clear_threshold), rule.clear_hold, now),
        };
        let critical = match self.critical.on {
            false => self.critical.step(seen.reaches(rule.critical), rule.hold, now),
            true => self.critical.step(!seen.reaches(rule.critical), rule.clear_hold, now),
        };
        let cleared_at = if self.open.on && !open.on { Some(now) } else { self.cleared_at };
        let after = AlertState { open, critical, cleared_at };
        (after, Change::between(before, after.level()))
    }
}

/// What an observation of usable tokens means for [`AlertKind::NoAccessTokens`].
pub fn access_ratio(demand_meets_no_token: bool) -> Ratio {
    if demand_meets_no_token { Ratio::NoSupply } else { Ratio::Of(0.0) }
}

/// What happened to an alert, told to people once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It opened.
    Opened(Level),
    /// It became critical.
    Raised,
    /// It is a warning only.
    Lowered,
    /// It is over.
    Cleared,
}

impl Change {
    fn between(before: Option<Level>, after: Option<Level>) -> Option<Change> {
        match (before, after) {
            (None, Some(level)) => Some(Change::Opened(level)),
            (Some(_), None) => Some(Change::Cleared),
            (Some(Level::Warning), Some(Level::Critical)) => Some(Change::Raised),
            (Some(Level::Critical), Some(Level::Warning)) => Some(Change::Lowered),
            _ => None,
        }
    }

    /// The name used in logs and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Change::Opened(_) => "opened",
            Change::Raised => "raised",
            Change::Lowered => "lowered",
            Change::Cleared => "cleared",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_secs(minutes * 60)
    }

    fn rule() -> AlertRule {
        AlertRule::usual(AlertKind::TokenLoadTooHigh)
    }

    /// Observes once a minute and returns the changes with their minutes.
    fn run(ratios: impl IntoIterator<Item = f64>) -> Vec<(i64, Change)> {
        let (mut state, mut changes) = (AlertState::default(), Vec::new());
        for (minute, ratio) in ratios.into_iter().enumerate() {
            let (next, change) = state.observe(Ratio::Of(ratio), at(minute as i64), &rule());
            changes.extend(change.map(|change| (minute as i64, change)));
            state = next;
        }
        changes
    }

    fn minutes(ratio: f64, count: usize) -> impl Iterator<Item = f64> + Clone {
        std::iter::repeat_n(ratio, count)
    }

    #[test]
    fn opens_after_the_hold_and_clears_after_its_own() {
        let ratios = minutes(0.95, 10).chain(minutes(0.85, 30)).chain(minutes(0.5, 20));
        assert_eq!(run(ratios), [(5, Change::Opened(Level::Warning)), (50, Change::Cleared)]);
    }

    #[test]
    fn a_short_peak_opens_nothing() {
        assert_eq!(run(minutes(5.0, 5).chain(minutes(0.1, 1)).cycle().take(600)), []);
    }

    #[test]
    fn opens_again_after_it_cleared() {
        let one = minutes(1.5, 30).chain(minutes(0.1, 30));
        let opened = Change::Opened(Level::Critical);
        let changes = run(one.clone().chain(one));
        assert_eq!(changes, [(5, opened), (40, Change::Cleared), (65, opened), (100, Change::Cleared)]);
    }

    #[test]
    fn becomes_critical_and_a_warning_again() {
        let ratios = minutes(0.95, 10).chain(minutes(1.2, 10)).chain(minutes(0.95, 20));
        let expected = [(5, Change::Opened(Level::Warning)), (15, Change::Raised), (30, Change::Lowered)];
        assert_eq!(run(ratios), expected);
    }

    #[test]
    fn an_open_alert_of_the_store_is_not_opened_twice() {
        let mut state = AlertState::opened(Level::Critical);
        for minute in 0..30 {
            let (next, change) = state.observe(Ratio::NoSupply, at(minute), &rule());
            assert_eq!(change, None);
            state = next;
        }
        assert_eq!(state.level(), Some(Level::Critical));
    }

    #[test]
    fn missing_tokens_are_critical() {
        let usual = AlertRule::usual(AlertKind::NoAccessTokens);
        let (state, change) = AlertState::default().observe(access_ratio(true), at(0), &usual);
        assert_eq!(change, None);
        let (state, change) = state.observe(access_ratio(true), at(1), &usual);
        assert_eq!(change, Some(Change::Opened(Level::Critical)));
        let (state, _) = state.observe(access_ratio(false), at(2), &usual);
        assert_eq!(state.observe(access_ratio(false), at(7), &usual).1, Some(Change::Cleared));
    }

    proptest! {
        /// Noise that stays within the hysteresis on one side never turns an alert over.
        #[test]
        fn noise_does_not_flap(noise in prop::collection::vec(0.8_f64..0.899, 1..300)) {
            let lead = minutes(0.95, 6);
            let changes = run(lead.chain(noise.iter().copied()));
            prop_assert_eq!(changes, [(5, Change::Opened(Level::Warning))]);
            prop_assert_eq!(run(noise.iter().copied()), []);
        }

        /// Whatever is seen: openings and clearings alternate, each only after its condition held, never closer than the rule's times.
        #[test]
        fn every_change_was_held_for(ratios in prop::collection::vec(0.0_f64..1.4, 0..400)) {
            let ratios: Vec<f64> = ratios.iter().enumerate().map(|(at, ratio)| if at / 40 % 2 == 0 { ratio + 0.7 } else { ratio * 0.7 }).collect();
            let (mut open, mut cleared) = (None, None::<i64>);
            for (minute, change) in run(ratios.iter().copied()) {
                let held = |count: i64| &ratios[(minute - count) as usize..=minute as usize];
                match change {
                    Change::Opened(level) => {
                        prop_assert_eq!(open, None);
                        prop_assert!(held(5).iter().all(|ratio| *ratio >= 0.9));
                        prop_assert!(cleared.is_none_or(|cleared| minute - cleared >= 15));
                        open = Some(level);
                    }
                    Change::Cleared => {
                        prop_assert!(open.take().is_some());
                        prop_assert!(held(10).iter().all(|ratio| *ratio < 0.8));
                        cleared = Some(minute);
                    }
                    Change::Raised => {
                        prop_assert_eq!(open, Some(Level::Warning));
                        prop_assert!(held(5).iter().all(|ratio| *ratio >= 1.0));
                        open = Some(Level::Critical);
                    }
                    Change::Lowered => {
                        prop_assert_eq!(open, Some(Level::Critical));
                        prop_assert!(held(10).iter().all(|ratio| *ratio < 1.0));
                        open = Some(Level::Warning);
                    }
                }
            }
        }
    }
}
