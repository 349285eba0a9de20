//! The simulation alone, for people who write collectors: networks with made-up tokens, on a loopback port.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpListener;

use super::clock::ScaledClock;
use super::description::{ServedNetwork, describe};
use super::fault::{FaultError, NetworkFault};
use super::grant::{made_up, may_refresh};
use super::meter::UnknownZone;
use super::server::serve_on;
use super::simulation::Simulation;
use super::token::TokenSpec;
use crate::base::clock::Clock;
use crate::base::tasks::Tasks;
use crate::domain::networks::{Amount, Network};

/// How the simulation is served.
#[derive(Debug, Clone)]
pub struct SimulateOptions {
    /// Where; a loopback address. Port 0: any free one.
    pub listen: SocketAddr,
    /// From where chance and made-up secrets come: the same seed gives the same.
    pub seed: u64,
    /// How many times faster than the machine's clock time runs; 0 is taken as 1.
    pub speed: u32,
    /// The networks.
    pub networks: Vec<Arc<Network>>,
    /// How many tokens of each kind each network has issued.
    pub tokens_per_network: u32,
    /// The faults that happen from the start.
    pub faults: Vec<NetworkFault>,
}

/// A simulation that is served.
pub struct Serving {
    /// Where.
    pub address: SocketAddr,
    /// The simulation itself, for more tokens and faults.
    pub simulation: Arc<Simulation>,
    /// The networks with their tokens, to be shown to people.
    pub networks: Vec<ServedNetwork>,
}

/// Why the simulation can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can't be had.
    #[error("can't listen on {address}; choose a free port on 127.0.0.1")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A network of the catalogue is wrong.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
    /// A fault of the options can't be had.
    #[error(transparent)]
    Fault(#[from] FaultError),
}

/// Serves simulated networks until `tasks` stop. Returns as soon as calls are answered.
///
/// # Errors
/// When the address is taken or can be reached from outside, or when the options name something that does not exist.
pub async fn serve(options: SimulateOptions, clock: Arc<dyn Clock>, tasks: &Tasks) -> Result<Serving, ServeError> {
    let clock: Arc<dyn Clock> = Arc::new(ScaledClock::start(clock, options.speed));
    let simulation = Arc::new(Simulation::new(options.networks, clock, options.seed)?);
    let mut random = StdRng::seed_from_u64(options.seed);
    for network in simulation.networks() {
        for token in issue(network, options.tokens_per_network, &simulation, &mut random) {
            simulation.add_token(&network.id, token)?;
        }
    }
    for fault in &options.faults {
        simulation.inject(fault)?;
    }
    let failed = |source| ServeError::Listen { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
    let address = serve_on(listener, simulation.clone(), tasks).map_err(failed)?;
    let networks = describe(&simulation, address);
    Ok(Serving { address, simulation, networks })
}

/// Makes up tokens: each person has one of each kind, and one profile.
fn issue(network: &Network, count: u32, simulation: &Simulation, random: &mut StdRng) -> Vec<TokenSpec> {
    let facts = made_up_facts(network, random);
    let mut tokens = Vec::new();
    for person in 1..=count {
        for kind in &network.kinds {
            let secret = format!("sim-{}-{}-{person}-{:016x}", network.id, kind.id, random.random::<u64>());
            let mut spec = TokenSpec::of_kind(network, &kind.id, &secret, &format!("person-{person}"));
            spec.profiles = vec![format!("profile-{person}")];
            spec.facts.clone_from(&facts);
            spec.refresh_secret = may_refresh(kind, &spec.scopes).then(|| made_up("refresh", random));
            spec.expires_at = kind.access_validity.map(|life| simulation.now() + life);
            tokens.push(spec);
        }
    }
    tokens
}

/// A small number for each fact that a formula of the network needs.
fn made_up_facts(network: &Network, random: &mut StdRng) -> BTreeMap<String, u64> {
    let limits = network.classes.iter().flat_map(|class| &class.limits);
    let facts = limits.filter_map(|limit| match &limit.amount {
        Amount::Formula { fact, .. } => Some(fact.clone()),
        _ => None,
    });
    facts.map(|fact| (fact, random.random_range(1..50))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};
    use crate::domain::networks::{Owner, Unit};
    use crate::sim::Fault;
    use crate::sim::samples::{class, fixed, limit, network};

    fn options(faults: Vec<NetworkFault>) -> SimulateOptions {
        let sample =
            network("x", vec![class("calls", Unit::Calls, vec![limit(Owner::Token, fixed(60), 1)])], Vec::new());
        SimulateOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 3,
            speed: 60,
            networks: vec![Arc::new(sample)],
            tokens_per_network: 2,
            faults,
        }
    }

    #[tokio::test]
    async fn what_is_printed_can_be_called_and_time_runs_fast() {
        let tasks = Tasks::default();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_700_000_000)));
        let serving = serve(options(Vec::new()), clock.clone(), &tasks).await.unwrap();
        let served = &serving.networks[0];
        assert_eq!(served.tokens.len(), 4, "two persons with a token of each kind");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/calls/1", served.base_url);
        for token in &served.tokens {
            let status = async || client.get(&url).bearer_auth(&token.secret).send().await.unwrap().status().as_u16();
            assert_eq!((status().await, status().await), (200, 429));
        }
        clock.advance(Duration::from_secs(1));
        let again = client.get(&url).bearer_auth(&served.tokens[0].secret).send().await.unwrap();
        assert_eq!(again.status(), 200, "one second is a minute of the simulation");
        drop(client);
        tasks.stop();
        assert!(tasks.join(Duration::from_secs(20)).await);
    }

    #[tokio::test]
    async fn the_same_seed_makes_up_the_same_secrets() {
        let tasks = Tasks::default();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let first = serve(options(Vec::new()), clock.clone(), &tasks).await.unwrap();
        let second = serve(options(Vec::new()), clock.clone(), &tasks).await.unwrap();
        assert_eq!(first.networks[0].tokens, second.networks[0].tokens);
        let nowhere = NetworkFault { network: "y".parse().unwrap(), fault: Fault::Calm };
        assert!(matches!(serve(options(vec![nowhere]), clock, &tasks).await, Err(ServeError::Fault(_))));
        tasks.stop();
        assert!(tasks.join(Duration::from_secs(20)).await);
    }
}
