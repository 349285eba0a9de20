//! The settings of a broker: one plain struct per section.
//!
//! A TOML file is overlaid by the environment (`TOKEN_BROKER__SECTION__KEY`), then by flags. Every mistake of every layer is
//! reported at once, with its place; an unknown key is a mistake, never ignored. `example.toml` beside this file
//! describes each setting, and a test keeps it true. Files that settings name are opened by those who use them.

mod alerts;
mod check;
mod connections;
mod credit;
mod errors;
mod grpc;
mod load;
mod log;
mod mail;
mod networks;
mod oidc;
mod probes;
mod proxies;
mod reader;
mod renewals;
mod sections;
mod sign_in;
mod tree;
mod units;
mod values;
mod vault;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use alerts::{Alerts, Heard, MailTo, PrivateHost, Webhook};
pub use connections::{Connections, ReturnUrl};
pub use credit::{Choice, Credit};
pub use errors::{ConfigErrors, Mistake, Origin};
pub use grpc::{ClientCertificates, Grpc, Limits, Tls};
pub use load::Load;
pub use log::{Log, LogFormat};
pub use mail::{Mail, MailSecurity};
pub use networks::NetworkSettings;
pub use oidc::{Issuer, Oidc};
pub use probes::Probes;
pub use proxies::{AddressRange, AddressRangeError};
pub use renewals::Renewals;
pub use sections::{Catalogue, Http, Keep, Metrics, Outbound, Store};
pub use sign_in::SignIn;
pub use units::{ByteSize, Share};
pub use vault::{AwsKms, KeyText, Transit, VaultSettings};

use crate::base::ids::{NetworkId, TeamId};
use errors::Survey;
use reader::{Reader, Section};

/// The annotated example: every setting with its unit, default and range.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Every setting, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where the state is kept.
    pub store: Store,
    /// How long what is over is kept.
    pub keep: Keep,
    /// The listener for collectors and operators.
    pub grpc: Grpc,
    /// The listener for metrics and probes.
    pub http: Http,
    /// The sealing key.
    pub vault: VaultSettings,
    /// Networks beside the embedded ones.
    pub catalogue: Catalogue,
    /// Who is believed to be the one that is called.
    pub outbound: Outbound,
    /// How credit is granted.
    pub credit: Credit,
    /// How tokens are kept alive.
    pub renewals: Renewals,
    /// How tokens are checked.
    pub probes: Probes,
    /// How members sign in, and how long they stay.
    pub sign_in: SignIn,
    /// How accounts are connected.
    pub connections: Connections,
    /// When a token load is too high.
    pub load: Load,
    /// Which operators are told.
    pub alerts: Alerts,
    /// The mail server.
    pub mail: Mail,
    /// The log.
    pub log: Log,
    /// The bounds of the metrics.
    pub metrics: Metrics,
    /// What differs from network to network.
    pub networks: BTreeMap<NetworkId, NetworkSettings>,
}

impl Default for Config {
    fn default() -> Self {
        reader::default_of()
    }
}

impl Config {
    /// Reads `file` (if any), then `env` (variables with other prefixes are ignored), then `overrides` (`section.key`, value).
    ///
    /// `misfits` finds what only others can judge, such as networks that the catalogue does not have: the setting, and what is
    /// wrong with it. Reports every mistake at once.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        overrides: &[(String, String)],
        misfits: impl FnOnce(&Config) -> Vec<(String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let Some(path) = file else {
            return Self::read("", "", env, overrides, misfits);
        };
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::read(&name, &text, env, overrides, misfits),
            Err(error) => Err(ConfigErrors::unreadable(&name, &error)),
        }
    }

    /// As [`Config::load`], of a file's `text`; `name` is what mistakes call the file.
    pub fn read(
        name: &str,
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
        overrides: &[(String, String)],
        misfits: impl FnOnce(&Config) -> Vec<(String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let mut survey = Survey::default();
        let mut root = tree::from_file(name, text, &mut survey);
        let well_formed = survey.is_clean();
        tree::overlay_env(&mut root, env, &mut survey);
        tree::overlay_flags(&mut root, overrides, &mut survey);
        let config: Config = reader::read(root, &mut survey);
        if well_formed {
            check::check(&config, &mut survey);
            for (field, problem) in misfits(&config) {
                survey.wrong_near(&field, problem);
            }
        }
        survey.into_result(config)
    }

    /// Where the sealing key is: as set, or beside the store.
    pub fn key_file(&self) -> PathBuf {
        self.vault.key_file.clone().unwrap_or_else(|| self.store.dir.join("sealing.key"))
    }

    /// How a token of `network` is chosen.
    pub fn choice_for(&self, network: &NetworkId) -> Choice {
        self.networks.get(network).and_then(|settings| settings.choice).unwrap_or(self.credit.choice)
    }

    /// The owner's reserve for tokens of `team` at `network`: the larger of the team's and the network's own, if either is set.
    pub fn reserve_for(&self, team: &TeamId, network: &NetworkId) -> Share {
        let of_network = self.networks.get(network).and_then(|settings| settings.owner_reserve);
        let of_team = self.credit.team_reserve.get(team).copied();
        of_network.max(of_team).unwrap_or(self.credit.owner_reserve)
    }

    /// How many leases may share a token of `network`.
    pub fn token_concurrency_for(&self, network: &NetworkId) -> usize {
        self.networks
            .get(network)
            .and_then(|settings| settings.token_concurrency)
            .unwrap_or(self.credit.token_concurrency)
    }
}

impl Section for Config {
    fn read(from: &mut Reader<'_>) -> Self {
        Self {
            store: from.section("store"),
            keep: from.section("keep"),
            grpc: from.section("grpc"),
            http: from.section("http"),
            vault: from.section("vault"),
            catalogue: from.section("catalogue"),
            outbound: from.section("outbound"),
            credit: from.section("credit"),
            renewals: from.section("renewals"),
            probes: from.section("probes"),
            sign_in: from.section("sign_in"),
            connections: from.section("connections"),
            load: from.section("load"),
            alerts: from.section("alerts"),
            mail: from.section("mail"),
            log: from.section("log"),
            metrics: from.section("metrics"),
            networks: from.sections_by_id("networks"),
        }
    }
}

#[cfg(test)]
mod tests;
