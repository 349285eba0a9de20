//! Every route of the console, by who asks: each role of the team, the owner of another team, an operator, and nobody.

mod beside;

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::StatusCode;

use super::testing::{Answer, Browser, Scene};
use crate::base::ids::{AlertId, EventId, IncidentId, PushSubscriptionId};
use crate::base::secret::Secret;
use crate::domain::member::Role;
use crate::domain::notice::{Event, Fact};
use crate::domain::team::KeyHolder;
use crate::service::notices::CreateDestination;
use crate::service::testing::{ask, x_token};
use crate::service::tokens::AddToken;
use crate::service::{Caller, ListAlerts};
use crate::store::AuditFilter;
use crate::web::route_tests::routes_in;

/// A name that no page may show to another team.
const OURS: &str = "Canary of Acme";

/// What a route does for an owner, a manager, a member of the team and an owner of another team: `o` it does what is asked, or says what is
/// wrong with it; `f` it refuses; `n` there is no such thing. Nobody is let in anywhere, but for the script that shows messages of a browser.
///
/// `GET` looks and comes first; what ends something comes last. Where a path names nothing of the team, another team does it for itself.
const ROUTES: &[(&str, &str, &str, &str)] = &[
    ("GET", "/live", "", "oooo"),
    ("GET", "/alerts", "", "oooo"),
    ("GET", "/alerts/incidents/{incident}", "", "nnnn"),
    ("GET", "/alerts/{alert}", "", "ooon"),
    ("GET", "/jobs", "", "oooo"),
    ("GET", "/jobs/{job}", "", "ooon"),
    ("GET", "/load", "", "oooo"),
    ("GET", "/load/{network}/{class}", "", "oooo"),
    ("GET", "/load/history", "network=x&class=search_recent", "oooo"),
    ("GET", "/load/estimate", "network=x&kind=user&tokens=2", "oooo"),
    ("GET", "/tokens", "", "oooo"),
    ("GET", "/tokens/{token}", "", "ooon"),
    ("GET", "/tokens/{token}/managers", "", "ooon"),
    ("GET", "/tokens/{token}/usage", "", "oofn"),
    ("GET", "/tokens/{token}/revoke", "", "oofn"),
    ("GET", "/collectors", "", "oooo"),
    ("GET", "/collectors/new", "", "oofo"),
    ("GET", "/collectors/{collector}", "", "ooon"),
    ("GET", "/collectors/{collector}/keys/{key}/revoke", "", "oofn"),
    ("GET", "/members", "", "oooo"),
    ("GET", "/members/invite", "", "oofo"),
    ("GET", "/members/{member}", "", "ooon"),
    ("GET", "/members/{member}/remove", "", "offn"),
    ("GET", "/members/{member}/departure", "", "nnfn"),
    ("GET", "/notices", "", "oooo"),
    ("GET", "/notices/unread", "", "oooo"),
    ("GET", "/activity", "", "oofo"),
    ("GET", "/activity/{file}", "", "oofo"),
    ("GET", "/notifications", "", "oooo"),
    ("GET", "/notifications/destinations/new", "", "oofo"),
    ("GET", "/notifications/destinations/{destination}", "", "oofn"),
    ("GET", "/notifications/destinations/{destination}/delete", "", "oofn"),
    ("GET", "/push-worker.js", "", "oooo"),
    ("POST", "/alerts/{alert}/acknowledge", "comment=x", "ooon"),
    ("POST", "/alerts/incidents/{incident}/acknowledge", "comment=x", "nnnn"),
    ("POST", "/jobs", "network=x", "oofo"),
    ("POST", "/jobs/{job}/cancel", "", "oofn"),
    ("POST", "/jobs/{job}/resume", "", "oofn"),
    ("POST", "/tokens/act", "action=test&token={token}", "oofn"),
    ("POST", "/tokens/{token}/{action}", "", "oofn"),
    ("POST", "/collectors/new", "name=two&networks=x&purpose=collect_statistics", "oofo"),
    ("POST", "/collectors/{collector}", "name=one&networks=x&purpose=collect_statistics", "oofn"),
    ("POST", "/collectors/{collector}/keys", "name=k", "oofn"),
    ("POST", "/collectors/{collector}/disable", "", "oofn"),
    ("POST", "/collectors/{collector}/enable", "", "oofn"),
    ("POST", "/members/invite", "mail=new%40example.com&role=member&time_zone=UTC", "oofo"),
    ("POST", "/members/{member}", "display_name=Bob&role=member&time_zone=UTC&mail=bob%40example.com", "offn"),
    ("POST", "/members/{member}/resend", "", "oofn"),
    ("POST", "/members/password", "", "oooo"),
    ("POST", "/members/{member}/withdraw", "", "oofn"),
    ("POST", "/members/{member}/end-session", "session={session}", "offn"),
    ("POST", "/notices/read", "event={event}", "ooon"),
    ("POST", "/notifications", "token_expired-mail=off", "oooo"),
    ("POST", "/notifications/quiet", "from=22%3A00&until=07%3A00", "oooo"),
    ("POST", "/notifications/dialog", "dialog=1", "oooo"),
    ("POST", "/notifications/browsers", "endpoint=https%3A%2F%2Fpush.example%2F1&p256dh=x&auth=x", "oooo"),
    ("POST", "/notifications/browsers/{browser}/unsubscribe", "", "nnnn"),
    ("POST", "/notifications/destinations/new", "kind=mail&target=a%40example.com", "oofo"),
    ("POST", "/notifications/destinations/{destination}", "name=Ops&target=ops%40example.com", "oofn"),
    ("POST", "/notifications/destinations/{destination}/test", "", "oofn"),
    ("POST", "/notifications/destinations/{destination}/delete", "word=delete", "oofn"),
    ("POST", "/collectors/{collector}/keys/{key}/revoke", "word=revoke", "oofn"),
    ("POST", "/tokens/revoke", "token={token}&word=revoke", "oofn"),
    ("POST", "/tokens/{token}/revoke", "word=revoke", "oofn"),
    ("POST", "/members/{member}/remove", "mail=bob%40example.com", "offn"),
];

