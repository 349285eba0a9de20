//! What surrounds each call: size limits, deadlines, load, panics, request ids, and what the observer hears.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use token_broker::grpc::call::Deadlines;
use token_broker::grpc::listener::{Limits, MAX_REQUEST};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::raw::{DATA, END_HEADERS, HEADERS, RST_STREAM, Raw, frame, request};
use crate::soon;
use crate::stub::{Event, Running, ask, start};

const METHOD: &str = "tokenbroker.v1.NetworkService/ListNetworks";
const SHORT: Duration = Duration::from_millis(50);

/// Calls with headers of one's own, through the h2 crate.
async fn call_with(running: &Running, headers: &[(&str, &str)], body: &'static [u8]) -> http::Response<h2::RecvStream> {
    let socket = tokio::net::TcpStream::connect(running.address()).await.expect("the listener runs");
    let (client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
    tokio::task::spawn(connection);
    let mut request = Request::post(format!("http://localhost/{METHOD}")).header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut client = client.ready().await.expect("a young connection");
    let (answer, mut send) = client.send_request(request.body(()).expect("good headers"), false).expect("sent");
    send.send_data(Bytes::from_static(body), true).expect("sent");
    soon(answer).await.expect("an answer")
}

/// `ListNetworksRequest { page_token: "hold" }` with the gRPC frame around it.
const HOLD: &[u8] = b"\0\0\0\0\x06\x12\x04hold";
const EMPTY: &[u8] = b"\0\0\0\0\0";

fn code_of(answer: &http::Response<h2::RecvStream>) -> Option<Code> {
    answer.headers().get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}

#[tokio::test]
async fn headers_have_a_limit() {
    let running = start(Limits::default());
    let large = "x".repeat(9000);
    let answer = call_with(&running, &[("x-large", &large)], EMPTY).await;
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let answer = call_with(&running, &[("x-large", &large[..7000])], EMPTY).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn messages_have_a_limit() {
    let running = start(Limits::default());
    let mut client = running.client().await;
    let status = client.list_networks(ask(&"x".repeat(MAX_REQUEST + 1))).await.expect_err("too large");
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    client.list_networks(ask(&"x".repeat(MAX_REQUEST - 16))).await.expect("just small enough");
}

#[tokio::test]
async fn a_call_has_the_servers_deadline() {
    let deadlines = Deadlines { unary: SHORT, ..Deadlines::default() };
    let mut running = start(Limits { deadlines, ..Limits::default() });
    let mut client = running.client().await;
    let status = soon(client.list_networks(ask("hold"))).await.expect_err("nobody lets it end");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    soon(running.wait_for(Event::Answered(METHOD, Code::DeadlineExceeded))).await;
}

#[tokio::test]
async fn a_call_has_the_clients_deadline() {
    let hour = Duration::from_secs(3600);
    let running =
        start(Limits { deadlines: Deadlines { unary: hour, wait: hour, required: false }, ..Limits::default() });
    let answer = call_with(&running, &[("grpc-timeout", "50m")], HOLD).await;
    assert_eq!(code_of(&answer), Some(Code::DeadlineExceeded));
}

#[tokio::test]
async fn a_unary_call_can_be_made_to_bring_a_deadline() {
    let deadlines = Deadlines { required: true, ..Deadlines::default() };
    let running = start(Limits { deadlines, ..Limits::default() });
    let mut client = running.client().await;
    let status = client.list_networks(ask("")).await.expect_err("it brings none");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.get_details_error_info().expect("a reason").reason, "DEADLINE_MISSING");
    for (bad, good) in [("soon", "9S"), ("", "500m")] {
        let answer = call_with(&running, &[("grpc-timeout", bad)], EMPTY).await;
        assert_eq!(code_of(&answer), Some(Code::InvalidArgument), "{bad:?}");
        let answer = call_with(&running, &[("grpc-timeout", good)], EMPTY).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(code_of(&answer), None, "{good:?}: the answer has a message");
    }
    let mut health = HealthClient::new(running.channel().await);
    let mut stream = health.watch(HealthCheckRequest::default()).await.expect("streams need none").into_inner();
    assert!(soon(stream.message()).await.expect("it is answered").is_some());
}

#[tokio::test]
async fn too_many_calls_are_refused_with_a_time_to_retry() {
    let running = start(Limits { calls: 1, ..Limits::default() });
    let (mut first, mut second) = (running.client().await, running.client().await);
    let (held, ()) = tokio::join!(first.list_networks(ask("hold")), async {
        running.call_begun().await;
        let status = second.list_networks(ask("")).await.expect_err("there is one place");
        assert_eq!(status.code(), Code::Unavailable);
        let details = status.get_error_details();
        assert_eq!(details.error_info().expect("a reason").reason, "OVERLOADED");
        assert!(details.retry_info().expect("a time").retry_delay.expect("a time") > Duration::ZERO);
        assert!(status.metadata().get("x-request-id").is_some(), "a refusal has an id, too");
        running.release.add_permits(1);
    });
    held.expect("the first had its place");
    second.list_networks(ask("")).await.expect("the place is free");
}

#[tokio::test]
async fn a_panic_is_internal_and_the_worker_lives() {
    let mut running = start(Limits { calls: 1, ..Limits::default() });
    let mut client = running.client().await;
    for _ in 0..3 {
        let status = client.list_networks(ask("panic")).await.expect_err("the handler panics");
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("as the test asked"), "the payload stays inside");
        soon(running.wait_for(Event::Answered(METHOD, Code::Internal))).await;
    }
    client.list_networks(ask("")).await.expect("same connection, same worker, and the place was given back");
}

