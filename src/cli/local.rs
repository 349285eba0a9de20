//! Commands that need no running broker: they are the broker, or look at its files. Here are their options only; what
//! they do lives with the parts of the program that they start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use clap_complete::Shell;

use super::audit::LocalAuditCommand;
use super::options::StoreArgs;
use super::times::parse_span;
use crate::sim::NetworkFault;

/// A command that needs no running broker.
#[derive(Subcommand, Debug)]
pub enum LocalCommand {
    /// Run the broker.
    ///
    /// Without a configuration it keeps its store in ./token-broker-data, makes a sealing key there, prints an admin key
    /// once, and listens on 127.0.0.1.
    #[command(after_help = "Examples:\n  token-broker serve\n  token-broker serve --config /etc/token-broker.toml")]
    Serve(ServeArgs),
    /// Show the whole product at work, against simulated networks.
    #[command(after_help = "Examples:\n  token-broker demo\n  token-broker demo --duration 30s --seed 7 --output json")]
    Demo(DemoArgs),
    /// Serve simulated networks over HTTP, for people who write collectors.
    ///
    /// They keep the documented limits, headers and errors, and know made-up tokens, which are printed. Their addresses, operations
    /// and tokens are under /_sim/networks, their books under /_sim/report; faults are sent to /_sim/faults.
    #[command(after_help = "Examples:\n  token-broker simulate --network x --network youtube\n  \
        token-broker simulate --network x --speed 60 --fault x:server_errors,share=0.1,status=503,counted=true\n\n\
        Faults: drop_replies,share · server_errors,share,status,counted · html_pages,share,status,counted · delays,share,millis · calm ·\n\
        reset_tokens · change_password,person · lose_scope,person,scope · revoke_token,secret · expire_token,secret ·\n\
        lock_person,person · unlock_person,person · spend_elsewhere,class,owner,of,units · reset_early,class")]
    Simulate(SimulateArgs),
    /// Check or explain the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look the store over: settings, keys, orphans, whether the books add up and the audit is whole.
    ///
    /// No broker may run on it meanwhile. Fails if a promise is broken.
    #[command(after_help = "Example:\n  token-broker doctor --data-dir ./token-broker-data")]
    Doctor(StoreArgs),
    /// Parsed with what is asked of a broker.
    #[command(skip)]
    Audit(LocalAuditCommand),
    /// Make a further admin key, for when all others are lost. The broker must be stopped.
    #[command(after_help = "Example:\n  token-broker admin-key --data-dir ./token-broker-data")]
    AdminKey(StoreArgs),
    /// Print a script that completes commands and options in a shell.
    #[command(after_help = "Examples:\n  source <(token-broker completions bash)\n  \
        token-broker completions bash > ~/.local/share/bash-completion/completions/token-broker\n  \
        token-broker completions zsh > ~/.zfunc/_token-broker")]
    Completions(CompletionsArgs),
}

/// Options of `serve`. Each goes before the environment and the file.
#[derive(Args, Debug, Default)]
pub struct ServeArgs {
    /// Configuration file (TOML); see `config example`.
    #[arg(long, env = "TOKEN_BROKER_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Where gRPC is served.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where /metrics, /healthz and /readyz are served.
    #[arg(long, value_name = "ADDRESS")]
    pub http_listen: Option<SocketAddr>,
    /// Where the embedded store and the sealing key are kept.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
}

/// Options of `demo`.
#[derive(Args, Debug, Default)]
pub struct DemoArgs {
    /// How long it runs, by the clock on the wall. Default: long enough for an alert to open and clear.
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub duration: Option<Duration>,
    /// Seed of all that is random; the same seed makes the same choices.
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// How many times faster than real time the simulated networks run: 1 or more.
    #[arg(long, value_name = "FACTOR")]
    pub speed: Option<u32>,
}

/// Options of `simulate`.
#[derive(Args, Debug)]
pub struct SimulateArgs {
    /// Where the networks are served: an address of this machine only.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7080")]
    pub listen: SocketAddr,
    /// A network of the catalogue; may be repeated. Default: all.
    #[arg(long = "network", value_name = "NETWORK")]
    pub networks: Vec<String>,
    /// A folder of catalogue files that replace or extend the built-in networks.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub catalogue: Option<PathBuf>,
    /// Write catalogue files in which these networks are called here: a broker with this folder as its `catalogue.dir` speaks with them.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub catalogue_out: Option<PathBuf>,
    /// How many persons have tokens at each network, one of every kind.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub persons: u32,
    /// Seed of all that is random.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// How many times faster than real time they run.
    #[arg(long, value_name = "FACTOR", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub speed: u32,
    /// What goes wrong from the start, such as x:drop_replies,share=0.1; may be repeated.
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<NetworkFault>,
}

/// Commands about the configuration.
#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Report every mistake at once, with line and field.
    Check(ConfigFile),
    /// Print an annotated example with every setting and its default.
    Example,
}

/// Which configuration is meant.
#[derive(Args, Debug, Default)]
pub struct ConfigFile {
    /// Configuration file (TOML).
    #[arg(long, env = "TOKEN_BROKER_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
}

/// Options of `completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: Shell,
}
