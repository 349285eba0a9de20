//! What the benches share: tokens, leases, ids that look random and repeat, a stopwatch, memory, tables and JSON.

#![expect(dead_code, reason = "every bench uses a part of it")]

pub mod lease;
pub mod stored;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use token_broker::base::clock::Timestamp;
use token_broker::base::ids::TokenId;
use token_broker::domain::networks::{Network, Purpose};
use token_broker::domain::token::{Clocks, Token, TokenState};

/// Spreads a counter over 128 bits, as random ids are spread (the finaliser of SplitMix64, on both halves).
pub fn mix(number: u128) -> u128 {
    let half = |seed: u64| {
        let mut bits = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u128::from(bits ^ (bits >> 31))
    };
    let low = u64::try_from(number & u128::from(u64::MAX)).expect("masked to 64 bits");
    (half(low) << 64) | half(low.wrapping_add(0xA5A5_A5A5))
}

/// The id of the token of that number; [`number_of`] finds the number again.
pub fn id_of(number: usize) -> u128 {
    (mix(number as u128 + 1) & !0xFFFF_FFFF) | number as u128
}

/// The number in an id that [`id_of`] made.
pub fn number_of(token: TokenId) -> usize {
    usize::try_from(token.as_u128() & 0xFFFF_FFFF).expect("32 bits fit")
}

/// A live token with every scope and purpose of its kind, of a person and a profile of its own.
pub fn token_of(network: &Network, kind: &str, team: &str, number: usize) -> Token {
    let known = network.kind(kind).expect("the catalogue has this kind");
    let of_purposes = known.scopes.iter().flat_map(|entry| entry.scopes.iter());
    let of_operations = network.operations.iter().filter(|operation| operation.allows(&known.id));
    let of_operations = of_operations.flat_map(|operation| operation.scopes.iter());
    let mut scopes: Vec<String> = of_purposes.chain(of_operations).cloned().collect();
    scopes.sort_unstable();
    scopes.dedup();
    Token {
        id: TokenId::from_u128(id_of(number)),
        team: team.parse().expect("a slug"),
        network: network.id.clone(),
        app: "default".parse().expect("a slug"),
        kind: known.id.clone(),
        person: format!("person-{number}"),
        profiles: vec![format!("profile-{number}")],
        label: String::new(),
        granted_by: String::new(),
        scopes,
        purposes: Purpose::ALL.into_iter().collect(),
        facts: BTreeMap::new(),
        reserve_percent: None,
        max_leases: None,
        state: TokenState::Live,
        clocks: Clocks::default(),
        cooling_until: None,
        refreshed: false,
        closed: Default::default(),
        blocked_since: None,
        created_at: Timestamp::EPOCH,
        version: 1,
    }
}

/// How long `work` takes: by the clock, and in processor time of this thread, which other programs on the machine lengthen less. The
/// latter is exact to a few milliseconds; where the system does not tell it, it is the former.
#[expect(clippy::disallowed_methods, reason = "a bench measures the machine's time")]
pub fn stopwatch(work: impl FnOnce()) -> (Duration, Duration) {
    let (started, before) = (Instant::now(), processor_time());
    work();
    let took = started.elapsed();
    let busy = before.zip(processor_time()).map_or(took, |(before, after)| after.saturating_sub(before));
    (took, busy)
}

/// The processor time of this thread so far (Linux).
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

/// The process's resident memory, in bytes (Linux).
pub fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells a process's memory");
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("the second number is the resident pages") * 4096
}

/// A setting of the bench, from the environment.
#[expect(clippy::disallowed_methods, reason = "a bench has no configuration but its environment")]
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Writes `target/bench/{name}.json`.
pub fn write_json(name: &str, value: &serde_json::Value) {
    let folder =
        PathBuf::from(option_env!("CARGO_TARGET_DIR").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/target")));
    let folder = folder.join("bench");
    let path = folder.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(value).expect("a JSON value can be written");
    match std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, text + "\n")) {
        Ok(()) => println!("written to {}", path.display()),
        Err(error) => eprintln!("{} can't be written: {error}", path.display()),
    }
}

/// A table for people.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    pub fn row<T: ToString>(&mut self, cells: &[T]) {
        self.rows.push(cells.iter().map(ToString::to_string).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (at, row) in self.rows.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                let fill = " ".repeat(widths[column] - cell.chars().count());
                if column == 0 { write!(f, "| {cell}{fill} |")? } else { write!(f, " {fill}{cell} |")? }
            }
            writeln!(f)?;
            if at == 0 {
                let lines: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
                writeln!(f, "|{}|", lines.join("|"))?;
            }
        }
        Ok(())
    }
}
