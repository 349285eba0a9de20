//! `token-broker connection`.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::names::{short, team_of, top, under};
use super::options::Paging;
use super::session::{Page, Session, part};
use super::table::{Cell, Column, Tone, View};
use super::words::{word_of, word_parser, words_of};
use crate::grpc::pb;
use crate::grpc::pb::connection_service_client::ConnectionServiceClient;

/// What to do with connections.
#[derive(Subcommand)]
pub enum ConnectionCommand {
    /// Start to connect an account: prints a link, once, for whoever can give consent at the network.
    #[command(
        after_help = "Examples:\n  token-broker connection start --network x --kind user --purpose collect_content --member ann@example.com\n  \
        token-broker connection start --token tok_0192…          # heal a token that has died"
    )]
    Start(StartArgs),
    /// Show one connection, with the profiles that can be chosen.
    Show {
        /// The connection's id, `con_…`.
        connection: String,
    },
    /// List the connections of a team, the newest first.
    List {
        #[command(flatten)]
        paging: Paging,
        /// Only those at this stage.
        #[arg(long, value_parser = word_parser::<pb::ConnectionStage>())]
        stage: Option<pb::ConnectionStage>,
    },
    /// Say which profiles are meant, and take their tokens into the team's pool; the person in the browser can do it, too.
    Complete {
        /// The connection's id, `con_…`.
        connection: String,
        /// A profile, by its id at the network; may be repeated.
        #[arg(long = "profile", value_name = "ID")]
        profiles: Vec<String>,
        /// The consent text that the person agreed to, as `connection show` tells it.
        #[arg(long, value_name = "VERSION")]
        text_version: String,
    },
    /// End a connection. What the network gave for it is destroyed.
    Cancel {
        /// The connection's id, `con_…`.
        connection: String,
    },
}

/// Options of `connection start`.
#[derive(Args)]
pub struct StartArgs {
    /// The network, such as x.
    #[arg(long, required_unless_present = "token", default_value = "", hide_default_value = true)]
    network: String,
    /// The kind of token, such as user or page.
    #[arg(long, required_unless_present = "token", default_value = "", hide_default_value = true)]
    kind: String,
    /// The app through which consent is given. Default: the network's app 'default'.
    #[arg(long, default_value = "", hide_default_value = true)]
    app: String,
    /// What the tokens will be used for; may be repeated.
    #[arg(long = "purpose", value_name = "PURPOSE", required_unless_present = "token", value_parser = word_parser::<pb::Purpose>())]
    purposes: Vec<pb::Purpose>,
    /// A scope to ask for beside those that the purposes need; may be repeated.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Who gives consent: a member, `mem_…`, who must be signed in to go on, or whoever opens the link, such as a mail address.
    #[arg(long, default_value = "", hide_default_value = true)]
    member: String,
    /// A token to heal, `tok_…`: the same account gives consent again.
    #[arg(long)]
    token: Option<String>,
    /// Let another account come back than the token is of.
    #[arg(long, requires = "token")]
    allow_other_account: bool,
    /// Where the browser goes at the end; one of connections.return_urls.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "URL")]
    return_url: String,
}

const COLUMNS: &[Column<pb::Connection>] = &[
    Column::text("CONNECTION", |one, _| short(&one.name).into()),
    Column::minor_text("TEAM", |one, _| short(team_of(&one.name)).into()),
    Column::text("NETWORK", |one, _| short(&one.network).into()),
    Column::text("KIND", |one, _| one.kind.as_str().into()),
    Column::minor_text("MEMBER", |one, _| one.member.as_str().into()),
    Column::text("STAGE", stage),
    Column::text("PROBLEM", problem),
    Column::text("ENDS", |one, view| view.time(one.expire_time.as_ref())),
];

const FIELDS: &[Column<pb::Connection>] = &[
    Column::text("connection", |one, _| one.name.as_str().into()),
    Column::text("network", |one, _| short(&one.network).into()),
    Column::text("kind", |one, _| one.kind.as_str().into()),
    Column::text("app", |one, _| short(&one.app).into()),
    Column::text("purposes", |one, _| words_of::<pb::Purpose>(&one.purposes).into()),
    Column::text("further scopes", |one, _| one.scopes.join(", ").into()),
    Column::text("member", |one, _| one.member.as_str().into()),
    Column::text("agreed to text", |one, _| one.text_version.as_str().into()),
    Column::text("heals", |one, _| short(&one.token).into()),
    Column::text("stage", stage),
    Column::text("problem", problem),
    Column::text("what to do", |one, _| {
        one.problem.as_ref().map(|problem| problem.message.as_str()).unwrap_or_default().into()
    }),
    Column::text("account", |one, _| {
        let account = one.account.clone().unwrap_or_default();
        format!("{} {}", account.display_name, account.person).trim().to_owned().into()
    }),
    Column::text("granted", |one, _| one.account.clone().unwrap_or_default().scopes.join(", ").into()),
    Column::text("tokens", |one, _| one.tokens.iter().map(|name| short(name)).collect::<Vec<_>>().join(", ").into()),
    Column::text("returns to", |one, _| one.return_url.as_str().into()),
    Column::text("started", |one, view| view.time(one.create_time.as_ref())),
    Column::text("ends", |one, view| view.time(one.expire_time.as_ref())),
];

