//! The page of notices and the count at the bell.

use axum::http::StatusCode;

use crate::base::ids::{EventId, TokenId};
use crate::domain::member::Role;
use crate::domain::notice::{Event, Fact};
use crate::service::tokens::UpdateToken;
use crate::web::console::testing::{Browser, HOSTILE, Scene};

/// Tells the team that accounts were connected, of one token; the newest is the last.
async fn told(scene: &Scene, count: u128) -> TokenId {
    let token = scene.test.token(&scene.team, "12").await;
    let label = UpdateToken { label: Some(HOSTILE.to_owned()), ..UpdateToken::default() };
    scene.broker().update_token(scene.admin(), &scene.team, token, &label).await.unwrap();
    let event = |n: u128| Event {
        id: EventId::from_u128((1 << 100) + n),
        at: scene.broker().now(),
        team: Some(scene.team.clone()),
        fact: Fact::TokenConnected { network: "x".parse().unwrap(), token, healed: false },
        dedup_key: format!("connected/{n}"),
    };
    scene.broker().store.append_events((1..=count).map(event).collect()).await.unwrap();
    token
}

#[tokio::test]
async fn what_is_unread_is_counted_and_read() {
    let scene = Scene::start().await;
    let ada = scene.member("Ada", Role::Member).await;
    let empty = ada.get("/notices").await;
    assert!(empty.status == StatusCode::OK && empty.body.contains("No notices yet"), "{}", empty.body);
    assert_eq!(ada.get("/notices/unread").await.body, "");
    let token = told(&scene, 3).await;
    assert!(ada.get("/notices/unread").await.body.starts_with("3<"));
    let page = ada.get("/notices").await;
    page.must_be_tame();
    assert_eq!(page.body.matches("class=\"new\"").count(), 3);
    assert!(page.body.contains(&format!("href=\"/tokens/{token}\"")), "{}", page.body);
    let newest = page.value_of("event");
    assert_eq!(ada.post("/notices/read", &format!("event={newest}")).await.header("location"), "/notices");
    assert!(ada.get("/notices/unread").await.body.starts_with("2<"));
    assert_eq!(ada.get("/notices?unread=1").await.body.matches("class=\"new\"").count(), 2);
    let all = ada.get("/notices").await.value_of("through");
    let read = ada.post("/notices/read", &format!("through={all}&unread=1")).await;
    assert_eq!((read.status, read.header("location")), (StatusCode::SEE_OTHER, "/notices?unread=1"));
    assert_eq!(ada.get("/notices/unread").await.body, "");
    assert!(ada.get("/notices?unread=1").await.body.contains("You have read everything"));
    scene.stop().await;
}

#[tokio::test]
async fn pages_follow_each_other_and_the_bell_stops_counting() {
    let scene = Scene::start().await;
    let ada = scene.member("Ada", Role::Owner).await;
    told(&scene, 40).await;
    assert!(ada.get("/notices/unread").await.body.starts_with("9+<"));
    let first = ada.get("/notices").await;
    assert_eq!(first.body.matches("<li class=\"card").count(), 30);
    let next = first.body.split("href=\"/notices?before=").nth(1).unwrap().split('"').next().unwrap();
    let second = ada.get(&format!("/notices?before={next}")).await;
    assert_eq!(second.body.matches("<li class=\"card").count(), 10);
    assert!(!second.body.contains("name=\"through\""), "all is marked from the first page on");
    scene.stop().await;
}

#[tokio::test]
async fn what_is_unread_is_counted_however_much_was_read_after_it() {
    let scene = Scene::start().await;
    let ada = scene.member("Ada", Role::Owner).await;
    told(&scene, 450).await;
    let id = |n: u128| EventId::from_u128((1 << 100) + n).to_string();
    for n in (3..=450).filter(|n| *n != 7) {
        ada.post("/notices/read", &format!("event={}", id(n))).await;
    }
    assert!(ada.get("/notices/unread").await.body.starts_with("3<"));
    ada.post("/notices/read", &format!("through={}", id(2))).await;
    assert!(ada.get("/notices/unread").await.body.starts_with("1<"));
    scene.stop().await;
}

#[tokio::test]
async fn nobody_sees_or_marks_what_another_team_was_told() {
    let scene = Scene::start().await;
    told(&scene, 2).await;
    let zoe = scene.stranger().await;
    assert!(zoe.get("/notices").await.body.contains("No notices yet"));
    assert_eq!(zoe.get("/notices/unread").await.body, "");
    let foreign = EventId::from_u128((1 << 100) + 1);
    for form in [format!("event={foreign}"), format!("through={foreign}")] {
        assert_eq!(zoe.post("/notices/read", &form).await.status, StatusCode::NOT_FOUND);
    }
    for form in ["", "event=nonsense", "through=tok_1"] {
        assert_eq!(zoe.post("/notices/read", form).await.status, StatusCode::SEE_OTHER, "{form}");
    }
    let nobody = Browser::of_nobody(&scene);
    assert_eq!(nobody.get("/notices").await.header("location"), "/sign-in?next=%2Fnotices");
    assert_eq!(nobody.post("/notices/read", "").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(zoe.get("/notices?before=nonsense").await.status, StatusCode::OK);
    scene.stop().await;
}
