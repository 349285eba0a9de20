//! `doctor`: looks the store over while no broker runs on it.

use std::sync::Arc;

use crate::app::audit;
use crate::base::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::store::{DoctorStore, Finding, MetaName, MetaStore, Severity, SqliteOptions, SqliteStore};
use crate::vault::KeyFile;

/// What was found, one finding for each check.
pub async fn doctor(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let clock = Arc::new(SystemClock::start());
    let now = clock.now();
    anyhow::ensure!(
        config.store.dir.join("broker.db").is_file(),
        "store.dir: there is no store at '{}'; check the path",
        config.store.dir.display()
    );
    let store = SqliteStore::open(SqliteOptions::new(&config.store.dir), clock).await?;
    let mut findings = store.examine(now).await?;
    let key = check_key(config, &store).await?;
    if key.severity == Severity::Fine {
        findings.extend(audit::look_over(config, &store, None).await?);
    }
    findings.push(key);
    store.close().await;
    Ok(findings)
}

/// Whether the key file is the one that sealed this store.
async fn check_key(config: &Config, store: &SqliteStore) -> anyhow::Result<Finding> {
    let path = config.key_file();
    let known = store.find_meta(MetaName::KekFingerprint).await?;
    let expected = known.and_then(|text| String::from_utf8(text).ok()).and_then(|text| text.parse().ok());
    let Some(expected) = expected else {
        let message = "the store has no note of its key yet: no broker was ever started on it".to_owned();
        return Ok(Finding { check: "vault.key", severity: Severity::Warning, message });
    };
    let checked = KeyFile::read(&path).and_then(|file| file.must_be(expected));
    Ok(match checked {
        Ok(()) => Finding {
            check: "vault.key",
            severity: Severity::Fine,
            message: format!("{} opens this store", path.display()),
        },
        Err(error) => Finding { check: "vault.key", severity: Severity::Error, message: error.to_string() },
    })
}
