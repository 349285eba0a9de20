//! What the networks of Meta send when a person takes the consent back: `{signature}.{payload}`, both in base64url without padding, the
//! signature being HMAC-SHA256 of the payload as it stands there, with the app's secret as the key.
//!
//! Nothing of the payload is looked at before the signature is found to be right, its word on the algorithm included.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::base::clock::Timestamp;
use crate::base::secret::Secret;

/// One that was issued longer ago is not believed.
const OLDEST: Duration = Duration::from_secs(3600);
/// How far the network's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(300);
/// A longer id of a person is none, in bytes.
const LONGEST_ID: usize = 256;

#[derive(Deserialize)]
struct Payload {
    algorithm: String,
    issued_at: i64,
    user_id: PersonId,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PersonId {
    Text(String),
    Number(u64),
}

/// The person whom a request is about, if it was signed with `secret` a short time ago.
pub fn person_of(request: &str, secret: &Secret, now: Timestamp) -> Option<String> {
    let (signature, payload) = request.split_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature.trim_end_matches('=')).ok()?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    hmac::verify(&key, payload.as_bytes(), &signature).ok()?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let payload: Payload = serde_json::from_slice(&payload).ok()?;
    if !payload.algorithm.eq_ignore_ascii_case("HMAC-SHA256") {
        return None;
    }
    let issued_at = Timestamp::from_secs(payload.issued_at.clamp(0, now.secs().saturating_mul(2)));
    if issued_at > now + AHEAD || now > issued_at + OLDEST {
        return None;
    }
    let person = match payload.user_id {
        PersonId::Text(text) => text,
        PersonId::Number(number) => number.to_string(),
    };
    let fits = !person.is_empty() && person.len() <= LONGEST_ID && !person.chars().any(char::is_control);
    fits.then_some(person)
}

/// A request as a network signs it.
#[cfg(test)]
pub(crate) fn signed(payload: &str, secret: &str) -> String {
    let payload = URL_SAFE_NO_PAD.encode(payload);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("{}.{payload}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, payload.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn read(request: &str) -> Option<String> {
        person_of(request, &Secret::new("app-secret".to_owned()), NOW)
    }

    fn payload(algorithm: &str, issued_at: i64, user: &str) -> String {
        format!(r#"{{"algorithm":"{algorithm}","issued_at":{issued_at},"user_id":{user}}}"#)
    }

    #[test]
    fn what_was_signed_a_moment_ago_is_believed() {
        let now = NOW.secs();
        for (issued_at, user) in [(now, r#""123""#), (now - 3_600, "123"), (now + 300, r#""123""#)] {
            let request = signed(&payload("HMAC-SHA256", issued_at, user), "app-secret");
            assert_eq!(read(&request).as_deref(), Some("123"), "{issued_at}");
        }
    }

    #[test]
    fn nothing_else_is() {
        let now = NOW.secs();
        let good = signed(&payload("HMAC-SHA256", now, r#""1""#), "app-secret");
        let (signature, body) = good.split_once('.').unwrap();
        let other = signed(&payload("HMAC-SHA256", now, r#""2""#), "app-secret");
        let cases = [
            String::new(),
            ".".to_owned(),
            body.to_owned(),
            format!(".{body}"),
            format!("{signature}."),
            format!("{signature}.{}", other.split_once('.').unwrap().1),
            format!("{}.{body}", &signature[..20]),
            format!("!!!.{body}"),
            signed(&payload("HMAC-SHA256", now, r#""1""#), "other-secret"),
            signed(&payload("none", now, r#""1""#), "app-secret"),
            signed(&payload("HMAC-SHA256", now - 3_601, r#""1""#), "app-secret"),
            signed(&payload("HMAC-SHA256", now + 301, r#""1""#), "app-secret"),
            signed(&payload("HMAC-SHA256", i64::MAX, r#""1""#), "app-secret"),
            signed(&payload("HMAC-SHA256", i64::MIN, r#""1""#), "app-secret"),
            signed(&payload("HMAC-SHA256", now, r#""""#), "app-secret"),
            signed(&payload("HMAC-SHA256", now, "null"), "app-secret"),
            signed(r#"{"algorithm":"HMAC-SHA256","user_id":"1"}"#, "app-secret"),
            signed("[]", "app-secret"),
        ];
        for request in cases {
            assert_eq!(read(&request), None, "{request}");
        }
        assert_eq!(read(&good).as_deref(), Some("1"));
    }
}
