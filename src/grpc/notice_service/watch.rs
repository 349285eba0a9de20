//! A stream of a member's notices, as they come.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tonic::Status;

use crate::base::ids::{MemberId, TeamId};
use crate::domain::notice::Event;
use crate::grpc::call::Closing;
use crate::grpc::notice_service::WATCH;
use crate::grpc::notice_service::message::notice_message;
use crate::grpc::pb;
use crate::grpc::pb::watch_notices_response::Event as Told;
use crate::grpc::status::Refusal;
use crate::grpc::watch_refusals::{shutting_down, too_many_streams};
use crate::grpc::watching::until_over;
use crate::service::{Broker, Caller, Place};

/// A stream of notices. If a slow reader falls too far behind, it is told that it missed some.
pub struct WatchingNotices {
    broker: Broker,
    caller: Caller,
    closing: Option<Closing>,
    team: TeamId,
    member: MemberId,
    events: Receiver<Arc<Event>>,
    begun: bool,
    _place: Place,
    over: bool,
}

impl WatchingNotices {
    /// Begins to watch, if the member is there.
    pub async fn begin(
        broker: &Broker,
        caller: Caller,
        closing: Option<Closing>,
        team: TeamId,
        member: MemberId,
    ) -> Result<Self, Status> {
        broker.notice_settings(&team, member).await.map_err(Refusal::from)?;
        let (broker, place) = (broker.clone(), broker.watch.watches.take(&caller).ok_or_else(too_many_streams)?);
        let events = broker.notices.watch();
        Ok(Self { broker, caller, closing, team, member, events, begun: false, _place: place, over: false })
    }

    /// The next message, and the stream after it.
    pub async fn next(mut self) -> Option<(Result<pb::WatchNoticesResponse, Status>, Self)> {
        if self.over {
            return None;
        }
        let (broker, caller, closing) = (self.broker.clone(), self.caller.clone(), self.closing.clone());
        let told = until_over(&broker, &caller, WATCH, closing, self.told()).await?;
        self.over = told.is_err();
        Some((told.map(|event| pb::WatchNoticesResponse { event: Some(event) }), self))
    }

    async fn told(&mut self) -> Result<Told, Status> {
        if !std::mem::replace(&mut self.begun, true) {
            return Ok(Told::Synced(true));
        }
        loop {
            let event = match self.events.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(_)) => return Ok(Told::Missed(true)),
                Err(RecvError::Closed) => return Err(shutting_down()),
            };
            if event.team.as_ref() != Some(&self.team) {
                continue;
            }
            let notice = self.broker.notice_of(&self.team, self.member, &event).await.map_err(Refusal::from)?;
            if let Some(notice) = notice {
                return Ok(Told::Notice(Box::new(notice_message(&self.team, &notice))));
            }
        }
    }
}
