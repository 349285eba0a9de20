//! Profiles on the wire.

use crate::domain::profile::{CanRenew, Evidence};
use crate::grpc::change::answers;
use crate::grpc::member_service::member_message;
use crate::grpc::pb;
use crate::service::members::MemberView;
use crate::service::profiles::{Manager, ProfileView};

/// A profile.
pub fn profile_message(view: &ProfileView) -> pb::Profile {
    let profile = &view.profile;
    let member = |id| format!("teams/{}/members/{id}", profile.team);
    pb::Profile {
        team: format!("teams/{}", profile.team),
        network: format!("networks/{}", profile.network),
        profile: profile.id.clone(),
        display_name: profile.display_name.clone(),
        owner: profile.owner.map(member).unwrap_or_default(),
        admins: profile.admins.iter().copied().map(member).collect(),
        notified: view.told.map(member).unwrap_or_default(),
    }
}

/// A member with whether it can renew.
pub fn manager_message(manager: &Manager) -> pb::Manager {
    let can = match manager.can {
        CanRenew::Yes => pb::CanRenew::Yes,
        CanRenew::No => pb::CanRenew::No,
        CanRenew::Unknown => pb::CanRenew::Unknown,
    };
    let evidence = match manager.evidence {
        Evidence::HoldsToken => pb::RenewEvidence::HoldsToken,
        Evidence::LostPermission => pb::RenewEvidence::LostPermission,
        Evidence::PersonBlocked => pb::RenewEvidence::PersonBlocked,
        Evidence::HeldToken => pb::RenewEvidence::HeldToken,
        Evidence::NamedHere => pb::RenewEvidence::NamedHere,
        Evidence::HasAccount => pb::RenewEvidence::HasAccount,
        Evidence::Nothing => pb::RenewEvidence::Unspecified,
    };
    let view = MemberView { member: manager.member.clone(), invited_until: None, asked_mail: None };
    pb::Manager {
        member: Some(member_message(&view)),
        can_renew: can.into(),
        evidence: evidence.into(),
        may_renew: manager.may,
    }
}

answers! {
    UpdateProfileResponse { profile } = |_, profile| profile_message(profile), of ProfileView;
}
