//! `token-broker consent`.

use clap::Subcommand;

use super::failure::Failure;
use super::names::short;
use super::options::Comment;
use super::session::{Session, part};
use super::table::Column;
use super::words::{word_parser, words_of};
use crate::grpc::pb;
use crate::grpc::pb::consent_service_client::ConsentServiceClient;

/// What to do with consents.
#[derive(Subcommand)]
pub enum ConsentCommand {
    /// Show what the person behind a token agreed to.
    Show {
        /// The token's id, `tok_…`.
        token: String,
    },
    /// Take purposes back on the person's behalf: at once, until the account is connected anew.
    #[command(
        after_help = "Example:\n  token-broker consent withdraw tok_0192… --purpose publish --comment 'asked by phone'"
    )]
    Withdraw {
        /// The token's id, `tok_…`.
        token: String,
        /// A purpose; may be repeated.
        #[arg(long = "purpose", value_name = "PURPOSE", required = true, value_parser = word_parser::<pb::Purpose>())]
        purposes: Vec<pb::Purpose>,
        #[command(flatten)]
        comment: Comment,
    },
}

const COLUMNS: &[Column<pb::Consent>] = &[
    Column::text("TOKEN", |consent, _| short(&consent.token).into()),
    Column::text("PURPOSES", |consent, _| words_of::<pb::Purpose>(&consent.purposes).into()),
    Column::text("SINCE", |consent, view| view.time(consent.consent_time.as_ref())),
    Column::text("TEXT", |consent, _| consent.text_version.as_str().into()),
    Column::minor_text("WITHDRAWN", |consent, _| withdrawn(consent).into()),
];

fn withdrawn(consent: &pb::Consent) -> String {
    let mut all: Vec<i32> = consent.changes.iter().flat_map(|change| change.withdrawn.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all.retain(|purpose| !consent.purposes.contains(purpose));
    words_of::<pb::Purpose>(&all)
}

/// Carries a command out.
pub async fn run(command: ConsentCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = ConsentServiceClient::new(session.client());
    let consent = match command {
        ConsentCommand::Show { token } => {
            let request = pb::GetConsentRequest { token: session.in_team("tokens", &token).await? };
            part(client.get_consent(session.request(request)).await?, |answer| answer.consent)?
        }
        ConsentCommand::Withdraw { token, purposes, comment } => {
            let (token, request_id) = (session.in_team("tokens", &token).await?, session.request_id());
            let purposes = purposes.into_iter().map(i32::from).collect();
            let request = pb::WithdrawConsentRequest { token, purposes, comment: comment.comment, request_id };
            part(client.withdraw_consent(session.request(request)).await?, |answer| answer.consent)?
        }
    };
    session.terminal.record(&consent, COLUMNS)
}
