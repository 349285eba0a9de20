//! The catalogue is shown.

use std::sync::Arc;

use crate::base::ids::NetworkId;
use crate::domain::networks::Network;
use crate::service::Broker;

/// Why nothing was shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// There is no such network.
    #[error("the catalogue has no network '{0}'; see the networks command for those it has")]
    NotFound(NetworkId),
}

impl Broker {
    /// A network of the catalogue.
    pub fn network(&self, id: &NetworkId) -> Result<Arc<Network>, NetworkError> {
        self.catalogue.network(id.as_str()).cloned().ok_or_else(|| NetworkError::NotFound(id.clone()))
    }

    /// At most `limit` networks after `after`, by id, and whether there are more.
    pub fn list_networks(&self, after: Option<&NetworkId>, limit: usize) -> (Vec<Arc<Network>>, bool) {
        let rest = self.catalogue.iter().filter(|network| after.is_none_or(|after| network.id > *after));
        let mut networks: Vec<_> = rest.take(limit + 1).cloned().collect();
        let more = networks.len() > limit;
        networks.truncate(limit);
        (networks, more)
    }
}
