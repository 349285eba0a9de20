//! Tells open pages that something changed, by server-sent events. An event says only which part of the console it concerns; the page fetches
//! that part anew, as it may be seen now. So nothing is queued for a slow page: what it missed is told as one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{ByItself, OperatorVisit, Visit};
use crate::base::ids::TeamId;
use crate::domain::alert::Alert;
use crate::domain::notice::Event;
use crate::service::{Broker, Caller, Loads, Place, TeamLoad};
use crate::web::cookie::{operator_session_of, session_of};

/// How often a page is brought up to date though nothing was told, and whether its session goes on is looked at.
const EVERY: Duration = Duration::from_secs(30);

/// What an open page listens to.
struct Open {
    broker: Broker,
    /// Of which team it hears; `None`: of all.
    team: Option<TeamId>,
    secret: String,
    loads: watch::Receiver<Arc<Loads>>,
    alerts: broadcast::Receiver<Arc<Alert>>,
    notices: broadcast::Receiver<Arc<Event>>,
    tick: Interval,
    /// What it heard of the loads of its team last.
    heard: Option<Arc<TeamLoad>>,
    _place: Place,
}

/// The events of a page that is open. They end with the session.
pub(super) async fn stream(
    State(broker): State<Broker>,
    ByItself(visit): ByItself<Visit>,
    headers: HeaderMap,
) -> Response {
    events(broker, &visit.caller(), session_of(&headers))
}

/// The same for an operator.
pub(super) async fn stream_of_operator(
    State(broker): State<Broker>,
    ByItself(visit): ByItself<OperatorVisit>,
    headers: HeaderMap,
) -> Response {
    events(broker, &visit.caller(), operator_session_of(&headers))
}

fn events(broker: Broker, caller: &Caller, secret: &str) -> Response {
    let Some(place) = broker.watch.pages.take(caller) else {
        // The page tries again.
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let open = Open::new(broker, caller.team().cloned(), secret, EVERY, place);
    Sse::new(stream::unfold(open, Open::next)).keep_alive(KeepAlive::new().interval(EVERY / 2)).into_response()
}

impl Open {
    fn new(broker: Broker, team: Option<TeamId>, secret: &str, every: Duration, place: Place) -> Self {
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.reset();
        Self {
            heard: team.as_ref().and_then(|team| broker.watch.loads().teams.get(team).cloned()),
            team,
            secret: secret.to_owned(),
            loads: broker.watch.watch_loads(),
            alerts: broker.watch.watch_alerts(),
            notices: broker.notices.watch(),
            broker,
            tick,
            _place: place,
        }
    }

    fn hears(&self, of: Option<&TeamId>) -> bool {
        self.team.is_none() || of == self.team.as_ref()
    }

    /// Whether the loads are others than those that were heard of last. Operators hear of every evaluation: their pages show more than loads.
    fn hears_of_loads(&mut self) -> bool {
        let Some(team) = &self.team else { return true };
        let now = self.loads.borrow_and_update().teams.get(team).cloned();
        let is_news = match (&self.heard, &now) {
            (Some(heard), Some(now)) => !heard.shows_as(now),
            (heard, now) => heard.is_some() || now.is_some(),
        };
        self.heard = now;
        is_news
    }

    async fn next(mut self) -> Option<(Result<Message, Infallible>, Self)> {
        let part = loop {
            tokio::select! {
                changed = self.loads.changed() => match changed {
                    Ok(()) if self.hears_of_loads() => break "loads",
                    Ok(()) => {}
                    Err(_) => return None,
                },
                alert = self.alerts.recv() => match alert {
                    Ok(alert) if self.hears(Some(&alert.key.load.team)) => break "alerts",
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => break "alerts",
                    Err(RecvError::Closed) => return None,
                },
                event = self.notices.recv() => match event {
                    Ok(event) if self.hears(event.team.as_ref()) => break "notices",
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => break "notices",
                    Err(RecvError::Closed) => return None,
                },
                _ = self.tick.tick() => match self.broker.is_signed_in(&self.secret).await {
                    Ok(true) => break "tick",
                    Ok(false) => return None,
                    // It is looked at again with the next tick.
                    Err(_) => {}
                },
            }
        };
        // Browsers drop an event without data.
        Some((Ok(Message::default().event(part).data(part)), self))
    }
}

#[cfg(test)]
mod tests;
