//! One network's pool with those that wait for it, behind one lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;

use crate::base::clock::Timestamp;
use crate::domain::load::{DemandMeter, MeterSize};
use crate::domain::networks::Network;
use crate::domain::pool::Pool;
use crate::domain::queue::Queue;
use crate::engine::ask::{Acquire, AcquireError, Leased, WaitingView};
use crate::store::{CloseLease, UsageRow};

/// A network's pool.
pub struct Cell {
    pub network: Arc<Network>,
    state: Mutex<State>,
}

/// What the lock of a network guards.
pub struct State {
    pub pool: Pool,
    pub queue: Queue,
    pub waiting: HashMap<u64, Waiting>,
    pub next_waiter: u64,
    pub meter: DemandMeter,
    /// Leases that ended and are not yet written.
    pub closed: Vec<CloseLease>,
    /// What leases were used for and the ledger could not take.
    pub usage: Vec<UsageRow>,
    /// Requests that found no usable token since the last look, per team and class.
    pub without_token: HashMap<(crate::base::ids::TeamId, usize), crate::domain::pool::NoToken>,
}

/// A request that waits.
pub struct Waiting {
    pub request: Acquire,
    /// When it was asked, as its demand is charged.
    pub asked_at: Timestamp,
    pub reply: oneshot::Sender<Result<Leased, AcquireError>>,
}

impl Waiting {
    /// As people see it.
    pub fn view(&self) -> WaitingView {
        let Acquire { request, priority, wait, .. } = &self.request;
        WaitingView {
            team: request.team.clone(),
            collector: request.collector,
            operation: request.operation,
            calls: request.calls,
            priority: *priority,
            collection: request.collection.clone(),
            asked_at: self.asked_at,
            until: self.asked_at + *wait,
        }
    }
}

impl Cell {
    pub fn new(pool: Pool, queue: usize, now: Timestamp) -> Self {
        let state = State {
            queue: Queue::new(queue),
            waiting: HashMap::new(),
            next_waiter: 1,
            meter: DemandMeter::new(now, MeterSize::default()),
            closed: Vec::new(),
            usage: Vec::new(),
            without_token: HashMap::new(),
            pool,
        };
        Self { network: state.pool.network().clone(), state: Mutex::new(state) }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds a pool")
    }
}
