//! Push subscriptions: few of each member, one of each browser.

use super::Fixture;
use super::member::{member, seed as seed_members};
use super::samples::{acme, at, audited, event};
use crate::base::ids::{MemberId, PushSubscriptionId};
use crate::domain::member::{Member, MemberState, Role};
use crate::domain::notice::PushSubscription;
use crate::store::{MemberChange, StoreError, StoredPush};

fn subscription(n: u128, member: MemberId, browser: u8) -> StoredPush {
    let subscription = PushSubscription {
        id: PushSubscriptionId::from_u128(n),
        team: acme(),
        member,
        display_name: format!("phone {n}"),
        shown: "push.example".to_owned(),
        created_at: at(n as i64),
        version: 1,
    };
    StoredPush { subscription, endpoint_hash: [browser; 32], sealed: vec![1, browser] }
}

pub(crate) async fn a_browser_is_subscribed_once(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let (ada, bob) = (member(1, Role::Owner), member(2, Role::Member));
    seed_members(&*store, &[ada.clone(), bob.clone()]).await;
    let put = async |stored| store.insert_push(stored, 2, event("push.subscribe", "push").into()).await;
    let ids = async |of: &Member| {
        let found = store.list_push(&acme(), of.id).await.unwrap();
        found.iter().map(|stored| stored.subscription.id.as_u128()).collect::<Vec<_>>()
    };
    for (n, browser) in [(1, 1), (2, 2), (3, 1)] {
        put(subscription(n, ada.id, browser)).await.unwrap();
    }
    assert_eq!(ids(&ada).await, [2, 3], "the same browser again takes its place");
    let third = put(subscription(4, ada.id, 4)).await;
    assert!(matches!(third, Err(StoreError::Conflict { .. })), "{third:?}");
    // Somebody else signs in at the browser.
    put(subscription(5, bob.id, 1)).await.unwrap();
    assert_eq!((ids(&ada).await, ids(&bob).await), (vec![2], vec![5]));
    let of_members = async |after, through| store.push_of_members(&acme(), after, through).await.unwrap();
    let [two, five] = [2, 5].map(PushSubscriptionId::from_u128);
    assert_eq!(of_members(None, bob.id).await, [(ada.id, two), (bob.id, five)]);
    assert_eq!(of_members(Some(ada.id), bob.id).await, [(bob.id, five)]);
    assert_eq!(of_members(None, ada.id).await, [(ada.id, two)]);
    store.reseal_push(two, 2, vec![9]).await.unwrap();
    assert!(matches!(store.reseal_push(two, 2, vec![8]).await, Err(StoreError::Conflict { .. })));
    let mut resealed = subscription(2, ada.id, 2);
    (resealed.subscription.version, resealed.sealed) = (2, vec![9]);
    assert_eq!(store.find_push(two).await.unwrap(), Some(resealed.clone()));
    assert_eq!(store.all_push(None, 1).await.unwrap(), [resealed]);
    assert_eq!(store.all_push(Some(two), 9).await.unwrap(), [subscription(5, bob.id, 1)]);
    let delete = async |member, id| store.delete_push(member, id, event("push.unsubscribe", "push").into()).await;
    assert!(matches!(delete(bob.id, two).await, Err(StoreError::NotFound { .. })), "it is another's");
    delete(ada.id, two).await.unwrap();
    assert_eq!(ids(&ada).await, Vec::<u128>::new());
    assert_eq!((audited(&*store, "push.subscribe").await, audited(&*store, "push.unsubscribe").await), (4, 1));
    // Who leaves is told of nothing any more.
    let left = Member { state: MemberState::Left { since: at(9) }, version: 2, ..bob.clone() };
    store.change_member(MemberChange::of(left, event("member.leave", "bob").into())).await.unwrap();
    assert_eq!(ids(&bob).await, Vec::<u128>::new());
    store.close().await;
}
