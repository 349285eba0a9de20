//! What an answer of a network means for the token and for the call. Total: any status and any body has a class.
//!
//! The catalogue's rules are asked, most exact first. In doubt an answer is [`ErrorClass::Transient`]: no token is called
//! dead for a page of HTML, a proxy's answer, a body that breaks off or one that contradicts itself. A rule that no source
//! confirms ends no token either: it casts doubt on it. How the parts of an answer are found is in `said`.

mod said;

use std::cmp::Reverse;
use std::time::Duration;

use serde_json::Value;

use self::said::Said;
pub(super) use self::said::{parse, value_at};
use super::model::{Endpoint, ErrorClass, ErrorRule, Network, Verified};

/// An answer of a network, as it came.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: &'a [(String, String)],
    /// The body. One of more than 64 KiB is not read: the answer is judged by its status and its headers.
    pub body: &'a [u8],
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// The meaning.
    pub class: ErrorClass,
    /// How long to wait, where the network says so; at most 40 days.
    pub retry_after: Option<Duration>,
    /// The network's code: the one that decided, else the first one found. At most 128 bytes.
    pub code: Option<String>,
    /// The network's sub-code, at most 128 bytes.
    pub subcode: Option<String>,
}

/// What an answer of the network's API means.
pub fn classify(network: &Network, answer: &Answer<'_>) -> Classified {
    let success = is_success(answer.status);
    if success && !may_refuse_politely(network, answer) {
        return Classified { class: ErrorClass::Ok, retry_after: None, code: None, subcode: None };
    }
    let said = Said::read(network, answer);
    let (rule, decisive) = said.rule(network, Endpoint::Api).unzip();
    let class = match rule {
        Some(rule) => weighed(network, rule, &said),
        None if success && said.is_good(network) => ErrorClass::Ok,
        None if answer.status == 429 => ErrorClass::RateLimitedToken,
        None => ErrorClass::Transient,
    };
    said.classified(class, decisive.flatten())
}

/// What the answer to a renewal means: the network's own rules for the token endpoint, then RFC 6749, then, where the
/// renewal is a call of the API, the rules for the API.
///
/// [`ErrorClass::RefreshRejected`] comes only of a JSON object under a status that is neither a fault, nor a limit, nor a
/// time-out.
pub fn classify_renewal(network: &Network, answer: &Answer<'_>) -> Classified {
    let said = Said::read(network, answer);
    let final_word = is_final(answer.status) && said.is_object();
    if final_word && let Some((rule, decisive)) = said.rule(network, Endpoint::Token) {
        let class = weighed(network, rule, &said);
        return said.classified(class, decisive);
    }
    let class = classify_token_endpoint(answer.status, answer.body);
    // An OAuth error is a flat text. Any other form of an error is that of the API.
    if final_word && class == ErrorClass::Transient && !said.has_oauth_error() {
        return classify(network, answer);
    }
    said.classified(class, None)
}

/// What an answer of a token endpoint means by RFC 6749, section 5.2: `invalid_grant` is
/// [`ErrorClass::RefreshRejected`], `invalid_client` and `unauthorized_client` are [`ErrorClass::AppLevel`], a JSON
/// object without an error under a status of success is [`ErrorClass::Ok`], anything else [`ErrorClass::Transient`].
pub fn classify_token_endpoint(status: u16, body: &[u8]) -> ErrorClass {
    let Some(Value::Object(members)) = said::parse(body).filter(|_| is_final(status)) else {
        return ErrorClass::Transient;
    };
    match members.get("error") {
        None | Some(Value::Null) if is_success(status) => ErrorClass::Ok,
        Some(Value::String(error)) if error == "invalid_grant" => ErrorClass::RefreshRejected,
        Some(Value::String(error)) if error == "invalid_client" || error == "unauthorized_client" => {
            ErrorClass::AppLevel
        }
        _ => ErrorClass::Transient,
    }
}

/// What the `error` means that the authorization endpoint sends back through the person's browser: the network's own
/// rules, then RFC 6749, section 4.1.2.1. [`ErrorClass::PermissionLost`]: the person said no. Also what the rule says for people.
pub fn classify_authorization<'n>(network: &'n Network, error: &str) -> (ErrorClass, Option<&'n str>) {
    let mut rules = network.errors.iter().filter(|rule| rule.at == Endpoint::Authorize);
    match (rules.find(|rule| rule.code.as_deref() == Some(error)), error) {
        (Some(rule), _) => (rule.class, rule.about.as_deref()),
        (None, "access_denied") => (ErrorClass::PermissionLost, None),
        (None, "invalid_request" | "invalid_scope" | "unauthorized_client" | "unsupported_response_type") => {
            (ErrorClass::AppLevel, None)
        }
        (None, _) => (ErrorClass::Transient, None),
    }
}

