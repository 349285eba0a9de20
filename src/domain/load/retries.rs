//! Which requests were seen before: a retry is the same demand as its first try.
//!
//! * A request with a name (its collector's `request_id`) is the same as any other of that name, under way, refused or served.
//! * A request without a name is a retry of one alike that *ended without being served*, the oldest of them; each of those is retried once.
//!   Two requests that are under way at the same time are therefore never retries of each other, and what comes after a served one
//!   is new. Work that is refused and then dropped is taken for tried again once one alike comes: only a name could tell them apart.
//!
//! Memory is bounded; what is forgotten stays counted. Of the named ones those that were served are forgotten first.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::base::clock::Timestamp;

/// By what a request is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// A hash of its name and of who chose it.
    Named(u64),
    /// A hash of all that makes requests alike.
    Alike(u64),
}

/// What was recorded of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    pub at: Timestamp,
    pub credits: u64,
    pub row: Arc<str>,
}

/// The requests that may be tried again.
#[derive(Debug, Default)]
pub(super) struct Requests {
    named: Named,
    unserved: Unserved,
}

impl Requests {
    /// A request came. Returns what was recorded of it before, which it replaces. At most `most` of each sort are remembered.
    pub fn came(&mut self, identity: Identity, request: Recorded, most: usize) -> Option<Recorded> {
        match identity {
            Identity::Named(name) => self.named.remember(name, request, most),
            Identity::Alike(_) => self.retried(identity),
        }
    }

    /// The one without a name that is tried again.
    pub fn retried(&mut self, identity: Identity) -> Option<Recorded> {
        match identity {
            Identity::Named(_) => None,
            Identity::Alike(likeness) => self.unserved.pop_oldest(likeness),
        }
    }

    /// Whether one without a name may be tried again.
    pub fn has_unserved(&self) -> bool {
        !self.unserved.alike.is_empty()
    }

    /// It was granted so much.
    pub fn served(&mut self, identity: Identity, credits: u64) {
        if let Identity::Named(name) = identity {
            self.named.served(name, credits);
        }
    }

    /// It ended without being served.
    pub fn unserved(&mut self, identity: Identity, request: Recorded, most: usize) {
        if let Identity::Alike(likeness) = identity {
            self.unserved.push(likeness, request, most);
        }
    }

    #[cfg(test)]
    pub fn remembered(&self) -> (usize, usize) {
        assert_eq!(self.named.known.len(), self.named.order.len());
        assert_eq!(self.unserved.alike.len(), self.unserved.order.len());
        (self.named.known.len(), self.unserved.alike.len())
    }
}

/// Requests with a name. The order in which they are forgotten: the served ones, the one tried longest ago first.
#[derive(Debug, Default)]
struct Named {
    known: HashMap<u64, (Recorded, bool)>,
    order: BTreeSet<(bool, Timestamp, u64)>,
}

impl Named {
    fn remember(&mut self, name: u64, request: Recorded, most: usize) -> Option<Recorded> {
        let before = self.forget(name);
        self.order.insert((true, request.at, name));
        self.known.insert(name, (request, false));
        while self.known.len() > most {
            let Some((_, _, oldest)) = self.order.pop_first() else { break };
            self.known.remove(&oldest);
        }
        before
    }

    fn served(&mut self, name: u64, credits: u64) {
        if let Some((request, was_served)) = self.known.get_mut(&name) {
            self.order.remove(&(!*was_served, request.at, name));
            request.credits = request.credits.min(credits);
            *was_served = true;
            self.order.insert((false, request.at, name));
        }
    }

    fn forget(&mut self, name: u64) -> Option<Recorded> {
        let (request, served) = self.known.remove(&name)?;
        self.order.remove(&(!served, request.at, name));
        Some(request)
    }
}

/// Requests without a name that ended without being served, in the order of their ends.
#[derive(Debug, Default)]
struct Unserved {
    alike: BTreeMap<(u64, u64), Recorded>,
    order: BTreeMap<u64, u64>,
    next: u64,
}

impl Unserved {
    fn push(&mut self, likeness: u64, request: Recorded, most: usize) {
        self.alike.insert((likeness, self.next), request);
        self.order.insert(self.next, likeness);
        self.next += 1;
        if self.alike.len() > most
            && let Some((oldest, likeness)) = self.order.pop_first()
        {
            self.alike.remove(&(likeness, oldest));
        }
    }

    fn pop_oldest(&mut self, likeness: u64) -> Option<Recorded> {
        let (_, oldest) = *self.alike.range((likeness, 0)..=(likeness, u64::MAX)).next()?.0;
        self.order.remove(&oldest);
        self.alike.remove(&(likeness, oldest))
    }
}
