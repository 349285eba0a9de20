//! The live pool of one network: its tokens, their buckets and the leases on them, as one state machine.
//!
//! Everything here is synchronous: a command and the time go in; a decision, and what the store must be asked before it is
//! acknowledged, come out. The engine owns one pool per network behind one lock.
//!
//! A request draws from every bucket its operation touches, in one step, or from none.

mod acquire;
mod buckets;
mod names;
mod report;
mod shelf;
mod slot;
mod survey;
#[cfg(test)]
mod tests;
mod view;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, ClassId, CollectorId, LeaseId, TeamId, TokenId};
use crate::domain::credit::{BlockUpdate, BucketKey, Cooling, Timing};
use crate::domain::lease::Lease;
use crate::domain::networks::{Network, Purpose};

pub use acquire::{AcquireRequest, Acquired, NoToken, Refusal, TopUp};
pub use report::{CallReport, Effect, ReportError, Reported, Verdict};
pub use survey::{BucketSurvey, SurveyedToken, sustained_length};
pub use view::{BucketView, LeaseView, PoolCounts, SupplyView, TokenView, Unusable};

use buckets::{BucketSlot, Rule};
use names::Names;
use shelf::OperationIndex;
use slot::{ScopeSet, Slot};

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
    /// Facts of apps that limits are computed from (`app_users`).
    pub app_facts: BTreeMap<AppId, BTreeMap<String, u64>>,
    /// Limits that an operator set for an app's classes: budgets and unpublished limits.
    pub app_limits: BTreeMap<(AppId, ClassId), u64>,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            reserve_percent: 10,
            max_leases_per_token: 16,
            choice: Choice::MostCredit,
            app_facts: BTreeMap::new(),
            app_limits: BTreeMap::new(),
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
    by_scopes: HashMap<String, u32>,
    teams: HashMap<TeamId, u32>,
    slots: Vec<Slot>,
    by_token: HashMap<TokenId, u32>,
    by_person: HashMap<u32, Vec<u32>>,
    by_profile: HashMap<u32, Vec<u32>>,
    buckets: Vec<BucketSlot>,
    by_bucket: HashMap<BucketKey, u32>,
    app_cooling: HashMap<u32, Cooling>,
    indexes: Vec<Option<Box<OperationIndex>>>,
    leases: HashMap<LeaseId, Held>,
    expiries: BinaryHeap<Reverse<(Timestamp, LeaseId)>>,
    /// What is known better of blocks and the store does not know yet.
    updates: Vec<BlockUpdate>,
    wakes: BinaryHeap<Reverse<(Timestamp, u32)>>,
    /// Raised whenever a token is added or changed.
    generation: u64,
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
    operation: u16,
    collector: Option<CollectorId>,
    purpose: Purpose,
    collection: Arc<str>,
    opened_at: Timestamp,
    calls_left: u64,
    calls_granted: u64,
    errors: u64,
    throttled: u64,
    use_by: Timestamp,
    expires_at: Timestamp,
    /// The store has it.
    durable: bool,
    recalled: bool,
    /// Opened by an earlier run of the process: its credit is charged as spent, and its top-ups are not known.
    restored: bool,
    last_report: Option<(u64, Reported)>,
    grants: Vec<HeldGrant>,
}

/// Credit that a lease holds in one bucket.
#[derive(Debug, Clone, Copy)]
struct HeldGrant {
    bucket: u32,
    block: crate::base::ids::BlockId,
    per_call: u64,
    units: u64,
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
            teams: HashMap::new(),
            slots: Vec::new(),
            by_token: HashMap::new(),
            by_person: HashMap::new(),
            by_profile: HashMap::new(),
            buckets: Vec::new(),
            by_bucket: HashMap::new(),
            app_cooling: HashMap::new(),
            indexes: std::iter::repeat_with(|| None).take(operations).collect(),
            leases: HashMap::new(),
            expiries: BinaryHeap::new(),
            updates: Vec::new(),
            wakes: BinaryHeap::new(),
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
        while let Some(Reverse((at, lease))) = self.expiries.peek().copied() {
            if at > now {
                break;
            }
            self.expiries.pop();
            let Some(held) = self.leases.get(&lease) else { continue };
            if held.expires_at > now {
                continue;
            }
            let unreported = held.calls_left;
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

    /// Takes updates back that the store did not take.
    pub fn return_updates(&mut self, updates: Vec<BlockUpdate>) {
        self.updates.extend(updates);
    }

    /// When the next lease may expire or the next bucket changes: the pool wants to be advanced then.
    pub fn next_event(&self) -> Option<Timestamp> {
        let expiry = self.expiries.peek().map(|Reverse((at, _))| *at);
        let wake = self.wakes.peek().map(|Reverse((at, _))| *at);
        [expiry, wake].into_iter().flatten().min()
    }

    /// Lets time pass: windows that are over give their credit back. Returns whether any did.
    pub fn advance(&mut self, now: Timestamp) -> bool {
        let mut woke = false;
        while let Some(Reverse((at, bucket))) = self.wakes.peek().copied() {
            if at > now {
                break;
            }
            self.wakes.pop();
            self.wake(bucket, now);
            woke = true;
        }
        woke
    }

    /// Takes up a lease that an earlier run opened. Its credit is among the blocks that count as spent. Returns whether its token
    /// is here.
    pub fn restore_lease(&mut self, lease: &Lease) -> bool {
        let Some(slot) = self.by_token.get(&lease.token).copied() else { return false };
        let Some(operation) = self.network.operation_index(lease.operation.as_str()) else { return false };
        let held = Held {
            slot,
            operation: u16::try_from(operation).expect("the catalogue holds few operations per network"),
            collector: lease.collector,
            purpose: lease.purpose,
            collection: lease.collection.as_str().into(),
            opened_at: lease.opened_at,
            calls_left: lease.calls,
            calls_granted: lease.calls,
            errors: 0,
            throttled: 0,
            use_by: lease.use_by,
            expires_at: lease.expires_at,
            durable: true,
            recalled: false,
            restored: true,
            last_report: None,
            grants: Vec::new(),
        };
        self.leases.insert(lease.id, held);
        self.slots[slot as usize].leases.push(lease.id);
        self.expiries.push(Reverse((lease.expires_at, lease.id)));
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
        self.expiries.push(Reverse((end, lease)));
        Ok(end)
    }
}
