//! Advice: how many more tokens would bring the load down to its target, or why more tokens add nothing.
//!
//! An additional token is thought to be like the average of those the team has, granted by somebody new: it brings its own buckets
//! (token, person, profile) and shares those of the app and of the address. So tokens help until what they share is used up: the
//! *ceiling* of the supply. All texts for people stand in this file.

use std::fmt;

use crate::base::clock::Timestamp;
use crate::domain::load::supply::{BucketSupply, Draw, TokenSupply, supply};
use crate::domain::load::{Ratio, Span, amount};
use crate::domain::networks::Owner;

/// What advice is measured by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdviceRule {
    /// The load that should be reached, above 0 and usually below 1.
    pub target: f64,
    /// The span that demand and supply are compared over.
    pub span: Span,
    /// Whether the work can be done only with tokens of the profiles that are there (a page's own statistics): then a new
    /// token shares their limits too.
    pub bound_to_profiles: bool,
}

impl Default for AdviceRule {
    fn default() -> Self {
        Self { target: 0.8, span: Span::Day, bound_to_profiles: false }
    }
}

/// Whose tokens an addition must be in order to add credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Newcomer {
    /// Anybody's: each token has limits of its own.
    Anybody,
    /// Those of people who have none here yet: one person's tokens share limits.
    OtherPeople,
    /// Those of profiles that have none here yet: one profile's tokens share limits.
    OtherProfiles,
}

/// What to do about a load.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Advice {
    /// Nothing: the load is on target.
    Nothing,
    /// Add this many tokens; the load is then `reaches`, on target.
    AddTokens {
        /// How many.
        tokens: u64,
        /// Whose.
        newcomer: Newcomer,
        /// The load with them.
        reaches: Ratio,
    },
    /// Add this many tokens; the load then stays above the target, and more of them add nothing.
    AddTokensUpTo {
        /// How many.
        tokens: u64,
        /// Whose.
        newcomer: Newcomer,
        /// The load with them.
        reaches: Ratio,
        /// Whose limit stands in the way of more.
        limit: Owner,
    },
    /// More tokens add nothing: this owner's limit is what is short.
    AddsNothing {
        /// Whose limit it is.
        limit: Owner,
    },
    /// There is no token to judge by: connect one first.
    ConnectFirst,
    /// Nothing until an incident is over, for which tokens rest: what is connected meanwhile would rest too.
    Wait,
}

impl Advice {
    /// Judges the load of `demand` (credit over the rule's span) on the tokens alive at `now`. `example` is what a token would bring if the team has
    /// none that lives.
    pub fn for_load(
        now: Timestamp,
        tokens: &[TokenSupply],
        example: Option<&TokenSupply>,
        demand: f64,
        rule: AdviceRule,
    ) -> Advice {
        let demand = amount(demand);
        let has = supply(now, tokens, rule.span);
        let needs = demand / rule.target.max(f64::MIN_POSITIVE);
        if has >= needs {
            return Advice::Nothing;
        }
        let Some(addition) = Addition::after(now, tokens, example, &rule) else {
            return Advice::ConnectFirst;
        };
        addition.advise(demand, needs)
    }
}

/// What additional tokens bring.
#[derive(Debug, Clone, PartialEq)]
struct Addition {
    has: f64,
    /// What one more token's own buckets give; infinite where it has none.
    own: f64,
    /// The supply that no number of tokens exceeds, and whose limit that is.
    ceiling: f64,
    limit: Owner,
    newcomer: Newcomer,
}

impl Addition {
    /// Looks at the live tokens, or at the example if there are none. `None`: nothing to judge by.
    fn after(
        now: Timestamp,
        tokens: &[TokenSupply],
        example: Option<&TokenSupply>,
        rule: &AdviceRule,
    ) -> Option<Addition> {
        let AdviceRule { span, bound_to_profiles, .. } = *rule;
        let mut models: Vec<&TokenSupply> =
            tokens.iter().filter(|token| token.is_live(now) && !token.buckets.is_empty()).collect();
        if models.is_empty() {
            models.extend(example.filter(|token| !token.buckets.is_empty()));
        }
        let shared = |bucket: &&BucketSupply| is_shared(bucket.owner, bound_to_profiles);
        let own_of = |token: &&TokenSupply| {
            let own = token.buckets.iter().filter(|bucket| !shared(bucket));
            own.map(|bucket| bucket.gives(span)).fold(f64::INFINITY, f64::min)
        };
        let owns: Vec<f64> = models.iter().map(own_of).collect();
        let (ceiling, limit) = ceiling(&models, rule);
        (!models.is_empty()).then(|| Addition {
            has: supply(now, tokens, span),
            own: owns.iter().sum::<f64>() / owns.len() as f64,
            ceiling,
            limit,
            newcomer: newcomer(&models, bound_to_profiles),
        })
    }

