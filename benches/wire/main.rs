//! What a call costs on the wire: the broker beside a bare tonic echo with messages of the same size.
//!
//! The servers run in child processes with one worker each, and their CPU is read from the kernel; the load runs here, on the
//! other core. Rounds of the different measurements alternate, so that a busy machine is busy for all of them, and medians count.
//!
//! * `bare`, `echo`, `report`: 8 connections × 10 calls in flight. `bare` is the echo as tonic serves it by itself, on a
//!   current-thread runtime; `echo` the same behind the broker's listener with its limits, deadlines, request ids and log; `report`
//!   the broker as the program serves it, metrics included: each report settles one call and is granted one more.
//! * `collect`: 8 streams × 64 reports in flight of the same content.
//! * `acquire`: 64 callers; each lease is durable (SQLite on this disk, `synchronous=FULL`) and audited before the answer, and
//!   is released, with its report, while the next one is acquired.
//!
//! Targets: a report costs at most 1/0.85 of the echo's CPU; at least 5 × as many reports over Collect as one by one; at least
//! 10,000 leases/s where an fsync takes at most 1 ms, else at least 32 leases per commit.

#![expect(clippy::type_complexity, reason = "a table of functions reads better in place")]
#![expect(clippy::await_holding_refcell_ref, reason = "one thread, and no other task borrows it")]

mod child;
mod echo;
#[path = "../ground/mod.rs"]
mod ground;
mod load;
mod server;

use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use tokio::task::{JoinSet, LocalSet};

use child::Child;
use ground::{Table, stopwatch, write_json};
use load::{Connection, Held, Meter, Sample, measure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 12;
const CONNECTIONS: usize = 8;
const CALLS_PER_CONNECTION: usize = 10;
const REPORTS_PER_STREAM: usize = 64;
const CALLERS: usize = 64;
/// How long each round of each measurement is counted.
const SPAN: Duration = Duration::from_millis(500);
/// An end to everything, should a server hang.
const LIMIT: Duration = Duration::from_secs(120);
/// Fsyncs per probe of the disk.
const PROBES: usize = 16;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    if let (Some(role), Some(dir)) = (arguments.next(), arguments.next()) {
        return server::run(&role, Path::new(&dir));
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let dir = tempfile::Builder::new().prefix("wire-").tempdir_in(folder)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let all = async { tokio::time::timeout(LIMIT, run(dir.path())).await? };
    let rounds = LocalSet::new().block_on(&runtime, all)?;
    print(&rounds);
    Ok(())
}

/// One round of everything.
struct Round {
    bare: Sample,
    echo: Sample,
    report: Sample,
    collect: Sample,
    acquire: Sample,
    fsync_ms: f64,
}

async fn run(dir: &Path) -> anyhow::Result<Vec<Round>> {
    let mut bare = Server::start("bare", dir).await?;
    let mut echo = Server::start("echo", dir).await?;
    let mut broker = Server::start("broker", dir).await?;
    for server in [&mut bare, &mut echo] {
        let names = (0..CONNECTIONS * CALLS_PER_CONNECTION).map(|number| format!("leases/lse_{number:032x}"));
        server.held = names.map(held).collect();
    }
    for _ in 0..CONNECTIONS * CALLS_PER_CONNECTION {
        let lease = broker.connections[0].acquire(1).await?;
        broker.held.push(held(lease));
    }
    let mut streams = Vec::new();
    for connection in &broker.connections {
        let mut leases = Vec::new();
        for _ in 0..REPORTS_PER_STREAM {
            leases.push(Held { name: connection.acquire(1).await?, sequence: 0 });
        }
        streams.push(Rc::new(RefCell::new(leases)));
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(Round {
            bare: bare.reports().await?,
            echo: echo.reports().await?,
            report: broker.reports().await?,
            collect: broker.streams(&streams).await?,
            fsync_ms: fsync_ms(dir)?,
            acquire: broker.acquires().await?,
        });
    }
    Ok(rounds)
}

fn held(name: String) -> Rc<RefCell<Held>> {
    Rc::new(RefCell::new(Held { name, sequence: 0 }))
}

/// A server with the connections to it and the leases that are reported on.
struct Server {
    child: Child,
    connections: Vec<Rc<Connection>>,
    held: Vec<Rc<RefCell<Held>>>,
}

impl Server {
    async fn start(role: &str, dir: &Path) -> anyhow::Result<Self> {
        let child = Child::start(role, dir)?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(&child).await?);
        }
        Ok(Self { child, connections, held: Vec::new() })
    }

    async fn reports(&mut self) -> anyhow::Result<Sample> {
        let (meter, mut workers) = (Rc::new(Meter::default()), JoinSet::new());
        for (connection, held) in self.connections.iter().cycle().zip(&self.held) {
            workers.spawn_local(load::report(connection.clone(), held.clone(), meter.clone()));
        }
        measure(&mut self.child, SPAN, meter, workers).await
    }

    async fn streams(&mut self, streams: &[Rc<RefCell<Vec<Held>>>]) -> anyhow::Result<Sample> {
        let (meter, mut workers) = (Rc::new(Meter::default()), JoinSet::new());
        for (connection, leases) in self.connections.iter().zip(streams) {
            workers.spawn_local(load::collect(connection.clone(), leases.clone(), meter.clone()));
        }
        measure(&mut self.child, SPAN, meter, workers).await
    }

    async fn acquires(&mut self) -> anyhow::Result<Sample> {
        let (meter, mut workers) = (Rc::new(Meter::default()), JoinSet::new());
        for connection in self.connections.iter().cycle().take(CALLERS) {
            workers.spawn_local(load::acquire(connection.clone(), meter.clone()));
        }
        measure(&mut self.child, SPAN, meter, workers).await
    }
}

