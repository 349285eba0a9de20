//! `token-broker token import`: many tokens from a file, in bounded memory, over one stream that can be resumed.
//!
//! The file is read in batches (`rows`, `fields`), a few of which are under way at a time; rejected rows go to a file of their own
//! (`journal`). Invariant: no message of this module repeats a value of the file, since a column may be shifted and hold a
//! secret where none belongs.

mod fields;
mod journal;
mod rows;

use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use clap::{Args, ValueHint};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use self::journal::Journal;
use self::rows::{Batch, RowReader, Unreadable};
use super::failure::Failure;
use super::session::Session;
use super::table::grouped;
use super::terminal::Format;
use crate::grpc::pb;
use crate::grpc::pb::import_tokens_request::Content;
use crate::grpc::pb::token_service_client::TokenServiceClient;

/// Batches under way at a time: reading, sending and the broker's work overlap, and memory stays bounded.
const UNDER_WAY: usize = 4;

/// What the file looks like.
pub const HELP: &str = "\
The file is CSV with a line of titles, or JSON lines (one object a line); which of them is found
out. Each row is one token. An unknown title is an error.

  network, kind               which token: needed
  access_token                its secret: needed
  refresh_token, token_secret further secrets, where the kind has them
  app, person, profile        ids: our app there, who granted it, what it speaks for
  display_name, granted_by    for people
  scopes, purposes            several with ';' or space between them; in JSON also as an array
  access_expire_time, refresh_expire_time, data_access_expire_time, consent_time
                              2026-01-31T10:00:00Z or 2026-01-31
  max_concurrent_leases, reserve_percent
  facts.NAME                  a number from which limits are worked out; in JSON also as an object

Rejected rows don't stop the others; they are listed in FILE.errors.csv. If an import breaks off,
run the same command again: it goes on where it stopped.

Examples:
  token-broker token import tokens.csv --dry-run
  token-broker token import tokens.jsonl --update
  sqlite3 old.db -csv -header 'select …' | token-broker token import - --import-id move-2026";

/// Options of `token import`.
#[derive(Args)]
pub struct ImportArgs {
    /// The file; '-' for stdin, which needs --import-id.
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Names the import; the same name goes on where an earlier run stopped. Default: made from the file's content.
    #[arg(long, value_name = "ID")]
    pub import_id: Option<String>,
    /// Only check the rows; add nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Bring tokens that the team holds already up to date, instead of rejecting their rows.
    #[arg(long)]
    pub update: bool,
    /// Where rejected rows are listed. Default: FILE.errors.csv.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub errors: Option<PathBuf>,
}

/// Imports a file and prints what came of it. Rows that were rejected make it fail, after all others are in.
pub async fn run(args: ImportArgs, session: &mut Session) -> Result<(), Failure> {
    let parent = session.team().await?;
    let import_id = match &args.import_id {
        Some(id) => id.clone(),
        None => id_of(&args, &parent)?,
    };
    let reader = RowReader::open(&args.file)?;
    let begin = pb::ImportBegin {
        parent,
        import_id: import_id.clone(),
        validate_only: args.dry_run,
        allow_existing: args.update,
    };
    let bar = progress(session, &reader);
    let errors = args.errors.clone().unwrap_or_else(|| errors_beside(&args.file));
    let mut import = Import::begin(session, begin, reader, &errors).await?;
    let outcome = tokio::select! {
        outcome = import.send_all(&bar) => outcome,
        Ok(()) = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    };
    bar.finish_and_clear();
    if let Err(failure) = outcome {
        let done = import.totals.committed_row;
        session.terminal.notice(&format!(
            "rows up to {done} are done; run the same command again to go on (import id {import_id})"
        ));
        return Err(failure);
    }
    report(session, &args, &import, &errors)
}

/// The stream and what has come of it so far.
struct Import {
    reader: Option<RowReader>,
    requests: Option<mpsc::Sender<pb::ImportTokensRequest>>,
    answers: Streaming<pb::ImportTokensResponse>,
    journal: Journal,
    /// Rows up to this one were done by an earlier run.
    resumed_after: i64,
    totals: Totals,
}

