//! Errors of what only operators do.

use super::broken;
use crate::service::ListLeasesError;
use crate::service::apps::AppError;
use crate::service::networks::NetworkError;
use crate::service::notices::DeadLetterError;
use crate::service::pools::PoolError;
use crate::service::sealing::RotateError;
use crate::text::{InWords, Sentence};

impl InWords for NetworkError {
    fn in_words(&self) -> Sentence {
        let Self::NotFound(network) = self;
        Sentence::new("wrong-no-network").named("network", network)
    }
}

impl InWords for PoolError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Forbidden(error) => error.in_words(),
            Self::Network(error) => error.in_words(),
        }
    }
}

impl InWords for ListLeasesError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Forbidden(error) => error.in_words(),
            Self::NotFound(_) => Sentence::new("wrong-no-lease"),
            Self::Store(_) => broken(),
        }
    }
}

impl InWords for DeadLetterError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::NotFound(_) => Sentence::new("wrong-no-letter"),
            Self::Store(_) => broken(),
        }
    }
}

impl InWords for AppError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Network(error) => error.in_words(),
            Self::NotFound { network, app } => {
                Sentence::new("wrong-no-app").named("network", network).named("app", app)
            }
            Self::NoTeam(team) => Sentence::new("wrong-no-team").named("team", team),
            Self::Exists { app, .. } => Sentence::new("wrong-app-held").named("app", app),
            Self::InUse { app, tokens, .. } => {
                Sentence::new("wrong-app-used").named("app", app).with("tokens", *tokens)
            }
            Self::Default(_) => Sentence::new("wrong-app-default"),
            Self::Fact(error) => error.in_words(),
            Self::NoBudget { class, .. } => Sentence::new("wrong-no-budget").named("class", class),
            Self::Units { total } => Sentence::new("wrong-units").with("total", *total),
            Self::ClientKey(error) => Sentence::new("wrong-client-key").named("why", error),
            Self::NoClientKeys(_) => Sentence::new("wrong-no-client-keys"),
            Self::NoPublicUrl => Sentence::new("wrong-no-url"),
            Self::Random | Self::Store(_) => broken(),
        }
    }
}

impl InWords for RotateError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::NoNextKey => Sentence::new("wrong-no-next-key"),
            Self::SameKey => Sentence::new("wrong-same-key"),
            Self::Key(error) => Sentence::new("wrong-sealing-key").named("why", error),
            Self::Vault(_) | Self::Store(_) => broken(),
        }
    }
}
