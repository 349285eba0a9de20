//! Acquiring: eligible tokens → choice → credit in all buckets or in none → a lease that waits for the store.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{BlockId, CollectorId, KindId, LeaseId, TeamId, TokenId};
use crate::domain::credit::{BlockTake, Bucket, OpenedKey, Shortage, Wishes};
use crate::domain::networks::{Owner, Purpose, Window};
use crate::domain::pool::cooling::Passage;
use crate::domain::pool::{Choice, Draw, Held, HeldGrant, HeldKey, LeaseUse, Pool};
use crate::domain::token::{Reason, TokenState};

/// How many tokens of a shelf are tried before the request is told to come back.
const TRIES: usize = 24;
/// How many tokens of a shelf are looked at to say why none could serve.
const EXPLAINED: usize = 64;
/// As many leases can hold a part of a paced limit at once, if they ask for no more.
const PACED_SHARES: u64 = 3;

/// What a collector asks for.
#[derive(Debug, Clone)]
pub struct AcquireRequest {
    /// The id that the lease will have.
    pub lease: LeaseId,
    /// The team.
    pub team: TeamId,
    /// Who asks; `None`: an operator by hand.
    pub collector: Option<CollectorId>,
    /// The operation, by its place in the catalogue.
    pub operation: usize,
    /// Calls wanted; at least 1.
    pub calls: u64,
    /// Fewer calls are welcome down to this many; at least 1, at most `calls`.
    pub min_calls: u64,
    /// What for.
    pub purpose: Purpose,
    /// Only tokens that speak for this profile.
    pub profile: Option<String>,
    /// Only tokens of this kind.
    pub kind: Option<KindId>,
    /// The different keys that will be asked for (hashtags), where the operation counts them.
    pub keys: Vec<String>,
    /// The collection that the demand is charged to.
    pub collection: Arc<str>,
    /// How long the lease lasts.
    pub ttl: Duration,
}

/// A lease that was decided; it may be acknowledged once the store has it.
#[derive(Debug)]
pub struct Acquired {
    /// The lease.
    pub lease: LeaseId,
    /// The token.
    pub token: TokenId,
    /// The token's kind, by its place in the catalogue.
    pub kind: usize,
    /// The profile that the token speaks for, where it speaks for one.
    pub profile: Option<Arc<str>>,
    /// The token's app.
    pub app: Arc<str>,
    /// Calls granted.
    pub calls: u64,
    /// Until when they may be made.
    pub use_by: Timestamp,
    /// When the lease ends.
    pub expires_at: Timestamp,
    /// Blocks that the store must take first.
    pub takes: Vec<BlockTake>,
    /// Keys that were opened.
    pub keys: Vec<OpenedKey>,
}

/// More credit for a lease that is held; it may be acknowledged once the store took the blocks, at once if there are none.
#[derive(Debug)]
pub struct TopUp {
    /// Calls granted.
    pub calls: u64,
    /// Until when the lease's credit may be used.
    pub use_by: Timestamp,
    /// Blocks that the store must take first.
    pub takes: Vec<BlockTake>,
    /// Keys that were opened.
    pub keys: Vec<OpenedKey>,
    /// The keys that the calls rely on.
    held_keys: Vec<HeldKey>,
    /// What the calls draw: bucket, block and units.
    drawn: Vec<(u32, BlockId, u64)>,
}

/// Why a top-up is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopUpFate {
    /// The store did not take its blocks and keys.
    Lost,
    /// The store refused its blocks: other processes' blocks left no room.
    Refused,
    /// The store took them, but not those of an earlier decision that it relies on too.
    Taken,
}

/// What must fit into every bucket.
struct Wanted<'a> {
    calls: u64,
    at_least: u64,
    keys: &'a [String],
    /// One call decides whether the token works again.
    probe: bool,
}

/// Why nothing was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not yet: credit comes back, or may, at this time.
    Limited {
        /// When to try again.
        until: Timestamp,
        /// The class that is short.
        class: usize,
        /// Whose limit it is.
        owner: Owner,
    },
    /// Not yet: every token that may serve is held by as many leases as it may be.
    Busy,
    /// Never: no bucket of this class ever holds as much.
    TooMany {
        /// The most calls that can ever be granted at once.
        most: u64,
    },
    /// Never, until a person acts: no token may serve.
    NoToken(NoToken),
}

