//! The pages, as a browser meets them.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::domain::member::Role;
use crate::service::members::InviteMember;
use crate::service::testing::TestBroker;
use crate::web::page::pages;
use crate::web::sign_in::routes;

const PASSWORD: &str = "violet+tractor+humming+sideways";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What a browser sends back of the cookie that it was given.
    fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }
}

async fn ask(test: &TestBroker, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("host", "broker.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = pages(routes(test.broker.clone())).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, body }
}

async fn get(test: &TestBroker, path: &str, cookie: &str) -> Answer {
    ask(test, Method::GET, path, &[("cookie", cookie)], "").await
}

async fn post(test: &TestBroker, path: &str, cookie: &str, form: &str) -> Answer {
    let form_type = ("content-type", "application/x-www-form-urlencoded");
    ask(test, Method::POST, path, &[("cookie", cookie), form_type, ("sec-fetch-site", "same-origin")], form).await
}

async fn invited(test: &TestBroker) -> String {
    invited_to(test, "acme").await
}

async fn invited_to(test: &TestBroker, team: &str) -> String {
    let team = test.team(team).await;
    let ask = InviteMember {
        team,
        mail: "ada@example.com".parse().unwrap(),
        display_name: "<b>Ada</b>".to_owned(),
        role: Role::Owner,
        time_zone: Default::default(),
        language: Default::default(),
    };
    test.broker.invite_member(&test.admin, ask).await.unwrap().secret.expose().to_owned()
}

#[tokio::test]
async fn a_person_joins_leaves_and_comes_back() {
    let test = TestBroker::start().await;
    let link = invited(&test).await;
    for _ in 0..2 {
        let page = get(&test, &format!("/join?invitation={link}"), "").await;
        assert_eq!(page.status, StatusCode::OK, "looking uses nothing up");
        assert!(page.body.contains("Join acme") && page.body.contains("ada@example.com"), "{}", page.body);
        assert!(page.body.contains("&#60;b&#62;Ada") && !page.body.contains("<b>Ada"), "{}", page.body);
    }
    let weak = post(&test, "/join", "", &format!("invitation={link}&password=passwordpassword")).await;
    assert_eq!(weak.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(weak.body.contains("too easy to guess") && !weak.body.contains("passwordpassword"), "{}", weak.body);
    let joined = post(&test, "/join", "", &format!("invitation={link}&display_name=Ada&password={PASSWORD}")).await;
    assert_eq!((joined.status, joined.header("location")), (StatusCode::SEE_OTHER, "/tokens?hello=yes"));
    let cookie = joined.cookie();
    assert!(cookie.starts_with("__Host-session=tbs_"), "{cookie}");
    let account = get(&test, "/account", &cookie).await;
    assert!(account.body.contains("Owner") && account.body.contains("this one"), "{}", account.body);
    assert!(!account.body.contains("tbs_"), "no secret stands on a page");
    let out = post(&test, "/sign-out", &cookie, "").await;
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    let forgotten = get(&test, "/account", &cookie).await;
    assert_eq!(forgotten.header("location"), "/sign-in?next=%2Faccount", "the broker forgot it, too");
    let back = post(&test, "/sign-in", "", &format!("mail=ada%40example.com&password={PASSWORD}")).await;
    assert_eq!(back.header("location"), "/tokens?hello=yes");
    assert_ne!(back.cookie(), cookie);
    let gone = get(&test, &format!("/join?invitation={link}"), "").await;
    assert_eq!(gone.status, StatusCode::GONE);
    test.stop().await;
}

#[tokio::test]
async fn a_session_is_ended_from_another() {
    let test = TestBroker::start().await;
    let link = invited(&test).await;
    let one = post(&test, "/join", "", &format!("invitation={link}&password={PASSWORD}")).await.cookie();
    let other = post(&test, "/sign-in", "", &format!("mail=ada%40example.com&password={PASSWORD}")).await.cookie();
    let page = get(&test, "/account", &other).await.body;
    let session = page.split("value=\"ses_").nth(1).unwrap().split('"').next().unwrap();
    let ended = post(&test, "/account/end-session", &other, &format!("session=ses_{session}")).await;
    assert_eq!(ended.header("location"), "/account");
    assert_eq!(get(&test, "/account", &one).await.header("location"), "/sign-in?next=%2Faccount");
    assert_eq!(get(&test, "/account", &other).await.status, StatusCode::OK);
    test.stop().await;
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_look_alike() {
    let test = TestBroker::start().await;
    let link = invited(&test).await;
    post(&test, "/join", "", &format!("invitation={link}&password={PASSWORD}")).await;
    let wrong = post(&test, "/sign-in", "", "mail=ada%40example.com&password=wrong").await;
    let unknown = post(&test, "/sign-in", "", "mail=ida%40example.com&password=wrong").await;
    assert_eq!((wrong.status, unknown.status), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    assert_eq!(wrong.body.replace("ada", "ida"), unknown.body);
    assert!(wrong.header("set-cookie").is_empty() && !wrong.body.contains("value=\"wrong\""));
    test.stop().await;
}

#[tokio::test]
async fn who_is_in_several_teams_chooses_one_and_goes_on() {
    let test = TestBroker::start().await;
    for team in ["acme", "zenith"] {
        let link = invited_to(&test, team).await;
        post(&test, "/join", "", &format!("invitation={link}&password={PASSWORD}")).await;
    }
    let form = format!("mail=ada%40example.com&password={PASSWORD}&next=%2Fload");
    let asked = post(&test, "/sign-in", "", &form).await;
    assert_eq!(asked.status, StatusCode::OK);
    for said in ["Which team?", "value=\"acme\"", "value=\"zenith\"", "name=\"next\" value=\"/load\""] {
        assert!(asked.body.contains(said), "{said}: {}", asked.body);
    }
    let cookie = asked.cookie();
    assert!(cookie.starts_with("__Host-choice=") && asked.header("set-cookie").contains("HttpOnly"), "{cookie}");
    let proof = cookie.split('=').nth(1).unwrap();
    assert!(!asked.body.contains(PASSWORD) && !asked.body.contains(proof), "{}", asked.body);
    let elsewhere = post(&test, "/sign-in/team", "", "team=zenith").await;
    assert!(elsewhere.status == StatusCode::UNAUTHORIZED && elsewhere.body.contains("Sign in again"));
    let chosen = post(&test, "/sign-in/team", &cookie, "team=zenith&next=%2Fload").await;
    assert_eq!(chosen.header("location"), "/tokens?hello=yes&then=%2Fload");
    assert!(get(&test, "/account", &chosen.cookie()).await.body.contains("zenith"));
    let again = post(&test, "/sign-in/team", &cookie, "team=acme").await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "it is good for once");
    let wrong = post(&test, "/sign-in", "", "mail=ada%40example.com&password=wrong").await;
    assert!(wrong.status == StatusCode::UNAUTHORIZED && !wrong.body.contains("Which team?"));
    test.stop().await;
}

/// What each route does for nobody who is signed in: its method, its address, a form, and the answer.
const ROUTES: [(Method, &str, &str, StatusCode); 12] = [
    (Method::GET, "/", "", StatusCode::SEE_OTHER),
    (Method::GET, "/sign-in", "", StatusCode::OK),
    (Method::POST, "/sign-in", "mail=ada%40example.com&password=wrong", StatusCode::UNAUTHORIZED),
    (Method::POST, "/sign-in/team", "team=acme", StatusCode::UNAUTHORIZED),
    (Method::POST, "/sign-out", "", StatusCode::SEE_OTHER),
    (Method::GET, "/join", "", StatusCode::GONE),
    (Method::POST, "/join", "invitation=tbi_1&password=violet", StatusCode::GONE),
    (Method::GET, "/mail", "", StatusCode::GONE),
    (Method::POST, "/mail", "proof=tbm_1", StatusCode::GONE),
    (Method::GET, "/account", "", StatusCode::SEE_OTHER),
    (Method::POST, "/account/alive", "", StatusCode::UNAUTHORIZED),
    (Method::POST, "/account/end-session", "session=ses_1", StatusCode::SEE_OTHER),
];

#[test]
fn the_table_has_every_route() {
    let source = include_str!("mod.rs");
    for route in source.split(".route(").skip(1) {
        let route = if route.starts_with("ACCOUNT") { super::ACCOUNT } else { route.split('"').nth(1).unwrap() };
        assert!(ROUTES.iter().any(|(_, path, ..)| *path == route), "{route} is not in the table");
    }
}

#[tokio::test]
async fn nobody_is_let_in_by_any_route() {
    let test = TestBroker::start().await;
    invited(&test).await;
    for (method, path, form, expected) in ROUTES {
        let answer = match method {
            Method::GET => get(&test, path, "").await,
            _ => post(&test, path, "", form).await,
        };
        assert_eq!(answer.status, expected, "{method} {path}: {}", answer.body);
        assert!(!answer.header("set-cookie").contains("__Host-session=tbs_"), "{method} {path}");
        assert!(!answer.body.contains("Ada"), "{method} {path}: {}", answer.body);
    }
    test.stop().await;
}

#[tokio::test]
async fn another_site_changes_nothing() {
    let test = TestBroker::start().await;
    let link = invited(&test).await;
    let form = format!("invitation={link}&password={PASSWORD}");
    let form_type = ("content-type", "application/x-www-form-urlencoded");
    for foreign in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let answer = ask(&test, Method::POST, "/join", &[form_type, foreign], &form).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{foreign:?}");
    }
    for path in ["/sign-out", "/account/end-session"] {
        assert_eq!(get(&test, path, "").await.status, StatusCode::METHOD_NOT_ALLOWED, "{path}: changes are POSTs");
    }
    test.stop().await;
}

#[tokio::test]
async fn every_page_is_bounded_by_its_headers() {
    let test = TestBroker::start().await;
    for path in ["/sign-in", "/join", "/account", "/tokens", "/nowhere"] {
        let answer = get(&test, path, "").await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe") && !answer.body.contains("<script"), "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.headers.get(header::REFERRER_POLICY).is_some(), "{path}");
    }
    test.stop().await;
}

#[tokio::test]
async fn only_a_trusted_proxy_says_where_a_browser_is() {
    use std::net::IpAddr;

    use axum::extract::Extension;

    use crate::web::server::PeerAddress;

    let text = "[http]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]";
    let config = crate::config::Config::read("test.toml", text, [], &[], |_| Vec::new()).unwrap();
    let test = TestBroker::start_with(config).await;
    let cases = [
        ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
        ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.2.2.2"], "198.51.100.7"),
        ("10.0.0.1", &["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        ("::1", &["2001:db8::7"], "2001:db8::7"),
        ("10.0.0.1", &["unknown, nonsense"], "10.0.0.1"),
        ("10.0.0.1", &[], "10.0.0.1"),
    ];
    for (peer, forwarded, expected) in cases {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let peer = Extension(PeerAddress((peer.parse::<IpAddr>().unwrap(), 1234).into()));
        let browser = super::browser_of(&test.broker, Some(peer), &headers);
        assert_eq!(browser.address, expected.parse::<IpAddr>().unwrap(), "{forwarded:?}");
    }
    test.stop().await;
}
