//! Drawing credit: from every bucket that an operation touches, in one step, or from none.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::domain::credit::{Bucket, OpenedKey, Shortage, Wishes};
use crate::domain::networks::Window;
use crate::domain::pool::ask::{AcquireRequest, Acquired};
use crate::domain::pool::{Draw, HeldGrant, HeldKey, Pool};

/// As many leases can hold a part of a paced limit at once, if they ask for no more.
const PACED_SHARES: u64 = 3;

/// What must fit into every bucket.
pub(super) struct Wanted<'a> {
    pub(super) calls: u64,
    pub(super) at_least: u64,
    pub(super) keys: &'a [String],
    /// One call decides whether the token works again.
    pub(super) probe: bool,
}

impl Pool {
    /// Draws from every bucket, or from none.
    pub(super) fn draw(
        &mut self,
        now: Timestamp,
        slot: u32,
        draws: &Arc<[Draw]>,
        request: &AcquireRequest,
        probe: bool,
    ) -> Result<Acquired, (u16, Shortage)> {
        let longest = now + request.ttl.min(self.settings.timing.longest_use);
        let wanted = Wanted { calls: request.calls, at_least: request.min_calls, keys: &request.keys, probe };
        let (calls, use_by) = self.fit(now, slot, draws, &wanted, longest)?;
        let mut wishes = Wishes::default();
        let mut keys = Vec::new();
        let mut grants = Vec::with_capacity(draws.len());
        for draw in draws.iter() {
            let bucket = self.bucket_of(slot, draw.rule);
            if draw.distinct {
                self.open_keys(bucket, now, use_by, &request.keys, &mut keys);
                continue;
            }
            let units = calls * draw.units;
            let granted =
                self.buckets[bucket as usize].bucket.grant(now, units, use_by, self.settings.timing, &mut wishes);
            let grant = granted.expect("every bucket was checked under the same lock");
            grants.push(HeldGrant { bucket, block: grant.block, per_call: draw.units, units, use_by });
            self.schedule(bucket, now);
        }
        self.updates.append(&mut wishes.updates);
        let acquired = self.open(now, slot, request, calls, use_by, grants, wishes.takes, keys);
        if probe {
            self.begin_probe(request.lease, slot, draws, use_by, now);
        }
        Ok(acquired)
    }

    /// How many calls fit into every bucket, and until when they can be used. Changes no credit.
    pub(super) fn fit(
        &mut self,
        now: Timestamp,
        slot: u32,
        draws: &Arc<[Draw]>,
        wanted: &Wanted<'_>,
        longest: Timestamp,
    ) -> Result<(u64, Timestamp), (u16, Shortage)> {
        let timing = self.settings.timing;
        let mut calls = if wanted.probe { 1 } else { wanted.calls };
        for draw in draws.iter() {
            let bucket = self.bucket_of(slot, draw.rule);
            let bucket = &mut self.buckets[bucket as usize].bucket;
            bucket.advance(now, timing, &mut self.updates);
            if draw.distinct {
                continue;
            }
            let most = most_at_once(bucket, wanted.at_least * draw.units);
            let fitting = bucket.left().min(most) / draw.units.max(1);
            if fitting < calls && fitting >= wanted.at_least {
                calls = fitting;
            }
        }
        let mut use_by = longest;
        for draw in draws.iter() {
            let bucket = self.bucket_of(slot, draw.rule);
            let bucket = &mut self.buckets[bucket as usize].bucket;
            let units = if draw.distinct { bucket.keys().missing(wanted.keys) } else { calls * draw.units };
            match bucket.check(now, units, use_by, timing) {
                Ok(end) => use_by = end,
                Err(shortage) => {
                    self.await_change(slot, draws, now);
                    return Err((draw.rule, per_call(shortage, draw.units)));
                }
            }
        }
        Ok((calls, use_by))
    }

    /// Nothing was granted, but time has passed for the buckets: a window that was found here must be left when it ends.
    fn await_change(&mut self, slot: u32, draws: &[Draw], now: Timestamp) {
        for draw in draws {
            let bucket = self.bucket_of(slot, draw.rule);
            self.schedule(bucket, now);
        }
    }

    pub(super) fn open_keys(
        &mut self,
        bucket: u32,
        now: Timestamp,
        use_by: Timestamp,
        keys: &[String],
        held: &mut Vec<HeldKey>,
    ) {
        let charges = self.buckets[bucket as usize].bucket.open_keys(keys, now, use_by);
        held.extend(charges.into_iter().map(|charge| HeldKey { bucket, charge }));
        self.schedule(bucket, now);
    }

    /// The keys that the store does not know as charged so long.
    pub(super) fn new_keys(&self, keys: &[HeldKey]) -> Vec<OpenedKey> {
        let opened = |held: &HeldKey| OpenedKey {
            bucket: self.buckets[held.bucket as usize].bucket.key().clone(),
            key: held.charge.key.clone(),
            charged_until: held.charge.until,
        };
        keys.iter().filter(|held| held.charge.is_new).map(opened).collect()
    }
}

/// The most units that one lease gets at once. Of a paced limit only a part: what a slow worker holds, no other can use, and all of it
/// comes back within moments.
fn most_at_once(bucket: &Bucket, at_least: u64) -> u64 {
    match bucket.rule().window {
        Window::Paced { .. } => (bucket.cap() / PACED_SHARES).max(at_least).max(1),
        _ => u64::MAX,
    }
}

fn per_call(shortage: Shortage, units: u64) -> Shortage {
    match shortage {
        Shortage::Never { most } => Shortage::Never { most: most / units.max(1) },
        until => until,
    }
}
