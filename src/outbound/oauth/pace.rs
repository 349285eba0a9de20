//! How fast token endpoints are asked: so many requests a second for each app, and for each network over all of its apps.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};

use crate::base::clock::Clock;
use crate::base::ids::{AppId, NetworkId};
use crate::base::rate_clock::RateClock;

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, RateClock, NoOpMiddleware<Nanos>>;

/// Keeps requests to rates (GCRA); after a pause those of a second may be made at once. Holds one time per app and per network.
pub struct Pace {
    of_app: Limiter<(NetworkId, AppId)>,
    of_network: Limiter<NetworkId>,
}

impl Pace {
    /// At most `per_app` and `per_network` requests a second; 0 is taken as 1.
    pub fn new(per_app: u32, per_network: u32, clock: Arc<dyn Clock>) -> Self {
        let quota = |per_second| Quota::per_second(NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN));
        Self {
            of_app: RateLimiter::dashmap_with_clock(quota(per_app), RateClock(clock.clone())),
            of_network: RateLimiter::dashmap_with_clock(quota(per_network), RateClock(clock)),
        }
    }

    /// Takes a place for a request of an app; if there is none, the time until there may be one. An app that its network has no place for may
    /// lose one of its own.
    pub fn take(&self, network: &NetworkId, app: &AppId) -> Result<(), Duration> {
        let now = self.of_app.clock().now();
        let later = |not_until: NotUntil<Nanos>| not_until.wait_time_from(now);
        self.of_app.check_key(&(network.clone(), app.clone())).map_err(later)?;
        self.of_network.check_key(network).map_err(later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};

    #[test]
    fn apps_have_rates_of_their_own_within_that_of_their_network() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let pace = Pace::new(4, 6, clock.clone());
        let take = |network: &str, app: &str| pace.take(&network.parse().unwrap(), &app.parse().unwrap());
        let taken = |network, app| (0..20).filter(|_| take(network, app).is_ok()).count();
        assert_eq!(taken("x", "one"), 4, "an app's rate");
        assert_eq!(taken("x", "two"), 2, "what the network has left");
        assert_eq!(taken("youtube", "one"), 4, "another network");
        assert_eq!(take("youtube", "one"), Err(Duration::from_millis(250)));
        clock.advance(Duration::from_millis(250));
        assert_eq!(taken("x", "one"), 1);
        clock.advance(Duration::from_secs(60));
        assert_eq!(taken("x", "one"), 4, "a pause saves up no more than a second");
    }
}
