//! The audit is verified and exported beside a running broker.

use std::path::Path;

use crate::support::{Ended, Scene, cli, run_bounded};

/// A command on the store itself.
fn on_store(scene_home: &Path, words: &[&str]) -> Ended {
    run_bounded(cli(scene_home).args(words).arg("--data-dir").arg(scene_home.join("data")), b"")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_audit_is_verified_and_exported_beside_a_broker() {
    let scene = Scene::with_tokens(2).await;
    scene.collector.acquire(scene.search(5)).await.unwrap();
    let verified = on_store(scene.path(), &["audit", "verify", "--output", "json"]);
    assert!(verified.status.success(), "{}", verified.text());
    let findings: serde_json::Value = serde_json::from_str(&verified.stdout).unwrap();
    let found = |check: &str| {
        let one = findings.as_array().unwrap().iter().find(|one| one["check"] == check).unwrap();
        one["found"].as_str().unwrap().to_owned()
    };
    let anchor = found("audit.next_anchor").split(' ').next().unwrap().to_owned();
    scene.collector.acquire(scene.search(5)).await.unwrap();
    let exported = on_store(scene.path(), &["audit", "export"]);
    let events: Vec<serde_json::Value> =
        exported.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<i64> = events.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());
    assert_eq!(events.iter().filter(|event| event["action"] == "lease.open").count(), 2);
    let of_anchor =
        |event: &&serde_json::Value| anchor == format!("{}:{}", event["seq"], event["mac"].as_str().unwrap());
    assert_eq!(events.iter().filter(of_anchor).count(), 1, "{anchor}");
    let last = numbers.last().unwrap().to_string();
    assert_eq!(on_store(scene.path(), &["audit", "export", "--after", &last]).stdout, "");
    assert!(on_store(scene.path(), &["audit", "verify", "--anchor", &anchor]).status.success());
    let forged = format!("{}:{}", anchor.split(':').next().unwrap(), "0".repeat(64));
    let refused = on_store(scene.path(), &["audit", "verify", "--anchor", &forged]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.contains("is not the one of the anchor"), "{}", refused.text());
}
