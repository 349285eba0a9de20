//! Alerts as the store keeps them, and what people do with them: list, show, acknowledge.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::base::ids::{AlertId, AuditId, EventId, NetworkId, TeamId};
use crate::domain::alert::{
    AcknowledgeError, Acknowledgement, Alert, AlertKey, AlertKind, Change, Detail, Level, NoToken,
};
use crate::domain::audit::{Actor, AuditEvent};
use crate::domain::load::LoadKey;
use crate::domain::member::Action;
use crate::domain::notice::{Event, Fact, Turn};
use crate::service::members::On;
use crate::service::requests::Attempt;
use crate::service::{Broker, Caller, Forbidden};
use crate::store::{AlertFilter, AlertRow, StoreError};

/// Rows read at once while a filter that the store does not know is applied.
const CHUNK: u32 = 500;

/// Which alerts are wanted. The default wants all.
#[derive(Debug, Clone, Default)]
pub struct ListAlerts {
    /// Of this team.
    pub team: Option<TeamId>,
    /// Of this network.
    pub network: Option<NetworkId>,
    /// Of this kind.
    pub kind: Option<AlertKind>,
    /// In this state.
    pub state: Option<AlertStanding>,
    /// Opened at this time or later.
    pub from: Option<Timestamp>,
    /// Opened before this time.
    pub until: Option<Timestamp>,
    /// Older than this one: the last of the page before.
    pub before: Option<AlertId>,
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertStanding {
    /// Open, and nobody took notice.
    Open,
    /// Open, and somebody took notice.
    Acknowledged,
    /// Over.
    Cleared,
}

/// Why an alert is not shown or acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such team.
    #[error("there is no team '{0}'; list the teams for those there are")]
    TeamNotFound(TeamId),
    /// There is no such alert.
    #[error("there is no alert '{0}' of this team; list the alerts for those there are")]
    NotFound(AlertId),
    /// It is over.
    #[error(transparent)]
    Acknowledge(#[from] AcknowledgeError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker is about to stop.
    #[error("the broker is stopping; try again at the next one")]
    Stopping,
}

/// Where an alert stands.
pub fn standing(alert: &Alert) -> AlertStanding {
    match (alert.cleared_at, &alert.acknowledged) {
        (Some(_), _) => AlertStanding::Cleared,
        (None, Some(_)) => AlertStanding::Acknowledged,
        (None, None) => AlertStanding::Open,
    }
}

impl Broker {
    /// At most `limit` alerts, the newest first. Alerts of kinds that this version does not know are left out.
    pub async fn list_alerts(
        &self,
        caller: &Caller,
        wanted: ListAlerts,
        limit: usize,
    ) -> Result<Vec<Alert>, AlertError> {
        match &wanted.team {
            Some(team) => self.must_permit(caller, Action::See, team, On::Team)?,
            None => caller.must_be_operator()?,
        }
        if let Some(team) = wanted.team.as_ref().filter(|team| self.directory.team(team).is_none()) {
            return Err(AlertError::TeamNotFound(team.clone()));
        }
        let mut listed = Vec::new();
        let mut before = wanted.before;
        while listed.len() < limit {
            let rows = self.store.list_alerts(filter(&wanted, before), CHUNK).await?;
            let last_chunk = rows.len() < CHUNK as usize;
            before = rows.last().map(|row| row.id);
            let too_old = rows.last().is_some_and(|row| wanted.from.is_some_and(|from| row.opened_at < from));
            let alerts = rows.into_iter().filter_map(alert_of).filter(|alert| wants(&wanted, alert));
            listed.extend(alerts.map(|alert| self.as_seen_now(alert)));
            if last_chunk || too_old {
                break;
            }
        }
        listed.truncate(limit);
        Ok(listed)
    }

    /// One alert.
    pub async fn get_alert(&self, caller: &Caller, team: &TeamId, alert: AlertId) -> Result<Alert, AlertError> {
        self.must_permit(caller, Action::See, team, On::Team)?;
        Ok(self.as_seen_now(self.stored_alert(team, alert).await?))
    }

    /// An open alert of a load with the figures and the advice of now: what is stored of it is as it was when it changed last.
    pub fn as_seen_now(&self, alert: Alert) -> Alert {
        if alert.cleared_at.is_some() || alert.key.kind != AlertKind::TokenLoadTooHigh {
            return alert;
        }
        let (loads, key) = (self.watch.loads(), &alert.key.load);
        let team = loads.teams.get(&key.team);
        match team.and_then(|team| team.classes.iter().find(|class| class.key == *key)) {
            Some(class) => {
                let detail = self.load_detail(class, self.now());
                alert.seen(detail)
            }
            None => alert,
        }
    }

