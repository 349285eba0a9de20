//! What the live tokens can give, read out of the pools and kept for a while.
//!
//! A pool is read in small pieces, so that nobody waits long for its lock. What was read holds until a token changes, until the
//! first of the tokens ends, or for [`KEPT_FOR`]: limits are learnt meanwhile, and other teams ask for more or less of what is shared. Of large pools only those credit classes are read that
//! somebody asks for.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{TeamId, TokenId};
use crate::domain::load::{BucketSupply, Demand, ForecastPoint, LoadKey, Span, Spans, TokenSupply, forecast, supply};
use crate::domain::networks::{Network, Owner, Unit};
use crate::domain::pool::{Pool, SupplyView, SurveyedToken};
use crate::domain::token::TokenState;
use crate::engine::Engine;
use crate::service::sharing::{Demands, Drawn, Shares, Sharing};

/// How long what was read is used, on the broker's clock.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// Tokens that are looked at under one lock.
const PIECE: usize = 500;
/// Up to this many tokens times credit classes, every class is read; beyond it only those somebody asks for.
const READ_ALL_UP_TO: usize = 200_000;
/// A budget that is topped up is thought to last this long.
const BUDGET_LASTS: Duration = Duration::from_secs(30 * 86_400);
/// How far a forecast looks.
const FORECAST: Duration = Duration::from_secs(30 * 86_400);
/// The most tokens that a forecast names per time, and the most times.
const MOST_NAMED: usize = 10;

/// What the tokens of one network can give.
#[derive(Debug)]
pub struct NetworkSupply {
    generation: u64,
    read_at: Timestamp,
    fresh_until: Timestamp,
    /// The classes that were read.
    read: Vec<bool>,
    teams: BTreeMap<TeamId, BTreeMap<usize, Arc<ClassSupply>>>,
    /// The buckets that a whole app or address shares.
    pub(super) sharing: Sharing,
    /// Tokens by status.
    pub(super) by_status: BTreeMap<&'static str, usize>,
}

/// What the live tokens of a team can give in one credit class.
#[derive(Debug)]
pub struct ClassSupply {
    /// The tokens, with their whole buckets.
    pub(super) tokens: Vec<TokenSupply>,
    /// What the team gets of shared buckets over each span; `None` where others take nothing.
    shares: Spans<Option<Shares>>,
    /// What they give together over each span.
    gives: Spans<f64>,
    /// The spans that hold a window of their buckets.
    judged: Vec<Span>,
    /// Whether every token's own limits belong to its profile: then more tokens of these profiles add nothing.
    pub(super) bound_to_profiles: bool,
    endings: OnceLock<Vec<Ending>>,
}

/// A time at which tokens end, and what is left then.
#[derive(Debug, Clone)]
pub struct Ending {
    /// When, how many, and the supply from then on in a day.
    pub(super) point: ForecastPoint,
    /// Some of the tokens.
    pub(super) tokens: Vec<TokenId>,
}

impl ClassSupply {
    /// Of these tokens, of which `share` tells what the team gets over a span, where other teams take some.
    pub(super) fn new(
        now: Timestamp,
        tokens: Vec<TokenSupply>,
        share: impl Fn(&[TokenSupply], Span) -> Option<Shares>,
    ) -> ClassSupply {
        let owns_profile = |token: &TokenSupply| {
            let mut own = token.buckets.iter().filter(|bucket| bucket.owner.is_own()).peekable();
            own.peek().is_some() && own.all(|bucket| bucket.owner == Owner::Profile)
        };
        let shares = Spans::each(|span| share(&tokens, span));
        let windows: BTreeSet<Duration> =
            tokens.iter().flat_map(|token| &token.buckets).map(BucketSupply::window).collect();
        let gives = |span: Span| supply(now, &less(&tokens, shares.of(span).as_ref()), span);
        let judged: BTreeSet<Span> = windows.into_iter().map(Span::holding).collect();
        ClassSupply {
            gives: Spans::each(gives),
            judged: judged.into_iter().collect(),
            bound_to_profiles: !tokens.is_empty() && tokens.iter().all(owns_profile),
            shares,
            tokens,
            endings: OnceLock::new(),
        }
    }

    /// What the tokens give over `span`.
    pub(super) fn over(&self, span: Span) -> f64 {
        *self.gives.of(span)
    }

    /// The spans over which the load is judged: for each window of the buckets the shortest that holds it.
    pub(super) fn judged(&self) -> &[Span] {
        &self.judged
    }

    /// The tokens, with what the team gets of their buckets while other teams ask for as much as over `span`.
    pub(super) fn tokens_over(&self, span: Span) -> Cow<'_, [TokenSupply]> {
        less(&self.tokens, self.shares.of(span).as_ref())
    }

    /// The times at which known ends of tokens lower the supply. Worked out once.
    pub(super) fn endings(&self, now: Timestamp) -> &[Ending] {
        self.endings.get_or_init(|| {
            let points = forecast(now, &self.tokens_over(Span::Day), 0.0, FORECAST).into_iter().take(MOST_NAMED);
            let ending = |point: ForecastPoint| {
                let then = self.tokens.iter().filter(|token| token.ends_at == Some(point.at));
                Ending { point, tokens: then.map(|token| token.token).take(MOST_NAMED).collect() }
            };
            points.map(ending).collect()
        })
    }
}

/// The tokens, less what other teams take of their buckets.
fn less<'t>(tokens: &'t [TokenSupply], shares: Option<&Shares>) -> Cow<'t, [TokenSupply]> {
    shares.map_or(Cow::Borrowed(tokens), |shares| Cow::Owned(shares.of(tokens)))
}

