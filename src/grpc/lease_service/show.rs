//! Writes answers.

use crate::base::clock::Timestamp;
use crate::domain::lease::LeaseState;
use crate::domain::networks::{Network, TokenKind};
use crate::domain::pool::{LeaseView, Verdict};
use crate::domain::token::Reason;
use crate::grpc::convert::{from_purpose, optional_timestamp};
use crate::grpc::lease_service::{at, report_within};
use crate::grpc::pb;
use crate::service::{Caller, LeaseRecord, LeasedToken, Standing};

/// A lease that was given: `lease` holds what the request told of it.
pub fn leased(lease: pb::Lease, leased: LeasedToken, caller: &Caller) -> pb::Lease {
    let grant = |(class, units): (_, u64)| pb::Grant { credit_class: class_name(class), credits: saturated(units) };
    pb::Lease {
        name: format!("leases/{}", leased.lease),
        token: format!("{}/tokens/{}", lease.team, leased.token),
        access_token: leased.access_token.expose().to_owned(),
        kind: leased.kind.to_string(),
        profile: leased.profile.as_deref().unwrap_or_default().to_owned(),
        request_parameters: leased.parameters,
        api_base: leased.api_base,
        proof_required: leased.is_bound,
        grants: leased.grants.into_iter().map(grant).collect(),
        calls_granted: calls(leased.calls),
        calls_left: calls(leased.calls_left),
        use_by: at(leased.use_by),
        expire_time: at(leased.expires_at),
        report_interval: Some(report_within(leased.expires_at.since(leased.opened_at))),
        holder: caller
            .collector()
            .map(|holder| format!("teams/{}/collectors/{}", holder.team, holder.id))
            .unwrap_or_default(),
        create_time: at(leased.opened_at),
        state: pb::LeaseState::Active.into(),
        ..lease
    }
}

fn class_name(class: crate::base::ids::ClassId) -> String {
    class.to_string()
}

/// A lease as people see it: without its access token. `network`: its network's entry, if the catalogue still has it.
pub fn record(record: LeaseRecord, network: Option<&Network>) -> pb::Lease {
    let LeaseRecord { lease, ended_at, kind, calls_granted, calls_left, server } = record;
    let costs =
        network.and_then(|network| network.operation(lease.operation.as_str())).map(|operation| &operation.costs);
    let grants = costs.into_iter().flatten().map(|cost| pb::Grant {
        credit_class: cost.class.to_string(),
        credits: saturated(cost.units.saturating_mul(calls_granted)),
    });
    let named = kind.as_ref().map_or("", |kind| kind.as_str());
    let api_base = server.or_else(|| network.map(|network| network.api_base_for(named).to_owned()));
    let is_bound = network.and_then(|network| network.kind(named)).is_some_and(TokenKind::is_bound);
    let state = match lease.state {
        LeaseState::Open => pb::LeaseState::Active,
        LeaseState::Released => pb::LeaseState::Released,
        LeaseState::Expired => pb::LeaseState::Expired,
        LeaseState::Recalled => pb::LeaseState::Recalled,
    };
    let holder = lease.collector.map(|collector| format!("teams/{}/collectors/{collector}", lease.team));
    pb::Lease {
        name: format!("leases/{}", lease.id),
        team: format!("teams/{}", lease.team),
        network: format!("networks/{}", lease.network),
        operation: lease.operation.to_string(),
        token: format!("teams/{}/tokens/{}", lease.team, lease.token),
        access_token: String::new(),
        kind: kind.map(|kind| kind.to_string()).unwrap_or_default(),
        profile: lease.profile,
        request_parameters: Default::default(),
        api_base: api_base.unwrap_or_default(),
        grants: grants.collect(),
        calls_granted: calls(calls_granted),
        calls_left: calls(calls_left),
        use_by: at(lease.use_by),
        expire_time: at(lease.expires_at),
        report_interval: Some(report_within(lease.expires_at.since(lease.opened_at))),
        collection: lease.collection,
        purpose: from_purpose(lease.purpose).into(),
        holder: holder.unwrap_or_default(),
        create_time: at(lease.opened_at),
        state: state.into(),
        end_time: optional_timestamp(ended_at),
        proof_required: is_bound,
    }
}

/// Where a lease stands after a report.
pub fn standing(standing: &Standing, now: Timestamp) -> pb::ReportUsageResponse {
    let (verdict, reason, stop_until) = verdict(standing.verdict);
    pb::ReportUsageResponse {
        calls_granted: calls(standing.calls_granted),
        calls_left: calls(standing.calls_left),
        verdict: verdict.into(),
        reason: reason.into(),
        sequence: saturated(standing.sequence),
        use_by: at(standing.use_by),
        stop_until: optional_timestamp(stop_until.or(standing.retry_at)),
        next_report: Some(report_within(standing.use_by.since(now))),
    }
}

/// Where a lease stands, without a report.
pub fn lease_standing(view: &LeaseView, told: Verdict) -> pb::LeaseStanding {
    let (verdict, reason, stop_until) = verdict(told);
    pb::LeaseStanding {
        lease: format!("leases/{}", view.lease),
        verdict: verdict.into(),
        reason: reason.into(),
        calls_left: calls(view.calls_left),
        sequence: saturated(view.sequence),
        use_by: at(view.use_by),
        expire_time: at(view.expires_at),
        stop_until: optional_timestamp(stop_until),
    }
}

/// A lease's times after it was extended.
pub fn extended(use_by: Timestamp, end: Timestamp) -> pb::ExtendLeaseResponse {
    pb::ExtendLeaseResponse { use_by: at(use_by), expire_time: at(end) }
}

/// What came of a lease.
pub fn released(returned: u64) -> pb::ReleaseLeaseResponse {
    pb::ReleaseLeaseResponse { calls_returned: calls(returned) }
}

/// A verdict, the reason of a dead token, and until when to stop.
pub fn verdict(verdict: Verdict) -> (pb::Verdict, pb::TokenReason, Option<Timestamp>) {
    let none = pb::TokenReason::Unspecified;
    match verdict {
        Verdict::Keep => (pb::Verdict::Keep, none, None),
        Verdict::StopUntil(until) => (pb::Verdict::StopUntil, none, Some(until)),
        Verdict::TokenDead(reason) => (pb::Verdict::TokenDead, token_reason(reason), None),
        Verdict::Suspect => (pb::Verdict::TokenDead, none, None),
        Verdict::Recalled => (pb::Verdict::Recalled, none, None),
    }
}

fn token_reason(reason: Reason) -> pb::TokenReason {
    match reason {
        Reason::Expired => pb::TokenReason::Expired,
        Reason::PasswordChanged => pb::TokenReason::PasswordChanged,
        Reason::PermissionLost => pb::TokenReason::PermissionLost,
        Reason::RevokedByPerson => pb::TokenReason::RevokedByPerson,
        Reason::PersonBlocked => pb::TokenReason::PersonBlocked,
        Reason::AppDisabled => pb::TokenReason::AppDisabled,
        Reason::PlatformReset => pb::TokenReason::PlatformReset,
        Reason::RefreshRejected => pb::TokenReason::RefreshRejected,
        Reason::SecretDamaged => pb::TokenReason::SecretDamaged,
        Reason::NotAccepted => pb::TokenReason::NotAccepted,
    }
}

fn calls(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
