//! Charges: how long credit counts, and what comes back.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::BlockId;
use crate::domain::credit::block::BlockUpdate;
use crate::domain::credit::bucket::{Block, Bucket, Past};
use crate::domain::credit::window::{Timing, span, window_end};

/// What was used of one block within this part of the window's length comes back in one step.
const STEPS_PER_SPAN: u32 = 240;

/// What became of credit that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// The block it came from.
    pub block: BlockId,
    /// Units that were used, or may have been.
    pub used: u64,
    /// Units that come back.
    pub unused: u64,
    /// The answer to the last of the calls named the present window ([`Bucket::is_present`]).
    pub proven: bool,
}

impl Bucket {
    /// Drops what is over at `now`: charges, the window, the network's count.
    pub fn advance(&mut self, now: Timestamp, timing: Timing, wishes: &mut Vec<BlockUpdate>) {
        if let Some(block) = self.blocks.back().filter(|block| block.free > 0 && block.grant_until <= now) {
            if self.window_ends_at.is_some_and(|end| end <= now) {
                self.wasted += block.free;
            }
            self.retire(timing, wishes);
        }
        if let Some(end) = self.window_ends_at.filter(|end| *end + timing.guard <= now) {
            self.last_end = end;
            self.window_ends_at = None;
            self.network_used = 0;
        }
        if self.network_used_until <= now {
            self.network_used = 0;
        }
        if self.window_ends_at.is_none() {
            self.window_ends_at = window_end(&self.rule.window, now);
        }
        self.drop_past(now, wishes);
        self.drop_charges(now);
        self.keys.advance(now);
    }

    /// Puts the books right after a report.
    ///
    /// A block that is charged no more is left alone: a late report never touches a later window.
    pub fn settle(&mut self, settled: Settlement, now: Timestamp, timing: Timing, updates: &mut Vec<BlockUpdate>) {
        let known = self.window_ends_at.is_some();
        let may_reset = self.may_reset();
        let Some(at) = self.blocks.iter().rposition(|held| held.id == settled.block) else { return };
        let is_newest = at + 1 == self.blocks.len();
        let held = &mut self.blocks[at];
        let used = settled.used.min(held.outstanding);
        let unused = settled.unused.min(held.outstanding - used);
        held.outstanding -= used + unused;
        self.outstanding -= used + unused;
        let used_at = held.last_use.min(now);
        if !known {
            held.amount -= used;
            held.past += used;
            let span = span(&self.rule.window, self.limit);
            let until = (used_at + span).min(held.charged_until);
            self.note_past(Past { block: settled.block, units: used, since: used_at, used_at, until }, span);
        } else if may_reset && !settled.proven {
            held.unproven += used;
        }
        let held = &mut self.blocks[at];
        let comes_back = unused > 0 && !(is_newest && held.grant_until > now);
        if comes_back {
            held.amount -= unused;
            self.charged -= unused;
        } else {
            held.free += unused;
            self.free += unused;
        }
        if held.outstanding == 0 {
            held.last_use = held.last_use.min(now);
        }
        let ends_sooner = held.free == 0 && held.outstanding == 0 && (!known || may_reset);
        if comes_back || ends_sooner || (held.amount == 0 && held.past == 0) {
            self.lower(at, timing, updates);
        }
    }

    /// Notes that some of what counts as used was not reported, and may not have been used.
    pub fn assume(&mut self, now: Timestamp) {
        let end = self.window_ends_at.filter(|_| !self.may_reset());
        let until = end.unwrap_or(now + span(&self.rule.window, self.limit));
        self.assumes_until = self.assumes_until.max(until);
    }

    /// Whether all that counts as used was reported.
    pub fn is_exact(&self, now: Timestamp) -> bool {
        self.assumes_until <= now
    }

    /// Gives every free unit back, for an orderly stop.
    pub fn give_back(&mut self, timing: Timing, updates: &mut Vec<BlockUpdate>) {
        self.retire(timing, updates);
    }

    /// Gives the newest block's free credit back to the bucket.
    pub(super) fn retire(&mut self, timing: Timing, updates: &mut Vec<BlockUpdate>) {
        let Some(block) = self.blocks.back_mut().filter(|block| block.free > 0) else { return };
        self.charged -= block.free;
        self.free -= block.free;
        block.amount -= block.free;
        block.free = 0;
        self.lower(self.blocks.len() - 1, timing, updates);
    }

    /// Notes that a block is charged less, or not so long; forgets it if nothing of it is charged.
    fn lower(&mut self, at: usize, timing: Timing, updates: &mut Vec<BlockUpdate>) {
        let end = self.charge_end(&self.blocks[at], timing);
        let block = &mut self.blocks[at];
        block.charged_until = end;
        self.first_end = self.first_end.min(end);
        updates.push(block.update());
        if block.amount == 0 && block.past == 0 {
            self.blocks.remove(at);
            self.find_first_end();
        }
    }

    /// Until when a block is charged of which nothing more is granted, as far as is known now; never later than before.
    fn charge_end(&self, block: &Block, timing: Timing) -> Timestamp {
        let span = span(&self.rule.window, self.limit);
        let end = match self.window_ends_at {
            Some(_) if !self.may_reset() => block.charged_until,
            Some(end) if block.is_proven() => end + timing.guard,
            Some(_) => block.last_use + span,
            None if block.outstanding == 0 => block.last_use + span,
            None => block.charged_until,
        };
        end.min(block.charged_until)
    }

    fn note_past(&mut self, new: Past, span: Duration) {
        if new.units == 0 {
            return;
        }
        if let Some(last) = self.past.back_mut()
            && last.block == new.block
            && last.until <= new.until
            && new.used_at.since(last.since) <= span / STEPS_PER_SPAN
        {
            *last = Past { units: last.units + new.units, since: last.since, ..new };
            return;
        }
        let at = self.past.iter().rposition(|past| past.until <= new.until).map_or(0, |before| before + 1);
        self.past.insert(at, new);
    }

    /// What was used long enough ago comes back.
    pub(super) fn drop_past(&mut self, now: Timestamp, updates: &mut Vec<BlockUpdate>) {
        while let Some(past) = self.past.pop_front_if(|past| past.until <= now) {
            self.charged -= past.units;
            let Some(block) = self.blocks.iter_mut().find(|block| block.id == past.block) else { continue };
            block.past -= past.units;
            if block.charged_until > now {
                updates.push(block.update());
            }
        }
    }

    pub(super) fn drop_charges(&mut self, now: Timestamp) {
        if self.first_end > now {
            return;
        }
        let (charged, free, outstanding) = (&mut self.charged, &mut self.free, &mut self.outstanding);
        self.blocks.retain(|block| {
            let over = block.charged_until <= now;
            if over {
                *charged -= block.amount;
                *free -= block.free;
                *outstanding -= block.outstanding;
            }
            !over
        });
        self.find_first_end();
    }

    pub(super) fn find_first_end(&mut self) {
        self.first_end = self.blocks.iter().map(|block| block.charged_until).min().unwrap_or(Timestamp::NEVER);
    }
}
