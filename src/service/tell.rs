//! Facts that people may want to hear, as they are written with the change that makes them true.

use crate::base::clock::Timestamp;
use crate::base::ids::{EventId, TeamId};
use crate::domain::notice::{Event, Fact};
use crate::domain::token::{Token, TokenState};

/// An event; `key` names the fact, so that it is told once.
pub(super) fn event(at: Timestamp, team: Option<TeamId>, fact: Fact, key: String) -> Event {
    Event { id: EventId::generate(), at, team, fact, dedup_key: key }
}

/// What is told when a token's state changes: that it does not work any more, or that it works again by new secrets.
pub(super) fn of_state(before: &Token, after: &Token, at: Timestamp) -> Option<Event> {
    let Token { id, team, network, version, .. } = after;
    let (token, network) = (*id, network.clone());
    match (before.state, after.state) {
        (TokenState::Invalid { .. }, TokenState::Invalid { .. }) => None,
        (_, TokenState::Invalid { reason, since }) => {
            let key = format!("{id}/invalid/{}/{}", reason.as_str(), since.micros());
            Some(event(at, Some(team.clone()), Fact::TokenInvalid { network, token, reason }, key))
        }
        (TokenState::Invalid { .. } | TokenState::Suspect { .. }, TokenState::Live) if before.version < *version => {
            let key = format!("{id}/renewed/{version}");
            Some(event(at, Some(team.clone()), Fact::TokenRenewed { network, token }, key))
        }
        _ => None,
    }
}
