//! What a token endpoint says when it issues or renews a token: RFC 6749, section 5.1, with the names that networks add. Instagram puts what it
//! issues for a code into a list (`data`), and calls the scopes `permissions`; some meet that without the list.
//!
//! Foreign text: nothing in it can make a token of nothing, a life without end or an error that repeats a secret.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::base::secret::Secret;

/// A longer body is not read, in bytes.
const LONGEST_BODY: usize = 64 * 1024;
/// A longer text is no token, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;
/// No token lives longer than this, whatever a network says: 10 years.
const LONGEST_LIFE: Duration = Duration::from_secs(315_576_000);
/// A longer text names no account, in bytes.
const LONGEST_SUBJECT: usize = 512;
/// A longer text names nothing that was pushed, in bytes.
const LONGEST_REQUEST_URI: usize = 2048;
const MOST_SCOPES: usize = 256;
const LONGEST_SCOPE: usize = 256;

/// What was issued. It has no `Debug`: it is secrets.
pub struct TokenReply {
    /// The access token. Never empty.
    pub access: Secret,
    /// A new refresh token. Never empty; `None`: the one that was used stays.
    pub refresh: Option<Secret>,
    /// How long the access token lives, up to 10 years; `None`: not said, or nothing that can be meant.
    pub access_life: Option<Duration>,
    /// How long the refresh token lives.
    pub refresh_life: Option<Duration>,
    /// The scopes that it has; `None`: not said, which means those that were asked for.
    pub scopes: Option<Vec<String>>,
    /// Whose account it is (`sub`); `None`: not said.
    pub subject: Option<String>,
    /// Whether it is said to be bound to the key that proved the request (RFC 9449, section 5).
    pub bound: bool,
}

/// Why a text is no such reply. Repeats nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenReplyError {
    /// Too long to be read.
    #[error("the answer is longer than 64 KiB")]
    TooLong,
    /// Not an object of JSON, or not of this form.
    #[error("the answer is no JSON object with a token")]
    Malformed,
    /// There is no access token in it, or none that could be one.
    #[error("the answer holds no access token")]
    NoAccessToken,
}

/// A reply in a list of one.
#[derive(Deserialize)]
struct Listed {
    data: Vec<Raw>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    access_token: Option<Text>,
    #[serde(default)]
    refresh_token: Option<Text>,
    #[serde(default)]
    expires_in: Value,
    #[serde(default, alias = "refresh_expires_in")]
    refresh_token_expires_in: Value,
    #[serde(default)]
    scope: Value,
    #[serde(default)]
    permissions: Value,
    #[serde(default)]
    sub: Option<Text>,
    #[serde(default)]
    token_type: Value,
}

/// A text; anything else is as good as nothing.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Is(String),
    IsNot(IgnoredAny),
}

/// Reads the body of a reply.
pub fn read_token_reply(body: &[u8]) -> Result<TokenReply, TokenReplyError> {
    if body.len() > LONGEST_BODY {
        return Err(TokenReplyError::TooLong);
    }
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(TokenReplyError::Malformed);
    }
    // The parser's own error would repeat parts of the text.
    let raw: Raw = serde_json::from_slice(body).map_err(|_| TokenReplyError::Malformed)?;
    let listed = || serde_json::from_slice(body).ok().and_then(|listed: Listed| listed.data.into_iter().next());
    let raw = if raw.access_token.is_none() { listed().unwrap_or(raw) } else { raw };
    let access = raw.access_token.and_then(token).ok_or(TokenReplyError::NoAccessToken)?;
    Ok(TokenReply {
        access,
        refresh: raw.refresh_token.and_then(token),
        access_life: life(&raw.expires_in),
        refresh_life: life(&raw.refresh_token_expires_in),
        scopes: scopes(&raw.scope).or_else(|| scopes(&raw.permissions)),
        subject: raw.sub.and_then(subject),
        bound: raw.token_type.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP")),
    })
}

fn subject(text: Text) -> Option<String> {
    let Text::Is(text) = text else { return None };
    let clean = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    (clean && (1..=LONGEST_SUBJECT).contains(&text.len())).then_some(text)
}

