//! Reads requests: every bound of the API is checked here, and all mistakes of a request are told at once.

use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message;

use crate::base::ids::LeaseId;
use crate::domain::lease::Priority;
use crate::domain::networks::Purpose;
use crate::grpc::convert::{from_timestamp, purpose};
use crate::grpc::fields::{from_duration, name_in};
use crate::grpc::pb;
use crate::grpc::status::{FieldMistakes, Refusal};
use crate::service::{AcquireLease, Answered, ReportUsage, SignProof};

const MOST_CALLS: i32 = 1_000_000;
const MOST_KEYS: usize = 100;
const LONGEST_KEY: usize = 256;
const LONGEST_PROFILE: usize = 256;
const LONGEST_COLLECTION: usize = 128;
const LONGEST_REQUEST_ID: usize = 64;
const LONGEST_WAIT: Duration = Duration::from_secs(300);
const SHORTEST_TTL: Duration = Duration::from_secs(10);
const LONGEST_TTL: Duration = Duration::from_secs(3600);
const MOST_HEADERS: usize = 64;
const LONGEST_HEADER: usize = 8 * 1024;
const LONGEST_BODY: usize = 64 * 1024;
const LONGEST_METHOD: usize = 16;
const LONGEST_URL: usize = 4096;
const LONGEST_NONCE: usize = 512;

/// What is asked for, and the lease of the answer as far as the request tells it.
pub fn acquire(mut request: pb::AcquireLeaseRequest) -> Result<(AcquireLease, pb::Lease), Refusal> {
    let mut mistakes = FieldMistakes::default();
    let request_id = request_id(std::mem::take(&mut request.request_id), &mut mistakes);
    let content = request_id.map(|id| (id, hash(&request)));
    let team = name_in("team", "teams", &request.team, &mut mistakes);
    let network = name_in::<String>("network", "networks", &request.network, &mut mistakes).unwrap_or_default();
    if request.operation.is_empty() {
        mistakes.note("operation", "is missing; see the network's entry for those it has");
    }
    let calls = count("calls", request.calls, 1..=MOST_CALLS, &mut mistakes);
    let least = count("min_calls", request.min_calls, 0..=request.calls.max(0), &mut mistakes);
    let purpose = purpose(request.purpose);
    if purpose.is_none() {
        mistakes.note("purpose", "is missing or unknown; say what the token will be used for");
    }
    check_texts(&request, &mut mistakes);
    let priority = priority(request.priority, &mut mistakes);
    let wait = request.wait.map(|wait| from_duration("wait", &wait, &mut mistakes)).unwrap_or_default();
    if wait > LONGEST_WAIT {
        mistakes.note("wait", "must be at most 5 minutes");
    }
    let ttl = ttl(request.ttl, &mut mistakes);
    let keys = distinct_keys("distinct_keys", std::mem::take(&mut request.distinct_keys), &mut mistakes);
    mistakes.refuse()?;
    let ask = AcquireLease {
        team: team.expect("a missing team is a mistake"),
        network,
        operation: request.operation.clone(),
        calls,
        min_calls: if least == 0 { calls } else { least },
        purpose: purpose.unwrap_or(Purpose::Validate),
        profile: (!request.profile.is_empty()).then_some(request.profile),
        kind: (!request.kind.is_empty()).then_some(request.kind),
        collection: request.collection.clone(),
        priority,
        wait,
        ttl,
        keys,
        request: content,
    };
    let lease = pb::Lease {
        team: request.team,
        network: request.network,
        operation: request.operation,
        collection: request.collection,
        purpose: request.purpose,
        ..pb::Lease::default()
    };
    Ok((ask, lease))
}

fn check_texts(request: &pb::AcquireLeaseRequest, mistakes: &mut FieldMistakes) {
    if request.profile.len() > LONGEST_PROFILE {
        mistakes.note("profile", "must have at most 256 bytes");
    }
    if request.kind.len() > LONGEST_PROFILE {
        mistakes.note("kind", "must have at most 256 bytes");
    }
    if request.collection.chars().count() > LONGEST_COLLECTION {
        mistakes.note("collection", "must have at most 128 characters");
    }
}

