//! What is shown of leases and of what is done with them.

use super::super::names::short;
use super::super::table::{Cell, Column, Tone, View};
use super::super::times::{about, exact};
use super::super::words::word_of;
use crate::grpc::pb;

/// A line for each lease.
pub const COLUMNS: &[Column<pb::Lease>] = &[
    Column::text("LEASE", |lease, _| short(&lease.name).into()),
    Column::minor_text("TEAM", |lease, _| short(&lease.team).into()),
    Column::text("NETWORK", |lease, _| short(&lease.network).into()),
    Column::minor_text("OPERATION", |lease, _| lease.operation.as_str().into()),
    Column::minor_text("TOKEN", |lease, _| short(&lease.token).into()),
    Column::minor_text("HOLDER", |lease, _| short(&lease.holder).into()),
    Column::minor_text("COLLECTION", |lease, _| lease.collection.as_str().into()),
    Column::minor_number("GRANTED", |lease, _| lease.calls_granted.into()),
    Column::number("LEFT", |lease, _| lease.calls_left.into()),
    Column::text("STATE", state),
    Column::text("USE BY", |lease, view| view.time(lease.use_by.as_ref())),
    Column::text("ENDS", |lease, view| view.time(lease.end_time.as_ref().or(lease.expire_time.as_ref()))),
];

/// All of one lease.
pub const FIELDS: &[Column<pb::Lease>] = &[
    Column::text("lease", |lease, _| lease.name.as_str().into()),
    Column::text("state", state),
    Column::text("team", |lease, _| short(&lease.team).into()),
    Column::text("network", |lease, _| short(&lease.network).into()),
    Column::text("operation", |lease, _| lease.operation.as_str().into()),
    Column::text("purpose", |lease, _| word_of::<pb::Purpose>(lease.purpose).into()),
    Column::text("token", |lease, _| lease.token.as_str().into()),
    Column::text("kind", |lease, _| lease.kind.as_str().into()),
    Column::text("profile", |lease, _| lease.profile.as_str().into()),
    Column::text("api base", |lease, _| lease.api_base.as_str().into()),
    Column::text("proof", |lease, _| if lease.proof_required { "required for each call" } else { "" }.into()),
    Column::text("collection", |lease, _| lease.collection.as_str().into()),
    Column::text("holder", |lease, _| lease.holder.as_str().into()),
    Column::text("credit", |lease, _| credit(lease).into()),
    Column::text("calls granted", |lease, _| lease.calls_granted.into()),
    Column::text("calls left", |lease, _| lease.calls_left.into()),
    Column::text("report every", |lease, _| exact(lease.report_interval.as_ref()).into()),
    Column::text("use by", |lease, view| view.time(lease.use_by.as_ref())),
    Column::text("ends", |lease, view| view.time(lease.expire_time.as_ref())),
    Column::text("acquired", |lease, view| view.time(lease.create_time.as_ref())),
    Column::text("ended", |lease, view| view.time(lease.end_time.as_ref())),
    Column::text("access token", |lease, _| lease.access_token.as_str().into()),
    Column::text("parameters", |lease, _| parameters(lease).into()),
];

/// The answer to a report.
pub const REPORT: &[Column<pb::ReportUsageResponse>] = &[
    Column::text("verdict", verdict),
    Column::text("reason", |answer, _| word_of::<pb::TokenReason>(answer.reason).into()),
    Column::text("stop until", |answer, view| view.time(answer.stop_until.as_ref())),
    Column::text("calls granted", |answer, _| answer.calls_granted.into()),
    Column::text("calls left", |answer, _| answer.calls_left.into()),
    Column::text("sequence", |answer, _| answer.sequence.into()),
    Column::text("use by", |answer, view| view.time(answer.use_by.as_ref())),
    Column::text("next report within", |answer, _| about(answer.next_report.as_ref()).into()),
];

/// The answer to an extension.
pub const EXTENSION: &[Column<pb::ExtendLeaseResponse>] = &[
    Column::text("use by", |answer, view| view.time(answer.use_by.as_ref())),
    Column::text("ends", |answer, view| view.time(answer.expire_time.as_ref())),
];

/// A proof for one call.
pub const PROOF: &[Column<pb::SignProofResponse>] = &[Column::text("proof", |answer, _| answer.proof.as_str().into())];

/// The answer to a release.
pub const RELEASE: &[Column<pb::ReleaseLeaseResponse>] =
    &[Column::text("calls returned", |answer, _| answer.calls_returned.into())];

fn state(lease: &pb::Lease, _: View) -> Cell {
    let tone = match lease.state() {
        pb::LeaseState::Active => Tone::Good,
        pb::LeaseState::Recalled => Tone::Bad,
        _ => Tone::Plain,
    };
    Cell::toned(word_of::<pb::LeaseState>(lease.state), tone)
}

fn verdict(answer: &pb::ReportUsageResponse, _: View) -> Cell {
    let tone = match answer.verdict() {
        pb::Verdict::Keep => Tone::Good,
        pb::Verdict::StopUntil => Tone::Warning,
        _ => Tone::Bad,
    };
    Cell::toned(word_of::<pb::Verdict>(answer.verdict), tone)
}

fn credit(lease: &pb::Lease) -> String {
    lease.grants.iter().map(|grant| format!("{} {}", grant.credits, grant.credit_class)).collect::<Vec<_>>().join(", ")
}

fn parameters(lease: &pb::Lease) -> String {
    lease.request_parameters.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}
