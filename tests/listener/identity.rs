//! Certificates in place of keys: a whole broker behind TLS, and who is let in.

use std::sync::Arc;

use token_broker::app::{Running, listen, open};
use token_broker::base::clock::SystemClock;
use token_broker::base::secret::Secret;
use token_broker::config::{ClientCertificates, Config};
use token_broker::grpc::client::{Client, ClientSettings, connect};
use token_broker::grpc::pb::key_service_client::KeyServiceClient;
use token_broker::grpc::pb::lease_service_client::LeaseServiceClient;
use token_broker::grpc::pb::load_service_client::LoadServiceClient;
use token_broker::grpc::pb::network_service_client::NetworkServiceClient;
use token_broker::grpc::pb::team_service_client::TeamServiceClient;
use token_broker::grpc::pb::{self, ErrorReason};
use tonic::Status;
use tonic_types::StatusExt;

use crate::soon;
use crate::tls::{Authority, Pair};

const ADMIN: &str = "spiffe://example/operator";
const WORKER: &str = "worker-1.example";

/// A broker behind TLS that asks clients for certificates, with team `acme` and a collector known by [`WORKER`].
struct Bench {
    running: Running,
    authority: Authority,
    admin: Client,
    key: Secret,
    collector: String,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let (running, key) = serve(&dir, Some(&authority)).await;
        let nobody = authority.client(&["nobody.example"]);
        let admin = client(&running, &authority, Some(&nobody), Some(key.expose())).await.expect("our own authority");
        let collector = make_team_and_collector(&admin).await;
        Self { running, authority, admin, key, collector, _dir: dir }
    }

    /// Whoever shows a certificate of these names, and no key.
    async fn showing(&self, names: &[&str]) -> Client {
        let pair = self.authority.client(names);
        client(&self.running, &self.authority, Some(&pair), None).await.expect("our own authority")
    }

    async fn make_operator(&self, role: pb::KeyRole, name: &str) -> Result<pb::Key, Status> {
        let key = pb::Key { role: role.into(), certificate_name: name.to_owned(), ..Default::default() };
        let request = pb::CreateKeyRequest { key: Some(key), ..Default::default() };
        let made = soon(KeyServiceClient::new(self.admin.clone()).create_key(request)).await?.into_inner();
        assert_eq!(made.secret, "", "a certificate has no secret value");
        Ok(made.key.unwrap())
    }

    fn teams(&self) -> TeamServiceClient<Client> {
        TeamServiceClient::new(self.admin.clone())
    }

    async fn rename(&self, names: &[&str]) -> Result<(), Status> {
        let collector = pb::Collector {
            name: self.collector.clone(),
            certificate_names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["certificate_names".to_owned()] });
        let request = pb::UpdateCollectorRequest { collector: Some(collector), update_mask, ..Default::default() };
        soon(self.teams().update_collector(request)).await.map(drop)
    }

    async fn stop(self) {
        self.running.tasks.stop();
        self.running.broker.store.close().await;
    }
}

/// A whole broker, with TLS and certificates of `authority` if there is one, and its first key.
pub async fn serve(dir: &tempfile::TempDir, authority: Option<&Authority>) -> (Running, Secret) {
    let text = "[http]\npublic_url = \"https://broker.example\"\n\
        [connections]\nreturn_urls = [\"https://app.example/\"]\n\
        [renewals]\nenabled = false\nper_second = 1";
    let config = Config::read("test.toml", text, [], &[], |_| Vec::new()).unwrap();
    serve_with(dir, authority, config).await
}

/// The same with settings.
async fn serve_with(dir: &tempfile::TempDir, authority: Option<&Authority>, mut config: Config) -> (Running, Secret) {
    config.store.dir = dir.path().join("data");
    config.grpc.listen = "127.0.0.1:0".parse().unwrap();
    config.http.listen = "127.0.0.1:0".parse().unwrap();
    if let Some(authority) = authority {
        let Pair { certificate, key } = authority.server();
        for (name, pem) in [("cert.pem", &certificate), ("key.pem", &key), ("ca.pem", &authority.pem())] {
            std::fs::write(dir.path().join(name), pem).unwrap();
        }
        config.grpc.tls.cert = Some(dir.path().join("cert.pem"));
        config.grpc.tls.key = Some(dir.path().join("key.pem"));
        config.grpc.tls.client_ca = Some(dir.path().join("ca.pem"));
    }
    let mut opened = open(config, Arc::new(SystemClock::start())).await.unwrap();
    let key = opened.first_key.take().unwrap();
    (listen(opened).await.unwrap(), key)
}

async fn client(running: &Running, authority: &Authority, pair: Option<&Pair>, key: Option<&str>) -> Option<Client> {
    let settings = ClientSettings {
        server: format!("https://localhost:{}", running.grpc.local_addr().port()),
        key: key.map(|key| Secret::new(key.to_owned())),
        ca: Some(authority.pem().into_bytes()),
        identity: pair.map(|pair| (pair.certificate.clone().into_bytes(), pair.key.clone().into_bytes())),
    };
    soon(connect(&settings)).await.ok()
}

