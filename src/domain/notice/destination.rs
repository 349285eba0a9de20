//! Destinations of a team: where the whole team is told, beside what its members choose.

use std::collections::BTreeSet;

use crate::base::clock::Timestamp;
use crate::base::ids::{DestinationId, TeamId};
use crate::domain::notice::Kind;

/// The most destinations of one team.
pub const MOST_DESTINATIONS: usize = 50;

/// What a destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DestinationKind {
    /// A mail address: of a person, or of a list.
    Mail,
    /// An incoming webhook of Slack, or of a chat that understands the same.
    Slack,
    /// A webhook of a workflow of Teams.
    Teams,
    /// A webhook that is signed by the Standard Webhooks scheme.
    Webhook,
}

/// A destination of a team. Its target and secrets are kept apart, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its id.
    pub id: DestinationId,
    /// Whose it is.
    pub team: TeamId,
    /// Its name for people.
    pub display_name: String,
    /// What it is.
    pub kind: DestinationKind,
    /// What is shown of its target: the mail address, or the host of the URL.
    pub shown: String,
    /// Which events it hears of.
    pub events: BTreeSet<Kind>,
    /// When it was added.
    pub created_at: Timestamp,
    /// Since when its receiver says that it is not there any more (410); `None`: it does not. Nothing is sent to it until it is changed, or a
    /// test arrives.
    pub gone_since: Option<Timestamp>,
    /// Raised by one with each change; bound into the sealing of its target.
    pub version: u32,
}

impl DestinationKind {
    /// All kinds.
    pub const ALL: [DestinationKind; 4] =
        [DestinationKind::Mail, DestinationKind::Slack, DestinationKind::Teams, DestinationKind::Webhook];

    /// The name used in SQL, the audit and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            DestinationKind::Mail => "mail",
            DestinationKind::Slack => "slack",
            DestinationKind::Teams => "teams",
            DestinationKind::Webhook => "webhook",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<DestinationKind> {
        DestinationKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Destination {
    /// Its resource name.
    pub fn name(&self) -> String {
        format!("teams/{}/destinations/{}", self.team, self.id)
    }

    /// What is heard where nothing was chosen: what asks somebody to do something, and that it is over.
    pub fn usual_events() -> BTreeSet<Kind> {
        Kind::ALL.into_iter().filter(|kind| *kind != Kind::TokenConnected).collect()
    }
}
