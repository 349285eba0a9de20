//! The committer: hands decided leases and blocks to the store in the order in which they were decided, and answers in that
//! order too.
//!
//! A lease may draw from a block that an earlier decision took and that is still on its way to the store. Since the store gets
//! the earlier one first, and answers are handled in order, such a lease is never acknowledged before its block is durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::sync::{mpsc, oneshot};

use crate::base::ids::LeaseId;
use crate::base::tasks::Tasks;
use crate::domain::credit::{BlockTake, BlockUpdate};
use crate::domain::lease::LeaseState;
use crate::domain::pool::{NoToken, TopUp, TopUpFate};
use crate::domain::token::Reason;
use crate::engine::Engine;
use crate::engine::ask::{AcquireError, Leased};
use crate::engine::cell::Cell;
use crate::store::{CloseLease, DuplicateRequest, OpenLease, OpenLeaseError, StoreError, TakeBlocks, TakeBlocksError};

/// Decisions that are with the store at once.
const UNDER_WAY: usize = 4096;

/// A decision that waits for the store.
pub enum Commit {
    /// A lease.
    Open {
        cell: Arc<Cell>,
        open: Box<OpenLease>,
        leased: Leased,
        takes: Vec<BlockTake>,
        /// Whether returned credit was on its way to the store when it was decided.
        returning: bool,
        reply: oneshot::Sender<Result<Leased, AcquireError>>,
    },
    /// More credit for a lease.
    TopUp {
        cell: Arc<Cell>,
        lease: LeaseId,
        take: TakeBlocks,
        top_up: TopUp,
        /// Whether returned credit was on its way to the store when it was decided.
        returning: bool,
        reply: oneshot::Sender<Result<u64, StoreError>>,
    },
}

/// The way into the committer.
pub struct Committer {
    sender: mpsc::Sender<Commit>,
}

/// The committer's work, for [`run`].
pub struct Work(mpsc::Receiver<Commit>);

/// A committer that takes up to `capacity` decisions.
pub fn channel(capacity: usize) -> (Committer, Work) {
    let (sender, receiver) = mpsc::channel(capacity);
    (Committer { sender }, Work(receiver))
}

impl Committer {
    /// Hands a decision over; returns it if there are too many already, or the committer has ended.
    #[expect(clippy::result_large_err, reason = "the caller takes the decision back; it is moved once")]
    pub fn hand_over(&self, commit: Commit) -> Result<(), Commit> {
        self.sender.try_send(commit).map_err(|error| match error {
            mpsc::error::TrySendError::Full(commit) | mpsc::error::TrySendError::Closed(commit) => commit,
        })
    }
}

type Pending = Pin<Box<dyn Future<Output = Done> + Send>>;

enum Done {
    Open(Opened, Result<(), OpenLeaseError>),
    TopUp(ToppedUp, Result<(), TakeBlocksError>),
}

/// Runs until the tasks stop and everything handed over is done.
pub async fn run(engine: Engine, mut work: Work, tasks: Tasks) {
    let mut under_way: FuturesOrdered<Pending> = FuturesOrdered::new();
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            Some(done) = under_way.next(), if !under_way.is_empty() => engine.committed(done),
            commit = work.0.recv(), if open && under_way.len() < UNDER_WAY => match commit {
                Some(commit) => under_way.push_back(start(&engine, commit)),
                None => open = false,
            },
            () = tasks.stopped(), if open => {
                work.0.close();
                while let Ok(commit) = work.0.try_recv() {
                    under_way.push_back(start(&engine, commit));
                }
                open = false;
            }
            else => return,
        }
    }
}

/// A lease whose fate is with the store.
struct Opened {
    cell: Arc<Cell>,
    leased: Leased,
    takes: Vec<BlockTake>,
    /// What the store would learn with it; told again if it takes nothing.
    updates: Vec<BlockUpdate>,
    returning: bool,
    reply: oneshot::Sender<Result<Leased, AcquireError>>,
}

/// A top-up whose fate is with the store.
struct ToppedUp {
    cell: Arc<Cell>,
    lease: LeaseId,
    top_up: TopUp,
    updates: Vec<BlockUpdate>,
    returning: bool,
    reply: oneshot::Sender<Result<u64, StoreError>>,
}

