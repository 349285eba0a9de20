//! A browser comes back from a network.

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};

use super::error;
use super::visitor::visitor;
use crate::base::secret::Secret;
use crate::service::Broker;
use crate::service::connect::{Arrived, CallbackError, CallbackQuery};

/// Takes what it brings. The answer is a redirect, so that no code stays in the browser's history.
pub(super) async fn arrive(
    State(broker): State<Broker>,
    Path(network): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let visitor = match visitor(&broker, &headers).await {
        Ok(visitor) => visitor,
        Err(answer) => return answer,
    };
    let Ok(network) = network.parse() else { return error::not_let_in(&CallbackError::UnknownState) };
    let query = read(query.as_deref().unwrap_or_default());
    match broker.finish_consent(network, query, &visitor).await {
        Ok(Arrived { connection }) => Redirect::to(&format!("/connect/{connection}")).into_response(),
        Err(error) => error::not_let_in(&error),
    }
}

/// The parameters that are known; of one that comes several times (which RFC 6749 forbids) the first.
fn read(query: &str) -> CallbackQuery {
    let mut read = CallbackQuery::default();
    for (name, value) in
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect::<Vec<_>>().into_iter().rev()
    {
        match name.as_str() {
            "code" => read.code = Some(Secret::new(value)),
            "state" => read.state = value,
            "error" => read.error = Some(value),
            "error_description" => read.error_description = Some(value),
            "iss" => read.issuer = Some(value),
            _ => {}
        }
    }
    read
}
