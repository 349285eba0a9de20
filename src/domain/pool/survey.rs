//! Looking over a whole pool in small pieces: each call looks at a range of tokens or buckets, so that whoever owns the pool's lock
//! need not hold it for long, however many there are.
//!
//! What is seen of one piece fits no longer than until the next change; [`Pool::generation`] tells whether tokens have changed.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{TeamId, TokenId};
use crate::domain::credit::span;
use crate::domain::networks::{Purposes, Window};
use crate::domain::pool::Pool;
use crate::domain::pool::slot::Slot;
use crate::domain::pool::view::SupplyView;
use crate::domain::token::TokenState;

/// A token as a survey sees it.
#[derive(Debug, Clone)]
pub struct SurveyedToken {
    /// The token.
    pub token: TokenId,
    /// Its team, by its place among [`Pool::team_names`].
    pub team: usize,
    /// Its app, by a number that is the same for all its tokens.
    pub app: u32,
    /// Its state.
    pub state: TokenState,
    /// Whether it can be leased at the time of the survey.
    pub usable: bool,
    /// The first of the clocks that end its use, unless it is renewed.
    pub usable_until: Timestamp,
    /// The first of the clocks that a renewal can't turn back.
    pub ends_at: Option<Timestamp>,
    /// Which of the wanted classes it serves, each with the buckets that a call draws from; none unless it is usable.
    pub serves: Vec<(usize, Vec<SupplyView>)>,
}

/// What the buckets of one class hold together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassBooks {
    /// How many buckets.
    pub buckets: u64,
    /// Their limits less the owners' reserves.
    pub cap: u64,
    /// Reported or assumed as used.
    pub spent: u64,
    /// Held by leases.
    pub outstanding: u64,
    /// What may still be granted.
    pub left: u64,
    /// Buckets that must not be used for a while.
    pub cooling: u64,
}

/// Sums over a range of buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketSurvey {
    /// Credit left in own buckets, by team (its place among [`Pool::team_names`]) and class.
    pub left: BTreeMap<(usize, usize), u64>,
    /// Buckets in which more was granted than their limit allows. Zero by construction; recomputed from the books.
    pub over_granted: u32,
    /// What was taken in blocks and neither granted nor given back, by class, since the process began.
    pub wasted: BTreeMap<usize, u64>,
}

impl Pool {
    /// A number that changes whenever a token is added or changed.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many tokens a survey of all ranges over.
    pub fn token_count(&self) -> usize {
        self.slots.len()
    }

    /// How many buckets a survey of all ranges over.
    pub fn bucket_count(&self) -> usize {
        self.buckets.len()
    }

    /// The teams that have, or had, a token here, each at its place. Places don't change.
    pub fn team_names(&self) -> Vec<TeamId> {
        let mut teams: Vec<_> = self.teams.iter().collect();
        teams.sort_unstable_by_key(|(_, number)| **number);
        teams.into_iter().map(|(team, _)| team.clone()).collect()
    }

    /// The tokens of a range, which is cut to those there are, with their buckets in the `wanted` classes.
    pub fn survey_tokens(&self, range: Range<usize>, wanted: &[bool], now: Timestamp) -> Vec<SurveyedToken> {
        let end = range.end.min(self.slots.len());
        let mut served: HashMap<(u8, u32, Purposes), Arc<[usize]>> = HashMap::new();
        let tokens = (range.start.min(end)..end).map(|at| {
            let slot = &self.slots[at];
            let usable = slot.is_usable(now);
            let serves = if usable {
                let classes = served.entry((slot.kind, slot.scope_set, slot.purposes));
                let classes = classes.or_insert_with(|| self.classes_served(slot, wanted)).clone();
                self.supply_in(at, &classes)
            } else {
                Vec::new()
            };
            SurveyedToken {
                token: slot.id,
                team: slot.team as usize,
                app: slot.app,
                state: slot.state,
                usable,
                usable_until: slot.usable_until,
                ends_at: slot.ends_at,
                serves,
            }
        });
        tokens.collect()
    }

