//! Granting: out of the newest block, or a new one if it has too little.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::BlockId;
use crate::domain::credit::block::{BlockTake, BlockUpdate};
use crate::domain::credit::bucket::{Block, Bucket};
use crate::domain::credit::window::{Timing, span};
use crate::domain::networks::Window;

/// A block is this part of the bucket's limit, unless a single request needs more.
const BLOCKS_PER_LIMIT: u64 = 32;

/// Credit of one block that was given to a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The block it came from.
    pub block: BlockId,
    /// Units of the bucket.
    pub units: u64,
    /// Until when it may be used.
    pub use_by: Timestamp,
}

/// What granting asks of the store before it may be acknowledged.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Blocks to take.
    pub takes: Vec<BlockTake>,
    /// Blocks of which more is known now.
    pub updates: Vec<BlockUpdate>,
}

/// Why a bucket grants nothing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Credit comes back at this time, or may.
    Until(Timestamp),
    /// The bucket never holds as much.
    Never {
        /// The most it ever holds.
        most: u64,
    },
}

impl Bucket {
    /// Grants `units`, to be used until `use_by` or, if it ends before, shortly before the end of the window.
    pub fn grant(
        &mut self,
        now: Timestamp,
        units: u64,
        use_by: Timestamp,
        timing: Timing,
        wishes: &mut Wishes,
    ) -> Result<Grant, Shortage> {
        self.advance(now, timing, &mut wishes.updates);
        let use_by = self.check(now, units, use_by, timing)?;
        if self.blocks.back().is_none_or(|block| block.free < units) {
            self.take(now, units, timing, wishes);
        }
        let block = self.blocks.back_mut().expect("a block with enough free credit was just found or taken");
        block.free -= units;
        block.outstanding += units;
        block.last_use = block.last_use.max(use_by);
        let grant = Grant { block: block.id, units, use_by };
        self.free -= units;
        self.outstanding += units;
        self.over_granted = self.over_granted.max((self.spent() + self.outstanding).saturating_sub(self.cap()));
        Ok(grant)
    }

    /// Whether `units` could be granted now, and until when they could be used, if the bucket is not closed. Changes nothing.
    pub fn check(&self, now: Timestamp, units: u64, use_by: Timestamp, timing: Timing) -> Result<Timestamp, Shortage> {
        if units > self.cap() {
            return Err(Shortage::Never { most: self.cap() });
        }
        let use_by = match self.window_ends_at {
            Some(end) if end != Timestamp::NEVER => {
                let last = end - timing.guard;
                if last <= now {
                    return Err(Shortage::Until(end + timing.guard));
                }
                use_by.min(last)
            }
            _ => use_by,
        };
        let free = self.blocks.back().map_or(0, |block| block.free);
        if self.left() < units || (self.refused_until > now && free < units) {
            let soonest = now + Duration::from_millis(50);
            let back = self
                .next_change(now, timing.guard)
                .filter(|end| *end != Timestamp::NEVER)
                .unwrap_or(now + Duration::from_secs(60));
            return Err(Shortage::Until(back.max(soonest)));
        }
        Ok(use_by)
    }

    fn take(&mut self, now: Timestamp, units: u64, timing: Timing, wishes: &mut Wishes) {
        self.retire(timing, &mut wishes.updates);
        self.join_spent();
        let room = self.cap().saturating_sub(self.charged.max(self.network_used + self.outstanding));
        // What a crash leaves of a block is lost until the window ends: of a budget, which never ends, ever less is risked.
        let of = if self.rule.window == Window::Budget { room } else { self.limit };
        let amount = (of / BLOCKS_PER_LIMIT).max(units).min(room.max(units));
        let id = BlockId::in_sequence();
        let (grant_until, charged_until) = match self.window_ends_at {
            Some(end) if self.may_reset() => {
                let span = span(&self.rule.window, self.limit);
                (end, (end - timing.guard + span).max(end + timing.guard))
            }
            Some(end) => (end, end + timing.guard),
            None => {
                let span = span(&self.rule.window, self.limit);
                let grant_until = now + (span / 8).min(Duration::from_secs(300)).max(Duration::from_secs(1));
                (grant_until, grant_until + timing.longest_use + span)
            }
        };
        self.blocks.push_back(Block {
            id,
            amount,
            free: amount,
            outstanding: 0,
            unproven: 0,
            past: 0,
            last_use: now,
            charged_until,
            grant_until,
            durable: false,
            joined: Vec::new(),
        });
        self.first_end = self.first_end.min(charged_until);
        self.charged += amount;
        self.free += amount;
        let cap = self.cap();
        wishes.takes.push(BlockTake { bucket: self.key.clone(), block: id, amount, cap, charged_until });
    }

    /// The two newest blocks become one if both are used up and end together: there are few blocks, however many leases there were.
    fn join_spent(&mut self) {
        let spent = |block: &Block| block.durable && block.free == 0 && block.is_proven() && block.past == 0;
        let Some(at) = self.blocks.len().checked_sub(2) else { return };
        let (older, newer) = (&self.blocks[at], &self.blocks[at + 1]);
        if !spent(older) || !spent(newer) || older.charged_until != newer.charged_until {
            return;
        }
        if let Some(newer) = self.blocks.pop_back() {
            let older = &mut self.blocks[at];
            older.amount += newer.amount;
            older.last_use = older.last_use.max(newer.last_use);
            older.joined.push(newer.id);
            older.joined.extend(newer.joined);
        }
    }

    /// The store refused a block, since other processes hold the credit: it is asked again after `until`.
    pub fn refuse_until(&mut self, block: BlockId, until: Timestamp) {
        self.forget(block);
        self.refused_until = self.refused_until.max(until);
    }

    /// The store has taken a block.
    pub fn confirm(&mut self, block: BlockId) {
        if let Some(held) = self.blocks.iter_mut().rev().find(|held| held.id == block) {
            held.durable = true;
        }
    }

    /// Whether a block is here and the store has it.
    pub fn is_durable(&self, block: BlockId) -> bool {
        self.blocks.iter().rev().any(|held| held.id == block && held.durable)
    }

    /// Forgets a block that the store did not take.
    pub fn forget(&mut self, block: BlockId) {
        if let Some(at) = self.blocks.iter().position(|held| held.id == block)
            && let Some(held) = self.blocks.remove(at)
        {
            self.charged -= held.amount;
            self.free -= held.free;
            self.outstanding -= held.outstanding;
            self.find_first_end();
        }
    }
}
