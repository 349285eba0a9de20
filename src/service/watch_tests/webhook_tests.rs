//! How an alert reaches a webhook.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

use crate::base::clock::Clock;
use crate::config::{Alerts, Config, Heard, Webhook};
use crate::outbound::address::{FakeLookup, Lookup};
use crate::service::notices::Notices;
use crate::service::watched::{HOLD, ROUND, Watched};
use crate::store::OutboxState;
use crate::text::Text;

/// What a receiver of webhooks saw; it fails the first attempt.
#[derive(Default)]
struct Inbox(Mutex<Vec<(HeaderMap, String)>>);

async fn receive(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut seen = inbox.0.lock().unwrap();
    seen.push((headers, String::from_utf8(body.to_vec()).unwrap()));
    if seen.len() == 1 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NO_CONTENT }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the receiver is not a task of the broker")]
async fn an_alert_reaches_a_webhook_though_it_fails_at_first() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let inbox = Arc::new(Inbox::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().route("/in", post(receive)).with_state(inbox.clone());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let keys = tempfile::TempDir::new().unwrap();
    let secret_file = keys.path().join("secret");
    std::fs::write(&secret_file, format!("{SECRET}\n")).unwrap();
    let url = format!("http://{address}/in").parse().unwrap();
    let mut watched = Watched::start(|config| {
        config.alerts.webhooks.push(Webhook { url, secret_file, allow_private: true, events: Heard::Alerts })
    })
    .await;
    watched.rounds("search", 16, HOLD + ROUND).await;
    let broker = watched.broker.clone();
    assert_eq!(Text::english().tell_of(&broker.tell_events().await.unwrap()), "1 event told");
    assert_eq!(broker.deliver_due().await.unwrap(), 1);
    let waiting = broker.store.list_outbox(OutboxState::Pending, None, 10).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].attempts), (1, 1));
    assert_eq!(waiting[0].last_error.as_deref(), Some("the receiver answered 500"));
    watched.clock.set(waiting[0].due_at.max(watched.clock.now() + Duration::from_secs(11)));
    assert_eq!(broker.deliver_due().await.unwrap(), 1);
    watched.clock.advance(Duration::from_secs(3600));
    assert_eq!(broker.deliver_due().await.unwrap(), 0, "once is enough");
    let sent = broker.store.list_outbox(OutboxState::Sent, None, 10).await.unwrap();
    assert_eq!((sent.len(), sent[0].attempts), (1, 2));
    let seen = inbox.0.lock().unwrap().clone();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].0["webhook-id"], seen[1].0["webhook-id"], "by which the receiver knows the repetition");
    let reference = standardwebhooks::Webhook::new(SECRET).unwrap();
    for (headers, body) in &seen {
        let signature = headers["webhook-signature"].to_str().unwrap();
        let (id, at) = (headers["webhook-id"].to_str().unwrap(), headers["webhook-timestamp"].to_str().unwrap());
        assert_eq!(reference.sign(id, at.parse().unwrap(), body.as_bytes()).unwrap(), signature);
    }
    let body: serde_json::Value = serde_json::from_str(&seen[1].1).unwrap();
    assert_eq!(
        (&body["type"], &body["data"]["key"]),
        (&"no_access_tokens.opened".into(), &"no_access_tokens/acme/net/search".into())
    );
    server.abort();
}

#[tokio::test]
async fn a_webhook_without_its_secret_is_refused_at_the_start() {
    let url: url::Url = "https://hooks.example/in".parse().unwrap();
    let dir = tempfile::TempDir::new().unwrap();
    let lookup: Arc<dyn Lookup> = Arc::new(FakeLookup(Vec::new()));
    for (content, expected) in [(None, "can't be read"), (Some(""), "no signing secret"), (Some("abc"), "whsec_")] {
        let secret_file = dir.path().join("secret");
        if let Some(content) = content {
            std::fs::write(&secret_file, content).unwrap();
        }
        let webhooks = vec![Webhook { url: url.clone(), secret_file, allow_private: false, events: Heard::Alerts }];
        let alerts = Alerts { webhooks, ..Alerts::default() };
        let config = Config { alerts, ..Config::default() };
        let error = Notices::of_config(&config, &lookup).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
