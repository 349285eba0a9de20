//! `token-broker audit`.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::names::short;
use super::options::{Paging, StoreArgs};
use super::session::{Page, Session};
use super::table::Column;
use super::terminal::Format;
use super::times::{When, from_wire, parse_when};
use super::words::word_of;
use crate::grpc::pb;
use crate::grpc::pb::audit_service_client::AuditServiceClient;
use crate::store::AuditAnchor;

/// What to know from the audit.
#[derive(Subcommand)]
pub enum AuditNoun {
    /// Out of the store.
    #[command(flatten)]
    Local(LocalAuditCommand),
    /// From a broker.
    #[command(flatten)]
    Client(AuditCommand),
}

/// What to know from a broker's audit.
#[derive(Subcommand)]
pub enum AuditCommand {
    /// List what happened, newest first.
    #[command(
        after_help = "Examples:\n  token-broker audit list --since 24h --action token.\n  token-broker audit list --token tok_0192… --output jsonl"
    )]
    List(ListArgs),
    /// State what one token was used for, by day: to show to the person who granted it.
    Statement(StatementArgs),
}

/// What to know from the audit as the store holds it, without a broker.
#[derive(Subcommand, Debug)]
pub enum LocalAuditCommand {
    /// Check that no event was deleted, changed, moved or added, and name the first place where one was.
    ///
    /// Reads the store itself with its sealing key, also while a broker runs on it. Fails if the audit is not whole. It shows an anchor: kept apart from the store, it proves later that the store was not set
    /// back to an earlier state.
    #[command(
        after_help = "Examples:\n  token-broker audit verify --data-dir ./token-broker-data\n  token-broker audit verify --anchor 4711:9f86d081…"
    )]
    Verify(VerifyArgs),
    /// Write all events as JSON lines, the oldest first.
    ///
    /// Reads the store itself, also while a broker runs on it. Each line has the event's number `seq` and its hash `mac`; as
    /// `seq:mac` they are an anchor for `audit verify`.
    #[command(
        after_help = "Examples:\n  token-broker audit export --data-dir ./token-broker-data > audit.jsonl\n  token-broker audit export --after 4711 >> audit.jsonl"
    )]
    Export(ExportArgs),
}

/// Options of `audit verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Which store.
    #[command(flatten)]
    pub store: StoreArgs,
    /// An anchor that was kept: its event must still be there.
    #[arg(long, value_name = "NUMBER:HASH")]
    pub anchor: Option<AuditAnchor>,
}

/// Options of `audit export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// Which store.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Only events after this number: the last one of an earlier export.
    #[arg(long, value_name = "NUMBER")]
    pub after: Option<i64>,
}

/// Options of `audit list`.
#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    paging: Paging,
    /// Only events about this resource, by its whole name.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    resource: String,
    /// Only events about this token and its leases.
    #[arg(long)]
    token: Option<String>,
    /// Only what this actor did, by its whole name.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    actor: String,
    /// Only this action, such as token.revoke, or all of a noun, such as 'token.'.
    #[arg(long, default_value = "", hide_default_value = true)]
    action: String,
    /// Only events since: a span before now, or a time.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    since: Option<When>,
    /// Only events before this.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    until: Option<When>,
}

/// Options of `audit statement`.
#[derive(Args)]
pub struct StatementArgs {
    /// The token's id, `tok_…`.
    token: String,
    #[command(flatten)]
    paging: Paging,
    /// From the day of this time: a span before now, or a time. Default: 30 days.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    since: Option<When>,
    /// Up to the day of this time. Default: today.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    until: Option<When>,
}

const EVENTS: &[Column<pb::AuditEvent>] = &[
    Column::text("TIME", |event, _| {
        event.occur_time.as_ref().map(|at| from_wire(at).to_string()).unwrap_or_default().into()
    }),
    Column::text("ACTION", |event, _| event.action.as_str().into()),
    Column::text("ACTOR", |event, _| short(&event.actor).into()),
    Column::minor_text("TEAM", |event, _| short(&event.team).into()),
    Column::text("RESOURCE", |event, _| event.resource.as_str().into()),
    Column::minor_text("COMMENT", |event, _| event.comment.as_str().into()),
    Column::minor_text("DETAILS", |event, _| details(event).into()),
];

