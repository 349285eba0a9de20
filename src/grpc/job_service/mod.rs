//! `JobService`: all tokens of a team at a network are renewed, and people watch.

mod message;

use tonic::{Request, Response, Status};

use crate::base::ids::{JobId, NetworkId, TeamId, TokenId};
use crate::grpc::authorization::authorize;
use crate::grpc::change::{asked, change};
use crate::grpc::fields::{child_in, name_in};
use crate::grpc::page::Page;
use crate::grpc::pb::{self, job_service_server::JobService};
use crate::grpc::status::{FieldMistakes, Refusal};
use crate::service::Broker;

use message::{job_message, result_message};

/// The service, for a broker.
pub struct JobServer(pub Broker);

#[tonic::async_trait]
impl JobService for JobServer {
    async fn renew_all_tokens(
        &self,
        request: Request<pb::RenewAllTokensRequest>,
    ) -> Result<Response<pb::RenewAllTokensResponse>, Status> {
        let call = "JobService/RenewAllTokens";
        change(&self.0, request, call, read_renewal, |broker, attempt, (team, network)| async move {
            broker.renew_all(attempt, &team, &network).await
        })
        .await
    }

    async fn get_job(&self, request: Request<pb::GetJobRequest>) -> Result<Response<pb::GetJobResponse>, Status> {
        authorize(&self.0, &request, "JobService/GetJob")?;
        let named = |request: &pb::GetJobRequest, mistakes: &mut _| read_job("name", &request.name, mistakes);
        let (team, id) = asked(request.get_ref(), named)?;
        let job = self.0.show_job(&team, id).await.map_err(Refusal::from)?;
        Ok(Response::new(pb::GetJobResponse { job: Some(job_message(&job)) }))
    }

    async fn list_jobs(&self, request: Request<pb::ListJobsRequest>) -> Result<Response<pb::ListJobsResponse>, Status> {
        authorize(&self.0, &request, "JobService/ListJobs")?;
        let request = request.into_inner();
        let of_team = |request: &pb::ListJobsRequest, mistakes: &mut _| {
            name_in::<TeamId>("parent", "teams", &request.parent, mistakes)
        };
        let team = asked(&request, of_team)?;
        let page = Page::of(&self.0, "jobs", &request)?;
        let before = page.after_id(JobId::from_slice);
        let mut found = self.0.list_jobs(&team, before, wanted(&page)).await.map_err(Refusal::from)?;
        let more = found.len() > page.size;
        found.truncate(page.size);
        let last = found.last().filter(|_| more).map(|job| job.id);
        let next_page_token = page.next(&self.0, last.as_ref().map(|id| &id.as_bytes()[..]));
        Ok(Response::new(pb::ListJobsResponse { jobs: found.iter().map(job_message).collect(), next_page_token }))
    }

    async fn list_job_results(
        &self,
        request: Request<pb::ListJobResultsRequest>,
    ) -> Result<Response<pb::ListJobResultsResponse>, Status> {
        authorize(&self.0, &request, "JobService/ListJobResults")?;
        let request = request.into_inner();
        let of_job =
            |request: &pb::ListJobResultsRequest, mistakes: &mut _| read_job("parent", &request.parent, mistakes);
        let (team, id) = asked(&request, of_job)?;
        let page = Page::of(&self.0, "job results", &request)?;
        let after = page.after_id(TokenId::from_slice);
        let mut found = self.0.list_job_results(&team, id, after, wanted(&page)).await.map_err(Refusal::from)?;
        let more = found.len() > page.size;
        found.truncate(page.size);
        let last = found.last().filter(|_| more).map(|result| result.token);
        let next_page_token = page.next(&self.0, last.as_ref().map(|id| &id.as_bytes()[..]));
        let results = found.iter().map(|result| result_message(&team, result)).collect();
        Ok(Response::new(pb::ListJobResultsResponse { results, next_page_token }))
    }

    async fn cancel_job(
        &self,
        request: Request<pb::CancelJobRequest>,
    ) -> Result<Response<pb::CancelJobResponse>, Status> {
        let named = |request: &pb::CancelJobRequest, mistakes: &mut _| read_job("name", &request.name, mistakes);
        change(&self.0, request, "JobService/CancelJob", named, |broker, attempt, (team, id)| async move {
            broker.cancel_job(attempt, &team, id).await
        })
        .await
    }

    async fn resume_job(
        &self,
        request: Request<pb::ResumeJobRequest>,
    ) -> Result<Response<pb::ResumeJobResponse>, Status> {
        let named = |request: &pb::ResumeJobRequest, mistakes: &mut _| read_job("name", &request.name, mistakes);
        change(&self.0, request, "JobService/ResumeJob", named, |broker, attempt, (team, id)| async move {
            broker.resume_job(attempt, &team, id).await
        })
        .await
    }
}

/// One more than the page takes: whether there is a next page.
fn wanted(page: &Page) -> u32 {
    u32::try_from(page.size + 1).unwrap_or(u32::MAX)
}

fn read_job(field: &str, name: &str, mistakes: &mut FieldMistakes) -> Option<(TeamId, JobId)> {
    child_in(field, ["teams", "jobs"], name, mistakes)
}

fn read_renewal(request: &pb::RenewAllTokensRequest, mistakes: &mut FieldMistakes) -> Option<(TeamId, NetworkId)> {
    let team = name_in("parent", "teams", &request.parent, mistakes);
    let network = name_in("network", "networks", &request.network, mistakes);
    Some((team?, network?))
}