fn start(engine: &Engine, commit: Commit) -> Pending {
    let store = engine.0.store.clone();
    match commit {
        Commit::Open { cell, open, leased, takes, returning, reply } => {
            let opened = Opened { cell, leased, takes, updates: open.updates.clone(), returning, reply };
            Box::pin(async move { Done::Open(opened, store.open_lease(*open).await) })
        }
        Commit::TopUp { cell, lease, take, top_up, returning, reply } => {
            let topped_up = ToppedUp { cell, lease, top_up, updates: take.updates.clone(), returning, reply };
            Box::pin(async move { Done::TopUp(topped_up, store.take_blocks(take).await) })
        }
    }
}

impl Engine {
    fn committed(&self, done: Done) {
        match done {
            Done::Open(opened, stored) => self.opened(opened, stored),
            Done::TopUp(topped_up, stored) => self.topped_up(topped_up, stored),
        }
    }

    fn opened(&self, opened: Opened, stored: Result<(), OpenLeaseError>) {
        let Opened { cell, leased, takes, updates, returning, reply } = opened;
        let lease = leased.lease;
        match stored {
            Ok(()) => {
                let confirmed = cell.lock().pool.confirm(lease, &takes);
                if !confirmed {
                    self.give_back(&cell, lease, LeaseState::Recalled);
                    let _ = reply.send(Err(AcquireError::Raced));
                } else if reply.send(Ok(leased)).is_err() {
                    self.give_back(&cell, lease, LeaseState::Released);
                }
            }
            Err(error) => {
                let full = matches!(error, OpenLeaseError::BucketFull { .. }) && !returning;
                {
                    let mut state = cell.lock();
                    state.pool.cancel(lease, &takes, full, self.now());
                    state.pool.return_updates(updates);
                }
                self.forget(lease);
                let _ = reply.send(Err(self.refused_by_store(error)));
            }
        }
    }

    fn refused_by_store(&self, error: OpenLeaseError) -> AcquireError {
        match error {
            OpenLeaseError::BucketFull { .. } => AcquireError::Raced,
            OpenLeaseError::DuplicateRequest(DuplicateRequest::Repeated { response }) => {
                AcquireError::Repeated { response }
            }
            OpenLeaseError::DuplicateRequest(DuplicateRequest::OtherContent) => AcquireError::OtherContent,
            OpenLeaseError::TokenEnded { .. } => AcquireError::NoToken(NoToken::Dead(Reason::RevokedByPerson)),
            OpenLeaseError::Store(error) => AcquireError::Store(error),
        }
    }

    /// Ends a lease that nobody may or wants to use: nothing of it was used.
    fn give_back(&self, cell: &Arc<Cell>, lease: LeaseId, how: LeaseState) {
        let now = self.now();
        {
            let mut state = cell.lock();
            if state.pool.release(now, lease, true).is_ok() {
                state.closed.push(CloseLease { lease, state: how, used: 0, at: now });
            }
        }
        self.forget(lease);
        self.serve(cell);
    }

    fn topped_up(&self, topped_up: ToppedUp, stored: Result<(), TakeBlocksError>) {
        let ToppedUp { cell, lease, top_up, updates, returning, reply } = topped_up;
        let answer = match stored {
            Ok(()) => {
                let mut state = cell.lock();
                if state.pool.confirm_top_up(lease, &top_up) {
                    Ok(top_up.calls)
                } else {
                    state.pool.cancel_top_up(lease, &top_up, TopUpFate::Taken, self.now());
                    Ok(0)
                }
            }
            Err(error) => {
                let fate = match &error {
                    TakeBlocksError::BucketFull { .. } if !returning => TopUpFate::Refused,
                    TakeBlocksError::BucketFull { .. } | TakeBlocksError::Store(_) => TopUpFate::Lost,
                };
                let mut state = cell.lock();
                state.pool.cancel_top_up(lease, &top_up, fate, self.now());
                state.pool.return_updates(updates);
                match error {
                    TakeBlocksError::BucketFull { .. } => Ok(0),
                    TakeBlocksError::Store(error) => Err(error),
                }
            }
        };
        let _ = reply.send(answer);
    }
}
