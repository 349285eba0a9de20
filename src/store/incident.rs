//! Incidents, and the tokens that they hit.
//!
//! Which tokens belong to an incident is a column of theirs, so that an incident of 100,000 tokens costs no memory and is worked off a
//! bounded part at a time.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{AuditId, IncidentId, NetworkId, TeamId, TokenId};
use crate::domain::alert::Acknowledgement;
use crate::domain::audit::{Actor, AuditEvent, STATE_FOUND};
use crate::domain::incident::{Closed, Incident, IncidentKind, Outcome, Progress, Recovery, SeenIn, Stage};
use crate::domain::notice::Event;
use crate::domain::token::{Reason, TokenState};
use crate::store::audit::insert_audit;
use crate::store::database::Database;
use crate::store::event::insert_events;
use crate::store::idempotency::insert_trail;
use crate::store::sql::{Row, Value, first, values};
use crate::store::{StoreError, Trail};

/// Which incidents are wanted. The default wants all.
#[derive(Debug, Clone, Default)]
pub struct IncidentFilter {
    /// Of this network.
    pub network: Option<NetworkId>,
    /// `Some(true)`: open; `Some(false)`: over.
    pub open: Option<bool>,
    /// Before this id: the last one of the page before.
    pub before: Option<IncidentId>,
}

/// A token whose state changed with the end of its incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledToken {
    /// The token.
    pub token: TokenId,
    /// The version of its secrets.
    pub version: u32,
    /// Its state by now.
    pub state: TokenState,
}

