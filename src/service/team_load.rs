//! How much each team collects, compared with what its tokens can carry.
//!
//! All teams are evaluated together at intervals; what people and programs ask for is read from the last evaluation. The level follows
//! the span that holds the window of the limit, the worst of them where limits have several; the others stand beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ids::{NetworkId, TeamId, TokenId};
use crate::domain::load::{Advice, AdviceRule, Demand, Load, LoadKey, Ratio, Span, Spans};
use crate::domain::networks::Network;
use crate::service::supply::{ClassSupply, NetworkSupply, demands};
use crate::service::{Broker, Caller, Forbidden};

/// The most causes that are told.
const MOST_CAUSES: usize = 10;
/// The share of a team that is not known any more.
const USUAL_WEIGHT: u32 = 100;

/// The loads of all teams, as they were last evaluated.
#[derive(Debug, Default)]
pub struct Loads {
    /// When.
    pub at: Timestamp,
    /// By team.
    pub teams: BTreeMap<TeamId, Arc<TeamLoad>>,
}

/// How much a team collects, compared with what its tokens can carry.
#[derive(Debug, Clone)]
pub struct TeamLoad {
    /// The team.
    pub team: TeamId,
    /// When it was evaluated.
    pub at: Timestamp,
    /// The worst level of all classes.
    pub level: LoadLevel,
    /// One per network and credit class with demand or tokens, in their order.
    pub classes: Vec<ClassLoad>,
}

impl TeamLoad {
    /// Whether what people see of them is the same: every level, demand and supply, whenever they were evaluated.
    pub fn shows_as(&self, other: &TeamLoad) -> bool {
        let is_same = |(one, other): (&ClassLoad, &ClassLoad)| {
            one.key == other.key && one.level == other.level && one.spans == other.spans
        };
        self.classes.len() == other.classes.len() && self.classes.iter().zip(&other.classes).all(is_same)
    }
}

/// The load of one credit class of one network.
#[derive(Debug, Clone)]
pub struct ClassLoad {
    /// Whose, and of which credit.
    pub key: LoadKey,
    /// Where it stands.
    pub level: LoadLevel,
    /// The load over each span.
    pub spans: Spans<Load>,
    /// The span that the level follows.
    pub judged: Span,
    /// What would help.
    pub advice: Advice,
    /// The collections that cause the demand, with their shares, the largest first. Only where it was asked for.
    pub causes: Vec<(Arc<str>, f64)>,
    /// What known ends of tokens will make of the load. Only where it was asked for.
    pub forecast: Vec<LoadForecast>,
    /// The ratio that the level follows, if the part of its span that was not watched was like what was. More than the ratio just for
    /// as long as the broker is younger than the span.
    pub(super) if_it_goes_on: Ratio,
    /// A day's demand, reckoned alike.
    day_goes_on: f64,
    pub(super) supply: Option<Arc<ClassSupply>>,
}

impl ClassLoad {
    /// The load that the level follows.
    pub fn load(&self) -> &Load {
        self.spans.of(self.judged)
    }

    /// Whether anybody asked for it within the last day.
    pub fn is_asked_for(&self) -> bool {
        self.spans.day.demand > 0.0
    }

    /// The load that the demand is on its way to, over the span that the level follows: advice, where there is any, is for it. `None`: the demand
    /// does not grow, and advice is for the load as it is.
    pub fn growing(&self) -> Option<Load> {
        let (load, to_come) = (self.load(), self.demand_to_come());
        (to_come > load.demand * NOTABLY && load.supply > 0.0).then(|| Load {
            demand: to_come,
            ratio: Ratio::new(to_come, load.supply),
            ..*load
        })
    }

    /// The demand that advice must meet, over the span that the level follows.
    pub(super) fn demand_to_come(&self) -> f64 {
        demand_to_come(&self.spans, self.judged)
    }
}

/// A demand that is so many times as much is said to grow.
const NOTABLY: f64 = 1.1;

