//! Keys are changed all or none, and secrets are sealed anew without undoing what happened meanwhile.

use super::Fixture;
use super::samples::{acme, at, audited, event, foundation, new_token, seed, team, token};
use crate::base::ids::{TeamId, TokenId};
use crate::domain::token::{Reason, Token, TokenState};
use crate::store::{
    MetaName, NewToken, OwnKeyRow, Resealed, RotateKeys, SealedSecrets, SealedToken, Store, StoreError, StoredToken,
    TokenChange, WrappedKey,
};

fn data_key(team: &TeamId, id: u32, wrapped: u8) -> WrappedKey {
    WrappedKey { team: team.clone(), id, wrapped: vec![wrapped], created_at: at(0) }
}

fn own_key(id: u32, wrapped: u8) -> OwnKeyRow {
    OwnKeyRow { id, wrapped: vec![wrapped], created_at: at(0) }
}

fn rotation(data_keys: Vec<WrappedKey>, own_keys: Vec<OwnKeyRow>) -> RotateKeys {
    let trail = event("sealing_key.rotate", "sealingKey").into();
    RotateKeys { data_keys, own_keys, fingerprint: b"new".to_vec(), trail }
}

pub(crate) async fn a_rotation_changes_all_keys_or_none(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    store.insert_team(team("acme"), event("team.add", "team").into()).await.unwrap();
    store.insert_data_key(data_key(&acme(), 1, 10)).await.unwrap();
    assert!(matches!(store.found(foundation()).await, Err(StoreError::Conflict { .. })), "it was laid out before");
    let nobody: TeamId = "nobody".parse().unwrap();
    let failed = rotation(vec![data_key(&acme(), 1, 11), data_key(&nobody, 1, 12)], vec![own_key(1, 51)]);
    assert!(matches!(store.rotate_keys(failed).await, Err(StoreError::Conflict { .. })));
    assert!(store.list_data_keys().await.unwrap() == [data_key(&acme(), 1, 10)]);
    assert!(store.list_own_keys().await.unwrap() == [own_key(1, 50)]);
    assert_eq!(store.find_meta(MetaName::KekFingerprint).await.unwrap().unwrap(), b"first");
    let data_keys = || vec![data_key(&acme(), 1, 11), data_key(&acme(), 2, 21)];
    store.rotate_keys(rotation(data_keys(), vec![own_key(1, 51), own_key(2, 61)])).await.unwrap();
    assert!(store.list_data_keys().await.unwrap() == data_keys());
    assert!(store.list_own_keys().await.unwrap() == [own_key(1, 51), own_key(2, 61)]);
    assert_eq!(store.find_meta(MetaName::KekFingerprint).await.unwrap().unwrap(), b"new");
    assert_eq!(audited(&*store, "sealing_key.rotate").await, 1);
    store.close().await;
}

async fn sealed(store: &dyn Store) -> Vec<SealedToken> {
    let first = store.sealed_tokens(None, 2).await.unwrap();
    let rest = store.sealed_tokens(first.last().map(|token| token.token), 100).await.unwrap();
    first.into_iter().chain(rest).collect()
}

fn anew(before: SealedToken) -> Resealed {
    Resealed { before, access: vec![9, 9], refresh: Some(vec![8]), key: Some(vec![7]) }
}

/// Changes a token's state, and its secrets.
async fn change(store: &dyn Store, n: u128, state: TokenState, secrets: Option<SealedSecrets>) {
    let before = token(n);
    let change = TokenChange {
        token: Token { state, version: before.version + u32::from(secrets.is_some()), ..before.clone() },
        secrets,
        expected_version: before.version,
        expected_state: before.state,
        trail: event("token.change", "token").into(),
        revocation: None,
        alerts: vec![],
    };
    store.change_token(change).await.unwrap();
}