/// Reads the reply to a pushed authorization request (RFC 9126, section 2.2): the name of what was pushed. `None`: it is none.
pub fn read_pushed_reply(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Pushed {
        request_uri: String,
    }
    let body = Some(body).filter(|body| body.len() <= LONGEST_BODY)?;
    let Pushed { request_uri } = serde_json::from_slice(body).ok()?;
    let clean = !request_uri.chars().any(|c| c.is_control() || c.is_whitespace());
    (clean && (1..=LONGEST_REQUEST_URI).contains(&request_uri.len())).then_some(request_uri)
}

fn token(text: Text) -> Option<Secret> {
    let Text::Is(text) = text else { return None };
    let token = Secret::new(text);
    let fits = (1..=LONGEST_TOKEN).contains(&token.expose().len());
    let clean = !token.expose().chars().any(|c| c.is_control() || c.is_whitespace());
    (fits && clean).then_some(token)
}

/// Seconds, as a number or as a text. Nothing, zero, less than nothing and what is no number tell nothing.
fn life(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    if seconds.is_nan() || seconds < 1.0 {
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds.floor()).unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE))
}

/// A text with spaces or commas, or a list of texts.
fn scopes(value: &Value) -> Option<Vec<String>> {
    let parts: Vec<&str> = match value {
        Value::String(text) => text.split([' ', ',']).collect(),
        Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    let named: Vec<String> =
        parts.into_iter().map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    let sound = named.len() <= MOST_SCOPES && named.iter().all(|scope| scope.len() <= LONGEST_SCOPE);
    (sound && !named.is_empty()).then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(body: &Value) -> TokenReply {
        read_token_reply(body.to_string().as_bytes()).ok().unwrap()
    }

    fn refused(body: &[u8]) -> TokenReplyError {
        read_token_reply(body).err().unwrap()
    }

    #[test]
    fn a_whole_reply_is_read() {
        let reply = read(&json!({
            "access_token": "a-1", "refresh_token": "r-1", "token_type": "bearer", "expires_in": 7200,
            "refresh_token_expires_in": 15_552_000, "scope": "tweet.read users.read", "open_id": 7,
        }));
        assert_eq!(reply.access.expose(), "a-1");
        assert_eq!(reply.refresh.unwrap().expose(), "r-1");
        assert_eq!(reply.access_life, Some(Duration::from_secs(7200)));
        assert_eq!(reply.refresh_life, Some(Duration::from_secs(15_552_000)));
        assert_eq!(reply.scopes.unwrap(), ["tweet.read", "users.read"]);
    }

    #[test]
    fn a_life_is_a_number_or_a_text_and_ends() {
        let cases = [
            (json!(3600), Some(3600)),
            (json!("3600"), Some(3600)),
            (json!(" 3599.9 "), Some(3599)),
            (json!(3599.9), Some(3599)),
            (json!(0), None),
            (json!("0"), None),
            (json!(-1), None),
            (json!("-3600"), None),
            (json!(null), None),
            (json!("soon"), None),
            (json!("NaN"), None),
            (json!([3600]), None),
            (json!(true), None),
            (json!(u64::MAX), Some(LONGEST_LIFE.as_secs())),
            (json!(1e300), Some(LONGEST_LIFE.as_secs())),
            (json!("inf"), Some(LONGEST_LIFE.as_secs())),
        ];
        for (given, expected) in cases {
            let reply = read(&json!({ "access_token": "a", "expires_in": given, "refresh_expires_in": given }));
            let expected = expected.map(Duration::from_secs);
            assert_eq!((reply.access_life, reply.refresh_life), (expected, expected), "{given}");
        }
        assert_eq!(read(&json!({ "access_token": "a" })).access_life, None);
    }

    #[test]
    fn scopes_are_a_text_or_a_list() {
        let cases = [
            (json!("a b"), Some(vec!["a", "b"])),
            (json!("a,b, c"), Some(vec!["a", "b", "c"])),
            (json!(["a", "b"]), Some(vec!["a", "b"])),
            (json!(""), None),
            (json!([]), None),
            (json!([1]), None),
            (json!("x".repeat(300)), None),
        ];
        for (given, expected) in cases {
            let reply = read(&json!({ "access_token": "a", "scope": given }));
            let expected = expected.map(|list| list.into_iter().map(str::to_owned).collect());
            assert_eq!(reply.scopes, expected, "{given}");
        }
    }

    #[test]
    fn a_reply_in_a_list_is_read_and_permissions_are_scopes() {
        let issued = json!({ "access_token": "a", "user_id": "7", "permissions": "basic,insights" });
        for body in [json!({ "data": [issued] }), issued.clone(), json!({ "data": [issued, { "access_token": "b" }] })]
        {
            let reply = read(&body);
            assert_eq!(
                (reply.access.expose(), reply.scopes.unwrap()),
                ("a", vec!["basic".to_owned(), "insights".to_owned()])
            );
        }
        let flat = read(&json!({ "access_token": "a", "permissions": ["basic"], "data": "nothing" }));
        assert_eq!(flat.scopes.unwrap(), ["basic"]);
        let both = read(&json!({ "access_token": "a", "scope": "one", "permissions": "two" }));
        assert_eq!(both.scopes.unwrap(), ["one"]);
        for none in [json!({ "data": [] }), json!({ "data": {} }), json!({ "data": [{}] }), json!({ "data": [7] })] {
            assert_eq!(refused(none.to_string().as_bytes()), TokenReplyError::NoAccessToken, "{none}");
        }
    }

    #[test]
    fn what_could_be_no_token_is_none() {
        for access in
            [json!(""), json!(" "), json!("a b"), json!("a\n"), json!(7), json!(null), json!("x".repeat(20_000))]
        {
            let body = json!({ "access_token": access, "refresh_token": "r" }).to_string();
            assert_eq!(refused(body.as_bytes()), TokenReplyError::NoAccessToken, "{access}");
        }
        for refresh in [json!(""), json!("  "), json!(7), json!(null), json!({})] {
            assert!(read(&json!({ "access_token": "a", "refresh_token": refresh })).refresh.is_none(), "{refresh}");
        }
    }

    #[test]
    fn no_error_repeats_the_text() {
        let long = format!("{{\"access_token\":\"{}\"}}", "canary".repeat(20_000));
        for body in ["<html>canary</html>", "\"canary\"", "[\"canary\"]", "{\"access_token\":canary}", "", &long] {
            assert!(!refused(body.as_bytes()).to_string().contains("canary"), "{}", &body[..body.len().min(40)]);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_or_makes_a_token_of_nothing(body in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(reply) = read_token_reply(&body) {
                prop_assert!(!reply.access.expose().is_empty());
            }
        }

        #[test]
        fn a_life_is_bounded(seconds in any::<f64>()) {
            let text = format!("{seconds}");
            for value in [json!(seconds), json!(text)] {
                let told = life(&value);
                prop_assert!(told.is_none_or(|told| told >= Duration::from_secs(1) && told <= LONGEST_LIFE));
            }
        }
    }

    #[test]
    fn it_is_said_whose_the_token_is_and_whether_it_is_bound() {
        let said = read(&json!({ "access_token": "a", "token_type": "dpop", "sub": "did:plc:a" }));
        assert_eq!((said.subject.as_deref(), said.bound), (Some("did:plc:a"), true));
        for (kind, sub) in [(json!("bearer"), json!("")), (json!(7), json!("a b")), (json!(null), json!(["a"]))] {
            let said = read(&json!({ "access_token": "a", "token_type": kind, "sub": sub }));
            assert_eq!((said.subject, said.bound), (None, false));
        }
    }

    #[test]
    fn a_pushed_request_has_a_name() {
        let named = |text: &str| read_pushed_reply(text.as_bytes());
        assert_eq!(named(r#"{"request_uri":"urn:a:b","expires_in":90}"#).as_deref(), Some("urn:a:b"));
        for bad in ["", "{}", r#"{"request_uri":""}"#, r#"{"request_uri":"a b"}"#, r#"{"request_uri":7}"#, "<html>"] {
            assert_eq!(named(bad), None, "{bad}");
        }
    }
}
