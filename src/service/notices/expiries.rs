//! Ends of tokens that are told ahead: a reconciler that looks at the tokens that are due for it.

use crate::domain::notice::{Expiry, Renewing};
use crate::domain::renewal::told_before_end;
use crate::service::Broker;
use crate::store::{PutLook, StoreError, StoredToken};
use crate::text::Sentence;

/// Tokens looked at in one transaction.
const AT_ONCE: u32 = 500;

impl Broker {
    /// Looks at all tokens that are due for it. Returns what was found, for people.
    pub(in crate::service) async fn look_at_expiries(&self) -> Result<Sentence, StoreError> {
        let (mut looked, mut found) = (0, 0);
        loop {
            let due = self.store.due_looks(self.now(), AT_ONCE).await?;
            let last = due.len() < AT_ONCE as usize;
            let (mut puts, mut events) = (Vec::with_capacity(due.len()), Vec::new());
            for look in &due {
                let expiry = self.expiry_of(&look.stored);
                puts.push(PutLook { token: look.stored.token.id, due_at: look.due_at, next: expiry.next });
                events.extend(expiry.event);
            }
            looked += due.len();
            if !puts.is_empty() {
                found += self.store.put_looks(puts, events).await?;
            }
            if last {
                return Ok(Sentence::new("ran-expiries").with("count", looked).with("found", found));
            }
        }
    }

    /// What is to be told of a token's end now.
    pub(super) fn expiry_of(&self, stored: &StoredToken) -> Expiry {
        let (token, renewal) = (&stored.token, stored.renewal);
        let network = self.catalogue.network(token.network.as_str());
        let kind = network.and_then(|network| network.kind(token.kind.as_str()));
        let renews = renewal.due_at.is_some() && self.config.renewals.enabled;
        let renewing = kind.filter(|_| renews).map(|kind| Renewing {
            failures: renewal.failures,
            due_at: renewal.due_at,
            told_before: told_before_end(kind),
        });
        Expiry::of(token, renewing, self.now())
    }
}
