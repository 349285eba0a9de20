//! Who may make which call, tried with every call of the API on a whole broker; and that nothing crosses teams.

use std::time::Duration;

use http::uri::PathAndQuery;
use prost::Message;
use prost_types::FileDescriptorSet;
use token_broker::app::Running;
use token_broker::base::secret::Secret;
use token_broker::grpc::authorization::{RULES, Rule};
use token_broker::grpc::client::{Client, ClientSettings, connect};
use token_broker::grpc::pb::alert_service_client::AlertServiceClient;
use token_broker::grpc::pb::key_service_client::KeyServiceClient;
use token_broker::grpc::pb::lease_service_client::LeaseServiceClient;
use token_broker::grpc::pb::load_service_client::LoadServiceClient;
use token_broker::grpc::pb::team_service_client::TeamServiceClient;
use token_broker::grpc::pb::token_service_client::TokenServiceClient;
use token_broker::grpc::pb::{self, ErrorReason, FILE_DESCRIPTOR_SET};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::identity::{reason, serve};
use crate::soon;

/// A broker with the teams `acme` and `zenith`, a collector of each, and a token of each.
struct Bench {
    running: Running,
    admin: Client,
    _dir: tempfile::TempDir,
}

/// A team with a collector and what it has.
struct Side {
    team: &'static str,
    token: String,
    collector: String,
    key: String,
    key_name: String,
}

impl Bench {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (running, key) = serve(&dir, None).await;
        let admin = client(&running, Some(key.expose())).await;
        Self { running, admin, _dir: dir }
    }

    async fn side(&self, team: &'static str) -> Side {
        let mut teams = TeamServiceClient::new(self.admin.clone());
        soon(teams.create_team(pb::CreateTeamRequest { team_id: team.to_owned(), ..Default::default() }))
            .await
            .unwrap();
        let collector = pb::Collector {
            display_name: "worker".to_owned(),
            networks: vec!["networks/-".to_owned()],
            purposes: vec![pb::Purpose::CollectContent.into()],
            ..Default::default()
        };
        let request = pb::CreateCollectorRequest {
            parent: format!("teams/{team}"),
            collector: Some(collector),
            ..Default::default()
        };
        let collector = soon(teams.create_collector(request)).await.unwrap().into_inner().collector.unwrap().name;
        let (key_name, key) = self.make_key(pb::KeyRole::Collector, &collector).await;
        let token = soon(TokenServiceClient::new(self.admin.clone()).add_token(token_of(team))).await;
        let token = token.unwrap().into_inner().token.unwrap().name;
        Side { team, token, collector, key, key_name }
    }

    async fn make_key(&self, role: pb::KeyRole, collector: &str) -> (String, String) {
        let key = pb::Key { role: role.into(), collector: collector.to_owned(), ..Default::default() };
        let request = pb::CreateKeyRequest { key: Some(key), ..Default::default() };
        let made = soon(KeyServiceClient::new(self.admin.clone()).create_key(request)).await.unwrap().into_inner();
        (made.key.unwrap().name, made.secret)
    }

    async fn client(&self, key: &str) -> Client {
        client(&self.running, Some(key)).await
    }

    async fn revoke(&self, name: &str) {
        let request = pb::RevokeKeyRequest { name: name.to_owned(), ..Default::default() };
        soon(KeyServiceClient::new(self.admin.clone()).revoke_key(request)).await.unwrap();
    }

    async fn stop(self) {
        self.running.tasks.stop();
        self.running.broker.store.close().await;
    }
}

async fn client(running: &Running, key: Option<&str>) -> Client {
    let server = format!("http://{}", running.grpc.local_addr());
    let key = key.map(|key| Secret::new(key.to_owned()));
    soon(connect(&ClientSettings { server, key, ca: None, identity: None })).await.unwrap()
}

fn token_of(team: &str) -> pb::AddTokenRequest {
    let scopes = ["tweet.read", "users.read", "like.read", "list.read", "offline.access"];
    let token = pb::Token {
        network: "networks/x".to_owned(),
        kind: "user".to_owned(),
        person: format!("person of {team}"),
        scopes: scopes.map(str::to_owned).to_vec(),
        ..Default::default()
    };
    let secrets = pb::TokenSecrets { access_token: format!("access-of-{team}"), ..Default::default() };
    let parent = format!("teams/{team}");
    pb::AddTokenRequest { parent, token: Some(token), secrets: Some(secrets), ..Default::default() }
}