/// What is kept of incidents.
#[async_trait]
pub trait IncidentStore: Send + Sync {
    /// Opens an incident. Returns whether it was opened: if its app has an open one, nothing is written.
    async fn open_incident(&self, incident: Incident, trail: Trail) -> Result<bool, StoreError>;
    /// Writes how far an incident has come, its acknowledgement and its end.
    async fn update_incident(&self, incident: Incident, trail: Option<Trail>) -> Result<(), StoreError>;
    /// The incident of that id.
    async fn find_incident(&self, incident: IncidentId) -> Result<Option<Incident>, StoreError>;
    /// At most `limit` incidents, the newest first.
    async fn list_incidents(&self, filter: IncidentFilter, limit: u32) -> Result<Vec<Incident>, StoreError>;
    /// At most `limit` incidents that concern a team, the newest first.
    async fn list_incidents_of_team(
        &self,
        team: &TeamId,
        filter: IncidentFilter,
        limit: u32,
    ) -> Result<Vec<Incident>, StoreError>;
    /// Incidents that are over and whose tokens are not all settled.
    async fn unsettled_incidents(&self) -> Result<Vec<Incident>, StoreError>;
    /// The open incident of its app that covers a token: not one whose secrets came after the incident began, nor one that is invalid for
    /// another cause.
    async fn find_covering(&self, token: TokenId) -> Result<Option<Incident>, StoreError>;
    /// Takes at most `limit` tokens of an incident's app into it that came into trouble at its start or later; how many. What somebody decided
    /// of a token, or what the incident does not explain, is left alone.
    async fn take_into_incident(&self, incident: &Incident, limit: u32) -> Result<u64, StoreError>;
    /// How many tokens an incident hit, by team.
    async fn count_incident_tokens(&self, incident: IncidentId) -> Result<Vec<(TeamId, u64)>, StoreError>;
    /// How many tokens an incident covers that may be leased or were hit, by team.
    async fn count_covered_tokens(&self, incident: &Incident) -> Result<Vec<(TeamId, u64)>, StoreError>;
    /// Notes that teams are concerned by an incident, each with how many of its tokens it covers, and tells them. Who was noted stays as it was.
    async fn concern_teams(
        &self,
        incident: IncidentId,
        teams: Vec<(TeamId, u64)>,
        events: Vec<Event>,
    ) -> Result<(), StoreError>;
    /// The teams that are concerned by an incident, each with how many of its tokens it covered then.
    async fn concerned_teams(&self, incident: IncidentId) -> Result<Vec<(TeamId, u64)>, StoreError>;
    /// Who took notice of an incident for a team; `None`: nobody did.
    async fn team_acknowledgement(
        &self,
        incident: IncidentId,
        team: &TeamId,
    ) -> Result<Option<Acknowledgement>, StoreError>;
    /// Notes who took notice of an incident for a team that it concerns. Returns whether it was the first.
    async fn acknowledge_for_team(
        &self,
        incident: IncidentId,
        team: &TeamId,
        acknowledgement: Acknowledgement,
        trail: Trail,
    ) -> Result<bool, StoreError>;
    /// Some tokens that an incident hit: at most `limit`.
    async fn sample_incident_tokens(
        &self,
        incident: IncidentId,
        limit: u32,
    ) -> Result<Vec<(TeamId, TokenId)>, StoreError>;
    /// Settles at most `limit` tokens of an incident: healed, they leave it; lost, they stay in it, invalid for its reason, and it is an event
    /// that each is, in the audit, too. Returns those that changed. None left: the incident is noted as settled.
    async fn settle_incident_tokens(
        &self,
        incident: &Incident,
        outcome: Outcome,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<SettledToken>, StoreError>;
    /// Tokens of an incident's app whose secrets came after its start.
    async fn tokens_outside_incident(&self, incident: &Incident) -> Result<Vec<TokenId>, StoreError>;
    /// Deletes at most `limit` incidents that were over before `before`; how many.
    async fn prune_incidents(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

macro_rules! columns {
    () => {
        "id, network, app, kind, seen_in, stage, persons, served, refused, final_refusals, started_at_us, opened_at_us,
         stage_since_us, next_canary_at_us, acknowledged_at_us, acknowledged_by, closed_at_us, closed_by, outcome"
    };
}

const OPEN: &str = concat!(
    "INSERT INTO incident (",
    columns!(),
    ", settled) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 0)
     ON CONFLICT (network, app) WHERE closed_at_us IS NULL DO NOTHING"
);
const UPDATE: &str = "UPDATE incident SET kind = $4, seen_in = $5, stage = $6, persons = $7, served = $8, refused = $9,
    final_refusals = $10, started_at_us = $11, opened_at_us = $12, stage_since_us = $13, next_canary_at_us = $14,
    acknowledged_at_us = $15, acknowledged_by = $16, closed_at_us = $17, closed_by = $18, outcome = $19
    WHERE id = $1 AND network = $2 AND app = $3";
const FIND: &str = concat!("SELECT ", columns!(), " FROM incident WHERE id = $1");
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM incident WHERE ($1 IS NULL OR network = $1) AND ($2 IS NULL OR (closed_at_us IS NULL) = ($2 = 1)) AND id < $3
      ORDER BY id DESC LIMIT $4"
);
const LIST_OF_TEAM: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM incident WHERE id IN (SELECT incident FROM incident_team WHERE team = $1) AND ($2 IS NULL OR network = $2)
      AND ($3 IS NULL OR (closed_at_us IS NULL) = ($3 = 1)) AND id < $4 ORDER BY id DESC LIMIT $5"
);
const UNSETTLED: &str =
    concat!("SELECT ", columns!(), " FROM incident WHERE settled = 0 AND closed_at_us IS NOT NULL ORDER BY id");
const COVERING: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM incident WHERE closed_at_us IS NULL AND network = (SELECT network FROM token WHERE id = $1)
      AND app = (SELECT app FROM token WHERE id = $1)
      AND started_at_us > (SELECT secrets_since_us FROM token WHERE id = $1 AND (state <> 'invalid' OR token.incident = incident.id))"
);
/// Of those that are invalid only what was found out, for a reason that the incident explains. The plus keeps it on the index of those in trouble.
const TAKE_IN: &str = "UPDATE token SET incident = $1 WHERE id IN (
    SELECT id FROM token WHERE network = $2 AND app = $3 AND state_since_us >= $4 AND incident IS NULL
        AND state IN ('suspect', 'invalid') AND +secrets_since_us < $4
        AND (state = 'suspect' OR (state_found = 1 AND reason IN ($6, $7, $8, $9, $10, $11))) LIMIT $5)";
