//! The usage ledger: what each token was used for, day by day, for the person who granted it.
//!
//! The engine writes what was reported a moment later; a crash can lose that moment of it. A call is counted once without a class and once for each
//! class that it draws from.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{ClassId, CollectorId, TeamId, TokenId};
use crate::domain::networks::Window;
use crate::service::Broker;
use crate::service::tokens::TokenError;
use crate::store::{CollectorDay, StoreError, UsageRow};

pub use crate::store::UsageRow as UsageEntry;

/// Rows of the ledger that are summed up for one collector: each is of one token, collection and purpose on a day.
const MOST_SUMMED: u32 = 20_000;
const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// What one token was used for.
#[derive(Debug, Clone, Default)]
pub struct UsageStatement {
    /// All calls, each once.
    pub total_calls: u64,
    /// By day, collection, collector, purpose and class.
    pub rows: Vec<UsageRow>,
    /// What the network allows the token in a day by the limits of today, per class, where that is known. What they were on the days of the rows
    /// is not kept.
    pub allowance: BTreeMap<ClassId, u64>,
}

impl Broker {
    /// What a token was used for from day `from` to day `to` (days since 1970-01-01 in UTC), both included.
    pub async fn state_usage(
        &self,
        team: &TeamId,
        token: TokenId,
        from: i32,
        to: i32,
    ) -> Result<UsageStatement, TokenError> {
        let held = self.stored_token(team, token).await?.token;
        self.engine.write_back().await?;
        let (rows, calls): (Vec<_>, Vec<_>) =
            self.store.list_usage(token, from, to).await?.into_iter().partition(|row| row.key.class.is_some());
        let total_calls = calls.iter().map(|row| row.calls).sum();
        let allowance = self.daily_allowance(&held);
        Ok(UsageStatement { total_calls, rows, allowance })
    }

    /// The last day on which each of these tokens was used, of those that were.
    pub async fn last_uses(&self, tokens: &[TokenId]) -> Result<BTreeMap<TokenId, i32>, StoreError> {
        self.store.last_uses(tokens).await
    }

    /// The last day on which each of these collectors made a call, of those that did.
    pub async fn last_uses_by(&self, collectors: &[CollectorId]) -> Result<BTreeMap<CollectorId, i32>, StoreError> {
        self.store.last_uses_by(collectors).await
    }

    /// What a collector did in the last `days` days, the newest first. Of a very busy one, of its newest [`MOST_SUMMED`] rows.
    pub async fn uses_by(&self, collector: CollectorId, days: i32) -> Result<Vec<CollectorDay>, StoreError> {
        self.engine.write_back().await?;
        self.store.uses_by(collector, day_of(self.now()) - days + 1, MOST_SUMMED).await
    }

    /// The tightest limit of each class, over a day, as far as the token's buckets show it now.
    fn daily_allowance(&self, token: &crate::domain::token::Token) -> BTreeMap<ClassId, u64> {
        let mut allowance: BTreeMap<ClassId, u64> = BTreeMap::new();
        let buckets = self.engine.look(&token.network, |pool| pool.token_buckets(token.id)).unwrap_or_default();
        let Some(network) = self.catalogue.network(token.network.as_str()) else { return allowance };
        for bucket in buckets {
            let Some(units) = in_a_day(&bucket.window, bucket.limit) else { continue };
            let class = network.classes[bucket.class].id.clone();
            allowance.entry(class).and_modify(|least| *least = (*least).min(units)).or_insert(units);
        }
        allowance
    }
}

/// What a limit allows in a day; `None` where it does not come back by time, or does not count units.
fn in_a_day(window: &Window, limit: u64) -> Option<u64> {
    let day = Duration::from_secs(SECONDS_A_DAY.unsigned_abs()).as_micros();
    let per = match window {
        Window::Fixed { length, .. } | Window::Rolling { length } => length.as_micros(),
        Window::Daily { .. } => day,
        Window::Paced { per } => return u64::try_from(day / per.as_micros().max(1)).ok(),
        Window::Distinct { .. } | Window::Budget => return None,
    };
    u64::try_from(u128::from(limit) * day / per.max(1)).ok()
}

/// The UTC day of a time: days since 1970-01-01.
pub fn day_of(at: Timestamp) -> i32 {
    i32::try_from(at.secs().div_euclid(SECONDS_A_DAY)).unwrap_or(i32::MAX)
}

/// The beginning of a UTC day.
pub fn start_of(day: i32) -> Timestamp {
    Timestamp::from_secs(i64::from(day) * SECONDS_A_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::TestBroker;

    #[test]
    fn a_limit_is_told_for_a_day() {
        let (quarter, day) = (Duration::from_secs(900), Duration::from_secs(86_400));
        let cases = [
            (Window::Rolling { length: quarter }, 300, Some(28_800)),
            (Window::Rolling { length: day }, 300, Some(300)),
            (Window::Rolling { length: day * 30 }, 300, Some(10)),
            (Window::Paced { per: Duration::from_secs(1) }, 1, Some(86_400)),
            (Window::Distinct { length: day * 7 }, 30, None),
            (Window::Budget, 1_000, None),
        ];
        for (window, limit, expected) in cases {
            assert_eq!(in_a_day(&window, limit), expected, "{window:?}");
        }
    }

    #[tokio::test]
    async fn a_statement_tells_the_tightest_limit_of_each_class_over_a_day() {
        let test = TestBroker::start().await;
        let team = test.team("acme").await;
        let token = test.token(&team, "4711").await;
        let today = day_of(test.broker.now());
        let stated = test.broker.state_usage(&team, token, today - 1, today).await.unwrap();
        let of = |class: &str| stated.allowance.get(&class.parse::<ClassId>().unwrap()).copied();
        // 300 calls in each quarter of an hour.
        assert_eq!((of("search_recent"), of("nonsense")), (Some(28_800), None));
        test.stop().await;
    }
}