    /// The wanted classes that some call draws from which the token may make.
    fn classes_served(&self, slot: &Slot, wanted: &[bool]) -> Arc<[usize]> {
        let operations = self.network.operations.iter().enumerate();
        let callable = operations.filter(|(at, operation)| {
            let agreed = operation.purposes.iter().any(|purpose| slot.purposes.contains(*purpose));
            agreed && self.draws_for(*at, slot).is_some()
        });
        let costs: Vec<_> =
            callable.flat_map(|(_, operation)| operation.costs.iter().map(|cost| &cost.class)).collect();
        let classes = self.network.classes.iter().enumerate();
        let served = classes.filter(|(at, class)| wanted.get(*at) == Some(&true) && costs.contains(&&class.id));
        served.map(|(at, _)| at).collect()
    }

    fn supply_in(&self, at: usize, classes: &[usize]) -> Vec<(usize, Vec<SupplyView>)> {
        let Ok(at) = u32::try_from(at) else { return Vec::new() };
        let kind = &self.network.kinds[self.slots[at as usize].kind as usize].id;
        let of_class = |class: &usize| {
            let rules = self.rules.iter().enumerate();
            let rules = rules.filter(|(_, rule)| rule.class == *class && rule.limit.holds_for(kind));
            (*class, rules.filter_map(|(index, _)| self.supply_under(at, index)).collect())
        };
        classes.iter().map(of_class).collect()
    }

    /// The bucket that a token draws from under a rule, as supply.
    pub(super) fn supply_under(&self, at: u32, index: usize) -> Option<SupplyView> {
        let number = u16::try_from(index).ok()?;
        let rule = &self.rules[index];
        let (limit, cap) = match self.find_bucket(at, number) {
            Some(bucket) => {
                let bucket = &self.buckets[bucket as usize].bucket;
                (bucket.limit(), bucket.cap())
            }
            None => {
                let known = self.limit_for(at, number);
                (known.limit, known.cap())
            }
        };
        Some(SupplyView {
            bucket: self.account_number(at, index),
            class: rule.class,
            owner: rule.limit.owner,
            cap,
            length: sustained_length(&rule.limit.window, limit),
            rule: index,
        })
    }

    /// What the buckets of a range, which is cut to those there are, hold together, by class.
    pub fn sum_buckets(&self, range: Range<usize>, now: Timestamp, sums: &mut BTreeMap<usize, ClassBooks>) {
        let end = range.end.min(self.buckets.len());
        for held in &self.buckets[range.start.min(end)..end] {
            let (bucket, sum) = (&held.bucket, sums.entry(self.rules[held.rule as usize].class).or_default());
            sum.buckets += 1;
            sum.cap = sum.cap.saturating_add(bucket.cap());
            sum.spent = sum.spent.saturating_add(bucket.spent());
            sum.outstanding = sum.outstanding.saturating_add(bucket.outstanding());
            sum.left = sum.left.saturating_add(bucket.left());
            sum.cooling += u64::from(bucket.cooling.until().is_some_and(|until| until > now));
        }
    }

    /// Sums over a range of buckets, which is cut to those there are.
    pub fn survey_buckets(&self, range: Range<usize>) -> BucketSurvey {
        let end = range.end.min(self.buckets.len());
        let mut survey = BucketSurvey::default();
        for held in &self.buckets[range.start.min(end)..end] {
            let rule = &self.rules[held.rule as usize];
            if held.bucket.spent() + held.bucket.outstanding() > held.bucket.limit() {
                survey.over_granted += 1;
            }
            if held.bucket.wasted() > 0 {
                *survey.wasted.entry(rule.class).or_default() += held.bucket.wasted();
            }
            if let Some(at) = held.slots.first().filter(|_| rule.limit.owner.is_own()) {
                let team = self.slots[*at as usize].team as usize;
                let left = survey.left.entry((team, rule.class)).or_default();
                *left = left.saturating_add(held.bucket.left());
            }
        }
        survey
    }
}

/// In which time a bucket gives its limit anew; `None`: only when it is topped up.
pub fn sustained_length(window: &Window, limit: u64) -> Option<Duration> {
    match window {
        Window::Paced { .. } => Some(span(window, limit)),
        other => other.length(),
    }
}
