//! Sessions of members and operators.

use super::Fixture;
use super::member::{change, member, next, seed};
use super::samples::{at, audited, event, key};
use crate::base::ids::{KeyId, MemberId, SessionId};
use crate::domain::member::{MemberState, Role, Session, SessionOf};
use crate::domain::team::{KeyHolder, OperatorRole};
use crate::store::{MemberChange, StoreError};

fn session(n: u128, member: u128) -> Session {
    Session {
        id: SessionId::from_u128(n),
        whose: SessionOf::Member(MemberId::from_u128(member)),
        hash: [u8::try_from(n).unwrap(); 32],
        created_at: at(10),
        seen_at: at(20),
        authenticated_at: at(15),
        agent: "Mozilla".to_owned(),
        origin: "192.0.2.0/24".to_owned(),
    }
}

pub(crate) async fn sessions_are_kept_and_end(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, &[member(1, Role::Owner), member(2, Role::Member)]).await;
    let trail = || event("session.begin", "session").into();
    for (n, whose) in [(1, 1), (2, 1), (3, 2)] {
        assert!(store.insert_session(session(n, whose), Some(1), trail()).await.unwrap());
    }
    for (whose, judged) in [(9, 1), (1, 2)] {
        let began = store.insert_session(session(4, whose), Some(judged), trail()).await.unwrap();
        assert!(!began, "there is no member {whose} of version {judged}");
    }
    assert_eq!(store.session_by_hash([2; 32]).await.unwrap(), Some(session(2, 1)));
    assert_eq!(store.session_by_hash([9; 32]).await.unwrap(), None);
    let ada = MemberId::from_u128(1);
    assert_eq!(store.list_sessions(ada, None, 10).await.unwrap(), [session(2, 1), session(1, 1)]);
    let before = Some(SessionId::from_u128(2));
    assert_eq!(store.list_sessions(ada, before, 10).await.unwrap(), [session(1, 1)]);
    store.touch_session(SessionId::from_u128(2), at(30)).await.unwrap();
    store.touch_session(SessionId::from_u128(2), at(25)).await.unwrap();
    assert_eq!(store.session_by_hash([2; 32]).await.unwrap().unwrap().seen_at, at(30), "the later use stays");
    let confirmed = || event("session.confirm", "session").into();
    store.authenticate_session(SessionId::from_u128(2), at(40), confirmed()).await.unwrap();
    let anew = store.session_by_hash([2; 32]).await.unwrap().unwrap();
    assert_eq!((anew.authenticated_at, anew.seen_at), (at(40), at(40)));
    let gone = store.authenticate_session(SessionId::from_u128(77), at(40), confirmed()).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
    let of_another = store.end_session(SessionOf::Member(ada), SessionId::from_u128(3), trail()).await;
    assert!(matches!(of_another, Err(StoreError::NotFound { .. })), "{of_another:?}");
    store
        .end_session(SessionOf::Member(ada), SessionId::from_u128(1), event("session.end", "session").into())
        .await
        .unwrap();
    assert_eq!(store.session_by_hash([1; 32]).await.unwrap(), None);
    assert_eq!((audited(&*store, "session.begin").await, audited(&*store, "session.end").await), (3, 1));
    assert_eq!(store.prune_sessions(at(10), at(20), 10).await.unwrap(), 0);
    assert_eq!(store.prune_sessions(at(10), at(21), 10).await.unwrap(), 1, "one was not used since");
    assert_eq!(store.prune_sessions(at(11), at(0), 10).await.unwrap(), 1, "one began too long ago");
    store.close().await;
}

pub(crate) async fn sessions_of_operators_are_kept_and_end(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, &[member(1, Role::Owner)]).await;
    let trail = || event("session.begin", "session").into();
    let of = |n, key| Session { whose: SessionOf::Operator(KeyId::from_u128(key)), ..session(n, 1) };
    let unknown = store.insert_session(of(1, 7), None, trail()).await;
    assert!(matches!(unknown, Err(StoreError::Conflict { .. })), "{unknown:?}");
    let admin = key(7, KeyHolder::Operator(OperatorRole::Admin));
    store.insert_key(admin, event("key.create", "key").into()).await.unwrap();
    store.insert_session(of(1, 7), None, trail()).await.unwrap();
    store.insert_session(session(2, 1), Some(1), trail()).await.unwrap();
    assert_eq!(store.session_by_hash([1; 32]).await.unwrap(), Some(of(1, 7)));
    assert_eq!(store.list_sessions(MemberId::from_u128(7), None, 10).await.unwrap(), [], "a key is no member");
    for other in [SessionOf::Member(MemberId::from_u128(7)), SessionOf::Operator(KeyId::from_u128(8))] {
        let ended = store.end_session(other, SessionId::from_u128(1), trail()).await;
        assert!(matches!(ended, Err(StoreError::NotFound { .. })), "{ended:?}");
    }
    let own = SessionOf::Operator(KeyId::from_u128(7));
    store.end_session(own, SessionId::from_u128(1), trail()).await.unwrap();
    assert_eq!(store.session_by_hash([1; 32]).await.unwrap(), None);
    assert_eq!(store.prune_sessions(at(11), at(0), 10).await.unwrap(), 1, "that of the member is left");
    store.close().await;
}

pub(crate) async fn a_change_ends_sessions_with_it(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let ada = member(1, Role::Owner);
    seed(&*store, &[ada.clone(), member(2, Role::Owner)]).await;
    let trail = || event("session.begin", "session").into();
    for (n, whose) in [(1, 1), (2, 1), (3, 2)] {
        assert!(store.insert_session(session(n, whose), Some(1), trail()).await.unwrap());
    }
    let set = MemberChange { password: Some("$argon2id$1".to_owned()), ..next(ada.clone()) };
    store.change_member(set).await.unwrap();
    assert_eq!(store.find_password(ada.id).await.unwrap().as_deref(), Some("$argon2id$1"));
    assert_eq!(store.list_sessions(ada.id, None, 10).await.unwrap().len(), 2);
    let left = crate::domain::member::Member { version: 3, state: MemberState::Left { since: at(5) }, ..ada.clone() };
    store.change_member(MemberChange { ends_sessions: true, ..change(left) }).await.unwrap();
    assert_eq!(store.list_sessions(ada.id, None, 10).await.unwrap(), []);
    assert_eq!(store.find_password(ada.id).await.unwrap(), None, "who left has no password");
    assert_eq!(store.list_sessions(MemberId::from_u128(2), None, 10).await.unwrap().len(), 1);
    store.close().await;
}
