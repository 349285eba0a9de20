//! The cheapest check of a token: a call with it, or a question about it.

use serde::Deserialize;

use super::{Cost, Verified};
use crate::base::ids::KindId;

/// A cheap check of a token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The request, as `METHOD url`.
    pub request: String,
    /// What it costs, if it costs credit.
    #[serde(default)]
    pub costs: Vec<Cost>,
    /// The kind of token by whose limits it is counted; `None`: the token's own. An app's token asks about others.
    pub counted_as: Option<KindId>,
    /// How the network is asked about the token, and what it tells; `None`: the request is made with the token, as any call.
    pub introspection: Option<Introspection>,
    /// How sure this is.
    pub verified: Verified,
}

impl Probe {
    /// The method and the URL.
    pub fn method_and_url(&self) -> Option<(&str, &str)> {
        self.request.split_once(' ')
    }
}

/// An introspection (RFC 7662 or like it). Places are keys and positions joined by dots.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introspection {
    /// The parameter that holds the token: in the query of a `GET`, in the form of a `POST`.
    pub token: String,
    /// Who asks.
    #[serde(default)]
    pub asked_by: AskedBy,
    /// Where it says whether the token works; `None`: every answer of success is about one that does.
    pub active: Option<String>,
    /// Where an error stands that says more of a token that does not work, in the form of the network's errors.
    pub error: Option<String>,
    /// Where a word stands that says more of it: `expired` or `revoked`.
    pub status: Option<String>,
    /// The value of `error` in a refusal that speaks of the token and not of who asks.
    pub refused_as: Option<String>,
    /// Where its end stands, in seconds since 1970; 0: none.
    pub expires_at: Option<String>,
    /// Where the seconds stand until its end.
    pub expires_in: Option<String>,
    /// Where the end of access to data stands, in seconds since 1970; 0: none.
    pub data_access_expires_at: Option<String>,
    /// Where its scopes stand: a list, or a text.
    pub scopes: Option<String>,
}

/// Who asks about a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedBy {
    /// Anybody who has the token.
    #[default]
    Anybody,
    /// The app's client, which shows its id and its secret in the parameters.
    Client,
    /// The app's own token (`access_token`): its id and its secret with a bar between them.
    AppToken,
}
