//! `serve`: starts the broker, says where it listens, and stops it in order.
//!
//! Start: configuration → log → catalogue → store → keys → pools → listeners. Stop: not ready → no new connections, calls in
//! work finish → what was decided reaches the store, free credit goes back → the store closes. Every step is bounded. The
//! first admin key is shown before anything listens: whatever fails then, it is not lost.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::SignalKind;

use crate::app::admin_key::show_admin_key;
use crate::app::observer::CallMetrics;
use crate::app::open::{Opened, close, open};
use crate::app::services::services;
use crate::app::settings::load_config;
use crate::base::clock::SystemClock;
use crate::base::ids::ProcessId;
use crate::base::secret::Secret;
use crate::base::tasks::Tasks;
use crate::config::{self, ByteSize, Config};
use crate::grpc::call::Deadlines;
use crate::grpc::listener::{ClientAuthority, GrpcServer, Limits, Listen, Tls};
use crate::service::Broker;
use crate::telemetry::{install_panic_hook, start_log};
use crate::web::callbacks::routes as callback_routes;
use crate::web::clients::routes as client_routes;
use crate::web::connect::routes as connect_routes;
use crate::web::console;
use crate::web::health::{NotReady, Probes, routes as health_routes};
use crate::web::page::pages;
use crate::web::server::{HttpLimits, HttpServer};
use crate::web::sign_in;

/// How often the clock follows the wall clock, and by how much at most.
const SLEW_EVERY: Duration = Duration::from_secs(1);
const SLEW_STEP: Duration = Duration::from_millis(1);
/// After so many of these steps it is noted where the clock stands.
const STEPS_PER_NOTE: u32 = 60;
/// A wall clock that has moved further than this away is told to the operator.
const SKEW_WORTH_TELLING: Duration = Duration::from_secs(5);

/// What `serve` was told on the command line; each goes before the environment and the file.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// Settings, by `section.key`.
    pub overrides: Vec<(String, String)>,
}

/// A broker that serves.
pub struct Running {
    /// The broker.
    pub broker: Broker,
    /// The gRPC listener.
    pub grpc: GrpcServer,
    /// The HTTP listener.
    pub http: HttpServer,
    /// The background tasks.
    pub tasks: Tasks,
    /// Set once the process is about to stop.
    stopping: Arc<AtomicBool>,
}

/// Runs a broker until it is told to stop.
pub async fn serve(options: ServeOptions, environment: Vec<(String, String)>) -> anyhow::Result<()> {
    let config = load_config(options.config.as_deref(), environment, &options.overrides)?;
    start_log(&config.log)?;
    install_panic_hook();
    let clock = Arc::new(SystemClock::start());
    let drain = config.grpc.drain;
    let mut opened = open(config, clock.clone()).await?;
    if let Some(key) = opened.first_key.take() {
        show_admin_key("First admin key", &key)?;
    }
    // Whoever reads that it serves may stop it at once.
    let told_to_stop = until_told_to_stop();
    let running = listen(opened).await?;
    follow_wall_clock(clock, &running);
    tracing::info!(grpc = %running.grpc.local_addr(), http = %running.http.local_addr(), "the broker serves");
    until_stopped(&running, told_to_stop).await;
    tracing::info!("stopping: calls in work may finish");
    stop(running, drain).await
}

/// Lets collectors, operators and probes reach a broker.
pub async fn listen(opened: Opened) -> anyhow::Result<Running> {
    let Opened { broker, tasks, .. } = opened;
    let stopping = Arc::new(AtomicBool::new(false));
    let grpc = start_grpc(&broker, &tasks)?;
    let http = start_http(&broker, &tasks, &stopping).await?;
    Ok(Running { broker, grpc, http, tasks, stopping })
}

// Sections are taken apart without `..`: a setting that nothing reads does not compile.

fn start_grpc(broker: &Broker, tasks: &Tasks) -> anyhow::Result<GrpcServer> {
    let config::Grpc {
        listen,
        workers,
        reflection,
        tls: _,
        insecure_plaintext: _,
        deadline: _,
        require_deadline: _,
        drain: _,
        limits: _,
    } = &broker.config.grpc;
    let listen = Listen {
        address: *listen,
        workers: *workers,
        limits: limits(&broker.config),
        tls: read_tls(&broker.config)?,
        clock: broker.clock.clone(),
        observer: Arc::new(CallMetrics::new(&broker.metrics)),
        seed: u64::try_from(ProcessId::generate().as_u128() & u128::from(u64::MAX)).unwrap_or_default(),
    };
    Ok(GrpcServer::start(listen, || services(broker, tasks, *reflection))?)
}

async fn start_http(broker: &Broker, tasks: &Tasks, stopping: &Arc<AtomicBool>) -> anyhow::Result<HttpServer> {
    let (metrics, watched, stopping) = (broker.metrics.clone(), broker.clone(), stopping.clone());
    let probes = Probes {
        metrics: Box::new(move || metrics.render()),
        not_ready: Box::new(move || not_ready(&watched, &stopping)),
    };
    let config::Http { listen, max_connections, header_timeout, public_url, trusted_proxies: _ } = &broker.config.http;
    if broker.config.sign_in.oidc.is_some() {
        anyhow::ensure!(
            cfg!(feature = "oidc"),
            "sign_in.oidc.issuer needs a program that was built with OpenID Connect (`cargo build --features oidc`); use that one, or remove the \
             setting"
        );
        anyhow::ensure!(
            public_url.is_some(),
            "sign_in.oidc.issuer needs http.public_url: the provider sends browsers back there; set it"
        );
    }
    let mut routes = health_routes(probes);
    if public_url.is_some() {
        routes = routes.merge(pages(sign_in::routes(broker.clone()).merge(console::routes(broker.clone()))));
    }
    let limits = HttpLimits { connections: *max_connections, header_timeout: *header_timeout, ..HttpLimits::default() };
    routes = routes.merge(connect_routes(broker.clone())).merge(callback_routes(broker.clone()));
    routes = routes.merge(client_routes(broker.clone()));
    let open = broker.metrics.connections("http");
    let started = HttpServer::start("http", *listen, limits, routes, open, tasks).await;
    started.with_context(|| format!("can't listen on {listen} for HTTP; stop what listens there, or set http.listen"))
}

