//! How often something may be tried with one key: a burst, then evenly over a minute.
//!
//! Keys are chosen by whoever tries, so what is kept of them is bounded: [`MOST`] at the most. While so many were used within the last minute,
//! all new ones share one allowance; those that are known keep theirs, so that nobody gets rid of a count by making up other keys.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::base::clock::{Clock, Timestamp};
use crate::base::rate_clock::RateClock;

/// Keys that are kept.
const MOST: usize = 20_000;
/// Where they are too many, those that may try as often as new ones are looked for once in so long.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// The key of all that are not kept.
const OTHERS: &str = "";

/// Counts tries by key.
pub(super) struct Throttle {
    kept: Kept,
    limiter: RateLimiter<String, Kept, RateClock, NoOpMiddleware<Nanos>>,
    /// What one try counts: the time in which one more is allowed.
    each: Nanos,
    clock: Arc<dyn Clock>,
    swept_at: Mutex<Option<Timestamp>>,
}

impl Throttle {
    pub(super) fn per_minute(tries: usize, clock: &Arc<dyn Clock>) -> Self {
        let tries = u32::try_from(tries).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let (kept, quota) = (Kept::default(), Quota::per_minute(tries));
        let limiter = RateLimiter::new(quota, kept.clone(), RateClock(clock.clone()));
        let each = Nanos::from(quota.replenish_interval());
        Self { kept, limiter, each, clock: clock.clone(), swept_at: Mutex::default() }
    }

    /// Counts a try; if it is one too many, the time to wait.
    pub(super) fn check(&self, key: &str) -> Result<(), Duration> {
        if self.limiter.len() >= MOST && self.may_sweep() {
            self.limiter.retain_recent();
        }
        let now = self.limiter.clock().now();
        self.limiter.check_key(&key.to_owned()).map_err(|not_until| not_until.wait_time_from(now))
    }

    /// Gives back what one try of a key counted, since it came to the right end. Those before it still count: they may have been about something
    /// else, at which somebody guesses.
    pub(super) fn give_back(&self, key: &str) {
        if let Some(next) = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(key) {
            *next = next.saturating_sub(self.each);
        }
    }

    fn may_sweep(&self) -> bool {
        let now = self.clock.now();
        let mut swept_at = self.swept_at.lock().unwrap_or_else(PoisonError::into_inner);
        let may = swept_at.is_none_or(|at| now.since(at) >= SWEEP_EVERY);
        if may {
            *swept_at = Some(now);
        }
        may
    }
}

/// The key of a network address: that of its network of 64 bits with IPv6, since one customer has at least so many addresses (RFC 6177).
pub(super) fn key_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// What is kept of each key: from when on it may try again.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<HashMap<String, Nanos>>>);

impl StateStore for Kept {
    type Key = String;

    fn measure_and_replace<T, F, E>(&self, key: &String, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if kept.len() < MOST || kept.contains_key(key) { key.as_str() } else { OTHERS };
        let (decided, next) = decide(kept.get(key).copied())?;
        kept.insert(key.to_owned(), next);
        Ok(decided)
    }
}

impl ShrinkableKeyedStateStore<String> for Kept {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, next| *next > drop_below);
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;

    #[test]
    fn the_addresses_of_one_customer_are_one() {
        let key = |text: &str| key_of(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.7"), "192.0.2.7");
        assert_ne!(key("192.0.2.7"), key("192.0.2.8"));
    }

    #[test]
    fn a_try_that_came_to_the_right_end_does_not_count_and_those_before_it_do() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_secs(1_000)));
        let throttle = Throttle::per_minute(2, &clock);
        for wrong in 0..2 {
            for _ in 0..5 {
                assert!(throttle.check("both").is_ok(), "after {wrong} wrong ones");
                throttle.give_back("both");
            }
            assert!(throttle.check("both").is_ok(), "after {wrong} wrong ones");
        }
        throttle.give_back("other");
        assert!(throttle.check("both").is_err(), "two were wrong");
    }

    #[test]
    fn keys_beyond_the_most_share_one_allowance_and_known_ones_keep_theirs() {
        let manual = Arc::new(ManualClock::at(Timestamp::from_secs(1_000)));
        let clock: Arc<dyn Clock> = manual.clone();
        let throttle = Throttle::per_minute(2, &clock);
        assert!(throttle.check("victim").is_ok() && throttle.check("victim").is_ok());
        for number in 1..MOST {
            throttle.check(&number.to_string()).unwrap();
        }
        assert!(throttle.check("victim").is_err(), "it is still counted");
        assert!(throttle.check("1").is_ok(), "each has its own count");
        assert!(throttle.check("new one").is_ok() && throttle.check("new two").is_ok());
        assert!(throttle.check("new three").is_err(), "those that are not kept share one");
        assert!(throttle.limiter.len() <= MOST + 1, "{}", throttle.limiter.len());
        manual.advance(Duration::from_secs(121));
        assert!(throttle.check("new three").is_ok());
        assert_eq!(throttle.limiter.len(), 1, "what is not limited any more is not kept");
    }
}
