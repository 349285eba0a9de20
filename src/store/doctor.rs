//! The doctor: reads the whole store and says what can't be true. It repairs nothing.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::store::StoreError;
use crate::store::database::{Database, EngineFact};
use crate::store::sql::{Row, Tx, Value, values};

/// What the doctor found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at (`block.bucket`).
    pub check: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// What was found and what to do, for people.
    pub message: String,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// It should be looked at.
    Warning,
    /// A promise is broken.
    Error,
}

/// A look at the whole store.
#[async_trait]
pub trait DoctorStore: Send + Sync {
    /// Looks at the engine's settings, at rows that name missing rows, and at the books of credit as of `now`. One finding for
    /// each check, also for those that are fine. Reads everything: not for the request path.
    async fn examine(&self, now: Timestamp) -> Result<Vec<Finding>, StoreError>;
}

struct Check {
    name: &'static str,
    severity: Severity,
    /// Returns rows of one text or id: what is wrong, at most [`SHOWN`] + 1. May use `$1`, the present.
    sql: &'static str,
    problem: &'static str,
}

/// How many names a finding shows.
const SHOWN: usize = 5;

const CHECKS: [Check; 8] = [
    Check {
        name: "bucket.over_grant",
        severity: Severity::Error,
        sql: "SELECT bucket.key FROM bucket JOIN block ON block.bucket = bucket.key AND block.charged_until_us > $1
              GROUP BY bucket.key, bucket.cap HAVING SUM(block.amount) > bucket.cap ORDER BY bucket.key LIMIT 6",
        problem: "more credit is charged than the bucket's last cap; please report this",
    },
    Check {
        name: "block.bucket",
        severity: Severity::Error,
        sql: "SELECT DISTINCT bucket FROM block WHERE charged_until_us > $1
              AND NOT EXISTS (SELECT 1 FROM bucket WHERE key = block.bucket) ORDER BY bucket LIMIT 6",
        problem: "blocks name a bucket that does not exist; please report this",
    },
    Check {
        name: "lease.token",
        severity: Severity::Error,
        sql: "SELECT DISTINCT token FROM lease WHERE state = 'open' AND expires_at_us > $1
              AND NOT EXISTS (SELECT 1 FROM token WHERE id = lease.token) ORDER BY 1 LIMIT 6",
        problem: "open leases name a token that does not exist; end them",
    },
    Check {
        name: "lease.ended_token",
        severity: Severity::Error,
        sql: "SELECT DISTINCT lease.token FROM lease JOIN token ON token.id = lease.token
              WHERE lease.state = 'open' AND lease.expires_at_us > $1 AND token.state IN ('revoked', 'invalid')
              AND lease.opened_at_us > token.state_since_us ORDER BY 1 LIMIT 6",
        problem: "leases were opened on a token after its end; please report this",
    },
    Check {
        name: "key.collector",
        severity: Severity::Warning,
        sql: "SELECT id FROM key WHERE collector IS NOT NULL AND revoked_at_us IS NULL
              AND $1 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM collector WHERE id = key.collector AND team = key.team)
              ORDER BY id LIMIT 6",
        problem: "keys belong to a collector that does not exist; revoke them",
    },
    Check {
        name: "token.secret_damaged",
        severity: Severity::Warning,
        sql: "SELECT id FROM token WHERE reason = 'secret_damaged' AND $1 IS NOT NULL ORDER BY id LIMIT 6",
        problem: "stored secrets do not open; have the persons connect again, and find out who changed the store",
    },
    Check {
        name: "outbox.dead",
        severity: Severity::Warning,
        sql: "SELECT DISTINCT destination FROM outbox WHERE state = 'dead' AND $1 IS NOT NULL
              ORDER BY destination LIMIT 6",
        problem: "messages could not be sent; correct the destination, then replay them",
    },
    Check {
        name: "event.untold",
        severity: Severity::Warning,
        sql: "SELECT id FROM event WHERE told_at_us IS NULL AND at_us < $1 - 3600000000 ORDER BY id LIMIT 6",
        problem: "nobody was told of events for an hour; see that a broker runs on this store, and its log",
    },
];

#[async_trait]
impl<D: Database> DoctorStore for D {
    async fn examine(&self, now: Timestamp) -> Result<Vec<Finding>, StoreError> {
        let mut findings: Vec<Finding> = self.engine_facts().await?.into_iter().map(engine_finding).collect();
        findings.extend(self.read(move |tx| Box::pin(run_checks(tx, now))).await?);
        findings.push(writer_finding(self.is_writable()));
        Ok(findings)
    }
}

async fn run_checks(tx: &mut dyn Tx, now: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::with_capacity(CHECKS.len());
    for check in &CHECKS {
        let rows = tx.rows(check.sql, values![now]).await?;
        let names: Vec<String> = rows.into_iter().map(name).collect::<Result<_, _>>()?;
        findings.push(finding(check, names));
    }
    Ok(findings)
}

fn name(mut row: Row) -> Result<String, StoreError> {
    match row.value() {
        Some(Value::Text(Some(text))) => Ok(text.to_string()),
        Some(Value::Blob(Some(id))) => Ok(id.iter().map(|byte| format!("{byte:02x}")).collect()),
        _ => Err(StoreError::corrupt("a name that is missing")),
    }
}

fn finding(check: &Check, mut names: Vec<String>) -> Finding {
    if names.is_empty() {
        return Finding { check: check.name, severity: Severity::Fine, message: "none".to_owned() };
    }
    let more = if names.len() > SHOWN { " and more" } else { "" };
    names.truncate(SHOWN);
    let message = format!("{}: {}{more}", check.problem, names.join(", "));
    Finding { check: check.name, severity: check.severity, message }
}

fn engine_finding(fact: EngineFact) -> Finding {
    let severity = if fact.right { Severity::Fine } else { Severity::Error };
    Finding { check: fact.name, severity, message: fact.value }
}

fn writer_finding(accepts: bool) -> Finding {
    let (severity, message) = match accepts {
        true => (Severity::Fine, "accepts changes"),
        false => (Severity::Error, "accepts no changes; check the disk, then restart the broker"),
    };
    Finding { check: "writer", severity, message: message.to_owned() }
}
