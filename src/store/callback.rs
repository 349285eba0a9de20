//! Callbacks of networks: a person took the consent back, or wants the data deleted. Requests and codes are keyed hashes.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, NetworkId, TeamId, TokenId};
use crate::store::database::Database;
use crate::store::sql::{Row, first, values};
use crate::store::{GrantPart, StoreError};

/// A callback that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackRow {
    /// The keyed hash of the request.
    pub hash: [u8; 32],
    /// The keyed hash of its confirmation code.
    pub code_hash: [u8; 32],
    /// The network.
    pub network: NetworkId,
    /// The app.
    pub app: AppId,
    /// The person, by the id at the network; empty once it was carried out.
    pub person: String,
    /// The keyed hash of network, app and person; `None`: it was kept by an earlier version.
    pub person_hash: Option<[u8; 32]>,
    /// Whether secrets are destroyed.
    pub deletes: bool,
    /// When it came.
    pub received_at: Timestamp,
    /// When it was carried out.
    pub done_at: Option<Timestamp>,
}

/// What is kept of callbacks.
#[async_trait]
pub trait CallbackStore: Send + Sync {
    /// Keeps a callback. Returns whether it is new.
    async fn insert_callback(&self, row: CallbackRow) -> Result<bool, StoreError>;
    /// At most `limit` callbacks that were not carried out.
    async fn unfinished_callbacks(&self, limit: u32) -> Result<Vec<CallbackRow>, StoreError>;
    /// Notes that a callback was carried out. Who it was about is forgotten, but for the keyed hash.
    async fn finish_callback(&self, hash: [u8; 32], at: Timestamp) -> Result<(), StoreError>;
    /// Whether a callback about one of these persons, by keyed hashes, came at `since` or later.
    async fn was_called_back(&self, persons: &[[u8; 32]], since: Timestamp) -> Result<bool, StoreError>;
    /// The callback of a confirmation code.
    async fn find_callback(&self, code_hash: [u8; 32]) -> Result<Option<CallbackRow>, StoreError>;
    /// At most `limit` tokens of a person in each of these parts that were not revoked, in all teams; the invalid ones only `with_invalid`.
    async fn tokens_of_person(
        &self,
        parts: &[GrantPart],
        person: &str,
        with_invalid: bool,
        limit: u32,
    ) -> Result<Vec<(TeamId, TokenId)>, StoreError>;
    /// Forgets at most `limit` callbacks that were carried out before `before`; how many.
    async fn prune_callbacks(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

const INSERT: &str =
    "INSERT INTO callback (hash, code_hash, network, app, person, person_hash, deletes, received_at_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
const UNFINISHED: &str =
    "SELECT hash, code_hash, network, app, person, person_hash, deletes, received_at_us, done_at_us
    FROM callback WHERE done_at_us IS NULL ORDER BY received_at_us LIMIT $1";
const FINISH: &str = "UPDATE callback SET done_at_us = $2, person = '' WHERE hash = $1";
const FIND: &str = "SELECT hash, code_hash, network, app, person, person_hash, deletes, received_at_us, done_at_us
    FROM callback WHERE code_hash = $1";
const CALLED_BACK: &str = "SELECT 1 FROM callback WHERE person_hash = $1 AND received_at_us >= $2 LIMIT 1";
const OF_PERSON: &str =
    "SELECT team, id FROM token WHERE network = $1 AND app = $2 AND ($3 IS NULL OR kind = $3) AND person = $4
    AND state <> 'revoked' AND ($5 = 1 OR state <> 'invalid') ORDER BY id LIMIT $6";
const PRUNE: &str = "DELETE FROM callback WHERE hash IN (SELECT hash FROM callback WHERE done_at_us < $1 LIMIT $2)";

#[async_trait]
impl<D: Database> CallbackStore for D {
    async fn insert_callback(&self, row: CallbackRow) -> Result<bool, StoreError> {
        let CallbackRow { hash, code_hash, network, app, person, person_hash, deletes, received_at, .. } = row;
        let person_hash = person_hash.map(Vec::from);
        let values = values![&hash[..], &code_hash[..], &network, &app, person, person_hash, deletes, received_at];
        self.write(move |tx| Box::pin(async move { Ok(tx.execute(INSERT, values).await? > 0) })).await
    }

    async fn unfinished_callbacks(&self, limit: u32) -> Result<Vec<CallbackRow>, StoreError> {
        self.read(move |tx| {
            Box::pin(async move { tx.rows(UNFINISHED, values![limit]).await?.into_iter().map(callback).collect() })
        })
        .await
    }

    async fn finish_callback(&self, hash: [u8; 32], at: Timestamp) -> Result<(), StoreError> {
        let values = values![&hash[..], at];
        self.write(move |tx| Box::pin(async move { tx.execute(FINISH, values).await.map(drop) })).await
    }

    async fn was_called_back(&self, persons: &[[u8; 32]], since: Timestamp) -> Result<bool, StoreError> {
        let persons = persons.to_vec();
        self.read(move |tx| {
            Box::pin(async move {
                for person in &persons {
                    if first(tx, CALLED_BACK, values![&person[..], since]).await?.is_some() {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
        })
        .await
    }

    async fn find_callback(&self, code_hash: [u8; 32]) -> Result<Option<CallbackRow>, StoreError> {
        let values = values![&code_hash[..]];
        self.read(move |tx| Box::pin(async move { first(tx, FIND, values).await?.map(callback).transpose() })).await
    }

    async fn tokens_of_person(
        &self,
        parts: &[GrantPart],
        person: &str,
        with_invalid: bool,
        limit: u32,
    ) -> Result<Vec<(TeamId, TokenId)>, StoreError> {
        let (parts, person) = (parts.to_vec(), person.to_owned());
        self.read(move |tx| {
            Box::pin(async move {
                let mut found = Vec::new();
                for GrantPart { network, app, kind } in &parts {
                    let values = values![network, app, kind.as_ref(), &*person, with_invalid, limit];
                    for mut row in tx.rows(OF_PERSON, values).await? {
                        found.push((row.slug()?, row.id(TokenId::from_slice)?));
                    }
                }
                Ok(found)
            })
        })
        .await
    }

    async fn prune_callbacks(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let values = values![before, limit];
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE, values).await })).await
    }
}

fn callback(mut row: Row) -> Result<CallbackRow, StoreError> {
    let hash = |bytes: Vec<u8>| bytes.try_into().map_err(|_| StoreError::corrupt("a callback's hash that is none"));
    Ok(CallbackRow {
        hash: hash(row.blob()?)?,
        code_hash: hash(row.blob()?)?,
        network: row.slug()?,
        app: row.slug()?,
        person: row.text()?,
        person_hash: row.maybe_blob()?.map(hash).transpose()?,
        deletes: row.count::<u8>()? != 0,
        received_at: row.time()?,
        done_at: row.maybe_time()?,
    })
}