    async fn stored_alert(&self, team: &TeamId, id: AlertId) -> Result<Alert, AlertError> {
        let row = self.store.find_alert(id).await?;
        row.and_then(alert_of).filter(|alert| alert.key.load.team == *team).ok_or(AlertError::NotFound(id))
    }

    /// Notes that somebody took notice: the alert is not sent again while it is open. Doing it twice changes nothing. Once begun
    /// it is finished, even if the caller goes away.
    pub async fn acknowledge_alert(
        &self,
        attempt: impl Into<Attempt<Alert>>,
        team: &TeamId,
        alert: AlertId,
        comment: &str,
    ) -> Result<Alert, AlertError> {
        let attempt = attempt.into();
        self.must_permit(&attempt.caller, Action::Acknowledge, team, On::Team)?;
        let by = self.actor_name(Some(attempt.caller.actor()), Some(team));
        let subject = format!("teams/{team}/alerts/{alert}");
        let mut audit = self.audit(&attempt.caller, "alert.acknowledge", subject, format!("comment={comment:?}"));
        audit.team = Some(team.clone());
        let (broker, team, comment) = (self.clone(), team.clone(), comment.to_owned());
        let noted = async move { broker.acknowledge(&team, alert, (by, comment), (attempt, audit)).await };
        let done = self.finish(noted).await;
        done.unwrap_or(Err(AlertError::Stopping))
    }

    async fn acknowledge(
        &self,
        team: &TeamId,
        id: AlertId,
        (by, comment): (String, String),
        (attempt, audit): (Attempt<Alert>, AuditEvent),
    ) -> Result<Alert, AlertError> {
        let mut book = self.watch.book.lock().await;
        let alert = self.stored_alert(team, id).await?;
        let known = alert.acknowledged.is_some();
        let alert = alert.acknowledge(by, comment, self.now())?;
        if known {
            self.note_unchanged(&attempt, &alert).await?;
            return Ok(alert);
        }
        self.store.update_alert(row_of(&alert), Some(attempt.trail(audit, &alert))).await?;
        book.acknowledged(&alert.key);
        self.watch.tell_alert(alert.clone());
        Ok(alert)
    }

    /// Every open alert of a team, as it was when it changed last: the critical ones first, then those that are open longest. As many as the
    /// networks have classes of credit, at most one of each kind for each.
    pub async fn list_open_alerts(&self, caller: &Caller, team: &TeamId) -> Result<Vec<Alert>, AlertError> {
        self.must_permit(caller, Action::See, team, On::Team)?;
        let mut open = self.open_alerts(Some(team)).await?;
        open.sort_by_key(|alert| (Reverse(alert.level), alert.opened_at, alert.id));
        Ok(open)
    }

    /// Why demand of a team meets no usable token, by network and class, as its open alerts say it.
    pub async fn access_reasons(
        &self,
        caller: &Caller,
        team: &TeamId,
    ) -> Result<BTreeMap<LoadKey, NoToken>, AlertError> {
        let open = self.list_open_alerts(caller, team).await?;
        let reason = |alert: Alert| match alert.detail {
            Detail::Access(reason) => Some((alert.key.load, reason)),
            Detail::Load(_) => None,
        };
        Ok(open.into_iter().filter_map(reason).collect())
    }