async fn make_team_and_collector(admin: &Client) -> String {
    let mut teams = TeamServiceClient::new(admin.clone());
    for team_id in ["acme", "zenith"] {
        let request = pb::CreateTeamRequest { team_id: team_id.to_owned(), ..Default::default() };
        soon(teams.create_team(request)).await.unwrap();
    }
    let collector = pb::Collector {
        display_name: "worker".to_owned(),
        networks: vec!["networks/x".to_owned()],
        purposes: vec![pb::Purpose::CollectContent.into()],
        certificate_names: vec!["Worker-1.Example".to_owned()],
        ..Default::default()
    };
    let parent = "teams/acme".to_owned();
    let request = pb::CreateCollectorRequest { parent, collector: Some(collector), ..Default::default() };
    let made = soon(teams.create_collector(request)).await.unwrap().into_inner().collector.unwrap();
    assert_eq!(made.certificate_names, [WORKER]);
    made.name
}

/// Asks for a lease, for which there is no token: a collector that is let in learns that.
async fn acquire(client: &Client) -> ErrorReason {
    let request = pb::AcquireLeaseRequest {
        team: "teams/acme".to_owned(),
        network: "networks/x".to_owned(),
        operation: "tweets.search_recent".to_owned(),
        calls: 1,
        purpose: pb::Purpose::CollectContent.into(),
        ..Default::default()
    };
    reason(&soon(LeaseServiceClient::new(client.clone()).acquire_lease(request)).await.expect_err("there is no token"))
}

async fn list_teams(client: &Client) -> Result<(), ErrorReason> {
    let answer = soon(TeamServiceClient::new(client.clone()).list_teams(pb::ListTeamsRequest::default())).await;
    answer.map(drop).map_err(|status| reason(&status))
}

pub fn reason(status: &Status) -> ErrorReason {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    ErrorReason::from_reason(&info.reason).unwrap()
}

#[tokio::test]
async fn a_collector_is_known_by_its_certificate() {
    let bench = Bench::start().await;
    for names in [&[WORKER][..], &["WORKER-1.example"], &["other.example", WORKER]] {
        let worker = bench.showing(names).await;
        assert_eq!(acquire(&worker).await, ErrorReason::NoUsableToken, "{names:?}");
        assert_eq!(list_teams(&worker).await, Err(ErrorReason::RoleNotAllowed), "it is no operator");
        let name = "teams/zenith/load".to_owned();
        let request = pb::GetTeamLoadRequest { name, ..Default::default() };
        let foreign = soon(LoadServiceClient::new(worker).get_team_load(request)).await.unwrap_err();
        assert_eq!(reason(&foreign), ErrorReason::TeamNotAllowed);
    }
    bench.stop().await;
}

#[tokio::test]
async fn nobody_else_is() {
    let bench = Bench::start().await;
    let stranger = Authority::new();
    for pair in [None, Some(stranger.client(&[WORKER])), Some(bench.authority.server())] {
        let client = client(&bench.running, &bench.authority, pair.as_ref(), None).await;
        if let Some(client) = client {
            let request = pb::ListNetworksRequest::default();
            let refused =
                soon(NetworkServiceClient::new(client).list_networks(request)).await.expect_err("no such client");
            assert!(refused.get_details_error_info().is_none(), "no handler was reached: {refused:?}");
        }
    }
    for names in [&["worker-2.example"][..], &[], &["spiffe://example/worker-1"]] {
        assert_eq!(acquire(&bench.showing(names).await).await, ErrorReason::CertificateUnknown, "{names:?}");
    }
    let plain = ClientSettings {
        server: format!("http://localhost:{}", bench.running.grpc.local_addr().port()),
        key: Some(Secret::new(bench.key.expose().to_owned())),
        ca: None,
        identity: None,
    };
    if let Ok(client) = soon(connect(&plain)).await {
        let refused = soon(NetworkServiceClient::new(client).list_networks(pb::ListNetworksRequest::default())).await;
        assert!(refused.is_err(), "plaintext on a listener with TLS");
    }
    bench.stop().await;
}

#[tokio::test]
async fn where_certificates_are_optional_a_key_does_as_well() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let mut config = Config::default();
    config.grpc.tls.client_certificates = ClientCertificates::Optional;
    let (running, key) = serve_with(&dir, Some(&authority), config).await;
    let by_key = client(&running, &authority, None, Some(key.expose())).await.expect("no certificate is needed");
    assert_eq!(list_teams(&by_key).await, Ok(()));
    make_team_and_collector(&by_key).await;
    let without = client(&running, &authority, None, None).await.unwrap();
    assert_eq!(acquire(&without).await, ErrorReason::KeyMissing, "neither a key nor a certificate");
    let worker = authority.client(&[WORKER]);
    let by_certificate = client(&running, &authority, Some(&worker), None).await.unwrap();
    assert_eq!(acquire(&by_certificate).await, ErrorReason::NoUsableToken);
    running.tasks.stop();
    running.broker.store.close().await;
}

