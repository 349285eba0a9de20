//! The pages to which notices about many tokens lead: one incident, as its teams and operators see it, and one load.

use std::time::Duration;

use axum::http::StatusCode;

use crate::base::ids::{AuditId, IncidentId};
use crate::domain::audit::{Actor, AuditEvent};
use crate::domain::incident::{Closed, Incident, Outcome};
use crate::domain::load::Advice;
use crate::domain::member::Role;
use crate::domain::networks::Purpose;
use crate::domain::team::OperatorRole;
use crate::domain::token::TokenState;
use crate::service::notices::MarkRead;
use crate::service::testing::{ask, x_token};
use crate::service::tokens::AddToken;
use crate::service::{AcquireLease, Answered, IncidentFilter, LoadLevel, ReportUsage};
use crate::web::console::testing::{Answer, Browser, Scene};

/// Has X refuse the tokens of six persons, until that is an incident.
async fn refuse_all(scene: &Scene) -> IncidentId {
    for nth in 0..6 {
        scene.test.token(&scene.team, &format!("person-{nth}")).await;
    }
    refuse(scene, ask(&scene.team, 1), r#"{"title":"Unauthorized","status":401}"#, |_| true).await.id
}

/// Makes such calls, which are all answered with that, until there is an incident that is so.
async fn refuse(scene: &Scene, wanted: AcquireLease, answer: &str, is_so: impl Fn(&Incident) -> bool) -> Incident {
    let broker = scene.broker();
    let mut callers = Vec::new();
    for nth in 0..3 {
        callers.push(scene.test.caller(scene.test.collector(&scene.team, &format!("crawler-{nth}")).await.id));
    }
    for round in 0..60 {
        scene.test.clock.advance(Duration::from_secs(if round < 30 { 1 } else { 60 }));
        for caller in &callers {
            let Ok(leased) = broker.acquire_lease(caller, wanted.clone()).await else { continue };
            let answer = Some(Answered { status: 401, body: answer.as_bytes().to_vec(), ..Answered::default() });
            let report = ReportUsage { sequence: 1, used: 1, answer, ..ReportUsage::default() };
            broker.report_usage(caller, leased.lease, report).await.unwrap();
            let _ = broker.release_lease(caller, leased.lease, None).await;
        }
        broker.watch_incidents().await.unwrap();
        let found = broker.list_incidents(scene.admin(), IncidentFilter::default(), 1).await.unwrap();
        if let Some(view) = found.into_iter().find(|view| is_so(&view.incident)) {
            return view.incident;
        }
    }
    panic!("there is no such incident");
}

#[tokio::test]
async fn while_tokens_rest_for_an_incident_the_load_asks_for_no_more_of_them() {
    let scene = Scene::start().await;
    let (broker, ada) = (scene.broker(), scene.member("Ada", Role::Owner).await);
    let id = refuse_all(&scene).await;
    for nth in 0..20 {
        let wanted = AcquireLease { collection: format!("brand-{nth}"), ..ask(&scene.team, 200) };
        assert!(broker.acquire_lease(scene.admin(), wanted).await.is_err(), "they rest");
    }
    broker.evaluate_loads();
    let load = broker.team_load(&ada.caller().await, &scene.team, None).unwrap();
    let class = load.classes.iter().find(|class| class.level > LoadLevel::Ok).unwrap();
    assert_eq!(class.advice, Advice::Wait);
    let page = ada.get("/load").await.body;
    assert!(page.contains("Its tokens rest for an incident") && page.contains(&format!("/alerts/incidents/{id}")));
    for said in ["more X tokens", "/connect/start?network=x", "for=colleague", "type=\"range\"", "It grows"] {
        assert!(!page.contains(said), "{said}: {page}");
    }
    scene.stop().await;
}

#[tokio::test]
async fn tokens_that_rest_for_an_incident_say_so_wherever_they_are_shown() {
    let scene = Scene::start().await;
    let ada = scene.member("Ada", Role::Owner).await;
    let before = ada.get("/tokens").await.body;
    assert!(!before.contains("rest for an incident"), "{before}");
    let link = format!("/alerts/incidents/{}", refuse_all(&scene).await);
    let (views, _) = scene.broker().list_tokens(&Default::default(), None, 100).await.unwrap();
    let token = views.iter().find(|view| view.token.network.as_str() == "x").unwrap().token.id;
    for page in [
        "/tokens".to_owned(),
        "/tokens?network=x".to_owned(),
        format!("/tokens/{token}"),
        "/connect/start?network=x&kind=user".to_owned(),
        format!("/connect/start?token={token}"),
    ] {
        let shown = ada.get(&page).await.body;
        assert!(shown.contains("rest for an incident") && shown.contains(&link), "{page}: {shown}");
    }
    let row = ada.get(&format!("/tokens/{token}")).await.body;
    assert!(row.contains("It rests for an incident") && !row.contains("it is being checked"), "{row}");
    assert!(!ada.get("/tokens?network=youtube").await.body.contains("rest for an incident"));
    scene.stop().await;
}

#[tokio::test]
async fn a_loss_that_is_proven_is_to_be_mended_while_it_is_open() {
    let scene = Scene::start().await;
    let ada = scene.member("Ada", Role::Owner).await;
    for nth in 0..60 {
        let page = AddToken {
            network: "facebook".to_owned(),
            kind: "page".to_owned(),
            scopes: ["pages_show_list", "pages_read_engagement", "read_insights"].map(str::to_owned).into(),
            refresh: None,
            ..x_token(&format!("person-{nth}"))
        };
        scene.broker().add_token(scene.admin(), &scene.team, page).await.unwrap();
    }
    let wanted = AcquireLease {
        network: "facebook".to_owned(),
        operation: "page.insights".to_owned(),
        purpose: Purpose::CollectStatistics,
        ..ask(&scene.team, 1)
    };
    let removed = r#"{"error":{"message":"Removed","type":"OAuthException","code":190,"error_subcode":458}}"#;
    let incident = refuse(&scene, wanted, removed, |incident| incident.progress.outcome() == Outcome::Lost).await;
    assert!(incident.closed.is_none(), "tokens are left that may be called");
    scene.broker().watch_incidents().await.unwrap();
    let (views, _) = scene.broker().list_tokens(&Default::default(), None, 200).await.unwrap();
    let one = |dead: bool| {
        let is_dead = move |state| matches!(state, TokenState::Invalid { .. }) == dead;
        views.iter().find(move |view| is_dead(view.token.state)).unwrap().token.id
    };
    let (dead, live) = (one(true), one(false));
    let mend =
        ["/tokens".to_owned(), "/load".to_owned(), format!("/tokens/{dead}"), format!("/connect/start?token={dead}")];
    for page in mend {
        let shown = ada.get(&page).await.body;
        assert!(!shown.contains("connect no more accounts"), "{page}: {shown}");
    }
    assert!(ada.get(&format!("/tokens/{live}")).await.body.contains("It rests for an incident"));
    let page = ada.get(&super::page_of_incident(incident.id)).await.body;
    assert!(page.contains("Connect the accounts again that do not work") && !page.contains("Do not connect"), "{page}");
    scene.stop().await;
}

#[tokio::test]
async fn an_incident_has_a_page_that_says_what_to_do() {
    for (outcome, said, leads_to) in [
        (Outcome::Recovered, "collection goes on by itself", "/tokens?network=x"),
        (Outcome::Lost, "Connect the accounts again that do not work", "/tokens?status=dead&#38;network=x"),
    ] {
        let scene = Scene::start().await;
        let id = refuse_all(&scene).await;
        let (eve, zoe) = (scene.member("Eve", Role::Member).await, scene.stranger().await);
        let reader = Browser::of_operator(&scene, OperatorRole::Reader).await;
        let (page, of_operators) = (format!("/alerts/incidents/{id}"), format!("/operator/incidents/{id}"));
        let open = eve.get(&page).await;
        assert_eq!(open.status, StatusCode::OK);
        assert!(open.body.contains("Do not connect accounts again while it is open"), "{}", open.body);
        assert!(eve.get("/alerts").await.body.contains(&page), "the list leads to it");
        is_acknowledged(&scene, &eve, &zoe, &page).await;
        let shown = reader.get(&of_operators).await.body;
        assert!(
            shown.contains("it closes by itself")
                && shown.contains("acme")
                && !shown.contains("<form method=\"post\" action=\"/operator/inc"),
            "{shown}"
        );
        for (path, expected) in [(&page, StatusCode::NOT_FOUND), (&of_operators, StatusCode::SEE_OTHER)] {
            assert_eq!(zoe.get(path).await.status, expected, "{path}: not hit");
            assert_eq!(Browser::of_nobody(&scene).get(path).await.status, StatusCode::SEE_OTHER, "{path}");
        }
        assert_eq!(eve.get("/alerts/incidents/nonsense").await.status, StatusCode::NOT_FOUND);
        scene.broker().close_incident(scene.admin(), id, outcome, "").await.unwrap();
        let over = eve.get(&page).await.body;
        assert!(over.contains(said) && over.contains(&format!("href=\"{leads_to}\"")), "{over}");
        assert!(reader.get(&of_operators).await.body.contains("Over"));
        scene.stop().await;
    }
}

/// Says who was told, and notes who of the team took notice: of that team alone.
async fn is_acknowledged(scene: &Scene, eve: &Browser, zoe: &Browser, page: &str) {
    let ada = scene.member("Ada", Role::Owner).await;
    scene.test.tell().await;
    let told = eve.get(page).await.body;
    assert!(told.contains("<bdi>Ada by mail (waits)</bdi>") && !told.contains("in the app"), "{told}");
    let newest = scene.broker().list_notices(&scene.team, ada.member, false, None, 1).await.unwrap().notices.remove(0);
    let read = MarkRead { through: Some(newest.event.id), events: Vec::new() };
    scene.broker().mark_notices_read(scene.admin(), &scene.team, ada.member, read).await.unwrap();
    assert!(eve.get(page).await.body.contains("<bdi>Ada in the app (read)</bdi>"));
    let acknowledge = format!("{page}/acknowledge");
    assert_eq!(zoe.post(&acknowledge, "comment=mine").await.status, StatusCode::NOT_FOUND);
    for comment in ["comment=%3Cb%3EI+ask+X", "comment=later"] {
        let noted = eve.post(&acknowledge, comment).await;
        assert_eq!(noted.header("location"), format!("{page}?done=acknowledged"));
    }
    let seen = eve.get(page).await.body;
    assert!(seen.contains("Seen by Eve") && seen.contains("<q>&#60;b&#62;I ask X</q>"), "the first one stays: {seen}");
    assert!(!seen.contains(&acknowledge) && !seen.contains("later"), "{seen}");
}

#[tokio::test]
async fn a_load_has_a_page_that_says_what_to_do() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    let unknown = owner.get("/load/x/nothing").await;
    assert!(unknown.status == StatusCode::NOT_FOUND && unknown.body.contains("no class of credit"), "{}", unknown.body);
    let quiet = owner.get("/load/x/search_recent").await;
    assert!(quiet.status == StatusCode::OK && quiet.body.contains("Nobody asks for this credit"), "{}", quiet.body);
    assert_eq!(owner.get("/load/nowhere/search_recent").await.status, StatusCode::NOT_FOUND);
    let caller = scene.test.caller(scene.test.collector(&scene.team, "crawler").await.id);
    assert!(scene.broker().acquire_lease(&caller, ask(&scene.team, 100)).await.is_err(), "there is no token");
    scene.broker().watch_loads().await.unwrap();
    let page = owner.get("/load/x/search_recent").await.body;
    assert!(page.contains("One more X token") && page.contains("/connect/start?network=x"), "{page}");
    for _ in 0..20 {
        scene.test.clock.advance(Duration::from_secs(30));
        assert!(scene.broker().acquire_lease(&caller, ask(&scene.team, 100)).await.is_err());
        scene.broker().watch_loads().await.unwrap();
    }
    let alerts = owner.get("/alerts").await.body;
    let said = "No usable X token for search_recent: your team has none connected.";
    assert!(alerts.contains(said), "{alerts}");
    let now = owner.get("/load/x/search_recent").await.body;
    assert!(now.contains(said) && now.contains("more X token") && !now.contains("href=\"/tokens?network=x"), "{now}");
    assert!(now.contains("/connect/start?network=x&amp;for=colleague"), "{now}");
    assert!(page.contains("href=\"/load/x/search_recent?range=7d#load-x-search_recent\""), "{page}");
    assert!(owner.get("/load").await.body.contains("href=\"/load/x/search_recent\""));
    assert!(!owner.get("/load/youtube/search_recent").await.body.contains("One more"));
    scene.stop().await;
}

