//! Profiles: who is told of them and who administers them.

use async_trait::async_trait;

use crate::base::ids::MemberId;
use crate::domain::profile::Profile;
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::sql::{Row, json, values};
use crate::store::{StoreError, Trail};

/// What is kept of profiles.
#[async_trait]
pub trait ProfileStore: Send + Sync {
    /// Adds a profile, or puts it in the place of what is stored; [`StoreError::Conflict`] if its team does not exist.
    async fn put_profile(&self, profile: Profile, trail: Trail) -> Result<(), StoreError>;
    /// All profiles of which something was said.
    async fn list_profiles(&self) -> Result<Vec<Profile>, StoreError>;
}

const PUT: &str = "INSERT INTO profile (team, network, id, display_name, owner, admins) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (team, network, id) DO UPDATE SET display_name = excluded.display_name, owner = excluded.owner,
        admins = excluded.admins";
const LIST: &str = "SELECT team, network, id, display_name, owner, admins FROM profile ORDER BY team, network, id";

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
