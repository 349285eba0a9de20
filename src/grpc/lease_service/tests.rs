//! The lease calls over a real socket, with a real client, on a broker with a real store and a clock that stands still.

mod errors;
mod life;
mod retries;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Server};
use tonic::{Request, Status};
use tonic_types::StatusExt;

use crate::base::clock::{ManualClock, Timestamp};
use crate::base::ids::{AuditId, CollectorId, NetworkId, TokenId};
use crate::base::tasks::Tasks;
use crate::config::Config;
use crate::domain::audit::{Actor, AuditEvent};
use crate::domain::networks::{Catalogue, Purpose};
use crate::domain::team::{Collector, CollectorScope, KeyHolder, OperatorRole, Team};
use crate::domain::token::{Clocks, Token, TokenState};
use crate::grpc::lease_service::LeaseServer;
use crate::grpc::pb;
use crate::grpc::pb::lease_service_client::LeaseServiceClient;
use crate::grpc::pb::lease_service_server::LeaseServiceServer;
use crate::service::Broker;
use crate::service::keys::CreateKey;
use crate::store::{NewToken, SqliteOptions, SqliteStore, StoredRenewal, StoredToken};
use crate::telemetry::Metrics;
use crate::vault::Place;

/// A network of 100 calls (90 after the owner's reserve) a quarter of an hour and token.
const TOY: &str = r#"
display_name = "Toy"
api_base = "https://api.toy.example/1"
errors = [
  { http = 429, class = "rate_limited_token", about = "A limit is reached.", verified = "documented" },
  { http = 401, class = "token_invalid", about = "In doubt.", verified = "documented" },
  { http = 401, code = "gone", class = "token_revoked", about = "The person removed the app.", verified = "documented" },
]
headers = [{ dialect = "retry_after", name = "retry-after", owner = "token", verified = "documented" }]

[error_body]
code = ["error"]
message = ["message"]

[[kinds]]
id = "user"
about = "A person's token."
renewal = { family = "nothing" }
scopes = [
  { purpose = "collect_content", scopes = ["read"] },
  { purpose = "publish", scopes = ["write"] },
]
verified = "documented"

[[kinds]]
id = "page"
about = "A page's token."
renewal = { family = "nothing" }
scopes = [{ purpose = "collect_content", scopes = [] }]
verified = "documented"

[[classes]]
id = "reads"
unit = "calls"
about = "Calls that read."
limits = [{ owner = "token", window = { rule = "fixed", length = "15min", phase = "network" }, amount = 100, verified = "documented" }]

[[classes]]
id = "tags"
unit = "keys"
about = "Different tags."
limits = [{ owner = "token", window = { rule = "distinct", length = "7d" }, amount = 3, verified = "documented" }]

[[operations]]
id = "posts.list"
about = "Read posts."
method = "GET"
path = "/posts"
purposes = ["collect_content"]
kinds = ["user"]
costs = { reads = 1 }
verified = "documented"

[[operations]]
id = "tags.search"
about = "Search by tag."
method = "GET"
path = "/tags"
purposes = ["collect_content"]
kinds = ["user"]
costs = { reads = 1, tags = 1 }
verified = "documented"
"#;

/// The access token that every lease carries.
const ACCESS: &str = "toy-access-token";

/// A broker that serves leases.
struct Bench {
    broker: Broker,
    clock: Arc<ManualClock>,
    address: String,
    admin: String,
    collector: Collector,
    key: String,
    tasks: Tasks,
    _dir: tempfile::TempDir,
}

/// Shows a key with each call.
#[derive(Clone)]
struct Key(Option<MetadataValue<Ascii>>);

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("authorization", key.clone());
        }
        Ok(request)
    }
}

type Client = LeaseServiceClient<InterceptedService<Channel, Key>>;

impl Drop for Bench {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Bench {
    /// A broker with team `acme`, one collector and one token.
    async fn start() -> Self {
        let bench = Self::without_token().await;
        bench.add_token(|_| {}).await;
        bench
    }

