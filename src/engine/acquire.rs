//! Acquiring: decide at once, wait in the fair queue, or refuse with the time to come back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::base::clock::Timestamp;
use crate::base::ids::LeaseId;
use crate::domain::lease::{Lease, LeaseState};
use crate::domain::pool::{AcquireRequest, Acquired, NoToken, Refusal, Rest};
use crate::domain::queue::{Attempt, TeamIndex, Waiter};
use crate::engine::ask::{Acquire, AcquireError, Leased, Limit, hash};
use crate::engine::cell::{Cell, State, Waiting};
use crate::engine::committer::Commit;
use crate::engine::demand::{Asked, UntilServed};
use crate::engine::{Engine, LeasePlace};
use crate::store::{IdempotencyRecord, OpenLease};

/// How often a request is decided anew because other processes were faster, returned credit was on its way to the store, or its token died
/// meanwhile.
const TRIES: usize = 4;

impl Engine {
    /// Opens a lease: decided in memory, durable before this returns.
    pub async fn acquire(&self, acquire: Acquire) -> Result<Leased, AcquireError> {
        let cell = self.0.cells.get(&acquire.network).ok_or(AcquireError::UnknownNetwork)?.clone();
        self.check_held(&acquire)?;
        let asked_at = self.now();
        let until_served = UntilServed::watch(&cell, &acquire, asked_at);
        let leased = self.acquire_in(&cell, acquire, asked_at).await;
        if let (Ok(_), Some(until_served)) = (&leased, until_served) {
            until_served.served();
        }
        leased
    }

    async fn acquire_in(
        &self,
        cell: &Arc<Cell>,
        mut acquire: Acquire,
        asked_at: Timestamp,
    ) -> Result<Leased, AcquireError> {
        Asked::of_acquire(&cell.network, &acquire).record(&mut cell.lock().meter, asked_at);
        for _ in 0..TRIES {
            match self.acquire_once(cell, acquire.clone(), asked_at).await {
                Err(AcquireError::Raced) => {
                    self.returned().await;
                    acquire.renew();
                }
                other => return other,
            }
        }
        Err(AcquireError::Busy { until: self.now() + Duration::from_millis(100) })
    }

    async fn acquire_once(
        &self,
        cell: &Arc<Cell>,
        request: Acquire,
        asked_at: Timestamp,
    ) -> Result<Leased, AcquireError> {
        let wait = request.wait;
        let (reply, answer) = oneshot::channel();
        let Some(waiter) = self.submit(cell, Waiting { request, asked_at, reply }) else {
            return received(answer.await);
        };
        let mut answer = answer;
        tokio::select! {
            biased;
            decided = &mut answer => received(decided),
            () = tokio::time::sleep(wait) => {
                let left = {
                    let mut state = cell.lock();
                    state.queue.remove(waiter);
                    state.waiting.remove(&waiter)
                };
                match left {
                    Some(waiting) => Err(self.refusal_now(cell, &waiting.request)),
                    None => received(answer.await),
                }
            }
        }
    }

    fn check_held(&self, acquire: &Acquire) -> Result<(), AcquireError> {
        let held = acquire.request.collector.map_or(0, |collector| self.leases_of(collector));
        match acquire.max_leases {
            Some(most) if held >= most => Err(AcquireError::TooManyLeases(most)),
            _ => Ok(()),
        }
    }

    /// Decides the request, or lets it wait: then its number among those that wait.
    fn submit(&self, cell: &Arc<Cell>, asked: Waiting) -> Option<u64> {
        let now = self.now();
        let mut state = cell.lock();
        let acquire = &asked.request;
        let signature = signature(&acquire.request);
        let first_come = !acquire.wait.is_zero() && state.queue.is_wanted(signature);
        if !first_come {
            match state.pool.acquire(now, &acquire.request) {
                Ok(acquired) => {
                    self.commit(cell, &mut state, asked, acquired, now);
                    return None;
                }
                Err(refusal) => {
                    state.note_refusal(cell, acquire, &refusal);
                    let waits = matches!(refusal, Refusal::Limited { .. } | Refusal::Busy) && !acquire.wait.is_zero();
                    if !waits {
                        let _ = asked.reply.send(Err(refused(cell, refusal, now)));
                        return None;
                    }
                }
            }
        }
        let waiter = state.enqueue(asked, signature, now);
        self.0.someone_waits.notify_one();
        waiter
    }

