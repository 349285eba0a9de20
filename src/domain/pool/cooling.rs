//! What the network refused is closed, tried again by one probe, and opened by proof.
//!
//! A call passes the gates of its token, of its app, of its operation in that app and of every bucket that it draws from. All of them follow one rule, that of
//! [`Cooling`]; here it is said which of them a refusal closes, and who has to look again when one changes.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::LeaseId;
use crate::domain::credit::{Bucket, Cooling, Gate, span};
use crate::domain::networks::{ErrorClass, Owner, Window};
use crate::domain::pool::report::{CallReport, Effect, Verdict};
use crate::domain::pool::{Draw, Held, Pool, Rest, Wake};
use crate::domain::token::{Finding, Reason, TokenState};

/// A probe that was not reported so long after its call was due is given up.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a token in doubt, or an app, rests if the network names no time: at most so long.
const LONGEST_REST: Duration = Duration::from_secs(900);
/// Where the network blocks an account for abuse and names no time.
const BLOCKED: Duration = Duration::from_secs(3600);
/// The least pause after a refusal, whatever the network says.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// What the gates of a call let through together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// Everything.
    Free,
    /// One call, whose answer decides.
    Probe,
    /// Nothing before this time.
    Closed {
        until: Timestamp,
        /// The class and the owner of what is closed.
        class: usize,
        owner: Owner,
        /// What rests; `None`: credit is short, or the network asked to wait.
        rest: Option<Rest>,
    },
}

/// Something that cools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Token,
    App,
    Operation,
    Bucket(u32),
}

impl Passage {
    fn narrow(&mut self, gate: Gate, class: usize, owner: Owner, rest: Option<Rest>) {
        match (gate, *self) {
            (Gate::Closed(until), Passage::Closed { until: before, .. }) if until <= before => {}
            (Gate::Closed(until), _) => *self = Passage::Closed { until, class, owner, rest },
            (Gate::Probe, Passage::Free) => *self = Passage::Probe,
            (Gate::Probe | Gate::Open, _) => {}
        }
    }
}

impl Pool {
    /// What may pass of a call of an operation with a token.
    pub(super) fn find_passage(&mut self, slot: u32, operation: usize, draws: &[Draw], now: Timestamp) -> Passage {
        for draw in draws {
            // One that others closed is perhaps not known to be this token's, too.
            self.bucket_of(slot, draw.rule);
        }
        self.passage(slot, operation, draws, now)
    }

    /// What may pass of a call with a token, as far as its buckets are known.
    pub(super) fn passage(&self, slot: u32, operation: usize, draws: &[Draw], now: Timestamp) -> Passage {
        let token = &self.slots[slot as usize];
        let class = draws.first().map_or(0, |draw| self.rules[draw.rule as usize].class);
        let mut passage = Passage::Free;
        passage.narrow(token.cooling.gate(now), class, Owner::Token, token.rest());
        if let Some(app) = self.app_cooling(token.app) {
            passage.narrow(app.gate(now), class, Owner::App, None);
        }
        if let Some(refused) = self.operation_cooling(token.app, operation) {
            passage.narrow(refused.gate(now), class, Owner::App, Some(Rest::Operation));
        }
        // Others of the app may pass.
        passage.narrow(self.incident_gate(slot, now), class, Owner::Token, Some(Rest::Incident));
        for draw in draws {
            if let Some(at) = self.find_bucket(slot, draw.rule) {
                let rule = &self.rules[draw.rule as usize];
                let bucket = &self.buckets[at as usize].bucket;
                passage.narrow(bucket.cooling.gate(now), rule.class, rule.limit.owner, None);
            }
        }
        passage
    }

    fn app_cooling(&self, app: u32) -> Option<&Cooling> {
        // Hardly ever is an app closed, and every call asks.
        if self.app_cooling.is_empty() { None } else { self.app_cooling.get(&app) }
    }

    pub(super) fn operation_cooling(&self, app: u32, operation: usize) -> Option<&Cooling> {
        if self.operation_cooling.is_empty() {
            return None;
        }
        self.operation_cooling.get(&(app, u16::try_from(operation).ok()?))
    }

