//! Cooling: how long something must not be used after the network said no, and how it is tried again.
//!
//! A cooling is only ever extended. Once its time is over it is half open: one call is let through, the probe, and everything else
//! waits for that call's answer. A call that was made after the closing and succeeded ends the cooling, also before its time; a
//! refusal closes it anew, for longer. The same rule serves tokens, buckets and apps.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::LeaseId;

/// The first pause where the network does not say how long; doubled with each refusal in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause where the network does not say.
const LONGEST_GUESS: Duration = Duration::from_secs(900);
/// The longest pause that a network can ask for: after that a probe looks, whatever a broken header said.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);

/// Whether something may be used. Open by default, and small while it is open: there may be many.
#[derive(Debug, Default)]
pub struct Cooling(Option<Box<Closed>>);

#[derive(Debug)]
struct Closed {
    /// The latest refusal.
    since: Timestamp,
    until: Timestamp,
    /// Refusals in a row, those of one closing counted once.
    refusals: u32,
    probe: Option<Probe>,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    lease: LeaseId,
    /// When another probe may go if this one was not answered.
    until: Timestamp,
}

/// What a cooling lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Everything.
    Open,
    /// One call, whose answer decides.
    Probe,
    /// Nothing before this time.
    Closed(Timestamp),
}

impl Cooling {
    /// Closes until `until`, or longer if it was closed for longer.
    pub fn close(&mut self, now: Timestamp, until: Timestamp) {
        let until = until.min(now + LONGEST_ASKED);
        match &mut self.0 {
            Some(closed) => {
                if closed.until <= now {
                    closed.refusals = closed.refusals.saturating_add(1);
                }
                closed.since = now;
                closed.until = closed.until.max(until);
                closed.probe = None;
            }
            None => self.0 = Some(Box::new(Closed { since: now, until, refusals: 1, probe: None })),
        }
    }

    /// Closes for a pause that grows with each refusal in a row, up to `most`, where the network does not say how long. What is
    /// closed already stays closed as long as it was: calls that were under way together are refused together.
    pub fn close_for_a_guess(&mut self, now: Timestamp, most: Duration) {
        let pause = match &self.0 {
            Some(closed) if closed.until > now => closed.until.since(now),
            Some(closed) => FIRST_PAUSE.saturating_mul(1 << closed.refusals.min(10)).min(LONGEST_GUESS).min(most),
            None => FIRST_PAUSE.min(most),
        };
        self.close(now, now + pause);
    }

    /// A call that was made after `after` succeeded: it is over, if it was closed before. Returns whether that changed it.
    pub fn prove(&mut self, after: Timestamp) -> bool {
        self.0.take_if(|closed| closed.since < after).is_some()
    }

    /// What it lets through at `now`.
    pub fn gate(&self, now: Timestamp) -> Gate {
        match (&self.0, self.next_change(now)) {
            (None, _) => Gate::Open,
            (Some(_), Some(until)) => Gate::Closed(until),
            (Some(_), None) => Gate::Probe,
        }
    }

    /// When, after `now`, it lets more through than now, if time alone can change that.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let closed = self.0.as_ref()?;
        let until = closed.probe.map_or(closed.until, |probe| closed.until.max(probe.until));
        Some(until).filter(|until| *until > now)
    }

    /// The one call that is let through now belongs to `lease`. Until `until` nothing else passes, unless it is answered.
    pub fn begin_probe(&mut self, lease: LeaseId, until: Timestamp) {
        if let Some(closed) = &mut self.0 {
            closed.probe = Some(Probe { lease, until });
        }
    }

    /// The probe of `lease`, if it is the one, will tell nothing more. Returns whether that makes way for another.
    pub fn end_probe(&mut self, lease: LeaseId) -> bool {
        let Some(closed) = &mut self.0 else { return false };
        closed.probe.take_if(|probe| probe.lease == lease).is_some()
    }

    /// Whether the call that is under way belongs to `lease`.
    pub fn is_probed_by(&self, lease: LeaseId) -> bool {
        self.0.as_ref().and_then(|closed| closed.probe).is_some_and(|probe| probe.lease == lease)
    }

    /// Its end, if it was closed and is not proven to be over.
    pub fn until(&self) -> Option<Timestamp> {
        self.0.as_ref().map(|closed| closed.until)
    }

    /// Whether everything may pass.
    pub fn is_open(&self) -> bool {
        self.0.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LIMIT: Duration = Duration::MAX;

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    const fn lease(number: u128) -> LeaseId {
        LeaseId::from_u128(number)
    }

    fn closed(since: i64, until: i64) -> Cooling {
        let mut cooling = Cooling::default();
        cooling.close(at(since), at(until));
        cooling
    }

    #[test]
    fn only_extends() {
        let mut cooling = closed(0, 100);
        cooling.close(at(10), at(50));
        assert_eq!(cooling.gate(at(99)), Gate::Closed(at(100)));
    }

    #[test]
    fn half_open_lets_exactly_one_probe_through() {
        let mut cooling = closed(0, 100);
        assert_eq!(cooling.gate(at(100)), Gate::Probe);
        cooling.begin_probe(lease(1), at(160));
        assert_eq!(cooling.gate(at(100)), Gate::Closed(at(160)));
        assert!(!cooling.end_probe(lease(2)), "another lease ends no probe");
        assert!(cooling.end_probe(lease(1)));
        assert_eq!(cooling.gate(at(101)), Gate::Probe, "it told nothing");
        cooling.begin_probe(lease(3), at(160));
        assert_eq!(cooling.gate(at(160)), Gate::Probe, "its lease was lost");
    }

    #[test]
    fn ends_on_the_proof_of_a_call_that_was_made_later() {
        let mut cooling = closed(10, 100);
        assert!(!cooling.prove(at(10)), "the call may be older than the refusal");
        assert_eq!(cooling.gate(at(50)), Gate::Closed(at(100)));
        assert!(cooling.prove(at(11)));
        assert_eq!(cooling.gate(at(50)), Gate::Open);
    }

    #[test]
    fn a_refused_probe_closes_it_for_longer() {
        let mut cooling = Cooling::default();
        cooling.close_for_a_guess(at(0), NO_LIMIT);
        cooling.close_for_a_guess(at(1), NO_LIMIT);
        assert_eq!(cooling.gate(at(2)), Gate::Closed(at(60)), "calls that were under way together count once");
        cooling.begin_probe(lease(1), at(120));
        cooling.close_for_a_guess(at(60), NO_LIMIT);
        assert_eq!(cooling.gate(at(61)), Gate::Closed(at(180)));
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        let mut cooling = Cooling::default();
        let (mut now, mut last) = (at(0), Duration::ZERO);
        for _ in 0..40 {
            cooling.close_for_a_guess(now, NO_LIMIT);
            let until = cooling.until().unwrap();
            let pause = until.since(now);
            assert!(pause >= last && pause <= LONGEST_GUESS, "{pause:?}");
            (now, last) = (until, pause);
        }
        assert_eq!(last, LONGEST_GUESS);
        assert_eq!(closed(0, i64::MAX).gate(at(1)), Gate::Closed(at(0) + LONGEST_ASKED), "a broken header");
    }
}
