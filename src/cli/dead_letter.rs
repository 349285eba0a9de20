//! `token-broker dead-letter`.

use clap::Subcommand;

use super::failure::Failure;
use super::names::{short, top};
use super::options::Paging;
use super::session::{Page, Session};
use super::table::{Cell, Column, Tone};
use crate::grpc::pb;
use crate::grpc::pb::notice_service_client::NoticeServiceClient;

/// What to do with messages that were given up.
#[derive(Subcommand)]
pub enum DeadLetterCommand {
    /// List them, the oldest first.
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Send them again, once what stood in the way is mended.
    #[command(after_help = "Example:\n  token-broker dead-letter replay out_…")]
    Replay {
        /// The messages' ids, `out_…`.
        #[arg(required = true)]
        messages: Vec<String>,
    },
    /// Delete them.
    Purge {
        /// The messages' ids, `out_…`.
        #[arg(required = true)]
        messages: Vec<String>,
    },
}

const COLUMNS: &[Column<pb::DeadLetter>] = &[
    Column::text("MESSAGE", |letter, _| short(&letter.name).into()),
    Column::text("DESTINATION", |letter, _| letter.destination.as_str().into()),
    Column::text("EVENTS", |letter, _| letter.events.to_string().into()),
    Column::minor_text("ATTEMPTS", |letter, _| letter.attempts.to_string().into()),
    Column::minor_text("MADE", |letter, view| view.time(letter.create_time.as_ref())),
    Column::text("ERROR", |letter, _| Cell::toned(letter.error.as_str(), Tone::Bad)),
];

/// Carries a command out.
pub async fn run(command: DeadLetterCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = NoticeServiceClient::new(session.client());
    match command {
        DeadLetterCommand::List { paging } => {
            let fetch = async |page_size, page_token| {
                let request = pb::ListDeadLettersRequest { page_size, page_token };
                let answer = client.clone().list_dead_letters(request).await?.into_inner();
                Ok(Page { items: answer.dead_letters, next: answer.next_page_token })
            };
            session.list(COLUMNS, &paging, "no message was given up", fetch).await
        }
        // One after the other: the first failure ends it, and says of which message it is.
        DeadLetterCommand::Replay { messages } => {
            for message in &messages {
                let name = top("deadLetters", message);
                let request = pb::ReplayDeadLetterRequest { name, request_id: session.request_id() };
                client.replay_dead_letter(session.request(request)).await?;
                session.terminal.say(&format!("{message} is sent again."))?;
            }
            Ok(())
        }
        DeadLetterCommand::Purge { messages } => {
            for message in &messages {
                let name = top("deadLetters", message);
                let request = pb::PurgeDeadLetterRequest { name, request_id: session.request_id() };
                client.purge_dead_letter(session.request(request)).await?;
                session.terminal.say(&format!("{message} is deleted."))?;
            }
            Ok(())
        }
    }
}
