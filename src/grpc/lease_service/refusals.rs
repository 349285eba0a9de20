//! Errors of the lease calls as refusals: each with its stable reason, and with a time where it can be retried.

use std::time::Duration;

use tonic::Code;

use crate::base::clock::Timestamp;
use crate::domain::lease::LeaseState;
use crate::domain::pool::{NoToken, Unusable};
use crate::domain::team::ScopeError;
use crate::domain::token::Reason;
use crate::grpc::pb::{ErrorReason, Lease};
use crate::grpc::status::{Refusal, refuse};
use crate::service::{AcquireError, AcquireLeaseError, LeaseCallError, ListLeasesError, ProofError};

/// How long to wait where the broker has too much to do.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why no lease was given. `asked`: the lease as far as the request told it.
pub fn of_acquire(error: AcquireLeaseError, asked: &Lease, now: Timestamp) -> Refusal {
    let message = error.to_string();
    let wrong = |reason| refuse(Code::InvalidArgument, reason, message.clone());
    match error {
        AcquireLeaseError::Forbidden(error) => error.into(),
        AcquireLeaseError::Scope(error) => of_scope(&error),
        AcquireLeaseError::TeamNotFound(_) => refuse(Code::NotFound, ErrorReason::TeamNotFound, message),
        AcquireLeaseError::UnknownNetwork(network) => wrong(ErrorReason::UnknownNetwork).with("network", network),
        AcquireLeaseError::UnknownOperation { network, operation } => {
            wrong(ErrorReason::UnknownOperation).with("network", network).with("operation", operation)
        }
        AcquireLeaseError::UnknownKind { network, kind } => {
            wrong(ErrorReason::UnknownKind).with("network", network).with("kind", kind)
        }
        AcquireLeaseError::KindNotServed { operation, kind } => {
            wrong(ErrorReason::KindNotServed).with("operation", operation).with("kind", kind)
        }
        AcquireLeaseError::PurposeNotServed { network, operation, purpose, .. } => wrong(ErrorReason::PurposeNotServed)
            .with("network", network)
            .with("operation", operation)
            .with("purpose", purpose.as_str()),
        AcquireLeaseError::NoUsableToken { why, unusable } => no_usable_token(why, unusable, asked),
        AcquireLeaseError::Refused(error) => of_engine(error, asked, now),
        AcquireLeaseError::Sealed => refuse(Code::DataLoss, ErrorReason::SealBroken, message),
    }
}

fn of_scope(error: &ScopeError) -> Refusal {
    let message = error.to_string();
    match error {
        ScopeError::Disabled => refuse(Code::PermissionDenied, ErrorReason::CollectorDisabled, message),
        ScopeError::Network(network) => {
            refuse(Code::PermissionDenied, ErrorReason::NetworkNotAllowed, message).with("network", network)
        }
        ScopeError::Purpose(purpose) => {
            refuse(Code::PermissionDenied, ErrorReason::PurposeNotAllowed, message).with("purpose", purpose.as_str())
        }
    }
}

fn of_engine(error: AcquireError, asked: &Lease, now: Timestamp) -> Refusal {
    let message = error.to_string();
    match error {
        AcquireError::LimitedUntil { until, limit } => {
            let subject = format!("{}/creditClasses/{}", asked.network, limit.class);
            let described = format!("the credit of the {} is used up until {until}", limit.owner.as_str());
            refuse(Code::ResourceExhausted, ErrorReason::LimitedUntil, message)
                .with("until", until)
                .quota(subject, described)
                .retry_at(until, now)
        }
        AcquireError::Resting { until, why } => refuse(Code::ResourceExhausted, ErrorReason::LimitedUntil, message)
            .with("until", until)
            .with("rests_for", why.as_str())
            .retry_at(until, now),
        AcquireError::Busy { until } => {
            refuse(Code::ResourceExhausted, ErrorReason::Busy, message).retry_at(until, now)
        }
        AcquireError::QueueFull => refuse(Code::ResourceExhausted, ErrorReason::Busy, message).retry_in(PATIENCE),
        AcquireError::TooManyLeases(most) => {
            refuse(Code::ResourceExhausted, ErrorReason::TooManyLeases, message).with("max_concurrent_leases", most)
        }
        AcquireError::TooManyCalls { most } => {
            refuse(Code::FailedPrecondition, ErrorReason::CreditCanNeverFit, message).with("most_calls", most)
        }
        AcquireError::NoToken(why) => no_usable_token(why, Unusable::default(), asked),
        AcquireError::UnknownNetwork => {
            refuse(Code::InvalidArgument, ErrorReason::UnknownNetwork, message).with("network", &asked.network)
        }
        AcquireError::Repeated { .. } | AcquireError::OtherContent => {
            refuse(Code::InvalidArgument, ErrorReason::RequestIdReused, message)
        }
        AcquireError::Raced | AcquireError::Overloaded => {
            refuse(Code::Unavailable, ErrorReason::Overloaded, message).retry_in(PATIENCE)
        }
        AcquireError::Store(error) => error.into(),
    }
}

