//! Incidents in the pool: what befalls an app's tokens is watched, and its tokens rest and come back in stages.
//!
//! Resting costs nothing per token: a token that rests is worth nothing to the choice, which shelves it so when it meets it. One whose
//! secrets came after the incident had begun is outside, and is leased as ever.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, LeaseId, TokenId};
use crate::domain::credit::{Cooling, Gate};
use crate::domain::evidence::{AppEvidence, Blame, Evidence, Failed, OperationEvidence};
use crate::domain::incident::{Asked, Detected, Outcome, Progress, SeenIn, Stage, Symptom, Watch, enough};
use crate::domain::pool::report::Effect;
use crate::domain::pool::slot::Slot;
use crate::domain::pool::{Pool, Wake};
use crate::domain::renewal::is_past_renewal;
use crate::domain::token::{Reason, TokenState};

/// A token that is refused so shortly before its clock says that it ends tells nothing of others.
const EXPECTED_END: Duration = Duration::from_secs(60);
/// When a token that waits for the end of a share is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How long it takes until all tokens that come back are on their shelves.
const COME_BACK_WITHIN: Duration = Duration::from_secs(10);
/// How far apart two canaries stand: a prime, so that all are reached.
const STRIDE: usize = 7919;
/// Tokens that are looked at to find a canary.
const CANARIES_SOUGHT: usize = 64;

/// What befell an app's tokens lately.
#[derive(Debug, Default)]
pub struct Trouble {
    calls: Lately,
    renewals: Lately,
    /// By the place of an operation in the catalogue.
    operations: HashMap<u16, OperationEvidence>,
}

/// Who failed and who was served.
#[derive(Debug, Default)]
struct Lately {
    evidence: AppEvidence,
    watch: Watch,
}

/// An incident of an app.
#[derive(Debug)]
pub struct AppIncident {
    pub progress: Progress,
    /// The canary that is under way, and until when its answer is waited for.
    canary: Option<(LeaseId, Timestamp)>,
    /// Canaries so far.
    turns: usize,
    /// The token whose renewal is the canary.
    renewing: Option<TokenId>,
}

/// Whether a token may be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewalsOf {
    /// As ever.
    Free,
    /// This one, to look.
    Canary,
    /// Not now.
    Stopped,
}

/// What a renewal showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalNoted {
    /// Whose failure it is; a success is nobody's.
    pub blame: Option<Blame>,
    /// Leases that were taken back since an incident began.
    pub recalled: Vec<LeaseId>,
}

impl AppIncident {
    fn new(progress: Progress) -> Self {
        Self { progress, canary: None, turns: 0, renewing: None }
    }

    /// Why a token that is refused now is dead, where the incident is proven to be a loss.
    pub fn lost_for(&self) -> Option<Reason> {
        let lost = self.progress.outcome() == Outcome::Lost;
        self.progress.kind.reason().filter(|_| lost)
    }
}

impl Pool {
    pub(super) fn has_incidents(&self) -> bool {
        !self.incidents.is_empty()
    }

    /// The open incident that concerns a token.
    pub(super) fn incident_of(&self, slot: u32) -> Option<&AppIncident> {
        let token = &self.slots[slot as usize];
        self.incidents.get(&token.app).filter(|incident| incident.progress.is_open() && !token.outside)
    }

    /// Whether a token rests, since it is not let through yet.
    pub(super) fn rests(&self, token: &Slot) -> bool {
        // Hardly ever is there an incident, and every choice asks.
        !self.incidents.is_empty()
            && !token.outside
            && self.incidents.get(&token.app).is_some_and(|incident| {
                incident.progress.stops_leases() && !incident.progress.recovery.lets_through(token.id)
            })
    }

    /// What an incident lets through of a token's calls.
    pub(super) fn incident_gate(&self, slot: u32, now: Timestamp) -> Gate {
        let token = &self.slots[slot as usize];
        if !self.rests(token) {
            return Gate::Open;
        }
        let Some(incident) = self.incidents.get(&token.app) else { return Gate::Open };
        let recovery = &incident.progress.recovery;
        match incident.canary.filter(|(_, until)| *until > now) {
            _ if recovery.stage == Stage::Share => Gate::Closed(now + LOOK_AGAIN),
            Some((_, until)) => Gate::Closed(until),
            None if recovery.next_canary_at > now => Gate::Closed(recovery.next_canary_at),
            None => Gate::Probe,
        }
    }

