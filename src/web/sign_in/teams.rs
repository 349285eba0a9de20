//! A person in several teams is asked which of them is meant.

use askama::Template;
use axum::extract::{Extension, Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{Attempt, Kept, browser_of, go_on, refused};
use crate::base::ids::TeamId;
use crate::service::Broker;
use crate::service::sessions::{SignInError, TeamChoice};
use crate::text::Text;
use crate::web::cookie::{choice_of, forget_choice, keep_choice};
use crate::web::page::shown;
use crate::web::server::PeerAddress;

#[derive(Template)]
#[template(path = "sign_in/teams.html")]
struct TeamsPage<'a> {
    text: Text,
    /// The ids, and the names where there are some.
    teams: Vec<(String, String)>,
    /// What goes with the answer: the page that the person wanted, and a form that waits. `None`: the answer is asked for by the provider.
    answer: Option<(&'a str, &'a Kept)>,
}

impl TeamsPage<'_> {
    fn of(broker: &Broker, teams: &[TeamId]) -> Self {
        let named = |id: &TeamId| {
            let team = broker.directory.team(id);
            (id.to_string(), team.map_or_else(String::new, |team| team.display_name.clone()))
        };
        Self { text: Text::english(), teams: teams.iter().map(named).collect(), answer: None }
    }
}

/// The answer.
#[derive(Deserialize)]
pub(super) struct Chosen {
    team: String,
    #[serde(default)]
    next: String,
    #[serde(flatten)]
    kept: Kept,
}

/// Asks who comes from the provider.
#[cfg(feature = "oidc")]
pub(super) fn ask_again(broker: &Broker, teams: &[TeamId]) -> Response {
    shown(StatusCode::OK, &TeamsPage::of(broker, teams))
}

/// Asks whose password was right. The browser keeps what shows that it was.
pub(super) fn ask(broker: &Broker, choice: &TeamChoice, next: &str, kept: &Kept) -> Response {
    let page = TeamsPage { answer: Some((next, kept)), ..TeamsPage::of(broker, &choice.teams) };
    let Some(cookie) = keep_choice(&choice.proof) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut answer = shown(StatusCode::OK, &page);
    answer.headers_mut().insert(header::SET_COOKIE, cookie);
    answer
}

/// Takes the answer.
pub(super) async fn choose(
    State(broker): State<Broker>,
    peer: Option<Extension<PeerAddress>>,
    headers: HeaderMap,
    Form(Chosen { team, next, kept }): Form<Chosen>,
) -> Response {
    let browser = browser_of(&broker, peer, &headers);
    let begun = match team.parse() {
        Ok(team) => broker.choose_team(choice_of(&headers).to_owned(), team, browser).await,
        Err(_) => Err(SignInError::NotChosen),
    };
    let mut answer = match begun {
        Ok(begun) => go_on(&begun, kept, &next),
        Err(error) => refused(&broker, &error, &Attempt { mail: "", team: "", next: &next, kept: &kept }),
    };
    answer.headers_mut().append(header::SET_COOKIE, forget_choice());
    answer
}
