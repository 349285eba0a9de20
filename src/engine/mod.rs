//! The live pools: buckets, leases and waiting requests in memory, behind one lock per network.
//!
//! A request is decided in memory under the lock and handed to the committer in the same breath, so that the store sees the
//! decisions of one network in the order in which they were made. Nothing is acknowledged before the store has it. Work that was
//! handed over is finished even if the caller goes away: a lease that nobody waits for any more is given back.
//!
//! The locks of the pools are never held across an await, and nothing that a client can cancel runs under them.

mod acquire;
mod ask;
mod background;
mod cell;
mod committer;
mod demand;
mod incident;
mod ledger;
mod report;
mod restore;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

use crate::base::clock::{Clock, Timestamp};
use crate::base::ids::{AppId, CollectorId, LeaseId, NetworkId, SharedIdMap, TeamId, TokenId};
use crate::base::tasks::Tasks;
use crate::domain::load::LoadKey;
use crate::domain::networks::{Catalogue, Network};
use crate::domain::pool::{AppTerms, LeaseView, NoToken, Pool, PoolSettings, Verdict};
use crate::domain::token::{Token, TokenState};
use crate::store::Store;

pub use ask::{Acquire, AcquireError, Leased, Limit, ReportFailure, ReportOutcome, UsageReport, WaitingView};
pub use background::Tick;
pub use report::PendingTopUp;
pub use restore::Restored;

use cell::{Cell, Waiting};
use committer::Committer;

/// How many recalls a slow stream may fall behind before it has to resynchronise.
const RECALLS_KEPT: usize = 1024;

/// Bounds of the engine.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Requests that may wait per network.
    pub queue: usize,
    /// Leases that may wait for the store at once.
    pub commits: usize,
    /// What each network's pool decides by.
    pub pools: BTreeMap<NetworkId, PoolSettings>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self { queue: 10_000, commits: 16_384, pools: BTreeMap::new() }
    }
}

/// The engine. Cloning shares it.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    store: Arc<dyn Store>,
    cells: HashMap<NetworkId, Arc<Cell>>,
    /// Where each open lease is, and whose it is.
    leases: SharedIdMap<LeaseId, LeasePlace>,
    held: SharedIdMap<CollectorId, u32>,
    committer: Committer,
    recalls: broadcast::Sender<Recall>,
    /// A request has begun to wait.
    someone_waits: Notify,
    /// Held while what became of leases and blocks is written, so that whoever asks for it next finds it written.
    writing_back: tokio::sync::Mutex<()>,
}

/// Where a lease is, and whose it is.
#[derive(Clone)]
pub struct LeasePlace {
    /// Its network's pool.
    cell: Arc<Cell>,
    /// Who holds it; `None`: an operator.
    pub collector: Option<CollectorId>,
    /// The token's team.
    pub team: TeamId,
}

impl LeasePlace {
    /// Its network.
    pub fn network(&self) -> &Arc<Network> {
        &self.cell.network
    }
}

/// Leases that can't go on for one cause; their holders must be told. All in one, so that each of many streams is woken once, whatever
/// the number of leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recall {
    /// The leases, in order.
    leases: Arc<[LeaseId]>,
    /// Why.
    pub verdict: Verdict,
}

impl Recall {
    fn new(mut leases: Vec<LeaseId>, verdict: Verdict) -> Self {
        leases.sort_unstable();
        Self { leases: leases.into(), verdict }
    }

    /// The leases.
    pub fn leases(&self) -> &[LeaseId] {
        &self.leases
    }

    /// Those of `bound` that are taken back.
    pub fn among(&self, bound: &HashSet<LeaseId>) -> Vec<LeaseId> {
        if bound.len() < self.leases.len() {
            bound.iter().filter(|lease| self.leases.binary_search(lease).is_ok()).copied().collect()
        } else {
            self.leases.iter().filter(|lease| bound.contains(lease)).copied().collect()
        }
    }
}

