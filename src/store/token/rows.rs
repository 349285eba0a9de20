//! Tokens as rows and back.

use std::collections::BTreeMap;

use aws_lc_rs::digest;

use crate::base::clock::Timestamp;
use crate::base::ids::{OperationId, TokenId};
use crate::domain::member::grantor;
use crate::domain::networks::Purposes;
use crate::domain::notice::next_looks;
use crate::domain::token::{Clocks, Reason, Token, TokenState};
use crate::store::sql::{Row, Value, json, values};
use crate::store::token::StoredToken;
use crate::store::{StoreError, StoredRenewal};

/// The columns of a token without its secrets, as [`token`] reads them.
macro_rules! columns {
    () => {
        "id, team, network, app, kind, person, profiles, label, granted_by, scopes, purposes, facts, reserve_percent,
         max_leases, state, reason, state_since_us, access_expires_at_us, refresh_expires_at_us, data_access_expires_at_us,
         consented_at_us, refresh_end_fixed, refreshed, cooling_until_us, closed, blocked_since_us, created_at_us, version"
    };
}
pub(super) use columns;

/// The values of a whole row, in the order of `INSERT_TOKENS`.
pub(super) fn parameters(stored: &StoredToken, now: Timestamp) -> Vec<Value> {
    let token = &stored.token;
    let mut row = values![token.id, &token.team];
    row.extend(changeable(token));
    row.extend(values![token.created_at, token.version]);
    row.extend(values![
        &stored.sealed_access[..],
        stored.sealed_refresh.clone(),
        stored.sealed_key.clone(),
        stored.renewal.due_at,
        token.created_at
    ]);
    let looks = next_looks(token, now);
    row.push(if stored.renewal.due_at.is_some() { looks.renewing } else { looks.fixed }.into());
    row
}

/// The values of what a change may change, without secrets and version.
pub(super) fn changeable(token: &Token) -> Vec<Value> {
    let (reason, since) = state_parts(token.state);
    values![
        &token.network,
        &token.app,
        &token.kind,
        &*token.person,
        json(&token.profiles),
        &*token.label,
        json(&token.scopes),
        token.purposes.bits(),
        json(&token.facts),
        token.reserve_percent,
        token.max_leases,
        token.state.as_str(),
        reason,
        since,
        token.clocks.access_expires_at,
        token.clocks.refresh_expires_at,
        token.clocks.data_access_expires_at,
        token.clocks.consented_at,
        token.ends_at(),
        token.cooling_until,
        identity(token),
        &*token.granted_by,
        json(&closed_at_us(token)),
        grantor(token),
        token.refreshed,
        token.blocked_since,
        token.clocks.refresh_end_fixed,
    ]
}

/// What stands beside the name of a state.
pub(super) fn state_parts(state: TokenState) -> (Option<&'static str>, Option<Timestamp>) {
    match state {
        TokenState::Live => (None, None),
        TokenState::Suspect { since } | TokenState::Paused { since } | TokenState::Revoked { since } => {
            (None, Some(since))
        }
        TokenState::Invalid { reason, since } => (Some(reason.as_str()), Some(since)),
    }
}

/// Names the grant: one token for each team, network, app, kind, person and set of profiles. SHA-256 over the parts, each with
/// its length before it.
pub(super) fn identity(token: &Token) -> Vec<u8> {
    let mut profiles: Vec<&str> = token.profiles.iter().map(String::as_str).collect();
    profiles.sort_unstable();
    profiles.dedup();
    let Token { team, network, app, kind, person, .. } = token;
    let parts = [team.as_str(), network.as_str(), app.as_str(), kind.as_str(), person];
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts.into_iter().chain(profiles) {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finish().as_ref().to_vec()
}

/// Reads the columns of `columns!`.
pub(super) fn token(row: &mut Row) -> Result<Token, StoreError> {
    Ok(Token {
        id: row.id(TokenId::from_slice)?,
        team: row.slug()?,
        network: row.slug()?,
        app: row.slug()?,
        kind: row.slug()?,
        person: row.text()?,
        profiles: row.json()?,
        label: row.text()?,
        granted_by: row.text()?,
        scopes: row.json()?,
        purposes: Purposes::from_bits(row.count()?),
        facts: row.json()?,
        reserve_percent: row.maybe_count()?,
        max_leases: row.maybe_count()?,
        state: state(row)?,
        clocks: Clocks {
            access_expires_at: row.maybe_time()?,
            refresh_expires_at: row.maybe_time()?,
            data_access_expires_at: row.maybe_time()?,
            consented_at: row.maybe_time()?,
            refresh_end_fixed: row.int()? != 0,
        },
        refreshed: row.int()? != 0,
        cooling_until: row.maybe_time()?,
        closed: closed(row)?,
        blocked_since: row.maybe_time()?,
        created_at: row.time()?,
        version: row.count()?,
    })
}

fn closed_at_us(token: &Token) -> BTreeMap<&str, i64> {
    token.closed.iter().map(|(operation, since)| (operation.as_str(), since.micros())).collect()
}

fn closed(row: &mut Row) -> Result<BTreeMap<OperationId, Timestamp>, StoreError> {
    let kept: BTreeMap<String, i64> = row.json()?;
    let read = |(operation, since): (String, i64)| {
        let operation = operation.parse().map_err(|_| StoreError::corrupt("an operation that is no name"))?;
        Ok((operation, Timestamp::from_micros(since)))
    };
    kept.into_iter().map(read).collect()
}

/// Reads `state`, `reason` and `state_since_us`.
pub(in crate::store) fn state(row: &mut Row) -> Result<TokenState, StoreError> {
    let (name, reason, since) = (row.text()?, row.maybe_text()?, row.maybe_time()?);
    let reason = reason.as_deref().and_then(Reason::from_name);
    match (name.as_str(), reason, since) {
        ("live", ..) => Ok(TokenState::Live),
        ("suspect", _, Some(since)) => Ok(TokenState::Suspect { since }),
        ("paused", _, Some(since)) => Ok(TokenState::Paused { since }),
        ("invalid", Some(reason), Some(since)) => Ok(TokenState::Invalid { reason, since }),
        ("revoked", _, Some(since)) => Ok(TokenState::Revoked { since }),
        _ => Err(StoreError::corrupt("an unknown state of a token")),
    }
}

/// The columns that [`stored_token`] reads after those of `columns!`.
macro_rules! sealed_columns {
    () => {
        "sealed_access, sealed_refresh, sealed_key, renew_at_us, renewal_begun_at_us, renewal_failures"
    };
}
pub(super) use sealed_columns;

/// Reads the columns of `columns!`, then those of `sealed_columns!`.
pub(super) fn stored_token(mut row: Row) -> Result<StoredToken, StoreError> {
    Ok(StoredToken {
        token: token(&mut row)?,
        sealed_access: row.blob()?,
        sealed_refresh: row.maybe_blob()?,
        sealed_key: row.maybe_blob()?,
        renewal: StoredRenewal { due_at: row.maybe_time()?, begun_at: row.maybe_time()?, failures: row.count()? },
    })
}
