//! Records metrics of the table, and nothing else.
//!
//! A [`Metrics`] owns its recorder: there is no global one, so that two brokers in one process (tests, the demo) don't mix.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::labels::Bounded;
use super::rows::{Shown, as_f64};
use super::table::{self, Kind, Metric, TABLE};
use crate::base::ids::{ClassId, NetworkId, TeamId};
use crate::base::tasks::Tasks;
use crate::config;

/// Networks that get series of their own; a catalogue has a few dozen.
const MAX_NETWORKS: usize = 100;
/// Different credit classes over all networks.
const MAX_CLASSES: usize = 200;
/// How often samples are moved out of the recorder's buffers. Without it they pile up until somebody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);
const METADATA: Metadata<'static> = Metadata::new("token_broker", Level::INFO, None);

/// The metrics of one broker. Cloning shares them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    teams: Bounded,
    networks: Bounded,
    classes: Bounded,
    by_network: RwLock<HashMap<SharedString, Arc<NetworkMetrics>>>,
    shown: Shown,
    over_grants: Gauge,
    commit_time: Histogram,
    commit_batch: Histogram,
    clock_skew: Gauge,
    quarantined: Counter,
    unstored: Counter,
    audit_broken: Gauge,
}

/// The metrics of one network, ready to record.
pub struct NetworkMetrics {
    recorder: Arc<PrometheusRecorder>,
    label: SharedString,
    active: Gauge,
    opened: Counter,
    waiting: Gauge,
    wait_time: Histogram,
    throttled: Counter,
}

/// The metrics of one gRPC method, ready to record. Keep one per method.
pub struct GrpcMethod {
    metrics: Metrics,
    method: &'static str,
    codes: [OnceLock<Counter>; CODES.len()],
    time: Histogram,
}

/// The names of the gRPC status codes, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const UNKNOWN_CODE: usize = 2;

impl Metrics {
    /// All metrics of the table, described.
    pub fn new(bounds: &config::Metrics) -> Self {
        let mut builder = PrometheusBuilder::new();
        for metric in TABLE {
            if let Kind::Histogram(bounds) = metric.kind {
                let matcher = Matcher::Full(metric.name.to_owned());
                builder =
                    builder.set_buckets_for_metric(matcher, bounds).expect("the table has no histogram without bounds");
            }
        }
        let recorder = Arc::new(builder.build_recorder());
        TABLE.iter().for_each(|metric| describe(&recorder, metric));
        let metrics = Self(Arc::new(Inner {
            handle: recorder.handle(),
            teams: Bounded::with_cap(bounds.max_teams),
            networks: Bounded::with_cap(MAX_NETWORKS),
            classes: Bounded::with_cap(MAX_CLASSES),
            by_network: RwLock::default(),
            shown: Shown::default(),
            over_grants: recorder.register_gauge(&key(table::OVER_GRANTS, &[]), &METADATA),
            commit_time: recorder.register_histogram(&key(table::COMMIT_TIME, &[]), &METADATA),
            commit_batch: recorder.register_histogram(&key(table::COMMIT_BATCH, &[]), &METADATA),
            clock_skew: recorder.register_gauge(&key(table::CLOCK_SKEW, &[]), &METADATA),
            quarantined: recorder.register_counter(&key(table::QUARANTINED, &[]), &METADATA),
            unstored: recorder.register_counter(&key(table::UNSTORED, &[]), &METADATA),
            audit_broken: recorder.register_gauge(&key(table::AUDIT_BROKEN, &[]), &METADATA),
            recorder,
        }));
        metrics.gauge(table::BUILD_INFO, &[env!("CARGO_PKG_VERSION").into()]).set(1.0);
        metrics
    }

