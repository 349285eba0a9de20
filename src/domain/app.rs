//! Our registrations at networks, and the budgets that are paid for them in advance.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, ClassId, NetworkId, TeamId};

/// The app that every network has here, also before anything is said of it.
pub const DEFAULT_APP: &str = "default";

/// Our registration at a network. Its client secret is kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// The network.
    pub network: NetworkId,
    /// Its id, chosen by the operator; unique in the network.
    pub id: AppId,
    /// The team that alone may use it, from its creation on; `None`: every team may.
    pub team: Option<TeamId>,
    /// Its name for people.
    pub display_name: String,
    /// The client id at the network; empty where it is not known.
    pub client_id: String,
    /// Numbers about it from which the network works limits out (`app_users`).
    pub facts: BTreeMap<String, u64>,
    /// What was paid in advance, by credit class.
    pub budgets: BTreeMap<ClassId, Budget>,
    /// When it was made; `None`: nothing was ever said of it.
    pub created_at: Option<Timestamp>,
}

/// Units that may be spent until they are topped up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Units in all, spent ones included.
    pub total: u64,
    /// When it was last topped up.
    pub topped_up_at: Timestamp,
}

impl App {
    /// An app of which nothing is known.
    pub fn unknown(network: NetworkId, id: AppId) -> Self {
        Self {
            network,
            id,
            team: None,
            display_name: String::new(),
            client_id: String::new(),
            facts: BTreeMap::new(),
            budgets: BTreeMap::new(),
            created_at: None,
        }
    }

    /// Whether a team may use it.
    pub fn serves(&self, team: &TeamId) -> bool {
        self.team.as_ref().is_none_or(|own| own == team)
    }

    /// Whether it is of this team, and people can connect by it.
    pub fn is_ready_for(&self, team: &TeamId) -> bool {
        self.team.as_ref() == Some(team) && !self.client_id.is_empty()
    }
}