    /// Hands a decided lease to the store, in the order of the decisions.
    fn commit(&self, cell: &Arc<Cell>, state: &mut State, asked: Waiting, mut acquired: Acquired, now: Timestamp) {
        let Waiting { request: acquire, asked_at, reply } = asked;
        Asked::of_acquire(&cell.network, &acquire).served(&mut state.meter, acquired.calls, asked_at);
        let sealed = state.pool.sealed(acquired.token).map(|(sealed, version)| (sealed.to_vec(), version));
        let Some(sealed) = sealed else {
            state.pool.cancel(acquired.lease, &acquired.takes, false, now);
            let _ = reply.send(Err(AcquireError::NoToken(NoToken::None)));
            return;
        };
        let lease = self.lease_row(cell, &acquire, &acquired, now);
        self.remember(cell, &acquire, acquired.lease);
        let mut audit = acquire.audit;
        audit.subject = format!("leases/{}", acquired.lease);
        audit.detail = format!(
            "token={} operation={} calls={} purpose={}",
            acquired.token,
            lease.operation,
            acquired.calls,
            lease.purpose.as_str()
        );
        let open = OpenLease {
            lease,
            audit,
            takes: acquired.takes.clone(),
            updates: state.pool.take_updates(),
            keys: std::mem::take(&mut acquired.keys),
            request: acquire
                .idempotency
                .map(|note| IdempotencyRecord { response: acquired.lease.as_bytes().to_vec(), ..note }),
        };
        let leased = Leased {
            lease: acquired.lease,
            token: acquired.token,
            kind: cell.network.kinds[acquired.kind].id.clone(),
            app: acquired.app,
            profile: acquired.profile,
            calls: acquired.calls,
            use_by: acquired.use_by,
            expires_at: acquired.expires_at,
            sealed,
        };
        let (cell, returning) = (cell.clone(), self.is_returning());
        let commit = Commit::Open { cell, open: Box::new(open), leased, takes: acquired.takes, returning, reply };
        if let Err(Commit::Open { open, leased, takes, reply, .. }) = self.0.committer.hand_over(commit) {
            state.pool.return_updates(open.updates);
            state.pool.cancel(leased.lease, &takes, false, now);
            self.forget(leased.lease);
            let _ = reply.send(Err(AcquireError::Overloaded));
        }
    }

    fn remember(&self, cell: &Arc<Cell>, acquire: &Acquire, lease: LeaseId) {
        let collector = acquire.request.collector;
        if let Some(collector) = collector {
            *self.0.held.entry(collector).or_default() += 1;
        }
        let place = LeasePlace { cell: cell.clone(), collector, team: acquire.request.team.clone() };
        self.0.leases.insert(lease, place);
    }

    fn lease_row(&self, cell: &Cell, acquire: &Acquire, acquired: &Acquired, now: Timestamp) -> Lease {
        let request = &acquire.request;
        Lease {
            id: acquired.lease,
            team: request.team.clone(),
            collector: request.collector,
            network: acquire.network.clone(),
            token: acquired.token,
            operation: cell.network.leased_operation(request.operation).id.clone(),
            purpose: request.purpose,
            collection: request.collection.to_string(),
            profile: request.profile.clone().unwrap_or_default(),
            calls: acquired.calls,
            opened_at: now,
            use_by: acquired.use_by,
            expires_at: acquired.expires_at,
            state: LeaseState::Open,
        }
    }

    /// Serves those that wait, in fair order, with what is there now.
    pub(super) fn serve(&self, cell: &Arc<Cell>) {
        let now = self.now();
        let mut guard = cell.lock();
        let state = &mut *guard;
        if state.queue.is_empty() {
            return;
        }
        let mut queue = std::mem::replace(&mut state.queue, crate::domain::queue::Queue::new(0));
        queue.serve(now, |waiter| self.serve_one(cell, state, waiter, now));
        state.queue = queue;
    }

