//! What went wrong, for people and for programs: a message, what to do, the stable reason, and the exit code.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::times::rough;
use crate::grpc::client::ConnectError;
use crate::grpc::pb::ErrorReason;

/// The exit codes, as the help shows them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed, or refused for good; import: at least one row was rejected
  2  wrong usage, or the broker found a field wrong
  3  refused for now: the same command may succeed later, and the message says when
  4  there is no such team, token, lease …
  5  the key is missing, wrong or not allowed to do this
  6  the broker can't be reached or is not ready";

/// What helps where the certificate of whoever answers is not accepted.
const UNTRUSTED: &str = "something answers, but its certificate is not trusted for this name: give the authority's with --ca, and write the \
    address as the certificate names it";

/// The way in which a command failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Failed, or refused for good.
    Failed = 1,
    /// The command was written wrongly.
    Usage = 2,
    /// Not yet: the same command may succeed later.
    NotYet = 3,
    /// The thing that was named does not exist.
    NotFound = 4,
    /// The caller may not do this.
    NotAllowed = 5,
    /// Nobody answers, or the one who answers is not ready.
    Unavailable = 6,
}

/// Why a command ended without success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The broker refused.
    #[error("{}", .0.message())]
    Refused(#[source] Box<Status>),
    /// There is no channel to the broker.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The options contradict one another, or one is missing. The message says which.
    #[error("{0}")]
    Usage(String),
    /// A file can't be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// What was printed could not be written.
    #[error("the output can't be written: {0}")]
    Output(#[from] std::io::Error),
    /// The broker sent what does not fit the API.
    #[error("the broker's answer makes no sense: {0}; compare its version with this program's")]
    Answer(String),
    /// Rows of an import were rejected. The summary was printed already.
    #[error(
        "{} rejected; see {}, mend them and import the file again with --update, which leaves the others as they are",
        rows(*rejected),
        errors.display()
    )]
    RowsRejected {
        /// How many.
        rejected: u64,
        /// Where they are listed.
        errors: PathBuf,
    },
    /// The broker ended what would go on for ever.
    #[error("the broker ended the watch, as it does when it stops; run the command again")]
    WatchEnded,
    /// Somebody pressed ctrl-c.
    #[error("interrupted")]
    Interrupted,
    /// Something accepts connections and ends them without an answer.
    #[error(
        "{server} ended the connection without an answer: {}, or it is stopping",
        if server.starts_with("https:") {
            "it may ask for a client certificate (--cert and --client-key)"
        } else {
            "it may want TLS (write https://)"
        }
    )]
    HungUp {
        /// As it was given.
        server: String,
    },
    /// Something answers that is no broker.
    #[error(
        "what answers at {server} does not speak gRPC; the broker's gRPC address has port 7070 unless told otherwise"
    )]
    NoBroker {
        /// As it was given.
        server: String,
    },
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

fn rows(count: u64) -> String {
    if count == 1 { "1 row was".to_owned() } else { format!("{count} rows were") }
}

impl Failure {
    /// What went wrong at `server`, where that is clearer than what the transport says.
    pub fn at_server(self, server: &str) -> Self {
        match &self {
            Self::Refused(status) if status.code() == Code::Unknown && status.details().is_empty() => {
                Self::NoBroker { server: server.to_owned() }
            }
            Self::Refused(status) if status.code() == Code::Cancelled && status.details().is_empty() => {
                Self::HungUp { server: server.to_owned() }
            }
            _ => self,
        }
    }