    /// One of these tokens for a canary of the app that calls the operation, if it is time for one.
    pub(super) fn canary_among(&self, app: u32, operation: usize, idle: &[u32], now: Timestamp) -> Option<u32> {
        let incident = self.incidents.get(&app)?;
        // Far apart, so that those beside the last one are not the next.
        let first = incident.turns.wrapping_mul(STRIDE).checked_rem(idle.len())?;
        let in_turn = idle[first..].iter().chain(&idle[..first]).take(CANARIES_SOUGHT).copied();
        let due = |slot: &u32| {
            self.slots[*slot as usize].is_usable(now)
                && self.draws_for(operation, &self.slots[*slot as usize]).is_some()
                && self.incident_gate(*slot, now) == Gate::Probe
                && !matches!(self.slots[*slot as usize].cooling.gate(now), Gate::Closed(_))
        };
        let in_doubt = |slot: &u32| self.slots[*slot as usize].state != TokenState::Live;
        in_turn.filter(due).min_by_key(in_doubt)
    }

    pub(super) fn begin_canary(&mut self, lease: LeaseId, slot: u32, until: Timestamp, now: Timestamp) {
        if self.incident_gate(slot, now) == Gate::Probe
            && let Some(incident) = self.incidents.get_mut(&self.slots[slot as usize].app)
        {
            incident.progress.recovery.take_canary(now);
            incident.turns = incident.turns.wrapping_add(1);
            incident.canary = Some((lease, until));
        }
    }

    pub(super) fn end_canary(&mut self, lease: LeaseId, slot: u32) {
        if let Some(incident) = self.incidents.get_mut(&self.slots[slot as usize].app) {
            incident.canary.take_if(|(canary, _)| *canary == lease);
        }
    }

    /// Whether what a lease's call showed speaks for or against the recovery.
    fn speaks_for_recovery(&self, lease: LeaseId, slot: u32) -> bool {
        let Some(incident) = self.incident_of(slot) else { return false };
        let progress = &incident.progress;
        let is_canary = incident.canary.is_some_and(|(canary, _)| canary == lease);
        let late = self.leases.get(&lease).is_none_or(|held| held.recalled);
        match progress.seen_in {
            SeenIn::Calls => is_canary || (!late && !self.rests(&self.slots[slot as usize])),
            SeenIn::Renewals => false,
        }
    }

    /// A call was served: it speaks for its token, its app and its collector.
    pub(super) fn note_work(&mut self, lease: LeaseId, slot: u32, now: Timestamp) {
        // Hardly ever is there trouble, and every report tells.
        if self.troubles.is_empty() && self.incidents.is_empty() {
            return;
        }
        let Some(held) = self.leases.get(&lease) else { return };
        let (by, operation) = (held.collector, held.operation);
        let token = &self.slots[slot as usize];
        let (app, person) = (token.app, token.person);
        if let Some(trouble) = self.troubles.get_mut(&app) {
            trouble.calls.evidence.work(person, by, now);
            trouble.calls.watch.work(person, now);
            if let Some(evidence) = trouble.operations.get_mut(&operation) {
                evidence.work(slot, person, now);
            }
        }
        if self.speaks_for_recovery(lease, slot) {
            self.recover(app, now, |progress| progress.recovery.serve(now));
        }
    }