    fn serve_one(&self, cell: &Arc<Cell>, state: &mut State, waiter: &Waiter, now: Timestamp) -> Attempt {
        let Some(waiting) = state.waiting.get(&waiter.id) else { return Attempt::Served };
        if waiting.reply.is_closed() {
            state.waiting.remove(&waiter.id);
            return Attempt::Served;
        }
        let decided = state.pool.acquire(now, &waiting.request.request);
        match decided {
            Ok(acquired) => {
                if let Some(waiting) = state.waiting.remove(&waiter.id) {
                    self.commit(cell, state, waiting, acquired, now);
                }
                Attempt::Served
            }
            Err(Refusal::Limited { .. } | Refusal::Busy) => Attempt::NotNow,
            Err(refusal) => {
                if let Some(waiting) = state.waiting.remove(&waiter.id) {
                    let _ = waiting.reply.send(Err(refused(cell, refusal, now)));
                }
                Attempt::Served
            }
        }
    }

    fn refusal_now(&self, cell: &Arc<Cell>, acquire: &Acquire) -> AcquireError {
        let now = self.now();
        let mut state = cell.lock();
        match state.pool.acquire(now, &acquire.request) {
            Err(refusal) => refused(cell, refusal, now),
            Ok(acquired) => {
                state.pool.cancel(acquired.lease, &acquired.takes, false, now);
                AcquireError::Busy { until: now + Duration::from_millis(100) }
            }
        }
    }
}

impl State {
    fn enqueue(&mut self, waiting: Waiting, signature: u64, now: Timestamp) -> Option<u64> {
        let id = self.next_waiter;
        self.next_waiter += 1;
        let acquire = &waiting.request;
        let request = &acquire.request;
        let waiter = Waiter {
            id,
            team: TeamIndex(u32::try_from(hash(&request.team) & 0xFFFF_FFFF).unwrap_or_default()),
            team_weight: acquire.team_weight.max(1),
            priority: acquire.priority,
            collection: hash(&request.collection),
            collector: request.collector.map_or(0, |collector| collector.as_u128()),
            collector_weight: acquire.collector_weight.max(1),
            cost: request.calls,
            signature,
            deadline: now + acquire.wait,
        };
        if self.queue.push(waiter).is_err() {
            let _ = waiting.reply.send(Err(AcquireError::QueueFull));
            return None;
        }
        self.waiting.insert(id, waiting);
        Some(id)
    }

    fn note_refusal(&mut self, cell: &Cell, acquire: &Acquire, refusal: &Refusal) {
        let why = match refusal {
            Refusal::NoToken(why) => *why,
            Refusal::Limited { rest: Some(Rest::Blocked), .. } => NoToken::Blocked,
            _ => return,
        };
        let operation = cell.network.leased_operation(acquire.request.operation);
        for cost in &operation.costs {
            if let Some(class) = cell.network.class_index(cost.class.as_str()) {
                self.without_token.insert((acquire.request.team.clone(), class), why);
            }
        }
    }
}

fn received(decided: Result<Result<Leased, AcquireError>, oneshot::error::RecvError>) -> Result<Leased, AcquireError> {
    decided.unwrap_or(Err(AcquireError::Overloaded))
}

fn refused(cell: &Cell, refusal: Refusal, now: Timestamp) -> AcquireError {
    match refusal {
        Refusal::Limited { until, rest: Some(why), .. } => AcquireError::Resting { until, why },
        Refusal::Limited { until, class, owner, .. } => {
            let limit = Limit { class: cell.network.classes[class].id.clone(), owner };
            AcquireError::LimitedUntil { until, limit }
        }
        Refusal::Busy => AcquireError::Busy { until: now + Duration::from_secs(1) },
        Refusal::TooMany { most } => AcquireError::TooManyCalls { most },
        Refusal::NoToken(why) => AcquireError::NoToken(why),
    }
}

/// Requests of one signature are served from the same credit, so none of them may pass another.
fn signature(request: &AcquireRequest) -> u64 {
    hash(&(&request.team, request.operation, request.purpose, &request.profile, &request.kind, &request.keys))
}
