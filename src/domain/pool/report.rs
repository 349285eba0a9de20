//! Reports: the books are put right, what the network said is taken in, and the holder is told how to go on.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{LeaseId, TokenId};
use crate::domain::credit::{BucketKey, BucketNote, Reported as ReportedUsage, span};
use crate::domain::networks::{Amount, ErrorClass, Owner, Reading, Usage};
use crate::domain::pool::buckets::is_own;
use crate::domain::pool::few::Few;
use crate::domain::pool::{Held, LeaseUse, Pool};
use crate::domain::token::{Reason, TokenState};

/// The longest a refusal that names no time closes a bucket with a longer window.
const LONGEST_GUESS: Duration = Duration::from_secs(900);

/// What a collector says of the calls it made since its last report.
#[derive(Debug, Clone)]
pub struct CallReport {
    /// Rises with each report of a lease; a number that was seen before is answered as before and changes nothing.
    pub sequence: u64,
    /// Calls that reached the network, or may have.
    pub used: u64,
    /// Calls that surely did not, and whose credit comes back.
    pub unused: u64,
    /// Calls of these that the network refused for a limit, by the collector's own count.
    pub throttled: u64,
    /// Whether the network answered the latest call at all.
    pub answered: bool,
    /// What the network's latest answer meant.
    pub class: ErrorClass,
    /// How long the network asked to wait.
    pub retry_after: Option<Duration>,
    /// What the network's usage headers said.
    pub readings: Vec<Reading>,
}

/// What a report led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The lease's token.
    pub token: TokenId,
    /// The highest report number settled.
    pub sequence: u64,
    /// How to go on.
    pub verdict: Verdict,
    /// Calls that the lease may still make.
    pub calls_left: u64,
    /// Until when they may be made.
    pub use_by: Timestamp,
    /// What else follows.
    pub effects: Vec<Effect>,
    /// The report was settled before; nothing was changed.
    pub repeated: bool,
}

/// How the holder of a lease goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Keep,
    /// Make no call before this time.
    StopUntil(Timestamp),
    /// The token does not work any more.
    TokenDead(Reason),
    /// The token is in doubt: make no call, give the lease back.
    Suspect,
    /// The lease was taken back.
    Recalled,
}

/// What follows from a report outside the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The token's state changed.
    TokenState(TokenId, TokenState),
    /// These leases can't go on; their holders must be told.
    Recall(Vec<LeaseId>),
    /// The network refused a call for a limit.
    Throttled(ErrorClass),
    /// Somebody else spent this much of an account.
    ForeignSpend(BucketKey, u64),
    /// Something about a bucket must outlive the process.
    Note(BucketNote),
    /// The app itself is refused; an operator must look.
    AppRefused,
}

/// Why a report changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// No such lease is open.
    #[error("no such lease is open: it was released, expired, or never existed; acquire a new one")]
    UnknownLease,
    /// The lease was taken back.
    #[error("the lease was recalled; make no further call and acquire a new one")]
    Recalled,
    /// More calls than the lease holds.
    #[error(
        "the report names {reported} calls, but the lease holds {left}; report each call once, and only calls that were granted"
    )]
    MoreThanGranted {
        /// Calls in the report.
        reported: u64,
        /// Calls the lease holds.
        left: u64,
    },
}

impl Pool {
    /// Takes a report in.
    pub fn report(&mut self, now: Timestamp, lease: LeaseId, report: &CallReport) -> Result<Reported, ReportError> {
        let held = self.leases.get(&lease).ok_or(ReportError::UnknownLease)?;
        if let Some((sequence, _)) = held.last_report
            && report.sequence <= sequence
        {
            return Ok(self.answer(held, sequence, self.standing_of(held, now), true));
        }
        let (left, slot, recalled) = (held.calls_left, held.slot, held.recalled);
        let restored = held.restored;
        let reported = report.used.saturating_add(report.unused);
        if reported > left && !restored {
            return Err(ReportError::MoreThanGranted { reported, left });
        }
        let mut effects = Vec::new();
        self.settle_calls(lease, report.used, report.unused, now);
        self.take_readings(lease, slot, report, now, &mut effects);
        let verdict = self.judge(lease, slot, report, now, &mut effects);
        let token = &self.slots[slot as usize];
        let held = self.leases.get_mut(&lease).ok_or(ReportError::UnknownLease)?;
        let limited = u64::from(is_limit(report.class));
        if report.used > 0 {
            if held.unwritten == LeaseUse::default() {
                self.used.push(lease);
            }
            held.unwritten.calls += report.used;
            held.unwritten.throttled += report.throttled.max(limited);
            held.unwritten.errors += u64::from(report.answered && report.class != ErrorClass::Ok && limited == 0);
        }
        if let Some(earliest) = held.earliest_use_by().filter(|_| !held.restored) {
            held.use_by = earliest;
        }
        let verdict = if recalled || held.recalled { recalled_verdict(verdict, token.state) } else { verdict };
        held.last_report = Some((report.sequence, verdict));
        let held = &self.leases[&lease];
        Ok(Reported { effects, ..self.answer(held, report.sequence, verdict, false) })
    }

