//! One collector: what it may ask for, its keys, and what it did lately.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::change::{CollectorForm, Fields};
use super::keys::KeyForm;
use super::{found, networks_of, purpose_name};
use crate::base::ids::{CollectorId, MemberId};
use crate::domain::member::Action;
use crate::domain::team::{Collector, Key};
use crate::service::Broker;
use crate::service::keys::KeyFilter;
use crate::web::console::refused::refused;
use crate::web::console::{Place, Shell, Visit, When};
use crate::web::page::shown;

/// Days that are summed up.
const DAYS: i32 = 7;
/// Keys that are shown, the newest ones.
const KEYS: usize = 100;

/// What the page's address says of the last action.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct Asked {
    done: String,
}

#[derive(Template)]
#[template(path = "console/collectors/show.html")]
struct CollectorPage {
    shell: Shell,
    id: CollectorId,
    name: String,
    disabled: bool,
    /// `None`: all.
    networks: Option<Vec<String>>,
    purposes: Vec<String>,
    most_leases: u64,
    leases: u64,
    made: When,
    days: u64,
    lately: Vec<Day>,
    /// Its keys, and what can be changed about it; `None`: the visitor may not.
    manage: Option<Manage>,
}

struct Manage {
    keys: Vec<KeyRow>,
    /// What stands in the form of a new key, and what is wrong with it.
    key: KeyForm,
    key_problem: Option<String>,
    fields: Fields,
    problem: Option<String>,
}

/// What is wrong with a form that was sent, which stands in the page as it was.
pub(super) enum Wrong {
    /// With what is changed of the collector.
    Change(CollectorForm, String),
    /// With a new key.
    Key(KeyForm, String),
}

struct KeyRow {
    id: String,
    name: String,
    made: When,
    made_by: String,
    ends: Option<When>,
    certificate: String,
}

struct Day {
    day: String,
    network: String,
    calls: u64,
    errors: u64,
    throttled: u64,
}

/// The page.
pub(in crate::web::console) async fn show(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Collectors).with_done(&asked.done, 1);
    match found(&broker, &visit, shell, &id) {
        Ok((shell, collector)) => page(&broker, &visit, shell, &collector, None).await,
        Err(answer) => *answer,
    }
}

/// The page of a collector.
pub(super) async fn page(
    broker: &Broker,
    visit: &Visit,
    shell: Shell,
    collector: &Collector,
    wrong: Option<Wrong>,
) -> Response {
    let lately = match broker.uses_by(collector.id, DAYS).await {
        Ok(days) => days,
        Err(error) => return refused(shell, &error),
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (mut form, mut problem) = (CollectorForm::from(collector), None);
    let (mut key, mut key_problem) = (KeyForm::default(), None);
    match wrong {
        None => {}
        Some(Wrong::Change(sent, wrong)) => (form, problem) = (sent, Some(wrong)),
        Some(Wrong::Key(sent, wrong)) => (key, key_problem) = (sent, Some(wrong)),
    }
    let manage = match visit.may(broker, Action::ChangeCollectors) {
        true => Some(Manage {
            keys: keys(broker, visit, &shell, collector).await,
            key,
            key_problem,
            fields: Fields::of(broker, &shell, &form),
            problem,
        }),
        false => None,
    };
    let network = |id: &str| broker.catalogue.name_for_people(id).to_owned();
    let lately = lately.into_iter().map(|day| Day {
        day: shell.day(day.day),
        network: network(day.network.as_str()),
        calls: day.calls,
        errors: day.errors,
        throttled: day.throttled,
    });
    let page = CollectorPage {
        id: collector.id,
        name: collector.display_name.clone(),
        disabled: collector.disabled,
        networks: networks_of(broker, collector),
        purposes: collector.scope.purposes.iter().map(|purpose| purpose_name(&shell, purpose)).collect(),
        most_leases: collector.scope.max_leases.into(),
        leases: broker.engine.leases_of(collector.id).into(),
        made: shell.when(collector.created_at),
        days: DAYS.unsigned_abs().into(),
        lately: lately.collect(),
        manage,
        shell,
    };
    shown(status, &page)
}

/// The keys of a collector that work.
async fn keys(broker: &Broker, visit: &Visit, shell: &Shell, collector: &Collector) -> Vec<KeyRow> {
    let filter = KeyFilter { collector: Some((visit.team().clone(), collector.id)), ..KeyFilter::default() };
    // The collector was found a moment ago; if it is gone by now, it has no keys.
    let keys = broker.list_keys(&filter, KEYS).map(|(keys, _)| keys).unwrap_or_default();
    let mut makers: BTreeMap<MemberId, String> = BTreeMap::new();
    for maker in keys.iter().filter_map(|key| key.made_by) {
        if !makers.contains_key(&maker)
            && let Ok(view) = broker.show_member(visit.team(), maker).await
        {
            makers.insert(maker, view.member.name_for_people().to_owned());
        }
    }
    let row = |key: &Key| KeyRow {
        id: key.id.to_string(),
        name: if key.display_name.is_empty() { key.id.to_string() } else { key.display_name.clone() },
        made: shell.when(key.created_at),
        made_by: match key.made_by {
            Some(maker) => makers.get(&maker).cloned().unwrap_or_else(|| maker.to_string()),
            None => shell.say("who-operator"),
        },
        ends: key.expires_at.map(|end| shell.when(end)),
        certificate: key.certificate().map(ToString::to_string).unwrap_or_default(),
    };
    keys.iter().map(|key| row(key)).collect()
}