pub(crate) async fn secrets_are_sealed_anew_where_they_are_as_they_were(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 4).await;
    let before = sealed(&*store).await;
    assert_eq!(before.iter().map(|token| token.token).collect::<Vec<_>>(), [1, 2, 3, 4].map(TokenId::from_u128));
    assert!(before[0].access == [1, 2, 3] && before[0].refresh == Some(vec![4, 5]) && before[0].team == acme());
    assert!(before[0].key == Some(vec![6]));
    let renewed = SealedSecrets { access: vec![7], ..SealedSecrets::default() };
    change(&*store, 2, TokenState::Live, Some(renewed)).await;
    let changed = store.reseal_tokens(before.into_iter().map(anew).collect()).await.unwrap();
    assert_eq!(changed.len(), 3);
    assert!(!changed.contains(&TokenId::from_u128(2)));
    let after = sealed(&*store).await;
    assert!(after[0].access == [9, 9] && after[0].refresh == Some(vec![8]) && after[0].version == 1);
    assert!(after[0].key == Some(vec![7]));
    assert!(after[1].access == [7] && after[1].refresh.is_none() && after[1].key.is_none());
    let damaged = TokenState::Invalid { reason: Reason::SecretDamaged, since: at(5) };
    change(&*store, 3, damaged, None).await;
    change(&*store, 4, TokenState::Revoked { since: at(5) }, Some(SealedSecrets::default())).await;
    let left: Vec<_> = sealed(&*store).await.iter().map(|token| token.token).collect();
    assert_eq!(left, [1, 2].map(TokenId::from_u128), "nothing is sealed anew that is damaged or gone");
    store.close().await;
}

pub(crate) async fn data_keys_go_when_no_secret_needs_them(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 0).await;
    for id in 1..=3 {
        store.insert_data_key(data_key(&acme(), id, 0)).await.unwrap();
    }
    let with = |n, access: &[u8], refresh: Option<&[u8]>, key: Option<&[u8]>| {
        let NewToken { stored, trail, .. } = new_token(token(n));
        let (sealed_access, sealed_refresh) = (access.to_vec(), refresh.map(<[u8]>::to_vec));
        let sealed_key = key.map(<[u8]>::to_vec);
        NewToken {
            stored: StoredToken { sealed_access, sealed_refresh, sealed_key, ..stored },
            given_refresh: None,
            consent: None,
            trail,
        }
    };
    let tokens = vec![
        with(1, b"newest1", None, Some(b"newest2")),
        with(2, b"newest3", Some(b"older1"), None),
        with(3, b"older2", None, None),
        with(4, b"newest4", None, Some(b"older3")),
    ];
    store.insert_tokens(tokens, None).await.unwrap();
    let counts = store.count_sealed().await.unwrap();
    let counts: Vec<_> = counts.iter().map(|count| (&*count.header, count.secrets)).collect();
    assert_eq!(counts, [(&b"newes"[..], 4), (&b"older"[..], 3)]);
    let team = acme();
    let retire = || store.retire_data_keys(&team, 3, b"newes".to_vec());
    assert_eq!(retire().await.unwrap(), 0);
    let part = sealed(&*store).await;
    let fresh = |token: &SealedToken| Resealed {
        before: token.clone(),
        access: b"newest3".to_vec(),
        refresh: token.refresh.as_ref().map(|_| b"newest4".to_vec()),
        key: token.key.as_ref().map(|_| b"newest5".to_vec()),
    };
    store.reseal_tokens(vec![fresh(&part[1])]).await.unwrap();
    assert_eq!(retire().await.unwrap(), 0);
    store.reseal_tokens(vec![fresh(&part[3])]).await.unwrap();
    assert_eq!(retire().await.unwrap(), 0);
    let damaged = TokenState::Invalid { reason: Reason::SecretDamaged, since: at(5) };
    change(&*store, 3, damaged, None).await;
    assert_eq!(retire().await.unwrap(), 2);
    assert_eq!(store.list_data_keys().await.unwrap().iter().map(|key| key.id).collect::<Vec<_>>(), [3]);
    store.close().await;
}