    fn advise(&self, demand: f64, needs: f64) -> Advice {
        let reachable = needs.min(self.ceiling);
        let missing = reachable - self.has;
        if missing <= reachable.abs() * 1e-6 || self.own <= 0.0 {
            return Advice::AddsNothing { limit: self.limit };
        }
        let tokens = (missing / self.own - 1e-9).ceil().max(1.0);
        let reaches = Ratio::new(demand, (self.has + tokens * self.own).min(self.ceiling));
        let (tokens, newcomer) = (tokens as u64, self.newcomer);
        if self.ceiling >= needs {
            return Advice::AddTokens { tokens, newcomer, reaches };
        }
        Advice::AddTokensUpTo { tokens, newcomer, reaches, limit: self.limit }
    }
}

fn is_shared(owner: Owner, bound_to_profiles: bool) -> bool {
    match owner {
        Owner::Address | Owner::App => true,
        Owner::Profile => bound_to_profiles,
        Owner::Token | Owner::Person | Owner::AppPerson => false,
    }
}

/// What the shared buckets alone would give, and the widest owner whose bucket ends it. Where nothing is shared the ceiling is
/// infinite, and the limit is the token's own.
fn ceiling(models: &[&TokenSupply], rule: &AdviceRule) -> (f64, Owner) {
    let (mut draw, mut ceiling) = (Draw::over(rule.span), 0.0_f64);
    let shared = |token: &TokenSupply| -> Vec<BucketSupply> {
        token.buckets.iter().filter(|bucket| is_shared(bucket.owner, rule.bound_to_profiles)).copied().collect()
    };
    for token in models {
        let shared = shared(token);
        ceiling += if shared.is_empty() { f64::INFINITY } else { draw.draw(&shared) };
    }
    let drained = models.iter().flat_map(|token| shared(token)).filter(|bucket| draw.is_drained(bucket));
    (ceiling, drained.map(|bucket| bucket.owner).max_by_key(|owner| width(*owner)).unwrap_or(Owner::Token))
}

fn newcomer(models: &[&TokenSupply], bound_to_profiles: bool) -> Newcomer {
    let owners = models.iter().flat_map(|token| token.buckets.iter().map(|bucket| bucket.owner));
    match owners.filter(|owner| !is_shared(*owner, bound_to_profiles)).max_by_key(|owner| width(*owner)) {
        Some(Owner::Profile) => Newcomer::OtherProfiles,
        Some(Owner::Person | Owner::AppPerson) => Newcomer::OtherPeople,
        _ => Newcomer::Anybody,
    }
}

const fn width(owner: Owner) -> u8 {
    match owner {
        Owner::Token => 0,
        Owner::AppPerson => 1,
        Owner::Person => 2,
        Owner::Profile => 3,
        Owner::App => 4,
        Owner::Address => 5,
    }
}

const fn whose_limit(owner: Owner) -> &'static str {
    match owner {
        Owner::Token => "the limit belongs to the token",
        Owner::Person | Owner::AppPerson => "the limit belongs to the person, and all tokens of one person share it",
        Owner::Profile => "the limit belongs to the profile, and all tokens of one profile share it",
        Owner::App => "the limit belongs to the app",
        Owner::Address => "the limit belongs to the address that calls",
    }
}

impl Advice {
    /// The advice as a sentence, without a full stop. `network` is the name people know.
    pub fn text<'a>(&'a self, network: &'a str) -> impl fmt::Display + 'a {
        Sentence { advice: self, network }
    }
}

struct Sentence<'a> {
    advice: &'a Advice,
    network: &'a str,
}

