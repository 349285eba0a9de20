//! Keys: those by which operators and collectors are let in, and the one that seals what is stored.

use std::time::Duration;

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::base::ids::KeyId;
use crate::domain::team::{Key, KeyHolder, OperatorRole};
use crate::service::Broker;
use crate::service::keys::{CreateKey, KeyError, KeyFilter, MadeKey};
use crate::service::sealing::SealingView;
use crate::web::console::again::{Made, done_already};
use crate::web::console::filter::address;
use crate::web::console::paging::Pages;
use crate::web::console::refused::refused;
use crate::web::console::tokens::grouped;
use crate::web::console::typed::{Deed, WordForm, ask_to_type};
use crate::web::console::{AdminVisit, OperatorVisit, Place, Shell, When};
use crate::web::once::{Sent, SentForm};
use crate::web::page::shown;

const PATH: &str = "/operator/keys";
/// Keys on a page.
const ON_A_PAGE: usize = 100;
/// The longest name of a key, in characters.
const LONGEST_NAME: usize = 128;
/// For how many days a key can be made.
const MOST_DAYS: u32 = 3_650;

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// `1`: also those that have ended.
    ended: String,
    before: String,
    trail: String,
    done: String,
}

#[derive(Template)]
#[template(path = "console/operator/keys.html")]
struct KeysPage {
    shell: Shell,
    rows: Vec<KeyRow>,
    with_ended: bool,
    sealing: Sealing,
    /// What stands in the form of a new key, and what is wrong with it.
    form: KeyForm,
    problem: Option<String>,
    pages: Pages,
}

/// A key.
struct KeyRow {
    id: String,
    name: String,
    holder: String,
    shown_by: String,
    made: When,
    ends: Option<(When, String)>,
    works: bool,
    own: bool,
}

/// The key that seals what is stored.
struct Sealing {
    fingerprint: String,
    resealing: bool,
    looked_at: String,
    resealed: String,
    damaged: u64,
    finished: Option<When>,
}

/// The page. Keys are for admins alone, as over gRPC.
pub(super) async fn list(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Keys).with_done(&asked.done, 1);
    page(&broker, &visit, shell, &asked, None)
}

/// The page; `wrong`: the form that was sent, and what is wrong with it.
fn page(
    broker: &Broker,
    visit: &OperatorVisit,
    shell: Shell,
    asked: &Asked,
    wrong: Option<(KeyForm, String)>,
) -> Response {
    let with_ended = asked.ended == "1";
    let filter = KeyFilter { with_ended, before: asked.before.parse().ok(), ..KeyFilter::default() };
    let (keys, more) = match broker.list_keys(&filter, ON_A_PAGE) {
        Ok(found) => found,
        Err(error) => return refused(shell, &error),
    };
    let page_before = |before: &str, trail: &str| {
        address(PATH, &[("ended", if with_ended { "1" } else { "" }), ("before", before), ("trail", trail)])
    };
    let last = keys.last().filter(|_| more).map(|last| last.id.to_string());
    let (form, problem) = wrong.map_or_else(Default::default, |(form, problem)| (form, Some(problem)));
    let page = KeysPage {
        pages: Pages::around((&asked.before, &asked.trail), last.as_deref(), page_before),
        rows: keys.iter().map(|key| key_row(broker, visit, &shell, key)).collect(),
        with_ended,
        sealing: sealing(&shell, &broker.view_sealing()),
        form,
        problem,
        shell,
    };
    shown(if page.problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}

fn key_row(broker: &Broker, visit: &OperatorVisit, shell: &Shell, key: &Key) -> KeyRow {
    let ends = [key.revoked_at, key.expires_at].into_iter().flatten().min();
    KeyRow {
        id: key.id.to_string(),
        name: key.display_name.clone(),
        holder: match &key.holder {
            KeyHolder::Operator(OperatorRole::Admin) => shell.say("role-admin"),
            KeyHolder::Operator(OperatorRole::Reader) => shell.say("role-reader"),
            KeyHolder::Collector(team, id) => {
                let name = broker.directory.collector(*id).map(|collector| collector.display_name.clone());
                let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| id.to_string());
                shell.say_with("key-of-collector", &[("name", name.into()), ("team", team.to_string().into())])
            }
        },
        shown_by: key.certificate().map_or_else(|| shell.say("key-secret"), ToString::to_string),
        made: shell.when(key.created_at),
        ends: ends.map(|at| (shell.when(at), shell.far(at))),
        works: key.works(shell.now),
        own: key.id == visit.stay.key.id,
    }
}

fn name_of(key: &Key) -> String {
    if key.display_name.is_empty() { key.id.to_string() } else { key.display_name.clone() }
}

fn sealing(shell: &Shell, view: &SealingView) -> Sealing {
    Sealing {
        fingerprint: view.fingerprint.to_string(),
        resealing: view.resealing,
        looked_at: grouped(view.looked_at),
        resealed: grouped(view.resealed),
        damaged: view.damaged,
        finished: view.finished_at.map(|at| shell.when(at)),
    }
}

