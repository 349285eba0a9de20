//! Who gives consent.

use crate::base::ids::MemberId;

/// Who gives consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granter {
    /// Whoever opens the link first and goes on; as the team names them, empty where it was not said.
    Named(String),
    /// This member: a browser goes on only while the member is signed in there.
    Member(MemberId),
}

impl Default for Granter {
    fn default() -> Self {
        Self::Named(String::new())
    }
}

impl Granter {
    /// Who granted a token, as the token says it.
    pub fn granted_by(&self) -> String {
        match self {
            Granter::Named(name) => name.clone(),
            Granter::Member(id) => id.to_string(),
        }
    }

    /// Whether a browser may go on in which `member` is signed in.
    pub fn lets_on(&self, member: Option<MemberId>) -> bool {
        match self {
            Granter::Named(_) => true,
            Granter::Member(id) => member == Some(*id),
        }
    }
}
