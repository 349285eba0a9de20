//! A sentence by its name and what it is about: so code can tell something without a word of any language.

use super::Value;
use crate::base::clock::Timestamp;

/// What is told in words of the text files.
pub trait InWords {
    /// Which sentence it is.
    fn in_words(&self) -> Sentence;
}

/// Sentence of the text files.
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
    /// Such a time in full, with its weekday and its zone.
    InFull(Timestamp),
    /// Something in words itself.
    Sentence(Sentence),
    /// Several things in words themselves, one after the other.
    Each(Vec<Sentence>),
    /// Whole sentences, one after the other.
    Sentences(Vec<Sentence>),
}

impl InWords for Sentence {
    fn in_words(&self) -> Sentence {
        self.clone()
    }
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

    /// About a time more that is told in full.
    #[must_use]
    pub fn in_full(mut self, thing: &'static str, is: Timestamp) -> Self {
        self.about.push((thing, About::InFull(is)));
        self
    }

    /// About several things more that are in words themselves.
    #[must_use]
    pub fn each(mut self, things: &'static str, are: impl Iterator<Item = Sentence>) -> Self {
        self.about.push((things, About::Each(are.collect())));
        self
    }

    /// About whole sentences more.
    #[must_use]
    pub fn sentences(mut self, thing: &'static str, are: impl IntoIterator<Item = Sentence>) -> Self {
        self.about.push((thing, About::Sentences(are.into_iter().collect())));
        self
    }

    /// About something more that is in words itself.
    #[must_use]
    pub fn and(mut self, thing: &'static str, is: Sentence) -> Self {
        self.about.push((thing, About::Sentence(is)));
        self
    }
}
