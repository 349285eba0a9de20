//! The broker, its collectors, and what the bench does with it beside the streams.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use token_broker::app::CallMetrics;
use token_broker::app::services::services;
use token_broker::base::clock::{Clock, SystemClock};
use token_broker::base::ids::TeamId;
use token_broker::base::secret::Secret;
use token_broker::base::tasks::Tasks;
use token_broker::config::Config;
use token_broker::domain::networks::{Catalogue, Purpose, Purposes};
use token_broker::domain::team::{CollectorScope, KeyHolder};
use token_broker::domain::token::Clocks;
use token_broker::grpc::client::{Client, ClientSettings, connect};
use token_broker::grpc::listener::{GrpcServer, Limits, Listen};
use token_broker::grpc::pb;
use token_broker::grpc::pb::lease_service_client::LeaseServiceClient;
use token_broker::grpc::pb::token_service_client::TokenServiceClient;
use token_broker::service::apps::{CreateApp, UpdateApp};
use token_broker::service::collectors::CreateCollector;
use token_broker::service::keys::CreateKey;
use token_broker::service::teams::CreateTeam;
use token_broker::service::tokens::AddToken;
use token_broker::service::{Broker, Caller, Started};
use token_broker::store::{SqliteOptions, SqliteStore, Store};
use token_broker::telemetry::Metrics;

/// How a holder calls.
pub type Leases = LeaseServiceClient<Client>;

pub const TEAM: &str = "teams/bench";
pub const NETWORK: &str = "networks/bench";
pub const OPERATION: &str = "posts.search";

const WORKERS: usize = 2;
/// Leases that one token may have.
const MOST_LEASES: u32 = 2_000;

/// A broker on threads of its own.
pub struct Server {
    runtime: tokio::runtime::Runtime,
    broker: Broker,
    tasks: Tasks,
    grpc: GrpcServer,
    collectors: Vec<Leases>,
    admin: TokenServiceClient<Client>,
    apps: AtomicUsize,
}

/// A token that was added.
pub struct Added {
    pub name: String,
    pub profile: String,
}

