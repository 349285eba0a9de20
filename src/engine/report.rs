//! Reports, top-ups, extensions and releases of leases that are held.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::base::clock::Timestamp;
use crate::base::ids::LeaseId;
use crate::domain::lease::LeaseState;
use crate::domain::networks::ErrorClass;
use crate::domain::pool::{Effect, ReportError, TopUpFate, Verdict};
use crate::engine::ask::{ReportFailure, ReportOutcome, UsageReport};
use crate::engine::cell::State;
use crate::engine::committer::Commit;
use crate::engine::demand::Asked;
use crate::engine::{Engine, LeasePlace};
use crate::store::{CloseLease, StoreError, TakeBlocks};

/// A report that was taken in, and whose wanted calls wait for the store.
#[derive(Debug)]
pub struct PendingTopUp(oneshot::Receiver<Result<u64, StoreError>>);

impl Engine {
    /// Takes a report in and grants what is wanted, if it is there. Served from memory, and final unless a new block is needed:
    /// then [`Engine::finish_report`] must be awaited before anything is acknowledged.
    pub fn report(
        &self,
        place: &LeasePlace,
        lease: LeaseId,
        usage: &UsageReport,
    ) -> Result<(ReportOutcome, Option<PendingTopUp>), ReportFailure> {
        let now = self.now();
        let mut state = place.cell.lock();
        let reported = state.pool.report(now, lease, &usage.report)?;
        let mut outcome = ReportOutcome {
            token: reported.token,
            sequence: reported.sequence,
            verdict: reported.verdict,
            calls_granted: 0,
            calls_left: reported.calls_left,
            use_by: reported.use_by,
            retry_at: None,
            effects: reported.effects,
            repeated: reported.repeated,
        };
        let wants = usage.want_calls > 0
            && !reported.repeated
            && reported.verdict == Verdict::Keep
            && state.pool.purpose_of(lease).is_some_and(|purpose| usage.may_want.contains(purpose));
        let pending = match wants {
            true => self.top_up(place, &mut state, lease, usage, &mut outcome, now),
            false => None,
        };
        let stopped = match (outcome.verdict, usage.report.class) {
            (Verdict::StopUntil(_), class) if class != ErrorClass::Ok && !reported.repeated => {
                state.pool.stopped_beside(lease, now)
            }
            _ => Vec::new(),
        };
        drop(state);
        for (beside, verdict) in stopped {
            self.tell(vec![beside], verdict);
        }
        for effect in &outcome.effects {
            match effect {
                Effect::Recall(leases) => self.tell(leases.clone(), outcome.verdict),
                Effect::IncidentBegan(leases) => self.tell(leases.clone(), Verdict::Recalled),
                _ => {}
            }
        }
        Ok((outcome, pending))
    }

    /// Grants what a report wants. What can't be granted, for want of credit or since the store has too much to write, leaves the
    /// report as it is.
    fn top_up(
        &self,
        place: &LeasePlace,
        state: &mut State,
        lease: LeaseId,
        usage: &UsageReport,
        outcome: &mut ReportOutcome,
        now: Timestamp,
    ) -> Option<PendingTopUp> {
        let view = state.pool.lease(lease);
        let asked = view.as_ref().map(|view| Asked::of_report(&place.cell.network, view, usage));
        if let Some(asked) = &asked {
            asked.record(&mut state.meter, now);
        }
        let mut top_up = match state.pool.top_up(now, lease, usage.want_calls, &usage.want_keys) {
            Ok(top_up) => top_up,
            Err(until) => {
                outcome.retry_at = Some(until);
                asked.iter().for_each(|asked| asked.unserved(&mut state.meter, now));
                return None;
            }
        };
        let (calls, use_by) = (top_up.calls, top_up.use_by);
        let mut pending = None;
        // Credit of a block that an earlier decision has on its way to the store waits for it: the committer answers in order.
        if !state.pool.is_top_up_durable(&top_up) || !top_up.keys.is_empty() {
            let take = TakeBlocks {
                takes: top_up.takes.clone(),
                updates: state.pool.take_updates(),
                keys: std::mem::take(&mut top_up.keys),
                now,
            };
            let (reply, answer) = oneshot::channel();
            let (cell, returning) = (place.cell.clone(), self.is_returning());
            let commit = Commit::TopUp { cell, lease, take, top_up, returning, reply };
            if let Err(Commit::TopUp { top_up, take, .. }) = self.0.committer.hand_over(commit) {
                state.pool.cancel_top_up(lease, &top_up, TopUpFate::Lost, now);
                state.pool.return_updates(take.updates);
                outcome.retry_at = Some(now + Duration::from_secs(1));
                asked.iter().for_each(|asked| asked.unserved(&mut state.meter, now));
                return None;
            }
            pending = Some(PendingTopUp(answer));
        }
        outcome.calls_granted = calls;
        outcome.calls_left += calls;
        outcome.use_by = use_by;
        pending
    }

    /// Waits until the calls that a report wanted are durable. If they can't be, the report stays settled and nothing is granted.
    pub async fn finish_report(
        &self,
        place: &LeasePlace,
        lease: LeaseId,
        outcome: &mut ReportOutcome,
        pending: PendingTopUp,
    ) {
        outcome.calls_granted = match pending.0.await {
            Ok(Ok(granted)) => granted,
            Ok(Err(_)) | Err(_) => 0,
        };
        if outcome.calls_granted == 0 {
            outcome.retry_at = Some(self.now() + Duration::from_secs(1));
        }
        if let Some(view) = place.cell.lock().pool.lease(lease) {
            outcome.calls_left = view.calls_left;
            outcome.use_by = view.use_by;
        }
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
            state.pool.release(now, lease, true)?;
            let used = view.calls_granted - view.calls_left;
            state.closed.push(CloseLease { lease, state: LeaseState::Released, used, at: now });
            view.calls_left
        };
        self.forget(lease);
        self.serve(&place.cell);
        Ok(unused)
    }
}
