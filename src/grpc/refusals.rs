//! How the errors of administration are told: each with its code and reason.

use tonic::Code;

use crate::domain::connection::StageError;
use crate::domain::member::MembershipError;
use crate::domain::token::TransitionError;
use crate::grpc::pb::ErrorReason;
use crate::grpc::status::{Refusal, refuse};
use crate::service::apps::AppError;
use crate::service::collectors::CollectorError;
use crate::service::connect::ConnectError;
use crate::service::import_tokens::ImportError;
use crate::service::incidents::IncidentError;
use crate::service::jobs::JobError;
use crate::service::keys::KeyError;
use crate::service::members::MemberError;
use crate::service::networks::NetworkError;
use crate::service::notices::{DeadLetterError, DestinationError, NoticeError, PushError};
use crate::service::probe::ProbeError;
use crate::service::profiles::ProfileError;
use crate::service::renew::RenewError;
use crate::service::sealing::RotateError;
use crate::service::teams::TeamError;
use crate::service::tokens::{RefreshHolder, Rejected, TokenError};

/// How long to wait where others change the same thing.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(200);
/// How long to wait for the end of another stream.
const STREAM_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

impl From<TeamError> for Refusal {
    fn from(error: TeamError) -> Self {
        let message = error.to_string();
        match error {
            TeamError::NotFound(_) => refuse(Code::NotFound, ErrorReason::TeamNotFound, message),
            TeamError::Exists(_) => refuse(Code::AlreadyExists, ErrorReason::TeamExists, message),
            TeamError::NotEmpty { .. } => refuse(Code::FailedPrecondition, ErrorReason::TeamNotEmpty, message),
            TeamError::Token(error) => Refusal::from(*error),
            TeamError::Store(error) => Refusal::from(error),
        }
    }
}

impl From<CollectorError> for Refusal {
    fn from(error: CollectorError) -> Self {
        let message = error.to_string();
        match error {
            CollectorError::Forbidden(error) => Refusal::from(error),
            CollectorError::TeamNotFound(_) => refuse(Code::NotFound, ErrorReason::TeamNotFound, message),
            CollectorError::NotFound { .. } => refuse(Code::NotFound, ErrorReason::CollectorNotFound, message),
            CollectorError::Exists(_) => refuse(Code::AlreadyExists, ErrorReason::CollectorExists, message),
            CollectorError::UnknownNetwork(network) => {
                refuse(Code::InvalidArgument, ErrorReason::UnknownNetwork, message).with("network", network)
            }
            CollectorError::CertificateTaken(_) => refuse(Code::AlreadyExists, ErrorReason::CertificateTaken, message),
            CollectorError::NotIdle(_) => refuse(Code::FailedPrecondition, ErrorReason::CollectorNotIdle, message),
            CollectorError::Store(error) => Refusal::from(error),
        }
    }
}

impl From<JobError> for Refusal {
    fn from(error: JobError) -> Self {
        let message = error.to_string();
        match error {
            JobError::Forbidden(error) => Refusal::from(error),
            JobError::TeamNotFound(_) => refuse(Code::NotFound, ErrorReason::TeamNotFound, message),
            JobError::UnknownNetwork(_) => refuse(Code::InvalidArgument, ErrorReason::UnknownNetwork, message),
            JobError::NotFound { .. } => refuse(Code::NotFound, ErrorReason::JobNotFound, message),
            JobError::NotDone(job) => {
                refuse(Code::FailedPrecondition, ErrorReason::JobNotDone, message).with("job", job.to_string())
            }
            JobError::Done(_) => refuse(Code::FailedPrecondition, ErrorReason::JobDone, message),
            JobError::Contended(_) => refuse(Code::Unavailable, ErrorReason::Overloaded, message).retry_in(PATIENCE),
            JobError::Store(error) => Refusal::from(error),
        }
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        let message = error.to_string();
        match error {
            KeyError::Forbidden(error) => Refusal::from(error),
            KeyError::NotFound(_) => refuse(Code::NotFound, ErrorReason::KeyNotFound, message),
            KeyError::CollectorNotFound { .. } => refuse(Code::NotFound, ErrorReason::CollectorNotFound, message),
            KeyError::CertificateTaken(_) => refuse(Code::AlreadyExists, ErrorReason::CertificateTaken, message),
            KeyError::LastAdmin => refuse(Code::FailedPrecondition, ErrorReason::LastAdminKey, message),
            KeyError::Random => refuse(Code::Internal, ErrorReason::Internal, message),
            KeyError::Store(error) => Refusal::from(error),
        }
    }
}

