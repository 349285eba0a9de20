//! One time line for the whole process.
//!
//! Every rule takes `now` as an argument. The process reads it from a [`Clock`]: wall time at start, advanced by the
//! monotonic clock, so that a step of the wall clock neither lengthens nor shortens a lease or a window.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Later than anything: a charge or a grant that time does not end.
    pub const NEVER: Timestamp = Timestamp(i64::MAX);
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the epoch; saturates.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// How long `self` is after `earlier`; zero if it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        let micros = self.0.saturating_sub(earlier.0).max(0);
        Duration::from_micros(micros.unsigned_abs())
    }
}

/// Adds a span; saturates at [`Timestamp::NEVER`].
impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Duration) -> Timestamp {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(micros))
    }
}

/// Takes a span away; saturates. [`Timestamp::NEVER`] stays what it is.
impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Duration) -> Timestamp {
        if self == Timestamp::NEVER {
            return self;
        }
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_sub(micros))
    }
}

/// RFC 3339 in UTC, to the second; `never` for [`Timestamp::NEVER`].
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Timestamp::NEVER {
            return f.write_str("never");
        }
        match jiff::Timestamp::from_second(self.secs()) {
            Ok(stamp) => write!(f, "{stamp}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// Where `now` comes from.
pub trait Clock: Send + Sync + 'static {
    /// The present moment. Never goes back.
    fn now(&self) -> Timestamp;
}

/// The machine's clock: wall time read at start, then advanced by the monotonic clock.
pub struct SystemClock {
    started: Instant,
    anchor_micros: AtomicI64,
}

impl SystemClock {
    /// Reads the wall clock, once.
    #[expect(clippy::disallowed_methods, reason = "this is the one home of the machine's clocks")]
    pub fn start() -> Self {
        Self { started: Instant::now(), anchor_micros: AtomicI64::new(wall_micros()) }
    }

    /// How far the wall clock has moved away from this clock, in microseconds (positive: the wall is ahead).
    pub fn skew_micros(&self) -> i64 {
        wall_micros().saturating_sub(self.now().micros())
    }

    /// Follows the wall clock by at most `step`, and only forward in effect: a slew, never a jump back.
    pub fn slew(&self, step: Duration) {
        let most = i64::try_from(step.as_micros()).unwrap_or(i64::MAX);
        let by = self.skew_micros().clamp(-most, most);
        self.anchor_micros.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.anchor_micros.load(Ordering::Relaxed).saturating_add(elapsed))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one home of the machine's clocks")]
fn wall_micros() -> i64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(wall.as_micros()).unwrap_or(i64::MAX)
}

/// A clock that stands still until it is told to move: for tests, benches and simulations.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Starts at `at`.
    pub fn at(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.micros()))
    }

    /// Moves forward by `span`.
    pub fn advance(&self, span: Duration) {
        let to = self.now() + span;
        self.set(to);
    }

    /// Moves to `to`; a time before the present is ignored, since a clock never goes back.
    pub fn set(&self, to: Timestamp) {
        self.0.fetch_max(to.micros(), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let second = Duration::from_secs(1);
        assert_eq!(Timestamp::NEVER + second, Timestamp::NEVER);
        assert_eq!(Timestamp::NEVER - second, Timestamp::NEVER);
        assert_eq!(Timestamp::from_secs(2) - second, Timestamp::from_secs(1));
        assert_eq!(Timestamp::from_secs(1).since(Timestamp::from_secs(2)), Duration::ZERO);
    }

    #[test]
    fn a_manual_clock_never_goes_back() {
        let clock = ManualClock::at(Timestamp::from_secs(10));
        clock.set(Timestamp::from_secs(5));
        assert_eq!(clock.now(), Timestamp::from_secs(10));
    }

    #[test]
    fn display_is_rfc_3339() {
        assert_eq!(Timestamp::from_secs(1_705_420_800).to_string(), "2024-01-16T16:00:00Z");
    }
}
