//! A day of saturating demand on virtual time: how much of the credit that could be used is used, whether the network ever has to
//! refuse a call, and whether equal teams get the same. Beside the broker, on the same judge and seed, the ways people do it now.
//!
//! The judge is the simulated network with its own books. A figure follows from `BALANCE_SEED` and `BALANCE_HOURS` (default 24), not
//! from the machine. Targets for the broker: at least 99 % used, nothing throttled, Jain's index of at least 0.98.

mod broker;
#[path = "../ground/mod.rs"]
mod ground;
mod judge;
mod others;
mod run;

use std::time::Duration;

use serde_json::json;
use token_broker::base::clock::Timestamp;
use token_broker::domain::networks::Catalogue;

use broker::Broker;
use ground::{Table, write_json};
use judge::{CASES, Case, Judge, START};
use others::{Counters, LeastRecentlyUsed, Random, RoundRobin};
use run::Way;

const WAYS: [&str; 5] = ["token-broker", "random", "round robin", "least recently used", "counters"];

fn main() {
    // Cargo runs a bench without a harness as a test, too: there is nothing to do then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let hours = number("BALANCE_HOURS", 24);
    let seed = number("BALANCE_SEED", 1);
    let only = ground::setting("BALANCE_ONLY");
    let catalogue = Catalogue::embedded();
    let mut table = Table::new(&[
        "network",
        "class",
        "way",
        "used of usable",
        "of the clock's",
        "throttled",
        "fairness",
        "over-granted",
    ]);
    let mut rows = Vec::new();
    for case in CASES.iter().filter(|case| only.as_ref().is_none_or(|only| only == case.network)) {
        for way in WAYS {
            let row = measure(&catalogue, case, way, Duration::from_secs(hours * 3600), seed);
            table.row(&row.cells());
            rows.push(row.json());
        }
    }
    println!("{hours} hours of virtual time, seed {seed}\n\n{table}");
    write_json("balance", &json!({ "hours": hours, "seed": seed, "rows": rows }));
}

struct Row {
    network: &'static str,
    class: String,
    way: &'static str,
    used: u64,
    usable: u64,
    by_clock: u64,
    throttled: u64,
    fairness: f64,
    over_granted: u64,
}

fn measure(catalogue: &Catalogue, case: &Case, name: &'static str, span: Duration, seed: u64) -> Row {
    let mut judge = Judge::new(catalogue, case, seed);
    let mut way: Box<dyn Way> = match name {
        "token-broker" => Box::new(Broker::new(&judge, seed)),
        "random" => Box::new(Random::new(&judge, seed)),
        "round robin" => Box::new(RoundRobin::new(&judge)),
        "least recently used" => Box::new(LeastRecentlyUsed::new(&judge)),
        _ => Box::new(Counters::new(&judge)),
    };
    run::run(&mut judge, &mut *way, span, seed);
    let end: Timestamp = START + span;
    let tightest = judge.used(end).remove(0);
    Row {
        network: case.network,
        class: tightest.class.to_string(),
        way: name,
        used: tightest.used,
        usable: tightest.usable,
        by_clock: tightest.by_clock,
        throttled: judge.throttled,
        fairness: judge.fairness(),
        over_granted: way.over_granted(),
    }
}

impl Row {
    fn share(&self, of: u64) -> f64 {
        self.used as f64 / of.max(1) as f64
    }

    fn cells(&self) -> [String; 8] {
        [
            self.network.to_owned(),
            self.class.clone(),
            self.way.to_owned(),
            format!("{:.2} %", 100.0 * self.share(self.usable)),
            format!("{:.2} %", 100.0 * self.share(self.by_clock)),
            self.throttled.to_string(),
            format!("{:.4}", self.fairness),
            self.over_granted.to_string(),
        ]
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "network": self.network, "class": self.class, "way": self.way,
            "used": self.used, "usable": self.usable, "utilisation": self.share(self.usable),
            "of_the_clock": self.share(self.by_clock), "throttled": self.throttled, "fairness": self.fairness,
            "over_granted": self.over_granted,
        })
    }
}

fn number(name: &str, default: u64) -> u64 {
    ground::setting(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}
