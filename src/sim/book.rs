//! The books of one simulated network: who was charged what, by the limits that the catalogue documents.
//!
//! A call draws from every limit of every class that its operation costs, in one step or from none. Nothing is admitted over a
//! limit. The limits are the network's real ones: numbers, formulas over facts, and where the catalogue knows none, a hidden number
//! that a client can only find out. HTTP, tokens and faults are left to the rest of the simulation.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::meter::{Meter, UnknownZone};
use super::report::LimitReport;
use crate::base::clock::Timestamp;
use crate::base::ids::{ClassId, KindId};
use crate::domain::networks::{Amount, Cost, LimitRule, Network, Operation, Owner, Unit, Window};

/// What a hidden limit is, as a multiple of the value that the catalogue starts from.
pub const UNKNOWN_MULTIPLE: u64 = 3;

/// One limit of the network: the class and the place of the rule in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitKey {
    /// The class.
    pub class: ClassId,
    /// The place in [`CreditClass::limits`](crate::domain::networks::CreditClass::limits).
    pub place: usize,
}

/// Who calls, with all accounts that may be debited.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The token's account; it outlives a renewal of the token.
    pub token: &'a str,
    /// The app that got the token.
    pub app: &'a str,
    /// The person who granted it.
    pub person: &'a str,
    /// The profile that is called, if the token speaks for one.
    pub profile: Option<&'a str>,
    /// The calling address.
    pub address: &'a str,
    /// The kind of token.
    pub kind: &'a KindId,
    /// The key, for limits that count different keys.
    pub key: &'a str,
}

impl Caller<'_> {
    /// The account of `owner`. A token that speaks for no profile speaks for its person.
    fn account(&self, owner: Owner) -> String {
        match owner {
            Owner::Token => self.token.to_owned(),
            Owner::Person => self.person.to_owned(),
            Owner::AppPerson => format!("{}/{}", self.app, self.person),
            Owner::Profile => format!("{}/{}", self.app, self.profile.unwrap_or(self.person)),
            Owner::App => self.app.to_owned(),
            Owner::Address => self.address.to_owned(),
        }
    }
}

/// What the books say of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it was let through.
    pub verdict: Verdict,
    /// Every limit that the call touched, after the call.
    pub usage: Vec<Usage>,
}

/// Whether a call was let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was, and was charged to every limit.
    Admitted,
    /// It was not, and was charged to none (but see [`Books::count_throttled`]).
    Refused {
        /// The first limit that is reached.
        limit: LimitKey,
        /// Whose limit it is.
        owner: Owner,
        /// When this limit would let the call through; [`Timestamp::NEVER`] if waiting does not help.
        resets_at: Timestamp,
    },
}

/// The state of one account under one limit, as the usage headers tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The limit.
    pub limit: LimitKey,
    /// Whose account it is.
    pub owner: Owner,
    /// The account.
    pub account: String,
    /// The unit.
    pub unit: Unit,
    /// The window.
    pub window: Window,
    /// How much is allowed.
    pub allowed: u64,
    /// How much counts now. More than `allowed` only where throttled calls count.
    pub used: u64,
    /// When the network says it resets.
    pub resets_at: Timestamp,
    /// When one unit more is possible.
    pub opens_at: Timestamp,
}

impl Usage {
    /// What is left.
    pub fn remaining(&self) -> u64 {
        self.allowed.saturating_sub(self.used)
    }

    /// Percent used, rounded down: 100 exactly when nothing is left.
    pub fn percent(&self) -> u64 {
        if self.allowed == 0 {
            return 100;
        }
        u64::try_from(u128::from(self.used) * 100 / u128::from(self.allowed)).unwrap_or(u64::MAX)
    }
}

/// The books of one network.
#[derive(Debug)]
pub struct Books {
    network: Arc<Network>,
    throttled_count: bool,
    accounts: BTreeMap<(LimitKey, String), Account>,
    facts: BTreeMap<(Owner, String, String), u64>,
    real_limits: BTreeMap<(LimitKey, Option<String>), u64>,
    tallies: BTreeMap<LimitKey, Tally>,
}

#[derive(Debug)]
struct Account {
    meter: Meter,
    seen_at: Timestamp,
    given_back: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    admitted: u64,
    throttled: u64,
    used: u64,
    used_elsewhere: u64,
}

/// One limit that a call draws from.
struct Draw {
    limit: LimitKey,
    owner: Owner,
    account: String,
    units: u64,
    allowed: u64,
}

