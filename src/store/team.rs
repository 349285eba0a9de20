//! Teams, collectors and keys, and the wrapped data keys of teams.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{CollectorId, KeyId, MemberId, TeamId};
use crate::domain::certificate::CertificateName;
use crate::domain::networks::Purposes;
use crate::domain::team::{Collector, CollectorScope, Key, KeyHolder, KeyProof, OperatorRole, Team};
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::sql::{Row, Tx, Value, json, values};
use crate::store::{StoreError, Trail};

/// A data key of a team, wrapped by the key-encryption key.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The team.
    pub team: TeamId,
    /// Its number within the team; rises with each rotation.
    pub id: u32,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What is kept of teams and those who act for them.
#[async_trait]
pub trait TeamStore: Send + Sync {
    /// Adds a team; [`StoreError::Conflict`] if its id is taken.
    async fn insert_team(&self, team: Team, trail: Trail) -> Result<(), StoreError>;
    /// Changes a team's name, weight and reserve.
    async fn update_team(&self, team: Team, trail: Trail) -> Result<(), StoreError>;
    /// Deletes a team with everything that is kept of it, its data keys too: tokens, collectors and their keys. The audit, its leases
    /// and its usage stay.
    async fn delete_team(&self, team: &TeamId, trail: Trail) -> Result<(), StoreError>;
    /// The team of that id.
    async fn find_team(&self, team: &TeamId) -> Result<Option<Team>, StoreError>;
    /// All teams, by id.
    async fn list_teams(&self) -> Result<Vec<Team>, StoreError>;
    /// Adds a collector; [`StoreError::Conflict`] if its team does not exist or its id is taken.
    async fn insert_collector(&self, collector: Collector, trail: Trail) -> Result<(), StoreError>;
    /// Changes a collector's name, scope, weight, certificates and whether it is disabled.
    async fn update_collector(&self, collector: Collector, trail: Trail) -> Result<(), StoreError>;
    /// Deletes a collector and revokes its keys.
    async fn delete_collector(&self, collector: CollectorId, at: Timestamp, trail: Trail) -> Result<(), StoreError>;
    /// The collector of that id.
    async fn find_collector(&self, collector: CollectorId) -> Result<Option<Collector>, StoreError>;
    /// The collectors of a team (`None`: of all), by id.
    async fn list_collectors(&self, team: Option<&TeamId>) -> Result<Vec<Collector>, StoreError>;
    /// Adds a key; [`StoreError::Conflict`] if its id is taken.
    async fn insert_key(&self, key: Key, trail: Trail) -> Result<(), StoreError>;
    /// Revokes a key. Revoking twice changes nothing, and keeps the first time.
    async fn revoke_key(&self, key: KeyId, at: Timestamp, trail: Trail) -> Result<(), StoreError>;
    /// The key of that id, revoked or not.
    async fn find_key(&self, key: KeyId) -> Result<Option<Key>, StoreError>;
    /// The keys of a collector (`None`: of all holders), by id.
    async fn list_keys(&self, collector: Option<CollectorId>) -> Result<Vec<Key>, StoreError>;
    /// Adds a wrapped data key; [`StoreError::Conflict`] if the team has one of that number.
    async fn insert_data_key(&self, key: WrappedKey) -> Result<(), StoreError>;
    /// All wrapped data keys, by team and number.
    async fn list_data_keys(&self) -> Result<Vec<WrappedKey>, StoreError>;
}

const INSERT_TEAM: &str = "INSERT INTO team (display_name, weight, reserve_percent, id, created_at_us)
    VALUES ($1, $2, $3, $4, $5)";
const UPDATE_TEAM: &str = "UPDATE team SET display_name = $1, weight = $2, reserve_percent = $3 WHERE id = $4";
const FIND_TEAM: &str = "SELECT id, display_name, weight, reserve_percent, created_at_us FROM team WHERE id = $1";
const LIST_TEAMS: &str = "SELECT id, display_name, weight, reserve_percent, created_at_us FROM team ORDER BY id";

/// What belongs to a team, in an order in which nothing points at what is gone.
const DELETE_OF_TEAM: [&str; 8] = [
    "DELETE FROM job WHERE team = $1",
    "DELETE FROM profile WHERE team = $1",
    "DELETE FROM member WHERE team = $1",
    "DELETE FROM key WHERE team = $1",
    "DELETE FROM collector WHERE team = $1",
    "DELETE FROM connection WHERE team = $1",
    "DELETE FROM token WHERE team = $1",
    "DELETE FROM data_key WHERE team = $1",
];
const DELETE_TEAM: &str = "DELETE FROM team WHERE id = $1";

const INSERT_COLLECTOR: &str = "INSERT INTO collector (display_name, networks, all_networks, purposes, max_leases,
        weight, certificates, disabled, id, team, created_at_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const UPDATE_COLLECTOR: &str = "UPDATE collector SET display_name = $1, networks = $2, all_networks = $3,
        purposes = $4, max_leases = $5, weight = $6, certificates = $7, disabled = $8 WHERE id = $9 AND team = $10";
