//! The log.

use tracing_subscriber::EnvFilter;

use super::reader::{Reader, Section, default_of};

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The log. It goes to the standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How a line is written.
    pub format: LogFormat,
    /// What is logged: a level, or a level per module (`info,token_broker::engine=debug`).
    pub filter: String,
}

/// A text that the log's filter accepts.
struct Filter(String);

impl std::str::FromStr for Filter {
    type Err = tracing_subscriber::filter::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        EnvFilter::try_new(text).map(|_| Self(text.to_owned()))
    }
}

impl Section for Log {
    fn read(from: &mut Reader<'_>) -> Self {
        let filter = from.parsed(
            "filter",
            Filter("info".to_owned()),
            "a level (error, warn, info, debug, trace) or module=level pairs",
        );
        Self {
            format: from.word("format", LogFormat::Text, &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
            filter: filter.0,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        default_of()
    }
}
