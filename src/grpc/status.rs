//! Statuses: every refusal carries a stable reason (`google.rpc.ErrorInfo`), and where it can be retried, a time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, QuotaViolation, StatusExt};

use crate::base::clock::Timestamp;
use crate::grpc::convert::timestamp;
use crate::grpc::pb::{CollectRefused, ERROR_DOMAIN, ErrorReason};
use crate::service::{AuthenticateError, Forbidden, StoreError};

/// How long a caller should wait when the store, or the whole process, can't answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest wait that a caller is told, also where no end is known: things may change sooner.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// A refusal in the making. Boxed, so that results stay small where nothing is refused.
#[derive(Debug)]
pub struct Refusal(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: Code,
    reason: ErrorReason,
    message: String,
    metadata: BTreeMap<String, String>,
    retry: Option<Duration>,
    quota: Vec<QuotaViolation>,
    fields: Vec<(String, String)>,
}

/// Begins a refusal. `message` is for people and says what to do.
pub fn refuse(code: Code, reason: ErrorReason, message: impl Into<String>) -> Refusal {
    Refusal(Box::new(Parts {
        code,
        reason,
        message: message.into(),
        metadata: BTreeMap::new(),
        retry: None,
        quota: Vec::new(),
        fields: Vec::new(),
    }))
}

impl Refusal {
    /// Adds a pair to `ErrorInfo.metadata`.
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.0.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// The same call may succeed after `wait`.
    pub fn retry_in(mut self, wait: Duration) -> Self {
        self.0.retry = Some(wait);
        self
    }

    /// The same call may succeed at `until`, spread a little so that those who wait don't come back as a herd.
    pub fn retry_at(self, until: Timestamp, now: Timestamp) -> Self {
        let wait = until.since(now).clamp(Duration::from_millis(10), LONGEST_WAIT);
        let spread = u32::try_from(uuid::Uuid::new_v4().as_u128() & 0xFF).unwrap_or_default();
        let most = (wait / 20).min(Duration::from_secs(2));
        self.retry_in(wait + most * spread / 255)
    }

    /// Names the field that is wrong.
    pub fn field(mut self, field: &'static str) -> Self {
        let wrong = self.0.message.clone();
        self.0.fields.push((field.to_owned(), wrong));
        self
    }

    /// Names a limit that stood in the way.
    pub fn quota(mut self, subject: impl Into<String>, description: impl Into<String>) -> Self {
        self.0.quota.push(QuotaViolation::new(subject, description));
        self
    }

    /// Why.
    pub fn reason(&self) -> ErrorReason {
        self.0.reason
    }

    /// After how long the same call may succeed.
    pub fn wait(&self) -> Option<Duration> {
        self.0.retry
    }

    /// The status.
    pub fn status(self) -> Status {
        let parts = *self.0;
        let metadata: HashMap<_, _> = parts.metadata.into_iter().collect();
        let mut details = ErrorDetails::with_error_info(parts.reason.as_reason(), ERROR_DOMAIN, metadata);
        if let Some(retry) = parts.retry {
            details.set_retry_info(Some(retry));
        }
        if !parts.quota.is_empty() {
            details.set_quota_failure(parts.quota);
        }
        for (field, wrong) in parts.fields {
            details.add_bad_request_violation(field, wrong);
        }
        Status::with_error_details(parts.code, parts.message, details)
    }

    /// The same as a message on a stream.
    pub fn message(self, now: Timestamp) -> CollectRefused {
        let parts = *self.0;
        CollectRefused {
            code: parts.code.into(),
            reason: parts.reason.as_reason().to_owned(),
            message: parts.message,
            retry_at: parts.retry.map(|wait| timestamp(now + wait)),
            metadata: parts.metadata,
        }
    }
}

/// The mistakes in one request, all of them at once.
#[derive(Default)]
pub struct FieldMistakes(Vec<(String, String)>);

impl FieldMistakes {
    /// Notes what is wrong with a field, and what would be right.
    pub fn note(&mut self, field: &str, wrong: impl Into<String>) {
        self.0.push((field.to_owned(), wrong.into()));
    }

    /// Parses a field, noting the mistake if it is malformed.
    pub fn parse<T: std::str::FromStr>(&mut self, field: &str, text: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        text.parse().map_err(|error: T::Err| self.note(field, error.to_string())).ok()
    }

    /// The first mistake: the field and what is wrong with it.
    pub fn first(&self) -> Option<(&str, &str)> {
        self.0.first().map(|(field, wrong)| (field.as_str(), wrong.as_str()))
    }

    /// Fails if there is any.
    pub fn refuse(self) -> Result<(), Refusal> {
        if self.0.is_empty() {
            return Ok(());
        }
        let listed: Vec<_> = self.0.iter().map(|(field, wrong)| format!("{field}: {wrong}")).collect();
        let mut refusal = refuse(Code::InvalidArgument, ErrorReason::InvalidField, listed.join("; "));
        refusal.0.fields = self.0;
        Err(refusal)
    }

    /// Fails if there is any, with the status.
    pub fn check(self) -> Result<(), Status> {
        self.refuse().map_err(Refusal::status)
    }
}

impl From<AuthenticateError> for Refusal {
    fn from(error: AuthenticateError) -> Self {
        let reason = match error {
            AuthenticateError::Missing => ErrorReason::KeyMissing,
            AuthenticateError::Invalid => ErrorReason::KeyInvalid,
            AuthenticateError::Certificate => ErrorReason::CertificateUnknown,
        };
        refuse(Code::Unauthenticated, reason, error.to_string())
    }
}

impl From<Forbidden> for Refusal {
    fn from(error: Forbidden) -> Self {
        let message = error.to_string();
        match error {
            Forbidden::Team(_) => refuse(Code::PermissionDenied, ErrorReason::TeamNotAllowed, message),
            Forbidden::Disabled => refuse(Code::PermissionDenied, ErrorReason::CollectorDisabled, message),
            Forbidden::Action { role, .. } | Forbidden::GiveRole(role) | Forbidden::StandIn(role) => {
                refuse(Code::PermissionDenied, ErrorReason::RoleNotAllowed, message).with("role", role.as_str())
            }
            Forbidden::Role { role, needed } => refuse(Code::PermissionDenied, ErrorReason::RoleNotAllowed, message)
                .with("role", role)
                .with("needed", needed),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Unavailable(_)
            | StoreError::Closed
            | StoreError::ReadOnly
            | StoreError::Full
            | StoreError::NotDurable(_)
            | StoreError::Locked { .. } => {
                refuse(Code::Unavailable, ErrorReason::StoreUnavailable, message).retry_in(PATIENCE)
            }
            _ => {
                tracing::error!(%error, "the store refused a statement");
                refuse(
                    Code::Internal,
                    ErrorReason::Internal,
                    "the broker could not do this because of a defect; see its log",
                )
            }
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        refusal.status()
    }
}
