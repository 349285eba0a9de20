//! What the broker's watching keeps in memory: the last loads, the states of alerts, and who listens to these, to incidents and dead spans.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};

use crate::base::clock::Timestamp;
use crate::base::ids::{IncidentId, NetworkId};
use crate::domain::alert::Alert;
use crate::domain::load::LoadKey;
use crate::service::background::BackgroundStatus;
use crate::service::dead_spans::DeadSpanView;
use crate::service::streams::Places;
use crate::service::supply::NetworkSupply;
use crate::service::team_load::Loads;
use crate::service::watch_alerts::Book;
use crate::store::Looked;

/// How many changes of alerts or incidents, or dead spans, a slow listener may fall behind before it has to begin anew.
const CHANGES_KEPT: usize = 1000;
/// Pages that may listen at once, and as many watches of the API: neither takes the places of the other.
const MOST_STREAMS: usize = 1000;

/// What watching keeps in memory.
pub struct Watch {
    loads: watch::Sender<Arc<Loads>>,
    /// The quarter of an hour that samples were kept for last, and the loads of which there is one.
    sampled: Mutex<(Timestamp, HashSet<LoadKey>)>,
    supplies: Mutex<BTreeMap<NetworkId, Arc<NetworkSupply>>>,
    changes: broadcast::Sender<Arc<Alert>>,
    dead_spans: broadcast::Sender<Arc<DeadSpanView>>,
    incidents: broadcast::Sender<IncidentId>,
    /// The states of alerts. Held over a write to the store, so that changes of alerts come one after another.
    pub(super) book: tokio::sync::Mutex<Book>,
    /// Up to where events that may last were looked through for those that are over.
    pruned_to: Mutex<Option<Looked>>,
    /// The places of open pages.
    pub pages: Places,
    /// The places of the API's watches.
    pub watches: Places,
    /// When each background task last ran, and what came of it.
    pub status: BackgroundStatus,
}

impl Default for Watch {
    /// Nothing watched yet.
    fn default() -> Self {
        Self {
            loads: watch::Sender::default(),
            sampled: Mutex::default(),
            supplies: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES_KEPT),
            dead_spans: broadcast::Sender::new(CHANGES_KEPT),
            incidents: broadcast::Sender::new(CHANGES_KEPT),
            book: tokio::sync::Mutex::default(),
            pruned_to: Mutex::default(),
            pages: Places::new(MOST_STREAMS),
            watches: Places::new(MOST_STREAMS),
            status: BackgroundStatus::default(),
        }
    }
}

impl Watch {
    /// The loads as they were last evaluated.
    pub fn loads(&self) -> Arc<Loads> {
        self.loads.borrow().clone()
    }

    pub(super) fn pruned_to(&self) -> MutexGuard<'_, Option<Looked>> {
        self.pruned_to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loads whenever they are evaluated; only the latest is kept.
    pub fn watch_loads(&self) -> watch::Receiver<Arc<Loads>> {
        self.loads.subscribe()
    }

    /// Alerts whenever they change. A listener that falls behind is told so.
    pub fn watch_alerts(&self) -> broadcast::Receiver<Arc<Alert>> {
        self.changes.subscribe()
    }

    /// Dead spans as they end. A listener that falls behind is told so.
    pub fn watch_dead_spans(&self) -> broadcast::Receiver<Arc<DeadSpanView>> {
        self.dead_spans.subscribe()
    }

    /// Incidents whenever they change. A listener that falls behind is told so.
    pub fn watch_incidents(&self) -> broadcast::Receiver<IncidentId> {
        self.incidents.subscribe()
    }

    /// Whether a load has no sample yet for the quarter of an hour that begins `at`. From now on it has one.
    pub(super) fn is_first_sample(&self, at: Timestamp, key: &LoadKey) -> bool {
        let mut sampled = self.sampled.lock().unwrap_or_else(PoisonError::into_inner);
        if at > sampled.0 {
            *sampled = (at, HashSet::new());
        }
        at == sampled.0 && sampled.1.insert(key.clone())
    }

    pub(super) fn tell_loads(&self, loads: Arc<Loads>) {
        self.loads.send_replace(loads);
    }

    pub(crate) fn tell_alert(&self, alert: Alert) {
        // Without listeners nobody is told, which is no failure.
        let _ = self.changes.send(Arc::new(alert));
    }

    pub(crate) fn tell_dead_span(&self, ended: Arc<DeadSpanView>) {
        // Without listeners nobody is told, which is no failure.
        let _ = self.dead_spans.send(ended);
    }

    pub(super) fn tell_incident(&self, changed: IncidentId) {
        // Without listeners nobody is told, which is no failure.
        let _ = self.incidents.send(changed);
    }

    pub(super) fn supply(&self, network: &NetworkId) -> Option<Arc<NetworkSupply>> {
        self.supplies().get(network).cloned()
    }

    pub(super) fn keep_supply(&self, network: NetworkId, supply: Arc<NetworkSupply>) {
        self.supplies().insert(network, supply);
    }

    fn supplies(&self) -> MutexGuard<'_, BTreeMap<NetworkId, Arc<NetworkSupply>>> {
        self.supplies.lock().expect("no code panics while it holds the supplies")
    }
}
