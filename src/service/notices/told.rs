//! Who of a team was told of an event.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::base::ids::{AlertId, IncidentId, TeamId};
use crate::domain::notice::{Channel, Event};
use crate::service::Broker;
use crate::service::alerts;
use crate::service::incidents;
use crate::service::notices::address::{name_of_destination, name_of_mail, name_of_push};
use crate::service::notices::tell::Tokens;
use crate::store::{OutboxState, StoreError};

/// Members that are asked about.
const MOST: u32 = 200;

/// Somebody who was told, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldOf {
    /// A member's name, or a destination's.
    pub who: String,
    /// By which channel; `None`: the team's destination of that name.
    pub by: Option<Channel>,
    /// What became of it.
    pub told: Told,
}

/// What became of telling somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It was sent at this time.
    Sent(Timestamp),
    /// It is to be sent.
    Waits,
    /// It could not be sent, and is not tried any more.
    Failed,
    /// The member has read it in the app.
    Read,
}

impl Broker {
    /// Who of a team was told that an alert opened, as far as it is still known: members by mail, in their browsers and in the app, where they
    /// have read it, and the team's destinations.
    pub async fn told_of_alert(&self, team: &TeamId, alert: AlertId) -> Result<Vec<ToldOf>, StoreError> {
        self.told_of(team, &alerts::key_of_opening(alert)).await
    }

    /// Who of a team was told that an incident began.
    pub async fn told_of_incident(&self, team: &TeamId, incident: IncidentId) -> Result<Vec<ToldOf>, StoreError> {
        self.told_of(team, &incidents::key_of_opening(incident, Some(team))).await
    }

    async fn told_of(&self, team: &TeamId, key: &str) -> Result<Vec<ToldOf>, StoreError> {
        let Some(event) = self.store.find_event(key).await? else { return Ok(Vec::new()) };
        let (mut receivers, mut told) = (BTreeMap::new(), Vec::new());
        let members = self.store.list_hearers(team, None, MOST).await?;
        let (mut names, readers) = (BTreeMap::new(), self.store.readers_of(team, event.id).await?);
        for (member, settings) in &members {
            let who = member.name_for_people().to_owned();
            let hears = || self.hears(member, settings, Channel::InApp, &event, &Tokens::new());
            if readers.contains(&member.id) && hears() {
                told.push(ToldOf { who: who.clone(), by: Some(Channel::InApp), told: Told::Read });
            }
            receivers.insert(name_of_mail(member.id), (who.clone(), Some(Channel::Mail)));
            names.insert(member.id, who);
        }
        if let Some((last, _)) = members.last() {
            for (member, browser) in self.store.push_of_members(team, None, last.id).await? {
                if let Some(who) = names.get(&member) {
                    receivers.insert(name_of_push(member, browser), (who.clone(), Some(Channel::WebPush)));
                }
            }
        }
        for stored in self.store.list_destinations(team).await? {
            let destination = stored.destination;
            let name = if destination.display_name.is_empty() { destination.shown } else { destination.display_name };
            receivers.insert(name_of_destination(destination.id), (name, None));
        }
        told.extend(self.sent_of(&event, &receivers).await?);
        told.sort_by(|a, b| a.who.cmp(&b.who));
        Ok(told)
    }

    async fn sent_of(
        &self,
        event: &Event,
        receivers: &BTreeMap<String, (String, Option<Channel>)>,
    ) -> Result<Vec<ToldOf>, StoreError> {
        let messages = self.store.messages_about(event, receivers.keys().cloned().collect()).await?;
        let sent = messages.into_iter().filter_map(|message| {
            let (who, by) = receivers.get(&message.destination)?.clone();
            let told = match message.state {
                OutboxState::Sent => Told::Sent(message.first_tried_at.unwrap_or(message.made_at)),
                OutboxState::Pending => Told::Waits,
                OutboxState::Dead => Told::Failed,
                OutboxState::Dropped => return None,
            };
            Some(ToldOf { who, by, told })
        });
        Ok(sent.collect())
    }
}
