//! What ends without tokens: cancelled, or its time over. What it held is given back and destroyed.

use crate::base::ids::{ConnectionId, TeamId};
use crate::base::secret::Secret;
use crate::domain::connection::{Connection, Stage, consent_of};
use crate::outbound::oauth::{self, Credential};
use crate::service::connect::{ConnectError, Visitor};
use crate::service::connect::redeem::Grant;
use crate::service::requests::Attempt;
use crate::service::{Broker, Caller};
use crate::store::{StoreError, StoredConnection, TokenFilter};

/// Connections that are ended in one run; more are ended in the next.
const AT_ONCE: u32 = 100;

impl Broker {
    /// Ends a connection. Twice is no error.
    pub async fn cancel_connection(
        &self,
        attempt: impl Into<Attempt<Connection>>,
        team: &TeamId,
        id: ConnectionId,
    ) -> Result<Connection, ConnectError> {
        let attempt = attempt.into();
        let stored = self.stored_connection(team, id).await?;
        self.cancel(attempt, stored).await
    }

    /// As [`Broker::cancel_connection`], by the browser that it is bound to.
    pub async fn decline_connection(&self, id: ConnectionId, visitor: &Visitor) -> Result<Connection, ConnectError> {
        let stored = self.connection_in(id, visitor).await?;
        let (broker, caller) = (self.clone(), visitor.caller());
        let work = async move { broker.cancel(Attempt::from(&caller), stored).await };
        self.finish(work).await.unwrap_or(Err(ConnectError::Contended(id)))
    }

    async fn cancel(&self, attempt: Attempt<Connection>, stored: StoredConnection) -> Result<Connection, ConnectError> {
        let connection = stored.connection.clone().cancel(self.now())?;
        if connection == stored.connection {
            self.note_unchanged(&attempt, &connection).await?;
            return Ok(connection);
        }
        let audit = self.connection_audit(&attempt.caller, "connection.cancel", &connection);
        let next = StoredConnection { connection: connection.clone(), sealed: None, ..stored.clone() };
        if !self.store.change_connection(next, attempt.trail(audit, &connection)).await? {
            return Err(ConnectError::Contended(connection.id));
        }
        self.drop_grant(&stored).await;
        Ok(connection)
    }

    /// Ends connections whose time is over. Returns how many, for people.
    pub async fn end_overdue_connections(&self) -> Result<String, StoreError> {
        let (now, mut ended) = (self.now(), 0);
        for stored in self.store.overdue_connections(now, AT_ONCE).await? {
            let Some(connection) = stored.connection.clone().lapse(now) else { continue };
            let audit = self.connection_audit(&Caller::Broker, "connection.lapse", &connection);
            let next = StoredConnection { connection, sealed: None, ..stored.clone() };
            if self.store.change_connection(next, audit.into()).await? {
                self.drop_grant(&stored).await;
                ended += 1;
            }
        }
        Ok(format!("{ended} connections lapsed"))
    }

    /// Gives back the tokens that waited for a choice which is not made any more.
    pub(super) async fn drop_grant(&self, stored: &StoredConnection) {
        let Stage::Choosing(found) = &stored.connection.stage else { return };
        if let Ok(text) = self.open_for(stored)
            && let Some(grant) = Grant::read(&text)
        {
            self.give_back(&stored.connection, &found.person, &grant).await;
        }
    }

    /// Has the network end a grant that is not kept, where it can, and where no token that is kept would end with it: many networks have
    /// one grant for each person and app. Whatever comes of it, the secrets are destroyed here.
    pub(super) async fn give_back(&self, connection: &Connection, person: &str, grant: &Grant) {
        if person.is_empty() || self.holds_other(connection, person).await {
            return;
        }
        let Some(network) = self.catalogue.network(connection.network.as_str()) else { return };
        let Some(kind) = network.kind(connection.kind.as_str()) else { return };
        let (Ok((_, oauth)), Ok(client)) = (consent_of(network, kind), self.client_for(connection)) else { return };
        let credential =
            Credential { access: Secret::new(grant.access.clone()), refresh: grant.refresh.clone().map(Secret::new) };
        let Some(request) = oauth::revocation(oauth, &client, &credential, person) else { return };
        match self.renewals.network().ask(&request).await {
            Ok(answer) if answer.status < 300 => {}
            Ok(answer) => {
                tracing::warn!(connection = %connection.id, status = answer.status, "a network did not take a grant back; it ends by itself");
            }
            Err(error) => {
                tracing::warn!(connection = %connection.id, %error, "a network could not be told that a grant is not kept; it ends by itself");
            }
        }
    }

    /// Whether any team holds a token of this person by the same app. In doubt, yes.
    async fn holds_other(&self, connection: &Connection, person: &str) -> bool {
        for team in self.directory.teams() {
            let filter = TokenFilter {
                network: Some(connection.network.clone()),
                app: Some(connection.app.clone()),
                person: Some(person.to_owned()),
                not_states: Some(("revoked", "revoked")),
                ..TokenFilter::default()
            };
            match self.store.count_tokens(&team.id, filter).await {
                Ok(0) => {}
                _ => return true,
            }
        }
        false
    }
}