const PROFILES: &[Column<pb::ConnectableProfile>] = &[
    Column::text("PROFILE", |one, _| one.profile.as_str().into()),
    Column::text("NAME", |one, _| one.display_name.as_str().into()),
    Column::text("CAN'T BE CONNECTED SINCE", |one, _| one.obstacle.as_str().into()),
];

fn stage(one: &pb::Connection, _: View) -> Cell {
    let tone = match one.stage() {
        pb::ConnectionStage::Connected => Tone::Good,
        pb::ConnectionStage::Choosing => Tone::Warning,
        _ => Tone::Plain,
    };
    Cell::toned(word_of::<pb::ConnectionStage>(one.stage), tone)
}

fn problem(one: &pb::Connection, _: View) -> Cell {
    let kind = one.problem.as_ref().map_or(0, |problem| problem.kind);
    Cell::toned(word_of::<pb::ConnectionProblemKind>(kind), Tone::Bad)
}

/// Carries a command out.
pub async fn run(command: ConnectionCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = ConnectionServiceClient::new(session.client());
    match command {
        ConnectionCommand::Start(args) => start(session, args).await,
        ConnectionCommand::Show { connection } => show(session, &connection).await,
        ConnectionCommand::List { paging, stage } => list(session, &paging, stage).await,
        ConnectionCommand::Complete { connection, profiles, text_version } => {
            let name = session.in_team("connections", &connection).await?;
            let request =
                pb::CompleteConnectionRequest { name, profiles, text_version, request_id: session.request_id() };
            let answer = client.complete_connection(session.request(request)).await?;
            let connection = part(answer, |answer| answer.connection)?;
            session.terminal.record(&connection, FIELDS)
        }
        ConnectionCommand::Cancel { connection } => {
            let name = session.in_team("connections", &connection).await?;
            let request = pb::CancelConnectionRequest { name, request_id: session.request_id() };
            let answer = client.cancel_connection(session.request(request)).await?;
            let connection = part(answer, |answer| answer.connection)?;
            session.terminal.record(&connection, FIELDS)
        }
    }
}

async fn start(session: &mut Session, args: StartArgs) -> Result<(), Failure> {
    let parent = session.team().await?;
    let network = top("networks", &args.network);
    let app = if args.app.is_empty() { String::new() } else { under(&network, "apps", &args.app) };
    let token = args.token.map(|token| under(&parent, "tokens", &token)).unwrap_or_default();
    let member = if args.member.starts_with("mem_") { under(&parent, "members", &args.member) } else { args.member };
    let request = pb::StartConnectionRequest {
        parent,
        network,
        kind: args.kind,
        app,
        purposes: args.purposes.into_iter().map(i32::from).collect(),
        scopes: args.scopes,
        member,
        token,
        allow_other_account: args.allow_other_account,
        return_url: args.return_url,
        request_id: session.request_id(),
    };
    let answer = ConnectionServiceClient::new(session.client()).start_connection(session.request(request)).await?;
    let answer = answer.into_inner();
    if answer.connect_link.is_empty() {
        session
            .terminal
            .notice("this was asked before, and the link is shown once; start another connection for a new link");
    } else {
        session.terminal.notice("the link is shown once; whoever opens it first and goes on gives the consent");
    }
    session.terminal.record(&answer, STARTED)
}

const STARTED: &[Column<pb::StartConnectionResponse>] = &[
    Column::text("connection", |one, _| {
        one.connection.as_ref().map(|connection| short(&connection.name)).unwrap_or_default().into()
    }),
    Column::text("link", |one, _| one.connect_link.as_str().into()),
    Column::text("ends", |one, view| view.time(one.connection.as_ref().and_then(|one| one.expire_time.as_ref()))),
];

async fn show(session: &mut Session, connection: &str) -> Result<(), Failure> {
    let mut client = ConnectionServiceClient::new(session.client());
    let name = session.in_team("connections", connection).await?;
    let request = pb::GetConnectionRequest { name: name.clone() };
    let answer = client.get_connection(session.request(request)).await?;
    let connection = part(answer, |answer| answer.connection)?;
    session.terminal.record(&connection, FIELDS)?;
    if connection.stage() != pb::ConnectionStage::Choosing {
        return Ok(());
    }
    let request = pb::ListConnectableProfilesRequest { name, page_size: 1_000, page_token: String::new() };
    let profiles = client.list_connectable_profiles(session.request(request)).await?.into_inner().profiles;
    session.terminal.section("Profiles", &profiles, PROFILES)
}

async fn list(session: &mut Session, paging: &Paging, stage: Option<pb::ConnectionStage>) -> Result<(), Failure> {
    let client = ConnectionServiceClient::new(session.client());
    let (parent, stage) = (session.team().await?, stage.map_or(0, i32::from));
    let fetch = async |page_size, page_token| {
        let request = pb::ListConnectionsRequest { parent: parent.clone(), stage, page_size, page_token };
        let answer = client.clone().list_connections(request).await?.into_inner();
        Ok(Page { items: answer.connections, next: answer.next_page_token })
    };
    let nothing = "there are no such connections; start one with `token-broker connection start`";
    session.list(COLUMNS, paging, nothing, fetch).await
}
