//! What the store answered: a decision becomes one that may be acknowledged, or is undone.
//!
//! A decision may draw from blocks and rely on keys that an earlier one took and that are still on their way to the store. It may be
//! acknowledged only once the store has all of them.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{BlockId, LeaseId};
use crate::domain::credit::BlockTake;
use crate::domain::pool::buckets::BucketSlot;
use crate::domain::pool::top_up::TopUp;
use crate::domain::pool::{Held, HeldGrant, HeldKey, Pool};

impl Pool {
    /// The store has the lease and the blocks it took: it may be acknowledged. `false`: it must not be, since it was recalled or ended
    /// meanwhile, or a block that it draws from was not taken by the earlier decision that was to take it.
    pub fn confirm(&mut self, lease: LeaseId, takes: &[BlockTake]) -> bool {
        self.confirm_blocks(lease, takes);
        let Some(held) = self.leases.get(&lease) else { return false };
        confirm_keys(&mut self.buckets, &held.keys);
        let durable = self.draws_from_durable(held);
        match self.leases.get_mut(&lease) {
            Some(held) if !held.recalled && durable => {
                held.durable = true;
                true
            }
            _ => false,
        }
    }

    /// The store has the blocks of a top-up. `false`: the calls must not be acknowledged, as with [`Pool::confirm`].
    pub fn confirm_top_up(&mut self, lease: LeaseId, top_up: &TopUp) -> bool {
        self.confirm_blocks(lease, &top_up.takes);
        confirm_keys(&mut self.buckets, &top_up.held_keys);
        self.leases.contains_key(&lease) && self.is_top_up_durable(top_up)
    }

    /// Whether the store has everything that a top-up draws from: then it may be acknowledged at once.
    pub fn is_top_up_durable(&self, top_up: &TopUp) -> bool {
        let durable =
            |(bucket, block, _): &(u32, BlockId, u64)| self.buckets[*bucket as usize].bucket.is_durable(*block);
        top_up.drawn.iter().all(durable) && self.are_stored(&top_up.held_keys)
    }

    fn confirm_blocks(&mut self, lease: LeaseId, takes: &[BlockTake]) {
        let grants = self.leases.get(&lease).map_or(&[][..], |held| &held.grants);
        for take in takes {
            // The lease knows where its bucket stands; one that has ended since must be looked up by name.
            let granted = grants.iter().find(|grant| grant.block == take.block).map(|grant| grant.bucket);
            if let Some(at) = granted.or_else(|| self.by_bucket.get(&take.bucket).copied()) {
                self.buckets[at as usize].bucket.confirm(take.block);
            }
        }
    }

    /// Whether the store has every block that a lease holds credit of, and every key.
    fn draws_from_durable(&self, held: &Held) -> bool {
        let durable = |grant: &HeldGrant| self.buckets[grant.bucket as usize].bucket.is_durable(grant.block);
        held.grants.iter().all(durable) && self.are_stored(&held.keys)
    }

    fn are_stored(&self, keys: &[HeldKey]) -> bool {
        keys.iter().all(|held| self.buckets[held.bucket as usize].bucket.is_stored(&held.charge))
    }

    /// The store did not take the lease: its credit goes back. `refused`: blocks that other processes' blocks left no room for.
    pub fn cancel(&mut self, lease: LeaseId, takes: &[BlockTake], refused: bool, now: Timestamp) {
        let keys = self.leases.get_mut(&lease).map(|held| std::mem::take(&mut held.keys)).unwrap_or_default();
        self.close(lease, 0, now);
        self.undo(takes, &keys, refused, now);
    }

    pub(super) fn undo(&mut self, takes: &[BlockTake], keys: &[HeldKey], refused: bool, now: Timestamp) {
        for held in keys.iter().filter(|held| held.charge.is_new) {
            self.buckets[held.bucket as usize].bucket.keys().revert(&held.charge.key);
        }
        for take in takes {
            let Some(at) = self.by_bucket.get(&take.bucket).copied() else { continue };
            let bucket = &mut self.buckets[at as usize].bucket;
            if refused {
                bucket.refuse_until(take.block, now + Duration::from_secs(1));
            } else {
                bucket.forget(take.block);
            }
        }
    }
}

/// The store has what was opened of these keys.
fn confirm_keys(buckets: &mut [BucketSlot], keys: &[HeldKey]) {
    for held in keys.iter().filter(|held| held.charge.is_new) {
        buckets[held.bucket as usize].bucket.keys().confirm(&held.charge.key, held.charge.until);
    }
}
