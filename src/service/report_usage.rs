//! A collector says what it did with a lease, extends it or gives it back.
//!
//! A report is settled in memory, in one short step ([`Broker::take_report`]); only a new block of credit, or a token whose state
//! changed, must become durable before the answer ([`Broker::finish_report`]).

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, ClassId, LeaseId, NetworkId, TeamId, TokenId};
use crate::domain::audit::STATE_FOUND;
use crate::domain::credit::BucketKey;
use crate::domain::lease::LeaseState;
use crate::domain::networks::{Answer, ErrorClass, Owner, Purpose, Purposes, classify, read_usage};
use crate::domain::notice::{Event, Fact, of_block, of_change};
use crate::domain::pool::{CallReport, Effect, ReportError, Verdict, account_in, app_in};
use crate::domain::probe::SETTLED_AFTER;
use crate::domain::reach::lost_permission;
use crate::domain::token::{Finding, Reason, Token, TokenState};
use crate::engine::{LeasePlace, PendingTopUp, ReportFailure, ReportOutcome, UsageReport};
use crate::service::tokens::{ATTEMPTS, TokenError};
use crate::service::{Broker, Caller, Forbidden, tell};
use crate::store::{StoreError, TokenChange, TokenChangeError, Trail};

/// How far back the time of a network's answer is believed.
const OLDEST_ANSWER: Duration = Duration::from_secs(3600);

/// What the network answered last.
#[derive(Debug, Clone, Default)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// When it came, by the collector's clock; `None`: now.
    pub received_at: Option<Timestamp>,
}

/// What a collector reports.
#[derive(Debug, Clone, Default)]
pub struct ReportUsage {
    /// The number of the report in its lease.
    pub sequence: u64,
    /// Calls that reached the network, or may have.
    pub used: u64,
    /// Calls of these that the network served.
    pub served: u64,
    /// Calls that surely did not reach it.
    pub not_sent: u64,
    /// Calls of those used that the network refused for a limit, by the collector's own count.
    pub throttled: u64,
    /// Calls of those used that the network answered with another error, by the collector's own count.
    pub errors: u64,
    /// What the network answered last.
    pub answer: Option<Answered>,
    /// Calls more that are wanted, all or none.
    pub want_calls: u64,
    /// Further different keys that the wanted calls will ask for.
    pub want_keys: Vec<String>,
}

/// Where a lease stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// How to go on.
    pub verdict: Verdict,
    /// Calls granted by this report.
    pub calls_granted: u64,
    /// Calls granted and not reported.
    pub calls_left: u64,
    /// The highest report number settled.
    pub sequence: u64,
    /// Until when calls may be made.
    pub use_by: Timestamp,
    /// When to ask again, where wanted calls were not granted.
    pub retry_at: Option<Timestamp>,
}

/// Why a call about a lease was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LeaseCallError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such lease, or it is somebody else's.
    #[error("there is no lease '{0}' of this caller; acquire a new one")]
    NotFound(LeaseId),
    /// The lease's time is over.
    #[error("the lease '{0}' has expired, and what it had not reported counts as spent; acquire a new one")]
    Expired(LeaseId),
    /// The lease has ended in another way.
    #[error("the lease '{lease}' was {}; acquire a new one", .state.as_str())]
    Ended {
        /// The lease.
        lease: LeaseId,
        /// How it ended.
        state: LeaseState,
    },
    /// The report names more calls than the lease holds.
    #[error(
        "the report names {reported} calls, but the lease holds {left}; report each call once, and only calls that were granted"
    )]
    MoreThanGranted {
        /// Calls in the report.
        reported: u64,
        /// Calls the lease holds.
        left: u64,
    },
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What somebody else spent of an account.
struct ForeignSpend {
    bucket: BucketKey,
    owner: Owner,
    class: ClassId,
    units: u64,
}

