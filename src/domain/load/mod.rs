//! Token load: credit asked for, divided by what the live tokens can give. Per team, network and credit class.
//!
//! *Demand* is counted by a [`DemandMeter`]; *supply* is computed from the buckets behind the tokens by [`supply`]. Both are amounts
//! over one and the same [`Span`]. A limit can be judged only over a span that holds its window ([`Span::holding`]): over a shorter
//! one all of the window's credit may be asked for at once, and rightly. When an alert opens is decided in `domain::alert`; which
//! tokens are usable, and what their buckets' limits are, is the caller's knowledge.

mod advice;
mod forecast;
mod in_words;
mod meter;
mod retries;
mod rings;
mod supply;

use std::cmp::Ordering;
use std::time::Duration;

use crate::base::ids::{ClassId, NetworkId, TeamId};

pub use advice::{Advice, AdviceRule, Newcomer};
pub use forecast::{ForecastPoint, forecast};
pub use in_words::credit;
pub use meter::{Demand, DemandKey, DemandMeter, MeterSize, OTHER_COLLECTION};
pub use retries::Identity;
pub use supply::{BucketSupply, Rival, TokenSupply, remainder, supply};

/// Whose load, and of which credit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoadKey {
    /// The team.
    pub team: TeamId,
    /// The network.
    pub network: NetworkId,
    /// The credit class.
    pub class: ClassId,
}

/// `team/network/class`.
impl std::fmt::Display for LoadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.team, self.network, self.class)
    }
}

/// A span that load is computed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// 5 minutes: what happens now.
    FiveMinutes,
    /// 15 minutes: the window of many networks.
    QuarterHour,
    /// 1 hour: what a collection needs.
    Hour,
    /// 24 hours: what a day's collection needs.
    Day,
}

impl Span {
    /// All of them, shortest first.
    pub const ALL: [Span; 4] = [Span::FiveMinutes, Span::QuarterHour, Span::Hour, Span::Day];

    /// The shortest one that holds a window of this length; the longest for windows that none holds.
    pub fn holding(window: Duration) -> Span {
        Span::ALL.into_iter().find(|span| span.length() >= window).unwrap_or(Span::Day)
    }

    /// Its length.
    pub const fn length(self) -> Duration {
        match self {
            Span::FiveMinutes => Duration::from_secs(300),
            Span::QuarterHour => Duration::from_secs(900),
            Span::Hour => Duration::from_secs(3600),
            Span::Day => Duration::from_secs(86_400),
        }
    }

    /// The name used in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Span::FiveMinutes => "5m",
            Span::QuarterHour => "15m",
            Span::Hour => "1h",
            Span::Day => "24h",
        }
    }

    /// The name used in sentences.
    pub const fn words(self) -> &'static str {
        match self {
            Span::FiveMinutes => "5 minutes",
            Span::QuarterHour => "15 minutes",
            Span::Hour => "1 hour",
            Span::Day => "24 hours",
        }
    }
}

/// One value per span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spans<T> {
    /// Over 5 minutes.
    pub five_minutes: T,
    /// Over 15 minutes.
    pub quarter_hour: T,
    /// Over 1 hour.
    pub hour: T,
    /// Over 24 hours.
    pub day: T,
}

impl<T> Spans<T> {
    /// Computes each value.
    pub fn each(mut value: impl FnMut(Span) -> T) -> Spans<T> {
        Spans {
            five_minutes: value(Span::FiveMinutes),
            quarter_hour: value(Span::QuarterHour),
            hour: value(Span::Hour),
            day: value(Span::Day),
        }
    }

    /// The value of one span.
    pub fn of(&self, span: Span) -> &T {
        match span {
            Span::FiveMinutes => &self.five_minutes,
            Span::QuarterHour => &self.quarter_hour,
            Span::Hour => &self.hour,
            Span::Day => &self.day,
        }
    }

    /// The value of one span, to change.
    pub fn of_mut(&mut self, span: Span) -> &mut T {
        match span {
            Span::FiveMinutes => &mut self.five_minutes,
            Span::QuarterHour => &mut self.quarter_hour,
            Span::Hour => &mut self.hour,
            Span::Day => &mut self.day,
        }
    }
}

