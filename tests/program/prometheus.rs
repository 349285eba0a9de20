//! Prometheus itself judges the metrics: promtool finds nothing to complain of, and a server scrapes them.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use token_broker::telemetry::TABLE;

use crate::support::{Scene, has_ended, run_bounded, tool};

/// How often a question is asked before it counts as unanswered, and how long between two tries.
const TRIES: u32 = 600;
const BETWEEN: Duration = Duration::from_millis(200);
/// Metrics that have a value only after something went wrong, a window ended, or a network was asked to renew.
const RARE: &[&str] = &[
    "token_broker_block_wasted_credits_total",
    "token_broker_messages_total",
    "token_broker_renewals_total",
    "token_broker_probes_total",
];

async fn get(url: &str) -> Option<String> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
    let answer = client.get(url).send().await.ok()?;
    if answer.status().is_success() { answer.text().await.ok() } else { None }
}

/// A broker that has leased, been told of a limit, and refused: so that most series hold something.
async fn busy_broker() -> Scene {
    let scene = Scene::with_tokens(2).await;
    let lease = scene.collector.acquire(scene.search(5)).await.unwrap();
    let report = token_broker::grpc::pb::ReportUsageRequest {
        lease: lease.name,
        sequence: 1,
        calls: Some(token_broker::grpc::pb::CallCounts { ok: 1, throttled: 1, ..Default::default() }),
        want_calls: 1,
        ..Default::default()
    };
    scene.collector.report(report).await.unwrap();
    scene.collector.acquire(scene.search(100_000)).await.unwrap_err();
    scene
}

/// The metrics once they are as wanted: some tell of a look at the books that is taken every few seconds.
async fn until(scene: &Scene, wanted: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    for _ in 0..TRIES {
        text = get(&format!("http://{}/metrics", scene.broker.http)).await.expect("the metrics are served");
        if wanted(&text) {
            return text;
        }
        tokio::time::sleep(BETWEEN).await;
    }
    panic!("the metrics never are as wanted:\n{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn promtool_has_nothing_to_complain_of() {
    let scene = busy_broker().await;
    let metrics = get(&format!("http://{}/metrics", scene.broker.http)).await.expect("the metrics are served");
    for series in ["token_broker_leases_opened_total", "token_broker_leases_refused_total"] {
        let counted = metrics.lines().any(|line| line.starts_with(series) && !line.ends_with(" 0"));
        assert!(counted, "{series} has counted nothing:\n{metrics}");
    }
    for metric in TABLE.iter().filter(|metric| !RARE.contains(&metric.name)) {
        let (help, unit) = (format!("# HELP {} ", metric.name), format!("# TYPE {} ", metric.name));
        until(&scene, |text| text.contains(&help) && text.contains(&unit)).await;
    }
    let checked = run_bounded(tool("promtool").args(["check", "metrics"]), metrics.as_bytes());
    assert!(checked.status.success() && checked.text().trim().is_empty(), "{}\n{metrics}", checked.text());
    let broken = run_bounded(tool("promtool").args(["check", "metrics"]), b"token_broker_x_total{ 1\n");
    assert!(!broken.status.success(), "promtool would complain");
}

/// A Prometheus server; dropping it kills it.
struct Prometheus {
    child: Child,
    url: String,
}

impl Prometheus {
    /// Scrapes `target`. Prometheus can't be asked for a free port, so another is taken where one is lost meanwhile.
    async fn start(folder: &std::path::Path, target: &str) -> Self {
        let config = folder.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: broker\n  static_configs:\n  - targets: ['{target}']\n"
        );
        std::fs::write(&config, text).unwrap();
        for at in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command: Command = tool("prometheus");
            command.arg(format!("--config.file={}", config.display()));
            command.arg(format!("--storage.tsdb.path={}", folder.join(format!("series-{at}")).display()));
            command.arg(format!("--web.listen-address=127.0.0.1:{port}")).stdin(Stdio::null());
            let log = std::fs::File::create(folder.join("prometheus.log")).unwrap();
            command.stdout(log.try_clone().unwrap()).stderr(log);
            let mut server = Self { child: command.spawn().unwrap(), url: format!("http://127.0.0.1:{port}") };
            if server.is_ready().await {
                return server;
            }
        }
        panic!("prometheus does not start: {}", std::fs::read_to_string(folder.join("prometheus.log")).unwrap());
    }

    async fn is_ready(&mut self) -> bool {
        for _ in 0..TRIES {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if get(&format!("{}/-/ready", self.url)).await.is_some() {
                return true;
            }
            tokio::time::sleep(BETWEEN).await;
        }
        false
    }

    /// The value of the first series that a query finds, once it finds one for which `good` holds.
    async fn query(&self, query: &str, good: impl Fn(f64) -> bool) -> f64 {
        let mut last = String::new();
        for _ in 0..TRIES {
            last = get(&format!("{}/api/v1/query?query={query}", self.url)).await.unwrap_or_default();
            let answer: Value = serde_json::from_str(&last).unwrap_or_default();
            let value = answer["data"]["result"][0]["value"][1].as_str().and_then(|text| text.parse().ok());
            if let Some(value) = value.filter(|value| good(*value)) {
                return value;
            }
            tokio::time::sleep(BETWEEN).await;
        }
        panic!("{query} finds nothing: {last}");
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_real_prometheus_scrapes_the_broker() {
    let scene = busy_broker().await;
    let folder = tempfile::tempdir().unwrap();
    let server = Prometheus::start(folder.path(), &scene.broker.http.to_string()).await;
    let pid = server.child.id();
    server.query("up", |value| value == 1.0).await;
    let opened = server.query("sum(token_broker_leases_opened_total)", |_| true).await;
    assert_eq!(opened, 1.0, "the lease of this test");
    drop(server);
    assert!(has_ended(pid));
}
