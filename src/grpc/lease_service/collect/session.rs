//! The state of one stream: its caller, its leases, the commands in work and the messages that wait to be read.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tonic::{Code, Status};

use crate::base::ids::LeaseId;
use crate::domain::pool::Verdict;
use crate::grpc::convert::{optional_timestamp, timestamp};
use crate::grpc::lease_service::collect::COMMANDS;
use crate::grpc::lease_service::collect::unasked::{About, Unasked};
use crate::grpc::lease_service::{acquire, ask, refusals, show};
use crate::grpc::pb::collect_request::Command;
use crate::grpc::pb::collect_response::Event;
use crate::grpc::pb::{self, CollectRequest, CollectResponse, ErrorReason};
use crate::grpc::status::{FieldMistakes, Refusal, refuse};
use crate::grpc::token_service::dead_span;
use crate::service::dead_spans::DeadSpanView;
use crate::service::{Broker, Caller, LeaseCallError, OpenReport, Recall, ReportUsage, TakenReport};

/// Leases that one `resume` may name.
const MOST_RESUMED: usize = 10_000;
/// Leases in one message of a resync.
const LEASES_A_MESSAGE: usize = 256;
/// Bound leases are looked through for ended ones when there are this many, and each time their number has doubled.
const FIRST_CLEANING: usize = 1024;

/// A command about one lease.
enum Job {
    Report(ReportUsage),
    Extend(Option<Duration>),
    Release(Option<ReportUsage>),
}

/// A command about one lease that takes time.
enum Started {
    Report(Box<OpenReport>),
    Missing(LeaseCallError),
    Extend(Option<Duration>),
    Release(Option<ReportUsage>),
}

impl Started {
    async fn finish(self, broker: &Broker, caller: &Caller, lease: LeaseId) -> Outcome {
        let answered = match self {
            Started::Report(open) => {
                let finished = broker.finish_report(*open).await;
                finished.map(|standing| Event::Reported(show::standing(&standing, broker.now())))
            }
            Started::Missing(error) => Err(broker.explain_missing(caller, error).await),
            Started::Extend(ttl) => {
                let extended = broker.extend_lease(caller, lease, ttl).await;
                extended.map(|(use_by, end)| Event::Extended(show::extended(use_by, end)))
            }
            Started::Release(last) => return Outcome::Released(broker.release_lease(caller, lease, last).await),
        };
        Outcome::Answered(answered.unwrap_or_else(|error| refused(broker, refusals::of_call(error))))
    }
}

/// A command that was carried out.
struct Done {
    tag: u64,
    /// The lease that the command was about; others about it wait for this one.
    lease: Option<LeaseId>,
    outcome: Outcome,
}

enum Outcome {
    Acquired(Box<Result<pb::Lease, (Refusal, pb::CollectRetryAt)>>),
    Released(Result<u64, LeaseCallError>),
    Answered(Event),
}

/// Standings on their way to the client.
struct Resync {
    /// The command that asked; 0: none did.
    tag: u64,
    leases: std::vec::IntoIter<LeaseId>,
}

/// The state of one stream.
pub struct Session {
    broker: Broker,
    caller: Caller,
    /// The directory's changes when the caller was last looked at.
    changes: u64,
    /// The leases whose recalls come here.
    bound: HashSet<LeaseId>,
    clean_at: usize,
    /// Leases with a command in work, and the commands that wait behind it.
    busy: HashMap<LeaseId, VecDeque<(u64, Job)>>,
    /// Tags of commands in work.
    tags: HashSet<u64>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    answers: Vec<CollectResponse>,
    unasked: Unasked,
    resync: Option<Resync>,
    /// Messages were dropped: the client must learn the standing of every lease.
    missed: bool,
}

impl Session {
    /// A stream of `caller` without leases.
    pub fn new(broker: Broker, caller: Caller) -> Self {
        let changes = broker.directory.changes();
        Self {
            broker,
            caller,
            changes,
            bound: HashSet::new(),
            clean_at: FIRST_CLEANING,
            busy: HashMap::new(),
            tags: HashSet::new(),
            work: FuturesUnordered::new(),
            answers: Vec::new(),
            unasked: Unasked::default(),
            resync: None,
            missed: false,
        }
    }

