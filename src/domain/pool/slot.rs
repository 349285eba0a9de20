//! Tokens as the pool keeps them: small, since there may be many and most are idle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ids::{LeaseId, OperationId, TeamId, TokenId};
use crate::domain::credit::Cooling;
use crate::domain::networks::{Operation, Purpose, Purposes};
use crate::domain::pool::few::Few;
use crate::domain::pool::names::Names;
use crate::domain::pool::{Draw, Pool, Rest};
use crate::domain::token::{Token, TokenState};

/// A token in the pool.
#[derive(Debug)]
pub struct Slot {
    pub id: TokenId,
    pub team: u32,
    pub app: u32,
    pub person: u32,
    pub kind: u8,
    pub scope_set: u32,
    /// What the person agreed to and the granted scopes suffice for.
    pub purposes: Purposes,
    pub reserve_percent: u8,
    pub state: TokenState,
    /// Its secrets came after the incident of its app had begun, which does not concern it.
    pub outside: bool,
    /// The first of the clocks that end its use.
    pub usable_until: Timestamp,
    /// The first of the clocks that a renewal can't turn back.
    pub ends_at: Option<Timestamp>,
    pub cooling: Cooling,
    /// The network blocks the account, and no call was served since.
    pub blocked: bool,
    /// When a call with these secrets was served last, as far as this process knows.
    pub worked_at: Timestamp,
    pub max_leases: u32,
    pub leases: Few<LeaseId, 1>,
    pub profiles: Box<[u32]>,
    #[expect(clippy::box_collection, reason = "most tokens have no facts, and there may be many tokens")]
    pub facts: Option<Box<BTreeMap<String, u64>>>,
    /// The buckets that were needed so far, by rule.
    pub buckets: Few<(u16, u32), 2>,
    pub version: u32,
    pub sealed: Box<[u8]>,
}

/// Scopes that were granted together, with the operations they suffice for; those that a network refused all the same are left out.
#[derive(Debug)]
pub struct ScopeSet {
    scopes: Box<str>,
    closed: BTreeSet<usize>,
    operations: Box<[bool]>,
}

impl Slot {
    /// Whether state and clocks let it be leased.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        matches!(self.state, TokenState::Live | TokenState::Suspect { .. }) && self.usable_until > now
    }

    /// What a token that is closed rests for, where that is no limit.
    pub fn rest(&self) -> Option<Rest> {
        match self.state {
            TokenState::Suspect { .. } => Some(Rest::Doubt),
            _ if self.blocked => Some(Rest::Blocked),
            _ => None,
        }
    }

    /// Whether the broker may check it by a call of its own: also while a person has switched it off.
    pub fn is_probed(&self, now: Timestamp) -> bool {
        let alive = !matches!(self.state, TokenState::Invalid { .. } | TokenState::Revoked { .. });
        alive && self.usable_until > now
    }

    /// One probe decides about a token in doubt, also where nobody knows any more when the doubt began.
    fn doubt_is_probed(&mut self, now: Timestamp) {
        if matches!(self.state, TokenState::Suspect { .. }) && self.cooling.is_open() {
            self.cooling.close(now, now);
        }
    }

    /// Whether as many leases hold it as may.
    pub fn is_busy(&self) -> bool {
        self.leases.len() >= self.max_leases as usize
    }
}

impl Pool {
    /// Adds a token, or replaces what is known of it. `team_reserve`: the team's own reserve, if it has one. `sealed`: its access
    /// token, sealed. Returns the leases that can't go on, since the token may not be leased any more.
    pub fn put_token(
        &mut self,
        token: &Token,
        team_reserve: Option<u8>,
        sealed: Vec<u8>,
        now: Timestamp,
    ) -> Result<Vec<LeaseId>, UnknownKind> {
        let kind = self.network.kinds.iter().position(|kind| kind.id == token.kind).ok_or(UnknownKind)?;
        let mut slot = self.slot_of(token, kind, team_reserve, sealed);
        if let Some(until) = token.cooling_until {
            slot.cooling.close(now, until);
        }
        slot.doubt_is_probed(now);
        self.generation += 1;
        slot.outside = self.incidents.contains_key(&slot.app);
        match self.by_token.get(&token.id).copied() {
            Some(at) => self.replace(at, slot, now),
            None => self.insert(slot, now),
        }
        self.await_token(self.by_token[&token.id], now);
        Ok(self.recall_if_dead(token.id, now))
    }

    /// Changes a token's state, from what it is at this moment. Returns the leases that can't go on.
    pub fn change_state(
        &mut self,
        token: TokenId,
        change: impl FnOnce(TokenState) -> TokenState,
        now: Timestamp,
    ) -> Vec<LeaseId> {
        let Some(at) = self.by_token.get(&token).copied() else { return Vec::new() };
        let slot = &mut self.slots[at as usize];
        slot.state = change(slot.state);
        slot.doubt_is_probed(now);
        self.generation += 1;
        self.rescore_slot(at, now);
        self.recall_if_dead(token, now)
    }

