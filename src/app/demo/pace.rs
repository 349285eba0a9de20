//! Time for the demonstration: the networks, the broker and the collectors share one fast clock.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::{Clock, SystemClock, Timestamp};
use crate::sim::ScaledClock;

/// The fast clock beside the machine's own. Cloning shares both.
#[derive(Clone)]
pub struct Pace {
    real: Arc<SystemClock>,
    fast: Arc<ScaledClock>,
    began: Timestamp,
}

impl Pace {
    /// Begins now, `speed` times faster than the machine's clock.
    pub fn start(speed: u32) -> Self {
        let real = Arc::new(SystemClock::start());
        let began = real.now();
        Self { fast: Arc::new(ScaledClock::start(real.clone(), speed)), real, began }
    }

    /// The same clocks, with the time that has run counted from now on.
    pub fn restarted(&self) -> Self {
        Self { began: self.real.now(), ..self.clone() }
    }

    /// The fast clock, for those who take any clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.fast.clone()
    }

    /// The present of the networks, the broker and the collectors.
    pub fn now(&self) -> Timestamp {
        self.fast.now()
    }

    /// How long it has run, by the machine's clock.
    pub fn elapsed(&self) -> Duration {
        self.real.now().since(self.began)
    }

    /// The machine's present, to take times with.
    pub fn real_now(&self) -> Timestamp {
        self.real.now()
    }

    /// How much faster.
    pub fn speed(&self) -> u32 {
        self.fast.speed()
    }

    /// Sleeps until the fast clock says `until`.
    pub async fn sleep_until(&self, until: Timestamp) {
        tokio::time::sleep(self.fast.time_until(until)).await;
    }
}
