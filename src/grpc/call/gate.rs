//! How many calls may be in work at once. Who comes when it is full is refused at once, never queued: a queue in front of
//! the handlers would only hold calls whose clients have given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts calls in work, up to a limit.
#[derive(Debug)]
pub struct CallGate {
    in_work: AtomicUsize,
    most: usize,
}

impl CallGate {
    /// Lets `most` calls in at once.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { in_work: AtomicUsize::new(0), most })
    }

    /// Takes a place until the result is dropped; `None` if all are taken.
    pub(super) fn enter(self: &Arc<Self>) -> Option<InWork> {
        let before = self.in_work.fetch_add(1, Ordering::Relaxed);
        let place = InWork(Arc::clone(self));
        (before < self.most).then_some(place)
    }

    /// The calls in work.
    pub fn in_work(&self) -> usize {
        self.in_work.load(Ordering::Relaxed)
    }
}

/// A place among the calls in work.
#[derive(Debug)]
pub(super) struct InWork(Arc<CallGate>);

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.in_work.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gate_refuses_until_somebody_leaves() {
        let gate = CallGate::new(2);
        let first = gate.enter();
        let second = gate.enter();
        assert!(first.is_some() && second.is_some());
        assert!(gate.enter().is_none());
        assert_eq!(gate.in_work(), 2, "a refused call takes no place");
        drop(first);
        assert!(gate.enter().is_some());
    }
}
