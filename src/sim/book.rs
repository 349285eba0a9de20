//! The books of one simulated network: who was charged what, by the limits that the catalogue documents.
//!
//! A call draws from every limit of every class that its operation costs, in one step or from none. Nothing is admitted over a
//! limit. The limits are the network's real ones: numbers, formulas over facts, and where the catalogue knows none, a hidden number
//! that a client can only find out. HTTP, tokens and faults are left to the rest of the simulation.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::meter::{Meter, UnknownZone};
use super::report::{LimitReport, WindowReport};
use crate::base::clock::Timestamp;
use crate::base::ids::{ClassId, KindId};
use crate::domain::networks::{Amount, Cost, LimitRule, Network, Operation, Owner, Unit, Window};

/// What a hidden limit is, as a multiple of the value that the catalogue starts from.
pub const UNKNOWN_MULTIPLE: u64 = 3;

/// How many windows of one account are remembered after their end; the oldest are forgotten first.
const WINDOWS_KEPT: usize = 4096;

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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::networks::Phase;
    use crate::sim::samples::{class, fixed, limit, network, operation, rolling};

    const START: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn at(seconds: u64) -> Timestamp {
        START + std::time::Duration::from_secs(seconds)
    }

    struct Who {
        kind: KindId,
        token: String,
        person: String,
        profile: String,
    }

    impl Who {
        fn new(token: u8, person: u8, profile: u8) -> Self {
            Self {
                kind: "user".parse().unwrap(),
                token: format!("t{token}"),
                person: format!("p{person}"),
                profile: format!("page{profile}"),
            }
        }

        fn caller(&self) -> Caller<'_> {
            Caller {
                token: &self.token,
                app: "app",
                person: &self.person,
                profile: Some(&self.profile),
                address: "127.0.0.1",
                kind: &self.kind,
                key: "k",
            }
        }
    }

    fn books(classes: Vec<crate::domain::networks::CreditClass>) -> Books {
        Books::new(Arc::new(network("sample", classes, Vec::new())), 1).unwrap()
    }

    fn admitted(books: &mut Books, seconds: u64, who: &Who, costs: &[(&str, u64)]) -> bool {
        books.call(at(seconds), &who.caller(), &operation("GET", "/", costs)).verdict == Verdict::Admitted
    }

    #[test]
    fn a_call_draws_from_all_limits_or_from_none() {
        let limits = vec![limit(Owner::Token, fixed(60), 5), limit(Owner::App, rolling(3600), 3)];
        let mut books = books(vec![class("calls", Unit::Calls, limits)]);
        let (one, two) = (Who::new(1, 1, 1), Who::new(2, 2, 2));
        for _ in 0..3 {
            assert!(admitted(&mut books, 0, &one, &[("calls", 1)]));
        }
        let refused = books.call(at(1), &two.caller(), &operation("GET", "/", &[("calls", 1)]));
        let Verdict::Refused { limit, owner, resets_at } = refused.verdict else {
            panic!("the app's limit is reached")
        };
        assert_eq!((limit.place, owner, resets_at), (1, Owner::App, at(3600)));
        assert_eq!(refused.usage[0].used, 0, "the second token's own account is untouched");
    }

    #[test]
    fn each_owner_has_its_own_account() {
        let cases = [
            (Owner::Token, [false, true, true, true]),
            (Owner::Person, [false, false, true, true]),
            (Owner::AppPerson, [false, false, true, true]),
            (Owner::Profile, [false, true, false, true]),
            (Owner::App, [false, false, false, false]),
            (Owner::Address, [false, false, false, false]),
        ];
        let others = [Who::new(1, 1, 1), Who::new(2, 1, 2), Who::new(2, 2, 1), Who::new(3, 3, 3)];
        for (owner, expected) in cases {
            let mut books = books(vec![class("calls", Unit::Calls, vec![limit(owner, fixed(60), 1)])]);
            assert!(admitted(&mut books, 0, &Who::new(1, 1, 1), &[("calls", 1)]));
            // Only asked, not charged, so that they do not disturb one another.
            let seen = others.each_ref().map(|who| {
                let account = who.caller().account(owner);
                let key = LimitKey { class: "calls".parse().unwrap(), place: 0 };
                books.account(at(1), &key, &account).meter.admits(at(1), 1, 1, "")
            });
            assert_eq!(seen, expected, "{owner:?}");
        }
    }

    #[test]
    fn limits_come_from_facts_and_hidden_numbers() {
        let mut formula = limit(Owner::Profile, rolling(60), 0);
        formula.amount = Amount::Formula { factor: 10, fact: "fans".to_owned(), at_least: 2, start: 7 };
        let mut unknown = limit(Owner::App, rolling(60), 0);
        unknown.amount = Amount::Unknown { start: 4 };
        let classes = vec![class("f", Unit::Calls, vec![formula]), class("u", Unit::Calls, vec![unknown])];
        let mut books = books(classes);
        let who = Who::new(1, 1, 1);
        let allowed = |books: &mut Books, class| {
            books.call(at(0), &who.caller(), &operation("GET", "/", &[(class, 1)])).usage[0].allowed
        };
        assert_eq!(allowed(&mut books, "f"), 7, "no fact yet");
        books.set_fact(&who.caller(), "fans", 1);
        assert_eq!(allowed(&mut books, "f"), 20, "the least value");
        books.set_fact(&who.caller(), "fans", 30);
        assert_eq!(allowed(&mut books, "f"), 300);
        assert_eq!(allowed(&mut books, "u"), 4 * UNKNOWN_MULTIPLE);
        let key = LimitKey { class: "u".parse().unwrap(), place: 0 };
        books.set_limit(key.clone(), None, 9);
        assert_eq!(allowed(&mut books, "u"), 9);
        books.set_limit(key, Some("app"), 2);
        assert_eq!(allowed(&mut books, "u"), 2);
    }

    #[test]
    fn throttled_calls_lengthen_the_block_where_they_count() {
        for (counts, expected) in [(false, true), (true, false)] {
            let mut books = books(vec![class("calls", Unit::Calls, vec![limit(Owner::App, rolling(60), 2)])]);
            books = books.count_throttled(counts);
            let who = Who::new(1, 1, 1);
            assert!(admitted(&mut books, 0, &who, &[("calls", 2)]));
            assert!(!admitted(&mut books, 50, &who, &[("calls", 2)]));
            assert_eq!(admitted(&mut books, 60, &who, &[("calls", 2)]), expected, "counts: {counts}");
        }
    }

    #[test]
    fn the_report_tells_capacity_and_use() {
        let mut books = books(vec![class("calls", Unit::Calls, vec![limit(Owner::Token, fixed(60), 10)])]);
        let (one, two) = (Who::new(1, 1, 1), Who::new(2, 2, 2));
        books.open_accounts(at(0), &one.caller());
        books.open_accounts(at(60), &two.caller());
        for _ in 0..11 {
            admitted(&mut books, 60, &one, &[("calls", 1)]);
        }
        let taken = books.spend_elsewhere(at(60), &[two.caller()], &"calls".parse().unwrap(), Owner::Token, 25);
        assert_eq!(taken, 10);
        let report = &books.report(at(61))[0];
        assert_eq!((report.accounts, report.admitted, report.throttled, report.used), (2, 10, 1, 10));
        assert_eq!((report.used_elsewhere, report.capacity), (10, 30));
        assert!((report.utilisation() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn windows_are_remembered_one_by_one() {
        let mut books = books(vec![class("calls", Unit::Calls, vec![limit(Owner::Token, fixed(60), 10)])]);
        let who = Who::new(1, 1, 1);
        for second in [0, 5, 70, 200] {
            admitted(&mut books, second, &who, &[("calls", 2)]);
        }
        let windows = books.windows(at(210));
        let seen: Vec<_> = windows.iter().map(|window| (window.begins, window.ends, window.used)).collect();
        // The minutes of the clock began 20 seconds before.
        let expected = [(-20, 4), (40, 2), (160, 2)];
        let minute = std::time::Duration::from_secs(60);
        let from = |seconds: i64| Timestamp::from_secs(START.secs() + seconds);
        assert_eq!(seen, expected.map(|(begins, used)| (from(begins), Some(from(begins) + minute), used)));
        assert!(windows.iter().all(|window| window.account == "t1" && window.allowed == 10));
    }

    #[test]
    fn each_account_has_windows_of_its_own() {
        let resets = |seed, token: &str| {
            let unknown = Window::Fixed { length: std::time::Duration::from_secs(900), phase: Phase::Network };
            let sample =
                network("sample", vec![class("calls", Unit::Calls, vec![limit(Owner::Token, unknown, 9)])], vec![]);
            let mut books = Books::new(Arc::new(sample), seed).unwrap();
            let who = Who { token: token.to_owned(), ..Who::new(1, 1, 1) };
            books.call(START, &who.caller(), &operation("GET", "/", &[("calls", 1)])).usage[0].resets_at
        };
        let names: Vec<String> = (0..20).map(|nth| format!("t{nth}")).collect();
        let all = |seed| names.iter().map(|name| resets(seed, name)).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        assert_eq!(all(1).len(), names.len(), "no two windows end together");
        assert!(all(1).iter().all(|end| (1..=900).contains(&end.since(START).as_secs())));
    }

    #[test]
    fn an_early_reset_gives_the_credit_back() {
        let mut books = books(vec![class("money", Unit::QuotaUnits, vec![limit(Owner::App, Window::Budget, 2)])]);
        let who = Who::new(1, 1, 1);
        assert!(admitted(&mut books, 0, &who, &[("money", 2)]));
        assert!(!admitted(&mut books, 100_000, &who, &[("money", 1)]));
        books.reset_early(at(100_000), &"money".parse().unwrap());
        assert!(admitted(&mut books, 100_000, &who, &[("money", 2)]));
        assert_eq!(books.report(at(100_000))[0].capacity, 4);
    }

    proptest! {
        /// Over several classes, owners and windows at once: every limit holds on the whole history of what was admitted, and a call
        /// is refused only if one of its limits would have been broken.
        #[test]
        fn every_limit_holds_over_the_whole_history(
            calls in prop::collection::vec((0u64..20, 0u8..3, 0u8..2, 0u8..2, 0usize..3), 1..150),
        ) {
            let read = vec![limit(Owner::Token, rolling(60), 4), limit(Owner::App, rolling(300), 15)];
            let write = vec![limit(Owner::Person, rolling(120), 3), limit(Owner::Profile, rolling(30), 2)];
            let classes = vec![class("read", Unit::Calls, read), class("write", Unit::Calls, write)];
            let sample = network("sample", classes.clone(), Vec::new());
            let mut books = Books::new(Arc::new(sample), 1).unwrap();
            let operations: [&[(&str, u64)]; 3] = [&[("read", 1)], &[("write", 1)], &[("read", 2), ("write", 1)]];
            let mut history: Vec<(u64, Who, usize)> = Vec::new();
            let mut now = 0;
            for (advance, token, person, profile, nth) in calls {
                now += advance;
                let who = Who::new(token, person, profile);
                let fits = classes.iter().all(|class| class.limits.iter().all(|rule| {
                    let Window::Rolling { length } = rule.window else { unreachable!() };
                    let Amount::Number(amount) = rule.amount else { unreachable!() };
                    let cost = |nth: usize| {
                        operations[nth].iter().filter(|(id, _)| *id == class.id.as_str()).map(|(_, units)| units).sum::<u64>()
                    };
                    let mine = who.caller().account(rule.owner);
                    let spent: u64 = history.iter()
                        .filter(|(then, other, _)| now - then < length.as_secs() && other.caller().account(rule.owner) == mine)
                        .map(|(_, _, nth)| cost(*nth))
                        .sum();
                    cost(nth) == 0 || spent + cost(nth) <= amount
                }));
                prop_assert_eq!(admitted(&mut books, now, &who, operations[nth]), fits);
                if fits {
                    history.push((now, who, nth));
                }
            }
            let admitted: u64 = history.iter().filter(|(_, _, nth)| *nth != 1).count() as u64;
            prop_assert_eq!(books.report(at(now))[1].admitted, admitted);
        }
    }
}
