//! The page of what happened: who may see it, its filters and its files.

use axum::http::StatusCode;
use serde_json::Value;

use crate::domain::member::Role;
use crate::service::members::UpdateMember;
use crate::web::console::testing::{Browser, HOSTILE, Scene};

#[tokio::test]
async fn owners_and_managers_see_what_happened_and_members_do_not() {
    let scene = Scene::start().await;
    let token = scene.test.token(&scene.team, "12").await;
    let eve = scene.member("Eve", Role::Member).await;
    let change = UpdateMember { display_name: Some(HOSTILE.to_owned()), ..UpdateMember::default() };
    scene.broker().update_member(scene.admin(), &scene.team, eve.member, &change).await.unwrap();
    for role in [Role::Owner, Role::Manager] {
        let browser = scene.member(role.as_str(), role).await;
        let page = browser.get("/activity").await;
        assert_eq!(page.status, StatusCode::OK);
        page.must_be_tame();
        assert!(page.body.contains("Added a token") && page.body.contains(&format!("href=\"/tokens/{token}\"")));
        assert!(page.body.contains("2027-01-15 09:00"), "in the member's own zone: {}", page.body);
    }
    for path in ["/activity", "/activity/export.csv", "/activity/export.jsonl"] {
        assert_eq!(eve.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(Browser::of_nobody(&scene).get(path).await.status, StatusCode::SEE_OTHER, "{path}");
    }
    scene.stop().await;
}

#[tokio::test]
async fn filters_find_and_what_is_unknown_finds_nothing() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    let (one, other) = (scene.test.token(&scene.team, "1").await, scene.test.token(&scene.team, "2").await);
    owner.post(&format!("/tokens/{one}/pause"), "").await;
    let paused = "data-name=\"Did\">Paused a token";
    let cases = [
        (String::new(), true),
        (format!("?token={one}"), true),
        (format!("?token={other}"), false),
        (format!("?who={}", owner.member), true),
        ("?who=broker".to_owned(), false),
        ("?action=token.".to_owned(), true),
        ("?action=token.pause".to_owned(), true),
        ("?action=member.".to_owned(), false),
        ("?from=2027-01-15&to=2027-01-15".to_owned(), true),
        ("?from=2027-01-16".to_owned(), false),
        ("?to=2027-01-14".to_owned(), false),
        ("?who=nobody".to_owned(), false),
        ("?token=%22%3E%3Cscript%3Ealert".to_owned(), false),
        ("?before=1".to_owned(), false),
        ("?before=nonsense".to_owned(), true),
    ];
    for (query, found) in cases {
        let page = owner.get(&format!("/activity{query}")).await;
        assert_eq!((page.status, page.body.contains(paused)), (StatusCode::OK, found), "{query}");
        assert!(!page.body.contains("<script>alert"), "{query}");
    }
    for query in ["?from=yesterday", "?to=2027-02-30", "?from=9999-12-31&to=9999-12-31"] {
        assert_eq!(owner.get(&format!("/activity{query}")).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert_eq!(
            owner.get(&format!("/activity/export.csv{query}")).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{query}"
        );
    }
    scene.stop().await;
}

#[tokio::test]
async fn files_hold_what_fits_and_nothing_of_another_team() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    for person in 0..60 {
        scene.test.token(&scene.team, &person.to_string()).await;
    }
    let page = owner.get("/activity?action=token.add").await;
    assert_eq!(page.body.matches("Added a token").count(), 50);
    let next = page.body.split("before=").nth(1).unwrap().split('"').next().unwrap();
    let second = owner.get(&format!("/activity?action=token.add&before={next}")).await;
    assert_eq!(second.body.matches("Added a token").count(), 10);
    let lines = owner.get("/activity/export.jsonl?action=token.add").await;
    assert_eq!(lines.header("content-disposition"), "attachment; filename=\"activity-acme.jsonl\"");
    let events: Vec<Value> = lines.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 60);
    assert!(
        events
            .iter()
            .all(|event| event["action"] == "token.add" && event["actor"].as_str().unwrap().starts_with("keys/"))
    );
    let csv = owner.get("/activity/export.csv?action=token.add").await;
    assert_eq!(csv.body.lines().count(), 61);
    assert!(csv.body.starts_with("number,time,actor,action,subject,detail,comment\r\n"));
    let zoe = scene.stranger().await;
    assert!(!zoe.get("/activity/export.csv").await.body.contains("acme"));
    assert!(!zoe.get("/activity").await.body.contains("Added a token"));
    assert_eq!(owner.get("/activity/export.xml").await.status, StatusCode::NOT_FOUND);
    scene.stop().await;
}
