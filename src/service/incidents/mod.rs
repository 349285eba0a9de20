//! Incidents: what the pools find becomes durable and is told once; people look at it, take notice, and close it.
//!
//! A pool finds an incident with the report that completes it, and its tokens rest from that instant (`domain::pool::incident`). Everything
//! else is done here, once a second, and again if it failed: the record, the tokens that belong to it, the stages of its recovery, its end. The
//! tokens are worked off a bounded part at a time, by the store, so that 100,000 of them need no more memory than three.
//!
//! While an incident is open for an app its tokens get no event of their own: `IncidentOpened` and `IncidentClosed`, one for the operators and
//! one for each team with tokens that it covers, stand for all of them. Once it is a loss, each token that it ended has its event as it is settled, so that
//! whoever granted it hears of it; whoever hears of many has them in one message.

mod keep;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::ids::{AppId, IncidentId, NetworkId, TeamId, TokenId};
use crate::domain::alert::Acknowledgement;
use crate::domain::audit::AuditEvent;
use crate::domain::incident::{Closed, Incident, IncidentKind, Outcome};
use crate::domain::member::Action;
use crate::domain::token::{Token, TokenState};
use crate::service::members::On;
use crate::service::requests::Attempt;
use crate::service::{Broker, Caller, Forbidden};
use crate::store::{IncidentFilter, StoreError};

pub(super) use keep::{key_of_opening, key_of_turning};

/// Incidents that can be open: one for each app.
pub const MOST_OPEN: u32 = 10_000;
/// Tokens of an incident that are shown as examples.
const SHOWN: u32 = 10;

/// Incidents that are open.
#[derive(Default)]
pub struct Incidents {
    /// Held over a write to the store, so that changes of incidents come one after another.
    book: tokio::sync::Mutex<HashMap<(NetworkId, AppId), Entry>>,
    /// Teams whose tokens of a network rest, for which incident, and what that turned out to be, as it was last looked at.
    resting: Mutex<HashMap<(NetworkId, TeamId), (IncidentId, Outcome)>>,
}

impl Incidents {
    /// The incident for which tokens of a team rest, and what it turned out to be so far.
    fn rest_for(&self, network: &NetworkId, team: &TeamId) -> Option<(IncidentId, Outcome)> {
        self.resting().get(&(network.clone(), team.clone())).copied()
    }

    /// Whether tokens of a team rest for an incident.
    pub(super) fn rests(&self, network: &NetworkId, team: &TeamId) -> bool {
        self.rest_for(network, team).is_some()
    }

    fn note_resting(&self, book: &HashMap<(NetworkId, AppId), Entry>) {
        let stopped = book.values().filter(|entry| entry.incident.progress.stops_leases());
        let of = |entry: &'_ Entry| {
            let (id, network, outcome) =
                (entry.incident.id, entry.incident.network.clone(), entry.incident.progress.outcome());
            entry.told.iter().map(move |team| ((network.clone(), team.clone()), (id, outcome))).collect::<Vec<_>>()
        };
        *self.resting() = stopped.flat_map(of).collect();
    }

    fn resting(&self) -> MutexGuard<'_, HashMap<(NetworkId, TeamId), (IncidentId, Outcome)>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open incident as it was last written, and the teams that were told of it.
struct Entry {
    incident: Incident,
    told: BTreeSet<TeamId>,
}

/// An incident, with what it hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentView {
    /// The incident.
    pub incident: Incident,
    /// The teams that it concerns, each with how many tokens it hit, as far as is known: of a reset those that were refused, else all that it
    /// covers.
    pub teams: Vec<(TeamId, u64)>,
    /// Some of them.
    pub examples: Vec<(TeamId, TokenId)>,
}

impl IncidentView {
    /// What a team may see of it; `None`: it does not concern the team.
    fn of_team(mut self, team: &TeamId) -> Option<Self> {
        self.teams.retain(|(hit, _)| hit == team);
        self.examples.retain(|(hit, _)| hit == team);
        (!self.teams.is_empty()).then_some(self)
    }
}

/// Why an incident is not shown, acknowledged or closed.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such incident.
    #[error("there is no incident '{0}'; list the incidents for those there are")]
    NotFound(IncidentId),
    /// It is over.
    #[error("the incident '{0}' is over")]
    Closed(IncidentId),
    /// It ends no token.
    #[error("the incident '{0}' is an outage, which ends no token, so none is lost by it; end it as recovered")]
    EndsNoToken(IncidentId),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker is about to stop.
    #[error("the broker is stopping; try again at the next one")]
    Stopping,
}

