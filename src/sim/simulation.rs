//! The simulated networks together: tokens, faults and books behind one call, with or without HTTP.
//!
//! One lock per network. Chance comes from a seed, per network, so that calls to one network do not change the luck of another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fault::{Fault, FaultError, NetworkFault, Spoilt};
use super::grant::{Refused, made_up};
use super::http_answer::HttpAnswer;
use super::meter::UnknownZone;
use super::oauth::PUSHED_LIFE;
use super::possession::{Pushed, Request, Unproved};
use super::report::{Report, WindowReport};
use super::state::{State, check_class, nobody};
use super::token::{Denial, Registered, TokenSpec};
use super::verdict::{LimitKey, Usage, Verdict};
use crate::base::clock::{Clock, Timestamp};
use crate::base::ids::{NetworkId, OperationId};
use crate::domain::networks::Network;

/// Any number of networks that behave as the catalogue says.
pub struct Simulation {
    clock: Arc<dyn Clock>,
    networks: BTreeMap<NetworkId, (Arc<Network>, Mutex<State>)>,
}

/// One call, without HTTP.
#[derive(Debug, Clone, Copy)]
pub struct CallRequest<'a> {
    /// The network.
    pub network: &'a NetworkId,
    /// The token that is sent.
    pub secret: &'a str,
    /// The operation; `None`: a path that leads to none.
    pub operation: Option<&'a OperationId>,
    /// The profile that is called; `None`: the first one that the token speaks for.
    pub profile: Option<&'a str>,
    /// The key (hashtag), for limits that count different keys.
    pub key: &'a str,
    /// The calling address.
    pub address: &'a str,
}

/// What the network decides about one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// When it was decided, in the simulation's time.
    pub at: Timestamp,
    /// The decision.
    pub ruling: Ruling,
    /// The limits that the call touched, after the call; empty if it got no further than its token.
    pub usage: Vec<Usage>,
    /// How the answer is spoilt on its way, if it is. The ruling stands, if there was one.
    pub spoilt: Option<Spoilt>,
    /// How late the answer comes, in milliseconds of the machine's clock.
    pub delay_millis: u64,
}

/// The decision about one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// It passed the limits or was refused by one.
    Judged(Verdict),
    /// It was refused for another reason.
    Denied(Denial),
    /// It was never looked at: the server failed first.
    NotCounted,
}

impl Answer {
    /// Whether the call was let through and charged.
    pub fn is_admitted(&self) -> bool {
        self.ruling == Ruling::Judged(Verdict::Admitted)
    }

    /// When a call that is over a limit may be repeated; `None` if it is not over a limit.
    pub fn refused_until(&self) -> Option<Timestamp> {
        match self.ruling {
            Ruling::Judged(Verdict::Refused { resets_at, .. }) => Some(resets_at),
            _ => None,
        }
    }
}

