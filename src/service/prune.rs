//! Forgetting what is old: a bounded amount at a time, so that nobody waits long for the writer.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::service::Broker;
use crate::store::StoreError;
use crate::text::Sentence;

/// Rows deleted in one statement.
const AT_ONCE: u32 = 1000;
/// Statements of one kind in one run; what is left goes with the next. Enough for 10,000 rows a second with a run each minute, so that
/// no table grows without end under a load that the writer can bear.
const ROUNDS: usize = 600;
/// Statements of one run that look at events which may last: most of these stay.
const LASTING_ROUNDS: usize = 10;
const DAY: Duration = Duration::from_secs(86_400);

impl Broker {
    /// Forgets what is old. Returns what was forgotten, for people.
    pub async fn prune(&self) -> Result<Sentence, StoreError> {
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
        let events = in_rounds(|| store.prune_events(now - keep.alerts, AT_ONCE)).await?
            + self.prune_lasting_events(now - keep.alerts).await?;
        let incidents = in_rounds(|| store.prune_incidents(now - keep.alerts, AT_ONCE)).await?;
        let dead_spans = in_rounds(|| store.prune_dead_spans(now - keep.alerts, AT_ONCE)).await?;
        let connections = in_rounds(|| store.prune_connections(now - keep.connections, AT_ONCE)).await?;
        let loads = in_rounds(|| store.prune_load_samples(now - crate::service::load_history::KEPT, AT_ONCE)).await?;
        let usage = in_rounds(|| store.prune_usage(first_day, AT_ONCE)).await?;
        let audit = in_rounds(|| store.prune_audit(now - keep.audit, AT_ONCE)).await?;
        let callbacks = in_rounds(|| store.prune_callbacks(now - keep.audit, AT_ONCE)).await?;
        let sessions = in_rounds(|| self.prune_sessions(AT_ONCE)).await?;
        self.forget_keys();
        let pruned = [
            ("leases", leases),
            ("blocks", credit),
            ("requests", requests),
            ("imports", imports),
            ("jobs", jobs),
            ("revocations", revocations),
            ("messages", messages),
            ("alerts", alerts),
            ("connections", connections),
            ("events", events),
            ("incidents", incidents),
            ("dead-spans", dead_spans),
            ("sessions", sessions),
            ("callbacks", callbacks),
            ("loads", loads),
            ("usage", usage),
            ("audit", audit),
        ];
        let mut pruned = pruned.into_iter().filter(|(_, count)| *count > 0).peekable();
        if pruned.peek().is_none() {
            return Ok(Sentence::new("ran-prune-nothing"));
        }
        let said = |(name, count)| Sentence::new(format!("pruned-{name}")).with("count", count);
        Ok(Sentence::new("ran-prune").each("what", pruned.map(said)))
    }

    /// Looks through a part of the events that may last longer than others, going on where the last look ended.
    async fn prune_lasting_events(&self, before: Timestamp) -> Result<u64, StoreError> {
        let (mut pruned, mut after) = (0, *self.watch.pruned_to());
        for _ in 0..LASTING_ROUNDS {
            let (gone, last) = self.store.prune_lasting_events(after, before, AT_ONCE).await?;
            (pruned, after) = (pruned + gone, last);
            if last.is_none() {
                break;
            }
        }
        *self.watch.pruned_to() = after;
        Ok(pruned)
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
