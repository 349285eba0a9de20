//! Events: written with the change that they tell of, once for each key.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Fixture;
use super::member::{member, seed as seed_members};
use super::samples::{acme, at, event, new_token, seed, team, token};
use crate::base::ids::{DestinationId, EventId, NetworkId, TeamId, TokenId};
use crate::domain::audit::AuditEvent;
use crate::domain::member::{Member, MemberState, Role};
use crate::domain::networks::Duty;
use crate::domain::notice::{Channel, Choice, Event, Fact, Kind, NoticeSettings, QuietHours, RetentionStage};
use crate::domain::token::{Clocks, Reason, Token, TokenState};
use crate::store::{
    AtRisk, NewToken, PutLook, PutRenewal, RiskPlace, SealedSecrets, Store, StoreError, StoredRenewal, StoredToken,
    Telling, TokenChange, Trail, Whose,
};

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
    what_lasts_is_not_forgotten(&*store).await;
    store.close().await;
}

/// What is worked out anew at each look would be written again if its event were gone.
async fn what_lasts_is_not_forgotten(store: &dyn Store) {
    seed(store, 2).await;
    let clock = |n| {
        let (network, token, stage, deadline) =
            ("x".parse().unwrap(), TokenId::from_u128(n), RetentionStage::Over, at(1));
        Fact::RetentionClock { network, token, stage, deadline, duty: Duty::Delete, rules: Vec::new() }
    };
    let needs = |n| {
        let (network, token) = ("x".parse().unwrap(), TokenId::from_u128(n));
        Fact::NeedsReconnecting { network, token, need: None, by: None }
    };
    let gone = Fact::DestinationGone { destination: DestinationId::from_u128(1), name: String::new() };
    let damaged = Fact::SecretDamaged { name: "networks/x/apps/default".to_owned() };
    let events = vec![
        Event { fact: clock(1), ..fact(20, "clock") },
        Event { fact: needs(2), ..fact(21, "needs") },
        Event { fact: needs(9), ..fact(22, "of no token") },
        Event { fact: gone, ..fact(23, "gone") },
        Event { fact: damaged, team: None, ..fact(24, "damaged") },
    ];
    store.append_events(events).await.unwrap();
    let events = store.untold_events(None, 100).await.unwrap().into_iter().map(|event| event.id).collect();
    store.tell(Telling { now: at(90), events, hearings: Vec::new() }).await.unwrap();
    let left = async || {
        let mut left = Vec::new();
        for key in ["same", "other", "of all", "clock", "needs", "of no token", "gone", "damaged"] {
            left.extend(store.find_event(key).await.unwrap().map(|event| event.dedup_key));
        }
        left
    };
    assert_eq!(store.prune_events(at(90), 100).await.unwrap(), 3);
    let pruned = async |after| store.prune_lasting_events(after, at(90), 2).await.unwrap();
    let of = |n: i64| Some((at(n), EventId::from_u128(n as u128)));
    assert_eq!(pruned(None).await, (0, of(21)));
    assert_eq!(pruned(of(21)).await, (2, of(23)));
    assert_eq!((pruned(of(23)).await, pruned(of(24)).await), ((0, of(24)), (0, None)));
    assert_eq!(store.prune_lasting_events(None, at(1), 9).await.unwrap(), (0, None), "it is too early");
    assert_eq!(left().await, ["clock", "needs", "damaged"]);
    let connected_anew = Clocks { consented_at: Some(at(50)), ..token(2).clocks };
    let changes =
        [Token { state: TokenState::Live.revoke(at(50)), ..token(1) }, Token { clocks: connected_anew, ..token(2) }];
    for token in changes {
        let change = TokenChange {
            expected_version: token.version,
            expected_state: TokenState::Live,
            token,
            secrets: None,
            trail: event("token.change", "token").into(),
            revocation: None,
            alerts: Vec::new(),
        };
        store.change_token(change).await.unwrap();
    }
    assert_eq!(store.prune_events(at(90), 100).await.unwrap(), 0);
    assert_eq!(store.prune_lasting_events(None, at(90), 100).await.unwrap(), (2, of(24)));
    assert_eq!(left().await, ["damaged"]);
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
    // Renewals that fail may have to be told sooner, never later.
    for look_at in [None, Some(at(5)), Some(at(9))] {
        let renewal = StoredRenewal { due_at: Some(at(2)), failures: 3, ..StoredRenewal::default() };
        let put = PutRenewal { token: TokenId::from_u128(2), version: 1, renewal, look_at };
        assert!(store.put_renewal(put).await.unwrap());
    }
    assert_eq!((looked(at(4)).await, looked(at(5)).await), (vec![], vec![2]));
    store.close().await;
}

