//! Tokens that do not work, or end soon: of a team, or those of it that concern a member.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{NetworkId, TeamId, TokenId};
use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::token::{StoredToken, find_at_risk};

/// A token's place in the order of what is at risk: those that do not work, or not for everything, first, then by the first of all its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RiskPlace {
    /// The first end; the epoch, if it does not work, lacks a permission or is blocked.
    pub at: Timestamp,
    /// The token.
    pub token: TokenId,
}

/// Whose tokens are wanted, within a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's.
    Anybodys,
    /// Those that concern somebody.
    Of {
        /// Granted by one of these, as [`crate::domain::member::grantor`] says it.
        grantors: Vec<String>,
        /// Or speaking for one of these profiles, by network and id.
        profiles: Vec<(NetworkId, String)>,
    },
}

/// Which tokens are wanted.
#[derive(Debug, Clone)]
pub struct AtRisk {
    /// Of this team.
    pub team: TeamId,
    /// Of these of it.
    pub whose: Whose,
    /// Those that do not work, lack a permission or are blocked, and those of which an end comes before this time, also one that a renewal turns back.
    pub before: Timestamp,
    /// After this place.
    pub after: Option<RiskPlace>,
    /// So many at most.
    pub limit: u32,
}

/// What is at risk.
#[async_trait]
pub trait AtRiskStore: Send + Sync {
    /// The tokens that are wanted, with their places, in their order; `None` for one that can't be read.
    async fn list_at_risk(&self, wanted: AtRisk) -> Result<Vec<(RiskPlace, Option<StoredToken>)>, StoreError>;
}

#[async_trait]
impl<D: Database> AtRiskStore for D {
    async fn list_at_risk(&self, wanted: AtRisk) -> Result<Vec<(RiskPlace, Option<StoredToken>)>, StoreError> {
        self.read(move |tx| Box::pin(async move { find_at_risk(tx, &wanted).await })).await
    }
}
