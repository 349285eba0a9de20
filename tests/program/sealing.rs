//! The sealing key is changed under leases, and a kill follows.

use crate::support::{Api, Ended, Launch, Scene, cli, run_bounded};

/// A command to the scene's broker.
fn ask(scene: &Scene, words: &[&str]) -> Ended {
    let mut command = cli(scene.path());
    command.args(words).args(["--output", "json", "--server", &format!("http://{}", scene.broker.grpc)]);
    run_bounded(command.env("TOKEN_BROKER_KEY", &scene.admin_key), b"")
}

#[test]
fn a_key_of_the_environment_is_warned_of_and_one_of_a_file_is_not() {
    const WARNING: &str = "the sealing key comes from the environment";
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let broker = Launch::new(first.path()).start();
    let kept = std::fs::read_to_string(first.path().join("sealing.key")).unwrap();
    let ended = broker.stop();
    assert!(ended.status.success() && !ended.stderr.contains(WARNING), "{}", ended.stderr);
    let key = kept.lines().rfind(|line| !line.starts_with('#')).unwrap();
    let broker = Launch::new(second.path()).set("VAULT__KEY", key).start();
    let log = broker.log();
    let line = log.lines().find(|line| line.contains(WARNING)).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("WARN"), "{line}");
    assert!(!second.path().join("sealing.key").exists());
    assert!(broker.stop().status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_sealing_key_is_changed_and_survives_a_kill() {
    let scene = Scene::with_tokens(3).await;
    let lease = scene.collector.acquire(scene.search(5)).await.unwrap().name;
    let before: serde_json::Value = serde_json::from_str(&ask(&scene, &["keys", "show"]).stdout).unwrap();
    let rotated = ask(&scene, &["keys", "rotate"]);
    assert!(rotated.status.success(), "{}", rotated.text());
    let after: serde_json::Value = serde_json::from_str(&rotated.stdout).unwrap();
    assert_ne!(before["fingerprint"], after["fingerprint"]);
    assert_eq!((&after["resealing"], &after["resealed"], &after["damaged"]), (&false.into(), &3.into(), &0.into()));
    scene.collector.acquire(scene.search(5)).await.unwrap();
    let request = scene.search(5);
    let Scene { home, broker, admin_key, collector_key, .. } = scene;
    broker.kill();
    let data = home.path().join("data");
    let looked = run_bounded(cli(home.path()).arg("doctor").arg("--data-dir").arg(&data), b"");
    assert!(looked.status.success(), "{}", looked.text());
    assert!(
        looked.stdout.contains("6 secrets with the newest data keys, 0 with older ones, 0 with none"),
        "{}",
        looked.text()
    );
    let broker = Launch::new(&data).start();
    assert_eq!(Api::connect(&broker, &admin_key).await.lease(&lease).await.unwrap().calls_left, 5);
    Api::connect(&broker, &collector_key).await.acquire(request).await.unwrap();
    let retired = data.join(format!("sealing.key.{}", before["fingerprint"].as_str().unwrap()));
    assert!(retired.exists());
    std::fs::copy(&retired, data.join("sealing.key")).unwrap();
    assert!(broker.stop().status.success());
    let ended = Launch::new(&data).try_start().err().expect("the old key opens nothing");
    assert!(ended.stderr.contains("this store was sealed with the key"), "{}", ended.stderr);
}
