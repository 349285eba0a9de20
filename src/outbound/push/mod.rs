//! Web Push (RFC 8030): messages to a browser, sealed for it (RFC 8291) and signed by the broker's key (RFC 8292).
//!
//! The push service forwards what it can't read. It knows the broker by one key, to which the browser bound its subscription, so the key
//! must live as long as the subscriptions do. How a message travels is [`crate::outbound::post`]'s matter.

mod encrypt;
mod vapid;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::URL_SAFE_NO_PAD};
use http::HeaderName;
use http::header::{AUTHORIZATION, CONTENT_ENCODING};
use url::Url;

use crate::base::clock::Timestamp;
use crate::outbound::post::Post;

pub use encrypt::{EncryptError, MOST_PLAIN};
pub use vapid::{PushKey, PushKeyError};

/// Browsers differ in whether they pad.
const FROM_BROWSERS: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a message is sealed with, so that only one browser can read it.
pub struct BrowserKeys {
    /// Its public key: an uncompressed point of P-256.
    public: Vec<u8>,
    /// What it shares with those whom it let in.
    auth: [u8; 16],
}

/// The keys of a browser are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrowserKeysError {
    /// The public key.
    #[error("p256dh must be the base64url of a public key on P-256, as the browser's getKey('p256dh') gives it")]
    Public,
    /// The shared secret.
    #[error("auth must be the base64url of 16 bytes, as the browser's getKey('auth') gives it")]
    Auth,
}

impl BrowserKeys {
    /// Reads the keys as a browser writes them.
    pub fn parse(p256dh: &str, auth: &str) -> Result<Self, BrowserKeysError> {
        let public = FROM_BROWSERS.decode(p256dh.trim()).map_err(|_| BrowserKeysError::Public)?;
        if !encrypt::is_public_key(&public) {
            return Err(BrowserKeysError::Public);
        }
        let auth = FROM_BROWSERS.decode(auth.trim()).map_err(|_| BrowserKeysError::Auth)?;
        Ok(Self { public, auth: auth.try_into().map_err(|_| BrowserKeysError::Auth)? })
    }
}

/// How soon a message is to be shown (RFC 8030, 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// When the device is used anyway.
    Low,
    /// Unless the battery is low.
    Normal,
    /// At once.
    High,
}

/// A message to a browser.
pub struct PushMessage<'m> {
    /// What the browser is told, at most [`MOST_PLAIN`] bytes.
    pub payload: &'m [u8],
    /// For how many seconds the push service keeps it for a browser that is away.
    pub ttl_seconds: u32,
    /// How soon it is to be shown.
    pub urgency: Urgency,
    /// A later message of the same topic takes the place of one that the browser has not had yet. At most 32 characters of base64url.
    pub topic: String,
}

impl PushMessage<'_> {
    /// The request that brings it to a browser. `contact`: where the operators of the push service find the broker's, an https or mailto URL.
    pub fn post(
        &self,
        endpoint: &Url,
        keys: &BrowserKeys,
        key: &PushKey,
        contact: &str,
        allow_private: bool,
        now: Timestamp,
    ) -> Result<Post, EncryptError> {
        let urgency = match self.urgency {
            Urgency::Low => "low",
            Urgency::Normal => "normal",
            Urgency::High => "high",
        };
        let headers = vec![
            (AUTHORIZATION, key.authorization(endpoint, contact, now)),
            (CONTENT_ENCODING, "aes128gcm".to_owned()),
            (HeaderName::from_static("ttl"), self.ttl_seconds.to_string()),
            (HeaderName::from_static("urgency"), urgency.to_owned()),
            (HeaderName::from_static("topic"), self.topic.clone()),
        ];
        let body = encrypt::encrypt(self.payload, &keys.public, &keys.auth)?;
        Ok(Post { url: endpoint.to_string(), headers, content_type: "application/octet-stream", body, allow_private })
    }
}

/// A topic for everything that is about `subject`.
pub fn topic_of(subject: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, subject.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..24])
}

#[cfg(test)]
mod tests {
    use super::*;

    const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";

    #[test]
    fn keys_of_browsers_are_checked() {
        for auth in ["BTBZMqHH6r4Tts7J_aSIgg", "BTBZMqHH6r4Tts7J_aSIgg=="] {
            assert!(BrowserKeys::parse(P256DH, auth).is_ok(), "{auth}");
        }
        let refused = |p256dh: &str, auth: &str| BrowserKeys::parse(p256dh, auth).err();
        let compressed = URL_SAFE_NO_PAD.encode([2; 33]);
        let off_the_curve = P256DH.replacen("BCVx", "BCVy", 1);
        for bad in ["", "no key", &compressed, &off_the_curve] {
            assert_eq!(refused(bad, "BTBZMqHH6r4Tts7J_aSIgg"), Some(BrowserKeysError::Public), "{bad}");
        }
        for bad in ["", "short", "BTBZMqHH6r4Tts7J_aSIggAA"] {
            assert_eq!(refused(P256DH, bad), Some(BrowserKeysError::Auth), "{bad}");
        }
    }

    #[test]
    fn topics_are_short_and_tell_subjects_apart() {
        assert_eq!(topic_of("a").len(), 32);
        assert_ne!(topic_of("a"), topic_of("b"));
    }
}