    /// Until when a lease must make none of the calls that it holds: they were granted before something was closed, and are no probe.
    pub(super) fn held_back(&self, lease: LeaseId, held: &Held, now: Timestamp) -> Option<Timestamp> {
        let token = &self.slots[held.slot as usize];
        let buckets = held.grants.iter().map(|grant| &self.buckets[grant.bucket as usize].bucket.cooling);
        let of_app = self.app_cooling(token.app).into_iter();
        let of_app = of_app.chain(self.operation_cooling(token.app, usize::from(held.operation)));
        let gates = std::iter::once(&token.cooling).chain(of_app).chain(buckets);
        let others = gates.filter(|cooling| !cooling.is_open() && !cooling.is_probed_by(lease));
        let ends = others.filter_map(|cooling| match cooling.gate(now) {
            Gate::Closed(until) => Some(until),
            Gate::Probe if held.calls_left > 0 => Some(now + PROBE_PATIENCE),
            Gate::Probe | Gate::Open => None,
        });
        ends.max()
    }

    /// The one call that was let through belongs to `lease`.
    pub(super) fn begin_probe(&mut self, lease: LeaseId, slot: u32, draws: &[Draw], use_by: Timestamp, now: Timestamp) {
        let Some(held) = self.leases.get_mut(&lease) else { return };
        held.probes = true;
        held.reported_at = now;
        let operation = usize::from(held.operation);
        let until = use_by + PROBE_PATIENCE;
        self.begin_canary(lease, slot, until, now);
        self.visit(slot, operation, draws, now, |_, cooling| {
            cooling.begin_probe(lease, until);
            !cooling.is_open()
        });
    }

    /// The probe of a lease, if it made one, will tell nothing more.
    pub(super) fn end_probe(&mut self, lease: LeaseId, now: Timestamp) {
        let Some(held) = self.leases.get_mut(&lease) else { return };
        if std::mem::take(&mut held.probes) {
            let (slot, operation) = (held.slot, held.operation as usize);
            self.end_canary(lease, slot);
            let draws = self.draws[operation][self.slots[slot as usize].kind as usize].clone();
            let draws = draws.as_deref().unwrap_or_default();
            self.visit(slot, operation, draws, now, |_, cooling| cooling.end_probe(lease));
        }
    }

    /// Shows `act` everything that a call of a token passes. Where it says that it made a change, whoever depends on it looks again.
    /// Returns those places.
    fn visit(
        &mut self,
        slot: u32,
        operation: usize,
        draws: &[Draw],
        now: Timestamp,
        mut act: impl FnMut(Place, &mut Cooling) -> bool,
    ) -> Vec<Place> {
        let mut changed = Vec::new();
        let token = &mut self.slots[slot as usize];
        let app = token.app;
        if act(Place::Token, &mut token.cooling) {
            changed.push(Place::Token);
        }
        if let Some(cooling) = self.app_cooling.get_mut(&app)
            && act(Place::App, cooling)
        {
            changed.push(Place::App);
        }
        if let Ok(operation) = u16::try_from(operation)
            && let Some(cooling) = self.operation_cooling.get_mut(&(app, operation))
            && act(Place::Operation, cooling)
        {
            changed.push(Place::Operation);
        }
        for draw in draws {
            let Some(at) = self.find_bucket(slot, draw.rule) else { continue };
            if act(Place::Bucket(at), &mut self.buckets[at as usize].bucket.cooling) {
                changed.push(Place::Bucket(at));
            }
        }
        for place in &changed {
            match place {
                Place::Token => self.await_token(slot, now),
                Place::App => self.app_cooling.retain(|_, cooling| !cooling.is_open()),
                Place::Operation => self.operation_cooling.retain(|_, cooling| !cooling.is_open()),
                Place::Bucket(at) => self.reshelve(*at, now),
            }
        }
        changed
    }

    /// Shelves a token anew, and once more when its cooling lets more through.
    pub(super) fn await_token(&mut self, slot: u32, now: Timestamp) {
        self.rescore_slot(slot, now);
        if let Some(at) = self.slots[slot as usize].cooling.next_change(now) {
            self.wakes.push(at, Wake::Token(slot));
        }
    }