/// Says what a person should do.
fn no_usable_token(why: NoToken, unusable: Unusable, asked: &Lease) -> Refusal {
    let (team, network) = (&asked.team, &asked.network);
    let todo = match why {
        NoToken::None => "has no token that fits; have a member connect an account".to_owned(),
        NoToken::Purpose => {
            "has no token whose person agreed to this use with the scopes it needs; have the person connect again and agree"
                .to_owned()
        }
        NoToken::PermissionLost => {
            "has no token that still has the permission it needs: the network refused this operation; have the permission or role given back there, then have the person connect again"
                .to_owned()
        }
        NoToken::Blocked => {
            "has only tokens whose accounts the network blocks for a time; have the persons sign in there and look".to_owned()
        }
        NoToken::Paused => "has only paused tokens for this; resume one".to_owned(),
        NoToken::Dead(reason) => format!("has no living token for this: {}", what_to_do(reason)),
    };
    let message = format!("{team} {todo} ({network}, operation '{}')", asked.operation);
    refuse(Code::FailedPrecondition, ErrorReason::NoUsableToken, message)
        .with("expired", unusable.expired)
        .with("invalid", unusable.invalid)
        .with("paused", unusable.paused)
        .with("without_scope", unusable.without_scope)
        .with("without_purpose", unusable.without_purpose)
}

fn what_to_do(reason: Reason) -> &'static str {
    match reason {
        Reason::Expired => "its time is over; have the person connect again",
        Reason::PasswordChanged => "the person changed the password at the network; have the person connect again",
        Reason::PermissionLost => {
            "the person lost a permission or role; have it given back at the network, then connect again"
        }
        Reason::RevokedByPerson => "it was revoked; ask the person whether to connect again",
        Reason::PersonBlocked => "the network blocks the person's account; the person must act at the network",
        Reason::AppDisabled => "the network disabled the app; an operator must act there",
        Reason::PlatformReset => "the network reset its tokens; have the person connect again",
        Reason::RefreshRejected => "the network refused to renew it; have the person connect again",
        Reason::SecretDamaged => {
            "its stored secret does not open any more; have the person connect again, and an operator run the doctor"
        }
        Reason::NotAccepted => "the network does not accept it and does not say why; have the person connect again",
    }
}

/// Why no proof was signed.
pub fn of_proof(error: ProofError) -> Refusal {
    let message = error.to_string();
    match error {
        ProofError::Lease(error) => of_call(error),
        ProofError::TooLate(_) => refuse(Code::FailedPrecondition, ErrorReason::LeaseExpired, message),
        ProofError::NotBound(_) => refuse(Code::FailedPrecondition, ErrorReason::ProofNotNeeded, message),
        ProofError::Forgotten(_) => refuse(Code::FailedPrecondition, ErrorReason::ProofKeyForgotten, message),
        ProofError::OtherServer { server } => {
            refuse(Code::InvalidArgument, ErrorReason::ProofServer, message).with("server", server).field("url")
        }
        ProofError::Random => refuse(Code::Unavailable, ErrorReason::Overloaded, message).retry_in(PATIENCE),
    }
}

/// Why a call about a lease was refused.
pub fn of_call(error: LeaseCallError) -> Refusal {
    let message = error.to_string();
    match error {
        LeaseCallError::Forbidden(error) => error.into(),
        LeaseCallError::NotFound(_) => refuse(Code::NotFound, ErrorReason::LeaseNotFound, message),
        LeaseCallError::Expired(_) => refuse(Code::FailedPrecondition, ErrorReason::LeaseExpired, message),
        LeaseCallError::Ended { state, .. } => {
            refuse(Code::FailedPrecondition, ErrorReason::LeaseEnded, message).with("state", state_name(state))
        }
        LeaseCallError::MoreThanGranted { reported, left } => {
            refuse(Code::InvalidArgument, ErrorReason::ReportExceedsGrant, message)
                .with("granted", left)
                .with("reported", reported)
        }
        LeaseCallError::Store(error) => error.into(),
    }
}

/// Why leases were not shown.
pub fn of_list(error: ListLeasesError) -> Refusal {
    let message = error.to_string();
    match error {
        ListLeasesError::Forbidden(error) => error.into(),
        ListLeasesError::NotFound(_) => refuse(Code::NotFound, ErrorReason::LeaseNotFound, message),
        ListLeasesError::Store(error) => error.into(),
    }
}

fn state_name(state: LeaseState) -> &'static str {
    match state {
        LeaseState::Open => "ACTIVE",
        LeaseState::Released => "RELEASED",
        LeaseState::Expired => "EXPIRED",
        LeaseState::Recalled => "RECALLED",
    }
}
