//! How credit is granted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reader::{Reader, Section, default_of};
use super::units::Share;
use crate::base::ids::TeamId;

/// Which of the tokens that may serve is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The one with the most credit left in its tightest bucket.
    MostCredit,
    /// The one whose credit comes back first.
    SoonestReset,
    /// One after another.
    RoundRobin,
}

impl Choice {
    /// The words for it in the settings.
    pub(super) const WORDS: [(&'static str, Choice); 3] = [
        ("most_credit", Choice::MostCredit),
        ("soonest_reset", Choice::SoonestReset),
        ("round_robin", Choice::RoundRobin),
    ];
}

/// The largest share that may be kept back: at 100 % nothing could be granted.
pub(super) const MOST_RESERVE: Share = Share::percent(90);

/// How credit is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    /// The share of each limit that belongs to the person and is never spent. 0 % to 90 %.
    pub owner_reserve: Share,
    /// The same, for the tokens of one team.
    pub team_reserve: BTreeMap<TeamId, Share>,
    /// How long before a window's end its credit must have been used. 100 ms to 1 min.
    pub window_guard: Duration,
    /// Which token is taken, where a network does not say otherwise.
    pub choice: Choice,
    /// How long a lease lasts that does not ask for a time. 1 s to 24 h.
    pub lease_ttl: Duration,
    /// The longest that a lease may ask for. 1 s to 24 h.
    pub lease_ttl_max: Duration,
    /// Leases that may share one token at once. 1 to 10,000.
    pub token_concurrency: usize,
    /// Requests that may wait for credit, per pool. 0 to 1,000,000.
    pub queue: usize,
    /// The longest that a request may wait. 0 s to 10 min.
    pub wait_max: Duration,
}

impl Section for Credit {
    fn read(from: &mut Reader<'_>) -> Self {
        let second = Duration::from_secs(1);
        let day = second * 86_400;
        Self {
            owner_reserve: from.share("owner_reserve", Share::percent(10), Share::NONE..=MOST_RESERVE),
            team_reserve: from.shares_by_id("team_reserve", Share::NONE..=MOST_RESERVE),
            window_guard: from.span("window_guard", second * 2, Duration::from_millis(100)..=second * 60),
            choice: from.word("choice", Choice::MostCredit, &Choice::WORDS),
            lease_ttl: from.span("lease_ttl", second * 300, second..=day),
            lease_ttl_max: from.span("lease_ttl_max", second * 3600, second..=day),
            token_concurrency: from.count("token_concurrency", 16, 1..=10_000),
            queue: from.count("queue", 10_000, 0..=1_000_000),
            wait_max: from.span("wait_max", second * 60, Duration::ZERO..=second * 600),
        }
    }
}

impl Default for Credit {
    fn default() -> Self {
        default_of()
    }
}