/// A report that was settled in memory, and that must be finished before it is acknowledged.
#[must_use = "an answer must be durable before it is given"]
pub struct OpenReport {
    lease: LeaseId,
    place: LeasePlace,
    outcome: ReportOutcome,
    pending: Option<PendingTopUp>,
    throttled: u64,
}

/// A report that was taken in.
pub enum TakenReport {
    /// It can be acknowledged.
    Settled(Standing),
    /// Something must become durable first.
    Open(Box<OpenReport>),
}

impl Broker {
    /// The lease, if the caller may end it: the holder, or an admin.
    fn endable_lease(&self, caller: &Caller, lease: LeaseId) -> Result<LeasePlace, LeaseCallError> {
        let place = self.engine.place(lease).ok_or(LeaseCallError::NotFound(lease))?;
        let may = caller.holds(place.collector) || caller.must_be_admin().is_ok();
        if may { Ok(place) } else { Err(LeaseCallError::NotFound(lease)) }
    }

    /// The lease, if the caller holds it and may work with it.
    pub fn held_lease(&self, caller: &Caller, lease: LeaseId) -> Result<LeasePlace, LeaseCallError> {
        caller.must_be_enabled()?;
        let place = self.engine.place(lease).ok_or(LeaseCallError::NotFound(lease))?;
        if caller.holds(place.collector) { Ok(place) } else { Err(LeaseCallError::NotFound(lease)) }
    }

    /// Tells more of a lease that is not held: whether it was once the caller's, and how it ended.
    pub async fn explain_missing(&self, caller: &Caller, error: LeaseCallError) -> LeaseCallError {
        let LeaseCallError::NotFound(lease) = error else { return error };
        let row = match self.store.find_lease(lease).await {
            Ok(Some(row)) => row,
            Ok(None) => return error,
            Err(error) => return error.into(),
        };
        if !caller.holds(row.collector) && caller.must_be_admin().is_err() {
            return error;
        }
        if self.engine.place(lease).is_some() {
            return error;
        }
        match row.state {
            LeaseState::Expired => LeaseCallError::Expired(lease),
            LeaseState::Open if row.expires_at <= self.now() => LeaseCallError::Expired(lease),
            // It left the pool a moment ago, and its end is not written yet.
            LeaseState::Open | LeaseState::Released => LeaseCallError::Ended { lease, state: LeaseState::Released },
            LeaseState::Recalled => LeaseCallError::Ended { lease, state: LeaseState::Recalled },
        }
    }

    /// Takes a report in, and grants what is wanted if it is there.
    pub async fn report_usage(
        &self,
        caller: &Caller,
        lease: LeaseId,
        report: ReportUsage,
    ) -> Result<Standing, LeaseCallError> {
        match self.take_report(caller, lease, report) {
            Ok(TakenReport::Settled(standing)) => Ok(standing),
            // In boxes, so that a report which needs neither does not carry their room.
            Ok(TakenReport::Open(open)) => Box::pin(self.finish_report(*open)).await,
            Err(error) => Err(Box::pin(self.explain_missing(caller, error)).await),
        }
    }

    /// Settles a report in memory: never waits. An unknown lease is [`LeaseCallError::NotFound`], whatever became of it.
    pub fn take_report(
        &self,
        caller: &Caller,
        lease: LeaseId,
        report: ReportUsage,
    ) -> Result<TakenReport, LeaseCallError> {
        let place = self.held_lease(caller, lease)?;
        self.settle(caller, place, lease, report)
    }

    fn settle(
        &self,
        caller: &Caller,
        place: LeasePlace,
        lease: LeaseId,
        report: ReportUsage,
    ) -> Result<TakenReport, LeaseCallError> {
        let throttled = report.throttled;
        let usage = self.understand(caller, &place, report);
        let (outcome, pending) = self.engine.report(&place, lease, &usage).map_err(|failure| failed(lease, failure))?;
        if pending.is_none() && outcome.effects.is_empty() {
            return Ok(TakenReport::Settled(standing(outcome)));
        }
        Ok(TakenReport::Open(Box::new(OpenReport { lease, place, outcome, pending, throttled })))
    }

