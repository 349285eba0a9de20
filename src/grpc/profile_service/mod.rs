//! `ProfileService`: who is told of a profile, who administers it, and who can renew its token.

mod message;
mod read;

use tonic::{Request, Response, Status};

use crate::grpc::authorization::authorize;
use crate::grpc::change::{asked, change};
use crate::grpc::fields::name_in;
use crate::grpc::page::Page;
use crate::grpc::pb::{self, profile_service_server::ProfileService};
use crate::grpc::status::Refusal;
use crate::service::Broker;

use message::{manager_message, profile_message};
use read::{cursor, read_cursor, read_profile_change, read_profile_name};

/// The service, for a broker.
pub struct ProfileServer(pub Broker);

#[tonic::async_trait]
impl ProfileService for ProfileServer {
    async fn get_profile(
        &self,
        request: Request<pb::GetProfileRequest>,
    ) -> Result<Response<pb::GetProfileResponse>, Status> {
        authorize(&self.0, &request, "ProfileService/GetProfile")?;
        let name = asked(request.get_ref(), |request, mistakes| {
            read_profile_name("parent", [&request.parent, &request.network, &request.profile], mistakes)
        })?;
        let profile = self.0.show_profile(&name).await.map_err(Refusal::from)?;
        Ok(Response::new(pb::GetProfileResponse { profile: Some(profile_message(&profile)) }))
    }

    async fn list_profiles(
        &self,
        request: Request<pb::ListProfilesRequest>,
    ) -> Result<Response<pb::ListProfilesResponse>, Status> {
        authorize(&self.0, &request, "ProfileService/ListProfiles")?;
        let request = request.into_inner();
        let (team, network) = asked(&request, |request, mistakes| {
            let team = name_in("parent", "teams", &request.parent, mistakes);
            let given = Some(&request.network).filter(|network| !network.is_empty());
            let network = given.and_then(|network| name_in("network", "networks", network, mistakes));
            Some((team?, network))
        })?;
        let page = Page::of(&self.0, "profiles", &request)?;
        let after = page.after.as_deref().and_then(read_cursor);
        let listed = self.0.list_profiles(&team, network.as_ref(), after, page.size).await;
        let (found, more) = listed.map_err(Refusal::from)?;
        let last = found.last().filter(|_| more).map(|view| cursor(&view.profile));
        let next_page_token = page.next(&self.0, last.as_deref());
        let profiles = found.iter().map(profile_message).collect();
        Ok(Response::new(pb::ListProfilesResponse { profiles, next_page_token }))
    }

    async fn update_profile(
        &self,
        request: Request<pb::UpdateProfileRequest>,
    ) -> Result<Response<pb::UpdateProfileResponse>, Status> {
        let call = "ProfileService/UpdateProfile";
        change(&self.0, request, call, read_profile_change, |broker, attempt, (name, ask)| async move {
            broker.update_profile(attempt, &name, ask).await
        })
        .await
    }

    async fn list_managers(
        &self,
        request: Request<pb::ListManagersRequest>,
    ) -> Result<Response<pb::ListManagersResponse>, Status> {
        authorize(&self.0, &request, "ProfileService/ListManagers")?;
        let request = request.into_inner();
        let name = asked(&request, |request, mistakes| {
            read_profile_name("parent", [&request.parent, &request.network, &request.profile], mistakes)
        })?;
        let page = Page::of(&self.0, "managers", &request)?;
        let skip = page.after_id(|cursor| cursor.try_into().map(u64::from_be_bytes)).unwrap_or(0);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let found = self.0.list_managers(&name).await.map_err(Refusal::from)?;
        let managers: Vec<_> = found.iter().skip(skip).take(page.size).map(manager_message).collect();
        let end = skip.saturating_add(managers.len());
        let next = (end < found.len()).then(|| (end as u64).to_be_bytes());
        let next_page_token = page.next(&self.0, next.as_ref().map(|cursor| &cursor[..]));
        Ok(Response::new(pb::ListManagersResponse { managers, next_page_token }))
    }
}
