//! The ways in which people choose a token today, each as simple as its model does it. None of them knows of the owner's reserve.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use token_broker::base::clock::Timestamp;
use token_broker::domain::networks::{Reading, Usage, read_usage};
use token_broker::sim::Answer;

use crate::judge::Judge;
use crate::run::{Next, Way, Worker, workers};

/// After a refusal that names no time: a second, doubled with each refusal in a row, at most a minute.
fn pause(refusals: u32) -> Duration {
    Duration::from_secs(1 << refusals.min(6)).min(Duration::from_secs(60))
}

/// What an answer tells a client that reads usage headers.
struct Told {
    throttled: bool,
    remaining: Option<u64>,
    resets_at: Option<Timestamp>,
    retry_after: Option<Duration>,
}

fn told(judge: &Judge, answer: &Answer) -> Told {
    let http = judge.http(answer);
    let readings = read_usage(&judge.network, &http.headers, judge.now());
    let remaining = |reading: &Reading| match reading.usage {
        Usage::Count { remaining, .. } => remaining,
        Usage::Percent(percent) => Some(100 - u64::from(percent.min(100))),
        Usage::Blocked => Some(0),
    };
    let retry_after = http.headers.iter().find(|(name, _)| name == "retry-after");
    Told {
        throttled: !answer.is_admitted(),
        remaining: readings.iter().filter_map(remaining).min(),
        resets_at: readings.iter().filter_map(|reading| reading.resets_at).max(),
        retry_after: retry_after.and_then(|(_, value)| value.parse().ok()).map(Duration::from_secs),
    }
}

/// Any token of the team; after a refusal the worker waits as long as it is told, or longer with each.
pub struct Random {
    workers: Vec<Worker>,
    random: StdRng,
    waits_until: Vec<Timestamp>,
    refusals: Vec<u32>,
}

impl Random {
    pub fn new(judge: &Judge, seed: u64) -> Self {
        let workers = workers(judge);
        Self {
            random: StdRng::seed_from_u64(seed ^ 0xA4),
            waits_until: vec![Timestamp::EPOCH; workers.len()],
            refusals: vec![0; workers.len()],
            workers,
        }
    }
}

impl Way for Random {
    fn next(&mut self, judge: &Judge, worker: usize) -> Next {
        if self.waits_until[worker] > judge.now() {
            return Next::At(self.waits_until[worker]);
        }
        Next::Call(self.random.random_range(judge.tokens_of(self.workers[worker].team)))
    }

    fn answered(&mut self, judge: &Judge, worker: usize, _token: usize, answer: &Answer) {
        let told = told(judge, answer);
        if !told.throttled {
            self.refusals[worker] = 0;
            return;
        }
        let asked = told.retry_after.unwrap_or_else(|| pause(self.refusals[worker]));
        self.refusals[worker] += 1;
        self.waits_until[worker] = judge.now() + asked;
    }
}

/// As scorecard's token server: `Next` gives the tokens in turn, each to one caller until `Release`; the client waits for the reset
/// when the token it was given has nothing left.
pub struct RoundRobin {
    workers: Vec<Worker>,
    turn: Vec<usize>,
    taken: Vec<bool>,
    waits_until: Vec<Timestamp>,
}

impl RoundRobin {
    pub fn new(judge: &Judge) -> Self {
        let workers = workers(judge);
        Self {
            turn: vec![0; judge.case.teams],
            taken: vec![false; judge.case.teams * judge.case.tokens_per_team],
            waits_until: vec![Timestamp::EPOCH; workers.len()],
            workers,
        }
    }
}

impl Way for RoundRobin {
    fn next(&mut self, judge: &Judge, worker: usize) -> Next {
        if self.waits_until[worker] > judge.now() {
            return Next::At(self.waits_until[worker]);
        }
        let team = self.workers[worker].team;
        let tokens = judge.tokens_of(team);
        for _ in 0..tokens.len() {
            let token = tokens.start + self.turn[team] % tokens.len();
            self.turn[team] += 1;
            if !self.taken[token] {
                self.taken[token] = true;
                return Next::Call(token);
            }
        }
        Next::At(judge.now() + Duration::from_millis(50))
    }

