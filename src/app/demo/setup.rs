//! What an operator does before anybody collects, through the public API: teams, collectors, keys, tokens.
//!
//! Each token is issued by its simulated network first, so that broker and network know the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::app::demo::plan::{CollectionPlan, TEAMS, TOKENS};
use crate::base::ids::{KindId, NetworkId};
use crate::base::secret::Secret;
use crate::grpc::client::{Client, ClientSettings, connect};
use crate::grpc::pb;
use crate::sim::{Simulation, TokenSpec};
use pb::key_service_client::KeyServiceClient;
use pb::team_service_client::TeamServiceClient;
use pb::token_service_client::TokenServiceClient;

/// The operator.
pub struct Operator {
    server: String,
    client: Client,
    simulation: Arc<Simulation>,
    random: Mutex<StdRng>,
    issued: Mutex<BTreeMap<String, u32>>,
}

/// A token to be issued and added.
#[derive(Debug, Clone, Copy)]
pub struct NewToken {
    /// The team.
    pub team: &'static str,
    /// The network.
    pub network: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Its profile's `engaged_users`, and that it speaks for a profile.
    pub engaged_users: Option<u64>,
}

impl Operator {
    /// Connects to the broker at `server` with the first admin key.
    pub async fn connect(
        server: String,
        key: Secret,
        simulation: Arc<Simulation>,
        seed: u64,
    ) -> anyhow::Result<Operator> {
        let client = connect_as(&server, key).await?;
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        Ok(Operator { server, client, simulation, random, issued: Mutex::default() })
    }

    /// The channel with the operator's key.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Makes the teams and their tokens. Returns the profiles of each team's page tokens, in the order of the plan.
    pub async fn prepare(&self) -> anyhow::Result<BTreeMap<(&'static str, &'static str), Vec<String>>> {
        let mut teams = TeamServiceClient::new(self.client());
        for (team, display_name) in TEAMS {
            let described = pb::Team { display_name: display_name.to_owned(), ..pb::Team::default() };
            let request = pb::CreateTeamRequest {
                team_id: team.to_owned(),
                team: Some(described),
                request_id: format!("demo-team-{team}"),
            };
            teams.create_team(request).await.with_context(|| format!("creating team {team}"))?;
        }
        let mut profiles: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for plan in TOKENS {
            for users in plan.engaged_users {
                let new = NewToken {
                    team: plan.team,
                    network: plan.network,
                    kind: plan.kind,
                    engaged_users: plan.has_profile.then_some(*users),
                };
                let profile = self.add_token(new).await?;
                if plan.has_profile {
                    profiles.entry((plan.team, plan.network)).or_default().push(profile);
                }
            }
        }
        Ok(profiles)
    }

    /// Makes the collector of a collection with a key of its own. Returns its channel.
    pub async fn add_collector(&self, plan: &CollectionPlan) -> anyhow::Result<Client> {
        let collector = pb::Collector {
            display_name: plan.name.to_owned(),
            networks: vec![format!("networks/{}", plan.network)],
            purposes: vec![plan.purpose.into()],
            ..pb::Collector::default()
        };
        let request = pb::CreateCollectorRequest {
            parent: format!("teams/{}", plan.team),
            collector: Some(collector),
            request_id: format!("demo-collector-{}", plan.name),
        };
        let created = TeamServiceClient::new(self.client()).create_collector(request).await;
        let created = created.with_context(|| format!("creating collector {}", plan.name))?.into_inner();
        let collector = created.collector.context("the broker answered without the collector")?.name;
        let key = pb::Key { role: pb::KeyRole::Collector.into(), collector, ..pb::Key::default() };
        let request = pb::CreateKeyRequest { key: Some(key), request_id: format!("demo-key-{}", plan.name) };
        let created = KeyServiceClient::new(self.client()).create_key(request).await;
        let secret = created.with_context(|| format!("creating a key for {}", plan.name))?.into_inner().secret;
        connect_as(&self.server, Secret::new(secret)).await
    }

    /// Lets a network issue a token, and adds it to the broker. Returns its profile; empty if it has none.
    pub async fn add_token(&self, new: NewToken) -> anyhow::Result<String> {
        let number = self.next_number(&new);
        let (secret, kind) = (self.make_secret(), new.kind.parse::<KindId>()?);
        let network: NetworkId = new.network.parse()?;
        let person = format!("{}-{}-{}-{number}", new.team, new.network, new.kind);
        let profile = new.engaged_users.map_or_else(String::new, |_| format!("{}-page-{number}", new.team));
        let known = self.simulation.network(&network).with_context(|| format!("{network} is not simulated"))?;
        let mut spec = TokenSpec::of_kind(known, &kind, &secret, &person);
        spec.app = "default".to_owned();
        spec.profiles = Some(profile.clone()).filter(|profile| !profile.is_empty()).into_iter().collect();
        spec.facts = new.engaged_users.map(|users| ("engaged_users".to_owned(), users)).into_iter().collect();
        let token = pb::Token {
            network: format!("networks/{network}"),
            kind: new.kind.to_owned(),
            person: person.clone(),
            profile: profile.clone(),
            display_name: format!("{person} of the demonstration"),
            scopes: spec.scopes.clone(),
            facts: spec
                .facts
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), i64::try_from(*value).ok()?)))
                .collect(),
            ..pb::Token::default()
        };
        self.simulation.add_token(&network, spec)?;
        let request = pb::AddTokenRequest {
            parent: format!("teams/{}", new.team),
            token: Some(token),
            secrets: Some(pb::TokenSecrets { access_token: secret, ..pb::TokenSecrets::default() }),
            request_id: format!("demo-token-{person}"),
        };
        let added = TokenServiceClient::new(self.client()).add_token(request).await;
        added.with_context(|| format!("adding the token of {person}"))?;
        Ok(profile)
    }

    fn next_number(&self, new: &NewToken) -> u32 {
        let key = format!("{}/{}/{}", new.team, new.network, new.kind);
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let number = issued.entry(key).or_default();
        *number += 1;
        *number
    }

    /// Made up: it opens nothing anywhere else.
    fn make_secret(&self) -> String {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        format!("demo-{:016x}{:016x}", random.random::<u64>(), random.random::<u64>())
    }
}

async fn connect_as(server: &str, key: Secret) -> anyhow::Result<Client> {
    let settings = ClientSettings { server: server.to_owned(), key: Some(key), ca: None, identity: None };
    Ok(connect(&settings).await?)
}
