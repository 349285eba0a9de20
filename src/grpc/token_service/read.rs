//! What requests about tokens say.

use crate::base::ids::{TeamId, TokenId};
use crate::base::secret::Secret;
use crate::domain::networks::Purposes;
use crate::domain::token::{Clocks, Reason};
use crate::grpc::convert::from_timestamp;
use crate::grpc::fields::{
    COMMENT, NAME, check_given, check_text, child_in, facts, mask, name_in, number_or, purposes, required,
    reserve_percent, team_or_all, token_status,
};
use crate::grpc::pb;
use crate::grpc::status::FieldMistakes;
use crate::service::DeadSpanFilter;
use crate::service::tokens::{AddToken, ShownState, TokenListFilter, UpdateToken};

/// The longest id of a person or profile, in characters.
const ID: usize = 256;
/// The longest secret, in bytes.
const SECRET: usize = 16 << 10;
/// The most scopes of a token.
const SCOPES: usize = 200;

/// The token that a call is about.
pub fn read_name(name: &str, mistakes: &mut FieldMistakes) -> Option<(TeamId, TokenId)> {
    child_in("name", ["teams", "tokens"], name, mistakes)
}

/// The token that a call is about, and why.
pub fn read_call(name: &str, comment: &str, mistakes: &mut FieldMistakes) -> Option<(TeamId, TokenId, String)> {
    check_text("comment", comment, COMMENT, mistakes);
    let (team, id) = read_name(name, mistakes)?;
    Some((team, id, comment.to_owned()))
}

/// A token to add, and its team.
pub fn read_add(request: &pb::AddTokenRequest, mistakes: &mut FieldMistakes) -> Option<(TeamId, AddToken)> {
    let team = name_in("parent", "teams", &request.parent, mistakes);
    let ask = read_token(request.token.as_ref(), request.secrets.as_ref(), mistakes);
    Some((team?, ask))
}

/// What is given of a token.
pub fn read_token(
    token: Option<&pb::Token>,
    secrets: Option<&pb::TokenSecrets>,
    mistakes: &mut FieldMistakes,
) -> AddToken {
    let token = required("token", token.cloned(), mistakes);
    let secrets = required("secrets", secrets.cloned(), mistakes);
    check_text("token.person", &token.person, ID, mistakes);
    check_text("token.profile", &token.profile, ID, mistakes);
    check_text("token.display_name", &token.display_name, NAME, mistakes);
    check_text("token.granted_by", &token.granted_by, NAME, mistakes);
    check_scopes(&token.scopes, mistakes);
    let network: Option<crate::base::ids::NetworkId> = name_in("token.network", "networks", &token.network, mistakes);
    check_given("token.kind", &token.kind, mistakes);
    let (access, refresh) = read_secrets(secrets, mistakes);
    AddToken {
        app: read_app(&token, mistakes),
        network: network.map(|network| network.to_string()).unwrap_or_default(),
        purposes: purposes("token.purposes", &token.purposes, mistakes),
        facts: facts("token.facts", &token.facts, mistakes),
        max_leases: max_leases(&token, mistakes),
        reserve_percent: reserve_percent("token.reserve_percent", token.reserve_percent, mistakes),
        clocks: token.clocks.as_ref().map(read_clocks).unwrap_or_default(),
        kind: token.kind,
        person: token.person,
        profile: token.profile,
        label: token.display_name,
        granted_by: token.granted_by,
        scopes: token.scopes,
        access,
        refresh,
    }
}

/// The app of a token is an app of the token's network.
fn read_app(token: &pb::Token, mistakes: &mut FieldMistakes) -> Option<String> {
    if token.app.is_empty() {
        return None;
    }
    let app = token.app.strip_prefix(&token.network).and_then(|rest| rest.strip_prefix("/apps/"));
    if app.is_none() {
        mistakes.note("token.app", format!("must be an app of the network, such as '{}/apps/default'", token.network));
    }
    app.map(str::to_owned)
}

