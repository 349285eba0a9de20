//! `token-broker notice`.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::member::named;
use super::names::{short, under};
use super::options::{Paging, update_mask};
use super::session::{Page, Session, part};
use super::table::Column;
use super::terminal::Format;
use super::times::from_wire;
use super::token::COLUMNS as TOKENS;
use super::words::{Word, word_of};
use crate::grpc::pb;
use crate::grpc::pb::notice_service_client::NoticeServiceClient;
use crate::grpc::pb::watch_notices_response::Event;

/// What to do with notices.
#[derive(Subcommand)]
pub enum NoticeCommand {
    /// List what a member is told, newest first.
    #[command(after_help = "Example:\n  token-broker notice list ada@example.com --unread")]
    List {
        /// The member's id, `mem_…`, or mail address.
        member: String,
        /// Only what it has not read.
        #[arg(long)]
        unread: bool,
        #[command(flatten)]
        paging: Paging,
    },
    /// Note that a member has read notices.
    #[command(after_help = "Example:\n  token-broker notice read ada@example.com --through evt_…")]
    Read {
        /// The member's id, `mem_…`, or mail address.
        member: String,
        /// The notices' ids, `evt_…`.
        #[arg(required_unless_present = "through", num_args = 1..)]
        notices: Vec<String>,
        /// This one, and all that are older.
        #[arg(long, value_name = "NOTICE", default_value = "", hide_default_value = true)]
        through: String,
    },
    /// Show what a member is told, as it comes, until interrupted.
    Watch {
        /// The member's id, `mem_…`, or mail address.
        member: String,
    },
    /// Show what a member chose to hear, or change it.
    #[command(
        after_help = "Example:\n  token-broker notice settings ada@example.com --off token_connected:mail --on token_expired:mail:1789 --quiet-hours 22:00-07:30"
    )]
    Settings {
        /// The member's id, `mem_…`, or mail address.
        member: String,
        #[command(flatten)]
        change: SettingsChange,
    },
    /// List the tokens that a member may renew and that need it: they do not work, end within 7 days, or lack what their network requires by then.
    AtRisk {
        /// The member's id, `mem_…`, or mail address.
        member: String,
        #[command(flatten)]
        paging: Paging,
    },
}

/// A change of what a member hears.
#[derive(Args)]
pub struct SettingsChange {
    /// Tell this: KIND:CHANNEL, or KIND:CHANNEL:PROFILE for one profile. May stand several times.
    #[arg(long, value_name = "CHOICE", value_parser = parse_choice)]
    on: Vec<pb::NoticeChoice>,
    /// Do not tell this. May stand several times.
    #[arg(long, value_name = "CHOICE", value_parser = parse_choice)]
    off: Vec<pb::NoticeChoice>,
    /// Forget all choices first: what is usual holds.
    #[arg(long)]
    reset: bool,
    /// Do not disturb in this part of each day, in the member's time zone.
    #[arg(long, value_name = "FROM-UNTIL", value_parser = parse_quiet, conflicts_with = "no_quiet_hours")]
    quiet_hours: Option<pb::QuietHours>,
    /// Disturb at any time.
    #[arg(long)]
    no_quiet_hours: bool,
}

/// Reads `KIND:CHANNEL[:PROFILE]`.
fn parse_choice(text: &str) -> Result<pb::NoticeChoice, String> {
    let mut parts = text.splitn(3, ':');
    let kind = parts.next().and_then(pb::NoticeKind::of);
    let channel = parts.next().and_then(pb::NoticeChannel::of);
    match (kind, channel) {
        (Some(kind), Some(channel)) => Ok(pb::NoticeChoice {
            kind: kind.into(),
            channel: channel.into(),
            profile: parts.next().unwrap_or_default().to_owned(),
            on: false,
        }),
        _ => {
            let words = |all: Vec<String>| all.join(", ");
            let kinds = words(pb::NoticeKind::all().into_iter().map(Word::word).collect());
            let channels = words(pb::NoticeChannel::all().into_iter().map(Word::word).collect());
            Err(format!("expected KIND:CHANNEL or KIND:CHANNEL:PROFILE; kinds: {kinds}; channels: {channels}"))
        }
    }
}