    /// Where a lease stands after the report of that number.
    fn answer(&self, held: &Held, sequence: u64, verdict: Verdict, repeated: bool) -> Reported {
        let token = self.slots[held.slot as usize].id;
        let (calls_left, use_by) = (held.calls_left, held.use_by);
        Reported { token, sequence, verdict, calls_left, use_by, effects: Vec::new(), repeated }
    }

    /// How the holder of a lease goes on, without a report.
    pub fn standing(&self, lease: LeaseId, now: Timestamp) -> Option<Verdict> {
        self.leases.get(&lease).map(|held| self.standing_of(held, now))
    }

    fn standing_of(&self, held: &Held, now: Timestamp) -> Verdict {
        let token = &self.slots[held.slot as usize];
        if held.recalled {
            return recalled_verdict(Verdict::Recalled, token.state);
        }
        if token.usable_until <= now {
            return Verdict::TokenDead(Reason::Expired);
        }
        let told = held.last_report.map(|(_, verdict)| verdict);
        match (token.state, token.cooling.until(), told) {
            (TokenState::Suspect { .. }, ..) => Verdict::Suspect,
            (_, Some(until), _) | (_, _, Some(Verdict::StopUntil(until))) if until > now => Verdict::StopUntil(until),
            _ => Verdict::Keep,
        }
    }

    /// Gives a lease back; returns its token. What it did not report counts as unused if `rest_unused`, else as spent.
    pub fn release(&mut self, now: Timestamp, lease: LeaseId, rest_unused: bool) -> Result<TokenId, ReportError> {
        let held = self.leases.get(&lease).ok_or(ReportError::UnknownLease)?;
        let unreported = if rest_unused { 0 } else { held.calls_left };
        let token = self.slots[held.slot as usize].id;
        self.close(lease, unreported, now);
        Ok(token)
    }

    /// Ends a lease: `spent` of its remaining calls count as made, the rest comes back.
    pub(super) fn close(&mut self, lease: LeaseId, spent: u64, now: Timestamp) {
        let Some(held) = self.leases.get(&lease) else { return };
        let (left, slot) = (held.calls_left, held.slot);
        self.settle_calls(lease, spent.min(left), left - spent.min(left), now);
        let unwritten = self.leases.get(&lease).map(|held| held.unwritten).unwrap_or_default();
        if unwritten != LeaseUse::default() {
            self.ended.extend(self.lease(lease).map(|view| (view, unwritten)));
        }
        self.leases.remove(&lease);
        self.slots[slot as usize].leases.remove(lease);
        self.rescore_slot(slot, now);
    }

    /// Takes `used` and `unused` calls out of what a lease holds, oldest credit first.
    pub(super) fn settle_calls(&mut self, lease: LeaseId, used: u64, unused: u64, now: Timestamp) {
        if used == 0 && unused == 0 {
            return;
        }
        let known = self.updates.len();
        let Some(held) = self.leases.get_mut(&lease) else { return };
        held.calls_left = held.calls_left.saturating_sub(used + unused);
        let slot = held.slot;
        let grants = &mut held.grants;
        for at in 0..grants.len() {
            if grants[..at].iter().any(|earlier| earlier.bucket == grants[at].bucket) {
                continue;
            }
            let bucket_at = grants[at].bucket;
            let mut used = used * grants[at].per_call;
            let mut unused = unused * grants[at].per_call;
            let bucket = &mut self.buckets[bucket_at as usize].bucket;
            for grant in grants[at..].iter_mut().filter(|grant| grant.bucket == bucket_at) {
                let spent = used.min(grant.units);
                let returned = unused.min(grant.units - spent);
                grant.units -= spent + returned;
                used -= spent;
                unused -= returned;
                bucket.settle(grant.block, spent, returned, now, &mut self.updates);
            }
        }
        grants.retain(|grant| grant.units > 0);
        if self.updates.len() > known {
            let touched: Few<_, 2> = self.slots[slot as usize].buckets.clone();
            for (_, bucket) in touched.iter() {
                self.schedule(bucket, now);
            }
        }
        if unused > 0 {
            self.rescore_slot(slot, now);
        }
    }

