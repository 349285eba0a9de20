//! Supply: what the distinct buckets behind live tokens can give over a span.
//!
//! Each token draws from several buckets (its own, its person's, its profile's, its app's …) and each bucket is a cap on the sum of
//! what its tokens draw. The supply is the greatest sum that all caps allow. Where the owners nest (token ⊂ profile ⊂ app ⊂
//! address) that is "over the apps, the lesser of the app's limit and the sum over its profiles of …", and it is found in one pass: the
//! caps of nested sets make a polymatroid, in which handing each token all that its caps still allow ends at the maximum, in
//! whatever order the tokens come. Where owners cross (a person with tokens of two apps) the same pass still never
//! exceeds a cap; it may then find less than the maximum, which errs on the side of too high a load.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::TokenId;
use crate::domain::load::Span;
use crate::domain::networks::Owner;

const DAY: Duration = Span::Day.length();

/// One bucket behind a token, and what it gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BucketSupply {
    /// Which bucket: tokens that share it name the same id.
    pub id: u64,
    /// Whose account it is.
    pub owner: Owner,
    /// Credit it gives in a day, after the owner's reserve and after what other teams take ([`remainder`]).
    per_day: f64,
    /// Its window, at most a day.
    window: Duration,
}

impl BucketSupply {
    /// A bucket that gives `limit`, after the owner's reserve, anew in each `window`; for a paced one (one unit per `per`) that is 1 and
    /// `per`. Longer windows than a day count with a day's even share, since demand is known for a day.
    pub fn per_window(id: u64, owner: Owner, limit: f64, window: Duration) -> BucketSupply {
        let per_day = if window.is_zero() { 0.0 } else { limit * (DAY.as_secs_f64() / window.as_secs_f64()) };
        BucketSupply { id, owner, per_day: super::amount(per_day), window: window.min(DAY) }
    }

    /// A bucket that gives `limit` whatever the span.
    pub fn at_once(id: u64, owner: Owner, limit: f64) -> BucketSupply {
        BucketSupply::per_window(id, owner, limit, DAY)
    }

    /// The most that it gives over `span`, sustained.
    ///
    /// For a window shorter than the span that is the limit times the number of windows. A longer one may be used up at once, and
    /// then gives nothing until its end: over the span it gives its limit.
    pub fn gives(&self, span: Span) -> f64 {
        self.per_day * (span.length().max(self.window).as_secs_f64() / DAY.as_secs_f64())
    }

    /// So many times as much: the share that others leave, or several alike as one.
    pub fn scaled(self, factor: f64) -> BucketSupply {
        BucketSupply { per_day: self.per_day * factor, ..self }
    }

    /// Another one like it.
    pub fn with_id(self, id: u64) -> BucketSupply {
        BucketSupply { id, ..self }
    }

    /// Its window, at most a day.
    pub fn window(&self) -> Duration {
        self.window
    }
}

/// Another team that draws from a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rival {
    /// Credit it asks for over the span.
    pub asks: f64,
    /// Its weight among waiting teams, above 0.
    pub weight: f64,
}

/// What a team of `weight` can have of `credit` where others ask for theirs: what they leave, and at least its weighted fair share.
///
/// Max-min fairness, as the queue serves those that wait: whoever asks for less than its share gets that, and the rest is shared
/// among the others. Rivals that ask for nothing take nothing.
pub fn remainder(credit: f64, weight: f64, mut rivals: Vec<Rival>) -> f64 {
    let (mut left, weight) = (super::amount(credit), weight.max(1.0));
    rivals.sort_by(|a, b| (a.asks / a.weight).total_cmp(&(b.asks / b.weight)));
    let mut weights = weight + rivals.iter().map(|rival| rival.weight).sum::<f64>();
    for rival in rivals {
        let asks = super::amount(rival.asks);
        if asks > left * rival.weight / weights {
            break;
        }
        left -= asks;
        weights -= rival.weight;
    }
    left * weight / weights
}

/// A token and the buckets of one credit class that a call with it draws from.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenSupply {
    /// The token.
    pub token: TokenId,
    /// When it is known to end; `None`: not known to end.
    pub ends_at: Option<Timestamp>,
    /// Its buckets. Without any its supply is not known, and counts as none.
    pub buckets: Vec<BucketSupply>,
}

impl TokenSupply {
    /// Whether its known end lies ahead.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ends_at.is_none_or(|end| end > now)
    }
}

/// The credit that the tokens alive at `now` can give over `span`.
pub fn supply(now: Timestamp, tokens: &[TokenSupply], span: Span) -> f64 {
    let mut drawn = Draw::over(span);
    tokens.iter().filter(|token| token.is_live(now)).map(|token| drawn.draw(&token.buckets)).sum()
}

