//! Acquiring: eligible tokens → choice → credit in all buckets or in none → a lease that waits for the store.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ids::TokenId;
use crate::domain::credit::BlockTake;
use crate::domain::pool::ask::{AcquireRequest, Acquired};
use crate::domain::pool::cooling::Passage;
use crate::domain::pool::refusal::{Attempt, Limited, NoToken, Refusal, Refusals};
use crate::domain::pool::{Choice, Held, HeldGrant, HeldKey, LeaseUse, Pool};

/// How many tokens of a shelf are tried before the request is told to come back.
const TRIES: usize = 24;

impl Pool {
    /// Opens a lease, if a token may serve. The lease can be used and reported at once, but must not be acknowledged before
    /// [`Pool::confirm`].
    pub fn acquire(&mut self, now: Timestamp, request: &AcquireRequest) -> Result<Acquired, Refusal> {
        self.advance(now);
        if let Some(token) = request.token {
            return self.acquire_token(now, token, request);
        }
        self.ensure_index(request.operation, now);
        let Some(team) = self.team_number(&request.team) else { return Err(Refusal::NoToken(NoToken::None)) };
        let mut refusals = Refusals::default();
        let acquired = match &request.profile {
            Some(profile) => self.acquire_for_profile(now, team, profile, request, &mut refusals),
            None => self.acquire_from_shelves(now, team, request, &mut refusals),
        };
        let acquired = acquired.or_else(|| self.acquire_canary(now, team, request, &mut refusals));
        acquired.ok_or_else(|| match refusals.worst() {
            Some(refusal) => refusal,
            None => self.explain(now, team, request),
        })
    }

    fn acquire_from_shelves(
        &mut self,
        now: Timestamp,
        team: u32,
        request: &AcquireRequest,
        refusals: &mut Refusals,
    ) -> Option<Acquired> {
        let mut fit = self.fitting_shelves(team, request);
        while let Some((shelf, _)) = fit.pop() {
            let mut nth = 0;
            for _ in 0..TRIES {
                let index = self.indexes[request.operation].as_ref()?;
                let Some((level, slot)) = index.candidate(shelf, nth) else { break };
                if self.rescore(request.operation, slot, now) != level {
                    continue;
                }
                match self.try_slot(now, slot, request, refusals) {
                    Attempt::Acquired(acquired) => {
                        if let Some(index) = &mut self.indexes[request.operation] {
                            index.take_turn(shelf);
                        }
                        self.rescore(request.operation, slot, now);
                        return Some(*acquired);
                    }
                    Attempt::NotThisToken => nth += 1,
                    Attempt::NotThisApp => break,
                }
            }
        }
        None
    }

    /// A call with a token that rests for an incident, made to look whether it works again, if it is time for one.
    fn acquire_canary(
        &mut self,
        now: Timestamp,
        team: u32,
        request: &AcquireRequest,
        refusals: &mut Refusals,
    ) -> Option<Acquired> {
        if !self.has_incidents() || request.profile.is_some() {
            return None;
        }
        for (shelf, _) in self.fitting_shelves(team, request) {
            let index = self.indexes[request.operation].as_ref()?;
            let (app, idle) = (index.ability(shelf).app, index.idle(shelf, usize::MAX));
            let Some(slot) = self.canary_among(app, request.operation, idle, now) else { continue };
            if let Attempt::Acquired(acquired) = self.try_slot(now, slot, request, refusals) {
                return Some(*acquired);
            }
        }
        None
    }

    /// The team's shelves whose tokens may serve, the best last.
    fn fitting_shelves(&self, team: u32, request: &AcquireRequest) -> Vec<(u32, u8)> {
        let Some(index) = &self.indexes[request.operation] else { return Vec::new() };
        let fits = |shelf: &&u32| {
            let ability = index.ability(**shelf);
            ability.purposes.contains(request.purpose) && self.is_kind(ability.kind, request)
        };
        let best = |shelf: &u32| (*shelf, index.candidate(*shelf, 0).map_or(0, |(level, _)| level));
        let mut fit: Vec<_> = index.shelves(team).iter().filter(fits).map(best).collect();
        let turns = |shelf| if self.settings.choice == Choice::RoundRobin { index.turns(shelf) } else { 0 };
        fit.sort_by_key(|(shelf, level)| (*level, Reverse(turns(*shelf)), Reverse(*shelf)));
        fit
    }

    pub(super) fn is_kind(&self, kind: u8, request: &AcquireRequest) -> bool {
        request.kind.as_ref().is_none_or(|wanted| self.network.kinds[kind as usize].id == *wanted)
    }

