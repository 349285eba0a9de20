//! What one simulated network knows, and how it decides about a call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::book::Books;
use super::fault::{Chance, FaultError, Spoiling, Spoilt};
use super::grant::Consent;
use super::meter::UnknownZone;
use super::possession::Possession;
use super::refusal::Family;
use super::report::NetworkReport;
use super::simulation::{CallRequest, Ruling};
use super::token::{Denial, Registered, TokenSpec};
use super::verdict::{Caller, Outcome, Usage, Verdict};
use crate::base::clock::Timestamp;
use crate::base::ids::{ClassId, OperationId};
use crate::domain::networks::{Cost, Network, Operation, Owner, Unit};

/// A simulated network: its books, its tokens, and what goes wrong.
pub(super) struct State {
    pub(super) books: Books,
    /// By their secrets.
    pub(super) tokens: BTreeMap<String, Registered>,
    /// What persons agreed to and nobody redeemed yet, by code, and until when it can be.
    pub(super) codes: BTreeMap<String, (Consent, Timestamp)>,
    /// Scopes that persons were asked for and did not give.
    pub(super) declined: BTreeMap<String, Vec<String>>,
    /// Persons who are locked out.
    pub(super) locked: BTreeSet<String>,
    /// Keys, proofs, and what was pushed.
    pub(super) possession: Possession,
    pub(super) spoiling: Spoiling,
    pub(super) random: StdRng,
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

impl State {
    /// Nothing happened yet.
    ///
    /// # Errors
    /// When a daily window names a zone that does not exist.
    pub(super) fn new(network: &Arc<Network>, seed: u64) -> Result<Self, UnknownZone> {
        // At the Graph API calls that are throttled count, too.
        let counts = Family::of(network) == Family::Graph;
        Ok(Self {
            books: Books::new(network.clone(), seed)?.count_throttled(counts),
            tokens: BTreeMap::new(),
            codes: BTreeMap::new(),
            declined: BTreeMap::new(),
            locked: BTreeSet::new(),
            possession: Possession::new(seed),
            spoiling: Spoiling::default(),
            random: StdRng::seed_from_u64(seed),
            tally: Tally::default(),
        })
    }

    pub(super) fn draw_chance(&mut self) -> Chance {
        self.spoiling.draw(&mut self.random)
    }

    /// Decides about a call, in the order in which networks look: the token, the path, the kind and the scopes, the limits.
    pub(super) fn rule(
        &mut self,
        network: &Network,
        now: Timestamp,
        request: &CallRequest<'_>,
    ) -> (Ruling, Vec<Usage>) {
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

    pub(super) fn count(&mut self, ruling: &Ruling, spoilt: Option<Spoilt>) {
        self.tally.spoilt += u64::from(spoilt.is_some());
        match ruling {
            Ruling::Judged(Verdict::Admitted) => self.tally.admitted += 1,
            Ruling::Judged(Verdict::Refused { .. }) => self.tally.throttled += 1,
            Ruling::Denied(Denial::NoSuchOperation) => self.tally.unknown_operations += 1,
            Ruling::Denied(_) => self.tally.token_refused += 1,
            Ruling::NotCounted => {}
        }
    }

    pub(super) fn kill(&mut self, how: Denial, whom: impl Fn(&TokenSpec) -> bool) -> Result<(), ()> {
        let mut found = Err(());
        for token in self.tokens.values_mut().filter(|token| whom(&token.spec)) {
            // An access token that is forgotten has a grant that can end.
            if token.dead.is_none_or(|before| before == Denial::TokenExpired) {
                token.dead = Some(how);
            }
            found = Ok(());
        }
        found
    }

    pub(super) fn lose_scope(&mut self, person: &str, scope: &str) -> Result<(), FaultError> {
        let of_person = self.tokens.values_mut().filter(|token| token.spec.person == person);
        let mut lost = false;
        for token in of_person {
            let before = token.spec.scopes.len();
            token.spec.scopes.retain(|held| held != scope);
            lost |= token.spec.scopes.len() < before;
        }
        if lost { Ok(()) } else { Err(FaultError::NoSuchScope { person: person.to_owned(), scope: scope.to_owned() }) }
    }

    pub(super) fn spend_elsewhere(
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

    pub(super) fn report(&mut self, network: &Network, at: Timestamp) -> NetworkReport {
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

pub(super) fn nobody(id: &str) -> FaultError {
    FaultError::Nobody(id.to_owned())
}

pub(super) fn check_class(network: &Network, class: &ClassId) -> Result<(), FaultError> {
    let known = network.classes.iter().any(|known| known.id == *class);
    if known { Ok(()) } else { Err(FaultError::NoSuchClass(class.clone())) }
}

fn find_operation<'a>(network: &'a Network, id: &OperationId) -> Option<&'a Operation> {
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
