//! The key by which push services know the broker (RFC 8292), and what it signs.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use url::Url;

use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::outbound::jws::SigningKey;

/// How long a signature holds: half of what push services take at most, so that clocks may differ.
const HOLDS_SECONDS: i64 = 12 * 3600;

/// The key. It has no `Debug` and is not cloned.
pub struct PushKey(SigningKey);

/// The text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored key for push messages is none")]
pub struct PushKeyError;

impl PushKey {
    /// A new key, as a text to seal.
    pub fn generate() -> Result<Secret, PushKeyError> {
        SigningKey::generate().map_err(|_| PushKeyError)
    }

    /// Reads the text of a key.
    pub fn parse(text: &Secret) -> Result<Self, PushKeyError> {
        SigningKey::parse(text).map(Self).map_err(|_| PushKeyError)
    }

    /// The public key, as browsers want it (`applicationServerKey`): base64url of the uncompressed point.
    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.public_point())
    }

    /// The header that tells a push service who sends: a token for its origin alone, and the key that signed it.
    pub(super) fn authorization(&self, endpoint: &Url, contact: &str, now: Timestamp) -> String {
        let claims = json!({
            "aud": endpoint.origin().ascii_serialization(),
            "exp": now.secs() + HOLDS_SECONDS,
            "sub": contact,
        });
        format!("vapid t={}, k={}", self.0.sign(json!({ "typ": "JWT" }), &claims), self.public())
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn what_it_signs_is_for_one_origin_and_a_time() {
        let text = PushKey::generate().unwrap();
        let key = PushKey::parse(&text).unwrap();
        assert_eq!(key.public(), PushKey::parse(&text).unwrap().public());
        let endpoint = "https://push.example.com:8443/a/secret".parse().unwrap();
        let header = key.authorization(&endpoint, "https://tokens.example.com", Timestamp::from_secs(1_000));
        let (token, public) = header.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        assert_eq!(public, key.public());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decode(public));
        public.verify(signed.as_bytes(), &decode(signature)).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&decode(signed.split_once('.').unwrap().1)).unwrap();
        let expected =
            json!({ "aud": "https://push.example.com:8443", "exp": 44_200, "sub": "https://tokens.example.com" });
        assert_eq!(claims, expected);
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        for bad in ["", "no key", "AAAA"] {
            assert!(PushKey::parse(&Secret::new(bad.to_owned())).is_err(), "{bad}");
        }
    }
}
