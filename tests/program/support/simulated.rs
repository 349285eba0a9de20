//! The simulated networks as a process of their own.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::cli;
use super::process::Ready;

/// Simulated networks that are served. Dropping it ends them.
pub struct Simulated {
    /// A client for them.
    pub client: reqwest::Client,
    /// What was said at the start.
    pub said: Value,
    _process: Ready,
}

impl Simulated {
    /// Serves them on a port of the system's choice.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut program = cli(folder);
        program.args(["simulate", "--output", "jsonl", "--listen", "127.0.0.1:0"]).args(arguments);
        let process = Ready::start(&mut program);
        let said = serde_json::from_str(&process.line).unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { client, said, _process: process }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.said["url"].as_str().unwrap())
    }

    /// A JSON document of theirs.
    pub async fn get(&self, path: &str) -> Value {
        self.client.get(self.url(path)).send().await.unwrap().json().await.unwrap()
    }

    /// Sends a body that is called nothing in particular; the status and what was said.
    pub async fn post(&self, path: &str, body: &str) -> (u16, String) {
        let answer = self.client.post(self.url(path)).body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}
