//! What is sealed with which key, and how that changes: the broker's own keys, the change of the sealing key in one transaction, and
//! secrets that are sealed anew a few at a time.
//!
//! What a connection keeps sealed is not sealed anew, since it is there between two steps only: a data key waits until it is gone.
//!
//! The store knows of a sealed text only that its first five bytes name its key.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{NetworkId, TeamId, TokenId};
use crate::store::audit::{AuditKey, begin_chain};
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::meta::{MetaName, put_meta};
use crate::store::sql::{ManyRows, Row, values};
use crate::store::team::WrappedKey;
use crate::store::{StoreError, StoredToken, Trail};

/// A key of the broker itself, wrapped.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnKeyRow {
    /// Its number; rises with each rotation.
    pub id: u32,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a new store begins with.
pub struct Foundation {
    /// The first key of the broker itself.
    pub own_key: OwnKeyRow,
    /// The sealing key's fingerprint.
    pub fingerprint: Vec<u8>,
    /// What chains the audit.
    pub audit_key: AuditKey,
}

/// A change of the sealing key.
pub struct RotateKeys {
    /// All data keys as they are wrapped from now on, those that are new too.
    pub data_keys: Vec<WrappedKey>,
    /// All own keys as they are wrapped from now on, those that are new too.
    pub own_keys: Vec<OwnKeyRow>,
    /// The new sealing key's fingerprint.
    pub fingerprint: Vec<u8>,
    /// Its audit event, and the note of its request.
    pub trail: Trail,
}

/// A token's secrets, sealed, with what their sealing is bound to.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedToken {
    /// The token.
    pub token: TokenId,
    /// Its team.
    pub team: TeamId,
    /// Its network.
    pub network: NetworkId,
    /// The version of its secrets.
    pub version: u32,
    /// The access token, sealed.
    pub access: Vec<u8>,
    /// The refresh token, sealed.
    pub refresh: Option<Vec<u8>>,
    /// The key that they are bound to, sealed.
    pub key: Option<Vec<u8>>,
}

impl From<StoredToken> for SealedToken {
    fn from(stored: StoredToken) -> Self {
        let StoredToken { token, sealed_access, sealed_refresh, sealed_key, .. } = stored;
        let (id, team, network, version) = (token.id, token.team, token.network, token.version);
        Self { token: id, team, network, version, access: sealed_access, refresh: sealed_refresh, key: sealed_key }
    }
}

/// A token's secrets, sealed anew.
pub struct Resealed {
    /// As they were.
    pub before: SealedToken,
    /// The access token.
    pub access: Vec<u8>,
    /// The refresh token.
    pub refresh: Option<Vec<u8>>,
    /// The key that they are bound to.
    pub key: Option<Vec<u8>>,
}

/// How many secrets are sealed with one data key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCount {
    /// The team.
    pub team: TeamId,
    /// The first bytes of the sealed texts: their format and the number of the data key.
    pub header: Vec<u8>,
    /// The secrets.
    pub secrets: u64,
}

/// What is kept of keys and of what they seal.
#[async_trait]
pub trait SealingStore: Send + Sync {
    /// Lays a new store out: its first own key, the note of its sealing key and the beginning of the audit's chain, or nothing.
    /// [`StoreError::Conflict`] if that was done before. Events, keys or teams that are there already are of a store whose own keys were taken
    /// away: the chain begins as a broken one.
    async fn found(&self, foundation: Foundation) -> Result<(), StoreError>;
    /// All of the broker's own keys, by number.
    async fn list_own_keys(&self) -> Result<Vec<OwnKeyRow>, StoreError>;
    /// Changes the sealing key: every key, the note of its fingerprint and the audit event, or nothing.
    async fn rotate_keys(&self, rotation: RotateKeys) -> Result<(), StoreError>;
    /// At most `limit` tokens after `after` that have secrets and are not known to be damaged, by id.
    async fn sealed_tokens(&self, after: Option<TokenId>, limit: u32) -> Result<Vec<SealedToken>, StoreError>;
    /// Puts secrets that were sealed anew in the place of the present ones, where these are still as they were. Returns the tokens
    /// that were changed.
    async fn reseal_tokens(&self, tokens: Vec<Resealed>) -> Result<Vec<TokenId>, StoreError>;
    /// Deletes a team's data keys below `newest`, whose texts begin with `header`, unless a secret that is not known to be damaged begins
    /// otherwise. Returns how many.
    async fn retire_data_keys(&self, team: &TeamId, newest: u32, header: Vec<u8>) -> Result<u64, StoreError>;
    /// Leaves nothing in the store's files of what was overwritten or deleted before. [`StoreError::Unavailable`] while another program
    /// reads an older state: try again later.
    async fn erase_overwritten(&self) -> Result<(), StoreError>;
    /// How many secrets are sealed with which data key. Reads all of them: not for the request path.
    async fn count_sealed(&self) -> Result<Vec<SealedCount>, StoreError>;
}

const INSERT_OWN_KEY: &str = "INSERT INTO own_key (id, wrapped, created_at_us) VALUES ($1, $2, $3)";
const LIST_OWN_KEYS: &str = "SELECT id, wrapped, created_at_us FROM own_key ORDER BY id";

static PUT_OWN_KEYS: ManyRows = ManyRows::insert(
    "own_key (id, wrapped, created_at_us)",
    3,
    "ON CONFLICT (id) DO UPDATE SET wrapped = excluded.wrapped",
);
static PUT_DATA_KEYS: ManyRows = ManyRows::insert(
    "data_key (team, id, wrapped, created_at_us)",
    4,
    "ON CONFLICT (team, id) DO UPDATE SET wrapped = excluded.wrapped",
);

