//! Certificates: whose are accepted, and what the handler learns from them.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use token_broker::base::secret::Secret;
use token_broker::grpc::listener::{ClientAuthority, Limits, Tls};
use token_broker::grpc::pb::network_service_client::NetworkServiceClient;
use tonic::Status;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::raw::Raw;
use crate::soon;
use crate::stub::{Running, ask, start_with};

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, names: Vec<SanType>, usage: ExtendedKeyUsagePurpose) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    pub fn server(&self) -> Pair {
        let name = SanType::DnsName("localhost".try_into().unwrap());
        self.issue(vec![name], ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client by its URIs and DNS names.
    pub fn client(&self, names: &[&str]) -> Pair {
        let name = |name: &&str| match name.contains("://") {
            true => SanType::URI((*name).try_into().unwrap()),
            false => SanType::DnsName((*name).try_into().unwrap()),
        };
        self.issue(names.iter().map(name).collect(), ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn collector(&self) -> Pair {
        self.client(&["spiffe://example/collector/7"])
    }
}

fn start(authority: &Authority, limits: Limits, ask_clients: bool) -> Running {
    start_asking(authority, limits, ask_clients.then_some(false))
}

/// Asks clients for certificates where `optional` says how.
fn start_asking(authority: &Authority, limits: Limits, optional: Option<bool>) -> Running {
    let Pair { certificate, key } = authority.server();
    let pem = authority.pem();
    let clients = optional.map(|optional| ClientAuthority { pem: pem.as_bytes(), optional });
    let tls = Tls::new(certificate.as_bytes(), &Secret::new(key), clients).expect("they belong together");
    start_with(limits, 1, Some(tls))
}

/// What the handler says about the client.
async fn identity_at(running: &Running, authority: &Authority, pair: Option<Pair>) -> Result<String, Status> {
    let mut tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem())).domain_name("localhost");
    if let Some(Pair { certificate, key }) = pair {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    let uri = format!("https://{}", running.address());
    let endpoint = Endpoint::from_shared(uri).unwrap().tls_config(tls).unwrap();
    let mut client = NetworkServiceClient::new(endpoint.connect_lazy());
    Ok(soon(client.list_networks(ask("identity"))).await?.into_inner().next_page_token)
}

#[tokio::test]
async fn a_certificate_says_who_calls() {
    let authority = Authority::new();
    let running = start(&authority, Limits::default(), true);
    let seen = identity_at(&running, &authority, Some(authority.collector())).await.expect("its own authority");
    assert!(seen.contains("spiffe://example/collector/7"), "{seen}");
}

#[tokio::test]
async fn without_a_certificate_of_the_authority_nobody_calls() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let running = start(&authority, Limits::default(), true);
    for pair in [None, Some(stranger.collector()), Some(authority.server())] {
        identity_at(&running, &authority, pair).await.expect_err("not a client of this authority");
    }
}

#[tokio::test]
async fn where_certificates_are_optional_a_bad_one_is_still_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let running = start_asking(&authority, Limits::default(), Some(true));
    assert_eq!(identity_at(&running, &authority, None).await.expect("none is fine"), "None");
    let seen = identity_at(&running, &authority, Some(authority.collector())).await.expect("its own authority");
    assert!(seen.contains("spiffe://example/collector/7"), "{seen}");
    for pair in [stranger.collector(), authority.server()] {
        identity_at(&running, &authority, Some(pair)).await.expect_err("not a client of this authority");
    }
}

#[tokio::test]
async fn where_no_certificate_is_asked_for_there_is_no_identity() {
    let authority = Authority::new();
    let running = start(&authority, Limits::default(), false);
    assert_eq!(identity_at(&running, &authority, None).await.expect("a plain client"), "None");
}

#[tokio::test]
async fn an_unfinished_handshake_is_closed() {
    let authority = Authority::new();
    let limits = Limits { handshake_timeout: Duration::from_millis(50), ..Limits::default() };
    let running = start(&authority, limits, true);
    let mut raw = Raw::silent(running.address()).await;
    soon(raw.closed()).await;
}

#[tokio::test]
async fn a_silent_client_after_the_handshake_is_closed() {
    let authority = Authority::new();
    let limits = Limits { preface_timeout: Duration::from_millis(50), ..Limits::default() };
    let running = start(&authority, limits, false);
    let mut stream = connect(&running, &authority, &rustls::version::TLS13).await.expect("TLS 1.3");
    let mut byte = [0];
    let read = soon(tokio::io::AsyncReadExt::read(&mut stream, &mut byte)).await;
    assert!(matches!(read, Ok(0) | Err(_)), "it was closed");
}

#[tokio::test]
async fn old_tls_is_refused() {
    let authority = Authority::new();
    let running = start(&authority, Limits::default(), false);
    connect(&running, &authority, &rustls::version::TLS13).await.expect("TLS 1.3 is spoken");
    connect(&running, &authority, &rustls::version::TLS12).await.expect_err("TLS 1.2 is not");
}

async fn connect(
    running: &Running,
    authority: &Authority,
    version: &'static rustls::SupportedProtocolVersion,
) -> std::io::Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = tokio::net::TcpStream::connect(running.address()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    soon(tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket)).await
}
