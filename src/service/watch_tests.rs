//! Loads, alerts and their messages, on a whole broker whose clock stands still.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

use crate::base::clock::{Clock, Timestamp};
use crate::config::Webhook;
use crate::domain::load::{Advice, Ratio, Span};
use crate::domain::networks::Owner;
use crate::domain::token::Clocks;
use crate::service::watched::{HOLD, ROUND, Watched, acme};
use crate::service::{AddedCollection, AddedTokens, AlertStanding, Caller, ListAlerts, LoadLevel};
use crate::store::OutboxState;

const MINUTES_6: Duration = Duration::from_secs(360);
/// Longer than a slot of the longest span: every span is then told of rightly.
const MINUTES_20: Duration = Duration::from_secs(1200);

async fn plain() -> Watched {
    Watched::start(|_| {}).await
}

#[tokio::test]
async fn too_much_demand_opens_the_alert_and_the_advised_tokens_clear_it() {
    let mut watched = plain().await;
    watched.add_tokens(2).await;
    watched.rounds("search", 16, HOLD).await;
    assert_eq!(watched.open_messages().await, Vec::<String>::new(), "it has not held long enough");
    watched.round("search", 16).await;
    let messages = watched.open_messages().await;
    let expected = "Token load too high: team acme, net/search at 2.4; 4 more net tokens bring the load to 0.8. \
                    In 5 minutes, 480 credits are asked for and 2 tokens can give 200.";
    assert!(messages.len() == 1 && messages[0].starts_with(expected), "{messages:?}");
    let load = watched.broker.team_load(&Caller::Broker, &acme(), None).unwrap();
    assert_eq!(load.level, LoadLevel::Critical);
    watched.add_tokens(4).await;
    watched.rounds("search", 16, HOLD + ROUND).await;
    assert_eq!(watched.open_messages().await, Vec::<String>::new());
    watched.rounds("search", 17, MINUTES_6).await;
    assert_eq!(watched.opened().await, 1, "between the thresholds nothing changes");
}

#[tokio::test]
async fn every_span_is_shown_with_its_own_supply() {
    let mut watched = plain().await;
    watched.add_tokens(2).await;
    watched.rounds("search", 4, MINUTES_20).await;
    let load = watched.broker.team_load(&Caller::Broker, &acme(), Some(&"net".parse().unwrap())).unwrap();
    let search = load.classes.iter().find(|class| class.key.class.as_str() == "search").unwrap();
    assert_eq!((search.level, search.advice.clone()), (LoadLevel::Ok, Advice::Nothing));
    for (span, supply) in [(Span::FiveMinutes, 200.0), (Span::Hour, 2400.0), (Span::Day, 57_600.0)] {
        let of_span = search.spans.of(span);
        assert_eq!((of_span.supply, of_span.tokens), (supply, 2));
        assert!((of_span.ratio.value() - 0.6).abs() < 0.03, "{span:?}: {}", of_span.ratio);
    }
    assert_eq!(search.causes.len(), 10, "the ten largest of thirty");
    let read = load.classes.iter().find(|class| class.key.class.as_str() == "read").unwrap();
    assert_eq!(read.spans.five_minutes.ratio, Ratio::Of(0.0), "tokens without demand are shown, too");
}

#[tokio::test]
async fn where_the_limit_is_the_apps_more_tokens_are_not_advised() {
    let mut watched = plain().await;
    watched.add_tokens(2).await;
    watched.rounds("read", 16, HOLD + ROUND).await;
    let messages = watched.open_messages().await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("more tokens add nothing here: the limit belongs to the app"), "{messages:?}");
}

#[tokio::test]
async fn keys_that_are_open_are_no_new_demand() {
    let mut watched = plain().await;
    watched.add_tokens(1).await;
    let keys = |from: usize| (from..from + 2).map(|key| format!("tag {key}")).collect::<Vec<_>>();
    for round in 0..20 {
        watched.ask("tag", 2, "brand", keys(round % 2 * 2)).await;
        watched.clock.advance(ROUND);
    }
    watched.broker.watch_loads().await.unwrap();
    let load = watched.broker.team_load(&Caller::Broker, &acme(), None).unwrap();
    let tags = load.classes.iter().find(|class| class.key.class.as_str() == "tags").unwrap();
    assert_eq!((tags.spans.five_minutes.demand, tags.spans.five_minutes.supply), (4.0, 5.0));
    assert_eq!((tags.spans.day.demand, tags.spans.day.supply), (4.0, 5.0));
}

#[tokio::test]
async fn an_open_alert_outlives_a_restart() {
    let mut watched = plain().await;
    watched.add_tokens(2).await;
    watched.rounds("search", 16, HOLD + ROUND).await;
    let before = watched.broker.open_alerts(None).await.unwrap();
    assert_eq!(before.len(), 1);
    watched.restart().await;
    watched.rounds("search", 16, HOLD * 2).await;
    assert_eq!(watched.broker.open_alerts(None).await.unwrap(), before);
    assert_eq!(watched.opened().await, 1);
    watched.rounds("search", 0, MINUTES_6 + HOLD).await;
    assert_eq!(watched.open_messages().await, Vec::<String>::new());
}

