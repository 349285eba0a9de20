//! What the broker does by itself: evaluate loads, watch alerts, send them, show metrics, forget what is old.
//!
//! Each task takes no input and does what is missing, so that doing it twice is harmless. Intervals that belong to the work are on
//! the broker's clock, which may run faster than real time; tasks look at it every [`LOOK_EVERY`].

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::tasks::Tasks;
use crate::service::Broker;
use crate::store::StoreError;
use crate::text::Sentence;

/// How often loads are evaluated, on the broker's clock.
const EVALUATE_EVERY: Duration = Duration::from_secs(5);
/// How often tokens that are due for a renewal are looked for, on the broker's clock.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How often incidents are brought in line with what the pools know, on the broker's clock.
const WATCH_INCIDENTS_EVERY: Duration = Duration::from_secs(1);
/// How often all tokens are looked at for what people must do in time, on the broker's clock.
const WATCH_TOKENS_EVERY: Duration = Duration::from_secs(3600);
/// How often networks are told of revoked tokens, on the broker's clock.
const REVOKE_EVERY: Duration = Duration::from_secs(1);
/// How often jobs go on, on the broker's clock.
const JOBS_EVERY: Duration = Duration::from_secs(1);
/// How often tokens that are due for a check are looked for, on the broker's clock.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked for callbacks that were not carried out yet, on the broker's clock.
const CALLBACKS_EVERY: Duration = Duration::from_secs(10);
/// How often what is old is forgotten, on the broker's clock.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked whether the audit is whole, on the broker's clock; at each start, too.
const VERIFY_AUDIT_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How often it is looked for members whose leaving is not carried out yet, on the broker's clock.
const LEAVE_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked whether secrets must be sealed anew, on the broker's clock.
const RESEAL_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked for connections whose time is over, on the broker's clock.
const CONNECTIONS_EVERY: Duration = Duration::from_secs(30);
/// How often ends of tokens are looked at, on the broker's clock.
const EXPIRIES_EVERY: Duration = Duration::from_secs(60);
/// How often events are told, on the broker's clock.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How often metrics are shown, in real time.
const SHOW_EVERY: Duration = Duration::from_secs(5);
/// How often a task looks at the broker's clock, in real time.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// When each background task last ran, and what came of it.
#[derive(Debug, Default)]
pub struct BackgroundStatus(Mutex<BTreeMap<String, LastRun>>);

/// The last run of a task.
#[derive(Debug, Clone)]
pub struct LastRun {
    /// When it ended.
    pub at: Timestamp,
    /// How long it took, on the broker's clock.
    pub took: Duration,
    /// What it did, or why it failed.
    pub result: Result<Sentence, String>,
    /// How often the task has run.
    pub runs: u64,
    /// How often it has failed.
    pub failures: u64,
}

impl BackgroundStatus {
    /// The last run of each task, by name.
    pub fn last_runs(&self) -> BTreeMap<String, LastRun> {
        self.runs().clone()
    }

