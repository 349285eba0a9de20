//! What requests about profiles say.

use std::collections::BTreeSet;

use crate::base::ids::{MemberId, NetworkId, TeamId};
use crate::domain::profile::Profile;
use crate::grpc::fields::{NAME, check_given, check_text, child_in, mask, name_in, required};
use crate::grpc::pb;
use crate::grpc::status::FieldMistakes;
use crate::service::profiles::{ProfileName, UpdateProfile};

const CHANGEABLE: [&str; 3] = ["display_name", "owner", "admins"];
/// The longest id of a profile, in characters.
const ID: usize = 256;
/// The most admins of a profile.
const ADMINS: usize = 100;

/// The profile that a call is about: its team, network and id.
pub fn read_profile_name(
    team_field: &str,
    [team, network, id]: [&String; 3],
    mistakes: &mut FieldMistakes,
) -> Option<ProfileName> {
    check_given("profile", id, mistakes);
    check_text("profile", id, ID, mistakes);
    let team = name_in(team_field, "teams", team, mistakes);
    let network = name_in("network", "networks", network, mistakes);
    Some(ProfileName { team: team?, network: network?, id: id.clone() })
}

/// What to change, and of which profile.
pub fn read_profile_change(
    request: &pb::UpdateProfileRequest,
    mistakes: &mut FieldMistakes,
) -> Option<(ProfileName, UpdateProfile)> {
    let given = required("profile", request.profile.clone(), mistakes);
    let name = read_profile_name("profile.team", [&given.team, &given.network, &given.profile], mistakes);
    let mut change = UpdateProfile::default();
    let team = name.as_ref().map(|name| name.team.clone());
    for path in mask(request.update_mask.as_ref(), &CHANGEABLE, &[], mistakes) {
        match path.as_str() {
            "display_name" => {
                check_text("profile.display_name", &given.display_name, NAME, mistakes);
                change.display_name = Some(given.display_name.clone());
            }
            "owner" if given.owner.is_empty() => change.owner = Some(None),
            "owner" => change.owner = member("profile.owner", &given.owner, team.as_ref(), mistakes).map(Some),
            _ => change.admins = Some(admins(&given, team.as_ref(), mistakes)),
        }
    }
    Some((name?, change))
}

fn admins(given: &pb::Profile, team: Option<&TeamId>, mistakes: &mut FieldMistakes) -> BTreeSet<MemberId> {
    if given.admins.len() > ADMINS {
        mistakes.note("profile.admins", format!("must be at most {ADMINS}"));
    }
    let names = given.admins.iter().take(ADMINS);
    names.filter_map(|name| member("profile.admins", name, team, mistakes)).collect()
}

fn member(field: &str, name: &str, team: Option<&TeamId>, mistakes: &mut FieldMistakes) -> Option<MemberId> {
    let (of, id): (TeamId, MemberId) = child_in(field, ["teams", "members"], name, mistakes)?;
    if team.is_some_and(|team| *team != of) {
        mistakes.note(field, "must be a member of the profile's team");
    }
    Some(id)
}

/// Where a page ends: behind this profile.
pub fn cursor(profile: &Profile) -> Vec<u8> {
    format!("{}/{}", profile.network, profile.id).into_bytes()
}

/// Reads such an end.
pub fn read_cursor(cursor: &[u8]) -> Option<(NetworkId, String)> {
    let (network, id) = std::str::from_utf8(cursor).ok()?.split_once('/')?;
    Some((network.parse().ok()?, id.to_owned()))
}
