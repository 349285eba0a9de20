//! An answer of a simulated network as HTTP: status, headers and body in that network's own form.

use serde_json::Value;

use super::fault::Spoilt;
use super::refusal::{self, Family, Reached, Refusal};
use super::simulation::{Answer, Ruling};
use super::token::Denial;
use super::verdict::Verdict;
use super::{envelope, headers};
use crate::domain::networks::{Network, Operation};

/// What goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Headers beside the content type; names in lower case.
    pub headers: Vec<(String, String)>,
    /// `application/json`, or `text/html` for a page for people.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

const PAGE: &str = "<!DOCTYPE html><html><head><title>Sorry, something went wrong.</title></head>\
    <body><h1>Please try again later.</h1></body></html>";

impl HttpAnswer {
    /// Writes an answer about `operation` down; `None` if it is dropped.
    pub fn of(network: &Network, operation: Option<&Operation>, answer: &Answer) -> Option<Self> {
        match answer.spoilt {
            Some(spoilt) => Self::spoilt(network, spoilt),
            None => Some(Self::undisturbed(network, operation, answer)),
        }
    }

    /// What comes instead of an answer; `None` if nothing comes.
    pub(super) fn spoilt(network: &Network, spoilt: Spoilt) -> Option<Self> {
        match spoilt {
            Spoilt::Dropped => None,
            Spoilt::Html(status) => {
                Some(Self { status, headers: Vec::new(), content_type: "text/html", body: PAGE.to_owned() })
            }
            Spoilt::ServerError(status) => {
                let failed = Refusal::server_error(Family::of(network), status);
                Some(Self::json(status, Vec::new(), &envelope::refused(network, &failed)))
            }
        }
    }

    fn undisturbed(network: &Network, operation: Option<&Operation>, answer: &Answer) -> Self {
        let family = Family::of(network);
        let mut sent = headers::usage_headers(network, &answer.usage, answer.at, answer.refused_until());
        match refusal_of(network, operation, &answer.ruling) {
            Some(refusal) => {
                let challenge = envelope::challenge(family, &refusal);
                sent.extend(challenge.map(|value| ("www-authenticate".to_owned(), value)));
                Self::json(refusal.status, sent, &envelope::refused(network, &refusal))
            }
            None => {
                let name = operation.map_or("", |operation| operation.id.as_str());
                Self::json(200, sent, &envelope::success(network, name))
            }
        }
    }

    pub(super) fn json(status: u16, headers: Vec<(String, String)>, body: &Value) -> Self {
        Self { status, headers, content_type: "application/json", body: body.to_string() }
    }
}

