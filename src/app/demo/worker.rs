//! A collector: it wants calls at its collection's pace, leases tokens for them, makes the calls, and reports what came of them.
//!
//! It behaves as the API asks: no call without credit, none at or after `use_by`, none against the verdict, no request before the time
//! that the broker named, and the same `request_id` for every try of the same work, so that a retry is not new demand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;

use crate::app::demo::board::{Board, CallEnd, RowKey};
use crate::app::demo::network_call::{Made, NetworkCaller};
use crate::app::demo::pace::Pace;
use crate::app::demo::plan::{CollectionPlan, Rate, Scene, Way};
use crate::app::demo::port::{Port, Refused};
use crate::base::clock::Timestamp;
use crate::base::tasks::Tasks;
use crate::grpc::convert::{duration, from_timestamp};
use crate::grpc::pb;

/// How long a piece of work may wait for credit before it is given up, by the networks' clock: a little less than the API allows.
const PATIENCE: Duration = Duration::from_secs(290);
/// Pieces of work under way at once; what is wanted beyond them is not begun.
const JOBS: usize = 240;

/// One collector.
pub struct Worker {
    /// What it collects.
    pub plan: CollectionPlan,
    /// Its team, as the API names it.
    pub team: String,
    /// The profiles that its calls are about, where each has its own token.
    pub profiles: Vec<String>,
    /// The way to the broker.
    pub port: Port,
    /// The way to the networks.
    pub network: NetworkCaller,
    /// Where it counts.
    pub board: Arc<Board>,
    /// Its clock.
    pub pace: Pace,
    /// When it stops.
    pub tasks: Tasks,
    /// Where its chance comes from.
    pub seed: u64,
    /// No request before this time: the broker said so.
    pub held_until: Mutex<Timestamp>,
    /// Pieces of work that wait for credit.
    pub waiting: AtomicU64,
}

/// A piece of work.
struct Job {
    calls: u32,
    number: u64,
    request_id: String,
    profile: Option<String>,
    give_up: Timestamp,
}

impl Worker {
    /// The row in which it counts.
    pub fn row(plan: &CollectionPlan) -> RowKey {
        RowKey { team: plan.team, network: plan.network, class: plan.class }
    }

    /// Works until the tasks stop, from the scene on in which its collection begins.
    pub async fn run(self, mut scene: watch::Receiver<Scene>) {
        let begins = self.plan.begins;
        tokio::select! {
            () = self.tasks.stopped() => return,
            begun = scene.wait_for(|scene| *scene >= begins) => if begun.is_err() { return },
        }
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut jobs = FuturesUnordered::new();
        let mut number = 0;
        let mut next = self.pace.now() + self.first_after(&mut random);
        loop {
            tokio::select! {
                () = self.tasks.stopped() => break,
                Some(()) = jobs.next(), if !jobs.is_empty() => {}
                () = self.pace.sleep_until(next) => {
                    let (calls, gap) = self.wanted(&mut random);
                    next = next + gap;
                    for calls in calls {
                        number += 1;
                        if jobs.len() < JOBS {
                            jobs.push(self.work(self.job(calls, number, &mut random)));
                        }
                    }
                }
            }
        }
        while jobs.next().await.is_some() {}
    }

    fn first_after(&self, random: &mut StdRng) -> Duration {
        match self.plan.rate {
            Rate::Even(_) => Duration::from_millis(random.random_range(100..1000)),
            Rate::Batch(_, every) => every,
        }
    }

    /// The pieces that are wanted now, and how long until the next are.
    fn wanted(&self, random: &mut StdRng) -> (Vec<u32>, Duration) {
        let chunk = self.plan.chunk;
        match self.plan.rate {
            Rate::Even(per_minute) => {
                let gap = f64::from(chunk) * 60.0 / per_minute;
                (vec![chunk], Duration::from_secs_f64(gap * random.random_range(0.9..1.1)))
            }
            Rate::Batch(calls, every) => {
                let whole = (0..calls / chunk).map(|_| chunk);
                let rest = Some(calls % chunk).filter(|rest| *rest > 0);
                (whole.chain(rest).collect(), every)
            }
        }
    }

    fn job(&self, calls: u32, number: u64, random: &mut StdRng) -> Job {
        let profile = match self.plan.per_profile {
            true => usize::try_from(number).ok().and_then(|number| self.profiles.get(number % self.profiles.len())),
            false => None,
        };
        Job {
            calls,
            number,
            request_id: format!("{:016x}{number:08x}", random.random::<u64>()),
            profile: profile.cloned(),
            give_up: self.pace.now() + PATIENCE,
        }
    }

    /// Does one piece of work, or gives it up.
    async fn work(&self, mut job: Job) {
        while job.calls > 0 && !self.tasks.is_stopping() {
            let Some(lease) = self.lease(&job).await else { return };
            let made = self.use_lease(lease, &job).await;
            if made == 0 {
                return;
            }
            job.calls = job.calls.saturating_sub(made);
            job.request_id.push('+');
        }
    }

