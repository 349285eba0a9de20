//! What goes wrong, as a page that says what to do.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::page::Message;
use crate::domain::connection::StageError;
use crate::service::connect::{CallbackError, ConnectError};
use crate::service::tokens::TokenError;
use crate::text::Text;
use crate::web::console::HOME;
use crate::web::sign_in::page_before;

/// A page about an error. `page`: where the visitor was, to come back to after a sign-in.
pub(super) fn refused(error: &ConnectError, page: Option<&str>) -> Response {
    message(error, page).into_response()
}

/// The same for who is signed in: whatever it says, it leads on.
pub(super) fn refused_to_member(error: &ConnectError) -> Response {
    message(error, None).or_leading_to("back-to-tokens", HOME).into_response()
}

fn message(error: &ConnectError, page: Option<&str>) -> Message {
    let (title, status) = match error {
        ConnectError::UnknownLink | ConnectError::NotFound(_) => ("trouble-unknown-link", StatusCode::NOT_FOUND),
        ConnectError::ForeignBrowser => ("trouble-other-browser", StatusCode::FORBIDDEN),
        ConnectError::SignedOut => {
            let next = page_before(page.unwrap_or_default());
            let page =
                Message::new("trouble-sign-in", Text::english().tell_of(error)).leading_to("sign-in", Some(next));
            return page.with(StatusCode::FORBIDDEN);
        }
        // Somebody is signed in.
        ConnectError::OtherMember | ConnectError::Token(TokenError::Forbidden(_)) => {
            let page = Message::new("trouble-not-yours", Text::english().tell_of(error));
            return page.with(StatusCode::FORBIDDEN).or_leading_to("back-to-tokens", HOME);
        }
        ConnectError::Left | ConnectError::Stage(StageError::Ended(_)) => ("trouble-ended", StatusCode::GONE),
        ConnectError::Stage(_)
        | ConnectError::Choice(_)
        | ConnectError::OldText
        | ConnectError::OtherText { .. }
        | ConnectError::Contended(_)
        | ConnectError::Token(TokenError::Contended(_) | TokenError::NotAgreed(_)) => {
            ("trouble-not-now", StatusCode::CONFLICT)
        }
        ConnectError::Token(TokenError::NotFound { .. } | TokenError::TeamNotFound(_)) => {
            return anew("trouble-unknown-token", error, StatusCode::NOT_FOUND);
        }
        ConnectError::Token(TokenError::State(_)) => return anew("trouble-ended", error, StatusCode::GONE),
        ConnectError::Token(TokenError::Exists { token, .. }) => {
            let page = Message::new("trouble-held", Text::english().tell_of(error));
            let page = page.leading_to("trouble-held-look", Some(format!("/tokens/{token}")));
            return page.with(StatusCode::CONFLICT);
        }
        ConnectError::Token(TokenError::RefreshHeld(_)) => return anew("trouble-held", error, StatusCode::CONFLICT),
        ConnectError::NotPushed { .. } | ConnectError::PushRefused { .. } => {
            ("trouble-not-now", StatusCode::BAD_GATEWAY)
        }
        ConnectError::NoPurpose => ("start-purposes", StatusCode::UNPROCESSABLE_ENTITY),
        ConnectError::Rejected(_)
        | ConnectError::Token(TokenError::Rejected(_))
        | ConnectError::NotConnectable { .. }
        | ConnectError::NoPublicUrl
        | ConnectError::ReturnUrl
        | ConnectError::OtherKind
        | ConnectError::NoMember { .. }
        | ConnectError::NoClientKey { .. }
        | ConnectError::NoClient { .. } => ("trouble-operator", StatusCode::CONFLICT),
        ConnectError::Token(TokenError::Vault(_) | TokenError::Seal(_) | TokenError::Store(_))
        | ConnectError::Random
        | ConnectError::Sealed(_) => {
            tracing::error!(%error, "an account could not be connected");
            let text = Text::english().say("trouble-broken-text");
            return Message::new("trouble-broken", text).with(StatusCode::INTERNAL_SERVER_ERROR);
        }
    };
    Message::new(title, Text::english().tell_of(error)).with(status)
}

/// A page about a token that can't be reconnected: a new one can be connected.
fn anew(title: &str, error: &ConnectError, status: StatusCode) -> Message {
    let page = Message::new(title, Text::english().tell_of(error))
        .leading_to("again-go-connect", Some("/connect/start".to_owned()));
    page.with(status)
}

/// A page about a browser that came back and is not let in.
pub(super) fn not_let_in(error: &CallbackError) -> Response {
    let (title, status) = match error {
        CallbackError::UnknownState => ("trouble-unknown-answer", StatusCode::BAD_REQUEST),
        CallbackError::ForeignBrowser => ("trouble-other-browser", StatusCode::FORBIDDEN),
        CallbackError::Stage(StageError::Used) => ("trouble-used", StatusCode::CONFLICT),
        CallbackError::Stage(StageError::TooLate) => ("ended-lapsed", StatusCode::GONE),
        CallbackError::Stage(StageError::Ended(_) | StageError::NotReady) => ("trouble-ended", StatusCode::GONE),
        CallbackError::Connect(error) => return refused(error, None),
    };
    Message::new(title, Text::english().tell_of(error)).with(status).into_response()
}
