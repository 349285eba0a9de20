//! Alerts: at most one open alert for each matter, written with the messages that tell of it.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{AlertId, ClassId, NetworkId, TeamId};
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::sql::{ManyRows, Row, Tx, Value, first, values};
use crate::store::{StoreError, Trail};

/// An alert as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// Its id.
    pub id: AlertId,
    /// Names the matter; at most one alert with this key is open.
    pub dedup_key: String,
    /// Its kind (`load_high`).
    pub kind: String,
    /// The team.
    pub team: TeamId,
    /// The network, if it concerns one.
    pub network: Option<NetworkId>,
    /// The credit class, if it concerns one.
    pub class: Option<ClassId>,
    /// How grave it is (`warning`).
    pub level: String,
    /// What to tell people.
    pub message: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was over.
    pub cleared_at: Option<Timestamp>,
    /// When a person took notice.
    pub acknowledged_at: Option<Timestamp>,
    /// Who did, by a name for people.
    pub acknowledged_by: Option<String>,
    /// What they said of it.
    pub acknowledge_comment: Option<String>,
    /// More, as JSON.
    pub detail_json: String,
}

/// Which alerts are wanted. The default wants all.
#[derive(Debug, Clone, Default)]
pub struct AlertFilter {
    /// Of this team.
    pub team: Option<TeamId>,
    /// Of this network.
    pub network: Option<NetworkId>,
    /// Of this kind.
    pub kind: Option<String>,
    /// `Some(true)`: open; `Some(false)`: cleared.
    pub open: Option<bool>,
    /// Before this id: the last one of the page before.
    pub before: Option<AlertId>,
}

/// What is kept of alerts.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Opens an alert with what its opening leaves beside it. Returns whether it was opened: if the matter has an open alert already, nothing is
    /// written.
    async fn open_alert(&self, alert: AlertRow, trail: Option<Trail>) -> Result<bool, StoreError>;
    /// Writes level, message, detail, clearing and acknowledgement of an alert, with what its change leaves beside it.
    async fn update_alert(&self, alert: AlertRow, trail: Option<Trail>) -> Result<(), StoreError>;
    /// The alert of that id.
    async fn find_alert(&self, alert: AlertId) -> Result<Option<AlertRow>, StoreError>;
    /// At most `limit` alerts, the newest first.
    async fn list_alerts(&self, filter: AlertFilter, limit: u32) -> Result<Vec<AlertRow>, StoreError>;
    /// Deletes at most `limit` alerts that were cleared before `before`; how many.
    async fn prune_alerts(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

static INSERT_ALERTS: ManyRows = ManyRows::insert(
    "alert (id, dedup_key, kind, team, network, class, level, message, opened_at_us, cleared_at_us,
        acknowledged_at_us, acknowledged_by, acknowledge_comment, detail_json)",
    14,
    "ON CONFLICT (dedup_key) WHERE cleared_at_us IS NULL DO NOTHING",
);

const UPDATE_ALERT: &str = "UPDATE alert SET level = $2, message = $3, cleared_at_us = $4, acknowledged_at_us = $5,
    acknowledged_by = $6, acknowledge_comment = $7, detail_json = $8 WHERE id = $1";
const PRUNE_ALERTS: &str = "DELETE FROM alert WHERE id IN (SELECT id FROM alert WHERE cleared_at_us < $1 LIMIT $2)";

macro_rules! columns {
    () => {
        "id, dedup_key, kind, team, network, class, level, message, opened_at_us, cleared_at_us, acknowledged_at_us,
         acknowledged_by, acknowledge_comment, detail_json"
    };
}

const FIND_ALERT: &str = concat!("SELECT ", columns!(), " FROM alert WHERE id = $1");

/// Of one team (`$1`) they are read along the index of that team, else along the whole.
macro_rules! list_alerts {
    ($of_team:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM alert WHERE ",
            $of_team,
            " AND ($2 IS NULL OR network = $2) AND ($3 IS NULL OR kind = $3)
              AND ($4 IS NULL OR (cleared_at_us IS NULL) = ($4 = 1)) AND id < $5
             ORDER BY id DESC LIMIT $6"
        )
    };
}