    /// A call succeeded that was made after `after`: what was closed before is open again.
    pub(super) fn prove(&mut self, lease: LeaseId, after: Timestamp, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(held) = self.leases.get(&lease) else { return };
        let (slot, operation) = (held.slot, held.operation as usize);
        let token = &self.slots[slot as usize];
        let (kind, same_secrets) = (token.kind as usize, held.version == token.version);
        if same_secrets {
            self.slots[slot as usize].worked_at = now;
        }
        let Some(draws) = self.draws[operation][kind].clone() else { return };
        let opened = self.visit(slot, operation, &draws, now, |place, cooling| {
            (same_secrets || place != Place::Token) && cooling.prove(after)
        });
        for place in opened {
            match place {
                Place::Token => self.find(slot, Finding::Working, now, effects),
                Place::App | Place::Operation => {}
                Place::Bucket(at) => effects.push(Effect::Note(self.buckets[at as usize].bucket.note())),
            }
        }
        let token = &mut self.slots[slot as usize];
        // Before the call that was served the block may have been news: then the token still cools.
        if token.blocked && token.cooling.is_open() {
            token.blocked = false;
            effects.push(Effect::Found { token: token.id, version: token.version, finding: Finding::Unblocked });
        }
    }

    /// Something was found out about a token: its state changes by it, from what it is now.
    fn find(&mut self, slot: u32, finding: Finding, now: Timestamp, effects: &mut Vec<Effect>) {
        let token = &self.slots[slot as usize];
        let (id, version, state) = (token.id, token.version, token.state.after(finding, now));
        if state == token.state {
            return;
        }
        effects.push(Effect::Found { token: id, version, finding });
        let recalled = self.change_state(id, |_| state, now);
        if !recalled.is_empty() {
            effects.push(Effect::Recall(recalled));
        }
    }

    /// No further lease, but one probe after a pause that grows.
    pub(super) fn doubt(&mut self, slot: u32, now: Timestamp, effects: &mut Vec<Effect>) -> Verdict {
        self.slots[slot as usize].cooling.close_for_a_guess(now, LONGEST_REST);
        self.find(slot, Finding::Doubtful, now, effects);
        self.await_token(slot, now);
        Verdict::Suspect
    }

    /// An operation is refused to everybody who asks through the token's app: it rests for all of them. Returns until when.
    pub(super) fn rest_operation(&mut self, slot: u32, operation: u16, now: Timestamp) -> Timestamp {
        let app = self.slots[slot as usize].app;
        close(self.operation_cooling.entry((app, operation)).or_default(), None, LONGEST_REST, now)
    }

    /// A permission for the operation of a lease is missing: the token serves others, but this one no more.
    pub(super) fn lose_permission(
        &mut self,
        lease: LeaseId,
        slot: u32,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        let Some(operation) = self.leases.get(&lease).map(|held| held.operation) else { return Verdict::Recalled };
        if let Some(recalled) = self.close_operation(slot, operation, now) {
            let token = &self.slots[slot as usize];
            let finding = Finding::Closed(operation);
            effects.push(Effect::Found { token: token.id, version: token.version, finding });
            effects.push(Effect::Recall(recalled));
        }
        Verdict::Recalled
    }

    /// The network said that the token is dead.
    pub(super) fn bury(&mut self, slot: u32, reason: Reason, now: Timestamp, effects: &mut Vec<Effect>) -> Verdict {
        self.find(slot, Finding::Dead(reason), now, effects);
        match self.slots[slot as usize].state {
            TokenState::Invalid { reason, .. } => Verdict::TokenDead(reason),
            _ => Verdict::TokenDead(reason),
        }
    }

    /// The network blocks the account for a time. That it does is found once, until a call is served again.
    pub(super) fn block(
        &mut self,
        slot: u32,
        asked: Option<Duration>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        let token = &mut self.slots[slot as usize];
        if !std::mem::replace(&mut token.blocked, true) {
            effects.push(Effect::Found { token: token.id, version: token.version, finding: Finding::Blocked });
        }
        self.cool_token(slot, Some(asked.unwrap_or(BLOCKED)), now)
    }

