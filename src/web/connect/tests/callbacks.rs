//! Callbacks that must not be taken, and what they leave: each a page that says what to do, and nothing changed.

use std::time::Duration;

use super::{Browser, Stage, ask};
use crate::domain::connection::{ProblemKind, Stage as Progress};
use crate::domain::consent::NEWEST;
use crate::domain::networks::Purpose;

fn x() -> crate::service::connect::StartConnection {
    ask("x", "user", Purpose::CollectContent)
}

#[tokio::test]
async fn a_state_that_is_wrong_or_of_another_network_or_browser_is_not_taken() {
    let stage = Stage::set().await;
    let (connection, link) = stage.start(x()).await;
    let browser = Browser::at(&stage);
    let back = browser.agree(&browser.go_on(&link).await, "person-1", &[]).await;
    let wrong = back.replace("state=", "state=0");
    assert_eq!(browser.get(&wrong).await.status, 400);
    assert_eq!(browser.get("/connect/callback/x?code=c").await.status, 400, "without any");
    assert_eq!(browser.get(&back.replace("callback/x", "callback/youtube")).await.status, 400);
    let foreign = Browser::at(&stage);
    assert_eq!(foreign.get(&back).await.status, 403);
    foreign.go_on(&stage.start(x()).await.1).await;
    let refused = foreign.get(&back).await;
    assert!(refused.status == 403 && refused.text.contains("another browser"), "{}", refused.text);
    assert!(matches!(stage.look(&connection).await.stage, Progress::Asked { .. }), "nothing was used up");
    assert_eq!(browser.arrive(&back).await.status, 200, "the right one still comes through");
    stage.stop().await;
}

#[tokio::test]
async fn an_answer_is_taken_once_and_in_time() {
    let stage = Stage::set().await;
    let (connection, link) = stage.start(x()).await;
    let browser = Browser::at(&stage);
    let back = browser.agree(&browser.go_on(&link).await, "person-1", &[]).await;
    browser.arrive(&back).await;
    let replayed = browser.get(&back).await;
    assert!(replayed.status == 409 && replayed.text.contains("used already"), "{}", replayed.text);
    assert!(matches!(stage.look(&connection).await.stage, Progress::Choosing(_)), "the first answer holds");
    let (late, link) = stage.start(x()).await;
    let back = browser.agree(&browser.go_on(&link).await, "person-1", &[]).await;
    stage.test.clock.advance(Duration::from_secs(600));
    let refused = browser.get(&back).await;
    assert!(refused.status == 410 && refused.text.contains("too late"), "{}", refused.text);
    assert_eq!(browser.consent(&link, "person-1", &[]).await.status, 200, "the link leads on in this browser");
    assert!(matches!(stage.look(&late).await.stage, Progress::Choosing(_)));
    stage.stop().await;
}

#[tokio::test]
async fn a_code_that_lives_for_30_seconds_is_refused_after_them() {
    let stage = Stage::set().await;
    let (connection, link) = stage.start(x()).await;
    let browser = Browser::at(&stage);
    let back = browser.agree(&browser.go_on(&link).await, "person-1", &[]).await;
    stage.test.clock.advance(Duration::from_secs(30));
    let page = browser.arrive(&back).await;
    assert!(page.text.contains("did not give the tokens"), "{}", page.text);
    assert_eq!(stage.look(&connection).await.problem.unwrap().kind(), ProblemKind::NetworkRefused);
    stage.stop().await;
}

#[tokio::test]
async fn an_error_of_the_network_is_told_and_can_be_repeated() {
    let stage = Stage::set().await;
    let browser = Browser::at(&stage);
    let (denied, link) = stage.start(x()).await;
    let network = browser.go_on(&link).await;
    let back = browser.post(&network, &[("person", "person-1"), ("decision", "deny")]).await.location();
    let page = browser.arrive(&back).await;
    assert!(page.text.contains("Consent was not given") && page.text.contains("continue to X"), "{}", page.text);
    assert_eq!(stage.look(&denied).await.problem.unwrap().kind(), ProblemKind::Denied);
    let network = browser.go_on(&link).await;
    let state =
        url::Url::parse(&network).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let words = "%3Cscript%3Ealert(1)%3C/script%3E%0D%0Aset-cookie:a";
    let page = browser
        .arrive(&format!("/connect/callback/x?error=server_error&error_description={words}&state={state}"))
        .await;
    assert!(page.text.contains("The network has trouble") && !page.text.contains("<script>"), "{}", page.text);
    let page = browser.consent(&link, "person-1", &[]).await;
    assert!(page.text.contains("Is this right?"), "{}", page.text);
    assert_eq!(stage.look(&denied).await.problem, None);
    stage.stop().await;
}

