//! More credit for a lease that is held.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{BlockId, LeaseId};
use crate::domain::credit::{BlockTake, OpenedKey, Settlement, Shortage, Wishes};
use crate::domain::pool::cooling::Passage;
use crate::domain::pool::draw::Wanted;
use crate::domain::pool::{Draw, HeldGrant, HeldKey, Pool};

/// More credit for a lease that is held; it may be acknowledged once the store took the blocks, at once if there are none.
#[derive(Debug)]
pub struct TopUp {
    /// Calls granted.
    pub calls: u64,
    /// Until when the lease's credit may be used.
    pub use_by: Timestamp,
    /// Blocks that the store must take first.
    pub takes: Vec<BlockTake>,
    /// Keys that were opened.
    pub keys: Vec<OpenedKey>,
    /// The keys that the calls rely on.
    pub(super) held_keys: Vec<HeldKey>,
    /// What the calls draw: bucket, block and units.
    pub(super) drawn: Vec<(u32, BlockId, u64)>,
}

/// Why a top-up is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopUpFate {
    /// The store did not take its blocks and keys.
    Lost,
    /// The store refused its blocks: other processes' blocks left no room.
    Refused,
    /// The store took them, but not those of an earlier decision that it relies on too.
    Taken,
}

impl Pool {
    /// Grants a lease more calls on its token: all of `calls`, or none until the time in the error. `keys` are the different keys
    /// that these calls will ask for.
    ///
    /// Credit that the lease still holds from an earlier block keeps its own end, and all that the lease holds must be used by the
    /// earliest end: calls are not told apart.
    pub fn top_up(&mut self, now: Timestamp, lease: LeaseId, calls: u64, keys: &[String]) -> Result<TopUp, Timestamp> {
        let soon = now + Duration::from_secs(1);
        let Some(held) = self.leases.get(&lease).filter(|held| !held.recalled) else { return Err(soon) };
        if held.calls_left > 0 && held.use_by <= now {
            return Err(soon);
        }
        if let Some(until) = self.held_back(lease, held, now) {
            return Err(until);
        }
        let (slot, operation, expires_at, restored) =
            (held.slot, held.operation as usize, held.expires_at, held.restored);
        // The calls that the lease holds already may be made longer now: their keys are needed as long.
        let keys: Vec<String> = held.keys.iter().map(|held| &held.charge.key).chain(keys).cloned().collect();
        let token = &self.slots[slot as usize];
        if !token.is_usable(now) {
            return Err(soon);
        }
        let Some(draws) = self.draws[operation][token.kind as usize].clone() else { return Err(soon) };
        if restored && draws.iter().any(|draw| draw.distinct) {
            // Which keys it was opened for is not known any more.
            return Err(soon);
        }
        let probe = match self.find_passage(slot, operation, &draws, now) {
            Passage::Closed { until, .. } => return Err(until),
            passage => passage == Passage::Probe,
        };
        let calls = if probe { 1 } else { calls };
        let longest = (now + self.settings.timing.longest_use).min(expires_at);
        let wanted = Wanted { calls, at_least: calls, keys: &keys, probe };
        let fitted = self.fit(now, slot, &draws, &wanted, longest);
        let (fitting, use_by) = fitted.map_err(|(_, shortage)| match shortage {
            Shortage::Until(until) => until,
            Shortage::Never { .. } => soon,
        })?;
        if fitting < calls {
            return Err(soon);
        }
        let (wishes, held_keys, drawn) = self.draw_more(now, slot, lease, &draws, &wanted, use_by);
        let keys = self.new_keys(&held_keys);
        let use_by = self.hold_more(lease, calls, use_by, &held_keys);
        if probe {
            self.begin_probe(lease, slot, &draws, use_by, now);
        }
        Ok(TopUp { calls, use_by, takes: wishes.takes, keys, held_keys, drawn })
    }

    fn draw_more(
        &mut self,
        now: Timestamp,
        slot: u32,
        lease: LeaseId,
        draws: &Arc<[Draw]>,
        wanted: &Wanted<'_>,
        use_by: Timestamp,
    ) -> (Wishes, Vec<HeldKey>, Vec<(u32, BlockId, u64)>) {
        let mut drawn = Vec::with_capacity(draws.len());
        let mut wishes = Wishes::default();
        let mut keys = Vec::new();
        for draw in draws.iter() {
            let bucket = self.bucket_of(slot, draw.rule);
            if draw.distinct {
                self.open_keys(bucket, now, use_by, wanted.keys, &mut keys);
                continue;
            }
            let units = wanted.calls * draw.units;
            let granted =
                self.buckets[bucket as usize].bucket.grant(now, units, use_by, self.settings.timing, &mut wishes);
            let Ok(grant) = granted else { break };
            drawn.push((bucket, grant.block, units));
            self.hold(lease, HeldGrant { bucket, block: grant.block, per_call: draw.units, units, use_by });
            if !wishes.takes.is_empty() {
                self.schedule(bucket, now);
            }
        }
        self.updates.append(&mut wishes.updates);
        (wishes, keys, drawn)
    }

    /// Counts granted calls, and returns until when all that the lease holds may be used.
    fn hold_more(&mut self, lease: LeaseId, calls: u64, use_by: Timestamp, keys: &[HeldKey]) -> Timestamp {
        let Some(held) = self.leases.get_mut(&lease) else { return use_by };
        held.keys.retain(|old| !keys.iter().any(|new| new.charge.key == old.charge.key));
        held.keys.extend_from_slice(keys);
        let earliest = held.earliest_use_by().unwrap_or(use_by);
        let keeps_its_end = held.restored && held.calls_left > 0;
        held.use_by = if keeps_its_end { held.use_by.min(earliest) } else { earliest };
        held.calls_left += calls;
        held.calls_granted += calls;
        held.use_by
    }

    /// The store did not take what a top-up needs, or an earlier decision that it relies on: the lease loses these calls again.
    pub fn cancel_top_up(&mut self, lease: LeaseId, top_up: &TopUp, fate: TopUpFate, now: Timestamp) {
        self.end_probe(lease, now);
        if let Some(held) = self.leases.get_mut(&lease) {
            held.calls_left = held.calls_left.saturating_sub(top_up.calls);
            held.calls_granted = held.calls_granted.saturating_sub(top_up.calls);
            let slot = held.slot;
            for (bucket, block, units) in &top_up.drawn {
                let of_block = |grant: &&mut HeldGrant| grant.bucket == *bucket && grant.block == *block;
                let Some(grant) = held.grants.iter_mut().find(of_block) else { continue };
                let returned = grant.units.min(*units);
                grant.units -= returned;
                let settled = Settlement { block: *block, used: 0, unused: returned, proven: false };
                let timing = self.settings.timing;
                self.buckets[*bucket as usize].bucket.settle(settled, now, timing, &mut self.updates);
            }
            held.grants.retain(|grant| grant.units > 0);
            self.rescore_slot(slot, now);
        }
        if fate != TopUpFate::Taken {
            self.undo(&top_up.takes, &top_up.held_keys, fate == TopUpFate::Refused, now);
        }
    }

    fn hold(&mut self, lease: LeaseId, grant: HeldGrant) {
        let Some(held) = self.leases.get_mut(&lease) else { return };
        let same = |other: &&mut HeldGrant| other.bucket == grant.bucket && other.block == grant.block;
        match held.grants.iter_mut().find(same) {
            // The credit of one block is charged long enough for the latest of its uses.
            Some(other) => {
                other.units += grant.units;
                other.use_by = other.use_by.max(grant.use_by);
            }
            None => held.grants.push(grant),
        }
    }
}
