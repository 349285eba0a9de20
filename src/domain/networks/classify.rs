//! What an answer of a network means for the token. Total: any status and any body has a class.
//!
//! In doubt an answer is [`ErrorClass::Transient`]: a token is never called dead for a page of HTML, a proxy's answer or
//! a body that breaks off. The rules come from the catalogue, most exact first; the fallback by HTTP status alone
//! never says more than [`ErrorClass::TokenInvalid`], which asks for a second look.

use std::time::Duration;

use serde_json::Value;

use super::headers::{http_date, seconds};
use super::model::{Endpoint, ErrorClass, ErrorRule, Network};

/// A body is read up to this many bytes; a longer one is judged by its status alone.
const BODY_LIMIT: usize = 64 * 1024;
/// A code longer than this, in bytes, is a text and not a code.
const CODE_LIMIT: usize = 128;

/// An answer of a network, as it came.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: &'a [(String, String)],
    /// The body, or the part of it that was read.
    pub body: &'a [u8],
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// The meaning.
    pub class: ErrorClass,
    /// How long to wait, where the network said so; at most a year.
    pub retry_after: Option<Duration>,
    /// The network's code: the one that decided, else the first one found. At most 128 bytes.
    pub code: Option<String>,
    /// The network's sub-code.
    pub subcode: Option<String>,
}

/// What an answer of the network's API means.
pub fn classify(network: &Network, answer: &Answer<'_>) -> Classified {
    let said = Said::read(network, answer);
    let (rule, code) = said.rule(network, Endpoint::Api).unzip();
    let success = (200..300).contains(&answer.status);
    let class = match rule {
        Some(rule) => rule.class,
        None if success && said.is_good(network) => ErrorClass::Ok,
        None if success || said.asks_to_repeat => ErrorClass::Transient,
        None => by_status(answer.status, said.is_html),
    };
    said.classified(class, code.flatten())
}

/// What the token endpoint's answer to a renewal means: the network's own rules for that endpoint, then those of
/// RFC 6749, then (where the renewal is a call of the API) those for the API.
///
/// [`ErrorClass::RefreshRejected`] comes from a JSON body with a refusal only.
pub fn classify_renewal(network: &Network, answer: &Answer<'_>) -> Classified {
    let said = Said::read(network, answer);
    let settled = settles(answer.status) && said.body.is_some();
    if settled && let Some((rule, code)) = said.rule(network, Endpoint::Token) {
        return said.classified(rule.class, code);
    }
    let class = classify_token_endpoint(answer.status, answer.body);
    // An OAuth error is a flat text; anything else that carries a code came from the API.
    let from_api = settled && class == ErrorClass::Transient && said.oauth_error().is_none();
    if from_api && !said.codes.is_empty() {
        return classify(network, answer);
    }
    said.classified(class, None)
}

/// What the token endpoint's answer means by RFC 6749, section 5.2, alone: `invalid_grant` is
/// [`ErrorClass::RefreshRejected`], `invalid_client` and `unauthorized_client` are [`ErrorClass::AppLevel`], anything
/// else that is no success is [`ErrorClass::Transient`].
pub fn classify_token_endpoint(status: u16, body: &[u8]) -> ErrorClass {
    let body = parse(body);
    let error = body.as_ref().and_then(|body| body.get("error")).and_then(Value::as_str);
    match error {
        Some("invalid_grant") if settles(status) => ErrorClass::RefreshRejected,
        Some("invalid_client" | "unauthorized_client") if settles(status) => ErrorClass::AppLevel,
        None if (200..300).contains(&status) && body.as_ref().is_some_and(Value::is_object) => ErrorClass::Ok,
        _ => ErrorClass::Transient,
    }
}

/// What the `error` means that the authorization endpoint sent back through the person's browser.
pub fn classify_authorization(network: &Network, error: &str) -> ErrorClass {
    let rules = network.errors.iter().filter(|rule| rule.at == Endpoint::Authorize);
    let rule = rules.into_iter().find(|rule| rule.code.as_deref() == Some(error));
    match (rule, error) {
        (Some(rule), _) => rule.class,
        (None, "access_denied") => ErrorClass::PermissionLost,
        (None, "invalid_request" | "unauthorized_client" | "unsupported_response_type" | "invalid_scope") => {
            ErrorClass::AppLevel
        }
        (None, _) => ErrorClass::Transient,
    }
}

