//! How tokens are checked.

use std::time::Duration;

use super::reader::{Reader, Section, default_of};

/// How tokens are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probes {
    /// Whether tokens are checked by themselves. Checking one by hand works either way.
    pub enabled: bool,
    /// A token that was not used for so long is checked. 1 hour to 1 day.
    pub every: Duration,
    /// Checks at one network that may be under way at once. 1 to 64.
    pub in_flight: usize,
}

impl Section for Probes {
    fn read(from: &mut Reader<'_>) -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            enabled: from.switch("enabled", true),
            every: from.span("every", HOUR * 24, HOUR..=HOUR * 24),
            in_flight: from.count("in_flight", 4, 1..=64),
        }
    }
}

impl Default for Probes {
    fn default() -> Self {
        default_of()
    }
}