const LIST_ALL: &str = list_alerts!("$1 IS NULL");
const LIST_OF_TEAM: &str = list_alerts!("team = $1");

#[async_trait]
impl<D: Database> AlertStore for D {
    async fn open_alert(&self, alert: AlertRow, trail: Option<Trail>) -> Result<bool, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                if insert_alerts(tx, [&alert]).await? == 0 {
                    return Ok(false);
                }
                leave(tx, trail.as_ref()).await?;
                Ok(true)
            })
        })
        .await
    }

    async fn update_alert(&self, alert: AlertRow, trail: Option<Trail>) -> Result<(), StoreError> {
        let id = alert.id;
        let values = values![
            id,
            alert.level,
            alert.message,
            alert.cleared_at,
            alert.acknowledged_at,
            alert.acknowledged_by,
            alert.acknowledge_comment,
            alert.detail_json,
        ];
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(UPDATE_ALERT, values).await? == 0 {
                    return Err(StoreError::not_found(id));
                }
                leave(tx, trail.as_ref()).await
            })
        })
        .await
    }

    async fn find_alert(&self, id: AlertId) -> Result<Option<AlertRow>, StoreError> {
        self.read(move |tx| Box::pin(async move { first(tx, FIND_ALERT, values![id]).await?.map(alert).transpose() }))
            .await
    }

    async fn list_alerts(&self, filter: AlertFilter, limit: u32) -> Result<Vec<AlertRow>, StoreError> {
        let AlertFilter { team, network, kind, open, before } = filter;
        let sql = if team.is_some() { LIST_OF_TEAM } else { LIST_ALL };
        let before = before.unwrap_or(AlertId::from_u128(u128::MAX));
        let values = values![team.as_ref(), network.as_ref(), kind, open, before, limit];
        self.read(move |tx| Box::pin(async move { tx.rows(sql, values).await?.into_iter().map(alert).collect() })).await
    }

    async fn prune_alerts(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE_ALERTS, values![before, limit]).await })).await
    }
}

async fn leave(tx: &mut dyn Tx, trail: Option<&Trail>) -> Result<(), StoreError> {
    match trail {
        Some(trail) => insert_trail(tx, trail).await,
        None => Ok(()),
    }
}

/// Opens alerts in the caller's transaction; how many, since a matter that has an open alert is passed over.
pub(crate) async fn insert_alerts(
    tx: &mut dyn Tx,
    alerts: impl IntoIterator<Item = &AlertRow> + Send,
) -> Result<u64, StoreError> {
    let rows = alerts.into_iter().map(parameters).collect();
    INSERT_ALERTS.execute(tx, rows).await
}

fn parameters(alert: &AlertRow) -> Vec<Value> {
    values![
        alert.id,
        &*alert.dedup_key,
        &*alert.kind,
        &alert.team,
        alert.network.as_ref(),
        alert.class.as_ref(),
        &*alert.level,
        &*alert.message,
        alert.opened_at,
        alert.cleared_at,
        alert.acknowledged_at,
        alert.acknowledged_by.clone(),
        alert.acknowledge_comment.clone(),
        &*alert.detail_json,
    ]
}

fn alert(mut row: Row) -> Result<AlertRow, StoreError> {
    Ok(AlertRow {
        id: row.id(AlertId::from_slice)?,
        dedup_key: row.text()?,
        kind: row.text()?,
        team: row.slug()?,
        network: row.maybe_slug()?,
        class: row.maybe_slug()?,
        level: row.text()?,
        message: row.text()?,
        opened_at: row.time()?,
        cleared_at: row.maybe_time()?,
        acknowledged_at: row.maybe_time()?,
        acknowledged_by: row.maybe_text()?,
        acknowledge_comment: row.maybe_text()?,
        detail_json: row.text()?,
    })
}
