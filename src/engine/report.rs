//! Reports, top-ups, extensions and releases of leases that are held.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::base::clock::Timestamp;
use crate::base::ids::{LeaseId, NetworkId};
use crate::domain::lease::LeaseState;
use crate::domain::pool::{CallReport, Effect, ReportError, Verdict};
use crate::engine::committer::Commit;
use crate::engine::{Engine, LeasePlace};
use crate::store::{CloseLease, StoreError, TakeBlocks};

/// What a holder reports, and what it wants.
#[derive(Debug, Clone)]
pub struct UsageReport {
    /// The report itself.
    pub report: CallReport,
    /// Calls more that are wanted; 0: none.
    pub want_calls: u64,
}

/// Where the lease stands after a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportOutcome {
    /// Its network.
    pub network: NetworkId,
    /// How to go on.
    pub verdict: Verdict,
    /// Calls granted by this report.
    pub calls_granted: u64,
    /// Calls granted and not reported.
    pub calls_left: u64,
    /// Until when they may be made.
    pub use_by: Timestamp,
    /// When to ask again, where wanted calls were not granted.
    pub retry_at: Option<Timestamp>,
    /// What follows outside the books.
    pub effects: Vec<Effect>,
    /// The report was settled before; nothing was changed.
    pub repeated: bool,
}

/// Why a report was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReportFailure {
    /// It does not fit the lease.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The store did not take the blocks.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// More decisions wait for the store than may.
    #[error("the broker has more to write than it can take; try again shortly")]
    Overloaded,
}

impl Engine {
    /// Takes a report in and grants what is wanted, if it is there. Served from memory unless a new block is needed.
    pub async fn report(&self, lease: LeaseId, usage: &UsageReport) -> Result<ReportOutcome, ReportFailure> {
        let place = self.place(lease).ok_or(ReportError::UnknownLease)?;
        let (mut outcome, pending) = self.report_now(&place, lease, usage)?;
        if let Some(pending) = pending {
            outcome.calls_granted = pending.await.map_err(|_| ReportFailure::Overloaded)??;
            if let Some(view) = place.cell.lock().pool.lease(lease) {
                outcome.calls_left = view.calls_left;
            }
        }
        Ok(outcome)
    }

    fn report_now(
        &self,
        place: &LeasePlace,
        lease: LeaseId,
        usage: &UsageReport,
    ) -> Result<(ReportOutcome, Option<oneshot::Receiver<Result<u64, StoreError>>>), ReportFailure> {
        let now = self.now();
        let mut state = place.cell.lock();
        let mut reported = state.pool.report(now, lease, &usage.report)?;
        state.updates.append(&mut reported.updates);
        let mut outcome = ReportOutcome {
            network: place.cell.network.id.clone(),
            verdict: reported.verdict,
            calls_granted: 0,
            calls_left: reported.calls_left,
            use_by: reported.use_by,
            retry_at: None,
            effects: reported.effects,
            repeated: reported.repeated,
        };
        let mut pending = None;
        if usage.want_calls > 0 && !reported.repeated && reported.verdict == Verdict::Keep {
            match state.pool.top_up(now, lease, usage.want_calls) {
                Ok(mut top_up) => {
                    outcome.calls_granted = top_up.calls;
                    outcome.calls_left += top_up.calls;
                    outcome.use_by = top_up.use_by;
                    if !top_up.wishes.takes.is_empty() {
                        let mut updates = std::mem::take(&mut state.updates);
                        updates.append(&mut top_up.wishes.updates);
                        let takes = top_up.wishes.takes.clone();
                        let take = TakeBlocks { takes, updates, keys: Vec::new(), now };
                        let (reply, answer) = oneshot::channel();
                        let commit = Commit::TopUp { cell: place.cell.clone(), lease, take, top_up, reply };
                        if let Err(Commit::TopUp { top_up, .. }) = self.0.committer.hand_over(commit) {
                            state.pool.cancel_top_up(lease, &top_up, false, now);
                            return Err(ReportFailure::Overloaded);
                        }
                        pending = Some(answer);
                    } else {
                        state.updates.append(&mut top_up.wishes.updates);
                    }
                }
                Err(until) => outcome.retry_at = Some(until),
            }
        }
        drop(state);
        for effect in &outcome.effects {
            if let Effect::Recall(leases) = effect {
                self.tell(leases.clone(), outcome.verdict);
            }
        }
        Ok((outcome, pending))
    }

    /// Extends a lease to end `ttl` from now; durable before this returns.
    pub async fn extend(&self, lease: LeaseId, ttl: Duration) -> Result<(Timestamp, Timestamp), ReportFailure> {
        let place = self.place(lease).ok_or(ReportError::UnknownLease)?;
        let now = self.now();
        let (end, use_by) = {
            let mut state = place.cell.lock();
            let end = state.pool.extend(now, lease, ttl)?;
            let use_by = state.pool.lease(lease).map_or(end, |view| view.use_by);
            (end, use_by)
        };
        self.0.store.extend_lease(lease, use_by, end).await?;
        Ok((use_by, end))
    }

    /// Gives a lease back: what it did not report was not used. Returns the calls that came back.
    pub fn release(&self, lease: LeaseId) -> Result<u64, ReportError> {
        let place = self.place(lease).ok_or(ReportError::UnknownLease)?;
        let now = self.now();
        let unused = {
            let mut state = place.cell.lock();
            let view = state.pool.lease(lease).ok_or(ReportError::UnknownLease)?;
            let released = state.pool.release(now, lease, true)?;
            state.updates.extend(released.updates);
            let used = view.calls_granted - view.calls_left;
            state.closed.push(CloseLease { lease, state: LeaseState::Released, used, at: now });
            view.calls_left
        };
        self.forget(lease);
        self.serve(&place.cell);
        Ok(unused)
    }
}
