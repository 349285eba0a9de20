//! What the load would be if a team added collections or tokens. Changes nothing.
//!
//! An added token is granted by another person for another profile: it brings buckets of its own, and shares those of the app and of
//! the address. What its limits are stands in the catalogue, with the facts that are given and the operator's own settings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ids::{TeamId, TokenId};
use crate::domain::app::App;
use crate::domain::credit::limit;
use crate::domain::load::{BucketSupply, Load, LoadKey, Span, Spans, TokenSupply};
use crate::domain::networks::{LimitRule, Network, TokenKind, Unit};
use crate::domain::pool::sustained_length;
use crate::service::supply::{ClassSupply, NetworkSupply, bucket_supply};
use crate::service::team_load::{ClassLoad, TeamLoad, TeamLoadError};
use crate::service::{Broker, Caller, apps};

/// Added tokens that are looked at one by one; more are added up.
const ONE_BY_ONE: u64 = 10_000;

/// A collection that the team might add.
#[derive(Debug, Clone)]
pub struct AddedCollection {
    /// The network's id.
    pub network: String,
    /// The operation's id.
    pub operation: String,
    /// Calls per hour, evenly spread.
    pub calls_per_hour: u64,
}

/// Tokens that the team might add.
#[derive(Debug, Clone)]
pub struct AddedTokens {
    /// The network's id.
    pub network: String,
    /// Their kind.
    pub kind: String,
    /// How many, each of another person and profile.
    pub count: u64,
    /// Facts that each of them has.
    pub facts: BTreeMap<String, u64>,
}

/// What is added to one credit class.
#[derive(Default)]
struct Added {
    /// Credit asked for in an hour.
    demand: f64,
    tokens: Vec<(usize, u64, BTreeMap<String, u64>)>,
}

type Touched = BTreeMap<(String, usize), (Arc<Network>, Added)>;

/// A token that is not there yet.
struct Hypothetical<'a> {
    team: &'a TeamId,
    network: &'a Network,
    class: usize,
    kind: &'a TokenKind,
    facts: &'a BTreeMap<String, u64>,
}

impl Broker {
    /// The load as it is, and as it would be in the classes that are touched. May look at every token: call it where blocking is allowed.
    pub fn estimate_load(
        &self,
        caller: &Caller,
        team: &TeamId,
        collections: &[AddedCollection],
        tokens: &[AddedTokens],
    ) -> Result<(TeamLoad, TeamLoad), TeamLoadError> {
        let present = self.team_load(caller, team, None)?;
        let mut touched = Touched::new();
        for added in collections {
            self.touch_by_collection(added, &mut touched)?;
        }
        for added in tokens {
            self.touch_by_tokens(added, &mut touched)?;
        }
        let now = self.now();
        let estimate = |((_, class), (network, added))| self.estimated(team, &present, &network, class, &added, now);
        let classes: Vec<ClassLoad> = touched.into_iter().map(estimate).collect();
        let level = classes.iter().map(|class| class.level).max().unwrap_or_default();
        Ok((present, TeamLoad { team: team.clone(), at: now, level, classes }))
    }

