//! The five minutes of the README, word for word: its blocks are taken from the page and run in a shell against a fresh broker.
//! Left out is only what fetches, builds and starts things.

use std::path::Path;
use std::process::Command;

use crate::support::{BINARY, Broker, Ended, Launch, python, run_bounded, tool};

const README: &str = include_str!("../../README.md");
const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
/// Lines that a test can't, or must not, repeat.
const LEFT_OUT: &[&str] = &[
    "cargo build",
    "target/release/token-broker serve",
    "alias token-broker=",
    "export TOKEN_BROKER_KEY=",
    "python3 -m venv",
    "venv/bin/pip install",
];

/// The code blocks of a section in one language, in their order.
fn blocks(section: &str, language: &str) -> Vec<String> {
    let (_, text) = README.split_once(&format!("\n## {section}")).expect("the README has this section");
    let text = text.split_once("\n## ").map_or(text, |(text, _)| text);
    let parts: Vec<_> = text.split("```").collect();
    let inside = parts.iter().skip(1).step_by(2);
    inside.filter_map(|block| block.strip_prefix(&format!("{language}\n"))).map(str::to_owned).collect()
}

/// A terminal in an empty folder, with the programs that the README calls.
struct Shell {
    home: tempfile::TempDir,
    broker: Broker,
    key: String,
}

impl Shell {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let broker = Launch::new(&home.path().join("data")).start();
        let key = broker.first_key();
        let shell = Self { home, broker, key };
        std::os::unix::fs::symlink(PROTO, shell.path().join("proto")).unwrap();
        shell.install("token-broker", &format!("exec '{BINARY}' \"$@\""));
        // buf asks the same question; grpcurl comes with no registry that the tests use.
        let buf = tool("buf").get_program().to_string_lossy().into_owned();
        let grpcurl = format!(
            "test \"$1 $2 $4\" = '-plaintext -H -d'\n\
             exec '{buf}' curl --protocol grpc --http2-prior-knowledge -H \"$3\" -d \"$5\" \"http://$6/$7\""
        );
        shell.install("grpcurl", &grpcurl);
        let python = python().get_program().to_string_lossy().into_owned();
        shell.install("venv/bin/python", &format!("exec '{python}' \"$@\""));
        shell
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    fn install(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = if name.contains('/') { self.path().join(name) } else { self.path().join("bin").join(name) };
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\nset -e\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs lines of the README. The broker of the test listens elsewhere.
    fn run(&self, lines: &str) -> Ended {
        let address = self.broker.grpc.to_string();
        let lines = lines.replace("127.0.0.1:7070", &address);
        let mut shell = Command::new("bash");
        let script = format!("PATH=\"$HOME/bin:$PATH\"\n{lines}");
        shell.args(["-euo", "pipefail", "-c", &script]).current_dir(self.path()).env_remove("TOKEN_BROKER_TEAM");
        shell.env("HOME", self.path()).env("TOKEN_BROKER_KEY", &self.key);
        shell.env("TOKEN_BROKER_SERVER", self.broker.url());
        let ended = run_bounded(&mut shell, b"");
        assert!(ended.status.success(), "{lines}\n{}", ended.text());
        ended
    }
}

/// Whether every line that is left out is there to be left out, and the rest of the block.
fn runnable(block: &str, left_out: &mut Vec<&str>) -> String {
    let keeps = |line: &&str| match LEFT_OUT.iter().find(|start| line.starts_with(**start)) {
        Some(start) => {
            left_out.push(start);
            false
        }
        None => true,
    };
    block.lines().filter(keeps).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_five_minutes_work_word_for_word() {
    let shell = Shell::new();
    let [worker] = &blocks("Five minutes", "python")[..] else { panic!("one program in Python") };
    let worker = worker.replace("127.0.0.1:7070", &shell.broker.grpc.to_string());
    std::fs::write(shell.path().join("worker.py"), worker).unwrap();
    let (mut left_out, mut said, mut lease) = (Vec::new(), String::new(), None);
    for block in blocks("Five minutes", "sh") {
        let block = runnable(&block, &mut left_out);
        // Where a line needs the lease that an earlier one showed, a person copies it.
        let (before, after) = block.split_once("token-broker lease report").unwrap_or((&block, ""));
        said.push_str(&shell.run(before).stdout);
        lease = lease.or_else(|| said.split("leases/").nth(1)?.split_whitespace().next().map(str::to_owned));
        if let (Some(lease), false) = (&lease, after.is_empty()) {
            said.push_str(&shell.run(&format!("token-broker lease report{after}").replace("lse_…", lease)).stdout);
        }
    }
    assert_eq!(left_out, LEFT_OUT, "each is left out once");
    for expected in ["2 added", "Alice", "at-alice", "keep", "calls returned", "\"accessToken\"", "used and gave back"]
    {
        assert!(said.contains(expected), "{expected} is missing in\n{said}");
    }
    let ended = shell.broker.stop();
    assert!(ended.status.success(), "{}", ended.stderr);
}
