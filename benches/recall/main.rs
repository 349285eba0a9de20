//! How long it takes until every collector knows that its token can't be used any more.
//!
//! 1,000 `Collect` streams of 16 collectors over loopback, each with a lease; the broker serves them in this process, with two workers, on
//! a store on this disk. Then, in turns:
//!
//! * `revoke`: all leases are on one token, and an operator calls RevokeToken.
//! * `dead`: all leases are on one token, and the report of one of them says that the network ended it.
//! * `incident`: the leases are on 100 persons' tokens, and the fifth report of a refused one makes an incident of them all.
//!
//! Each stream's time is taken from the acknowledgement of that call until the recall has arrived (a recall that comes before it counts
//! as 0), and from the moment at which the call was sent. Each holder acknowledges its recall at once, as it should. `ROUNDS` sets
//! how often each is done (5). Goals: p99 ≤ 100 ms from the acknowledgement, and from the call.

#[path = "../ground/mod.rs"]
mod ground;
mod holder;
mod server;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use ground::{Table, setting, write_json};
use holder::Holder;
use server::Server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const STREAMS: usize = 1_000;
const COLLECTORS: usize = 16;
const GOAL: Duration = Duration::from_millis(100);
/// From when the time is taken.
const FROM: [&str; 2] = ["acknowledgement", "call"];
/// An end to everything, should a recall not come.
const LIMIT: Duration = Duration::from_secs(300);
/// Persons behind an incident.
const PERSONS: usize = 100;
/// Refusals of so many persons' tokens are an incident.
const REFUSALS: usize = 5;
/// Answers of the bench's network: the person has changed the password, and an unexplained refusal.
const ENDED: (i32, &str) = (400, r#"{"error":"password_changed"}"#);
const REFUSED: (i32, &str) = (401, "{}");

/// What ends the leases.
#[derive(Debug, Clone, Copy)]
enum Cause {
    Revoke,
    Dead,
    Incident,
}

impl Cause {
    const ALL: [Cause; 3] = [Cause::Revoke, Cause::Dead, Cause::Incident];

    const fn as_str(self) -> &'static str {
        match self {
            Cause::Revoke => "revoke",
            Cause::Dead => "dead",
            Cause::Incident => "incident",
        }
    }

    /// The persons whose tokens are leased.
    const fn persons(self) -> usize {
        match self {
            Cause::Revoke | Cause::Dead => 1,
            Cause::Incident => PERSONS,
        }
    }

    /// The holders that learn of it by the answer to their own report.
    const fn reporters(self) -> usize {
        match self {
            Cause::Revoke => 0,
            Cause::Dead => 1,
            Cause::Incident => REFUSALS,
        }
    }
}

/// What was measured of one cause.
#[derive(Default)]
struct Times {
    from_ack: Vec<Duration>,
    from_call: Vec<Duration>,
}

fn main() -> anyhow::Result<ExitCode> {
    // Cargo runs a bench without a harness as a test, too: there is nothing to do then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(ExitCode::SUCCESS);
    }
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), COLLECTORS)?;
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = load.block_on(async { tokio::time::timeout(LIMIT, measure(&server)).await })??;
    server.stop();
    Ok(if show(measured) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(server: &Server) -> anyhow::Result<[Times; 3]> {
    let rounds = setting("ROUNDS").and_then(|text| text.parse().ok()).unwrap_or(5);
    let mut holders = Vec::with_capacity(STREAMS);
    for number in 0..STREAMS {
        let collector = number % COLLECTORS;
        holders.push(Holder::open(collector, server.collector(collector)).await?);
    }
    let mut measured = [Times::default(), Times::default(), Times::default()];
    for _ in 0..rounds {
        for (cause, times) in Cause::ALL.into_iter().zip(&mut measured) {
            holders = round(server, holders, cause, times).await?;
        }
    }
    Ok(measured)
}

/// Gives every holder a lease, ends them, and takes the time until all know.
async fn round(
    server: &Server,
    mut holders: Vec<Holder>,
    cause: Cause,
    times: &mut Times,
) -> anyhow::Result<Vec<Holder>> {
    let tokens = server.add_tokens(cause.persons()).await?;
    let mut acquires = Vec::with_capacity(holders.len());
    for (holder, token) in holders.iter_mut().zip(tokens.iter().cycle()) {
        acquires.push(holder.acquire(&token.profile));
    }
    futures_util::future::try_join_all(acquires).await?;
    let mut reported = holders.iter().map(Holder::lease).take(cause.reporters()).collect::<Vec<_>>();
    let last = reported.pop();
    let mut told = holders.split_off(cause.reporters());
    let mut waiting = tokio::task::JoinSet::new();
    for mut holder in told.drain(..) {
        waiting.spawn(async move {
            let arrived = holder.recalled().await?;
            anyhow::Ok((holder, arrived))
        });
    }
    // What is reported before the last report changes nothing for the others.
    for (collector, lease) in &reported {
        server.report(*collector, lease, REFUSED).await?;
    }
    let called = Instant::now();
    match (last, cause) {
        (None, _) => server.revoke(&tokens[0].name).await?,
        (Some((collector, lease)), Cause::Dead) => server.report(collector, &lease, ENDED).await?,
        (Some((collector, lease)), _) => server.report(collector, &lease, REFUSED).await?,
    }
    let acknowledged = Instant::now();
    while let Some(ended) = waiting.join_next().await {
        let (holder, arrived) = ended.context("a holder panicked")??;
        times.from_ack.push(arrived.saturating_duration_since(acknowledged));
        times.from_call.push(arrived.duration_since(called));
        holders.push(holder);
    }
    ensure!(holders.len() == STREAMS, "every holder comes back");
    futures_util::future::try_join_all(holders.iter_mut().map(Holder::give_back)).await?;
    Ok(holders)
}

/// Prints the figures, and says whether the goals are met.
fn show(mut measured: [Times; 3]) -> bool {
    let mut table = Table::new(&["", "from", "recalls", "p50", "p99", "longest"]);
    let (mut figures, mut met) = (serde_json::Map::new(), [true; 2]);
    for (cause, times) in Cause::ALL.into_iter().zip(&mut measured) {
        let spans = [&mut times.from_ack, &mut times.from_call];
        for ((from, spans), met) in FROM.into_iter().zip(spans).zip(&mut met) {
            spans.sort_unstable();
            let at = |share: f64| spans[((spans.len() - 1) as f64 * share) as usize];
            let (p50, p99, longest) = (at(0.5), at(0.99), at(1.0));
            let cells = [p50, p99, longest].map(|span| format!("{span:.1?}"));
            let [p50, p99_text, longest_text] = cells;
            table.row(&[
                cause.as_str().to_owned(),
                from.to_owned(),
                spans.len().to_string(),
                p50,
                p99_text,
                longest_text,
            ]);
            *met &= p99 <= GOAL;
            let figure: Value = json!({ "recalls": spans.len(), "p50_us": at(0.5).as_micros(), "p99_us": p99.as_micros(), "longest_us": longest.as_micros() });
            figures.insert(format!("{}_from_{from}", cause.as_str()), figure);
        }
    }
    println!("{STREAMS} streams\n\n{table}");
    for (from, met) in FROM.into_iter().zip(met) {
        println!("{} p99 ≤ {GOAL:?} from the {from}", if met { "met:   " } else { "MISSED:" });
    }
    write_json("recall", &json!({ "streams": STREAMS, "measured": figures }));
    met.into_iter().all(|met| met)
}
