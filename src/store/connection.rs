//! Connections, with what they keep sealed between two steps.
//!
//! A connection is changed only from the version that the caller has read: of two browsers that bring the same code one is told to read
//! again. Links, browsers and states come here as keyed hashes.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, ConnectionId, MemberId, NetworkId, TeamId, TokenId};
use crate::domain::connection::{Connection, Found, Granter, Problem, Stage};
use crate::domain::consent::Consent;
use crate::domain::networks::Purposes;
use crate::domain::reach::DeadSpan;
use crate::store::consent::insert_consent;
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::revocation::insert_revocation;
use crate::store::sql::{Row, Tx, Value, first, json, values};
use crate::store::token::{change_token, insert_tokens};
use crate::store::{NewToken, StoreError, StoredRevocation, TokenChange, TokenChangeError, Trail};

/// A connection with what only the broker sees.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredConnection {
    /// The connection.
    pub connection: Connection,
    /// The keyed hash of its link.
    pub link_hash: [u8; 32],
    /// That of the browser that it is bound to; `None`: its link was not used yet.
    pub browser_hash: Option<[u8; 32]>,
    /// That of the state that was sent to the network last. Stays, so that an answer that comes twice is known as such.
    pub state_hash: Option<[u8; 32]>,
    /// What waits between two steps, sealed.
    pub sealed: Option<Vec<u8>>,
}

/// Shows the connection without hashes and secrets.
impl std::fmt::Debug for StoredConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredConnection").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// The next step of a connection, decided on what was read.
#[derive(Debug, Clone)]
pub struct ConnectionStep {
    /// The connection as it shall be; its version is one more than what was read.
    pub stored: StoredConnection,
    /// What its network is to take back.
    pub gives_back: Option<StoredRevocation>,
    /// What the step leaves beside itself.
    pub trail: Trail,
}

/// A token that a connection brings.
pub enum ConnectedToken {
    /// One that the team did not hold.
    New(Box<NewToken>),
    /// One that it holds, with the new grant, and what its person agreed to.
    Healed(Box<TokenChange>, Consent),
}

/// Why the tokens of a connection are not kept. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeepError {
    /// The connection was changed since it was read, or is gone.
    #[error("the connection was changed meanwhile; read it again, then decide")]
    Connection,
    /// A token of the same grant as a new one came first.
    #[error("a token of the same grant was kept meanwhile; read again, then decide")]
    Held,
    /// A token that is held was not changed.
    #[error(transparent)]
    Token(#[from] TokenChangeError),
}

impl From<StoreError> for KeepError {
    fn from(error: StoreError) -> Self {
        Self::Token(error.into())
    }
}

/// Which connections are wanted.
#[derive(Debug, Clone, Default)]
pub struct ConnectionFilter {
    /// Of this team; `None`: of all.
    pub team: Option<TeamId>,
    /// At this stage, by its name (`choosing`).
    pub stage: Option<&'static str>,
    /// Before this id: the last one of the page before.
    pub before: Option<ConnectionId>,
}

