//! Connections: found by what was given out, changed once from what was read, ended when their time is over; and refresh tokens that were given.

use super::Fixture;
use super::samples::{acme, at, event, new_token, seed, token};
use crate::base::ids::{ConnectionId, MemberId, TokenId};
use crate::domain::connection::{Connection, Found, Granter, Obstacle, Problem, Profile, Stage};
use crate::domain::networks::Purpose;
use crate::domain::token::Token;
use crate::store::{
    ConnectedToken, ConnectionFilter, ConnectionStep, KeepError, NewToken, SealedSecrets, StoreError, StoredConnection,
    TokenChange,
};

pub(crate) fn connection(n: u128) -> StoredConnection {
    let mark = |base: u8| [base + u8::try_from(n).unwrap(); 32];
    let connection = Connection {
        id: ConnectionId::from_u128(n),
        team: acme(),
        network: "x".parse().unwrap(),
        app: "default".parse().unwrap(),
        kind: "user".parse().unwrap(),
        purposes: [Purpose::CollectContent].into_iter().collect(),
        scopes: vec!["like.read".to_owned()],
        started_by: Some(MemberId::from_u128(n)),
        granter: Granter::Named("ann".to_owned()),
        text_version: String::new(),
        token: Some(TokenId::from_u128(1)),
        other_account: true,
        return_url: Some("https://app.example/".to_owned()),
        stage: Stage::Offered,
        problem: None,
        created_at: at(0),
        ends_at: at(100 + i64::try_from(n).unwrap()),
        version: 1,
    };
    StoredConnection { connection, link_hash: mark(10), browser_hash: None, state_hash: None, sealed: None }
}

fn step(stored: StoredConnection, action: &'static str) -> ConnectionStep {
    ConnectionStep { stored, gives_back: None, trail: event(action, "c").into() }
}

