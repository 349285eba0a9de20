//! Tokens are checked by a call of the broker's own: each at least once in a span that it was not used in, one in doubt soon, any by hand.
//!
//! * A check is a lease of the broker's own for one call: it draws from the token's books like any other, never from the owner's reserve, is
//!   audited, and stands in the usage ledger. What the network answers goes the way of every report, so that one rule judges it.
//! * The schedule is stored. A check is taken there before it is made, so that of two processes one makes it.
//! * It waits where there is no credit, where the token rests, and in an incident, whose canaries the pool picks.
//! * Each network has a worker of its own, which makes a few checks at once, as fast as the app may be asked.

mod check;

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use crate::base::clock::Timestamp;
use crate::base::ids::{NetworkId, TeamId, TokenId};
use crate::domain::member::Action;
use crate::domain::networks::{Network, TokenKind};
use crate::domain::pool::Pool;
use crate::domain::probe::{CheckOutcome, LastCheck, after_check, first_check, next_check};
use crate::domain::token::{TokenState, TransitionError};
use crate::service::Broker;
use crate::service::luck::luck;
use crate::service::members::On;
use crate::service::renew::RenewError;
use crate::service::requests::Attempt;
use crate::service::tokens::{TokenError, TokenView};
use crate::store::{StoreError, StoredToken};
use crate::text::Sentence;

/// How long a check that was taken is left to whoever took it: longer than a call may take.
const TAKEN: Duration = Duration::from_secs(60);
/// Tokens that are given their first time at once.
const SCHEDULED_AT_ONCE: u32 = 500;

/// Checks that are under way.
#[derive(Default)]
pub struct Probes {
    working: Mutex<HashSet<NetworkId>>,
}

impl Probes {
    /// Resolves when nobody checks anything.
    #[cfg(test)]
    pub(super) async fn idle(&self) {
        while !self.working().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    fn working(&self) -> MutexGuard<'_, HashSet<NetworkId>> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a token was not checked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProbeError {
    /// Something that is true of every call about a token, or of every request that shows the client.
    #[error(transparent)]
    Renew(#[from] RenewError),
    /// There is no check that the broker could make.
    #[error(
        "tokens of kind '{kind}' of '{network}' can't be checked by the broker: the catalogue has no check for them, or one that needs what only a caller has"
    )]
    NotProbed {
        /// The network.
        network: NetworkId,
        /// The kind.
        kind: String,
    },
    /// The credit is used up, the token rests, or others are first.
    #[error("the token is not checked before {until}: {why}; it is checked by itself then")]
    NotYet {
        /// Until when.
        until: Timestamp,
        /// How long that is.
        wait: Duration,
        /// Why, for people.
        why: String,
    },
}

impl From<StoreError> for ProbeError {
    fn from(error: StoreError) -> Self {
        Self::Renew(error.into())
    }
}

impl From<TokenError> for ProbeError {
    fn from(error: TokenError) -> Self {
        Self::Renew(error.into())
    }
}

/// What is to be done about a token whose check is due.
enum Due {
    /// Check it.
    Check,
    /// It is known to have worked then.
    Worked(Timestamp),
    /// There is nothing to check, at this time.
    Later,
    /// There never is.
    Never,
}

impl Broker {
    /// Lets workers check what is due. Returns what was begun, for people.
    pub(super) async fn probe_due(&self) -> Result<Sentence, StoreError> {
        if !self.config.probes.enabled {
            return Ok(Sentence::new("ran-switched-off"));
        }
        let (now, mut scheduled, mut begun) = (self.now(), 0, 0);
        for network in self.catalogue.iter() {
            scheduled += self.schedule_probes(network).await?;
            let next = self.store.next_probes(&network.id, 1).await?;
            if next.iter().any(|(_, due)| *due <= now) && self.probes.working().insert(network.id.clone()) {
                begun += 1;
                let (broker, network) = (self.clone(), network.clone());
                self.tasks.spawn("probe", async move {
                    if let Err(error) = broker.probe_network(&network).await {
                        tracing::warn!(network = %network.id, %error, "tokens can't be checked now; they are due again soon");
                    }
                    broker.probes.working().remove(&network.id);
                });
            }
        }
        Ok(Sentence::new("ran-probes").with("scheduled", scheduled).with("count", begun))
    }

    /// Gives tokens that are new the time of their first check.
    async fn schedule_probes(&self, network: &Network) -> Result<usize, StoreError> {
        let (now, every) = (self.now(), self.config.probes.every);
        let new = self.store.unscheduled_probes(&network.id, SCHEDULED_AT_ONCE).await?;
        let first: Vec<_> = new.into_iter().map(|token| (token, first_check(now, every, luck()))).collect();
        let count = first.len();
        if count > 0 {
            self.store.schedule_probes(first).await?;
        }
        Ok(count)
    }

