//! `token-broker alerts`.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::load::{level, ratio};
use super::names::{short, team_of, top};
use super::options::{Comment, Paging};
use super::session::{Page, Session, part};
use super::table::{Cell, Column, Tone, View, one_line};
use super::terminal::Format;
use super::times::{When, from_wire, parse_when};
use super::words::{word_of, word_parser};
use crate::grpc::pb;
use crate::grpc::pb::alert_service_client::AlertServiceClient;
use crate::grpc::pb::watch_alerts_response::Event;

/// What to do with alerts.
#[derive(Subcommand)]
pub enum AlertsCommand {
    /// List the alerts of a team, newest first.
    #[command(after_help = "Example:\n  token-broker alerts list --team - --state open --since 7d")]
    List(ListArgs),
    /// Show one alert.
    Show {
        /// The alert's id, `alr_…`.
        alert: String,
    },
    /// Say that somebody has seen an alert: it is not sent again while it stays open.
    Acknowledge {
        /// The alert's id, `alr_…`.
        alert: String,
        #[command(flatten)]
        comment: Comment,
    },
    /// Show open alerts, then each that opens or changes, until interrupted.
    Watch,
}

/// Options of `alerts list`.
#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    paging: Paging,
    /// Only alerts in this state.
    #[arg(long, value_parser = word_parser::<pb::AlertState>())]
    state: Option<pb::AlertState>,
    /// Only alerts of this kind.
    #[arg(long, value_parser = word_parser::<pb::AlertKind>())]
    kind: Option<pb::AlertKind>,
    /// Only this network's.
    #[arg(long, default_value = "", hide_default_value = true)]
    network: String,
    /// Only alerts that opened since: a span before now, or a time.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    since: Option<When>,
    /// Only alerts that opened before this.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    until: Option<When>,
}

const COLUMNS: &[Column<pb::Alert>] = &[
    Column::text("ALERT", |alert, _| short(&alert.name).into()),
    Column::minor_text("TEAM", |alert, _| short(team_of(&alert.name)).into()),
    Column::minor_text("KIND", |alert, _| word_of::<pb::AlertKind>(alert.kind).into()),
    Column::text("NETWORK", |alert, _| short(&alert.network).into()),
    Column::minor_text("CLASS", |alert, _| alert.credit_class.as_str().into()),
    Column::text("STATE", state),
    Column::text("LEVEL", |alert, _| level(alert.level)),
    Column::text("OPENED", |alert, view| view.time(alert.open_time.as_ref())),
    Column::minor_text("CLEARED", |alert, view| view.time(alert.clear_time.as_ref())),
    Column::text("MESSAGE", |alert, _| alert.message.as_str().into()),
];

const FIELDS: &[Column<pb::Alert>] = &[
    Column::text("alert", |alert, _| alert.name.as_str().into()),
    Column::text("kind", |alert, _| word_of::<pb::AlertKind>(alert.kind).into()),
    Column::text("state", state),
    Column::text("network", |alert, _| short(&alert.network).into()),
    Column::text("class", |alert, _| alert.credit_class.as_str().into()),
    Column::text("level", |alert, _| level(alert.level)),
    Column::text("load", |alert, _| ratio(alert.ratio).into()),
    Column::text("message", |alert, _| alert.message.as_str().into()),
    Column::text("advice", |alert, _| alert.advice.as_ref().map(|one| one.text.as_str()).unwrap_or_default().into()),
    Column::text("causes", |alert, _| causes(alert).into()),
    Column::text("opened", |alert, view| view.time(alert.open_time.as_ref())),
    Column::text("changed", |alert, view| view.time(alert.update_time.as_ref())),
    Column::text("acknowledged", |alert, view| view.time(alert.acknowledge_time.as_ref())),
    Column::text("by", |alert, _| alert.acknowledged_by.as_str().into()),
    Column::text("cleared", |alert, view| view.time(alert.clear_time.as_ref())),
];

fn state(alert: &pb::Alert, _: View) -> Cell {
    let tone = match alert.state() {
        pb::AlertState::Open => Tone::Bad,
        pb::AlertState::Acknowledged => Tone::Warning,
        pb::AlertState::Cleared => Tone::Good,
        pb::AlertState::Unspecified => Tone::Plain,
    };
    Cell::toned(word_of::<pb::AlertState>(alert.state), tone)
}

