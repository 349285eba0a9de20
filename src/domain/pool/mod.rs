//! The live pool of one network: its tokens, their buckets and the leases on them, as one state machine.
//!
//! Everything here is synchronous: a command and the time go in; a decision, and what the store must be asked before it is
//! acknowledged, come out. The engine owns one pool per network behind one lock.
//!
//! A request draws from every bucket its operation touches, in one step, or from none.

mod acquire;
mod ask;
mod buckets;
mod confirm;
mod cooling;
mod draw;
mod few;
mod incident;
mod judge;
mod names;
mod refusal;
mod report;
mod shelf;
mod slot;
mod survey;
#[cfg(test)]
mod tests;
mod timers;
mod top_up;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use foldhash::{HashMap, HashMapExt};

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, ClassId, CollectorId, IdMap, LeaseId, TeamId, TokenId};
use crate::domain::credit::{BlockUpdate, BucketKey, Cooling, KeyCharge, Timing};
use crate::domain::lease::Lease;
use crate::domain::networks::{Network, Purpose};

pub use ask::{AcquireRequest, Acquired};
pub use buckets::{account_in, app_in};
pub use incident::{RenewalNoted, RenewalsOf};
pub use refusal::{NoToken, Refusal, Rest};
pub use report::{CallReport, Effect, ReportError, Reported, Verdict};
pub use survey::{BucketSurvey, ClassBooks, SurveyedToken, sustained_length};
pub use top_up::{TopUp, TopUpFate};
pub use view::{BucketView, LeaseView, PoolCounts, SupplyView, TokenView, Unusable};

use buckets::{BucketSlot, Rule};
use incident::{AppIncident, Trouble};
use names::Names;
use shelf::OperationIndex;
use slot::{ScopeSet, Slot};
use timers::Timers;

/// How a pool decides.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Guard and longest use.
    pub timing: Timing,
    /// The owner's reserve in percent of each limit, where neither team nor token say otherwise.
    pub reserve_percent: u8,
    /// Leases on one token at once, where the token does not say otherwise.
    pub max_leases_per_token: u32,
    /// Which of the tokens that may serve is taken.
    pub choice: Choice,
    /// What operators said of the network's apps.
    pub apps: BTreeMap<AppId, AppTerms>,
}

/// What an operator said of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppTerms {
    /// Facts that limits are computed from (`app_users`).
    pub facts: BTreeMap<String, u64>,
    /// Limits of its classes: budgets and unpublished limits. They hold for what all its tokens share.
    pub limits: BTreeMap<ClassId, u64>,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            reserve_percent: 10,
            max_leases_per_token: 16,
            choice: Choice::MostCredit,
            apps: BTreeMap::new(),
        }
    }
}

/// Which of the tokens that may serve is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// The one with the most absolute credit left in its tightest bucket; credit that a reset would waste sooner weighs up to twice.
    #[default]
    MostCredit,
    /// The one whose window ends first.
    SoonestReset,
    /// Each in turn.
    RoundRobin,
}

/// The pool of one network.
#[derive(Debug)]
pub struct Pool {
    network: Arc<Network>,
    settings: PoolSettings,
    rules: Vec<Rule>,
    /// Per operation and kind: which rules a call draws from, and how much.
    draws: Vec<Vec<Option<Arc<[Draw]>>>>,
    names: Names,
    scope_sets: Vec<ScopeSet>,
    by_scopes: HashMap<(Box<str>, BTreeSet<usize>), u32>,
    /// What is known of apps with a token that failed lately.
    troubles: HashMap<u32, Trouble>,
    /// Incidents that are open, by app.
    incidents: HashMap<u32, AppIncident>,
    teams: HashMap<TeamId, u32>,
    slots: Vec<Slot>,
    by_token: IdMap<TokenId, u32>,
    by_person: HashMap<u32, Vec<u32>>,
    /// How many persons have tokens of an app, by app.
    persons: HashMap<u32, usize>,
    by_profile: HashMap<u32, Vec<u32>>,
    buckets: Vec<BucketSlot>,
    by_bucket: HashMap<BucketKey, u32>,
    app_cooling: HashMap<u32, Cooling>,
    /// Operations that are refused to everybody who asks, by app.
    operation_cooling: HashMap<(u32, u16), Cooling>,
    indexes: Vec<Option<Box<OperationIndex>>>,
    leases: IdMap<LeaseId, Held>,
    expiries: Timers<LeaseId>,
    wakes: Timers<Wake>,
    /// What is known better of blocks and the store does not know yet.
    updates: Vec<BlockUpdate>,
    /// Leases whose reports are not in the ledger yet, and what ended ones were used for.
    used: Vec<LeaseId>,
    ended: Vec<(LeaseView, LeaseUse)>,
    /// Raised whenever a token is added or changed.
    generation: u64,
}

