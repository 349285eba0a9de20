//! The chart of a load over the last day or week. The page draws it by itself; where scripts run, a drawing that can be looked into takes its
//! place, from the same figures.

use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::show::Asked;
use crate::base::clock::Timestamp;
use crate::base::ids::{ClassId, NetworkId};
use crate::service::{Broker, LoadSample};
use crate::web::console::filter::address;
use crate::web::console::{Shell, Visit};

/// The drawing's size, in its own units.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 160.0;

/// How far back a chart goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    Day,
    Week,
}

impl Range {
    pub(super) const ALL: [Range; 2] = [Range::Day, Range::Week];

    /// The range of that name; else a day.
    pub(super) fn from_name(name: &str) -> Range {
        if name == Range::Week.as_str() { Range::Week } else { Range::Day }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Range::Day => "24h",
            Range::Week => "7d",
        }
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Range::Day => "range-day",
            Range::Week => "range-week",
        }
    }

    pub(super) const fn length(self) -> Duration {
        match self {
            Range::Day => Duration::from_secs(86_400),
            Range::Week => Duration::from_secs(7 * 86_400),
        }
    }
}

/// What is drawn.
pub(super) struct Chart {
    /// Where the figures are.
    pub(super) figures: String,
    /// The corners of the line of the load; empty: nothing is known yet.
    pub(super) line: String,
    /// The heights of the thresholds.
    pub(super) thresholds: Vec<String>,
    /// What it shows, for who does not see it.
    pub(super) text: String,
}

impl Chart {
    pub(super) fn of(
        shell: &Shell,
        samples: &[LoadSample],
        range: Range,
        thresholds: &[f64],
        network: &str,
        class: &str,
    ) -> Self {
        let ratios: Vec<f64> = samples.iter().map(ratio).collect();
        let most = ratios.iter().copied().fold(1.25_f64, f64::max).min(5.0);
        let (from, length) = (shell.now - range.length(), range.length().as_secs_f64());
        let height = |ratio: f64| format!("{:.1}", HEIGHT - (ratio / most).min(1.0) * HEIGHT);
        let corner = |(sample, ratio): (&LoadSample, &f64)| {
            let x = sample.at.since(from).as_secs_f64() / length * WIDTH;
            format!("{x:.1},{}", height(*ratio))
        };
        let highest = ratios.iter().copied().fold(0.0, f64::max);
        let text =
            [("highest", format!("{:.0} %", highest * 100.0).into()), ("range", shell.say(range.words()).into())];
        Self {
            figures: address("/load/history", &[("network", network), ("class", class), ("range", range.as_str())]),
            line: samples.iter().zip(&ratios).map(corner).collect::<Vec<_>>().join(" "),
            thresholds: thresholds.iter().map(|threshold| height(*threshold)).collect(),
            text: shell.say_with("load-chart", &text),
        }
    }
}

/// Demand divided by supply; where there is none, the most that is drawn.
#[expect(clippy::cast_precision_loss, reason = "a drawing need not be exact beyond 2^52")]
fn ratio(sample: &LoadSample) -> f64 {
    match sample.supply {
        0 => 5.0,
        supply => sample.demand as f64 / supply as f64,
    }
}

/// The figures of a chart, each row as long as the first, which has the times.
#[derive(Serialize)]
struct Figures {
    /// What the axis of time shows, in seconds since 1970.
    shown: [i64; 2],
    /// Seconds since 1970.
    times: Vec<i64>,
    /// Credit per hour that was asked for.
    demand: Vec<f64>,
    /// Credit per hour that the tokens could give.
    supply: Vec<f64>,
    /// Demand divided by supply.
    ratio: Vec<f64>,
    /// Where the alert opens.
    open_at: f64,
    names: [String; 4],
    /// The time zone in which the axis of time is read, as the IANA names it.
    zone: String,
}

/// The figures, for scripts.
pub(in crate::web::console) async fn history(
    State(broker): State<Broker>,
    visit: Visit,
    Query(asked): Query<Asked>,
) -> Response {
    let key = (asked.network.parse::<NetworkId>(), asked.class.parse::<ClassId>());
    let (Ok(network), Ok(class)) = key else { return StatusCode::NOT_FOUND.into_response() };
    let shell = visit.shell(&broker, crate::web::console::Place::Load);
    let from = shell.now - Range::from_name(&asked.range).length();
    match broker.load_history(&visit.caller(), visit.team(), (&network, &class), from).await {
        Ok(samples) => Json(figures(&shell, from, &samples, broker.config.load.open_at)).into_response(),
        Err(error) => crate::web::console::refused::refused(shell, &error),
    }
}

fn figures(shell: &Shell, from: Timestamp, samples: &[LoadSample], open_at: f64) -> Figures {
    #[expect(clippy::cast_precision_loss, reason = "a drawing need not be exact beyond 2^52")]
    let per_hour = |amount: u64, sample: &LoadSample| {
        (amount as f64 * 3600.0 / sample.span.as_secs_f64().max(1.0) * 10.0).round() / 10.0
    };
    Figures {
        shown: [from.secs(), shell.now.secs()],
        times: samples.iter().map(|sample| sample.at.secs()).collect(),
        demand: samples.iter().map(|sample| per_hour(sample.demand, sample)).collect(),
        supply: samples.iter().map(|sample| per_hour(sample.supply, sample)).collect(),
        ratio: samples.iter().map(|sample| (ratio(sample) * 1000.0).round() / 1000.0).collect(),
        open_at,
        names: ["chart-demand", "chart-supply", "chart-ratio", "chart-open-at"].map(|name| shell.say(name)),
        zone: shell.zone().to_owned(),
    }
}