const SEALED_TOKENS: &str = "SELECT id, team, network, version, sealed_access, sealed_refresh, sealed_key FROM token
    WHERE id > $1 AND length(sealed_access) > 0 AND COALESCE(reason, '') <> 'secret_damaged' ORDER BY id LIMIT $2";
static RESEAL_TOKENS: ManyRows = ManyRows::new(
    "UPDATE token SET sealed_access = v.column4, sealed_refresh = v.column5, sealed_key = v.column6 FROM",
    6,
    "WHERE token.id = v.column1 AND token.version = v.column2 AND token.sealed_access = v.column3 RETURNING token.id",
);
const RETIRE_DATA_KEYS: &str = "DELETE FROM data_key WHERE team = $1 AND id < $2 AND NOT EXISTS (
    SELECT 1 FROM token WHERE token.team = $1 AND length(sealed_access) > 0 AND COALESCE(reason, '') <> 'secret_damaged'
        AND (substr(sealed_access, 1, 5) <> $3 OR substr(sealed_refresh, 1, 5) <> $3
            OR substr(sealed_key, 1, 5) <> $3)
    UNION ALL SELECT 1 FROM connection WHERE connection.team = $1 AND sealed IS NOT NULL AND substr(sealed, 1, 5) <> $3)";
const COUNT_SEALED: &str = "SELECT team, substr(sealed, 1, 5), COUNT(*) FROM (
        SELECT team, sealed_access AS sealed FROM token UNION ALL SELECT team, sealed_refresh FROM token
        UNION ALL SELECT team, sealed_key FROM token
        UNION ALL SELECT team, sealed FROM connection
    ) AS secrets WHERE length(sealed) > 0 GROUP BY 1, 2 ORDER BY 1, 2";

#[async_trait]
impl<D: Database> SealingStore for D {
    async fn found(&self, foundation: Foundation) -> Result<(), StoreError> {
        let Foundation { own_key, fingerprint, audit_key } = foundation;
        let values = values![own_key.id, own_key.wrapped, own_key.created_at];
        self.write(move |tx| {
            Box::pin(async move {
                tx.execute(INSERT_OWN_KEY, values).await?;
                put_meta(tx, MetaName::KekFingerprint, fingerprint).await?;
                begin_chain(tx, &audit_key).await
            })
        })
        .await
    }

    async fn list_own_keys(&self) -> Result<Vec<OwnKeyRow>, StoreError> {
        self.read(|tx| {
            Box::pin(async move { tx.rows(LIST_OWN_KEYS, vec![]).await?.into_iter().map(own_key).collect() })
        })
        .await
    }

    async fn rotate_keys(&self, rotation: RotateKeys) -> Result<(), StoreError> {
        let RotateKeys { data_keys, own_keys, fingerprint, trail } = rotation;
        let data_keys =
            data_keys.into_iter().map(|key| values![&key.team, key.id, key.wrapped, key.created_at]).collect();
        let own_keys = own_keys.into_iter().map(|key| values![key.id, key.wrapped, key.created_at]).collect();
        self.write(move |tx| {
            Box::pin(async move {
                PUT_DATA_KEYS.execute(tx, data_keys).await?;
                PUT_OWN_KEYS.execute(tx, own_keys).await?;
                put_meta(tx, MetaName::KekFingerprint, fingerprint).await?;
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn sealed_tokens(&self, after: Option<TokenId>, limit: u32) -> Result<Vec<SealedToken>, StoreError> {
        let values = values![after.unwrap_or(TokenId::from_u128(0)), limit];
        self.read(move |tx| {
            Box::pin(async move { tx.rows(SEALED_TOKENS, values).await?.into_iter().map(sealed_token).collect() })
        })
        .await
    }

    async fn reseal_tokens(&self, tokens: Vec<Resealed>) -> Result<Vec<TokenId>, StoreError> {
        let row = |Resealed { before, access, refresh, key }: Resealed| {
            values![before.token, before.version, before.access, access, refresh, key]
        };
        let rows = tokens.into_iter().map(row).collect();
        self.write(move |tx| {
            Box::pin(async move {
                let changed = RESEAL_TOKENS.rows(tx, rows).await?;
                changed.into_iter().map(|mut row| row.id(TokenId::from_slice)).collect()
            })
        })
        .await
    }

    async fn retire_data_keys(&self, team: &TeamId, newest: u32, header: Vec<u8>) -> Result<u64, StoreError> {
        let values = values![team, newest, header];
        self.write(move |tx| Box::pin(async move { tx.execute(RETIRE_DATA_KEYS, values).await })).await
    }

    async fn erase_overwritten(&self) -> Result<(), StoreError> {
        self.empty_log().await
    }

    async fn count_sealed(&self) -> Result<Vec<SealedCount>, StoreError> {
        self.read(|tx| {
            Box::pin(async move { tx.rows(COUNT_SEALED, vec![]).await?.into_iter().map(sealed_count).collect() })
        })
        .await
    }
}

fn own_key(mut row: Row) -> Result<OwnKeyRow, StoreError> {
    Ok(OwnKeyRow { id: row.count()?, wrapped: row.blob()?, created_at: row.time()? })
}

fn sealed_token(mut row: Row) -> Result<SealedToken, StoreError> {
    Ok(SealedToken {
        token: row.id(TokenId::from_slice)?,
        team: row.slug()?,
        network: row.slug()?,
        version: row.count()?,
        access: row.blob()?,
        refresh: row.maybe_blob()?,
        key: row.maybe_blob()?,
    })
}

fn sealed_count(mut row: Row) -> Result<SealedCount, StoreError> {
    Ok(SealedCount { team: row.slug()?, header: row.blob()?, secrets: row.count()? })
}
