//! The list of collectors.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{networks_of, purpose_name};
use crate::base::ids::CollectorId;
use crate::domain::member::Action;
use crate::service::Broker;
use crate::web::console::filter::address;
use crate::web::console::paging::Pages;
use crate::web::console::refused::refused;
use crate::web::console::{Place, Shell, Visit};
use crate::web::page::shown;

/// Collectors on a page.
const ON_A_PAGE: usize = 50;

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct Asked {
    after: String,
    trail: String,
}

#[derive(Template)]
#[template(path = "console/collectors/list.html")]
struct CollectorsPage {
    shell: Shell,
    rows: Vec<Row>,
    pages: Pages,
    may_change: bool,
}

struct Row {
    id: CollectorId,
    name: String,
    /// `None`: all.
    networks: Option<Vec<String>>,
    purposes: Vec<String>,
    disabled: bool,
    leases: u32,
    last_used: String,
}

/// The page.
pub(in crate::web::console) async fn list(
    State(broker): State<Broker>,
    visit: Visit,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Collectors);
    let after = asked.after.parse::<CollectorId>().ok();
    let (collectors, more) = match broker.list_collectors(Some(visit.team()), after, ON_A_PAGE) {
        Ok(found) => found,
        Err(error) => return refused(shell, &error),
    };
    let ids: Vec<CollectorId> = collectors.iter().map(|collector| collector.id).collect();
    let days = match broker.last_uses_by(&ids).await {
        Ok(days) => days,
        Err(error) => return refused(shell, &error),
    };
    let rows = collectors.iter().map(|collector| Row {
        id: collector.id,
        name: collector.display_name.clone(),
        networks: networks_of(&broker, collector),
        purposes: collector.scope.purposes.iter().map(|purpose| purpose_name(&shell, purpose)).collect(),
        disabled: collector.disabled,
        leases: broker.engine.leases_of(collector.id),
        last_used: shell.last_used(days.get(&collector.id).copied()),
    });
    let last = ids.last().filter(|_| more).map(CollectorId::to_string);
    let page = CollectorsPage {
        rows: rows.collect(),
        pages: Pages::around((&asked.after, &asked.trail), last.as_deref(), |after, trail| {
            address("/collectors", &[("after", after), ("trail", trail)])
        }),
        may_change: visit.may(&broker, Action::ChangeCollectors),
        shell,
    };
    shown(StatusCode::OK, &page)
}
