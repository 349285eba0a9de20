//! What people and metrics see of a pool. Copies; nothing here changes anything.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, CollectorId, LeaseId, TeamId, TokenId};
use crate::domain::credit::{BucketKey, BucketNote};
use crate::domain::networks::{Owner, Purpose, Window};
use crate::domain::pool::buckets::{BucketSlot, app_in};
use crate::domain::pool::{Pool, Verdict};
use crate::domain::token::{Reason, TokenState};

/// One bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketView {
    /// Its name.
    pub key: BucketKey,
    /// Its class, by its place in the catalogue.
    pub class: usize,
    /// Whose account it is.
    pub owner: Owner,
    /// The span in which the limit holds.
    pub window: Window,
    /// The limit.
    pub limit: u64,
    /// The limit is a safe value to start from; told of one token's buckets only.
    pub limit_assumed: bool,
    /// The limit less the owner's reserve.
    pub cap: u64,
    /// Reported or assumed as used.
    pub spent: u64,
    /// Held by leases.
    pub outstanding: u64,
    /// What may still be granted.
    pub left: u64,
    /// The end of the window, where it is known.
    pub resets_at: Option<Timestamp>,
    /// It must not be used before this time.
    pub cooling_until: Option<Timestamp>,
}

/// One lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseView {
    /// The lease.
    pub lease: LeaseId,
    /// Its token.
    pub token: TokenId,
    /// The token's team.
    pub team: TeamId,
    /// Who holds it.
    pub collector: Option<CollectorId>,
    /// The operation, by its place in the catalogue.
    pub operation: usize,
    /// What for.
    pub purpose: Purpose,
    /// The collection.
    pub collection: Arc<str>,
    /// Calls granted so far.
    pub calls_granted: u64,
    /// Calls it may still make.
    pub calls_left: u64,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Until when its calls may be made.
    pub use_by: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether it was taken back.
    pub recalled: bool,
    /// Whether it may be acknowledged.
    pub durable: bool,
    /// The highest report number settled; 0: none.
    pub sequence: u64,
}

/// One token, as far as only the pool knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenView {
    /// Leases on it.
    pub leases: usize,
    /// It must not be used before this time.
    pub cooling_until: Option<Timestamp>,
    /// Whether it rests for an incident.
    pub rests: bool,
}

/// Sums over a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Tokens.
    pub tokens: usize,
    /// Leases that are held.
    pub leases: usize,
    /// Buckets in memory.
    pub buckets: usize,
}

/// A bucket that supplies credit to a token, for the load rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplyView {
    /// The bucket's name: tokens that share a bucket name the same.
    pub bucket: u64,
    /// Its class.
    pub class: usize,
    /// Whose account it is.
    pub owner: Owner,
    /// The limit less the owner's reserve.
    pub cap: u64,
    /// In which time it gives that much anew, a whole day for a daily one; `None`: only when it is topped up.
    pub length: Option<std::time::Duration>,
    /// Its rule, by its place among the network's rules.
    pub rule: usize,
}

/// How many of a team's tokens can't serve a request, by what keeps them from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unusable {
    /// Their time is over.
    pub expired: u32,
    /// The network or a person ended them.
    pub invalid: u32,
    /// A person paused them.
    pub paused: u32,
    /// The granted scopes don't suffice for the operation.
    pub without_scope: u32,
    /// The person did not agree to the purpose, or not to the scopes it needs.
    pub without_purpose: u32,
}

impl Pool {
    /// Counts a team's tokens that can't serve `purpose`, of any kind that may call the operation.
    pub fn unusable(&self, team: &TeamId, operation: usize, purpose: Purpose, now: Timestamp) -> Unusable {
        let mut unusable = Unusable::default();
        let Some(number) = self.team_number(team) else { return unusable };
        for slot in &self.slots {
            if slot.team != number || self.draws[operation][slot.kind as usize].is_none() {
                continue;
            }
            match slot.state {
                TokenState::Invalid { reason: Reason::Expired, .. } => unusable.expired += 1,
                TokenState::Invalid { .. } | TokenState::Revoked { .. } => unusable.invalid += 1,
                TokenState::Paused { .. } => unusable.paused += 1,
                _ if slot.usable_until <= now => unusable.expired += 1,
                _ if self.draws_for(operation, slot).is_none() => unusable.without_scope += 1,
                _ if !slot.purposes.contains(purpose) => unusable.without_purpose += 1,
                TokenState::Live | TokenState::Suspect { .. } => {}
            }
        }
        unusable
    }

    /// Whether a token of a team can serve `purpose` by calls of the operation, now or once there is credit again.
    pub fn serves(&self, team: &TeamId, operation: usize, purpose: Purpose, now: Timestamp) -> bool {
        let Some(number) = self.team_number(team) else { return false };
        let mut own = self.slots.iter().filter(|slot| slot.team == number && slot.is_usable(now));
        own.any(|slot| slot.purposes.contains(purpose) && self.draws_for(operation, slot).is_some())
    }

