//! Renewing all tokens of a network: begun here, watched, stopped and let go on.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::actor::name_of;
use super::refused::refused;
use super::{Place, Shell, Visit, When};
use crate::base::ids::{JobId, NetworkId};
use crate::domain::job::{Job, JobState, Outcome};
use crate::service::Broker;
use crate::service::jobs::JobError;
use crate::web::page::shown;

/// Results that are shown: what a person must see to comes first.
const SHOWN: u32 = 500;

/// What is to be renewed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    network: String,
}

#[derive(Template)]
#[template(path = "console/job.html")]
struct JobPage {
    shell: Shell,
    id: JobId,
    network: String,
    running: bool,
    cancelled: bool,
    state: String,
    begun: When,
    begun_by: String,
    percent: u64,
    counts: String,
    rows: Vec<ResultRow>,
}

/// What came of a token.
struct ResultRow {
    token: String,
    name: String,
    light: &'static str,
    outcome: String,
    message: String,
    /// Only a person can help: it must be connected again.
    asks: bool,
}

/// Begins; a job that is under way already is shown instead.
pub(super) async fn begin(State(broker): State<Broker>, visit: Visit, Form(wanted): Form<Wanted>) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    let Ok(network) = wanted.network.parse::<NetworkId>() else { return StatusCode::NOT_FOUND.into_response() };
    match broker.renew_all(&visit.caller(), visit.team(), &network).await {
        Ok(job) => to(job.id),
        Err(JobError::NotDone(other)) => to(other),
        Err(error) => refused(shell, &error),
    }
}

fn to(job: JobId) -> Response {
    Redirect::to(&format!("/jobs/{job}")).into_response()
}

/// The page of a job.
pub(super) async fn show(State(broker): State<Broker>, visit: Visit, Path(id): Path<String>) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    let Ok(id) = id.parse::<JobId>() else { return StatusCode::NOT_FOUND.into_response() };
    let read = match broker.show_job(visit.team(), id).await {
        Ok(job) => broker.list_job_results(visit.team(), id, None, SHOWN).await.map(|results| (job, results)),
        Err(error) => Err(error),
    };
    let (job, mut results) = match read {
        Ok(read) => read,
        Err(error) => return refused(shell, &error),
    };
    results.sort_by_key(|result| order(result.outcome));
    let mut rows = Vec::with_capacity(results.len());
    for result in results {
        let name = match broker.show_token(visit.team(), result.token).await {
            Ok((view, _)) if !view.token.label.is_empty() => view.token.label,
            Ok((view, _)) => view.token.profiles.first().cloned().unwrap_or_else(|| result.token.to_string()),
            Err(_) => result.token.to_string(),
        };
        let (light, outcome) = match result.outcome {
            Outcome::Renewed => ("valid", "job-renewed"),
            Outcome::Failed => ("expiring", "job-failed"),
            Outcome::NeedsPerson => ("dead", "job-needs-person"),
            Outcome::NothingToRenew => ("no_expiry", "job-nothing"),
        };
        rows.push(ResultRow {
            token: result.token.to_string(),
            name,
            light,
            outcome: shell.say(outcome),
            message: result.message,
            asks: result.outcome == Outcome::NeedsPerson,
        });
    }
    let begun_by = name_of(&broker, &visit, &job.created_by).await;
    shown(StatusCode::OK, &JobPage { begun_by, ..page(&broker, shell, &job, rows) })
}

/// What a person must see to first.
const fn order(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::NeedsPerson => 0,
        Outcome::Failed => 1,
        Outcome::Renewed => 2,
        Outcome::NothingToRenew => 3,
    }
}

fn page(broker: &Broker, shell: Shell, job: &Job, rows: Vec<ResultRow>) -> JobPage {
    let counts = &job.counts;
    let done = counts.renewed + counts.failed + counts.needs_person + counts.nothing_to_renew;
    let about = [
        ("done", done.into()),
        ("all", job.tokens.into()),
        ("renewed", counts.renewed.into()),
        ("failed", counts.failed.into()),
        ("person", counts.needs_person.into()),
    ];
    JobPage {
        id: job.id,
        network: broker.catalogue.name_for_people(job.network.as_str()).to_owned(),
        running: job.state == JobState::Running,
        cancelled: job.state == JobState::Cancelled,
        state: shell.say(&format!("job-state-{}", job.state.as_str())),
        begun: shell.when(job.created_at),
        begun_by: String::new(),
        percent: if job.state == JobState::Done {
            100
        } else {
            (done * 100).checked_div(job.tokens).unwrap_or(100).min(100)
        },
        counts: shell.say_with("job-counts", &about),
        rows,
        shell,
    }
}

/// Stops a job.
pub(super) async fn cancel(State(broker): State<Broker>, visit: Visit, Path(id): Path<String>) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    let Ok(id) = id.parse::<JobId>() else { return StatusCode::NOT_FOUND.into_response() };
    match broker.cancel_job(&visit.caller(), visit.team(), id).await {
        Ok(job) => to(job.id),
        Err(error) => refused(shell, &error),
    }
}

/// Lets a job go on.
pub(super) async fn resume(State(broker): State<Broker>, visit: Visit, Path(id): Path<String>) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    let Ok(id) = id.parse::<JobId>() else { return StatusCode::NOT_FOUND.into_response() };
    match broker.resume_job(&visit.caller(), visit.team(), id).await {
        Ok(job) => to(job.id),
        Err(error) => refused(shell, &error),
    }
}