    /// The broker.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Whether another command may be taken in.
    pub fn may_read(&self) -> bool {
        self.tags.len() + self.answers.len() < COMMANDS && self.resync.is_none()
    }

    /// Whether commands are in work.
    pub fn has_work(&self) -> bool {
        !self.work.is_empty()
    }

    /// Whether something waits to be read.
    pub fn has_messages(&self) -> bool {
        !self.answers.is_empty() || self.resync.is_some() || self.missed || !self.unasked.is_empty()
    }

    /// Whether every command is answered.
    pub fn is_idle(&self) -> bool {
        self.tags.is_empty() && self.answers.is_empty() && self.resync.is_none()
    }

    /// Looks whether the caller may still be here, if anything about callers changed.
    pub fn look_at_caller(&mut self) -> Result<(), Status> {
        let changes = self.broker.directory.changes();
        if changes == self.changes {
            return Ok(());
        }
        self.changes = changes;
        self.check_caller()
    }

    /// Looks whether the caller may still be here: keys also end by themselves.
    pub fn check_caller(&mut self) -> Result<(), Status> {
        self.caller = self.broker.reauthenticate(&self.caller).map_err(|error| Refusal::from(error).status())?;
        self.caller.must_be_enabled().map_err(|error| Refusal::from(error).status())
    }

    /// Takes a command in. Its mistakes are answered; only a bad tag, which no answer could name, ends the stream.
    pub fn take(&mut self, request: CollectRequest) -> Result<(), Status> {
        let tag = request.tag;
        if tag == 0 || self.tags.contains(&tag) {
            let mut mistakes = FieldMistakes::default();
            mistakes.note("tag", "must not be 0, nor that of a command that is not answered yet");
            mistakes.check()?;
        }
        if let Err(refusal) = self.take_command(tag, request.command) {
            self.refuse(tag, refusal);
        }
        Ok(())
    }

    fn take_command(&mut self, tag: u64, command: Option<Command>) -> Result<(), Refusal> {
        match command {
            Some(Command::Report(request)) => {
                let (lease, report) = ask::report(request)?;
                self.queue(tag, lease, Job::Report(report));
            }
            Some(Command::Acquire(request)) => self.acquire(tag, *request)?,
            Some(Command::Extend(request)) => {
                let (lease, ttl) = ask::extend(request)?;
                self.queue(tag, lease, Job::Extend(ttl));
            }
            Some(Command::Release(request)) => {
                let (lease, last) = ask::release(request)?;
                self.queue(tag, lease, Job::Release(last));
            }
            Some(Command::Ack(ack)) => {
                let (lease, last) = ask::ack(ack)?;
                self.queue(tag, lease, Job::Release(last));
            }
            Some(Command::Resume(resume)) => self.resume(tag, &resume.leases)?,
            None => {
                let message = "the command is missing, or this version does not know it";
                return Err(refuse(Code::InvalidArgument, ErrorReason::InvalidField, message));
            }
        }
        Ok(())
    }

    fn acquire(&mut self, tag: u64, request: pb::AcquireLeaseRequest) -> Result<(), Refusal> {
        let (ask, lease) = ask::acquire(request)?;
        let (broker, caller) = (self.broker.clone(), self.caller.clone());
        let pool = pb::CollectRetryAt {
            team: lease.team.clone(),
            network: lease.network.clone(),
            operation: lease.operation.clone(),
            retry_at: None,
        };
        let work = async move {
            let acquired = acquire(&broker, &caller, ask, lease).await.map_err(|refusal| (refusal, pool));
            Done { tag, lease: None, outcome: Outcome::Acquired(Box::new(acquired)) }
        };
        self.begin(tag, Box::pin(work));
        Ok(())
    }