/// Of an app that is given up all that might be leased.
const TAKE_ALL_IN: &str = "UPDATE token SET incident = $1 WHERE id IN (
    SELECT id FROM token WHERE network = $2 AND app = $3 AND secrets_since_us < $4 AND incident IS NULL
        AND (state IN ('live', 'suspect')
            OR (state = 'invalid' AND +state_since_us >= $4 AND state_found = 1 AND reason IN ($6, $7, $8, $9, $10, $11))) LIMIT $5)";
const COUNT: &str = "SELECT team, COUNT(*) FROM token WHERE incident = $1 GROUP BY team ORDER BY team";
const COUNT_COVERED: &str = "SELECT team, COUNT(*) FROM token
    WHERE network = $1 AND app = $2 AND secrets_since_us < $3 AND incident IS NULL AND state IN ('live', 'suspect')
    GROUP BY team";
const CONCERN: &str =
    "INSERT INTO incident_team (incident, team, tokens) VALUES ($1, $2, $3) ON CONFLICT (incident, team) DO NOTHING";
const CONCERNED: &str = "SELECT team, tokens FROM incident_team WHERE incident = $1 ORDER BY team";
const ACKNOWLEDGED: &str = "SELECT acknowledged_at_us, acknowledged_by, acknowledge_comment FROM incident_team
    WHERE incident = $1 AND team = $2 AND acknowledged_at_us IS NOT NULL";
const ACKNOWLEDGE: &str =
    "UPDATE incident_team SET acknowledged_at_us = $3, acknowledged_by = $4, acknowledge_comment = $5
    WHERE incident = $1 AND team = $2 AND acknowledged_at_us IS NULL";
const FORGET_TEAMS: &str = "DELETE FROM incident_team WHERE incident IN (
    SELECT id FROM incident WHERE closed_at_us < $1 AND settled = 1 LIMIT $2)";
const SAMPLE: &str = "SELECT team, id FROM token WHERE incident = $1 ORDER BY team, id LIMIT $2";
/// Those in doubt work; those that were called dead are looked at once more. All leave the incident.
const HEAL: &str = "UPDATE token SET incident = NULL, reason = NULL,
        state_since_us = CASE state WHEN 'invalid' THEN $2 END,
        state = CASE state WHEN 'invalid' THEN 'suspect' WHEN 'suspect' THEN 'live' ELSE state END
    WHERE id IN (SELECT id FROM token WHERE incident = $1 AND state IN ('suspect', 'invalid') LIMIT $3)
    RETURNING id, version, state, reason, state_since_us, team";
/// Tokens of an incident that work again, or that a person paused or revoked, leave it as they are.
const LEAVE: &str = "UPDATE token SET incident = NULL
    WHERE id IN (SELECT id FROM token WHERE incident = $1 AND state NOT IN ('suspect', 'invalid') LIMIT $2)";
const LOSE: &str = "UPDATE token SET state = 'invalid', reason = $2, state_since_us = COALESCE(state_since_us, $3)
    WHERE id IN (SELECT id FROM token WHERE incident = $1
        AND (state = 'suspect' OR (state = 'live' AND $5 = 1) OR (state = 'invalid' AND reason <> $2)) LIMIT $4)
    RETURNING id, version, state, reason, state_since_us, team";
const SETTLED: &str = "UPDATE incident SET settled = 1 WHERE id = $1 AND closed_at_us IS NOT NULL";
const OUTSIDE: &str = "SELECT id FROM token WHERE network = $1 AND app = $2 AND secrets_since_us >= $3";
const PRUNE: &str = "DELETE FROM incident WHERE id IN (
    SELECT id FROM incident WHERE closed_at_us < $1 AND settled = 1 LIMIT $2)";