    /// The network refused a token. Returns whose failure it is.
    pub(super) fn note_refusal(
        &mut self,
        lease: LeaseId,
        slot: u32,
        reason: Option<Reason>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Blame {
        let token = &self.slots[slot as usize];
        if token.usable_until <= now + EXPECTED_END {
            return Blame::Token;
        }
        let by = self.leases.get(&lease).and_then(|held| held.collector);
        let failed = Failed { person: token.person, by, at: now };
        let app = token.app;
        let blame = self.troubles.entry(app).or_default().calls.evidence.fail(failed);
        if self.speaks_for_recovery(lease, slot) {
            self.recover(app, now, |progress| progress.recovery.refuse(reason.is_some(), now));
        }
        self.note(slot, Symptom::Lost, SeenIn::Calls, now, effects);
        blame
    }

    /// The network said that a token lacks a permission for an operation. Returns whose lack that is; `None`: nothing shows it yet.
    pub(super) fn note_lack(&mut self, slot: u32, operation: u16, now: Timestamp) -> Option<Blame> {
        let person = self.slots[slot as usize].person;
        self.evidence_of(slot, operation).lack_permission(slot, person, now)
    }

    /// The network said that it blocks the account of a token. Returns whose block that is.
    pub(super) fn note_block(&mut self, slot: u32, operation: u16, now: Timestamp) -> Blame {
        let person = self.slots[slot as usize].person;
        self.evidence_of(slot, operation).block(person, now)
    }

    /// An operation was refused with a word that says nothing of the token alone. Returns whether it is refused to everybody who asks.
    pub(super) fn is_refused_to_all(&mut self, slot: u32, operation: u16, now: Timestamp) -> bool {
        let token = &self.slots[slot as usize];
        let (person, persons) = (token.person, self.persons.get(&token.app).copied().unwrap_or_default());
        self.evidence_of(slot, operation).refuse(person, enough(persons), now)
    }

    fn evidence_of(&mut self, slot: u32, operation: u16) -> &mut OperationEvidence {
        let app = self.slots[slot as usize].app;
        self.troubles.entry(app).or_default().operations.entry(operation).or_default()
    }

    /// When a token's app was refused last, if no call was served through it since.
    pub fn app_refused_at(&self, token: TokenId) -> Option<Timestamp> {
        let app = self.slots[*self.by_token.get(&token)? as usize].app;
        self.troubles.get(&app)?.calls.watch.app_refused_at()
    }

    /// A call failed for the network's or the app's fault.
    pub(super) fn note_failure(
        &mut self,
        lease: LeaseId,
        slot: u32,
        symptom: Symptom,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        if self.speaks_for_recovery(lease, slot) {
            let (app, is_final) = (self.slots[slot as usize].app, matches!(symptom, Symptom::AppRefused(_)));
            self.recover(app, now, |progress| progress.recovery.refuse(is_final, now));
        }
        self.note(slot, symptom, SeenIn::Calls, now, effects);
    }

    /// Shows the detector a failure; where it finds an incident, the app's tokens rest from this instant.
    fn note(&mut self, slot: u32, symptom: Symptom, seen_in: SeenIn, now: Timestamp, effects: &mut Vec<Effect>) {
        let token = &self.slots[slot as usize];
        let (app, person, outside) = (token.app, token.person, token.outside);
        if outside && self.incidents.contains_key(&app) {
            return;
        }
        let persons = self.persons.get(&app).copied().unwrap_or_default();
        let trouble = self.troubles.entry(app).or_default();
        let watch = match seen_in {
            SeenIn::Calls => &mut trouble.calls.watch,
            SeenIn::Renewals => &mut trouble.renewals.watch,
        };
        let Some(detected) = watch.fail(person, symptom, persons, now) else { return };
        if let Some(recalled) = self.begin_incident(app, detected, seen_in, now) {
            effects.push(Effect::IncidentBegan(recalled));
        }
    }

    /// Begins an incident, or makes one that is open worse. Returns the leases that were taken back for it.
    fn begin_incident(
        &mut self,
        app: u32,
        detected: Detected,
        seen_in: SeenIn,
        now: Timestamp,
    ) -> Option<Vec<LeaseId>> {
        match self.incidents.get_mut(&app) {
            Some(incident) => {
                if !incident.progress.become_worse(detected, seen_in, now) {
                    return None;
                }
                incident.canary = None;
            }
            None => {
                let progress = Progress::begin(detected, seen_in, now);
                self.incidents.insert(app, AppIncident::new(progress));
                self.slots.iter_mut().filter(|slot| slot.app == app).for_each(|slot| slot.outside = false);
            }
        }
        self.operation_cooling.retain(|(of, _), _| *of != app);
        Some(self.recall_resting(app))
    }

    /// Takes back the leases on an app's tokens that rest.
    fn recall_resting(&mut self, app: u32) -> Vec<LeaseId> {
        let rests = |slot: u32| self.slots[slot as usize].app == app && self.rests(&self.slots[slot as usize]);
        let held = self.leases.iter().filter(|(_, held)| rests(held.slot));
        let held: Vec<LeaseId> = held.map(|(lease, _)| *lease).collect();
        held.into_iter().filter(|lease| self.recall(*lease)).collect()
    }

    /// Changes how far an app's incident has come. Where its stage changes, its tokens are shelved anew, a few at a time.
    fn recover(&mut self, app: u32, now: Timestamp, change: impl FnOnce(&mut Progress) -> bool) {
        let Some(incident) = self.incidents.get_mut(&app) else { return };
        if change(&mut incident.progress) {
            self.shelve_anew(app, now);
        }
    }

    fn shelve_anew(&mut self, app: u32, now: Timestamp) {
        let back = |(_, slot): &(usize, &Slot)| slot.app == app && !slot.outside && !self.rests(slot);
        let back: Vec<usize> = self.slots.iter().enumerate().filter(back).map(|(at, _)| at).collect();
        let count = u32::try_from(back.len()).unwrap_or(u32::MAX).max(1);
        for (nth, at) in (0_u32..).zip(back) {
            let slot = u32::try_from(at).expect("fewer than 2^32 tokens fit into memory");
            self.wakes.push(now + COME_BACK_WITHIN / count * nth, Wake::Token(slot));
        }
    }

    /// Lets time pass for incidents, and forgets troubles that are over.
    pub fn advance_incidents(&mut self, now: Timestamp) {
        if self.incidents.is_empty() {
            return;
        }
        let apps: Vec<u32> = self.incidents.keys().copied().collect();
        for app in apps {
            self.recover(app, now, |progress| progress.recovery.advance(now));
        }
    }

    /// Forgets troubles that are over. Called now and then.
    pub fn forget_troubles(&mut self, now: Timestamp) {
        self.troubles.retain(|_, trouble| {
            let over = |lately: &mut Lately| lately.evidence.is_over(now) && lately.watch.is_over(now);
            trouble.operations.retain(|_, evidence| !evidence.is_over(now));
            !(over(&mut trouble.calls) & over(&mut trouble.renewals) & trouble.operations.is_empty())
        });
    }

    /// The incidents there are, by app.
    pub fn incidents(&self) -> Vec<(AppId, Progress)> {
        let named = |(app, incident): (&u32, &AppIncident)| Some((self.app_id(*app)?, incident.progress));
        self.incidents.iter().filter_map(named).collect()
    }

    fn app_id(&self, app: u32) -> Option<AppId> {
        self.names.text(app).parse().ok()
    }

    /// Takes up an incident that an earlier run found; `outside`: tokens that it does not concern.
    pub fn restore_incident(&mut self, app: &AppId, progress: Progress, outside: &[TokenId]) {
        let app = self.names.number(app.as_str());
        self.incidents.insert(app, AppIncident::new(progress));
        for token in outside {
            if let Some(at) = self.by_token.get(token) {
                self.slots[*at as usize].outside = true;
            }
        }
    }

    /// Ends an app's incident: all its tokens are let through.
    pub fn end_incident(&mut self, app: &AppId, now: Timestamp) {
        let Some(app) = self.names.find(app.as_str()) else { return };
        if let Some(ended) = self.incidents.remove(&app) {
            if ended.progress.is_open() {
                self.shelve_anew(app, now);
            }
            self.troubles.remove(&app);
        }
    }

    /// Whether an open incident speaks for a token. One that is proven to be a loss does not: each person must act then.
    pub fn incident_speaks_for(&self, token: TokenId) -> bool {
        let incident = self.by_token.get(&token).and_then(|slot| self.incident_of(*slot));
        incident.is_some_and(|incident| incident.progress.outcome() == Outcome::Recovered)
    }

    /// A token's state after its incident. Returns the leases that can't go on. Secrets of another version are not concerned, nor is what a
    /// person decided.
    pub fn settle(&mut self, token: TokenId, version: u32, state: TokenState, now: Timestamp) -> Vec<LeaseId> {
        let Some(at) = self.by_token.get(&token).copied() else { return Vec::new() };
        let slot = &mut self.slots[at as usize];
        let decided = matches!(slot.state, TokenState::Paused { .. } | TokenState::Revoked { .. });
        if slot.version != version || decided {
            return Vec::new();
        }
        slot.cooling = Cooling::default();
        self.change_state(token, |_| state, now)
    }

    /// Whether a token may be renewed now; a canary's place is taken by asking. Where no token of an incident can be called any more, be it that
    /// all have ended while they rested, single renewals take the place of calls, whatever the incident's kind: nothing else could show that
    /// it is over, and what one of them is refused with ends no token before the loss is proven.
    pub fn ask_to_renew(&mut self, token: TokenId, now: Timestamp) -> RenewalsOf {
        let Some(at) = self.by_token.get(&token).copied() else { return RenewalsOf::Free };
        let slot = &self.slots[at as usize];
        let (app, kind) = (slot.app, &self.network.kinds[slot.kind as usize]);
        // What is past renewal is shown to nobody.
        let covering = self.incident_of(at).filter(|_| !is_past_renewal(kind, slot.state));
        let Some(incident) = covering else { return RenewalsOf::Free };
        let Progress { recovery, .. } = &incident.progress;
        let looks = recovery.is_time(now) && (incident.progress.looks_by_renewals() || !self.can_be_called(app, now));
        let Some(incident) = self.incidents.get_mut(&app).filter(|_| looks) else { return RenewalsOf::Stopped };
        incident.progress.recovery.take_canary(now);
        incident.renewing = Some(token);
        RenewalsOf::Canary
    }

    /// Whether one of the tokens that an app's incident concerns can be called, to look.
    fn can_be_called(&self, app: u32, now: Timestamp) -> bool {
        self.slots.iter().any(|slot| slot.app == app && !slot.outside && slot.is_usable(now))
    }

    /// Whether an app's incident is open, and none of its tokens can be called any more, to look.
    pub fn is_out_of_calls(&self, app: &AppId, now: Timestamp) -> bool {
        let open = self.incident_since(app).and_then(|_| self.names.find(app.as_str()));
        open.is_some_and(|app| !self.can_be_called(app, now))
    }

    /// When the incident of an app began that is open. Tokens whose secrets are younger are outside.
    pub fn incident_since(&self, app: &AppId) -> Option<Timestamp> {
        let found = self.names.find(app.as_str()).and_then(|app| self.incidents.get(&app))?;
        found.progress.is_open().then_some(found.progress.started_at)
    }

    /// Takes in what a renewal showed of a token.
    pub fn note_renewal(&mut self, token: TokenId, evidence: Evidence, now: Timestamp) -> RenewalNoted {
        let mut noted = RenewalNoted { blame: None, recalled: Vec::new() };
        let Some(slot) = self.by_token.get(&token).copied() else { return noted };
        let (app, person) = (self.slots[slot as usize].app, self.slots[slot as usize].person);
        let canary = self.incidents.get_mut(&app).and_then(|incident| incident.renewing.take_if(|of| *of == token));
        let covering = self.incident_of(slot);
        let speaks = covering.is_some_and(|of| of.progress.looks_by_renewals() || canary.is_some());
        let lost = covering.map(|incident| incident.lost_for().is_some());
        let symptom = match evidence {
            Evidence::Works => {
                if let Some(trouble) = self.troubles.get_mut(&app) {
                    trouble.renewals.evidence.work(person, None, now);
                    trouble.renewals.watch.work(person, now);
                }
                self.recover(app, now, |progress| speaks && progress.recovery.serve(now));
                return noted;
            }
            Evidence::Nothing => Symptom::Failed,
            Evidence::AppRefused => Symptom::AppRefused(Asked::Basic),
            Evidence::Doubt | Evidence::Ended(_) => Symptom::Lost,
            _ => return noted,
        };
        if symptom == Symptom::Lost {
            let failed = Failed { person, by: None, at: now };
            let blame = self.troubles.entry(app).or_default().renewals.evidence.fail(failed);
            noted.blame = Some(match lost {
                None => blame,
                Some(true) => Blame::Token,
                Some(false) => Blame::Shared,
            });
        }
        let is_final = matches!(evidence, Evidence::Ended(_) | Evidence::AppRefused);
        self.recover(app, now, |progress| speaks && progress.recovery.refuse(is_final, now));
        let mut effects = Vec::new();
        self.note(slot, symptom, SeenIn::Renewals, now, &mut effects);
        for effect in effects {
            if let Effect::IncidentBegan(leases) = effect {
                noted.recalled = leases;
            }
        }
        noted
    }
}
