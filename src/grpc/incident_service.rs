//! `IncidentService`: what hit many tokens at once, and the people who look at it.

use tokio::sync::broadcast::Receiver;
use tonic::{Request, Response, Status};

use crate::base::ids::IncidentId;
use crate::domain::incident::{IncidentKind, Outcome, Stage};
use crate::grpc::authorization::authorize;
use crate::grpc::change::{answers, asked, change};
use crate::grpc::convert::{optional_timestamp, timestamp};
use crate::grpc::fields::{COMMENT, check_text, count, name_in, small};
use crate::grpc::page::Page;
use crate::grpc::pb::watch_incidents_response::Event;
use crate::grpc::pb::{self, incident_service_server::IncidentService};
use crate::grpc::status::Refusal;
use crate::grpc::watching::{Messages, Subject, watch};
use crate::service::incidents::{IncidentView, MOST_OPEN};
use crate::service::{Broker, Caller, IncidentFilter};

/// The service, for a broker.
pub struct IncidentServer(pub Broker);

#[tonic::async_trait]
impl IncidentService for IncidentServer {
    async fn list_incidents(
        &self,
        request: Request<pb::ListIncidentsRequest>,
    ) -> Result<Response<pb::ListIncidentsResponse>, Status> {
        let caller = authorize(&self.0, &request, "IncidentService/ListIncidents")?;
        let network = asked(request.get_ref(), |request, mistakes| match request.network.as_str() {
            "" => Some(None),
            named => name_in("network", "networks", named, mistakes).map(Some),
        })?;
        let page = Page::of(&self.0, "incidents", request.get_ref())?;
        let open = request.get_ref().open;
        let wanted = IncidentFilter { network, open, before: page.after_id(IncidentId::from_slice) };
        let most = u32::try_from(page.size + 1).unwrap_or(u32::MAX);
        let mut listed = self.0.list_incidents(&caller, wanted, most).await.map_err(Refusal::from)?;
        let more = listed.len() > page.size;
        listed.truncate(page.size);
        let last = listed.last().filter(|_| more).map(|view| view.incident.id);
        let next_page_token = page.next(&self.0, last.as_ref().map(|id| &id.as_bytes()[..]));
        let incidents = listed.iter().map(|view| incident_message(&self.0, view)).collect();
        Ok(Response::new(pb::ListIncidentsResponse { incidents, next_page_token }))
    }

    async fn get_incident(
        &self,
        request: Request<pb::GetIncidentRequest>,
    ) -> Result<Response<pb::GetIncidentResponse>, Status> {
        let caller = authorize(&self.0, &request, "IncidentService/GetIncident")?;
        let id = asked(request.get_ref(), |request, mistakes| name_in("name", "incidents", &request.name, mistakes))?;
        let view = self.0.get_incident(&caller, id).await.map_err(Refusal::from)?;
        Ok(Response::new(pb::GetIncidentResponse { incident: Some(incident_message(&self.0, &view)) }))
    }

    async fn acknowledge_incident(
        &self,
        request: Request<pb::AcknowledgeIncidentRequest>,
    ) -> Result<Response<pb::AcknowledgeIncidentResponse>, Status> {
        let read = |request: &pb::AcknowledgeIncidentRequest, mistakes: &mut _| {
            check_text("comment", &request.comment, COMMENT, mistakes);
            let id: IncidentId = name_in("name", "incidents", &request.name, mistakes)?;
            Some((id, request.comment.clone()))
        };
        let call = "IncidentService/AcknowledgeIncident";
        change(&self.0, request, call, read, |broker, attempt, (id, comment)| async move {
            broker.acknowledge_incident(attempt, id, &comment).await
        })
        .await
    }

    async fn close_incident(
        &self,
        request: Request<pb::CloseIncidentRequest>,
    ) -> Result<Response<pb::CloseIncidentResponse>, Status> {
        let read = |request: &pb::CloseIncidentRequest, mistakes: &mut crate::grpc::status::FieldMistakes| {
            check_text("comment", &request.comment, COMMENT, mistakes);
            let outcome = match request.outcome() {
                pb::IncidentOutcome::Recovered => Some(Outcome::Recovered),
                pb::IncidentOutcome::Lost => Some(Outcome::Lost),
                pb::IncidentOutcome::Unspecified => {
                    mistakes.note("outcome", "is required: say whether the tokens work again or are lost");
                    None
                }
            };
            let id: Option<IncidentId> = name_in("name", "incidents", &request.name, mistakes);
            Some((id?, outcome?, request.comment.clone()))
        };
        let call = "IncidentService/CloseIncident";
        change(&self.0, request, call, read, |broker, attempt, (id, outcome, comment)| async move {
            broker.close_incident(attempt, id, outcome, &comment).await
        })
        .await
    }

    type WatchIncidentsStream = Messages<pb::WatchIncidentsResponse>;

