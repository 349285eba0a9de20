//! One member: what it is, its accounts, its sessions, and what is changed about it.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::{found, name_in, roles, state_of};
use crate::base::ids::{MemberId, SessionId};
use crate::domain::member::{Action, MailAddress, Member, Role, ZoneName};
use crate::service::Broker;
use crate::service::members::{On, UpdateMember};
use crate::service::sessions::{ProveMailError, SessionView};
use crate::web::console::filter::Choice;
use crate::web::console::refused::refused;
use crate::web::console::{Place, Shell, Visit, When};
use crate::web::page::shown;

/// Sessions that are shown.
const SESSIONS: u32 = 50;

/// What the page's address says of the last action.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct Asked {
    done: String,
}

/// What is changed; what a form does not send stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct ChangeForm {
    display_name: Option<String>,
    mail: Option<String>,
    time_zone: Option<String>,
    role: Option<String>,
}

/// The session to end.
#[derive(Debug, Deserialize)]
pub(in crate::web::console) struct SessionForm {
    session: String,
}

#[derive(Template)]
#[template(path = "console/members/show.html")]
struct MemberPage {
    shell: Shell,
    id: MemberId,
    name: String,
    display_name: String,
    mail: String,
    role: String,
    zone: String,
    state: String,
    invited: When,
    link_until: String,
    /// The address that it asked for; empty: none.
    asked_mail: String,
    accounts: Vec<String>,
    sessions: Option<Vec<Session>>,
    roles: Vec<Choice>,
    may: May,
    has_left: bool,
    /// It did not join yet: a new link invites it; else a new link sets its password.
    is_invited: bool,
    is_visitor: bool,
    problem: Option<String>,
}

struct Session {
    id: String,
    agent: String,
    origin: String,
    begun: When,
    seen: When,
    is_this: bool,
}

/// What the visitor may do.
struct May {
    change: bool,
    /// Its mail address, without a link that proves it.
    mail: bool,
    role: bool,
    invite: bool,
    remove: bool,
}

impl May {
    fn of(broker: &Broker, visit: &Visit, member: &Member) -> Self {
        let caller = visit.caller();
        let here = !member.has_left();
        let may = |action, on| here && broker.must_permit(&caller, action, visit.team(), on).is_ok();
        let of_member = On::Member(member.id);
        Self {
            change: may(Action::ChangeMember, of_member),
            mail: may(Action::ChangeMail, of_member),
            role: may(Action::ChangeRole, of_member),
            invite: may(Action::Invite, On::Team) && visit.stay.member.role.may_give(member.role),
            remove: may(Action::Remove, of_member),
        }
    }
}

/// The page.
pub(in crate::web::console) async fn show(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Members).with_done(&asked.done, 1);
    page(&broker, &visit, shell, &id, None).await
}

async fn page(broker: &Broker, visit: &Visit, shell: Shell, id: &str, problem: Option<String>) -> Response {
    let (shell, view) = match found(broker, visit, shell, id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let member = &view.member;
    let looked = broker.list_sessions(&visit.caller(), (visit.team(), member.id), None, SESSIONS).await;
    let sessions = looked.ok().map(|(found, _)| found.iter().map(|view| session(&shell, visit, view)).collect());
    let network = |id: &str| broker.catalogue.name_for_people(id).to_owned();
    let accounts = member.persons.iter().flat_map(|(of, persons)| {
        let name = network(of.as_str());
        persons.iter().map(move |person| format!("{name}: {person}"))
    });
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = MemberPage {
        id: member.id,
        name: member.name_for_people().to_owned(),
        display_name: member.display_name.clone(),
        mail: member.mail.to_string(),
        role: shell.say(&format!("role-{}", member.role.as_str())),
        zone: member.time_zone.to_string(),
        state: state_of(&shell, member.state),
        invited: shell.when(member.created_at),
        link_until: view.invited_until.map(|until| shell.when(until).text).unwrap_or_default(),
        asked_mail: view.asked_mail.as_ref().map(ToString::to_string).unwrap_or_default(),
        accounts: accounts.collect(),
        sessions,
        roles: roles(&shell, visit, member.role),
        may: May::of(broker, visit, member),
        has_left: member.has_left(),
        is_invited: !member.has_left() && !member.is_active(),
        is_visitor: member.id == visit.stay.member.id,
        problem,
        shell,
    };
    shown(status, &page)
}

fn session(shell: &Shell, visit: &Visit, view: &SessionView) -> Session {
    let session = &view.session;
    Session {
        id: session.id.to_string(),
        agent: session.agent.clone(),
        origin: session.origin.clone(),
        begun: shell.when(session.created_at),
        seen: shell.when(session.seen_at),
        is_this: session.id == visit.stay.session.id,
    }
}

/// What a form asks to change, or what is wrong with it.
fn read_change(shell: &Shell, form: &ChangeForm) -> Result<UpdateMember, String> {
    let mail = form.mail.as_ref().map(|text| text.trim().parse::<MailAddress>()).transpose();
    let zone = form.time_zone.as_ref().map(|text| text.trim().parse::<ZoneName>()).transpose();
    let role = form.role.as_ref().map(|text| Role::from_name(text).ok_or(()));
    Ok(UpdateMember {
        display_name: form.display_name.as_deref().map(name_in),
        mail: mail.map_err(|error| shell.say_of("wrong-mail", "why", error.to_string()))?,
        time_zone: zone.map_err(|error| shell.say_of("wrong-zone", "why", error.to_string()))?,
        role: role.transpose().map_err(|()| shell.say("wrong-role"))?,
        language: None,
    })
}

/// Changes a member.
pub(in crate::web::console) async fn update(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Form(form): Form<ChangeForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Members);
    let mut change = match read_change(&shell, &form) {
        Ok(change) => change,
        Err(problem) => return page(&broker, &visit, shell, &id, Some(problem)).await,
    };
    let (shell, view) = match found(&broker, &visit, shell, &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let (member, caller) = (view.member.id, visit.caller());
    let is_new = change.mail.as_ref().is_some_and(|mail| !mail.is_same(&view.member.mail));
    let asked = match is_new && !May::of(&broker, &visit, &view.member).mail {
        true => change.mail.take(),
        false => None,
    };
    if let Err(error) = broker.update_member(&caller, visit.team(), member, &change).await {
        return refused(shell, &error);
    }
    let Some(mail) = asked else {
        return Redirect::to(&format!("/members/{member}?done=member-changed")).into_response();
    };
    match broker.ask_for_mail(&caller, visit.team(), member, mail).await {
        Ok(()) => Redirect::to(&format!("/members/{member}?done=mail-asked")).into_response(),
        Err(ProveMailError::Member(error)) => refused(shell, &error),
        Err(error) => {
            let problem = Some(shell.tell(&error));
            page(&broker, &visit, shell, &id, problem).await
        }
    }
}

/// Ends a session of a member.
pub(in crate::web::console) async fn end_session(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Form(form): Form<SessionForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Members);
    let (shell, view) = match found(&broker, &visit, shell, &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let Ok(session) = form.session.parse::<SessionId>() else { return StatusCode::BAD_REQUEST.into_response() };
    let member = view.member.id;
    match broker.end_session(&visit.caller(), visit.team(), member, session).await {
        Ok(()) => Redirect::to(&format!("/members/{member}?done=session-ended")).into_response(),
        Err(error) => refused(shell, &error),
    }
}
