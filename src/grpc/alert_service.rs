//! `AlertService`: alerts, and the people who take notice of them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tonic::{Request, Response, Status};

use crate::base::ids::{AlertId, TeamId};
use crate::domain::alert::{Alert, AlertKind, Detail, Level};
use crate::grpc::authorization::{authorize, turned_away};
use crate::grpc::call::Closing;
use crate::grpc::change::{answers, asked, change};
use crate::grpc::convert::{from_timestamp, name_in, optional_timestamp, timestamp};
use crate::grpc::fields::{COMMENT, check_text, child_in, team_or_all};
use crate::grpc::load_message::{advice, causes, ratio};
use crate::grpc::load_service::closed;
use crate::grpc::page::Page;
use crate::grpc::pb::watch_alerts_response::Event;
use crate::grpc::pb::{self, alert_service_server::AlertService};
use crate::grpc::status::{FieldMistakes, Refusal};
use crate::grpc::watch_refusals::{shutting_down, too_many_streams};
use crate::service::{AlertError, AlertStanding, Broker, Caller, ListAlerts, standing};

const WATCH: &str = "AlertService/WatchAlerts";

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

    type WatchAlertsStream = Pin<Box<dyn Stream<Item = Result<pb::WatchAlertsResponse, Status>> + Send>>;

    async fn watch_alerts(
        &self,
        request: Request<pb::WatchAlertsRequest>,
    ) -> Result<Response<Self::WatchAlertsStream>, Status> {
        let caller = authorize(&self.0, &request, WATCH)?;
        let closing = request.extensions().get::<Closing>().cloned();
        let team = asked(request.get_ref(), |request, mistakes| team_or_all("parent", &request.parent, mistakes))?;
        if let Some(team) = team.as_ref().filter(|team| self.0.directory.team(team).is_none()) {
            return Err(Refusal::from(AlertError::TeamNotFound(team.clone())).status());
        }
        let mut watching = WatchingAlerts {
            _place: self.0.watch.stream_place().ok_or_else(too_many_streams)?,
            changes: self.0.watch.watch_alerts(),
            broker: self.0.clone(),
            caller,
            team,
            closing,
            pending: VecDeque::new(),
            over: false,
        };
        watching.begin().await?;
        Ok(Response::new(Box::pin(stream::unfold(watching, WatchingAlerts::next))))
    }
}

answers! { AcknowledgeAlertResponse { alert } = alert_message, of Alert; }

/// A stream of alerts. What a slow reader has not taken stays in the broadcast, and is put together when it comes: of each alert
/// only the latest state. If the broadcast overflows, it begins anew.
struct WatchingAlerts {
    broker: Broker,
    caller: Caller,
    team: Option<TeamId>,
    changes: Receiver<Arc<Alert>>,
    closing: Option<Closing>,
    _place: OwnedSemaphorePermit,
    pending: VecDeque<Event>,
    over: bool,
}

impl WatchingAlerts {
    /// Every open alert, then the mark that these were all.
    async fn begin(&mut self) -> Result<(), Status> {
        let open = self.broker.open_alerts(self.team.as_ref()).await.map_err(Refusal::from)?;
        let event = |alert: &Alert| Event::Alert(Box::new(alert_message(&self.broker, alert)));
        self.pending.extend(open.iter().map(event));
        self.pending.push_back(Event::Synced(true));
        Ok(())
    }

    async fn next(mut self) -> Option<(Result<pb::WatchAlertsResponse, Status>, Self)> {
        if self.over {
            return None;
        }
        let (broker, caller, closing) = (self.broker.clone(), self.caller.clone(), self.closing.clone());
        let told = tokio::select! {
            biased;
            status = turned_away(&broker, &caller, WATCH) => Err(status),
            told = self.event() => told,
            () = broker.tasks.stopped() => Err(shutting_down()),
            () = closed(closing) => return None,
        };
        self.over = told.is_err();
        Some((told.map(|event| pb::WatchAlertsResponse { event: Some(event) }), self))
    }

    async fn event(&mut self) -> Result<Event, Status> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(event);
            }
            match self.changes.recv().await {
                Ok(alert) => self.take_in(alert)?,
                Err(RecvError::Lagged(_)) => self.begin_anew().await?,
                Err(RecvError::Closed) => return Err(shutting_down()),
            }
        }
    }

    /// Takes this change and all that wait, of each alert the latest.
    fn take_in(&mut self, first: Arc<Alert>) -> Result<(), Status> {
        let mut changed = vec![first];
        loop {
            match self.changes.try_recv() {
                Ok(alert) => {
                    changed.retain(|before| before.id != alert.id);
                    changed.push(alert);
                }
                // An overflow shows again with the next receive.
                Err(TryRecvError::Empty | TryRecvError::Lagged(_)) => break,
                Err(TryRecvError::Closed) => return Err(shutting_down()),
            }
        }
        let wanted = changed.iter().filter(|alert| self.team.as_ref().is_none_or(|team| alert.key.load.team == *team));
        self.pending.extend(wanted.map(|alert| Event::Alert(Box::new(alert_message(&self.broker, alert)))));
        Ok(())
    }

    async fn begin_anew(&mut self) -> Result<(), Status> {
        self.changes = self.broker.watch.watch_alerts();
        self.pending.clear();
        self.pending.push_back(Event::Restarted(true));
        self.begin().await
    }
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
        clear_time: optional_timestamp(alert.cleared_at),
        deduplication_key: alert.key.to_string(),
        ..pb::Alert::default()
    };
    if let Detail::Load(detail) = &alert.detail {
        let shares: Vec<_> =
            detail.causes.iter().map(|cause| (cause.collection.as_str().into(), cause.share)).collect();
        message.ratio = ratio(detail.ratio);
        message.advice = Some(advice(&detail.advice, load.network.as_str(), broker.target_load()));
        message.causes = causes(&shares, detail.demand);
    }
    message
}
