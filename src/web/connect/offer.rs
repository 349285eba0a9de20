//! A browser comes with a connect link.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::visitor::visitor;
use super::{cookie, error, page};
use crate::domain::connection::{Connection, Stage};
use crate::service::Broker;
use crate::service::connect::{ConnectError, Offer, SentAway};
use crate::text::Text;

/// What the page that asks for consent says: which text was shown.
#[derive(Deserialize)]
pub(super) struct Agreement {
    #[serde(default)]
    text_version: String,
}

/// Shows who asks for what. Looking at it uses nothing up: programs that preview links look at it, too.
pub(super) async fn show(State(broker): State<Broker>, Path(link): Path<String>, headers: HeaderMap) -> Response {
    shown(&broker, Offer::Link(&link), &headers, None).await
}

async fn shown(broker: &Broker, offer: Offer<'_>, headers: &HeaderMap, problem: Option<String>) -> Response {
    let visitor = match visitor(broker, headers).await {
        Ok(visitor) => visitor,
        Err(answer) => return answer,
    };
    match broker.offered_connection(offer, &visitor).await {
        Ok(connection) if is_under_way(&connection) => {
            Redirect::to(&format!("/connect/{}", connection.id)).into_response()
        }
        Ok(connection) => page::offer(broker, &connection, &visitor, address_of(offer), problem),
        Err(error) => error::refused(&error, Some(&page_of(offer))),
    }
}

/// Where the form of the page is posted to.
fn address_of(offer: Offer<'_>) -> String {
    match offer {
        Offer::Link(link) => format!("/connect/links/{link}"),
        Offer::Bound(id) => format!("/connect/{id}/begin"),
    }
}

/// Where the page is.
fn page_of(offer: Offer<'_>) -> String {
    match offer {
        Offer::Link(link) => format!("/connect/links/{link}"),
        Offer::Bound(id) => format!("/connect/{id}"),
    }
}

fn is_under_way(connection: &Connection) -> bool {
    matches!(connection.stage, Stage::Choosing(_)) || connection.stage.is_end()
}

/// Binds the browser, and sends it to the network.
pub(super) async fn accept(
    State(broker): State<Broker>,
    Path(link): Path<String>,
    headers: HeaderMap,
    Form(agreement): Form<Agreement>,
) -> Response {
    send_away(&broker, Offer::Link(&link), &headers, &agreement).await
}

/// Sends a browser to the network whose person agreed, known by its cookie from now on.
pub(super) async fn send_away(
    broker: &Broker,
    offer: Offer<'_>,
    headers: &HeaderMap,
    agreement: &Agreement,
) -> Response {
    let visitor = match visitor(broker, headers).await {
        Ok(visitor) => visitor,
        Err(answer) => return answer,
    };
    match broker.begin_connection(offer, &visitor, &agreement.text_version).await {
        Ok(SentAway { url, network, browser }) => {
            let known = cookie::known_by(&broker.config, &browser).map(|value| [(header::SET_COOKIE, value)]);
            (known, page::away(&url, &network)).into_response()
        }
        Err(error @ ConnectError::OldText) => {
            shown(broker, offer, headers, Some(Text::english().tell_of(&error))).await
        }
        Err(error) => error::refused(&error, Some(&page_of(offer))),
    }
}
