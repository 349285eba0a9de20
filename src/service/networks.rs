//! The catalogue and our apps are shown.
//!
//! Each network has one app here, `default`. Its facts and budgets are settings; see `networks.<network>` in the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::ids::{ClassId, NetworkId};
use crate::domain::networks::{Network, Owner, Window};
use crate::service::Broker;
use crate::service::tokens::DEFAULT_APP;

/// Our registration at a network.
#[derive(Debug, Clone)]
pub struct AppView {
    /// The network.
    pub network: Arc<Network>,
    /// Its id.
    pub app: String,
    /// Facts that limits are worked out from.
    pub facts: BTreeMap<String, u64>,
    /// Its budgets, by class: the whole, and what is left.
    pub budgets: BTreeMap<ClassId, (u64, u64)>,
    /// Tokens that were granted to it.
    pub tokens: usize,
}

/// Why nothing was shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// There is no such network.
    #[error("the catalogue has no network '{0}'; see the networks command for those it has")]
    NotFound(NetworkId),
    /// There is no such app.
    #[error("network '{network}' has no app '{app}' here; its only app is '{DEFAULT_APP}'")]
    AppNotFound {
        /// The network.
        network: NetworkId,
        /// What was asked for.
        app: String,
    },
    /// The class has no budget, or there is no such class.
    #[error("network '{network}' has no credit class '{class}' with a budget; see its entry")]
    NoBudget {
        /// The network.
        network: NetworkId,
        /// What was asked for.
        class: String,
    },
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

    /// One app.
    pub fn app(&self, network: &NetworkId, app: &str) -> Result<AppView, NetworkError> {
        let found = self.network(network)?;
        if app != DEFAULT_APP {
            return Err(NetworkError::AppNotFound { network: network.clone(), app: app.to_owned() });
        }
        Ok(self.view_app(found))
    }

    /// The app of a budget's class, if the class has one.
    pub fn app_with_budget(&self, network: &NetworkId, app: &str, class: &str) -> Result<AppView, NetworkError> {
        let view = self.app(network, app)?;
        let budget = view
            .network
            .class(class)
            .is_some_and(|class| class.limits.iter().any(|limit| limit.window == Window::Budget));
        if budget {
            Ok(view)
        } else {
            Err(NetworkError::NoBudget { network: network.clone(), class: class.to_owned() })
        }
    }

    /// A network's app as it is.
    pub fn view_app(&self, network: Arc<Network>) -> AppView {
        let settings = self.config.networks.get(&network.id);
        let shown = self.engine.look(&network.id, |pool| (pool.counts().tokens, pool.all_buckets()));
        let (tokens, buckets) = shown.unwrap_or_default();
        let totals = settings.map(|settings| settings.budget.clone()).unwrap_or_default();
        let left = |class: &ClassId, total: u64| {
            let at = network.class_index(class.as_str());
            let of_app = |owner| matches!(owner, Owner::App | Owner::Address);
            let found = buckets
                .iter()
                .find(|bucket| Some(bucket.class) == at && bucket.window == Window::Budget && of_app(bucket.owner));
            found.map_or(total, |bucket| bucket.limit.saturating_sub(bucket.spent))
        };
        let budgets = totals.into_iter().map(|(class, total)| (class.clone(), (total, left(&class, total)))).collect();
        let facts = settings.map(|settings| settings.facts.clone()).unwrap_or_default();
        AppView { app: DEFAULT_APP.to_owned(), facts, budgets, tokens, network }
    }
}
