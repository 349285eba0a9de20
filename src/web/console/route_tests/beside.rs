//! The routes beside the console, by who asks: how members come and go, their own pages, and what is served to everybody alike.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::{OURS, letter};
use crate::domain::member::Role;
use crate::service::Caller;
use crate::web::console::testing::{Browser, Scene};
use crate::web::health::Probes;
use crate::web::route_tests::routes_in;
use crate::web::{assets, callbacks, clients, health};

/// What a route does for an owner, a manager, the member whose session `{session}` is, another member, the owner of another team and nobody, in
/// letters as those of the console's table; `s` leads to the sign-in. Each does it to itself: a session of somebody else is none of its own, and
/// lives on.
const ROUTES: [(&str, &str, &str, &str); 14] = [
    ("GET", "/", "", "oooooo"),
    ("GET", "/sign-in", "", "oooooo"),
    ("GET", "/sign-in/oidc", "", "nnnnnn"),
    ("GET", "/sign-in/oidc/callback", "code=1&state=1", "nnnnnn"),
    ("GET", "/join", "invitation=tbi_1", "oooooo"),
    ("GET", "/mail", "proof=tbm_1", "oooooo"),
    ("GET", "/account", "", "ooooos"),
    ("POST", "/sign-in", "mail=nobody%40example.com&password=wrong", "ssssss"),
    ("POST", "/sign-in/team", "team=acme", "ssssss"),
    ("POST", "/join", "invitation=tbi_1&password=violet", "oooooo"),
    ("POST", "/mail", "proof=tbm_1", "oooooo"),
    ("POST", "/account/alive", "", "ooooos"),
    ("POST", "/account/end-session", "session={session}", "ooooos"),
    ("POST", "/sign-out", "", "ssssss"),
];

/// What networks, browsers and probes ask for, whoever is signed in: an address for each route, and the answer.
const OPEN: [(&str, &str, &str, u16); 9] = [
    ("GET", "/metrics", "/metrics", 200),
    ("GET", "/healthz", "/healthz", 200),
    ("GET", "/readyz", "/readyz", 200),
    ("GET", "/assets/{folder}/{name}", "/assets/old/console.css", 200),
    ("GET", "/manifest.webmanifest", "/manifest.webmanifest", 200),
    ("GET", "/oauth/clients/{network}/{app}", "/oauth/clients/x/default", 404),
    ("GET", "/callbacks/status/{code}", "/callbacks/status/00", 404),
    ("POST", "/callbacks/{network}/{app}/deauthorize", "/callbacks/x/default/deauthorize", 403),
    ("POST", "/callbacks/{network}/{app}/delete-data", "/callbacks/x/default/delete-data", 403),
];

#[test]
fn the_tables_have_every_route() {
    let sources = [include_str!("../../sign_in/mod.rs"), include_str!("../../sign_in/oidc.rs")];
    let routed = sources.into_iter().flat_map(routes_in);
    let routed: BTreeSet<_> =
        routed.map(|(method, path)| (method, if path == "ACCOUNT" { "/account" } else { path })).collect();
    assert_eq!(routed, BTreeSet::from(ROUTES.map(|(method, path, ..)| (method, path))));
    let sources = [
        include_str!("../../assets.rs"),
        include_str!("../../callbacks/mod.rs"),
        include_str!("../../clients.rs"),
        include_str!("../../health.rs"),
    ];
    let routed: BTreeSet<_> = sources.into_iter().flat_map(routes_in).collect();
    assert_eq!(routed, BTreeSet::from(OPEN.map(|(method, path, ..)| (method, path))));
}

/// The members of two teams, the one whose session is asked for last, and their places in the table.
async fn everybody(scene: &Scene) -> [(usize, Browser); 6] {
    [
        (0, scene.member("Ada", Role::Owner).await),
        (1, scene.member("Mia", Role::Manager).await),
        (3, scene.member("Cid", Role::Member).await),
        (4, scene.stranger().await),
        (5, Browser::of_nobody(scene)),
        (2, scene.member(OURS, Role::Member).await),
    ]
}

#[tokio::test]
async fn nobody_sees_or_ends_a_session_of_somebody_else() {
    let scene = Scene::start().await;
    let people = everybody(&scene).await;
    let whose = &people[5].1;
    let Caller::Member { session, .. } = whose.caller().await else { panic!("a member is signed in") };
    let session = session.to_string();
    let mut wrong = Vec::new();
    for (at, browser) in &people {
        for (method, path, form, letters) in ROUTES {
            let form = form.replace("{session}", &session);
            let answer = match method {
                "GET" if form.is_empty() => browser.get(path).await,
                "GET" => browser.get(&format!("{path}?{form}")).await,
                _ => browser.post(path, &form).await,
            };
            let (is, expected) = (letter(&answer), letters.chars().nth(*at).unwrap());
            let shows = [OURS, &session].into_iter().any(|ours| answer.body.contains(ours));
            if is != expected || shows != (*at == 2 && path == "/account") {
                wrong.push(format!("{at} {method} {path}: {is} ({}), not {expected}; {shows}", answer.status));
            }
        }
        let account = whose.get("/account").await.status;
        assert_eq!(account == StatusCode::OK, *at != 2, "only its own member ends it: {at}");
        // So many wrong passwords from one place are let through in a minute.
        scene.test.clock.advance(Duration::from_secs(60));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    scene.stop().await;
}

#[tokio::test]
async fn what_is_open_is_the_same_for_everybody() {
    let scene = Scene::start().await;
    let probes = Probes { metrics: Box::new(String::new), not_ready: Box::new(Vec::new) };
    let routes = health::routes(probes).merge(assets::routes());
    let routes = routes.merge(callbacks::routes(scene.broker().clone())).merge(clients::routes(scene.broker().clone()));
    let people = everybody(&scene).await;
    for (method, _, path, status) in OPEN {
        let mut answers = BTreeSet::new();
        for (_, browser) in &people {
            let request = Request::builder().method(method.parse::<Method>().unwrap()).uri(path);
            let request = request.header("cookie", format!("__Host-session={}", browser.secret()));
            let request = request.header("content-type", "application/x-www-form-urlencoded");
            let request = request.body(Body::from("signed_request=nonsense")).unwrap();
            let (parts, body) = routes.clone().oneshot(request).await.unwrap().into_parts();
            assert!(parts.headers.get("set-cookie").is_none(), "{path}");
            answers.insert((parts.status.as_u16(), body.collect().await.unwrap().to_bytes()));
        }
        assert_eq!(answers.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [status], "{path}");
    }
    scene.stop().await;
}