impl Broker {
    /// At most `limit` incidents, the newest first.
    pub async fn list_incidents(
        &self,
        caller: &Caller,
        wanted: IncidentFilter,
        limit: u32,
    ) -> Result<Vec<IncidentView>, IncidentError> {
        caller.must_be_operator()?;
        let mut views = Vec::new();
        for incident in self.store.list_incidents(wanted, limit).await? {
            views.push(self.view_incident(incident).await?);
        }
        Ok(views)
    }

    /// At most `limit` incidents that concern a team, the newest first. What they did to other teams is left out.
    pub async fn list_team_incidents(
        &self,
        caller: &Caller,
        team: &TeamId,
        wanted: IncidentFilter,
        limit: u32,
    ) -> Result<Vec<IncidentView>, IncidentError> {
        self.must_permit(caller, Action::See, team, On::Team)?;
        let mut views = Vec::new();
        for incident in self.store.list_incidents_of_team(team, wanted, limit).await? {
            views.extend(self.view_incident(incident).await?.of_team(team));
        }
        Ok(views)
    }

    /// The incident for which tokens of a team rest at a network, so that it should wait; `None`: they don't, or it is proven that those which it
    /// hit are lost, and what is connected anew works at once.
    pub fn incident_to_wait_for(&self, team: &TeamId, network: &NetworkId) -> Option<IncidentId> {
        self.incidents.rest_for(network, team).filter(|(_, outcome)| *outcome != Outcome::Lost).map(|(id, _)| id)
    }

    /// The incident that is open for a token which rests. One that it proved to have ended is mended by its person at once.
    pub(in crate::service) fn incident_of_resting(&self, token: &Token) -> Option<IncidentId> {
        let (id, outcome) = self.incidents.rest_for(&token.network, &token.team)?;
        let ended = outcome == Outcome::Lost && matches!(token.state, TokenState::Invalid { .. });
        (!ended).then_some(id)
    }

    /// One incident that concerns a team. What it did to other teams is left out.
    pub async fn get_team_incident(
        &self,
        caller: &Caller,
        team: &TeamId,
        id: IncidentId,
    ) -> Result<IncidentView, IncidentError> {
        self.must_permit(caller, Action::See, team, On::Team)?;
        let incident = self.store.find_incident(id).await?.ok_or(IncidentError::NotFound(id))?;
        self.view_incident(incident).await?.of_team(team).ok_or(IncidentError::NotFound(id))
    }

    /// One incident.
    pub async fn get_incident(&self, caller: &Caller, id: IncidentId) -> Result<IncidentView, IncidentError> {
        caller.must_be_operator()?;
        let incident = self.store.find_incident(id).await?.ok_or(IncidentError::NotFound(id))?;
        Ok(self.view_incident(incident).await?)
    }

    /// Whether an open incident speaks for a token. Of one that is proven to be a loss its tokens are told, since their persons must act.
    pub(in crate::service) async fn is_covered(&self, token: TokenId) -> Result<bool, StoreError> {
        let covering = self.store.find_covering(token).await?;
        Ok(covering.is_some_and(|incident| incident.progress.outcome() == Outcome::Recovered))
    }

    async fn view_incident(&self, incident: Incident) -> Result<IncidentView, StoreError> {
        let mut teams: BTreeMap<TeamId, u64> = self.store.concerned_teams(incident.id).await?.into_iter().collect();
        if incident.progress.kind == IncidentKind::NetworkReset {
            teams.values_mut().for_each(|tokens| *tokens = 0);
        }
        for (team, hit) in self.store.count_incident_tokens(incident.id).await? {
            let tokens = teams.entry(team).or_default();
            *tokens = hit.max(*tokens);
        }
        let teams = teams.into_iter().collect();
        let examples = self.store.sample_incident_tokens(incident.id, SHOWN).await?;
        Ok(IncidentView { incident, teams, examples })
    }

    /// Notes that somebody took notice. Twice is no error.
    pub async fn acknowledge_incident(
        &self,
        attempt: impl Into<Attempt<IncidentView>>,
        id: IncidentId,
        comment: &str,
    ) -> Result<IncidentView, IncidentError> {
        let by = |caller: &Caller| caller.name();
        self.change_incident(attempt.into(), id, "incident.acknowledge", comment, move |incident, caller, now| {
            let noted = incident.acknowledged.get_or_insert_with(|| (now, by(caller)));
            Ok(noted.0 == now)
        })
        .await
    }

    /// Who of a team took notice of an incident that concerns it; `None`: nobody did.
    pub async fn team_acknowledgement(
        &self,
        caller: &Caller,
        team: &TeamId,
        id: IncidentId,
    ) -> Result<Option<Acknowledgement>, IncidentError> {
        self.must_permit(caller, Action::See, team, On::Team)?;
        Ok(self.store.team_acknowledgement(id, team).await?)
    }