    fn take_readings(
        &mut self,
        lease: LeaseId,
        slot: u32,
        report: &CallReport,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        if report.readings.is_empty() {
            return;
        }
        let Some(held) = self.leases.get(&lease) else { return };
        let draws = self.draws[held.operation as usize][self.slots[slot as usize].kind as usize].clone();
        let Some(draws) = draws else { return };
        for reading in &report.readings {
            for draw in draws.iter() {
                if self.speaks_of(reading, draw.rule, slot) {
                    let at = self.bucket_of(slot, draw.rule);
                    self.observe(at, reading, now, effects);
                }
            }
        }
    }

    /// Whether a reading speaks of the bucket that `slot` draws from under `rule`.
    fn speaks_of(&self, reading: &Reading, rule: u16, slot: u32) -> bool {
        let rule = &self.rules[rule as usize];
        let length = span(&rule.limit.window, 1);
        let same_window = reading.window.is_none_or(|window| {
            window == length || matches!(rule.limit.window, crate::domain::networks::Window::Daily { .. })
        });
        let same_class = reading.class.as_ref().is_none_or(|class| self.network.classes[rule.class].id == *class);
        let same_object = reading.object.as_ref().is_none_or(|object| {
            let profiles = &self.slots[slot as usize].profiles;
            profiles.iter().any(|profile| **self.names.text(*profile) == **object)
        });
        reading.owner == rule.limit.owner && same_window && same_class && same_object
    }

    fn observe(&mut self, at: u32, reading: &Reading, now: Timestamp, effects: &mut Vec<Effect>) {
        let timing = self.settings.timing;
        let bucket = &mut self.buckets[at as usize].bucket;
        let usage = self::usage(bucket, reading);
        let observed = bucket.observe(now, usage, timing);
        if observed.foreign > bucket.limit() / 100 {
            effects.push(Effect::ForeignSpend(bucket.key().clone(), observed.foreign));
        }
        if observed.new_window {
            effects.push(Effect::Note(bucket.note()));
        }
        if matches!(reading.usage, Usage::Blocked)
            && let Some(until) = reading.resets_at
        {
            bucket.cooling.close(until);
            effects.push(Effect::Note(bucket.note()));
        }
        self.schedule(at, now);
    }

    fn judge(
        &mut self,
        lease: LeaseId,
        slot: u32,
        report: &CallReport,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        use ErrorClass as Class;
        match report.class {
            Class::Ok => {
                if report.used > 0 {
                    self.prove(lease, slot, now, effects);
                }
                Verdict::Keep
            }
            Class::Transient
            | Class::ResourceDenied
            | Class::WrongTokenKind
            | Class::BadRequest
            | Class::RetryWithNonce => Verdict::Keep,
            Class::AppLevel => {
                effects.push(Effect::AppRefused);
                Verdict::Keep
            }
            Class::TokenInvalid => self.doubt(slot, now, effects),
            Class::TokenExpired => self.bury(slot, Reason::Expired, now, effects),
            Class::TokenRevoked => self.bury(slot, Reason::RevokedByPerson, now, effects),
            Class::PasswordChanged => self.bury(slot, Reason::PasswordChanged, now, effects),
            Class::PermissionLost => self.bury(slot, Reason::PermissionLost, now, effects),
            Class::UserCheckpoint => self.bury(slot, Reason::PersonBlocked, now, effects),
            Class::RefreshRejected => self.bury(slot, Reason::RefreshRejected, now, effects),
            Class::BlockedPolicy => {
                let until = now + report.retry_after.unwrap_or(Duration::from_secs(3600));
                self.cool_token(slot, until, now)
            }
            Class::RateLimitedToken => {
                self.cool(lease, slot, report, &[Owner::Token, Owner::Person, Owner::AppPerson], now, effects)
            }
            Class::RateLimitedResource | Class::PublishQuota => {
                self.cool(lease, slot, report, &[Owner::Profile], now, effects)
            }
            Class::RateLimitedApp | Class::QuotaExhaustedApp => {
                self.cool(lease, slot, report, &[Owner::App, Owner::Address], now, effects)
            }
        }
    }

