//! What the collectors of the demonstration tell of their work: counts per team, network and class, latencies, and events.
//!
//! Waiting is kept with its times, since how well credit was used is judged by it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::clock::Timestamp;

/// Events that are remembered.
const EVENTS_KEPT: usize = 1000;
/// Latencies and changes of waiting that are remembered per board and row; later ones are not counted.
const SAMPLES_KEPT: usize = 1 << 20;

/// Whose work, and of which credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// The team.
    pub team: &'static str,
    /// The network.
    pub network: &'static str,
    /// The credit class.
    pub class: &'static str,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// The network served it.
    Ok,
    /// The network refused it for a limit.
    Throttled,
    /// It failed for another reason.
    Failed,
}

/// The counts of one row.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Calls that the network served.
    pub ok: u64,
    /// Calls that the network refused for a limit.
    pub throttled: u64,
    /// Calls that failed for another reason.
    pub failed: u64,
    /// Leases that were opened.
    pub opened: u64,
    /// Requests for leases that were refused.
    pub refused: u64,
    /// Calls that are wanted now and may not be made yet.
    pub waiting: u64,
    /// How `waiting` changed over time.
    history: Vec<(Timestamp, u64)>,
}

impl Row {
    /// The calls that waited at `at`.
    pub fn waiting_at(&self, at: Timestamp) -> u64 {
        let after = self.history.partition_point(|(changed, _)| *changed <= at);
        after.checked_sub(1).map_or(0, |last| self.history[last].1)
    }

    /// The moments strictly between two others at which the calls that waited changed.
    pub fn changes_within(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
        let first = self.history.partition_point(|(changed, _)| *changed <= from);
        self.history[first..].iter().map(|(changed, _)| *changed).take_while(move |changed| *changed < until)
    }
}

/// Something that people are told.
#[derive(Debug, Clone)]
pub struct Event {
    /// When, since the beginning, by the machine's clock.
    pub at: Duration,
    /// What.
    pub text: String,
}

/// The board. All workers write to it.
#[derive(Default)]
pub struct Board(Mutex<State>);

#[derive(Default)]
struct State {
    rows: BTreeMap<RowKey, Row>,
    latencies: Vec<Duration>,
    events: VecDeque<Event>,
    told: u64,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Counts are whole between statements, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call.
    pub fn called(&self, key: RowKey, end: CallEnd) {
        let mut state = self.lock();
        let row = state.rows.entry(key).or_default();
        match end {
            CallEnd::Ok => row.ok += 1,
            CallEnd::Throttled => row.throttled += 1,
            CallEnd::Failed => row.failed += 1,
        }
    }

    /// Counts a lease; `took` where the broker did not let it wait for credit.
    pub fn opened(&self, key: RowKey, took: Option<Duration>) {
        let mut state = self.lock();
        state.rows.entry(key).or_default().opened += 1;
        if let Some(took) = took.filter(|_| state.latencies.len() < SAMPLES_KEPT) {
            state.latencies.push(took);
        }
    }

    /// Counts a refusal.
    pub fn refused(&self, key: RowKey) {
        self.lock().rows.entry(key).or_default().refused += 1;
    }

    /// `calls` more wait from `now` on.
    pub fn wait_began(&self, key: RowKey, calls: u64, now: Timestamp) {
        self.change_waiting(key, now, |waiting| waiting + calls);
    }

    /// `calls` wait no longer.
    pub fn wait_ended(&self, key: RowKey, calls: u64, now: Timestamp) {
        self.change_waiting(key, now, |waiting| waiting.saturating_sub(calls));
    }

    fn change_waiting(&self, key: RowKey, now: Timestamp, change: impl FnOnce(u64) -> u64) {
        let mut state = self.lock();
        let row = state.rows.entry(key).or_default();
        row.waiting = change(row.waiting);
        if row.history.len() < SAMPLES_KEPT {
            let at = row.history.last().map_or(now, |(last, _)| now.max(*last));
            row.history.push((at, row.waiting));
        }
    }

    /// Tells people something.
    pub fn tell(&self, at: Duration, text: impl Into<String>) {
        let mut state = self.lock();
        state.events.push_back(Event { at, text: text.into() });
        state.told += 1;
        if state.events.len() > EVENTS_KEPT {
            state.events.pop_front();
        }
    }

    /// The rows as they are now.
    pub fn rows(&self) -> BTreeMap<RowKey, Row> {
        self.lock().rows.clone()
    }

    /// The latencies of leases that did not wait, shortest first.
    pub fn latencies(&self) -> Vec<Duration> {
        let mut latencies = self.lock().latencies.clone();
        latencies.sort_unstable();
        latencies
    }

    /// The events after the first `seen`, and how many there were in all.
    pub fn events_after(&self, seen: u64) -> (Vec<Event>, u64) {
        let state = self.lock();
        let kept = u64::try_from(state.events.len()).unwrap_or(u64::MAX);
        let skip = usize::try_from(seen.saturating_sub(state.told - kept)).unwrap_or(usize::MAX);
        (state.events.iter().skip(skip).cloned().collect(), state.told)
    }
}

/// The value that `part` of the sorted values do not exceed; zero without values.
pub fn quantile(sorted: &[Duration], part: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    // A place in the list: never negative, never beyond its end.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the list's length")]
    let place = (last as f64 * part.clamp(0.0, 1.0)).ceil() as usize;
    sorted.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: RowKey = RowKey { team: "acme", network: "x", class: "search_recent" };

    #[test]
    fn waiting_is_known_for_every_moment() {
        let board = Board::default();
        board.wait_began(ROW, 5, Timestamp::from_secs(10));
        board.wait_began(ROW, 3, Timestamp::from_secs(20));
        board.wait_ended(ROW, 8, Timestamp::from_secs(30));
        let row = &board.rows()[&ROW];
        let cases = [(9, 0), (10, 5), (19, 5), (20, 8), (29, 8), (30, 0), (99, 0)];
        for (second, waiting) in cases {
            assert_eq!(row.waiting_at(Timestamp::from_secs(second)), waiting, "{second}");
        }
    }

    #[test]
    fn events_are_told_once_each() {
        let board = Board::default();
        for number in 0..EVENTS_KEPT + 2 {
            board.tell(Duration::ZERO, number.to_string());
        }
        let (events, seen) = board.events_after(0);
        assert_eq!((events.len(), events[0].text.as_str()), (EVENTS_KEPT, "2"));
        board.tell(Duration::ZERO, "last");
        let (events, seen) = board.events_after(seen);
        assert_eq!((events.len(), events[0].text.as_str()), (1, "last"));
        assert!(board.events_after(seen).0.is_empty());
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let sorted: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&sorted, 0.5), Duration::from_millis(51));
        assert_eq!(quantile(&sorted, 0.99), Duration::from_millis(100));
        assert_eq!(quantile(&sorted, 1.0), Duration::from_millis(100));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}
