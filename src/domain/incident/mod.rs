//! Incidents: one fact that hits many tokens of an app at once.
//!
//! A detector for each app watches who is refused and who is served ([`Watch`]) and tells a network's blanket reset from an app that was
//! disabled and from an outage. While an incident is open, its tokens are let through in stages ([`Recovery`]): single calls that are
//! made to look, then a share, then all, with which it closes by itself.
//!
//! Everything here is of fixed size, however many tokens are hit: which they are stands with the tokens in the store.

mod recovery;
mod watch;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, IncidentId, NetworkId};
use crate::domain::token::Reason;

pub use recovery::{Recovery, Stage};
pub use watch::{Asked, Detected, Symptom, Watch, enough};

/// What happened, as far as the answers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// The network answers that tokens do not work: it reset them, or lost them for a while.
    NetworkReset,
    /// The network refuses the app itself.
    AppDisabled,
    /// The network fails, or does not answer.
    ProviderOutage,
}

impl IncidentKind {
    /// All kinds.
    pub const ALL: [IncidentKind; 3] =
        [IncidentKind::NetworkReset, IncidentKind::AppDisabled, IncidentKind::ProviderOutage];

    /// The name used in SQL, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            IncidentKind::NetworkReset => "network_reset",
            IncidentKind::AppDisabled => "app_disabled",
            IncidentKind::ProviderOutage => "provider_outage",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<IncidentKind> {
        IncidentKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Why tokens that end by it are invalid; `None`: none ends by it.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            IncidentKind::NetworkReset => Some(Reason::PlatformReset),
            IncidentKind::AppDisabled => Some(Reason::AppDisabled),
            IncidentKind::ProviderOutage => None,
        }
    }

    /// For which reasons a token that was found to be invalid since the start may be so by the incident, and not by itself. Padded with `None`.
    pub const fn explains(self) -> [Option<Reason>; 6] {
        match self {
            IncidentKind::NetworkReset => [
                Some(Reason::NotAccepted),
                Some(Reason::Expired),
                Some(Reason::PasswordChanged),
                Some(Reason::RevokedByPerson),
                Some(Reason::PersonBlocked),
                Some(Reason::RefreshRejected),
            ],
            IncidentKind::AppDisabled | IncidentKind::ProviderOutage => {
                [Some(Reason::NotAccepted), Some(Reason::RefreshRejected), None, None, None, None]
            }
        }
    }

    /// Whether what is seen later may turn the one into the other: an outage may prove to be a reset, never the other way round.
    pub const fn may_become(self, later: IncidentKind) -> bool {
        matches!(
            (self, later),
            (IncidentKind::ProviderOutage, IncidentKind::NetworkReset | IncidentKind::AppDisabled)
                | (IncidentKind::NetworkReset, IncidentKind::AppDisabled)
        )
    }
}

/// How an incident went out for the tokens that it had hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// They work again: those in doubt are live, those that had been called dead are looked at once more.
    Recovered,
    /// They are dead: their persons must connect them anew.
    Lost,
}

impl Outcome {
    /// Both.
    pub const ALL: [Outcome; 2] = [Outcome::Recovered, Outcome::Lost];

    /// The name used in SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Recovered => "recovered",
            Outcome::Lost => "lost",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// How far an incident has come, as the pool of its network knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What happened.
    pub kind: IncidentKind,
    /// When the first of its failures was seen.
    pub started_at: Timestamp,
    /// When it was found.
    pub opened_at: Timestamp,
    /// Persons whose tokens failed, at the time it was found.
    pub persons: u32,
    /// By what it was found: that is what stops for it.
    pub seen_in: SeenIn,
    /// Who is let through.
    pub recovery: Recovery,
}

/// By what an incident is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SeenIn {
    /// Calls with access tokens.
    Calls,
    /// Renewals; calls may go on as before.
    Renewals,
}

