//! Profiles, leavings and consents.

use super::Fixture;
use super::member::{member, next, seed};
use super::samples::{acme, at, audited, event, new_token, team, token};
use crate::base::ids::{MemberId, TokenId};
use crate::domain::consent::Consent;
use crate::domain::member::{Departure, LeftToken, Member, MemberState, Role};
use crate::domain::networks::{Purpose, Purposes};
use crate::domain::profile::Profile;
use crate::domain::token::{Token, TokenState};
use crate::store::{HeldProfile, MemberChange, NewToken, StoreError, TokenChange, TokenChangeError};

pub(crate) async fn profiles_are_kept(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let plain = Profile::unnamed(acme(), "x".parse().unwrap(), "p/1 ü".to_owned());
    let homeless = store.put_profile(plain.clone(), event("profile.update", "p").into()).await;
    assert!(matches!(homeless, Err(StoreError::Conflict { .. })), "{homeless:?}");
    seed(&*store, &[]).await;
    store.put_profile(plain.clone(), event("profile.update", "p").into()).await.unwrap();
    let (ada, bob) = (MemberId::from_u128(1), MemberId::from_u128(2));
    let named = Profile { owner: Some(ada), admins: [ada, bob].into(), display_name: "P".to_owned(), ..plain };
    store.put_profile(named.clone(), event("profile.update", "p").into()).await.unwrap();
    assert_eq!(store.list_profiles().await.unwrap(), [named]);
    assert_eq!(audited(&*store, "profile.update").await, 2);
    store.delete_team(&acme(), event("team.delete", "teams/acme").into()).await.unwrap();
    assert_eq!(store.list_profiles().await.unwrap(), []);
    store.close().await;
}

pub(crate) async fn the_profiles_that_tokens_speak_for_are_listed_once(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    super::samples::seed(&*store, 0).await;
    store.insert_team(team("other"), event("team.add", "teams/other").into()).await.unwrap();
    let mut tokens: Vec<Token> = (1..=4).map(token).collect();
    tokens[1].label = "second".to_owned();
    tokens[2].team = "other".parse().unwrap();
    tokens[3].state = TokenState::Live.revoke(at(3));
    store.insert_tokens(tokens.into_iter().map(new_token).collect(), None).await.unwrap();
    let mut held = store.list_held_profiles(&acme(), 9).await.unwrap();
    held.sort_by(|one, other| one.id.cmp(&other.id));
    let profile = |id: &str, label: &str| HeldProfile {
        network: "x".parse().unwrap(),
        id: id.to_owned(),
        label: label.to_owned(),
    };
    assert_eq!(held, [profile("p1", "Ada's account"), profile("p2", "second"), profile("shared", "Ada's account")]);
    assert_eq!(store.list_held_profiles(&acme(), 2).await.unwrap().len(), 2);
    store.close().await;
}

pub(crate) async fn a_leaving_begins_with_its_change_and_goes_on(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let (ada, bob) = (member(1, Role::Owner), member(2, Role::Member));
    seed(&*store, &[ada.clone(), bob.clone()]).await;
    let begin = |member: &Member| {
        let left = Member { state: MemberState::Left { since: at(5) }, ..member.clone() };
        let departure = Some(Departure::begin(member.id, at(5), 2, true));
        MemberChange { departure, ..next(left) }
    };
    assert!(store.change_member(begin(&ada)).await.is_err(), "the last owner stays");
    assert_eq!(store.find_departure(ada.id).await.unwrap(), None, "and no leaving of hers is noted");
    store.change_member(begin(&bob)).await.unwrap();
    let mut departure = store.find_departure(bob.id).await.unwrap().unwrap();
    assert_eq!(departure, Departure::begin(bob.id, at(5), 2, true));
    departure.tokens.push(LeftToken { token: TokenId::from_u128(7), heir: Some(ada.id) });
    store.put_departure(departure.clone(), None).await.unwrap();
    assert_eq!(store.open_departures(10).await.unwrap(), [departure.clone()]);
    departure.finished_at = Some(at(9));
    store.put_departure(departure.clone(), Some(event("member.left", "bob").into())).await.unwrap();
    assert_eq!(store.open_departures(10).await.unwrap(), []);
    assert_eq!(store.find_departure(bob.id).await.unwrap(), Some(departure));
    assert_eq!(audited(&*store, "member.left").await, 1);
    store.close().await;
}

pub(crate) async fn consents_are_kept_with_their_change(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    super::samples::seed(&*store, 0).await;
    let purposes: Purposes = [Purpose::CollectContent, Purpose::Publish].into_iter().collect();
    let agreed = Consent {
        token: TokenId::from_u128(1),
        at: at(1),
        purposes,
        withdrawn: Purposes::default(),
        text_version: "2026-11".to_owned(),
        member: Some(MemberId::from_u128(1)),
    };
    let given = |consent: &Consent| NewToken { consent: Some(consent.clone()), ..new_token(token(1)) };
    let nowhere = Consent { token: TokenId::from_u128(9), ..agreed.clone() };
    assert!(store.insert_tokens(vec![given(&nowhere)], None).await.is_err());
    assert_eq!(store.find_token(agreed.token).await.unwrap(), None, "both or neither");
    store.insert_tokens(vec![given(&agreed)], None).await.unwrap();
    let twice = store.insert_tokens(vec![given(&agreed)], None).await.unwrap();
    assert_eq!((twice.duplicates.len(), store.list_consents(agreed.token, 10).await.unwrap().len()), (1, 1));
    let left = agreed.withdraw([Purpose::Publish].into_iter().collect(), at(1), None);
    let change = |expected_version| TokenChange {
        expected_version,
        expected_state: token(1).state,
        token: Token { purposes: left.purposes, ..token(1) },
        secrets: None,
        trail: event("consent.withdraw", "t").into(),
        revocation: None,
        alerts: Vec::new(),
    };
    let stale = store.change_consent(left.clone(), change(7)).await;
    assert!(matches!(stale, Err(TokenChangeError::Changed { .. })), "{stale:?}");
    assert_eq!(store.list_consents(agreed.token, 10).await.unwrap(), std::slice::from_ref(&agreed), "both or neither");
    store.change_consent(left.clone(), change(1)).await.unwrap();
    assert_eq!(store.list_consents(agreed.token, 10).await.unwrap(), [left.clone(), agreed.clone()]);
    assert_eq!(store.list_consents(agreed.token, 1).await.unwrap(), std::slice::from_ref(&left));
    assert_eq!(store.find_token(agreed.token).await.unwrap().unwrap().token.purposes, left.purposes);
    store.close().await;
}
