//! `NoticeService`: what members are told and chose to hear, where teams are told, and what could not be sent.

mod message;
mod read;
mod watch;

use std::pin::Pin;

use futures_util::{Stream, stream};
use tonic::{Request, Response, Status};

use crate::base::ids::{DestinationId, EventId, OutboxId};
use crate::grpc::authorization::authorize;
use crate::grpc::call::Closing;
use crate::grpc::change::{asked, change};
use crate::grpc::fields::name_in;
use crate::grpc::page::Page;
use crate::grpc::pb::{self, notice_service_server::NoticeService};
use crate::grpc::status::Refusal;
use crate::grpc::token_service::token_message;
use crate::service::Broker;

use message::{dead_letter_message, destination_view_message, notice_message, settings_message};
use read::{
    read_dead_letter, read_destination, read_destination_change, read_destination_name, read_marks, read_member,
    read_settings, read_settings_name, risk_cursor, risk_place,
};
use watch::WatchingNotices;

const WATCH: &str = "NoticeService/WatchNotices";

/// The service, for a broker.
pub struct NoticeServer(pub Broker);

#[tonic::async_trait]
impl NoticeService for NoticeServer {
    async fn list_notices(
        &self,
        request: Request<pb::ListNoticesRequest>,
    ) -> Result<Response<pb::ListNoticesResponse>, Status> {
        authorize(&self.0, &request, "NoticeService/ListNotices")?;
        let (team, member) = asked(request.get_ref(), |request, mistakes| read_member(&request.parent, mistakes))?;
        let page = Page::of(&self.0, "notices", request.get_ref())?;
        let (unread, before) = (request.get_ref().unread, page.after_id(EventId::from_slice));
        let found = self.0.list_notices(&team, member, unread, before, page.size).await.map_err(Refusal::from)?;
        let next_page_token = page.next(&self.0, found.before.as_ref().map(|id| &id.as_bytes()[..]));
        let notices = found.notices.iter().map(|notice| notice_message(&team, notice)).collect();
        Ok(Response::new(pb::ListNoticesResponse { notices, next_page_token }))
    }

    type WatchNoticesStream = Pin<Box<dyn Stream<Item = Result<pb::WatchNoticesResponse, Status>> + Send>>;

    async fn watch_notices(
        &self,
        request: Request<pb::WatchNoticesRequest>,
    ) -> Result<Response<Self::WatchNoticesStream>, Status> {
        let caller = authorize(&self.0, &request, WATCH)?;
        let closing = request.extensions().get::<Closing>().cloned();
        let (team, member) = asked(request.get_ref(), |request, mistakes| read_member(&request.parent, mistakes))?;
        let watching = WatchingNotices::begin(&self.0, caller, closing, team, member).await?;
        Ok(Response::new(Box::pin(stream::unfold(watching, WatchingNotices::next))))
    }

    async fn mark_notices_read(
        &self,
        request: Request<pb::MarkNoticesReadRequest>,
    ) -> Result<Response<pb::MarkNoticesReadResponse>, Status> {
        let call = "NoticeService/MarkNoticesRead";
        change(&self.0, request, call, read_marks, |broker, attempt, (team, member, read)| async move {
            broker.mark_notices_read(attempt, &team, member, read).await
        })
        .await
    }

    async fn get_notice_settings(
        &self,
        request: Request<pb::GetNoticeSettingsRequest>,
    ) -> Result<Response<pb::GetNoticeSettingsResponse>, Status> {
        authorize(&self.0, &request, "NoticeService/GetNoticeSettings")?;
        let (team, member) =
            asked(request.get_ref(), |request, mistakes| read_settings_name("name", &request.name, mistakes))?;
        let settings = self.0.notice_settings(&team, member).await.map_err(Refusal::from)?;
        Ok(Response::new(pb::GetNoticeSettingsResponse { settings: Some(settings_message(&team, member, &settings)) }))
    }

    async fn update_notice_settings(
        &self,
        request: Request<pb::UpdateNoticeSettingsRequest>,
    ) -> Result<Response<pb::UpdateNoticeSettingsResponse>, Status> {
        let call = "NoticeService/UpdateNoticeSettings";
        change(&self.0, request, call, read_settings, |broker, attempt, (team, member, said)| async move {
            broker.update_notice_settings(attempt, &team, member, said).await
        })
        .await
    }

    async fn list_tokens_at_risk(
        &self,
        request: Request<pb::ListTokensAtRiskRequest>,
    ) -> Result<Response<pb::ListTokensAtRiskResponse>, Status> {
        authorize(&self.0, &request, "NoticeService/ListTokensAtRisk")?;
        let (team, member) = asked(request.get_ref(), |request, mistakes| read_member(&request.parent, mistakes))?;
        let page = Page::of(&self.0, "tokens at risk", request.get_ref())?;
        let after = page.after.as_deref().and_then(risk_place);
        let found = self.0.tokens_at_risk(&team, member, after, page.size).await.map_err(Refusal::from)?;
        let next_page_token = page.next(&self.0, found.after.map(risk_cursor).as_ref().map(|cursor| &cursor[..]));
        let tokens = found.tokens.iter().map(token_message).collect();
        Ok(Response::new(pb::ListTokensAtRiskResponse { tokens, next_page_token }))
    }

