//! What a token must be before it is held: of a network and kind that exist, with scopes that suffice for its purposes, not over yet.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::domain::app::DEFAULT_APP;
use crate::domain::networks::{Network, Purpose, Purposes, TokenKind};
use crate::domain::token::{Clocks, EXPIRING_WITHIN};

/// Why a token is not taken. Never repeats a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// There is no such network.
    #[error("the catalogue has no network '{0}'; see the networks command for those it has")]
    UnknownNetwork(String),
    /// There is no such kind.
    #[error("network '{network}' issues no token of kind '{kind}'; see its entry for those it does")]
    UnknownKind {
        /// The network.
        network: String,
        /// What was given.
        kind: String,
    },
    /// There is no such app.
    #[error(
        "network '{network}' has no app '{app}' here; leave it empty for '{DEFAULT_APP}', or create that app first"
    )]
    AppNotFound {
        /// The network.
        network: String,
        /// What was given.
        app: String,
    },
    /// Scopes are missing.
    #[error("the scopes do not suffice: {}", .0.join("; "))]
    Scopes(Vec<String>),
    /// A purpose that the kind can't serve.
    #[error("a token of kind '{kind}' can't serve: {}", purposes.join(", "))]
    Purposes {
        /// The kind.
        kind: String,
        /// The purposes.
        purposes: Vec<&'static str>,
    },
    /// A fact that no limit of the network is worked out from.
    #[error("no limit of network '{network}' is worked out from '{fact}'; {hint}")]
    Fact {
        /// The network.
        network: String,
        /// What was given.
        fact: String,
        /// What would be right.
        hint: String,
    },
    /// Its time is over.
    #[error("its time was over at {0}; connect the account anew")]
    Over(Timestamp),
    /// Its key can't be given.
    #[error(
        "a token of kind '{0}' is bound to a key that was made with it and never leaves its client, so it can't be added with its secrets; \
         connect the account instead"
    )]
    BoundToAKey(String),
    /// The consent lies in the future.
    #[error("the consent can't lie in the future")]
    Consent,
}

impl Rejected {
    /// The field of the token that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Rejected::UnknownNetwork(_) => "token.network",
            Rejected::UnknownKind { .. } | Rejected::BoundToAKey(_) => "token.kind",
            Rejected::AppNotFound { .. } => "token.app",
            Rejected::Scopes(_) => "token.scopes",
            Rejected::Purposes { .. } => "token.purposes",
            Rejected::Fact { .. } => "token.facts",
            Rejected::Over(_) => "token.clocks",
            Rejected::Consent => "token.clocks.consent_time",
        }
    }
}

/// The purposes that a token with these scopes serves: those that are `wanted`, or all that the scopes suffice for.
pub fn check_purposes(kind: &TokenKind, scopes: &[String], wanted: Purposes) -> Result<Purposes, Rejected> {
    let missing =
        |needed: &[String]| -> Vec<String> { needed.iter().filter(|scope| !scopes.contains(scope)).cloned().collect() };
    if wanted.is_empty() {
        let served = kind.scopes.iter().filter(|needed| missing(&needed.scopes).is_empty());
        let served: Purposes = served.map(|needed| needed.purpose).collect();
        if !served.is_empty() {
            return Ok(served);
        }
        let lacks = kind.scopes.iter().map(|needed| (needed.purpose, missing(&needed.scopes)));
        return Err(Rejected::Scopes(lacks.map(|(purpose, scopes)| lack(purpose, &scopes)).collect()));
    }
    let unserved: Vec<_> = wanted.iter().filter(|purpose| kind.scopes_for(*purpose).is_none()).collect();
    if !unserved.is_empty() {
        let purposes = unserved.into_iter().map(Purpose::as_str).collect();
        return Err(Rejected::Purposes { kind: kind.id.to_string(), purposes });
    }
    let lacks = wanted.iter().filter_map(|purpose| {
        let missing = missing(kind.scopes_for(purpose)?);
        (!missing.is_empty()).then(|| lack(purpose, &missing))
    });
    let lacks: Vec<_> = lacks.collect();
    if lacks.is_empty() { Ok(wanted) } else { Err(Rejected::Scopes(lacks)) }
}

fn lack(purpose: Purpose, missing: &[String]) -> String {
    format!("{} needs {}", purpose.as_str(), missing.join(", "))
}

/// Every fact must be one that a limit of the network is worked out from.
pub fn check_facts(network: &Network, facts: &BTreeMap<String, u64>) -> Result<(), Rejected> {
    let limits = network.classes.iter().flat_map(|class| &class.limits);
    let mut known: Vec<_> = limits.filter_map(|limit| limit.amount.fact()).collect();
    known.sort_unstable();
    known.dedup();
    let Some(fact) = facts.keys().find(|fact| !known.contains(&fact.as_str())) else { return Ok(()) };
    let hint =
        if known.is_empty() { "it needs none".to_owned() } else { format!("those it uses are {}", known.join(", ")) };
    Err(Rejected::Fact { network: network.id.to_string(), fact: fact.clone(), hint })
}

/// A token must have time left. One that can be renewed may have an access token that is over.
pub fn check_clocks(clocks: &Clocks, now: Timestamp) -> Result<(), Rejected> {
    let grant = clocks.refresh_expires_at.or(clocks.access_expires_at);
    let ends = [grant, clocks.data_access_expires_at].into_iter().flatten().min();
    if let Some(end) = ends.filter(|end| *end <= now) {
        return Err(Rejected::Over(end));
    }
    // Clocks of others differ a little, and a day is written without its zone.
    match clocks.consented_at {
        Some(at) if at > now + EXPIRING_WITHIN / 7 => Err(Rejected::Consent),
        _ => Ok(()),
    }
}
