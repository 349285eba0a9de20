//! What is wrong, and was: alerts and incidents of the team, and who was told.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::actor::name_of;
use super::filter::address;
use super::incident::{closing, told};
use super::paging::Pages;
use super::refused::refused;
use super::{Place, Shell, Visit, When};
use crate::base::ids::AlertId;
use crate::domain::alert::{Alert, Level};
use crate::service::incidents::IncidentView;
use crate::service::notices::ToldOf;
use crate::service::{AlertError, AlertStanding, Broker, ListAlerts};
use crate::web::page::shown;

/// Alerts of the past on a page.
const PAST: usize = 30;
/// Incidents on a page.
const INCIDENTS: u32 = 20;
/// The longest note with an acknowledgement, in characters.
const LONGEST_NOTE: usize = 500;

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
    /// The page of the load that it is about.
    load: String,
    level: &'static str,
    level_text: String,
    message: String,
    opened: When,
    lasts: String,
    cleared: Option<When>,
    acknowledged: Option<(String, When)>,
    told: Vec<String>,
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
    let mut rows = (Vec::new(), Vec::new());
    for (alerts, into) in [(&open[..], &mut rows.0), (&past[..past.len().min(PAST)], &mut rows.1)] {
        for alert in alerts {
            // Of those that are over it is no question any more.
            let told = match alert.cleared_at {
                None => broker.told_of_alert(visit.team(), alert).await,
                Some(_) => Ok(Vec::new()),
            };
            let seen = match &alert.acknowledged {
                Some(noted) => Some((name_of(&broker, &visit, &noted.by).await, shell.when(noted.at))),
                None => None,
            };
            match told {
                Ok(told) => into.push(AlertRow { acknowledged: seen, ..alert_row(&shell, alert, told) }),
                Err(error) => return refused(shell, &AlertError::from(error)),
            }
        }
    }
    let page = AlertsPage {
        here: page_before(&asked.before, &asked.trail),
        open: rows.0,
        past: rows.1,
        incidents: incidents.iter().map(|view| incident_row(&broker, &visit, &shell, view)).collect(),
        pages: Pages::around((&asked.before, &asked.trail), older.as_deref(), page_before),
        shell,
    };
    shown(StatusCode::OK, &page)
}

fn alert_row(shell: &Shell, alert: &Alert, told: Vec<ToldOf>) -> AlertRow {
    let level = match alert.level {
        Level::Warning => "high",
        Level::Critical => "critical",
    };
    let told_row = |told: ToldOf| match told.at {
        Some(at) => shell.say_with("alerts-told", &[("who", told.who.into()), ("time", shell.when(at).text.into())]),
        None => shell.say_of("alerts-not-told-yet", "who", told.who),
    };
    AlertRow {
        id: alert.id.to_string(),
        load: format!("/load/{}/{}", alert.key.load.network, alert.key.load.class),
        level_text: shell.say(match alert.level {
            Level::Warning => "level-warning",
            Level::Critical => "level-critical-alert",
        }),
        level,
        message: alert.message.clone(),
        opened: shell.when(alert.opened_at),
        lasts: shell.far(alert.opened_at),
        cleared: alert.cleared_at.map(|at| shell.when(at)),
        acknowledged: None,
        told: told.into_iter().map(told_row).collect(),
    }
}

fn incident_row(broker: &Broker, visit: &Visit, shell: &Shell, view: &IncidentView) -> IncidentRow {
    let incident = &view.incident;
    let own = view.teams.iter().find(|(team, _)| team == visit.team()).map_or(0, |(_, tokens)| *tokens);
    IncidentRow {
        href: format!("/alerts/incidents/{}", incident.id),
        message: told(broker, shell, incident),
        network: broker.catalogue.name_for_people(incident.network.as_str()).to_owned(),
        opened: shell.when(incident.progress.opened_at),
        closed: closing(shell, incident),
        tokens: shell.say_of("incident-tokens", "count", own),
    }
}

/// What comes with an acknowledgement.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Note {
    comment: String,
}

/// Notes that somebody took notice of an alert.
pub(super) async fn acknowledge(
    State(broker): State<Broker>,
    visit: Visit,
    Path(alert): Path<String>,
    Form(note): Form<Note>,
) -> Response {
    let shell = visit.shell(&broker, Place::Alerts);
    let Ok(alert) = alert.parse::<AlertId>() else { return StatusCode::NOT_FOUND.into_response() };
    let comment: String = note.comment.chars().filter(|c| !c.is_control()).take(LONGEST_NOTE).collect();
    match broker.acknowledge_alert(&visit.caller(), visit.team(), alert, &comment).await {
        Ok(_) => Redirect::to("/alerts?done=acknowledged").into_response(),
        Err(error) => refused(shell, &error),
    }
}
