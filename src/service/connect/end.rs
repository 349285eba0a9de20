//! What ends without tokens: cancelled, or its time over. What it held is queued to be given back, in the same transaction, and destroyed here.

use crate::base::clock::Timestamp;
use crate::base::ids::{ConnectionId, MemberId, TeamId, TokenId};
use crate::base::secret::Secret;
use crate::domain::connection::{Connection, Stage, consent_of};
use crate::outbound::oauth::Credential;
use crate::service::connect::redeem::Grant;
use crate::service::connect::{ConnectError, Visitor};
use crate::service::requests::Attempt;
use crate::service::revoke::Revoked;
use crate::service::{Broker, Caller};
use crate::store::{ConnectionStep, StoreError, StoredConnection, StoredRevocation};
use crate::text::Sentence;

/// Connections that are ended in one run; more are ended in the next.
const AT_ONCE: u32 = 100;
/// Why a connection ended, for the audit.
const TAKEN_BACK: &str = "the network told that the person took the consent back";

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
        let gives_back = self.given_back(&stored);
        let audit = self.stepping_audit(&attempt.caller, "connection.cancel", &connection, gives_back.as_ref());
        let stored = StoredConnection { connection: connection.clone(), sealed: None, ..stored };
        let step = ConnectionStep { stored, gives_back, trail: attempt.trail(audit, &connection) };
        match self.store.change_connection(step).await? {
            true => Ok(connection),
            false => Err(ConnectError::Contended(connection.id)),
        }
    }

    /// What ends the connections that a member started or is bound to; at most `limit`: those that are left go no further either, since their
    /// member has left.
    pub(in crate::service) async fn connections_to_end(
        &self,
        caller: &Caller,
        member: MemberId,
        limit: u32,
    ) -> Result<Vec<ConnectionStep>, StoreError> {
        let mut steps = Vec::new();
        for stored in self.store.open_connections_of(member, limit).await? {
            let Ok(connection) = stored.connection.clone().cancel(self.now()) else { continue };
            let gives_back = self.given_back(&stored);
            let audit = self.stepping_audit(caller, "connection.cancel", &connection, gives_back.as_ref());
            let stored = StoredConnection { connection, sealed: None, ..stored };
            steps.push(ConnectionStep { stored, gives_back, trail: audit.into() });
        }
        Ok(steps)
    }

    /// Ends a connection whose consent the person took back: what it held is destroyed, and there is nothing to give back.
    pub(in crate::service) async fn end_taken_back(&self, stored: StoredConnection) -> Result<(), StoreError> {
        let Ok(connection) = stored.connection.clone().cancel(self.now()) else { return Ok(()) };
        let mut audit = self.stepping_audit(&Caller::Broker, "connection.cancel", &connection, None);
        audit.detail = format!("{} comment={TAKEN_BACK}", audit.detail);
        let stored = StoredConnection { connection, sealed: None, ..stored };
        let step = ConnectionStep { stored, gives_back: None, trail: audit.into() };
        // If not, somebody chose, or ended it, just now.
        self.store.change_connection(step).await.map(drop)
    }

    /// Whether the person took the consent back since it was given.
    pub(super) async fn was_taken_back(
        &self,
        connection: &Connection,
        person: &str,
        grant: &Grant,
    ) -> Result<bool, StoreError> {
        let of = (&connection.network, &connection.app, &connection.kind);
        self.is_taken_back(of, person, Timestamp::from_micros(grant.consented_us)).await
    }

    /// Ends connections whose time is over. Returns how many, for people.
    pub async fn end_overdue_connections(&self) -> Result<Sentence, StoreError> {
        let (now, mut ended) = (self.now(), 0);
        for stored in self.store.overdue_connections(now, AT_ONCE).await? {
            let Some(connection) = stored.connection.clone().lapse(now) else { continue };
            let gives_back = self.given_back(&stored);
            let audit = self.stepping_audit(&Caller::Broker, "connection.lapse", &connection, gives_back.as_ref());
            let stored = StoredConnection { connection, sealed: None, ..stored };
            let step = ConnectionStep { stored, gives_back, trail: audit.into() };
            ended += u32::from(self.store.change_connection(step).await?);
        }
        Ok(Sentence::new("ran-connections").with("count", ended))
    }

    /// What the network is to take back of a connection whose tokens wait for a choice that is not made any more.
    pub(super) fn given_back(&self, stored: &StoredConnection) -> Option<StoredRevocation> {
        let Stage::Choosing(found) = &stored.connection.stage else { return None };
        let grant = Grant::read(&self.open_for(stored).ok()?)?;
        self.revocation_of_grant(&stored.connection, &found.person, &grant)
    }

    /// What the network is to take back of a grant that is not kept; `None`: it can't be told. Whether a token that is kept would end with
    /// it, is looked at when it is made. `person`: empty where it is not known.
    pub(super) fn revocation_of_grant(
        &self,
        connection: &Connection,
        person: &str,
        grant: &Grant,
    ) -> Option<StoredRevocation> {
        let network = self.catalogue.network(connection.network.as_str())?;
        let (granted, oauth) = consent_of(network, network.kind(connection.kind.as_str())?).ok()?;
        oauth.revoke_url.as_ref()?;
        let of = Revoked {
            token: TokenId::generate(),
            team: connection.team.clone(),
            network: network.id.clone(),
            app: connection.app.clone(),
            kind: granted.id.clone(),
            person: person.to_owned(),
        };
        let credential = Credential {
            access: Secret::new(grant.access.clone()),
            refresh: grant.refresh.clone().map(Secret::new),
            bond: grant.bond(),
        };
        Some(self.queued_revocation(of, &credential))
    }
}