/// What time changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    /// A bucket: credit comes back, or its window is over.
    Bucket(u32),
    /// A token: its cooling ends.
    Token(u32),
}

/// What one call draws from one rule's bucket.
#[derive(Debug, Clone, Copy)]
struct Draw {
    rule: u16,
    units: u64,
    /// The bucket counts different keys, not units.
    distinct: bool,
}

/// A lease as the pool holds it.
#[derive(Debug)]
struct Held {
    slot: u32,
    /// The version of the token's secrets that the holder was given.
    version: u32,
    operation: u16,
    collector: Option<CollectorId>,
    purpose: Purpose,
    collection: Arc<str>,
    opened_at: Timestamp,
    calls_left: u64,
    calls_granted: u64,
    unwritten: LeaseUse,
    use_by: Timestamp,
    expires_at: Timestamp,
    /// The store has it.
    durable: bool,
    recalled: bool,
    /// Opened by an earlier run of the process: its credit is charged as spent, and its top-ups are not known.
    restored: bool,
    /// Its call decides whether something that was closed is open again.
    probes: bool,
    last_report: Option<(u64, Verdict)>,
    /// Calls that the next report names were made after this.
    reported_at: Timestamp,
    grants: Vec<HeldGrant>,
    keys: Vec<HeldKey>,
}

/// What a lease was used for since the ledger was last told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaseUse {
    /// Calls that were made, or must be taken as made.
    pub calls: u64,
    /// Reports of a failed call.
    pub errors: u64,
    /// Calls that the network refused for a limit.
    pub throttled: u64,
}

/// A key that a lease may ask for, in a bucket of different keys.
#[derive(Debug, Clone)]
struct HeldKey {
    bucket: u32,
    charge: KeyCharge,
}

/// Credit that a lease holds in one bucket.
#[derive(Debug, Clone, Copy)]
struct HeldGrant {
    bucket: u32,
    block: crate::base::ids::BlockId,
    per_call: u64,
    units: u64,
    /// Until when this credit may be used.
    use_by: Timestamp,
}

impl Held {
    /// Until when all credit that is held may be used; `None`: none is.
    fn earliest_use_by(&self) -> Option<Timestamp> {
        self.grants.iter().map(|grant| grant.use_by).min()
    }
}

/// A lease that ended because nobody gave it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredLease {
    /// The lease, as it stood at its end.
    pub lease: LeaseView,
    /// The calls it never reported, which count as spent.
    pub unreported: u64,
}

impl Pool {
    /// A pool without tokens.
    pub fn new(network: Arc<Network>, settings: PoolSettings) -> Self {
        let rules = buckets::rules_of(&network);
        let draws = buckets::draws_of(&network, &rules);
        let operations = network.operations.len();
        Self {
            network,
            settings,
            rules,
            draws,
            names: Names::default(),
            scope_sets: Vec::new(),
            by_scopes: HashMap::new(),
            troubles: HashMap::new(),
            incidents: HashMap::new(),
            teams: HashMap::new(),
            slots: Vec::new(),
            by_token: IdMap::default(),
            by_person: HashMap::new(),
            persons: HashMap::new(),
            by_profile: HashMap::new(),
            buckets: Vec::new(),
            by_bucket: HashMap::new(),
            app_cooling: HashMap::new(),
            operation_cooling: HashMap::new(),
            indexes: std::iter::repeat_with(|| None).take(operations).collect(),
            leases: IdMap::default(),
            expiries: Timers::default(),
            wakes: Timers::default(),
            updates: Vec::new(),
            used: Vec::new(),
            ended: Vec::new(),
            generation: 0,
        }
    }

