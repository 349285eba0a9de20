//! Connections on the wire.

use crate::domain::connection::{Connection, Found, Granter, Problem, ProblemKind, Profile, Stage};
use crate::grpc::change::{Answer, answers};
use crate::grpc::convert::timestamp;
use crate::grpc::fields::from_purposes;
use crate::grpc::pb;
use crate::service::Broker;
use crate::service::connect::StartedConnection;

/// A connection.
pub fn connection_message(connection: &Connection) -> pb::Connection {
    let team = &connection.team;
    let of_team = |id: &dyn std::fmt::Display| format!("teams/{team}/tokens/{id}");
    let (account, tokens) = match &connection.stage {
        Stage::Choosing(found) => (Some(account_message(found)), Vec::new()),
        Stage::Connected { tokens, .. } => (None, tokens.iter().map(|id| of_team(id)).collect()),
        _ => (None, Vec::new()),
    };
    pb::Connection {
        name: format!("teams/{team}/connections/{}", connection.id),
        network: format!("networks/{}", connection.network),
        kind: connection.kind.to_string(),
        app: format!("networks/{}/apps/{}", connection.network, connection.app),
        purposes: from_purposes(connection.purposes),
        scopes: connection.scopes.clone(),
        member: granter_message(connection),
        text_version: connection.text_version.clone(),
        token: connection.token.map(|id| of_team(&id)).unwrap_or_default(),
        allow_other_account: connection.other_account,
        return_url: connection.return_url.clone().unwrap_or_default(),
        stage: stage_message(&connection.stage) as i32,
        problem: connection.problem.as_ref().map(problem_message),
        account,
        tokens,
        create_time: Some(timestamp(connection.created_at)),
        expire_time: Some(timestamp(connection.ends_at)),
    }
}

fn granter_message(connection: &Connection) -> String {
    match &connection.granter {
        Granter::Named(name) => name.clone(),
        Granter::Member(id) => format!("teams/{}/members/{id}", connection.team),
    }
}

fn account_message(found: &Found) -> pb::ConnectionAccount {
    let Found { person, name, scopes, .. } = found.clone();
    pb::ConnectionAccount { person, display_name: name, scopes }
}

/// A profile.
pub fn profile_message(profile: &Profile) -> pb::ConnectableProfile {
    let Profile { id, name, obstacle } = profile.clone();
    pb::ConnectableProfile {
        profile: id,
        display_name: name,
        obstacle: obstacle.map(|obstacle| obstacle.to_string()).unwrap_or_default(),
    }
}

fn problem_message(problem: &Problem) -> pb::ConnectionProblem {
    let kind = match problem.kind() {
        ProblemKind::Denied => pb::ConnectionProblemKind::Denied,
        ProblemKind::NetworkRefused => pb::ConnectionProblemKind::NetworkRefused,
        ProblemKind::NetworkSilent => pb::ConnectionProblemKind::NetworkSilent,
        ProblemKind::ScopesDeclined => pb::ConnectionProblemKind::ScopesDeclined,
        ProblemKind::PermissionMissing => pb::ConnectionProblemKind::PermissionMissing,
        ProblemKind::AccountUnusable => pb::ConnectionProblemKind::AccountUnusable,
        ProblemKind::OtherAccount => pb::ConnectionProblemKind::OtherAccount,
    };
    pb::ConnectionProblem { kind: kind as i32, message: problem.to_string() }
}

fn stage_message(stage: &Stage) -> pb::ConnectionStage {
    match stage {
        Stage::Offered => pb::ConnectionStage::Offered,
        Stage::Asked { .. } => pb::ConnectionStage::Asked,
        Stage::Redeeming { .. } => pb::ConnectionStage::Redeeming,
        Stage::Choosing(_) => pb::ConnectionStage::Choosing,
        Stage::Connected { .. } => pb::ConnectionStage::Connected,
        Stage::Cancelled { .. } => pb::ConnectionStage::Cancelled,
        Stage::Lapsed { .. } => pb::ConnectionStage::Lapsed,
    }
}

answers! {
    CompleteConnectionResponse { connection } = |_, connection| connection_message(connection), of Connection;
    CancelConnectionResponse { connection } = |_, connection| connection_message(connection), of Connection;
}

impl Answer<StartedConnection> for pb::StartConnectionResponse {
    fn of(_: &Broker, made: &StartedConnection) -> Self {
        let connect_link = made.link.expose().to_owned();
        Self { connection: Some(connection_message(&made.connection)), connect_link }
    }

    fn again(_: &Broker, made: &StartedConnection) -> Self {
        Self { connection: Some(connection_message(&made.connection)), connect_link: String::new() }
    }
}
