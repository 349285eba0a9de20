//! A listener with a handler that does what the request's page token says.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use token_broker::base::clock::SystemClock;
use token_broker::grpc::call::{Method, Observer, Refusal, RequestId};
use token_broker::grpc::listener::{GrpcServer, Limits, Listen, MAX_REQUEST, PeerIdentity, Tls};
use token_broker::grpc::pb::network_service_client::NetworkServiceClient;
use token_broker::grpc::pb::network_service_server::{NetworkService, NetworkServiceServer};
use token_broker::grpc::pb::*;
use tokio::sync::{Semaphore, mpsc};
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

/// What an observer was told.
#[derive(Debug, PartialEq)]
pub enum Event {
    Answered(&'static str, Code),
    Opened,
    Closed,
    Refused(Refusal),
}

struct Recorder(mpsc::UnboundedSender<Event>);

impl Observer for Recorder {
    fn answered(&self, method: &'static Method, code: Code, _took: Duration) {
        let _ = self.0.send(Event::Answered(method.name(), code));
    }

    fn connection_opened(&self) {
        let _ = self.0.send(Event::Opened);
    }

    fn connection_closed(&self) {
        let _ = self.0.send(Event::Closed);
    }

    fn connection_refused(&self, why: Refusal) {
        let _ = self.0.send(Event::Refused(why));
    }
}

/// A running listener and what it says.
pub struct Running {
    pub server: GrpcServer,
    pub events: mpsc::UnboundedReceiver<Event>,
    /// One permit for each call `hold` that began.
    pub begun: Arc<Semaphore>,
    /// Each permit lets one call `hold` end.
    pub release: Arc<Semaphore>,
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Waits for an event, skipping others.
    pub async fn wait_for(&mut self, wanted: Event) {
        while self.events.recv().await.expect("the listener runs") != wanted {}
    }

    /// Waits until a call `hold` has reached its handler.
    pub async fn call_begun(&self) {
        self.begun.acquire().await.expect("never closed").forget();
    }

    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address())).expect("an address is a URI");
        endpoint.connect().await.expect("the listener runs")
    }

    pub async fn client(&self) -> NetworkServiceClient<Channel> {
        NetworkServiceClient::new(self.channel().await)
    }
}

pub fn start(limits: Limits) -> Running {
    start_with(limits, 1, None)
}

pub fn start_with(limits: Limits, workers: usize, tls: Option<Tls>) -> Running {
    let (tell, events) = mpsc::unbounded_channel();
    let (begun, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let listen = Listen {
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        workers,
        limits,
        tls,
        clock: Arc::new(SystemClock::start()),
        observer: Arc::new(Recorder(tell)),
        seed: 1,
    };
    let stub = Stub { begun: begun.clone(), release: release.clone() };
    let (reporter, _) = tonic_health::server::health_reporter();
    let server = GrpcServer::start(listen, || {
        let networks = NetworkServiceServer::new(stub.clone()).max_decoding_message_size(MAX_REQUEST);
        let health = tonic_health::server::HealthService::from_health_reporter(reporter.clone());
        Routes::new(networks).add_service(tonic_health::pb::health_server::HealthServer::new(health))
    });
    Running { server: server.expect("a free port on loopback"), events, begun, release }
}

/// A request that tells the stub what to do.
pub fn ask(what: &str) -> Request<ListNetworksRequest> {
    Request::new(ListNetworksRequest { page_size: 0, page_token: what.to_owned() })
}

#[derive(Clone)]
struct Stub {
    begun: Arc<Semaphore>,
    release: Arc<Semaphore>,
}

#[tonic::async_trait]
impl NetworkService for Stub {
    async fn list_networks(
        &self,
        request: Request<ListNetworksRequest>,
    ) -> Result<Response<ListNetworksResponse>, Status> {
        let said = match request.get_ref().page_token.as_str() {
            "hold" => {
                self.begun.add_permits(1);
                self.release.acquire().await.expect("never closed").forget();
                String::new()
            }
            "panic" => panic!("as the test asked"),
            "refuse" => return Err(Status::not_found("as the test asked")),
            "identity" => format!("{:?}", request.extensions().get::<PeerIdentity>()),
            "request id" => request.extensions().get::<RequestId>().expect("always there").as_str().to_owned(),
            "address" => request.remote_addr().expect("always there").to_string(),
            "thread" => std::thread::current().name().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        Ok(Response::new(ListNetworksResponse { networks: vec![], next_page_token: said }))
    }

    async fn get_network(&self, _: Request<GetNetworkRequest>) -> Result<Response<GetNetworkResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_apps(&self, _: Request<ListAppsRequest>) -> Result<Response<ListAppsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_app(&self, _: Request<GetAppRequest>) -> Result<Response<GetAppResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn create_app(&self, _: Request<CreateAppRequest>) -> Result<Response<CreateAppResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn update_app(&self, _: Request<UpdateAppRequest>) -> Result<Response<UpdateAppResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn delete_app(&self, _: Request<DeleteAppRequest>) -> Result<Response<DeleteAppResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn top_up_budget(&self, _: Request<TopUpBudgetRequest>) -> Result<Response<TopUpBudgetResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}
