//! The usage ledger: what each token was used for, day by day, for the person who granted it.
//!
//! Reports are counted in memory and added to the store every few seconds and at an orderly stop; a crash loses the last few
//! seconds of it. (The credit books lose nothing: they are kept by blocks.) A call is counted once without a class and once for each
//! class that it draws from.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Mutex;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{ClassId, TeamId, TokenId};
use crate::base::tasks::Tasks;
use crate::domain::networks::{ErrorClass, Network, Window};
use crate::domain::pool::LeaseView;
use crate::service::tokens::TokenError;
use crate::service::{Broker, ReportUsage};
use crate::store::{StoreError, UsageKey, UsageRow};

pub use crate::store::UsageRow as UsageEntry;

/// How often the ledger is written.
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// Entries that wait for the store. Beyond them collections are no longer told apart; beyond twice as many, nothing is counted.
const MAX_WAITING: usize = 50_000;
const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// What was called and is not yet in the ledger.
#[derive(Default)]
pub struct UsageBook {
    waiting: Mutex<BTreeMap<UsageKey, UsageRow>>,
}

impl UsageBook {
    /// Counts what a report says.
    pub fn count(&self, network: &Network, held: &LeaseView, report: &ReportUsage, class: ErrorClass, now: Timestamp) {
        if report.used == 0 {
            return;
        }
        let limited = u64::from(is_limit(class));
        let failed = u64::from(class != ErrorClass::Ok && limited == 0);
        let row = |class: Option<&ClassId>, credits| UsageRow {
            key: UsageKey {
                token: held.token,
                day: day_of(now),
                collection: held.collection.to_string(),
                collector: held.collector,
                class: class.cloned(),
                network: network.id.clone(),
                purpose: held.purpose,
            },
            calls: report.used,
            credits,
            errors: failed.min(report.used),
            throttled: report.throttled.max(limited).min(report.used),
        };
        self.add(row(None, 0));
        for cost in &network.operations[held.operation].costs {
            self.add(row(Some(&cost.class), cost.units.saturating_mul(report.used)));
        }
    }

    fn add(&self, mut row: UsageRow) {
        let mut waiting = self.waiting.lock().expect("no code panics while it holds the book");
        if waiting.len() >= MAX_WAITING && !waiting.contains_key(&row.key) {
            row.key.collection.clear();
        }
        let full = waiting.len() >= 2 * MAX_WAITING;
        match waiting.entry(row.key.clone()) {
            Entry::Occupied(mut known) => known.get_mut().take_in(&row),
            Entry::Vacant(_) if full => {
                tracing::warn!(token = %row.key.token, calls = row.calls, "calls are missing in the usage ledger, since the store takes none");
            }
            Entry::Vacant(new) => {
                new.insert(row);
            }
        }
    }
}

impl UsageRow {
    fn take_in(&mut self, more: &UsageRow) {
        self.calls = self.calls.saturating_add(more.calls);
        self.credits = self.credits.saturating_add(more.credits);
        self.errors = self.errors.saturating_add(more.errors);
        self.throttled = self.throttled.saturating_add(more.throttled);
    }
}

/// What one token was used for.
#[derive(Debug, Clone, Default)]
pub struct UsageStatement {
    /// All calls, each once.
    pub total_calls: u64,
    /// By day, collection, collector, purpose and class.
    pub rows: Vec<UsageRow>,
    /// What the network allows the token in a day, per class, where that is known.
    pub allowance: BTreeMap<ClassId, u64>,
}

impl Broker {
    /// Writes the ledger every few seconds, and once more at the stop.
    pub(super) fn start_ledger(&self, tasks: &Tasks) {
        let (broker, stop) = (self.clone(), tasks.clone());
        tasks.spawn("usage ledger", async move {
            while !stop.is_stopping() {
                tokio::select! {
                    () = tokio::time::sleep(WRITE_EVERY) => {}
                    () = stop.stopped() => {}
                }
                if let Err(error) = broker.write_usage().await {
                    tracing::warn!(%error, "the usage ledger could not be written; it is tried again");
                }
            }
        });
    }

    /// Adds to the ledger what is not yet in it. What can't be written is kept for the next time.
    pub async fn write_usage(&self) -> Result<(), StoreError> {
        let waiting = std::mem::take(&mut *self.usage.waiting.lock().expect("no code panics while it holds the book"));
        let rows: Vec<_> = waiting.into_values().collect();
        if rows.is_empty() {
            return Ok(());
        }
        let written = self.store.add_usage(rows.clone()).await;
        if let Err(error) = &written
            && !error.is_final()
        {
            rows.into_iter().for_each(|row| self.usage.add(row));
        }
        written
    }

    /// What a token was used for from day `from` to day `to` (days since 1970-01-01 in UTC), both included.
    pub async fn state_usage(
        &self,
        team: &TeamId,
        token: TokenId,
        from: i32,
        to: i32,
    ) -> Result<UsageStatement, TokenError> {
        let held = self.stored_token(team, token).await?.token;
        self.write_usage().await?;
        let (rows, calls): (Vec<_>, Vec<_>) =
            self.store.list_usage(token, from, to).await?.into_iter().partition(|row| row.key.class.is_some());
        let total_calls = calls.iter().map(|row| row.calls).sum();
        let allowance = self.daily_allowance(&held);
        Ok(UsageStatement { total_calls, rows, allowance })
    }

    /// The tightest limit of each class, over a day, as far as the token's buckets show it.
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

fn is_limit(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::RateLimitedToken
            | ErrorClass::RateLimitedResource
            | ErrorClass::RateLimitedApp
            | ErrorClass::QuotaExhaustedApp
            | ErrorClass::PublishQuota
    )
}

/// The UTC day of a time: days since 1970-01-01.
pub fn day_of(at: Timestamp) -> i32 {
    i32::try_from(at.secs().div_euclid(SECONDS_A_DAY)).unwrap_or(i32::MAX)
}

/// The beginning of a UTC day.
pub fn start_of(day: i32) -> Timestamp {
    Timestamp::from_secs(i64::from(day) * SECONDS_A_DAY)
}
