//! The tokens that a simulated network issued: what they may do, and how they die.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::verdict::Caller;
use crate::base::clock::Timestamp;
use crate::base::ids::KindId;
use crate::domain::networks::{Network, Operation, Owner, Renewal};

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
    /// The refresh token, if it has one.
    pub refresh_secret: Option<String>,
    /// The thumbprint of the key that it is bound to; `None`: it works without one, as made-up tokens of every kind do.
    pub key: Option<String>,
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
        let of_renewal =
            network.kinds.iter().filter(|known| known.id == *kind).filter_map(|known| match &known.renewal {
                Renewal::RefreshToken { needs_scope, .. } => needs_scope.as_ref(),
                _ => None,
            });
        let accounts =
            network.kinds.iter().filter(|known| known.id == *kind).filter_map(|known| known.account.as_ref());
        let of_accounts = accounts.flat_map(|lookup| &lookup.scopes);
        let all = of_purposes.chain(of_operations).chain(of_renewal).chain(of_accounts);
        let scopes: BTreeSet<String> = all.cloned().collect();
        Self {
            secret: secret.to_owned(),
            kind: kind.clone(),
            app: "app".to_owned(),
            person: person.to_owned(),
            profiles: Vec::new(),
            refresh_secret: None,
            key: None,
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
    /// When the person agreed.
    pub(super) granted_at: Timestamp,
    /// When it was renewed last; before that, when it was granted.
    pub(super) renewed_at: Timestamp,
    /// Refresh tokens of it that were used and replaced.
    pub(super) spent: BTreeSet<String>,
}

impl Registered {
    /// A token that is granted now.
    pub(super) fn new(spec: TokenSpec, now: Timestamp) -> Self {
        let account = spec.secret.clone();
        Self { spec, account, dead: None, granted_at: now, renewed_at: now, spent: BTreeSet::new() }
    }

    /// Why the token itself is refused at `now`, if it is.
    pub(super) fn refused(&self, now: Timestamp) -> Option<Denial> {
        let expired = self.spec.expires_at.is_some_and(|end| end <= now);
        self.dead.or(expired.then_some(Denial::TokenExpired))
    }

    /// The caller for one of its profiles; for a profile that it does not speak for, its first one.
    pub(super) fn caller<'a>(&'a self, profile: Option<&'a str>, key: &'a str, address: &'a str) -> Caller<'a> {
        let spoken_for = profile.filter(|wanted| self.spec.profiles.iter().any(|own| own == wanted));
        Caller {
            token: &self.account,
            app: &self.spec.app,
            person: &self.spec.person,
            profile: spoken_for.or(self.spec.profiles.first().map(String::as_str)),
            address,
            kind: &self.spec.kind,
            key,
        }
    }

    /// One caller per profile that it speaks for; one without, if it speaks for none.
    pub(super) fn each_caller(&self, mut visit: impl FnMut(&Caller<'_>)) {
        if self.spec.profiles.is_empty() {
            visit(&self.caller(None, "", ""));
        }
        for profile in &self.spec.profiles {
            visit(&self.caller(Some(profile), "", ""));
        }
    }

    pub(super) fn belongs_to(&self, owner: Owner, id: &str) -> bool {
        match owner {
            Owner::Token => self.spec.secret == id,
            Owner::Person | Owner::AppPerson => self.spec.person == id,
            Owner::Profile => self.spec.profiles.iter().any(|profile| profile == id),
            Owner::App => self.spec.app == id,
            Owner::Address => true,
        }
    }
}
