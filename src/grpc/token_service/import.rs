//! An import over one stream: `begin`, then rows; each message is answered in order, and no further one is read before.

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::read::read_token;
use crate::base::ids::TeamId;
use crate::grpc::authorization::may_stay;
use crate::grpc::fields::{count, name_in};
use crate::grpc::pb::{self, ErrorReason, import_tokens_request::Content};
use crate::grpc::refusals::reason_of;
use crate::grpc::status::{FieldMistakes, Refusal, refuse};
use crate::service::import_tokens::{BeginImport, Import, ImportRow, Outcome, RowRejected};
use crate::service::tokens::TokenError;
use crate::service::{Broker, Caller};

/// Rows of one message at most.
const MAX_ROWS: usize = 1_000;
/// Bytes of one message of rows at most.
const MAX_BYTES: usize = 1 << 20;
/// Answers that wait for the client.
const WAITING: usize = 4;

type Answer = Result<pb::ImportTokensResponse, Status>;

/// Runs an import to the end of its stream, and what was begun of a message to its end.
pub fn run(broker: &Broker, caller: Caller, requests: Streaming<pb::ImportTokensRequest>) -> ReceiverStream<Answer> {
    let (answers, stream) = mpsc::channel(WAITING);
    let importing = broker.clone();
    broker.tasks.spawn("import", async move {
        if let Err(status) = answer_all(&importing, &caller, requests, &answers).await {
            // If the client has gone, nobody wants to know.
            let _ = answers.send(Err(status)).await;
        }
    });
    ReceiverStream::new(stream)
}

async fn answer_all(
    broker: &Broker,
    caller: &Caller,
    mut requests: Streaming<pb::ImportTokensRequest>,
    answers: &mpsc::Sender<Answer>,
) -> Result<(), Status> {
    let mut import: Option<Import> = None;
    loop {
        let request = tokio::select! {
            () = answers.closed() => return Ok(()),
            () = broker.tasks.stopped() => return Err(stopping()),
            request = requests.message() => request?,
        };
        let Some(request) = request else { return Ok(()) };
        may_stay(broker, caller, "TokenService/ImportTokens")?;
        let size = request.encoded_len();
        let answer = match (request.content, &mut import) {
            (Some(Content::Begin(begin)), None) => {
                let begun = broker.begin_import(caller, read_begin(&begin)?).await.map_err(Refusal::from)?;
                let answer = answer_of(&begun, &begin.import_id, Vec::new());
                import = Some(begun);
                answer
            }
            (Some(Content::Rows(rows)), Some(import)) => {
                let name = import.import_id().to_owned();
                let team = import.team().clone();
                let done = import.take(read_rows(rows, size)?).await.map_err(Refusal::from)?;
                let results = done.into_iter().map(|(row, outcome)| result_of(&team, row, outcome)).collect();
                answer_of(import, &name, results)
            }
            (Some(Content::Begin(_)), Some(_)) => return Err(out_of_order("begin", "begin comes once, at first")),
            (Some(Content::Rows(_)), None) => return Err(out_of_order("rows", "begin comes before the rows")),
            (None, _) => return Err(out_of_order("content", "a message must hold begin or rows")),
        };
        if answers.send(Ok(answer)).await.is_err() {
            return Ok(());
        }
    }
}

fn stopping() -> Status {
    let message = "the broker is about to stop; go on with the same import id on the next one";
    refuse(Code::Unavailable, ErrorReason::ShuttingDown, message).retry_in(std::time::Duration::from_secs(1)).status()
}

fn out_of_order(field: &'static str, wrong: &str) -> Status {
    refuse(Code::InvalidArgument, ErrorReason::InvalidField, wrong).field(field).status()
}

