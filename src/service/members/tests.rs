//! Members and invitations, on a whole broker.

use std::sync::Arc;

use super::*;
use crate::base::ids::{CollectorId, SessionId};
use crate::domain::member::{MemberState, Role};
use crate::service::renew::RenewError;
use crate::service::testing::{TestBroker, x_token};
use crate::service::tokens::{AddToken, TokenError, UpdateToken};
use crate::store::{InvitationChange, MemberChange};

fn ask(team: &TeamId, mail: &str, role: Role) -> InviteMember {
    InviteMember {
        team: team.clone(),
        mail: mail.parse().unwrap(),
        display_name: "Ada".to_owned(),
        role,
        time_zone: Default::default(),
        language: Default::default(),
    }
}

/// A member who joined, as it calls.
async fn joined(test: &TestBroker, team: &TeamId, mail: &str, role: Role) -> Caller {
    let invited = test.broker.invite_member(&test.admin, ask(team, mail, role)).await.unwrap().member.member;
    let state = MemberState::Active { since: test.broker.now() };
    let member = Member { state, version: invited.version + 1, ..invited };
    let audit = test.broker.member_audit(&Caller::Broker, "member.join", &member, String::new());
    let change = MemberChange { invitation: InvitationChange::End, ..MemberChange::of(member.clone(), audit.into()) };
    test.broker.store.change_member(change).await.unwrap();
    Caller::Member { member: Arc::new(member), session: SessionId::generate() }
}

fn id_of(caller: &Caller) -> MemberId {
    let Caller::Member { member, .. } = caller else { panic!("it is a member") };
    member.id
}

#[tokio::test]
async fn an_invitation_is_shown_once_and_kept_as_a_hash() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let made = test.broker.invite_member(&test.admin, ask(&team, "ada@example.com", Role::Owner)).await.unwrap();
    let member = &made.member.member;
    assert_eq!(made.member.invited_until, Some(test.broker.now() + invite::LINK_LASTS));
    let kept = test.broker.store.find_invitation(member.id).await.unwrap().unwrap();
    let secret = crate::domain::member::LinkKind::Invitation.read(made.secret.expose()).unwrap();
    assert_eq!(kept.hash, test.broker.invitation_hash(&secret));
    assert_ne!(kept.hash, *secret);
    assert!(test.broker.invitation_link(&made.secret).starts_with("/join?invitation=tbi_"));
    let again = test.broker.resend_invitation(&test.admin, &team, member.id).await.unwrap();
    assert!(!again.secret.matches(made.secret.expose().as_bytes()), "each link is another");
    assert_ne!(test.broker.store.find_invitation(member.id).await.unwrap().unwrap().hash, kept.hash);
    let withdrawn = test.broker.withdraw_invitation(&test.admin, &team, member.id, "").await.unwrap();
    assert_eq!(withdrawn.invited_until, None);
    let twice = test.broker.withdraw_invitation(&test.admin, &team, member.id, "").await.unwrap();
    assert_eq!(twice, withdrawn);
    test.stop().await;
}

#[tokio::test]
async fn one_address_is_invited_once_to_a_team() {
    let test = TestBroker::start().await;
    let (acme, zenith) = (test.team("acme").await, test.team("zenith").await);
    let first = test.broker.invite_member(&test.admin, ask(&acme, "ada@example.com", Role::Member)).await.unwrap();
    let again = test.broker.invite_member(&test.admin, ask(&acme, "ADA@example.com", Role::Member)).await;
    let Err(MemberError::MailTaken { member, .. }) = again.map(|_| ()) else { panic!("the address is taken") };
    assert_eq!(member, first.member.member.id);
    test.broker.invite_member(&test.admin, ask(&zenith, "ada@example.com", Role::Member)).await.unwrap();
    let nowhere = test.broker.invite_member(&test.admin, ask(&"nobody".parse().unwrap(), "a@b.c", Role::Member)).await;
    assert!(matches!(nowhere.map(|_| ()), Err(MemberError::TeamNotFound(_))));
    let crossed = test.broker.show_member(&zenith, first.member.member.id).await;
    assert!(matches!(crossed, Err(MemberError::NotFound { .. })), "nothing crosses teams");
    test.stop().await;
}

#[tokio::test]
async fn the_last_owner_stays_one() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let ada = joined(&test, &team, "ada@example.com", Role::Owner).await;
    let demote = UpdateMember { role: Some(Role::Member), ..UpdateMember::default() };
    let refused = test.broker.update_member(&ada, &team, id_of(&ada), &demote).await;
    assert!(matches!(refused, Err(MemberError::LastOwner(_))), "{refused:?}");
    joined(&test, &team, "bob@example.com", Role::Owner).await;
    test.broker.update_member(&ada, &team, id_of(&ada), &demote).await.unwrap();
    test.stop().await;
}

