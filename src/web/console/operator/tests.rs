//! The operators' pages: who is let in, what each shows, and what it does.

use std::time::Duration;

use axum::http::StatusCode;

use crate::domain::member::Role;
use crate::domain::notice::{Budget, Weight};
use crate::domain::team::{KeyHolder, OperatorRole};
use crate::domain::token::Reason;
use crate::service::testing::{ask, x_token};
use crate::service::tokens::AddToken;
use crate::store::{ClaimLanes, Hearing, SendResult, Telling};
use crate::web::console::testing::{Browser, HOSTILE, Scene};
use crate::web::route_tests::routes_in;

/// Every page that only looks, and whether a reader may see it.
const PAGES: [(&str, bool); 10] = [
    ("/operator", true),
    ("/operator/live", true),
    ("/operator/networks", true),
    ("/operator/networks/x", true),
    ("/operator/pools", true),
    ("/operator/pools/x", true),
    ("/operator/leases", true),
    ("/operator/dead-letters", true),
    ("/operator/keys", false),
    ("/operator/keys/rotate", false),
];

/// Pages about one thing, of which there is none, and whether a reader may see them.
const OF_ONE: [(&str, bool); 4] = [
    ("/operator/incidents/inc_01hzzzzzzzzzzzzzzzzzzzzzzz", true),
    ("/operator/incidents/inc_01hzzzzzzzzzzzzzzzzzzzzzzz/close", false),
    ("/operator/keys/key_01hzzzzzzzzzzzzzzzzzzzzzzz/revoke", false),
    ("/operator/dead-letters/msg_01hzzzzzzzzzzzzzzzzzzzzzzz/delete", false),
];

/// Everything that changes something, with a form that would do.
const CHANGES: [(&str, &str); 10] = [
    ("/operator/keys/new", "role=admin"),
    ("/operator/keys/key_01hzzzzzzzzzzzzzzzzzzzzzzz/revoke", "word=revoke"),
    ("/operator/keys/rotate", "word=change"),
    ("/operator/networks/x/apps", "id=agency"),
    ("/operator/networks/x/apps/default", "client_id=stolen&secret=stolen"),
    ("/operator/incidents/inc_01hzzzzzzzzzzzzzzzzzzzzzzz/close", "word=close"),
    ("/operator/incidents/inc_01hzzzzzzzzzzzzzzzzzzzzzzz/acknowledge", ""),
    ("/operator/dead-letters/replay", ""),
    ("/operator/dead-letters/msg_01hzzzzzzzzzzzzzzzzzzzzzzz/replay", ""),
    ("/operator/dead-letters/msg_01hzzzzzzzzzzzzzzzzzzzzzzz/delete", "word=delete"),
];

/// Where operators come and go, which has tests of its own.
const OTHERS: [(&str, &str); 4] = [
    ("GET", "/operator/sign-in"),
    ("POST", "/operator/sign-in"),
    ("POST", "/operator/sign-out"),
    ("POST", "/operator/alive"),
];

#[test]
fn every_route_is_in_a_table() {
    let looks = || PAGES.into_iter().chain(OF_ONE).map(|(path, _)| ("GET", path));
    let asked = || looks().chain(CHANGES.map(|(path, _)| ("POST", path))).chain(OTHERS);
    let fits = |route: &str, path: &str| {
        let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
        route.len() == path.len() && route.iter().zip(path).all(|(part, is)| *part == is || part.starts_with('{'))
    };
    for (method, route) in routes_in(include_str!("mod.rs")) {
        let route = if route == "HOME" { super::HOME } else { route };
        assert!(asked().any(|(by, path)| by == method && fits(route, path)), "{method} {route} is in no table");
    }
}