fn read_secrets(secrets: pb::TokenSecrets, mistakes: &mut FieldMistakes) -> (Secret, Option<Secret>) {
    let pb::TokenSecrets { access_token, refresh_token, token_secret } = secrets;
    check_given("secrets.access_token", &access_token, mistakes);
    let all = [
        ("secrets.access_token", &access_token),
        ("secrets.refresh_token", &refresh_token),
        ("secrets.token_secret", &token_secret),
    ];
    for (field, secret) in all {
        if secret.len() > SECRET || secret.chars().any(|c| c.is_control() || c == ' ') {
            mistakes.note(field, "must have at most 16384 bytes, without spaces and line breaks");
        }
    }
    if !refresh_token.is_empty() && !token_secret.is_empty() {
        mistakes.note("secrets.token_secret", "no kind of token has both a refresh token and a token secret");
    }
    let second = [refresh_token, token_secret].into_iter().find(|secret| !secret.is_empty());
    (Secret::new(access_token), second.map(Secret::new))
}

fn read_clocks(clocks: &pb::TokenClocks) -> Clocks {
    Clocks {
        access_expires_at: clocks.access_expire_time.as_ref().map(from_timestamp),
        refresh_expires_at: clocks.refresh_expire_time.as_ref().map(from_timestamp),
        data_access_expires_at: clocks.data_access_expire_time.as_ref().map(from_timestamp),
        consented_at: clocks.consent_time.as_ref().map(from_timestamp),
        ..Clocks::default()
    }
}

fn check_scopes(scopes: &[String], mistakes: &mut FieldMistakes) {
    if scopes.len() > SCOPES || scopes.iter().any(|scope| scope.is_empty() || scope.chars().count() > ID) {
        mistakes.note("token.scopes", "must be at most 200 scopes of 1 to 256 characters");
    }
}

fn max_leases(token: &pb::Token, mistakes: &mut FieldMistakes) -> Option<u32> {
    let number = number_or("token.max_concurrent_leases", token.max_concurrent_leases, 1..=1_000, 0, mistakes);
    Some(number).filter(|number| *number > 0)
}

/// What to change, and of which token.
pub fn read_update(
    request: &pb::UpdateTokenRequest,
    mistakes: &mut FieldMistakes,
) -> Option<(TeamId, TokenId, UpdateToken)> {
    let token = required("token", request.token.clone(), mistakes);
    let named = child_in("token.name", ["teams", "tokens"], &token.name, mistakes);
    let known =
        ["display_name", "granted_by", "scopes", "purposes", "facts", "max_concurrent_leases", "reserve_percent"];
    let given = facts("token.facts", &token.facts, mistakes);
    let mut change = UpdateToken::default();
    for path in mask(request.update_mask.as_ref(), &known, &["facts"], mistakes) {
        match path.as_str() {
            "display_name" => {
                check_text("token.display_name", &token.display_name, NAME, mistakes);
                change.label = Some(token.display_name.clone());
            }
            "granted_by" => {
                check_text("token.granted_by", &token.granted_by, NAME, mistakes);
                change.granted_by = Some(token.granted_by.clone());
            }
            "scopes" => {
                check_scopes(&token.scopes, mistakes);
                change.scopes = Some(token.scopes.clone());
            }
            "purposes" => {
                let purposes: Purposes = purposes("token.purposes", &token.purposes, mistakes);
                change.purposes = Some(purposes);
            }
            "facts" => change.facts = Some(given.clone()),
            "max_concurrent_leases" => change.max_leases = Some(max_leases(&token, mistakes)),
            "reserve_percent" => {
                let reserve = reserve_percent("token.reserve_percent", token.reserve_percent, mistakes);
                change.reserve_percent = Some(reserve);
            }
            path => {
                if let Some(fact) = path.strip_prefix("facts.") {
                    change.single_facts.insert(fact.to_owned(), given.get(fact).copied());
                }
            }
        }
    }
    let (team, id) = named?;
    Some((team, id, change))
}

