//! Browsers of members that get push messages, with what is sealed of them.

use async_trait::async_trait;

use crate::base::ids::{MemberId, PushSubscriptionId, TeamId};
use crate::domain::notice::PushSubscription;
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::sql::{Row, first, values};
use crate::store::{StoreError, Trail};

/// A subscription with what is sealed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPush {
    /// The subscription.
    pub subscription: PushSubscription,
    /// A keyed hash of its address.
    pub endpoint_hash: [u8; 32],
    /// Its address and keys, sealed.
    pub sealed: Vec<u8>,
}

/// What is kept of push subscriptions.
#[async_trait]
pub trait PushStore: Send + Sync {
    /// Adds a subscription, in the place of an earlier one of the same browser, whoever made that. [`StoreError::Conflict`]: the member has
    /// `most` of them.
    async fn insert_push(&self, stored: StoredPush, most: usize, trail: Trail) -> Result<(), StoreError>;
    /// Deletes a subscription of a member.
    async fn delete_push(&self, member: MemberId, id: PushSubscriptionId, trail: Trail) -> Result<(), StoreError>;
    /// Puts what is sealed anew in the place of what is there, if its version is one below; [`StoreError::Conflict`]: it is not.
    async fn reseal_push(&self, id: PushSubscriptionId, version: u32, sealed: Vec<u8>) -> Result<(), StoreError>;
    /// The subscription of that id.
    async fn find_push(&self, id: PushSubscriptionId) -> Result<Option<StoredPush>, StoreError>;
    /// All subscriptions of a member, in the order in which they were made. They are few.
    async fn list_push(&self, team: &TeamId, member: MemberId) -> Result<Vec<StoredPush>, StoreError>;
    /// The subscriptions of a team's members after `after`, up to `through`.
    async fn push_of_members(
        &self,
        team: &TeamId,
        after: Option<MemberId>,
        through: MemberId,
    ) -> Result<Vec<(MemberId, PushSubscriptionId)>, StoreError>;
    /// At most `limit` subscriptions of everybody after `after`, by id.
    async fn all_push(&self, after: Option<PushSubscriptionId>, limit: u32) -> Result<Vec<StoredPush>, StoreError>;
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, team, member, display_name, shown, created_at_us, version, endpoint_hash, sealed FROM push_subscription ",
            $rest
        )
    };
}

const REPLACED: &str = "DELETE FROM push_subscription WHERE endpoint_hash = $1";
const COUNT: &str = "SELECT COUNT(*) FROM push_subscription WHERE team = $1 AND member = $2";
const INSERT: &str = "INSERT INTO push_subscription (id, team, member, display_name, shown, created_at_us, version,
        endpoint_hash, sealed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const DELETE: &str = "DELETE FROM push_subscription WHERE id = $1 AND member = $2";
const RESEAL: &str = "UPDATE push_subscription SET sealed = $3, version = $2 WHERE id = $1 AND version = $2 - 1";
const FIND: &str = select!("WHERE id = $1");
const OF_MEMBER: &str = select!("WHERE team = $1 AND member = $2 ORDER BY id");
const OF_MEMBERS: &str = "SELECT member, id FROM push_subscription WHERE team = $1 AND member > $2 AND member <= $3
    ORDER BY member, id";
const ALL: &str = select!("WHERE id > $1 ORDER BY id LIMIT $2");

#[async_trait]
impl<D: Database> PushStore for D {
    async fn insert_push(&self, stored: StoredPush, most: usize, trail: Trail) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let PushSubscription { id, team, member, display_name, shown, created_at, version } =
                    &stored.subscription;
                tx.execute(REPLACED, values![&stored.endpoint_hash[..]]).await?;
                let counted = first(tx, COUNT, values![team, *member]).await?;
                let count: u64 = counted.map_or(Ok(0), |mut row| row.count())?;
                if count >= most as u64 {
                    return Err(StoreError::Conflict { what: "as many subscriptions as there can be".to_owned() });
                }
                let mut values = values![*id, team, *member, &**display_name, &**shown, *created_at, *version];
                values.extend(values![&stored.endpoint_hash[..], &stored.sealed[..]]);
                tx.execute(INSERT, values).await?;
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn delete_push(&self, member: MemberId, id: PushSubscriptionId, trail: Trail) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(DELETE, values![id, member]).await? == 0 {
                    return Err(StoreError::not_found(id));
                }
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn reseal_push(&self, id: PushSubscriptionId, version: u32, sealed: Vec<u8>) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                match tx.execute(RESEAL, values![id, version, sealed]).await? {
                    0 => Err(StoreError::Conflict { what: "a subscription that was sealed meanwhile".to_owned() }),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    async fn find_push(&self, id: PushSubscriptionId) -> Result<Option<StoredPush>, StoreError> {
        self.read(move |tx| Box::pin(async move { first(tx, FIND, values![id]).await?.map(stored).transpose() })).await
    }

    async fn list_push(&self, team: &TeamId, member: MemberId) -> Result<Vec<StoredPush>, StoreError> {
        let values = values![team, member];
        self.read(move |tx| {
            Box::pin(async move { tx.rows(OF_MEMBER, values).await?.into_iter().map(stored).collect() })
        })
        .await
    }

    async fn push_of_members(
        &self,
        team: &TeamId,
        after: Option<MemberId>,
        through: MemberId,
    ) -> Result<Vec<(MemberId, PushSubscriptionId)>, StoreError> {
        let values = values![team, after.unwrap_or(MemberId::from_u128(0)), through];
        self.read(move |tx| {
            Box::pin(async move {
                let read = |mut row: Row| Ok((row.id(MemberId::from_slice)?, row.id(PushSubscriptionId::from_slice)?));
                tx.rows(OF_MEMBERS, values).await?.into_iter().map(read).collect()
            })
        })
        .await
    }

    async fn all_push(&self, after: Option<PushSubscriptionId>, limit: u32) -> Result<Vec<StoredPush>, StoreError> {
        let values = values![after.unwrap_or(PushSubscriptionId::from_u128(0)), limit];
        self.read(move |tx| Box::pin(async move { tx.rows(ALL, values).await?.into_iter().map(stored).collect() }))
            .await
    }
}

fn stored(mut row: Row) -> Result<StoredPush, StoreError> {
    let subscription = PushSubscription {
        id: row.id(PushSubscriptionId::from_slice)?,
        team: row.slug()?,
        member: row.id(MemberId::from_slice)?,
        display_name: row.text()?,
        shown: row.text()?,
        created_at: row.time()?,
        version: row.count()?,
    };
    let endpoint_hash = row.blob()?.try_into().map_err(|_| StoreError::corrupt("a hash of another length"))?;
    Ok(StoredPush { subscription, endpoint_hash, sealed: row.blob()? })
}
