//! Where the broker stands: its process, what waits, incidents, and what it does by itself.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::HOME;
use crate::base::ids::IncidentId;
use crate::domain::incident::Outcome;
use crate::service::incidents::{IncidentError, IncidentView};
use crate::service::{BackgroundStatus, Broker, IncidentFilter, LastRun};
use crate::web::console::incident::{closing, told};
use crate::web::console::refused::refused;
use crate::web::console::tokens::grouped;
use crate::web::console::typed::{Deed, WordForm, ask_to_type};
use crate::web::console::{AdminVisit, OperatorVisit, Place, Shell, When};
use crate::web::page::shown;

/// Incidents on the page.
const INCIDENTS: u32 = 10;

/// What the page's address says of the last action.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    done: String,
}

#[derive(Template)]
#[template(path = "console/operator/overview.html")]
struct OverviewPage {
    shell: Shell,
    is_admin: bool,
    figures: Vec<(String, String, Option<&'static str>)>,
    process: Process,
    incidents: Vec<IncidentRow>,
    tasks: Vec<TaskRow>,
}

/// The process that answers: the only one on its store.
struct Process {
    version: &'static str,
    grpc: String,
    http: String,
    store: String,
    writes: bool,
    since: When,
    lasts: String,
}

/// An incident.
pub(super) struct IncidentRow {
    pub(super) id: String,
    /// The network's name.
    pub(super) network: String,
    pub(super) message: String,
    pub(super) opened: When,
    pub(super) tokens: String,
    pub(super) teams: String,
    pub(super) acknowledged: Option<When>,
    /// Whether its tokens can be given up.
    pub(super) ends_tokens: bool,
    pub(super) closed: Option<(When, String)>,
}

/// A background task.
struct TaskRow {
    name: String,
    ended: When,
    ago: String,
    took: String,
    result: Result<String, String>,
    runs: String,
    failures: u64,
}

/// The page.
pub(super) async fn show(State(broker): State<Broker>, visit: OperatorVisit, Query(asked): Query<Asked>) -> Response {
    let shell = visit.shell(&broker, Place::Overview).with_done(&asked.done, 1);
    let incidents = match broker.list_incidents(&visit.caller(), IncidentFilter::default(), INCIDENTS).await {
        Ok(incidents) => incidents,
        Err(error) => return refused(shell, &error),
    };
    let (messages, given_up) = match broker.count_messages().await {
        Ok(counted) => counted,
        Err(error) => return refused(shell, &error),
    };
    let pools = match broker.list_pools(&visit.caller()) {
        Ok(pools) => pools,
        Err(error) => return refused(shell, &error),
    };
    let sum = |of: fn(&crate::service::pools::PoolView) -> usize| pools.iter().map(of).sum::<usize>() as u64;
    let figure = |name: &str, number: u64, href| (shell.say(name), grouped(number), href);
    let figures = vec![
        figure("figure-teams", broker.directory.teams().len() as u64, None),
        figure("figure-tokens", sum(|pool| pool.counts.tokens), Some("/operator/pools")),
        figure("figure-leases", sum(|pool| pool.counts.leases), Some("/operator/leases")),
        figure("figure-waiting", sum(|pool| pool.waiting), Some("/operator/leases")),
        figure("figure-messages", messages, None),
        figure("figure-given-up", given_up, Some("/operator/dead-letters")),
    ];
    let page = OverviewPage {
        is_admin: visit.is_admin(),
        figures,
        process: process(&broker, &shell),
        incidents: incidents.iter().map(|view| incident_row(&broker, &shell, view)).collect(),
        tasks: task_rows(&shell, &broker.watch.status),
        shell,
    };
    shown(StatusCode::OK, &page)
}

fn process(broker: &Broker, shell: &Shell) -> Process {
    Process {
        version: env!("CARGO_PKG_VERSION"),
        grpc: broker.config.grpc.listen.to_string(),
        http: broker.config.http.listen.to_string(),
        store: broker.config.store.dir.display().to_string(),
        writes: broker.store.accepts_writes(),
        since: shell.when(broker.started_at),
        lasts: shell.far(broker.started_at),
    }
}

fn task_rows(shell: &Shell, status: &BackgroundStatus) -> Vec<TaskRow> {
    let row = |(name, run): (String, LastRun)| TaskRow {
        ended: shell.when(run.at),
        ago: shell.far(run.at),
        took: humantime::format_duration(std::time::Duration::from_millis(run.took.as_millis() as u64)).to_string(),
        result: run.result.map(|done| shell.tell(&done)),
        runs: grouped(run.runs),
        failures: run.failures,
        name: shell.say(&format!("task-{name}")),
    };
    status.last_runs().into_iter().map(row).collect()
}

pub(super) fn incident_row(broker: &Broker, shell: &Shell, view: &IncidentView) -> IncidentRow {
    let incident = &view.incident;
    let tokens = view.teams.iter().map(|(_, tokens)| *tokens).sum::<u64>();
    IncidentRow {
        network: broker.catalogue.name_for_people(incident.network.as_str()).to_owned(),
        id: incident.id.to_string(),
        message: told(broker, shell, incident),
        opened: shell.when(incident.progress.opened_at),
        tokens: shell.say_of("incident-tokens-in-all", "count", tokens),
        teams: shell.say_of("incident-teams", "count", view.teams.len() as u64),
        acknowledged: incident.acknowledged.as_ref().map(|(at, _)| shell.when(*at)),
        ends_tokens: incident.ends_tokens(),
        closed: closing(shell, incident),
    }
}

/// Notes that somebody looks after an incident.
pub(super) async fn acknowledge(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Path(incident): Path<String>,
) -> Response {
    let id = IncidentId::typed(&incident);
    match broker.acknowledge_incident(&visit.caller(), id, "").await {
        Ok(_) => Redirect::to("/operator?done=acknowledged").into_response(),
        Err(error) => refused(visit.shell(&broker, Place::Overview), &error),
    }
}

/// How an incident is to be closed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ending {
    outcome: String,
}

