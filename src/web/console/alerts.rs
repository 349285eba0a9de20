//! What is wrong, and was: alerts and incidents of the team, and who was told.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::filter::address;
use super::incident::{closing, page_of_incident, told};
use super::noticed::{Note, Noticed};
use super::paging::Pages;
use super::refused::refused;
use super::{Place, Shell, Visit, When};
use crate::base::ids::{AlertId, IncidentId};
use crate::domain::alert::{Alert, Level};
use crate::service::incidents::{IncidentError, IncidentView};
use crate::service::{AlertError, AlertStanding, Broker, IncidentFilter, ListAlerts};
use crate::web::page::shown;

/// Open alerts that are shown whole: the others have a line each.
const CARDS: usize = 10;
/// Alerts of the past on a page.
const PAST: usize = 30;
/// Incidents of the past on a page.
const INCIDENTS: u32 = 20;
/// Open incidents on each page: more than a team has apps, of which each has one at most.
const OPEN_INCIDENTS: u32 = 100;
/// Open alerts of which the list says who was told; of the others their own pages do.
const TOLD: usize = 5;

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    before: String,
    trail: String,
    incidents_before: String,
    incidents_trail: String,
    done: String,
}

#[derive(Template)]
#[template(path = "console/alerts.html")]
struct AlertsPage {
    shell: Shell,
    here: String,
    open: OpenAlerts,
    past: Vec<AlertRow>,
    pages: Pages,
    incidents: Vec<IncidentRow>,
    incident_pages: Pages,
}

/// What is open, the worst first.
struct OpenAlerts {
    /// How many there are; blank where that is seen at a glance.
    count: String,
    cards: Vec<AlertRow>,
    lines: Vec<AlertLine>,
}

/// An open alert that has a line.
struct AlertLine {
    href: String,
    title: String,
    level: &'static str,
    level_text: String,
    opened: When,
    /// When somebody took notice.
    seen: Option<When>,
}

/// An alert.
struct AlertRow {
    id: String,
    /// Its own page.
    href: String,
    /// The page of the load that it is about.
    load: String,
    level: &'static str,
    level_text: String,
    title: String,
    message: String,
    opened: When,
    lasts: String,
    cleared: Option<When>,
    noticed: Noticed,
}

/// An incident.
struct IncidentRow {
    href: String,
    message: String,
    network: String,
    opened: When,
    closed: Option<(When, String)>,
    tokens: String,
}

/// The page.
pub(super) async fn show(State(broker): State<Broker>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    let shell = visit.shell(&broker, Place::Alerts).with_done(&asked.done, 1);
    let open = match open_alerts(&broker, &visit, &shell).await {
        Ok(open) => open,
        Err(error) => return refused(shell, &error),
    };
    let (past, older) = match past_alerts(&broker, &visit, &shell, &asked.before).await {
        Ok(past) => past,
        Err(error) => return refused(shell, &error),
    };
    let (incidents, older_incidents) = match incidents(&broker, &visit, &shell, &asked.incidents_before).await {
        Ok(incidents) => incidents,
        Err(error) => return refused(shell, &error),
    };
    let alerts: Cursor<'_> = (&asked.before, &asked.trail);
    let of_incidents: Cursor<'_> = (&asked.incidents_before, &asked.incidents_trail);
    let page = AlertsPage {
        here: page_at(alerts, of_incidents),
        open,
        past,
        pages: Pages::around(alerts, older.as_deref(), |before, trail| {
            format!("{}#past", page_at((before, trail), of_incidents))
        }),
        incidents,
        incident_pages: Pages::around(of_incidents, older_incidents.as_deref(), |before, trail| {
            format!("{}#incidents", page_at(alerts, (before, trail)))
        }),
        shell,
    };
    shown(StatusCode::OK, &page)
}

/// Behind what a list begins, and the trail to there.
type Cursor<'a> = (&'a str, &'a str);

fn page_at(alerts: Cursor<'_>, incidents: Cursor<'_>) -> String {
    let place = [
        ("before", alerts.0),
        ("trail", alerts.1),
        ("incidents_before", incidents.0),
        ("incidents_trail", incidents.1),
    ];
    address("/alerts", &place)
}

async fn open_alerts(broker: &Broker, visit: &Visit, shell: &Shell) -> Result<OpenAlerts, AlertError> {
    let open = broker.list_open_alerts(&visit.caller(), visit.team()).await?;
    let critical = open.iter().filter(|alert| alert.level == Level::Critical).count();
    let count = match open.len() {
        0 | 1 => String::new(),
        all => shell.say_with("alerts-count", &[("count", all.into()), ("critical", critical.into())]),
    };
    let lines = open.iter().skip(CARDS).map(|alert| alert_line(broker, shell, alert)).collect();
    let mut cards = Vec::with_capacity(CARDS);
    for (nth, alert) in open.into_iter().take(CARDS).enumerate() {
        cards.push(alert_row(broker, visit, shell, &broker.as_seen_now(alert), nth < TOLD).await?);
    }
    Ok(OpenAlerts { count, cards, lines })
}

