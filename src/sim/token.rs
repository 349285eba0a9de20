//! The tokens that a simulated network issued: what they may do, and how they die.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::ids::KindId;
use crate::domain::networks::{Network, Operation};

/// A token as a network would know it. Its secret is made up: real ones have no place in a simulation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenSpec {
    /// What the client sends.
    pub secret: String,
    /// Its kind.
    pub kind: KindId,
    /// The app that it was granted to.
    pub app: String,
    /// The person who granted it.
    pub person: String,
    /// The profiles that it speaks for.
    pub profiles: Vec<String>,
    /// The scopes that were granted.
    pub scopes: Vec<String>,
    /// Facts that formulas are computed from (`engaged_users`), true of its profiles, its person and its app.
    pub facts: BTreeMap<String, u64>,
    /// When it expires, in the simulation's time; `None`: it does not.
    pub expires_at: Option<Timestamp>,
}

impl TokenSpec {
    /// A token of `kind` with every scope that this kind can have.
    pub fn of_kind(network: &Network, kind: &KindId, secret: &str, person: &str) -> Self {
        let kinds = network.kinds.iter().filter(|known| known.id == *kind);
        let of_purposes = kinds.flat_map(|known| &known.scopes).flat_map(|entry| &entry.scopes);
        let callable = network.operations.iter().filter(|operation| operation.allows(kind));
        let of_operations = callable.flat_map(|operation| &operation.scopes);
        let scopes: BTreeSet<String> = of_purposes.chain(of_operations).cloned().collect();
        Self {
            secret: secret.to_owned(),
            kind: kind.clone(),
            app: "app".to_owned(),
            person: person.to_owned(),
            profiles: Vec::new(),
            scopes: scopes.into_iter().collect(),
            facts: BTreeMap::new(),
            expires_at: None,
        }
    }

    /// Whether the scopes permit `operation`: its own, and those of one of its purposes.
    pub(super) fn permits(&self, network: &Network, operation: &Operation) -> bool {
        let Some(kind) = network.kinds.iter().find(|kind| kind.id == self.kind) else { return false };
        let granted = |needed: &[String]| needed.iter().all(|scope| self.scopes.contains(scope));
        let serves =
            kind.scopes.iter().any(|entry| operation.purposes.contains(&entry.purpose) && granted(&entry.scopes));
        serves && granted(&operation.scopes)
    }
}

/// Why a network refuses a call, apart from limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    /// It never issued this token.
    TokenUnknown,
    /// The token's time is over.
    TokenExpired,
    /// The person removed the app.
    TokenRevoked,
    /// The person changed the password.
    PasswordChanged,
    /// The network reset all tokens.
    TokensReset,
    /// The person is locked out until something is done at the network.
    PersonLocked,
    /// The token has not the scopes of the operation.
    ScopeMissing,
    /// Another kind of token is needed.
    WrongKind,
    /// There is nothing at this path.
    NoSuchOperation,
}

impl Denial {
    /// All of them.
    pub const ALL: [Denial; 9] = [
        Denial::TokenUnknown,
        Denial::TokenExpired,
        Denial::TokenRevoked,
        Denial::PasswordChanged,
        Denial::TokensReset,
        Denial::PersonLocked,
        Denial::ScopeMissing,
        Denial::WrongKind,
        Denial::NoSuchOperation,
    ];
}

/// A token and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Registered {
    pub(super) spec: TokenSpec,
    /// The name of its account, which stays when it is renewed.
    pub(super) account: String,
    pub(super) dead: Option<Denial>,
}

impl Registered {
    /// Why the token itself is refused at `now`, if it is.
    pub(super) fn refused(&self, now: Timestamp) -> Option<Denial> {
        let expired = self.spec.expires_at.is_some_and(|end| end <= now);
        self.dead.or(expired.then_some(Denial::TokenExpired))
    }
}