    /// A call succeeded: what was closed for doubt or for a limit is open again.
    fn prove(&mut self, lease: LeaseId, slot: u32, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(held) = self.leases.get(&lease) else { return };
        let operation = held.operation as usize;
        let token = &mut self.slots[slot as usize];
        let mut changed = !token.cooling.is_open();
        token.cooling.open();
        if matches!(token.state, TokenState::Suspect { .. }) {
            token.state = token.state.trust();
            effects.push(Effect::TokenState(token.id, token.state));
            changed = true;
        }
        if let Some(cooling) = self.app_cooling.get_mut(&token.app) {
            cooling.open();
        }
        let Some(draws) = self.draws[operation][token.kind as usize].clone() else { return };
        for draw in draws.iter() {
            let Some(at) = self.find_bucket(slot, draw.rule) else { continue };
            let bucket = &mut self.buckets[at as usize].bucket;
            if !bucket.cooling.is_open() {
                bucket.cooling.open();
                effects.push(Effect::Note(bucket.note()));
                changed = true;
                for other in self.buckets[at as usize].slots.clone() {
                    self.rescore_slot(other, now);
                }
            }
        }
        if changed {
            self.rescore_slot(slot, now);
        }
    }

    /// An ambiguous error: no further lease, but one probe after a pause that grows.
    fn doubt(&mut self, slot: u32, now: Timestamp, effects: &mut Vec<Effect>) -> Verdict {
        let token = &mut self.slots[slot as usize];
        let pause = token.cooling.next_pause(LONGEST_GUESS);
        token.cooling.close(now + pause);
        let state = token.state.doubt(now);
        if state != token.state {
            token.state = state;
            effects.push(Effect::TokenState(token.id, state));
        }
        self.wake_token(slot, now + pause, now);
        Verdict::Suspect
    }

    /// The network said that the token is dead.
    fn bury(&mut self, slot: u32, reason: Reason, now: Timestamp, effects: &mut Vec<Effect>) -> Verdict {
        let token = &self.slots[slot as usize];
        let (id, state) = (token.id, token.state.invalidate(reason, now));
        if state != token.state {
            effects.push(Effect::TokenState(id, state));
            let recalled = self.set_state(id, state, now);
            effects.push(Effect::Recall(recalled));
        }
        Verdict::TokenDead(reason)
    }

    fn cool_token(&mut self, slot: u32, until: Timestamp, now: Timestamp) -> Verdict {
        self.slots[slot as usize].cooling.close(until);
        self.wake_token(slot, until, now);
        Verdict::StopUntil(until)
    }

