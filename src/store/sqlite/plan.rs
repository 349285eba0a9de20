//! Every statement that a test runs has its plan looked at: none may read the whole of a table that grows, but for the few that
//! are meant to. So no statement gets slower without a bound as a store gets older.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use sqlx::{AssertSqlSafe, Row, SqliteConnection};

/// The tables whose rows come with tokens, calls and time.
const GROWING: [&str; 32] = [
    "load_sample",
    "callback",
    "departure",
    "consent",
    "member",
    "invitation",
    "password",
    "session",
    "token",
    "token_profile",
    "import",
    "bucket",
    "block",
    "opened_key",
    "lease",
    "audit",
    "alert",
    "event",
    "job",
    "job_result",
    "revocation",
    "outbox",
    "lane",
    "notice_settings",
    "notice_reader",
    "notice_mark",
    "destination",
    "push_subscription",
    "request",
    "usage",
    "token_dead_span",
    "incident_team",
];

/// Parts of the texts that may read the whole of a table, and why.
const MAY_READ_ALL: [(&str, &str); 8] = [
    ("FROM block\n    WHERE charged_until_us > $1 AND amount > 0", "at the start everything is taken up"),
    ("FROM opened_key WHERE charged_until_us > $1 ORDER BY", "at the start everything is taken up"),
    ("FROM bucket\n    WHERE cooling_until_us IS NOT NULL", "at the start everything is taken up"),
    ("UPDATE bucket SET cooling_until_us = cooling_until_us + $1", "at the start, after the clock was set"),
    ("UPDATE bucket SET window_ends_at_us = NULL", "at the start, after the clock was set"),
    (
        "FROM token WHERE network = $1 AND app = $2 AND secrets_since_us >= $3",
        "at the start, while an incident is open",
    ),
    ("AS secrets WHERE length(sealed) > 0 GROUP BY 1, 2", "the doctor reads everything"),
    (" LIMIT 6", "the doctor reads everything"),
];

static SEEN: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);

/// Panics if the plan of `sql` reads the whole of a growing table: at each use, since work in the background may outlive the panic.
pub(super) async fn must_be_bounded(sql: &'static str, connection: &mut SqliteConnection) {
    let is_known = SEEN.lock().unwrap_or_else(PoisonError::into_inner).contains(sql);
    if is_known || MAY_READ_ALL.iter().any(|(part, _)| sql.contains(part)) {
        return;
    }
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    // A text that is no statement, or a wrong one, says so when it is run.
    let Ok(plan) = sqlx::query(explain).fetch_all(connection).await else { return };
    let steps: Vec<String> = plan.iter().map(|step| step.get::<String, _>("detail")).collect();
    for table in steps.iter().filter_map(|step| step.strip_prefix("SCAN ")?.split(' ').next()) {
        assert!(!GROWING.contains(&table), "this reads the whole of {table}: {sql}\n{steps:#?}");
    }
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(sql);
}