#[tokio::test]
async fn demand_without_a_token_opens_an_alert_and_a_token_clears_it() {
    let mut watched = plain().await;
    watched.rounds("search", 16, HOLD + ROUND).await;
    let messages = watched.open_messages().await;
    assert_eq!(messages.len(), 1, "one fact, one alert: {messages:?}");
    assert!(messages[0].starts_with("Team acme has no usable net token for search: it has none"), "{messages:?}");
    let load = watched.broker.team_load(&Caller::Broker, &acme(), None).unwrap();
    assert_eq!((load.level, load.classes[0].advice.clone()), (LoadLevel::NoTokens, advised(&load.classes[0].advice)));
    watched.add_tokens(6).await;
    watched.broker.watch_loads().await.unwrap();
    assert_eq!(watched.open_messages().await, Vec::<String>::new());
}

/// The advice without a token goes by an example: it says a number.
fn advised(advice: &Advice) -> Advice {
    let Advice::AddTokens { tokens, newcomer, reaches } = advice.clone() else { panic!("{advice:?}") };
    assert!((5..=8).contains(&tokens), "{tokens}");
    Advice::AddTokens { tokens, newcomer, reaches }
}

#[tokio::test]
async fn demand_that_stops_clears_the_alert_about_tokens() {
    let mut watched = plain().await;
    watched.rounds("search", 16, HOLD + ROUND).await;
    assert_eq!(watched.open_messages().await.len(), 1);
    watched.rounds("search", 0, MINUTES_6).await;
    assert_eq!(watched.open_messages().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_acknowledged_alert_says_who_and_is_over_once() {
    let mut watched = plain().await;
    watched.rounds("search", 16, HOLD + ROUND).await;
    let open = watched.broker.open_alerts(Some(&acme())).await.unwrap();
    let mut changes = watched.broker.watch.watch_alerts();
    let noted = watched.broker.acknowledge_alert(&Caller::Broker, &acme(), open[0].id, "seen").await.unwrap();
    assert_eq!(noted.acknowledged.as_ref().map(|noted| noted.by.as_str()), Some("broker"));
    assert_eq!(*changes.try_recv().unwrap(), noted);
    let acknowledged = ListAlerts { state: Some(AlertStanding::Acknowledged), ..ListAlerts::default() };
    let listed = watched.broker.list_alerts(&Caller::Broker, acknowledged, 10).await.unwrap();
    assert_eq!(listed, [noted.clone()]);
    watched.add_tokens(6).await;
    watched.broker.watch_loads().await.unwrap();
    let cleared = changes.try_recv().unwrap();
    assert_eq!((cleared.acknowledged.clone(), cleared.cleared_at), (noted.acknowledged, Some(watched.clock.now())));
    let late = watched.broker.acknowledge_alert(&Caller::Broker, &acme(), open[0].id, "late").await;
    assert!(late.is_err_and(|error| error.to_string().contains("cleared")));
}

#[tokio::test]
async fn known_ends_of_tokens_are_foretold() {
    let mut watched = plain().await;
    let day = Duration::from_secs(86_400);
    let ends = |days: u32| Clocks { access_expires_at: Some(watched.clock.now() + day * days), ..Clocks::default() };
    let (soon, later) = (ends(3), ends(10));
    let first = watched.add_token(soon).await.token.id;
    watched.add_token(later).await;
    watched.add_tokens(1).await;
    watched.rounds("search", 6, MINUTES_20).await;
    let load = watched.broker.team_load(&Caller::Broker, &acme(), None).unwrap();
    let search = load.classes.iter().find(|class| class.key.class.as_str() == "search").unwrap();
    let seen: Vec<_> = search.forecast.iter().map(|at| (at.at, at.ending, at.level)).collect();
    let at = |clocks: &Clocks| clocks.access_expires_at.unwrap();
    assert_eq!(seen, [(at(&soon), 1, LoadLevel::High), (at(&later), 1, LoadLevel::Critical)]);
    assert_eq!(search.forecast[0].tokens, [first]);
}

#[tokio::test]
async fn what_is_not_there_yet_is_estimated() {
    let mut watched = plain().await;
    watched.add_tokens(2).await;
    watched.rounds("search", 4, MINUTES_6).await;
    let estimate = |calls_per_hour: u64, count: u64| {
        let (network, operation) = ("net".to_owned(), "search".to_owned());
        let collection = AddedCollection { network, operation, calls_per_hour };
        let tokens = AddedTokens { network: "net".into(), kind: "user".into(), count, facts: Default::default() };
        let collections = if calls_per_hour > 0 { vec![collection] } else { Vec::new() };
        let tokens = if count > 0 { vec![tokens] } else { Vec::new() };
        let (present, then) = watched.broker.estimate_load(&Caller::Broker, &acme(), &collections, &tokens).unwrap();
        assert!(present.classes.iter().any(|class| class.key.class.as_str() == "search"));
        then.classes.into_iter().find(|class| class.key.class.as_str() == "search").unwrap()
    };
    let asked = estimate(0, 1).spans.hour.demand;
    for (calls, tokens, supply) in [(0, 1, 3600.0), (2400, 0, 2400.0), (2400, 20_000, 24_002_400.0)] {
        let then = estimate(calls, tokens);
        let hour = &then.spans.hour;
        assert!((hour.supply - supply).abs() < 1e-3, "{calls}, {tokens}: {}", hour.supply);
        assert!((hour.demand - asked - calls as f64).abs() < 1e-6);
        assert_eq!(u64::from(hour.tokens), 2 + tokens);
    }
    let crowded = estimate(2400, 0);
    assert_eq!(crowded.level, LoadLevel::Critical);
    let Advice::AddTokens { tokens, .. } = crowded.advice else { panic!("{:?}", crowded.advice) };
    assert_ne!(estimate(2400, tokens - 1).spans.hour.ratio.value().max(0.8), 0.8);
    assert!(estimate(2400, tokens).spans.hour.ratio.value() <= 0.8 + 1e-6);
}

#[tokio::test]
async fn a_team_without_tokens_shares_the_apps_limit_in_an_estimate() {
    let mut watched = plain().await;
    watched.add_tokens(1).await;
    watched.add_team("other").await;
    watched.broker.watch_loads().await.unwrap();
    let tokens = [AddedTokens { network: "net".into(), kind: "user".into(), count: 3, facts: Default::default() }];
    let other = "other".parse().unwrap();
    let (_, then) = watched.broker.estimate_load(&Caller::Broker, &other, &[], &tokens).unwrap();
    let read = then.classes.iter().find(|class| class.key.class.as_str() == "read").unwrap();
    assert_eq!(read.spans.hour.supply, 540.0, "half of 1200 less the reserve of 10 %");
    let Advice::Nothing = read.advice else { panic!("{:?}", read.advice) };
    assert!(read.supply.as_ref().is_some_and(|supply| supply.tokens[0].buckets[0].owner == Owner::App));
}

#[tokio::test]
async fn metrics_show_the_books() {
    let mut watched = plain().await;
    watched.add_tokens(2).await;
    watched.rounds("search", 4, HOLD).await;
    watched.broker.show_metrics();
    let shown = watched.broker.metrics.render();
    for line in [
        "token_broker_team_load_ratio{team=\"acme\",network=\"net\",class=\"search\"} 0.6",
        "token_broker_tokens{network=\"net\",status=\"live\"} 2",
        "token_broker_leases_active{network=\"net\"} 0",
        "token_broker_over_grants 0",
        "token_broker_alerts{kind=\"token_load_too_high\",state=\"open\"} 0",
    ] {
        assert!(shown.lines().any(|seen| seen == line), "{line}\n{shown}");
    }
}

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
    let mut watched =
        Watched::start(|config| config.alerts.webhooks.push(Webhook { url, secret_file, allow_private: true })).await;
    watched.rounds("search", 16, HOLD + ROUND).await;
    let (broker, lane) = (watched.broker.clone(), &watched.broker.watch.lanes[0]);
    assert_eq!(broker.deliver(lane).await.unwrap(), 1);
    let waiting = broker.store.list_outbox(OutboxState::Pending, None, 10).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].attempts), (1, 1));
    assert_eq!(waiting[0].last_error.as_deref(), Some("the receiver answered 500"));
    watched.clock.set(waiting[0].due_at.max(watched.clock.now() + Duration::from_secs(11)));
    assert_eq!(broker.deliver(lane).await.unwrap(), 1);
    watched.clock.advance(Duration::from_secs(3600));
    assert_eq!(broker.deliver(lane).await.unwrap(), 0, "once is enough");
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
    let (lookup, clock) = lookup_and_clock();
    for (content, expected) in [(None, "can't be read"), (Some(""), "no signing secret"), (Some("abc"), "whsec_")] {
        let secret_file = dir.path().join("secret");
        if let Some(content) = content {
            std::fs::write(&secret_file, content).unwrap();
        }
        let webhooks = vec![Webhook { url: url.clone(), secret_file, allow_private: false }];
        let alerts = crate::config::Alerts { webhooks, ..crate::config::Alerts::default() };
        let error = crate::service::Lane::of_config(&alerts, &lookup, &clock).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

fn lookup_and_clock() -> (Arc<dyn crate::outbound::address::Lookup>, Arc<dyn Clock>) {
    let clock = crate::base::clock::ManualClock::at(Timestamp::EPOCH);
    (Arc::new(crate::outbound::address::FakeLookup(Vec::new())), Arc::new(clock))
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_every_run_is_noted() {
    let watched = plain().await;
    assert_eq!(watched.broker.prune().await.unwrap(), "0 leases, 0 blocks, 0 requests, 0 messages, 0 alerts");
    let began = watched.clock.now();
    watched.broker.watch.status.note("prune", began, began, Ok("first".to_owned()));
    watched.broker.watch.status.note("prune", began, began + ROUND, Err("the disk is full".to_owned()));
    let last = watched.broker.watch.status.last_runs().remove("prune").unwrap();
    assert_eq!((last.runs, last.failures, last.took), (2, 1, ROUND));
    assert_eq!(last.result, Err("the disk is full".to_owned()));
}
