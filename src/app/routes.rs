//! Every gRPC service of a broker.

use tonic::service::Routes;

use crate::grpc::lease_service::LeaseServer;
use crate::grpc::listener::{MAX_IMPORT_REQUEST, MAX_REQUEST, MAX_RESPONSE};
use crate::grpc::pb;
use crate::service::Broker;

/// The routes of all services, with health, and with reflection if it is wanted.
pub fn routes(broker: &Broker, health: &Health, reflection: bool) -> Routes {
    let lease = pb::lease_service_server::LeaseServiceServer::new(LeaseServer::new(broker.clone()))
        .max_decoding_message_size(MAX_REQUEST)
        .max_encoding_message_size(MAX_RESPONSE);
    let _ = MAX_IMPORT_REQUEST;
    Routes::new(lease)
}
