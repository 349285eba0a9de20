//! What a member may do: one table of role × action × how the member stands to the thing it would do it to.
//!
//! Only what is of the member's own team is asked here; nothing of another team can be reached at all. What is in no row (teams,
//! operators' keys, apps, the sealing key) is the operators'.

use crate::domain::member::Role;

/// What a member would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Look at tokens, profiles, loads, alerts and members, without anybody's secrets.
    See,
    /// See what a token was used for.
    SeeUsage,
    /// See what happened in the team.
    SeeAudit,
    /// Connect an account, which becomes the member's own token.
    Connect,
    /// Renew a token, or connect it anew.
    Renew,
    /// Pause or resume a token.
    Pause,
    /// Change what people call a token, its reserve and how many leases may hold it.
    ChangeToken,
    /// End a token for good.
    Revoke,
    /// Change what the person behind a token agreed to.
    ChangeConsent,
    /// Say who is told of a profile, and who administers it.
    ChangeProfile,
    /// Note that an alert was seen.
    Acknowledge,
    /// Invite a person, send an invitation again, or withdraw it.
    Invite,
    /// Change a member's name, time zone or language, or ask for another mail address, which is proved by a link sent to it.
    ChangeMember,
    /// Change a member's mail address on one's word. Tokens are known by the address of who granted them: who could give itself any
    /// address could take tokens over.
    ChangeMail,
    /// Change a member's role.
    ChangeRole,
    /// Take a member out of the team.
    Remove,
    /// See and end a member's sessions.
    Sessions,
    /// Make, change, disable and enable collectors, and make and revoke their keys.
    ChangeCollectors,
    /// See, add, change, try and delete the places where the whole team is told.
    ChangeDestinations,
}

/// How a member stands to the thing it would do something to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is its own: a token that it granted, its own record, its own session.
    Own,
    /// It administers a profile that the token speaks for, or the profile itself.
    Profile,
    /// Neither.
    Other,
}

impl Action {
    /// All actions.
    pub const ALL: [Action; 19] = [
        Action::See,
        Action::SeeUsage,
        Action::SeeAudit,
        Action::Connect,
        Action::Renew,
        Action::Pause,
        Action::ChangeToken,
        Action::Revoke,
        Action::ChangeConsent,
        Action::ChangeProfile,
        Action::Acknowledge,
        Action::Invite,
        Action::ChangeMember,
        Action::ChangeMail,
        Action::ChangeRole,
        Action::Remove,
        Action::Sessions,
        Action::ChangeCollectors,
        Action::ChangeDestinations,
    ];

    /// The name by which words of pages are found.
    pub const fn name(self) -> &'static str {
        match self {
            Action::See => "see",
            Action::SeeUsage => "see-usage",
            Action::SeeAudit => "see-audit",
            Action::Connect => "connect",
            Action::Renew => "renew",
            Action::Pause => "pause",
            Action::ChangeToken => "change-token",
            Action::Revoke => "revoke",
            Action::ChangeConsent => "change-consent",
            Action::ChangeProfile => "change-profile",
            Action::Acknowledge => "acknowledge",
            Action::Invite => "invite",
            Action::ChangeMember => "change-member",
            Action::ChangeMail => "change-mail",
            Action::ChangeRole => "change-role",
            Action::Remove => "remove",
            Action::Sessions => "sessions",
            Action::ChangeCollectors => "change-collectors",
            Action::ChangeDestinations => "change-destinations",
        }
    }

    /// What it is, for people: "you may not …".
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::See => "look at this",
            Action::SeeUsage => "see what this token was used for",
            Action::SeeAudit => "see what happened in the team",
            Action::Connect => "connect accounts",
            Action::Renew => "renew this token",
            Action::Pause => "pause or resume this token",
            Action::ChangeToken => "change this token",
            Action::Revoke => "revoke this token",
            Action::ChangeConsent => "change what the person agreed to",
            Action::ChangeProfile => "change this profile",
            Action::Acknowledge => "acknowledge alerts",
            Action::Invite => "invite people",
            Action::ChangeMember => "change this member",
            Action::ChangeMail => "change a mail address without the link that proves it",
            Action::ChangeRole => "change roles",
            Action::Remove => "take this member out of the team",
            Action::Sessions => "see or end these sessions",
            Action::ChangeCollectors => "make or change collectors and their keys",
            Action::ChangeDestinations => "change where the team is told",
        }
    }
}

