//! Collectors: made, changed, switched off and on, deleted.

use std::sync::Arc;

use crate::base::ids::{CollectorId, NetworkId, TeamId};
use crate::domain::audit::AuditEvent;
use crate::domain::certificate::CertificateName;
use crate::domain::member::Action;
use crate::domain::networks::Purposes;
use crate::domain::team::{Collector, CollectorScope, Key, KeyHolder};
use crate::service::directory::CertificateHolder;
use crate::service::members::On;
use crate::service::requests::Attempt;
use crate::service::{Broker, Caller, Forbidden};
use crate::store::StoreError;

/// Leases that a collector may hold at once, where nothing else is said.
pub const DEFAULT_MAX_LEASES: u32 = 1_000;

/// A collector to make.
#[derive(Debug, Clone)]
pub struct CreateCollector {
    /// Its team.
    pub team: TeamId,
    /// Its name for people; unique in the team.
    pub display_name: String,
    /// What it may ask for.
    pub scope: CollectorScope,
    /// Its share: 1 to 1000.
    pub weight: u32,
    /// The certificates that it may show instead of a key.
    pub certificates: Vec<CertificateName>,
}

/// What to change about a collector; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateCollector {
    /// Its name for people.
    pub display_name: Option<String>,
    /// Its networks, and whether it may use all.
    pub networks: Option<(Vec<NetworkId>, bool)>,
    /// Its purposes.
    pub purposes: Option<Purposes>,
    /// Leases that it may hold at once.
    pub max_leases: Option<u32>,
    /// Its share.
    pub weight: Option<u32>,
    /// The certificates that it may show instead of a key.
    pub certificates: Option<Vec<CertificateName>>,
}

