//! `token-broker keys`: the sealing key of the store. The keys of people and programs are in `key`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::session::Session;
use super::table::{Cell, Column, Tone};
use super::terminal::Format;
use super::times::from_wire;
use crate::grpc::pb;
use crate::grpc::pb::key_service_client::KeyServiceClient;

/// What to do with the sealing key.
#[derive(Subcommand)]
pub enum KeysCommand {
    /// Show which sealing key the store is sealed with, and how far secrets are sealed with the newest data keys.
    Show,
    /// Change the sealing key, and seal everything anew while leases go on.
    ///
    /// Once it is answered, the old sealing key opens nothing of the store. A new key file takes the place of the old one, which is kept
    /// beside it, with its fingerprint at the end of its name, for backups of the store from before. Keep a copy of the new one apart. API
    /// keys go on working. A key that comes from the environment (vault.key) is changed to vault.next_key.
    #[command(
        after_help = "Examples:\n  token-broker keys rotate\n  token-broker keys rotate --no-wait && token-broker keys show"
    )]
    Rotate(RotateArgs),
}

/// Options of `keys rotate`.
#[derive(Args)]
pub struct RotateArgs {
    /// Don't wait until all secrets are sealed anew.
    #[arg(long)]
    no_wait: bool,
}

const FIELDS: &[Column<pb::Sealing>] = &[
    Column::text("SEALING KEY", |one, _| one.fingerprint.as_str().into()),
    Column::text("SECRETS", |one, _| state(one)),
    Column::number("LOOKED AT", |one, _| one.looked_at.into()),
    Column::number("SEALED ANEW", |one, _| one.resealed.into()),
    Column::number("DAMAGED", |one, _| one.damaged.into()),
    Column::text("LAST PASS", |one, _| {
        one.finish_time.as_ref().map(|at| from_wire(at).to_string()).unwrap_or_default().into()
    }),
];

/// How often it is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(500);

fn state(one: &pb::Sealing) -> Cell {
    match (one.resealing, one.damaged) {
        (true, _) => Cell::toned("being sealed anew", Tone::Warning),
        (false, 0) => Cell::toned("sealed with the newest keys", Tone::Good),
        (false, _) => Cell::toned("some do not open", Tone::Bad),
    }
}

/// Carries a command out.
pub async fn run(command: KeysCommand, session: &mut Session) -> Result<(), Failure> {
    let sealing = match command {
        KeysCommand::Show => show(session).await?,
        KeysCommand::Rotate(args) => rotate(session, &args).await?,
    };
    session.terminal.record(&sealing, FIELDS)
}

async fn show(session: &Session) -> Result<pb::Sealing, Failure> {
    let request = session.request(pb::GetSealingRequest {});
    let answer = KeyServiceClient::new(session.client()).get_sealing(request).await?;
    Ok(answer.into_inner().sealing.unwrap_or_default())
}

async fn rotate(session: &mut Session, args: &RotateArgs) -> Result<pb::Sealing, Failure> {
    let request = pb::RotateSealingKeyRequest { request_id: session.request_id() };
    let answer = KeyServiceClient::new(session.client()).rotate_sealing_key(session.request(request)).await?;
    let mut sealing = answer.into_inner().sealing.unwrap_or_default();
    if session.terminal.format == Format::Table {
        session.terminal.notice(&format!("the store is sealed with {} from now on", sealing.fingerprint));
    }
    while sealing.resealing && !args.no_wait {
        tokio::time::sleep(ASK_EVERY).await;
        sealing = show(session).await?;
    }
    Ok(sealing)
}
