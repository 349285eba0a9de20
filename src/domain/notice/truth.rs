//! Whether a fact still holds when it is about to be told. Between the fact and its telling lie quiet nights, receivers that are down, and the
//! broker's own downtime; nobody is told what is over by then.

use crate::base::clock::Timestamp;
use crate::domain::alert::Level;
use crate::domain::incident::IncidentKind;
use crate::domain::notice::expiry::within;
use crate::domain::notice::{Clock, Event, Fact, Need, Turn};
use crate::domain::token::{Token, TokenState, is_same_end};
use crate::text::{InWords, Sentence};

/// What is known of a fact's matter at the moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'k> {
    /// The token that it concerns, if it is one and is there.
    pub token: Option<&'k Token>,
    /// The level of the alert that it concerns, if it is one and is open.
    pub alert: Option<Level>,
    /// Whether an incident of the token's network and app is open, which is told of in the place of single tokens.
    pub incident: bool,
    /// What the incident that it concerns is taken for, if it is one and is open.
    pub open: Option<IncidentKind>,
    /// Whether the receiver of the destination that it concerns says that it is not there any more.
    pub gone: bool,
    /// Whether what is stored of the app or the destination that it concerns is still what was found damaged.
    pub damaged: bool,
    /// Whether the receiver would have heard of the trouble that is over by it, or that is taken for another now, and did not.
    pub unheard: bool,
}

/// Why a fact is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrue {
    /// The token is not there any more, or was given back.
    #[error("the token is gone")]
    Gone,
    /// It was renewed or connected again.
    #[error("the token works again")]
    Healed,
    /// The token has ended by now.
    #[error("the token does not work any more")]
    Ended,
    /// Something more urgent is told of the same end.
    #[error("something more urgent is told of it")]
    Outrun,
    /// What was wrong is over.
    #[error("it is over")]
    Over,
    /// The trouble was over before the receiver heard of it.
    #[error("the trouble that it ends was not told")]
    Unheard,
    /// An incident is told of in its place.
    #[error("it is part of an incident")]
    Covered,
}

impl InWords for Untrue {
    fn in_words(&self) -> Sentence {
        Sentence::new(match self {
            Self::Gone => "over-gone",
            Self::Healed => "over-healed",
            Self::Ended => "over-ended",
            Self::Outrun => "over-outrun",
            Self::Over => "over-over",
            Self::Unheard => "over-unheard",
            Self::Covered => "over-covered",
        })
    }
}

/// Whether an event may be told at `now`.
pub fn still_holds(event: &Event, known: Known<'_>, now: Timestamp) -> Result<(), Untrue> {
    let holds = |holds: bool, or: Untrue| if holds { Ok(()) } else { Err(or) };
    match &event.fact {
        Fact::LoadTooHigh { turn, .. } => match (turn, known.alert) {
            (Turn::Opened, Some(_)) | (Turn::Raised, Some(Level::Critical)) | (Turn::Lowered, Some(Level::Warning)) => {
                Ok(())
            }
            _ => Err(Untrue::Over),
        },
        Fact::NoAccessTokens { .. } => holds(known.alert.is_some(), Untrue::Over),
        Fact::IncidentOpened { kind, .. } => holds(known.open.ok_or(Untrue::Over)? == *kind, Untrue::Outrun),
        Fact::TokenRenewed { .. }
        | Fact::LoadCleared { .. }
        | Fact::AccessTokensAgain { .. }
        // What is lost asks for something, whoever heard of its beginning.
        | Fact::IncidentClosed { lost: None, .. }
            if known.unheard =>
        {
            Err(Untrue::Unheard)
        }
        Fact::DestinationGone { .. } => holds(known.gone, Untrue::Over),
        Fact::SecretDamaged { .. } => holds(known.damaged, Untrue::Over),
        Fact::SharedSpending { .. }
        | Fact::OperationRefused { .. }
        | Fact::LoadCleared { .. }
        | Fact::AccessTokensAgain { .. }
        | Fact::IncidentClosed { .. } => Ok(()),
        Fact::TokenConnected { .. } | Fact::TokenRenewed { .. } => of_living(known),
        Fact::OutOfBandSpending { .. } => known.token.map(|_| ()).ok_or(Untrue::Gone),
        Fact::TokenExpiring { .. }
        | Fact::TokenExpired { .. }
        | Fact::TokenInvalid { .. }
        | Fact::NeedsReconnecting { .. }
        | Fact::TokenBlocked { .. }
        | Fact::RetentionClock { .. } => of_trouble(event, known, now),
    }
}

