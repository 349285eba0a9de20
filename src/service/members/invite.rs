//! Invitations: made with a new member, made anew, withdrawn.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::rand::fill;
use zeroize::Zeroizing;

use crate::base::ids::{MemberId, TeamId};
use crate::base::secret::Secret;
use crate::domain::member::{
    Action, LanguageTag, LinkKind, MailAddress, Member, MemberState, MembershipError, Role, ZoneName,
};
use crate::service::collectors::comment_detail;
use crate::service::members::{ATTEMPTS, MemberError, MemberView, On, change_error};
use crate::service::requests::Attempt;
use crate::service::{Broker, Caller, Forbidden};
use crate::store::{Invitation, InvitationChange, MemberChange, MemberChangeError};

/// How long a link can be used.
pub const LINK_LASTS: Duration = Duration::from_secs(7 * 24 * 3600);
const INVITATION: &str = "invitation";

/// A person to invite.
#[derive(Debug, Clone)]
pub struct InviteMember {
    /// Its team.
    pub team: TeamId,
    /// Where mail reaches it.
    pub mail: MailAddress,
    /// Its name for people; may be empty.
    pub display_name: String,
    /// What it shall be to the team.
    pub role: Role,
    /// Its time zone.
    pub time_zone: ZoneName,
    /// Its language.
    pub language: LanguageTag,
}

/// An invitation that was made: whose, and the link's secret, shown this once.
pub struct MadeInvitation {
    /// The member.
    pub member: MemberView,
    /// What the link carries.
    pub secret: Secret,
}

impl Broker {
    /// Invites a person to a team.
    pub async fn invite_member(
        &self,
        attempt: impl Into<Attempt<MadeInvitation>>,
        ask: InviteMember,
    ) -> Result<MadeInvitation, MemberError> {
        let attempt = attempt.into();
        let InviteMember { team, mail, display_name, role, time_zone, language } = ask;
        self.directory.team(&team).ok_or_else(|| MemberError::TeamNotFound(team.clone()))?;
        self.must_permit(&attempt.caller, Action::Invite, &team, On::Team)?;
        must_may_give(&attempt.caller, role)?;
        let member = Member {
            id: MemberId::generate(),
            team,
            display_name,
            mail,
            role,
            time_zone,
            language,
            state: MemberState::Invited,
            persons: BTreeMap::new(),
            created_at: self.now(),
            version: 1,
        };
        self.must_may_stand_in(&attempt.caller, &member).await?;
        let (invitation, secret) = self.make_invitation(&member)?;
        let detail = format!("mail={} role={}", member.mail, member.role.as_str());
        let audit = self.member_audit(&attempt.caller, "member.invite", &member, detail);
        let made = MadeInvitation { member: self.view_of(member.clone(), Some(&invitation)), secret };
        let trail = attempt.trail(audit, &made);
        let change =
            MemberChange { invitation: InvitationChange::Put(invitation), ..MemberChange::of(member.clone(), trail) };
        self.store.insert_member(change).await.map_err(|error| change_error(&member, error))?;
        Ok(made)
    }

    /// Makes a new link for a member; the one before is out. Everybody may have one for itself, to choose a new password by.
    pub async fn resend_invitation(
        &self,
        attempt: impl Into<Attempt<MadeInvitation>>,
        team: &TeamId,
        id: MemberId,
    ) -> Result<MadeInvitation, MemberError> {
        let attempt = attempt.into();
        for _ in 0..ATTEMPTS {
            let before = self.stored_member(team, id).await?;
            let is_own = attempt.caller.member().is_some_and(|member| member.id == id);
            if !is_own {
                self.must_permit(&attempt.caller, Action::Invite, team, On::Team)?;
                must_may_give(&attempt.caller, before.role)?;
            }
            if before.has_left() {
                return Err(MembershipError::Left.into());
            }
            if !is_own {
                self.must_may_stand_in(&attempt.caller, &before).await?;
            }
            let member = Member { version: before.version + 1, ..before };
            let (invitation, secret) = self.make_invitation(&member)?;
            let audit = self.member_audit(&attempt.caller, "member.resend_invitation", &member, String::new());
            let made = MadeInvitation { member: self.view_of(member.clone(), Some(&invitation)), secret };
            let trail = attempt.trail(audit, &made);
            let change = MemberChange {
                invitation: InvitationChange::Put(invitation),
                ..MemberChange::of(member.clone(), trail)
            };
            match self.store.change_member(change).await {
                Ok(()) => return Ok(made),
                Err(MemberChangeError::Changed) => {}
                Err(error) => return Err(change_error(&member, error)),
            }
        }
        Err(MemberError::Contended(id))
    }

