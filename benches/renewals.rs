//! How many tokens one process renews in a second.
//!
//! `RENEWALS` tokens of X (5,000) are due at once. Their network is simulated, is asked over HTTP on loopback, and rotates each refresh token;
//! it runs in this process, on threads of its own, whose CPU is told apart. 64 requests are under way at once, and the pace of the
//! app is set to the most that can be set. Goal: at least 500 renewals per second.

mod ground;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use token_broker::base::clock::{Clock, SystemClock};
use token_broker::base::ids::TeamId;
use token_broker::base::secret::Secret;
use token_broker::base::tasks::Tasks;
use token_broker::config::Config;
use token_broker::domain::networks::{Catalogue, Purposes};
use token_broker::domain::token::{Clocks, TokenState};
use token_broker::service::apps::UpdateApp;
use token_broker::service::teams::CreateTeam;
use token_broker::service::tokens::AddToken;
use token_broker::service::{Broker, Caller, Started};
use token_broker::sim::{self, ServedNetwork, TokenSpec};
use token_broker::store::{SqliteOptions, SqliteStore, Store, StoredToken};
use token_broker::telemetry::Metrics;

use ground::{setting, write_json};

const GOAL: f64 = 500.0;
const IN_FLIGHT: usize = 64;
const PER_SECOND: usize = 1_000;
/// What the threads of the simulation are called.
const SIMULATION: &str = "simulation";
/// An end to everything, should a renewal not come.
const LIMIT: Duration = Duration::from_secs(300);

