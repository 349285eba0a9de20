//! What is recorded arrives, under the names and labels of the table, and stays bounded.

use std::collections::{BTreeMap, BTreeSet};

use super::super::OVERFLOW;
use super::super::rows::{AlertRow, IncidentRow, LoadRow, TokenRow};
use super::*;

fn load(team: &str, ratio: f64, demand: f64) -> LoadRow {
    LoadRow {
        team: team.parse().unwrap(),
        network: "x".parse().unwrap(),
        class: "search".parse().unwrap(),
        ratio,
        demand,
        supply: 10.0,
        left: 5.0,
    }
}

/// Calls every recording function.
fn record_everything(metrics: &Metrics) {
    metrics.message_ended("mail", "sent");
    metrics.set_messages(1, 2, Duration::from_secs(3));
    let x: NetworkId = "x".parse().unwrap();
    metrics.set_loads(&[load("acme", 0.5, 5.0)]);
    metrics.set_tokens(&[TokenRow { network: x.clone(), status: "live", count: 3 }]);
    metrics.set_alerts(&[AlertRow { kind: "token_load_too_high", state: "open", count: 1 }]);
    metrics.set_incidents(&[IncidentRow { network: x.clone(), kind: "network_reset", count: 1 }]);
    metrics.set_over_grants(0);
    metrics.set_damaged_secrets("app", 1);
    metrics.set_clock_skew(-1_500_000);
    metrics.store_committed(16, Duration::from_millis(2));
    metrics.blocks_wasted(&x, &"search".parse().unwrap(), 7);
    metrics.connections("grpc").increment(1.0);
    metrics.grpc_method("tokenbroker.v1.LeaseService/AcquireLease").answered(8, Duration::from_micros(80));
    let network = metrics.network(&x);
    network.leases_are(2);
    network.waiting_are(0);
    network.leases_restored(0);
    network.lease_opened();
    network.lease_closed();
    network.lease_refused("credit_exhausted");
    network.wait_began();
    network.wait_ended(Duration::from_secs(3));
    network.throttled(4);
    network.renewal_ended("renewed");
    network.probe_ended("works");
}

fn value_of(rendered: &str, series: &str) -> Option<f64> {
    rendered.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

/// Metric name → its label names, of every sample line.
fn labels_seen(rendered: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in rendered.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, labels) =
            line.split_once('{').map_or_else(|| (line.split(' ').next().unwrap(), ""), |(name, rest)| (name, rest));
        let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
        let names = labels.split(',').filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned());
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        seen.entry(family.to_owned()).or_default().extend(names.filter(|name| name != "le"));
    }
    seen
}

#[test]
fn what_is_recorded_is_what_the_table_says() {
    let metrics = Metrics::new(&config::Metrics::default());
    record_everything(&metrics);
    let rendered = metrics.render();
    let expected: BTreeMap<String, BTreeSet<String>> = TABLE
        .iter()
        .map(|metric| (metric.name.to_owned(), metric.labels.iter().map(|label| (*label).to_owned()).collect()))
        .collect();
    assert_eq!(labels_seen(&rendered), expected);
    for metric in TABLE {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert!(rendered.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
        assert!(rendered.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{}", metric.name);
    }
}

#[test]
fn values_arrive() {
    let metrics = Metrics::new(&config::Metrics::default());
    record_everything(&metrics);
    let rendered = metrics.render();
    let cases = [
        ("token_broker_team_load_ratio{team=\"acme\",network=\"x\",class=\"search\"}", 0.5),
        ("token_broker_leases_active{network=\"x\"}", 2.0),
        ("token_broker_leases_opened_total{network=\"x\"}", 1.0),
        ("token_broker_leases_refused_total{network=\"x\",reason=\"credit_exhausted\"}", 1.0),
        ("token_broker_requests_waiting{network=\"x\"}", 0.0),
        ("token_broker_wait_seconds_bucket{network=\"x\",le=\"2.5\"}", 0.0),
        ("token_broker_wait_seconds_bucket{network=\"x\",le=\"5\"}", 1.0),
        ("token_broker_store_commit_commands_sum", 16.0),
        ("token_broker_clock_skew_seconds", -1.5),
        (
            "token_broker_grpc_requests_total{method=\"tokenbroker.v1.LeaseService/AcquireLease\",code=\"RESOURCE_EXHAUSTED\"}",
            1.0,
        ),
    ];
    for (series, value) in cases {
        assert_eq!(value_of(&rendered, series), Some(value), "{series} in\n{rendered}");
    }
}

#[test]
fn teams_beyond_the_cap_share_one_label_and_gone_ones_fall_to_zero() {
    let metrics = Metrics::new(&config::Metrics { max_teams: 1 });
    metrics.set_loads(&[load("acme", 0.5, 5.0), load("b", 1.5, 15.0), load("c", 0.1, 1.0)]);
    let series =
        |metric: &str, team: &str| format!("token_broker_{metric}{{team=\"{team}\",network=\"x\",class=\"search\"}}");
    let rendered = metrics.render();
    assert_eq!(value_of(&rendered, &series("team_load_ratio", OVERFLOW)), Some(1.5));
    assert_eq!(value_of(&rendered, &series("team_demand_credits", OVERFLOW)), Some(16.0));
    assert_eq!(value_of(&rendered, &series("team_demand_credits", "b")), None);
    metrics.set_loads(&[load("b", 0.2, 2.0)]);
    let rendered = metrics.render();
    assert_eq!(value_of(&rendered, &series("team_load_ratio", "acme")), Some(0.0));
    assert_eq!(value_of(&rendered, &series("team_load_ratio", OVERFLOW)), Some(0.2));
}

#[test]
fn networks_beyond_the_cap_share_their_metrics() {
    let metrics = Metrics::new(&config::Metrics::default());
    for number in 0..MAX_NETWORKS + 50 {
        metrics.network(&format!("n{number}").parse().unwrap()).lease_opened();
    }
    let rendered = metrics.render();
    assert_eq!(value_of(&rendered, "token_broker_leases_opened_total{network=\"_other\"}"), Some(50.0));
    assert_eq!(rendered.matches("token_broker_leases_opened_total{").count(), MAX_NETWORKS + 1);
}

#[test]
fn nothing_keeps_the_metrics_alive() {
    let metrics = Metrics::new(&config::Metrics::default());
    let inner = Arc::downgrade(&metrics.0);
    record_everything(&metrics);
    drop(metrics);
    assert!(inner.upgrade().is_none());
}

#[test]
fn a_status_code_that_does_not_exist_is_unknown() {
    let metrics = Metrics::new(&config::Metrics::default());
    metrics.grpc_method("m").answered(99, Duration::ZERO);
    assert_eq!(
        value_of(&metrics.render(), "token_broker_grpc_requests_total{method=\"m\",code=\"UNKNOWN\"}"),
        Some(1.0)
    );
}

#[tokio::test(start_paused = true)]
async fn upkeep_ends_with_the_tasks() {
    let tasks = Tasks::default();
    Metrics::new(&config::Metrics::default()).start_upkeep(&tasks);
    tokio::time::advance(UPKEEP * 3).await;
    tasks.stop();
    assert!(tasks.join(Duration::from_secs(1)).await);
    assert!(!tasks.panicked());
}