/// How exactly a rule says what it matches: rules are asked in falling order. A header or a message decides before
/// codes; then (http, code, sub-code), (code, sub-code), (http, code), code, http.
pub(super) fn exactness(rule: &ErrorRule) -> u32 {
    let number = |single: bool, range: bool, weight: u32| match (single, range) {
        (false, _) => 0,
        (true, false) => weight,
        (true, true) => weight * 3 / 4,
    };
    u32::from(rule.header.is_some()) * 128
        + u32::from(rule.message.is_some()) * 64
        + number(rule.subcode.is_some(), rule.subcode_to.is_some(), 32)
        + number(rule.code.is_some(), rule.code_to.is_some(), 8)
        + u32::from(rule.http.is_some())
}

/// What an answer said, found by the network's description of its error bodies.
struct Said<'a> {
    answer: &'a Answer<'a>,
    body: Option<Value>,
    codes: Vec<String>,
    subcode: Option<String>,
    message: Option<String>,
    asks_to_repeat: bool,
    is_html: bool,
}

impl<'a> Said<'a> {
    fn read(network: &Network, answer: &'a Answer<'a>) -> Self {
        let form = &network.error_body;
        let body = parse(answer.body);
        let found = |places: &[String]| -> Vec<Value> {
            let all = places.iter().filter_map(|place| at(body.as_ref()?, place).cloned());
            all.filter(|value| !value.is_null()).collect()
        };
        let mut codes: Vec<String> = found(&form.code).iter().filter_map(code_text).collect();
        if form.challenge {
            codes.extend(challenge_error(answer.headers));
        }
        Said {
            answer,
            codes,
            subcode: found(&form.subcode).iter().find_map(code_text),
            message: found(&form.message).iter().find_map(|value| value.as_str().map(str::to_lowercase)),
            asks_to_repeat: found(&form.transient).iter().any(|value| value.as_bool() == Some(true)),
            is_html: is_html(answer),
            body,
        }
    }

    /// The most exact rule that matches, and the code that it matched.
    fn rule<'n>(&self, network: &'n Network, at: Endpoint) -> Option<(&'n ErrorRule, Option<String>)> {
        let rules = network.errors.iter().filter(|rule| rule.at == at);
        rules.filter(|rule| self.admits(network, rule)).find_map(|rule| self.matches(rule).map(|code| (rule, code)))
    }

    /// A good answer is judged by a rule only if the rule names its status, or the network says in every answer whether
    /// it is good. A page of HTML is judged by no rule: it is not the network's API that speaks.
    fn admits(&self, network: &Network, rule: &ErrorRule) -> bool {
        let success = (200..300).contains(&self.answer.status);
        let spoken = match (rule.at, &network.error_body.success_code) {
            (Endpoint::Api, None) => !success || rule.http.is_some(),
            (Endpoint::Api, Some(good)) => !success || self.codes.first().is_some_and(|code| code != good),
            (Endpoint::Token | Endpoint::Authorize, _) => true,
        };
        spoken && !self.is_html
    }

    /// `None` if the rule does not match; else the code that it matched, if it asks for one.
    fn matches(&self, rule: &ErrorRule) -> Option<Option<String>> {
        let http = rule.http.is_none_or(|http| http == self.answer.status);
        let subcode = rule.subcode.as_deref().is_none_or(|from| {
            self.subcode.as_deref().is_some_and(|subcode| is_number_in(subcode, from, rule.subcode_to))
        });
        let message = rule
            .message
            .as_deref()
            .is_none_or(|part| self.message.as_deref().is_some_and(|message| message.contains(&part.to_lowercase())));
        let header = rule.header.as_deref().is_none_or(|header| has_header(self.answer.headers, header));
        if !(http && subcode && message && header) {
            return None;
        }
        match rule.code.as_deref() {
            None => Some(None),
            Some(from) => self.codes.iter().find(|code| is_number_in(code, from, rule.code_to)).cloned().map(Some),
        }
    }

    fn is_good(&self, network: &Network) -> bool {
        match (&network.error_body.success_code, self.codes.first()) {
            (Some(good), Some(code)) => code == good,
            _ => true,
        }
    }

    fn oauth_error(&self) -> Option<&str> {
        self.body.as_ref()?.get("error")?.as_str()
    }

    fn classified(self, class: ErrorClass, code: Option<String>) -> Classified {
        let code = code.or_else(|| self.codes.into_iter().next());
        Classified { class, retry_after: retry_after(self.answer.headers), code, subcode: self.subcode }
    }
}

/// Whether a status can carry the token endpoint's last word; a limit, a time-out or a fault can't.
fn settles(status: u16) -> bool {
    (200..300).contains(&status) || matches!(status, 400 | 401 | 403)
}

