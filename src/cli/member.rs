//! `token-broker member`.

use clap::Subcommand;

use super::failure::Failure;
use super::names::{short, under};
use super::options::{Comment, Paging, update_mask};
use super::session::{Page, Session, part};
use super::table::{Cell, Column, Tone};
use super::terminal::Format;
use super::token::revocation;
use super::words::{word_of, word_parser};
use crate::grpc::pb;
use crate::grpc::pb::member_service_client::MemberServiceClient;

/// What to do with members.
#[derive(Subcommand)]
pub enum MemberCommand {
    /// Invite a person, and print the link by which they join, this once.
    #[command(
        after_help = "Example:\n  token-broker member invite ada@example.com --team acme --role owner --display-name Ada"
    )]
    Invite {
        /// The person's mail address.
        mail: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// List the members of a team.
    List {
        #[command(flatten)]
        paging: Paging,
        /// Only this state.
        #[arg(long, value_parser = word_parser::<pb::MemberState>())]
        state: Option<pb::MemberState>,
    },
    /// Show one member.
    Show {
        /// The member's id, `mem_…`, or mail address.
        member: String,
    },
    /// Change what is known of a member.
    #[command(
        after_help = "Example:\n  token-broker member update ada@example.com --role manager --time-zone Europe/Vienna"
    )]
    Update {
        /// The member's id, `mem_…`, or mail address.
        member: String,
        /// Another mail address.
        #[arg(long, value_name = "ADDRESS")]
        mail: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Make a new link and print it, this once: to join, or to set a new password.
    Resend {
        /// The member's id, `mem_…`, or mail address.
        member: String,
    },
    /// Take a member out of the team, for good: its sessions end, its tokens are revoked or handed on.
    Remove {
        /// The member's id, `mem_…`, or mail address.
        member: String,
        /// Let the collectors' keys that the member made go on; the report lists them. Else they are revoked.
        #[arg(long)]
        keep_keys: bool,
        #[command(flatten)]
        comment: Comment,
    },
    /// Show what was done when a member left.
    Departure {
        /// The member's id, `mem_…`.
        member: String,
    },
    /// List where a member is signed in.
    Sessions {
        /// The member's id, `mem_…`, or mail address.
        member: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Sign a member out of one session, or of all.
    SignOut {
        /// The member's id, `mem_…`, or mail address.
        member: String,
        /// The session's id, `ses_…`; without it, all.
        session: Option<String>,
    },
    /// End the link that was sent to a member.
    Withdraw {
        /// The member's id, `mem_…`, or mail address.
        member: String,
        #[command(flatten)]
        comment: Comment,
    },
}

/// What can be said about a member.
#[derive(clap::Args)]
pub struct Fields {
    /// A name for people.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What the person is to the team. Default: member.
    #[arg(long, value_parser = word_parser::<pb::MemberRole>())]
    role: Option<pb::MemberRole>,
    /// The time zone in which times are told to the person, such as Europe/Vienna. Default: UTC.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// The language in which the person is written to, such as pt-BR. Default: en.
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
}

impl Fields {
    fn mask(&self, moves: bool) -> Result<prost_types::FieldMask, Failure> {
        let fields = [
            ("display_name", self.display_name.is_some()),
            ("mail", moves),
            ("role", self.role.is_some()),
            ("time_zone", self.time_zone.is_some()),
            ("language", self.language.is_some()),
        ];
        update_mask(&fields, &[])
    }

    fn into_member(self, name: String, mail: String) -> pb::Member {
        pb::Member {
            name,
            mail,
            display_name: self.display_name.unwrap_or_default(),
            role: self.role.map_or(0, i32::from),
            time_zone: self.time_zone.unwrap_or_default(),
            language: self.language.unwrap_or_default(),
            ..pb::Member::default()
        }
    }
}

const COLUMNS: &[Column<pb::Member>] = &[
    Column::text("MEMBER", |member, _| short(&member.name).into()),
    Column::text("MAIL", |member, _| member.mail.as_str().into()),
    Column::minor_text("NAME", |member, _| member.display_name.as_str().into()),
    Column::text("ROLE", |member, _| word_of::<pb::MemberRole>(member.role).into()),
    Column::text("STATE", |member, _| state(member)),
    Column::minor_text("TIME ZONE", |member, _| member.time_zone.as_str().into()),
    Column::minor_text("LANGUAGE", |member, _| member.language.as_str().into()),
    Column::minor_text("ACCOUNTS", |member, _| accounts(member).into()),
    Column::minor_text("LINK UNTIL", |member, view| view.time(member.invitation_expire_time.as_ref())),
    Column::minor_text("JOINED", |member, view| view.time(member.join_time.as_ref())),
    Column::minor_text("LEFT", |member, view| view.time(member.leave_time.as_ref())),
];

const SESSIONS: &[Column<pb::Session>] = &[
    Column::text("SESSION", |session, _| short(&session.name).into()),
    Column::text("BROWSER", |session, _| session.agent.as_str().into()),
    Column::text("FROM", |session, _| session.origin.as_str().into()),
    Column::minor_text("SIGNED IN", |session, view| view.time(session.create_time.as_ref())),
    Column::text("USED", |session, view| view.time(session.use_time.as_ref())),
    Column::minor_text("ENDS", |session, view| view.time(session.expire_time.as_ref())),
];

const DEPARTURE: &[Column<pb::Departure>] = &[
    Column::text("MEMBER", |done, _| short(&done.member).into()),
    Column::text("BEGUN", |done, view| view.time(done.begin_time.as_ref())),
    Column::text("DONE", |done, view| view.time(done.finish_time.as_ref())),
    Column::number("SESSIONS ENDED", |done, _| done.sessions_ended.into()),
    Column::text("TOKENS REVOKED", |done, _| tokens(done, false).into()),
    Column::text("TOKENS HANDED ON", |done, _| tokens(done, true).into()),
    Column::text("PROFILES LET GO", |done, _| {
        let named = done.profiles.iter().map(|profile| format!("{}:{}", short(&profile.network), profile.profile));
        named.collect::<Vec<_>>().join(", ").into()
    }),
    Column::text("CONNECTIONS ENDED", |done, _| list_of(&done.connections).into()),
    Column::text("KEYS TO REPLACE", |done, _| list_of(&done.keys).into()),
    Column::text("KEYS REVOKED", |done, _| list_of(&done.revoked_keys).into()),
];

fn list_of(names: &[String]) -> String {
    names.iter().map(|name| short(name)).collect::<Vec<_>>().join(", ")
}

fn tokens(done: &pb::Departure, handed_on: bool) -> String {
    let meant = done.tokens.iter().filter(|left| left.heir.is_empty() != handed_on);
    let told = meant.map(|left| match left.heir.as_str() {
        "" => match revocation(left.network_revocation.as_ref()) {
            told if told.is_empty() => short(&left.token).to_owned(),
            told => format!("{} ({told})", short(&left.token)),
        },
        heir => format!("{} to {}", short(&left.token), short(heir)),
    });
    told.collect::<Vec<_>>().join(", ")
}

fn state(member: &pb::Member) -> Cell {
    let tone = match member.state() {
        pb::MemberState::Active => Tone::Good,
        pb::MemberState::Left => Tone::Bad,
        pb::MemberState::Invited | pb::MemberState::Unspecified => {
            return word_of::<pb::MemberState>(member.state).into();
        }
    };
    Cell::toned(word_of::<pb::MemberState>(member.state), tone)
}

fn accounts(member: &pb::Member) -> String {
    let accounts = member.accounts.iter().map(|account| format!("{}:{}", short(&account.network), account.person));
    accounts.collect::<Vec<_>>().join(", ")
}

/// Carries a command out.
pub async fn run(command: MemberCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = MemberServiceClient::new(session.client());
    let member = match command {
        MemberCommand::Invite { mail, fields } => {
            let member = Some(fields.into_member(String::new(), mail));
            let (parent, request_id) = (session.team().await?, session.request_id());
            let request = pb::InviteMemberRequest { parent, member, request_id };
            let answer = client.invite_member(session.request(request)).await?.into_inner();
            let (member, link) = (answer.member.clone().unwrap_or_default(), answer.link.clone());
            return show_link(session, &answer, &member, &link);
        }
        MemberCommand::Resend { member } => {
            let (name, request_id) = (named(session, &member).await?, session.request_id());
            let request = pb::ResendInvitationRequest { name, request_id };
            let answer = client.resend_invitation(session.request(request)).await?.into_inner();
            let (member, link) = (answer.member.clone().unwrap_or_default(), answer.link.clone());
            return show_link(session, &answer, &member, &link);
        }
        MemberCommand::Remove { member, keep_keys, comment } => {
            let (name, request_id) = (named(session, &member).await?, session.request_id());
            let request = pb::RemoveMemberRequest { name, comment: comment.comment, request_id, keep_keys };
            let done = part(client.remove_member(session.request(request)).await?, |answer| answer.departure)?;
            return session.terminal.record(&done, DEPARTURE);
        }
        MemberCommand::Departure { member } => {
            let request = pb::GetDepartureRequest { name: named(session, &member).await? };
            let done = part(client.get_departure(session.request(request)).await?, |answer| answer.departure)?;
            return session.terminal.record(&done, DEPARTURE);
        }
        MemberCommand::Sessions { member, paging } => return sessions(session, &member, &paging).await,
        MemberCommand::SignOut { member, session: one } => return sign_out(session, &member, one).await,
        MemberCommand::List { paging, state } => return list(session, &paging, state).await,
        MemberCommand::Show { member } => {
            let request = pb::GetMemberRequest { name: named(session, &member).await? };
            part(client.get_member(session.request(request)).await?, |answer| answer.member)?
        }
        MemberCommand::Update { member, mail, fields } => {
            let update_mask = Some(fields.mask(mail.is_some())?);
            let name = named(session, &member).await?;
            let member = Some(fields.into_member(name, mail.unwrap_or_default()));
            let request = pb::UpdateMemberRequest { member, update_mask, request_id: session.request_id() };
            part(client.update_member(session.request(request)).await?, |answer| answer.member)?
        }
        MemberCommand::Withdraw { member, comment } => {
            let (name, request_id) = (named(session, &member).await?, session.request_id());
            let request = pb::WithdrawInvitationRequest { name, comment: comment.comment, request_id };
            part(client.withdraw_invitation(session.request(request)).await?, |answer| answer.member)?
        }
    };
    session.terminal.record(&member, COLUMNS)
}

/// The whole name of the member with that id or mail address.
pub async fn named(session: &mut Session, text: &str) -> Result<String, Failure> {
    if !text.contains('@') {
        return session.in_team("members", text).await;
    }
    let parent = session.team().await?;
    let mut client = MemberServiceClient::new(session.client());
    let mut page_token = String::new();
    loop {
        let request = pb::ListMembersRequest { parent: parent.clone(), page_size: 1000, page_token, state: 0 };
        let page = client.list_members(session.request(request)).await?.into_inner();
        let is_meant =
            |member: &&pb::Member| member.mail.eq_ignore_ascii_case(text) && member.state() != pb::MemberState::Left;
        if let Some(member) = page.members.iter().find(is_meant) {
            return Ok(member.name.clone());
        }
        if page.next_page_token.is_empty() {
            return Err(Failure::Usage(format!(
                "no member of {parent} has the mail address {text}; see `token-broker member list`"
            )));
        }
        page_token = page.next_page_token;
    }
}

/// Shows a member and the link, the only time that it can be had. An empty one says that the request was a retry.
fn show_link<A: super::json::Named>(
    session: &mut Session,
    answer: &A,
    member: &pb::Member,
    link: &str,
) -> Result<(), Failure> {
    if session.terminal.format != Format::Table {
        return session.terminal.message(answer);
    }
    session.terminal.fields(member, COLUMNS)?;
    if link.is_empty() {
        let text = "the link was shown when it was made; if it is lost, make another with `token-broker member resend`";
        session.terminal.notice(text);
        return Ok(());
    }
    session.terminal.text(&format!("\n{link}\n"))?;
    session
        .terminal
        .notice("\nSend the link to this person and nobody else: it can be used once, and is not shown again.");
    Ok(())
}

async fn sessions(session: &mut Session, member: &str, paging: &Paging) -> Result<(), Failure> {
    let parent = named(session, member).await?;
    let client = MemberServiceClient::new(session.client());
    let fetch = async |page_size, page_token| {
        let request = pb::ListSessionsRequest { parent: parent.clone(), page_size, page_token };
        let answer = client.clone().list_sessions(request).await?.into_inner();
        Ok(Page { items: answer.sessions, next: answer.next_page_token })
    };
    session.list(SESSIONS, paging, "the member is not signed in", fetch).await
}

async fn sign_out(session: &mut Session, member: &str, one: Option<String>) -> Result<(), Failure> {
    let parent = named(session, member).await?;
    let mut client = MemberServiceClient::new(session.client());
    let names = match one {
        Some(one) => vec![under(&parent, "sessions", &one)],
        None => {
            let request = pb::ListSessionsRequest { parent, page_size: 1000, ..Default::default() };
            let found = client.list_sessions(session.request(request)).await?.into_inner().sessions;
            found.into_iter().map(|session| session.name).collect()
        }
    };
    for name in &names {
        // Each is a change of its own; ending one twice is no error.
        let request = pb::EndSessionRequest { name: name.clone(), request_id: String::new() };
        client.end_session(session.request(request)).await?;
    }
    session.terminal.say(&format!("{} sessions have ended", names.len()))
}

async fn list(session: &mut Session, paging: &Paging, state: Option<pb::MemberState>) -> Result<(), Failure> {
    let client = MemberServiceClient::new(session.client());
    let parent = session.team().await?;
    let state = state.map_or(0, i32::from);
    let fetch = async |page_size, page_token| {
        let request = pb::ListMembersRequest { parent: parent.clone(), state, page_size, page_token };
        let answer = client.clone().list_members(request).await?.into_inner();
        Ok(Page { items: answer.members, next: answer.next_page_token })
    };
    session
        .list(COLUMNS, paging, "there are no such members; invite one with `token-broker member invite`", fetch)
        .await
}