    /// Every open alert, as it was when it changed last.
    pub async fn open_alerts(&self, team: Option<&TeamId>) -> Result<Vec<Alert>, StoreError> {
        let mut filter = AlertFilter { team: team.cloned(), open: Some(true), ..AlertFilter::default() };
        let mut open = Vec::new();
        loop {
            let rows = self.store.list_alerts(filter.clone(), CHUNK).await?;
            let last_chunk = rows.len() < CHUNK as usize;
            filter.before = rows.last().map(|row| row.id);
            open.extend(rows.into_iter().filter_map(alert_of));
            if last_chunk {
                return Ok(open);
            }
        }
    }
}

fn filter(wanted: &ListAlerts, before: Option<AlertId>) -> AlertFilter {
    AlertFilter {
        team: wanted.team.clone(),
        network: wanted.network.clone(),
        kind: wanted.kind.map(|kind| kind.as_str().to_owned()),
        open: wanted.state.map(|state| state != AlertStanding::Cleared),
        before,
    }
}

fn wants(wanted: &ListAlerts, alert: &Alert) -> bool {
    wanted.state.is_none_or(|state| state == standing(alert))
        && wanted.from.is_none_or(|from| alert.opened_at >= from)
        && wanted.until.is_none_or(|until| alert.opened_at < until)
}

/// The alert as it is kept.
pub(super) fn row_of(alert: &Alert) -> AlertRow {
    AlertRow {
        id: alert.id,
        dedup_key: alert.key.to_string(),
        kind: alert.key.kind.as_str().to_owned(),
        team: alert.key.load.team.clone(),
        network: Some(alert.key.load.network.clone()),
        class: Some(alert.key.load.class.clone()),
        level: alert.level.as_str().to_owned(),
        message: alert.message.clone(),
        opened_at: alert.opened_at,
        cleared_at: alert.cleared_at,
        acknowledged_at: alert.acknowledged.as_ref().map(|noted| noted.at),
        acknowledged_by: alert.acknowledged.as_ref().map(|noted| noted.by.clone()),
        acknowledge_comment: alert.acknowledged.as_ref().map(|noted| noted.comment.clone()),
        detail_json: serde_json::to_string(&alert.detail).expect("a detail has text, numbers and string keys only"),
    }
}

/// The alert that was kept; `None` if it is of a kind that this version does not know.
pub(super) fn alert_of(row: AlertRow) -> Option<Alert> {
    let detail: Detail = serde_json::from_str(&row.detail_json).ok()?;
    let load = LoadKey { team: row.team, network: row.network?, class: row.class? };
    let by = row.acknowledged_by.unwrap_or_default();
    let comment = row.acknowledge_comment.unwrap_or_default();
    Some(Alert {
        id: row.id,
        key: AlertKey { kind: AlertKind::from_name(&row.kind)?, load },
        level: Level::from_name(&row.level)?,
        message: row.message,
        opened_at: row.opened_at,
        cleared_at: row.cleared_at,
        acknowledged: row.acknowledged_at.map(|at| Acknowledgement { at, by, comment }),
        detail,
    })
}

/// The key of the event that tells of an alert's opening.
pub(super) fn key_of_opening(alert: AlertId) -> String {
    format!("{alert}/opened")
}

/// The event that tells of a change. An opening and a clearing have one each, whatever goes wrong in between.
pub(super) fn event_of(alert: &Alert, change: Change, now: Timestamp) -> Event {
    let (network, class, id) = (alert.key.load.network.clone(), alert.key.load.class.clone(), alert.id);
    let turn = match change {
        Change::Raised => Turn::Raised,
        Change::Lowered => Turn::Lowered,
        Change::Opened(_) | Change::Cleared => Turn::Opened,
    };
    let fact = match (alert.key.kind, change) {
        (AlertKind::TokenLoadTooHigh, Change::Cleared) => Fact::LoadCleared { network, class, alert: id },
        (AlertKind::TokenLoadTooHigh, _) => Fact::LoadTooHigh { network, class, alert: id, turn },
        (AlertKind::NoAccessTokens, Change::Cleared) => Fact::AccessTokensAgain { network, class, alert: id },
        (AlertKind::NoAccessTokens, _) => Fact::NoAccessTokens { network, class, alert: id },
    };
    let dedup_key = match change {
        Change::Opened(_) => key_of_opening(id),
        Change::Cleared => format!("{id}/{}", change.as_str()),
        Change::Raised | Change::Lowered => format!("{id}/{}/{}", change.as_str(), now.micros()),
    };
    Event { id: EventId::generate(), at: now, team: Some(alert.key.load.team.clone()), fact, dedup_key }
}

/// The audit event of a change.
pub(super) fn audit_of(alert: &Alert, change: Change, now: Timestamp) -> AuditEvent {
    AuditEvent {
        id: AuditId::generate(),
        at: now,
        actor: Actor::Broker,
        action: match change {
            Change::Opened(_) => "alert.open",
            Change::Raised => "alert.raise",
            Change::Lowered => "alert.lower",
            Change::Cleared => "alert.clear",
        },
        team: Some(alert.key.load.team.clone()),
        subject: format!("teams/{}/alerts/{}", alert.key.load.team, alert.id),
        detail: format!("key={} level={}", alert.key, alert.level.as_str()),
    }
}
