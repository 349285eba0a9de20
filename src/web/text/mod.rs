//! The words of all pages. They stand in one file for each language, by a name that says where they are used; pages and code hold names only.
//!
//! A file is in the format of Project Fluent, in which a translator says plurals and cases as the language has them. There is English so far:
//! another language is another file beside it, and a line here.

mod sentence;

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use jiff::tz::TimeZone;

use crate::base::clock::Timestamp;

pub use sentence::{About, InWords, Sentence};

type Bundle = FluentBundle<FluentResource>;

static ENGLISH: LazyLock<Bundle> = LazyLock::new(|| bundle("en", include_str!("en.ftl")));

fn bundle(language: &str, text: &str) -> Bundle {
    let resource = FluentResource::try_new(text.to_owned()).expect("a test reads every file");
    let mut bundle = Bundle::new_concurrent(vec![language.parse().expect("a test reads every file")]);
    // Pages isolate foreign text themselves, by elements.
    bundle.set_use_isolating(false);
    bundle.add_resource(resource).expect("no name is there twice: a test reads every file");
    bundle
}

/// What a message is told with.
pub type Value = FluentValue<'static>;

/// The words in one language.
#[derive(Clone, Copy)]
pub struct Text(&'static Bundle);

impl Text {
    /// In English, which is all there is.
    pub fn english() -> Self {
        Self(&ENGLISH)
    }

    /// The words of that name.
    pub fn say(self, name: &str) -> String {
        self.say_with(name, &[])
    }

    /// The words of that name, about one thing.
    pub fn say_of(self, name: &str, thing: &'static str, is: impl Into<Value>) -> String {
        self.say_with(name, &[(thing, is.into())])
    }

    /// The words of that name, with what they are about.
    pub fn say_with(self, name: &str, about: &[(&'static str, Value)]) -> String {
        let Some(pattern) = self.0.get_message(name).and_then(|message| message.value()) else {
            tracing::error!(name, "a page has words that no file holds");
            return name.to_owned();
        };
        let args: FluentArgs<'_> = about.iter().cloned().collect();
        let mut errors = Vec::new();
        let said = self.0.format_pattern(pattern, Some(&args), &mut errors).into_owned();
        if !errors.is_empty() {
            tracing::error!(name, ?errors, "words of a page lack what they are about");
        }
        said
    }

    /// A sentence, with its times as they are in `zone`.
    pub fn tell(self, sentence: &Sentence, zone: &TimeZone) -> String {
        let value = |about: &About| match about {
            About::Value(value) => value.clone(),
            About::At(at) => time_in(*at, zone).into(),
            About::Sentence(part) => self.tell(part, zone).into(),
            About::Each(parts) => {
                parts.iter().map(|part| self.tell(part, zone)).collect::<Vec<_>>().join(&self.say("between")).into()
            }
        };
        let about: Vec<_> = sentence.about.iter().map(|(thing, about)| (*thing, value(about))).collect();
        self.say_with(&sentence.name, &about)
    }

    /// What an error says to somebody whose time zone is not known.
    pub fn tell_of(self, error: &dyn InWords) -> String {
        self.tell(&error.in_words(), &TimeZone::UTC)
    }

    /// Whether there are words of that name.
    pub fn has(self, name: &str) -> bool {
        self.0.has_message(name)
    }
}

/// A time as people read it in that zone.
pub fn time_in(at: Timestamp, zone: &TimeZone) -> String {
    let text = jiff::Timestamp::from_microsecond(at.micros()).map(|at| at.to_zoned(zone.clone()));
    text.map(|at| at.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
