//! What happens as time passes: leases expire, windows end, those that wait are served, and what is better known is written.

use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::LeaseId;
use crate::base::tasks::Tasks;
use crate::domain::credit::{BlockUpdate, BucketNote};
use crate::domain::lease::LeaseState;
use crate::engine::Engine;
use crate::engine::ask::AcquireError;
use crate::engine::cell::Cell;
use crate::store::{CloseLease, StoreError, UsageRow};

/// How often time is let pass at least, in real time, and at most: between the two it passes as those that wait need it.
const TICK: Duration = Duration::from_millis(20);
const SHORTEST_TICK: Duration = Duration::from_millis(1);
/// How often what is better known is written.
const WRITE_EVERY: Duration = Duration::from_millis(200);
/// Rows that are written in one transaction. When a window of many tokens ends, all their blocks change at once; grants are made durable between
/// two transactions, and memory stays flat.
const ROWS: usize = 1_000;

/// What became of leases and blocks, on its way to the store.
struct Ended {
    closed: Vec<CloseLease>,
    usage: Vec<UsageRow>,
    updates: Vec<BlockUpdate>,
}

/// What one look at the time did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tick {
    /// Leases that expired.
    pub expired: Vec<LeaseId>,
}

impl Engine {
    /// Starts the engine's background work under `tasks`.
    pub fn start_background(&self, tasks: &Tasks) {
        let engine = self.clone();
        let stop = tasks.clone();
        tasks.spawn("engine", async move {
            let mut write_at = tokio::time::Instant::now() + WRITE_EVERY;
            while !stop.is_stopping() {
                tokio::select! {
                    () = tokio::time::sleep(engine.until_tick()) => {}
                    // Somebody has begun to wait: how long to sleep is to be found anew.
                    () = engine.0.someone_waits.notified() => continue,
                    () = stop.stopped() => return,
                }
                engine.tick();
                let now = tokio::time::Instant::now();
                if now < write_at {
                    continue;
                }
                write_at = now + WRITE_EVERY;
                if let Err(error) = engine.write_back().await {
                    tracing::warn!(%error, "what became of leases could not be written; it is tried again");
                }
            }
        });
    }

    /// How long until time must pass for those that wait, in real time: where nobody waits there is no hurry.
    fn until_tick(&self) -> Duration {
        let next = |cell: &Arc<Cell>| {
            let state = cell.lock();
            if state.queue.is_empty() { None } else { state.pool.next_event() }
        };
        let next = self.0.cells.values().filter_map(next).min();
        next.map_or(TICK, |at| self.0.clock.time_until(at)).clamp(SHORTEST_TICK, TICK)
    }

    /// Lets time pass in every pool: input-free, and harmless if done twice.
    pub fn tick(&self) -> Tick {
        let mut tick = Tick::default();
        for cell in self.0.cells.values() {
            self.tick_cell(cell, &mut tick);
            self.serve(cell);
        }
        tick
    }

    fn tick_cell(&self, cell: &Arc<Cell>, tick: &mut Tick) {
        let now = self.now();
        let mut state = cell.lock();
        state.pool.advance(now);
        let expired = state.pool.expire(now);
        for lease in &expired {
            let used = lease.unreported;
            let view = &lease.lease;
            let spent = view.calls_granted - view.calls_left + used;
            state.closed.push(CloseLease { lease: view.lease, state: LeaseState::Expired, used: spent, at: now });
        }
        for waiter in state.queue.expire(now) {
            if let Some(waiting) = state.waiting.remove(&waiter) {
                let _ = waiting.reply.send(Err(AcquireError::Busy { until: now + Duration::from_millis(100) }));
            }
        }
        drop(state);
        for lease in expired {
            self.forget(lease.lease.lease);
            tick.expired.push(lease.lease.lease);
        }
    }

    /// Writes what became of leases and blocks. What can't be written is kept for the next time.
    ///
    /// Only one call at a time writes: what is on its way to the store when this is called is there when it returns.
    pub async fn write_back(&self) -> Result<(), StoreError> {
        let _writing = self.0.writing_back.lock().await;
        for cell in self.0.cells.values() {
            let mut ended = {
                let mut state = cell.lock();
                Ended {
                    closed: std::mem::take(&mut state.closed),
                    usage: state.unwritten_usage(&cell.network, self.now()),
                    updates: state.pool.take_updates(),
                }
            };
            if let Err(error) = self.write_ended(&mut ended).await {
                let mut state = cell.lock();
                state.closed.extend(ended.closed);
                state.usage.extend(ended.usage);
                state.pool.return_updates(ended.updates);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether credit that came back may be on its way to the store: until it is there, the store may refuse blocks that there is room for.
    pub(super) fn is_returning(&self) -> bool {
        self.0.writing_back.try_lock().is_err()
    }

    /// Waits until credit that is on its way to the store is there.
    pub(super) async fn returned(&self) {
        let _written = self.0.writing_back.lock().await;
    }

    /// Writes it, and leaves what could not be written.
    async fn write_ended(&self, ended: &mut Ended) -> Result<(), StoreError> {
        let store = &self.0.store;
        while let Some(from) = last_part(&ended.closed) {
            store.close_leases(ended.closed[from..].to_vec(), Vec::new()).await?;
            ended.closed.truncate(from);
        }
        while let Some(from) = last_part(&ended.usage) {
            store.add_usage(ended.usage[from..].to_vec()).await?;
            ended.usage.truncate(from);
        }
        while let Some(from) = last_part(&ended.updates) {
            store.update_blocks(ended.updates[from..].to_vec()).await?;
            ended.updates.truncate(from);
        }
        Ok(())
    }

    /// Writes what must outlive the process of some buckets.
    pub async fn write_notes(&self, notes: Vec<BucketNote>) -> Result<(), StoreError> {
        self.0.store.put_notes(notes).await
    }

    pub(super) async fn settle_for_stop(&self) {
        for cell in self.0.cells.values() {
            let notes = cell.lock().pool.settle_for_stop();
            if let Err(error) = self.0.store.put_notes(notes).await {
                tracing::warn!(%error, "what was learnt of limits could not be written");
            }
        }
        if let Err(error) = self.write_back().await {
            tracing::warn!(%error, "credit that was not used could not be given back; it counts as spent");
        }
    }
}

/// Where the last rows begin that fit in one transaction; `None`: there are none.
fn last_part<T>(rows: &[T]) -> Option<usize> {
    (!rows.is_empty()).then(|| rows.len().saturating_sub(ROWS))
}