    /// Ends the link that was sent to a member. Where there is none, nothing is done.
    pub async fn withdraw_invitation(
        &self,
        attempt: impl Into<Attempt<MemberView>>,
        team: &TeamId,
        id: MemberId,
        comment: &str,
    ) -> Result<MemberView, MemberError> {
        let attempt = attempt.into();
        for _ in 0..ATTEMPTS {
            let before = self.stored_member(team, id).await?;
            self.must_permit(&attempt.caller, Action::Invite, team, On::Team)?;
            must_may_give(&attempt.caller, before.role)?;
            if self.store.find_invitation(id).await?.is_none() {
                let found = self.view_of(before, None);
                self.note_unchanged(&attempt, &found).await?;
                return Ok(found);
            }
            let member = Member { version: before.version + 1, ..before };
            let detail = comment_detail(comment);
            let audit = self.member_audit(&attempt.caller, "member.withdraw_invitation", &member, detail);
            let made = self.view_of(member.clone(), None);
            let trail = attempt.trail(audit, &made);
            let change = MemberChange { invitation: InvitationChange::End, ..MemberChange::of(member.clone(), trail) };
            match self.store.change_member(change).await {
                Ok(()) => return Ok(made),
                Err(MemberChangeError::Changed) => {}
                Err(error) => return Err(change_error(&member, error)),
            }
        }
        Err(MemberError::Contended(id))
    }

    /// Requires that who sees the link of a person that granted tokens may say whose tokens are whose: who follows the link is taken for that person.
    async fn must_may_stand_in(&self, caller: &Caller, person: &Member) -> Result<(), MemberError> {
        let Caller::Member { member, .. } = caller else { return Ok(()) };
        if self.must_permit(caller, Action::ChangeMail, &person.team, On::Team).is_ok()
            || !self.store.has_granted(&person.team, person.grantors()).await?
        {
            return Ok(());
        }
        Err(Forbidden::StandIn(member.role).into())
    }

    fn make_invitation(&self, member: &Member) -> Result<(Invitation, Secret), MemberError> {
        let mut secret = Zeroizing::new([0_u8; 32]);
        fill(secret.as_mut_slice()).map_err(|_| MemberError::Random)?;
        let now = self.now();
        let hash = self.invitation_hash(&secret);
        let invitation = Invitation { member: member.id, hash, mail: None, made_at: now, expires_at: now + LINK_LASTS };
        Ok((invitation, LinkKind::Invitation.text(&secret)))
    }

    /// Where a person goes with the secret of an invitation.
    pub fn invitation_link(&self, secret: &Secret) -> String {
        self.config.http.link(&format!("/join?invitation={}", secret.expose()))
    }

    pub(in crate::service) fn invitation_hash(&self, secret: &[u8; 32]) -> [u8; 32] {
        self.vault.mac_key(INVITATION).sign(&[secret])
    }
}

/// Requires that a member who gives a role may give it. Operators may give each.
pub(super) fn must_may_give(caller: &Caller, role: Role) -> Result<(), Forbidden> {
    match caller {
        Caller::Member { member, .. } if !member.role.may_give(role) => Err(Forbidden::GiveRole(member.role)),
        _ => Ok(()),
    }
}
