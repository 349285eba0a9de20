//! How a client shows who it is by a key (`private_key_jwt`: RFC 7523, section 2.2), and what it tells of itself to be known by.

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::domain::networks::{OAuth, Renewal, TokenKind};
use crate::outbound::jws::{KeyError, SigningKey, random_id};

/// How long an assertion holds: as long as a request may be on its way.
const HOLDS_SECONDS: i64 = 60;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What an app signs to show who it is. Each assertion is new: servers take one once.
pub struct Assertion {
    key: SigningKey,
    client_id: String,
    audience: String,
}

/// Checks that a client secret is a key that can sign assertions.
pub fn check_client_key(pem: &Secret) -> Result<(), KeyError> {
    SigningKey::parse_pem(pem).map(drop)
}

/// A new key for an app, as the client secret that [`check_client_key`] accepts.
pub fn new_client_key() -> Result<Secret, KeyError> {
    SigningKey::generate_pem()
}

impl Assertion {
    /// For the authorization server of `oauth`. `None` if the client secret is no key.
    pub(super) fn of(oauth: &OAuth, client_id: &str, secret: &Secret) -> Option<Self> {
        let audience = oauth.issuer.as_ref().unwrap_or(&oauth.token_url).clone();
        Some(Self { key: SigningKey::parse_pem(secret).ok()?, client_id: client_id.to_owned(), audience })
    }

    /// A form with an assertion that is made now behind what it holds already; `None` if the machine gives no random numbers.
    pub(in crate::outbound) fn added_to(&self, form: &[u8], now: Timestamp) -> Option<Vec<u8>> {
        let Self { key, client_id, audience } = self;
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": audience, "jti": random_id().ok()?,
            "iat": now.secs(), "exp": now.secs() + HOLDS_SECONDS,
        });
        let signed = key.sign(json!({ "typ": "JWT", "kid": key.thumbprint() }), &claims);
        let added = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &signed)];
        let added = Serializer::new(String::new()).extend_pairs(added).finish();
        let joint: &[u8] = if form.is_empty() { b"" } else { b"&" };
        Some([form, joint, added.as_bytes()].concat())
    }
}

/// What is told of an app at the address that is its client id (OAuth Client ID Metadata Document; RFC 7591, section 2).
pub struct ClientMetadata<'a> {
    /// The address.
    pub client_id: &'a str,
    /// The app's name for people.
    pub name: &'a str,
    /// Where the broker is.
    pub home: &'a str,
    /// Where networks send browsers back to.
    pub redirect_uri: &'a str,
    /// The app's key, which signs its assertions.
    pub key: &'a Secret,
}

impl ClientMetadata<'_> {
    /// The document. `kinds`: those that people may grant the app.
    pub fn document<'k>(&self, kinds: impl Iterator<Item = &'k TokenKind>) -> Result<Value, KeyError> {
        let key = SigningKey::parse_pem(self.key)?;
        let (mut scopes, mut renewed, mut bound) = (std::collections::BTreeSet::new(), false, false);
        for kind in kinds {
            renewed |= matches!(kind.renewal, Renewal::RefreshToken { .. });
            bound |= kind.is_bound();
            scopes.extend(kind.scopes.iter().flat_map(|needed| &needed.scopes).map(String::as_str));
            if let Renewal::RefreshToken { needs_scope: Some(scope), .. } = &kind.renewal {
                scopes.insert(scope);
            }
        }
        let grants: &[&str] = if renewed { &["authorization_code", "refresh_token"] } else { &["authorization_code"] };
        let mut jwk = key.public_jwk();
        jwk["kid"] = json!(key.thumbprint());
        jwk["alg"] = json!("ES256");
        jwk["use"] = json!("sig");
        Ok(json!({
            "client_id": self.client_id,
            "client_name": self.name,
            "client_uri": self.home,
            "application_type": "web",
            "redirect_uris": [self.redirect_uri],
            "grant_types": grants,
            "response_types": ["code"],
            "scope": scopes.into_iter().collect::<Vec<_>>().join(" "),
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": "ES256",
            "dpop_bound_access_tokens": bound,
            "jwks": { "keys": [jwk] },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::networks::Catalogue;

    #[test]
    fn an_assertion_is_made_anew_each_time_and_stands_behind_the_form() {
        let catalogue = Catalogue::embedded();
        let oauth = catalogue.network("bluesky").unwrap().kind("user").unwrap().oauth.clone().unwrap();
        let assertion = Assertion::of(&oauth, "https://b.example/c", &new_client_key().unwrap()).unwrap();
        let made = || String::from_utf8(assertion.added_to(b"a=b", Timestamp::from_secs(1_000)).unwrap()).unwrap();
        assert!(made().starts_with("a=b&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"), "{}", made());
        assert_ne!(made(), made());
        assert!(Assertion::of(&oauth, "id", &Secret::new("a secret".to_owned())).is_none());
    }

    #[test]
    fn the_document_tells_the_public_key_and_no_other() {
        let (catalogue, key) = (Catalogue::embedded(), new_client_key().unwrap());
        let metadata = ClientMetadata {
            client_id: "https://b.example/c",
            name: "Broker",
            home: "https://b.example",
            redirect_uri: "https://b.example/back",
            key: &key,
        };
        let document = metadata.document(catalogue.network("bluesky").unwrap().kinds.iter()).unwrap();
        assert_eq!(document["scope"], "atproto transition:generic");
        assert_eq!(document["dpop_bound_access_tokens"], true);
        let jwk = document["jwks"]["keys"][0].as_object().unwrap();
        assert_eq!(jwk.keys().collect::<Vec<_>>(), ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    }
}