    fn answered(&mut self, judge: &Judge, worker: usize, token: usize, answer: &Answer) {
        self.taken[token] = false;
        let told = told(judge, answer);
        if told.throttled || told.remaining == Some(0) {
            let reset = told.resets_at.or(told.retry_after.map(|wait| judge.now() + wait));
            self.waits_until[worker] = reset.unwrap_or(judge.now() + Duration::from_secs(60));
        }
    }
}

/// As twscrape: the token that was used longest ago, alone, until it has nothing left; then it is locked until its reset, or for
/// fifteen minutes if the network does not say when that is.
pub struct LeastRecentlyUsed {
    workers: Vec<Worker>,
    used_at: Vec<Timestamp>,
    locked_until: Vec<Timestamp>,
    held: Vec<Option<usize>>,
}

impl LeastRecentlyUsed {
    pub fn new(judge: &Judge) -> Self {
        let workers = workers(judge);
        let tokens = judge.case.teams * judge.case.tokens_per_team;
        Self {
            used_at: vec![Timestamp::EPOCH; tokens],
            locked_until: vec![Timestamp::EPOCH; tokens],
            held: vec![None; workers.len()],
            workers,
        }
    }
}

impl Way for LeastRecentlyUsed {
    fn next(&mut self, judge: &Judge, worker: usize) -> Next {
        if let Some(token) = self.held[worker] {
            return Next::Call(token);
        }
        let now = judge.now();
        let free = |token: &usize| self.locked_until[*token] <= now && !self.held.contains(&Some(*token));
        let tokens = judge.tokens_of(self.workers[worker].team);
        match tokens.filter(free).min_by_key(|token| self.used_at[*token]) {
            Some(token) => {
                self.held[worker] = Some(token);
                Next::Call(token)
            }
            None => Next::At(now + Duration::from_secs(5)),
        }
    }

    fn answered(&mut self, judge: &Judge, worker: usize, token: usize, answer: &Answer) {
        let now = judge.now();
        self.used_at[token] = now;
        let told = told(judge, answer);
        if told.throttled || told.remaining == Some(0) {
            let reset = told.resets_at.or(told.retry_after.map(|wait| now + wait));
            self.locked_until[token] = reset.unwrap_or(now + Duration::from_secs(900));
            self.held[worker] = None;
        }
    }
}

/// One set of counters for all workers: the token with the most left, as the headers of successful answers say. What is on its way
/// is not counted, and a refusal teaches nothing.
pub struct Counters {
    workers: Vec<Worker>,
    left: BTreeMap<usize, (u64, Timestamp)>,
    waits_until: Vec<Timestamp>,
    refusals: Vec<u32>,
}

impl Counters {
    pub fn new(judge: &Judge) -> Self {
        let workers = workers(judge);
        Self {
            left: BTreeMap::new(),
            waits_until: vec![Timestamp::EPOCH; workers.len()],
            refusals: vec![0; workers.len()],
            workers,
        }
    }
}

impl Way for Counters {
    fn next(&mut self, judge: &Judge, worker: usize) -> Next {
        let now = judge.now();
        if self.waits_until[worker] > now {
            return Next::At(self.waits_until[worker]);
        }
        let left = |token: &usize| match self.left.get(token) {
            Some((left, until)) if *until > now => *left,
            _ => u64::MAX,
        };
        let tokens = judge.tokens_of(self.workers[worker].team);
        let best = tokens.clone().max_by_key(left).expect("every team has a token");
        if left(&best) == 0 {
            let reset = tokens.filter_map(|token| self.left.get(&token)).map(|(_, until)| *until).min();
            return Next::At(reset.unwrap_or(now + Duration::from_secs(1)));
        }
        Next::Call(best)
    }

    fn answered(&mut self, judge: &Judge, worker: usize, token: usize, answer: &Answer) {
        let told = told(judge, answer);
        if told.throttled {
            self.waits_until[worker] = judge.now() + pause(self.refusals[worker]);
            self.refusals[worker] += 1;
            return;
        }
        self.refusals[worker] = 0;
        if let Some(remaining) = told.remaining {
            let until = told.resets_at.unwrap_or(judge.now() + Duration::from_secs(60));
            self.left.insert(token, (remaining, until));
        }
    }
}
