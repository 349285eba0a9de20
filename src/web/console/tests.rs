//! The console's pages, as browsers and people who would do harm meet them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;
use zeroize::Zeroizing;

use crate::base::clock::ManualClock;
use crate::base::ids::{TeamId, TokenId};
use crate::base::secret::Secret;
use crate::config::Config;
use crate::domain::member::Role;
use crate::domain::networks::{Catalogue, Purpose};
use crate::domain::token::{Clocks, Reason};
use crate::outbound::http::{NetworkAnswer, NetworkClient, NetworkRequest, NoAnswer};
use crate::service::apps::{UpdateApp, default_app};
use crate::service::members::InviteMember;
use crate::service::profiles::{ProfileName, UpdateProfile};
use crate::service::testing::{START, TestBroker, World, ask, x_token};
use crate::service::tokens::AddToken;
use crate::service::{AcquireLease, Answered, ReportUsage};
use crate::web::console::testing::Scene;
use crate::web::page::pages;

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
const PASSWORD: &str = "violet+tractor+humming+sideways";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn location(&self) -> &str {
        self.headers.get("location").map_or("", |value| value.to_str().unwrap())
    }
}

/// A console with the team `acme`.
struct Desk {
    test: TestBroker,
    team: TeamId,
}

impl Desk {
    async fn open() -> Self {
        Self::with(Config::default()).await
    }

    async fn with(config: Config) -> Self {
        let test = TestBroker::start_with(config).await;
        let team = test.team("acme").await;
        Self { test, team }
    }

    async fn ask(&self, method: Method, path: &str, cookie: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).header("host", "broker.example");
        let request = request.header("cookie", cookie).header("sec-fetch-site", "same-origin");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let routes =
            super::routes(self.test.broker.clone()).merge(crate::web::sign_in::routes(self.test.broker.clone()));
        let response = pages(routes).oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.ask(Method::GET, path, cookie, "").await
    }

    async fn post(&self, path: &str, cookie: &str, form: &str) -> Answer {
        self.ask(Method::POST, path, cookie, form).await
    }

    /// A member of a team who has joined; the cookie of its session.
    async fn member(&self, team: &TeamId, mail: &str, role: Role) -> String {
        let ask = InviteMember {
            team: team.clone(),
            mail: mail.parse().unwrap(),
            display_name: mail.to_owned(),
            role,
            time_zone: "Europe/Vienna".parse().unwrap(),
            language: Default::default(),
        };
        let secret = self.test.broker.invite_member(&self.test.admin, ask).await.unwrap().secret;
        let joined = self.post("/join", "", &format!("invitation={}&password={PASSWORD}", secret.expose())).await;
        assert_eq!(joined.status, StatusCode::SEE_OTHER, "{}", joined.body);
        joined.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    async fn token(&self, label: &str, granted_by: &str) -> TokenId {
        let given = AddToken { label: label.to_owned(), granted_by: granted_by.to_owned(), ..x_token(label) };
        self.test.broker.add_token(&self.test.admin, &self.team, given).await.unwrap().token.id
    }
}

#[tokio::test]
async fn what_was_asked_for_is_done_though_its_browser_goes_away() {
    let desk = Desk::open().await;
    let owner = desk.member(&desk.team, "owner@example.com", Role::Owner).await;
    let token = desk.token("Shop", "bob@example.com").await;
    let path = format!("/tokens/{token}/pause");
    let mut left = Box::pin(desk.post(&path, &owner, ""));
    assert!(futures_util::poll!(&mut left).is_pending());
    drop(left);
    while desk.test.broker.show_token(&desk.team, token).await.unwrap().0.token.state.as_str() != "paused" {
        tokio::task::yield_now().await;
    }
    desk.test.stop().await;
}

