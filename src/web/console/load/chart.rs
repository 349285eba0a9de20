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
use crate::domain::load::{Ratio, credit};
use crate::service::{Broker, LoadSample, SAMPLED_EVERY};
use crate::web::console::filter::address;
use crate::web::console::{Shell, Visit};

/// The drawing's size, in its own units.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 160.0;
/// The loads that the scale reaches at least and at most.
const LEAST_TOP: f64 = 1.25;
const MOST_TOP: f64 = 5.0;

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
    /// The line of the load; empty: nothing is known yet.
    pub(super) load: String,
    /// The line of what was asked for, and that of what the tokens could give, on one scale.
    pub(super) demand: String,
    pub(super) supply: String,
    /// The thresholds: their heights, and what they are called.
    pub(super) thresholds: Vec<(String, String)>,
    /// What the lines are called, and how high their scales reach.
    pub(super) load_text: String,
    pub(super) demand_text: String,
    pub(super) supply_text: String,
    /// What it shows, for who does not see it.
    pub(super) text: String,
}

impl Chart {
    pub(super) fn of(shell: &Shell, (network, class): (&str, &str), range: Range, history: &History<'_>) -> Self {
        let samples = history.samples;
        let credits =
            samples.iter().flat_map(|sample| [per_hour(sample.demand, sample), per_hour(sample.supply, sample)]);
        let (top, most) = (top(samples), credits.fold(1.0, f64::max));
        let line = |value: &dyn Fn(&LoadSample) -> f64| history.line(shell.now, range, value);
        let threshold = |threshold: &Threshold| (height(threshold.at / top), shell.say(threshold.name));
        let scale = |name: &str, most: String| {
            shell.say_with("chart-scale", &[("line", shell.say(name).into()), ("most", most.into())])
        };
        let highest =
            samples.iter().map(ratio).max_by(|a, b| a.value().total_cmp(&b.value())).unwrap_or(Ratio::Of(0.0));
        let text = [("highest", shell.tell(&highest).into()), ("range", shell.say(range.words()).into())];
        Self {
            figures: address("/load/history", &[("network", network), ("class", class), ("range", range.as_str())]),
            load: line(&|sample| ratio(sample).value() / top),
            demand: line(&|sample| per_hour(sample.demand, sample) / most),
            supply: line(&|sample| per_hour(sample.supply, sample) / most),
            thresholds: history.thresholds.iter().map(threshold).collect(),
            load_text: scale("chart-ratio", shell.tell(&Ratio::Of(top))),
            demand_text: scale("chart-demand", credit(most)),
            supply_text: scale("chart-supply", credit(most)),
            text: shell.say_with("load-chart", &text),
        }
    }
}

/// A load at which something happens.
pub(super) struct Threshold {
    /// Demand divided by supply.
    pub(super) at: f64,
    /// What it is called.
    name: &'static str,
}

/// The thresholds of this broker, the lowest first.
pub(super) fn thresholds(broker: &Broker) -> [Threshold; 2] {
    let opens = Threshold { at: broker.config.load.open_at, name: "chart-open-at" };
    let full = Threshold { at: 1.0, name: "chart-full" };
    if opens.at <= full.at { [opens, full] } else { [full, opens] }
}

/// What a chart is drawn from.
pub(super) struct History<'a> {
    /// What the load was, the oldest first.
    pub(super) samples: &'a [LoadSample],
    /// What is drawn across.
    pub(super) thresholds: &'a [Threshold],
}

impl History<'_> {
    /// The line of a value, as the path of a drawing; `value` is a part of the height. It is broken where nothing was sampled.
    fn line(&self, now: Timestamp, range: Range, value: &dyn Fn(&LoadSample) -> f64) -> String {
        let (from, length) = (now - range.length(), range.length().as_secs_f64());
        let corner = |sample: &LoadSample| {
            let x = sample.at.since(from).as_secs_f64() / length * WIDTH;
            format!("{x:.1},{}", height(value(sample)))
        };
        // One sample alone is a dot: a line of no length, with round ends.
        let piece = |run: &[LoadSample]| match run {
            [one] => format!("M{}h0", corner(one)),
            _ => format!("M{}", run.iter().map(corner).collect::<Vec<_>>().join("L")),
        };
        runs(self.samples).map(piece).collect()
    }
}

/// The samples, piece by piece: what lies between two pieces was not watched, or nobody asked for anything.
fn runs(samples: &[LoadSample]) -> impl Iterator<Item = &[LoadSample]> {
    samples.chunk_by(|one, next| next.at.since(one.at) < SAMPLED_EVERY * 2)
}

/// How high something is drawn that is that part of the whole height.
fn height(part: f64) -> String {
    format!("{:.1}", HEIGHT - part.clamp(0.0, 1.0) * HEIGHT)
}

