//! Asks that a word be typed before something is done that can't be undone.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::Shell;
use crate::web::page::shown;

/// What the form brings.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WordForm {
    word: String,
}

/// What is about to be done. Its words are named `deed-title-{what}`, `deed-text-{what}`, `deed-go-{what}` and `deed-word-{what}`.
pub(super) struct Deed {
    /// The end of the names of its words.
    pub(super) what: &'static str,
    /// What it is done to, by a name for people.
    pub(super) to: String,
    /// Where the form is sent to.
    pub(super) action: String,
    /// The page from which one comes, and its name.
    pub(super) back: (String, String),
}

#[derive(Template)]
#[template(path = "console/typed.html")]
struct TypedPage {
    shell: Shell,
    deed: Deed,
    title: String,
    text: String,
    go: String,
    word: String,
    wrong: bool,
}

impl WordForm {
    /// Whether the word was typed.
    pub(super) fn confirms(&self, shell: &Shell, what: &str) -> bool {
        self.word.trim().eq_ignore_ascii_case(&shell.say(&format!("deed-word-{what}")))
    }
}

/// The page that asks; `wrong`: something else was typed.
pub(super) fn ask_to_type(shell: Shell, deed: Deed, wrong: bool) -> Response {
    let what = deed.what;
    let (title, text) = (shell.say(&format!("deed-title-{what}")), shell.say(&format!("deed-text-{what}")));
    let (go, word) = (shell.say(&format!("deed-go-{what}")), shell.say(&format!("deed-word-{what}")));
    let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    shown(status, &TypedPage { title, text, go, word, wrong, deed, shell })
}