pub(crate) async fn trouble_is_known_until_there_are_new_secrets(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 2).await;
    let about = |n: u128, token: u128, seconds, fact: fn(NetworkId, TokenId) -> Fact| Event {
        at: at(seconds),
        fact: fact("x".parse().unwrap(), TokenId::from_u128(token)),
        ..self::fact(n, &n.to_string())
    };
    let expired = |network, token| Fact::TokenExpired { network, token };
    let connected = |network, token| Fact::TokenConnected { network, token, healed: true };
    let events = vec![
        about(1, 1, 700, expired),
        about(2, 1, 701, connected),
        about(3, 2, 702, expired),
        about(4, 1, 1_703, expired),
    ];
    store.append_events(events).await.unwrap();
    let told = async || {
        let found = store.troubles_told(TokenId::from_u128(1)).await.unwrap();
        found.into_iter().map(|event| event.id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(told().await, [1, 4]);
    let held = store.find_token(TokenId::from_u128(1)).await.unwrap().unwrap().token;
    let mut trail = Trail::from(event("token.renew", "token"));
    trail.audit.at = at(1_000);
    let change = TokenChange {
        expected_version: held.version,
        expected_state: held.state,
        token: Token { version: held.version + 1, ..held },
        secrets: Some(SealedSecrets { access: vec![1], ..SealedSecrets::default() }),
        trail,
        revocation: None,
        alerts: Vec::new(),
    };
    store.change_token(change).await.unwrap();
    assert_eq!(told().await, [4]);
    store.close().await;
}

pub(crate) async fn what_is_at_risk_is_found_by_whom_it_concerns(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 0).await;
    let ending = |n: u128, granted_by: &str, end: Option<i64>| {
        let clocks = Clocks { refresh_expires_at: end.map(at), access_expires_at: Some(at(900)), ..Clocks::default() };
        let granted_by = granted_by.to_owned();
        let (closed, profiles) = (BTreeMap::new(), vec![format!("page-{n}")]);
        new_token(Token { granted_by, person: n.to_string(), clocks, closed, profiles, ..token(n) })
    };
    let dead = |n, state| {
        let new = ending(n, "Ada@Example.com", Some(5000));
        NewToken { stored: StoredToken { token: Token { state, ..new.stored.token }, ..new.stored }, ..new }
    };
    let not_whole = |n, change: fn(&mut Token)| {
        let mut new = ending(n, "eve", Some(5000));
        change(&mut new.stored.token);
        new
    };
    let tokens = vec![
        not_whole(9, |token| token.closed.clear()),
        not_whole(10, |token| token.blocked_since = Some(at(1))),
        not_whole(11, |token| token.closed = [("tweets.get".parse().unwrap(), at(1))].into()),
        ending(1, "ada@example.com", Some(40)),
        ending(2, "mem_ada", Some(30)),
        ending(3, "bob", Some(10)),
        ending(4, "", Some(20)),
        ending(5, "ada@example.com", None),
        dead(6, TokenState::Invalid { reason: Reason::PasswordChanged, since: at(1) }),
        dead(7, TokenState::Revoked { since: at(1) }),
        dead(8, TokenState::Invalid { reason: Reason::PasswordChanged, since: at(1) }),
    ];
    store.insert_tokens(tokens, None).await.unwrap();
    let all: Vec<String> = ["ada@example.com", "mem_ada", "x\n4"].map(str::to_owned).into();
    let ask = async |whose, before, after| {
        let wanted = AtRisk { team: acme(), whose, before: at(before), after, limit: 3 };
        let found = store.list_at_risk(wanted).await.unwrap();
        assert!(found.iter().all(|(place, stored)| stored.as_ref().unwrap().token.id == place.token));
        found.iter().map(|(place, _)| place.token.as_u128()).collect::<Vec<_>>()
    };
    let found = async |grantors: &[String], before, after| {
        ask(Whose::Of { grantors: grantors.to_vec(), profiles: vec![] }, before, after).await
    };
    assert_eq!(found(&all, 900, None).await, [6, 8, 4]);
    let place = |seconds, n| Some(RiskPlace { at: at(seconds), token: TokenId::from_u128(n) });
    assert_eq!(found(&all, 900, place(20, 4)).await, [2, 1]);
    assert_eq!(
        found(&all, 901, place(40, 1)).await,
        [5],
        "an end that a renewal turns back counts for the caller to judge"
    );
    assert_eq!(found(&all[1..], 900, None).await, [4, 2]);
    assert_eq!(found(&["eve".to_owned()], 900, None).await, [10, 11], "what is blocked or lacks a permission");
    let first_dead = Some(RiskPlace { at: crate::base::clock::Timestamp::EPOCH, token: TokenId::from_u128(6) });
    assert_eq!(found(&all, 25, first_dead).await, [8, 4]);
    assert_eq!(ask(Whose::Anybodys, 900, None).await, [6, 8, 10]);
    assert_eq!(ask(Whose::Anybodys, 900, place(10, 3)).await, [4, 2, 1]);
    let profiles = |ids: &[&str]| ids.iter().map(|id| ("x".parse().unwrap(), (*id).to_owned())).collect();
    let concerned = |ids: &[&str]| Whose::Of { grantors: vec!["x\n4".to_owned()], profiles: profiles(ids) };
    assert_eq!(ask(concerned(&["page-3", "page-4"]), 900, None).await, [3, 4], "each once");
    assert_eq!(ask(concerned(&["page-3"]), 900, place(10, 3)).await, [4]);
    assert_eq!(ask(concerned(&["page-9"]), 900, None).await, [4], "a profile that no token speaks for");
    store.close().await;
}

