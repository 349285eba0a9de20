//! Tokens and their buckets on the wire.

use crate::base::clock::Timestamp;
use crate::base::ids::OperationId;
use crate::domain::networks::{Network, Owner};
use crate::domain::pool::BucketView;
use crate::domain::probe::CheckOutcome;
use crate::domain::reach::{Reach, RetentionClock};
use crate::domain::revocation::Standing;
use crate::domain::token::{Reason, Status, Token, TokenState};
use crate::grpc::change::answers;
use crate::grpc::convert::{duration, optional_timestamp, timestamp};
use crate::grpc::fields::{count, from_purposes, small};
use crate::grpc::network_message::{owner, verification, window_message};
use crate::grpc::pb;
use crate::service::dead_spans::DeadSpanView;
use crate::service::revoke::StoredRevocation;
use crate::service::tokens::{ShownState, TokenView};
use crate::text::Text;

/// A token, without its buckets.
pub fn token_message(view: &TokenView) -> pb::Token {
    let token = &view.token;
    let (reason, since) = reason_and_time(token, view.state);
    pb::Token {
        name: format!("teams/{}/tokens/{}", token.team, token.id),
        network: format!("networks/{}", token.network),
        kind: token.kind.to_string(),
        app: format!("networks/{}/apps/{}", token.network, token.app),
        person: token.person.clone(),
        profile: token.profiles.first().cloned().unwrap_or_default(),
        display_name: token.label.clone(),
        granted_by: token.granted_by.clone(),
        scopes: token.scopes.clone(),
        purposes: from_purposes(token.purposes),
        facts: token.facts.iter().map(|(fact, value)| (fact.clone(), count(*value))).collect(),
        max_concurrent_leases: token.max_leases.map_or(0, small),
        reserve_percent: token.reserve_percent.map(i32::from),
        state: state_message(view.state) as i32,
        reason: reason as i32,
        state_time: Some(timestamp(since)),
        status: status_message(view.status) as i32,
        cooling_until: optional_timestamp(view.cooling_until.filter(|_| view.state == ShownState::Cooling)),
        clocks: Some(pb::TokenClocks {
            access_expire_time: optional_timestamp(token.clocks.access_expires_at),
            refresh_expire_time: optional_timestamp(token.clocks.refresh_expires_at),
            data_access_expire_time: optional_timestamp(token.clocks.data_access_expires_at),
            consent_time: optional_timestamp(token.clocks.consented_at),
        }),
        buckets: Vec::new(),
        active_leases: small(view.active_leases),
        create_time: Some(timestamp(token.created_at)),
        closed_operations: token.closed.iter().map(closed_operation).collect(),
        needs_reconnecting: view.needs_reconnecting.as_ref().map(|needs| pb::NeedsReconnecting {
            reason: Text::english().tell_of(needs),
            deadline: optional_timestamp(needs.by),
        }),
        retention_clocks: view.retention.iter().map(retention_clock).collect(),
        block_time: optional_timestamp(token.blocked_since),
        dead_spans: Vec::new(),
        network_revocation: None,
        last_check_time: optional_timestamp(view.check.map(|check| check.at)),
        last_check_outcome: view.check.map_or(pb::CheckOutcome::Unspecified, |check| outcome_message(check.outcome))
            as i32,
    }
}

fn retention_clock(clock: &RetentionClock) -> pb::RetentionClock {
    pb::RetentionClock {
        rule: clock.rule.clone(),
        start_time: Some(timestamp(clock.started_at)),
        deadline: Some(timestamp(clock.deadline)),
        verified: verification(clock.verified).into(),
    }
}

/// A span in which a token was dead.
pub fn dead_span(view: &DeadSpanView) -> pb::DeadSpan {
    let DeadSpanView { team, token, network, profile, span, reach } = view;
    let (word, operation, reaches) = match reach {
        Reach::Whole => (pb::HistoryReach::Whole, String::new(), None),
        Reach::Unknown => (pb::HistoryReach::Unknown, String::new(), None),
        Reach::Short { operation, reaches } => (pb::HistoryReach::Short, operation.clone(), Some(duration(*reaches))),
    };
    pb::DeadSpan {
        start_time: Some(timestamp(span.from)),
        end_time: Some(timestamp(span.until)),
        reason: reason_message(span.reason).into(),
        reach: word.into(),
        operation,
        reaches,
        token: format!("teams/{team}/tokens/{token}"),
        network: format!("networks/{network}"),
        profile: profile.clone().unwrap_or_default(),
    }
}