/// What is kept of connections.
#[async_trait]
pub trait ConnectionStore: Send + Sync {
    /// Keeps a new one; [`StoreError::Conflict`] if its team does not exist.
    async fn insert_connection(&self, connection: StoredConnection, trail: Trail) -> Result<(), StoreError>;
    /// Takes the next step of one, and queues what the network is to take back. Returns whether it was done: if not, it was changed
    /// meanwhile, or is gone.
    async fn change_connection(&self, step: ConnectionStep) -> Result<bool, StoreError>;
    /// Takes the last step of one, and keeps the tokens that it brings, in this order: all of it or nothing. Returns the dead span that each
    /// of them ended, if it ended one.
    async fn keep_connected(
        &self,
        step: ConnectionStep,
        tokens: Vec<ConnectedToken>,
    ) -> Result<Vec<Option<DeadSpan>>, KeepError>;
    /// The connection of that id.
    async fn find_connection(&self, id: ConnectionId) -> Result<Option<StoredConnection>, StoreError>;
    /// The connection of that link.
    async fn connection_of_link(&self, hash: [u8; 32]) -> Result<Option<StoredConnection>, StoreError>;
    /// The connection of that state.
    async fn connection_of_state(&self, hash: [u8; 32]) -> Result<Option<StoredConnection>, StoreError>;
    /// At most `limit` connections, the newest first.
    async fn list_connections(&self, filter: ConnectionFilter, limit: u32) -> Result<Vec<Connection>, StoreError>;
    /// At most `limit` connections that have not ended, and that a member started or is bound to.
    async fn open_connections_of(&self, member: MemberId, limit: u32) -> Result<Vec<StoredConnection>, StoreError>;
    /// At most `limit` connections of an app whose tokens wait for a choice, after this id, in the order of their ids.
    async fn choosing_connections(
        &self,
        network: &NetworkId,
        app: &AppId,
        after: Option<ConnectionId>,
        limit: u32,
    ) -> Result<Vec<StoredConnection>, StoreError>;
    /// At most `limit` connections whose time was over before `now` and that have not ended.
    async fn overdue_connections(&self, now: Timestamp, limit: u32) -> Result<Vec<StoredConnection>, StoreError>;
    /// Forgets at most `limit` that ended before `before`; how many.
    async fn prune_connections(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
    /// Whether a refresh token of this keyed hash was ever given for this token.
    async fn was_given(&self, token: TokenId, hash: [u8; 32]) -> Result<bool, StoreError>;
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, team, network, app, kind, purposes, scopes, member, token, other_account, return_url, stage,
                stage_at_us, found, tokens, problem, created_at_us, ends_at_us, version, link_hash, browser_hash,
                state_hash, sealed, member_id, text_version, started_by FROM connection ",
            $rest
        )
    };
}

const INSERT: &str = "INSERT INTO connection (id, team, network, app, kind, purposes, scopes, member, token, other_account,
        return_url, stage, stage_at_us, found, tokens, problem, created_at_us, ends_at_us, version, link_hash, browser_hash,
        state_hash, sealed, member_id, text_version, started_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)";
const CHANGE: &str =
    "UPDATE connection SET stage = $3, stage_at_us = $4, found = $5, tokens = $6, problem = $7, browser_hash = $8,
        state_hash = $9, sealed = $10, member_id = $11, text_version = $12, version = version + 1
    WHERE id = $1 AND version = $2";
const FIND: &str = select!("WHERE id = $1");
const OF_LINK: &str = select!("WHERE link_hash = $1");
const OF_STATE: &str = select!("WHERE state_hash = $1");
const LIST: &str = select!(
    "WHERE ($1 IS NULL OR team = $1) AND ($2 IS NULL OR stage = $2) AND ($3 IS NULL OR id < $3) ORDER BY id DESC LIMIT $4"
);
const OPEN_OF_MEMBER: &str =
    select!("WHERE (started_by = $1 OR member_id = $1) AND stage NOT IN ('connected', 'cancelled', 'lapsed') LIMIT $2");
const CHOOSING: &str =
    select!("WHERE stage = 'choosing' AND network = $1 AND app = $2 AND ($3 IS NULL OR id > $3) ORDER BY id LIMIT $4");
const OVERDUE: &str = select!(
    "WHERE ends_at_us <= $1 AND stage NOT IN ('connected', 'cancelled', 'lapsed') ORDER BY ends_at_us LIMIT $2"
);
const PRUNE: &str = "DELETE FROM connection WHERE id IN (
    SELECT id FROM connection WHERE stage IN ('connected', 'cancelled', 'lapsed') AND stage_at_us < $1 LIMIT $2)";
const WAS_GIVEN: &str = "SELECT 1 FROM given_refresh WHERE token = $1 AND hash = $2";

#[async_trait]
impl<D: Database> ConnectionStore for D {
    async fn insert_connection(&self, stored: StoredConnection, trail: Trail) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.execute(INSERT, parameters(&stored)).await?;
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn change_connection(&self, step: ConnectionStep) -> Result<bool, StoreError> {
        self.write(move |tx| Box::pin(async move { take_step(tx, &step).await })).await
    }

    async fn keep_connected(
        &self,
        step: ConnectionStep,
        tokens: Vec<ConnectedToken>,
    ) -> Result<Vec<Option<DeadSpan>>, KeepError> {
        self.write(move |tx| {
            Box::pin(async move {
                if !take_step(tx, &step).await? {
                    return Err(KeepError::Connection);
                }
                let mut ended = Vec::with_capacity(tokens.len());
                for token in &tokens {
                    ended.push(keep_token(tx, token).await?);
                }
                Ok(ended)
            })
        })
        .await
    }

