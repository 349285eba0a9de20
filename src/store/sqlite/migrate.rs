//! The schema, version by version. A migration is one file and one transaction; a database from a newer broker is refused.

use sqlx::{Connection, Row, SqliteConnection};

use super::connection::translate;
use crate::store::StoreError;

/// The migrations in order; the first one makes version 1.
const MIGRATIONS: [&str; 50] = [
    include_str!("../migrations/sqlite/0001_tables.sql"),
    include_str!("../migrations/sqlite/0002_apps_and_certificates.sql"),
    include_str!("../migrations/sqlite/0003_closed_operations.sql"),
    include_str!("../migrations/sqlite/0004_tokens_by_app.sql"),
    include_str!("../migrations/sqlite/0005_imports.sql"),
    include_str!("../migrations/sqlite/0006_audit_chain.sql"),
    include_str!("../migrations/sqlite/0007_own_keys.sql"),
    include_str!("../migrations/sqlite/0008_renewals.sql"),
    include_str!("../migrations/sqlite/0009_events.sql"),
    include_str!("../migrations/sqlite/0011_people.sql"),
    include_str!("../migrations/sqlite/0012_incidents.sql"),
    include_str!("../migrations/sqlite/0010_connections.sql"),
    include_str!("../migrations/sqlite/0014_jobs.sql"),
    include_str!("../migrations/sqlite/0015_revocations.sql"),
    include_str!("../migrations/sqlite/0016_probes.sql"),
    include_str!("../migrations/sqlite/0017_callbacks.sql"),
    include_str!("../migrations/sqlite/0012_notices.sql"),
    include_str!("../migrations/sqlite/0013_hearing.sql"),
    include_str!("../migrations/sqlite/0018_at_risk.sql"),
    include_str!("../migrations/sqlite/0019_connection_people.sql"),
    include_str!("../migrations/sqlite/0020_push.sql"),
    include_str!("../migrations/sqlite/0021_dead_spans_of_teams.sql"),
    include_str!("../migrations/sqlite/0022_identities.sql"),
    include_str!("../migrations/sqlite/0023_load_samples.sql"),
    include_str!("../migrations/sqlite/0024_keys_of_sessions.sql"),
    include_str!("../migrations/sqlite/0025_changes_of_teams.sql"),
    include_str!("../migrations/sqlite/0026_collectors_of_members.sql"),
    include_str!("../migrations/sqlite/0027_sessions_of_operators.sql"),
    include_str!("../migrations/sqlite/0028_troubles.sql"),
    include_str!("../migrations/sqlite/0029_refreshed.sql"),
    include_str!("../migrations/sqlite/0030_given_refresh.sql"),
    include_str!("../migrations/sqlite/0031_connection_starters.sql"),
    include_str!("../migrations/sqlite/0032_apps_of_teams.sql"),
    include_str!("../migrations/sqlite/0033_links_of_mails.sql"),
    include_str!("../migrations/sqlite/0034_blocked.sql"),
    include_str!("../migrations/sqlite/0035_at_risk_of_teams.sql"),
    include_str!("../migrations/sqlite/0036_gone.sql"),
    include_str!("../migrations/sqlite/0037_found_states.sql"),
    include_str!("../migrations/sqlite/0038_tokens_by_secrets.sql"),
    include_str!("../migrations/sqlite/0039_incident_teams.sql"),
    include_str!("../migrations/sqlite/0040_acknowledgements.sql"),
    include_str!("../migrations/sqlite/0041_hindrances.sql"),
    include_str!("../migrations/sqlite/0042_refused_operations.sql"),
    include_str!("../migrations/sqlite/0043_incidents_of_a_team.sql"),
    include_str!("../migrations/sqlite/0044_out_of_order.sql"),
    include_str!("../migrations/sqlite/0045_fixed_refresh_ends.sql"),
    include_str!("../migrations/sqlite/0046_persons_of_callbacks.sql"),
    include_str!("../migrations/sqlite/0047_failed_revocations.sql"),
    include_str!("../migrations/sqlite/0048_problems_by_name.sql"),
    include_str!("../migrations/sqlite/0049_what_lasts.sql"),
];

/// The schema version that this broker works with.
pub(super) const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Brings the schema to [`KNOWN`].
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let create = "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID";
    sqlx::query(create).execute(&mut *connection).await.map_err(translate)?;
    let found = version(connection).await?;
    if found > KNOWN {
        return Err(StoreError::NewerSchema { found, known: KNOWN });
    }
    for (text, to) in MIGRATIONS.into_iter().zip(1..).filter(|(_, to)| *to > found) {
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(translate)?;
        sqlx::raw_sql(text).execute(&mut *tx).await.map_err(translate)?;
        let put = "INSERT INTO meta (name, value) VALUES ('schema_version', $1)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        let version: i64 = to;
        sqlx::query(put).bind(version.to_string().into_bytes()).execute(&mut *tx).await.map_err(translate)?;
        tx.commit().await.map_err(translate)?;
    }
    Ok(())
}

/// Refuses a database of another schema than [`KNOWN`].
pub(super) async fn must_be_known(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    match version(connection).await? {
        KNOWN => Ok(()),
        found if found > KNOWN => Err(StoreError::NewerSchema { found, known: KNOWN }),
        found => Err(StoreError::OlderSchema { found, known: KNOWN }),
    }
}

/// The version of the schema; 0 for a new database.
async fn version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let query = sqlx::query("SELECT value FROM meta WHERE name = 'schema_version'");
    let Some(row) = query.fetch_optional(&mut *connection).await.map_err(translate)? else { return Ok(0) };
    let value: Vec<u8> = row.try_get(0).map_err(translate)?;
    String::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| StoreError::corrupt("a schema version that is not a number"))
}
