//! `MemberService`: the members of teams, and the invitations by which they join.

mod message;
mod read;

use tonic::{Request, Response, Status};

use crate::base::ids::MemberId;
use crate::grpc::authorization::authorize;
use crate::grpc::change::{asked, change};
use crate::grpc::fields::{COMMENT, check_text};
use crate::grpc::page::Page;
use crate::grpc::pb::{self, member_service_server::MemberService};
use crate::grpc::status::Refusal;
use crate::service::Broker;

use message::member_message;
use read::{read_filter, read_invitation, read_member_change, read_member_name};

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
}
