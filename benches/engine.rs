//! What one lease costs the pool, without the store: acquire, confirm, one report with the network's usage headers, release.
//!
//! The workload is the same per token in a small and in a large pool: leases of ten calls on X's recent search, which draws from two
//! buckets (the person's 15-minute window and the app's budget of posts), 22 leases per token and window, each reported once. Beside
//! it, the cheapest thing that people use today for a part of this: a keyed check of the governor crate.
//!
//! Targets: at most 1 µs a lease, and at most 1.5 times as much in a pool of 100,000 tokens as in one of 10.

mod ground;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use governor::{Quota, RateLimiter};
use token_broker::base::clock::Timestamp;
use token_broker::base::ids::{LeaseId, TokenId};
use token_broker::domain::networks::{Catalogue, ErrorClass, Owner, Purpose, Reading, Usage};
use token_broker::domain::pool::{AcquireRequest, AppTerms, CallReport, Pool, PoolSettings};

use ground::{Table, id_of, stopwatch, token_of, write_json};

const SIZES: [usize; 2] = [10, 100_000];
const CALLS: u64 = 10;
/// X counts 300 recent searches per person in 15 minutes.
const LIMIT: u64 = 300;
const WINDOW: Duration = Duration::from_secs(900);
/// The time between two leases on one token: 22 of them fit into a window and leave the owner's reserve alone.
const TURN: Duration = Duration::from_secs(40);
const START: Timestamp = Timestamp::from_secs(1_800_000_000);

fn main() {
    let samples = Mutex::new(BTreeMap::new());
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_secs(2))
        .measurement_time(Duration::from_secs(5))
        .without_plots()
        .configure_from_args();
    bench_pool(&mut criterion, &samples);
    bench_governor(&mut criterion, &samples);
    criterion.final_summary();
    summarise(&samples.into_inner().expect("no sample panicked"));
}

type Samples = Mutex<BTreeMap<(&'static str, usize), Vec<f64>>>;

fn bench_pool(criterion: &mut Criterion, samples: &Samples) {
    let mut group = criterion.benchmark_group("lease");
    for size in SIZES {
        let mut stage = Stage::set(size);
        // The first lease of a token makes its buckets: once in its life, so not a part of what a lease costs.
        stage.run(2 * size as u64);
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_custom(|leases| timed(samples, "lease", size, leases, || stage.run(leases)));
        });
        assert_eq!(stage.pool.over_granted(), 0);
    }
    group.finish();
}

fn bench_governor(criterion: &mut Criterion, samples: &Samples) {
    let mut group = criterion.benchmark_group("governor");
    for size in SIZES {
        let keys: Vec<TokenId> = (0..size).map(|number| TokenId::from_u128(id_of(number))).collect();
        let limiter = RateLimiter::dashmap(Quota::per_second(NonZeroU32::MAX));
        let mut next = 0;
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_custom(|checks| {
                timed(samples, "governor", size, checks, || {
                    for _ in 0..checks {
                        next = (next + 1) % size;
                        let _ = black_box(limiter.check_key(black_box(&keys[next])));
                    }
                })
            });
        });
    }
    group.finish();
}

fn timed(samples: &Samples, name: &'static str, size: usize, rounds: u64, work: impl FnOnce()) -> Duration {
    let (took, busy) = stopwatch(work);
    let nanos = busy.as_secs_f64() * 1e9 / rounds as f64;
    // The rounds of the warm-up are short; the later ones are measurements.
    if took >= Duration::from_millis(20) {
        samples.lock().expect("no sample panicked").entry((name, size)).or_default().push(nanos);
    }
    took
}

/// A pool with its tokens, what the network counted of them, and the time.
struct Stage {
    pool: Pool,
    /// Per token the end of the window and the calls in it, as the network counts them.
    counted: Vec<(Timestamp, u64)>,
    now: Timestamp,
    step: Duration,
    request: AcquireRequest,
    report: CallReport,
    leases: u128,
}

