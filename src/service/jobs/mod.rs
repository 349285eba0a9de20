//! Jobs: all tokens of a team at a network are renewed, whether they are due or not, while people watch.
//!
//! A job is durable when it is begun, and goes on by itself, also after a crash (`run`). A team has one at a time at each network. It may
//! be stopped, and goes on where it stopped.

mod run;

pub use crate::store::TokenResult;
pub use run::Jobs;

use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::{JobId, NetworkId, TeamId, TokenId};
use crate::domain::audit::AuditEvent;
use crate::domain::job::{Job, JobCounts, JobDone, JobState, Outcome};
use crate::domain::member::Action;
use crate::domain::networks::Network;
use crate::service::members::On;
use crate::service::requests::Attempt;
use crate::service::{Broker, Caller, Forbidden};
use crate::store::{JobChangeError, StoreError, TokenFilter};

/// How long a job that ended is kept.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often a change that was overtaken is decided anew.
const ATTEMPTS: usize = 5;

/// Why nothing was done about a job.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such team.
    #[error("there is no team '{0}'; see the list of teams")]
    TeamNotFound(TeamId),
    /// The catalogue has no such network.
    #[error("there is no network '{0}'; see the list of networks")]
    UnknownNetwork(NetworkId),
    /// The team has no such job.
    #[error("team '{team}' has no job '{job}'; see the list of its jobs")]
    NotFound {
        /// The team.
        team: TeamId,
        /// What was asked for.
        job: JobId,
    },
    /// One is not done yet.
    #[error("job '{0}' already renews the tokens of this team at this network; watch it, resume it or cancel it")]
    NotDone(JobId),
    /// It is done.
    #[error(transparent)]
    Done(#[from] JobDone),
    /// It is changed by somebody else again and again.
    #[error("the job '{0}' is being changed by somebody else; try again shortly")]
    Contended(JobId),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    /// Begins to renew all tokens of a team at a network.
    pub async fn renew_all(
        &self,
        attempt: impl Into<Attempt<Job>>,
        team: &TeamId,
        network: &NetworkId,
    ) -> Result<Job, JobError> {
        let attempt = attempt.into();
        self.must_permit(&attempt.caller, Action::Renew, team, On::Team)?;
        if self.directory.team(team).is_none() {
            return Err(JobError::TeamNotFound(team.clone()));
        }
        if self.catalogue.network(network.as_str()).is_none() {
            return Err(JobError::UnknownNetwork(network.clone()));
        }
        let job = Job {
            id: JobId::generate(),
            team: team.clone(),
            network: network.clone(),
            state: JobState::Running,
            tokens: self.store.count_tokens(team, tokens_of(network)).await?,
            counts: JobCounts::default(),
            created_by: self.actor_name(Some(attempt.caller.actor()), Some(team)),
            created_at: self.now(),
            ended_at: None,
        };
        let audit = self.job_audit(&attempt.caller, "job.begin", &job);
        let trail = attempt.trail(audit, &job);
        match self.store.insert_job(job.clone(), trail).await {
            Ok(()) => Ok(job),
            Err(JobChangeError::NotDone(other)) => Err(JobError::NotDone(other)),
            Err(JobChangeError::Changed) => Err(JobError::Contended(job.id)),
            Err(JobChangeError::Store(error)) => Err(error.into()),
        }
    }

    /// The networks of which a team has tokens that can be renewed together, in the order of the catalogue.
    pub async fn networks_to_renew(&self, team: &TeamId) -> Result<Vec<Arc<Network>>, JobError> {
        let held = self.store.list_networks(team).await?;
        Ok(self.catalogue.iter().filter(|network| held.contains(&network.id)).cloned().collect())
    }

    /// Stops a job; what is being renewed is finished. Twice is no error.
    pub async fn cancel_job(
        &self,
        attempt: impl Into<Attempt<Job>>,
        team: &TeamId,
        id: JobId,
    ) -> Result<Job, JobError> {
        self.change_job(attempt.into(), team, id, "job.cancel", JobState::cancel).await
    }

    /// Lets a job go on where it was stopped. Twice is no error.
    pub async fn resume_job(
        &self,
        attempt: impl Into<Attempt<Job>>,
        team: &TeamId,
        id: JobId,
    ) -> Result<Job, JobError> {
        self.change_job(attempt.into(), team, id, "job.resume", JobState::resume).await
    }

    /// One job.
    pub async fn show_job(&self, team: &TeamId, id: JobId) -> Result<Job, JobError> {
        let found = self.store.find_job(id).await?.filter(|job| job.team == *team);
        found.ok_or_else(|| JobError::NotFound { team: team.clone(), job: id })
    }

    /// At most `limit` jobs of a team from before `before`, the newest first.
    pub async fn list_jobs(&self, team: &TeamId, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, JobError> {
        if self.directory.team(team).is_none() {
            return Err(JobError::TeamNotFound(team.clone()));
        }
        Ok(self.store.list_jobs(team, before, limit).await?)
    }

    /// At most `limit` results of a job after `after`, in the order in which the tokens were added.
    pub async fn list_job_results(
        &self,
        team: &TeamId,
        id: JobId,
        after: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<TokenResult>, JobError> {
        self.show_job(team, id).await?;
        Ok(self.store.list_results(id, after, limit).await?)
    }

    /// At most `limit` results of a job after `after`, what a person must see to first.
    pub async fn list_job_results_by_outcome(
        &self,
        team: &TeamId,
        id: JobId,
        after: Option<(Outcome, TokenId)>,
        limit: u32,
    ) -> Result<Vec<TokenResult>, JobError> {
        self.show_job(team, id).await?;
        Ok(self.store.list_results_by_outcome(id, after, limit).await?)
    }

    async fn change_job(
        &self,
        attempt: Attempt<Job>,
        team: &TeamId,
        id: JobId,
        action: &'static str,
        decide: fn(JobState) -> Result<JobState, JobDone>,
    ) -> Result<Job, JobError> {
        self.must_permit(&attempt.caller, Action::Renew, team, On::Team)?;
        for _ in 0..ATTEMPTS {
            let before = self.show_job(team, id).await?;
            let state = decide(before.state)?;
            if state == before.state {
                self.note_unchanged(&attempt, &before).await?;
                return Ok(before);
            }
            let ended_at = (state != JobState::Running).then(|| self.now());
            let job = Job { state, ended_at, ..before.clone() };
            let trail = attempt.trail(self.job_audit(&attempt.caller, action, &job), &job);
            match self.store.change_job(id, (before.state, state), ended_at, trail).await {
                Ok(()) => return Ok(job),
                Err(JobChangeError::Store(error)) => return Err(error.into()),
                Err(JobChangeError::Changed | JobChangeError::NotDone(_)) => {}
            }
        }
        Err(JobError::Contended(id))
    }

    fn job_audit(&self, caller: &Caller, action: &'static str, job: &Job) -> AuditEvent {
        let detail = format!("network={} tokens={}", job.network, job.tokens);
        let mut audit = self.audit(caller, action, format!("teams/{}/jobs/{}", job.team, job.id), detail);
        audit.team = Some(job.team.clone());
        audit
    }
}

fn tokens_of(network: &NetworkId) -> TokenFilter {
    TokenFilter { network: Some(network.clone()), not_states: &["revoked"], ..TokenFilter::default() }
}

#[cfg(test)]
mod tests;
