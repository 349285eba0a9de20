//! `token-broker incident`.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::names::{short, top};
use super::options::{Comment, Paging};
use super::session::{Page, Session, part};
use super::table::{Cell, Column, Tone, View, one_line};
use super::terminal::Format;
use super::words::{word_of, word_parser};
use crate::grpc::pb;
use crate::grpc::pb::incident_service_client::IncidentServiceClient;
use crate::grpc::pb::watch_incidents_response::Event;

/// What to do with incidents.
#[derive(Subcommand)]
pub enum IncidentCommand {
    /// List incidents, newest first.
    #[command(after_help = "Example:\n  token-broker incident list --open")]
    List(ListArgs),
    /// Show one incident, with what it hit.
    Show {
        /// The incident's id, `inc_…`.
        incident: String,
    },
    /// Say that somebody has seen an incident.
    Acknowledge {
        /// The incident's id, `inc_…`.
        incident: String,
        #[command(flatten)]
        comment: Comment,
    },
    /// End an incident before it ends by itself: all its tokens are let through at once.
    #[command(
        after_help = "Example:\n  token-broker incident close inc_… --outcome lost --comment 'the network says so'"
    )]
    Close {
        /// The incident's id, `inc_…`.
        incident: String,
        /// Whether its tokens work again, or are dead and must be connected anew.
        #[arg(long, value_parser = word_parser::<pb::IncidentOutcome>())]
        outcome: pb::IncidentOutcome,
        #[command(flatten)]
        comment: Comment,
    },
    /// Show open incidents, then each that opens, changes or closes, until interrupted.
    Watch,
}

/// Options of `incident list`.
#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    paging: Paging,
    /// Only incidents that are open.
    #[arg(long)]
    open: bool,
    /// Only this network's.
    #[arg(long, default_value = "", hide_default_value = true)]
    network: String,
}

const COLUMNS: &[Column<pb::Incident>] = &[
    Column::text("INCIDENT", |incident, _| short(&incident.name).into()),
    Column::text("KIND", |incident, _| word_of::<pb::IncidentKind>(incident.kind).into()),
    Column::text("APP", |incident, _| app(incident).into()),
    Column::text("STATE", state),
    Column::text("STAGE", |incident, _| word_of::<pb::IncidentStage>(incident.stage).into()),
    Column::text("TOKENS", |incident, _| tokens(incident).to_string().into()),
    Column::text("OPENED", |incident, view| view.time(incident.open_time.as_ref())),
    Column::minor_text("CLOSED", |incident, view| view.time(incident.close_time.as_ref())),
    Column::minor_text("OUTCOME", |incident, _| word_of::<pb::IncidentOutcome>(incident.outcome).into()),
];

const FIELDS: &[Column<pb::Incident>] = &[
    Column::text("incident", |incident, _| short(&incident.name).into()),
    Column::text("kind", |incident, _| word_of::<pb::IncidentKind>(incident.kind).into()),
    Column::text("app", |incident, _| app(incident).into()),
    Column::text("state", state),
    Column::text("stage", |incident, _| word_of::<pb::IncidentStage>(incident.stage).into()),
    Column::text("message", |incident, _| incident.message.as_str().into()),
    Column::text("leases", |incident, _| if incident.leases_stopped { "stopped" } else { "go on" }.into()),
    Column::text("persons", |incident, _| incident.persons.to_string().into()),
    Column::text("canaries", |incident, _| format!("{} served, {} refused", incident.served, incident.refused).into()),
    Column::text("next canary", |incident, view| view.time(incident.next_canary_time.as_ref())),
    Column::text("tokens", |incident, _| by_team(incident).into()),
    Column::text("for example", |incident, _| {
        incident.example_tokens.iter().map(|token| short(token)).collect::<Vec<_>>().join(", ").into()
    }),
    Column::text("started", |incident, view| view.time(incident.start_time.as_ref())),
    Column::text("opened", |incident, view| view.time(incident.open_time.as_ref())),
    Column::text("acknowledged", |incident, view| view.time(incident.acknowledge_time.as_ref())),
    Column::text("by", |incident, _| incident.acknowledged_by.as_str().into()),
    Column::text("closed", |incident, view| view.time(incident.close_time.as_ref())),
    Column::text("closed by", |incident, _| incident.closed_by.as_str().into()),
    Column::text("outcome", |incident, _| word_of::<pb::IncidentOutcome>(incident.outcome).into()),
];

