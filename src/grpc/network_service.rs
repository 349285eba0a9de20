//! `NetworkService`: the catalogue, and our apps.

mod app;

use tonic::{Request, Response, Status};

use crate::base::ids::{AppId, NetworkId};
use crate::grpc::authorization::authorize;
use crate::grpc::change::{asked, change};
use crate::grpc::fields::name_in;
use crate::grpc::network_message::network_message;
use crate::grpc::page::Page;
use crate::grpc::pb::{self, network_service_server::NetworkService};
use crate::grpc::status::Refusal;
use crate::service::Broker;

use app::{app_message, read_app_name, read_change, read_create, read_parent, read_top_up};

/// The service, for a broker.
pub struct NetworkServer(pub Broker);

#[tonic::async_trait]
impl NetworkService for NetworkServer {
    async fn list_networks(
        &self,
        request: Request<pb::ListNetworksRequest>,
    ) -> Result<Response<pb::ListNetworksResponse>, Status> {
        authorize(&self.0, &request, "NetworkService/ListNetworks")?;
        let page = Page::of(&self.0, "networks", request.get_ref())?;
        let after: Option<NetworkId> = page.after_name();
        let (networks, more) = self.0.list_networks(after.as_ref(), page.size);
        let last = networks.last().filter(|_| more).map(|network| network.id.as_str().as_bytes());
        let next_page_token = page.next(&self.0, last);
        let networks = networks.iter().map(|network| network_message(network)).collect();
        Ok(Response::new(pb::ListNetworksResponse { networks, next_page_token }))
    }

    async fn get_network(
        &self,
        request: Request<pb::GetNetworkRequest>,
    ) -> Result<Response<pb::GetNetworkResponse>, Status> {
        authorize(&self.0, &request, "NetworkService/GetNetwork")?;
        let named =
            |request: &pb::GetNetworkRequest, mistakes: &mut _| name_in("name", "networks", &request.name, mistakes);
        let id = asked(request.get_ref(), named)?;
        let network = self.0.network(&id).map_err(Refusal::from)?;
        Ok(Response::new(pb::GetNetworkResponse { network: Some(network_message(&network)) }))
    }

    async fn list_apps(&self, request: Request<pb::ListAppsRequest>) -> Result<Response<pb::ListAppsResponse>, Status> {
        authorize(&self.0, &request, "NetworkService/ListApps")?;
        let request = request.into_inner();
        let network = asked(&request, |request, mistakes| read_parent(&request.parent, mistakes))?;
        let page = Page::of(&self.0, "apps", &request)?;
        let after = page.after_id(read_cursor);
        let (found, more) = self.0.list_apps(network.as_ref(), after.as_ref(), page.size).map_err(Refusal::from)?;
        let last = found.last().filter(|_| more).map(|view| format!("{}/{}", view.app.network, view.app.id));
        let next_page_token = page.next(&self.0, last.as_deref().map(str::as_bytes));
        Ok(Response::new(pb::ListAppsResponse { apps: found.into_iter().map(app_message).collect(), next_page_token }))
    }

    async fn get_app(&self, request: Request<pb::GetAppRequest>) -> Result<Response<pb::GetAppResponse>, Status> {
        authorize(&self.0, &request, "NetworkService/GetApp")?;
        let named = |request: &pb::GetAppRequest, mistakes: &mut _| read_app_name("name", &request.name, mistakes);
        let (network, app) = asked(request.get_ref(), named)?;
        let app = self.0.app(&network, &app).map_err(Refusal::from)?;
        Ok(Response::new(pb::GetAppResponse { app: Some(app_message(app)) }))
    }

    async fn create_app(
        &self,
        request: Request<pb::CreateAppRequest>,
    ) -> Result<Response<pb::CreateAppResponse>, Status> {
        change(&self.0, request, "NetworkService/CreateApp", read_create, |broker, attempt, ask| async move {
            broker.create_app(attempt, ask).await
        })
        .await
    }

    async fn update_app(
        &self,
        request: Request<pb::UpdateAppRequest>,
    ) -> Result<Response<pb::UpdateAppResponse>, Status> {
        let call = "NetworkService/UpdateApp";
        change(&self.0, request, call, read_change, |broker, attempt, (network, app, ask)| async move {
            broker.update_app(attempt, &network, &app, ask).await
        })
        .await
    }

    async fn delete_app(
        &self,
        request: Request<pb::DeleteAppRequest>,
    ) -> Result<Response<pb::DeleteAppResponse>, Status> {
        let named = |request: &pb::DeleteAppRequest, mistakes: &mut _| read_app_name("name", &request.name, mistakes);
        let call = "NetworkService/DeleteApp";
        change(&self.0, request, call, named, |broker, attempt, (network, app)| async move {
            broker.delete_app(attempt, &network, &app).await
        })
        .await
    }

    async fn top_up_budget(
        &self,
        request: Request<pb::TopUpBudgetRequest>,
    ) -> Result<Response<pb::TopUpBudgetResponse>, Status> {
        change(&self.0, request, "NetworkService/TopUpBudget", read_top_up, |broker, attempt, ask| async move {
            broker.top_up_budget(attempt, ask).await
        })
        .await
    }
}

/// A page of apps ends at an app of a network, as `network/app`.
fn read_cursor(cursor: &[u8]) -> Result<(NetworkId, AppId), ()> {
    let (network, app) = std::str::from_utf8(cursor).map_err(|_| ())?.split_once('/').ok_or(())?;
    Ok((network.parse().map_err(|_| ())?, app.parse().map_err(|_| ())?))
}
