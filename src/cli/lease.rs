//! `token-broker lease`: a worker's life by hand.
//!
//! Invariant: the access token of a lease is shown or written only where the command line says so.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};

use super::failure::Failure;
use super::names::{short, top};
use super::options::{Paging, read};
use super::session::{Page, Session, part};
use super::table::{Cell, Column, Tone, View};
use super::times::{parse_span, span_to_wire};
use super::words::{word_of, word_parser};
use crate::grpc::pb;
use crate::grpc::pb::lease_service_client::LeaseServiceClient;

/// What to do with leases.
#[derive(Subcommand)]
pub enum LeaseCommand {
    /// Take a lease on the token with the most credit.
    #[command(
        after_help = "Examples:\n  token-broker lease acquire --network x --operation tweets.search_recent --calls 10 \\\n      \
        --purpose collect_content --token-file access\n  \
        curl -H @<(sed 's/^/authorization: Bearer /' access) https://api.x.com/2/tweets/search/recent"
    )]
    Acquire(AcquireArgs),
    /// Say what was done with a lease, and ask for more credit.
    #[command(
        after_help = "Example:\n  token-broker lease report lse_0192… --sequence 1 --ok 9 --throttled 1 --status 429 \\\n      \
        --header 'x-rate-limit-remaining: 0' --want 10"
    )]
    Report(ReportArgs),
    /// End a lease; credit that was not used goes back.
    Release(ReleaseArgs),
    /// Move the end of a lease.
    Extend {
        /// The lease's id, `lse_…`.
        lease: String,
        /// How long it shall last from now: 10s to 1h. Default: the broker's.
        #[arg(long, value_name = "SPAN", value_parser = parse_span)]
        ttl: Option<Duration>,
    },
    /// Show one lease.
    Show {
        /// The lease's id, `lse_…`.
        lease: String,
    },
    /// List leases, newest first.
    List(ListArgs),
}

/// Options of `lease acquire`.
#[derive(Args)]
pub struct AcquireArgs {
    /// The network, such as x.
    #[arg(long)]
    network: String,
    /// The operation; see `networks show NETWORK`.
    #[arg(long)]
    operation: String,
    /// How many calls: 1 to 1,000,000.
    #[arg(long, default_value_t = 1, value_name = "N")]
    calls: i32,
    /// Accept fewer calls, down to this many. Default: all or none.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    min_calls: i32,
    /// What the token will be used for.
    #[arg(long, value_parser = word_parser::<pb::Purpose>())]
    purpose: pb::Purpose,
    /// Only tokens that speak for this profile.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    profile: String,
    /// Only tokens of this kind, such as page.
    #[arg(long, default_value = "", hide_default_value = true)]
    kind: String,
    /// The collection that the demand is charged to, such as brand-watch.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    collection: String,
    /// Who goes first where credit is short.
    #[arg(long, value_parser = word_parser::<pb::Priority>())]
    priority: Option<pb::Priority>,
    /// How long to wait for credit: up to 5min.
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    wait: Option<Duration>,
    /// How long the lease shall last: 10s to 1h. Default: the broker's.
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    ttl: Option<Duration>,
    /// A different key, such as a hashtag, that the calls will use; may be repeated.
    #[arg(long = "distinct-key", value_name = "KEY")]
    distinct_keys: Vec<String>,
    /// Print the access token and the request parameters with the lease.
    #[arg(long)]
    show_token: bool,
    /// Write the access token to this file, for the owner's eyes only.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,
}

/// Calls made since the last report, and what the network answered.
#[derive(Args)]
pub struct Usage {
    /// Calls that the network served.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    ok: i32,
    /// Calls that it answered with an error other than a limit.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    error: i32,
    /// Calls that it refused because of a limit.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    throttled: i32,
    /// Calls without an answer.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    unknown: i32,
    /// Calls that were not sent and never will be.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    not_sent: i32,
    /// The HTTP status of the network's last answer.
    #[arg(long, value_name = "CODE")]
    status: Option<i32>,
    /// A header of that answer, as 'name: value'; may be repeated.
    #[arg(long = "header", value_name = "HEADER", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// File with the body of that answer, where it is an error.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    body_file: Option<PathBuf>,
}

