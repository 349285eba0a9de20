//! Statuses: every refusal carries a stable reason (`google.rpc.ErrorInfo`), and where it can be retried, a time.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, QuotaViolation, StatusExt};

use crate::base::clock::Timestamp;
use crate::grpc::pb::{ERROR_DOMAIN, ErrorReason};
use crate::service::{AuthenticateError, Forbidden};
use crate::store::StoreError;

/// How long a caller should wait when the store, or the whole process, can't answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A refusal in the making.
pub struct Refusal {
    code: Code,
    reason: ErrorReason,
    message: String,
    metadata: HashMap<String, String>,
    retry: Option<Duration>,
    quota: Vec<QuotaViolation>,
    field: Option<&'static str>,
}

/// Begins a refusal. `message` is for people and says what to do.
pub fn refuse(code: Code, reason: ErrorReason, message: impl Into<String>) -> Refusal {
    Refusal {
        code,
        reason,
        message: message.into(),
        metadata: HashMap::new(),
        retry: None,
        quota: Vec::new(),
        field: None,
    }
}

impl Refusal {
    /// Adds a pair to `ErrorInfo.metadata`.
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// The same call may succeed after `wait`.
    pub fn retry_in(mut self, wait: Duration) -> Self {
        self.retry = Some(wait);
        self
    }

    /// The same call may succeed at `until`, spread a little so that those who wait don't come back as a herd.
    pub fn retry_at(self, until: Timestamp, now: Timestamp) -> Self {
        let wait = until.since(now).max(Duration::from_millis(10));
        let spread = u32::try_from(uuid::Uuid::new_v4().as_u128() & 0xFF).unwrap_or_default();
        let most = (wait / 20).min(Duration::from_secs(2));
        self.retry_in(wait + most * spread / 255)
    }

    /// Names the field that is wrong.
    pub fn field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// Names a limit that stood in the way.
    pub fn quota(mut self, subject: impl Into<String>, description: impl Into<String>) -> Self {
        self.quota.push(QuotaViolation::new(subject, description));
        self
    }

    /// The status.
    pub fn status(self) -> Status {
        let mut details = ErrorDetails::with_error_info(self.reason.as_reason(), ERROR_DOMAIN, self.metadata);
        if let Some(retry) = self.retry {
            details.set_retry_info(Some(retry));
        }
        if !self.quota.is_empty() {
            details.set_quota_failure(self.quota);
        }
        if let Some(field) = self.field {
            details.add_bad_request_violation(field, &self.message);
        }
        Status::with_error_details(self.code, self.message, details)
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
    pub fn check(self) -> Result<(), Status> {
        if self.0.is_empty() {
            return Ok(());
        }
        let listed: Vec<_> = self.0.iter().map(|(field, wrong)| format!("{field}: {wrong}")).collect();
        let reason = ErrorReason::InvalidField.as_reason();
        let mut details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::new());
        for (field, wrong) in self.0 {
            details.add_bad_request_violation(field, wrong);
        }
        Err(Status::with_error_details(Code::InvalidArgument, listed.join("; "), details))
    }
}

impl From<AuthenticateError> for Refusal {
    fn from(error: AuthenticateError) -> Self {
        let reason = match error {
            AuthenticateError::Missing => ErrorReason::KeyMissing,
            AuthenticateError::Invalid => ErrorReason::KeyInvalid,
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
