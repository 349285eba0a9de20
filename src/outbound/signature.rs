//! Signatures of the Standard Webhooks scheme: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::secret::Secret;

const PREFIX: &str = "whsec_";

/// A key that a receiver knows us by. It has no `Debug` and is not cloned.
pub struct SigningSecret(Zeroizing<Vec<u8>>);

/// The text is no signing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a webhook's signing secret is 'whsec_' and the base64 of 24 to 64 bytes; make one with `openssl rand -base64 32`"
)]
pub struct SigningSecretError;

impl SigningSecret {
    /// Reads `whsec_…`.
    pub fn parse(text: &Secret) -> Result<SigningSecret, SigningSecretError> {
        let coded = text.expose().strip_prefix(PREFIX).ok_or(SigningSecretError)?;
        let key = Zeroizing::new(STANDARD.decode(coded).map_err(|_| SigningSecretError)?);
        if (24..=64).contains(&key.len()) { Ok(SigningSecret(key)) } else { Err(SigningSecretError) }
    }

    /// The text of one that has these bytes.
    pub fn text(bytes: &[u8; 32]) -> Secret {
        Secret::new(format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }

    fn sign(&self, content: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, content)))
    }
}

/// The headers by which a receiver knows that a body is ours, and which message it is. `secrets`: the old and the new one while a receiver
/// changes over; at least one.
pub fn signed(secrets: &[SigningSecret], id: &str, at: Timestamp, body: &str) -> Vec<(HeaderName, String)> {
    vec![
        (HeaderName::from_static("webhook-id"), id.to_owned()),
        (HeaderName::from_static("webhook-timestamp"), at.secs().to_string()),
        (HeaderName::from_static("webhook-signature"), signatures(secrets, id, at, body)),
    ]
}

/// The value of `webhook-signature`: one signature per secret, the old and the new one while a receiver changes over.
fn signatures(secrets: &[SigningSecret], id: &str, at: Timestamp, body: &str) -> String {
    let content = format!("{id}.{}.{body}", at.secs());
    secrets.iter().map(|secret| secret.sign(content.as_bytes())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 2] = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"];

    fn secret(text: &str) -> SigningSecret {
        SigningSecret::parse(&Secret::new(text.to_owned())).unwrap()
    }

    #[test]
    fn a_text_that_was_made_is_one() {
        assert!(SigningSecret::parse(&SigningSecret::text(&[7; 32])).is_ok());
    }

    #[test]
    fn agrees_with_the_reference() {
        let (id, at, body) = ("out_1", Timestamp::from_secs(1_614_265_330), r#"{"test": 2432232314}"#);
        let expected: Vec<String> = KEYS
            .iter()
            .map(|key| standardwebhooks::Webhook::new(key).unwrap().sign(id, at.secs(), body.as_bytes()).unwrap())
            .collect();
        assert_eq!(signatures(&KEYS.map(secret), id, at, body), expected.join(" "));
    }

    #[test]
    fn secrets_are_checked() {
        for bad in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_AAAA", "whsec_!!!"] {
            assert!(SigningSecret::parse(&Secret::new(bad.to_owned())).is_err(), "{bad}");
        }
    }
}
