//! Spans in TOML: `"15min"`, `"24h"`, `"60d"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A span that may be absent.
pub mod optional {
    use super::*;

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Option::<String>::deserialize(from)?
            .map(|text| humantime::parse_duration(&text).map_err(serde::de::Error::custom))
            .transpose()
    }
}
