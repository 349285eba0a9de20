//! The broker's clock in the units of governor, by which all rates are kept.

use std::sync::Arc;

use governor::clock::Clock as GovernorClock;
use governor::nanos::Nanos;

use super::clock::Clock;

/// The broker's clock, as governor reads it.
#[derive(Clone)]
pub struct RateClock(pub Arc<dyn Clock>);

impl GovernorClock for RateClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(u64::try_from(self.0.now().micros()).unwrap_or_default().saturating_mul(1_000))
    }
}
