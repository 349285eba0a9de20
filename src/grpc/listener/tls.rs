//! TLS 1.3 on the listener, and who a client is by its certificate.
//!
//! Only aws-lc-rs provides the cryptography. Where an authority for clients is given, a client whose certificate is not of that authority
//! does not get as far as HTTP/2, and one without a certificate only where certificates are optional. Which collector a certificate belongs
//! to is decided elsewhere.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use webpki::EndEntityCert;

use crate::base::secret::Secret;

/// The listener's certificate and whom it asks for one.
#[derive(Clone)]
pub struct Tls(pub(super) Arc<ServerConfig>);

/// The authority for clients, and what is asked of them.
#[derive(Clone, Copy)]
pub struct ClientAuthority<'a> {
    /// One or more certificates in PEM.
    pub pem: &'a [u8],
    /// Whether a client may also come without a certificate, to show a key. A certificate that it shows must be good all the same.
    pub optional: bool,
}

/// The certificates or keys can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The text is not PEM, or holds nothing of the kind.
    #[error("{what} is not usable PEM; give the file as the certificate authority made it")]
    Pem {
        /// Which text.
        what: &'static str,
        /// What is wrong with it. It never quotes the text.
        source: pem::Error,
    },
    /// The authority for clients holds no certificate.
    #[error("the client authority holds no certificate; without one no client could ever connect")]
    NoAuthority,
    /// The certificate and the key don't go together, or the authority is refused.
    #[error("the certificate, its key or the client authority is not accepted; check that they belong together")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Tls {
    /// Makes ready to serve with `chain` and its private `key`, both PEM. With `clients`, clients show a certificate that this
    /// authority has signed.
    ///
    /// # Errors
    /// Where a text is not PEM, the key does not fit the certificate, or the authority is empty.
    pub fn new(chain: &[u8], key: &Secret, clients: Option<ClientAuthority<'_>>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(refused)?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(ClientAuthority { pem, optional }) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authority(pem)?), provider);
                let verifier = if optional { verifier.allow_unauthenticated() } else { verifier };
                builder.with_client_cert_verifier(verifier.build().map_err(refused)?)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
            .map_err(|source| TlsError::Pem { what: "the private key", source })?;
        let chain = certificates(chain, "the certificate")?;
        let mut config = builder.with_single_cert(chain, key).map_err(refused)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

fn authority(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, "the client authority")? {
        roots.add(certificate).map_err(refused)?;
    }
    if roots.is_empty() { Err(TlsError::NoAuthority) } else { Ok(roots) }
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|source| TlsError::Pem { what, source })
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> TlsError {
    TlsError::Refused(Box::new(error))
}

/// Who a client is, by a certificate that the client authority has signed. A request extension where clients show one.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerIdentity(Arc<Names>);

#[derive(PartialEq, Eq)]
struct Names {
    names: Vec<String>,
    fingerprint: [u8; 32],
}

impl PeerIdentity {
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        let mut names = Vec::new();
        if let Ok(parsed) = EndEntityCert::try_from(certificate) {
            names.extend(parsed.valid_uri_names().map(str::to_owned));
            names.extend(parsed.valid_dns_names().map(str::to_owned));
        }
        let digest = digest::digest(&digest::SHA256, certificate);
        let fingerprint = digest.as_ref().try_into().expect("SHA-256 gives 32 bytes");
        Self(Arc::new(Names { names, fingerprint }))
    }

    /// The certificate's subject alternative names: URIs (such as SPIFFE ids) first, then DNS names. The common name is not
    /// among them: RFC 9525 retired it.
    pub fn names(&self) -> &[String] {
        &self.0.names
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.0.fingerprint
    }
}

impl fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeerIdentity").field(&self.0.names).finish()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(names: &[&str]) -> (Vec<u8>, KeyPair, CertificateDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.contains("://") {
                true => SanType::URI((*name).try_into().unwrap()),
                false => SanType::DnsName((*name).try_into().unwrap()),
            })
            .collect();
        let made = params.self_signed(&key).unwrap();
        (made.pem().into_bytes(), key, made.der().clone())
    }

    #[test]
    fn a_certificate_names_its_holder() {
        let (_, _, der) = certificate(&["worker-1.example", "spiffe://example/collector/7"]);
        let identity = PeerIdentity::of(&der);
        assert_eq!(identity.names(), ["spiffe://example/collector/7", "worker-1.example"]);
        let (_, _, other) = certificate(&["worker-1.example"]);
        assert_ne!(PeerIdentity::of(&other).fingerprint(), identity.fingerprint());
    }

    #[test]
    fn mistakes_are_told_apart() {
        let (pem, key, _) = certificate(&["a.example"]);
        let (_, other, _) = certificate(&["b.example"]);
        let secret = |pair: &KeyPair| Secret::new(pair.serialize_pem());
        let of = |pem| Some(ClientAuthority { pem, optional: false });
        assert!(Tls::new(&pem, &secret(&key), of(&pem)).is_ok());
        assert!(matches!(Tls::new(&pem, &secret(&other), None), Err(TlsError::Refused(_))));
        assert!(matches!(Tls::new(&pem, &Secret::new("no key".to_owned()), None), Err(TlsError::Pem { .. })));
        assert!(matches!(Tls::new(&pem, &secret(&key), of(b"")), Err(TlsError::NoAuthority)));
    }
}
