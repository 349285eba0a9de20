//! Errors in the words of the text file: each tells the name of its sentence and what it is about, never the words themselves.
//!
//! What a program reads over gRPC is told by the errors themselves; this is what people read on pages.

use crate::base::clock::Timestamp;
use crate::service::{Forbidden, StoreError};
use crate::web::text::Value;

mod connect;
mod notices;
mod operators;
mod sign_in;
mod team;
mod tokens;

/// What is told in words of the text file.
pub trait InWords {
    /// Which sentence it is.
    fn in_words(&self) -> Sentence;
}

/// Sentence of the text file.
#[derive(Debug, Clone)]
pub struct Sentence {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub about: Vec<(&'static str, About)>,
}

/// A thing that a sentence is about.
#[derive(Debug, Clone)]
pub enum About {
    /// As it is.
    Value(Value),
    /// A time, which each reader reads in the own time zone.
    At(Timestamp),
    /// Something in words itself.
    Sentence(Sentence),
}

impl Sentence {
    /// The one of that name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), about: Vec::new() }
    }

    /// About a thing more.
    #[must_use]
    pub fn with(mut self, thing: &'static str, is: impl Into<Value>) -> Self {
        self.about.push((thing, About::Value(is.into())));
        self
    }

    /// About an id or a name more.
    #[must_use]
    pub fn named(self, thing: &'static str, is: impl ToString) -> Self {
        self.with(thing, is.to_string())
    }

    /// About a time more.
    #[must_use]
    pub fn at(mut self, thing: &'static str, is: Timestamp) -> Self {
        self.about.push((thing, About::At(is)));
        self
    }

    /// About something more that is in words itself.
    #[must_use]
    pub fn and(mut self, thing: &'static str, is: Sentence) -> Self {
        self.about.push((thing, About::Sentence(is)));
        self
    }
}

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
