//! What the catalogue says of a network. Plain data: read from TOML, checked once, then never changed.

mod answer;
mod credit;
mod kind;
mod operation;
mod probe;
mod purpose;
pub(super) mod span;
mod whose;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

pub use self::answer::{Dialect, Endpoint, ErrorBody, ErrorClass, ErrorRule, HeaderRule};
pub use self::credit::{Amount, CreditClass, LimitRule, Owner, Phase, Unit, Window};
pub use self::kind::{Binding, ClientAuth, OAuth, OAuthQuirk, Pkce, Renewal, RevokeReach, Rotation, TokenKind};
pub use self::operation::{Cost, Operation, OperationScopes};
pub use self::probe::{AskedBy, Introspection, Probe};
pub use self::purpose::{Purpose, PurposeScopes, Purposes};
pub use self::whose::{AccountLookup, GrantedLookup, NameLookup, NextPage, ProfilesLookup, PurposeRoles, UsableTypes};
use crate::base::clock::Timestamp;
use crate::base::ids::{KindId, NetworkId, OperationId};

/// One network of the catalogue.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its id: the name of its file.
    pub id: NetworkId,
    /// Its name as people write it.
    pub display_name: String,
    /// Where its API is called, without a slash at the end.
    pub api_base: String,
    /// Headers that every request to its API carries beside the token, by name.
    pub request_headers: BTreeMap<String, String>,
    /// The kinds of token it issues.
    pub kinds: Vec<TokenKind>,
    /// Its credit classes.
    pub classes: Vec<CreditClass>,
    /// The calls that collectors may lease for.
    pub operations: Vec<Operation>,
    /// The usage headers it sends.
    pub headers: Vec<HeaderRule>,
    /// Where its answers carry the code of an error.
    pub error_body: ErrorBody,
    /// How it says no, most exact rule first.
    pub errors: Vec<ErrorRule>,
    /// What must happen to collected data when the permission ends.
    pub retention: Vec<Retention>,
    /// What it newly requires of grants.
    pub requirements: Vec<Requirement>,
    /// How far back operations reach, where that is known.
    pub history: Vec<History>,
}

/// Scopes that a network newly requires: grants without them must be given anew.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// The kinds of token that it concerns; empty: all.
    #[serde(default)]
    pub kinds: Vec<KindId>,
    /// The scopes.
    pub scopes: Vec<String>,
    /// What they are needed for, one sentence for people.
    pub about: String,
    /// From when on (`2026-12-01`, UTC); `None`: not known.
    #[serde(default, deserialize_with = "date")]
    pub from: Option<Timestamp>,
    /// How sure this is.
    pub verified: Verified,
}

impl Requirement {
    /// Whether it concerns tokens of a kind.
    pub fn concerns(&self, kind: &KindId) -> bool {
        self.kinds.is_empty() || self.kinds.contains(kind)
    }
}

/// How far back an operation reaches: what is older can't be fetched by it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The operation.
    pub operation: OperationId,
    /// How far.
    #[serde(deserialize_with = "reaches")]
    pub reaches: Duration,
    /// How sure this is.
    pub verified: Verified,
}

fn reaches<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    humantime::parse_duration(&text).map_err(serde::de::Error::custom)
}

/// The beginning of a day, in UTC.
fn date<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    let day: jiff::civil::Date = text.parse().map_err(serde::de::Error::custom)?;
    let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(serde::de::Error::custom)?;
    Ok(Some(Timestamp::from_secs(midnight.timestamp().as_second())))
}

/// What must happen to collected data.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// One sentence for people.
    pub rule: String,
    /// The span after which it happens, if there is one.
    #[serde(default, with = "span::optional")]
    pub after: Option<Duration>,
    /// The span runs from when the token was last valid.
    #[serde(default)]
    pub since_loss: bool,
    /// What must be done before it is over.
    #[serde(default)]
    pub duty: Duty,
    /// How sure this is.
    pub verified: Verified,
}

/// What must be done about collected data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// It is deleted.
    #[default]
    Delete,
    /// The person authorises the account anew.
    Authorise,
}

/// How sure a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// Read in the network's own documentation.
    Documented,
    /// Read in the network's own repository.
    Repository,
    /// Reported by others who call the network.
    Reported,
    /// Not confirmed by a source.
    Unverified,
}
