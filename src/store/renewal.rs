//! The schedule of renewals, and which of them were begun.
//!
//! A renewal is begun by a claim, which names the secrets and the due time that were seen: of two processes one gets it. The claim moves
//! the due time to its own end, so that a process that dies gives the token back by doing nothing, and notes when the secrets were
//! first shown to the network, so that whoever takes it up knows that they may have been used. New secrets wipe both out, in the transaction
//! that keeps them ([`crate::store::SealedSecrets`]).

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, NetworkId, TokenId};
use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::sql::{Row, first, values};

/// What is kept of a token's renewal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredRenewal {
    /// When it is due; `None`: never.
    pub due_at: Option<Timestamp>,
    /// Since when the present secrets may have been used for one; `None`: they were not.
    pub begun_at: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
}

/// A claim of a renewal.
#[derive(Debug, Clone, Copy)]
pub struct BeginRenewal {
    /// The token.
    pub token: TokenId,
    /// The version of the secrets that are shown to the network.
    pub version: u32,
    /// The due time that was read.
    pub seen_due_at: Option<Timestamp>,
    /// Now.
    pub now: Timestamp,
    /// When it is due again, unless its outcome is written before.
    pub claimed_until: Timestamp,
}

/// Where a renewal stands that gave no new secrets.
#[derive(Debug, Clone, Copy)]
pub struct PutRenewal {
    /// The token.
    pub token: TokenId,
    /// The version of the secrets that it concerns; those of another version have a schedule of their own.
    pub version: u32,
    /// Its schedule.
    pub renewal: StoredRenewal,
    /// When the token is looked at at the latest, if people may have to hear of its end.
    pub look_at: Option<Timestamp>,
}

/// What is kept of renewals.
#[async_trait]
pub trait RenewalStore: Send + Sync {
    /// At most `limit` tokens of an app with their due times, earliest first.
    async fn next_renewals(
        &self,
        network: &NetworkId,
        app: &AppId,
        limit: u32,
    ) -> Result<Vec<(TokenId, Timestamp)>, StoreError>;
    /// As [`RenewalStore::next_renewals`], of those alone whose secrets came at `since` or later.
    async fn next_renewals_since(
        &self,
        network: &NetworkId,
        app: &AppId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<(TokenId, Timestamp)>, StoreError>;
    /// Whether a token of an app whose secrets came before `before` may be renewed at some time.
    async fn has_renewal_before(&self, network: &NetworkId, app: &AppId, before: Timestamp)
    -> Result<bool, StoreError>;
    /// Makes a renewal that is due after `unless_before` due at `at`. One that is claimed is left alone, if `unless_before` is not before
    /// the end of its claim. Returns whether it was.
    async fn hasten_renewal(
        &self,
        token: TokenId,
        version: u32,
        at: Timestamp,
        unless_before: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Claims a renewal. Returns whether it is the caller's: it is not if secrets or due time are others by now.
    async fn begin_renewal(&self, claim: BeginRenewal) -> Result<bool, StoreError>;
    /// Writes where a renewal stands. Returns whether the secrets are still those.
    async fn put_renewal(&self, put: PutRenewal) -> Result<bool, StoreError>;
}

const NEXT_RENEWALS: &str = "SELECT id, renew_at_us FROM token
    WHERE network = $1 AND app = $2 AND renew_at_us IS NOT NULL ORDER BY renew_at_us LIMIT $3";
/// The plus keeps it off the schedule's index, in which all those that rest come first.
const NEXT_RENEWALS_SINCE: &str = "SELECT id, renew_at_us FROM token
    WHERE network = $1 AND app = $2 AND secrets_since_us >= $3 AND incident IS NULL AND +renew_at_us IS NOT NULL
    ORDER BY +renew_at_us LIMIT $4";
const HAS_RENEWAL_BEFORE: &str = "SELECT 1 FROM token
    WHERE network = $1 AND app = $2 AND renew_at_us IS NOT NULL AND +secrets_since_us < $3
        AND (state NOT IN ('invalid', 'revoked') OR (state = 'invalid' AND reason IN ('expired', 'not_accepted'))) LIMIT 1";
const HASTEN_RENEWAL: &str = "UPDATE token SET renew_at_us = $3 WHERE id = $1 AND version = $2 AND renew_at_us > $4";
const BEGIN_RENEWAL: &str = "UPDATE token SET renew_at_us = $3, renewal_begun_at_us = COALESCE(renewal_begun_at_us, $4)
    WHERE id = $1 AND version = $2 AND COALESCE(renew_at_us, -1) = COALESCE($5, -1)";
const PUT_RENEWAL: &str = "UPDATE token SET renew_at_us = $3, renewal_begun_at_us = $4, renewal_failures = $5,
        look_at_us = CASE WHEN look_at_us > $6 THEN $6 ELSE look_at_us END
    WHERE id = $1 AND version = $2";

#[async_trait]
impl<D: Database> RenewalStore for D {
    async fn next_renewals(
        &self,
        network: &NetworkId,
        app: &AppId,
        limit: u32,
    ) -> Result<Vec<(TokenId, Timestamp)>, StoreError> {
        let values = values![network, app, limit];
        self.read(move |tx| Box::pin(async move { due_times(tx.rows(NEXT_RENEWALS, values).await?) })).await
    }

    async fn next_renewals_since(
        &self,
        network: &NetworkId,
        app: &AppId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<(TokenId, Timestamp)>, StoreError> {
        let values = values![network, app, since, limit];
        self.read(move |tx| Box::pin(async move { due_times(tx.rows(NEXT_RENEWALS_SINCE, values).await?) })).await
    }

    async fn has_renewal_before(
        &self,
        network: &NetworkId,
        app: &AppId,
        before: Timestamp,
    ) -> Result<bool, StoreError> {
        let values = values![network, app, before];
        self.read(move |tx| Box::pin(async move { Ok(first(tx, HAS_RENEWAL_BEFORE, values).await?.is_some()) })).await
    }

    async fn hasten_renewal(
        &self,
        token: TokenId,
        version: u32,
        at: Timestamp,
        unless_before: Timestamp,
    ) -> Result<bool, StoreError> {
        let values = values![token, version, at, unless_before];
        self.write(move |tx| Box::pin(async move { Ok(tx.execute(HASTEN_RENEWAL, values).await? > 0) })).await
    }

    async fn begin_renewal(&self, claim: BeginRenewal) -> Result<bool, StoreError> {
        let BeginRenewal { token, version, seen_due_at, now, claimed_until } = claim;
        let values = values![token, version, claimed_until, now, seen_due_at];
        self.write(move |tx| Box::pin(async move { Ok(tx.execute(BEGIN_RENEWAL, values).await? > 0) })).await
    }

    async fn put_renewal(&self, put: PutRenewal) -> Result<bool, StoreError> {
        let PutRenewal { token, version, renewal: StoredRenewal { due_at, begun_at, failures }, look_at } = put;
        let values = values![token, version, due_at, begun_at, failures, look_at];
        self.write(move |tx| Box::pin(async move { Ok(tx.execute(PUT_RENEWAL, values).await? > 0) })).await
    }
}

fn due_times(rows: Vec<Row>) -> Result<Vec<(TokenId, Timestamp)>, StoreError> {
    rows.into_iter().map(|mut row| Ok((row.id(TokenId::from_slice)?, row.time()?))).collect()
}