impl Engine {
    /// An engine with an empty pool per network of the catalogue. Its committer runs under `tasks`.
    pub fn start(
        catalogue: &Catalogue,
        settings: &EngineSettings,
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        tasks: &Tasks,
    ) -> Engine {
        let (recalls, _) = broadcast::channel(RECALLS_KEPT);
        let (committer, work) = committer::channel(settings.commits);
        let now = clock.now();
        let cells = catalogue.iter().map(|network| {
            let pool = settings.pools.get(&network.id).cloned().unwrap_or_default();
            let cell = Cell::new(Pool::new(network.clone(), pool), settings.queue, now);
            (network.id.clone(), Arc::new(cell))
        });
        let cells = cells.collect();
        let (leases, held) = (SharedIdMap::default(), SharedIdMap::default());
        let (someone_waits, writing_back) = (Notify::new(), tokio::sync::Mutex::default());
        let inner = Inner { clock, store, cells, leases, held, committer, recalls, someone_waits, writing_back };
        let engine = Engine(Arc::new(inner));
        tasks.spawn("committer", committer::run(engine.clone(), work, tasks.clone()));
        engine
    }

    /// The present moment on the engine's clock.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// A network of the catalogue.
    pub fn network(&self, id: &str) -> Option<Arc<Network>> {
        let id: NetworkId = id.parse().ok()?;
        self.0.cells.get(&id).map(|cell| cell.network.clone())
    }

    /// The networks.
    pub fn networks(&self) -> Vec<Arc<Network>> {
        let mut networks: Vec<_> = self.0.cells.values().map(|cell| cell.network.clone()).collect();
        networks.sort_by(|a, b| a.id.cmp(&b.id));
        networks
    }

    /// Adds a token, or takes in what changed of it. Holders of leases that can't go on are told.
    pub fn put_token(&self, token: &Token, team_reserve: Option<u8>, sealed: Vec<u8>) {
        let Some(cell) = self.0.cells.get(&token.network) else { return };
        let now = self.now();
        let recalled = cell.lock().pool.put_token(token, team_reserve, sealed, now);
        match recalled {
            Ok(leases) => self.tell(leases, verdict_of(token.state)),
            Err(error) => tracing::warn!(token = %token.id, %error, "a token stays out of its pool"),
        }
        self.serve(cell);
    }

    /// Takes in the access token of a version as it is sealed anew.
    pub fn reseal(&self, network: &NetworkId, token: TokenId, version: u32, sealed: Vec<u8>) {
        if let Some(cell) = self.0.cells.get(network) {
            cell.lock().pool.reseal(token, version, sealed);
        }
    }

    /// The present secrets of a token came from the network a moment ago.
    pub fn note_worked(&self, network: &NetworkId, token: TokenId) {
        if let Some(cell) = self.0.cells.get(network) {
            cell.lock().pool.note_worked(token, self.now());
        }
    }

    /// Takes in what an operator says of an app, from this instant on for every grant.
    pub fn set_app(&self, network: &NetworkId, app: &AppId, terms: AppTerms) {
        let Some(cell) = self.0.cells.get(network) else { return };
        cell.lock().pool.set_app(app, terms, self.now());
        self.serve(cell);
    }

    /// Changes a token's state from what it is now, from this instant on for every new lease. Holders are told.
    pub fn change_token_state(
        &self,
        network: &NetworkId,
        token: TokenId,
        change: impl FnOnce(TokenState) -> TokenState,
    ) {
        let Some(cell) = self.0.cells.get(network) else { return };
        let mut state = TokenState::Live;
        let note = |present| {
            state = change(present);
            state
        };
        let recalled = cell.lock().pool.change_state(token, note, self.now());
        self.tell(recalled, verdict_of(state));
        self.serve(cell);
    }

    /// Takes back every lease that `wanted` picks, and tells its holder.
    pub fn recall_leases(&self, wanted: impl Fn(&LeaseView) -> bool) {
        for cell in self.0.cells.values() {
            let mut state = cell.lock();
            let picked = state.pool.leases().into_iter().filter(|lease| wanted(lease));
            let picked: Vec<_> = picked.map(|view| view.lease).filter(|lease| state.pool.recall(*lease)).collect();
            drop(state);
            self.tell(picked, Verdict::Recalled);
        }
    }

    /// How many of the leases that are held `wanted` picks.
    pub fn count_leases(&self, wanted: impl Fn(&LeaseView) -> bool) -> usize {
        let held = |cell: &Arc<Cell>| cell.lock().pool.leases().iter().filter(|lease| wanted(lease)).count();
        self.0.cells.values().map(held).sum()
    }

    /// Where a lease is and whose it is, while it is open.
    pub fn place(&self, lease: LeaseId) -> Option<LeasePlace> {
        self.0.leases.get(&lease).map(|place| place.value().clone())
    }