impl Books {
    /// Empty books.
    ///
    /// # Errors
    /// When a daily window names a zone that does not exist.
    pub fn new(network: Arc<Network>) -> Result<Self, UnknownZone> {
        for limit in network.classes.iter().flat_map(|class| &class.limits) {
            Meter::new(&limit.window)?;
        }
        Ok(Self {
            network,
            throttled_count: false,
            accounts: BTreeMap::new(),
            facts: BTreeMap::new(),
            real_limits: BTreeMap::new(),
            tallies: BTreeMap::new(),
        })
    }

    /// Whether refused calls count towards the limit that refused them, as at Facebook, where they lengthen the block. At most as
    /// much again as the limit is counted.
    pub fn count_throttled(mut self, counts: bool) -> Self {
        self.throttled_count = counts;
        self
    }

    /// Sets what a limit really is, whatever the catalogue says: for one account (as [`Usage::account`] names it), or for all that
    /// have no number of their own.
    pub fn set_limit(&mut self, limit: LimitKey, account: Option<&str>, allowed: u64) {
        self.real_limits.insert((limit, account.map(str::to_owned)), allowed);
    }

    /// Tells a fact that formulas are computed from, for every account of the caller.
    pub fn set_fact(&mut self, caller: &Caller<'_>, fact: &str, value: u64) {
        for owner in [Owner::Token, Owner::Person, Owner::AppPerson, Owner::Profile, Owner::App] {
            self.facts.insert((owner, caller.account(owner), fact.to_owned()), value);
        }
    }

    /// Opens the accounts of a caller, from when on they count as capacity. The address is known only from a call.
    pub fn open_accounts(&mut self, now: Timestamp, caller: &Caller<'_>) {
        for (limit, rule) in limits_of(&self.network.clone()) {
            if rule.holds_for(caller.kind) && rule.owner != Owner::Address {
                self.account(now, &limit, &caller.account(rule.owner));
            }
        }
    }

    /// Judges one call of `operation` at `now`, and charges it if it is let through.
    pub fn call(&mut self, now: Timestamp, caller: &Caller<'_>, operation: &Operation) -> Outcome {
        self.draw(now, caller, &operation.costs)
    }

    /// Judges one call that costs `costs` at `now`, and charges it if it is let through.
    pub fn draw(&mut self, now: Timestamp, caller: &Caller<'_>, costs: &[Cost]) -> Outcome {
        let draws = self.draws(caller, costs);
        let refusing = draws.iter().find(|draw| {
            let meter = &mut self.account(now, &draw.limit, &draw.account).meter;
            !meter.admits(now, draw.allowed, draw.units, caller.key)
        });
        let verdict = match refusing {
            Some(draw) => self.refuse(now, draw, caller.key),
            None => self.admit(now, &draws, caller.key),
        };
        let usage = draws.iter().map(|draw| self.usage(now, draw, caller.key)).collect();
        Outcome { verdict, usage }
    }

