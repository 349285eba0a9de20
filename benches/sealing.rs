//! How long it takes to seal every token's secrets anew after the sealing key was changed, and what leases feel of it meanwhile.
//!
//! Collectors take one lease after another, make its one call and give it back with its report: for a while as things are, then while the secrets are
//! sealed anew. `TOKENS` sets how many tokens there are (100,000). Goals: at most 60 s for 100,000, and no lease that fails.

mod ground;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use token_broker::base::clock::{Clock, SystemClock};
use token_broker::base::ids::TeamId;
use token_broker::base::tasks::Tasks;
use token_broker::config::Config;
use token_broker::domain::networks::Catalogue;
use token_broker::service::apps::TopUpBudget;
use token_broker::service::teams::CreateTeam;
use token_broker::service::{Answered, Broker, Caller, ReportUsage, Started};
use token_broker::store::{SqliteOptions, SqliteStore, Store};
use token_broker::telemetry::Metrics;

use ground::lease::ask;
use ground::stored::{add_tokens, give_data_key, sealed};
use ground::{Table, setting, token_of, write_json};

const WITHIN: Duration = Duration::from_secs(60);
/// How long leases are measured without a rotation.
const QUIET: Duration = Duration::from_secs(5);
/// Collectors that take one lease after another.
const COLLECTORS: usize = 16;
/// Tokens written in one transaction.
const BATCH: usize = 1_000;
/// What may be read in all, so that it is not the budget that ends leases.
const POSTS: i64 = 1_000_000_000_000;

fn tokens() -> usize {
    setting("TOKENS").and_then(|text| text.parse().ok()).unwrap_or(100_000)
}

fn main() -> anyhow::Result<ExitCode> {
    // Cargo runs a bench without a harness as a test, too: there is nothing to do then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(ExitCode::SUCCESS);
    }
    let measured = tokio::runtime::Runtime::new()?.block_on(measure())?;
    Ok(if measured.show() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure() -> anyhow::Result<Measured> {
    let dir = tempfile::tempdir()?;
    let tasks = Tasks::default();
    let broker = start(dir.path(), &tasks).await?;
    let team: TeamId = "bench".parse()?;
    populate(&broker, &team).await?;
    broker.start_background(&tasks);
    until_sealed(&broker).await;
    let clock = SystemClock::start();
    let quiet = Leases::start(&broker, &team);
    tokio::time::sleep(QUIET).await;
    let before = quiet.stop(QUIET).await?;
    let busy = Leases::start(&broker, &team);
    let began = clock.now();
    broker.rotate_sealing_key(&Caller::Broker).await?;
    until_sealed(&broker).await;
    let took = clock.now().since(began);
    let during = busy.stop(took).await?;
    let view = broker.view_sealing();
    ensure!((view.resealed, view.damaged) == (tokens() as u64, 0), "every secret is sealed anew, and opens");
    tasks.stop();
    ensure!(tasks.join(Duration::from_secs(10)).await, "the background work ends");
    broker.engine.stop(Duration::from_secs(10)).await;
    broker.store.close().await;
    Ok(Measured { took, before, during })
}

async fn start(dir: &Path, tasks: &Tasks) -> anyhow::Result<Broker> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut config = Config::default();
    dir.clone_into(&mut config.store.dir);
    let store = SqliteStore::open(SqliteOptions::new(dir), clock.clone()).await?;
    let (store, metrics): (Arc<dyn Store>, _) = (Arc::new(store), Metrics::new(&config.metrics));
    let Started { broker, .. } = Broker::start(config, Catalogue::embedded(), store, clock, metrics, tasks).await?;
    Ok(broker)
}

async fn populate(broker: &Broker, team: &TeamId) -> anyhow::Result<()> {
    let ask = CreateTeam { id: team.clone(), display_name: String::new(), weight: 100, reserve_percent: None };
    broker.create_team(&Caller::Broker, ask).await?;
    let (network, app) = ("x".parse()?, "default".parse()?);
    let more = TopUpBudget { network, app, class: "post_reads".to_owned(), units: POSTS };
    broker.top_up_budget(&Caller::Broker, more).await?;
    give_data_key(broker, team).await?;
    let network = broker.catalogue.network("x").context("the catalogue has it")?;
    for first in (0..tokens()).step_by(BATCH) {
        let new = |number| {
            let secret = format!("secret-{number:0100}");
            sealed(broker, token_of(network, "user", team.as_str(), number), &secret, Some(&secret))
        };
        let rows = (first..(first + BATCH).min(tokens())).map(new).collect::<anyhow::Result<_>>()?;
        add_tokens(broker, rows).await?;
    }
    Ok(())
}

