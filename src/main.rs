//! The `token-broker` program: reads the command line and runs what it asks for.

use std::process::ExitCode;

use token_broker::app;
use token_broker::cli::{self, Command, ConfigCommand, Format, LocalCommand, OutputOptions, ServeArgs};
use token_broker::config::{self, Config};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where `simulate` listens unless told otherwise.
const SIMULATE_LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 7080);

fn main() -> ExitCode {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("error: another TLS provider was installed first; this build is broken");
        return ExitCode::FAILURE;
    }
    let command = cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads can be started ({error}); raise the limits of this user");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(run(command))
}

async fn run(command: Command) -> ExitCode {
    let outcome = match command {
        Command::Client(command) => return cli::run(*command).await,
        Command::Local(local, output) => run_local(local, output).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run_local(local: LocalCommand, output: OutputOptions) -> anyhow::Result<ExitCode> {
    match local {
        LocalCommand::Serve(arguments) => app::serve(serve_options(arguments), environment()).await?,
        LocalCommand::Demo(arguments) => {
            let json = !matches!(output.output, Format::Table);
            return app::demo::run(app::demo::DemoOptions {
                duration: arguments.duration,
                seed: arguments.seed,
                speed: arguments.speed,
                json,
            })
            .await;
        }
        LocalCommand::Simulate(arguments) => {
            let listen = arguments.listen.unwrap_or(SIMULATE_LISTEN.into());
            let (seed, speed) = (arguments.seed.unwrap_or(1), arguments.speed.unwrap_or(1));
            app::simulate(listen, &arguments.networks, seed, speed).await?;
        }
        LocalCommand::Config(ConfigCommand::Example) => print!("{}", config::EXAMPLE),
        LocalCommand::Config(ConfigCommand::Check(file)) => {
            Config::load(file.config.as_deref(), environment(), &[])?;
            println!("the configuration has no mistakes");
        }
        LocalCommand::Doctor(arguments) => {
            let dir = |dir: std::path::PathBuf| ("store.dir".to_owned(), toml_text(&dir.display().to_string()));
            let overrides: Vec<_> = arguments.data_dir.map(dir).into_iter().collect();
            let config = Config::load(arguments.config.as_deref(), environment(), &overrides)?;
            return app::doctor(&config).await;
        }
        LocalCommand::Completions(arguments) => cli::completions(&arguments, &mut std::io::stdout()),
    }
    Ok(ExitCode::SUCCESS)
}

fn serve_options(arguments: ServeArgs) -> app::ServeOptions {
    let ServeArgs { config, listen, http_listen, data_dir } = arguments;
    let listen = listen.map(|address| ("grpc.listen".to_owned(), toml_text(&address.to_string())));
    let http = http_listen.map(|address| ("http.listen".to_owned(), toml_text(&address.to_string())));
    let dir = data_dir.map(|dir| ("store.dir".to_owned(), toml_text(&dir.display().to_string())));
    app::ServeOptions { config, overrides: [listen, http, dir].into_iter().flatten().collect() }
}

/// A text as a TOML value.
fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The environment, read once.
fn environment() -> Vec<(String, String)> {
    std::env::vars().collect()
}
