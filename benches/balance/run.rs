//! Workers that call as fast as they are let, on virtual time: one event after another, the same for every way to choose a token.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use token_broker::base::clock::Timestamp;
use token_broker::sim::Answer;

use crate::judge::{Judge, START};

/// Calls per second that workers make one after another; each team has the same mix.
const RATES: [u64; 4] = [20, 12, 8, 5];

/// A way to choose the token of each call.
pub trait Way {
    /// What a worker that is free does now.
    fn next(&mut self, judge: &Judge, worker: usize) -> Next;
    /// The answer to a worker's call came.
    fn answered(&mut self, judge: &Judge, worker: usize, token: usize, answer: &Answer);
    /// Lets time pass. Returns the workers that have a token now.
    fn tick(&mut self, _judge: &Judge) -> Vec<usize> {
        Vec::new()
    }
    /// When time should pass next.
    fn next_tick(&self) -> Option<Timestamp> {
        None
    }
    /// Workers that got a token by what just happened.
    fn woken(&mut self) -> Vec<usize> {
        Vec::new()
    }
    /// Credit granted beyond what may be spent, where this is known.
    fn over_granted(&self) -> u64 {
        0
    }
}

/// What a worker does next.
#[derive(Debug, Clone, Copy)]
pub enum Next {
    /// Calls with this token.
    Call(usize),
    /// Asks again at this time.
    At(Timestamp),
    /// Waits until it is woken.
    Wait,
}

/// A worker: its team and the time that one of its calls takes.
#[derive(Debug, Clone, Copy)]
pub struct Worker {
    pub team: usize,
    pub gap: Duration,
}

/// The workers of all teams.
pub fn workers(judge: &Judge) -> Vec<Worker> {
    let case = &judge.case;
    let of_team = |team| {
        (0..case.workers_per_team)
            .map(move |nth| Worker { team, gap: Duration::from_micros(1_000_000 / RATES[nth % RATES.len()]) })
    };
    (0..case.teams).flat_map(of_team).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tick,
    Answered(usize),
    Free(usize),
}

/// Lets the workers work for `span`. Everything that happens follows from the seed.
pub fn run(judge: &mut Judge, way: &mut dyn Way, span: Duration, seed: u64) {
    let end = START + span;
    let workers = workers(judge);
    let mut random = StdRng::seed_from_u64(seed);
    let mut line = Line::default();
    for worker in 0..workers.len() {
        line.push(START + Duration::from_millis(random.random_range(0..1_000)), Event::Free(worker));
    }
    let mut under_way: Vec<Option<(usize, Answer)>> = vec![None; workers.len()];
    let mut ticks_at = Timestamp::NEVER;
    while let Some((at, event)) = line.pop() {
        if at >= end {
            break;
        }
        judge.clock.set(at);
        let free = match event {
            Event::Tick => {
                if at >= ticks_at {
                    ticks_at = Timestamp::NEVER;
                }
                way.tick(judge)
            }
            Event::Answered(worker) => {
                let (token, answer) = under_way[worker].take().expect("an answer follows a call");
                way.answered(judge, worker, token, &answer);
                vec![worker]
            }
            Event::Free(worker) => vec![worker],
        };
        let mut free = free;
        while let Some(worker) = free.pop() {
            match way.next(judge, worker) {
                Next::Call(token) => {
                    under_way[worker] = Some((token, judge.call(token)));
                    line.push(at + workers[worker].gap, Event::Answered(worker));
                }
                Next::At(again) => line.push(again.max(at + Duration::from_millis(1)), Event::Free(worker)),
                Next::Wait => {}
            }
            free.extend(way.woken());
        }
        if let Some(tick) = way.next_tick()
            && tick < ticks_at
        {
            ticks_at = tick.max(at + Duration::from_millis(1));
            line.push(ticks_at, Event::Tick);
        }
    }
    judge.clock.set(end);
}

/// What will happen, soonest first; at one moment in the order in which it was arranged.
#[derive(Default)]
struct Line {
    events: BinaryHeap<Reverse<(Timestamp, u64, Event)>>,
    arranged: u64,
}

impl Line {
    fn push(&mut self, at: Timestamp, event: Event) {
        self.arranged += 1;
        self.events.push(Reverse((at, self.arranged, event)));
    }

    fn pop(&mut self) -> Option<(Timestamp, Event)> {
        self.events.pop().map(|Reverse((at, _, event))| (at, event))
    }
}