impl Stage {
    fn set(size: usize) -> Self {
        let network = Catalogue::embedded().network("x").expect("x is built in").clone();
        let operation = network.operation_index("tweets.search_recent").expect("x searches");
        // A budget that the bench can't spend, else it would end by itself.
        let limits = BTreeMap::from([("post_reads".parse().expect("a slug"), u64::MAX / 1_000)]);
        let terms = AppTerms { limits, ..AppTerms::default() };
        let apps = BTreeMap::from([("default".parse().expect("a slug"), terms)]);
        let settings = PoolSettings { apps, ..PoolSettings::default() };
        let mut pool = Pool::new(network.clone(), settings);
        for number in 0..size {
            let token = token_of(&network, "user", "acme", number);
            pool.put_token(&token, None, vec![7; 120], START).expect("x has tokens of that kind");
        }
        let request = AcquireRequest {
            lease: LeaseId::from_u128(0),
            team: "acme".parse().expect("a slug"),
            collector: None,
            operation,
            calls: CALLS,
            min_calls: CALLS,
            purpose: Purpose::CollectContent,
            token: None,
            profile: None,
            kind: None,
            keys: Vec::new(),
            collection: "brand".into(),
            ttl: Duration::from_secs(60),
        };
        let reading = Reading {
            owner: Owner::AppPerson,
            window: Some(WINDOW),
            class: None,
            object: None,
            usage: Usage::Count { limit: Some(LIMIT), remaining: Some(LIMIT), used: None },
            resets_at: None,
        };
        let report = CallReport {
            sequence: 1,
            used: CALLS,
            unused: 0,
            throttled: 0,
            errors: 0,
            answered: true,
            answered_at: None,
            class: ErrorClass::Ok,
            retry_after: None,
            readings: vec![reading],
        };
        let step = TURN / u32::try_from(size).expect("few tokens");
        Self { pool, counted: vec![(START, 0); size], now: START, step, request, report, leases: 0 }
    }

    fn run(&mut self, leases: u64) {
        for _ in 0..leases {
            self.now = self.now + self.step;
            self.pool.expire(self.now);
            self.leases += 1;
            self.request.lease = LeaseId::from_u128(ground::mix(self.leases));
            let acquired = match self.pool.acquire(self.now, &self.request) {
                Ok(acquired) => acquired,
                Err(refusal) => panic!("a pool with credit refused lease {}: {refusal:?}", self.leases),
            };
            self.pool.confirm(acquired.lease, &acquired.takes);
            self.count(acquired.token);
            let reported = self.pool.report(self.now, acquired.lease, &self.report).expect("the lease is held");
            let released = self.pool.release(self.now, acquired.lease, true).expect("the lease is held");
            black_box((&acquired, &reported, &released, self.pool.take_updates()));
        }
    }

    /// The network counts the calls, and says so in its headers.
    fn count(&mut self, token: TokenId) {
        let (end, used) = &mut self.counted[ground::number_of(token)];
        if *end <= self.now {
            (*end, *used) = (self.now + WINDOW, 0);
        }
        *used += CALLS;
        let reading = &mut self.report.readings[0];
        reading.resets_at = Some(*end);
        reading.usage = Usage::Count { limit: Some(LIMIT), remaining: Some(LIMIT - *used), used: None };
    }
}

fn summarise(samples: &BTreeMap<(&'static str, usize), Vec<f64>>) {
    let sorted = |name, size| {
        let mut sorted = samples.get(&(name, size)).cloned().unwrap_or_default();
        sorted.sort_by(f64::total_cmp);
        sorted
    };
    let median = |name, size| sorted(name, size).get(sorted(name, size).len() / 2).copied();
    let fastest = |name, size| sorted(name, size).first().copied();
    let head = ["processor time, median (fastest)", "10 tokens", "100,000 tokens", "ratio", "target"];
    let mut table = Table::new(&head);
    let mut rows = Vec::new();
    for (name, what, target) in [
        ("lease", "acquire + confirm + report + release", "≤ 1000 ns, ≤ 1.5"),
        ("governor", "governor: one keyed check", ""),
    ] {
        let (Some(small), Some(large)) = (median(name, SIZES[0]), median(name, SIZES[1])) else { continue };
        let (Some(least), Some(least_large)) = (fastest(name, SIZES[0]), fastest(name, SIZES[1])) else { continue };
        let cell = |median: f64, least: f64| format!("{median:.0} ns ({least:.0})");
        let ratio = format!("{:.2} ({:.2})", large / small, least_large / least);
        let cells = [what.to_owned(), cell(small, least), cell(large, least_large), ratio, target.to_owned()];
        table.row(&cells);
        rows.push(serde_json::json!({
            "what": what, "ns_10": small, "ns_100000": large, "ratio": large / small,
            "fastest_ns_10": least, "fastest_ns_100000": least_large, "fastest_ratio": least_large / least,
        }));
    }
    println!("\n{table}");
    write_json("engine", &serde_json::json!({ "rows": rows, "targets": { "ns": 1000, "ratio": 1.5 } }));
}
