//! Named background tasks: tracked, cancellable, and never dead in silence.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of one process. Cloning shares them.
///
/// A task that panics stops the process in an orderly way: [`Tasks::stopped`] resolves for everybody and [`Tasks::panicked`] says so.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    panicked: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Tasks {
    /// Starts `work` under `name`. It should end soon after [`Tasks::stopped`] resolves.
    #[expect(clippy::disallowed_methods, reason = "this is the one home of spawning")]
    pub fn spawn<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = self.clone();
        self.tracker.spawn(async move {
            if let Err(error) = tokio::spawn(work).await
                && error.is_panic()
            {
                tracing::error!(task = name, "a background task panicked; the process stops");
                tasks.panicked.store(true, std::sync::atomic::Ordering::Relaxed);
                tasks.stop.cancel();
            }
        });
    }

    /// Asks every task to end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Resolves once the tasks were asked to end.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Whether the tasks were asked to end.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Whether a task has panicked.
    pub fn panicked(&self) -> bool {
        self.panicked.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Waits for every task, at most `limit`. Returns whether all have ended.
    pub async fn join(&self, limit: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }
}
