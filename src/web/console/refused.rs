//! What goes wrong, as a page that says what to do.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::Shell;
use crate::service::incidents::IncidentError;
use crate::service::jobs::JobError;
use crate::service::probe::ProbeError;
use crate::service::profiles::ProfileError;
use crate::service::renew::RenewError;
use crate::service::tokens::TokenError;
use crate::service::{AlertError, LoadHistoryError, TeamLoadError};
use crate::text::InWords;
use crate::web::page::shown;

/// An error that a page tells.
pub(super) trait Refusal: std::error::Error + InWords {
    /// What it is in HTTP.
    fn status(&self) -> StatusCode;
}

#[derive(Template)]
#[template(path = "console/refused.html")]
struct RefusedPage {
    shell: Shell,
    title: String,
    text: String,
}

/// The page about an error.
pub(super) fn refused(shell: Shell, error: &dyn Refusal) -> Response {
    let status = error.status();
    let (title, text) = match status {
        StatusCode::NOT_FOUND if shell.is_of_member() => {
            // Links of notices name no team, and people are in several.
            let here = shell.say_of("refused-other-team", "team", shell.scope());
            ("refused-not-found", format!("{} {here}", shell.tell(error)))
        }
        StatusCode::NOT_FOUND => ("refused-not-found", shell.tell(error)),
        StatusCode::FORBIDDEN => ("refused-forbidden", shell.tell(error)),
        status if status.is_server_error() => {
            tracing::error!(%error, "a page of the console could not be shown");
            ("refused-broken", shell.say("refused-broken-text"))
        }
        _ => ("refused-not-done", shell.tell(error)),
    };
    shown(status, &RefusedPage { title: shell.say(title), text, shell })
}

impl Refusal for TokenError {
    fn status(&self) -> StatusCode {
        match self {
            Self::TeamNotFound(_) | Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotAgreed(_) | Self::Exists { .. } | Self::RefreshHeld(_) | Self::State(_) | Self::Contended(_) => {
                StatusCode::CONFLICT
            }
            Self::Rejected(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Vault(_) | Self::Seal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Refusal for RenewError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Token(error) => error.status(),
            Self::NotRenewable(_)
            | Self::NoClient { .. }
            | Self::NotYet { .. }
            | Self::Incident { .. }
            | Self::Refused(_)
            | Self::Failed { .. } => StatusCode::CONFLICT,
            Self::Sealed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Refusal for ProbeError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Renew(error) => error.status(),
            Self::NotProbed { .. } | Self::NotYet { .. } => StatusCode::CONFLICT,
        }
    }
}

impl Refusal for JobError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TeamNotFound(_) | Self::UnknownNetwork(_) | Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::NotDone(_) | Self::Done(_) | Self::Contended(_) => StatusCode::CONFLICT,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Refusal for ProfileError {
    fn status(&self) -> StatusCode {
        match self {
            Self::TeamNotFound(_) | Self::UnknownNetwork(_) | Self::NoMember(_) => StatusCode::NOT_FOUND,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Refusal for TeamLoadError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TeamNotFound(_)
            | Self::UnknownNetwork(_)
            | Self::UnknownOperation { .. }
            | Self::UnknownClass { .. }
            | Self::UnknownKind { .. } => StatusCode::NOT_FOUND,
        }
    }
}

impl Refusal for AlertError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TeamNotFound(_) | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Acknowledge(_) => StatusCode::CONFLICT,
            Self::Store(_) | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Refusal for IncidentError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Closed(_) | Self::EndsNoToken(_) => StatusCode::CONFLICT,
            Self::Store(_) | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Refusal for LoadHistoryError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Load(error) => error.status(),
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

#[cfg(test)]
mod tests;
