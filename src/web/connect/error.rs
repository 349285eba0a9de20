//! What goes wrong, as a page that says what to do.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::page::Message;
use crate::domain::connection::StageError;
use crate::service::connect::{CallbackError, ConnectError};
use crate::service::tokens::TokenError;
use crate::web::page::sentence;
use crate::web::sign_in::page_before;

/// A page about an error. `page`: where the visitor was, to come back to after a sign-in.
pub(super) fn refused(error: &ConnectError, page: Option<&str>) -> Response {
    let (title, status) = match error {
        ConnectError::UnknownLink | ConnectError::NotFound(_) => ("Unknown link", StatusCode::NOT_FOUND),
        ConnectError::ForeignBrowser => ("Opened in another browser", StatusCode::FORBIDDEN),
        ConnectError::SignedOut => {
            let next = page_before(page.unwrap_or_default());
            let page = Message::new("Sign in first", sentence(error)).leading_to("Sign in", Some(next));
            return page.with(StatusCode::FORBIDDEN).into_response();
        }
        ConnectError::OtherMember | ConnectError::Token(TokenError::Forbidden(_)) => {
            ("Not yours", StatusCode::FORBIDDEN)
        }
        ConnectError::Stage(StageError::Ended(_)) => ("This has ended", StatusCode::GONE),
        ConnectError::Stage(_)
        | ConnectError::Choice(_)
        | ConnectError::OldText
        | ConnectError::OtherText { .. }
        | ConnectError::Contended(_) => ("Not now", StatusCode::CONFLICT),
        ConnectError::NotPushed { .. } => ("Not now", StatusCode::BAD_GATEWAY),
        ConnectError::NoPurpose => ("What shall it be used for?", StatusCode::UNPROCESSABLE_ENTITY),
        ConnectError::Rejected(_)
        | ConnectError::NotConnectable { .. }
        | ConnectError::NoPublicUrl
        | ConnectError::ReturnUrl
        | ConnectError::OtherKind
        | ConnectError::NoMember { .. }
        | ConnectError::NoClientKey { .. }
        | ConnectError::NoClient { .. } => ("An operator must look at this", StatusCode::CONFLICT),
        ConnectError::Token(_) | ConnectError::Random | ConnectError::Sealed(_) => {
            tracing::error!(%error, "an account could not be connected");
            let text =
                "The broker could not do this now. Nothing is lost: open the connect link again in some minutes.";
            return Message::new("Something went wrong", text).with(StatusCode::INTERNAL_SERVER_ERROR).into_response();
        }
    };
    Message::new(title, sentence(error)).with(status).into_response()
}

/// A page about a browser that came back and is not let in.
pub(super) fn not_let_in(error: &CallbackError) -> Response {
    let (title, status) = match error {
        CallbackError::UnknownState => ("Unknown answer", StatusCode::BAD_REQUEST),
        CallbackError::ForeignBrowser => ("Another browser", StatusCode::FORBIDDEN),
        CallbackError::Stage(StageError::Used) => ("Used already", StatusCode::CONFLICT),
        CallbackError::Stage(StageError::TooLate) => ("Too late", StatusCode::GONE),
        CallbackError::Stage(StageError::Ended(_) | StageError::NotReady) => ("This has ended", StatusCode::GONE),
        CallbackError::Connect(error) => return refused(error, None),
    };
    Message::new(title, sentence(error)).with(status).into_response()
}