/// A hash of all that a request asks for, its id left out.
fn hash(request: &pb::AcquireLeaseRequest) -> [u8; 32] {
    let hashed = digest(&SHA256, &request.encode_to_vec());
    hashed.as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// A report, and its lease.
pub fn report(request: pb::ReportUsageRequest) -> Result<(LeaseId, ReportUsage), Refusal> {
    let mut mistakes = FieldMistakes::default();
    let lease = lease("lease", &request.lease, &mut mistakes);
    let sequence = sequence(request.sequence, &mut mistakes);
    let want_calls = count("want_calls", request.want_calls, 0..=MOST_CALLS, &mut mistakes);
    let want_keys = distinct_keys("want_distinct_keys", request.want_distinct_keys, &mut mistakes);
    if !request.request_id.is_empty() {
        request_id(request.request_id, &mut mistakes);
    }
    let mut report = ReportUsage { sequence, want_calls, want_keys, ..ReportUsage::default() };
    take_calls(request.calls, &mut report, &mut mistakes);
    report.answer = request.answer.and_then(|answer| answered(answer, &mut mistakes));
    finish(lease, report, mistakes)
}

/// A last report, if there is one, and its lease.
pub fn release(request: pb::ReleaseLeaseRequest) -> Result<(LeaseId, Option<ReportUsage>), Refusal> {
    let mut mistakes = FieldMistakes::default();
    let lease = lease("lease", &request.lease, &mut mistakes);
    if !request.request_id.is_empty() {
        request_id(request.request_id, &mut mistakes);
    }
    let last = last_report(request.sequence, request.calls, request.answer, &mut mistakes);
    finish(lease, last, mistakes)
}

/// The same, where a recall was obeyed.
pub fn ack(ack: pb::CollectAck) -> Result<(LeaseId, Option<ReportUsage>), Refusal> {
    let mut mistakes = FieldMistakes::default();
    let lease = lease("lease", &ack.lease, &mut mistakes);
    let last = last_report(ack.sequence, ack.calls, None, &mut mistakes);
    finish(lease, last, mistakes)
}

/// Which lease shall last longer, and how long.
pub fn extend(request: pb::ExtendLeaseRequest) -> Result<(LeaseId, Option<Duration>), Refusal> {
    let mut mistakes = FieldMistakes::default();
    let lease = lease("lease", &request.lease, &mut mistakes);
    let ttl = ttl(request.ttl, &mut mistakes);
    if !request.request_id.is_empty() {
        request_id(request.request_id, &mut mistakes);
    }
    finish(lease, ttl, mistakes)
}

/// The call that is to be proved, and the lease that it is made with.
pub fn proof(request: pb::SignProofRequest) -> Result<(LeaseId, SignProof), Refusal> {
    let mut mistakes = FieldMistakes::default();
    let lease = lease("lease", &request.lease, &mut mistakes);
    let pb::SignProofRequest { method, url, nonce, .. } = request;
    if !(1..=LONGEST_METHOD).contains(&method.len()) || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        mistakes.note("method", "must be the method of HTTP in capitals, such as GET");
    }
    if url.is_empty() || url.len() > LONGEST_URL {
        mistakes.note("url", "must be the whole address of the call, at most 4096 bytes");
    }
    if nonce.len() > LONGEST_NONCE || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
        mistakes.note("nonce", "must be as the server sent it: at most 512 printable ASCII characters");
    }
    finish(lease, SignProof { method, url, nonce }, mistakes)
}

/// The lease in a field that holds nothing else.
pub fn lease_named(field: &str, name: &str) -> Result<LeaseId, Refusal> {
    let mut mistakes = FieldMistakes::default();
    let lease = lease(field, name, &mut mistakes);
    finish(lease, (), mistakes).map(|(lease, ())| lease)
}

fn finish<T>(lease: Option<LeaseId>, value: T, mistakes: FieldMistakes) -> Result<(LeaseId, T), Refusal> {
    mistakes.refuse()?;
    Ok((lease.expect("a malformed name is a mistake"), value))
}

fn lease(field: &str, name: &str, mistakes: &mut FieldMistakes) -> Option<LeaseId> {
    let lease = name.strip_prefix("leases/").and_then(|id| LeaseId::from_str(id).ok());
    if lease.is_none() {
        mistakes.note(field, "must be a name such as 'leases/lse_…', as AcquireLease gave it");
    }
    lease
}

fn last_report(
    number: i64,
    calls: Option<pb::CallCounts>,
    answer: Option<pb::NetworkAnswer>,
    mistakes: &mut FieldMistakes,
) -> Option<ReportUsage> {
    if calls.is_none() && answer.is_none() && number == 0 {
        return None;
    }
    let mut report = ReportUsage { sequence: sequence(number, mistakes), ..ReportUsage::default() };
    take_calls(calls, &mut report, mistakes);
    report.answer = answer.and_then(|answer| answered(answer, mistakes));
    Some(report)
}

