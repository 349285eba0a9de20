//! The page of the team's loads.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::chart::{Chart, History, Range, thresholds};
use super::estimate::MOST;
use super::gauge::Gauge;
use crate::base::ids::{ClassId, NetworkId};
use crate::domain::alert::{Detail, NoToken};
use crate::domain::load::{Advice, Span, credit};
use crate::domain::member::Action;
use crate::service::{Broker, ClassLoad, LoadForecast, LoadLevel, TeamLoad, TeamLoadError};
use crate::text::Sentence;
use crate::web::assets;
use crate::web::console::filter::{Choice, address};
use crate::web::console::incident::page_of_incident;
use crate::web::console::refused::refused;
use crate::web::console::{Place, Shell, Visit, When};
use crate::web::page::shown;

/// Where the slider of more tokens begins if no number is advised.
const BEGINS: u64 = 4;

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct Asked {
    pub(super) network: String,
    pub(super) class: String,
    pub(super) range: String,
}

#[derive(Template)]
#[template(path = "console/load/show.html")]
struct LoadPage {
    shell: Shell,
    here: String,
    /// Where there was demand within a day, the worst first.
    cards: Vec<Card>,
    /// Where there was none.
    idle: Vec<Idle>,
    evaluated: Option<When>,
    may_connect: bool,
    /// The page is about one class only, which is called so.
    one: Option<String>,
}

/// The load of one class.
pub(super) struct Card {
    pub(super) id: String,
    /// The page about it alone.
    pub(super) href: String,
    pub(super) network: String,
    pub(super) network_id: String,
    pub(super) mark: Option<String>,
    pub(super) letter: char,
    pub(super) class: String,
    /// What the credit is for.
    pub(super) about: String,
    pub(super) level: &'static str,
    pub(super) level_text: String,
    pub(super) ratio: String,
    pub(super) gauge: Gauge,
    pub(super) gauge_text: String,
    pub(super) figures: String,
    pub(super) per_token: String,
    /// Where the load is on its way to; blank: it stays.
    pub(super) grows_to: String,
    pub(super) advice: String,
    /// The page of the incident for which its tokens rest.
    pub(super) incident: Option<String>,
    /// The page of the network's tokens, of which none is usable for a reason that is known.
    pub(super) tokens: Option<String>,
    /// Whether more people would help.
    pub(super) asks_for_people: bool,
    /// What a slider of more tokens is about; `None` while they rest.
    pub(super) what_if: Option<WhatIf>,
    pub(super) spans: Vec<SpanRow>,
    pub(super) causes: Vec<(String, String)>,
    pub(super) forecast: Vec<ForecastRow>,
    pub(super) chart: Chart,
    pub(super) ranges: Vec<(String, String, bool)>,
}

/// A slider of more tokens.
pub(super) struct WhatIf {
    /// Where it begins: at the number that is advised.
    pub(super) begins: u64,
    /// Where it ends.
    pub(super) ends: u64,
    pub(super) kinds: Vec<Choice>,
}

/// The load over one span.
pub(super) struct SpanRow {
    pub(super) span: String,
    pub(super) demand: String,
    pub(super) supply: String,
    pub(super) ratio: String,
    pub(super) judged: bool,
}

/// What known ends make of the load.
pub(super) struct ForecastRow {
    at: When,
    ending: String,
    ratio: String,
    level: &'static str,
    level_text: String,
}

/// A class that nobody asked for within a day.
struct Idle {
    href: String,
    network: String,
    class: String,
    about: String,
    tokens: u32,
}

impl LoadPage {
    /// Without a class yet.
    fn of(broker: &Broker, visit: &Visit, shell: Shell, load: &TeamLoad) -> Self {
        Self {
            here: String::new(),
            cards: Vec::new(),
            idle: Vec::new(),
            evaluated: (!load.classes.is_empty()).then(|| shell.when(load.at)),
            may_connect: visit.may(broker, Action::Connect),
            one: None,
            shell,
        }
    }
}

/// The page.
pub(in crate::web::console) async fn show(
    State(broker): State<Broker>,
    visit: Visit,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Load);
    let load = match broker.team_load(&visit.caller(), visit.team(), None) {
        Ok(load) => load,
        Err(error) => return refused(shell, &error),
    };
    let lacks = match broker.access_reasons(&visit.caller(), visit.team()).await {
        Ok(lacks) => lacks,
        Err(error) => return refused(shell, &error),
    };
    let (mut busy, idle): (Vec<&ClassLoad>, Vec<_>) = load.classes.iter().partition(|class| class.is_asked_for());
    busy.sort_by(|one, other| {
        other.level.cmp(&one.level).then_with(|| other.load().ratio.value().total_cmp(&one.load().ratio.value()))
    });
    let mut cards = Vec::with_capacity(busy.len());
    for class in busy {
        match card((&broker, &visit, &shell), class, lacks.get(&class.key).copied(), &asked).await {
            Ok(card) => cards.push(card),
            Err(error) => return refused(shell, &error),
        }
    }
    let page = LoadPage {
        here: address("/load", &[("network", &asked.network), ("class", &asked.class), ("range", &asked.range)]),
        cards,
        idle: idle.into_iter().map(|class| idle_class(&broker, class)).collect(),
        ..LoadPage::of(&broker, &visit, shell, &load)
    };
    shown(StatusCode::OK, &page)
}