/// How exact a rule is: the more it asks for, the earlier it is asked. A message says more than a sub-code, that more
/// than a code, that more than a header, that more than the HTTP status; one value says more than a range.
pub(super) fn exactness(rule: &ErrorRule) -> (u8, Reverse<u32>) {
    let asked = [
        rule.message.is_some(),
        rule.subcode.is_some(),
        rule.code.is_some(),
        rule.header.is_some(),
        rule.http.is_some(),
    ];
    let rank = asked.into_iter().fold(0, |rank, asked| rank << 1 | u8::from(asked));
    let width = |from: &Option<String>, to: Option<u32>| {
        let from = from.as_ref().and_then(|from| from.parse::<u32>().ok());
        to.zip(from).map_or(0, |(to, from)| to.saturating_sub(from))
    };
    let widths = width(&rule.code, rule.code_to).saturating_add(width(&rule.subcode, rule.subcode_to));
    (rank, Reverse(widths))
}

/// Whether an answer with a status of success may still be a refusal: there is a body, and the network has codes for
/// success or a rule that would match.
fn may_refuse_politely(network: &Network, answer: &Answer<'_>) -> bool {
    let matches_status =
        |rule: &ErrorRule| rule.at == Endpoint::Api && rule.http.is_none_or(|http| http == answer.status);
    !answer.body.is_empty() && (network.error_body.success_code.is_some() || network.errors.iter().any(matches_status))
}

/// A rule's class, unless the answer or the rule is too little to believe it.
fn weighed(network: &Network, rule: &ErrorRule, said: &Said<'_>) -> ErrorClass {
    let only_status = rule.code.is_none() && rule.subcode.is_none() && rule.message.is_none();
    let doubtful = if said.is_html {
        judges_the_token(rule.class) || rule.class == ErrorClass::TokenInvalid
    } else {
        judges_the_token(rule.class) && only_status && !said.is_object()
    };
    let to_be_repeated =
        said.asks_to_repeat && (judges_the_token(rule.class) || rule.class == ErrorClass::TokenInvalid);
    if doubtful || to_be_repeated || contradicts_its_code(network, rule, said) {
        return ErrorClass::Transient;
    }
    if rule.verified == Verified::Unverified { doubted(rule.class) } else { rule.class }
}

/// Whether a sub-code that ends a token stands beside a code that speaks of something else than the token.
fn contradicts_its_code(network: &Network, rule: &ErrorRule, said: &Said<'_>) -> bool {
    let by_subcode = rule.subcode.is_some() && rule.code.is_none() && doubted(rule.class) != rule.class;
    by_subcode && said.rule_by_code(network).is_some_and(|by_code| by_code.class != ErrorClass::TokenInvalid)
}

/// What is left of a class where it is not proven: what would end a token only casts doubt on it, and a permission that may be
/// missing for one call is not called lost.
fn doubted(class: ErrorClass) -> ErrorClass {
    use ErrorClass as Class;
    match class {
        Class::TokenExpired
        | Class::TokenRevoked
        | Class::PasswordChanged
        | Class::UserCheckpoint
        | Class::RefreshRejected => Class::TokenInvalid,
        Class::PermissionLost => Class::Transient,
        other => other,
    }
}

/// Whether a class, once believed, ends the use of a token or of an app, or blames the caller.
fn judges_the_token(class: ErrorClass) -> bool {
    use ErrorClass as Class;
    match class {
        Class::TokenExpired
        | Class::TokenRevoked
        | Class::PasswordChanged
        | Class::PermissionLost
        | Class::ResourceDenied
        | Class::WrongTokenKind
        | Class::UserCheckpoint
        | Class::AppLevel
        | Class::BadRequest
        | Class::RefreshRejected => true,
        Class::Ok
        | Class::Transient
        | Class::TokenInvalid
        | Class::BlockedPolicy
        | Class::RateLimitedToken
        | Class::RateLimitedResource
        | Class::RateLimitedApp
        | Class::QuotaExhaustedApp
        | Class::PublishQuota
        | Class::RetryWithNonce => false,
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Whether a status can carry a token endpoint's last word.
fn is_final(status: u16) -> bool {
    is_success(status) || matches!(status, 400 | 401 | 403)
}

#[cfg(test)]
mod tests;
