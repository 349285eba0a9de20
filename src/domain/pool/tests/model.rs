//! The pool under random use, against two naive references: the network, which counts what is called, and the store, which adds up
//! what was taken. For every window rule the network never counts more than may be spent, the store never has to refuse, and in the
//! end all credit is there again.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::base::ids::BlockId;
use crate::domain::credit::{BlockTake, BucketNote, OpenedKey, span};

/// What the network allows of a window. Few different keys, so that random use reaches the limit.
const fn limit(window: &Window) -> u64 {
    match window {
        Window::Distinct { .. } => 20,
        _ => 100,
    }
}

/// The limit less the owner's reserve.
const fn spendable(window: &Window) -> u64 {
    limit(window) * 9 / 10
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    /// A lease, whose decision the store takes or loses.
    Acquire {
        calls: u64,
        key: u64,
        stored: bool,
    },
    /// Calls, and perhaps a report of all that were made; perhaps with what the network said the time before.
    Call {
        which: usize,
        calls: u64,
        report: bool,
        stale: bool,
    },
    TopUp {
        which: usize,
        calls: u64,
        stored: bool,
    },
    Release(usize),
    /// The network resets its counts before their time. Only its answers can tell, so from then on no report shows an older one.
    ResetEarly,
    /// The process is killed and starts anew; collectors go on with what they hold. What it noted of its buckets may be lost.
    Crash {
        noted: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let mostly = || prop::bool::weighted(0.9);
    prop_oneof![
        30 => (1_u64..40_000).prop_map(Step::Wait),
        40 => (1_u64..60, 0_u64..150, mostly()).prop_map(|(calls, key, stored)| Step::Acquire { calls, key, stored }),
        60 => (any::<usize>(), 1_u64..30, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(which, calls, report, stale)| Step::Call { which, calls, report, stale }),
        20 => (any::<usize>(), 1_u64..30, mostly()).prop_map(|(which, calls, stored)| Step::TopUp { which, calls, stored }),
        20 => any::<usize>().prop_map(Step::Release),
        1 => Just(Step::ResetEarly),
        2 => any::<bool>().prop_map(|noted| Step::Crash { noted }),
    ]
}

/// Counts calls as the network does.
struct Judge {
    window: Window,
    calls: Vec<Timestamp>,
    window_began: Option<Timestamp>,
    was_reset: bool,
    /// When each key was opened.
    keys: BTreeMap<String, Timestamp>,
}

impl Judge {
    fn call(&mut self, now: Timestamp, key: &str) {
        if let Window::Fixed { length, phase: Phase::Network } = self.window
            && self.window_began.is_none_or(|began| began + length <= now)
        {
            self.window_began = Some(now);
        }
        if let Window::Distinct { length } = self.window
            && self.keys.get(key).is_none_or(|opened| *opened + length <= now)
        {
            self.keys.insert(key.to_owned(), now);
        }
        self.calls.push(now);
    }

    /// What the network counts at `now`.
    fn count(&self, now: Timestamp) -> u64 {
        let since = match &self.window {
            Window::Fixed { length, phase: Phase::Network } => match self.window_began {
                Some(began) if began + *length > now => began,
                _ => return 0,
            },
            Window::Fixed { length, phase: Phase::Clock } => {
                let length = i64::try_from(length.as_micros()).unwrap();
                Timestamp::from_micros(now.micros() / length * length)
            }
            Window::Daily { .. } => Timestamp::from_secs(now.secs() / 86_400 * 86_400),
            Window::Distinct { length } => {
                return self.keys.values().filter(|opened| **opened + *length > now).count() as u64;
            }
            Window::Budget => return self.calls.len() as u64,
            other => {
                let length = span(other, limit(other));
                return self.calls.iter().filter(|at| now.since(**at) < length).count() as u64;
            }
        };
        self.calls.iter().filter(|at| **at >= since).count() as u64
    }

    fn reading(&self, now: Timestamp) -> Vec<Reading> {
        let resets_at = match self.window {
            Window::Fixed { length, phase: Phase::Network } => self.window_began.map(|began| began + length),
            Window::Rolling { .. } => None,
            _ => return Vec::new(),
        };
        let limit = limit(&self.window);
        let remaining = Some(limit.saturating_sub(self.count(now)));
        let usage = Usage::Count { limit: Some(limit), remaining, used: None };
        vec![Reading { owner: Owner::Person, window: None, class: None, object: None, usage, resets_at }]
    }

    fn reset_early(&mut self) {
        if let Window::Fixed { phase: Phase::Network, .. } = self.window {
            self.window_began = None;
            self.calls.clear();
            self.was_reset = true;
        }
    }
}

/// Adds up blocks as the store does.
#[derive(Default)]
struct Books {
    blocks: BTreeMap<BlockId, (BucketKey, u64, Timestamp)>,
    keys: BTreeMap<(BucketKey, String), Timestamp>,
    notes: BTreeMap<BucketKey, BucketNote>,
}

impl Books {
    fn charged(&self, now: Timestamp) -> u64 {
        self.blocks.values().filter(|(_, _, until)| *until > now).map(|(_, amount, _)| amount).sum()
    }

    fn learn(&mut self, updates: Vec<BlockUpdate>) {
        for update in updates {
            if let Some((_, amount, until)) = self.blocks.get_mut(&update.block) {
                *amount = update.amount.min(*amount);
                *until = update.charged_until.min(*until);
            }
        }
    }

    fn take(&mut self, takes: &[BlockTake], keys: &[OpenedKey], now: Timestamp) {
        for take in takes {
            let charged = self.charged(now);
            assert!(charged + take.amount <= take.cap, "the store refuses {take:?}, as {charged} are charged");
            self.blocks.insert(take.block, (take.bucket.clone(), take.amount, take.charged_until));
        }
        for key in keys {
            self.keys.insert((key.bucket.clone(), key.key.clone()), key.charged_until);
        }
    }
}

/// What a collector knows of a lease: calls it may still make, calls made and not yet reported.
struct Worker {
    lease: LeaseId,
    key: String,
    left: u64,
    unreported: u64,
    use_by: Timestamp,
    sequence: u64,
    last_reading: Vec<Reading>,
    /// The broker was killed since: it only uses up what it holds.
    orphaned: bool,
}

struct Play {
    pool: Pool,
    judge: Judge,
    books: Books,
    workers: Vec<Worker>,
    now: Timestamp,
    leases: u128,
    distinct: bool,
}

impl Play {
    fn of(window: Window) -> Self {
        let distinct = matches!(window, Window::Distinct { .. });
        Self {
            pool: Self::pool(&window),
            judge: Judge { window, calls: Vec::new(), window_began: None, was_reset: false, keys: BTreeMap::new() },
            books: Books::default(),
            workers: Vec::new(),
            now: START,
            leases: 0,
            distinct,
        }
    }

    fn pool(window: &Window) -> Pool {
        pool(network(vec![rule(Owner::Person, window.clone(), limit(window))], 1), &["ann", "ann"])
    }

    fn request(&mut self, calls: u64, keys: Vec<String>) -> AcquireRequest {
        self.leases += 1;
        AcquireRequest { keys, ..request(self.leases, calls) }
    }

    fn step(&mut self, step: Step) {
        self.pool.expire(self.now);
        let pool = &self.pool;
        self.workers.retain(|worker| worker.orphaned || pool.lease(worker.lease).is_some());
        let number = self.workers.len();
        match step {
            Step::Wait(millis) => self.now = self.now + Duration::from_millis(millis),
            Step::Acquire { calls, key, stored } => self.acquire(calls, format!("key {key}"), stored),
            Step::ResetEarly => self.judge.reset_early(),
            Step::Crash { noted } => self.crash(noted),
            _ if number == 0 => {}
            Step::Call { which, calls, report, stale } => self.call(which % number, calls, report, stale),
            Step::TopUp { which, calls, stored } => self.top_up(which % number, calls, stored),
            Step::Release(which) => self.release(which % number),
        }
        let counted = self.judge.count(self.now);
        let spendable = spendable(&self.judge.window);
        assert!(counted <= spendable, "the network counts {counted}, {spendable} may be spent");
        assert_eq!(self.pool.over_granted(), 0);
    }

    fn acquire(&mut self, calls: u64, key: String, stored: bool) {
        let keys = if self.distinct { vec![key.clone()] } else { Vec::new() };
        let request = self.request(calls, keys);
        let Ok(acquired) = self.pool.acquire(self.now, &request) else { return };
        if !stored {
            self.pool.cancel(acquired.lease, &acquired.takes, false, self.now);
            return;
        }
        self.books.learn(self.pool.take_updates());
        self.books.take(&acquired.takes, &acquired.keys, self.now);
        assert!(self.pool.confirm(acquired.lease, &acquired.takes));
        self.workers.push(Worker {
            lease: acquired.lease,
            key,
            left: acquired.calls,
            unreported: 0,
            use_by: acquired.use_by,
            sequence: 0,
            last_reading: Vec::new(),
            orphaned: false,
        });
    }

    fn call(&mut self, at: usize, calls: u64, report: bool, stale: bool) {
        let worker = &mut self.workers[at];
        let calls = if self.now < worker.use_by { calls.min(worker.left) } else { 0 };
        (0..calls).for_each(|_| self.judge.call(self.now, &worker.key));
        worker.left -= calls;
        worker.unreported += calls;
        let heard = if calls > 0 { self.judge.reading(self.now) } else { Vec::new() };
        let before = std::mem::replace(&mut worker.last_reading, heard.clone());
        let stale = stale && !self.judge.was_reset;
        if report && !worker.orphaned {
            worker.sequence += 1;
            let readings = if stale { before } else { heard };
            let said = CallReport { readings, ..quiet(worker.sequence, worker.unreported, 0) };
            let answer = self.pool.report(self.now, worker.lease, &said).unwrap();
            assert_eq!(answer.calls_left, worker.left);
            for effect in answer.effects {
                if let Effect::Note(note) = effect {
                    self.books.notes.insert(note.bucket.clone(), note);
                }
            }
            worker.unreported = 0;
        }
    }

    fn top_up(&mut self, at: usize, calls: u64, stored: bool) {
        let worker = &mut self.workers[at];
        // Calls that were not used in time must not be used in a later window.
        if self.now >= worker.use_by || worker.orphaned {
            return;
        }
        let Ok(more) = self.pool.top_up(self.now, worker.lease, calls, &[]) else { return };
        if !stored {
            self.pool.cancel_top_up(worker.lease, &more, TopUpFate::Lost, self.now);
            return;
        }
        self.books.learn(self.pool.take_updates());
        self.books.take(&more.takes, &more.keys, self.now);
        assert!(self.pool.confirm_top_up(worker.lease, &more));
        worker.left += more.calls;
        worker.use_by = more.use_by;
    }

    fn release(&mut self, at: usize) {
        let worker = self.workers.swap_remove(at);
        if !worker.orphaned {
            let said = quiet(worker.sequence + 1, worker.unreported, 0);
            self.pool.report(self.now, worker.lease, &said).unwrap();
            self.pool.release(self.now, worker.lease, true).unwrap();
        }
    }

    fn crash(&mut self, noted: bool) {
        self.pool = Self::pool(&self.judge.window);
        for (block, (bucket, amount, until)) in self.books.blocks.iter().filter(|(_, block)| block.2 > self.now) {
            assert!(self.pool.restore_block(bucket, *block, *amount, *until, self.now));
        }
        for ((bucket, key), until) in self.books.keys.iter().filter(|(_, until)| **until > self.now) {
            assert!(self.pool.restore_key(bucket, key.clone(), *until, self.now));
        }
        for note in self.books.notes.values().filter(|_| noted) {
            assert!(self.pool.restore_note(note, self.now));
        }
        self.workers.iter_mut().for_each(|worker| worker.orphaned = true);
    }

    /// After a long rest, all that may be spent can be had at once.
    fn end(&mut self) {
        self.now = self.now + Duration::from_secs(2 * 24 * 3600);
        self.pool.expire(self.now);
        self.books.learn(self.pool.take_updates());
        // Only a budget does not come back by itself.
        let spendable = spendable(&self.judge.window);
        let free = spendable - self.books.charged(self.now);
        assert!(free == spendable || self.judge.window == Window::Budget, "the store has {free} free");
        if free == 0 {
            return;
        }
        let keys = if self.distinct { (0..free).map(|key| format!("new key {key}")).collect() } else { Vec::new() };
        let calls = if self.distinct { 1 } else { free };
        let request = self.request(calls, keys);
        // The very end of a window is kept free, so a second try may be needed.
        let all = match self.pool.acquire(self.now, &request) {
            Err(Refusal::Limited { until, .. }) => self.pool.acquire(until, &request),
            other => other,
        };
        assert_eq!(all.map(|acquired| acquired.calls), Ok(calls), "credit has leaked");
    }
}

fn play(window: Window, steps: Vec<Step>) {
    let mut play = Play::of(window);
    steps.into_iter().for_each(|step| play.step(step));
    play.end();
}

macro_rules! plays {
    ($($name:ident: $window:expr;)*) => {
        proptest! {
            // A quarter of the usual number, since each plays up to 200 steps; `PROPTEST_CASES` sets it.
            #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]
            $(
                #[test]
                fn $name(steps in prop::collection::vec(step(), 1..200)) {
                    play($window, steps);
                }
            )*
        }
    };
}

plays! {
    a_rolling_limit_holds: Window::Rolling { length: MINUTE };
    a_fixed_limit_of_the_networks_phase_holds: Window::Fixed { length: MINUTE, phase: Phase::Network };
    a_fixed_limit_of_the_clocks_phase_holds: Window::Fixed { length: MINUTE, phase: Phase::Clock };
    a_long_fixed_limit_holds: Window::Fixed { length: 10 * MINUTE, phase: Phase::Network };
    a_paced_limit_holds: Window::Paced { per: Duration::from_millis(600) };
    a_daily_limit_holds: Window::Daily { zone: "UTC".to_owned() };
    a_limit_of_different_keys_holds: Window::Distinct { length: MINUTE };
    a_budget_holds: Window::Budget;
}
