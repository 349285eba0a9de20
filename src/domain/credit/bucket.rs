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

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::BlockId;
use crate::domain::credit::block::{BlockTake, BlockUpdate, BucketKey, BucketNote};
use crate::domain::credit::cooling::Cooling;
use crate::domain::credit::keys::{KeyCharge, OpenKeys};
use crate::domain::credit::window::{Timing, span, window_end};
use crate::domain::networks::{Amount, LimitRule, Phase, Window};

/// A block is this part of the bucket's limit, unless a single request needs more.
const BLOCKS_PER_LIMIT: u64 = 32;
/// What was used of one block within this part of the window's length comes back in one step.
const STEPS_PER_SPAN: u32 = 240;

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

    /// What was used long enough ago comes back.
    fn drop_past(&mut self, now: Timestamp, updates: &mut Vec<BlockUpdate>) {
        while let Some(past) = self.past.pop_front_if(|past| past.until <= now) {
            self.charged -= past.units;
            let Some(block) = self.blocks.iter_mut().find(|block| block.id == past.block) else { continue };
            block.past -= past.units;
            if block.charged_until > now {
                updates.push(block.update());
            }
        }
    }

    fn drop_charges(&mut self, now: Timestamp) {
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

    fn find_first_end(&mut self) {
        self.first_end = self.blocks.iter().map(|block| block.charged_until).min().unwrap_or(Timestamp::NEVER);
    }

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

    /// Whether a window may end before the time that the network told.
    fn may_reset(&self) -> bool {
        matches!(self.rule.window, Window::Fixed { phase: Phase::Network, .. })
    }

    /// Whether this is the end of the present window, as the network tells it.
    pub fn is_present(&self, end: Timestamp, timing: Timing) -> bool {
        let known = self.window_ends_at.filter(|_| self.may_reset());
        known.is_some_and(|known| end <= known + timing.guard && known <= end + timing.guard)
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

    /// Gives the newest block's free credit back to the bucket.
    fn retire(&mut self, timing: Timing, updates: &mut Vec<BlockUpdate>) {
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

    /// What must outlive the process.
    pub fn note(&self) -> BucketNote {
        BucketNote {
            bucket: self.key.clone(),
            cooling_until: self.cooling.until(),
            learned_limit: self.learned.then_some(self.limit),
            window_ends_at: self.window_ends_at.filter(|end| *end != Timestamp::NEVER),
        }
    }

    /// Gives every free unit back, for an orderly stop.
    pub fn give_back(&mut self, timing: Timing, updates: &mut Vec<BlockUpdate>) {
        self.retire(timing, updates);
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
