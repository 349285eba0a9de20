//! Members: invited, shown, changed. Who may do what of it follows the table in [`crate::domain::member::may`], whoever asks.
//!
//! A link is shown once, to whom made it; what is kept is its keyed hash. Two changes of one member do not overtake each other: each is
//! decided on what was read, and the store refuses it if that is not what is there any more.

mod accounts;
mod change;
mod invite;
mod leave;
mod list;
mod permit;

pub use change::UpdateMember;
pub use invite::{InviteMember, MadeInvitation};
pub use leave::{DepartureView, RemoveMember};
pub use list::{MemberListFilter, MemberView};
pub use permit::On;

use crate::base::ids::{MemberId, TeamId};
use crate::domain::audit::AuditEvent;
use crate::domain::member::{Member, MembershipError};
use crate::service::{Broker, Caller, Forbidden};
use crate::store::{MemberChangeError, StoreError};

/// How often a change that was overtaken is decided anew.
const ATTEMPTS: usize = 5;

/// Why nothing was done about a member.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MemberError {
    /// There is no such team.
    #[error("there is no team '{0}'; see the list of teams")]
    TeamNotFound(TeamId),
    /// The team has no such member.
    #[error("team '{team}' has no member '{member}'; see the list of its members")]
    NotFound {
        /// The team.
        team: TeamId,
        /// What was asked for.
        member: MemberId,
    },
    /// The caller may not do it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Another member has the address.
    #[error("another member of team '{team}' has this mail address: '{member}'; choose another, or change that member")]
    MailTaken {
        /// The team.
        team: TeamId,
        /// Who has it.
        member: MemberId,
    },
    /// The team would have no owner.
    #[error("team '{0}' would have no owner any more; make another member an owner first")]
    LastOwner(TeamId),
    /// The member's state does not allow it.
    #[error(transparent)]
    State(#[from] MembershipError),
    /// It did not leave.
    #[error("the member '{0}' has not left the team")]
    NotLeft(MemberId),
    /// It is changed by somebody else again and again.
    #[error("the member '{0}' is being changed by somebody else; try again shortly")]
    Contended(MemberId),
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers, so no link can be made; check the machine")]
    Random,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(in crate::service) fn change_error(member: &Member, error: MemberChangeError) -> MemberError {
    let team = member.team.clone();
    match error {
        MemberChangeError::MailTaken(member) => MemberError::MailTaken { team, member },
        MemberChangeError::LastOwner => MemberError::LastOwner(team),
        MemberChangeError::Changed => MemberError::Contended(member.id),
        MemberChangeError::Store(error) => MemberError::Store(error),
    }
}

impl Broker {
    /// The member of that id, if it is the team's.
    pub(in crate::service) async fn stored_member(&self, team: &TeamId, id: MemberId) -> Result<Member, MemberError> {
        let found = self.store.find_member(id).await?.filter(|member| member.team == *team);
        found.ok_or_else(|| MemberError::NotFound { team: team.clone(), member: id })
    }

    /// An audit event about a member.
    pub(in crate::service) fn member_audit(
        &self,
        caller: &Caller,
        action: &'static str,
        member: &Member,
        detail: String,
    ) -> AuditEvent {
        let mut audit = self.audit(caller, action, member.name(), detail.trim().to_owned());
        audit.team = Some(member.team.clone());
        audit
    }
}

#[cfg(test)]
mod tests;
