//! Credits by time: a ring of slots per span. Memory is bounded by the number of slots.

use crate::base::clock::Timestamp;
use crate::domain::load::{Span, Spans};

/// The slots of each span: their length in seconds and their number. A span covers as many whole slots, the running one included,
/// and of the slot before them the part that is not older than the span.
pub(super) const fn slots(span: Span) -> (i64, usize) {
    match span {
        Span::FiveMinutes => (10, 30),
        Span::QuarterHour => (30, 30),
        Span::Hour => (60, 60),
        Span::Day => (900, 96),
    }
}

/// Credits of all spans.
#[derive(Debug)]
pub(super) struct Rings(Spans<Ring>);

impl Default for Rings {
    fn default() -> Self {
        Rings(Spans::each(|span| Ring { newest: i64::MIN, credits: vec![0; slots(span).1 + 1].into_boxed_slice() }))
    }
}

impl Rings {
    pub(super) fn of(&self, span: Span) -> &Ring {
        self.0.of(span)
    }

    pub(super) fn add(&mut self, now: Timestamp, credits: u64) {
        for span in Span::ALL {
            let slot = now.secs().div_euclid(slots(span).0);
            self.0.of_mut(span).add(slot, credits);
        }
    }

    pub(super) fn take_back(&mut self, at: Timestamp, credits: u64) {
        for span in Span::ALL {
            let slot = at.secs().div_euclid(slots(span).0);
            self.0.of_mut(span).take_back(slot, credits);
        }
    }
}

/// The credits of the newest slots. Slot `n` lies at `n` modulo the ring's size; slots older than the ring are zero.
#[derive(Debug)]
pub(super) struct Ring {
    newest: i64,
    credits: Box<[u64]>,
}

impl Ring {
    fn size(&self) -> i64 {
        self.credits.len() as i64
    }

    fn place(&self, slot: i64) -> usize {
        slot.rem_euclid(self.size()) as usize
    }

    fn holds(&self, slot: i64) -> bool {
        slot <= self.newest && slot > self.newest.saturating_sub(self.size())
    }

    fn add(&mut self, slot: i64, credits: u64) {
        if slot > self.newest {
            let first_new = slot.saturating_sub(self.size() - 1).max(self.newest.saturating_add(1));
            for new in first_new..=slot {
                self.credits[self.place(new)] = 0;
            }
            self.newest = slot;
        }
        if self.holds(slot) {
            let place = self.place(slot);
            self.credits[place] = self.credits[place].saturating_add(credits);
        }
    }

    fn take_back(&mut self, slot: i64, credits: u64) {
        if self.holds(slot) {
            let place = self.place(slot);
            self.credits[place] = self.credits[place].saturating_sub(credits);
        }
    }

    /// The credits of the span that ends at `now`; of the slot that it holds in part, the even share of that part.
    pub(super) fn sum(&self, now: Timestamp, slot_secs: i64) -> u64 {
        let running = now.secs().div_euclid(slot_secs);
        let current = running.max(self.newest);
        let oldest = current.saturating_sub(self.size() - 1);
        let credits = |slot: i64| if self.holds(slot) { self.credits[self.place(slot)] } else { 0 };
        let whole: u64 = (oldest + 1..=self.newest).map(credits).sum();
        let passed = if current == running { now.micros().rem_euclid(slot_secs * 1_000_000) } else { 0 };
        let within = 1.0 - passed as f64 / (slot_secs * 1_000_000) as f64;
        whole.saturating_add((credits(oldest) as f64 * within).round() as u64)
    }
}
