//! The team's collectors: the programs that lease its tokens, what each may ask for, its keys, and what it did lately.

mod change;
mod keys;
mod list;
mod show;
mod snippet;

use axum::http::StatusCode;
use axum::response::Response;

pub(super) use self::change::{ask_for_collector, create, disable, enable, update};
pub(super) use self::keys::{confirm_key_revocation, create_key, revoke_key};
pub(super) use self::list::list;
pub(super) use self::show::show;

use std::sync::Arc;

use super::refused::{Refusal, refused};
use super::{Shell, Visit};
use crate::base::ids::CollectorId;
use crate::domain::networks::Purpose;
use crate::domain::team::Collector;
use crate::service::Broker;
use crate::service::collectors::CollectorError;
use crate::service::keys::KeyError;

/// The collector of that id, if it is of the visitor's team.
fn found(broker: &Broker, visit: &Visit, shell: Shell, id: &str) -> Result<(Shell, Arc<Collector>), Box<Response>> {
    let id = CollectorId::typed(id);
    match broker.collector(visit.team(), id) {
        Ok(collector) => Ok((shell, collector)),
        Err(error) => Err(Box::new(refused(shell, &error))),
    }
}

/// The networks that a collector may use, by name; `None`: all.
fn networks_of(broker: &Broker, collector: &Collector) -> Option<Vec<String>> {
    let name = |id: &crate::base::ids::NetworkId| broker.catalogue.name_for_people(id.as_str()).to_owned();
    (!collector.scope.all_networks).then(|| collector.scope.networks.iter().map(name).collect())
}

fn purpose_name(shell: &Shell, purpose: Purpose) -> String {
    shell.say(&format!("purpose-{}", purpose.as_str().replace('_', "-")))
}

impl Refusal for CollectorError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TeamNotFound(_) | Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::UnknownNetwork(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Exists(_) | Self::CertificateTaken(_) | Self::NotIdle(_) => StatusCode::CONFLICT,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Refusal for KeyError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) | Self::CollectorNotFound { .. } => StatusCode::NOT_FOUND,
            Self::CertificateTaken(_) | Self::LastAdmin => StatusCode::CONFLICT,
            Self::Random => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

#[cfg(test)]
mod tests;
