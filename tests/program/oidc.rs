//! Members sign in at a certified OpenID Connect provider that is not ours, and at one that lies.

use std::process::Command;

use crate::connect::{Browser, Desk, PUBLIC, Page, agree};
use crate::support::{Launch, Ready, installed};

/// A broker whose members sign in by a provider.
struct Stage {
    desk: Desk,
    provider: Ready,
}

impl Stage {
    fn set() -> Self {
        let mut program = Command::new("node");
        let script = installed("oidc_server.mjs", include_str!("oidc_server.mjs"));
        let provider = Ready::start(program.arg(script).arg(format!("{PUBLIC}/sign-in/oidc/callback")));
        let home = tempfile::tempdir().unwrap();
        let secret = home.path().join("client-secret");
        std::fs::write(&secret, "oidc-secret-canary\n").unwrap();
        let launch = Launch::new(&home.path().join("data"))
            .set("HTTP__PUBLIC_URL", PUBLIC)
            .set("SIGN_IN__OIDC__ISSUER", provider.line.trim())
            .set("SIGN_IN__OIDC__CLIENT_SECRET_FILE", secret.display());
        Self { desk: Desk::of(home, launch), provider }
    }

    fn issuer(&self) -> &str {
        self.provider.line.trim()
    }

    /// Invites a person; its member id.
    fn invite(&self, mail: &str) -> String {
        let made = self.desk.json(&format!("member invite {mail} --role member"));
        made["member"]["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    }

    /// Where a browser is sent back to after its person signed in.
    async fn at_provider(&self, browser: &Browser, login: &str) -> String {
        let sent = browser.get(&format!("{PUBLIC}/sign-in/oidc?next=/connect/start")).await;
        assert!(sent.location.starts_with(self.issuer()), "{} {}", sent.status, sent.text);
        agree(browser, &sent.location, login).await
    }

    /// From the link to the page after the provider.
    async fn sign_in(&self, login: &str) -> (Browser, Page) {
        let browser = Browser::of(&self.desk);
        let back = self.at_provider(&browser, login).await;
        let page = browser.get(&back).await;
        (browser, page)
    }

    async fn forge(&self, browser: &Browser, kind: &str) {
        browser.get(&format!("{}/_forge?as={kind}", self.issuer())).await;
    }

    fn state_of(&self, member: &str) -> String {
        self.desk.json(&format!("member show {member}"))["state"].as_str().unwrap().to_owned()
    }
}

fn refused(page: &Page, status: u16, text: &str) {
    assert_eq!(page.status, status, "{}", page.text);
    assert!(page.text.contains("You are not signed in") && page.text.contains(text), "{text}: {}", page.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_person_is_known_by_the_verified_address_first_and_by_the_providers_id_from_then_on() {
    let stage = Stage::set();
    let member = stage.invite("ada@acme.example");
    let offered = Browser::of(&stage.desk).get(&format!("{PUBLIC}/sign-in")).await;
    assert!(offered.text.contains("Sign in with your organisation"), "{}", offered.text);
    let (_, page) = stage.sign_in("ada~ada@acme.example~no").await;
    refused(&page, 403, "Have it verified there");
    let (_, page) = stage.sign_in("eve~eve@acme.example~yes").await;
    refused(&page, 403, "Ask an owner of your team to invite you");
    let (browser, page) = stage.sign_in("ada~Ada@ACME.example~yes").await;
    assert_eq!((page.status, page.location.as_str()), (303, &*format!("{PUBLIC}/connect/start")), "{}", page.text);
    let account = browser.get(&format!("{PUBLIC}/account")).await;
    assert!(account.text.contains("ada@acme.example"), "{}", account.text);
    assert_eq!(stage.state_of(&member), "MEMBER_STATE_ACTIVE");
    // The address is another's by now: the person is who it was, and nobody else with the address takes over.
    let (_, page) = stage.sign_in("second~ada@acme.example~yes").await;
    refused(&page, 403, "bound to another account");
    stage.desk.done(&format!("member update {member} --mail other@acme.example"), "");
    let (_, page) = stage.sign_in("ada~Ada@ACME.example~yes").await;
    assert_eq!(page.status, 303, "{}", page.text);
    stage.desk.done(&format!("member remove {member}"), "");
    let (_, page) = stage.sign_in("ada~Ada@ACME.example~yes").await;
    refused(&page, 403, "Ask an owner of your team to invite you");
    assert!(!stage.desk.broker.stop().text().contains("oidc-secret-canary"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_may_have_been_let_in_unasked_proves_it_at_the_provider() {
    let stage = Stage::set();
    stage.invite("ada@acme.example");
    let (browser, page) = stage.sign_in("ada~ada@acme.example~yes").await;
    assert_eq!(page.status, 303, "{}", page.text);
    let ask = format!("{PUBLIC}/members/password");
    for (forged, waits) in [("old", true), ("", false)] {
        let asked = browser.post(&ask, &[]).await;
        assert!(asked.text.contains("confirm_proof"), "{} {}", asked.status, asked.text);
        let there = asked.text.split("href=\"/sign-in/oidc?").nth(1).unwrap().split('"').next().unwrap();
        let sent = browser.get(&format!("{PUBLIC}/sign-in/oidc?{}", there.replace("&#38;", "&"))).await.location;
        assert!(sent.contains("max_age=900"), "{sent}");
        let back = agree(&browser, &sent, "ada~ada@acme.example~yes").await;
        stage.forge(&browser, forged).await;
        let page = browser.get(&back).await;
        assert!(page.status == 200 && page.text.contains("action=\"/members/password\""), "{}", page.text);
        let sent = browser.post(&ask, &[]).await;
        assert_eq!(sent.text.contains("confirm_proof"), waits, "{forged}: {} {}", sent.status, sent.location);
        assert_eq!(sent.location.contains("/join?invitation="), !waits, "{forged}: {}", sent.location);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_provider_says_is_believed_only_if_it_signed_it_for_this_sign_in() {
    let stage = Stage::set();
    let member = stage.invite("ada@acme.example");
    let lies = [
        ("nonce", "it belongs to another sign-in"),
        ("issuer", "it comes from somebody else"),
        ("audience", "it is not for this service"),
        ("expired", "its time is over"),
        ("none", "nobody known signed it"),
        ("secret", "nobody known signed it"),
        ("key", "nobody known signed it"),
    ];
    for (kind, text) in lies {
        let browser = Browser::of(&stage.desk);
        let back = stage.at_provider(&browser, "ada~ada@acme.example~yes").await;
        stage.forge(&browser, kind).await;
        refused(&browser.get(&back).await, 502, text);
    }
    assert_eq!(stage.state_of(&member), "MEMBER_STATE_INVITED");
    let (_, page) = stage.sign_in("ada~ada@acme.example~yes").await;
    assert_eq!(page.status, 303, "the same without the lie: {}", page.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_answer_is_taken_once_in_the_browser_that_asked() {
    let stage = Stage::set();
    stage.invite("ada@acme.example");
    let (browser, other) = (Browser::of(&stage.desk), Browser::of(&stage.desk));
    let back = stage.at_provider(&browser, "ada~ada@acme.example~yes").await;
    refused(&other.get(&back).await, 400, "no sign-in that was begun in this browser");
    refused(&browser.get(&back).await, 400, "was used already");
    let back = stage.at_provider(&browser, "ada~ada@acme.example~yes").await;
    refused(&browser.get(&format!("{back}&iss=https://evil.example")).await, 502, "comes from somebody else");
    let back = stage.at_provider(&browser, "ada~ada@acme.example~yes").await;
    assert_eq!(browser.get(&back).await.status, 303);
    refused(&browser.get(&back).await, 400, "was used already");
    let denied = browser.get(&format!("{PUBLIC}/sign-in/oidc/callback?error=access_denied&state=none")).await;
    refused(&denied, 400, "Sign in again");
    let sent = browser.get(&format!("{PUBLIC}/sign-in/oidc")).await.location;
    let state = url::Url::parse(&sent).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let denied = browser.get(&format!("{PUBLIC}/sign-in/oidc/callback?error=access_denied&state={state}")).await;
    refused(&denied, 403, "You were not signed in there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_form_waits_while_its_person_is_at_the_provider() {
    let stage = Stage::set();
    stage.invite("ada@acme.example");
    let browser = Browser::of(&stage.desk);
    let form = [("action", "pause"), ("token", "tok_1"), ("back", "/tokens?q=nord+sport"), ("password", "hunter2")];
    let kept = browser.post(&format!("{PUBLIC}/tokens/act"), &form).await;
    assert_eq!(kept.status, 401, "{}", kept.text);
    let back = stage.at_provider(&browser, "ada~ada@acme.example~yes").await;
    let page = browser.get(&back).await;
    assert_eq!(page.status, 200, "{}", page.text);
    for part in ["action=\"/tokens/act\"", "value=\"pause\"", "value=\"tok_1\"", "value=\"/tokens?q=nord+sport\""] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    assert!(!page.text.contains("hunter2"), "no password is kept");
    let again = stage.at_provider(&browser, "ada~ada@acme.example~yes").await;
    assert_eq!(browser.get(&again).await.status, 303, "it waits once");
}