#[tokio::test]
async fn where_tokens_lack_the_purpose_the_load_says_what_the_alert_says() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    let purposes = [Purpose::CollectStatistics].into_iter().collect();
    let token = AddToken { purposes, ..x_token("person") };
    scene.broker().add_token(scene.admin(), &scene.team, token).await.unwrap();
    let caller = scene.test.caller(scene.test.collector(&scene.team, "crawler").await.id);
    for _ in 0..20 {
        scene.test.clock.advance(Duration::from_secs(30));
        assert!(scene.broker().acquire_lease(&caller, ask(&scene.team, 100)).await.is_err(), "it is for statistics");
        scene.broker().watch_loads().await.unwrap();
    }
    let said = "No usable X token for search_recent: none was agreed for this purpose. \
                A member should connect it again and agree to it.";
    let alerts = owner.get("/alerts").await.body;
    assert!(alerts.contains(said), "{alerts}");
    let of_all = owner.get("/load").await.body;
    let of_class = of_all.split("<section").find(|card| card.contains("id=\"load-x-search_recent\"")).unwrap();
    let of_one = owner.get("/load/x/search_recent").await.body;
    for page in [of_class, of_one.as_str()] {
        assert!(page.contains(said) && page.contains("href=\"/tokens?network=x\""), "{page}");
        for not_said in ["more X token", "/connect/start?network=x", "It grows"] {
            assert!(!page.contains(not_said), "{not_said}: {page}");
        }
    }
    scene.stop().await;
}

