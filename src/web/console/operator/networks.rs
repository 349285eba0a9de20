//! Networks, and our apps there: what each is known by, what it pays in advance, how many tokens it has.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::base::ids::{AppId, NetworkId, TeamId};
use crate::base::secret::Secret;
use crate::domain::networks::Network;
use crate::service::Broker;
use crate::service::apps::{AppError, AppView, BudgetView, CreateApp, UpdateApp, default_app};
use crate::web::assets;
use crate::web::console::refused::{Refusal, refused};
use crate::web::console::tokens::grouped;
use crate::web::console::typed::WordForm;
use crate::web::console::{AdminVisit, OperatorVisit, Place, Shell, When};
use crate::web::page::shown;

/// Apps that a page shows.
const APPS: usize = 1_000;
/// The longest client id and name, in characters.
const LONGEST: usize = 256;
/// The longest client secret, in bytes.
const LONGEST_SECRET: usize = 4_096;

#[derive(Template)]
#[template(path = "console/operator/networks.html")]
struct NetworksPage {
    shell: Shell,
    rows: Vec<NetworkRow>,
}

/// A network.
struct NetworkRow {
    id: String,
    name: String,
    mark: Option<String>,
    letter: char,
    apps: usize,
    /// People can connect: what the network asks of us is known, of the app through which accounts are connected.
    ready: bool,
    /// It is known of another app only, by which nobody can connect.
    ready_elsewhere: bool,
    tokens: String,
}

/// Whether the network is told who asks by an app.
fn is_known(view: &AppView) -> bool {
    !view.app.client_id.is_empty() && view.has_secret && !view.secret_damaged
}

impl NetworkRow {
    fn of(network: &Network, apps: &[AppView]) -> Self {
        let own: Vec<_> = apps.iter().filter(|view| view.app.network == network.id).collect();
        Self {
            id: network.id.to_string(),
            name: network.display_name.clone(),
            mark: assets::mark(network.id.as_str()),
            letter: network.display_name.chars().next().unwrap_or('?'),
            apps: own.len(),
            ready: own.iter().any(|view| view.app.id == default_app() && is_known(view)),
            ready_elsewhere: own.iter().any(|view| view.app.id != default_app() && is_known(view)),
            tokens: grouped(own.iter().map(|view| view.tokens as u64).sum()),
        }
    }
}

/// All networks.
pub(super) async fn list(State(broker): State<Broker>, visit: OperatorVisit) -> Response {
    let shell = visit.shell(&broker, Place::Networks);
    let apps = match broker.list_apps(None, None, APPS) {
        Ok((apps, _)) => apps,
        Err(error) => return refused(shell, &error),
    };
    let rows = broker.catalogue.iter().map(|network| NetworkRow::of(network, &apps)).collect();
    shown(StatusCode::OK, &NetworksPage { rows, shell })
}

/// What the page's address says of the last action.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    done: String,
}

#[derive(Template)]
#[template(path = "console/operator/network.html")]
struct NetworkPage {
    shell: Shell,
    is_admin: bool,
    network: NetworkRow,
    apps: Vec<AppRow>,
    /// The form of a new app.
    new: Fields,
    operations: Vec<(String, String)>,
}

/// What stands in the form of an app, and what is wrong with it; its secret never does.
#[derive(Default)]
struct Fields {
    /// The app that it changes; `None`: it adds one.
    app: Option<AppId>,
    id: String,
    team: String,
    name: String,
    client_id: String,
    problem: Option<String>,
}

/// An app.
struct AppRow {
    id: String,
    name: String,
    /// The team that alone may use it; empty: every team may.
    team: String,
    client_id: String,
    has_secret: bool,
    secret_damaged: bool,
    tokens: String,
    facts: Vec<(String, u64)>,
    budgets: Vec<Budget>,
    made: Option<When>,
    fields: Fields,
}

/// What an app pays in advance.
struct Budget {
    class: String,
    left: String,
    total: String,
    topped_up: Option<When>,
}

/// One network.
pub(super) async fn show(
    State(broker): State<Broker>,
    visit: OperatorVisit,
    Path(network): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Networks).with_done(&asked.done, 1);
    match network.parse() {
        Ok(network) => page(&broker, &visit, shell, &network, None),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The page of a network; `wrong`: the form that was sent, which stands in it again.
fn page(
    broker: &Broker,
    visit: &OperatorVisit,
    shell: Shell,
    network: &NetworkId,
    wrong: Option<(StatusCode, Fields)>,
) -> Response {
    let found = broker.network(network).map_err(AppError::from);
    let (network, apps) = match found.and_then(|of| Ok((of, broker.list_apps(Some(network), None, APPS)?.0))) {
        Ok(found) => found,
        Err(error) => return refused(shell, &error),
    };
    let (status, sent) = wrong.unwrap_or_default();
    let mut rows: Vec<AppRow> = apps.iter().map(|view| app_row(&shell, view)).collect();
    let changed = rows.iter_mut().find(|row| sent.app.as_ref().is_some_and(|app| row.id == app.as_str()));
    let new = match changed {
        Some(row) => {
            row.fields = sent;
            Fields::default()
        }
        None => sent,
    };
    let page = NetworkPage {
        is_admin: visit.is_admin(),
        apps: rows,
        new,
        operations: network
            .operations
            .iter()
            .map(|operation| (operation.id.to_string(), operation.about.clone()))
            .collect(),
        network: NetworkRow::of(&network, &apps),
        shell,
    };
    shown(status, &page)
}

fn app_row(shell: &Shell, view: &AppView) -> AppRow {
    let AppView { app, has_secret, secret_damaged, budgets, tokens } = view;
    let budget = |budget: &BudgetView| Budget {
        class: budget.class.to_string(),
        left: grouped(budget.left),
        total: grouped(budget.total),
        topped_up: budget.topped_up_at.map(|at| shell.when(at)),
    };
    AppRow {
        id: app.id.to_string(),
        name: app.display_name.clone(),
        team: app.team.as_ref().map(ToString::to_string).unwrap_or_default(),
        client_id: app.client_id.clone(),
        has_secret: *has_secret,
        secret_damaged: *secret_damaged,
        tokens: grouped(*tokens as u64),
        facts: app.facts.iter().map(|(fact, value)| (fact.clone(), *value)).collect(),
        budgets: budgets.iter().map(budget).collect(),
        made: app.created_at.map(|at| shell.when(at)),
        fields: Fields { name: app.display_name.clone(), client_id: app.client_id.clone(), ..Fields::default() },
    }
}

/// What is said of an app. It has no `Debug`: a secret may be in it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AppForm {
    id: String,
    team: String,
    name: String,
    client_id: String,
    secret: String,
    /// What is typed where another secret is replaced.
    #[serde(flatten)]
    word: WordForm,
}

