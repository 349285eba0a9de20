//! How tokens are kept alive.

use super::reader::{Reader, Section, default_of};

/// How tokens are kept alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewals {
    /// Whether tokens are renewed by themselves. Renewing by hand works either way, one or all of a network.
    pub enabled: bool,
    /// Requests to one network's token endpoint that may be under way at once. 1 to 256.
    pub in_flight: usize,
    /// Requests for one app in a second. 1 to 1000.
    pub per_second: usize,
    /// Requests to one network's token endpoint in a second, over all apps. 1 to 10,000.
    pub network_per_second: usize,
}

impl Section for Renewals {
    fn read(from: &mut Reader<'_>) -> Self {
        Self {
            enabled: from.switch("enabled", true),
            in_flight: from.count("in_flight", 8, 1..=256),
            per_second: from.count("per_second", 10, 1..=1000),
            network_per_second: from.count("network_per_second", 50, 1..=10_000),
        }
    }
}

impl Default for Renewals {
    fn default() -> Self {
        default_of()
    }
}
