//! A network as judge, with the teams' tokens on it, and what it counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use token_broker::base::clock::{Clock, ManualClock, Timestamp};
use token_broker::base::ids::{ClassId, OperationId};
use token_broker::domain::networks::{Catalogue, Network, Purpose, Window};
use token_broker::sim::{Answer, CallRequest, HttpAnswer, LimitKey, Simulation, TokenSpec};

use crate::ground::token_of;

/// Midnight in Los Angeles, where YouTube's day begins.
pub const START: Timestamp = Timestamp::from_secs(1_782_889_200);
/// The share of each limit that belongs to the owner, in percent.
pub const RESERVE: u64 = 10;

/// One network, one operation, two or more equal teams.
#[derive(Debug, Clone)]
pub struct Case {
    pub network: &'static str,
    pub kind: &'static str,
    pub operation: &'static str,
    pub teams: usize,
    pub tokens_per_team: usize,
    pub workers_per_team: usize,
    /// Facts of every token's profile.
    pub facts: &'static [(&'static str, u64)],
    /// A limit of the app that the operator bought more of: class and amount.
    pub bought: Option<(&'static str, u64)>,
}

/// The networks with limits of the most different kinds: fixed windows per person, a rolling day per profile, a day per app,
/// minutes per person beside a paced limit, a rolling minute per app.
pub const CASES: [Case; 5] = [
    Case {
        network: "x",
        kind: "user",
        operation: "tweets.search_recent",
        teams: 2,
        tokens_per_team: 4,
        workers_per_team: 8,
        facts: &[],
        bought: Some(("post_reads", 1_000_000_000_000)),
    },
    Case {
        network: "facebook",
        kind: "page",
        operation: "page.insights",
        teams: 2,
        tokens_per_team: 2,
        workers_per_team: 4,
        facts: &[("engaged_users", 2)],
        bought: None,
    },
    Case {
        network: "youtube",
        kind: "user",
        operation: "channels.list",
        teams: 3,
        tokens_per_team: 2,
        workers_per_team: 4,
        facts: &[],
        bought: None,
    },
    Case {
        network: "pinterest",
        kind: "user",
        operation: "pins.list",
        teams: 2,
        tokens_per_team: 1,
        workers_per_team: 6,
        facts: &[],
        bought: None,
    },
    Case {
        network: "tiktok",
        kind: "user",
        operation: "video.list",
        teams: 2,
        tokens_per_team: 3,
        workers_per_team: 4,
        facts: &[],
        bought: None,
    },
];

/// The judge: the simulated network on virtual time, with what it counted per account.
pub struct Judge {
    pub network: Arc<Network>,
    pub case: Case,
    pub operation: usize,
    pub purpose: Purpose,
    pub clock: Arc<ManualClock>,
    simulation: Simulation,
    operation_id: OperationId,
    accounts: BTreeMap<(LimitKey, String), Account>,
    /// Calls let through, per team.
    pub admitted: Vec<u64>,
    pub throttled: u64,
}

#[derive(Debug)]
struct Account {
    window: Window,
    allowed: u64,
    total: u64,
    /// The windows that the network opened: its end and what was used in it, in order.
    windows: Vec<(Timestamp, u64)>,
    /// Whole windows that went by while nobody called.
    missed: u64,
}

/// How much of one limit was used.
#[derive(Debug, Clone)]
pub struct Used {
    pub class: ClassId,
    pub used: u64,
    pub usable: u64,
    /// What the clock alone would allow: windows without a pause between them.
    pub by_clock: u64,
}

impl Used {
    pub fn share(&self) -> f64 {
        self.used as f64 / self.usable.max(1) as f64
    }
}