impl NetworkSupply {
    /// The supply of a team in a class, by its place in the catalogue.
    pub fn of(&self, team: &TeamId, class: usize) -> Option<&Arc<ClassSupply>> {
        self.teams.get(team)?.get(&class)
    }

    /// The teams with live tokens, each with the classes these serve.
    pub fn teams(&self) -> impl Iterator<Item = (&TeamId, &BTreeMap<usize, Arc<ClassSupply>>)> {
        self.teams.iter()
    }

    /// Whether it can still be used for these classes.
    pub(super) fn holds(&self, generation: u64, wanted: &BTreeSet<usize>, now: Timestamp) -> bool {
        let read = |class: &usize| self.read.get(*class) == Some(&true);
        self.generation == generation && now < self.fresh_until && now >= self.read_at && wanted.iter().all(read)
    }

    /// Reads a network's pool: the `wanted` classes, those of `before`, and all of them if the pool is small. `weight` is a
    /// team's share among waiting teams.
    pub(super) fn read(
        engine: &Engine,
        network: &Arc<Network>,
        weight: impl Fn(&TeamId) -> u32,
        wanted: &BTreeSet<usize>,
        before: Option<&NetworkSupply>,
        now: Timestamp,
    ) -> NetworkSupply {
        let start = engine.look(&network.id, |pool| (pool.generation(), pool.token_count()));
        let (generation, count) = start.unwrap_or_default();
        let all = count * network.classes.len() <= READ_ALL_UP_TO;
        let is_read = |class| all || wanted.contains(&class) || before.is_some_and(|before| before.read[class]);
        let read: Vec<bool> = (0..network.classes.len()).map(is_read).collect();
        let mut surveyed = Surveyed::before(now);
        for from in (0..count).step_by(PIECE) {
            let piece = engine.look(&network.id, |pool| pool.survey_tokens(from..from + PIECE, &read, now));
            piece.into_iter().flatten().for_each(|token| surveyed.take_in(network, token, now));
        }
        let names = engine.look(&network.id, Pool::team_names).unwrap_or_default();
        let Surveyed { gathered, mut sharing, by_status, fresh_until } = surveyed;
        sharing.weigh(&names, &demands(engine, network, now), &weight);
        let mut teams = Teams::new();
        for ((team, class), tokens) in gathered {
            let Some(team) = names.get(team) else { continue };
            let share = |tokens: &[TokenSupply], span| sharing.share(team, weight(team), tokens, span);
            let supply = ClassSupply::new(now, tokens, share);
            teams.entry(team.clone()).or_default().insert(class, Arc::new(supply));
        }
        NetworkSupply { generation, read_at: now, fresh_until, read, teams, sharing, by_status }
    }
}

/// What each team asks for in each class.
pub(super) fn demands(engine: &Engine, network: &Network, now: Timestamp) -> Demands {
    let totals = engine.look_at_demand(&network.id, |meter| {
        let totals = meter.keys().map(|key| (meter.total(now, &key), key));
        totals.filter(|(total, _)| total.day.credits > 0).collect::<Vec<_>>()
    });
    let by_class =
        |(total, key): (Spans<Demand>, LoadKey)| Some(((key.team, network.class_index(key.class.as_str())?), total));
    totals.unwrap_or_default().into_iter().filter_map(by_class).collect()
}

type Teams = BTreeMap<TeamId, BTreeMap<usize, Arc<ClassSupply>>>;

/// What was read of a pool so far.
struct Surveyed {
    /// The tokens by team and class, with their whole buckets.
    gathered: BTreeMap<(usize, usize), Vec<TokenSupply>>,
    /// Which of the buckets are shared.
    sharing: Sharing,
    by_status: BTreeMap<&'static str, usize>,
    fresh_until: Timestamp,
}

impl Surveyed {
    fn before(now: Timestamp) -> Self {
        let none = ["live", "suspect", "paused", "expired", "invalid", "revoked"].map(|name| (name, 0));
        let (gathered, sharing) = (BTreeMap::new(), Sharing::default());
        Self { gathered, sharing, by_status: BTreeMap::from(none), fresh_until: now + KEPT_FOR }
    }

    fn take_in(&mut self, network: &Network, token: SurveyedToken, now: Timestamp) {
        let live = matches!(token.state, TokenState::Live | TokenState::Suspect { .. });
        let status = if live && token.usable_until <= now { "expired" } else { token.state.as_str() };
        *self.by_status.entry(status).or_default() += 1;
        if !token.usable {
            return;
        }
        self.fresh_until = self.fresh_until.min(token.usable_until);
        for (class, views) in token.serves {
            let unit = network.classes[class].unit;
            let bucket = |view: &SupplyView| {
                let bucket = bucket_supply(view.bucket, view.owner, view.cap, unit, view.length);
                self.sharing.note(token.team, &Drawn { rule: view.rule, app: token.app, class, bucket });
                bucket
            };
            let buckets = views.iter().map(bucket).collect();
            let of_class = self.gathered.entry((token.team, class)).or_default();
            of_class.push(TokenSupply { token: token.token, ends_at: token.ends_at, buckets });
        }
    }
}

/// What a bucket of `cap` credit in each `length` gives. Different keys that are open stay open: of them it gives as many as may be
/// open at once, whatever the span.
#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
pub(super) fn bucket_supply(id: u64, owner: Owner, cap: u64, unit: Unit, length: Option<Duration>) -> BucketSupply {
    match unit {
        Unit::Keys => BucketSupply::at_once(id, owner, cap as f64),
        Unit::Calls | Unit::QuotaUnits | Unit::Points | Unit::Posts => {
            BucketSupply::per_window(id, owner, cap as f64, length.unwrap_or(BUDGET_LASTS))
        }
    }
}