    /// A lease for the work: at once if there is credit and nobody of this collector waits already, else by waiting for it.
    async fn lease(&self, job: &Job) -> Option<pb::Lease> {
        let row = Self::row(&self.plan);
        let nobody_waits = self.waiting.load(Ordering::Relaxed) == 0;
        if nobody_waits && self.held_until() <= self.pace.now() {
            let asked = self.pace.real_now();
            match self.port.acquire(self.request(job, Duration::ZERO)).await {
                Ok(lease) => {
                    self.board.opened(row, Some(self.pace.real_now().since(asked)));
                    return Some(lease);
                }
                Err(refused) if refused.is_not_yet() => self.board.refused(row),
                Err(refused) => return self.give_up(&refused),
            }
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.board.wait_began(row, u64::from(job.calls), self.pace.now());
        let lease = tokio::select! {
            () = self.tasks.stopped() => None,
            lease = self.wait_for_lease(job) => lease,
        };
        self.board.wait_ended(row, u64::from(job.calls), self.pace.now());
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        lease
    }

    async fn wait_for_lease(&self, job: &Job) -> Option<pb::Lease> {
        let row = Self::row(&self.plan);
        self.pace.sleep_until(self.held_until().min(job.give_up)).await;
        let patience = job.give_up.since(self.pace.now());
        if patience.is_zero() {
            return None;
        }
        match self.port.acquire(self.request(job, patience)).await {
            Ok(lease) => {
                self.board.opened(row, None);
                Some(lease)
            }
            Err(refused) if refused.is_not_yet() => {
                self.board.refused(row);
                self.hold(refused.retry_at);
                None
            }
            Err(refused) => self.give_up(&refused),
        }
    }

    fn request(&self, job: &Job, wait: Duration) -> pb::AcquireLeaseRequest {
        // On a stream a piece of work begins with half of its calls and asks for the others with its first report.
        let calls = if self.plan.way == Way::Stream { job.calls.div_ceil(2) } else { job.calls };
        let calls = i32::try_from(calls).unwrap_or(i32::MAX);
        pb::AcquireLeaseRequest {
            team: self.team.clone(),
            network: format!("networks/{}", self.plan.network),
            operation: self.plan.operation.to_owned(),
            calls,
            // A few calls now are better than all of them later: the rest is asked for again.
            min_calls: 1,
            purpose: self.plan.purpose.into(),
            profile: job.profile.clone().unwrap_or_default(),
            kind: self.plan.kind.to_owned(),
            collection: self.plan.name.to_owned(),
            wait: (!wait.is_zero()).then(|| duration(wait)),
            request_id: job.request_id.clone(),
            ..pb::AcquireLeaseRequest::default()
        }
    }

    /// Makes the calls of a lease, asks for more while the work is not done, and gives it back. Returns the calls made.
    async fn use_lease(&self, lease: pb::Lease, job: &Job) -> u32 {
        let wanted = job.calls;
        let mut use_by = lease.use_by.as_ref().map_or(Timestamp::EPOCH, from_timestamp);
        let mut credit = u32::try_from(lease.calls_left).unwrap_or_default();
        let (mut made, mut sequence) = (0, 0);
        loop {
            let batch = self.call(&lease, job, credit.min(wanted - made), use_by).await;
            made += batch.sent();
            sequence += 1;
            let left = wanted - made;
            if left == 0 || batch.went_wrong() || batch.sent() < credit || self.tasks.is_stopping() {
                self.release(&lease, sequence, batch).await;
                return made;
            }
            let report = pb::ReportUsageRequest {
                lease: lease.name.clone(),
                sequence,
                calls: Some(batch.counts),
                answer: batch.answer,
                want_calls: i32::try_from(left).unwrap_or(i32::MAX),
                ..pb::ReportUsageRequest::default()
            };
            match self.port.report(report).await {
                Ok(standing) if standing.verdict() == pb::Verdict::Keep && standing.calls_left > 0 => {
                    credit = u32::try_from(standing.calls_left).unwrap_or_default();
                    use_by = standing.use_by.as_ref().map_or(use_by, from_timestamp);
                }
                _ => {
                    self.release(&lease, sequence + 1, Made::default()).await;
                    return made;
                }
            }
        }
    }

    /// Makes up to `most` calls, none at or after `use_by`; stops at the first that is not served.
    async fn call(&self, lease: &pb::Lease, job: &Job, most: u32, use_by: Timestamp) -> Made {
        let mut made = Made::default();
        for nth in 0..most {
            if self.pace.now() >= use_by || self.tasks.is_stopping() {
                break;
            }
            let end = self.network.call(lease, self.plan.path, job.number * 100 + u64::from(nth), &mut made).await;
            self.board.called(Self::row(&self.plan), end);
            if end != CallEnd::Ok {
                break;
            }
        }
        made
    }

    /// Ends a lease with the last report; what was not sent goes back.
    async fn release(&self, lease: &pb::Lease, sequence: i64, made: Made) {
        let request = pb::ReleaseLeaseRequest {
            lease: lease.name.clone(),
            sequence,
            calls: (made.sent() > 0).then_some(made.counts),
            answer: made.answer,
            ..pb::ReleaseLeaseRequest::default()
        };
        if let Err(refused) = self.port.release(request).await {
            self.give_up(&refused);
        }
    }

    fn held_until(&self) -> Timestamp {
        *self.held_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, until: Option<Timestamp>) {
        let mut held = self.held_until.lock().unwrap_or_else(PoisonError::into_inner);
        *held = (*held).max(until.unwrap_or(Timestamp::EPOCH));
    }

    /// Tells people of an answer that a collector of the demonstration does not expect.
    fn give_up(&self, refused: &Refused) -> Option<pb::Lease> {
        if !self.tasks.is_stopping() {
            let text = format!("{} of {}: {} {}", self.plan.name, self.plan.team, refused.reason, refused.message);
            self.board.tell(self.pace.elapsed(), text);
        }
        None
    }
}
