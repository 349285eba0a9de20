//! What somebody filled in is not lost when the session ends meanwhile: it is kept on the sign-in page, and may be sent once more from the page
//! after it, with what was secret filled in anew. It is never sent by itself.

use askama::Template;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use super::operator;
use crate::service::Broker;
use crate::text::Text;
use crate::web::cookie::{operator_session_of, session_of};
use crate::web::page::shown;
use crate::web::sign_in::{Kept, sign_in_again};

/// The longest form that is kept, in bytes.
const LONGEST: usize = 16 * 1024;
/// Fields that are not kept, since they are secrets or as good as one, but may be filled in once more.
const ASKED_AGAIN: [&str; 2] = ["secret", "target"];
/// The field of the proof that is asked for once more.
pub(super) const PROOF: &str = "confirm_proof";
/// Fields that are not kept at all.
const DROPPED: [&str; 5] = ["password", PROOF, "endpoint", "p256dh", "auth"];

/// Keeps the form of a POST of nobody who is signed in.
pub(in crate::web) async fn keep_form(State(broker): State<Broker>, request: Request, next: Next) -> Response {
    // Where the store does not answer, the page itself says so.
    if !is_form(&request) || broker.is_signed_in(session_of(request.headers())).await.unwrap_or(true) {
        return next.run(request).await;
    }
    match kept(request).await {
        Some(kept) => sign_in_again(&broker, kept),
        None => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}

/// The same where operators sign in.
pub(super) async fn keep_form_of_operator(State(broker): State<Broker>, request: Request, next: Next) -> Response {
    if !is_form(&request) || broker.is_signed_in(operator_session_of(request.headers())).await.unwrap_or(true) {
        return next.run(request).await;
    }
    match kept(request).await {
        Some(kept) => operator::sign_in_again(kept),
        None => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}

fn is_form(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let is_form = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    is_form && request.method() == Method::POST
}

/// The form of a request, without what is secret in it; `None`: it is too long.
async fn kept(request: Request) -> Option<Kept> {
    // What the address says beside the path is part of what was asked for.
    let action = request.uri().path_and_query().map_or("/", |asked| asked.as_str()).to_owned();
    let body = to_bytes(request.into_body(), LONGEST).await.ok()?;
    Some(kept_form(action, &form_urlencoded::parse(&body).into_owned().collect::<Vec<_>>()))
}

/// A form that waits, without what is secret in it.
pub(super) fn kept_form(action: String, fields: &[(String, String)]) -> Kept {
    let (secrets, fields) = without_secrets(fields.iter().cloned());
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields).extend_pairs(secrets.into_iter().map(|name| (name, "")));
    Kept { action, form: form.finish() }
}

/// The fields of a form that may stand in a page, behind the names of those that had a secret, which is filled in once more.
pub(super) fn without_secrets(
    form: impl IntoIterator<Item = (String, String)>,
) -> (Vec<String>, Vec<(String, String)>) {
    let kept = form.into_iter().filter(|(name, _)| !DROPPED.contains(&&**name));
    let (secrets, fields): (Vec<_>, Vec<_>) = kept.partition(|(name, _)| ASKED_AGAIN.contains(&&**name));
    (secrets.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name).collect(), fields)
}

#[derive(Template)]
#[template(path = "console/kept.html")]
struct KeptPage {
    title: String,
    text: String,
    send: String,
    cancel: String,
    action: String,
    /// Where to go without sending it.
    home: &'static str,
    fields: Vec<(String, String)>,
    /// What is filled in once more: what asks for it, and the field's name.
    secrets: Vec<(String, String)>,
}

/// The page after the sign-in, from which the form may be sent once more.
pub(in crate::web) fn ask_to_send(kept: &Kept) -> Response {
    let say = Text::english();
    let fields = form_urlencoded::parse(kept.form.as_bytes()).into_owned();
    let (secrets, fields): (Vec<_>, Vec<_>) = fields.partition(|(name, _)| ASKED_AGAIN.contains(&&**name));
    let page = KeptPage {
        title: say.say("kept-title"),
        text: say.say("kept-text"),
        send: say.say("kept-send"),
        cancel: say.say("kept-cancel"),
        action: kept.action.clone(),
        home: if kept.action.starts_with(operator::HOME) { operator::HOME } else { super::HOME },
        secrets: secrets.into_iter().map(|(name, _)| (say.say(&format!("kept-{name}")), name)).collect(),
        fields,
    };
    shown(StatusCode::OK, &page)
}
