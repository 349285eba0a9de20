//! What a message says, decided when it is sent: which of its events still hold, and their words in the form of the channel.

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::base::clock::Timestamp;
use crate::base::ids::{IncidentId, NetworkId, TeamId};
use crate::domain::alert::{Alert, Change, payload};
use crate::domain::incident::IncidentKind;
use crate::domain::notice::{
    Event, Fact, Known, LISTED, Told, Turn, Untrue, Words, digest_body, event_body, html, plain, still_holds, summary,
};
use crate::domain::token::{Reason, Token};
use crate::outbound::mail::Mail;
use crate::outbound::push::{PushMessage, Urgency, topic_of};
use crate::service::Broker;
use crate::service::alerts::{self, alert_of};
use crate::service::incidents::{key_of_opening, key_of_turning};
use crate::service::own_secrets::find_damaged;
use crate::store::{OutboxRow, StoreError};
use crate::text::Text;

/// An event that still holds, with what is known of its matter.
pub(super) struct Holding {
    pub(super) event: Event,
    pub(super) token: Option<Token>,
    alert: Option<Alert>,
    /// What the incident that it concerns is taken for, if it is one and is open.
    open: Option<IncidentKind>,
    /// Whether the receiver of the destination that it concerns says that it is not there any more.
    gone: bool,
    /// Whether what is stored of the app or the destination that it concerns is still what was found damaged.
    damaged: bool,
    /// Whether an incident is told of in its place.
    covered: bool,
    /// Whether the receiver would have heard of the trouble that is over by it, or that is taken for another now, and did not.
    unheard: bool,
}

/// What is sent.
pub(super) struct Outgoing {
    /// The message's id.
    pub(super) id: String,
    /// When it was made.
    pub(super) at: Timestamp,
    /// What it says, notice by notice.
    pub(super) words: Vec<Words>,
    /// How many notices there are beside them.
    pub(super) more: u32,
    /// All of it for machines.
    pub(super) body: Value,
    /// What it is about: a later message about the same takes its place on a device that has not had it yet.
    pub(super) about: String,
    /// Whether it is about many tokens at once.
    pub(super) urgent: bool,
}

impl Outgoing {
    /// As a push message with that payload. What asks for nothing is of no use a day later; what asks is looked at once more anyway.
    pub(super) fn push<'p>(&self, payload: &'p [u8]) -> PushMessage<'p> {
        let asks = self.words.iter().any(|words| words.asks);
        PushMessage {
            payload,
            ttl_seconds: if asks { 3 * 86_400 } else { 86_400 },
            urgency: match (self.urgent, asks) {
                (true, _) => Urgency::High,
                (false, true) => Urgency::Normal,
                (false, false) => Urgency::Low,
            },
            topic: topic_of(&self.about),
        }
    }

    /// As a mail.
    pub(super) fn mail(&self, to: &str, settings: Option<&str>) -> Mail {
        let text = Text::english();
        let subject = summary(text, &self.words, self.more);
        Mail {
            id: self.id.clone(),
            to: to.to_owned(),
            at: self.at,
            text: plain(text, &self.words, self.more, settings),
            html: html(text, &subject, &self.words, self.more, settings),
            subject,
            settings: settings.map(str::to_owned),
        }
    }
}

/// What is left of a message.
pub(super) enum Held {
    /// These events still hold, the oldest first.
    Some(Vec<Holding>),
    /// None does, for these reasons.
    None(String),
}

impl Broker {
    /// The events of a message that still hold.
    pub(super) async fn holding(&self, message: &OutboxRow) -> Result<Held, StoreError> {
        let (mut holding, mut why) = (Vec::new(), Vec::new());
        for event in self.store.find_events(&message.events).await? {
            let mut held = self.known(event).await?;
            held.unheard = self.is_unheard(&message.destination, &held.event).await?;
            if held.unheard {
                held.event.fact = held.event.fact.as_first_heard();
            }
            match self.holds(&held) {
                Ok(()) => holding.push(held),
                Err(untrue) => why.push(untrue.to_string()),
            }
        }
        if !holding.is_empty() {
            return Ok(Held::Some(holding));
        }
        why.sort_unstable();
        why.dedup();
        Ok(Held::None(if why.is_empty() { "its events are forgotten".to_owned() } else { why.join(", ") }))
    }

