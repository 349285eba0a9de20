//! A network resets every token of an app while all of them are leased: how soon the broker knows, whom it tells, what it leaves alone, and what it
//! needs for that.
//!
//! `RESET_TOKENS` tokens of X (100,000) belong to five teams, each with an owner and a member who granted its tokens. Within 30 s every holder calls
//! the network, which is simulated, is refused, and reports it; then the teams' collectors ask on. After half an hour an operator calls the tokens
//! lost. The broker works in the background as ever, and asks the network over HTTP and the mail server over SMTP, both on loopback and in this
//! process; but its clock is led through that hour, always as soon as the work of the present moment is done.
//!
//! Goals: one incident, recorded at most 60 s after the first invalidation; at most 20 messages in the first hour; no renewal of a token that was reset.
//! From 100,000 tokens on the memory is judged, too: while tokens are reported and settled it grows by 128 MiB at most (the store's connections fill
//! their caches), and by 32 MiB at most while they rest.

#[path = "../ground/mod.rs"]
mod ground;
mod mail;
mod scene;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use token_broker::base::tasks::Tasks;
use token_broker::domain::incident::Outcome;
use token_broker::service::{Caller, IncidentFilter};

use ground::{Table, resident, setting, write_json};
use mail::Mail;
use scene::{Held, Outside, SECOND, Scene, TEAMS};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the holders take to find out, in seconds.
const FOUND_OUT_IN: usize = 30;
/// When the operator calls the tokens lost, and when the hour is over.
const LOST_AFTER: Duration = Duration::from_secs(1800);
const HOUR: Duration = Duration::from_secs(3600);
/// The background's first rounds, in which it takes the memory that it needs for looking at all tokens.
const ROUNDS_BEFORE: usize = 10;
const KNOWN_WITHIN: Duration = Duration::from_secs(60);
const MOST_MESSAGES: usize = 20;
/// From so many tokens on the memory is judged: below, what a process takes and gives back is more than that of the tokens.
const JUDGED_FROM: usize = 100_000;
const MIB: u64 = 1024 * 1024;
const MAY_GROW_BY: u64 = 128 * MIB;
const MAY_GROW_AT_REST_BY: u64 = 32 * MIB;
/// An end to everything, should the background not go on.
const LIMIT: Duration = Duration::from_secs(1800);

