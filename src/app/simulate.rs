//! `simulate`: serves the simulated networks alone, for people who write collectors.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;

use super::serve::until_told_to_stop;
use crate::base::clock::SystemClock;
use crate::base::tasks::Tasks;
use crate::domain::networks::{Catalogue, Network};
use crate::sim::{ServedNetwork, SimulateOptions, serve};

/// Persons with a token of every kind that each network begins with.
const TOKENS: u32 = 3;
/// How long calls may go on after the process was asked to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// What is served.
pub struct Simulated {
    /// Where.
    pub address: SocketAddr,
    /// How many times faster than the machine's clock.
    pub speed: u32,
    /// The networks with their tokens.
    pub networks: Vec<ServedNetwork>,
    /// A call that works at once, as a shell would make it.
    pub example: Option<String>,
}

/// Serves until the process is told to stop. `show` is called once calls are answered.
pub async fn simulate(
    listen: SocketAddr,
    networks: &[String],
    seed: u64,
    speed: u32,
    show: impl FnOnce(&Simulated) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let chosen = choose(&Catalogue::embedded(), networks)?;
    let example = chosen.iter().find_map(example_of);
    let tasks = Tasks::default();
    let options =
        SimulateOptions { listen, seed, speed, networks: chosen, tokens_per_network: TOKENS, faults: Vec::new() };
    let serving = serve(options, Arc::new(SystemClock::start()), &tasks).await?;
    let example = example.and_then(|(network, kind, path)| {
        let served = serving.networks.iter().find(|served| served.network == network)?;
        let token = served.tokens.iter().find(|token| token.kind.as_str() == kind)?;
        Some(format!("curl -H 'authorization: Bearer {}' {}{path}", token.secret, served.base_url))
    });
    show(&Simulated { address: serving.address, speed, networks: serving.networks, example })?;
    until_told_to_stop().await;
    tasks.stop();
    tasks.join(DRAIN).await;
    Ok(())
}

fn choose(catalogue: &Catalogue, names: &[String]) -> anyhow::Result<Vec<Arc<Network>>> {
    let mut chosen = Vec::new();
    for name in names {
        match catalogue.network(name) {
            Some(network) => chosen.push(network.clone()),
            None => {
                let known: Vec<_> = catalogue.iter().map(|network| network.id.as_str()).collect();
                bail!("the catalogue has no network '{name}'; it has {}", known.join(", "))
            }
        }
    }
    Ok(if names.is_empty() { catalogue.iter().cloned().collect() } else { chosen })
}

/// The simplest call of a network: its id, a kind of token, and the path below its base.
fn example_of(network: &Arc<Network>) -> Option<(crate::base::ids::NetworkId, String, String)> {
    let kind = network.kinds.first()?;
    let mut plain = network.operations.iter().filter(|operation| {
        operation.method == "GET" && operation.allows(&kind.id) && !operation.path.contains(['{', ':', '?'])
    });
    Some((network.id.clone(), kind.id.to_string(), plain.next()?.path.clone()))
}
