//! Loads on the wire. Alerts show parts of them, too.

use std::sync::Arc;

use crate::domain::load::{Advice, Load, Ratio, Span};
use crate::domain::networks::Owner;
use crate::grpc::convert::{duration, timestamp};
use crate::grpc::fields::small;
use crate::grpc::pb;
use crate::service::{ClassLoad, LoadForecast, LoadLevel, TeamLoad};

/// A team's load.
pub fn team_load(load: &TeamLoad, target: f64) -> pb::TeamLoad {
    pb::TeamLoad {
        name: format!("teams/{}/load", load.team),
        measure_time: Some(timestamp(load.at)),
        level: level(load.level).into(),
        classes: load.classes.iter().map(|class| class_load(class, target)).collect(),
    }
}

fn class_load(class: &ClassLoad, target: f64) -> pb::ClassLoad {
    let is_wanted = class.level != LoadLevel::Ok;
    let advice = is_wanted.then(|| advice(&class.advice, class.key.network.as_str(), target)).flatten();
    let hour = &class.spans.hour;
    pb::ClassLoad {
        network: format!("networks/{}", class.key.network),
        credit_class: class.key.class.to_string(),
        level: level(class.level).into(),
        spans: Span::ALL.into_iter().map(|span| load_span(span, class.spans.of(span))).collect(),
        live_tokens: small(hour.tokens),
        volume_per_token: hour.volume_per_token().unwrap_or_default(),
        advice,
        causes: causes(&class.causes, class.load().demand),
        forecast: class.forecast.iter().map(|forecast| load_forecast(class, forecast)).collect(),
        level_span: Some(duration(class.judged.length())),
        growing_ratio: class.growing().and_then(|load| ratio(load.ratio)),
    }
}

fn load_span(span: Span, load: &Load) -> pb::LoadSpan {
    pb::LoadSpan {
        span: Some(duration(span.length())),
        demand: load.demand,
        supply: load.supply,
        ratio: ratio(load.ratio),
    }
}

fn load_forecast(class: &ClassLoad, forecast: &LoadForecast) -> pb::LoadForecast {
    let team = &class.key.team;
    pb::LoadForecast {
        forecast_time: Some(timestamp(forecast.at)),
        ratio: ratio(forecast.ratio),
        level: level(forecast.level).into(),
        expiring_tokens: forecast.tokens.iter().map(|token| format!("teams/{team}/tokens/{token}")).collect(),
        expiring_token_count: small(forecast.ending),
    }
}

/// A level.
pub fn level(level: LoadLevel) -> pb::LoadLevel {
    match level {
        LoadLevel::Ok => pb::LoadLevel::Ok,
        LoadLevel::High => pb::LoadLevel::High,
        LoadLevel::Critical => pb::LoadLevel::Critical,
        LoadLevel::NoTokens => pb::LoadLevel::NoTokens,
    }
}

/// A level from the wire; unspecified is the best.
pub fn from_level(level: i32) -> Option<LoadLevel> {
    match pb::LoadLevel::try_from(level).ok()? {
        pb::LoadLevel::Unspecified | pb::LoadLevel::Ok => Some(LoadLevel::Ok),
        pb::LoadLevel::High => Some(LoadLevel::High),
        pb::LoadLevel::Critical => Some(LoadLevel::Critical),
        pb::LoadLevel::NoTokens => Some(LoadLevel::NoTokens),
    }
}

/// A ratio; unset where there is no supply.
pub fn ratio(ratio: Ratio) -> Option<f64> {
    match ratio {
        Ratio::Of(ratio) => Some(ratio),
        Ratio::NoSupply => None,
    }
}

/// Advice about tokens of `network`; `None`: there is none while tokens rest for an incident.
pub fn advice(advice: &Advice, network: &str, target: f64) -> Option<pb::LoadAdvice> {
    let belongs = |owner: &Owner| !owner.is_own();
    let (tokens, limit_belongs_to_app) = match advice {
        Advice::Nothing => (0, false),
        Advice::AddTokens { tokens, .. } => (*tokens, false),
        Advice::AddTokensUpTo { tokens, limit, .. } => (*tokens, belongs(limit)),
        Advice::AddsNothing { limit } => (0, belongs(limit)),
        Advice::ConnectFirst => (1, false),
        Advice::Wait => return None,
    };
    Some(pb::LoadAdvice {
        text: advice.text(network).to_string(),
        tokens_needed: small(tokens),
        target_ratio: target,
        limit_belongs_to_app,
    })
}

/// Collections with their shares of a demand.
pub fn causes(causes: &[(Arc<str>, f64)], demand: f64) -> Vec<pb::LoadCause> {
    let cause = |(collection, share): &(Arc<str>, f64)| pb::LoadCause {
        collection: collection.to_string(),
        share: *share,
        demand: demand * share,
    };
    causes.iter().map(cause).collect()
}
