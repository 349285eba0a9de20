//! Giving a token back at its network, after nobody here can use it any more.
//!
//! Where a network knows only the grant as a whole, a revocation would end the person's other tokens, too: it is made for the last one of
//! them only. Where those that are left are derived from it, and can't be given back themselves, it waits for them. What can't be reached is tried again for three days ([`RetryRule`]).

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::domain::networks::{ErrorClass, RevokeReach};
use crate::domain::retry::{Failure, RetryRule, RetryVerdict};

/// What became of a revocation at a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is to be made.
    Pending,
    /// The network knows the token no more.
    Done,
    /// The network would have ended other tokens of the same person, which are in use.
    Shared,
    /// The network did not do it, or can't be told: the person must remove the app there.
    GivenUp,
}

impl Standing {
    /// The name used in SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Pending => "pending",
            Standing::Done => "done",
            Standing::Shared => "shared",
            Standing::GivenUp => "given_up",
        }
    }

    /// The standing of that name.
    pub fn from_name(name: &str) -> Option<Standing> {
        [Standing::Pending, Standing::Done, Standing::Shared, Standing::GivenUp]
            .into_iter()
            .find(|standing| standing.as_str() == name)
    }
}

/// Tokens that are not revoked and that the network would end, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Others {
    /// How many there are.
    pub all: u64,
    /// How many of them the network can be told of themselves; the rest is derived from a grant, and ends with it only.
    pub told: u64,
}

/// Whether a revocation may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// It may.
    Now,
    /// Once the others are revoked, which the network can't be told of: it keeps its secret until then.
    AfterOthers,
    /// It is made with the last of the others.
    WithOthers,
}

/// Whether a revocation that reaches so far may be made while there are `others` of the same person.
pub fn may_revoke(reach: RevokeReach, others: Others) -> May {
    match (reach, others) {
        (RevokeReach::Token, _) | (RevokeReach::Grant, Others { all: 0, .. }) => May::Now,
        (RevokeReach::Grant, Others { told: 0, .. }) => May::AfterOthers,
        (RevokeReach::Grant, _) => May::WithOthers,
    }
}

/// What the network said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// How many failed before.
    pub failures: u32,
    /// When the first of them failed; `None`: none did.
    pub failing_since: Option<Timestamp>,
    /// When this attempt ended.
    pub now: Timestamp,
    /// The class of the answer; `None`: there was none.
    pub answer: Option<ErrorClass>,
    /// How long the network asked to be left alone.
    pub retry_after: Option<Duration>,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is over, like this.
    Ended(Standing),
    /// Try again after this wait.
    Again(Duration),
}

/// Judges an attempt. `random` is uniform over all of `u64`. A token that the network does not know is as good as revoked.
pub fn judge(attempt: &Attempt, random: u64) -> Verdict {
    match attempt.answer {
        Some(
            ErrorClass::Ok
            | ErrorClass::TokenExpired
            | ErrorClass::TokenRevoked
            | ErrorClass::TokenInvalid
            | ErrorClass::PasswordChanged
            | ErrorClass::RefreshRejected,
        ) => return Verdict::Ended(Standing::Done),
        Some(ErrorClass::BadRequest | ErrorClass::WrongTokenKind) => return Verdict::Ended(Standing::GivenUp),
        _ => {}
    }
    let failure = Failure {
        attempts: attempt.failures.saturating_add(1),
        first_tried_at: attempt.failing_since.unwrap_or(attempt.now),
        now: attempt.now,
        asked_wait: attempt.retry_after,
    };
    match RetryRule::default().judge(&failure, random) {
        RetryVerdict::After(wait) => Verdict::Again(wait),
        RetryVerdict::TooManyAttempts | RetryVerdict::TooOld => Verdict::Ended(Standing::GivenUp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: Timestamp = Timestamp::from_secs(1_000_000);

    fn attempt(answer: Option<ErrorClass>, failures: u32) -> Attempt {
        let failing_since = (failures > 0).then_some(SINCE);
        Attempt { failures, failing_since, now: SINCE + Duration::from_secs(60), answer, retry_after: None }
    }

    #[test]
    fn what_the_network_does_not_know_is_revoked_and_the_rest_is_tried_again() {
        let done = [ErrorClass::Ok, ErrorClass::TokenInvalid, ErrorClass::TokenRevoked, ErrorClass::RefreshRejected];
        for class in done {
            assert_eq!(judge(&attempt(Some(class), 0), 0), Verdict::Ended(Standing::Done), "{class:?}");
        }
        for class in [ErrorClass::Transient, ErrorClass::RateLimitedApp, ErrorClass::AppLevel] {
            assert!(matches!(judge(&attempt(Some(class), 0), 7), Verdict::Again(_)), "{class:?}");
        }
        assert!(matches!(judge(&attempt(None, 10), 7), Verdict::Again(_)));
        assert_eq!(judge(&attempt(None, 11), 7), Verdict::Ended(Standing::GivenUp));
        assert_eq!(judge(&attempt(Some(ErrorClass::BadRequest), 0), 7), Verdict::Ended(Standing::GivenUp));
        let late = Attempt { now: SINCE + Duration::from_secs(72 * 3600), ..attempt(None, 1) };
        assert_eq!(judge(&late, 7), Verdict::Ended(Standing::GivenUp));
        let asked =
            Attempt { retry_after: Some(Duration::from_secs(500)), ..attempt(Some(ErrorClass::RateLimitedApp), 0) };
        assert_eq!(judge(&asked, 0), Verdict::Again(Duration::from_secs(500)));
    }

    #[test]
    fn a_grant_is_revoked_with_its_last_token() {
        let cases = [
            (RevokeReach::Token, 3, 3, May::Now),
            (RevokeReach::Grant, 0, 0, May::Now),
            (RevokeReach::Grant, 3, 1, May::WithOthers),
            (RevokeReach::Grant, 3, 0, May::AfterOthers),
        ];
        for (reach, all, told, may) in cases {
            assert_eq!(may_revoke(reach, Others { all, told }), may, "{reach:?} {all} {told}");
        }
        for standing in [Standing::Pending, Standing::Done, Standing::Shared, Standing::GivenUp] {
            assert_eq!(Standing::from_name(standing.as_str()), Some(standing));
        }
    }
}