impl From<NoticeError> for Refusal {
    fn from(error: NoticeError) -> Self {
        match error {
            NoticeError::Member(error) => Refusal::from(error),
            NoticeError::Settings(error) => {
                refuse(Code::InvalidArgument, ErrorReason::NoticeSettings, error.to_string())
            }
            NoticeError::NotFound(_) => refuse(Code::NotFound, ErrorReason::NoticeNotFound, error.to_string()),
            NoticeError::Contended => {
                refuse(Code::Unavailable, ErrorReason::Overloaded, error.to_string()).retry_in(PATIENCE)
            }
            NoticeError::Store(error) => Refusal::from(error),
        }
    }
}

impl From<DeadLetterError> for Refusal {
    fn from(error: DeadLetterError) -> Self {
        match error {
            DeadLetterError::NotFound(_) => refuse(Code::NotFound, ErrorReason::DeadLetterNotFound, error.to_string()),
            DeadLetterError::Store(error) => Refusal::from(error),
        }
    }
}

impl From<PushError> for Refusal {
    fn from(error: PushError) -> Self {
        let message = error.to_string();
        match error {
            PushError::Member(error) => Refusal::from(error),
            PushError::NotFound(_) => refuse(Code::NotFound, ErrorReason::PushSubscriptionNotFound, message),
            PushError::Endpoint(_) | PushError::Keys(_) => {
                refuse(Code::InvalidArgument, ErrorReason::PushSubscription, message)
            }
            PushError::TooMany => refuse(Code::FailedPrecondition, ErrorReason::PushLimit, message),
            PushError::NoPages => refuse(Code::FailedPrecondition, ErrorReason::PublicUrlMissing, message),
            PushError::Sealed(_) | PushError::Key(_) => {
                refuse(Code::FailedPrecondition, ErrorReason::PushSubscription, message)
            }
            PushError::Store(error) => Refusal::from(error),
        }
    }
}

impl From<DestinationError> for Refusal {
    fn from(error: DestinationError) -> Self {
        let message = error.to_string();
        match error {
            DestinationError::Forbidden(error) => Refusal::from(error),
            DestinationError::TeamNotFound(_) => refuse(Code::NotFound, ErrorReason::TeamNotFound, message),
            DestinationError::NotFound(..) => refuse(Code::NotFound, ErrorReason::DestinationNotFound, message),
            DestinationError::TooMany(_) => refuse(Code::FailedPrecondition, ErrorReason::DestinationLimit, message),
            DestinationError::Mail(_)
            | DestinationError::Url(_)
            | DestinationError::Secret(_)
            | DestinationError::Secrets => refuse(Code::InvalidArgument, ErrorReason::DestinationTarget, message),
            DestinationError::Random => refuse(Code::Internal, ErrorReason::Internal, message),
            DestinationError::Sealed(_) => refuse(Code::FailedPrecondition, ErrorReason::DestinationTarget, message),
            DestinationError::Contended => {
                refuse(Code::Unavailable, ErrorReason::Overloaded, message).retry_in(PATIENCE)
            }
            DestinationError::NotSent(_) => refuse(Code::FailedPrecondition, ErrorReason::NotSent, message),
            DestinationError::Store(error) => Refusal::from(error),
        }
    }
}

impl From<MemberError> for Refusal {
    fn from(error: MemberError) -> Self {
        let message = error.to_string();
        match error {
            MemberError::TeamNotFound(_) => refuse(Code::NotFound, ErrorReason::TeamNotFound, message),
            MemberError::NotFound { .. } => refuse(Code::NotFound, ErrorReason::MemberNotFound, message),
            MemberError::Forbidden(error) => Refusal::from(error),
            MemberError::MailTaken { team, member } => {
                refuse(Code::AlreadyExists, ErrorReason::MemberMailTaken, message)
                    .with("member", format!("teams/{team}/members/{member}"))
            }
            MemberError::LastOwner(_) => refuse(Code::FailedPrecondition, ErrorReason::LastOwner, message),
            MemberError::State(state) => {
                let name = match state {
                    MembershipError::Left => "left",
                    MembershipError::Active => "active",
                };
                refuse(Code::FailedPrecondition, ErrorReason::MemberState, message).with("state", name)
            }
            MemberError::NotLeft(_) => {
                refuse(Code::FailedPrecondition, ErrorReason::MemberState, message).with("state", "active")
            }
            MemberError::Contended(_) => refuse(Code::Unavailable, ErrorReason::Overloaded, message).retry_in(PATIENCE),
            MemberError::Random => refuse(Code::Internal, ErrorReason::Internal, message),
            MemberError::Store(error) => Refusal::from(error),
        }
    }
}

