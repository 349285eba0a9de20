//! Forms whose answer shows a secret, sent again by whoever loads that answer once more.

use axum::http::StatusCode;

use crate::domain::member::Role;
use crate::domain::team::OperatorRole;
use crate::service::apps::UpdateApp;
use crate::store::AuditFilter;
use crate::web::console::testing::{Browser, Scene};

/// A form: the page that has it, where it is sent to, what is filled in (`{n}`: what must be new each time), what its answer shows of the
/// secret, and where the second answer leads.
type Case = (String, String, &'static str, &'static str, String);

fn cases(collector: &str, eve: &Browser) -> Vec<Case> {
    let (member, new) = (format!("/members/{}", eve.member), "/notifications/destinations/new".to_owned());
    let started = "/connect/start?network=x&kind=user".to_owned();
    vec![
        (collector.to_owned(), format!("{collector}/keys"), "name=laptop{n}", "tbk_", format!("{collector}/keys/key_")),
        (
            "/members/invite".to_owned(),
            "/members/invite".to_owned(),
            "mail=bob{n}%40example.com&display_name=Bob&role=member&time_zone=UTC",
            "/join?invitation=",
            "/members/mem_".to_owned(),
        ),
        (member.clone(), format!("{member}/resend"), "", "/join?invitation=", member),
        (
            new.clone(),
            new,
            "kind=webhook&target=https%3A%2F%2Fhooks.example%2F{n}",
            "whsec_",
            "/notifications/destinations/dst_".to_owned(),
        ),
        (
            started,
            "/connect/start".to_owned(),
            "network=x&kind=user&purpose=collect_statistics&for=colleague&colleague=Bob{n}",
            "/connect/links/",
            "/connect/start".to_owned(),
        ),
    ]
}

async fn audited(scene: &Scene) -> usize {
    scene.broker().store.list_audit(AuditFilter::default(), 10_000).await.unwrap().len()
}

/// Sends a form, loads its answer again, changes it and sends it again, and sends it twice at once from a new page.
async fn must_be_done_once(scene: &Scene, browser: &Browser, (page, path, form, secret, mend): &Case) {
    let form_of = async |number: &str| {
        let id = browser.get(page).await.value_of("form_id");
        format!("form_id={id}&{}", form.replace("{n}", number))
    };
    let sent = form_of("1").await;
    let first = browser.post(path, &sent).await;
    assert!(first.status == StatusCode::OK && first.body.contains(secret), "{path}: {} {}", first.status, first.body);
    let before = audited(scene).await;
    for again in [sent.clone(), sent.replace("laptop", "phone")] {
        let again = browser.post(path, &again).await;
        assert_eq!(again.status, StatusCode::CONFLICT, "{path}: {}", again.body);
        assert!(again.body.contains("This was done already") && again.body.contains(mend), "{path}: {}", again.body);
        assert!(!again.body.contains(secret), "{path}: {}", again.body);
    }
    assert_eq!(audited(scene).await, before, "{path}: nothing was made");
    let other = form_of("2").await;
    let (one, two) = tokio::join!(browser.post(path, &other), browser.post(path, &other));
    let mut statuses = [one.status, two.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::CONFLICT], "{path}: {} {}", one.body, two.body);
    assert_eq!(audited(scene).await, before + 1, "{path}: one was made");
}

#[tokio::test]
async fn a_secret_is_made_once_however_often_its_form_is_sent() {
    let scene = Scene::start().await;
    let client = UpdateApp { client_id: Some("client".to_owned()), ..UpdateApp::default() };
    let (network, app) = ("x".parse().unwrap(), "default".parse().unwrap());
    scene.broker().update_app(scene.admin(), &network, &app, client).await.unwrap();
    let (owner, eve) = (scene.member("Ada", Role::Owner).await, scene.member("Eve", Role::Member).await);
    let made = owner.post("/collectors/new", "name=worker&network=x&purpose=collect_content").await;
    let collector = made.header("location").split('?').next().unwrap().to_owned();
    for case in cases(&collector, &eve) {
        must_be_done_once(&scene, &owner, &case).await;
    }
    let admin = Browser::of_operator(&scene, OperatorRole::Admin).await;
    let (page, path) = ("/operator/keys".to_owned(), "/operator/keys/new".to_owned());
    let key = (page, path, "role=reader", "tbk_", "/operator/keys/key_".to_owned());
    must_be_done_once(&scene, &admin, &key).await;
    scene.stop().await;
}

#[tokio::test]
async fn who_is_told_that_a_key_was_made_is_led_to_its_end() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    let made = owner.post("/collectors/new", "name=worker&network=x&purpose=collect_content").await;
    let collector = made.header("location").split('?').next().unwrap().to_owned();
    let form = format!("form_id={}", owner.get(&collector).await.value_of("form_id"));
    owner.post(&format!("{collector}/keys"), &form).await;
    let again = owner.post(&format!("{collector}/keys"), &form).await;
    let revoke = again.body.split("<a class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(owner.post(&revoke, "word=revoke").await.header("location"), format!("{collector}?done=key-revoked"));
    // The id of a form of somebody else is a new one.
    let eve = scene.member("Eve", Role::Manager).await;
    assert_eq!(eve.post(&format!("{collector}/keys"), &form).await.status, StatusCode::OK);
    scene.stop().await;
}
