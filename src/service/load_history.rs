//! What the loads were in the last days: a sample of each, every quarter of an hour.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{ClassId, NetworkId, TeamId};
use crate::domain::load::LoadKey;
use crate::service::team_load::{Loads, TeamLoadError};
use crate::service::{Broker, Caller};
use crate::store::StoreError;

pub use crate::store::LoadSample;

/// How far apart samples are while the broker runs.
pub const SAMPLED_EVERY: Duration = Duration::from_secs(900);
/// How long they are kept: the longest chart, and a day.
pub(super) const KEPT: Duration = Duration::from_secs(8 * 86_400);

/// Why no history of a load is shown.
#[derive(Debug, thiserror::Error)]
pub enum LoadHistoryError {
    /// There is no such load, or the caller may not see it.
    #[error(transparent)]
    Load(#[from] TeamLoadError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    /// Keeps a sample of each load for the quarter of an hour in which it was evaluated, if there is none yet. What nobody asked for within a
    /// day makes no chart; what was asked for is followed down to nothing.
    pub(super) async fn keep_loads(&self, loads: &Loads) -> Result<(), StoreError> {
        let at = quarter_of(loads.at);
        let classes = loads.teams.values().flat_map(|team| &team.classes);
        let asked = classes.filter(|class| class.is_asked_for());
        let due = asked.filter(|class| self.watch.is_first_sample(at, &class.key));
        let samples = due.map(|class| {
            let load = class.load();
            LoadSample {
                key: class.key.clone(),
                at,
                span: class.judged.length(),
                demand: whole(load.demand),
                supply: whole(load.supply),
                tokens: load.tokens,
            }
        });
        self.store.add_load_samples(samples.collect()).await
    }

    /// What the load of a class was from `from` on, the oldest first. At most eight days are kept.
    pub async fn load_history(
        &self,
        caller: &Caller,
        team: &TeamId,
        (network, class): (&NetworkId, &ClassId),
        from: Timestamp,
    ) -> Result<Vec<LoadSample>, LoadHistoryError> {
        caller.must_see(team).map_err(TeamLoadError::from)?;
        let key = LoadKey { team: team.clone(), network: network.clone(), class: class.clone() };
        Ok(self.store.list_load_samples(&key, from).await?)
    }
}

/// The beginning of the quarter of an hour that holds `at`.
fn quarter_of(at: Timestamp) -> Timestamp {
    let every = i64::try_from(SAMPLED_EVERY.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.micros().div_euclid(every) * every)
}

/// Rounded up, so that a little demand is not none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "amounts are finite and not negative")]
fn whole(amount: f64) -> u64 {
    amount.ceil() as u64
}
