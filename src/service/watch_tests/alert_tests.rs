//! When alerts open and clear, and what they say.

use crate::base::clock::Clock;
use crate::domain::load::Advice;
use crate::service::watch_tests::{MINUTES_5, MINUTES_6, plain};
use crate::service::watched::{HOLD, ROUND, Watched, acme};
use crate::service::{AlertStanding, Caller, ListAlerts, LoadLevel};

#[tokio::test]
async fn too_much_demand_opens_the_alert_and_the_advised_tokens_clear_it() {
    let mut watched = plain().await;
    watched.add_tokens(2).await;
    // Of 200, 192 are asked for after 12 rounds.
    watched.rounds("search", 16, ROUND * 11 + HOLD).await;
    assert_eq!(watched.open_messages().await, Vec::<String>::new(), "it has not held long enough");
    watched.round("search", 16).await;
    let messages = watched.open_messages().await;
    let expected = "Token load too high: team acme, net/search at 1.44; 2 more net tokens bring the load to 0.72. \
                    In 5 minutes, 288 credits are asked for and 2 tokens can give 200.";
    assert!(messages.len() == 1 && messages[0].starts_with(expected), "{messages:?}");
    let load = watched.broker.team_load(&Caller::Broker, &acme(), None).unwrap();
    assert_eq!(load.level, LoadLevel::Critical);
    watched.rounds("search", 16, MINUTES_5).await;
    watched.add_tokens(4).await;
    watched.rounds("search", 16, HOLD + ROUND).await;
    assert_eq!(watched.open_messages().await, Vec::<String>::new());
    watched.rounds("search", 17, MINUTES_6).await;
    assert_eq!(watched.opened().await, 1, "between the thresholds nothing changes");
}

#[tokio::test]
async fn an_open_alert_is_shown_with_the_figures_of_now() {
    let mut watched = plain().await;
    watched.add_tokens(2).await;
    watched.rounds("search", 16, ROUND * 12 + HOLD).await;
    let shown = async |watched: &Watched| {
        let of = ListAlerts { state: Some(AlertStanding::Open), ..ListAlerts::default() };
        let listed = watched.broker.list_alerts(&Caller::Broker, of, 10).await.unwrap();
        let alone = watched.broker.get_alert(&Caller::Broker, &acme(), listed[0].id).await.unwrap();
        assert_eq!(listed, [alone]);
        listed[0].message.clone()
    };
    let first = shown(&watched).await;
    watched.rounds("search", 48, MINUTES_5).await;
    let load = watched.broker.team_load(&Caller::Broker, &acme(), None).unwrap();
    let (told, now) = (watched.open_messages().await, shown(&watched).await);
    assert!(told[0] != now && first != now, "it did not change since: {told:?}");
    let search = load.classes.iter().find(|class| class.key.class.as_str() == "search").unwrap();
    let demand = format!("{:.0} credits are asked for", search.load().demand);
    assert!(now.contains(&demand), "{demand} {now}");
}

#[tokio::test]
async fn where_the_limit_is_the_apps_more_tokens_are_not_advised() {
    let mut watched = plain().await;
    watched.add_tokens(2).await;
    watched.rounds("read", 16, MINUTES_5).await;
    let messages = watched.open_messages().await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("more tokens add nothing here: the limit belongs to the app"), "{messages:?}");
}

#[tokio::test]
async fn an_open_alert_outlives_a_restart() {
    let mut watched = plain().await;
    watched.add_tokens(2).await;
    watched.rounds("search", 16, MINUTES_5).await;
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
    watched.rounds("search", 16, MINUTES_5).await;
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
    assert_eq!(listed, std::slice::from_ref(&noted));
    watched.add_tokens(6).await;
    watched.broker.watch_loads().await.unwrap();
    let cleared = changes.try_recv().unwrap();
    assert_eq!((cleared.acknowledged.clone(), cleared.cleared_at), (noted.acknowledged, Some(watched.clock.now())));
    let late = watched.broker.acknowledge_alert(&Caller::Broker, &acme(), open[0].id, "late").await;
    assert!(late.is_err_and(|error| error.to_string().contains("cleared")));
}
