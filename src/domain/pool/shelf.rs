//! The index behind the choice: for each operation the tokens of a team, shelved by how much credit they have left.
//!
//! A score is rounded to a level (a quarter of a power of two), so that moving a token costs the same in a pool of ten and of a
//! hundred thousand. A shelf may hold a token higher than it now belongs, since scores fall with every grant on a shared bucket;
//! the choice looks again before it takes one. It never holds one lower: whatever raises a score shelves the token anew.

use crate::base::clock::Timestamp;
use crate::base::ids::IdMap;
use crate::domain::credit::{Cooling, Gate};
use crate::domain::networks::{Purposes, Window};
use crate::domain::pool::{Choice, Pool, Slot};

const NOWHERE: u32 = u32::MAX;
/// So many tokens of one level are used in turn, until others take their places. Tokens of one level are worth the same, and a small
/// set of them stays in the processor's cache, however large the pool.
const IN_TURN: usize = 32;

/// The tokens that may call one operation.
#[derive(Debug)]
pub struct OperationIndex {
    /// How many tokens of one level are used in turn.
    in_turn: usize,
    shelves: Vec<Shelf>,
    by_team: IdMap<u32, Vec<u32>>,
    places: Vec<Place>,
}

/// Tokens of one team that can do the same.
#[derive(Debug)]
pub struct Shelf {
    team: u32,
    pub ability: Ability,
    /// Highest first; no level is empty. Level 0 holds the tokens that can't be used now.
    levels: Vec<(u8, Vec<u32>)>,
    turn: usize,
}

/// What sets tokens of a team apart when one is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ability {
    pub kind: u8,
    pub app: u32,
    pub purposes: Purposes,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    shelf: u32,
    level: u8,
    at: u32,
}

impl OperationIndex {
    fn new(choice: Choice) -> Self {
        let in_turn = if choice == Choice::RoundRobin { usize::MAX } else { IN_TURN };
        Self { in_turn, shelves: Vec::new(), by_team: IdMap::default(), places: Vec::new() }
    }

    /// How often each token of a shelf was chosen, in thousandths: equal tokens on several shelves take turns by it.
    pub fn turns(&self, shelf: u32) -> usize {
        let shelf = &self.shelves[shelf as usize];
        let tokens: usize = shelf.levels.iter().map(|(_, tokens)| tokens.len()).sum();
        shelf.turn.saturating_mul(1000) / tokens.max(1)
    }

    /// The shelves of a team.
    pub fn shelves(&self, team: u32) -> &[u32] {
        self.by_team.get(&team).map_or(&[], Vec::as_slice)
    }

    /// What the tokens of a shelf can do.
    pub fn ability(&self, shelf: u32) -> Ability {
        self.shelves[shelf as usize].ability
    }

    /// Up to `most` tokens of a shelf that can't be used now.
    pub fn idle(&self, shelf: u32, most: usize) -> &[u32] {
        let lowest = self.shelves[shelf as usize].levels.last().filter(|(level, _)| *level == 0);
        lowest.map_or(&[], |(_, tokens)| &tokens[..tokens.len().min(most)])
    }

    /// The `nth` candidate of a shelf, best first; within one level in turn.
    pub fn candidate(&self, shelf: u32, nth: usize) -> Option<(u8, u32)> {
        let in_turn = self.in_turn;
        let shelf = &self.shelves[shelf as usize];
        let mut skip = nth;
        for (level, tokens) in shelf.levels.iter().filter(|(level, _)| *level > 0) {
            if skip < tokens.len() {
                let first = shelf.turn % tokens.len().min(in_turn);
                return Some((*level, tokens[(first + skip) % tokens.len()]));
            }
            skip -= tokens.len();
        }
        None
    }

    /// The next choice of the shelf begins at the next token of a level.
    pub fn take_turn(&mut self, shelf: u32) {
        let shelf = &mut self.shelves[shelf as usize];
        shelf.turn = shelf.turn.wrapping_add(1);
    }