    async fn find_connection(&self, id: ConnectionId) -> Result<Option<StoredConnection>, StoreError> {
        one(self, FIND, values![id]).await
    }

    async fn connection_of_link(&self, hash: [u8; 32]) -> Result<Option<StoredConnection>, StoreError> {
        one(self, OF_LINK, values![&hash[..]]).await
    }

    async fn connection_of_state(&self, hash: [u8; 32]) -> Result<Option<StoredConnection>, StoreError> {
        one(self, OF_STATE, values![&hash[..]]).await
    }

    async fn list_connections(&self, filter: ConnectionFilter, limit: u32) -> Result<Vec<Connection>, StoreError> {
        let values = values![filter.team.as_ref(), filter.stage, filter.before, limit];
        Ok(several(self, LIST, values).await?.into_iter().map(|stored| stored.connection).collect())
    }

    async fn open_connections_of(&self, member: MemberId, limit: u32) -> Result<Vec<StoredConnection>, StoreError> {
        several(self, OPEN_OF_MEMBER, values![member, limit]).await
    }

    async fn choosing_connections(
        &self,
        network: &NetworkId,
        app: &AppId,
        after: Option<ConnectionId>,
        limit: u32,
    ) -> Result<Vec<StoredConnection>, StoreError> {
        several(self, CHOOSING, values![network, app, after, limit]).await
    }

    async fn overdue_connections(&self, now: Timestamp, limit: u32) -> Result<Vec<StoredConnection>, StoreError> {
        several(self, OVERDUE, values![now, limit]).await
    }

    async fn prune_connections(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.execute(PRUNE, values![before, limit]).await })).await
    }

    async fn was_given(&self, token: TokenId, hash: [u8; 32]) -> Result<bool, StoreError> {
        let values = values![token, &hash[..]];
        self.read(move |tx| Box::pin(async move { Ok(first(tx, WAS_GIVEN, values).await?.is_some()) })).await
    }
}

/// Takes the next step of a connection in the caller's transaction. Returns whether it was done: if not, it was changed meanwhile, or is gone.
pub(in crate::store) async fn take_step(tx: &mut dyn Tx, step: &ConnectionStep) -> Result<bool, StoreError> {
    let connection = &step.stored.connection;
    let mut values = values![connection.id, connection.version.saturating_sub(1)];
    values.extend(steps(&step.stored));
    if tx.execute(CHANGE, values).await? == 0 {
        return Ok(false);
    }
    if let Some(revocation) = &step.gives_back {
        insert_revocation(tx, revocation).await?;
    }
    insert_trail(tx, &step.trail).await?;
    Ok(true)
}

async fn keep_token(tx: &mut dyn Tx, token: &ConnectedToken) -> Result<Option<DeadSpan>, KeepError> {
    match token {
        ConnectedToken::New(new) => {
            let kept = insert_tokens(tx, std::slice::from_ref(&**new), None).await?;
            if kept.duplicates.is_empty() { Ok(None) } else { Err(KeepError::Held) }
        }
        ConnectedToken::Healed(change, consent) => {
            let ended = change_token(tx, change).await?;
            insert_consent(tx, consent).await?;
            Ok(ended)
        }
    }
}

async fn several<D: Database>(
    database: &D,
    sql: &'static str,
    values: Vec<Value>,
) -> Result<Vec<StoredConnection>, StoreError> {
    database
        .read(move |tx| Box::pin(async move { tx.rows(sql, values).await?.into_iter().map(stored).collect() }))
        .await
}

async fn one<D: Database>(
    database: &D,
    sql: &'static str,
    values: Vec<Value>,
) -> Result<Option<StoredConnection>, StoreError> {
    Ok(several(database, sql, values).await?.pop())
}

fn parameters(stored: &StoredConnection) -> Vec<Value> {
    let connection = &stored.connection;
    let mut row = values![
        connection.id,
        &connection.team,
        &connection.network,
        &connection.app,
        &connection.kind,
        connection.purposes.bits(),
        json(&connection.scopes),
        granter_parts(&connection.granter).0,
        connection.token,
        connection.other_account,
        connection.return_url.clone(),
    ];
    let mut steps = steps(stored);
    let hashes = steps.split_off(5);
    row.extend(steps);
    row.extend(values![connection.created_at, connection.ends_at, connection.version, &stored.link_hash[..]]);
    row.extend(hashes);
    row.extend(values![connection.started_by]);
    row
}