    /// Notes a run.
    pub fn note(&self, task: &str, began: Timestamp, at: Timestamp, result: Result<Sentence, String>) {
        let mut runs = self.runs();
        let (before, failed) = (runs.get(task), u64::from(result.is_err()));
        let count = before.map_or(0, |last| last.runs) + 1;
        let failures = before.map_or(0, |last| last.failures) + failed;
        let last = LastRun { at, took: at.since(began), result, runs: count, failures };
        runs.insert(task.to_owned(), last);
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<String, LastRun>> {
        self.0.lock().expect("no code panics while it holds the last runs")
    }
}

impl Broker {
    /// Starts all background work under `tasks`.
    pub fn start_background(&self, tasks: &Tasks) {
        self.every(tasks, "loads", EVALUATE_EVERY, |broker| async move { broker.watch_loads().await });
        self.every(tasks, "renewals", RENEW_EVERY, |broker| async move { broker.renew_due().await });
        self.every(tasks, "incidents", WATCH_INCIDENTS_EVERY, |broker| async move { broker.watch_incidents().await });
        self.every(tasks, "tokens", WATCH_TOKENS_EVERY, |broker| async move { broker.watch_tokens().await });
        self.every(tasks, "revocations", REVOKE_EVERY, |broker| async move { broker.revoke_due().await });
        self.every(tasks, "jobs", JOBS_EVERY, |broker| async move { broker.run_jobs().await });
        self.every(tasks, "probes", PROBE_EVERY, |broker| async move { broker.probe_due().await });
        self.every(tasks, "callbacks", CALLBACKS_EVERY, |broker| async move { broker.finish_callbacks().await });
        self.every(tasks, "prune", PRUNE_EVERY, |broker| async move { broker.prune().await });
        self.every(tasks, "reseal", RESEAL_EVERY, |broker| async move { broker.reseal().await });
        self.every(tasks, "leavings", LEAVE_EVERY, |broker| async move { broker.finish_departures().await });
        self.every(
            tasks,
            "connections",
            CONNECTIONS_EVERY,
            |broker| async move { broker.end_overdue_connections().await },
        );
        self.every(tasks, "expiries", EXPIRIES_EVERY, |broker| async move { broker.look_at_expiries().await });
        self.every(tasks, "audit", VERIFY_AUDIT_EVERY, |broker| async move { broker.verify_audit().await });
        self.every(tasks, "tell", TELL_EVERY, |broker| async move { broker.tell_events().await });
        self.every(tasks, "messages", SHOW_EVERY, |broker| async move { broker.show_messages().await });
        self.start_metrics(tasks);
        self.start_lanes(tasks);
    }

    /// Evaluates the loads and brings the alerts in line with them.
    pub async fn watch_loads(&self) -> Result<Sentence, StoreError> {
        let broker = self.clone();
        let evaluated = tokio::task::spawn_blocking(move || broker.evaluate_loads()).await;
        let Ok(loads) = evaluated else { return Ok(Sentence::new("ran-stopping")) };
        self.keep_loads(&loads).await?;
        let changed = self.watch_alerts(&loads).await?;
        Ok(Sentence::new("ran-loads").with("count", loads.teams.len()).with("changed", changed))
    }

    /// Runs `work` again and again, `interval` apart on the broker's clock.
    fn every<F, W>(&self, tasks: &Tasks, name: &'static str, interval: Duration, work: F)
    where
        F: Fn(Broker) -> W + Send + 'static,
        W: Future<Output = Result<Sentence, StoreError>> + Send,
    {
        let (broker, stop) = (self.clone(), tasks.clone());
        tasks.spawn(name, async move {
            let mut next = Timestamp::EPOCH;
            while !stop.is_stopping() {
                let began = broker.now();
                if began >= next {
                    next = began + interval;
                    let done = work(broker.clone()).await;
                    broker.ran(name, began, done);
                }
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = stop.stopped() => return,
                }
            }
        });
    }

    fn start_metrics(&self, tasks: &Tasks) {
        let (broker, stop) = (self.clone(), tasks.clone());
        tasks.spawn("show metrics", async move {
            while !stop.is_stopping() {
                let began = broker.now();
                let showing = broker.clone();
                let shown = tokio::task::spawn_blocking(move || showing.show_metrics()).await;
                broker.ran(
                    "metrics",
                    began,
                    Ok(Sentence::new(if shown.is_ok() { "ran-metrics" } else { "ran-stopping" })),
                );
                tokio::select! {
                    () = tokio::time::sleep(SHOW_EVERY) => {}
                    () = stop.stopped() => return,
                }
            }
        });
    }

    pub(super) fn ran(&self, task: &str, began: Timestamp, done: Result<Sentence, StoreError>) {
        if let Err(error) = &done {
            tracing::warn!(task, %error, "background work failed; it is done again");
        }
        self.watch.status.note(task, began, self.now(), done.map_err(|error| error.to_string()));
    }
}
