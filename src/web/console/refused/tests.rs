//! What is refused for what was typed, where it was typed.

use axum::http::StatusCode;

use crate::domain::member::Role;
use crate::domain::team::OperatorRole;
use crate::web::console::testing::{Browser, Scene};

#[tokio::test]
async fn what_was_typed_stands_in_its_form_beside_what_is_wrong_with_it_and_no_secret_does() {
    let scene = Scene::start().await;
    let admin = Browser::of_operator(&scene, OperatorRole::Admin).await;
    let owner = scene.member("Ada", Role::Owner).await;
    let keys = format!("/collectors/{}/keys", scene.test.collector(&scene.team, "crawler").await.id);
    let (apps, app) = ("/operator/networks/x/apps", "/operator/networks/x/apps/default");
    let cases: [(&Browser, &str, &str, &str, &[&str]); 7] = [
        (
            &admin,
            apps,
            "id=agency+two&team=acme&name=Two&client_id=c-2&secret=s3cr3t",
            "such as “agency-two”",
            &["value=\"agency two\"", "value=\"acme\"", "value=\"Two\"", "value=\"c-2\""],
        ),
        (&admin, apps, "id=two&team=acmee&secret=s3cr3t", "There is no team", &["value=\"two\"", "value=\"acmee\""]),
        (&admin, app, "name=Ours&client_id=a%0Ab&secret=s3cr3t", "in one line", &["value=\"Ours\""]),
        (
            &admin,
            "/operator/keys/new",
            "name=Otto&role=admin&days=0",
            "a number from 1",
            &["value=\"Otto\"", "value=\"admin\" selected", "value=\"0\""],
        ),
        (&owner, &keys, "name=laptop&days=99999", "a number from 1", &["value=\"laptop\"", "value=\"99999\""]),
        (
            &owner,
            "/notifications/quiet",
            "from=22%3A00&until=25%3A99",
            "a beginning and an end",
            &["value=\"22:00\"", "value=\"25:99\""],
        ),
        (&owner, "/notifications/quiet", "from=07%3A00&until=07%3A00", "not at the same time", &["value=\"07:00\""]),
    ];
    for (browser, path, form, wrong, typed) in cases {
        let answer = browser.post(path, form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {form}");
        let (before, form) = answer.body.split_once(&format!("action=\"{path}\"")).unwrap();
        let form = form.split("</form>").next().unwrap();
        for value in typed {
            assert!(form.contains(value), "{value}: {form}");
        }
        let beside = before.rsplit("role=\"alert\">").next().unwrap();
        assert!(beside.contains(wrong) && !beside.contains("</section>"), "{path}: {beside}");
        assert!(!answer.body.contains("s3cr3t"), "{path}");
        if path.starts_with(apps) {
            let details = before.rsplit("<details").next().unwrap().split('>').next().unwrap();
            assert!(details.contains(" open"), "{path}: {details}");
        }
    }
    for (browser, page) in [(&admin, "/operator/networks/x"), (&owner, "/notifications")] {
        let page = browser.get(page).await.body;
        assert!(!page.contains("role=\"alert\">") && !page.contains("<details class=\"card\" open>"), "{page}");
    }
    scene.stop().await;
}

#[tokio::test]
async fn who_follows_a_link_of_another_team_is_told_which_one_is_signed_in() {
    let scene = Scene::start().await;
    let token = scene.test.token(&scene.team, "person").await;
    let zoe = scene.stranger().await;
    let found = zoe.get(&format!("/tokens/{token}")).await;
    assert_eq!(found.status, StatusCode::NOT_FOUND);
    assert!(found.body.contains("You are signed in to zenith"), "{}", found.body);
    scene.stop().await;
}