    /// The buckets that a token's calls draw from, also those that nothing was drawn from yet.
    pub fn token_buckets(&self, token: TokenId) -> Vec<BucketView> {
        let Some(at) = self.by_token.get(&token).copied() else { return Vec::new() };
        let kind = self.slots[at as usize].kind as usize;
        let draws = self.draws.iter().filter_map(|of_kinds| of_kinds[kind].as_ref()).flat_map(|draws| draws.iter());
        let rules: BTreeSet<u16> = draws.map(|draw| draw.rule).collect();
        let view = |rule| {
            let key = self.bucket_key(at, rule);
            let known = self.limit_for(at, rule);
            let held = self.by_bucket.get(&key).map(|at| &self.buckets[*at as usize]);
            match held {
                Some(held) => {
                    BucketView { limit_assumed: known.assumed && !held.bucket.has_learned(), ..self.view(held) }
                }
                None => BucketView { limit_assumed: known.assumed, ..self.view(&self.fresh_bucket(key, rule, known)) },
            }
        };
        rules.into_iter().map(view).collect()
    }

    /// What only the pool knows of a token; `None`: it is not here.
    pub fn token(&self, token: TokenId) -> Option<TokenView> {
        let slot = &self.slots[*self.by_token.get(&token)? as usize];
        Some(TokenView { leases: slot.leases.len(), cooling_until: slot.cooling.until(), rests: self.rests(slot) })
    }

    /// Every bucket that has been drawn from.
    pub fn all_buckets(&self) -> Vec<BucketView> {
        self.buckets(0..self.buckets.len())
    }

    /// The buckets of a range, which is cut to those there are.
    pub fn buckets(&self, range: Range<usize>) -> Vec<BucketView> {
        let end = range.end.min(self.buckets.len());
        self.buckets[range.start.min(end)..end].iter().map(|held| self.view(held)).collect()
    }

    /// The buckets of an app's budgets, as far as they were drawn from.
    pub fn budgets_of(&self, app: &AppId) -> Vec<BucketView> {
        let of_app = |held: &&BucketSlot| {
            let budget = self.rules[held.rule as usize].limit.window == Window::Budget;
            budget && matches!(app_in(held.bucket.key()), Some(of) if of == "*" || of == app.as_str())
        };
        self.buckets.iter().filter(of_app).map(|held| self.view(held)).collect()
    }

    /// Tokens that were granted to an app.
    pub fn tokens_of_app(&self, app: &AppId) -> usize {
        let number = self.names.find(app.as_str());
        self.slots.iter().filter(|slot| Some(slot.app) == number).count()
    }

    fn view(&self, bucket: &BucketSlot) -> BucketView {
        let rule = &self.rules[bucket.rule as usize];
        let held = &bucket.bucket;
        BucketView {
            key: held.key().clone(),
            class: rule.class,
            owner: rule.limit.owner,
            window: rule.limit.window.clone(),
            limit: held.limit(),
            limit_assumed: false,
            cap: held.cap(),
            spent: held.spent(),
            outstanding: held.outstanding(),
            left: held.left(),
            resets_at: held.window_ends_at().filter(|end| *end != Timestamp::NEVER),
            cooling_until: held.cooling.until(),
        }
    }

    /// A lease that is held.
    pub fn lease(&self, lease: LeaseId) -> Option<LeaseView> {
        let held = self.leases.get(&lease)?;
        let slot = &self.slots[held.slot as usize];
        Some(LeaseView {
            lease,
            token: slot.id,
            team: self.team_of(slot.team)?,
            collector: held.collector,
            operation: held.operation as usize,
            purpose: held.purpose,
            collection: held.collection.clone(),
            calls_granted: held.calls_granted,
            calls_left: held.calls_left,
            opened_at: held.opened_at,
            use_by: held.use_by,
            expires_at: held.expires_at,
            recalled: held.recalled,
            durable: held.durable,
            sequence: held.last_report.map_or(0, |(sequence, _)| sequence),
        })
    }

    /// All leases that are held.
    pub fn leases(&self) -> Vec<LeaseView> {
        self.leases.keys().filter_map(|lease| self.lease(*lease)).collect()
    }

    /// The other leases of a lease's token that must rest, and until when: what was granted before a closing is not used after it.
    pub fn stopped_beside(&self, lease: LeaseId, now: Timestamp) -> Vec<(LeaseId, Verdict)> {
        let Some(held) = self.leases.get(&lease) else { return Vec::new() };
        let beside = self.slots[held.slot as usize].leases.iter().filter(|other| *other != lease);
        let standing = beside.filter_map(|other| Some((other, self.standing(other, now)?)));
        standing.filter(|(_, verdict)| matches!(verdict, Verdict::StopUntil(_))).collect()
    }

