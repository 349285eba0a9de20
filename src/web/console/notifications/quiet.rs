//! When the member is not disturbed, and whether it is asked at the sign-in.

use axum::extract::{Form, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::{Asked, Wrong, page};
use crate::domain::notice::{NoticeSettings, QuietHours};
use crate::service::Broker;
use crate::service::notices::{NoticeError, UpdateSettings};
use crate::web::console::refused::refused;
use crate::web::console::{Place, Visit};

/// When quiet hours begin and end, `22:00` each; both empty: there are none.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct QuietForm {
    pub(super) from: String,
    pub(super) until: String,
}

impl From<&NoticeSettings> for QuietForm {
    fn from(settings: &NoticeSettings) -> Self {
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let hours = |QuietHours { from, until }| Self { from: time(from), until: time(until) };
        settings.quiet.map(hours).unwrap_or_default()
    }
}

/// Whether the dialog after the sign-in is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct DialogForm {
    dialog: String,
}

/// Minutes after midnight.
fn minutes(time: &str) -> Option<u16> {
    let (hours, minutes) = time.trim().split_once(':')?;
    let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// Sets the quiet hours.
pub(in crate::web::console) async fn set_quiet_hours(
    State(broker): State<Broker>,
    visit: Visit,
    Form(form): Form<QuietForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    let quiet = match (minutes(&form.from), minutes(&form.until)) {
        (Some(from), Some(until)) => Some(QuietHours { from, until }),
        _ if form.from.is_empty() && form.until.is_empty() => None,
        _ => {
            let wrong = Some(Wrong::Quiet(form, shell.say("quiet-wrong")));
            return page(&broker, &visit, shell, &Asked::default(), wrong).await;
        }
    };
    let change = UpdateSettings { quiet: Some(quiet), ..UpdateSettings::default() };
    match broker.update_notice_settings(&visit.caller(), visit.team(), visit.stay.member.id, change).await {
        Ok(_) => Redirect::to("/notifications?done=quiet-set").into_response(),
        Err(NoticeError::Settings(error)) => {
            let wrong = Some(Wrong::Quiet(form, shell.tell(&error)));
            page(&broker, &visit, shell, &Asked::default(), wrong).await
        }
        Err(error) => refused(shell, &error),
    }
}

/// Switches the dialog after the sign-in on or off.
pub(in crate::web::console) async fn switch_dialog(
    State(broker): State<Broker>,
    visit: Visit,
    Form(form): Form<DialogForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    let change = UpdateSettings { hides_dialog: Some(form.dialog.is_empty()), ..UpdateSettings::default() };
    match broker.update_notice_settings(&visit.caller(), visit.team(), visit.stay.member.id, change).await {
        Ok(_) => Redirect::to("/notifications?done=chosen").into_response(),
        Err(error) => refused(shell, &error),
    }
}