/// The demand of a span, or that of its latest part going on, if that is more: while demand grows, what is missing by now is too little.
/// A day has its hours, and is taken as it was.
fn demand_to_come(spans: &Spans<Load>, judged: Span) -> f64 {
    let part = match judged {
        Span::QuarterHour => Span::FiveMinutes,
        Span::Hour => Span::QuarterHour,
        Span::FiveMinutes | Span::Day => judged,
    };
    let going_on = spans.of(part).demand * (judged.length().as_secs_f64() / part.length().as_secs_f64());
    spans.of(judged).demand.max(going_on)
}

/// A load to come.
#[derive(Debug, Clone)]
pub struct LoadForecast {
    /// When.
    pub at: Timestamp,
    /// The ratio from then on, if the demand goes on as over the last 24 hours.
    pub ratio: Ratio,
    /// The level from then on.
    pub level: LoadLevel,
    /// Some of the tokens that end then.
    pub tokens: Vec<TokenId>,
    /// How many end then.
    pub ending: u32,
}

/// Where a load stands. Worse is greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoadLevel {
    /// The tokens carry the demand.
    #[default]
    Ok,
    /// Token load too high.
    High,
    /// More is asked for than the tokens can give.
    Critical,
    /// There is demand and no usable token.
    NoTokens,
}

/// Why no load is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TeamLoadError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such team.
    #[error("there is no team '{0}'; list the teams for those there are")]
    TeamNotFound(TeamId),
    /// There is no such network.
    #[error("the catalogue has no network '{0}'; see the networks command for those it has")]
    UnknownNetwork(String),
    /// There is no such operation.
    #[error("network '{network}' has no operation '{operation}'; see its entry for those it has")]
    UnknownOperation {
        /// The network.
        network: String,
        /// What was asked for.
        operation: String,
    },
    /// There is no such credit class.
    #[error("network '{network}' has no credit class '{class}'; see its entry for those it has")]
    UnknownClass {
        /// The network.
        network: String,
        /// What was asked for.
        class: String,
    },
    /// There is no such kind.
    #[error("network '{network}' issues no token of kind '{kind}'; see its entry for those it does")]
    UnknownKind {
        /// The network.
        network: String,
        /// What was asked for.
        kind: String,
    },
}

impl Broker {
    /// The load of a team as it was last evaluated, with causes and forecasts; of one network only, if one is named.
    pub fn team_load(
        &self,
        caller: &Caller,
        team: &TeamId,
        network: Option<&NetworkId>,
    ) -> Result<TeamLoad, TeamLoadError> {
        caller.must_see(team)?;
        if self.directory.team(team).is_none() {
            return Err(TeamLoadError::TeamNotFound(team.clone()));
        }
        let loads = self.watch.loads();
        let Some(last) = loads.teams.get(team) else {
            return Ok(TeamLoad { team: team.clone(), at: loads.at, level: LoadLevel::Ok, classes: Vec::new() });
        };
        let classes = last.classes.iter().filter(|class| network.is_none_or(|network| class.key.network == *network));
        let classes: Vec<_> = classes.map(|class| self.explained(class)).collect();
        let level = classes.iter().map(|class| class.level).max().unwrap_or_default();
        Ok(TeamLoad { team: team.clone(), at: last.at, level, classes })
    }

    /// The loads of at most `limit` teams after `after`, by team, at `min_level` or worse.
    pub fn list_team_loads(
        &self,
        caller: &Caller,
        min_level: LoadLevel,
        after: Option<&TeamId>,
        limit: usize,
    ) -> Result<Vec<TeamLoad>, TeamLoadError> {
        caller.must_be_operator()?;
        let teams = self.directory.teams();
        let teams = teams.iter().filter(|team| after.is_none_or(|after| team.id > *after));
        let mut listed = Vec::new();
        for team in teams {
            let level = self.watch.loads().teams.get(&team.id).map_or(LoadLevel::Ok, |load| load.level);
            if level >= min_level && listed.len() < limit {
                listed.push(self.team_load(caller, &team.id, None)?);
            }
        }
        Ok(listed)
    }

