//! What a member can mend: the tokens that it may renew and that do not work, not for everything, or soon will not.

use crate::base::ids::{MemberId, TeamId};
use crate::domain::member::{Action, Member, Standing, may};
use crate::domain::token::{EXPIRING_WITHIN, TokenState};
use crate::service::Broker;
use crate::service::notices::NoticeError;
use crate::service::tokens::TokenView;
use crate::store::{AtRisk, RiskPlace, StoredToken, Whose};

/// Tokens read at once, while those that renewals take care of are left out.
const CHUNK: u32 = 200;
/// The most tokens that are looked at for one page.
const MOST_LOOKED_AT: usize = 2000;

/// A page of tokens at risk.
#[derive(Debug, Clone)]
pub struct AtRiskPage {
    /// The tokens: those that do not work, lack a permission or are blocked first, then those that end soonest.
    pub tokens: Vec<TokenView>,
    /// Where the next page begins; `None`: this was the last.
    pub after: Option<RiskPlace>,
}

impl Broker {
    /// The tokens that a member may renew, by its role and what it stands to them as, and that have ended, lack a permission, are blocked, or will
    /// end within 7 days and no renewal turns that back; from after `after`. A page
    /// may be short though there are more.
    pub async fn tokens_at_risk(
        &self,
        team: &TeamId,
        member: MemberId,
        after: Option<RiskPlace>,
        limit: usize,
    ) -> Result<AtRiskPage, NoticeError> {
        let member = self.stored_member(team, member).await?;
        let before = self.now() + EXPIRING_WITHIN;
        let mut wanted = AtRisk { team: team.clone(), whose: self.renewable_by(&member), before, after, limit: CHUNK };
        let (mut tokens, mut looked_at) = (Vec::new(), 0);
        loop {
            let found = self.store.list_at_risk(wanted.clone()).await?;
            let last = found.len() < CHUNK as usize;
            looked_at += found.len();
            for (place, stored) in found {
                wanted.after = Some(place);
                let at_risk = stored.filter(|stored| self.is_at_risk(stored));
                tokens.extend(at_risk.map(|stored| self.view_token(stored.token)));
                if tokens.len() == limit {
                    return Ok(AtRiskPage { tokens, after: wanted.after });
                }
            }
            if last || looked_at >= MOST_LOOKED_AT {
                return Ok(AtRiskPage { tokens, after: wanted.after.filter(|_| !last) });
            }
        }
    }

    /// The tokens that a member may renew.
    fn renewable_by(&self, member: &Member) -> Whose {
        if may(member.role, Action::Renew, Standing::Other) {
            return Whose::Anybodys;
        }
        let profiles = self.directory.profiles_of(&member.team, member.id);
        let profiles = profiles.into_iter().filter(|_| may(member.role, Action::Renew, Standing::Profile));
        let profiles = profiles.map(|profile| (profile.network.clone(), profile.id.clone())).collect();
        Whose::Of { grantors: member.grantors(), profiles }
    }

    fn is_at_risk(&self, stored: &StoredToken) -> bool {
        let StoredToken { token, .. } = stored;
        let is_hurt = matches!(token.state, TokenState::Invalid { .. }) || !token.closed.is_empty();
        is_hurt || token.blocked_since.is_some() || self.expiry_of(stored).event.is_some()
    }
}