    /// When a call of a token was served last; `None`: never, as far as is known of its present secrets.
    pub fn worked_at(&self, token: TokenId) -> Option<Timestamp> {
        let slot = &self.slots[*self.by_token.get(&token)? as usize];
        Some(slot.worked_at).filter(|at| *at > Timestamp::EPOCH)
    }

    /// The present secrets of a token came from the network a moment ago.
    pub fn note_worked(&mut self, token: TokenId, now: Timestamp) {
        if let Some(at) = self.by_token.get(&token) {
            self.slots[*at as usize].worked_at = now;
        }
    }

    /// The sealed access token, with the version that its sealing is bound to.
    pub fn sealed(&self, token: TokenId) -> Option<(&[u8], u32)> {
        let slot = &self.slots[*self.by_token.get(&token)? as usize];
        Some((&slot.sealed, slot.version))
    }

    /// Takes in the access token of a version as it is sealed anew.
    pub fn reseal(&mut self, token: TokenId, version: u32, sealed: Vec<u8>) {
        let Some(at) = self.by_token.get(&token) else { return };
        let slot = &mut self.slots[*at as usize];
        if slot.version == version {
            slot.sealed = sealed.into_boxed_slice();
        }
    }

    /// Takes a lease back: it is granted nothing more, and takes its last report only. Returns whether it was held and not taken back
    /// before.
    pub fn recall(&mut self, lease: LeaseId) -> bool {
        self.leases.get_mut(&lease).is_some_and(|held| !std::mem::replace(&mut held.recalled, true))
    }

    fn recall_if_dead(&mut self, token: TokenId, now: Timestamp) -> Vec<LeaseId> {
        let slot = &self.slots[self.by_token[&token] as usize];
        let stays = matches!(slot.state, TokenState::Live | TokenState::Suspect { .. }) && slot.usable_until > now;
        if stays {
            return Vec::new();
        }
        let recalled: Vec<LeaseId> = slot.leases.iter().collect();
        for lease in &recalled {
            if let Some(held) = self.leases.get_mut(lease) {
                held.recalled = true;
            }
        }
        recalled
    }

    fn slot_of(&mut self, token: &Token, kind: usize, team_reserve: Option<u8>, sealed: Vec<u8>) -> Slot {
        let clocks = [token.clocks.access_expires_at, token.clocks.data_access_expires_at];
        let next_team = u32::try_from(self.teams.len()).expect("fewer than 2^32 teams");
        Slot {
            id: token.id,
            team: *self.teams.entry(token.team.clone()).or_insert(next_team),
            app: self.names.number(token.app.as_str()),
            person: self.names.number(&token.person),
            scope_set: self.scope_set_of(token),
            kind: u8::try_from(kind).expect("the catalogue holds few kinds per network"),
            purposes: self.purposes_of(token, kind),
            reserve_percent: token.reserve_percent.or(team_reserve).unwrap_or(self.settings.reserve_percent),
            state: token.state,
            outside: false,
            usable_until: clocks.into_iter().flatten().min().unwrap_or(Timestamp::NEVER),
            ends_at: token.ends_at(),
            cooling: Cooling::default(),
            blocked: token.blocked_since.is_some(),
            worked_at: Timestamp::EPOCH,
            max_leases: token.max_leases.unwrap_or(self.settings.max_leases_per_token),
            leases: Few::default(),
            profiles: numbers(&mut self.names, &token.profiles),
            facts: (!token.facts.is_empty()).then(|| Box::new(token.facts.clone())),
            buckets: Few::default(),
            version: token.version,
            sealed: sealed.into_boxed_slice(),
        }
    }

    fn scope_set_of(&mut self, token: &Token) -> u32 {
        let mut sorted: Vec<&str> = token.scopes.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let place = |id: &OperationId| self.network.operations.iter().position(|operation| operation.id == *id);
        let closed = token.closed.keys().filter_map(place).collect();
        self.scope_set(sorted.join(" ").into(), closed)
    }

    fn scope_set(&mut self, scopes: Box<str>, closed: BTreeSet<usize>) -> u32 {
        let key = (scopes, closed);
        if let Some(set) = self.by_scopes.get(&key) {
            return *set;
        }
        let (scopes, closed) = key.clone();
        let has = |scope: &String| scopes.split(' ').any(|granted| granted == scope);
        let operations = self.network.operations.iter().enumerate();
        let suffice = |(at, operation): (usize, &Operation)| !closed.contains(&at) && operation.scopes.iter().all(has);
        let operations = operations.map(suffice).collect();
        let set = u32::try_from(self.scope_sets.len()).expect("fewer than 2^32 sets of scopes fit into memory");
        self.scope_sets.push(ScopeSet { scopes, closed, operations });
        self.by_scopes.insert(key, set);
        set
    }

    /// Whether an operation is closed for a token, whatever its scopes.
    pub(super) fn is_closed_for(&self, slot: u32, operation: u16) -> bool {
        self.scope_sets[self.slots[slot as usize].scope_set as usize].closed.contains(&usize::from(operation))
    }

