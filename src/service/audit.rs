//! The audit is read.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ids::{CollectorId, TeamId};
use crate::domain::audit::Actor;
use crate::service::Broker;
use crate::store::{AuditFilter, AuditKey, StoreError};
use crate::vault::Vault;

pub use crate::store::AuditRow as AuditEntry;

/// Rows read at once.
const BATCH: u32 = 1_000;
/// Rows looked at for one page. A page may be short, or empty, and still have a next one.
const MOST_LOOKED_AT: usize = 20_000;

/// Which events are wanted. What is set must hold.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Of this team.
    pub team: Option<TeamId>,
    /// About this resource, by its name.
    pub resource: Option<String>,
    /// About this token and its leases, by its name.
    pub token: Option<String>,
    /// By this actor, as [`Broker::actor_name`] names it.
    pub actor: Option<String>,
    /// This action, or all of a noun that ends in a dot (`token.`).
    pub action: Option<String>,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// No leases, which are most of it; of one team only.
    pub without_leases: bool,
}

/// A page of the audit.
#[derive(Debug, Clone, Default)]
pub struct AuditPage {
    /// The events, newest first.
    pub events: Vec<AuditEntry>,
    /// Where the next page begins; `None`: there is nothing more.
    pub next: Option<i64>,
}

/// The key that chains the audit: whoever has the store without the sealing key can't make a hash of the chain.
pub fn audit_key(vault: &Vault) -> AuditKey {
    let key = vault.mac_key("audit");
    Arc::new(move |parts| key.sign(parts))
}

/// An audit row's details: pairs, and last a comment, which may hold spaces.
pub fn details(detail: &str) -> (Vec<(&str, &str)>, &str) {
    let (pairs, comment) = match detail.strip_prefix("comment=") {
        Some(comment) => ("", comment),
        None => detail.split_once(" comment=").unwrap_or((detail, "")),
    };
    (pairs.split(' ').filter_map(|pair| pair.split_once('=')).collect(), comment)
}

/// The token that an event is about, by its name: its subject, or what its details name.
pub fn token_of(row: &AuditEntry) -> Option<String> {
    if row.subject.contains("/tokens/") {
        return Some(row.subject.clone());
    }
    let (pairs, _) = details(&row.detail);
    let token = pairs.iter().find(|(key, _)| *key == "token").map(|(_, value)| *value)?;
    Some(format!("teams/{}/tokens/{token}", row.team.as_ref()?))
}

impl Broker {
    /// At most `limit` events before the sequence number `before`, newest first.
    pub async fn list_audit(
        &self,
        query: &AuditQuery,
        before: Option<i64>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        let filter = AuditFilter {
            team: query.team.clone(),
            subject_prefix: query.resource.clone(),
            action: query.action.clone().filter(|action| !action.ends_with('.')),
            from: query.from,
            until: query.until,
            after: None,
            without_leases: query.without_leases,
        };
        let mut page = AuditPage { events: Vec::new(), next: before };
        let mut looked_at = 0;
        while looked_at < MOST_LOOKED_AT {
            let rows = self.store.list_audit_backwards(filter.clone(), page.next, BATCH).await?;
            let read = rows.len();
            looked_at += read;
            for row in rows {
                if page.events.len() == limit {
                    return Ok(page);
                }
                page.next = Some(row.seq);
                if self.is_wanted(query, &row) {
                    page.events.push(row);
                }
            }
            if read < BATCH as usize {
                page.next = None;
                return Ok(page);
            }
        }
        Ok(page)
    }

    fn is_wanted(&self, query: &AuditQuery, row: &AuditEntry) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        same(&query.resource, &row.subject)
            && query.action.as_deref().is_none_or(|action| match action.ends_with('.') {
                true => row.action.starts_with(action),
                false => row.action == action,
            })
            && query.actor.as_deref().is_none_or(|actor| actor == self.actor_name(row.actor, row.team.as_ref()))
            && query.token.as_deref().is_none_or(|token| token_of(row).as_deref() == Some(token))
    }

    /// Who did something to a thing of `team`: `keys/{key}`, `teams/{team}/collectors/{collector}`, `teams/{team}/members/{member}` or
    /// `broker`.
    pub fn actor_name(&self, actor: Actor, team: Option<&TeamId>) -> String {
        match actor {
            Actor::Operator(key) => format!("keys/{key}"),
            Actor::Collector(id) => self.collector_name(id, team),
            Actor::Member(id) => format!("teams/{}/members/{id}", team.map_or("-", TeamId::as_str)),
            Actor::Broker => "broker".to_owned(),
        }
    }

    /// A collector by its resource name. `team`: that of what it did, for one that is deleted.
    pub fn collector_name(&self, id: CollectorId, team: Option<&TeamId>) -> String {
        let own = self.directory.collector(id).map(|collector| collector.team.clone());
        let team = own.or_else(|| team.cloned()).map_or_else(|| "-".to_owned(), |team| team.to_string());
        format!("teams/{team}/collectors/{id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_pairs_and_a_comment() {
        for (text, pairs, comment) in [
            ("", vec![], ""),
            ("a=1 b=2", vec![("a", "1"), ("b", "2")], ""),
            ("comment=found in a log=file", vec![], "found in a log=file"),
            ("a=1 comment=x y", vec![("a", "1")], "x y"),
        ] {
            assert_eq!(details(text), (pairs, comment), "{text}");
        }
    }
}
