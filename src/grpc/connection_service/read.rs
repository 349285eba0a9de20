//! What requests about connections say.

use crate::base::ids::{ConnectionId, MemberId, NetworkId, TeamId, TokenId};
use crate::domain::connection::Granter;
use crate::grpc::fields::{NAME, check_text, child_in, name_in, purposes, team_or_all};
use crate::grpc::pb;
use crate::grpc::status::FieldMistakes;
use crate::service::connect::{ListConnections, StartConnection};

/// The longest scope, kind, or id of a profile, in characters.
const ID: usize = 256;
/// The most scopes beside those of the purposes.
const SCOPES: usize = 50;
/// The most profiles of one choice.
const PROFILES: usize = 1_000;
/// The longest address, in characters.
const URL: usize = 2_048;

/// The connection that a call is about.
pub fn read_name(name: &str, mistakes: &mut FieldMistakes) -> Option<(TeamId, ConnectionId)> {
    child_in("name", ["teams", "connections"], name, mistakes)
}

/// What is to be connected, and for which team.
pub fn read_start(
    request: &pb::StartConnectionRequest,
    mistakes: &mut FieldMistakes,
) -> Option<(TeamId, StartConnection)> {
    let team: Option<TeamId> = name_in("parent", "teams", &request.parent, mistakes);
    let heals = !request.token.is_empty();
    for (field, given) in [("network", &request.network), ("kind", &request.kind)] {
        if given.is_empty() && !heals {
            mistakes.note(field, "is required, unless a token to heal is named");
        }
    }
    if request.purposes.is_empty() && !heals {
        mistakes.note(
            "purposes",
            "are required, unless a token to heal is named: the person agrees to these and no others",
        );
    }
    let network: Option<NetworkId> =
        (!request.network.is_empty()).then(|| name_in("network", "networks", &request.network, mistakes)).flatten();
    let token = heals.then(|| child_in::<TeamId, TokenId>("token", ["teams", "tokens"], &request.token, mistakes));
    let token = token.flatten();
    if token.as_ref().zip(team.as_ref()).is_some_and(|((of, _), team)| of != team) {
        mistakes.note("token", "must be a token of the team");
    }
    check_text("kind", &request.kind, ID, mistakes);
    check_text("member", &request.member, NAME, mistakes);
    check_text("return_url", &request.return_url, URL, mistakes);
    check_list("scopes", &request.scopes, SCOPES, mistakes);
    let ask = StartConnection {
        app: read_app(request, network.as_ref(), mistakes),
        network: network.map(|network| network.to_string()).unwrap_or_default(),
        kind: request.kind.clone(),
        purposes: purposes("purposes", &request.purposes, mistakes),
        scopes: request.scopes.clone(),
        granter: read_granter(&request.member, team.as_ref(), mistakes),
        token: token.map(|(_, id)| id),
        allow_other_account: request.allow_other_account,
        return_url: request.return_url.clone(),
    };
    Some((team?, ask))
}

/// A member by its resource name, or whoever opens the link, as the team calls that person.
fn read_granter(named: &str, team: Option<&TeamId>, mistakes: &mut FieldMistakes) -> Granter {
    if !named.starts_with("teams/") {
        return Granter::Named(named.to_owned());
    }
    let read = child_in::<TeamId, MemberId>("member", ["teams", "members"], named, mistakes);
    if read.as_ref().zip(team).is_some_and(|((of, _), team)| of != team) {
        mistakes.note("member", "must be a member of the team");
    }
    read.map(|(_, id)| Granter::Member(id)).unwrap_or_default()
}

fn read_app(
    request: &pb::StartConnectionRequest,
    network: Option<&NetworkId>,
    mistakes: &mut FieldMistakes,
) -> Option<String> {
    if request.app.is_empty() {
        return None;
    }
    let (of, app) =
        child_in::<NetworkId, crate::base::ids::AppId>("app", ["networks", "apps"], &request.app, mistakes)?;
    if network.is_some_and(|network| *network != of) {
        mistakes.note("app", "must be an app of the network");
    }
    Some(app.to_string())
}

/// Which connections to list.
pub fn read_list(request: &pb::ListConnectionsRequest, mistakes: &mut FieldMistakes) -> Option<ListConnections> {
    let team = team_or_all("parent", &request.parent, mistakes);
    let stage = match pb::ConnectionStage::try_from(request.stage) {
        Ok(pb::ConnectionStage::Unspecified) => None,
        Ok(pb::ConnectionStage::Offered) => Some("offered"),
        Ok(pb::ConnectionStage::Asked) => Some("asked"),
        Ok(pb::ConnectionStage::Redeeming) => Some("redeeming"),
        Ok(pb::ConnectionStage::Choosing) => Some("choosing"),
        Ok(pb::ConnectionStage::Connected) => Some("connected"),
        Ok(pb::ConnectionStage::Cancelled) => Some("cancelled"),
        Ok(pb::ConnectionStage::Lapsed) => Some("lapsed"),
        Err(_) => {
            mistakes.note("stage", "is not known");
            None
        }
    };
    Some(ListConnections { team: team?, stage })
}

/// Which profiles are meant, of which connection, and what was agreed to.
pub struct Completion {
    /// The team.
    pub team: TeamId,
    /// The connection.
    pub id: ConnectionId,
    /// The profiles.
    pub profiles: Vec<String>,
    /// The text that the person agreed to.
    pub text_version: String,
}

/// Which profiles are meant, of which connection, and what was agreed to.
pub fn read_complete(request: &pb::CompleteConnectionRequest, mistakes: &mut FieldMistakes) -> Option<Completion> {
    check_list("profiles", &request.profiles, PROFILES, mistakes);
    check_text("text_version", &request.text_version, ID, mistakes);
    if request.text_version.is_empty() {
        mistakes.note("text_version", "is required: the text that the person agreed to, as GetConnection tells it");
    }
    let (team, id) = read_name(&request.name, mistakes)?;
    Some(Completion { team, id, profiles: request.profiles.clone(), text_version: request.text_version.clone() })
}

fn check_list(field: &str, texts: &[String], most: usize, mistakes: &mut FieldMistakes) {
    if texts.len() > most {
        mistakes.note(field, format!("must be at most {most}"));
    }
    for text in texts {
        check_text(field, text, ID, mistakes);
        if text.is_empty() {
            mistakes.note(field, "must not hold an empty text");
        }
    }
}
