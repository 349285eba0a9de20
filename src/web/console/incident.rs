//! One incident, as a team that it hit sees it: what happened, and what to do.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::filter::address;
use super::noticed::{Note, Noticed};
use super::refused::refused;
use super::{Place, Shell, Visit, When};
use crate::base::ids::IncidentId;
use crate::domain::incident::{Incident, Outcome};
use crate::service::Broker;
use crate::service::incidents::{IncidentError, IncidentView};
use crate::web::page::shown;

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    done: String,
}

#[derive(Template)]
#[template(path = "console/incident.html")]
struct IncidentPage {
    shell: Shell,
    title: String,
    message: String,
    tokens: String,
    opened: When,
    closed: Option<(When, String)>,
    noticed: Noticed,
    todo: String,
    /// The team's tokens there: those that don't work, where these are to be mended.
    see: (String, String),
}

/// When an incident closed, and what came of it, in words; `None`: it is open.
pub(super) fn closing(shell: &Shell, incident: &Incident) -> Option<(When, String)> {
    let closed = incident.closed.as_ref()?;
    let outcome = if incident.is_lost() { "incident-lost" } else { "incident-recovered" };
    Some((shell.when(closed.at), shell.say(outcome)))
}

/// What happened, in words.
pub(super) fn told(broker: &Broker, shell: &Shell, incident: &Incident) -> String {
    let kind = incident.progress.kind.as_str().replace('_', "-");
    let network = broker.catalogue.name_for_people(incident.network.as_str()).to_owned();
    let (app, persons) = (incident.app.to_string(), u64::from(incident.progress.persons));
    let facts = [("network", network.into()), ("app", app.into()), ("persons", persons.into())];
    let happened = shell.say_with(&format!("incident-text-{kind}"), &facts);
    match incident.closed {
        Some(_) => happened,
        None => format!("{happened} {}", shell.say(&format!("incident-rests-{kind}"))),
    }
}

/// The page.
pub(super) async fn show(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Alerts).with_done(&asked.done, 1);
    match found(&broker, &visit, &shell, IncidentId::typed(&id)).await {
        Ok((view, noticed)) => shown(StatusCode::OK, &page(&broker, shell, &view, noticed)),
        Err(error) => refused(shell, &error),
    }
}

/// Notes that somebody of the team took notice.
pub(super) async fn acknowledge(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Form(given): Form<Note>,
) -> Response {
    let (shell, id) = (visit.shell(&broker, Place::Alerts), IncidentId::typed(&id));
    match broker.acknowledge_for_team(&visit.caller(), visit.team(), id, &given.text()).await {
        Ok(()) => Redirect::to(&format!("{}?done=acknowledged", page_of_incident(id))).into_response(),
        Err(error) => refused(shell, &error),
    }
}

/// The page of an incident, as its teams see it.
pub(in crate::web) fn page_of_incident(incident: IncidentId) -> String {
    format!("/alerts/incidents/{incident}")
}

async fn found(
    broker: &Broker,
    visit: &Visit,
    shell: &Shell,
    id: IncidentId,
) -> Result<(IncidentView, Noticed), IncidentError> {
    let (caller, team) = (visit.caller(), visit.team());
    let view = broker.get_team_incident(&caller, team, id).await?;
    let told = broker.told_of_incident(team, id).await?;
    let acknowledged = broker.team_acknowledgement(&caller, team, id).await?;
    let (path, open) = (format!("/alerts/incidents/{id}"), view.incident.closed.is_none());
    let noticed = Noticed::of((broker, visit, shell), Some(told), acknowledged.as_ref(), (&path, open)).await;
    Ok((view, noticed))
}

fn page(broker: &Broker, shell: Shell, view: &IncidentView, noticed: Noticed) -> IncidentPage {
    let incident = &view.incident;
    let name = broker.catalogue.name_for_people(incident.network.as_str()).to_owned();
    // A loss that is proven is mended by people, though it stays open until each of its tokens is settled.
    let lost = match incident.closed {
        None => incident.progress.outcome() == Outcome::Lost,
        Some(_) => incident.is_lost(),
    };
    let see = [("status", if lost { "dead" } else { "" }), ("network", incident.network.as_str())];
    let todo = match &incident.closed {
        None if !lost => shell.say(&format!("incident-todo-{}", incident.progress.kind.as_str().replace('_', "-"))),
        _ if incident.takes_all() => shell.say("incident-todo-lost-app-disabled"),
        _ if lost => shell.say("incident-todo-lost"),
        _ => shell.say("incident-todo-recovered"),
    };
    IncidentPage {
        title: shell.say_of("incident-title", "network", name),
        message: told(broker, &shell, incident),
        tokens: shell.say_of("incident-tokens", "count", view.teams.iter().map(|(_, tokens)| *tokens).sum::<u64>()),
        opened: shell.when(incident.progress.opened_at),
        closed: closing(&shell, incident),
        noticed,
        todo,
        see: (address("/tokens", &see), shell.say(if lost { "incident-mend" } else { "incident-see-tokens" })),
        shell,
    }
}

#[cfg(test)]
mod tests;
