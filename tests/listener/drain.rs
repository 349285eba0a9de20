//! The end: nothing new, calls in work finish, and it never hangs.

use std::time::Duration;

use token_broker::grpc::listener::Limits;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::raw::*;
use crate::soon;
use crate::stub::{ask, start};

#[tokio::test]
async fn a_call_in_work_finishes() {
    let running = start(Limits::default());
    let mut client = running.client().await;
    let call = tokio::task::spawn(async move { client.list_networks(ask("hold")).await });
    running.call_begun().await;
    let mut watcher = Raw::open(running.address()).await;
    soon(watcher.next_of(SETTINGS)).await.expect("the server runs");
    let drain = tokio::task::spawn(running.server.drain());
    soon(watcher.next_of(GOAWAY)).await.expect("the drain has begun");
    drop(watcher);
    running.release.add_permits(1);
    soon(call).await.expect("no panic").expect("the call in work finishes");
    assert!(soon(drain).await.expect("no panic"), "nothing was cut off");
}

#[tokio::test]
async fn nothing_new_is_accepted() {
    let running = start(Limits::default());
    let address = running.address();
    assert!(soon(running.server.drain()).await);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_hung_client_does_not_hold_it_up() {
    let running = start(Limits { drain: Duration::from_millis(100), ..Limits::default() });
    let mut hung = Raw::open(running.address()).await;
    let body = b"\0\0\0\0\x06\x12\x04hold";
    let path = "/tokenbroker.v1.NetworkService/ListNetworks";
    hung.send(&[frame(HEADERS, END_HEADERS, 1, &request(path)), frame(DATA, END_STREAM, 1, body)].concat())
        .await
        .expect("the listener runs");
    running.call_begun().await;
    let _silent = Raw::silent(running.address()).await;
    assert!(!soon(running.server.drain()).await, "the call was cut off, and said so");
    soon(hung.closed()).await;
}

#[tokio::test]
async fn a_connection_without_preface_does_not_hold_it_up() {
    let running = start(Limits::default());
    let _silent = Raw::silent(running.address()).await;
    assert!(soon(running.server.drain()).await);
}

#[tokio::test]
async fn an_idle_client_that_stays_does_not_hold_it_up() {
    let running = start(Limits::default());
    let mut idle = Raw::open(running.address()).await;
    soon(idle.next_of(SETTINGS)).await.expect("the server runs");
    assert!(soon(running.server.drain()).await, "there was nothing to finish");
    soon(idle.closed()).await;
}

#[tokio::test]
async fn an_open_stream_ends_with_a_reason() {
    let running = start(Limits { drain: Duration::from_secs(2), ..Limits::default() });
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", running.address())).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());
    let mut stream = client.watch(HealthCheckRequest::default()).await.expect("a stream").into_inner();
    stream.message().await.expect("the first message");
    let (clean, end) = tokio::join!(soon(running.server.drain()), soon(stream.message()));
    assert_eq!(end.expect_err("the stream is ended").code(), Code::Unavailable);
    drop(client);
    assert!(clean, "nothing was cut off");
}

#[tokio::test]
async fn a_dropped_server_stops() {
    let running = start(Limits::default());
    let mut raw = Raw::open(running.address()).await;
    soon(raw.next_of(SETTINGS)).await.expect("the server runs");
    drop(running);
    soon(raw.next_of(GOAWAY)).await.expect("the server goes");
}
