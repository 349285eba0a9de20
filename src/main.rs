//! The `token-broker` program: reads the command line and runs what it asks for.

use std::path::Path;
use std::process::ExitCode;

use token_broker::app;
use token_broker::cli::{
    self, Command, ConfigCommand, EventWriter, ExportArgs, Format, LocalAuditCommand, LocalCommand, OutputOptions,
    ServeArgs, SimulateArgs, StoreArgs, VerifyArgs,
};
use token_broker::config::{self, Config, ConfigErrors};
use token_broker::store::{Finding, Severity};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Err(error) = app::forbid_core_dumps() {
        eprintln!("error: core dumps, which would hold secrets, can't be forbidden ({error})");
        return ExitCode::FAILURE;
    }
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
            let cli::DemoArgs { duration, seed, speed } = arguments;
            let options = app::demo::DemoOptions { duration, seed, speed, json };
            if let Some(mistake) = options.mistake() {
                eprintln!("error: {mistake}");
                return Ok(ExitCode::from(cli::Exit::Usage as u8));
            }
            return app::demo::run(options).await;
        }
        LocalCommand::Simulate(arguments) => {
            let SimulateArgs { listen, networks, catalogue, catalogue_out, persons, seed, speed, faults } = arguments;
            let options =
                app::SimulateOptions { listen, catalogue, catalogue_out, networks, seed, speed, persons, faults };
            app::simulate(options, |simulated| cli::show_simulation(simulated, output)).await?;
        }
        LocalCommand::Config(ConfigCommand::Example) => cli::show_text(config::EXAMPLE, output)?,
        LocalCommand::Config(ConfigCommand::Check(file)) => {
            let errors = app::load_config(file.config.as_deref(), environment(), &[]).err();
            cli::show_mistakes(errors.as_ref(), output)?;
            return Ok(if errors.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        LocalCommand::Doctor(arguments) => {
            return show_findings(&app::doctor(&store_config(arguments)?).await?, output);
        }
        LocalCommand::Audit(LocalAuditCommand::Verify(VerifyArgs { store, anchor })) => {
            return show_findings(&app::verify_audit(&store_config(store)?, anchor).await?, output);
        }
        LocalCommand::Audit(LocalAuditCommand::Export(ExportArgs { store, after })) => {
            let mut writer = EventWriter::new(output);
            app::export_audit(&store_config(store)?, after, |event| writer.write(event)).await?;
            writer.finish()?;
        }
        LocalCommand::AdminKey(arguments) => app::make_admin_key(store_config(arguments)?).await?,
        LocalCommand::Completions(arguments) => cli::show_text(&cli::completions(&arguments), output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show_findings(findings: &[Finding], output: OutputOptions) -> anyhow::Result<ExitCode> {
    cli::show_findings(findings, output)?;
    let is_sound = findings.iter().all(|finding| finding.severity != Severity::Error);
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn serve_options(arguments: ServeArgs) -> app::ServeOptions {
    let ServeArgs { config, listen, http_listen, data_dir } = arguments;
    let listen = listen.map(|address| ("grpc.listen".to_owned(), toml_text(&address.to_string())));
    let http = http_listen.map(|address| ("http.listen".to_owned(), toml_text(&address.to_string())));
    let dir = data_dir.as_deref().map(store_dir);
    app::ServeOptions { config, overrides: [listen, http, dir].into_iter().flatten().collect() }
}

fn store_config(arguments: StoreArgs) -> Result<Config, ConfigErrors> {
    let overrides: Vec<_> = arguments.data_dir.as_deref().map(store_dir).into_iter().collect();
    app::load_config(arguments.config.as_deref(), environment(), &overrides)
}

/// `--data-dir` as a setting.
fn store_dir(dir: &Path) -> (String, String) {
    ("store.dir".to_owned(), toml_text(&dir.display().to_string()))
}

/// A text as a TOML value.
fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The environment, read once.
fn environment() -> Vec<(String, String)> {
    std::env::vars().collect()
}
