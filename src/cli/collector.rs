//! `token-broker collector`.

use clap::Subcommand;

use super::failure::Failure;
use super::key::{self, KeyFields};
use super::names::{short, team_of, top};
use super::options::{Comment, Paging, update_mask};
use super::session::{Page, Session, part};
use super::table::{Cell, Column, Tone};
use super::terminal::{Format, json_of};
use super::words::{word_parser, words_of};
use crate::grpc::pb;
use crate::grpc::pb::key_service_client::KeyServiceClient;
use crate::grpc::pb::team_service_client::TeamServiceClient;

/// What to do with collectors.
#[derive(Subcommand)]
pub enum CollectorCommand {
    /// Create a collector with a key, and print the key, this once.
    #[command(
        after_help = "Example:\n  token-broker collector create crawler --team acme --network x --network youtube \\\n      \
        --purpose collect_content --purpose collect_statistics"
    )]
    Create {
        /// A name for people, unique in the team.
        display_name: String,
        #[command(flatten)]
        fields: Fields,
        /// Don't make a key: it authenticates with a certificate, or gets its key later.
        #[arg(long)]
        no_key: bool,
    },
    /// List the collectors of a team.
    List(Paging),
    /// Show one collector.
    Show {
        /// Its name or id.
        collector: String,
    },
    /// Change what a collector may do. Lists that are given replace those it has.
    #[command(after_help = "Example:\n  token-broker collector update crawler --max-leases 500")]
    Update {
        /// Its name or id.
        collector: String,
        /// Another name for people.
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Stop a collector at once: its leases are recalled.
    Disable {
        /// Its name or id.
        collector: String,
        #[command(flatten)]
        comment: Comment,
    },
    /// Let a disabled collector work again.
    Enable {
        /// Its name or id.
        collector: String,
        #[command(flatten)]
        comment: Comment,
    },
    /// Delete a collector and revoke its keys.
    Delete {
        /// Its name or id.
        collector: String,
        /// Also recall the leases that it holds.
        #[arg(long)]
        force: bool,
    },
    /// The keys of a collector.
    #[command(subcommand)]
    Key(CollectorKeyCommand),
}

/// What to do with the keys of a collector.
#[derive(Subcommand)]
pub enum CollectorKeyCommand {
    /// Create a further key and print it, this once.
    Create {
        /// The collector's name or id.
        collector: String,
        #[command(flatten)]
        fields: KeyFields,
    },
    /// List the keys of a collector.
    List {
        /// The collector's name or id.
        collector: String,
        #[command(flatten)]
        paging: Paging,
        /// Also keys that were revoked or have ended.
        #[arg(long)]
        all: bool,
    },
    /// End a key at once.
    Revoke {
        /// The key's id, `key_…`.
        name: String,
        #[command(flatten)]
        comment: Comment,
    },
}

/// What can be said about a collector.
#[derive(clap::Args)]
pub struct Fields {
    /// A network that it may use; may be repeated; '-' for all. None: it may use none.
    #[arg(long = "network", value_name = "NETWORK")]
    networks: Vec<String>,
    /// A purpose that it may use tokens for; may be repeated. None: it may use them for none.
    #[arg(long = "purpose", value_name = "PURPOSE", value_parser = word_parser::<pb::Purpose>())]
    purposes: Vec<pb::Purpose>,
    /// How many leases it may hold at once: 1 to 100,000. Default: the broker's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=100_000), allow_negative_numbers = true)]
    max_leases: Option<i32>,
    /// Its share of the team's credit, against the team's other collectors: 1 to 1000. Default: 100.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1000), allow_negative_numbers = true)]
    weight: Option<i32>,
    /// A DNS name or URI in the certificate that it may authenticate with; may be repeated.
    #[arg(long = "certificate-name", value_name = "NAME")]
    certificate_names: Vec<String>,
}

impl Fields {
    fn mask(&self, renames: bool) -> Result<prost_types::FieldMask, Failure> {
        let fields = [
            ("display_name", renames),
            ("networks", !self.networks.is_empty()),
            ("purposes", !self.purposes.is_empty()),
            ("max_concurrent_leases", self.max_leases.is_some()),
            ("weight", self.weight.is_some()),
            ("certificate_names", !self.certificate_names.is_empty()),
        ];
        update_mask(&fields, &[])
    }