#[async_trait]
impl<D: Database> IncidentStore for D {
    async fn open_incident(&self, incident: Incident, trail: Trail) -> Result<bool, StoreError> {
        let values = parameters(&incident);
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(OPEN, values).await? == 0 {
                    return Ok(false);
                }
                insert_trail(tx, &trail).await?;
                Ok(true)
            })
        })
        .await
    }

    async fn update_incident(&self, incident: Incident, trail: Option<Trail>) -> Result<(), StoreError> {
        let (id, values) = (incident.id, parameters(&incident));
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(UPDATE, values).await? == 0 {
                    return Err(StoreError::not_found(id));
                }
                match &trail {
                    Some(trail) => insert_trail(tx, trail).await,
                    None => Ok(()),
                }
            })
        })
        .await
    }

    async fn find_incident(&self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        self.read(move |tx| Box::pin(async move { first(tx, FIND, values![id]).await?.map(incident).transpose() }))
            .await
    }

    async fn list_incidents(&self, filter: IncidentFilter, limit: u32) -> Result<Vec<Incident>, StoreError> {
        let before = filter.before.unwrap_or(IncidentId::from_u128(u128::MAX));
        let values = values![filter.network.as_ref(), filter.open, before, limit];
        self.read(move |tx| Box::pin(async move { tx.rows(LIST, values).await?.into_iter().map(incident).collect() }))
            .await
    }

    async fn list_incidents_of_team(
        &self,
        team: &TeamId,
        filter: IncidentFilter,
        limit: u32,
    ) -> Result<Vec<Incident>, StoreError> {
        let before = filter.before.unwrap_or(IncidentId::from_u128(u128::MAX));
        let values = values![team, filter.network.as_ref(), filter.open, before, limit];
        self.read(move |tx| {
            Box::pin(async move { tx.rows(LIST_OF_TEAM, values).await?.into_iter().map(incident).collect() })
        })
        .await
    }

    async fn unsettled_incidents(&self) -> Result<Vec<Incident>, StoreError> {
        self.read(|tx| Box::pin(async move { tx.rows(UNSETTLED, vec![]).await?.into_iter().map(incident).collect() }))
            .await
    }

    async fn find_covering(&self, token: TokenId) -> Result<Option<Incident>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move { first(tx, COVERING, values![token]).await?.map(incident).transpose() })
        })
        .await
    }

    async fn take_into_incident(&self, incident: &Incident, limit: u32) -> Result<u64, StoreError> {
        let Incident { id, network, app, progress, .. } = incident;
        let mut values = values![*id, network, app, progress.started_at, limit];
        values.extend(progress.kind.explains().map(|reason| Value::from(reason.map(Reason::as_str))));
        let take = if incident.takes_all() { TAKE_ALL_IN } else { TAKE_IN };
        self.write(move |tx| Box::pin(async move { tx.execute(take, values).await })).await
    }

    async fn count_incident_tokens(&self, id: IncidentId) -> Result<Vec<(TeamId, u64)>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move {
                let rows = tx.rows(COUNT, values![id]).await?;
                rows.into_iter().map(|mut row| Ok((row.slug()?, row.count()?))).collect()
            })
        })
        .await
    }

    async fn count_covered_tokens(&self, incident: &Incident) -> Result<Vec<(TeamId, u64)>, StoreError> {
        let values = values![&incident.network, &incident.app, incident.progress.started_at];
        let id = incident.id;
        self.read(move |tx| {
            Box::pin(async move {
                let mut counts = BTreeMap::<TeamId, u64>::new();
                let rows = [tx.rows(COUNT_COVERED, values).await?, tx.rows(COUNT, values![id]).await?];
                for mut row in rows.into_iter().flatten() {
                    let (team, tokens): (TeamId, u64) = (row.slug()?, row.count()?);
                    *counts.entry(team).or_default() += tokens;
                }
                Ok(counts.into_iter().collect())
            })
        })
        .await
    }

    async fn concern_teams(
        &self,
        id: IncidentId,
        teams: Vec<(TeamId, u64)>,
        events: Vec<Event>,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let note = |(team, tokens): &(TeamId, u64)| (CONCERN, values![id, team, *tokens]);
                tx.execute_all(teams.iter().map(note).collect()).await?;
                insert_events(tx, &events).await.map(drop)
            })
        })
        .await
    }

    async fn concerned_teams(&self, id: IncidentId) -> Result<Vec<(TeamId, u64)>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move {
                let rows = tx.rows(CONCERNED, values![id]).await?;
                rows.into_iter().map(|mut row| Ok((row.slug()?, row.count()?))).collect()
            })
        })
        .await
    }

    async fn team_acknowledgement(&self, id: IncidentId, team: &TeamId) -> Result<Option<Acknowledgement>, StoreError> {
        let values = values![id, team];
        let noted = |mut row: Row| Ok(Acknowledgement { at: row.time()?, by: row.text()?, comment: row.text()? });
        self.read(move |tx| Box::pin(async move { first(tx, ACKNOWLEDGED, values).await?.map(noted).transpose() }))
            .await
    }

    async fn acknowledge_for_team(
        &self,
        id: IncidentId,
        team: &TeamId,
        acknowledgement: Acknowledgement,
        trail: Trail,
    ) -> Result<bool, StoreError> {
        let Acknowledgement { at, by, comment } = acknowledgement;
        let values = values![id, team, at, by, comment];
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(ACKNOWLEDGE, values).await? == 0 {
                    return Ok(false);
                }
                insert_trail(tx, &trail).await?;
                Ok(true)
            })
        })
        .await
    }

    async fn sample_incident_tokens(&self, id: IncidentId, limit: u32) -> Result<Vec<(TeamId, TokenId)>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move {
                let rows = tx.rows(SAMPLE, values![id, limit]).await?;
                rows.into_iter().map(|mut row| Ok((row.slug()?, row.id(TokenId::from_slice)?))).collect()
            })
        })
        .await
    }

    async fn settle_incident_tokens(
        &self,
        incident: &Incident,
        outcome: Outcome,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<SettledToken>, StoreError> {
        let (id, network, reason) = (incident.id, incident.network.clone(), incident.progress.kind.reason());
        let all = incident.takes_all();
        self.write(move |tx| {
            Box::pin(async move {
                let rows = match (outcome, reason) {
                    (Outcome::Lost, Some(reason)) => {
                        let rows = tx.rows(LOSE, values![id, reason.as_str(), now, limit, all]).await?;
                        if rows.is_empty() && tx.execute(LEAVE, values![id, limit]).await? > 0 {
                            return Ok(Vec::new());
                        }
                        rows
                    }
                    _ => {
                        let left = tx.execute(LEAVE, values![id, limit]).await?;
                        let rows = tx.rows(HEAL, values![id, now, limit]).await?;
                        if left > 0 && rows.is_empty() {
                            return Ok(Vec::new());
                        }
                        rows
                    }
                };
                let settled = rows.into_iter().map(|mut row| Ok((settled(&mut row)?, row.slug()?)));
                let settled = settled.collect::<Result<Vec<(SettledToken, TeamId)>, StoreError>>()?;
                if settled.is_empty() {
                    tx.execute(SETTLED, values![id]).await?;
                }
                let audits: Vec<_> = settled.iter().map(|(token, team)| settling(id, token, team, now)).collect();
                insert_audit(tx, &audits).await?;
                if outcome == Outcome::Lost {
                    insert_events(tx, &losses(&settled, &network, now)).await?;
                }
                Ok(settled.into_iter().map(|(token, _)| token).collect())
            })
        })
        .await
    }

    async fn tokens_outside_incident(&self, incident: &Incident) -> Result<Vec<TokenId>, StoreError> {
        let values = values![&incident.network, &incident.app, incident.progress.started_at];
        self.read(move |tx| {
            Box::pin(async move {
                let rows = tx.rows(OUTSIDE, values).await?;
                rows.into_iter().map(|mut row| row.id(TokenId::from_slice)).collect()
            })
        })
        .await
    }

    async fn prune_incidents(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.execute(FORGET_TEAMS, values![before, limit]).await?;
                tx.execute(PRUNE, values![before, limit]).await
            })
        })
        .await
    }
}