    async fn watch_incidents(
        &self,
        request: Request<pb::WatchIncidentsRequest>,
    ) -> Result<Response<Self::WatchIncidentsStream>, Status> {
        let caller = authorize(&self.0, &request, Incidents::CALL)?;
        watch(&self.0, caller, &request, Incidents).await
    }
}

/// All incidents.
struct Incidents;

#[tonic::async_trait]
impl Subject for Incidents {
    const CALL: &'static str = "IncidentService/WatchIncidents";
    type Change = IncidentId;
    type Message = pb::WatchIncidentsResponse;

    fn changes(&self, broker: &Broker) -> Receiver<IncidentId> {
        broker.watch.watch_incidents()
    }

    async fn open(&self, broker: &Broker, caller: &Caller) -> Result<Vec<pb::WatchIncidentsResponse>, Status> {
        let wanted = IncidentFilter { open: Some(true), ..IncidentFilter::default() };
        let open = broker.list_incidents(caller, wanted, MOST_OPEN).await.map_err(Refusal::from)?;
        // The newest comes last, as news do.
        Ok(open.iter().rev().map(|view| told(broker, view)).collect())
    }

    fn is_same(&self, one: &IncidentId, other: &IncidentId) -> bool {
        one == other
    }

    async fn message(
        &self,
        broker: &Broker,
        caller: &Caller,
        changed: IncidentId,
    ) -> Result<Option<pb::WatchIncidentsResponse>, Status> {
        let view = broker.get_incident(caller, changed).await.map_err(Refusal::from)?;
        Ok(Some(told(broker, &view)))
    }

    fn synced() -> pb::WatchIncidentsResponse {
        pb::WatchIncidentsResponse { event: Some(Event::Synced(true)) }
    }

    fn restarted() -> pb::WatchIncidentsResponse {
        pb::WatchIncidentsResponse { event: Some(Event::Restarted(true)) }
    }
}

fn told(broker: &Broker, view: &IncidentView) -> pb::WatchIncidentsResponse {
    pb::WatchIncidentsResponse { event: Some(Event::Incident(Box::new(incident_message(broker, view)))) }
}

answers! {
    AcknowledgeIncidentResponse { incident } = incident_message, of IncidentView;
    CloseIncidentResponse { incident } = incident_message, of IncidentView;
}

/// An incident on the wire.
fn incident_message(_: &Broker, view: &IncidentView) -> pb::Incident {
    let incident = &view.incident;
    let (progress, closed) = (&incident.progress, incident.closed.as_ref());
    let team = |(team, tokens): &(_, u64)| pb::IncidentTeam { team: format!("teams/{team}"), tokens: count(*tokens) };
    pb::Incident {
        name: format!("incidents/{}", incident.id),
        kind: match progress.kind {
            IncidentKind::NetworkReset => pb::IncidentKind::NetworkReset.into(),
            IncidentKind::AppDisabled => pb::IncidentKind::AppDisabled.into(),
            IncidentKind::ProviderOutage => pb::IncidentKind::ProviderOutage.into(),
        },
        state: match (closed, &incident.acknowledged) {
            (Some(_), _) => pb::IncidentState::Closed.into(),
            (None, Some(_)) => pb::IncidentState::Acknowledged.into(),
            (None, None) => pb::IncidentState::Open.into(),
        },
        app: format!("networks/{}/apps/{}", incident.network, incident.app),
        stage: match progress.recovery.stage {
            Stage::Canaries => pb::IncidentStage::Canaries.into(),
            Stage::Share => pb::IncidentStage::Share.into(),
            Stage::All => pb::IncidentStage::All.into(),
        },
        message: incident.message(),
        leases_stopped: progress.stops_leases() && closed.is_none(),
        persons: small(progress.persons),
        served: small(progress.recovery.served),
        refused: small(progress.recovery.refused),
        teams: view.teams.iter().map(team).collect(),
        example_tokens: view.examples.iter().map(|(team, token)| format!("teams/{team}/tokens/{token}")).collect(),
        start_time: Some(timestamp(progress.started_at)),
        open_time: Some(timestamp(progress.opened_at)),
        next_canary_time: closed.is_none().then(|| timestamp(progress.recovery.next_canary_at)),
        acknowledge_time: optional_timestamp(incident.acknowledged.as_ref().map(|(at, _)| *at)),
        acknowledged_by: incident.acknowledged.as_ref().map(|(_, by)| by.clone()).unwrap_or_default(),
        close_time: optional_timestamp(closed.map(|closed| closed.at)),
        closed_by: closed.map(|closed| closed.by.clone()).unwrap_or_default(),
        outcome: match closed.map(|closed| closed.outcome) {
            None => pb::IncidentOutcome::Unspecified.into(),
            Some(Outcome::Recovered) => pb::IncidentOutcome::Recovered.into(),
            Some(Outcome::Lost) => pb::IncidentOutcome::Lost.into(),
        },
    }
}