#[tokio::test]
async fn each_role_is_offered_and_let_do_what_the_table_says() {
    let desk = Desk::open().await;
    let zenith = desk.test.team("zenith").await;
    let token = desk.token("Shop", "bob@example.com").await;
    let cases = [
        (desk.member(&desk.team, "owner@example.com", Role::Owner).await, true, StatusCode::SEE_OTHER),
        (desk.member(&desk.team, "manager@example.com", Role::Manager).await, true, StatusCode::SEE_OTHER),
        (desk.member(&desk.team, "bob@example.com", Role::Member).await, true, StatusCode::SEE_OTHER),
        (desk.member(&desk.team, "eve@example.com", Role::Member).await, false, StatusCode::FORBIDDEN),
        (desk.member(&zenith, "zoe@example.com", Role::Owner).await, false, StatusCode::NOT_FOUND),
    ];
    for (at, (cookie, offered, expected)) in cases.iter().enumerate() {
        let sees = at < 4;
        let list = desk.get("/tokens", cookie).await;
        assert_eq!((list.status, list.body.contains("Shop")), (StatusCode::OK, sees), "{at}");
        for offer in ["pause", "usage"] {
            assert_eq!(list.body.contains(&format!("/tokens/{token}/{offer}")), *offered, "{at} {offer}");
        }
        assert_eq!(list.body.contains("href=\"/activity\""), ![2, 3].contains(&at), "{at}: what it may see");
        for page in ["", "/managers", "/usage", "/revoke"] {
            let shown = desk.get(&format!("/tokens/{token}{page}"), cookie).await.status;
            let allowed = match (sees, page, at) {
                (false, ..) => StatusCode::NOT_FOUND,
                (true, "/usage" | "/revoke", 3) => StatusCode::FORBIDDEN,
                _ => StatusCode::OK,
            };
            assert_eq!(shown, allowed, "{at} {page}");
        }
        for action in ["pause", "resume"] {
            assert_eq!(
                desk.post(&format!("/tokens/{token}/{action}"), cookie, "").await.status,
                *expected,
                "{at} {action}"
            );
        }
        for page in ["/load", "/alerts"] {
            assert_eq!(desk.get(page, cookie).await.status, StatusCode::OK, "{at} {page}");
        }
        let revoked = desk.post(&format!("/tokens/{token}/revoke"), cookie, "word=revoke").await;
        if at == 0 {
            assert_eq!(revoked.location(), "/tokens?done=revoked&count=1");
            let again = desk.post(&format!("/tokens/{token}/resume"), cookie, "").await;
            assert_eq!(again.status, StatusCode::CONFLICT, "what was revoked is gone");
            return desk.test.stop().await;
        }
        assert_ne!(revoked.status, StatusCode::SEE_OTHER, "{at}");
    }
}

#[tokio::test]
async fn a_lost_permission_and_a_block_stand_beside_the_token() {
    let desk = Desk::open().await;
    let (test, team) = (&desk.test, &desk.team);
    let cookie = desk.member(team, "owner@example.com", Role::Owner).await;
    let page = AddToken {
        network: "facebook".to_owned(),
        kind: "page".to_owned(),
        scopes: ["pages_show_list", "pages_read_engagement", "read_insights"].map(str::to_owned).into(),
        refresh: None,
        ..x_token("Shop")
    };
    test.broker.add_token(&test.admin, team, page).await.unwrap();
    let collector = test.caller(test.collector(team, "one").await.id);
    let said = [
        ("page.insights", "200", "Facebook refuses page.insights for want of a permission or a role"),
        ("post.insights", "368", "The network blocks the account"),
    ];
    for (operation, code, said) in said {
        assert!(!desk.get("/tokens", &cookie).await.body.contains(said), "{code}");
        let (network, purpose) = ("facebook".to_owned(), Purpose::CollectStatistics);
        let wanted = AcquireLease { network, operation: operation.to_owned(), purpose, ..ask(team, 1) };
        // A missing permission is believed when it is told a second time, a while later.
        for _ in 0..2 {
            let Ok(leased) = test.broker.acquire_lease(&collector, wanted.clone()).await else { break };
            let body = format!(r#"{{"error":{{"message":"Refused","type":"OAuthException","code":{code}}}}}"#);
            let answer = Some(Answered { status: 400, body: body.into_bytes(), ..Answered::default() });
            let report = ReportUsage { sequence: 1, used: 1, answer, ..ReportUsage::default() };
            test.broker.report_usage(&collector, leased.lease, report).await.unwrap();
            test.clock.advance(Duration::from_secs(60));
        }
        assert!(desk.get("/tokens", &cookie).await.body.contains(said), "{code}");
    }
    desk.test.stop().await;
}

#[tokio::test]
async fn nobody_sees_anything_without_signing_in() {
    let desk = Desk::open().await;
    let token = desk.token("Shop", "").await;
    for page in ["/tokens", "/load", "/alerts", "/load/history?network=x&class=search"] {
        let answer = desk.get(page, "").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{page}");
        assert!(answer.location().starts_with("/sign-in?next=%2F"), "{page}: {}", answer.location());
    }
    let pause = desk.post(&format!("/tokens/{token}/pause"), "", "x=1").await;
    assert_eq!([pause.status, desk.get("/live", "").await.status], [StatusCode::UNAUTHORIZED; 2]);
    let shown = desk.test.broker.show_token(&desk.team, token).await.unwrap().0;
    assert!(shown.token.is_usable(desk.test.broker.now()), "nothing was done");
    desk.test.stop().await;
}

#[tokio::test]
async fn a_form_outlives_the_session() {
    let desk = Desk::open().await;
    let cookie = desk.member(&desk.team, "owner@example.com", Role::Owner).await;
    let token = desk.token("Shop", "").await;
    desk.test.clock.advance(desk.test.broker.config.sign_in.idle * 2);
    let form = format!("action=pause&token={token}&password=hunter2&confirm_proof=hunter3");
    let kept = desk.post("/tokens/act", &cookie, &form).await;
    assert_eq!(kept.status, StatusCode::UNAUTHORIZED);
    assert!(kept.body.contains("kept_form") && kept.body.contains(&token.to_string()), "{}", kept.body);
    assert!(!kept.body.contains("hunter"), "no password is kept");
    let fields = format!(
        "mail=owner%40example.com&password={PASSWORD}&kept_action=%2Ftokens%2Fact&kept_form=action%3Dpause%26token%3D{token}"
    );
    let back = desk.post("/sign-in", "", &fields).await;
    assert_eq!(back.status, StatusCode::OK);
    assert!(
        back.body.contains("action=\"/tokens/act\"") && back.body.contains(&format!("value=\"{token}\"")),
        "{}",
        back.body
    );
    let elsewhere = fields.replace("%2Ftokens%2Fact", "https%3A%2F%2Fevil.example%2F");
    let answer = desk.post("/sign-in", "", &elsewhere).await;
    assert_eq!(answer.location(), "/tokens?hello=yes", "a form is sent to this host only");
    desk.test.stop().await;
}

#[tokio::test]
async fn names_of_others_stay_text() {
    let desk = Desk::open().await;
    let cookie = desk.member(&desk.team, "owner@example.com", Role::Owner).await;
    let long = "x".repeat(200);
    let names = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "{{ 7*7 }}",
        "\u{202e}moc.live",
        "🦊🦊",
        &long,
    ];
    for name in names {
        let given = AddToken { label: name.to_owned(), ..x_token(&format!("person {}", name.len())) };
        desk.test.broker.add_token(&desk.test.admin, &desk.team, given).await.unwrap();
    }
    let list = desk.get("/tokens", &cookie).await.body;
    assert!(!list.contains("<script>alert") && !list.contains("<img"), "{list}");
    assert!(list.contains("&#60;script&#62;alert(1)") && list.contains("<bdi>{{ 7*7 }}</bdi>") && list.contains(&long));
    let wrong = "/tokens?q=%22%3E%3Cimg&network=%3Cb%3E&kind=..%2F..&status=%00";
    let found = desk.get(wrong, &cookie).await;
    assert_eq!(found.status, StatusCode::OK);
    let behind = desk.get(&format!("{wrong}&after=tok_x"), &cookie).await;
    assert_eq!(behind.status, StatusCode::SEE_OTHER);
    assert!(behind.location().starts_with("/tokens?") && !behind.location().contains("tok_x"), "{}", behind.location());
    assert!(!found.body.contains("<img") && !found.body.contains("<b>\u{0}"), "{}", found.body);
    for path in ["/tokens/..%2F..", "/tokens/tok_zz", "/jobs/nonsense", "/alerts/nonsense/acknowledge"] {
        let status = desk.get(path, &cookie).await.status;
        assert!([StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status), "{path}: {status}");
    }
    desk.test.stop().await;
}

