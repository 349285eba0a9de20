//! The command line. Most commands are calls of the gRPC API, written for operators; the others start the program itself.
//!
//! [`parse`] reads the arguments; [`run`] carries a call of the API out. What the local commands do is up to the caller of
//! [`parse`], but for the shell completions, which are made from the commands themselves ([`completions`]).
//!
//! Invariants: no secret is taken from the arguments, and none is shown unless it was asked for by name. stdout holds what
//! was asked for, everything else goes to stderr. Each noun of the API has one file here.

mod alerts;
mod apps;
mod audit;
mod collector;
mod failure;
mod import;
mod json;
mod key;
mod lease;
mod load;
mod local;
mod names;
mod networks;
mod options;
mod secrets;
mod session;
#[cfg(test)]
mod stub;
mod table;
mod team;
mod terminal;
mod times;
mod token;
mod words;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use self::local::{
    CompletionsArgs, ConfigCommand, ConfigFile, DemoArgs, DoctorArgs, LocalCommand, ServeArgs, SimulateArgs,
};
pub use self::options::OutputOptions;
pub use self::terminal::{ColorChoice, Format};

use self::failure::{EXIT_CODES, Exit, Failure};
use self::options::ConnectionOptions;
use self::session::Session;
use self::terminal::Terminal;
use crate::base::clock::{Clock, SystemClock};
use crate::grpc::client::{self, Client};

/// What the command line asks for.
pub enum Command {
    /// A call of a running broker: see [`run`].
    Client(Box<ClientCommand>),
    /// Something else, with how its output shall look.
    Local(LocalCommand, OutputOptions),
}

/// A call of a running broker.
pub struct ClientCommand {
    noun: Noun,
    connection: ConnectionOptions,
    output: OutputOptions,
}

/// Keeps social-network access tokens, leases them to collectors with exact credit, and says when the token load is too
/// high.
#[derive(Parser)]
#[command(name = "token-broker", version, max_term_width = 100, after_long_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    connection: ConnectionOptions,
}

#[derive(Subcommand)]
enum Action {
    #[command(flatten)]
    Local(LocalCommand),
    #[command(flatten)]
    Client(Noun),
}

#[derive(Subcommand)]
enum Noun {
    /// Teams: the tenants that own tokens and collectors.
    #[command(subcommand)]
    Team(team::TeamCommand),
    /// Collectors: the programs that collect for a team, and their keys.
    #[command(subcommand)]
    Collector(collector::CollectorCommand),
    /// Keys of operators.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Tokens: the grants that the broker holds.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Leases: a worker's life by hand.
    #[command(subcommand)]
    Lease(lease::LeaseCommand),
    /// Load: how much teams collect, compared with what their tokens can carry.
    #[command(subcommand)]
    Load(load::LoadCommand),
    /// Alerts: token load too high, no access tokens.
    #[command(subcommand)]
    Alerts(alerts::AlertsCommand),
    /// Networks: the catalogue of kinds, limits and operations.
    #[command(subcommand)]
    Networks(networks::NetworksCommand),
    /// Apps: our registrations at the networks.
    #[command(subcommand)]
    Apps(apps::AppsCommand),
    /// Audit: what happened, who did it, and what a token was used for.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
}

/// Reads the arguments of the process. Wrong usage, `--help` and `--version` end the process here.
pub fn parse() -> Command {
    let arguments = Arguments::parse();
    if let Err(wrong) = arguments.connection.check() {
        Arguments::command().error(clap::error::ErrorKind::ArgumentConflict, wrong).exit();
    }
    command_of(arguments)
}

fn command_of(arguments: Arguments) -> Command {
    let Arguments { action, output, connection } = arguments;
    match action {
        Action::Local(local) => Command::Local(local, output),
        Action::Client(noun) => Command::Client(Box::new(ClientCommand { noun, connection, output })),
    }
}

/// Writes the script that completes commands and options.
pub fn completions(arguments: &CompletionsArgs, to: &mut dyn Write) {
    let mut to = to;
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "token-broker", &mut to);
}

/// Carries a call of the broker out: prints what was asked for, or the error, and returns the exit code.
pub async fn run(command: ClientCommand) -> ExitCode {
    let now = SystemClock::start().now();
    let OutputOptions { output, color, quiet } = command.output;
    let terminal = Terminal::of_process(output, color, quiet, now);
    match perform(command, terminal).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => ExitCode::from(exit as u8),
    }
}

/// As [`run`], on the given terminal.
async fn perform(command: ClientCommand, mut terminal: Terminal) -> Result<(), Exit> {
    let ClientCommand { noun, connection, .. } = command;
    let client = match open(&connection, &mut terminal).await {
        Ok(client) => client,
        Err(failure) => {
            terminal.failure(&failure);
            return Err(failure.exit());
        }
    };
    let mut session = Session::new(client, terminal, connection.team, connection.request_id, connection.timeout);
    match act(noun, &mut session).await {
        Err(failure) if !failure.is_broken_pipe() => {
            session.terminal.failure(&failure);
            Err(failure.exit())
        }
        _ => Ok(()),
    }
}

