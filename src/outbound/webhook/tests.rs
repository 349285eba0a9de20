//! The sender against real receivers on loopback.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::base::clock::{ManualClock, SystemClock};
use crate::base::secret::Secret;
use crate::outbound::address::FakeLookup;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OPEN: WebhookPolicy = WebhookPolicy { allow_http: true, allow_private: true, timeout: Duration::from_secs(10) };

fn delivery(url: &str) -> WebhookDelivery {
    WebhookDelivery {
        id: OutboxId::from_u128(7),
        url: url.to_owned(),
        secrets: vec![SigningSecret::parse(&Secret::new(KEY.to_owned())).unwrap()],
        body: r#"{"type":"token_load_too_high.opened"}"#.to_owned(),
        attempts: 0,
        first_tried_at: None,
    }
}

fn sender(policy: WebhookPolicy, addresses: &[&str]) -> HttpWebhookSender {
    let lookup = FakeLookup(addresses.iter().map(|address| address.parse().unwrap()).collect());
    let clock = ManualClock::at(Timestamp::from_secs(1_700_000_000));
    HttpWebhookSender::new(policy, RetryRule::default(), Arc::new(lookup), Arc::new(clock))
}

async fn outcome(policy: WebhookPolicy, url: &str, addresses: &[&str]) -> DeliveryOutcome {
    sender(policy, addresses).deliver_once(&delivery(url), 0).await
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

async fn deliver_to(answer: &str) -> (DeliveryOutcome, String, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = listener.local_addr().unwrap().to_string();
    let sender = sender(OPEN, &[&address]);
    let delivery = delivery(&format!("http://hooks.example:{port}/in?a=b"));
    let (seen, outcome) = tokio::join!(answer_once(&listener, answer), sender.deliver_once(&delivery, 0));
    (outcome, seen, port)
}

#[tokio::test]
async fn a_delivery_verifies_at_the_receiver() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let lookup = Arc::new(FakeLookup(vec![address]));
    let sender = HttpWebhookSender::new(OPEN, RetryRule::default(), lookup, Arc::new(SystemClock::start()));
    let delivery = delivery(&format!("http://hooks.example:{}/in?a=b", address.port()));
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    let (seen, outcome) = tokio::join!(answer_once(&listener, answer), sender.deliver_once(&delivery, 0));
    assert!(matches!(outcome, DeliveryOutcome::Sent), "{outcome:?}");
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /in?a=b HTTP/1.1\r\n"), "{head}");
    let headers: http::HeaderMap = head
        .lines()
        .skip(1)
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    assert_eq!(headers["host"], format!("hooks.example:{}", address.port()));
    assert_eq!(headers["webhook-id"], OutboxId::from_u128(7).to_string());
    standardwebhooks::Webhook::new(KEY).unwrap().verify(body.as_bytes(), &headers).unwrap();
}

#[tokio::test]
async fn what_should_not_be_called_is_refused_before_anything_is_sent() {
    let closed = WebhookPolicy::default();
    let dead = [
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
    for (url, addresses, why) in dead {
        match outcome(closed, url, &addresses).await {
            DeliveryOutcome::Dead(reason) => assert!(reason.to_string().contains(why), "{url}: {reason}"),
            other => panic!("{url}: {other:?}"),
        }
    }
    let unsigned = WebhookDelivery { secrets: Vec::new(), ..delivery("https://hooks.example/") };
    let outcome = sender(closed, &["1.1.1.1:443"]).deliver_once(&unsigned, 0).await;
    assert!(matches!(outcome, DeliveryOutcome::Dead(DeadReason::Unsendable(DeliveryError::NoSecret))));
}

#[tokio::test]
async fn a_name_without_addresses_is_tried_again() {
    let outcome = outcome(WebhookPolicy::default(), "https://hooks.example/", &[]).await;
    assert!(matches!(outcome, DeliveryOutcome::Retry { error: DeliveryError::Lookup(None), .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = elsewhere.local_addr().unwrap();
    let answer =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{location}/\r\ncontent-length: 0\r\n\r\n");
    let (outcome, ..) = deliver_to(&answer).await;
    assert!(
        matches!(&outcome, DeliveryOutcome::Retry { error: DeliveryError::Status { status: 307, .. }, .. }),
        "{outcome:?}"
    );
    let nobody = std::future::poll_fn(|cx| std::task::Poll::Ready(elsewhere.poll_accept(cx).is_pending())).await;
    assert!(nobody, "the redirect was followed");
}

#[tokio::test]
async fn the_answer_decides() {
    let (outcome, ..) = deliver_to("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n").await;
    assert!(matches!(outcome, DeliveryOutcome::Dead(DeadReason::Unsendable(DeliveryError::Gone))), "{outcome:?}");
    let busy = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n";
    let (outcome, ..) = deliver_to(busy).await;
    let DeliveryOutcome::Retry { after, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(after, Duration::from_secs(120));
    let (outcome, ..) = deliver_to("nonsense\r\n\r\n").await;
    assert!(matches!(outcome, DeliveryOutcome::Retry { error: DeliveryError::Http(_), .. }), "{outcome:?}");
}

#[tokio::test]
async fn an_error_tells_neither_the_url_nor_the_body() {
    let answer = "HTTP/1.1 500 Oops\r\ncontent-length: 12\r\n\r\ntheir-secret";
    for answer in [answer, "nonsense\r\n\r\n"] {
        let (outcome, _, port) = deliver_to(answer).await;
        let told = format!("{outcome:?}");
        for secret in ["their-secret", "hooks.example", "a=b", &port.to_string()] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

#[tokio::test]
async fn a_success_does_not_wait_for_the_body() {
    let (outcome, ..) = deliver_to("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
    assert!(matches!(outcome, DeliveryOutcome::Sent), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_receiver_costs_the_time_of_one_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let sender = sender(OPEN, &[&address]);
    let outcome = sender.deliver_once(&delivery(&format!("http://{address}/")), 0).await;
    assert!(matches!(outcome, DeliveryOutcome::Retry { error: DeliveryError::Timeout, .. }), "{outcome:?}");
}

#[tokio::test]
async fn the_last_attempt_ends_it() {
    let last = WebhookDelivery { attempts: 11, ..delivery("https://hooks.example/") };
    let outcome = sender(WebhookPolicy::default(), &[]).deliver_once(&last, 0).await;
    match outcome {
        DeliveryOutcome::Dead(DeadReason::GivenUp { attempts: 12, last: DeliveryError::Lookup(_) }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_fake_remembers_and_answers_as_told() {
    let fake = FakeWebhookSender::default();
    fake.answer_next(DeliveryOutcome::Retry { after: Duration::ZERO, error: DeliveryError::Timeout });
    let delivery = delivery("https://hooks.example/");
    assert!(matches!(fake.deliver_once(&delivery, 0).await, DeliveryOutcome::Retry { .. }));
    assert!(matches!(fake.deliver_once(&delivery, 0).await, DeliveryOutcome::Sent));
    assert_eq!(fake.attempts().len(), 2);
}