    fn into_collector(self, name: String, display_name: String) -> pb::Collector {
        pb::Collector {
            name,
            display_name,
            networks: self.networks.iter().map(|network| top("networks", network)).collect(),
            purposes: self.purposes.into_iter().map(i32::from).collect(),
            max_concurrent_leases: self.max_leases.unwrap_or_default(),
            weight: self.weight.unwrap_or_default(),
            certificate_names: self.certificate_names,
            ..pb::Collector::default()
        }
    }
}

const COLUMNS: &[Column<pb::Collector>] = &[
    Column::text("COLLECTOR", |collector, _| short(&collector.name).into()),
    Column::minor_text("TEAM", |collector, _| short(team_of(&collector.name)).into()),
    Column::text("NAME", |collector, _| collector.display_name.as_str().into()),
    Column::text("STATE", state),
    Column::text("NETWORKS", networks),
    Column::minor_text("PURPOSES", |collector, _| words_of::<pb::Purpose>(&collector.purposes).into()),
    Column::number("LEASES", |collector, _| collector.active_leases.into()),
    Column::minor_number("MOST LEASES", |collector, _| collector.max_concurrent_leases.into()),
    Column::minor_number("WEIGHT", |collector, _| collector.weight.into()),
    Column::minor_text("CERTIFICATES", |collector, _| collector.certificate_names.join(", ").into()),
];

fn state(collector: &pb::Collector, _: super::table::View) -> Cell {
    if collector.disabled { Cell::toned("disabled", Tone::Bad) } else { Cell::toned("enabled", Tone::Good) }
}

fn networks(collector: &pb::Collector, _: super::table::View) -> Cell {
    let names: Vec<_> =
        collector.networks.iter().map(|name| if name == "networks/-" { "all" } else { short(name) }).collect();
    names.join(", ").into()
}

/// Carries a command out.
pub async fn run(command: CollectorCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = TeamServiceClient::new(session.client());
    let collector = match command {
        CollectorCommand::Create { display_name, fields, no_key } => {
            return create(session, display_name, fields, no_key).await;
        }
        CollectorCommand::List(paging) => return list(session, &paging).await,
        CollectorCommand::Delete { collector, force } => return delete(session, &collector, force).await,
        CollectorCommand::Key(command) => return run_key(command, session).await,
        CollectorCommand::Show { collector } => find(session, &collector).await?,
        CollectorCommand::Update { collector, display_name, fields } => {
            let update_mask = Some(fields.mask(display_name.is_some())?);
            let name = find_name(session, &collector).await?;
            let collector = Some(fields.into_collector(name, display_name.unwrap_or_default()));
            let request = pb::UpdateCollectorRequest { collector, update_mask, request_id: session.request_id() };
            part(client.update_collector(session.request(request)).await?, |answer| answer.collector)?
        }
        CollectorCommand::Disable { collector, comment: Comment { comment } } => {
            let name = find_name(session, &collector).await?;
            let request = pb::DisableCollectorRequest { name, comment, request_id: session.request_id() };
            part(client.disable_collector(session.request(request)).await?, |answer| answer.collector)?
        }
        CollectorCommand::Enable { collector, comment: Comment { comment } } => {
            let name = find_name(session, &collector).await?;
            let request = pb::EnableCollectorRequest { name, comment, request_id: session.request_id() };
            part(client.enable_collector(session.request(request)).await?, |answer| answer.collector)?
        }
    };
    session.terminal.record(&collector, COLUMNS)
}

