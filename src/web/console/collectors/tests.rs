//! The pages of collectors: made, changed, given keys, by whom and by whom not.

use axum::http::StatusCode;

use crate::domain::member::Role;
use crate::domain::team::KeyHolder;
use crate::web::console::testing::{Browser, HOSTILE, Scene};

const FORM: &str = "name=worker+1&network=x&purpose=collect_content";

/// A collector that the owner made, by its page.
async fn made(owner: &Browser) -> String {
    let made = owner.post("/collectors/new", FORM).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.body);
    made.header("location").split('?').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_collector_is_made_and_its_key_is_shown_once() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    assert!(owner.get("/collectors").await.body.contains("No collectors yet"));
    let page = made(&owner).await;
    assert!(owner.get(&page).await.body.contains("It has no key yet"));
    let key = owner.post(&format!("{page}/keys"), "name=laptop&days=30").await;
    let text = key.body.split("<pre id=\"key\" tabindex=\"0\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(text.starts_with("tbk_"), "{text}");
    for part in
        ["teams/acme", "networks/x", "PURPOSE_COLLECT_CONTENT", "Purpose::CollectContent", "tokens.example:7070"]
    {
        assert!(key.body.contains(part), "{part}: {}", key.body);
    }
    assert_eq!(key.header("cache-control"), "no-store");
    let caller = scene.broker().authenticate(Some(&format!("Bearer {text}"))).unwrap();
    assert_eq!(caller.collector().unwrap().display_name, "worker 1");
    let again = owner.get(&page).await;
    assert!(
        !again.body.contains("tbk_") && again.body.contains("laptop") && again.body.contains("Ada"),
        "{}",
        again.body
    );
    let list = owner.get("/collectors").await;
    assert!(
        list.body.contains("worker 1") && list.body.contains("Enabled") && list.body.contains("Never"),
        "{}",
        list.body
    );
    scene.stop().await;
}

#[tokio::test]
async fn a_program_to_begin_with_asks_for_what_the_team_has_a_token_for() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    let form = "name=any&all_networks=1&purpose=collect_content&purpose=publish";
    let page = owner.post("/collectors/new", form).await.header("location").split('?').next().unwrap().to_owned();
    let asks_for_x = async || owner.post(&format!("{page}/keys"), "name=k").await.body.contains("networks/x");
    assert!(!asks_for_x().await, "there is no token at all");
    scene.test.token(&scene.team, "4711").await;
    assert!(asks_for_x().await);
    scene.stop().await;
}

#[tokio::test]
async fn a_key_is_revoked_once_the_word_was_typed() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Manager).await;
    let page = made(&owner).await;
    let key = owner.post(&format!("{page}/keys"), "").await;
    let text = key.body.split("<pre id=\"key\" tabindex=\"0\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let shown = owner.get(&page).await;
    let revoke = shown.body.split("danger-link\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(owner.get(&revoke).await.status, StatusCode::OK);
    for wrong in ["", "word=no"] {
        assert_eq!(owner.post(&revoke, wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    assert!(scene.broker().authenticate(Some(&format!("Bearer {text}"))).is_ok());
    assert_eq!(owner.post(&revoke, "word=revoke").await.header("location"), format!("{page}?done=key-revoked"));
    assert!(scene.broker().authenticate(Some(&format!("Bearer {text}"))).is_err());
    scene.stop().await;
}

#[tokio::test]
async fn a_collector_is_changed_disabled_and_enabled() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    let page = made(&owner).await;
    let hostile: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    let changed = owner.post(&page, &format!("name={hostile}&all_networks=1&purpose=publish&purpose=nonsense")).await;
    assert_eq!(changed.header("location"), format!("{page}?done=collector-changed"));
    for path in [page.as_str(), "/collectors"] {
        owner.get(path).await.must_be_tame();
    }
    owner.post(&format!("{page}/keys"), &format!("name={hostile}")).await.must_be_tame();
    owner.post(&format!("{page}/disable"), "").await;
    assert!(owner.get(&page).await.body.contains("Nothing is leased to it, whatever its keys"));
    owner.post(&format!("{page}/enable"), "").await;
    assert!(owner.get(&page).await.body.contains("It holds no lease now"));
    for (form, said) in [
        ("", "Give it a name"),
        ("name=a", "Tick at least one network"),
        ("name=a&network=x", "Tick at least one purpose"),
        ("name=a&network=nowhere&purpose=publish", "the catalogue has no network"),
    ] {
        for path in [page.as_str(), "/collectors/new"] {
            let answer = owner.post(path, form).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {form}: {}", answer.body);
            let said = [said.to_owned(), said.replacen("the", "The", 1)];
            assert!(said.iter().any(|said| answer.body.contains(said)), "{path} {form}: {}", answer.body);
        }
    }
    made(&owner).await;
    assert_eq!(owner.post("/collectors/new", FORM).await.status, StatusCode::CONFLICT, "the name is taken");
    for days in ["0", "-1", "a", "99999"] {
        let answer = owner.post(&format!("{page}/keys"), &format!("days={days}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{days}");
    }
    scene.stop().await;
}

#[tokio::test]
async fn members_look_and_nobody_of_another_team_sees_anything() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    let page = made(&owner).await;
    owner.post(&format!("{page}/keys"), "name=laptop").await;
    let shown = owner.get(&page).await;
    let revoke = shown.body.split("danger-link\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let changes = [
        "/collectors/new".to_owned(),
        page.clone(),
        format!("{page}/disable"),
        format!("{page}/enable"),
        format!("{page}/keys"),
        revoke.clone(),
    ];
    let eve = scene.member("Eve", Role::Member).await;
    let seen = eve.get(&page).await;
    assert!(
        seen.status == StatusCode::OK && !seen.body.contains("laptop") && !seen.body.contains("<button>"),
        "{}",
        seen.body
    );
    assert!(!eve.get("/collectors").await.body.contains("/collectors/new"));
    for path in &changes {
        let answer = eve.post(path, "name=a&network=x&purpose=publish&word=revoke").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        let nobody = Browser::of_nobody(&scene).post(path, FORM).await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/collectors/new", revoke.as_str()] {
        assert_eq!(eve.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let zoe = scene.stranger().await;
    assert!(!zoe.get("/collectors").await.body.contains("worker 1"));
    for path in changes.iter().skip(1) {
        assert_eq!(
            zoe.post(path, "name=a&network=x&purpose=publish&word=revoke").await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    assert_eq!(zoe.get(&revoke).await.status, StatusCode::NOT_FOUND);
    assert_eq!(owner.get("/collectors/nonsense").await.status, StatusCode::NOT_FOUND);
    scene.stop().await;
}

#[tokio::test]
async fn a_key_of_an_operator_or_of_another_collector_is_not_reached() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    let page = made(&owner).await;
    let other = scene.test.collector(&scene.team, "other").await;
    scene.test.key(KeyHolder::Collector(scene.team.clone(), other.id)).await;
    for key in scene.broker().directory.keys() {
        let answer = owner.post(&format!("{page}/keys/{}/revoke", key.id), "word=revoke").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{:?}", key.holder);
        assert!(scene.broker().directory.key(key.id).unwrap().revoked_at.is_none());
        let by_hand = scene.broker().revoke_key(&owner.caller().await, key.id, "").await;
        assert_eq!(by_hand.is_ok(), matches!(key.holder, KeyHolder::Collector(..)), "{:?}", key.holder);
    }
    scene.stop().await;
}