fn of_living(known: Known<'_>) -> Result<(), Untrue> {
    match known.token.ok_or(Untrue::Gone)?.state {
        TokenState::Invalid { .. } => Err(Untrue::Ended),
        TokenState::Revoked { .. } => Err(Untrue::Gone),
        TokenState::Live | TokenState::Suspect { .. } | TokenState::Paused { .. } => Ok(()),
    }
}

fn of_trouble(event: &Event, known: Known<'_>, now: Timestamp) -> Result<(), Untrue> {
    let token = known.token.ok_or(Untrue::Gone)?;
    let invalid = match token.state {
        TokenState::Revoked { .. } => return Err(Untrue::Gone),
        TokenState::Invalid { .. } => true,
        TokenState::Live | TokenState::Suspect { .. } | TokenState::Paused { .. } => false,
    };
    if known.incident {
        return Err(Untrue::Covered);
    }
    match &event.fact {
        Fact::TokenExpiring { .. } if invalid => Err(Untrue::Ended),
        Fact::TokenExpiring { clock, ends_at, within_days, .. } => match end_of(token, *clock) {
            Some(end) if is_same_end(end, *ends_at) => match within(end, now) {
                Some(days) if days == *within_days => Ok(()),
                _ => Err(Untrue::Outrun),
            },
            _ => Err(Untrue::Healed),
        },
        Fact::TokenExpired { .. } if invalid => Ok(()),
        Fact::TokenExpired { .. } => {
            let ended = |clock| end_of(token, clock).is_some_and(|end| end <= now);
            let any = ended(Clock::Access) || ended(Clock::Refresh) || ended(Clock::DataAccess);
            if any { Ok(()) } else { Err(Untrue::Healed) }
        }
        Fact::NeedsReconnecting { .. } | Fact::TokenBlocked { .. } if invalid => Err(Untrue::Outrun),
        Fact::NeedsReconnecting { need, .. } => {
            let again = token.clocks.consented_at.is_some_and(|at| at > event.at);
            let open = matches!(need, Some(Need::Permission { operations })
                if !operations.iter().any(|operation| token.closed.contains_key(operation)));
            if again || open { Err(Untrue::Healed) } else { Ok(()) }
        }
        Fact::TokenBlocked { .. } => token.blocked_since.map(|_| ()).ok_or(Untrue::Healed),
        Fact::TokenInvalid { reason, .. } => match token.state {
            // What an incident ended has an event of its own for that.
            TokenState::Invalid { reason: by_now, .. } if by_now.hits_many() && by_now != *reason => {
                Err(Untrue::Outrun)
            }
            TokenState::Invalid { .. } => Ok(()),
            _ => Err(Untrue::Healed),
        },
        // What its clocks ended has lost the permission, too.
        Fact::RetentionClock { .. } if token.serves_until().is_some_and(|end| end <= now) => Ok(()),
        _ if invalid => Ok(()),
        _ => Err(Untrue::Healed),
    }
}

