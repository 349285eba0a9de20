//! Who was told of an alert.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::base::ids::{EventId, TeamId};
use crate::domain::alert::Alert;
use crate::service::Broker;
use crate::service::notices::address::{name_of_destination, name_of_mail};
use crate::store::{OutboxState, StoreError};

/// Members and destinations that are asked about.
const MOST: u32 = 200;
/// Events of a team that are looked through for those of an alert.
const EVENTS: usize = 2_000;
/// Events read at once.
const CHUNK: u32 = 200;
/// Messages of one receiver that are looked through.
const MESSAGES: u32 = 50;

/// Somebody who was told, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldOf {
    /// A member's name, or a destination's.
    pub who: String,
    /// When it was sent; `None`: it waits.
    pub at: Option<Timestamp>,
}

impl Broker {
    /// Who of a team was sent a message about an alert, or will be: members by mail, and the team's destinations, of each the first message. What
    /// members read in the app is not counted.
    pub async fn told_of_alert(&self, team: &TeamId, alert: &Alert) -> Result<Vec<ToldOf>, StoreError> {
        let events = self.events_of_alert(team, alert).await?;
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut names = BTreeMap::new();
        for (member, _) in self.store.list_hearers(team, None, MOST).await? {
            names.insert(name_of_mail(member.id), member.name_for_people().to_owned());
        }
        for stored in self.store.list_destinations(team).await? {
            let destination = stored.destination;
            let name = if destination.display_name.is_empty() { destination.shown } else { destination.display_name };
            names.insert(name_of_destination(destination.id), name);
        }
        let receivers: Vec<String> = names.keys().cloned().collect();
        let messages = self.store.messages_to(receivers, alert.opened_at, MESSAGES).await?;
        let mut told: BTreeMap<&str, Option<Timestamp>> = BTreeMap::new();
        for message in &messages {
            let is_about = message.events.iter().any(|event| events.contains(event));
            if !is_about || !matches!(message.state, OutboxState::Sent | OutboxState::Pending) {
                continue;
            }
            let at = message.first_tried_at.filter(|_| message.state == OutboxState::Sent);
            told.entry(&message.destination).or_insert(at);
        }
        let named = told.into_iter().filter_map(|(name, at)| Some(ToldOf { who: names.get(name)?.clone(), at }));
        Ok(named.collect())
    }

    async fn events_of_alert(&self, team: &TeamId, alert: &Alert) -> Result<Vec<EventId>, StoreError> {
        let (mut found, mut before, mut looked_at) = (Vec::new(), None, 0);
        loop {
            let events = self.store.list_events(team, before, CHUNK).await?;
            looked_at += events.len();
            before = events.last().map(|event| event.id);
            let last = events.len() < CHUNK as usize;
            let old = events.last().is_some_and(|event| event.at < alert.opened_at);
            let of_alert = events.iter().filter(|event| event.fact.alert() == Some(alert.id));
            found.extend(of_alert.map(|event| event.id));
            if last || old || looked_at >= EVENTS {
                return Ok(found);
            }
        }
    }
}
