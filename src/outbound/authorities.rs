//! Certificate authorities beside those that the machine trusts: by whom receivers, networks and sign-in services in the operator's own
//! network are known.

use std::fmt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Authorities that are trusted beside the machine's. The default: none.
#[derive(Clone, Default)]
pub struct Authorities(Vec<reqwest::Certificate>);

/// The file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// It can't be read.
    #[error("outbound.ca_file: '{}' can't be read; create the file, or correct the setting", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It holds no certificate of an authority, or something else, too.
    #[error("outbound.ca_file: '{}' must hold certificates of authorities in PEM, and nothing that is none", .0.display())]
    NoCertificates(PathBuf),
}

impl Authorities {
    /// Those in a file of certificates in PEM; without a file none.
    pub fn in_file(path: Option<&Path>) -> Result<Self, AuthoritiesError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let pem = std::fs::read(path).map_err(|cause| AuthoritiesError::Unreadable { path: path.to_owned(), cause })?;
        Self::of_pem(&pem).ok_or_else(|| AuthoritiesError::NoCertificates(path.to_owned()))
    }

    /// Those of a text in PEM; `None`: it holds none, or one that can't be used.
    pub fn of_pem(pem: &[u8]) -> Option<Self> {
        let usable = |found: Result<CertificateDer<'static>, _>| {
            let certificate = found.ok()?;
            webpki::anchor_from_trusted_cert(&certificate).ok()?;
            reqwest::Certificate::from_der(&certificate).ok()
        };
        let found: Vec<_> = CertificateDer::pem_slice_iter(pem).map(usable).collect::<Option<_>>()?;
        (!found.is_empty()).then_some(Self(found))
    }

    /// A client that trusts them, too.
    pub(super) fn trusted_by(&self, client: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        client.tls_certs_merge(self.0.iter().cloned())
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} authorities", self.0.len())
    }
}

#[cfg(test)]
mod tests;