/// Demand divided by supply.
fn ratio(sample: &LoadSample) -> Ratio {
    #[expect(clippy::cast_precision_loss, reason = "a drawing need not be exact beyond 2^52")]
    Ratio::new(sample.demand as f64, sample.supply as f64)
}

/// The load at the top of the scale.
fn top(samples: &[LoadSample]) -> f64 {
    let finite = samples.iter().map(|sample| ratio(sample).value()).filter(|ratio| ratio.is_finite());
    finite.fold(LEAST_TOP, f64::max).min(MOST_TOP)
}

/// Credit of a sample's span, as so much in an hour.
#[expect(clippy::cast_precision_loss, reason = "a drawing need not be exact beyond 2^52")]
fn per_hour(credit: u64, sample: &LoadSample) -> f64 {
    (credit as f64 * 3600.0 / sample.span.as_secs_f64().max(1.0) * 10.0).round() / 10.0
}

/// The figures of a chart, each row as long as the first, which has the times.
#[derive(Serialize)]
struct Figures {
    /// What the axis of time shows, in seconds since 1970.
    shown: [i64; 2],
    /// Seconds since 1970.
    times: Vec<i64>,
    /// Credit per hour that was asked for. In each row nothing stands where nothing was sampled.
    demand: Vec<Option<f64>>,
    /// Credit per hour that the tokens could give.
    supply: Vec<Option<f64>>,
    /// Demand divided by supply; `over` where there was no supply.
    ratio: Vec<Option<f64>>,
    /// What is drawn where there was demand and no supply: more than any load.
    over: f64,
    over_text: String,
    /// The thresholds, with what they are called.
    thresholds: Vec<(f64, String)>,
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
        Ok(samples) => Json(figures(&shell, from, &samples, &thresholds(&broker))).into_response(),
        Err(error) => crate::web::console::refused::refused(shell, &error),
    }
}

fn figures(shell: &Shell, from: Timestamp, samples: &[LoadSample], thresholds: &[Threshold]) -> Figures {
    let over = top(samples) * 1.1;
    let mut rows: Vec<(i64, Option<&LoadSample>)> = Vec::with_capacity(samples.len());
    for run in runs(samples) {
        let gap = rows.last().map(|(last, _)| (last + 1, None));
        rows.extend(gap);
        rows.extend(run.iter().map(|sample| (sample.at.secs(), Some(sample))));
    }
    let row = |value: &dyn Fn(&LoadSample) -> f64| rows.iter().map(|(_, sample)| sample.map(value)).collect();
    let load = |sample: &LoadSample| match ratio(sample) {
        Ratio::Of(ratio) => (ratio * 1000.0).round() / 1000.0,
        Ratio::NoSupply => over,
    };
    Figures {
        shown: [from.secs(), shell.now.secs()],
        times: rows.iter().map(|(at, _)| *at).collect(),
        demand: row(&|sample| per_hour(sample.demand, sample)),
        supply: row(&|sample| per_hour(sample.supply, sample)),
        ratio: row(&load),
        over,
        over_text: shell.tell(&Ratio::NoSupply),
        thresholds: thresholds.iter().map(|threshold| (threshold.at, shell.say(threshold.name))).collect(),
        names: ["chart-demand", "chart-supply", "chart-ratio", "chart-time"].map(|name| shell.say(name)),
        zone: shell.zone().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::load::LoadKey;

    /// One every quarter of an hour at these places, with a demand of 10 and that supply.
    fn samples(of: &[(i64, u64)]) -> Vec<LoadSample> {
        let key =
            LoadKey { team: "acme".parse().unwrap(), network: "x".parse().unwrap(), class: "search".parse().unwrap() };
        let sample = |(nth, supply): &(i64, u64)| LoadSample {
            key: key.clone(),
            at: Timestamp::from_secs(1_700_000_000 + nth * 900),
            span: SAMPLED_EVERY,
            demand: 10,
            supply: *supply,
            tokens: 1,
        };
        of.iter().map(sample).collect()
    }

    #[test]
    fn a_line_is_broken_where_nothing_was_sampled() {
        let samples = samples(&[(0, 10), (1, 20), (5, 10)]);
        let history = History { samples: &samples, thresholds: &[] };
        let now = samples[0].at + Range::Day.length();
        let line = history.line(now, Range::Day, &|sample| ratio(sample).value() / 2.0);
        assert_eq!(line, "M0.0,80.0L6.2,120.0M31.2,80.0h0");
    }

    #[test]
    fn demand_without_supply_is_at_the_top_whatever_it_was() {
        let samples = samples(&[(0, 40), (1, 0)]);
        assert_eq!(top(&samples), LEAST_TOP);
        assert_eq!(height(ratio(&samples[1]).value() / top(&samples)), "0.0");
    }
}
