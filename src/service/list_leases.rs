//! Leases as people see them: what the store keeps of them, with what the pool knows better while they are held.

use std::cmp::Reverse;

use crate::base::clock::Timestamp;
use crate::base::ids::{KindId, LeaseId};
use crate::domain::lease::{Lease, LeaseState};
use crate::engine::LeasePlace;
use crate::service::{Broker, Caller, Forbidden};
use crate::store::{LeaseFilter, LeaseRow, StoreError};

/// One lease.
#[derive(Debug, Clone)]
pub struct LeaseRecord {
    /// What the store keeps. Its state and times are those of the pool, while the lease is held.
    pub lease: Lease,
    /// When it ended; `None`: it is held.
    pub ended_at: Option<Timestamp>,
    /// The kind of its token; `None`: the token is gone.
    pub kind: Option<KindId>,
    /// Calls granted so far.
    pub calls_granted: u64,
    /// Calls granted and not reported; 0 once it has ended.
    pub calls_left: u64,
    /// The server where its token is used, where that is the account's own and the lease is held.
    pub server: Option<String>,
}

/// Why leases were not shown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ListLeasesError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such lease, or it is somebody else's.
    #[error("there is no lease '{0}' of this caller")]
    NotFound(LeaseId),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    /// One lease, for its holder or an operator.
    pub async fn get_lease(&self, caller: &Caller, lease: LeaseId) -> Result<LeaseRecord, ListLeasesError> {
        let held = self.engine.place(lease).and_then(|place| self.held_record(lease, &place));
        let record = match held {
            Some(record) => record,
            None => {
                let row = self.store.find_lease_row(lease).await?;
                self.ended_record(row.ok_or(ListLeasesError::NotFound(lease))?)
            }
        };
        if !caller.holds(record.lease.collector) && caller.must_be_operator().is_err() {
            return Err(ListLeasesError::NotFound(lease));
        }
        Ok(record)
    }

    /// Leases, newest first, for an operator; at most `limit`. Those that are held come from the pools, others from the store.
    pub async fn list_leases(
        &self,
        caller: &Caller,
        filter: LeaseFilter,
        limit: u32,
    ) -> Result<Vec<LeaseRecord>, ListLeasesError> {
        caller.must_be_operator()?;
        if filter.state.is_none_or(|state| state == LeaseState::Open) {
            return Ok(self.list_held(&filter, limit));
        }
        let rows = self.store.list_leases(filter, limit).await?;
        Ok(rows.into_iter().map(|row| self.ended_record(row)).collect())
    }

    fn list_held(&self, filter: &LeaseFilter, limit: u32) -> Vec<LeaseRecord> {
        let mut held = self.engine.places(|lease, place| {
            filter.before.is_none_or(|before| lease < before)
                && filter.team.as_ref().is_none_or(|team| place.team == *team)
                && filter.network.as_ref().is_none_or(|network| place.network().id == *network)
                && filter.collector.is_none_or(|collector| place.collector == Some(collector))
        });
        held.sort_unstable_by_key(|(lease, _)| Reverse(*lease));
        let records = held.iter().filter_map(|(lease, place)| self.held_record(*lease, place));
        let on_token = records.filter(|record| filter.token.is_none_or(|token| record.lease.token == token));
        on_token.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
    }

    fn held_record(&self, lease: LeaseId, place: &LeasePlace) -> Option<LeaseRecord> {
        let network = place.network();
        let (view, kind, profile) = self.engine.look(&network.id, |pool| {
            let view = pool.lease(lease)?;
            let (kind, profile) = (pool.kind_of(view.token), pool.first_profile_of(view.token));
            Some((view, kind, profile))
        })??;
        let lease = Lease {
            id: lease,
            team: view.team,
            collector: view.collector,
            network: network.id.clone(),
            token: view.token,
            operation: network.leased_operation(view.operation).id.clone(),
            purpose: view.purpose,
            collection: view.collection.to_string(),
            profile: profile.as_deref().unwrap_or_default().to_owned(),
            calls: view.calls_granted,
            opened_at: view.opened_at,
            use_by: view.use_by,
            expires_at: view.expires_at,
            state: if view.recalled { LeaseState::Recalled } else { LeaseState::Open },
        };
        let (calls_granted, calls_left) = (view.calls_granted, view.calls_left);
        let kind = kind.map(|kind| network.kinds[kind].id.clone());
        Some(LeaseRecord {
            server: self.proofs.server_of(lease.id),
            lease,
            ended_at: None,
            kind,
            calls_granted,
            calls_left,
        })
    }

    fn ended_record(&self, row: LeaseRow) -> LeaseRecord {
        let LeaseRow { mut lease, used, closed_at } = row;
        let now = self.now();
        let mut ended_at = closed_at;
        if lease.state == LeaseState::Open {
            // It left the pool a moment ago, and its end is not written yet.
            let expired = lease.expires_at <= now;
            lease.state = if expired { LeaseState::Expired } else { LeaseState::Released };
            ended_at = Some(lease.expires_at.min(now));
        }
        let kind = self
            .engine
            .look(&lease.network, |pool| pool.kind_of(lease.token).map(|kind| pool.network().kinds[kind].id.clone()));
        let calls_granted = lease.calls.max(used);
        LeaseRecord { lease, ended_at, kind: kind.flatten(), calls_granted, calls_left: 0, server: None }
    }
}
