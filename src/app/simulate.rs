//! `simulate`: serves the simulated networks alone, for people who write collectors.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use super::catalogue::read_catalogue;
use super::serve::until_told_to_stop;
use crate::base::clock::SystemClock;
use crate::base::tasks::Tasks;
use crate::domain::networks::{Catalogue, Network};
use crate::sim::{self, NetworkFault, ServedNetwork, serve};

/// How long calls may go on after the process was asked to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// What is simulated, and how.
#[derive(Debug)]
pub struct SimulateOptions {
    /// Where; a loopback address.
    pub listen: SocketAddr,
    /// A folder of catalogue files that replace or extend the built-in ones.
    pub catalogue: Option<PathBuf>,
    /// A folder for catalogue files in which the networks are called where they are served here.
    pub catalogue_out: Option<PathBuf>,
    /// The ids of the networks; empty: all.
    pub networks: Vec<String>,
    /// From where chance and made-up secrets come.
    pub seed: u64,
    /// How many times faster than real time.
    pub speed: u32,
    /// How many persons have a token of every kind at each network.
    pub persons: u32,
    /// What goes wrong from the start.
    pub faults: Vec<NetworkFault>,
}

/// What is served.
pub struct Simulated {
    /// Where.
    pub address: SocketAddr,
    /// From where chance and made-up secrets come.
    pub seed: u64,
    /// How many times faster than the machine's clock.
    pub speed: u32,
    /// The networks with their operations and tokens.
    pub networks: Vec<ServedNetwork>,
    /// Whether the networks were named, and are few.
    pub named: bool,
}

/// Serves until the process is told to stop. `show` is called once calls are answered.
pub async fn simulate(
    options: SimulateOptions,
    show: impl FnOnce(&Simulated) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let SimulateOptions { listen, seed, speed, .. } = options;
    let (catalogue, catalogue_out) = (options.catalogue, options.catalogue_out);
    let networks = chosen(&read_catalogue(catalogue.as_deref())?, &options.networks)?;
    let tasks = Tasks::default();
    let named = !options.networks.is_empty();
    let options = sim::SimulateOptions {
        listen,
        seed,
        speed,
        networks,
        tokens_per_network: options.persons,
        faults: options.faults,
    };
    let serving = serve(options, Arc::new(SystemClock::start()), &tasks).await?;
    if let Some(out) = &catalogue_out {
        for network in serving.simulation.networks() {
            write_redirected(network, catalogue.as_deref(), out, serving.address)?;
        }
    }
    show(&Simulated { address: serving.address, seed, speed, networks: serving.networks, named })?;
    until_told_to_stop().await;
    tasks.stop();
    tasks.join(DRAIN).await;
    Ok(())
}

/// Writes the file of a network, own or built-in, with the addresses of its simulation.
fn write_redirected(network: &Network, own: Option<&Path>, out: &Path, address: SocketAddr) -> anyhow::Result<()> {
    let name = format!("{}.toml", network.id);
    let given = own.map(|folder| std::fs::read_to_string(folder.join(&name))).and_then(Result::ok);
    let text = given.as_deref().or(Catalogue::built_in(&name));
    let text = text.with_context(|| format!("there is no file {name} any more"))?;
    let file = out.join(&name);
    let written =
        std::fs::create_dir_all(out).and_then(|()| std::fs::write(&file, sim::redirected(network, text, address)));
    written.with_context(|| format!("'{}' can't be written; check --catalogue-out", file.display()))
}

fn chosen(catalogue: &Catalogue, names: &[String]) -> anyhow::Result<Vec<Arc<Network>>> {
    let unknown: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| catalogue.network(name).is_none()).collect();
    if !unknown.is_empty() {
        let known: Vec<&str> = catalogue.iter().map(|network| network.id.as_str()).collect();
        bail!("the catalogue has no network '{}'; it has {}", unknown.join("', '"), known.join(", "));
    }
    let is_chosen = |network: &&Arc<Network>| names.is_empty() || names.iter().any(|name| *name == network.id.as_str());
    Ok(catalogue.iter().filter(is_chosen).cloned().collect())
}
