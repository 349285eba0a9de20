//! A store that can't be used: held by another process, of a newer broker, read-only, full, or without its key. The broker says
//! what to do, changes nothing, and goes on with everything once the trouble is over.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use token_broker::grpc::pb::{self, ErrorReason};
use tonic::Code;

use crate::support::{Api, Launch, Refused, Scene, cli, python, run_bounded};

/// A store with a token and a lease, stopped. The lease is still held.
struct Stopped {
    home: tempfile::TempDir,
    admin_key: String,
    collector_key: String,
    lease: String,
}

impl Stopped {
    async fn new() -> Self {
        let scene = Scene::with_tokens(1).await;
        let lease = scene.collector.acquire(scene.search(5)).await.unwrap().name;
        let Scene { home, broker, admin_key, collector_key, .. } = scene;
        assert!(broker.stop().status.success());
        Self { home, admin_key, collector_key, lease }
    }

    fn data(&self) -> std::path::PathBuf {
        self.home.path().join("data")
    }

    /// The broker must refuse to start and say this.
    fn refuses(&self, what: &str, said: &[&str]) {
        let ended = Launch::new(&self.data()).try_start().err().unwrap_or_else(|| panic!("{what}: the broker started"));
        assert_eq!(ended.status.code(), Some(1), "{what}: {}", ended.text());
        for words in said {
            assert!(ended.stderr.contains(words), "{what}: '{words}' is not in {}", ended.stderr);
        }
    }

    /// Everything is still there.
    async fn works(&self) {
        let broker = Launch::new(&self.data()).start();
        let admin = Api::connect(&broker, &self.admin_key).await;
        assert_eq!(admin.list_tokens("teams/acme").await.len(), 1);
        assert_eq!(admin.lease(&self.lease).await.unwrap().calls_left, 5);
        let collector = Api::connect(&broker, &self.collector_key).await;
        let request = pb::AcquireLeaseRequest {
            team: "teams/acme".to_owned(),
            network: "networks/x".to_owned(),
            operation: "tweets.search_recent".to_owned(),
            calls: 1,
            purpose: pb::Purpose::CollectContent.into(),
            ..Default::default()
        };
        assert_eq!(collector.acquire(request).await.unwrap().access_token, "access-of-person-0");
        assert!(broker.stop().status.success());
    }