/// Why nothing was done about a collector.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CollectorError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such team.
    #[error("there is no team '{0}'; see the list of teams")]
    TeamNotFound(TeamId),
    /// The team has no such collector.
    #[error("team '{team}' has no collector '{collector}'; see the list of its collectors")]
    NotFound {
        /// The team.
        team: TeamId,
        /// What was asked for.
        collector: CollectorId,
    },
    /// The name is taken.
    #[error("the team has a collector named '{0}' already; choose another name, or change that one")]
    Exists(String),
    /// There is no such network.
    #[error("the catalogue has no network '{0}'; see the networks command for those it has")]
    UnknownNetwork(NetworkId),
    /// The certificate is somebody else's already.
    #[error(
        "the certificate name '{0}' is registered already, for a collector or an operator; each name stands for one"
    )]
    CertificateTaken(CertificateName),
    /// It holds leases.
    #[error("the collector still holds {0} leases; wait for them, or force it")]
    NotIdle(u32),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    /// A collector of a team.
    pub fn collector(&self, team: &TeamId, id: CollectorId) -> Result<Arc<Collector>, CollectorError> {
        let of_team = self.directory.collector(id).filter(|collector| collector.team == *team);
        of_team.ok_or_else(|| CollectorError::NotFound { team: team.clone(), collector: id })
    }

    /// At most `limit` collectors of a team (`None`: of all) after `after`, in the order of their making, and whether there are
    /// more.
    pub fn list_collectors(
        &self,
        team: Option<&TeamId>,
        after: Option<CollectorId>,
        limit: usize,
    ) -> Result<(Vec<Arc<Collector>>, bool), CollectorError> {
        let teams = match team {
            Some(id) => vec![self.directory.team(id).ok_or_else(|| CollectorError::TeamNotFound(id.clone()))?],
            None => self.directory.teams(),
        };
        let mut found: Vec<_> = teams.iter().flat_map(|team| self.directory.collectors(&team.id)).collect();
        found.retain(|collector| after.is_none_or(|after| collector.id > after));
        found.sort_by_key(|collector| collector.id);
        let more = found.len() > limit;
        found.truncate(limit);
        Ok((found, more))
    }

    /// Makes a collector. It has no key yet.
    pub async fn create_collector(
        &self,
        attempt: impl Into<Attempt<Arc<Collector>>>,
        ask: CreateCollector,
    ) -> Result<Arc<Collector>, CollectorError> {
        let attempt = attempt.into();
        let CreateCollector { team, display_name, scope, weight, certificates } = ask;
        let _one_at_a_time = self.changes.directory.lock().await;
        if self.directory.team(&team).is_none() {
            return Err(CollectorError::TeamNotFound(team));
        }
        self.must_permit(&attempt.caller, Action::ChangeCollectors, &team, On::Team)?;
        self.check_networks(&scope)?;
        self.check_name(&team, &display_name, None)?;
        let id = CollectorId::generate();
        self.check_certificates(&certificates, id)?;
        let (disabled, created_at) = (false, self.now());
        let collector = Collector { id, team, display_name, scope, weight, certificates, disabled, created_at };
        let audit = self.collector_audit(&attempt.caller, "collector.create", &collector, detail_of(&collector));
        let made = Arc::new(collector.clone());
        self.store.insert_collector(collector.clone(), attempt.trail(audit, &made)).await?;
        self.directory.put_collector(collector);
        Ok(made)
    }

    /// Changes what a collector may do. What it holds it keeps.
    pub async fn update_collector(
        &self,
        attempt: impl Into<Attempt<Arc<Collector>>>,
        team: &TeamId,
        id: CollectorId,
        change: UpdateCollector,
    ) -> Result<Arc<Collector>, CollectorError> {
        let attempt = attempt.into();
        let _one_at_a_time = self.changes.directory.lock().await;
        self.must_permit(&attempt.caller, Action::ChangeCollectors, team, On::Team)?;
        let mut collector = (*self.collector(team, id)?).clone();
        if let Some(name) = change.display_name {
            self.check_name(team, &name, Some(id))?;
            collector.display_name = name;
        }
        if let Some((networks, all_networks)) = change.networks {
            (collector.scope.networks, collector.scope.all_networks) = (networks, all_networks);
        }
        collector.scope.purposes = change.purposes.unwrap_or(collector.scope.purposes);
        collector.scope.max_leases = change.max_leases.unwrap_or(collector.scope.max_leases);
        collector.weight = change.weight.unwrap_or(collector.weight);
        if let Some(certificates) = change.certificates {
            self.check_certificates(&certificates, id)?;
            collector.certificates = certificates;
        }
        self.check_networks(&collector.scope)?;
        let audit = self.collector_audit(&attempt.caller, "collector.update", &collector, detail_of(&collector));
        self.put_collector(&attempt, collector, audit).await
    }

    /// Stops a collector at once: from now on nothing is leased to it, and what it holds is recalled. Twice is no error.
    pub async fn disable_collector(
        &self,
        attempt: impl Into<Attempt<Arc<Collector>>>,
        team: &TeamId,
        id: CollectorId,
        comment: &str,
    ) -> Result<Arc<Collector>, CollectorError> {
        let attempt = attempt.into();
        let _one_at_a_time = self.changes.directory.lock().await;
        self.must_permit(&attempt.caller, Action::ChangeCollectors, team, On::Team)?;
        let before = self.collector(team, id)?;
        if before.disabled {
            self.note_unchanged(&attempt, &before).await?;
            return Ok(before);
        }
        let disabled = Collector { disabled: true, ..(*before).clone() };
        let made = Arc::new(disabled.clone());
        let audit = self.collector_audit(&attempt.caller, "collector.disable", &disabled, comment_detail(comment));
        // In memory first: nothing may be leased to it once this is acknowledged, whatever is under way.
        self.directory.put_collector(disabled.clone());
        if let Err(error) = self.store.update_collector(disabled, attempt.trail(audit, &made)).await {
            self.directory.put_collector((*before).clone());
            return Err(error.into());
        }
        self.engine.recall_leases(|lease| lease.collector == Some(id));
        Ok(made)
    }

    /// Lets a disabled collector work again. Twice is no error.
    pub async fn enable_collector(
        &self,
        attempt: impl Into<Attempt<Arc<Collector>>>,
        team: &TeamId,
        id: CollectorId,
        comment: &str,
    ) -> Result<Arc<Collector>, CollectorError> {
        let attempt = attempt.into();
        let _one_at_a_time = self.changes.directory.lock().await;
        self.must_permit(&attempt.caller, Action::ChangeCollectors, team, On::Team)?;
        let before = self.collector(team, id)?;
        if !before.disabled {
            self.note_unchanged(&attempt, &before).await?;
            return Ok(before);
        }
        let enabled = Collector { disabled: false, ..(*before).clone() };
        let audit = self.collector_audit(&attempt.caller, "collector.enable", &enabled, comment_detail(comment));
        self.put_collector(&attempt, enabled, audit).await
    }

    /// Deletes a collector and revokes its keys. With `force` its leases are recalled, else it must hold none.
    pub async fn delete_collector(
        &self,
        attempt: impl Into<Attempt<()>>,
        team: &TeamId,
        id: CollectorId,
        force: bool,
    ) -> Result<(), CollectorError> {
        let attempt = attempt.into();
        let _one_at_a_time = self.changes.directory.lock().await;
        let collector = self.collector(team, id)?;
        let held = self.engine.leases_of(id);
        if held > 0 && !force {
            return Err(CollectorError::NotIdle(held));
        }
        Ok(self.remove_collector(&attempt, &collector).await?)
    }

    /// Deletes a collector with its keys and recalls its leases. The caller holds the lock of the directory.
    pub(super) async fn remove_collector(
        &self,
        attempt: &Attempt<()>,
        collector: &Collector,
    ) -> Result<(), StoreError> {
        let audit = self.collector_audit(&attempt.caller, "collector.delete", collector, String::new());
        let now = self.now();
        self.directory.remove_collector(collector.id);
        if let Err(error) = self.store.delete_collector(collector.id, now, attempt.trail(audit, &())).await {
            self.directory.put_collector(collector.clone());
            return Err(error);
        }
        let own = KeyHolder::Collector(collector.team.clone(), collector.id);
        for key in self.directory.keys().into_iter().filter(|key| key.holder == own) {
            self.directory.put_key(Key { revoked_at: key.revoked_at.or(Some(now)), ..(*key).clone() });
        }
        self.engine.recall_leases(|lease| lease.collector == Some(collector.id));
        Ok(())
    }

    async fn put_collector(
        &self,
        attempt: &Attempt<Arc<Collector>>,
        collector: Collector,
        audit: AuditEvent,
    ) -> Result<Arc<Collector>, CollectorError> {
        let made = Arc::new(collector.clone());
        self.store.update_collector(collector.clone(), attempt.trail(audit, &made)).await?;
        self.directory.put_collector(collector);
        Ok(made)
    }

    fn check_networks(&self, scope: &CollectorScope) -> Result<(), CollectorError> {
        let unknown = scope.networks.iter().find(|network| self.catalogue.network(network.as_str()).is_none());
        unknown.map_or(Ok(()), |network| Err(CollectorError::UnknownNetwork(network.clone())))
    }

    fn check_certificates(&self, names: &[CertificateName], own: CollectorId) -> Result<(), CollectorError> {
        let own = CertificateHolder::Collector(own);
        let taken = names.iter().find(|name| self.directory.certificate(name).is_some_and(|holder| holder != own));
        taken.map_or(Ok(()), |name| Err(CollectorError::CertificateTaken(name.clone())))
    }

    fn check_name(&self, team: &TeamId, name: &str, own: Option<CollectorId>) -> Result<(), CollectorError> {
        let others = self.directory.collectors(team);
        let taken = others.iter().any(|other| other.display_name == name && Some(other.id) != own);
        if taken { Err(CollectorError::Exists(name.to_owned())) } else { Ok(()) }
    }

    fn collector_audit(
        &self,
        caller: &Caller,
        action: &'static str,
        collector: &Collector,
        detail: String,
    ) -> AuditEvent {
        let subject = format!("teams/{}/collectors/{}", collector.team, collector.id);
        let mut audit = self.audit(caller, action, subject, detail);
        audit.team = Some(collector.team.clone());
        audit
    }
}

/// A comment as the last of an audit's details: it may hold spaces.
pub(super) fn comment_detail(comment: &str) -> String {
    if comment.is_empty() { String::new() } else { format!("comment={comment}") }
}

fn detail_of(collector: &Collector) -> String {
    let CollectorScope { networks, all_networks, purposes, max_leases } = &collector.scope;
    let networks: Vec<&str> = networks.iter().map(NetworkId::as_str).collect();
    let networks = if *all_networks { "-".to_owned() } else { networks.join(",") };
    let purposes: Vec<&str> = purposes.iter().map(crate::domain::networks::Purpose::as_str).collect();
    let certificates: Vec<&str> = collector.certificates.iter().map(CertificateName::as_str).collect();
    format!(
        "networks={networks} purposes={} max_leases={max_leases} weight={} certificates={}",
        purposes.join(","),
        collector.weight,
        certificates.join(",")
    )
}