    /// What an open lease is for.
    pub fn purpose_of(&self, lease: LeaseId) -> Option<Purpose> {
        self.leases.get(&lease).map(|held| held.purpose)
    }

    /// A token's kind, by its place in the catalogue.
    pub fn kind_of(&self, token: TokenId) -> Option<usize> {
        Some(self.slots[*self.by_token.get(&token)? as usize].kind as usize)
    }

    /// The first profile that a token speaks for.
    pub fn first_profile_of(&self, token: TokenId) -> Option<Arc<str>> {
        let slot = &self.slots[*self.by_token.get(&token)? as usize];
        slot.profiles.first().map(|profile| self.names.text(*profile).clone())
    }

    /// A token's app.
    pub fn app_of(&self, token: TokenId) -> Option<Arc<str>> {
        let slot = &self.slots[*self.by_token.get(&token)? as usize];
        Some(self.names.text(slot.app).clone())
    }

    /// Sums.
    pub fn counts(&self) -> PoolCounts {
        PoolCounts { tokens: self.slots.len(), leases: self.leases.len(), buckets: self.buckets.len() }
    }

    /// The teams that have, or had, a token here.
    pub fn teams(&self) -> Vec<TeamId> {
        self.teams.keys().cloned().collect()
    }

    fn team_of(&self, number: u32) -> Option<TeamId> {
        self.teams.iter().find(|(_, of)| **of == number).map(|(team, _)| team.clone())
    }

    /// For each usable token of a team: when it ends, its app, and the buckets it can draw from.
    pub fn supply_of(&self, team: &TeamId, now: Timestamp) -> Vec<(TokenId, Timestamp, AppId, Vec<SupplyView>)> {
        let Some(number) = self.team_number(team) else { return Vec::new() };
        let slots = self.slots.iter().enumerate();
        slots
            .filter(|(_, slot)| slot.team == number && slot.is_usable(now))
            .filter_map(|(at, slot)| {
                let at = u32::try_from(at).ok()?;
                let app = self.names.text(slot.app).parse().ok()?;
                Some((slot.id, slot.usable_until, app, self.supply_of_slot(at)))
            })
            .collect()
    }

    fn supply_of_slot(&self, at: u32) -> Vec<SupplyView> {
        let slot = &self.slots[at as usize];
        let kind = &self.network.kinds[slot.kind as usize].id;
        let rules = self.rules.iter().enumerate().filter(|(_, rule)| rule.limit.holds_for(kind));
        rules.filter_map(|(index, _)| self.supply_under(at, index)).collect()
    }

    /// A number for the account that a token draws from under a rule: equal for tokens that share it.
    pub(super) fn account_number(&self, at: u32, rule: usize) -> u64 {
        let slot = &self.slots[at as usize];
        let owner = match self.rules[rule].limit.owner {
            Owner::Token => u64::from(at),
            Owner::Person => u64::from(slot.person),
            Owner::AppPerson => u64::from(slot.person) ^ (u64::from(slot.app) << 32),
            Owner::Profile => {
                let profile = slot.profiles.first().copied().unwrap_or(slot.person);
                u64::from(profile) ^ (u64::from(slot.app) << 32)
            }
            Owner::App => u64::from(slot.app),
            Owner::Address => 0,
        };
        owner.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add((rule as u64) << 56)
    }

    /// Everything that must outlive an orderly stop: free credit goes back, notes are taken.
    pub fn settle_for_stop(&mut self) -> Vec<BucketNote> {
        let mut notes = Vec::new();
        for bucket in &mut self.buckets {
            bucket.bucket.give_back(self.settings.timing, &mut self.updates);
            notes.push(bucket.bucket.note());
        }
        notes.retain(|note| {
            note.cooling_until.is_some() || note.learned_limit.is_some() || note.window_ends_at.is_some()
        });
        notes
    }

    /// The credit that was granted beyond what could be spent at that moment, over all buckets. Zero by construction; taken from the
    /// books with every grant.
    pub fn over_granted(&self) -> u64 {
        self.buckets.iter().map(|slot| slot.bucket.over_granted()).sum()
    }

    /// Credit left per class, over the own buckets of a team's tokens that were drawn from.
    pub fn credit_left(&self, team: &TeamId) -> Vec<(usize, u64)> {
        let Some(number) = self.team_number(team) else { return Vec::new() };
        let mut left = vec![0_u64; self.network.classes.len()];
        for slot in &self.buckets {
            let rule = &self.rules[slot.rule as usize];
            let of_team = slot.slots.first().is_some_and(|at| self.slots[*at as usize].team == number);
            if of_team && rule.limit.owner.is_own() {
                left[rule.class] = left[rule.class].saturating_add(slot.bucket.left());
            }
        }
        left.into_iter().enumerate().collect()
    }
}
