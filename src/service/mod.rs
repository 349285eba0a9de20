//! Use cases: one file per operation, each a method of [`Broker`]. They check what the caller may do, call engine, vault and store, and
//! return domain values; transport converts. Nothing here knows gRPC or HTTP.
//!
//! Invariants: an answer is given only when it is durable; every change is audited, and its request noted, in its own transaction;
//! nothing crosses teams.

mod acquire_lease;
mod alerts;
pub mod apps;
pub mod audit;
mod authenticate;
mod background;
pub mod callbacks;
mod caller;
pub mod changes;
mod client_metadata;
mod clock;
pub mod collectors;
pub mod connect;
pub mod consents;
pub mod dead_spans;
mod directory;
mod estimate_load;
mod grants;
pub mod import_tokens;
pub mod incidents;
pub mod jobs;
pub mod key_source;
pub mod keys;
mod list_leases;
mod load_history;
mod luck;
pub mod members;
pub mod networks;
pub mod notices;
pub mod own_secrets;
pub mod page;
pub mod pools;
pub mod probe;
pub mod profiles;
mod proofs;
mod prune;
pub mod renew;
mod report_usage;
pub mod requests;
pub mod revoke;
pub mod sealing;
pub mod sessions;
pub mod settings;
mod sharing;
mod show_metrics;
mod start;
mod streams;
mod supply;
mod team_load;
pub mod teams;
mod tell;
pub mod tokens;
pub mod usage;
mod watch;
mod watch_alerts;
#[cfg(test)]
mod watch_tests;
mod watch_tokens;
#[cfg(test)]
pub(crate) mod watched;

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
use crate::service::callbacks::Callbacks;
use crate::service::changes::Changes;
use crate::service::import_tokens::Imports;
use crate::service::incidents::Incidents;
use crate::service::jobs::Jobs;
use crate::service::notices::Notices;
use crate::service::probe::Probes;
use crate::service::renew::Renewals;
use crate::service::sealing::Sealing;
use crate::service::sessions::SignInDesk;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::vault::Vault;

pub use crate::engine::{AcquireError, Recall, WaitingView};
pub use crate::store::{DeadSpanFilter, IncidentFilter, LeaseFilter, StoreError};
pub use acquire_lease::{AcquireLease, AcquireLeaseError, LeasedToken};
pub use alerts::{AlertError, AlertStanding, ListAlerts, standing};
pub use authenticate::AuthenticateError;
pub use background::{BackgroundStatus, LastRun};
pub use caller::{Caller, Forbidden, Holder, Shown};
pub use directory::Directory;
pub use estimate_load::{AddedCollection, AddedTokens};
pub use list_leases::{LeaseRecord, ListLeasesError};
pub use load_history::{LoadHistoryError, LoadSample, SAMPLED_EVERY};
pub use proofs::{ProofError, Proofs, SignProof};
pub use report_usage::{Answered, LeaseCallError, OpenReport, ReportUsage, Standing, TakenReport};
pub use start::{StartError, Started};
pub use streams::{OpenStream, Place, Streams, TooManyStreams};
pub use team_load::{ClassLoad, LoadForecast, LoadLevel, Loads, TeamLoad, TeamLoadError};
pub use watch::Watch;

/// The broker: everything that the use cases need. Cloning shares it.
#[derive(Clone)]
pub struct Broker(Arc<Parts>);

/// What a broker is made of.
pub struct Parts {
    /// When it was started.
    pub started_at: Timestamp,
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
    /// The tasks of the process, for work that must outlive the call that began it.
    pub tasks: Tasks,
    /// Streams that are open.
    pub streams: Streams,
    /// Who changes what at the moment.
    pub changes: Changes,
    /// What signing in needs.
    pub desk: SignInDesk,
    /// How far secrets are sealed with the newest keys.
    pub sealing: Sealing,
    /// Loads, alerts and who is told of them.
    pub watch: Watch,
    /// Jobs that are under way.
    pub jobs: Jobs,
    /// Renewals that are under way.
    pub renewals: Renewals,
    /// How far the audit was found whole.
    pub audit_seen: audit::AuditSeen,
    /// Which out-of-band spending was told today.
    pub told_today: tell::ToldToday,
    /// Incidents that are open.
    pub incidents: Incidents,
    /// What telling people is done with.
    pub notices: Notices,
    /// How fast callbacks of networks are taken.
    pub callbacks: Callbacks,
    /// Checks that are under way.
    pub probes: Probes,
    /// Imports that are known.
    pub imports: Imports,
    /// The keys of the tokens that are leased.
    pub proofs: Proofs,
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

/// A keyed hash of what a request asks for: it may hold secrets.
fn request_hash(vault: &Vault, content: &[&[u8]]) -> [u8; 32] {
    vault.mac_key("request content").sign(content)
}
