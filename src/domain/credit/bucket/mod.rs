//! One rate-limit account as the network keeps it, and what of it may still be granted.
//!
//! Invariant: the credit of all blocks that are still charged, plus what the network counted beyond our own calls, never exceeds
//! the limit less the owner's reserve. A block is charged until no call made with it can be counted any more:
//!
//! * where the window's end is sure, until that end (no grant of it may be used so late);
//! * else for the window's length after the last moment at which its credit was, or could have been, used. What is reported as used
//!   comes back on its own, that long after the report: nothing waits for the slowest lease of the block.
//!
//! The end of a window of the network's own phase is sure for the calls whose answer named it. A network may reset its count before
//! the time, and calls made after that count in a window that nobody has heard of: what was not reported, or without such an answer,
//! is charged for the window's length, unless a window that began later is proven before.
//!
//! Only the newest block has free credit. What is free or comes back in an older one is given back to the bucket.

mod charge;
mod grant;
mod observe;
mod restore;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::BlockId;
use crate::domain::credit::block::{BlockUpdate, BucketKey};
use crate::domain::credit::cooling::Cooling;
use crate::domain::credit::keys::{KeyCharge, OpenKeys};
use crate::domain::credit::window::span;
use crate::domain::networks::{Amount, LimitRule, Phase, Window};

pub use charge::Settlement;
pub use grant::{Grant, Shortage, Wishes};
pub use observe::{Observed, Reported};

/// A bucket in memory.
#[derive(Debug)]
pub struct Bucket {
    key: BucketKey,
    rule: Arc<LimitRule>,
    limit: u64,
    reserve_percent: u8,
    /// The limit was reported by the network, where the catalogue knows none.
    learned: bool,
    window_ends_at: Option<Timestamp>,
    /// The end of the window that was known before; [`Timestamp::EPOCH`] if there was none.
    last_end: Timestamp,
    network_used: u64,
    network_used_until: Timestamp,
    /// Until then a lower count may come from an older answer than the present one.
    network_used_holds_until: Timestamp,
    /// Until then a part of what is charged may never have been used: nobody reported it.
    assumes_until: Timestamp,
    refused_until: Timestamp,
    /// Whether the bucket is closed, since the network said no.
    pub cooling: Cooling,
    keys: OpenKeys,
    blocks: VecDeque<Block>,
    /// The first end of a block's charge; [`Timestamp::NEVER`] without blocks.
    first_end: Timestamp,
    /// What was used where the window's end is not known, by the time at which it comes back.
    past: VecDeque<Past>,
    charged: u64,
    free: u64,
    outstanding: u64,
    wasted: u64,
    /// The most by which what was granted ever exceeded what could be spent at that moment.
    over_granted: u64,
}

#[derive(Debug)]
struct Block {
    id: BlockId,
    /// What is free, held, or was used without being among the past.
    amount: u64,
    free: u64,
    outstanding: u64,
    /// What was used, or may have been, without an answer that named the window's end.
    unproven: u64,
    /// What was used and comes back on its own.
    past: u64,
    last_use: Timestamp,
    charged_until: Timestamp,
    grant_until: Timestamp,
    /// The store has it. Until then nothing drawn from it may be acknowledged.
    durable: bool,
    /// Blocks that are one with it here, and still apart in the store.
    joined: Vec<BlockId>,
}

/// Credit of one block that was used, and when it comes back.
#[derive(Debug)]
struct Past {
    block: BlockId,
    units: u64,
    /// When the first and the last of it was used, at the latest.
    since: Timestamp,
    used_at: Timestamp,
    until: Timestamp,
}

impl Bucket {
    /// A bucket of which nothing is charged.
    pub fn new(key: BucketKey, rule: Arc<LimitRule>, limit: u64, reserve_percent: u8) -> Self {
        Self {
            key,
            rule,
            limit,
            reserve_percent: reserve_percent.min(100),
            learned: false,
            window_ends_at: None,
            last_end: Timestamp::EPOCH,
            network_used: 0,
            network_used_until: Timestamp::EPOCH,
            network_used_holds_until: Timestamp::EPOCH,
            assumes_until: Timestamp::EPOCH,
            refused_until: Timestamp::EPOCH,
            cooling: Cooling::default(),
            keys: OpenKeys::default(),
            blocks: VecDeque::new(),
            first_end: Timestamp::NEVER,
            past: VecDeque::new(),
            charged: 0,
            free: 0,
            outstanding: 0,
            wasted: 0,
            over_granted: 0,
        }
    }

    /// Its name.
    pub fn key(&self) -> &BucketKey {
        &self.key
    }

    /// Its rule in the catalogue.
    pub fn rule(&self) -> &LimitRule {
        &self.rule
    }

