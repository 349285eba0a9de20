//! `token-broker lease`: a worker's life by hand.
//!
//! Invariant: the access token of a lease is shown or written only where the command line says so.

mod columns;
mod options;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use clap::Subcommand;

use self::columns::{COLUMNS, EXTENSION, FIELDS, PROOF, RELEASE, REPORT};
use self::options::{AcquireArgs, ListArgs, ReleaseArgs, ReportArgs};
use super::failure::Failure;
use super::names::top;
use super::session::{Page, Session, part};
use super::times::{parse_span, span_to_wire};
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
    /// Sign a proof of possession for one call, where a lease says that it is required.
    #[command(after_help = "Example:\n  url=https://pds.example/xrpc/app.bsky.actor.getProfile?actor=bsky.app\n  \
        curl -H @<(sed 's/^/authorization: DPoP /' access) \\\n    \
        -H \"dpop: $(token-broker lease prove lse_0192… --url $url --output json | jq -r .proof)\" $url")]
    Prove {
        /// The lease's id, `lse_…`.
        lease: String,
        /// The whole address of the call.
        #[arg(long)]
        url: String,
        /// The method of the call.
        #[arg(long, default_value = "GET")]
        method: String,
        /// The nonce that the server sent last, in its header `DPoP-Nonce`.
        #[arg(long, default_value = "", hide_default_value = true)]
        nonce: String,
    },
    /// Show one lease.
    Show {
        /// The lease's id, `lse_…`.
        lease: String,
    },
    /// List leases, newest first.
    List(ListArgs),
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
        LeaseCommand::Prove { lease, url, method, nonce } => {
            let request = pb::SignProofRequest { lease: top("leases", &lease), method, url, nonce };
            let answer = client.sign_proof(session.request(request)).await?.into_inner();
            session.terminal.record(&answer, PROOF)
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
    session.list(COLUMNS, &args.paging, "there are no such leases", fetch).await
}

#[cfg(test)]
mod tests {
    use super::*;

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