/// Makes the collector, then its key. If the key fails the collector stays, and the error says how to make the key.
async fn create(session: &mut Session, display_name: String, fields: Fields, no_key: bool) -> Result<(), Failure> {
    let parent = session.team().await?;
    let collector = Some(fields.into_collector(String::new(), display_name));
    let request = pb::CreateCollectorRequest { parent, collector, request_id: session.request_id() };
    let answer = TeamServiceClient::new(session.client()).create_collector(session.request(request)).await?;
    let collector = part(answer, |answer| answer.collector)?;
    if no_key {
        return session.terminal.record(&collector, COLUMNS);
    }
    let secret = match first_key(session, &collector.name).await {
        Ok(secret) => secret,
        Err(failure) => {
            let again = format!(
                "the collector was made, its key was not: `token-broker collector key create {}`",
                collector.name
            );
            session.terminal.notice(&again);
            return Err(failure);
        }
    };
    if session.terminal.format == Format::Table {
        session.terminal.fields(&collector, COLUMNS)?;
        return key::show_value(session, &secret);
    }
    let value = serde_json::json!({"collector": json_of(&collector)?, "secret": secret});
    session.terminal.json(&value)
}

async fn first_key(session: &Session, collector: &str) -> Result<String, Failure> {
    let key = pb::Key { role: pb::KeyRole::Collector.into(), collector: collector.to_owned(), ..pb::Key::default() };
    let request_id = format!("{}.key", session.request_id());
    let request = pb::CreateKeyRequest { key: Some(key), request_id };
    let answer = KeyServiceClient::new(session.client()).create_key(session.request(request)).await?;
    Ok(answer.into_inner().secret)
}

async fn list(session: &mut Session, paging: &Paging) -> Result<(), Failure> {
    let client = TeamServiceClient::new(session.client());
    let parent = session.team().await?;
    let fetch = async |page_size, page_token| {
        let request = pb::ListCollectorsRequest { parent: parent.clone(), page_size, page_token };
        let answer = client.clone().list_collectors(request).await?.into_inner();
        Ok(Page { items: answer.collectors, next: answer.next_page_token })
    };
    session.list(COLUMNS, paging, "there are no collectors; make one with `token-broker collector create`", fetch).await
}

async fn delete(session: &mut Session, collector: &str, force: bool) -> Result<(), Failure> {
    let name = find_name(session, collector).await?;
    let request = pb::DeleteCollectorRequest { name, force, request_id: session.request_id() };
    TeamServiceClient::new(session.client()).delete_collector(session.request(request)).await?;
    session.terminal.say(&format!("collector {} is deleted", short(collector)))
}

async fn run_key(command: CollectorKeyCommand, session: &mut Session) -> Result<(), Failure> {
    match command {
        CollectorKeyCommand::Create { collector, fields } => {
            let collector = find_name(session, &collector).await?;
            let key = pb::Key { role: pb::KeyRole::Collector.into(), collector, ..pb::Key::default() };
            key::create(session, key, fields).await
        }
        CollectorKeyCommand::List { collector, paging, all } => {
            let collector = find_name(session, &collector).await?;
            key::list(session, &paging, collector, None, all).await
        }
        CollectorKeyCommand::Revoke { name, comment } => key::revoke(session, &name, comment).await,
    }
}

/// The whole name of a collector that was given by its whole name, its id or its name for people.
async fn find_name(session: &Session, text: &str) -> Result<String, Failure> {
    if text.contains('/') || text.starts_with("col_") {
        return session.in_team("collectors", text).await;
    }
    Ok(find_by_display_name(session, text).await?.name)
}

async fn find(session: &Session, text: &str) -> Result<pb::Collector, Failure> {
    if !text.contains('/') && !text.starts_with("col_") {
        return find_by_display_name(session, text).await;
    }
    let request = pb::GetCollectorRequest { name: session.in_team("collectors", text).await? };
    let answer = TeamServiceClient::new(session.client()).get_collector(session.request(request)).await?;
    part(answer, |answer| answer.collector)
}

async fn find_by_display_name(session: &Session, text: &str) -> Result<pb::Collector, Failure> {
    let mut client = TeamServiceClient::new(session.client());
    let mut request =
        pb::ListCollectorsRequest { parent: session.team().await?, page_size: 1000, page_token: String::new() };
    loop {
        let answer = client.list_collectors(session.request(request.clone())).await?.into_inner();
        if let Some(found) = answer.collectors.into_iter().find(|collector| collector.display_name == text) {
            return Ok(found);
        }
        if answer.next_page_token.is_empty() {
            let message = format!("there is no collector named '{text}'; see `token-broker collector list`");
            return Err(tonic::Status::not_found(message).into());
        }
        request.page_token = answer.next_page_token;
    }
}
