//! The options of `token-broker lease`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::super::failure::Failure;
use super::super::options::{Paging, read};
use super::super::times::parse_span;
use super::super::words::word_parser;
use crate::grpc::pb;

/// Options of `lease acquire`.
#[derive(Args)]
pub struct AcquireArgs {
    /// The network, such as x.
    #[arg(long)]
    pub network: String,
    /// The operation; see `networks show NETWORK`.
    #[arg(long)]
    pub operation: String,
    /// How many calls: 1 to 1,000,000.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1_000_000), allow_negative_numbers = true)]
    pub calls: i32,
    /// Accept fewer calls, down to this many. Default: all or none.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=1_000_000), allow_negative_numbers = true)]
    pub min_calls: i32,
    /// What the token will be used for.
    #[arg(long, value_parser = word_parser::<pb::Purpose>())]
    pub purpose: pb::Purpose,
    /// Only tokens that speak for this profile.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    pub profile: String,
    /// Only tokens of this kind, such as page.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub kind: String,
    /// The collection that the demand is charged to, such as brand-watch.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    pub collection: String,
    /// Who goes first where credit is short.
    #[arg(long, value_parser = word_parser::<pb::Priority>())]
    pub priority: Option<pb::Priority>,
    /// How long to wait for credit: up to 5min.
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub wait: Option<Duration>,
    /// How long the lease shall last: 10s to 1h. Default: the broker's.
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub ttl: Option<Duration>,
    /// A different key, such as a hashtag, that the calls will use; may be repeated.
    #[arg(long = "distinct-key", value_name = "KEY")]
    pub distinct_keys: Vec<String>,
    /// Print the access token and the request parameters with the lease.
    #[arg(long)]
    pub show_token: bool,
    /// Write the access token to this file, for the owner's eyes only.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
}

/// Calls made since the last report, and what the network answered.
#[derive(Args)]
pub struct Usage {
    /// Calls that the network served.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N", value_parser = clap::value_parser!(i32).range(0..), allow_negative_numbers = true)]
    pub ok: i32,
    /// Calls that it answered with an error other than a limit.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N", value_parser = clap::value_parser!(i32).range(0..), allow_negative_numbers = true)]
    pub error: i32,
    /// Calls that it refused because of a limit.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N", value_parser = clap::value_parser!(i32).range(0..), allow_negative_numbers = true)]
    pub throttled: i32,
    /// Calls without an answer.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N", value_parser = clap::value_parser!(i32).range(0..), allow_negative_numbers = true)]
    pub unknown: i32,
    /// Calls that were not sent and never will be.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N", value_parser = clap::value_parser!(i32).range(0..), allow_negative_numbers = true)]
    pub not_sent: i32,
    /// The HTTP status of the network's last answer.
    #[arg(long, value_name = "CODE")]
    pub status: Option<i32>,
    /// A header of that answer, as 'name: value'; may be repeated.
    #[arg(long = "header", value_name = "HEADER", value_parser = parse_header)]
    pub headers: Vec<(String, String)>,
    /// File with the body of that answer, where it is an error.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub body_file: Option<PathBuf>,
}

impl Usage {
    /// The calls made; none where none is told.
    pub fn calls(&self) -> Option<pb::CallCounts> {
        let counts = pb::CallCounts {
            ok: self.ok,
            error: self.error,
            throttled: self.throttled,
            unknown: self.unknown,
            not_sent: self.not_sent,
        };
        (counts != pb::CallCounts::default()).then_some(counts)
    }

    /// What the network answered; none where nothing is told.
    pub fn answer(&self) -> Result<Option<pb::NetworkAnswer>, Failure> {
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
    pub lease: String,
    /// The number of this report in its lease: 1, 2, 3 …
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..), allow_negative_numbers = true)]
    pub sequence: i64,
    #[command(flatten)]
    pub usage: Usage,
    /// How many calls more are wanted.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N", value_parser = clap::value_parser!(i32).range(0..), allow_negative_numbers = true)]
    pub want: i32,
    /// A further different key that the wanted calls will use; may be repeated.
    #[arg(long = "distinct-key", value_name = "KEY")]
    pub distinct_keys: Vec<String>,
}

/// Options of `lease release`.
#[derive(Args)]
pub struct ReleaseArgs {
    /// The lease's id, `lse_…`.
    pub lease: String,
    /// The number of the last report; needed with calls.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    pub sequence: i64,
    #[command(flatten)]
    pub usage: Usage,
}

/// Options of `lease list`.
#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub paging: Paging,
    /// Only this network's.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub network: String,
    /// Only leases on this token.
    #[arg(long)]
    pub token: Option<String>,
    /// Only leases of this holder, by its whole name.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub holder: String,
    /// Only leases in this state. Default: active.
    #[arg(long, value_parser = word_parser::<pb::LeaseState>())]
    pub state: Option<pb::LeaseState>,
}

/// Reads `name: value`.
fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected 'name: value'".to_owned()),
    }
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
}