#[tokio::test]
async fn several_tokens_are_changed_together_and_what_fails_is_named() {
    let desk = Desk::open().await;
    let cookie = desk.member(&desk.team, "owner@example.com", Role::Owner).await;
    let (one, two) = (desk.token("One", "").await, desk.token("Two", "").await);
    let nothing = desk.post("/tokens/act", &cookie, "action=pause").await;
    assert_eq!(nothing.location(), "/tokens?done=none");
    let both = desk.post("/tokens/act", &cookie, &format!("action=pause&token={one}&token={two}")).await;
    assert_eq!(both.location(), "/tokens?done=paused&count=2");
    assert!(desk.get(both.location(), &cookie).await.body.contains("2 tokens paused"));
    let asked = desk.post("/tokens/act", &cookie, &format!("action=revoke&token={one}&token={two}")).await;
    assert!(
        asked.body.contains("Revoke these 2 tokens?") && asked.body.contains("can&#39;t be undone"),
        "{}",
        asked.body
    );
    let wrong = desk.post("/tokens/revoke", &cookie, &format!("word=rewoke&token={one}")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let done = desk.post("/tokens/revoke", &cookie, &format!("word=Revoke&token={one}")).await;
    assert_eq!(done.location(), "/tokens?done=revoked&count=1");
    let back = "back=%2Ftokens%3Fq%3Dnord%2Bsport%26network%3Dx%26done%3Dnone";
    let filtered = desk.post("/tokens/act", &cookie, &format!("action=test&{back}")).await;
    assert_eq!(filtered.location(), "/tokens?q=nord+sport&network=x&done=none", "the filters stay");
    for evil in ["%2F%2Fevil.example", "https%3A%2F%2Fevil.example%2Ftokens", "%2Ftokens%2F..%2Fsign-out", "%2Fload"] {
        let answer = desk.post("/tokens/act", &cookie, &format!("action=test&back={evil}")).await;
        assert_eq!(answer.location(), "/tokens?done=none", "{evil}");
    }
    let partly = desk.post("/tokens/act", &cookie, &format!("action=resume&token={one}&token={two}")).await;
    assert_eq!(partly.status, StatusCode::OK);
    assert!(partly.body.contains("One token was left as it is") && partly.body.contains("revoked"), "{}", partly.body);
    assert!(
        !desk.get("/tokens", &cookie).await.body.contains("<bdi>One</bdi>"),
        "what was given back is not in the way"
    );
    assert!(desk.get("/tokens?status=revoked", &cookie).await.body.contains("<bdi>One</bdi>"));
    desk.test.stop().await;
}

#[tokio::test]
async fn nothing_is_revoked_that_the_member_may_not_and_the_question_says_so() {
    let desk = Desk::open().await;
    let bob = desk.member(&desk.team, "bob@example.com", Role::Member).await;
    let (own, other) = (desk.token("Own", "bob@example.com").await, desk.token("Other", "eve@example.com").await);
    let both = format!("token={own}&token={other}");
    let asked = desk.post("/tokens/act", &bob, &format!("action=revoke&{both}")).await;
    assert!(asked.body.contains("Revoke this token?"), "{}", asked.body);
    assert!(asked.body.contains("One token that you ticked is left as it is"), "{}", asked.body);
    assert!(!asked.body.contains(&format!("name=\"token\" value=\"{other}\"")), "{}", asked.body);
    for form in [format!("action=revoke&token={other}"), format!("action=revoke&token={other}&token={other}")] {
        assert_eq!(desk.post("/tokens/act", &bob, &form).await.status, StatusCode::FORBIDDEN, "{form}");
    }
    let done = desk.post("/tokens/revoke", &bob, &format!("{both}&word=revoke")).await;
    assert_eq!(done.status, StatusCode::OK);
    assert!(
        done.body.contains("Revoked. It is given back") && done.body.contains("One token was left"),
        "{}",
        done.body
    );
    assert!(done.body.contains(&format!("<a href=\"/tokens/{other}\">")) && done.body.contains("Other"));
    let gone = desk.get(&format!("/tokens/{own}/revoke"), &bob).await;
    assert_eq!(gone.status, StatusCode::CONFLICT, "it is revoked once");
    let shown = desk.test.broker.show_token(&desk.team, other).await.unwrap().0;
    assert!(shown.token.is_usable(desk.test.broker.now()), "the other works on");
    desk.test.stop().await;
}

/// What the dialog after a sign-in says; `None`: there is none.
fn dialog(page: &Answer) -> Option<&str> {
    Some(page.body.split("<dialog").nth(1)?.split("</dialog>").next().unwrap())
}

#[tokio::test]
async fn a_member_is_asked_to_mend_what_it_may_renew_after_the_sign_in() {
    let desk = Desk::open().await;
    let bob = desk.member(&desk.team, "bob@example.com", Role::Member).await;
    let owner = desk.member(&desk.team, "owner@example.com", Role::Owner).await;
    let (own, other) = (desk.token("Own", "bob@example.com").await, desk.token("Other", "eve@example.com").await);
    for (token, reason) in [(own, Reason::Expired), (other, Reason::PasswordChanged)] {
        desk.test.broker.invalidate_token(&desk.test.admin, &desk.team, token, reason, "").await.unwrap();
    }
    let hello = desk.get("/tokens?hello=yes", &bob).await;
    let asked = dialog(&hello).unwrap();
    assert!(asked.contains("One token needs you") && asked.contains("Own") && !asked.contains("Other"), "{asked}");
    assert!(asked.contains(&format!("/tokens/{own}/renew")), "{asked}");
    let hello = desk.get("/tokens?hello=yes&then=%2Fload%3Frange%3D7d", &owner).await;
    let asked = dialog(&hello).unwrap();
    assert!(asked.contains("2 tokens need you") && asked.contains("href=\"/load?range=7d\""), "{asked}");
    assert!(asked.contains(&format!("href=\"/connect/start?token={other}\"")), "a new password: {asked}");
    assert!(!asked.contains(&format!("/tokens/{other}/renew")), "{asked}");
    assert!(dialog(&desk.get("/tokens", &owner).await).is_none());
    for nth in 0..9 {
        let token = desk.token(&format!("More {nth}"), "").await;
        desk.test.broker.invalidate_token(&desk.test.admin, &desk.team, token, Reason::Expired, "").await.unwrap();
    }
    let hello = desk.get("/tokens?hello=yes", &owner).await;
    let asked = dialog(&hello).unwrap();
    assert!(asked.contains("More than 10 tokens") && asked.contains("href=\"/tokens?status=dead\""), "{asked}");
    desk.test.stop().await;
}

#[tokio::test]
async fn who_looks_after_a_profile_is_asked_to_mend_its_tokens() {
    let scene = Scene::start().await;
    let (eve, bob) = (scene.member("Eve", Role::Member).await, scene.member("Bob", Role::Member).await);
    let (broker, admin) = (scene.broker(), scene.admin());
    let name = ProfileName { team: scene.team.clone(), network: "x".parse().unwrap(), id: "page-1".to_owned() };
    let admins = UpdateProfile { admins: Some([eve.member].into()), ..UpdateProfile::default() };
    broker.update_profile(admin, &name, admins).await.unwrap();
    let given = AddToken { profile: "page-1".to_owned(), label: "Shop".to_owned(), ..x_token("4711") };
    let token = broker.add_token(admin, &scene.team, given).await.unwrap().token.id;
    broker.invalidate_token(admin, &scene.team, token, Reason::Expired, "").await.unwrap();
    assert!(eve.get("/tokens?hello=yes").await.body.contains("One token needs you"));
    assert!(!bob.get("/tokens?hello=yes").await.body.contains("<dialog"));
    scene.stop().await;
}

#[tokio::test]
async fn who_has_nothing_to_mend_is_led_to_the_page_that_it_wanted() {
    let desk = Desk::open().await;
    let owner = desk.member(&desk.team, "owner@example.com", Role::Owner).await;
    for (next, expected) in [
        ("%2Ftokens%3Fq%3Dnord%2Bsport", "/tokens?q=nord+sport"),
        ("%2Factivity%3Faction%3Dtoken.", "/activity?action=token."),
        ("%2Fjobs", "/jobs"),
    ] {
        let form = format!("mail=owner%40example.com&password={PASSWORD}&next={next}");
        let back = desk.post("/sign-in", "", &form).await;
        assert!(back.location().starts_with("/tokens?hello=yes&then="), "{}", back.location());
        assert_eq!(desk.get(back.location(), &owner).await.location(), expected);
    }
    let mends = format!("mail=owner%40example.com&password={PASSWORD}&next=%2Fconnect%2Fstart%3Ftoken%3Dtok_1");
    assert_eq!(desk.post("/sign-in", "", &mends).await.location(), "/connect/start?token=tok_1");
    // One more would be too often for a while: the others are asked of who is signed in.
    let evil = format!("mail=owner%40example.com&password={PASSWORD}&next=%2F%2Fevil.example");
    assert_eq!(desk.post("/sign-in", "", &evil).await.location(), "/tokens?hello=yes");
    for evil in ["//evil.example", "/\\evil.example", "%2F%2Fevil.example", "https://evil.example", "/sign-out"] {
        let next: String = url::form_urlencoded::byte_serialize(evil.as_bytes()).collect();
        assert_eq!(desk.get(&format!("/sign-in?next={next}"), &owner).await.location(), "/tokens", "{evil}");
        assert_eq!(desk.get(&format!("/tokens?hello=yes&then={next}"), &owner).await.status, StatusCode::OK, "{evil}");
    }
    desk.test.stop().await;
}

#[tokio::test]
async fn what_no_renewal_saves_is_connected_again() {
    let desk = Desk::open().await;
    let cookie = desk.member(&desk.team, "owner@example.com", Role::Owner).await;
    let ends = Some(desk.test.broker.now() + Duration::from_secs(4 * 86_400));
    let scopes = ["r_organization_social", "rw_organization_admin"].map(str::to_owned).into();
    let given = AddToken {
        network: "linkedin".to_owned(),
        label: "Company".to_owned(),
        clocks: Clocks { access_expires_at: ends, refresh_expires_at: ends, ..Clocks::default() },
        refresh: Some(Secret::new("refresh".to_owned())),
        scopes,
        ..x_token("4711")
    };
    let token = desk.test.broker.add_token(&desk.test.admin, &desk.team, given).await.unwrap().token.id;
    let connects = format!("/connect/start?token={token}");
    for page in ["/tokens".to_owned(), "/tokens?hello=yes".to_owned(), format!("/tokens/{token}")] {
        let shown = desk.get(&page, &cookie).await.body;
        assert!(shown.contains(&connects) && !shown.contains(&format!("/tokens/{token}/renew")), "{page}: {shown}");
    }
    assert_eq!(desk.post(&format!("/tokens/{token}/renew"), &cookie, "").await.location(), connects);
    let x = desk.token("Shop", "").await;
    let many = desk.post("/tokens/act", &cookie, &format!("action=renew&token={token}&token={x}")).await;
    assert!(many.body.contains("No renewal is of use here") && many.body.contains(&connects), "{}", many.body);
    let list = desk.get("/tokens?network=x", &cookie).await.body;
    assert!(list.contains(&format!("/connect/start?token={x}")), "the menu leads there, too: {list}");
    assert!(list.contains(&format!("/tokens/{x}/renew")), "{list}");
    desk.test.stop().await;
}

#[tokio::test]
async fn a_status_that_there_is_not_is_said_to_be_none() {
    let desk = Desk::open().await;
    let cookie = desk.member(&desk.team, "owner@example.com", Role::Owner).await;
    desk.token("Shop", "").await;
    let page = desk.get("/tokens?status=expired", &cookie).await;
    assert!(page.body.contains("No token can have the status “expired”"), "{}", page.body);
    assert!(!page.body.contains("<bdi>Shop</bdi>"), "{}", page.body);
    desk.test.stop().await;
}

#[tokio::test]
async fn pages_of_many_tokens_are_small_and_lead_on() {
    let desk = Desk::open().await;
    let cookie = desk.member(&desk.team, "owner@example.com", Role::Owner).await;
    for nth in 0..120 {
        desk.token(&format!("Token {nth:03}"), "").await;
    }
    let (mut path, mut seen) = ("/tokens?network=x".to_owned(), 0);
    loop {
        let page = desk.get(&path, &cookie).await.body;
        let rows = page.matches("name=\"token\" value=").count();
        seen += rows;
        assert!(rows <= 50 && page.contains("All <b>120</b>"));
        let next = page.split_once("\" rel=\"next\">").and_then(|(before, _)| before.rsplit("href=\"").next());
        let Some(next) = next else { break };
        path = next.replace("&#38;", "&");
    }
    assert_eq!(seen, 120);
    let one = desk.get("/tokens?q=token+11", &cookie).await.body;
    assert_eq!(one.matches("name=\"token\" value=").count(), 10);
    desk.test.stop().await;
}

#[tokio::test]
async fn what_reaches_far_asks_for_the_password_once_more() {
    let desk = Desk::open().await;
    let cookie = desk.member(&desk.team, "owner@example.com", Role::Owner).await;
    let token = desk.token("Shop", "").await;
    // The session is used all the time, but who it is was proven long ago.
    for _ in 0..3 {
        desk.test.clock.advance(desk.test.broker.config.sign_in.idle / 2);
        assert_eq!(desk.get("/tokens", &cookie).await.status, StatusCode::OK);
    }
    let form = format!("action=pause&token={token}");
    let asked = desk.post("/tokens/act", &cookie, &form).await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(asked.body.contains("confirm_proof") && asked.body.contains(&token.to_string()), "{}", asked.body);
    let wrong = desk.post("/tokens/act", &cookie, &format!("{form}&confirm_proof=guessed")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!wrong.body.contains("guessed"), "{}", wrong.body);
    let usable = async || {
        let view = desk.test.broker.show_token(&desk.team, token).await.unwrap().0;
        view.token.is_usable(desk.test.broker.now())
    };
    assert!(usable().await, "nothing was done");
    let done = desk.post("/tokens/act", &cookie, &format!("{form}&confirm_proof={PASSWORD}")).await;
    assert_eq!((done.location(), usable().await), ("/tokens?done=paused&count=1", false));
    let again = desk.post("/tokens/act", &cookie, &form.replace("pause", "resume")).await;
    assert_eq!(again.location(), "/tokens?done=resumed&count=1", "once is enough for a while");
    desk.test.stop().await;
}

/// Asks for what the tokens can't give, until the load has been evaluated.
async fn overload(desk: &Desk) {
    load_by(desk, 4, 500).await;
}

/// Asks so often for so many calls, until the load has been evaluated.
async fn load_by(desk: &Desk, times: u32, calls: u64) {
    for nth in 0..times {
        let wanted = AcquireLease {
            operation: "users.get".to_owned(),
            purpose: crate::domain::networks::Purpose::CollectStatistics,
            collection: format!("<b>brand {nth}</b>"),
            ..ask(&desk.team, calls)
        };
        // The last ones find nothing left: the demand is what counts.
        let _ = desk.test.broker.acquire_lease(&desk.test.admin, wanted).await;
    }
    for _ in 0..2 {
        desk.test.clock.advance(std::time::Duration::from_secs(30));
        desk.test.broker.watch_loads().await.unwrap();
    }
}

/// There is no advice that it would be for.
#[tokio::test]
async fn a_load_that_is_in_order_is_not_said_to_grow() {
    let desk = Desk::open().await;
    let member = desk.member(&desk.team, "eve@example.com", Role::Member).await;
    desk.token("Shop", "").await;
    load_by(&desk, 1, 300).await;
    let load = desk.get("/load", &member).await.body;
    assert!(load.contains("The tokens carry what is collected") && !load.contains("It grows"), "{load}");
    let more = desk.get("/load/estimate?network=x&kind=user&tokens=1", &member).await.body;
    assert!(more.contains("users_get") && !more.contains("at the pace of the last minutes"), "{more}");
    desk.test.stop().await;
}

#[tokio::test]
async fn a_load_that_is_too_high_is_shown_explained_and_acknowledged() {
    let mut config = Config::default();
    config.load.hold = std::time::Duration::ZERO;
    let desk = Desk::with(config).await;
    let zenith = desk.test.team("zenith").await;
    let member = desk.member(&desk.team, "eve@example.com", Role::Member).await;
    let stranger = desk.member(&zenith, "zoe@example.com", Role::Owner).await;
    desk.token("Shop", "").await;
    assert!(desk.get("/load", &member).await.body.contains("Nothing was collected in the last 24 hours"));
    overload(&desk).await;
    let load = desk.get("/load?network=x&class=users_get&range=7d", &member).await.body;
    assert!(load.contains("More than the tokens can give") && load.contains("&#60;b&#62;brand 0"), "{load}");
    assert!(load.contains("more X tokens of people who have none here yet") && load.contains("stroke-dasharray"));
    assert!(load.contains("It grows: at the pace of the last minutes it comes to"), "what the advice is for: {load}");
    let invites = "<a class=\"button other\" href=\"/connect/start?network=x&amp;for=colleague\">Invite people";
    assert!(load.contains(invites) && !load.contains("/members/invite"), "to connect, not to join: {load}");
    for line in ["Load (scale up to", "Asked for, per hour (scale up to", "Alert opens", "All that tokens can give"] {
        assert!(load.contains(line), "{line}: {load}");
    }
    let history = desk.get("/load/history?network=x&class=users_get", &member).await;
    let figures: serde_json::Value = serde_json::from_str(&history.body).unwrap();
    assert_eq!(figures["times"].as_array().unwrap().len(), 1, "{figures}");
    assert!(figures["ratio"][0].as_f64().unwrap() > 1.0, "{figures}");
    let foreign = desk.get("/load/history?network=x&class=users_get", &stranger).await.body;
    assert!(foreign.contains("\"times\":[]"), "{foreign}");
    assert_eq!(desk.get("/load/history?network=..&class=", &member).await.status, StatusCode::NOT_FOUND);
    let more = desk.get("/load/estimate?network=x&kind=user&tokens=9", &member).await.body;
    assert!(more.contains("With 9 more tokens of X") && more.contains("users_get"), "{more}");
    assert!(more.contains("at the pace of the last minutes, as the advice has it"), "{more}");
    let nowhere = desk.get("/load/estimate?network=nowhere&kind=user&tokens=9", &member).await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);

    let alerts = desk.get("/alerts", &member).await.body;
    let alert = alerts.split("/alerts/alr_").nth(1).unwrap().split(['/', '"']).next().unwrap().to_owned();
    let path = format!("/alerts/alr_{alert}/acknowledge");
    assert!(!desk.get("/alerts", &stranger).await.body.contains("alr_"), "nothing crosses teams");
    assert_eq!(desk.post(&path, &stranger, "comment=mine").await.status, StatusCode::NOT_FOUND);
    assert_eq!(desk.post(&path, &member, "comment=%3Cb%3Eseen").await.location(), "/alerts?done=acknowledged");
    let seen = desk.get("/alerts?done=acknowledged", &member).await.body;
    assert!(seen.contains("Seen by eve@example.com") && !seen.contains(&path), "{seen}");
    let page = desk.get(&format!("/alerts/alr_{alert}"), &member).await.body;
    assert!(page.contains("<q>&#60;b&#62;seen</q>") && page.contains("Told:"), "{page}");
    assert!(page.contains("tokens of people who have none here yet") && !page.contains("team acme"), "{page}");
    desk.test.stop().await;
}

