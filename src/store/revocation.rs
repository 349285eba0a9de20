//! Tokens that are to be given back at their networks: queued with the revocation here, claimed one by one, and wiped of their secrets when
//! it is over.
//!
//! A claim moves the due time to its own end and counts the attempt, so a process that dies gives its revocations back by doing nothing.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, KindId, NetworkId, TeamId, TokenId};
use crate::domain::audit::AuditEvent;
use crate::domain::revocation::Standing;
use crate::store::StoreError;
use crate::store::audit::insert_audit;
use crate::store::database::Database;
use crate::store::sql::{Row, Tx, first, values};

/// A token to be given back at its network.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRevocation {
    /// The token.
    pub token: TokenId,
    /// Whose it was.
    pub team: TeamId,
    /// Its network.
    pub network: NetworkId,
    /// Its app.
    pub app: AppId,
    /// Its kind.
    pub kind: KindId,
    /// Who granted it; empty: not known.
    pub person: String,
    /// The access token, sealed with the broker's own keys; `None` once it is over.
    pub sealed_access: Option<Vec<u8>>,
    /// The refresh token, sealed in the same way.
    pub sealed_refresh: Option<Vec<u8>>,
    /// The key that they are bound to, sealed likewise.
    pub sealed_key: Option<Vec<u8>>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// How often it was claimed.
    pub attempts: u32,
    /// How often its network was tried in vain.
    pub failures: u32,
    /// Since when its network is tried in vain.
    pub failing_since: Option<Timestamp>,
    /// What became of it.
    pub standing: Standing,
    /// More, for people; never a secret.
    pub message: String,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
}

/// Shows it without its secrets, sealed or not.
impl std::fmt::Debug for StoredRevocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { token, standing, attempts, message, .. } = self;
        f.debug_struct("StoredRevocation")
            .field("token", token)
            .field("standing", standing)
            .field("attempts", attempts)
            .field("message", message)
            .finish_non_exhaustive()
    }
}

/// When a revocation is looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postponed {
    /// From when on.
    pub due_at: Timestamp,
    /// When its network was tried in vain; `None`: the revocation waits for something else, however long.
    pub failed_at: Option<Timestamp>,
    /// Why, for people; never a secret.
    pub message: String,
}

/// Where tokens are that hang on one grant: those of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantPart {
    /// The network.
    pub network: NetworkId,
    /// The app.
    pub app: AppId,
    /// The kind; `None`: any.
    pub kind: Option<KindId>,
}

/// What is kept of revocations.
#[async_trait]
pub trait RevocationStore: Send + Sync {
    /// Claims at most `limit` revocations that are due at `now`, until `claimed_until`.
    async fn claim_revocations(
        &self,
        now: Timestamp,
        claimed_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredRevocation>, StoreError>;
    /// Lets the attempt with that number be followed by another. Returns whether it was the latest.
    async fn postpone_revocation(&self, token: TokenId, attempt: u32, postponed: Postponed)
    -> Result<bool, StoreError>;
    /// Ends a revocation after the attempt with that number, and wipes out its secrets. Returns whether it was the latest.
    async fn end_revocation(
        &self,
        token: TokenId,
        attempt: u32,
        standing: Standing,
        message: String,
        audit: AuditEvent,
    ) -> Result<bool, StoreError>;
    /// The revocation of a token.
    async fn find_revocation(&self, token: TokenId) -> Result<Option<StoredRevocation>, StoreError>;
    /// Queues what the network is to take back of a grant that never became a token.
    async fn put_revocation(&self, revocation: StoredRevocation, audit: AuditEvent) -> Result<(), StoreError>;
    /// How many tokens of a person in these parts are not revoked, over all teams, and one more for each part that has tokens of persons who are
    /// not known (`~…`), since each may be that one; of a person who is not known (empty), in how many of them there is any.
    async fn count_of_person(&self, parts: &[GrantPart], person: &str) -> Result<u64, StoreError>;
    /// Deletes at most `limit` revocations that were over before `before`; how many.
    async fn prune_revocations(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

macro_rules! columns {
    () => {
        "token, team, network, app, kind, person, sealed_access, sealed_refresh, sealed_key, asked_at_us, attempts, failures,
         failing_since_us, standing, message, ended_at_us"
    };
}

const INSERT: &str =
    "INSERT INTO revocation (token, team, network, app, kind, person, sealed_access, sealed_refresh, sealed_key,
        asked_at_us, due_at_us, attempts, standing, message, ended_at_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, 0, $11, $12, $13)
    ON CONFLICT (token) DO NOTHING";
/// The outer condition is checked again after waiting for another claim, so PostgreSQL claims nothing twice.
const CLAIM: &str = concat!(
    "UPDATE revocation SET due_at_us = $2, attempts = attempts + 1
    WHERE standing = 'pending' AND due_at_us <= $1 AND token IN (
        SELECT token FROM revocation WHERE standing = 'pending' AND due_at_us <= $1 ORDER BY due_at_us LIMIT $3)
    RETURNING ",
    columns!()
);
const POSTPONE: &str = "UPDATE revocation SET due_at_us = $3, message = $4, failures = failures + $5,
        failing_since_us = COALESCE(failing_since_us, $6)
    WHERE token = $1 AND attempts = $2 AND standing = 'pending'";
const END: &str =
    "UPDATE revocation SET standing = $3, message = $4, ended_at_us = $5, sealed_access = NULL, sealed_refresh = NULL,
        sealed_key = NULL
    WHERE token = $1 AND attempts = $2 AND standing = 'pending'";
const FIND: &str = concat!("SELECT ", columns!(), " FROM revocation WHERE token = $1");
const COUNT_OF_PERSON: &str = "SELECT COUNT(*) FROM token
    WHERE network = $1 AND app = $2 AND ($3 IS NULL OR kind = $3) AND person = $4 AND state <> 'revoked'";
// A statement of its own, in which the index leads to the persons that begin with a tilde: joined by OR, it would read the app's tokens.
const ANY_OF_UNKNOWN: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM token WHERE network = $1 AND app = $2
    AND ($3 IS NULL OR kind = $3) AND person >= '~' AND person < char(127) AND state <> 'revoked' LIMIT 1) AS one";
const ANY_OF_APP: &str = "SELECT COUNT(*) FROM (
    SELECT 1 FROM token WHERE network = $1 AND app = $2 AND ($3 IS NULL OR kind = $3) AND state <> 'revoked' LIMIT 1) AS one";