    /// Takes in the report of a call that the broker made itself, and waits until what it led to is durable. Returns what is thought of the
    /// token then.
    ///
    /// # Errors
    /// What the store said; nothing if the lease is not open any more.
    pub(in crate::service) async fn report_own_call(
        &self,
        lease: LeaseId,
        report: CallReport,
    ) -> Result<Verdict, Option<StoreError>> {
        let place = self.engine.place(lease).ok_or(None)?;
        let usage = UsageReport { report, may_want: Purposes::default(), want_calls: 0, want_keys: Vec::new() };
        let (outcome, pending) = self.engine.report(&place, lease, &usage).map_err(|failure| match failure {
            ReportFailure::Store(error) => Some(error),
            ReportFailure::Report(_) => None,
        })?;
        let finished = self.finish_report(OpenReport { lease, place, outcome, pending, throttled: 0 }).await;
        finished.map(|standing| standing.verdict).map_err(|error| match error {
            LeaseCallError::Store(error) => Some(error),
            _ => None,
        })
    }

    /// Waits until what a report led to is durable. It becomes so even if nobody waits.
    pub async fn finish_report(&self, open: OpenReport) -> Result<Standing, LeaseCallError> {
        let OpenReport { lease, place, mut outcome, pending, throttled } = open;
        let effects = std::mem::take(&mut outcome.effects);
        let carried_out = (!effects.is_empty()).then(|| self.start_effects(&place, outcome.token, effects, throttled));
        if let Some(pending) = pending {
            self.engine.finish_report(&place, lease, &mut outcome, pending).await;
        }
        if let Some(carried_out) = carried_out {
            carried_out.await.unwrap_or(Err(StoreError::Closed))?;
        }
        Ok(standing(outcome))
    }

    /// Carries the effects out in a task of their own, which a client that goes away does not stop.
    fn start_effects(
        &self,
        place: &LeasePlace,
        token: TokenId,
        effects: Vec<Effect>,
        throttled: u64,
    ) -> oneshot::Receiver<Result<(), StoreError>> {
        let (reply, answer) = oneshot::channel();
        let (broker, place) = (self.clone(), place.clone());
        self.tasks.spawn("report effects", async move {
            // Nobody waits any more, if the client has left.
            let _ = reply.send(broker.carry_out(&place, token, effects, throttled).await);
        });
        answer
    }

    fn understand(&self, caller: &Caller, place: &LeasePlace, report: ReportUsage) -> UsageReport {
        let network = place.network();
        let mut call = CallReport {
            sequence: report.sequence,
            used: report.used,
            unused: report.not_sent,
            throttled: report.throttled,
            errors: report.errors,
            answered: report.answer.is_some(),
            answered_at: None,
            class: class_of_counts(&report),
            retry_after: None,
            readings: Vec::new(),
        };
        if let Some(answered) = &report.answer {
            let answer = Answer { status: answered.status, headers: &answered.headers, body: &answered.body };
            let classified = classify(network, &answer);
            call.class = classified.class;
            call.retry_after = classified.retry_after;
            if answered.received_at.is_some() || !answered.headers.is_empty() {
                let now = self.now();
                call.answered_at = answered.received_at.filter(|at| *at <= now && now.since(*at) <= OLDEST_ANSWER);
                call.readings = read_usage(network, &answered.headers, call.answered_at.unwrap_or(now));
            }
        }
        let may_want = may_want(caller, &network.id);
        UsageReport { report: call, may_want, want_calls: report.want_calls, want_keys: report.want_keys }
    }

