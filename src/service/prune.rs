//! Forgetting what is old: a bounded amount at a time, so that nobody waits long for the writer.

use std::time::Duration;

use crate::service::Broker;
use crate::store::StoreError;

/// Rows deleted in one statement.
const AT_ONCE: u32 = 1000;
/// Statements of one kind in one run; what is left goes with the next. Enough for 10,000 rows a second with a run each minute, so that
/// no table grows without end under a load that the writer can bear.
const ROUNDS: usize = 600;
const DAY: Duration = Duration::from_secs(86_400);

impl Broker {
    /// Forgets what is old. Returns what was forgotten, for people.
    pub async fn prune(&self) -> Result<String, StoreError> {
        let (now, store, keep) = (self.now(), &self.store, &self.config.keep);
        let first_day = i32::try_from((now - keep.usage).secs().div_euclid(86_400)).unwrap_or(i32::MAX);
        let leases = in_rounds(|| store.prune_leases(now - keep.leases, AT_ONCE)).await?;
        // A block counts until its window ends; a day more, for those who look into the books.
        let credit = in_rounds(|| store.prune_credit(now - DAY, AT_ONCE)).await?;
        let jobs = in_rounds(|| store.prune_jobs(now - crate::service::jobs::KEPT, AT_ONCE)).await?;
        let revocations = in_rounds(|| store.prune_revocations(now - crate::service::revoke::KEPT, AT_ONCE)).await?;
        let requests = in_rounds(|| store.prune_requests(now, AT_ONCE)).await?;
        let imports = in_rounds(|| store.prune_imports(now - crate::service::import_tokens::KEPT, AT_ONCE)).await?;
        let messages = in_rounds(|| store.prune_outbox(now - keep.messages, AT_ONCE)).await?;
        let alerts = in_rounds(|| store.prune_alerts(now - keep.alerts, AT_ONCE)).await?;
        let events = in_rounds(|| store.prune_events(now - keep.alerts, AT_ONCE)).await?;
        let incidents = in_rounds(|| store.prune_incidents(now - keep.alerts, AT_ONCE)).await?;
        let dead_spans = in_rounds(|| store.prune_dead_spans(now - keep.alerts, AT_ONCE)).await?;
        let connections = in_rounds(|| store.prune_connections(now - keep.connections, AT_ONCE)).await?;
        let marks = in_rounds(|| store.prune_read_marks(now - keep.alerts, AT_ONCE)).await?;
        let loads = in_rounds(|| store.prune_load_samples(now - crate::service::load_history::KEPT, AT_ONCE)).await?;
        let usage = in_rounds(|| store.prune_usage(first_day, AT_ONCE)).await?;
        let audit = in_rounds(|| store.prune_audit(now - keep.audit, AT_ONCE)).await?;
        let callbacks = in_rounds(|| store.prune_callbacks(now - keep.audit, AT_ONCE)).await?;
        let sessions = in_rounds(|| self.prune_sessions(AT_ONCE)).await?;
        self.forget_keys();
        Ok(format!(
            "{leases} leases, {credit} blocks, {requests} requests, {imports} imports, {jobs} jobs, {revocations} revocations, {messages} messages, {alerts} alerts, \
             {connections} connections, {events} events, {incidents} incidents, {dead_spans} dead spans, {marks} marks, {sessions} sessions, {callbacks} callbacks, {loads} loads, {usage} usage rows, {audit} audit events"
        ))
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
