//! Jobs on the wire.

use crate::base::ids::TeamId;
use crate::domain::job::{Job, JobState, Outcome};
use crate::grpc::change::answers;
use crate::grpc::convert::{optional_timestamp, timestamp};
use crate::grpc::pb;
use crate::service::jobs::TokenResult;

/// A job.
pub fn job_message(job: &Job) -> pb::Job {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let state = match job.state {
        JobState::Running => pb::JobState::Running,
        JobState::Cancelled => pb::JobState::Cancelled,
        JobState::Done => pb::JobState::Done,
    };
    pb::Job {
        name: format!("teams/{}/jobs/{}", job.team, job.id),
        network: format!("networks/{}", job.network),
        state: state.into(),
        tokens: count(job.tokens),
        renewed: count(job.counts.renewed),
        failed: count(job.counts.failed),
        needs_person: count(job.counts.needs_person),
        nothing_to_renew: count(job.counts.nothing_to_renew),
        created_by: job.created_by.clone(),
        create_time: Some(timestamp(job.created_at)),
        end_time: optional_timestamp(job.ended_at),
    }
}

/// What came of a token.
pub fn result_message(team: &TeamId, result: &TokenResult) -> pb::JobResult {
    let outcome = match result.outcome {
        Outcome::Renewed => pb::JobOutcome::Renewed,
        Outcome::Failed => pb::JobOutcome::Failed,
        Outcome::NeedsPerson => pb::JobOutcome::NeedsPerson,
        Outcome::NothingToRenew => pb::JobOutcome::NothingToRenew,
    };
    pb::JobResult {
        token: format!("teams/{team}/tokens/{}", result.token),
        outcome: outcome.into(),
        message: result.message.clone(),
        time: Some(timestamp(result.at)),
    }
}

answers! {
    RenewAllTokensResponse { job } = |_, job| job_message(job), of Job;
    CancelJobResponse { job } = |_, job| job_message(job), of Job;
    ResumeJobResponse { job } = |_, job| job_message(job), of Job;
}
