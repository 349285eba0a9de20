//! Ends of tokens that are told ahead: a reconciler that looks at the tokens that are due for it.

use crate::domain::notice::Expiry;
use crate::service::Broker;
use crate::store::{PutLook, StoreError, StoredToken};

/// Tokens looked at in one transaction.
const AT_ONCE: u32 = 500;

impl Broker {
    /// Looks at all tokens that are due for it. Returns what was found, for people.
    pub(in crate::service) async fn look_at_expiries(&self) -> Result<String, StoreError> {
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
                return Ok(format!("{looked} tokens looked at, {found} events found"));
            }
        }
    }

    /// What is to be told of a token's end now.
    pub(super) fn expiry_of(&self, stored: &StoredToken) -> Expiry {
        let renewal = stored.renewal;
        let renews = renewal.due_at.is_some() && self.config.renewals.enabled;
        Expiry::of(&stored.token, renews, renewal.failures, renewal.due_at, self.now())
    }
}
