//! Collectors are made, changed, disabled and enabled.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::show::Wrong;
use super::{found, purpose_name};
use crate::base::ids::NetworkId;
use crate::domain::member::Action;
use crate::domain::networks::{Purpose, Purposes};
use crate::domain::team::{Collector, CollectorScope};
use crate::service::Broker;
use crate::service::collectors::{CollectorError, CreateCollector, DEFAULT_MAX_LEASES, UpdateCollector};
use crate::service::members::On;
use crate::web::console::filter::Choice;
use crate::web::console::refused::{Refusal, refused};
use crate::web::console::{Place, Shell, Visit};
use crate::web::page::shown;

/// The longest name, in characters.
const LONGEST_NAME: usize = 128;
/// The share of a collector, where nothing else is said.
const WEIGHT: u32 = 100;

/// What a form says of a collector.
#[derive(Debug, Default)]
pub(super) struct CollectorForm {
    pub(super) name: String,
    pub(super) networks: Vec<NetworkId>,
    pub(super) all_networks: bool,
    pub(super) purposes: Purposes,
}

#[derive(Template)]
#[template(path = "console/collectors/new.html")]
struct NewPage {
    shell: Shell,
    fields: Fields,
    problem: Option<String>,
}

/// The fields of a collector's form.
pub(super) struct Fields {
    pub(super) name: String,
    pub(super) all_networks: bool,
    pub(super) networks: Vec<Choice>,
    pub(super) purposes: Vec<Choice>,
}

impl CollectorForm {
    fn read(fields: &[(String, String)]) -> Self {
        let all = |wanted: &str| {
            let wanted = wanted.to_owned();
            fields.iter().filter(move |(name, _)| *name == wanted).map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        };
        let name: String = all("name").concat().chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
        Self {
            name: name.trim().to_owned(),
            networks: all("network").iter().filter_map(|id| id.parse().ok()).collect(),
            all_networks: !all("all_networks").is_empty(),
            purposes: all("purpose").iter().filter_map(|name| Purpose::from_name(name)).collect(),
        }
    }

    /// What is wrong with it, as the name of the words.
    fn problem(&self) -> Option<&'static str> {
        if self.name.is_empty() {
            Some("collector-no-name")
        } else if self.networks.is_empty() && !self.all_networks {
            Some("collector-no-network")
        } else if self.purposes.is_empty() {
            Some("collector-no-purpose")
        } else {
            None
        }
    }
}

impl From<&Collector> for CollectorForm {
    fn from(collector: &Collector) -> Self {
        let CollectorScope { networks, all_networks, purposes, .. } = collector.scope.clone();
        Self { name: collector.display_name.clone(), networks, all_networks, purposes }
    }
}

impl Fields {
    pub(super) fn of(broker: &Broker, shell: &Shell, form: &CollectorForm) -> Self {
        let networks = broker.catalogue.iter().map(|network| Choice {
            chosen: form.networks.contains(&network.id),
            value: network.id.to_string(),
            text: network.display_name.clone(),
        });
        let purposes = Purpose::ALL.into_iter().map(|purpose| Choice {
            chosen: form.purposes.contains(purpose),
            value: purpose.as_str().to_owned(),
            text: purpose_name(shell, purpose),
        });
        Self {
            name: form.name.clone(),
            all_networks: form.all_networks,
            networks: networks.collect(),
            purposes: purposes.collect(),
        }
    }
}

/// Asks what collector to make.
pub(in crate::web::console) async fn ask_for_collector(State(broker): State<Broker>, visit: Visit) -> Response {
    let shell = visit.shell(&broker, Place::Collectors);
    if let Err(error) = broker.must_permit(&visit.caller(), Action::ChangeCollectors, visit.team(), On::Team) {
        return refused(shell, &error);
    }
    ask(&broker, shell, &CollectorForm::default(), None)
}

