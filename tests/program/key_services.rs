//! The sealing key is wrapped by AWS KMS (moto's) or by Vault (a stand-in, since no server of it can be had): from the first start, and
//! taken over from an open key file by a rotation. Without the service a broker that runs goes on, and none starts.

use std::path::Path;

use crate::support::{Broker, Ended, Launch, Ready, cli, python, run_bounded};

const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/key_services.py");

fn start(service: &str) -> Ready {
    Ready::start(python().arg(SERVICES).arg(service))
}

fn ask(broker: &Broker, home: &Path, key: &str, words: &[&str]) -> Ended {
    let mut command = cli(home);
    command.args(words).args(["--output", "json", "--server", &broker.url()]);
    run_bounded(command.env("TOKEN_BROKER_KEY", key), b"")
}

fn line_of_key(data: &Path) -> String {
    let text = std::fs::read_to_string(data.join("sealing.key")).unwrap();
    text.lines().last().unwrap().to_owned()
}

/// Starts with an open key, has it changed to one that the service wraps, and starts again, with and without the service.
fn wrapped_by(service: &str, configured: impl Fn(Launch, &str) -> Launch) {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let broker = Launch::new(&data).start();
    let key = broker.first_key();
    assert!(broker.stop().status.success());
    assert!(line_of_key(&data).starts_with("token-broker-key-1 "));

    let running = start(service);
    let launch = || configured(Launch::new(&data), &running.line);
    let broker = launch().start();
    let rotated = ask(&broker, home.path(), &key, &["keys", "rotate"]);
    assert!(rotated.status.success(), "{}", rotated.text());
    assert!(line_of_key(&data).starts_with(&format!("token-broker-key-2 {} ", service_name(service))));
    assert!(broker.stop().status.success());

    let broker = launch().start();
    let launch = launch();
    drop(running);
    let shown = ask(&broker, home.path(), &key, &["keys", "show"]);
    assert!(shown.status.success(), "{}", shown.text());
    let refused = ask(&broker, home.path(), &key, &["keys", "rotate"]);
    assert!(!refused.status.success());
    assert!(broker.stop().status.success());
    let ended = launch.try_start().err().expect("nobody unwraps the key");
    assert!(ended.stderr.contains("did not answer"), "{}", ended.stderr);
    let ended = Launch::new(&data).try_start().err().expect("nobody is asked to unwrap the key");
    assert!(ended.stderr.contains("which is not configured"), "{}", ended.stderr);
}

fn service_name(service: &str) -> &'static str {
    if service == "kms" { "aws-kms" } else { "vault-transit" }
}

#[test]
fn aws_kms_wraps_the_sealing_key() {
    wrapped_by("kms", |launch, line| {
        let (endpoint, key) = line.split_once(' ').unwrap();
        let launch = launch.set("VAULT__AWS_KMS__KEY_ID", key).set("VAULT__AWS_KMS__ENDPOINT", endpoint);
        let launch = launch.set("VAULT__AWS_KMS__REGION", "eu-central-1");
        launch.variable("AWS_ACCESS_KEY_ID", "test").variable("AWS_SECRET_ACCESS_KEY", "test")
    });
}

#[test]
fn vault_wraps_the_sealing_key() {
    let secrets = tempfile::tempdir().unwrap();
    let token = secrets.path().join("token");
    std::fs::write(&token, "token-of-the-broker\n").unwrap();
    let configured = |launch: Launch, line: &str| {
        launch.set("VAULT__TRANSIT__ADDRESS", line).set("VAULT__TRANSIT__TOKEN_FILE", token.display())
    };
    wrapped_by("transit", configured);

    let (running, home) = (start("transit"), tempfile::tempdir().unwrap());
    std::fs::write(&token, "another\n").unwrap();
    let data = home.path().join("data");
    let ended = configured(Launch::new(&data), &running.line).try_start().err().expect("Vault refuses");
    assert!(ended.stderr.contains("refused (status 403)"), "{}", ended.stderr);
    assert!(!data.join("sealing.key").exists());
}
