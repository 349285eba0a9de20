//! The member's browsers that are told by push messages, and the script that shows them (a service worker).

use axum::extract::{Form, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::{Asked, Wrong, page};
use crate::base::ids::PushSubscriptionId;
use crate::base::secret::Secret;
use crate::service::Broker;
use crate::service::notices::{PushError, Subscribe};
use crate::web::console::refused::{Refusal, refused};
use crate::web::console::{Place, Shell, Visit, When};

/// It stands at the root, so that it may act for all pages. Browsers look for a newer one by themselves.
const WORKER: &str = include_str!("../../../../assets/push-worker.js");

/// The browsers.
pub(super) struct Browsers {
    pub(super) rows: Vec<Row>,
    /// The public key that a subscription is bound to; `None`: push messages can't be had here.
    pub(super) key: Option<String>,
}

/// A browser that is subscribed.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) host: String,
    pub(super) since: When,
}

/// A subscription, as the browser made it. It has no `Debug`: its address is a capability.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct SubscribeForm {
    name: String,
    endpoint: String,
    p256dh: String,
    auth: String,
}

impl Browsers {
    pub(super) async fn of(broker: &Broker, visit: &Visit, shell: &Shell) -> Result<Self, PushError> {
        let found = broker.list_push(visit.team(), visit.stay.member.id).await?;
        let row = |subscription: &crate::domain::notice::PushSubscription| Row {
            id: subscription.id.to_string(),
            name: subscription.display_name.clone(),
            host: subscription.shown.clone(),
            since: shell.when(subscription.created_at),
        };
        let key = match broker.show_push_key().await {
            Ok(key) => Some(key),
            Err(PushError::NoPages) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { rows: found.iter().map(row).collect(), key })
    }
}

/// Subscribes the browser that asks.
pub(in crate::web::console) async fn subscribe(
    State(broker): State<Broker>,
    visit: Visit,
    Form(form): Form<SubscribeForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    let SubscribeForm { name, endpoint, p256dh, auth } = form;
    let [endpoint, p256dh, auth] = [endpoint, p256dh, auth].map(Secret::new);
    let ask = Subscribe { display_name: name, endpoint, p256dh, auth };
    match broker.subscribe_push(&visit.caller(), visit.team(), visit.stay.member.id, ask).await {
        Ok(_) => Redirect::to("/notifications?done=subscribed").into_response(),
        Err(error @ (PushError::Endpoint(_) | PushError::Keys(_) | PushError::TooMany)) => {
            let wrong = Some(Wrong::Browser(shell.tell(&error)));
            page(&broker, &visit, shell, &Asked::default(), wrong).await
        }
        Err(error) => refused(shell, &error),
    }
}

/// Tells a browser of nothing any more.
pub(in crate::web::console) async fn unsubscribe(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    let id = PushSubscriptionId::typed(&id);
    match broker.unsubscribe_push(&visit.caller(), visit.team(), visit.stay.member.id, id).await {
        Ok(_) => Redirect::to("/notifications?done=unsubscribed").into_response(),
        Err(error) => refused(shell, &error),
    }
}

/// The script that shows push messages.
pub(in crate::web::console) async fn worker() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, WORKER).into_response()
}

impl Refusal for PushError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Member(error) => error.status(),
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Endpoint(_) | Self::Keys(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany | Self::NoPages => StatusCode::CONFLICT,
            Self::Sealed(_) | Self::Key(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
