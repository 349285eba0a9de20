//! Reports: the books are put right, what the network said is taken in, and the holder is told how to go on.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{LeaseId, TokenId};
use crate::domain::credit::{Bucket, BucketKey, BucketNote, Reported as ReportedUsage, Settlement, span};
use crate::domain::evidence::{Evidence, Source};
use crate::domain::networks::{Amount, ErrorClass, Owner, Reading, Usage, Window};
use crate::domain::pool::few::Few;
use crate::domain::pool::{Held, LeaseUse, Pool};
use crate::domain::token::{Finding, Reason, TokenState};

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
    /// Calls of these that the network answered with another error, by the collector's own count.
    pub errors: u64,
    /// Whether the network answered the latest call at all.
    pub answered: bool,
    /// When that answer came, if that is known.
    pub answered_at: Option<Timestamp>,
    /// What the network's latest answer meant.
    pub class: ErrorClass,
    /// How long the network asked to wait.
    pub retry_after: Option<Duration>,
    /// What the network's usage headers said.
    pub readings: Vec<Reading>,
}

impl CallReport {
    /// What the network said with the last of the calls. A failure among several calls may be older than the others.
    fn readings_of_the_last_call(&self) -> &[Reading] {
        if self.class == ErrorClass::Ok || self.used == 1 { &self.readings } else { &[] }
    }
}

