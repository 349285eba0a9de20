//! A whole broker for tests: a SQLite store in a directory of its own, a clock that stands still, and the embedded catalogue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::base::clock::{ManualClock, Timestamp};
use crate::base::ids::{CollectorId, KeyId, NetworkId, TeamId, TokenId};
use crate::base::secret::Secret;
use crate::base::tasks::Tasks;
use crate::config::Config;
use crate::domain::app::DEFAULT_APP;
use crate::domain::connection::Stage;
use crate::domain::consent::NEWEST;
use crate::domain::lease::Priority;
use crate::domain::networks::{Catalogue, Purpose, Purposes, TokenKind};
use crate::domain::team::{Collector, CollectorScope, KeyHolder};
use crate::domain::token::Clocks;
use crate::outbound::http::{FakeClient, NetworkClient};
use crate::service::apps::{UpdateApp, default_app};
use crate::service::caller::Shown;
use crate::service::collectors::CreateCollector;
use crate::service::connect::{CallbackQuery, Offer, StartConnection, Visitor};
use crate::service::keys::CreateKey;
use crate::service::teams::CreateTeam;
use crate::service::tokens::AddToken;
use crate::service::{AcquireLease, Broker, Caller, Started};
use crate::sim::{Simulation, Unwired, redirected};
use crate::store::{SqliteOptions, SqliteStore, Store};
use crate::telemetry::Metrics;

/// When the clock of a test stands at first.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// What X needs for collecting content with a person's token.
pub(crate) const SCOPES: [&str; 5] = ["tweet.read", "users.read", "like.read", "list.read", "offline.access"];

/// A broker with what a test wants to reach.
pub(crate) struct TestBroker {
    pub broker: Broker,
    pub clock: Arc<ManualClock>,
    pub tasks: Tasks,
    /// An operator who may change things.
    pub admin: Caller,
    /// The text of that operator's key.
    pub admin_key: String,
    /// What networks answer, unless the test brought its own.
    pub endpoint: Arc<FakeClient>,
    world: World,
    dir: TempDir,
}

/// The networks that a broker knows, and how they are reached.
#[derive(Clone)]
pub(crate) struct World {
    pub catalogue: Catalogue,
    pub endpoint: Arc<dyn NetworkClient>,
}

impl TestBroker {
    /// Tells people what they were not told yet.
    pub async fn tell(&self) {
        self.broker.tell_events().await.unwrap();
    }

    /// Starts one on an empty store.
    pub async fn start() -> Self {
        Self::start_with(Config::default()).await
    }

    /// Starts one on an empty store, with settings.
    pub async fn start_with(config: Config) -> Self {
        Self::start_by(config, Arc::new(ManualClock::at(START))).await
    }

    /// Starts one on an empty store, with settings and a clock.
    pub async fn start_by(config: Config, clock: Arc<ManualClock>) -> Self {
        Self::start_among(Catalogue::embedded(), config, clock).await
    }

    /// Starts one on an empty store, with settings and a clock, among networks of the test's own that answer what they are told.
    pub async fn start_among(catalogue: Catalogue, config: Config, clock: Arc<ManualClock>) -> Self {
        let endpoint = Arc::new(FakeClient::default());
        let world = World { catalogue, endpoint: endpoint.clone() };
        Self { endpoint, ..Self::start_in(world, config, clock).await }
    }

    /// Starts one on an empty store, with settings and a clock, in a world of the test's own.
    pub async fn start_in(world: World, config: Config, clock: Arc<ManualClock>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (broker, tasks, first_key) = start(config, dir.path(), clock.clone(), &world).await;
        let admin_key = first_key.expect("an empty store has no key").expose().to_owned();
        let admin = broker.authenticate(Some(&format!("Bearer {admin_key}"))).unwrap();
        Self { broker, clock, tasks, admin, admin_key, endpoint: Arc::default(), world, dir }
    }

