//! Messages that were given up: looked at, sent again, deleted.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::base::ids::OutboxId;
use crate::service::Broker;
use crate::service::notices::{DeadLetterError, GivenUp};
use crate::web::console::filter::address;
use crate::web::console::paging::Pages;
use crate::web::console::refused::refused;
use crate::web::console::typed::{Deed, WordForm, ask_to_type};
use crate::web::console::{AdminVisit, OperatorVisit, Place, Shell, When};
use crate::web::page::shown;

const PATH: &str = "/operator/dead-letters";
/// Messages on a page, and the most that are replayed at once.
const ON_A_PAGE: usize = 50;

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    after: String,
    trail: String,
    done: String,
    count: u64,
}

#[derive(Template)]
#[template(path = "console/operator/dead_letters.html")]
struct DeadLettersPage {
    shell: Shell,
    is_admin: bool,
    rows: Vec<LetterRow>,
    pages: Pages,
}

/// A message that was given up.
struct LetterRow {
    id: String,
    destination: String,
    tells: String,
    made: When,
    attempts: u32,
    error: String,
}

/// The page.
pub(super) async fn list(State(broker): State<Broker>, visit: OperatorVisit, Query(asked): Query<Asked>) -> Response {
    let shell = visit.shell(&broker, Place::DeadLetters).with_done(&asked.done, asked.count);
    let after = asked.after.parse::<OutboxId>().ok();
    let found = match broker.list_dead_letters(after, ON_A_PAGE + 1).await {
        Ok(found) => found,
        Err(error) => return refused(shell, &error),
    };
    let last = found.get(ON_A_PAGE - 1).filter(|_| found.len() > ON_A_PAGE).map(|last| last.id.to_string());
    let page = DeadLettersPage {
        is_admin: visit.is_admin(),
        pages: Pages::around((&asked.after, &asked.trail), last.as_deref(), |after, trail| {
            address(PATH, &[("after", after), ("trail", trail)])
        }),
        rows: found.iter().take(ON_A_PAGE).map(|row| letter_row(&shell, row)).collect(),
        shell,
    };
    shown(StatusCode::OK, &page)
}

fn letter_row(shell: &Shell, row: &GivenUp) -> LetterRow {
    let told = row.events.len() as u64 + u64::from(row.more);
    LetterRow {
        id: row.id.to_string(),
        destination: row.destination.clone(),
        tells: shell.say_of("letter-tells", "count", told),
        made: shell.when(row.made_at),
        attempts: row.attempts,
        error: row.last_error.clone().unwrap_or_default(),
    }
}

/// Sends one message again.
pub(super) async fn replay(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Path(id): Path<String>,
) -> Response {
    match broker.replay_dead_letter(&visit.caller(), OutboxId::typed(&id)).await {
        Ok(_) => done("replayed", 1),
        Err(error) => refused(visit.shell(&broker, Place::DeadLetters), &error),
    }
}

/// Sends the messages again that the page shows.
pub(super) async fn replay_all(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let shell = visit.shell(&broker, Place::DeadLetters);
    let named = fields.iter().filter(|(name, _)| name == "message").filter_map(|(_, id)| id.parse::<OutboxId>().ok());
    let mut replayed = 0;
    for id in named.take(ON_A_PAGE) {
        match broker.replay_dead_letter(&visit.caller(), id).await {
            Ok(_) => replayed += 1,
            // Somebody else was faster.
            Err(DeadLetterError::NotFound(_)) => {}
            Err(error) => return refused(shell, &error),
        }
    }
    done("replayed", replayed)
}

fn done(what: &str, count: u64) -> Response {
    Redirect::to(&address(PATH, &[("done", what), ("count", &count.to_string())])).into_response()
}

fn deed(shell: &Shell, id: OutboxId) -> Deed {
    let back = (PATH.to_owned(), shell.say("place-dead-letters"));
    Deed { what: "letter-delete", to: id.to_string(), action: format!("{PATH}/{id}/delete"), back }
}

/// Asks whether a message shall be deleted.
pub(super) async fn confirm_deletion(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Path(id): Path<String>,
) -> Response {
    let shell = visit.shell(&broker, Place::DeadLetters);
    let deed = deed(&shell, OutboxId::typed(&id));
    ask_to_type(shell, deed, false)
}

/// Deletes a message, once the word was typed.
pub(super) async fn delete(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Path(id): Path<String>,
    Form(form): Form<WordForm>,
) -> Response {
    let (shell, id) = (visit.shell(&broker, Place::DeadLetters), OutboxId::typed(&id));
    if !form.confirms(&shell, "letter-delete") {
        let deed = deed(&shell, id);
        return ask_to_type(shell, deed, true);
    }
    match broker.purge_dead_letter(&visit.caller(), id).await {
        Ok(_) => done("letter-deleted", 1),
        Err(error) => refused(shell, &error),
    }
}
