//! An account is connected with the program alone: from the command line to the browser and back, at a simulated network and at a certified
//! OAuth server that is not ours.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use serde_json::Value;

use crate::canary::{Scanner, stored};
use crate::support::{Broker, Ended, Launch, Ready, Simulated, cli, installed, run_bounded, soon};

/// Where browsers think that the broker is.
pub(crate) const PUBLIC: &str = "http://localhost:9";
/// The text that persons agree to.
pub(crate) const TEXT: &str = "2026-11";

/// A broker that people reach at [`PUBLIC`], with its operator.
pub(crate) struct Desk {
    home: tempfile::TempDir,
    pub broker: Broker,
    key: String,
}

impl Desk {
    /// With the catalogue files of `networks` below `home`.
    pub fn open(home: tempfile::TempDir, networks: &str) -> Self {
        let launch = Launch::new(&home.path().join("data"))
            .set("CATALOGUE__DIR", home.path().join(networks).display())
            .set("HTTP__PUBLIC_URL", PUBLIC)
            .set("LOG__FILTER", "trace");
        Self::of(home, launch)
    }

    pub fn of(home: tempfile::TempDir, launch: Launch) -> Self {
        let broker = launch.start();
        let key = broker.first_key();
        let desk = Self { home, broker, key };
        desk.done("team create acme --display-name Acme", "");
        desk
    }

    pub fn run(&self, line: &str, input: &str) -> Ended {
        let mut command = cli(self.home.path());
        command.args(line.split_whitespace()).args(["--team", "acme"]);
        command.env("TOKEN_BROKER_SERVER", self.broker.url()).env("TOKEN_BROKER_KEY", &self.key);
        run_bounded(&mut command, input.as_bytes())
    }

    pub fn done(&self, line: &str, input: &str) -> String {
        let ended = self.run(line, input);
        assert_eq!(ended.status.code(), Some(0), "{line}: {}", ended.text());
        ended.stdout
    }

    pub fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.done(&format!("{line} --output json"), "")).unwrap()
    }

    /// Starts a connection; its id and its link.
    pub fn start(&self, what: &str) -> (String, String) {
        let started = self.json(&format!("connection start {what}"));
        let name = started["connection"]["name"].as_str().unwrap();
        (name.rsplit('/').next().unwrap().to_owned(), started["connectLink"].as_str().unwrap().to_owned())
    }
}

/// A browser with a jar of cookies for each host; it follows nothing by itself.
pub(crate) struct Browser {
    pub client: reqwest::Client,
    broker: String,
    jar: Mutex<BTreeMap<(String, String), String>>,
}

pub(crate) struct Page {
    pub status: u16,
    pub location: String,
    pub text: String,
}

impl Browser {
    pub fn of(desk: &Desk) -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { client, broker: desk.broker.http_url(), jar: Mutex::default() }
    }

    pub async fn get(&self, url: &str) -> Page {
        self.send(self.client.get(self.address(url)), url).await
    }

    /// Sends a form. Where the page that comes goes on by itself, that is its location, as a redirect's is.
    pub async fn post(&self, url: &str, form: &[(&str, &str)]) -> Page {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.client.post(self.address(url)).header("content-type", "application/x-www-form-urlencoded");
        let mut page = self.send(request.body(form), url).await;
        if let Some(rest) = page.text.split("http-equiv=\"refresh\" content=\"0; url=").nth(1) {
            page.location = rest.split('"').next().unwrap().replace("&#38;", "&");
        }
        page
    }

    /// What the broker's cookies hold that are long enough to be a secret.
    fn cookies(&self) -> Vec<String> {
        let jar = self.jar.lock().unwrap();
        let own = jar.iter().filter(|((of, _), value)| of.starts_with(PUBLIC) && value.len() >= 24);
        own.map(|(_, value)| value.clone()).collect()
    }

    fn address(&self, url: &str) -> String {
        url.replace(PUBLIC, &self.broker)
    }

    async fn send(&self, request: reqwest::RequestBuilder, url: &str) -> Page {
        let url = url::Url::parse(url).unwrap();
        let host = url.origin().ascii_serialization();
        let cookies: Vec<_> = {
            let jar = self.jar.lock().unwrap();
            jar.iter().filter(|((of, _), _)| *of == host).map(|((_, name), value)| format!("{name}={value}")).collect()
        };
        let request = request.header("accept", "text/html").header(COOKIE, cookies.join("; "));
        let answer = request.send().await.unwrap();
        for set in answer.headers().get_all(SET_COOKIE) {
            let (name, value) = set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.jar.lock().unwrap().insert((host.clone(), name.to_owned()), value.to_owned());
        }
        let to = answer.headers().get(LOCATION).map(|to| url.join(to.to_str().unwrap()).unwrap().to_string());
        let status = answer.status().as_u16();
        Page { status, location: to.unwrap_or_default(), text: answer.text().await.unwrap() }
    }
}

