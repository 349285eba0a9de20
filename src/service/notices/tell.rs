//! Telling: who hears of an event, and when.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{TeamId, TokenId};
use crate::domain::member::{Action, Member, Role, Standing, may};
use crate::domain::notice::{
    Budget, Channel, DestinationKind, Event, Fact, Kind, NoticeSettings, SETTLES_WITHIN, Stands, Weight, tell_from,
};
use crate::domain::token::Token;
use crate::service::Broker;
use crate::service::notices::address::{OF_PEOPLE, OF_WEBHOOKS, name_of_destination, name_of_mail, name_of_push};
use crate::service::notices::operators::Place;
use crate::store::{Hearing, StoreError, Telling};
use crate::text::Sentence;

/// Events told in one transaction.
const AT_ONCE: u32 = 500;
/// How far apart the messages are about what one cause did to many tokens.
const TOGETHER_EVERY: Duration = Duration::from_secs(900);
/// Members looked at together.
const MEMBERS: u32 = 500;

/// Tokens that events are about.
pub(super) type Tokens = HashMap<TokenId, Token>;

impl Broker {
    /// Tells all events that nobody was told of yet. Returns what was done, for people.
    pub(in crate::service) async fn tell_events(&self) -> Result<Sentence, StoreError> {
        let mut told = 0;
        loop {
            let events = self.store.untold_events(None, AT_ONCE).await?;
            if events.is_empty() {
                break;
            }
            let ids = events.iter().map(|event| event.id).collect();
            let telling = Telling { now: self.now(), events: ids, hearings: self.hearings(&events).await? };
            match self.store.tell(telling).await {
                Ok(()) => told += events.len(),
                // Another process tells them.
                Err(StoreError::Conflict { .. }) => break,
                Err(error) => return Err(error),
            }
            self.notices.told(&events);
            if events.len() < AT_ONCE as usize {
                break;
            }
        }
        if told > 0 {
            self.notices.wake();
        }
        Ok(Sentence::new("ran-tell").with("count", told))
    }

    /// Who hears of these events.
    async fn hearings(&self, events: &[Event]) -> Result<Vec<Hearing>, StoreError> {
        let mut hearings: Vec<Hearing> = events.iter().flat_map(|event| self.of_operators(event)).collect();
        let mut by_team: BTreeMap<&TeamId, Vec<&Event>> = BTreeMap::new();
        for event in events {
            if let Some(team) = &event.team {
                by_team.entry(team).or_default().push(event);
            }
        }
        for (team, events) in by_team {
            self.of_destinations(team, &events, &mut hearings).await?;
            self.of_members(team, &events, &mut hearings).await?;
        }
        Ok(hearings)
    }

    fn of_operators(&self, event: &Event) -> Vec<Hearing> {
        let hearing = |operator: &super::OperatorDestination| {
            let budget = if matches!(operator.place, Place::Webhook { .. }) { OF_WEBHOOKS } else { OF_PEOPLE };
            hearing(operator.name.clone(), event, told_from(event), budget)
        };
        let hears =
            |operator: &&super::OperatorDestination| operator.hears(event) && !self.notices.is_gone(&operator.name);
        self.notices.operators.iter().filter(hears).map(hearing).collect()
    }

    async fn of_destinations(
        &self,
        team: &TeamId,
        events: &[&Event],
        hearings: &mut Vec<Hearing>,
    ) -> Result<(), StoreError> {
        for stored in self.store.list_destinations(team).await? {
            let destination = stored.destination;
            if destination.gone_since.is_some() {
                continue;
            }
            let is_machine = destination.kind == DestinationKind::Webhook;
            let budget = if is_machine { OF_WEBHOOKS } else { OF_PEOPLE };
            let hears = |kind| destination.events.contains(&kind);
            let heard = events.iter().filter(|event| {
                hears(event.fact.kind()) && (is_machine || !is_told_by_tokens(event, hears(Kind::TokenInvalid)))
            });
            let name = name_of_destination(destination.id);
            hearings.extend(heard.map(|event| hearing(name.clone(), event, told_from(event), budget)));
        }
        Ok(())
    }

