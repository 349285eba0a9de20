//! The way to a broker for its own programs: one channel, with TLS where the address asks for it and a key on every call.
//!
//! Invariant: the key never shows in `Debug`, in errors or in HTTP/2's header tables. What is called over the channel is
//! up to the clients in [`super::pb`].

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};
use tonic_types::StatusExt;

use crate::base::secret::Secret;

/// A channel whose calls carry the key.
pub type Client = InterceptedService<Channel, Bearer>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Which broker, and as whom.
pub struct ClientSettings {
    /// `http://host:port` or `https://host:port`.
    pub server: String,
    /// The key, `tbk_…`; none where a client certificate or nothing is shown.
    pub key: Option<Secret>,
    /// Certificates, as PEM, that the broker's certificate must come from. None: those that the machine trusts.
    pub ca: Option<Vec<u8>>,
    /// Our certificate with its chain, and its private key, both as PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is no URL with a scheme that is served.
    #[error("'{server}' is not a server address; write it as http://host:port or https://host:port")]
    Address {
        /// As it was given.
        server: String,
    },
    /// TLS options for an address without TLS: the key would travel in the clear against what was meant.
    #[error("certificates were given, but '{server}' is without TLS; write it as https://host:port")]
    TlsUnused {
        /// As it was given.
        server: String,
    },
    /// A certificate or a private key can't be used.
    #[error(
        "the certificates can't be used; check that they are PEM files and that the private key fits the certificate"
    )]
    Tls(#[source] tonic::transport::Error),
    /// The key holds what no header can carry.
    #[error("the key holds characters that no key has; it is written as tbk_ with letters and digits only")]
    Key,
    /// Nobody answers there.
    #[error("no broker answers at {server}; check the address and that the broker runs there")]
    Unreachable {
        /// As it was given.
        server: String,
        /// What the transport said.
        #[source]
        source: tonic::transport::Error,
    },
}

/// Adds `authorization: Bearer …` to every call, if there is a key.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    fn new(key: Option<&Secret>) -> Result<Self, ConnectError> {
        let Some(key) = key else { return Ok(Self(None)) };
        let text = format!("Bearer {}", key.expose());
        let mut value = MetadataValue::try_from(text).map_err(|_| ConnectError::Key)?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Opens a channel; returns when the broker has taken the connection, or after 5 seconds with an error.
pub async fn connect(settings: &ClientSettings) -> Result<Client, ConnectError> {
    let bearer = Bearer::new(settings.key.as_ref())?;
    let endpoint = endpoint(settings)?;
    let unreachable = |source| ConnectError::Unreachable { server: settings.server.clone(), source };
    let channel = endpoint.connect().await.map_err(unreachable)?;
    Ok(InterceptedService::new(channel, bearer))
}

fn endpoint(settings: &ClientSettings) -> Result<Endpoint, ConnectError> {
    let server = || settings.server.clone();
    let endpoint =
        Endpoint::from_shared(settings.server.clone()).map_err(|_| ConnectError::Address { server: server() })?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .tcp_nodelay(true)
        .user_agent(concat!("token-broker/", env!("CARGO_PKG_VERSION")))
        .map_err(ConnectError::Tls)?;
    match endpoint.uri().scheme_str() {
        Some("https") => endpoint.tls_config(tls(settings)).map_err(ConnectError::Tls),
        Some("http") if settings.ca.is_some() || settings.identity.is_some() => {
            Err(ConnectError::TlsUnused { server: server() })
        }
        Some("http") => Ok(endpoint),
        _ => Err(ConnectError::Address { server: server() }),
    }
}