/// The refusal that a ruling means; `None` if the call was let through.
pub(super) fn refusal_of(network: &Network, operation: Option<&Operation>, ruling: &Ruling) -> Option<Refusal> {
    match ruling {
        Ruling::Judged(Verdict::Admitted) | Ruling::NotCounted => None,
        Ruling::Denied(denial) => Some(refusal::denied(network, *denial)),
        Ruling::Judged(verdict) => {
            let reached = Reached::of(network, operation, verdict);
            Some(reached.map_or_else(
                || refusal::denied(network, Denial::NoSuchOperation),
                |reached| refusal::over_limit(network, &reached),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::clock::Timestamp;
    use crate::domain::networks::{Owner, Unit, Window};
    use crate::sim::samples::{class, fixed, limit, network, operation};
    use crate::sim::verdict::LimitKey;

    fn body_of(id: &str, ruling: Ruling, limits: Vec<crate::domain::networks::LimitRule>) -> (u16, Value) {
        let sample = network(id, vec![class("calls", Unit::Calls, limits)], Vec::new());
        let answer = Answer { at: Timestamp::EPOCH, ruling, usage: Vec::new(), spoilt: None, delay_millis: 0 };
        let operation = operation("GET", "/{page_id}/insights", &[("calls", 1)]);
        let http = HttpAnswer::of(&sample, Some(&operation), &answer).unwrap();
        (http.status, serde_json::from_str(&http.body).unwrap())
    }

    fn limited(id: &str, owner: Owner, window: Window) -> (u16, Value) {
        let reached = LimitKey { class: "calls".parse().unwrap(), place: 0 };
        let ruling = Ruling::Judged(Verdict::Refused { limit: reached, owner, resets_at: Timestamp::EPOCH });
        body_of(id, ruling, vec![limit(owner, window, 1)])
    }

    #[test]
    fn a_limit_is_refused_as_each_network_documents() {
        let day = || Window::Daily { zone: "America/Los_Angeles".to_owned() };
        let cases = [
            ("facebook", Owner::App, fixed(3600), 403, "/error/code", json!(4)),
            ("facebook", Owner::Person, fixed(3600), 400, "/error/code", json!(32)),
            ("facebook", Owner::Profile, fixed(3600), 400, "/error/code", json!(80001)),
            ("instagram", Owner::Profile, fixed(3600), 400, "/error/code", json!(80002)),
            ("instagram", Owner::Person, fixed(3600), 400, "/error/code", json!(17)),
            ("x", Owner::Token, fixed(900), 429, "/type", json!("https://api.x.com/2/problems/rate-limit-exceeded")),
            ("x", Owner::App, Window::Budget, 429, "/type", json!("https://api.x.com/2/problems/usage-capped")),
            ("youtube", Owner::App, day(), 403, "/error/errors/0/reason", json!("quotaExceeded")),
            ("youtube", Owner::Person, fixed(60), 403, "/error/errors/0/reason", json!("userRateLimitExceeded")),
            ("google_business", Owner::App, fixed(60), 429, "/error/status", json!("RESOURCE_EXHAUSTED")),
            ("pinterest", Owner::AppPerson, fixed(60), 429, "/code", json!(8)),
            ("tiktok", Owner::App, fixed(60), 429, "/error/code", json!("rate_limit_exceeded")),
            ("reddit", Owner::App, fixed(600), 429, "/error", json!(429)),
            ("tumblr", Owner::App, fixed(3600), 429, "/meta/status", json!(429)),
            ("bluesky", Owner::Address, fixed(300), 429, "/error", json!("RateLimitExceeded")),
            ("mastodon", Owner::Person, fixed(300), 429, "/error", json!("Too many requests")),
            ("github", Owner::Person, fixed(3600), 403, "/status", json!("403")),
            ("unheard-of", Owner::App, fixed(60), 429, "/message", json!("Too Many Requests")),
        ];
        for (id, owner, window, status, pointer, expected) in cases {
            let (seen, body) = limited(id, owner, window);
            assert_eq!((seen, body.pointer(pointer)), (status, Some(&expected)), "{id} {body}");
        }
        for (owner, whose) in [(Owner::App, "APPLICATION DAY"), (Owner::AppPerson, "MEMBER DAY")] {
            let (status, body) = limited("linkedin", owner, day());
            assert_eq!(status, 429);
            assert!(body["message"].as_str().unwrap().contains(whose), "{body}");
        }
    }

    #[test]
    fn a_dead_token_is_refused_as_each_network_documents() {
        let cases = [
            ("facebook", Denial::TokenUnknown, 400, "/error/code", json!(190)),
            ("facebook", Denial::PasswordChanged, 400, "/error/error_subcode", json!(460)),
            ("facebook", Denial::TokenExpired, 400, "/error/error_subcode", json!(463)),
            ("instagram", Denial::TokenRevoked, 400, "/error/error_subcode", json!(458)),
            ("threads", Denial::PersonLocked, 400, "/error/error_subcode", json!(459)),
            ("x", Denial::TokenRevoked, 401, "/title", json!("Unauthorized")),
            ("x", Denial::PersonLocked, 403, "/errors/0/code", json!(326)),
            ("youtube", Denial::TokenExpired, 401, "/error/errors/0/reason", json!("authError")),
            ("google", Denial::ScopeMissing, 403, "/error/errors/0/reason", json!("insufficientPermissions")),
            ("linkedin", Denial::TokenRevoked, 401, "/serviceErrorCode", json!(65601)),
            ("linkedin", Denial::TokenExpired, 401, "/serviceErrorCode", json!(65602)),
            ("linkedin", Denial::PersonLocked, 401, "/serviceErrorCode", json!(65608)),
            ("pinterest", Denial::ScopeMissing, 401, "/code", json!(3)),
            ("tiktok", Denial::TokenExpired, 401, "/error/code", json!("access_token_invalid")),
            ("mastodon", Denial::TokenRevoked, 401, "/error", json!("The access token was revoked")),
            ("github", Denial::TokenUnknown, 401, "/message", json!("Bad credentials")),
        ];
        for (id, denial, status, pointer, expected) in cases {
            let (seen, body) = body_of(id, Ruling::Denied(denial), Vec::new());
            assert_eq!((seen, body.pointer(pointer)), (status, Some(&expected)), "{id} {denial:?} {body}");
        }
    }

    #[test]
    fn oauth_servers_add_a_challenge() {
        let cases = [
            ("reddit", Denial::ScopeMissing, Some("Bearer realm=\"reddit\", error=\"insufficient_scope\"")),
            ("bluesky", Denial::TokenExpired, Some("DPoP error=\"invalid_token\"")),
            ("x", Denial::TokenExpired, None),
        ];
        for (id, denial, expected) in cases {
            let sample = network(id, Vec::new(), Vec::new());
            let ruling = Ruling::Denied(denial);
            let answer = Answer { at: Timestamp::EPOCH, ruling, usage: Vec::new(), spoilt: None, delay_millis: 0 };
            let http = HttpAnswer::of(&sample, None, &answer).unwrap();
            let challenge = http.headers.iter().find(|(name, _)| name == "www-authenticate");
            assert_eq!(challenge.map(|(_, value)| value.as_str()), expected, "{id}");
        }
    }

    #[test]
    fn every_denial_is_an_error_everywhere() {
        for id in
            ["facebook", "x", "youtube", "linkedin", "pinterest", "tiktok", "reddit", "bluesky", "mastodon", "xing"]
        {
            for denial in Denial::ALL {
                let (status, _) = body_of(id, Ruling::Denied(denial), Vec::new());
                assert!((400..500).contains(&status), "{id} {denial:?}");
            }
        }
    }
}
