//! The key that a session's tokens are bound to (RFC 9449), and where such a token is used.
//!
//! Each session has a key of its own, made when consent is asked for. It signs a proof for every request: without one the tokens are worth
//! nothing. It leaves only as a text to seal.

use std::sync::Arc;

use serde_json::json;
use url::Url;

use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::outbound::jws::{KeyError, SigningKey, hash, random_id};

/// A session's key, and the server on which the account lives. It has no `Debug` and is not cloned.
pub struct Bond {
    key: SigningKey,
    text: Secret,
    server: Option<String>,
}

/// One request that is to be proved.
pub struct ProvedRequest<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its address; query and fragment are left out of the proof.
    pub url: &'a str,
    /// What the access token is known by in proofs ([`token_hash`]); `None` at the authorization server.
    pub token_hash: Option<&'a str>,
    /// The nonce that the server gave last.
    pub nonce: Option<&'a str>,
}

/// What an access token is known by in proofs (`ath`).
pub fn token_hash(access: &Secret) -> String {
    hash(access.expose().as_bytes())
}

impl Bond {
    /// A new key, for one session.
    pub fn make() -> Result<Arc<Self>, KeyError> {
        let text = SigningKey::generate()?;
        Ok(Arc::new(Self { key: SigningKey::parse(&text)?, text, server: None }))
    }

    /// Reads the text of [`Bond::text`].
    pub fn read(text: &Secret) -> Result<Arc<Self>, KeyError> {
        let (key, server) = match text.expose().split_once(' ') {
            Some((key, server)) => (key, Some(server.to_owned())),
            None => (text.expose(), None),
        };
        let text = Secret::new(key.to_owned());
        Ok(Arc::new(Self { key: SigningKey::parse(&text)?, text, server }))
    }

    /// The key and the server, as a text to seal.
    pub fn text(&self) -> Secret {
        let key = self.text.expose();
        Secret::new(self.server.as_ref().map_or_else(|| key.to_owned(), |server| format!("{key} {server}")))
    }

    /// The same, for an account that lives on `server`: a URL without a slash at the end.
    pub fn at(&self, server: &str) -> Result<Arc<Self>, KeyError> {
        Self::read(&Secret::new(format!("{} {server}", self.text.expose())))
    }

    /// The server on which the account lives; `None`: the network's own.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// An address below the network's `base` as it is at the account's own server. Others stay as they are.
    pub fn address(&self, base: &str, url: &str) -> String {
        let below = url.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        match (below, &self.server) {
            (Some(rest), Some(server)) => format!("{server}{rest}"),
            _ => url.to_owned(),
        }
    }

    /// A proof of possession for one request (section 4.2); `None` where the address is none, or the machine gives no random numbers.
    pub fn prove(&self, request: &ProvedRequest<'_>, now: Timestamp) -> Option<String> {
        let mut url = Url::parse(request.url).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        let mut claims =
            json!({ "jti": random_id().ok()?, "htm": request.method, "htu": url.as_str(), "iat": now.secs() });
        if let Some(hash) = request.token_hash {
            claims["ath"] = json!(hash);
        }
        if let Some(nonce) = request.nonce {
            claims["nonce"] = json!(nonce);
        }
        Some(self.key.sign(json!({ "typ": "dpop+jwt", "jwk": self.key.public_jwk() }), &claims))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::Value;

    use super::*;

    fn claims(proof: &str) -> Value {
        let part = proof.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_proof_is_for_one_request_without_its_query() {
        let (bond, now) = (Bond::make().unwrap(), Timestamp::from_secs(1_000));
        let access = Secret::new("a".to_owned());
        let hash = token_hash(&access);
        let request = ProvedRequest {
            method: "GET",
            url: "https://pds.example/xrpc/a?b=c#d",
            token_hash: Some(&hash),
            nonce: Some("n"),
        };
        let (first, second) =
            (claims(&bond.prove(&request, now).unwrap()), claims(&bond.prove(&request, now).unwrap()));
        assert_eq!(first["htu"], "https://pds.example/xrpc/a");
        assert_eq!((&first["htm"], &first["iat"], &first["nonce"]), (&json!("GET"), &json!(1_000), &json!("n")));
        assert_eq!(first["ath"], "ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs");
        assert_ne!(first["jti"], second["jti"]);
        let plain = ProvedRequest { token_hash: None, nonce: None, ..request };
        let plain = claims(&bond.prove(&plain, now).unwrap());
        assert!(plain.get("ath").is_none() && plain.get("nonce").is_none(), "{plain}");
    }

    #[test]
    fn a_bond_is_read_as_it_is_written() {
        let bond = Bond::make().unwrap();
        let read = Bond::read(&bond.text()).unwrap();
        assert_eq!((read.server(), read.key.thumbprint()), (None, bond.key.thumbprint()));
        let placed = bond.at("https://pds.example").unwrap();
        let read = Bond::read(&placed.text()).unwrap();
        assert_eq!((read.server(), read.key.thumbprint()), (Some("https://pds.example"), bond.key.thumbprint()));
        assert!(Bond::read(&Secret::new("no key".to_owned())).is_err());
    }

    #[test]
    fn what_is_below_the_networks_base_is_asked_at_the_accounts_server() {
        let bond = Bond::make().unwrap().at("https://pds.example").unwrap();
        let cases = [
            ("https://net.example/xrpc/a?b=c", "https://pds.example/xrpc/a?b=c"),
            ("https://net.example", "https://pds.example"),
            ("https://net.example.org/xrpc", "https://net.example.org/xrpc"),
            ("https://other.example/me", "https://other.example/me"),
        ];
        for (url, expected) in cases {
            assert_eq!(bond.address("https://net.example", url), expected);
        }
        let nowhere = Bond::make().unwrap();
        assert_eq!(nowhere.address("https://net.example", "https://net.example/a"), "https://net.example/a");
    }
}