/// What became of giving a token back at its network.
pub fn revocation_message(revocation: &StoredRevocation) -> pb::NetworkRevocation {
    let state = match revocation.standing {
        Standing::Pending => pb::NetworkRevocationState::Pending,
        Standing::Done => pb::NetworkRevocationState::Done,
        Standing::Shared => pb::NetworkRevocationState::Shared,
        Standing::GivenUp => pb::NetworkRevocationState::GivenUp,
    };
    pb::NetworkRevocation {
        state: state.into(),
        message: revocation.message.clone(),
        end_time: optional_timestamp(revocation.ended_at),
    }
}

fn outcome_message(outcome: CheckOutcome) -> pb::CheckOutcome {
    match outcome {
        CheckOutcome::Works => pb::CheckOutcome::Works,
        CheckOutcome::InDoubt => pb::CheckOutcome::InDoubt,
        CheckOutcome::Ended => pb::CheckOutcome::Ended,
        CheckOutcome::NotPermitted => pb::CheckOutcome::NotPermitted,
        CheckOutcome::Limited => pb::CheckOutcome::Limited,
        CheckOutcome::AppRefused => pb::CheckOutcome::AppRefused,
        CheckOutcome::NoAnswer => pb::CheckOutcome::NoAnswer,
    }
}

fn closed_operation((operation, since): (&OperationId, &Timestamp)) -> pb::ClosedOperation {
    pb::ClosedOperation { operation: operation.to_string(), close_time: Some(timestamp(*since)) }
}

/// Why it stands where it stands, and since when.
fn reason_and_time(token: &Token, state: ShownState) -> (pb::TokenReason, Timestamp) {
    match token.state {
        TokenState::Invalid { reason, since } => (reason_message(reason), since),
        TokenState::Suspect { since } | TokenState::Paused { since } | TokenState::Revoked { since } => {
            (pb::TokenReason::Unspecified, since)
        }
        TokenState::Live if state == ShownState::Expired => {
            (pb::TokenReason::Expired, token.serves_until().unwrap_or(token.created_at))
        }
        TokenState::Live => (pb::TokenReason::Unspecified, token.created_at),
    }
}

fn reason_message(reason: Reason) -> pb::TokenReason {
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

fn state_message(state: ShownState) -> pb::TokenState {
    match state {
        ShownState::Live => pb::TokenState::Live,
        ShownState::Cooling => pb::TokenState::Cooling,
        ShownState::Suspect => pb::TokenState::Suspect,
        ShownState::Paused => pb::TokenState::Paused,
        ShownState::Expired => pb::TokenState::Expired,
        ShownState::Invalid => pb::TokenState::Invalid,
        ShownState::Revoked => pb::TokenState::Revoked,
    }
}

fn status_message(status: Status) -> pb::TokenStatus {
    match status {
        Status::Expired => pb::TokenStatus::Expired,
        Status::Expiring => pb::TokenStatus::Expiring,
        Status::Valid => pb::TokenStatus::Valid,
        Status::NoExpiry => pb::TokenStatus::NoExpiry,
    }
}

/// One of the credit books that the token's calls draw from.
pub fn bucket_message(network: &Network, token: &Token, bucket: &BucketView) -> pb::Bucket {
    let owner_id = match bucket.owner {
        Owner::Token => token.id.to_string(),
        Owner::Person | Owner::AppPerson => token.person.clone(),
        Owner::Profile => token.profiles.first().unwrap_or(&token.person).clone(),
        Owner::App => token.app.to_string(),
        Owner::Address => String::new(),
    };
    pb::Bucket {
        credit_class: network.classes[bucket.class].id.to_string(),
        owner: owner(bucket.owner) as i32,
        owner_id,
        window: Some(window_message(&bucket.window)),
        limit: count(bucket.limit),
        reserve: count(bucket.limit.saturating_sub(bucket.cap)),
        used: count(bucket.spent.saturating_add(bucket.outstanding)),
        left: count(bucket.left),
        reset_time: optional_timestamp(bucket.resets_at),
        limit_assumed: bucket.limit_assumed,
    }
}

answers! {
    AddTokenResponse { token } = |_, token| token_message(token), of TokenView;
    UpdateTokenResponse { token } = |_, token| token_message(token), of TokenView;
    PauseTokenResponse { token } = |_, token| token_message(token), of TokenView;
    ResumeTokenResponse { token } = |_, token| token_message(token), of TokenView;
    RevokeTokenResponse { token } = |_, token| token_message(token), of TokenView;
    RenewTokenResponse { token } = |_, token| token_message(token), of TokenView;
    ProbeTokenResponse { token } = |_, token| token_message(token), of TokenView;
    InvalidateTokenResponse { token } = |_, token| token_message(token), of TokenView;
}
