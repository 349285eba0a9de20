//! What is known of a member is changed.

use crate::base::ids::{MemberId, TeamId};
use crate::domain::member::{Action, LanguageTag, MailAddress, Member, MembershipError, Role, ZoneName};
use crate::service::Broker;
use crate::service::members::invite::must_may_give;
use crate::service::members::{ATTEMPTS, MemberError, MemberView, On, change_error};
use crate::service::requests::Attempt;
use crate::store::{InvitationChange, MemberChange, MemberChangeError};

/// What to change about a member; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateMember {
    /// Its name for people.
    pub display_name: Option<String>,
    /// Where mail reaches it, on the word of who changes it.
    pub mail: Option<MailAddress>,
    /// What it is to the team.
    pub role: Option<Role>,
    /// Its time zone.
    pub time_zone: Option<ZoneName>,
    /// Its language.
    pub language: Option<LanguageTag>,
}

impl Broker {
    /// Changes a member. A new mail address ends a link that was sent to the old one; with it, or a new role, the member signs in again.
    /// Who may not say what a member's address is asks for it by [`Broker::ask_for_mail`].
    pub async fn update_member(
        &self,
        attempt: impl Into<Attempt<MemberView>>,
        team: &TeamId,
        id: MemberId,
        change: &UpdateMember,
    ) -> Result<MemberView, MemberError> {
        let attempt = attempt.into();
        for _ in 0..ATTEMPTS {
            let before = self.stored_member(team, id).await?;
            self.must_permit(&attempt.caller, Action::ChangeMember, team, On::Member(id))?;
            if let Some(role) = change.role.filter(|role| *role != before.role) {
                self.must_permit(&attempt.caller, Action::ChangeRole, team, On::Member(id))?;
                must_may_give(&attempt.caller, role)?;
            }
            if before.has_left() {
                return Err(MembershipError::Left.into());
            }
            let member = changed(&before, change);
            let moved = !member.mail.is_same(&before.mail);
            if moved {
                self.must_permit(&attempt.caller, Action::ChangeMail, team, On::Member(id))?;
            }
            let invitation = if moved { InvitationChange::End } else { InvitationChange::Keep };
            let made = match moved {
                true => self.view_of(member.clone(), None),
                false => self.view_member(member.clone()).await?,
            };
            let audit = self.member_audit(&attempt.caller, "member.update", &member, detail_of(&before, &member));
            let trail = attempt.trail(audit, &made);
            // Who has another address or role signs in again.
            let ends_sessions = moved || member.role != before.role;
            let change = MemberChange { invitation, ends_sessions, ..MemberChange::of(member, trail) };
            match self.store.change_member(change).await {
                Ok(()) => return Ok(made),
                Err(MemberChangeError::Changed) => {}
                Err(error) => return Err(change_error(&before, error)),
            }
        }
        Err(MemberError::Contended(id))
    }
}

fn changed(before: &Member, change: &UpdateMember) -> Member {
    let mut member = before.clone();
    member.display_name = change.display_name.clone().unwrap_or(member.display_name);
    member.mail = change.mail.clone().unwrap_or(member.mail);
    member.role = change.role.unwrap_or(member.role);
    member.time_zone = change.time_zone.clone().unwrap_or(member.time_zone);
    member.language = change.language.clone().unwrap_or(member.language);
    member.version += 1;
    member
}

/// What was changed: the address and the role with what they were, since others rely on them.
fn detail_of(before: &Member, after: &Member) -> String {
    let mut detail = Vec::new();
    if before.mail != after.mail {
        detail.push(format!("mail={} mail_before={}", after.mail, before.mail));
    }
    if before.role != after.role {
        detail.push(format!("role={} role_before={}", after.role.as_str(), before.role.as_str()));
    }
    let others = [
        ("display_name", before.display_name != after.display_name),
        ("time_zone", before.time_zone != after.time_zone),
        ("language", before.language != after.language),
    ];
    let others: Vec<_> = others.into_iter().filter(|(_, changed)| *changed).map(|(field, _)| field).collect();
    if !others.is_empty() {
        detail.push(format!("fields={}", others.join(",")));
    }
    detail.join(" ")
}
