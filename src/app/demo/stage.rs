//! The stage: simulated networks and a whole broker on loopback ports, in a directory that goes away with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;

use crate::app::demo::pace::Pace;
use crate::app::demo::plan::{CREDIT_TO_POSTS, NETWORKS};
use crate::app::open::open;
use crate::app::serve::{Running, listen, stop};
use crate::base::ids::ProcessId;
use crate::base::secret::Secret;
use crate::base::tasks::Tasks;
use crate::config::{Config, NetworkSettings, Share};
use crate::domain::networks::Catalogue;
use crate::sim::{LimitKey, Simulation, serve_on};

/// How long calls may go on when the demonstration is over.
const DRAIN: Duration = Duration::from_secs(5);
/// The share of each limit that belongs to the person, in percent.
pub const RESERVE_PERCENT: u64 = 10;
/// How long before a window's end its credit must have been used, in real time: what a call may take on a busy machine.
const GUARD: Duration = Duration::from_millis(33);

/// Everything that runs behind the collectors.
pub struct Stage {
    /// The broker.
    pub running: Running,
    key: Option<Secret>,
    /// The networks.
    pub simulation: Arc<Simulation>,
    /// Where the networks are called.
    pub simulation_url: String,
    networks: Tasks,
    directory: Directory,
}

/// A directory that is removed with all that it holds.
struct Directory(PathBuf);

impl Directory {
    fn make() -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(format!("token-broker-demo-{}", ProcessId::generate()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| {
            format!("'{}' can't be made; set TMPDIR to a directory that can be written", path.display())
        })?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the demonstration's directory could not be removed");
        }
    }
}

impl Stage {
    /// Starts networks and broker. `hold`: how long a load must be too high before the alert opens, by the networks' clock.
    pub async fn open(pace: &Pace, seed: u64, hold: Duration) -> anyhow::Result<Stage> {
        let catalogue = Catalogue::embedded();
        let simulated = NETWORKS.iter().filter_map(|network| catalogue.network(network).cloned());
        let simulation = Arc::new(Simulation::new(simulated, pace.clock(), seed)?);
        let posts = LimitKey { class: "post_reads".parse()?, place: 0 };
        simulation.set_limit(&"x".parse()?, posts, None, CREDIT_TO_POSTS)?;
        let networks = Tasks::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port on 127.0.0.1")?;
        let address = serve_on(listener, simulation.clone(), &networks)?;
        let directory = Directory::make()?;
        let mut opened = open(config(&directory.0, pace, hold)?, pace.clock()).await?;
        let key = opened.first_key.take();
        let running = listen(opened).await?;
        let simulation_url = format!("http://{address}");
        Ok(Stage { running, key, simulation, simulation_url, networks, directory })
    }

    /// The broker's address.
    pub fn server(&self) -> String {
        format!("http://{}", self.running.grpc.local_addr())
    }

    /// The first admin key.
    pub fn take_key(&mut self) -> anyhow::Result<Secret> {
        self.key.take().context("a new broker made no admin key")
    }

    /// Stops everything and removes the directory.
    pub async fn close(self) -> anyhow::Result<()> {
        let stopped = stop(self.running, DRAIN).await;
        self.networks.stop();
        self.networks.join(DRAIN).await;
        drop(self.directory);
        stopped
    }
}

/// The usual configuration, but for addresses, and for times that must fit into compressed ones.
fn config(directory: &Path, pace: &Pace, hold: Duration) -> anyhow::Result<Config> {
    let mut config = Config::default();
    config.store.dir = directory.join("data");
    config.grpc.listen = "127.0.0.1:0".parse()?;
    config.http.listen = "127.0.0.1:0".parse()?;
    config.grpc.workers = 1;
    config.credit.owner_reserve = Share::percent(u16::try_from(RESERVE_PERCENT)?);
    config.credit.window_guard = GUARD * pace.speed();
    config.credit.wait_max = Duration::from_secs(300);
    config.load.hold = hold;
    let x =
        NetworkSettings { safe_start: [("post_reads".parse()?, CREDIT_TO_POSTS)].into(), ..NetworkSettings::default() };
    config.networks.insert("x".parse()?, x);
    Ok(config)
}
