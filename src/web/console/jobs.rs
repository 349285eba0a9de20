//! Renewing all tokens of a network: begun here, watched, stopped and let go on.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::actor::name_of;
use super::filter::address;
use super::paging::Pages;
use super::refused::refused;
use super::tokens::{is_to_be_connected, name_of_token, status_in_words};
use super::{Place, Shell, Visit, When};
use crate::base::ids::{JobId, NetworkId, TokenId};
use crate::domain::job::{Hindrance, Job, JobState, Outcome};
use crate::domain::member::Action;
use crate::domain::networks::Network;
use crate::service::Broker;
use crate::service::jobs::{JobError, TokenResult};
use crate::service::tokens::TokenView;
use crate::web::page::shown;

const PATH: &str = "/jobs";
/// Results on a page.
const RESULTS: usize = 100;
/// Jobs on a page.
const JOBS: usize = 50;

/// What is to be renewed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    network: String,
}

/// Where a page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    after: String,
    trail: String,
}

impl Asked {
    /// The result behind which the page begins, as [`place_of`] says it.
    fn place(&self) -> Option<(Outcome, TokenId)> {
        let (outcome, token) = self.after.split_once('.')?;
        Some((Outcome::from_name(outcome)?, token.parse().ok()?))
    }
}

/// The place of a result among those of its job.
fn place_of(result: &TokenResult) -> String {
    format!("{}.{}", result.outcome.as_str(), result.token)
}

#[derive(Template)]
#[template(path = "console/job.html")]
struct JobPage {
    shell: Shell,
    here: String,
    summary: Summary,
    running: bool,
    cancelled: bool,
    rows: Vec<ResultRow>,
    pages: Pages,
}

#[derive(Template)]
#[template(path = "console/jobs.html")]
struct JobsPage {
    shell: Shell,
    /// The networks whose tokens can be renewed, by id and name.
    networks: Vec<(String, String)>,
    may_begin: bool,
    problem: Option<String>,
    rows: Vec<Summary>,
    pages: Pages,
}

/// How far a job came.
struct Summary {
    id: JobId,
    network: String,
    state: String,
    begun: When,
    begun_by: String,
    percent: u64,
    counts: String,
}

/// What came of a token.
struct ResultRow {
    token: String,
    name: String,
    light: &'static str,
    outcome: String,
    message: String,
    /// Only a person can help: it must be connected again.
    connects: bool,
}

/// Begins; a job that is under way already is shown instead.
pub(super) async fn begin(State(broker): State<Broker>, visit: Visit, Form(wanted): Form<Wanted>) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    let Ok(network) = wanted.network.parse::<NetworkId>() else { return StatusCode::NOT_FOUND.into_response() };
    let known = broker.catalogue.network(network.as_str()).filter(|_| visit.may(&broker, Action::Renew));
    if let Some(known) = known {
        let held = match broker.networks_to_renew(visit.team()).await {
            Ok(held) => held,
            Err(error) => return refused(shell, &error),
        };
        if held.iter().all(|held| held.id != network) {
            let problem = shell.say_of("jobs-no-tokens", "network", known.display_name.clone());
            return page(&broker, &visit, shell, &Asked::default(), Some(problem)).await;
        }
    }
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
pub(super) async fn show(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    let id = JobId::typed(&id);
    let read = match broker.show_job(visit.team(), id).await {
        Ok(job) => {
            let results = broker.list_job_results_by_outcome(visit.team(), id, asked.place(), RESULTS as u32 + 1).await;
            results.map(|results| (job, results))
        }
        Err(error) => Err(error),
    };
    let (job, mut results) = match read {
        Ok(read) => read,
        Err(error) => return refused(shell, &error),
    };
    let next = (results.len() > RESULTS).then(|| place_of(&results[RESULTS - 1]));
    results.truncate(RESULTS);
    let tokens: Vec<TokenId> = results.iter().map(|result| result.token).collect();
    let tokens = match broker.find_tokens(visit.team(), &tokens).await {
        Ok(tokens) => tokens,
        Err(error) => return refused(shell, &JobError::from(error)),
    };
    let row = |result: &TokenResult| result_row(&broker, &visit, &shell, result, tokens.get(&result.token));
    let rows: Vec<ResultRow> = results.iter().map(row).collect();
    let begun_by = name_of(&broker, &visit, &job.created_by).await;
    let at = |after: &str, trail: &str| address(&format!("{PATH}/{id}"), &[("after", after), ("trail", trail)]);
    let page = JobPage {
        here: at(&asked.after, &asked.trail),
        pages: Pages::around((&asked.after, &asked.trail), next.as_deref(), at),
        summary: summary(&broker, &shell, &job, begun_by),
        running: job.state == JobState::Running,
        cancelled: job.state == JobState::Cancelled,
        rows,
        shell,
    };
    shown(StatusCode::OK, &page)
}

