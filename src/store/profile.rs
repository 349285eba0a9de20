//! Profiles: who is told of them and who administers them.

use async_trait::async_trait;

use crate::base::ids::{MemberId, NetworkId, TeamId};
use crate::domain::profile::Profile;
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::sql::{Row, json, values};
use crate::store::{StoreError, Trail};

/// A profile that a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldProfile {
    /// Its network.
    pub network: NetworkId,
    /// Its id there.
    pub id: String,
    /// The label of the token that was added first of those that speak for it; may be empty.
    pub label: String,
}

/// What is kept of profiles.
#[async_trait]
pub trait ProfileStore: Send + Sync {
    /// Adds a profile, or puts it in the place of what is stored; [`StoreError::Conflict`] if its team does not exist.
    async fn put_profile(&self, profile: Profile, trail: Trail) -> Result<(), StoreError>;
    /// All profiles of which something was said.
    async fn list_profiles(&self) -> Result<Vec<Profile>, StoreError>;
    /// At most `limit` profiles that tokens of a team speak for which were not given back, each once, in no order.
    async fn list_held_profiles(&self, team: &TeamId, limit: u32) -> Result<Vec<HeldProfile>, StoreError>;
}

const PUT: &str = "INSERT INTO profile (team, network, id, display_name, owner, admins) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (team, network, id) DO UPDATE SET display_name = excluded.display_name, owner = excluded.owner,
        admins = excluded.admins";
const LIST: &str = "SELECT team, network, id, display_name, owner, admins FROM profile ORDER BY team, network, id";
/// Reads no further than it takes, and finds a label by its profile: what stands left of a CROSS JOIN is read first.
const LIST_HELD: &str = "SELECT held.network, held.profile, (
        SELECT token.label FROM token_profile CROSS JOIN token
        WHERE token_profile.profile = held.profile AND token.id = token_profile.token
            AND token.team = $1 AND token.network = held.network AND token.state <> 'revoked'
        ORDER BY token_profile.token LIMIT 1)
    FROM (SELECT DISTINCT token.network, token_profile.profile FROM token CROSS JOIN token_profile
        WHERE token.team = $1 AND token.state <> 'revoked' AND token_profile.token = token.id LIMIT $2) AS held";

#[async_trait]
impl<D: Database> ProfileStore for D {
    async fn put_profile(&self, profile: Profile, trail: Trail) -> Result<(), StoreError> {
        let Profile { team, network, id, display_name, owner, admins } = profile;
        let values = values![&team, &network, id, display_name, owner, json(&admins)];
        self.write(move |tx| {
            Box::pin(async move {
                tx.execute(PUT, values).await?;
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn list_profiles(&self) -> Result<Vec<Profile>, StoreError> {
        self.read(move |tx| Box::pin(async move { tx.rows(LIST, vec![]).await?.into_iter().map(profile).collect() }))
            .await
    }

    async fn list_held_profiles(&self, team: &TeamId, limit: u32) -> Result<Vec<HeldProfile>, StoreError> {
        let values = values![team, limit];
        let held = |mut row: Row| Ok(HeldProfile { network: row.slug()?, id: row.text()?, label: row.text()? });
        self.read(move |tx| Box::pin(async move { tx.rows(LIST_HELD, values).await?.into_iter().map(held).collect() }))
            .await
    }
}

fn profile(mut row: Row) -> Result<Profile, StoreError> {
    Ok(Profile {
        team: row.slug()?,
        network: row.slug()?,
        id: row.text()?,
        display_name: row.text()?,
        owner: row.maybe_id(MemberId::from_slice)?,
        admins: row.json()?,
    })
}