fn sequence(number: i64, mistakes: &mut FieldMistakes) -> u64 {
    match u64::try_from(number) {
        Ok(number) if number > 0 => number,
        _ => {
            mistakes.note("sequence", "must be the number of the report in its lease: 1, 2, 3 …");
            0
        }
    }
}

fn take_calls(calls: Option<pb::CallCounts>, report: &mut ReportUsage, mistakes: &mut FieldMistakes) {
    let Some(calls) = calls else { return };
    let mut of = |field, number| count(field, number, 0..=i32::MAX, mistakes);
    let (ok, error) = (of("calls.ok", calls.ok), of("calls.error", calls.error));
    let (throttled, unknown) = (of("calls.throttled", calls.throttled), of("calls.unknown", calls.unknown));
    report.not_sent = of("calls.not_sent", calls.not_sent);
    report.used = ok + error + throttled + unknown;
    report.served = ok;
    report.throttled = throttled;
    report.errors = error;
}

/// What the network answered; `None` where it did not.
fn answered(answer: pb::NetworkAnswer, mistakes: &mut FieldMistakes) -> Option<Answered> {
    let status = match u16::try_from(answer.http_status) {
        Ok(0) => None,
        Ok(status @ 100..=599) => Some(status),
        _ => {
            mistakes.note("answer.http_status", "must be 100 to 599, or 0 if there was no answer");
            None
        }
    };
    if answer.headers.len() > MOST_HEADERS {
        mistakes.note("answer.headers", "must be at most 64; leave out those that tell nothing of limits and errors");
    }
    if answer.headers.iter().any(|header| header.name.len() + header.value.len() > LONGEST_HEADER) {
        mistakes.note("answer.headers", "must have at most 8 KiB each");
    }
    if answer.body.len() > LONGEST_BODY {
        mistakes.note("answer.body", "must have at most 64 KiB; send its beginning");
    }
    let lower = |mut header: pb::Header| {
        header.name.make_ascii_lowercase();
        (header.name, header.value)
    };
    Some(Answered {
        status: status?,
        headers: answer.headers.into_iter().map(lower).collect(),
        body: answer.body.into(),
        received_at: answer.receive_time.as_ref().map(from_timestamp),
    })
}

fn count(field: &str, number: i32, range: std::ops::RangeInclusive<i32>, mistakes: &mut FieldMistakes) -> u64 {
    if !range.contains(&number) {
        mistakes.note(field, format!("must be {} to {}", range.start(), range.end()));
    }
    u64::try_from(number).unwrap_or_default()
}

fn ttl(ttl: Option<prost_types::Duration>, mistakes: &mut FieldMistakes) -> Option<Duration> {
    let ttl = from_duration("ttl", &ttl?, mistakes);
    if !(SHORTEST_TTL..=LONGEST_TTL).contains(&ttl) {
        mistakes.note("ttl", "must be 10 seconds to 1 hour");
    }
    Some(ttl)
}

fn priority(value: i32, mistakes: &mut FieldMistakes) -> Priority {
    match pb::Priority::try_from(value) {
        Ok(pb::Priority::Low) => Priority::Low,
        Ok(pb::Priority::Unspecified | pb::Priority::Normal) => Priority::Normal,
        Ok(pb::Priority::High) => Priority::High,
        Err(_) => {
            mistakes.note("priority", "is unknown; it must be low, normal or high");
            Priority::Normal
        }
    }
}

/// The different ones among the keys.
fn distinct_keys(field: &str, mut keys: Vec<String>, mistakes: &mut FieldMistakes) -> Vec<String> {
    if keys.len() > MOST_KEYS {
        mistakes.note(field, "must be at most 100");
    }
    if keys.iter().any(|key| key.is_empty() || key.len() > LONGEST_KEY) {
        mistakes.note(field, "must have 1 to 256 bytes each");
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The request id, if there is one.
fn request_id(id: String, mistakes: &mut FieldMistakes) -> Option<String> {
    let well_formed = id.len() <= LONGEST_REQUEST_ID && id.bytes().all(|byte| byte.is_ascii_graphic());
    if !well_formed {
        mistakes.note("request_id", "must be 1 to 64 printable ASCII characters without spaces, such as a UUID");
    }
    (!id.is_empty()).then_some(id)
}
