//! The demonstration as people run it: the program itself, from its start to its exit code.

use std::process::{Command, Output};

use serde_json::Value;

/// Runs `token-broker demo`. It ends by itself; what does not is killed long after.
fn demo(arguments: &[&str]) -> Output {
    let program = ["--signal=KILL", "240", env!("CARGO_BIN_EXE_token-broker"), "demo"];
    Command::new("timeout").args(program).args(arguments).output().expect("coreutils has `timeout`")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether an object has all of these keys.
fn has(value: &Value, keys: &[&str]) -> bool {
    keys.iter().all(|key| value.get(key).is_some())
}

fn every(value: &Value, keys: &[&str]) -> bool {
    value.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(|one| has(one, keys)))
}

/// An hour of the networks: one team outgrows its tokens, is told how many are missing, and gets them.
#[test]
fn the_story_is_told_to_its_end_and_every_promise_is_kept() {
    let ended = demo(&["--duration", "45s", "--speed", "80", "--seed", "7", "--output", "json"]);
    let told = text(&ended.stderr);
    assert!(ended.status.success(), "{told}");
    let outcome: Value = serde_json::from_slice(&ended.stdout).expect("stdout is one JSON value");
    assert_eq!((&outcome["seed"], &outcome["speed"]), (&7.into(), &80.into()));
    assert!(outcome["duration_s"].as_f64().is_some_and(|seconds| seconds >= 45.0), "{outcome}");
    assert_eq!((&outcome["throttled"], &outcome["over_grants"]), (&0.into(), &0.into()));
    assert!(outcome["calls_ok"].as_u64().is_some_and(|calls| calls > 1000), "{outcome}");
    assert!(outcome["utilisation"].as_f64().is_some_and(|part| part > 0.0 && part <= 1.0), "{outcome}");
    assert!(has(&outcome["leases"], &["opened", "refused", "p50_ms", "p99_ms"]), "{outcome}");
    assert!(every(&outcome["networks"], &["network", "class", "available", "used", "utilisation", "throttled"]));
    assert!(every(&outcome["load"], &["team", "network", "class", "ratio", "level"]));
    let load = outcome["load"].as_array().into_iter().flatten();
    assert!(load.clone().all(|one| one["ratio"].as_f64() != Some(0.0)), "only what was asked for: {load:?}");
    assert!(every(&outcome["alerts"], &["kind", "team", "network", "level", "opened_at", "cleared_at", "message"]));
    let alerts: Vec<&Value> = outcome["alerts"].as_array().into_iter().flatten().collect();
    let of = |team: &str, network: &str| {
        let of_team = |alert: &&&Value| alert["team"] == team && alert["network"] == network;
        alerts.iter().find(of_team).unwrap_or_else(|| panic!("no alert of {team} on {network}: {alerts:?}\n{told}"))
    };
    let outgrown = of("acme", "x");
    assert_eq!(outgrown["kind"], "token_load_too_high");
    assert!(outgrown["message"].as_str().is_some_and(|said| said.contains(" more x token")), "{outgrown}");
    assert!(outgrown["cleared_at"].is_string(), "{outgrown}\n{told}");
    let app_limit = of("globex", "youtube");
    let adds_nothing = "more tokens add nothing here: the limit belongs to the app";
    assert!(app_limit["message"].as_str().is_some_and(|said| said.contains(adds_nothing)), "{app_limit}");
    assert_eq!(alerts.len(), 2, "nothing else is too high: {alerts:?}");
    for said in ["acme starts a campaign", "ALERT  Token load too high: team acme", "as advised", "CLEARED  acme"] {
        assert!(told.contains(said), "{said}\n{told}");
    }
}

#[test]
fn without_a_terminal_it_writes_lines() {
    let ended = demo(&["--duration", "10s", "--speed", "20"]);
    let said = text(&ended.stdout);
    assert!(ended.status.success(), "{said}{}", text(&ended.stderr));
    assert!(!said.contains('\u{1b}'), "no colours, no cursor: {said}");
    for expected in [
        "acme    X searches     3 tokens, credit ",
        "globex  Pinterest pins 1 token, credit ",
        "time ran 20 × faster there",
        "OK: nothing was throttled, nothing over-granted.",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
}

#[test]
fn what_can_not_be_is_refused_with_what_to_do() {
    for (arguments, expected) in [
        (&["--duration", "0s"][..], "--duration must be between 10s and 1h"),
        (&["--duration", "1s"], "--duration must be between 10s and 1h"),
        (&["--duration", "soon"], "--duration"),
        (&["--speed", "0"], "--speed must be between 1 and 600"),
        (&["--speed", "601"], "--speed must be between 1 and 600"),
        (&["--seed", "x"], "--seed"),
    ] {
        let ended = demo(arguments);
        assert!(ended.status.code() == Some(2) && ended.stdout.is_empty(), "{arguments:?}: {:?}", ended.status);
        assert!(text(&ended.stderr).contains(expected), "{arguments:?}: {}", text(&ended.stderr));
    }
    let nowhere = Command::new(env!("CARGO_BIN_EXE_token-broker")).arg("demo").env("TMPDIR", "/proc/nowhere").output();
    let nowhere = nowhere.expect("the program was built");
    assert!(!nowhere.status.success());
    assert!(
        text(&nowhere.stderr).contains("set TMPDIR to a directory that can be written"),
        "{}",
        text(&nowhere.stderr)
    );
}