    async fn without_token() -> Self {
        Self::with_patience(Duration::from_secs(10)).await
    }

    async fn with_patience(patience: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let mut config = Config::default();
        config.store.dir = dir.path().to_owned();
        let catalogue = Catalogue::load(&[("toy.toml".to_owned(), TOY.to_owned())]).unwrap();
        let store = Arc::new(SqliteStore::open(SqliteOptions::new(dir.path()), clock.clone()).await.unwrap());
        let (tasks, metrics) = (Tasks::default(), Metrics::new(&config.metrics));
        let started = Broker::start(config, catalogue, store, clock.clone(), metrics, &tasks).await.unwrap();
        let broker = started.broker;
        let admin = started.first_key.unwrap().expose().to_owned();
        let address = serve(&broker, &tasks, patience).await;
        let team = Team {
            id: "acme".parse().unwrap(),
            display_name: "Acme".to_owned(),
            weight: 100,
            reserve_percent: None,
            created_at: clock_now(&clock),
        };
        broker.store.insert_team(team.clone(), event("team.add").into()).await.unwrap();
        broker.directory.put_team(team);
        let data_key = broker.vault.new_data_key(&"acme".parse().unwrap(), None);
        broker.vault.install(data_key).unwrap();
        let (collector, key) = add_collector(&broker, |_| {}).await;
        Self { broker, clock, address, admin, collector, key, tasks, _dir: dir }
    }

    async fn add_token(&self, change: impl FnOnce(&mut Token)) -> TokenId {
        let mut token = Token {
            id: TokenId::generate(),
            team: "acme".parse().unwrap(),
            network: "toy".parse().unwrap(),
            app: "default".parse().unwrap(),
            kind: "user".parse().unwrap(),
            person: uuid::Uuid::new_v4().to_string(),
            profiles: vec!["profile-1".to_owned()],
            label: "Ada".to_owned(),
            granted_by: String::new(),
            scopes: vec!["read".to_owned()],
            purposes: [Purpose::CollectContent].into_iter().collect(),
            facts: Default::default(),
            reserve_percent: None,
            max_leases: None,
            state: TokenState::Live,
            clocks: Clocks::default(),
            cooling_until: None,
            refreshed: false,
            closed: Default::default(),
            blocked_since: None,
            created_at: clock_now(&self.clock),
            version: 1,
        };
        change(&mut token);
        let place = Place::of_token(&token.id, &token.team, 1, "access");
        let sealed_access = self.broker.vault.seal(&place, ACCESS.as_bytes()).unwrap();
        let stored = StoredToken {
            token: token.clone(),
            sealed_access: sealed_access.clone(),
            sealed_refresh: None,
            sealed_key: None,
            renewal: StoredRenewal::default(),
        };
        let new = NewToken { stored, given_refresh: None, consent: None, trail: event("token.add").into() };
        assert!(self.broker.store.insert_tokens(vec![new], None).await.unwrap().duplicates.is_empty());
        self.broker.engine.put_token(&token, None, sealed_access);
        token.id
    }

    /// Changes a token's state in memory, as the services do after the store has it.
    fn set_state(&self, token: TokenId, state: TokenState) {
        let network: NetworkId = "toy".parse().unwrap();
        self.broker.engine.change_token_state(&network, token, |_| state);
    }

    async fn client(&self) -> Client {
        self.client_with(Some(&self.key)).await
    }

    async fn admin_client(&self) -> Client {
        self.client_with(Some(&self.admin)).await
    }

    async fn client_with(&self, key: Option<&str>) -> Client {
        let channel = Channel::from_shared(self.address.clone()).unwrap().connect().await.unwrap();
        let key = key.map(|key| format!("Bearer {key}").parse().unwrap());
        LeaseServiceClient::with_interceptor(channel, Key(key))
    }

    fn now(&self) -> Timestamp {
        clock_now(&self.clock)
    }

