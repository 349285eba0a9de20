//! How the errors of loads, alerts and their streams are told: each with its code and reason.

use std::time::Duration;

use tonic::{Code, Status};

use crate::grpc::pb::ErrorReason;
use crate::grpc::status::{Refusal, refuse};
use crate::service::{AlertError, TeamLoadError};

/// When to open a stream again that was refused.
const PATIENCE: Duration = Duration::from_secs(5);

impl From<TeamLoadError> for Refusal {
    fn from(error: TeamLoadError) -> Self {
        let message = error.to_string();
        match error {
            TeamLoadError::Forbidden(forbidden) => Refusal::from(forbidden),
            TeamLoadError::TeamNotFound(_) => refuse(Code::NotFound, ErrorReason::TeamNotFound, message),
            TeamLoadError::UnknownNetwork(network) => {
                refuse(Code::InvalidArgument, ErrorReason::UnknownNetwork, message).with("network", network)
            }
            TeamLoadError::UnknownOperation { network, operation } => {
                let refusal = refuse(Code::InvalidArgument, ErrorReason::UnknownOperation, message);
                refusal.with("network", network).with("operation", operation)
            }
            TeamLoadError::UnknownClass { network, class } => {
                let refusal = refuse(Code::InvalidArgument, ErrorReason::UnknownCreditClass, message);
                refusal.with("network", network).with("credit_class", class)
            }
            TeamLoadError::UnknownKind { network, kind } => {
                let refusal = refuse(Code::InvalidArgument, ErrorReason::UnknownKind, message);
                refusal.with("network", network).with("kind", kind)
            }
        }
    }
}

impl From<AlertError> for Refusal {
    fn from(error: AlertError) -> Self {
        let message = error.to_string();
        match error {
            AlertError::Forbidden(forbidden) => Refusal::from(forbidden),
            AlertError::TeamNotFound(_) => refuse(Code::NotFound, ErrorReason::TeamNotFound, message),
            AlertError::NotFound(_) => refuse(Code::NotFound, ErrorReason::AlertNotFound, message),
            AlertError::Acknowledge(_) => refuse(Code::FailedPrecondition, ErrorReason::AlertCleared, message),
            AlertError::Store(error) => Refusal::from(error),
            AlertError::Stopping => {
                refuse(Code::Unavailable, ErrorReason::ShuttingDown, message).retry_in(Duration::from_secs(1))
            }
        }
    }
}

/// The process is about to stop.
pub fn shutting_down() -> Status {
    let message = "the broker is about to stop; open the stream again";
    refuse(Code::Unavailable, ErrorReason::ShuttingDown, message).retry_in(Duration::from_secs(1)).status()
}

/// As many streams as may are open.
pub fn too_many_streams() -> Status {
    let message = "as many watches are open as may be; end one, or try again later";
    refuse(Code::ResourceExhausted, ErrorReason::TooManyStreams, message).retry_in(PATIENCE).status()
}
