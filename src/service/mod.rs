//! Use cases: one file per operation, each a method of [`Broker`]. They check what the caller may do, call engine, vault and store, and
//! return domain values; transport converts. Nothing here knows gRPC or HTTP.
//!
//! Invariants: an answer is given only when it is durable; every change is audited in its own transaction; nothing crosses teams.

mod acquire_lease;
pub mod audit;
mod authenticate;
mod caller;
pub mod changes;
pub mod collectors;
mod directory;
pub mod import_tokens;
pub mod keys;
pub mod networks;
pub mod page;
mod report_usage;
pub mod requests;
mod start;
pub mod teams;
pub mod tokens;
pub mod usage;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::base::clock::{Clock, Timestamp};
use crate::base::ids::AuditId;
use crate::base::tasks::Tasks;
use crate::config::Config;
use crate::domain::audit::AuditEvent;
use crate::domain::networks::Catalogue;
use crate::engine::Engine;
use crate::service::changes::Changes;
use crate::service::import_tokens::Imports;
use crate::service::requests::Requests;
use crate::service::usage::UsageBook;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::vault::Vault;

pub use acquire_lease::{AcquireLease, AcquireLeaseError, LeasedToken};
pub use authenticate::AuthenticateError;
pub use caller::{Caller, Forbidden, Holder};
pub use directory::Directory;
pub use report_usage::{Answered, LeaseCallError, ReportUsage, Standing};
pub use start::{StartError, Started};

/// The broker: everything that the use cases need. Cloning shares it.
#[derive(Clone)]
pub struct Broker(Arc<Parts>);

/// What a broker is made of.
pub struct Parts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Settings.
    pub config: Config,
    /// Networks.
    pub catalogue: Catalogue,
    /// What must not be forgotten.
    pub store: Arc<dyn Store>,
    /// Secrets.
    pub vault: Arc<Vault>,
    /// The live pools.
    pub engine: Engine,
    /// Metrics.
    pub metrics: Metrics,
    /// Teams, collectors and keys in memory.
    pub directory: Directory,
    /// Where work that must be finished runs.
    pub tasks: Tasks,
    /// Who changes what at the moment.
    pub changes: Changes,
    /// Requests that were answered lately.
    pub requests: Requests,
    /// What was called with tokens and is not yet in the ledger.
    pub usage: UsageBook,
    /// Imports that are known.
    pub imports: Imports,
}

impl std::ops::Deref for Broker {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Broker {
    /// From its parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An audit event of `caller`, now.
    pub fn audit(&self, caller: &Caller, action: &'static str, subject: String, detail: String) -> AuditEvent {
        AuditEvent {
            id: AuditId::generate(),
            at: self.now(),
            actor: caller.actor(),
            action,
            team: caller.team().cloned(),
            subject,
            detail,
        }
    }
}
