//! The meter of one account: what was counted in its window, by the simplest exact code for each window rule.
//!
//! A meter knows no limit; the caller passes the limit of the moment. Nothing here is shared with the broker's own credit rules: the
//! two are written apart, so that one can judge the other.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::base::clock::Timestamp;
use crate::domain::networks::{Phase, Window};

/// The zone of a daily window is not in the time zone database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a time zone; use an IANA name such as America/Los_Angeles")]
pub struct UnknownZone(pub String);

/// What one account has been charged.
#[derive(Debug, Clone)]
pub struct Meter {
    rule: Rule,
}

#[derive(Debug, Clone)]
enum Rule {
    /// Windows one after another; `open` is the end of the present one and what was charged in it.
    Stepped { step: Step, open: Option<(Timestamp, u64)> },
    /// Every charge of the last `length`.
    Rolling { length: Duration, charges: VecDeque<(Timestamp, u64)> },
    /// `full_at`: when everything that was charged will have come back.
    Paced { per: Duration, full_at: Timestamp },
    /// When each open key closes.
    Distinct { length: Duration, keys: BTreeMap<String, Timestamp> },
    /// Everything ever charged.
    Budget { used: u64 },
}

#[derive(Debug, Clone)]
enum Step {
    /// Windows of `length`; one of them begins `shift` after the epoch.
    Even {
        length: Duration,
        shift: Duration,
    },
    Day(TimeZone),
}

impl Meter {
    /// A meter on which nothing was charged. `chance` decides where fixed windows begin whose phase only the network knows: a client
    /// that guesses, from its first call or from the clock, guesses wrong.
    ///
    /// # Errors
    /// When a daily window names a zone that does not exist.
    pub fn new(window: &Window, chance: u64) -> Result<Self, UnknownZone> {
        let stepped = |step| Rule::Stepped { step, open: None };
        let even = |length: Duration, shift| stepped(Step::Even { length, shift: Duration::from_micros(shift) });
        let rule = match window {
            Window::Fixed { length, phase: Phase::Network } => even(*length, chance % micros(*length).max(1)),
            Window::Fixed { length, phase: Phase::Clock } => even(*length, 0),
            Window::Daily { zone } => stepped(Step::Day(zone_of(zone)?)),
            Window::Rolling { length } => Rule::Rolling { length: *length, charges: VecDeque::new() },
            Window::Paced { per } => Rule::Paced { per: *per, full_at: Timestamp::EPOCH },
            Window::Distinct { length } => Rule::Distinct { length: *length, keys: BTreeMap::new() },
            Window::Budget => Rule::Budget { used: 0 },
        };
        Ok(Self { rule })
    }

    /// The window that is open, or was when something was last charged: its beginning, its end, and what was charged in it. `None` where
    /// the rule has no windows one after another, or nothing was charged since [`Meter::forget`] dropped the last one.
    pub fn window(&self) -> Option<(Timestamp, Timestamp, u64)> {
        let Rule::Stepped { step, open: Some((ends, used)) } = &self.rule else { return None };
        let length = match step {
            Step::Even { length, .. } => *length,
            Step::Day(_) => Duration::from_secs(24 * 3600),
        };
        Some((*ends - length, *ends, *used))
    }

    /// Forgets what no longer counts at `now`.
    pub fn forget(&mut self, now: Timestamp) {
        match &mut self.rule {
            Rule::Stepped { open, .. } => *open = open.filter(|(ends, _)| *ends > now),
            Rule::Rolling { length, charges } => {
                while charges.front().is_some_and(|(at, _)| *at + *length <= now) {
                    charges.pop_front();
                }
            }
            Rule::Distinct { keys, .. } => keys.retain(|_, closes| *closes > now),
            Rule::Paced { .. } | Rule::Budget { .. } => {}
        }
    }

    /// What counts at `now`. Call [`Meter::forget`] first.
    pub fn used(&self, now: Timestamp) -> u64 {
        match &self.rule {
            Rule::Stepped { open, .. } => open.map_or(0, |(_, used)| used),
            Rule::Rolling { charges, .. } => charges.iter().map(|(_, units)| units).sum(),
            Rule::Paced { per, full_at } => micros(full_at.since(now)).div_ceil(micros(*per).max(1)),
            Rule::Distinct { keys, .. } => keys.len() as u64,
            Rule::Budget { used } => *used,
        }
    }

