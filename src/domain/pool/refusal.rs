//! Why nothing was granted: not yet, and until when; or never, until a person acts.

use std::fmt;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::domain::credit::Shortage;
use crate::domain::networks::Owner;
use crate::domain::pool::Pool;
use crate::domain::pool::ask::{AcquireRequest, Acquired};
use crate::domain::pool::buckets::Rule;
use crate::domain::pool::cooling::Passage;
use crate::domain::token::{Reason, TokenState};

/// How many tokens of a shelf are looked at to say why none could serve.
const EXPLAINED: usize = 64;

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
        /// What rests, where no credit is short.
        rest: Option<Rest>,
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

/// Why what may serve rests though there is credit: it is let through again by single calls that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rest {
    /// The app has an incident.
    Incident,
    /// The network blocks the token's account.
    Blocked,
    /// The token is in doubt, since the network refused it.
    Doubt,
    /// The network refuses the operation to everybody who asks through the app.
    Operation,
}

impl Rest {
    /// The name used in error details.
    pub const fn as_str(self) -> &'static str {
        match self {
            Rest::Incident => "incident",
            Rest::Blocked => "blocked",
            Rest::Doubt => "doubt",
            Rest::Operation => "operation",
        }
    }
}

impl fmt::Display for Rest {
    /// What people are told, with what they can do.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Rest::Incident => "an incident is open",
            Rest::Blocked => "the network blocks the account for a time, and the person should sign in there and look",
            Rest::Doubt => "the network refused the token, which is in doubt until a call shows whether it works",
            Rest::Operation => {
                "the network refuses this operation to everybody who asks through the app, whose access level there should be looked at"
            }
        })
    }
}

/// Why no token may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoToken {
    /// The team has no token for this network, or none of the kind or profile that was asked for.
    None,
    /// There are tokens, but none whose person agreed to the purpose, with scopes that suffice.
    Purpose,
    /// There are tokens whose scopes would suffice, but the network refused them the operation for want of a permission.
    PermissionLost,
    /// There would be tokens, but the network blocks the accounts of all for a time.
    Blocked,
    /// There would be tokens, but all are paused.
    Paused,
    /// There would be tokens, but all are dead; the reason of one of them.
    Dead(Reason),
}

impl Pool {
    /// Why nothing at all could serve: looks at some of the tokens that would serve if they could.
    pub(super) fn explain(&self, now: Timestamp, team: u32, request: &AcquireRequest) -> Refusal {
        let mut refusals = Refusals::default();
        let mut seen = NoToken::None;
        for slot in self.idle_tokens(team, request) {
            match self.why_idle(slot, request, now) {
                Ok(Refusal::Limited { until, class, owner, rest }) => {
                    refusals.limited(Limited { until, class, owner, rest });
                }
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
        if !slot.purposes.contains(request.purpose) {
            return Err(NoToken::Purpose);
        }
        if self.draws_for(request.operation, slot).is_none() {
            let lost = u16::try_from(request.operation).is_ok_and(|operation| self.is_closed_for(at, operation));
            return Err(if lost { NoToken::PermissionLost } else { NoToken::Purpose });
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
        if let Passage::Closed { until, class, owner, rest } = self.passage(slot, request.operation, draws, now) {
            return Refusal::Limited { until, class, owner, rest };
        }
        let guard = self.settings.timing.guard;
        let buckets = token.buckets.iter().map(|(_, bucket)| &self.buckets[bucket as usize].bucket);
        let changes = buckets.filter_map(|bucket| bucket.next_change(now, guard));
        let first = changes.filter(|end| *end != Timestamp::NEVER).min();
        let until = first.unwrap_or(now + Duration::from_secs(60)).max(now + Duration::from_millis(50));
        let rule = &self.rules[draws.first().map_or(0, |draw| draw.rule) as usize];
        Refusal::Limited { until, class: rule.class, owner: rule.limit.owner, rest: None }
    }
}

impl NoToken {
    /// The reason that says more about what a person can do.
    fn or(self, other: NoToken) -> NoToken {
        let rank = |why: &NoToken| match why {
            NoToken::None => 0,
            NoToken::Purpose => 1,
            NoToken::PermissionLost => 2,
            NoToken::Dead(_) => 3,
            NoToken::Blocked => 4,
            NoToken::Paused => 5,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}

pub(super) enum Attempt {
    Acquired(Box<Acquired>),
    NotThisToken,
    NotThisApp,
}

impl Attempt {
    /// What an account of this owner refused.
    pub(super) fn without(owner: Owner) -> Self {
        match owner {
            Owner::App | Owner::Address => Attempt::NotThisApp,
            _ => Attempt::NotThisToken,
        }
    }
}

/// What refused a token for some time, as in [`Refusal::Limited`].
#[derive(Clone, Copy)]
pub(super) struct Limited {
    pub(super) until: Timestamp,
    pub(super) class: usize,
    pub(super) owner: Owner,
    pub(super) rest: Option<Rest>,
}

/// The refusals of the tokens that were tried: the one that ends first is told.
#[derive(Default)]
pub(super) struct Refusals {
    limited: Option<Limited>,
    most: Option<u64>,
    pub(super) busy: bool,
}

impl Refusals {
    pub(super) fn limited(&mut self, limited: Limited) {
        if self.limited.is_none_or(|before| limited.until < before.until) {
            self.limited = Some(limited);
        }
    }

    pub(super) fn short(&mut self, rule: &Rule, shortage: Shortage) -> Attempt {
        match shortage {
            Shortage::Until(until) => {
                self.limited(Limited { until, class: rule.class, owner: rule.limit.owner, rest: None });
            }
            Shortage::Never { most } => self.most = Some(self.most.unwrap_or(0).max(most)),
        }
        Attempt::without(rule.limit.owner)
    }

    pub(super) fn worst(&self) -> Option<Refusal> {
        let limited =
            self.limited.map(|Limited { until, class, owner, rest }| Refusal::Limited { until, class, owner, rest });
        let busy = self.busy.then_some(Refusal::Busy);
        limited.or(busy).or(self.most.map(|most| Refusal::TooMany { most }))
    }
}