/// Why no token may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoToken {
    /// The team has no token for this network, or none of the kind or profile that was asked for.
    None,
    /// There are tokens, but none whose person agreed to the purpose, with scopes that suffice.
    Purpose,
    /// There would be tokens, but all are paused.
    Paused,
    /// There would be tokens, but all are dead; the reason of one of them.
    Dead(Reason),
}

impl Pool {
    /// Opens a lease, if a token may serve. The lease can be used and reported at once, but must not be acknowledged before
    /// [`Pool::confirm`].
    pub fn acquire(&mut self, now: Timestamp, request: &AcquireRequest) -> Result<Acquired, Refusal> {
        self.advance(now);
        self.ensure_index(request.operation, now);
        let Some(team) = self.team_number(&request.team) else { return Err(Refusal::NoToken(NoToken::None)) };
        let mut refusals = Refusals::default();
        let acquired = match &request.profile {
            Some(profile) => self.acquire_for_profile(now, team, profile, request, &mut refusals),
            None => self.acquire_from_shelves(now, team, request, &mut refusals),
        };
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

    fn is_kind(&self, kind: u8, request: &AcquireRequest) -> bool {
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

    fn try_slot(&mut self, now: Timestamp, slot: u32, request: &AcquireRequest, refusals: &mut Refusals) -> Attempt {
        let held = &self.slots[slot as usize];
        if !held.is_usable(now) {
            return Attempt::NotThisToken;
        }
        if held.is_busy() {
            refusals.busy = true;
            return Attempt::NotThisToken;
        }
        let Some(draws) = self.draws[request.operation][held.kind as usize].clone() else {
            return Attempt::NotThisToken;
        };
        let probe = match self.find_passage(slot, &draws, now) {
            Passage::Free => false,
            Passage::Probe => true,
            Passage::Closed { until, class, owner } => {
                refusals.limited(until, class, owner);
                return Attempt::without(owner);
            }
        };
        match self.draw(now, slot, &draws, request, probe) {
            Ok(acquired) => Attempt::Acquired(Box::new(acquired)),
            Err((rule, shortage)) => refusals.short(&self.rules[rule as usize], shortage),
        }
    }

    /// Draws from every bucket, or from none.
    fn draw(
        &mut self,
        now: Timestamp,
        slot: u32,
        draws: &Arc<[Draw]>,
        request: &AcquireRequest,
        probe: bool,
    ) -> Result<Acquired, (u16, Shortage)> {
        let longest = now + request.ttl.min(self.settings.timing.longest_use);
        let wanted = Wanted { calls: request.calls, at_least: request.min_calls, keys: &request.keys, probe };
        let (calls, use_by) = self.fit(now, slot, draws, &wanted, longest)?;
        let mut wishes = Wishes::default();
        let mut keys = Vec::new();
        let mut grants = Vec::with_capacity(draws.len());
        for draw in draws.iter() {
            let bucket = self.bucket_of(slot, draw.rule);
            if draw.distinct {
                self.open_keys(bucket, now, use_by, &request.keys, &mut keys);
                continue;
            }
            let units = calls * draw.units;
            let granted =
                self.buckets[bucket as usize].bucket.grant(now, units, use_by, self.settings.timing, &mut wishes);
            let grant = granted.expect("every bucket was checked under the same lock");
            grants.push(HeldGrant { bucket, block: grant.block, per_call: draw.units, units, use_by });
            self.schedule(bucket, now);
        }
        self.updates.append(&mut wishes.updates);
        let acquired = self.open(now, slot, request, calls, use_by, grants, wishes.takes, keys);
        if probe {
            self.begin_probe(request.lease, slot, draws, use_by, now);
        }
        Ok(acquired)
    }

    /// How many calls fit into every bucket, and until when they can be used. Changes no credit.
    fn fit(
        &mut self,
        now: Timestamp,
        slot: u32,
        draws: &Arc<[Draw]>,
        wanted: &Wanted<'_>,
        longest: Timestamp,
    ) -> Result<(u64, Timestamp), (u16, Shortage)> {
        let timing = self.settings.timing;
        let mut calls = if wanted.probe { 1 } else { wanted.calls };
        for draw in draws.iter() {
            let bucket = self.bucket_of(slot, draw.rule);
            let bucket = &mut self.buckets[bucket as usize].bucket;
            bucket.advance(now, timing, &mut self.updates);
            if draw.distinct {
                continue;
            }
            let most = most_at_once(bucket, wanted.at_least * draw.units);
            let fitting = bucket.left().min(most) / draw.units.max(1);
            if fitting < calls && fitting >= wanted.at_least {
                calls = fitting;
            }
        }
        let mut use_by = longest;
        for draw in draws.iter() {
            let bucket = self.bucket_of(slot, draw.rule);
            let bucket = &mut self.buckets[bucket as usize].bucket;
            let units = if draw.distinct { bucket.keys().missing(wanted.keys) } else { calls * draw.units };
            match bucket.check(now, units, use_by, timing) {
                Ok(end) => use_by = end,
                Err(shortage) => {
                    self.await_change(slot, draws, now);
                    return Err((draw.rule, per_call(shortage, draw.units)));
                }
            }
        }
        Ok((calls, use_by))
    }

    /// Nothing was granted, but time has passed for the buckets: a window that was found here must be left when it ends.
    fn await_change(&mut self, slot: u32, draws: &[Draw], now: Timestamp) {
        for draw in draws {
            let bucket = self.bucket_of(slot, draw.rule);
            self.schedule(bucket, now);
        }
    }

    fn open_keys(&mut self, bucket: u32, now: Timestamp, use_by: Timestamp, keys: &[String], held: &mut Vec<HeldKey>) {
        let charges = self.buckets[bucket as usize].bucket.open_keys(keys, now, use_by);
        held.extend(charges.into_iter().map(|charge| HeldKey { bucket, charge }));
        self.schedule(bucket, now);
    }

    /// The keys that the store does not know as charged so long.
    fn new_keys(&self, keys: &[HeldKey]) -> Vec<OpenedKey> {
        let opened = |held: &HeldKey| OpenedKey {
            bucket: self.buckets[held.bucket as usize].bucket.key().clone(),
            key: held.charge.key.clone(),
            charged_until: held.charge.until,
        };
        keys.iter().filter(|held| held.charge.is_new).map(opened).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one lease, gathered by its only caller")]
    fn open(
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

    /// The store has the lease and the blocks it took: it may be acknowledged. `false`: it must not be, since it was recalled or ended
    /// meanwhile, or a block that it draws from was not taken by the earlier decision that was to take it.
    pub fn confirm(&mut self, lease: LeaseId, takes: &[BlockTake]) -> bool {
        self.confirm_blocks(takes);
        let Some(held) = self.leases.get(&lease) else { return false };
        confirm_keys(&mut self.buckets, &held.keys);
        let durable = self.draws_from_durable(held);
        match self.leases.get_mut(&lease) {
            Some(held) if !held.recalled && durable => {
                held.durable = true;
                true
            }
            _ => false,
        }
    }

    /// The store has the blocks of a top-up. `false`: the calls must not be acknowledged, as with [`Pool::confirm`].
    pub fn confirm_top_up(&mut self, lease: LeaseId, top_up: &TopUp) -> bool {
        self.confirm_blocks(&top_up.takes);
        confirm_keys(&mut self.buckets, &top_up.held_keys);
        self.leases.contains_key(&lease) && self.is_top_up_durable(top_up)
    }

    /// Whether the store has everything that a top-up draws from: then it may be acknowledged at once.
    pub fn is_top_up_durable(&self, top_up: &TopUp) -> bool {
        let durable =
            |(bucket, block, _): &(u32, BlockId, u64)| self.buckets[*bucket as usize].bucket.is_durable(*block);
        top_up.drawn.iter().all(durable) && self.are_stored(&top_up.held_keys)
    }

    fn confirm_blocks(&mut self, takes: &[BlockTake]) {
        for take in takes {
            if let Some(at) = self.by_bucket.get(&take.bucket) {
                self.buckets[*at as usize].bucket.confirm(take.block);
            }
        }
    }

    /// Whether the store has every block that a lease holds credit of, and every key.
    fn draws_from_durable(&self, held: &Held) -> bool {
        let durable = |grant: &HeldGrant| self.buckets[grant.bucket as usize].bucket.is_durable(grant.block);
        held.grants.iter().all(durable) && self.are_stored(&held.keys)
    }

    fn are_stored(&self, keys: &[HeldKey]) -> bool {
        keys.iter().all(|held| self.buckets[held.bucket as usize].bucket.is_stored(&held.charge))
    }

    /// The store did not take the lease: its credit goes back. `refused`: blocks that other processes' blocks left no room for.
    pub fn cancel(&mut self, lease: LeaseId, takes: &[BlockTake], refused: bool, now: Timestamp) {
        let keys = self.leases.get_mut(&lease).map(|held| std::mem::take(&mut held.keys)).unwrap_or_default();
        self.close(lease, 0, now);
        self.undo(takes, &keys, refused, now);
    }

    fn undo(&mut self, takes: &[BlockTake], keys: &[HeldKey], refused: bool, now: Timestamp) {
        for held in keys.iter().filter(|held| held.charge.is_new) {
            self.buckets[held.bucket as usize].bucket.keys().revert(&held.charge.key);
        }
        for take in takes {
            let Some(at) = self.by_bucket.get(&take.bucket).copied() else { continue };
            let bucket = &mut self.buckets[at as usize].bucket;
            if refused {
                bucket.refuse_until(take.block, now + Duration::from_secs(1));
            } else {
                bucket.forget(take.block);
            }
        }
    }

    /// Grants a lease more calls on its token: all of `calls`, or none until the time in the error. `keys` are the different keys
    /// that these calls will ask for.
    ///
    /// Credit that the lease still holds from an earlier block keeps its own end, and all that the lease holds must be used by the
    /// earliest end: calls are not told apart.
    pub fn top_up(&mut self, now: Timestamp, lease: LeaseId, calls: u64, keys: &[String]) -> Result<TopUp, Timestamp> {
        let soon = now + Duration::from_secs(1);
        let Some(held) = self.leases.get(&lease).filter(|held| !held.recalled) else { return Err(soon) };
        if held.calls_left > 0 && held.use_by <= now {
            return Err(soon);
        }
        if let Some(until) = self.held_back(lease, held, now) {
            return Err(until);
        }
        let (slot, operation, expires_at, restored) =
            (held.slot, held.operation as usize, held.expires_at, held.restored);
        // The calls that the lease holds already may be made longer now: their keys are needed as long.
        let keys: Vec<String> = held.keys.iter().map(|held| &held.charge.key).chain(keys).cloned().collect();
        let token = &self.slots[slot as usize];
        if !token.is_usable(now) {
            return Err(soon);
        }
        let Some(draws) = self.draws[operation][token.kind as usize].clone() else { return Err(soon) };
        if restored && draws.iter().any(|draw| draw.distinct) {
            // Which keys it was opened for is not known any more.
            return Err(soon);
        }
        let probe = match self.find_passage(slot, &draws, now) {
            Passage::Closed { until, .. } => return Err(until),
            passage => passage == Passage::Probe,
        };
        let calls = if probe { 1 } else { calls };
        let longest = (now + self.settings.timing.longest_use).min(expires_at);
        let wanted = Wanted { calls, at_least: calls, keys: &keys, probe };
        let fitted = self.fit(now, slot, &draws, &wanted, longest);
        let (fitting, use_by) = fitted.map_err(|(_, shortage)| match shortage {
            Shortage::Until(until) => until,
            Shortage::Never { .. } => soon,
        })?;
        if fitting < calls {
            return Err(soon);
        }
        let (wishes, held_keys, drawn) = self.draw_more(now, slot, lease, &draws, &wanted, use_by);
        let keys = self.new_keys(&held_keys);
        let use_by = self.hold_more(lease, calls, use_by, &held_keys);
        if probe {
            self.begin_probe(lease, slot, &draws, use_by, now);
        }
        Ok(TopUp { calls, use_by, takes: wishes.takes, keys, held_keys, drawn })
    }

    fn draw_more(
        &mut self,
        now: Timestamp,
        slot: u32,
        lease: LeaseId,
        draws: &Arc<[Draw]>,
        wanted: &Wanted<'_>,
        use_by: Timestamp,
    ) -> (Wishes, Vec<HeldKey>, Vec<(u32, BlockId, u64)>) {
        let mut drawn = Vec::with_capacity(draws.len());
        let mut wishes = Wishes::default();
        let mut keys = Vec::new();
        for draw in draws.iter() {
            let bucket = self.bucket_of(slot, draw.rule);
            if draw.distinct {
                self.open_keys(bucket, now, use_by, wanted.keys, &mut keys);
                continue;
            }
            let units = wanted.calls * draw.units;
            let granted =
                self.buckets[bucket as usize].bucket.grant(now, units, use_by, self.settings.timing, &mut wishes);
            let Ok(grant) = granted else { break };
            drawn.push((bucket, grant.block, units));
            self.hold(lease, HeldGrant { bucket, block: grant.block, per_call: draw.units, units, use_by });
            if !wishes.takes.is_empty() {
                self.schedule(bucket, now);
            }
        }
        self.updates.append(&mut wishes.updates);
        (wishes, keys, drawn)
    }

    /// Counts granted calls, and returns until when all that the lease holds may be used.
    fn hold_more(&mut self, lease: LeaseId, calls: u64, use_by: Timestamp, keys: &[HeldKey]) -> Timestamp {
        let Some(held) = self.leases.get_mut(&lease) else { return use_by };
        held.keys.retain(|old| !keys.iter().any(|new| new.charge.key == old.charge.key));
        held.keys.extend_from_slice(keys);
        let earliest = held.earliest_use_by().unwrap_or(use_by);
        let keeps_its_end = held.restored && held.calls_left > 0;
        held.use_by = if keeps_its_end { held.use_by.min(earliest) } else { earliest };
        held.calls_left += calls;
        held.calls_granted += calls;
        held.use_by
    }

    /// The store did not take what a top-up needs, or an earlier decision that it relies on: the lease loses these calls again.
    pub fn cancel_top_up(&mut self, lease: LeaseId, top_up: &TopUp, fate: TopUpFate, now: Timestamp) {
        self.end_probe(lease, now);
        if let Some(held) = self.leases.get_mut(&lease) {
            held.calls_left = held.calls_left.saturating_sub(top_up.calls);
            held.calls_granted = held.calls_granted.saturating_sub(top_up.calls);
            let slot = held.slot;
            for (bucket, block, units) in &top_up.drawn {
                let of_block = |grant: &&mut HeldGrant| grant.bucket == *bucket && grant.block == *block;
                let Some(grant) = held.grants.iter_mut().find(of_block) else { continue };
                let returned = grant.units.min(*units);
                grant.units -= returned;
                self.buckets[*bucket as usize].bucket.settle(*block, 0, returned, now, &mut self.updates);
            }
            held.grants.retain(|grant| grant.units > 0);
            self.rescore_slot(slot, now);
        }
        if fate != TopUpFate::Taken {
            self.undo(&top_up.takes, &top_up.held_keys, fate == TopUpFate::Refused, now);
        }
    }

    fn hold(&mut self, lease: LeaseId, grant: HeldGrant) {
        let Some(held) = self.leases.get_mut(&lease) else { return };
        let same = |other: &&mut HeldGrant| other.bucket == grant.bucket && other.block == grant.block;
        match held.grants.iter_mut().find(same) {
            // The credit of one block is charged long enough for the latest of its uses.
            Some(other) => {
                other.units += grant.units;
                other.use_by = other.use_by.max(grant.use_by);
            }
            None => held.grants.push(grant),
        }
    }

    /// Why nothing at all could serve: looks at some of the tokens that would serve if they could.
    fn explain(&self, now: Timestamp, team: u32, request: &AcquireRequest) -> Refusal {
        let mut refusals = Refusals::default();
        let mut seen = NoToken::None;
        for slot in self.idle_tokens(team, request) {
            match self.why_idle(slot, request, now) {
                Ok(Refusal::Limited { until, class, owner }) => refusals.limited(until, class, owner),
                Ok(_) => refusals.busy = true,
                Err(why) => seen = seen.or(why),
            }
        }
        refusals.worst().unwrap_or(Refusal::NoToken(seen))
    }

    /// Tokens of the team whose kind may call the operation, of each ability some, those that can't be used now first.
    fn idle_tokens(&self, team: u32, request: &AcquireRequest) -> Vec<u32> {
        if let Some(profile) = &request.profile {
            let speaks = self.names.find(profile).and_then(|profile| self.by_profile.get(&profile));
            let of_team = |slot: &&u32| self.slots[**slot as usize].team == team;
            return speaks.into_iter().flatten().filter(of_team).take(EXPLAINED).copied().collect();
        }
        let Some(index) = &self.indexes[request.operation] else { return Vec::new() };
        let shelves = index.shelves(team).iter();
        // The best of a shelf stands for those that could be used, but not for this request.
        let best = |shelf: &u32| index.candidate(*shelf, 0).map(|(_, slot)| slot);
        shelves.flat_map(|shelf| index.idle(*shelf, EXPLAINED).iter().copied().chain(best(shelf))).collect()
    }

    /// Why a token can't be used now: not yet, or never until a person acts.
    fn why_idle(&self, at: u32, request: &AcquireRequest, now: Timestamp) -> Result<Refusal, NoToken> {
        let slot = &self.slots[at as usize];
        if !self.is_kind(slot.kind, request) {
            return Err(NoToken::None);
        }
        if self.draws_for(request.operation, slot).is_none() || !slot.purposes.contains(request.purpose) {
            return Err(NoToken::Purpose);
        }
        match slot.state {
            TokenState::Invalid { reason, .. } => Err(NoToken::Dead(reason)),
            TokenState::Revoked { .. } => Err(NoToken::Dead(Reason::RevokedByPerson)),
            TokenState::Paused { .. } => Err(NoToken::Paused),
            _ if slot.usable_until <= now => Err(NoToken::Dead(Reason::Expired)),
            _ if slot.is_busy() => Ok(Refusal::Busy),
            TokenState::Live | TokenState::Suspect { .. } => Ok(self.limited(at, request, now)),
        }
    }

    /// When a token that can't be used now may be: when all that is closed is open, or at the first change of its buckets.
    fn limited(&self, slot: u32, request: &AcquireRequest, now: Timestamp) -> Refusal {
        let token = &self.slots[slot as usize];
        let draws = self.draws[request.operation][token.kind as usize].as_deref().unwrap_or_default();
        if let Passage::Closed { until, class, owner } = self.passage(slot, draws, now) {
            return Refusal::Limited { until, class, owner };
        }
        let guard = self.settings.timing.guard;
        let buckets = token.buckets.iter().map(|(_, bucket)| &self.buckets[bucket as usize].bucket);
        let changes = buckets.filter_map(|bucket| bucket.next_change(now, guard));
        let first = changes.filter(|end| *end != Timestamp::NEVER).min();
        let until = first.unwrap_or(now + Duration::from_secs(60)).max(now + Duration::from_millis(50));
        let rule = &self.rules[draws.first().map_or(0, |draw| draw.rule) as usize];
        Refusal::Limited { until, class: rule.class, owner: rule.limit.owner }
    }
}

impl NoToken {
    /// The reason that says more about what a person can do.
    fn or(self, other: NoToken) -> NoToken {
        let rank = |why: &NoToken| match why {
            NoToken::None => 0,
            NoToken::Purpose => 1,
            NoToken::Dead(_) => 2,
            NoToken::Paused => 3,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}

/// The most units that one lease gets at once. Of a paced limit only a part: what a slow worker holds, no other can use, and all of it
/// comes back within moments.
fn most_at_once(bucket: &Bucket, at_least: u64) -> u64 {
    match bucket.rule().window {
        Window::Paced { .. } => (bucket.cap() / PACED_SHARES).max(at_least).max(1),
        _ => u64::MAX,
    }
}

enum Attempt {
    Acquired(Box<Acquired>),
    NotThisToken,
    NotThisApp,
}

impl Attempt {
    /// What an account of this owner refused.
    fn without(owner: Owner) -> Self {
        match owner {
            Owner::App | Owner::Address => Attempt::NotThisApp,
            _ => Attempt::NotThisToken,
        }
    }
}

/// The store has what was opened of these keys.
fn confirm_keys(buckets: &mut [super::buckets::BucketSlot], keys: &[HeldKey]) {
    for held in keys.iter().filter(|held| held.charge.is_new) {
        buckets[held.bucket as usize].bucket.keys().confirm(&held.charge.key, held.charge.until);
    }
}

/// The refusals of the tokens that were tried: the one that ends first is told.
#[derive(Default)]
struct Refusals {
    limited: Option<(Timestamp, usize, Owner)>,
    most: Option<u64>,
    busy: bool,
}

impl Refusals {
    fn limited(&mut self, until: Timestamp, class: usize, owner: Owner) {
        if self.limited.is_none_or(|(before, ..)| until < before) {
            self.limited = Some((until, class, owner));
        }
    }

    fn short(&mut self, rule: &super::buckets::Rule, shortage: Shortage) -> Attempt {
        match shortage {
            Shortage::Until(until) => self.limited(until, rule.class, rule.limit.owner),
            Shortage::Never { most } => self.most = Some(self.most.unwrap_or(0).max(most)),
        }
        Attempt::without(rule.limit.owner)
    }

    fn worst(&self) -> Option<Refusal> {
        let limited = self.limited.map(|(until, class, owner)| Refusal::Limited { until, class, owner });
        let busy = self.busy.then_some(Refusal::Busy);
        limited.or(busy).or(self.most.map(|most| Refusal::TooMany { most }))
    }
}

fn per_call(shortage: Shortage, units: u64) -> Shortage {
    match shortage {
        Shortage::Never { most } => Shortage::Never { most: most / units.max(1) },
        until => until,
    }
}
