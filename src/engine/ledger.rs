//! The usage ledger's rows: what leases were used for, written soon after it was reported.

use crate::base::clock::Timestamp;
use crate::base::ids::ClassId;
use crate::domain::networks::{Cost, Network};
use crate::domain::pool::{LeaseUse, LeaseView};
use crate::engine::cell::State;
use crate::store::{UsageKey, UsageRow};

const SECONDS_A_DAY: i64 = 24 * 60 * 60;

impl State {
    /// The rows that are due: what could not be written before, and what was reported since.
    pub(super) fn unwritten_usage(&mut self, network: &Network, now: Timestamp) -> Vec<UsageRow> {
        let mut rows = std::mem::take(&mut self.usage);
        for (lease, used) in self.pool.take_uses() {
            let kind = self.pool.kind_of(lease.token).unwrap_or_default();
            rows.extend(usage_rows(network.leased_costs(lease.operation, kind), network, &lease, used, now));
        }
        rows
    }
}

/// One row without a class, and one for each class that the calls drew from.
fn usage_rows(costs: &[Cost], network: &Network, lease: &LeaseView, used: LeaseUse, now: Timestamp) -> Vec<UsageRow> {
    let row = |class: Option<&ClassId>, credits| UsageRow {
        key: UsageKey {
            token: lease.token,
            day: i32::try_from(now.secs().div_euclid(SECONDS_A_DAY)).unwrap_or(i32::MAX),
            collection: lease.collection.to_string(),
            collector: lease.collector,
            class: class.cloned(),
            network: network.id.clone(),
            purpose: lease.purpose,
        },
        calls: used.calls,
        credits,
        errors: used.errors.min(used.calls),
        throttled: used.throttled.min(used.calls),
    };
    let by_class = costs.iter().map(|cost| row(Some(&cost.class), cost.units.saturating_mul(used.calls)));
    std::iter::once(row(None, 0)).chain(by_class).collect()
}