#[tokio::test]
async fn without_tls_nobody_is_known_without_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let (running, _) = serve(&dir, None).await;
    let server = format!("http://{}", running.grpc.local_addr());
    let settings = ClientSettings { server, key: None, ca: None, identity: None };
    let plain = soon(connect(&settings)).await.unwrap();
    assert_eq!(acquire(&plain).await, ErrorReason::KeyMissing);
    running.tasks.stop();
    running.broker.store.close().await;
}

#[tokio::test]
async fn a_name_stands_for_one_caller() {
    let bench = Bench::start().await;
    bench.make_operator(pb::KeyRole::Reader, ADMIN).await.unwrap();
    let taken = bench.make_operator(pb::KeyRole::Admin, WORKER).await.unwrap_err();
    assert_eq!(reason(&taken), ErrorReason::CertificateTaken);
    let taken = bench.rename(&[ADMIN]).await.unwrap_err();
    assert_eq!(reason(&taken), ErrorReason::CertificateTaken);
    let both = bench.showing(&[WORKER, ADMIN]).await;
    assert_eq!(acquire(&both).await, ErrorReason::CertificateUnknown, "it could be either");
    for bad in ["*.example", "a b", &"x".repeat(300)] {
        assert_eq!(reason(&bench.rename(&[bad]).await.unwrap_err()), ErrorReason::InvalidField, "{bad}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn an_operator_is_known_until_the_certificate_is_revoked() {
    let bench = Bench::start().await;
    let reader = bench.make_operator(pb::KeyRole::Reader, ADMIN).await.unwrap();
    let operator = bench.showing(&[ADMIN]).await;
    assert_eq!(list_teams(&operator).await, Ok(()));
    let request = pb::CreateTeamRequest { team_id: "other".to_owned(), ..Default::default() };
    let refused = soon(TeamServiceClient::new(operator.clone()).create_team(request)).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::RoleNotAllowed, "a reader changes nothing");
    let revoke = pb::RevokeKeyRequest { name: reader.name, ..Default::default() };
    soon(KeyServiceClient::new(bench.admin.clone()).revoke_key(revoke)).await.unwrap();
    assert_eq!(list_teams(&operator).await, Err(ErrorReason::CertificateUnknown), "at once, on the same connection");
    bench.make_operator(pb::KeyRole::Admin, ADMIN).await.expect("the name is free again");
    assert_eq!(list_teams(&operator).await, Ok(()));
    bench.stop().await;
}

#[tokio::test]
async fn a_collector_is_stopped_at_once() {
    let bench = Bench::start().await;
    let worker = bench.showing(&[WORKER]).await;
    let (sender, commands) = tokio::sync::mpsc::channel(1);
    let commands = tokio_stream::wrappers::ReceiverStream::new(commands);
    let mut streaming = LeaseServiceClient::new(worker.clone());
    let opened = soon(streaming.collect(commands)).await.unwrap();
    let mut messages = opened.into_inner();
    bench.rename(&["worker-9.example"]).await.unwrap();
    assert_eq!(acquire(&worker).await, ErrorReason::CertificateUnknown);
    let ended = soon(messages.message()).await.expect_err("the stream ends, too");
    assert_eq!(reason(&ended), ErrorReason::CertificateUnknown);
    drop(sender);
    bench.rename(&[WORKER]).await.unwrap();
    assert_eq!(acquire(&worker).await, ErrorReason::NoUsableToken);
    let (name, comment) = (bench.collector.clone(), String::new());
    let disable = pb::DisableCollectorRequest { name: name.clone(), comment, ..Default::default() };
    soon(bench.teams().disable_collector(disable)).await.unwrap();
    assert_eq!(acquire(&worker).await, ErrorReason::CollectorDisabled);
    let delete = pb::DeleteCollectorRequest { name, force: true, ..Default::default() };
    soon(bench.teams().delete_collector(delete)).await.unwrap();
    assert_eq!(acquire(&worker).await, ErrorReason::CertificateUnknown);
    bench.stop().await;
}

#[tokio::test]
async fn where_a_call_carries_a_key_the_key_alone_decides() {
    let bench = Bench::start().await;
    let worker = bench.authority.client(&[WORKER]);
    let with_key = async |key: &str| client(&bench.running, &bench.authority, Some(&worker), Some(key)).await.unwrap();
    let good = with_key(bench.key.expose()).await;
    assert_eq!(list_teams(&good).await, Ok(()), "the key's rights, not those of the certificate");
    let bad = with_key(&bench.key.expose().replace("tbk_0", "tbk_1")).await;
    assert_eq!(acquire(&bad).await, ErrorReason::KeyInvalid, "a good certificate does not make up for a bad key");
    bench.stop().await;
}