/// A network that takes its time for each answer.
struct Slow {
    clock: Arc<ManualClock>,
    takes: Duration,
}

#[async_trait::async_trait]
impl NetworkClient for Slow {
    async fn ask(&self, _: &NetworkRequest) -> Result<NetworkAnswer, NoAnswer> {
        self.clock.advance(self.takes);
        let body = br#"{"access_token":"access-2","refresh_token":"refresh-2","expires_in":7200}"#.to_vec();
        Ok(NetworkAnswer { status: 200, headers: Vec::new(), body: Zeroizing::new(body) })
    }
}

#[tokio::test]
async fn a_page_does_not_wait_for_renewals_without_end() {
    let clock = Arc::new(ManualClock::at(START));
    let slow = Slow { clock: clock.clone(), takes: Duration::from_secs(10) };
    let world = World { catalogue: Catalogue::embedded(), endpoint: Arc::new(slow) };
    let test = TestBroker::start_in(world, Config::default(), clock).await;
    let team = test.team("acme").await;
    let desk = Desk { test, team };
    let client = UpdateApp {
        client_id: Some("app".to_owned()),
        client_secret: Some(Some(Secret::new("client-secret".to_owned()))),
        ..UpdateApp::default()
    };
    desk.test.broker.update_app(&desk.test.admin, &"x".parse().unwrap(), &default_app(), client).await.unwrap();
    let cookie = desk.member(&desk.team, "ada@example.com", Role::Owner).await;
    let mut form = "action=renew".to_owned();
    for person in ["ann", "bob", "eve", "joe"] {
        form += &format!("&token={}", desk.test.token(&desk.team, person).await);
    }
    let answer = desk.post("/tokens/act", &cookie, &form).await;
    assert_eq!(answer.body.matches("It was not tried").count(), 2, "{}", answer.body);
    desk.test.stop().await;
}

