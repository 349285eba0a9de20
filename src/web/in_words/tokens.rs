//! Errors about tokens: what is done with them, their renewal, their checks and jobs over many.

use super::{broken, contended};
use crate::domain::job::JobDone;
use crate::domain::token::{Reason, TransitionError};
use crate::service::jobs::JobError;
use crate::service::probe::ProbeError;
use crate::service::renew::{NotYet, RenewError};
use crate::service::tokens::{Rejected, TokenError};
use crate::text::{InWords, Sentence};

impl InWords for Reason {
    fn in_words(&self) -> Sentence {
        Sentence::new(format!("reason-{}", self.as_str().replace('_', "-")))
    }
}

impl InWords for TransitionError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Revoked => Sentence::new("wrong-revoked"),
            Self::Invalid(reason) => Sentence::new("wrong-invalid").and("reason", reason.in_words()),
        }
    }
}

impl InWords for Rejected {
    fn in_words(&self) -> Sentence {
        match self {
            Self::UnknownNetwork(network) => Sentence::new("wrong-no-network").named("network", network),
            Self::UnknownKind { network, kind } => {
                Sentence::new("wrong-no-kind").named("network", network).named("kind", kind)
            }
            Self::AppNotFound { network, app } => {
                Sentence::new("wrong-no-app").named("network", network).named("app", app)
            }
            Self::Scopes(missing) => Sentence::new("wrong-scopes").named("missing", missing.join("; ")),
            Self::Purposes { kind, purposes } => {
                Sentence::new("wrong-purposes").named("kind", kind).named("purposes", purposes.join(", "))
            }
            Self::Fact { network, fact, hint } => {
                Sentence::new("wrong-fact").named("network", network).named("fact", fact).named("hint", hint)
            }
            Self::Over(at) => Sentence::new("wrong-over").at("at", *at),
            Self::BoundToAKey(kind) => Sentence::new("wrong-bound").named("kind", kind),
            Self::Consent => Sentence::new("wrong-consent"),
        }
    }
}

impl InWords for TokenError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::TeamNotFound(team) => Sentence::new("wrong-no-team").named("team", team),
            Self::NotFound { .. } => Sentence::new("wrong-no-token"),
            Self::NotAgreed(_) => Sentence::new("wrong-not-agreed"),
            Self::Forbidden(error) => error.in_words(),
            Self::Rejected(error) => error.in_words(),
            Self::Exists { .. } => Sentence::new("wrong-token-held"),
            Self::RefreshHeld(_) => Sentence::new("wrong-refresh-held"),
            Self::State(error) => error.in_words(),
            Self::Contended(_) => contended(),
            Self::Vault(_) | Self::Seal(_) | Self::Store(_) => broken(),
        }
    }
}

impl InWords for NotYet {
    fn in_words(&self) -> Sentence {
        Sentence::new(match self {
            Self::LookedAt => "wait-looked-at",
            Self::NoTimeYet => "wait-no-time",
            Self::MayBeUsed => "wait-may-be-used",
            Self::Pace => "wait-pace",
        })
    }
}

impl InWords for RenewError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Token(error) => error.in_words(),
            Self::NotRenewable(_) => Sentence::new("wrong-not-renewable"),
            Self::NoClient { network, app } => {
                Sentence::new("wrong-no-client").named("network", network).named("app", app)
            }
            Self::NotYet { until, why, .. } => {
                Sentence::new("wrong-renew-later").at("at", *until).and("why", why.in_words())
            }
            Self::Incident { .. } => Sentence::new("wrong-incident"),
            Self::Sealed(_) => broken(),
            Self::Refused(reason) => Sentence::new("wrong-renew-refused").and("reason", reason.in_words()),
            Self::Failed { why, retry_at, .. } => {
                Sentence::new("wrong-renew-failed").at("at", *retry_at).named("why", why)
            }
        }
    }
}

impl InWords for ProbeError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Renew(error) => error.in_words(),
            Self::NotProbed { .. } => Sentence::new("wrong-not-probed"),
            Self::NotYet { until, .. } => Sentence::new("wrong-probe-later").at("at", *until),
        }
    }
}

impl InWords for JobDone {
    fn in_words(&self) -> Sentence {
        Sentence::new("wrong-job-done")
    }
}

impl InWords for JobError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Forbidden(error) => error.in_words(),
            Self::TeamNotFound(team) => Sentence::new("wrong-no-team").named("team", team),
            Self::UnknownNetwork(network) => Sentence::new("wrong-no-network").named("network", network),
            Self::NotFound { .. } => Sentence::new("wrong-no-job"),
            Self::NotDone(_) => Sentence::new("wrong-job-runs"),
            Self::Done(error) => error.in_words(),
            Self::Contended(_) => contended(),
            Self::Store(_) => broken(),
        }
    }
}
