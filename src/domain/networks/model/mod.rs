//! What the catalogue says of a network. Plain data: read from TOML, checked once, then never changed.

mod answer;
mod credit;
mod kind;
mod operation;
mod purpose;
pub(super) mod span;

use std::time::Duration;

use serde::Deserialize;

pub use self::answer::{Dialect, Endpoint, ErrorBody, ErrorClass, ErrorRule, HeaderRule};
pub use self::credit::{Amount, CreditClass, LimitRule, Owner, Phase, Unit, Window};
pub use self::kind::{Binding, ClientAuth, OAuth, OAuthQuirk, Pkce, Probe, Renewal, Rotation, TokenKind};
pub use self::operation::{Cost, Operation, OperationScopes};
pub use self::purpose::{Purpose, PurposeScopes, Purposes};
use crate::base::ids::NetworkId;

/// One network of the catalogue.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its id: the name of its file.
    pub id: NetworkId,
    /// Its name as people write it.
    pub display_name: String,
    /// Where its API is called, without a slash at the end.
    pub api_base: String,
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
    /// How sure this is.
    pub verified: Verified,
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
