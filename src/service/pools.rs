//! What operators see of the live pools: what their books hold, bucket by bucket, and who waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::ids::{NetworkId, TeamId, TokenId};
use crate::domain::networks::{Network, Purpose};
use crate::domain::pool::{BucketView, ClassBooks, Pool, PoolCounts};
use crate::engine::WaitingView;
use crate::service::networks::NetworkError;
use crate::service::{Broker, Caller, Forbidden};

/// Buckets that are looked at under one lock.
const PIECE: usize = 5_000;

/// The pool of one network.
#[derive(Debug, Clone)]
pub struct PoolView {
    /// The network.
    pub network: Arc<Network>,
    /// What it holds.
    pub counts: PoolCounts,
    /// Requests that wait.
    pub waiting: usize,
}

/// Why a pool is not shown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PoolError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such network.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl Broker {
    /// Whether a token of a team can serve `purpose` by an operation of a network, which is named by its place in the catalogue's entry.
    pub fn has_token_for(&self, team: &TeamId, network: &NetworkId, operation: usize, purpose: Purpose) -> bool {
        let now = self.now();
        self.engine.look(network, |pool| pool.serves(team, operation, purpose, now)).unwrap_or_default()
    }

    /// The pools of all networks, for an operator.
    pub fn list_pools(&self, caller: &Caller) -> Result<Vec<PoolView>, PoolError> {
        caller.must_be_operator()?;
        Ok(self.engine.networks().into_iter().map(|network| self.pool_of(network)).collect())
    }

    /// The pool of one network, with what the books of each class hold together, by the class's place in the catalogue. Looks at every
    /// bucket: call it where blocking is allowed.
    pub fn show_books(
        &self,
        caller: &Caller,
        network: &NetworkId,
    ) -> Result<(PoolView, BTreeMap<usize, ClassBooks>), PoolError> {
        caller.must_be_operator()?;
        let pool = self.pool_of(self.network(network)?);
        let (mut sums, now) = (BTreeMap::new(), self.now());
        for from in (0..pool.counts.buckets).step_by(PIECE) {
            self.engine.look(network, |pool| pool.sum_buckets(from..from + PIECE, now, &mut sums));
        }
        Ok((pool, sums))
    }

    /// At most `limit` buckets of a network from the `from`-th on, in the order in which they were drawn from first.
    pub fn list_buckets(
        &self,
        caller: &Caller,
        network: &NetworkId,
        from: usize,
        limit: usize,
    ) -> Result<Vec<BucketView>, PoolError> {
        caller.must_be_operator()?;
        let network = self.network(network)?;
        let range = from..from.saturating_add(limit);
        Ok(self.engine.look(&network.id, |pool| pool.buckets(range)).unwrap_or_default())
    }

    /// The buckets that the calls of one token draw from; empty: the network's pool has no such token.
    pub fn list_buckets_of(
        &self,
        caller: &Caller,
        network: &NetworkId,
        token: TokenId,
    ) -> Result<Vec<BucketView>, PoolError> {
        caller.must_be_operator()?;
        let network = self.network(network)?;
        Ok(self.engine.look(&network.id, |pool| pool.token_buckets(token)).unwrap_or_default())
    }

    /// At most `limit` requests that wait for a network's credit, the longest waiting first.
    pub fn list_waiting(
        &self,
        caller: &Caller,
        network: &NetworkId,
        limit: usize,
    ) -> Result<Vec<WaitingView>, PoolError> {
        caller.must_be_operator()?;
        Ok(self.engine.list_waiting(&self.network(network)?.id, limit))
    }

    fn pool_of(&self, network: Arc<Network>) -> PoolView {
        let counts = self.engine.look(&network.id, Pool::counts).unwrap_or_default();
        PoolView { waiting: self.engine.waiting(&network.id), counts, network }
    }
}