fn parameters(incident: &Incident) -> Vec<Value> {
    let Incident { id, network, app, progress, closed, acknowledged } = incident;
    let Progress { kind, started_at, opened_at, persons, seen_in, recovery } = progress;
    values![
        *id,
        network,
        app,
        kind.as_str(),
        seen_in.as_str(),
        recovery.stage.as_str(),
        *persons,
        recovery.served,
        recovery.refused,
        recovery.final_refusals,
        *started_at,
        *opened_at,
        recovery.since,
        recovery.next_canary_at,
        acknowledged.as_ref().map(|(at, _)| *at),
        acknowledged.as_ref().map(|(_, by)| by.clone()),
        closed.as_ref().map(|closed| closed.at),
        closed.as_ref().map(|closed| closed.by.clone()),
        closed.as_ref().map(|closed| closed.outcome.as_str()),
    ]
}

fn incident(mut row: Row) -> Result<Incident, StoreError> {
    let (id, network, app) = (row.id(IncidentId::from_slice)?, row.slug()?, row.slug()?);
    let kind = named(&mut row, IncidentKind::from_name)?;
    let seen_in = named(&mut row, SeenIn::from_name)?;
    let stage = named(&mut row, Stage::from_name)?;
    let (persons, served, refused, final_refusals) = (row.count()?, row.count()?, row.count()?, row.count()?);
    let (started_at, opened_at) = (row.time()?, row.time()?);
    let mut recovery = Recovery::at(stage, row.time()?, row.time()?);
    (recovery.served, recovery.refused, recovery.final_refusals) = (served, refused, final_refusals);
    let progress = Progress { kind, started_at, opened_at, persons, seen_in, recovery };
    let acknowledged = row.maybe_time()?.zip(row.maybe_text()?);
    let closed = match (row.maybe_time()?, row.maybe_text()?, row.maybe_text()?) {
        (Some(at), Some(by), Some(outcome)) => Some(Closed {
            at,
            by,
            outcome: Outcome::from_name(&outcome)
                .ok_or_else(|| StoreError::corrupt("an unknown end of an incident"))?,
        }),
        _ => None,
    };
    Ok(Incident { id, network, app, progress, closed, acknowledged })
}