    /// Checks tokens of a network, a few at once, as long as there are any that are due and the rate allows it.
    async fn probe_network(&self, network: &Network) -> Result<(), StoreError> {
        let enough = u32::try_from(self.config.probes.in_flight).unwrap_or(u32::MAX);
        while !self.tasks.is_stopping() {
            let now = self.now();
            let next = self.store.next_probes(&network.id, enough).await?;
            let due: Vec<_> = next.into_iter().filter(|(_, due)| *due <= now).collect();
            if due.is_empty() {
                return Ok(());
            }
            let done = join_all(due.into_iter().map(|(token, seen)| self.probe_due_token(network, token, seen))).await;
            let allowed: Vec<bool> = done.into_iter().collect::<Result<_, _>>()?;
            if allowed.contains(&false) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Does what is due of one token, and writes when it is looked at next. Returns whether the rate allowed it.
    async fn probe_due_token(&self, network: &Network, id: TokenId, seen: Timestamp) -> Result<bool, StoreError> {
        let Some(stored) = self.store.find_token(id).await? else { return Ok(true) };
        let (now, every) = (self.now(), self.config.probes.every);
        let to = match self.what_is_due(network, &stored) {
            Due::Check => now + TAKEN,
            Due::Never => Timestamp::NEVER,
            Due::Later => next_check(now, every, luck()),
            Due::Worked(at) => {
                let check = LastCheck { at, outcome: CheckOutcome::Works };
                self.store.put_check(id, check, next_check(at, every, luck()).max(now + TAKEN)).await?;
                return Ok(true);
            }
        };
        if to != now + TAKEN {
            return self.store.move_probe(id, seen, to).await.map(|_| true);
        }
        if !self.renewals.may_ask(&network.id, &stored.token.app) {
            return Ok(false);
        }
        if self.store.move_probe(id, seen, to).await? {
            self.probe_taken(network, &stored, to).await?;
        }
        Ok(true)
    }

    fn what_is_due(&self, network: &Network, stored: &StoredToken) -> Due {
        let token = &stored.token;
        match network.kind(token.kind.as_str()) {
            Some(kind) if kind.is_probed() => {}
            _ => return Due::Never,
        }
        let known = |pool: &Pool| (pool.worked_at(token.id), pool.app_refused_at(token.id));
        let (worked, app_refused) = self.engine.look(&network.id, known).unwrap_or_default();
        match (token.state, worked) {
            (TokenState::Invalid { .. } | TokenState::Revoked { .. }, _) => Due::Later,
            (TokenState::Live | TokenState::Paused { .. }, Some(at))
                if app_refused.is_none() && at + self.config.probes.every * 3 / 4 > self.now() =>
            {
                Due::Worked(at)
            }
            _ if token.clocks.access_expires_at.is_some_and(|end| end <= self.now()) => Due::Later,
            _ => Due::Check,
        }
    }

    /// Makes a check that was taken by moving its time to `taken_to`.
    async fn probe_taken(
        &self,
        network: &Network,
        stored: &StoredToken,
        taken_to: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, every) = (stored.token.id, self.config.probes.every);
        let to = match self.check(network, stored).await {
            Ok(_) => return Ok(()),
            Err(ProbeError::NotYet { until, .. }) => until.max(self.now() + Duration::from_secs(1)),
            Err(ProbeError::Renew(RenewError::Token(TokenError::Store(error)))) => return Err(error),
            Err(error) => {
                tracing::info!(network = %network.id, token = %id, %error, "a token is not checked");
                next_check(self.now(), every, luck())
            }
        };
        self.store.move_probe(id, taken_to, to).await.map(|_| ())
    }

    /// Checks one token now, and tells what came of it.
    pub async fn probe_token(
        &self,
        attempt: impl Into<Attempt<TokenView>>,
        team: &TeamId,
        id: TokenId,
    ) -> Result<TokenView, ProbeError> {
        let attempt = attempt.into();
        let stored = self.stored_token(team, id).await?;
        let permitted = self.must_permit(&attempt.caller, Action::Renew, team, On::Token(&stored.token));
        permitted.map_err(TokenError::from)?;
        match stored.token.state {
            TokenState::Invalid { reason, .. } => return Err(TokenError::from(TransitionError::Invalid(reason)).into()),
            TokenState::Revoked { .. } => return Err(TokenError::from(TransitionError::Revoked).into()),
            TokenState::Live | TokenState::Suspect { .. } | TokenState::Paused { .. } => {}
        }
        let broker = self.clone();
        let work = async move {
            let network = broker.catalogue.network(stored.token.network.as_str());
            let network = network.ok_or_else(|| not_probed(&stored))?;
            network
                .kind(stored.token.kind.as_str())
                .filter(|kind| kind.is_probed())
                .ok_or_else(|| not_probed(&stored))?;
            broker.check(network, &stored).await
        };
        let checked = self.finish(work).await;
        checked.unwrap_or_else(|| Err(StoreError::Closed.into()))?;
        let (found, _) = self.show_token(team, id).await?;
        self.note_unchanged(&attempt, &found).await?;
        Ok(found)
    }

    /// Checks a token, and writes what came of it.
    async fn check(&self, network: &Network, stored: &StoredToken) -> Result<LastCheck, ProbeError> {
        let kind: &TokenKind = network.kind(stored.token.kind.as_str()).ok_or_else(|| not_probed(stored))?;
        let outcome = self.ask_about(network, kind, stored).await?;
        self.metrics.network(&network.id).probe_ended(outcome.as_str());
        let now = self.now();
        let check = LastCheck { at: now, outcome };
        let before = self.store.find_check(stored.token.id).await?;
        let next = after_check(outcome, before, now, self.config.probes.every, luck());
        self.store.put_check(stored.token.id, check, next).await?;
        Ok(check)
    }
}

fn not_probed(stored: &StoredToken) -> ProbeError {
    ProbeError::NotProbed { network: stored.token.network.clone(), kind: stored.token.kind.to_string() }
}

#[cfg(test)]
mod tests;