impl Usage {
    fn calls(&self) -> Option<pb::CallCounts> {
        let counts = pb::CallCounts {
            ok: self.ok,
            error: self.error,
            throttled: self.throttled,
            unknown: self.unknown,
            not_sent: self.not_sent,
        };
        (counts != pb::CallCounts::default()).then_some(counts)
    }

    fn answer(&self) -> Result<Option<pb::NetworkAnswer>, Failure> {
        if self.status.is_none() && self.headers.is_empty() && self.body_file.is_none() {
            return Ok(None);
        }
        let headers = self.headers.iter().cloned().map(|(name, value)| pb::Header { name, value }).collect();
        let body = self.body_file.as_deref().map(read).transpose()?.unwrap_or_default().into();
        Ok(Some(pb::NetworkAnswer { http_status: self.status.unwrap_or_default(), headers, body, receive_time: None }))
    }
}

/// Options of `lease report`.
#[derive(Args)]
pub struct ReportArgs {
    /// The lease's id, `lse_…`.
    lease: String,
    /// The number of this report in its lease: 1, 2, 3 …
    #[arg(long, value_name = "N")]
    sequence: i64,
    #[command(flatten)]
    usage: Usage,
    /// How many calls more are wanted.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    want: i32,
    /// A further different key that the wanted calls will use; may be repeated.
    #[arg(long = "distinct-key", value_name = "KEY")]
    distinct_keys: Vec<String>,
}

/// Options of `lease release`.
#[derive(Args)]
pub struct ReleaseArgs {
    /// The lease's id, `lse_…`.
    lease: String,
    /// The number of the last report; needed with calls.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    sequence: i64,
    #[command(flatten)]
    usage: Usage,
}

/// Options of `lease list`.
#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    paging: Paging,
    /// Only this network's.
    #[arg(long, default_value = "", hide_default_value = true)]
    network: String,
    /// Only leases on this token.
    #[arg(long)]
    token: Option<String>,
    /// Only leases of this holder, by its whole name.
    #[arg(long, default_value = "", hide_default_value = true)]
    holder: String,
    /// Only leases in this state. Default: active.
    #[arg(long, value_parser = word_parser::<pb::LeaseState>())]
    state: Option<pb::LeaseState>,
}

/// Reads `name: value`.
fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected 'name: value'".to_owned()),
    }
}

const COLUMNS: &[Column<pb::Lease>] = &[
    Column::text("LEASE", |lease, _| short(&lease.name).into()),
    Column::minor_text("TEAM", |lease, _| short(&lease.team).into()),
    Column::text("NETWORK", |lease, _| short(&lease.network).into()),
    Column::minor_text("OPERATION", |lease, _| lease.operation.as_str().into()),
    Column::minor_text("TOKEN", |lease, _| short(&lease.token).into()),
    Column::minor_text("HOLDER", |lease, _| short(&lease.holder).into()),
    Column::minor_text("COLLECTION", |lease, _| lease.collection.as_str().into()),
    Column::minor_number("GRANTED", |lease, _| lease.calls_granted.into()),
    Column::number("LEFT", |lease, _| lease.calls_left.into()),
    Column::text("STATE", state),
    Column::text("USE BY", |lease, view| view.time(lease.use_by.as_ref())),
    Column::text("ENDS", |lease, view| view.time(lease.end_time.as_ref().or(lease.expire_time.as_ref()))),
];

