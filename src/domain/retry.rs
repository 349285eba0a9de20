//! When a failed delivery is tried again, and when it is given up.
//!
//! Exponential with full jitter: each wait is anything between nothing and a bound that grows with each attempt, so that many senders
//! that failed together do not return together. The randomness is an argument.

use std::time::Duration;

use crate::base::clock::Timestamp;

/// How deliveries are repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryRule {
    /// The bound of the first wait.
    pub first: Duration,
    /// By how much the bound grows with each attempt; at least 1.
    pub factor: u32,
    /// The greatest bound.
    pub cap: Duration,
    /// After this many attempts a delivery is given up.
    pub attempts: u32,
    /// After this time, counted from the first attempt, a delivery is given up.
    pub within: Duration,
}

impl Default for RetryRule {
    /// 12 attempts within 72 hours; the waits are bounded by 10 s, 30 s, 90 s … 12 h.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(10),
            factor: 3,
            cap: Duration::from_secs(12 * 3600),
            attempts: 12,
            within: Duration::from_secs(72 * 3600),
        }
    }
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryVerdict {
    /// Try again after this wait.
    After(Duration),
    /// Give up: too many attempts.
    TooManyAttempts,
    /// Give up: too long ago.
    TooOld,
}

/// The failed attempt.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// How many attempts were made, this one included; from 1.
    pub attempts: u32,
    /// When the first of them was made.
    pub first_tried_at: Timestamp,
    /// When this one failed.
    pub now: Timestamp,
    /// The wait that the other side asked for (`Retry-After`); never cut short, but bounded by the cap.
    pub asked_wait: Option<Duration>,
}

impl RetryRule {
    /// Judges a failure. `random` is uniform over all of `u64`. The last wait is cut so that one attempt falls on the end of the time.
    pub fn judge(&self, failure: &Failure, random: u64) -> RetryVerdict {
        if failure.attempts >= self.attempts {
            return RetryVerdict::TooManyAttempts;
        }
        let left = (failure.first_tried_at + self.within).since(failure.now);
        if left.is_zero() {
            return RetryVerdict::TooOld;
        }
        let asked = failure.asked_wait.unwrap_or_default().min(self.cap);
        RetryVerdict::After(scaled(self.bound(failure.attempts), random).max(asked).min(left))
    }

    /// The greatest wait after so many attempts.
    fn bound(&self, attempts: u32) -> Duration {
        let growth = self.factor.max(1).checked_pow(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(growth).min(self.cap)
    }
}

/// `bound × random / 2^64`, to the microsecond: a random share of a span, for a `random` that is uniform over all of `u64`.
pub fn scaled(bound: Duration, random: u64) -> Duration {
    let micros = (bound.as_micros().min(u128::from(u64::MAX)) * u128::from(random)) >> 64;
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn failure(attempts: u32, hours: i64) -> Failure {
        let now = Timestamp::from_secs(hours * 3600);
        Failure { attempts, first_tried_at: Timestamp::EPOCH, now, asked_wait: None }
    }

    #[test]
    fn waits_grow_up_to_the_cap() {
        let rule = RetryRule::default();
        for (attempts, seconds) in [(1, 10), (2, 30), (3, 90), (8, 21_870), (9, 43_200), (11, 43_200)] {
            let RetryVerdict::After(wait) = rule.judge(&failure(attempts, 0), u64::MAX) else { panic!("{attempts}") };
            assert_eq!(wait.as_secs_f64().round() as u64, seconds, "after {attempts} attempts");
            assert_eq!(rule.judge(&failure(attempts, 0), 0), RetryVerdict::After(Duration::ZERO));
        }
    }

    #[test]
    fn gives_up_after_12_attempts_or_72_hours() {
        let rule = RetryRule::default();
        assert_eq!(rule.judge(&failure(12, 0), 0), RetryVerdict::TooManyAttempts);
        assert_eq!(rule.judge(&failure(3, 72), 0), RetryVerdict::TooOld);
        let last = RetryVerdict::After(Duration::from_secs(3600));
        assert_eq!(rule.judge(&failure(11, 71), u64::MAX), last);
    }

    #[test]
    fn a_wait_that_was_asked_for_is_kept() {
        let rule = RetryRule::default();
        let ask = |seconds| Failure { asked_wait: Some(Duration::from_secs(seconds)), ..failure(1, 0) };
        assert_eq!(rule.judge(&ask(600), 0), RetryVerdict::After(Duration::from_secs(600)));
        assert_eq!(rule.judge(&ask(u64::MAX), 0), RetryVerdict::After(rule.cap));
    }

    proptest! {
        #[test]
        fn every_delivery_ends(randoms in prop::collection::vec(any::<u64>(), 12)) {
            let rule = RetryRule::default();
            let mut failure = failure(1, 0);
            for random in randoms {
                let RetryVerdict::After(wait) = rule.judge(&failure, random) else { break };
                prop_assert!(wait <= rule.cap);
                failure.now = failure.now + wait;
                failure.attempts += 1;
            }
            prop_assert!(failure.attempts <= 12);
            prop_assert!(failure.now <= Timestamp::EPOCH + rule.within);
            prop_assert!(!matches!(rule.judge(&failure, 0), RetryVerdict::After(_)));
        }
    }
}
