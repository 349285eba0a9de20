//! Who is signed in, and where else.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::{ACCOUNT, out_of_order, signed_in};
use crate::base::ids::SessionId;
use crate::service::Broker;
use crate::service::sessions::{SessionView, Stay};
use crate::web::cookie;
use crate::web::page::shown;

/// Sessions that are shown.
const SHOWN: u32 = 100;

#[derive(Template)]
#[template(path = "sign_in/account.html")]
struct AccountPage<'a> {
    name: &'a str,
    mail: &'a str,
    role: &'a str,
    team_name: &'a str,
    sessions: Vec<Row>,
}

struct Row {
    id: String,
    agent: String,
    origin: String,
    begun: String,
    used: String,
    is_this: bool,
}

/// Which session to end.
#[derive(Deserialize)]
pub(super) struct EndForm {
    session: String,
}

pub(super) async fn show(State(broker): State<Broker>, headers: HeaderMap) -> Response {
    let stay = match signed_in(&broker, &headers).await {
        Ok(stay) => stay,
        Err(answer) => return answer,
    };
    let member = &stay.member;
    let sessions = match broker.list_sessions(&stay.caller(), (&member.team, member.id), None, SHOWN).await {
        Ok((sessions, _)) => sessions,
        Err(error) => return out_of_order(&error),
    };
    let team = broker.directory.team(&member.team);
    let page = AccountPage {
        name: member.name_for_people(),
        mail: member.mail.as_str(),
        role: member.role.as_str(),
        team_name: team.as_ref().map_or("", |team| team.display_name.as_str()),
        sessions: sessions.iter().map(|view| row(view, &stay)).collect(),
    };
    shown(StatusCode::OK, &page)
}

fn row(view: &SessionView, stay: &Stay) -> Row {
    let session = &view.session;
    let zone = stay.member.time_zone.zone();
    let told = |at: crate::base::clock::Timestamp| {
        let at = jiff::Timestamp::from_microsecond(at.micros()).map(|at| at.to_zoned(zone.clone()));
        at.map(|at| at.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default()
    };
    Row {
        id: session.id.to_string(),
        agent: session.agent.clone(),
        origin: session.origin.clone(),
        begun: told(session.created_at),
        used: told(session.seen_at),
        is_this: session.id == stay.session.id,
    }
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
