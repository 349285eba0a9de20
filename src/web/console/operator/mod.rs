//! The pages of operators: the process and its tasks, networks and our apps there, the books of the live pools, leases and who waits,
//! messages that were given up, keys.
//!
//! Operators sign in with their key ([`sign_in`]). A reader looks at everything but keys; an admin changes things, too, as over gRPC.

mod dead_letters;
mod incident;
mod keys;
mod leases;
mod networks;
mod overview;
mod pools;
mod sign_in;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

pub(super) use self::sign_in::{page_before as sign_in_before, sign_in_again};
use super::refused::Refusal;
use super::{OperatorVisit, confirm, kept, live};
use crate::service::apps::AppError;
use crate::service::notices::DeadLetterError;
use crate::service::pools::PoolError;
use crate::service::sealing::RotateError;
use crate::service::{Broker, ListLeasesError};

/// The page to begin with.
pub(super) const HOME: &str = "/operator";

/// The routes.
pub(super) fn routes(broker: &Broker) -> Router<Broker> {
    // What would do most harm at a browser that was left open asks once more for the key.
    let guarded = Router::new()
        .route("/operator/keys/new", post(keys::create))
        .route("/operator/keys/{key}/revoke", get(keys::confirm_revocation).post(keys::revoke))
        .route("/operator/keys/rotate", get(keys::confirm_rotation).post(keys::rotate))
        .route("/operator/networks/{network}/apps", post(networks::create_app))
        .route("/operator/networks/{network}/apps/{app}", post(networks::update_app))
        .route("/operator/dead-letters/replay", post(dead_letters::replay_all))
        .route("/operator/incidents/{incident}/close", get(overview::confirm_close).post(overview::close))
        .layer(from_fn_with_state(broker.clone(), confirm::ask_again::<OperatorVisit>));
    let pages = Router::new()
        .merge(guarded)
        .route(HOME, get(overview::show))
        .route("/operator/live", get(live::stream_of_operator))
        .route("/operator/incidents/{incident}", get(incident::show))
        .route("/operator/incidents/{incident}/acknowledge", post(overview::acknowledge))
        .route("/operator/networks", get(networks::list))
        .route("/operator/networks/{network}", get(networks::show))
        .route("/operator/pools", get(pools::list))
        .route("/operator/pools/{network}", get(pools::show))
        .route("/operator/leases", get(leases::list))
        .route("/operator/dead-letters", get(dead_letters::list))
        .route("/operator/dead-letters/{message}/replay", post(dead_letters::replay))
        .route(
            "/operator/dead-letters/{message}/delete",
            get(dead_letters::confirm_deletion).post(dead_letters::delete),
        )
        .route("/operator/keys", get(keys::list))
        .layer(from_fn_with_state(broker.clone(), kept::keep_form_of_operator));
    Router::new()
        .merge(pages)
        .route("/operator/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/operator/sign-out", post(sign_in::sign_out))
        .route("/operator/alive", post(sign_in::stay))
}

impl Refusal for PoolError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Network(_) => StatusCode::NOT_FOUND,
        }
    }
}

impl Refusal for ListLeasesError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Refusal for DeadLetterError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Refusal for AppError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Network(_) | Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Exists { .. } | Self::InUse { .. } | Self::Default(_) => StatusCode::CONFLICT,
            Self::Fact(_)
            | Self::NoTeam(_)
            | Self::NoBudget { .. }
            | Self::Units { .. }
            | Self::ClientKey(_)
            | Self::NoClientKeys(_)
            | Self::NoPublicUrl => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Random => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Refusal for RotateError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoNextKey | Self::SameKey | Self::Key(_) => StatusCode::CONFLICT,
            Self::Vault(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
