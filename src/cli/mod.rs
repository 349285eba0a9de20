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
mod connection;
mod consent;
mod dead_letter;
mod destination;
mod failure;
mod import;
mod incident;
mod job;
mod json;
mod key;
mod keys;
mod lease;
mod load;
mod local;
mod member;
mod names;
mod networks;
mod notice;
mod options;
mod profile;
mod push;
mod report;
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

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use self::audit::{ExportArgs, LocalAuditCommand, VerifyArgs};
pub use self::failure::Exit;
pub use self::local::{CompletionsArgs, ConfigCommand, ConfigFile, DemoArgs, LocalCommand, ServeArgs, SimulateArgs};
pub use self::options::{OutputOptions, StoreArgs};
pub use self::report::{EventWriter, show_findings, show_mistakes, show_simulation, show_text};
pub use self::terminal::{ColorChoice, Format};

use self::failure::{EXIT_CODES, Failure};
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
    /// Audit: what happened, who did it, and what a token was used for.
    #[command(subcommand)]
    Audit(audit::AuditNoun),
}

#[derive(Subcommand)]
enum Noun {
    /// Teams: the tenants that own tokens and collectors.
    #[command(subcommand)]
    Team(team::TeamCommand),
    /// Collectors: the programs that collect for a team, and their keys.
    #[command(subcommand)]
    Collector(collector::CollectorCommand),
    /// Jobs: something that is done for many tokens, such as renewing all.
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Members: the people of a team, and the invitations by which they join.
    #[command(subcommand)]
    Member(member::MemberCommand),
    /// Profiles: who is told of one, who administers it, and who can renew its token.
    #[command(subcommand)]
    Profile(profile::ProfileCommand),
    /// Consents: what persons agreed to, and what they take back.
    #[command(subcommand)]
    Consent(consent::ConsentCommand),
    /// Keys of operators.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Sealing key: what the store is sealed with, and its rotation.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Tokens: the grants that the broker holds.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Connections: accounts that people connect in a browser.
    #[command(subcommand)]
    Connection(connection::ConnectionCommand),
    /// Leases: a worker's life by hand.
    #[command(subcommand)]
    Lease(lease::LeaseCommand),
    /// Load: how much teams collect, compared with what their tokens can carry.
    #[command(subcommand)]
    Load(load::LoadCommand),
    /// Alerts: token load too high, no access tokens.
    #[command(subcommand)]
    Alerts(alerts::AlertsCommand),
    /// Notices: what members are told and chose to hear, and the tokens that they are to mend.
    #[command(subcommand)]
    Notice(notice::NoticeCommand),
    /// Push messages: members' phones and browsers that are told of notices.
    #[command(subcommand)]
    Push(push::PushCommand),
    /// Destinations: mail addresses, chats and webhooks where a whole team is told.
    #[command(subcommand)]
    Destination(destination::DestinationCommand),
    /// Dead letters: messages to people that could not be sent and were given up.
    #[command(subcommand)]
    DeadLetter(dead_letter::DeadLetterCommand),
    /// Incidents: a network's reset, a disabled app, an outage.
    #[command(subcommand)]
    Incident(incident::IncidentCommand),
    /// Networks: the catalogue of kinds, limits and operations.
    #[command(subcommand)]
    Networks(networks::NetworksCommand),
    /// Apps: our registrations at the networks.
    #[command(subcommand)]
    Apps(apps::AppsCommand),
    /// Parsed with what is read out of the store.
    #[command(skip)]
    Audit(audit::AuditCommand),
}

/// Reads the arguments of the process. Wrong usage, `--help` and `--version` end the process here.
pub fn parse() -> Command {
    let mut command = tree();
    let matches = command.clone().get_matches();
    let read = Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command));
    let arguments = read.unwrap_or_else(|error| error.exit());
    if let Err(wrong) = arguments.connection.check() {
        command.error(clap::error::ErrorKind::ArgumentConflict, wrong).exit();
    }
    command_of(arguments)
}

