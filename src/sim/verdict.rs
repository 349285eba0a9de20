//! What is asked of a network's books, and what they say.

use crate::base::clock::Timestamp;
use crate::base::ids::{ClassId, KindId};
use crate::domain::networks::{Owner, Unit, Window};

/// One limit of the network: the class and the place of the rule in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitKey {
    /// The class.
    pub class: ClassId,
    /// The place in [`CreditClass::limits`](crate::domain::networks::CreditClass::limits).
    pub place: usize,
}

/// Who calls, with all accounts that may be debited.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The token's account; it outlives a renewal of the token.
    pub token: &'a str,
    /// The app that got the token.
    pub app: &'a str,
    /// The person who granted it.
    pub person: &'a str,
    /// The profile that is called, if the token speaks for one.
    pub profile: Option<&'a str>,
    /// The calling address.
    pub address: &'a str,
    /// The kind of token.
    pub kind: &'a KindId,
    /// The key, for limits that count different keys.
    pub key: &'a str,
}

impl Caller<'_> {
    /// The account of `owner`. A token that speaks for no profile speaks for its person.
    pub(super) fn account(&self, owner: Owner) -> String {
        match owner {
            Owner::Token => self.token.to_owned(),
            Owner::Person => self.person.to_owned(),
            Owner::AppPerson => format!("{}/{}", self.app, self.person),
            Owner::Profile => format!("{}/{}", self.app, self.profile.unwrap_or(self.person)),
            Owner::App => self.app.to_owned(),
            Owner::Address => self.address.to_owned(),
        }
    }
}

/// What the books say of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it was let through.
    pub verdict: Verdict,
    /// Every limit that the call touched, after the call.
    pub usage: Vec<Usage>,
}

/// Whether a call was let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was, and was charged to every limit.
    Admitted,
    /// It was not, and was charged to none (but see [`Books::count_throttled`]).
    Refused {
        /// The first limit that is reached.
        limit: LimitKey,
        /// Whose limit it is.
        owner: Owner,
        /// When this limit would let the call through; [`Timestamp::NEVER`] if waiting does not help.
        resets_at: Timestamp,
    },
}

/// The state of one account under one limit, as the usage headers tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The limit.
    pub limit: LimitKey,
    /// Whose account it is.
    pub owner: Owner,
    /// The account.
    pub account: String,
    /// The unit.
    pub unit: Unit,
    /// The window.
    pub window: Window,
    /// How much is allowed.
    pub allowed: u64,
    /// How much counts now. More than `allowed` only where throttled calls count.
    pub used: u64,
    /// When the network says it resets.
    pub resets_at: Timestamp,
    /// When one unit more is possible.
    pub opens_at: Timestamp,
}

impl Usage {
    /// What is left.
    pub fn remaining(&self) -> u64 {
        self.allowed.saturating_sub(self.used)
    }

    /// Percent used, rounded down: 100 exactly when nothing is left.
    pub fn percent(&self) -> u64 {
        if self.allowed == 0 {
            return 100;
        }
        u64::try_from(u128::from(self.used) * 100 / u128::from(self.allowed)).unwrap_or(u64::MAX)
    }
}