/// Whether a member of `role` may do `action` to something that it stands to as `standing`.
pub const fn may(role: Role, action: Action, standing: Standing) -> bool {
    let [own, profile, other] = row(role, action);
    match standing {
        Standing::Own => own,
        Standing::Profile => profile,
        Standing::Other => other,
    }
}

/// Whether it may: of its own, of what it administers, of others.
const fn row(role: Role, action: Action) -> [bool; 3] {
    const ALL: [bool; 3] = [true, true, true];
    const CONCERNED: [bool; 3] = [true, true, false];
    const OWN: [bool; 3] = [true, false, false];
    const NONE: [bool; 3] = [false, false, false];
    match action {
        Action::See | Action::Connect | Action::Acknowledge => ALL,
        Action::SeeUsage | Action::Renew | Action::Pause | Action::ChangeToken | Action::ChangeProfile => match role {
            Role::Owner | Role::Manager => ALL,
            Role::Member => CONCERNED,
        },
        Action::Revoke => match role {
            Role::Owner | Role::Manager => ALL,
            Role::Member => OWN,
        },
        Action::SeeAudit | Action::Invite | Action::ChangeCollectors | Action::ChangeDestinations => match role {
            Role::Owner | Role::Manager => ALL,
            Role::Member => NONE,
        },
        // What a person agreed to is the person's. An owner answers for it where the person can't be reached any more.
        Action::ChangeConsent | Action::ChangeMember | Action::Remove | Action::Sessions => match role {
            Role::Owner => ALL,
            Role::Manager | Role::Member => OWN,
        },
        Action::ChangeMail | Action::ChangeRole => match role {
            Role::Owner => ALL,
            Role::Manager | Role::Member => NONE,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table once more, apart from the rules: `own profile other` of owner, manager, member; `-` is no.
    const TABLE: [(Action, [&str; 3]); 19] = [
        (Action::See, ["opo", "opo", "opo"]),
        (Action::SeeUsage, ["opo", "opo", "op-"]),
        (Action::SeeAudit, ["opo", "opo", "---"]),
        (Action::Connect, ["opo", "opo", "opo"]),
        (Action::Renew, ["opo", "opo", "op-"]),
        (Action::Pause, ["opo", "opo", "op-"]),
        (Action::ChangeToken, ["opo", "opo", "op-"]),
        (Action::Revoke, ["opo", "opo", "o--"]),
        (Action::ChangeConsent, ["opo", "o--", "o--"]),
        (Action::ChangeProfile, ["opo", "opo", "op-"]),
        (Action::Acknowledge, ["opo", "opo", "opo"]),
        (Action::Invite, ["opo", "opo", "---"]),
        (Action::ChangeMember, ["opo", "o--", "o--"]),
        (Action::ChangeMail, ["opo", "---", "---"]),
        (Action::ChangeRole, ["opo", "---", "---"]),
        (Action::Remove, ["opo", "o--", "o--"]),
        (Action::Sessions, ["opo", "o--", "o--"]),
        (Action::ChangeCollectors, ["opo", "opo", "---"]),
        (Action::ChangeDestinations, ["opo", "opo", "---"]),
    ];

    #[test]
    fn the_whole_table_is_as_written_here() {
        assert_eq!(TABLE.map(|(action, _)| action), Action::ALL);
        for (action, roles) in TABLE {
            for (role, expected) in Role::ALL.into_iter().zip(roles) {
                let standings = [(Standing::Own, 'o'), (Standing::Profile, 'p'), (Standing::Other, 'o')];
                let got: String =
                    standings.map(|(at, sign)| if may(role, action, at) { sign } else { '-' }).iter().collect();
                assert_eq!(got, expected, "{role:?} {action:?}");
            }
        }
    }

    #[test]
    fn a_higher_role_and_a_nearer_standing_never_may_less() {
        for action in Action::ALL {
            for pair in Role::ALL.windows(2) {
                for standing in [Standing::Own, Standing::Profile, Standing::Other] {
                    assert!(may(pair[0], action, standing) || !may(pair[1], action, standing), "{action:?} {pair:?}");
                }
            }
            for role in Role::ALL {
                let [own, profile, other] = row(role, action);
                assert!(own || !(profile || other), "{action:?} {role:?}");
            }
        }
    }
}
