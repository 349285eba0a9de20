//! The pages on which a person connects an account. They work without JavaScript, load nothing from elsewhere, and are never kept.
//!
//! A member who is signed in starts at `/connect/start`. `GET /connect/links/{link}` shows who asks for what; its `POST` binds the browser and sends it to the network; the network sends it back to
//! `GET /connect/callback/{network}`, which takes the code out of the address at once: from there on `/connect/{connection}` shows how far it is.
//!
//! Who is signed in is known by the session's cookie, as on every page; a connection that is bound to a member goes on only there.
//!
//! The browser is known by a cookie (`cookie`) that other sites can't set, read, or have sent with a `POST`; a `POST` from elsewhere is refused
//! besides, by what the browser says of its origin.

mod callback;
mod cookie;
mod error;
mod guard;
mod offer;
mod page;
mod start;
mod step;
mod visitor;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::service::Broker;
use crate::web::console::keep_form;

/// A form is read up to this many bytes: as many profiles as one choice may have.
const LONGEST_FORM: usize = 512 * 1024;

/// The routes.
pub fn routes(broker: Broker) -> Router {
    let start = Router::new()
        .route("/connect/start", get(start::show).post(start::start))
        .layer(from_fn_with_state(broker.clone(), keep_form));
    Router::new()
        .route("/connect/links/{link}", get(offer::show).post(offer::accept))
        .route("/connect/callback/{network}", get(callback::arrive))
        .merge(start)
        .route("/teams/{team}/tokens/{token}", get(start::of_token))
        .route("/connect/{connection}", get(step::show))
        .route("/connect/{connection}/begin", post(step::begin))
        .route("/connect/{connection}/choose", post(step::choose))
        .route("/connect/{connection}/cancel", post(step::cancel))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .layer(axum::middleware::from_fn(guard::same_origin))
        .with_state(broker)
}

#[cfg(test)]
mod tests;