    /// The limit believed now.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether the network itself told the limit.
    pub fn has_learned(&self) -> bool {
        self.learned
    }

    /// What may be spent of the limit in one window: the limit less the owner's reserve. The reserve is rounded down, so that a limit
    /// of a few calls stays usable.
    pub fn cap(&self) -> u64 {
        after_reserve(self.limit, self.reserve_percent)
    }

    /// The most by which what was granted ever exceeded what could be spent at that moment: 0, or a mistake of the broker.
    pub fn over_granted(&self) -> u64 {
        self.over_granted
    }

    /// What leases have reported, or failed to report, as used and is still charged.
    pub fn spent(&self) -> u64 {
        self.charged - self.free - self.outstanding
    }

    /// What leases hold and have not reported yet.
    pub fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// What was taken in blocks and neither granted nor given back while it could still be used, since the bucket was made.
    pub fn wasted(&self) -> u64 {
        self.wasted
    }

    /// What may still be granted: the worse of our count and the network's, less what leases still hold.
    pub fn left(&self) -> u64 {
        if matches!(self.rule.window, Window::Distinct { .. }) {
            return self.cap().saturating_sub(self.keys.len());
        }
        self.cap().saturating_sub(self.spent().max(self.network_used) + self.outstanding)
    }

    /// The end of the present window, where it is known.
    pub fn window_ends_at(&self) -> Option<Timestamp> {
        self.window_ends_at
    }

    /// From when on nothing is granted until the present window is over, where its end is known.
    pub fn closes_at(&self, guard: Duration) -> Option<Timestamp> {
        self.window_ends_at.filter(|end| *end != Timestamp::NEVER).map(|end| end - guard)
    }

    /// When, after `now`, something is charged no more, so that a waiting request may try again.
    pub fn next_change(&self, now: Timestamp, guard: Duration) -> Option<Timestamp> {
        let blocks = if self.first_end > now {
            Some(self.first_end).filter(|end| *end != Timestamp::NEVER)
        } else {
            self.blocks.iter().map(|block| block.charged_until).filter(|end| *end > now).min()
        };
        let past = self.past.front().map(|past| past.until);
        let window = self.window_ends_at.map(|end| end + guard);
        let network = (self.network_used > 0).then_some(self.network_used_until);
        let cooling = self.cooling.next_change(now);
        let ends = [blocks, past, window, network, cooling, self.keys.next_end()];
        ends.into_iter().flatten().filter(|end| *end > now).min()
    }

    /// Changes what is known of the limit: facts of the owner, or the reserve. Blocks already taken stay as they are.
    pub fn set_limit(&mut self, limit: u64, reserve_percent: u8) {
        if !self.learned {
            self.limit = limit;
        }
        self.reserve_percent = reserve_percent.min(100);
    }

    /// Whether a window may end before the time that the network told.
    fn may_reset(&self) -> bool {
        matches!(self.rule.window, Window::Fixed { phase: Phase::Network, .. })
    }

    /// The keys that are open, in a bucket of different keys.
    pub fn keys(&mut self) -> &mut OpenKeys {
        &mut self.keys
    }

    /// Whether the store has what a key is charged for. One that was seen in use needs no more than it has.
    pub fn is_stored(&self, charge: &KeyCharge) -> bool {
        self.keys.is_stored(&charge.key, charge.until)
    }

    /// Opens keys for use until `use_by`. Returns until when each is charged now, and whether the store has to be told.
    pub fn open_keys(&mut self, keys: &[String], now: Timestamp, use_by: Timestamp) -> Vec<KeyCharge> {
        let charges = self.keys.open(keys, now, use_by, span(&self.rule.window, self.limit));
        self.over_granted = self.over_granted.max(self.keys.len().saturating_sub(self.cap()));
        charges
    }

    /// Whether the limit is an assumption: not published as a number, and no fact or header told it.
    pub fn is_guess(&self) -> bool {
        match &self.rule.amount {
            Amount::Number(_) => false,
            Amount::Unknown { start } | Amount::Formula { start, .. } => self.learned || self.limit == *start,
        }
    }
}

/// What of a limit may be spent if so many percent of it belong to the owner. The reserve is rounded down.
pub fn after_reserve(limit: u64, reserve_percent: u8) -> u64 {
    let percent = u64::from(reserve_percent.min(100));
    let reserve = match limit.checked_mul(percent) {
        Some(hundredfold) => hundredfold / 100,
        None => limit / 100 * percent,
    };
    limit - reserve
}

impl Block {
    /// Whether all that was granted of it was used in the window that was known then, or came back.
    fn is_proven(&self) -> bool {
        self.outstanding == 0 && self.unproven == 0
    }

    fn update(&self) -> BlockUpdate {
        BlockUpdate { block: self.id, amount: self.amount + self.past, charged_until: self.charged_until }
    }
}