/// Notes an incident that is over and concerned the team.
async fn is_over(scene: &Scene, like: &Incident, nth: u128) {
    let now = scene.broker().now();
    let closed = Some(Closed { at: now, by: "broker".to_owned(), outcome: Outcome::Recovered });
    let incident = Incident { id: IncidentId::from_u128(nth), closed, ..like.clone() };
    let opened = AuditEvent {
        id: AuditId::generate(),
        at: now,
        actor: Actor::Broker,
        action: "incident.open",
        team: None,
        subject: format!("incidents/{}", incident.id),
        detail: String::new(),
    };
    let store = &scene.broker().store;
    assert!(store.open_incident(incident, opened.into()).await.unwrap());
    store.concern_teams(IncidentId::from_u128(nth), vec![(scene.team.clone(), 1)], Vec::new()).await.unwrap();
}

/// The incidents that a page of alerts names, and where its link of that name leads.
fn listed(page: &Answer, link: &str) -> (Vec<IncidentId>, Option<String>) {
    assert_eq!(page.status, StatusCode::OK);
    let id = |rest: &str| rest.split('"').next().unwrap().parse::<IncidentId>().unwrap();
    let incidents = page.body.split("href=\"/alerts/incidents/").skip(1).map(id).collect();
    let nav = page.body.split("aria-label=\"Pages of incidents\"").nth(1).unwrap_or_default();
    let before = nav.split("</nav>").next().unwrap().split_once(&format!("{link}</a>")).map(|(before, _)| before);
    let href = before.and_then(|before| before.rsplit("href=\"").next()?.split('"').next());
    (incidents, href.map(|href| href.replace("&#38;", "&").replace("#incidents", "")))
}

#[tokio::test]
async fn incidents_of_the_past_are_in_reach_behind_those_that_are_open() {
    let scene = Scene::start().await;
    let (eve, open) = (scene.member("Eve", Role::Member).await, refuse_all(&scene).await);
    let like = scene.broker().get_incident(scene.admin(), open).await.unwrap().incident;
    for nth in 1..=45 {
        is_over(&scene, &like, nth).await;
    }
    let of = |newest: u128, oldest: u128| -> Vec<_> {
        [open].into_iter().chain((oldest..=newest).rev().map(IncidentId::from_u128)).collect()
    };
    let (first, next) = listed(&eve.get("/alerts").await, "Next page");
    assert_eq!(first, of(45, 26));
    let (second, next) = listed(&eve.get(&next.unwrap()).await, "Next page");
    assert_eq!(second, of(25, 6));
    let last = eve.get(&next.unwrap()).await;
    assert_eq!(listed(&last, "Next page"), (of(5, 1), None));
    let (_, previous) = listed(&last, "Previous page");
    assert_eq!(listed(&eve.get(&previous.unwrap()).await, "Next page").0, second);
    scene.stop().await;
}