    /// With causes and forecast.
    fn explained(&self, class: &ClassLoad) -> ClassLoad {
        ClassLoad { causes: self.causes(&class.key, class.judged), forecast: self.forecasts(class), ..class.clone() }
    }

    /// The collections that cause the demand over a span.
    pub(super) fn causes(&self, key: &LoadKey, span: Span) -> Vec<(Arc<str>, f64)> {
        let now = self.now();
        let causes = self.engine.look_at_demand(&key.network, |meter| meter.causes(now, key, span));
        let mut causes = causes.unwrap_or_default();
        causes.truncate(MOST_CAUSES);
        causes
    }

    fn forecasts(&self, class: &ClassLoad) -> Vec<LoadForecast> {
        let Some(supply) = &class.supply else { return Vec::new() };
        let demand = class.day_goes_on;
        let endings = supply.endings(self.now()).iter();
        let forecasts = endings.map(|ending| {
            let load = Load { demand, ratio: Ratio::new(demand, ending.point.load.supply), ..ending.point.load };
            LoadForecast {
                at: ending.point.at,
                ratio: load.ratio,
                level: self.level(&load),
                tokens: ending.tokens.clone(),
                ending: ending.point.ending,
            }
        });
        forecasts.collect()
    }

    /// Where a load stands.
    pub fn level(&self, load: &Load) -> LoadLevel {
        let open_at = self.config.load.open_at;
        match load.ratio {
            _ if load.demand <= 0.0 => LoadLevel::Ok,
            _ if load.tokens == 0 => LoadLevel::NoTokens,
            ratio if ratio.reaches(open_at.max(1.0)) => LoadLevel::Critical,
            ratio if ratio.reaches(open_at) => LoadLevel::High,
            _ => LoadLevel::Ok,
        }
    }

    /// Evaluates the loads of all teams, and keeps and tells the result. Looks at every token: call it where blocking is allowed.
    pub fn evaluate_loads(&self) -> Arc<Loads> {
        let now = self.now();
        let mut teams: BTreeMap<TeamId, Vec<ClassLoad>> = BTreeMap::new();
        for network in self.engine.networks() {
            for class in self.network_loads(&network, now) {
                if self.directory.team(&class.key.team).is_some() {
                    teams.entry(class.key.team.clone()).or_default().push(class);
                }
            }
        }
        let team_load = |(team, mut classes): (TeamId, Vec<ClassLoad>)| {
            classes.sort_by(|a, b| a.key.cmp(&b.key));
            let level = classes.iter().map(|class| class.level).max().unwrap_or_default();
            (team.clone(), Arc::new(TeamLoad { team, at: now, level, classes }))
        };
        let loads = Arc::new(Loads { at: now, teams: teams.into_iter().map(team_load).collect() });
        self.watch.tell_loads(loads.clone());
        loads
    }

    fn network_loads(&self, network: &Arc<Network>, now: Timestamp) -> Vec<ClassLoad> {
        let demands = demands(&self.engine, network, now);
        let supply = self.network_supply(network, &demands.keys().map(|(_, class)| *class).collect(), now);
        let mut loads = BTreeMap::new();
        for (team, of_team) in supply.teams() {
            for class in of_team.keys() {
                loads.insert((team.clone(), *class), Spans::<Demand>::default());
            }
        }
        loads.extend(demands);
        let loads = loads.into_iter();
        loads.map(|((team, class), demand)| self.class_load(network, team, class, &demand, &supply, now)).collect()
    }