impl Simulation {
    /// Simulates these networks, without tokens and without faults.
    ///
    /// # Errors
    /// When a daily window names a zone that does not exist.
    pub fn new(
        networks: impl IntoIterator<Item = Arc<Network>>,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Result<Self, UnknownZone> {
        let mut simulated = BTreeMap::new();
        for network in networks {
            let seed = seed ^ u64::from(crc32fast::hash(network.id.as_str().as_bytes()));
            let state = State::new(&network, seed)?;
            simulated.insert(network.id.clone(), (network, Mutex::new(state)));
        }
        Ok(Self { clock, networks: simulated })
    }

    /// The simulated networks, in the order of their ids.
    pub fn networks(&self) -> impl Iterator<Item = &Arc<Network>> {
        self.networks.values().map(|(network, _)| network)
    }

    /// The simulated network of that id.
    pub fn network(&self, id: &NetworkId) -> Option<&Arc<Network>> {
        self.networks.get(id).map(|(network, _)| network)
    }

    /// The simulation's present.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The tokens that a network knows, in the order of person and kind; none for a network that is not simulated.
    pub fn tokens(&self, network: &NetworkId) -> Vec<TokenSpec> {
        let Ok((_, state)) = self.state(network) else { return Vec::new() };
        let mut tokens: Vec<TokenSpec> = state.tokens.values().map(|token| token.spec.clone()).collect();
        tokens.sort_by(|one, other| (&one.person, &one.kind).cmp(&(&other.person, &other.kind)));
        tokens
    }

    /// Whether calls with this secret are not refused for it.
    pub fn is_alive(&self, network: &NetworkId, secret: &str) -> bool {
        self.alive(network, secret).is_some()
    }

    /// Whether the grant of this secret is intact: it was not ended, though its access token's time may be over.
    pub fn is_intact(&self, network: &NetworkId, secret: &str) -> bool {
        let ended = |state: &mut State| {
            state.tokens.get(secret).is_none_or(|token| token.dead.is_some_and(|denial| denial != Denial::TokenExpired))
        };
        self.with_state(network, ended) == Some(false)
    }

    /// Registers a token, alive. One of the same secret is replaced.
    ///
    /// # Errors
    /// When the network is not simulated.
    pub fn add_token(&self, network: &NetworkId, spec: TokenSpec) -> Result<(), FaultError> {
        self.add_granted_token(network, spec, self.now())
    }

    /// As [`Simulation::add_token`], of a grant that was given at `granted_at`.
    ///
    /// # Errors
    /// When the network is not simulated.
    pub fn add_granted_token(
        &self,
        network: &NetworkId,
        spec: TokenSpec,
        granted_at: Timestamp,
    ) -> Result<(), FaultError> {
        let now = self.now();
        let (_, mut state) = self.state(network)?;
        let registered = Registered { granted_at, ..Registered::new(spec, now) };
        registered.each_caller(|caller| {
            for (fact, value) in &registered.spec.facts {
                state.books.set_fact(caller, fact, *value);
            }
            state.books.open_accounts(now, caller);
        });
        state.tokens.insert(registered.spec.secret.clone(), registered);
        Ok(())
    }

    /// Renews a token: `new` draws from the same accounts from now on, and `old` is unknown.
    ///
    /// # Errors
    /// When the network is not simulated, or does not know `old`.
    pub fn renew_token(
        &self,
        network: &NetworkId,
        old: &str,
        new: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<(), FaultError> {
        let now = self.now();
        let (_, mut state) = self.state(network)?;
        let mut token = state.tokens.remove(old).ok_or_else(|| FaultError::Nobody(old.to_owned()))?;
        token.spec.secret = new.to_owned();
        token.spec.expires_at = expires_at;
        token.dead = None;
        token.renewed_at = now;
        state.tokens.insert(new.to_owned(), token);
        Ok(())
    }

    /// Tells a fact that formulas are computed from, for all accounts of one token, from now on.
    ///
    /// # Errors
    /// When the network is not simulated, or does not know the token.
    pub fn set_fact(&self, network: &NetworkId, secret: &str, fact: &str, value: u64) -> Result<(), FaultError> {
        let mut state = self.state(network)?.1;
        let State { tokens, books, .. } = &mut *state;
        let token = tokens.get(secret).ok_or_else(|| nobody(secret))?;
        token.each_caller(|caller| books.set_fact(caller, fact, value));
        Ok(())
    }

    /// Sets what a limit really is: for one account (as [`Usage::account`] names it) or for all.
    ///
    /// # Errors
    /// When the network is not simulated.
    pub fn set_limit(
        &self,
        network: &NetworkId,
        limit: LimitKey,
        account: Option<&str>,
        allowed: u64,
    ) -> Result<(), FaultError> {
        self.state(network)?.1.books.set_limit(limit, account, allowed);
        Ok(())
    }

    /// Lets a fault happen, or begin.
    ///
    /// # Errors
    /// When the network, or what the fault is about, is not known here.
    pub fn inject(&self, order: &NetworkFault) -> Result<(), FaultError> {
        let now = self.now();
        let (network, mut state) = self.state(&order.network)?;
        match &order.fault {
            Fault::ResetTokens => state.kill(Denial::TokensReset, |_| true).or(Ok(())),
            Fault::ChangePassword { person } => {
                state.kill(Denial::PasswordChanged, |token| token.person == *person).map_err(|()| nobody(person))
            }
            Fault::RevokeToken { secret } => {
                state.kill(Denial::TokenRevoked, |token| token.secret == *secret).map_err(|()| nobody(secret))
            }
            Fault::ExpireToken { secret } => {
                state.kill(Denial::TokenExpired, |token| token.secret == *secret).map_err(|()| nobody(secret))
            }
            Fault::LoseScope { person, scope } => state.lose_scope(person, scope),
            Fault::LockPerson { person } => {
                state.locked.insert(person.clone());
                Ok(())
            }
            Fault::UnlockPerson { person } => {
                state.locked.remove(person);
                Ok(())
            }
            Fault::SpendElsewhere { class, owner, of, units } => {
                check_class(network, class)?;
                state.spend_elsewhere(now, class, *owner, of, *units)
            }
            Fault::ResetEarly { class } => {
                check_class(network, class)?;
                state.books.reset_early(now, class);
                Ok(())
            }
            spoiling => state.spoiling.set(spoiling),
        }
    }

    /// Makes one call at the present moment.
    ///
    /// # Errors
    /// When the network is not simulated. Everything else is an [`Answer`].
    pub fn call(&self, request: &CallRequest<'_>) -> Result<Answer, FaultError> {
        let at = self.now();
        let (network, mut state) = self.state(request.network)?;
        let chance = state.draw_chance();
        let (ruling, usage) = if chance.spoilt.is_some() && !chance.counted {
            (Ruling::NotCounted, Vec::new())
        } else {
            state.rule(network, at, request)
        };
        state.count(&ruling, chance.spoilt);
        Ok(Answer { at, ruling, usage, spoilt: chance.spoilt, delay_millis: chance.delay_millis })
    }

    /// What happened until now.
    pub fn report(&self) -> Report {
        let at = self.now();
        let networks = self.networks.values().map(|(network, state)| lock(state).report(network, at)).collect();
        Report { at, networks }
    }

    /// The windows of every account of a network, for those who judge how well its credit was used.
    ///
    /// # Errors
    /// When the network is not simulated.
    pub fn windows(&self, network: &NetworkId) -> Result<Vec<WindowReport>, FaultError> {
        let now = self.now();
        Ok(self.state(network)?.1.books.windows(now))
    }

    /// Works on what a network knows; `None` if it is not simulated.
    pub(super) fn with_state<T>(&self, network: &NetworkId, work: impl FnOnce(&mut State) -> T) -> Option<T> {
        Some(work(&mut self.state(network).ok()?.1))
    }

    /// Answers a request to an OAuth endpoint, with the luck that a call would have: `None` if the reply is lost, and how late the
    /// answer comes, in milliseconds.
    pub(super) fn at_endpoint(
        &self,
        network: &Network,
        work: impl FnOnce() -> HttpAnswer,
    ) -> (Option<HttpAnswer>, u64) {
        let chance = self.with_state(&network.id, |state| {
            let chance = state.draw_chance();
            state.count(&Ruling::NotCounted, chance.spoilt);
            chance
        });
        let chance = chance.unwrap_or_default();
        let done = (chance.spoilt.is_none() || chance.counted).then(work);
        let answer = match chance.spoilt {
            Some(spoilt) => HttpAnswer::spoilt(network, spoilt),
            None => done,
        };
        (answer, chance.delay_millis)
    }

    /// Tells a network of a client that shows who it is by a key: the document that is at its client id.
    ///
    /// # Errors
    /// When the network is not simulated, or would not take the document: what is wrong with it.
    pub fn know_client(&self, network: &NetworkId, document: &serde_json::Value) -> Result<(), FaultError> {
        let known = self.state(network)?.1.possession.know_client(document);
        known.map_err(|why| FaultError::Client(why.to_owned()))
    }

    pub(super) fn check_proof(&self, network: &Network, request: &Request<'_>) -> Result<String, Unproved> {
        let now = self.now();
        let checked = self.with_state(&network.id, |state| state.possession.check_proof(request, now));
        checked.unwrap_or(Err(Unproved::Wrong("there is no such network")))
    }

    pub(super) fn check_assertion(
        &self,
        network: &Network,
        assertion: &str,
        client_id: &str,
        issuer: &str,
    ) -> Result<(), Unproved> {
        let now = self.now();
        let check = |state: &mut State| state.possession.check_assertion(assertion, client_id, issuer, now);
        self.with_state(&network.id, check).unwrap_or(Err(Unproved::Wrong("there is no such network")))
    }

    /// The answer with the nonce that is handed out now.
    pub(super) fn with_nonce(&self, network: &Network, mut answer: HttpAnswer) -> HttpAnswer {
        let now = self.now();
        let nonce = self.with_state(&network.id, |state| state.possession.nonce(now));
        answer.headers.extend(nonce.map(|nonce| ("dpop-nonce".to_owned(), nonce)));
        answer
    }

    /// Remembers what an app will ask; its name.
    pub(super) fn push(
        &self,
        network: &Network,
        app: &str,
        parameters: Vec<(String, String)>,
        key: Option<String>,
    ) -> Result<String, Refused> {
        let until = self.now() + PUSHED_LIFE;
        let given = |name: &str| parameters.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        let (back, scope) = (given("redirect_uri").to_owned(), given("scope").to_owned());
        let pushed = self.with_state(&network.id, |state| {
            // Apps that show themselves by a secret are not known by a document.
            if let Some(client) = state.possession.client(app) {
                if !client.redirect_uris.contains(&back) {
                    return Err(Refused::Request("redirect_uri is not one of the client's"));
                }
                if !scope.split_whitespace().all(|scope| client.scopes.iter().any(|own| own == scope)) {
                    return Err(Refused::Request("the client's document does not name that scope"));
                }
            }
            let name = format!("urn:ietf:params:oauth:request_uri:{}", made_up("pushed", &mut state.random));
            state.possession.pushed.retain(|_, pushed| pushed.until > until - PUSHED_LIFE);
            state.possession.pushed.insert(name.clone(), Pushed { parameters, key, until });
            Ok(name)
        });
        pushed.unwrap_or(Err(Refused::Request("there is no such network")))
    }

    /// What was pushed under the name that a browser brings, with what the person decides there; `None`: nothing, or nothing any more, or for
    /// another app.
    pub(super) fn pushed(&self, network: &Network, brought: &[(String, String)]) -> Option<Pushed> {
        let now = self.now();
        let given = |name: &str| brought.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let (name, app) = (given("request_uri")?, given("client_id")?);
        let mut pushed = self.with_state(&network.id, |state| state.possession.pushed.get(name).cloned())??;
        let is_its_own = pushed.parameters.iter().any(|(name, value)| name == "client_id" && value == app);
        if pushed.until <= now || !is_its_own {
            return None;
        }
        let decided = ["person", "login_hint", "decision", "decline", "request_uri"];
        pushed.parameters.extend(brought.iter().filter(|(name, _)| decided.contains(&name.as_str())).cloned());
        Some(pushed)
    }

    /// Forgets what was pushed: it is taken once.
    pub(super) fn take_pushed(&self, network: &Network, name: Option<&str>) {
        if let Some(name) = name {
            self.with_state(&network.id, |state| state.possession.pushed.remove(name));
        }
    }

    /// The thumbprint of the key that a token is bound to.
    pub(super) fn key_of(&self, network: &NetworkId, secret: &str) -> Option<String> {
        self.with_state(network, |state| state.tokens.get(secret)?.spec.key.clone())?
    }

    /// The kind of a registered token, to tell operations of one path apart.
    pub(super) fn kind_of(&self, network: &NetworkId, secret: &str) -> Option<crate::base::ids::KindId> {
        self.state(network).ok()?.1.tokens.get(secret).map(|token| token.spec.kind.clone())
    }

    /// The profile of a token that one of the path's segments names.
    pub(super) fn profile_in(&self, network: &NetworkId, secret: &str, segments: &[&str]) -> Option<String> {
        let state = self.state(network).ok()?.1;
        let profiles = &state.tokens.get(secret)?.spec.profiles;
        profiles.iter().find(|profile| segments.contains(&profile.as_str())).cloned()
    }

    fn state(&self, id: &NetworkId) -> Result<(&Network, MutexGuard<'_, State>), FaultError> {
        let (network, state) = self.networks.get(id).ok_or_else(|| FaultError::NoSuchNetwork(id.clone()))?;
        Ok((network.as_ref(), lock(state)))
    }
}

/// A panic while the lock was held is a failed test of its own; the books are whole between statements.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
