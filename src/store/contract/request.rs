//! Requests that may be repeated: noted with their change or not at all, and done once.

use std::pin::Pin;

use futures_util::future::join_all;

use super::Fixture;
use super::samples::{acme, alert, at, audited, collector, event, key, new_token, request, seed, stored, team, token};
use crate::base::ids::{CollectorId, KeyId};
use crate::domain::app::App;
use crate::domain::team::{KeyHolder, OperatorRole};
use crate::domain::token::{Token, TokenState};
use crate::store::{
    DeleteAppError, NewToken, Store, StoreError, StoredApp, TokenChange, TokenChangeError, TopUpBudget, Trail,
};

type Done<'s> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 's>>;
/// A change, made with what it leaves beside itself.
type Make = for<'s> fn(&'s dyn Store, Trail) -> Done<'s>;

fn app() -> StoredApp {
    StoredApp {
        app: App::unknown("x".parse().unwrap(), "own".parse().unwrap()),
        sealed_secret: None,
        secret_version: 0,
    }
}

fn top_up() -> TopUpBudget {
    let (network, app, class) = ("x".parse().unwrap(), "own".parse().unwrap(), "posts".parse().unwrap());
    TopUpBudget { network, app, class, start: 0, units: 5, at: at(0) }
}

fn pause(trail: Trail) -> TokenChange {
    let paused = Token { state: TokenState::Paused { since: at(1) }, ..token(1) };
    let (secrets, alerts) = (None, vec![]);
    TokenChange {
        token: paused,
        secrets,
        expected_version: 1,
        expected_state: TokenState::Live,
        trail,
        revocation: None,
        alerts,
    }
}

/// Every kind of change, in an order in which each can be made.
const CHANGES: &[(&str, Make)] = &[
    ("team.create", |store, trail| store.insert_team(team("acme"), trail)),
    ("team.update", |store, trail| store.update_team(team("acme"), trail)),
    ("collector.create", |store, trail| store.insert_collector(collector(1), trail)),
    ("collector.update", |store, trail| store.update_collector(collector(1), trail)),
    ("key.create", |store, trail| store.insert_key(key(1, KeyHolder::Operator(OperatorRole::Admin)), trail)),
    ("key.revoke", |store, trail| store.revoke_key(KeyId::from_u128(1), at(1), trail)),
    ("app.put", |store, trail| store.put_app(app(), trail)),
    ("app.top_up", |store, trail| Box::pin(async { store.top_up_budget(top_up(), trail).await.map(drop) })),
    ("token.add", |store, trail| {
        let new = NewToken { stored: stored(token(1)), given_refresh: None, consent: None, trail };
        Box::pin(async { store.insert_tokens(vec![new], None).await.map(drop) })
    }),
    ("token.pause", |store, trail| {
        Box::pin(async {
            store.change_token(pause(trail)).await.map(drop).map_err(|error| match error {
                TokenChangeError::Store(error) => error,
                other => panic!("{other}"),
            })
        })
    }),
    ("app.delete", |store, trail| {
        Box::pin(async {
            store.delete_app(&app().app.network, &app().app.id, trail).await.map_err(|error| match error {
                DeleteAppError::Store(error) => error,
                other @ DeleteAppError::InUse { .. } => panic!("{other}"),
            })
        })
    }),
    ("alert.acknowledge", |store, trail| store.update_alert(alert(1, "a"), Some(trail))),
    ("collector.delete", |store, trail| store.delete_collector(CollectorId::from_u128(1), at(1), trail)),
    ("team.delete", |store, trail| Box::pin(async { store.delete_team(&acme(), trail).await })),
];

fn trail(action: &'static str, number: usize) -> Trail {
    Trail { request: Some(request(u8::try_from(number).unwrap())), ..event(action, action).into() }
}

pub(crate) async fn every_change_notes_its_request(fixture: &dyn Fixture) {
    let mut store = fixture.open().await;
    assert!(store.open_alert(alert(1, "a"), None).await.unwrap());
    for (number, (action, make)) in CHANGES.iter().enumerate() {
        let spent = trail(action, number);
        let noted = spent.request.clone().unwrap();
        store.note_request(noted.clone(), at(0)).await.unwrap();
        let repeated = make(&*store, spent.clone()).await;
        assert!(matches!(repeated, Err(StoreError::Conflict { .. })), "{action}: {repeated:?}");
        assert_eq!(audited(&*store, action).await, 0, "{action} was undone");
        store.prune_requests(at(600), 10).await.unwrap();
        make(&*store, spent).await.unwrap();
        assert_eq!(audited(&*store, action).await, 1, "{action}");
        store.close().await;
        store = fixture.open().await;
        let found = store.find_request(&noted.scope, &noted.request_id, at(0)).await.unwrap();
        assert_eq!(found, Some(noted), "{action} is noted, and outlives a restart");
        store.prune_requests(at(600), 10).await.unwrap();
    }
    store.close().await;
}

pub(crate) async fn a_change_that_fails_notes_nothing(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    assert!(store.insert_team(team("acme"), trail("team.create", 1)).await.is_err());
    let duplicate = NewToken { trail: trail("token.add", 1), ..new_token(token(1)) };
    assert_eq!(store.insert_tokens(vec![duplicate], None).await.unwrap().inserted, 0);
    assert_eq!(store.find_request("acme", "r1", at(0)).await.unwrap(), None);
    store.close().await;
}

pub(crate) async fn of_changes_at_once_one_is_made(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 0).await;
    store.put_app(app(), event("app.create", "app").into()).await.unwrap();
    let made = join_all((0..20).map(|_| store.top_up_budget(top_up(), trail("app.top_up", 1)))).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    assert_eq!(audited(&*store, "app.top_up").await, 1);
    let noted = join_all((0..20).map(|_| store.note_request(request(2), at(0)))).await;
    assert_eq!(noted.iter().filter(|noted| noted.is_ok()).count(), 1);
    store.close().await;
}
