//! What the member hears, where, and when not; the browsers that are told; and where the whole team is told.

mod browsers;
mod destinations;
mod matrix;
mod quiet;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

pub(super) use self::browsers::{subscribe, unsubscribe, worker};
pub(super) use self::destinations::{
    add_destination, ask_for_destination, confirm_deletion, delete_destination, show_destination, test_destination,
    update_destination,
};
pub(super) use self::matrix::choose;
pub(super) use self::quiet::{set_quiet_hours, switch_dialog};

use self::browsers::Browsers;
use self::destinations::Listed;
use self::matrix::{Matrix, Profiles};
use self::quiet::QuietForm;
use super::refused::refused;
use super::{Place, Shell, Visit};
use crate::domain::member::Action;
use crate::service::Broker;
use crate::web::page::shown;

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// A token: its profile is chosen.
    token: String,
    profile: String,
    done: String,
}

#[derive(Template)]
#[template(path = "console/notifications/page.html")]
struct NotificationsPage {
    shell: Shell,
    matrix: Matrix,
    profiles: Profiles,
    quiet: QuietForm,
    quiet_problem: Option<String>,
    zone: String,
    dialog: bool,
    sends_mail: bool,
    browsers: Browsers,
    /// Where the team is told; `None`: the visitor may not look.
    destinations: Option<Vec<Listed>>,
    problem: Option<String>,
}

/// What is wrong with a form that was sent.
enum Wrong {
    /// With the quiet hours, which stand in their form as they were sent.
    Quiet(QuietForm, String),
    /// With the subscription of a browser.
    Browser(String),
}

/// The page.
pub(super) async fn show(State(broker): State<Broker>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    let shell = visit.shell(&broker, Place::Notices).with_done(&asked.done, 1);
    page(&broker, &visit, shell, &asked, None).await
}

/// The page, of a profile or of the profiles of a token.
async fn page(broker: &Broker, visit: &Visit, shell: Shell, asked: &Asked, wrong: Option<Wrong>) -> Response {
    let member = &visit.stay.member;
    let settings = match broker.notice_settings(visit.team(), member.id).await {
        Ok(settings) => settings,
        Err(error) => return refused(shell, &error),
    };
    let profiles = match Profiles::of(broker, visit, &settings, &asked.token, &asked.profile).await {
        Ok(Some(profiles)) => profiles,
        Ok(None) => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => return refused(shell, &error),
    };
    let browsers = match Browsers::of(broker, visit, &shell).await {
        Ok(browsers) => browsers,
        Err(error) => return refused(shell, &error),
    };
    let destinations = match visit.may(broker, Action::ChangeDestinations) {
        true => match broker.list_destinations(visit.team()).await {
            Ok(found) => Some(found.iter().map(|view| Listed::of_view(&shell, view)).collect()),
            Err(error) => return refused(shell, &error),
        },
        false => None,
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (quiet, quiet_problem, problem) = match wrong {
        None => (QuietForm::from(&settings), None, None),
        Some(Wrong::Quiet(form, problem)) => (form, Some(problem), None),
        Some(Wrong::Browser(problem)) => (QuietForm::from(&settings), None, Some(problem)),
    };
    let page = NotificationsPage {
        matrix: Matrix::of(&shell, &settings, member.role, profiles.chosen()),
        profiles,
        quiet,
        quiet_problem,
        zone: member.time_zone.to_string(),
        dialog: !settings.hides_dialog,
        sends_mail: broker.config.mail.is_on(),
        browsers,
        destinations,
        problem,
        shell,
    };
    shown(status, &page)
}

#[cfg(test)]
mod tests;
