//! Keys of a collector are made and revoked. The two POSTs of this file are all by which a page gives out or ends a key.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::found;
use super::show::Wrong;
use super::snippet::{Snippets, snippets};
use crate::base::ids::KeyId;
use crate::domain::member::Action;
use crate::domain::team::{Collector, Key, KeyHolder};
use crate::service::Broker;
use crate::service::keys::{CreateKey, KeyError, MadeKey};
use crate::service::members::On;
use crate::web::console::again::{Made, done_already};
use crate::web::console::refused::refused;
use crate::web::console::typed::{Deed, WordForm, ask_to_type};
use crate::web::console::{Place, Shell, Visit, When};
use crate::web::once::{Sent, SentForm};
use crate::web::page::shown;

/// The longest name of a key, in characters.
const LONGEST_NAME: usize = 128;
/// For how many days a key can be made.
const MOST_DAYS: u32 = 3_650;

/// The key to make.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct KeyForm {
    pub(super) name: String,
    /// After how many days it ends; empty: never.
    pub(super) days: String,
    form_id: String,
}

#[derive(Template)]
#[template(path = "console/collectors/key.html")]
struct MadeKeyPage {
    shell: Shell,
    collector: String,
    href: String,
    key: String,
    /// Puts the address and the key in the environment.
    environment: String,
    ends: Option<When>,
    snippets: Snippets,
}

/// Makes a key, and shows it this once.
pub(in crate::web::console) async fn create_key(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Form(form): Form<KeyForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Collectors);
    let (shell, collector) = match found(&broker, &visit, shell, &id) {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    let days = form.days.trim();
    let span = days.parse::<u32>().ok().filter(|days| (1..=MOST_DAYS).contains(days));
    if span.is_none() && !days.is_empty() && visit.may(&broker, Action::ChangeCollectors) {
        let wrong = Wrong::Key(form, shell.say_of("key-wrong-days", "most", u64::from(MOST_DAYS)));
        return super::show::page(&broker, &visit, shell, &collector, Some(wrong)).await;
    }
    let name: String = form.name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let holder = KeyHolder::Collector(visit.team().clone(), collector.id);
    let expires_at = span.map(|days| shell.now + Duration::from_secs(u64::from(days) * 86_400));
    let ask = CreateKey { display_name: name.trim().to_owned(), expires_at, ..CreateKey::of(holder) };
    let caller = visit.caller();
    let sent = SentForm { caller: &caller, purpose: "console/collectors.key", id: &form.form_id };
    match sent.once(&broker, |(key, _): &MadeKey| key.id.to_string(), |attempt| broker.create_key(attempt, ask)).await {
        Ok(Sent::First((key, Some(secret)))) => {
            let snippets = snippets(&broker, &collector);
            let environment = format!("{}\nexport TOKEN_BROKER_KEY={}", snippets.address, secret.expose());
            let page = MadeKeyPage {
                environment,
                collector: collector.display_name.clone(),
                href: format!("/collectors/{}", collector.id),
                key: secret.expose().to_owned(),
                ends: key.expires_at.map(|end| shell.when(end)),
                snippets,
                shell,
            };
            shown(StatusCode::OK, &page)
        }
        // A key without a secret is not made here.
        Ok(Sent::First((_, None))) => Redirect::to(&format!("/collectors/{}", collector.id)).into_response(),
        Ok(Sent::Again(key)) => {
            let page = format!("/collectors/{}", collector.id);
            let mend = format!("{page}/keys/{key}/revoke");
            done_already(shell, Made { what: "key", mend, back: (page, collector.display_name.clone()) })
        }
        Err(error) => refused(shell, &error),
    }
}

/// The key of that id, if it is the collector's.
fn key_of(broker: &Broker, collector: &Collector, id: &str) -> Result<Arc<Key>, KeyError> {
    let id = KeyId::typed(id);
    let own = KeyHolder::Collector(collector.team.clone(), collector.id);
    broker.directory.key(id).filter(|key| key.holder == own).ok_or(KeyError::NotFound(id))
}

/// Asks whether a key shall be revoked.
pub(in crate::web::console) async fn confirm_key_revocation(
    State(broker): State<Broker>,
    visit: Visit,
    Path((id, key)): Path<(String, String)>,
) -> Response {
    let shell = visit.shell(&broker, Place::Collectors);
    let (shell, collector) = match found(&broker, &visit, shell, &id) {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    if let Err(error) = broker.must_permit(&visit.caller(), Action::ChangeCollectors, visit.team(), On::Team) {
        return refused(shell, &error);
    }
    match key_of(&broker, &collector, &key) {
        Ok(key) => ask_to_type(shell, deed(&collector, &key), false),
        Err(error) => refused(shell, &error),
    }
}

fn deed(collector: &Collector, key: &Key) -> Deed {
    let href = format!("/collectors/{}", collector.id);
    Deed {
        what: "key-revoke",
        to: if key.display_name.is_empty() { key.id.to_string() } else { key.display_name.clone() },
        action: format!("{href}/keys/{}/revoke", key.id),
        back: (href, collector.display_name.clone()),
    }
}

/// Revokes a key, once the word was typed.
pub(in crate::web::console) async fn revoke_key(
    State(broker): State<Broker>,
    visit: Visit,
    Path((id, key)): Path<(String, String)>,
    Form(form): Form<WordForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Collectors);
    let (shell, collector) = match found(&broker, &visit, shell, &id) {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    let key = match key_of(&broker, &collector, &key) {
        Ok(key) => key,
        Err(error) => return refused(shell, &error),
    };
    if !form.confirms(&shell, "key-revoke") && visit.may(&broker, Action::ChangeCollectors) {
        return ask_to_type(shell, deed(&collector, &key), true);
    }
    match broker.revoke_key(&visit.caller(), key.id, "").await {
        Ok(_) => Redirect::to(&format!("/collectors/{}?done=key-revoked", collector.id)).into_response(),
        Err(error) => refused(shell, &error),
    }
}
