//! A clock that runs faster than its base clock, so that a day of a network passes while somebody watches.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::{Clock, Timestamp};

/// Runs `speed` times faster than its base clock, beginning at the base clock's present.
///
/// Everything of a simulation (windows, expiries, the reset times in headers) is in this clock's time. A client that compares such a
/// reset time with its own wall clock must run on a clock of the same speed.
pub struct ScaledClock {
    base: Arc<dyn Clock>,
    started: Timestamp,
    speed: u32,
}

impl ScaledClock {
    /// Starts now. A speed of 0 is taken as 1.
    pub fn start(base: Arc<dyn Clock>, speed: u32) -> Self {
        let started = base.now();
        Self { base, started, speed: speed.max(1) }
    }

    /// How many times faster than its base it runs.
    pub fn speed(&self) -> u32 {
        self.speed
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Timestamp {
        self.started + self.base.now().since(self.started).saturating_mul(self.speed)
    }

    fn time_until(&self, at: Timestamp) -> Duration {
        at.since(self.now()) / self.speed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;

    #[test]
    fn a_second_becomes_a_minute() {
        let base = Arc::new(ManualClock::at(Timestamp::from_secs(100)));
        let clock = ScaledClock::start(base.clone(), 60);
        assert_eq!(clock.now(), Timestamp::from_secs(100));
        base.advance(Duration::from_secs(2));
        assert_eq!(clock.now(), Timestamp::from_secs(220));
        assert_eq!(clock.time_until(Timestamp::from_secs(340)), Duration::from_secs(2));
        assert_eq!(clock.time_until(Timestamp::from_secs(100)), Duration::ZERO);
    }

    #[test]
    fn it_never_stands_still() {
        let base = Arc::new(ManualClock::at(Timestamp::EPOCH));
        let clock = ScaledClock::start(base.clone(), 0);
        base.advance(Duration::from_secs(3));
        assert_eq!(clock.now(), Timestamp::from_secs(3));
    }
}