fn tls(settings: &ClientSettings) -> ClientTlsConfig {
    let tls = match &settings.ca {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    match &settings.identity {
        Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
        None => tls,
    }
}

/// The reason that a refusal carries, empty if it has none, and the time after which it may be tried again.
pub fn told_by(status: &Status) -> (String, Option<Duration>) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    (reason, details.retry_info().and_then(|info| info.retry_delay))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tasks::Tasks;

    fn settings(server: &str) -> ClientSettings {
        ClientSettings { server: server.to_owned(), key: None, ca: None, identity: None }
    }

    #[test]
    fn only_http_and_https_are_addresses() {
        for good in ["http://127.0.0.1:7070", "https://broker.example:443"] {
            assert!(endpoint(&settings(good)).is_ok(), "{good}");
        }
        for bad in ["127.0.0.1:7070", "broker", "ftp://broker", "", "http://"] {
            let error = endpoint(&settings(bad)).expect_err(bad);
            assert!(error.to_string().contains("http://host:port"), "{bad}: {error}");
        }
    }

    #[test]
    fn certificates_without_tls_are_refused() {
        let with_ca = ClientSettings { ca: Some(Vec::new()), ..settings("http://127.0.0.1:1") };
        assert!(matches!(endpoint(&with_ca), Err(ConnectError::TlsUnused { .. })));
    }

    #[test]
    fn the_key_is_sent_and_not_shown() {
        let mut bearer = Bearer::new(Some(&Secret::new("tbk_canary".to_owned()))).expect("a good key");
        let request = bearer.call(Request::new(())).expect("never refuses");
        let value = request.metadata().get("authorization").expect("it is set");
        assert_eq!(value.to_str().expect("ascii"), "Bearer tbk_canary");
        assert!(!format!("{value:?}").contains("canary"));
    }

    struct Party {
        certificate: rcgen::Certificate,
        issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    }

    fn authority() -> Party {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("signed");
        Party { certificate, issuer: rcgen::Issuer::new(params, key) }
    }

    /// A certificate for `name` and its key, both as PEM.
    fn signed(by: &Party, name: &str) -> (Vec<u8>, Vec<u8>) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a good name");
        let certificate = params.signed_by(&key, &by.issuer).expect("signed");
        (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
    }

    /// Serves health checks over TLS to clients with a certificate of `by`. Returns the port.
    async fn serve(by: &Party, tasks: &Tasks) -> u16 {
        let (certificate, key) = signed(by, "localhost");
        let tls = tonic::transport::ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate, key))
            .client_ca_root(Certificate::from_pem(by.certificate.pem()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (_, health) = tonic_health::server::health_reporter();
        let router = tonic::transport::Server::builder().tls_config(tls).expect("good TLS").add_service(health);
        let stop = tasks.clone();
        tasks.spawn("tls", async move {
            let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
            router.serve_with_incoming_shutdown(incoming, stop.stopped()).await.expect("it serves");
        });
        port
    }

    async fn is_served(settings: &ClientSettings) -> bool {
        let Ok(client) = connect(settings).await else { return false };
        let request = tonic_health::pb::HealthCheckRequest::default();
        tonic_health::pb::health_client::HealthClient::new(client).check(request).await.is_ok()
    }

    #[tokio::test]
    async fn both_sides_show_certificates() {
        let (tasks, ours, other) = (Tasks::default(), authority(), authority());
        let server = format!("https://localhost:{}", serve(&ours, &tasks).await);
        let with = |ca: &Party, by: Option<&Party>| ClientSettings {
            ca: Some(ca.certificate.pem().into_bytes()),
            identity: by.map(|by| signed(by, "crawler")),
            ..settings(&server)
        };
        assert!(is_served(&with(&ours, Some(&ours))).await);
        assert!(!is_served(&with(&other, Some(&ours))).await, "the broker's certificate is not trusted");
        assert!(!is_served(&with(&ours, Some(&other))).await, "our certificate is not trusted");
        assert!(!is_served(&with(&ours, None)).await, "we show none");
        assert!(!is_served(&settings(&server)).await, "the machine does not trust it");
        tasks.stop();
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused_without_showing_it() {
        let error = Bearer::new(Some(&Secret::new("tbk_canary\n".to_owned()))).err().expect("refused");
        assert!(!error.to_string().contains("canary"));
    }
}
