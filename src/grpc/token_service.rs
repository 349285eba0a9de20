//! `TokenService`: the tokens of a team. No answer holds a secret.

mod import;
mod message;
mod read;

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::base::clock::Timestamp;
use crate::base::ids::{TeamId, TokenId};
use crate::grpc::authorization::authorize;
use crate::grpc::change::{asked, change};
use crate::grpc::page::Page;
use crate::grpc::pb::{self, token_service_server::TokenService};
use crate::grpc::status::Refusal;
use crate::service::dead_spans::DeadSpanView;
use crate::service::{Broker, DeadSpanFilter};

use message::bucket_message;
pub(in crate::grpc) use message::{dead_span, revocation_message, token_message};
use read::{read_add, read_call, read_dead_spans, read_invalidate, read_list, read_name, read_update};

/// The service, for a broker.
pub struct TokenServer(pub Broker);

#[tonic::async_trait]
impl TokenService for TokenServer {
    type ImportTokensStream = Pin<Box<dyn Stream<Item = Result<pb::ImportTokensResponse, Status>> + Send>>;

    async fn add_token(&self, request: Request<pb::AddTokenRequest>) -> Result<Response<pb::AddTokenResponse>, Status> {
        change(&self.0, request, "TokenService/AddToken", read_add, |broker, attempt, (team, ask)| async move {
            broker.add_token(attempt, &team, ask).await
        })
        .await
    }

    async fn import_tokens(
        &self,
        request: Request<Streaming<pb::ImportTokensRequest>>,
    ) -> Result<Response<Self::ImportTokensStream>, Status> {
        let caller = authorize(&self.0, &request, "TokenService/ImportTokens")?;
        Ok(Response::new(Box::pin(import::run(&self.0, caller, request.into_inner()))))
    }

    async fn get_token(&self, request: Request<pb::GetTokenRequest>) -> Result<Response<pb::GetTokenResponse>, Status> {
        authorize(&self.0, &request, "TokenService/GetToken")?;
        let (team, id) = asked(request.get_ref(), |request, mistakes| read_name(&request.name, mistakes))?;
        let (view, buckets) = self.0.show_token(&team, id).await.map_err(Refusal::from)?;
        let mut token = token_message(&view);
        let revocation = self.0.revocation_standing(&view.token).await.map_err(Refusal::from)?;
        token.network_revocation = revocation.as_ref().map(revocation_message);
        if let Some(network) = self.0.catalogue.network(view.token.network.as_str()) {
            token.buckets = buckets.iter().map(|bucket| bucket_message(network, &view.token, bucket)).collect();
        }
        let spans = self.0.dead_spans(&view.token).await.map_err(Refusal::from)?;
        token.dead_spans = spans.iter().map(dead_span).collect();
        Ok(Response::new(pb::GetTokenResponse { token: Some(token) }))
    }

    async fn list_tokens(
        &self,
        request: Request<pb::ListTokensRequest>,
    ) -> Result<Response<pb::ListTokensResponse>, Status> {
        authorize(&self.0, &request, "TokenService/ListTokens")?;
        let request = request.into_inner();
        let filter = asked(&request, read_list)?;
        let page = Page::of(&self.0, "tokens", &request)?;
        let after = page.after_id(read_cursor);
        let limit = u32::try_from(page.size).unwrap_or(u32::MAX);
        let (found, more) = self.0.list_tokens(&filter, after, limit).await.map_err(Refusal::from)?;
        let last = found.last().filter(|_| more).map(|view| cursor(&view.token.team, view.token.id));
        let next_page_token = page.next(&self.0, last.as_deref());
        let tokens = found.iter().map(token_message).collect();
        Ok(Response::new(pb::ListTokensResponse { tokens, next_page_token }))
    }

    async fn list_dead_spans(
        &self,
        request: Request<pb::ListDeadSpansRequest>,
    ) -> Result<Response<pb::ListDeadSpansResponse>, Status> {
        let caller = authorize(&self.0, &request, "TokenService/ListDeadSpans")?;
        let request = request.into_inner();
        let (team, filter) = asked(&request, read_dead_spans)?;
        let page = Page::of(&self.0, "dead spans", &request)?;
        let filter = DeadSpanFilter { after: page.after_id(read_span_cursor), ..filter };
        let most = u32::try_from(page.size + 1).unwrap_or(u32::MAX);
        let mut listed = self.0.list_dead_spans(&caller, &team, filter, most).await.map_err(Refusal::from)?;
        let more = listed.len() > page.size;
        listed.truncate(page.size);
        let last = listed.last().filter(|_| more).map(span_cursor);
        let next_page_token = page.next(&self.0, last.as_deref());
        let dead_spans = listed.iter().map(dead_span).collect();
        Ok(Response::new(pb::ListDeadSpansResponse { dead_spans, next_page_token }))
    }