/// The median of what appending 4 KiB to a file of this disk takes until it is durable.
fn fsync_ms(dir: &Path) -> anyhow::Result<f64> {
    let mut file = std::fs::File::create(dir.join("probe"))?;
    let mut took = Vec::with_capacity(PROBES);
    for _ in 0..PROBES {
        let mut written = Ok(());
        let span = stopwatch(|| written = file.write_all(&[7; 4096]).and_then(|()| file.sync_data()));
        written?;
        took.push(span.0.as_secs_f64() * 1000.0);
    }
    Ok(median(took))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print(rounds: &[Round]) {
    let of = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let mut table = Table::new(&["", "answers/s", "server CPU µs", "answers per CPU-second"]);
    let mut measured = serde_json::Map::new();
    let samples: [(&str, fn(&Round) -> &Sample); 5] = [
        ("bare", |round| &round.bare),
        ("echo", |round| &round.echo),
        ("report", |round| &round.report),
        ("collect", |round| &round.collect),
        ("acquire", |round| &round.acquire),
    ];
    for (name, sample) in samples {
        let rate = of(&|round| sample(round).rate);
        let cpu_us = of(&|round| sample(round).cpu_us);
        let per_cpu_second = of(&|round| sample(round).per_cpu_second);
        table.row(&[name, &format!("{rate:.0}"), &format!("{cpu_us:.2}"), &format!("{per_cpu_second:.0}")]);
        let figures = json!({ "per_s": rate, "server_cpu_us": cpu_us, "per_cpu_second": per_cpu_second });
        measured.insert(name.to_owned(), figures);
    }
    println!("\n{table}");
    let verdicts = verdicts(&of);
    for (text, met) in verdicts.iter().map(|verdict| (&verdict.text, verdict.met)) {
        println!("{} {text}", if met { "met:   " } else { "MISSED:" });
    }
    let targets = verdicts.iter().map(|verdict| {
        json!({ "name": verdict.name, "measured": verdict.measured, "target": verdict.target, "met": verdict.met })
    });
    let extra = json!({
        "fsync_ms": of(&|round| round.fsync_ms),
        "leases_per_commit": of(&|round| round.acquire.per_commit),
        "acquire_p50_ms": of(&|round| round.acquire.latency_ms.0),
        "acquire_p99_ms": of(&|round| round.acquire.latency_ms.1),
    });
    let targets: Vec<_> = targets.collect();
    write_json("wire", &json!({ "rounds": rounds.len(), "measured": measured, "disk": extra, "targets": targets }));
}

/// A target and what was measured.
struct Verdict {
    name: &'static str,
    measured: f64,
    target: f64,
    met: bool,
    text: String,
}

fn verdicts(of: &dyn Fn(&dyn Fn(&Round) -> f64) -> f64) -> [Verdict; 3] {
    let verdict =
        |name, measured: f64, target: f64, text| Verdict { name, measured, target, met: measured >= target, text };
    let report = of(&|round| round.report.per_cpu_second / round.bare.per_cpu_second);
    let report_to_echo = of(&|round| round.report.per_cpu_second / round.echo.per_cpu_second);
    let collect = of(&|round| round.collect.rate / round.report.rate);
    let collect_cpu = of(&|round| round.collect.per_cpu_second / round.report.per_cpu_second);
    let (fsync, rate, per_commit) =
        (of(&|round| round.fsync_ms), of(&|round| round.acquire.rate), of(&|round| round.acquire.per_commit));
    let (p50, p99) = (of(&|round| round.acquire.latency_ms.0), of(&|round| round.acquire.latency_ms.1));
    let disk =
        format!("{rate:.0} leases/s, {per_commit:.1} per commit, {p50:.1} ms (p99 {p99:.1} ms), fsync {fsync:.2} ms");
    let durable = match fsync <= 1.0 {
        true => verdict("acquire_per_s", rate, 10_000.0, format!("acquire: {disk}; target 10,000 leases/s")),
        false => verdict("acquire_per_commit", per_commit, 32.0, format!("acquire: {disk}; target 32 per commit")),
    };
    [
        verdict(
            "report_to_echo",
            report,
            0.85,
            format!(
                "report: {report:.2} of a bare echo's calls per CPU-second, {report_to_echo:.2} of those of an echo behind \
                 the same listener; target 0.85"
            ),
        ),
        verdict(
            "collect_to_report",
            collect,
            5.0,
            format!(
                "collect: {collect:.1} × the reports/s of single calls ({collect_cpu:.1} × per CPU-second); target 5"
            ),
        ),
        durable,
    ]
}
