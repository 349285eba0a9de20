//! Errors in the words of the text file: each tells the name of its sentence and what it is about, never the words themselves.
//!
//! What a program reads over gRPC is told by the errors themselves; this is what people read on pages.

use crate::service::{Forbidden, StoreError};
use crate::text::{InWords, Sentence};

mod connect;
mod notices;
mod operators;
mod problem;
mod sign_in;
mod team;
mod tokens;

/// What is told of a fault of the broker's own: what it is stands in its log.
fn broken() -> Sentence {
    Sentence::new("refused-broken-text")
}

/// Two changed the same thing at once.
fn contended() -> Sentence {
    Sentence::new("wrong-contended")
}

impl InWords for StoreError {
    fn in_words(&self) -> Sentence {
        broken()
    }
}

impl InWords for Forbidden {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Team(team) => Sentence::new("wrong-other-team").named("team", team),
            Self::Role { needed, .. } => Sentence::new(format!("wrong-needs-{needed}")),
            Self::Action { role, action } => Sentence::new("wrong-action")
                .with("role", role.as_str())
                .and("action", Sentence::new(format!("may-not-{}", action.name()))),
            Self::GiveRole(role) => Sentence::new("wrong-give-role").with("role", role.as_str()),
            Self::StandIn(role) => Sentence::new("wrong-stand-in").with("role", role.as_str()),
            Self::Disabled => Sentence::new("wrong-collector-disabled"),
        }
    }
}
