//! Teams, collectors, keys, data keys, and facts about the installation.

use super::Fixture;
use super::samples::{acme, at, audited, collector, event, key, team};
use crate::base::ids::{CollectorId, KeyId};
use crate::domain::team::{Collector, Key, KeyHolder, KeyProof, OperatorRole, Team};
use crate::store::{MetaName, StoreError, WrappedKey};

pub(crate) async fn teams_are_kept(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let second = Team { reserve_percent: None, ..team("beta") };
    for team in [second.clone(), team("acme")] {
        store.insert_team(team, event("team.add", "team").into()).await.unwrap();
    }
    let again = store.insert_team(team("acme"), event("team.add", "team").into()).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })));
    assert_eq!(store.list_teams().await.unwrap(), [team("acme"), second]);
    let changed = Team { weight: 5, display_name: "New".to_owned(), reserve_percent: None, ..team("acme") };
    store.update_team(changed.clone(), event("team.change", "team").into()).await.unwrap();
    assert_eq!(store.find_team(&acme()).await.unwrap(), Some(changed));
    let unknown = store.update_team(team("nobody"), event("team.change", "team").into()).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
    assert_eq!((audited(&*store, "team.add").await, audited(&*store, "team.change").await), (2, 1));
    store.close().await;
}

pub(crate) async fn collectors_are_kept(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let homeless = store.insert_collector(collector(1), event("collector.add", "1").into()).await;
    assert!(matches!(homeless, Err(StoreError::Conflict { .. })));
    store.insert_team(team("acme"), event("team.add", "team").into()).await.unwrap();
    for n in [2, 1] {
        store.insert_collector(collector(n), event("collector.add", "1").into()).await.unwrap();
    }
    let disabled = Collector { disabled: true, weight: 3, ..collector(2) };
    store.update_collector(disabled.clone(), event("collector.change", "2").into()).await.unwrap();
    assert_eq!(store.list_collectors(Some(&acme())).await.unwrap(), [collector(1), disabled.clone()]);
    assert_eq!(store.list_collectors(None).await.unwrap().len(), 2);
    assert_eq!(store.list_collectors(Some(&"beta".parse().unwrap())).await.unwrap(), []);
    assert_eq!(store.find_collector(CollectorId::from_u128(2)).await.unwrap(), Some(disabled));
    assert_eq!(store.find_collector(CollectorId::from_u128(9)).await.unwrap(), None);
    assert_eq!(audited(&*store, "collector.add").await, 2);
    store.close().await;
}

pub(crate) async fn keys_are_kept(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let of_collector = key(1, KeyHolder::Collector(acme(), CollectorId::from_u128(1)));
    let of_admin = key(2, KeyHolder::Operator(OperatorRole::Admin));
    let of_reader = Key {
        proof: KeyProof::Certificate("grafana.example".parse().unwrap()),
        expires_at: None,
        ..key(3, KeyHolder::Operator(OperatorRole::Reader))
    };
    for key in [&of_collector, &of_admin, &of_reader] {
        store.insert_key(key.clone(), event("key.add", "key").into()).await.unwrap();
    }
    assert_eq!(store.list_keys(None).await.unwrap(), [of_collector.clone(), of_admin.clone(), of_reader]);
    assert_eq!(store.list_keys(Some(CollectorId::from_u128(1))).await.unwrap(), [of_collector]);
    for seconds in [5, 6] {
        store.revoke_key(of_admin.id, at(seconds), event("key.revoke", "key").into()).await.unwrap();
    }
    let found = store.find_key(of_admin.id).await.unwrap();
    assert_eq!(found, Some(Key { revoked_at: Some(at(5)), ..of_admin }));
    assert_eq!(store.find_key(KeyId::from_u128(9)).await.unwrap(), None);
    let unknown = store.revoke_key(KeyId::from_u128(9), at(5), event("key.revoke", "key").into()).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
    store.close().await;
}

pub(crate) async fn data_keys_are_kept(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    store.insert_team(team("acme"), event("team.add", "team").into()).await.unwrap();
    let key = |id, wrapped: u8| WrappedKey { team: acme(), id, wrapped: vec![wrapped], created_at: at(0) };
    store.insert_data_key(key(1, 10)).await.unwrap();
    store.insert_data_key(key(2, 20)).await.unwrap();
    assert!(matches!(store.insert_data_key(key(2, 30)).await, Err(StoreError::Conflict { .. })));
    assert!(store.list_data_keys().await.unwrap() == [key(1, 10), key(2, 20)]);
    store.close().await;
}

pub(crate) async fn meta_is_set_once_or_replaced(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    assert_eq!(store.find_meta(MetaName::InstallId).await.unwrap(), None);
    assert_eq!(store.init_meta(MetaName::InstallId, vec![1]).await.unwrap(), [1]);
    assert_eq!(store.init_meta(MetaName::InstallId, vec![2]).await.unwrap(), [1]);
    store.put_meta(MetaName::KekFingerprint, vec![3]).await.unwrap();
    store.put_meta(MetaName::KekFingerprint, vec![4]).await.unwrap();
    assert_eq!(store.find_meta(MetaName::KekFingerprint).await.unwrap(), Some(vec![4]));
    assert!(store.schema_version().await.unwrap() >= 1);
    store.check_write().await.unwrap();
    assert!(store.accepts_writes());
    store.close().await;
    assert!(!store.accepts_writes());
    assert!(matches!(store.check_write().await, Err(StoreError::Closed)));
}
