//! A broker on a clock that stands still, with a small network, for the tests of what it does by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::base::clock::{Clock, ManualClock, SystemClock};
use crate::base::ids::TeamId;
use crate::base::secret::Secret;
use crate::base::tasks::Tasks;
use crate::config::Config;
use crate::domain::lease::Priority;
use crate::domain::load::LoadKey;
use crate::domain::networks::{Catalogue, Purpose, Purposes};
use crate::domain::token::Clocks;
use crate::service::teams::CreateTeam;
use crate::service::tokens::{AddToken, TokenView};
use crate::service::{AcquireLease, Broker, Caller, Started};
use crate::store::{SqliteOptions, SqliteStore, Store};
use crate::telemetry::Metrics;

/// A network whose tokens give 100 searches in 5 minutes each, 100 reads together, and 5 keys at a time each.
const NETWORK: &str = r#"
display_name = "Net"
api_base = "http://127.0.0.1"
errors = [{ http = 500, class = "transient", about = "It fails.", verified = "documented" }]

[[kinds]]
id = "user"
about = "A person's token."
renewal = { family = "nothing" }
scopes = [{ purpose = "collect_content", scopes = ["read"] }]
verified = "documented"

[kinds.oauth]
authorize_url = "https://127.0.0.1/authorize"
token_url = "https://127.0.0.1/token"
pkce = "optional"
client_auth = "post"
scope_separator = " "

[[classes]]
id = "search"
unit = "calls"
about = "Searches."
limits = [{ owner = "token", window = { rule = "rolling", length = "5min" }, amount = 100, verified = "documented" }]

[[classes]]
id = "read"
unit = "calls"
about = "Reads."
limits = [{ owner = "app", window = { rule = "rolling", length = "5min" }, amount = 100, verified = "documented" }]

[[classes]]
id = "tags"
unit = "keys"
about = "Different keys."
limits = [{ owner = "token", window = { rule = "distinct", length = "7d" }, amount = 5, verified = "documented" }]

[[retention]]
rule = "Everything is deleted 7 days after the last valid token."
after = "7d"
since_loss = true
verified = "documented"

[[operations]]
id = "search"
about = "Search."
method = "GET"
path = "/search"
purposes = ["collect_content"]
costs = { search = 1 }
verified = "documented"

[[operations]]
id = "read"
about = "Read."
method = "GET"
path = "/read"
purposes = ["collect_content"]
costs = { read = 1 }
verified = "documented"

[[operations]]
id = "tag"
about = "Read a key."
method = "GET"
path = "/tag/{key}"
purposes = ["collect_content"]
costs = { tags = 1 }
verified = "documented"
"#;

/// How long the load must hold.
pub const HOLD: Duration = Duration::from_secs(60);
/// Between two rounds.
pub const ROUND: Duration = Duration::from_secs(10);
/// The rounds of 5 minutes.
pub const ROUNDS: usize = 30;

/// A running broker.
pub struct Watched {
    /// The broker.
    pub broker: Broker,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// Its first key, if it was made in this run.
    pub first_key: Option<Secret>,
    config: Config,
    tasks: Tasks,
    _dir: TempDir,
    round: usize,
    people: usize,
}

/// The team of most tests.
pub fn acme() -> TeamId {
    "acme".parse().unwrap()
}

impl Watched {
    /// Tells people what they were not told yet.
    pub async fn tell(&self) {
        self.broker.tell_events().await.unwrap();
    }

    /// A broker with a team without tokens. The clock begins with the present second, since receivers of webhooks compare it.
    pub async fn start(change: impl FnOnce(&mut Config)) -> Watched {
        let mut config = Config::default();
        config.load.hold = HOLD;
        change(&mut config);
        let dir = TempDir::new().unwrap();
        config.store.dir = dir.path().to_owned();
        let second = SystemClock::start().now().secs();
        let clock = Arc::new(ManualClock::at(crate::base::clock::Timestamp::from_secs(second - second % 300)));
        let (broker, tasks, first_key) = start(&config, &clock).await;
        let watched = Watched { broker, clock, first_key, config, tasks, _dir: dir, round: 0, people: 0 };
        watched.add_team("acme").await;
        watched
    }

    /// Stops the broker and starts it again on the same data.
    pub async fn restart(&mut self) {
        self.tasks.stop();
        self.broker.engine.stop(Duration::from_secs(5)).await;
        assert!(self.tasks.join(Duration::from_secs(10)).await);
        self.broker.store.close().await;
        let (broker, tasks, first_key) = start(&self.config, &self.clock).await;
        (self.broker, self.tasks, self.first_key) = (broker, tasks, first_key);
    }

    /// Adds a team whose owners keep nothing back.
    pub async fn add_team(&self, id: &str) {
        let id: TeamId = id.parse().unwrap();
        let team = CreateTeam { display_name: id.to_string(), id, weight: 100, reserve_percent: Some(0) };
        self.broker.create_team(&Caller::Broker, team).await.unwrap();
    }

    /// Adds a token of one more person to the team of most tests.
    pub async fn add_token(&mut self, clocks: Clocks) -> TokenView {
        self.add_token_of(&acme(), clocks).await
    }

