//! What is learnt when a member connects an account: that the account is its own.

use crate::base::ids::{ConnectionId, MemberId, NetworkId};
use crate::domain::connection::{Connection, Granter};
use crate::domain::member::Member;
use crate::service::connect::ConnectError;
use crate::service::members::{ATTEMPTS, change_error};
use crate::service::tokens::UNKNOWN_PERSON;
use crate::service::{Broker, Caller};
use crate::store::{MemberChange, MemberChangeError, StoreError};

impl Broker {
    /// The active member who gives consent: one that was signed in, in the browser that went on. Nobody has proved to be who is only named.
    pub(in crate::service) async fn member_of(&self, connection: &Connection) -> Result<Option<Member>, StoreError> {
        let Granter::Member(id) = &connection.granter else { return Ok(None) };
        let found = self.store.find_member(*id).await?;
        Ok(found.filter(|member| member.is_active() && member.team == connection.team))
    }

    /// Notes that an account at a network is a member's own from now on. Twice is harmless.
    pub(in crate::service) async fn learn_account(
        &self,
        caller: &Caller,
        mut before: Member,
        (network, person): (&NetworkId, &str),
        connection: ConnectionId,
    ) -> Result<(), ConnectError> {
        let id: MemberId = before.id;
        for _ in 0..ATTEMPTS {
            if person.is_empty() || person.starts_with(UNKNOWN_PERSON) || before.has_account(network, person) {
                return Ok(());
            }
            let mut member = Member { version: before.version + 1, ..before.clone() };
            member.persons.entry(network.clone()).or_default().insert(person.to_owned());
            let detail = format!("network={network} connection={connection}");
            let audit = self.member_audit(caller, "member.account", &member, detail);
            match self.store.change_member(MemberChange::of(member, audit.into())).await {
                Ok(()) => return Ok(()),
                Err(MemberChangeError::Changed) => {}
                Err(MemberChangeError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::error!(error = %change_error(&before, error), "an account could not be noted");
                    return Err(ConnectError::Contended(connection));
                }
            }
            let Some(now) = self.store.find_member(id).await?.filter(Member::is_active) else { return Ok(()) };
            before = now;
        }
        Err(ConnectError::Contended(connection))
    }
}
