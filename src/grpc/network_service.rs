//! `NetworkService`: the catalogue, and our apps.

use tonic::{Code, Request, Response, Status};

use crate::base::ids::{AppId, NetworkId};
use crate::grpc::authorization::authorize;
use crate::grpc::convert::name_in;
use crate::grpc::fields::{NAME, check_request_id, check_text, child_in, count, mask, required};
use crate::grpc::network_message::network_message;
use crate::grpc::page::Page;
use crate::grpc::pb::{self, ErrorReason, network_service_server::NetworkService};
use crate::grpc::status::{FieldMistakes, Refusal, refuse};
use crate::service::Broker;
use crate::service::networks::AppView;

/// The service, for a broker.
pub struct NetworkServer(pub Broker);

#[tonic::async_trait]
impl NetworkService for NetworkServer {
    async fn list_networks(
        &self,
        request: Request<pb::ListNetworksRequest>,
    ) -> Result<Response<pb::ListNetworksResponse>, Status> {
        authorize(&self.0, &request, "NetworkService/ListNetworks")?;
        let request = request.into_inner();
        let page = Page::read(&self.0, "networks", Vec::new(), request.page_size, &request.page_token)?;
        let after: Option<NetworkId> = page.after_id(|cursor| std::str::from_utf8(cursor).unwrap_or_default().parse());
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
        let mut mistakes = FieldMistakes::default();
        let id: Option<NetworkId> = name_in("name", "networks", &request.get_ref().name, &mut mistakes);
        mistakes.check()?;
        let network = self.0.network(&id.ok_or_else(unread)?).map_err(Refusal::from)?;
        Ok(Response::new(pb::GetNetworkResponse { network: Some(network_message(&network)) }))
    }

    async fn list_apps(&self, request: Request<pb::ListAppsRequest>) -> Result<Response<pb::ListAppsResponse>, Status> {
        authorize(&self.0, &request, "NetworkService/ListApps")?;
        let request = request.into_inner();
        let filters = request.parent.clone().into_bytes();
        let page = Page::read(&self.0, "apps", filters, request.page_size, &request.page_token)?;
        let after: Option<NetworkId> = page.after_id(|cursor| std::str::from_utf8(cursor).unwrap_or_default().parse());
        let (networks, more) = if request.parent == "networks/-" {
            self.0.list_networks(after.as_ref(), page.size)
        } else {
            let mut mistakes = FieldMistakes::default();
            let id: Option<NetworkId> = name_in("parent", "networks", &request.parent, &mut mistakes);
            mistakes.check()?;
            (vec![self.0.network(&id.ok_or_else(unread)?).map_err(Refusal::from)?], false)
        };
        let last = networks.last().filter(|_| more).map(|network| network.id.as_str().as_bytes());
        let next_page_token = page.next(&self.0, last);
        let apps = networks.iter().map(|network| app_message(&self.0.view_app(network.clone()))).collect();
        Ok(Response::new(pb::ListAppsResponse { apps, next_page_token }))
    }

    async fn get_app(&self, request: Request<pb::GetAppRequest>) -> Result<Response<pb::GetAppResponse>, Status> {
        authorize(&self.0, &request, "NetworkService/GetApp")?;
        let mut mistakes = FieldMistakes::default();
        let named = app_named("name", &request.get_ref().name, &mut mistakes);
        mistakes.check()?;
        let (network, app) = named.ok_or_else(unread)?;
        let app = self.0.app(&network, &app).map_err(Refusal::from)?;
        Ok(Response::new(pb::GetAppResponse { app: Some(app_message(&app)) }))
    }

    async fn update_app(
        &self,
        request: Request<pb::UpdateAppRequest>,
    ) -> Result<Response<pb::UpdateAppResponse>, Status> {
        authorize(&self.0, &request, "NetworkService/UpdateApp")?;
        let request = request.into_inner();
        let mut mistakes = FieldMistakes::default();
        check_request_id(&request.request_id, &mut mistakes);
        let app = required("app", request.app, &mut mistakes);
        check_text("app.display_name", &app.display_name, NAME, &mut mistakes);
        mask(request.update_mask.as_ref(), &["display_name", "facts"], &["facts"], &mut mistakes);
        let named = app_named("app.name", &app.name, &mut mistakes);
        mistakes.check()?;
        let (network, app) = named.ok_or_else(unread)?;
        self.0.app(&network, &app).map_err(Refusal::from)?;
        Err(by_configuration(&format!("networks.{network}.facts")))
    }

    async fn top_up_budget(
        &self,
        request: Request<pb::TopUpBudgetRequest>,
    ) -> Result<Response<pb::TopUpBudgetResponse>, Status> {
        authorize(&self.0, &request, "NetworkService/TopUpBudget")?;
        let request = request.into_inner();
        let mut mistakes = FieldMistakes::default();
        check_request_id(&request.request_id, &mut mistakes);
        if request.request_id.is_empty() {
            mistakes.note("request_id", "is required: a retry without it would add twice");
        }
        if request.units < 1 {
            mistakes.note("units", "must be at least 1");
        }
        let named = app_named("name", &request.name, &mut mistakes);
        mistakes.check()?;
        let (network, app) = named.ok_or_else(unread)?;
        self.0.app_with_budget(&network, &app, &request.credit_class).map_err(Refusal::from)?;
        Err(by_configuration(&format!("networks.{network}.budget.{}", request.credit_class)))
    }
}

/// A field could not be read although no mistake was noted: never sent, since each reader notes its mistakes.
fn unread() -> Status {
    Status::invalid_argument("a required field can't be read")
}

/// The network and the app of a name such as `networks/x/apps/default`.
fn app_named(field: &str, name: &str, mistakes: &mut FieldMistakes) -> Option<(NetworkId, String)> {
    let named: Option<(NetworkId, AppId)> = child_in(field, ["networks", "apps"], name, mistakes);
    named.map(|(network, app)| (network, app.to_string()))
}

/// What is set in the configuration, and only there.
fn by_configuration(key: &str) -> Status {
    let message = format!("this is set by the configuration: change '{key}' and restart the broker");
    refuse(Code::Unimplemented, ErrorReason::NotSupported, message).with("setting", key).status()
}

fn app_message(view: &AppView) -> pb::App {
    let budgets = view.budgets.iter().map(|(class, (total, left))| pb::Budget {
        credit_class: class.to_string(),
        total: count(*total),
        left: count(*left),
        top_up_time: None,
    });
    pb::App {
        name: format!("networks/{}/apps/{}", view.network.id, view.app),
        display_name: view.network.display_name.clone(),
        client_id: String::new(),
        facts: view.facts.iter().map(|(fact, value)| (fact.clone(), count(*value))).collect(),
        budgets: budgets.collect(),
        tokens: count(view.tokens),
    }
}
