//! `token-broker apps`.

use clap::Subcommand;

use super::failure::Failure;
use super::names::{short, top};
use super::options::{Paging, parse_fact, update_mask};
use super::secrets::SecretSource;
use super::session::{Page, Session, part};
use super::table::Column;
use super::token::facts;
use crate::grpc::pb;
use crate::grpc::pb::network_service_client::NetworkServiceClient;

/// What to do with apps.
#[derive(Subcommand)]
pub enum AppsCommand {
    /// List the apps.
    List {
        #[command(flatten)]
        paging: Paging,
        /// Only this network's.
        #[arg(long, default_value = "-", hide_default_value = true)]
        network: String,
    },
    /// Show one app with its budgets.
    Show {
        /// The app, as NETWORK/APP.
        app: String,
    },
    /// Create a further app at a network; every network has the app 'default' already.
    #[command(
        after_help = "Example:\n  token-broker apps create x/acme --for-team acme --client-id 1234 --client-secret-from app.secret"
    )]
    Create {
        /// The app, as NETWORK/APP.
        app: String,
        /// The team that alone may use it, for good; its people connect accounts by it. Without it every team may.
        #[arg(long, value_name = "TEAM")]
        for_team: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Change an app. Limits that are worked out from a fact follow at once.
    #[command(
        after_help = "Example:\n  token-broker apps update facebook/default --client-id 1234 --client-secret-from app.secret --fact app_users=4000\n  \
        token-broker apps update bluesky/default --generate-key"
    )]
    Update {
        /// The app, as NETWORK/APP.
        app: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete an app that no token uses any more; 'default' stays.
    Delete {
        /// The app, as NETWORK/APP.
        app: String,
    },
    /// Add units to a budget that is paid in advance; negative ones are taken back.
    #[command(after_help = "Example:\n  token-broker apps top-up x/default --class posts --units 10000")]
    TopUp {
        /// The app, as NETWORK/APP.
        app: String,
        /// The credit class.
        #[arg(long)]
        class: String,
        /// Units to add.
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse_units)]
        units: i64,
    },
}

/// What can be said about an app.
#[derive(clap::Args)]
pub struct Fields {
    /// A name for people.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// The client id at the network.
    #[arg(long, value_name = "TEXT")]
    client_id: Option<String>,
    /// Where the client secret at the network is read from: '-' for stdin, 'env:NAME', or a file. It is never shown again.
    #[arg(long, value_name = "SOURCE")]
    client_secret_from: Option<SecretSource>,
    /// Make a new key in the broker, at networks whose apps show who they are by one (bluesky). It never leaves; the app's client id, unless it has
    /// one, is the address at which the network reads the public half. Tokens that were granted with another key end.
    #[arg(long, conflicts_with = "client_secret_from")]
    generate_key: bool,
    /// A number from which the network works limits out; may be repeated.
    #[arg(long = "fact", value_name = "NAME=NUMBER", value_parser = parse_fact)]
    facts: Vec<(String, i64)>,
}

impl Fields {
    fn mask(&self) -> Result<prost_types::FieldMask, Failure> {
        let fields = [
            ("display_name", self.display_name.is_some()),
            ("client_id", self.client_id.is_some()),
            ("client_secret", self.client_secret_from.is_some()),
        ];
        match self.generate_key && self.facts.is_empty() && fields.iter().all(|(_, given)| !given) {
            true => Ok(prost_types::FieldMask::default()),
            false => update_mask(&fields, &self.facts),
        }
    }

    fn message(self, name: String) -> Result<pb::App, Failure> {
        let secret = self.client_secret_from.map(|source| source.read("the client secret")).transpose()?;
        Ok(pb::App {
            name,
            display_name: self.display_name.unwrap_or_default(),
            client_id: self.client_id.unwrap_or_default(),
            client_secret: secret.map(|secret| secret.expose().to_owned()).unwrap_or_default(),
            facts: self.facts.into_iter().collect(),
            ..pb::App::default()
        })
    }
}

const COLUMNS: &[Column<pb::App>] = &[
    Column::text("APP", |app, _| short_app(&app.name).into()),
    Column::minor_text("NAME", |app, _| app.display_name.as_str().into()),
    Column::text("TEAM", |app, _| short(&app.team).into()),
    Column::minor_text("CLIENT ID", |app, _| app.client_id.as_str().into()),
    Column::minor_text("SECRET", |app, _| secret(app).into()),
    Column::number("TOKENS", |app, _| app.tokens.into()),
    Column::minor_text("FACTS", |app, _| facts(&app.facts).into()),
];

fn secret(app: &pb::App) -> &'static str {
    match (app.has_client_secret, app.client_secret_damaged) {
        (_, true) => "damaged: set it anew",
        (true, false) => "kept",
        (false, false) => "none",
    }
}