fn state(incident: &pb::Incident, _: View) -> Cell {
    let tone = match incident.state() {
        pb::IncidentState::Open => Tone::Bad,
        pb::IncidentState::Acknowledged => Tone::Warning,
        pb::IncidentState::Closed => Tone::Good,
        pb::IncidentState::Unspecified => Tone::Plain,
    };
    Cell::toned(word_of::<pb::IncidentState>(incident.state), tone)
}

/// `network/app`.
fn app(incident: &pb::Incident) -> String {
    incident.app.replacen("networks/", "", 1).replacen("/apps/", "/", 1)
}

fn tokens(incident: &pb::Incident) -> i64 {
    incident.teams.iter().map(|team| team.tokens).sum()
}

fn by_team(incident: &pb::Incident) -> String {
    let teams = incident.teams.iter().map(|team| format!("{} {}", short(&team.team), team.tokens));
    teams.collect::<Vec<_>>().join(", ")
}

/// Carries a command out.
pub async fn run(command: IncidentCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = IncidentServiceClient::new(session.client());
    let incident = match command {
        IncidentCommand::List(args) => return list(session, args).await,
        IncidentCommand::Watch => return watch(session).await,
        IncidentCommand::Show { incident } => {
            let request = pb::GetIncidentRequest { name: top("incidents", &incident) };
            part(client.get_incident(session.request(request)).await?, |answer| answer.incident)?
        }
        IncidentCommand::Acknowledge { incident, comment: Comment { comment } } => {
            let (name, request_id) = (top("incidents", &incident), session.request_id());
            let request = pb::AcknowledgeIncidentRequest { name, comment, request_id };
            part(client.acknowledge_incident(session.request(request)).await?, |answer| answer.incident)?
        }
        IncidentCommand::Close { incident, outcome, comment: Comment { comment } } => {
            let (name, request_id) = (top("incidents", &incident), session.request_id());
            let request = pb::CloseIncidentRequest { name, outcome: outcome.into(), comment, request_id };
            part(client.close_incident(session.request(request)).await?, |answer| answer.incident)?
        }
    };
    session.terminal.record(&incident, FIELDS)
}

async fn list(session: &mut Session, args: ListArgs) -> Result<(), Failure> {
    let client = IncidentServiceClient::new(session.client());
    let filter = pb::ListIncidentsRequest {
        network: top("networks", &args.network),
        open: args.open.then_some(true),
        ..pb::ListIncidentsRequest::default()
    };
    let fetch = async |page_size, page_token| {
        let request = pb::ListIncidentsRequest { page_size, page_token, ..filter.clone() };
        let answer = client.clone().list_incidents(request).await?.into_inner();
        Ok(Page { items: answer.incidents, next: answer.next_page_token })
    };
    session.list(COLUMNS, &args.paging, "there are no such incidents", fetch).await
}

async fn watch(session: &mut Session) -> Result<(), Failure> {
    let request = pb::WatchIncidentsRequest {};
    let mut events = IncidentServiceClient::new(session.client()).watch_incidents(request).await?.into_inner();
    while let Some(answer) = events.message().await? {
        match answer.event {
            Some(Event::Incident(incident)) if session.terminal.format == Format::Table => {
                let line = news(&incident, session.terminal.view(), session.terminal.color);
                session.terminal.text(&line)?;
            }
            Some(Event::Incident(incident)) => session.terminal.message_line(&*incident)?,
            Some(Event::Synced(_)) => session.terminal.notice("these are open; watching for news"),
            Some(Event::Restarted(_)) => session.terminal.notice("messages were dropped; all open incidents follow"),
            None => {}
        }
    }
    Err(Failure::WatchEnded)
}

/// One line: what it is, where it stands, and the message.
fn news(incident: &pb::Incident, view: View, color: bool) -> String {
    const LINE: &[Column<pb::Incident>] = &[
        Column::text("", |incident, _| short(&incident.name).into()),
        Column::text("", state),
        Column::text("", |incident, _| word_of::<pb::IncidentStage>(incident.stage).into()),
        Column::text("", |incident, _| app(incident).into()),
        Column::text("", |incident, _| incident.message.as_str().into()),
    ];
    one_line(incident, LINE, view, color)
}
