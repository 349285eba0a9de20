//! The sender against real receivers on loopback.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::base::clock::{Clock, SystemClock};
use crate::base::secret::Secret;
use crate::outbound::address::FakeLookup;
use crate::outbound::signature::{SigningSecret, signed};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &str = r#"{"type":"token_load_too_high.opened"}"#;

fn post(url: &str, allow_private: bool) -> Post {
    let (url, body) = (url.to_owned(), BODY.as_bytes().to_vec());
    Post { url, headers: Vec::new(), content_type: "application/json", body, allow_private }
}

fn sender(addresses: &[&str]) -> HttpPost {
    let lookup = FakeLookup(addresses.iter().map(|address| address.parse().unwrap()).collect());
    HttpPost::new(Duration::from_secs(10), Arc::new(lookup), Authorities::default())
}

/// Takes one request, answers with `answer`, and returns what came.
async fn answer_once(listener: &TcpListener, answer: &str) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut seen = Vec::new();
    while !complete(&seen) {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "the request ended early");
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    String::from_utf8(seen).unwrap()
}

fn complete(request: &[u8]) -> bool {
    request.ends_with(br#".opened"}"#)
}

async fn post_to(answer: &str) -> (Result<(), DeliveryError>, String, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = listener.local_addr().unwrap().to_string();
    let sender = sender(&[&address]);
    let post = post(&format!("http://hooks.example:{port}/in?a=b"), true);
    let (seen, outcome) = tokio::join!(answer_once(&listener, answer), sender.post(&post));
    (outcome, seen, port)
}

#[tokio::test]
async fn a_signed_post_verifies_at_the_receiver() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sender = sender(&[&address.to_string()]);
    let secret = SigningSecret::parse(&Secret::new(KEY.to_owned())).unwrap();
    let headers = signed(&[secret], "out_7", SystemClock::start().now(), BODY);
    let post = Post { headers, ..post(&format!("http://hooks.example:{}/in?a=b", address.port()), true) };
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    let (seen, outcome) = tokio::join!(answer_once(&listener, answer), sender.post(&post));
    outcome.unwrap();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /in?a=b HTTP/1.1\r\n"), "{head}");
    let headers: HeaderMap = head
        .lines()
        .skip(1)
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    assert_eq!(headers["host"], format!("hooks.example:{}", address.port()));
    assert_eq!(headers["webhook-id"], "out_7");
    standardwebhooks::Webhook::new(KEY).unwrap().verify(body.as_bytes(), &headers).unwrap();
}

#[tokio::test]
async fn what_should_not_be_called_is_refused_before_anything_is_sent() {
    let refused = [
        ("http://hooks.example/", vec!["1.1.1.1:80"], "plain http"),
        ("ftp://hooks.example/", vec!["1.1.1.1:21"], "not usable"),
        ("https://ann:secret@hooks.example/", vec!["1.1.1.1:443"], "not usable"),
        ("nonsense", vec![], "not usable"),
        ("https://hooks.example/", vec!["127.0.0.1:443"], "127.0.0.1"),
        ("https://hooks.example/", vec!["1.1.1.1:443", "10.0.0.1:443"], "10.0.0.1"),
        ("https://hooks.example/", vec!["[::ffff:169.254.169.254]:443"], "169.254.169.254"),
        ("https://127.0.0.1/", vec!["1.1.1.1:443"], "127.0.0.1"),
        ("https://2130706433/", vec!["1.1.1.1:443"], "127.0.0.1"),
        ("https://0x7f.1/", vec!["1.1.1.1:443"], "127.0.0.1"),
        ("https://[fd00::1]/", vec!["1.1.1.1:443"], "fd00::1"),
    ];
    for (url, addresses, why) in refused {
        let error = sender(&addresses).post(&post(url, false)).await.unwrap_err();
        assert!(!error.may_pass() && error.to_string().contains(why), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_name_without_addresses_may_have_some_later() {
    let error = sender(&[]).post(&post("https://hooks.example/", false)).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Lookup(None)) && error.may_pass(), "{error:?}");
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = elsewhere.local_addr().unwrap();
    let answer =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{location}/\r\ncontent-length: 0\r\n\r\n");
    let (outcome, ..) = post_to(&answer).await;
    assert!(matches!(&outcome, Err(DeliveryError::Status { status: 307, .. })), "{outcome:?}");
    let nobody = std::future::poll_fn(|cx| std::task::Poll::Ready(elsewhere.poll_accept(cx).is_pending())).await;
    assert!(nobody, "the redirect was followed");
}

#[tokio::test]
async fn the_answer_decides() {
    let (outcome, ..) = post_to("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n").await;
    assert!(outcome.is_err_and(|error| matches!(error, DeliveryError::Gone(410)) && !error.may_pass()));
    let busy = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n";
    let (outcome, ..) = post_to(busy).await;
    assert_eq!(outcome.unwrap_err().asked_wait(), Some(Duration::from_secs(120)));
    let (outcome, ..) = post_to("nonsense\r\n\r\n").await;
    assert!(matches!(outcome, Err(DeliveryError::Http(_))), "{outcome:?}");
}

#[tokio::test]
async fn an_error_tells_neither_the_url_nor_the_body() {
    let answer = "HTTP/1.1 500 Oops\r\ncontent-length: 12\r\n\r\ntheir-secret";
    for answer in [answer, "nonsense\r\n\r\n"] {
        let (outcome, _, port) = post_to(answer).await;
        let told = format!("{outcome:?}");
        for secret in ["their-secret", "hooks.example", "a=b", &port.to_string()] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

#[tokio::test]
async fn a_success_does_not_wait_for_the_body() {
    let (outcome, ..) = post_to("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
    outcome.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_receiver_costs_the_time_of_one_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let outcome = sender(&[&address]).post(&post(&format!("http://{address}/"), true)).await;
    assert!(matches!(outcome, Err(DeliveryError::Timeout)), "{outcome:?}");
}

#[tokio::test]
async fn the_fake_remembers_and_fails_as_told() {
    let fake = FakePost::default();
    fake.fail_next(DeliveryError::Timeout);
    let post = post("https://hooks.example/", false);
    assert!(matches!(fake.post(&post).await, Err(DeliveryError::Timeout)));
    fake.post(&post).await.unwrap();
    assert_eq!(fake.attempts().len(), 2);
}
