//! The console: the pages on which members look after their team's tokens, and operators after the broker.
//!
//! Pages are made here whole and work without a script; scripts only keep them up to date, draw charts and spare clicks. Whatever changes
//! something is a POST that ends with a redirect to the page that shows it. What a member may do is asked of the use cases themselves, which
//! refuse what the page should not have offered. What was asked for is done to its end, also if the browser goes away meanwhile. The words are
//! in [`text`](crate::text).

mod activity;
mod actor;
mod again;
mod alerts;
mod collectors;
mod confirm;
mod filter;
mod incident;
mod jobs;
mod kept;
mod live;
mod load;
mod members;
mod noticed;
mod notices;
mod notifications;
mod operator;
mod paging;
mod refused;
#[cfg(test)]
mod route_tests;
mod shell;
#[cfg(test)]
mod testing;
mod tokens;
mod typed;
mod visit;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

pub(in crate::web) use self::incident::page_of_incident;
pub(in crate::web) use self::kept::{ask_to_send, keep_form};
pub(in crate::web) use self::shell::{Place, Reader, Shell, When};
pub(in crate::web) use self::visit::{AdminVisit, ByItself, OperatorVisit, Visit};
use crate::service::Broker;

/// The page that who has signed in comes to.
pub(in crate::web) const HOME: &str = "/tokens";
/// The same, with what the member is to mend.
pub(in crate::web) const HELLO: &str = "/tokens?hello=yes";

/// The routes.
pub fn routes(broker: Broker) -> Router {
    // What would do most harm at a browser that was left open asks once more who it is: keys and other secrets, who is in the team and what it
    // may do, where the team is told, and many tokens at once.
    let guarded = Router::new()
        .route("/tokens/act", post(tokens::act_on_many))
        .route("/tokens/revoke", post(tokens::revoke_many))
        .route("/tokens/{token}/revoke", get(tokens::confirm_revocation).post(tokens::revoke))
        .route("/collectors/{collector}/keys", post(collectors::create_key))
        .route(
            "/collectors/{collector}/keys/{key}/revoke",
            get(collectors::confirm_key_revocation).post(collectors::revoke_key),
        )
        .route("/members/invite", get(members::ask_for_person).post(members::invite))
        .route("/members/{member}", get(members::show).post(members::update))
        .route("/members/{member}/resend", post(members::resend))
        .route("/members/password", post(members::choose_password))
        .route("/members/{member}/remove", get(members::confirm_leaving).post(members::remove))
        .route("/jobs", post(jobs::begin))
        .route("/jobs/{job}/resume", post(jobs::resume))
        .route(
            "/notifications/destinations/new",
            get(notifications::ask_for_destination).post(notifications::add_destination),
        )
        .route(
            "/notifications/destinations/{destination}",
            get(notifications::show_destination).post(notifications::update_destination),
        )
        .layer(from_fn_with_state(broker.clone(), confirm::ask_again::<Visit>));
    Router::new()
        .merge(guarded)
        .route("/live", get(live::stream))
        .route("/alerts", get(alerts::show))
        .route("/alerts/incidents/{incident}", get(incident::show))
        .route("/alerts/incidents/{incident}/acknowledge", post(incident::acknowledge))
        .route("/alerts/{alert}", get(alerts::show_one))
        .route("/alerts/{alert}/acknowledge", post(alerts::acknowledge))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{job}", get(jobs::show))
        .route("/jobs/{job}/cancel", post(jobs::cancel))
        .route("/load", get(load::show))
        .route("/load/{network}/{class}", get(load::show_one))
        .route("/load/history", get(load::history))
        .route("/load/estimate", get(load::estimate))
        .route("/tokens", get(tokens::list))
        .route("/tokens/{token}", get(tokens::show))
        .route("/tokens/{token}/managers", get(tokens::managers))
        .route("/tokens/{token}/usage", get(tokens::usage))
        .route("/tokens/{token}/{action}", post(tokens::act))
        .route("/collectors", get(collectors::list))
        .route("/collectors/new", get(collectors::ask_for_collector).post(collectors::create))
        .route("/collectors/{collector}", get(collectors::show).post(collectors::update))
        .route("/collectors/{collector}/disable", post(collectors::disable))
        .route("/collectors/{collector}/enable", post(collectors::enable))
        .route("/members", get(members::list))
        .route("/members/{member}/withdraw", post(members::withdraw))
        .route("/members/{member}/end-session", post(members::end_session))
        .route("/members/{member}/departure", get(members::departure))
        .route("/notices", get(notices::list))
        .route("/notices/read", post(notices::read))
        .route("/notices/unread", get(notices::unread))
        .route("/activity", get(activity::list))
        .route("/activity/{file}", get(activity::export))
        .route("/notifications", get(notifications::show).post(notifications::choose))
        .route("/notifications/quiet", post(notifications::set_quiet_hours))
        .route("/notifications/dialog", post(notifications::switch_dialog))
        .route("/notifications/browsers", post(notifications::subscribe))
        .route("/notifications/browsers/{browser}/unsubscribe", post(notifications::unsubscribe))
        .route("/notifications/destinations/{destination}/test", post(notifications::test_destination))
        .route(
            "/notifications/destinations/{destination}/delete",
            get(notifications::confirm_deletion).post(notifications::delete_destination),
        )
        .route("/push-worker.js", get(notifications::worker))
        .layer(from_fn_with_state(broker.clone(), kept::keep_form))
        .merge(operator::routes(&broker))
        .layer(from_fn_with_state(broker.clone(), finish_changes))
        .with_state(broker)
}

/// Does what changes something to its end: a use case holds locks across the store's answer, and calls networks. Of a browser that goes away
/// only the answer is dropped.
async fn finish_changes(State(broker): State<Broker>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let answer = broker.finish(next.run(request)).await;
    answer.unwrap_or_else(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

#[cfg(test)]
mod tests;
