//! Asks who is signed in for the password once more, before what would do most harm at a browser that was left open: keys, and many tokens at
//! once. What was sent waits on the page that asks, and goes on with the answer.

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded::{self, Serializer};

use super::{Place, Shell, Visit};
use crate::base::secret::Secret;
use crate::service::Broker;
use crate::service::sessions::SignInError;
use crate::web::page::{sentence, shown};
use crate::web::server::PeerAddress;
use crate::web::sign_in::{browser_of, out_of_order};

/// The longest form that waits, in bytes.
const LONGEST: usize = 64 * 1024;
/// The field of the password.
const PASSWORD: &str = "confirm_password";

#[derive(Template)]
#[template(path = "console/confirm.html")]
struct ConfirmPage {
    shell: Shell,
    action: String,
    fields: Vec<(String, String)>,
    problem: Option<String>,
}

/// Lets a POST through where the member proved lately who it is, or proves it now.
pub(super) async fn ask_again(
    State(broker): State<Broker>,
    visit: Visit,
    peer: Option<Extension<PeerAddress>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST || broker.is_fresh(&visit.stay) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let (given, fields): (Vec<_>, Vec<_>) =
        form_urlencoded::parse(&body).into_owned().partition(|(name, _)| name == PASSWORD);
    let problem = match given.into_iter().next() {
        None => None,
        Some((_, password)) => {
            let browser = browser_of(&broker, peer, &parts.headers);
            match broker.confirm_session(&visit.stay, Secret::new(password), &browser).await {
                Ok(()) => {
                    let form = Serializer::new(String::new()).extend_pairs(&fields).finish();
                    return next.run(Request::from_parts(parts, Body::from(form))).await;
                }
                Err(SignInError::Wrong) => Some(None),
                Err(error @ SignInError::TooOften(_)) => Some(Some(sentence(&error))),
                Err(error @ (SignInError::Random | SignInError::Stopping | SignInError::Store(_))) => {
                    return out_of_order(&error);
                }
            }
        }
    };
    let shell = visit.shell(&broker, Place::Account);
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let problem = problem.map(|said| said.unwrap_or_else(|| shell.say("confirm-wrong")));
    shown(status, &ConfirmPage { action: parts.uri.path().to_owned(), fields, problem, shell })
}