impl Judge {
    pub fn new(catalogue: &Catalogue, case: &Case, seed: u64) -> Self {
        let network = catalogue.network(case.network).expect("the case names a network of the catalogue").clone();
        let operation = network.operation_index(case.operation).expect("the case names an operation of the network");
        let clock = Arc::new(ManualClock::at(START));
        let simulation = Simulation::new([network.clone()], clock.clone(), seed).expect("the catalogue was checked");
        for number in 0..case.teams * case.tokens_per_team {
            let token = token_of(&network, case.kind, "any", number);
            let mut spec = TokenSpec::of_kind(&network, &token.kind, &secret(number), &token.person);
            spec.app = token.app.to_string();
            spec.profiles = token.profiles;
            spec.facts = case.facts.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
            simulation.add_token(&network.id, spec).expect("the network is simulated");
        }
        if let Some((class, allowed)) = case.bought {
            let limit = LimitKey { class: class.parse().expect("a slug"), place: 0 };
            simulation.set_limit(&network.id, limit, None, allowed).expect("the network is simulated");
        }
        let collects = |purpose: &&Purpose| matches!(purpose, Purpose::CollectContent | Purpose::CollectStatistics);
        let entry = &network.operations[operation];
        Self {
            purpose: *entry.purposes.iter().find(collects).expect("the operation collects"),
            operation_id: entry.id.clone(),
            operation,
            simulation,
            clock,
            case: case.clone(),
            accounts: BTreeMap::new(),
            admitted: vec![0; case.teams],
            throttled: 0,
            network,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The team that owns a token.
    pub fn team_of(&self, token: usize) -> usize {
        token / self.case.tokens_per_team
    }

    /// The tokens of a team.
    pub fn tokens_of(&self, team: usize) -> std::ops::Range<usize> {
        team * self.case.tokens_per_team..(team + 1) * self.case.tokens_per_team
    }

    /// One call with a token, now.
    pub fn call(&mut self, token: usize) -> Answer {
        let secret = secret(token);
        let request = CallRequest {
            network: &self.network.id,
            secret: &secret,
            operation: Some(&self.operation_id),
            profile: None,
            key: "",
            address: "127.0.0.1",
        };
        let answer = self.simulation.call(&request).expect("the network is simulated");
        let admitted = answer.is_admitted();
        if admitted {
            let team = self.team_of(token);
            self.admitted[team] += 1;
        } else {
            assert!(answer.refused_until().is_some(), "a token was refused: {:?}", answer.ruling);
            self.throttled += 1;
        }
        self.note(&answer, admitted);
        answer
    }

    /// The answer as it goes over the wire.
    pub fn http(&self, answer: &Answer) -> HttpAnswer {
        let operation = &self.network.operations[self.operation];
        HttpAnswer::of(&self.network, Some(operation), answer).expect("no answer is dropped here")
    }

    fn note(&mut self, answer: &Answer, admitted: bool) {
        let costs = &self.network.operations[self.operation].costs;
        for usage in &answer.usage {
            let units = costs.iter().filter(|cost| cost.class == usage.limit.class).map(|cost| cost.units).sum::<u64>();
            let units = if admitted { units } else { 0 };
            let key = (usage.limit.clone(), usage.account.clone());
            let account = self.accounts.entry(key).or_insert_with(|| Account {
                window: usage.window.clone(),
                allowed: usage.allowed,
                total: 0,
                windows: Vec::new(),
                missed: 0,
            });
            account.total += units;
            if let Window::Fixed { .. } | Window::Daily { .. } = usage.window {
                account.note_window(answer.at, usage.resets_at, units);
            }
        }
    }

    /// How much was used of each limit that the operation draws from, until `end`; the tightest first.
    pub fn used(&self, end: Timestamp) -> Vec<Used> {
        let mut by_limit: BTreeMap<&LimitKey, Used> = BTreeMap::new();
        for ((limit, _), account) in &self.accounts {
            let (used, usable, by_clock) = account.used(end);
            let sum =
                by_limit.entry(limit).or_insert(Used { class: limit.class.clone(), used: 0, usable: 0, by_clock: 0 });
            sum.used += used;
            sum.usable += usable;
            sum.by_clock += by_clock;
        }
        let mut all: Vec<Used> = by_limit.into_values().collect();
        all.sort_by(|one, other| other.share().total_cmp(&one.share()));
        all
    }

    /// Jain's index over the teams' calls: 1 if all got the same.
    pub fn fairness(&self) -> f64 {
        let sum: f64 = self.admitted.iter().map(|calls| *calls as f64).sum();
        let squares: f64 = self.admitted.iter().map(|calls| (*calls as f64).powi(2)).sum();
        if squares == 0.0 { 0.0 } else { sum * sum / (self.admitted.len() as f64 * squares) }
    }
}

impl Account {
    fn note_window(&mut self, now: Timestamp, ends: Timestamp, units: u64) {
        match self.windows.last_mut() {
            Some((last, used)) if *last >= ends => *used += units,
            last => {
                if let (Some((last, _)), Some(length)) = (last, length(&self.window)) {
                    self.missed += (now.since(*last).as_micros() / length.as_micros()) as u64;
                }
                self.windows.push((ends, units));
            }
        }
    }

    /// Used, usable (the cap in each window that was, or could have been, opened) and usable by the clock alone.
    fn used(&self, end: Timestamp) -> (u64, u64, u64) {
        let cap = self.allowed - self.allowed * RESERVE / 100;
        let span = length(&self.window).map_or(Duration::MAX, |length| length.max(Duration::from_micros(1)));
        let spans = end.since(START).as_micros().div_ceil(span.as_micros()).max(1) as u64;
        let by_clock = cap.saturating_mul(spans);
        if self.windows.is_empty() {
            return (self.total, by_clock, by_clock);
        }
        // A window that is not over is not judged, unless there is no other.
        let over = self.windows.iter().filter(|(ends, _)| *ends <= end);
        let (windows, used) = over.fold((0, 0), |(windows, sum), (_, used)| (windows + 1, sum + used));
        if windows == 0 {
            return (self.total, cap, cap);
        }
        (used, cap * (windows + self.missed), by_clock)
    }
}

fn length(window: &Window) -> Option<Duration> {
    match window {
        Window::Fixed { length, .. } | Window::Rolling { length } | Window::Distinct { length } => Some(*length),
        Window::Daily { .. } => Some(Duration::from_secs(24 * 3600)),
        Window::Paced { per } => Some(*per),
        Window::Budget => None,
    }
}

/// What the network knows a token by.
fn secret(number: usize) -> String {
    format!("secret-{number}")
}