impl Ending {
    fn outcome(&self) -> Outcome {
        if self.outcome == "lost" { Outcome::Lost } else { Outcome::Recovered }
    }

    const fn deed(outcome: Outcome) -> &'static str {
        match outcome {
            Outcome::Recovered => "incident-close",
            Outcome::Lost => "incident-lose",
        }
    }
}

async fn deed(
    broker: &Broker,
    visit: &OperatorVisit,
    id: &str,
    outcome: Outcome,
) -> Result<(IncidentId, Deed), IncidentError> {
    let id = IncidentId::typed(id);
    let incident = broker.get_incident(&visit.caller(), id).await?.incident;
    if outcome == Outcome::Lost && !incident.ends_tokens() {
        return Err(IncidentError::EndsNoToken(id));
    }
    let shell = visit.shell(broker, Place::Overview);
    let ending = if outcome == Outcome::Lost { "?outcome=lost" } else { "" };
    let deed = Deed {
        what: Ending::deed(outcome),
        to: broker.catalogue.name_for_people(incident.network.as_str()).to_owned(),
        action: format!("{HOME}/incidents/{id}/close{ending}"),
        back: (HOME.to_owned(), shell.say("place-overview")),
    };
    Ok((id, deed))
}

/// Asks whether an incident shall be closed.
pub(super) async fn confirm_close(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Path(incident): Path<String>,
    Query(ending): Query<Ending>,
) -> Response {
    let shell = visit.shell(&broker, Place::Overview);
    match deed(&broker, &visit, &incident, ending.outcome()).await {
        Ok((_, deed)) => ask_to_type(shell, deed, false),
        Err(error) => refused(shell, &error),
    }
}

/// Closes an incident, once the word was typed.
pub(super) async fn close(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Path(incident): Path<String>,
    Query(ending): Query<Ending>,
    Form(form): Form<WordForm>,
) -> Response {
    let (shell, outcome) = (visit.shell(&broker, Place::Overview), ending.outcome());
    let (id, deed) = match deed(&broker, &visit, &incident, outcome).await {
        Ok(found) => found,
        Err(error) => return refused(shell, &error),
    };
    if !form.confirms(&shell, deed.what) {
        return ask_to_type(shell, deed, true);
    }
    match broker.close_incident(&visit.caller(), id, outcome, "").await {
        Ok(_) => Redirect::to("/operator?done=incident-closed").into_response(),
        Err(error) => refused(shell, &error),
    }
}