    /// A limit was hit: the buckets of these owners that the call drew from close until they come back, or may.
    fn cool(
        &mut self,
        lease: LeaseId,
        slot: u32,
        report: &CallReport,
        owners: &[Owner],
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Verdict {
        effects.push(Effect::Throttled(report.class));
        let operation = self.leases.get(&lease).map_or(0, |held: &Held| held.operation as usize);
        let draws = self.draws[operation][self.slots[slot as usize].kind as usize].clone();
        let mut until = None;
        for draw in draws.iter().flat_map(|draws| draws.iter()) {
            let limit = &self.rules[draw.rule as usize].limit;
            // A limit that comes back by time was hit, unless the network says that the budget is used up.
            let is_budget = matches!(limit.window, crate::domain::networks::Window::Budget);
            if !owners.contains(&limit.owner) || (is_budget && report.class != ErrorClass::QuotaExhaustedApp) {
                continue;
            }
            let at = self.bucket_of(slot, draw.rule);
            let bucket = &mut self.buckets[at as usize].bucket;
            let end = now + pause(bucket, report, now, self.settings.timing.guard);
            bucket.cooling.close(end);
            effects.push(Effect::Note(bucket.note()));
            until = until.max(Some(end));
            for other in self.buckets[at as usize].slots.clone() {
                self.rescore_slot(other, now);
            }
            self.schedule(at, now);
        }
        if let Some(until) = until {
            return Verdict::StopUntil(until);
        }
        if owners.iter().all(|owner| !is_own(*owner)) {
            let cooling = self.app_cooling.entry(self.slots[slot as usize].app).or_default();
            let until = now + report.retry_after.unwrap_or_else(|| cooling.next_pause(LONGEST_GUESS));
            cooling.close(until);
            return Verdict::StopUntil(until);
        }
        let token = &self.slots[slot as usize];
        let until = now + report.retry_after.unwrap_or_else(|| token.cooling.next_pause(LONGEST_GUESS));
        self.cool_token(slot, until, now)
    }

    /// Shelves the token anew once its cooling ends: any of its buckets carries the wake-up.
    fn wake_token(&mut self, slot: u32, at: Timestamp, now: Timestamp) {
        self.rescore_slot(slot, now);
        if let Some((_, bucket)) =
            self.slots[slot as usize].buckets.iter().find(|(rule, _)| is_own(self.rules[*rule as usize].limit.owner))
        {
            self.wakes.push(at, bucket);
        } else {
            let rule = (0..self.rules.len()).find(|rule| is_own(self.rules[*rule].limit.owner));
            if let Some(rule) = rule.and_then(|rule| u16::try_from(rule).ok()) {
                let bucket = self.bucket_of(slot, rule);
                self.wakes.push(at, bucket);
            }
        }
    }
}

fn is_limit(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::RateLimitedToken
            | ErrorClass::RateLimitedResource
            | ErrorClass::RateLimitedApp
            | ErrorClass::QuotaExhaustedApp
            | ErrorClass::PublishQuota
    )
}

/// What the holder of a lease that was taken back is told: the token's end, where that was the cause.
fn recalled_verdict(verdict: Verdict, state: TokenState) -> Verdict {
    match (verdict, state) {
        (Verdict::TokenDead(reason), _) | (_, TokenState::Invalid { reason, .. }) => Verdict::TokenDead(reason),
        _ => Verdict::Recalled,
    }
}

/// What a reading says in units of the bucket. A percentage counts the fewest units it can mean, since the owner's reserve covers
/// the rest.
fn usage(bucket: &crate::domain::credit::Bucket, reading: &Reading) -> ReportedUsage {
    let limit = bucket.limit();
    match reading.usage {
        Usage::Count { limit: reported, remaining, used } => {
            let of = reported.unwrap_or(limit);
            let used = used.or(remaining.map(|remaining| of.saturating_sub(remaining)));
            ReportedUsage { limit: reported, used, resets_at: reading.resets_at }
        }
        Usage::Percent(percent) => {
            let percent = u64::from(percent);
            let spent = bucket.spent();
            let unknown = matches!(bucket.rule().amount, Amount::Unknown { .. } | Amount::Formula { .. });
            let learnt = (unknown && bucket.is_guess() && spent >= 20).then(|| spent * 100 / (percent + 1));
            let learnt = learnt.filter(|learnt| *learnt > limit);
            let used = limit.saturating_mul(percent.saturating_sub(1)) / 100;
            let used = if percent >= 100 { limit } else { used };
            ReportedUsage { limit: learnt, used: Some(used), resets_at: None }
        }
        Usage::Blocked => ReportedUsage { limit: None, used: Some(limit), resets_at: None },
    }
}

/// How long a bucket closes after the network refused a call.
fn pause(bucket: &crate::domain::credit::Bucket, report: &CallReport, now: Timestamp, guard: Duration) -> Duration {
    let read = report
        .readings
        .iter()
        .filter(|reading| reading.owner == bucket.rule().owner)
        .filter_map(|reading| reading.resets_at)
        .max();
    if let Some(asked) = report.retry_after {
        return asked;
    }
    if let Some(end) = read.or(bucket.window_ends_at()).filter(|end| *end != Timestamp::NEVER) {
        return (end + guard).since(now);
    }
    bucket.cooling.next_pause(span(&bucket.rule().window, bucket.limit()).min(LONGEST_GUESS))
}
