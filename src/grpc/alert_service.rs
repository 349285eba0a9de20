//! `AlertService`: alerts, and the people who take notice of them.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tonic::{Request, Response, Status};

use crate::base::ids::{AlertId, TeamId};
use crate::domain::alert::{Alert, AlertKind, Detail, Level};
use crate::grpc::authorization::authorize;
use crate::grpc::change::{answers, asked, change};
use crate::grpc::convert::{from_timestamp, optional_timestamp, timestamp};
use crate::grpc::fields::{COMMENT, check_text, child_in, name_in, team_or_all};
use crate::grpc::load_message::{advice, causes, ratio};
use crate::grpc::page::Page;
use crate::grpc::pb::watch_alerts_response::Event;
use crate::grpc::pb::{self, alert_service_server::AlertService};
use crate::grpc::status::{FieldMistakes, Refusal};
use crate::grpc::watching::{Messages, Subject, watch};
use crate::service::{AlertError, AlertStanding, Broker, Caller, ListAlerts, standing};

/// The service, for a broker.
pub struct AlertServer(pub Broker);

#[tonic::async_trait]
impl AlertService for AlertServer {
    async fn list_alerts(
        &self,
        request: Request<pb::ListAlertsRequest>,
    ) -> Result<Response<pb::ListAlertsResponse>, Status> {
        let caller = authorize(&self.0, &request, "AlertService/ListAlerts")?;
        let mut wanted = asked(request.get_ref(), read_filter)?;
        let page = Page::of(&self.0, "alerts", request.get_ref())?;
        wanted.before = page.after_id(AlertId::from_slice);
        let mut listed = self.0.list_alerts(&caller, wanted, page.size + 1).await.map_err(Refusal::from)?;
        let more = listed.len() > page.size;
        listed.truncate(page.size);
        let last = listed.last().filter(|_| more).map(|alert| alert.id);
        let next_page_token = page.next(&self.0, last.as_ref().map(|id| &id.as_bytes()[..]));
        let alerts = listed.iter().map(|alert| alert_message(&self.0, alert)).collect();
        Ok(Response::new(pb::ListAlertsResponse { alerts, next_page_token }))
    }

    async fn get_alert(&self, request: Request<pb::GetAlertRequest>) -> Result<Response<pb::GetAlertResponse>, Status> {
        let caller = authorize(&self.0, &request, "AlertService/GetAlert")?;
        let (team, id): (TeamId, AlertId) = asked(request.get_ref(), |request, mistakes| {
            child_in("name", ["teams", "alerts"], &request.name, mistakes)
        })?;
        let alert = self.0.get_alert(&caller, &team, id).await.map_err(Refusal::from)?;
        Ok(Response::new(pb::GetAlertResponse { alert: Some(alert_message(&self.0, &alert)) }))
    }

    async fn acknowledge_alert(
        &self,
        request: Request<pb::AcknowledgeAlertRequest>,
    ) -> Result<Response<pb::AcknowledgeAlertResponse>, Status> {
        let read = |request: &pb::AcknowledgeAlertRequest, mistakes: &mut _| {
            check_text("comment", &request.comment, COMMENT, mistakes);
            let (team, id): (TeamId, AlertId) = child_in("name", ["teams", "alerts"], &request.name, mistakes)?;
            Some((team, id, request.comment.clone()))
        };
        let call = "AlertService/AcknowledgeAlert";
        change(&self.0, request, call, read, |broker, attempt, (team, id, comment)| async move {
            broker.acknowledge_alert(attempt, &team, id, &comment).await
        })
        .await
    }

    type WatchAlertsStream = Messages<pb::WatchAlertsResponse>;

    async fn watch_alerts(
        &self,
        request: Request<pb::WatchAlertsRequest>,
    ) -> Result<Response<Self::WatchAlertsStream>, Status> {
        let caller = authorize(&self.0, &request, AlertsOf::CALL)?;
        let team = asked(request.get_ref(), |request, mistakes| team_or_all("parent", &request.parent, mistakes))?;
        if let Some(team) = team.as_ref().filter(|team| self.0.directory.team(team).is_none()) {
            return Err(Refusal::from(AlertError::TeamNotFound(team.clone())).status());
        }
        watch(&self.0, caller, &request, AlertsOf(team)).await
    }
}

answers! { AcknowledgeAlertResponse { alert } = alert_message, of Alert; }

/// The alerts of a team, or of all.
struct AlertsOf(Option<TeamId>);

#[tonic::async_trait]
impl Subject for AlertsOf {
    const CALL: &'static str = "AlertService/WatchAlerts";
    type Change = Arc<Alert>;
    type Message = pb::WatchAlertsResponse;

    fn changes(&self, broker: &Broker) -> Receiver<Arc<Alert>> {
        broker.watch.watch_alerts()
    }

    async fn open(&self, broker: &Broker, _: &Caller) -> Result<Vec<pb::WatchAlertsResponse>, Status> {
        let open = broker.open_alerts(self.0.as_ref()).await.map_err(Refusal::from)?;
        Ok(open.into_iter().map(|alert| told(broker, &broker.as_seen_now(alert))).collect())
    }

