//! How far a connection is, for the browser that it is bound to; and what that browser decides.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};

use super::page::Message;
use super::{cookie, error, offer, page};
use crate::base::ids::ConnectionId;
use crate::base::secret::Secret;
use crate::domain::connection::{Connection, Stage};
use crate::service::Broker;
use crate::service::connect::{ConnectError, Offer};

/// The connection, and what its browser shows.
fn asked(broker: &Broker, id: &str, headers: &HeaderMap) -> Result<(ConnectionId, Secret), ConnectError> {
    let id = id.parse().map_err(|_| ConnectError::UnknownLink)?;
    let browser = cookie::browser_of(&broker.config, headers).ok_or(ConnectError::ForeignBrowser)?;
    Ok((id, browser))
}

/// Shows how far it is.
pub(super) async fn show(State(broker): State<Broker>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let shown = async {
        let (id, browser) = asked(&broker, &id, &headers)?;
        broker.connection_for_browser(id, browser.expose()).await
    };
    match shown.await {
        Ok(connection) => standing(&broker, &connection),
        Err(error) => error::refused(&error),
    }
}

fn standing(broker: &Broker, connection: &Connection) -> Response {
    match &connection.stage {
        Stage::Offered | Stage::Asked { .. } | Stage::Redeeming { .. } => {
            page::offer(broker, connection, format!("/connect/{}/begin", connection.id))
        }
        Stage::Choosing(found) => page::choose(broker, connection, found, None),
        Stage::Connected { .. } => {
            let text = "The account is connected. You can close this window.";
            Message::new("Connected", text).leading_to(connection.return_url.clone()).into_response()
        }
        Stage::Cancelled { .. } => {
            let text =
                "Nothing was connected, and what the network had given was thrown away. You can close this window.";
            Message::new("Not connected", text).leading_to(connection.return_url.clone()).into_response()
        }
        Stage::Lapsed { .. } => {
            Message::new("Too late", "The time for this is over. Ask for a new connect link.").into_response()
        }
    }
}

/// Sends the browser to the network once more.
pub(super) async fn begin(State(broker): State<Broker>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    match id.parse() {
        Ok(id) => offer::send_away(&broker, Offer::Bound(id), &headers).await,
        Err(_) => error::refused(&ConnectError::UnknownLink),
    }
}

/// Connects what was chosen.
pub(super) async fn choose(
    State(broker): State<Broker>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let profiles = fields.into_iter().filter(|(name, _)| name == "profile").map(|(_, value)| value).collect();
    let (id, browser) = match asked(&broker, &id, &headers) {
        Ok(asked) => asked,
        Err(error) => return error::refused(&error),
    };
    match broker.choose_profiles(id, browser.expose(), profiles).await {
        Ok(connection) => done(&connection),
        Err(ConnectError::Choice(wrong)) => choose_again(&broker, id, &browser, wrong.to_string()).await,
        Err(error) => error::refused(&error),
    }
}

async fn choose_again(broker: &Broker, id: ConnectionId, browser: &Secret, wrong: String) -> Response {
    match broker.connection_for_browser(id, browser.expose()).await {
        Ok(connection) => match &connection.stage {
            Stage::Choosing(found) => page::choose(broker, &connection, found, Some(wrong)),
            _ => standing(broker, &connection),
        },
        Err(error) => error::refused(&error),
    }
}

/// Ends it without tokens.
pub(super) async fn cancel(State(broker): State<Broker>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let ended = async {
        let (id, browser) = asked(&broker, &id, &headers)?;
        broker.decline_connection(id, browser.expose()).await
    };
    match ended.await {
        Ok(connection) => done(&connection),
        Err(error) => error::refused(&error),
    }
}

/// Back to where it was asked for, or to a page that says how it ended.
fn done(connection: &Connection) -> Response {
    let end = connection.return_url.clone().unwrap_or_else(|| format!("/connect/{}", connection.id));
    Redirect::to(&end).into_response()
}