    /// The exit code's meaning.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused(status) => exit_of(status),
            Self::Connect(ConnectError::Unreachable { .. }) => Exit::Unavailable,
            Self::Connect(_) | Self::Usage(_) => Exit::Usage,
            Self::NoBroker { .. } | Self::HungUp { .. } | Self::WatchEnded => Exit::Unavailable,
            Self::File { .. } | Self::Output(_) | Self::Answer(_) | Self::RowsRejected { .. } | Self::Interrupted => {
                Exit::Failed
            }
        }
    }

    /// Whether the reader of the output has gone, which is no failure: `… | head`.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// For people: what is wrong, what to do, and the reason to search for.
    pub fn to_text(&self) -> String {
        let mut text = match self {
            Self::Refused(status) if wrong_fields(status) > 1 => {
                format!("error: {} fields are wrong\n", wrong_fields(status))
            }
            _ => format!("error: {self}\n"),
        };
        match self {
            Self::Refused(status) => explain(status, &mut text),
            Self::Connect(error) => {
                if let Some(root) = root_cause(error) {
                    let _ = writeln!(text, "  cause: {root}");
                    if root.starts_with("invalid peer certificate") {
                        let _ = writeln!(text, "  {UNTRUSTED}");
                    }
                }
            }
            _ => {}
        }
        text
    }

    /// For programs: the same fields for every failure.
    pub fn to_json(&self) -> serde_json::Value {
        let (code, details) = match self {
            Self::Refused(status) => (code_name(status.code()), status.get_error_details()),
            Self::Connect(ConnectError::Unreachable { .. }) | Self::HungUp { .. } | Self::WatchEnded => {
                (code_name(Code::Unavailable), ErrorDetails::new())
            }
            _ => ("", ErrorDetails::new()),
        };
        let violations = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
        let violations: Vec<_> =
            violations.map(|one| json!({"field": one.field, "description": one.description})).collect();
        json!({"error": {
            "message": self.to_string(),
            "exitCode": self.exit() as u8,
            "code": code,
            "reason": details.error_info().map_or("", |info| &info.reason),
            "metadata": details.error_info().map_or_else(|| json!({}), |info| json!(info.metadata)),
            "retryAfterSeconds": retry_after(&details).map(|wait| wait.as_secs_f64()),
            "fieldViolations": violations,
        }})
    }
}

fn exit_of(status: &Status) -> Exit {
    let may_retry = retry_after(&status.get_error_details()).is_some();
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded => Exit::Unavailable,
        Code::ResourceExhausted | Code::Aborted if may_retry => Exit::NotYet,
        Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
        Code::NotFound => Exit::NotFound,
        Code::PermissionDenied | Code::Unauthenticated => Exit::NotAllowed,
        _ => Exit::Failed,
    }
}

fn wrong_fields(status: &Status) -> usize {
    status.get_error_details().bad_request().map_or(0, |bad| bad.field_violations.len())
}

fn retry_after(details: &ErrorDetails) -> Option<Duration> {
    details.retry_info().and_then(|info| info.retry_delay)
}

/// Appends all that a status tells beyond its message.
fn explain(status: &Status, text: &mut String) {
    let details = status.get_error_details();
    let violations: Vec<_> = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations).collect();
    // The message tells a single one already.
    let is_told = |one: &FieldViolation| violations.len() == 1 && status.message().contains(&one.description);
    for one in violations.iter().filter(|one| !is_told(one)) {
        let _ = writeln!(text, "  {}: {}", one.field, one.description);
    }
    for one in details.quota_failure().into_iter().flat_map(|quota| &quota.violations) {
        let _ = writeln!(text, "  limit: {} {}", one.subject, one.description);
    }
    let reason = details.error_info().map_or("", |info| info.reason.as_str());
    let rests_for = details.error_info().and_then(|info| info.metadata.get("rests_for"));
    let advice = match rests_for.map(String::as_str) {
        Some("incident") => Some("see `token-broker incident list`"),
        Some("blocked" | "doubt") => Some("see `token-broker token list`"),
        Some(_) => None,
        None => ErrorReason::from_reason(reason).and_then(advice),
    };
    if let Some(advice) = advice {
        let _ = writeln!(text, "  {advice}");
    }
    if let Some(wait) = retry_after(&details) {
        let _ = writeln!(text, "  try again in {}", rough(wait));
    }
    let _ = match reason {
        "" => writeln!(text, "  status: {}", code_name(status.code())),
        reason => writeln!(text, "  reason: {reason}"),
    };
}

/// Which command helps, for the reasons where one does. The broker's messages don't know of commands.
fn advice(reason: ErrorReason) -> Option<&'static str> {
    use ErrorReason as R;
    Some(match reason {
        R::UnknownNetwork | R::NetworkNotFound => "see `token-broker networks list`",
        R::UnknownOperation | R::UnknownKind | R::UnknownCreditClass | R::KindNotServed | R::PurposeNotServed => {
            "see `token-broker networks show NETWORK`"
        }
        R::KeyMissing => "set TOKEN_BROKER_KEY, or name a file with --key-file",
        R::KeyInvalid => {
            "check TOKEN_BROKER_KEY and --key-file; an admin makes new keys with `token-broker key create`"
        }
        R::RoleNotAllowed => "use a key with the role admin",
        R::TeamNotFound | R::TeamNotAllowed => "see `token-broker team list`",
        R::CollectorNotFound => "see `token-broker collector list`",
        R::TokenNotFound => "see `token-broker token list`",
        R::LeaseNotFound => "see `token-broker lease list`",
        R::KeyNotFound => "see `token-broker key list`",
        R::AlertNotFound => "see `token-broker alerts list`",
        R::AppNotFound => "see `token-broker apps list`",
        R::NoUsableToken => "see `token-broker token list --network NETWORK`",
        R::LimitedUntil => "see `token-broker load show`, or wait for credit with --wait",
        R::TeamNotEmpty | R::CollectorNotIdle => "add --force to do it all the same",
        R::ImportMismatch => "choose another --import-id",
        _ => return None,
    })
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

