//! People are invited: the link is shown once, to whom made it.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::{found, name_in, roles};
use crate::domain::member::{Action, MailAddress, Role, ZoneName};
use crate::service::Broker;
use crate::service::members::{InviteMember, MadeInvitation, MemberError, On};
use crate::web::console::again::{Made, done_already};
use crate::web::console::filter::Choice;
use crate::web::console::refused::{Refusal, refused};
use crate::web::console::{Place, Shell, Visit};
use crate::web::once::{Sent, SentForm};
use crate::web::page::shown;

/// The person to invite.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct PersonForm {
    mail: String,
    display_name: String,
    role: String,
    time_zone: String,
    form_id: String,
}

/// What asks for a new link.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct LinkForm {
    form_id: String,
}

#[derive(Template)]
#[template(path = "console/members/invite.html")]
struct InvitePage {
    shell: Shell,
    form: PersonForm,
    /// Each with what it may do.
    roles: Vec<(Choice, String)>,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "console/members/link.html")]
struct LinkPage {
    shell: Shell,
    id: String,
    name: String,
    mail: String,
    link: String,
    until: String,
    /// The person belongs to the team already: by the link it sets a new password.
    joined: bool,
}

/// Asks whom to invite.
pub(in crate::web::console) async fn ask_for_person(State(broker): State<Broker>, visit: Visit) -> Response {
    let shell = visit.shell(&broker, Place::Members);
    if let Err(error) = broker.must_permit(&visit.caller(), Action::Invite, visit.team(), On::Team) {
        return refused(shell, &error);
    }
    let form = PersonForm { time_zone: visit.stay.member.time_zone.to_string(), ..PersonForm::default() };
    ask(shell, &visit, form, None)
}

fn ask(shell: Shell, visit: &Visit, form: PersonForm, problem: Option<(StatusCode, String)>) -> Response {
    let roles = roles(&shell, visit, Role::from_name(&form.role).unwrap_or(Role::Member));
    let roles = roles.into_iter().map(|role| (shell.say(&format!("role-may-{}", role.value)), role));
    let roles = roles.map(|(may, role)| (role, may)).collect();
    let status = problem.as_ref().map_or(StatusCode::OK, |(status, _)| *status);
    let problem = problem.map(|(_, problem)| problem);
    shown(status, &InvitePage { shell, form, roles, problem })
}

/// Invites a person, and shows the link.
pub(in crate::web::console) async fn invite(
    State(broker): State<Broker>,
    visit: Visit,
    Form(form): Form<PersonForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Members);
    let wrong = |problem: String| Some((StatusCode::UNPROCESSABLE_ENTITY, problem));
    let mail = match form.mail.trim().parse::<MailAddress>() {
        Ok(mail) => mail,
        Err(error) => {
            let problem = wrong(shell.say_of("wrong-mail", "why", error.to_string()));
            return ask(shell, &visit, form, problem);
        }
    };
    let time_zone = match form.time_zone.trim().parse::<ZoneName>() {
        Ok(zone) => zone,
        Err(error) => {
            let problem = wrong(shell.say_of("wrong-zone", "why", error.to_string()));
            return ask(shell, &visit, form, problem);
        }
    };
    let person = InviteMember {
        team: visit.team().clone(),
        mail,
        display_name: name_in(&form.display_name),
        role: Role::from_name(&form.role).unwrap_or(Role::Member),
        time_zone,
        language: visit.stay.member.language.clone(),
    };
    let caller = visit.caller();
    let sent = SentForm { caller: &caller, purpose: "console/members.invite", id: &form.form_id };
    match sent.once(&broker, invited, |attempt| broker.invite_member(attempt, person)).await {
        Ok(sent) => show_link(&broker, shell, sent),
        Err(error @ MemberError::MailTaken { .. }) => {
            let problem = Some((error.status(), shell.tell(&error)));
            ask(shell, &visit, form, problem)
        }
        Err(error) => refused(shell, &error),
    }
}

/// Makes a new link for a member, and shows it.
pub(in crate::web::console) async fn resend(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Form(form): Form<LinkForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Members);
    let (shell, view) = match found(&broker, &visit, shell, &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let caller = visit.caller();
    let sent = SentForm { caller: &caller, purpose: "console/members.resend", id: &form.form_id };
    let resend = async |attempt| broker.resend_invitation(attempt, visit.team(), view.member.id).await;
    match sent.once(&broker, invited, resend).await {
        Ok(sent) => show_link(&broker, shell, sent),
        Err(error) => refused(shell, &error),
    }
}

/// Leads a member to where it chooses a new password.
pub(in crate::web::console) async fn choose_password(State(broker): State<Broker>, visit: Visit) -> Response {
    match broker.resend_invitation(&visit.caller(), visit.team(), visit.stay.member.id).await {
        Ok(made) => Redirect::to(&broker.invitation_link(&made.secret)).into_response(),
        Err(error) => refused(visit.shell(&broker, Place::Account), &error),
    }
}

fn invited(made: &MadeInvitation) -> String {
    made.member.member.id.to_string()
}

fn show_link(broker: &Broker, shell: Shell, sent: Sent<MadeInvitation>) -> Response {
    let made = match sent {
        Sent::First(made) => made,
        Sent::Again(member) => {
            let back = ("/members".to_owned(), shell.say("place-members"));
            return done_already(shell, Made { what: "link", mend: format!("/members/{member}"), back });
        }
    };
    let member = &made.member.member;
    let page = LinkPage {
        id: member.id.to_string(),
        name: member.name_for_people().to_owned(),
        mail: member.mail.to_string(),
        link: broker.invitation_link(&made.secret),
        until: made.member.invited_until.map(|until| shell.when(until).text).unwrap_or_default(),
        joined: member.is_active(),
        shell,
    };
    shown(StatusCode::OK, &page)
}

/// Ends the link that was sent to a member.
pub(in crate::web::console) async fn withdraw(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    let shell = visit.shell(&broker, Place::Members);
    let (shell, view) = match found(&broker, &visit, shell, &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let member = view.member.id;
    match broker.withdraw_invitation(&visit.caller(), visit.team(), member, "").await {
        Ok(_) => Redirect::to(&format!("/members/{member}?done=link-withdrawn")).into_response(),
        Err(error) => refused(shell, &error),
    }
}