fn read_begin(begin: &pb::ImportBegin) -> Result<BeginImport, Status> {
    let mut mistakes = FieldMistakes::default();
    let team: Option<TeamId> = name_in("begin.parent", "teams", &begin.parent, &mut mistakes);
    let id = &begin.import_id;
    if id.is_empty() || id.len() > 64 || !id.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        mistakes.note("begin.import_id", "must have 1 to 64 printable ASCII characters");
    }
    mistakes.check()?;
    let team = team.ok_or_else(|| out_of_order("begin.parent", "is required"))?;
    let pb::ImportBegin { validate_only, allow_existing, .. } = *begin;
    Ok(BeginImport { team, import_id: id.clone(), validate_only, allow_existing })
}

fn read_rows(rows: pb::ImportRows, size: usize) -> Result<Vec<ImportRow>, Status> {
    if rows.rows.is_empty() || rows.rows.len() > MAX_ROWS {
        return Err(out_of_order("rows", "a message must hold 1 to 1000 rows"));
    }
    if size > MAX_BYTES {
        return Err(out_of_order("rows", "a message of rows must have at most 1 MiB; send fewer rows in each"));
    }
    rows.rows.into_iter().map(read_row).collect()
}

/// A row whose fields are wrong is a row that is rejected; a row without a number ends the stream.
fn read_row(row: pb::ImportRow) -> Result<ImportRow, Status> {
    let number = u64::try_from(row.row).ok().filter(|number| *number > 0);
    let number = number.ok_or_else(|| out_of_order("rows.row", "rows are numbered from 1"))?;
    let mut mistakes = FieldMistakes::default();
    let token = read_token(row.token.as_ref(), row.secrets.as_ref(), &mut mistakes);
    let token = match mistakes.first() {
        None => Ok(token),
        Some((field, wrong)) => Err(RowRejected::Field { field: field.to_owned(), wrong: wrong.to_owned() }),
    };
    Ok(ImportRow { row: number, token })
}

fn answer_of(import: &Import, import_id: &str, results: Vec<pb::ImportRowResult>) -> pb::ImportTokensResponse {
    let counts = import.counts();
    pb::ImportTokensResponse {
        import_id: import_id.to_owned(),
        committed_row: count(import.committed()),
        results,
        added: count(counts.added),
        updated: count(counts.updated),
        unchanged: count(counts.unchanged),
        rejected: count(counts.rejected),
    }
}

fn result_of(team: &TeamId, row: u64, outcome: Outcome) -> pb::ImportRowResult {
    let (outcome, token, rejected) = match outcome {
        Outcome::Added(token) => (pb::ImportOutcome::Added, token, None),
        Outcome::Updated(token) => (pb::ImportOutcome::Updated, token, None),
        Outcome::Unchanged(token) => (pb::ImportOutcome::Unchanged, token, None),
        Outcome::Rejected(rejected) => (pb::ImportOutcome::Rejected, None, Some(rejected)),
    };
    let (reason, field, message) = match rejected {
        None => (ErrorReason::Unspecified, String::new(), String::new()),
        Some(RowRejected::Field { field, wrong }) => {
            (ErrorReason::InvalidField, field.clone(), format!("{field}: {wrong}"))
        }
        Some(RowRejected::Token(wrong)) => (reason_of(&wrong), wrong.field().to_owned(), wrong.to_string()),
        Some(RowRejected::Spent(held)) => {
            let message = format!(
                "teams/{team}/tokens/{held} has had this refresh token before and a later one now: at many networks, showing an old one \
                 again ends the grant; leave the row out, or connect the account anew"
            );
            (ErrorReason::SpentRefreshToken, "secrets.refresh_token".to_owned(), message)
        }
        Some(RowRejected::RefreshHeld(holder)) => {
            let message = TokenError::RefreshHeld(holder).to_string();
            (ErrorReason::TokenExists, "secrets.refresh_token".to_owned(), message)
        }
        Some(RowRejected::Exists(held)) => {
            let message = format!("the team holds this very token already, as teams/{team}/tokens/{held}");
            (ErrorReason::TokenExists, String::new(), message)
        }
    };
    pb::ImportRowResult {
        row: count(row),
        outcome: outcome as i32,
        token: token.map(|token| format!("teams/{team}/tokens/{token}")).unwrap_or_default(),
        reason: reason as i32,
        field,
        message,
    }
}
