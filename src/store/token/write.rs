//! Keeping and changing tokens.

use std::collections::HashSet;

use super::rows::{changeable, identity, parameters, state, state_parts};
use super::{DuplicateToken, ImportProgress, InsertedTokens, NewToken, TokenChange, TokenChangeError};
use crate::base::ids::TokenId;
use crate::domain::notice::next_looks;
use crate::domain::reach::DeadSpan;
use crate::domain::token::{Token, TokenState};
use crate::store::StoreError;
use crate::store::alert::insert_alerts;
use crate::store::audit::insert_audit;
use crate::store::consent::insert_consent;
use crate::store::dead_span::note_dead_span;
use crate::store::event::insert_events;
use crate::store::idempotency::{insert_trail, note_requests};
use crate::store::revocation::insert_revocation;
use crate::store::sql::{ManyRows, Tx, first, values};

/// Conflicts of the id and of the grant are both passed over; RETURNING tells what was kept.
static INSERT_TOKENS: ManyRows = ManyRows::insert(
    "token (id, team, network, app, kind, person, profiles, label, scopes, purposes, facts,
        reserve_percent, max_leases, state, reason, state_since_us, access_expires_at_us, refresh_expires_at_us,
        data_access_expires_at_us, consented_at_us, ends_at_us, cooling_until_us, identity, granted_by, closed, grantor, refreshed,
        blocked_since_us, refresh_end_fixed, created_at_us, version, sealed_access, sealed_refresh, sealed_key, renew_at_us, secrets_since_us,
        look_at_us)",
    37,
    "ON CONFLICT DO NOTHING RETURNING id, identity",
);

static INSERT_PROFILES: ManyRows = ManyRows::insert("token_profile (token, profile)", 2, "ON CONFLICT DO NOTHING");

static NOTE_GIVEN: ManyRows = ManyRows::insert(
    "given_refresh (token, hash, given_at_us)",
    3,
    "ON CONFLICT (token, hash) DO UPDATE SET given_at_us = excluded.given_at_us",
);
/// Files of so many times ago are nobody's any more.
const FORGET_GIVEN: &str = "DELETE FROM given_refresh WHERE token = $1 AND hash NOT IN (
    SELECT hash FROM given_refresh WHERE token = $1 ORDER BY given_at_us DESC LIMIT 32)";

const DELETE_PROFILES: &str = "DELETE FROM token_profile WHERE token = $1";

const FIND_GRANT: &str = "SELECT id FROM token WHERE identity = $1 AND state <> 'revoked'";

const PUT_IMPORT: &str = "INSERT INTO import (id, last_row, updated_at_us, added, updated, unchanged, rejected)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (id) DO UPDATE SET last_row = excluded.last_row, updated_at_us = excluded.updated_at_us,
        added = excluded.added, updated = excluded.updated, unchanged = excluded.unchanged, rejected = excluded.rejected
    WHERE excluded.last_row >= import.last_row";

/// A state that somebody decides takes its token out of the incident that it was in, which must not undo it.
const CHANGE_TOKEN: &str =
    "UPDATE token SET network = $6, app = $7, kind = $8, person = $9, profiles = $10, label = $11,
        scopes = $12, purposes = $13, facts = $14, reserve_percent = $15, max_leases = $16, state = $17, reason = $18,
        state_since_us = $19, access_expires_at_us = $20, refresh_expires_at_us = $21,
        data_access_expires_at_us = $22, consented_at_us = $23, ends_at_us = $24, cooling_until_us = $25,
        identity = $26, granted_by = $27, closed = $28, grantor = $29, refreshed = $30, blocked_since_us = $31,
        refresh_end_fixed = $32, version = $5,
        look_at_us = CASE WHEN renew_at_us IS NULL THEN $33 ELSE $34 END,
        state_found = CASE WHEN $17 = $3 AND COALESCE($19, 0) = $4 THEN state_found ELSE $35 END,
        incident = CASE WHEN $35 = 1 OR ($17 = $3 AND COALESCE($19, 0) = $4) THEN incident END
    WHERE id = $1 AND version = $2 AND state = $3 AND COALESCE(state_since_us, 0) = $4";

const PUT_SECRETS: &str = "UPDATE token SET sealed_access = $2, sealed_refresh = $3, renew_at_us = $4,
        renewal_begun_at_us = NULL, renewal_failures = 0, secrets_since_us = $5, incident = NULL, look_at_us = $6,
        sealed_key = $7
    WHERE id = $1";

const DERIVE_ANEW: &str = "UPDATE token SET renew_at_us = $6, renewal_failures = 0
    WHERE network = $2 AND app = $3 AND person = $4 AND team = $1 AND kind = $5 AND state <> 'revoked'";

const FIND_STATE: &str = "SELECT version, state, reason, state_since_us FROM token WHERE id = $1";