    async fn update_token(
        &self,
        request: Request<pb::UpdateTokenRequest>,
    ) -> Result<Response<pb::UpdateTokenResponse>, Status> {
        let call = "TokenService/UpdateToken";
        change(&self.0, request, call, read_update, |broker, attempt, (team, id, ask)| async move {
            broker.update_token(attempt, &team, id, &ask).await
        })
        .await
    }

    async fn pause_token(
        &self,
        request: Request<pb::PauseTokenRequest>,
    ) -> Result<Response<pb::PauseTokenResponse>, Status> {
        let read =
            |request: &pb::PauseTokenRequest, mistakes: &mut _| read_call(&request.name, &request.comment, mistakes);
        let call = "TokenService/PauseToken";
        change(&self.0, request, call, read, |broker, attempt, (team, id, comment)| async move {
            broker.pause_token(attempt, &team, id, &comment).await
        })
        .await
    }

    async fn resume_token(
        &self,
        request: Request<pb::ResumeTokenRequest>,
    ) -> Result<Response<pb::ResumeTokenResponse>, Status> {
        let read =
            |request: &pb::ResumeTokenRequest, mistakes: &mut _| read_call(&request.name, &request.comment, mistakes);
        let call = "TokenService/ResumeToken";
        change(&self.0, request, call, read, |broker, attempt, (team, id, comment)| async move {
            broker.resume_token(attempt, &team, id, &comment).await
        })
        .await
    }

    async fn revoke_token(
        &self,
        request: Request<pb::RevokeTokenRequest>,
    ) -> Result<Response<pb::RevokeTokenResponse>, Status> {
        let read =
            |request: &pb::RevokeTokenRequest, mistakes: &mut _| read_call(&request.name, &request.comment, mistakes);
        let call = "TokenService/RevokeToken";
        change(&self.0, request, call, read, |broker, attempt, (team, id, comment)| async move {
            broker.revoke_token(attempt, &team, id, &comment).await
        })
        .await
    }

    async fn renew_token(
        &self,
        request: Request<pb::RenewTokenRequest>,
    ) -> Result<Response<pb::RenewTokenResponse>, Status> {
        let read = |request: &pb::RenewTokenRequest, mistakes: &mut _| read_name(&request.name, mistakes);
        let call = "TokenService/RenewToken";
        change(&self.0, request, call, read, |broker, attempt, (team, id)| async move {
            broker.renew_token(attempt, &team, id).await
        })
        .await
    }

    async fn probe_token(
        &self,
        request: Request<pb::ProbeTokenRequest>,
    ) -> Result<Response<pb::ProbeTokenResponse>, Status> {
        let read = |request: &pb::ProbeTokenRequest, mistakes: &mut _| read_name(&request.name, mistakes);
        let call = "TokenService/ProbeToken";
        change(&self.0, request, call, read, |broker, attempt, (team, id)| async move {
            broker.probe_token(attempt, &team, id).await
        })
        .await
    }

    async fn invalidate_token(
        &self,
        request: Request<pb::InvalidateTokenRequest>,
    ) -> Result<Response<pb::InvalidateTokenResponse>, Status> {
        let call = "TokenService/InvalidateToken";
        change(&self.0, request, call, read_invalidate, |broker, attempt, (team, id, reason, comment)| async move {
            broker.invalidate_token(attempt, &team, id, reason, &comment).await
        })
        .await
    }
}

/// A page of tokens ends at a token of a team.
fn cursor(team: &TeamId, token: TokenId) -> Vec<u8> {
    [&token.as_bytes()[..], team.as_str().as_bytes()].concat()
}

/// When a span ended, and its token.
fn span_cursor(view: &DeadSpanView) -> Vec<u8> {
    [&view.token.as_bytes()[..], &view.span.until.micros().to_be_bytes()].concat()
}

fn read_span_cursor(cursor: &[u8]) -> Result<(Timestamp, TokenId), ()> {
    let (token, until) = cursor.split_at_checked(16).ok_or(())?;
    let until = i64::from_be_bytes(until.try_into().map_err(|_| ())?);
    Ok((Timestamp::from_micros(until), TokenId::from_slice(token).map_err(|_| ())?))
}

fn read_cursor(cursor: &[u8]) -> Result<(TeamId, TokenId), ()> {
    let (token, team) = cursor.split_at_checked(16).ok_or(())?;
    let team = std::str::from_utf8(team).map_err(|_| ())?.parse().map_err(|_| ())?;
    Ok((team, TokenId::from_slice(token).map_err(|_| ())?))
}