/// The page of one class of a network, to which notices lead.
pub(in crate::web::console) async fn show_one(
    State(broker): State<Broker>,
    visit: Visit,
    Path((network, class)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Load);
    let Some(entry) = broker.catalogue.network(&network) else {
        return refused(shell, &TeamLoadError::UnknownNetwork(network));
    };
    if entry.class_index(&class).is_none() {
        return refused(shell, &TeamLoadError::UnknownClass { network, class });
    }
    let load = match broker.team_load(&visit.caller(), visit.team(), Some(&entry.id)) {
        Ok(load) => load,
        Err(error) => return refused(shell, &error),
    };
    let path = format!("/load/{network}/{class}");
    let one = format!("{} · {class}", entry.display_name);
    let range = asked.range;
    let asked = Asked { network, class, range };
    let mut cards = Vec::new();
    if let Some(class) = load.classes.iter().find(|known| known.key.class.as_str() == asked.class) {
        let lacks = match broker.access_reasons(&visit.caller(), visit.team()).await {
            Ok(lacks) => lacks.get(&class.key).copied(),
            Err(error) => return refused(shell, &error),
        };
        match card((&broker, &visit, &shell), class, lacks, &asked).await {
            Ok(card) => cards.push(Card { ranges: ranges(&shell, Range::from_name(&asked.range), &path, &[]), ..card }),
            Err(error) => return refused(shell, &error),
        }
    }
    let page = LoadPage {
        here: address(&path, &[("range", &asked.range)]),
        cards,
        one: Some(one),
        ..LoadPage::of(&broker, &visit, shell, &load)
    };
    shown(StatusCode::OK, &page)
}

/// The ranges of a chart that can be chosen: address, words, whether it is the one.
fn ranges(shell: &Shell, chosen: Range, path: &str, of: &[(&str, &str)]) -> Vec<(String, String, bool)> {
    let one = |each: Range| {
        let filters: Vec<_> = of.iter().copied().chain([("range", each.as_str())]).collect();
        (address(path, &filters), shell.say(each.words()), each == chosen)
    };
    Range::ALL.map(one).into()
}

fn idle_class(broker: &Broker, class: &ClassLoad) -> Idle {
    let (network, about) = named(broker, &class.key.network, &class.key.class);
    let href = format!("/load/{}/{}", class.key.network, class.key.class);
    Idle { href, network, class: class.key.class.to_string(), about, tokens: class.load().tokens }
}

/// The name for people of a network, and what a class of it is.
fn named(broker: &Broker, network: &NetworkId, class: &ClassId) -> (String, String) {
    let entry = broker.catalogue.network(network.as_str());
    let class = entry.and_then(|entry| entry.classes.iter().find(|known| known.id == *class));
    let name = broker.catalogue.name_for_people(network.as_str());
    (name.to_owned(), class.map(|class| class.about.clone()).unwrap_or_default())
}

