//! The servers' side: what runs in the child processes.

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use token_broker::app::CallMetrics;
use token_broker::app::services::services;
use token_broker::base::clock::{Clock, SystemClock};
use token_broker::base::ids::{AuditId, CollectorId, TeamId};
use token_broker::base::tasks::Tasks;
use token_broker::config::{self, Config};
use token_broker::domain::audit::{Actor, AuditEvent};
use token_broker::domain::networks::{Catalogue, Network, Purpose};
use token_broker::domain::team::{Collector, CollectorScope, KeyHolder, Team};
use token_broker::grpc::call::{Observer, Unobserved};
use token_broker::grpc::listener::{Dispatch, GrpcServer, Limits, Listen};
use token_broker::grpc::pb::lease_service_server::LeaseServiceServer;
use token_broker::service::keys::CreateKey;
use token_broker::service::{Broker, Started};
use token_broker::store::{SqliteOptions, SqliteStore, Store};
use token_broker::telemetry::{Metrics, start_log};
use tonic::transport::server::TcpIncoming;

use crate::child::Hello;
use crate::echo::Echo;
use crate::ground::stored::{add_tokens, give_data_key, sealed};
use crate::ground::token_of;

/// The network that the leases are for.
const NETWORK: (&str, &str) = ("bench.toml", include_str!("bench.toml"));
/// Tokens of the team.
const TOKENS: usize = 1_000;
/// One worker, so that the other core of a small machine is left to the load.
const WORKERS: usize = 1;

/// Serves `role` until the standard input ends.
pub fn run(role: &str, dir: &Path) -> anyhow::Result<()> {
    start_log(&Config::default().log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let commits = Arc::new(AtomicU64::new(0));
    let _inside = runtime.enter();
    // As long as a key, since reading the metadata is a part of what is compared.
    let no_key = || format!("Bearer tbk_{:0105}", 7);
    let (address, authorization, _server) = match role {
        "bare" => (serve_bare()?, no_key(), None),
        "echo" => {
            let server = listen(Arc::new(Unobserved), || LeaseServiceServer::new(Echo))?;
            (server.local_addr(), no_key(), Some(server))
        }
        "broker" => {
            let (server, authorization) = runtime.block_on(start_broker(dir, &commits))?;
            (server.local_addr(), authorization, Some(server))
        }
        other => anyhow::bail!("there is no server '{other}'"),
    };
    let mut answers = std::io::stdout().lock();
    let hello = Hello { address, authorization };
    writeln!(answers, "{}", serde_json::to_string(&hello)?)?;
    for _ in std::io::stdin().lock().lines() {
        writeln!(answers, "{}", commits.load(Ordering::Relaxed))?;
    }
    Ok(())
}

/// The echo as tonic serves it by itself, on a thread and a current-thread runtime of its own. It ends with the process.
fn serve_bare() -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener)?).with_nodelay(Some(true));
            let server = tonic::transport::Server::builder().add_service(LeaseServiceServer::new(Echo));
            anyhow::Ok(server.serve_with_incoming(incoming).await?)
        })
    });
    Ok(address)
}

fn listen<S: Dispatch>(observer: Arc<dyn Observer>, services: impl Fn() -> S) -> anyhow::Result<GrpcServer> {
    let listen = Listen {
        address: ([127, 0, 0, 1], 0).into(),
        workers: WORKERS,
        limits: Limits::default(),
        tls: None,
        clock: Arc::new(SystemClock::start()),
        observer,
        seed: 7,
    };
    Ok(GrpcServer::start(listen, services)?)
}

/// A broker on a store in `dir`, with a team, its tokens and a collector, whose authorization is returned.
async fn start_broker(dir: &Path, commits: &Arc<AtomicU64>) -> anyhow::Result<(GrpcServer, String)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut config = Config::default();
    dir.clone_into(&mut config.store.dir);
    let metrics = Metrics::new(&config::Metrics::default());
    let tasks = Tasks::default();
    metrics.start_upkeep(&tasks);
    let mut options = SqliteOptions::new(dir);
    options.queue = config.store.write_queue;
    let (commits, committed) = (commits.clone(), metrics.clone());
    options.on_commit = Some(Arc::new(move |stats| {
        commits.fetch_add(1, Ordering::Relaxed);
        committed.store_committed(stats.changes, stats.took);
    }));
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(options, clock.clone()).await?);
    let catalogue = Catalogue::load(&[(NETWORK.0.to_owned(), NETWORK.1.to_owned())])?;
    let network = catalogue.network("bench").context("the bench's network")?.clone();
    let Started { broker, .. } = Broker::start(config, catalogue, store, clock, metrics, &tasks).await?;
    let authorization = populate(&broker, &network).await?;
    let server = listen(Arc::new(CallMetrics::new(&broker.metrics)), || services(&broker, &tasks, true))?;
    Ok((server, authorization))
}

/// Adds the team, its collector and its tokens.
async fn populate(broker: &Broker, network: &Network) -> anyhow::Result<String> {
    let team: TeamId = "bench".parse()?;
    let now = broker.now();
    let row = Team {
        id: team.clone(),
        display_name: "Bench".to_owned(),
        weight: 100,
        reserve_percent: None,
        created_at: now,
    };
    broker.store.insert_team(row.clone(), event(broker, "team.create").into()).await?;
    broker.directory.put_team(row);
    give_data_key(broker, &team).await?;
    let one = |number| {
        let token = token_of(network, "user", team.as_str(), number);
        sealed(broker, token, &format!("access-token-{number:0100}"), None)
    };
    add_tokens(broker, (0..TOKENS).map(one).collect::<anyhow::Result<_>>()?).await?;
    add_collector(broker, team).await
}

async fn add_collector(broker: &Broker, team: TeamId) -> anyhow::Result<String> {
    let collector = Collector {
        id: CollectorId::generate(),
        team: team.clone(),
        display_name: "wire".to_owned(),
        scope: CollectorScope {
            networks: Vec::new(),
            all_networks: true,
            purposes: [Purpose::CollectContent].into_iter().collect(),
            max_leases: 1_000_000,
        },
        weight: 100,
        certificates: Vec::new(),
        disabled: false,
        created_at: broker.now(),
    };
    broker.store.insert_collector(collector.clone(), event(broker, "collector.create").into()).await?;
    let holder = KeyHolder::Collector(team, collector.id);
    broker.directory.put_collector(collector);
    let (key, text) = broker.make_key(CreateKey::of(holder)).context("the machine gives no random numbers")?;
    broker.store.insert_key(key.clone(), event(broker, "key.create").into()).await?;
    broker.directory.put_key(key);
    Ok(format!("Bearer {}", text.context("a key without a certificate has a secret")?.expose()))
}

fn event(broker: &Broker, action: &'static str) -> AuditEvent {
    AuditEvent {
        id: AuditId::generate(),
        at: broker.now(),
        actor: Actor::Broker,
        action,
        team: None,
        subject: String::new(),
        detail: String::new(),
    }
}