fn root_cause(error: &dyn std::error::Error) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn refused(code: Code, details: ErrorDetails) -> Failure {
        Status::with_error_details(code, "the credit of x search is used up", details).into()
    }

    fn limited() -> Failure {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            "LIMITED_UNTIL",
            "tokenbroker.dev",
            HashMap::from([("until".to_owned(), "noon".to_owned())]),
        );
        details.set_retry_info(Some(Duration::from_secs(300)));
        refused(Code::ResourceExhausted, details)
    }

    #[test]
    fn a_refusal_says_when_to_try_again_and_why() {
        let expected = "error: the credit of x search is used up\n  \
            see `token-broker load show`, or wait for credit with --wait\n  try again in 5 min\n  reason: LIMITED_UNTIL\n";
        assert_eq!(limited().to_text(), expected);
        assert_eq!(limited().exit(), Exit::NotYet);
    }

    #[test]
    fn programs_get_the_same_as_json() {
        let error = &limited().to_json()["error"];
        assert_eq!(error["reason"], "LIMITED_UNTIL");
        assert_eq!(error["retryAfterSeconds"], 300.0);
        assert_eq!(error["metadata"]["until"], "noon");
        assert_eq!(error["code"], "RESOURCE_EXHAUSTED");
        assert_eq!(error["exitCode"], 3);
        let wrong_usage = &Failure::Usage("no".to_owned()).to_json()["error"];
        let names = |error: &serde_json::Value| error.as_object().expect("one").keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(error), names(wrong_usage));
    }

    #[test]
    fn wrong_fields_are_all_listed() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("calls", "must be 1 to 1,000,000");
        details.add_bad_request_violation("purpose", "is required");
        let failure = refused(Code::InvalidArgument, details);
        let text = failure.to_text();
        assert!(text.contains("  calls: must be 1 to 1,000,000\n  purpose: is required\n"), "{text}");
        assert!(text.contains("status: INVALID_ARGUMENT"), "{text}");
        assert_eq!(failure.exit(), Exit::Usage);
    }

    #[test]
    fn a_single_wrong_field_is_told_once() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("calls", "must be 1 to 1,000,000");
        let status = Status::with_error_details(Code::InvalidArgument, "calls: must be 1 to 1,000,000", details);
        let text = Failure::from(status).to_text();
        assert_eq!(text, "error: calls: must be 1 to 1,000,000\n  status: INVALID_ARGUMENT\n");
    }

    #[test]
    fn a_connection_that_is_ended_says_what_may_be_missing() {
        for (server, helps) in [("https://b:7070", "--cert"), ("http://b:7070", "https://")] {
            let failure = Failure::from(Status::cancelled("operation was canceled")).at_server(server);
            assert!(failure.to_text().contains(helps), "{}", failure.to_text());
            assert_eq!(failure.exit(), Exit::Unavailable);
        }
    }

    #[test]
    fn codes_become_exit_codes() {
        let cases = [
            (Code::NotFound, Exit::NotFound),
            (Code::PermissionDenied, Exit::NotAllowed),
            (Code::Unauthenticated, Exit::NotAllowed),
            (Code::Unavailable, Exit::Unavailable),
            (Code::DeadlineExceeded, Exit::Unavailable),
            (Code::FailedPrecondition, Exit::Failed),
            (Code::ResourceExhausted, Exit::Failed),
            (Code::Internal, Exit::Failed),
        ];
        for (code, exit) in cases {
            assert_eq!(refused(code, ErrorDetails::new()).exit(), exit, "{code:?}");
            let documented = EXIT_CODES.lines().any(|line| line.trim_start().starts_with(&format!("{}  ", exit as u8)));
            assert!(documented, "{exit:?}");
        }
    }
}
