//! How far a connection is, for the browser that it is bound to; and what that browser decides.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use url::Url;

use super::offer::Agreement;
use super::page::Message;
use super::visitor::visitor;
use super::{error, offer, page};
use crate::base::ids::ConnectionId;
use crate::domain::connection::{Connection, Granter, Stage};
use crate::service::Broker;
use crate::service::connect::{ConnectError, Offer, Visitor};
use crate::text::Text;
use crate::web::console::HOME;

/// The connection, and who comes.
async fn asked(broker: &Broker, id: &str, headers: &HeaderMap) -> Result<(ConnectionId, Visitor), Response> {
    let id = id.parse().map_err(|_| error::refused(&ConnectError::UnknownLink, None))?;
    Ok((id, visitor(broker, headers).await?))
}

fn refused(id: ConnectionId, error: &ConnectError) -> Response {
    error::refused(error, Some(&format!("/connect/{id}")))
}

/// Shows how far it is.
pub(super) async fn show(State(broker): State<Broker>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let (id, visitor) = match asked(&broker, &id, &headers).await {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    match broker.connection_for_browser(id, &visitor).await {
        Ok(connection) => standing(&broker, &connection, &visitor, None).await,
        Err(error) => refused(id, &error),
    }
}

/// `wrong`: what is wrong with what was chosen.
async fn standing(broker: &Broker, connection: &Connection, visitor: &Visitor, wrong: Option<String>) -> Response {
    match &connection.stage {
        Stage::Offered | Stage::Asked { .. } | Stage::Redeeming { .. } => {
            page::offer(broker, connection, visitor, format!("/connect/{}/begin", connection.id), None)
        }
        Stage::Choosing(found) => match broker.profiles_that_stay(connection).await {
            Ok(held) => page::choose(broker, connection, found, &held, wrong),
            Err(error) => refused(connection.id, &error),
        },
        Stage::Connected { .. } => ended("connected", connection),
        Stage::Cancelled { .. } => ended("cancelled", connection),
        Stage::Lapsed { .. } => ended("lapsed", connection),
    }
}

fn ended(how: &str, connection: &Connection) -> Response {
    let text = Text::english().say(&format!("ended-text-{how}"));
    let message = Message::new(&format!("ended-{how}"), text);
    message.leading_to("go-back", connection.return_url.clone()).into_response()
}

/// Sends the browser to the network once more.
pub(super) async fn begin(
    State(broker): State<Broker>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(agreement): Form<Agreement>,
) -> Response {
    match id.parse() {
        Ok(id) => offer::send_away(&broker, Offer::Bound(id), &headers, &agreement).await,
        Err(_) => error::refused(&ConnectError::UnknownLink, None),
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
    let (id, visitor) = match asked(&broker, &id, &headers).await {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    match broker.choose_profiles(id, &visitor, profiles).await {
        Ok(connection) => done(&connection),
        Err(ConnectError::Choice(wrong)) => choose_again(&broker, id, &visitor, Text::english().tell_of(&wrong)).await,
        Err(error) => refused(id, &error),
    }
}

async fn choose_again(broker: &Broker, id: ConnectionId, visitor: &Visitor, wrong: String) -> Response {
    match broker.connection_for_browser(id, visitor).await {
        Ok(connection) => standing(broker, &connection, visitor, Some(wrong)).await,
        Err(error) => refused(id, &error),
    }
}

/// Ends it without tokens.
pub(super) async fn cancel(State(broker): State<Broker>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let (id, visitor) = match asked(&broker, &id, &headers).await {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    match broker.decline_connection(id, &visitor).await {
        Ok(connection) => done(&connection),
        Err(error) => refused(id, &error),
    }
}

/// Back to where it was asked for, which may be another site; a member who connects its own account to the tokens; others to a page that says how it ended.
fn done(connection: &Connection) -> Response {
    let of_member = || match (&connection.granter, &connection.stage) {
        (Granter::Member(_), Stage::Connected { tokens, .. }) => {
            Some(format!("{HOME}?done=connected&count={}", tokens.len()))
        }
        (Granter::Member(_), Stage::Cancelled { .. }) => Some(format!("{HOME}?done=not-connected")),
        _ => None,
    };
    if let Some(url) = connection.return_url.as_deref().and_then(|url| Url::parse(url).ok()) {
        return page::away(&url, url.host_str().unwrap_or_default());
    }
    Redirect::to(&of_member().unwrap_or_else(|| format!("/connect/{}", connection.id))).into_response()
}
