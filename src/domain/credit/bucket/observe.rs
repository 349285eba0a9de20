//! What the network says of a bucket: the worse of two counts wins, and only a later end proves a new window.

use crate::base::clock::Timestamp;
use crate::domain::credit::block::BlockUpdate;
use crate::domain::credit::bucket::Bucket;
use crate::domain::credit::window::{Timing, span};
use crate::domain::networks::{Amount, Phase, Window};

/// What a report of the network revealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Observed {
    /// Credit that somebody else spent of this account: the network counted more than all we ever granted.
    pub foreign: u64,
    /// The reading proved a window that was not known.
    pub new_window: bool,
}

/// What the network said of a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reported {
    /// The limit.
    pub limit: Option<u64>,
    /// What is used of it.
    pub used: Option<u64>,
    /// The end of the window.
    pub resets_at: Option<Timestamp>,
}

impl Bucket {
    /// Takes in what the network said. The worst case wins: the network's count replaces ours where it is higher, and a lower one
    /// never does, until a new window is proven.
    pub fn observe(
        &mut self,
        now: Timestamp,
        reported: Reported,
        timing: Timing,
        updates: &mut Vec<BlockUpdate>,
    ) -> Observed {
        let new_window = reported.resets_at.is_some_and(|end| self.adopt_window(now, end, timing, updates));
        if let Some(limit) = reported.limit.filter(|limit| *limit > 0) {
            self.learn_limit(limit, new_window);
        }
        let Some(used) = reported.used else { return Observed { foreign: 0, new_window } };
        let believed = self.spent() + self.outstanding;
        let foreign_before = self.network_used.saturating_sub(believed);
        match self.window_ends_at {
            Some(end) => {
                self.network_used = self.network_used.max(used);
                self.network_used_until = end + timing.guard;
            }
            None if used >= self.network_used || self.network_used_holds_until <= now => {
                let span = span(&self.rule.window, self.limit);
                self.network_used = used;
                self.network_used_until = now + span;
                self.network_used_holds_until = now + span.min(timing.longest_use);
            }
            None => {}
        }
        let foreign = used.saturating_sub(believed).saturating_sub(foreign_before);
        Observed { foreign, new_window }
    }

    /// A published limit is lowered at once and raised only with a new window; one that is not published is what the network said last.
    fn learn_limit(&mut self, limit: u64, new_window: bool) {
        let published = matches!(self.rule.amount, Amount::Number(_));
        if !published || limit < self.limit || new_window {
            self.limit = limit;
            self.learned = !published;
        }
    }

    /// Whether this is the end of the present window, as the network tells it.
    pub fn is_present(&self, end: Timestamp, timing: Timing) -> bool {
        let known = self.window_ends_at.filter(|_| self.may_reset());
        known.is_some_and(|known| end <= known + timing.guard && known <= end + timing.guard)
    }

    /// Adopts a window end that the network reported, where the network sets the phase. Returns whether this proved a window that
    /// was not known.
    ///
    /// Only a later end proves a new window: an earlier one may come from an answer that was given in the window before.
    fn adopt_window(&mut self, now: Timestamp, end: Timestamp, timing: Timing, updates: &mut Vec<BlockUpdate>) -> bool {
        let Window::Fixed { length, phase: Phase::Network } = self.rule.window else {
            return false;
        };
        if end <= now || end > now + length + timing.guard {
            return false;
        }
        if let Some(known) = self.window_ends_at {
            if end <= known + timing.guard {
                return false;
            }
            self.network_used = 0;
            self.last_end = known;
        }
        self.retire(timing, updates);
        self.window_ends_at = Some(end);
        let begin = end - length;
        let last_end = self.last_end;
        // No credit of a window whose end was known is used in its last moments.
        let is_over = |last_use: Timestamp| {
            last_use + timing.guard < begin || (last_use + timing.guard <= last_end && last_end <= begin + timing.guard)
        };
        for block in &mut self.blocks {
            let charged_until = match () {
                () if is_over(block.last_use) => now,
                () if block.is_proven() => end + timing.guard,
                () => (block.last_use + length).max(end + timing.guard),
            };
            if charged_until != block.charged_until {
                block.charged_until = charged_until;
                updates.push(block.update());
                let joined = block.joined.iter();
                updates.extend(joined.map(|joined| BlockUpdate { block: *joined, ..block.update() }));
            }
        }
        for past in &mut self.past {
            past.until = if is_over(past.used_at) { now } else { end + timing.guard };
        }
        self.past.make_contiguous().sort_by_key(|past| past.until);
        self.drop_past(now, updates);
        self.find_first_end();
        self.drop_charges(now);
        true
    }
}