    fn shelf_for(&mut self, team: u32, ability: Ability) -> u32 {
        let of_team = self.by_team.entry(team).or_default();
        let found = of_team.iter().find(|at| self.shelves[**at as usize].ability == ability);
        if let Some(at) = found {
            return *at;
        }
        let at = u32::try_from(self.shelves.len()).expect("fewer than 2^32 shelves fit into memory");
        self.shelves.push(Shelf { team, ability, levels: Vec::new(), turn: 0 });
        of_team.push(at);
        at
    }

    fn put(&mut self, slot: u32, team: u32, ability: Ability, level: u8) {
        let index = slot as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, Place { shelf: NOWHERE, level: 0, at: 0 });
        }
        let place = self.places[index];
        let known = place.shelf != NOWHERE
            && self.shelves[place.shelf as usize].team == team
            && self.shelves[place.shelf as usize].ability == ability;
        if known && place.level == level {
            return;
        }
        self.remove(slot);
        let shelf = if known { place.shelf } else { self.shelf_for(team, ability) };
        let at = self.shelves[shelf as usize].push(level, slot);
        self.places[index] = Place { shelf, level, at };
    }

    fn remove(&mut self, slot: u32) {
        let Some(place) = self.places.get(slot as usize).copied().filter(|place| place.shelf != NOWHERE) else {
            return;
        };
        if let Some(moved) = self.shelves[place.shelf as usize].remove(place.level, place.at) {
            self.places[moved as usize].at = place.at;
        }
        self.places[slot as usize].shelf = NOWHERE;
    }
}

impl Shelf {
    fn push(&mut self, level: u8, slot: u32) -> u32 {
        let at = match self.levels.binary_search_by(|(other, _)| level.cmp(other)) {
            Ok(at) => at,
            Err(at) => {
                self.levels.insert(at, (level, Vec::new()));
                at
            }
        };
        let tokens = &mut self.levels[at].1;
        tokens.push(slot);
        u32::try_from(tokens.len() - 1).expect("fewer than 2^32 tokens fit into memory")
    }

    /// Removes what is at a place; returns the token that took the place, if one did.
    fn remove(&mut self, level: u8, at: u32) -> Option<u32> {
        let found = self.levels.binary_search_by(|(other, _)| level.cmp(other)).ok()?;
        let tokens = &mut self.levels[found].1;
        tokens.swap_remove(at as usize);
        let moved = tokens.get(at as usize).copied();
        if tokens.is_empty() {
            self.levels.remove(found);
        }
        moved
    }
}

/// The level of a score: 0 for none, then a quarter of a power of two each.
pub fn level(score: u64) -> u8 {
    if score == 0 {
        return 0;
    }
    let log = score.ilog2();
    let quarter = if log >= 2 { (score >> (log - 2)) & 3 } else { 0 };
    u8::try_from(1 + u64::from(log) * 4 + quarter.min(3)).unwrap_or(u8::MAX).min(254)
}

