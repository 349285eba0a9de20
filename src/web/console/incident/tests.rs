//! The pages to which notices about many tokens lead: one incident, as its teams and operators see it, and one load.

use std::time::Duration;

use axum::http::StatusCode;

use crate::base::ids::IncidentId;
use crate::domain::incident::Outcome;
use crate::domain::load::Advice;
use crate::domain::member::Role;
use crate::domain::team::OperatorRole;
use crate::service::notices::MarkRead;
use crate::service::testing::ask;
use crate::service::{AcquireLease, Answered, IncidentFilter, LoadLevel, ReportUsage};
use crate::web::console::testing::{Browser, Scene};

/// Has X refuse the tokens of six persons, until that is an incident.
async fn refuse_all(scene: &Scene) -> IncidentId {
    let broker = scene.broker();
    let mut callers = Vec::new();
    for nth in 0..3 {
        callers.push(scene.test.caller(scene.test.collector(&scene.team, &format!("crawler-{nth}")).await.id));
    }
    for nth in 0..6 {
        scene.test.token(&scene.team, &format!("person-{nth}")).await;
    }
    for _ in 0..30 {
        scene.test.clock.advance(Duration::from_secs(1));
        for caller in &callers {
            let Ok(leased) = broker.acquire_lease(caller, ask(&scene.team, 1)).await else { continue };
            let body = br#"{"title":"Unauthorized","status":401}"#.to_vec();
            let answer = Some(Answered { status: 401, body, ..Answered::default() });
            let report = ReportUsage { sequence: 1, used: 1, answer, ..ReportUsage::default() };
            broker.report_usage(caller, leased.lease, report).await.unwrap();
        }
        broker.watch_incidents().await.unwrap();
        let found = broker.list_incidents(scene.admin(), IncidentFilter::default(), 1).await.unwrap();
        if let Some(view) = found.first() {
            return view.incident.id;
        }
    }
    panic!("no incident was found");
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
    for said in ["more X tokens", "/connect/start?network=x", "href=\"/members/invite", "type=\"range\"", "It grows"] {
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
    assert!(alerts.contains("No usable X token for search_recent: your team has none connected."), "{alerts}");
    assert!(page.contains("href=\"/load/x/search_recent?range=7d#load-x-search_recent\""), "{page}");
    assert!(owner.get("/load").await.body.contains("href=\"/load/x/search_recent\""));
    assert!(!owner.get("/load/youtube/search_recent").await.body.contains("One more"));
    scene.stop().await;
}
