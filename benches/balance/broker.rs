//! The broker's own pool and queue: workers lease ten to fifty calls, report every second, and give the lease back when it is used up.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use token_broker::base::clock::Timestamp;
use token_broker::base::ids::LeaseId;
use token_broker::domain::lease::Priority;
use token_broker::domain::networks::{self, ErrorClass, classify, read_usage};
use token_broker::domain::pool::{AcquireRequest, AppTerms, CallReport, Pool, PoolSettings, Refusal, Verdict};
use token_broker::domain::queue::{Attempt, Queue, TeamIndex, Waiter};
use token_broker::sim::Answer;

use crate::ground::{number_of, token_of};
use crate::judge::{Judge, START};
use crate::run::{Next, Way, Worker, workers};

const REPORT_EVERY: Duration = Duration::from_secs(1);

pub struct Broker {
    pub pool: Pool,
    queue: Queue,
    workers: Vec<Worker>,
    held: Vec<Option<Held>>,
    waits: Vec<bool>,
    woken: Vec<usize>,
    random: StdRng,
    leases: u128,
    retry_at: Option<Timestamp>,
}

/// A lease as its worker knows it.
struct Held {
    lease: LeaseId,
    token: usize,
    left: u64,
    unreported: u64,
    use_by: Timestamp,
    sequence: u64,
    reported_at: Timestamp,
    last: Option<Answer>,
    stopped: bool,
}

impl Broker {
    pub fn new(judge: &Judge, seed: u64) -> Self {
        let case = &judge.case;
        let bought = case.bought.map(|(class, units)| (class.parse().expect("a slug"), units));
        let terms = AppTerms { limits: BTreeMap::from_iter(bought), ..AppTerms::default() };
        let apps = BTreeMap::from([("default".parse().expect("a slug"), terms)]);
        let settings = PoolSettings { apps, ..PoolSettings::default() };
        let mut pool = Pool::new(judge.network.clone(), settings);
        for number in 0..case.teams * case.tokens_per_team {
            let mut token = token_of(&judge.network, case.kind, &team_name(judge.team_of(number)), number);
            token.facts = case.facts.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
            pool.put_token(&token, None, Vec::new(), START).expect("the network has tokens of that kind");
        }
        let workers = workers(judge);
        Self {
            pool,
            queue: Queue::new(1_000),
            held: workers.iter().map(|_| None).collect(),
            waits: vec![false; workers.len()],
            workers,
            woken: Vec::new(),
            random: StdRng::seed_from_u64(seed ^ 0xB0),
            leases: 0,
            retry_at: None,
        }
    }

    fn report(&mut self, judge: &Judge, worker: usize, release: bool) {
        let now = judge.now();
        let Some(held) = &mut self.held[worker] else { return };
        held.sequence += 1;
        held.reported_at = now;
        let mut report = CallReport {
            sequence: held.sequence,
            used: std::mem::take(&mut held.unreported),
            unused: 0,
            throttled: 0,
            errors: 0,
            answered: true,
            answered_at: None,
            class: ErrorClass::Ok,
            retry_after: None,
            readings: Vec::new(),
        };
        if let Some(answer) = held.last.take() {
            let http = judge.http(&answer);
            let seen = networks::Answer { status: http.status, headers: &http.headers, body: http.body.as_bytes() };
            let classified = classify(&judge.network, &seen);
            report.class = classified.class;
            report.retry_after = classified.retry_after;
            report.readings = read_usage(&judge.network, &http.headers, now);
        }
        let lease = held.lease;
        // A lease that ended by its time is not there any more.
        if let Ok(reported) = self.pool.report(now, lease, &report)
            && reported.verdict != Verdict::Keep
            && let Some(held) = &mut self.held[worker]
        {
            held.stopped = true;
        }
        if release {
            let _ = self.pool.release(now, lease, true);
            self.held[worker] = None;
        }
    }

