//! What the member was told in the app, and how much of it is unread.

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::paging::Pages;
use super::refused::{Refusal, refused};
use super::{Place, Shell, Visit, When};
use crate::base::ids::EventId;
use crate::service::Broker;
use crate::service::notices::{MarkRead, Notice, NoticeError};
use crate::text::{InWords, Sentence};
use crate::web::console::filter::address;
use crate::web::page::shown;

/// Notices on a page.
const ON_A_PAGE: usize = 30;
/// The bell counts no further.
const MOST_COUNTED: usize = 10;

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    unread: String,
    before: String,
    trail: String,
}

/// What was read: one notice, or everything up to one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReadForm {
    event: String,
    through: String,
    /// Which notices the page shows.
    unread: String,
    before: String,
    trail: String,
}

#[derive(Template)]
#[template(path = "console/notices/list.html")]
struct NoticesPage {
    shell: Shell,
    here: String,
    rows: Vec<Row>,
    /// Only those that were not read are shown.
    unread: bool,
    /// Where the page begins.
    before: String,
    trail: String,
    /// The newest notice, up to which everything can be marked as read; `None`: there is nothing to mark.
    newest: Option<EventId>,
    pages: Pages,
}

struct Row {
    id: EventId,
    subject: String,
    text: String,
    todo: String,
    /// Where to do it, and what the link does.
    link: Option<(String, String)>,
    at: When,
    far: String,
    read: bool,
    asks: bool,
    over: String,
}

impl Asked {
    fn only_unread(&self) -> bool {
        self.unread == "1"
    }

    fn address(&self, before: &str, trail: &str) -> String {
        let unread = if self.only_unread() { "1" } else { "" };
        address("/notices", &[("unread", unread), ("before", before), ("trail", trail)])
    }
}

/// The page.
pub(super) async fn list(State(broker): State<Broker>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    let (team, member) = (visit.team(), visit.stay.member.id);
    let before = asked.before.parse::<EventId>().ok();
    let page = match broker.list_notices(team, member, asked.only_unread(), before, ON_A_PAGE).await {
        Ok(page) => page,
        Err(error) => return refused(shell, &error),
    };
    let rows: Vec<Row> = page.notices.iter().map(|notice| row(&broker, &shell, notice)).collect();
    let newest = rows.first().filter(|_| before.is_none() && rows.iter().any(|row| !row.read)).map(|row| row.id);
    let next = page.before.map(|before| before.to_string());
    let page = NoticesPage {
        here: asked.address(&asked.before, &asked.trail),
        unread: asked.only_unread(),
        before: before.map(|before| before.to_string()).unwrap_or_default(),
        newest,
        pages: Pages::around((&asked.before, &asked.trail), next.as_deref(), |before, trail| {
            asked.address(before, trail)
        }),
        trail: asked.trail.clone(),
        rows,
        shell,
    };
    shown(StatusCode::OK, &page)
}

fn row(broker: &Broker, shell: &Shell, notice: &Notice) -> Row {
    let words = &notice.words;
    let over = notice.over.map(|over| shell.tell(&Sentence::new("notices-over").and("why", over.in_words())));
    // The same page of this host, whatever address it was reached by.
    let pages = broker.config.http.link("");
    let link = words.link.as_ref().filter(|_| over.is_none());
    let path = |url: &str| url.strip_prefix(&pages).unwrap_or(url).to_owned();
    Row {
        id: notice.event.id,
        subject: words.subject.clone(),
        text: format!("{} {} {}", words.happened, words.why, words.stops),
        todo: if over.is_none() && words.asks { words.todo.clone() } else { String::new() },
        link: link.map(|link| (path(&link.url), link.text.clone())),
        at: shell.when(notice.event.at),
        far: shell.far(notice.event.at),
        read: notice.read,
        asks: words.asks && over.is_none(),
        over: over.unwrap_or_default(),
    }
}

/// Marks one notice as read, or all up to one.
pub(super) async fn read(State(broker): State<Broker>, visit: Visit, Form(form): Form<ReadForm>) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    let through = form.through.parse::<EventId>().ok();
    let events: Vec<EventId> = form.event.parse().into_iter().collect();
    let asked = Asked { unread: form.unread, before: form.before, trail: form.trail };
    let back = Redirect::to(&asked.address(&asked.before, &asked.trail));
    if through.is_none() && events.is_empty() {
        return back.into_response();
    }
    let marked = MarkRead { through, events };
    match broker.mark_notices_read(&visit.caller(), visit.team(), visit.stay.member.id, marked).await {
        Ok(_) => back.into_response(),
        Err(error) => refused(shell, &error),
    }
}

/// How many notices are unread, for the bell; nothing where there is none.
pub(super) async fn unread(State(broker): State<Broker>, visit: Visit) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    match broker.count_unread(&visit.stay.member, MOST_COUNTED).await {
        Ok(0) => Html(String::new()).into_response(),
        Ok(count) => {
            let shown = if count == MOST_COUNTED { format!("{}+", MOST_COUNTED - 1) } else { count.to_string() };
            let unread = shell.say("notices-unread");
            Html(format!("{shown}<span class=\"hidden\"> {unread}</span>")).into_response()
        }
        // The next look may succeed; until then the bell stays as it is.
        Err(error) => error.status().into_response(),
    }
}

impl Refusal for NoticeError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Member(error) => error.status(),
            Self::Settings(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Contended => StatusCode::CONFLICT,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

#[cfg(test)]
mod tests;
