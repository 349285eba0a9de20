//! Cooling: how long something must not be used after the network said no, and how it is tried again.
//!
//! A cooling is only ever extended, ends early on proof, and half-opens: after its time one probe decides whether it is over.

use std::time::Duration;

use crate::base::clock::Timestamp;

/// While a probe is on its way, others are told to come back after this long.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// The state of a cooling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cooling {
    until: Option<Timestamp>,
    refusals: u32,
}

/// Whether a cooling lets anything through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Everything.
    Open,
    /// One call, whose answer decides. Others may come back at this time.
    Probe(Timestamp),
    /// Nothing before this time.
    Closed(Timestamp),
}

impl Cooling {
    /// Closes until `until`, or longer if it was closed for longer.
    pub fn close(&mut self, until: Timestamp) {
        self.until = Some(self.until.map_or(until, |before| before.max(until)));
        self.refusals = self.refusals.saturating_add(1);
    }

    /// A call succeeded: it is over.
    pub fn open(&mut self) {
        *self = Self::default();
    }

    /// Whether it lets anything through at `now`.
    pub fn gate(&self, now: Timestamp) -> Gate {
        match self.until {
            None => Gate::Open,
            Some(until) if until > now => Gate::Closed(until),
            Some(_) => Gate::Probe(now + PROBE_PATIENCE),
        }
    }

    /// Its end, if it was closed and is not proven to be over.
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether everything may pass.
    pub fn is_open(&self) -> bool {
        self.until.is_none()
    }

    /// How long to close when the network does not say: one minute, doubled with each refusal in a row, at most `most`.
    pub fn next_pause(&self, most: Duration) -> Duration {
        Duration::from_secs(60).saturating_mul(1 << self.refusals.min(10)).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn only_extends() {
        let mut cooling = Cooling::default();
        cooling.close(at(100));
        cooling.close(at(50));
        assert_eq!(cooling.gate(at(99)), Gate::Closed(at(100)));
    }

    #[test]
    fn half_opens_and_ends_on_proof() {
        let mut cooling = Cooling::default();
        cooling.close(at(100));
        assert!(matches!(cooling.gate(at(100)), Gate::Probe(_)));
        cooling.open();
        assert_eq!(cooling.gate(at(100)), Gate::Open);
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        let mut cooling = Cooling::default();
        let most = Duration::from_secs(900);
        let mut last = Duration::ZERO;
        for _ in 0..40 {
            let pause = cooling.next_pause(most);
            assert!(pause >= last && pause <= most);
            last = pause;
            cooling.close(at(1));
        }
        assert_eq!(last, most);
    }
}
