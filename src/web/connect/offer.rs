//! A browser comes with a connect link.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::{cookie, error, page};
use crate::base::secret::Secret;
use crate::domain::connection::{Connection, Stage};
use crate::service::Broker;
use crate::service::connect::{Offer, SentAway};

/// Shows who asks for what. Looking at it uses nothing up: programs that preview links look at it, too.
pub(super) async fn show(State(broker): State<Broker>, Path(link): Path<String>, headers: HeaderMap) -> Response {
    let browser = cookie::browser_of(&broker.config, &headers);
    let offered = broker.offered_connection(Offer::Link(&link), browser.as_ref().map(Secret::expose)).await;
    match offered {
        Ok(connection) if is_under_way(&connection) => {
            Redirect::to(&format!("/connect/{}", connection.id)).into_response()
        }
        Ok(connection) => page::offer(&broker, &connection, format!("/connect/links/{link}")),
        Err(error) => error::refused(&error),
    }
}

fn is_under_way(connection: &Connection) -> bool {
    matches!(connection.stage, Stage::Choosing(_)) || connection.stage.is_end()
}

/// Binds the browser, and sends it to the network.
pub(super) async fn accept(State(broker): State<Broker>, Path(link): Path<String>, headers: HeaderMap) -> Response {
    send_away(&broker, Offer::Link(&link), &headers).await
}

/// Sends a browser to the network, known by its cookie from now on.
pub(super) async fn send_away(broker: &Broker, offer: Offer<'_>, headers: &HeaderMap) -> Response {
    let browser = cookie::browser_of(&broker.config, headers);
    match broker.begin_connection(offer, browser.as_ref().map(Secret::expose)).await {
        Ok(SentAway { url, browser }) => {
            let known = cookie::known_by(&broker.config, &browser).map(|value| [(header::SET_COOKIE, value)]);
            (known, Redirect::to(url.as_str())).into_response()
        }
        Err(error) => error::refused(&error),
    }
}
