//! What a team gets of a bucket that tokens of several teams draw from: an app's, or an address's.
//!
//! Waiting teams are served by weighted fair shares, and nothing is kept back for a team that asks for nothing. So a team can have
//! what the others leave, and at least its fair share: that, not the whole limit, is what its load is measured by. A team that has
//! tokens of the app and asks for nothing in the class takes nothing away from the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ids::TeamId;
use crate::domain::load::{BucketSupply, Demand, Rival, Span, Spans, TokenSupply, remainder};

/// The demand of each team in each class, by its place in the catalogue.
pub type Demands = BTreeMap<(TeamId, usize), Spans<Demand>>;

/// The buckets of a network that tokens of several teams may draw from.
#[derive(Debug, Default)]
pub struct Sharing {
    buckets: BTreeMap<u64, SharedBucket>,
}

#[derive(Debug)]
struct SharedBucket {
    /// The rule in the catalogue that it is held under.
    rule: usize,
    /// Its app; of several apps the first one stands for a team that has no token yet.
    app: u32,
    class: usize,
    whole: BucketSupply,
    teams: BTreeSet<usize>,
    rivals: Vec<(TeamId, u32, Spans<f64>)>,
}

/// A token's bucket, and under which rule and app.
pub struct Drawn {
    /// The rule in the catalogue.
    pub rule: usize,
    /// The token's app.
    pub app: u32,
    /// The class.
    pub class: usize,
    /// The whole bucket.
    pub bucket: BucketSupply,
}

impl Sharing {
    /// Notes that a token of `team` draws from a bucket.
    pub fn note(&mut self, team: usize, drawn: &Drawn) {
        if drawn.bucket.owner.is_own() {
            return;
        }
        let Drawn { rule, app, class, bucket: whole } = *drawn;
        let new = || SharedBucket { rule, app, class, whole, teams: BTreeSet::new(), rivals: Vec::new() };
        self.buckets.entry(whole.id).or_insert_with(new).teams.insert(team);
    }

    /// Notes what the teams that draw from each bucket ask for, and their shares among waiting teams.
    pub fn weigh(&mut self, names: &[TeamId], demands: &Demands, weight: impl Fn(&TeamId) -> u32) {
        for shared in self.buckets.values_mut() {
            let asking = shared.teams.iter().filter_map(|team| {
                let team = names.get(*team)?;
                let demand = demands.get(&(team.clone(), shared.class))?;
                Some((team.clone(), weight(team), Spans::each(|span| demand.of(span).asked())))
            });
            shared.rivals = asking.collect();
        }
    }

    /// The bucket of an app or an address under a rule; of the first app if there are several.
    pub fn under(&self, rule: usize) -> Option<BucketSupply> {
        let of_rule = self.buckets.values().filter(|shared| shared.rule == rule);
        of_rule.min_by_key(|shared| shared.app).map(|shared| shared.whole)
    }

    /// The parts that `team` gets of the buckets behind these tokens over `span`; `None` where that is all of them.
    pub fn share(&self, team: &TeamId, weight: u32, tokens: &[TokenSupply], span: Span) -> Option<Shares> {
        let mut shares = BTreeMap::new();
        for bucket in tokens.iter().flat_map(|token| &token.buckets) {
            let Some(shared) = self.buckets.get(&bucket.id) else { continue };
            shares.entry(bucket.id).or_insert_with(|| shared.share(team, weight, span));
        }
        shares.values().any(|share| *share < 1.0).then_some(Shares(shares))
    }
}

/// The part of each shared bucket that a team gets, by the bucket: 0 to 1.
#[derive(Debug)]
pub struct Shares(BTreeMap<u64, f64>);

impl Shares {
    /// The tokens with these parts of their buckets.
    pub fn of(&self, tokens: &[TokenSupply]) -> Vec<TokenSupply> {
        let mut tokens = tokens.to_vec();
        for bucket in tokens.iter_mut().flat_map(|token| &mut token.buckets) {
            *bucket = bucket.scaled(self.0.get(&bucket.id).copied().unwrap_or(1.0));
        }
        tokens
    }
}

impl SharedBucket {
    /// The part of it that a team gets over a span, 0 to 1.
    fn share(&self, team: &TeamId, weight: u32, span: Span) -> f64 {
        let others = self.rivals.iter().filter(|(rival, ..)| rival != team);
        let others = others.map(|(_, weight, asked)| Rival { asks: *asked.of(span), weight: f64::from(*weight) });
        let whole = self.whole.gives(span);
        if whole > 0.0 { remainder(whole, f64::from(weight), others.collect()) / whole } else { 1.0 }
    }
}
