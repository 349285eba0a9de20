//! `token-broker key`, and the keys of collectors.

use clap::Subcommand;

use super::failure::Failure;
use super::names::{short, top};
use super::options::{Comment, Paging};
use super::secrets::SecretSource;
use super::session::{Page, Session};
use super::table::{Cell, Column, Tone, View};
use super::terminal::Format;
use super::times::{When, from_wire, parse_when};
use super::words::{word_of, word_parser};
use crate::grpc::pb;
use crate::grpc::pb::key_service_client::KeyServiceClient;

/// What to do with keys.
#[derive(Subcommand)]
pub enum KeyCommand {
    /// Create a key for an operator and print it, this once.
    #[command(after_help = "Example:\n  token-broker key create --role reader --display-name grafana --expires 90d")]
    Create {
        /// What it may do: a reader looks at everything and changes nothing.
        #[arg(long, value_parser = word_parser::<pb::KeyRole>())]
        role: pb::KeyRole,
        /// Make no value: whoever shows a client certificate with this DNS name or URI is let in.
        #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
        certificate_name: String,
        #[command(flatten)]
        fields: KeyFields,
    },
    /// List keys, newest first, without their values.
    List {
        #[command(flatten)]
        paging: Paging,
        /// Only this role.
        #[arg(long, value_parser = word_parser::<pb::KeyRole>())]
        role: Option<pb::KeyRole>,
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
    /// End a key of which only the value is known, such as one that was found in a repository.
    #[command(
        after_help = "Example:\n  git show HEAD:settings.env | grep -o 'tbk_[0-9A-Za-z_]*' | token-broker key revoke-value"
    )]
    RevokeValue {
        /// Where the value is read from: '-' for stdin, 'env:NAME', or a file.
        #[arg(long, value_name = "SOURCE", default_value = "-")]
        value_from: SecretSource,
        #[command(flatten)]
        comment: Comment,
    },
}

/// What can be said about a new key.
#[derive(clap::Args)]
pub struct KeyFields {
    /// A name for people.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    display_name: String,
    /// When it ends by itself: a span from now, or a time. Default: never.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    expires: Option<When>,
}

const COLUMNS: &[Column<pb::Key>] = &[
    Column::text("KEY", |key, _| short(&key.name).into()),
    Column::text("ROLE", |key, _| word_of::<pb::KeyRole>(key.role).into()),
    Column::minor_text("COLLECTOR", |key, _| short(&key.collector).into()),
    Column::minor_text("NAME", |key, _| key.display_name.as_str().into()),
    Column::text("STATE", state),
    Column::text("EXPIRES", |key, view| view.time(key.expire_time.as_ref())),
    Column::minor_text("CERTIFICATE", |key, _| key.certificate_name.as_str().into()),
    Column::minor_text("CREATED", |key, view| view.time(key.create_time.as_ref())),
];

fn state(key: &pb::Key, view: View) -> Cell {
    let has_ended = key.expire_time.as_ref().is_some_and(|at| from_wire(at) <= view.now);
    match key.revoke_time {
        Some(_) => Cell::toned("revoked", Tone::Bad),
        None if has_ended => Cell::toned("ended", Tone::Bad),
        None => Cell::toned("valid", Tone::Good),
    }
}

/// Carries a command out.
pub async fn run(command: KeyCommand, session: &mut Session) -> Result<(), Failure> {
    match command {
        KeyCommand::Create { role: pb::KeyRole::Collector, .. } => Err(Failure::Usage(
            "a collector's keys are made with `token-broker collector key create COLLECTOR`".to_owned(),
        )),
        KeyCommand::Create { role, certificate_name, fields } => {
            let key = pb::Key { role: role.into(), certificate_name, ..pb::Key::default() };
            create(session, key, fields).await
        }
        KeyCommand::List { paging, role, all } => list(session, &paging, String::new(), role, all).await,
        KeyCommand::Revoke { name, comment } => revoke(session, &name, comment).await,
        KeyCommand::RevokeValue { value_from, comment } => revoke_value(session, &value_from, comment).await,
    }
}

