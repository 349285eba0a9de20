//! A member's leaving: what is done, and what was done so far.

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::ids::{ConnectionId, KeyId, MemberId, NetworkId, TokenId};

/// The report of a member's leaving. It is kept while it goes on, and for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// Who left.
    pub member: MemberId,
    /// When it began; from then on the member may do nothing.
    pub begun_at: Timestamp,
    /// When all was done; `None`: it goes on.
    pub finished_at: Option<Timestamp>,
    /// Sessions that ended.
    pub sessions: u64,
    /// Whether an invitation was withdrawn.
    pub invitation: bool,
    /// Connections that it had started, or that were bound to it, and that ended with it.
    #[serde(default)]
    pub connections: Vec<ConnectionId>,
    /// What became of its tokens.
    pub tokens: Vec<LeftToken>,
    /// Profiles that it owned or administered, by network and id, and does no more.
    pub profiles: Vec<(NetworkId, String)>,
    /// Whether the keys that it made are revoked, too.
    #[serde(default)]
    pub revokes_keys: bool,
    /// Keys that it made and that go on: they are to be replaced, since it has seen them.
    pub keys: Vec<KeyId>,
    /// Keys that it made and that were revoked.
    #[serde(default)]
    pub revoked_keys: Vec<KeyId>,
}

/// What becomes of a token whose member leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftToken {
    /// The token.
    pub token: TokenId,
    /// The member whose account it is, too, and whose own it becomes; `None`: it is revoked.
    pub heir: Option<MemberId>,
}

impl Departure {
    /// One that begins.
    pub fn begin(member: MemberId, at: Timestamp, sessions: u64, invitation: bool) -> Self {
        Self {
            member,
            begun_at: at,
            finished_at: None,
            sessions,
            invitation,
            connections: Vec::new(),
            tokens: Vec::new(),
            profiles: Vec::new(),
            revokes_keys: false,
            keys: Vec::new(),
            revoked_keys: Vec::new(),
        }
    }

    /// How many tokens were handed on, and how many revoked.
    pub fn counts(&self) -> (usize, usize) {
        let handed_on = self.tokens.iter().filter(|left| left.heir.is_some()).count();
        (handed_on, self.tokens.len() - handed_on)
    }
}