pub(in crate::store) async fn insert_tokens(
    tx: &mut dyn Tx,
    tokens: &[NewToken],
    progress: Option<ImportProgress>,
) -> Result<InsertedTokens, StoreError> {
    let rows = tokens.iter().map(|new| parameters(&new.stored, new.trail.audit.at)).collect();
    let mut kept = HashSet::new();
    for mut row in INSERT_TOKENS.rows(tx, rows).await? {
        kept.insert((row.id(TokenId::from_slice)?, row.blob()?));
    }
    let mut report = InsertedTokens::default();
    let (mut trails, mut profiles, mut given, mut consents) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, new) in tokens.iter().enumerate() {
        let token = &new.stored.token;
        // Taken out, so that a second token with the same id and grant in the list is a duplicate.
        if kept.remove(&(token.id, identity(token))) {
            report.inserted += 1;
            trails.push(&new.trail);
            consents.extend(&new.consent);
            given.extend(new.given_refresh.map(|hash| values![token.id, &hash[..], token.created_at]));
            profiles.extend(token.profiles.iter().map(|profile| values![token.id, &**profile]));
        } else {
            report.duplicates.push(DuplicateToken { index, existing: find_grant(tx, token).await? });
        }
    }
    INSERT_PROFILES.execute(tx, profiles).await?;
    NOTE_GIVEN.execute(tx, given).await?;
    for consent in consents {
        insert_consent(tx, consent).await?;
    }
    for trail in &trails {
        note_requests(tx, &trail.request, trail.audit.at).await?;
        insert_events(tx, &trail.events).await?;
    }
    insert_audit(tx, trails.iter().map(|trail| &trail.audit)).await?;
    if let Some(ImportProgress { import, last_row, counts, at }) = progress {
        let added = counts.added + report.inserted;
        let rejected = counts.rejected + report.duplicates.len() as u64;
        let values = values![import, last_row, at, added, counts.updated, counts.unchanged, rejected];
        tx.execute(PUT_IMPORT, values).await?;
    }
    Ok(report)
}

async fn find_grant(tx: &mut dyn Tx, token: &Token) -> Result<Option<TokenId>, StoreError> {
    let row = first(tx, FIND_GRANT, values![identity(token)]).await?;
    row.map(|mut row| row.id(TokenId::from_slice)).transpose()
}

pub(in crate::store) async fn change_token(
    tx: &mut dyn Tx,
    change: &TokenChange,
) -> Result<Option<DeadSpan>, TokenChangeError> {
    let token = &change.token;
    if matches!(change.expected_state, TokenState::Revoked { .. }) && change.expected_state != token.state {
        return Err(TokenChangeError::Revoked(token.id));
    }
    // Only new secrets bring a token back to life.
    let ended = if change.secrets.is_some() { note_dead_span(tx, change).await? } else { None };
    let (_, since) = state_parts(change.expected_state);
    let since = since.unwrap_or_default();
    let mut values = values![token.id, change.expected_version, change.expected_state.as_str(), since, token.version];
    values.extend(changeable(token));
    let looks = next_looks(token, change.trail.audit.at);
    values.extend(values![looks.fixed, looks.renewing, change.is_found()]);
    match tx.execute(CHANGE_TOKEN, values).await {
        Ok(0) => return Err(why_unchanged(tx, token.id).await?),
        Ok(_) => {}
        Err(StoreError::Conflict { .. }) => return Err(TokenChangeError::Duplicate),
        Err(error) => return Err(error.into()),
    }
    if let Some(secrets) = &change.secrets {
        let at = change.trail.audit.at;
        let look_at = if secrets.renew_at.is_some() { looks.renewing } else { looks.fixed };
        let (refresh, key) = (secrets.refresh.clone(), secrets.key.clone());
        let values = values![token.id, &secrets.access[..], refresh, secrets.renew_at, at, look_at, key];
        tx.execute(PUT_SECRETS, values).await?;
        for kind in &secrets.derived {
            let Token { team, network, app, person, .. } = token;
            tx.execute(DERIVE_ANEW, values![team, network, app, &**person, kind, at]).await?;
        }
        if let Some(hash) = secrets.given_refresh {
            NOTE_GIVEN.execute(tx, vec![values![token.id, &hash[..], change.trail.audit.at]]).await?;
            tx.execute(FORGET_GIVEN, values![token.id]).await?;
        }
    }
    put_profiles(tx, token).await?;
    if let Some(revocation) = &change.revocation {
        insert_revocation(tx, revocation).await?;
    }
    insert_trail(tx, &change.trail).await?;
    insert_alerts(tx, &change.alerts).await?;
    Ok(ended)
}

async fn put_profiles(tx: &mut dyn Tx, token: &Token) -> Result<(), StoreError> {
    tx.execute(DELETE_PROFILES, values![token.id]).await?;
    let rows = token.profiles.iter().map(|profile| values![token.id, &**profile]).collect();
    INSERT_PROFILES.execute(tx, rows).await?;
    Ok(())
}

async fn why_unchanged(tx: &mut dyn Tx, token: TokenId) -> Result<TokenChangeError, StoreError> {
    let Some(mut row) = first(tx, FIND_STATE, values![token]).await? else {
        return Ok(TokenChangeError::NotFound(token));
    };
    let (version, state) = (row.count()?, state(&mut row)?);
    Ok(match state {
        TokenState::Revoked { .. } => TokenChangeError::Revoked(token),
        _ => TokenChangeError::Changed { token, version, state },
    })
}
