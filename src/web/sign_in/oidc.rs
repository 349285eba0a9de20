//! A member signs in at an OpenID Connect provider: sent there, and back.

use axum::Router;
use axum::extract::{Extension, Query, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use url::form_urlencoded::{Serializer, parse};

use super::{Kept, browser_of, go_on, out_of_order, page_after, teams};
use crate::base::secret::Secret;
use crate::service::Broker;
use crate::service::sessions::{OidcAnswer, OidcSignInError, SentToSignIn, SignInError};
use crate::text::Text;
use crate::web::cookie::{forget_form, form_of, keep_form, keep_oidc, oidc_browser_of};
use crate::web::page::{ProblemPage, shown};
use crate::web::server::PeerAddress;

/// What a form that waits says of itself.
const ACTION: &str = "action";
const FORM: &str = "form";

/// The routes.
pub(super) fn routes() -> Router<Broker> {
    Router::new().route("/sign-in/oidc", get(begin)).route("/sign-in/oidc/callback", get(arrive))
}

/// Where to go on after the sign-in, and the team, where the person is in several.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    next: String,
    #[serde(default)]
    team: String,
    /// Whether who was signed in long ago shows once more who it is.
    #[serde(default)]
    proves: bool,
}

async fn begin(
    State(broker): State<Broker>,
    peer: Option<Extension<PeerAddress>>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let browser = browser_of(&broker, peer, &headers);
    match broker.begin_oidc(&browser, asked.team.parse().ok(), &page_after(&asked.next), asked.proves).await {
        Ok(SentToSignIn { url, browser }) => {
            let cookie = keep_oidc(&browser).map(|cookie| [(header::SET_COOKIE, cookie)]);
            (cookie, Redirect::to(url.as_str())).into_response()
        }
        Err(error) => refused(&broker, error),
    }
}

async fn arrive(
    State(broker): State<Broker>,
    peer: Option<Extension<PeerAddress>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let known = oidc_browser_of(&headers).to_owned();
    let answer = read(query.as_deref().unwrap_or_default());
    match broker.finish_oidc(browser_of(&broker, peer, &headers), known, answer).await {
        Ok((begun, next)) => {
            let mut answer = go_on(&begun, waiting(&headers), &next);
            answer.headers_mut().append(header::SET_COOKIE, forget_form());
            answer
        }
        Err(error) => refused(&broker, error),
    }
}

/// An answer that has the browser keep a form while the person is at the provider. One that is too long for that is lost on this way.
pub(super) fn keeping(broker: &Broker, kept: &Kept, mut answer: Response) -> Response {
    if broker.config.sign_in.oidc.is_none() {
        return answer;
    }
    let form = Serializer::new(String::new()).append_pair(ACTION, &kept.action).append_pair(FORM, &kept.form).finish();
    if let Some(cookie) = keep_form(&form) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

/// The form that waits in a browser; none where its action is empty.
fn waiting(headers: &HeaderMap) -> Kept {
    let mut kept = Kept::default();
    for (name, value) in parse(form_of(headers).as_bytes()).into_owned() {
        match name.as_str() {
            ACTION => kept.action = value,
            FORM => kept.form = value,
            _ => {}
        }
    }
    kept
}

fn read(query: &str) -> OidcAnswer {
    let mut read = OidcAnswer::default();
    for (name, value) in parse(query.as_bytes()).into_owned() {
        match name.as_str() {
            "code" => read.code = Some(Secret::new(value)),
            "state" => read.state = value,
            "error" => read.error = Some(value),
            "iss" => read.issuer = Some(value),
            _ => {}
        }
    }
    read
}

fn refused(broker: &Broker, error: OidcSignInError) -> Response {
    let status = match &error {
        OidcSignInError::WhichTeam(found) => return teams::ask_again(broker, found),
        OidcSignInError::SignIn(SignInError::TooOften(_)) => StatusCode::TOO_MANY_REQUESTS,
        OidcSignInError::SignIn(error) => return out_of_order(error),
        OidcSignInError::NotSetUp => StatusCode::NOT_FOUND,
        OidcSignInError::Unknown => StatusCode::BAD_REQUEST,
        OidcSignInError::Provider(_) => StatusCode::BAD_GATEWAY,
        OidcSignInError::Denied
        | OidcSignInError::Unverified
        | OidcSignInError::NoMember
        | OidcSignInError::BoundToAnother => StatusCode::FORBIDDEN,
    };
    let (text, problem) = (Text::english(), Text::english().tell_of(&error));
    let (title, next_text) = (text.say("oidc-failed"), text.say("sign-in"));
    shown(status, &ProblemPage { title: &title, problem: &problem, next: "/sign-in", next_text: &next_text })
}
