//! What a network says when it is asked about a token. Foreign text: what is malformed tells nothing, and nothing is believed to be later
//! than what was known before.

use std::time::Duration;

use serde_json::{Value, json};

use super::classify::{Answer, classify, parse, value_at};
use super::model::{ErrorClass, Introspection, Network};
use crate::base::clock::Timestamp;

/// Scopes of one answer that are read.
const MOST_SCOPES: usize = 256;
/// The furthest end that is believed to be one, in seconds.
const FURTHEST: i64 = 253_402_300_799;

/// What an introspection told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introspected {
    /// What it means for the token, as if a call had been answered so.
    pub class: ErrorClass,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When access to data ends.
    pub data_access_expires_at: Option<Timestamp>,
    /// Its scopes; `None`: not told.
    pub scopes: Option<Vec<String>>,
}

impl Introspected {
    fn of(class: ErrorClass) -> Self {
        Self { class, expires_at: None, data_access_expires_at: None, scopes: None }
    }
}

impl Introspection {
    /// What an answer means that came at `now`.
    pub fn read(&self, network: &Network, answer: &Answer<'_>, now: Timestamp) -> Introspected {
        let Some(body) = parse(answer.body).filter(Value::is_object) else {
            return Introspected::of(about_the_question(classify(network, answer).class));
        };
        if !(200..300).contains(&answer.status) {
            let error = value_at(&body, "error").and_then(Value::as_str);
            let of_the_token = answer.status == 400 && error.is_some() && error == self.refused_as.as_deref();
            let class = about_the_question(classify(network, answer).class);
            return Introspected::of(if of_the_token { ErrorClass::TokenInvalid } else { class });
        }
        match self.active.as_deref().map(|place| value_at(&body, place).and_then(Value::as_bool)) {
            Some(Some(true)) => {}
            Some(Some(false)) => return Introspected::of(self.why_inactive(network, &body)),
            // It should be there.
            Some(None) => return Introspected::of(ErrorClass::Transient),
            None => {}
        }
        let seconds = |place: &Option<String>| place.as_deref().and_then(|place| number(value_at(&body, place)?));
        let moment = |secs: i64| (secs > 0 && secs <= FURTHEST).then(|| Timestamp::from_secs(secs));
        let left = seconds(&self.expires_in).filter(|secs| *secs <= FURTHEST);
        let left = left.and_then(|secs| u64::try_from(secs).ok()).map(|secs| now + Duration::from_secs(secs));
        Introspected {
            class: ErrorClass::Ok,
            expires_at: seconds(&self.expires_at).and_then(moment).or(left),
            data_access_expires_at: seconds(&self.data_access_expires_at).and_then(moment),
            scopes: self.scopes.as_deref().and_then(|place| scopes(value_at(&body, place)?)),
        }
    }

    fn why_inactive(&self, network: &Network, body: &Value) -> ErrorClass {
        if let Some(error) = self.error.as_deref().and_then(|place| value_at(body, place)) {
            let told = json!({ "error": error }).to_string();
            let class = classify(network, &Answer { status: 400, headers: &[], body: told.as_bytes() }).class;
            // It said that the token does not work: a code that nobody knows takes nothing from that.
            return if ends(class) { class } else { ErrorClass::TokenInvalid };
        }
        match self.status.as_deref().and_then(|place| value_at(body, place)).and_then(Value::as_str) {
            Some("expired") => ErrorClass::TokenExpired,
            Some("revoked") => ErrorClass::TokenRevoked,
            _ => ErrorClass::TokenInvalid,
        }
    }
}

/// What a refusal of the question means: it blames the app or the moment, never the token that was asked about.
fn about_the_question(class: ErrorClass) -> ErrorClass {
    use ErrorClass as Class;
    match class {
        Class::AppLevel => Class::AppLevel,
        Class::RateLimitedToken
        | Class::RateLimitedResource
        | Class::RateLimitedApp
        | Class::QuotaExhaustedApp
        | Class::PublishQuota => Class::RateLimitedApp,
        _ => Class::Transient,
    }
}

