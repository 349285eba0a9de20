//! The simulated networks over real HTTP.

use serde_json::{Value, json};

use super::*;
use crate::base::clock::ManualClock;
use crate::base::ids::KindId;
use crate::domain::networks::{Dialect, Owner, Unit, Window};
use crate::sim::samples::{class, fixed, header, limit, network, operation};
use crate::sim::token::TokenSpec;

struct Stage {
    base: String,
    client: reqwest::Client,
    tasks: Tasks,
}

impl Stage {
    async fn open() -> Self {
        let simulation = Arc::new(
            Simulation::new(networks(), Arc::new(ManualClock::at(Timestamp::from_secs(1_705_420_000))), 7).unwrap(),
        );
        for sample in networks() {
            let user: KindId = "user".parse().unwrap();
            let mut spec = TokenSpec::of_kind(&sample, &user, "secret", "anna");
            spec.profiles = vec!["page1".to_owned(), "page2".to_owned()];
            simulation.add_token(&sample.id, spec).unwrap();
        }
        let tasks = Tasks::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = serve_on(listener, simulation, &tasks).unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { base: format!("http://{address}"), client, tasks }
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}{path}", self.base)).bearer_auth("secret").send().await.unwrap()
    }

    async fn inject(&self, network: &str, fault: Value) -> StatusCode {
        let order = json!({ "network": network, "fault": fault });
        self.client.post(format!("{}/_sim/faults", self.base)).json(&order).send().await.unwrap().status()
    }

    async fn report(&self) -> Value {
        self.client.get(format!("{}/_sim/report", self.base)).send().await.unwrap().json().await.unwrap()
    }

    async fn close(self) {
        drop(self.client);
        self.tasks.stop();
        assert!(self.tasks.join(Duration::from_secs(20)).await, "the server ends when it is told to");
    }
}

fn networks() -> Vec<Arc<Network>> {
    let x = network(
        "x",
        vec![class("search", Unit::Calls, vec![limit(Owner::Token, fixed(900), 2)])],
        vec![header(Dialect::TripleEpoch, "x-rate-limit-", Owner::Token)],
    );
    let keys = Window::Distinct { length: Duration::from_secs(7 * 86_400) };
    let mut graph = network(
        "instagram",
        vec![
            class("calls", Unit::Calls, vec![limit(Owner::Profile, fixed(86_400), 1)]),
            class("hashtags", Unit::Keys, vec![limit(Owner::Profile, keys, 1)]),
        ],
        vec![header(Dialect::PercentMap, "x-business-use-case-usage", Owner::Profile)],
    );
    graph.operations.push(operation("GET", "https://other.example/v25.0/hashtag_search", &[("hashtags", 1)]));
    vec![Arc::new(x), Arc::new(graph)]
}

async fn code(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

#[tokio::test]
async fn calls_are_counted_and_refused_with_the_networks_own_headers() {
    let stage = Stage::open().await;
    for remaining in ["1", "0"] {
        let response = stage.get("/x/search/recent").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["x-rate-limit-limit"], "2");
        assert_eq!(response.headers()["x-rate-limit-remaining"], remaining);
        assert_eq!(response.headers()["x-rate-limit-reset"], "1705420800");
        assert_eq!(
            response.headers()["date"],
            "Tue, 16 Jan 2024 15:46:40 GMT",
            "of the simulation, not of the machine"
        );
    }
    let refused = stage.get("/x/search/recent").await;
    assert_eq!(refused.headers()["x-rate-limit-remaining"], "0");
    assert_eq!(code(refused).await.1["title"], "Too Many Requests");
    let report = stage.report().await;
    let x = report["networks"].as_array().unwrap().iter().find(|entry| entry["network"] == "x").unwrap();
    assert_eq!((&x["admitted"], &x["throttled"]), (&json!(2), &json!(1)));
    assert_eq!((&x["limits"][0]["used"], &x["limits"][0]["capacity"]), (&json!(2), &json!(2)));
    stage.close().await;
}

#[tokio::test]
async fn the_path_names_the_profile() {
    let stage = Stage::open().await;
    for page in ["page1", "page2"] {
        let response = stage.get(&format!("/instagram/calls/{page}")).await;
        assert_eq!(response.status(), 200, "{page} has an account of its own");
        let usage: Value = serde_json::from_slice(response.headers()["x-business-use-case-usage"].as_bytes()).unwrap();
        assert_eq!(usage[page][0]["call_count"], 100);
    }
    assert_eq!(code(stage.get("/instagram/calls/page1").await).await.1["error"]["code"], 80002);
    stage.close().await;
}

#[tokio::test]
async fn the_graph_takes_tokens_in_the_query_and_counts_hashtags_once() {
    let stage = Stage::open().await;
    let ask = |network: &'static str, path: &'static str, query: &'static str| {
        let url = format!("{}/{network}/{path}?access_token=secret{query}", stage.base);
        let client = stage.client.clone();
        async move { client.get(url).send().await.unwrap().status().as_u16() }
    };
    assert_eq!(ask("instagram", "v25.0/hashtag_search", "&q=tea").await, 200);
    assert_eq!(ask("instagram", "v25.0/hashtag_search", "&q=tea").await, 200);
    assert_eq!(ask("instagram", "v25.0/hashtag_search", "&q=coffee").await, 400);
    assert_eq!(ask("instagram", "v25.0/hashtag_search", "&q=coffee").await, 400, "asking again opens nothing");
    assert_eq!(ask("x", "search/recent", "").await, 401, "X wants a header");
    stage.close().await;
}