/// Demand divided by supply. Never NaN: demand that meets no supply at all is its own case, `null` in JSON.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Ratio {
    /// Finite and not negative; 1.0 means that the tokens give just what is asked for. 0.0 also when nothing is asked for.
    Of(f64),
    /// There is demand and no supply: more than any finite ratio.
    NoSupply,
}

impl Ratio {
    /// Divides. Negative and non-finite inputs count as zero.
    pub fn new(demand: f64, supply: f64) -> Ratio {
        let (demand, supply) = (amount(demand), amount(supply));
        if demand == 0.0 {
            return Ratio::Of(0.0);
        }
        match demand / supply {
            ratio if ratio.is_finite() => Ratio::Of(ratio),
            _ => Ratio::NoSupply,
        }
    }

    /// The ratio as a number: infinite where there is no supply.
    pub fn value(self) -> f64 {
        match self {
            Ratio::Of(ratio) => ratio,
            Ratio::NoSupply => f64::INFINITY,
        }
    }

    /// Whether it is `limit` or more.
    pub fn reaches(self, limit: f64) -> bool {
        self.value() >= limit
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Ratio) -> Option<Ordering> {
        self.value().partial_cmp(&other.value())
    }
}

/// Two decimals, without zeros at the end; rounded up, so that a load above a limit is never shown as being on it.
impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ratio::NoSupply => f.write_str("infinite"),
            Ratio::Of(ratio) => {
                let text = format!("{:.2}", (ratio * 100.0 - 1e-6).ceil().abs() / 100.0);
                f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

/// The token load of one team, network and class over one span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Credit asked for over the span.
    pub demand: f64,
    /// Credit that the live tokens can give over the span, after the owner's reserve.
    pub supply: f64,
    /// Demand divided by supply.
    pub ratio: Ratio,
    /// The live tokens.
    pub tokens: u32,
}

impl Load {
    /// Puts the parts together.
    pub fn new(demand: f64, supply: f64, tokens: usize) -> Load {
        let (demand, supply) = (amount(demand), amount(supply));
        Load { demand, supply, ratio: Ratio::new(demand, supply), tokens: u32::try_from(tokens).unwrap_or(u32::MAX) }
    }

    /// Volume per token: the demand that falls on each live token; `None` without tokens.
    pub fn volume_per_token(&self) -> Option<f64> {
        (self.tokens > 0).then(|| self.demand / f64::from(self.tokens))
    }
}

fn amount(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_window_is_judged_over_a_span_that_holds_it() {
        for (seconds, span) in [
            (1, Span::FiveMinutes),
            (300, Span::FiveMinutes),
            (600, Span::QuarterHour),
            (900, Span::QuarterHour),
            (901, Span::Hour),
            (86_400, Span::Day),
            (2_592_000, Span::Day),
        ] {
            assert_eq!(Span::holding(Duration::from_secs(seconds)), span, "{seconds}");
        }
    }

    #[test]
    fn a_ratio_is_never_nan() {
        assert_eq!(Ratio::new(0.0, 0.0), Ratio::Of(0.0));
        assert_eq!(Ratio::new(5.0, 0.0), Ratio::NoSupply);
        assert_eq!(Ratio::new(5.0, 10.0), Ratio::Of(0.5));
        assert_eq!(Ratio::new(f64::NAN, f64::NAN), Ratio::Of(0.0));
        assert!(Ratio::NoSupply > Ratio::Of(1e300));
    }

    #[test]
    fn a_ratio_reads_short_and_never_flatters() {
        for (ratio, text) in [(0.8, "0.8"), (1.0, "1"), (0.801, "0.81"), (1.25, "1.25"), (0.0, "0"), (10.0, "10")] {
            assert_eq!(Ratio::Of(ratio).to_string(), text);
        }
        assert_eq!(Ratio::NoSupply.to_string(), "infinite");
    }

    #[test]
    fn volume_per_token_needs_tokens() {
        assert_eq!(Load::new(90.0, 100.0, 3).volume_per_token(), Some(30.0));
        assert_eq!(Load::new(90.0, 0.0, 0).volume_per_token(), None);
    }

    proptest! {
        #[test]
        fn every_ratio_has_an_order(demand in any::<f64>(), supply in any::<f64>()) {
            let ratio = Ratio::new(demand, supply);
            prop_assert!(ratio.value() >= 0.0);
            prop_assert_eq!(ratio.partial_cmp(&ratio), Some(Ordering::Equal));
        }
    }
}
