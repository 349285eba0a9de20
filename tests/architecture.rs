//! Keeps the layers: imports go down only, and crates stay in the layers that are their homes.

#![expect(clippy::unwrap_used, reason = "a test panics where something is wrong")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each layer may import from this crate.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("config", &["base"]),
    ("telemetry", &["base", "config"]),
    ("text", &["base"]),
    ("domain", &["base", "text"]),
    ("vault", &["base", "config"]),
    ("store", &["base", "config", "domain"]),
    ("outbound", &["base", "config", "domain"]),
    ("engine", &["base", "domain", "store", "telemetry"]),
    ("service", &["base", "config", "telemetry", "text", "domain", "vault", "store", "outbound", "engine"]),
    ("grpc", &["base", "config", "telemetry", "text", "domain", "service"]),
    ("web", &["base", "config", "telemetry", "text", "domain", "service"]),
    ("sim", &["base", "domain"]),
    (
        "app",
        &[
            "base",
            "config",
            "telemetry",
            "domain",
            "vault",
            "store",
            "outbound",
            "engine",
            "service",
            "grpc",
            "web",
            "sim",
        ],
    ),
    (
        "cli",
        &[
            "base",
            "config",
            "telemetry",
            "domain",
            "vault",
            "store",
            "outbound",
            "engine",
            "service",
            "grpc",
            "web",
            "sim",
            "app",
        ],
    ),
];

/// Where a crate may be used; crates that are not here may be used anywhere.
const HOMES: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("tonic", &["grpc", "app", "cli"]),
    ("tonic_types", &["grpc", "cli"]),
    ("prost", &["grpc", "cli"]),
    ("prost_types", &["grpc", "cli", "app"]),
    ("axum", &["web", "sim"]),
    ("askama", &["web"]),
    ("fluent_bundle", &["text"]),
    ("tower_http", &["web"]),
    ("argon2", &["vault"]),
    ("zxcvbn", &["domain"]),
    ("reqwest", &["outbound", "app"]),
    ("vaultrs", &["outbound"]),
    ("aws_config", &["outbound"]),
    ("aws_sdk_kms", &["outbound"]),
    ("oauth2", &["outbound"]),
    ("openidconnect", &["outbound"]),
    ("governor", &["base", "grpc", "outbound", "domain", "service"]),
    ("clap", &["cli"]),
    ("comfy_table", &["cli", "app"]),
    ("indicatif", &["cli"]),
    ("anyhow", &["cli", "app"]),
];

/// What the rules must not know: they are pure.
const IMPURE: &[&str] = &["tokio", "futures_util", "std::fs", "std::net", "std::env", "std::thread", "tracing"];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The layer of a source file, and its lines outside comments, up to its tests.
fn read(path: &Path) -> Option<(String, Vec<String>)> {
    let below = path.strip_prefix(root()).unwrap();
    let layer = below.components().next()?.as_os_str().to_str()?.to_owned();
    let name = path.file_stem()?.to_str()?;
    let is_test = name.ends_with("tests")
        || ["testing", "watched", "stub"].contains(&name)
        || below.components().any(|part| ["contract", "tests"].iter().any(|folder| part.as_os_str() == *folder));
    if is_test || layer.ends_with(".rs") {
        return None;
    }
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let lines = lines.take_while(|line| *line != "#[cfg(test)]" || line.is_empty()).map(str::to_owned);
    Some((layer, lines.collect()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Whether `line` names `path` as a whole word.
fn names(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + path.len()..].chars().next();
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !word(before) && before != Some(':') && !word(after)
    })
}

#[test]
fn imports_go_down_only() {
    let allowed: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for path in sources(&root()) {
        let Some((layer, lines)) = read(&path) else { continue };
        let may = allowed.get(layer.as_str()).unwrap_or_else(|| panic!("{layer} is no layer: add it to the table"));
        for line in &lines {
            for (other, _) in LAYERS {
                let imports = names(line, &format!("crate::{other}"));
                if imports && *other != layer && !may.contains(other) {
                    wrong.push(format!("{}: {layer} must not import {other}: {line}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the judge may know of the rules: the catalogue as data, and nothing that counts or reads answers.
#[test]
fn the_simulation_keeps_its_own_books() {
    let readers = ["classify", "classify_renewal", "classify_token_endpoint", "classify_authorization", "read_usage"];
    let mut wrong = Vec::new();
    for path in sources(&root()) {
        let Some((layer, lines)) = read(&path) else { continue };
        for line in lines.iter().filter(|_| layer == "sim") {
            let counts = names(line, "crate::domain") && !line.contains("crate::domain::networks::");
            if counts || readers.iter().any(|reader| names(line, reader)) {
                wrong.push(format!("{}: not by the simulation's own hand: {line}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_stay_at_home() {
    let mut wrong = Vec::new();
    for path in sources(&root()) {
        let Some((layer, lines)) = read(&path) else { continue };
        for line in &lines {
            for (name, homes) in HOMES {
                if names(line, &format!("{name}::")[..name.len()])
                    && line.contains(&format!("{name}::"))
                    && !homes.contains(&layer.as_str())
                {
                    wrong.push(format!("{}: {name} belongs to {}: {line}", path.display(), homes.join(", ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_rules_are_pure() {
    let mut wrong = Vec::new();
    for path in sources(&root()) {
        let Some((layer, lines)) = read(&path) else { continue };
        for line in lines.iter().filter(|_| layer == "domain") {
            for name in IMPURE {
                if line.contains(&format!("{name}::")) {
                    wrong.push(format!("{}: {name} in a rule: {line}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<_> = sources(&root())
        .into_iter()
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//!"))
        .map(|path| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no //! at the top of:\n{}", silent.join("\n"));
}
