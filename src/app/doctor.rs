//! `doctor`: looks the store over while no broker runs on it.

use std::sync::Arc;

use crate::app::audit;
use crate::base::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::service::key_source::KeySource;
use crate::service::own_secrets::{self, DamagedSecret};
use crate::service::sealing::{unstored, unstored_own};
use crate::store::{
    DoctorStore, Finding, MetaName, MetaStore, SealingStore, Severity, Spool, SqliteOptions, SqliteStore, TeamStore,
};
use crate::vault::{SealingKey, Vault};

/// How many names a finding shows.
const SHOWN: usize = 5;

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
    findings.push(check_spool(config)?);
    let (finding, key) = check_key(config, &store).await?;
    findings.push(finding);
    if let Some(key) = &key {
        findings.extend(check_sealing(key, &store).await?);
        findings.extend(audit::look_over(config, &store, None).await?);
    }
    store.close().await;
    Ok(findings)
}

/// Whether renewed secrets wait beside the database.
fn check_spool(config: &Config) -> anyhow::Result<Finding> {
    let waiting = Spool::of_store(&config.store.dir).list()?.len();
    let (severity, message) = match waiting {
        0 => (Severity::Fine, "no renewed secrets wait for the database".to_owned()),
        some => (
            Severity::Warning,
            format!("renewed secrets of {some} tokens wait for the database; the broker takes them in when it starts"),
        ),
    };
    Ok(Finding { check: "store.spool", severity, message })
}

/// The key that sealed this store, if it is there.
async fn check_key(config: &Config, store: &SqliteStore) -> anyhow::Result<(Finding, Option<SealingKey>)> {
    let finding = |severity, message| Finding { check: "vault.key", severity, message };
    let known = store.find_meta(MetaName::KekFingerprint).await?;
    let expected = known.and_then(|text| String::from_utf8(text).ok()).and_then(|text| text.parse().ok());
    let Some(expected) = expected else {
        let message = "the store has no note of its key yet: no broker was ever started on it".to_owned();
        return Ok((finding(Severity::Warning, message), None));
    };
    Ok(match KeySource::of_config(config)?.find(expected).await {
        Ok(found) => {
            let message = format!("{} opens this store ({expected})", found.key.place());
            (finding(Severity::Fine, message), Some(found.key))
        }
        Err(error) => (finding(Severity::Error, error.to_string()), None),
    })
}

/// Whether every key opens with the sealing key, and how many secrets are sealed with which data key.
async fn check_sealing(key: &SealingKey, store: &SqliteStore) -> anyhow::Result<Vec<Finding>> {
    let own: Vec<_> = store.list_own_keys().await?.into_iter().map(unstored_own).collect();
    let vault = match Vault::open(key, &own) {
        Ok(vault) => vault,
        Err(error) => {
            return Ok(vec![Finding {
                check: "vault.own_keys",
                severity: Severity::Error,
                message: error.to_string(),
            }]);
        }
    };
    let (mut opened, mut damaged) = (0_u64, Vec::new());
    for key in store.list_data_keys().await? {
        match vault.install(unstored(key)) {
            Ok(()) => opened += 1,
            Err(error) => damaged.push(error.to_string()),
        }
    }
    let keys = match damaged.first() {
        None => {
            (Severity::Fine, format!("{opened} data keys and {} own keys open with {}", own.len(), key.fingerprint()))
        }
        Some(first) => (Severity::Error, format!("{} data keys do not open: {first}", damaged.len())),
    };
    let (mut newest, mut older, mut unknown) = (0, 0, 0);
    for count in store.count_sealed().await? {
        match vault.knows(&count.team, &count.header) {
            None => unknown += count.secrets,
            Some(_) if vault.is_of_newest(&count.team, &count.header) => newest += count.secrets,
            Some(_) => older += count.secrets,
        }
    }
    let message = format!(
        "{newest} secrets with the newest data keys, {older} with older ones, {unknown} with none that is here"
    );
    let severity = if unknown > 0 { Severity::Error } else { Severity::Fine };
    let of = |check, (severity, message)| Finding { check, severity, message };
    let own = damaged_own(&own_secrets::damaged(store, &vault).await?);
    Ok(vec![of("vault.keys", keys), of("vault.sealed", (severity, message)), of("vault.own_secrets", own)])
}

/// What is said of the secrets of apps, destinations and browsers that do not open.
fn damaged_own(damaged: &[DamagedSecret]) -> (Severity, String) {
    if damaged.is_empty() {
        return (Severity::Fine, "all secrets of apps, destinations and browsers open".to_owned());
    }
    let names: Vec<&str> = damaged.iter().take(SHOWN).map(|damaged| damaged.name.as_str()).collect();
    let more = if damaged.len() > SHOWN { " and more" } else { "" };
    let message = format!(
        "{} secrets do not open: {}{more}; set them anew, and find out who changed the store",
        damaged.len(),
        names.join(", ")
    );
    (Severity::Error, message)
}