fn search(team: &str) -> pb::AcquireLeaseRequest {
    pb::AcquireLeaseRequest {
        team: format!("teams/{team}"),
        network: "networks/x".to_owned(),
        operation: "tweets.search_recent".to_owned(),
        calls: 1,
        purpose: pb::Purpose::CollectContent.into(),
        ..Default::default()
    }
}

/// Makes a call with an empty message and waits for its first answer, whatever kind of call it is.
async fn call_empty(client: &Client, name: &str) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(client.clone());
    soon(grpc.ready()).await.unwrap();
    let path: PathAndQuery = format!("/tokenbroker.v1.{name}").parse().unwrap();
    let message = tokio_stream::iter([()]);
    let codec: ProstCodec<(), ()> = ProstCodec::default();
    let mut answers = soon(grpc.streaming(Request::new(message), path, codec)).await?.into_inner();
    soon(answers.message()).await.map(drop)
}

/// Every call in the descriptors.
fn calls() -> Vec<String> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let files = set.file.into_iter().filter(|file| file.package() == "tokenbroker.v1");
    let of_service = |service: prost_types::ServiceDescriptorProto| {
        let name = service.name().to_owned();
        service.method.into_iter().map(move |call| format!("{name}/{}", call.name()))
    };
    files.flat_map(|file| file.service).flat_map(of_service).collect()
}

fn told(answer: Result<(), Status>) -> Option<ErrorReason> {
    answer.err().map(|status| reason(&status))
}

#[tokio::test]
async fn every_call_is_refused_to_whom_its_rule_does_not_name() {
    let bench = Bench::start().await;
    let acme = bench.side("acme").await;
    let (_, reader) = bench.make_key(pb::KeyRole::Reader, "").await;
    let nobody = client(&bench.running, None).await;
    let (reader, collector) = (bench.client(&reader).await, bench.client(&acme.key).await);
    let calls = calls();
    assert!(calls.len() > 40, "{}", calls.len());
    for call in &calls {
        let rule = RULES.iter().find(|(name, _)| name == call).expect("each call has a rule").1;
        let keyless = told(call_empty(&nobody, call).await);
        assert_eq!(keyless == Some(ErrorReason::KeyMissing), rule != Rule::NoKey, "{call}: {keyless:?}");
        let by_reader = told(call_empty(&reader, call).await) == Some(ErrorReason::RoleNotAllowed);
        let to_readers = matches!(rule, Rule::NoKey | Rule::Anybody | Rule::OfTeam | Rule::Operator);
        assert_eq!(by_reader, !to_readers, "{call} by a reader");
        let by_collector = told(call_empty(&collector, call).await) == Some(ErrorReason::RoleNotAllowed);
        let to_collectors = !matches!(rule, Rule::Operator | Rule::Admin);
        assert_eq!(by_collector, !to_collectors, "{call} by a collector");
    }
    bench.stop().await;
}