const REVOKE_KEYS_OF: &str = "UPDATE key SET revoked_at_us = COALESCE(revoked_at_us, $2) WHERE collector = $1";
const DELETE_COLLECTOR: &str = "DELETE FROM collector WHERE id = $1";
const FIND_COLLECTOR: &str = "SELECT id, team, display_name, networks, all_networks, purposes, max_leases, weight,
        certificates, disabled, created_at_us FROM collector WHERE id = $1";
const LIST_COLLECTORS: &str = "SELECT id, team, display_name, networks, all_networks, purposes, max_leases, weight,
        certificates, disabled, created_at_us FROM collector WHERE ($1 IS NULL OR team = $1) ORDER BY id";

macro_rules! select_keys {
    ($where:literal) => {
        concat!(
            "SELECT id, team, collector, role, display_name, hash, certificate, created_at_us, expires_at_us, revoked_at_us,
                    made_by
             FROM key ",
            $where
        )
    };
}

const INSERT_KEY: &str = "INSERT INTO key (id, team, collector, role, display_name, hash, certificate, created_at_us,
        expires_at_us, revoked_at_us, made_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const REVOKE_KEY: &str = "UPDATE key SET revoked_at_us = COALESCE(revoked_at_us, $2) WHERE id = $1";
const FIND_KEY: &str = select_keys!("WHERE id = $1");
const LIST_KEYS: &str = select_keys!("WHERE ($1 IS NULL OR collector = $1) ORDER BY id");

const INSERT_DATA_KEY: &str = "INSERT INTO data_key (team, id, wrapped, created_at_us) VALUES ($1, $2, $3, $4)";
const LIST_DATA_KEYS: &str = "SELECT team, id, wrapped, created_at_us FROM data_key ORDER BY team, id";

#[async_trait]
impl<D: Database> TeamStore for D {
    async fn insert_team(&self, team: Team, trail: Trail) -> Result<(), StoreError> {
        let mut values = team_values(&team);
        values.push(team.created_at.into());
        write_one(self, INSERT_TEAM, values, trail, String::new()).await
    }

    async fn update_team(&self, team: Team, trail: Trail) -> Result<(), StoreError> {
        write_one(self, UPDATE_TEAM, team_values(&team), trail, format!("team '{}'", team.id)).await
    }

