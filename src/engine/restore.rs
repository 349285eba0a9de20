//! Taking up where an earlier run of the process ended.
//!
//! What that run had taken and not given back counts as spent until it can't be counted by the network any more. Leases it had
//! opened stay with their holders.

use std::sync::Arc;

use crate::base::ids::{NetworkId, TeamId};
use crate::domain::lease::Lease;
use crate::domain::token::Token;
use crate::engine::cell::Cell;
use crate::engine::{Engine, LeasePlace};
use crate::store::StoreError;

/// Tokens read at once.
const CHUNK: u32 = 5_000;

/// What was taken up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Tokens.
    pub tokens: usize,
    /// Tokens whose row could not be read; they are left out.
    pub damaged: usize,
    /// Blocks that still count as spent.
    pub blocks: usize,
    /// Leases that are still held.
    pub leases: usize,
}

impl Engine {
    /// Reads everything that the store knows. `team_reserve` tells a team's own reserve.
    pub async fn restore(&self, team_reserve: impl Fn(&TeamId) -> Option<u8>) -> Result<Restored, StoreError> {
        let mut restored = Restored::default();
        let mut after = None;
        loop {
            let chunk = self.0.store.all_tokens(after, CHUNK).await?;
            restored.damaged += chunk.damaged.len();
            for token in chunk.tokens {
                restored.tokens += 1;
                let reserve = team_reserve(&token.token.team);
                self.restore_token(&token.token, reserve, token.sealed_access);
            }
            match chunk.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        self.restore_credit(&mut restored).await?;
        let now = self.now();
        for lease in self.0.store.open_leases(now).await? {
            restored.leases += usize::from(self.restore_lease(&lease));
        }
        Ok(restored)
    }

    fn restore_token(&self, token: &Token, reserve: Option<u8>, sealed: Vec<u8>) {
        let Some(cell) = self.0.cells.get(&token.network) else {
            tracing::warn!(token = %token.id, network = %token.network, "a token of a network that the catalogue lacks stays unused");
            return;
        };
        if let Err(error) = cell.lock().pool.put_token(token, reserve, sealed, self.now()) {
            tracing::warn!(token = %token.id, %error, "a token stays unused");
        }
    }

    async fn restore_credit(&self, restored: &mut Restored) -> Result<(), StoreError> {
        let now = self.now();
        for block in self.0.store.live_blocks(now).await? {
            let Some(cell) = self.cell_of(&block.bucket) else { continue };
            let mut state = cell.lock();
            if state.pool.restore_block(&block.bucket, block.id, block.amount, block.charged_until, now) {
                restored.blocks += 1;
            }
        }
        for key in self.0.store.live_keys(now).await? {
            let Some(cell) = self.cell_of(&key.bucket) else { continue };
            cell.lock().pool.restore_key(&key.bucket, key.key, key.charged_until, now);
        }
        for note in self.0.store.notes().await? {
            let Some(cell) = self.cell_of(&note.bucket) else { continue };
            cell.lock().pool.restore_note(&note, now);
        }
        Ok(())
    }

    fn restore_lease(&self, lease: &Lease) -> bool {
        let Some(cell) = self.0.cells.get(&lease.network) else { return false };
        if !cell.lock().pool.restore_lease(lease) {
            return false;
        }
        if let Some(collector) = lease.collector {
            *self.0.held.entry(collector).or_default() += 1;
        }
        let place = LeasePlace { cell: cell.clone(), collector: lease.collector, team: lease.team.clone() };
        self.0.leases.insert(lease.id, place);
        true
    }
}

impl Engine {
    /// The pool of the network that a bucket's name begins with.
    fn cell_of(&self, bucket: &str) -> Option<&Arc<Cell>> {
        let network: NetworkId = bucket.split('/').next()?.parse().ok()?;
        self.0.cells.get(&network)
    }
}
