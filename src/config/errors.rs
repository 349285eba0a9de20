//! What is wrong with the settings, and where.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where a setting was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A line of the file, from 1.
    File {
        /// The file, as it was named.
        name: Arc<str>,
        /// The line.
        line: usize,
    },
    /// A variable of the environment.
    Env(Arc<str>),
    /// A flag.
    Flag,
    /// Nowhere: the default holds.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { name, line: 0 } => f.write_str(name),
            Origin::File { name, line } => write!(f, "{name}:{line}"),
            Origin::Env(name) => f.write_str(name),
            Origin::Flag => f.write_str("flag"),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong. It never repeats the value, which may be a secret in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where it stands.
    pub origin: Origin,
    /// The setting (`grpc.listen`); empty where the text is no TOML.
    pub field: String,
    /// What is wrong; what to do.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => write!(f, "{}: {}", self.origin, self.problem),
            field => write!(f, "{}: {field}: {}", self.origin, self.problem),
        }
    }
}

/// Everything that is wrong: one line each, in the order of the file, under a line that counts them. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<Mistake>);

impl ConfigErrors {
    /// The mistakes.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.0
    }

    pub(super) fn unreadable(name: &str, error: &std::io::Error) -> Self {
        let origin = Origin::File { name: name.into(), line: 0 };
        let problem = format!("cannot be read ({error}); check --config and the file's owner");
        Self(vec![Mistake { origin, field: String::new(), problem }])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = &self.0[..] {
            return write!(f, "{only}");
        }
        write!(f, "the configuration has {} mistakes:", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// What was found while reading: the mistakes, and each setting that was asked for.
#[derive(Debug, Default)]
pub(super) struct Survey {
    mistakes: Vec<Mistake>,
    asked: BTreeMap<String, Asked>,
}

/// A setting that the broker knows.
#[derive(Debug)]
pub(super) struct Asked {
    /// Where its value stands.
    pub origin: Origin,
    /// What it may be (`1s to 1m`).
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the test of the example compares it with what the example says")
    )]
    pub expects: String,
}

impl Survey {
    pub(super) fn is_clean(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Every setting that was asked for.
    #[cfg(test)]
    pub(super) fn asked(&self) -> &BTreeMap<String, Asked> {
        &self.asked
    }

    pub(super) fn note(&mut self, field: &str, origin: Origin, expects: &str) {
        self.asked.insert(field.to_owned(), Asked { origin, expects: expects.to_owned() });
    }

    pub(super) fn wrong_at(&mut self, origin: Origin, field: &str, problem: impl Into<String>) {
        self.mistakes.push(Mistake { origin, field: field.to_owned(), problem: problem.into() });
    }

    /// A mistake in a setting that was read already.
    pub(super) fn wrong(&mut self, field: &str, problem: impl Into<String>) {
        let origin = self.asked.get(field).map_or(Origin::Default, |asked| asked.origin.clone());
        self.wrong_at(origin, field, problem);
    }

    /// A mistake in a setting that may not have been written at all: it is shown where its section stands.
    pub(super) fn wrong_near(&mut self, field: &str, problem: impl Into<String>) {
        let section = field.rsplit_once('.').map_or("", |(section, _)| section);
        let written = |prefix: &str| {
            let inside = self.asked.range(prefix.to_owned()..).take_while(|(name, _)| name.starts_with(prefix));
            inside.map(|(_, asked)| &asked.origin).filter(|origin| **origin != Origin::Default).min().cloned()
        };
        let origin = written(field).or_else(|| written(section)).unwrap_or(Origin::Default);
        self.wrong_at(origin, field, problem);
    }

    /// The settings, unless something is wrong. What else is wrong on a line that is no TOML is left out.
    pub(super) fn into_result<T>(mut self, config: T) -> Result<T, ConfigErrors> {
        if self.mistakes.is_empty() {
            return Ok(config);
        }
        let broken: Vec<Origin> = self
            .mistakes
            .iter()
            .filter(|mistake| mistake.field.is_empty())
            .map(|mistake| mistake.origin.clone())
            .collect();
        self.mistakes.retain(|mistake| mistake.field.is_empty() || !broken.contains(&mistake.origin));
        self.mistakes.sort();
        Err(ConfigErrors(self.mistakes))
    }
}
