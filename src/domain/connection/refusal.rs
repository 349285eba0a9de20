//! What it means for the person that a network does not tell whose a new token is.

use std::time::Duration;

use crate::domain::connection::{Problem, ProblemKind};
use crate::domain::networks::ErrorClass;

/// The problem of a look-up that a network refused with an answer of that class. `otherwise`: what a person does whose account is not the
/// right one. Only what the network says of the account blames the account.
pub fn refused_look_up(
    network: &str,
    class: ErrorClass,
    retry_after: Option<Duration>,
    otherwise: Option<&str>,
) -> Problem {
    use ErrorClass as Class;
    let later = || match retry_after {
        Some(wait) => format!("Open the connect link again in {} minutes.", wait.as_secs().div_ceil(60).max(1)),
        None => "Open the connect link again later.".to_owned(),
    };
    let again = "Open the connect link again";
    let (kind, message) = match class {
        Class::RateLimitedToken | Class::RateLimitedResource => {
            (ProblemKind::NetworkRefused, format!("The account's limit at {network} is used up. {}", later()))
        }
        Class::RateLimitedApp | Class::QuotaExhaustedApp | Class::PublishQuota => {
            (ProblemKind::NetworkRefused, format!("The limit that {network} sets the app is used up. {}", later()))
        }
        Class::AppLevel | Class::BadRequest | Class::WrongTokenKind => (
            ProblemKind::NetworkRefused,
            format!(
                "{network} does not let the app ask whose account this is. An operator must look at how the app is registered there."
            ),
        ),
        Class::PermissionLost => (
            ProblemKind::PermissionMissing,
            format!(
                "{network} says that a permission is missing to see whose account this is. {again} and leave all of them switched on."
            ),
        ),
        Class::ResourceDenied => {
            let otherwise = otherwise.unwrap_or("Sign in with another account.");
            (
                ProblemKind::AccountUnusable,
                format!("This account of {network} can't be used. {otherwise} Then open the connect link again."),
            )
        }
        Class::UserCheckpoint | Class::BlockedPolicy => (
            ProblemKind::AccountUnusable,
            format!(
                "{network} holds this account back. Sign in at {network} and do what it asks for. Then open the connect link again."
            ),
        ),
        Class::TokenExpired
        | Class::TokenRevoked
        | Class::PasswordChanged
        | Class::TokenInvalid
        | Class::RefreshRejected => (
            ProblemKind::NetworkRefused,
            format!("{network} does not accept the token that it has just given. {again}, and agree once more."),
        ),
        Class::Ok | Class::Transient | Class::RetryWithNonce => (
            ProblemKind::NetworkRefused,
            format!("{network} could not say whose account this is. {again} in some minutes."),
        ),
    };
    Problem { kind, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_of_the_account_blames_the_account() {
        for class in ErrorClass::ALL {
            let problem = refused_look_up("TikTok", class, None, Some("Take another one."));
            let blamed =
                matches!(class, ErrorClass::ResourceDenied | ErrorClass::UserCheckpoint | ErrorClass::BlockedPolicy);
            assert_eq!(problem.kind == ProblemKind::AccountUnusable, blamed, "{class:?}: {}", problem.message);
            assert_eq!(problem.message.contains("another one"), class == ErrorClass::ResourceDenied, "{class:?}");
        }
    }

    #[test]
    fn when_to_come_again_is_said_where_the_network_says_it() {
        let at = |wait: Option<u64>| {
            let wait = wait.map(Duration::from_secs);
            refused_look_up("X", ErrorClass::RateLimitedApp, wait, None).message
        };
        assert!(at(Some(61)).contains("in 2 minutes") && at(Some(0)).contains("in 1 minutes"));
        assert!(at(None).ends_with("again later."));
    }
}
