//! An OpenID Connect provider by which members sign in.

use std::path::PathBuf;

use url::Url;

use super::reader::{Reader, Section};

/// An OpenID Connect provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// What the provider calls itself; below it `/.well-known/openid-configuration` is read.
    pub issuer: Url,
    /// Our client's id there.
    pub client_id: String,
    /// The file with the client's secret; read anew each time.
    pub client_secret_file: PathBuf,
    /// What people call the provider.
    pub name: String,
}

/// Without an issuer there is none.
impl Section for Option<Oidc> {
    fn read(from: &mut Reader<'_>) -> Self {
        let issuer = from.optional_parsed("issuer", "a URL that begins with https://");
        let client_id = from.parsed("client_id", "token-broker".to_owned(), "a text");
        let client_secret_file = from.path("client_secret_file", "/run/secrets/oidc-client-secret");
        let name = from.parsed("name", "your organisation".to_owned(), "a text");
        Some(Oidc { issuer: issuer?, client_id, client_secret_file, name })
    }
}