/// What somebody may do at a browser that was left open without proving once more who it is: what is its own, what is done to one thing and can be
/// undone, and what only ends something. Every other POST asks; a new one stands here only with one of these reasons.
const UNASKED: &[&str] = &[
    "/alerts/{alert}/acknowledge",
    "/alerts/incidents/{incident}/acknowledge",
    "/jobs/{job}/cancel",
    "/tokens/{token}/{action}",
    "/collectors/new",
    "/collectors/{collector}",
    "/collectors/{collector}/disable",
    "/collectors/{collector}/enable",
    "/members/{member}/withdraw",
    "/members/{member}/end-session",
    "/notices/read",
    "/notifications",
    "/notifications/quiet",
    "/notifications/dialog",
    "/notifications/browsers",
    "/notifications/browsers/{browser}/unsubscribe",
    "/notifications/destinations/{destination}/test",
    "/notifications/destinations/{destination}/delete",
];

/// A team with one thing of each kind, and who may ask for it.
struct Things {
    scene: Scene,
    names: Vec<(&'static str, String)>,
}

impl Things {
    async fn make() -> Self {
        let scene = Scene::start().await;
        let (broker, admin, team) = (scene.broker(), scene.admin(), &scene.team);
        let alert = alert(&scene).await;
        let given = AddToken { label: OURS.to_owned(), granted_by: "carol@example.com".to_owned(), ..x_token("4711") };
        let token = broker.add_token(admin, team, given).await.unwrap().token.id;
        let collector = scene.test.collector(team, OURS).await.id;
        scene.test.key(KeyHolder::Collector(team.clone(), collector)).await;
        let key = broker.list_keys(&Default::default(), 1).unwrap().0[0].id;
        let bob = scene.member("Bob", Role::Member).await;
        let member = bob.member;
        let Caller::Member { session, .. } = bob.caller().await else { panic!("a member is signed in") };
        let ask = CreateDestination {
            team: team.clone(),
            display_name: OURS.to_owned(),
            kind: crate::domain::notice::DestinationKind::Mail,
            target: Secret::new("ops@example.com".to_owned()),
            secrets: Vec::new(),
            events: None,
        };
        let destination = broker.create_destination(admin, ask).await.unwrap().id;
        let job = broker.renew_all(admin, team, &"x".parse().unwrap()).await.unwrap().id;
        let event = Event {
            id: EventId::generate(),
            at: broker.now(),
            team: Some(team.clone()),
            fact: Fact::TokenConnected { network: "x".parse().unwrap(), token, healed: false },
            dedup_key: "connected".to_owned(),
        };
        broker.store.append_events(vec![event.clone()]).await.unwrap();
        let names = vec![
            ("{token}", token.to_string()),
            ("{collector}", collector.to_string()),
            ("{key}", key.to_string()),
            ("{member}", member.to_string()),
            ("{destination}", destination.to_string()),
            ("{action}", "pause".to_owned()),
            ("{file}", "export.csv".to_owned()),
            ("{job}", job.to_string()),
            ("{alert}", alert.to_string()),
            ("{browser}", PushSubscriptionId::from_u128(7).to_string()),
            ("{session}", session.to_string()),
            ("{incident}", IncidentId::from_u128(7).to_string()),
            ("{network}", "x".to_owned()),
            ("{class}", "search_recent".to_owned()),
            ("{event}", event.id.to_string()),
        ];
        Self { scene, names }
    }