/// Reads `22:00-07:30`.
fn parse_quiet(text: &str) -> Result<pb::QuietHours, String> {
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (i32, i32) = (hour.parse().ok()?, minute.parse().ok()?);
        ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some(hour * 60 + minute)
    };
    let read = text.split_once('-').and_then(|(from, until)| Some((minute(from)?, minute(until)?)));
    let (from_minute, until_minute) = read.ok_or("expected two times of day, such as 22:00-07:30")?;
    Ok(pb::QuietHours { from_minute, until_minute })
}

impl SettingsChange {
    /// What it changes; `None`: nothing.
    fn mask(&self) -> Option<prost_types::FieldMask> {
        let fields = [
            ("choices", !self.on.is_empty() || !self.off.is_empty() || self.reset),
            ("quiet_hours", self.quiet_hours.is_some() || self.no_quiet_hours),
        ];
        update_mask(&fields, &[]).ok()
    }

    fn apply(self, mut settings: pb::NoticeSettings) -> pb::NoticeSettings {
        if self.reset {
            settings.choices.clear();
        }
        let on = self.on.into_iter().map(|choice| pb::NoticeChoice { on: true, ..choice });
        for choice in on.chain(self.off) {
            let same = |other: &pb::NoticeChoice| {
                (other.kind, other.channel, &other.profile) == (choice.kind, choice.channel, &choice.profile)
            };
            settings.choices.retain(|other| !same(other));
            settings.choices.push(choice);
        }
        if self.quiet_hours.is_some() || self.no_quiet_hours {
            settings.quiet_hours = self.quiet_hours;
        }
        settings
    }
}

const COLUMNS: &[Column<pb::Notice>] = &[
    Column::minor_text("NOTICE", |notice, _| short(&notice.name).into()),
    Column::text("WHEN", |notice, view| view.time(notice.event_time.as_ref())),
    Column::minor_text("KIND", |notice, _| word_of::<pb::NoticeKind>(notice.kind).into()),
    Column::text("NETWORK", |notice, _| short(&notice.network).into()),
    Column::text("SUBJECT", |notice, _| notice.subject.as_str().into()),
    Column::minor_text("OVER", |notice, _| notice.over.as_str().into()),
    Column::minor_text("READ", |notice, _| if notice.read { "yes" } else { "no" }.into()),
];

const SETTINGS: &[Column<pb::NoticeSettings>] = &[
    Column::text("settings", |settings, _| settings.name.as_str().into()),
    Column::text("on", |settings, _| choices(settings, true).into()),
    Column::text("off", |settings, _| choices(settings, false).into()),
    Column::text("quiet", |settings, _| quiet(settings).into()),
];

fn choices(settings: &pb::NoticeSettings, on: bool) -> String {
    let text = |choice: &pb::NoticeChoice| {
        let profile = if choice.profile.is_empty() { String::new() } else { format!(":{}", choice.profile) };
        let (kind, channel) = (word_of::<pb::NoticeKind>(choice.kind), word_of::<pb::NoticeChannel>(choice.channel));
        format!("{kind}:{channel}{profile}")
    };
    settings.choices.iter().filter(|choice| choice.on == on).map(text).collect::<Vec<_>>().join(", ")
}

fn quiet(settings: &pb::NoticeSettings) -> String {
    let time = |minute: i32| format!("{:02}:{:02}", minute / 60, minute % 60);
    settings
        .quiet_hours
        .map_or_else(String::new, |quiet| format!("{}-{}", time(quiet.from_minute), time(quiet.until_minute)))
}

