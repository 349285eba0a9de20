//! A server in a process of its own: this program again, told by an argument what to serve. It ends with its standard input.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// What a server says of itself, once.
#[derive(Serialize, Deserialize)]
pub struct Hello {
    /// Where it listens.
    pub address: SocketAddr,
    /// The metadata `authorization` of its collector.
    pub authorization: String,
}

/// A server's process. Dropping it ends it.
pub struct Child {
    process: std::process::Child,
    answers: BufReader<std::process::ChildStdout>,
    hello: Hello,
}

impl Child {
    /// Starts a server: `role` is what it serves, `dir` where it keeps its state.
    pub fn start(role: &str, dir: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([role.as_ref(), dir.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the server's process can't be started")?;
        let mut answers = BufReader::new(process.stdout.take().context("the output is piped")?);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let hello = serde_json::from_str(&line).with_context(|| format!("the server '{role}' did not start"))?;
        Ok(Self { process, answers, hello })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.hello.address
    }

    /// The metadata `authorization` of its collector.
    pub fn authorization(&self) -> &str {
        &self.hello.authorization
    }

    /// The CPU that its threads have used, to the nanosecond where the kernel tells.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.id()))?;
        let mut nanos = 0;
        for thread in threads {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let on_cpu = text.split(' ').next().context("an empty schedstat")?;
            nanos += on_cpu.parse::<u64>()?;
        }
        ensure!(nanos > 0, "the kernel counts no CPU time per thread (/proc/PID/task/TID/schedstat)");
        Ok(Duration::from_nanos(nanos))
    }

    /// The commits of its store so far.
    pub fn commits(&mut self) -> anyhow::Result<u64> {
        let to = self.process.stdin.as_mut().context("the input is piped")?;
        to.write_all(b"commits\n")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        line.trim().parse().context("the server ended early")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The end of its input asks it to end; the signal makes sure.
        drop(self.process.stdin.take());
        for _ in 0..100 {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
