//! Long-running jobs with the results of their tokens. How far a job came is written with the results, in one transaction.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{JobId, TeamId, TokenId};
use crate::domain::job::{Hindrance, Job, JobCounts, JobState, Outcome};
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::sql::{ManyRows, Row, first, values};
use crate::store::{StoreError, Trail};

/// What came of one token of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenResult {
    /// The token.
    pub token: TokenId,
    /// What came of it.
    pub outcome: Outcome,
    /// What hindered a renewal that failed.
    pub hindrance: Option<Hindrance>,
    /// Why, for people; empty where there is nothing to say. Never a secret.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// Why a job was not begun or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobChangeError {
    /// Another one of the team at this network is not done.
    #[error("another job for this team and network is not done")]
    NotDone(JobId),
    /// Its state is another by now.
    #[error("the job was changed meanwhile")]
    Changed,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is kept of jobs.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Begins a job, unless one of its team and network is not done.
    async fn insert_job(&self, job: Job, trail: Trail) -> Result<(), JobChangeError>;
    /// Moves a job from one state to another; [`JobChangeError::Changed`] if it is in neither.
    async fn change_job(
        &self,
        job: JobId,
        (from, to): (JobState, JobState),
        ended_at: Option<Timestamp>,
        trail: Trail,
    ) -> Result<(), JobChangeError>;
    /// Writes what came of tokens, in the order of their ids, and that the job is done with them. Returns whether the job still runs.
    async fn note_results(&self, job: JobId, results: Vec<TokenResult>) -> Result<bool, StoreError>;
    /// The job of that id.
    async fn find_job(&self, job: JobId) -> Result<Option<Job>, StoreError>;
    /// At most `limit` jobs of a team from before `before` (`None`: the newest), the newest first.
    async fn list_jobs(&self, team: &TeamId, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, StoreError>;
    /// All jobs that run, each with the last token that it is done with.
    async fn running_jobs(&self) -> Result<Vec<(Job, Option<TokenId>)>, StoreError>;
    /// At most `limit` results of a job after `after`, by token.
    async fn list_results(
        &self,
        job: JobId,
        after: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<TokenResult>, StoreError>;
    /// At most `limit` results of a job after `after`: what a person must see to first, in the order of [`Outcome::ALL`], then by token.
    async fn list_results_by_outcome(
        &self,
        job: JobId,
        after: Option<(Outcome, TokenId)>,
        limit: u32,
    ) -> Result<Vec<TokenResult>, StoreError>;
    /// Deletes at most `limit` results, or jobs without results, of jobs that ended before `before`; how many.
    async fn prune_jobs(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

macro_rules! columns {
    () => {
        "id, team, network, state, tokens, renewed, failed, needs_person, nothing_to_renew, created_by, created_at_us, ended_at_us"
    };
}

const INSERT_JOB: &str =
    "INSERT INTO job (id, team, network, state, tokens, created_by, created_at_us, renewed, failed, needs_person,
        nothing_to_renew, last_token) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 0, $8)
    ON CONFLICT (team, network) WHERE state <> 'done' DO NOTHING";
const FIND_NOT_DONE: &str = "SELECT id FROM job WHERE team = $1 AND network = $2 AND state <> 'done'";
const CHANGE_JOB: &str = "UPDATE job SET state = $3, ended_at_us = $4 WHERE id = $1 AND state IN ($2, $3)";
const NOTE_RESULTS: &str =
    "UPDATE job SET last_token = $2, renewed = renewed + $3, failed = failed + $4, needs_person = needs_person + $5,
        nothing_to_renew = nothing_to_renew + $6 WHERE id = $1 AND last_token < $2 RETURNING state";
static INSERT_RESULTS: ManyRows = ManyRows::insert(
    "job_result (job, token, outcome, hindrance, message, at_us)",
    6,
    "ON CONFLICT (job, token) DO NOTHING",
);
const FIND_JOB: &str = concat!("SELECT ", columns!(), " FROM job WHERE id = $1");
const LIST_JOBS: &str =
    concat!("SELECT ", columns!(), " FROM job WHERE team = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
const RUNNING_JOBS: &str = concat!("SELECT ", columns!(), ", last_token FROM job WHERE state = 'running' AND id > $1");
const LIST_RESULTS: &str =
    "SELECT token, outcome, hindrance, message, at_us FROM job_result WHERE job = $1 AND token > $2
    ORDER BY token LIMIT $3";
macro_rules! rank {
    () => {
        "CASE outcome WHEN 'needs_person' THEN 0 WHEN 'failed' THEN 1 WHEN 'renewed' THEN 2 ELSE 3 END"
    };
}

const LIST_RESULTS_BY_OUTCOME: &str = concat!(
    "SELECT token, outcome, hindrance, message, at_us FROM job_result WHERE job = $1 AND (",
    rank!(),
    ", token) > ($2, $3) ORDER BY ",
    rank!(),
    ", token LIMIT $4"
);
const PRUNE_RESULTS: &str = "DELETE FROM job_result WHERE (job, token) IN (
    SELECT r.job, r.token FROM job AS j JOIN job_result AS r ON r.job = j.id WHERE j.ended_at_us < $1 LIMIT $2)";
const PRUNE_JOBS: &str = "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE ended_at_us < $1
    AND NOT EXISTS (SELECT 1 FROM job_result AS r WHERE r.job = job.id) LIMIT $2)";

