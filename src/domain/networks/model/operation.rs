//! The calls that collectors may lease for.

use serde::Deserialize;

use super::{Purpose, Verified};
use crate::base::ids::{ClassId, KindId, OperationId};

/// One kind of network call.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its id, unique in the network (`tweets.search_recent`).
    pub id: OperationId,
    /// One sentence for people.
    pub about: String,
    /// The HTTP method.
    pub method: String,
    /// The path under the network's API base, or a whole URL at another host, with `{name}` for a part that varies.
    pub path: String,
    /// The purposes it serves. Never empty.
    pub purposes: Vec<Purpose>,
    /// The scopes it needs beside those of the purpose.
    pub scopes: Vec<String>,
    /// The kinds of token that may call it; empty: all.
    pub kinds: Vec<KindId>,
    /// What one call costs. Never empty.
    pub costs: Vec<Cost>,
    /// How sure this is.
    pub verified: Verified,
}

impl Operation {
    /// Whether a token of `kind` may call it.
    pub fn allows(&self, kind: &KindId) -> bool {
        self.kinds.is_empty() || self.kinds.contains(kind)
    }
}

/// The scopes that one call needs.
#[derive(Debug, Clone, Copy)]
pub struct OperationScopes<'n> {
    /// Those of the purpose.
    pub of_purpose: &'n [String],
    /// Those that the operation needs beside.
    pub of_operation: &'n [String],
}

/// What one call costs in one class.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// The class.
    pub class: ClassId,
    /// Units per call. In a class of different keys: 1, charged once per key.
    pub units: u64,
}
