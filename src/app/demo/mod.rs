//! `demo`: the whole product at work, with nothing to set up.
//!
//! Simulated networks enforce their documented limits over HTTP, a broker leases the tokens of two teams, and collectors use the public
//! gRPC API and call the networks. One team's demand outgrows its tokens; the alert says how many are missing, they are
//! added, the alert clears. At the end the networks' books judge: nothing throttled, nothing over-granted, or the program fails.
//!
//! All share one clock that runs faster than the machine's. Choices follow the seed; what depends on real time, such as which of two
//! collectors is first, does not.

mod board;
mod judge;
mod network_call;
mod outcome;
mod pace;
mod picture;
mod plan;
mod port;
mod screen;
mod setup;
mod stage;
mod story;
mod summary;
mod view;
mod worker;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::bail;
use tokio::sync::watch;

pub use judge::Use;
pub use outcome::{AlertLine, Leases, LoadLine, Outcome};

use crate::app::demo::board::{Board, quantile};
use crate::app::demo::judge::NetworkBooks;
use crate::app::demo::network_call::NetworkCaller;
use crate::app::demo::pace::Pace;
use crate::app::demo::picture::{Photographer, Told, level_of, ratio_of};
use crate::app::demo::plan::{COLLECTIONS, Scene};
use crate::app::demo::port::Port;
use crate::app::demo::screen::Screen;
use crate::app::demo::setup::Operator;
use crate::app::demo::stage::{RESERVE_PERCENT, Stage};
use crate::app::demo::story::{Story, kind_name};
use crate::app::demo::worker::Worker;
use crate::base::clock::Timestamp;
use crate::base::tasks::Tasks;
use crate::grpc::convert::from_timestamp;
use crate::grpc::pb;

/// How the demonstration runs.
#[derive(Debug, Clone, Default)]
pub struct DemoOptions {
    /// How long, by the machine's clock: 10 s to 1 h. `None`: 75 s.
    pub duration: Option<Duration>,
    /// Where chance comes from. `None`: 1.
    pub seed: Option<u64>,
    /// How many times faster time runs in the networks: 1 to 600. `None`: 60.
    pub speed: Option<u32>,
    /// Only JSON on stdout.
    pub json: bool,
}

impl DemoOptions {
    /// What is wrong with an option that is out of its range.
    pub fn mistake(&self) -> Option<&'static str> {
        if self.duration.is_some_and(|duration| !DURATIONS.contains(&duration)) {
            return Some(
                "--duration must be between 10s and 1h; leave it out for 75s, in which everything can be seen",
            );
        }
        if self.speed.is_some_and(|speed| !SPEEDS.contains(&speed)) {
            return Some("--speed must be between 1 and 600; leave it out for 60, with which a second is a minute");
        }
        None
    }
}

const DURATION: Duration = Duration::from_secs(75);
const DURATIONS: std::ops::RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(3600);
const SPEED: u32 = 60;
const SPEEDS: std::ops::RangeInclusive<u32> = 1..=600;
/// How often the API is asked for loads and alerts.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long work may take to end.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Runs the demonstration and shows it. Succeeds if nothing was throttled and nothing over-granted.
pub async fn run(options: DemoOptions) -> anyhow::Result<ExitCode> {
    let outcome = play(&options).await?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
    } else {
        println!("{}", summary::summary(&outcome, screen::size().0));
    }
    if let Some(why) = outcome.broken_promise() {
        eprintln!("error: {why}");
    }
    Ok(ExitCode::from(outcome.exit_code()))
}

/// Runs the demonstration and tells what it came to.
///
/// # Errors
/// When an option is out of its range, or the broker or the networks can't be started.
pub async fn play(options: &DemoOptions) -> anyhow::Result<Outcome> {
    let (duration, speed) = (options.duration.unwrap_or(DURATION), options.speed.unwrap_or(SPEED));
    if let Some(mistake) = options.mistake() {
        bail!(mistake);
    }
    let seed = options.seed.unwrap_or(1);
    let pace = Pace::start(speed);
    let mut stage = Stage::open(&pace, seed, hold(duration, speed)).await?;
    let played = perform(&mut stage, &pace, seed, duration, options.json).await;
    let closed = stage.close().await;
    let outcome = played?;
    closed?;
    Ok(outcome)
}

/// How long a load must be too high before the alert opens, by the networks' clock: 5 minutes, as usual, or less where all of the
/// demonstration is short.
fn hold(duration: Duration, speed: u32) -> Duration {
    (duration * speed / 15).clamp(Duration::from_secs(10), Duration::from_secs(300))
}

