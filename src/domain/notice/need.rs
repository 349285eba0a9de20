//! Why a token must be connected again that still works.

use serde::{Deserialize, Serialize};

use crate::base::ids::OperationId;
use crate::domain::notice::neutral;
use crate::text::Sentence;

/// The longest list of names, or text of the catalogue, that is shown.
const TEXT: usize = 500;

/// Why a token must be connected again that still works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// The network refuses operations for want of a permission or a role.
    Permission {
        /// The operations.
        operations: Vec<OperationId>,
    },
    /// The network newly requires what was not granted.
    Scopes {
        /// What is missing.
        scopes: Vec<String>,
        /// What it is needed for, as the catalogue says it.
        about: String,
    },
    /// The grant ends, and no renewal prolongs it.
    GrantEnds,
}

impl Need {
    /// The need, without a full stop. `network`: its name for people.
    pub fn in_words(&self, network: &str) -> Sentence {
        let listed = |names: Vec<&str>| neutral(&names.join(", "), TEXT);
        let need = match self {
            Need::Permission { operations } => Sentence::new("need-permission")
                .with("operations", listed(operations.iter().map(OperationId::as_str).collect())),
            Need::Scopes { scopes, about } => Sentence::new("need-scopes")
                .with("scopes", listed(scopes.iter().map(String::as_str).collect()))
                .with("about", neutral(about, TEXT)),
            Need::GrantEnds => Sentence::new("need-grant-ends"),
        };
        need.with("network", neutral(network, TEXT))
    }
}