#[tokio::test]
async fn a_request_id_is_kept_or_made() {
    let running = start(Limits::default());
    let mut client = running.client().await;
    let mut request = ask("request id");
    request.metadata_mut().insert("x-request-id", "job-7:3".parse().unwrap());
    let answer = client.list_networks(request).await.expect("an answer");
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "job-7:3");
    assert_eq!(answer.get_ref().next_page_token, "job-7:3", "the handler knows it");

    let mut request = ask("request id");
    request.metadata_mut().insert("x-request-id", "{ not an id }".parse().unwrap());
    let answer = client.list_networks(request).await.expect("an answer");
    let id = answer.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    assert_eq!(answer.get_ref().next_page_token, id);
    assert_ne!(id, "{ not an id }");
}

#[tokio::test]
async fn the_observer_hears_every_outcome() {
    let mut running = start(Limits::default());
    let mut client = running.client().await;
    client.list_networks(ask("")).await.expect("an answer");
    soon(running.wait_for(Event::Answered(METHOD, Code::Ok))).await;
    client.list_networks(ask("refuse")).await.expect_err("refused");
    soon(running.wait_for(Event::Answered(METHOD, Code::NotFound))).await;
    tokio::select! {
        _ = client.list_networks(ask("hold")) => panic!("nobody lets it end"),
        () = running.call_begun() => {}
    }
    soon(running.wait_for(Event::Answered(METHOD, Code::Cancelled))).await;
}

#[tokio::test]
async fn an_unknown_method_has_no_label_of_its_own() {
    let mut running = start(Limits::default());
    let mut raw = Raw::open(running.address()).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &request("/made.up/Name"))).await.expect("the listener runs");
    soon(running.wait_for(Event::Answered("unknown", Code::Unimplemented))).await;
}

#[tokio::test]
async fn a_stream_counts_until_it_ends() {
    let mut running = start(Limits { long_calls: 1, ..Limits::default() });
    let path = "/grpc.health.v1.Health/Watch";
    let mut raw = Raw::open(running.address()).await;
    let open = |stream| [frame(HEADERS, END_HEADERS, stream, &request(path)), frame(DATA, 1, stream, EMPTY)].concat();
    raw.send(&open(1)).await.expect("the listener runs");
    soon(raw.next_of(DATA)).await.expect("the first message of the first stream");
    raw.send(&open(3)).await.expect("the listener runs");
    soon(running.wait_for(Event::Answered("grpc.health.v1.Health/Watch", Code::Unavailable))).await;
    raw.send(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())).await.expect("the listener runs");
    soon(running.wait_for(Event::Answered("grpc.health.v1.Health/Watch", Code::Cancelled))).await;
    raw.send(&open(5)).await.expect("the listener runs");
    soon(raw.next_of(DATA)).await.expect("there is a place again");
}

#[tokio::test]
async fn the_handler_knows_the_peer() {
    let running = start(Limits::default());
    let answer = running.client().await.list_networks(ask("address")).await.expect("an answer");
    assert!(answer.get_ref().next_page_token.starts_with("127.0.0.1:"));
}