/// What is left in each bucket while tokens draw from them one by one.
#[derive(Debug)]
pub(super) struct Draw {
    span: Span,
    left: HashMap<u64, f64>,
}

impl Draw {
    /// Of what the buckets give over `span`.
    pub(super) fn over(span: Span) -> Draw {
        Draw { span, left: HashMap::new() }
    }

    /// Draws all that every one of these buckets still allows, and returns how much that was.
    pub(super) fn draw<'a>(&mut self, buckets: impl IntoIterator<Item = &'a BucketSupply> + Clone) -> f64 {
        let room =
            |bucket: &BucketSupply| self.left.get(&bucket.id).copied().unwrap_or_else(|| bucket.gives(self.span));
        let drawn = buckets.clone().into_iter().map(room).reduce(f64::min).unwrap_or(0.0);
        for bucket in buckets {
            let left = self.left.entry(bucket.id).or_insert_with(|| bucket.gives(self.span));
            *left = (*left - drawn).max(0.0);
        }
        drawn
    }

    /// Whether nothing is left in a bucket that was drawn from.
    pub(super) fn is_drained(&self, bucket: &BucketSupply) -> bool {
        self.left.get(&bucket.id).is_some_and(|left| *left <= bucket.gives(self.span) * 1e-9)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is given whatever the span.
    pub fn bucket(id: u64, owner: Owner, limit: f64) -> BucketSupply {
        BucketSupply::at_once(id, owner, limit)
    }

    pub fn token(id: u128, buckets: &[BucketSupply]) -> TokenSupply {
        TokenSupply { token: TokenId::from_u128(id), ends_at: None, buckets: buckets.to_vec() }
    }

    const NOW: Timestamp = Timestamp::EPOCH;
    fn supply(now: Timestamp, tokens: &[TokenSupply]) -> f64 {
        super::supply(now, tokens, Span::Day)
    }

    #[test]
    fn a_window_gives_its_limit_and_then_waits_for_its_end() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        for (limit, window, expected) in [
            (270.0, minutes(15), [270.0, 270.0, 1080.0, 25_920.0]),
            (100.0, minutes(60), [100.0, 100.0, 100.0, 2400.0]),
            (60.0, minutes(1), [300.0, 900.0, 3600.0, 86_400.0]),
            (1.0, Duration::from_secs(2), [150.0, 450.0, 1800.0, 43_200.0]),
            (10_000.0, minutes(24 * 60), [10_000.0; 4]),
            (3_000_000.0, minutes(30 * 24 * 60), [100_000.0; 4]),
            (70.0, Duration::ZERO, [0.0; 4]),
        ] {
            let bucket = BucketSupply::per_window(1, Owner::Token, limit, window);
            for (span, expected) in Span::ALL.into_iter().zip(expected) {
                assert!((bucket.gives(span) - expected).abs() < 1e-6, "{limit} per {window:?} over {span:?}");
            }
        }
    }

    #[test]
    fn a_shared_bucket_counts_once() {
        let profile = bucket(9, Owner::Profile, 100.0);
        let tokens = [token(1, &[profile]), token(2, &[profile])];
        assert_eq!(supply(NOW, &tokens), 100.0);
    }

    #[test]
    fn the_tightest_window_of_an_owner_decides() {
        let tokens = [token(1, &[bucket(1, Owner::Token, 1800.0), bucket(2, Owner::Token, 400.0)])];
        assert_eq!(supply(NOW, &tokens), 400.0);
    }

    #[test]
    fn a_team_gets_what_others_leave_and_at_least_its_share() {
        let rivals = |asks: &[f64]| asks.iter().map(|asks| Rival { asks: *asks, weight: 100.0 }).collect::<Vec<_>>();
        for (asks, expected) in [
            (&[][..], 900.0),
            (&[0.0, 0.0], 900.0),
            (&[100.0], 800.0),
            (&[5000.0], 450.0),
            (&[100.0, 5000.0], 400.0),
            (&[5000.0, 5000.0], 300.0),
        ] {
            let found = remainder(900.0, 100.0, rivals(asks));
            assert!((found - expected).abs() < 1e-9, "{asks:?}: {found}");
        }
        assert!((remainder(900.0, 200.0, rivals(&[5000.0])) - 600.0).abs() < 1e-9, "twice the weight, twice the share");
    }

    #[test]
    fn a_token_that_ended_or_has_no_known_limit_gives_nothing() {
        let ended = TokenSupply { ends_at: Some(NOW), ..token(1, &[bucket(1, Owner::Token, 5.0)]) };
        assert_eq!(supply(NOW, &[ended, token(2, &[])]), 0.0);
    }

    /// Tokens under profiles under apps under one address, each level with its own limit.
    pub fn nested_tokens() -> impl Strategy<Value = Vec<TokenSupply>> {
        let tokens = prop::collection::vec((0_u64..3, 0_u64..2, 0_u32..50, 0..4_i64), 0..6);
        let limits = prop::collection::vec(0_u32..100, 9);
        (tokens, limits).prop_map(|(tokens, limits)| {
            let limit = |index: u64| f64::from(limits[index as usize]);
            let nested = |(number, (profile, app, own, end)): (usize, (u64, u64, u32, i64))| {
                let profile = app * 3 + profile;
                let buckets = [
                    bucket(100 + number as u64, Owner::Token, f64::from(own)),
                    bucket(10 + profile, Owner::Profile, limit(profile)),
                    bucket(20 + app, Owner::App, limit(6 + app)),
                    bucket(30, Owner::Address, limit(8)),
                ];
                let ends_at = (end > 0).then(|| Timestamp::from_secs(end));
                TokenSupply { ends_at, ..token(number as u128 + 1, &buckets) }
            };
            tokens.into_iter().enumerate().map(nested).collect()
        })
    }

    /// The cheapest set of buckets that every token meets: by duality the greatest flow. Only for nested owners, few buckets.
    fn least_cut(tokens: &[TokenSupply]) -> f64 {
        let mut buckets: Vec<BucketSupply> = tokens.iter().flat_map(|token| token.buckets.clone()).collect();
        buckets.sort_by_key(|bucket| bucket.id);
        buckets.dedup_by_key(|bucket| bucket.id);
        let place = |id| buckets.iter().position(|bucket| bucket.id == id).expect("listed above");
        let masks: Vec<u32> =
            tokens.iter().map(|token| token.buckets.iter().map(|bucket| 1 << place(bucket.id)).sum()).collect();
        (0..1_u32 << buckets.len())
            .filter(|cut| masks.iter().all(|mask| mask & cut != 0))
            .map(|cut| {
                (0..buckets.len()).filter(|at| cut & (1 << at) != 0).map(|at| buckets[at].gives(Span::Day)).sum()
            })
            .fold(f64::INFINITY, f64::min)
    }

    proptest! {
        /// Handing the credit out in small pieces, each to whoever has least for its weight and still wants some.
        #[test]
        fn the_remainder_is_what_fair_handing_out_leaves(
            credit in 1_u32..300, weight in 1_u32..5, rivals in prop::collection::vec((0_u32..200, 1_u32..5), 0..5),
        ) {
            let mut all: Vec<(f64, f64, f64)> =
                rivals.iter().map(|(asks, weight)| (f64::from(*asks), f64::from(*weight), 0.0)).collect();
            all.push((f64::INFINITY, f64::from(weight), 0.0));
            const PIECES: u32 = 50;
            for _ in 0..credit * PIECES {
                let wanting = all.iter_mut().filter(|(asks, _, has)| asks > has);
                let least = wanting.min_by(|a, b| (a.2 / a.1).total_cmp(&(b.2 / b.1)));
                least.expect("one wants without end").2 += 1.0 / f64::from(PIECES);
            }
            let rivals = rivals.iter().map(|(asks, weight)| Rival { asks: f64::from(*asks), weight: f64::from(*weight) });
            let found = remainder(f64::from(credit), f64::from(weight), rivals.collect());
            let handed = all.last().expect("it was pushed").2;
            prop_assert!((found - handed).abs() < 0.2, "{} != {}", found, handed);
        }

        #[test]
        fn equals_the_greatest_flow(tokens in nested_tokens()) {
            let found = supply(NOW, &tokens);
            prop_assert!((found - least_cut(&tokens)).abs() < 1e-6, "{} != {}", found, least_cut(&tokens));
        }

        #[test]
        fn never_exceeds_a_limit(tokens in nested_tokens()) {
            let mut draw = Draw::over(Span::Day);
            let mut by_bucket: HashMap<u64, (f64, f64)> = HashMap::new();
            for token in &tokens {
                let drawn = draw.draw(&token.buckets);
                for bucket in &token.buckets {
                    by_bucket.entry(bucket.id).or_insert((0.0, bucket.gives(Span::Day))).0 += drawn;
                }
            }
            for (drawn, limit) in by_bucket.values() {
                prop_assert!(*drawn <= limit + 1e-6);
            }
        }

        #[test]
        fn more_tokens_never_lower_it(tokens in nested_tokens(), keep in 0_usize..6) {
            let fewer = &tokens[..keep.min(tokens.len())];
            prop_assert!(supply(NOW, fewer) <= supply(NOW, &tokens) + 1e-6);
        }

        #[test]
        fn the_order_of_tokens_does_not_matter(tokens in nested_tokens()) {
            let mut reversed = tokens.clone();
            reversed.reverse();
            prop_assert!((supply(NOW, &tokens) - supply(NOW, &reversed)).abs() < 1e-6);
        }
    }
}
