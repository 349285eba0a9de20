//! What a member hears and where, its browsers, and the destinations of the team.

use axum::http::StatusCode;
use futures_util::future::join_all;

use crate::domain::member::Role;
use crate::domain::notice::Channel;
use crate::domain::token::Reason;
use crate::service::profiles::{ProfileName, UpdateProfile};
use crate::service::testing::x_token;
use crate::service::tokens::{AddToken, UpdateToken};
use crate::web::console::testing::{Answer, Browser, HOSTILE, Scene};

const SLACK: &str =
    "kind=slack&name=Ops&target=https%3A%2F%2Fhooks.slack.com%2Fservices%2FT0%2FB0%2Fsecret&event=token_expired";

/// What is chosen in a cell of the matrix.
fn cell<'a>(page: &'a Answer, field: &str) -> &'a str {
    let select =
        page.body.split(&format!("<select name=\"{field}\"")).nth(1).unwrap().split("</select>").next().unwrap();
    let chosen = select.split(" selected>").nth(1).unwrap_or_else(|| panic!("{select}"));
    chosen.split('<').next().unwrap()
}

#[tokio::test]
async fn the_matrix_shows_what_is_usual_for_the_role_and_keeps_what_is_chosen() {
    let scene = Scene::start().await;
    for (role, mail) in
        [(Role::Owner, "As usual: on"), (Role::Manager, "As usual: my own"), (Role::Member, "As usual: my own")]
    {
        let browser = scene.member(role.as_str(), role).await;
        let page = browser.get("/notifications").await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(cell(&page, "token_expired-mail"), mail, "{role:?}");
        assert_eq!(cell(&page, "token_expired-in_app"), "As usual: on", "{role:?}");
        let connected = if role == Role::Owner { "As usual: those of others" } else { "As usual: off" };
        assert_eq!(cell(&page, "token_connected-mail"), connected, "{role:?}");
        assert_eq!(page.body.contains("/notifications/destinations/new"), role != Role::Member, "{role:?}");
        let saved = browser.post("/notifications", "token_expired-mail=off&token_invalid-web_push=on&x=y").await;
        assert_eq!(saved.header("location"), "/notifications?done=chosen");
        let page = browser.get("/notifications?done=chosen").await;
        assert_eq!((cell(&page, "token_expired-mail"), cell(&page, "token_invalid-web_push")), ("Off", "On"));
        assert!(page.body.contains("Saved."), "{}", page.body);
    }
    scene.stop().await;
}