    async fn delete_team(&self, id: &TeamId, trail: Trail) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |tx| {
            Box::pin(async move {
                for sql in DELETE_OF_TEAM {
                    tx.execute(sql, values![&id]).await?;
                }
                must_change(tx, DELETE_TEAM, values![&id], &format!("team '{id}'")).await?;
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn find_team(&self, id: &TeamId) -> Result<Option<Team>, StoreError> {
        Ok(list(self, FIND_TEAM, values![id], team).await?.pop())
    }

    async fn list_teams(&self) -> Result<Vec<Team>, StoreError> {
        list(self, LIST_TEAMS, vec![], team).await
    }

    async fn insert_collector(&self, collector: Collector, trail: Trail) -> Result<(), StoreError> {
        let mut values = collector_values(&collector);
        values.push(collector.created_at.into());
        write_one(self, INSERT_COLLECTOR, values, trail, String::new()).await
    }

    async fn update_collector(&self, collector: Collector, trail: Trail) -> Result<(), StoreError> {
        let what = format!("{} of team '{}'", collector.id, collector.team);
        write_one(self, UPDATE_COLLECTOR, collector_values(&collector), trail, what).await
    }

    async fn delete_collector(&self, id: CollectorId, at: Timestamp, trail: Trail) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.execute(REVOKE_KEYS_OF, values![id, at]).await?;
                must_change(tx, DELETE_COLLECTOR, values![id], &id.to_string()).await?;
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn find_collector(&self, id: CollectorId) -> Result<Option<Collector>, StoreError> {
        Ok(list(self, FIND_COLLECTOR, values![id], collector).await?.pop())
    }

    async fn list_collectors(&self, team: Option<&TeamId>) -> Result<Vec<Collector>, StoreError> {
        list(self, LIST_COLLECTORS, values![team], collector).await
    }

    async fn insert_key(&self, key: Key, trail: Trail) -> Result<(), StoreError> {
        let (team, collector, role) = match &key.holder {
            KeyHolder::Collector(team, collector) => (Some(team), Some(*collector), None),
            KeyHolder::Operator(role) => (None, None, Some(role_name(*role))),
        };
        let (hash, certificate) = match &key.proof {
            KeyProof::Secret(hash) => (&hash[..], None),
            KeyProof::Certificate(name) => (&[][..], Some(name.as_str())),
        };
        let values = values![
            key.id,
            team,
            collector,
            role,
            &*key.display_name,
            hash,
            certificate,
            key.created_at,
            key.expires_at,
            key.revoked_at,
            key.made_by
        ];
        write_one(self, INSERT_KEY, values, trail, String::new()).await
    }

    async fn revoke_key(&self, key: KeyId, at: Timestamp, trail: Trail) -> Result<(), StoreError> {
        write_one(self, REVOKE_KEY, values![key, at], trail, key.to_string()).await
    }

    async fn find_key(&self, id: KeyId) -> Result<Option<Key>, StoreError> {
        Ok(list(self, FIND_KEY, values![id], key).await?.pop())
    }

    async fn list_keys(&self, collector: Option<CollectorId>) -> Result<Vec<Key>, StoreError> {
        list(self, LIST_KEYS, values![collector], key).await
    }

    async fn insert_data_key(&self, key: WrappedKey) -> Result<(), StoreError> {
        let values = values![&key.team, key.id, key.wrapped, key.created_at];
        self.write(move |tx| Box::pin(async move { tx.execute(INSERT_DATA_KEY, values).await.map(drop) })).await
    }

    async fn list_data_keys(&self) -> Result<Vec<WrappedKey>, StoreError> {
        list(self, LIST_DATA_KEYS, vec![], data_key).await
    }
}

/// Writes one row with its audit event; `what` is missing if no row was written.
async fn write_one(
    database: &impl Database,
    sql: &'static str,
    values: Vec<Value>,
    trail: Trail,
    what: String,
) -> Result<(), StoreError> {
    database
        .write(move |tx| {
            Box::pin(async move {
                must_change(tx, sql, values, &what).await?;
                insert_trail(tx, &trail).await
            })
        })
        .await
}

async fn must_change(tx: &mut dyn Tx, sql: &'static str, values: Vec<Value>, what: &str) -> Result<(), StoreError> {
    match tx.execute(sql, values).await? {
        0 => Err(StoreError::not_found(what)),
        _ => Ok(()),
    }
}

async fn list<T: Send + 'static>(
    database: &impl Database,
    sql: &'static str,
    values: Vec<Value>,
    read: fn(Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    database.read(move |tx| Box::pin(async move { tx.rows(sql, values).await?.into_iter().map(read).collect() })).await
}

fn team_values(team: &Team) -> Vec<Value> {
    values![&*team.display_name, team.weight, team.reserve_percent, &team.id]
}

fn collector_values(collector: &Collector) -> Vec<Value> {
    let CollectorScope { networks, all_networks, purposes, max_leases } = &collector.scope;
    values![
        &*collector.display_name,
        json(networks),
        *all_networks,
        purposes.bits(),
        *max_leases,
        collector.weight,
        json(&collector.certificates.iter().map(CertificateName::as_str).collect::<Vec<_>>()),
        collector.disabled,
        collector.id,
        &collector.team,
    ]
}

fn team(mut row: Row) -> Result<Team, StoreError> {
    Ok(Team {
        id: row.slug()?,
        display_name: row.text()?,
        weight: row.count()?,
        reserve_percent: row.maybe_count()?,
        created_at: row.time()?,
    })
}

fn collector(mut row: Row) -> Result<Collector, StoreError> {
    Ok(Collector {
        id: row.id(CollectorId::from_slice)?,
        team: row.slug()?,
        display_name: row.text()?,
        scope: CollectorScope {
            networks: row.json()?,
            all_networks: row.int()? != 0,
            purposes: Purposes::from_bits(row.count()?),
            max_leases: row.count()?,
        },
        weight: row.count()?,
        certificates: row.json::<Vec<String>>()?.iter().map(|name| certificate(name)).collect::<Result<_, _>>()?,
        disabled: row.int()? != 0,
        created_at: row.time()?,
    })
}

fn key(mut row: Row) -> Result<Key, StoreError> {
    let id = row.id(KeyId::from_slice)?;
    let (team, collector) = (row.maybe_slug()?, row.maybe_id(CollectorId::from_slice)?);
    let holder = match (team, collector, row.maybe_text()?.as_deref()) {
        (Some(team), Some(collector), None) => KeyHolder::Collector(team, collector),
        (None, None, Some("admin")) => KeyHolder::Operator(OperatorRole::Admin),
        (None, None, Some("reader")) => KeyHolder::Operator(OperatorRole::Reader),
        _ => return Err(StoreError::corrupt("a key without a proper holder")),
    };
    let display_name = row.text()?;
    let hash = row.blob()?;
    let proof = match row.maybe_text()? {
        Some(name) => KeyProof::Certificate(certificate(&name)?),
        None => KeyProof::Secret(hash.try_into().map_err(|_| StoreError::corrupt("a hash that is not 32 bytes"))?),
    };
    let (created_at, expires_at, revoked_at) = (row.time()?, row.maybe_time()?, row.maybe_time()?);
    let made_by = row.maybe_id(MemberId::from_slice)?;
    Ok(Key { id, holder, display_name, proof, made_by, created_at, expires_at, revoked_at })
}

fn certificate(name: &str) -> Result<CertificateName, StoreError> {
    name.parse().map_err(|_| StoreError::corrupt("a name of a certificate that is none"))
}

fn role_name(role: OperatorRole) -> &'static str {
    match role {
        OperatorRole::Admin => "admin",
        OperatorRole::Reader => "reader",
    }
}

fn data_key(mut row: Row) -> Result<WrappedKey, StoreError> {
    Ok(WrappedKey { team: row.slug()?, id: row.count()?, wrapped: row.blob()?, created_at: row.time()? })
}
