//! Secrets that the broker's own keys seal: of apps, of destinations and of members' browsers. Which of them do not open.

use crate::base::clock::Timestamp;
use crate::base::ids::DestinationId;
use crate::service::{apps, notices};
use crate::store::{AppStore, DestinationStore, MetaStore, PushStore, StoreError, StoredApp, StoredDestination};
use crate::vault::Vault;

/// Rows read at once.
const PART: u32 = 100;

/// Whose a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretOf {
    /// The client secret of an app.
    App,
    /// The target or a signing secret of a destination.
    Destination,
    /// How a member's browser is reached, or the broker's own key for push messages.
    Push,
}

impl SecretOf {
    /// All of them.
    pub const ALL: [SecretOf; 3] = [SecretOf::App, SecretOf::Destination, SecretOf::Push];

    /// The name used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            SecretOf::App => "app",
            SecretOf::Destination => "destination",
            SecretOf::Push => "push",
        }
    }
}

/// A secret that does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedSecret {
    /// Whose it is.
    pub of: SecretOf,
    /// What it belongs to, by its resource name.
    pub name: String,
    /// When that was made, which tells it from what was called so before and was deleted; `None`: nothing was.
    made_at: Option<Timestamp>,
    /// Raised by one each time that it is set anew.
    version: u32,
}

impl DamagedSecret {
    fn of_app(vault: &Vault, stored: &StoredApp) -> Option<Self> {
        let found = || Self {
            of: SecretOf::App,
            name: apps::name_of(&stored.app),
            made_at: stored.app.created_at,
            version: stored.secret_version,
        };
        apps::opened_secret(vault, stored).is_err().then(found)
    }

    fn of_destination(vault: &Vault, stored: &StoredDestination) -> Option<Self> {
        let destination = &stored.destination;
        let found = || Self {
            of: SecretOf::Destination,
            name: destination.name(),
            made_at: Some(destination.created_at),
            version: destination.version,
        };
        notices::opened_destination(vault, stored).is_err().then(found)
    }

    /// By what the damage is known again, until it is set anew, or made anew.
    pub fn key(&self) -> String {
        let made_at = self.made_at.map_or(0, Timestamp::micros);
        format!("{}/damaged/{made_at}/{}", self.name, self.version)
    }
}

/// The secrets that do not open. Reads all rows, a part at a time.
pub async fn damaged<S>(store: &S, vault: &Vault) -> Result<Vec<DamagedSecret>, StoreError>
where
    S: AppStore + DestinationStore + PushStore + MetaStore + ?Sized,
{
    let mut found = Vec::new();
    found.extend(store.list_apps().await?.iter().filter_map(|stored| DamagedSecret::of_app(vault, stored)));
    let mut after = None;
    loop {
        let part = store.all_destinations(after, PART).await?;
        let Some(last) = part.last() else { break };
        after = Some(last.destination.id);
        found.extend(part.iter().filter_map(|stored| DamagedSecret::of_destination(vault, stored)));
    }
    if notices::opened_push_key(store, vault).await?.is_some_and(|opened| opened.is_err()) {
        let name = "the key for push messages".to_owned();
        found.push(DamagedSecret { of: SecretOf::Push, name, made_at: None, version: 1 });
    }
    let mut after = None;
    loop {
        let part = store.all_push(after, PART).await?;
        let Some(last) = part.last() else { break };
        after = Some(last.subscription.id);
        let closed = part.iter().filter(|stored| notices::opened_push(vault, stored).is_err());
        found.extend(closed.map(|stored| DamagedSecret {
            of: SecretOf::Push,
            name: stored.subscription.name(),
            made_at: Some(stored.subscription.created_at),
            version: stored.subscription.version,
        }));
    }
    Ok(found)
}

/// What does not open of the app or the destination of that resource name, if it is there.
pub async fn find_damaged<S>(store: &S, vault: &Vault, name: &str) -> Result<Option<DamagedSecret>, StoreError>
where
    S: AppStore + DestinationStore + ?Sized,
{
    if let Some(stored) = store.list_apps().await?.iter().find(|stored| apps::name_of(&stored.app) == name) {
        return Ok(DamagedSecret::of_app(vault, stored));
    }
    let id: Option<DestinationId> = name.rsplit('/').next().and_then(|id| id.parse().ok());
    let Some(id) = id else { return Ok(None) };
    let found = store.find_destination(id).await?.filter(|stored| stored.destination.name() == name);
    Ok(found.and_then(|stored| DamagedSecret::of_destination(vault, &stored)))
}