    /// Everything, in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.handle.render()
    }

    /// Keeps the recorder's buffers small for as long as `tasks` run.
    pub fn start_upkeep(&self, tasks: &Tasks) {
        let (metrics, stopping) = (self.clone(), tasks.clone());
        tasks.spawn("metrics upkeep", async move {
            while tokio::time::timeout(UPKEEP, stopping.stopped()).await.is_err() {
                metrics.0.handle.run_upkeep();
            }
        });
    }

    /// The metrics of one network; keep them. A network beyond the cap shares those of the label [`super::OVERFLOW`].
    pub fn network(&self, network: &NetworkId) -> Arc<NetworkMetrics> {
        let label = self.network_label(network);
        if let Some(known) = self.0.by_network.read().unwrap_or_else(PoisonError::into_inner).get(&label) {
            return known.clone();
        }
        let mut by_network = self.0.by_network.write().unwrap_or_else(PoisonError::into_inner);
        by_network.entry(label.clone()).or_insert_with(|| Arc::new(NetworkMetrics::new(self, label))).clone()
    }

    /// The metrics of one method, by its full name (`tokenbroker.v1.LeaseService/AcquireLease`).
    pub fn grpc_method(&self, method: &'static str) -> GrpcMethod {
        let time = self.histogram(table::GRPC_TIME, &[method.into()]);
        GrpcMethod { metrics: self.clone(), method, codes: Default::default(), time }
    }

    /// A commit of `commands` commands took `took`.
    pub fn store_committed(&self, commands: usize, took: Duration) {
        self.0.commit_time.record(took);
        #[expect(clippy::cast_precision_loss, reason = "a batch is a few thousand at most")]
        self.0.commit_batch.record(commands as f64);
    }

    /// A token was taken out of use, since its stored secret does not open.
    pub fn token_quarantined(&self) {
        self.0.quarantined.increment(1);
    }

    /// So many secrets of apps, destinations or browsers (`app`) do not open.
    pub fn set_damaged_secrets(&self, of: &'static str, secrets: usize) {
        self.gauge(table::DAMAGED_SECRETS, &[of.into()]).set(as_f64(secrets));
    }

    /// The store did not take the secrets of a renewal: they are in memory only for now.
    pub fn renewal_unstored(&self) {
        self.0.unstored.increment(1);
    }

    /// Whether the audit was found not to hold together.
    pub fn set_audit_broken(&self, is_broken: bool) {
        self.0.audit_broken.set(f64::from(u8::from(is_broken)));
    }

    /// An attempt to send a message by a channel (`mail`) ended with that outcome (`sent`).
    pub fn message_ended(&self, channel: &'static str, outcome: &'static str) {
        self.counter(table::MESSAGES, &[channel.into(), outcome.into()]).increment(1);
    }

    /// So many messages wait and were given up; the oldest that waits has been due for that long.
    pub fn set_messages(&self, waiting: u64, dead: u64, late: Duration) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact beyond 2^52")]
        for (metric, count) in [(table::MESSAGES_WAITING, waiting), (table::MESSAGES_DEAD, dead)] {
            self.gauge(metric, &[]).set(count as f64);
        }
        self.gauge(table::MESSAGES_LATE, &[]).set(late.as_secs_f64());
    }

    /// So many bucket windows are over-granted, by the books.
    pub fn set_over_grants(&self, windows: u32) {
        self.0.over_grants.set(windows);
    }

    /// So much credit of blocks was lost since the process began, by the books.
    pub fn blocks_wasted(&self, network: &NetworkId, class: &ClassId, credit: u64) {
        self.counter(table::BLOCK_WASTE, &[self.network_label(network), self.class(class)]).absolute(credit);
    }

    /// The wall clock is `micros` ahead of the broker's clock.
    pub fn set_clock_skew(&self, micros: i64) {
        #[expect(clippy::cast_precision_loss, reason = "a skew beyond 2^52 µs is 142 years")]
        self.0.clock_skew.set(micros as f64 / 1e6);
    }

    /// The gauge of open connections of a listener (`grpc`, `http`): raise and lower it.
    pub fn connections(&self, listener: &'static str) -> Gauge {
        self.gauge(table::CONNECTIONS, &[listener.into()])
    }

    pub(super) fn team(&self, team: &TeamId) -> SharedString {
        self.0.teams.admit(team.as_str())
    }

    pub(super) fn network_label(&self, network: &NetworkId) -> SharedString {
        self.0.networks.admit(network.as_str())
    }

    pub(super) fn class(&self, class: &ClassId) -> SharedString {
        self.0.classes.admit(class.as_str())
    }

    pub(super) fn shown(&self) -> &Shown {
        &self.0.shown
    }

    pub(super) fn gauge(&self, metric: &'static Metric, labels: &[SharedString]) -> Gauge {
        self.0.recorder.register_gauge(&key(metric, labels), &METADATA)
    }

    fn counter(&self, metric: &'static Metric, labels: &[SharedString]) -> Counter {
        self.0.recorder.register_counter(&key(metric, labels), &METADATA)
    }

    fn histogram(&self, metric: &'static Metric, labels: &[SharedString]) -> Histogram {
        self.0.recorder.register_histogram(&key(metric, labels), &METADATA)
    }
}

