//! Probes: the broker checks tokens itself, so that the end of one that nobody uses is known within a day.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::domain::networks::ErrorClass;
use crate::domain::retry::scaled;

/// What came of a check of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It works.
    Works,
    /// The network refused it, in a way that may mean its end.
    InDoubt,
    /// The network said that it has ended.
    Ended,
    /// It lacks the permission for the check, or the network takes another kind of token there: it says nothing of others.
    NotPermitted,
    /// A limit was reached.
    Limited,
    /// The network refused the app, whatever the token.
    AppRefused,
    /// There was no answer, or one that tells nothing.
    NoAnswer,
}

impl CheckOutcome {
    /// All outcomes.
    pub const ALL: [CheckOutcome; 7] = [
        CheckOutcome::Works,
        CheckOutcome::InDoubt,
        CheckOutcome::Ended,
        CheckOutcome::NotPermitted,
        CheckOutcome::Limited,
        CheckOutcome::AppRefused,
        CheckOutcome::NoAnswer,
    ];

    /// Whether it says nothing of the token.
    pub const fn tells_nothing(self) -> bool {
        matches!(self, CheckOutcome::Limited | CheckOutcome::AppRefused | CheckOutcome::NoAnswer)
    }

    /// The name used in SQL and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            CheckOutcome::Works => "works",
            CheckOutcome::InDoubt => "in_doubt",
            CheckOutcome::Ended => "ended",
            CheckOutcome::NotPermitted => "not_permitted",
            CheckOutcome::Limited => "limited",
            CheckOutcome::AppRefused => "app_refused",
            CheckOutcome::NoAnswer => "no_answer",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<CheckOutcome> {
        CheckOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }

    /// The outcome of a check that was answered so.
    pub const fn of(class: ErrorClass) -> CheckOutcome {
        use ErrorClass as Class;
        match class {
            Class::Ok => CheckOutcome::Works,
            Class::TokenInvalid | Class::RefreshRejected => CheckOutcome::InDoubt,
            Class::TokenExpired | Class::TokenRevoked | Class::PasswordChanged | Class::UserCheckpoint => {
                CheckOutcome::Ended
            }
            Class::PermissionLost | Class::ResourceDenied | Class::WrongTokenKind | Class::BadRequest => {
                CheckOutcome::NotPermitted
            }
            Class::RateLimitedToken
            | Class::RateLimitedResource
            | Class::RateLimitedApp
            | Class::QuotaExhaustedApp
            | Class::PublishQuota
            | Class::BlockedPolicy => CheckOutcome::Limited,
            Class::AppLevel => CheckOutcome::AppRefused,
            Class::Transient | Class::RetryWithNonce => CheckOutcome::NoAnswer,
        }
    }
}

/// The last check of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastCheck {
    /// When it was.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: CheckOutcome,
}

/// A token in doubt is left to those who use it for so long, then it is checked; then after twice the time again and again, as long as a check
/// does not settle it.
pub const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// The longest that a token in doubt is left alone.
const IN_DOUBT: Duration = Duration::from_secs(3600);
/// A check that told nothing is made again after so long at first.
const SOON: Duration = Duration::from_secs(5 * 60);

/// When a token is checked first that came here `now`: at any moment of the first span, so that tokens that came together are not checked
/// together. `luck` is uniform over all of `u64`.
pub fn first_check(now: Timestamp, every: Duration, luck: u64) -> Timestamp {
    now + scaled(every, luck)
}

/// When a token that is known to have worked at `at` is checked next: within the span, and in its last quarter.
pub fn next_check(at: Timestamp, every: Duration, luck: u64) -> Timestamp {
    at + every * 3 / 4 + scaled(every / 4, luck)
}

/// When a token is looked at again after a check that came out so, and the one `before` it. What told nothing of the token is asked again
/// soon, then after twice the time again and again; one in doubt is settled.
pub fn after_check(
    outcome: CheckOutcome,
    before: Option<LastCheck>,
    now: Timestamp,
    every: Duration,
    luck: u64,
) -> Timestamp {
    match outcome {
        CheckOutcome::Works | CheckOutcome::Ended | CheckOutcome::NotPermitted => next_check(now, every, luck),
        CheckOutcome::InDoubt => {
            let doubted = |before: &LastCheck| before.outcome == CheckOutcome::InDoubt;
            now + waited_for(before.filter(doubted), now).clamp(SETTLED_AFTER, IN_DOUBT)
        }
        CheckOutcome::Limited | CheckOutcome::AppRefused | CheckOutcome::NoAnswer => {
            let in_vain = before.filter(|before| before.outcome.tells_nothing());
            now + (waited_for(in_vain, now).max(SOON) + scaled(SOON, luck)).min(every)
        }
    }
}

/// Twice the time since a check before this one that came out alike.
fn waited_for(before: Option<LastCheck>, now: Timestamp) -> Duration {
    before.map_or(Duration::ZERO, |before| now.since(before.at) * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn every_outcome_has_its_own_name() {
        for outcome in CheckOutcome::ALL {
            assert_eq!(CheckOutcome::from_name(outcome.as_str()), Some(outcome));
        }
    }

    #[test]
    fn no_check_is_further_away_than_the_span() {
        for luck in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!((NOW..=NOW + DAY).contains(&first_check(NOW, DAY, luck)));
            assert!((NOW + DAY * 3 / 4..=NOW + DAY).contains(&next_check(NOW, DAY, luck)));
            for outcome in CheckOutcome::ALL {
                let again = after_check(outcome, None, NOW, DAY, luck);
                assert!(again > NOW && again <= NOW + DAY, "{outcome:?}");
            }
        }
    }

    #[test]
    fn what_told_nothing_is_asked_again_soon_and_then_less_and_less() {
        for outcome in [CheckOutcome::NoAnswer, CheckOutcome::Limited, CheckOutcome::AppRefused] {
            assert!(after_check(outcome, None, NOW, DAY, u64::MAX) <= NOW + SOON * 2);
            let (mut at, mut before, mut checks) = (NOW, None, 0);
            while at < NOW + DAY * 2 {
                let next = after_check(outcome, before, at, DAY, u64::MAX);
                (before, at, checks) = (Some(LastCheck { at, outcome }), next, checks + 1);
            }
            assert!((7..=10).contains(&checks), "{checks} checks in two days");
            let worked = Some(LastCheck { at: NOW - DAY, outcome: CheckOutcome::Works });
            assert!(after_check(outcome, worked, NOW, DAY, 0) <= NOW + SOON);
        }
    }

    #[test]
    fn what_is_in_doubt_is_asked_about_until_it_is_settled() {
        let outcome = CheckOutcome::InDoubt;
        assert_eq!(after_check(outcome, None, NOW, DAY, 0), NOW + SETTLED_AFTER);
        let worked = Some(LastCheck { at: NOW - DAY, outcome: CheckOutcome::Works });
        assert_eq!(after_check(outcome, worked, NOW, DAY, 0), NOW + SETTLED_AFTER);
        let (mut at, mut before, mut checks) = (NOW, None, 0);
        while at < NOW + DAY {
            let next = after_check(outcome, before, at, DAY, 0);
            assert!(next <= at + IN_DOUBT);
            (before, at, checks) = (Some(LastCheck { at, outcome }), next, checks + 1);
        }
        assert!((25..=32).contains(&checks), "{checks} checks in a day");
    }
}
