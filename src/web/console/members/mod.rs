//! The people of the team: who they are, what they are to it, and how they come and go.

mod invite;
mod leave;
mod list;
mod show;

use axum::http::StatusCode;
use axum::response::Response;

pub(super) use self::invite::{ask_for_person, choose_password, invite, resend, withdraw};
pub(super) use self::leave::{confirm_leaving, departure, remove};
pub(super) use self::list::list;
pub(super) use self::show::{end_session, show, update};

use super::refused::{Refusal, refused};
use super::{Shell, Visit};
use crate::base::ids::MemberId;
use crate::domain::member::{MemberState, Role};
use crate::service::Broker;
use crate::service::members::{MemberError, MemberView};
use crate::web::console::filter::Choice;

/// The longest name of a person, in characters.
const LONGEST_NAME: usize = 128;

/// A role, as a choice of a form.
fn role_choice(shell: &Shell, role: Role, chosen: Role) -> Choice {
    let text = shell.say(&format!("role-{}", role.as_str()));
    Choice { value: role.as_str().to_owned(), text, chosen: role == chosen }
}

/// The roles that the visitor may give, the lowest last.
fn roles(shell: &Shell, visit: &Visit, chosen: Role) -> Vec<Choice> {
    let own = visit.stay.member.role;
    Role::ALL.into_iter().filter(|role| own.may_give(*role)).map(|role| role_choice(shell, role, chosen)).collect()
}

/// What a member is to the team now, in words.
fn state_of(shell: &Shell, state: MemberState) -> String {
    match state {
        MemberState::Invited => shell.say("member-invited"),
        MemberState::Active { since } => shell.say_of("member-since", "time", shell.when(since).text),
        MemberState::Left { since } => shell.say_of("member-left-on", "time", shell.when(since).text),
    }
}

/// The member of that id, if it is of the visitor's team.
async fn found(broker: &Broker, visit: &Visit, shell: Shell, id: &str) -> Result<(Shell, MemberView), Response> {
    let id = MemberId::typed(id);
    match broker.show_member(visit.team(), id).await {
        Ok(view) => Ok((shell, view)),
        Err(error) => Err(refused(shell, &error)),
    }
}

/// A person's name, as it is kept.
fn name_in(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    plain.trim().to_owned()
}

impl Refusal for MemberError {
    fn status(&self) -> StatusCode {
        match self {
            Self::TeamNotFound(_) | Self::NotFound { .. } | Self::NotLeft(_) => StatusCode::NOT_FOUND,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::MailTaken { .. } | Self::LastOwner(_) | Self::State(_) | Self::Contended(_) => StatusCode::CONFLICT,
            Self::Random => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

#[cfg(test)]
mod tests;