async fn perform(stage: &mut Stage, pace: &Pace, seed: u64, duration: Duration, json: bool) -> anyhow::Result<Outcome> {
    let key = stage.take_key()?;
    let operator = Operator::connect(stage.server(), key, stage.simulation.clone(), seed).await?;
    let operator = Arc::new(operator);
    let board = Arc::new(Board::default());
    let profiles = operator.prepare().await?;
    let (workers, story) = (Tasks::default(), Tasks::default());
    let (scene, scenes) = watch::channel(Scene::Usual);
    let network = NetworkCaller::new(stage.simulation_url.clone())?;
    let began = pace.now();
    for (number, plan) in COLLECTIONS.into_iter().enumerate() {
        let client = operator.add_collector(&plan).await?;
        let worker = Worker {
            plan,
            team: format!("teams/{}", plan.team),
            profiles: profiles.get(&(plan.team, plan.network)).cloned().unwrap_or_default(),
            port: Port::open(client, plan.way, pace.clone(), &story).await?,
            network: network.clone(),
            board: board.clone(),
            pace: pace.clone(),
            tasks: workers.clone(),
            seed: seed.wrapping_add(number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            held_until: Mutex::new(Timestamp::EPOCH),
            waiting: AtomicU64::new(0),
        };
        workers.spawn("collector", worker.run(scenes.clone()));
    }
    let pace_of_story = pace.restarted();
    let told = Story {
        operator: operator.clone(),
        board: board.clone(),
        pace: pace_of_story.clone(),
        tasks: story.clone(),
        whole: duration,
        scene,
    };
    story.spawn("story", told.run());
    let photographer =
        Photographer::new(&stage.running.broker, operator.client(), &board, pace_of_story.clone(), duration);
    show(&photographer, &board, &pace_of_story, scenes, duration, json).await;
    let told = photographer.ask().await;
    let elapsed = pace_of_story.elapsed();
    let (rows, books, ended) = (board.rows(), books(stage)?, pace.now());
    workers.stop();
    workers.join(END_WITHIN).await;
    story.stop();
    story.join(END_WITHIN).await;
    let uses = judge::judge(&books, &rows, RESERVE_PERCENT, began, ended);
    let over_granted: u64 = stage
        .running
        .broker
        .engine
        .networks()
        .iter()
        .filter_map(|network| stage.running.broker.engine.look(&network.id, crate::domain::pool::Pool::over_granted))
        .sum();
    let latencies = board.latencies();
    let rows = board.rows();
    let sum = |of: fn(&board::Row) -> u64| rows.values().map(of).sum::<u64>();
    Ok(Outcome {
        seed,
        duration_s: (elapsed.as_secs_f64() * 10.0).round() / 10.0,
        speed: pace.speed(),
        throttled: stage.simulation.report().throttled(),
        over_grants: over_granted + judge::beyond_reserve(&self::books(stage)?, RESERVE_PERCENT),
        utilisation: judge::overall(&uses),
        calls_ok: sum(|row| row.ok),
        leases: Leases {
            opened: sum(|row| row.opened),
            refused: sum(|row| row.refused),
            p50_ms: outcome::millis(quantile(&latencies, 0.5)),
            p99_ms: outcome::millis(quantile(&latencies, 0.99)),
        },
        networks: uses,
        load: load_lines(&told),
        alerts: alert_lines(&told),
    })
}

/// Shows what happens until time is up, or somebody presses ctrl-c.
async fn show(
    photographer: &Photographer<'_>,
    board: &Board,
    pace: &Pace,
    scenes: watch::Receiver<Scene>,
    duration: Duration,
    json: bool,
) {
    let mut screen = Screen::of_process(json);
    let (mut told, mut asked) = (Told::default(), None::<Duration>);
    let interrupted = interrupted();
    tokio::pin!(interrupted);
    while pace.elapsed() < duration {
        if asked.is_none_or(|at| pace.elapsed().saturating_sub(at) >= ASK_EVERY) {
            asked = Some(pace.elapsed());
            told = photographer.ask().await;
        }
        let scene = *scenes.borrow();
        screen.show(&photographer.take(&told, scene), board);
        let left = duration.saturating_sub(pace.elapsed());
        tokio::select! {
            () = tokio::time::sleep(screen.interval().min(left)) => {}
            () = &mut interrupted => {
                board.tell(pace.elapsed(), "you asked it to stop: this is what came of it so far");
                break;
            }
        }
    }
    let scene = *scenes.borrow();
    screen.show(&photographer.take(&told, scene), board);
}

/// Resolves when somebody wants it to stop: ctrl-c, or a signal to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut ended) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = ended.recv() => {}
    }
}

fn books(stage: &Stage) -> anyhow::Result<Vec<NetworkBooks>> {
    let report = stage.simulation.report();
    let mut books = Vec::new();
    for network in plan::NETWORKS {
        let id = network.parse()?;
        let mut throttled = BTreeMap::new();
        let limits = report.networks.iter().filter(|report| report.network == id).flat_map(|report| &report.limits);
        for limit in limits {
            *throttled.entry(limit.class.to_string()).or_default() += limit.throttled;
        }
        books.push(NetworkBooks { network, windows: stage.simulation.windows(&id)?, throttled });
    }
    Ok(books)
}

fn load_lines(told: &Told) -> Vec<LoadLine> {
    let of_team = |load: &pb::TeamLoad| {
        let team = load.name.trim_start_matches("teams/").trim_end_matches("/load").to_owned();
        let line = move |class: &pb::ClassLoad| LoadLine {
            team: team.clone(),
            network: class.network.trim_start_matches("networks/").to_owned(),
            class: class.credit_class.clone(),
            ratio: ratio_of(class).map(|ratio| (ratio * 1000.0).round() / 1000.0),
            level: level_of(class.level()).as_str(),
        };
        let wanted = |class: &&pb::ClassLoad| class.spans.iter().any(|span| span.demand > 0.0);
        load.classes.iter().filter(wanted).map(line).collect::<Vec<_>>()
    };
    told.loads.iter().flat_map(of_team).collect()
}

fn alert_lines(told: &Told) -> Vec<AlertLine> {
    let line = |alert: &pb::Alert| AlertLine {
        kind: kind_name(alert.kind()),
        team: alert.name.split('/').nth(1).unwrap_or_default().to_owned(),
        network: alert.network.trim_start_matches("networks/").to_owned(),
        level: level_of(alert.level()).as_str(),
        opened_at: alert.open_time.as_ref().map(from_timestamp).unwrap_or_default().to_string(),
        cleared_at: alert.clear_time.as_ref().map(|at| from_timestamp(at).to_string()),
        message: alert.message.clone(),
    };
    told.alerts.iter().rev().map(line).collect()
}