    fn ask(&mut self, judge: &Judge, worker: usize) {
        let cost = self.random.random_range(10..=50);
        let team = self.workers[worker].team;
        let waiter = Waiter {
            id: worker as u64,
            team: TeamIndex(u32::try_from(team).expect("few teams")),
            team_weight: 1,
            priority: Priority::default(),
            collection: 0,
            collector: worker as u128,
            collector_weight: 1,
            cost,
            signature: team as u64,
            deadline: Timestamp::NEVER,
        };
        self.queue.push(waiter).expect("the queue holds all workers");
        self.waits[worker] = true;
        self.serve(judge);
    }

    /// Serves those that wait, in the queue's order.
    fn serve(&mut self, judge: &Judge) {
        let now = judge.now();
        self.retry_at = None;
        let Self { pool, queue, held, waits, woken, leases, retry_at, .. } = self;
        queue.serve(now, |waiter| {
            *leases += 1;
            let team = waiter.team.0 as usize;
            let request = AcquireRequest {
                lease: LeaseId::from_u128(*leases),
                team: team_name(team).parse().expect("a slug"),
                collector: None,
                operation: judge.operation,
                calls: waiter.cost,
                min_calls: 1,
                purpose: judge.purpose,
                token: None,
                profile: None,
                kind: None,
                keys: Vec::new(),
                collection: "brand".into(),
                ttl: Duration::from_secs(60),
            };
            match pool.acquire(now, &request) {
                Ok(acquired) => {
                    assert!(
                        pool.confirm(acquired.lease, &acquired.takes),
                        "a lease that was just opened can be confirmed"
                    );
                    let worker = usize::try_from(waiter.id).expect("few workers");
                    held[worker] = Some(Held {
                        lease: acquired.lease,
                        token: number_of(acquired.token),
                        left: acquired.calls,
                        unreported: 0,
                        use_by: acquired.use_by,
                        sequence: 0,
                        reported_at: now,
                        last: None,
                        stopped: false,
                    });
                    waits[worker] = false;
                    woken.push(worker);
                    Attempt::Served
                }
                Err(Refusal::Limited { until, .. }) => {
                    *retry_at = Some(retry_at.map_or(until, |before| before.min(until)));
                    Attempt::NotNow
                }
                Err(Refusal::Busy) => Attempt::NotNow,
                Err(never) => panic!("a team with tokens is refused for ever: {never:?}"),
            }
        });
    }
}

impl Way for Broker {
    fn next(&mut self, judge: &Judge, worker: usize) -> Next {
        if self.waits[worker] {
            return Next::Wait;
        }
        if let Some(held) = &mut self.held[worker] {
            if held.left > 0 && judge.now() < held.use_by && !held.stopped {
                held.left -= 1;
                held.unreported += 1;
                return Next::Call(held.token);
            }
            self.report(judge, worker, true);
        }
        self.ask(judge, worker);
        Next::Wait
    }

    fn answered(&mut self, judge: &Judge, worker: usize, _token: usize, answer: &Answer) {
        let Some(held) = &mut self.held[worker] else { return };
        held.last = Some(answer.clone());
        if held.left > 0 && judge.now().since(held.reported_at) >= REPORT_EVERY {
            self.report(judge, worker, false);
            self.serve(judge);
        }
    }

    fn tick(&mut self, judge: &Judge) -> Vec<usize> {
        self.pool.advance(judge.now());
        self.pool.expire(judge.now());
        // There is no store to tell.
        self.pool.take_updates();
        self.serve(judge);
        self.woken()
    }

    fn next_tick(&self) -> Option<Timestamp> {
        if self.queue.is_empty() {
            return None;
        }
        [self.pool.next_event(), self.retry_at].into_iter().flatten().min()
    }

    fn woken(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.woken)
    }

    fn over_granted(&self) -> u64 {
        self.pool.over_granted()
    }
}

fn team_name(team: usize) -> String {
    format!("team-{team}")
}
