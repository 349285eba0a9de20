//! A browser that listens: what it hears, and that listening is no use of a session.

use super::*;
use crate::domain::member::Role;
use crate::domain::team::OperatorRole;
use crate::service::testing::ask;
use crate::web::console::testing::{Browser, Scene};

/// How often the pages of these tests look whether their session goes on.
const SOON: Duration = Duration::from_millis(1);

/// A page of a member that is open.
fn open(scene: &Scene, secret: &str, every: Duration) -> Open {
    let place = scene.broker().watch.pages.take(scene.admin()).expect("there are places");
    Open::new(scene.broker().clone(), Some(scene.team.clone()), secret, every, place)
}

async fn heard(open: Open) -> Option<Open> {
    open.next().await.map(|(_, open)| open)
}

#[tokio::test]
async fn an_open_page_ends_with_its_session_which_it_does_not_prolong() {
    let scene = Scene::start().await;
    let browser = scene.member("Ada", Role::Owner).await;
    let idle = scene.broker().config.sign_in.idle;
    let page = open(&scene, browser.secret(), SOON);
    let page = heard(page).await.expect("the session goes on");
    scene.test.clock.advance(idle / 2);
    for path in ["/live", "/load/history?network=x&class=search_recent"] {
        assert_eq!(browser.get_by_itself(path).await.status, StatusCode::OK, "{path}");
    }
    // A browser that listens can't say that it does so by itself.
    assert_eq!(browser.get("/live").await.status, StatusCode::OK);
    let page = heard(page).await.expect("the session goes on");
    scene.test.clock.advance(idle / 2);
    assert!(heard(page).await.is_none(), "the session is over");
    assert_eq!(browser.get("/live").await.status, StatusCode::UNAUTHORIZED);
    // A page that asks by itself is not led away: a form in it may be half filled.
    let part = browser.get_by_itself("/notices/unread").await;
    assert!(part.status == StatusCode::UNAUTHORIZED && part.header("hx-redirect").is_empty());
    scene.stop().await;
}

#[tokio::test]
async fn an_operators_open_page_does_not_prolong_its_session_either() {
    let scene = Scene::start().await;
    let browser = Browser::of_operator(&scene, OperatorRole::Reader).await;
    let idle = scene.broker().config.sign_in.idle;
    for _ in 0..2 {
        assert_eq!(browser.get("/operator/live").await.status, StatusCode::OK);
        scene.test.clock.advance(idle / 2);
    }
    assert_eq!(browser.get("/operator/live").await.status, StatusCode::UNAUTHORIZED);
    scene.stop().await;
}

#[tokio::test]
async fn the_pages_of_one_member_take_nobody_elses_places() {
    let scene = Scene::start().await;
    let (ada, bob) = (scene.member("Ada", Role::Member).await, scene.member("Bobby", Role::Member).await);
    let caller = ada.caller().await;
    let mut open = Vec::new();
    while let Some(place) = scene.broker().watch.pages.take(&caller) {
        open.push(place);
    }
    assert_eq!(ada.get("/live").await.status, StatusCode::SERVICE_UNAVAILABLE, "{} pages are open", open.len());
    assert_eq!(bob.get("/live").await.status, StatusCode::OK);
    assert!(scene.broker().watch.watches.take(&caller).is_some(), "the watches of the API have places of their own");
    open.pop();
    assert_eq!(ada.get("/live").await.status, StatusCode::OK);
    scene.stop().await;
}

#[tokio::test]
async fn a_page_hears_of_loads_that_are_others_than_before() {
    let scene = Scene::start().await;
    scene.test.token(&scene.team, "Ada").await;
    let mut page = open(&scene, "", EVERY);
    let mut hears = || {
        scene.test.clock.advance(Duration::from_secs(5));
        scene.broker().evaluate_loads();
        page.hears_of_loads()
    };
    assert!(hears(), "there are tokens now");
    assert!(!hears(), "nothing but the time is another");
    scene.broker().acquire_lease(scene.admin(), ask(&scene.team, 1)).await.unwrap();
    assert!(hears(), "something was asked for");
    scene.stop().await;
}
