//! The simulated networks over HTTP/1.1 on a loopback address: `/{network}/…` stands for the network's API base.
//!
//! A call carries its token as the network wants it: `Authorization: Bearer …` (also `DPoP`, and `OAuth` with `oauth_token`), or for
//! the Graph family the query parameter `access_token`. `x-sim-operation` names the operation where several share one path.
//! Bodies are not read. The control API is `POST /_sim/faults` and `GET /_sim/report`.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::fault::{FaultError, NetworkFault};
use super::http_answer::HttpAnswer;
use super::refusal::Family;
use super::report::Report;
use super::route::{self, Route};
use super::simulation::{CallRequest, Simulation};
use crate::base::ids::NetworkId;
use crate::base::tasks::Tasks;
use crate::domain::networks::Network;

/// How many connections are served at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 1024;

/// A connection that has not sent the headers of its next request within this time is closed.
const HEADERS_WITHIN: Duration = Duration::from_secs(60);

/// The longest delay that a fault can cause.
const MAX_DELAY: Duration = Duration::from_secs(300);

/// Serves `simulation` on `listener` until `tasks` stop.
///
/// # Errors
/// When the listener has no address, or one that others can reach: the control API has no password.
pub fn serve_on(listener: TcpListener, simulation: Arc<Simulation>, tasks: &Tasks) -> io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        let reason = format!("{address} can be reached from outside; listen on 127.0.0.1 or [::1]");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    let router = Router::new()
        .route("/_sim/faults", post(inject))
        .route("/_sim/report", get(report))
        .fallback(call)
        .with_state(simulation);
    tasks.spawn("sim_listener", accept(listener, router, tasks.clone()));
    Ok(address)
}

async fn accept(listener: TcpListener, router: Router, tasks: Tasks) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = tasks.stopped() => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(stream, peer, router.clone(), tasks.clone());
                tasks.spawn("sim_connection", async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the simulation could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves one connection. A dropped reply is an error of the service, upon which hyper closes the connection without a byte.
async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, tasks: Tasks) {
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let response = router.oneshot(request).await.unwrap_or_else(|never: Infallible| match never {});
            if response.extensions().get::<Dropped>().is_some() {
                return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
            }
            Ok(response)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = tasks.stopped() => {}
        ended = served => if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a connection of the simulation ended early");
        }
    }
}

/// Marks a response that must not be sent.
#[derive(Debug, Clone, Copy)]
struct Dropped;

async fn report(State(simulation): State<Arc<Simulation>>) -> Json<Report> {
    Json(simulation.report())
}

async fn inject(State(simulation): State<Arc<Simulation>>, Json(order): Json<NetworkFault>) -> Response {
    match simulation.inject(&order) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &FaultError) -> Response {
    let status = match error {
        FaultError::NoSuchNetwork(_) | FaultError::Nobody(_) | FaultError::NoSuchClass(_) => StatusCode::NOT_FOUND,
        FaultError::OutOfRange(_) => StatusCode::BAD_REQUEST,
    };
    (status, Json(serde_json::json!({ "error": error.to_string() }))).into_response()
}

async fn call(
    State(simulation): State<Arc<Simulation>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let (network, path) = path.split_once('/').unwrap_or((path, ""));
    let Some(network) = network.parse::<NetworkId>().ok().and_then(|id| simulation.network(&id)) else {
        let hint = "the path must begin with the id of a simulated network, as in /x/users/me";
        return (StatusCode::NOT_FOUND, Json(serde_json::json!({ "error": hint }))).into_response();
    };
    match answer(&simulation, network, path, &request, peer) {
        Ok((answer, delay)) => {
            tokio::time::sleep(delay).await;
            answer.map_or_else(dropped, respond)
        }
        Err(error) => refuse(&error),
    }
}

fn answer(
    simulation: &Simulation,
    network: &Network,
    path: &str,
    request: &Request,
    peer: SocketAddr,
) -> Result<(Option<HttpAnswer>, Duration), FaultError> {
    let query = query_of(request);
    let secret = secret_of(Family::of(network), request.headers(), &query).unwrap_or_default();
    let kind = simulation.kind_of(&network.id, &secret);
    let named = request.headers().get("x-sim-operation").and_then(|name| name.to_str().ok());
    let found = route::find(network, request.method().as_str(), path, &query, kind.as_ref(), named);
    let values: Vec<&str> = path.split('/').chain(query.iter().map(|(_, value)| value.as_str())).collect();
    let profile = simulation.profile_in(&network.id, &secret, &values);
    let answer = simulation.call(&CallRequest {
        network: &network.id,
        secret: &secret,
        operation: found.as_ref().map(|route| &route.operation.id),
        profile: profile.as_deref(),
        key: &key_of(found.as_ref(), &query, profile.as_deref()),
        address: &peer.ip().to_string(),
    })?;
    let delay = Duration::from_millis(answer.delay_millis).min(MAX_DELAY);
    Ok((HttpAnswer::of(network, found.as_ref().map(|route| route.operation), &answer), delay))
}

fn dropped() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Dropped);
    response
}

fn respond(answer: HttpAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    (status, headers, answer.body).into_response()
}

fn query_of(request: &Request) -> Vec<(String, String)> {
    let query = request.uri().query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn secret_of(family: Family, headers: &HeaderMap, query: &[(String, String)]) -> Option<String> {
    if let Some(sent) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        let (scheme, rest) = sent.split_once(' ')?;
        return match scheme.to_ascii_lowercase().as_str() {
            "bearer" | "dpop" | "token" => Some(rest.trim().to_owned()),
            "oauth" => rest.split("oauth_token=\"").nth(1)?.split('"').next().map(str::to_owned),
            _ => None,
        };
    }
    let in_query = query.iter().find(|(name, _)| name == "access_token").map(|(_, value)| value.clone());
    in_query.filter(|_| family == Family::Graph)
}

/// What a limit of different keys counts: the parameter `q`, else the first part of the path that is not the profile. A simulated
/// network gives a hashtag its own text as its id, so that the search and the reading of one hashtag have one key.
fn key_of(found: Option<&Route<'_>>, query: &[(String, String)], profile: Option<&str>) -> String {
    let searched = query.iter().find(|(name, _)| name == "q").map(|(_, value)| value.clone());
    let in_path = || {
        let parameters = found.map(|route| route.parameters.as_slice()).unwrap_or_default();
        parameters.iter().find(|parameter| Some(parameter.as_str()) != profile).cloned()
    };
    searched.or_else(in_path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};
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
            let usage: Value =
                serde_json::from_slice(response.headers()["x-business-use-case-usage"].as_bytes()).unwrap();
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
        assert_eq!(
            x["spoilt"].as_u64(),
            x["limits"][0]["admitted"].as_u64().map(|n| n + x["throttled"].as_u64().unwrap())
        );
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
        assert_eq!(stage.inject("x", json!({ "kind": "earthquake" })).await, 422);
        stage.close().await;
    }

    #[tokio::test]
    async fn addresses_that_others_reach_are_refused() {
        let sample = networks();
        let simulation = Simulation::new(sample, Arc::new(ManualClock::default()), 1).unwrap();
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        assert!(serve_on(listener, Arc::new(simulation), &Tasks::default()).is_err());
    }
}
