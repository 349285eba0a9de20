//! Clients that are not ours drive a whole lease life: Python's grpcio with stubs made from the proto files, and `buf curl` with
//! nothing but reflection.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};

use crate::support::{Broker, Ended, Launch, Scene, python, run_bounded, tool};

const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
const LEASE_LIFE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/lease_life.py");

fn must(ended: Ended) -> String {
    assert!(ended.status.success(), "{}", ended.text());
    ended.stdout
}

/// Makes Python's stubs from the proto files.
fn make_stubs(folder: &Path) {
    let mut protoc = python();
    protoc.args(["-m", "grpc_tools.protoc", "-I", PROTO]);
    protoc.arg(format!("--python_out={}", folder.display())).arg(format!("--grpc_python_out={}", folder.display()));
    for file in std::fs::read_dir(format!("{PROTO}/tokenbroker/v1")).unwrap() {
        protoc.arg(file.unwrap().path());
    }
    must(run_bounded(&mut protoc, b""));
}

#[test]
fn python_lives_a_lease_life() {
    let folder = tempfile::tempdir().unwrap();
    make_stubs(folder.path());
    let broker = Launch::new(&folder.path().join("data")).start();
    let mut life = python();
    life.arg(LEASE_LIFE).arg(broker.grpc.to_string()).arg(folder.path()).env("ADMIN_KEY", broker.first_key());
    let seen: Value = serde_json::from_str(&must(run_bounded(&mut life, b""))).unwrap();
    let reasons = json!({
        "INVALID_ARGUMENT": ["UNKNOWN_NETWORK", "INVALID_FIELD"],
        "FAILED_PRECONDITION": ["CREDIT_CAN_NEVER_FIT"],
    });
    assert_eq!(seen["refusals"], reasons);
    assert_eq!(seen["health"], "0801", "SERVING");
    for lease in seen["leases"].as_array().unwrap() {
        assert!(seen["audited"].as_array().unwrap().contains(lease), "{lease} is not in the audit: {seen}");
    }
    let ended = broker.stop();
    assert!(ended.status.success(), "{}", ended.stderr);
}

/// `buf curl`, which learns the API by reflection.
struct Buf<'a> {
    broker: &'a Broker,
    home: &'a Path,
}

impl Buf<'_> {
    fn run(&self, arguments: &[&str], path: &str) -> Ended {
        let mut buf = tool("buf");
        buf.args(["curl", "--protocol", "grpc", "--http2-prior-knowledge"]).args(arguments);
        buf.arg(format!("{}{path}", self.broker.url())).env("HOME", self.home).current_dir(self.home);
        run_bounded(&mut buf, b"")
    }

    fn call(&self, key: &str, method: &str, request: &Value) -> Value {
        let header = format!("authorization: Bearer {key}");
        let answer = must(self.run(&["-H", &header, "-d", &request.to_string()], &format!("/{method}")));
        serde_json::from_str(&answer).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn buf_lives_a_lease_life_by_reflection() {
    let scene = Scene::with_tokens(1).await;
    let (key, admin) = (scene.collector_key.as_str(), scene.admin_key.as_str());
    let buf = Buf { broker: &scene.broker, home: scene.path() };
    let service = "tokenbroker.v1.LeaseService";
    let wanted = json!({
        "team": "teams/acme", "network": "networks/x", "operation": "tweets.search_recent", "calls": 5,
        "purpose": "PURPOSE_COLLECT_CONTENT", "ttl": "60s",
    });
    let lease = &buf.call(key, &format!("{service}/AcquireLease"), &wanted)["lease"];
    assert_eq!(lease["accessToken"], "access-of-person-0");
    let report = json!({"lease": lease["name"], "sequence": 1, "calls": {"ok": 4}, "wantCalls": 3});
    let reported = buf.call(key, &format!("{service}/ReportUsage"), &report);
    assert_eq!((&reported["callsLeft"], &reported["verdict"]), (&json!(4), &json!("VERDICT_KEEP")));
    let extended = buf.call(key, &format!("{service}/ExtendLease"), &json!({"lease": lease["name"], "ttl": "600s"}));
    assert!(extended["expireTime"].is_string(), "{extended}");
    let released = buf.call(key, &format!("{service}/ReleaseLease"), &json!({"lease": lease["name"]}));
    assert_eq!(released["callsReturned"], 4);
    let seen = buf.call(admin, &format!("{service}/GetLease"), &json!({"name": lease["name"]}));
    assert_eq!(seen["lease"]["state"], "LEASE_STATE_RELEASED");
    assert_eq!(seen["lease"]["accessToken"], Value::Null);
}

#[test]
fn buf_lists_services_and_asks_for_health_without_a_key() {
    let home = tempfile::tempdir().unwrap();
    let broker = Launch::new(&home.path().join("data")).start();
    let buf = Buf { broker: &broker, home: home.path() };
    let listed = must(buf.run(&["--list-services"], ""));
    for service in ["Alert", "Audit", "Key", "Lease", "Load", "Network", "Team", "Token"] {
        let name = format!("tokenbroker.v1.{service}Service");
        assert!(listed.lines().any(|line| line.trim() == name), "{name} is not in {listed}");
    }
    let health: Value = serde_json::from_str(&must(buf.run(&["-d", "{}"], "/grpc.health.v1.Health/Check"))).unwrap();
    assert_eq!(health, json!({"status": "SERVING"}));
    let refused = buf.run(&["-d", "{}"], "/tokenbroker.v1.TeamService/ListTeams");
    assert!(!refused.status.success());
    let error: Value = serde_json::from_str(&refused.stderr).unwrap();
    assert_eq!(error["code"], "unauthenticated");
    let info = &error["details"][0];
    assert_eq!(info["type"], "google.rpc.ErrorInfo");
    let value = STANDARD_NO_PAD.decode(info["value"].as_str().unwrap().trim_end_matches('=')).unwrap();
    assert!(String::from_utf8_lossy(&value).contains("KEY_MISSING"), "{error}");
}

#[test]
fn reflection_can_be_switched_off() {
    let home = tempfile::tempdir().unwrap();
    let broker = Launch::new(&home.path().join("data")).set("GRPC__REFLECTION", false).start();
    let listed = Buf { broker: &broker, home: home.path() }.run(&["--list-services"], "");
    assert!(!listed.status.success() && !listed.text().contains("tokenbroker.v1"), "{}", listed.text());
}