const FIELDS: &[Column<pb::Lease>] = &[
    Column::text("lease", |lease, _| lease.name.as_str().into()),
    Column::text("state", state),
    Column::text("team", |lease, _| short(&lease.team).into()),
    Column::text("network", |lease, _| short(&lease.network).into()),
    Column::text("operation", |lease, _| lease.operation.as_str().into()),
    Column::text("purpose", |lease, _| word_of::<pb::Purpose>(lease.purpose).into()),
    Column::text("token", |lease, _| lease.token.as_str().into()),
    Column::text("kind", |lease, _| lease.kind.as_str().into()),
    Column::text("profile", |lease, _| lease.profile.as_str().into()),
    Column::text("api base", |lease, _| lease.api_base.as_str().into()),
    Column::text("collection", |lease, _| lease.collection.as_str().into()),
    Column::text("holder", |lease, _| lease.holder.as_str().into()),
    Column::text("credit", |lease, _| credit(lease).into()),
    Column::text("calls granted", |lease, _| lease.calls_granted.into()),
    Column::text("calls left", |lease, _| lease.calls_left.into()),
    Column::text("report every", |lease, _| super::times::exact(lease.report_interval.as_ref()).into()),
    Column::text("use by", |lease, view| view.time(lease.use_by.as_ref())),
    Column::text("ends", |lease, view| view.time(lease.expire_time.as_ref())),
    Column::text("acquired", |lease, view| view.time(lease.create_time.as_ref())),
    Column::text("ended", |lease, view| view.time(lease.end_time.as_ref())),
    Column::text("access token", |lease, _| lease.access_token.as_str().into()),
    Column::text("parameters", |lease, _| parameters(lease).into()),
];

const REPORT: &[Column<pb::ReportUsageResponse>] = &[
    Column::text("verdict", verdict),
    Column::text("reason", |answer, _| word_of::<pb::TokenReason>(answer.reason).into()),
    Column::text("stop until", |answer, view| view.time(answer.stop_until.as_ref())),
    Column::text("calls granted", |answer, _| answer.calls_granted.into()),
    Column::text("calls left", |answer, _| answer.calls_left.into()),
    Column::text("sequence", |answer, _| answer.sequence.into()),
    Column::text("use by", |answer, view| view.time(answer.use_by.as_ref())),
    Column::text("next report within", |answer, _| super::times::exact(answer.next_report.as_ref()).into()),
];

const EXTENSION: &[Column<pb::ExtendLeaseResponse>] = &[
    Column::text("use by", |answer, view| view.time(answer.use_by.as_ref())),
    Column::text("ends", |answer, view| view.time(answer.expire_time.as_ref())),
];

const RELEASE: &[Column<pb::ReleaseLeaseResponse>] =
    &[Column::text("calls returned", |answer, _| answer.calls_returned.into())];

fn state(lease: &pb::Lease, _: View) -> Cell {
    let tone = match lease.state() {
        pb::LeaseState::Active => Tone::Good,
        pb::LeaseState::Recalled => Tone::Bad,
        _ => Tone::Plain,
    };
    Cell::toned(word_of::<pb::LeaseState>(lease.state), tone)
}

fn verdict(answer: &pb::ReportUsageResponse, _: View) -> Cell {
    let tone = match answer.verdict() {
        pb::Verdict::Keep => Tone::Good,
        pb::Verdict::StopUntil => Tone::Warning,
        _ => Tone::Bad,
    };
    Cell::toned(word_of::<pb::Verdict>(answer.verdict), tone)
}

fn credit(lease: &pb::Lease) -> String {
    lease.grants.iter().map(|grant| format!("{} {}", grant.credits, grant.credit_class)).collect::<Vec<_>>().join(", ")
}

