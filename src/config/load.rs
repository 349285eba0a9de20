//! When a token load is too high.

use std::time::Duration;

use super::reader::{Reader, Section, default_of};

/// When a token load (demand / supply) is too high.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// The alert opens at this ratio. 0.1 to 10.
    pub open_at: f64,
    /// The ratio must hold for so long before the alert opens, and be low for so long before it clears. 0 s to 24 h.
    pub hold: Duration,
    /// The alert clears below this ratio, which is lower than `open_at`. 0.05 to 10.
    pub clear_at: f64,
    /// The ratio that the advice aims at. 0.05 to 10.
    pub target: f64,
}

impl Section for Load {
    fn read(from: &mut Reader<'_>) -> Self {
        Self {
            open_at: from.ratio("open_at", 0.9, 0.1..=10.0),
            hold: from.span("hold", Duration::from_secs(300), Duration::ZERO..=Duration::from_secs(86_400)),
            clear_at: from.ratio("clear_at", 0.8, 0.05..=10.0),
            target: from.ratio("target", 0.8, 0.05..=10.0),
        }
    }
}

impl Default for Load {
    fn default() -> Self {
        default_of()
    }
}
