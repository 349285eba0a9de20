//! Leases that are held, and requests that wait for credit.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::base::ids::CollectorId;
use crate::domain::lease::{LeaseState, Priority};
use crate::domain::networks::Network;
use crate::service::{Broker, LeaseFilter, LeaseRecord, WaitingView};
use crate::web::console::filter::{Choice, address};
use crate::web::console::paging::Pages;
use crate::web::console::refused::refused;
use crate::web::console::{OperatorVisit, Place, Shell, When};
use crate::web::page::shown;

/// Leases on a page.
const ON_A_PAGE: usize = 100;
/// Requests that are shown of those that wait.
const WAITING: usize = 50;

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    network: String,
    team: String,
    before: String,
    trail: String,
}

#[derive(Template)]
#[template(path = "console/operator/leases.html")]
struct LeasesPage {
    shell: Shell,
    here: String,
    networks: Vec<Choice>,
    teams: Vec<Choice>,
    waiting: Vec<WaitingRow>,
    waiting_in_all: String,
    leases: Vec<LeaseRow>,
    pages: Pages,
}

/// A request that waits.
struct WaitingRow {
    network: String,
    team: String,
    collector: String,
    operation: String,
    calls: u64,
    priority: String,
    collection: String,
    since: String,
    until: String,
}

/// A lease.
struct LeaseRow {
    id: String,
    network: String,
    team: String,
    collector: String,
    token: String,
    operation: String,
    collection: String,
    calls: String,
    opened: When,
    ends: String,
    recalled: bool,
}

/// The page.
pub(super) async fn list(State(broker): State<Broker>, visit: OperatorVisit, Query(asked): Query<Asked>) -> Response {
    let shell = visit.shell(&broker, Place::Leases);
    let caller = visit.caller();
    let filter = LeaseFilter {
        team: asked.team.parse().ok(),
        network: asked.network.parse().ok(),
        before: asked.before.parse().ok(),
        state: Some(LeaseState::Open),
        ..LeaseFilter::default()
    };
    let wanted = |network: &Network| filter.network.as_ref().is_none_or(|wanted| *wanted == network.id);
    let (mut waiting, mut in_all) = (Vec::new(), 0);
    let pools = match broker.list_pools(&caller) {
        Ok(pools) => pools,
        Err(error) => return refused(shell, &error),
    };
    for pool in pools.into_iter().filter(|pool| wanted(&pool.network)) {
        in_all += pool.waiting;
        match broker.list_waiting(&caller, &pool.network.id, WAITING) {
            Ok(found) => waiting.extend(found.into_iter().map(|waiting| (pool.network.clone(), waiting))),
            Err(error) => return refused(shell, &error),
        }
    }
    waiting.retain(|(_, waiting)| filter.team.as_ref().is_none_or(|team| waiting.team == *team));
    waiting.sort_by_key(|(_, waiting)| waiting.asked_at);
    waiting.truncate(WAITING);
    let limit = u32::try_from(ON_A_PAGE + 1).unwrap_or(u32::MAX);
    let leases = match broker.list_leases(&caller, filter, limit).await {
        Ok(leases) => leases,
        Err(error) => return refused(shell, &error),
    };
    let page_before = |before: &str, trail: &str| {
        let filters = [("network", &*asked.network), ("team", &asked.team), ("before", before), ("trail", trail)];
        address("/operator/leases", &filters)
    };
    let last = leases.get(ON_A_PAGE - 1).filter(|_| leases.len() > ON_A_PAGE).map(|last| last.lease.id.to_string());
    let page = LeasesPage {
        here: page_before(&asked.before, &asked.trail),
        networks: choices(
            broker.catalogue.iter().map(|network| (network.id.to_string(), network.display_name.clone())),
            &asked.network,
        ),
        teams: choices(
            broker.directory.teams().iter().map(|team| (team.id.to_string(), team.id.to_string())),
            &asked.team,
        ),
        waiting: waiting.iter().map(|(network, waiting)| waiting_row(&broker, &shell, network, waiting)).collect(),
        waiting_in_all: shell.say_of("leases-waiting", "count", in_all as u64),
        pages: Pages::around((&asked.before, &asked.trail), last.as_deref(), page_before),
        leases: leases.iter().take(ON_A_PAGE).map(|record| lease_row(&broker, &shell, record)).collect(),
        shell,
    };
    shown(StatusCode::OK, &page)
}

fn choices(values: impl Iterator<Item = (String, String)>, chosen: &str) -> Vec<Choice> {
    values.map(|(value, text)| Choice { chosen: value == chosen, value, text }).collect()
}

fn collector_in_words(broker: &Broker, shell: &Shell, collector: Option<CollectorId>) -> String {
    let Some(id) = collector else { return shell.say("usage-by-hand") };
    let name = broker.directory.collector(id).map(|collector| collector.display_name.clone());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| id.to_string())
}

fn waiting_row(broker: &Broker, shell: &Shell, network: &Network, waiting: &WaitingView) -> WaitingRow {
    WaitingRow {
        network: network.display_name.clone(),
        team: waiting.team.to_string(),
        collector: collector_in_words(broker, shell, waiting.collector),
        operation: network.leased_operation(waiting.operation).id.to_string(),
        calls: waiting.calls,
        priority: shell.say(match waiting.priority {
            Priority::Low => "priority-low",
            Priority::Normal => "priority-normal",
            Priority::High => "priority-high",
        }),
        collection: waiting.collection.to_string(),
        since: seconds(shell.now.since(waiting.asked_at)),
        until: seconds(waiting.until.since(shell.now)),
    }
}

fn lease_row(broker: &Broker, shell: &Shell, record: &LeaseRecord) -> LeaseRow {
    let lease = &record.lease;
    let used = record.calls_granted.saturating_sub(record.calls_left);
    LeaseRow {
        id: lease.id.to_string(),
        network: lease.network.to_string(),
        team: lease.team.to_string(),
        collector: collector_in_words(broker, shell, lease.collector),
        token: lease.token.to_string(),
        operation: lease.operation.to_string(),
        collection: lease.collection.clone(),
        calls: shell.say_with("lease-calls", &[("used", used.into()), ("granted", record.calls_granted.into())]),
        opened: shell.when(lease.opened_at),
        ends: seconds(lease.expires_at.since(shell.now)),
        recalled: lease.state == LeaseState::Recalled,
    }
}

/// A span that changes while one looks: whole seconds.
fn seconds(span: std::time::Duration) -> String {
    humantime::format_duration(std::time::Duration::from_secs(span.as_secs())).to_string()
}
