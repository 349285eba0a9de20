//! One time line for the whole process.
//!
//! Every rule takes `now` as an argument. The process reads it from a [`Clock`]: wall time at start, advanced by the
//! machine's uptime, so that a step of the wall clock neither lengthens nor shortens a lease or a window. Uptime goes on while
//! the machine sleeps, as the windows of the networks do. The [`Anchor`] between both tells the next process on the same
//! machine whether the wall clock was set meanwhile.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

    /// How long it takes, by the machine's clock, until this one shows `at`; zero if it has.
    fn time_until(&self, at: Timestamp) -> Duration {
        at.since(self.now())
    }

    /// What ties this clock to the machine's uptime; `None` if nothing does.
    fn anchor(&self) -> Option<Anchor> {
        None
    }
}

/// What ties a clock to the uptime of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Names the start of the machine that the uptime counts from.
    pub boot: String,
    /// What the clock showed at that start, in microseconds since 1970-01-01T00:00:00Z.
    pub boot_at_us: i64,
}

impl Anchor {
    /// How much later this clock shows the same moment than `earlier` does, in microseconds; `None` if the machine was started
    /// anew in between, since nothing tells then how long it stood still.
    pub fn ahead_of(&self, earlier: &Anchor) -> Option<i64> {
        (self.boot == earlier.boot).then(|| self.boot_at_us.saturating_sub(earlier.boot_at_us))
    }
}

/// The machine's clock: wall time read at start, then advanced by the machine's uptime.
pub struct SystemClock {
    boot: Option<String>,
    boot_at_us: AtomicI64,
}

impl SystemClock {
    /// Reads the wall clock, once.
    pub fn start() -> Self {
        let boot_at_us = wall_micros().saturating_sub(uptime::micros());
        Self { boot: uptime::boot(), boot_at_us: AtomicI64::new(boot_at_us) }
    }

    /// How far the wall clock has moved away from this clock, in microseconds (positive: the wall is ahead).
    pub fn skew_micros(&self) -> i64 {
        wall_micros().saturating_sub(self.now().micros())
    }

    /// Follows the wall clock by at most `step`, and only forward in effect: a slew, never a jump back.
    pub fn slew(&self, step: Duration) {
        let most = i64::try_from(step.as_micros()).unwrap_or(i64::MAX);
        let by = self.skew_micros().clamp(-most, most);
        self.boot_at_us.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.boot_at_us.load(Ordering::Relaxed).saturating_add(uptime::micros()))
    }

    fn anchor(&self) -> Option<Anchor> {
        let boot = self.boot.clone()?;
        Some(Anchor { boot, boot_at_us: self.boot_at_us.load(Ordering::Relaxed) })
    }
}

/// How long the machine runs, its sleep included.
#[cfg(target_os = "linux")]
mod uptime {
    use rustix::time::{ClockId, clock_gettime};

    pub fn micros() -> i64 {
        let up = clock_gettime(ClockId::Boottime);
        up.tv_sec * 1_000_000 + up.tv_nsec / 1_000
    }

    /// A name that the kernel chose at its start.
    pub fn boot() -> Option<String> {
        let name = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    }
}

/// Elsewhere the monotonic clock of the process stands for the uptime, and says nothing about other processes.
#[cfg(not(target_os = "linux"))]
mod uptime {
    use std::sync::LazyLock;
    use std::time::Instant;

    #[expect(clippy::disallowed_methods, reason = "this is the one home of the machine's clocks")]
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub fn micros() -> i64 {
        i64::try_from(STARTED.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    pub fn boot() -> Option<String> {
        None
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one home of the machine's clocks")]
fn wall_micros() -> i64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(wall.as_micros()).unwrap_or(i64::MAX)
}

/// A clock that stands still until it is told to move: for tests, benches and simulations.
#[derive(Debug, Default)]
pub struct ManualClock {
    micros: AtomicI64,
    anchor: Option<Anchor>,
}

impl ManualClock {
    /// Starts at `at`, tied to no machine.
    pub fn at(at: Timestamp) -> Self {
        Self { micros: AtomicI64::new(at.micros()), anchor: None }
    }

    /// Starts at `at` on a machine.
    pub fn on_machine(at: Timestamp, anchor: Anchor) -> Self {
        Self { anchor: Some(anchor), ..Self::at(at) }
    }

    /// Moves forward by `span`.
    pub fn advance(&self, span: Duration) {
        let to = self.now() + span;
        self.set(to);
    }

    /// Moves to `to`; a time before the present is ignored, since a clock never goes back.
    pub fn set(&self, to: Timestamp) {
        self.micros.fetch_max(to.micros(), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.micros.load(Ordering::Relaxed))
    }

    fn anchor(&self) -> Option<Anchor> {
        self.anchor.clone()
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
    fn the_machines_clock_shows_wall_time_and_goes_on() {
        let clock = SystemClock::start();
        let first = clock.now();
        assert!(clock.skew_micros().abs() < 1_000_000, "{}", clock.skew_micros());
        assert!(clock.now() >= first);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn two_clocks_of_one_machine_have_anchors_that_compare() {
        let (one, other) = (SystemClock::start().anchor().unwrap(), SystemClock::start().anchor().unwrap());
        assert!(other.ahead_of(&one).unwrap().abs() < 1_000_000);
    }

    #[test]
    fn anchors_tell_how_far_a_clock_was_set() {
        let anchor = |boot: &str, boot_at_us| Anchor { boot: boot.to_owned(), boot_at_us };
        assert_eq!(anchor("a", 50).ahead_of(&anchor("a", 20)), Some(30));
        assert_eq!(anchor("a", 20).ahead_of(&anchor("a", 50)), Some(-30));
        assert_eq!(anchor("b", 20).ahead_of(&anchor("a", 20)), None);
    }

    #[test]
    fn display_is_rfc_3339() {
        assert_eq!(Timestamp::from_secs(1_705_420_800).to_string(), "2024-01-16T16:00:00Z");
    }
}
