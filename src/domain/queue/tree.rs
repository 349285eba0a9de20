//! The tree behind the queue: stride scheduling at each level.
//!
//! Every child has a *position* in its parent's virtual time; the child with the lowest is served first and then moves on by
//! cost / weight. Virtual time is the position at which service was given last (start-time fair queueing).
//!
//! * One that comes new, or comes back, starts at the lowest position of those that wait, but never before its own old one: it has
//!   no credit for idleness, and no forgiveness either. The old positions of those that left are kept until virtual time has
//!   passed them, at most [`MOST_IDLE`] per parent; forgetting one earlier moves virtual time to it, so that nothing is gained by
//!   being forgotten.
//! * One that could not be served while others were is moved up to virtual time, and stands first there: it does not save
//!   up a claim to everything for the time when its credit returns, and does not lose its turn.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::base::clock::Timestamp;

/// Units of virtual time per unit of credit at weight 1.
const SCALE: u128 = 1 << 20;
/// How many that left are remembered per parent.
pub(super) const MOST_IDLE: usize = 4096;
/// Up to so many signatures, a subtree is checked before it is entered; beyond, entering it is cheaper.
const FEW: usize = 16;

/// One step from a parent to a child.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub key: u128,
    pub weight: u32,
}

/// A waiter as its leaf keeps it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub arrival: u64,
    pub id: u64,
    pub signature: u64,
    pub deadline: Timestamp,
}

/// Where a child stands among its siblings: position, then arrival.
type Rank = (u128, u64, u128);

/// A node: the whole queue, a team, a priority, a collection or a collector.
#[derive(Debug)]
pub(super) struct Node {
    weight: u32,
    position: u128,
    joined: u64,
    len: usize,
    /// How many below want what.
    wants: HashMap<u64, usize>,
    below: Below,
}

#[derive(Debug)]
enum Below {
    Children(Box<Children>),
    /// Of one collector, by arrival.
    Waiters {
        line: BTreeMap<u64, Place>,
        /// Until which arrival a pass has looked, and which pass.
        seen: (u64, u64),
    },
}

#[derive(Debug, Default)]
struct Children {
    nodes: HashMap<u128, Node>,
    order: BTreeSet<Rank>,
    /// Children that have nothing more to try in the present pass.
    parked: Vec<Rank>,
    idle: HashMap<u128, u128>,
    idle_order: BTreeSet<(u128, u128)>,
    /// Virtual time: the position at which service was given last.
    floor: u128,
}

/// One pass over those that wait.
#[derive(Debug)]
pub(super) struct Pass {
    number: u64,
    now: Timestamp,
    /// What could not be served in this pass.
    blocked: HashSet<u64>,
    /// How many want what is blocked.
    blocked_len: usize,
    /// The parents that have parked children.
    parked: Vec<Vec<u128>>,
}

impl Pass {
    pub(super) fn new(number: u64, now: Timestamp) -> Pass {
        Pass { number, now, blocked: HashSet::new(), blocked_len: 0, parked: Vec::new() }
    }

    /// From now on nobody with this signature is tried.
    pub(super) fn block(&mut self, signature: u64, root: &Node) {
        if self.blocked.insert(signature) {
            self.blocked_len += root.wants.get(&signature).copied().unwrap_or(0);
        }
    }

    fn may_try(&self, place: &Place) -> bool {
        place.deadline > self.now && !self.blocked.contains(&place.signature)
    }
}

impl Node {
    pub(super) fn root() -> Node {
        Node::new(Step { key: 0, weight: 1 }, 0, 0, false)
    }

    fn new(step: Step, position: u128, joined: u64, is_leaf: bool) -> Node {
        let below = if is_leaf {
            Below::Waiters { line: BTreeMap::new(), seen: (0, 0) }
        } else {
            Below::Children(Box::default())
        };
        Node { weight: step.weight.max(1), position, joined, len: 0, wants: HashMap::new(), below }
    }

    pub(super) fn child_len(&self, key: u128) -> usize {
        match &self.below {
            Below::Children(children) => children.nodes.get(&key).map_or(0, |node| node.len),
            Below::Waiters { .. } => 0,
        }
    }