    /// The folder of its store.
    pub fn folder(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Stops it, and starts another one on the same store.
    pub async fn restart(self) -> Self {
        let clock = self.clock.clone();
        self.restart_by(clock).await
    }

    /// Stops it, and starts another one on the same store and another clock.
    pub async fn restart_by(self, clock: Arc<ManualClock>) -> Self {
        let config = self.broker.config.clone();
        Self { clock, ..self }.restart_with(config).await
    }

    /// Stops it, and starts another one on the same store with other settings.
    pub async fn restart_with(self, config: Config) -> Self {
        let Self { broker, clock, tasks, admin, admin_key, endpoint, world, dir } = self;
        stop(&broker, &tasks).await;
        drop(broker);
        let (broker, tasks, first_key) = start(config, dir.path(), clock.clone(), &world).await;
        assert!(first_key.is_none(), "a key that works is in the store");
        Self { broker, clock, tasks, admin, admin_key, endpoint, world, dir }
    }

    /// Stops it in order; nothing may be left over.
    pub async fn stop(self) {
        stop(&self.broker, &self.tasks).await;
    }

    /// Runs statements on its store, past it.
    pub async fn sql(&self, statements: &'static str) {
        use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
        let file = SqliteConnectOptions::new().filename(self.folder().join("broker.db"));
        let patient = file.busy_timeout(Duration::from_secs(10));
        let mut connection = SqliteConnection::connect_with(&patient).await.unwrap();
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Another program that reads its store, and goes on reading the state as of now until it is dropped.
    pub async fn reader(&self) -> sqlx::SqliteConnection {
        use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
        let file = SqliteConnectOptions::new().filename(self.folder().join("broker.db"));
        let mut connection = file.connect().await.unwrap();
        sqlx::raw_sql("BEGIN; SELECT COUNT(*) FROM meta").execute(&mut connection).await.unwrap();
        connection
    }

    /// Makes a team.
    pub async fn team(&self, id: &str) -> TeamId {
        let id: TeamId = id.parse().unwrap();
        let ask = CreateTeam { id: id.clone(), display_name: String::new(), weight: 100, reserve_percent: None };
        self.broker.create_team(&self.admin, ask).await.unwrap();
        id
    }

    /// Makes a collector that may use every network for every purpose.
    pub async fn collector(&self, team: &TeamId, name: &str) -> Arc<Collector> {
        let scope = CollectorScope {
            networks: Vec::new(),
            all_networks: true,
            purposes: Purpose::ALL.into_iter().collect(),
            max_leases: 10,
        };
        let ask = CreateCollector {
            team: team.clone(),
            display_name: name.to_owned(),
            scope,
            weight: 100,
            certificates: Vec::new(),
        };
        self.broker.create_collector(&self.admin, ask).await.unwrap()
    }

    /// The collector as it calls now, as its registration stands.
    pub fn caller(&self, id: CollectorId) -> Caller {
        Caller::Collector {
            collector: self.broker.directory.collector(id).unwrap(),
            shown: Shown::Key(KeyId::from_u128(0)),
        }
    }

    /// A key of a holder, as its text.
    pub async fn key(&self, holder: KeyHolder) -> String {
        let (_, secret) = self.broker.create_key(&self.admin, CreateKey::of(holder)).await.unwrap();
        secret.expect("a key without a certificate has a secret").expose().to_owned()
    }

    /// Adds a token of a person at X.
    pub async fn token(&self, team: &TeamId, person: &str) -> TokenId {
        let refresh = Some(Secret::new(format!("refresh-of-{person}-in-{team}")));
        let given = AddToken { refresh, ..x_token(person) };
        self.broker.add_token(&self.admin, team, given).await.unwrap().token.id
    }
}

async fn start(
    mut config: Config,
    dir: &std::path::Path,
    clock: Arc<ManualClock>,
    world: &World,
) -> (Broker, Tasks, Option<Secret>) {
    config.store.dir = dir.to_owned();
    let tasks = Tasks::default();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(SqliteOptions::new(dir), clock.clone()).await.unwrap());
    let metrics = Metrics::new(&config.metrics);
    let World { catalogue, endpoint } = world.clone();
    let started = Broker::start_by(config, catalogue, store, clock, metrics, &tasks, endpoint).await.unwrap();
    let Started { broker, first_key, .. } = started;
    (broker, tasks, first_key)
}

async fn stop(broker: &Broker, tasks: &Tasks) {
    tasks.stop();
    assert!(tasks.join(Duration::from_secs(10)).await, "a task did not end");
    assert!(!tasks.panicked());
    broker.engine.stop(Duration::from_secs(10)).await;
    broker.store.close().await;
}

/// The catalogue, with the addresses of `simulation` in place of those of the world.
pub(crate) fn catalogue_of(simulation: &Simulation, address: std::net::SocketAddr) -> Catalogue {
    catalogue_with(simulation, address, |_| "")
}

/// As [`catalogue_of`], with `more` at the end of each network's file.
pub(crate) fn catalogue_with(
    simulation: &Simulation,
    address: std::net::SocketAddr,
    more: impl Fn(&NetworkId) -> &'static str,
) -> Catalogue {
    let served = simulation.networks().map(|network| {
        let name = format!("{}.toml", network.id);
        let text = redirected(network, Catalogue::built_in(&name).unwrap(), address);
        (name, text + more(&network.id))
    });
    Catalogue::load(&served.collect::<Vec<_>>()).unwrap()
}

/// Gives the app of a network whose apps show who they are by a key a new one, and tells the network of it.
pub(crate) async fn set_client_key(test: &TestBroker, simulation: &Simulation, network: &NetworkId) {
    let said = UpdateApp { generate_key: true, ..UpdateApp::default() };
    test.broker.update_app(&test.admin, network, &default_app(), said).await.unwrap();
    let document = test.broker.client_metadata(network.as_str(), DEFAULT_APP).unwrap().unwrap();
    simulation.know_client(network, &document).unwrap();
}

/// Connects the account of `person` as its browser would, which a token that is bound to a key needs: it can't be added. `healed`: the token to
/// heal. `Err`: the network did not let it happen now.
pub(crate) async fn connect_bound(
    test: &TestBroker,
    simulation: &Arc<Simulation>,
    team: &TeamId,
    kind: (&NetworkId, &TokenKind),
    person: &str,
    healed: Option<TokenId>,
) -> Result<TokenId, String> {
    let (network, kind) = kind;
    let served = Purpose::ALL.into_iter().filter(|purpose| kind.scopes_for(*purpose).is_some());
    let ask = StartConnection {
        network: network.to_string(),
        kind: kind.id.to_string(),
        purposes: served.collect(),
        token: healed,
        ..StartConnection::default()
    };
    let started = test.broker.start_connection(&test.admin, team, ask).await.unwrap();
    let link = started.link.expose().rsplit('/').next().unwrap();
    let sent = test.broker.begin_connection(Offer::Link(link), &Visitor::default(), NEWEST).await;
    let mut sent = sent.map_err(|error| error.to_string())?;
    sent.url.query_pairs_mut().append_pair("login_hint", person);
    let networks = Unwired::new(simulation.clone(), ([127, 0, 0, 1], 1).into());
    let request = http::Request::get(sent.url.as_str()).body(Vec::new()).unwrap();
    let answer = networks.answer(request).await.ok_or("the page did not come")?;
    let location = answer.headers().get("location").ok_or("the network failed")?.to_str().unwrap();
    let back: BTreeMap<_, _> = url::Url::parse(location).unwrap().query_pairs().into_owned().collect();
    let query = CallbackQuery {
        code: back.get("code").cloned().map(Secret::new),
        state: back["state"].clone(),
        issuer: back.get("iss").cloned(),
        ..CallbackQuery::default()
    };
    let visitor = Visitor { browser: Some(sent.browser), ..Visitor::default() };
    let id = started.connection.id;
    test.broker.finish_consent(network.clone(), query, &visitor).await.map_err(|error| error.to_string())?;
    let arrived = test.broker.show_connection(team, id).await.unwrap();
    if let Some(problem) = arrived.problem {
        return Err(problem.to_string());
    }
    let done = test.broker.complete_connection(&test.admin, team, id, &[], NEWEST).await;
    match done.map_err(|error| error.to_string())?.stage {
        Stage::Connected { tokens, .. } => Ok(tokens[0]),
        stage => Err(format!("{stage:?}")),
    }
}

/// A token of a person at X, for collecting content.
pub(crate) fn x_token(person: &str) -> AddToken {
    AddToken {
        network: "x".to_owned(),
        kind: "user".to_owned(),
        app: None,
        person: person.to_owned(),
        profile: String::new(),
        label: String::new(),
        granted_by: String::new(),
        scopes: SCOPES.map(str::to_owned).to_vec(),
        purposes: Purposes::default(),
        facts: BTreeMap::new(),
        max_leases: None,
        reserve_percent: None,
        clocks: Clocks::default(),
        access: Secret::new(format!("access-of-{person}")),
        refresh: Some(Secret::new(format!("refresh-of-{person}"))),
    }
}

/// Asks for calls of an operation of X that collects content.
pub(crate) fn ask(team: &TeamId, calls: u64) -> AcquireLease {
    AcquireLease {
        team: team.clone(),
        network: "x".to_owned(),
        operation: "tweets.search_recent".to_owned(),
        calls,
        min_calls: calls,
        purpose: Purpose::CollectContent,
        profile: None,
        kind: None,
        collection: "brand".to_owned(),
        priority: Priority::default(),
        wait: Duration::ZERO,
        ttl: None,
        keys: Vec::new(),
        request: None,
    }
}
