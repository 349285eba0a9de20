//! Brings the records of incidents in line with what the pools know, and works off their tokens.

use std::collections::BTreeSet;

use super::{Entry, MOST_OPEN, name_of};
use crate::base::ids::{AppId, IncidentId, NetworkId, TeamId};
use crate::domain::incident::{Closed, Incident, IncidentKind, Outcome, Progress};
use crate::domain::notice::{Event, Fact};
use crate::service::tell::event;
use crate::service::{Broker, Caller};
use crate::store::{IncidentFilter, StoreError, Trail};
use crate::telemetry::IncidentRow;
use crate::text::Sentence;

/// Tokens that are worked off in one transaction, and so many transactions in one run: 20,000 tokens a second, with room for others.
const AT_ONCE: u32 = 500;
const ROUNDS: usize = 40;
impl Broker {
    /// Takes up the incidents that were open when an earlier run ended, and those of which it had not settled all tokens.
    pub(in crate::service) async fn restore_incidents(&self) -> Result<(), StoreError> {
        let open = IncidentFilter { open: Some(true), ..IncidentFilter::default() };
        let mut book = self.incidents.book.lock().await;
        let unsettled = self.store.unsettled_incidents().await?.into_iter().filter(Incident::is_lost);
        let open = self.store.list_incidents(open, MOST_OPEN).await?;
        // Of two of an app the one that is open holds.
        for incident in unsettled.chain(open) {
            let outside = self.store.tokens_outside_incident(&incident).await?;
            self.engine.restore_incident(&incident.network, &incident.app, incident.progress, &outside);
            let key = (incident.network.clone(), incident.app.clone());
            let entry = match incident.closed {
                None => self.take_up(incident).await?,
                Some(_) => Entry { incident, told: BTreeSet::new() },
            };
            book.insert(key, entry);
        }
        self.incidents.note_resting(&book);
        Ok(())
    }

    /// Opens, brings up to date and closes incidents as the pools know them, then works off some of their tokens. Returns what was done, for
    /// people.
    pub async fn watch_incidents(&self) -> Result<Sentence, StoreError> {
        let mut book = self.incidents.book.lock().await;
        for (network, app, progress) in self.engine.incidents() {
            let key = (network, app);
            match book.get_mut(&key) {
                None => {
                    let entry = self.open_incident(&key, progress).await?;
                    book.insert(key.clone(), entry);
                }
                // Its tokens are being settled.
                Some(entry) if entry.incident.closed.is_some() => continue,
                Some(entry) if entry.incident.progress != progress => self.note_progress(entry, progress).await?,
                Some(_) => {}
            }
            let Some(entry) = book.get_mut(&key) else { continue };
            if !progress.is_open() || self.has_nothing_left(&entry.incident).await? {
                self.close_by_itself(entry).await?;
                // A loss ends once all its tokens are settled.
                if !entry.incident.is_lost() {
                    self.engine.end_incident(&key.0, &key.1);
                    book.remove(&key);
                }
            }
        }
        let mut hit = 0;
        for entry in book.values_mut().filter(|entry| entry.incident.closed.is_none()) {
            hit += self.take_tokens_in(entry).await?;
            if entry.incident.progress.outcome() == Outcome::Lost {
                self.settle_tokens(&entry.incident, Outcome::Lost).await?;
            }
        }
        for closed in self.store.unsettled_incidents().await? {
            let outcome = closed.closed.as_ref().map_or(Outcome::Recovered, |closed| closed.outcome);
            let limit = u64::from(AT_ONCE);
            while self.store.take_into_incident(&closed, AT_ONCE).await? == limit {}
            let key = (closed.network.clone(), closed.app.clone());
            if self.settle_tokens(&closed, outcome).await?
                && book.get(&key).is_some_and(|entry| entry.incident.id == closed.id)
            {
                self.engine.end_incident(&key.0, &key.1);
                book.remove(&key);
            }
        }
        self.incidents.note_resting(&book);
        let open = book.values().filter(|entry| entry.incident.closed.is_none());
        self.show_incidents(open.clone());
        Ok(Sentence::new("ran-incidents").with("count", open.count()).with("tokens", hit))
    }

