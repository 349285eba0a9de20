//! Samples of loads.

use std::time::Duration;

use super::Fixture;
use super::samples::{acme, at};
use crate::domain::load::LoadKey;
use crate::store::LoadSample;

pub(crate) async fn samples_are_kept_once_and_forgotten(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let key = |class: &str| LoadKey { team: acme(), network: "x".parse().unwrap(), class: class.parse().unwrap() };
    let sample = |class, secs, demand| LoadSample {
        key: key(class),
        at: at(secs),
        span: Duration::from_secs(900),
        demand,
        supply: 7,
        tokens: 3,
    };
    store
        .add_load_samples(vec![sample("search", 20, 2), sample("search", 10, 1), sample("posts", 10, 5)])
        .await
        .unwrap();
    store.add_load_samples(vec![sample("search", 20, 9)]).await.unwrap();
    store.add_load_samples(Vec::new()).await.unwrap();
    let kept =
        |samples: Vec<LoadSample>| samples.into_iter().map(|sample| (sample.at, sample.demand)).collect::<Vec<_>>();
    let all = store.list_load_samples(&key("search"), at(0)).await.unwrap();
    assert_eq!(all[0], sample("search", 10, 1));
    assert_eq!(kept(all), [(at(10), 1), (at(20), 2)], "what is there stays");
    assert_eq!(kept(store.list_load_samples(&key("search"), at(11)).await.unwrap()), [(at(20), 2)]);
    assert_eq!(store.prune_load_samples(at(20), 1).await.unwrap(), 1);
    assert_eq!(store.prune_load_samples(at(20), 9).await.unwrap(), 1);
    assert_eq!(kept(store.list_load_samples(&key("search"), at(0)).await.unwrap()), [(at(20), 2)]);
    store.close().await;
}
