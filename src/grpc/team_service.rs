//! `TeamService`: teams and their collectors.

mod message;
mod read;

use tonic::{Request, Response, Status};

use crate::base::ids::CollectorId;
use crate::grpc::authorization::authorize;
use crate::grpc::change::{asked, change};
use crate::grpc::fields::{name_in, team_or_all};
use crate::grpc::page::Page;
use crate::grpc::pb::{self, team_service_server::TeamService};
use crate::grpc::status::Refusal;
use crate::service::Broker;

use message::{collector_message, team_message};
use read::{
    read_collector, read_collector_call, read_collector_change, read_collector_name, read_team, read_team_change,
};

/// The service, for a broker.
pub struct TeamServer(pub Broker);

#[tonic::async_trait]
impl TeamService for TeamServer {
    async fn create_team(
        &self,
        request: Request<pb::CreateTeamRequest>,
    ) -> Result<Response<pb::CreateTeamResponse>, Status> {
        change(&self.0, request, "TeamService/CreateTeam", read_team, |broker, attempt, ask| async move {
            broker.create_team(attempt, ask).await
        })
        .await
    }

    async fn get_team(&self, request: Request<pb::GetTeamRequest>) -> Result<Response<pb::GetTeamResponse>, Status> {
        authorize(&self.0, &request, "TeamService/GetTeam")?;
        let id = asked(request.get_ref(), |request, mistakes| name_in("name", "teams", &request.name, mistakes))?;
        let team = self.0.show_team(&id).await.map_err(Refusal::from)?;
        Ok(Response::new(pb::GetTeamResponse { team: Some(team_message(&team)) }))
    }

    async fn list_teams(
        &self,
        request: Request<pb::ListTeamsRequest>,
    ) -> Result<Response<pb::ListTeamsResponse>, Status> {
        authorize(&self.0, &request, "TeamService/ListTeams")?;
        let page = Page::of(&self.0, "teams", request.get_ref())?;
        let after = page.after_name();
        let (teams, more) = self.0.list_teams(after.as_ref(), page.size).await.map_err(Refusal::from)?;
        let last = teams.last().filter(|_| more).map(|view| view.team.id.as_str().as_bytes());
        let next_page_token = page.next(&self.0, last);
        Ok(Response::new(pb::ListTeamsResponse { teams: teams.iter().map(team_message).collect(), next_page_token }))
    }

    async fn update_team(
        &self,
        request: Request<pb::UpdateTeamRequest>,
    ) -> Result<Response<pb::UpdateTeamResponse>, Status> {
        let call = "TeamService/UpdateTeam";
        change(&self.0, request, call, read_team_change, |broker, attempt, (id, ask)| async move {
            broker.update_team(attempt, &id, ask).await
        })
        .await
    }

    async fn delete_team(
        &self,
        request: Request<pb::DeleteTeamRequest>,
    ) -> Result<Response<pb::DeleteTeamResponse>, Status> {
        let force = request.get_ref().force;
        let named =
            |request: &pb::DeleteTeamRequest, mistakes: &mut _| name_in("name", "teams", &request.name, mistakes);
        change(&self.0, request, "TeamService/DeleteTeam", named, move |broker, attempt, id| async move {
            broker.delete_team(attempt, &id, force).await
        })
        .await
    }

    async fn create_collector(
        &self,
        request: Request<pb::CreateCollectorRequest>,
    ) -> Result<Response<pb::CreateCollectorResponse>, Status> {
        let call = "TeamService/CreateCollector";
        change(&self.0, request, call, read_collector, |broker, attempt, ask| async move {
            broker.create_collector(attempt, ask).await
        })
        .await
    }

    async fn get_collector(
        &self,
        request: Request<pb::GetCollectorRequest>,
    ) -> Result<Response<pb::GetCollectorResponse>, Status> {
        authorize(&self.0, &request, "TeamService/GetCollector")?;
        let named = |request: &pb::GetCollectorRequest, mistakes: &mut _| read_collector_name(&request.name, mistakes);
        let (team, id) = asked(request.get_ref(), named)?;
        let collector = self.0.collector(&team, id).map_err(Refusal::from)?;
        Ok(Response::new(pb::GetCollectorResponse { collector: Some(collector_message(&self.0, &collector)) }))
    }

    async fn list_collectors(
        &self,
        request: Request<pb::ListCollectorsRequest>,
    ) -> Result<Response<pb::ListCollectorsResponse>, Status> {
        authorize(&self.0, &request, "TeamService/ListCollectors")?;
        let request = request.into_inner();
        let team = asked(&request, |request, mistakes| team_or_all("parent", &request.parent, mistakes))?;
        let page = Page::of(&self.0, "collectors", &request)?;
        let after = page.after_id(CollectorId::from_slice);
        let (found, more) = self.0.list_collectors(team.as_ref(), after, page.size).map_err(Refusal::from)?;
        let last = found.last().filter(|_| more).map(|collector| collector.id);
        let next_page_token = page.next(&self.0, last.as_ref().map(|id| &id.as_bytes()[..]));
        let collectors = found.iter().map(|collector| collector_message(&self.0, collector)).collect();
        Ok(Response::new(pb::ListCollectorsResponse { collectors, next_page_token }))
    }

    async fn update_collector(
        &self,
        request: Request<pb::UpdateCollectorRequest>,
    ) -> Result<Response<pb::UpdateCollectorResponse>, Status> {
        let call = "TeamService/UpdateCollector";
        change(&self.0, request, call, read_collector_change, |broker, attempt, (team, id, ask)| async move {
            broker.update_collector(attempt, &team, id, ask).await
        })
        .await
    }

    async fn disable_collector(
        &self,
        request: Request<pb::DisableCollectorRequest>,
    ) -> Result<Response<pb::DisableCollectorResponse>, Status> {
        let read = |request: &pb::DisableCollectorRequest, mistakes: &mut _| {
            read_collector_call(&request.name, &request.comment, mistakes)
        };
        let call = "TeamService/DisableCollector";
        change(&self.0, request, call, read, |broker, attempt, (team, id, comment)| async move {
            broker.disable_collector(attempt, &team, id, &comment).await
        })
        .await
    }

    async fn enable_collector(
        &self,
        request: Request<pb::EnableCollectorRequest>,
    ) -> Result<Response<pb::EnableCollectorResponse>, Status> {
        let read = |request: &pb::EnableCollectorRequest, mistakes: &mut _| {
            read_collector_call(&request.name, &request.comment, mistakes)
        };
        let call = "TeamService/EnableCollector";
        change(&self.0, request, call, read, |broker, attempt, (team, id, comment)| async move {
            broker.enable_collector(attempt, &team, id, &comment).await
        })
        .await
    }

    async fn delete_collector(
        &self,
        request: Request<pb::DeleteCollectorRequest>,
    ) -> Result<Response<pb::DeleteCollectorResponse>, Status> {
        let force = request.get_ref().force;
        let named =
            |request: &pb::DeleteCollectorRequest, mistakes: &mut _| read_collector_name(&request.name, mistakes);
        let call = "TeamService/DeleteCollector";
        change(&self.0, request, call, named, move |broker, attempt, (team, id)| async move {
            broker.delete_collector(attempt, &team, id, force).await
        })
        .await
    }
}
