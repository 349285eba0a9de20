//! Where networks tell that a person took the consent back (`/callbacks/{network}/{app}/deauthorize`), or wants the data deleted
//! (`…/delete-data`), and where that person sees how far it is (`/callbacks/status/{code}`).
//!
//! No other route changes anything for who is not signed in. A request that is not believed gets one answer, whatever is wrong with it.

use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Form, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::service::Broker;
use crate::service::callbacks::{Asked, CallbackRefused, DeletionStatus};
use crate::text::{Sentence, Text};

/// A request is read up to this many bytes.
const LONGEST_FORM: usize = 8 * 1024;

#[derive(Deserialize)]
struct CallbackForm {
    signed_request: String,
}

/// The routes.
pub fn routes(broker: Broker) -> Router {
    Router::new()
        .route("/callbacks/{network}/{app}/deauthorize", post(deauthorize))
        .route("/callbacks/{network}/{app}/delete-data", post(delete_data))
        .route("/callbacks/status/{code}", get(status))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .with_state(broker)
}

async fn deauthorize(
    State(broker): State<Broker>,
    Path((network, app)): Path<(String, String)>,
    form: Result<Form<CallbackForm>, FormRejection>,
) -> Response {
    match take(&broker, &network, &app, Asked::Deauthorize, form).await {
        Ok(_) => StatusCode::OK.into_response(),
        Err(error) => refused(&error),
    }
}

async fn delete_data(
    State(broker): State<Broker>,
    Path((network, app)): Path<(String, String)>,
    form: Result<Form<CallbackForm>, FormRejection>,
) -> Response {
    match take(&broker, &network, &app, Asked::DeleteData, form).await {
        Ok(code) => {
            let url = broker.config.http.link(&format!("/callbacks/status/{code}"));
            Json(serde_json::json!({ "url": url, "confirmation_code": code })).into_response()
        }
        Err(error) => refused(&error),
    }
}

async fn take(
    broker: &Broker,
    network: &str,
    app: &str,
    asked: Asked,
    form: Result<Form<CallbackForm>, FormRejection>,
) -> Result<String, CallbackRefused> {
    let Ok(Form(CallbackForm { signed_request })) = form else { return Err(CallbackRefused::NotAccepted) };
    broker.take_callback(network, app, asked, &signed_request).await
}

fn refused(error: &CallbackRefused) -> Response {
    match error {
        CallbackRefused::NotAccepted => StatusCode::FORBIDDEN.into_response(),
        CallbackRefused::TooMany => StatusCode::TOO_MANY_REQUESTS.into_response(),
        CallbackRefused::Store(error) => {
            tracing::error!(%error, "a callback of a network could not be taken");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

async fn status(State(broker): State<Broker>, Path(code): Path<String>) -> Response {
    let (status, said) = match broker.deletion_status(&code).await {
        Ok(Some(DeletionStatus { done_at: Some(at), .. })) => {
            (StatusCode::OK, Sentence::new("deletion-done").in_full("at", at))
        }
        Ok(Some(DeletionStatus { received_at, .. })) => {
            (StatusCode::OK, Sentence::new("deletion-under-way").in_full("at", received_at))
        }
        Ok(None) => (StatusCode::NOT_FOUND, Sentence::new("deletion-unknown")),
        Err(error) => {
            tracing::error!(%error, "how far a deletion is could not be looked up");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, format!("{}\n", Text::english().tell(&said, &TimeZone::UTC))).into_response()
}

#[cfg(test)]
mod tests;
