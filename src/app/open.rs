//! A broker on its store, before anybody can speak to it and after nobody can.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::app::catalogue::read_catalogue;
use crate::base::clock::Clock;
use crate::base::secret::Secret;
use crate::base::tasks::Tasks;
use crate::config::{self, Config};
use crate::service::{Broker, Started};
use crate::store::{SqliteOptions, SqliteStore, Store};
use crate::telemetry::Metrics;

/// A broker on its store, to which nobody can speak yet.
pub struct Opened {
    /// The broker.
    pub broker: Broker,
    /// The background tasks.
    pub tasks: Tasks,
    /// The first admin key, where the store had none.
    pub first_key: Option<Secret>,
}

/// Opens the store and starts a broker on it.
pub async fn open(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<Opened> {
    let tasks = Tasks::default();
    let metrics = Metrics::new(&config.metrics);
    metrics.start_upkeep(&tasks);
    let catalogue = read_catalogue(config.catalogue.dir.as_deref())?;
    make_data_dir(&config.store.dir)?;
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(store_options(&config.store, &metrics), clock.clone()).await?);
    let Started { broker, restored, first_key } =
        Broker::start(config, catalogue, store, clock, metrics.clone(), &tasks).await?;
    tracing::info!(
        tokens = restored.tokens,
        damaged = restored.damaged,
        blocks = restored.blocks,
        leases = restored.leases,
        "took up what the store holds"
    );
    broker.start_background(&tasks);
    Ok(Opened { broker, tasks, first_key })
}

/// Stops a broker to which nobody speaks any more.
pub(super) async fn close(broker: Broker, tasks: Tasks, drain: Duration) -> anyhow::Result<()> {
    let panicked = tasks.panicked();
    tasks.stop();
    if !tasks.join(drain).await {
        tracing::warn!("some background tasks did not end in time");
    }
    broker.engine.stop(drain).await;
    broker.store.close().await;
    anyhow::ensure!(!panicked, "a background task panicked; see the log");
    Ok(())
}

// Taken apart without `..`: a setting that nothing reads does not compile.
fn store_options(settings: &config::Store, metrics: &Metrics) -> SqliteOptions {
    let config::Store { dir, readers, write_queue } = settings;
    let committed = metrics.clone();
    SqliteOptions {
        readers: u32::try_from(*readers).unwrap_or(u32::MAX),
        queue: *write_queue,
        on_commit: Some(Arc::new(move |stats| committed.store_committed(stats.changes, stats.took))),
        ..SqliteOptions::new(dir)
    }
}

/// The data directory, readable by its owner only.
fn make_data_dir(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("store.dir: '{}' can't be made; check the path and its permissions", dir.display()))
}
