//! Whether a caller may do something: operators by their role, members by the table of what members may do.

use crate::base::ids::{MemberId, TeamId};
use crate::domain::member::{Action, Standing, may};
use crate::domain::profile::Profile;
use crate::domain::team::OperatorRole;
use crate::domain::token::Token;
use crate::service::{Broker, Caller, Forbidden};

/// What something would be done to, within a team.
#[derive(Debug, Clone, Copy)]
pub enum On<'a> {
    /// The team as a whole.
    Team,
    /// One of its tokens.
    Token(&'a Token),
    /// One of its members.
    Member(MemberId),
    /// One of its profiles.
    Profile(&'a Profile),
}

impl Broker {
    /// Requires that the caller may do `action` to `on`, which is of `team`. Operators may look if they read, and do everything if they are
    /// admins; collectors do nothing of this.
    pub fn must_permit(&self, caller: &Caller, action: Action, team: &TeamId, on: On<'_>) -> Result<(), Forbidden> {
        let looks = matches!(action, Action::See | Action::SeeUsage | Action::SeeAudit);
        let member = match caller {
            Caller::Broker | Caller::Operator { role: OperatorRole::Admin, .. } => return Ok(()),
            Caller::Operator { role: OperatorRole::Reader, .. } if looks => return Ok(()),
            Caller::Operator { .. } | Caller::Collector { .. } => return caller.must_be_admin(),
            Caller::Member { member, .. } => member,
        };
        caller.must_see(team)?;
        let standing = match on {
            On::Member(id) if id == member.id => Standing::Own,
            On::Token(token) if member.granted(token) => Standing::Own,
            On::Profile(profile) if profile.is_of(member.id) => Standing::Profile,
            On::Token(token) if self.directory.is_of_profiles(member.id, token) => Standing::Profile,
            On::Team | On::Member(_) | On::Token(_) | On::Profile(_) => Standing::Other,
        };
        match member.is_active() && may(member.role, action, standing) {
            true => Ok(()),
            false => Err(Forbidden::Action { role: member.role, action }),
        }
    }
}