fn main() -> anyhow::Result<ExitCode> {
    // Cargo runs a bench without a harness as a test, too: there is nothing to do then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = setting("RENEWALS").and_then(|text| text.parse().ok()).unwrap_or(5_000);
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    let network = threads.worker_threads(1).thread_name(SIMULATION).enable_all().build()?;
    let serving = Tasks::default();
    let served = network.block_on(simulate(wanted, &serving))?;
    let runtime = tokio::runtime::Runtime::new()?;
    let dir = tempfile::tempdir()?;
    let rate = runtime.block_on(async { tokio::time::timeout(LIMIT, measure(dir.path(), &served)).await })??;
    serving.stop();
    Ok(if rate >= GOAL { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Serves X with so many persons' tokens.
async fn simulate(persons: u32, tasks: &Tasks) -> anyhow::Result<ServedNetwork> {
    let network = Catalogue::embedded().network("x").context("the catalogue has it")?.clone();
    let options = sim::SimulateOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        seed: 1,
        speed: 1,
        networks: vec![network],
        tokens_per_network: persons,
        faults: Vec::new(),
    };
    let mut serving = sim::serve(options, Arc::new(SystemClock::start()), tasks).await?;
    serving.networks.pop().context("one network is served")
}

async fn measure(dir: &Path, served: &ServedNetwork) -> anyhow::Result<f64> {
    let tasks = Tasks::default();
    let broker = start(dir, served, &tasks).await?;
    let granted = served.tokens.iter().filter(|token| token.kind.as_str() == "user");
    let team: TeamId = "bench".parse()?;
    let ask = CreateTeam { id: team.clone(), display_name: String::new(), weight: 100, reserve_percent: None };
    broker.create_team(&Caller::Broker, ask).await?;
    let added: Vec<_> = granted.map(|spec| broker.add_token(&Caller::Broker, &team, given(&broker, spec))).collect();
    let added = futures_util::future::try_join_all(added).await?;
    let count = added.len();
    let now = broker.now();
    for token in added.into_iter().map(|added| added.token) {
        broker.store.hasten_renewal(token.id, token.version, now, now).await?;
    }
    let clock = SystemClock::start();
    let (began, before) = (clock.now(), cpu()?);
    broker.start_background(&tasks);
    let (network, app) = ("x".parse()?, "default".parse()?);
    loop {
        let next = broker.store.next_renewals(&network, &app, 1).await?;
        if next.iter().all(|(_, due)| due.since(broker.now()) > Duration::from_secs(600)) && !next.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = clock.now().since(began).as_secs_f64();
    let after = cpu()?;
    let renewed = renewed(&*broker.store).await?;
    ensure!(renewed == count, "{renewed} of {count} tokens were renewed: the others failed");
    tasks.stop();
    ensure!(tasks.join(Duration::from_secs(10)).await, "the background work ends");
    broker.engine.stop(Duration::from_secs(10)).await;
    broker.store.close().await;
    let rate = count as f64 / took;
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / count as f64;
    let (ours, theirs) = (each(after.0 - before.0), each(after.1 - before.1));
    println!("{count} tokens renewed in {took:.1} s: {rate:.0} per second");
    println!("CPU per renewal: {ours:.0} µs of the broker, {theirs:.0} µs of the simulated network");
    println!("{} at least {GOAL} per second", if rate >= GOAL { "met:   " } else { "MISSED:" });
    write_json("renewals", &json!({ "tokens": count, "per_second": rate, "broker_us": ours, "network_us": theirs }));
    Ok(rate)
}

/// How many tokens live with secrets that a renewal brought.
async fn renewed(store: &dyn Store) -> anyhow::Result<usize> {
    let (mut renewed, mut after) = (0, None);
    loop {
        let chunk = store.all_tokens(after, 1_000).await?;
        let lives = |stored: &&StoredToken| stored.token.version == 2 && stored.token.state == TokenState::Live;
        renewed += chunk.tokens.iter().filter(lives).count();
        after = chunk.next;
        if after.is_none() {
            return Ok(renewed);
        }
    }
}

async fn start(dir: &Path, served: &ServedNetwork, tasks: &Tasks) -> anyhow::Result<Broker> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut config = Config::default();
    dir.clone_into(&mut config.store.dir);
    (config.renewals.in_flight, config.renewals.per_second) = (IN_FLIGHT, PER_SECOND);
    config.renewals.network_per_second = PER_SECOND;
    let store = SqliteStore::open(SqliteOptions::new(dir), clock.clone()).await?;
    let (store, metrics): (Arc<dyn Store>, _) = (Arc::new(store), Metrics::new(&config.metrics));
    let (text, endpoint) = (include_str!("../src/domain/networks/catalogue/x.toml"), &served.oauth["user"]["token"]);
    let text = text.replace("https://api.x.com/2/oauth2/token", endpoint);
    let catalogue = Catalogue::load(&[("x.toml".to_owned(), text)])?;
    let Started { broker, .. } = Broker::start(config, catalogue, store, clock, metrics, tasks).await?;
    let client = UpdateApp {
        client_id: Some("app".to_owned()),
        client_secret: Some(Some(Secret::new("secret-of-the-app".to_owned()))),
        ..UpdateApp::default()
    };
    broker.update_app(&Caller::Broker, &"x".parse()?, &"default".parse()?, client).await?;
    Ok(broker)
}

/// A token that is renewed within the hour, if nobody hastens it.
fn given(broker: &Broker, spec: &TokenSpec) -> AddToken {
    AddToken {
        network: "x".to_owned(),
        kind: spec.kind.to_string(),
        app: None,
        person: spec.person.clone(),
        profile: String::new(),
        label: String::new(),
        granted_by: String::new(),
        scopes: spec.scopes.clone(),
        purposes: Purposes::default(),
        facts: Default::default(),
        max_leases: None,
        reserve_percent: None,
        clocks: Clocks { access_expires_at: Some(broker.now() + Duration::from_secs(3600)), ..Clocks::default() },
        access: Secret::new(spec.secret.clone()),
        refresh: spec.refresh_secret.clone().map(Secret::new),
    }
}

/// The CPU that this process has used so far, without the simulation's threads, and that of these (Linux).
fn cpu() -> anyhow::Result<(Duration, Duration)> {
    let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
    for thread in std::fs::read_dir("/proc/self/task")? {
        let thread = thread?.path();
        // A thread that has ended meanwhile has done nothing of note.
        let (Ok(name), Ok(text)) =
            (std::fs::read_to_string(thread.join("comm")), std::fs::read_to_string(thread.join("schedstat")))
        else {
            continue;
        };
        let spent = Duration::from_nanos(text.split(' ').next().unwrap_or_default().parse()?);
        *(if name.trim() == SIMULATION { &mut theirs } else { &mut ours }) += spent;
    }
    Ok((ours, theirs))
}