    /// Whether `units` more fit under `limit` at `now`. Call [`Meter::forget`] first.
    pub fn admits(&self, now: Timestamp, limit: u64, units: u64, key: &str) -> bool {
        match &self.rule {
            Rule::Paced { per, full_at } => {
                let wanted = micros(full_at.since(now)).saturating_add(micros(*per).saturating_mul(units));
                wanted <= micros(*per).saturating_mul(limit)
            }
            Rule::Distinct { keys, .. } => keys.contains_key(key) || (keys.len() as u64) < limit,
            _ => self.used(now).saturating_add(units) <= limit,
        }
    }

    /// Charges `units` at `now`, and returns what was charged: a key that is open costs nothing. Call [`Meter::forget`] first.
    pub fn charge(&mut self, now: Timestamp, units: u64, key: &str) -> u64 {
        match &mut self.rule {
            Rule::Stepped { step, open } => {
                let (ends, used) = open.unwrap_or_else(|| (step.end(now), 0));
                *open = Some((ends, used.saturating_add(units)));
            }
            Rule::Rolling { charges, .. } => match charges.back_mut() {
                Some((at, sum)) if *at == now => *sum = sum.saturating_add(units),
                _ => charges.push_back((now, units)),
            },
            Rule::Paced { per, full_at } => {
                *full_at = (*full_at).max(now) + Duration::from_micros(micros(*per).saturating_mul(units));
            }
            Rule::Distinct { keys, .. } if keys.contains_key(key) => return 0,
            Rule::Distinct { length, keys } => {
                keys.insert(key.to_owned(), now + *length);
                return 1;
            }
            Rule::Budget { used } => *used = used.saturating_add(units),
        }
        units
    }

    /// Charges a call that was refused, where such calls lengthen the block: in windows of time only, and no more than the limit once
    /// again. Call [`Meter::forget`] first.
    pub fn charge_throttled(&mut self, now: Timestamp, limit: u64, units: u64) {
        let is_timed = matches!(self.rule, Rule::Stepped { .. } | Rule::Rolling { .. });
        if is_timed && self.used(now) < limit.saturating_mul(2) {
            self.charge(now, units, "");
        }
    }

    /// Charges what somebody else spends: up to `units`, as far as `limit` leaves room; in a window of keys, so many new keys.
    /// Returns what was charged. Call [`Meter::forget`] first.
    pub fn charge_elsewhere(&mut self, now: Timestamp, limit: u64, units: u64) -> u64 {
        let taken = units.min(limit.saturating_sub(self.used(now)));
        if matches!(self.rule, Rule::Distinct { .. }) {
            return (0..taken).map(|nth| self.charge(now, 1, &format!("elsewhere {} {nth}", now.micros()))).sum();
        }
        if taken > 0 { self.charge(now, taken, "") } else { 0 }
    }

    /// The earliest time at which `units` would fit, if nothing else is charged. [`Timestamp::NEVER`] for a budget, and where `units`
    /// exceed the limit itself. Call [`Meter::forget`] first.
    pub fn opens_at(&self, now: Timestamp, limit: u64, units: u64, key: &str) -> Timestamp {
        if self.admits(now, limit, units, key) {
            return now;
        }
        match &self.rule {
            Rule::Budget { .. } => Timestamp::NEVER,
            _ if units > limit => Timestamp::NEVER,
            Rule::Stepped { step, open } => open.map_or_else(|| step.end(now), |(ends, _)| ends),
            Rule::Rolling { length, charges } => {
                let mut left = self.used(now);
                let last = charges.iter().find(|(_, charged)| {
                    left -= charged;
                    left.saturating_add(units) <= limit
                });
                last.map_or(now, |(at, _)| *at + *length)
            }
            Rule::Paced { per, full_at } => {
                *full_at - Duration::from_micros(micros(*per).saturating_mul(limit - units))
            }
            Rule::Distinct { keys, .. } => {
                let mut closings: Vec<Timestamp> = keys.values().copied().collect();
                closings.sort_unstable();
                let surplus = closings.len() - usize::try_from(limit).unwrap_or(usize::MAX).min(closings.len());
                closings.get(surplus).copied().unwrap_or(now)
            }
        }
    }

