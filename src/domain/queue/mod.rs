//! Waiting requests, in fair order: teams, then priorities, then collections, then collectors, each by weight.
//!
//! * *Work-conserving*: whoever can be served now is, whatever its share; shares only decide who comes first.
//! * *Fair*: among those that always wait, credit is given in proportion to the weights, at each level. A team that was
//!   idle has no claim for that time, and a collector that asks for one thing at a time can't overtake by leaving and returning.
//! * *No overtaking*: once a request could not be served, later ones that want the same ([`Waiter::signature`]) are not tried in
//!   that pass, so a large request is not passed over for ever by small ones.
//! * *Bounded*: a full queue refuses the newcomer, whoever it is ([`QueueFull`]); nobody is pushed out. A caller that wants to keep
//!   one team from filling it asks [`Queue::team_len`] first.
//!
//! Each step costs about the logarithm of those that wait. When to serve, and what an attempt does, is the caller's.

mod tree;

use std::collections::{BTreeSet, HashMap};

use crate::base::clock::Timestamp;
use crate::domain::lease::Priority;
use tree::{Node, Pass, Place, Step};

/// The number of a team within one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TeamIndex(pub u32);

/// One request that waits for credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiter {
    /// Its name, unique among those that wait.
    pub id: u64,
    /// Its team.
    pub team: TeamIndex,
    /// The team's share among teams; from 1.
    pub team_weight: u32,
    /// Its urgency within the team.
    pub priority: Priority,
    /// Its collection, hashed.
    pub collection: u64,
    /// Its collector.
    pub collector: u128,
    /// The collector's share among those of its collection; from 1.
    pub collector_weight: u32,
    /// The credit it asks for; counts as at least 1.
    pub cost: u64,
    /// What it wants, hashed: requests of one signature are served from the same credit.
    pub signature: u64,
    /// It does not wait past this time.
    pub deadline: Timestamp,
}

impl Waiter {
    fn path(&self) -> [Step; 4] {
        [
            Step { key: u128::from(self.team.0), weight: self.team_weight },
            Step { key: self.priority as u128, weight: self.priority.weight() },
            Step { key: u128::from(self.collection), weight: 1 },
            Step { key: self.collector, weight: self.collector_weight },
        ]
    }
}

/// What became of an attempt to serve a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It got what it asked for; it leaves the queue and is charged.
    Served,
    /// There is not enough for it now; it keeps its place.
    NotNow,
    /// No more attempts in this pass; it keeps its place.
    Stop,
}

/// The queue holds as many as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{capacity} requests are waiting already; try again later")]
pub struct QueueFull {
    /// How many it holds.
    pub capacity: usize,
}

/// The requests that wait for the credit of one pool.
#[derive(Debug)]
pub struct Queue {
    capacity: usize,
    waiters: HashMap<u64, Waiting>,
    deadlines: BTreeSet<(Timestamp, u64)>,
    tree: Node,
    arrivals: u64,
    passes: u64,
}

#[derive(Debug)]
struct Waiting {
    waiter: Waiter,
    arrival: u64,
}

impl Queue {
    /// A queue for at most `capacity` waiters.
    pub fn new(capacity: usize) -> Queue {
        Queue {
            capacity,
            waiters: HashMap::new(),
            deadlines: BTreeSet::new(),
            tree: Node::root(),
            arrivals: 0,
            passes: 0,
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// How many of a team wait.
    pub fn team_len(&self, team: TeamIndex) -> usize {
        self.tree.child_len(u128::from(team.0))
    }

    /// The soonest time at which [`Queue::expire`] has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Lets a request wait. One of the same id that waits already is replaced and loses its place.
    pub fn push(&mut self, waiter: Waiter) -> Result<(), QueueFull> {
        self.remove(waiter.id);
        if self.waiters.len() >= self.capacity {
            return Err(QueueFull { capacity: self.capacity });
        }
        self.arrivals += 1;
        let place =
            Place { arrival: self.arrivals, id: waiter.id, signature: waiter.signature, deadline: waiter.deadline };
        self.tree.insert(&waiter.path(), place);
        self.deadlines.insert((waiter.deadline, waiter.id));
        self.waiters.insert(waiter.id, Waiting { waiter, arrival: self.arrivals });
        Ok(())
    }

    /// Takes a request out that does not want to wait any more, without a charge.
    pub fn remove(&mut self, id: u64) -> Option<Waiter> {
        self.take(id, None)
    }

    /// Takes out all whose deadline has come, soonest first, and returns their ids.
    pub fn expire(&mut self, now: Timestamp) -> Vec<u64> {
        let mut expired = Vec::new();
        while let Some((deadline, id)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.take(id, None);
            expired.push(id);
        }
        expired
    }

    /// Tries to serve those that wait, in fair order, each at most once. Returns how many were served. Those whose
    /// deadline has come are not tried.
    pub fn serve(&mut self, now: Timestamp, mut attempt: impl FnMut(&Waiter) -> Attempt) -> usize {
        self.passes += 1;
        let mut pass = Pass::new(self.passes, now);
        let mut served = 0;
        while let Some(id) = self.tree.next(&mut pass) {
            let Some(waiter) = self.waiters.get(&id).map(|waiting| waiting.waiter) else { break };
            match attempt(&waiter) {
                Attempt::Served => {
                    self.take(id, Some(waiter.cost));
                    served += 1;
                }
                Attempt::NotNow => pass.block(waiter.signature, &self.tree),
                Attempt::Stop => break,
            }
        }
        self.tree.unpark(pass);
        served
    }

    /// Whether somebody waits for what `signature` stands for. Costs the same however many wait.
    pub fn is_wanted(&self, signature: u64) -> bool {
        self.tree.wants(signature)
    }

    fn take(&mut self, id: u64, charge: Option<u64>) -> Option<Waiter> {
        let Waiting { waiter, arrival } = self.waiters.remove(&id)?;
        self.deadlines.remove(&(waiter.deadline, id));
        self.tree.take(&waiter.path(), arrival, charge);
        if self.waiters.is_empty() {
            self.tree = Node::root();
        }
        Some(waiter)
    }
}

#[cfg(test)]
mod tests;