/// Carries a command out.
pub async fn run(command: NoticeCommand, session: &mut Session) -> Result<(), Failure> {
    match command {
        NoticeCommand::List { member, unread, paging } => list(session, &member, unread, &paging).await,
        NoticeCommand::Read { member, notices, through } => read(session, &member, &notices, &through).await,
        NoticeCommand::Watch { member } => watch(session, &member).await,
        NoticeCommand::Settings { member, change } => settings(session, &member, change).await,
        NoticeCommand::AtRisk { member, paging } => at_risk(session, &member, &paging).await,
    }
}

async fn list(session: &mut Session, member: &str, unread: bool, paging: &Paging) -> Result<(), Failure> {
    let parent = named(session, member).await?;
    let client = NoticeServiceClient::new(session.client());
    let fetch = async |page_size, page_token| {
        let request = pb::ListNoticesRequest { parent: parent.clone(), page_size, page_token, unread };
        let answer = client.clone().list_notices(request).await?.into_inner();
        Ok(Page { items: answer.notices, next: answer.next_page_token })
    };
    session.list(COLUMNS, paging, "there is nothing that this member was told", fetch).await
}

async fn read(session: &mut Session, member: &str, notices: &[String], through: &str) -> Result<(), Failure> {
    let parent = named(session, member).await?;
    let name = |notice: &str| under(&parent, "notices", notice);
    let notices = notices.iter().map(|notice| name(notice)).collect();
    let through = if through.is_empty() { String::new() } else { name(through) };
    let request = pb::MarkNoticesReadRequest { parent, notices, through, request_id: session.request_id() };
    NoticeServiceClient::new(session.client()).mark_notices_read(session.request(request)).await?;
    session.terminal.say("It is noted.")
}

async fn watch(session: &mut Session, member: &str) -> Result<(), Failure> {
    let request = pb::WatchNoticesRequest { parent: named(session, member).await? };
    let mut events = NoticeServiceClient::new(session.client()).watch_notices(request).await?.into_inner();
    while let Some(answer) = events.message().await? {
        match answer.event {
            Some(Event::Notice(notice)) if session.terminal.format == Format::Table => {
                let at = notice.event_time.as_ref().map(|at| from_wire(at).to_string()).unwrap_or_default();
                session.terminal.text(&format!("{at}  {}\n", notice.subject))?;
            }
            Some(Event::Notice(notice)) => session.terminal.message_line(&*notice)?,
            Some(Event::Synced(_)) => session.terminal.notice("watching for notices"),
            Some(Event::Missed(_)) => session.terminal.notice("some were missed; `token-broker notice list` shows all"),
            None => {}
        }
    }
    Err(Failure::WatchEnded)
}

async fn settings(session: &mut Session, member: &str, change: SettingsChange) -> Result<(), Failure> {
    let name = format!("{}/noticeSettings", named(session, member).await?);
    let mut client = NoticeServiceClient::new(session.client());
    let request = pb::GetNoticeSettingsRequest { name };
    let mut settings = part(client.get_notice_settings(session.request(request)).await?, |answer| answer.settings)?;
    if let Some(update_mask) = change.mask() {
        let (settings_now, request_id) = (Some(change.apply(settings)), session.request_id());
        let update_mask = Some(update_mask);
        let request = pb::UpdateNoticeSettingsRequest { settings: settings_now, update_mask, request_id };
        settings = part(client.update_notice_settings(session.request(request)).await?, |answer| answer.settings)?;
    }
    session.terminal.record(&settings, SETTINGS)
}

async fn at_risk(session: &mut Session, member: &str, paging: &Paging) -> Result<(), Failure> {
    let parent = named(session, member).await?;
    let client = NoticeServiceClient::new(session.client());
    let fetch = async |page_size, page_token| {
        let request = pb::ListTokensAtRiskRequest { parent: parent.clone(), page_size, page_token };
        let answer = client.clone().list_tokens_at_risk(request).await?.into_inner();
        Ok(Page { items: answer.tokens, next: answer.next_page_token })
    };
    session.list(TOKENS, paging, "no token that this member granted needs it", fetch).await
}