fn by_status(status: u16, is_html: bool) -> ErrorClass {
    match status {
        429 => ErrorClass::RateLimitedToken,
        _ if is_html => ErrorClass::Transient,
        401 => ErrorClass::TokenInvalid,
        403 => ErrorClass::ResourceDenied,
        400 | 404 | 405 | 406 | 410 | 411 | 413 | 414 | 415 | 422 => ErrorClass::BadRequest,
        _ => ErrorClass::Transient,
    }
}

fn parse(body: &[u8]) -> Option<Value> {
    (body.len() <= BODY_LIMIT).then(|| serde_json::from_slice(body).ok()).flatten()
}

fn at<'v>(body: &'v Value, place: &str) -> Option<&'v Value> {
    place.split('.').try_fold(body, |value, step| match value {
        Value::Object(members) => members.get(step),
        Value::Array(elements) => elements.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// A code as text. Of a URI (RFC 9457) the last part; `about:blank` says nothing.
fn code_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim(),
        Value::Number(number) if !number.is_f64() => return Some(number.to_string()),
        _ => return None,
    };
    let is_uri = text.starts_with("https://") || text.starts_with("http://");
    let code = if is_uri { text.trim_end_matches('/').rsplit('/').next().unwrap_or(text) } else { text };
    let says_something = !code.is_empty() && code.len() <= CODE_LIMIT && code != "about:blank";
    says_something.then(|| code.to_owned())
}

/// Whether `text` is `from`, or a number of the range that begins there.
fn is_number_in(text: &str, from: &str, to: Option<u32>) -> bool {
    let Some(to) = to else { return text == from };
    let number = |text: &str| text.parse::<u32>().ok();
    matches!((number(text), number(from)), (Some(number), Some(from)) if (from..=to).contains(&number))
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// `name` must be there; `name: value` must be there with this value.
fn has_header(headers: &[(String, String)], wanted: &str) -> bool {
    match wanted.split_once(':') {
        Some((name, value)) => header(headers, name.trim()) == Some(value.trim()),
        None => header(headers, wanted.trim()).is_some(),
    }
}

fn is_html(answer: &Answer<'_>) -> bool {
    let declared =
        header(answer.headers, "content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"));
    declared || answer.body.trim_ascii_start().starts_with(b"<")
}

/// The `error` of a `WWW-Authenticate` header (RFC 6750, section 3).
fn challenge_error(headers: &[(String, String)]) -> Option<String> {
    let challenges = header(headers, "www-authenticate")?.get(..).filter(|text| text.len() <= BODY_LIMIT)?;
    let (_, rest) = challenges.split_once("error=\"")?;
    let (code, _) = rest.split_once('"')?;
    (!code.is_empty() && code.len() <= CODE_LIMIT).then(|| code.to_owned())
}

