//! What the demonstration comes to: how well credit was used, and whether a promise was broken.
//!
//! **Utilisation** is credit used divided by credit that could have been used while demand was waiting. It is taken from the
//! books of the simulated networks, which know nothing of the broker's, account by account and window by window:
//!
//! * A window counts if it is over, and calls of the teams that own the account's tokens were waiting for credit at its end. A
//!   window that is longer than the demonstration is judged at the demonstration's end. Other windows say nothing: what was not
//!   wanted could not be used.
//! * What could have been used in it: what was used, and of the rest (the limit less the owner's reserve) as much as was waiting.
//! * Between two windows the network counts nothing: the next window begins with the next call. As long as calls waited in such a
//!   gap, credit could have been used too, at the pace of the limit.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::app::demo::board::{Row, RowKey};
use crate::app::demo::plan::COLLECTIONS;
use crate::base::clock::Timestamp;
use crate::sim::WindowReport;

/// The books of one network, at the end of the demonstration.
pub struct NetworkBooks {
    /// The network.
    pub network: &'static str,
    /// The windows of all its accounts, in the order of time for each.
    pub windows: Vec<WindowReport>,
    /// Calls refused for a limit, by class.
    pub throttled: BTreeMap<String, u64>,
}

/// How the credit of one class was used while demand was waiting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Use {
    /// The network.
    pub network: &'static str,
    /// The class.
    pub class: &'static str,
    /// Credit that could have been used while demand was waiting, in units of the class.
    pub available: u64,
    /// What of it was used.
    pub used: u64,
    /// The quotient; `None` where no demand waited.
    pub utilisation: Option<f64>,
    /// Calls that the network refused for a limit of this class.
    pub throttled: u64,
}

/// Judges every class that was collected.
pub fn judge(
    books: &[NetworkBooks],
    rows: &BTreeMap<RowKey, Row>,
    reserve_percent: u64,
    began: Timestamp,
    now: Timestamp,
) -> Vec<Use> {
    let mut classes: Vec<(&'static str, &'static str)> =
        COLLECTIONS.iter().map(|plan| (plan.network, plan.class)).collect();
    classes.sort_unstable();
    classes.dedup();
    let judged = classes.into_iter().map(|(network, class)| {
        let of_network = books.iter().find(|books| books.network == network);
        let windows: Vec<&WindowReport> = of_network
            .iter()
            .flat_map(|books| &books.windows)
            .filter(|window| window.class.as_str() == class)
            .collect();
        let throttled = of_network.and_then(|books| books.throttled.get(class)).copied().unwrap_or_default();
        let (used, available) = use_of(&windows, rows, reserve_percent, began, now);
        Use { network, class, available, used, utilisation: quotient(used, available), throttled }
    });
    judged.collect()
}

/// Over all classes together: each has the weight of the calls that its credit allows.
pub fn overall(uses: &[Use]) -> Option<f64> {
    let sum = |of: fn(&Use) -> u64| uses.iter().map(of).sum();
    quotient(sum(|one| one.used), sum(|one| one.available))
}

fn quotient(used: u64, available: u64) -> Option<f64> {
    (available > 0).then(|| (used as f64 / available as f64 * 10_000.0).round() / 10_000.0)
}

/// What was used and what could have been, over the windows that count.
fn use_of(
    windows: &[&WindowReport],
    rows: &BTreeMap<RowKey, Row>,
    reserve_percent: u64,
    began: Timestamp,
    now: Timestamp,
) -> (u64, u64) {
    let (mut used, mut available) = (0, 0);
    for (at, window) in windows.iter().enumerate() {
        let is_long = window.ends.is_none_or(|ends| ends.since(window.begins) > now.since(began));
        let judged_at = if is_long { now } else { window.ends.unwrap_or(now) };
        if judged_at > now {
            continue;
        }
        let rows = rows_of(window, rows);
        let waiting = waiting_at(&rows, judged_at);
        if waiting == 0 {
            continue;
        }
        let cap = window.allowed - window.allowed * reserve_percent / 100;
        let idle = if is_long { 0 } else { credit_of_gap(window, windows.get(at + 1), cap, &rows, now) };
        used += window.used;
        available += window.used + cap.saturating_sub(window.used).saturating_add(idle).min(waiting);
    }
    (used, available)
}

/// The credit of the time between a window and the next one of the same account, as long as calls waited.
fn credit_of_gap(window: &WindowReport, next: Option<&&WindowReport>, cap: u64, rows: &[&Row], now: Timestamp) -> u64 {
    let Some(ends) = window.ends else { return 0 };
    let same = next.filter(|next| (&next.account, next.place) == (&window.account, window.place));
    let waited = waited_within(rows, ends, same.map_or(now, |next| next.begins));
    let length = ends.since(window.begins).max(Duration::from_micros(1));
    let share = u128::from(cap) * waited.as_micros() / length.as_micros();
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// For how long, between two moments, any calls waited.
fn waited_within(rows: &[&Row], from: Timestamp, until: Timestamp) -> Duration {
    let mut moments: Vec<Timestamp> = rows.iter().flat_map(|row| row.changes_within(from, until)).collect();
    moments.extend([from, until.max(from)]);
    moments.sort_unstable();
    let waited = moments.windows(2).filter(|pair| waiting_at(rows, pair[0]) > 0);
    waited.map(|pair| pair[1].since(pair[0])).sum()
}

/// Units that waited at a moment.
fn waiting_at(rows: &[&Row], at: Timestamp) -> u64 {
    rows.iter().map(|row| row.waiting_at(at)).sum()
}

/// The rows of an account: those of its team, or of all teams where the account is the app's or the address's.
fn rows_of<'a>(window: &WindowReport, rows: &'a BTreeMap<RowKey, Row>) -> Vec<&'a Row> {
    let is_shared = !window.owner.is_own();
    let of_class = rows.iter().filter(|(key, _)| key.class == window.class.as_str());
    let of_account = of_class.filter(|(key, _)| is_shared || belongs_to(&window.account, key.team));
    of_account.map(|(_, row)| row).collect()
}