impl Sentence<'_> {
    fn more(&self, tokens: u64, newcomer: Newcomer) -> String {
        let noun = if tokens == 1 { "token" } else { "tokens" };
        let whose = match newcomer {
            Newcomer::Anybody => "",
            Newcomer::OtherPeople => " of other people",
            Newcomer::OtherProfiles => " of other profiles",
        };
        let verb = if tokens == 1 { "brings" } else { "bring" };
        format!("{tokens} more {} {noun}{whose} {verb} the load to", self.network)
    }
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.advice {
            Advice::Nothing => f.write_str("nothing needs to be done: the load is on target"),
            Advice::AddTokens { tokens, newcomer, reaches } => write!(f, "{} {reaches}", self.more(*tokens, *newcomer)),
            Advice::AddTokensUpTo { tokens, newcomer, reaches, limit } => {
                let more = self.more(*tokens, *newcomer);
                write!(f, "{more} {reaches}; further tokens add nothing: {}", whose_limit(*limit))
            }
            Advice::AddsNothing { limit } => write!(f, "more tokens add nothing here: {}", whose_limit(*limit)),
            Advice::ConnectFirst => write!(f, "there is no usable {} token; connect one", self.network),
            Advice::Wait => f.write_str("tokens rest for an incident; wait until it is over"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::load::supply::tests::{bucket, token};
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::EPOCH;

    fn advise(tokens: &[TokenSupply], demand: f64) -> String {
        Advice::for_load(NOW, tokens, None, demand, AdviceRule::default()).text("x").to_string()
    }

    fn own_and_app(id: u64, own: f64, app: f64) -> TokenSupply {
        token(u128::from(id), &[bucket(id, Owner::Token, own), bucket(1000, Owner::App, app)])
    }

    #[test]
    fn says_how_many_tokens_are_missing() {
        let tokens = [own_and_app(1, 100.0, 1e6), own_and_app(2, 100.0, 1e6)];
        assert_eq!(advise(&tokens, 480.0), "4 more x tokens bring the load to 0.8");
        assert_eq!(advise(&tokens, 200.0), "1 more x token brings the load to 0.67");
        assert_eq!(advise(&tokens, 160.0), "nothing needs to be done: the load is on target");
    }

    #[test]
    fn says_whose_limit_stands_in_the_way() {
        let tokens = [own_and_app(1, 100.0, 300.0), own_and_app(2, 100.0, 300.0)];
        let helps_a_little =
            "1 more x token brings the load to 1; further tokens add nothing: the limit belongs to the app";
        assert_eq!(advise(&tokens, 300.0), helps_a_little);
        let app_only = [token(1, &[bucket(1, Owner::App, 300.0)])];
        assert_eq!(advise(&app_only, 900.0), "more tokens add nothing here: the limit belongs to the app");
        let address = [token(1, &[bucket(1, Owner::App, 300.0), bucket(2, Owner::Address, 100.0)])];
        assert_eq!(
            advise(&address, 900.0),
            "more tokens add nothing here: the limit belongs to the address that calls"
        );
    }

    #[test]
    fn says_whose_tokens_help() {
        let page = bucket(9, Owner::Profile, 100.0);
        let tokens = [token(1, &[page]), token(2, &[page])];
        assert_eq!(advise(&tokens, 160.0), "1 more x token of other profiles brings the load to 0.8");
        let person = [token(1, &[bucket(9, Owner::Person, 100.0)])];
        assert_eq!(advise(&person, 240.0), "2 more x tokens of other people bring the load to 0.8");
        let rule = AdviceRule { bound_to_profiles: true, ..AdviceRule::default() };
        let bound = Advice::for_load(NOW, &tokens, None, 160.0, rule);
        assert_eq!(bound, Advice::AddsNothing { limit: Owner::Profile });
    }

    #[test]
    fn without_tokens_it_goes_by_the_example() {
        let example = own_and_app(1, 100.0, 1e6);
        let advice = Advice::for_load(NOW, &[], Some(&example), 160.0, AdviceRule::default());
        assert_eq!(advice, Advice::AddTokens { tokens: 2, newcomer: Newcomer::Anybody, reaches: Ratio::Of(0.8) });
        assert_eq!(Advice::for_load(NOW, &[], None, 160.0, AdviceRule::default()), Advice::ConnectFirst);
    }

    /// Adds the advised tokens for real: each with own buckets like the average, under the app of the first token.
    fn with_more(tokens: &[TokenSupply], count: u64, own: f64) -> Vec<TokenSupply> {
        let shared = tokens[0].buckets[1];
        let more = (0..count).map(|n| token(5000 + u128::from(n), &[bucket(5000 + n, Owner::Token, own), shared]));
        tokens.iter().cloned().chain(more).collect()
    }

    proptest! {
        #[test]
        fn the_advised_tokens_do_what_was_said(
            owns in prop::collection::vec(1_u32..100, 1..6), app in 1_u32..2000, demand in 1_u32..1000,
        ) {
            let tokens: Vec<_> =
                owns.iter().enumerate().map(|(n, own)| own_and_app(n as u64, f64::from(*own), f64::from(app))).collect();
            let mean = owns.iter().map(|own| f64::from(*own)).sum::<f64>() / owns.len() as f64;
            let load_with = |count| Ratio::new(f64::from(demand), supply(NOW, &with_more(&tokens, count, mean), Span::Day)).value();
            match Advice::for_load(NOW, &tokens, None, f64::from(demand), AdviceRule::default()) {
                Advice::Nothing => prop_assert!(load_with(0) <= 0.8 + 1e-6),
                Advice::AddTokens { tokens, reaches, .. } => {
                    prop_assert!((load_with(tokens) - reaches.value()).abs() < 1e-6);
                    prop_assert!(reaches.value() <= 0.8 + 1e-6);
                    prop_assert!(load_with(tokens - 1) > 0.8 - 1e-6);
                }
                Advice::AddTokensUpTo { tokens, reaches, limit, .. } => {
                    prop_assert_eq!(limit, Owner::App);
                    prop_assert!((load_with(tokens) - reaches.value()).abs() < 1e-6);
                    prop_assert!((load_with(tokens + 5) - reaches.value()).abs() < 1e-6);
                    prop_assert!(reaches.value() > 0.8 - 1e-6);
                }
                Advice::AddsNothing { limit } => {
                    prop_assert_eq!(limit, Owner::App);
                    prop_assert!((load_with(100) - load_with(0)).abs() < load_with(0) * 1e-4);
                }
                Advice::ConnectFirst => prop_assert!(false, "there are tokens"),
                Advice::Wait => prop_assert!(false, "no incident is known of here"),
            }
        }
    }
}