#[tokio::test]
async fn each_page_is_for_operators_and_each_change_for_admins() {
    let scene = Scene::start().await;
    let (admin, reader) = (
        Browser::of_operator(&scene, OperatorRole::Admin).await,
        Browser::of_operator(&scene, OperatorRole::Reader).await,
    );
    let others = [
        scene.member("Ada", Role::Owner).await,
        scene.member("Mia", Role::Manager).await,
        scene.member("Cid", Role::Member).await,
        scene.stranger().await,
        Browser::of_nobody(&scene),
    ];
    for (page, for_readers) in PAGES.into_iter().chain(OF_ONE) {
        let status = admin.get(page).await.status;
        let is_one = OF_ONE.iter().any(|(of_one, _)| *of_one == page);
        assert!(status == StatusCode::OK || is_one && status == StatusCode::NOT_FOUND, "{page}: {status}");
        let expected = if for_readers { status } else { StatusCode::FORBIDDEN };
        assert_eq!(reader.get(page).await.status, expected, "{page}");
        for other in &others {
            let answer = other.get(page).await;
            // What an open page asks for by itself leads nobody away.
            if page == "/operator/live" {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
                continue;
            }
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{page}");
            assert!(answer.header("location").starts_with("/operator/sign-in?next=%2Foperator"), "{page}");
        }
    }
    let before = scene.broker().list_keys(&Default::default(), 100).unwrap().0.len();
    for (path, form) in CHANGES {
        assert_eq!(reader.post(path, form).await.status, StatusCode::FORBIDDEN, "{path}");
        for other in &others {
            let answer = other.post(path, form).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(answer.body.contains("action=\"/operator/sign-in\""), "{path}: {}", answer.body);
        }
    }
    assert_eq!(scene.broker().list_keys(&Default::default(), 100).unwrap().0.len(), before, "nothing was done");
    let app = scene.broker().app(&"x".parse().unwrap(), &"default".parse().unwrap()).unwrap();
    assert!(app.app.client_id.is_empty() && !app.has_secret);
    // Nor is an operator a member.
    assert_eq!(admin.get("/tokens").await.status, StatusCode::SEE_OTHER);
    scene.stop().await;
}