#[tokio::test]
async fn all_tokens_of_a_network_are_renewed_by_who_may() {
    let desk = Desk::open().await;
    let zenith = desk.test.team("zenith").await;
    let manager = desk.member(&desk.team, "manager@example.com", Role::Manager).await;
    let member = desk.member(&desk.team, "eve@example.com", Role::Member).await;
    let stranger = desk.member(&zenith, "zoe@example.com", Role::Owner).await;
    desk.token("<i>Shop</i>", "").await;
    assert!(desk.get("/tokens?network=x", &manager).await.body.contains("Try renewing all of X"));
    assert!(!desk.get("/tokens?network=x", &member).await.body.contains("Try renewing all of X"));
    assert_eq!(desk.post("/jobs", &member, "network=x").await.status, StatusCode::FORBIDDEN);
    assert_eq!(desk.post("/jobs", &manager, "network=nowhere").await.status, StatusCode::NOT_FOUND);
    let begun = desk.post("/jobs", &manager, "network=x").await;
    let job = begun.location().to_owned();
    assert!(job.starts_with("/jobs/job_"), "{job}");
    assert_eq!(desk.post("/jobs", &manager, "network=x").await.location(), job, "it is under way already");
    assert_eq!(desk.get(&job, &stranger).await.status, StatusCode::NOT_FOUND);
    assert_eq!(desk.post(&format!("{job}/cancel"), &member, "").await.status, StatusCode::FORBIDDEN);
    assert_eq!(desk.post(&format!("{job}/cancel"), &manager, "").await.location(), job);
    assert!(desk.get(&job, &manager).await.body.contains("Stopped"));
    assert_eq!(desk.post(&format!("{job}/resume"), &manager, "").await.location(), job);
    let running = desk.get(&job, &member).await.body;
    assert!(running.contains("Under way") && running.contains("every 2s"), "{running}");
    assert!(running.contains("begun by manager@example.com"), "{running}");
    desk.test.stop().await;
}