impl Pool {
    /// Makes the index of an operation when it is first asked for.
    pub(super) fn ensure_index(&mut self, operation: usize, now: Timestamp) {
        if self.indexes[operation].is_some() {
            return;
        }
        self.indexes[operation] = Some(Box::new(OperationIndex::new(self.settings.choice)));
        for slot in 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX) {
            self.rescore(operation, slot, now);
        }
    }

    pub(super) fn index_slot(&mut self, slot: u32, now: Timestamp) {
        self.rescore_slot(slot, now);
    }

    pub(super) fn unindex_slot(&mut self, slot: u32) {
        for index in self.indexes.iter_mut().flatten() {
            index.remove(slot);
        }
    }

    /// Shelves a token anew for every operation that was asked for so far.
    pub(super) fn rescore_slot(&mut self, slot: u32, now: Timestamp) {
        for operation in 0..self.indexes.len() {
            if self.indexes[operation].is_some() {
                self.rescore(operation, slot, now);
            }
        }
    }

    /// Shelves a token anew for one operation. Returns its level.
    pub(super) fn rescore(&mut self, operation: usize, slot: u32, now: Timestamp) -> u8 {
        let held = &self.slots[slot as usize];
        if self.draws[operation][held.kind as usize].is_none() {
            return 0;
        }
        let level = level(self.score(operation, held, slot, now));
        let ability = Ability { kind: held.kind, app: held.app, purposes: held.purposes };
        let team = held.team;
        if let Some(index) = &mut self.indexes[operation] {
            index.put(slot, team, ability, level);
        }
        level
    }

    /// How much a token is worth for an operation: 0 if it can't be used at all now.
    fn score(&self, operation: usize, held: &Slot, slot: u32, now: Timestamp) -> u64 {
        if !held.is_usable(now) || held.is_busy() || is_closed(&held.cooling, now) || self.rests(held) {
            return 0;
        }
        let Some(draws) = self.draws_for(operation, held) else { return 0 };
        let mut calls = u64::MAX;
        let mut window = None;
        for draw in draws.iter() {
            let rule = &self.rules[draw.rule as usize];
            if draw.distinct || !rule.limit.owner.is_own() {
                continue;
            }
            let (left, ends_at) = match self.find_bucket(slot, draw.rule) {
                Some(at) => {
                    let bucket = &self.buckets[at as usize].bucket;
                    if is_closed(&bucket.cooling, now) {
                        return 0;
                    }
                    if bucket.closes_at(self.settings.timing.guard).is_some_and(|close| close <= now) {
                        return 0;
                    }
                    (bucket.left(), bucket.window_ends_at())
                }
                None => (self.untouched(slot, draw.rule), None),
            };
            if left / draw.units.max(1) < calls {
                calls = left / draw.units.max(1);
                window = ends_at.zip(fixed_length(&rule.limit.window));
            }
        }
        if calls == u64::MAX {
            // Only shared limits: the token with the fewest leases goes first.
            return 1 + (1 << 20) / (1 + held.leases.len() as u64);
        }
        self.weigh(calls, window, now)
    }

    fn weigh(&self, calls: u64, window: Option<(Timestamp, std::time::Duration)>, now: Timestamp) -> u64 {
        if calls == 0 {
            return 0;
        }
        let left = |(end, _): (Timestamp, std::time::Duration)| end.since(now).as_secs();
        match self.settings.choice {
            Choice::RoundRobin => 1,
            Choice::SoonestReset => 1 + (1 << 40) / (1 + window.map_or(1 << 30, left)),
            Choice::MostCredit => {
                let elapsed = window.map_or(0, |(end, length)| {
                    let length = length.as_secs().max(1);
                    calls.saturating_mul(length.saturating_sub(left((end, std::time::Duration::ZERO)))) / length
                });
                calls.saturating_add(elapsed)
            }
        }
    }

    /// What a bucket holds that nobody has drawn from yet.
    fn untouched(&self, slot: u32, rule: u16) -> u64 {
        self.limit_for(slot, rule).cap()
    }
}

fn is_closed(cooling: &Cooling, now: Timestamp) -> bool {
    matches!(cooling.gate(now), Gate::Closed(_))
}

fn fixed_length(window: &Window) -> Option<std::time::Duration> {
    match window {
        Window::Fixed { length, .. } => Some(*length),
        Window::Daily { .. } => Some(std::time::Duration::from_secs(24 * 3600)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_with_scores() {
        let levels: Vec<u8> = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 100, 1_000, u64::MAX].into_iter().map(level).collect();
        assert!(levels.windows(2).all(|pair| pair[0] <= pair[1]), "{levels:?}");
        assert_eq!(levels[0], 0);
        assert!(levels[1] > 0);
    }

    #[test]
    fn candidates_come_best_first_and_in_turn() {
        let ability = Ability { kind: 0, app: 0, purposes: Purposes::default() };
        let mut index = OperationIndex::new(Choice::MostCredit);
        for (slot, level) in [(0, 3), (1, 9), (2, 9), (3, 0)] {
            index.put(slot, 7, ability, level);
        }
        let shelf = index.shelves(7)[0];
        let order = |index: &OperationIndex| -> Vec<u32> {
            (0..4).filter_map(|nth| index.candidate(shelf, nth)).map(|(_, slot)| slot).collect()
        };
        assert_eq!(order(&index), [1, 2, 0]);
        index.take_turn(shelf);
        assert_eq!(order(&index), [2, 1, 0]);
        index.put(1, 7, ability, 0);
        index.remove(0);
        assert_eq!(order(&index), [2]);
    }
}
