//! Demand, supply and their quotient; forecasts and estimates.

use std::time::Duration;

use crate::base::clock::Clock;
use crate::domain::load::{Advice, Ratio, Span};
use crate::domain::networks::Owner;
use crate::domain::token::Clocks;
use crate::service::watch_tests::{MINUTES_6, plain};
use crate::service::watched::{ROUND, Watched, acme};
use crate::service::{AcquireLease, AddedCollection, AddedTokens, Caller, LoadLevel};

const MINUTES_20: Duration = Duration::from_secs(1200);
/// A twentieth of the longest span: less is not taken for a rate.
const MINUTES_72: Duration = Duration::from_secs(4320);

#[tokio::test]
async fn every_span_is_shown_with_its_own_supply() {
    let mut watched = plain().await;
    watched.add_tokens(2).await;
    watched.rounds("search", 4, MINUTES_20).await;
    let load = watched.broker.team_load(&Caller::Broker, &acme(), Some(&"net".parse().unwrap())).unwrap();
    let search = load.classes.iter().find(|class| class.key.class.as_str() == "search").unwrap();
    assert_eq!((search.level, search.advice.clone()), (LoadLevel::Ok, Advice::Nothing));
    let expected = [(120.0, 200.0), (360.0, 600.0), (480.0, 2400.0), (480.0, 57_600.0)];
    for (span, (demand, supply)) in Span::ALL.into_iter().zip(expected) {
        let of_span = search.spans.of(span);
        assert_eq!((of_span.demand, of_span.supply, of_span.tokens), (demand, supply, 2), "{span:?}");
    }
    assert_eq!(search.judged, Span::FiveMinutes);
    assert_eq!(search.causes.len(), 10, "the ten largest of thirty");
    let read = load.classes.iter().find(|class| class.key.class.as_str() == "read").unwrap();
    assert_eq!(read.spans.five_minutes.ratio, Ratio::Of(0.0), "tokens without demand are shown, too");
}

/// X counts searches in 15 minutes per person, and posts in a budget of the app.
#[tokio::test]
async fn one_lease_on_a_fresh_broker_is_no_high_load() {
    let watched = plain().await;
    watched.add_x_token().await;
    let search = AcquireLease {
        network: "x".to_owned(),
        kind: Some("user".to_owned()),
        ..Watched::request("tweets.search_recent", 10)
    };
    watched.broker.acquire_lease(&Caller::Broker, search).await.unwrap();
    watched.broker.watch_loads().await.unwrap();
    let load = watched.broker.team_load(&Caller::Broker, &acme(), None).unwrap();
    assert_eq!(load.level, LoadLevel::Ok);
    let seen = |class: &str| {
        let class = load.classes.iter().find(|load| load.key.class.as_str() == class).unwrap();
        (class.judged, class.load().demand, class.load().supply)
    };
    assert_eq!(seen("search_recent"), (Span::QuarterHour, 10.0, 300.0));
    // A thirtieth of three millions, in units of posts: 100 a search.
    assert_eq!(seen("post_reads"), (Span::Day, 1000.0, 90_000.0));
}

#[tokio::test]
async fn keys_that_are_open_are_no_new_demand() {
    let mut watched = plain().await;
    watched.add_tokens(1).await;
    let keys = |from: usize| (from..from + 2).map(|key| format!("tag {key}")).collect::<Vec<_>>();
    for round in 0..20 {
        let request = Watched::request("tag", 2);
        watched.ask(AcquireLease { keys: keys(round % 2 * 2), ..request }).await;
        watched.clock.advance(ROUND);
    }
    watched.broker.watch_loads().await.unwrap();
    let load = watched.broker.team_load(&Caller::Broker, &acme(), None).unwrap();
    let tags = load.classes.iter().find(|class| class.key.class.as_str() == "tags").unwrap();
    assert_eq!((tags.spans.five_minutes.demand, tags.spans.five_minutes.supply), (4.0, 5.0));
    assert_eq!((tags.spans.day.demand, tags.spans.day.supply), (4.0, 5.0));
}

#[tokio::test]
async fn a_retry_is_the_same_demand_and_nothing_else_is() {
    let mut watched = plain().await;
    watched.add_tokens(1).await;
    let held = watched.broker.acquire_lease(&Caller::Broker, Watched::request("search", 100)).await.unwrap();
    let ask = |request: AcquireLease| Box::pin(watched.broker.acquire_lease(&Caller::Broker, request));
    let waits = || AcquireLease { wait: Duration::from_secs(60), ..Watched::request("search", 10) };
    let (mut first, mut second) = (ask(waits()), ask(waits()));
    assert!(futures_util::poll!(first.as_mut()).is_pending() && futures_util::poll!(second.as_mut()).is_pending());
    assert_eq!(watched.demand("search"), 120, "two that wait at the same time are two");
    drop(first);
    let mut again = ask(waits());
    assert!(futures_util::poll!(again.as_mut()).is_pending());
    assert_eq!(watched.demand("search"), 120, "the one that was given up is asked for again");
    watched.broker.release_lease(&Caller::Broker, held.lease, None).await.unwrap();
    let (second, again) = (second.await.unwrap(), again.await.unwrap());
    assert_ne!(second.lease, again.lease);
    assert_eq!(watched.demand("search"), 120);
    let named = || AcquireLease { request: Some(("one".to_owned(), [1; 32])), ..Watched::request("search", 5) };
    let first = ask(named()).await.unwrap();
    assert_eq!(ask(named()).await.unwrap().lease, first.lease);
    assert_eq!(watched.demand("search"), 125, "a repetition of what was served is the same request");
}

