//! A lease of one call, as the benches of X ask for it.

use std::time::Duration;

use token_broker::base::ids::TeamId;
use token_broker::domain::lease::Priority;
use token_broker::domain::networks::Purpose;
use token_broker::service::AcquireLease;

/// The operation that is asked for.
pub const SEARCH: &str = "tweets.search_recent";

/// A call of [`SEARCH`], with any token of the team.
pub fn ask(team: &TeamId) -> AcquireLease {
    AcquireLease {
        team: team.clone(),
        network: "x".to_owned(),
        operation: SEARCH.to_owned(),
        calls: 1,
        min_calls: 1,
        purpose: Purpose::CollectContent,
        profile: None,
        kind: None,
        collection: "bench".to_owned(),
        priority: Priority::default(),
        wait: Duration::ZERO,
        ttl: None,
        keys: Vec::new(),
        request: None,
    }
}
