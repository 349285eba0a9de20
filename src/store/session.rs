//! Sessions of members and operators in the web console.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{KeyId, MemberId, SessionId};
use crate::domain::member::{Session, SessionOf};
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::sql::{Row, first, values};
use crate::store::{StoreError, Trail};

/// What is kept of sessions.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Begins a session. `judged`: the version that its member had when it was judged who signs in; `None`: the session is no member's. Returns
    /// whether it began: not if the member was changed since.
    async fn insert_session(&self, session: Session, judged: Option<u32>, trail: Trail) -> Result<bool, StoreError>;
    /// The session with that hash, whether its time is over or not.
    async fn session_by_hash(&self, hash: [u8; 32]) -> Result<Option<Session>, StoreError>;
    /// At most `limit` sessions of a member, the newest first, which are older than `before`.
    async fn list_sessions(
        &self,
        member: MemberId,
        before: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError>;
    /// Notes that a session was used; one that ended meanwhile stays ended.
    async fn touch_session(&self, session: SessionId, seen_at: Timestamp) -> Result<(), StoreError>;
    /// Notes that its person proved anew who it is.
    async fn authenticate_session(&self, session: SessionId, at: Timestamp, trail: Trail) -> Result<(), StoreError>;
    /// Ends one session of somebody; [`StoreError::NotFound`] if it is not there.
    async fn end_session(&self, whose: SessionOf, session: SessionId, trail: Trail) -> Result<(), StoreError>;
    /// Deletes at most `limit` sessions that began before `created` or were not used since `seen`; how many.
    async fn prune_sessions(&self, created: Timestamp, seen: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

const AUTHENTICATE: &str = "UPDATE session SET authenticated_at_us = $2, seen_at_us = $2 WHERE id = $1";
const INSERT: &str =
    "INSERT INTO session (id, member, operator_key, hash, created_at_us, seen_at_us, authenticated_at_us, agent, origin)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
    WHERE $10 IS NULL OR EXISTS (SELECT 1 FROM member WHERE id = $2 AND version = $10)";
const BY_HASH: &str =
    "SELECT id, member, operator_key, hash, created_at_us, seen_at_us, authenticated_at_us, agent, origin
    FROM session WHERE hash = $1";
const OF_MEMBER: &str =
    "SELECT id, member, operator_key, hash, created_at_us, seen_at_us, authenticated_at_us, agent, origin
    FROM session WHERE member = $1 AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3";
const TOUCH: &str = "UPDATE session SET seen_at_us = $2 WHERE id = $1 AND seen_at_us < $2";
const END: &str = "DELETE FROM session WHERE id = $1 AND (member = $2 OR operator_key = $3)";
const PRUNE: &str = "DELETE FROM session WHERE id IN (
    SELECT id FROM session WHERE created_at_us < $1 UNION SELECT id FROM session WHERE seen_at_us < $2 LIMIT $3)";
/// Ends all sessions of a member.
pub(super) const END_ALL: &str = "DELETE FROM session WHERE member = $1";

#[async_trait]
impl<D: Database> SessionStore for D {
    async fn insert_session(&self, session: Session, judged: Option<u32>, trail: Trail) -> Result<bool, StoreError> {
        let Session { id, whose, hash, created_at, seen_at, authenticated_at, agent, origin } = session;
        let (member, key) = columns_of(whose);
        let mut values = values![id, member, key, &hash[..], created_at, seen_at, authenticated_at, agent, origin];
        values.extend(values![judged]);
        self.write(move |tx| {
            Box::pin(async move {
                let began = tx.execute(INSERT, values).await? > 0;
                if began {
                    insert_trail(tx, &trail).await?;
                }
                Ok(began)
            })
        })
        .await
    }

    async fn session_by_hash(&self, hash: [u8; 32]) -> Result<Option<Session>, StoreError> {
        let values = values![&hash[..]];
        self.read(move |tx| Box::pin(async move { first(tx, BY_HASH, values).await?.map(session).transpose() })).await
    }

    async fn list_sessions(
        &self,
        member: MemberId,
        before: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        let values = values![member, before, limit];
        self.read(move |tx| {
            Box::pin(async move { tx.rows(OF_MEMBER, values).await?.into_iter().map(session).collect() })
        })
        .await
    }

    async fn touch_session(&self, id: SessionId, seen_at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.execute(TOUCH, values![id, seen_at]).await.map(drop) })).await
    }

    async fn authenticate_session(&self, id: SessionId, at: Timestamp, trail: Trail) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(AUTHENTICATE, values![id, at]).await? == 0 {
                    return Err(StoreError::not_found(id));
                }
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn end_session(&self, whose: SessionOf, id: SessionId, trail: Trail) -> Result<(), StoreError> {
        let (member, key) = columns_of(whose);
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(END, values![id, member, key]).await? == 0 {
                    return Err(StoreError::not_found(id));
                }
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn prune_sessions(&self, created: Timestamp, seen: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE, values![created, seen, limit]).await })).await
    }
}

const fn columns_of(whose: SessionOf) -> (Option<MemberId>, Option<KeyId>) {
    match whose {
        SessionOf::Member(member) => (Some(member), None),
        SessionOf::Operator(key) => (None, Some(key)),
    }
}

fn session(mut row: Row) -> Result<Session, StoreError> {
    let id = row.id(SessionId::from_slice)?;
    let whose = match (row.maybe_id(MemberId::from_slice)?, row.maybe_id(KeyId::from_slice)?) {
        (Some(member), None) => SessionOf::Member(member),
        (None, Some(key)) => SessionOf::Operator(key),
        _ => return Err(StoreError::corrupt("a session that is nobody's")),
    };
    Ok(Session {
        id,
        whose,
        hash: row.blob()?.try_into().map_err(|_| StoreError::corrupt("a hash that is not 32 bytes"))?,
        created_at: row.time()?,
        seen_at: row.time()?,
        authenticated_at: row.time()?,
        agent: row.text()?,
        origin: row.text()?,
    })
}