fn causes(alert: &pb::Alert) -> String {
    let causes = alert.causes.iter().map(|one| {
        let name = if one.collection.is_empty() { "(without a name)" } else { &one.collection };
        format!("{name} {:.0} %", one.share * 100.0)
    });
    causes.collect::<Vec<_>>().join(", ")
}

/// Carries a command out.
pub async fn run(command: AlertsCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = AlertServiceClient::new(session.client());
    let alert = match command {
        AlertsCommand::List(args) => return list(session, args).await,
        AlertsCommand::Watch => return watch(session).await,
        AlertsCommand::Show { alert } => {
            let request = pb::GetAlertRequest { name: session.in_team("alerts", &alert).await? };
            part(client.get_alert(session.request(request)).await?, |answer| answer.alert)?
        }
        AlertsCommand::Acknowledge { alert, comment: Comment { comment } } => {
            let name = session.in_team("alerts", &alert).await?;
            let request = pb::AcknowledgeAlertRequest { name, comment, request_id: session.request_id() };
            part(client.acknowledge_alert(session.request(request)).await?, |answer| answer.alert)?
        }
    };
    session.terminal.record(&alert, FIELDS)
}

async fn list(session: &mut Session, args: ListArgs) -> Result<(), Failure> {
    let client = AlertServiceClient::new(session.client());
    let now = session.now();
    let filter = pb::ListAlertsRequest {
        parent: session.team().await?,
        state: args.state.map_or(0, i32::from),
        kind: args.kind.map_or(0, i32::from),
        network: top("networks", &args.network),
        start_time: args.since.map(|when| when.before(now)),
        end_time: args.until.map(|when| when.before(now)),
        ..pb::ListAlertsRequest::default()
    };
    let fetch = async |page_size, page_token| {
        let request = pb::ListAlertsRequest { page_size, page_token, ..filter.clone() };
        let answer = client.clone().list_alerts(request).await?.into_inner();
        Ok(Page { items: answer.alerts, next: answer.next_page_token })
    };
    session.list(COLUMNS, &args.paging, "there are no such alerts", fetch).await
}

async fn watch(session: &mut Session) -> Result<(), Failure> {
    let request = pb::WatchAlertsRequest { parent: session.team().await? };
    let mut events = AlertServiceClient::new(session.client()).watch_alerts(request).await?.into_inner();
    while let Some(answer) = events.message().await? {
        match answer.event {
            Some(Event::Alert(alert)) if session.terminal.format == Format::Table => {
                let line = news(&alert, session.terminal.view(), session.terminal.color);
                session.terminal.text(&line)?;
            }
            Some(Event::Alert(alert)) => session.terminal.message_line(&*alert)?,
            Some(Event::Synced(_)) => session.terminal.notice("these are open; watching for news"),
            Some(Event::Restarted(_)) => session.terminal.notice("messages were dropped; all open alerts follow"),
            None => {}
        }
    }
    Err(Failure::WatchEnded)
}

/// One line: when, what, and the message.
fn news(alert: &pb::Alert, view: View, color: bool) -> String {
    const LINE: &[Column<pb::Alert>] = &[
        Column::text("", |alert, _| {
            alert.update_time.as_ref().map(|at| from_wire(at).to_string()).unwrap_or_default().into()
        }),
        Column::text("", state),
        Column::text("", |alert, _| level(alert.level)),
        Column::text("", |alert, _| format!("{} {}", short(team_of(&alert.name)), short(&alert.network)).into()),
        Column::text("", |alert, _| alert.message.as_str().into()),
    ];
    one_line(alert, LINE, view, color)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::cli::times::to_wire;

    #[test]
    fn news_is_one_line() {
        let now = Timestamp::from_secs(1_700_000_000);
        let alert = pb::Alert {
            name: "teams/acme/alerts/alr_1".to_owned(),
            state: pb::AlertState::Open.into(),
            level: pb::LoadLevel::High.into(),
            network: "networks/x".to_owned(),
            message: "token load too high".to_owned(),
            update_time: Some(to_wire(now)),
            ..pb::Alert::default()
        };
        let line = news(&alert, View { now, detail: false }, false);
        assert_eq!(line, "2023-11-14T22:13:20Z  open  high  acme x  token load too high\n");
    }
}