    /// A part of the members at a time: a team may have many, and most hear of nothing.
    async fn of_members(
        &self,
        team: &TeamId,
        events: &[&Event],
        hearings: &mut Vec<Hearing>,
    ) -> Result<(), StoreError> {
        let tokens = self.tokens_of(events).await?;
        let mut after = None;
        loop {
            let members = self.store.list_hearers(team, after, MEMBERS).await?;
            let Some((last, _)) = members.last() else { return Ok(()) };
            let mut browsers: BTreeMap<_, Vec<_>> = BTreeMap::new();
            for (member, browser) in self.store.push_of_members(team, after, last.id).await? {
                browsers.entry(member).or_default().push((Channel::WebPush, name_of_push(member, browser)));
            }
            after = Some(last.id);
            for (member, settings) in &members {
                let zone = member.time_zone.zone();
                let heard_at = |name: &str, event: &Event| {
                    let from = told_from(event).max(self.now());
                    let awake = settings.awake(from, &zone);
                    Hearing { in_quiet: awake > from, ..hearing(name.to_owned(), event, awake, OF_PEOPLE) }
                };
                let browsers = browsers.remove(&member.id).unwrap_or_default();
                for (channel, name) in std::iter::once((Channel::Mail, name_of_mail(member.id))).chain(browsers) {
                    let heard = events.iter().filter(|event| self.hears(member, settings, channel, event, &tokens));
                    hearings.extend(heard.map(|event| heard_at(&name, event)));
                }
            }
            if members.len() < MEMBERS as usize {
                return Ok(());
            }
        }
    }

    async fn tokens_of(&self, events: &[&Event]) -> Result<Tokens, StoreError> {
        let mut tokens = Tokens::new();
        for id in events.iter().filter_map(|event| event.fact.token()) {
            if let Some(stored) = self.store.find_token(id).await? {
                tokens.insert(id, stored.token);
            }
        }
        Ok(tokens)
    }

    /// Whether a member hears of an event by a channel. A token is its own if it granted it, or looks after a profile of it. Of destinations only
    /// who may change them hears, as of its own: the others can neither look at them nor mend them.
    pub(super) fn hears(
        &self,
        member: &Member,
        settings: &NoticeSettings,
        channel: Channel,
        event: &Event,
        tokens: &Tokens,
    ) -> bool {
        let of_destinations = event.fact.kind() == Kind::OutOfOrder;
        if of_destinations && !may(member.role, Action::ChangeDestinations, Standing::Other) {
            return false;
        }
        let token = event.fact.token().and_then(|id| tokens.get(&id));
        let granted = token.is_some_and(|token| member.granted(token));
        let own =
            of_destinations || granted || token.is_some_and(|token| self.directory.is_of_profiles(member.id, token));
        let stands = Stands { owner: member.role == Role::Owner, own, granted };
        let profiles = token.map_or(&[][..], |token| &token.profiles);
        let hears = |kind| settings.hears(kind, channel, profiles, stands);
        hears(event.fact.kind()) && !is_told_by_tokens(event, hears(Kind::TokenInvalid))
    }
}

/// Whether people who hear of the team's invalid tokens need not hear of an event: that an incident ended with a loss is in what they hear of
/// the tokens that are lost.
fn is_told_by_tokens(event: &Event, hears_of_tokens: bool) -> bool {
    hears_of_tokens && matches!(event.fact, Fact::IncidentClosed { lost: Some(_), .. })
}

fn hearing(destination: String, event: &Event, from: Timestamp, budget: Budget) -> Hearing {
    let (event, weight) = (event.id, event.fact.weight());
    Hearing { destination, event, from, in_quiet: false, weight, budget }
}

/// From when on a fact is told. What one cause did to many tokens waits for the next quarter of an hour, so that it comes in one message.
fn told_from(event: &Event) -> Timestamp {
    let from = tell_from(event);
    match event.fact.weight() {
        Weight::Shared => {
            let quarter = i64::try_from(TOGETHER_EVERY.as_micros()).unwrap_or(i64::MAX);
            let after = (from + SETTLES_WITHIN).micros();
            Timestamp::from_micros(after + (quarter - after.rem_euclid(quarter)) % quarter)
        }
        Weight::Single | Weight::Urgent => from,
    }
}