    /// Carries out what follows from a report. A token's end is durable before the report is acknowledged.
    async fn carry_out(
        &self,
        place: &LeasePlace,
        token: TokenId,
        effects: Vec<Effect>,
        throttled: u64,
    ) -> Result<(), StoreError> {
        let mut notes = Vec::new();
        for effect in effects {
            match effect {
                Effect::Found { token, version, finding } => self.note_finding(token, version, finding).await?,
                Effect::Throttled(class) => {
                    self.metrics.network(&place.network().id).throttled(throttled.max(1));
                    tracing::warn!(network = %place.network().id, %token, ?class, "a network refused a call for a limit");
                }
                Effect::ForeignSpend { bucket, owner, class, units } => {
                    tracing::info!(%bucket, units, "somebody else spends credit of an account that the broker uses");
                    let class = place.network().classes[class].id.clone();
                    self.tell_of_foreign_spend(place, token, ForeignSpend { bucket, owner, class, units }).await?;
                }
                Effect::Note(note) => notes.push(note),
                Effect::AppRefused => {
                    tracing::error!(network = %place.network().id, "a network refuses the app itself; check its registration and secret");
                }
                Effect::OperationRefused { operation, rests } => {
                    self.tell_of_refused_operation(place, token, operation).await?;
                    if rests {
                        // What every app may do shows whether it is the app that is refused.
                        self.store.hasten_probe(token, self.now()).await?;
                    }
                }
                Effect::ManyRefused => {
                    tracing::error!(network = %place.network().id, %token, "a network refuses several tokens of one app alike, and none works; look at the app there, and at what collectors send");
                }
                Effect::Recall(_) | Effect::IncidentBegan(_) => {}
            }
        }
        if !notes.is_empty() {
            self.engine.write_notes(notes).await?;
        }
        Ok(())
    }

    /// Tells that somebody else spends an account's credit: of each account and class once a day. Of a token's, its person's or profile's the
    /// team hears whose token it is; of what all tokens of an app or of the broker share, operators.
    async fn tell_of_foreign_spend(
        &self,
        place: &LeasePlace,
        token: TokenId,
        spend: ForeignSpend,
    ) -> Result<(), StoreError> {
        let ForeignSpend { bucket, owner, class, units: credits } = spend;
        let (network, now) = (place.network().id.clone(), self.now());
        let (team, fact) = if owner.is_own() {
            (Some(place.team.clone()), Fact::OutOfBandSpending { network, token, class, credits })
        } else {
            let app = app_in(&bucket).and_then(|app| app.parse().ok());
            (None, Fact::SharedSpending { network, app, class, credits })
        };
        let day = now.secs().div_euclid(86_400);
        let of_whom = team.as_ref().map_or("operators", TeamId::as_str);
        let key = format!("{}/out_of_band/{of_whom}/{day}", account_in(&bucket));
        if !self.told_today.is_new(day, &key) {
            return Ok(());
        }
        self.tell_once_a_day(day, vec![tell::event(now, team, fact, key)]).await
    }

    /// Writes events that have not been written that day.
    async fn tell_once_a_day(&self, day: i64, events: Vec<Event>) -> Result<(), StoreError> {
        let keys: Vec<String> = events.iter().map(|event| event.dedup_key.clone()).collect();
        self.store.append_events(events).await?;
        self.told_today.note(day, keys);
        Ok(())
    }

    /// Tells that an operation is refused to everybody who asks through a token's app: operators and the team that asked, once a day.
    async fn tell_of_refused_operation(
        &self,
        place: &LeasePlace,
        token: TokenId,
        operation: u16,
    ) -> Result<(), StoreError> {
        let (network, now) = (place.network(), self.now());
        let Some(operation) = network.operations.get(usize::from(operation)).map(|operation| &operation.id) else {
            return Ok(());
        };
        let app = self.engine.look(&network.id, |pool| pool.app_of(token)).flatten();
        let Some(app) = app.and_then(|app| app.parse::<AppId>().ok()) else { return Ok(()) };
        let day = now.secs().div_euclid(86_400);
        let mut events = Vec::new();
        for team in [None, Some(place.team.clone())] {
            let of_whom = team.as_ref().map_or("operators", TeamId::as_str);
            let key = format!("{}/{app}/{operation}/refused/{of_whom}/{day}", network.id);
            if self.told_today.is_new(day, &key) {
                let (network, app, operation) = (network.id.clone(), app.clone(), operation.clone());
                events.push(tell::event(now, team, Fact::OperationRefused { network, app, operation }, key));
            }
        }
        if events.is_empty() {
            return Ok(());
        }
        tracing::error!(network = %network.id, %app, %operation, "a network refuses an operation to everybody who asks through an app; look at the app's access level there, and at what collectors ask for");
        self.tell_once_a_day(day, events).await
    }