    fn sql(&self, statement: &str) {
        let code =
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit(); c.close()";
        let mut sqlite = python();
        sqlite.args(["-c", code]).arg(self.data().join("broker.db")).arg(statement);
        let ended = run_bounded(&mut sqlite, b"");
        assert!(ended.status.success(), "{}", ended.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_store_that_another_process_holds_is_left_alone() {
    let scene = Scene::with_tokens(1).await;
    let ended = Launch::new(&scene.data()).try_start().err().expect("one process a store");
    assert!(
        ended.stderr.contains("another broker process holds") && ended.stderr.contains("stop it first"),
        "{}",
        ended.stderr
    );
    let mut doctor = cli(scene.path());
    let looked = run_bounded(doctor.arg("doctor").arg("--data-dir").arg(scene.data()), b"");
    assert!(!looked.status.success() && looked.stderr.contains("another broker process holds"), "{}", looked.text());
    scene.collector.acquire(scene.search(5)).await.expect("the first process is not disturbed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_store_of_a_newer_broker_is_refused_untouched() {
    let stopped = Stopped::new().await;
    stopped.sql("INSERT INTO meta SELECT 'its_version', value FROM meta WHERE name = 'schema_version'");
    stopped.sql("UPDATE meta SET value = CAST('9999' AS BLOB) WHERE name = 'schema_version'");
    stopped.refuses("newer", &["schema version 9999", "start a newer broker or restore a backup"]);
    let its_version = "(SELECT value FROM meta WHERE name = 'its_version')";
    stopped.sql(&format!("UPDATE meta SET value = {its_version} WHERE name = 'schema_version'"));
    stopped.works().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_damaged_store_is_refused() {
    let stopped = Stopped::new().await;
    let path = stopped.data().join("broker.db");
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[..4096].fill(0xA5);
    std::fs::write(&path, damaged).unwrap();
    stopped.refuses("damaged", &["restore a backup"]);
    std::fs::write(&path, whole).unwrap();
    stopped.works().await;
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_key_file_that_is_wrong_missing_or_exposed_is_refused() {
    let (stopped, other) = (Stopped::new().await, Stopped::new().await);
    let path = stopped.data().join("sealing.key");
    let right = std::fs::read(&path).unwrap();

    std::fs::remove_file(&path).unwrap();
    stopped.refuses("missing", &["does not exist", "put the key of this store back"]);
    assert!(!path.exists(), "no new key is made for an old store");

    std::fs::copy(other.data().join("sealing.key"), &path).unwrap();
    stopped.refuses("wrong", &["this store was sealed with the key", "in its place"]);

    std::fs::write(&path, &right[..right.len() - 20]).unwrap();
    set_mode(&path, 0o600);
    stopped.refuses("cut off", &["is not a whole sealing key", "restore it from its copy"]);

    std::fs::write(&path, &right).unwrap();
    set_mode(&path, 0o644);
    stopped.refuses("exposed", &["can be read by others", "chmod 600"]);

    set_mode(&path, 0o600);
    stopped.works().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_read_only_store_is_refused_at_the_start() {
    let stopped = Stopped::new().await;
    let failing = ["openat:error=EROFS"];
    let ended = Launch::new(&stopped.data()).failing(&failing, &stopped.data().join("broker.lock")).try_start();
    let ended = ended.err().expect("a file system that can't be written");
    assert!(
        ended.stderr.contains("read-only") && ended.stderr.contains("make its directory writable"),
        "{}",
        ended.stderr
    );
    set_mode(&stopped.data().join("broker.db"), 0o400);
    stopped.refuses("a database without the right to write", &["read-only", "writable"]);
    set_mode(&stopped.data().join("broker.db"), 0o600);
    stopped.works().await;
}

/// Asks for leases until the store refuses one; how many were given before.
async fn until_refused(scene: &Scene, most: usize) -> (Vec<String>, Refused) {
    let mut leases = Vec::new();
    for _ in 0..most {
        match scene.collector.acquire(scene.search(1)).await {
            Ok(lease) => leases.push(lease.name),
            Err(refused) => return (leases, refused),
        }
    }
    panic!("{most} leases were made durable on a store that can't be written");
}

/// A store whose log takes so many writes and then fails. What it takes to make the store is not counted.
async fn with_failing_log(failure: &str) -> Scene {
    let Scene { home, broker, admin_key, collector_key, tokens, .. } = Scene::with_tokens(1).await;
    assert!(broker.stop().status.success());
    let log = home.path().join("data/broker.db-wal");
    let launch = Launch::new(&home.path().join("data")).set("CREDIT__TOKEN_CONCURRENCY", 10_000);
    let broker = launch.failing(&[failure], &log).start();
    let (admin, collector) = (Api::connect(&broker, &admin_key).await, Api::connect(&broker, &collector_key).await);
    Scene { home, broker, admin_key, admin, collector_key, collector, tokens }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_full_disk_refuses_and_the_broker_goes_on_by_itself() {
    let scene = with_failing_log("pwrite64:error=ENOSPC:when=200..220").await;
    let (leases, refused) = until_refused(&scene, 250).await;
    assert_eq!((refused.code, refused.reason), (Code::Unavailable, ErrorReason::StoreUnavailable), "{refused:?}");
    assert!(refused.message.contains("full") && refused.retry.is_some(), "{refused:?}");
    let mut again = None;
    for _ in 0..100 {
        again = scene.collector.acquire(scene.search(1)).await.ok();
        if again.is_some() {
            break;
        }
    }
    let again = again.expect("there is space again").name;
    kept(scene, leases.into_iter().chain([again]).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_disk_that_makes_nothing_durable_stops_the_leasing() {
    let scene = with_failing_log("fsync,fdatasync:error=EIO:when=20+").await;
    let (leases, refused) = until_refused(&scene, 250).await;
    assert_eq!((refused.code, refused.reason), (Code::Unavailable, ErrorReason::StoreUnavailable), "{refused:?}");
    assert!(refused.message.contains("restart the broker"), "{refused:?}");
    let ready = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = ready.get(format!("http://{}/readyz", scene.broker.http)).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.text().await.unwrap().contains("store"));
    kept(scene, leases).await;
}

/// What was acknowledged is there after a kill and a restart on a sound disk.
async fn kept(scene: Scene, leases: Vec<String>) {
    let Scene { home, broker, admin_key, .. } = scene;
    broker.kill();
    let broker = Launch::new(&home.path().join("data")).start();
    let admin = Api::connect(&broker, &admin_key).await;
    assert!(!leases.is_empty());
    for lease in leases {
        admin.lease(&lease).await.unwrap_or_else(|refused| panic!("{lease} is gone: {refused:?}"));
    }
}
