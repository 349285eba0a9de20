//! `token-broker destination`.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::names::short;
use super::options::{Paging, update_mask};
use super::secrets::SecretSource;
use super::session::{Page, Session, part};
use super::table::Column;
use super::words::{word_of, word_parser, words_of};
use crate::grpc::pb;
use crate::grpc::pb::notice_service_client::NoticeServiceClient;

/// What to do with destinations.
#[derive(Subcommand)]
pub enum DestinationCommand {
    /// Create a destination of a team: a mail address, a chat, a signed webhook.
    #[command(
        after_help = "Example:\n  token-broker destination create slack --target-from slack.url --display-name Operations --team acme"
    )]
    Create {
        /// What it is.
        #[arg(value_parser = word_parser::<pb::DestinationKind>())]
        kind: pb::DestinationKind,
        #[command(flatten)]
        fields: Fields,
    },
    /// List the destinations of a team.
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one destination. What may be secret of its target is never shown.
    Show {
        /// The destination's id, `dst_…`.
        destination: String,
    },
    /// Change a destination.
    Update {
        /// The destination's id, `dst_…`.
        destination: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete a destination; what waits for it is dropped.
    Delete {
        /// The destination's id, `dst_…`.
        destination: String,
    },
    /// Send a test message, and wait for what comes of it.
    Test {
        /// The destination's id, `dst_…`.
        destination: String,
    },
}

/// What can be said about a destination.
#[derive(Args)]
pub struct Fields {
    /// A name for people.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Where the mail address or the https URL is read from: '-', 'env:NAME' or a file. URLs of chats are secrets.
    #[arg(long, value_name = "SOURCE")]
    target_from: Option<SecretSource>,
    /// Where the signing secret of a webhook is read from (whsec_…); twice while it changes.
    #[arg(long, value_name = "SOURCE")]
    signing_secret_from: Vec<SecretSource>,
    /// What it hears of. May stand several times. Default: everything but new connections.
    #[arg(long = "notice-kind", value_name = "KIND", value_parser = word_parser::<pb::NoticeKind>())]
    kinds: Vec<pb::NoticeKind>,
}

impl Fields {
    fn mask(&self) -> Result<prost_types::FieldMask, Failure> {
        let fields = [
            ("display_name", self.display_name.is_some()),
            ("target", self.target_from.is_some()),
            ("signing_secrets", !self.signing_secret_from.is_empty()),
            ("kinds", !self.kinds.is_empty()),
        ];
        update_mask(&fields, &[])
    }

    fn read(self, name: String, kind: i32) -> Result<pb::Destination, Failure> {
        let target = self.target_from.map(|source| source.read("the target")).transpose()?;
        let secret = |source: SecretSource| Ok(source.read("the signing secret")?.expose().to_owned());
        Ok(pb::Destination {
            name,
            kind,
            display_name: self.display_name.unwrap_or_default(),
            target: target.map(|target| target.expose().to_owned()).unwrap_or_default(),
            signing_secrets: self.signing_secret_from.into_iter().map(secret).collect::<Result<_, Failure>>()?,
            kinds: self.kinds.into_iter().map(i32::from).collect(),
            ..pb::Destination::default()
        })
    }
}

const COLUMNS: &[Column<pb::Destination>] = &[
    Column::text("DESTINATION", |destination, _| short(&destination.name).into()),
    Column::text("KIND", |destination, _| word_of::<pb::DestinationKind>(destination.kind).into()),
    Column::text("TARGET", |destination, _| destination.shown_target.as_str().into()),
    Column::minor_text("NAME", |destination, _| destination.display_name.as_str().into()),
    Column::minor_text("SECRETS", |destination, _| kept(destination).into()),
    Column::minor_text("KINDS", |destination, _| destination.kinds.len().to_string().into()),
    Column::minor_text("ADDED", |destination, view| view.time(destination.create_time.as_ref())),
];

/// Whether its target and its signing secrets open.
const fn kept(destination: &pb::Destination) -> &'static str {
    if destination.damaged { "damaged: set the target and the secrets anew" } else { "kept" }
}

const FIELDS: &[Column<pb::Destination>] = &[
    Column::text("destination", |destination, _| short(&destination.name).into()),
    Column::text("kind", |destination, _| word_of::<pb::DestinationKind>(destination.kind).into()),
    Column::text("target", |destination, _| destination.shown_target.as_str().into()),
    Column::text("name", |destination, _| destination.display_name.as_str().into()),
    Column::text("hears of", |destination, _| words_of::<pb::NoticeKind>(&destination.kinds).into()),
    Column::text("added", |destination, view| view.time(destination.create_time.as_ref())),
    Column::text("stored secrets", |destination, _| kept(destination).into()),
    Column::text("gone since", |destination, view| view.time(destination.gone_time.as_ref())),
];

/// Carries a command out.
pub async fn run(command: DestinationCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = NoticeServiceClient::new(session.client());
    let destination = match command {
        DestinationCommand::Create { kind, fields } => {
            let parent = session.team().await?;
            let destination = Some(fields.read(String::new(), kind.into())?);
            let request = pb::CreateDestinationRequest { parent, destination, request_id: session.request_id() };
            part(client.create_destination(session.request(request)).await?, |answer| answer.destination)?
        }
        DestinationCommand::List { paging } => return list(session, &paging).await,
        DestinationCommand::Show { destination } => {
            let request = pb::GetDestinationRequest { name: session.in_team("destinations", &destination).await? };
            part(client.get_destination(session.request(request)).await?, |answer| answer.destination)?
        }
        DestinationCommand::Update { destination, fields } => {
            let update_mask = Some(fields.mask()?);
            let name = session.in_team("destinations", &destination).await?;
            let destination = Some(fields.read(name, 0)?);
            let request = pb::UpdateDestinationRequest { destination, update_mask, request_id: session.request_id() };
            part(client.update_destination(session.request(request)).await?, |answer| answer.destination)?
        }
        DestinationCommand::Delete { destination } => {
            let name = session.in_team("destinations", &destination).await?;
            let request = pb::DeleteDestinationRequest { name, request_id: session.request_id() };
            part(client.delete_destination(session.request(request)).await?, |answer| answer.destination)?
        }
        DestinationCommand::Test { destination } => {
            let name = session.in_team("destinations", &destination).await?;
            let request = pb::SendTestNoticeRequest { name, request_id: session.request_id() };
            client.send_test_notice(session.request(request)).await?;
            return session.terminal.say("The test message was taken.");
        }
    };
    session.terminal.record(&destination, FIELDS)
}

async fn list(session: &mut Session, paging: &Paging) -> Result<(), Failure> {
    let parent = session.team().await?;
    let client = NoticeServiceClient::new(session.client());
    let fetch = async |page_size, page_token| {
        let request = pb::ListDestinationsRequest { parent: parent.clone(), page_size, page_token };
        let answer = client.clone().list_destinations(request).await?.into_inner();
        Ok(Page { items: answer.destinations, next: answer.next_page_token })
    };
    let empty = "there are no destinations; create one with `token-broker destination create`";
    session.list(COLUMNS, paging, empty, fetch).await
}
