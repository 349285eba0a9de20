//! The bodies of answers: each network's own JSON around an answer or a refusal.

use serde_json::{Value, json};

use super::refusal::{Family, Refusal};
use crate::domain::networks::Network;

/// The body of an answer that was let through.
pub(super) fn success(network: &Network, operation: &str) -> Value {
    match Family::of(network) {
        Family::TikTok => json!({ "data": {}, "error": { "code": "ok", "message": "", "log_id": LOG_ID } }),
        Family::Google => json!({ "kind": operation, "items": [] }),
        Family::LinkedIn => json!({ "elements": [] }),
        Family::Pinterest => json!({ "items": [], "bookmark": null }),
        Family::Tumblr => json!({ "meta": { "status": 200, "msg": "OK" }, "response": {} }),
        Family::Graph | Family::X => json!({ "data": [] }),
        _ => {
            let good = network.error_body.success_code.as_deref();
            let mut body = json!({ "operation": operation });
            put(&mut body, &network.error_body.code, good.map(Value::from));
            body
        }
    }
}

/// The body of a refusal.
pub(super) fn refused(network: &Network, refusal: &Refusal) -> Value {
    let Refusal { status, code, subcode, message } = refusal;
    match Family::of(network) {
        Family::Graph => graph(refusal),
        Family::X if is_number(code) => json!({ "errors": [{ "code": number(code), "message": message }] }),
        Family::X => json!({
            "title": code,
            "detail": message,
            "type": subcode.as_ref().map_or_else(|| "about:blank".to_owned(), |name| format!("{X_PROBLEMS}{name}")),
            "status": status,
        }),
        Family::Google => google(refusal),
        Family::LinkedIn => {
            json!({ "status": status, "serviceErrorCode": number(code), "code": subcode, "message": message })
        }
        Family::Pinterest => json!({ "code": number(code), "message": message }),
        Family::TikTok => json!({ "data": {}, "error": { "code": code, "message": message, "log_id": LOG_ID } }),
        Family::Reddit => json!({ "message": message, "error": status }),
        Family::Tumblr => json!({
            "meta": { "status": status, "msg": message },
            "response": [],
            "errors": [{ "title": message, "code": 0, "detail": message }],
        }),
        Family::Bluesky => json!({ "error": code, "message": message }),
        Family::Mastodon => json!({ "error": message }),
        Family::GitHub => json!({ "message": message, "documentation_url": GITHUB_DOCS, "status": code }),
        Family::Other => as_the_catalogue_says(network, refusal),
    }
}

/// Of a network that is in no family: each part at the first place that its entry names.
fn as_the_catalogue_says(network: &Network, refusal: &Refusal) -> Value {
    let form = &network.error_body;
    let code = (!refusal.code.is_empty()).then(|| number(&refusal.code));
    let mut body = json!({});
    put(&mut body, &form.code, code);
    put(&mut body, &form.subcode, refusal.subcode.as_deref().map(number));
    match form.message.as_slice() {
        [] => body["message"] = json!(refusal.message),
        places => put(&mut body, places, Some(json!(refusal.message))),
    }
    body
}

/// Puts a value at the first of the places (keys and positions, joined by dots).
fn put(body: &mut Value, places: &[String], value: Option<Value>) {
    let (Some(place), Some(value)) = (places.first(), value) else { return };
    let mut at = body;
    for step in place.split('.') {
        at = match step.parse::<usize>() {
            Ok(position) => {
                if !at.is_array() {
                    *at = json!([]);
                }
                let Value::Array(elements) = at else { return };
                elements.resize((position + 1).max(elements.len()), Value::Null);
                &mut elements[position]
            }
            Err(_) => {
                if !at.is_object() {
                    *at = json!({});
                }
                &mut at[step]
            }
        };
    }
    *at = value;
}

/// `WWW-Authenticate`, at the networks that send it (RFC 6750, RFC 9449).
pub(super) fn challenge(family: Family, refusal: &Refusal) -> Option<String> {
    let error = match refusal.status {
        401 => "invalid_token",
        403 => "insufficient_scope",
        _ => return None,
    };
    match family {
        Family::Reddit => Some(format!("Bearer realm=\"reddit\", error=\"{error}\"")),
        Family::Bluesky => Some(format!("DPoP error=\"{error}\"")),
        Family::Mastodon if refusal.status == 401 => {
            Some(format!("Bearer realm=\"Doorkeeper\", error=\"{error}\", error_description=\"{}\"", refusal.message))
        }
        _ => None,
    }
}

const X_PROBLEMS: &str = "https://api.x.com/2/problems/";
const GITHUB_DOCS: &str = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api";
const LOG_ID: &str = "20250101000000000000000000000000";

fn graph(refusal: &Refusal) -> Value {
    let mut error = json!({
        "message": refusal.message,
        "type": "OAuthException",
        "code": number(&refusal.code),
        "fbtrace_id": "AsimulatedTrace",
    });
    if let Some(subcode) = &refusal.subcode {
        error["error_subcode"] = number(subcode);
    }
    json!({ "error": error })
}

fn google(refusal: &Refusal) -> Value {
    let limited = refusal.code.contains("uotaExceeded") || refusal.code.contains("ateLimitExceeded");
    let domain = if limited { "usageLimits" } else { "global" };
    let mut error = json!({
        "code": refusal.status,
        "message": refusal.message,
        "errors": [{ "message": refusal.message, "domain": domain, "reason": refusal.code }],
    });
    if let Some(status) = &refusal.subcode {
        error["status"] = json!(status);
    }
    json!({ "error": error })
}

fn is_number(code: &str) -> bool {
    code.parse::<u32>().is_ok()
}

fn number(code: &str) -> Value {
    code.parse::<u32>().map_or_else(|_| json!(code), |number| json!(number))
}
