//! The machine's clock may be set while no broker runs, or while one runs and goes on by its own line of time. The next start
//! finds out by the machine's uptime, and lets nothing end earlier for it: a window must not be granted twice since a clock says
//! that it is over.
//!
//! If the machine was started anew in between, nothing but its clock tells how long it stood still: then the clock is believed.

use std::time::Duration;

use crate::base::clock::{Anchor, Clock};
use crate::service::Broker;
use crate::store::{ClockStep, MetaName, Store, StoreError};

/// Clocks that are this close are taken for equal: less than the guard that is kept from the edges of windows.
const NEAR: Duration = Duration::from_secs(1);

/// Compares the clock with that of the run before, and follows the step if there was one. Before anything is read that has a time.
pub(super) async fn follow_clock(store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
    let Some(anchor) = clock.anchor() else { return Ok(()) };
    let before = store.find_meta(MetaName::ClockAnchor).await?;
    let before = before.and_then(|bytes| serde_json::from_slice::<Anchor>(&bytes).ok());
    let ahead_us = before.and_then(|before| anchor.ahead_of(&before)).unwrap_or_default();
    let distance = Duration::from_micros(ahead_us.unsigned_abs());
    if distance <= NEAR {
        return store.put_meta(MetaName::ClockAnchor, text(&anchor)).await;
    }
    tracing::warn!(
        ahead_seconds = ahead_us / 1_000_000,
        "the machine's clock was set since the broker last ran; what is charged stays charged as long as it would have been"
    );
    let ahead = if ahead_us > 0 { distance } else { Duration::ZERO };
    let now = clock.now();
    let old_now = if ahead_us > 0 { now - distance } else { now + distance };
    store.follow_clock(ClockStep { ahead, old_now, anchor: text(&anchor) }).await
}

impl Broker {
    /// Remembers where the clock stands, which follows the wall clock slowly. Harmless if done twice.
    pub async fn note_clock(&self) -> Result<(), StoreError> {
        match self.clock.anchor() {
            Some(anchor) => self.store.put_meta(MetaName::ClockAnchor, text(&anchor)).await,
            None => Ok(()),
        }
    }
}

fn text(anchor: &Anchor) -> Vec<u8> {
    serde_json::to_vec(anchor).expect("a name and a number are JSON")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};
    use crate::config::Config;
    use crate::engine::AcquireError;
    use crate::service::AcquireLeaseError;
    use crate::service::testing::{START, TestBroker, ask};

    const HOUR: i64 = 3600;

    /// The clock of a machine `run` seconds after START, set ahead by `ahead` seconds.
    fn clock(boot: &str, run: i64, ahead: i64) -> Arc<ManualClock> {
        let boot_at_us = (START.secs() + ahead) * 1_000_000;
        let anchor = Anchor { boot: boot.to_owned(), boot_at_us };
        Arc::new(ManualClock::on_machine(Timestamp::from_secs(START.secs() + ahead + run), anchor))
    }

    /// A broker whose only token has no credit left, started again by another clock. When credit is told to be back.
    async fn spent_then_started_by(next: Arc<ManualClock>) -> Result<(), Timestamp> {
        let test = TestBroker::start_by(Config::default(), clock("boot", 0, 0)).await;
        let acme = test.team("acme").await;
        test.token(&acme, "ann").await;
        let mut all = ask(&acme, 1_000_000);
        all.min_calls = 1;
        test.broker.acquire_lease(&test.admin, all).await.unwrap();
        let test = test.restart_by(next).await;
        let again = test.broker.acquire_lease(&test.admin, ask(&acme, 1)).await.map(drop);
        test.stop().await;
        again.map_err(|error| match error {
            AcquireLeaseError::Refused(AcquireError::LimitedUntil { until, .. }) => until,
            other => panic!("{other}"),
        })
    }

    #[tokio::test]
    async fn a_clock_set_ahead_opens_no_window_twice() {
        let until = spent_then_started_by(clock("boot", 60, HOUR)).await.unwrap_err();
        assert!(until > Timestamp::from_secs(START.secs() + HOUR + 900), "{until}");
    }

    #[tokio::test]
    async fn a_clock_set_back_opens_no_window_twice() {
        assert!(spent_then_started_by(clock("boot", 60, -HOUR)).await.is_err());
    }

    #[tokio::test]
    async fn a_clock_that_was_not_set_changes_nothing() {
        let until = spent_then_started_by(clock("boot", 60, 0)).await.unwrap_err();
        assert!(until < Timestamp::from_secs(START.secs() + 1100), "{until}");
        assert!(spent_then_started_by(clock("boot", HOUR, 0)).await.is_ok());
    }

    #[tokio::test]
    async fn after_a_start_of_the_machine_its_clock_is_believed() {
        assert!(spent_then_started_by(clock("other boot", 0, HOUR)).await.is_ok());
    }

    #[tokio::test]
    async fn a_step_is_followed_once() {
        let test = TestBroker::start_by(Config::default(), clock("boot", 0, 0)).await;
        let acme = test.team("acme").await;
        test.token(&acme, "ann").await;
        test.broker.acquire_lease(&test.admin, ask(&acme, 1)).await.unwrap();
        let test = test.restart_by(clock("boot", 60, HOUR)).await;
        let once = test.broker.store.live_blocks(test.broker.now()).await.unwrap();
        let test = test.restart_by(clock("boot", 61, HOUR)).await;
        assert_eq!(test.broker.store.live_blocks(test.broker.now()).await.unwrap(), once);
        assert!(!once.is_empty());
        test.stop().await;
    }
}
