//! How long it takes to seal every token's secrets anew after the sealing key was changed, and what leases feel of it meanwhile.
//!
//! `TOKENS` sets how many there are (100,000). Goal: at most 60 s for 100,000, with leases running.

mod ground;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use token_broker::base::clock::{Clock, SystemClock};
use token_broker::base::ids::TeamId;
use token_broker::base::secret::Secret;
use token_broker::base::tasks::Tasks;
use token_broker::config::Config;
use token_broker::domain::lease::Priority;
use token_broker::domain::networks::{Catalogue, Purpose};
use token_broker::service::teams::CreateTeam;
use token_broker::service::{AcquireLease, Broker, Caller, Started};
use token_broker::store::{NewToken, SqliteOptions, SqliteStore, Store, StoredRenewal, StoredToken};
use token_broker::telemetry::Metrics;
use token_broker::vault::Place;

use ground::{Table, setting, token_of, write_json};

const WITHIN: Duration = Duration::from_secs(60);
/// How long leases are measured without a rotation.
const QUIET: Duration = Duration::from_secs(5);
/// Collectors that take one lease after another.
const COLLECTORS: usize = 16;
/// Tokens written in one transaction.
const BATCH: usize = 1_000;

fn tokens() -> usize {
    setting("TOKENS").and_then(|text| text.parse().ok()).unwrap_or(100_000)
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let took = runtime.block_on(measure());
    let goal = WITHIN.mul_f64((tokens() as f64 / 100_000.0).max(0.1));
    if took <= goal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure() -> Duration {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let tasks = Tasks::default();
    let broker = start(dir.path(), &tasks).await;
    let team: TeamId = "bench".parse().expect("a slug");
    populate(&broker, &team).await;
    broker.start_background(&tasks);
    until_sealed(&broker).await;
    let clock = SystemClock::start();
    let quiet = Leases::start(&broker, &team);
    tokio::time::sleep(QUIET).await;
    let before = quiet.stop(QUIET).await;
    let busy = Leases::start(&broker, &team);
    let began = clock.now();
    broker.rotate_sealing_key(&Caller::Broker).await.expect("the key can be changed");
    until_sealed(&broker).await;
    let took = clock.now().since(began);
    let during = busy.stop(took).await;
    let view = broker.view_sealing();
    assert_eq!((view.resealed, view.damaged), (tokens() as u64, 0));
    tasks.stop();
    tasks.join(Duration::from_secs(10)).await;
    broker.engine.stop(Duration::from_secs(10)).await;
    broker.store.close().await;
    show(took, &before, &during);
    took
}

async fn start(dir: &Path, tasks: &Tasks) -> Broker {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut config = Config::default();
    dir.clone_into(&mut config.store.dir);
    let store = SqliteStore::open(SqliteOptions::new(dir), clock.clone()).await.expect("the store can be opened");
    let (store, metrics): (Arc<dyn Store>, _) = (Arc::new(store), Metrics::new(&config.metrics));
    let started = Broker::start(config, Catalogue::embedded(), store, clock, metrics, tasks).await;
    let Started { broker, .. } = started.unwrap_or_else(|error| panic!("the broker does not start: {error}"));
    broker
}

async fn populate(broker: &Broker, team: &TeamId) {
    let ask = CreateTeam { id: team.clone(), display_name: String::new(), weight: 100, reserve_percent: None };
    broker.create_team(&Caller::Broker, ask).await.expect("a new team");
    let key = broker.vault.new_data_key(team, None);
    let row = token_broker::store::team::WrappedKey {
        team: team.clone(),
        id: key.number,
        wrapped: key.wrapped.clone(),
        created_at: broker.now(),
    };
    broker.store.insert_data_key(row).await.expect("a new data key");
    broker.vault.install(key).expect("our own key");
    let network = broker.catalogue.network("x").expect("the catalogue has it").clone();
    for first in (0..tokens()).step_by(BATCH) {
        let new = |number| {
            let token = token_of(&network, "user", team.as_str(), number);
            let seal = |column, text: &str| {
                let (row, version) = (&token.id.as_bytes()[..], u64::from(token.version));
                broker.vault.seal(&Place { table: "token", row, column, team, version }, text.as_bytes())
            };
            let secret = Secret::new(format!("secret-{number:0100}"));
            let sealed_access = seal("access", secret.expose()).expect("the team has a data key");
            let sealed_refresh = Some(seal("refresh", secret.expose()).expect("the team has a data key"));
            let trail = broker.audit(&Caller::Broker, "token.add", String::new(), String::new()).into();
            NewToken {
                given_refresh: None,
                consent: None,
                stored: StoredToken {
                    token,
                    sealed_access,
                    sealed_refresh,
                    sealed_key: None,
                    renewal: StoredRenewal::default(),
                },
                trail,
            }
        };
        let rows: Vec<_> = (first..(first + BATCH).min(tokens())).map(new).collect();
        for NewToken { stored, .. } in &rows {
            broker.engine.put_token(&stored.token, None, stored.sealed_access.clone());
        }
        broker.store.insert_tokens(rows, None).await.expect("new tokens");
    }
}

async fn until_sealed(broker: &Broker) {
    while broker.view_sealing().resealing {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Collectors at work.
struct Leases {
    stop: Arc<AtomicBool>,
    waits: Arc<Mutex<Vec<Duration>>>,
    workers: Vec<tokio::task::JoinHandle<()>>,
}

/// How leases went.
struct Felt {
    per_second: f64,
    median: Duration,
    p99: Duration,
    longest: Duration,
}

impl Leases {
    fn start(broker: &Broker, team: &TeamId) -> Self {
        let (stop, waits) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let worker = |_| {
            let (broker, team, stop, waits) = (broker.clone(), team.clone(), stop.clone(), waits.clone());
            #[expect(clippy::disallowed_methods, reason = "a collector of the bench is no task of the broker")]
            tokio::spawn(async move {
                let clock = SystemClock::start();
                while !stop.load(Ordering::Relaxed) {
                    let began = clock.now();
                    let leased = broker.acquire_lease(&Caller::Broker, ask(&team)).await.expect("there is credit");
                    waits.lock().expect("no panic").push(clock.now().since(began));
                    let _ = broker.engine.release(leased.lease);
                }
            })
        };
        let workers = (0..COLLECTORS).map(worker).collect();
        Self { stop, waits, workers }
    }

    async fn stop(self, after: Duration) -> Felt {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.await.expect("no collector fails");
        }
        let mut waits = std::mem::take(&mut *self.waits.lock().expect("no panic"));
        waits.sort_unstable();
        let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
        Felt { per_second: waits.len() as f64 / after.as_secs_f64(), median: at(0.5), p99: at(0.99), longest: at(1.0) }
    }
}

fn ask(team: &TeamId) -> AcquireLease {
    AcquireLease {
        team: team.clone(),
        network: "x".to_owned(),
        operation: "tweets.search_recent".to_owned(),
        calls: 1,
        min_calls: 1,
        purpose: Purpose::CollectContent,
        profile: None,
        kind: None,
        collection: "bench".to_owned(),
        priority: Priority::default(),
        wait: Duration::ZERO,
        ttl: None,
        keys: Vec::new(),
        request: None,
    }
}

fn show(took: Duration, before: &Felt, during: &Felt) {
    println!("{} tokens with two secrets each sealed anew in {:.1} s\n", tokens(), took.as_secs_f64());
    let mut table = Table::new(&["leases", "per second", "median", "p99", "longest"]);
    let row = |name: &str, felt: &Felt| {
        let Felt { per_second, median, p99, longest } = felt;
        [
            name.to_owned(),
            format!("{per_second:.0}"),
            format!("{median:.1?}"),
            format!("{p99:.1?}"),
            format!("{longest:.1?}"),
        ]
    };
    table.row(&row("without a rotation", before));
    table.row(&row("while secrets are sealed anew", during));
    println!("{table}");
    let felt = |felt: &Felt| json!({"per_second": felt.per_second, "median_us": felt.median.as_micros(), "p99_us": felt.p99.as_micros()});
    write_json(
        "sealing",
        &json!({"tokens": tokens(), "seconds": took.as_secs_f64(), "before": felt(before), "during": felt(during)}),
    );
}