    /// How many children that left are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        match &self.below {
            Below::Children(children) => children.idle.len(),
            Below::Waiters { .. } => 0,
        }
    }

    /// Whether somebody below wants what `signature` stands for.
    pub(super) fn wants(&self, signature: u64) -> bool {
        self.wants.contains_key(&signature)
    }

    /// Puts a waiter at the end of its collector's line.
    pub(super) fn insert(&mut self, path: &[Step], place: Place) {
        self.len += 1;
        *self.wants.entry(place.signature).or_default() += 1;
        match (&mut self.below, path) {
            (Below::Waiters { line, .. }, _) => {
                line.insert(place.arrival, place);
            }
            (Below::Children(children), [step, rest @ ..]) => {
                children.join(*step, place.arrival, rest.is_empty()).insert(rest, place);
            }
            (Below::Children(_), []) => unreachable!("a path ends at a collector"),
        }
    }

    /// Takes a waiter out, and moves its collector, collection, priority and team on by what it is charged.
    pub(super) fn take(&mut self, path: &[Step], arrival: u64, charge: Option<u64>) -> Option<Place> {
        let taken = match (&mut self.below, path) {
            (Below::Waiters { line, .. }, _) => line.remove(&arrival),
            (Below::Children(children), [step, rest @ ..]) => children.take(step.key, rest, arrival, charge),
            (Below::Children(_), []) => None,
        }?;
        self.len -= 1;
        if let Some(count) = self.wants.get_mut(&taken.signature) {
            *count -= 1;
            if *count == 0 {
                self.wants.remove(&taken.signature);
            }
        }
        Some(taken)
    }

    /// The next waiter to try. To be called on the root.
    pub(super) fn next(&mut self, pass: &mut Pass) -> Option<u64> {
        if pass.blocked_len >= self.len { None } else { self.find(pass, &mut Vec::new()) }
    }

    fn find(&mut self, pass: &mut Pass, path: &mut Vec<u128>) -> Option<u64> {
        if self.is_blocked(pass) {
            return None;
        }
        match &mut self.below {
            Below::Waiters { line, seen } => {
                let from = if seen.0 == pass.number { seen.1 } else { 0 };
                let found = line.range(from..).map(|(_, place)| place).find(|place| pass.may_try(place));
                *seen = (pass.number, found.map_or(u64::MAX, |place| place.arrival));
                found.map(|place| place.id)
            }
            Below::Children(children) => children.find(pass, path),
        }
    }

    /// Whether all below want what is blocked; `false` also where finding out is not cheap.
    fn is_blocked(&self, pass: &Pass) -> bool {
        let count = |signature: &u64| self.wants.get(signature).copied().unwrap_or(0);
        let blocked: usize = if pass.blocked.len() <= FEW {
            pass.blocked.iter().map(count).sum()
        } else if self.wants.len() <= FEW {
            self.wants.keys().filter(|signature| pass.blocked.contains(signature)).map(count).sum()
        } else {
            0
        };
        blocked >= self.len
    }

    /// Ends a pass: everybody stands in order again.
    pub(super) fn unpark(&mut self, pass: Pass) {
        for path in pass.parked {
            let mut node = Some(&mut *self);
            for key in &path {
                node = node.and_then(|node| match &mut node.below {
                    Below::Children(children) => children.nodes.get_mut(key),
                    Below::Waiters { .. } => None,
                });
            }
            if let Some(Node { below: Below::Children(children), .. }) = node {
                children.unpark();
            }
        }
    }
}

impl Children {
    /// Where a newcomer starts.
    fn start(&self) -> u128 {
        self.order.first().map_or(self.floor, |(position, ..)| self.floor.max(*position))
    }

    /// The child of that key, new if it was not waiting.
    fn join(&mut self, step: Step, arrival: u64, is_leaf: bool) -> &mut Node {
        if !self.nodes.contains_key(&step.key) {
            let before = self.idle.remove(&step.key);
            if let Some(before) = before {
                self.idle_order.remove(&(before, step.key));
            }
            let position = self.start().max(before.unwrap_or(0));
            self.order.insert((position, arrival, step.key));
            self.nodes.insert(step.key, Node::new(step, position, arrival, is_leaf));
        }
        let node = self.nodes.get_mut(&step.key).expect("it was there or was put there above");
        node.weight = step.weight.max(1);
        node
    }

    fn take(&mut self, key: u128, rest: &[Step], arrival: u64, charge: Option<u64>) -> Option<Place> {
        let node = self.nodes.get_mut(&key)?;
        let taken = node.take(rest, arrival, charge)?;
        let rank = (node.position, node.joined, key);
        if let Some(cost) = charge {
            self.floor = self.floor.max(node.position);
            node.position += u128::from(cost.max(1)) * SCALE / u128::from(node.weight);
        }
        let (position, joined, is_empty) = (node.position, node.joined, node.len == 0);
        if is_empty {
            self.order.remove(&rank);
            self.nodes.remove(&key);
            self.remember(key, position);
        } else if charge.is_some() {
            self.order.remove(&rank);
            self.order.insert((position, joined, key));
        }
        self.forget();
        Some(taken)
    }

    fn remember(&mut self, key: u128, position: u128) {
        self.idle.insert(key, position);
        self.idle_order.insert((position, key));
    }

    /// Forgets those that left whose old position does not matter any more, and the foremost of too many.
    fn forget(&mut self) {
        while let Some((position, key)) = self.idle_order.first().copied()
            && (position <= self.floor || self.idle.len() > MOST_IDLE)
        {
            self.floor = self.floor.max(position);
            self.idle_order.pop_first();
            self.idle.remove(&key);
        }
    }

    fn find(&mut self, pass: &mut Pass, path: &mut Vec<u128>) -> Option<u64> {
        while let Some(rank) = self.order.first().copied() {
            let node = self.nodes.get_mut(&rank.2).expect("everyone in the order is a child");
            path.push(rank.2);
            let found = node.find(pass, path);
            path.pop();
            if found.is_some() {
                return found;
            }
            if self.parked.is_empty() {
                pass.parked.push(path.clone());
            }
            self.order.remove(&rank);
            self.parked.push(rank);
        }
        None
    }

    /// Puts the parked children in order again.
    fn unpark(&mut self) {
        for (_, _, key) in std::mem::take(&mut self.parked) {
            let node = self.nodes.get_mut(&key).expect("a parked child waits until the pass ends");
            if node.position < self.floor {
                (node.position, node.joined) = (self.floor, 0);
            }
            self.order.insert((node.position, node.joined, key));
        }
    }
}
