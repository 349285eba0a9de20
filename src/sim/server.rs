//! The simulated networks over HTTP/1.1 on a loopback address: `/{network}/…` stands for the network's API base.
//!
//! A call carries its token as the network wants it: `Authorization: Bearer …` (also `DPoP`, and `OAuth` with `oauth_token`), or for
//! the Graph family the query parameter `access_token`. `x-sim-operation` names the operation where several share one path.
//! Bodies are read at the OAuth endpoints only. The control API is `POST /_sim/faults`, `POST /_sim/clients/{network}` (the document at the client
//! id of an app that shows who it is by a key), `GET /_sim/networks` and `GET /_sim/report`.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::description::{ServedNetwork, describe};
use super::fault::{FaultError, NetworkFault};
use super::http_answer::HttpAnswer;
use super::oauth;
use super::possession::{self, Unproved};
use super::refusal::Family;
use super::report::Report;
use super::route::{self, Route};
use super::simulation::{CallRequest, Simulation};
use super::versioned;
use super::whose;
use crate::base::clock::Timestamp;
use crate::base::ids::NetworkId;
use crate::base::tasks::Tasks;
use crate::domain::networks::{Network, TokenKind};

/// How many connections are served at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 1024;

/// A connection that has not sent the headers of its next request within this time is closed.
const HEADERS_WITHIN: Duration = Duration::from_secs(60);

/// A form of an OAuth endpoint is read up to this many bytes.
const LONGEST_FORM: usize = 64 * 1024;

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
    tasks.spawn("sim_listener", accept(listener, router(simulation, address), tasks.clone()));
    Ok(address)
}

/// The simulated networks behind `address`.
fn router(simulation: Arc<Simulation>, address: SocketAddr) -> Router {
    Router::new()
        .route("/_sim/faults", post(inject))
        .route("/_sim/clients/{network}", post(know_client))
        .route("/.well-known/oauth-protected-resource/{*server}", get(resource))
        .route("/_sim/report", get(report))
        .route("/_sim/networks", get(move |State(simulation): State<Arc<Simulation>>| networks(simulation, address)))
        .fallback(call)
        .with_state(simulation)
}

/// The simulated networks without sockets, for tests of many millions of requests.
#[cfg(test)]
pub(crate) struct Unwired(Router);

#[cfg(test)]
impl Unwired {
    /// As if they were behind `address`.
    pub fn new(simulation: Arc<Simulation>, address: SocketAddr) -> Self {
        Self(router(simulation, address))
    }

    /// Answers a request; `None`: the reply is lost.
    pub async fn answer(&self, mut request: http::Request<Vec<u8>>) -> Option<http::Response<Bytes>> {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
        let answered = self.0.clone().oneshot(request.map(Body::from)).await;
        let response = answered.unwrap_or_else(|never: Infallible| match never {});
        if response.extensions().get::<Dropped>().is_some() {
            return None;
        }
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("the body is in memory");
        Some(http::Response::from_parts(head, body))
    }
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

async fn networks(simulation: Arc<Simulation>, address: SocketAddr) -> Json<Vec<ServedNetwork>> {
    Json(describe(&simulation, address))
}

/// Takes an order in JSON, whatever the client calls it.
async fn inject(State(simulation): State<Arc<Simulation>>, order: Bytes) -> Response {
    let order: NetworkFault = match serde_json::from_slice(&order) {
        Ok(order) => order,
        Err(error) => {
            let hint = format!("{error}; send for example {EXAMPLE_ORDER}");
            return (StatusCode::BAD_REQUEST, Json(serde_json::json!({ "error": hint }))).into_response();
        }
    };
    match simulation.inject(&order) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refuse(&error),
    }
}

/// Takes the document in which a client tells of itself.
async fn know_client(
    State(simulation): State<Arc<Simulation>>,
    Path(network): Path<String>,
    document: Bytes,
) -> Response {
    let known = network.parse::<NetworkId>().ok().zip(serde_json::from_slice(&document).ok());
    let Some((network, document)) = known else {
        let hint = "send what is at the client's id, a JSON object, to /_sim/clients/NETWORK";
        return (StatusCode::BAD_REQUEST, Json(serde_json::json!({ "error": hint }))).into_response();
    };
    match simulation.know_client(&network, &document) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refuse(&error),
    }
}

/// Tells who grants the tokens of a server (RFC 9728).
async fn resource(Path(server): Path<String>, request: Request) -> Response {
    let at = address_of(request.uri(), request.headers());
    let base = at.split("/.well-known").next().unwrap_or_default();
    Json(whose::resource(base, &server)).into_response()
}

const EXAMPLE_ORDER: &str = r#"{"network":"x","fault":{"kind":"drop_replies","share":0.1}}"#;