async fn open(connection: &ConnectionOptions, terminal: &mut Terminal) -> Result<Client, Failure> {
    let settings = connection.settings()?;
    if settings.key.is_some() && connection.sends_key_in_the_clear() {
        terminal.notice("warning: the key travels unencrypted; use https:// where others share the network");
    }
    Ok(client::connect(&settings).await?)
}

async fn act(noun: Noun, session: &mut Session) -> Result<(), Failure> {
    match noun {
        Noun::Team(command) => team::run(command, session).await,
        Noun::Collector(command) => collector::run(command, session).await,
        Noun::Key(command) => key::run(command, session).await,
        Noun::Token(command) => token::run(command, session).await,
        Noun::Lease(command) => lease::run(command, session).await,
        Noun::Load(command) => load::run(command, session).await,
        Noun::Alerts(command) => alerts::run(command, session).await,
        Noun::Networks(command) => networks::run(command, session).await,
        Noun::Apps(command) => apps::run(command, session).await,
        Noun::Audit(command) => audit::run(command, session).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("token-broker").chain(line.split_whitespace()))
    }

    #[test]
    fn the_commands_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_of_a_noun_is_understood() {
        let lines = [
            "team create acme --display-name Acme --weight 200",
            "team list --limit 5 --output json",
            "team delete acme --force",
            "collector create crawler --team acme --network x --purpose collect-content",
            "collector disable crawler --comment misbehaves",
            "collector key create crawler --expires 90d",
            "collector key list crawler --all",
            "key create --role reader",
            "key revoke key_1 --comment lost",
            "key revoke-value --value-from env:LEAKED",
            "token add --network x --kind user --fact engaged_users=5 --access-expires 60d",
            "token import tokens.csv --dry-run --update",
            "token list --status no_expiry --state live -t -",
            "token pause tok_1 tok_2 --comment holiday",
            "token invalidate tok_1 --reason password_changed",
            "token update tok_1 --scope a --scope b",
            "lease acquire --network x --operation search --purpose collect_content --calls 10 --wait 30s",
            "lease report lse_1 --sequence 1 --ok 5 --status 200 --want 10",
            "lease release lse_1",
            "lease extend lse_1 --ttl 10min",
            "lease list --state recalled",
            "load show --network x",
            "load list --min-level high",
            "load watch --interval 10s",
            "load estimate --add-tokens x:user:4",
            "load estimate --add-collection x:search:5000",
            "alerts list --state open --since 7d",
            "alerts acknowledge alr_1 --comment seen",
            "alerts watch --output jsonl",
            "networks show x",
            "apps list",
            "apps top-up x/default --class posts --units 100",
            "audit list --action token. --since 24h",
            "audit statement tok_1",
            "--server https://broker:7070 --key-file key team list",
        ];
        for line in lines {
            let command = try_parse(line).map(command_of);
            assert!(matches!(command, Ok(Command::Client(_))), "{line}: {:?}", command.err());
        }
    }

    #[test]
    fn local_commands_are_told_apart() {
        let lines = [
            "serve --config broker.toml --listen 127.0.0.1:0",
            "demo --duration 30s --seed 7 --speed 60 --output json",
            "simulate --network x --network youtube",
            "config check --config broker.toml",
            "config example",
            "doctor",
            "completions zsh",
        ];
        for line in lines {
            let command = try_parse(line).map(command_of);
            assert!(matches!(command, Ok(Command::Local(..))), "{line}");
        }
        let Ok(Command::Local(LocalCommand::Demo(demo), output)) = try_parse(lines[1]).map(command_of) else {
            panic!("demo is a local command");
        };
        assert_eq!(demo.duration, Some(std::time::Duration::from_secs(30)));
        assert_eq!((demo.seed, demo.speed, output.output), (Some(7), Some(60), Format::Json));
    }

    #[test]
    fn wrong_usage_says_what_was_meant() {
        let cases = [
            ("token lst", "'list'"),
            ("token list --status expird", "'expired'"),
            ("lease acquire --network x --operation search --purpose colect_content", "'collect_content'"),
            ("token list --stat live", "'--state"),
            ("lease acquire --network x", "--operation"),
            ("load estimate", "--add-"),
            ("token pause", "<TOKEN>"),
            ("audit list --since yesterday", "2026-01-31"),
            ("apps top-up x/default --class posts --units 0", "1.."),
        ];
        for (line, expected) in cases {
            let Err(error) = try_parse(line) else { panic!("{line} was understood") };
            assert!(error.to_string().contains(expected), "{line}: {error}");
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn completions_know_the_commands() {
        for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish] {
            let mut script = Vec::new();
            completions(&CompletionsArgs { shell }, &mut script);
            let script = String::from_utf8(script).expect("text");
            assert!(script.contains("invalidate") && script.contains("no_expiry"), "{shell}");
        }
    }
}
