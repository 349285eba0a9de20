//! Who is signed in, and where else.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::{ACCOUNT, out_of_order, signed_in};
use crate::base::ids::SessionId;
use crate::service::Broker;
use crate::service::sessions::SessionView;
use crate::web::console::{Place, Shell, Visit, When};
use crate::web::cookie;
use crate::web::page::shown;

/// Sessions that are shown.
const SHOWN: u32 = 100;

#[derive(Template)]
#[template(path = "sign_in/account.html")]
struct AccountPage {
    shell: Shell,
    member: String,
    mail: String,
    /// The team's id, by which it can be named at the sign-in.
    team: String,
    sessions: Vec<Row>,
}

struct Row {
    id: String,
    agent: String,
    origin: String,
    begun: When,
    used: When,
    is_this: bool,
}

/// Which session to end.
#[derive(Deserialize)]
pub(super) struct EndForm {
    session: String,
}

pub(super) async fn show(State(broker): State<Broker>, visit: Visit) -> Response {
    let (shell, member) = (visit.shell(&broker, Place::Account), &visit.stay.member);
    let sessions = match broker.list_sessions(&visit.caller(), (&member.team, member.id), None, SHOWN).await {
        Ok((sessions, _)) => sessions,
        Err(error) => return out_of_order(&error),
    };
    let row = |view: &SessionView| Row {
        id: view.session.id.to_string(),
        agent: view.session.agent.clone(),
        origin: view.session.origin.clone(),
        begun: shell.when(view.session.created_at),
        used: shell.when(view.session.seen_at),
        is_this: view.session.id == visit.stay.session.id,
    };
    let sessions = sessions.iter().map(row).collect();
    shown(
        StatusCode::OK,
        &AccountPage {
            member: member.id.to_string(),
            mail: member.mail.to_string(),
            team: member.team.to_string(),
            sessions,
            shell,
        },
    )
}

pub(super) async fn end_session(
    State(broker): State<Broker>,
    headers: HeaderMap,
    Form(form): Form<EndForm>,
) -> Response {
    let stay = match signed_in(&broker, &headers).await {
        Ok(stay) => stay,
        Err(answer) => return answer,
    };
    let Ok(session) = form.session.parse::<SessionId>() else { return StatusCode::BAD_REQUEST.into_response() };
    match broker.end_session(&stay.caller(), &stay.member.team, stay.member.id, session).await {
        Ok(()) => Redirect::to(ACCOUNT).into_response(),
        Err(error) => out_of_order(&error),
    }
}

/// Notes that somebody is there who fills in a form.
pub(super) async fn stay(State(broker): State<Broker>, headers: HeaderMap) -> Response {
    match signed_in(&broker, &headers).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(_) => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// Ends the session at the broker, and has the browser forget it.
pub(super) async fn sign_out(State(broker): State<Broker>, headers: HeaderMap) -> Response {
    if let Ok(stay) = signed_in(&broker, &headers).await {
        let (member, session) = (&stay.member, stay.session.id);
        if let Err(error) = broker.end_session(&stay.caller(), &member.team, member.id, session).await {
            return out_of_order(&error);
        }
    }
    ([(header::SET_COOKIE, cookie::forget())], Redirect::to("/sign-in")).into_response()
}
