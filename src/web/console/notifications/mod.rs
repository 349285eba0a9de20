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
use super::refused::refused;
use super::{Place, Shell, Visit};
use crate::domain::member::Action;
use crate::domain::notice::NoticeSettings;
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
    quiet_from: String,
    quiet_until: String,
    zone: String,
    dialog: bool,
    sends_mail: bool,
    browsers: Browsers,
    /// Where the team is told; `None`: the visitor may not look.
    destinations: Option<Vec<Listed>>,
    problem: Option<String>,
}

/// The page.
pub(super) async fn show(State(broker): State<Broker>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    let shell = visit.shell(&broker, Place::Notices).with_done(&asked.done, 1);
    page(&broker, &visit, shell, &asked.token, &asked.profile, None).await
}

/// The page, of a profile or of the profiles of a token.
async fn page(
    broker: &Broker,
    visit: &Visit,
    shell: Shell,
    token: &str,
    profile: &str,
    problem: Option<String>,
) -> Response {
    let member = &visit.stay.member;
    let settings = match broker.notice_settings(visit.team(), member.id).await {
        Ok(settings) => settings,
        Err(error) => return refused(shell, &error),
    };
    let profiles = match Profiles::of(broker, visit, &settings, token, profile).await {
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
    let (quiet_from, quiet_until) = quiet_times(&settings);
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = NotificationsPage {
        matrix: Matrix::of(&shell, &settings, member.role, profiles.chosen()),
        profiles,
        quiet_from,
        quiet_until,
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

/// When the quiet hours begin and end, as a field for times has it; empty: there are none.
fn quiet_times(settings: &NoticeSettings) -> (String, String) {
    let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    settings.quiet.map(|quiet| (time(quiet.from), time(quiet.until))).unwrap_or_default()
}

#[cfg(test)]
mod tests;
