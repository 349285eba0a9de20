//! Errors about who somebody is: signing in, joining a team, proving a mail address.

use std::time::Duration;

use super::broken;
use crate::domain::member::{LONGEST, PasswordRefused, SHORTEST};
use crate::service::sessions::{JoinError, ProveMailError, SignInError};
#[cfg(feature = "oidc")]
use crate::service::sessions::{OidcError, OidcSignInError};
use crate::text::{InWords, Sentence};

fn too_often(wait: Duration) -> Sentence {
    Sentence::new("wrong-too-often").with("seconds", wait.as_secs().max(1))
}

impl InWords for PasswordRefused {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Short => Sentence::new("wrong-password-short").with("least", SHORTEST),
            Self::Long => Sentence::new("wrong-password-long").with("most", LONGEST),
            Self::Control => Sentence::new("wrong-password-control"),
            Self::AboutYou => Sentence::new("wrong-password-about-you"),
            Self::Guessable => Sentence::new("wrong-password-guessable"),
            Self::Breached => Sentence::new("wrong-password-breached"),
        }
    }
}

impl InWords for SignInError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Wrong => Sentence::new("wrong-sign-in"),
            Self::WrongKey => Sentence::new("wrong-operator-key"),
            Self::NotChosen => Sentence::new("wrong-team-choice"),
            Self::TooOften(wait) => too_often(*wait),
            Self::Random | Self::Stopping | Self::Store(_) => broken(),
        }
    }
}

impl InWords for JoinError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Link => Sentence::new("wrong-join-link"),
            Self::Password(error) => error.in_words(),
            Self::TooOften(wait) => too_often(*wait),
            Self::Member(error) => error.in_words(),
            Self::BreachedPasswords(_) | Self::Hash(_) | Self::Stopping | Self::Store(_) => broken(),
        }
    }
}

impl InWords for ProveMailError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Link => Sentence::new("wrong-mail-link"),
            Self::NoMail => Sentence::new("wrong-no-mail"),
            Self::NotSent(why) => Sentence::new("wrong-link-not-sent").named("why", why),
            Self::TooOften(wait) => too_often(*wait),
            Self::Member(error) => error.in_words(),
            Self::Stopping => broken(),
        }
    }
}

#[cfg(feature = "oidc")]
impl InWords for OidcError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Unreachable(why) => Sentence::new("wrong-oidc-unreachable").named("why", why),
            Self::Misconfigured(why) => Sentence::new("wrong-oidc-set-up").named("why", why),
            Self::NotBelieved(why) => Sentence::new("wrong-oidc-not-believed").named("why", why),
        }
    }
}

#[cfg(feature = "oidc")]
impl InWords for OidcSignInError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::NotSetUp => Sentence::new("wrong-oidc-none"),
            Self::Unknown => Sentence::new("wrong-oidc-answer"),
            Self::Denied => Sentence::new("wrong-oidc-denied"),
            Self::Provider(error) => error.in_words(),
            Self::Unverified => Sentence::new("wrong-oidc-unverified"),
            Self::NoMember => Sentence::new("wrong-oidc-no-member"),
            Self::BoundToAnother => Sentence::new("wrong-oidc-bound"),
            Self::WhichTeam(_) => Sentence::new("wrong-oidc-team"),
            Self::SignIn(error) => error.in_words(),
        }
    }
}
