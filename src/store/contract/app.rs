//! Apps and their budgets.

use super::Fixture;
use super::samples::{acme, at, audited, event, new_token, request, seed, token};
use crate::domain::app::{App, Budget};
use crate::domain::token::{Token, TokenState};
use crate::store::{DeleteAppError, Store, StoreError, StoredApp, TokenChange, TopUpBudget, Trail};

fn stored(id: &str) -> StoredApp {
    let mut app = App::unknown("x".parse().unwrap(), id.parse().unwrap());
    app.client_id = format!("client of {id}");
    app.facts.insert("app_users".to_owned(), 7);
    app.created_at = Some(at(0));
    app.team = (id == "other").then(acme);
    StoredApp { app, sealed_secret: Some(vec![1, 2]), secret_version: 1 }
}

fn top_up(units: i64) -> TopUpBudget {
    let (network, app, class) = ("x".parse().unwrap(), "default".parse().unwrap(), "posts".parse().unwrap());
    TopUpBudget { network, app, class, start: 100, units, at: at(5) }
}

async fn total(store: &dyn Store) -> Option<u64> {
    let apps = store.list_apps().await.unwrap();
    apps[0].app.budgets.values().next().map(|budget| budget.total)
}

pub(crate) async fn apps_are_kept(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    for id in ["other", "default"] {
        store.put_app(stored(id), event("app.create", "app").into()).await.unwrap();
    }
    let budget = store.top_up_budget(top_up(20), event("app.top_up", "app").into()).await.unwrap();
    assert_eq!(budget, Budget { total: 120, topped_up_at: at(5) });
    let mut changed = stored("default");
    changed.app.display_name = "Ours".to_owned();
    (changed.sealed_secret, changed.secret_version) = (None, 2);
    store.put_app(changed.clone(), event("app.update", "app").into()).await.unwrap();
    changed.app.budgets.insert("posts".parse().unwrap(), budget);
    store.close().await;
    let store = fixture.open().await;
    assert_eq!(store.list_apps().await.unwrap(), [changed, stored("other")]);
    assert_eq!((audited(&*store, "app.create").await, audited(&*store, "app.top_up").await), (2, 1));
    store.close().await;
}

pub(crate) async fn a_budget_is_topped_up_once_for_a_request(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    store.put_app(stored("default"), event("app.create", "app").into()).await.unwrap();
    let trail = || Trail { request: Some(request(1)), ..event("app.top_up", "app").into() };
    store.top_up_budget(top_up(20), trail()).await.unwrap();
    let again = store.top_up_budget(top_up(20), trail()).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
    assert_eq!((total(&*store).await, audited(&*store, "app.top_up").await), (Some(120), 1));
    store.close().await;
}

pub(crate) async fn a_budget_never_falls_below_nothing(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    store.put_app(stored("default"), event("app.create", "app").into()).await.unwrap();
    let taken = store.top_up_budget(top_up(-60), event("app.top_up", "app").into()).await.unwrap();
    assert_eq!(taken.total, 40);
    let more = store.top_up_budget(top_up(-41), event("app.top_up", "app").into()).await;
    assert!(matches!(more, Err(StoreError::Conflict { .. })), "{more:?}");
    assert_eq!(total(&*store).await, Some(40));
    store.close().await;
}

pub(crate) async fn an_app_with_tokens_stays(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let (network, own) = ("x".parse().unwrap(), "own".parse().unwrap());
    store.put_app(stored("own"), event("app.create", "app").into()).await.unwrap();
    store
        .top_up_budget(TopUpBudget { app: "own".parse().unwrap(), ..top_up(5) }, event("app.top_up", "app").into())
        .await
        .unwrap();
    let mut with_app = Token { app: "own".parse().unwrap(), ..token(2) };
    store.insert_tokens(vec![new_token(with_app.clone())], None).await.unwrap();
    let refused = store.delete_app(&network, &own, event("app.delete", "app").into()).await;
    assert!(matches!(refused, Err(DeleteAppError::InUse { tokens: 1 })), "{refused:?}");
    with_app.state = with_app.state.revoke(at(1));
    let (trail, alerts) = (event("token.revoke", "token").into(), vec![]);
    let (secrets, expected_version, expected_state) = (None, 1, TokenState::Live);
    let revoked =
        TokenChange { token: with_app, secrets, expected_version, expected_state, trail, revocation: None, alerts };
    store.change_token(revoked).await.unwrap();
    store.delete_app(&network, &own, event("app.delete", "app").into()).await.unwrap();
    assert_eq!((store.list_apps().await.unwrap(), audited(&*store, "app.delete").await), (vec![], 1));
    let again = store.delete_app(&network, &own, event("app.delete", "app").into()).await;
    assert!(matches!(again, Err(DeleteAppError::Store(StoreError::NotFound { .. }))), "{again:?}");
    store.close().await;
}
