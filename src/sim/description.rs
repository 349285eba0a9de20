//! What is simulated, for those who call it: addresses, operations and tokens.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

use super::oauth;
use super::route::path_of;
use super::simulation::Simulation;
use super::token::TokenSpec;
use crate::base::ids::{KindId, NetworkId, OperationId};
use crate::domain::networks::{Cost, Network, Operation};

/// One network of a served simulation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServedNetwork {
    /// Its id.
    pub network: NetworkId,
    /// Its name as people write it.
    pub display_name: String,
    /// What takes the place of its API base, without a slash at the end.
    pub base_url: String,
    /// Its API base in the world.
    pub stands_for: String,
    /// Headers that every call must carry beside the token.
    pub request_headers: BTreeMap<String, String>,
    /// Its OAuth endpoints, by kind of token and by what they are for.
    pub oauth: BTreeMap<String, BTreeMap<&'static str, String>>,
    /// The calls that it answers.
    pub operations: Vec<ServedOperation>,
    /// Its tokens. They are made up and open nothing anywhere else.
    pub tokens: Vec<TokenSpec>,
}

/// One call that a simulated network answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServedOperation {
    /// Its id in the catalogue. Where several share one address, the header `x-sim-operation` names the one that is meant.
    pub operation: OperationId,
    /// The HTTP method.
    pub method: String,
    /// Where it is called; `{name}` stands for a part that varies.
    pub url: String,
    /// The kinds of token that may call it; empty: all.
    pub kinds: Vec<KindId>,
    /// What one call costs: units by class.
    pub costs: BTreeMap<String, u64>,
}

/// All networks of a simulation that is served at `address`.
pub fn describe(simulation: &Simulation, address: SocketAddr) -> Vec<ServedNetwork> {
    simulation.networks().map(|network| served(simulation, network, address)).collect()
}

fn served(simulation: &Simulation, network: &Network, address: SocketAddr) -> ServedNetwork {
    let base_url = format!("http://{address}/{}", network.id);
    let operation = |operation: &Operation| {
        let cost = |Cost { class, units }: &Cost| (class.to_string(), *units);
        ServedOperation {
            operation: operation.id.clone(),
            method: operation.method.clone(),
            url: format!("{base_url}{}", path_of(&operation.path)),
            kinds: operation.kinds.clone(),
            costs: operation.costs.iter().map(cost).collect(),
        }
    };
    let endpoints = network.kinds.iter().map(|kind| {
        let endpoints: BTreeMap<_, _> = oauth::served(network, kind, &base_url).into_iter().collect();
        (kind.id.to_string(), endpoints)
    });
    ServedNetwork {
        network: network.id.clone(),
        request_headers: network.request_headers.clone(),
        oauth: endpoints.filter(|(_, endpoints)| !endpoints.is_empty()).collect(),
        display_name: network.display_name.clone(),
        operations: network.operations.iter().map(operation).collect(),
        tokens: simulation.tokens(&network.id),
        stands_for: network.api_base.clone(),
        base_url,
    }
}

/// The text of a network's catalogue file with the addresses at which it is served here in the place of those of the world: a broker that
/// reads it speaks with the simulation.
pub fn redirected(network: &Network, text: &str, address: SocketAddr) -> String {
    let base = format!("http://{address}/{}", network.id);
    let bases = [Some(&network.api_base)].into_iter().chain(network.kinds.iter().map(|kind| kind.api_base.as_ref()));
    let mut text = text.to_owned();
    for api_base in bases.flatten() {
        text = text.replace(&format!("{api_base}\""), &format!("{base}\""));
    }
    let mut urls = Vec::new();
    for kind in &network.kinds {
        if let Some(oauth) = &kind.oauth {
            urls.push(oauth.token_url.as_str());
            let others = [
                &oauth.authorize_url,
                &oauth.pushed_url,
                &oauth.did_directory,
                &oauth.revoke_url,
                &oauth.introspect_url,
                &oauth.exchange_url,
                &oauth.renew_url,
            ];
            urls.extend(others.into_iter().flatten().map(String::as_str));
        }
        let lookups = [
            kind.account.as_ref().map(|lookup| &lookup.request),
            kind.profiles.as_ref().map(|lookup| &lookup.request),
            kind.granted.as_ref().map(|lookup| &lookup.request),
            kind.profiles.as_ref().and_then(|lookup| lookup.named_by.as_ref()).map(|named| &named.request),
        ];
        urls.extend(kind.probe.iter().filter_map(|probe| Some(probe.method_and_url()?.1)));
        urls.extend(lookups.into_iter().flatten().filter_map(|request| request.strip_prefix("GET ")));
    }
    urls.into_iter()
        .fold(text, |text, url| text.replace(&format!("{url}\""), &format!("{base}{}\"", oauth::address(network, url))))
}
