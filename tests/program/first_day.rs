//! What goes wrong on a first day, and must lose nothing: ports that are taken, a key that was lost, a pipe that is closed, a broker
//! that is about to stop.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Api, BINARY, Launch, Scene, cli, run_bounded};

/// How often a question is asked before it counts as unanswered, and how long between two tries.
const TRIES: u32 = 600;
const BETWEEN: Duration = Duration::from_millis(50);

fn key_in(text: &str) -> Option<String> {
    text.lines().map(str::trim).find(|line| line.starts_with("tbk_")).map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_first_key_is_shown_even_if_the_ports_are_taken() {
    let home = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for setting in ["--listen", "--http-listen"] {
        let data = home.path().join(setting);
        let mut serve = cli(home.path());
        serve.args(["serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]);
        let arguments: Vec<_> = serve.get_args().map(ToOwned::to_owned).collect();
        let at = arguments.iter().position(|argument| argument == setting).unwrap() + 1;
        let mut serve = cli(home.path());
        serve.args(&arguments[..at]).arg(address.to_string()).args(&arguments[at + 1..]).arg("--data-dir").arg(&data);
        let ended = run_bounded(&mut serve, b"");
        assert_eq!(ended.status.code(), Some(1), "{}", ended.text());
        assert!(ended.stderr.contains(&address.to_string()), "{}", ended.text());
        let key = key_in(&ended.stdout).unwrap_or_else(|| panic!("the only key is lost: {}", ended.text()));
        let broker = Launch::new(&data).start();
        let admin = Api::connect(&broker, &key).await;
        assert!(admin.audit("").await.iter().any(|event| event.action == "key.create"));
        assert!(broker.stop().status.success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lost_admin_key_can_be_replaced_while_the_broker_is_stopped() {
    let scene = Scene::with_tokens(1).await;
    let data = scene.data();
    let admin_key = |home: &std::path::Path| {
        let mut command = cli(home);
        command.arg("admin-key").arg("--data-dir").arg(&data);
        run_bounded(&mut command, b"")
    };
    let refused = admin_key(scene.path());
    assert_eq!(refused.status.code(), Some(1), "{}", refused.text());
    assert!(refused.stderr.contains("stop it first") && key_in(&refused.stdout).is_none(), "{}", refused.text());
    let Scene { home, broker, admin_key: first, .. } = scene;
    assert!(broker.stop().status.success());
    let made = admin_key(home.path());
    assert_eq!(made.status.code(), Some(0), "{}", made.text());
    let key = key_in(&made.stdout).expect("a key is shown");
    assert_ne!(key, first);
    let broker = Launch::new(&data).start();
    for key in [key, first] {
        let admin = Api::connect(&broker, &key).await;
        assert_eq!(admin.list_tokens("teams/acme").await.len(), 1, "nothing else has changed");
        assert!(admin.audit("").await.iter().any(|event| event.action == "key.create"));
    }
    let elsewhere = cli(home.path()).args(["admin-key", "--data-dir", "nowhere"]).output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(1));
    assert!(!home.path().join("nowhere").exists(), "no store is made by mistake");
}

#[test]
fn the_doctor_makes_no_store() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("empty")).unwrap();
    let looked = run_bounded(cli(home.path()).args(["doctor", "--data-dir", "empty"]), b"");
    assert_eq!(looked.status.code(), Some(1));
    assert!(looked.stderr.contains("there is no store"), "{}", looked.text());
    assert_eq!(std::fs::read_dir(home.path().join("empty")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_call_that_the_simulation_suggests_works() {
    let home = tempfile::tempdir().unwrap();
    for network in ["x", "youtube", "facebook", "pinterest", "threads", "github"] {
        let mut simulate = cli(home.path());
        simulate.args(["simulate", "--listen", "127.0.0.1:0", "--output", "jsonl", "--network", network]);
        let mut child = simulate.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let shown: serde_json::Value = serde_json::from_str(&line).unwrap();
        let example = shown["example"].as_str().unwrap();
        let (key, url) = example.split_once("Bearer ").and_then(|(_, rest)| rest.split_once("' ")).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(url).bearer_auth(key).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{example}");
        let asked = Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status().unwrap();
        assert!(asked.success() && child.wait().unwrap().success(), "it ends when it is asked to");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_call_is_a_line_of_the_log_and_carries_its_id() {
    let home = tempfile::tempdir().unwrap();
    let launch = Launch::new(&home.path().join("data")).set("LOG__FILTER", "debug");
    let scene = Scene::launch(home, &launch, 1).await;
    let mut request = tonic::Request::new(scene.search(100_000));
    request.metadata_mut().insert("x-request-id", "the-call-of-this-test".parse().unwrap());
    scene.collector.leases().acquire_lease(request).await.unwrap_err();
    let log = scene.broker.stop().stderr;
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_call = lines.iter().find(|line| line["request_id"] == "the-call-of-this-test").expect("the call is logged");
    assert_eq!(of_call["method"], "tokenbroker.v1.LeaseService/AcquireLease", "{of_call}");
    assert_eq!((&of_call["code"], &of_call["level"]), (&"FailedPrecondition".into(), &"DEBUG".into()), "{of_call}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let home = tempfile::tempdir().unwrap();
    for command in ["completions bash", "config example", "--help"] {
        let script = format!("set -o pipefail; '{BINARY}' {command} | head -c 1 >/dev/null");
        let ended = run_bounded(Command::new("bash").args(["-c", &script]).env("HOME", home.path()), b"");
        assert!(ended.stderr.is_empty(), "{command}: {}", ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_broker_that_is_about_to_stop_is_not_ready() {
    let scene = Scene::with_tokens(1).await;
    let ready = format!("http://{}/readyz", scene.broker.http);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.get(&ready).send().await.unwrap().status(), 200);
    // All credit is leased, so that the next request waits, and the stop with it.
    scene.collector.acquire(scene.search(270)).await.unwrap();
    let mut request = scene.search(200);
    request.wait = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let watching = async {
        let metrics = format!("http://{}/metrics", scene.broker.http);
        for tries in 0.. {
            let text = client.get(&metrics).send().await.unwrap().text().await.unwrap();
            if text.contains("token_broker_requests_waiting{network=\"x\"} 1") {
                break;
            }
            assert!(tries < TRIES, "the request never waits");
            tokio::time::sleep(BETWEEN).await;
        }
        scene.broker.ask_to_stop();
        for tries in 0.. {
            let answer = client.get(&ready).send().await.expect("probes are answered while calls finish");
            if answer.status() == 503 {
                assert!(answer.text().await.unwrap().contains("about to stop"));
                break;
            }
            assert!(tries < TRIES, "it says that it is ready");
        }
    };
    let (refused, ()) = tokio::join!(scene.collector.acquire(request), watching);
    let refused = refused.expect_err("nobody waits for a broker that stops");
    assert!(refused.retry.is_some(), "{refused:?}");
    let Scene { mut broker, .. } = scene;
    assert!(broker.end().status.success());
}