fn end_of(token: &Token, clock: Clock) -> Option<Timestamp> {
    match clock {
        Clock::Access | Clock::Unrenewed => token.clocks.access_expires_at,
        Clock::Refresh => token.clocks.refresh_expires_at,
        Clock::DataAccess => token.clocks.data_access_expires_at,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::ids::{AlertId, EventId, IncidentId, TokenId};
    use crate::domain::networks::Duty;
    use crate::domain::notice::RetentionStage;
    use crate::domain::notice::tests::{NOW, token};
    use crate::domain::token::{Clocks, Reason};

    const DAY: Duration = Duration::from_secs(86_400);

    fn event(fact: Fact) -> Event {
        Event {
            id: EventId::from_u128(1),
            at: NOW,
            team: Some("acme".parse().unwrap()),
            fact,
            dedup_key: "key".to_owned(),
        }
    }

    fn of(fact: Fact, token: Option<&Token>, now: Timestamp) -> Result<(), Untrue> {
        still_holds(&event(fact), Known { token, ..Known::default() }, now)
    }

    #[test]
    fn what_an_incident_ended_is_told_for_that_reason_only() {
        let invalid = |reason| token(TokenState::Invalid { reason, since: NOW });
        let said = |reason| Fact::TokenInvalid { network: "x".parse().unwrap(), token: TokenId::from_u128(7), reason };
        let reset = invalid(Reason::PlatformReset);
        assert_eq!(of(said(Reason::PlatformReset), Some(&reset), NOW), Ok(()));
        assert_eq!(of(said(Reason::NotAccepted), Some(&reset), NOW), Err(Untrue::Outrun));
        let unexplained = invalid(Reason::NotAccepted);
        assert_eq!(of(said(Reason::PasswordChanged), Some(&unexplained), NOW), Ok(()));
    }

    #[test]
    fn an_end_ahead_is_told_while_it_is_the_nearest_threshold() {
        let end = NOW + DAY * 7;
        let live =
            Token { clocks: Clocks { access_expires_at: Some(end), ..Clocks::default() }, ..token(TokenState::Live) };
        let ahead = |within_days| Fact::TokenExpiring {
            network: "x".parse().unwrap(),
            token: TokenId::from_u128(7),
            clock: Clock::Access,
            ends_at: end,
            within_days,
        };
        assert_eq!(of(ahead(7), Some(&live), NOW + DAY * 3), Ok(()));
        assert_eq!(of(ahead(7), Some(&live), NOW + DAY * 5), Err(Untrue::Outrun));
        assert_eq!(of(ahead(3), Some(&live), NOW + DAY * 5), Ok(()));
        assert_eq!(of(ahead(1), Some(&live), end), Err(Untrue::Outrun), "it has expired, which is told");
        let renewed =
            Token { clocks: Clocks { access_expires_at: Some(end + DAY), ..Clocks::default() }, ..live.clone() };
        assert_eq!(of(ahead(7), Some(&renewed), NOW), Err(Untrue::Healed));
        let retold = Duration::from_micros(999_999);
        let told_again =
            Token { clocks: Clocks { access_expires_at: Some(end + retold), ..Clocks::default() }, ..live.clone() };
        assert_eq!(of(ahead(7), Some(&told_again), NOW + DAY), Ok(()), "it is the same end");
        let dead = Token { state: TokenState::Invalid { reason: Reason::PasswordChanged, since: NOW }, ..live.clone() };
        assert_eq!(of(ahead(7), Some(&dead), NOW), Err(Untrue::Ended));
        let revoked = Token { state: TokenState::Revoked { since: NOW }, ..live.clone() };
        assert_eq!(of(ahead(7), Some(&revoked), NOW), Err(Untrue::Gone));
        assert_eq!(of(ahead(7), None, NOW), Err(Untrue::Gone));
        let paused = Token { state: TokenState::Paused { since: NOW }, ..live };
        assert_eq!(of(ahead(7), Some(&paused), NOW), Ok(()), "a person may want it back");
    }

    #[test]
    fn trouble_is_told_while_it_lasts() {
        let (network, id) = ("x".parse().unwrap(), TokenId::from_u128(7));
        let dead = token(TokenState::Invalid { reason: Reason::PasswordChanged, since: NOW });
        let live = token(TokenState::Live);
        let invalid = Fact::TokenInvalid { network, token: id, reason: Reason::PasswordChanged };
        assert_eq!(of(invalid.clone(), Some(&dead), NOW), Ok(()));
        assert_eq!(of(invalid.clone(), Some(&live), NOW), Err(Untrue::Healed));
        let covered = Known { token: Some(&dead), incident: true, ..Known::default() };
        assert_eq!(still_holds(&event(invalid), covered, NOW), Err(Untrue::Covered));
        let expired = Fact::TokenExpired { network: "x".parse().unwrap(), token: id };
        assert_eq!(of(expired.clone(), Some(&dead), NOW), Ok(()));
        assert_eq!(of(expired.clone(), Some(&live), NOW), Err(Untrue::Healed));
        let over = Token { clocks: Clocks { access_expires_at: Some(NOW), ..Clocks::default() }, ..live.clone() };
        assert_eq!(of(expired, Some(&over), NOW), Ok(()));
        let clock = Fact::RetentionClock {
            network: "x".parse().unwrap(),
            token: id,
            stage: RetentionStage::Started,
            deadline: NOW + DAY * 7,
            duty: Duty::Delete,
            rules: Vec::new(),
        };
        assert_eq!(of(clock.clone(), Some(&dead), NOW), Ok(()));
        let ended = Token { clocks: Clocks { access_expires_at: Some(NOW), ..Clocks::default() }, ..live.clone() };
        assert_eq!(of(clock.clone(), Some(&ended), NOW), Ok(()), "it ended by its clock");
        assert_eq!(of(clock, Some(&live), NOW), Err(Untrue::Healed));
        let renewed = Fact::TokenRenewed { network: "x".parse().unwrap(), token: id, troubles: Vec::new() };
        let unheard = Known { token: Some(&live), unheard: true, ..Known::default() };
        assert_eq!(still_holds(&event(renewed.clone()), unheard, NOW), Err(Untrue::Unheard));
        assert_eq!(of(renewed.clone(), Some(&live), NOW), Ok(()));
        assert_eq!(of(renewed, Some(&dead), NOW), Err(Untrue::Ended));
        let again = Fact::NeedsReconnecting { network: "x".parse().unwrap(), token: id, need: None, by: None };
        assert_eq!(of(again.clone(), Some(&live), NOW), Ok(()));
        let connected = Clocks { consented_at: Some(NOW + DAY), ..Clocks::default() };
        assert_eq!(of(again, Some(&Token { clocks: connected, ..live.clone() }), NOW + DAY), Err(Untrue::Healed));
        let operation: crate::base::ids::OperationId = "tweets.get".parse().unwrap();
        let need = Some(Need::Permission { operations: vec![operation.clone()] });
        let lost = Fact::NeedsReconnecting { network: "x".parse().unwrap(), token: id, need, by: None };
        assert_eq!(of(lost.clone(), Some(&live), NOW), Err(Untrue::Healed), "its scopes were stated anew");
        assert_eq!(of(lost, Some(&Token { closed: [(operation, NOW)].into(), ..live.clone() }), NOW), Ok(()));
        let blocked = Fact::TokenBlocked { network: "x".parse().unwrap(), token: id };
        assert_eq!(of(blocked.clone(), Some(&live), NOW), Err(Untrue::Healed));
        assert_eq!(of(blocked.clone(), Some(&dead), NOW), Err(Untrue::Outrun));
        assert_eq!(of(blocked, Some(&Token { blocked_since: Some(NOW), ..live }), NOW), Ok(()));
    }

    #[test]
    fn alerts_and_incidents_are_told_while_they_are_open() {
        let (network, class, alert) = ("x", "search", AlertId::from_u128(1));
        let too_high =
            |turn| Fact::LoadTooHigh { network: network.parse().unwrap(), class: class.parse().unwrap(), alert, turn };
        let known = |alert| Known { alert, ..Known::default() };
        let cases = [
            (Turn::Opened, Some(Level::Warning), true),
            (Turn::Opened, None, false),
            (Turn::Raised, Some(Level::Critical), true),
            (Turn::Raised, Some(Level::Warning), false),
            (Turn::Lowered, Some(Level::Warning), true),
            (Turn::Lowered, None, false),
        ];
        for (turn, level, holds) in cases {
            assert_eq!(still_holds(&event(too_high(turn)), known(level), NOW).is_ok(), holds, "{turn:?} {level:?}");
        }
        let (of, class) = (network.parse().unwrap(), class.parse().unwrap());
        let cleared = event(Fact::LoadCleared { network: of, class, alert });
        assert_eq!(still_holds(&cleared, Known::default(), NOW), Ok(()));
        let unheard = Known { unheard: true, ..Known::default() };
        assert_eq!(still_holds(&cleared, unheard, NOW), Err(Untrue::Unheard));
        let opened = Fact::IncidentOpened {
            network: network.parse().unwrap(),
            app: "default".parse().unwrap(),
            incident: IncidentId::from_u128(1),
            kind: IncidentKind::ProviderOutage,
            was: None,
        };
        let known = |open| still_holds(&event(opened.clone()), Known { open, ..Known::default() }, NOW);
        assert_eq!(known(None), Err(Untrue::Over));
        assert_eq!(known(Some(IncidentKind::ProviderOutage)), Ok(()));
        assert_eq!(known(Some(IncidentKind::NetworkReset)), Err(Untrue::Outrun), "what it is by now is told");
        let gone = event(Fact::DestinationGone {
            destination: crate::base::ids::DestinationId::from_u128(1),
            name: "All".to_owned(),
        });
        assert_eq!(still_holds(&gone, Known { gone: true, ..Known::default() }, NOW), Ok(()));
        assert_eq!(still_holds(&gone, Known::default(), NOW), Err(Untrue::Over), "it was changed or tried");
        let damaged = event(Fact::SecretDamaged { name: "networks/x/apps/default".to_owned() });
        assert_eq!(still_holds(&damaged, Known { damaged: true, ..Known::default() }, NOW), Ok(()));
        assert_eq!(still_holds(&damaged, Known::default(), NOW), Err(Untrue::Over), "it was set anew or deleted");
        let closed = |lost| Fact::IncidentClosed {
            network: network.parse().unwrap(),
            app: "default".parse().unwrap(),
            incident: IncidentId::from_u128(1),
            lost,
            served: true,
        };
        assert_eq!(still_holds(&event(closed(None)), Known::default(), NOW), Ok(()));
        assert_eq!(still_holds(&event(closed(None)), unheard, NOW), Err(Untrue::Unheard));
        let lost = event(closed(Some(Reason::PlatformReset)));
        assert_eq!(still_holds(&lost, unheard, NOW), Ok(()), "it asks for something");
    }
}
