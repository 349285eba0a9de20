//! `TeamService`: teams and their collectors.

use tonic::{Request, Response, Status};

use crate::base::ids::{CollectorId, TeamId};
use crate::domain::team::{Collector, CollectorScope};
use crate::grpc::authorization::authorize;
use crate::grpc::convert::{name_in, timestamp};
use crate::grpc::fields::{
    COMMENT, NAME, check_given, check_request_id, check_text, child_in, count, from_purposes, mask, networks,
    number_or, purposes, required, reserve_percent, small, team_or_all,
};
use crate::grpc::mutation::Mutation;
use crate::grpc::page::Page;
use crate::grpc::pb::{self, team_service_server::TeamService};
use crate::grpc::status::{FieldMistakes, Refusal};
use crate::service::Broker;
use crate::service::collectors::{CreateCollector, DEFAULT_MAX_LEASES, UpdateCollector};
use crate::service::teams::{CreateTeam, DEFAULT_WEIGHT, TeamView, UpdateTeam};

const WEIGHTS: std::ops::RangeInclusive<u32> = 1..=1_000;
const LEASES: std::ops::RangeInclusive<u32> = 1..=100_000;

/// The service, for a broker.
pub struct TeamServer(pub Broker);

#[tonic::async_trait]
impl TeamService for TeamServer {
    async fn create_team(
        &self,
        request: Request<pb::CreateTeamRequest>,
    ) -> Result<Response<pb::CreateTeamResponse>, Status> {
        const CALL: &str = "TeamService/CreateTeam";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let ask = read_team(&request)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller) = (self.0.clone(), caller.clone());
        let work = async move {
            let team = broker.create_team(&caller, ask).await.map_err(Refusal::from)?;
            Ok(pb::CreateTeamResponse { team: Some(team_message(&team)) })
        };
        mutation.once(&request, work).await
    }

    async fn get_team(&self, request: Request<pb::GetTeamRequest>) -> Result<Response<pb::GetTeamResponse>, Status> {
        authorize(&self.0, &request, "TeamService/GetTeam")?;
        let team = team_named(&request.get_ref().name)?;
        let team = self.0.show_team(&team).await.map_err(Refusal::from)?;
        Ok(Response::new(pb::GetTeamResponse { team: Some(team_message(&team)) }))
    }

    async fn list_teams(
        &self,
        request: Request<pb::ListTeamsRequest>,
    ) -> Result<Response<pb::ListTeamsResponse>, Status> {
        authorize(&self.0, &request, "TeamService/ListTeams")?;
        let request = request.into_inner();
        let page = Page::read(&self.0, "teams", Vec::new(), request.page_size, &request.page_token)?;
        let after = page.after_id(|cursor| std::str::from_utf8(cursor).unwrap_or_default().parse::<TeamId>());
        let (teams, more) = self.0.list_teams(after.as_ref(), page.size).await.map_err(Refusal::from)?;
        let last = teams.last().filter(|_| more).map(|view| view.team.id.as_str().as_bytes());
        let next_page_token = page.next(&self.0, last);
        Ok(Response::new(pb::ListTeamsResponse { teams: teams.iter().map(team_message).collect(), next_page_token }))
    }

    async fn update_team(
        &self,
        request: Request<pb::UpdateTeamRequest>,
    ) -> Result<Response<pb::UpdateTeamResponse>, Status> {
        const CALL: &str = "TeamService/UpdateTeam";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let (id, change) = read_team_change(&request)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller) = (self.0.clone(), caller.clone());
        let work = async move {
            let team = broker.update_team(&caller, &id, change).await.map_err(Refusal::from)?;
            Ok(pb::UpdateTeamResponse { team: Some(team_message(&team)) })
        };
        mutation.once(&request, work).await
    }

    async fn delete_team(
        &self,
        request: Request<pb::DeleteTeamRequest>,
    ) -> Result<Response<pb::DeleteTeamResponse>, Status> {
        const CALL: &str = "TeamService/DeleteTeam";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let mut mistakes = FieldMistakes::default();
        let id = name_in("name", "teams", &request.name, &mut mistakes);
        check_request_id(&request.request_id, &mut mistakes);
        mistakes.check()?;
        let Some(id) = id else { return Err(unread()) };
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller, force) = (self.0.clone(), caller.clone(), request.force);
        let work = async move {
            broker.delete_team(&caller, &id, force).await.map_err(Refusal::from)?;
            Ok(pb::DeleteTeamResponse {})
        };
        mutation.once(&request, work).await
    }

    async fn create_collector(
        &self,
        request: Request<pb::CreateCollectorRequest>,
    ) -> Result<Response<pb::CreateCollectorResponse>, Status> {
        const CALL: &str = "TeamService/CreateCollector";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let ask = read_collector(&request)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller) = (self.0.clone(), caller.clone());
        let work = async move {
            let collector = broker.create_collector(&caller, ask).await.map_err(Refusal::from)?;
            Ok(pb::CreateCollectorResponse { collector: Some(collector_message(&broker, &collector)) })
        };
        mutation.once(&request, work).await
    }

    async fn get_collector(
        &self,
        request: Request<pb::GetCollectorRequest>,
    ) -> Result<Response<pb::GetCollectorResponse>, Status> {
        authorize(&self.0, &request, "TeamService/GetCollector")?;
        let (team, id) = collector_named(&request.get_ref().name)?;
        let collector = self.0.collector(&team, id).map_err(Refusal::from)?;
        Ok(Response::new(pb::GetCollectorResponse { collector: Some(collector_message(&self.0, &collector)) }))
    }

    async fn list_collectors(
        &self,
        request: Request<pb::ListCollectorsRequest>,
    ) -> Result<Response<pb::ListCollectorsResponse>, Status> {
        authorize(&self.0, &request, "TeamService/ListCollectors")?;
        let request = request.into_inner();
        let mut mistakes = FieldMistakes::default();
        let team = team_or_all("parent", &request.parent, &mut mistakes);
        mistakes.check()?;
        let filters = request.parent.clone().into_bytes();
        let page = Page::read(&self.0, "collectors", filters, request.page_size, &request.page_token)?;
        let after = page.after_id(CollectorId::from_slice);
        let team = team.flatten();
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
        const CALL: &str = "TeamService/UpdateCollector";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let (team, id, change) = read_collector_change(&request)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller) = (self.0.clone(), caller.clone());
        let work = async move {
            let collector = broker.update_collector(&caller, &team, id, change).await.map_err(Refusal::from)?;
            Ok(pb::UpdateCollectorResponse { collector: Some(collector_message(&broker, &collector)) })
        };
        mutation.once(&request, work).await
    }

    async fn disable_collector(
        &self,
        request: Request<pb::DisableCollectorRequest>,
    ) -> Result<Response<pb::DisableCollectorResponse>, Status> {
        const CALL: &str = "TeamService/DisableCollector";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let (team, id) = read_collector_call(&request.name, &request.comment, &request.request_id)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller, comment) = (self.0.clone(), caller.clone(), request.comment.clone());
        let work = async move {
            let done = broker.disable_collector(&caller, &team, id, &comment).await.map_err(Refusal::from)?;
            Ok(pb::DisableCollectorResponse { collector: Some(collector_message(&broker, &done)) })
        };
        mutation.once(&request, work).await
    }

    async fn enable_collector(
        &self,
        request: Request<pb::EnableCollectorRequest>,
    ) -> Result<Response<pb::EnableCollectorResponse>, Status> {
        const CALL: &str = "TeamService/EnableCollector";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let (team, id) = read_collector_call(&request.name, &request.comment, &request.request_id)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller, comment) = (self.0.clone(), caller.clone(), request.comment.clone());
        let work = async move {
            let done = broker.enable_collector(&caller, &team, id, &comment).await.map_err(Refusal::from)?;
            Ok(pb::EnableCollectorResponse { collector: Some(collector_message(&broker, &done)) })
        };
        mutation.once(&request, work).await
    }

    async fn delete_collector(
        &self,
        request: Request<pb::DeleteCollectorRequest>,
    ) -> Result<Response<pb::DeleteCollectorResponse>, Status> {
        const CALL: &str = "TeamService/DeleteCollector";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let (team, id) = read_collector_call(&request.name, "", &request.request_id)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller, force) = (self.0.clone(), caller.clone(), request.force);
        let work = async move {
            broker.delete_collector(&caller, &team, id, force).await.map_err(Refusal::from)?;
            Ok(pb::DeleteCollectorResponse {})
        };
        mutation.once(&request, work).await
    }
}

