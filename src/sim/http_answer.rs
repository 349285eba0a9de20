//! An answer of a simulated network as HTTP: status, headers and body in that network's own form.

use serde_json::Value;

use super::book::Verdict;
use super::fault::Spoilt;
use super::refusal::{self, Family, Reached, Refusal};
use super::simulation::{Answer, Ruling};
use super::token::Denial;
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
    <body><h1>Service Unavailable</h1></body></html>";

impl HttpAnswer {
    /// Writes an answer about `operation` down; `None` if it is dropped.
    pub fn of(network: &Network, operation: Option<&Operation>, answer: &Answer) -> Option<Self> {
        match answer.spoilt {
            Some(Spoilt::Dropped) => None,
            Some(Spoilt::Html) => {
                Some(Self { status: 503, headers: Vec::new(), content_type: "text/html", body: PAGE.to_owned() })
            }
            Some(Spoilt::ServerError(status)) => {
                let failed = Refusal::server_error(Family::of(network), status);
                Some(Self::json(status, Vec::new(), &envelope::refused(Family::of(network), &failed)))
            }
            None => Some(Self::undisturbed(network, operation, answer)),
        }
    }

    fn undisturbed(network: &Network, operation: Option<&Operation>, answer: &Answer) -> Self {
        let family = Family::of(network);
        let usage = headers::usage_headers(network, &answer.usage, answer.at, answer.refused_until());
        match refusal_of(network, operation, &answer.ruling) {
            Some(refusal) => Self::json(refusal.status, usage, &envelope::refused(family, &refusal)),
            None => {
                let name = operation.map_or("", |operation| operation.id.as_str());
                Self::json(200, usage, &envelope::success(family, name))
            }
        }
    }

    fn json(status: u16, headers: Vec<(String, String)>, body: &Value) -> Self {
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
