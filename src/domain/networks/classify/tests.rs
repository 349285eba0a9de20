//! Every row of the catalogue and of the recorded answers, and arbitrary bytes.

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::*;
use crate::domain::networks::Catalogue;

/// Refusals as the networks document them, one a line: what was answered, and what it means.
const ANSWERS: &str = include_str!("answers.jsonl");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    network: &'a str,
    at: Endpoint,
    status: u16,
    class: ErrorClass,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

fn class_of(network: &Network, row: &Row<'_>) -> ErrorClass {
    let headers: Vec<(String, String)> = row.headers.clone().into_iter().collect();
    let body = row.body.map_or("", RawValue::get);
    let answer = Answer { status: row.status, headers: &headers, body: body.as_bytes() };
    match row.at {
        Endpoint::Api => classify(network, &answer).class,
        Endpoint::Token => classify_renewal(network, &answer).class,
        Endpoint::Authorize => {
            let body: Value = serde_json::from_str(body).unwrap();
            classify_authorization(network, body["error"].as_str().unwrap()).0
        }
    }
}

#[test]
fn every_documented_refusal_has_its_class() {
    let catalogue = Catalogue::embedded();
    let mut networks = std::collections::BTreeSet::new();
    let mut wrong = Vec::new();
    for line in ANSWERS.lines() {
        let row: Row<'_> = serde_json::from_str(line).unwrap();
        let network = catalogue.network(row.network).unwrap();
        networks.insert(row.network);
        let class = class_of(network, &row);
        if class != row.class {
            wrong.push(format!("{class:?} and not {:?}: {line}", row.class));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(networks.len(), catalogue.len(), "every network has documented refusals");
}

#[test]
fn every_rule_decides_a_documented_refusal() {
    let catalogue = Catalogue::embedded();
    let mut decisive = std::collections::HashSet::new();
    for line in ANSWERS.lines() {
        let row: Row<'_> = serde_json::from_str(line).unwrap();
        let headers: Vec<(String, String)> = row.headers.into_iter().collect();
        let body = row.body.map_or("", RawValue::get).as_bytes();
        let network = catalogue.network(row.network).unwrap();
        let answer = Answer { status: row.status, headers: &headers, body };
        if let Some((rule, _)) = Said::read(network, &answer).rule(network, row.at) {
            decisive.insert(std::ptr::from_ref(rule));
        }
    }
    let idle: Vec<String> = catalogue
        .iter()
        .flat_map(|network| network.errors.iter().map(move |rule| (network, rule)))
        .filter(|(_, rule)| rule.at != Endpoint::Authorize && !decisive.contains(&std::ptr::from_ref(*rule)))
        .map(|(network, rule)| format!("{}: {rule:?}", network.id))
        .collect();
    assert!(idle.is_empty(), "{}", idle.join("\n"));
}

#[test]
fn a_rule_that_no_source_confirms_ends_no_token() {
    use ErrorClass as Class;
    let ends = |class| {
        judges_the_token(class)
            && !matches!(class, Class::ResourceDenied | Class::WrongTokenKind | Class::AppLevel | Class::BadRequest)
    };
    let mut doubted = 0;
    for line in ANSWERS.lines() {
        let row: Row<'_> = serde_json::from_str(line).unwrap();
        let network = CATALOGUE.network(row.network).unwrap();
        let headers: Vec<(String, String)> = row.headers.clone().into_iter().collect();
        let body = row.body.map_or("", RawValue::get).as_bytes();
        let answer = Answer { status: row.status, headers: &headers, body };
        let rule = Said::read(network, &answer).rule(network, row.at);
        if rule.is_some_and(|(rule, _)| rule.verified == Verified::Unverified && ends(rule.class)) {
            assert!(!ends(class_of(network, &row)), "{line}");
            doubted += 1;
        }
    }
    assert!(doubted > 10, "only {doubted} rules");
}

#[test]
fn a_subcode_ends_a_token_only_where_the_code_agrees() {
    use ErrorClass as Class;
    let cases = [
        (r#"{"error":{"code":190,"error_subcode":460}}"#, Class::PasswordChanged),
        (r#"{"error":{"code":102,"error_subcode":460}}"#, Class::PasswordChanged),
        (r#"{"error":{"code":452,"error_subcode":458}}"#, Class::TokenRevoked),
        (r#"{"error":{"error_subcode":460}}"#, Class::PasswordChanged),
        (r#"{"error":{"code":null,"error_subcode":"460"}}"#, Class::PasswordChanged),
        (r#"{"error":{"code":2,"error_subcode":460}}"#, Class::Transient),
        (r#"{"error":{"code":4,"error_subcode":463}}"#, Class::Transient),
        (r#"{"error":{"code":100,"error_subcode":458}}"#, Class::Transient),
        (r#"{"error":{"code":250,"error_subcode":459}}"#, Class::Transient),
        (r#"{"error":{"code":17,"error_subcode":2446079}}"#, Class::RateLimitedResource),
    ];
    for (body, expected) in cases {
        assert_eq!(answer_of("facebook", 400, &[], body.as_bytes()).class, expected, "{body}");
    }
}

/// What no honest server sends: each is a doubt, and none of it a reason to give a token up.
#[test]
fn hostile_answers_are_doubts() {
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let long = format!(r#"{{"error":{{"message":"{}","code":190,"error_subcode":460}}}}"#, "x".repeat(1 << 20));
    let bodies: [&[u8]; 18] = [
        deep.as_bytes(),
        long.as_bytes(),
        br#"[{"error":{"code":190,"error_subcode":460}}]"#,
        br#"{"error":[{"code":190,"error_subcode":460}]}"#,
        br#"{"error":[[{"code":190}]]}"#,
        br#"{"error":{"code":{"code":190}}}"#,
        br#"{"error":{"code":[190]}}"#,
        br#"{"error":{"code":true,"message":190}}"#,
        br#"{"error":{"code":-190}}"#,
        br#"{"error":{"code":190.5}}"#,
        br#"{"error":{"code":1e400}}"#,
        br#"{"error":{"code":NaN}}"#,
        br#"{"error":{"code":99999999999999999999999999}}"#,
        br#"{"error":{"code":"190 or so"}}"#,
        br#"{"ERROR":{"CODE":190}}"#,
        b"{\"error\":{\"code\":190,\"message\":\"\xff\xfe\"}}",
        b"\xef\xbb\xbf{\"error\":{\"code\":190}}",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    ];
    for body in bodies {
        for status in [400, 403, 500, 503] {
            let class = answer_of("facebook", status, &[], body).class;
            let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
            assert_eq!(class, ErrorClass::Transient, "{status} {shown}");
        }
    }
}

#[test]
fn a_code_that_is_there_twice_is_the_last_one_as_json_has_it() {
    let body = br#"{"error":{"code":190,"code":4}}"#;
    assert_eq!(answer_of("facebook", 400, &[], body).class, ErrorClass::RateLimitedApp);
}

#[test]
fn headers_of_any_size_and_content_decide_nothing_by_themselves() {
    let huge = "error=\"insufficient_scope".repeat(50_000);
    for (name, value) in
        [("www-authenticate", huge.as_str()), ("retry-after", huge.as_str()), ("www-authenticate", "error=\"")]
    {
        let answer = answer_of("reddit", 403, &[(name, value)], b"{}");
        assert_eq!((answer.class, answer.retry_after, answer.code), (ErrorClass::Transient, None, None), "{name}");
    }
}

fn answer_of(network: &str, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Classified {
    let catalogue = Catalogue::embedded();
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    classify(catalogue.network(network).unwrap(), &Answer { status, headers: &headers, body })
}

#[test]
fn what_no_rule_knows_is_judged_with_care() {
    use ErrorClass as Class;
    let long = format!("{{\"error\":{{\"code\":190,\"message\":\"{}\"}}}}", "x".repeat(1 << 20));
    let cases: [(&str, u16, &[u8], Class); 24] = [
        ("facebook", 200, b"", Class::Ok),
        ("facebook", 200, b"not json", Class::Ok),
        ("facebook", 200, br#"{"data":[]}"#, Class::Ok),
        ("facebook", 200, br#"{"error":{"code":190,"error_subcode":460}}"#, Class::PasswordChanged),
        ("facebook", 400, br#"{"error":{"code":"190","error_subcode":"460"}}"#, Class::PasswordChanged),
        ("facebook", 400, br#"{"error":{"code":190,"error_subcode":4"#, Class::Transient),
        ("facebook", 400, br#"{"error":{"code":190,"is_transient":true}}"#, Class::Transient),
        ("facebook", 400, br#"{"error":{"code":4,"is_transient":true}}"#, Class::RateLimitedApp),
        ("facebook", 400, br#"{"error":{"code":987654}}"#, Class::Transient),
        ("facebook", 400, long.as_bytes(), Class::Transient),
        ("facebook", 401, b"", Class::Transient),
        ("facebook", 429, b"", Class::RateLimitedToken),
        ("facebook", 500, b"<html>", Class::Transient),
        ("facebook", 0, b"", Class::Transient),
        ("facebook", 65535, &[0xff; 100], Class::Transient),
        ("x", 200, br#"{"data":[],"errors":[{"type":"https://api.x.com/2/problems/resource-not-found"}]}"#, Class::Ok),
        ("x", 401, b"", Class::TokenInvalid),
        ("x", 401, b"  <!doctype html>", Class::Transient),
        ("reddit", 401, b"Unauthorized", Class::Transient),
        ("github", 403, b"", Class::Transient),
        ("tiktok", 200, br#"{"data":{},"error":{"code":"ok"}}"#, Class::Ok),
        ("tiktok", 200, br#"{"data":{},"error":{"code":"never_seen"}}"#, Class::Transient),
        ("tiktok", 200, br#"{"data":{}}"#, Class::Ok),
        ("tiktok", 302, b"", Class::Transient),
    ];
    for (network, status, body, expected) in cases {
        let class = answer_of(network, status, &[], body).class;
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]);
        assert_eq!(class, expected, "{network} {status} {shown}");
    }
}

#[test]
fn no_network_calls_a_token_dead_for_a_page_or_a_fault() {
    for network in Catalogue::embedded().iter() {
        for status in [0, 302, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504, 520] {
            for body in [&b"<html><body>190 invalid_grant</body></html>"[..], b"Bad Gateway", b"{\"error\":", b""] {
                let answer = Answer { status, headers: &[], body };
                let api = classify(network, &answer).class;
                let renewal = classify_renewal(network, &answer).class;
                let shown = String::from_utf8_lossy(body);
                assert!(!judges_the_token(api), "{} {status} {shown}: {api:?}", network.id);
                assert_eq!(renewal, ErrorClass::Transient, "{} {status} {shown}", network.id);
            }
        }
    }
}

#[test]
fn codes_and_waits_are_told() {
    let body = br#"{"error":{"code":190,"error_subcode":460,"message":"changed"}}"#;
    let told = answer_of("facebook", 400, &[("retry-after", "120")], body);
    assert_eq!((told.code.as_deref(), told.subcode.as_deref()), (Some("190"), Some("460")));
    assert_eq!(told.retry_after, Some(Duration::from_secs(120)));

    let dates = [("date", "Sun, 06 Nov 1994 08:48:37 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")];
    assert_eq!(answer_of("github", 403, &dates, b"{}").retry_after, Some(Duration::from_secs(60)));
    assert_eq!(answer_of("github", 403, &dates[1..], b"{}").retry_after, None, "a date needs a clock");

    let problem = br#"{"title":"Forbidden","type":"https://api.x.com/2/problems/client-forbidden"}"#;
    assert_eq!(answer_of("x", 403, &[], problem).code.as_deref(), Some("client-forbidden"));
    let text = format!(r#"{{"error":{{"code":"{}"}}}}"#, "x".repeat(500));
    assert_eq!(answer_of("facebook", 400, &[], text.as_bytes()).code, None, "a long text is no code");
    assert_eq!(answer_of("facebook", 200, &[], b"").code, None);
}

#[test]
fn the_order_of_rules_is_that_of_exactness() {
    let rule =
        |text: &str| toml::from_str::<ErrorRule>(&format!("class = 'ok'\nverified = 'reported'\n{text}")).unwrap();
    let falling = [
        "http = 429\nmessage = 'day'",
        "http = 400\ncode = '1'\nsubcode = '2'",
        "code = '1'\nsubcode = '2'",
        "code = '1'\nsubcode = '2'\nsubcode_to = 3",
        "http = 400\nsubcode = '2'",
        "subcode = '2'",
        "http = 400\ncode = '1'",
        "code = '1'",
        "code = '1'\ncode_to = 2",
        "code = '1'\ncode_to = 9",
        "http = 400\nheader = 'retry-after'",
        "http = 400",
    ];
    let falling: Vec<_> = falling.iter().map(|text| exactness(&rule(text))).collect();
    assert!(falling.windows(2).all(|pair| pair[0] > pair[1]), "{falling:?}");
}

#[test]
fn between_equal_rules_the_better_code_decides() {
    let body = br#"{"error":{"errors":[{"reason":"rateLimitExceeded"}],"status":"PERMISSION_DENIED"}}"#;
    assert_eq!(answer_of("google_business", 403, &[], body).class, ErrorClass::RateLimitedApp);
}

#[test]
fn a_token_endpoint_is_understood_by_the_standard() {
    use ErrorClass as Class;
    let cases: [(u16, &[u8], Class); 17] = [
        (400, br#"{"error":"invalid_grant"}"#, Class::RefreshRejected),
        (401, br#"{"error":"invalid_grant"}"#, Class::RefreshRejected),
        (200, br#"{"error":"invalid_grant"}"#, Class::RefreshRejected),
        (400, br#"{"error":"invalid_client"}"#, Class::AppLevel),
        (401, br#"{"error":"unauthorized_client"}"#, Class::AppLevel),
        (400, br#"{"error":"invalid_request"}"#, Class::Transient),
        (400, br#"{"error":"temporarily_unavailable"}"#, Class::Transient),
        (400, br#"{"error":{"type":"invalid_grant"}}"#, Class::Transient),
        (400, br#""invalid_grant""#, Class::Transient),
        (400, b"invalid_grant", Class::Transient),
        (400, br#"{"error":"invalid_grant""#, Class::Transient),
        (429, br#"{"error":"invalid_grant"}"#, Class::Transient),
        (503, br#"{"error":"invalid_grant"}"#, Class::Transient),
        (400, b"", Class::Transient),
        (400, b"{}", Class::Transient),
        (200, br#"{"access_token":"a"}"#, Class::Ok),
        (200, b"<html>", Class::Transient),
    ];
    for (status, body, expected) in cases {
        assert_eq!(classify_token_endpoint(status, body), expected, "{status} {}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_renewal_that_is_a_call_of_the_api_is_judged_by_its_rules() {
    let catalogue = Catalogue::embedded();
    let threads = catalogue.network("threads").unwrap();
    let body = br#"{"error":{"code":190,"error_subcode":458}}"#;
    let answer = Answer { status: 400, headers: &[], body };
    assert_eq!(classify_renewal(threads, &answer).class, ErrorClass::TokenInvalid, "nothing is confirmed of Threads");
    let instagram = catalogue.network("instagram").unwrap();
    assert_eq!(classify_renewal(instagram, &answer).class, ErrorClass::TokenRevoked);
    let fault = Answer { status: 500, ..answer };
    assert_eq!(classify_renewal(threads, &fault).class, ErrorClass::Transient);
}

proptest! {
    /// Any answer has a class, at every network, and only an object of JSON ends a grant.
    #[test]
    fn every_answer_has_a_class(
        status in any::<u16>(),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "\\PC{0,200}".prop_map(String::into_bytes),
            (any::<i64>(), any::<u32>()).prop_map(|(code, subcode)| {
                format!(r#"{{"error":{{"code":{code},"error_subcode":{subcode},"errors":[{{"reason":"x"}}]}}}}"#).into_bytes()
            }),
            "[a-z_]{1,20}".prop_map(|code| format!(r#"{{"error":"{code}"}}"#).into_bytes()),
        ],
        cut in 0..100_usize,
        name in prop_oneof![Just("retry-after".to_owned()), Just("www-authenticate".to_owned()), "[a-z-]{1,20}"],
        value in "\\PC{0,60}",
    ) {
        let body = &body[..body.len().saturating_sub(cut)];
        let headers = [(name, value)];
        let answer = Answer { status, headers: &headers, body };
        let is_json = serde_json::from_slice::<Value>(body).is_ok_and(|value| value.is_object());
        for network in CATALOGUE.iter() {
            let classified = classify(network, &answer);
            prop_assert!(classified.code.is_none_or(|code| code.len() <= 128));
            prop_assert!(!is_success(status) || !body.is_empty() || classified.class == ErrorClass::Ok);
            let renewal = classify_renewal(network, &answer).class;
            prop_assert!(renewal != ErrorClass::RefreshRejected || (is_json && is_final(status)));
        }
        prop_assert!(classify_token_endpoint(status, body) != ErrorClass::RefreshRejected || is_json);
    }
}

static CATALOGUE: std::sync::LazyLock<Catalogue> = std::sync::LazyLock::new(Catalogue::embedded);
