//! Errors about what people are told, and where.

use super::{broken, contended};
use crate::domain::member::MailAddressError;
use crate::domain::notice::SettingsError;
use crate::service::notices::{DeliveryError, DestinationError, NoticeError, PushError};
use crate::text::{InWords, Sentence};

impl InWords for MailAddressError {
    fn in_words(&self) -> Sentence {
        Sentence::new(match self {
            Self::Control => "wrong-mail-control",
            Self::Long => "wrong-mail-long",
            Self::Form => "wrong-mail-form",
        })
    }
}

impl InWords for SettingsError {
    fn in_words(&self) -> Sentence {
        Sentence::new(match self {
            Self::Many => "wrong-settings-many",
            Self::Twice => "wrong-settings-twice",
            Self::Profile => "wrong-settings-profile",
            Self::Quiet => "wrong-settings-quiet",
        })
    }
}

impl InWords for NoticeError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Member(error) => error.in_words(),
            Self::Settings(error) => error.in_words(),
            Self::NotFound(_) => Sentence::new("wrong-no-notice"),
            Self::Contended => contended(),
            Self::Store(_) => broken(),
        }
    }
}

impl InWords for DeliveryError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Url => Sentence::new("wrong-url"),
            Self::PlainHttp => Sentence::new("wrong-url-plain"),
            Self::Address(address) => Sentence::new("wrong-url-address").named("address", address),
            Self::Port(port) => Sentence::new("wrong-url-port").named("port", port),
            Self::Gone(status) | Self::Status { status, .. } => Sentence::new("wrong-answered").named("status", status),
            Self::Lookup(_) => Sentence::new("wrong-url-lookup"),
            Self::Timeout => Sentence::new("wrong-no-answer"),
            Self::Http(_) => Sentence::new("wrong-on-its-way"),
        }
    }
}

impl InWords for DestinationError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Forbidden(error) => error.in_words(),
            Self::TeamNotFound(team) => Sentence::new("wrong-no-team").named("team", team),
            Self::NotFound(..) => Sentence::new("wrong-no-destination"),
            Self::TooMany(_) => Sentence::new("wrong-many-destinations"),
            Self::Mail(error) => error.in_words(),
            Self::Url(error) => error.in_words(),
            Self::Secret(_) => Sentence::new("wrong-signing-secret"),
            Self::Secrets => Sentence::new("wrong-signing-secrets"),
            Self::Contended => contended(),
            Self::NotSent(why) => Sentence::new("wrong-test-not-sent").named("why", why),
            Self::Random | Self::Sealed(_) | Self::Store(_) => broken(),
        }
    }
}

impl InWords for PushError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Member(error) => error.in_words(),
            Self::NotFound(_) => Sentence::new("wrong-no-browser"),
            Self::Endpoint(error) => error.in_words(),
            Self::Keys(_) => Sentence::new("wrong-browser-keys"),
            Self::TooMany => Sentence::new("wrong-many-browsers"),
            Self::NoPages => Sentence::new("wrong-no-url"),
            Self::Sealed(_) | Self::Key(_) | Self::Store(_) => broken(),
        }
    }
}