fn parameters(lease: &pb::Lease) -> String {
    lease.request_parameters.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

/// Carries a command out.
pub async fn run(command: LeaseCommand, session: &mut Session) -> Result<(), Failure> {
    let mut client = LeaseServiceClient::new(session.client());
    match command {
        LeaseCommand::Acquire(args) => acquire(session, args).await,
        LeaseCommand::Report(args) => report(session, args).await,
        LeaseCommand::Release(args) => {
            let request = pb::ReleaseLeaseRequest {
                lease: top("leases", &args.lease),
                sequence: args.sequence,
                calls: args.usage.calls(),
                answer: args.usage.answer()?,
                request_id: session.request_id(),
            };
            let answer = client.release_lease(session.request(request)).await?.into_inner();
            session.terminal.record(&answer, RELEASE)
        }
        LeaseCommand::Extend { lease, ttl } => {
            let ttl = ttl.map(span_to_wire);
            let request =
                pb::ExtendLeaseRequest { lease: top("leases", &lease), ttl, request_id: session.request_id() };
            let answer = client.extend_lease(session.request(request)).await?.into_inner();
            session.terminal.record(&answer, EXTENSION)
        }
        LeaseCommand::Show { lease } => {
            let request = pb::GetLeaseRequest { name: top("leases", &lease) };
            let lease = part(client.get_lease(session.request(request)).await?, |answer| answer.lease)?;
            session.terminal.record(&lease, FIELDS)
        }
        LeaseCommand::List(args) => list(session, args).await,
    }
}

async fn acquire(session: &mut Session, args: AcquireArgs) -> Result<(), Failure> {
    // The file is made before the lease, so that a lease is not taken whose token can't be kept.
    let file = args.token_file.as_deref().map(private_file).transpose()?;
    let request = pb::AcquireLeaseRequest {
        team: session.team().await?,
        network: top("networks", &args.network),
        operation: args.operation,
        calls: args.calls,
        min_calls: args.min_calls,
        purpose: args.purpose.into(),
        profile: args.profile,
        kind: args.kind,
        collection: args.collection,
        priority: args.priority.map_or(0, i32::from),
        wait: args.wait.map(span_to_wire),
        ttl: args.ttl.map(span_to_wire),
        distinct_keys: args.distinct_keys,
        request_id: session.request_id(),
    };
    let request = session.request_within(request, args.wait.unwrap_or_default());
    let answer = LeaseServiceClient::new(session.client()).acquire_lease(request).await?;
    let mut lease = part(answer, |answer| answer.lease)?;
    if let (Some(mut file), Some(path)) = (file, &args.token_file) {
        let written = file.write_all(lease.access_token.as_bytes());
        written.map_err(|source| Failure::File { path: path.clone(), source })?;
    }
    if !args.show_token {
        lease.access_token.clear();
        lease.request_parameters.clear();
    }
    session.terminal.record(&lease, FIELDS)?;
    if !args.show_token && args.token_file.is_none() {
        session.terminal.notice("the access token is not shown; ask for it with --show-token or --token-file FILE");
    }
    Ok(())
}

/// A new or emptied file that only its owner may read.
fn private_file(path: &Path) -> Result<std::fs::File, Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let failed = |source| Failure::File { path: path.to_owned(), source };
    let file = options.open(path).map_err(failed)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(failed)?;
    Ok(file)
}

async fn report(session: &mut Session, args: ReportArgs) -> Result<(), Failure> {
    let request = pb::ReportUsageRequest {
        lease: top("leases", &args.lease),
        sequence: args.sequence,
        calls: args.usage.calls(),
        answer: args.usage.answer()?,
        want_calls: args.want,
        want_distinct_keys: args.distinct_keys,
        request_id: session.request_id(),
    };
    let answer = LeaseServiceClient::new(session.client()).report_usage(session.request(request)).await?.into_inner();
    session.terminal.record(&answer, REPORT)
}

async fn list(session: &mut Session, args: ListArgs) -> Result<(), Failure> {
    let client = LeaseServiceClient::new(session.client());
    let token = match &args.token {
        Some(token) => session.in_team("tokens", token).await?,
        None => String::new(),
    };
    let filter = pb::ListLeasesRequest {
        team: session.team_filter(),
        network: top("networks", &args.network),
        token,
        holder: args.holder,
        state: args.state.map_or(0, i32::from),
        ..pb::ListLeasesRequest::default()
    };
    let fetch = async |page_size, page_token| {
        let request = pb::ListLeasesRequest { page_size, page_token, ..filter.clone() };
        let answer = client.clone().list_leases(request).await?.into_inner();
        Ok(Page { items: answer.leases, next: answer.next_page_token })
    };
    session.list(COLUMNS, &args.paging, fetch).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_at_their_first_colon() {
        assert_eq!(parse_header("x-reset: 10:00"), Ok(("x-reset".to_owned(), "10:00".to_owned())));
        assert!(parse_header("x-reset").is_err());
        assert!(parse_header(": 5").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_token_file_is_private_even_if_it_was_there() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("access");
        std::fs::write(&path, "old").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
        private_file(&path).expect("made");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }
}
