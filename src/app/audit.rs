//! `audit verify` and `audit export`: read the audit out of the store, also while a broker runs on it.

use std::time::Duration;

use anyhow::Context;

use crate::config::Config;
use crate::service::audit::audit_key;
use crate::service::key_source::KeySource;
use crate::service::sealing::unstored_own;
use crate::store::{
    AuditAnchor, AuditFault, AuditFilter, AuditKey, AuditProof, AuditRow, AuditStore, Finding, MetaName, MetaStore,
    SealingStore, Severity, SqliteStore,
};
use crate::vault::Vault;

/// Events exported at once.
const PART: u32 = 1000;

/// Whether the audit is whole, and whether it still holds the event of `anchor`.
pub async fn verify_audit(config: &Config, anchor: Option<AuditAnchor>) -> anyhow::Result<Vec<Finding>> {
    let store = open_to_read(config).await?;
    let findings = look_over(config, &store, anchor).await;
    store.close().await;
    findings
}

/// What [`verify_audit`] finds, in an open store.
pub(super) async fn look_over(
    config: &Config,
    store: &SqliteStore,
    anchor: Option<AuditAnchor>,
) -> anyhow::Result<Vec<Finding>> {
    let key = key_of(config, store).await?;
    Ok(findings(&store.verify_audit(&key, anchor, Duration::ZERO).await?, anchor))
}

/// Hands every event after the number `after` to `show`, the oldest first, for as long as it wants more.
pub async fn export_audit(
    config: &Config,
    after: Option<i64>,
    mut show: impl FnMut(&AuditRow) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let store = open_to_read(config).await?;
    let mut filter = AuditFilter { after, ..AuditFilter::default() };
    'parts: loop {
        let part = store.list_audit(filter.clone(), PART).await?;
        let Some(last) = part.last() else { break };
        filter.after = Some(last.seq);
        for event in &part {
            if !show(event)? {
                break 'parts;
            }
        }
    }
    store.close().await;
    Ok(())
}

async fn open_to_read(config: &Config) -> anyhow::Result<SqliteStore> {
    let dir = &config.store.dir;
    let opened = SqliteStore::open_to_read(dir).await;
    opened.with_context(|| format!("store.dir: the store at '{}' can't be read", dir.display()))
}

/// The key of this store's audit.
async fn key_of(config: &Config, store: &SqliteStore) -> anyhow::Result<AuditKey> {
    let known = store.find_meta(MetaName::KekFingerprint).await?;
    let expected = known.and_then(|text| String::from_utf8(text).ok()).and_then(|text| text.parse().ok());
    let expected = expected.context("the store has no note of its key yet: no broker was ever started on it")?;
    let own: Vec<_> = store.list_own_keys().await?.into_iter().map(unstored_own).collect();
    let found = KeySource::of_config(config)?.find(expected).await?;
    Ok(audit_key(&Vault::open(&found.key, &own)?))
}

fn findings(proof: &AuditProof, anchor: Option<AuditAnchor>) -> Vec<Finding> {
    let finding = |check, severity, message| Finding { check, severity, message };
    let mut message = format!("{} events hold together", proof.events);
    if proof.pruned > 0 {
        message.push_str(&format!(", from event {}; the earlier ones were pruned in order", proof.pruned + 1));
    }
    let mut found = match &proof.fault {
        None => vec![finding("audit.chain", Severity::Fine, message)],
        Some(AuditFault::PrunedAnchor(_)) => vec![
            finding("audit.chain", Severity::Fine, message),
            finding("audit.anchor", Severity::Error, fault_of(proof)),
        ],
        Some(_) => vec![finding("audit.chain", Severity::Error, format!("{}; before it, {message}", fault_of(proof)))],
    };
    if anchor.is_some() && proof.fault.is_none() {
        found.push(finding("audit.anchor", Severity::Fine, "the event of the anchor is there".to_owned()));
    }
    if let Some(head) = proof.head {
        let message =
            format!("{head} proves later that nothing up to here was taken away: keep it apart from the store");
        found.push(finding("audit.next_anchor", Severity::Fine, message));
    }
    found
}

fn fault_of(proof: &AuditProof) -> String {
    proof.fault.as_ref().map(ToString::to_string).unwrap_or_default()
}
