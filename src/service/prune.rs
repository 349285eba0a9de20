//! Forgetting what is old: a bounded amount at a time, so that nobody waits long for the writer.

use std::time::Duration;

use crate::service::Broker;
use crate::store::StoreError;

/// Rows deleted in one statement.
const AT_ONCE: u32 = 1000;
/// Statements of one kind in one run; what is left goes with the next.
const ROUNDS: usize = 10;
const DAY: Duration = Duration::from_secs(86_400);
/// How long closed leases are kept; what was done with a token stays in the audit.
const LEASES_KEPT: Duration = Duration::from_secs(7 * 86_400);
/// How long messages that were sent are kept, so that none is sent twice.
const MESSAGES_KEPT: Duration = Duration::from_secs(7 * 86_400);
/// How long cleared alerts are kept.
const ALERTS_KEPT: Duration = Duration::from_secs(365 * 86_400);

impl Broker {
    /// Forgets what is old. Returns what was forgotten, for people.
    pub async fn prune(&self) -> Result<String, StoreError> {
        let (now, store) = (self.now(), &self.store);
        let leases = in_rounds(|| store.prune_leases(now - LEASES_KEPT, AT_ONCE)).await?;
        // A block counts until its window ends; a day more, for those who look into the books.
        let credit = in_rounds(|| store.prune_credit(now - DAY, AT_ONCE)).await?;
        let requests = in_rounds(|| store.prune_requests(now, AT_ONCE)).await?;
        let messages = in_rounds(|| store.prune_outbox(now - MESSAGES_KEPT, AT_ONCE)).await?;
        let alerts = in_rounds(|| store.prune_alerts(now - ALERTS_KEPT, AT_ONCE)).await?;
        Ok(format!("{leases} leases, {credit} blocks, {requests} requests, {messages} messages, {alerts} alerts"))
    }
}

async fn in_rounds<W: Future<Output = Result<u64, StoreError>>>(prune: impl Fn() -> W) -> Result<u64, StoreError> {
    let mut pruned = 0;
    for _ in 0..ROUNDS {
        let gone = prune().await?;
        pruned += gone;
        if gone < u64::from(AT_ONCE) {
            break;
        }
    }
    Ok(pruned)
}