impl AppForm {
    /// As it was sent, for the app that it changes (`None`: it adds one), without the secret.
    fn fields(&self, app: Option<AppId>) -> Fields {
        let Self { id, team, name, client_id, .. } = self;
        let [id, team, name, client_id] = [id, team, name, client_id].map(String::clone);
        Fields { app, id, team, name, client_id, problem: None }
    }

    /// Whether it would replace a secret without the word that confirms it: the one before is nowhere else, and can't be had back.
    fn replaces_unasked(&self, shell: &Shell, has_secret: bool) -> bool {
        has_secret && !self.secret.trim().is_empty() && !self.word.confirms(shell, "app-secret")
    }

    /// What to change: a secret that was left empty stays as it is.
    fn said(self, shell: &Shell) -> Result<UpdateApp, String> {
        let too_long = |text: &str| text.chars().count() > LONGEST || text.chars().any(char::is_control);
        if too_long(&self.name) || too_long(&self.client_id) {
            return Err(shell.say_of("app-wrong-text", "most", LONGEST as u64));
        }
        let secret = self.secret.trim();
        let is_pem = secret.starts_with("-----BEGIN ");
        let is_foreign = |c: char| c.is_control() && !(is_pem && matches!(c, '\n' | '\r')) || (c == ' ' && !is_pem);
        if secret.len() > LONGEST_SECRET || secret.chars().any(is_foreign) {
            return Err(shell.say("app-wrong-secret"));
        }
        Ok(UpdateApp {
            display_name: Some(self.name),
            client_id: Some(self.client_id),
            client_secret: (!secret.is_empty()).then(|| Some(Secret::new(secret.to_owned()))),
            ..UpdateApp::default()
        })
    }
}

/// Makes an app.
pub(super) async fn create_app(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Path(network): Path<String>,
    Form(form): Form<AppForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Networks);
    let Ok(network) = network.parse::<NetworkId>() else { return StatusCode::NOT_FOUND.into_response() };
    let fields = form.fields(None);
    let id = form.id.trim().parse::<AppId>().map_err(|_| shell.say("app-wrong-id"));
    let team = match form.team.trim() {
        "" => Ok(None),
        named => named.parse::<TeamId>().map(Some).map_err(|_| shell.say("app-wrong-team")),
    };
    let (id, team, said) = match id.and_then(|id| Ok((id, team?, form.said(&shell)?))) {
        Ok(said) => said,
        Err(wrong) => {
            let wrong = (StatusCode::UNPROCESSABLE_ENTITY, Fields { problem: Some(wrong), ..fields });
            return page(&broker, &visit, shell, &network, Some(wrong));
        }
    };
    let done = broker.create_app(&visit.caller(), CreateApp { network: network.clone(), id, team, said }).await;
    after(&broker, &visit, shell, (&network, fields), done)
}

/// Changes an app.
pub(super) async fn update_app(
    State(broker): State<Broker>,
    AdminVisit(visit): AdminVisit,
    Path((network, app)): Path<(String, String)>,
    Form(form): Form<AppForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Networks);
    let (Ok(network), Ok(app)) = (network.parse::<NetworkId>(), app.parse::<AppId>()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let before = match broker.app(&network, &app) {
        Ok(view) => view,
        Err(error) => return refused(shell, &error),
    };
    let fields = form.fields(Some(app.clone()));
    let said = match form.replaces_unasked(&shell, before.has_secret) {
        true => Err(shell.say_of("app-secret-unasked", "word", shell.say("deed-word-app-secret"))),
        false => form.said(&shell),
    };
    let said = match said {
        Ok(said) => said,
        Err(wrong) => {
            let wrong = (StatusCode::UNPROCESSABLE_ENTITY, Fields { problem: Some(wrong), ..fields });
            return page(&broker, &visit, shell, &network, Some(wrong));
        }
    };
    let done = broker.update_app(&visit.caller(), &network, &app, said).await;
    after(&broker, &visit, shell, (&network, fields), done)
}

/// The page after a change, or again with what was sent and what is wrong with it.
fn after(
    broker: &Broker,
    visit: &OperatorVisit,
    shell: Shell,
    (network, fields): (&NetworkId, Fields),
    done: Result<AppView, AppError>,
) -> Response {
    match done {
        Ok(_) => Redirect::to(&format!("/operator/networks/{network}?done=app-kept")).into_response(),
        Err(error) if error.status().is_client_error() && error.status() != StatusCode::NOT_FOUND => {
            let wrong = (error.status(), Fields { problem: Some(shell.tell(&error)), ..fields });
            page(broker, visit, shell, network, Some(wrong))
        }
        Err(error) => refused(shell, &error),
    }
}
