//! Secrets that the broker's own keys seal: of apps, of destinations and of members' browsers. Which of them do not open.

use crate::service::{apps, notices};
use crate::store::{AppStore, DestinationStore, MetaStore, PushStore, StoreError};
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
    /// Raised by one each time that it is set anew.
    pub version: u32,
}

/// The secrets that do not open. Reads all rows, a part at a time.
pub async fn damaged<S>(store: &S, vault: &Vault) -> Result<Vec<DamagedSecret>, StoreError>
where
    S: AppStore + DestinationStore + PushStore + MetaStore + ?Sized,
{
    let mut found = Vec::new();
    for stored in store.list_apps().await? {
        if apps::opened_secret(vault, &stored).is_err() {
            let (name, version) = (apps::name_of(&stored.app), stored.secret_version);
            found.push(DamagedSecret { of: SecretOf::App, name, version });
        }
    }
    let mut after = None;
    loop {
        let part = store.all_destinations(after, PART).await?;
        let Some(last) = part.last() else { break };
        after = Some(last.destination.id);
        let closed = part.iter().filter(|stored| notices::opened_destination(vault, stored).is_err());
        found.extend(closed.map(|stored| DamagedSecret {
            of: SecretOf::Destination,
            name: stored.destination.name(),
            version: stored.destination.version,
        }));
    }
    if notices::opened_push_key(store, vault).await?.is_some_and(|opened| opened.is_err()) {
        found.push(DamagedSecret { of: SecretOf::Push, name: "the key for push messages".to_owned(), version: 1 });
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
            version: stored.subscription.version,
        }));
    }
    Ok(found)
}
