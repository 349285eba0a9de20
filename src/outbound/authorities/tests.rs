//! Calls over real TLS: who is believed to be the one that is called.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::base::secret::Secret;
use crate::outbound::address::FakeLookup;
use crate::outbound::http::{HttpClient, NetworkClient, NetworkRequest, NoAnswer};
use crate::outbound::post::{DeliveryError, HttpPost, Post, PostSender};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn trusted(&self) -> Authorities {
        Authorities::of_pem(self.0.pem().as_bytes()).unwrap()
    }

    /// A server of that name on loopback, which answers each request with `answer`; its port.
    async fn serve(&self, name: &str, answer: impl Fn(u16, &str) -> String + Send + 'static) -> u16 {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let (acceptor, listener) =
            (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let port = listener.local_addr().unwrap().port();
        crate::base::tasks::Tasks::default().spawn("a server of a test", async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Who does not believe the certificate goes away here.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut seen = Vec::new();
                while !seen.windows(4).any(|end| end == b"\r\n\r\n")
                    && stream.read_buf(&mut seen).await.unwrap_or(0) > 0
                {}
                let body = answer(port, &String::from_utf8_lossy(&seen));
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
                let _ = stream.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        port
    }

    async fn serve_nothing(&self, name: &str) -> u16 {
        self.serve(name, |_, _| "{}".to_owned()).await
    }
}

async fn asked(authorities: &Authorities, port: u16) -> Result<u16, NoAnswer> {
    let request = NetworkRequest::read(&format!("https://localhost:{port}/me"), &Secret::new("t".to_owned())).unwrap();
    HttpClient::new(authorities).unwrap().ask(&request).await.map(|answer| answer.status)
}

async fn posted(authorities: &Authorities, port: u16) -> Result<(), DeliveryError> {
    let lookup = FakeLookup(vec![format!("127.0.0.1:{port}").parse().unwrap()]);
    let sender = HttpPost::new(Duration::from_secs(10), Arc::new(lookup), authorities.clone());
    let url = format!("https://localhost:{port}/hook");
    sender
        .post(&Post {
            url,
            headers: Vec::new(),
            content_type: "application/json",
            body: Vec::new(),
            allow_private: true,
        })
        .await
}

#[tokio::test]
async fn who_is_called_must_show_a_certificate_of_an_authority_that_is_trusted_for_its_name() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let (right, elsewhere) = (ours.serve_nothing("localhost").await, ours.serve_nothing("elsewhere.example").await);
    assert_eq!(asked(&ours.trusted(), right).await, Ok(200));
    posted(&ours.trusted(), right).await.unwrap();
    let wrong = [
        (ours.trusted(), elsewhere, "a certificate for another name"),
        (foreign.trusted(), right, "a certificate of another authority"),
        (Authorities::default(), right, "an authority that only the setting would name"),
    ];
    for (authorities, port, why) in wrong {
        assert_eq!(asked(&authorities, port).await, Err(NoAnswer::NotSent), "{why}");
        let refused = posted(&authorities, port).await;
        assert!(matches!(&refused, Err(DeliveryError::Http(_))), "{why}: {refused:?}");
    }
}

#[cfg(feature = "oidc")]
#[tokio::test]
async fn a_sign_in_service_with_a_private_authority_is_asked() {
    use crate::base::clock::Timestamp;
    use crate::config::Oidc;
    use crate::outbound::oidc::{OidcError, OidcProvider, OidcTry};
    let (ours, foreign) = (Authority::new(), Authority::new());
    let describes = |port: u16, request: &str| {
        if request.starts_with("GET /keys ") {
            return r#"{"keys":[]}"#.to_owned();
        }
        let at = format!("https://localhost:{port}");
        format!(
            r#"{{"issuer":"{at}","authorization_endpoint":"{at}/authorize","token_endpoint":"{at}/token","jwks_uri":"{at}/keys",
            "response_types_supported":["code"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256"]}}"#
        )
    };
    let port = ours.serve("localhost", describes).await;
    let secret_file = tempfile::NamedTempFile::new().unwrap();
    let settings = Oidc {
        issuer: format!("https://localhost:{port}").parse().unwrap(),
        client_id: "broker".to_owned(),
        client_secret_file: secret_file.path().to_owned(),
        name: "Ours".to_owned(),
    };
    let secret = |text: &str| Secret::new(text.to_owned());
    let (state, nonce, verifier) = (secret("state"), secret("nonce"), secret(&"v".repeat(43)));
    let of = OidcTry { redirect_uri: "https://tokens.example.com/back", nonce: &nonce, verifier: &verifier };
    let ask = async |authorities: Authorities| {
        let http = HttpClient::new(&authorities).unwrap();
        OidcProvider::new(settings.clone()).sign_in_url(&http, Timestamp::EPOCH, &state, None, &of).await
    };
    let url = ask(ours.trusted()).await.unwrap();
    assert_eq!((url.path(), url.port()), ("/authorize", Some(port)));
    assert!(matches!(ask(foreign.trusted()).await, Err(OidcError::Unreachable(_))));
}

#[test]
fn a_file_without_certificates_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    assert!(matches!(Authorities::in_file(Some(&file)), Err(AuthoritiesError::Unreadable { .. })));
    let whole = Authority::new().0.pem();
    let cut = whole.replacen("MII", "AAA", 1);
    for text in ["", "nonsense", &*cut, &*format!("{whole}{cut}")] {
        std::fs::write(&file, text).unwrap();
        let refused = Authorities::in_file(Some(&file));
        assert!(matches!(&refused, Err(AuthoritiesError::NoCertificates(_))), "{text}: {refused:?}");
    }
    std::fs::write(&file, format!("{whole}{}", Authority::new().0.pem())).unwrap();
    assert_eq!(format!("{:?}", Authorities::in_file(Some(&file)).unwrap()), "2 authorities");
}
