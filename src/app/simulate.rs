//! `simulate`: serves the simulated networks alone, for people who write collectors.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::bail;

use crate::base::clock::SystemClock;
use crate::base::tasks::Tasks;
use crate::domain::networks::Catalogue;
use crate::sim::{SimulateOptions, serve};

/// Persons with a token of every kind that each network begins with.
const TOKENS: u32 = 3;

/// Serves until the process is told to stop.
pub async fn simulate(listen: SocketAddr, networks: &[String], seed: u64, speed: u32) -> anyhow::Result<()> {
    let catalogue = Catalogue::embedded();
    let mut chosen = Vec::new();
    for name in networks {
        match catalogue.network(name) {
            Some(network) => chosen.push(network.clone()),
            None => bail!("the catalogue has no network '{name}'; `token-broker networks list` shows those it has"),
        }
    }
    if chosen.is_empty() {
        chosen = catalogue.iter().cloned().collect();
    }
    let tasks = Tasks::default();
    let options =
        SimulateOptions { listen, seed, speed, networks: chosen, tokens_per_network: TOKENS, faults: Vec::new() };
    let serving = serve(options, Arc::new(SystemClock::start()), &tasks).await?;
    println!("Simulated networks at http://{} ({speed} x real time). Stop with ctrl-c.", serving.address);
    println!("Faults: POST /_sim/faults, books: GET /_sim/report.\n");
    for network in &serving.networks {
        println!("{}  {}", network.network, network.base_url);
        for token in &network.tokens {
            println!("    {:<18} {}", token.kind.to_string(), token.secret);
        }
    }
    let _ = tokio::signal::ctrl_c().await;
    tasks.stop();
    tasks.join(std::time::Duration::from_secs(5)).await;
    Ok(())
}
