//! Who calls: read from the call's metadata, for every service alike.

use tonic::{Request, Status};

use crate::grpc::status::Refusal;
use crate::service::{Broker, Caller};

/// Tells who makes a call.
pub fn caller<T>(broker: &Broker, request: &Request<T>) -> Result<Caller, Status> {
    let shown = request.metadata().get("authorization").map(|value| value.to_str().unwrap_or_default());
    broker.authenticate(shown).map_err(|error| Refusal::from(error).status())
}