    fn class_load(
        &self,
        network: &Network,
        team: TeamId,
        class: usize,
        demand: &Spans<Demand>,
        supply: &NetworkSupply,
        now: Timestamp,
    ) -> ClassLoad {
        let supply = supply.of(&team, class).cloned();
        let tokens = supply.as_ref().map_or(0, |supply| supply.tokens.len());
        let gives = |span| supply.as_ref().map_or(0.0, |supply| supply.over(span));
        let spans = Spans::each(|span| Load::new(demand.of(span).asked(), gives(span), tokens));
        let goes_on = |span: Span| demand.of(span).if_it_goes_on(span);
        let judged = supply.as_deref().map_or(&[][..], ClassSupply::judged);
        let ratios = judged.iter().map(|span| Ratio::new(goes_on(*span), gives(*span)));
        let if_it_goes_on = ratios.fold(Ratio::Of(0.0), |a, b| if b > a { b } else { a });
        let key = LoadKey { team, network: network.id.clone(), class: network.classes[class].id.clone() };
        let (class, day_goes_on) = (self.judged(key, spans, supply, now), goes_on(Span::Day));
        ClassLoad { if_it_goes_on, day_goes_on, ..class }
    }

    /// The load of a class, at the level of the worst of the spans that hold a window of its limits.
    pub(super) fn judged(
        &self,
        key: LoadKey,
        spans: Spans<Load>,
        supply: Option<Arc<ClassSupply>>,
        now: Timestamp,
    ) -> ClassLoad {
        let candidates = supply.as_deref().map_or(&[][..], ClassSupply::judged);
        let worse = |a: Span, b: Span| if spans.of(b).ratio > spans.of(a).ratio { b } else { a };
        let judged = candidates.iter().copied().reduce(worse).unwrap_or(Span::FiveMinutes);
        let load = spans.of(judged);
        let level = self.level(load);
        let advice = match level {
            LoadLevel::Ok => Advice::Nothing,
            _ => self.advice(&key, supply.as_deref(), (demand_to_come(&spans, judged), judged), now),
        };
        let (if_it_goes_on, day_goes_on) = (load.ratio, spans.day.demand);
        let (causes, forecast) = (Vec::new(), Vec::new());
        ClassLoad { key, level, spans, judged, advice, causes, forecast, if_it_goes_on, day_goes_on, supply }
    }

    /// The team's share among waiting teams.
    pub(super) fn team_weight(&self, team: &TeamId) -> u32 {
        self.directory.team(team).map_or(USUAL_WEIGHT, |team| team.weight)
    }

    /// The ratio that advice aims at: low enough to clear the alert.
    pub fn target_load(&self) -> f64 {
        self.config.load.target.min(self.config.load.clear_at)
    }

    /// What would help against a demand over a span. While a team should wait for the end of an incident nothing does.
    pub(super) fn advice(
        &self,
        key: &LoadKey,
        supply: Option<&ClassSupply>,
        (demand, span): (f64, Span),
        now: Timestamp,
    ) -> Advice {
        if self.incident_to_wait_for(&key.team, &key.network).is_some() {
            return Advice::Wait;
        }
        let network = self.catalogue.network(key.network.as_str());
        let class = network.and_then(|network| Some((network, network.class_index(key.class.as_str())?)));
        let Some((network, class)) = class else { return Advice::ConnectFirst };
        let bound_to_profiles = supply.is_some_and(|supply| supply.bound_to_profiles);
        let rule = AdviceRule { target: self.target_load(), span, bound_to_profiles };
        let tokens = supply.map(|supply| supply.tokens_over(span)).unwrap_or_default();
        let example = if tokens.is_empty() { self.example_token(network, &key.team, class) } else { None };
        Advice::for_load(now, &tokens, example.as_ref(), demand, rule)
    }

    /// What the tokens of a network can give; read anew if what is kept is too old for the classes that are wanted.
    pub(super) fn network_supply(
        &self,
        network: &Arc<Network>,
        wanted: &BTreeSet<usize>,
        now: Timestamp,
    ) -> Arc<NetworkSupply> {
        let kept = self.watch.supply(&network.id);
        let generation = self.engine.look(&network.id, crate::domain::pool::Pool::generation).unwrap_or_default();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.holds(generation, wanted, now)) {
            return kept.clone();
        }
        let weight = |team: &TeamId| self.team_weight(team);
        let read = Arc::new(NetworkSupply::read(&self.engine, network, weight, wanted, kept.as_deref(), now));
        self.watch.keep_supply(network.id.clone(), read.clone());
        read
    }
}
