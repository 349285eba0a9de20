//! An operator signs in with its key, and out.

use askama::Template;
use axum::Form;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::HOME;
use crate::base::secret::Secret;
use crate::service::Broker;
use crate::service::sessions::SignInError;
use crate::text::Text;
use crate::web::console::{OperatorVisit, ask_to_send};
use crate::web::cookie::{forget_operator, keep_operator, operator_session_of};
use crate::web::own_page::own_page;
use crate::web::page::shown;
use crate::web::server::PeerAddress;
use crate::web::sign_in::{Kept, browser_of, out_of_order};

/// What the address of the page says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    next: String,
}

/// What the page asks for. It has no `Debug`: a key is in it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SignInForm {
    key: String,
    next: String,
    #[serde(flatten)]
    kept: Kept,
}

#[derive(Template)]
#[template(path = "console/operator/sign_in.html")]
struct SignInPage<'a> {
    text: Text,
    problem: Option<&'a str>,
    next: &'a str,
    /// A form that waits for the sign-in.
    kept: &'a Kept,
}

/// The sign-in page that leads on to `page` of the operators.
pub(in crate::web::console) fn page_before(page: &str) -> String {
    let next = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", page).finish();
    format!("{HOME}/sign-in?{next}")
}

/// A page of operators that somebody may be led to: what it says is foreign text.
fn page_after(said: &str) -> String {
    own_page(said, &[HOME]).unwrap_or_else(|| HOME.to_owned())
}

/// The page.
pub(super) async fn show(State(broker): State<Broker>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let next = page_after(&asked.next);
    match broker.find_operator_stay(operator_session_of(&headers)).await {
        Ok(Some(_)) => Redirect::to(&next).into_response(),
        Ok(None) => {
            let (text, kept) = (Text::english(), &Kept::default());
            shown(StatusCode::OK, &SignInPage { text, problem: None, next: &next, kept })
        }
        Err(error) => out_of_order(&error),
    }
}

/// The sign-in page for who has sent a form after the session had ended.
pub(in crate::web::console) fn sign_in_again(kept: Kept) -> Response {
    let text = Text::english();
    let problem = text.say("sign-in-again");
    shown(StatusCode::UNAUTHORIZED, &SignInPage { text, problem: Some(&problem), next: HOME, kept: &kept })
}

/// Signs an operator in.
pub(super) async fn sign_in(
    State(broker): State<Broker>,
    peer: Option<Extension<PeerAddress>>,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Response {
    let SignInForm { key, next, kept } = form;
    let (browser, next) = (browser_of(&broker, peer, &headers), page_after(&next));
    let error = match broker.sign_in_operator(Secret::new(key), &browser).await {
        Ok(secret) => {
            let Some(cookie) = keep_operator(&secret) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
            let cookie = [(header::SET_COOKIE, cookie)];
            return match own_page(&kept.action, &[HOME]) {
                Some(action) => (cookie, ask_to_send(&Kept { action, ..kept })).into_response(),
                None => (cookie, Redirect::to(&next)).into_response(),
            };
        }
        Err(error) => error,
    };
    let status = match &error {
        SignInError::Wrong | SignInError::WrongKey | SignInError::NotChosen => StatusCode::UNAUTHORIZED,
        SignInError::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
        SignInError::Random | SignInError::Stopping | SignInError::Store(_) => return out_of_order(&error),
    };
    let problem = Text::english().tell_of(&error);
    shown(status, &SignInPage { text: Text::english(), problem: Some(&problem), next: &next, kept: &kept })
}

/// Notes that somebody is there who fills in a form.
pub(super) async fn stay(_visit: OperatorVisit) -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Ends the session at the broker, and has the browser forget it.
pub(super) async fn sign_out(State(broker): State<Broker>, headers: HeaderMap) -> Response {
    let ended = match broker.find_operator_stay(operator_session_of(&headers)).await {
        Ok(Some(stay)) => broker.end_operator_session(&stay).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    match ended {
        Ok(()) => ([(header::SET_COOKIE, forget_operator())], Redirect::to(&page_before(HOME))).into_response(),
        Err(error) => out_of_order(&error),
    }
}