    /// When the network would say that this account resets: the end of the window; where there is no end, when the oldest charge
    /// stops counting (`now`, if nothing counts). Call [`Meter::forget`] first.
    pub fn resets_at(&self, now: Timestamp) -> Timestamp {
        match &self.rule {
            Rule::Stepped { step, open } => open.map_or_else(|| step.end(now), |(ends, _)| ends),
            Rule::Rolling { length, charges } => charges.front().map_or(now, |(at, _)| *at + *length),
            Rule::Paced { full_at, .. } => (*full_at).max(now),
            Rule::Distinct { keys, .. } => keys.values().min().copied().unwrap_or(now),
            Rule::Budget { .. } => Timestamp::NEVER,
        }
    }

    /// The most that could have been admitted from `since` until `now` under `limit` by somebody who never let a window pass.
    /// Windows that are not over count in full.
    pub fn capacity(&self, since: Timestamp, now: Timestamp, limit: u64) -> u64 {
        let spans = |length: Duration| micros(now.since(since)) / micros(length).max(1);
        match &self.rule {
            Rule::Stepped { step, .. } => (step.between(since, now) + 1).saturating_mul(limit),
            Rule::Rolling { length, .. } | Rule::Distinct { length, .. } => (spans(*length) + 1).saturating_mul(limit),
            Rule::Paced { per, .. } => limit.saturating_add(spans(*per)),
            Rule::Budget { .. } => limit,
        }
    }

    /// Forgets everything, as after a reset that nobody announced. Returns what had counted.
    pub fn clear(&mut self, now: Timestamp) -> u64 {
        self.forget(now);
        let used = self.used(now);
        match &mut self.rule {
            Rule::Stepped { open, .. } => *open = None,
            Rule::Rolling { charges, .. } => charges.clear(),
            Rule::Paced { full_at, .. } => *full_at = now,
            Rule::Distinct { keys, .. } => keys.clear(),
            Rule::Budget { used } => *used = 0,
        }
        used
    }
}

impl Step {
    /// The end of the window that holds `now`.
    fn end(&self, now: Timestamp) -> Timestamp {
        match self {
            Step::Even { length, shift } => {
                let begun = Self::begun(now, *length, *shift);
                Timestamp::from_micros(begun.saturating_mul(micros(*length).max(1).cast_signed())) + *shift
            }
            Step::Day(zone) => end_of_day(now, zone),
        }
    }

    /// How many windows had begun by `now`, counted from the epoch.
    fn begun(now: Timestamp, length: Duration, shift: Duration) -> i64 {
        (now - shift).micros().div_euclid(micros(length).max(1).cast_signed()) + 1
    }

    /// How many window ends can lie between the two times.
    fn between(&self, since: Timestamp, now: Timestamp) -> u64 {
        match self {
            Step::Even { length, shift } => {
                (Self::begun(now, *length, *shift) - Self::begun(since, *length, *shift)).max(0).cast_unsigned()
            }
            Step::Day(zone) => {
                let (Some(from), Some(to)) = (date(since, zone), date(now, zone)) else { return 0 };
                u64::try_from(to.duration_since(from).as_hours() / 24).unwrap_or(0)
            }
        }
    }
}

fn zone_of(name: &str) -> Result<TimeZone, UnknownZone> {
    TimeZone::get(name).map_err(|_| UnknownZone(name.to_owned()))
}

fn date(at: Timestamp, zone: &TimeZone) -> Option<jiff::civil::Date> {
    let stamp = jiff::Timestamp::from_microsecond(at.micros()).ok()?;
    Some(stamp.to_zoned(zone.clone()).date())
}

/// The next midnight in the zone. A day lasts 23 or 25 hours where the clocks change. Outside of the calendar: never.
fn end_of_day(now: Timestamp, zone: &TimeZone) -> Timestamp {
    date(now, zone)
        .and_then(|day| day.tomorrow().ok())
        .and_then(|next| next.to_zoned(zone.clone()).ok())
        .map_or(Timestamp::NEVER, |midnight| Timestamp::from_micros(midnight.timestamp().as_microsecond()))
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