    fn cool_token(&mut self, slot: u32, asked: Option<Duration>, now: Timestamp) -> Verdict {
        let until = close(&mut self.slots[slot as usize].cooling, asked, LONGEST_REST, now);
        self.await_token(slot, now);
        Verdict::StopUntil(until)
    }

    /// A limit was hit: the buckets that the network means close until they come back, or may. Where the catalogue knows none, the
    /// token closes, or the app.
    pub(super) fn cool(
        &mut self,
        lease: LeaseId,
        slot: u32,
        report: &CallReport,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        effects.push(Effect::Throttled(report.class));
        let operation = self.leases.get(&lease).map_or(0, |held| held.operation as usize);
        let draws = self.draws[operation][self.slots[slot as usize].kind as usize].clone();
        let mut until = None;
        for rule in self.limits_hit(draws.as_deref().unwrap_or_default(), report.class) {
            let at = self.bucket_of(slot, rule);
            let bucket = &mut self.buckets[at as usize].bucket;
            let asked = asked(bucket, report, now, self.settings.timing.guard);
            let most = span(&bucket.rule().window, bucket.limit()).min(LONGEST_REST);
            until = until.max(Some(close(&mut bucket.cooling, asked, most, now)));
            effects.push(Effect::Note(bucket.note()));
            self.reshelve(at, now);
        }
        match (until, report.class) {
            (Some(until), _) => Verdict::StopUntil(until),
            (None, ErrorClass::RateLimitedApp | ErrorClass::QuotaExhaustedApp) => {
                let cooling = self.app_cooling.entry(self.slots[slot as usize].app).or_default();
                Verdict::StopUntil(close(cooling, report.retry_after, LONGEST_REST, now))
            }
            (None, _) => self.cool_token(slot, report.retry_after, now),
        }
    }

    /// The rules among those that a call draws from whose limit the network says was hit.
    fn limits_hit(&self, draws: &[Draw], class: ErrorClass) -> Vec<u16> {
        let of = |owners: &[Owner]| -> Vec<u16> {
            let hit = draws.iter().map(|draw| draw.rule).filter(|rule| {
                let limit = &self.rules[*rule as usize].limit;
                // A limit that comes back by time was hit, unless the network says that the budget is used up.
                let may_be = limit.window != Window::Budget || class == ErrorClass::QuotaExhaustedApp;
                owners.contains(&limit.owner) && may_be
            });
            hit.collect()
        };
        match class {
            ErrorClass::RateLimitedApp | ErrorClass::QuotaExhaustedApp => of(&[Owner::App, Owner::Address]),
            ErrorClass::RateLimitedResource | ErrorClass::PublishQuota => of(&[Owner::Profile]),
            _ => {
                let own = of(&[Owner::Token, Owner::Person, Owner::AppPerson]);
                // A token without limits of its own (an app's) is told of those that it shares.
                if own.is_empty() { of(&[Owner::Profile, Owner::App, Owner::Address]) } else { own }
            }
        }
    }
}

/// Closes for as long as the network asks, or for a guess. Returns its end.
fn close(cooling: &mut Cooling, asked: Option<Duration>, most: Duration, now: Timestamp) -> Timestamp {
    match asked {
        Some(asked) => cooling.close(now, now + asked.max(LEAST_PAUSE)),
        None => cooling.close_for_a_guess(now, most.max(LEAST_PAUSE)),
    }
    cooling.until().unwrap_or(now)
}

/// How long the network asks to leave a bucket alone, where it says so, or where its window's end is known.
fn asked(bucket: &Bucket, report: &CallReport, now: Timestamp, guard: Duration) -> Option<Duration> {
    let told = report.readings.iter().filter(|reading| reading.owner == bucket.rule().owner);
    let told = told.filter_map(|reading| reading.resets_at).max();
    let end = told.or(bucket.window_ends_at()).filter(|end| *end != Timestamp::NEVER);
    report.retry_after.or(end.map(|end| (end + guard).since(now)))
}