/// `Retry-After` as a span. A date is measured from the answer's own `Date`, so that no clock is needed.
fn retry_after(headers: &[(String, String)]) -> Option<Duration> {
    let value = header(headers, "retry-after")?;
    let until = || Some(http_date(value)?.since(http_date(header(headers, "date")?)?));
    seconds(value).or_else(until).map(|span| span.min(super::headers::LONGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::domain::networks::Catalogue;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    #[derive(Deserialize)]
    struct Table {
        answers: Vec<Row>,
    }

    #[derive(Deserialize)]
    struct Row {
        network: String,
        at: Endpoint,
        status: u16,
        #[serde(default)]
        headers: Vec<(String, String)>,
        body: String,
        class: ErrorClass,
    }

    fn table() -> Vec<Row> {
        let text = include_str!("../../../tests/data/network_answers.toml");
        toml::from_str::<Table>(text).unwrap().answers
    }

    fn classified(network: &str, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Classified {
        let catalogue = Catalogue::embedded();
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        classify(catalogue.network(network).unwrap(), &Answer { status, headers: &headers, body })
    }

    #[test]
    fn every_documented_answer_has_its_class() {
        let catalogue = Catalogue::embedded();
        let mut wrong = Vec::new();
        for row in table() {
            let network = catalogue.network(&row.network).unwrap();
            let answer = Answer { status: row.status, headers: &row.headers, body: row.body.as_bytes() };
            let class = match row.at {
                Endpoint::Token => classify_renewal(network, &answer).class,
                _ => classify(network, &answer).class,
            };
            if class != row.class {
                wrong.push(format!("{} {} {}: {class:?}, not {:?}", row.network, row.status, row.body, row.class));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn every_rule_that_is_compiled_in_decides_some_answer() {
        let catalogue = Catalogue::embedded();
        let mut decided = std::collections::HashSet::new();
        for row in table() {
            let network = catalogue.network(&row.network).unwrap();
            let answer = Answer { status: row.status, headers: &row.headers, body: row.body.as_bytes() };
            if let Some((rule, _)) = Said::read(network, &answer).rule(network, row.at) {
                decided.insert((row.network.clone(), format!("{rule:?}")));
            }
        }
        let mut idle = Vec::new();
        for network in catalogue.iter() {
            for rule in network.errors.iter().filter(|rule| rule.at != Endpoint::Authorize) {
                if !decided.contains(&(network.id.to_string(), format!("{rule:?}"))) {
                    idle.push(format!("{}: {rule:?}", network.id));
                }
            }
        }
        assert!(idle.is_empty(), "{idle:#?}");
    }

    #[test]
    fn foreign_bodies_never_hurt_a_token() {
        let long = vec![b'a'; 1 << 20];
        let mut long_json = br#"{"error":{"code":190,"error_subcode":460},"x":""#.to_vec();
        long_json.extend_from_slice(&long);
        long_json.extend_from_slice(b"\"}");
        let deep = vec![b'['; 60_000];
        let bodies: [&[u8]; 8] = [
            b"",
            b"<!doctype html><h1>Blocked</h1>",
            br#"{"error":{"code":190,"error_subc"#,
            br#"{"error":{"code":{"a":1}}}"#,
            b"\xff\xfe\x00",
            &long,
            &long_json,
            &deep,
        ];
        for network in Catalogue::embedded().iter() {
            for status in [0, 100, 301, 400, 404, 408, 500, 502, 503, 504, 999] {
                for body in bodies {
                    let class = classify(network, &Answer { status, headers: &[], body }).class;
                    let harmless = matches!(class, ErrorClass::Transient | ErrorClass::BadRequest);
                    assert!(harmless, "{} {status} {class:?}", network.id);
                    let renewal = classify_renewal(network, &Answer { status, headers: &[], body }).class;
                    assert!(
                        matches!(renewal, ErrorClass::Transient | ErrorClass::BadRequest),
                        "{} {status} {renewal:?}",
                        network.id
                    );
                }
            }
        }
    }

    #[test]
    fn a_page_of_html_is_not_the_network_speaking() {
        for (network, status) in [("tumblr", 403), ("mastodon", 401), ("github", 403), ("x", 401), ("linkedin", 422)] {
            let page = classified(network, status, &[("content-type", "text/html; charset=utf-8")], b"Blocked");
            assert_eq!(page.class, ErrorClass::Transient, "{network}");
            assert_eq!(classified(network, status, &[], b" \n<html>").class, ErrorClass::Transient, "{network}");
        }
        assert_eq!(classified("x", 429, &[], b"<html>").class, ErrorClass::RateLimitedToken);
    }

    #[test]
    fn without_a_rule_the_status_decides_cautiously() {
        let cases = [
            (200, ErrorClass::Ok),
            (204, ErrorClass::Ok),
            (302, ErrorClass::Transient),
            (400, ErrorClass::BadRequest),
            (401, ErrorClass::TokenInvalid),
            (403, ErrorClass::ResourceDenied),
            (404, ErrorClass::BadRequest),
            (408, ErrorClass::Transient),
            (429, ErrorClass::RateLimitedToken),
            (500, ErrorClass::Transient),
        ];
        for (status, class) in cases {
            assert_eq!(classified("facebook", status, &[], b"").class, class, "{status}");
        }
    }

    #[test]
    fn codes_are_said_as_the_network_wrote_them() {
        let graph = classified("facebook", 400, &[], br#"{"error":{"code":190,"error_subcode":460}}"#);
        assert_eq!((graph.code.as_deref(), graph.subcode.as_deref()), (Some("190"), Some("460")));
        let google = br#"{"error":{"code":429,"errors":[{"reason":"somethingNew"}],"status":"RESOURCE_EXHAUSTED"}}"#;
        assert_eq!(classified("youtube", 429, &[], google).code.as_deref(), Some("RESOURCE_EXHAUSTED"));
        let x = classified("x", 403, &[], br#"{"type":"https://api.x.com/2/problems/client-forbidden"}"#);
        assert_eq!(x.code.as_deref(), Some("client-forbidden"));
        let long = format!(r#"{{"error":{{"code":"{}"}}}}"#, "a".repeat(500));
        assert_eq!(classified("facebook", 400, &[], long.as_bytes()).code, None);
    }

    #[test]
    fn retry_after_is_a_span_or_a_date() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let cases: [(Headers<'_>, Option<u64>); 7] = [
            (&[("retry-after", "120")], Some(120)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:51:37 GMT"), date], Some(120)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:40:00 GMT"), date], Some(0)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:51:37 GMT")], None),
            (&[("retry-after", "soon"), date], None),
            (&[("retry-after", "99999999999999999999999")], Some(super::super::headers::LONGEST.as_secs())),
            (&[], None),
        ];
        for (headers, wait) in cases {
            assert_eq!(classified("x", 429, headers, b"").retry_after, wait.map(Duration::from_secs), "{headers:?}");
        }
    }

    #[test]
    fn the_token_endpoint_is_read_by_the_standard() {
        let cases: [(u16, &[u8], ErrorClass); 14] = [
            (400, br#"{"error":"invalid_grant"}"#, ErrorClass::RefreshRejected),
            (401, br#"{"error":"invalid_grant"}"#, ErrorClass::RefreshRejected),
            (400, br#"{"error":"invalid_client"}"#, ErrorClass::AppLevel),
            (401, br#"{"error":"unauthorized_client"}"#, ErrorClass::AppLevel),
            (400, br#"{"error":"invalid_request"}"#, ErrorClass::Transient),
            (429, br#"{"error":"invalid_grant"}"#, ErrorClass::Transient),
            (500, br#"{"error":"invalid_grant"}"#, ErrorClass::Transient),
            (503, br#"{"error":"invalid_grant"}"#, ErrorClass::Transient),
            (400, b"<html>invalid_grant</html>", ErrorClass::Transient),
            (400, b"error=invalid_grant", ErrorClass::Transient),
            (400, b"", ErrorClass::Transient),
            (400, br#"{"error":"invalid_gra"#, ErrorClass::Transient),
            (200, br#"{"access_token":"t"}"#, ErrorClass::Ok),
            (200, b"", ErrorClass::Transient),
        ];
        for (status, body, class) in cases {
            assert_eq!(classify_token_endpoint(status, body), class, "{status} {}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn the_authorization_endpoint_says_who_must_act() {
        let catalogue = Catalogue::embedded();
        let cases = [
            ("youtube", "admin_policy_enforced", ErrorClass::AppLevel),
            ("google_business", "org_internal", ErrorClass::AppLevel),
            ("x", "access_denied", ErrorClass::PermissionLost),
            ("x", "invalid_scope", ErrorClass::AppLevel),
            ("x", "server_error", ErrorClass::Transient),
            ("x", "<script>", ErrorClass::Transient),
        ];
        for (network, error, class) in cases {
            assert_eq!(classify_authorization(catalogue.network(network).unwrap(), error), class, "{network} {error}");
        }
    }

    #[test]
    fn rules_are_asked_from_the_most_exact_on() {
        for network in Catalogue::embedded().iter() {
            assert!(network.errors.is_sorted_by_key(|rule| std::cmp::Reverse(exactness(rule))), "{}", network.id);
        }
        let rule = |http, code: Option<&str>, subcode: Option<&str>| ErrorRule {
            at: Endpoint::Api,
            http,
            code: code.map(str::to_owned),
            code_to: None,
            subcode: subcode.map(str::to_owned),
            subcode_to: None,
            message: None,
            header: None,
            class: ErrorClass::Ok,
            about: None,
            verified: crate::domain::networks::Verified::Unverified,
        };
        let order = [
            rule(Some(400), Some("1"), Some("2")),
            rule(None, Some("1"), Some("2")),
            rule(Some(400), Some("1"), None),
            rule(None, Some("1"), None),
            rule(Some(400), None, None),
        ];
        assert!(order.windows(2).all(|pair| exactness(&pair[0]) > exactness(&pair[1])));
    }

    proptest! {
        #[test]
        fn any_answer_has_a_class(status: u16, body: Vec<u8>, name in "(retry-after|www-authenticate|date)", value: String) {
            static CATALOGUE: std::sync::LazyLock<Catalogue> = std::sync::LazyLock::new(Catalogue::embedded);
            let headers = [(name, value)];
            for network in CATALOGUE.iter() {
                let answer = Answer { status, headers: &headers, body: &body };
                let class = classify(network, &answer).class;
                let renewal = classify_renewal(network, &answer).class;
                let dead = [ErrorClass::TokenRevoked, ErrorClass::PasswordChanged, ErrorClass::RefreshRejected];
                prop_assert!(!dead.contains(&class) && !dead.contains(&renewal));
            }
        }
    }
}