    fn resume(&mut self, tag: u64, names: &[String]) -> Result<(), Refusal> {
        if names.len() > MOST_RESUMED {
            let mut mistakes = FieldMistakes::default();
            mistakes.note("leases", "must be at most 10,000; resume the others with another command");
            mistakes.refuse()?;
        }
        let named = names.iter().map(|name| ask::lease_named("leases", name));
        let mut leases = named.collect::<Result<Vec<_>, _>>()?;
        let caller = &self.caller;
        if leases.is_empty() {
            let held = self.broker.engine.places(|_, place| caller.holds(place.collector));
            leases = held.into_iter().map(|(lease, _)| lease).collect();
        } else {
            let place = |lease: &LeaseId| self.broker.engine.place(*lease);
            leases.retain(|lease| place(lease).is_some_and(|place| caller.holds(place.collector)));
        }
        leases.iter().for_each(|lease| self.bind(*lease));
        self.resync = Some(Resync { tag, leases: leases.into_iter() });
        Ok(())
    }

    /// Carries a command out, or lets it wait for earlier ones about the same lease.
    fn queue(&mut self, tag: u64, lease: LeaseId, job: Job) {
        match self.busy.get_mut(&lease) {
            Some(waiting) => {
                waiting.push_back((tag, job));
                self.tags.insert(tag);
            }
            None => self.start(tag, lease, job),
        }
    }

    /// Carries a command out: a report that needs nothing durable at once, all others as work.
    fn start(&mut self, tag: u64, lease: LeaseId, job: Job) {
        let taken = match job {
            Job::Report(report) => match self.broker.take_report(&self.caller, lease, report) {
                Ok(TakenReport::Settled(standing)) => {
                    let event = Event::Reported(show::standing(&standing, self.broker.now()));
                    return self.answer(tag, event);
                }
                Ok(TakenReport::Open(open)) => Started::Report(open),
                Err(error) => Started::Missing(error),
            },
            Job::Extend(ttl) => Started::Extend(ttl),
            Job::Release(last) => Started::Release(last),
        };
        let (broker, caller) = (self.broker.clone(), self.caller.clone());
        self.busy.insert(lease, VecDeque::new());
        self.begin(
            tag,
            Box::pin(async move {
                let outcome = taken.finish(&broker, &caller, lease).await;
                Done { tag, lease: Some(lease), outcome }
            }),
        );
    }

    fn begin(&mut self, tag: u64, work: BoxFuture<'static, Done>) {
        self.tags.insert(tag);
        self.work.push(work);
    }

    /// Waits until one of the commands in work is carried out. Cancel-safe.
    pub async fn finish_one(&mut self) -> Option<()> {
        let done = self.work.next().await?;
        self.finish(done);
        Some(())
    }

    fn finish(&mut self, done: Done) {
        let Done { tag, lease, outcome } = done;
        self.tags.remove(&tag);
        match outcome {
            Outcome::Answered(event) => self.answer(tag, event),
            Outcome::Released(Ok(returned)) => {
                if let Some(lease) = lease {
                    self.bound.remove(&lease);
                    self.unasked.forget(lease);
                }
                self.answer(tag, Event::Released(show::released(returned)));
            }
            Outcome::Released(Err(error)) => self.refuse(tag, refusals::of_call(error)),
            Outcome::Acquired(acquired) => self.acquired(tag, *acquired),
        }
        if let Some(lease) = lease {
            self.go_on(lease);
        }
    }

    /// Carries out what waited for a command about `lease`, up to the next one that takes time.
    fn go_on(&mut self, lease: LeaseId) {
        let mut waiting = self.busy.remove(&lease).unwrap_or_default();
        while let Some((tag, job)) = waiting.pop_front() {
            self.tags.remove(&tag);
            self.start(tag, lease, job);
            if let Some(behind) = self.busy.get_mut(&lease) {
                *behind = waiting;
                return;
            }
        }
    }

    fn acquired(&mut self, tag: u64, acquired: Result<pb::Lease, (Refusal, pb::CollectRetryAt)>) {
        match acquired {
            Ok(lease) => {
                let id = ask::lease_named("name", &lease.name);
                self.answer(tag, Event::Acquired(Box::new(pb::AcquireLeaseResponse { lease: Some(lease) })));
                if let Ok(id) = id {
                    self.bind(id);
                    self.tell_standing(id);
                }
            }
            Err((refusal, pool)) => {
                let comes_back = matches!(refusal.reason(), ErrorReason::LimitedUntil | ErrorReason::Busy);
                if let Some(wait) = refusal.wait().filter(|_| comes_back) {
                    let about = About::Pool(pool.team.clone(), pool.network.clone(), pool.operation.clone());
                    let retry_at = Some(timestamp(self.broker.now() + wait));
                    self.say(about, Event::RetryAt(pb::CollectRetryAt { retry_at, ..pool }));
                }
                self.refuse(tag, refusal);
            }
        }
    }