fn result_row(
    broker: &Broker,
    visit: &Visit,
    shell: &Shell,
    result: &TokenResult,
    token: Option<&TokenView>,
) -> ResultRow {
    let (light, outcome) = match result.outcome {
        Outcome::Renewed => ("valid", "job-renewed"),
        Outcome::Failed => ("expiring", "job-failed"),
        Outcome::NeedsPerson => ("dead", "job-needs-person"),
        Outcome::NothingToRenew => ("no_expiry", "job-nothing"),
    };
    ResultRow {
        token: result.token.to_string(),
        name: token.map_or_else(|| result.token.to_string(), |view| name_of_token(broker, &view.token)),
        light,
        outcome: shell.say(outcome),
        message: why(shell, result, token),
        connects: token.is_some_and(|view| {
            let is_of_no_use = result.outcome == Outcome::NeedsPerson;
            is_to_be_connected(broker, visit, shell, view, is_of_no_use)
        }),
    }
}

/// Why a token was not renewed: what is known of it by now, or what went wrong.
fn why(shell: &Shell, result: &TokenResult, token: Option<&TokenView>) -> String {
    match (result.outcome, token) {
        (Outcome::Renewed, _) => String::new(),
        (Outcome::NothingToRenew, _) => shell.say("job-why-nothing"),
        (Outcome::NeedsPerson, Some(view)) => status_in_words(shell, view),
        (Outcome::NeedsPerson, None) => shell.say("renew-needs-person"),
        (Outcome::Failed, _) => {
            let hindrance = result.hindrance.unwrap_or(Hindrance::Broker);
            shell.say(&format!("job-why-{}", hindrance.as_str().replace('_', "-")))
        }
    }
}

fn summary(broker: &Broker, shell: &Shell, job: &Job, begun_by: String) -> Summary {
    let counts = &job.counts;
    let done = counts.total();
    let about = [
        ("done", done.into()),
        ("all", job.tokens.into()),
        ("renewed", counts.renewed.into()),
        ("failed", counts.failed.into()),
        ("person", counts.needs_person.into()),
        ("nothing", counts.nothing_to_renew.into()),
    ];
    Summary {
        id: job.id,
        network: broker.catalogue.name_for_people(job.network.as_str()).to_owned(),
        state: shell.say(&format!("job-state-{}", job.state.as_str())),
        begun: shell.when(job.created_at),
        begun_by,
        percent: match job.state {
            JobState::Done => 100,
            _ => (done * 100).checked_div(job.tokens).unwrap_or(100).min(100),
        },
        counts: shell.say_with("job-counts", &about),
    }
}

/// The jobs of the team.
pub(super) async fn list(State(broker): State<Broker>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    page(&broker, &visit, shell, &asked, None).await
}

/// The page of the jobs; `problem`: why none was begun.
async fn page(broker: &Broker, visit: &Visit, shell: Shell, asked: &Asked, problem: Option<String>) -> Response {
    let before = asked.after.parse::<JobId>().ok();
    let read =
        (broker.list_jobs(visit.team(), before, JOBS as u32 + 1).await, broker.networks_to_renew(visit.team()).await);
    let (jobs, networks) = match read {
        (Ok(jobs), Ok(networks)) => (jobs, networks),
        (Err(error), _) | (_, Err(error)) => return refused(shell, &error),
    };
    let next = jobs.get(JOBS - 1).filter(|_| jobs.len() > JOBS).map(|last| last.id.to_string());
    let mut rows = Vec::with_capacity(jobs.len());
    for job in jobs.iter().take(JOBS) {
        let begun_by = name_of(broker, visit, &job.created_by).await;
        rows.push(summary(broker, &shell, job, begun_by));
    }
    let at = |after: &str, trail: &str| address(PATH, &[("after", after), ("trail", trail)]);
    let network = |network: &Arc<Network>| (network.id.to_string(), network.display_name.clone());
    let page = JobsPage {
        networks: networks.iter().map(network).collect(),
        may_begin: visit.may(broker, Action::Renew),
        problem,
        pages: Pages::around((&asked.after, &asked.trail), next.as_deref(), at),
        rows,
        shell,
    };
    shown(if page.problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}

/// Stops a job.
pub(super) async fn cancel(State(broker): State<Broker>, visit: Visit, Path(id): Path<String>) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    match broker.cancel_job(&visit.caller(), visit.team(), JobId::typed(&id)).await {
        Ok(job) => to(job.id),
        Err(error) => refused(shell, &error),
    }
}

/// Lets a job go on.
pub(super) async fn resume(State(broker): State<Broker>, visit: Visit, Path(id): Path<String>) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    match broker.resume_job(&visit.caller(), visit.team(), JobId::typed(&id)).await {
        Ok(job) => to(job.id),
        Err(error) => refused(shell, &error),
    }
}

#[cfg(test)]
mod tests;
