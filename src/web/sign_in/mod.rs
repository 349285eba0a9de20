//! Pages by which members come and go: sign in, sign out, join by a link, prove a mail address by another, and their own sessions.
//!
//! Whatever changes something is a POST from a page of this host. A link is looked at by GET and used by POST, so that programs that open the
//! links of a mail use none up.

mod account;
mod join;
mod mail;
#[cfg(feature = "oidc")]
mod oidc;
mod teams;

use std::net::{IpAddr, SocketAddr};

use askama::Template;
use axum::Router;
use axum::extract::{Extension, Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use crate::base::ids::TeamId;
use crate::base::secret::Secret;
use crate::service::Broker;
use crate::service::sessions::{Browser, SignIn, SignInError, SignedIn, StartedSession, Stay};
use crate::text::Text;
use crate::web::console::{HELLO, HOME, ask_to_send};
use crate::web::cookie;
use crate::web::own_page::{own_page, saying};
use crate::web::page::{ProblemPage, shown};
use crate::web::server::PeerAddress;

/// A member's own page.
const ACCOUNT: &str = "/account";
/// Below it accounts are connected.
const CONNECT: &str = "/connect";
/// The pages at and below which somebody may be led to.
const OWN_PAGES: [&str; 11] = [
    CONNECT,
    ACCOUNT,
    "/tokens",
    "/jobs",
    "/load",
    "/alerts",
    "/notices",
    "/notifications",
    "/activity",
    "/members",
    "/collectors",
];

/// The routes of these pages.
pub fn routes(broker: Broker) -> Router {
    let routes = Router::new();
    #[cfg(feature = "oidc")]
    let routes = routes.merge(oidc::routes());
    routes
        .route("/", get(|| async { Redirect::to(HOME) }))
        .route("/sign-in", get(show).post(sign_in))
        .route("/sign-in/team", post(teams::choose))
        .route("/sign-out", post(account::sign_out))
        .route("/join", get(join::show).post(join::join))
        .route("/mail", get(mail::show).post(mail::prove))
        .route(ACCOUNT, get(account::show))
        .route("/account/alive", post(account::stay))
        .route("/account/end-session", post(account::end_session))
        .with_state(broker)
}

/// Where to go on after the sign-in.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    next: String,
}

/// The sign-in page that leads on to `page` of this host.
pub fn page_before(page: &str) -> String {
    let next = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", page).finish();
    format!("/sign-in?{next}")
}

/// A page of this host that somebody may be led to after the sign-in: what it says is foreign text, which may name any address.
pub(in crate::web) fn page_after(said: &str) -> String {
    own_page(said, &OWN_PAGES).unwrap_or_else(|| HOME.to_owned())
}

/// Who is signed in by a request's cookie. `Err`: what to answer instead, which leads to the sign-in where nobody is.
pub async fn signed_in(broker: &Broker, headers: &HeaderMap) -> Result<Stay, Response> {
    match broker.find_stay(cookie::session_of(headers)).await {
        Ok(Some(stay)) => Ok(stay),
        Ok(None) => Err(Redirect::to("/sign-in").into_response()),
        Err(error) => Err(out_of_order(&error)),
    }
}

/// The page where the store can't answer.
pub(in crate::web) fn out_of_order(error: &dyn std::error::Error) -> Response {
    tracing::warn!(%error, "a page could not be shown");
    let text = Text::english();
    let (title, problem) = (text.say("refused-broken"), text.say("refused-broken-text"));
    let page = ProblemPage { title: &title, problem: &problem, next: "/sign-in", next_text: &text.say("try-again") };
    shown(StatusCode::SERVICE_UNAVAILABLE, &page)
}

/// The browser that asks. Behind proxies that are trusted, its address is the last one of `X-Forwarded-For` that is no such proxy: what
/// stands before it anybody may have written.
pub(in crate::web) fn browser_of(
    broker: &Broker,
    peer: Option<Extension<PeerAddress>>,
    headers: &HeaderMap,
) -> Browser {
    let unknown = IpAddr::from([0, 0, 0, 0]);
    let peer = peer.map_or(unknown, |Extension(PeerAddress(address))| SocketAddr::ip(&address));
    let is_proxy = |address: IpAddr| broker.config.http.trusted_proxies.iter().any(|range| range.contains(address));
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
    let named: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let mut address = peer;
    for named in named.into_iter().rev() {
        let Some(before) = named.parse().ok().filter(|_| is_proxy(address)) else { break };
        address = before;
    }
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Browser { address, agent: agent.unwrap_or_default().to_owned() }
}

/// Leads who was let in to the page that it wanted, with the cookie of the new session: past what it can mend, unless it came to mend.
fn welcome(begun: &StartedSession, next: &str) -> Response {
    let next = match next {
        HOME => HELLO.to_owned(),
        next if next.starts_with(CONNECT) => next.to_owned(),
        next => saying(HELLO, &[("then", next)]),
    };
    with_session(begun, Redirect::to(&next).into_response())
}

/// Leads who was let in to the form that waits, else to the page that it wanted.
fn go_on(begun: &StartedSession, kept: Kept, next: &str) -> Response {
    match own_page(&kept.action, &OWN_PAGES) {
        Some(action) => with_session(begun, ask_to_send(&Kept { action, ..kept })),
        None => welcome(begun, &page_after(next)),
    }
}

