//! `token-broker job`.

use std::time::Duration;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use super::failure::Failure;
use super::names::{short, top};
use super::options::Paging;
use super::session::{Page, Session, part};
use super::table::{Cell, Column, Tone};
use super::words::word_of;
use crate::grpc::pb;
use crate::grpc::pb::job_service_client::JobServiceClient;

/// What to do with jobs.
#[derive(Subcommand)]
pub enum JobCommand {
    /// Renew all tokens of a team at a network, whether they are due or not, and wait until all were tried.
    ///
    /// The job goes on in the broker, also if this command is interrupted.
    #[command(
        after_help = "Examples:\n  token-broker job renew-all x\n  token-broker job renew-all x --no-wait --output json"
    )]
    RenewAll {
        /// The network, such as x.
        network: String,
        /// Don't wait until all were tried.
        #[arg(long)]
        no_wait: bool,
    },
    /// List the jobs of a team, newest first.
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one job.
    Show {
        /// The job's id, `job_…`.
        job: String,
    },
    /// List what came of each token of a job.
    Results {
        /// The job's id, `job_…`.
        job: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Stop a job. It can be resumed.
    Cancel {
        /// The job's id, `job_…`.
        job: String,
    },
    /// Let a job go on where it was stopped, and wait until all tokens were tried.
    Resume {
        /// The job's id, `job_…`.
        job: String,
        /// Don't wait until all were tried.
        #[arg(long)]
        no_wait: bool,
    },
}

const COLUMNS: &[Column<pb::Job>] = &[
    Column::text("JOB", |job, _| short(&job.name).into()),
    Column::text("NETWORK", |job, _| short(&job.network).into()),
    Column::text("STATE", |job, _| state(job)),
    Column::number("TOKENS", |job, _| job.tokens.into()),
    Column::number("RENEWED", |job, _| job.renewed.into()),
    Column::number("FAILED", |job, _| job.failed.into()),
    Column::number("NEED A PERSON", |job, _| job.needs_person.into()),
    Column::number("NOTHING TO RENEW", |job, _| job.nothing_to_renew.into()),
    Column::minor_text("BEGUN BY", |job, _| job.created_by.as_str().into()),
    Column::minor_text("BEGUN", |job, view| view.time(job.create_time.as_ref())),
    Column::minor_text("ENDED", |job, view| view.time(job.end_time.as_ref())),
];

const RESULTS: &[Column<pb::JobResult>] = &[
    Column::text("TOKEN", |result, _| short(&result.token).into()),
    Column::text("OUTCOME", |result, _| outcome(result)),
    Column::text("WHY", |result, _| result.message.as_str().into()),
    Column::minor_text("WHEN", |result, view| view.time(result.time.as_ref())),
];

/// How often it is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(500);

fn state(job: &pb::Job) -> Cell {
    let word = word_of::<pb::JobState>(job.state);
    match job.state() {
        pb::JobState::Done => Cell::toned(word, Tone::Good),
        pb::JobState::Cancelled => Cell::toned(word, Tone::Warning),
        pb::JobState::Running | pb::JobState::Unspecified => word.into(),
    }
}

fn outcome(result: &pb::JobResult) -> Cell {
    let tone = match result.outcome() {
        pb::JobOutcome::Renewed => Tone::Good,
        pb::JobOutcome::Failed => Tone::Warning,
        pb::JobOutcome::NeedsPerson => Tone::Bad,
        pb::JobOutcome::NothingToRenew | pb::JobOutcome::Unspecified => {
            return word_of::<pb::JobOutcome>(result.outcome).into();
        }
    };
    Cell::toned(word_of::<pb::JobOutcome>(result.outcome), tone)
}

/// Carries a command out.
pub async fn run(command: JobCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = JobServiceClient::new(session.client());
    let job = match command {
        JobCommand::RenewAll { network, no_wait } => {
            let (parent, request_id) = (session.team().await?, session.request_id());
            let request = pb::RenewAllTokensRequest { parent, network: top("networks", &network), request_id };
            let job = part(client.renew_all_tokens(session.request(request)).await?, |answer| answer.job)?;
            if no_wait { job } else { watch(session, job).await? }
        }
        JobCommand::Resume { job, no_wait } => {
            let (name, request_id) = (session.in_team("jobs", &job).await?, session.request_id());
            let request = pb::ResumeJobRequest { name, request_id };
            let job = part(client.resume_job(session.request(request)).await?, |answer| answer.job)?;
            if no_wait { job } else { watch(session, job).await? }
        }
        JobCommand::Cancel { job } => {
            let (name, request_id) = (session.in_team("jobs", &job).await?, session.request_id());
            let request = pb::CancelJobRequest { name, request_id };
            part(client.cancel_job(session.request(request)).await?, |answer| answer.job)?
        }
        JobCommand::Show { job } => {
            let name = session.in_team("jobs", &job).await?;
            show(session, name).await?
        }
        JobCommand::List { paging } => return list(session, &paging).await,
        JobCommand::Results { job, paging } => return results(session, &job, &paging).await,
    };
    session.terminal.record(&job, COLUMNS)
}

async fn show(session: &Session, name: String) -> Result<pb::Job, Failure> {
    let request = session.request(pb::GetJobRequest { name });
    part(JobServiceClient::new(session.client()).get_job(request).await?, |answer| answer.job)
}

/// Waits for the end of a job.
async fn watch(session: &Session, mut job: pb::Job) -> Result<pb::Job, Failure> {
    let bar = match session.terminal.shows_progress() {
        true => ProgressBar::new(u64::try_from(job.tokens).unwrap_or_default()),
        false => ProgressBar::hidden(),
    };
    let style = ProgressStyle::with_template("{bar:16} {pos} of {len} tokens  {msg}  {eta} left");
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    while job.state() == pb::JobState::Running {
        tokio::time::sleep(ASK_EVERY).await;
        job = show(session, job.name).await?;
        let tried = job.renewed + job.failed + job.needs_person + job.nothing_to_renew;
        bar.set_position(u64::try_from(tried).unwrap_or_default());
        bar.set_message(format!("{} renewed, {} need a person", job.renewed, job.needs_person));
    }
    bar.finish_and_clear();
    Ok(job)
}

async fn list(session: &mut Session, paging: &Paging) -> Result<(), Failure> {
    let client = JobServiceClient::new(session.client());
    let parent = session.team().await?;
    let fetch = async |page_size, page_token| {
        let request = pb::ListJobsRequest { parent: parent.clone(), page_size, page_token };
        let answer = client.clone().list_jobs(request).await?.into_inner();
        Ok(Page { items: answer.jobs, next: answer.next_page_token })
    };
    session.list(COLUMNS, paging, "there are no jobs; begin one with `token-broker job renew-all NETWORK`", fetch).await
}

async fn results(session: &mut Session, job: &str, paging: &Paging) -> Result<(), Failure> {
    let client = JobServiceClient::new(session.client());
    let parent = session.in_team("jobs", job).await?;
    let fetch = async |page_size, page_token| {
        let request = pb::ListJobResultsRequest { parent: parent.clone(), page_size, page_token };
        let answer = client.clone().list_job_results(request).await?.into_inner();
        Ok(Page { items: answer.results, next: answer.next_page_token })
    };
    session.list(RESULTS, paging, "no token of the job was tried yet", fetch).await
}