#[tokio::test]
async fn a_day_of_the_books_is_the_same_day_everywhere_and_times_are_the_members() {
    let desk = Desk::open().await;
    let token = desk.token("Shop", "").await;
    let caller = desk.test.caller(desk.test.collector(&desk.team, "one").await.id);
    let lease = desk.test.broker.acquire_lease(&caller, ask(&desk.team, 1)).await.unwrap();
    let report = ReportUsage { sequence: 1, used: 1, ..ReportUsage::default() };
    desk.test.broker.report_usage(&caller, lease.lease, report).await.unwrap();
    // That was on 2027-01-15, in London as in New York. What was used is in the books once the broker has stopped.
    let desk = Desk { test: desk.test.restart().await, team: desk.team };
    desk.test.clock.advance(DAY * 2);
    let cookie = desk.member(&desk.team, "owner@example.com", Role::Owner).await;
    let members = desk.get("/members", &cookie).await.body;
    let id = members.split("href=\"").find_map(|link| link.strip_prefix("/members/mem_")?.split('"').next()).unwrap();
    let settings = "display_name=Ada&role=owner&mail=owner%40example.com&time_zone=America%2FNew_York";
    let changed = desk.post(&format!("/members/mem_{id}"), &cookie, settings).await;
    assert_eq!(changed.status, StatusCode::SEE_OTHER, "{}", changed.body);
    for page in ["/tokens".to_owned(), format!("/tokens/{token}"), format!("/tokens/{token}/usage")] {
        let shown = desk.get(&page, &cookie).await.body;
        assert!(shown.contains("2027-01-15") && !shown.contains("2027-01-14"), "{page}: {shown}");
        assert_eq!(shown.contains("Day (UTC)"), page.ends_with("/usage"), "{page}");
    }
    let clocks = Clocks { refresh_expires_at: Some(desk.test.broker.now() + DAY * 2), ..Clocks::default() };
    let scopes = vec!["r_organization_social".to_owned()];
    let given = AddToken { network: "linkedin".to_owned(), scopes, clocks, ..x_token("ending") };
    desk.test.broker.add_token(&desk.test.admin, &desk.team, given).await.unwrap();
    let ending = desk.get("/tokens?network=linkedin", &cookie).await.body;
    assert!(ending.contains("Connect it again by 2027-01-19 03:00: LinkedIn ends the grant"), "{ending}");
    let history = desk.get("/load/history?network=x&class=users_get", &cookie).await.body;
    let figures: serde_json::Value = serde_json::from_str(&history).unwrap();
    assert_eq!(figures["zone"], "America/New_York", "the axis of the chart is read there");
    desk.test.stop().await;
}