fn refuse(error: &FaultError) -> Response {
    let status = match error {
        FaultError::NoSuchNetwork(_)
        | FaultError::Nobody(_)
        | FaultError::NoSuchClass(_)
        | FaultError::NoSuchScope { .. } => StatusCode::NOT_FOUND,
        FaultError::OutOfRange(_) | FaultError::Client(_) => StatusCode::BAD_REQUEST,
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
    if let Some(document) = whose::document(network, path, &address_of(request.uri(), request.headers())) {
        return Json(document).into_response();
    }
    let answered = match oauth::endpoint(network, request.method().as_str(), path) {
        // Where the check of a token is a call like any other, it is counted as one; unless an app asks, which has no limits here.
        Some((purpose, kind))
            if purpose != oauth::Purpose::Introspect
                || !is_call(network, &request, path)
                || is_of_app(network, &request) =>
        {
            Ok(at_endpoint(&simulation, network, purpose, kind, request).await)
        }
        _ => answer(&simulation, network, path, &request, peer),
    };
    match answered {
        Ok((answer, delay)) => {
            tokio::time::sleep(delay).await;
            answer.map_or_else(dropped, |answer| respond(answer, simulation.now()))
        }
        Err(error) => refuse(&error),
    }
}

/// Whether an app asks, by `{id}|{secret}` in the place of a token, as the Graph family takes it.
fn is_of_app(network: &Network, request: &Request) -> bool {
    let family = Family::of(network);
    let shown = secret_of(family, request.headers(), &query_of(request)).unwrap_or_default();
    family == Family::Graph && shown.split_once('|').is_some_and(|(id, secret)| !id.is_empty() && !secret.is_empty())
}

fn is_call(network: &Network, request: &Request, path: &str) -> bool {
    route::find(network, request.method().as_str(), path, &query_of(request), None, None).is_some()
}

async fn at_endpoint(
    simulation: &Simulation,
    network: &Network,
    purpose: oauth::Purpose,
    kind: &TokenKind,
    request: Request,
) -> (Option<HttpAnswer>, Duration) {
    let mut parameters = query_of(&request);
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LONGEST_FORM).await.unwrap_or_default();
    parameters.extend(form_of(&body));
    let accept = head.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wants_page = accept.contains("text/html");
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let url = address_of(&head.uri, &head.headers);
    let ask = oauth::Ask {
        purpose,
        kind,
        parameters: &parameters,
        authorization: header("authorization"),
        method: head.method.as_str(),
        url: &url,
        proof: header("dpop"),
        wants_page,
    };
    let (answer, millis) = oauth::answer(simulation, network, &ask);
    (answer, Duration::from_millis(millis).min(MAX_DELAY))
}

/// The fields of a form, or the texts of a JSON object.
fn form_of(body: &[u8]) -> Vec<(String, String)> {
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body) {
        Ok(object) => object.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect(),
        Err(_) => url::form_urlencoded::parse(body).into_owned().collect(),
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
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(refused) = versioned::refused(network, header, query.iter().any(|(name, _)| name == "q")) {
        return Ok((Some(refused), Duration::ZERO));
    }
    let kind = simulation.kind_of(&network.id, &secret);
    let named = request.headers().get("x-sim-operation").and_then(|name| name.to_str().ok());
    let found = route::find(network, request.method().as_str(), path, &query, kind.as_ref(), named);
    let values: Vec<&str> = path.split('/').chain(query.iter().map(|(_, value)| value.as_str())).collect();
    let profile = simulation.profile_in(&network.id, &secret, &values);
    if let Some(refused) = unproved(simulation, network, request, &secret) {
        return Ok((Some(simulation.with_nonce(network, refused)), Duration::ZERO));
    }
    let answer = simulation.call(&CallRequest {
        network: &network.id,
        secret: &secret,
        operation: found.as_ref().map(|route| &route.operation.id),
        profile: profile.as_deref(),
        key: &key_of(found.as_ref(), &query, profile.as_deref()),
        address: &peer.ip().to_string(),
    })?;
    let delay = Duration::from_millis(answer.delay_millis).min(MAX_DELAY);
    if let Some(token) = simulation.alive(&network.id, &secret).filter(|_| found.is_none())
        && let Some(body) = whose::told(simulation, network, path, &query, &token)
    {
        return Ok((Some(HttpAnswer::json(200, Vec::new(), &body)), Duration::ZERO));
    }
    let mut http = HttpAnswer::of(network, found.as_ref().map(|route| route.operation), &answer);
    if let Some(http) = http.as_mut().filter(|http| http.status == 200 && whose::asks(network, path))
        && let Some(token) = simulation.alive(&network.id, &secret)
        && let Some(body) = whose::told(simulation, network, path, &query, &token)
    {
        http.body = body.to_string();
    }
    let checked = query.iter().find(|(name, _)| name == "input_token").map(|(_, token)| token);
    if let (Some(http), Some(token)) = (http.as_mut().filter(|http| http.status == 200), checked) {
        http.body = oauth::seen(simulation, network, token).1.to_string();
    }
    if kind.is_some_and(|kind| network.kind(kind.as_str()).is_some_and(TokenKind::is_bound)) {
        http = http.map(|http| simulation.with_nonce(network, http));
    }
    Ok((http, delay))
}

/// What is answered to a call whose token is bound to a key, and that is not proved by it.
fn unproved(simulation: &Simulation, network: &Network, request: &Request, secret: &str) -> Option<HttpAnswer> {
    let key = simulation.key_of(&network.id, secret)?;
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let url = address_of(request.uri(), request.headers());
    let method = request.method().as_str();
    let checked = possession::Request { proof: header("dpop"), method, url: &url, token: Some(secret) };
    let is_dpop = header("authorization").is_some_and(|sent| sent.starts_with("DPoP "));
    let proved = match is_dpop {
        true => simulation.check_proof(network, &checked),
        false => Err(Unproved::Wrong("the token is bound to a key: its scheme is DPoP")),
    };
    let proved = proved.and_then(|by| match by == key {
        true => Ok(()),
        false => Err(Unproved::Wrong("the token is bound to another key")),
    });
    proved.err().map(possession::refused_call)
}

/// The whole address of a request, without query: a request that came over a socket has its host in a header.
fn address_of(uri: &axum::http::Uri, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = uri.authority().map_or(host, |authority| authority.as_str());
    format!("http://{host}{}", uri.path())
}

fn dropped() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Dropped);
    response
}

/// The date is the simulation's, as the reset times in the other headers are.
fn respond(answer: HttpAnswer, now: Timestamp) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    if let Ok(date) = HeaderValue::try_from(super::headers::http_date(now)) {
        headers.insert(header::DATE, date);
    }
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
mod tests;
