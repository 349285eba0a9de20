//! What is wrong, and was: alerts and incidents of the team, and who was told.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::filter::address;
use super::incident::{closing, page_of_incident, told};
use super::noticed::{Note, Noticed};
use super::paging::Pages;
use super::refused::refused;
use super::{Place, Shell, Visit, When};
use crate::base::ids::AlertId;
use crate::domain::alert::{Alert, Level};
use crate::service::incidents::IncidentView;
use crate::service::{AlertError, AlertStanding, Broker, ListAlerts};
use crate::web::page::shown;

/// Alerts of the past on a page.
const PAST: usize = 30;
/// Incidents on a page: those that are open first.
const INCIDENTS: u32 = 30;
/// Open alerts of which the list says who was told; of the others their own pages do.
const TOLD: usize = 5;

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    before: String,
    trail: String,
    done: String,
}

#[derive(Template)]
#[template(path = "console/alerts.html")]
struct AlertsPage {
    shell: Shell,
    here: String,
    open: Vec<AlertRow>,
    past: Vec<AlertRow>,
    incidents: Vec<IncidentRow>,
    pages: Pages,
}

/// An alert.
struct AlertRow {
    id: String,
    /// Its own page.
    href: String,
    /// The page of the load that it is about.
    load: String,
    level: &'static str,
    level_text: String,
    title: String,
    message: String,
    opened: When,
    lasts: String,
    cleared: Option<When>,
    noticed: Noticed,
}

/// An incident.
struct IncidentRow {
    href: String,
    message: String,
    network: String,
    opened: When,
    closed: Option<(When, String)>,
    tokens: String,
}

/// The page.
pub(super) async fn show(State(broker): State<Broker>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    let shell = visit.shell(&broker, Place::Alerts).with_done(&asked.done, 1);
    let team = Some(visit.team().clone());
    let of = |state| ListAlerts { team: team.clone(), state: Some(state), ..ListAlerts::default() };
    let caller = visit.caller();
    let mut open = Vec::new();
    for state in [AlertStanding::Open, AlertStanding::Acknowledged] {
        match broker.list_alerts(&caller, of(state), PAST).await {
            Ok(found) => open.extend(found),
            Err(error) => return refused(shell, &error),
        }
    }
    let before = asked.before.parse::<AlertId>().ok();
    let past = ListAlerts { before, ..of(AlertStanding::Cleared) };
    let past = match broker.list_alerts(&caller, past, PAST + 1).await {
        Ok(past) => past,
        Err(error) => return refused(shell, &error),
    };
    let incidents = match broker.list_team_incidents(&caller, visit.team(), INCIDENTS).await {
        Ok(incidents) => incidents,
        Err(error) => return refused(shell, &error),
    };
    let older = past.get(PAST - 1).filter(|_| past.len() > PAST).map(|last| last.id.to_string());
    let page_before = |before: &str, trail: &str| address("/alerts", &[("before", before), ("trail", trail)]);
    let (mut open_rows, mut past_rows) = (Vec::new(), Vec::new());
    for (nth, alert) in open.iter().enumerate() {
        match alert_row(&broker, &visit, &shell, alert, nth < TOLD).await {
            Ok(row) => open_rows.push(row),
            Err(error) => return refused(shell, &error),
        }
    }
    for alert in past.iter().take(PAST) {
        match alert_row(&broker, &visit, &shell, alert, false).await {
            Ok(row) => past_rows.push(row),
            Err(error) => return refused(shell, &error),
        }
    }
    let page = AlertsPage {
        here: page_before(&asked.before, &asked.trail),
        open: open_rows,
        past: past_rows,
        incidents: incidents.iter().map(|view| incident_row(&broker, &visit, &shell, view)).collect(),
        pages: Pages::around((&asked.before, &asked.trail), older.as_deref(), page_before),
        shell,
    };
    shown(StatusCode::OK, &page)
}

/// An alert, and who was told of it, if that is `told`.
async fn alert_row(
    broker: &Broker,
    visit: &Visit,
    shell: &Shell,
    alert: &Alert,
    told: bool,
) -> Result<AlertRow, AlertError> {
    let told = if told { Some(broker.told_of_alert(visit.team(), alert.id).await?) } else { None };
    let href = format!("/alerts/{}", alert.id);
    let open = alert.cleared_at.is_none();
    let noticed = Noticed::of((broker, visit, shell), told, alert.acknowledged.as_ref(), (&href, open)).await;
    let (level, level_text) = match alert.level {
        Level::Warning => ("high", "level-warning"),
        Level::Critical => ("critical", "level-critical-alert"),
    };
    let load = &alert.key.load;
    Ok(AlertRow {
        id: alert.id.to_string(),
        load: format!("/load/{}/{}", load.network, load.class),
        level,
        level_text: shell.say(level_text),
        title: format!("{} · {}", broker.catalogue.name_for_people(load.network.as_str()), load.class),
        message: text(broker, shell, alert),
        opened: shell.when(alert.opened_at),
        lasts: shell.far(alert.opened_at),
        cleared: alert.cleared_at.map(|at| shell.when(at)),
        href,
        noticed,
    })
}

/// What is wrong, and what to do.
fn text(broker: &Broker, shell: &Shell, alert: &Alert) -> String {
    let load = &alert.key.load;
    let network = broker.catalogue.name_for_people(load.network.as_str());
    shell.tell(&alert.detail.in_words(network, &load.class))
}

fn incident_row(broker: &Broker, visit: &Visit, shell: &Shell, view: &IncidentView) -> IncidentRow {
    let incident = &view.incident;
    let own = view.teams.iter().find(|(team, _)| team == visit.team()).map_or(0, |(_, tokens)| *tokens);
    IncidentRow {
        href: page_of_incident(incident.id),
        message: told(broker, shell, incident),
        network: broker.catalogue.name_for_people(incident.network.as_str()).to_owned(),
        opened: shell.when(incident.progress.opened_at),
        closed: closing(shell, incident),
        tokens: shell.say_of("incident-tokens", "count", own),
    }
}

#[derive(Template)]
#[template(path = "console/alert.html")]
struct AlertPage {
    shell: Shell,
    alert: AlertRow,
}

/// The page of one alert.
pub(super) async fn show_one(State(broker): State<Broker>, visit: Visit, Path(id): Path<String>) -> Response {
    let shell = visit.shell(&broker, Place::Alerts);
    let id = AlertId::typed(&id);
    let found = match broker.get_alert(&visit.caller(), visit.team(), id).await {
        Ok(alert) => alert_row(&broker, &visit, &shell, &alert, true).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(alert) => shown(StatusCode::OK, &AlertPage { alert, shell }),
        Err(error) => refused(shell, &error),
    }
}

/// Notes that somebody took notice of an alert.
pub(super) async fn acknowledge(
    State(broker): State<Broker>,
    visit: Visit,
    Path(alert): Path<String>,
    Form(given): Form<Note>,
) -> Response {
    let shell = visit.shell(&broker, Place::Alerts);
    let Ok(alert) = alert.parse::<AlertId>() else { return StatusCode::NOT_FOUND.into_response() };
    match broker.acknowledge_alert(&visit.caller(), visit.team(), alert, &given.text()).await {
        Ok(_) => Redirect::to("/alerts?done=acknowledged").into_response(),
        Err(error) => refused(shell, &error),
    }
}