#[tokio::test]
async fn only_an_operators_key_that_works_signs_in_and_a_session_ends_with_its_key() {
    let scene = Scene::start().await;
    let broker = scene.broker();
    let collector = scene.test.collector(&scene.team, "crawler").await.id;
    let of_collector = scene.test.key(KeyHolder::Collector(scene.team.clone(), collector)).await;
    let browser = Browser::of_nobody(&scene);
    for key in [&*of_collector, "tbk_nonsense", "", "%00"] {
        let answer = browser.post("/operator/sign-in", &format!("key={key}&next=https://evil.example")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{key}");
        assert!(
            answer.body.contains("no operator&#39;s key that works") && !answer.body.contains("evil"),
            "{}",
            answer.body
        );
        assert!(answer.header("set-cookie").is_empty());
    }
    let reader = Browser::of_operator(&scene, OperatorRole::Reader).await;
    assert!(reader.get("/operator").await.body.contains("Reader"));
    let key = broker.list_keys(&Default::default(), 1).unwrap().0[0].id;
    broker.revoke_key(scene.admin(), key, "").await.unwrap();
    assert_eq!(reader.get("/operator").await.status, StatusCode::SEE_OTHER, "the key was revoked");
    let admin = Browser::of_operator(&scene, OperatorRole::Admin).await;
    let out = admin.post("/operator/sign-out", "").await;
    assert!(out.header("set-cookie").starts_with("__Host-operator=; "), "{}", out.header("set-cookie"));
    assert_eq!(admin.get("/operator").await.status, StatusCode::SEE_OTHER, "signed out at the broker, too");
    let idle = Browser::of_operator(&scene, OperatorRole::Admin).await;
    scene.test.clock.advance(broker.config.sign_in.idle);
    assert_eq!(idle.get("/operator").await.status, StatusCode::SEE_OTHER);
    scene.stop().await;
}

#[tokio::test]
async fn what_reaches_far_asks_for_the_key_again() {
    let scene = Scene::start().await;
    let key = scene.test.key(KeyHolder::Operator(OperatorRole::Admin)).await;
    let mut admin = Browser::of_nobody(&scene);
    let kept = admin.post("/operator/sign-in", &format!("key={key}")).await.header("set-cookie").to_owned();
    admin.keep(&kept);
    // The session is used all the time, but whose it is was proven long ago.
    for _ in 0..3 {
        scene.test.clock.advance(scene.broker().config.sign_in.idle / 2);
        assert_eq!(admin.get("/operator").await.status, StatusCode::OK);
    }
    let asked = admin.post("/operator/keys/new", "role=reader&name=Rita").await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(asked.body.contains("confirm_proof") && asked.value_of("name") == "Rita", "{}", asked.body);
    let other = scene.test.key(KeyHolder::Operator(OperatorRole::Admin)).await;
    for wrong in ["guessed", &other] {
        let refused = admin.post("/operator/keys/new", &format!("role=reader&name=Rita&confirm_proof={wrong}")).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let form = format!("role=reader&name=Rita&confirm_proof={key}");
    let done = admin.post("/operator/keys/new", &form).await;
    assert!(done.status == StatusCode::OK && done.body.contains("tbk_"), "{}", done.body);
    let keys = admin.get("/operator/keys").await.body;
    assert!(keys.contains("Rita") && !keys.contains("tbk_"), "no page shows a key again");
    scene.stop().await;
}

/// What an operator may do at a browser that was left open without its key: what is done to one message, and what only notes something.
const UNASKED: [&str; 3] = [
    "/operator/incidents/{incident}/acknowledge",
    "/operator/dead-letters/{message}/replay",
    "/operator/dead-letters/{message}/delete",
];

#[tokio::test]
async fn each_change_but_the_least_asks_for_the_key_again_and_no_secret_is_written_into_the_page() {
    let scene = Scene::start().await;
    let admin = Browser::of_operator(&scene, OperatorRole::Admin).await;
    for _ in 0..3 {
        scene.test.clock.advance(scene.broker().config.sign_in.idle / 2);
        assert_eq!(admin.get("/operator").await.status, StatusCode::OK);
    }
    let routed = include_str!("mod.rs").split(".route(").skip(1).filter(|rest| rest.contains("post("));
    let paths = routed.filter_map(|rest| rest.split('"').nth(1)).filter(|path| path.starts_with("/operator/"));
    let of_session = ["/operator/sign-in", "/operator/sign-out", "/operator/alive"];
    for path in paths.filter(|path| !of_session.contains(path)) {
        let named = path.replace("{network}", "x").replace(['{', '}'], "");
        let asked = admin.post(&named, "id=agency&client_id=c-1&secret=s3cr3t&word=close").await;
        assert!(!asked.body.contains("s3cr3t"), "{path}: {}", asked.body);
        let asks = asked.body.contains("name=\"confirm_proof\"");
        assert_eq!(asks, !UNASKED.contains(&path), "{path}: {} {}", asked.status, asked.body);
        if asks {
            assert!(asked.body.contains("<b>You asked "), "{path}: it is not said what for");
            assert!(
                asked.body.contains("type=\"password\" name=\"secret\"") && asked.value_of("id") == "agency",
                "{path}"
            );
        }
    }
    scene.stop().await;
}

#[tokio::test]
async fn a_client_secret_is_replaced_once_the_word_was_typed() {
    let scene = Scene::start().await;
    let admin = Browser::of_operator(&scene, OperatorRole::Admin).await;
    let path = "/operator/networks/x/apps/default";
    assert!(!admin.get("/operator/networks/x").await.body.contains("name=\"word\""), "there is none to replace");
    let first = admin.post(path, "client_id=c-1&secret=first").await;
    assert_eq!(first.header("location"), "/operator/networks/x?done=app-kept", "{}", first.body);
    assert!(admin.get("/operator/networks/x").await.body.contains("name=\"word\""));
    for form in ["client_id=c-2&secret=second", "client_id=c-2&secret=second&word=yes"] {
        let refused = admin.post(path, form).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        assert!(refused.body.contains("Type “replace”") && !refused.body.contains("second"), "{}", refused.body);
    }
    let app = scene.broker().app(&"x".parse().unwrap(), &"default".parse().unwrap()).unwrap();
    assert_eq!(app.app.client_id, "c-1", "nothing was changed");
    for form in ["client_id=c-2&secret=second&word=Replace", "client_id=c-3&secret="] {
        assert_eq!(admin.post(path, form).await.status, StatusCode::SEE_OTHER, "{form}");
    }
    scene.stop().await;
}

#[tokio::test]
async fn a_form_outlives_the_session_but_for_what_is_secret_in_it() {
    let scene = Scene::start().await;
    let admin = Browser::of_operator(&scene, OperatorRole::Admin).await;
    let key = scene.test.key(KeyHolder::Operator(OperatorRole::Admin)).await;
    scene.test.clock.advance(scene.broker().config.sign_in.idle * 2);
    let form = "id=agency&client_id=c-1&secret=s3cr3t&confirm_proof=pr00f";
    let kept = admin.post("/operator/networks/x/apps?from=list", form).await;
    assert_eq!(kept.status, StatusCode::UNAUTHORIZED);
    assert!(!kept.body.contains("s3cr3t") && !kept.body.contains("pr00f"), "{}", kept.body);
    let fields = [kept.value_of("kept_action"), kept.value_of("kept_form").replace("&#38;", "&")];
    let [action, waiting] =
        fields.map(|field| url::form_urlencoded::byte_serialize(field.as_bytes()).collect::<String>());
    let mut nobody = Browser::of_nobody(&scene);
    let fields = format!("key={key}&kept_action={action}&kept_form={waiting}");
    let elsewhere = nobody.post("/operator/sign-in", &fields.replace("%2Foperator", "%2Ftokens")).await;
    assert_eq!(elsewhere.header("location"), "/operator", "a form of operators is sent to their pages only");
    let back = nobody.post("/operator/sign-in", &fields).await;
    assert_eq!(back.status, StatusCode::OK);
    assert!(back.body.contains("action=\"/operator/networks/x/apps?from=list\""), "{}", back.body);
    assert_eq!((back.value_of("id"), back.value_of("client_id")), ("agency".to_owned(), "c-1".to_owned()));
    assert!(back.body.contains("type=\"password\" name=\"secret\"") && back.body.contains("href=\"/operator\""));
    let cookie = back.header("set-cookie").to_owned();
    nobody.keep(&cookie);
    let sent = nobody.post("/operator/networks/x/apps?from=list", "id=agency&client_id=c-1&secret=s3cr3t").await;
    assert_eq!(sent.header("location"), "/operator/networks/x?done=app-kept");
    scene.stop().await;
}

#[tokio::test]
async fn a_key_is_revoked_by_typing_and_the_last_admin_stays() {
    let scene = Scene::start().await;
    let admin = Browser::of_operator(&scene, OperatorRole::Admin).await;
    let _reader = Browser::of_operator(&scene, OperatorRole::Reader).await;
    let key = scene.broker().list_keys(&Default::default(), 1).unwrap().0[0].id;
    let path = format!("/operator/keys/{key}/revoke");
    assert!(admin.get(&path).await.body.contains("Type “revoke” to confirm"));
    assert_eq!(admin.post(&path, "word=yes").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(admin.post(&path, "word=Revoke").await.header("location"), "/operator/keys?done=key-revoked");
    let missing = admin.post("/operator/keys/nothing/revoke", "word=revoke").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let wrong = admin.post("/operator/keys/new", "role=reader&days=0").await;
    assert!(
        wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.body.contains("a number from 1"),
        "{}",
        wrong.body
    );
    scene.stop().await;
}

#[tokio::test]
async fn apps_are_made_and_changed_and_their_secrets_are_never_shown() {
    let scene = Scene::start().await;
    let admin = Browser::of_operator(&scene, OperatorRole::Admin).await;
    let hostile = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>();
    let form = format!("id=agency&name={hostile}&client_id=c-1&secret=s3cr3t");
    let made = admin.post("/operator/networks/x/apps", &form).await;
    assert_eq!(made.header("location"), "/operator/networks/x?done=app-kept", "{}", made.body);
    admin.get("/operator/networks/x").await.must_be_tame();
    let page = admin.get("/operator/networks/x").await.body;
    assert!(page.contains("c-1") && page.contains("kept sealed") && !page.contains("s3cr3t"), "{page}");
    let standing = async || {
        let list = admin.get("/operator/networks").await.body;
        let row = list.split("href=\"/operator/networks/x\"").nth(1).unwrap().split("</tr>").next().unwrap().to_owned();
        (row.contains("People can connect"), row.contains("by the app “default” only"))
    };
    assert_eq!(standing().await, (false, true), "accounts are connected by the default app");
    admin.post("/operator/networks/x/apps/default", "client_id=c-0&secret=s3cr3t").await;
    assert_eq!(standing().await, (true, false));
    let again = admin.post("/operator/networks/x/apps", "id=agency").await;
    assert!(again.status == StatusCode::CONFLICT && again.body.contains("already"), "{}", again.body);
    for (form, expected) in
        [("id=No+Id", "short name"), ("id=two&client_id=a%0Ab", "in one line"), ("id=two&secret=a+b", "without spaces")]
    {
        let wrong = admin.post("/operator/networks/x/apps", form).await;
        assert!(
            wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.body.contains(expected),
            "{form}: {}",
            wrong.body
        );
    }
    let kept = admin.post("/operator/networks/x/apps/agency", "name=Agency&client_id=c-2").await;
    assert_eq!(kept.status, StatusCode::SEE_OTHER);
    let app = scene.broker().app(&"x".parse().unwrap(), &"agency".parse().unwrap()).unwrap();
    assert!(app.app.client_id == "c-2" && app.has_secret, "a secret that was left empty stays");
    assert_eq!(admin.get("/operator/networks/nowhere").await.status, StatusCode::NOT_FOUND);
    assert_eq!(admin.post("/operator/networks/x/apps/nothing", "client_id=c").await.status, StatusCode::NOT_FOUND);
    scene.stop().await;
}

#[tokio::test]
async fn books_leases_and_tasks_are_shown_as_they_are() {
    let scene = Scene::start().await;
    let reader = Browser::of_operator(&scene, OperatorRole::Reader).await;
    assert!(reader.get("/operator/pools/x").await.body.contains("Nothing was drawn from yet"));
    let given = AddToken { label: HOSTILE.to_owned(), ..x_token("4711") };
    let token = scene.broker().add_token(scene.admin(), &scene.team, given).await.unwrap().token.id;
    let collector = scene.test.collector(&scene.team, "crawler").await.id;
    let leased = scene.broker().acquire_lease(&scene.test.caller(collector), ask(&scene.team, 7)).await.unwrap();
    let books = reader.get("/operator/pools/x").await.body;
    assert!(books.contains("/4711</bdi>"), "{books}");
    let of_token = reader.get(&format!("/operator/pools/x?token={token}")).await.body;
    assert!(of_token.contains("<td class=\"number\" data-name=\"Held by leases\">7</td>"), "{of_token}");
    for wrong in ["nonsense", "tok_01hzzzzzzzzzzzzzzzzzzzzzzz"] {
        let none = reader.get(&format!("/operator/pools/x?token={wrong}")).await.body;
        assert!(none.contains("There is no such token"), "{wrong}");
    }
    let leases = reader.get("/operator/leases").await.body;
    assert!(leases.contains(&leased.lease.to_string()) && leases.contains("0 of 7 calls"), "{leases}");
    assert!(!reader.get("/operator/leases?network=youtube").await.body.contains(&leased.lease.to_string()));
    assert!(!reader.get("/operator/leases?team=zenith").await.body.contains(&leased.lease.to_string()));
    let began = scene.broker().now();
    scene.broker().watch.status.note("renewals", began, began, Err("the store is away".to_owned()));
    let overview = reader.get("/operator").await.body;
    assert!(overview.contains("Tokens are renewed") && overview.contains("the store is away"), "{overview}");
    assert!(!overview.contains("/operator/incidents/"), "a reader is offered nothing that it may not");
    scene.stop().await;
}

/// A message to `destination` that was given up.
async fn give_up(scene: &Scene, person: &str, destination: &str) {
    let (broker, now) = (scene.broker(), scene.broker().now());
    let token = broker.add_token(scene.admin(), &scene.team, x_token(person)).await.unwrap().token.id;
    broker.invalidate_token(scene.admin(), &scene.team, token, Reason::PasswordChanged, "").await.unwrap();
    let event = broker.store.untold_events(None, 1).await.unwrap().remove(0).id;
    let budget = Budget { per_hour: 10, at_once: 3 };
    let hearing = Hearing {
        destination: destination.to_owned(),
        event,
        from: now,
        in_quiet: false,
        weight: Weight::Single,
        budget,
    };
    broker.store.tell(Telling { now, events: vec![event], hearings: vec![hearing] }).await.unwrap();
    let claim = ClaimLanes { now, until: now + Duration::from_secs(30), failing: false, limit: 1 };
    let claimed = broker.store.claim_lanes(claim).await.unwrap().remove(0);
    let dead = SendResult::Dead { error: "the receiver answers 410".to_owned() };
    assert!(broker.store.mark(claimed.id, claimed.attempts, dead, now).await.unwrap());
}

#[tokio::test]
async fn dead_letters_are_sent_again_and_deleted_by_typing() {
    let scene = Scene::start().await;
    let admin = Browser::of_operator(&scene, OperatorRole::Admin).await;
    assert!(admin.get("/operator/dead-letters").await.body.contains("No message was given up"));
    give_up(&scene, "1", HOSTILE).await;
    let page = admin.get("/operator/dead-letters").await;
    page.must_be_tame();
    assert!(page.body.contains("1 event") && page.body.contains("the receiver answers 410"), "{}", page.body);
    let id = scene.broker().list_dead_letters(None, 1).await.unwrap()[0].id;
    let reader = Browser::of_operator(&scene, OperatorRole::Reader).await;
    assert!(!reader.get("/operator/dead-letters").await.body.contains("<form method=\"post\" action=\"/operator/dead"));
    let path = format!("/operator/dead-letters/{id}");
    assert_eq!(admin.post(&format!("{path}/delete"), "word=no").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let replayed = admin.post(&format!("{path}/replay"), "").await;
    assert_eq!(replayed.header("location"), "/operator/dead-letters?done=replayed&count=1");
    assert_eq!(
        admin.post(&format!("{path}/replay"), "").await.status,
        StatusCode::NOT_FOUND,
        "it is not dead any more"
    );
    assert_eq!(admin.post("/operator/dead-letters/nothing/replay", "").await.status, StatusCode::NOT_FOUND);
    give_up(&scene, "2", "ops").await;
    let id = scene.broker().list_dead_letters(None, 1).await.unwrap()[0].id;
    let not_shown = admin.post("/operator/dead-letters/replay", "").await;
    assert_eq!(not_shown.header("location"), "/operator/dead-letters?done=replayed&count=0", "only what a page shows");
    give_up(&scene, "3", "chat").await;
    let newest = scene.broker().list_dead_letters(Some(id), 1).await.unwrap()[0].id;
    let shown = admin.get(&format!("/operator/dead-letters?after={id}")).await.body;
    assert!(shown.contains(&format!("name=\"message\" value=\"{newest}\"")), "{shown}");
    assert!(!shown.contains(&id.to_string()), "{shown}");
    let page = admin.post("/operator/dead-letters/replay", &format!("message={newest}&message=nonsense")).await;
    assert_eq!(page.header("location"), "/operator/dead-letters?done=replayed&count=1");
    let left: Vec<_> = scene.broker().list_dead_letters(None, 9).await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(left, [id], "those of other pages stay");
    let deleted = admin.post(&format!("/operator/dead-letters/{id}/delete"), "word=delete").await;
    assert_eq!(deleted.header("location"), "/operator/dead-letters?done=letter-deleted&count=1");
    assert!(scene.broker().list_dead_letters(None, 1).await.unwrap().is_empty());
    scene.stop().await;
}