fn main() -> anyhow::Result<ExitCode> {
    // Cargo runs a bench without a harness as a test, too: there is nothing to do then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(ExitCode::SUCCESS);
    }
    let tokens =
        setting("RESET_TOKENS").map_or(Ok(100_000), |text| text.parse()).context("RESET_TOKENS is a number")?;
    let outside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let serving = Tasks::default();
    let around = outside.block_on(Outside::serve(tokens, &serving))?;
    let runtime = tokio::runtime::Runtime::new()?;
    let figures = runtime.block_on(async { tokio::time::timeout(LIMIT, measure(&around, tokens)).await })??;
    serving.stop();
    Ok(if figures.show() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was measured; memory in bytes.
struct Figures {
    tokens: usize,
    /// From the first invalidation to the incident's record, on the broker's clock.
    known_after: Duration,
    incidents: usize,
    messages: Vec<Mail>,
    renewals: u64,
    /// What the simulated network alone needs.
    network: u64,
    before: u64,
    /// After the last report.
    reported: u64,
    /// The most while the tokens rested.
    resting: u64,
    /// The most of all.
    highest: u64,
    after: u64,
}

async fn measure(outside: &Outside, tokens: usize) -> anyhow::Result<Figures> {
    let (dir, network) = (tempfile::tempdir()?, resident());
    let scene = Scene::start(dir.path(), outside, tokens).await?;
    scene.renew_one().await?;
    let held = scene.lease_all(tokens).await?;
    for _ in 0..ROUNDS_BEFORE {
        scene.pass(Duration::from_secs(5)).await?;
    }
    let (broker, renewed) = (&scene.broker, scene.renewals_tried());
    let (began, before) = (broker.now(), resident());
    ensure!(scene.first_renewal().await? < began + LOST_AFTER, "renewals come due while the tokens rest");
    forget_highest()?;
    outside.reset()?;
    let known_after = find_out(&scene, &held).await?;
    let (reported, mut resting) = (resident(), 0);
    scene.live_until(began + LOST_AFTER, || resting = resident().max(resting)).await?;
    let found = broker.list_incidents(&Caller::Broker, IncidentFilter::default(), 10).await?;
    let open = found.iter().find(|view| view.incident.closed.is_none()).context("the incident is open")?;
    let hit: u64 = open.teams.iter().map(|(_, hit)| hit).sum();
    ensure!(hit == tokens as u64, "{hit} of {tokens} tokens belong to the incident");
    broker.close_incident(&Caller::Broker, open.incident.id, Outcome::Lost, "the network says so").await?;
    scene.live_until(began + HOUR, || ()).await?;
    scene.until_told().await?;
    let (highest, after) = (highest()?, resident());
    let incidents = broker.list_incidents(&Caller::Broker, IncidentFilter::default(), 10).await?.len();
    let messages = outside.mails.taken();
    let receivers: BTreeSet<_> = messages.iter().map(|mail| &mail.to).collect();
    ensure!(receivers.len() == 2 * TEAMS + 1, "operators, owners, and who granted tokens hear of it: {receivers:?}");
    ensure!(outside.refused() >= tokens as u64, "every holder was refused by the network");
    let renewals = scene.renewals_tried() - renewed;
    scene.stop().await?;
    Ok(Figures {
        tokens,
        known_after,
        incidents,
        messages,
        renewals,
        network,
        before,
        reported,
        resting,
        highest,
        after,
    })
}

/// All holders call the network and report, one part each second. Returns how long the broker took to record an incident.
async fn find_out(scene: &Scene<'_>, held: &[Held]) -> anyhow::Result<Duration> {
    let (began, mut known_after) = (scene.broker.now(), None);
    for held in held.chunks(held.len().div_ceil(FOUND_OUT_IN)) {
        scene.use_up(held).await?;
        scene.pass(SECOND).await?;
        let found = scene.broker.list_incidents(&Caller::Broker, IncidentFilter::default(), 1).await?;
        if !found.is_empty() {
            known_after.get_or_insert(scene.broker.now().since(began));
        }
    }
    known_after.context("there is no incident, though every holder has reported")
}

/// The most resident memory is counted anew from here on (Linux).
fn forget_highest() -> anyhow::Result<()> {
    std::fs::write("/proc/self/clear_refs", "5").context("Linux counts the most memory anew")
}

/// The most resident memory since then, in bytes.
fn highest() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("Linux tells the most memory")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

impl Figures {
    /// Prints the figures, and says whether the goals are met.
    fn show(&self) -> bool {
        let Self { tokens, known_after, incidents, messages, renewals, .. } = self;
        let Self { network, before, reported, resting, highest, after, .. } = self;
        let mib = |bytes: u64| format!("{} MiB", bytes / MIB);
        let mut table = Table::new(&["resident memory", "measured"]);
        let rows = [
            ("of the simulated network alone", network),
            ("before the reset", before),
            ("after all reports", reported),
            ("most while they rested", resting),
            ("highest of all", highest),
            ("after they were lost and told", after),
        ];
        for (name, bytes) in rows {
            table.row(&[name.to_owned(), mib(*bytes)]);
        }
        println!("{tokens} tokens of {TEAMS} teams are reset\n\n{table}");
        let mut met = true;
        let mut judge = |is_met: bool, what: String| {
            println!("{} {what}", if is_met { "met:   " } else { "MISSED:" });
            met &= is_met;
        };
        let seconds = known_after.as_secs();
        judge(
            *known_after <= KNOWN_WITHIN,
            format!(
                "incident {seconds} s after the first invalidation, ≤ {} s of the broker's clock",
                KNOWN_WITHIN.as_secs()
            ),
        );
        judge(*incidents == 1, format!("incidents: {incidents}, one is right"));
        let count = messages.len();
        judge(count <= MOST_MESSAGES, format!("messages in the first hour: {count}, ≤ {MOST_MESSAGES}"));
        for Mail { to, subject } in messages.iter().filter(|_| count > MOST_MESSAGES) {
            println!("        to {to}: {subject}");
        }
        judge(*renewals == 0, format!("renewals of tokens that were reset: {renewals}, none is right"));
        if *tokens >= JUDGED_FROM {
            let (grown, rested) = (highest.saturating_sub(*before), resting.saturating_sub(*reported));
            judge(grown <= MAY_GROW_BY, format!("memory grew by {}, ≤ {}", mib(grown), mib(MAY_GROW_BY)));
            judge(
                rested <= MAY_GROW_AT_REST_BY,
                format!("memory grew by {} while they rested, ≤ {}", mib(rested), mib(MAY_GROW_AT_REST_BY)),
            );
        } else {
            println!("not judged: memory, of fewer than {JUDGED_FROM} tokens");
        }
        let figures = json!({
            "tokens": tokens,
            "known_after_s": seconds,
            "incidents": incidents,
            "messages": count,
            "renewals": renewals,
            "resident_bytes": { "network": network, "before": before, "reported": reported, "resting": resting, "highest": highest, "after": after },
        });
        write_json("reset", &figures);
        met
    }
}