fn ends(class: ErrorClass) -> bool {
    use ErrorClass as Class;
    matches!(class, Class::TokenExpired | Class::TokenRevoked | Class::PasswordChanged | Class::UserCheckpoint)
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn scopes(value: &Value) -> Option<Vec<String>> {
    let texts: Vec<String> = match value {
        Value::String(text) => {
            text.split([' ', ',']).filter(|scope| !scope.is_empty()).take(MOST_SCOPES).map(str::to_owned).collect()
        }
        Value::Array(items) => {
            items.iter().take(MOST_SCOPES).filter_map(|item| Some(item.as_str()?.to_owned())).collect()
        }
        _ => return None,
    };
    (!texts.is_empty()).then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::networks::Catalogue;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn read(network: &str, kind: &str, status: u16, body: &str) -> Introspected {
        let catalogue = Catalogue::embedded();
        let network = catalogue.network(network).unwrap();
        let probe = network.kind(kind).unwrap().probe.as_ref().unwrap();
        let answer = Answer { status, headers: &[], body: body.as_bytes() };
        probe.introspection.as_ref().unwrap().read(network, &answer, NOW)
    }

    #[test]
    fn a_token_that_works_is_told_with_its_end_and_its_scopes() {
        let facebook =
            r#"{"data":{"is_valid":true,"expires_at":1800003600,"data_access_expires_at":0,"scopes":["a","b"]}}"#;
        let told = read("facebook", "user", 200, facebook);
        assert_eq!((told.class, told.expires_at), (ErrorClass::Ok, Some(Timestamp::from_secs(1_800_003_600))));
        assert_eq!((told.data_access_expires_at, told.scopes), (None, Some(vec!["a".to_owned(), "b".to_owned()])));
        let google = read("youtube", "user", 200, r#"{"expires_in":"60","scope":"a b"}"#);
        assert_eq!(google.expires_at, Some(NOW + Duration::from_secs(60)));
        let linkedin = read("linkedin", "user", 200, r#"{"active":true,"scope":"a,b","expires_at":1800000001}"#);
        assert_eq!((linkedin.class, linkedin.scopes.unwrap().len()), (ErrorClass::Ok, 2));
    }

    #[test]
    fn only_what_speaks_of_the_token_is_held_against_it() {
        use ErrorClass as Class;
        let cases = [
            (
                "facebook",
                "user",
                200,
                r#"{"data":{"is_valid":false,"error":{"code":190,"subcode":460}}}"#,
                Class::TokenInvalid,
            ),
            (
                "facebook",
                "user",
                200,
                r#"{"data":{"is_valid":false,"error":{"code":190,"error_subcode":460}}}"#,
                Class::PasswordChanged,
            ),
            ("facebook", "user", 200, r#"{"data":{"is_valid":false}}"#, Class::TokenInvalid),
            (
                "facebook",
                "user",
                400,
                r#"{"error":{"code":190,"message":"Invalid OAuth access token"}}"#,
                Class::Transient,
            ),
            ("facebook", "user", 400, r#"{"error":{"code":4,"message":"limit"}}"#, Class::RateLimitedApp),
            ("facebook", "user", 200, r#"{"data":{}}"#, Class::Transient),
            ("facebook", "user", 200, "<html>", Class::Transient),
            ("youtube", "user", 400, r#"{"error":"invalid_token"}"#, Class::TokenInvalid),
            ("youtube", "user", 500, r#"{"error":"invalid_token"}"#, Class::Transient),
            ("youtube", "user", 400, r#"{"error":"invalid_request"}"#, Class::Transient),
            ("linkedin", "user", 200, r#"{"active":false,"status":"revoked"}"#, Class::TokenRevoked),
            ("linkedin", "user", 200, r#"{"active":false,"status":"expired"}"#, Class::TokenExpired),
            ("linkedin", "user", 200, r#"{"active":false}"#, Class::TokenInvalid),
            ("linkedin", "user", 401, r#"{"serviceErrorCode":65600}"#, Class::Transient),
        ];
        for (network, kind, status, body, class) in cases {
            assert_eq!(read(network, kind, status, body).class, class, "{network} {status} {body}");
        }
    }
}