/// An access token of the team, as a collector gets it.
fn leased(desk: &Desk, network: &str, operation: &str) -> String {
    let line = format!(
        "lease acquire --network {network} --operation {operation} --calls 1 --purpose collect_content --show-token"
    );
    desk.json(&line)["accessToken"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_account_is_connected_from_the_command_line() {
    let home = tempfile::tempdir().unwrap();
    let simulated =
        Simulated::start(home.path(), &["--network", "x", "--network", "facebook", "--catalogue-out", "networks"]);
    let desk = Desk::open(home, "networks");
    let wanted = "--network x --kind user --purpose collect_content --member ann";
    let unknown = desk.run(&format!("connection start {wanted}"), "");
    assert!(!unknown.status.success() && unknown.stderr.contains("apps update x/default"), "{}", unknown.text());
    desk.done("apps update x/default --client-id app --client-secret-from -", "client-secret-canary");
    let (id, link) = desk.start(wanted);
    let early = desk.run(&format!("connection complete {id} --text-version {TEXT}"), "");
    assert!(!early.status.success() && early.stderr.contains("open the connect link first"), "{}", early.text());
    let browser = Browser::of(&desk);
    let offer = browser.get(&link).await;
    assert!(offer.status == 200 && offer.text.contains("<strong><bdi>Acme</bdi></strong> asks you"), "{}", offer.text);
    let network = browser.post(&link, &[("text_version", TEXT)]).await.location;
    let back = browser.post(&network, &[("person", "person-9"), ("decision", "allow")]).await.location;
    let page = browser.get(&browser.get(&back).await.location).await;
    assert!(page.text.contains("Is this right?") && page.text.contains("person-9"), "{}", page.text);
    let shown = desk.json(&format!("connection show {id}"));
    assert_eq!(shown["stage"], "CONNECTION_STAGE_CHOOSING");
    assert_eq!(shown["account"]["person"], "person-9");
    assert_eq!(shown["textVersion"], TEXT, "{shown}");
    let other = desk.run(&format!("connection complete {id} --text-version 2019-01"), "");
    assert!(!other.status.success() && other.stderr.contains("agreed to another text: '2026-11'"), "{}", other.text());
    let connected = desk.json(&format!("connection complete {id} --text-version {TEXT}"));
    assert_eq!(connected["tokens"].as_array().unwrap().len(), 1, "{connected}");
    let secret = leased(&desk, "x", "tweets.search_recent");
    let refused = desk.run("lease acquire --network x --operation tweets.create --purpose publish", "");
    assert!(
        !refused.status.success() && !refused.stdout.contains("lse_"),
        "the person agreed to reading: {}",
        refused.text()
    );
    let served = simulated.said["networks"].as_array().unwrap().iter().find(|one| one["network"] == "x").unwrap();
    let url = format!("{}/users/me", served["base_url"].as_str().unwrap());
    assert_eq!(simulated.client.get(url).bearer_auth(&secret).send().await.unwrap().status(), 200, "it is live");
    desk.done("apps update facebook/default --client-id app --client-secret-from -", "client-secret-canary");
    let (denied, link) = desk.start("--network facebook --kind page --purpose collect_statistics");
    let network = browser.post(&link, &[("text_version", TEXT)]).await.location;
    let back = browser.post(&network, &[("person", "person-9"), ("decision", "deny")]).await.location;
    browser.get(&back).await;
    let shown = desk.json(&format!("connection show {denied}"));
    assert_eq!(shown["problem"]["kind"], "CONNECTION_PROBLEM_KIND_DENIED", "{shown}");
    let network = browser.post(&link, &[("text_version", TEXT)]).await.location;
    let back = browser.post(&network, &[("person", "person-9"), ("decision", "allow")]).await.location;
    browser.get(&back).await;
    let shown = desk.done(&format!("connection show {denied}"), "");
    assert!(shown.contains("profile-9-read") && shown.contains("profile-9-none"), "{shown}");
    let both = desk.json(&format!(
        "connection complete {denied} --text-version {TEXT} --profile profile-9 --profile profile-9-read"
    ));
    assert_eq!(both["tokens"].as_array().unwrap().len(), 3, "two pages, and the person: {both}");
    let listed = desk.done("connection list --stage connected --output jsonl", "");
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let ended = desk.broker.stop();
    for secret in [secret.as_str(), "client-secret-canary", link.rsplit('/').next().unwrap()] {
        assert!(!ended.text().contains(secret), "{}", ended.text());
    }
}

/// A network of its own: a catalogue file that points at the server.
fn catalogue(folder: &Path, issuer: &str) {
    let text = format!(
        r#"
display_name = "Real"
api_base = "{issuer}"
errors = [{{ http = 401, code = "invalid_token", class = "token_expired", about = "The token is over.", verified = "documented" }}]

[error_body]
code = ["error"]

[[kinds]]
id = "user"
about = "A token of the server."
access_validity = "1h"
renewal = {{ family = "refresh_token", rotation = "single_use", needs_scope = "offline_access" }}
scopes = [{{ purpose = "collect_content", scopes = ["openid"] }}]
verified = "documented"

[kinds.oauth]
issuer = "{issuer}"
authorize_url = "{issuer}/auth"
token_url = "{issuer}/token"
revoke_url = "{issuer}/token/revocation"
pkce = "required"
client_auth = "basic"
scope_separator = " "
authorize_parameters = {{ prompt = "consent" }}

[kinds.probe]
request = "POST {issuer}/token/introspection"
introspection = {{ token = "token", asked_by = "client", active = "active", expires_at = "exp", scopes = "scope" }}
verified = "documented"

[kinds.account]
request = "GET {issuer}/me"
id = "sub"
verified = "documented"

[[classes]]
id = "calls"
unit = "calls"
about = "All calls."
limits = [{{ owner = "person", window = {{ rule = "fixed", length = "1h", phase = "network" }}, amount = 100, verified = "documented" }}]

[[operations]]
id = "me"
about = "Read the own account."
method = "GET"
path = "/me"
purposes = ["collect_content"]
costs = {{ calls = 1 }}
verified = "documented"
"#
    );
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("real.toml"), text).unwrap();
}

/// Signs in at the server as `login`, and agrees to everything; where the browser is sent back to.
pub(crate) async fn agree(browser: &Browser, url: &str, login: &str) -> String {
    let mut at = browser.get(url).await.location;
    // A person who is known is asked for less; no more than a sign-in and a consent are asked for.
    for _ in 0..8 {
        if at.starts_with(PUBLIC) {
            return at;
        }
        let page = browser.get(&at).await;
        at = match page.status {
            200 if page.text.contains("value=\"login\"") => {
                browser.post(&at, &[("prompt", "login"), ("login", login), ("password", "any")]).await.location
            }
            200 => browser.post(&at, &[("prompt", "consent")]).await.location,
            _ => page.location,
        };
    }
    panic!("the server goes on asking: {at}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_certified_server_sees_code_renewal_with_rotation_and_revocation() {
    let mut program = Command::new("node");
    let script = installed("oauth_server.mjs", include_str!("oauth_server.mjs"));
    let client_secret = "client-secret/1+2:nobody-else-may-see-it";
    let server = Ready::start(program.arg(script).arg(format!("{PUBLIC}/connect/callback/real")).arg(client_secret));
    let issuer = server.line.trim().to_owned();
    let home = tempfile::tempdir().unwrap();
    catalogue(&home.path().join("networks"), &issuer);
    let desk = Desk::open(home, "networks");
    desk.done("apps update real/default --client-id app:1 --client-secret-from -", client_secret);
    let wanted = "--network real --kind user --purpose collect_content";
    let (id, link) = desk.start(wanted);
    let browser = Browser::of(&desk);
    let back = agree(&browser, &browser.post(&link, &[("text_version", TEXT)]).await.location, "ann").await;
    assert!(back.contains("&iss="), "it says who it is: {back}");
    browser.get(&back).await;
    let shown = desk.json(&format!("connection show {id}"));
    assert_eq!(shown["account"]["person"], "ann", "{shown}");
    let connected = desk.json(&format!("connection complete {id} --text-version {TEXT}"));
    let token = connected["tokens"][0].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let first = leased(&desk, "real", "me");
    let me = async |secret: &str| browser.client.get(format!("{issuer}/me")).bearer_auth(secret).send().await.unwrap();
    assert_eq!(me(&first).await.json::<Value>().await.unwrap()["sub"], "ann");
    for _ in 0..3 {
        desk.done(&format!("token renew {token}"), "");
    }
    let mut renewed = leased(&desk, "real", "me");
    assert_ne!(renewed, first);
    assert_eq!(me(&renewed).await.status(), 200);
    let events = async || -> Value {
        browser.client.get(format!("{issuer}/_events")).send().await.unwrap().json().await.unwrap()
    };
    let before = events().await;
    assert_eq!(before["refresh_token.consumed"], 3, "each refresh token was used once: {before}");
    assert_eq!(before["grant.error"], 0, "{before}");
    assert_eq!(before["grant.revoked"], 0, "{before}");
    let (other, link) = desk.start(wanted);
    let bob = Browser::of(&desk);
    let back = agree(&bob, &bob.post(&link, &[("text_version", TEXT)]).await.location, "bob").await;
    bob.get(&back).await;
    desk.done(&format!("connection cancel {other}"), "");
    let happened = async |what: &str, times: u32| -> Value {
        let told = browser.client.get(format!("{issuer}/_events?until={what}&times={times}")).send();
        soon(told).await.unwrap().json().await.unwrap()
    };
    assert_eq!(happened("grant.revoked", 1).await["grant.revoked"], 1, "what was not kept was given back");
    assert_eq!(me(&renewed).await.status(), 200, "and nothing else");
    let (kept, link) = desk.start(wanted);
    let back = agree(&bob, &bob.post(&link, &[("text_version", TEXT)]).await.location, "bob").await;
    bob.get(&back).await;
    let connected = desk.json(&format!("connection complete {kept} --text-version {TEXT}"));
    let of_bob = connected["tokens"][0].as_str().unwrap().rsplit('/').next().unwrap();
    desk.done(&format!("token revoke {of_bob}"), "");
    assert_eq!(happened("grant.revoked", 2).await["grant.revoked"], 2, "what was kept and is revoked is given back");
    assert_eq!(me(&renewed).await.status(), 200, "and nothing else");
    // What the network is said not to accept any more is renewed by itself.
    let lease = desk.json("lease acquire --network real --operation me --calls 1 --purpose collect_content");
    let lease = lease["name"].as_str().unwrap().rsplit('/').next().unwrap();
    let body = desk.home.path().join("refusal.json");
    std::fs::write(&body, r#"{"error":"invalid_token"}"#).unwrap();
    let refusal = format!("--sequence 1 --error 1 --status 401 --body-file {}", body.display());
    desk.done(&format!("lease report {lease} {refusal}"), "");
    happened("refresh_token.consumed", 4).await;
    let lives = async || desk.json(&format!("token show {token}"))["state"] == "TOKEN_STATE_LIVE";
    soon(async {
        while !lives().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let earlier = std::mem::replace(&mut renewed, leased(&desk, "real", "me"));
    assert_ne!(renewed, earlier);
    assert_eq!(me(&renewed).await.status(), 200);
    assert_eq!(happened("refresh_token.consumed", 4).await["grant.error"], 0, "nothing was shown twice");
    // The server is asked about the token, by the client that it knows.
    let checked = || desk.json(&format!("token test {token}"));
    let live = checked();
    assert_eq!(live["lastCheckOutcome"], "CHECK_OUTCOME_WORKS", "{live}");
    let revoked = browser.client.post(format!("{issuer}/token/revocation"));
    let encoded: String = url::form_urlencoded::byte_serialize(client_secret.as_bytes()).collect();
    let revoked = revoked.basic_auth("app%3A1", Some(encoded)).form(&[("token", &renewed)]);
    assert_eq!(revoked.send().await.unwrap().status(), 200);
    let ended = checked();
    assert_eq!(ended["lastCheckOutcome"], "CHECK_OUTCOME_IN_DOUBT", "it may be a moment's trouble: {ended}");
    // What is in doubt is settled by a renewal, which such a server refuses for good.
    let refused = desk.run(&format!("token renew {token}"), "");
    assert_ne!(refused.status.code(), Some(0), "{}", refused.text());
    let dead = desk.json(&format!("token show {token}"));
    assert_eq!(dead["state"], "TOKEN_STATE_INVALID", "{dead}");
    let mut scanner = Scanner::new();
    scanner.add("the app's secret", client_secret);
    scanner.add("the connect link", link.rsplit('/').next().unwrap());
    let passed = browser.client.get(format!("{issuer}/_secrets")).send().await.unwrap();
    let passed: Vec<String> = passed.json().await.unwrap();
    assert!(passed.contains(&renewed) && passed.len() >= 12, "codes, verifiers, access and refresh tokens");
    passed.iter().for_each(|secret| scanner.add("what passed the token endpoint", secret));
    browser.cookies().iter().for_each(|cookie| scanner.add("a cookie of a browser", cookie));
    let Desk { home, broker, .. } = desk;
    let ended = broker.stop();
    assert!(ended.stderr.contains("TRACE"), "everything is logged");
    scanner.must_be_absent("the log", ended.text());
    for (name, bytes) in stored(&home.path().join("data")) {
        scanner.must_be_absent(&name, bytes);
    }
}