fn alert_line(broker: &Broker, shell: &Shell, alert: &Alert) -> AlertLine {
    let (level, level_text) = level_in_words(shell, alert.level);
    AlertLine {
        href: page_of_alert(alert.id),
        title: title(broker, alert),
        level,
        level_text,
        opened: shell.when(alert.opened_at),
        seen: alert.acknowledged.as_ref().map(|noted| shell.when(noted.at)),
    }
}

/// The alerts of a page that begins behind one, and behind what the next page begins.
async fn past_alerts(
    broker: &Broker,
    visit: &Visit,
    shell: &Shell,
    before: &str,
) -> Result<(Vec<AlertRow>, Option<String>), AlertError> {
    let wanted = ListAlerts {
        team: Some(visit.team().clone()),
        state: Some(AlertStanding::Cleared),
        before: before.parse::<AlertId>().ok(),
        ..ListAlerts::default()
    };
    let past = broker.list_alerts(&visit.caller(), wanted, PAST + 1).await?;
    let older = past.get(PAST - 1).filter(|_| past.len() > PAST).map(|last| last.id.to_string());
    let mut rows = Vec::with_capacity(PAST);
    for alert in past.iter().take(PAST) {
        rows.push(alert_row(broker, visit, shell, alert, false).await?);
    }
    Ok((rows, older))
}

/// The open incidents, then those of the past of a page that begins behind one; and behind what the next page begins.
async fn incidents(
    broker: &Broker,
    visit: &Visit,
    shell: &Shell,
    before: &str,
) -> Result<(Vec<IncidentRow>, Option<String>), IncidentError> {
    let (caller, team) = (visit.caller(), visit.team());
    let open = IncidentFilter { open: Some(true), ..IncidentFilter::default() };
    let past =
        IncidentFilter { open: Some(false), before: before.parse::<IncidentId>().ok(), ..IncidentFilter::default() };
    let open = broker.list_team_incidents(&caller, team, open, OPEN_INCIDENTS).await?;
    let past = broker.list_team_incidents(&caller, team, past, INCIDENTS + 1).await?;
    let most = INCIDENTS as usize;
    let older = past.get(most - 1).filter(|_| past.len() > most).map(|last| last.incident.id.to_string());
    let shown = open.iter().chain(past.iter().take(most));
    Ok((shown.map(|view| incident_row(broker, visit, shell, view)).collect(), older))
}

fn page_of_alert(alert: AlertId) -> String {
    format!("/alerts/{alert}")
}

/// What it is about.
fn title(broker: &Broker, alert: &Alert) -> String {
    let load = &alert.key.load;
    format!("{} · {}", broker.catalogue.name_for_people(load.network.as_str()), load.class)
}

/// The name of its colour, and the level in words.
fn level_in_words(shell: &Shell, level: Level) -> (&'static str, String) {
    match level {
        Level::Warning => ("high", shell.say("level-warning")),
        Level::Critical => ("critical", shell.say("level-critical-alert")),
    }
}

/// An alert, and who was told of it, if that is `told`.
async fn alert_row(
    broker: &Broker,
    visit: &Visit,
    shell: &Shell,
    alert: &Alert,
    told: bool,
) -> Result<AlertRow, AlertError> {
    let told = if told { Some(broker.told_of_alert(visit.team(), alert.id).await?) } else { None };
    let href = page_of_alert(alert.id);
    let open = alert.cleared_at.is_none();
    let noticed = Noticed::of((broker, visit, shell), told, alert.acknowledged.as_ref(), (&href, open)).await;
    let (level, level_text) = level_in_words(shell, alert.level);
    let load = &alert.key.load;
    Ok(AlertRow {
        id: alert.id.to_string(),
        load: format!("/load/{}/{}", load.network, load.class),
        level,
        level_text,
        title: title(broker, alert),
        message: text(broker, shell, alert),
        opened: shell.when(alert.opened_at),
        lasts: shell.far(alert.opened_at),
        cleared: alert.cleared_at.map(|at| shell.when(at)),
        href,
        noticed,
    })
}

/// What is wrong, and what to do.
fn text(broker: &Broker, shell: &Shell, alert: &Alert) -> String {
    let load = &alert.key.load;
    let network = broker.catalogue.name_for_people(load.network.as_str());
    shell.tell(&alert.detail.in_words(network, &load.class))
}

