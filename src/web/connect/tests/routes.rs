//! Every route on which accounts are connected, by who asks: each role of the team, the member who began, another team, and nobody.

use std::collections::BTreeSet;

use super::{Answer, Browser, Stage};
use crate::domain::connection::{Connection, Stage as Progress};
use crate::domain::consent::NEWEST;
use crate::domain::member::Role;
use crate::service::connect::ListConnections;
use crate::store::AuditFilter;
use crate::web::route_tests::routes_in;

/// An account's name, which no page may show to anybody but its member and those who may reconnect it.
const OURS: &str = "canary-1";
/// Where the table has the member who began, and the owner of another team.
const MAKER: usize = 2;
const STRANGER: usize = 4;

/// What a route does for an owner, a manager, the member who began, another member, the owner of another team and nobody: `o` it does what is
/// asked; `f` it refuses; `n` there is no such thing; `s` it leads to the sign-in. Everybody but the member who began asks in a browser of its own,
/// and in the one in which it was begun: neither the cookie of the browser nor the session is enough.
///
/// Where a path names nothing of the team, another team does it for itself.
const ROUTES: [(&str, &str, &str, &str); 12] = [
    ("GET", "/connect/start", "", "ooooos"),
    ("GET", "/connect/start", "token={token}", "ooofns"),
    ("GET", "/teams/{team}/tokens/{token}", "", "ooofns"),
    ("POST", "/connect/start", "network=x&kind=user&purpose=collect_content", "ooooos"),
    ("POST", "/connect/start", "token={token}", "ooofns"),
    ("GET", "/connect/links/{link}", "", "ffofff"),
    ("POST", "/connect/links/{link}", "text_version={text}", "ffofff"),
    ("GET", "/connect/callback/{network}", "{answer}", "ffofff"),
    ("GET", "/connect/{connection}", "", "ffofff"),
    ("POST", "/connect/{connection}/choose", "", "ffofff"),
    ("POST", "/connect/{connection}/cancel", "", "ffofff"),
    ("POST", "/connect/{connection}/begin", "text_version={text}", "ffofff"),
];

#[test]
fn the_table_has_every_route() {
    let listed: BTreeSet<_> = ROUTES.iter().map(|(method, path, ..)| (*method, *path)).collect();
    assert_eq!(routes_in(include_str!("../mod.rs")), listed);
}

/// A name in the table, and what stands for it.
type Name = (&'static str, String);

/// Starts a connection in a member's browser; its link.
async fn started(browser: &Browser) -> String {
    let form = [("network", "x"), ("kind", "user"), ("purpose", "collect_content")];
    browser.post("/connect/start", &form).await.location()
}

/// Begins in a member's browser: a link that nobody followed yet, an answer of the network that did not arrive yet, and a connection whose account
/// is shown, which is the newest one.
async fn begun(stage: &Stage, browser: &Browser) -> (Vec<Name>, Connection) {
    let link = started(browser).await;
    let back = browser.agree(&browser.go_on(&started(browser).await).await, OURS, &[]).await;
    let page = browser.consent(&started(browser).await, OURS, &[]).await;
    assert!(page.text.contains(OURS), "{}", page.text);
    let connection = kept(stage).await.0.remove(0);
    let names = vec![
        ("{team}", stage.team.to_string()),
        ("{network}", "x".to_owned()),
        ("{text}", NEWEST.to_owned()),
        ("{link}", link.rsplit('/').next().unwrap().to_owned()),
        ("{answer}", back.split_once('?').unwrap().1.to_owned()),
        ("{connection}", connection.id.to_string()),
    ];
    (names, connection)
}

/// The team's connections, the newest first, and how much its audit has.
async fn kept(stage: &Stage) -> (Vec<Connection>, usize) {
    let (broker, team) = (&stage.test.broker, Some(stage.team.clone()));
    let of_team = ListConnections { team: team.clone(), ..ListConnections::default() };
    let audit = broker.store.list_audit(AuditFilter { team, ..AuditFilter::default() }, 10_000).await.unwrap();
    (broker.list_connections(&of_team, None, 1_000).await.unwrap().0, audit.len())
}

async fn ask(browser: &Browser, (method, path, form, _): (&str, &str, &str, &str), names: &[Name]) -> Answer {
    let named = |text: &str| names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
    let (path, form) = (named(path), named(form));
    if method == "POST" {
        let fields: Vec<_> = form.split('&').filter_map(|pair| pair.split_once('=')).collect();
        return browser.post(&path, &fields).await;
    }
    let answer = browser.get(&if form.is_empty() { path } else { format!("{path}?{form}") }).await;
    // What notices lead to leads on by itself.
    let goes_on = answer.status == 303 && answer.location().starts_with("/connect/start?");
    if goes_on { browser.get(&answer.location()).await } else { answer }
}

fn letter(answer: &Answer) -> char {
    match answer.status {
        303 if answer.location().starts_with("/sign-in") => 's',
        401 => 's',
        403 => 'f',
        404 => 'n',
        200 | 303 => 'o',
        _ => '!',
    }
}

#[tokio::test]
async fn each_route_does_for_each_person_what_the_table_says() {
    let stage = Stage::set().await;
    let zenith = stage.test.team("zenith").await;
    let maker = stage.member("maker@acme.example", Role::Member).await;
    let others = [
        (0, Some(stage.member("owner@acme.example", Role::Owner).await)),
        (1, Some(stage.member("manager@acme.example", Role::Manager).await)),
        (3, Some(stage.member("other@acme.example", Role::Member).await)),
        (STRANGER, Some(stage.member_of(&zenith, "owner@zenith.example", Role::Owner).await)),
        (5, None),
    ];
    let its = Browser::of_member(&stage, &maker);
    let (_, connection) = begun(&stage, &its).await;
    its.post(&format!("/connect/{}/choose", connection.id), &[]).await;
    let Progress::Connected { tokens, .. } = stage.look(&connection).await.stage else { panic!("it is not connected") };
    assert_eq!(stage.token(tokens[0]).await.token.label, OURS);
    let mut wrong = Vec::new();
    for route in ROUTES {
        let (mut names, _) = begun(&stage, &its).await;
        names.push(("{token}", tokens[0].to_string()));
        let mut must_be = |at: usize, answer: &Answer| {
            let (is, expected) = (letter(answer), route.3.chars().nth(at).unwrap());
            if is != expected {
                wrong.push(format!("{at} {} {}: {is} ({}), not {expected}", route.0, route.1, answer.status));
            }
            is == 'o'
        };
        for (at, person) in &others {
            for browser in [&Browser::at(&stage), &its] {
                match person {
                    Some(session) => browser.sign_in(session),
                    None => browser.sign_out(),
                }
                let before = kept(&stage).await;
                let answer = ask(browser, route, &names).await;
                if !must_be(*at, &answer) || *at == STRANGER {
                    assert_eq!(kept(&stage).await, before, "{at} {route:?}: something was done to the team");
                    assert!(!answer.text.contains(OURS), "{at} {route:?}: {}", answer.text);
                }
            }
        }
        its.sign_in(&maker);
        must_be(MAKER, &ask(&its, route, &names).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    stage.stop().await;
}