    /// Adds a token of one more person to a team.
    pub async fn add_token_of(&mut self, team: &TeamId, clocks: Clocks) -> TokenView {
        self.people += 1;
        let token = AddToken { clocks, ..user_token("net", &["read"], &self.people.to_string()) };
        self.broker.add_token(&Caller::Broker, team, token).await.unwrap()
    }

    /// Adds a token of one more person, granted by a member as the team names it.
    pub async fn add_granted_token(&mut self, granted_by: &str) -> TokenView {
        self.people += 1;
        let token =
            AddToken { granted_by: granted_by.to_owned(), ..user_token("net", &["read"], &self.people.to_string()) };
        self.broker.add_token(&Caller::Broker, &acme(), token).await.unwrap()
    }

    /// Adds a token of one more person, which speaks for a profile.
    pub async fn add_token_for(&mut self, profile: &str) -> TokenView {
        self.people += 1;
        let token = AddToken { profile: profile.to_owned(), ..user_token("net", &["read"], &self.people.to_string()) };
        self.broker.add_token(&Caller::Broker, &acme(), token).await.unwrap()
    }

    /// Adds a person's token of X to the team of most tests.
    pub async fn add_x_token(&self) {
        let token = user_token("x", &["tweet.read", "users.read"], "of X");
        self.broker.add_token(&Caller::Broker, &acme(), token).await.unwrap();
    }

    /// Adds that many tokens.
    pub async fn add_tokens(&mut self, count: usize) {
        for _ in 0..count {
            self.add_token(Clocks::default()).await;
        }
    }

    /// A request for `calls`, which does not wait.
    pub fn request(operation: &str, calls: u64) -> AcquireLease {
        AcquireLease {
            team: acme(),
            network: "net".to_owned(),
            operation: operation.to_owned(),
            calls,
            min_calls: calls,
            purpose: Purpose::CollectContent,
            profile: None,
            kind: None,
            collection: "brand".to_owned(),
            priority: Priority::Normal,
            wait: Duration::ZERO,
            ttl: None,
            keys: Vec::new(),
            request: None,
        }
    }

    /// Asks, and gives back what was granted at once. Whether it was does not matter.
    pub async fn ask(&self, request: AcquireLease) {
        if let Ok(leased) = self.broker.acquire_lease(&Caller::Broker, request).await {
            self.broker.release_lease(&Caller::Broker, leased.lease, None).await.unwrap();
        }
    }

    /// The credit that the team of most tests has asked for in the last hour.
    pub fn demand(&self, class: &str) -> u64 {
        let key = LoadKey { team: acme(), network: "net".parse().unwrap(), class: class.parse().unwrap() };
        let now = self.broker.now();
        self.broker.engine.look_at_demand(&key.network, |meter| meter.total(now, &key).hour.credits).unwrap()
    }

    /// One round: each of 30 collections asks once in 5 minutes; then 10 seconds pass, and loads and alerts are looked at.
    pub async fn round(&mut self, operation: &str, calls: u64) {
        if calls > 0 {
            let collection = format!("brand {}", self.round % ROUNDS);
            self.ask(AcquireLease { collection, ..Self::request(operation, calls) }).await;
        }
        self.round += 1;
        self.clock.advance(ROUND);
        self.broker.watch_loads().await.unwrap();
    }

    /// Rounds for that long.
    pub async fn rounds(&mut self, operation: &str, calls: u64, span: Duration) {
        for _ in 0..span.as_secs() / ROUND.as_secs() {
            self.round(operation, calls).await;
        }
    }

    /// The last messages of alerts that are open.
    pub async fn open_messages(&self) -> Vec<String> {
        let open = self.broker.open_alerts(None).await.unwrap();
        open.into_iter().map(|alert| alert.message).collect()
    }

    /// How many alerts were ever opened.
    pub async fn opened(&self) -> usize {
        self.broker.list_alerts(&Caller::Broker, crate::service::ListAlerts::default(), 1000).await.unwrap().len()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

fn user_token(network: &str, scopes: &[&str], name: &str) -> AddToken {
    AddToken {
        network: network.to_owned(),
        kind: "user".to_owned(),
        app: None,
        person: format!("person {name}"),
        profile: String::new(),
        label: String::new(),
        granted_by: String::new(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        purposes: Purposes::default(),
        facts: BTreeMap::new(),
        max_leases: None,
        reserve_percent: None,
        clocks: Clocks::default(),
        access: Secret::new(format!("access {name}")),
        refresh: None,
    }
}

async fn start(config: &Config, clock: &Arc<ManualClock>) -> (Broker, Tasks, Option<Secret>) {
    let files = [("net.toml".to_owned(), NETWORK.to_owned())];
    let catalogue = Catalogue::load(&files).unwrap();
    let store = SqliteStore::open(SqliteOptions::new(&config.store.dir), clock.clone()).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let (tasks, metrics) = (Tasks::default(), Metrics::new(&config.metrics));
    let started = Broker::start(config.clone(), catalogue, store, clock.clone(), metrics, &tasks).await;
    let Ok(Started { broker, first_key, .. }) = started else { panic!("{}", started.err().unwrap()) };
    (broker, tasks, first_key)
}