    /// Writes what was found out about a token: its stored state changes by it, from whatever it is by now.
    async fn note_finding(&self, token: TokenId, version: u32, finding: Finding) -> Result<(), StoreError> {
        let _changes = self.changes.token(token).await;
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.store.find_token(token).await? else { return Ok(()) };
            let (after, detail) = self.after(&stored.token, finding);
            if stored.token.version != version || after == stored.token {
                return Ok(());
            }
            let subject = format!("teams/{}/tokens/{token}", stored.token.team);
            let mut audit = self.audit(&Caller::Broker, STATE_FOUND, subject, detail);
            audit.team = Some(stored.token.team.clone());
            let own = !self.engine.incident_speaks_for(&stored.token.network, token);
            let lives = stored.token.state != TokenState::Live && after.state == TokenState::Live;
            let recovered = lives || finding == Finding::Unblocked;
            let recovery = if recovered { self.recovery(&after).await? } else { None };
            let events = self.found_event(&stored.token, &after, finding).filter(|_| own).or(recovery);
            let change = TokenChange {
                expected_version: version,
                expected_state: stored.token.state,
                token: after,
                secrets: None,
                trail: Trail::from(audit).telling(events),
                revocation: None,
                alerts: Vec::new(),
            };
            let settled_by_renewal = matches!(finding, Finding::Dead(Reason::Expired | Reason::NotAccepted));
            let in_doubt = finding == Finding::Doubtful;
            match self.store.change_token(change).await {
                Ok(_) if in_doubt => return self.store.hasten_probe(token, self.now() + SETTLED_AFTER).await,
                Ok(_) if settled_by_renewal => return self.hasten_renewal(&stored.token).await,
                Ok(_) => return Ok(()),
                Err(TokenChangeError::Changed { .. }) => {}
                Err(TokenChangeError::Store(error)) => return Err(error),
                // It is gone, or as dead as can be.
                Err(TokenChangeError::NotFound(_) | TokenChangeError::Revoked(_)) => return Ok(()),
                Err(error @ TokenChangeError::Duplicate) => {
                    tracing::error!(%token, %error, "a token's state could not be written");
                    return Ok(());
                }
            }
        }
        Err(StoreError::Unavailable(Arc::new(TokenError::Contended(token))))
    }

    /// What people are told of a token about which something was found out.
    fn found_event(&self, before: &Token, after: &Token, finding: Finding) -> Option<Event> {
        match finding {
            Finding::Closed(_) => {
                let network = self.catalogue.network(after.network.as_str())?;
                Some(tell::of_need(after, lost_permission(network, after)?, self.now()))
            }
            Finding::Blocked => of_block(after, self.now()),
            _ => of_change(before.state, after, self.now()),
        }
    }

    /// The token after something was found out about it, and what the audit says of that.
    fn after(&self, before: &Token, finding: Finding) -> (Token, String) {
        let mut token = before.clone();
        token.state = before.state.after(finding, self.now());
        let network = self.catalogue.network(before.network.as_str());
        let closed = match finding {
            Finding::Closed(at) => network.and_then(|network| network.operations.get(usize::from(at))),
            Finding::Blocked => {
                token.blocked_since.get_or_insert(self.now());
                return (token, "blocked".to_owned());
            }
            Finding::Unblocked => {
                token.blocked_since = None;
                return (token, "unblocked".to_owned());
            }
            _ => None,
        };
        let Some(closed) = closed else {
            let detail = format!("from={} to={}", before.state.as_str(), token.state.as_str());
            return (token, detail);
        };
        token.closed.entry(closed.id.clone()).or_insert(self.now());
        (token, format!("closed={} reason=permission_lost", closed.id))
    }

    /// Moves the end of a lease. Returns until when its calls may be made, and its end.
    pub async fn extend_lease(
        &self,
        caller: &Caller,
        lease: LeaseId,
        ttl: Option<Duration>,
    ) -> Result<(Timestamp, Timestamp), LeaseCallError> {
        let ttl = ttl.unwrap_or(self.config.credit.lease_ttl).min(self.config.credit.lease_ttl_max);
        let extended = match self.held_lease(caller, lease) {
            Ok(_) => self.engine.extend(lease, ttl).await.map_err(|failure| failed(lease, failure)),
            Err(error) => Err(error),
        };
        match extended {
            Ok(times) => Ok(times),
            Err(error) => Err(self.explain_missing(caller, error).await),
        }
    }

    /// Ends a lease, after its last report if there is one. Returns the calls that came back; 0 if it was released before.
    pub async fn release_lease(
        &self,
        caller: &Caller,
        lease: LeaseId,
        last: Option<ReportUsage>,
    ) -> Result<u64, LeaseCallError> {
        match self.release_held(caller, lease, last).await {
            Ok(returned) => Ok(returned),
            Err(error) => match self.explain_missing(caller, error).await {
                LeaseCallError::Ended { .. } => Ok(0),
                error => Err(error),
            },
        }
    }

    async fn release_held(
        &self,
        caller: &Caller,
        lease: LeaseId,
        last: Option<ReportUsage>,
    ) -> Result<u64, LeaseCallError> {
        let place = self.endable_lease(caller, lease)?;
        let network = place.network().id.clone();
        let mut returned = 0;
        if let Some(report) = last {
            returned += report.not_sent;
            if let TakenReport::Open(open) =
                self.settle(caller, place, lease, ReportUsage { want_calls: 0, ..report })?
            {
                self.finish_report(*open).await?;
            }
        }
        returned += self.engine.release(lease).map_err(|error| failed(lease, error.into()))?;
        self.proofs.forget(lease);
        self.metrics.network(&network).lease_closed();
        Ok(returned)
    }
}

