//! Gauges that are set all at once, from one look at the state.
//!
//! Rows that share their labels (teams beyond the cap) are added up, ratios by taking the highest. A series whose row is gone
//! falls to 0.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use metrics::SharedString;

use super::metrics::Metrics;
use super::table::{self, Metric};
use crate::base::ids::{ClassId, NetworkId, TeamId};

/// The load of one team, network and credit class.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadRow {
    /// The team.
    pub team: TeamId,
    /// The network.
    pub network: NetworkId,
    /// The credit class.
    pub class: ClassId,
    /// Demand divided by supply over 5 minutes.
    pub ratio: f64,
    /// Credit asked for in 5 minutes.
    pub demand: f64,
    /// Credit that live tokens can give in 5 minutes.
    pub supply: f64,
    /// Credit that can be granted now.
    pub left: f64,
}

/// How many tokens of a network have a status.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenRow {
    /// The network.
    pub network: NetworkId,
    /// The status, as a word of the program.
    pub status: &'static str,
    /// How many.
    pub count: usize,
}

/// How many incidents of a kind are open at a network.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentRow {
    /// The network.
    pub network: NetworkId,
    /// The kind.
    pub kind: &'static str,
    /// How many.
    pub count: usize,
}

/// How many alerts of a kind are in a state.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRow {
    /// The kind, as a word of the program.
    pub kind: &'static str,
    /// The state, as a word of the program.
    pub state: &'static str,
    /// How many.
    pub count: usize,
}

type LabelValues = Vec<SharedString>;
type Values = HashMap<LabelValues, f64>;

/// The series that were set last, by metric.
#[derive(Default)]
pub(super) struct Shown(Mutex<HashMap<&'static str, HashSet<LabelValues>>>);

impl Metrics {
    /// Sets load, demand, supply and credit left of all teams.
    pub fn set_loads(&self, rows: &[LoadRow]) {
        let labels =
            |row: &LoadRow| vec![self.team(&row.team), self.network_label(&row.network), self.class(&row.class)];
        self.replace(table::TEAM_LOAD, gather(rows, labels, |row| row.ratio, f64::max));
        self.replace(table::TEAM_DEMAND, gather(rows, labels, |row| row.demand, std::ops::Add::add));
        self.replace(table::TEAM_SUPPLY, gather(rows, labels, |row| row.supply, std::ops::Add::add));
        self.replace(table::TEAM_LEFT, gather(rows, labels, |row| row.left, std::ops::Add::add));
    }

    /// Sets the tokens by status.
    pub fn set_tokens(&self, rows: &[TokenRow]) {
        let labels = |row: &TokenRow| vec![self.network_label(&row.network), row.status.into()];
        self.replace(table::TOKENS, gather(rows, labels, |row| as_f64(row.count), std::ops::Add::add));
    }

    /// Sets the incidents that are open.
    pub fn set_incidents(&self, rows: &[IncidentRow]) {
        let labels = |row: &IncidentRow| vec![row.network.shared().into(), row.kind.into()];
        self.replace(table::INCIDENTS, gather(rows, labels, |row| as_f64(row.count), std::ops::Add::add));
    }

    /// Sets the alerts by kind and state.
    pub fn set_alerts(&self, rows: &[AlertRow]) {
        let labels = |row: &AlertRow| vec![row.kind.into(), row.state.into()];
        self.replace(table::ALERTS, gather(rows, labels, |row| as_f64(row.count), std::ops::Add::add));
    }

    /// Sets the series of `metric` to `values`, and those that were set before and have no value now to 0.
    fn replace(&self, metric: &'static Metric, values: Values) {
        let mut shown = self.shown().0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shown.entry(metric.name).or_default();
        for gone in known.iter().filter(|labels| !values.contains_key(*labels)) {
            self.gauge(metric, gone).set(0.0);
        }
        for (labels, value) in &values {
            self.gauge(metric, labels).set(*value);
        }
        known.extend(values.into_keys());
    }
}

fn gather<R>(
    rows: &[R],
    labels: impl Fn(&R) -> LabelValues,
    value: impl Fn(&R) -> f64,
    join: impl Fn(f64, f64) -> f64,
) -> Values {
    let mut values = Values::new();
    for row in rows {
        let value = value(row);
        values.entry(labels(row)).and_modify(|sum| *sum = join(*sum, value)).or_insert(value);
    }
    values
}

#[expect(clippy::cast_precision_loss, reason = "counts of tokens, leases and alerts are far below 2^52")]
pub(super) fn as_f64(count: usize) -> f64 {
    count as f64
}
