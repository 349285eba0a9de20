//! What tokens that nobody uses cost: memory in the pool, and the time until a broker that was started again has them.
//!
//! Each part runs in a process of its own, so that what one leaves behind does not hide what another needs. Targets: at most 1.5 KB
//! of resident memory a token, and 100,000 tokens ready within 5 s. `MEMORY_TOKENS` sets another number.

mod ground;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use token_broker::base::clock::{Clock, SystemClock, Timestamp};
use token_broker::base::ids::{AuditId, TeamId};
use token_broker::base::tasks::Tasks;
use token_broker::domain::audit::{Actor, AuditEvent};
use token_broker::domain::networks::{Catalogue, Network};
use token_broker::domain::pool::{Pool, PoolSettings};
use token_broker::domain::team::Team;
use token_broker::engine::{Engine, EngineSettings};
use token_broker::store::{
    AuditKey, AuditStore, Foundation, NewToken, OwnKeyRow, SealingStore, SqliteOptions, SqliteStore, StoredRenewal,
    StoredToken, TeamStore, TokenStore,
};

use ground::{Table, resident, setting, token_of, write_json};

const BYTES_PER_TOKEN: f64 = 1536.0;
const READY_WITHIN: Duration = Duration::from_secs(5);
/// As long as a sealed token of a common length.
const SEALED: usize = 200;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let part = arguments.iter().position(|argument| argument == "--part").map(|at| &arguments[at + 1..]);
    match part {
        Some([part, folder, ..]) => println!("{}", run_part(part, Path::new(folder))),
        // Cargo runs a bench without a harness as a test, too: there is nothing to do then.
        _ if arguments.iter().any(|argument| argument == "--test") => {}
        _ => compare(),
    }
}

fn tokens() -> usize {
    setting("MEMORY_TOKENS").map_or(100_000, |text| text.parse().expect("MEMORY_TOKENS must be a number"))
}

fn compare() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let pool = part("pool", folder.path());
    part("fill", folder.path());
    let restore = part("restore", folder.path());
    let mut table = Table::new(&["what", "measured", "target"]);
    let bytes = |of: &Value| format!("{:.0} B", of["bytes_per_token"].as_f64().unwrap_or(f64::NAN));
    let target = format!("≤ {BYTES_PER_TOKEN:.0} B");
    table.row(&["pool: memory per idle token".to_owned(), bytes(&pool), target.clone()]);
    table.row(&["store and engine: memory per idle token".to_owned(), bytes(&restore), target]);
    let ready = format!("{:.2} s", restore["seconds"].as_f64().unwrap_or(f64::NAN));
    table.row(&["open the store and take up all tokens".to_owned(), ready, format!("≤ {} s", READY_WITHIN.as_secs())]);
    println!("{} tokens\n\n{table}", tokens());
    write_json("memory", &json!({ "tokens": tokens(), "pool": pool, "restore": restore }));
}

/// Runs one part in a process of its own, and reads what it prints.
fn part(name: &str, folder: &Path) -> Value {
    let myself = std::env::current_exe().expect("the bench has a path");
    let output = Command::new(myself).arg("--part").arg(name).arg(folder).output().expect("the bench can start itself");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a part prints JSON")
}

fn run_part(part: &str, folder: &Path) -> Value {
    let catalogue = Catalogue::embedded();
    let network = catalogue.network("x").expect("x is built in").clone();
    match part {
        "pool" => fill_pool(&network),
        "fill" => block_on(fill_store(&network, folder.to_owned())),
        "restore" => block_on(restore(&catalogue, folder.to_owned())),
        other => panic!("there is no part '{other}'"),
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can start").block_on(work)
}

fn fill_pool(network: &Arc<Network>) -> Value {
    let mut pool = Pool::new(network.clone(), PoolSettings::default());
    let before = resident();
    for number in 0..tokens() {
        let token = token_of(network, "user", "acme", number);
        pool.put_token(&token, None, vec![7; SEALED], Timestamp::EPOCH).expect("x has tokens of that kind");
    }
    let grown = resident() - before;
    assert_eq!(pool.counts().tokens, tokens());
    json!({ "resident_bytes": grown, "bytes_per_token": grown as f64 / tokens() as f64 })
}

async fn fill_store(network: &Arc<Network>, folder: PathBuf) -> Value {
    let store = open(folder).await;
    let team: TeamId = "acme".parse().expect("a slug");
    let acme = Team {
        id: team.clone(),
        display_name: "Acme".to_owned(),
        weight: 100,
        reserve_percent: None,
        created_at: Timestamp::EPOCH,
    };
    store.insert_team(acme, event("team.create", &team).into()).await.expect("the team is new");
    for from in (0..tokens()).step_by(5_000) {
        let new = |number| {
            let token = token_of(network, "user", "acme", number);
            let (sealed_access, sealed_refresh) = (vec![7; SEALED], Some(vec![8; SEALED]));
            NewToken {
                given_refresh: None,
                consent: None,
                stored: StoredToken {
                    token,
                    sealed_access,
                    sealed_refresh,
                    sealed_key: None,
                    renewal: StoredRenewal::default(),
                },
                trail: event("token.add", &team).into(),
            }
        };
        let chunk = (from..tokens().min(from + 5_000)).map(new).collect();
        store.insert_tokens(chunk, None).await.expect("the tokens are new");
    }
    json!({})
}

async fn restore(catalogue: &Catalogue, folder: PathBuf) -> Value {
    let tasks = Tasks::default();
    let before = resident();
    let watch = SystemClock::start();
    let from = watch.now();
    let store = Arc::new(open(folder).await);
    let engine = Engine::start(catalogue, &EngineSettings::default(), clock(), store, &tasks);
    let restored = engine.restore(|_| None).await.expect("the store can be read");
    let seconds = watch.now().since(from).as_secs_f64();
    let grown = resident().saturating_sub(before);
    assert_eq!((restored.tokens, restored.damaged), (tokens(), 0));
    tasks.stop();
    tasks.join(Duration::from_secs(5)).await;
    json!({ "seconds": seconds, "resident_bytes": grown, "bytes_per_token": grown as f64 / tokens() as f64 })
}

async fn open(folder: PathBuf) -> SqliteStore {
    let store = SqliteStore::open(SqliteOptions::new(folder), clock()).await.expect("the store can be opened");
    // What chains the audit is of no matter to what is measured here.
    let audit_key: AuditKey = Arc::new(|_| [0; 32]);
    if store.list_own_keys().await.expect("the store can be read").is_empty() {
        let own_key = OwnKeyRow { id: 1, wrapped: Vec::new(), created_at: Timestamp::EPOCH };
        let foundation = Foundation { own_key, fingerprint: Vec::new(), audit_key: audit_key.clone() };
        store.found(foundation).await.expect("the store can be written");
    }
    store.start_audit(audit_key).await.expect("the store can be written");
    store
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::start())
}

fn event(action: &'static str, team: &TeamId) -> AuditEvent {
    AuditEvent {
        id: AuditId::generate(),
        at: Timestamp::EPOCH,
        actor: Actor::Broker,
        action,
        team: Some(team.clone()),
        subject: format!("teams/{team}"),
        detail: String::new(),
    }
}
