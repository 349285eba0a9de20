//! The simulated networks together: tokens, faults and books behind one call, with or without HTTP.
//!
//! One lock per network. Chance comes from a seed, per network, so that calls to one network do not change the luck of another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::book::{Books, Caller, LimitKey, Outcome, Usage, Verdict};
use super::fault::{Chance, Fault, FaultError, NetworkFault, Spoiling, Spoilt};
use super::meter::UnknownZone;
use super::refusal::Family;
use super::report::{NetworkReport, Report};
use super::token::{Denial, Registered, TokenSpec};
use crate::base::clock::{Clock, Timestamp};
use crate::base::ids::{ClassId, NetworkId, OperationId};
use crate::domain::networks::{Cost, Network, Operation, Owner, Unit};

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

struct State {
    books: Books,
    tokens: BTreeMap<String, Registered>,
    locked: BTreeSet<String>,
    spoiling: Spoiling,
    random: StdRng,
    tally: Tally,
}

#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    admitted: u64,
    throttled: u64,
    token_refused: u64,
    unknown_operations: u64,
    spoilt: u64,
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
            let counts = Family::of(&network) == Family::Graph;
            let state = State {
                books: Books::new(network.clone())?.count_throttled(counts),
                tokens: BTreeMap::new(),
                locked: BTreeSet::new(),
                spoiling: Spoiling::default(),
                random: StdRng::seed_from_u64(seed ^ u64::from(crc32fast::hash(network.id.as_str().as_bytes()))),
                tally: Tally::default(),
            };
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

    /// Registers a token, alive. One of the same secret is replaced.
    ///
    /// # Errors
    /// When the network is not simulated.
    pub fn add_token(&self, network: &NetworkId, spec: TokenSpec) -> Result<(), FaultError> {
        let now = self.now();
        let (_, mut state) = self.state(network)?;
        let registered = Registered { account: spec.secret.clone(), spec, dead: None };
        let profiles: Vec<Option<String>> = match registered.spec.profiles.as_slice() {
            [] => vec![None],
            some => some.iter().cloned().map(Some).collect(),
        };
        for profile in &profiles {
            let caller = registered.caller(profile.as_deref(), "", "");
            for (fact, value) in &registered.spec.facts {
                state.books.set_fact(&caller, fact, *value);
            }
            state.books.open_accounts(now, &caller);
        }
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
        let (_, mut state) = self.state(network)?;
        let mut token = state.tokens.remove(old).ok_or_else(|| FaultError::Nobody(old.to_owned()))?;
        token.spec.secret = new.to_owned();
        token.spec.expires_at = expires_at;
        token.dead = None;
        state.tokens.insert(new.to_owned(), token);
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

fn nobody(id: &str) -> FaultError {
    FaultError::Nobody(id.to_owned())
}

fn check_class(network: &Network, class: &ClassId) -> Result<(), FaultError> {
    let known = network.classes.iter().any(|known| known.id == *class);
    if known { Ok(()) } else { Err(FaultError::NoSuchClass(class.clone())) }
}

impl State {
    fn draw_chance(&mut self) -> Chance {
        self.spoiling.draw(&mut self.random)
    }

    /// Decides about a call, in the order in which networks look: the token, the path, the kind and the scopes, the limits.
    fn rule(&mut self, network: &Network, now: Timestamp, request: &CallRequest<'_>) -> (Ruling, Vec<Usage>) {
        let denied = |denial| (Ruling::Denied(denial), Vec::new());
        let Some(token) = self.tokens.get(request.secret) else { return denied(Denial::TokenUnknown) };
        if let Some(denial) = token.refused(now) {
            return denied(denial);
        }
        if self.locked.contains(&token.spec.person) {
            return denied(Denial::PersonLocked);
        }
        let caller = token.caller(request.profile, request.key, request.address);
        let Some(operation) = request.operation.and_then(|id| find_operation(network, id)) else {
            let outcome = charge_invalid(network, &mut self.books, now, &caller);
            return outcome.unwrap_or_else(|| denied(Denial::NoSuchOperation));
        };
        if !operation.allows(&token.spec.kind) {
            return denied(Denial::WrongKind);
        }
        if !token.spec.permits(network, operation) {
            return denied(Denial::ScopeMissing);
        }
        let Outcome { verdict, usage } = self.books.call(now, &caller, operation);
        (Ruling::Judged(verdict), usage)
    }

    fn count(&mut self, ruling: &Ruling, spoilt: Option<Spoilt>) {
        self.tally.spoilt += u64::from(spoilt.is_some());
        match ruling {
            Ruling::Judged(Verdict::Admitted) => self.tally.admitted += 1,
            Ruling::Judged(Verdict::Refused { .. }) => self.tally.throttled += 1,
            Ruling::Denied(Denial::NoSuchOperation) => self.tally.unknown_operations += 1,
            Ruling::Denied(_) => self.tally.token_refused += 1,
            Ruling::NotCounted => {}
        }
    }

    fn kill(&mut self, how: Denial, whom: impl Fn(&TokenSpec) -> bool) -> Result<(), ()> {
        let mut found = Err(());
        for token in self.tokens.values_mut().filter(|token| whom(&token.spec)) {
            token.dead = token.dead.or(Some(how));
            found = Ok(());
        }
        found
    }

    fn spend_elsewhere(
        &mut self,
        now: Timestamp,
        class: &ClassId,
        owner: Owner,
        of: &str,
        units: u64,
    ) -> Result<(), FaultError> {
        let callers: Vec<Caller<'_>> = self
            .tokens
            .values()
            .filter(|token| token.belongs_to(owner, of))
            .map(|token| token.caller(Some(of), "", of))
            .collect();
        if callers.is_empty() {
            return Err(nobody(of));
        }
        self.books.spend_elsewhere(now, &callers, class, owner, units);
        Ok(())
    }

    fn report(&mut self, network: &Network, at: Timestamp) -> NetworkReport {
        NetworkReport {
            network: network.id.clone(),
            admitted: self.tally.admitted,
            throttled: self.tally.throttled,
            token_refused: self.tally.token_refused,
            unknown_operations: self.tally.unknown_operations,
            spoilt: self.tally.spoilt,
            limits: self.books.report(at),
        }
    }
}

impl Registered {
    /// The caller for one of its profiles; for a profile that it does not speak for, its first one.
    fn caller<'a>(&'a self, profile: Option<&'a str>, key: &'a str, address: &'a str) -> Caller<'a> {
        let spoken_for = profile.filter(|wanted| self.spec.profiles.iter().any(|own| own == wanted));
        Caller {
            token: &self.account,
            app: &self.spec.app,
            person: &self.spec.person,
            profile: spoken_for.or(self.spec.profiles.first().map(String::as_str)),
            address,
            kind: &self.spec.kind,
            key,
        }
    }

    fn belongs_to(&self, owner: Owner, id: &str) -> bool {
        match owner {
            Owner::Token => self.spec.secret == id,
            Owner::Person | Owner::AppPerson => self.spec.person == id,
            Owner::Profile => self.spec.profiles.iter().any(|profile| profile == id),
            Owner::App => self.spec.app == id,
            Owner::Address => true,
        }
    }
}

pub(super) fn find_operation<'a>(network: &'a Network, id: &OperationId) -> Option<&'a Operation> {
    network.operations.iter().find(|operation| operation.id == *id)
}

/// YouTube charges at least one unit for every request, also for one that is wrong. `None` where such calls are free or still fit;
/// otherwise the refusal.
fn charge_invalid(
    network: &Network,
    books: &mut Books,
    now: Timestamp,
    caller: &Caller<'_>,
) -> Option<(Ruling, Vec<Usage>)> {
    if !network.id.as_str().starts_with("youtube") {
        return None;
    }
    let class = network.classes.iter().find(|class| class.unit == Unit::QuotaUnits)?.id.clone();
    let Outcome { verdict, usage } = books.draw(now, caller, &[Cost { class, units: 1 }]);
    (verdict != Verdict::Admitted).then_some((Ruling::Judged(verdict), usage))
}