pub(crate) async fn a_connection_comes_back_at_every_stage(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let first = connection(1);
    store.insert_connection(first.clone(), event("connection.start", "c").into()).await.unwrap();
    let profile = Profile { id: "7".to_owned(), name: "Page".to_owned(), obstacle: Some(Obstacle::NoToken) };
    let found =
        Found { person: "p".to_owned(), scopes: vec!["s".to_owned()], profiles: vec![profile], ..Found::default() };
    let stages = [
        Stage::Asked { until: at(5) },
        Stage::Redeeming { since: at(6) },
        Stage::Choosing(found),
        Stage::Connected { tokens: vec![TokenId::from_u128(1)], at: at(7) },
        Stage::Cancelled { at: at(8) },
        Stage::Lapsed { at: at(9) },
        Stage::Offered,
    ];
    let mut stored = first;
    for stage in stages {
        stored.connection.version += 1;
        stored.connection.stage = stage;
        stored.connection.granter = Granter::Member(MemberId::from_u128(stored.connection.version.into()));
        stored.connection.text_version = "2026-11".to_owned();
        stored.connection.problem = Some(Problem::NoCode { network: "X".to_owned() });
        (stored.browser_hash, stored.state_hash, stored.sealed) = (Some([1; 32]), Some([2; 32]), Some(vec![3]));
        assert!(store.change_connection(step(stored.clone(), "connection.ask")).await.unwrap());
        let id = stored.connection.id;
        assert_eq!(store.find_connection(id).await.unwrap().as_ref(), Some(&stored));
        assert_eq!(store.connection_of_link(stored.link_hash).await.unwrap().as_ref(), Some(&stored));
        assert_eq!(store.connection_of_state([2; 32]).await.unwrap().as_ref(), Some(&stored));
    }
    assert_eq!(store.connection_of_state([9; 32]).await.unwrap(), None);
    let mut nobodys = connection(2);
    nobodys.connection.team = "nobody".parse().unwrap();
    let refused = store.insert_connection(nobodys, event("connection.start", "c").into()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    store.close().await;
}

pub(crate) async fn a_connection_is_changed_once_from_what_was_read(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let first = connection(1);
    store.insert_connection(first.clone(), event("connection.start", "c").into()).await.unwrap();
    let next = || {
        let mut next = first.clone();
        (next.connection.version, next.connection.stage) = (2, Stage::Redeeming { since: at(1) });
        next
    };
    let changes = (0..8).map(|_| store.change_connection(step(next(), "connection.answer")));
    let made = futures_util::future::join_all(changes).await;
    assert_eq!(made.into_iter().filter(|made| *made.as_ref().unwrap()).count(), 1);
    store.close().await;
}

pub(crate) async fn the_tokens_of_a_connection_are_kept_with_its_end_or_not_at_all(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let first = connection(1);
    store.insert_connection(first.clone(), event("connection.start", "c").into()).await.unwrap();
    let next = |version, stage| {
        let mut next = first.clone();
        (next.connection.version, next.connection.stage) = (version, stage);
        next
    };
    let connected = |version| {
        let stage = Stage::Connected { tokens: vec![TokenId::from_u128(2)], at: at(7) };
        step(next(version, stage), "connection.complete")
    };
    let new = |n| ConnectedToken::New(Box::new(new_token(token(n))));
    let keep = async |version, tokens| store.keep_connected(connected(version), tokens).await;
    let is_there = async |n| store.find_token(TokenId::from_u128(n)).await.unwrap().is_some();
    // The second is held already: the first is not kept either, and the connection goes on.
    assert!(matches!(keep(2, vec![new(2), new(1)]).await, Err(KeepError::Held)));
    assert!(!is_there(2).await);
    assert_eq!(store.find_connection(first.connection.id).await.unwrap().unwrap().connection.stage, Stage::Offered);
    assert!(store.change_connection(step(next(2, Stage::Cancelled { at: at(5) }), "connection.cancel")).await.unwrap());
    assert!(matches!(keep(2, vec![new(2)]).await, Err(KeepError::Connection)));
    assert!(!is_there(2).await, "it was cancelled: nothing comes of it");
    assert_eq!(keep(3, vec![new(2)]).await.unwrap(), [None]);
    assert!(is_there(2).await);
    store.close().await;
}

pub(crate) async fn the_open_connections_of_a_member_are_found(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    for n in 1..=4 {
        store.insert_connection(connection(n), event("connection.start", "c").into()).await.unwrap();
    }
    let mut bound = connection(2);
    (bound.connection.version, bound.connection.granter) = (2, Granter::Member(MemberId::from_u128(1)));
    assert!(store.change_connection(step(bound, "connection.ask")).await.unwrap());
    let mut ended = connection(4);
    (ended.connection.version, ended.connection.stage) = (2, Stage::Cancelled { at: at(5) });
    assert!(store.change_connection(step(ended, "connection.cancel")).await.unwrap());
    let of = async |n| {
        let open = store.open_connections_of(MemberId::from_u128(n), 9).await.unwrap();
        let mut open: Vec<_> = open.into_iter().map(|stored| stored.connection.id.as_u128()).collect();
        open.sort_unstable();
        open
    };
    assert_eq!((of(1).await, of(2).await, of(4).await), (vec![1, 2], vec![2], vec![]));
    store.close().await;
}

pub(crate) async fn connections_are_listed_ended_and_forgotten(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    for n in 1..=3 {
        store.insert_connection(connection(n), event("connection.start", "c").into()).await.unwrap();
    }
    let numbers = |found: Vec<Connection>| found.into_iter().map(|one| one.id.as_u128()).collect::<Vec<_>>();
    let list = async |filter, limit| numbers(store.list_connections(filter, limit).await.unwrap());
    assert_eq!(list(ConnectionFilter::default(), 2).await, [3, 2]);
    let before = Some(ConnectionId::from_u128(2));
    assert_eq!(list(ConnectionFilter { team: Some(acme()), stage: Some("offered"), before }, 9).await, [1]);
    assert_eq!(list(ConnectionFilter { stage: Some("connected"), ..ConnectionFilter::default() }, 9).await, []);
    let overdue = store.overdue_connections(at(102), 9).await.unwrap();
    assert_eq!(numbers(overdue.into_iter().map(|stored| stored.connection).collect()), [1, 2]);
    let mut ended = connection(1);
    (ended.connection.version, ended.connection.stage) = (2, Stage::Lapsed { at: at(200) });
    assert!(store.change_connection(step(ended, "connection.lapse")).await.unwrap());
    assert_eq!(store.overdue_connections(at(102), 9).await.unwrap().len(), 1);
    assert_eq!(store.prune_connections(at(200), 9).await.unwrap(), 0);
    assert_eq!(store.prune_connections(at(201), 9).await.unwrap(), 1);
    assert_eq!(list(ConnectionFilter::default(), 9).await, [3, 2]);
    store.close().await;
}

pub(crate) async fn given_refresh_tokens_are_known_again(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let new = NewToken { given_refresh: Some([1; 32]), ..new_token(token(2)) };
    store.insert_tokens(vec![new], None).await.unwrap();
    let was_given = async |n, hash: u8| store.was_given(TokenId::from_u128(n), [hash; 32]).await.unwrap();
    assert!(was_given(2, 1).await && !was_given(2, 2).await && !was_given(1, 1).await);
    let found = async |other: Token| store.find_given(&other, [1; 32]).await.unwrap().map(|(_, held)| held.as_u128());
    assert_eq!(found(token(3)).await, Some(2), "another grant");
    assert_eq!(found(Token { app: "second".parse().unwrap(), ..token(3) }).await, None, "of another app");
    assert_eq!(found(Token { id: TokenId::from_u128(9), ..token(2) }).await, None, "the same grant");
    for version in 1..=40_u8 {
        let mut changed = token(2);
        changed.version = u32::from(version) + 1;
        let given_refresh = Some([version + 1; 32]);
        let mut trail = event("token.update", "t");
        trail.at = at(i64::from(version));
        let change = TokenChange {
            expected_version: changed.version - 1,
            expected_state: changed.state,
            token: changed,
            secrets: Some(SealedSecrets { access: vec![1], given_refresh, ..SealedSecrets::default() }),
            trail: trail.into(),
            revocation: None,
            alerts: Vec::new(),
        };
        store.change_token(change).await.unwrap();
    }
    assert!(was_given(2, 41).await && was_given(2, 10).await && !was_given(2, 9).await, "the latest 32");
    store.close().await;
}