    /// Closes an operation for a token. Returns the leases that can't go on; `None` if it is closed already.
    pub(super) fn close_operation(&mut self, slot: u32, operation: u16, now: Timestamp) -> Option<Vec<LeaseId>> {
        let set = &self.scope_sets[self.slots[slot as usize].scope_set as usize];
        let (scopes, mut closed) = (set.scopes.clone(), set.closed.clone());
        if !closed.insert(operation.into()) {
            return None;
        }
        self.slots[slot as usize].scope_set = self.scope_set(scopes, closed);
        self.generation += 1;
        self.rescore_slot(slot, now);
        let held: Vec<LeaseId> = self.slots[slot as usize].leases.iter().collect();
        let same = |lease: &LeaseId| self.leases.get(lease).is_some_and(|held| held.operation == operation);
        let concerned: Vec<LeaseId> = held.into_iter().filter(same).collect();
        Some(concerned.into_iter().filter(|lease| self.recall(*lease)).collect())
    }

    /// What a call of `operation` draws with this token; `None` if its kind or its scopes don't allow the call.
    pub(super) fn draws_for(&self, operation: usize, slot: &Slot) -> Option<&Arc<[Draw]>> {
        let suffices = self.scope_sets[slot.scope_set as usize].operations[operation];
        self.draws[operation][slot.kind as usize].as_ref().filter(|_| suffices)
    }

    /// The purposes that the person agreed to and that the granted scopes suffice for.
    fn purposes_of(&self, token: &Token, kind: usize) -> Purposes {
        let suffices = |purpose: &Purpose| {
            let needed = self.network.kinds[kind].scopes.iter().find(|needed| needed.purpose == *purpose);
            needed.is_some_and(|needed| needed.scopes.iter().all(|scope| token.scopes.contains(scope)))
        };
        token.purposes.iter().filter(suffices).collect()
    }

    fn insert(&mut self, slot: Slot, now: Timestamp) {
        let at = u32::try_from(self.slots.len()).expect("fewer than 2^32 tokens fit into memory");
        self.by_token.insert(slot.id, at);
        self.link(at, &slot);
        self.slots.push(slot);
        if self.shares_an_account(at) {
            self.refresh_limits(at);
        }
        self.index_slot(at, now);
    }

    fn replace(&mut self, at: u32, mut slot: Slot, now: Timestamp) {
        self.unindex_slot(at);
        let before = &mut self.slots[at as usize];
        slot.leases = std::mem::take(&mut before.leases);
        // What was learnt of these secrets is not known to whoever puts the token anew.
        if before.version == slot.version {
            slot.state = before.state;
            slot.outside = before.outside;
            slot.worked_at = before.worked_at;
            slot.blocked = before.blocked;
            slot.cooling = std::mem::take(&mut before.cooling);
        } else if before.state == TokenState::Live {
            // It rests for a limit or a block, which its new secrets do not lift.
            slot.cooling = std::mem::take(&mut before.cooling);
        }
        let same_owners = (before.app, before.person, before.kind, &before.profiles)
            == (slot.app, slot.person, slot.kind, &slot.profiles);
        let buckets = std::mem::take(&mut before.buckets);
        let (app, person, profiles) = (before.app, before.person, std::mem::take(&mut before.profiles));
        unlink(self.by_person.get_mut(&person), at);
        if !self.is_known_to(app, person)
            && let Some(persons) = self.persons.get_mut(&app)
        {
            *persons = persons.saturating_sub(1);
        }
        for profile in profiles {
            unlink(self.by_profile.get_mut(&profile), at);
        }
        if same_owners {
            slot.buckets = buckets;
        } else {
            for (_, bucket) in buckets.iter() {
                self.buckets[bucket as usize].slots.retain(|linked| *linked != at);
            }
        }
        self.link(at, &slot);
        self.slots[at as usize] = slot;
        self.refresh_limits(at);
        self.index_slot(at, now);
    }

    /// Whether an app has a token of a person.
    fn is_known_to(&self, app: u32, person: u32) -> bool {
        let mut of_person = self.by_person.get(&person).into_iter().flatten();
        of_person.any(|at| self.slots[*at as usize].app == app)
    }

    fn link(&mut self, at: u32, slot: &Slot) {
        if !self.is_known_to(slot.app, slot.person) {
            *self.persons.entry(slot.app).or_default() += 1;
        }
        self.by_person.entry(slot.person).or_default().push(at);
        for profile in &slot.profiles {
            self.by_profile.entry(*profile).or_default().push(at);
        }
    }

    /// The number of a team that has, or had, a token here.
    pub(super) fn team_number(&self, team: &TeamId) -> Option<u32> {
        self.teams.get(team).copied()
    }
}

/// The token's kind is not in the catalogue's entry of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue has no such kind of token for this network; restore the catalogue entry or revoke the token")]
pub struct UnknownKind;

fn numbers(names: &mut Names, texts: &[String]) -> Box<[u32]> {
    texts.iter().map(|text| names.number(text)).collect()
}

fn unlink(linked: Option<&mut Vec<u32>>, at: u32) {
    if let Some(linked) = linked {
        linked.retain(|slot| *slot != at);
    }
}