    fn named(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    async fn ask(&self, browser: &Browser, (method, path, form, _): &(&str, &str, &str, &str)) -> Answer {
        let (path, form) = (self.named(path), self.named(form));
        match *method {
            "GET" if form.is_empty() => browser.get(&path).await,
            "GET" => browser.get(&format!("{path}?{form}")).await,
            _ => browser.post(&path, &form).await,
        }
    }
}

/// An alert that is open: there is no token yet for what is asked for.
async fn alert(scene: &Scene) -> AlertId {
    let caller = scene.test.caller(scene.test.collector(&scene.team, "crawler").await.id);
    assert!(scene.broker().acquire_lease(&caller, ask(&scene.team, 100)).await.is_err());
    for _ in 0..3 {
        scene.broker().watch_loads().await.unwrap();
        scene.test.clock.advance(Duration::from_secs(40));
    }
    scene.broker().list_alerts(scene.admin(), ListAlerts::default(), 1).await.unwrap()[0].id
}

fn letter(answer: &Answer) -> char {
    match answer.status {
        StatusCode::FORBIDDEN => 'f',
        StatusCode::NOT_FOUND => 'n',
        status if status.is_server_error() && status != StatusCode::BAD_GATEWAY => '!',
        StatusCode::SEE_OTHER if answer.header("location").contains("/sign-in") => 's',
        StatusCode::UNAUTHORIZED => 's',
        _ => 'o',
    }
}

/// Whether an answer tells a browser what it may do with it: nothing but what is ours, and no script beside the page.
fn is_bounded(answer: &Answer) -> bool {
    let policy = answer.header("content-security-policy");
    let closed = policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'");
    closed && !policy.contains("unsafe") && answer.header("x-content-type-options") == "nosniff"
}

#[test]
fn the_table_has_every_route() {
    let listed: BTreeSet<_> = ROUTES.iter().map(|(method, path, ..)| (*method, *path)).collect();
    assert_eq!(routes_in(include_str!("mod.rs")), listed);
}

#[tokio::test]
async fn each_route_does_for_each_role_what_the_table_says() {
    let mut wrong = Vec::new();
    for (at, role) in [Role::Owner, Role::Manager, Role::Member].into_iter().enumerate() {
        let things = Things::make().await;
        let browser = things.scene.member("Ada", role).await;
        for route in ROUTES {
            let answer = things.ask(&browser, route).await;
            let (is, expected) = (letter(&answer), route.3.chars().nth(at).unwrap());
            if is != expected {
                wrong.push(format!("{role:?} {} {}: {is} ({}), not {expected}", route.0, route.1, answer.status));
            }
            if !is_bounded(&answer) {
                wrong.push(format!("{role:?} {} {}: a browser is not told its bounds", route.0, route.1));
            }
        }
        things.scene.stop().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_reaches_far_asks_once_more_who_it_is() {
    let things = Things::make().await;
    let owner = things.scene.member("Ada", Role::Owner).await;
    // The session is used all the time, but whose it is was proven long ago.
    for _ in 0..3 {
        things.scene.test.clock.advance(things.scene.broker().config.sign_in.idle / 2);
        assert_eq!(owner.get("/tokens").await.status, StatusCode::OK);
    }
    for route in ROUTES.iter().filter(|(method, ..)| *method == "POST") {
        let answer = things.ask(&owner, route).await;
        let asks = answer.body.contains("name=\"confirm_proof\"");
        assert_eq!(asks, !UNASKED.contains(&route.1), "{}: {}", route.1, answer.status);
        assert!(!asks || answer.body.contains("<b>You asked "), "{}: it is not said what for", route.1);
    }
    things.scene.stop().await;
}

#[tokio::test]
async fn no_route_shows_or_changes_anything_of_another_team_or_for_nobody() {
    let things = Things::make().await;
    let (broker, team) = (things.scene.broker(), &things.scene.team);
    let (stranger, nobody) = (things.scene.stranger().await, Browser::of_nobody(&things.scene));
    let of_team = || AuditFilter { team: Some(team.clone()), ..AuditFilter::default() };
    let before = broker.store.list_audit(of_team(), 10_000).await.unwrap().len();
    let mut wrong = Vec::new();
    for route in ROUTES {
        let open = if route.1 == "/push-worker.js" { 'o' } else { 's' };
        for (browser, expected) in [(&stranger, route.3.chars().nth(3).unwrap()), (&nobody, open)] {
            let answer = things.ask(browser, route).await;
            let is = letter(&answer);
            if is != expected || answer.body.contains(OURS) || !is_bounded(&answer) {
                wrong.push(format!("{} {}: {is} ({}), not {expected}", route.0, route.1, answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let after = broker.store.list_audit(of_team(), 10_000).await.unwrap().len();
    assert!(before > 0 && after == before, "nothing was done to the team: {before}, {after}");
    things.scene.stop().await;
}