const USAGE: &[Column<pb::TokenUsageRow>] = &[
    Column::text("DAY", |row, _| row.day.as_str().into()),
    Column::text("COLLECTION", |row, _| row.collection.as_str().into()),
    Column::text("HOLDER", |row, _| short(&row.holder).into()),
    Column::text("PURPOSE", |row, _| word_of::<pb::Purpose>(row.purpose).into()),
    Column::minor_text("CLASS", |row, _| row.credit_class.as_str().into()),
    Column::number("CALLS", |row, _| row.calls.into()),
    Column::minor_number("CREDIT", |row, _| row.credits.into()),
    Column::number("OF ALLOWANCE", |row, _| {
        row.share_of_allowance.map(|share| format!("{:.1} %", share * 100.0)).unwrap_or_default().into()
    }),
];

fn details(event: &pb::AuditEvent) -> String {
    event.details.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// Carries a command out.
pub async fn run(command: AuditCommand, session: &mut Session) -> Result<(), Failure> {
    match command {
        AuditCommand::List(args) => list(session, args).await,
        AuditCommand::Statement(args) => statement(session, args).await,
    }
}

async fn list(session: &mut Session, args: ListArgs) -> Result<(), Failure> {
    let client = AuditServiceClient::new(session.client());
    let now = session.now();
    let token = match &args.token {
        Some(token) => session.in_team("tokens", token).await?,
        None => String::new(),
    };
    let filter = pb::ListAuditEventsRequest {
        team: session.team_filter(),
        resource: args.resource,
        token,
        actor: args.actor,
        action: args.action,
        start_time: args.since.map(|when| when.before(now)),
        end_time: args.until.map(|when| when.before(now)),
        ..pb::ListAuditEventsRequest::default()
    };
    let fetch = async |page_size, page_token| {
        let request = pb::ListAuditEventsRequest { page_size, page_token, ..filter.clone() };
        let answer = client.clone().list_audit_events(request).await?.into_inner();
        Ok(Page { items: answer.audit_events, next: answer.next_page_token })
    };
    session.list(EVENTS, &args.paging, "there are no such events", fetch).await
}

/// A table of the rows with the total below it; in the forms for programs, the rows.
async fn statement(session: &mut Session, args: StatementArgs) -> Result<(), Failure> {
    let client = AuditServiceClient::new(session.client());
    let now = session.now();
    let filter = pb::GetTokenUsageStatementRequest {
        token: session.in_team("tokens", &args.token).await?,
        start_time: args.since.map(|when| when.before(now)),
        end_time: args.until.map(|when| when.before(now)),
        ..pb::GetTokenUsageStatementRequest::default()
    };
    let mut total = String::new();
    let fetch = async |page_size, page_token| {
        let request = pb::GetTokenUsageStatementRequest { page_size, page_token, ..filter.clone() };
        let answer = client.clone().get_token_usage_statement(request).await?.into_inner();
        total = sentence(&answer);
        Ok(Page { items: answer.rows, next: answer.next_page_token })
    };
    session.list(USAGE, &args.paging, "it was not used in these days", fetch).await?;
    if session.terminal.format == Format::Table { session.terminal.text(&total) } else { Ok(()) }
}

fn sentence(statement: &pb::GetTokenUsageStatementResponse) -> String {
    let time =
        |at: &Option<prost_types::Timestamp>| at.as_ref().map(|at| from_wire(at).to_string()).unwrap_or_default();
    let calls = super::table::grouped(statement.total_calls);
    format!("\n{calls} calls in all from {} to {}\n", time(&statement.start_time), time(&statement.end_time))
}
