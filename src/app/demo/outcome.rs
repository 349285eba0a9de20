//! The outcome as programs read it.

use std::time::Duration;

use serde::Serialize;

use crate::app::demo::judge::Use;

/// Everything that the demonstration came to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Where chance came from.
    pub seed: u64,
    /// How long it ran, by the machine's clock.
    pub duration_s: f64,
    /// How many times faster time ran in the networks.
    pub speed: u32,
    /// Calls that a network refused for a limit. 0 is the promise.
    pub throttled: u64,
    /// Credit granted or spent beyond what may be spent. 0 is the promise.
    pub over_grants: u64,
    /// Credit used divided by credit that could have been used while demand was waiting; `None` where none waited.
    pub utilisation: Option<f64>,
    /// Calls that the networks served.
    pub calls_ok: u64,
    /// The leases.
    pub leases: Leases,
    /// How the credit of each class was used while demand was waiting.
    pub networks: Vec<Use>,
    /// The loads at the end, of what was asked for.
    pub load: Vec<LoadLine>,
    /// The alerts, the oldest first.
    pub alerts: Vec<AlertLine>,
}

/// Counts and latencies of leases.
#[derive(Debug, Clone, Serialize)]
pub struct Leases {
    /// Leases that were opened.
    pub opened: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Half of the leases that did not wait for credit were there within so many milliseconds.
    pub p50_ms: f64,
    /// … and 99 of 100 within so many.
    pub p99_ms: f64,
}

/// A load.
#[derive(Debug, Clone, Serialize)]
pub struct LoadLine {
    /// The team.
    pub team: String,
    /// The network.
    pub network: String,
    /// The class.
    pub class: String,
    /// Demand divided by supply, over the span that holds the window of the limit; `None` where demand meets no supply.
    pub ratio: Option<f64>,
    /// `ok`, `high`, `critical` or `no_tokens`.
    pub level: &'static str,
}

/// An alert.
#[derive(Debug, Clone, Serialize)]
pub struct AlertLine {
    /// `token_load_too_high` or `no_access_tokens`.
    pub kind: &'static str,
    /// The team.
    pub team: String,
    /// The network.
    pub network: String,
    /// The worst level that it reached.
    pub level: &'static str,
    /// When it opened, by the networks' clock (RFC 3339).
    pub opened_at: String,
    /// When it cleared; `None`: it is open.
    pub cleared_at: Option<String>,
    /// What people read.
    pub message: String,
}

impl Outcome {
    /// Why the demonstration failed; `None`: every promise was kept.
    pub fn broken_promise(&self) -> Option<String> {
        let mut broken = Vec::new();
        if self.throttled > 0 {
            broken.push(format!("the networks refused {} calls for a limit", self.throttled));
        }
        if self.over_grants > 0 {
            broken.push(format!("{} units of credit were granted beyond what may be spent", self.over_grants));
        }
        if self.calls_ok == 0 {
            broken.push("no call was served".to_owned());
        }
        (!broken.is_empty()).then(|| broken.join("; "))
    }

    /// What the program says to its caller: 0 only if every promise was kept.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.broken_promise().is_some())
    }
}

/// Milliseconds with three decimals.
pub fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What came of a demonstration in which everything went well.
    pub fn outcome() -> Outcome {
        Outcome {
            seed: 1,
            duration_s: 75.0,
            speed: 60,
            throttled: 0,
            over_grants: 0,
            utilisation: Some(0.987),
            calls_ok: 12_345,
            leases: Leases { opened: 2000, refused: 30, p50_ms: 1.2, p99_ms: 8.8 },
            networks: vec![Use {
                network: "x",
                class: "search_recent",
                available: 1000,
                used: 987,
                utilisation: Some(0.987),
                throttled: 0,
            }],
            load: Vec::new(),
            alerts: vec![AlertLine {
                kind: "token_load_too_high",
                team: "acme".to_owned(),
                network: "x".to_owned(),
                level: "critical",
                opened_at: "2026-01-01T00:00:00Z".to_owned(),
                cleared_at: Some("2026-01-01T00:10:00Z".to_owned()),
                message: "2 more x tokens bring the load to 0.8.".to_owned(),
            }],
        }
    }

    #[test]
    fn only_kept_promises_are_a_success() {
        assert_eq!((outcome().broken_promise(), outcome().exit_code()), (None, 0));
        let throttled = Outcome { throttled: 3, ..outcome() };
        let over_granted = Outcome { over_grants: 2, ..outcome() };
        let idle = Outcome { calls_ok: 0, ..outcome() };
        for (broken, why) in [(throttled, "refused 3 calls"), (over_granted, "2 units"), (idle, "no call was served")] {
            assert_eq!(broken.exit_code(), 1);
            assert!(broken.broken_promise().is_some_and(|said| said.contains(why)), "{why}");
        }
    }
}