const PRUNE: &str =
    "DELETE FROM revocation WHERE token IN (SELECT token FROM revocation WHERE ended_at_us < $1 LIMIT $2)";

#[async_trait]
impl<D: Database> RevocationStore for D {
    async fn claim_revocations(
        &self,
        now: Timestamp,
        claimed_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredRevocation>, StoreError> {
        let values = values![now, claimed_until, limit];
        self.write(move |tx| {
            Box::pin(async move { tx.rows(CLAIM, values).await?.into_iter().map(revocation).collect() })
        })
        .await
    }

    async fn postpone_revocation(
        &self,
        token: TokenId,
        attempt: u32,
        postponed: Postponed,
    ) -> Result<bool, StoreError> {
        let Postponed { due_at, failed_at, message } = postponed;
        let values = values![token, attempt, due_at, message, u32::from(failed_at.is_some()), failed_at];
        self.write(move |tx| Box::pin(async move { Ok(tx.execute(POSTPONE, values).await? > 0) })).await
    }

    async fn end_revocation(
        &self,
        token: TokenId,
        attempt: u32,
        standing: Standing,
        message: String,
        audit: AuditEvent,
    ) -> Result<bool, StoreError> {
        let values = values![token, attempt, standing.as_str(), message, audit.at];
        self.write(move |tx| {
            Box::pin(async move {
                let ended = tx.execute(END, values).await? > 0;
                if ended {
                    insert_audit(tx, [&audit]).await?;
                }
                Ok(ended)
            })
        })
        .await
    }

    async fn find_revocation(&self, token: TokenId) -> Result<Option<StoredRevocation>, StoreError> {
        self.read(move |tx| Box::pin(async move { first(tx, FIND, values![token]).await?.map(revocation).transpose() }))
            .await
    }

    async fn put_revocation(&self, revocation: StoredRevocation, audit: AuditEvent) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                insert_revocation(tx, &revocation).await?;
                insert_audit(tx, [&audit]).await
            })
        })
        .await
    }

    async fn count_of_person(&self, parts: &[GrantPart], person: &str) -> Result<u64, StoreError> {
        let (parts, person) = (parts.to_vec(), person.to_owned());
        self.read(move |tx| {
            Box::pin(async move {
                let mut count = 0_u64;
                for GrantPart { network, app, kind } in &parts {
                    let of_app = values![network, app, kind.as_ref()];
                    let counts = match &*person {
                        "" => vec![(ANY_OF_APP, of_app)],
                        person => vec![
                            (COUNT_OF_PERSON, [of_app.clone(), values![person]].concat()),
                            (ANY_OF_UNKNOWN, of_app),
                        ],
                    };
                    for (sql, values) in counts {
                        count += first(tx, sql, values).await?.map_or(Ok(0), |mut row| row.count::<u64>())?;
                    }
                }
                Ok(count)
            })
        })
        .await
    }

    async fn prune_revocations(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE, values![before, limit]).await })).await
    }
}

/// Queues a revocation in the caller's transaction.
pub(crate) async fn insert_revocation(tx: &mut dyn Tx, revocation: &StoredRevocation) -> Result<(), StoreError> {
    let StoredRevocation { token, team, network, app, kind, person, asked_at, .. } = revocation;
    let StoredRevocation { sealed_access, sealed_refresh, sealed_key, standing, message, ended_at, .. } =
        revocation.clone();
    let mut values =
        values![*token, team, network, app, kind, &**person, sealed_access, sealed_refresh, sealed_key, *asked_at];
    values.extend(values![standing.as_str(), message, ended_at]);
    tx.execute(INSERT, values).await.map(drop)
}

fn revocation(mut row: Row) -> Result<StoredRevocation, StoreError> {
    Ok(StoredRevocation {
        token: row.id(TokenId::from_slice)?,
        team: row.slug()?,
        network: row.slug()?,
        app: row.slug()?,
        kind: row.slug()?,
        person: row.text()?,
        sealed_access: row.maybe_blob()?,
        sealed_refresh: row.maybe_blob()?,
        sealed_key: row.maybe_blob()?,
        asked_at: row.time()?,
        attempts: row.count()?,
        failures: row.count()?,
        failing_since: row.maybe_time()?,
        standing: Standing::from_name(&row.text()?)
            .ok_or_else(|| StoreError::corrupt("an unknown standing of a revocation"))?,
        message: row.text()?,
        ended_at: row.maybe_time()?,
    })
}
