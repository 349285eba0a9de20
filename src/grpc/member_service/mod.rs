//! `MemberService`: the members of teams, and the invitations by which they join.

mod message;
mod read;

use tonic::{Request, Response, Status};

use crate::base::ids::{MemberId, SessionId};
use crate::grpc::authorization::authorize;
use crate::grpc::change::{asked, change};
use crate::grpc::fields::{COMMENT, check_text, child_in};
use crate::grpc::page::Page;
use crate::grpc::pb::{self, member_service_server::MemberService};
use crate::grpc::status::Refusal;
use crate::service::Broker;
use crate::service::members::RemoveMember;

pub use message::member_message;
use message::{departure_message, session_message};
use read::{read_filter, read_invitation, read_member_change, read_member_name, read_session_name};

/// The service, for a broker.
pub struct MemberServer(pub Broker);

#[tonic::async_trait]
impl MemberService for MemberServer {
    async fn invite_member(
        &self,
        request: Request<pb::InviteMemberRequest>,
    ) -> Result<Response<pb::InviteMemberResponse>, Status> {
        let call = "MemberService/InviteMember";
        change(&self.0, request, call, read_invitation, |broker, attempt, ask| async move {
            broker.invite_member(attempt, ask).await
        })
        .await
    }

    async fn get_member(
        &self,
        request: Request<pb::GetMemberRequest>,
    ) -> Result<Response<pb::GetMemberResponse>, Status> {
        authorize(&self.0, &request, "MemberService/GetMember")?;
        let named = |request: &pb::GetMemberRequest, mistakes: &mut _| read_member_name(&request.name, mistakes);
        let (team, id) = asked(request.get_ref(), named)?;
        let member = self.0.show_member(&team, id).await.map_err(Refusal::from)?;
        Ok(Response::new(pb::GetMemberResponse { member: Some(member_message(&member)) }))
    }

    async fn list_members(
        &self,
        request: Request<pb::ListMembersRequest>,
    ) -> Result<Response<pb::ListMembersResponse>, Status> {
        authorize(&self.0, &request, "MemberService/ListMembers")?;
        let request = request.into_inner();
        let filter = asked(&request, read_filter)?;
        let page = Page::of(&self.0, "members", &request)?;
        let after = page.after_id(MemberId::from_slice);
        let limit = u32::try_from(page.size).unwrap_or(u32::MAX);
        let (found, more) = self.0.list_members(&filter, after, limit).await.map_err(Refusal::from)?;
        let last = found.last().filter(|_| more).map(|view| view.member.id);
        let next_page_token = page.next(&self.0, last.as_ref().map(|id| &id.as_bytes()[..]));
        Ok(Response::new(pb::ListMembersResponse {
            members: found.iter().map(member_message).collect(),
            next_page_token,
        }))
    }

    async fn update_member(
        &self,
        request: Request<pb::UpdateMemberRequest>,
    ) -> Result<Response<pb::UpdateMemberResponse>, Status> {
        let call = "MemberService/UpdateMember";
        change(&self.0, request, call, read_member_change, |broker, attempt, (team, id, ask)| async move {
            broker.update_member(attempt, &team, id, &ask).await
        })
        .await
    }

    async fn resend_invitation(
        &self,
        request: Request<pb::ResendInvitationRequest>,
    ) -> Result<Response<pb::ResendInvitationResponse>, Status> {
        let named = |request: &pb::ResendInvitationRequest, mistakes: &mut _| read_member_name(&request.name, mistakes);
        let call = "MemberService/ResendInvitation";
        change(&self.0, request, call, named, |broker, attempt, (team, id)| async move {
            broker.resend_invitation(attempt, &team, id).await
        })
        .await
    }

    async fn withdraw_invitation(
        &self,
        request: Request<pb::WithdrawInvitationRequest>,
    ) -> Result<Response<pb::WithdrawInvitationResponse>, Status> {
        let read = |request: &pb::WithdrawInvitationRequest, mistakes: &mut _| {
            check_text("comment", &request.comment, COMMENT, mistakes);
            let (team, id) = read_member_name(&request.name, mistakes)?;
            Some((team, id, request.comment.clone()))
        };
        let call = "MemberService/WithdrawInvitation";
        change(&self.0, request, call, read, |broker, attempt, (team, id, comment)| async move {
            broker.withdraw_invitation(attempt, &team, id, &comment).await
        })
        .await
    }

    async fn remove_member(
        &self,
        request: Request<pb::RemoveMemberRequest>,
    ) -> Result<Response<pb::RemoveMemberResponse>, Status> {
        let read = |request: &pb::RemoveMemberRequest, mistakes: &mut _| {
            check_text("comment", &request.comment, COMMENT, mistakes);
            let (team, id) = read_member_name(&request.name, mistakes)?;
            let how = RemoveMember { comment: request.comment.clone(), keep_keys: request.keep_keys };
            Some((team, id, how))
        };
        let call = "MemberService/RemoveMember";
        change(&self.0, request, call, read, |broker, attempt, (team, id, how)| async move {
            broker.remove_member(attempt, &team, id, &how).await
        })
        .await
    }

    async fn get_departure(
        &self,
        request: Request<pb::GetDepartureRequest>,
    ) -> Result<Response<pb::GetDepartureResponse>, Status> {
        authorize(&self.0, &request, "MemberService/GetDeparture")?;
        let named = |request: &pb::GetDepartureRequest, mistakes: &mut _| read_member_name(&request.name, mistakes);
        let (team, id) = asked(request.get_ref(), named)?;
        let departure = self.0.show_departure(&team, id).await.map_err(Refusal::from)?;
        Ok(Response::new(pb::GetDepartureResponse { departure: Some(departure_message(&departure)) }))
    }

    async fn list_sessions(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Result<Response<pb::ListSessionsResponse>, Status> {
        let caller = authorize(&self.0, &request, "MemberService/ListSessions")?;
        let request = request.into_inner();
        let (team, id) =
            asked(&request, |request, mistakes| child_in("parent", ["teams", "members"], &request.parent, mistakes))?;
        let page = Page::of(&self.0, "sessions", &request)?;
        let before = page.after_id(SessionId::from_slice);
        let limit = u32::try_from(page.size).unwrap_or(u32::MAX);
        let listed = self.0.list_sessions(&caller, (&team, id), before, limit).await;
        let (found, next) = listed.map_err(Refusal::from)?;
        let next_page_token = page.next(&self.0, next.as_ref().map(|id| &id.as_bytes()[..]));
        let sessions = found.iter().map(|view| session_message(&request.parent, view)).collect();
        Ok(Response::new(pb::ListSessionsResponse { sessions, next_page_token }))
    }

    async fn end_session(
        &self,
        request: Request<pb::EndSessionRequest>,
    ) -> Result<Response<pb::EndSessionResponse>, Status> {
        let named = |request: &pb::EndSessionRequest, mistakes: &mut _| read_session_name(&request.name, mistakes);
        let call = "MemberService/EndSession";
        change(&self.0, request, call, named, |broker, attempt, (team, member, session)| async move {
            broker.end_session(attempt, &team, member, session).await
        })
        .await
    }
}
