//! An OpenID Connect provider by which members sign in.

use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use super::reader::{Reader, Section};

/// What a provider calls itself: an address, kept as it was written, since it is compared letter by letter (OpenID Connect Discovery 1.0, 4.3). One
/// that ends with a slash is another than one that does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    url: Url,
}

impl Issuer {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As an address.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl FromStr for Issuer {
    type Err = url::ParseError;

    fn from_str(text: &str) -> Result<Self, url::ParseError> {
        Ok(Self { url: text.parse()?, text: text.to_owned() })
    }
}

/// An OpenID Connect provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// What the provider calls itself; below it `/.well-known/openid-configuration` is read.
    pub issuer: Issuer,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_stays_as_it_was_written() {
        for text in [
            "https://id.example",
            "https://id.example/",
            "https://id.example/realms/acme",
            "https://acme.eu.auth0.com/",
        ] {
            assert_eq!(text.parse::<Issuer>().unwrap().as_str(), text);
        }
        assert!("id.example".parse::<Issuer>().is_err());
    }
}