    /// Whether what is known of an event's matter lets it be told.
    pub(super) fn holds(&self, held: &Holding) -> Result<(), Untrue> {
        let known = Known {
            token: held.token.as_ref(),
            alert: held.alert.as_ref().filter(|alert| alert.cleared_at.is_none()).map(|alert| alert.level),
            incident: held.covered,
            open: held.open,
            gone: held.gone,
            damaged: held.damaged,
            unheard: held.unheard,
        };
        still_holds(&held.event, known, self.now())
    }

    pub(super) async fn known(&self, event: Event) -> Result<Holding, StoreError> {
        let token = match event.fact.token() {
            Some(id) => self.store.find_token(id).await?.map(|stored| stored.token),
            None => None,
        };
        let alert = match event.fact.alert() {
            Some(id) => self.store.find_alert(id).await?.and_then(alert_of).map(|alert| self.as_seen_now(alert)),
            None => None,
        };
        let open = match &event.fact {
            Fact::IncidentOpened { incident, .. } => {
                let open = self.store.find_incident(*incident).await?.filter(|incident| incident.closed.is_none());
                open.map(|incident| incident.progress.kind)
            }
            _ => None,
        };
        let gone = match &event.fact {
            Fact::DestinationGone { destination, .. } => {
                let found = self.store.find_destination(*destination).await?;
                found.is_some_and(|stored| stored.destination.gone_since.is_some())
            }
            _ => false,
        };
        let damaged = match &event.fact {
            Fact::SecretDamaged { name } => {
                let found = find_damaged(&*self.store, &self.vault, name).await?;
                found.is_some_and(|found| found.key() == event.dedup_key)
            }
            _ => false,
        };
        let covered = match &token {
            Some(token) => self.is_covered(token.id).await?,
            None => false,
        };
        Ok(Holding { event, token, alert, open, gone, damaged, covered, unheard: false })
    }

    /// Whether a destination would have heard of the trouble that is over by an event, or is taken for another now, and was not told of any of it
    /// in time.
    async fn is_unheard(&self, destination: &str, event: &Event) -> Result<bool, StoreError> {
        let troubles = match &event.fact {
            Fact::TokenRenewed { troubles, .. } => self.store.find_events(troubles).await?,
            Fact::LoadCleared { alert, .. } | Fact::AccessTokensAgain { alert, .. } => {
                // Of an alert that an incident explained nobody was told.
                let Some(opened) = self.store.find_event(&alerts::key_of_opening(*alert)).await? else {
                    return Ok(true);
                };
                vec![opened]
            }
            Fact::IncidentOpened { incident, was: Some(_), .. } | Fact::IncidentClosed { incident, .. } => {
                self.openings(*incident, event.team.as_ref()).await?
            }
            _ => return Ok(false),
        };
        let mut unheard = false;
        for trouble in troubles {
            match self.store.was_told(destination, &trouble, event.at).await? {
                Some(true) => return Ok(false),
                told => unheard |= told.is_some(),
            }
        }
        Ok(unheard)
    }

    /// What a team, or the operators, were told of an incident while it was open: that it began, and what it was found to be later.
    async fn openings(&self, incident: IncidentId, team: Option<&TeamId>) -> Result<Vec<Event>, StoreError> {
        let later = IncidentKind::ALL.map(|kind| key_of_turning(incident, kind, team));
        let mut openings = Vec::new();
        for key in std::iter::once(key_of_opening(incident, team)).chain(later) {
            openings.extend(self.store.find_event(&key).await?);
        }
        Ok(openings)
    }

    pub(super) fn words(&self, held: &Holding, zone: &TimeZone) -> Words {
        let id = held.event.fact.token().map(|id| id.to_string()).unwrap_or_default();
        let named = held.token.as_ref().map(|token| match token.label.as_str() {
            "" => token.profiles.first().map_or(id.as_str(), String::as_str),
            label => label,
        });
        Words::of(&Told {
            event: &held.event,
            network: held.event.fact.network().map_or("", |network| self.catalogue.name_for_people(network.as_str())),
            token: named.unwrap_or(&id),
            alert: held.alert.as_ref(),
            pages: self.pages().as_deref(),
            text: Text::english(),
            zone,
        })
    }