/// The key to make.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyForm {
    name: String,
    role: String,
    /// After how many days it ends; empty: never.
    days: String,
    form_id: String,
}

#[derive(Template)]
#[template(path = "console/operator/key.html")]
struct MadeKeyPage {
    shell: Shell,
    key: String,
    ends: Option<When>,
}

/// Makes a key of an operator, and shows it this once.
pub(super) async fn create(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Form(form): Form<KeyForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Keys);
    let days = form.days.trim();
    let span = days.parse::<u32>().ok().filter(|days| (1..=MOST_DAYS).contains(days));
    if span.is_none() && !days.is_empty() {
        let wrong = shell.say_of("key-wrong-days", "most", u64::from(MOST_DAYS));
        return page(&broker, &visit, shell, &Asked::default(), Some((form, wrong)));
    }
    let role = match form.role.as_str() {
        "admin" => OperatorRole::Admin,
        _ => OperatorRole::Reader,
    };
    let name: String = form.name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let expires_at = span.map(|days| shell.now + Duration::from_secs(u64::from(days) * 86_400));
    let ask =
        CreateKey { display_name: name.trim().to_owned(), expires_at, ..CreateKey::of(KeyHolder::Operator(role)) };
    let caller = visit.caller();
    let sent = SentForm { caller: &caller, purpose: "console/operator.key", id: &form.form_id };
    match sent.once(&broker, |(key, _): &MadeKey| key.id.to_string(), |attempt| broker.create_key(attempt, ask)).await {
        Ok(Sent::First((key, secret))) => {
            let text = secret.map(|secret| secret.expose().to_owned()).unwrap_or_default();
            shown(StatusCode::OK, &MadeKeyPage { key: text, ends: key.expires_at.map(|at| shell.when(at)), shell })
        }
        Ok(Sent::Again(key)) => {
            let back = (PATH.to_owned(), shell.say("place-keys"));
            done_already(shell, Made { what: "key", mend: format!("{PATH}/{key}/revoke"), back })
        }
        Err(error) => refused(shell, &error),
    }
}

fn key_of(broker: &Broker, id: &str) -> Result<std::sync::Arc<Key>, KeyError> {
    let id = KeyId::typed(id);
    broker.directory.key(id).ok_or(KeyError::NotFound(id))
}

fn revocation(shell: &Shell, key: &Key) -> Deed {
    let back = (PATH.to_owned(), shell.say("place-keys"));
    Deed { what: "key-revoke", to: name_of(key), action: format!("{PATH}/{}/revoke", key.id), back }
}

/// Asks whether a key shall be revoked.
pub(super) async fn confirm_revocation(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Path(key): Path<String>,
) -> Response {
    let shell = visit.shell(&broker, Place::Keys);
    match key_of(&broker, &key) {
        Ok(key) => {
            let deed = revocation(&shell, &key);
            ask_to_type(shell, deed, false)
        }
        Err(error) => refused(shell, &error),
    }
}

/// Revokes a key, once the word was typed.
pub(super) async fn revoke(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Path(key): Path<String>,
    Form(form): Form<WordForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Keys);
    let key = match key_of(&broker, &key) {
        Ok(key) => key,
        Err(error) => return refused(shell, &error),
    };
    if !form.confirms(&shell, "key-revoke") {
        let deed = revocation(&shell, &key);
        return ask_to_type(shell, deed, true);
    }
    match broker.revoke_key(&visit.caller(), key.id, "").await {
        Ok(_) => Redirect::to(&format!("{PATH}?done=key-revoked")).into_response(),
        Err(error) => refused(shell, &error),
    }
}

fn rotation(broker: &Broker, shell: &Shell) -> Deed {
    let back = (PATH.to_owned(), shell.say("place-keys"));
    let to = broker.view_sealing().fingerprint.to_string();
    Deed { what: "sealing-rotate", to, action: format!("{PATH}/rotate"), back }
}

/// Asks whether the sealing key shall be changed.
pub(super) async fn confirm_rotation(State(broker): State<Broker>, AdminVisit(visit): AdminVisit) -> Response {
    let shell = visit.shell(&broker, Place::Keys);
    let deed = rotation(&broker, &shell);
    ask_to_type(shell, deed, false)
}

/// Changes the sealing key, once the word was typed.
pub(super) async fn rotate(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Form(form): Form<WordForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Keys);
    if !form.confirms(&shell, "sealing-rotate") {
        let deed = rotation(&broker, &shell);
        return ask_to_type(shell, deed, true);
    }
    match broker.rotate_sealing_key(&visit.caller()).await {
        Ok(_) => Redirect::to(&format!("{PATH}?done=sealing-rotated")).into_response(),
        Err(error) => refused(shell, &error),
    }
}