    /// Recalls, as they happen.
    pub fn recalls(&self) -> broadcast::Receiver<Recall> {
        self.0.recalls.subscribe()
    }

    /// Looks into a network's pool. `look` must be short: it holds the pool's lock.
    pub fn look<T>(&self, network: &NetworkId, look: impl FnOnce(&Pool) -> T) -> Option<T> {
        let cell = self.0.cells.get(network)?;
        let state = cell.lock();
        Some(look(&state.pool))
    }

    /// Looks at what was asked of a network. `look` must be short: it holds the pool's lock.
    pub fn look_at_demand<T>(
        &self,
        network: &NetworkId,
        look: impl FnOnce(&crate::domain::load::DemandMeter) -> T,
    ) -> Option<T> {
        let cell = self.0.cells.get(network)?;
        let state = cell.lock();
        Some(look(&state.meter))
    }

    /// Takes the requests that found no usable token since the last call: whose they were, and why.
    pub fn take_without_token(&self) -> Vec<(LoadKey, NoToken)> {
        let taken = self.0.cells.values().flat_map(|cell| {
            let refused = std::mem::take(&mut cell.lock().without_token);
            let network = cell.network.clone();
            refused.into_iter().map(move |((team, class), why)| {
                let class = network.classes[class].id.clone();
                (LoadKey { team, network: network.id.clone(), class }, why)
            })
        });
        taken.collect()
    }

    /// Requests that wait, per network.
    pub fn waiting(&self, network: &NetworkId) -> usize {
        self.0.cells.get(network).map_or(0, |cell| cell.lock().queue.len())
    }

    /// At most `most` requests that wait for a network's credit, the longest waiting first. Looks at every one that waits.
    pub fn list_waiting(&self, network: &NetworkId, most: usize) -> Vec<WaitingView> {
        let Some(cell) = self.0.cells.get(network) else { return Vec::new() };
        let mut waiting: Vec<_> = cell.lock().waiting.values().map(Waiting::view).collect();
        waiting.sort_by_key(|waiting| waiting.asked_at);
        waiting.truncate(most);
        waiting
    }

    /// The lease as its pool holds it.
    pub fn lease(&self, lease: LeaseId) -> Option<LeaseView> {
        self.place(lease).and_then(|place| place.cell.lock().pool.lease(lease))
    }

    /// How the holder of a lease goes on, while it is open.
    pub fn standing(&self, lease: LeaseId) -> Option<(LeaseView, Verdict)> {
        let place = self.place(lease)?;
        let now = self.now();
        let state = place.cell.lock();
        Some((state.pool.lease(lease)?, state.pool.standing(lease, now)?))
    }

    /// The open leases of which `wanted` is true, with where they are, in no order. Looks at every open lease.
    pub fn places(&self, wanted: impl Fn(LeaseId, &LeasePlace) -> bool) -> Vec<(LeaseId, LeasePlace)> {
        let wanted = self.0.leases.iter().filter(|place| wanted(*place.key(), place.value()));
        wanted.map(|place| (*place.key(), place.value().clone())).collect()
    }

    /// How many leases a collector holds.
    pub fn leases_of(&self, collector: CollectorId) -> u32 {
        self.0.held.get(&collector).map_or(0, |count| *count)
    }

    fn tell(&self, leases: Vec<LeaseId>, verdict: Verdict) {
        if !leases.is_empty() {
            // Without a stream nobody listens; the holders learn it with their next reports.
            let _ = self.0.recalls.send(Recall::new(leases, verdict));
        }
    }

    /// Forgets where an ended lease was.
    fn forget(&self, lease: LeaseId) {
        if let Some((_, place)) = self.0.leases.remove(&lease)
            && let Some(collector) = place.collector
            && let Some(mut count) = self.0.held.get_mut(&collector)
        {
            *count = count.saturating_sub(1);
        }
    }

    /// Waits until everything that was decided is with the store, gives free credit back and notes what must outlive the
    /// process.
    pub async fn stop(&self, limit: Duration) {
        let _ = tokio::time::timeout(limit, self.settle_for_stop()).await;
    }
}

fn verdict_of(state: TokenState) -> Verdict {
    match state {
        TokenState::Invalid { reason, .. } => Verdict::TokenDead(reason),
        TokenState::Suspect { .. } => Verdict::Suspect,
        TokenState::Live | TokenState::Paused { .. } | TokenState::Revoked { .. } => Verdict::Recalled,
    }
}