/// A batch whose answer has not come yet.
struct UnderWay {
    /// How much of the file was read up to its end.
    bytes_read: u64,
    unreadable: Vec<Unreadable>,
    /// Whether it was sent: a batch without a row that can be sent is not.
    is_sent: bool,
}

/// What has come of an import so far, earlier runs included.
#[derive(Default)]
struct Totals {
    import_id: String,
    committed_row: i64,
    added: i64,
    updated: i64,
    unchanged: i64,
    /// Rejected by the broker.
    rejected: i64,
    /// Rejected here: rows that can't even be sent.
    unreadable: i64,
}

impl Totals {
    fn all_rejected(&self) -> i64 {
        self.rejected + self.unreadable
    }

    /// For people who wait.
    fn so_far(&self) -> String {
        let done = self.added + self.updated + self.unchanged;
        format!("{} in, {} rejected", grouped(done), grouped(self.all_rejected()))
    }

    fn take(&mut self, answer: &pb::ImportTokensResponse) {
        self.import_id.clone_from(&answer.import_id);
        self.committed_row = answer.committed_row;
        self.added = answer.added;
        self.updated = answer.updated;
        self.unchanged = answer.unchanged;
        self.rejected = answer.rejected;
    }
}

impl Import {
    /// Opens the stream and learns where an earlier run stopped.
    async fn begin(
        session: &Session,
        begin: pb::ImportBegin,
        reader: RowReader,
        errors: &Path,
    ) -> Result<Self, Failure> {
        let (requests, queue) = mpsc::channel(UNDER_WAY);
        let first = pb::ImportTokensRequest { content: Some(Content::Begin(begin)) };
        requests.try_send(first).expect("the queue is new and has room");
        let stream = TokenServiceClient::new(session.client()).import_tokens(ReceiverStream::new(queue)).await?;
        let mut answers = stream.into_inner();
        let mut totals = Totals::default();
        totals.take(&next(&mut answers).await?);
        let resumed_after = totals.committed_row;
        let journal = Journal::open(errors, resumed_after)?;
        Ok(Self { reader: Some(reader), requests: Some(requests), answers, journal, resumed_after, totals })
    }

    /// Sends every batch, with a few of them under way, and takes the answers.
    async fn send_all(&mut self, bar: &ProgressBar) -> Result<(), Failure> {
        let mut under_way = VecDeque::with_capacity(UNDER_WAY);
        loop {
            while self.requests.is_some() && under_way.len() < UNDER_WAY {
                let batch = self.read().await?;
                under_way.push_back(self.send(batch).await);
            }
            let Some(batch) = under_way.pop_front() else { break };
            self.take(&batch).await?;
            bar.set_position(batch.bytes_read);
            bar.set_message(self.totals.so_far());
        }
        while self.answers.message().await?.is_some() {}
        Ok(())
    }

    /// Takes the answer to a batch, and lists what was rejected of it.
    async fn take(&mut self, batch: &UnderWay) -> Result<(), Failure> {
        let mut lines: Vec<_> = batch.unreadable.iter().map(journal::unreadable).collect();
        self.totals.unreadable += i64::try_from(lines.len()).unwrap_or(i64::MAX);
        if batch.is_sent {
            let answer = next(&mut self.answers).await?;
            self.totals.take(&answer);
            let rejected = answer.results.iter().filter(|one| one.outcome() == pb::ImportOutcome::Rejected);
            lines.extend(rejected.map(journal::rejected));
        }
        self.journal.write(lines)
    }

    /// Reads the next batch off the async threads.
    async fn read(&mut self) -> Result<Batch, Failure> {
        let mut reader = self.reader.take().expect("it is put back after each batch");
        let read = tokio::task::spawn_blocking(move || {
            let batch = reader.next_batch();
            (reader, batch)
        });
        let (reader, batch) = read.await.map_err(|error| Failure::Answer(error.to_string()))?;
        self.reader = Some(reader);
        batch
    }