/// What a step may change: five columns of the connection, then what only the broker sees.
fn steps(stored: &StoredConnection) -> Vec<Value> {
    let connection = &stored.connection;
    let (at, found, tokens) = match &connection.stage {
        Stage::Offered => (None, None, &[][..]),
        Stage::Asked { until: at } | Stage::Redeeming { since: at } => (Some(*at), None, &[][..]),
        Stage::Choosing(found) => (None, Some(json(found)), &[][..]),
        Stage::Connected { tokens, at } => (Some(*at), None, &tokens[..]),
        Stage::Cancelled { at } | Stage::Lapsed { at } => (Some(*at), None, &[][..]),
    };
    values![
        connection.stage.as_str(),
        at,
        found,
        json(&tokens),
        connection.problem.as_ref().map(json),
        stored.browser_hash.map(|hash| hash.to_vec()),
        stored.state_hash.map(|hash| hash.to_vec()),
        stored.sealed.clone(),
        granter_parts(&connection.granter).1,
        &*connection.text_version,
    ]
}

/// A name, and the member. The name stays empty where it is a member: that is who it is then, whatever it was called before.
fn granter_parts(granter: &Granter) -> (&str, Option<MemberId>) {
    match granter {
        Granter::Named(name) => (name, None),
        Granter::Member(id) => ("", Some(*id)),
    }
}

fn stored(mut row: Row) -> Result<StoredConnection, StoreError> {
    let mut connection = Connection {
        id: row.id(ConnectionId::from_slice)?,
        team: row.slug()?,
        network: row.slug()?,
        app: row.slug()?,
        kind: row.slug()?,
        purposes: Purposes::from_bits(row.count()?),
        scopes: row.json()?,
        started_by: None,
        granter: Granter::Named(row.text()?),
        text_version: String::new(),
        token: row.maybe_id(TokenId::from_slice)?,
        other_account: row.int()? != 0,
        return_url: row.maybe_text()?,
        stage: stage(&mut row)?,
        problem: parsed::<Problem>(row.maybe_text()?)?,
        created_at: row.time()?,
        ends_at: row.time()?,
        version: row.count()?,
    };
    let link_hash = hash(row.maybe_blob()?)?.ok_or_else(|| StoreError::corrupt("a link without its hash"))?;
    let (browser_hash, state_hash) = (hash(row.maybe_blob()?)?, hash(row.maybe_blob()?)?);
    let sealed = row.maybe_blob()?;
    if let Some(member) = row.maybe_id(MemberId::from_slice)? {
        connection.granter = Granter::Member(member);
    }
    connection.text_version = row.text()?;
    connection.started_by = row.maybe_id(MemberId::from_slice)?;
    Ok(StoredConnection { connection, link_hash, browser_hash, state_hash, sealed })
}

/// Reads `stage`, `stage_at_us`, `found` and `tokens`.
fn stage(row: &mut Row) -> Result<Stage, StoreError> {
    let (name, at, found) = (row.text()?, row.maybe_time()?, parsed::<Found>(row.maybe_text()?)?);
    let tokens: Vec<TokenId> = row.json()?;
    match (name.as_str(), at, found) {
        ("offered", ..) => Ok(Stage::Offered),
        ("asked", Some(until), _) => Ok(Stage::Asked { until }),
        ("redeeming", Some(since), _) => Ok(Stage::Redeeming { since }),
        ("choosing", _, Some(found)) => Ok(Stage::Choosing(found)),
        ("connected", Some(at), _) => Ok(Stage::Connected { tokens, at }),
        ("cancelled", Some(at), _) => Ok(Stage::Cancelled { at }),
        ("lapsed", Some(at), _) => Ok(Stage::Lapsed { at }),
        _ => Err(StoreError::corrupt("an unknown stage of a connection")),
    }
}

fn parsed<T: serde::de::DeserializeOwned>(text: Option<String>) -> Result<Option<T>, StoreError> {
    let read = |text: String| serde_json::from_str(&text).map_err(|_| StoreError::corrupt("a part of a connection"));
    text.map(read).transpose()
}

fn hash(bytes: Option<Vec<u8>>) -> Result<Option<[u8; 32]>, StoreError> {
    let read = |bytes: Vec<u8>| bytes.try_into().map_err(|_| StoreError::corrupt("a hash that is not 32 bytes"));
    bytes.map(read).transpose()
}
