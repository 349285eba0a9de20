//! Facts that people may want to hear, as they are written with the change that makes them true.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::clock::Timestamp;
use crate::base::ids::{EventId, TeamId};
use crate::domain::notice::{Event, Fact, of_recovery};
use crate::domain::reach::NeedsReconnecting;
use crate::domain::token::Token;
use crate::service::Broker;
use crate::store::StoreError;

/// An event; `key` names the fact, so that it is told once.
pub(super) fn event(at: Timestamp, team: Option<TeamId>, fact: Fact, key: String) -> Event {
    Event { id: EventId::generate(), at, team, fact, dedup_key: key }
}

/// That a token must be connected again, for that reason; told once.
pub(super) fn of_need(token: &Token, needs: NeedsReconnecting, now: Timestamp) -> Event {
    let key = needs.key(token);
    let NeedsReconnecting { need, by, .. } = needs;
    let fact = Fact::NeedsReconnecting { network: token.network.clone(), token: token.id, need: Some(need), by };
    event(now, Some(token.team.clone()), fact, key)
}

impl Broker {
    /// That a token works again by a change that makes it what it is `after`, if people were told that it does not, or soon will not.
    pub(super) async fn recovery(&self, after: &Token) -> Result<Option<Event>, StoreError> {
        let told = self.store.troubles_told(after.id).await?;
        Ok(of_recovery(&told, after, self.now()))
    }
}

/// Which facts that are told once a day were told today, so that the store is not asked with each report. The events' keys see to the rest.
#[derive(Default)]
pub struct ToldToday(Mutex<(i64, HashSet<String>)>);

/// Events that are remembered; beyond that the store is asked.
const REMEMBERED: usize = 100_000;

impl ToldToday {
    /// Whether an event of that day was not written yet, as far as is remembered. `key`: the event's.
    pub(super) fn is_new(&self, day: i64, key: &str) -> bool {
        let told = self.lock();
        told.0 != day || !told.1.contains(key)
    }

    /// Notes events of that day that were written: what could not be is tried again.
    pub(super) fn note(&self, day: i64, keys: impl IntoIterator<Item = String>) {
        let mut told = self.lock();
        if told.0 != day {
            *told = (day, HashSet::new());
        }
        let room = REMEMBERED.saturating_sub(told.1.len());
        told.1.extend(keys.into_iter().take(room));
    }

    fn lock(&self) -> MutexGuard<'_, (i64, HashSet<String>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_tried_again_and_each_day_anew() {
        let told = ToldToday::default();
        assert!(told.is_new(1, "a") && told.is_new(1, "a"), "it was not written");
        told.note(1, ["a".to_owned()]);
        assert!(!told.is_new(1, "a") && told.is_new(1, "b") && told.is_new(2, "a"));
        told.note(2, ["b".to_owned()]);
        assert!(told.is_new(2, "a") && !told.is_new(2, "b"));
    }
}
