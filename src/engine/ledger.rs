//! The usage ledger's rows: what a lease was used for, written when it ends.

use crate::base::clock::Timestamp;
use crate::base::ids::ClassId;
use crate::domain::networks::Network;
use crate::domain::pool::LeaseView;
use crate::store::{UsageKey, UsageRow};

const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// The rows of a lease that ends: one without a class, and one for each class that its calls drew from. `spent` counts the calls that
/// were made, or must be taken as made.
pub fn usage_rows(network: &Network, lease: &LeaseView, spent: u64, now: Timestamp) -> Vec<UsageRow> {
    if spent == 0 {
        return Vec::new();
    }
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
        calls: spent,
        credits,
        errors: lease.errors.min(spent),
        throttled: lease.throttled.min(spent),
    };
    let costs = network.operations[lease.operation].costs.iter();
    let by_class = costs.map(|cost| row(Some(&cost.class), cost.units.saturating_mul(spent)));
    std::iter::once(row(None, 0)).chain(by_class).collect()
}
