//! What somebody filled in is not lost when the session ends meanwhile: it is kept on the sign-in page, and may be sent once more from the page
//! after it. It is never sent by itself.

use askama::Template;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use crate::service::Broker;
use crate::web::cookie::session_of;
use crate::web::page::shown;
use crate::web::sign_in::{Kept, sign_in_again};
use crate::web::text::Text;

/// The longest form that is kept, in bytes.
const LONGEST: usize = 16 * 1024;
/// Fields that are not kept: secrets, and addresses that are as good as one.
const SECRET: [&str; 6] = ["password", "secret", "target", "endpoint", "p256dh", "auth"];

/// Keeps the form of a POST of nobody who is signed in.
pub(super) async fn keep_form(State(broker): State<Broker>, request: Request, next: Next) -> Response {
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if request.method() != Method::POST || !is_form {
        return next.run(request).await;
    }
    // Where the store does not answer, the page itself says so.
    if broker.is_signed_in(session_of(request.headers())).await.unwrap_or(true) {
        return next.run(request).await;
    }
    let action = request.uri().path().to_owned();
    let (_, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let fields = form_urlencoded::parse(&body).filter(|(name, _)| !SECRET.contains(&&**name));
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    sign_in_again(&broker, Kept { action, form })
}

#[derive(Template)]
#[template(path = "console/kept.html")]
struct KeptPage {
    title: String,
    text: String,
    send: String,
    cancel: String,
    action: String,
    fields: Vec<(String, String)>,
}

/// The page after the sign-in, from which the form may be sent once more.
pub(in crate::web) fn ask_to_send(kept: &Kept) -> Response {
    let say = Text::english();
    let page = KeptPage {
        title: say.say("kept-title"),
        text: say.say("kept-text"),
        send: say.say("kept-send"),
        cancel: say.say("kept-cancel"),
        action: kept.action.clone(),
        fields: form_urlencoded::parse(kept.form.as_bytes()).into_owned().collect(),
    };
    shown(StatusCode::OK, &page)
}
