//! Credit: what a network counts, whose account it debits, over which window, and how much it allows.

use std::time::Duration;

use serde::Deserialize;

use super::Verified;
use crate::base::ids::{ClassId, KindId};

/// A kind of credit that a network counts apart from others.
#[derive(Debug, Clone)]
pub struct CreditClass {
    /// Its id, unique in the network.
    pub id: ClassId,
    /// What is counted.
    pub unit: Unit,
    /// One sentence for people.
    pub about: String,
    /// The limits that hold for it, all at once. Never empty.
    pub limits: Vec<LimitRule>,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Calls.
    Calls,
    /// Units that the network assigns to each call.
    QuotaUnits,
    /// Points, as Bluesky counts writes.
    Points,
    /// Posts read or written.
    Posts,
    /// Different keys (hashtags).
    Keys,
}

/// One limit: whose account it is, over which window, how much.
#[derive(Debug, Clone)]
pub struct LimitRule {
    /// Whose account is debited.
    pub owner: Owner,
    /// The kinds of token it holds for; empty: all.
    pub kinds: Vec<KindId>,
    /// The span in which it holds.
    pub window: Window,
    /// How much.
    pub amount: Amount,
    /// How sure this is.
    pub verified: Verified,
}

impl LimitRule {
    /// Whether a call with a token of `kind` is counted here.
    pub fn holds_for(&self, kind: &KindId) -> bool {
        self.kinds.is_empty() || self.kinds.contains(kind)
    }
}

/// Whose account a limit debits. Each is kept per network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The token itself.
    Token,
    /// The person who granted, over all apps: other programs of that person draw from it too.
    Person,
    /// The person who granted, through this app.
    AppPerson,
    /// The profile (page, account, channel), through this app: all its tokens share it.
    Profile,
    /// The app: every token of the app shares it.
    App,
    /// The address that calls: everything that this installation sends shares it.
    Address,
}

impl Owner {
    /// Whether it is a token's, a person's or a profile's: a newcomer brings one. Those of an app or an address are shared by all.
    pub const fn is_own(self) -> bool {
        !matches!(self, Owner::App | Owner::Address)
    }

    /// The name used in configuration, SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Owner::Token => "token",
            Owner::Person => "person",
            Owner::AppPerson => "app_person",
            Owner::Profile => "profile",
            Owner::App => "app",
            Owner::Address => "address",
        }
    }
}

/// The span in which a limit holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// Windows of one length, one after another.
    Fixed {
        /// The length.
        length: Duration,
        /// Where they begin.
        phase: Phase,
    },
    /// Every span of this length.
    Rolling {
        /// The length.
        length: Duration,
    },
    /// From midnight to midnight in the network's time zone.
    Daily {
        /// The zone, by its IANA name.
        zone: String,
    },
    /// Evenly, `per` apart, with at most `amount` at once (GCRA).
    Paced {
        /// The time in which one unit comes back.
        per: Duration,
    },
    /// So many different keys in every span of this length; a key that is open costs nothing.
    Distinct {
        /// The length.
        length: Duration,
    },
    /// Until it is topped up.
    Budget,
}

/// Where fixed windows begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Known only from a reset time that the network sends.
    Network,
    /// At multiples of the length since the epoch.
    Clock,
}

/// How much a limit allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amount {
    /// A number.
    Number(u64),
    /// `factor` times a fact about the profile or the app (`engaged_users`), taken as `at_least` if it is lower.
    Formula {
        /// The factor.
        factor: u64,
        /// The name of the fact.
        fact: String,
        /// The least value of the fact that the network counts.
        at_least: u64,
        /// The amount (not the fact) that is assumed while the fact is not known.
        start: u64,
    },
    /// Not published: this much is assumed until the network says more.
    Unknown {
        /// The safe value to start from.
        start: u64,
    },
}