/// What became of calls that a lease held.
#[derive(Debug, Clone, Copy)]
struct Calls {
    used: u64,
    unused: u64,
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
    /// Something was found out about a token that is to be kept: mostly it changes its state, from whatever it is.
    Found {
        /// The token.
        token: TokenId,
        /// The version of the secrets that it was found out about: later ones are not concerned.
        version: u32,
        /// What.
        finding: Finding,
    },
    /// These leases can't go on; their holders must be told.
    Recall(Vec<LeaseId>),
    /// The network refused a call for a limit.
    Throttled(ErrorClass),
    /// Somebody else spent of an account.
    ForeignSpend {
        /// The account.
        bucket: BucketKey,
        /// Whose it is.
        owner: Owner,
        /// The class, by its place in the catalogue.
        class: usize,
        /// How much, in units of the class.
        units: u64,
    },
    /// Something about a bucket must outlive the process.
    Note(BucketNote),
    /// The app itself is refused; an operator must look.
    AppRefused,
    /// An operation is refused to everybody who asks through the app.
    OperationRefused {
        /// Which, by its place in the catalogue.
        operation: u16,
        /// It rests, since the network named the app or asked to stop.
        rests: bool,
    },
    /// Several tokens of one app are refused alike, and none works: whatever is wrong, it is hardly the single token.
    ManyRefused,
    /// So many tokens of the app are refused that they rest: these leases were taken back for it.
    IncidentBegan(Vec<LeaseId>),
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
            return Ok(self.answer(held, sequence, self.standing_of(lease, held, now), true));
        }
        let (left, slot, recalled) = (held.calls_left, held.slot, held.recalled);
        let restored = held.restored;
        let reported = report.used.saturating_add(report.unused);
        if reported > left && !restored {
            return Err(ReportError::MoreThanGranted { reported, left });
        }
        let mut effects = Vec::new();
        let calls = Calls { used: report.used, unused: report.unused };
        self.settle_calls(lease, calls, report.readings_of_the_last_call(), now);
        if report.used > 0 && !report.answered {
            self.assume(lease, now);
        }
        self.note_key_use(lease, report);
        self.take_readings(lease, slot, report, now, &mut effects);
        let verdict = self.judge(lease, slot, report, now, &mut effects);
        self.end_probe(lease, now);
        let state = self.slots[slot as usize].state;
        let held = self.leases.get_mut(&lease).ok_or(ReportError::UnknownLease)?;
        if report.used > 0 {
            if held.unwritten == LeaseUse::default() {
                self.used.push(lease);
            }
            held.unwritten.note(report);
        }
        if let Some(earliest) = held.earliest_use_by().filter(|_| !held.restored) {
            held.use_by = earliest;
        }
        held.reported_at = now;
        let is_recalled = recalled || held.recalled;
        let held = &self.leases[&lease];
        let verdict = match verdict {
            _ if is_recalled => recalled_verdict(verdict, state),
            Verdict::Keep => self.held_back(lease, held, now).map_or(Verdict::Keep, Verdict::StopUntil),
            other => other,
        };
        let answer = Reported { effects, ..self.answer(held, report.sequence, verdict, false) };
        if let Some(held) = self.leases.get_mut(&lease) {
            held.last_report = Some((report.sequence, verdict));
        }
        Ok(answer)
    }

    /// A call that was served shows that the key it asked for was used, if it can have been no other.
    fn note_key_use(&mut self, lease: LeaseId, report: &CallReport) {
        let Some(held) = self.leases.get(&lease) else { return };
        if let [key] = &held.keys[..]
            && report.used > 0
            && report.answered
            && report.class == ErrorClass::Ok
        {
            self.buckets[key.bucket as usize].bucket.keys().note_use(&key.charge.key, held.reported_at);
        }
    }

    /// Where a lease stands after the report of that number.
    fn answer(&self, held: &Held, sequence: u64, verdict: Verdict, repeated: bool) -> Reported {
        let token = self.slots[held.slot as usize].id;
        // What was granted before something was closed is not used after it half-opens: that would be one more probe.
        let use_by = match verdict {
            Verdict::StopUntil(until) => held.use_by.min(until),
            _ => held.use_by,
        };
        let calls_left = held.calls_left;
        Reported { token, sequence, verdict, calls_left, use_by, effects: Vec::new(), repeated }
    }

    /// How the holder of a lease goes on, without a report.
    pub fn standing(&self, lease: LeaseId, now: Timestamp) -> Option<Verdict> {
        self.leases.get(&lease).map(|held| self.standing_of(lease, held, now))
    }

    fn standing_of(&self, lease: LeaseId, held: &Held, now: Timestamp) -> Verdict {
        let token = &self.slots[held.slot as usize];
        if held.recalled {
            return recalled_verdict(Verdict::Recalled, token.state);
        }
        if token.usable_until <= now {
            return Verdict::TokenDead(Reason::Expired);
        }
        if matches!(token.state, TokenState::Suspect { .. }) && !token.cooling.is_probed_by(lease) {
            return Verdict::Suspect;
        }
        let told = match held.last_report {
            Some((_, Verdict::StopUntil(until))) if until > now => Some(until),
            _ => None,
        };
        self.held_back(lease, held, now).max(told).map_or(Verdict::Keep, Verdict::StopUntil)
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
        self.end_probe(lease, now);
        let Some(held) = self.leases.get(&lease) else { return };
        let (left, slot) = (held.calls_left, held.slot);
        if spent > 0 {
            self.assume(lease, now);
        }
        let spent = spent.min(left);
        self.settle_calls(lease, Calls { used: spent, unused: left - spent }, &[], now);
        let unwritten = self.leases.get(&lease).map(|held| held.unwritten).unwrap_or_default();
        if unwritten != LeaseUse::default() {
            self.ended.extend(self.lease(lease).map(|view| (view, unwritten)));
        }
        self.leases.remove(&lease);
        self.slots[slot as usize].leases.remove(lease);
        self.rescore_slot(slot, now);
    }

    /// Calls that were not reported, or whose answer nobody saw, count as spent, but the network may not have counted them.
    fn assume(&mut self, lease: LeaseId, now: Timestamp) {
        let Some(held) = self.leases.get(&lease) else { return };
        for grant in &held.grants {
            self.buckets[grant.bucket as usize].bucket.assume(now);
        }
    }

    /// Takes calls out of what a lease holds, oldest credit first. `readings` came with the answer to the last of them.
    fn settle_calls(&mut self, lease: LeaseId, calls: Calls, readings: &[Reading], now: Timestamp) {
        let Calls { used, unused } = calls;
        if used == 0 && unused == 0 {
            return;
        }
        let (known, mut comes_back) = (self.updates.len(), false);
        let timing = self.settings.timing;
        let Some(held) = self.leases.get_mut(&lease) else { return };
        held.calls_left = held.calls_left.saturating_sub(used.saturating_add(unused));
        let slot = held.slot;
        let mut grants = std::mem::take(&mut held.grants);
        for at in 0..grants.len() {
            if grants[..at].iter().any(|earlier| earlier.bucket == grants[at].bucket) {
                continue;
            }
            let bucket_at = grants[at].bucket;
            let mut used = used.saturating_mul(grants[at].per_call);
            let mut unused = unused.saturating_mul(grants[at].per_call);
            let proven = used > 0 && self.names_window(readings, bucket_at, slot);
            let bucket = &mut self.buckets[bucket_at as usize].bucket;
            comes_back |= bucket.window_ends_at().is_none();
            for grant in grants[at..].iter_mut().filter(|grant| grant.bucket == bucket_at) {
                let spent = used.min(grant.units);
                let returned = unused.min(grant.units - spent);
                grant.units -= spent + returned;
                used -= spent;
                unused -= returned;
                let settled = Settlement { block: grant.block, used: spent, unused: returned, proven };
                bucket.settle(settled, now, timing, &mut self.updates);
            }
        }
        grants.retain(|grant| grant.units > 0);
        if let Some(held) = self.leases.get_mut(&lease) {
            held.grants = grants;
        }
        // In a window whose end is known nothing comes back sooner than then.
        if comes_back && self.updates.len() > known {
            let touched: Few<_, 2> = self.slots[slot as usize].buckets.clone();
            for (_, bucket) in touched.iter() {
                self.schedule(bucket, now);
            }
        }
        if unused > 0 {
            self.rescore_slot(slot, now);
        }
    }

    /// Whether one of the readings names the present window of a bucket of `slot`.
    fn names_window(&self, readings: &[Reading], bucket: u32, slot: u32) -> bool {
        let mut buckets = self.slots[slot as usize].buckets.iter();
        let Some((rule, _)) = buckets.find(|(_, at)| *at == bucket) else { return false };
        let bucket = &self.buckets[bucket as usize].bucket;
        let is_present = |end| bucket.is_present(end, self.settings.timing);
        readings.iter().any(|reading| reading.resets_at.is_some_and(is_present) && self.speaks_of(reading, rule, slot))
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
        let same_window =
            reading.window.is_none_or(|window| window == length || matches!(rule.limit.window, Window::Daily { .. }));
        let same_class = reading.class.as_ref().is_none_or(|class| self.network.classes[rule.class].id == *class);
        let same_object = reading.object.as_ref().is_none_or(|object| {
            let profiles = &self.slots[slot as usize].profiles;
            profiles.iter().any(|profile| **self.names.text(*profile) == **object)
        });
        reading.owner == rule.limit.owner && same_window && same_class && same_object
    }

    fn observe(&mut self, at: u32, reading: &Reading, now: Timestamp, effects: &mut Vec<Effect>) {
        let timing = self.settings.timing;
        let class = self.rules[self.buckets[at as usize].rule as usize].class;
        let bucket = &mut self.buckets[at as usize].bucket;
        let usage = self::usage(bucket, reading, now);
        let observed = bucket.observe(now, usage, timing, &mut self.updates);
        if observed.foreign > bucket.limit() / 100 {
            let (bucket, owner, units) = (bucket.key().clone(), bucket.rule().owner, observed.foreign);
            effects.push(Effect::ForeignSpend { bucket, owner, class, units });
        }
        if observed.new_window {
            effects.push(Effect::Note(bucket.note()));
        }
        if matches!(reading.usage, Usage::Blocked)
            && let Some(until) = reading.resets_at
        {
            bucket.cooling.close(now, until);
            effects.push(Effect::Note(bucket.note()));
            self.reshelve(at, now);
        }
        self.schedule(at, now);
    }
}

impl LeaseUse {
    fn note(&mut self, report: &CallReport) {
        let limited = u64::from(matches!(Evidence::of(report.class, Source::Call), Evidence::Limited(_)));
        self.calls = self.calls.saturating_add(report.used);
        self.throttled = self.throttled.saturating_add(report.throttled.max(limited));
        let failed = u64::from(report.answered && report.class != ErrorClass::Ok && limited == 0);
        self.errors = self.errors.saturating_add(report.errors.max(failed));
    }
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
fn usage(bucket: &Bucket, reading: &Reading, now: Timestamp) -> ReportedUsage {
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
            let learns = unknown && bucket.is_guess() && bucket.is_exact(now) && spent >= 20;
            let learnt = learns.then(|| spent * 100 / (percent + 1));
            let learnt = learnt.filter(|learnt| *learnt > limit);
            let used = limit.saturating_mul(percent.saturating_sub(1)) / 100;
            let used = if percent >= 100 { limit } else { used };
            ReportedUsage { limit: learnt, used: Some(used), resets_at: None }
        }
        Usage::Blocked => ReportedUsage { limit: None, used: Some(limit), resets_at: None },
    }
}
