//! What is asked for, told to the meter of demand: with leases, and with the calls that reports want on top.
//!
//! The same request that is refused and asked again is the same demand, whatever else is granted meanwhile; once it is served, the next
//! one like it is new demand. Of different keys each counts once for as long as it is remembered, since a key that is open costs nothing.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ids::{LeaseId, TeamId};
use crate::domain::load::{DemandKey, DemandMeter, LoadKey};
use crate::domain::networks::{Network, Operation, Unit};
use crate::domain::pool::LeaseView;
use crate::engine::acquire::{Acquire, hash};
use crate::engine::report::UsageReport;

/// Somebody asks for calls.
pub struct Asked<'a> {
    network: &'a Network,
    operation: &'a Operation,
    team: &'a TeamId,
    collection: &'a Arc<str>,
    calls: u64,
    keys: &'a [String],
    /// The same for each retry of the request.
    identity: u64,
}

impl<'a> Asked<'a> {
    /// For a lease.
    pub fn of_acquire(network: &'a Network, acquire: &'a Acquire) -> Self {
        let request = &acquire.request;
        let who = (request.collector, &request.collection);
        let what = (request.operation, request.purpose, &request.profile, &request.kind, &request.keys);
        Asked {
            network,
            operation: &network.operations[request.operation],
            team: &request.team,
            collection: &request.collection,
            calls: request.calls,
            keys: &request.keys,
            identity: hash(&(who, what)),
        }
    }

    /// For more calls of a lease.
    pub fn of_report(network: &'a Network, lease: LeaseId, view: &'a LeaseView, usage: &'a UsageReport) -> Self {
        Asked {
            network,
            operation: &network.operations[view.operation],
            team: &view.team,
            collection: &view.collection,
            calls: usage.want_calls,
            keys: &usage.want_keys,
            identity: hash(&(lease, "top up")),
        }
    }

    /// Charges the demand to its collection, in every class that the operation costs.
    pub fn record(&self, meter: &mut DemandMeter, now: Timestamp) {
        for cost in &self.operation.costs {
            let key = DemandKey { load: self.load_key(&cost.class), collection: self.collection.clone() };
            let counts_keys = self.network.class(cost.class.as_str()).is_some_and(|class| class.unit == Unit::Keys);
            if counts_keys && !self.keys.is_empty() {
                self.keys.iter().for_each(|name| meter.record(now, &key, cost.units, Some(hash(name))));
            } else {
                meter.record(now, &key, self.calls.saturating_mul(cost.units), Some(self.identity));
            }
        }
    }

    /// The request was served: the next one like it is new demand.
    pub fn served(&self, meter: &mut DemandMeter) {
        for cost in &self.operation.costs {
            meter.served(&self.load_key(&cost.class), self.identity);
        }
    }

    fn load_key(&self, class: &crate::base::ids::ClassId) -> LoadKey {
        LoadKey { team: self.team.clone(), network: self.network.id.clone(), class: class.clone() }
    }
}
