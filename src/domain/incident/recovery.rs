//! How tokens come back after an incident: canaries, then a share, then all.
//!
//! A canary is one call with one token, made to look; no two at once, a quarter of a minute apart, and ever later where they are
//! refused, up to five minutes. Three in a row that were served let a tenth of the tokens through; twenty of their calls, and a minute, let
//! all through. Where there is little traffic, ten minutes without a refusal stand for the twenty calls. A share that is refused more than
//! it is served goes back to canaries.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::TokenId;

/// The time between two canaries.
const CANARY_EVERY: Duration = Duration::from_secs(15);
/// The longest time between two canaries, after many refusals.
const CANARY_AT_LEAST_EVERY: Duration = Duration::from_secs(300);
/// Canaries in a row that must be served.
const CANARIES: u32 = 3;
/// Which part of the tokens makes the share: one of so many.
const SHARE: u128 = 10;
/// Calls of the share that must be served.
const SHARED_CALLS: u32 = 20;
/// How long the share is watched at least.
const SHARED_FOR: Duration = Duration::from_secs(60);
/// How long it is watched at most, where none of its calls is refused.
const QUIET_FOR: Duration = Duration::from_secs(600);
/// Canaries that were refused with a word that leaves no doubt, before what they say is believed of all.
const CONFIRMING: u32 = 3;

/// Who is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Single calls, to look.
    Canaries,
    /// A share of the tokens.
    Share,
    /// All: the incident is over.
    All,
}

impl Stage {
    /// All stages.
    pub const ALL: [Stage; 3] = [Stage::Canaries, Stage::Share, Stage::All];

    /// The name used in SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Canaries => "canaries",
            Stage::Share => "share",
            Stage::All => "all",
        }
    }

    /// The stage of that name.
    pub fn from_name(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.as_str() == name)
    }
}

/// The way back from an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Who is let through.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
    /// When the next canary may go.
    pub next_canary_at: Timestamp,
    /// Canaries that were served, in all stages together.
    pub served: u32,
    /// Canaries that were refused.
    pub refused: u32,
    /// Of these, with a word that leaves no doubt.
    pub final_refusals: u32,
    served_in_stage: u32,
    refused_in_stage: u32,
}

impl Recovery {
    /// At the beginning.
    pub fn begin(now: Timestamp) -> Self {
        Self::at(Stage::Canaries, now, now + CANARY_EVERY)
    }

    /// As it was kept: the stage begins anew.
    pub const fn at(stage: Stage, since: Timestamp, next_canary_at: Timestamp) -> Self {
        Self {
            stage,
            since,
            next_canary_at,
            served: 0,
            refused: 0,
            final_refusals: 0,
            served_in_stage: 0,
            refused_in_stage: 0,
        }
    }

    /// Whether a token that the incident concerns is let through, except as a canary.
    pub fn lets_through(&self, token: TokenId) -> bool {
        match self.stage {
            Stage::Canaries => false,
            // The end of an id is random.
            Stage::Share => token.as_u128().is_multiple_of(SHARE),
            Stage::All => true,
        }
    }

    /// Whether it is time for the next canary.
    pub fn is_time(&self, now: Timestamp) -> bool {
        self.stage != Stage::All && now >= self.next_canary_at
    }

    /// Takes the place of the next canary, if it is time for one.
    pub fn take_canary(&mut self, now: Timestamp) -> bool {
        let may = self.is_time(now);
        if may {
            self.next_canary_at = now + self.pause();
        }
        may
    }

    fn pause(&self) -> Duration {
        let doublings = if self.served_in_stage > 0 { 0 } else { self.refused_in_stage.min(8) };
        CANARY_EVERY.saturating_mul(1 << doublings).min(CANARY_AT_LEAST_EVERY)
    }

    /// A canary, or a call of the share, was served. Returns whether more are let through by it.
    pub fn serve(&mut self, now: Timestamp) -> bool {
        self.served = self.served.saturating_add(1);
        self.served_in_stage += 1;
        // Refusals made canaries rare; an answer says that the next is worth its while.
        self.next_canary_at = self.next_canary_at.min(now + CANARY_EVERY);
        let enough = match self.stage {
            Stage::Canaries => self.served_in_stage >= CANARIES,
            Stage::Share => self.served_in_stage >= SHARED_CALLS && now.since(self.since) >= SHARED_FOR,
            Stage::All => false,
        };
        enough && self.go_on(now)
    }

    /// Lets time pass. Returns whether more are let through by it.
    pub fn advance(&mut self, now: Timestamp) -> bool {
        let quiet = self.stage == Stage::Share && self.refused_in_stage == 0 && now.since(self.since) >= QUIET_FOR;
        quiet && self.go_on(now)
    }

    fn go_on(&mut self, now: Timestamp) -> bool {
        let next = if self.stage == Stage::Canaries { Stage::Share } else { Stage::All };
        self.enter(next, now);
        true
    }

    fn enter(&mut self, stage: Stage, now: Timestamp) {
        (self.stage, self.since) = (stage, now);
        (self.served_in_stage, self.refused_in_stage) = (0, 0);
    }

    /// One was refused. `is_final`: with a word that leaves no doubt. Returns whether fewer are let through by it.
    pub fn refuse(&mut self, is_final: bool, now: Timestamp) -> bool {
        self.refused = self.refused.saturating_add(1);
        self.final_refusals = self.final_refusals.saturating_add(u32::from(is_final));
        self.refused_in_stage += 1;
        match self.stage {
            Stage::Canaries => self.served_in_stage = 0,
            Stage::Share if self.refused_in_stage > self.served_in_stage => {
                self.enter(Stage::Canaries, now);
                return true;
            }
            Stage::Share | Stage::All => {}
        }
        false
    }

    /// Whether the network said often enough that the tokens are dead, and never served one.
    pub const fn is_confirmed(&self) -> bool {
        self.final_refusals >= CONFIRMING && self.final_refusals > self.served
    }
}