/// A field could not be read although no mistake was noted: never sent, since each reader notes its mistakes.
fn unread() -> Status {
    Status::invalid_argument("a required field can't be read")
}

fn team_named(name: &str) -> Result<TeamId, Status> {
    let mut mistakes = FieldMistakes::default();
    let team = name_in("name", "teams", name, &mut mistakes);
    mistakes.check()?;
    team.ok_or_else(unread)
}

fn collector_named(name: &str) -> Result<(TeamId, CollectorId), Status> {
    read_collector_call(name, "", "")
}

fn read_collector_call(name: &str, comment: &str, request_id: &str) -> Result<(TeamId, CollectorId), Status> {
    let mut mistakes = FieldMistakes::default();
    let named = child_in("name", ["teams", "collectors"], name, &mut mistakes);
    check_text("comment", comment, COMMENT, &mut mistakes);
    check_request_id(request_id, &mut mistakes);
    mistakes.check()?;
    named.ok_or_else(unread)
}

fn read_team(request: &pb::CreateTeamRequest) -> Result<CreateTeam, Status> {
    let mut mistakes = FieldMistakes::default();
    check_request_id(&request.request_id, &mut mistakes);
    let id = mistakes.parse("team_id", &request.team_id);
    let team = request.team.clone().unwrap_or_default();
    check_text("team.display_name", &team.display_name, NAME, &mut mistakes);
    let weight = number_or("team.weight", team.weight, WEIGHTS, DEFAULT_WEIGHT, &mut mistakes);
    let reserve_percent = reserve_percent("team.reserve_percent", team.reserve_percent, &mut mistakes);
    mistakes.check()?;
    let id = id.ok_or_else(unread)?;
    Ok(CreateTeam { id, display_name: team.display_name, weight, reserve_percent })
}