/// All commands with their options. Those that talk to no broker don't show how to reach one.
fn tree() -> clap::Command {
    let command = Arguments::command();
    let is_local = |name: &str| LocalCommand::has_subcommand(name);
    let to_hide: Vec<_> = command
        .get_arguments()
        .filter(|one| one.get_help_heading() == Some(options::CONNECTION))
        .map(|one| one.clone().hide(true))
        .collect();
    let hide = |one: clap::Command, is_local: bool| if is_local { one.args(&to_hide) } else { one };
    let of_audit = |one: clap::Command| {
        let is_local = audit::LocalAuditCommand::has_subcommand(one.get_name());
        hide(one, is_local)
    };
    command.mut_subcommand("audit", |audit| audit.mut_subcommands(of_audit)).mut_subcommands(|one| {
        let is_local = is_local(one.get_name());
        hide(one, is_local)
    })
}

fn command_of(arguments: Arguments) -> Command {
    let Arguments { action, output, connection } = arguments;
    let noun = match action {
        Action::Local(local) => return Command::Local(local, output),
        Action::Audit(audit::AuditNoun::Local(local)) => return Command::Local(LocalCommand::Audit(local), output),
        Action::Audit(audit::AuditNoun::Client(command)) => Noun::Audit(command),
        Action::Client(noun) => noun,
    };
    Command::Client(Box::new(ClientCommand { noun, connection, output }))
}

/// The script that completes commands and options.
pub fn completions(arguments: &CompletionsArgs) -> String {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut tree(), "token-broker", &mut script);
    String::from_utf8_lossy(&script).into_owned()
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
    let mut session =
        Session::new(client, terminal, connection.team.clone(), connection.request_id.clone(), connection.timeout);
    match act(noun, &mut session).await.map_err(|failure| failure.at_server(&connection.server)) {
        Err(failure) if !failure.is_broken_pipe() => {
            session.terminal.failure(&failure);
            Err(failure.exit())
        }
        _ => Ok(()),
    }
}

async fn open(connection: &ConnectionOptions, terminal: &mut Terminal) -> Result<Client, Failure> {
    let settings = connection.settings()?;
    if let Some(path) = connection.exposed_key_file() {
        let path = path.display();
        terminal.notice(&format!("warning: others can read the key in {path}; keep them out with `chmod 600 {path}`"));
    }
    if settings.key.is_some() && connection.sends_key_in_the_clear() {
        terminal.notice("warning: the key travels unencrypted; use https:// where others share the network");
    }
    Ok(client::connect(&settings).await?)
}