#[tokio::test]
async fn what_is_of_another_team_is_as_if_it_were_not_there() {
    let bench = Bench::start().await;
    let (acme, zenith) = (bench.side("acme").await, bench.side("zenith").await);
    let ours = bench.client(&acme.key).await;
    let theirs = bench.client(&zenith.key).await;
    let lease = soon(LeaseServiceClient::new(theirs).acquire_lease(search(zenith.team))).await.unwrap();
    let lease = lease.into_inner().lease.unwrap();
    let nowhere = lease.name.replace(&lease.name[lease.name.len() - 4..], "ffff");
    for team in [zenith.team, "nobody"] {
        let acquired = soon(LeaseServiceClient::new(ours.clone()).acquire_lease(search(team))).await;
        assert_eq!(refused(acquired), (Code::PermissionDenied, ErrorReason::TeamNotAllowed), "{team}");
        let mut loads = LoadServiceClient::new(ours.clone());
        let name = format!("teams/{team}/load");
        let load = soon(loads.get_team_load(pb::GetTeamLoadRequest { name: name.clone(), ..Default::default() })).await;
        assert_eq!(refused(load), (Code::PermissionDenied, ErrorReason::TeamNotAllowed), "{team}");
        let watch = soon(loads.watch_team_load(pb::WatchTeamLoadRequest { name, ..Default::default() })).await;
        assert_eq!(refused(watch), (Code::PermissionDenied, ErrorReason::TeamNotAllowed), "{team}");
        let estimate = pb::EstimateLoadRequest { team: format!("teams/{team}"), ..Default::default() };
        let estimate = soon(loads.estimate_load(estimate)).await;
        assert_eq!(refused(estimate), (Code::PermissionDenied, ErrorReason::TeamNotAllowed), "{team}");
    }
    for name in [lease.name.clone(), nowhere] {
        let mut leases = LeaseServiceClient::new(ours.clone());
        let lease = name.clone();
        let report = pb::ReportUsageRequest { lease: lease.clone(), sequence: 1, ..Default::default() };
        assert_eq!(refused(soon(leases.report_usage(report)).await).1, ErrorReason::LeaseNotFound, "{name}");
        let extend = pb::ExtendLeaseRequest { lease: lease.clone(), ..Default::default() };
        assert_eq!(refused(soon(leases.extend_lease(extend)).await).1, ErrorReason::LeaseNotFound, "{name}");
        let release = pb::ReleaseLeaseRequest { lease, ..Default::default() };
        assert_eq!(refused(soon(leases.release_lease(release)).await).1, ErrorReason::LeaseNotFound, "{name}");
        let get = soon(leases.get_lease(pb::GetLeaseRequest { name: name.clone() })).await;
        assert_eq!(refused(get).1, ErrorReason::LeaseNotFound, "{name}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn no_name_joins_one_team_to_what_is_of_another() {
    let bench = Bench::start().await;
    let (acme, zenith) = (bench.side("acme").await, bench.side("zenith").await);
    let crossed = |name: &str| name.replace("teams/zenith", "teams/acme");
    let mut tokens = TokenServiceClient::new(bench.admin.clone());
    let name = crossed(&zenith.token);
    let got = soon(tokens.get_token(pb::GetTokenRequest { name: name.clone() })).await;
    assert_eq!(refused(got).1, ErrorReason::TokenNotFound);
    let revoked = soon(tokens.revoke_token(pb::RevokeTokenRequest { name, ..Default::default() })).await;
    assert_eq!(refused(revoked).1, ErrorReason::TokenNotFound);
    let mut teams = TeamServiceClient::new(bench.admin.clone());
    let name = crossed(&zenith.collector);
    let got = soon(teams.get_collector(pb::GetCollectorRequest { name: name.clone() })).await;
    assert_eq!(refused(got).1, ErrorReason::CollectorNotFound);
    let disabled = soon(teams.disable_collector(pb::DisableCollectorRequest { name, ..Default::default() })).await;
    assert_eq!(refused(disabled).1, ErrorReason::CollectorNotFound);
    let kept = soon(tokens.get_token(pb::GetTokenRequest { name: zenith.token.clone() })).await.unwrap().into_inner();
    assert_eq!(kept.token.unwrap().state(), pb::TokenState::Live);
    drop(acme);
    bench.stop().await;
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, ErrorReason) {
    let status = answer.expect_err("it is not ours");
    (status.code(), reason(&status))
}

#[tokio::test]
async fn a_revoked_key_ends_the_streams_that_it_opened() {
    let bench = Bench::start().await;
    let acme = bench.side("acme").await;
    let ours = bench.client(&acme.key).await;
    let name = "teams/acme/load".to_owned();
    let watch = pb::WatchTeamLoadRequest { name, min_interval: Some(an_hour()), ..Default::default() };
    let mut loads = soon(LoadServiceClient::new(ours).watch_team_load(watch)).await.unwrap().into_inner();
    soon(loads.message()).await.unwrap().expect("the load at once");
    let (reader_name, reader) = bench.make_key(pb::KeyRole::Reader, "").await;
    let watch = pb::WatchAlertsRequest { parent: "teams/-".to_owned() };
    let reader = bench.client(&reader).await;
    let mut alerts = soon(AlertServiceClient::new(reader).watch_alerts(watch)).await.unwrap().into_inner();
    soon(alerts.message()).await.unwrap().expect("that all is said");
    bench.revoke(&acme.key_name).await;
    assert_eq!(reason(&soon(loads.message()).await.unwrap_err()), ErrorReason::KeyInvalid);
    bench.revoke(&reader_name).await;
    assert_eq!(reason(&soon(alerts.message()).await.unwrap_err()), ErrorReason::KeyInvalid);
    bench.stop().await;
}

fn an_hour() -> prost_types::Duration {
    prost_types::Duration::try_from(Duration::from_secs(3600)).unwrap()
}