impl Server {
    /// Starts it on a store in `dir`, with a team that has so many collectors.
    pub fn start(dir: &Path, collectors: usize) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
        let tasks = Tasks::default();
        let Started { broker, first_key, .. } = runtime.block_on(open(dir, &tasks))?;
        let _inside = runtime.enter();
        let listen = Listen {
            address: ([127, 0, 0, 1], 0).into(),
            workers: WORKERS,
            limits: Limits::default(),
            tls: None,
            clock: Arc::new(SystemClock::start()),
            observer: Arc::new(CallMetrics::new(&broker.metrics)),
            seed: 7,
        };
        let grpc = GrpcServer::start(listen, || services(&broker, &tasks, false))?;
        let client = |key| {
            let settings =
                ClientSettings { server: format!("http://{}", grpc.local_addr()), key, ca: None, identity: None };
            async move { anyhow::Ok(connect(&settings).await?) }
        };
        let team = TEAM.trim_start_matches("teams/").parse::<TeamId>()?;
        let (admin, collectors) = runtime.block_on(async {
            let ask = CreateTeam { id: team.clone(), display_name: String::new(), weight: 100, reserve_percent: None };
            broker.create_team(&Caller::Broker, ask).await?;
            let admin = TokenServiceClient::new(client(first_key).await?);
            let mut clients = Vec::new();
            for number in 0..collectors {
                let key = add_collector(&broker, &team, number).await?;
                clients.push(LeaseServiceClient::new(client(Some(key)).await?));
            }
            anyhow::Ok((admin, clients))
        })?;
        Ok(Self { runtime, broker, tasks, grpc, collectors, admin, apps: AtomicUsize::new(0) })
    }

    /// A collector's way in; its calls share one connection.
    pub fn collector(&self, number: usize) -> Leases {
        self.collectors[number].clone()
    }

    /// Adds tokens of so many persons, of an app that had none.
    pub async fn add_tokens(&self, persons: usize) -> anyhow::Result<Vec<Added>> {
        let network = NETWORK.trim_start_matches("networks/");
        let app = format!("app-{}", self.apps.fetch_add(1, Ordering::Relaxed));
        let ask = CreateApp { network: network.parse()?, id: app.parse()?, team: None, said: UpdateApp::default() };
        self.broker.create_app(&Caller::Broker, ask).await?;
        let team: TeamId = TEAM.trim_start_matches("teams/").parse()?;
        let mut added = Vec::with_capacity(persons);
        for person in 0..persons {
            let profile = format!("{app}-{person}");
            let ask = AddToken {
                network: network.to_owned(),
                kind: "user".to_owned(),
                app: Some(app.clone()),
                person: profile.clone(),
                profile: profile.clone(),
                label: String::new(),
                granted_by: String::new(),
                scopes: vec!["read".to_owned()],
                purposes: Purposes::default(),
                facts: Default::default(),
                max_leases: Some(MOST_LEASES),
                reserve_percent: None,
                clocks: Clocks::default(),
                access: Secret::new(format!("access-of-{profile}")),
                refresh: None,
            };
            let token = self.broker.add_token(&Caller::Broker, &team, ask).await?.token.id;
            added.push(Added { name: format!("{TEAM}/tokens/{token}"), profile });
        }
        Ok(added)
    }

    /// An operator ends a token.
    pub async fn revoke(&self, name: &str) -> anyhow::Result<()> {
        let ask = pb::RevokeTokenRequest { name: name.to_owned(), ..pb::RevokeTokenRequest::default() };
        self.admin.clone().revoke_token(ask).await?;
        Ok(())
    }

    /// A collector reports one call, with what the network answered.
    pub async fn report(&self, collector: usize, lease: &str, (http_status, body): (i32, &str)) -> anyhow::Result<()> {
        let report = pb::ReportUsageRequest {
            lease: lease.to_owned(),
            sequence: 1,
            calls: Some(pb::CallCounts { error: 1, ..pb::CallCounts::default() }),
            answer: Some(pb::NetworkAnswer {
                http_status,
                body: body.to_owned().into(),
                ..pb::NetworkAnswer::default()
            }),
            ..pb::ReportUsageRequest::default()
        };
        self.collectors[collector].clone().report_usage(report).await?;
        Ok(())
    }

    /// Stops it in order.
    pub fn stop(self) {
        let Self { runtime, broker, tasks, grpc, .. } = self;
        tasks.stop();
        runtime.block_on(async {
            tasks.join(Duration::from_secs(5)).await;
            broker.engine.stop(Duration::from_secs(5)).await;
            broker.store.close().await;
        });
        drop(grpc);
    }
}

async fn open(dir: &Path, tasks: &Tasks) -> anyhow::Result<Started> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut config = Config::default();
    dir.clone_into(&mut config.store.dir);
    let store = SqliteStore::open(SqliteOptions::new(dir), clock.clone()).await?;
    let (store, metrics): (Arc<dyn Store>, _) = (Arc::new(store), Metrics::new(&config.metrics));
    let network = ("bench.toml".to_owned(), include_str!("../wire/bench.toml").to_owned());
    let catalogue = Catalogue::load(&[network])?;
    Ok(Broker::start(config, catalogue, store, clock, metrics, tasks).await?)
}

/// Makes a collector, and returns its key.
async fn add_collector(broker: &Broker, team: &TeamId, number: usize) -> anyhow::Result<Secret> {
    let scope = CollectorScope {
        networks: Vec::new(),
        all_networks: true,
        purposes: [Purpose::CollectContent].into_iter().collect(),
        max_leases: 10_000,
    };
    let ask = CreateCollector {
        team: team.clone(),
        display_name: format!("collector-{number}"),
        scope,
        weight: 100,
        certificates: Vec::new(),
    };
    let collector = broker.create_collector(&Caller::Broker, ask).await?;
    let holder = KeyHolder::Collector(team.clone(), collector.id);
    let (_, key) = broker.create_key(&Caller::Broker, CreateKey::of(holder)).await?;
    key.context("a key without a certificate has a secret")
}