fn read_team_change(request: &pb::UpdateTeamRequest) -> Result<(TeamId, UpdateTeam), Status> {
    let mut mistakes = FieldMistakes::default();
    check_request_id(&request.request_id, &mut mistakes);
    let team = required("team", request.team.clone(), &mut mistakes);
    let id = name_in("team.name", "teams", &team.name, &mut mistakes);
    let known = ["display_name", "weight", "reserve_percent"];
    let mut change = UpdateTeam::default();
    for path in mask(request.update_mask.as_ref(), &known, &[], &mut mistakes) {
        match path.as_str() {
            "display_name" => {
                check_text("team.display_name", &team.display_name, NAME, &mut mistakes);
                change.display_name = Some(team.display_name.clone());
            }
            "weight" => {
                let weight = number_or("team.weight", team.weight, WEIGHTS, DEFAULT_WEIGHT, &mut mistakes);
                change.weight = Some(weight);
            }
            _ => {
                let reserve = reserve_percent("team.reserve_percent", team.reserve_percent, &mut mistakes);
                change.reserve_percent = Some(reserve);
            }
        }
    }
    mistakes.check()?;
    Ok((id.ok_or_else(unread)?, change))
}

fn read_collector(request: &pb::CreateCollectorRequest) -> Result<CreateCollector, Status> {
    let mut mistakes = FieldMistakes::default();
    check_request_id(&request.request_id, &mut mistakes);
    let team = name_in("parent", "teams", &request.parent, &mut mistakes);
    let given = required("collector", request.collector.clone(), &mut mistakes);
    check_given("collector.display_name", &given.display_name, &mut mistakes);
    check_text("collector.display_name", &given.display_name, NAME, &mut mistakes);
    check_certificates(&given, &mut mistakes);
    let (networks, all_networks) = networks("collector.networks", &given.networks, &mut mistakes);
    let purposes = purposes("collector.purposes", &given.purposes, &mut mistakes);
    let max_leases = max_leases(&given, &mut mistakes);
    let weight = number_or("collector.weight", given.weight, WEIGHTS, DEFAULT_WEIGHT, &mut mistakes);
    mistakes.check()?;
    let scope = CollectorScope { networks, all_networks, purposes, max_leases };
    Ok(CreateCollector { team: team.ok_or_else(unread)?, display_name: given.display_name, scope, weight })
}

