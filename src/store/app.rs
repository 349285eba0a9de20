//! Apps: what is known of our registrations at networks, and their budgets.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, ClassId, NetworkId};
use crate::domain::app::{App, Budget};
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::sql::{Row, first, json, values};
use crate::store::{StoreError, Trail};

/// An app with its client secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredApp {
    /// The app.
    pub app: App,
    /// Its client secret, sealed.
    pub sealed_secret: Option<Vec<u8>>,
    /// Counts up each time the secret is replaced: its sealing is bound to it.
    pub secret_version: u32,
}

/// Units that are added to a budget.
#[derive(Debug, Clone)]
pub struct TopUpBudget {
    /// The network.
    pub network: NetworkId,
    /// The app.
    pub app: AppId,
    /// The credit class.
    pub class: ClassId,
    /// The total of a budget that was never topped up.
    pub start: u64,
    /// Units to add; negative ones are taken back.
    pub units: i64,
    /// When.
    pub at: Timestamp,
}

/// Why an app was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteAppError {
    /// It has tokens that are not revoked.
    #[error("the app has {tokens} tokens that are not revoked; revoke them first")]
    InUse {
        /// How many.
        tokens: u64,
    },
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is kept of apps.
#[async_trait]
pub trait AppStore: Send + Sync {
    /// Adds an app or puts it in the place of what is stored. Its budgets and its team stay as they are stored.
    async fn put_app(&self, app: StoredApp, trail: Trail) -> Result<(), StoreError>;
    /// Adds to a budget of an app that is stored; the budget as it is then. [`StoreError::Conflict`]: less than nothing would be left.
    async fn top_up_budget(&self, top_up: TopUpBudget, trail: Trail) -> Result<Budget, StoreError>;
    /// Deletes an app that is not `default`, with its budgets, unless it has tokens that are not revoked.
    async fn delete_app(&self, network: &NetworkId, app: &AppId, trail: Trail) -> Result<(), DeleteAppError>;
    /// All apps with their budgets, by network and id.
    async fn list_apps(&self) -> Result<Vec<StoredApp>, StoreError>;
}

const PUT_APP: &str = "INSERT INTO app (network, id, display_name, client_id, facts, sealed_secret, secret_version,
        created_at_us, team) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (network, id) DO UPDATE SET display_name = excluded.display_name, client_id = excluded.client_id,
        facts = excluded.facts, sealed_secret = excluded.sealed_secret, secret_version = excluded.secret_version";
const LIST_APPS: &str =
    "SELECT network, id, display_name, client_id, facts, sealed_secret, secret_version, created_at_us, team
    FROM app ORDER BY network, id";
const LIST_BUDGETS: &str = "SELECT network, app, class, total, topped_up_at_us FROM budget";
const START_BUDGET: &str =
    "INSERT INTO budget (network, app, class, total, topped_up_at_us) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (network, app, class) DO NOTHING";
const TOP_UP: &str = "UPDATE budget SET total = total + $4, topped_up_at_us = $5
    WHERE network = $1 AND app = $2 AND class = $3 RETURNING total";

const COUNT_TOKENS: &str = "SELECT COUNT(*) FROM token
    WHERE network = $1 AND app = $2 AND app <> 'default' AND state <> 'revoked'";
const DELETE_BUDGETS: &str = "DELETE FROM budget WHERE network = $1 AND app = $2";
const DELETE_APP: &str = "DELETE FROM app WHERE network = $1 AND id = $2";

#[async_trait]
impl<D: Database> AppStore for D {
    async fn put_app(&self, stored: StoredApp, trail: Trail) -> Result<(), StoreError> {
        let StoredApp { app, sealed_secret, secret_version } = stored;
        let values = values![
            &app.network,
            &app.id,
            &*app.display_name,
            &*app.client_id,
            json(&app.facts),
            sealed_secret,
            secret_version,
            app.created_at.unwrap_or(trail.audit.at),
            app.team.as_ref(),
        ];
        self.write(move |tx| {
            Box::pin(async move {
                tx.execute(PUT_APP, values).await?;
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn top_up_budget(&self, top_up: TopUpBudget, trail: Trail) -> Result<Budget, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let TopUpBudget { network, app, class, start, units, at } = top_up;
                tx.execute(START_BUDGET, values![&network, &app, &class, start, at]).await?;
                let row = first(tx, TOP_UP, values![&network, &app, &class, units, at]).await?;
                let mut row = row.ok_or_else(|| StoreError::corrupt("a budget that was written and is not there"))?;
                let total: u64 = row.count()?;
                insert_trail(tx, &trail).await?;
                Ok(Budget { total, topped_up_at: at })
            })
        })
        .await
    }

    async fn delete_app(&self, network: &NetworkId, app: &AppId, trail: Trail) -> Result<(), DeleteAppError> {
        let named = move |(network, app): &(NetworkId, AppId)| values![network, app];
        let name = (network.clone(), app.clone());
        self.write(move |tx| {
            Box::pin(async move {
                let counted = first(tx, COUNT_TOKENS, named(&name)).await?;
                let tokens = counted.map_or(Ok(0), |mut row| row.count())?;
                if tokens > 0 {
                    return Err(DeleteAppError::InUse { tokens });
                }
                tx.execute(DELETE_BUDGETS, named(&name)).await?;
                if tx.execute(DELETE_APP, named(&name)).await? == 0 {
                    return Err(StoreError::not_found(format!("app '{}' of network '{}'", name.1, name.0)).into());
                }
                Ok(insert_trail(tx, &trail).await?)
            })
        })
        .await
    }

    async fn list_apps(&self) -> Result<Vec<StoredApp>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move {
                let mut budgets: BTreeMap<(NetworkId, AppId), BTreeMap<ClassId, Budget>> = BTreeMap::new();
                for mut row in tx.rows(LIST_BUDGETS, vec![]).await? {
                    let app = (row.slug()?, row.slug()?);
                    let class = row.slug()?;
                    let budget = Budget { total: row.count()?, topped_up_at: row.time()? };
                    budgets.entry(app).or_default().insert(class, budget);
                }
                let apps = tx.rows(LIST_APPS, vec![]).await?.into_iter().map(stored_app);
                let with_budgets = apps.map(|stored| {
                    let mut stored = stored?;
                    let name = (stored.app.network.clone(), stored.app.id.clone());
                    stored.app.budgets = budgets.remove(&name).unwrap_or_default();
                    Ok(stored)
                });
                with_budgets.collect()
            })
        })
        .await
    }
}

fn stored_app(mut row: Row) -> Result<StoredApp, StoreError> {
    let mut app = App::unknown(row.slug()?, row.slug()?);
    app.display_name = row.text()?;
    app.client_id = row.text()?;
    app.facts = row.json()?;
    let (sealed_secret, secret_version) = (row.maybe_blob()?, row.count()?);
    app.created_at = Some(row.time()?);
    app.team = row.maybe_slug()?;
    Ok(StoredApp { app, sealed_secret, secret_version })
}
