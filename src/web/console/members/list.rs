//! The list of members, with those who were invited and did not come yet.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::state_of;
use crate::base::ids::MemberId;
use crate::domain::member::{Action, MemberState};
use crate::service::Broker;
use crate::service::members::{MemberListFilter, MemberView};
use crate::web::console::filter::address;
use crate::web::console::paging::Pages;
use crate::web::console::refused::refused;
use crate::web::console::{Place, Shell, Visit};
use crate::web::page::shown;

/// Members on a page.
const ON_A_PAGE: u32 = 50;

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct Asked {
    state: String,
    after: String,
    trail: String,
    done: String,
}

#[derive(Template)]
#[template(path = "console/members/list.html")]
struct MembersPage {
    shell: Shell,
    /// Which are shown, and how else the list can be shown: its address, its words, whether it is this one.
    states: Vec<(String, String, bool)>,
    rows: Vec<Row>,
    pages: Pages,
    may_invite: bool,
}

struct Row {
    id: MemberId,
    name: String,
    mail: String,
    role: String,
    state: String,
    /// Until when the link can be used that was sent last; empty: there is none.
    link: String,
    accounts: u64,
    is_visitor: bool,
}

/// The names of the states, as addresses have them; the first is shown where none is named.
const STATES: [&str; 3] = ["active", "invited", "left"];

/// The page.
pub(in crate::web::console) async fn list(
    State(broker): State<Broker>,
    visit: Visit,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Members).with_done(&asked.done, 1);
    let state = STATES.into_iter().find(|state| *state == asked.state).unwrap_or(STATES[0]);
    let after = asked.after.parse::<MemberId>().ok();
    let filter = MemberListFilter { team: visit.team().clone(), state: Some(state) };
    let (views, more) = match broker.list_members(&filter, after, ON_A_PAGE).await {
        Ok(found) => found,
        Err(error) => return refused(shell, &error),
    };
    let of_state = |state: &str| address("/members", &[("state", if state == STATES[0] { "" } else { state })]);
    let last = views.last().filter(|_| more).map(|view| view.member.id.to_string());
    let page_after =
        |after: &str, trail: &str| address("/members", &[("state", &asked.state), ("after", after), ("trail", trail)]);
    let page = MembersPage {
        states: STATES.map(|it| (of_state(it), shell.say(&format!("members-{it}")), it == state)).into(),
        rows: views.iter().map(|view| row(&shell, &visit, view)).collect(),
        pages: Pages::around((&asked.after, &asked.trail), last.as_deref(), page_after),
        may_invite: visit.may(&broker, Action::Invite),
        shell,
    };
    shown(StatusCode::OK, &page)
}

fn row(shell: &Shell, visit: &Visit, view: &MemberView) -> Row {
    let member = &view.member;
    let link = match (member.state, view.invited_until) {
        (MemberState::Invited, None) => shell.say("member-link-over"),
        (_, Some(until)) => shell.say_of("member-link-until", "time", shell.when(until).text),
        _ => String::new(),
    };
    Row {
        id: member.id,
        name: member.name_for_people().to_owned(),
        mail: member.mail.to_string(),
        role: shell.say(&format!("role-{}", member.role.as_str())),
        state: state_of(shell, member.state),
        link,
        accounts: member.persons.values().map(|persons| persons.len() as u64).sum(),
        is_visitor: member.id == visit.stay.member.id,
    }
}
