//! Two weeks over all networks, with everything that goes wrong: spoilt answers, lost replies, other people who spend from the same
//! accounts within the owner's reserve, changed passwords, blanket resets, limits that are reset early.
//!
//! The simulated networks judge: no call is over a limit; and the books are looked at: nothing is over-granted, no token is believed
//! dead that lives, and once the faults are over every operation is served again. `SIM_HOURS` (2; two weeks are
//! 336) and `SIM_SEED` (1) set the size; a failure names network and seed.

#![expect(clippy::unwrap_used, reason = "a test panics where something is wrong")]

#[path = "../benches/ground/mod.rs"]
mod ground;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use token_broker::base::clock::{Clock, ManualClock, Timestamp};
use token_broker::base::ids::LeaseId;
use token_broker::domain::networks::{
    self, Catalogue, ErrorClass, LimitRule, Network, Owner, Purpose, Unit, Window, classify, read_usage,
};
use token_broker::domain::pool::{AcquireRequest, AppTerms, CallReport, Effect, Pool, PoolSettings, Refusal, Verdict};
use token_broker::domain::token::{Finding, Token};
use token_broker::sim::{CallRequest, Fault, HttpAnswer, LimitKey, NetworkFault, Ruling, Simulation, TokenSpec};

const START: Timestamp = Timestamp::from_secs(1_782_889_200);
const PERSONS: usize = 3;
const TEAMS: [&str; 2] = ["acme", "beta"];
const FACTS: [(&str, u64); 4] = [("engaged_users", 1), ("impressions", 11), ("app_users", 4), ("messageable_users", 2)];
/// So much of each limit belongs to the owner; others spend no more than that.
const RESERVE_PERCENT: u64 = 10;

#[test]
fn the_networks_see_no_call_over_a_limit() {
    let hours = number("SIM_HOURS", 2);
    let seed = number("SIM_SEED", 1);
    for network in Catalogue::embedded().iter() {
        let operations = collecting(network);
        if operations.is_empty() {
            continue;
        }
        let mut world = World::new(network, operations, seed);
        world.live(Duration::from_secs(hours * 3600));
        world.heal();
        world.check_leaks();
        world.check_liveness();
        world.summarise(hours);
    }
}

