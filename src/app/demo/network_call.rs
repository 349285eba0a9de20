//! The calls that collectors make to the simulated networks, over real HTTP.

use std::time::Duration;

use bytes::Bytes;

use crate::app::demo::board::CallEnd;
use crate::grpc::pb;

/// In which a simulated network must answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most headers and the longest body that a report may carry.
const HEADERS: usize = 64;
const BODY: usize = 64 << 10;

/// Calls networks, at the simulation's address instead of their own.
#[derive(Clone)]
pub struct NetworkCaller {
    http: reqwest::Client,
    simulation: String,
}

/// The calls made since the last report, and what the network answered last.
#[derive(Debug, Default)]
pub struct Made {
    /// Counted by what became of them.
    pub counts: pb::CallCounts,
    /// The last answer, or the failure.
    pub answer: Option<pb::NetworkAnswer>,
}

impl Made {
    /// Calls that were sent.
    pub fn sent(&self) -> u32 {
        let counts = &self.counts;
        u32::try_from(counts.ok + counts.error + counts.throttled + counts.unknown).unwrap_or_default()
    }

    /// Whether one of them was not served.
    pub fn went_wrong(&self) -> bool {
        self.counts.error + self.counts.throttled + self.counts.unknown > 0
    }
}

impl NetworkCaller {
    /// For networks that are simulated at `simulation`, such as `http://127.0.0.1:7080`.
    pub fn new(simulation: String) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(Self { http, simulation })
    }

    /// Makes one call with a lease's token, and adds it to `made`.
    pub async fn call(&self, lease: &pb::Lease, path: &str, number: u64, made: &mut Made) -> CallEnd {
        let network = lease.network.trim_start_matches("networks/");
        let path = path.replace("{profile}", &lease.profile).replace("{n}", &number.to_string());
        let url = format!("{}/{network}{path}", self.simulation);
        let mut request = self.http.get(url).bearer_auth(&lease.access_token);
        for (name, value) in &lease.request_parameters {
            request = request.query(&[(name, value)]);
        }
        let Ok(response) = request.send().await else {
            made.counts.unknown += 1;
            made.answer = Some(pb::NetworkAnswer::default());
            return CallEnd::Failed;
        };
        let status = response.status();
        let headers = response.headers().iter().take(HEADERS).map(|(name, value)| pb::Header {
            name: name.to_string(),
            value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
        });
        let headers = headers.collect();
        let body = response.bytes().await.unwrap_or_default();
        let body = if status.is_success() { Bytes::new() } else { body.slice(..body.len().min(BODY)) };
        made.answer =
            Some(pb::NetworkAnswer { http_status: i32::from(status.as_u16()), headers, body, receive_time: None });
        match status.as_u16() {
            200..=299 => {
                made.counts.ok += 1;
                CallEnd::Ok
            }
            429 => {
                made.counts.throttled += 1;
                CallEnd::Throttled
            }
            _ => {
                made.counts.error += 1;
                CallEnd::Failed
            }
        }
    }
}