impl From<ProfileError> for Refusal {
    fn from(error: ProfileError) -> Self {
        let message = error.to_string();
        match error {
            ProfileError::TeamNotFound(_) => refuse(Code::NotFound, ErrorReason::TeamNotFound, message),
            ProfileError::UnknownNetwork(network) => {
                refuse(Code::InvalidArgument, ErrorReason::UnknownNetwork, message).with("network", network)
            }
            ProfileError::NoMember(_) => refuse(Code::NotFound, ErrorReason::MemberNotFound, message),
            ProfileError::Forbidden(error) => Refusal::from(error),
            ProfileError::Store(error) => Refusal::from(error),
        }
    }
}

impl From<RotateError> for Refusal {
    fn from(error: RotateError) -> Self {
        let message = error.to_string();
        match error {
            RotateError::NoNextKey | RotateError::SameKey => {
                refuse(Code::FailedPrecondition, ErrorReason::NextSealingKey, message)
            }
            RotateError::Key(_) => {
                tracing::error!(%error, "the sealing key could not be changed");
                refuse(Code::FailedPrecondition, ErrorReason::NextSealingKey, message)
            }
            RotateError::Vault(_) => refuse(Code::DataLoss, ErrorReason::SealBroken, message),
            RotateError::Store(error) => Refusal::from(error),
        }
    }
}

/// The reason for which a token is not taken.
pub fn reason_of(rejected: &Rejected) -> ErrorReason {
    match rejected {
        Rejected::UnknownNetwork(_) => ErrorReason::UnknownNetwork,
        Rejected::UnknownKind { .. } => ErrorReason::UnknownKind,
        Rejected::AppNotFound { .. } => ErrorReason::AppNotFound,
        Rejected::BoundToAKey(_) => ErrorReason::BoundToAKey,
        Rejected::Scopes(_)
        | Rejected::Purposes { .. }
        | Rejected::Fact { .. }
        | Rejected::Over(_)
        | Rejected::Consent => ErrorReason::InvalidField,
    }
}