    /// Shows how many incidents of each kind are open at each network.
    fn show_incidents<'e>(&self, open: impl Iterator<Item = &'e Entry> + Clone) {
        let rows = self.catalogue.iter().flat_map(|network| {
            let open = open.clone();
            IncidentKind::ALL.map(move |kind| {
                let alike = open.clone().map(|entry| &entry.incident);
                let alike = alike.filter(|found| found.network == network.id && found.progress.kind == kind);
                IncidentRow { network: network.id.clone(), kind: kind.as_str(), count: alike.count() }
            })
        });
        self.metrics.set_incidents(&rows.collect::<Vec<_>>());
    }

    async fn open_incident(&self, key: &(NetworkId, AppId), progress: Progress) -> Result<Entry, StoreError> {
        let (network, app) = key.clone();
        let incident =
            Incident { id: IncidentId::generate(), network, app, progress, closed: None, acknowledged: None };
        let detail = format!("kind={} persons={}", progress.kind.as_str(), progress.persons);
        let audit = self.audit(&Caller::Broker, "incident.open", name_of(incident.id), detail);
        let trail = Trail::from(audit).telling([self.opened(&incident, None, None)]);
        let (message, id) = (incident.message(), incident.id);
        if self.store.open_incident(incident.clone(), trail).await? {
            self.watch.tell_incident(id);
            tracing::error!(network = %incident.network, app = %incident.app, incident = %id, "{message}");
            return self.take_up(incident).await;
        }
        // Another process was faster.
        let open = IncidentFilter { network: Some(key.0.clone()), open: Some(true), before: None };
        let found = self.store.list_incidents(open, MOST_OPEN).await?.into_iter().find(|found| found.app == key.1);
        self.take_up(found.unwrap_or(incident)).await
    }

    /// An incident that stands in the store. Teams whose tokens it covers and that were not told of it are told.
    async fn take_up(&self, incident: Incident) -> Result<Entry, StoreError> {
        let told = self.store.concerned_teams(incident.id).await?.into_iter().map(|(team, _)| team).collect();
        let covered = self.store.count_covered_tokens(&incident).await?;
        let mut entry = Entry { incident, told };
        self.tell_teams(&mut entry, covered).await?;
        Ok(entry)
    }

    async fn note_progress(&self, entry: &mut Entry, progress: Progress) -> Result<(), StoreError> {
        let before = entry.incident.progress;
        let incident = Incident { progress, ..entry.incident.clone() };
        let changed = (before.kind, before.recovery.stage) != (progress.kind, progress.recovery.stage);
        let trail = changed.then(|| {
            let detail = format!("kind={} stage={}", progress.kind.as_str(), progress.recovery.stage.as_str());
            let audit = self.audit(&Caller::Broker, "incident.progress", name_of(incident.id), detail);
            let was = Some(before.kind).filter(|was| *was != progress.kind);
            let whom = std::iter::once(None).chain(entry.told.iter().map(Some)).filter(|_| was.is_some());
            Trail::from(audit).telling(whom.map(|team| self.opened(&incident, was, team)))
        });
        self.store.update_incident(incident.clone(), trail).await?;
        if changed {
            self.watch.tell_incident(incident.id);
        }
        entry.incident = incident;
        Ok(())
    }

    /// Whether no token is left that could show more of an incident: none can be called or renewed, or all have other secrets by now.
    async fn has_nothing_left(&self, incident: &Incident) -> Result<bool, StoreError> {
        let Incident { network, app, progress, .. } = incident;
        Ok(self.engine.is_out_of_calls(network, app)
            && !(self.renews_for(network, app)
                && self.store.has_renewal_before(network, app, progress.started_at).await?))
    }

    async fn close_by_itself(&self, entry: &mut Entry) -> Result<(), StoreError> {
        let outcome = entry.incident.progress.outcome();
        let closed = Closed { at: self.now(), by: "broker".to_owned(), outcome };
        let incident = Incident { closed: Some(closed), ..entry.incident.clone() };
        let detail = format!("outcome={}", outcome.as_str());
        let audit = self.audit(&Caller::Broker, "incident.close", name_of(incident.id), detail);
        let trail = Trail::from(audit).telling(self.closing_events(&incident, &entry.told));
        self.store.update_incident(incident.clone(), Some(trail)).await?;
        self.watch.tell_incident(incident.id);
        tracing::warn!(network = %incident.network, app = %incident.app, incident = %incident.id, outcome = outcome.as_str(), "an incident is over");
        entry.incident = incident;
        Ok(())
    }

    /// Takes tokens into an incident that came into trouble since it began, and tells their teams of it, each once.
    async fn take_tokens_in(&self, entry: &mut Entry) -> Result<u64, StoreError> {
        let mut taken = 0;
        for _ in 0..ROUNDS {
            let some = self.store.take_into_incident(&entry.incident, AT_ONCE).await?;
            taken += some;
            if some < u64::from(AT_ONCE) {
                break;
            }
        }
        if taken > 0 {
            let hit = self.store.count_incident_tokens(entry.incident.id).await?;
            self.tell_teams(entry, hit).await?;
        }
        Ok(taken)
    }

    /// Tells teams of an incident that concerns so many of their tokens, each once: the event's key holds also where an earlier run, or another
    /// process, told them.
    async fn tell_teams(&self, entry: &mut Entry, mut teams: Vec<(TeamId, u64)>) -> Result<(), StoreError> {
        teams.retain(|(team, _)| !entry.told.contains(team));
        let events = teams.iter().map(|(team, _)| self.opened(&entry.incident, None, Some(team))).collect();
        let new: Vec<TeamId> = teams.iter().map(|(team, _)| team.clone()).collect();
        if !new.is_empty() {
            self.store.concern_teams(entry.incident.id, teams, events).await?;
        }
        entry.told.extend(new);
        Ok(())
    }

    /// Settles some tokens of an incident, in the store and then in the pool. Returns whether none is left.
    async fn settle_tokens(&self, incident: &Incident, outcome: Outcome) -> Result<bool, StoreError> {
        for _ in 0..ROUNDS {
            let _changes = self.changes.all_tokens().await;
            let settled = self.store.settle_incident_tokens(incident, outcome, self.now(), AT_ONCE).await?;
            if settled.is_empty() {
                return Ok(true);
            }
            for token in settled {
                self.engine.settle_token(&incident.network, token.token, token.version, token.state);
            }
        }
        Ok(false)
    }

    /// That an incident began, or is another than it `was` taken for.
    fn opened(&self, incident: &Incident, was: Option<IncidentKind>, team: Option<&TeamId>) -> Event {
        let Incident { id, network, app, progress, .. } = incident;
        let (network, app, kind) = (network.clone(), app.clone(), progress.kind);
        let fact = Fact::IncidentOpened { network, app, incident: *id, kind, was };
        let key = match was {
            None => key_of_opening(*id, team),
            Some(_) => key_of_turning(*id, kind, team),
        };
        event(self.now(), team.cloned(), fact, key)
    }

    /// That an incident is over, for the operators and for those that were told that it began.
    pub(super) fn closing_events(&self, incident: &Incident, told: &BTreeSet<TeamId>) -> Vec<Event> {
        let Incident { id, network, app, .. } = incident;
        let lost = incident.progress.kind.reason().filter(|_| incident.is_lost());
        let served = incident.progress.recovery.served > 0;
        let closed = |team: Option<&TeamId>| {
            let (network, app) = (network.clone(), app.clone());
            let fact = Fact::IncidentClosed { network, app, incident: *id, lost, served };
            event(self.now(), team.cloned(), fact, format!("{id}/closed/{}", named(team)))
        };
        std::iter::once(closed(None)).chain(told.iter().map(|team| closed(Some(team)))).collect()
    }
}

/// The key of the event that tells a team, or the operators, that an incident began.
pub(in crate::service) fn key_of_opening(incident: IncidentId, team: Option<&TeamId>) -> String {
    format!("{incident}/opened/{}", named(team))
}

/// The key of the event that tells a team, or the operators, what an incident that they heard of was found to be.
pub(in crate::service) fn key_of_turning(incident: IncidentId, kind: IncidentKind, team: Option<&TeamId>) -> String {
    format!("{incident}/opened/{}/{}", kind.as_str(), named(team))
}

/// A team in a key, or the operators.
fn named(team: Option<&TeamId>) -> &str {
    team.map_or("-", TeamId::as_str)
}