async fn act(noun: Noun, session: &mut Session) -> Result<(), Failure> {
    match noun {
        Noun::Team(command) => team::run(command, session).await,
        Noun::Collector(command) => collector::run(command, session).await,
        Noun::Job(command) => job::run(command, session).await,
        Noun::Member(command) => member::run(command, session).await,
        Noun::Profile(command) => profile::run(command, session).await,
        Noun::Consent(command) => consent::run(command, session).await,
        Noun::Key(command) => key::run(command, session).await,
        Noun::Keys(command) => keys::run(command, session).await,
        Noun::Token(command) => token::run(command, session).await,
        Noun::Connection(command) => connection::run(command, session).await,
        Noun::Lease(command) => lease::run(command, session).await,
        Noun::Load(command) => load::run(command, session).await,
        Noun::Alerts(command) => alerts::run(command, session).await,
        Noun::Notice(command) => notice::run(command, session).await,
        Noun::Push(command) => push::run(command, session).await,
        Noun::Destination(command) => destination::run(command, session).await,
        Noun::DeadLetter(command) => dead_letter::run(command, session).await,
        Noun::Incident(command) => incident::run(command, session).await,
        Noun::Networks(command) => networks::run(command, session).await,
        Noun::Apps(command) => apps::run(command, session).await,
        Noun::Audit(command) => audit::run(command, session).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_parse(line: &str) -> Result<Arguments, clap::Error> {
        let matches = tree().try_get_matches_from(std::iter::once("token-broker").chain(line.split_whitespace()))?;
        Arguments::from_arg_matches(&matches)
    }

    #[test]
    fn the_commands_are_consistent() {
        tree().debug_assert();
    }

    #[test]
    fn commands_that_talk_to_no_broker_do_not_show_how_to_reach_one() {
        let help = |line: &str| try_parse(&format!("{line} --help")).err().expect("help ends the parsing").to_string();
        for line in
            ["serve", "demo", "simulate", "config check", "config example", "doctor", "admin-key", "completions"]
        {
            assert!(!help(line).contains("--server"), "{line}");
        }
        for line in ["audit verify", "audit export"] {
            assert!(!help(line).contains("--server"), "{line}");
        }
        for line in ["", "token list", "load show", "audit list"] {
            assert!(help(line).contains("--server") && help(line).contains("--key-file"), "{line}");
        }
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
            "member invite ada@example.com --role owner --team acme --time-zone Europe/Vienna",
            "member list --state invited",
            "member update mem_1 --mail ada@example.org --language pt-BR",
            "member resend ada@example.com",
            "member remove ada@example.com --comment left",
            "member departure mem_1",
            "profile managers facebook_page 112233",
            "profile update x 1 --owner mem_1 --admin mem_2",
            "consent show tok_1",
            "consent withdraw tok_1 --purpose publish",
            "member sessions ada@example.com --limit 5",
            "member sign-out mem_1 ses_1",
            "member withdraw mem_1 --comment mistaken",
            "key create --role reader",
            "key revoke key_1 --comment lost",
            "key revoke-value --value-from env:LEAKED",
            "keys show",
            "keys rotate --no-wait",
            "token add --network x --kind user --fact engaged_users=5 --access-expires 60d",
            "token import tokens.csv --dry-run --update",
            "token list --status no_expiry --state live -t -",
            "token pause tok_1 tok_2 --comment holiday",
            "token renew tok_1 tok_2",
            "token invalidate tok_1 --reason password_changed",
            "token update tok_1 --scope a --scope b",
            "connection start --network x --kind user --purpose collect-content --member ann",
            "connection start --token tok_1 --allow-other-account",
            "connection list --stage choosing",
            "connection complete con_1 --text-version 2026-11 --profile 7 --profile 8",
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
            "notice list ada@example.com --unread --limit 3",
            "notice read mem_1 evt_1 evt_2",
            "notice read mem_1 --through evt_1",
            "notice watch mem_1 --output jsonl",
            "notice settings mem_1 --on token_expired:mail:12 --off token_connected:web_push --quiet-hours 22:00-07:30",
            "notice settings mem_1 --reset --no-quiet-hours",
            "notice at-risk ada@example.com",
            "destination create webhook --target-from url --signing-secret-from env:SECRET --notice-kind token_expired",
            "destination list --limit 5",
            "destination show dst_1",
            "destination update dst_1 --display-name Ops",
            "destination delete dst_1",
            "destination test dst_1",
            "push key",
            "push subscribe ada@example.com --from subscription.json --display-name phone",
            "push list ada@example.com --limit 2",
            "push unsubscribe ada@example.com psh_1",
            "dead-letter list",
            "dead-letter replay out_1 out_2",
            "dead-letter purge out_1",
            "incident list --open --network x",
            "incident show inc_1",
            "incident acknowledge inc_1 --comment seen",
            "incident close inc_1 --outcome lost",
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
            "audit verify --data-dir data --anchor 7:0000000000000000000000000000000000000000000000000000000000000000",
            "audit export --after 17",
            "admin-key --data-dir data",
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
            ("connection start --network x --kind user", "--purpose"),
            ("token pause", "<TOKEN>"),
            ("notice read mem_1", "<NOTICES>"),
            ("notice settings mem_1 --on token_expired", "KIND:CHANNEL"),
            ("notice settings mem_1 --quiet-hours 25:00-1", "22:00-07:30"),
            ("dead-letter replay", "<MESSAGES>"),
            ("audit list --since yesterday", "2026-01-31"),
            ("audit verify --anchor 17", "an anchor is"),
            ("apps top-up x/default --class posts --units 0", "not 0"),
            ("team create acme --weight 0", "1..=1000"),
            ("team create acme --reserve-percent -5", "0..=90"),
            ("lease acquire --network x --operation o --purpose publish --calls -1", "1..=1000000"),
            ("lease report lse_1 --sequence 0", "1.."),
            ("simulate --speed 0", "1.."),
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
            let script = completions(&CompletionsArgs { shell });
            assert!(script.contains("invalidate") && script.contains("no_expiry"), "{shell}");
        }
    }
}