async fn until_sealed(broker: &Broker) {
    while broker.view_sealing().resealing {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Collectors at work.
struct Leases {
    stop: Arc<AtomicBool>,
    workers: Vec<tokio::task::JoinHandle<Seen>>,
}

/// What one collector saw, or all together.
#[derive(Default)]
struct Seen {
    /// How long each lease that was granted was waited for.
    waits: Vec<Duration>,
    failed: usize,
    /// Why the last one failed.
    why: Option<String>,
}

/// How leases went.
struct Felt {
    per_second: f64,
    median: Duration,
    p99: Duration,
    longest: Duration,
    /// Leases that were not granted, or whose report was not taken.
    failed: usize,
    why: Option<String>,
}

impl Leases {
    fn start(broker: &Broker, team: &TeamId) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let worker = |_| {
            let (broker, team, stop) = (broker.clone(), team.clone(), stop.clone());
            #[expect(clippy::disallowed_methods, reason = "a collector of the bench is no task of the broker")]
            tokio::spawn(async move {
                let (clock, mut seen) = (SystemClock::start(), Seen::default());
                while !stop.load(Ordering::Relaxed) {
                    if let Err(error) = lease(&broker, &team, &clock, &mut seen.waits).await {
                        (seen.failed, seen.why) = (seen.failed + 1, Some(format!("{error:#}")));
                    }
                }
                seen
            })
        };
        Self { workers: (0..COLLECTORS).map(worker).collect(), stop }
    }

    async fn stop(self, after: Duration) -> anyhow::Result<Felt> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for worker in self.workers {
            let Seen { waits, failed, why } = worker.await?;
            all.waits.extend(waits);
            all.failed += failed;
            all.why = all.why.or(why);
        }
        let Seen { mut waits, failed, why } = all;
        ensure!(!waits.is_empty(), "no lease was granted: {}", why.unwrap_or_default());
        waits.sort_unstable();
        let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
        let per_second = waits.len() as f64 / after.as_secs_f64();
        Ok(Felt { per_second, median: at(0.5), p99: at(0.99), longest: at(1.0), failed, why })
    }
}

/// A lease of one call, which is made and reported. How long it took to get the lease is added to `waits`.
async fn lease(broker: &Broker, team: &TeamId, clock: &SystemClock, waits: &mut Vec<Duration>) -> anyhow::Result<()> {
    let began = clock.now();
    let leased = broker.acquire_lease(&Caller::Broker, ask(team)).await?;
    waits.push(clock.now().since(began));
    let answer = Some(Answered { status: 200, ..Answered::default() });
    let last = ReportUsage { sequence: 1, used: 1, served: 1, answer, ..ReportUsage::default() };
    broker.release_lease(&Caller::Broker, leased.lease, Some(last)).await?;
    Ok(())
}

struct Measured {
    took: Duration,
    before: Felt,
    during: Felt,
}

impl Measured {
    /// Prints the figures, and says whether the goals are met.
    fn show(&self) -> bool {
        let Self { took, before, during } = self;
        println!("{} tokens with two secrets each sealed anew in {:.1} s\n", tokens(), took.as_secs_f64());
        let mut table = Table::new(&["leases", "per second", "p50", "p99", "longest", "failed"]);
        table.row(&before.row("without a rotation"));
        table.row(&during.row("while secrets are sealed anew"));
        let times =
            |during: Duration, before: Duration| format!("× {:.2}", during.as_secs_f64() / before.as_secs_f64());
        table.row(&[
            "the latter by the former".to_owned(),
            format!("× {:.2}", during.per_second / before.per_second),
            times(during.median, before.median),
            times(during.p99, before.p99),
            times(during.longest, before.longest),
            String::new(),
        ]);
        println!("{table}");
        let within = WITHIN.mul_f64((tokens() as f64 / 100_000.0).max(0.1));
        let in_time = *took <= within;
        println!("{} sealed anew within {:.0} s", verdict(in_time), within.as_secs_f64());
        let failed = before.failed + during.failed;
        let why = before.why.iter().chain(&during.why).next().map(|why| format!(": {why}")).unwrap_or_default();
        println!("{} {failed} leases failed, and none may{why}", verdict(failed == 0));
        write_json(
            "sealing",
            &json!({"tokens": tokens(), "seconds": took.as_secs_f64(), "before": before.json(), "during": during.json()}),
        );
        in_time && failed == 0
    }
}

impl Felt {
    fn row(&self, name: &str) -> [String; 6] {
        let span = |span: Duration| format!("{span:.1?}");
        [
            name.to_owned(),
            format!("{:.0}", self.per_second),
            span(self.median),
            span(self.p99),
            span(self.longest),
            self.failed.to_string(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "per_second": self.per_second,
            "p50_us": self.median.as_micros(),
            "p99_us": self.p99.as_micros(),
            "failed": self.failed,
        })
    }
}

const fn verdict(met: bool) -> &'static str {
    if met { "met:   " } else { "MISSED:" }
}
