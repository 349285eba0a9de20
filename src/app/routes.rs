//! Every gRPC service of a broker.

use tonic::service::Routes;

use crate::base::tasks::Tasks;
use crate::grpc::alert_service::AlertServer;
use crate::grpc::audit_service::AuditServer;
use crate::grpc::key_service::KeyServer;
use crate::grpc::lease_service::LeaseServer;
use crate::grpc::listener::{MAX_IMPORT_REQUEST, MAX_REQUEST, MAX_RESPONSE};
use crate::grpc::load_service::LoadServer;
use crate::grpc::network_service::NetworkServer;
use crate::grpc::pb;
use crate::grpc::team_service::TeamServer;
use crate::grpc::token_service::TokenServer;
use crate::service::Broker;

/// Bounds the messages of a service.
macro_rules! bounded {
    ($server:expr, $most:expr) => {
        $server.max_decoding_message_size($most).max_encoding_message_size(MAX_RESPONSE)
    };
}

/// The routes of all services, with health, and with reflection if it is wanted. The health service says *serving* until the
/// tasks are asked to stop.
pub fn routes(broker: &Broker, tasks: &Tasks, reflection: bool) -> Routes {
    use pb::{
        alert_service_server::AlertServiceServer, audit_service_server::AuditServiceServer,
        key_service_server::KeyServiceServer, lease_service_server::LeaseServiceServer,
        load_service_server::LoadServiceServer, network_service_server::NetworkServiceServer,
        team_service_server::TeamServiceServer, token_service_server::TokenServiceServer,
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    let stopping = tasks.clone();
    tasks.spawn("grpc health", async move {
        reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
        stopping.stopped().await;
        reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    });
    let routes = Routes::new(bounded!(LeaseServiceServer::new(LeaseServer::new(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(TokenServiceServer::new(TokenServer(broker.clone())), MAX_IMPORT_REQUEST))
        .add_service(bounded!(TeamServiceServer::new(TeamServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(KeyServiceServer::new(KeyServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(NetworkServiceServer::new(NetworkServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(LoadServiceServer::new(LoadServer(broker.clone())), MAX_REQUEST))
        .add_service(bounded!(AlertServiceServer::new(AlertServer(broker.clone())), MAX_REQUEST))
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