/// Which token is invalid, and why.
pub fn read_invalidate(
    request: &pb::InvalidateTokenRequest,
    mistakes: &mut FieldMistakes,
) -> Option<(TeamId, TokenId, Reason, String)> {
    let reason = match pb::TokenReason::try_from(request.reason) {
        Ok(pb::TokenReason::Expired) => Some(Reason::Expired),
        Ok(pb::TokenReason::PasswordChanged) => Some(Reason::PasswordChanged),
        Ok(pb::TokenReason::PermissionLost) => Some(Reason::PermissionLost),
        Ok(pb::TokenReason::RevokedByPerson) => Some(Reason::RevokedByPerson),
        Ok(pb::TokenReason::PersonBlocked) => Some(Reason::PersonBlocked),
        Ok(pb::TokenReason::AppDisabled) => Some(Reason::AppDisabled),
        Ok(pb::TokenReason::PlatformReset) => Some(Reason::PlatformReset),
        Ok(pb::TokenReason::RefreshRejected) => Some(Reason::RefreshRejected),
        Ok(pb::TokenReason::SecretDamaged) => Some(Reason::SecretDamaged),
        Ok(pb::TokenReason::NotAccepted) => Some(Reason::NotAccepted),
        Ok(pb::TokenReason::Unspecified) | Err(_) => None,
    };
    if reason.is_none() {
        mistakes.note("reason", "is required, and must be known");
    }
    let (team, id, comment) = read_call(&request.name, &request.comment, mistakes)?;
    Some((team, id, reason?, comment))
}

/// Which tokens to list.
pub fn read_list(request: &pb::ListTokensRequest, mistakes: &mut FieldMistakes) -> Option<TokenListFilter> {
    let team = team_or_all("parent", &request.parent, mistakes);
    let given = |text: &str| !text.is_empty();
    let network = given(&request.network).then(|| name_in("network", "networks", &request.network, mistakes)).flatten();
    let kind = given(&request.kind).then(|| mistakes.parse("kind", &request.kind)).flatten();
    check_text("profile", &request.profile, ID, mistakes);
    let status = token_status(request.status, mistakes);
    let state = read_state(request.state, mistakes);
    let profile = Some(request.profile.clone()).filter(|profile| given(profile));
    let needs_reconnecting = request.needs_reconnecting;
    let filter = TokenListFilter {
        team: team?,
        network,
        kind,
        status,
        profile,
        state,
        needs_reconnecting,
        ..TokenListFilter::default()
    };
    Some(filter)
}

/// Which dead spans to list, and whose.
pub fn read_dead_spans(
    request: &pb::ListDeadSpansRequest,
    mistakes: &mut FieldMistakes,
) -> Option<(TeamId, DeadSpanFilter)> {
    let team = name_in("parent", "teams", &request.parent, mistakes);
    let network = match request.network.as_str() {
        "" => None,
        named => name_in("network", "networks", named, mistakes),
    };
    let from = request.start_time.as_ref().map(from_timestamp);
    Some((team?, DeadSpanFilter { network, from, after: None }))
}

fn read_state(value: i32, mistakes: &mut FieldMistakes) -> Option<ShownState> {
    match pb::TokenState::try_from(value) {
        Ok(pb::TokenState::Unspecified) => None,
        Ok(pb::TokenState::Live) => Some(ShownState::Live),
        Ok(pb::TokenState::Cooling) => Some(ShownState::Cooling),
        Ok(pb::TokenState::Suspect) => Some(ShownState::Suspect),
        Ok(pb::TokenState::Paused) => Some(ShownState::Paused),
        Ok(pb::TokenState::Expired) => Some(ShownState::Expired),
        Ok(pb::TokenState::Invalid) => Some(ShownState::Invalid),
        Ok(pb::TokenState::Revoked) => Some(ShownState::Revoked),
        Err(_) => {
            mistakes.note("state", "is not known");
            None
        }
    }
}
