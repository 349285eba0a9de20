//! What the load will be as known expiries take supply away.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::domain::load::supply::{Draw, TokenSupply};
use crate::domain::load::{Load, Span};

/// A future time at which tokens end and the supply falls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ForecastPoint {
    /// When.
    pub at: Timestamp,
    /// How many tokens end then.
    pub ending: u32,
    /// The load from then on, if nothing is renewed and the demand stays.
    pub load: Load,
}

/// The times within `horizon` at which known ends of tokens lower the supply, soonest first; demand and supply are a day's. A token
/// whose renewal can be counted on should be given without an end.
pub fn forecast(now: Timestamp, tokens: &[TokenSupply], demand: f64, horizon: Duration) -> Vec<ForecastPoint> {
    let end_of = |token: &TokenSupply| token.ends_at.unwrap_or(Timestamp::NEVER);
    let mut longest_first: Vec<&TokenSupply> = tokens.iter().filter(|token| token.is_live(now)).collect();
    longest_first.sort_by_key(|token| std::cmp::Reverse((end_of(token), token.token)));
    let (mut points, mut draw, mut given, mut counted) = (Vec::new(), Draw::over(Span::Day), 0.0, 0);
    for ending in longest_first.chunk_by(|a, b| end_of(a) == end_of(b)) {
        let at = end_of(ending[0]);
        let drawn: f64 = ending.iter().map(|token| draw.draw(&token.buckets)).sum();
        if drawn > 0.0 && at != Timestamp::NEVER && at <= now + horizon {
            let load = Load::new(demand, given, counted);
            points.push(ForecastPoint { at, ending: u32::try_from(ending.len()).unwrap_or(u32::MAX), load });
        }
        given += drawn;
        counted += ending.len();
    }
    points.reverse();
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::load::supply::tests::{bucket, nested_tokens, token};
    use crate::domain::load::{Ratio, supply};
    use crate::domain::networks::Owner;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::EPOCH;
    const MONTH: Duration = Duration::from_secs(30 * 86_400);

    fn ending(id: u64, days: Option<i64>) -> TokenSupply {
        let ends_at = days.map(|days| Timestamp::from_secs(days * 86_400));
        TokenSupply { ends_at, ..token(u128::from(id), &[bucket(id, Owner::Token, 100.0)]) }
    }

    #[test]
    fn known_ends_raise_the_load() {
        let tokens =
            [ending(1, Some(3)), ending(2, Some(10)), ending(3, Some(10)), ending(4, None), ending(5, Some(60))];
        let points = forecast(NOW, &tokens, 200.0, MONTH);
        let seen: Vec<_> =
            points.iter().map(|point| (point.at.secs() / 86_400, point.ending, point.load.ratio)).collect();
        assert_eq!(seen, [(3, 1, Ratio::Of(0.5)), (10, 2, Ratio::Of(1.0))]);
    }

    #[test]
    fn the_last_end_leaves_no_supply() {
        let points = forecast(NOW, &[ending(1, Some(1))], 5.0, MONTH);
        assert_eq!(points[0].load.ratio, Ratio::NoSupply);
        assert_eq!(points[0].load.tokens, 0);
    }

    #[test]
    fn an_end_that_costs_nothing_is_not_told() {
        let profile = bucket(9, Owner::Profile, 100.0);
        let lasting = token(1, &[profile]);
        let shorter = TokenSupply { ends_at: Some(Timestamp::from_secs(60)), ..token(2, &[profile]) };
        assert_eq!(forecast(NOW, &[shorter, lasting], 50.0, MONTH), []);
    }

    proptest! {
        #[test]
        fn a_forecast_agrees_with_the_supply_of_that_time(tokens in nested_tokens(), demand in 0_u32..500) {
            let points = forecast(NOW, &tokens, f64::from(demand), MONTH);
            let mut before = supply(NOW, &tokens, Span::Day);
            for point in points {
                prop_assert!((point.load.supply - supply(point.at, &tokens, Span::Day)).abs() < 1e-6);
                prop_assert!(point.load.supply <= before + 1e-6);
                before = point.load.supply;
            }
            let last = Timestamp::EPOCH + MONTH;
            prop_assert!((before - supply(last, &tokens, Span::Day)).abs() < 1e-6);
        }
    }
}
