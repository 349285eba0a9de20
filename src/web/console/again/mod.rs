//! The page for who sends a form once more whose answer showed a secret.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::Shell;
use crate::web::page::shown;

/// What the form made when it was first sent.
pub(super) struct Made {
    /// `key`, `link` or `secret`: the last part of its words' names.
    pub(super) what: &'static str,
    /// Where to make good for a secret that was not copied.
    pub(super) mend: String,
    /// The page about it, and that page's name.
    pub(super) back: (String, String),
}

#[derive(Template)]
#[template(path = "console/again.html")]
struct AgainPage {
    shell: Shell,
    text: String,
    go: String,
    made: Made,
}

/// Says that it was done before, and what to do for who has not copied the secret.
pub(super) fn done_already(shell: Shell, made: Made) -> Response {
    let page = AgainPage {
        text: shell.say(&format!("again-text-{}", made.what)),
        go: shell.say(&format!("again-go-{}", made.what)),
        made,
        shell,
    };
    shown(StatusCode::CONFLICT, &page)
}

#[cfg(test)]
mod tests;
