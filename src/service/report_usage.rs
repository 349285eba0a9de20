//! A collector says what it did with a lease, extends it or gives it back.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{LeaseId, TokenId};
use crate::domain::networks::{Answer, ErrorClass, classify, read_usage};
use crate::domain::pool::{CallReport, Effect, ReportError, Verdict};
use crate::domain::token::TokenState;
use crate::engine::{LeasePlace, ReportFailure, UsageReport};
use crate::service::{Broker, Caller};
use crate::store::{StoreError, TokenChange};

/// What the network answered last.
#[derive(Debug, Clone, Default)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// What a collector reports.
#[derive(Debug, Clone, Default)]
pub struct ReportUsage {
    /// The number of the report in its lease.
    pub sequence: u64,
    /// Calls that reached the network, or may have.
    pub used: u64,
    /// Calls that surely did not.
    pub not_sent: u64,
    /// Calls of these that the network refused for a limit, by the collector's own count.
    pub throttled: u64,
    /// What the network answered last.
    pub answer: Option<Answered>,
    /// Calls more that are wanted.
    pub want_calls: u64,
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
    /// When to ask again.
    pub retry_at: Option<Timestamp>,
}

/// Why a call about a lease was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LeaseCallError {
    /// There is no such lease, or it is somebody else's.
    #[error("there is no lease '{0}' of this caller; it may have expired or been released: acquire a new one")]
    NotFound(LeaseId),
    /// The lease can't take this.
    #[error(transparent)]
    Report(ReportError),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too much waits for the store.
    #[error("the broker has more to write than it can take; try again shortly")]
    Overloaded,
}

impl Broker {
    /// The lease, if the caller holds it or is an admin.
    pub fn held_lease(&self, caller: &Caller, lease: LeaseId) -> Result<LeasePlace, LeaseCallError> {
        let place = self.engine.place(lease).ok_or(LeaseCallError::NotFound(lease))?;
        let holds = match caller.collector() {
            Some(collector) => place.collector == Some(collector.id),
            None => caller.must_be_admin().is_ok(),
        };
        if holds { Ok(place) } else { Err(LeaseCallError::NotFound(lease)) }
    }

    /// Takes a report in, and grants what is wanted if it is there.
    pub async fn report_usage(
        &self,
        caller: &Caller,
        lease: LeaseId,
        report: ReportUsage,
    ) -> Result<Standing, LeaseCallError> {
        let place = self.held_lease(caller, lease)?;
        let usage = self.understand(&place, &report);
        let held = self.engine.lease(lease);
        let token = held.as_ref().map(|view| view.token);
        let outcome = self.engine.report(lease, &usage).await.map_err(|failure| failed(lease, failure))?;
        if let Some(held) = held.filter(|_| !outcome.repeated) {
            self.usage.count(place.network(), &held, &report, usage.report.class, self.now());
        }
        if !outcome.effects.is_empty() {
            self.carry_out(&place, token, outcome.effects).await?;
        }
        Ok(Standing {
            verdict: outcome.verdict,
            calls_granted: outcome.calls_granted,
            calls_left: outcome.calls_left,
            sequence: report.sequence,
            use_by: outcome.use_by,
            retry_at: outcome.retry_at,
        })
    }

    fn understand(&self, place: &LeasePlace, report: &ReportUsage) -> UsageReport {
        let network = place.network();
        let mut call = CallReport {
            sequence: report.sequence,
            used: report.used,
            unused: report.not_sent,
            class: ErrorClass::Ok,
            retry_after: None,
            readings: Vec::new(),
        };
        if let Some(answered) = &report.answer {
            let answer = Answer { status: answered.status, headers: &answered.headers, body: &answered.body };
            let classified = classify(network, &answer);
            call.class = classified.class;
            call.retry_after = classified.retry_after;
            call.readings = read_usage(network, &answered.headers, self.now());
        }
        UsageReport { report: call, want_calls: report.want_calls }
    }