#[async_trait]
impl<D: Database> JobStore for D {
    async fn insert_job(&self, job: Job, trail: Trail) -> Result<(), JobChangeError> {
        let first_token = TokenId::from_u128(0);
        let Job { id, team, network, state, tokens, created_by, created_at, .. } = job;
        let values = values![id, &team, &network, state.as_str(), tokens, created_by, created_at, first_token];
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(INSERT_JOB, values).await? == 0 {
                    let other = first(tx, FIND_NOT_DONE, values![&team, &network]).await?;
                    let mut other = other.ok_or_else(|| StoreError::corrupt("a job that hinders and is not there"))?;
                    return Err(JobChangeError::NotDone(other.id(JobId::from_slice)?));
                }
                Ok(insert_trail(tx, &trail).await?)
            })
        })
        .await
    }

    async fn change_job(
        &self,
        job: JobId,
        (from, to): (JobState, JobState),
        ended_at: Option<Timestamp>,
        trail: Trail,
    ) -> Result<(), JobChangeError> {
        let values = values![job, from.as_str(), to.as_str(), ended_at];
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(CHANGE_JOB, values).await? == 0 {
                    return Err(JobChangeError::Changed);
                }
                Ok(insert_trail(tx, &trail).await?)
            })
        })
        .await
    }

    async fn note_results(&self, job: JobId, results: Vec<TokenResult>) -> Result<bool, StoreError> {
        let Some(last) = results.last().map(|result| result.token) else { return Ok(true) };
        let mut counts = JobCounts::default();
        results.iter().for_each(|result| counts.add(result.outcome));
        let JobCounts { renewed, failed, needs_person, nothing_to_renew } = counts;
        let row = |result: TokenResult| {
            let TokenResult { token, outcome, hindrance, message, at } = result;
            values![job, token, outcome.as_str(), hindrance.map(Hindrance::as_str), message, at]
        };
        let rows = results.into_iter().map(row).collect();
        self.write(move |tx| {
            Box::pin(async move {
                let values = values![job, last, renewed, failed, needs_person, nothing_to_renew];
                let Some(mut noted) = first(tx, NOTE_RESULTS, values).await? else { return Ok(false) };
                INSERT_RESULTS.execute(tx, rows).await?;
                Ok(noted.text()? == JobState::Running.as_str())
            })
        })
        .await
    }

    async fn find_job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move { first(tx, FIND_JOB, values![id]).await?.map(|mut row| job(&mut row)).transpose() })
        })
        .await
    }

    async fn list_jobs(&self, team: &TeamId, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, StoreError> {
        let values = values![team, before.unwrap_or(JobId::from_u128(u128::MAX)), limit];
        self.read(move |tx| Box::pin(async move { tx.rows(LIST_JOBS, values).await?.iter_mut().map(job).collect() }))
            .await
    }

    async fn running_jobs(&self) -> Result<Vec<(Job, Option<TokenId>)>, StoreError> {
        let values = values![JobId::from_u128(0)];
        self.read(move |tx| {
            Box::pin(async move {
                let rows = tx.rows(RUNNING_JOBS, values).await?;
                let read = |mut row: Row| {
                    let job = job(&mut row)?;
                    let last = row.id(TokenId::from_slice)?;
                    Ok((job, Some(last).filter(|last| last.as_u128() > 0)))
                };
                rows.into_iter().map(read).collect()
            })
        })
        .await
    }

    async fn list_results(
        &self,
        job: JobId,
        after: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<TokenResult>, StoreError> {
        let values = values![job, after.unwrap_or(TokenId::from_u128(0)), limit];
        self.read(move |tx| {
            Box::pin(async move { tx.rows(LIST_RESULTS, values).await?.into_iter().map(result).collect() })
        })
        .await
    }

    async fn list_results_by_outcome(
        &self,
        job: JobId,
        after: Option<(Outcome, TokenId)>,
        limit: u32,
    ) -> Result<Vec<TokenResult>, StoreError> {
        let (rank, token) = after.map_or((0, TokenId::from_u128(0)), |(outcome, token)| (rank(outcome), token));
        let values = values![job, rank, token, limit];
        self.read(move |tx| {
            Box::pin(async move { tx.rows(LIST_RESULTS_BY_OUTCOME, values).await?.into_iter().map(result).collect() })
        })
        .await
    }

    async fn prune_jobs(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                match tx.execute(PRUNE_RESULTS, values![before, limit]).await? {
                    0 => tx.execute(PRUNE_JOBS, values![before, limit]).await,
                    results => Ok(results),
                }
            })
        })
        .await
    }
}

/// The place of an outcome in [`Outcome::ALL`].
fn rank(outcome: Outcome) -> i64 {
    Outcome::ALL.into_iter().zip(0..).find(|(known, _)| *known == outcome).map_or(0, |(_, rank)| rank)
}

fn job(row: &mut Row) -> Result<Job, StoreError> {
    Ok(Job {
        id: row.id(JobId::from_slice)?,
        team: row.slug()?,
        network: row.slug()?,
        state: JobState::from_name(&row.text()?).ok_or_else(|| StoreError::corrupt("an unknown state of a job"))?,
        tokens: row.count()?,
        counts: JobCounts {
            renewed: row.count()?,
            failed: row.count()?,
            needs_person: row.count()?,
            nothing_to_renew: row.count()?,
        },
        created_by: row.text()?,
        created_at: row.time()?,
        ended_at: row.maybe_time()?,
    })
}

fn result(mut row: Row) -> Result<TokenResult, StoreError> {
    Ok(TokenResult {
        token: row.id(TokenId::from_slice)?,
        outcome: Outcome::from_name(&row.text()?).ok_or_else(|| StoreError::corrupt("an unknown outcome"))?,
        hindrance: row
            .maybe_text()?
            .map(|name| Hindrance::from_name(&name).ok_or_else(|| StoreError::corrupt("an unknown hindrance")))
            .transpose()?,
        message: row.text()?,
        at: row.time()?,
    })
}