fn read_collector_change(
    request: &pb::UpdateCollectorRequest,
) -> Result<(TeamId, CollectorId, UpdateCollector), Status> {
    let mut mistakes = FieldMistakes::default();
    check_request_id(&request.request_id, &mut mistakes);
    let given = required("collector", request.collector.clone(), &mut mistakes);
    let named = child_in("collector.name", ["teams", "collectors"], &given.name, &mut mistakes);
    let known = ["display_name", "networks", "purposes", "max_concurrent_leases", "weight", "certificate_names"];
    let mut change = UpdateCollector::default();
    for path in mask(request.update_mask.as_ref(), &known, &[], &mut mistakes) {
        match path.as_str() {
            "display_name" => {
                check_given("collector.display_name", &given.display_name, &mut mistakes);
                check_text("collector.display_name", &given.display_name, NAME, &mut mistakes);
                change.display_name = Some(given.display_name.clone());
            }
            "networks" => {
                change.networks = Some(networks("collector.networks", &given.networks, &mut mistakes));
            }
            "purposes" => {
                change.purposes = Some(purposes("collector.purposes", &given.purposes, &mut mistakes));
            }
            "max_concurrent_leases" => change.max_leases = Some(max_leases(&given, &mut mistakes)),
            "weight" => {
                let weight = number_or("collector.weight", given.weight, WEIGHTS, DEFAULT_WEIGHT, &mut mistakes);
                change.weight = Some(weight);
            }
            _ => check_certificates(&given, &mut mistakes),
        }
    }
    mistakes.check()?;
    let (team, id) = named.ok_or_else(unread)?;
    Ok((team, id, change))
}

/// Collectors authenticate with keys. A name that would be forgotten is refused rather than passed over.
fn check_certificates(collector: &pb::Collector, mistakes: &mut FieldMistakes) {
    if !collector.certificate_names.is_empty() {
        let wrong = "collectors authenticate with keys on this broker; leave it empty and create a key";
        mistakes.note("collector.certificate_names", wrong);
    }
}

fn max_leases(collector: &pb::Collector, mistakes: &mut FieldMistakes) -> u32 {
    let field = "collector.max_concurrent_leases";
    number_or(field, collector.max_concurrent_leases, LEASES, DEFAULT_MAX_LEASES, mistakes)
}

fn team_message(view: &TeamView) -> pb::Team {
    let team = &view.team;
    pb::Team {
        name: format!("teams/{}", team.id),
        display_name: team.display_name.clone(),
        weight: small(team.weight),
        reserve_percent: team.reserve_percent.map(i32::from),
        tokens: count(view.tokens),
        collectors: small(view.collectors),
        create_time: Some(timestamp(team.created_at)),
    }
}

fn collector_message(broker: &Broker, collector: &Collector) -> pb::Collector {
    let scope = &collector.scope;
    let mut networks: Vec<_> = scope.networks.iter().map(|network| format!("networks/{network}")).collect();
    if scope.all_networks {
        networks.insert(0, "networks/-".to_owned());
    }
    pb::Collector {
        name: format!("teams/{}/collectors/{}", collector.team, collector.id),
        display_name: collector.display_name.clone(),
        networks,
        purposes: from_purposes(scope.purposes),
        max_concurrent_leases: small(scope.max_leases),
        weight: small(collector.weight),
        certificate_names: Vec::new(),
        disabled: collector.disabled,
        active_leases: small(broker.engine.leases_of(collector.id)),
        create_time: Some(timestamp(collector.created_at)),
        last_call_time: None,
    }
}
