//! What outlives the process, and taking it up again.

use crate::base::clock::Timestamp;
use crate::base::ids::BlockId;
use crate::domain::credit::block::BucketNote;
use crate::domain::credit::bucket::{Block, Bucket};
use crate::domain::credit::window::span;

impl Bucket {
    /// What must outlive the process.
    pub fn note(&self) -> BucketNote {
        BucketNote {
            bucket: self.key.clone(),
            cooling_until: self.cooling.until(),
            learned_limit: self.learned.then_some(self.limit),
            window_ends_at: self.window_ends_at.filter(|end| *end != Timestamp::NEVER),
        }
    }

    /// Counts a block of an earlier run of the process as spent as long as the store charges it. Leases of that run may use it until
    /// `last_use`.
    pub fn restore(&mut self, block: BlockId, amount: u64, charged_until: Timestamp, last_use: Timestamp) {
        self.assumes_until = self.assumes_until.max(charged_until);
        // Where a window may be reset, a block is charged for its length after the last use.
        let latest = if self.may_reset() { charged_until - span(&self.rule.window, self.limit) } else { charged_until };
        self.blocks.push_front(Block {
            id: block,
            amount,
            free: 0,
            outstanding: 0,
            unproven: amount,
            past: 0,
            last_use: last_use.min(latest),
            charged_until,
            grant_until: Timestamp::EPOCH,
            durable: true,
            joined: Vec::new(),
        });
        self.first_end = self.first_end.min(charged_until);
        self.charged += amount;
    }

    /// Takes up what an earlier run noted.
    pub fn restore_note(&mut self, note: &BucketNote, now: Timestamp) {
        if let Some(until) = note.cooling_until {
            self.cooling.close(now, until);
        }
        if let Some(limit) = note.learned_limit {
            self.limit = limit;
            self.learned = true;
        }
        self.last_end = note.window_ends_at.unwrap_or(self.last_end);
        self.window_ends_at = note.window_ends_at.filter(|end| *end > now);
    }
}