fn number(name: &str, default: u64) -> u64 {
    ground::setting(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// The operations that collect, each with the purpose it is leased for.
fn collecting(network: &Network) -> Vec<(usize, Purpose)> {
    let collects = |purpose: &&Purpose| matches!(purpose, Purpose::CollectContent | Purpose::CollectStatistics);
    let purpose = |at: usize| Some((at, *network.operations[at].purposes.iter().find(collects)?));
    (0..network.operations.len()).filter_map(purpose).collect()
}

struct World {
    network: Arc<Network>,
    operations: Vec<(usize, Purpose)>,
    seed: u64,
    random: StdRng,
    clock: Arc<ManualClock>,
    judge: Simulation,
    pool: Pool,
    tokens: Vec<Token>,
    secrets: Vec<String>,
    /// Tokens that the network killed.
    killed: BTreeSet<usize>,
    workers: Vec<Worker>,
    leases: u128,
    /// When somebody else may spend from an account again.
    foreign: BTreeMap<(LimitKey, String), Timestamp>,
    calls: u64,
    refused: u64,
}

struct Worker {
    lease: LeaseId,
    token: usize,
    operation: usize,
    keys: Vec<String>,
    left: u64,
    use_by: Timestamp,
    /// Calls made and not reported yet.
    unreported: u64,
    sequence: u64,
}

impl World {
    fn new(network: &Arc<Network>, operations: Vec<(usize, Purpose)>, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let judge = Simulation::new([network.clone()], clock.clone(), seed).unwrap();
        let facts: BTreeMap<String, u64> = FACTS.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        // Budgets never come back, so a long run needs large ones.
        let budgets: Vec<_> = limits(network).into_iter().filter(|(_, rule)| rule.window == Window::Budget).collect();
        let plenty = 1_000_000_000_000;
        for (limit, _) in &budgets {
            judge.set_limit(&network.id, limit.clone(), None, plenty).unwrap();
        }
        let limits = budgets.into_iter().map(|(limit, _)| (limit.class, plenty)).collect();
        let apps = BTreeMap::from([("default".parse().unwrap(), AppTerms { facts: facts.clone(), limits })]);
        let settings = PoolSettings { apps, ..PoolSettings::default() };
        let mut world = Self {
            pool: Pool::new(network.clone(), settings),
            network: network.clone(),
            operations,
            seed,
            random: StdRng::seed_from_u64(seed ^ u64::from(crc32(network.id.as_str()))),
            clock,
            judge,
            tokens: Vec::new(),
            secrets: Vec::new(),
            killed: BTreeSet::new(),
            workers: Vec::new(),
            leases: 0,
            foreign: BTreeMap::new(),
            calls: 0,
            refused: 0,
        };
        for kind in network.kinds.iter().map(|kind| kind.id.clone()) {
            for team in TEAMS {
                for _ in 0..PERSONS {
                    world.add_token(kind.as_str(), team, &facts);
                }
            }
        }
        world
    }

    fn add_token(&mut self, kind: &str, team: &str, facts: &BTreeMap<String, u64>) {
        let number = self.tokens.len();
        let token = Token { facts: facts.clone(), ..ground::token_of(&self.network, kind, team, number) };
        self.pool.put_token(&token, None, Vec::new(), START).unwrap();
        let secret = format!("secret-{number}");
        let mut spec = TokenSpec::of_kind(&self.network, &token.kind, &secret, &token.person);
        spec.app = token.app.to_string();
        spec.profiles = token.profiles.clone();
        spec.facts = facts.clone();
        self.judge.add_token(&self.network.id, spec).unwrap();
        self.tokens.push(token);
        self.secrets.push(secret);
    }

    fn place(&self) -> String {
        format!("{} with SIM_SEED={} at {}", self.network.id, self.seed, self.clock.now())
    }

    /// Random demand and random faults for a span.
    fn live(&mut self, span: Duration) {
        let end = START + span;
        while self.clock.now() < end {
            // Hours of much demand, of some and of little, one after another.
            let hour = self.clock.now().since(START).as_secs() / 3600;
            let longest = [20_000, 1_000, 5_000, 60_000][(hour % 4) as usize];
            let pause = self.random.random_range(10..longest);
            self.clock.advance(Duration::from_millis(pause));
            self.let_time_pass();
            match self.random.random_range(0..100) {
                0 => self.misfortune(),
                1..50 => self.ask(),
                _ => self.work(),
            }
            assert_eq!(self.pool.over_granted(), 0, "{}", self.place());
        }
    }

    fn let_time_pass(&mut self) {
        let now = self.clock.now();
        self.pool.advance(now);
        self.pool.expire(now);
        // There is no store to tell.
        self.pool.take_updates();
        let pool = &self.pool;
        self.workers.retain(|worker| pool.lease(worker.lease).is_some());
    }

    fn ask(&mut self) {
        if self.workers.len() >= 40 {
            return;
        }
        let (operation, purpose) = self.operations[self.random.random_range(0..self.operations.len())];
        let team = TEAMS[self.random.random_range(0..TEAMS.len())];
        let calls = self.random.random_range(1..=60);
        let request = self.request(operation, purpose, team, calls);
        let keys = request.keys.clone();
        match self.pool.acquire(self.clock.now(), &request) {
            Ok(acquired) => {
                assert!(self.pool.confirm(acquired.lease, &acquired.takes), "{}", self.place());
                let (left, use_by) = (acquired.calls, acquired.use_by);
                let token = ground::number_of(acquired.token);
                self.workers.push(Worker {
                    lease: acquired.lease,
                    token,
                    operation,
                    keys,
                    left,
                    use_by,
                    unreported: 0,
                    sequence: 0,
                });
            }
            Err(Refusal::TooMany { .. } | Refusal::Limited { .. } | Refusal::Busy) => self.refused += 1,
            Err(Refusal::NoToken(why)) => {
                assert!(!self.killed.is_empty(), "{}: {why:?} for {operation}", self.place());
            }
        }
    }

    fn request(&mut self, operation: usize, purpose: Purpose, team: &str, calls: u64) -> AcquireRequest {
        self.leases += 1;
        let counts_keys = |cost: &networks::Cost| {
            self.network.class(cost.class.as_str()).is_some_and(|class| class.unit == Unit::Keys)
        };
        let by_key = self.network.operations[operation].costs.iter().any(counts_keys);
        let keys = by_key.then(|| format!("tag-{}", self.random.random_range(0..60)));
        AcquireRequest {
            lease: LeaseId::from_u128(self.leases),
            team: team.parse().unwrap(),
            collector: None,
            operation,
            calls,
            min_calls: 1,
            purpose,
            token: None,
            profile: None,
            kind: None,
            keys: keys.into_iter().collect(),
            collection: "brand".into(),
            ttl: Duration::from_secs(120),
        }
    }

    /// Some worker makes some of its calls and reports them.
    fn work(&mut self) {
        if self.workers.is_empty() {
            return;
        }
        let at = self.random.random_range(0..self.workers.len());
        let calls = self.random.random_range(1..=20);
        let mut goes_on = true;
        for _ in 0..calls {
            let worker = &self.workers[at];
            if worker.left == 0 || self.clock.now() >= worker.use_by || !goes_on {
                break;
            }
            goes_on = self.call_and_report(at) == Verdict::Keep;
            // A call takes its time.
            let took = self.random.random_range(1..200);
            self.clock.advance(Duration::from_millis(took));
        }
        self.let_time_pass();
        self.end_or_top_up(at, goes_on);
    }

    fn end_or_top_up(&mut self, at: usize, goes_on: bool) {
        let Some(worker) = self.workers.get_mut(at) else { return };
        let now = self.clock.now();
        let tops_up = goes_on && worker.keys.is_empty() && now < worker.use_by && self.random.random_bool(0.3);
        if tops_up {
            if let Ok(more) = self.pool.top_up(now, worker.lease, 10, &[]) {
                assert!(self.pool.confirm_top_up(worker.lease, &more), "what the store took can be acknowledged");
                worker.left += more.calls;
                worker.use_by = worker.use_by.min(more.use_by);
            }
        } else if !goes_on || worker.left == 0 || now >= worker.use_by || self.random.random_bool(0.2) {
            // A worker that is lost never gives its lease back; the others do.
            let worker = self.workers.remove(at);
            if !self.random.random_bool(0.05) {
                give_back(&mut self.pool, &worker, now);
            }
        }
    }

    fn call_and_report(&mut self, at: usize) -> Verdict {
        let now = self.clock.now();
        let place = self.place();
        let worker = &mut self.workers[at];
        let operation = &self.network.operations[worker.operation];
        let request = CallRequest {
            network: &self.network.id,
            secret: &self.secrets[worker.token],
            operation: Some(&operation.id),
            profile: None,
            key: worker.keys.first().map_or("", String::as_str),
            address: "127.0.0.1",
        };
        let answer = self.judge.call(&request).unwrap();
        self.calls += 1;
        assert!(answer.refused_until().is_none(), "{place}: {} is over a limit: {:?}", operation.id, answer.ruling);
        if let Ruling::Denied(denial) = answer.ruling {
            assert!(self.killed.contains(&worker.token), "{place}: {} is refused: {denial:?}", operation.id);
        }
        worker.left -= 1;
        worker.unreported += 1;
        worker.sequence += 1;
        let mut report = report_of(worker, ErrorClass::Transient);
        if let Some(http) = HttpAnswer::of(&self.network, Some(operation), &answer) {
            let seen = networks::Answer { status: http.status, headers: &http.headers, body: http.body.as_bytes() };
            let classified = classify(&self.network, &seen);
            report.class = classified.class;
            report.retry_after = classified.retry_after;
            report.readings = read_usage(&self.network, &http.headers, now);
        }
        // A worker may report what was served together with the next calls, and what the network said with the last of them.
        if report.class == ErrorClass::Ok && self.random.random_bool(0.3) {
            return Verdict::Keep;
        }
        worker.unreported = 0;
        let token = worker.token;
        let reported = self.pool.report(now, worker.lease, &report).unwrap();
        for effect in &reported.effects {
            if let Effect::Found { finding: Finding::Dead(reason), .. } = effect {
                assert!(self.killed.contains(&token), "{place}: a token that lives is buried: {reason:?}");
            }
        }
        reported.verdict
    }

    fn misfortune(&mut self) {
        let share = self.random.random_range(0.0..0.2);
        let counted = self.random.random_bool(0.5);
        match self.random.random_range(0..10) {
            0 => self.inject(Fault::DropReplies { share }),
            1 => self.inject(Fault::ServerErrors { share, status: 502, counted }),
            2 => self.inject(Fault::HtmlPages { share, status: 503, counted }),
            3 => self.inject(Fault::Calm),
            4 => self.change_a_password(),
            5 if self.random.random_bool(0.05) => self.reset_all_tokens(),
            6 => self.reset_early(),
            7 => self.reconnect(),
            _ => self.spend_elsewhere(),
        }
    }

    fn inject(&self, fault: Fault) {
        let order = NetworkFault { network: self.network.id.clone(), fault };
        self.judge.inject(&order).unwrap_or_else(|error| panic!("{}: {error}", self.place()));
    }

    fn change_a_password(&mut self) {
        let token = self.random.random_range(0..self.tokens.len());
        self.inject(Fault::ChangePassword { person: self.tokens[token].person.clone() });
        self.killed.insert(token);
    }

    fn reset_all_tokens(&mut self) {
        self.inject(Fault::ResetTokens);
        self.killed.extend(0..self.tokens.len());
    }

    fn reset_early(&mut self) {
        let class = self.random.random_range(0..self.network.classes.len());
        self.inject(Fault::ResetEarly { class: self.network.classes[class].id.clone() });
    }

    /// The people connect all dead tokens anew.
    fn reconnect(&mut self) {
        let now = self.clock.now();
        for token in std::mem::take(&mut self.killed) {
            let known = &mut self.tokens[token];
            known.version += 1;
            let secret = format!("secret-{token}-{}", known.version);
            self.judge.renew_token(&self.network.id, &self.secrets[token], &secret, None).unwrap();
            self.secrets[token] = secret;
            self.pool.put_token(known, None, Vec::new(), now).unwrap();
            // A lease shows the secret it was opened with: its holder has to ask anew.
            let pool = &mut self.pool;
            self.workers.retain(|worker| {
                let stays = worker.token != token;
                if !stays {
                    give_back(pool, worker, now);
                }
                stays
            });
        }
    }

    /// Somebody else spends from one account, in any two windows together no more than the owner's reserve.
    fn spend_elsewhere(&mut self) {
        let all = limits(&self.network);
        let (limit, rule) = &all[self.random.random_range(0..all.len())];
        let token = self.random.random_range(0..self.tokens.len());
        if !rule.holds_for(&self.tokens[token].kind) {
            return;
        }
        let of = self.owner_of(rule.owner, token);
        let Some(of) = of else { return };
        let now = self.clock.now();
        let length = match &rule.window {
            Window::Fixed { length, .. } | Window::Rolling { length } | Window::Distinct { length } => *length,
            Window::Daily { .. } => Duration::from_secs(24 * 3600),
            Window::Paced { .. } | Window::Budget => return,
        };
        // Spending hits every limit of the class that the same owner has; the smallest one counts.
        let same = all.iter().filter(|(other, entry)| other.class == limit.class && entry.owner == rule.owner);
        let least = same.map(|(_, entry)| least_amount(entry)).min().unwrap_or(0);
        let units = least * RESERVE_PERCENT / 100;
        let again = self.foreign.get(&(limit.clone(), of.clone()));
        if again.is_some_and(|again| *again > now) || units == 0 {
            return;
        }
        let others = all.iter().filter(|(other, entry)| other.class == limit.class && entry.owner == rule.owner);
        for (other, _) in others {
            self.foreign.insert((other.clone(), of.clone()), now + length.max(Duration::from_secs(24 * 3600)) * 2);
        }
        self.inject(Fault::SpendElsewhere { class: limit.class.clone(), owner: rule.owner, of, units });
    }

    fn owner_of(&self, owner: Owner, token: usize) -> Option<String> {
        match owner {
            Owner::Token => Some(self.secrets[token].clone()),
            Owner::Person | Owner::AppPerson => Some(self.tokens[token].person.clone()),
            Owner::Profile => self.tokens[token].profiles.first().cloned(),
            Owner::App => Some(self.tokens[token].app.to_string()),
            Owner::Address => None,
        }
    }

    /// The faults end, the people reconnect, and all windows go by.
    fn heal(&mut self) {
        self.inject(Fault::Calm);
        self.killed.extend(0..self.tokens.len());
        self.reconnect();
        self.clock.advance(Duration::from_secs(15 * 24 * 3600));
        self.let_time_pass();
    }

    /// All credit that comes back by time has come back.
    fn check_leaks(&self) {
        for bucket in self.pool.all_buckets().iter().filter(|bucket| bucket.window != Window::Budget) {
            assert_eq!((bucket.spent, bucket.outstanding), (0, 0), "{}: {} leaks", self.place(), bucket.key);
        }
    }

    /// Every operation is served again, and its call let through.
    fn check_liveness(&mut self) {
        for (operation, purpose) in self.operations.clone() {
            for team in TEAMS {
                let request = self.request(operation, purpose, team, 1);
                let keys = request.keys.clone();
                let mut acquired = self.pool.acquire(self.clock.now(), &request);
                for _ in 0..20 {
                    let Err(Refusal::Limited { until, .. }) = acquired else { break };
                    self.clock.set(until);
                    acquired = self.pool.acquire(until, &request);
                }
                let acquired = acquired.unwrap_or_else(|refusal| {
                    panic!("{}: {} is not served: {refusal:?}", self.place(), self.network.operations[operation].id)
                });
                self.pool.confirm(acquired.lease, &acquired.takes);
                let token = ground::number_of(acquired.token);
                let (left, use_by) = (acquired.calls, acquired.use_by);
                let lease = acquired.lease;
                self.workers = vec![Worker { lease, token, operation, keys, left, use_by, unreported: 0, sequence: 0 }];
                assert_eq!(self.call_and_report(0), Verdict::Keep, "{}", self.place());
                give_back(&mut self.pool, &self.workers[0], self.clock.now());
                self.clock.advance(Duration::from_secs(30));
            }
        }
    }

    fn summarise(&self, hours: u64) {
        assert!(self.calls > 0, "{}: nobody called", self.place());
        let (calls, refused) = (self.calls, self.refused);
        println!("{}: {hours} h, {calls} calls, {refused} requests told to wait, seed {}", self.network.id, self.seed);
    }
}

/// What a worker says of the calls that it has not reported yet.
fn report_of(worker: &Worker, class: ErrorClass) -> CallReport {
    CallReport {
        sequence: worker.sequence,
        used: worker.unreported,
        unused: 0,
        throttled: 0,
        errors: 0,
        answered: true,
        answered_at: None,
        class,
        retry_after: None,
        readings: Vec::new(),
    }
}

/// A worker reports its last calls and gives its lease back.
fn give_back(pool: &mut Pool, worker: &Worker, now: Timestamp) {
    if worker.unreported > 0 {
        let last = CallReport { sequence: worker.sequence + 1, ..report_of(worker, ErrorClass::Ok) };
        let _ = pool.report(now, worker.lease, &last);
    }
    let _ = pool.release(now, worker.lease, true);
}

fn limits(network: &Network) -> Vec<(LimitKey, LimitRule)> {
    let of_class = |class: &networks::CreditClass| {
        let class_id = class.id.clone();
        let key = move |place| LimitKey { class: class_id.clone(), place };
        class.limits.iter().cloned().enumerate().map(move |(place, rule)| (key(place), rule)).collect::<Vec<_>>()
    };
    network.classes.iter().flat_map(of_class).collect()
}

/// The least that a limit can be, given the facts of this test.
fn least_amount(rule: &LimitRule) -> u64 {
    let fact = |name: &str| FACTS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    token_broker::domain::credit::limit(&rule.amount, fact)
}

/// A number from a name, to give each network its own chance.
fn crc32(text: &str) -> u32 {
    text.bytes().fold(17, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
}