pub(crate) async fn what_a_member_chose_is_kept(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let (ada, bob, gone) = (member(1, Role::Owner), member(2, Role::Member), member(3, Role::Member));
    let gone = Member { state: MemberState::Left { since: at(9) }, ..gone };
    seed_members(&*store, &[ada.clone(), bob.clone(), gone]).await;
    let choice = Choice { kind: Kind::TokenExpired, channel: Channel::Mail, profile: Some("p".to_owned()), on: false };
    let quiet = Some(QuietHours { from: 60, until: 120 });
    let chosen = NoticeSettings { choices: vec![choice], quiet, hides_dialog: true };
    assert_eq!(store.notice_settings(ada.id).await.unwrap(), NoticeSettings::default());
    let first = NoticeSettings { quiet: None, ..chosen.clone() };
    let put = async |before: &NoticeSettings, settings: &NoticeSettings| {
        let trail = event("notice.settings", "ada").into();
        store.put_notice_settings(ada.id, before.clone(), settings.clone(), trail).await
    };
    put(&NoticeSettings::default(), &first).await.unwrap();
    put(&first, &chosen).await.unwrap();
    let late = put(&first, &NoticeSettings::default()).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "it was decided on what was there before");
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
    let read_at = |n| Trail::from(AuditEvent { at: at(n), ..event("notice.read", "ada") });
    store.mark_read(ada.id, None, vec![events[1], events[3]], read_at(1)).await.unwrap();
    assert_eq!(read().await, [0, 1, 0, 1, 0]);
    let readers =
        async |team: &TeamId, event| store.readers_of(team, event).await.unwrap().into_iter().collect::<Vec<_>>();
    assert_eq!(readers(&acme(), events[3]).await, [ada.id]);
    assert_eq!(readers(&acme(), events[0]).await, []);
    assert_eq!(readers(&"beta".parse().unwrap(), events[3]).await, []);
    store.mark_read(ada.id, Some(events[2]), vec![], read_at(2)).await.unwrap();
    store.mark_read(ada.id, Some(events[0]), vec![events[3]], read_at(3)).await.unwrap();
    assert_eq!(read().await, [1, 1, 1, 1, 0], "what was read stays so");
    assert_eq!(readers(&acme(), events[0]).await, [ada.id]);
    store.append_events(vec![fact(4, "forgotten"), fact(5, "kept")]).await.unwrap();
    store.mark_read(ada.id, None, vec![events[4]], read_at(0)).await.unwrap();
    store.tell(Telling { now: at(5), events: vec![events[3]], hearings: Vec::new() }).await.unwrap();
    assert_eq!(store.prune_events(at(9), 10).await.unwrap(), 1);
    assert_eq!(
        read().await,
        [1, 1, 1, 0, 1],
        "what can still be seen stays read, all else is forgotten with its event"
    );
    store.close().await;
}
