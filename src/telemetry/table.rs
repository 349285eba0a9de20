//! Every metric: its name, kind, unit, labels and help.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// It only rises.
    Counter,
    /// It rises and falls.
    Gauge,
    /// It counts observations up to each of these bounds.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Debug, PartialEq)]
pub struct Metric {
    /// Its name, with the unit at its end.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it counts, in base units.
    pub unit: &'static str,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// One sentence for operators.
    pub help: &'static str,
}

const LATENCY: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const WAIT: &[f64] = &[0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];

macro_rules! table {
    ($($constant:ident = $name:literal, $kind:expr, $unit:literal, $labels:expr, $help:literal;)*) => {
        $(pub(super) const $constant: &Metric =
            &Metric { name: concat!("token_broker_", $name), kind: $kind, unit: $unit, labels: &$labels, help: $help };)*

        /// Every metric.
        pub const TABLE: &[&Metric] = &[$($constant),*];
    };
}

table! {
    BUILD_INFO = "build_info", Kind::Gauge, "1", ["version"], "Always 1; the label is the version that runs.";
    TEAM_LOAD = "team_load_ratio", Kind::Gauge, "ratio", ["team", "network", "class"],
        "Credit asked for divided by credit that live tokens can give, over the shortest of 5 minutes, 15 minutes, 1 hour and 24 hours that holds the window of the limit. Above 1 the tokens cannot carry the collection.";
    TEAM_DEMAND = "team_demand_credits", Kind::Gauge, "credits", ["team", "network", "class"],
        "Credit asked for over that span: granted, waiting and refused.";
    TEAM_SUPPLY = "team_supply_credits", Kind::Gauge, "credits", ["team", "network", "class"],
        "Credit that live tokens can give over that span, after the owners' reserve.";
    TEAM_LEFT = "team_left_credits", Kind::Gauge, "credits", ["team", "network", "class"],
        "Credit that can be granted now, after the owners' reserve.";
    TOKENS = "tokens", Kind::Gauge, "tokens", ["network", "status"], "Tokens held, by status.";
    QUARANTINED = "quarantined_tokens_total", Kind::Counter, "tokens", [],
        "Tokens taken out of use because their stored secret does not open. Somebody changed the store, or it is damaged.";
    DAMAGED_SECRETS = "damaged_secrets", Kind::Gauge, "secrets", ["of"],
        "Secrets of apps, destinations and browsers that did not open at the last look, made at each start, daily, and after one was set anew. Somebody changed the store, or it is damaged.";
    UNSTORED = "unstored_renewals_total", Kind::Counter, "renewals", [],
        "Renewals whose new secrets the store did not take at first. They wait, sealed, in the store's folder spool/, and are tried again.";
    AUDIT_BROKEN = "audit_broken", Kind::Gauge, "audits", [],
        "Whether the last look at the audit, made at each start and daily, found that it does not hold together: 1, else 0.";
    LEASES_ACTIVE = "leases_active", Kind::Gauge, "leases", ["network"], "Leases that are open.";
    LEASES_OPENED = "leases_opened_total", Kind::Counter, "leases", ["network"], "Leases opened.";
    LEASES_REFUSED = "leases_refused_total", Kind::Counter, "requests", ["network", "reason"], "Requests for a lease refused, by reason.";
    WAITING = "requests_waiting", Kind::Gauge, "requests", ["network"], "Requests that wait for credit.";
    WAIT_TIME = "wait_seconds", Kind::Histogram(WAIT), "seconds", ["network"], "How long requests waited for credit, served or not.";
    THROTTLED = "throttled_reports_total", Kind::Counter, "calls", ["network"],
        "Calls that a network refused for a limit, as collectors reported them.";
    RENEWALS = "renewals_total", Kind::Counter, "renewals", ["network", "outcome"],
        "Renewals of tokens that ended: renewed, refused for good, or failed and tried again.";
    PROBES = "probes_total", Kind::Counter, "checks", ["network", "outcome"],
        "Checks of tokens by the broker itself, by what came of them: works, in doubt, ended, not permitted, limited, app refused, or no answer.";
    OVER_GRANTS = "over_grants", Kind::Gauge, "buckets", [],
        "Bucket windows in which more was granted than the limit allows, recomputed from the books. Must be 0.";
    BLOCK_WASTE = "block_wasted_credits_total", Kind::Counter, "credits", ["network", "class"],
        "Credit taken in blocks that was neither granted nor given back before its window ended.";
    COMMIT_TIME = "store_commit_seconds", Kind::Histogram(LATENCY), "seconds", [], "How long a commit of the store took.";
    COMMIT_BATCH = "store_commit_commands", Kind::Histogram(BATCH), "commands", [], "How many commands shared a commit of the store.";
    INCIDENTS = "incidents", Kind::Gauge, "incidents", ["network", "kind"], "Incidents that are open, by network and kind.";
    ALERTS = "alerts", Kind::Gauge, "alerts", ["kind", "state"], "Alerts, by kind and state.";
    MESSAGES = "messages_total", Kind::Counter, "messages", ["channel", "outcome"],
        "Attempts to send messages to people and their systems, by channel and outcome: sent, dropped (it was over by then), failed (it is tried again) or dead (given up).";
    MESSAGES_WAITING = "messages_waiting", Kind::Gauge, "messages", [], "Messages that are to be sent.";
    MESSAGES_DEAD = "messages_dead", Kind::Gauge, "messages", [], "Messages that were given up. An operator replays or purges them.";
    MESSAGES_LATE = "messages_late_seconds", Kind::Gauge, "seconds", [],
        "For how long the oldest message that waits has been due, or the oldest event waits of which nobody was told.";
    GRPC_REQUESTS = "grpc_requests_total", Kind::Counter, "calls", ["method", "code"], "gRPC calls answered, by method and status code.";
    GRPC_TIME = "grpc_request_seconds", Kind::Histogram(LATENCY), "seconds", ["method"], "How long gRPC calls took.";
    CONNECTIONS = "connections", Kind::Gauge, "connections", ["listener"], "Connections that are open.";
    CLOCK_SKEW = "clock_skew_seconds", Kind::Gauge, "seconds", [], "How far the wall clock is ahead of the broker's clock.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The table as docs/metrics.md shows it.
    fn as_markdown() -> String {
        let rows = TABLE.iter().map(|metric| {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            let labels = metric.labels.join(", ");
            format!("| `{}` | {kind} | {} | {labels} | {} |\n", metric.name, metric.unit, metric.help)
        });
        let title = "| metric | kind | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n";
        [title.to_owned()].into_iter().chain(rows).collect()
    }

    #[test]
    fn the_documentation_shows_this_table() {
        let page = include_str!("../../docs/metrics.md");
        let table = as_markdown();
        assert!(page.contains(&table), "docs/metrics.md should hold:\n{table}");
    }

    #[test]
    fn suggested_alerts_ask_for_metrics_that_exist() {
        let rules = include_str!("../../docs/prometheus-alerts.yml");
        let ends = |c: char| !(c.is_ascii_lowercase() || c == '_');
        let asked: HashSet<&str> = rules.split(ends).filter(|word| word.starts_with("token_broker_")).collect();
        assert!(asked.len() > 5, "{asked:?}");
        for name in asked {
            let name = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(TABLE.iter().any(|metric| metric.name == name), "there is no metric {name}");
        }
    }

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        let names: HashSet<&str> = TABLE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), TABLE.len(), "names are unique");
        for metric in TABLE {
            let name = metric.name;
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert_eq!(metric.unit == "seconds", name.ends_with("_seconds"), "{name}");
            assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "{name}");
            assert!(!metric.labels.contains(&"le") && !metric.labels.contains(&"quantile"), "{name}");
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted_by(|one, next| one < next), "{name}");
            }
        }
    }
}