/// The purposes for which a caller may have more calls of a network, as its scope stands now.
fn may_want(caller: &Caller, network: &NetworkId) -> Purposes {
    match caller.collector() {
        Some(collector) if collector.scope.reaches(network) => collector.scope.purposes,
        Some(_) => Purposes::default(),
        None => Purpose::ALL.into_iter().collect(),
    }
}

fn standing(outcome: ReportOutcome) -> Standing {
    Standing {
        verdict: outcome.verdict,
        calls_granted: outcome.calls_granted,
        calls_left: outcome.calls_left,
        sequence: outcome.sequence,
        use_by: outcome.use_by,
        retry_at: outcome.retry_at,
    }
}

/// What the counts alone tell, where no answer came with them. Only calls that were served prove that a token works.
fn class_of_counts(report: &ReportUsage) -> ErrorClass {
    match report {
        report if report.throttled > 0 => ErrorClass::RateLimitedToken,
        report if report.used > 0 && report.served == 0 => ErrorClass::Transient,
        _ => ErrorClass::Ok,
    }
}

fn failed(lease: LeaseId, failure: ReportFailure) -> LeaseCallError {
    match failure {
        ReportFailure::Report(ReportError::UnknownLease) => LeaseCallError::NotFound(lease),
        ReportFailure::Report(ReportError::Recalled) => LeaseCallError::Ended { lease, state: LeaseState::Recalled },
        ReportFailure::Report(ReportError::MoreThanGranted { reported, left }) => {
            LeaseCallError::MoreThanGranted { reported, left }
        }
        ReportFailure::Store(StoreError::NotFound { .. }) => LeaseCallError::NotFound(lease),
        ReportFailure::Store(error) => LeaseCallError::Store(error),
    }
}