    /// Notes that somebody of a team took notice of an open incident that concerns it. Twice is no error: the first one stays.
    pub async fn acknowledge_for_team(
        &self,
        caller: &Caller,
        team: &TeamId,
        id: IncidentId,
        comment: &str,
    ) -> Result<(), IncidentError> {
        self.must_permit(caller, Action::Acknowledge, team, On::Team)?;
        if self.get_team_incident(caller, team, id).await?.incident.closed.is_some() {
            return Err(IncidentError::Closed(id));
        }
        let by = self.actor_name(Some(caller.actor()), Some(team));
        let noted = Acknowledgement { at: self.now(), by, comment: comment.to_owned() };
        let audit = self.audit(caller, "incident.acknowledge", name_of(id), format!("comment={comment:?}"));
        let audit = AuditEvent { team: Some(team.clone()), ..audit };
        if self.store.acknowledge_for_team(id, team, noted, audit.into()).await? {
            self.watch.tell_incident(id);
        }
        Ok(())
    }

    /// Ends an incident that is open. `outcome`: whether its tokens work again, so that all are let through at once, or are dead: then those that
    /// it did not hit are let through once these are settled, so that nobody leases one of them meanwhile and finds the same incident anew.
    pub async fn close_incident(
        &self,
        attempt: impl Into<Attempt<IncidentView>>,
        id: IncidentId,
        outcome: Outcome,
        comment: &str,
    ) -> Result<IncidentView, IncidentError> {
        self.change_incident(attempt.into(), id, "incident.close", comment, move |incident, caller, now| {
            if outcome == Outcome::Lost && !incident.ends_tokens() {
                return Err(IncidentError::EndsNoToken(id));
            }
            incident.closed = Some(Closed { at: now, by: caller.name(), outcome });
            Ok(true)
        })
        .await
    }

    async fn change_incident(
        &self,
        attempt: Attempt<IncidentView>,
        id: IncidentId,
        action: &'static str,
        comment: &str,
        change: impl Fn(&mut Incident, &Caller, crate::base::clock::Timestamp) -> Result<bool, IncidentError>
        + Send
        + Sync
        + 'static,
    ) -> Result<IncidentView, IncidentError> {
        attempt.caller.must_be_admin()?;
        let (broker, comment) = (self.clone(), comment.to_owned());
        let work = async move { broker.change_open_incident(attempt, id, action, &comment, change).await };
        self.finish(work).await.unwrap_or(Err(IncidentError::Stopping))
    }

    async fn change_open_incident(
        &self,
        attempt: Attempt<IncidentView>,
        id: IncidentId,
        action: &'static str,
        comment: &str,
        change: impl Fn(&mut Incident, &Caller, crate::base::clock::Timestamp) -> Result<bool, IncidentError>
        + Send
        + Sync
        + 'static,
    ) -> Result<IncidentView, IncidentError> {
        let mut book = self.incidents.book.lock().await;
        let Some(entry) = book.values_mut().find(|entry| entry.incident.id == id && entry.incident.closed.is_none())
        else {
            return match self.store.find_incident(id).await? {
                Some(_) => Err(IncidentError::Closed(id)),
                None => Err(IncidentError::NotFound(id)),
            };
        };
        let mut incident = entry.incident.clone();
        let changed = change(&mut incident, &attempt.caller, self.now())?;
        let view = self.view_incident(incident.clone()).await?;
        if !changed {
            self.note_unchanged(&attempt, &view).await?;
            return Ok(view);
        }
        let detail = match &incident.closed {
            Some(closed) => format!("outcome={} comment={comment:?}", closed.outcome.as_str()),
            None => format!("comment={comment:?}"),
        };
        let audit = self.audit(&attempt.caller, action, name_of(id), detail);
        let closes = incident.closed.is_some();
        let events = if closes { self.closing_events(&incident, &entry.told) } else { Vec::new() };
        let trail = attempt.trail(audit, &view).telling(events);
        self.store.update_incident(incident.clone(), Some(trail)).await?;
        self.watch.tell_incident(id);
        entry.incident = incident;
        if closes && !entry.incident.is_lost() {
            let Incident { network, app, .. } = &entry.incident;
            let key = (network.clone(), app.clone());
            self.engine.end_incident(&key.0, &key.1);
            book.remove(&key);
        }
        Ok(view)
    }
}

/// The name of an incident's record.
fn name_of(id: IncidentId) -> String {
    format!("incidents/{id}")
}