    fn bind(&mut self, lease: LeaseId) {
        self.bound.insert(lease);
        if self.bound.len() >= self.clean_at {
            let engine = &self.broker.engine;
            self.bound.retain(|lease| engine.place(*lease).is_some());
            self.clean_at = FIRST_CLEANING.max(self.bound.len() * 2);
        }
    }

    /// Tells what was said of a lease before it was bound, if it can't go on.
    fn tell_standing(&mut self, lease: LeaseId) {
        let stays = |verdict| matches!(verdict, Verdict::Keep | Verdict::StopUntil(_));
        if let Some((_, verdict)) = self.broker.engine.standing(lease)
            && !stays(verdict)
        {
            self.recall(lease, verdict);
        }
    }

    /// Leases can't go on: says so of those that are of this stream.
    pub fn recalled(&mut self, recall: &Recall) {
        for lease in recall.among(&self.bound) {
            self.recall(lease, recall.verdict);
        }
    }

    fn recall(&mut self, lease: LeaseId, verdict: Verdict) {
        let (verdict, reason, stop_until) = show::verdict(verdict);
        let event = pb::CollectRecall {
            lease: format!("leases/{lease}"),
            verdict: verdict.into(),
            reason: reason.into(),
            stop_until: optional_timestamp(stop_until),
        };
        self.say(About::Lease(lease), Event::Recall(event));
    }

    fn say(&mut self, about: About, event: Event) {
        if self.missed {
            return;
        }
        if self.unasked.put(about, event).is_err() {
            self.missed = true;
        }
    }

    /// A token was dead and is healed: says so if it is of the caller's team.
    pub fn healed(&mut self, ended: &DeadSpanView) {
        if self.caller.must_see(&ended.team).is_ok() {
            self.say(About::Healed(ended.token), Event::DeadSpan(Box::new(dead_span(ended))));
        }
    }

    /// Messages were lost: the standing of every lease takes their place.
    pub fn missed_messages(&mut self) {
        self.unasked.clear();
        self.missed = true;
    }

    fn answer(&mut self, tag: u64, event: Event) {
        self.answers.push(CollectResponse { tag, event: Some(event) });
    }

    fn refuse(&mut self, tag: u64, refusal: Refusal) {
        let event = refused(&self.broker, refusal);
        self.answer(tag, event);
    }

    /// What can be read now: all answers, then a part of a resync, or what is said unasked.
    pub fn take_batch(&mut self) -> Vec<CollectResponse> {
        let room = self.answers.capacity();
        let mut batch = std::mem::replace(&mut self.answers, Vec::with_capacity(room));
        if self.missed && self.resync.is_none() {
            self.missed = false;
            let leases: Vec<_> = self.bound.iter().copied().collect();
            self.resync = Some(Resync { tag: 0, leases: leases.into_iter() });
        }
        match self.resync.take() {
            Some(resync) => batch.push(self.next_standings(resync)),
            None => {
                while let Some(event) = self.unasked.pop() {
                    batch.push(CollectResponse { tag: 0, event: Some(event) });
                }
            }
        }
        batch
    }

    fn next_standings(&mut self, mut resync: Resync) -> CollectResponse {
        let tag = resync.tag;
        let part = resync.leases.by_ref().take(LEASES_A_MESSAGE);
        let standings = part.filter_map(|lease| self.broker.engine.standing(lease));
        let leases = standings.map(|(view, verdict)| show::lease_standing(&view, verdict)).collect();
        let more = resync.leases.len() > 0;
        self.resync = more.then_some(resync);
        CollectResponse { tag, event: Some(Event::Resync(pb::CollectResync { leases, more })) }
    }
}

fn refused(broker: &Broker, refusal: Refusal) -> Event {
    Event::Refused(refusal.message(broker.now()))
}
