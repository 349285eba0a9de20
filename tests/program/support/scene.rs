//! A broker with a team, a collector and tokens.

use std::path::{Path, PathBuf};

use token_broker::grpc::pb;
use token_broker::grpc::pb::key_service_client::KeyServiceClient;

use super::{Api, Broker, Launch};

/// The team of the scene.
pub const TEAM: &str = "teams/acme";

/// A broker with the team `acme`, a collector that may use everything, and `tokens` tokens at `x`, each of its own person.
pub struct Scene {
    /// Where the store is: the broker is started on `data` below it.
    pub home: tempfile::TempDir,
    pub broker: Broker,
    pub admin_key: String,
    pub admin: Api,
    pub collector_key: String,
    pub collector: Api,
    pub tokens: Vec<pb::Token>,
}

impl Scene {
    /// With `tokens` tokens.
    pub async fn with_tokens(tokens: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        let launch = Launch::new(&home.path().join("data"));
        Self::launch(home, &launch, tokens).await
    }

    /// On a broker that is started in a way of its own, in `data` below `home`.
    pub async fn launch(home: tempfile::TempDir, launch: &Launch, tokens: usize) -> Self {
        let broker = launch.start();
        let admin_key = broker.first_key();
        let admin = Api::connect(&broker, &admin_key).await;
        make_team(&admin, "acme").await;
        let (_, collector_key) = make_collector(&admin, TEAM, "crawler").await;
        let collector = Api::connect(&broker, &collector_key).await;
        let mut added = Vec::new();
        for at in 0..tokens {
            added.push(admin.add_token(person_token("x", &format!("person-{at}"))).await.unwrap());
        }
        Self { home, broker, admin_key, admin, collector_key, collector, tokens: added }
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// A folder for the files of a command.
    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// A request that the scene's tokens can serve.
    pub fn search(&self, calls: i32) -> pb::AcquireLeaseRequest {
        pb::AcquireLeaseRequest {
            team: TEAM.to_owned(),
            network: "networks/x".to_owned(),
            operation: "tweets.search_recent".to_owned(),
            calls,
            purpose: pb::Purpose::CollectContent.into(),
            ..Default::default()
        }
    }
}

/// Makes a team.
pub async fn make_team(admin: &Api, id: &str) {
    let request = pb::CreateTeamRequest { team_id: id.to_owned(), ..Default::default() };
    admin.teams().create_team(request).await.unwrap();
}

/// Makes a collector that may use every network for everything, with a key. Returns its name and the key.
pub async fn make_collector(admin: &Api, team: &str, display_name: &str) -> (String, String) {
    let purposes = [pb::Purpose::CollectContent, pb::Purpose::CollectStatistics, pb::Purpose::Publish];
    let collector = pb::Collector {
        display_name: display_name.to_owned(),
        networks: vec!["networks/-".to_owned()],
        purposes: purposes.map(i32::from).to_vec(),
        ..Default::default()
    };
    let request =
        pb::CreateCollectorRequest { parent: team.to_owned(), collector: Some(collector), ..Default::default() };
    let made = admin.teams().create_collector(request).await.unwrap().into_inner().collector.unwrap();
    let key = pb::Key { role: pb::KeyRole::Collector.into(), collector: made.name.clone(), ..Default::default() };
    let request = pb::CreateKeyRequest { key: Some(key), ..Default::default() };
    let key = KeyServiceClient::new(admin.0.clone()).create_key(request).await.unwrap().into_inner();
    (made.name, key.secret)
}

/// A person's token with all scopes that reading needs, to be added to the team `acme`.
pub fn person_token(network: &str, person: &str) -> pb::AddTokenRequest {
    let scopes = ["tweet.read", "users.read", "follows.read", "like.read", "list.read", "offline.access"];
    let token = pb::Token {
        network: format!("networks/{network}"),
        kind: "user".to_owned(),
        person: person.to_owned(),
        display_name: format!("token of {person}"),
        scopes: scopes.map(str::to_owned).to_vec(),
        ..Default::default()
    };
    pb::AddTokenRequest {
        parent: TEAM.to_owned(),
        token: Some(token),
        secrets: Some(secrets(person)),
        ..Default::default()
    }
}

/// Secrets of a person's token.
pub fn secrets(person: &str) -> pb::TokenSecrets {
    pb::TokenSecrets {
        access_token: format!("access-of-{person}"),
        refresh_token: format!("refresh-of-{person}"),
        ..Default::default()
    }
}
