//! Other programs: the command line of the broker, and tools that `scripts/test` installs.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_token-broker");

/// A tool: one that was installed beside the build, else one of the system. A missing one fails the test.
pub fn tool(name: &str) -> Command {
    let beside = tools().join("node_modules/.bin").join(name);
    let path = if beside.exists() { beside } else { PathBuf::from(name) };
    let found = Command::new(&path).arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(found, "{name} is missing: run scripts/test --install first");
    Command::new(path)
}

/// The Python that has grpcio and aiosmtpd.
pub fn python() -> Command {
    let path = tools().join("python/bin/python");
    let found = Command::new(&path).args(["-c", "import grpc, grpc_tools, aiosmtpd"]).output();
    assert!(
        found.is_ok_and(|output| output.status.success()),
        "python with grpcio or aiosmtpd is missing: run scripts/test --install first"
    );
    Command::new(path)
}

/// A script of Node.js that imports what `scripts/test` installs: it is copied beside that, where imports are looked for.
pub fn installed(name: &str, script: &str) -> PathBuf {
    let folder = tools();
    assert!(
        folder.join("node_modules/oidc-provider").exists(),
        "oidc-provider is missing: run scripts/test --install first"
    );
    let path = folder.join(name);
    std::fs::write(&path, script).unwrap();
    path
}

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools")
}

/// The command line, without anything of this user's surroundings. `home` takes what it may write.
pub fn cli(home: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear().env("HOME", home).env("TZ", "UTC").current_dir(home);
    command
}