    /// Carries out what follows from a report. A token's end is durable before the report is acknowledged.
    async fn carry_out(
        &self,
        place: &LeasePlace,
        token: Option<TokenId>,
        effects: Vec<Effect>,
    ) -> Result<(), LeaseCallError> {
        let mut notes = Vec::new();
        for effect in effects {
            match effect {
                Effect::TokenState(token, state) => self.token_state_changed(token, state).await?,
                Effect::Throttled(class) => {
                    self.metrics.network(&place.network().id).throttled(1);
                    tracing::warn!(network = %place.network().id, ?token, ?class, "a network refused a call for a limit");
                }
                Effect::ForeignSpend(bucket, units) => {
                    tracing::info!(%bucket, units, "somebody else spends credit of an account that the broker uses");
                }
                Effect::Note(note) => notes.push(note),
                Effect::AppRefused => {
                    tracing::error!(network = %place.network().id, "a network refuses the app itself; check its registration and secret");
                }
                Effect::Recall(_) => {}
            }
        }
        if !notes.is_empty() {
            self.engine.write_notes(notes).await?;
        }
        Ok(())
    }

    async fn token_state_changed(&self, token: TokenId, state: TokenState) -> Result<(), StoreError> {
        let _changes = self.changes.token(token).await;
        let Some(stored) = self.store.find_token(token).await? else { return Ok(()) };
        if stored.token.state == state {
            return Ok(());
        }
        let mut audit = self.audit(
            &Caller::Broker,
            "token.state",
            format!("teams/{}/tokens/{token}", stored.token.team),
            format!("from={} to={}", stored.token.state.as_str(), state.as_str()),
        );
        audit.team = Some(stored.token.team.clone());
        let change = TokenChange {
            expected_version: stored.token.version,
            expected_state: stored.token.state,
            token: crate::domain::token::Token { state, ..stored.token },
            secrets: None,
            audit: vec![audit],
            outbox: Vec::new(),
            alerts: Vec::new(),
        };
        match self.store.change_token(change).await {
            Ok(()) => Ok(()),
            Err(crate::store::TokenChangeError::Store(error)) => Err(error),
            Err(error) => {
                tracing::info!(%token, %error, "a token was changed by somebody else at the same time");
                Ok(())
            }
        }
    }

    /// Moves the end of a lease. Returns until when its calls may be made, and its end.
    pub async fn extend_lease(
        &self,
        caller: &Caller,
        lease: LeaseId,
        ttl: Option<Duration>,
    ) -> Result<(Timestamp, Timestamp), LeaseCallError> {
        self.held_lease(caller, lease)?;
        let ttl = ttl.unwrap_or(self.config.credit.lease_ttl).min(self.config.credit.lease_ttl_max);
        self.engine.extend(lease, ttl).await.map_err(|failure| failed(lease, failure))
    }

    /// Ends a lease, after its last report if there is one. Returns the calls that came back.
    pub async fn release_lease(
        &self,
        caller: &Caller,
        lease: LeaseId,
        last: Option<ReportUsage>,
    ) -> Result<u64, LeaseCallError> {
        let place = self.held_lease(caller, lease)?;
        if let Some(report) = last {
            self.report_usage(caller, lease, ReportUsage { want_calls: 0, ..report }).await?;
        }
        let returned = self.engine.release(lease).map_err(|error| failed(lease, error.into()))?;
        self.metrics.network(&place.network().id).lease_closed();
        Ok(returned)
    }
}

fn failed(lease: LeaseId, failure: ReportFailure) -> LeaseCallError {
    match failure {
        ReportFailure::Report(ReportError::UnknownLease) => LeaseCallError::NotFound(lease),
        ReportFailure::Report(error) => LeaseCallError::Report(error),
        ReportFailure::Store(error) => LeaseCallError::Store(error),
        ReportFailure::Overloaded => LeaseCallError::Overloaded,
    }
}
