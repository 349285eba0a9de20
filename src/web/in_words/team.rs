//! Errors about a team: its people, its collectors and their keys, its load, alerts and incidents.

use super::{broken, contended};
use crate::domain::alert::AcknowledgeError;
use crate::domain::member::MembershipError;
use crate::service::collectors::CollectorError;
use crate::service::incidents::IncidentError;
use crate::service::keys::KeyError;
use crate::service::members::MemberError;
use crate::service::profiles::ProfileError;
use crate::service::{AlertError, LoadHistoryError, TeamLoadError};
use crate::text::{InWords, Sentence};

impl InWords for MembershipError {
    fn in_words(&self) -> Sentence {
        Sentence::new(match self {
            Self::Left => "wrong-member-left",
            Self::Active => "wrong-member-active",
        })
    }
}

impl InWords for MemberError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::TeamNotFound(team) => Sentence::new("wrong-no-team").named("team", team),
            Self::NotFound { .. } => Sentence::new("wrong-no-member"),
            Self::Forbidden(error) => error.in_words(),
            Self::MailTaken { .. } => Sentence::new("wrong-mail-taken"),
            Self::LastOwner(_) => Sentence::new("wrong-last-owner"),
            Self::State(error) => error.in_words(),
            Self::NotLeft(_) => Sentence::new("wrong-not-left"),
            Self::Contended(_) => contended(),
            Self::Random | Self::Store(_) => broken(),
        }
    }
}

impl InWords for CollectorError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Forbidden(error) => error.in_words(),
            Self::TeamNotFound(team) => Sentence::new("wrong-no-team").named("team", team),
            Self::NotFound { .. } => Sentence::new("wrong-no-collector"),
            Self::Exists(name) => Sentence::new("wrong-collector-held").named("name", name),
            Self::UnknownNetwork(network) => Sentence::new("wrong-no-network").named("network", network),
            Self::CertificateTaken(name) => Sentence::new("wrong-certificate-taken").named("name", name),
            Self::NotIdle(leases) => Sentence::new("wrong-not-idle").with("leases", *leases),
            Self::Store(_) => broken(),
        }
    }
}

impl InWords for KeyError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Forbidden(error) => error.in_words(),
            Self::NotFound(_) => Sentence::new("wrong-no-key"),
            Self::CollectorNotFound { .. } => Sentence::new("wrong-no-collector"),
            Self::CertificateTaken(name) => Sentence::new("wrong-certificate-taken").named("name", name),
            Self::LastAdmin => Sentence::new("wrong-last-admin"),
            Self::Random | Self::Store(_) => broken(),
        }
    }
}

impl InWords for ProfileError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::TeamNotFound(team) => Sentence::new("wrong-no-team").named("team", team),
            Self::UnknownNetwork(network) => Sentence::new("wrong-no-network").named("network", network),
            Self::NoMember(_) => Sentence::new("wrong-no-caretaker"),
            Self::Forbidden(error) => error.in_words(),
            Self::Store(_) => broken(),
        }
    }
}

impl InWords for TeamLoadError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Forbidden(error) => error.in_words(),
            Self::TeamNotFound(team) => Sentence::new("wrong-no-team").named("team", team),
            Self::UnknownNetwork(network) => Sentence::new("wrong-no-network").named("network", network),
            Self::UnknownOperation { network, operation } => {
                Sentence::new("wrong-no-operation").named("network", network).named("operation", operation)
            }
            Self::UnknownClass { network, class } => {
                Sentence::new("wrong-no-class").named("network", network).named("class", class)
            }
            Self::UnknownKind { network, kind } => {
                Sentence::new("wrong-no-kind").named("network", network).named("kind", kind)
            }
        }
    }
}

impl InWords for LoadHistoryError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Load(error) => error.in_words(),
            Self::Store(_) => broken(),
        }
    }
}

impl InWords for AlertError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Forbidden(error) => error.in_words(),
            Self::TeamNotFound(team) => Sentence::new("wrong-no-team").named("team", team),
            Self::NotFound(_) => Sentence::new("wrong-no-alert"),
            Self::Acknowledge(AcknowledgeError::Cleared) => Sentence::new("wrong-alert-cleared"),
            Self::Store(_) | Self::Stopping => broken(),
        }
    }
}

impl InWords for IncidentError {
    fn in_words(&self) -> Sentence {
        match self {
            Self::Forbidden(error) => error.in_words(),
            Self::NotFound(_) => Sentence::new("wrong-no-incident"),
            Self::Closed(_) => Sentence::new("wrong-incident-over"),
            Self::EndsNoToken(_) => Sentence::new("wrong-ends-no-token"),
            Self::Store(_) | Self::Stopping => broken(),
        }
    }
}
