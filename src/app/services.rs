//! Every gRPC service of a broker.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Request, Response};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, StdError};
use tonic::service::Routes;
use tower::Service;

use crate::base::tasks::Tasks;
use crate::grpc::alert_service::AlertServer;
use crate::grpc::audit_service::AuditServer;
use crate::grpc::connection_service::ConnectionServer;
use crate::grpc::consent_service::ConsentServer;
use crate::grpc::incident_service::IncidentServer;
use crate::grpc::job_service::JobServer;
use crate::grpc::key_service::KeyServer;
use crate::grpc::lease_service::LeaseServer;
use crate::grpc::listener::{MAX_IMPORT_REQUEST, MAX_REQUEST, MAX_RESPONSE};
use crate::grpc::load_service::LoadServer;
use crate::grpc::member_service::MemberServer;
use crate::grpc::network_service::NetworkServer;
use crate::grpc::notice_service::NoticeServer;
use crate::grpc::pb;
use crate::grpc::profile_service::ProfileServer;
use crate::grpc::push_service::PushServer;
use crate::grpc::team_service::TeamServer;
use crate::grpc::token_service::TokenServer;
use crate::grpc::unary;
use crate::service::Broker;

/// The path of the call that comes most: a collector reports each of its calls, or a few at a time.
const REPORT_USAGE: &str = "/tokenbroker.v1.LeaseService/ReportUsage";

/// Finds the service of a call. Reports take a short way; all others pass tonic's router and streams, which cost as much as a report.
#[derive(Clone)]
pub struct Services {
    leases: Arc<LeaseServer>,
    routes: Routes,
}

impl<B> Service<Request<B>> for Services
where
    B: http_body::Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<BoxFuture<Response<Body>, Infallible>, <Routes as Service<Request<B>>>::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The router is always ready, too.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.uri().path() != REPORT_USAGE || !unary::is_plain(&request) {
            return Either::Right(self.routes.call(request));
        }
        let leases = Arc::clone(&self.leases);
        Either::Left(Box::pin(async move { Ok(unary::answer(request, |request| leases.take_report(request)).await) }))
    }
}

/// Bounds the messages of a service.
macro_rules! bounded {
    ($server:expr, $most:expr) => {
        $server.max_decoding_message_size($most).max_encoding_message_size(MAX_RESPONSE)
    };
}

/// All services, with health, and with reflection if it is wanted. The health service says *serving* until the tasks are asked
/// to stop.
pub fn services(broker: &Broker, tasks: &Tasks, reflection: bool) -> Services {
    let leases = Arc::new(LeaseServer::new(broker.clone()));
    let routes = routes(broker, leases.clone(), tasks, reflection).prepare();
    Services { leases, routes }
}

fn routes(broker: &Broker, leases: Arc<LeaseServer>, tasks: &Tasks, reflection: bool) -> Routes {
    use pb::{
        alert_service_server::AlertServiceServer, audit_service_server::AuditServiceServer,
        connection_service_server::ConnectionServiceServer, consent_service_server::ConsentServiceServer,
        incident_service_server::IncidentServiceServer, job_service_server::JobServiceServer,
        key_service_server::KeyServiceServer, lease_service_server::LeaseServiceServer,
        load_service_server::LoadServiceServer, member_service_server::MemberServiceServer,
        network_service_server::NetworkServiceServer, notice_service_server::NoticeServiceServer,
        profile_service_server::ProfileServiceServer, push_service_server::PushServiceServer,
        team_service_server::TeamServiceServer, token_service_server::TokenServiceServer,
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    let stopping = tasks.clone();
    tasks.spawn("grpc health", async move {
        reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
        stopping.stopped().await;
        reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    });
    let routes = Routes::new(bounded!(LeaseServiceServer::from_arc(leases), MAX_REQUEST))
        .add_service(bounded!(TokenServiceServer::new(TokenServer(broker.clone())), MAX_IMPORT_REQUEST))
        .add_service(bounded!(TeamServiceServer::new(TeamServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(MemberServiceServer::new(MemberServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(ProfileServiceServer::new(ProfileServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(ConsentServiceServer::new(ConsentServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(JobServiceServer::new(JobServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(KeyServiceServer::new(KeyServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(NetworkServiceServer::new(NetworkServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(NoticeServiceServer::new(NoticeServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(PushServiceServer::new(PushServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(LoadServiceServer::new(LoadServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(AlertServiceServer::new(AlertServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(IncidentServiceServer::new(IncidentServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(ConnectionServiceServer::new(ConnectionServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(AuditServiceServer::new(AuditServer(broker.clone())), MAX_REQUEST))
        .add_service(health);
    if !reflection {
        return routes;
    }
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(pb::ERROR_DETAILS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let current = builder().build_v1().expect("the descriptors were made by our own build");
    let old = builder().build_v1alpha().expect("the descriptors were made by our own build");
    routes.add_service(current).add_service(old)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::call::find_method;

    #[test]
    fn the_short_way_is_that_of_a_call() {
        assert_eq!(find_method(REPORT_USAGE).name(), &REPORT_USAGE[1..]);
    }
}
