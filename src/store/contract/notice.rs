//! Events: written with the change that they tell of, once for each key.

use std::time::Duration;

use super::Fixture;
use super::member::{member, seed as seed_members};
use super::samples::{acme, at, event, new_token, seed, team, token};
use crate::base::ids::{EventId, TokenId};
use crate::domain::member::{Member, MemberState, Role};
use crate::domain::notice::{Channel, Choice, Event, Fact, Kind, NoticeSettings, QuietHours};
use crate::domain::token::{Clocks, Token};
use crate::store::{NewToken, PutLook, StoredRenewal, StoredToken, Trail};

/// The `n`th fact of a team, under a key.
pub(crate) fn fact(n: u128, key: &str) -> Event {
    Event {
        id: EventId::from_u128(n),
        at: at(n as i64),
        team: Some(acme()),
        fact: Fact::TokenExpired { network: "x".parse().unwrap(), token: TokenId::from_u128(n) },
        dedup_key: key.to_owned(),
    }
}

pub(crate) async fn events_come_with_their_change(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let trail = || Trail::from(event("team.create", "team")).telling([fact(1, "first"), fact(2, "second")]);
    store.insert_team(team("acme"), trail()).await.unwrap();
    let told = [fact(1, "first"), fact(2, "second")];
    assert_eq!(store.untold_events(None, 10).await.unwrap(), told);
    let undone = Trail { events: vec![fact(3, "third")], ..trail() };
    store.insert_team(team("acme"), undone).await.unwrap_err();
    assert_eq!(store.untold_events(None, 10).await.unwrap(), told);
    store.close().await;
}

pub(crate) async fn a_fact_is_written_once(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let of_all = Event { team: None, ..fact(4, "of all") };
    let events = vec![fact(1, "same"), fact(2, "same"), fact(3, "other"), of_all];
    assert_eq!(store.append_events(events).await.unwrap(), 3);
    assert_eq!(store.append_events(vec![fact(5, "same")]).await.unwrap(), 0);
    let listed = async |before| {
        let events = store.list_events(&acme(), before, 10).await.unwrap();
        events.iter().map(|event| event.id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await, [3, 1]);
    assert_eq!(listed(Some(EventId::from_u128(3))).await, [1]);
    assert_eq!(store.untold_events(Some(EventId::from_u128(1)), 10).await.unwrap().len(), 2);
    assert_eq!(store.prune_events(at(9), 10).await.unwrap(), 0, "nobody was told yet");
    store.close().await;
}

pub(crate) async fn a_token_is_looked_at_when_it_is_due(fixture: &dyn Fixture) {
    const DAY: Duration = Duration::from_secs(86_400);
    let store = fixture.open().await;
    seed(&*store, 0).await;
    let ending = |n, days| {
        let clocks = Clocks { access_expires_at: Some(at(0) + DAY * days), ..Clocks::default() };
        let new = new_token(Token { clocks, ..token(n) });
        NewToken { stored: StoredToken { renewal: StoredRenewal::default(), ..new.stored }, ..new }
    };
    let tokens = vec![ending(1, 2), ending(2, 60), new_token(Token { clocks: Clocks::default(), ..token(3) })];
    store.insert_tokens(tokens, None).await.unwrap();
    let looked = async |now| {
        let due = store.due_looks(now, 10).await.unwrap();
        due.iter().map(|look| look.stored.token.id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(looked(at(0)).await, [1]);
    assert_eq!(looked(at(0) + DAY * 53).await, [1, 2]);
    let due = store.due_looks(at(0), 10).await.unwrap().remove(0);
    let put = PutLook { token: due.stored.token.id, due_at: due.due_at, next: Some(at(0) + DAY) };
    assert_eq!(store.put_looks(vec![put], vec![fact(1, "soon")]).await.unwrap(), 1);
    assert_eq!(looked(at(0)).await, Vec::<u128>::new());
    assert_eq!(looked(at(0) + DAY).await, [1]);
    // What was found of the token as it was says nothing of it as it is now.
    assert_eq!(store.put_looks(vec![PutLook { next: None, ..put }], vec![]).await.unwrap(), 0);
    assert_eq!(looked(at(0) + DAY).await, [1]);
    assert_eq!(store.put_looks(vec![PutLook { due_at: at(0) + DAY, next: None, ..put }], vec![]).await.unwrap(), 0);
    assert_eq!(looked(at(0) + DAY * 60).await, [2]);
    store.close().await;
}

pub(crate) async fn what_a_member_chose_is_kept(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let (ada, bob, gone) = (member(1, Role::Owner), member(2, Role::Member), member(3, Role::Member));
    let gone = Member { state: MemberState::Left { since: at(9) }, ..gone };
    seed_members(&*store, &[ada.clone(), bob.clone(), gone]).await;
    let choice = Choice { kind: Kind::TokenExpired, channel: Channel::Mail, profile: Some("p".to_owned()), on: false };
    let quiet = Some(QuietHours { from: 60, until: 120 });
    let chosen = NoticeSettings { choices: vec![choice], quiet };
    assert_eq!(store.notice_settings(ada.id).await.unwrap(), NoticeSettings::default());
    for settings in [NoticeSettings { quiet: None, ..chosen.clone() }, chosen.clone()] {
        store.put_notice_settings(ada.id, settings, event("notice.settings", "ada").into()).await.unwrap();
    }
    assert_eq!(store.notice_settings(ada.id).await.unwrap(), chosen);
    let hearers = store.list_hearers(&acme(), None, 10).await.unwrap();
    assert_eq!(hearers, [(ada.clone(), chosen), (bob.clone(), NoticeSettings::default())], "who left hears nothing");
    assert_eq!(store.list_hearers(&acme(), Some(ada.id), 10).await.unwrap(), [(bob, NoticeSettings::default())]);
    store.close().await;
}

pub(crate) async fn what_was_read_is_kept(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let ada = member(1, Role::Owner);
    seed_members(&*store, std::slice::from_ref(&ada)).await;
    let events: Vec<EventId> = (1..=5).map(EventId::from_u128).collect();
    let read = async || {
        let marks = store.read_marks(ada.id, &events).await.unwrap();
        events.iter().map(|event| u8::from(marks.has(*event))).collect::<Vec<_>>()
    };
    assert_eq!(read().await, [0, 0, 0, 0, 0]);
    store.mark_read(ada.id, None, vec![events[1], events[3]], at(1)).await.unwrap();
    assert_eq!(read().await, [0, 1, 0, 1, 0]);
    store.mark_read(ada.id, Some(events[2]), vec![], at(2)).await.unwrap();
    store.mark_read(ada.id, Some(events[0]), vec![events[3]], at(3)).await.unwrap();
    assert_eq!(read().await, [1, 1, 1, 1, 0], "what was read stays so");
    assert_eq!(store.prune_read_marks(at(1), 10).await.unwrap(), 0);
    assert_eq!(store.prune_read_marks(at(2), 10).await.unwrap(), 1);
    assert_eq!(read().await, [1, 1, 1, 0, 0]);
    store.close().await;
}
