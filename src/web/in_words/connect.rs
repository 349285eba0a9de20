//! Errors about connecting an account.

use super::{broken, contended};
use crate::domain::connection::{ChoiceError, NotConnectable, StageError};
use crate::service::connect::{CallbackError, ConnectError};
use crate::text::{InWords, Sentence};

impl InWords for StageError {
    fn in_words(&self) -> Sentence {
        Sentence::new(match self {
            Self::Ended(_) => "wrong-connection-ended",
            Self::Used => "wrong-answer-used",
            Self::TooLate => "wrong-answer-late",
            Self::NotReady => "wrong-no-agreement",
        })
    }
}

impl InWords for ChoiceError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Nothing => Sentence::new("wrong-choice-none"),
            Self::Unknown(id) => Sentence::new("wrong-choice-unknown").named("profile", id),
            Self::Obstacle { id, obstacle } => {
                Sentence::new("wrong-choice-obstacle").named("profile", id).and("obstacle", obstacle.in_words())
            }
        }
    }
}

impl InWords for NotConnectable {
    fn in_words(&self) -> Sentence {
        Sentence::new(match self {
            Self::NotGranted => "not-connectable-granted",
            Self::OAuth1 => "not-connectable-oauth1",
            Self::NoEndpoint => "not-connectable-endpoint",
            Self::Instances => "not-connectable-instances",
        })
    }
}

impl InWords for ConnectError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::NotFound(_) | Self::UnknownLink => Sentence::new("wrong-connect-link"),
            Self::ForeignBrowser => Sentence::new("wrong-connect-browser"),
            Self::SignedOut => Sentence::new("wrong-connect-signed-out"),
            Self::OtherMember => Sentence::new("wrong-connect-other"),
            Self::OldText | Self::OtherText { .. } => Sentence::new("wrong-connect-text"),
            Self::Left => Sentence::new("wrong-connect-left"),
            Self::NoMember { .. } => Sentence::new("wrong-no-member"),
            Self::Stage(error) => error.in_words(),
            Self::Rejected(error) => error.in_words(),
            Self::NotConnectable { network, kind, why } => Sentence::new("wrong-not-connectable")
                .named("network", network)
                .named("kind", kind)
                .and("why", why.in_words()),
            Self::NoPublicUrl => Sentence::new("wrong-no-url"),
            Self::ReturnUrl => Sentence::new("wrong-return-url"),
            Self::NoPurpose => Sentence::new("wrong-no-purpose"),
            Self::OtherKind => Sentence::new("wrong-other-kind"),
            Self::NoClient { network, app } => {
                Sentence::new("wrong-no-client").named("network", network).named("app", app)
            }
            Self::NoClientKey { network, app } => {
                Sentence::new("wrong-no-client-key").named("network", network).named("app", app)
            }
            Self::NotPushed { network, why } => {
                Sentence::new("wrong-not-pushed").named("network", network).named("why", why)
            }
            Self::PushRefused { network, status } => {
                Sentence::new("wrong-push-refused").named("network", network).named("status", status)
            }
            Self::Choice(error) => error.in_words(),
            Self::Contended(_) => contended(),
            Self::Token(error) => error.in_words(),
            Self::Random | Self::Sealed(_) => broken(),
        }
    }
}

impl InWords for CallbackError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::UnknownState => Sentence::new("wrong-answer-unknown"),
            Self::ForeignBrowser => Sentence::new("wrong-answer-browser"),
            Self::Stage(error) => error.in_words(),
            Self::Connect(error) => error.in_words(),
        }
    }
}