    /// The network.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Ends the leases whose time is over at `now`. What they did not report counts as spent.
    pub fn expire(&mut self, now: Timestamp) -> Vec<ExpiredLease> {
        let mut expired = Vec::new();
        while let Some(lease) = self.expiries.pop_due(now) {
            let Some(held) = self.leases.get(&lease) else { continue };
            if held.expires_at > now {
                continue;
            }
            let unreported = held.calls_left;
            if let Some(held) = self.leases.get_mut(&lease).filter(|held| !held.restored) {
                held.unwritten.calls = held.unwritten.calls.saturating_add(unreported);
            }
            let view = self.lease(lease);
            self.close(lease, unreported, now);
            expired.extend(view.map(|lease| ExpiredLease { lease, unreported }));
        }
        expired
    }

    /// Hands out what is known better of blocks since the last time. The store must learn it before, or together with, the next block
    /// that is taken; else it could refuse credit that is free.
    pub fn take_updates(&mut self) -> Vec<BlockUpdate> {
        std::mem::take(&mut self.updates)
    }

    /// What leases were used for since the last time: told once.
    pub fn take_uses(&mut self) -> Vec<(LeaseView, LeaseUse)> {
        let mut uses = std::mem::take(&mut self.ended);
        for lease in std::mem::take(&mut self.used) {
            if let Some(held) = self.leases.get_mut(&lease) {
                let used = std::mem::take(&mut held.unwritten);
                uses.extend(self.lease(lease).map(|view| (view, used)));
            }
        }
        uses
    }

    /// Takes updates back that the store did not take.
    pub fn return_updates(&mut self, updates: Vec<BlockUpdate>) {
        self.updates.extend(updates);
    }

    /// When the next lease may expire or the next bucket changes: the pool wants to be advanced then.
    pub fn next_event(&self) -> Option<Timestamp> {
        [self.expiries.next(), self.wakes.next()].into_iter().flatten().min()
    }

    /// Lets time pass: windows that are over give their credit back. Returns whether any did.
    pub fn advance(&mut self, now: Timestamp) -> bool {
        let mut woke = false;
        while let Some(due) = self.wakes.pop_due(now) {
            match due {
                Wake::Bucket(bucket) => self.wake(bucket, now),
                Wake::Token(slot) => self.rescore_slot(slot, now),
            }
            woke = true;
        }
        self.advance_incidents(now);
        woke
    }

    /// Takes up a lease that an earlier run opened. Its credit is among the blocks that count as spent. Returns whether its token
    /// is here.
    pub fn restore_lease(&mut self, lease: &Lease) -> bool {
        let Some(slot) = self.by_token.get(&lease.token).copied() else { return false };
        let Some(operation) = self.network.leased_index(lease.operation.as_str()) else { return false };
        let held = Held {
            slot,
            version: self.slots[slot as usize].version,
            operation: u16::try_from(operation).expect("the catalogue holds few operations per network"),
            collector: lease.collector,
            purpose: lease.purpose,
            collection: lease.collection.as_str().into(),
            opened_at: lease.opened_at,
            calls_left: lease.calls,
            calls_granted: lease.calls,
            unwritten: LeaseUse::default(),
            use_by: lease.use_by,
            expires_at: lease.expires_at,
            durable: true,
            recalled: false,
            restored: true,
            probes: false,
            last_report: None,
            reported_at: lease.opened_at,
            grants: Vec::new(),
            keys: Vec::new(),
        };
        self.leases.insert(lease.id, held);
        self.slots[slot as usize].leases.push(lease.id);
        self.expiries.push(lease.expires_at, lease.id);
        true
    }

    /// Extends a lease to end `ttl` after `now`. Its credit keeps its own end.
    pub fn extend(&mut self, now: Timestamp, lease: LeaseId, ttl: Duration) -> Result<Timestamp, ReportError> {
        let held = self.leases.get_mut(&lease).ok_or(ReportError::UnknownLease)?;
        if held.recalled {
            return Err(ReportError::Recalled);
        }
        let end = (now + ttl).max(held.expires_at);
        held.expires_at = end;
        self.expiries.push(end, lease);
        Ok(end)
    }
}
