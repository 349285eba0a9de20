//! Floods and slow openings: each ends the attacker's connection, and the next client is served.

use std::time::Duration;

use token_broker::grpc::listener::Limits;

use crate::raw::*;
use crate::soon;
use crate::stub::{Running, ask, start};

const PATH: &str = "/tokenbroker.v1.NetworkService/ListNetworks";

async fn assert_alive(running: &Running) {
    let mut client = running.client().await;
    client.list_networks(ask("")).await.expect("an honest client is served");
}

#[tokio::test]
async fn the_limits_are_advertised() {
    let running = start(Limits::default());
    let mut raw = Raw::open(running.address()).await;
    let settings = soon(raw.next_of(SETTINGS)).await.expect("SETTINGS come first");
    assert_eq!(settings.setting(3), Some(128), "MAX_CONCURRENT_STREAMS");
    assert_eq!(settings.setting(6), Some(8192), "MAX_HEADER_LIST_SIZE");
    assert_eq!(settings.setting(5).unwrap_or(16_384), 16_384, "MAX_FRAME_SIZE");
    assert_eq!(settings.setting(4), Some(128 * 1024), "INITIAL_WINDOW_SIZE");
}

/// CVE-2023-44487: open, reset, open, reset …
#[tokio::test]
async fn rapid_resets_end_in_goaway() {
    let running = start(Limits::default());
    let mut raw = Raw::open(running.address()).await;
    let mut flood = Vec::new();
    for stream in (1..4001).step_by(2) {
        flood.extend(frame(HEADERS, END_HEADERS, stream, &request(PATH)));
        flood.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    // The server may hang up before it has read all.
    let _ = raw.send(&flood).await;
    assert_eq!(soon(raw.last_words()).await, Some(ENHANCE_YOUR_CALM));
    assert_alive(&running).await;
}

/// RUSTSEC-2024-0003: requests so wrong that the server has to reset each.
#[tokio::test]
async fn resets_that_the_server_must_send_end_in_goaway() {
    let running = start(Limits { local_error_resets: 100, ..Limits::default() });
    let mut raw = Raw::open(running.address()).await;
    let wrong = fields(&[(":method", "POST"), (":method", "POST")]);
    for stream in (1..1001).step_by(2) {
        if raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &wrong)).await.is_err() {
            break;
        }
    }
    assert_eq!(soon(raw.last_words()).await, Some(ENHANCE_YOUR_CALM));
    assert_alive(&running).await;
}

#[tokio::test]
async fn endless_continuations_are_cut_off() {
    let running = start(Limits::default());
    let mut raw = Raw::open(running.address()).await;
    raw.send(&frame(HEADERS, 0, 1, &request(PATH))).await.expect("one frame is no flood");
    let more = frame(CONTINUATION, 0, 1, &fields(&[("x-more", &"x".repeat(100))]));
    assert_eq!(soon(raw.flood(more)).await, Some(ENHANCE_YOUR_CALM));
    assert_alive(&running).await;
}

#[tokio::test]
async fn endless_empty_data_is_cut_off() {
    let running = start(Limits::default());
    let mut raw = Raw::open(running.address()).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &request(PATH))).await.expect("one frame is no flood");
    assert_eq!(soon(raw.flood(frame(DATA, 0, 1, &[]))).await, Some(ENHANCE_YOUR_CALM));
    assert_alive(&running).await;
}

#[tokio::test]
async fn a_connection_without_preface_is_closed() {
    let running = start(Limits { preface_timeout: Duration::from_millis(50), ..Limits::default() });
    for beginning in [&b""[..], &PREFACE[..23]] {
        let mut raw = Raw::silent(running.address()).await;
        raw.send(beginning).await.expect("the listener runs");
        soon(raw.closed()).await;
    }
    assert_alive(&running).await;
}

#[tokio::test]
async fn another_protocol_is_turned_away_at_once() {
    let running = start(Limits { preface_timeout: Duration::from_secs(3600), ..Limits::default() });
    let mut raw = Raw::silent(running.address()).await;
    raw.send(b"GET / HTTP/1.1\r\n\r\n").await.expect("the listener runs");
    soon(raw.closed()).await;
}

#[tokio::test]
async fn a_client_that_gives_no_sign_of_life_is_closed() {
    let short = Duration::from_millis(50);
    let running = start(Limits { keepalive: short, keepalive_timeout: short, ..Limits::default() });
    let mut raw = Raw::open(running.address()).await;
    soon(raw.closed()).await;
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused() {
    let running = start(Limits { streams: 2, ..Limits::default() });
    let mut raw = Raw::open(running.address()).await;
    for stream in [1, 3, 5] {
        raw.send(&frame(HEADERS, END_HEADERS, stream, &request(PATH))).await.expect("the listener runs");
    }
    let reset = soon(raw.next_of(RST_STREAM)).await.expect("the third is reset");
    assert_eq!(reset.payload, 7_u32.to_be_bytes(), "REFUSED_STREAM");
}