/// Every reason why the broker can't do its work now.
fn not_ready(broker: &Broker, stopping: &AtomicBool) -> Vec<NotReady> {
    let mut reasons = Vec::new();
    if stopping.load(Ordering::Relaxed) {
        reasons.push(NotReady { part: "process", reason: "the process is about to stop".to_owned() });
    }
    if !broker.store.accepts_writes() {
        let reason = "the store accepts no changes; see the log, check the disk, restart the broker".to_owned();
        reasons.push(NotReady { part: "store", reason });
    }
    reasons
}

fn limits(config: &Config) -> Limits {
    let whole = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let bytes = |size: ByteSize| u32::try_from(size.as_u64()).unwrap_or(u32::MAX);
    let usual = Limits::default();
    let config::Limits {
        connections,
        connections_per_peer,
        accepts_per_second,
        handshake_timeout,
        preface_timeout,
        streams,
        calls,
        pending_resets,
        local_error_resets,
        header_list,
        keepalive,
        keepalive_timeout,
        connection_age,
        connection_age_grace,
    } = config.grpc.limits.clone();
    Limits {
        connections,
        connections_per_peer,
        accepts_per_second: whole(accepts_per_second),
        handshake_timeout,
        preface_timeout,
        streams: whole(streams),
        calls,
        pending_resets,
        local_error_resets,
        header_list: bytes(header_list),
        keepalive,
        keepalive_timeout,
        connection_age,
        connection_age_grace,
        drain: config.grpc.drain,
        deadlines: Deadlines { unary: config.grpc.deadline, required: config.grpc.require_deadline, ..usual.deadlines },
        ..usual
    }
}

fn read_tls(config: &Config) -> anyhow::Result<Option<Tls>> {
    let tls = &config.grpc.tls;
    let (Some(cert), Some(key)) = (&tls.cert, &tls.key) else { return Ok(None) };
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("'{}' can't be read", path.display()));
    let chain = read(cert)?;
    let key = Secret::new(String::from_utf8(read(key)?).context("grpc.tls.key must be a PEM file")?);
    let authority = tls.client_ca.as_deref().map(read).transpose()?;
    let optional = tls.client_certificates == config::ClientCertificates::Optional;
    let clients = authority.as_deref().map(|pem| ClientAuthority { pem, optional });
    Ok(Some(Tls::new(&chain, &key, clients)?))
}

fn follow_wall_clock(clock: Arc<SystemClock>, running: &Running) {
    let (stop, broker) = (running.tasks.clone(), running.broker.clone());
    running.tasks.spawn("clock", async move {
        let mut told = false;
        let mut steps = 0_u32;
        while !stop.is_stopping() {
            tokio::select! {
                () = tokio::time::sleep(SLEW_EVERY) => {}
                () = stop.stopped() => return,
            }
            let skew = clock.skew_micros();
            broker.metrics.set_clock_skew(skew);
            clock.slew(SLEW_STEP);
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(STEPS_PER_NOTE)
                && let Err(error) = broker.note_clock().await
            {
                tracing::warn!(%error, "where the clock stands could not be noted; it is tried again");
            }
            let far = Duration::from_micros(skew.unsigned_abs()) > SKEW_WORTH_TELLING;
            if far && !told {
                tracing::warn!(
                    skew_micros = skew,
                    "the machine's clock was moved; windows and leases go on by the old time, which follows slowly"
                );
            }
            told = far;
        }
    });
}

async fn until_stopped(running: &Running, told_to_stop: impl Future<Output = ()>) {
    tokio::select! {
        () = told_to_stop => {}
        () = running.grpc.failed() => tracing::error!("a worker of the gRPC listener ended; the process stops"),
        () = running.tasks.stopped() => {}
    }
}

/// Resolves when somebody asks the process to stop, from this call on.
pub(super) fn until_told_to_stop() -> impl Future<Output = ()> {
    let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()].map(asked_by);
    async move {
        tokio::select! {
            () = terminate => {}
            () = interrupt => {}
        }
    }
}

/// Resolves when that signal comes, from this call on; never if signals can't be received.
fn asked_by(kind: SignalKind) -> impl Future<Output = ()> {
    let signal = tokio::signal::unix::signal(kind);
    async move {
        match signal {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::error!(%error, "a signal to stop can't be received; end the process by another");
                std::future::pending().await
            }
        }
    }
}

/// Stops in order; no step takes longer than it may.
pub async fn stop(running: Running, drain: Duration) -> anyhow::Result<()> {
    let Running { broker, grpc, tasks, stopping, .. } = running;
    stopping.store(true, Ordering::Relaxed);
    if !grpc.drain().await {
        tracing::warn!("some calls did not finish in time and were cut off");
    }
    close(broker, tasks, drain).await?;
    tracing::info!("stopped");
    Ok(())
}
