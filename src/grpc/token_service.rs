//! `TokenService`: the tokens of a team. No answer holds a secret.

mod message;
mod read;

use std::pin::Pin;

use prost::Message;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::base::ids::{TeamId, TokenId};
use crate::grpc::authorization::authorize;
use crate::grpc::fields::check_request_id;
use crate::grpc::mutation::Mutation;
use crate::grpc::page::Page;
use crate::grpc::pb::{self, token_service_server::TokenService};
use crate::grpc::status::{FieldMistakes, Refusal};
use crate::service::Broker;

use message::{bucket_message, token_message};
use read::{read_add, read_call, read_list, read_reason, read_update};

/// The service, for a broker.
pub struct TokenServer(pub Broker);

#[tonic::async_trait]
impl TokenService for TokenServer {
    type ImportTokensStream = Pin<Box<dyn Stream<Item = Result<pb::ImportTokensResponse, Status>> + Send>>;

    async fn add_token(&self, request: Request<pb::AddTokenRequest>) -> Result<Response<pb::AddTokenResponse>, Status> {
        const CALL: &str = "TokenService/AddToken";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let mut mistakes = FieldMistakes::default();
        check_request_id(&request.request_id, &mut mistakes);
        let (team, ask) = read_add(&request, mistakes)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller) = (self.0.clone(), caller.clone());
        let work = async move {
            let token = broker.add_token(&caller, &team, ask).await.map_err(Refusal::from)?;
            Ok(pb::AddTokenResponse { token: Some(token_message(&token)) })
        };
        mutation.once(&request, work).await
    }

    async fn import_tokens(
        &self,
        request: Request<Streaming<pb::ImportTokensRequest>>,
    ) -> Result<Response<Self::ImportTokensStream>, Status> {
        authorize(&self.0, &request, "TokenService/ImportTokens")?;
        Err(Status::unimplemented("not yet"))
    }

    async fn get_token(&self, request: Request<pb::GetTokenRequest>) -> Result<Response<pb::GetTokenResponse>, Status> {
        authorize(&self.0, &request, "TokenService/GetToken")?;
        let (team, id) = read_call(&request.get_ref().name, "", "")?;
        let (view, buckets) = self.0.show_token(&team, id).await.map_err(Refusal::from)?;
        let mut token = token_message(&view);
        if let Some(network) = self.0.catalogue.network(view.token.network.as_str()) {
            token.buckets = buckets.iter().map(|bucket| bucket_message(network, &view.token, bucket)).collect();
        }
        Ok(Response::new(pb::GetTokenResponse { token: Some(token) }))
    }

    async fn list_tokens(
        &self,
        request: Request<pb::ListTokensRequest>,
    ) -> Result<Response<pb::ListTokensResponse>, Status> {
        authorize(&self.0, &request, "TokenService/ListTokens")?;
        let request = request.into_inner();
        let filter = read_list(&request)?;
        let filters = pb::ListTokensRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let page = Page::read(&self.0, "tokens", filters.encode_to_vec(), request.page_size, &request.page_token)?;
        let after = page.after_id(read_cursor);
        let limit = u32::try_from(page.size).unwrap_or(u32::MAX);
        let (found, more) = self.0.list_tokens(&filter, after, limit).await.map_err(Refusal::from)?;
        let last = found.last().filter(|_| more).map(|view| cursor(&view.token.team, view.token.id));
        let next_page_token = page.next(&self.0, last.as_deref());
        let tokens = found.iter().map(token_message).collect();
        Ok(Response::new(pb::ListTokensResponse { tokens, next_page_token }))
    }

    async fn update_token(
        &self,
        request: Request<pb::UpdateTokenRequest>,
    ) -> Result<Response<pb::UpdateTokenResponse>, Status> {
        const CALL: &str = "TokenService/UpdateToken";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let (team, id, change) = read_update(&request)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller) = (self.0.clone(), caller.clone());
        let work = async move {
            let token = broker.update_token(&caller, &team, id, &change).await.map_err(Refusal::from)?;
            Ok(pb::UpdateTokenResponse { token: Some(token_message(&token)) })
        };
        mutation.once(&request, work).await
    }

    async fn pause_token(
        &self,
        request: Request<pb::PauseTokenRequest>,
    ) -> Result<Response<pb::PauseTokenResponse>, Status> {
        const CALL: &str = "TokenService/PauseToken";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let (team, id) = read_call(&request.name, &request.comment, &request.request_id)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller, comment) = (self.0.clone(), caller.clone(), request.comment.clone());
        let work = async move {
            let token = broker.pause_token(&caller, &team, id, &comment).await.map_err(Refusal::from)?;
            Ok(pb::PauseTokenResponse { token: Some(token_message(&token)) })
        };
        mutation.once(&request, work).await
    }

    async fn resume_token(
        &self,
        request: Request<pb::ResumeTokenRequest>,
    ) -> Result<Response<pb::ResumeTokenResponse>, Status> {
        const CALL: &str = "TokenService/ResumeToken";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let (team, id) = read_call(&request.name, &request.comment, &request.request_id)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller, comment) = (self.0.clone(), caller.clone(), request.comment.clone());
        let work = async move {
            let token = broker.resume_token(&caller, &team, id, &comment).await.map_err(Refusal::from)?;
            Ok(pb::ResumeTokenResponse { token: Some(token_message(&token)) })
        };
        mutation.once(&request, work).await
    }

    async fn revoke_token(
        &self,
        request: Request<pb::RevokeTokenRequest>,
    ) -> Result<Response<pb::RevokeTokenResponse>, Status> {
        const CALL: &str = "TokenService/RevokeToken";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let (team, id) = read_call(&request.name, &request.comment, &request.request_id)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller, comment) = (self.0.clone(), caller.clone(), request.comment.clone());
        let work = async move {
            let token = broker.revoke_token(&caller, &team, id, &comment).await.map_err(Refusal::from)?;
            Ok(pb::RevokeTokenResponse { token: Some(token_message(&token)) })
        };
        mutation.once(&request, work).await
    }

    async fn invalidate_token(
        &self,
        request: Request<pb::InvalidateTokenRequest>,
    ) -> Result<Response<pb::InvalidateTokenResponse>, Status> {
        const CALL: &str = "TokenService/InvalidateToken";
        let caller = authorize(&self.0, &request, CALL)?;
        let request = request.into_inner();
        let (team, id) = read_call(&request.name, &request.comment, &request.request_id)?;
        let reason = read_reason(request.reason)?;
        let mutation = Mutation { broker: &self.0, caller: &caller, call: CALL, request_id: &request.request_id };
        let (broker, caller, comment) = (self.0.clone(), caller.clone(), request.comment.clone());
        let work = async move {
            let done = broker.invalidate_token(&caller, &team, id, reason, &comment).await;
            Ok(pb::InvalidateTokenResponse { token: Some(token_message(&done.map_err(Refusal::from)?)) })
        };
        mutation.once(&request, work).await
    }
}

/// A page of tokens ends at a token of a team.
fn cursor(team: &TeamId, token: TokenId) -> Vec<u8> {
    [&token.as_bytes()[..], team.as_str().as_bytes()].concat()
}

fn read_cursor(cursor: &[u8]) -> Result<(TeamId, TokenId), ()> {
    let (token, team) = cursor.split_at_checked(16).ok_or(())?;
    let team = std::str::from_utf8(team).map_err(|_| ())?.parse().map_err(|_| ())?;
    Ok((team, TokenId::from_slice(token).map_err(|_| ())?))
}