impl SeenIn {
    /// The name used in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            SeenIn::Calls => "calls",
            SeenIn::Renewals => "renewals",
        }
    }

    /// That of the name.
    pub fn from_name(name: &str) -> Option<SeenIn> {
        [SeenIn::Calls, SeenIn::Renewals].into_iter().find(|seen_in| seen_in.as_str() == name)
    }
}

impl Progress {
    /// As it is found.
    pub fn begin(detected: Detected, seen_in: SeenIn, now: Timestamp) -> Self {
        let Detected { kind, started_at, persons } = detected;
        Self { kind, started_at, opened_at: now, persons, seen_in, recovery: Recovery::begin(now) }
    }

    /// Whether tokens rest for it. In an outage calls go on: they do no harm, and show when it is over.
    pub const fn stops_leases(&self) -> bool {
        matches!(self.seen_in, SeenIn::Calls) && self.kind.reason().is_some()
    }

    /// Whether it is still to be recovered from.
    pub fn is_open(&self) -> bool {
        self.recovery.stage != Stage::All
    }

    /// Whether single renewals are made to look. Where calls can show the way back, no refresh token is shown before they have.
    pub fn looks_by_renewals(&self) -> bool {
        self.seen_in == SeenIn::Renewals || self.recovery.stage == Stage::Share
    }

    /// Takes in what is seen later. Returns whether it is another kind of incident now; its recovery then begins anew.
    pub fn become_worse(&mut self, later: Detected, seen_in: SeenIn, now: Timestamp) -> bool {
        let worse = self.kind.may_become(later.kind);
        if worse {
            *self = Self { started_at: self.started_at, opened_at: self.opened_at, ..Self::begin(later, seen_in, now) };
        }
        worse
    }

    /// What it turned out to be, as far as is known now. A reset is a loss once the network refused call after call that was made to look, each
    /// with a word that leaves no doubt. What is said of an app proves nothing of its tokens, which may work again with it: that they are lost
    /// only an operator can say.
    pub fn outcome(&self) -> Outcome {
        match self.kind {
            IncidentKind::NetworkReset if self.recovery.is_confirmed() => Outcome::Lost,
            _ => Outcome::Recovered,
        }
    }
}

/// One incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The network.
    pub network: NetworkId,
    /// The app.
    pub app: AppId,
    /// How far it has come.
    pub progress: Progress,
    /// When and how it was over.
    pub closed: Option<Closed>,
    /// Who took notice, and when.
    pub acknowledged: Option<(Timestamp, String)>,
}

/// The end of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// When.
    pub at: Timestamp,
    /// By whom, by a name for people.
    pub by: String,
    /// How it went out.
    pub outcome: Outcome,
}

impl Incident {
    /// Whether tokens may be dead by it. In an outage they only wait.
    pub fn ends_tokens(&self) -> bool {
        self.progress.kind.reason().is_some()
    }

    /// Whether it is over, and its tokens are dead.
    pub fn is_lost(&self) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.outcome == Outcome::Lost)
    }

    /// Whether all its tokens end by it, and not only those that were seen to fail: the app is given up.
    pub fn takes_all(&self) -> bool {
        self.is_lost() && self.progress.kind == IncidentKind::AppDisabled
    }

    /// What happened and what follows, in one sentence for people.
    pub fn message(&self) -> String {
        let Incident { network, app, progress, .. } = self;
        let place = format!("app '{app}' at {network}");
        let (persons, since) = (progress.persons, progress.started_at);
        match progress.kind {
            IncidentKind::NetworkReset => format!(
                "{network} refuses the tokens of {persons} persons of app '{app}' since {since}; they and their renewals rest until single calls show whether the network has reset them"
            ),
            IncidentKind::AppDisabled => format!(
                "{place} is refused since {since}, whatever the token; look at the app's registration there. Its tokens rest until single calls are served again"
            ),
            IncidentKind::ProviderOutage => format!(
                "{network} has failed for {persons} persons of app '{app}' since {since} and served nobody; renewals rest until it answers again"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
