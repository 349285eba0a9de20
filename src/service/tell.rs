//! Facts that people may want to hear, as they are written with the change that makes them true.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::base::clock::Timestamp;
use crate::base::ids::{ClassId, EventId, TeamId, TokenId};
use crate::domain::notice::{Event, Fact, of_change};
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
        (TokenState::Invalid { .. } | TokenState::Suspect { .. }, TokenState::Live) if before.version < *version => {
            let key = format!("{id}/renewed/{version}");
            Some(event(at, Some(team.clone()), Fact::TokenRenewed { network, token }, key))
        }
        _ => of_change(before.state, after, at),
    }
}

/// Which out-of-band spending was told today, so that the store is not asked with each report. The events' keys see to the rest.
#[derive(Default)]
pub struct OutOfBand(Mutex<(i64, HashSet<(TokenId, ClassId)>)>);

/// Tokens and classes that are remembered; beyond that the store is asked.
const REMEMBERED: usize = 100_000;

impl OutOfBand {
    /// Whether nothing was told yet of a class of a token on a day, which is noted.
    pub(super) fn is_new(&self, day: i64, token: TokenId, class: &ClassId) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.0 != day {
            *told = (day, HashSet::new());
        }
        told.1.len() >= REMEMBERED || told.1.insert((token, class.clone()))
    }
}