#[tokio::test]
async fn who_says_no_at_the_network_is_told_by_the_networks_own_rules() {
    let stage = Stage::set().await;
    let browser = Browser::at(&stage);
    let cases = [
        ("youtube", "admin_policy_enforced", ProblemKind::NetworkRefused, "organisation does not allow the app"),
        ("youtube", "access_denied", ProblemKind::Denied, "Consent was not given"),
        ("linkedin", "user_cancelled_authorize", ProblemKind::Denied, "Consent was not given"),
        ("x", "unauthorized_client", ProblemKind::NetworkRefused, "how the app is registered"),
        ("x", "invalid_scope", ProblemKind::NetworkRefused, "may not ask for these permissions"),
        ("x", "something_new", ProblemKind::NetworkRefused, "has trouble"),
    ];
    for (network, error, kind, text) in cases {
        let (connection, link) = stage.start(ask(network, "user", Purpose::CollectContent)).await;
        let sent = url::Url::parse(&browser.go_on(&link).await).unwrap();
        let state = sent.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let page = browser.arrive(&format!("/connect/callback/{network}?error={error}&state={state}")).await;
        assert!(page.text.contains(text), "{network} {error}: {}", page.text);
        assert_eq!(stage.look(&connection).await.problem.unwrap().kind(), kind, "{network} {error}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn an_answer_in_the_name_of_somebody_else_is_refused() {
    let stage = Stage::set().await;
    let browser = Browser::at(&stage);
    let (_, link) = stage.start(x()).await;
    let network = browser.go_on(&link).await;
    let back = browser.agree(&network, "person-1", &[]).await;
    let page = browser.arrive(&format!("{back}&iss=https://evil.example")).await;
    assert!(page.text.contains("somebody else"), "{}", page.text);
    let back = browser.agree(&browser.go_on(&link).await, "person-1", &[]).await;
    let own = url::Url::parse(&network).unwrap().origin().ascii_serialization();
    assert!(browser.arrive(&format!("{back}&iss={own}")).await.text.contains("Is this right?"));
    stage.stop().await;
}

#[tokio::test]
async fn a_link_is_for_one_browser_and_previews_use_nothing_up() {
    let stage = Stage::set().await;
    let (_, link) = stage.start(x()).await;
    let (preview, first, second) = (Browser::at(&stage), Browser::at(&stage), Browser::at(&stage));
    let page = preview.get(&link).await;
    for part in ["acme", "continue to X", "The X account itself", "Reading posts", "Your password"] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    let headers = &page.headers;
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert_eq!(headers["cache-control"], "no-store");
    let policy = headers["content-security-policy"].to_str().unwrap();
    let closed = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                  manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    assert_eq!(policy, closed, "forms lead to us alone");
    for (linked, allowed) in [("icon", "img-src"), ("manifest", "manifest-src"), ("stylesheet", "style-src")] {
        assert!(page.text.contains(&format!("<link rel=\"{linked}\"")) && policy.contains(allowed), "{linked}");
    }
    assert!(headers.get("set-cookie").is_none());
    first.go_on(&link).await;
    assert_eq!(
        (second.get(&link).await.status, second.post(&link, &[("text_version", NEWEST)]).await.status),
        (403, 403)
    );
    assert_eq!(first.get(&link).await.status, 200);
    assert_eq!(first.get(&link.replace("links/", "links/0")).await.status, 404);
    assert_eq!(first.get("/connect/con_1").await.status, 404);
    stage.stop().await;
}

#[tokio::test]
async fn what_another_site_posts_is_refused() {
    let stage = Stage::set().await;
    let (_, link) = stage.start(x()).await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let url = link.replace(super::browser::PUBLIC, &stage.pages);
    let post = async |from: &str| {
        let answer =
            client.post(&url).header("sec-fetch-site", from).form(&[("text_version", NEWEST)]).send().await.unwrap();
        (answer.status().as_u16(), answer.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned()))
    };
    assert_eq!(post("cross-site").await, (403, None));
    assert_eq!(post("same-site").await, (403, None));
    let (status, cookie) = post("same-origin").await;
    let cookie = cookie.unwrap();
    assert_eq!(status, 200);
    assert!(
        cookie.starts_with("token-broker-connect=") && cookie.contains("; Path=/; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    assert!(!cookie.contains("Secure"), "http on this machine");
    stage.stop().await;
}