    fn known_network(&self, id: &str) -> Result<Arc<Network>, TeamLoadError> {
        self.catalogue.network(id).cloned().ok_or_else(|| TeamLoadError::UnknownNetwork(id.to_owned()))
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate need not be exact beyond 2^52")]
    fn touch_by_collection(&self, added: &AddedCollection, touched: &mut Touched) -> Result<(), TeamLoadError> {
        let network = self.known_network(&added.network)?;
        let unknown =
            || TeamLoadError::UnknownOperation { network: added.network.clone(), operation: added.operation.clone() };
        let operation = network.operation(&added.operation).ok_or_else(unknown)?;
        for cost in &operation.costs {
            let Some(class) = network.class_index(cost.class.as_str()) else { continue };
            let entry = touched.entry((added.network.clone(), class));
            let (_, sum) = entry.or_insert_with(|| (network.clone(), Added::default()));
            sum.demand += added.calls_per_hour as f64 * cost.units as f64;
        }
        Ok(())
    }

    fn touch_by_tokens(&self, added: &AddedTokens, touched: &mut Touched) -> Result<(), TeamLoadError> {
        let network = self.known_network(&added.network)?;
        let unknown = || TeamLoadError::UnknownKind { network: added.network.clone(), kind: added.kind.clone() };
        let kind = network.kind_index(&added.kind).ok_or_else(unknown)?;
        for class in classes_of(&network, &network.kinds[kind]) {
            let entry = touched.entry((added.network.clone(), class));
            let (_, sum) = entry.or_insert_with(|| (network.clone(), Added::default()));
            sum.tokens.push((kind, added.count, added.facts.clone()));
        }
        Ok(())
    }

    fn estimated(
        &self,
        team: &TeamId,
        present: &TeamLoad,
        network: &Arc<Network>,
        class: usize,
        added: &Added,
        now: Timestamp,
    ) -> ClassLoad {
        let key = LoadKey { team: team.clone(), network: network.id.clone(), class: network.classes[class].id.clone() };
        let before = present.classes.iter().find(|class| class.key == key);
        let supplies = self.network_supply(network, &BTreeSet::from([class]), now);
        let mut tokens = supplies.of(team, class).map(|supply| supply.tokens.clone()).unwrap_or_default();
        let mut live = tokens.len();
        for (nth, (kind, count, facts)) in added.tokens.iter().enumerate() {
            let one = Hypothetical { team, network, class, kind: &network.kinds[*kind], facts };
            tokens.extend(self.hypothetical(&one, &supplies, nth, *count));
            live = live.saturating_add(usize::try_from(*count).unwrap_or(usize::MAX));
        }
        let weight = self.team_weight(team);
        let share = |tokens: &[TokenSupply], span| supplies.sharing.share(team, weight, tokens, span);
        let supply = ClassSupply::new(now, tokens, share);
        let spans = Spans::each(|span| {
            let asked = before.map_or(0.0, |before| before.spans.of(span).demand);
            let more = match network.classes[class].unit {
                Unit::Keys => added.demand,
                _ => added.demand * (span.length().as_secs_f64() / Span::Hour.length().as_secs_f64()),
            };
            Load::new(asked + more, supply.over(span), live)
        });
        self.judged(key, spans, Some(Arc::new(supply)), now)
    }

    /// What `count` more tokens bring: each by itself, or added up if they are very many.
    fn hypothetical(
        &self,
        one: &Hypothetical<'_>,
        supplies: &NetworkSupply,
        nth: usize,
        count: u64,
    ) -> Vec<TokenSupply> {
        let buckets = self.buckets_of(one, Some(supplies));
        let merged = count > ONE_BY_ONE;
        #[expect(clippy::cast_precision_loss, reason = "at most a million tokens are added at once")]
        let factor = if merged { count as f64 } else { 1.0 };
        let token = |number: u64| {
            let id = hypothetical_id(nth, number);
            let own = |bucket: &BucketSupply| match bucket.owner.is_own() {
                true => bucket.scaled(factor).with_id(fold(id) ^ bucket.id),
                false => *bucket,
            };
            TokenSupply { token: TokenId::from_u128(id), ends_at: None, buckets: buckets.iter().map(own).collect() }
        };
        (0..if merged { 1 } else { count }).map(token).collect()
    }

    /// What a token would bring to a team that has none in this class: one of the first kind that people grant and that serves it.
    pub(super) fn example_token(&self, network: &Network, team: &TeamId, class: usize) -> Option<TokenSupply> {
        let serves = |kind: &&TokenKind| classes_of(network, kind).contains(&class);
        let granted = network.kinds.iter().filter(|kind| kind.oauth.is_some()).find(serves);
        let kind = granted.or_else(|| network.kinds.iter().find(serves))?;
        let one = Hypothetical { team, network, class, kind, facts: &BTreeMap::new() };
        let buckets = self.buckets_of(&one, None);
        Some(TokenSupply { token: TokenId::from_u128(hypothetical_id(0, 0)), ends_at: None, buckets })
    }

    /// The buckets that a token would draw from.
    fn buckets_of(&self, one: &Hypothetical<'_>, supplies: Option<&NetworkSupply>) -> Vec<BucketSupply> {
        let unit = one.network.classes[one.class].unit;
        let classes = one.network.classes.iter().enumerate();
        let rules = classes.flat_map(|(class, entry)| entry.limits.iter().map(move |rule| (class, rule))).enumerate();
        let held = rules.filter(|(_, (class, rule))| *class == one.class && rule.holds_for(&one.kind.id));
        let bucket = |(index, (_, rule)): (usize, (usize, &LimitRule))| {
            let shared = supplies.filter(|_| !rule.owner.is_own());
            shared.and_then(|supplies| supplies.sharing.under(index)).unwrap_or_else(|| {
                let (limit, cap) = self.limit_of(one, rule);
                bucket_supply(u64::MAX - index as u64, rule.owner, cap, unit, sustained_length(&rule.window, limit))
            })
        };
        held.map(bucket).collect()
    }

    /// The limit of a rule, and what the owner's reserve leaves of it.
    fn limit_of(&self, one: &Hypothetical<'_>, rule: &LimitRule) -> (u64, u64) {
        let app = apps::default_app();
        let app = self
            .directory
            .app(&one.network.id, &app)
            .map_or_else(|| App::unknown(one.network.id.clone(), app), |stored| stored.app.clone());
        let terms = apps::terms_of(&self.config, &app);
        let set = terms.limits.get(&one.network.classes[one.class].id);
        let fact = |name: &str| one.facts.get(name).or_else(|| terms.facts.get(name)).copied();
        let limit = match set.filter(|_| !rule.owner.is_own()) {
            Some(limit) => *limit,
            None => limit(&rule.amount, fact),
        };
        let of_team = self.directory.team(one.team).and_then(|team| team.reserve_percent).map(u64::from);
        let configured = || u64::from(self.config.reserve_for(one.team, &one.network.id).basis_points().div_ceil(100));
        let reserve = of_team.unwrap_or_else(configured).min(100);
        (limit, limit - limit.saturating_mul(reserve) / 100)
    }
}

/// The classes that some call costs which a token of `kind` may make.
fn classes_of(network: &Network, kind: &TokenKind) -> BTreeSet<usize> {
    let operations = network.operations.iter().filter(|operation| operation.allows(&kind.id));
    let costs = operations.flat_map(|operation| &operation.costs);
    costs.filter_map(|cost| network.class_index(cost.class.as_str())).collect()
}

/// An id that no real token has: those carry a version in bits that are zero here.
fn hypothetical_id(nth: usize, number: u64) -> u128 {
    ((nth as u128) << 32) | u128::from(number)
}

/// Spreads an id over 64 bits, so that it does not meet the numbers of real buckets.
fn fold(id: u128) -> u64 {
    let low = u64::try_from(id & u128::from(u64::MAX)).unwrap_or_default();
    (low.wrapping_add(1)).wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(32)
}
