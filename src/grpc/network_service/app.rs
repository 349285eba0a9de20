//! Apps and their budgets on the wire.

use crate::base::ids::{AppId, NetworkId};
use crate::base::secret::Secret;
use crate::grpc::change::{Answer, answers};
use crate::grpc::convert::optional_timestamp;
use crate::grpc::fields::{NAME, check_text, child_in, count, facts, mask, name_in, required};
use crate::grpc::pb;
use crate::grpc::status::FieldMistakes;
use crate::service::Broker;
use crate::service::apps::{AppView, BudgetView, CreateApp, TopUpBudget, UpdateApp};

/// The longest client id, in characters.
const CLIENT_ID: usize = 256;
/// The longest client secret, in bytes.
const CLIENT_SECRET: usize = 4096;

/// The network and the app of a name such as `networks/x/apps/default`.
pub fn read_app_name(field: &str, name: &str, mistakes: &mut FieldMistakes) -> Option<(NetworkId, AppId)> {
    child_in(field, ["networks", "apps"], name, mistakes)
}

/// The network whose apps are meant; `None` within: all networks.
pub fn read_parent(parent: &str, mistakes: &mut FieldMistakes) -> Option<Option<NetworkId>> {
    match parent {
        "networks/-" => Some(None),
        named => name_in("parent", "networks", named, mistakes).map(Some),
    }
}

const ONE_OF_BOTH: &str = "takes the place of a client secret: give one of the two";

/// An app to make.
pub fn read_create(request: &pb::CreateAppRequest, mistakes: &mut FieldMistakes) -> Option<CreateApp> {
    let network = name_in("parent", "networks", &request.parent, mistakes);
    let id = mistakes.parse("app_id", &request.app_id);
    let app = request.app.clone().unwrap_or_default();
    let said = UpdateApp {
        display_name: Some(display_name(&app, mistakes)),
        client_id: Some(client_id(&app, mistakes)),
        client_secret: client_secret(&app, mistakes).map(Some),
        facts: Some(facts("app.facts", &app.facts, mistakes)),
        generate_key: request.generate_key,
        ..UpdateApp::default()
    };
    if said.generate_key && said.client_secret.is_some() {
        mistakes.note("generate_key", ONE_OF_BOTH);
    }
    let team = match app.team.as_str() {
        "" => Some(None),
        named => name_in("app.team", "teams", named, mistakes).map(Some),
    };
    Some(CreateApp { network: network?, id: id?, team: team?, said })
}

/// What to change, and about which app.
pub fn read_change(
    request: &pb::UpdateAppRequest,
    mistakes: &mut FieldMistakes,
) -> Option<(NetworkId, AppId, UpdateApp)> {
    let app = required("app", request.app.clone(), mistakes);
    let named = read_app_name("app.name", &app.name, mistakes);
    let known = ["display_name", "client_id", "client_secret", "facts"];
    let given = facts("app.facts", &app.facts, mistakes);
    let mut change = UpdateApp { generate_key: request.generate_key, ..UpdateApp::default() };
    let is_empty = request.update_mask.as_ref().is_none_or(|mask| mask.paths.is_empty());
    let paths = match request.generate_key && is_empty {
        true => Vec::new(),
        false => mask(request.update_mask.as_ref(), &known, &["facts"], mistakes),
    };
    for path in paths {
        match path.as_str() {
            "display_name" => change.display_name = Some(display_name(&app, mistakes)),
            "client_id" => change.client_id = Some(client_id(&app, mistakes)),
            "client_secret" => change.client_secret = Some(client_secret(&app, mistakes)),
            "facts" => change.facts = Some(given.clone()),
            path => {
                if let Some(fact) = path.strip_prefix("facts.") {
                    change.single_facts.insert(fact.to_owned(), given.get(fact).copied());
                }
            }
        }
    }
    if change.generate_key && change.client_secret.is_some() {
        mistakes.note("generate_key", ONE_OF_BOTH);
    }
    let (network, app) = named?;
    Some((network, app, change))
}

/// What to add to which budget.
pub fn read_top_up(request: &pb::TopUpBudgetRequest, mistakes: &mut FieldMistakes) -> Option<TopUpBudget> {
    if request.request_id.is_empty() {
        mistakes.note("request_id", "is required: a retry without it would add twice");
    }
    if request.units == 0 {
        mistakes.note("units", "must not be 0");
    }
    let (network, app) = read_app_name("name", &request.name, mistakes)?;
    Some(TopUpBudget { network, app, class: request.credit_class.clone(), units: request.units })
}

fn display_name(app: &pb::App, mistakes: &mut FieldMistakes) -> String {
    check_text("app.display_name", &app.display_name, NAME, mistakes);
    app.display_name.clone()
}

fn client_id(app: &pb::App, mistakes: &mut FieldMistakes) -> String {
    check_text("app.client_id", &app.client_id, CLIENT_ID, mistakes);
    app.client_id.clone()
}

fn client_secret(app: &pb::App, mistakes: &mut FieldMistakes) -> Option<Secret> {
    let secret = &app.client_secret;
    let is_pem = secret.starts_with("-----BEGIN ");
    let is_foreign = |c: char| match c {
        ' ' | '\n' | '\r' => !is_pem,
        c => c.is_control(),
    };
    if secret.len() > CLIENT_SECRET || secret.chars().any(is_foreign) {
        mistakes.note(
            "app.client_secret",
            "must have at most 4096 bytes, without spaces and line breaks unless it is a key in PEM",
        );
    }
    (!secret.is_empty()).then(|| Secret::new(secret.clone()))
}

/// An app, without its secret.
pub fn app_message(view: AppView) -> pb::App {
    let AppView { app, has_secret, secret_damaged, budgets, tokens } = view;
    pb::App {
        name: format!("networks/{}/apps/{}", app.network, app.id),
        display_name: app.display_name,
        client_id: app.client_id,
        client_secret: String::new(),
        has_client_secret: has_secret,
        client_secret_damaged: secret_damaged,
        facts: app.facts.into_iter().map(|(fact, value)| (fact, count(value))).collect(),
        budgets: budgets.into_iter().map(budget_message).collect(),
        tokens: count(tokens),
        create_time: optional_timestamp(app.created_at),
        team: app.team.map(|team| format!("teams/{team}")).unwrap_or_default(),
    }
}

/// A budget.
pub fn budget_message(budget: BudgetView) -> pb::Budget {
    pb::Budget {
        credit_class: budget.class.to_string(),
        total: count(budget.total),
        left: count(budget.left),
        top_up_time: optional_timestamp(budget.topped_up_at),
    }
}

answers! {
    CreateAppResponse { app } = |_, app| app_message(app.clone()), of AppView;
    UpdateAppResponse { app } = |_, app| app_message(app.clone()), of AppView;
    TopUpBudgetResponse { budget } = |_, budget| budget_message(budget.clone()), of BudgetView;
}

impl Answer<()> for pb::DeleteAppResponse {
    fn of(_: &Broker, (): &()) -> Self {
        Self {}
    }
}