    /// What is sent of a message to whom reads times in `zone`.
    pub(super) fn outgoing(&self, message: &OutboxRow, holding: &[Holding], zone: &TimeZone) -> Outgoing {
        let beyond = |shown: usize, all: usize| message.more + u32::try_from(all - shown).unwrap_or(u32::MAX);
        let mut bodies: Vec<Value> = holding.iter().take(LISTED).map(|held| self.event_body(held)).collect();
        let body = match (bodies.len(), message.more) {
            (1, 0) => bodies.remove(0),
            _ => {
                let more = beyond(bodies.len(), holding.len());
                digest_body(bodies, more, message.made_at)
            }
        };
        let mut words = self.words_of(holding, zone);
        let all = words.len();
        words.truncate(LISTED);
        Outgoing {
            id: message.id.to_string(),
            at: message.made_at,
            more: beyond(words.len(), all),
            words,
            body,
            about: match holding {
                [held] if message.more == 0 => about(held),
                _ => "several".to_owned(),
            },
            urgent: holding.iter().any(|held| held.event.fact.kind().is_urgent()),
        }
    }

    /// The words of each notice. What one cause did to several tokens is one, in the place of the first.
    fn words_of(&self, holding: &[Holding], zone: &TimeZone) -> Vec<Words> {
        let cause = |held: &Holding| held.event.fact.network().cloned().zip(held.event.fact.lost_with_many());
        let mut counts: Vec<((NetworkId, Reason), usize)> = Vec::new();
        for cause in holding.iter().filter_map(cause) {
            match counts.iter_mut().find(|(other, _)| *other == cause) {
                Some((_, count)) => *count += 1,
                None => counts.push((cause, 1)),
            }
        }
        let mut words = Vec::new();
        for held in holding {
            let Some(cause) = cause(held) else {
                words.push(self.words(held, zone));
                continue;
            };
            let Some(at) = counts.iter().position(|(other, _)| *other == cause) else { continue };
            let ((network, reason), count) = counts.swap_remove(at);
            words.push(match count {
                1 => self.words(held, zone),
                _ => {
                    let name = self.catalogue.name_for_people(network.as_str());
                    Words::of_loss(Text::english(), count, &network, name, reason, self.pages().as_deref())
                }
            });
        }
        words
    }

    fn event_body(&self, held: &Holding) -> Value {
        match held.alert.as_ref().zip(change_of(held)) {
            Some((alert, change)) => {
                let body = payload(alert, change, held.event.at);
                serde_json::from_str(&body).expect("a payload is JSON")
            }
            None => event_body(&held.event, &self.words(held, &TimeZone::UTC)),
        }
    }
}

/// What one event is about: its token, its alert, or else what is one at a network, or at the broker.
fn about(held: &Holding) -> String {
    let fact = &held.event.fact;
    let alert = || fact.alert().map(|alert| alert.to_string());
    let network = || fact.network().map(|network| network.to_string());
    let token = fact.token().map(|token| token.to_string());
    token.or_else(alert).or_else(network).unwrap_or_else(|| fact.kind().as_str().to_owned())
}

/// What became of an alert, as its payload names it.
fn change_of(held: &Holding) -> Option<Change> {
    let level = held.alert.as_ref()?.level;
    match &held.event.fact {
        Fact::LoadTooHigh { turn: Turn::Opened, .. } | Fact::NoAccessTokens { .. } => Some(Change::Opened(level)),
        Fact::LoadTooHigh { turn: Turn::Raised, .. } => Some(Change::Raised),
        Fact::LoadTooHigh { turn: Turn::Lowered, .. } => Some(Change::Lowered),
        Fact::LoadCleared { .. } | Fact::AccessTokensAgain { .. } => Some(Change::Cleared),
        _ => None,
    }
}
