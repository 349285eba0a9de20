//! Members are shown and listed.

use crate::base::clock::Timestamp;
use crate::base::ids::{MemberId, TeamId};
use crate::domain::member::{MailAddress, Member, MemberState};
use crate::service::Broker;
use crate::service::members::MemberError;
use crate::store::{Invitation, MemberFilter, StoreError};

/// A member with what else is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// The member.
    pub member: Member,
    /// Until when the link that was sent last can be used; `None`: there is none that can.
    pub invited_until: Option<Timestamp>,
    /// The mail address that it asked for, and that is not proved yet.
    pub asked_mail: Option<MailAddress>,
}

/// Which members to list.
#[derive(Debug, Clone)]
pub struct MemberListFilter {
    /// Of this team.
    pub team: TeamId,
    /// In this state, by its name.
    pub state: Option<&'static str>,
}

impl MemberListFilter {
    /// Those of a team who belong to it now.
    pub fn active(team: &TeamId) -> Self {
        let state = MemberState::Active { since: Timestamp::EPOCH };
        Self { team: team.clone(), state: Some(state.as_str()) }
    }
}

impl Broker {
    /// One member.
    pub async fn show_member(&self, team: &TeamId, id: MemberId) -> Result<MemberView, MemberError> {
        let member = self.stored_member(team, id).await?;
        Ok(self.view_member(member).await?)
    }

    /// At most `limit` members after `after` (the last one of the page before), in the order in which they were invited, and whether there
    /// are more.
    pub async fn list_members(
        &self,
        filter: &MemberListFilter,
        after: Option<MemberId>,
        limit: u32,
    ) -> Result<(Vec<MemberView>, bool), MemberError> {
        let team = self.directory.team(&filter.team).ok_or_else(|| MemberError::TeamNotFound(filter.team.clone()))?;
        let wanted = MemberFilter { state: filter.state, after };
        let mut found = self.store.list_members(&team.id, wanted, limit.saturating_add(1)).await?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let mut views = Vec::with_capacity(found.len());
        for member in found {
            views.push(self.view_member(member).await?);
        }
        Ok((views, more))
    }

    pub(super) async fn view_member(&self, member: Member) -> Result<MemberView, StoreError> {
        let invitation = self.store.find_invitation(member.id).await?;
        Ok(self.view_of(member, invitation.as_ref()))
    }

    pub(super) fn view_of(&self, member: Member, invitation: Option<&Invitation>) -> MemberView {
        let now = self.now();
        let works = invitation.filter(|invitation| invitation.expires_at > now);
        let (asked_mail, invited_until) = match works {
            Some(Invitation { mail: None, expires_at, .. }) => (None, Some(*expires_at)),
            Some(Invitation { mail, .. }) => (mail.clone(), None),
            None => (None, None),
        };
        MemberView { member, invited_until, asked_mail }
    }
}