/// Creates a key and prints its value, the only time that it can be had.
pub async fn create(session: &mut Session, key: pb::Key, fields: KeyFields) -> Result<(), Failure> {
    let key = pb::Key {
        display_name: fields.display_name,
        expire_time: fields.expires.map(|when| when.after(session.now())),
        ..key
    };
    let request = pb::CreateKeyRequest { key: Some(key), request_id: session.request_id() };
    let answer = KeyServiceClient::new(session.client()).create_key(session.request(request)).await?.into_inner();
    if session.terminal.format != Format::Table {
        return session.terminal.message(&answer);
    }
    let key = answer.key.unwrap_or_default();
    session.terminal.fields(&key, COLUMNS)?;
    if !key.certificate_name.is_empty() {
        return Ok(());
    }
    show_value(session, &answer.secret)
}

/// Prints the value of a new key. An empty one says that the request was a retry.
pub fn show_value(session: &mut Session, value: &str) -> Result<(), Failure> {
    if value.is_empty() {
        session
            .terminal
            .notice("the value was shown when the key was made; if it is lost, revoke the key and make another");
        return Ok(());
    }
    session.terminal.text(&format!("\n{value}\n"))?;
    session
        .terminal
        .notice("\nKeep the value now: it can't be shown again. Use it as TOKEN_BROKER_KEY or with --key-file.");
    Ok(())
}

/// Lists keys: those of one collector, or all.
pub async fn list(
    session: &mut Session,
    paging: &Paging,
    collector: String,
    role: Option<pb::KeyRole>,
    show_ended: bool,
) -> Result<(), Failure> {
    let client = KeyServiceClient::new(session.client());
    let role = role.map_or(0, i32::from);
    let fetch = async |page_size, page_token| {
        let request = pb::ListKeysRequest { collector: collector.clone(), role, show_ended, page_size, page_token };
        let answer = client.clone().list_keys(request).await?.into_inner();
        Ok(Page { items: answer.keys, next: answer.next_page_token })
    };
    session.list(COLUMNS, paging, "there are no such keys", fetch).await
}

/// Ends a key.
pub async fn revoke(session: &mut Session, name: &str, comment: Comment) -> Result<(), Failure> {
    let request =
        pb::RevokeKeyRequest { name: top("keys", name), comment: comment.comment, request_id: session.request_id() };
    let answer = KeyServiceClient::new(session.client()).revoke_key(session.request(request)).await?;
    let key = super::session::part(answer, |answer| answer.key)?;
    session.terminal.record(&key, COLUMNS)
}

async fn revoke_value(session: &mut Session, source: &SecretSource, comment: Comment) -> Result<(), Failure> {
    let value = source.read("the key's value")?.expose().to_owned();
    let request = pb::RevokeKeyByValueRequest { value, comment: comment.comment, request_id: session.request_id() };
    KeyServiceClient::new(session.client()).revoke_key_by_value(session.request(request)).await?;
    session.terminal.say("if the value was a key, it is revoked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::cli::table::draw_table;
    use crate::cli::times::to_wire;

    #[test]
    fn a_key_that_has_ended_says_so() {
        let now = Timestamp::from_secs(1_700_000_000);
        let key = |expire: Option<i64>, revoke: Option<i64>| pb::Key {
            expire_time: expire.map(|at| to_wire(Timestamp::from_secs(at))),
            revoke_time: revoke.map(|at| to_wire(Timestamp::from_secs(at))),
            ..pb::Key::default()
        };
        let columns = &[Column::text("STATE", state)];
        let view = View { now, detail: false };
        let keys =
            [key(None, None), key(Some(1_700_000_000), None), key(Some(1_700_000_001), None), key(None, Some(1))];
        assert_eq!(draw_table(&keys, columns, view, false, None), "STATE\nvalid\nended\nvalid\nrevoked\n");
    }
}
