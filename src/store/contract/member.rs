//! Members and invitations.

use super::Fixture;
use super::samples::{acme, at, audited, event, team};
use crate::base::ids::MemberId;
use crate::domain::member::{Member, MemberState, Role};
use crate::store::{Invitation, InvitationChange, MemberChange, MemberChangeError, MemberFilter, Store};

/// An active member.
pub(crate) fn member(n: u128, role: Role) -> Member {
    Member {
        id: MemberId::from_u128(n),
        team: acme(),
        display_name: format!("Member {n}"),
        mail: format!("Member{n}@example.com").parse().unwrap(),
        role,
        time_zone: "Europe/Vienna".parse().unwrap(),
        language: "de-AT".parse().unwrap(),
        state: MemberState::Active { since: at(1) },
        persons: [("x".parse().unwrap(), ["77".to_owned()].into())].into(),
        created_at: at(0),
        version: 1,
    }
}

pub(super) fn change(member: Member) -> MemberChange {
    let trail = event("member.change", &member.name()).into();
    MemberChange::of(member, trail)
}

/// The next version of it.
pub(super) fn next(member: Member) -> MemberChange {
    change(Member { version: member.version + 1, ..member })
}

fn invitation(member: u128, hash: u8) -> Invitation {
    Invitation {
        member: MemberId::from_u128(member),
        hash: [hash; 32],
        mail: None,
        made_at: at(0),
        expires_at: at(100),
    }
}

/// The team of most tests with these members.
pub(crate) async fn seed(store: &dyn Store, members: &[Member]) {
    store.insert_team(team("acme"), event("team.add", "teams/acme").into()).await.unwrap();
    for member in members {
        store.insert_member(change(member.clone())).await.unwrap();
    }
}

pub(crate) async fn members_are_kept(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let invited = Member { state: MemberState::Invited, ..member(2, Role::Member) };
    let left = Member { state: MemberState::Left { since: at(9) }, ..member(3, Role::Manager) };
    let all = [member(1, Role::Owner), invited.clone(), left.clone()];
    seed(&*store, &all).await;
    let list = async |state, after| {
        let filter = MemberFilter { state, after };
        store.list_members(&acme(), filter, 10).await.unwrap()
    };
    assert_eq!(list(None, None).await, all);
    assert_eq!(list(Some("invited"), None).await, std::slice::from_ref(&invited));
    assert_eq!(list(None, Some(invited.id)).await, std::slice::from_ref(&left));
    assert_eq!(store.list_members(&"zenith".parse().unwrap(), MemberFilter::default(), 10).await.unwrap(), []);
    assert_eq!(store.find_member(invited.id).await.unwrap(), Some(invited.clone()));
    assert_eq!(store.members_by_mail("member2@example.com", 10).await.unwrap(), [invited]);
    assert_eq!(store.members_by_mail("member3@example.com", 10).await.unwrap(), [], "who left is found by no address");
    assert_eq!(audited(&*store, "member.change").await, 3);
    store.delete_team(&acme(), event("team.delete", "teams/acme").into()).await.unwrap();
    assert_eq!(store.find_member(MemberId::from_u128(1)).await.unwrap(), None);
    store.close().await;
}

pub(crate) async fn an_address_has_one_member_of_a_team(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let ada = member(1, Role::Owner);
    seed(&*store, &[ada.clone(), member(2, Role::Owner)]).await;
    store.insert_team(team("zenith"), event("team.add", "teams/zenith").into()).await.unwrap();
    let like_ada = |n| Member { mail: "MEMBER1@example.com".parse().unwrap(), ..member(n, Role::Member) };
    let refused = store.insert_member(change(like_ada(3))).await;
    assert!(matches!(refused, Err(MemberChangeError::MailTaken(id)) if id == ada.id), "{refused:?}");
    let refused = store.change_member(next(like_ada(2))).await;
    assert!(matches!(refused, Err(MemberChangeError::MailTaken(id)) if id == ada.id), "{refused:?}");
    let elsewhere = Member { team: "zenith".parse().unwrap(), ..like_ada(4) };
    store.insert_member(change(elsewhere)).await.unwrap();
    assert_eq!(store.members_by_mail("member1@example.com", 10).await.unwrap().len(), 2);
    store.change_member(next(Member { state: MemberState::Left { since: at(5) }, ..ada })).await.unwrap();
    store.insert_member(change(like_ada(3))).await.unwrap();
    store.close().await;
}

pub(crate) async fn a_team_keeps_an_owner(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let (ada, bob) = (member(1, Role::Owner), member(2, Role::Member));
    let invited = Member { state: MemberState::Invited, ..member(3, Role::Owner) };
    seed(&*store, &[ada.clone(), bob.clone(), invited]).await;
    let before = audited(&*store, "member.change").await;
    for last in [
        Member { role: Role::Manager, ..ada.clone() },
        Member { state: MemberState::Left { since: at(5) }, ..ada.clone() },
    ] {
        let refused = store.change_member(next(last)).await;
        assert!(matches!(refused, Err(MemberChangeError::LastOwner)), "{refused:?}");
    }
    assert_eq!(audited(&*store, "member.change").await, before, "what is refused leaves nothing");
    assert_eq!(store.find_member(ada.id).await.unwrap(), Some(ada.clone()));
    store.change_member(next(Member { role: Role::Owner, ..bob.clone() })).await.unwrap();
    store.change_member(next(Member { role: Role::Member, ..ada.clone() })).await.unwrap();
    let stale = store.change_member(next(ada)).await;
    assert!(matches!(stale, Err(MemberChangeError::Changed)), "{stale:?}");
    store.close().await;
}

pub(crate) async fn a_member_has_one_invitation(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let bob = Member { state: MemberState::Invited, ..member(2, Role::Member) };
    seed(&*store, &[]).await;
    let put =
        |change: MemberChange, hash| MemberChange { invitation: InvitationChange::Put(invitation(2, hash)), ..change };
    store.insert_member(put(change(bob.clone()), 7)).await.unwrap();
    assert_eq!(store.invitation_by_hash([7; 32]).await.unwrap(), Some(invitation(2, 7)));
    store.change_member(put(next(bob.clone()), 8)).await.unwrap();
    assert_eq!(store.invitation_by_hash([7; 32]).await.unwrap(), None);
    assert_eq!(store.find_invitation(bob.id).await.unwrap(), Some(invitation(2, 8)));
    let bob = Member { version: 2, ..bob };
    store.change_member(next(bob.clone())).await.unwrap();
    assert_eq!(store.find_invitation(bob.id).await.unwrap(), Some(invitation(2, 8)), "another change keeps it");
    let bob = Member { version: 3, ..bob };
    let proves = Invitation { mail: Some("bob@example.org".parse().unwrap()), ..invitation(2, 9) };
    let put = MemberChange { invitation: InvitationChange::Put(proves.clone()), ..next(bob.clone()) };
    store.change_member(put).await.unwrap();
    assert_eq!(store.find_invitation(bob.id).await.unwrap(), Some(proves), "one link takes the place of the other");
    let bob = Member { version: 4, ..bob };
    store.change_member(MemberChange { invitation: InvitationChange::End, ..next(bob.clone()) }).await.unwrap();
    assert_eq!(store.find_invitation(bob.id).await.unwrap(), None);
    store.close().await;
}
