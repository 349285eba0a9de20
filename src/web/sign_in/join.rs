//! A person follows a link.

use askama::Template;
use axum::extract::{Extension, Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::{browser_of, out_of_order, welcome};
use crate::base::secret::Secret;
use crate::domain::member::MemberState;
use crate::service::Broker;
use crate::service::sessions::{InvitedTo, Join, JoinError};
use crate::text::Text;
use crate::web::console::HOME;
use crate::web::page::{ProblemPage, shown};
use crate::web::server::PeerAddress;

const NAME: usize = 128;

#[derive(Template)]
#[template(path = "sign_in/join.html")]
struct JoinPage<'a> {
    text: Text,
    problem: Option<&'a str>,
    joins: bool,
    team_name: &'a str,
    mail: &'a str,
    display_name: &'a str,
    invitation: &'a str,
}

/// What the link carries.
#[derive(Deserialize)]
pub(super) struct JoinLink {
    #[serde(default)]
    invitation: String,
}

/// What the page asks for. It has no `Debug`: a password is in it.
#[derive(Deserialize)]
pub(super) struct JoinForm {
    invitation: String,
    password: String,
    #[serde(default)]
    display_name: String,
}

pub(super) async fn show(
    State(broker): State<Broker>,
    peer: Option<Extension<PeerAddress>>,
    headers: HeaderMap,
    Query(link): Query<JoinLink>,
) -> Response {
    let secret = Secret::new(link.invitation);
    match broker.look_at_invitation(&secret, &browser_of(&broker, peer, &headers)).await {
        Ok(to) => page(StatusCode::OK, &to, &to.member.display_name, &secret, None),
        Err(error) => refused(&error),
    }
}

pub(super) async fn join(
    State(broker): State<Broker>,
    peer: Option<Extension<PeerAddress>>,
    headers: HeaderMap,
    Form(form): Form<JoinForm>,
) -> Response {
    let browser = browser_of(&broker, peer, &headers);
    let (secret, shown_again) = (Secret::new(form.invitation.clone()), Secret::new(form.invitation));
    let name: String = form.display_name.chars().filter(|c| !c.is_control()).take(NAME).collect();
    let display_name = name.trim().to_owned();
    let ask = Join {
        secret,
        password: Secret::new(form.password),
        display_name: display_name.clone(),
        browser: browser.clone(),
    };
    match broker.join(ask).await {
        Ok(begun) => welcome(&begun, HOME),
        Err(JoinError::Password(wrong)) => match broker.look_at_invitation(&shown_again, &browser).await {
            Ok(to) => page(
                StatusCode::UNPROCESSABLE_ENTITY,
                &to,
                &display_name,
                &shown_again,
                Some(&Text::english().tell_of(&wrong)),
            ),
            Err(error) => refused(&error),
        },
        Err(error) => refused(&error),
    }
}

fn page(status: StatusCode, to: &InvitedTo, display_name: &str, secret: &Secret, problem: Option<&str>) -> Response {
    let page = JoinPage {
        text: Text::english(),
        problem,
        joins: to.member.state == MemberState::Invited,
        team_name: &to.team_name,
        mail: to.member.mail.as_str(),
        display_name,
        invitation: secret.expose(),
    };
    shown(status, &page)
}

fn refused(error: &JoinError) -> Response {
    let status = match error {
        JoinError::Link => StatusCode::GONE,
        JoinError::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
        JoinError::Password(_) => StatusCode::UNPROCESSABLE_ENTITY,
        JoinError::BreachedPasswords(_)
        | JoinError::Hash(_)
        | JoinError::Member(_)
        | JoinError::Stopping
        | JoinError::Store(_) => {
            return out_of_order(error);
        }
    };
    let (text, problem) = (Text::english(), Text::english().tell_of(error));
    let (title, next_text) = (text.say("join-failed"), text.say("sign-in"));
    shown(status, &ProblemPage { title: &title, problem: &problem, next: "/sign-in", next_text: &next_text })
}