#[tokio::test]
async fn unknown_tokens_paths_and_networks_are_refused() {
    let stage = Stage::open().await;
    let url = format!("{}/x/search/recent", stage.base);
    let stranger = stage.client.get(&url).bearer_auth("stranger").send().await.unwrap();
    assert_eq!(stranger.status(), 401);
    assert_eq!(code(stage.get("/x/nothing").await).await.0, 404);
    assert_eq!(code(stage.get("/y/search/recent").await).await.0, 404);
    let wrong_method = stage.client.post(&url).bearer_auth("secret").send().await.unwrap();
    assert_eq!(wrong_method.status(), 404);
    stage.close().await;
}

#[tokio::test]
async fn a_dropped_reply_was_counted() {
    let stage = Stage::open().await;
    assert_eq!(stage.inject("x", json!({ "kind": "drop_replies", "share": 1.0 })).await, 204);
    let url = format!("{}/x/search/recent", stage.base);
    let sent = stage.client.get(&url).bearer_auth("secret").send().await;
    assert!(!sent.unwrap_err().is_timeout(), "the connection is closed at once");
    assert_eq!(stage.inject("x", json!({ "kind": "calm" })).await, 204);
    let report = stage.report().await;
    let x = report["networks"].as_array().unwrap().iter().find(|entry| entry["network"] == "x").unwrap();
    // A client may repeat a call whose connection was closed; each try was counted.
    assert_eq!(x["spoilt"].as_u64(), x["limits"][0]["admitted"].as_u64().map(|n| n + x["throttled"].as_u64().unwrap()));
    assert!(x["spoilt"].as_u64() >= Some(1));
    stage.close().await;
}

#[tokio::test]
async fn faults_are_set_over_the_control_api() {
    let stage = Stage::open().await;
    let html = json!({ "kind": "html_pages", "share": 1.0, "counted": false });
    assert_eq!(stage.inject("x", html).await, 204);
    let page = stage.get("/x/search/recent").await;
    assert_eq!((page.status().as_u16(), page.headers()["content-type"].to_str().unwrap()), (503, "text/html"));
    assert!(page.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    let broken = json!({ "kind": "server_errors", "share": 1.0, "status": 500, "counted": false });
    stage.inject("x", json!({ "kind": "calm" })).await;
    assert_eq!(stage.inject("x", broken).await, 204);
    assert_eq!(stage.get("/x/search/recent").await.status(), 500);
    stage.inject("x", json!({ "kind": "calm" })).await;
    assert_eq!(stage.inject("x", json!({ "kind": "change_password", "person": "anna" })).await, 204);
    assert_eq!(stage.get("/x/search/recent").await.status(), 401);
    assert_eq!(stage.inject("x", json!({ "kind": "change_password", "person": "nobody" })).await, 404);
    assert_eq!(stage.inject("nowhere", json!({ "kind": "calm" })).await, 404);
    assert_eq!(stage.inject("x", json!({ "kind": "drop_replies", "share": 2.0 })).await, 400);
    assert_eq!(stage.inject("x", json!({ "kind": "earthquake" })).await, 400);
    stage.close().await;
}

#[tokio::test]
async fn addresses_that_others_reach_are_refused() {
    let sample = networks();
    let simulation = Simulation::new(sample, Arc::new(ManualClock::default()), 1).unwrap();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(serve_on(listener, Arc::new(simulation), &Tasks::default()).is_err());
}

#[tokio::test]
async fn a_grant_goes_from_consent_to_revocation_over_http() {
    let catalogue = crate::domain::networks::Catalogue::embedded();
    let pinterest = catalogue.network("pinterest").unwrap().clone();
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_705_420_000)));
    let simulation = Arc::new(Simulation::new([pinterest], clock, 7).unwrap());
    let tasks = Tasks::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/pinterest", serve_on(listener, simulation, &tasks).unwrap());
    let no_redirects = reqwest::redirect::Policy::none();
    let client =
        reqwest::Client::builder().no_proxy().redirect(no_redirects).timeout(Duration::from_secs(20)).build().unwrap();
    let asked = format!("{base}/oauth/?client_id=app&redirect_uri=http://127.0.0.1/back&state=s&response_type=code");
    let back = client.get(asked).send().await.unwrap();
    assert_eq!(back.status(), 302);
    let location = url::Url::parse(back.headers()["location"].to_str().unwrap()).unwrap();
    let given = location.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let ask = async |form: &[(&str, &str)]| {
        let form: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = client.post(format!("{base}/oauth/token")).basic_auth("app", Some("secret")).body(form);
        code(request.send().await.unwrap()).await
    };
    let (status, issued) =
        ask(&[("grant_type", "authorization_code"), ("code", &given), ("redirect_uri", "http://127.0.0.1/back")]).await;
    assert_eq!((status, &issued["expires_in"]), (200, &json!(30 * 86_400)), "{issued}");
    let secret = issued["access_token"].as_str().unwrap();
    let read = client.get(format!("{base}/user_account")).bearer_auth(secret).send().await.unwrap();
    assert_eq!(read.status(), 200);
    let refresh = issued["refresh_token"].as_str().unwrap();
    assert_eq!(ask(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.0, 200);
    let (status, refused) = ask(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")), "it was replaced");
    let read = client.get(format!("{base}/user_account")).bearer_auth(secret).send().await.unwrap();
    assert_eq!(read.status(), 401, "so was the access token");
    drop(client);
    tasks.stop();
    assert!(tasks.join(Duration::from_secs(20)).await);
}
