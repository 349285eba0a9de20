//! Who comes: the browser, and who is signed in there.

use axum::http::HeaderMap;
use axum::response::Response;

use super::{cookie, error};
use crate::service::Broker;
use crate::service::connect::{ConnectError, Visitor};
use crate::web::cookie::session_of;

/// Who comes. `Err`: what to answer where the store can't say who is signed in.
pub(super) async fn visitor(broker: &Broker, headers: &HeaderMap) -> Result<Visitor, Response> {
    let browser = cookie::browser_of(&broker.config, headers);
    match broker.find_stay(session_of(headers)).await {
        Ok(stay) => Ok(Visitor { browser, stay }),
        Err(error) => Err(error::refused(&ConnectError::from(error), None)),
    }
}