fn ask(broker: &Broker, shell: Shell, form: &CollectorForm, problem: Option<(StatusCode, String)>) -> Response {
    let status = problem.as_ref().map_or(StatusCode::OK, |(status, _)| *status);
    let fields = Fields::of(broker, &shell, form);
    shown(status, &NewPage { fields, problem: problem.map(|(_, problem)| problem), shell })
}

/// Makes a collector.
pub(in crate::web::console) async fn create(
    State(broker): State<Broker>,
    visit: Visit,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let shell = visit.shell(&broker, Place::Collectors);
    let form = CollectorForm::read(&fields);
    if let Some(problem) = form.problem().filter(|_| visit.may(&broker, Action::ChangeCollectors)) {
        let problem = Some((StatusCode::UNPROCESSABLE_ENTITY, shell.say(problem)));
        return ask(&broker, shell, &form, problem);
    }
    let scope = CollectorScope {
        networks: form.networks.clone(),
        all_networks: form.all_networks,
        purposes: form.purposes,
        max_leases: DEFAULT_MAX_LEASES,
    };
    let made = CreateCollector {
        team: visit.team().clone(),
        display_name: form.name.clone(),
        scope,
        weight: WEIGHT,
        certificates: Vec::new(),
    };
    match broker.create_collector(&visit.caller(), made).await {
        Ok(made) => Redirect::to(&format!("/collectors/{}?done=collector-made", made.id)).into_response(),
        Err(error @ (CollectorError::Exists(_) | CollectorError::UnknownNetwork(_))) => {
            let problem = Some((error.status(), shell.tell(&error)));
            ask(&broker, shell, &form, problem)
        }
        Err(error) => refused(shell, &error),
    }
}

/// Changes a collector's name and what it may ask for.
pub(in crate::web::console) async fn update(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let shell = visit.shell(&broker, Place::Collectors);
    let (shell, collector) = match found(&broker, &visit, shell, &id) {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    let form = CollectorForm::read(&fields);
    if let Some(problem) = form.problem().filter(|_| visit.may(&broker, Action::ChangeCollectors)) {
        let wrong = Wrong::Change(form, shell.say(problem));
        return super::show::page(&broker, &visit, shell, &collector, Some(wrong)).await;
    }
    let change = UpdateCollector {
        display_name: Some(form.name.clone()),
        networks: Some((form.networks.clone(), form.all_networks)),
        purposes: Some(form.purposes),
        ..UpdateCollector::default()
    };
    match broker.update_collector(&visit.caller(), visit.team(), collector.id, change).await {
        Ok(made) => Redirect::to(&format!("/collectors/{}?done=collector-changed", made.id)).into_response(),
        Err(error @ (CollectorError::Exists(_) | CollectorError::UnknownNetwork(_))) => {
            let wrong = Wrong::Change(form, shell.tell(&error));
            super::show::page(&broker, &visit, shell, &collector, Some(wrong)).await
        }
        Err(error) => refused(shell, &error),
    }
}

/// Stops a collector at once.
pub(in crate::web::console) async fn disable(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    switch(&broker, &visit, &id, true).await
}

/// Lets a collector work again.
pub(in crate::web::console) async fn enable(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    switch(&broker, &visit, &id, false).await
}

async fn switch(broker: &Broker, visit: &Visit, id: &str, off: bool) -> Response {
    let shell = visit.shell(broker, Place::Collectors);
    let (shell, collector) = match found(broker, visit, shell, id) {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    let (caller, team, id) = (visit.caller(), visit.team(), collector.id);
    let (done, switched) = match off {
        true => ("collector-disabled", broker.disable_collector(&caller, team, id, "").await),
        false => ("collector-enabled", broker.enable_collector(&caller, team, id, "").await),
    };
    match switched {
        Ok(_) => Redirect::to(&format!("/collectors/{id}?done={done}")).into_response(),
        Err(error) => refused(shell, &error),
    }
}