#[tokio::test]
async fn a_profile_has_choices_of_its_own_which_leave_the_others_alone() {
    let scene = Scene::start().await;
    let ada = scene.member("Ada", Role::Member).await;
    let mut tokens = Vec::new();
    for profile in [HOSTILE, "shop"] {
        let ask = AddToken { profile: profile.to_owned(), ..x_token(profile) };
        tokens.push(scene.broker().add_token(scene.admin(), &scene.team, ask).await.unwrap().token.id);
    }
    ada.post("/notifications", "token_expired-mail=on").await;
    ada.get(&format!("/notifications?token={}", tokens[0])).await.must_be_tame();
    let page = ada.get(&format!("/notifications?token={}", tokens[1])).await;
    assert_eq!(page.value_of("profile"), "shop", "that of the token is chosen");
    let saved = ada.post("/notifications", "profile=shop&token_expired-mail=off").await;
    assert_eq!(saved.header("location"), "/notifications?profile=shop&done=chosen");
    assert_eq!(cell(&ada.get("/notifications?profile=shop").await, "token_expired-mail"), "Off");
    assert_eq!(cell(&ada.get("/notifications?profile=shop").await, "token_invalid-mail"), "As for all");
    assert_eq!(cell(&ada.get("/notifications").await, "token_expired-mail"), "On");
    ada.post("/notifications", "").await;
    let settings = scene.broker().notice_settings(&scene.team, ada.member).await.unwrap();
    let left: Vec<_> = settings.choices.iter().map(|choice| (choice.channel, choice.on)).collect();
    assert_eq!(left, [(Channel::Mail, false)], "the profile's own is left");
    let zoe = scene.stranger().await;
    for path in [format!("/notifications?token={}", tokens[0]), "/notifications?profile=shop".to_owned()] {
        assert_eq!(zoe.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(
        zoe.post("/notifications", "profile=a%0Ab&token_expired-mail=on").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    scene.stop().await;
}

/// The profiles that can be chosen from, by value and name; the first is all.
fn offered(page: &Answer) -> Vec<(&str, &str)> {
    let select = page.body.split("<select name=\"profile\">").nth(1).unwrap().split("</select>").next().unwrap();
    let options = select.split("<option value=\"").skip(1);
    options.map(|rest| (rest.split('"').next().unwrap(), rest.split(['>', '<']).nth(1).unwrap())).collect()
}

#[tokio::test]
async fn each_profile_of_the_teams_tokens_can_be_chosen_by_its_name() {
    let scene = Scene::start().await;
    let ada = scene.member("Ada", Role::Member).await;
    let add = async |profile: &str, label: &str| {
        let ask = AddToken { profile: profile.to_owned(), label: label.to_owned(), ..x_token(profile) };
        scene.broker().add_token(scene.admin(), &scene.team, ask).await.unwrap().token.id
    };
    assert_eq!(offered(&ada.get("/notifications").await), [("", "All profiles")]);
    let (bakery, gone) = (add("p1", "Bakery").await, add("p2", "Gone").await);
    for (profile, label) in [("p3", ""), ("p4", "Twins"), ("p5", "Twins"), ("p6", "a label")] {
        add(profile, label).await;
    }
    scene.broker().revoke_token(scene.admin(), &scene.team, gone, "").await.unwrap();
    let name = ProfileName { team: scene.team.clone(), network: "x".parse().unwrap(), id: "p6".to_owned() };
    let named = UpdateProfile { display_name: Some("Zoo".to_owned()), ..UpdateProfile::default() };
    scene.broker().update_profile(scene.admin(), &name, named).await.unwrap();
    let all = [
        ("", "All profiles"),
        ("p1", "Bakery"),
        ("p4", "Twins (p4)"),
        ("p5", "Twins (p5)"),
        ("p6", "Zoo"),
        ("p3", "p3"),
    ];
    let page = ada.get("/notifications").await;
    assert_eq!(offered(&page), all);
    assert!(!page.body.contains("more profiles than are listed"), "{}", page.body);
    let of_token = ada.get(&format!("/notifications?token={bakery}")).await;
    assert!(
        of_token.body.contains("Profile: <bdi>Bakery</bdi>") && of_token.value_of("profile") == "p1",
        "{}",
        of_token.body
    );
    let zoe = scene.stranger().await;
    assert_eq!(offered(&zoe.get("/notifications").await), [("", "All profiles")]);
    scene.stop().await;
}

#[tokio::test]
async fn a_profile_of_very_many_is_found_by_its_token() {
    let scene = Scene::start().await;
    let ada = scene.member("Ada", Role::Member).await;
    let add = async |n: u32| {
        let ask = AddToken { profile: format!("p{n:03}"), ..x_token(&n.to_string()) };
        scene.broker().add_token(scene.admin(), &scene.team, ask).await.unwrap().token.id
    };
    join_all((0..502).map(add)).await;
    let page = ada.get("/notifications").await;
    assert_eq!(offered(&page).len(), 1 + 500);
    assert!(page.body.contains("more profiles than are listed"), "{}", page.body);
    // Whichever it is that is not listed, it has its page.
    for n in 0..502 {
        let profile = format!("p{n:03}");
        if !offered(&page).iter().any(|(value, _)| *value == profile) {
            let chosen = ada.get(&format!("/notifications?profile={profile}")).await;
            assert_eq!((chosen.status, chosen.value_of("profile")), (StatusCode::OK, profile));
        }
    }
    scene.stop().await;
}

#[tokio::test]
async fn quiet_hours_and_the_dialog_are_set() {
    let scene = Scene::start().await;
    let ada = scene.member("Ada", Role::Member).await;
    assert_eq!(
        ada.post("/notifications/quiet", "from=22%3A00&until=07%3A30").await.header("location"),
        "/notifications?done=quiet-set"
    );
    let page = ada.get("/notifications").await;
    assert!(page.body.contains("value=\"22:00\"") && page.body.contains("value=\"07:30\""), "{}", page.body);
    for wrong in ["from=22%3A00", "from=25%3A00&until=07%3A00", "from=x&until=y", "from=07%3A00&until=07%3A00"] {
        let answer = ada.post("/notifications/quiet", wrong).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let token = scene.test.token(&scene.team, "12").await;
    let own = UpdateToken { granted_by: Some(ada.member.to_string()), ..UpdateToken::default() };
    scene.broker().update_token(scene.admin(), &scene.team, token, &own).await.unwrap();
    let reason = Reason::PasswordChanged;
    scene.broker().invalidate_token(scene.admin(), &scene.team, token, reason, "").await.unwrap();
    assert!(ada.get("/tokens?hello=yes").await.body.contains("<dialog"));
    ada.post("/notifications/dialog", "").await;
    ada.post("/notifications/quiet", "from=&until=").await;
    let settings = scene.broker().notice_settings(&scene.team, ada.member).await.unwrap();
    assert!(settings.quiet.is_none() && settings.hides_dialog);
    assert!(!ada.get("/tokens?hello=yes").await.body.contains("<dialog"));
    ada.post("/notifications/dialog", "dialog=1").await;
    assert!(!scene.broker().notice_settings(&scene.team, ada.member).await.unwrap().hides_dialog);
    scene.stop().await;
}

#[tokio::test]
async fn destinations_are_added_changed_and_deleted_and_show_no_secret() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Manager).await;
    let added = owner.post("/notifications/destinations/new", SLACK).await;
    assert_eq!(added.status, StatusCode::SEE_OTHER, "{}", added.body);
    let page = added.header("location").split('?').next().unwrap().to_owned();
    let hostile: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    let changed = owner.post(&page, &format!("name={hostile}&event=token_expired&event=nonsense")).await;
    assert_eq!(changed.header("location"), format!("{page}?done=destination-changed"));
    for path in [page.as_str(), "/notifications"] {
        let shown = owner.get(path).await;
        shown.must_be_tame();
        assert!(shown.body.contains("hooks.slack.com") && !shown.body.contains("B0/secret"), "{}", shown.body);
    }
    let webhook = "kind=webhook&target=https%3A%2F%2Fexample.com%2Fhook&event=token_expired";
    let made = owner.post("/notifications/destinations/new", webhook).await;
    assert!(made.status == StatusCode::OK && made.body.contains("whsec_"), "{}", made.body);
    for (form, path) in [
        ("kind=mail&target=nonsense", "/notifications/destinations/new"),
        ("kind=slack&target=http%3A%2F%2Fexample.com", "/notifications/destinations/new"),
        ("kind=webhook&target=https%3A%2F%2Fexample.com&secret=short", "/notifications/destinations/new"),
        (
            "kind=mail&target=a%40example.com&secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "/notifications/destinations/new",
        ),
        ("target=ftp%3A%2F%2Fexample.com", page.as_str()),
    ] {
        let answer = owner.post(path, form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}: {}", answer.body);
        assert!(!answer.body.contains("MfKQ9r8"), "{form}");
    }
    let delete = format!("{page}/delete");
    owner.get(&delete).await.must_be_tame();
    assert_eq!(owner.post(&delete, "word=no").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(owner.post(&delete, "word=DELETE").await.header("location"), "/notifications?done=destination-deleted");
    assert_eq!(owner.get(&page).await.status, StatusCode::NOT_FOUND);
    scene.stop().await;
}

#[tokio::test]
async fn a_test_message_that_does_not_arrive_says_so_on_the_page() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    let added =
        owner.post("/notifications/destinations/new", "kind=mail&target=ops%40example.com&event=token_expired").await;
    let page = added.header("location").split('?').next().unwrap().to_owned();
    let failed = owner.post(&format!("{page}/test"), "").await;
    assert_eq!(failed.status, StatusCode::BAD_GATEWAY);
    assert!(
        failed.body.contains("The test message did not arrive") && failed.body.contains("Send a test"),
        "{}",
        failed.body
    );
    scene.stop().await;
}

#[tokio::test]
async fn members_and_other_teams_reach_no_destination() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    let added = owner.post("/notifications/destinations/new", SLACK).await;
    let page = added.header("location").split('?').next().unwrap().to_owned();
    let eve = scene.member("Eve", Role::Member).await;
    let zoe = scene.stranger().await;
    assert!(!eve.get("/notifications").await.body.contains("hooks.slack.com"));
    assert!(!zoe.get("/notifications").await.body.contains("hooks.slack.com"));
    let paths = [page.clone(), format!("{page}/test"), format!("{page}/delete")];
    for path in &paths {
        assert_eq!(eve.post(path, "word=delete").await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(zoe.post(path, "word=delete").await.status, StatusCode::NOT_FOUND, "{path}");
        let nobody = Browser::of_nobody(&scene).post(path, "word=delete").await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/notifications/destinations/new", page.as_str(), paths[2].as_str()] {
        assert_eq!(eve.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(eve.post("/notifications/destinations/new", SLACK).await.status, StatusCode::FORBIDDEN);
    assert_eq!(owner.get(&page).await.status, StatusCode::OK, "it is there");
    let kept = Browser::of_nobody(&scene).post("/notifications/destinations/new", SLACK).await;
    assert!(
        kept.body.contains("Ops") && !kept.body.contains("B0"),
        "what is secret of it is typed again: {}",
        kept.body
    );
    scene.stop().await;
}

#[tokio::test]
async fn a_phone_can_put_the_console_on_its_home_screen() {
    let scene = Scene::start().await;
    let ada = scene.member("Ada", Role::Member).await;
    let page = ada.get("/notifications").await;
    assert!(page.body.contains(r#"<link rel="manifest" href="/manifest.webmanifest">"#), "{}", page.body);
    assert!(page.header("content-security-policy").contains("manifest-src 'self'"));
    let nobody = Browser::of_nobody(&scene);
    let answer = nobody.get("/manifest.webmanifest").await;
    assert_eq!(answer.header("content-type"), "application/manifest+json");
    let manifest: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(manifest["display"], "standalone");
    for icon in manifest["icons"].as_array().unwrap() {
        let found = nobody.get(icon["src"].as_str().unwrap()).await;
        assert_eq!((found.status, found.header("content-type")), (StatusCode::OK, "image/png"));
    }
    scene.stop().await;
}

#[tokio::test]
async fn browsers_are_subscribed_and_unsubscribed() {
    let scene = Scene::start().await;
    let ada = scene.member("Ada", Role::Member).await;
    let worker = Browser::of_nobody(&scene).get("/push-worker.js").await;
    assert_eq!(
        (worker.header("content-type"), worker.header("cache-control")),
        ("text/javascript; charset=utf-8", "no-cache")
    );
    assert!(worker.body.contains("showNotification"));
    // The keys of the example in RFC 8291, appendix A.
    let keys = "p256dh=BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4&auth=BTBZMqHH6r4Tts7J_aSIgg";
    let form = format!("name=Laptop&endpoint=https%3A%2F%2Fpush.example.com%2Fsecret&{keys}");
    assert_eq!(ada.post("/notifications/browsers", &form).await.header("location"), "/notifications?done=subscribed");
    let page = ada.get("/notifications").await;
    assert!(page.body.contains("Laptop") && page.body.contains("push.example.com"), "{}", page.body);
    assert!(!page.body.contains("push.example.com/secret") && page.body.contains("data-key=\"B"), "{}", page.body);
    let unsubscribe = page.body.split("action=\"/notifications/browsers/").nth(1).unwrap().split('"').next().unwrap();
    let unsubscribe = format!("/notifications/browsers/{unsubscribe}");
    let other = scene.member("Eve", Role::Owner).await;
    for path in [unsubscribe.as_str(), "/notifications/browsers/nonsense/unsubscribe"] {
        assert_eq!(other.post(path, "").await.status, StatusCode::NOT_FOUND, "another member's");
    }
    assert_eq!(ada.post(&unsubscribe, "").await.header("location"), "/notifications?done=unsubscribed");
    assert!(!ada.get("/notifications").await.body.contains("push.example.com"));
    for wrong in
        ["", &format!("endpoint=http%3A%2F%2Fa.example&{keys}"), "endpoint=https%3A%2F%2Fa.example&p256dh=a&auth=b"]
    {
        assert_eq!(
            ada.post("/notifications/browsers", wrong).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{wrong}"
        );
    }
    scene.stop().await;
}
