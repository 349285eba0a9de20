//! All words that people read in pages and notices. They stand in one folder for each language, by a name that says where they are used;
//! pages and code hold names only.
//!
//! A file is in the format of Project Fluent, in which a translator says plurals and cases as the language has them. There is English so far:
//! another language is another folder beside it, and a line here.

mod sentence;

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use jiff::Zoned;
use jiff::tz::TimeZone;

use crate::base::clock::Timestamp;

pub use sentence::{About, InWords, Sentence};

type Bundle = FluentBundle<FluentResource>;

static ENGLISH: LazyLock<Bundle> =
    LazyLock::new(|| bundle("en", [include_str!("en/pages.ftl"), include_str!("en/notices.ftl")]));

fn bundle(language: &str, texts: [&str; 2]) -> Bundle {
    let mut bundle = Bundle::new_concurrent(vec![language.parse().expect("a test reads every file")]);
    // Pages isolate foreign text themselves, by elements; notices have it neutral.
    bundle.set_use_isolating(false);
    for text in texts {
        let resource = FluentResource::try_new(text.to_owned()).expect("a test reads every file");
        bundle.add_resource(resource).expect("no name is there twice: a test reads every file");
    }
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

    /// The words of that name. Of a message in several parts the name of one is `message.part`; its head is the message's own name.
    pub fn say(self, name: &str) -> String {
        self.say_with(name, &[])
    }

    /// The words of that name, about one thing.
    pub fn say_of(self, name: &str, thing: &'static str, is: impl Into<Value>) -> String {
        self.say_with(name, &[(thing, is.into())])
    }

    /// The words of that name, with what they are about.
    pub fn say_with(self, name: &str, about: &[(&'static str, Value)]) -> String {
        let pattern = match name.split_once('.') {
            None => self.0.get_message(name).and_then(|message| message.value()),
            Some((message, part)) => {
                let message = self.0.get_message(message);
                message.and_then(|message| message.get_attribute(part)).map(|part| part.value())
            }
        };
        let Some(pattern) = pattern else {
            tracing::error!(name, "words are asked for that no file holds");
            return name.to_owned();
        };
        let args: FluentArgs<'_> = about.iter().cloned().collect();
        let mut errors = Vec::new();
        let said = self.0.format_pattern(pattern, Some(&args), &mut errors).into_owned();
        if !errors.is_empty() {
            tracing::error!(name, ?errors, "words lack what they are about");
        }
        said
    }

    /// A sentence, with its times as they are in `zone`.
    pub fn tell(self, sentence: &Sentence, zone: &TimeZone) -> String {
        self.say_with(&sentence.name, &self.values(sentence, zone))
    }

    /// A message in several parts: its head, and each of `parts`. Its times are as they are in `zone`.
    pub fn tell_parts<const PARTS: usize>(
        self,
        sentence: &Sentence,
        parts: [&str; PARTS],
        zone: &TimeZone,
    ) -> (String, [String; PARTS]) {
        let about = self.values(sentence, zone);
        let head = self.say_with(&sentence.name, &about);
        (head, parts.map(|part| self.say_with(&format!("{}.{part}", sentence.name), &about)))
    }

    fn values(self, sentence: &Sentence, zone: &TimeZone) -> Vec<(&'static str, Value)> {
        let joined = |parts: &[Sentence], between: &str| {
            parts.iter().map(|part| self.tell(part, zone)).collect::<Vec<_>>().join(&self.say(between)).into()
        };
        let value = |about: &About| match about {
            About::Value(value) => value.clone(),
            About::At(at) => time_in(*at, zone).into(),
            About::InFull(at) => self.time_in_full(*at, zone).into(),
            About::Sentence(part) => self.tell(part, zone).into(),
            About::Each(parts) => joined(parts, "between"),
            About::Sentences(parts) => joined(parts, "between-sentences"),
        };
        sentence.about.iter().map(|(thing, about)| (*thing, value(about))).collect()
    }

    /// A time with its weekday, month and zone in words.
    fn time_in_full(self, at: Timestamp, zone: &TimeZone) -> String {
        let Some(at) = zoned(at, zone) else { return at.to_string() };
        let about = [
            ("weekday", self.say(&format!("weekday-{}", at.weekday().to_monday_one_offset())).into()),
            ("day", i64::from(at.day()).into()),
            ("month", self.say(&format!("month-{}", at.month())).into()),
            ("year", at.year().to_string().into()),
            ("time", at.strftime("%H:%M").to_string().into()),
            ("zone", at.strftime("%Z").to_string().into()),
        ];
        self.say_with("time-in-full", &about)
    }

    /// What an error says to somebody whose time zone is not known.
    pub fn tell_of(self, error: &dyn InWords) -> String {
        self.tell(&error.in_words(), &TimeZone::UTC)
    }

    /// Whether there are words of that name.
    pub fn has(self, name: &str) -> bool {
        match name.split_once('.') {
            None => self.0.has_message(name),
            Some((message, part)) => {
                self.0.get_message(message).is_some_and(|message| message.get_attribute(part).is_some())
            }
        }
    }
}

/// A time as people read it in that zone.
pub fn time_in(at: Timestamp, zone: &TimeZone) -> String {
    zoned(at, zone).map(|at| at.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default()
}

fn zoned(at: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    Some(jiff::Timestamp::from_microsecond(at.micros()).ok()?.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests;
