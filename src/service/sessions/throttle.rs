//! How often something may be tried with one key: a burst, then evenly over a minute.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::base::clock::Clock;
use crate::base::rate_clock::RateClock;

/// Tries are kept of at most about this many keys; then the stale ones go.
const KEYS: usize = 10_000;

/// Counts tries by key.
pub(super) struct Throttle {
    limiter: RateLimiter<String, DashMapStateStore<String>, RateClock, NoOpMiddleware<Nanos>>,
    clock: RateClock,
}

impl Throttle {
    pub(super) fn per_minute(tries: usize, clock: &Arc<dyn Clock>) -> Self {
        let tries = u32::try_from(tries).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let clock = RateClock(clock.clone());
        let limiter = RateLimiter::new(Quota::per_minute(tries), DashMapStateStore::default(), clock.clone());
        Self { limiter, clock }
    }

    /// Counts a try; if it is one too many, the time to wait.
    pub(super) fn check(&self, key: &str) -> Result<(), Duration> {
        if self.limiter.len() > KEYS {
            self.limiter.retain_recent();
        }
        let now = self.clock.now();
        self.limiter.check_key(&key.to_owned()).map_err(|not_until| not_until.wait_time_from(now))
    }
}
