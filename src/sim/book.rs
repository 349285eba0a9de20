//! The books of one simulated network: who was charged what, by the limits that the catalogue documents.
//!
//! A call draws from every limit of every class that its operation costs, in one step or from none. Nothing is admitted over a
//! limit. The limits are the network's real ones: numbers, formulas over facts, and where the catalogue knows none, a hidden number
//! that a client can only find out. HTTP, tokens and faults are left to the rest of the simulation.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::meter::{Meter, UnknownZone};
use super::report::{LimitReport, WindowReport};
use super::verdict::{Caller, LimitKey, Outcome, Usage, Verdict};
use crate::base::clock::Timestamp;
use crate::base::ids::ClassId;
use crate::domain::networks::{Amount, Cost, LimitRule, Network, Operation, Owner};

/// What a hidden limit is, as a multiple of the value that the catalogue starts from.
pub const UNKNOWN_MULTIPLE: u64 = 3;

/// How many windows of one account are remembered after their end; the oldest are forgotten first.
const WINDOWS_KEPT: usize = 4096;

/// The books of one network.
#[derive(Debug)]
pub struct Books {
    network: Arc<Network>,
    seed: u64,
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
    /// Windows that are over: beginning, end, what was charged.
    over: VecDeque<(Timestamp, Timestamp, u64)>,
}

impl Account {
    /// Lets time pass: what no longer counts is forgotten, and a window that is over is remembered.
    fn advance(&mut self, now: Timestamp) {
        if let Some(window) = self.meter.window().filter(|(_, ends, _)| *ends <= now) {
            self.over.push_back(window);
            if self.over.len() > WINDOWS_KEPT {
                self.over.pop_front();
            }
        }
        self.meter.forget(now);
    }
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
    /// Empty books. The seed decides where each account's fixed windows begin, if only the network knows.
    ///
    /// # Errors
    /// When a daily window names a zone that does not exist.
    pub fn new(network: Arc<Network>, seed: u64) -> Result<Self, UnknownZone> {
        for limit in network.classes.iter().flat_map(|class| &class.limits) {
            Meter::new(&limit.window, seed)?;
        }
        Ok(Self {
            network,
            seed,
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

    /// The windows of every account, account by account and in the order of time: those that are over, then what counts now.
    pub fn windows(&mut self, now: Timestamp) -> Vec<WindowReport> {
        let keys: Vec<_> = self.accounts.keys().cloned().collect();
        let network = self.network.clone();
        let mut windows = Vec::new();
        for (limit, account) in keys {
            let Some(rule) = limits_of(&network).find_map(|(key, rule)| (key == limit).then_some(rule)) else {
                continue;
            };
            let allowed = self.allowed(&limit, rule, &account);
            let state = self.account(now, &limit, &account);
            let open = (state.meter.used(now) > 0).then(|| {
                let ends = state.meter.window().map(|(begins, ends, _)| (begins, Some(ends)));
                (ends.unwrap_or((state.seen_at, None)), state.meter.used(now))
            });
            let over = state.over.iter().map(|(begins, ends, used)| ((*begins, Some(*ends)), *used));
            windows.extend(over.chain(open).map(|((begins, ends), used)| WindowReport {
                class: limit.class.clone(),
                place: limit.place,
                owner: rule.owner,
                account: account.clone(),
                begins,
                ends,
                allowed,
                used,
            }));
        }
        windows
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
        if counts {
            meter.charge_throttled(now, draw.allowed, draw.units);
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
            meter: Meter::new(window, chance(self.seed, limit, account))
                .expect("every zone was checked when the books were opened"),
            seen_at: now,
            given_back: 0,
            over: VecDeque::new(),
        });
        opened.advance(now);
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

/// A number for one account under one limit: the same for the same seed, another for every other account.
fn chance(seed: u64, limit: &LimitKey, account: &str) -> u64 {
    let mut hash = crc32fast::Hasher::new_with_initial(seed as u32);
    hash.update(format!("{}/{}/{account}/{seed}", limit.class, limit.place).as_bytes());
    u64::from(hash.finalize()) * 1_000_003
}

fn limits_of(network: &Network) -> impl Iterator<Item = (LimitKey, &LimitRule)> {
    network.classes.iter().flat_map(|class| {
        let key = |place| LimitKey { class: class.id.clone(), place };
        class.limits.iter().enumerate().map(move |(place, rule)| (key(place), rule))
    })
}

#[cfg(test)]
mod tests;