/// Persons and profiles of the demonstration are named after their team.
fn belongs_to(account: &str, team: &str) -> bool {
    account.rsplit('/').next().is_some_and(|name| name.starts_with(&format!("{team}-")))
}

/// Credit that the networks counted beyond what may be spent: the limit less the owner's reserve.
pub fn beyond_reserve(books: &[NetworkBooks], reserve_percent: u64) -> u64 {
    let windows = books.iter().flat_map(|books| &books.windows);
    let over = |window: &WindowReport| {
        let cap = window.allowed - window.allowed * reserve_percent / 100;
        window.used.saturating_sub(cap)
    };
    windows.map(over).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::demo::board::Board;
    use crate::domain::networks::Owner;

    const ROW: RowKey = RowKey { team: "acme", network: "x", class: "search_recent" };

    fn window(begins: i64, ends: i64, used: u64) -> WindowReport {
        WindowReport {
            class: "search_recent".parse().unwrap(),
            place: 0,
            owner: Owner::AppPerson,
            account: "default/acme-x-user-1".to_owned(),
            begins: Timestamp::from_secs(begins),
            ends: Some(Timestamp::from_secs(ends)),
            allowed: 300,
            used,
        }
    }

    fn judged(windows: Vec<WindowReport>, waits: &[(i64, i64, u64)], now: i64) -> (u64, u64) {
        let board = Board::default();
        for (from, until, calls) in waits {
            board.wait_began(ROW, *calls, Timestamp::from_secs(*from));
            board.wait_ended(ROW, *calls, Timestamp::from_secs(*until));
        }
        let books = NetworkBooks { network: "x", windows, throttled: BTreeMap::new() };
        let uses = judge(&[books], &board.rows(), 10, Timestamp::EPOCH, Timestamp::from_secs(now));
        let one = uses.iter().find(|one| (one.network, one.class) == ("x", "search_recent")).unwrap();
        (one.used, one.available)
    }

    #[test]
    fn only_windows_at_whose_end_demand_waited_count() {
        let both = || vec![window(0, 900, 200), window(900, 1800, 270)];
        assert_eq!(judged(both(), &[], 4000), (0, 0));
        assert_eq!(judged(both(), &[(100, 800, 500)], 4000), (0, 0), "it was served before the end");
        assert_eq!(judged(both(), &[(100, 900, 500)], 4000), (0, 0), "it ended with the window");
        assert_eq!(judged(both(), &[(100, 901, 500)], 4000), (200, 270));
        assert_eq!(judged(both(), &[(100, 901, 20)], 4000), (200, 220), "no more could have been used than was wanted");
        assert_eq!(judged(both(), &[(100, 1801, 500)], 1801), (470, 540));
        assert_eq!(judged(both(), &[(100, 1801, 500)], 1700), (200, 270), "the second is not over");
    }

    #[test]
    fn a_gap_in_which_demand_waited_counts() {
        let windows = vec![window(0, 900, 270), window(990, 1890, 270)];
        assert_eq!(judged(windows.clone(), &[(0, 1000, 500)], 1800), (270, 270 + 27));
        let in_parts = [(0, 930, 500), (960, 1000, 500)];
        assert_eq!(judged(windows, &in_parts, 1800), (270, 270 + 18), "not for the 30 seconds in which nobody waited");
    }

    #[test]
    fn a_window_longer_than_the_demonstration_is_judged_at_its_end() {
        let day = || vec![window(-100, 86_300, 90)];
        assert_eq!(judged(day(), &[(100, 5000, 400)], 4000), (90, 270));
        assert_eq!(judged(day(), &[(100, 3000, 400)], 4000), (0, 0));
    }

    #[test]
    fn anothers_waiting_does_not_count() {
        let mut foreign = window(0, 900, 200);
        foreign.account = "default/globex-x-user-1".to_owned();
        assert_eq!(judged(vec![foreign.clone()], &[(100, 901, 500)], 4000), (0, 0));
        foreign.owner = Owner::App;
        assert_eq!(judged(vec![foreign], &[(100, 901, 500)], 4000), (200, 270), "the app's credit is everybody's");
    }

    #[test]
    fn spending_the_reserve_shows() {
        let of = |used| {
            let books = NetworkBooks { network: "x", windows: vec![window(0, 900, used)], throttled: BTreeMap::new() };
            beyond_reserve(&[books], 10)
        };
        assert_eq!((of(270), of(275)), (0, 5));
    }
}