    /// Lets leases expire that are over.
    fn advance(&self, span: Duration) {
        self.clock.advance(span);
        self.broker.engine.tick();
    }
}

fn clock_now(clock: &ManualClock) -> Timestamp {
    crate::base::clock::Clock::now(clock)
}

async fn serve(broker: &Broker, tasks: &Tasks, patience: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let service = LeaseServiceServer::new(LeaseServer::new(broker.clone()).with_patience(patience));
    let stopping = tasks.clone();
    tasks.spawn("test server", async move {
        let incoming = TcpListenerStream::new(listener);
        let stopped = async move { stopping.stopped().await };
        Server::builder().add_service(service).serve_with_incoming_shutdown(incoming, stopped).await.unwrap();
    });
    address
}

/// Adds a collector of `acme`; returns it with a key.
async fn add_collector(broker: &Broker, change: impl FnOnce(&mut Collector)) -> (Collector, String) {
    let mut collector = Collector {
        id: CollectorId::generate(),
        team: "acme".parse().unwrap(),
        display_name: "worker".to_owned(),
        scope: CollectorScope {
            networks: vec!["toy".parse().unwrap()],
            all_networks: false,
            purposes: [Purpose::CollectContent].into_iter().collect(),
            max_leases: 1000,
        },
        weight: 100,
        certificates: Vec::new(),
        disabled: false,
        created_at: broker.now(),
    };
    change(&mut collector);
    broker.directory.put_collector(collector.clone());
    let (key, text) =
        broker.make_key(CreateKey::of(KeyHolder::Collector(collector.team.clone(), collector.id))).unwrap();
    broker.directory.put_key(key);
    (collector, text.unwrap().expose().to_owned())
}

fn add_reader(broker: &Broker) -> String {
    let (key, text) = broker.make_key(CreateKey::of(KeyHolder::Operator(OperatorRole::Reader))).unwrap();
    broker.directory.put_key(key);
    text.unwrap().expose().to_owned()
}

fn event(action: &'static str) -> AuditEvent {
    AuditEvent {
        id: AuditId::generate(),
        at: Timestamp::from_secs(1_800_000_000),
        actor: Actor::Broker,
        action,
        team: None,
        subject: String::new(),
        detail: String::new(),
    }
}

/// Asks for ten calls.
fn ask() -> pb::AcquireLeaseRequest {
    pb::AcquireLeaseRequest {
        team: "teams/acme".to_owned(),
        network: "networks/toy".to_owned(),
        operation: "posts.list".to_owned(),
        calls: 10,
        purpose: pb::Purpose::CollectContent.into(),
        ..pb::AcquireLeaseRequest::default()
    }
}

/// Reports calls that were served.
fn report(lease: &str, sequence: i64, ok: i32) -> pb::ReportUsageRequest {
    pb::ReportUsageRequest {
        lease: lease.to_owned(),
        sequence,
        calls: Some(pb::CallCounts { ok, ..pb::CallCounts::default() }),
        ..pb::ReportUsageRequest::default()
    }
}

/// The network's answer of that status, with a body.
fn answer(http_status: i32, body: &str) -> Option<pb::NetworkAnswer> {
    Some(pb::NetworkAnswer { http_status, body: body.to_owned().into(), ..pb::NetworkAnswer::default() })
}

fn release(lease: &str) -> pb::ReleaseLeaseRequest {
    pb::ReleaseLeaseRequest { lease: lease.to_owned(), ..pb::ReleaseLeaseRequest::default() }
}

async fn acquire(client: &mut Client, ask: pb::AcquireLeaseRequest) -> pb::Lease {
    client.acquire_lease(ask).await.unwrap().into_inner().lease.unwrap()
}

fn seconds(count: u64) -> Option<prost_types::Duration> {
    Some(crate::grpc::convert::duration(Duration::from_secs(count)))
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

fn metadata(status: &Status, key: &str) -> Option<String> {
    status.get_details_error_info()?.metadata.get(key).cloned()
}