impl From<Rejected> for Refusal {
    fn from(rejected: Rejected) -> Self {
        let message = rejected.to_string();
        let reason = reason_of(&rejected);
        match rejected {
            Rejected::UnknownNetwork(network) => {
                refuse(Code::InvalidArgument, reason, message).with("network", network)
            }
            Rejected::UnknownKind { network, kind } => {
                refuse(Code::InvalidArgument, reason, message).with("network", network).with("kind", kind)
            }
            Rejected::AppNotFound { .. } => refuse(Code::NotFound, reason, message),
            Rejected::Scopes(_)
            | Rejected::Purposes { .. }
            | Rejected::Fact { .. }
            | Rejected::Over(_)
            | Rejected::BoundToAKey(_)
            | Rejected::Consent => refuse(Code::InvalidArgument, reason, message).field(rejected.field()),
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        let message = error.to_string();
        match error {
            TokenError::TeamNotFound(_) => refuse(Code::NotFound, ErrorReason::TeamNotFound, message),
            TokenError::NotFound { .. } => refuse(Code::NotFound, ErrorReason::TokenNotFound, message),
            TokenError::NotAgreed(_) => refuse(Code::FailedPrecondition, ErrorReason::NotAgreed, message),
            TokenError::Forbidden(error) => Refusal::from(error),
            TokenError::Rejected(rejected) => Refusal::from(rejected),
            TokenError::Exists { team, token } => refuse(Code::AlreadyExists, ErrorReason::TokenExists, message)
                .with("token", format!("teams/{team}/tokens/{token}")),
            TokenError::RefreshHeld(holder) => {
                let refusal = refuse(Code::AlreadyExists, ErrorReason::TokenExists, message);
                match holder {
                    RefreshHolder::Token { team, token } => {
                        refusal.with("token", format!("teams/{team}/tokens/{token}"))
                    }
                    RefreshHolder::AnotherTeam | RefreshHolder::Row(_) => refusal,
                }
            }
            TokenError::State(state) => {
                let name = match state {
                    TransitionError::Revoked => "revoked",
                    TransitionError::Invalid(_) => "invalid",
                };
                refuse(Code::FailedPrecondition, ErrorReason::TokenState, message).with("state", name)
            }
            TokenError::Contended(_) => refuse(Code::Unavailable, ErrorReason::Overloaded, message).retry_in(PATIENCE),
            TokenError::Vault(_) => refuse(Code::DataLoss, ErrorReason::SealBroken, message),
            TokenError::Seal(_) => refuse(Code::Internal, ErrorReason::Internal, message),
            TokenError::Store(error) => Refusal::from(error),
        }
    }
}

impl From<RenewError> for Refusal {
    fn from(error: RenewError) -> Self {
        let message = error.to_string();
        match error {
            RenewError::Token(error) => Refusal::from(error),
            RenewError::NotRenewable(_) => refuse(Code::FailedPrecondition, ErrorReason::TokenNotRenewable, message),
            RenewError::NoClient { network, app } => {
                refuse(Code::FailedPrecondition, ErrorReason::AppClientMissing, message)
                    .with("network", network)
                    .with("app", app)
            }
            RenewError::Incident { network, app } => {
                refuse(Code::FailedPrecondition, ErrorReason::IncidentOpen, message)
                    .with("network", network)
                    .with("app", app)
            }
            RenewError::Sealed(_) => refuse(Code::DataLoss, ErrorReason::SealBroken, message),
            RenewError::Refused(reason) => {
                refuse(Code::FailedPrecondition, ErrorReason::RenewalRefused, message).with("reason", reason.as_str())
            }
            RenewError::NotYet { wait, .. } | RenewError::Failed { wait, .. } => {
                refuse(Code::Aborted, ErrorReason::RenewalFailed, message).retry_in(wait)
            }
        }
    }
}

impl From<IncidentError> for Refusal {
    fn from(error: IncidentError) -> Self {
        let message = error.to_string();
        match error {
            IncidentError::Forbidden(error) => Refusal::from(error),
            IncidentError::NotFound(_) => refuse(Code::NotFound, ErrorReason::IncidentNotFound, message),
            IncidentError::Closed(_) => refuse(Code::FailedPrecondition, ErrorReason::IncidentClosed, message),
            IncidentError::EndsNoToken(_) => {
                refuse(Code::FailedPrecondition, ErrorReason::IncidentEndsNoToken, message)
            }
            IncidentError::Store(error) => Refusal::from(error),
            IncidentError::Stopping => refuse(Code::Unavailable, ErrorReason::ShuttingDown, message).retry_in(PATIENCE),
        }
    }
}

impl From<ProbeError> for Refusal {
    fn from(error: ProbeError) -> Self {
        let message = error.to_string();
        match error {
            ProbeError::Renew(error) => Refusal::from(error),
            ProbeError::NotProbed { network, kind } => {
                refuse(Code::FailedPrecondition, ErrorReason::TokenNotProbed, message)
                    .with("network", network)
                    .with("kind", kind)
            }
            ProbeError::NotYet { wait, .. } => refuse(Code::Aborted, ErrorReason::ProbeNotNow, message).retry_in(wait),
        }
    }
}

impl From<ConnectError> for Refusal {
    fn from(error: ConnectError) -> Self {
        let message = error.to_string();
        match error {
            ConnectError::NotFound(_) | ConnectError::UnknownLink => {
                refuse(Code::NotFound, ErrorReason::ConnectionNotFound, message)
            }
            ConnectError::ForeignBrowser
            | ConnectError::SignedOut
            | ConnectError::OtherMember
            | ConnectError::OldText
            | ConnectError::Stage(StageError::NotReady) => {
                refuse(Code::FailedPrecondition, ErrorReason::ConnectionNotReady, message)
            }
            ConnectError::Stage(StageError::Ended(stage)) => {
                refuse(Code::FailedPrecondition, ErrorReason::ConnectionEnded, message).with("stage", stage)
            }
            ConnectError::Left | ConnectError::Stage(StageError::Used | StageError::TooLate) => {
                refuse(Code::FailedPrecondition, ErrorReason::ConnectionEnded, message)
            }
            ConnectError::Rejected(rejected) => Refusal::from(rejected),
            ConnectError::NotConnectable { network, kind, .. } => {
                refuse(Code::FailedPrecondition, ErrorReason::NotConnectable, message)
                    .with("network", network)
                    .with("kind", kind)
            }
            ConnectError::OtherText { agreed } => {
                refuse(Code::FailedPrecondition, ErrorReason::ConsentTextMismatch, message)
                    .with("text_version", agreed)
                    .field("text_version")
            }
            ConnectError::NoMember { member, .. } => {
                refuse(Code::NotFound, ErrorReason::MemberNotFound, message).with("member", member.to_string())
            }
            ConnectError::NoPublicUrl => refuse(Code::FailedPrecondition, ErrorReason::PublicUrlMissing, message),
            ConnectError::ReturnUrl => {
                refuse(Code::InvalidArgument, ErrorReason::ReturnUrlNotAllowed, message).field("return_url")
            }
            ConnectError::NoPurpose => {
                refuse(Code::InvalidArgument, ErrorReason::InvalidField, message).field("purposes")
            }
            ConnectError::OtherKind => refuse(Code::InvalidArgument, ErrorReason::InvalidField, message).field("kind"),
            ConnectError::NotPushed { .. } | ConnectError::PushRefused { .. } => {
                refuse(Code::Unavailable, ErrorReason::PushedRequestRefused, message)
            }
            ConnectError::NoClient { network, app } | ConnectError::NoClientKey { network, app } => {
                refuse(Code::FailedPrecondition, ErrorReason::AppClientMissing, message)
                    .with("network", network)
                    .with("app", app)
            }
            ConnectError::Choice(_) => {
                refuse(Code::InvalidArgument, ErrorReason::ProfileNotConnectable, message).field("profiles")
            }
            ConnectError::Contended(_) => refuse(Code::Aborted, ErrorReason::Overloaded, message).retry_in(PATIENCE),
            ConnectError::Token(error) => Refusal::from(error),
            ConnectError::Random => refuse(Code::Unavailable, ErrorReason::Overloaded, message).retry_in(PATIENCE),
            ConnectError::Sealed(_) => refuse(Code::DataLoss, ErrorReason::SealBroken, message),
        }
    }
}

impl From<NetworkError> for Refusal {
    fn from(error: NetworkError) -> Self {
        let NetworkError::NotFound(_) = error;
        refuse(Code::NotFound, ErrorReason::NetworkNotFound, error.to_string())
    }
}

impl From<AppError> for Refusal {
    fn from(error: AppError) -> Self {
        let message = error.to_string();
        match error {
            AppError::Network(error) => Refusal::from(error),
            AppError::NotFound { .. } => refuse(Code::NotFound, ErrorReason::AppNotFound, message),
            AppError::NoTeam(_) => refuse(Code::NotFound, ErrorReason::TeamNotFound, message),
            AppError::Exists { .. } => refuse(Code::AlreadyExists, ErrorReason::AppExists, message),
            AppError::InUse { tokens, .. } => {
                refuse(Code::FailedPrecondition, ErrorReason::AppInUse, message).with("tokens", tokens)
            }
            AppError::Default(_) => refuse(Code::FailedPrecondition, ErrorReason::AppInUse, message),
            AppError::Fact(_) => refuse(Code::InvalidArgument, ErrorReason::InvalidField, message).field("app.facts"),
            AppError::NoBudget { network, class } => {
                refuse(Code::InvalidArgument, ErrorReason::UnknownCreditClass, message)
                    .with("network", network)
                    .with("credit_class", class)
            }
            AppError::Units { .. } => refuse(Code::InvalidArgument, ErrorReason::InvalidField, message).field("units"),
            AppError::Random => refuse(Code::Unavailable, ErrorReason::Overloaded, message).retry_in(PATIENCE),
            AppError::ClientKey(_) | AppError::NoClientKeys(_) => {
                refuse(Code::InvalidArgument, ErrorReason::AppClientKey, message).field("app.client_secret")
            }
            AppError::NoPublicUrl => refuse(Code::FailedPrecondition, ErrorReason::PublicUrlMissing, message),
            AppError::Store(error) => Refusal::from(error),
        }
    }
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        let message = error.to_string();
        match error {
            ImportError::Mismatch(_) => refuse(Code::FailedPrecondition, ErrorReason::ImportMismatch, message),
            ImportError::InProgress(_) => {
                refuse(Code::Aborted, ErrorReason::ImportInProgress, message).retry_in(STREAM_PATIENCE)
            }
            ImportError::TooMany => {
                refuse(Code::ResourceExhausted, ErrorReason::TooManyStreams, message).retry_in(STREAM_PATIENCE)
            }
            ImportError::Order { .. } => {
                refuse(Code::InvalidArgument, ErrorReason::InvalidField, message).field("rows.row")
            }
            ImportError::Token(error) => Refusal::from(error),
        }
    }
}