    /// Somebody else spends up to `units` of a class for every limit of `owner`, out of the accounts of `callers`, once per account.
    /// Only what is left can be spent. Returns the most that was taken from one account.
    pub fn spend_elsewhere(
        &mut self,
        now: Timestamp,
        callers: &[Caller<'_>],
        class: &ClassId,
        owner: Owner,
        units: u64,
    ) -> u64 {
        let cost = [Cost { class: class.clone(), units }];
        let draws = callers.iter().flat_map(|caller| self.draws(caller, &cost)).filter(|draw| draw.owner == owner);
        let accounts: BTreeMap<_, _> = draws.map(|draw| ((draw.limit, draw.account), draw.allowed)).collect();
        let mut most = 0;
        for ((limit, account), allowed) in accounts {
            let taken = self.account(now, &limit, &account).meter.charge_elsewhere(now, allowed, units);
            self.tallies.entry(limit).or_default().used_elsewhere += taken;
            most = most.max(taken);
        }
        most
    }

    /// Forgets what counts in a class, as after a reset before its time. Budgets are topped up by it.
    pub fn reset_early(&mut self, now: Timestamp, class: &ClassId) {
        for ((limit, _), account) in &mut self.accounts {
            if limit.class == *class {
                account.given_back += account.meter.clear(now);
            }
        }
    }

    /// What happened under every limit until `now`.
    pub fn report(&mut self, now: Timestamp) -> Vec<LimitReport> {
        let network = self.network.clone();
        limits_of(&network).map(|(limit, rule)| self.report_one(now, limit, rule)).collect()
    }

    fn report_one(&mut self, now: Timestamp, limit: LimitKey, rule: &LimitRule) -> LimitReport {
        let tally = self.tallies.get(&limit).copied().unwrap_or_default();
        let mut accounts = 0;
        let mut capacity: u64 = 0;
        for ((key, account), state) in &self.accounts {
            if *key == limit {
                let allowed = self.allowed(&limit, rule, account);
                let offered = state.meter.capacity(state.seen_at, now, allowed).saturating_add(state.given_back);
                capacity = capacity.saturating_add(offered);
                accounts += 1;
            }
        }
        LimitReport {
            class: limit.class,
            place: limit.place,
            owner: rule.owner,
            accounts,
            admitted: tally.admitted,
            throttled: tally.throttled,
            used: tally.used,
            used_elsewhere: tally.used_elsewhere,
            capacity,
        }
    }

    fn refuse(&mut self, now: Timestamp, draw: &Draw, key: &str) -> Verdict {
        self.tallies.entry(draw.limit.clone()).or_default().throttled += 1;
        let counts = self.throttled_count;
        let meter = &mut self.account(now, &draw.limit, &draw.account).meter;
        if counts && meter.used(now) < draw.allowed.saturating_mul(2) {
            meter.charge(now, draw.units, key);
        }
        let resets_at = meter.opens_at(now, draw.allowed, draw.units, key);
        Verdict::Refused { limit: draw.limit.clone(), owner: draw.owner, resets_at }
    }

    fn admit(&mut self, now: Timestamp, draws: &[Draw], key: &str) -> Verdict {
        for draw in draws {
            let meter = &mut self.account(now, &draw.limit, &draw.account).meter;
            let charged = meter.charge(now, draw.units, key);
            let tally = self.tallies.entry(draw.limit.clone()).or_default();
            tally.admitted += 1;
            tally.used += charged;
        }
        Verdict::Admitted
    }

    fn draws(&self, caller: &Caller<'_>, costs: &[Cost]) -> Vec<Draw> {
        let mut draws: Vec<Draw> = Vec::new();
        for cost in costs.iter().filter(|cost| cost.units > 0) {
            for (limit, rule) in limits_of(&self.network) {
                if limit.class != cost.class || !rule.holds_for(caller.kind) {
                    continue;
                }
                if let Some(draw) = draws.iter_mut().find(|draw| draw.limit == limit) {
                    draw.units += cost.units;
                    continue;
                }
                let account = caller.account(rule.owner);
                let allowed = self.allowed(&limit, rule, &account);
                draws.push(Draw { limit, owner: rule.owner, account, units: cost.units, allowed });
            }
        }
        draws
    }

    fn allowed(&self, limit: &LimitKey, rule: &LimitRule, account: &str) -> u64 {
        let real = |account| self.real_limits.get(&(limit.clone(), account)).copied();
        if let Some(real) = real(Some(account.to_owned())).or_else(|| real(None)) {
            return real;
        }
        match &rule.amount {
            Amount::Number(number) => *number,
            Amount::Unknown { start } => start.saturating_mul(UNKNOWN_MULTIPLE),
            Amount::Formula { factor, fact, at_least, start } => {
                let value = self.facts.get(&(rule.owner, account.to_owned(), fact.clone()));
                value.map_or(*start, |value| factor.saturating_mul(*value.max(at_least)))
            }
        }
    }

    fn account(&mut self, now: Timestamp, limit: &LimitKey, account: &str) -> &mut Account {
        let window = &limits_of(&self.network)
            .find_map(|(key, rule)| (key == *limit).then_some(rule))
            .expect("limit keys are made from the network's own limits")
            .window;
        let opened = self.accounts.entry((limit.clone(), account.to_owned())).or_insert_with(|| Account {
            meter: Meter::new(window).expect("every zone was checked when the books were opened"),
            seen_at: now,
            given_back: 0,
        });
        opened.meter.forget(now);
        opened
    }

    fn usage(&mut self, now: Timestamp, draw: &Draw, key: &str) -> Usage {
        let class = self.network.classes.iter().find(|class| class.id == draw.limit.class);
        let (unit, window) = class
            .map(|class| (class.unit, class.limits[draw.limit.place].window.clone()))
            .expect("draws are made from the network's own limits");
        let meter = &self.account(now, &draw.limit, &draw.account).meter;
        Usage {
            limit: draw.limit.clone(),
            owner: draw.owner,
            account: draw.account.clone(),
            unit,
            window,
            allowed: draw.allowed,
            used: meter.used(now),
            resets_at: meter.resets_at(now),
            opens_at: meter.opens_at(now, draw.allowed, 1, key),
        }
    }
}

fn limits_of(network: &Network) -> impl Iterator<Item = (LimitKey, &LimitRule)> {
    network.classes.iter().flat_map(|class| {
        let key = |place| LimitKey { class: class.id.clone(), place };
        class.limits.iter().enumerate().map(move |(place, rule)| (key(place), rule))
    })
}