/// An answer that has the browser keep a new session.
fn with_session(begun: &StartedSession, mut answer: Response) -> Response {
    let Some(cookie) = cookie::keep(&begun.secret) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    answer.headers_mut().insert(header::SET_COOKIE, cookie);
    answer
}

/// A form that was sent after the session had ended.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct Kept {
    /// Where it was sent to; empty: there is none.
    #[serde(default, rename = "kept_action")]
    pub(in crate::web) action: String,
    /// What was in it, as it was sent.
    #[serde(default, rename = "kept_form")]
    pub(in crate::web) form: String,
}

/// The sign-in page for who has sent a form after the session had ended.
pub(in crate::web) fn sign_in_again(broker: &Broker, kept: Kept) -> Response {
    let text = Text::english();
    let (problem, oidc) = (text.say("sign-in-again"), oidc_link(broker, HOME));
    let page = SignInPage { text, problem: Some(&problem), mail: "", team: "", next: HOME, kept: &kept, oidc };
    keeping(broker, &kept, shown(StatusCode::UNAUTHORIZED, &page))
}

#[derive(Template)]
#[template(path = "sign_in/sign_in.html")]
struct SignInPage<'a> {
    text: Text,
    problem: Option<&'a str>,
    mail: &'a str,
    team: &'a str,
    next: &'a str,
    /// A form that waits for the sign-in.
    kept: &'a Kept,
    /// What the other service is called by which members sign in, and the address that leads there.
    oidc: Option<(&'a str, String)>,
}

/// What the page asks for. It has no `Debug`: a password is in it.
#[derive(Deserialize)]
struct SignInForm {
    mail: String,
    password: String,
    #[serde(default)]
    team: String,
    #[serde(default)]
    next: String,
    #[serde(flatten)]
    kept: Kept,
}

/// What the service is called at which a member of that team shows once more who it is, and the address that leads there.
pub(in crate::web) fn proof_link(broker: &Broker, team: &TeamId) -> Option<(String, String)> {
    let settings = broker.config.sign_in.oidc.as_ref()?;
    Some((settings.name.clone(), format!("/sign-in/oidc?proves=true&team={team}")))
}

/// An answer that has the browser keep a form while the person is at another service.
pub(in crate::web) fn keeping(broker: &Broker, kept: &Kept, answer: Response) -> Response {
    #[cfg(feature = "oidc")]
    let answer = oidc::keeping(broker, kept, answer);
    #[cfg(not(feature = "oidc"))]
    let _ = (broker, kept);
    answer
}

/// The other way to sign in; `None`: there is none.
fn oidc_link<'b>(broker: &'b Broker, next: &str) -> Option<(&'b str, String)> {
    let settings = broker.config.sign_in.oidc.as_ref()?;
    let next = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    Some((&settings.name, format!("/sign-in/oidc?{next}")))
}

async fn show(State(broker): State<Broker>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    match signed_in(&broker, &headers).await {
        Ok(_) => Redirect::to(&page_after(&asked.next)).into_response(),
        Err(_) => {
            let next = page_after(&asked.next);
            let (text, kept, oidc) = (Text::english(), &Kept::default(), oidc_link(&broker, &next));
            shown(StatusCode::OK, &SignInPage { text, problem: None, mail: "", team: "", next: &next, kept, oidc })
        }
    }
}

async fn sign_in(
    State(broker): State<Broker>,
    peer: Option<Extension<PeerAddress>>,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Response {
    let SignInForm { mail, password, team, next, kept } = form;
    let (password, browser) = (Secret::new(password), browser_of(&broker, peer, &headers));
    match broker.sign_in(SignIn { mail: mail.clone(), team: team.clone(), password, browser }).await {
        Ok(SignedIn::Begun(begun)) => go_on(&begun, kept, &next),
        Ok(SignedIn::WhichTeam(choice)) => teams::ask(&broker, &choice, &next, &kept),
        Err(error) => refused(&broker, &error, &Attempt { mail: &mail, team: team.trim(), next: &next, kept: &kept }),
    }
}

/// What somebody tried to sign in with, but for the password.
struct Attempt<'a> {
    mail: &'a str,
    team: &'a str,
    next: &'a str,
    kept: &'a Kept,
}

/// The page for who was not let in.
fn refused(broker: &Broker, error: &SignInError, attempt: &Attempt<'_>) -> Response {
    let status = match error {
        SignInError::Wrong | SignInError::WrongKey | SignInError::NotChosen => StatusCode::UNAUTHORIZED,
        SignInError::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
        SignInError::Random | SignInError::Stopping | SignInError::Store(_) => return out_of_order(error),
    };
    let Attempt { mail, team, kept, .. } = *attempt;
    let (problem, next) = (Text::english().tell_of(error), page_after(attempt.next));
    let oidc = oidc_link(broker, &next);
    let (text, problem) = (Text::english(), Some(&*problem));
    shown(status, &SignInPage { text, problem, mail, team, next: &next, kept, oidc })
}

#[cfg(test)]
mod tests;
