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
use super::report::{NetworkReport, Report, WindowReport};
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
            let seed = seed ^ u64::from(crc32fast::hash(network.id.as_str().as_bytes()));
            let state = State {
                books: Books::new(network.clone(), seed)?.count_throttled(counts),
                tokens: BTreeMap::new(),
                locked: BTreeSet::new(),
                spoiling: Spoiling::default(),
                random: StdRng::seed_from_u64(seed),
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
        let (_, mut state) = self.state(network)?;
        let mut token = state.tokens.remove(old).ok_or_else(|| FaultError::Nobody(old.to_owned()))?;
        token.spec.secret = new.to_owned();
        token.spec.expires_at = expires_at;
        token.dead = None;
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

    /// One caller per profile that it speaks for; one without, if it speaks for none.
    fn each_caller(&self, mut visit: impl FnMut(&Caller<'_>)) {
        if self.spec.profiles.is_empty() {
            visit(&self.caller(None, "", ""));
        }
        for profile in &self.spec.profiles {
            visit(&self.caller(Some(profile), "", ""));
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::ManualClock;
    use crate::sim::samples::{class, fixed, kind, limit, network};

    struct Stage {
        simulation: Simulation,
        clock: Arc<ManualClock>,
        network: NetworkId,
        operation: OperationId,
    }

    impl Stage {
        /// A network with 5 calls a minute for each person and 8 for the app. Tokens: `a1` and `a2` of anna, `b1` of ben.
        fn set(id: &str, seed: u64) -> Self {
            let limits = vec![limit(Owner::Person, fixed(60), 5), limit(Owner::App, fixed(60), 8)];
            let sample = Arc::new(network(id, vec![class("calls", Unit::QuotaUnits, limits)], Vec::new()));
            let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_700_000_000)));
            let simulation = Simulation::new([sample.clone()], clock.clone(), seed).unwrap();
            for (secret, person) in [("a1", "anna"), ("a2", "anna"), ("b1", "ben")] {
                simulation.add_token(&sample.id, token(&sample, secret, person)).unwrap();
            }
            Self { simulation, clock, network: sample.id.clone(), operation: sample.operations[0].id.clone() }
        }

        fn call(&self, secret: &str) -> Answer {
            self.ask(secret, Some(&self.operation))
        }

        fn ask(&self, secret: &str, operation: Option<&OperationId>) -> Answer {
            let request =
                CallRequest { network: &self.network, secret, operation, profile: None, key: "", address: "127.0.0.1" };
            self.simulation.call(&request).unwrap()
        }

        fn inject(&self, fault: Fault) -> Result<(), FaultError> {
            self.simulation.inject(&NetworkFault { network: self.network.clone(), fault })
        }

        fn report(&self) -> NetworkReport {
            self.simulation.report().networks.remove(0)
        }
    }

    fn token(network: &Network, secret: &str, person: &str) -> TokenSpec {
        TokenSpec::of_kind(network, &kind("user").id, secret, person)
    }

    fn denial(answer: &Answer) -> Option<Denial> {
        match answer.ruling {
            Ruling::Denied(denial) => Some(denial),
            _ => None,
        }
    }

    #[test]
    fn faults_of_tokens_hit_whom_they_name() {
        let secret = || "a1".to_owned();
        let person = || "anna".to_owned();
        let cases = [
            (Fault::ResetTokens, [Some(Denial::TokensReset); 3]),
            (
                Fault::ChangePassword { person: person() },
                [Some(Denial::PasswordChanged), Some(Denial::PasswordChanged), None],
            ),
            (Fault::RevokeToken { secret: secret() }, [Some(Denial::TokenRevoked), None, None]),
            (Fault::ExpireToken { secret: secret() }, [Some(Denial::TokenExpired), None, None]),
            (Fault::LockPerson { person: person() }, [Some(Denial::PersonLocked), Some(Denial::PersonLocked), None]),
        ];
        for (fault, expected) in cases {
            let stage = Stage::set("x", 1);
            stage.inject(fault.clone()).unwrap();
            let seen = ["a1", "a2", "b1"].map(|secret| denial(&stage.call(secret)));
            assert_eq!(seen, expected, "{fault:?}");
            assert_eq!(stage.report().token_refused, seen.iter().flatten().count() as u64);
        }
    }

    #[test]
    fn an_unlocked_person_and_a_renewed_token_work_again() {
        let stage = Stage::set("x", 1);
        stage.inject(Fault::LockPerson { person: "anna".to_owned() }).unwrap();
        stage.inject(Fault::UnlockPerson { person: "anna".to_owned() }).unwrap();
        assert!(stage.call("a1").is_admitted());
        stage.inject(Fault::ResetTokens).unwrap();
        stage.simulation.renew_token(&stage.network, "a1", "a3", None).unwrap();
        assert_eq!(stage.call("a3").usage[0].used, 2, "the account outlives the token");
        assert_eq!(denial(&stage.call("a1")), Some(Denial::TokenUnknown));
    }

    #[test]
    fn tokens_are_looked_at_before_limits() {
        let stage = Stage::set("x", 1);
        let sample = stage.simulation.network(&stage.network).unwrap().clone();
        let mut short = token(&sample, "short", "carl");
        short.expires_at = Some(stage.simulation.now() + Duration::from_secs(10));
        let mut bare = token(&sample, "bare", "carl");
        bare.scopes.clear();
        stage.simulation.add_token(&stage.network, short).unwrap();
        stage.simulation.add_token(&stage.network, bare).unwrap();
        assert!(stage.call("short").is_admitted());
        stage.clock.advance(Duration::from_secs(10));
        assert_eq!(denial(&stage.call("short")), Some(Denial::TokenExpired));
        assert_eq!(denial(&stage.call("bare")), Some(Denial::ScopeMissing));
        assert_eq!(denial(&stage.call("nobody")), Some(Denial::TokenUnknown));
        assert_eq!(denial(&stage.ask("a1", None)), Some(Denial::NoSuchOperation));
        assert_eq!(stage.report().limits[0].used, 1);
    }

    #[test]
    fn a_wrong_request_costs_a_unit_at_youtube_only() {
        for (id, used) in [("youtube", 1), ("x", 0)] {
            let stage = Stage::set(id, 1);
            assert_eq!(denial(&stage.ask("a1", None)), Some(Denial::NoSuchOperation));
            assert_eq!(stage.report().limits[1].used, used, "{id}");
        }
        let stage = Stage::set("youtube", 1);
        for _ in 0..5 {
            stage.ask("a1", None);
        }
        assert!(stage.ask("a1", None).refused_until().is_some(), "also a wrong request can be over the quota");
    }

    #[test]
    fn others_spend_what_is_left_and_no_more() {
        let cases = [(Owner::Person, "anna", 0, true), (Owner::App, "app", 1, false)];
        for (owner, of, place, ben_can_call) in cases {
            let stage = Stage::set("x", 1);
            let class: ClassId = "calls".parse().unwrap();
            let spend = |units| Fault::SpendElsewhere { class: class.clone(), owner, of: of.to_owned(), units };
            stage.inject(spend(2)).unwrap();
            assert_eq!(stage.report().limits[place].used_elsewhere, 2);
            stage.inject(spend(100)).unwrap();
            assert!(stage.call("a1").refused_until().is_some());
            assert_eq!(stage.call("b1").is_admitted(), ben_can_call);
            stage.inject(Fault::ResetEarly { class: class.clone() }).unwrap();
            assert!(stage.call("a1").is_admitted());
        }
    }

    #[test]
    fn spoilt_answers_say_whether_they_counted() {
        let certain = 1.0;
        let cases = [
            (Fault::DropReplies { share: certain }, Spoilt::Dropped, 1),
            (Fault::ServerErrors { share: certain, status: 502, counted: true }, Spoilt::ServerError(502), 1),
            (Fault::ServerErrors { share: certain, status: 503, counted: false }, Spoilt::ServerError(503), 0),
            (Fault::HtmlPages { share: certain, counted: false }, Spoilt::Html, 0),
        ];
        for (fault, spoilt, used) in cases {
            let stage = Stage::set("x", 1);
            stage.inject(fault).unwrap();
            assert_eq!(stage.call("a1").spoilt, Some(spoilt));
            assert_eq!((stage.report().spoilt, stage.report().limits[0].used), (1, used));
            stage.inject(Fault::Calm).unwrap();
            assert_eq!(stage.call("a1").spoilt, None);
        }
    }

    #[test]
    fn chance_repeats_with_the_seed() {
        let luck = |seed| {
            let stage = Stage::set("x", seed);
            stage.inject(Fault::DropReplies { share: 0.5 }).unwrap();
            stage.inject(Fault::Delays { share: 0.5, millis: 7 }).unwrap();
            (0..64).map(|_| stage.call("b1")).map(|answer| (answer.spoilt, answer.delay_millis)).collect::<Vec<_>>()
        };
        assert_eq!(luck(1), luck(1));
        assert_ne!(luck(1), luck(2));
        let dropped = luck(1).iter().filter(|(spoilt, _)| spoilt.is_some()).count();
        assert!((10..54).contains(&dropped), "{dropped} of 64 at a share of one half");
    }

    #[test]
    fn facts_raise_a_limit_at_run_time() {
        let mut rule = limit(Owner::Profile, fixed(60), 0);
        rule.amount =
            crate::domain::networks::Amount::Formula { factor: 10, fact: "fans".to_owned(), at_least: 1, start: 1 };
        let sample = Arc::new(network("x", vec![class("calls", Unit::Calls, vec![rule])], Vec::new()));
        let simulation = Simulation::new([sample.clone()], Arc::new(ManualClock::default()), 1).unwrap();
        let mut spec = token(&sample, "a1", "anna");
        spec.profiles = vec!["one".to_owned(), "two".to_owned()];
        spec.facts = BTreeMap::from([("fans".to_owned(), 2)]);
        simulation.add_token(&sample.id, spec).unwrap();
        let capacity = || simulation.report().networks[0].limits[0].capacity;
        assert_eq!(capacity(), 40, "twenty for each profile, though nobody has called yet");
        simulation.set_fact(&sample.id, "a1", "fans", 7).unwrap();
        assert_eq!(capacity(), 140);
        assert!(simulation.set_fact(&sample.id, "zz", "fans", 7).is_err());
    }

    #[test]
    fn impossible_faults_are_refused() {
        let stage = Stage::set("x", 1);
        let nobody = Fault::RevokeToken { secret: "zzz".to_owned() };
        assert_eq!(stage.inject(nobody), Err(FaultError::Nobody("zzz".to_owned())));
        assert!(stage.inject(Fault::ResetEarly { class: "gold".parse().unwrap() }).is_err());
        assert!(stage.inject(Fault::DropReplies { share: 1.5 }).is_err());
        assert!(stage.inject(Fault::DropReplies { share: f64::NAN }).is_err());
        assert!(stage.inject(Fault::ServerErrors { share: 0.1, status: 200, counted: true }).is_err());
        let elsewhere = NetworkFault { network: "y".parse().unwrap(), fault: Fault::Calm };
        assert!(stage.simulation.inject(&elsewhere).is_err());
    }
}