const BUDGETS: &[Column<pb::Budget>] = &[
    Column::text("CLASS", |budget, _| budget.credit_class.as_str().into()),
    Column::number("LEFT", |budget, _| budget.left.into()),
    Column::number("TOTAL", |budget, _| budget.total.into()),
    Column::text("TOPPED UP", |budget, view| view.time(budget.top_up_time.as_ref())),
];

fn parse_units(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a whole number that is not 0, such as 10000".to_owned()),
        Ok(units) => Ok(units),
    }
}

/// `x/default` for `networks/x/apps/default`.
fn short_app(name: &str) -> String {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        ["networks", network, "apps", app] => format!("{network}/{app}"),
        _ => name.to_owned(),
    }
}

/// `networks/x/apps/default` for `x/default`.
fn whole_name(text: &str) -> Result<String, Failure> {
    match text.split('/').collect::<Vec<_>>().as_slice() {
        ["networks", _, "apps", _] => Ok(text.to_owned()),
        [network, app] if !network.is_empty() && !app.is_empty() => Ok(format!("networks/{network}/apps/{app}")),
        _ => Err(not_an_app(text)),
    }
}

fn not_an_app(text: &str) -> Failure {
    Failure::Usage(format!("'{text}' is not an app; write NETWORK/APP, such as x/default"))
}

/// Carries a command out.
pub async fn run(command: AppsCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = NetworkServiceClient::new(session.client());
    let app = match command {
        AppsCommand::List { paging, network } => return list(session, &paging, &network).await,
        AppsCommand::Delete { app } => return delete(session, &app).await,
        AppsCommand::TopUp { app, class, units } => return top_up(session, &app, class, units).await,
        AppsCommand::Show { app } => {
            let request = pb::GetAppRequest { name: whole_name(&app)? };
            part(client.get_app(session.request(request)).await?, |answer| answer.app)?
        }
        AppsCommand::Create { app, for_team, fields } => {
            let name = whole_name(&app)?;
            let Some((parent, app_id)) = name.split_once("/apps/") else { return Err(not_an_app(&app)) };
            let (parent, app_id) = (parent.to_owned(), app_id.to_owned());
            let generate_key = fields.generate_key;
            let team = for_team.map(|team| top("teams", &team)).unwrap_or_default();
            let app = Some(pb::App { team, ..fields.message(String::new())? });
            let request_id = session.request_id();
            let request = pb::CreateAppRequest { parent, app_id, app, request_id, generate_key };
            part(client.create_app(session.request(request)).await?, |answer| answer.app)?
        }
        AppsCommand::Update { app, fields } => {
            let (update_mask, generate_key) = (Some(fields.mask()?), fields.generate_key);
            let app = Some(fields.message(whole_name(&app)?)?);
            let request_id = session.request_id();
            let request = pb::UpdateAppRequest { app, update_mask, request_id, generate_key };
            part(client.update_app(session.request(request)).await?, |answer| answer.app)?
        }
    };
    session.terminal.record(&app, COLUMNS)?;
    session.terminal.section("Budgets", &app.budgets, BUDGETS)
}

async fn delete(session: &mut Session, app: &str) -> Result<(), Failure> {
    let request = pb::DeleteAppRequest { name: whole_name(app)?, request_id: session.request_id() };
    NetworkServiceClient::new(session.client()).delete_app(session.request(request)).await?;
    session.terminal.say(&format!("app {app} is deleted"))
}

async fn top_up(session: &mut Session, app: &str, class: String, units: i64) -> Result<(), Failure> {
    let name = whole_name(app)?;
    let request = pb::TopUpBudgetRequest { name, credit_class: class, units, request_id: session.request_id() };
    let answer = NetworkServiceClient::new(session.client()).top_up_budget(session.request(request)).await?;
    let budget = part(answer, |answer| answer.budget)?;
    session.terminal.record(&budget, BUDGETS)
}

async fn list(session: &mut Session, paging: &Paging, network: &str) -> Result<(), Failure> {
    let client = NetworkServiceClient::new(session.client());
    let parent = top("networks", network);
    let fetch = async |page_size, page_token| {
        let request = pb::ListAppsRequest { parent: parent.clone(), page_size, page_token };
        let answer = client.clone().list_apps(request).await?.into_inner();
        Ok(Page { items: answer.apps, next: answer.next_page_token })
    };
    session.list(COLUMNS, paging, "there are no apps", fetch).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_are_named_by_network_and_app() {
        assert_eq!(whole_name("x/default").expect("good"), "networks/x/apps/default");
        assert_eq!(whole_name("networks/x/apps/default").expect("good"), "networks/x/apps/default");
        assert_eq!(short_app("networks/x/apps/default"), "x/default");
        for bad in ["x", "x/", "/default", "a/b/c", ""] {
            assert!(whole_name(bad).is_err(), "{bad}");
        }
    }
}