fn incident_row(broker: &Broker, visit: &Visit, shell: &Shell, view: &IncidentView) -> IncidentRow {
    let incident = &view.incident;
    let own = view.teams.iter().find(|(team, _)| team == visit.team()).map_or(0, |(_, tokens)| *tokens);
    IncidentRow {
        href: page_of_incident(incident.id),
        message: told(broker, shell, incident),
        network: broker.catalogue.name_for_people(incident.network.as_str()).to_owned(),
        opened: shell.when(incident.progress.opened_at),
        closed: closing(shell, incident),
        tokens: shell.say_of("incident-tokens", "count", own),
    }
}

#[derive(Template)]
#[template(path = "console/alert.html")]
struct AlertPage {
    shell: Shell,
    alert: AlertRow,
}

/// The page of one alert.
pub(super) async fn show_one(State(broker): State<Broker>, visit: Visit, Path(id): Path<String>) -> Response {
    let shell = visit.shell(&broker, Place::Alerts);
    let id = AlertId::typed(&id);
    let found = match broker.get_alert(&visit.caller(), visit.team(), id).await {
        Ok(alert) => alert_row(&broker, &visit, &shell, &alert, true).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(alert) => shown(StatusCode::OK, &AlertPage { alert, shell }),
        Err(error) => refused(shell, &error),
    }
}

/// Notes that somebody took notice of an alert.
pub(super) async fn acknowledge(
    State(broker): State<Broker>,
    visit: Visit,
    Path(alert): Path<String>,
    Form(given): Form<Note>,
) -> Response {
    let shell = visit.shell(&broker, Place::Alerts);
    let Ok(alert) = alert.parse::<AlertId>() else { return StatusCode::NOT_FOUND.into_response() };
    match broker.acknowledge_alert(&visit.caller(), visit.team(), alert, &given.text()).await {
        Ok(_) => Redirect::to("/alerts?done=acknowledged").into_response(),
        Err(error) => refused(shell, &error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CARDS, Level};
    use crate::base::ids::AlertId;
    use crate::domain::alert::{Detail, NoToken};
    use crate::domain::member::Role;
    use crate::service::testing::START;
    use crate::store::AlertRow;
    use crate::web::console::testing::Scene;

    /// More than all networks have classes of credit.
    const OPEN: u32 = 120;

    fn level(nth: u32) -> Level {
        if nth % 10 == 5 { Level::Critical } else { Level::Warning }
    }

    /// The `nth` alert of the team, each opened a second after the one before.
    async fn open(scene: &Scene, nth: u32) {
        let opened_at = START + Duration::from_secs(nth.into());
        let row = AlertRow {
            id: AlertId::from_u128(nth.into()),
            dedup_key: format!("alert {nth}"),
            kind: "no_access_tokens".to_owned(),
            team: scene.team.clone(),
            network: Some("google_business".parse().unwrap()),
            class: Some(format!("class_{nth}").parse().unwrap()),
            level: level(nth).as_str().to_owned(),
            message: String::new(),
            opened_at,
            cleared_at: None,
            acknowledged_at: nth.is_multiple_of(2).then_some(opened_at),
            acknowledged_by: Some("broker".to_owned()),
            acknowledge_comment: None,
            detail_json: serde_json::to_string(&Detail::Access(NoToken::NoneForPurpose)).unwrap(),
        };
        assert!(scene.broker().store.open_alert(row, None).await.unwrap());
    }

    #[tokio::test]
    async fn every_open_alert_is_in_reach_the_worst_and_the_oldest_first() {
        let scene = Scene::start().await;
        let eve = scene.member("Eve", Role::Member).await;
        open(&scene, 1).await;
        let one = eve.get("/alerts").await.body;
        assert!(!one.contains("alerts are open") && !one.contains("more are open"), "{one}");
        for nth in 2..=OPEN {
            open(&scene, nth).await;
        }
        let page = eve.get("/alerts").await.body;
        let id = |rest: &str| format!("alr_{}", rest.split('"').next().unwrap()).parse::<AlertId>().unwrap().as_u128();
        let mut shown: Vec<u128> = page.split("href=\"/alerts/alr_").skip(1).map(id).collect();
        shown.dedup();
        let of = |wanted: Level| (1..=OPEN).filter(move |nth| level(*nth) == wanted).map(u128::from);
        assert_eq!(shown, of(Level::Critical).chain(of(Level::Warning)).collect::<Vec<_>>());
        assert!(page.contains("120 alerts are open, 12 of them critical"), "{page}");
        assert!(page.contains("110 more are open"), "{page}");
        assert_eq!(page.matches("<section class=\"card warn\"").count(), CARDS);
        assert!(page.len() < 100_000, "{}", page.len());
        scene.stop().await;
    }
}
