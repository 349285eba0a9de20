//! Tokens that are bound to a key, with the program alone: at a certified server that is not ours, and at the simulated network.

use std::path::Path;
use std::process::Command;

use reqwest::StatusCode;
use serde_json::Value;

use crate::connect::{Browser, Desk, PUBLIC, TEXT, agree};
use crate::support::{Ready, Simulated, installed, soon};

/// A network of its own: a catalogue file that points at the server.
fn catalogue(folder: &Path, issuer: &str) {
    let text = format!(
        r#"
display_name = "Bound"
api_base = "{issuer}"

[[kinds]]
id = "user"
about = "A token of the server."
access_validity = "1h"
renewal = {{ family = "refresh_token", rotation = "single_use", needs_scope = "offline_access" }}
scopes = [{{ purpose = "collect_content", scopes = ["openid"] }}]
bindings = ["dpop"]
verified = "documented"

[kinds.oauth]
issuer = "{issuer}"
authorize_url = "{issuer}/auth"
pushed_url = "{issuer}/request"
token_url = "{issuer}/token"
revoke_url = "{issuer}/token/revocation"
pkce = "required"
client_auth = "private_key_jwt"
scope_separator = " "
authorize_parameters = {{ prompt = "consent" }}

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
    std::fs::write(folder.join("bound.toml"), text).unwrap();
}

/// Takes a lease by hand.
fn leased(desk: &Desk, what: &str) -> Value {
    desk.json(&format!("lease acquire {what} --calls 1 --show-token"))
}

/// Calls `url` with a leased token as the documentation says: with a proof, and once more with the nonce that the server wants.
async fn call(desk: &Desk, browser: &Browser, lease: &Value, url: &str) -> (StatusCode, Value) {
    let id = lease["name"].as_str().unwrap().rsplit('/').next().unwrap();
    let token = format!("DPoP {}", lease["accessToken"].as_str().unwrap());
    let mut nonce = String::new();
    for _ in 0..2 {
        let more = if nonce.is_empty() { String::new() } else { format!(" --nonce {nonce}") };
        let proof = desk.json(&format!("lease prove {id} --url {url}{more}"));
        let request = browser.client.get(url).header("dpop", proof["proof"].as_str().unwrap());
        let answer = request.header("authorization", &token).send().await.unwrap();
        let wanted = answer.headers().get("dpop-nonce").map(|nonce| nonce.to_str().unwrap().to_owned());
        let (status, body) = (answer.status(), answer.json().await.unwrap_or_default());
        match wanted.filter(|_| status == StatusCode::UNAUTHORIZED && nonce.is_empty()) {
            Some(wanted) => nonce = wanted,
            None => return (status, body),
        }
    }
    panic!("the server goes on asking for nonces")
}

/// Gives the app of a network its key, and tells the network of it. The client id.
async fn introduce(desk: &Desk, browser: &Browser, network: &str, to: &str) -> String {
    let app = desk.json(&format!("apps update {network}/default --generate-key"));
    let client_id = app["clientId"].as_str().unwrap().to_owned();
    assert_eq!(client_id, format!("{PUBLIC}/oauth/clients/{network}/default"));
    let document = browser.get(&client_id).await;
    assert!(document.status == 200 && !document.text.contains("\"d\""), "{}", document.text);
    let told = browser.client.post(to).body(document.text).send().await.unwrap();
    assert_eq!(told.status(), StatusCode::NO_CONTENT, "{}", told.text().await.unwrap());
    client_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_certified_server_takes_pushed_requests_assertions_and_proofs() {
    let mut program = Command::new("node");
    let server = Ready::start(program.arg(installed("bound_server.mjs", include_str!("bound_server.mjs"))));
    let issuer = server.line.trim().to_owned();
    let home = tempfile::tempdir().unwrap();
    catalogue(&home.path().join("networks"), &issuer);
    let desk = Desk::open(home, "networks");
    let browser = Browser::of(&desk);
    introduce(&desk, &browser, "bound", &format!("{issuer}/_client")).await;
    let wanted = "--network bound --kind user --purpose collect_content";
    let (id, link) = desk.start(wanted);
    let asked = browser.post(&link, &[("text_version", TEXT)]).await.location;
    assert!(asked.contains("request_uri=") && !asked.contains("code_challenge"), "{asked}");
    let back = agree(&browser, &asked, "ann").await;
    browser.get(&back).await;
    let shown = desk.json(&format!("connection show {id}"));
    assert_eq!(shown["account"]["person"], "ann", "the account is read with a proof: {shown}");
    let connected = desk.json(&format!("connection complete {id} --text-version {TEXT}"));
    let token = connected["tokens"][0].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let me = format!("{issuer}/me");
    let what = "--network bound --operation me --purpose collect_content";
    let first = leased(&desk, what);
    assert_eq!(first["proofRequired"], true, "{first}");
    assert_eq!(call(&desk, &browser, &first, &me).await.1["sub"], "ann");
    let bare = browser.client.get(&me).bearer_auth(first["accessToken"].as_str().unwrap()).send().await.unwrap();
    assert_ne!(bare.status(), StatusCode::OK, "the token alone is worth nothing");
    for _ in 0..3 {
        desk.done(&format!("token renew {token}"), "");
    }
    let renewed = leased(&desk, what);
    assert_ne!(renewed["accessToken"], first["accessToken"]);
    assert_eq!(call(&desk, &browser, &renewed, &me).await.0, StatusCode::OK);
    let elsewhere = desk.run(
        &format!(
            "lease prove {} --url https://evil.example/me",
            renewed["name"].as_str().unwrap().replace("leases/", "")
        ),
        "",
    );
    assert!(!elsewhere.status.success() && elsewhere.stderr.contains("proofs are signed for"), "{}", elsewhere.text());
    let events: Value = browser.client.get(format!("{issuer}/_events")).send().await.unwrap().json().await.unwrap();
    assert_eq!(events["pushed_authorization_request.success"], 1, "{events}");
    assert_eq!(events["refresh_token.consumed"], 3, "each refresh token was used once: {events}");
    assert_eq!(events["grant.revoked"], 0, "{events}");
    desk.done(&format!("token revoke {token}"), "");
    let told = browser.client.get(format!("{issuer}/_events?until=grant.revoked")).send();
    let told: Value = soon(told).await.unwrap().json().await.unwrap();
    assert_eq!(told["grant.revoked"], 1, "it is given back, with an assertion: {told}");
    let ended = desk.broker.stop();
    for secret in [first["accessToken"].as_str().unwrap(), renewed["accessToken"].as_str().unwrap()] {
        assert!(!ended.text().contains(secret), "{}", ended.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_account_of_bluesky_is_connected_and_leased_from_the_command_line() {
    let home = tempfile::tempdir().unwrap();
    let simulated = Simulated::start(home.path(), &["--network", "bluesky", "--catalogue-out", "networks"]);
    let base = simulated.said["networks"][0]["base_url"].as_str().unwrap().to_owned();
    let desk = Desk::open(home, "networks");
    let browser = Browser::of(&desk);
    let none = desk.run("apps update bluesky/default --client-id app --client-secret-from -", "a-secret");
    assert!(!none.status.success() && none.stderr.contains("openssl"), "{}", none.text());
    introduce(&desk, &browser, "bluesky", &base.replace("/bluesky", "/_sim/clients/bluesky")).await;
    let (id, link) = desk.start("--network bluesky --kind user --purpose collect_content");
    let network = browser.post(&link, &[("text_version", TEXT)]).await.location;
    let back = browser.post(&network, &[("person", "person-9"), ("decision", "allow")]).await.location;
    browser.get(&back).await;
    let shown = desk.json(&format!("connection show {id}"));
    assert_eq!(shown["account"]["person"], "did:plc:person9", "{shown}");
    desk.done(&format!("connection complete {id} --text-version {TEXT}"), "");
    let lease = leased(&desk, "--network bluesky --operation feed.get_author_feed --purpose collect_content");
    assert_eq!(lease["apiBase"], base, "{lease}");
    let url = format!("{base}/xrpc/app.bsky.feed.getAuthorFeed?actor=person-9");
    assert_eq!(call(&desk, &browser, &lease, &url).await.0, StatusCode::OK);
    let given = "token add --network bluesky --kind user --person did:plc:a --scope atproto --scope transition:generic --access-token-from -";
    let refused = desk.run(given, "an-access-token");
    assert!(!refused.status.success() && refused.stderr.contains("connect the account instead"), "{}", refused.text());
    desk.broker.stop();
}