fn named<T>(row: &mut Row, from_name: impl Fn(&str) -> Option<T>) -> Result<T, StoreError> {
    from_name(&row.text()?).ok_or_else(|| StoreError::corrupt("an unknown word about an incident"))
}

fn settled(row: &mut Row) -> Result<SettledToken, StoreError> {
    Ok(SettledToken {
        token: row.id(TokenId::from_slice)?,
        version: row.count()?,
        state: crate::store::token::state(row)?,
    })
}

/// The audit event of a token that was settled with its incident.
fn settling(incident: IncidentId, settled: &SettledToken, team: &TeamId, now: Timestamp) -> AuditEvent {
    let SettledToken { token, state, .. } = settled;
    let reason = if let TokenState::Invalid { reason, .. } = state { reason.as_str() } else { "" };
    AuditEvent {
        id: AuditId::generate(),
        at: now,
        actor: Actor::Broker,
        action: STATE_FOUND,
        team: Some(team.clone()),
        subject: format!("teams/{team}/tokens/{token}"),
        detail: format!("to={} reason={reason} incident={incident}", state.as_str()),
    }
}

/// The events of tokens that are lost by an incident.
fn losses(settled: &[(SettledToken, TeamId)], network: &NetworkId, now: Timestamp) -> Vec<Event> {
    let loss = |(settled, team): &(SettledToken, TeamId)| match settled.state {
        TokenState::Invalid { reason, since } => {
            Some(Event::of_invalid(team.clone(), network.clone(), settled.token, reason, since, now))
        }
        _ => None,
    };
    settled.iter().filter_map(loss).collect()
}
