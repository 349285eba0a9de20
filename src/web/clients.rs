//! What networks read of our apps that show who they are by a key: at the address that is the app's client id (`/oauth/clients/{network}/{app}`).
//!
//! It is public, holds public keys only, and is read whenever a network wants to know whether an assertion is the app's.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use crate::service::Broker;

/// How long a network may keep the document. A new key is known everywhere after that.
const KEPT: &str = "public, max-age=60";

/// The route.
pub fn routes(broker: Broker) -> Router {
    Router::new().route("/oauth/clients/{network}/{app}", get(document)).with_state(broker)
}

async fn document(State(broker): State<Broker>, Path((network, app)): Path<(String, String)>) -> Response {
    match broker.client_metadata(&network, &app) {
        Ok(Some(document)) => ([(header::CACHE_CONTROL, KEPT)], Json(document)).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, "There is no such app, or it has no key.\n").into_response(),
        Err(error) => {
            tracing::error!(network, app, %error, "what is told of an app to its network can't be told");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