    async fn create_destination(
        &self,
        request: Request<pb::CreateDestinationRequest>,
    ) -> Result<Response<pb::CreateDestinationResponse>, Status> {
        let call = "NoticeService/CreateDestination";
        change(&self.0, request, call, read_destination, |broker, attempt, ask| async move {
            broker.create_destination(attempt, ask).await
        })
        .await
    }

    async fn get_destination(
        &self,
        request: Request<pb::GetDestinationRequest>,
    ) -> Result<Response<pb::GetDestinationResponse>, Status> {
        authorize(&self.0, &request, "NoticeService/GetDestination")?;
        let (team, id) =
            asked(request.get_ref(), |request, mistakes| read_destination_name("name", &request.name, mistakes))?;
        let found = self.0.show_destination(&team, id).await.map_err(Refusal::from)?;
        Ok(Response::new(pb::GetDestinationResponse { destination: Some(destination_view_message(&found)) }))
    }

    async fn list_destinations(
        &self,
        request: Request<pb::ListDestinationsRequest>,
    ) -> Result<Response<pb::ListDestinationsResponse>, Status> {
        authorize(&self.0, &request, "NoticeService/ListDestinations")?;
        let team = asked(request.get_ref(), |request, mistakes| name_in("parent", "teams", &request.parent, mistakes))?;
        let page = Page::of(&self.0, "destinations", request.get_ref())?;
        let after = page.after_id(DestinationId::from_slice);
        let mut found = self.0.list_destinations(&team).await.map_err(Refusal::from)?;
        found.retain(|view| after.is_none_or(|after| view.destination.id > after));
        let more = found.len() > page.size;
        found.truncate(page.size);
        let last = found.last().filter(|_| more).map(|view| view.destination.id);
        let next_page_token = page.next(&self.0, last.as_ref().map(|id| &id.as_bytes()[..]));
        let destinations = found.iter().map(destination_view_message).collect();
        Ok(Response::new(pb::ListDestinationsResponse { destinations, next_page_token }))
    }

    async fn update_destination(
        &self,
        request: Request<pb::UpdateDestinationRequest>,
    ) -> Result<Response<pb::UpdateDestinationResponse>, Status> {
        let call = "NoticeService/UpdateDestination";
        change(&self.0, request, call, read_destination_change, |broker, attempt, (team, id, ask)| async move {
            broker.update_destination(attempt, &team, id, ask).await
        })
        .await
    }

    async fn delete_destination(
        &self,
        request: Request<pb::DeleteDestinationRequest>,
    ) -> Result<Response<pb::DeleteDestinationResponse>, Status> {
        let named = |request: &pb::DeleteDestinationRequest, mistakes: &mut _| {
            read_destination_name("name", &request.name, mistakes)
        };
        let call = "NoticeService/DeleteDestination";
        change(&self.0, request, call, named, |broker, attempt, (team, id)| async move {
            broker.delete_destination(attempt, &team, id).await
        })
        .await
    }

    async fn send_test_notice(
        &self,
        request: Request<pb::SendTestNoticeRequest>,
    ) -> Result<Response<pb::SendTestNoticeResponse>, Status> {
        let named = |request: &pb::SendTestNoticeRequest, mistakes: &mut _| {
            read_destination_name("name", &request.name, mistakes)
        };
        let call = "NoticeService/SendTestNotice";
        change(&self.0, request, call, named, |broker, attempt, (team, id)| async move {
            broker.send_test_notice(attempt, &team, id).await
        })
        .await
    }

    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        authorize(&self.0, &request, "NoticeService/ListDeadLetters")?;
        let page = Page::of(&self.0, "dead letters", request.get_ref())?;
        let after = page.after_id(OutboxId::from_slice);
        let mut found = self.0.list_dead_letters(after, page.size + 1).await.map_err(Refusal::from)?;
        let more = found.len() > page.size;
        found.truncate(page.size);
        let last = found.last().filter(|_| more).map(|letter| letter.id);
        let next_page_token = page.next(&self.0, last.as_ref().map(|id| &id.as_bytes()[..]));
        let dead_letters = found.iter().map(dead_letter_message).collect();
        Ok(Response::new(pb::ListDeadLettersResponse { dead_letters, next_page_token }))
    }

    async fn replay_dead_letter(
        &self,
        request: Request<pb::ReplayDeadLetterRequest>,
    ) -> Result<Response<pb::ReplayDeadLetterResponse>, Status> {
        let named = |request: &pb::ReplayDeadLetterRequest, mistakes: &mut _| read_dead_letter(&request.name, mistakes);
        change(&self.0, request, "NoticeService/ReplayDeadLetter", named, |broker, attempt, id| async move {
            broker.replay_dead_letter(attempt, id).await
        })
        .await
    }

    async fn purge_dead_letter(
        &self,
        request: Request<pb::PurgeDeadLetterRequest>,
    ) -> Result<Response<pb::PurgeDeadLetterResponse>, Status> {
        let named = |request: &pb::PurgeDeadLetterRequest, mistakes: &mut _| read_dead_letter(&request.name, mistakes);
        change(&self.0, request, "NoticeService/PurgeDeadLetter", named, |broker, attempt, id| async move {
            broker.purge_dead_letter(attempt, id).await
        })
        .await
    }
}