impl NetworkMetrics {
    fn new(metrics: &Metrics, label: SharedString) -> Self {
        let labels = [label.clone()];
        Self {
            active: metrics.gauge(table::LEASES_ACTIVE, &labels),
            opened: metrics.counter(table::LEASES_OPENED, &labels),
            waiting: metrics.gauge(table::WAITING, &labels),
            wait_time: metrics.histogram(table::WAIT_TIME, &labels),
            throttled: metrics.counter(table::THROTTLED, &labels),
            recorder: metrics.0.recorder.clone(),
            label,
        }
    }

    /// A lease was opened.
    pub fn lease_opened(&self) {
        self.opened.increment(1);
        self.active.increment(1.0);
    }

    /// Leases that were open before this process started go on.
    pub fn leases_restored(&self, count: u32) {
        self.active.increment(count);
    }

    /// A lease ended, in whatever way.
    pub fn lease_closed(&self) {
        self.active.decrement(1.0);
    }

    /// So many leases are open, by the books.
    pub fn leases_are(&self, count: usize) {
        self.active.set(as_f64(count));
    }

    /// So many requests wait, by the books.
    pub fn waiting_are(&self, count: usize) {
        self.waiting.set(as_f64(count));
    }

    /// A request for a lease was refused; `reason` is a word of the program.
    pub fn lease_refused(&self, reason: &'static str) {
        let key = key(table::LEASES_REFUSED, &[self.label.clone(), reason.into()]);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// A renewal of a token ended; `outcome` is a word of the program.
    pub fn renewal_ended(&self, outcome: &'static str) {
        let key = key(table::RENEWALS, &[self.label.clone(), outcome.into()]);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// A check of a token ended; `outcome` is a word of the program.
    pub fn probe_ended(&self, outcome: &'static str) {
        let key = key(table::PROBES, &[self.label.clone(), outcome.into()]);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// A request began to wait.
    pub fn wait_began(&self) {
        self.waiting.increment(1.0);
    }

    /// A request stopped waiting after `waited`, served or not.
    pub fn wait_ended(&self, waited: Duration) {
        self.waiting.decrement(1.0);
        self.wait_time.record(waited);
    }

    /// A collector reported so many calls that the network refused for a limit.
    pub fn throttled(&self, calls: u64) {
        self.throttled.increment(calls);
    }
}

impl GrpcMethod {
    /// A call was answered with the status `code` (0 to 16) after `took`.
    pub fn answered(&self, code: usize, took: Duration) {
        let code = if code < CODES.len() { code } else { UNKNOWN_CODE };
        let labels = || [self.method.into(), CODES[code].into()];
        self.codes[code].get_or_init(|| self.metrics.counter(table::GRPC_REQUESTS, &labels())).increment(1);
        self.time.record(took);
    }
}

fn describe(recorder: &PrometheusRecorder, metric: &Metric) {
    let (name, help) = (metric.name.into(), metric.help.into());
    match metric.kind {
        Kind::Counter => recorder.describe_counter(name, None, help),
        Kind::Gauge => recorder.describe_gauge(name, None, help),
        Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
    }
}

fn key(metric: &'static Metric, labels: &[SharedString]) -> Key {
    debug_assert_eq!(metric.labels.len(), labels.len(), "{} has other labels", metric.name);
    let labels: Vec<Label> =
        metric.labels.iter().zip(labels).map(|(name, value)| Label::new(*name, value.clone())).collect();
    Key::from_parts(metric.name, labels)
}

#[cfg(test)]
mod tests;