#[tokio::test]
async fn what_is_granted_in_parts_is_asked_for_once() {
    let mut watched = plain().await;
    watched.add_tokens(1).await;
    let (_held, mut granted) = (watched.broker.acquire_lease(&Caller::Broker, Watched::request("search", 95)).await, 0);
    for (nth, calls) in [(1, 9), (2, 4), (3, 4)] {
        let request = Some((format!("part-{nth}"), [nth; 32]));
        let ask = AcquireLease { min_calls: 1, request, ..Watched::request("search", calls) };
        granted += watched.broker.acquire_lease(&Caller::Broker, ask).await.map_or(0, |leased| leased.calls);
    }
    assert_eq!((granted, watched.demand("search")), (5, 95 + 9 + 4), "the third part is a request of its own");
}

#[tokio::test]
async fn a_team_that_asks_for_nothing_takes_no_share_of_the_apps_limit() {
    let mut watched = plain().await;
    let other = "other".parse().unwrap();
    watched.add_team("other").await;
    watched.add_tokens(1).await;
    watched.add_token_of(&other, Clocks::default()).await;
    let load = |watched: &Watched| {
        let load = watched.broker.team_load(&Caller::Broker, &acme(), None).unwrap();
        let read = load.classes.into_iter().find(|class| class.key.class.as_str() == "read").unwrap();
        (read.level, read.spans.five_minutes.supply)
    };
    watched.rounds("read", 2, MINUTES_6).await;
    assert_eq!(load(&watched), (LoadLevel::Ok, 90.0), "all of 100 less the reserve");
    for _ in 0..60 {
        watched.ask(AcquireLease { team: other.clone(), ..Watched::request("read", 2) }).await;
        watched.round("read", 2).await;
    }
    assert_eq!(load(&watched), (LoadLevel::Critical, 45.0), "half of it, where both ask for more");
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
    watched.rounds("search", 6, MINUTES_72).await;
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
    assert_ne!(estimate(2400, tokens - 1).load().ratio.value().max(0.8), 0.8);
    assert!(estimate(2400, tokens).load().ratio.value() <= 0.8 + 1e-6);
}

/// X counts searches in 15 minutes: advice against a demand that grows goes by its latest part.
#[tokio::test]
async fn what_if_speaks_of_the_load_that_the_advice_is_for() {
    let watched = plain().await;
    watched.add_x_token().await;
    search_x(&watched, 15).await;
    watched.broker.watch_loads().await.unwrap();
    let load = watched.broker.team_load(&Caller::Broker, &acme(), None).unwrap();
    let search = load.classes.iter().find(|class| class.key.class.as_str() == "search_recent").unwrap();
    let Advice::AddTokens { tokens, reaches, .. } = search.advice else { panic!("{:?}", search.advice) };
    let growing = search.growing().expect("all of it was asked for in the last five minutes");
    assert_eq!((search.load().demand, growing.demand), (300.0, 900.0));
    let ahead = |count| {
        let added = AddedTokens { network: "x".into(), kind: "user".into(), count, facts: Default::default() };
        let (_, then) = watched.broker.estimate_load(&Caller::Broker, &acme(), &[], &[added]).unwrap();
        let class = then.classes.iter().find(|class| class.key.class.as_str() == "search_recent").unwrap();
        class.growing().unwrap().ratio
    };
    assert_eq!(ahead(tokens), reaches);
    assert!(ahead(tokens - 1).value() > 0.8, "one less is too little: {:?}", ahead(tokens - 1));
}

/// Asks so often for 20 searches; what is refused is demand as well.
async fn search_x(watched: &Watched, times: u64) {
    for _ in 0..times {
        let search = AcquireLease {
            network: "x".to_owned(),
            kind: Some("user".to_owned()),
            ..Watched::request("tweets.search_recent", 20)
        };
        let _ = watched.broker.acquire_lease(&Caller::Broker, search).await;
    }
}

#[tokio::test]
async fn a_chart_begins_with_the_first_demand_and_follows_it_down_to_nothing() {
    let watched = plain().await;
    watched.add_x_token().await;
    let began = watched.clock.now();
    watched.broker.watch_loads().await.unwrap();
    search_x(&watched, 1).await;
    let key = ("x".parse().unwrap(), "search_recent".parse().unwrap());
    let quarter = Duration::from_secs(900);
    for _ in 0..30 * 4 {
        watched.broker.watch_loads().await.unwrap();
        watched.clock.advance(quarter);
    }
    let history =
        watched.broker.load_history(&Caller::Broker, &acme(), (&key.0, &key.1), began - quarter).await.unwrap();
    let demand: Vec<u64> = history.iter().map(|sample| sample.demand).collect();
    assert_eq!(demand[..3], [20, 20, 0], "from the quarter on in which the broker began");
    assert!((95..=98).contains(&demand.len()), "for a day: {}", demand.len());
    assert!(history.windows(2).all(|pair| pair[1].at == pair[0].at + quarter), "without a gap");
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
    assert_eq!(read.spans.hour.supply, 1080.0, "all of 1200 less the reserve of 10 %: nobody else asks for it");
    let Advice::Nothing = read.advice else { panic!("{:?}", read.advice) };
    assert!(read.supply.as_ref().is_some_and(|supply| supply.tokens[0].buckets[0].owner == Owner::App));
}
