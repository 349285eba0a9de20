//! Mistakes in the configuration: all of them are told at once, each with its line and field, and nothing is begun.

use crate::support::{Launch, cli, run_bounded};

/// Mistakes of every sort, with what must be told of each.
const MISTAKES: &[(&str, &str)] = &[
    ("[grpc]", ""),
    ("listen = \"0.0.0.0:7070\"", "grpc.listen"),
    ("deadline = \"soon\"", "grpc.deadline"),
    ("tls_cert = \"/nowhere/cert.pem\"", "grpc.tls_cert"),
    ("[grpc.limits]", ""),
    ("streams = 0", "grpc.limits.streams"),
    ("header_list = \"lots\"", "grpc.limits.header_list"),
    ("[credit]", ""),
    ("owner_reserve = \"95%\"", "credit.owner_reserve"),
    ("choice = \"random\"", "credit.choice"),
    ("[load]", ""),
    ("open_at = 0.5", "load.open_at"),
    ("clear_at = 0.7", "load.clear_at"),
    ("[log]", ""),
    ("formt = \"json\"", "log.formt"),
    ("[nonsense]", "nonsense"),
    ("key = 1", ""),
    ("[networks.nowhere]", ""),
    ("choice = \"round_robin\"", "networks.nowhere"),
    ("[networks.x.safe_start]", ""),
    ("no_such_class = 1", "networks.x.safe_start.no_such_class"),
];

/// Pairs of which only one needs to be told.
const EITHER: &[&str] = &["load.open_at"];

#[test]
fn every_mistake_is_told_at_once_with_line_and_field() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("broker.toml");
    let text: Vec<_> = MISTAKES.iter().map(|(line, _)| *line).collect();
    std::fs::write(&file, text.join("\n")).unwrap();
    for command in ["config check", "serve --data-dir data"] {
        let mut program = cli(home.path());
        program.args(command.split(' ')).arg("--config").arg(&file);
        program.env("TOKEN_BROKER__HTTP__LISTEN", "nowhere");
        let ended = run_bounded(&mut program, b"");
        assert_eq!(ended.status.code(), Some(1), "{command}: {}", ended.text());
        for ((_, field), line) in MISTAKES.iter().zip(1..).filter(|((_, field), _)| !field.is_empty()) {
            let place = format!("broker.toml:{line}: {field}");
            let told = ended.stderr.lines().any(|one| one.contains(&place));
            assert!(told || EITHER.contains(field), "{command}: {place} is missing in\n{}", ended.stderr);
        }
        assert!(ended.stderr.contains("TOKEN_BROKER__HTTP__LISTEN: http.listen"), "{command}: {}", ended.stderr);
    }
    assert!(!home.path().join("data").exists(), "nothing was begun");
    let mut check = cli(home.path());
    let ended = run_bounded(check.args(["config", "check", "--output", "json", "--config"]).arg(&file), b"");
    assert_eq!(ended.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let at =
        |field: &str| told.as_array().unwrap().iter().find(|one| one["field"] == field).map(|one| one["line"].clone());
    assert_eq!(at("grpc.listen"), Some(2.into()), "{told}");
    assert_eq!(at("networks.nowhere"), Some(19.into()), "{told}");
}

#[test]
fn the_example_has_no_mistakes_and_is_what_holds_without_it() {
    let home = tempfile::tempdir().unwrap();
    let example = run_bounded(cli(home.path()).args(["config", "example"]), b"");
    let file = home.path().join("broker.toml");
    std::fs::write(&file, &example.stdout).unwrap();
    let checked = run_bounded(cli(home.path()).args(["config", "check", "--config"]).arg(&file), b"");
    assert!(checked.status.success(), "{}", checked.text());
    let without = run_bounded(cli(home.path()).args(["config", "check"]), b"");
    assert!(without.status.success(), "{}", without.text());
    let missing = run_bounded(cli(home.path()).args(["config", "check", "--config", "nowhere.toml"]), b"");
    assert_eq!(missing.status.code(), Some(1));
    assert!(missing.stderr.contains("nowhere.toml"), "{}", missing.stderr);
}

#[test]
fn mistakes_in_catalogue_files_and_in_network_settings_are_told() {
    let home = tempfile::tempdir().unwrap();
    let catalogue = home.path().join("catalogue");
    std::fs::create_dir(&catalogue).unwrap();
    std::fs::write(catalogue.join("tiny.toml"), "display_name = \"\"\nnonsense = 1\n").unwrap();
    let serve = |name: &str, value: &str| {
        let mut program = cli(home.path());
        program.args(["serve", "--data-dir", "data", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]);
        let ended = run_bounded(program.env(name, value), b"");
        assert_eq!(ended.status.code(), Some(1), "{}", ended.text());
        ended.stderr
    };
    let said = serve("TOKEN_BROKER__CATALOGUE__DIR", &catalogue.display().to_string());
    assert!(said.contains("tiny.toml") && said.contains("nonsense") && said.contains("api_base"), "{said}");
    let mut check = cli(home.path());
    let check = check.args(["config", "check"]).env("TOKEN_BROKER__CATALOGUE__DIR", &catalogue);
    let told = run_bounded(check, b"").stderr;
    assert!(told.contains("tiny.toml:2: nonsense"), "{told}");
    let empty = tempfile::tempdir().unwrap();
    let said = serve("TOKEN_BROKER__CATALOGUE__DIR", &empty.path().display().to_string());
    assert!(said.contains("catalogue.dir") && said.contains("holds no file"), "{said}");
    let said = serve("TOKEN_BROKER__CATALOGUE__DIR", "/nowhere");
    assert!(said.contains("catalogue.dir") && said.contains("/nowhere"), "{said}");
    let said = serve("TOKEN_BROKER__NETWORKS__NOWHERE__TOKEN_CONCURRENCY", "4");
    assert!(said.to_lowercase().contains("networks.nowhere"), "{said}");
}

#[test]
fn a_file_of_authorities_without_any_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("ca.pem");
    for text in [None, Some("nonsense")] {
        text.iter().for_each(|text| std::fs::write(&file, text).unwrap());
        let launch = Launch::new(&home.path().join("data")).set("OUTBOUND__CA_FILE", file.display());
        let ended = launch.try_start().err().expect("it is not begun");
        assert!(ended.stderr.contains("outbound.ca_file: '"), "{}", ended.stderr);
    }
}