    /// Sends what an earlier run has not done.
    async fn send(&mut self, batch: Batch) -> UnderWay {
        let rows: Vec<_> = batch.rows.into_iter().filter(|row| row.row > self.resumed_after).collect();
        let is_sent = !rows.is_empty();
        if let (true, Some(requests)) = (is_sent, &self.requests) {
            let request = pb::ImportTokensRequest { content: Some(Content::Rows(pb::ImportRows { rows })) };
            if requests.send(request).await.is_err() {
                // The broker has ended the stream; the answers tell why.
                self.requests = None;
            }
        }
        if batch.is_last {
            self.requests = None;
        }
        UnderWay { bytes_read: batch.bytes_read, unreadable: batch.unreadable, is_sent }
    }
}

async fn next(answers: &mut Streaming<pb::ImportTokensResponse>) -> Result<pb::ImportTokensResponse, Failure> {
    let answer = answers.message().await?;
    answer.ok_or_else(|| Failure::Answer("the import ended before all rows were answered".to_owned()))
}

/// The same file with the same settings has the same id, so that the same command resumes.
fn id_of(args: &ImportArgs, parent: &str) -> Result<String, Failure> {
    if args.file == Path::new("-") {
        return Err(Failure::Usage("stdin can't be read twice: name the import with --import-id".to_owned()));
    }
    let failed = |source| Failure::File { path: args.file.clone(), source };
    let mut file = std::fs::File::open(&args.file).map_err(failed)?;
    let mut digest = Context::new(&SHA256);
    digest.update(format!("{parent}\n{}\n{}\n", args.dry_run, args.update).as_bytes());
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => break,
            read => digest.update(&buffer[..read]),
        }
    }
    let hex: String = digest.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("imp_{hex}"))
}

fn errors_beside(file: &Path) -> PathBuf {
    if file == Path::new("-") {
        return PathBuf::from("import.errors.csv");
    }
    let mut name = file.as_os_str().to_owned();
    name.push(".errors.csv");
    PathBuf::from(name)
}

fn progress(session: &Session, reader: &RowReader) -> ProgressBar {
    if !session.terminal.shows_progress() {
        return ProgressBar::hidden();
    }
    let Some(bytes) = reader.bytes() else { return ProgressBar::new_spinner() };
    let style = ProgressStyle::with_template("{bar:16} {percent:>3} %  {msg}  {eta} left");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn report(session: &mut Session, args: &ImportArgs, import: &Import, errors: &Path) -> Result<(), Failure> {
    let Import { totals, journal, .. } = import;
    let rejected = totals.all_rejected();
    match session.terminal.format {
        Format::Table => {
            let done = if args.dry_run { "would be added" } else { "added" };
            let sentence = format!(
                "{} {done}, {} brought up to date, {} unchanged, {} rejected",
                grouped(totals.added),
                grouped(totals.updated),
                grouped(totals.unchanged),
                grouped(rejected)
            );
            session.terminal.say(&sentence)?;
            journal.first().iter().for_each(|row| session.terminal.notice(&format!("  {row}")));
        }
        _ => session.terminal.json(&serde_json::json!({
            "importId": totals.import_id,
            "validateOnly": args.dry_run,
            "added": totals.added,
            "updated": totals.updated,
            "unchanged": totals.unchanged,
            "rejected": rejected,
            "errorsFile": (rejected > 0).then(|| errors.display().to_string()),
        }))?,
    }
    let unlisted = usize::try_from(rejected).unwrap_or_default().saturating_sub(journal.len());
    if unlisted > 0 {
        session.terminal.notice(&format!(
            "{unlisted} of them were rejected just when an earlier run broke off; --update with another --import-id lists all"
        ));
    }
    match u64::try_from(rejected) {
        Ok(0) | Err(_) => Ok(()),
        Ok(rejected) => Err(Failure::RowsRejected { rejected, errors: errors.to_owned() }),
    }
}
