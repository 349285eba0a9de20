//! How many connections there may be, and how long each lasts.

use std::time::Duration;

use token_broker::grpc::call::Refusal;
use token_broker::grpc::listener::Limits;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::raw::*;
use crate::soon;
use crate::stub::{Event, ask, start, start_with};

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_peer_has_its_cap() {
    let mut running = start(Limits { connections_per_peer: 2, ..Limits::default() });
    let mut kept = Raw::open(running.address()).await;
    let mut left = Raw::open(running.address()).await;
    for raw in [&mut kept, &mut left] {
        soon(raw.next_of(SETTINGS)).await.expect("both are served");
    }
    assert_eq!(running.server.connections(), 2);
    soon(Raw::turned_away(running.address())).await;
    soon(running.wait_for(Event::Refused(Refusal::PeerFull))).await;
    drop(left);
    soon(running.wait_for(Event::Closed)).await;
    let mut next = Raw::open(running.address()).await;
    soon(next.next_of(SETTINGS)).await.expect("its place is free again");
}

#[tokio::test]
async fn all_connections_have_a_cap() {
    let mut running = start(Limits { connections: 1, ..Limits::default() });
    let mut first = Raw::open(running.address()).await;
    soon(first.next_of(SETTINGS)).await.expect("there is room for one");
    soon(Raw::turned_away(running.address())).await;
    soon(running.wait_for(Event::Refused(Refusal::Full))).await;
}

#[tokio::test]
async fn connections_have_a_rate() {
    let mut running = start(Limits { accepts_per_second_per_peer: 1, ..Limits::default() });
    let _first = Raw::silent(running.address()).await;
    soon(Raw::turned_away(running.address())).await;
    soon(running.wait_for(Event::Refused(Refusal::PeerTooFast))).await;
}

#[tokio::test]
async fn all_connections_together_have_a_rate() {
    let mut running = start(Limits { accepts_per_second: 3, ..Limits::default() });
    let mut begun = Vec::new();
    let refused = soon(async {
        loop {
            // Who is turned away may find the door shut while it still connects.
            begun.push(tokio::net::TcpStream::connect(running.server.local_addr()).await);
            match running.events.recv().await.expect("the listener runs") {
                Event::Opened => {}
                other => return other,
            }
        }
    });
    assert_eq!(refused.await, Event::Refused(Refusal::TooFast));
    assert!(begun.len() > 3, "three may come at once: {}", begun.len());
    assert_eq!(running.server.connections(), begun.len() - 1, "the others stay");
}

#[tokio::test]
async fn an_old_connection_is_told_to_go_and_then_closed() {
    let running = start(Limits { connection_age: SHORT, connection_age_grace: SHORT, ..Limits::default() });
    let mut raw = Raw::open(running.address()).await;
    let path = "/grpc.health.v1.Health/Watch";
    raw.send(&frame(HEADERS, END_HEADERS, 1, &request(path))).await.expect("the connection is young");
    let goaway = soon(raw.next_of(GOAWAY)).await.expect("its age is over");
    assert_eq!(goaway.goaway_code(), Some(0), "NO_ERROR");
    soon(raw.closed()).await;
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go() {
    let running = start(Limits { idle: SHORT, connection_age: LONG, ..Limits::default() });
    let mut raw = Raw::open(running.address()).await;
    let goaway = soon(raw.next_of(GOAWAY)).await.expect("nobody calls");
    assert_eq!(goaway.goaway_code(), Some(0), "NO_ERROR");
}

#[tokio::test]
async fn a_connection_with_a_call_is_not_idle() {
    let running = start(Limits { idle: Duration::from_millis(5), connection_age: LONG, ..Limits::default() });
    let mut client = running.client().await;
    let call = client.list_networks(ask("hold"));
    let (answer, ()) = tokio::join!(call, async {
        running.call_begun().await;
        // Another connection comes and is found idle: by then the first would have been, too.
        let mut other = Raw::open(running.address()).await;
        soon(other.next_of(GOAWAY)).await.expect("nobody calls on it");
        running.release.add_permits(1);
    });
    answer.expect("the call was left alone");
}

#[tokio::test]
async fn a_stream_on_an_old_connection_ends_with_a_reason() {
    let running = start(Limits { connection_age: SHORT, connection_age_grace: SHORT, ..Limits::default() });
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", running.address())).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());
    let mut stream = client.watch(HealthCheckRequest::default()).await.expect("a stream").into_inner();
    let end = soon(async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                other => return other,
            }
        }
    });
    let status = end.await.expect_err("the stream does not end well by itself");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(status.get_details_error_info().expect("a reason").reason, "SHUTTING_DOWN");
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn connections_spread_over_the_workers() {
    let running = start_with(Limits::default(), 2, None);
    let mut threads = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let answer = running.client().await.list_networks(ask("thread")).await.expect("each worker serves");
        threads.insert(answer.into_inner().next_page_token);
    }
    assert_eq!(threads.into_iter().collect::<Vec<_>>(), ["grpc-0", "grpc-1"]);
}