#[tokio::test]
async fn a_new_address_and_role_are_audited_with_what_they_were() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let made = test.broker.invite_member(&test.admin, ask(&team, "ada@example.com", Role::Member)).await.unwrap();
    let id = made.member.member.id;
    let mail = Some("ada@example.org".parse().unwrap());
    let change =
        UpdateMember { mail, role: Some(Role::Manager), language: Some("de".parse().unwrap()), ..Default::default() };
    let changed = test.broker.update_member(&test.admin, &team, id, &change).await.unwrap();
    assert_eq!(changed.invited_until, None, "the link went to the old address");
    let filter = crate::store::AuditFilter { action: Some("member.update".to_owned()), ..Default::default() };
    let rows = test.broker.store.list_audit(filter, 10).await.unwrap();
    assert_eq!(
        rows[0].detail,
        "mail=ada@example.org mail_before=ada@example.com role=manager role_before=member fields=language"
    );
    test.stop().await;
}

#[tokio::test]
async fn members_do_what_the_table_says() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let owner = joined(&test, &team, "owner@example.com", Role::Owner).await;
    let manager = joined(&test, &team, "manager@example.com", Role::Manager).await;
    let member = joined(&test, &team, "member@example.com", Role::Member).await;
    let broker = &test.broker;
    let may_invite = async |caller: &Caller, mail: &str, role| {
        let done = broker.invite_member(caller, ask(&team, mail, role)).await;
        match done {
            Ok(_) => true,
            Err(MemberError::Forbidden(_)) => false,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(may_invite(&owner, "1@example.com", Role::Owner).await);
    assert!(may_invite(&manager, "2@example.com", Role::Member).await);
    assert!(!may_invite(&manager, "3@example.com", Role::Manager).await, "nobody gives more than it may");
    assert!(!may_invite(&member, "4@example.com", Role::Member).await);
    let rename = UpdateMember { display_name: Some("N".to_owned()), ..UpdateMember::default() };
    let promote = UpdateMember { role: Some(Role::Owner), ..UpdateMember::default() };
    let may_change = async |caller: &Caller, of: &Caller, change: &UpdateMember| {
        broker.update_member(caller, &team, id_of(of), change).await.is_ok()
    };
    assert!(may_change(&member, &member, &rename).await && !may_change(&member, &manager, &rename).await);
    assert!(!may_change(&manager, &member, &rename).await && may_change(&owner, &member, &rename).await);
    assert!(!may_change(&member, &member, &promote).await, "nobody promotes itself");
    let reset = broker.resend_invitation(&manager, &team, id_of(&owner)).await.map(|_| ());
    assert!(matches!(reset, Err(MemberError::Forbidden(_))), "a manager takes over no owner");

    let zenith = test.team("zenith").await;
    let elsewhere = broker.invite_member(&owner, ask(&zenith, "x@example.com", Role::Member)).await.map(|_| ());
    assert!(matches!(elsewhere, Err(MemberError::Forbidden(Forbidden::Team(_)))), "nothing crosses teams");
    let collector: CollectorId = test.collector(&team, "worker").await.id;
    let by_collector = broker.invite_member(&test.caller(collector), ask(&team, "y@example.com", Role::Member)).await;
    assert!(matches!(by_collector.map(|_| ()), Err(MemberError::Forbidden(_))));
    test.stop().await;
}

#[tokio::test]
async fn what_members_do_to_tokens_follows_the_table() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let broker = &test.broker;
    let callers = [
        joined(&test, &team, "owner@example.com", Role::Owner).await,
        joined(&test, &team, "manager@example.com", Role::Manager).await,
        joined(&test, &team, "bob@example.com", Role::Member).await,
        joined(&test, &team, "eve@example.com", Role::Member).await,
    ];
    // Bob's token; each caller with whether it may do all but revoke it, and whether it may revoke it.
    for (place, (looks_after, ends)) in
        [(true, true), (true, true), (true, true), (false, false)].into_iter().enumerate()
    {
        let caller = &callers[place];
        let granted = AddToken { granted_by: "bob@example.com".to_owned(), ..x_token(&format!("person {place}")) };
        let id = broker.add_token(&test.admin, &team, granted).await.unwrap().token.id;
        let allowed = |result: Result<(), TokenError>| match result {
            Ok(()) => true,
            Err(TokenError::Forbidden(Forbidden::Action { .. })) => false,
            Err(error) => panic!("{error}"),
        };
        let label = UpdateToken { label: Some("n".to_owned()), ..UpdateToken::default() };
        let done = [
            allowed(broker.pause_token(caller, &team, id, "").await.map(drop)),
            allowed(broker.resume_token(caller, &team, id, "").await.map(drop)),
            allowed(broker.update_token(caller, &team, id, &label).await.map(drop)),
            !matches!(broker.renew_token(caller, &team, id).await, Err(RenewError::Token(TokenError::Forbidden(_)))),
        ];
        assert_eq!(done, [looks_after; 4], "caller {place}");
        assert_eq!(allowed(broker.revoke_token(caller, &team, id, "").await.map(drop)), ends, "caller {place}");
    }
    let zenith = test.team("zenith").await;
    let theirs = test.token(&zenith, "person").await;
    let crossed = broker.pause_token(&callers[0], &zenith, theirs, "").await;
    assert!(matches!(crossed, Err(TokenError::Forbidden(Forbidden::Team(_)))), "nothing crosses teams");
    test.stop().await;
}
