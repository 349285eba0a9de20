//! What the load would be with more tokens.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::chart::thresholds;
use super::gauge::Gauge;
use super::show::level_name;
use crate::service::{AddedTokens, Broker, ClassLoad, LoadLevel};
use crate::web::console::refused::refused;
use crate::web::console::{Place, Shell, Visit};
use crate::web::page::shown;

/// The most tokens that the slider adds.
pub(super) const MOST: u64 = 1_000;

/// What is asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct Asked {
    network: String,
    kind: String,
    tokens: u64,
}

#[derive(Template)]
#[template(path = "console/load/estimate.html")]
struct EstimatePage {
    shell: Shell,
    title: String,
    rows: Vec<Row>,
    /// The demand grows somewhere, and the rows say what it comes to.
    grows: bool,
}

/// What becomes of a class.
struct Row {
    class: String,
    before: String,
    after: String,
    level: &'static str,
    level_text: String,
    gauge: Gauge,
}

/// The page, whose main part is fetched alone while the slider moves.
pub(in crate::web::console) async fn estimate(
    State(broker): State<Broker>,
    visit: Visit,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Load);
    let count = asked.tokens.min(MOST);
    let added =
        AddedTokens { network: asked.network.clone(), kind: asked.kind.clone(), count, facts: Default::default() };
    let (caller, team, estimating) = (visit.caller(), visit.team().clone(), broker.clone());
    // It may look at every token.
    let work = tokio::task::spawn_blocking(move || estimating.estimate_load(&caller, &team, &[], &[added]));
    let Ok(estimated) = work.await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let (present, then) = match estimated {
        Ok(estimated) => estimated,
        Err(error) => return refused(shell, &error),
    };
    let before = |class: &ClassLoad| present.classes.iter().find(|before| before.key == class.key);
    // Where there is advice against a demand that grows, the slider speaks of the load that the advice is for.
    let grows = |class: &ClassLoad| {
        before(class).is_some_and(|before| before.level != LoadLevel::Ok && before.growing().is_some())
    };
    let row = |class: &ClassLoad| {
        let shown = |class: &ClassLoad| class.growing().filter(|_| grows(class)).unwrap_or(*class.load());
        let load = shown(class);
        let level = level_name(broker.level(&load));
        Row {
            class: class.key.class.to_string(),
            before: before(class).map_or_else(|| "–".to_owned(), |before| shell.tell(&shown(before).ratio)),
            after: shell.tell(&load.ratio),
            level,
            level_text: shell.say(&format!("level-{}", level.replace('_', "-"))),
            gauge: Gauge::of(load.ratio.value(), &thresholds(&broker).map(|threshold| threshold.at)),
        }
    };
    let demanded = || then.classes.iter().filter(|class| class.is_asked_for());
    let rows = demanded().map(row).collect();
    let grows = demanded().any(grows);
    let name = broker.catalogue.name_for_people(&asked.network).to_owned();
    let title = shell.say_with("estimate-title", &[("count", count.into()), ("network", name.into())]);
    shown(StatusCode::OK, &EstimatePage { title, rows, grows, shell })
}
