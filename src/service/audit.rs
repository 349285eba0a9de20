//! The audit is read, and looked at whether it is whole.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{CollectorId, TeamId};
use crate::domain::audit::Actor;
use crate::service::Broker;
use crate::store::{AuditAnchor, AuditFault, AuditFilter, AuditKey, StoreError};
use crate::text::Sentence;
use crate::vault::Vault;

pub use crate::store::AuditRow as AuditEntry;

/// Rows read at once.
const BATCH: u32 = 1_000;
/// Rows looked at for one page. A page may be short, or empty, and still have a next one.
const MOST_LOOKED_AT: usize = 20_000;

/// How long others are let in after each thousand events while the audit is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// The event with which the audit ended when it was last found whole in this run: it must still be there later.
#[derive(Default)]
pub struct AuditSeen(Mutex<Option<AuditAnchor>>);

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
    /// Looks whether the audit holds together from its beginning to its end, and still holds the event with which it ended last time. Reads it a
    /// part at a time. Returns what was found, for people; what does not fit is an error, which is logged and shown in the metrics.
    pub async fn verify_audit(&self) -> Result<Sentence, StoreError> {
        let anchor = *self.audit_seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = audit_key(&self.vault);
        let proof = tokio::select! {
            proof = self.store.verify_audit(&key, anchor, PAUSE) => proof?,
            () = self.tasks.stopped() => return Ok(Sentence::new("ran-stopping")),
        };
        // What was pruned in order proves nothing any more.
        let fault = proof.fault.filter(|fault| !matches!(fault, AuditFault::PrunedAnchor(_)));
        self.metrics.set_audit_broken(fault.is_some());
        if let Some(fault) = fault {
            tracing::error!(%fault, "the audit does not hold together: somebody changed the store; see `token-broker audit verify`");
            return Err(StoreError::corrupt(format!("the audit: {fault}")));
        }
        if let Some(head) = proof.head {
            *self.audit_seen.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
        }
        Ok(Sentence::new("ran-audit").with("count", proof.events))
    }

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
    /// `broker`; `unreadable` where somebody changed that so that it can't be read.
    pub fn actor_name(&self, actor: Option<Actor>, team: Option<&TeamId>) -> String {
        match actor {
            Some(Actor::Operator(key)) => format!("keys/{key}"),
            Some(Actor::Collector(id)) => self.collector_name(id, team),
            Some(Actor::Member(id)) => format!("teams/{}/members/{id}", team.map_or("-", TeamId::as_str)),
            Some(Actor::Broker) => "broker".to_owned(),
            None => "unreadable".to_owned(),
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
    use crate::service::background::LastRun;
    use crate::service::testing::TestBroker;

    /// The result of the background's look at the audit that is the `runs`th of this run.
    async fn looked(test: &TestBroker, runs: u64) -> Result<Sentence, String> {
        loop {
            match test.broker.watch.status.last_runs().remove("audit") {
                Some(LastRun { result, runs: made, .. }) if made == runs => return result,
                _ => tokio::task::yield_now().await,
            }
        }
    }

    fn is_shown_as_broken(test: &TestBroker) -> bool {
        test.broker.metrics.render().contains("token_broker_audit_broken 1")
    }

    #[tokio::test]
    async fn the_background_finds_what_was_changed_at_the_start_and_each_day() {
        let test = TestBroker::start().await;
        let team = test.team("acme").await;
        test.token(&team, "ann").await;
        test.broker.start_background(&test.tasks);
        let whole = looked(&test, 1).await.unwrap();
        assert!(whole.name == "ran-audit" && !is_shown_as_broken(&test), "{whole:?}");
        test.sql("UPDATE audit SET detail = detail || '!' WHERE seq = 2").await;
        test.clock.advance(Duration::from_secs(24 * 3600));
        let found = looked(&test, 2).await.unwrap_err();
        assert!(found.contains("event 2 was changed") && is_shown_as_broken(&test), "{found}");
        let test = test.restart().await;
        test.broker.start_background(&test.tasks);
        assert_eq!(looked(&test, 1).await.unwrap_err(), found, "a start looks, too");
        test.stop().await;
    }

    #[tokio::test]
    async fn an_audit_that_was_set_back_while_the_broker_runs_is_found() {
        let test = TestBroker::start().await;
        test.team("acme").await;
        test.team("globex").await;
        test.broker.verify_audit().await.unwrap();
        test.sql(
            "DELETE FROM audit WHERE seq = (SELECT MAX(seq) FROM audit);
             UPDATE audit_chain SET head_seq = (SELECT MAX(seq) FROM audit),
                 head_mac = (SELECT mac FROM audit ORDER BY seq DESC LIMIT 1)",
        )
        .await;
        assert!(test.broker.verify_audit().await.is_err());
        test.stop().await;
    }

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
