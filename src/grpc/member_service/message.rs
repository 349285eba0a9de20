//! Members on the wire.

use crate::base::clock::Timestamp;
use crate::domain::member::{MemberState, Role};
use crate::grpc::change::{Answer, answers};
use crate::grpc::convert::{optional_timestamp, timestamp};
use crate::grpc::fields::count;
use crate::grpc::pb;
use crate::grpc::token_service::revocation_message;
use crate::service::Broker;
use crate::service::members::{DepartureView, MadeInvitation, MemberView};
use crate::service::sessions::SessionView;

/// A member.
pub fn member_message(view: &MemberView) -> pb::Member {
    let member = &view.member;
    let accounts = member.persons.iter().flat_map(|(network, persons)| {
        persons
            .iter()
            .map(move |person| pb::MemberAccount { network: format!("networks/{network}"), person: person.clone() })
    });
    let (state, joined, left): (_, Option<Timestamp>, Option<Timestamp>) = match member.state {
        MemberState::Invited => (pb::MemberState::Invited, None, None),
        MemberState::Active { since } => (pb::MemberState::Active, Some(since), None),
        MemberState::Left { since } => (pb::MemberState::Left, None, Some(since)),
    };
    pb::Member {
        name: member.name(),
        display_name: member.display_name.clone(),
        mail: member.mail.to_string(),
        role: role_of(member.role).into(),
        time_zone: member.time_zone.to_string(),
        language: member.language.to_string(),
        state: state.into(),
        accounts: accounts.collect(),
        create_time: Some(timestamp(member.created_at)),
        join_time: optional_timestamp(joined),
        leave_time: optional_timestamp(left),
        invitation_expire_time: optional_timestamp(view.invited_until),
    }
}

/// A session of the member of that name.
pub fn session_message(member: &str, view: &SessionView) -> pb::Session {
    let session = &view.session;
    pb::Session {
        name: format!("{member}/sessions/{}", session.id),
        agent: session.agent.clone(),
        origin: session.origin.clone(),
        create_time: Some(timestamp(session.created_at)),
        use_time: Some(timestamp(session.seen_at)),
        authenticate_time: Some(timestamp(session.authenticated_at)),
        expire_time: Some(timestamp(view.ends_at)),
    }
}

impl Answer<()> for pb::EndSessionResponse {
    fn of(_: &Broker, (): &()) -> Self {
        Self {}
    }
}

fn role_of(role: Role) -> pb::MemberRole {
    match role {
        Role::Owner => pb::MemberRole::Owner,
        Role::Manager => pb::MemberRole::Manager,
        Role::Member => pb::MemberRole::Member,
    }
}

/// What was done when a member left.
pub fn departure_message(view: &DepartureView) -> pb::Departure {
    let (team, departure) = (&view.team, &view.departure);
    let member = |id| format!("teams/{team}/members/{id}");
    pb::Departure {
        member: member(departure.member),
        begin_time: Some(timestamp(departure.begun_at)),
        finish_time: optional_timestamp(departure.finished_at),
        sessions_ended: count(departure.sessions),
        invitation_withdrawn: departure.invitation,
        tokens: departure
            .tokens
            .iter()
            .map(|left| pb::DepartedToken {
                token: format!("teams/{team}/tokens/{}", left.token),
                heir: left.heir.map(member).unwrap_or_default(),
                network_revocation: view.revocations.get(&left.token).map(revocation_message),
            })
            .collect(),
        profiles: departure
            .profiles
            .iter()
            .map(|(network, profile)| pb::DepartedProfile {
                network: format!("networks/{network}"),
                profile: profile.clone(),
            })
            .collect(),
        keys: departure.keys.iter().map(|key| format!("keys/{key}")).collect(),
        revoked_keys: departure.revoked_keys.iter().map(|key| format!("keys/{key}")).collect(),
        connections: departure.connections.iter().map(|id| format!("teams/{team}/connections/{id}")).collect(),
    }
}

answers! {
    RemoveMemberResponse { departure } = |_, departure| departure_message(departure), of DepartureView;
    UpdateMemberResponse { member } = |_, member| member_message(member), of MemberView;
    WithdrawInvitationResponse { member } = |_, member| member_message(member), of MemberView;
}

/// Answers that show a link, the first time only: it is kept nowhere.
macro_rules! answers_with_link {
    ($($response:ident),*) => {$(
        impl Answer<MadeInvitation> for pb::$response {
            fn of(broker: &Broker, made: &MadeInvitation) -> Self {
                Self { link: broker.invitation_link(&made.secret), ..Self::again(broker, made) }
            }

            fn again(_: &Broker, made: &MadeInvitation) -> Self {
                Self { member: Some(member_message(&made.member)), link: String::new() }
            }
        }
    )*};
}

answers_with_link!(InviteMemberResponse, ResendInvitationResponse);