    fn acquire_for_profile(
        &mut self,
        now: Timestamp,
        team: u32,
        profile: &str,
        request: &AcquireRequest,
        refusals: &mut Refusals,
    ) -> Option<Acquired> {
        let speaks = self.names.find(profile).and_then(|profile| self.by_profile.get(&profile))?.clone();
        let mut scored: Vec<(u8, u32)> = speaks
            .into_iter()
            .filter(|slot| {
                let held = &self.slots[*slot as usize];
                held.team == team && held.purposes.contains(request.purpose) && self.is_kind(held.kind, request)
            })
            .map(|slot| (0, slot))
            .collect();
        for entry in &mut scored {
            entry.0 = self.rescore(request.operation, entry.1, now);
        }
        scored.sort_by_key(|(level, slot)| (Reverse(*level), *slot));
        for (_, slot) in scored.into_iter().take(TRIES) {
            if let Attempt::Acquired(acquired) = self.try_slot(now, slot, request, refusals) {
                self.rescore(request.operation, slot, now);
                return Some(*acquired);
            }
        }
        None
    }

    /// Opens a lease on one token, whatever the others are worth.
    fn acquire_token(&mut self, now: Timestamp, token: TokenId, request: &AcquireRequest) -> Result<Acquired, Refusal> {
        let slot = self.by_token.get(&token).copied().filter(|slot| self.slots[*slot as usize].is_probed(now));
        let Some(slot) = slot else { return Err(Refusal::NoToken(NoToken::None)) };
        let mut refusals = Refusals::default();
        match self.try_usable(now, slot, request, &mut refusals) {
            Attempt::Acquired(acquired) => {
                self.rescore_slot(slot, now);
                Ok(*acquired)
            }
            _ => Err(refusals.worst().unwrap_or(Refusal::NoToken(NoToken::None))),
        }
    }

    fn try_slot(&mut self, now: Timestamp, slot: u32, request: &AcquireRequest, refusals: &mut Refusals) -> Attempt {
        let held = &self.slots[slot as usize];
        if !held.is_usable(now) || self.draws_for(request.operation, held).is_none() {
            return Attempt::NotThisToken;
        }
        self.try_usable(now, slot, request, refusals)
    }

    fn try_usable(&mut self, now: Timestamp, slot: u32, request: &AcquireRequest, refusals: &mut Refusals) -> Attempt {
        let held = &self.slots[slot as usize];
        if held.is_busy() {
            refusals.busy = true;
            return Attempt::NotThisToken;
        }
        let Some(draws) = self.draws[request.operation][held.kind as usize].clone() else {
            return Attempt::NotThisToken;
        };
        let probe = match self.find_passage(slot, request.operation, &draws, now) {
            Passage::Free => false,
            Passage::Probe => true,
            Passage::Closed { until, class, owner, rest } => {
                refusals.limited(Limited { until, class, owner, rest });
                return Attempt::without(owner);
            }
        };
        match self.draw(now, slot, &draws, request, probe) {
            Ok(acquired) => Attempt::Acquired(Box::new(acquired)),
            Err((rule, shortage)) => refusals.short(&self.rules[rule as usize], shortage),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one lease, gathered by its only caller")]
    pub(super) fn open(
        &mut self,
        now: Timestamp,
        slot: u32,
        request: &AcquireRequest,
        calls: u64,
        use_by: Timestamp,
        grants: Vec<HeldGrant>,
        takes: Vec<BlockTake>,
        keys: Vec<HeldKey>,
    ) -> Acquired {
        let expires_at = now + request.ttl;
        let opened = self.new_keys(&keys);
        let held = Held {
            slot,
            version: self.slots[slot as usize].version,
            operation: u16::try_from(request.operation).expect("the catalogue holds few operations per network"),
            collector: request.collector,
            purpose: request.purpose,
            collection: request.collection.clone(),
            opened_at: now,
            calls_left: calls,
            calls_granted: calls,
            unwritten: LeaseUse::default(),
            use_by,
            expires_at,
            durable: false,
            recalled: false,
            restored: false,
            probes: false,
            last_report: None,
            reported_at: now,
            grants,
            keys,
        };
        self.leases.insert(request.lease, held);
        self.expiries.push(expires_at, request.lease);
        let token = &mut self.slots[slot as usize];
        token.leases.push(request.lease);
        let (id, kind, app) = (token.id, token.kind as usize, token.app);
        let profile = token.profiles.first().map(|profile| self.names.text(*profile).clone());
        let profile = request.profile.as_deref().map(Arc::from).or(profile);
        Acquired {
            lease: request.lease,
            token: id,
            kind,
            profile,
            app: self.names.text(app).clone(),
            calls,
            use_by,
            expires_at,
            takes,
            keys: opened,
        }
    }
}