/// The card of a class. `lacks`: why an alert that is open for it says that no token is usable.
async fn card(
    (broker, visit, shell): (&Broker, &Visit, &Shell),
    class: &ClassLoad,
    lacks: Option<NoToken>,
    asked: &Asked,
) -> Result<Card, crate::service::LoadHistoryError> {
    let (network_id, class_id) = (&class.key.network, &class.key.class);
    let is_asked = network_id.as_str() == asked.network && class_id.as_str() == asked.class;
    let range = Range::from_name(if is_asked { &asked.range } else { "" });
    let from = shell.now - range.length();
    let samples = broker.load_history(&visit.caller(), visit.team(), (network_id, class_id), from).await?;
    let thresholds = thresholds(broker);
    let history = History { samples: &samples, thresholds: &thresholds };
    let (network, about) = named(broker, network_id, class_id);
    let load = class.load();
    // That it rests is known before the load is evaluated anew.
    let incident = broker.incident_to_wait_for(visit.team(), network_id).map(page_of_incident);
    let advised = if incident.is_some() { &Advice::Wait } else { &class.advice };
    // Advice goes by numbers, and does not know why tokens that are there are not usable: the alert says that, and what to do.
    let lacks = lacks.filter(|_| class.level == LoadLevel::NoTokens && incident.is_none());
    let connecting_helps = lacks.is_none_or(ends_with_more_tokens);
    let why = lacks.map(|reason| Detail::Access(reason).in_words(&network, class_id));
    let advice = why.into_iter().chain(connecting_helps.then(|| advised.in_words(&network)));
    Ok(Card {
        id: format!("load-{network_id}-{class_id}"),
        mark: assets::mark(network_id.as_str()),
        letter: network.chars().next().unwrap_or('?'),
        network_id: network_id.to_string(),
        class: class_id.to_string(),
        about,
        level: level_name(class.level),
        level_text: shell.say(&format!("level-{}", level_name(class.level).replace('_', "-"))),
        ratio: shell.tell(&load.ratio),
        gauge: Gauge::of(load.ratio.value(), &thresholds.each_ref().map(|threshold| threshold.at)),
        gauge_text: shell.say_of("load-gauge", "percent", shell.tell(&load.ratio)),
        figures: shell.say_with(
            "load-figures",
            &[
                ("span", shell.tell(&class.judged).into()),
                ("demand", credit(load.demand).into()),
                ("supply", credit(load.supply).into()),
                ("tokens", u64::from(load.tokens).into()),
            ],
        ),
        per_token: load.volume_per_token().map_or_else(String::new, |volume| {
            shell.say_with(
                "load-per-token",
                &[("volume", credit(volume).into()), ("span", shell.tell(&class.judged).into())],
            )
        }),
        grows_to: class
            .growing()
            .filter(|_| class.level != LoadLevel::Ok && *advised != Advice::Wait && connecting_helps)
            .map_or_else(String::new, |load| shell.say_of("load-grows", "percent", shell.tell(&load.ratio))),
        advice: shell.tell(&Sentence::new("sentences").sentences("all", advice)),
        tokens: lacks
            .filter(|reason| *reason != NoToken::NoneConnected)
            .map(|_| address("/tokens", &[("network", network_id.as_str())])),
        asks_for_people: connecting_helps
            && matches!(advised, Advice::AddTokens { .. } | Advice::AddTokensUpTo { .. } | Advice::ConnectFirst),
        what_if: (*advised != Advice::Wait).then(|| what_if(broker, network_id, advised)),
        incident,
        spans: spans(shell, class),
        causes: class
            .causes
            .iter()
            .map(|(cause, share)| (cause.to_string(), format!("{:.0} %", share * 100.0)))
            .collect(),
        forecast: class.forecast.iter().map(|forecast| forecast_row(shell, forecast)).collect(),
        chart: Chart::of(shell, (network_id.as_str(), class_id.as_str()), range, &history),
        ranges: ranges(shell, range, "/load", &[("network", network_id.as_str()), ("class", class_id.as_str())]),
        href: format!("/load/{network_id}/{class_id}"),
        network,
    })
}

/// Whether an account that is connected anew ends a want of tokens; else those that are there must be mended.
const fn ends_with_more_tokens(lacks: NoToken) -> bool {
    matches!(lacks, NoToken::NoneConnected | NoToken::NoneOfKind | NoToken::NoneForProfile)
}

fn what_if(broker: &Broker, network: &NetworkId, advised: &Advice) -> WhatIf {
    let advised = match advised {
        Advice::AddTokens { tokens, .. } | Advice::AddTokensUpTo { tokens, .. } => Some(*tokens),
        Advice::Nothing | Advice::AddsNothing { .. } | Advice::ConnectFirst | Advice::Wait => None,
    };
    let begins = advised.unwrap_or(BEGINS).min(MOST);
    WhatIf { begins, ends: ends(begins), kinds: kinds(broker, network) }
}

/// Where a slider ends that begins at a number of tokens: beyond twice as many, at the first of few ends, so that an advice that changes a little
/// leaves the slider of an open page alone.
fn ends(begins: u64) -> u64 {
    [50, 100, 200, 500].into_iter().find(|end| *end >= 2 * begins).unwrap_or(MOST)
}

fn kinds(broker: &Broker, network: &NetworkId) -> Vec<Choice> {
    let Some(entry) = broker.catalogue.network(network.as_str()) else { return Vec::new() };
    let choice = |kind: &crate::domain::networks::TokenKind| Choice {
        value: kind.id.to_string(),
        text: kind.name.clone(),
        chosen: false,
    };
    entry.kinds.iter().map(choice).collect()
}

pub(super) fn spans(shell: &Shell, class: &ClassLoad) -> Vec<SpanRow> {
    let row = |span: Span| {
        let load = class.spans.of(span);
        SpanRow {
            span: shell.tell(&span),
            demand: credit(load.demand),
            supply: credit(load.supply),
            ratio: shell.tell(&load.ratio),
            judged: span == class.judged,
        }
    };
    Span::ALL.map(row).into()
}

fn forecast_row(shell: &Shell, forecast: &LoadForecast) -> ForecastRow {
    ForecastRow {
        at: shell.when(forecast.at),
        ending: shell.say_of("load-ending", "count", u64::from(forecast.ending)),
        ratio: shell.tell(&forecast.ratio),
        level: level_name(forecast.level),
        level_text: shell.say(&format!("level-{}", level_name(forecast.level).replace('_', "-"))),
    }
}

pub(super) const fn level_name(level: LoadLevel) -> &'static str {
    match level {
        LoadLevel::Ok => "ok",
        LoadLevel::High => "high",
        LoadLevel::Critical => "critical",
        LoadLevel::NoTokens => "no_tokens",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slider_reaches_beyond_the_advice() {
        for (begins, expected) in [(0, 50), (4, 50), (25, 50), (26, 100), (149, 500), (400, MOST), (MOST, MOST)] {
            assert_eq!(ends(begins), expected, "{begins}");
        }
    }
}