    fn is_same(&self, one: &Arc<Alert>, other: &Arc<Alert>) -> bool {
        one.id == other.id
    }

    async fn message(
        &self,
        broker: &Broker,
        _: &Caller,
        alert: Arc<Alert>,
    ) -> Result<Option<pb::WatchAlertsResponse>, Status> {
        let wanted = self.0.as_ref().is_none_or(|team| alert.key.load.team == *team);
        Ok(wanted.then(|| told(broker, &alert)))
    }

    fn synced() -> pb::WatchAlertsResponse {
        pb::WatchAlertsResponse { event: Some(Event::Synced(true)) }
    }

    fn restarted() -> pb::WatchAlertsResponse {
        pb::WatchAlertsResponse { event: Some(Event::Restarted(true)) }
    }
}

fn told(broker: &Broker, alert: &Alert) -> pb::WatchAlertsResponse {
    pb::WatchAlertsResponse { event: Some(Event::Alert(Box::new(alert_message(broker, alert)))) }
}

fn read_filter(request: &pb::ListAlertsRequest, mistakes: &mut FieldMistakes) -> Option<ListAlerts> {
    let team = team_or_all("parent", &request.parent, mistakes);
    let network = match request.network.as_str() {
        "" => None,
        named => name_in("network", "networks", named, mistakes),
    };
    let kind = match pb::AlertKind::try_from(request.kind) {
        Ok(pb::AlertKind::Unspecified) => None,
        Ok(pb::AlertKind::TokenLoadTooHigh) => Some(AlertKind::TokenLoadTooHigh),
        Ok(pb::AlertKind::NoAccessTokens) => Some(AlertKind::NoAccessTokens),
        Err(_) => {
            mistakes.note("kind", "is not known");
            None
        }
    };
    let state = match pb::AlertState::try_from(request.state) {
        Ok(pb::AlertState::Unspecified) => None,
        Ok(pb::AlertState::Open) => Some(AlertStanding::Open),
        Ok(pb::AlertState::Acknowledged) => Some(AlertStanding::Acknowledged),
        Ok(pb::AlertState::Cleared) => Some(AlertStanding::Cleared),
        Err(_) => {
            mistakes.note("state", "is not known");
            None
        }
    };
    Some(ListAlerts {
        team: team?,
        network,
        kind,
        state,
        from: request.start_time.as_ref().map(from_timestamp),
        until: request.end_time.as_ref().map(from_timestamp),
        before: None,
    })
}

/// An alert on the wire.
fn alert_message(broker: &Broker, alert: &Alert) -> pb::Alert {
    let load = &alert.key.load;
    let acknowledged = alert.acknowledged.as_ref();
    let times = [Some(alert.opened_at), acknowledged.map(|noted| noted.at), alert.cleared_at];
    let mut message = pb::Alert {
        name: format!("teams/{}/alerts/{}", load.team, alert.id),
        kind: match alert.key.kind {
            AlertKind::TokenLoadTooHigh => pb::AlertKind::TokenLoadTooHigh.into(),
            AlertKind::NoAccessTokens => pb::AlertKind::NoAccessTokens.into(),
        },
        state: match standing(alert) {
            AlertStanding::Open => pb::AlertState::Open.into(),
            AlertStanding::Acknowledged => pb::AlertState::Acknowledged.into(),
            AlertStanding::Cleared => pb::AlertState::Cleared.into(),
        },
        network: format!("networks/{}", load.network),
        credit_class: load.class.to_string(),
        level: match (alert.key.kind, alert.level) {
            (AlertKind::NoAccessTokens, _) => pb::LoadLevel::NoTokens.into(),
            (AlertKind::TokenLoadTooHigh, Level::Warning) => pb::LoadLevel::High.into(),
            (AlertKind::TokenLoadTooHigh, Level::Critical) => pb::LoadLevel::Critical.into(),
        },
        message: alert.message.clone(),
        open_time: Some(timestamp(alert.opened_at)),
        update_time: optional_timestamp(times.into_iter().flatten().max()),
        acknowledge_time: optional_timestamp(acknowledged.map(|noted| noted.at)),
        acknowledged_by: acknowledged.map(|noted| noted.by.clone()).unwrap_or_default(),
        acknowledge_comment: acknowledged.map(|noted| noted.comment.clone()).unwrap_or_default(),
        clear_time: optional_timestamp(alert.cleared_at),
        deduplication_key: alert.key.to_string(),
        ..pb::Alert::default()
    };
    if let Detail::Load(detail) = &alert.detail {
        let shares: Vec<_> =
            detail.causes.iter().map(|cause| (cause.collection.as_str().into(), cause.share)).collect();
        message.ratio = ratio(detail.ratio);
        message.advice = advice(&detail.advice, load.network.as_str(), broker.target_load());
        message.causes = causes(&shares, detail.demand);
    }
    message
}
