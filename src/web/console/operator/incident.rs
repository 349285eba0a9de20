//! One incident: what it hit, what to do, and how it is closed by hand.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::overview::{IncidentRow, incident_row};
use crate::base::ids::IncidentId;
use crate::service::Broker;
use crate::web::console::refused::refused;
use crate::web::console::tokens::grouped;
use crate::web::console::{OperatorVisit, Place, Shell};
use crate::web::page::shown;

/// Teams that are listed, those with most tokens first.
const TEAMS: usize = 50;

#[derive(Template)]
#[template(path = "console/operator/incident.html")]
struct IncidentPage {
    shell: Shell,
    is_admin: bool,
    title: String,
    incident: IncidentRow,
    /// `None`: it is over.
    todo: Option<String>,
    /// Teams with how many of their tokens it hit.
    teams: Vec<(String, String)>,
}

/// The page.
pub(super) async fn show(State(broker): State<Broker>, visit: OperatorVisit, Path(id): Path<String>) -> Response {
    let shell = visit.shell(&broker, Place::Overview);
    let id = IncidentId::typed(&id);
    let view = match broker.get_incident(&visit.caller(), id).await {
        Ok(view) => view,
        Err(error) => return refused(shell, &error),
    };
    let mut teams = view.teams.clone();
    teams.sort_by_key(|(_, tokens)| std::cmp::Reverse(*tokens));
    let row = incident_row(&broker, &shell, &view);
    let kind = view.incident.progress.kind.as_str().replace('_', "-");
    let page = IncidentPage {
        is_admin: visit.is_admin(),
        title: shell.say_of("incident-title", "network", row.network.clone()),
        todo: view.incident.closed.is_none().then(|| shell.say(&format!("incident-operator-{kind}"))),
        teams: teams.iter().take(TEAMS).map(|(team, tokens)| (team.to_string(), grouped(*tokens))).collect(),
        incident: row,
        shell,
    };
    shown(StatusCode::OK, &page)
}
