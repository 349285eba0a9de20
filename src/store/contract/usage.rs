//! The usage ledger.

use super::Fixture;
use crate::base::ids::{CollectorId, TokenId};
use crate::domain::networks::Purpose;
use crate::store::{UsageKey, UsageRow};

fn row(day: i32, collector: Option<u128>, class: Option<&str>, calls: u64) -> UsageRow {
    let key = UsageKey {
        token: TokenId::from_u128(1),
        day,
        collection: "brand".to_owned(),
        collector: collector.map(CollectorId::from_u128),
        class: class.map(|class| class.parse().unwrap()),
        network: "x".parse().unwrap(),
        purpose: Purpose::CollectContent,
    };
    UsageRow { key, calls, credits: calls * 2, errors: 1, throttled: 0 }
}

pub(crate) async fn usage_adds_up(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    store.add_usage(vec![]).await.unwrap();
    store
        .add_usage(vec![row(10, None, None, 1), row(10, Some(5), Some("search"), 2), row(10, None, None, 3)])
        .await
        .unwrap();
    store.add_usage(vec![row(10, None, None, 4), row(11, None, None, 9)]).await.unwrap();
    let token = TokenId::from_u128(1);
    let sum = UsageRow { errors: 3, ..row(10, None, None, 8) };
    assert_eq!(store.list_usage(token, 10, 10).await.unwrap(), [sum.clone(), row(10, Some(5), Some("search"), 2)]);
    assert_eq!(store.list_usage(token, 11, 20).await.unwrap(), [row(11, None, None, 9)]);
    assert_eq!(store.list_usage(TokenId::from_u128(2), 0, 99).await.unwrap(), []);
    store.add_usage(vec![row(12, Some(5), None, 4), row(13, Some(5), None, 1)]).await.unwrap();
    let collectors = [CollectorId::from_u128(5), CollectorId::from_u128(6)];
    assert_eq!(store.last_uses_by(&collectors).await.unwrap(), [(collectors[0], 13)].into());
    let lately = store.uses_by(collectors[0], 10, 100).await.unwrap();
    let days: Vec<_> = lately.iter().map(|day| (day.day, day.calls)).collect();
    assert_eq!(days, [(13, 1), (12, 4)], "each call once");
    assert_eq!(store.uses_by(collectors[0], 10, 1).await.unwrap().len(), 1, "no more rows than asked for");
    assert_eq!(store.prune_usage(11, 1).await.unwrap(), 1);
    assert_eq!(store.prune_usage(11, 10).await.unwrap(), 1);
    assert_eq!(store.list_usage(token, 0, 11).await.unwrap(), [row(11, None, None, 9)]);
    store.close().await;
}
