//! What is asked for, told to the meter of demand: with leases, and with the calls that reports want on top.
//!
//! A retry is the same demand as its first try, and nothing else is:
//!
//! * A request with a `request_id` is known by it, while it is under way, refused or served.
//! * A request without one is a retry of one alike (collector, collection, operation, purpose, profile, kind, keys) that ended
//!   without being served. Two that are under way at the same time are two.
//! * Calls that were not granted with the rest, or that a report wanted and did not get, are asked for again with the next report, or
//!   with the next lease of the same collector, collection, operation and purpose.
//! * Of different keys each counts once for as long as it is remembered, since a key that is open costs nothing.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ids::{ClassId, CollectorId, TeamId};
use crate::domain::load::{DemandKey, DemandMeter, Identity, LoadKey};
use crate::domain::networks::{Network, Operation, Purpose, Unit};
use crate::domain::pool::{AcquireRequest, LeaseView};
use crate::engine::ask::{Acquire, UsageReport, hash};
use crate::engine::cell::Cell;

/// Somebody asks for calls.
pub struct Asked<'a> {
    network: &'a Network,
    operation: &'a Operation,
    team: &'a TeamId,
    collection: &'a Arc<str>,
    calls: u64,
    keys: &'a [String],
    /// By what it is known when it comes again; `None`: by what it leaves over.
    identity: Option<Identity>,
    /// The name of calls alike that were left over before, which this asks for again.
    left_over: (Option<CollectorId>, Purpose),
}

impl<'a> Asked<'a> {
    /// For a lease.
    pub fn of_acquire(network: &'a Network, acquire: &'a Acquire) -> Self {
        let asked = Self::without_name(network, &acquire.request);
        let Some(note) = &acquire.idempotency else { return asked };
        // What stands behind a space numbers the leases that one request had one after another.
        let id = note.request_id.split(' ').next();
        Asked { identity: Some(Identity::Named(hash(&(&note.scope, id)))), ..asked }
    }

    fn without_name(network: &'a Network, request: &'a AcquireRequest) -> Self {
        let who = (request.collector, &request.collection);
        let what = (request.operation, request.purpose, &request.profile, &request.kind, &request.keys);
        Asked {
            network,
            operation: network.leased_operation(request.operation),
            team: &request.team,
            collection: &request.collection,
            calls: request.calls,
            keys: &request.keys,
            identity: Some(Identity::Alike(hash(&(who, what)))),
            left_over: (request.collector, request.purpose),
        }
    }

    /// For more calls of a lease.
    pub fn of_report(network: &'a Network, view: &'a LeaseView, usage: &'a UsageReport) -> Self {
        Asked {
            network,
            operation: network.leased_operation(view.operation),
            team: &view.team,
            collection: &view.collection,
            calls: usage.want_calls,
            keys: &usage.want_keys,
            identity: None,
            left_over: (view.collector, view.purpose),
        }
    }

    fn identity(&self) -> Identity {
        self.identity.unwrap_or_else(|| self.left_over())
    }

    fn left_over(&self) -> Identity {
        Identity::Alike(hash(&("left over", self.collection, self.operation.id.as_str(), self.left_over)))
    }

    /// Charges the demand to its collection, in every class that the operation costs.
    pub fn record(&self, meter: &mut DemandMeter, now: Timestamp) {
        for (key, units) in self.flows() {
            let left_over = meter.has_unserved(&key.load).then(|| self.left_over());
            meter.record(now, &key, self.calls.saturating_mul(units), self.identity, left_over);
        }
        for (key, units) in self.costs(true) {
            self.keys.iter().for_each(|name| meter.record(now, &key, units, Some(Identity::Named(hash(name))), None));
        }
    }

    /// The request that was recorded at `at` was granted so many calls; those that are missing may be asked for again.
    pub fn served(&self, meter: &mut DemandMeter, calls: u64, at: Timestamp) {
        let missing = self.calls.saturating_sub(calls);
        for (key, units) in self.flows() {
            meter.served(&key.load, self.identity(), calls.saturating_mul(units));
            if missing > 0 {
                meter.unserved(at, &key, missing.saturating_mul(units), self.left_over());
            }
        }
    }

    /// The request that was recorded at `at` ended without being served.
    pub fn unserved(&self, meter: &mut DemandMeter, at: Timestamp) {
        for (key, units) in self.flows() {
            meter.unserved(at, &key, self.calls.saturating_mul(units), self.identity());
        }
    }

    /// The classes that count credit which comes back, with what a call costs there.
    fn flows(&self) -> impl Iterator<Item = (DemandKey, u64)> {
        self.costs(false)
    }

    fn costs(&self, of_keys: bool) -> impl Iterator<Item = (DemandKey, u64)> {
        let counts_keys = move |class: &ClassId| {
            let class = self.network.class(class.as_str());
            !self.keys.is_empty() && class.is_some_and(|class| class.unit == Unit::Keys)
        };
        let costs = self.operation.costs.iter().filter(move |cost| counts_keys(&cost.class) == of_keys);
        costs.map(|cost| {
            let load = LoadKey { team: self.team.clone(), network: self.network.id.clone(), class: cost.class.clone() };
            (DemandKey { load, collection: self.collection.clone() }, cost.units)
        })
    }
}

/// A request without a name, from its asking until its end. Unless it was served, it may be tried again, however it ended.
pub struct UntilServed {
    cell: Arc<Cell>,
    request: AcquireRequest,
    asked_at: Timestamp,
    is_served: bool,
}

impl UntilServed {
    /// For a request asked at `asked_at`; `None` where it has a name, by which it is known anyway.
    pub fn watch(cell: &Arc<Cell>, acquire: &Acquire, asked_at: Timestamp) -> Option<UntilServed> {
        let nameless = acquire.idempotency.is_none();
        let request = || acquire.request.clone();
        nameless.then(|| UntilServed { cell: cell.clone(), request: request(), asked_at, is_served: false })
    }

    /// The request was served.
    pub fn served(mut self) {
        self.is_served = true;
    }
}

impl Drop for UntilServed {
    fn drop(&mut self) {
        if !self.is_served {
            let asked = Asked::without_name(&self.cell.network, &self.request);
            asked.unserved(&mut self.cell.lock().meter, self.asked_at);
        }
    }
}
