//! A browser comes with a connect link, and is sent to the network.

use url::Url;

use crate::base::ids::ConnectionId;
use crate::base::secret::Secret;
use crate::domain::connection::{Connection, StageError, consent_of, scopes_to_ask};
use crate::domain::consent;
use crate::outbound::oauth::{AuthorizationRequest, authorization_url};
use crate::service::Broker;
use crate::service::connect::visitor::must_be_granter;
use crate::service::connect::{ConnectError, Mark, Visitor, random_text};
use crate::store::StoredConnection;

/// What a browser shows to be let on.
#[derive(Debug, Clone, Copy)]
pub enum Offer<'a> {
    /// A connect link's own part.
    Link(&'a str),
    /// The connection that it is bound to.
    Bound(ConnectionId),
}

/// Where a browser is sent.
pub struct SentAway {
    /// The network's address.
    pub url: Url,
    /// What the browser is known by from now on.
    pub browser: Secret,
}

impl Broker {
    /// The connection that a browser may be sent on for. A link that was used leads on in the browser that used it.
    pub async fn offered_connection(&self, offer: Offer<'_>, visitor: &Visitor) -> Result<Connection, ConnectError> {
        Ok(self.offered(offer, visitor).await?.connection)
    }

    async fn offered(&self, offer: Offer<'_>, visitor: &Visitor) -> Result<StoredConnection, ConnectError> {
        let stored = match offer {
            Offer::Bound(id) => return self.connection_in(id, visitor).await,
            Offer::Link(link) => self.store.connection_of_link(self.mark_hash(Mark::Link, link)).await?,
        };
        let stored = stored.ok_or(ConnectError::UnknownLink)?;
        let is_free = stored.browser_hash.is_none();
        if !is_free && !self.is_bound(&stored, visitor) {
            return Err(ConnectError::ForeignBrowser);
        }
        must_be_granter(&stored, visitor).map(|()| stored)
    }

    /// Binds the connection to the browser and to who is signed in there, and says where it is to go. `text_version`: the text that was shown
    /// and agreed to.
    pub async fn begin_connection(
        &self,
        offer: Offer<'_>,
        visitor: &Visitor,
        text_version: &str,
    ) -> Result<SentAway, ConnectError> {
        let stored = self.offered(offer, visitor).await?;
        if text_version != consent::NEWEST {
            return Err(ConnectError::OldText);
        }
        let now = self.now();
        let until = (now + self.config.connections.consent_lifetime).min(stored.connection.ends_at);
        let connection =
            stored.connection.clone().ask(now, until, text_version, visitor.member_for(&stored.connection))?;
        let (state, verifier) = (random_text()?, random_text()?);
        let browser = match &visitor.browser {
            Some(known) => Secret::new(known.expose().to_owned()),
            None => random_text()?,
        };
        let url = self.consent_url(&connection, &state, &verifier)?;
        self.ensure_data_key(&connection.team).await?;
        let next = StoredConnection {
            browser_hash: Some(self.mark_hash(Mark::Browser, browser.expose())),
            state_hash: Some(self.mark_hash(Mark::State, state.expose())),
            sealed: Some(self.seal_for(&connection, &verifier)?),
            connection,
            ..stored.clone()
        };
        let gives_back = self.given_back(&stored);
        self.step(&visitor.caller(), "connection.ask", next, gives_back).await?;
        Ok(SentAway { url, browser })
    }

    fn consent_url(&self, connection: &Connection, state: &Secret, verifier: &Secret) -> Result<Url, ConnectError> {
        let Connection { network, kind, app, purposes, scopes, .. } = connection;
        let gone = || ConnectError::Stage(StageError::Ended("its network left the catalogue"));
        let found = self.catalogue.network(network.as_str()).ok_or_else(gone)?;
        let kind = found.kind(kind.as_str()).ok_or_else(gone)?;
        let no = |why| ConnectError::NotConnectable { network: network.clone(), kind: kind.id.clone(), why };
        let (granted, oauth) = consent_of(found, kind).map_err(no)?;
        let (client_id, _) = self.client_of(network, app)?;
        let ask = AuthorizationRequest {
            client_id: &client_id,
            redirect_uri: &self.redirect_uri(network)?,
            state,
            verifier,
            scopes: &scopes_to_ask(granted, kind, *purposes, scopes),
        };
        authorization_url(oauth, &ask).ok_or_else(gone)
    }
}
