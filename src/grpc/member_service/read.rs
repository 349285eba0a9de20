//! What requests about members say.

use crate::base::ids::{MemberId, SessionId, TeamId};
use crate::domain::member::{MemberState, Role};
use crate::grpc::fields::{NAME, check_text, child_in, mask, name_in, required};
use crate::grpc::pb;
use crate::grpc::status::FieldMistakes;
use crate::service::members::{InviteMember, MemberListFilter, UpdateMember};

const CHANGEABLE: [&str; 5] = ["display_name", "mail", "role", "time_zone", "language"];

/// The member that a call is about.
pub fn read_member_name(name: &str, mistakes: &mut FieldMistakes) -> Option<(TeamId, MemberId)> {
    child_in("name", ["teams", "members"], name, mistakes)
}

/// The session that a call is about.
pub fn read_session_name(name: &str, mistakes: &mut FieldMistakes) -> Option<(TeamId, MemberId, SessionId)> {
    let Some((member, session)) = name.split_once("/sessions/") else {
        mistakes.note("name", "must be a name such as 'teams/…/members/…/sessions/…'");
        return None;
    };
    let named = read_member_name(member, mistakes);
    let session = mistakes.parse("name", session);
    let (team, member) = named?;
    Some((team, member, session?))
}

/// A person to invite.
pub fn read_invitation(request: &pb::InviteMemberRequest, mistakes: &mut FieldMistakes) -> Option<InviteMember> {
    let team = name_in("parent", "teams", &request.parent, mistakes);
    let given = required("member", request.member.clone(), mistakes);
    check_text("member.display_name", &given.display_name, NAME, mistakes);
    let mail = mistakes.parse("member.mail", &given.mail);
    let role = match given.role {
        0 => Some(Role::Member),
        value => role("member.role", value, mistakes),
    };
    let time_zone = or_default("member.time_zone", &given.time_zone, mistakes);
    let language = or_default("member.language", &given.language, mistakes);
    Some(InviteMember {
        team: team?,
        mail: mail?,
        display_name: given.display_name,
        role: role?,
        time_zone: time_zone?,
        language: language?,
    })
}

/// Which members are wanted.
pub fn read_filter(request: &pb::ListMembersRequest, mistakes: &mut FieldMistakes) -> Option<MemberListFilter> {
    let team = name_in("parent", "teams", &request.parent, mistakes);
    let since = crate::base::clock::Timestamp::EPOCH;
    let state = match pb::MemberState::try_from(request.state) {
        Ok(pb::MemberState::Unspecified) => None,
        Ok(pb::MemberState::Invited) => Some(MemberState::Invited),
        Ok(pb::MemberState::Active) => Some(MemberState::Active { since }),
        Ok(pb::MemberState::Left) => Some(MemberState::Left { since }),
        Err(_) => {
            mistakes.note("state", "is not known");
            None
        }
    };
    Some(MemberListFilter { team: team?, state: state.map(MemberState::as_str) })
}

/// What to change, and of which member.
pub fn read_member_change(
    request: &pb::UpdateMemberRequest,
    mistakes: &mut FieldMistakes,
) -> Option<(TeamId, MemberId, UpdateMember)> {
    let given = required("member", request.member.clone(), mistakes);
    let named = child_in("member.name", ["teams", "members"], &given.name, mistakes);
    let mut change = UpdateMember::default();
    for path in mask(request.update_mask.as_ref(), &CHANGEABLE, &[], mistakes) {
        match path.as_str() {
            "display_name" => {
                check_text("member.display_name", &given.display_name, NAME, mistakes);
                change.display_name = Some(given.display_name.clone());
            }
            "mail" => change.mail = mistakes.parse("member.mail", &given.mail),
            "role" => change.role = role("member.role", given.role, mistakes),
            "time_zone" => change.time_zone = or_default("member.time_zone", &given.time_zone, mistakes),
            _ => change.language = or_default("member.language", &given.language, mistakes),
        }
    }
    let (team, id) = named?;
    Some((team, id, change))
}

fn role(field: &str, value: i32, mistakes: &mut FieldMistakes) -> Option<Role> {
    match pb::MemberRole::try_from(value) {
        Ok(pb::MemberRole::Owner) => Some(Role::Owner),
        Ok(pb::MemberRole::Manager) => Some(Role::Manager),
        Ok(pb::MemberRole::Member) => Some(Role::Member),
        Ok(pb::MemberRole::Unspecified) | Err(_) => {
            mistakes.note(field, "must be owner, manager or member");
            None
        }
    }
}

fn or_default<T>(field: &str, text: &str, mistakes: &mut FieldMistakes) -> Option<T>
where
    T: Default + std::str::FromStr<Err: std::fmt::Display>,
{
    if text.is_empty() { Some(T::default()) } else { mistakes.parse(field, text) }
}
